/* Pushes in the core, one at a time; see tests/support/gossip_trace.h for the notation. */
#include "net/gossip.h"
#include "tests/support/gossip_trace.h"

#include <criterion/criterion.h>

TestSuite(gossip_push, .timeout = 30);

Test(gossip_push, merged_by_age)
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

Test(gossip_push, of_the_oldest)
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

Test(gossip_push, refused)
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
