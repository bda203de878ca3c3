#include "net/peers.h"

#include "base/check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void peers_init(struct peers *p, const uint8_t self[WIRE_PEER_ID_BYTES])
{
    memset(p, 0, sizeof *p);
    memcpy(p->self, self, WIRE_PEER_ID_BYTES);
}

uint32_t peers_find(const struct peers *p, const uint8_t id[WIRE_PEER_ID_BYTES])
{
    for (uint32_t i = 0; i < PEERS_MAX; i++)
        if (p->slots[i].link != NULL && memcmp(p->slots[i].id, id, WIRE_PEER_ID_BYTES) == 0)
            return i;
    return PEERS_MAX;
}

/* Those who may be drawn for an exchange: they answer. */
static void list_neighbours(struct peers *p)
{
    p->n_neighbours = 0;
    for (uint32_t i = 0; i < PEERS_MAX; i++) {
        const struct peer *peer = &p->slots[i];
        if (peer->link != NULL && peer->state >= PEER_TRAINING && peer->state <= PEER_SETTLING)
            p->neighbours[p->n_neighbours++] = i;
    }
}

bool peers_is_replaced(const struct peers *p, const uint8_t id[WIRE_PEER_ID_BYTES])
{
    for (uint32_t i = 0; i < PEERS_MAX; i++) {
        const struct peer *peer = &p->slots[i];
        if (peer->link == NULL && peer->replaced && memcmp(peer->id, id, WIRE_PEER_ID_BYTES) == 0)
            return true;
    }
    return false;
}

/* Of a free slot: 0 when it was this peer's, 1 when it was nobody's, else greater the later its
 * peer was heard. */
static uint64_t reluctance(const struct peer *slot, const uint8_t id[WIRE_PEER_ID_BYTES])
{
    if (slot->serial == 0)
        return 1;
    return memcmp(slot->id, id, WIRE_PEER_ID_BYTES) == 0 ? 0 : 2 + slot->heard_us;
}

static uint32_t find_slot(const struct peers *p, const uint8_t id[WIRE_PEER_ID_BYTES])
{
    uint32_t best = PEERS_MAX;
    uint64_t least = UINT64_MAX;
    for (uint32_t i = 0; i < PEERS_MAX; i++) {
        uint64_t r = p->slots[i].link == NULL ? reluctance(&p->slots[i], id) : UINT64_MAX;
        if (r < least) {
            best = i;
            least = r;
        }
    }
    return best;
}

uint32_t peers_add(struct peers *p, void *link, const struct wire_hello *hello, const char *remote,
                   uint64_t now_us, enum peers_before *before)
{
    uint32_t i = find_slot(p, hello->id);
    if (i == PEERS_MAX)
        return PEERS_MAX;
    struct peer *peer = &p->slots[i];
    *before = peer->serial == 0 || (memcmp(peer->id, hello->id, WIRE_PEER_ID_BYTES) == 0 &&
                                    peer->incarnation == hello->incarnation)
                  ? PEERS_BEFORE_SAME
              : memcmp(peer->id, hello->id, WIRE_PEER_ID_BYTES) == 0 ? PEERS_BEFORE_OLDER
                                                                     : PEERS_BEFORE_ANOTHER;
    *peer = (struct peer){.link = link,
                          .serial = ++p->n_added,
                          .incarnation = hello->incarnation,
                          .state = hello->state,
                          .step = hello->step,
                          .n_samples = hello->n_samples,
                          .shard = hello->shard,
                          .n_shards = hello->n_shards,
                          .heard_us = now_us};
    memcpy(peer->id, hello->id, WIRE_PEER_ID_BYTES);
    snprintf(peer->name, sizeof peer->name, "shard %u/%u at %.50s", hello->shard + 1,
             hello->n_shards, hello->address[0] != '\0' ? hello->address : remote);
    p->n_linked++;
    list_neighbours(p);
    return i;
}

void peers_remove(struct peers *p, uint32_t slot, bool goodbye)
{
    CHECK(p->slots[slot].link != NULL);
    p->slots[slot].link = NULL;
    p->n_linked--;
    p->n_goodbyes += goodbye;
    list_neighbours(p);
}

void pace_note(struct pace *p, uint64_t step, uint64_t now_us)
{
    enum { LEAST_US = 1500000 };
    if (p->at_us > 0 && now_us - p->at_us < LEAST_US && step >= p->step)
        return;
    if (p->at_us > 0 && step > p->step) {
        double per_s = (double)(step - p->step) / ((double)(now_us - p->at_us) / 1e6);
        if (p->runs)
            p->per_s += (p->per_s > 0 ? 0.3 : 1) * (per_s - p->per_s);
        p->runs = true;
    }
    p->step = step;
    p->at_us = now_us;
}

void peers_set_status(struct peers *p, uint32_t slot, enum peer_state state, uint64_t step,
                      uint64_t now_us)
{
    struct peer *peer = &p->slots[slot];
    bool steps = state == PEER_TRAINING || state == PEER_DONE;
    peer->state = state;
    peer->step = step;
    if (steps)
        pace_note(&peer->pace, step, now_us);
    list_neighbours(p);
}

bool peers_is_smaller(const struct peers *p, uint32_t slot)
{
    return memcmp(p->slots[slot].id, p->self, WIRE_PEER_ID_BYTES) < 0;
}

/* Whether the weights of a are to be taken over rather than those of b: b may leave any moment, or
 * it has taken fewer steps. */
static bool is_further(const struct peer *a, const struct peer *b)
{
    if ((a->state == PEER_ENDED) != (b->state == PEER_ENDED))
        return b->state == PEER_ENDED;
    return a->step > b->step;
}

uint32_t peers_furthest(const struct peers *p, uint64_t lead, uint32_t except)
{
    uint32_t best = PEERS_MAX;
    for (uint32_t i = 0; i < PEERS_MAX; i++) {
        const struct peer *peer = &p->slots[i];
        bool answers =
            peer->link != NULL && peer->state != PEER_JOINING && peer->state != PEER_LEAVING;
        uint64_t least = peer->state == PEER_TRAINING ? lead : 0;
        if (i != except && answers && peer->step > least &&
            (best == PEERS_MAX || is_further(peer, &p->slots[best])))
            best = i;
    }
    return best;
}

uint32_t peers_n_joining(const struct peers *p)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < PEERS_MAX; i++)
        n += p->slots[i].link != NULL && p->slots[i].state == PEER_JOINING;
    return n;
}

static int compare_steps(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

uint64_t peers_median_step(const struct peers *p, uint64_t mine)
{
    uint64_t steps[PEERS_MAX + 1];
    uint32_t n = p->n_neighbours;
    for (uint32_t k = 0; k < n; k++)
        steps[k] = p->slots[p->neighbours[k]].step;
    steps[n] = mine;
    qsort(steps, n + 1, sizeof steps[0], compare_steps);
    return steps[n / 2];
}

/* Mine over the mean of what is known, mine included. */
static double share(double mine, double sum, uint32_t n)
{
    return mine > 0 ? mine * (n + 1) / (sum + mine) : 0;
}

double peers_share_samples(const struct peers *p, uint64_t mine)
{
    double sum = 0;
    uint32_t n = 0;
    for (uint32_t k = 0; k < p->n_neighbours; k++) {
        uint64_t theirs = p->slots[p->neighbours[k]].n_samples;
        sum += (double)theirs;
        n += theirs > 0;
    }
    return share((double)mine, sum, n);
}

double peers_share_speed(const struct peers *p, double mine)
{
    double sum = 0;
    uint32_t n = 0;
    for (uint32_t k = 0; k < p->n_neighbours; k++) {
        double theirs = p->slots[p->neighbours[k]].pace.per_s;
        sum += theirs;
        n += theirs > 0;
    }
    return share(mine, sum, n);
}

double peers_evenness(const struct peers *p, double mine)
{
    double sum = mine, roots = sqrt(mine);
    uint32_t n = mine > 0;
    for (uint32_t k = 0; k < p->n_neighbours; k++) {
        double theirs = p->slots[p->neighbours[k]].pace.per_s;
        sum += theirs;
        roots += sqrt(theirs);
        n += theirs > 0;
    }
    return n > 0 ? roots / sqrt(n * sum) : 1;
}

bool peers_most_are_done(const struct peers *p, bool i_am_done)
{
    uint32_t n_done = i_am_done + p->n_goodbyes, n = 1 + p->n_linked + p->n_goodbyes;
    for (uint32_t i = 0; i < PEERS_MAX; i++)
        n_done += p->slots[i].link != NULL && p->slots[i].state >= PEER_DONE &&
                  p->slots[i].state <= PEER_ENDED;
    return 2 * n_done > n;
}

bool peers_all_settled(const struct peers *p, uint32_t n_calm)
{
    for (uint32_t i = 0; i < PEERS_MAX; i++) {
        const struct peer *peer = &p->slots[i];
        bool settled =
            peer->state >= PEER_ENDED || (peer->state == PEER_SETTLING && peer->n_calm >= n_calm);
        if (peer->link != NULL && !settled)
            return false;
    }
    return true;
}

void peers_note_move(struct peers *p, uint32_t slot, float moved)
{
    struct peer *peer = &p->slots[slot];
    peer->n_calm = moved < PEERS_CALM ? peer->n_calm + 1 : 0;
}
