/* Push-sum in the core, a transfer at a time; see tests/support/gossip_trace.h for the notation. */
#include "net/gossip.h"
#include "net/mass.h"
#include "tests/support/gossip_trace.h"

#include <criterion/criterion.h>
#include <math.h>

TestSuite(gossip_sum, .timeout = 30);

/* A transfer of mine that was sent. */
#define SENT                                                                                       \
    "> steps 1\n"                                                                                  \
    "TAKE e0 s0 for 2\n"                                                                           \
    "> done e0 b3\n"                                                                               \
    "SEND request push-sum #1 s0 b3 w=0.5 m=0.5 -> 2\n"

Test(gossip_sum, transfer)
{
    trace_check("> pair mode=push-sum\n" SENT "> accounts s0\n"
                "0.5 here, 0.5 under way; resent=0 repeated=0 credited=0 unknown=0\n"
                "> expects #1 2\n"
                "yes\n"
                "> steps 1\n"
                "> reply push-sum #1 s0 from 2 b- w=0.5 m=0.5\n"
                "FORGET b3\n"
                "> accounts s0\n"
                "0.5 here, 0 under way; resent=0 repeated=0 credited=0 unknown=0\n"
                "> open\n"
                "0\n"
                "> steps 1\n"
                "TAKE e0 s0 for 2\n"
                "> done e0 b3\n"
                "SEND request push-sum #2 s0 b3 w=0.5 m=0.25 -> 2\n"
                "> counts\n"
                "initiated=2 mixed=1 busy=1\n");
    /* The receiver: mass 1 meets 0.5, so a third of the way. */
    trace_check("> pair mode=push-sum\n"
                "> request push-sum #7 s0 from 2 b4 w=0.5 m=0.5\n"
                "MIX e0 s0 b4 c=0.333333 for 2\n"
                "> done e0 b4\n"
                "SEND reply push-sum #7 s0 w=0.5 m=0.5 -> 2\n"
                "> accounts s0\n"
                "1.5 here, 0 under way; resent=0 repeated=0 credited=0 unknown=0\n"
                "> steps 1\n"
                "TAKE e0 s0 for 2\n"
                "> done e0 b3\n"
                "SEND request push-sum #1 s0 b3 w=0.5 m=0.75 -> 2\n");
}

Test(gossip_sum, declined_is_taken_back)
{
    trace_check("> pair mode=push-sum\n" SENT "> decline #1 from 2\n"
                "MIX e0 s0 b3 c=0.5 for 2\n"
                "> accounts s0\n"
                "1 here, 0 under way; resent=0 repeated=0 credited=1 unknown=0\n"
                "> done e0\n"
                "> open\n"
                "0\n");
    /* And so is what was never sent. */
    trace_check("> pair mode=push-sum\n"
                "> steps 1\n"
                "TAKE e0 s0 for 2\n"
                "> down 2\n"
                "> up 2\n"
                "> accounts s0\n"
                "0.5 here, 0.5 under way; resent=0 repeated=0 credited=0 unknown=0\n"
                "> done e0 b3\n"
                "MIX e0 s0 b3 c=0.5 for 2\n"
                "> accounts s0\n"
                "1 here, 0 under way; resent=0 repeated=0 credited=1 unknown=0\n");
    /* A place is needed; none while leaving. */
    trace_check("> pair mode=push-sum\n"
                "> request push-sum #7 s0 from 2 b- w=0.5 m=0.5\n"
                "SEND decline push-sum #7 -> 2\n"
                "> leaving\n"
                "> request push-sum #8 s0 from 2 b4 w=0.5 m=0.5\n"
                "SEND decline push-sum #8 -> 2\n"
                "FORGET b4\n"
                "> accounts s0\n"
                "1 here, 0 under way; resent=0 repeated=0 credited=0 unknown=0\n");
}

Test(gossip_sum, resent_on_a_new_link)
{
    trace_check("> pair mode=push-sum\n" SENT "> down 2\n"
                "> expects #1 2\n"
                "no\n"
                "> accounts s0\n"
                "0.5 here, 0.5 under way; resent=0 repeated=0 credited=0 unknown=0\n"
                "> up 2\n"
                "SEND request push-sum #1 s0 b3 w=0.5 m=0.5 -> 2\n"
                "> down 2\n"
                "> up 2\n"
                "SEND request push-sum #1 s0 b3 w=0.5 m=0.5 -> 2\n"
                "> reply push-sum #1 s0 from 2 b- w=0.5 m=0.5\n"
                "FORGET b3\n"
                "> accounts s0\n"
                "0.5 here, 0 under way; resent=2 repeated=0 credited=0 unknown=0\n"
                "> counts\n"
                "initiated=1 mixed=1 lost=2\n");
}

Test(gossip_sum, taken_in_once)
{
    /* The acknowledgement was lost with the link. */
    trace_check("> pair mode=push-sum\n"
                "> request push-sum #7 s0 from 2 b4 w=0.5 m=0.5\n"
                "MIX e0 s0 b4 c=0.333333 for 2\n"
                "> done e0 b4\n"
                "SEND reply push-sum #7 s0 w=0.5 m=0.5 -> 2\n"
                "> down 2\n"
                "> up 2\n"
                "> request push-sum #7 s0 from 2 b4 w=0.5 m=0.5\n"
                "SEND reply push-sum #7 s0 w=0.5 m=0.5 -> 2\n"
                "FORGET b4\n"
                "> accounts s0\n"
                "1.5 here, 0 under way; resent=0 repeated=1 credited=0 unknown=0\n");
    /* The link died while it was merged, and it came again before that was done. */
    trace_check("> pair mode=push-sum serve=2\n"
                "> request push-sum #7 s0 from 2 b4 w=0.5 m=0.5\n"
                "MIX e0 s0 b4 c=0.333333 for 2\n"
                "> down 2\n"
                "> up 2\n"
                "> request push-sum #7 s0 from 2 b5 w=0.5 m=0.5\n"
                "SEND reply push-sum #7 s0 w=0.5 m=0.5 -> 2\n"
                "FORGET b5\n"
                "> done e0 b4\n"
                "> open\n"
                "0\n"
                "> counts\n"
                "served=1\n");
    /* One that was declined was not taken in: it may come again. Another slice has ids of its own,
     * and so has another peer. */
    trace_check("> pair mode=push-sum serve=4 slices=2\n"
                "> up 5\n"
                "> request push-sum #7 s0 from 2 b- w=0.5 m=0.5\n"
                "SEND decline push-sum #7 -> 2\n"
                "> request push-sum #8 s1 from 2 b4 w=0.5 m=0.5\n"
                "MIX e0 s1 b4 c=0.333333 for 2\n"
                "> request push-sum #7 s0 from 2 b5 w=0.5 m=0.5\n"
                "MIX e1 s0 b5 c=0.333333 for 2\n"
                "> request push-sum #7 s0 from 5 b6 w=0.5 m=0.5\n"
                "MIX e2 s0 b6 c=0.25 for 5\n");
}

Test(gossip_sum, another_incarnation)
{
    /* What went to the last one is taken back; what the new one sends is new. */
    trace_check("> pair mode=push-sum\n"
                "> request push-sum #1 s0 from 2 b4 w=0.5 m=0.5\n"
                "MIX e0 s0 b4 c=0.333333 for 2\n"
                "> done e0 b4\n"
                "SEND reply push-sum #1 s0 w=0.5 m=0.5 -> 2\n"
                "> steps 1\n"
                "TAKE e0 s0 for 2\n"
                "> done e0 b3\n"
                "SEND request push-sum #1 s0 b3 w=0.5 m=0.75 -> 2\n"
                "> down 2\n"
                "> up 2 gone\n"
                "MIX e0 s0 b3 c=0.5 for 2\n"
                "> done e0\n"
                "> request push-sum #1 s0 from 2 b4 w=0.5 m=0.5\n"
                "MIX e0 s0 b4 c=0.25 for 2\n"
                "> accounts s0\n"
                "2 here, 0 under way; resent=0 repeated=0 credited=1 unknown=0\n");
}

Test(gossip_sum, unknown)
{
    /* Its number goes to another peer. */
    trace_check("> pair mode=push-sum\n" SENT "> down 2\n"
                "> down 2 gone\n"
                "FORGET b3\n"
                "> accounts s0\n"
                "0.5 here, 0 under way; resent=0 repeated=0 credited=0 unknown=1\n");
    /* I leave, or it is lost while I do. */
    trace_check("> pair mode=push-sum\n" SENT "> down 2\n"
                "> leaving\n"
                "FORGET b3\n"
                "> open\n"
                "0\n");
    trace_check("> pair mode=push-sum\n" SENT "> leaving\n"
                "> down 2\n"
                "FORGET b3\n"
                "> open\n"
                "0\n"
                "> accounts s0\n"
                "0.5 here, 0 under way; resent=0 repeated=0 credited=0 unknown=1\n");
    /* It stays away: the fourth initiation that finds no place takes its own. */
    trace_check("> pair mode=push-sum\n"
                "> up 5\n"
                "> draw 2\n" SENT "> down 2\n"
                "> draw 5\n"
                "> steps 1\n"
                "> steps 1\n"
                "> steps 1\n"
                "> open\n"
                "1\n"
                "> steps 1\n"
                "> accounts s0\n"
                "0.5 here, 0 under way; resent=0 repeated=0 credited=0 unknown=1\n"
                "> steps 1\n"
                "FORGET b3\n"
                "TAKE e0 s0 for 5\n"
                "> up 2\n"
                "> counts\n"
                "initiated=1 busy=4 lost=1\n");
}

/* Nothing is sent to a peer while one of that slice may still be on its way to it. */
Test(gossip_sum, one_a_peer_and_slice)
{
    trace_check("> pair mode=push-sum open=3 per=2\n" SENT "> down 2\n"
                "> up 5\n"
                "> draw 2\n"
                "> steps 1\n"
                "> draw 5\n"
                "> steps 1\n"
                "TAKE e1 s0 for 5\n"
                "> counts\n"
                "initiated=1 busy=1 lost=1\n");
}

Test(gossip_sum, fanout)
{
    trace_check("> core mode=push-sum open=3 fanout=3\n"
                "> schedule steps=1\n"
                "> up 2\n"
                "> active\n"
                "> steps 1\n"
                "TAKE e0 s0 for 2\n"
                "> accounts s0\n"
                "0.75 here, 0.25 under way; resent=0 repeated=0 credited=0 unknown=0\n"
                "> counts\n"
                "busy=2\n");
    trace_check("> core mode=push open=2 fanout=2 slices=2\n"
                "> schedule steps=1\n"
                "> up 2\n"
                "> active\n"
                "> steps 1\n"
                "TAKE e0 s0 for 2\n"
                "TAKE e1 s1 for 2\n");
}

Test(gossip_sum, punished)
{
    trace_check("> pair mode=push-sum\n"
                "> request #1 s0 from 2 b4 w=0.5 m=1\n"
                "PUNISH 2: an exchange without mass in a push-sum run\n"
                "FORGET b4\n"
                "> request push-sum #1 s0 from 2 b4 w=0.5 m=1e9\n"
                "PUNISH 2: a push-sum transfer whose mass is out of range\n"
                "FORGET b4\n"
                "> request push-sum #1 s0 from 2 b4 w=0.5 m=1e-20\n"
                "PUNISH 2: a push-sum transfer whose mass is out of range\n"
                "FORGET b4\n"
                "> request push-sum #1 s0 from 2 b4 w=0.5 m=nan\n"
                "PUNISH 2: a request with a weight or mass out of range\n"
                "FORGET b4\n"
                "> request push-sum #2 s0 from 2 b4 w=0.5 m=1\n"
                "MIX e0 s0 b4 c=0.5 for 2\n");
    trace_check("> pair\n"
                "> request push-sum #1 s0 from 2 b4 w=0.5 m=1\n"
                "PUNISH 2: a push-sum transfer to a run that keeps no mass\n"
                "FORGET b4\n");
    /* A newcomer's pull is answered by every run. */
    trace_check("> pair mode=push-sum\n"
                "> request pull #1 s0 from 2 b4 w=1 m=1\n"
                "TAKE e0 s0 b4 for 2\n");
}

/* ---- the accounts ---------------------------------------------------------------------------- */

static uint64_t storage[64];
static struct mass_book *const book = (struct mass_book *)(void *)storage;

Test(gossip_sum, mass_is_exact)
{
    cr_assert_leq(mass_bytes(2, 3), sizeof storage);
    mass_init(book, 2, 3);
    float m;
    cr_assert(mass_take(book, 1, 3, &m));
    uint64_t left = mass_units(book, 1);
    cr_assert_eq(left + mass_from_float(m), MASS_ONE, "a third is no binary fraction");
    cr_assert_float_eq(m, 1 / 3.0f, 1e-6);
    cr_assert_eq(mass_units(book, 0), MASS_ONE);
    for (int i = 0; i < 100; i++) {
        uint64_t before = mass_units(book, 1);
        float c = mass_merge(book, 1, m);
        cr_assert_eq(mass_units(book, 1), before + mass_from_float(m));
        cr_assert_float_eq(c, (double)m / (double)mass_units(book, 1) * (double)MASS_ONE, 1e-6);
        cr_assert(mass_take(book, 1, 2 + (uint32_t)i % 5, &m));
    }
    /* Nobody gives all away. */
    int n = 0;
    while (mass_take(book, 0, 2, &m))
        n++;
    cr_assert_eq(n, 16);
    cr_assert_eq(mass_units(book, 0), MASS_ONE >> 16);
}

Test(gossip_sum, mass_from_outside)
{
    static const float none[] = {0, -1, 1e-13f, 1.1e6f, NAN, INFINITY};
    mass_init(book, 1, 1);
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        cr_assert_eq(mass_from_float(none[i]), 0, "%g", (double)none[i]);
        cr_assert_not(mass_fits(book, 0, none[i]));
    }
    cr_assert_eq(mass_from_float(0x1p20f), UINT64_C(1) << 60);
    int n = 0;
    while (mass_fits(book, 0, 0x1p20f) && n < 10) {
        mass_merge(book, 0, 0x1p20f);
        n++;
    }
    cr_assert_eq(n, 3, "a sum that overflows is refused");
}

Test(gossip_sum, remembers)
{
    mass_init(book, 2, 2);
    mass_note(book, 70, 1, 5);
    mass_note(book, 80, 0, 3);
    cr_assert(mass_is_noted(book, 70, 1, 5));
    cr_assert_not(mass_is_noted(book, 70, 1, 6));
    cr_assert_not(mass_is_noted(book, 70, 0, 5));
    cr_assert_not(mass_is_noted(book, 80, 1, 3));
    mass_forget(book, 70);
    cr_assert_not(mass_is_noted(book, 70, 1, 5));
    cr_assert(mass_is_noted(book, 80, 0, 3));
    mass_note(book, 90, 0, 1); /* a third: the first makes room */
    cr_assert(mass_is_noted(book, 90, 0, 1));
    cr_assert(mass_is_noted(book, 80, 0, 3));
    mass_init(book, 2, 0);
    mass_note(book, 70, 1, 5);
    cr_assert_not(mass_is_noted(book, 70, 1, 5));
}
