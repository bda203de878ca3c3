/* The gossip core, an exchange at a time; see tests/support/gossip_trace.h for the notation. */
#include "net/gossip.h"
#include "tests/support/gossip_trace.h"

#include <criterion/criterion.h>

TestSuite(gossip, .timeout = 30);

Test(gossip, pairwise)
{
    /* The initiator's side. */
    trace_check("> pair\n"
                "> steps 1\n"
                "TAKE e0 s0 for 2\n"
                "> open\n"
                "1\n"
                "> expects #1 2\n"
                "no\n"
                "> done e0 b3\n"
                "SEND request #1 s0 b3 w=0.5 m=1 -> 2\n"
                "> expects #1 2\n"
                "yes\n"
                "> expects #2 2\n"
                "no\n"
                "> expects #1 3\n"
                "no\n"
                "> reply #1 s0 from 2 b5 w=0.5 m=1\n"
                "ADD e0 s0 b5 c=0.5 for 2\n"
                "> expects #1 2\n"
                "no\n"
                "> done e0\n"
                "> open\n"
                "0\n"
                "> counts\n"
                "initiated=1 mixed=1\n");
    /* The responder's. */
    trace_check("> core\n"
                "> up 2\n"
                "> active\n"
                "> request #9 s0 from 2 b4 w=0.5 m=1\n"
                "ANSWER e0 s0 b4 c=0.5 for 2\n"
                "> open\n"
                "1\n"
                "> done e0 b4\n"
                "SEND reply #9 s0 b4 w=0.5 m=1 -> 2\n"
                "> open\n"
                "0\n"
                "> counts\n"
                "served=1\n");
    /* Masses: c_i = 2 w m_j / (m_i + m_j), on both sides. */
    trace_check("> core\n"
                "> mass 3\n"
                "> schedule steps=1\n"
                "> up 2\n"
                "> active\n"
                "> request #9 s0 from 2 b4 w=0.5 m=1\n"
                "ANSWER e0 s0 b4 c=0.25 for 2\n"
                "> done e0 b4\n"
                "SEND reply #9 s0 b4 w=0.5 m=3 -> 2\n"
                "> steps 1\n"
                "TAKE e0 s0 for 2\n"
                "> done e0 b3\n"
                "SEND request #1 s0 b3 w=0.5 m=3 -> 2\n"
                "> reply #1 s0 from 2 b5 w=0.5 m=1\n"
                "ADD e0 s0 b5 c=0.25 for 2\n"
                "> done e0\n");
    /* A request finds the other side's weight lowered: w of the reply counts. */
    trace_check("> pair\n"
                "> steps 1\n"
                "TAKE e0 s0 for 2\n"
                "> done e0 b3\n"
                "SEND request #1 s0 b3 w=0.5 m=1 -> 2\n"
                "> reply #1 s0 from 2 b5 w=0.125 m=1\n"
                "ADD e0 s0 b5 c=0.125 for 2\n");
}

/* Each slice goes round the neighbours, whatever the number of slices. */
Test(gossip, turns)
{
    trace_check("> core turns slices=2 open=2\n"
                "> schedule steps=1\n"
                "> up 0\n"
                "> up 1\n"
                "> active\n"
                "> steps 1\n"
                "TAKE e0 s0 for 0\n"
                "TAKE e1 s1 for 0\n"
                "> done e0 b3\n"
                "SEND request #1 s0 b3 w=0.5 m=1 -> 0\n"
                "> done e1 b4\n"
                "SEND request #2 s1 b4 w=0.5 m=1 -> 0\n"
                "> decline #1 from 0\n"
                "> decline #2 from 0\n"
                "> steps 1\n"
                "TAKE e0 s0 for 1\n"
                "TAKE e1 s1 for 1\n"
                "> done e0 b3\n"
                "SEND request #3 s0 b3 w=0.5 m=1 -> 1\n"
                "> done e1 b4\n"
                "SEND request #4 s1 b4 w=0.5 m=1 -> 1\n"
                "> decline #3 from 1\n"
                "> decline #4 from 1\n"
                "> steps 1\n"
                "TAKE e0 s0 for 0\n"
                "TAKE e1 s1 for 0\n");
}

Test(gossip, declined)
{
    /* Mine: the buffer comes back, the place is free again. */
    trace_check("> pair\n"
                "> steps 1\n"
                "TAKE e0 s0 for 2\n"
                "> done e0 b3\n"
                "SEND request #1 s0 b3 w=0.5 m=1 -> 2\n"
                "> decline #1 from 2\n"
                "> open\n"
                "0\n"
                "> decline #1 from 2\n"
                "> steps 1\n"
                "TAKE e0 s0 for 2\n"
                "> counts\n"
                "initiated=1 declined=1 unknown=1\n");
    /* Theirs: while joining, when leaving, without a buffer, and above serve_max. */
    trace_check("> core serve=2 slices=3\n"
                "> up 2\n"
                "> request #1 s0 from 2 b4 w=0.5 m=1\n"
                "SEND decline #1 -> 2\n"
                "FORGET b4\n"
                "> active\n"
                "> request #2 s0 from 2 b- w=0.5 m=1\n"
                "SEND decline #2 -> 2\n"
                "> request #3 s0 from 2 b4 w=0.5 m=1\n"
                "ANSWER e0 s0 b4 c=0.5 for 2\n"
                "> request #4 s1 from 2 b5 w=0.5 m=1\n"
                "ANSWER e1 s1 b5 c=0.5 for 2\n"
                "> request #5 s2 from 2 b6 w=0.5 m=1\n"
                "SEND decline #5 -> 2\n"
                "FORGET b6\n"
                "> request pull #6 s2 from 2 b7 w=1 m=1\n"
                "SEND decline pull #6 -> 2\n"
                "FORGET b7\n"
                "> leaving\n"
                "> done e0 b4\n"
                "SEND reply #3 s0 b4 w=0.5 m=1 -> 2\n"
                "> request #7 s0 from 2 b4 w=0.5 m=1\n"
                "SEND decline #7 -> 2\n"
                "FORGET b4\n"
                "> done e1 b5\n"
                "SEND reply #4 s1 b5 w=0.5 m=1 -> 2\n"
                "> counts\n"
                "served=2 refused=5\n");
    /* When it has ended too, but for pulls: while the place lasts. */
    trace_check("> core slices=2\n"
                "> up 2\n"
                "> active\n"
                "> ended\n"
                "> request #1 s0 from 2 b4 w=0.5 m=1\n"
                "SEND decline #1 -> 2\n"
                "FORGET b4\n"
                "> request pull #2 s0 from 2 b4 w=1 m=1\n"
                "TAKE e0 s0 b4 for 2\n"
                "> request pull #3 s1 from 2 b- w=1 m=1\n"
                "SEND decline pull #3 -> 2\n"
                "> leaving\n"
                "> done e0 b4\n"
                "SEND reply pull #2 s0 b4 w=1 m=1 -> 2\n"
                "> request pull #4 s0 from 2 b4 w=1 m=1\n"
                "SEND decline pull #4 -> 2\n"
                "FORGET b4\n"
                "> counts\n"
                "served=1 refused=3\n");
    /* What is open when leaving is finished; nothing new is begun. */
    trace_check("> pair open=2 slices=2\n"
                "> steps 1\n"
                "TAKE e0 s0 for 2\n"
                "TAKE e1 s1 for 2\n"
                "> done e0 b3\n"
                "SEND request #1 s0 b3 w=0.5 m=1 -> 2\n"
                "> leaving\n"
                "> done e1 b4\n"
                "SEND request #2 s1 b4 w=0.5 m=1 -> 2\n"
                "> steps 1\n"
                "> reply #1 s0 from 2 b5 w=0.5 m=1\n"
                "ADD e0 s0 b5 c=0.5 for 2\n"
                "> decline #2 from 2\n"
                "> done e0\n"
                "> open\n"
                "0\n");
}

Test(gossip, crossing_seen_by_the_smaller)
{
    /* Its request stands and it ignores the other's: TAKE under way. */
    trace_check("> pair\n"
                "> steps 1\n"
                "TAKE e0 s0 for 2\n"
                "> request #7 s0 from 2 b4 w=0.5 m=1\n"
                "FORGET b4\n"
                "> done e0 b3\n"
                "SEND request #1 s0 b3 w=0.5 m=1 -> 2\n"
                "> reply #1 s0 from 2 b5 w=0.5 m=1\n"
                "ADD e0 s0 b5 c=0.5 for 2\n"
                "> done e0\n"
                "> counts\n"
                "initiated=1 mixed=1 crossed=1\n");
    /* Open. */
    trace_check("> pair\n"
                "> steps 1\n"
                "TAKE e0 s0 for 2\n"
                "> done e0 b3\n"
                "SEND request #1 s0 b3 w=0.5 m=1 -> 2\n"
                "> request #7 s0 from 2 b4 w=0.5 m=1\n"
                "FORGET b4\n"
                "> expects #1 2\n"
                "yes\n"
                "> reply #1 s0 from 2 b5 w=0.5 m=1\n"
                "ADD e0 s0 b5 c=0.5 for 2\n"
                "> done e0\n"
                "> counts\n"
                "initiated=1 mixed=1 crossed=1\n");
    /* Parked. */
    trace_check("> pair open=2\n"
                "> steps 1\n"
                "TAKE e0 s0 for 2\n"
                "> done e0 b3\n"
                "SEND request #1 s0 b3 w=0.5 m=1 -> 2\n"
                "> steps 1\n"
                "> steps 1\n"
                "> steps 1\n"
                "> steps 1\n"
                "> request #7 s0 from 2 b4 w=0.5 m=1\n"
                "FORGET b4\n"
                "> expects #1 2\n"
                "yes\n"
                "> reply #1 s0 from 2 b5 w=0.5 m=1\n"
                "ADD e0 s0 b5 c=0.5 for 2\n"
                "> done e0\n"
                "> counts\n"
                "initiated=1 mixed=1 crossed=1 busy=4 parked=1\n");
}

Test(gossip, crossing_needs_two_of_a_kind)
{
    /* A peer that is no party to it is served, and so is another slice. */
    trace_check("> core serve=2 slices=2\n"
                "> schedule steps=1\n"
                "> up 3\n"
                "> up 2\n"
                "> active\n"
                "> steps 1\n"
                "TAKE e0 s0 for 2\n"
                "> done e0 b3\n"
                "SEND request #1 s0 b3 w=0.5 m=1 -> 2\n"
                "> request #7 s0 from 3 b4 w=0.5 m=1\n"
                "ANSWER e1 s0 b4 c=0.25 for 3\n"
                "> request #8 s1 from 2 b5 w=0.5 m=1\n"
                "ANSWER e2 s1 b5 c=0.5 for 2\n"
                "> expects #1 2\n"
                "yes\n"
                "> counts\n"
                "initiated=1\n");
    /* Once MIX has begun, theirs is a new exchange. */
    trace_check("> pair\n"
                "> steps 1\n"
                "TAKE e0 s0 for 2\n"
                "> done e0 b3\n"
                "SEND request #1 s0 b3 w=0.5 m=1 -> 2\n"
                "> reply #1 s0 from 2 b5 w=0.5 m=1\n"
                "ADD e0 s0 b5 c=0.5 for 2\n"
                "> request #7 s0 from 2 b4 w=0.5 m=1\n"
                "ANSWER e1 s0 b4 c=0.5 for 2\n");
}

Test(gossip, crossing_seen_by_the_larger)
{
    /* It forgets its own and serves: TAKE under way. */
    trace_check("> pair\n"
                "> steps 1\n"
                "TAKE e0 s0 for 2\n"
                "> request #7 s0 from 2 b4 w=0.5 m=1 smaller\n"
                "ANSWER e1 s0 b4 c=0.5 for 2\n"
                "> done e0 b3\n"
                "FORGET b3\n"
                "> done e1 b4\n"
                "SEND reply #7 s0 b4 w=0.5 m=1 -> 2\n"
                "> open\n"
                "0\n"
                "> counts\n"
                "served=1 crossed=1\n");
    /* Open. */
    trace_check("> pair\n"
                "> steps 1\n"
                "TAKE e0 s0 for 2\n"
                "> done e0 b3\n"
                "SEND request #1 s0 b3 w=0.5 m=1 -> 2\n"
                "> request #7 s0 from 2 b4 w=0.5 m=1 smaller\n"
                "ANSWER e1 s0 b4 c=0.5 for 2\n"
                "> expects #1 2\n"
                "no\n"
                "> done e1 b4\n"
                "SEND reply #7 s0 b4 w=0.5 m=1 -> 2\n"
                "> counts\n"
                "initiated=1 served=1 crossed=1\n");
    /* Parked. */
    trace_check("> pair open=2\n"
                "> steps 1\n"
                "TAKE e0 s0 for 2\n"
                "> done e0 b3\n"
                "SEND request #1 s0 b3 w=0.5 m=1 -> 2\n"
                "> steps 1\n"
                "> steps 1\n"
                "> steps 1\n"
                "> steps 1\n"
                "> request #7 s0 from 2 b4 w=0.5 m=1 smaller\n"
                "ANSWER e1 s0 b4 c=0.5 for 2\n"
                "> expects #1 2\n"
                "no\n"
                "> done e1 b4\n"
                "SEND reply #7 s0 b4 w=0.5 m=1 -> 2\n"
                "> open\n"
                "0\n"
                "> counts\n"
                "initiated=1 served=1 crossed=1 busy=4 parked=1\n");
}

Test(gossip, crossing_leaves_the_place_free)
{
    /* Forgotten, then declined for want of a buffer: the place is free all the same. */
    trace_check("> pair\n"
                "> steps 1\n"
                "TAKE e0 s0 for 2\n"
                "> done e0 b3\n"
                "SEND request #1 s0 b3 w=0.5 m=1 -> 2\n"
                "> request #7 s0 from 2 b- w=0.5 m=1 smaller\n"
                "SEND decline #7 -> 2\n"
                "> open\n"
                "0\n");
    /* No exchange is begun with a peer whose request for the slice is being served. */
    trace_check("> pair\n"
                "> request #7 s0 from 2 b4 w=0.5 m=1\n"
                "ANSWER e0 s0 b4 c=0.5 for 2\n"
                "> steps 1\n"
                "> done e0 b4\n"
                "SEND reply #7 s0 b4 w=0.5 m=1 -> 2\n"
                "> steps 1\n"
                "TAKE e0 s0 for 2\n"
                "> counts\n"
                "served=1 busy=1\n");
}

Test(gossip, parking)
{
    /* An open exchange holds up GOSSIP_PARK_AFTER initiations of its slice, TAKE not counted. */
    trace_check("> core open=2\n"
                "> schedule steps=1\n"
                "> up 3\n"
                "> up 2\n"
                "> active\n"
                "> steps 1\n"
                "TAKE e0 s0 for 2\n"
                "> steps 1\n"
                "> steps 1\n"
                "> steps 1\n"
                "> steps 1\n"
                "> done e0 b3\n"
                "SEND request #1 s0 b3 w=0.5 m=1 -> 2\n"
                "> steps 1\n"
                "> steps 1\n"
                "> steps 1\n"
                "> draw 3\n"
                "> steps 1\n"
                "TAKE e1 s0 for 3\n"
                "> counts\n"
                "initiated=1 busy=7 parked=1\n"
                "> done e1 b4\n"
                "SEND request #2 s0 b4 w=0.25 m=1 -> 3\n"
                "> reply #2 s0 from 3 b5 w=0.25 m=1\n"
                "ADD e1 s0 b5 c=0.25 for 3\n"
                "> done e1\n"
                "> reply #1 s0 from 2 b6 w=0.5 m=1\n"
                "ADD e0 s0 b6 c=0.5 for 2\n"
                "> done e0\n"
                "> counts\n"
                "initiated=2 mixed=2 busy=7 parked=1\n");
    /* Nobody else to ask: at most one exchange per peer and slice, parked or not. */
    trace_check("> pair open=2\n"
                "> steps 1\n"
                "TAKE e0 s0 for 2\n"
                "> done e0 b3\n"
                "SEND request #1 s0 b3 w=0.5 m=1 -> 2\n"
                "> steps 1\n"
                "> steps 1\n"
                "> steps 1\n"
                "> steps 1\n"
                "> steps 1\n"
                "> counts\n"
                "initiated=1 busy=5 parked=1\n");
    /* No place: the offer waits for one, and is made when it comes. */
    trace_check("> pair open=1\n"
                "> steps 1\n"
                "TAKE e0 s0 for 2\n"
                "> done e0 b3\n"
                "SEND request #1 s0 b3 w=0.5 m=1 -> 2\n"
                "> steps 1\n"
                "> steps 1\n"
                "> steps 1\n"
                "> steps 1\n"
                "> steps 1\n"
                "> reply #1 s0 from 2 b5 w=0.5 m=1\n"
                "ADD e0 s0 b5 c=0.5 for 2\n"
                "> done e0\n"
                "TAKE e0 s0 for 2\n"
                "> counts\n"
                "initiated=1 mixed=1 busy=3 parked=1\n");
}

Test(gossip, parking_the_oldest)
{
    /* Of two in their places the older is held up and parked: the other's answer frees a place, its
     * own does not. */
    trace_check("> pair open=4 per=2\n"
                "> up 3\n"
                "> up 4\n"
                "> up 5\n"
                "> draw 2\n"
                "> steps 1\n"
                "TAKE e0 s0 for 2\n"
                "> draw 3\n"
                "> steps 1\n"
                "TAKE e1 s0 for 3\n"
                "> done e0 b0\n"
                "SEND request #1 s0 b0 w=0.5 m=1 -> 2\n"
                "> done e1 b1\n"
                "SEND request #2 s0 b1 w=0.25 m=1 -> 3\n"
                "> steps 1\n"
                "> steps 1\n"
                "> steps 1\n"
                "> draw 4\n"
                "> steps 1\n"
                "TAKE e2 s0 for 4\n"
                "> draw 5\n"
                "> reply #1 s0 from 2 b3 w=0.5 m=1\n"
                "ADD e0 s0 b3 c=0.5 for 2\n"
                "> done e0\n"
                "> steps 1\n"
                "> reply #2 s0 from 3 b4 w=0.25 m=1\n"
                "ADD e1 s0 b4 c=0.25 for 3\n"
                "> done e1\n"
                "> steps 1\n"
                "TAKE e0 s0 for 5\n");
    /* Wherever it stands in the table. */
    trace_check("> pair open=4 per=2\n"
                "> up 3\n"
                "> up 4\n"
                "> up 5\n"
                "> draw 2\n"
                "> steps 1\n"
                "TAKE e0 s0 for 2\n"
                "> draw 3\n"
                "> steps 1\n"
                "TAKE e1 s0 for 3\n"
                "> done e0 b0\n"
                "SEND request #1 s0 b0 w=0.5 m=1 -> 2\n"
                "> done e1 b1\n"
                "SEND request #2 s0 b1 w=0.25 m=1 -> 3\n"
                "> decline #1 from 2\n"
                "> draw 2\n"
                "> steps 1\n"
                "TAKE e0 s0 for 2\n"
                "> done e0 b0\n"
                "SEND request #3 s0 b0 w=0.25 m=1 -> 2\n"
                "> steps 1\n"
                "> steps 1\n"
                "> steps 1\n"
                "> draw 4\n"
                "> steps 1\n"
                "TAKE e2 s0 for 4\n"
                "> draw 5\n"
                "> reply #2 s0 from 3 b4 w=0.25 m=1\n"
                "ADD e1 s0 b4 c=0.25 for 3\n"
                "> done e1\n"
                "> steps 1\n");
}

Test(gossip, several_open)
{
    /* w = 1/(2k), k the exchanges of the slice under way; the responder lowers it alike. */
    trace_check("> core open=4 serve=2 per=4 slices=1\n"
                "> schedule steps=1\n"
                "> up 2\n"
                "> up 3\n"
                "> up 4\n"
                "> up 5\n"
                "> active\n"
                "> draw 2\n"
                "> steps 1\n"
                "TAKE e0 s0 for 2\n"
                "> draw 3\n"
                "> steps 1\n"
                "TAKE e1 s0 for 3\n"
                "> draw 4\n"
                "> steps 1\n"
                "TAKE e2 s0 for 4\n"
                "> done e0 b0\n"
                "SEND request #1 s0 b0 w=0.5 m=1 -> 2\n"
                "> done e1 b1\n"
                "SEND request #2 s0 b1 w=0.25 m=1 -> 3\n"
                "> done e2 b2\n"
                "SEND request #3 s0 b2 w=0.166667 m=1 -> 4\n"
                "> request #7 s0 from 9 b4 w=0.5 m=1\n"
                "ANSWER e3 s0 b4 c=0.125 for 9\n"
                "> request #8 s0 from 8 b6 w=0.0625 m=1\n"
                "ANSWER e4 s0 b6 c=0.0625 for 8\n"
                "> done e3 b4\n"
                "SEND reply #7 s0 b4 w=0.125 m=1 -> 9\n"
                "> draw 5\n"
                "> steps 1\n"
                "TAKE e3 s0 for 5\n"
                "> steps 1\n"
                "> reply #2 s0 from 3 b5 w=0.25 m=1\n"
                "ADD e1 s0 b5 c=0.25 for 3\n"
                "> counts\n"
                "initiated=3 mixed=1 served=1 busy=1\n");
    /* Each slice counts by itself. */
    trace_check("> pair open=2 serve=2 slices=2\n"
                "> steps 1\n"
                "TAKE e0 s0 for 2\n"
                "TAKE e1 s1 for 2\n"
                "> done e0 b0\n"
                "SEND request #1 s0 b0 w=0.5 m=1 -> 2\n"
                "> done e1 b1\n"
                "SEND request #2 s1 b1 w=0.5 m=1 -> 2\n"
                "> request #7 s1 from 9 b4 w=0.5 m=1\n"
                "ANSWER e2 s1 b4 c=0.25 for 9\n");
}

Test(gossip, link_lost_mine)
{
    /* While taking: nothing was asked yet, so nothing is lost. */
    trace_check("> pair\n"
                "> steps 1\n"
                "TAKE e0 s0 for 2\n"
                "> down 2\n"
                "> open\n"
                "1\n"
                "> done e0 b3\n"
                "FORGET b3\n"
                "> open\n"
                "0\n"
                "> counts\n"
                "none\n");
    /* Open; the late reply is of nobody. */
    trace_check("> pair\n"
                "> steps 1\n"
                "TAKE e0 s0 for 2\n"
                "> done e0 b3\n"
                "SEND request #1 s0 b3 w=0.5 m=1 -> 2\n"
                "> down 2\n"
                "> open\n"
                "0\n"
                "> reply #1 s0 from 2 b5 w=0.5 m=1\n"
                "FORGET b5\n"
                "> counts\n"
                "initiated=1 lost=1 unknown=1\n");
    /* Parked. */
    trace_check("> pair open=2\n"
                "> steps 1\n"
                "TAKE e0 s0 for 2\n"
                "> done e0 b3\n"
                "SEND request #1 s0 b3 w=0.5 m=1 -> 2\n"
                "> steps 1\n"
                "> steps 1\n"
                "> steps 1\n"
                "> steps 1\n"
                "> down 2\n"
                "> counts\n"
                "initiated=1 busy=4 parked=1 lost=1\n");
    /* Mixing: the exchange is complete. */
    trace_check("> pair\n"
                "> steps 1\n"
                "TAKE e0 s0 for 2\n"
                "> done e0 b3\n"
                "SEND request #1 s0 b3 w=0.5 m=1 -> 2\n"
                "> reply #1 s0 from 2 b5 w=0.5 m=1\n"
                "ADD e0 s0 b5 c=0.5 for 2\n"
                "> down 2\n"
                "> done e0\n"
                "> open\n"
                "0\n"
                "> counts\n"
                "initiated=1 mixed=1\n");
}

Test(gossip, link_lost_theirs)
{
    /* Swapping: applied here alone, an orphan. The slot's next owner is somebody else. */
    trace_check("> core\n"
                "> up 2\n"
                "> active\n"
                "> request #7 s0 from 2 b4 w=0.5 m=1\n"
                "ANSWER e0 s0 b4 c=0.5 for 2\n"
                "> down 2\n"
                "> up 2\n"
                "> request #7 s0 from 2 b5 w=0.5 m=1\n"
                "SEND decline #7 -> 2\n"
                "FORGET b5\n"
                "> done e0 b4\n"
                "FORGET b4\n"
                "> request #8 s0 from 2 b5 w=0.5 m=1\n"
                "ANSWER e0 s0 b5 c=0.5 for 2\n"
                "> done e0 b5\n"
                "SEND reply #8 s0 b5 w=0.5 m=1 -> 2\n"
                "> open\n"
                "0\n"
                "> counts\n"
                "served=1 refused=1 orphaned=1\n");
    /* Copying: nothing was applied. */
    trace_check("> core\n"
                "> up 2\n"
                "> active\n"
                "> request pull #7 s0 from 2 b4 w=0.5 m=1\n"
                "TAKE e0 s0 b4 for 2\n"
                "> down 2\n"
                "> done e0 b4\n"
                "FORGET b4\n"
                "> open\n"
                "0\n"
                "> counts\n"
                "none\n");
}

Test(gossip, link_lost_of_another)
{
    /* Another's link: nothing of it. */
    trace_check("> core\n"
                "> schedule steps=1\n"
                "> up 3\n"
                "> up 2\n"
                "> active\n"
                "> steps 1\n"
                "TAKE e0 s0 for 2\n"
                "> done e0 b3\n"
                "SEND request #1 s0 b3 w=0.5 m=1 -> 2\n"
                "> request #7 s0 from 4 b4 w=0.5 m=1\n"
                "ANSWER e1 s0 b4 c=0.25 for 4\n"
                "> down 3\n"
                "> expects #1 2\n"
                "yes\n"
                "> done e1 b4\n"
                "SEND reply #7 s0 b4 w=0.25 m=1 -> 4\n"
                "> counts\n"
                "initiated=1 served=1\n");
    /* With the last neighbour gone nothing falls due; when one comes, from the next period on. */
    trace_check("> pair\n"
                "> down 2\n"
                "> steps 1\n"
                "> up 2\n"
                "> steps 1\n"
                "TAKE e0 s0 for 2\n");
}

Test(gossip, pull)
{
    /* Asks without weights and takes over a half of theirs. */
    trace_check("> pair mode=pull\n"
                "> steps 1\n"
                "SEND request pull #1 s0 w=0.5 m=1 -> 2\n"
                "> reply pull #1 s0 from 2 b5 w=0.5 m=1\n"
                "MIX e0 s0 b5 c=0.5 for 2\n"
                "> done e0\n"
                "> counts\n"
                "initiated=1 mixed=1\n");
    /* Answers with a copy; theta stays. A pairwise run answers too. */
    trace_check("> core\n"
                "> up 2\n"
                "> active\n"
                "> request pull #7 s0 from 2 b4 w=1 m=1\n"
                "TAKE e0 s0 b4 for 2\n"
                "> done e0 b4\n"
                "SEND reply pull #7 s0 b4 w=1 m=1 -> 2\n"
                "> counts\n"
                "served=1\n");
    /* Pulls do not cross, and one may be served beside a pairwise request. */
    trace_check("> pair mode=pull serve=2\n"
                "> steps 1\n"
                "SEND request pull #1 s0 w=0.5 m=1 -> 2\n"
                "> request pull #7 s0 from 2 b4 w=0.5 m=1\n"
                "TAKE e1 s0 b4 for 2\n"
                "> request #8 s0 from 2 b6 w=0.5 m=1\n"
                "ANSWER e2 s0 b6 c=0.25 for 2\n"
                "> reply pull #1 s0 from 2 b5 w=0.5 m=1\n"
                "MIX e0 s0 b5 c=0.5 for 2\n"
                "> done e1 b4\n"
                "SEND reply pull #7 s0 b4 w=0.5 m=1 -> 2\n"
                "> done e2 b6\n"
                "SEND reply #8 s0 b6 w=0.25 m=1 -> 2\n"
                "> done e0\n"
                "> counts\n"
                "initiated=1 mixed=1 served=2\n");
}

Test(gossip, push)
{
    /* Goes out with its age, one more than the steps behind it; SENT gives place and buffer back.
     */
    trace_check("> pair mode=push\n"
                "> steps 3\n"
                "TAKE e0 s0 for 2\n"
                "> done e0 b3\n"
                "SEND request push #1 s0 b3 w=0.5 m=4 -> 2\n"
                "> steps 1\n"
                "> sent b3\n"
                "TAKE e0 s0 for 2\n"
                "> done e0 b3\n"
                "SEND request push #2 s0 b3 w=0.5 m=5 -> 2\n"
                "> down 2\n"
                "> sent b3\n"
                "> counts\n"
                "initiated=2\n");
    /* Where what is sent leaves at once no word of it is awaited. */
    trace_check("> pair mode=push at-once\n"
                "> steps 1\n"
                "TAKE e0 s0 for 2\n"
                "> done e0 b3\n"
                "SEND request push #1 s0 b3 w=0.5 m=2 -> 2\n"
                "> open\n"
                "0\n"
                "> steps 1\n"
                "TAKE e0 s0 for 2\n");
    /* Merged by age: c = 6/(2 + 6), and what was merged is as old as its oldest part. Its own
     * steps add to that; a younger one leaves the age as it is. */
    trace_check("> pair mode=push serve=2 slices=2 open=2\n"
                "> schedule steps=0\n"
                "> steps 1\n"
                "> request push #7 s0 from 2 b4 w=0.5 m=6\n"
                "MIX e0 s0 b4 c=0.75 for 2\n"
                "> done e0\n"
                "> steps 2\n"
                "> request push #8 s0 from 2 b4 w=0.5 m=8\n"
                "MIX e0 s0 b4 c=0.5 for 2\n"
                "> request push #9 s1 from 2 b5 w=0.5 m=4\n"
                "MIX e1 s1 b5 c=0.5 for 2\n"
                "> done e0\n"
                "> done e1\n"
                "> request push #10 s0 from 2 b4 w=0.25 m=2\n"
                "MIX e0 s0 b4 c=0.1 for 2\n"
                "> done e0\n"
                "> request push #11 s0 from 2 b4 w=0.5 m=8\n"
                "MIX e0 s0 b4 c=0.5 for 2\n"
                "> counts\n"
                "served=4\n");
    /* Nothing answers one, also when there is no place: several of a slice may be waiting. */
    trace_check("> pair mode=push serve=2\n"
                "> request push #7 s0 from 2 b4 w=0.5 m=1\n"
                "MIX e0 s0 b4 c=0.5 for 2\n"
                "> request push #8 s0 from 2 b5 w=0.5 m=1\n"
                "MIX e1 s0 b5 c=0.5 for 2\n"
                "> request push #9 s0 from 2 b6 w=0.5 m=1\n"
                "FORGET b6\n"
                "> down 2\n"
                "> done e0\n"
                "> done e1\n"
                "> open\n"
                "0\n"
                "> counts\n"
                "served=2 refused=1\n");
}

Test(gossip, push_of_the_oldest)
{
    /* An age that no run reaches is taken as the greatest there is, and stays there. */
    trace_check("> pair mode=push\n"
                "> schedule steps=0\n"
                "> request push #7 s0 from 2 b4 w=0.5 m=1e30\n"
                "MIX e0 s0 b4 c=1 for 2\n"
                "> done e0\n"
                "> schedule steps=1\n"
                "> steps 4294967295\n"
                "TAKE e0 s0 for 2\n"
                "> done e0 b4\n"
                "SEND request push #1 s0 b4 w=0.5 m=8.58993e+09 -> 2\n");
}

Test(gossip, push_refused)
{
    trace_check("> pair\n"
                "> request push #7 s0 from 2 b4 w=0.5 m=6\n"
                "PUNISH 2: a push to a run that does not merge by age\n"
                "FORGET b4\n");
    trace_check("> pair mode=push serve=2\n"
                "> request push #7 s0 from 2 b4 w=0.5 m=1\n"
                "MIX e0 s0 b4 c=0.5 for 2\n"
                "> request push #7 s0 from 2 b5 w=0.5 m=1\n"
                "PUNISH 2: a second request while the first is being served\n"
                "FORGET b5\n");
    trace_check("> pair mode=push\n"
                "> request push #7 s0 from 2 b4 w=0.6 m=1\n"
                "PUNISH 2: a request with a weight or mass out of range\n"
                "FORGET b4\n");
}
