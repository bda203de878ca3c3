#include "net/peers.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

TestSuite(peers, .timeout = 30);

static struct peers p;
static int link_of[PEERS_MAX + 1]; /* something to point to */
static enum peers_before before;

/* A linked peer whose id is all `id`. */
static uint32_t add(uint8_t id, enum peer_state state, uint64_t step)
{
    struct wire_hello hello = {.state = state, .step = step, .shard = id, .n_shards = 9};
    memset(hello.id, id, sizeof hello.id);
    return peers_add(&p, &link_of[id], &hello, "10.0.0.2:7700", 5, &before);
}

static void start(void)
{
    uint8_t self[WIRE_PEER_ID_BYTES];
    memset(self, 100, sizeof self);
    peers_init(&p, self);
}

static uint32_t find(uint8_t id)
{
    uint8_t bytes[WIRE_PEER_ID_BYTES];
    memset(bytes, id, sizeof bytes);
    return peers_find(&p, bytes);
}

Test(peers, slots)
{
    start();
    cr_assert_eq(find(1), PEERS_MAX);
    cr_assert_eq(find(0), PEERS_MAX, "a free slot has no id");
    cr_assert_eq(add(1, PEER_TRAINING, 10), 0);
    cr_assert_eq(add(2, PEER_TRAINING, 20), 1);
    cr_assert_eq(add(3, PEER_TRAINING, 30), 2);
    cr_assert_eq(p.n_linked, 3);
    cr_assert_eq(find(2), 1);
    cr_assert_eq(p.slots[1].link, &link_of[2]);
    cr_assert_eq(p.slots[1].step, 20);
    cr_assert_eq(p.slots[1].heard_us, 5);
    cr_assert_str_eq(p.slots[1].name, "shard 3/9 at 10.0.0.2:7700");
    peers_remove(&p, 1, false);
    cr_assert_eq(find(2), PEERS_MAX);
    cr_assert_eq(p.n_linked, 2);
    cr_assert_eq(p.n_goodbyes, 0);
    p.slots[1].n_calm = 7;
    cr_assert_eq(add(4, PEER_JOINING, 0), 3, "a fresh slot");
    cr_assert_eq(add(2, PEER_JOINING, 0), 1, "the one it had");
    cr_assert_eq(p.slots[1].n_calm, 0, "nothing of its last stay stays");
    cr_assert_eq(find(3), 2, "the others keep theirs");
}

/* What a slot stood for decides what becomes of transfers to it. */
Test(peers, a_link_that_another_replaces)
{
    uint8_t id[WIRE_PEER_ID_BYTES];
    memset(id, 1, sizeof id);
    start();
    uint32_t slot = add(1, PEER_TRAINING, 10);
    cr_assert(!peers_is_replaced(&p, id));
    p.slots[slot].replaced = true;
    cr_assert(!peers_is_replaced(&p, id), "it is linked still");
    peers_remove(&p, slot, false);
    cr_assert(peers_is_replaced(&p, id));
    add(1, PEER_TRAINING, 10);
    peers_remove(&p, slot, false);
    cr_assert(!peers_is_replaced(&p, id), "the other one came, and was lost");
}

Test(peers, before)
{
    start();
    struct wire_hello hello = {.id = {7}, .incarnation = 3, .state = PEER_TRAINING};
    cr_assert_eq(peers_add(&p, link_of, &hello, "", 1, &before), 0);
    cr_assert_eq(before, PEERS_BEFORE_SAME);
    peers_remove(&p, 0, false);
    cr_assert_eq(peers_add(&p, link_of, &hello, "", 2, &before), 0);
    cr_assert_eq(before, PEERS_BEFORE_SAME);
    peers_remove(&p, 0, false);
    hello.incarnation = 4;
    cr_assert_eq(peers_add(&p, link_of, &hello, "", 3, &before), 0);
    cr_assert_eq(before, PEERS_BEFORE_OLDER);
    for (uint32_t i = 1; i < PEERS_MAX; i++) {
        hello = (struct wire_hello){.id = {(uint8_t)i, 1}, .state = PEER_TRAINING};
        cr_assert_eq(peers_add(&p, &link_of[i], &hello, "", 10 + i, &before), i);
        cr_assert_eq(before, PEERS_BEFORE_SAME);
    }
    peers_remove(&p, 40, false);
    peers_remove(&p, 30, false);
    peers_remove(&p, 50, false);
    hello = (struct wire_hello){.id = {7, 2}, .state = PEER_TRAINING};
    cr_assert_eq(peers_add(&p, link_of, &hello, "", 300, &before), 30, "heard longest ago");
    cr_assert_eq(before, PEERS_BEFORE_ANOTHER);
}

Test(peers, name)
{
    start();
    struct wire_hello hello = {.shard = 1, .n_shards = 5};
    snprintf(hello.address, sizeof hello.address, "host:1234");
    uint32_t slot = peers_add(&p, link_of, &hello, "10.0.0.2:50000", 0, &before);
    cr_assert_str_eq(p.slots[slot].name, "shard 2/5 at host:1234", "where it listens");
    hello.id[0] = 1;
    memset(hello.address, 'x', sizeof hello.address - 1);
    slot = peers_add(&p, link_of, &hello, "", 0, &before);
    cr_assert_eq(strlen(p.slots[slot].name), strlen("shard 2/5 at ") + 50, "cut");
}

Test(peers, table_full)
{
    start();
    for (uint32_t i = 0; i < PEERS_MAX; i++) {
        struct wire_hello hello = {.id = {(uint8_t)i, 1}, .state = PEER_TRAINING};
        cr_assert_eq(peers_add(&p, &link_of[i], &hello, "", 0, &before), i);
    }
    struct wire_hello hello = {.id = {7, 2}, .state = PEER_TRAINING};
    cr_assert_eq(peers_add(&p, &link_of[PEERS_MAX], &hello, "", 0, &before), PEERS_MAX);
    cr_assert_eq(p.n_linked, PEERS_MAX);
    cr_assert_eq(p.n_neighbours, PEERS_MAX);
    peers_remove(&p, 77, false);
    cr_assert_eq(peers_add(&p, &link_of[PEERS_MAX], &hello, "", 0, &before), 77);
    cr_assert_eq(peers_find(&p, hello.id), 77);
}

/* Who may be drawn: in any state but joining and leaving, whatever order they came in. */
Test(peers, neighbours)
{
    static const bool drawn[N_PEER_STATES] = {false, true, true, true, false};
    start();
    for (uint8_t s = 0; s < N_PEER_STATES; s++)
        add(s, (enum peer_state)s, 0);
    cr_assert_eq(p.n_neighbours, 3);
    for (uint32_t k = 0; k < 3; k++)
        cr_assert_eq(p.neighbours[k], k + 1);
    for (int from = 0; from < N_PEER_STATES; from++)
        for (int to = 0; to < N_PEER_STATES; to++) {
            peers_set_status(&p, 0, (enum peer_state)from, 1, 9);
            peers_set_status(&p, 0, (enum peer_state)to, 2, 9);
            cr_assert_eq(p.n_neighbours, 3u + drawn[to]);
            cr_assert_eq(p.slots[0].step, 2);
        }
    peers_remove(&p, 2, true);
    peers_set_status(&p, 0, PEER_JOINING, 0, 9);
    cr_assert_eq(p.n_neighbours, 2);
    cr_assert(p.neighbours[0] == 1 && p.neighbours[1] == 3);
}

Test(peers, smaller)
{
    start();
    cr_assert(peers_is_smaller(&p, add(99, PEER_TRAINING, 0)));
    cr_assert_not(peers_is_smaller(&p, add(101, PEER_TRAINING, 0)));
    cr_assert_not(peers_is_smaller(&p, add(200, PEER_TRAINING, 0)), "bytes are unsigned");
    struct wire_hello hello;
    memset(hello.id, 100, sizeof hello.id);
    hello.id[WIRE_PEER_ID_BYTES - 1] = 99;
    cr_assert(peers_is_smaller(&p, peers_add(&p, link_of, &hello, "", 0, &before)),
              "the last byte decides");
}

Test(peers, furthest)
{
    start();
    cr_assert_eq(peers_furthest(&p, 0, PEERS_MAX), PEERS_MAX);
    add(1, PEER_TRAINING, 10);
    uint32_t done = add(2, PEER_DONE, 30), settling = add(3, PEER_SETTLING, 20);
    add(4, PEER_JOINING, 99);
    add(5, PEER_LEAVING, 99);
    uint32_t training = add(6, PEER_TRAINING, 30), ended = add(7, PEER_ENDED, 99);
    cr_assert_eq(peers_furthest(&p, 0, PEERS_MAX), done, "the first of two alike");
    cr_assert_eq(peers_furthest(&p, 0, done), training);
    cr_assert_eq(peers_furthest(&p, 29, done), training);
    cr_assert_eq(peers_furthest(&p, 30, done), settling, "who is done is further, at any lead");
    peers_remove(&p, training, false);
    cr_assert_eq(peers_furthest(&p, 0, done), settling);
    peers_remove(&p, done, true);
    cr_assert_eq(peers_furthest(&p, 50, PEERS_MAX), settling);
    cr_assert_eq(peers_furthest(&p, 50, settling), ended, "only where there is no other");
    peers_remove(&p, settling, true);
    cr_assert_eq(peers_furthest(&p, 200, PEERS_MAX), ended);
    cr_assert_eq(peers_furthest(&p, 200, ended), PEERS_MAX);
    peers_set_status(&p, ended, PEER_ENDED, 0, 9);
    cr_assert_eq(peers_furthest(&p, 10, PEERS_MAX), PEERS_MAX, "it has taken no step");
}

Test(peers, n_joining)
{
    start();
    cr_assert_eq(peers_n_joining(&p), 0);
    uint32_t a = add(1, PEER_JOINING, 0), b = add(2, PEER_JOINING, 5);
    for (uint8_t state = PEER_TRAINING; state < N_PEER_STATES; state++)
        add(2 + state, (enum peer_state)state, 0);
    cr_assert_eq(peers_n_joining(&p), 2);
    peers_set_status(&p, a, PEER_TRAINING, 0, 9);
    cr_assert_eq(peers_n_joining(&p), 1);
    peers_remove(&p, b, false);
    cr_assert_eq(peers_n_joining(&p), 0);
}

/* The vote, in every mix of a few peers: more than half, me and goodbyes included. */
Test(peers, vote)
{
    for (uint32_t training = 0; training < 4; training++)
        for (uint32_t done = 0; done < 4; done++)
            for (uint32_t leaving = 0; leaving < 3; leaving++)
                for (uint32_t gone = 0; gone < 4; gone++)
                    for (int me = 0; me < 2; me++) {
                        start();
                        uint8_t id = 0;
                        for (uint32_t i = 0; i < training; i++)
                            add(++id, i == 2 ? PEER_JOINING : PEER_TRAINING, 0);
                        for (uint32_t i = 0; i < done; i++)
                            add(++id, (enum peer_state[]){PEER_DONE, PEER_SETTLING, PEER_ENDED}[i],
                                0);
                        for (uint32_t i = 0; i < leaving; i++)
                            add(++id, PEER_LEAVING, 0);
                        for (uint32_t i = 0; i < gone; i++)
                            peers_remove(&p, add(++id, PEER_DONE, 0), true);
                        for (uint32_t i = 0; i < 2; i++) /* died: known to live no more */
                            peers_remove(&p, add(++id, PEER_DONE, 0), false);
                        uint32_t n_done = done + gone + (uint32_t)me;
                        uint32_t n = training + leaving + done + gone + 1;
                        cr_assert_eq(peers_most_are_done(&p, me), n_done > n - n_done,
                                     "%u training, %u done, %u leaving, %u gone, me %d", training,
                                     done, leaving, gone, me);
                    }
}

Test(peers, settled)
{
    enum { CALM = 3 };
    start();
    cr_assert(peers_all_settled(&p, CALM), "alone");
    uint32_t a = add(1, PEER_SETTLING, 0), b = add(2, PEER_LEAVING, 0);
    add(3, PEER_ENDED, 0);
    cr_assert_not(peers_all_settled(&p, CALM));
    for (int i = 0; i < CALM; i++) {
        cr_assert_not(peers_all_settled(&p, CALM));
        peers_note_move(&p, a, 0.5f * PEERS_CALM);
    }
    cr_assert(peers_all_settled(&p, CALM));
    static const float moves[] = {PEERS_CALM, 1, INFINITY, NAN};
    for (size_t k = 0; k < sizeof moves / sizeof moves[0]; k++) {
        peers_note_move(&p, a, moves[k]);
        for (int i = 0; i < CALM; i++) {
            cr_assert_not(peers_all_settled(&p, CALM), "in a row");
            peers_note_move(&p, a, 0);
        }
        cr_assert(peers_all_settled(&p, CALM));
    }
    static const enum peer_state busy[] = {PEER_JOINING, PEER_TRAINING, PEER_DONE};
    for (size_t k = 0; k < sizeof busy / sizeof busy[0]; k++) {
        peers_set_status(&p, a, busy[k], 0, 9);
        cr_assert_not(peers_all_settled(&p, CALM), "%s", peer_state_names[busy[k]]);
    }
    peers_remove(&p, a, false);
    cr_assert(peers_all_settled(&p, CALM), "who is gone is not waited for");
    peers_set_status(&p, b, PEER_SETTLING, 0, 9);
    cr_assert_not(peers_all_settled(&p, CALM));
    cr_assert(peers_all_settled(&p, 0));
}

/* The schedule's place: mine counts, a peer that joins or leaves does not, one liar moves nothing.
 */
Test(peers, median_step)
{
    start();
    cr_assert_eq(peers_median_step(&p, 7), 7, "alone");
    add(1, PEER_TRAINING, 100);
    cr_assert_eq(peers_median_step(&p, 7), 7, "of two the lower");
    add(2, PEER_DONE, 90);
    cr_assert_eq(peers_median_step(&p, 7), 90);
    cr_assert_eq(peers_median_step(&p, 95), 95);
    add(3, PEER_JOINING, 0);
    add(4, PEER_LEAVING, 5000);
    add(6, PEER_ENDED, 5000);
    cr_assert_eq(peers_median_step(&p, 7), 90);
    add(5, PEER_TRAINING, UINT64_MAX);
    cr_assert_eq(peers_median_step(&p, 7), 90);
}

Test(peers, pace)
{
    struct pace pace = {0};
    pace_note(&pace, 0, 1000);
    cr_assert_eq(pace.per_s, 0, "nothing to compare with");
    pace_note(&pace, 100, 1600000);
    cr_assert_eq(pace.per_s, 0, "these it may have taken over");
    pace = (struct pace){.step = 100, .at_us = 1000000, .runs = pace.runs};
    pace_note(&pace, 130, 2000000);
    cr_assert_eq(pace.per_s, 0, "too soon");
    pace_note(&pace, 200, 3000000);
    cr_assert_float_eq(pace.per_s, 50, 1e-9);
    pace_note(&pace, 400, 5000000);
    cr_assert_float_eq(pace.per_s, 50 + 0.3 * 50, 1e-9);
    pace_note(&pace, 7, 5000001);
    cr_assert_float_eq(pace.per_s, 65, 1e-9, "it began anew");
    pace_note(&pace, 137, 7000001);
    cr_assert_float_eq(pace.per_s, 65, 1e-9);
}

/* Over the means of those who say something, me included. */
Test(peers, shares)
{
    start();
    cr_assert_eq(peers_share_samples(&p, 10), 1);
    cr_assert_eq(peers_share_samples(&p, 0), 0);
    cr_assert_eq(peers_share_speed(&p, 0), 0);
    cr_assert_eq(peers_evenness(&p, 0), 1);
    static const uint64_t samples[] = {30, 0, 20, 1000};
    for (uint32_t i = 0; i < 4; i++) {
        struct wire_hello hello = {.id = {(uint8_t)(i + 1)},
                                   .n_samples = samples[i],
                                   .state = i == 3 ? PEER_JOINING : PEER_TRAINING};
        cr_assert_eq(peers_add(&p, &link_of[i], &hello, "", 0, &before), i);
    }
    cr_assert_float_eq(peers_share_samples(&p, 10), 0.5, 1e-9);
    cr_assert_eq(peers_share_speed(&p, 5), 1, "nobody's is known yet");
    for (uint64_t k = 0; k < 3; k++) {
        peers_set_status(&p, 0, PEER_TRAINING, 30 * k, 1000000 + 2000000 * k);
        peers_set_status(&p, 2, PEER_SETTLING, 90 * k, 1000000 + 2000000 * k);
    }
    cr_assert_float_eq(peers_share_speed(&p, 5), 0.5, 1e-9, "who settles makes no steps");
    cr_assert_float_eq(peers_evenness(&p, 15), 1, 1e-9);
    cr_assert_float_eq(peers_evenness(&p, 135), 2 / sqrt(5), 1e-9, "(1 + 3)/2 over the root of 5");
}
