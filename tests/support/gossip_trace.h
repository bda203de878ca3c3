/* Golden traces of the gossip core: a script and what the core answers, as one text.
 *
 * A line that starts with "> " is fed to the core; the lines below it are its actions in order, and
 * "wake T" when it asks to be woken. Any "> " line may end in "@T": it is T us from then on.
 *
 *   > core slices=2 open=4 serve=2 per=1     a new core; what is left out is 1
 *   > core mode=pull                         or push, push-sum; remembers=4, fanout=1
 *   > core turns                             neighbour k is peer k, and k goes round
 *   > core at-once                           pushes have left when they are sent
 *   > pair open=2                            the same, then: schedule steps=1, up 2, active
 *   > schedule steps=1 us=0
 *   > mass 2
 *   > up 2       > down 2 gone               a link; the core knows how many are up
 *   > draw 3                                 the next neighbour drawn (else the last one up)
 *   > active     > joining    > ended      > leaving
 *   > steps 1    > wake
 *   > done e0 b3                             a job's exchange and its buffer
 *   > sent b3                                a push has left
 *   > request #5 s0 from 2 b4 w=0.5 m=1      "pull", "push", "push-sum", "smaller" (its id is below
 * mine); b-: none > reply #1 s0 from 2 b5 w=0.5 m=1 > decline #1 from 2 > adopt 2 > expects #1 2 >
 * open      > counts: those that are not 0      > accounts s0: of push-sum
 *
 * Actions: TAKE e0 s0 for 2 | TAKE e1 s0 b4 for 2 | ANSWER e1 s0 b4 c=0.5 for 2
 *   ADD e0 s0 b5 c=0.5 for 2 | MIX e0 s0 b5 c=0.5 for 2 | SEND request #1 s0 b3 w=0.5 m=1 -> 2 |
 * SEND decline #5 -> 2 FORGET b3 | PUNISH 2: reason | ADOPTED | ADOPT_FAILED */
#ifndef HUBBUB_TESTS_GOSSIP_TRACE_H
#define HUBBUB_TESTS_GOSSIP_TRACE_H

/* Runs the script in `golden` and fails the test at the first line that differs. */
void trace_check(const char *golden);

/* The same script with what the core answers; to be freed. */
char *trace_run(const char *golden);

#endif
