/* The gossip core: what it refuses, adoption, schedules, and where its limits lie. */
#include "base/rng.h"
#include "net/gossip.h"
#include "tests/support/gossip_trace.h"

#include <criterion/criterion.h>
#include <stdlib.h>

TestSuite(gossip_limits, .timeout = 30);

Test(gossip_limits, punished_requests)
{
    /* The slice, the weight, the mass. */
    trace_check("> core\n"
                "> up 2\n"
                "> active\n"
                "> request #1 s1 from 2 b4 w=0.5 m=1\n"
                "PUNISH 2: a request for a slice that the model does not have\n"
                "FORGET b4\n"
                "> request #1 s4294967295 from 2 b- w=0.5 m=1\n"
                "PUNISH 2: a request for a slice that the model does not have\n"
                "> request #1 s0 from 2 b4 w=0 m=1\n"
                "PUNISH 2: a request with a weight or mass out of range\n"
                "FORGET b4\n"
                "> request #1 s0 from 2 b4 w=-0.5 m=1\n"
                "PUNISH 2: a request with a weight or mass out of range\n"
                "FORGET b4\n"
                "> request #1 s0 from 2 b4 w=0.51 m=1\n"
                "PUNISH 2: a request with a weight or mass out of range\n"
                "FORGET b4\n"
                "> request #1 s0 from 2 b4 w=nan m=1\n"
                "PUNISH 2: a request with a weight or mass out of range\n"
                "FORGET b4\n"
                "> request pull #1 s0 from 2 b4 w=1.01 m=1\n"
                "PUNISH 2: a request with a weight or mass out of range\n"
                "FORGET b4\n"
                "> request #1 s0 from 2 b4 w=0.5 m=0\n"
                "PUNISH 2: a request with a weight or mass out of range\n"
                "FORGET b4\n"
                "> request #1 s0 from 2 b4 w=0.5 m=-1\n"
                "PUNISH 2: a request with a weight or mass out of range\n"
                "FORGET b4\n"
                "> request #1 s0 from 2 b4 w=0.5 m=nan\n"
                "PUNISH 2: a request with a weight or mass out of range\n"
                "FORGET b4\n"
                "> open\n"
                "0\n"
                "> counts\n"
                "none\n");
    /* A second request for the slice, or under the id, of one that is being served. */
    trace_check("> core serve=3 slices=2\n"
                "> up 2\n"
                "> active\n"
                "> request #1 s0 from 2 b4 w=0.5 m=1\n"
                "ANSWER e0 s0 b4 c=0.5 for 2\n"
                "> request #2 s0 from 2 b5 w=0.5 m=1\n"
                "PUNISH 2: a second request while the first is being served\n"
                "FORGET b5\n"
                "> request #1 s1 from 2 b5 w=0.5 m=1\n"
                "PUNISH 2: a second request while the first is being served\n"
                "FORGET b5\n"
                "> request pull #1 s0 from 2 b5 w=0.5 m=1\n"
                "PUNISH 2: a second request while the first is being served\n"
                "FORGET b5\n"
                "> request pull #3 s0 from 2 b5 w=0.5 m=1\n"
                "TAKE e1 s0 b5 for 2\n"
                "> request pull #4 s0 from 2 b6 w=0.5 m=1\n"
                "PUNISH 2: a second request while the first is being served\n"
                "FORGET b6\n"
                "> request #1 s0 from 3 b6 w=0.5 m=1\n"
                "ANSWER e2 s0 b6 c=0.5 for 3\n"
                "> open\n"
                "3\n");
}

Test(gossip_limits, punished_replies)
{
    /* More weight than asked for, another slice, another mode, a bad mass. */
    trace_check("> pair slices=2\n"
                "> steps 1\n"
                "TAKE e0 s0 for 2\n"
                "> done e0 b3\n"
                "SEND request #1 s0 b3 w=0.5 m=1 -> 2\n"
                "> reply #1 s0 from 2 b5 w=0.6 m=1\n"
                "PUNISH 2: a reply that does not fit its request\n"
                "FORGET b5\n"
                "> reply #1 s0 from 2 b5 w=0 m=1\n"
                "PUNISH 2: a reply that does not fit its request\n"
                "FORGET b5\n"
                "> reply #1 s0 from 2 b5 w=nan m=1\n"
                "PUNISH 2: a reply that does not fit its request\n"
                "FORGET b5\n"
                "> reply #1 s1 from 2 b5 w=0.5 m=1\n"
                "PUNISH 2: a reply that does not fit its request\n"
                "FORGET b5\n"
                "> reply pull #1 s0 from 2 b5 w=0.5 m=1\n"
                "PUNISH 2: a reply that does not fit its request\n"
                "FORGET b5\n"
                "> reply #1 s0 from 2 b5 w=0.5 m=0\n"
                "PUNISH 2: a reply that does not fit its request\n"
                "FORGET b5\n"
                "> reply #1 s0 from 2 b5 w=0.5 m=nan\n"
                "PUNISH 2: a reply that does not fit its request\n"
                "FORGET b5\n"
                "> expects #1 2\n"
                "yes\n"
                "> down 2\n"
                "> counts\n"
                "initiated=1 lost=1\n");
    /* Unknown: the id, the peer, answered before. */
    trace_check("> pair\n"
                "> steps 1\n"
                "TAKE e0 s0 for 2\n"
                "> reply #1 s0 from 2 b5 w=0.5 m=1\n"
                "FORGET b5\n"
                "> done e0 b3\n"
                "SEND request #1 s0 b3 w=0.5 m=1 -> 2\n"
                "> reply #2 s0 from 2 b5 w=0.5 m=1\n"
                "FORGET b5\n"
                "> reply #1 s0 from 3 b5 w=0.5 m=1\n"
                "FORGET b5\n"
                "> reply #1 s0 from 2 b- w=0.5 m=1\n"
                "> decline #2 from 2\n"
                "> decline #1 from 3\n"
                "> reply #1 s0 from 2 b5 w=0.5 m=1\n"
                "ADD e0 s0 b5 c=0.5 for 2\n"
                "> reply #1 s0 from 2 b6 w=0.5 m=1\n"
                "FORGET b6\n"
                "> decline #1 from 2\n"
                "> counts\n"
                "initiated=1 mixed=1 unknown=8\n");
}

Test(gossip_limits, adoption)
{
    /* Every slice in order, as many at once as there are places. */
    trace_check("> core slices=3 open=2\n"
                "> up 2\n"
                "> adopt 2\n"
                "SEND request pull #1 s0 w=1 m=1 -> 2\n"
                "SEND request pull #2 s1 w=1 m=1 -> 2\n"
                "> reply pull #1 s0 from 2 b4 w=1 m=1\n"
                "MIX e0 s0 b4 c=1 for 2\n"
                "> done e0\n"
                "SEND request pull #3 s2 w=1 m=1 -> 2\n"
                "> reply pull #2 s1 from 2 b5 w=1 m=1\n"
                "MIX e1 s1 b5 c=1 for 2\n"
                "> reply pull #3 s2 from 2 b6 w=1 m=1\n"
                "MIX e0 s2 b6 c=1 for 2\n"
                "ADOPTED\n"
                "> done e0\n"
                "> done e1\n"
                "> open\n"
                "0\n"
                "> counts\n"
                "initiated=3 mixed=3\n");
    /* While joining, others are declined; adoption waits for no schedule. */
    trace_check("> core slices=1 open=1\n"
                "> schedule steps=1\n"
                "> up 2\n"
                "> adopt 2\n"
                "SEND request pull #1 s0 w=1 m=1 -> 2\n"
                "> request #9 s0 from 3 b7 w=0.5 m=1\n"
                "SEND decline #9 -> 3\n"
                "FORGET b7\n"
                "> steps 1\n"
                "> reply pull #1 s0 from 2 b4 w=1 m=1\n"
                "MIX e0 s0 b4 c=1 for 2\n"
                "ADOPTED\n"
                "> active\n"
                "> done e0\n");
}

Test(gossip_limits, adoption_declined)
{
    /* Declined in the middle: it has failed once the rest was answered, and resumes at the gap. */
    trace_check("> core slices=4 open=3\n"
                "> up 2\n"
                "> adopt 2\n"
                "SEND request pull #1 s0 w=1 m=1 -> 2\n"
                "SEND request pull #2 s1 w=1 m=1 -> 2\n"
                "SEND request pull #3 s2 w=1 m=1 -> 2\n"
                "> reply pull #1 s0 from 2 b4 w=1 m=1\n"
                "MIX e0 s0 b4 c=1 for 2\n"
                "> decline #2 from 2\n"
                "> done e0\n"
                "> reply pull #3 s2 from 2 b6 w=1 m=1\n"
                "MIX e2 s2 b6 c=1 for 2\n"
                "ADOPT_FAILED\n"
                "> done e2\n"
                "> up 3\n"
                "> adopt 3\n"
                "SEND request pull #4 s1 w=1 m=1 -> 3\n"
                "SEND request pull #5 s2 w=1 m=1 -> 3\n"
                "SEND request pull #6 s3 w=1 m=1 -> 3\n"
                "> reply pull #4 s1 from 3 b4 w=1 m=1\n"
                "MIX e0 s1 b4 c=1 for 3\n"
                "> reply pull #5 s2 from 3 b5 w=1 m=1\n"
                "MIX e1 s2 b5 c=1 for 3\n"
                "> done e0\n"
                "> reply pull #6 s3 from 3 b6 w=1 m=1\n"
                "MIX e2 s3 b6 c=1 for 3\n"
                "ADOPTED\n"
                "> done e1\n"
                "> reply pull #7 s3 from 3 b6 w=1 m=1\n"
                "FORGET b6\n"
                "> counts\n"
                "initiated=6 mixed=5 declined=1 unknown=1\n");
    /* All of it declined. */
    trace_check("> core slices=2 open=2\n"
                "> up 2\n"
                "> adopt 2\n"
                "SEND request pull #1 s0 w=1 m=1 -> 2\n"
                "SEND request pull #2 s1 w=1 m=1 -> 2\n"
                "> decline #1 from 2\n"
                "> decline #2 from 2\n"
                "ADOPT_FAILED\n"
                "> open\n"
                "0\n");
}

Test(gossip_limits, adoption_loses_its_link)
{
    /* The link is lost; what came stays, and it resumes with another. */
    trace_check("> core slices=3 open=2\n"
                "> up 2\n"
                "> adopt 2\n"
                "SEND request pull #1 s0 w=1 m=1 -> 2\n"
                "SEND request pull #2 s1 w=1 m=1 -> 2\n"
                "> reply pull #1 s0 from 2 b4 w=1 m=1\n"
                "MIX e0 s0 b4 c=1 for 2\n"
                "> down 2\n"
                "ADOPT_FAILED\n"
                "> up 3\n"
                "> adopt 3\n"
                "SEND request pull #3 s1 w=1 m=1 -> 3\n"
                "> done e0\n"
                "SEND request pull #4 s2 w=1 m=1 -> 3\n"
                "> reply pull #3 s1 from 3 b4 w=1 m=1\n"
                "MIX e1 s1 b4 c=1 for 3\n"
                "> reply pull #4 s2 from 3 b5 w=1 m=1\n"
                "MIX e0 s2 b5 c=1 for 3\n"
                "ADOPTED\n"
                "> counts\n"
                "initiated=4 mixed=3 lost=1\n");
    /* Lost after a decline, with the rest still to be answered: it fails once. */
    trace_check("> core slices=3 open=3\n"
                "> up 2\n"
                "> adopt 2\n"
                "SEND request pull #1 s0 w=1 m=1 -> 2\n"
                "SEND request pull #2 s1 w=1 m=1 -> 2\n"
                "SEND request pull #3 s2 w=1 m=1 -> 2\n"
                "> decline #1 from 2\n"
                "> down 2\n"
                "ADOPT_FAILED\n"
                "> wake\n"
                "> counts\n"
                "initiated=3 declined=1 lost=2\n");
    /* Another's link is lost. */
    trace_check("> core slices=2 open=1\n"
                "> up 2\n"
                "> up 3\n"
                "> adopt 2\n"
                "SEND request pull #1 s0 w=1 m=1 -> 2\n"
                "> down 3\n"
                "> reply pull #1 s0 from 2 b4 w=1 m=1\n"
                "MIX e0 s0 b4 c=1 for 2\n"
                "> done e0\n"
                "SEND request pull #2 s1 w=1 m=1 -> 2\n"
                "> reply pull #2 s1 from 2 b4 w=1 m=1\n"
                "MIX e0 s1 b4 c=1 for 2\n"
                "ADOPTED\n");
}

Test(gossip_limits, adoption_given_up)
{
    /* Somebody gives up joining: late answers are of nobody. */
    trace_check("> core slices=2 open=2\n"
                "> up 2\n"
                "> adopt 2\n"
                "SEND request pull #1 s0 w=1 m=1 -> 2\n"
                "SEND request pull #2 s1 w=1 m=1 -> 2\n"
                "> active\n"
                "> open\n"
                "0\n"
                "> reply pull #1 s0 from 2 b4 w=1 m=1\n"
                "FORGET b4\n"
                "> decline #2 from 2\n"
                "> down 2\n"
                "> counts\n"
                "initiated=2 unknown=2\n");
    /* And joining again goes on where it was. */
    trace_check("> core slices=2 open=1\n"
                "> up 2\n"
                "> adopt 2\n"
                "SEND request pull #1 s0 w=1 m=1 -> 2\n"
                "> reply pull #1 s0 from 2 b4 w=1 m=1\n"
                "MIX e0 s0 b4 c=1 for 2\n"
                "> active\n"
                "> done e0\n"
                "> joining\n"
                "> adopt 2\n"
                "SEND request pull #2 s1 w=1 m=1 -> 2\n");
    /* Given up with a decline in it: the next one starts whole. */
    trace_check("> core slices=2 open=2\n"
                "> up 2\n"
                "> adopt 2\n"
                "SEND request pull #1 s0 w=1 m=1 -> 2\n"
                "SEND request pull #2 s1 w=1 m=1 -> 2\n"
                "> decline #1 from 2\n"
                "> active\n"
                "> joining\n"
                "> adopt 2\n"
                "SEND request pull #3 s0 w=1 m=1 -> 2\n"
                "SEND request pull #4 s1 w=1 m=1 -> 2\n");
    /* The weight asked for is 1, and no more may come back. */
    trace_check("> core\n"
                "> up 2\n"
                "> adopt 2\n"
                "SEND request pull #1 s0 w=1 m=1 -> 2\n"
                "> reply pull #1 s0 from 2 b4 w=1.5 m=1\n"
                "PUNISH 2: a reply that does not fit its request\n"
                "FORGET b4\n");
}

Test(gossip_limits, schedule)
{
    /* By steps; several at once count, what is left over does not. */
    trace_check("> core\n"
                "> schedule steps=4\n"
                "> up 2\n"
                "> active\n"
                "> steps 3\n"
                "> steps 1\n"
                "TAKE e0 s0 for 2\n"
                "> done e0 b3\n"
                "SEND request #1 s0 b3 w=0.5 m=1 -> 2\n"
                "> reply #1 s0 from 2 b4 w=0.5 m=1\n"
                "ADD e0 s0 b4 c=0.5 for 2\n"
                "> done e0\n"
                "> steps 9\n"
                "TAKE e0 s0 for 2\n"
                "> decline #1 from 2\n"
                "> done e0 b3\n"
                "SEND request #2 s0 b3 w=0.5 m=1 -> 2\n"
                "> decline #2 from 2\n"
                "> steps 3\n"
                "> steps 1\n"
                "TAKE e0 s0 for 2\n");
}

Test(gossip_limits, schedule_by_time)
{
    /* By time: at once, then every period by the plan, not by when it was woken; a whole period
     * late, the plan starts anew from now. */
    trace_check("> core\n"
                "> schedule us=1000\n"
                "> up 2\n"
                "wake 1001\n"
                "> active @5000\n"
                "TAKE e0 s0 for 2\n"
                "wake 6000\n"
                "> done e0 b3 @5200\n"
                "SEND request #1 s0 b3 w=0.5 m=1 -> 2\n"
                "wake 6000\n"
                "> decline #1 from 2 @5300\n"
                "wake 6000\n"
                "> wake @5999\n"
                "wake 6000\n"
                "> wake @6400\n"
                "TAKE e0 s0 for 2\n"
                "wake 7000\n"
                "> done e0 b3\n"
                "SEND request #2 s0 b3 w=0.5 m=1 -> 2\n"
                "wake 7000\n"
                "> decline #2 from 2\n"
                "wake 7000\n"
                "> wake @7000\n"
                "TAKE e0 s0 for 2\n"
                "wake 8000\n"
                "> done e0 b3\n"
                "SEND request #3 s0 b3 w=0.5 m=1 -> 2\n"
                "wake 8000\n"
                "> decline #3 from 2\n"
                "wake 8000\n"
                "> wake @9500\n"
                "TAKE e0 s0 for 2\n"
                "wake 10500\n"
                "> done e0 b3\n"
                "SEND request #4 s0 b3 w=0.5 m=1 -> 2\n"
                "wake 10500\n"
                "> decline #4 from 2\n"
                "wake 10500\n"
                "> wake @10499\n"
                "wake 10500\n"
                "> wake @10500\n"
                "TAKE e0 s0 for 2\n"
                "wake 11500\n");
    /* A new period starts at once; the same one changes nothing; none ends it. */
    trace_check("> core\n"
                "> schedule us=1000\n"
                "> wake @50\n"
                "wake 1050\n"
                "> schedule us=1000\n"
                "> wake @60\n"
                "wake 1050\n"
                "> schedule us=300\n"
                "> wake @70\n"
                "wake 370\n"
                "> schedule us=0\n"
                "> wake @80\n");
}

Test(gossip_limits, saturated)
{
    /* Saturated: what was missed does not add up. */
    trace_check("> pair slices=2 open=1\n"
                "> steps 1\n"
                "TAKE e0 s0 for 2\n"
                "> steps 1\n"
                "> steps 1\n"
                "> steps 1\n"
                "> done e0 b3\n"
                "SEND request #1 s0 b3 w=0.5 m=1 -> 2\n"
                "> decline #1 from 2\n"
                "TAKE e0 s1 for 2\n"
                "> done e0 b3\n"
                "SEND request #2 s1 b3 w=0.5 m=1 -> 2\n"
                "> decline #2 from 2\n"
                "TAKE e0 s0 for 2\n"
                "> done e0 b3\n"
                "SEND request #3 s0 b3 w=0.5 m=1 -> 2\n"
                "> decline #3 from 2\n"
                "> open\n"
                "0\n"
                "> counts\n"
                "initiated=3 declined=3\n");
}

/* ---- more at once than an update holds ----------------------------------------------------- */

enum { MANY = 40 };

struct crowd {
    struct gossip_config config;
    struct gossip *core;
    uint32_t n_peers, drawn[MANY], n_drawn;
    bool is_clear;
    struct gossip_update out;
};

static uint32_t note_draw(const void *ctx, uint32_t self, uint32_t k)
{
    struct crowd *c = (struct crowd *)(uintptr_t)ctx;
    (void)self;
    cr_assert_lt(k, c->n_peers);
    c->drawn[c->n_drawn++ % MANY] = k;
    return k;
}

static void crowd_step(struct crowd *c, struct gossip_event event)
{
    event.now_us = 7;
    gossip_step(c->core, &event, &c->out);
}

static void crowd_open(struct crowd *c, enum gossip_mode mode, uint32_t n_slices, uint32_t n_peers,
                       uint32_t self)
{
    *c = (struct crowd){.n_peers = n_peers};
    c->config = (struct gossip_config){.mode = mode,
                                       .n_slices = n_slices,
                                       .open_max = MANY,
                                       .serve_max = 1,
                                       .open_per_slice = 1,
                                       .seed = 3,
                                       .neighbour = note_draw,
                                       .ctx = c};
    c->core = malloc(gossip_size(&c->config));
    gossip_init(c->core, &c->config, self);
    gossip_set_schedule(c->core, 1, 0);
    crowd_step(
        c, (struct gossip_event){.type = GOSSIP_LINK, .link = {GOSSIP_NONE, .n_peers = n_peers}});
    crowd_step(c, (struct gossip_event){.type = GOSSIP_PHASE, .phase = GOSSIP_ACTIVE});
}

/* Wakes the core while it asks for it, counting actions of each type. */
static void crowd_drain(struct crowd *c, uint32_t n[GOSSIP_ADOPT_FAILED + 1])
{
    for (int type = 0; type <= GOSSIP_ADOPT_FAILED; type++)
        n[type] = 0;
    for (int turn = 0;; turn++) {
        cr_assert_lt(turn, MANY);
        for (uint32_t i = 0; i < c->out.n_actions; i++)
            n[c->out.actions[i].type]++;
        if (c->out.wake_us == GOSSIP_NEVER)
            break;
        cr_assert_eq(c->out.wake_us, 7, "wake now");
        crowd_step(c, (struct gossip_event){.type = GOSSIP_WAKE});
    }
}

/* Every slice has fallen due, and is being taken. */
static void crowd_take_all(struct crowd *c, enum gossip_mode mode)
{
    uint32_t n[GOSSIP_ADOPT_FAILED + 1];
    crowd_open(c, mode, MANY, 1, 0);
    crowd_step(c, (struct gossip_event){.type = GOSSIP_WAKE, .n_steps = 1});
    crowd_drain(c, n);
    cr_assert_eq(n[GOSSIP_TAKE], MANY);
}

Test(gossip_limits, forty_slices_fall_due)
{
    struct crowd c;
    uint32_t n[GOSSIP_ADOPT_FAILED + 1];
    crowd_open(&c, GOSSIP_PAIRWISE, MANY, 1, 0);
    crowd_step(&c, (struct gossip_event){.type = GOSSIP_WAKE, .n_steps = 1});
    cr_assert_eq(c.out.n_actions, GOSSIP_ACTIONS_MAX);
    cr_assert_eq(c.out.wake_us, 7);
    crowd_drain(&c, n);
    cr_assert_eq(n[GOSSIP_TAKE], MANY);
    cr_assert_eq(gossip_n_open(c.core), MANY);
    free(c.core);
}

Test(gossip_limits, steps_come_with_any_event)
{
    struct crowd c;
    uint32_t n[GOSSIP_ADOPT_FAILED + 1];
    crowd_take_all(&c, GOSSIP_PAIRWISE);
    struct gossip_event done = {.type = GOSSIP_DONE, .done = {.exchange = 0, .buffer = 5}};
    crowd_step(&c, done);
    crowd_drain(&c, n);
    cr_assert_eq(n[GOSSIP_SEND], 1);
    cr_assert_eq(gossip_counts(c.core)->busy, 0);
    done.done.exchange = 1;
    done.n_steps = 1;
    crowd_step(&c, done);
    crowd_drain(&c, n);
    cr_assert_eq(n[GOSSIP_SEND], 1, "the job is answered");
    cr_assert_eq(gossip_counts(c.core)->busy, MANY, "and every slice fell due");
    free(c.core);
}

static bool way_out_is_clear(const void *ctx, uint32_t self, uint64_t now_us)
{
    cr_assert_eq(self, 5);
    cr_assert_eq(now_us, 7);
    return ((const struct crowd *)ctx)->is_clear;
}

/* A step, and what it starts is sent. Returns how many are open. */
static uint32_t step_and_send(struct crowd *c, bool is_clear)
{
    c->is_clear = is_clear;
    crowd_step(c, (struct gossip_event){.type = GOSSIP_WAKE, .n_steps = 1});
    uint32_t n_open = gossip_n_open(c->core);
    if (c->out.n_actions > 0) {
        cr_assert_eq(c->out.actions[0].type, GOSSIP_TAKE);
        uint32_t exchange = c->out.actions[0].job.exchange;
        crowd_step(c, (struct gossip_event){.type = GOSSIP_DONE, .done = {exchange, n_open}});
    }
    return n_open;
}

/* One exchange of a slice is open at once while what is sent often has to wait, more after that. */
Test(gossip_limits, one_open_while_the_way_out_is_clogged)
{
    enum { OFTEN = 30 };
    struct crowd c;
    crowd_open(&c, GOSSIP_PAIRWISE, 1, 1000, 5);
    c.config.is_clear = way_out_is_clear;
    for (int i = 0; i < OFTEN; i++) { /* at last every second time, which is too often */
        cr_assert_eq(step_and_send(&c, i > 8 && i % 2 > 0), 1, "step %d", i);
        c.config.open_per_slice = i > 1 ? 3 : 1;
    }
    uint32_t n_steps = 0;
    while (step_and_send(&c, true) == 1)
        cr_assert_lt(++n_steps, 10);
    cr_assert_gt(n_steps, 0);
    cr_assert_eq(step_and_send(&c, true), 3);
    free(c.core);
}

/* Transfers to a peer that is gone: their buffers come back, as many at a time as there is room. */
Test(gossip_limits, forty_exchanges_forgotten)
{
    struct crowd c;
    crowd_take_all(&c, GOSSIP_PUSH_SUM);
    for (uint32_t i = 0; i < MANY; i++)
        crowd_step(&c, (struct gossip_event){.type = GOSSIP_DONE, .done = {i, i}});
    crowd_step(&c, (struct gossip_event){.type = GOSSIP_LINK, .link = {.peer = 0, .gone = true}});
    cr_assert_eq(c.out.n_actions, GOSSIP_ACTIONS_MAX);
    cr_assert_eq(c.out.wake_us, 7);
    bool seen[MANY] = {false};
    while (c.out.n_actions > 0) {
        for (uint32_t i = 0; i < c.out.n_actions; i++) {
            cr_assert_eq(c.out.actions[i].type, GOSSIP_FORGET);
            cr_assert_not(seen[c.out.actions[i].buffer], "once each");
            seen[c.out.actions[i].buffer] = true;
        }
        cr_assert_eq(c.out.wake_us == 7, gossip_n_open(c.core) > 0);
        crowd_step(&c, (struct gossip_event){.type = GOSSIP_WAKE});
    }
    for (int i = 0; i < MANY; i++)
        cr_assert(seen[i]);
    cr_assert_eq(gossip_counts(c.core)->lost, MANY);
    cr_assert_eq(gossip_n_open(c.core), 0);
    free(c.core);
}

/* Pulls of an adoption have no buffers: forgetting them takes no action, asking anew does. */
Test(gossip_limits, forty_slices_adopted)
{
    struct crowd c;
    uint32_t n[GOSSIP_ADOPT_FAILED + 1];
    crowd_open(&c, GOSSIP_PAIRWISE, MANY, 2, 0);
    crowd_step(&c, (struct gossip_event){.type = GOSSIP_PHASE, .phase = GOSSIP_JOINING});
    for (uint32_t peer = 0; peer < 2; peer++) {
        crowd_step(&c, (struct gossip_event){.type = GOSSIP_ADOPT, .adopt = peer});
        crowd_drain(&c, n);
        cr_assert_eq(n[GOSSIP_SEND], MANY);
        crowd_step(&c, (struct gossip_event){.type = GOSSIP_LINK, .link = {peer, false, 1}});
        crowd_drain(&c, n);
        cr_assert_eq(n[GOSSIP_ADOPT_FAILED], 1);
        cr_assert_eq(n[GOSSIP_FORGET], 0);
        cr_assert_eq(gossip_n_open(c.core), 0);
    }
    free(c.core);
}

/* ---- whom it draws, what it costs ---------------------------------------------------------- */

/* A node's draws are its stream: the same for the same node, others for another, all neighbours. */
Test(gossip_limits, draws)
{
    enum { PEERS = 5 };
    struct crowd a, b, other;
    uint32_t n[PEERS] = {0}, n_same = 0;
    crowd_open(&a, GOSSIP_PAIRWISE, MANY, PEERS, 1);
    crowd_open(&b, GOSSIP_PAIRWISE, MANY, PEERS, 1);
    crowd_open(&other, GOSSIP_PAIRWISE, MANY, PEERS, 2);
    struct crowd *all[] = {&a, &b, &other};
    for (int i = 0; i < 3; i++) {
        uint32_t ignored[GOSSIP_ADOPT_FAILED + 1];
        crowd_step(all[i], (struct gossip_event){.type = GOSSIP_WAKE, .n_steps = 1});
        crowd_drain(all[i], ignored);
        cr_assert_eq(all[i]->n_drawn, MANY);
    }
    cr_assert_arr_eq(a.drawn, b.drawn, sizeof a.drawn);
    for (int i = 0; i < MANY; i++) {
        n[a.drawn[i]]++;
        n_same += a.drawn[i] == other.drawn[i];
    }
    for (int k = 0; k < PEERS; k++)
        cr_assert(n[k] > 0 && n[k] < MANY / 2, "neighbour %d drawn %u times", k, n[k]);
    cr_assert_lt(n_same, MANY / 2);
    free(a.core);
    free(b.core);
    free(other.core);
}

Test(gossip_limits, size)
{
    struct gossip_config c = {.open_max = 1, .serve_max = 1};
    size_t two = gossip_size(&c);
    cr_assert_leq(two, 192);
    c.open_max = 3;
    size_t four = gossip_size(&c);
    c.serve_max = 5;
    cr_assert(four > two);
    cr_assert_eq(gossip_size(&c) - four, 2 * (four - two));
}
