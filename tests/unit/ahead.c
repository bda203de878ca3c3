/* What is wanted is asked for as evenly as the work of the step before allows. */
#include "base/mem.h"
#include "model/ahead.h"

#include <criterion/criterion.h>

TestSuite(ahead, .timeout = 10);

enum { LINES = 100 };
static char memory[2 * LINES * MEM_ALIGN];

static void step(uint64_t work)
{
    ahead_begin();
    ahead_worked(work);
    ahead_end();
}

Test(ahead, evenly)
{
    step(1000);
    ahead_want(memory, LINES * MEM_ALIGN);
    ahead_want(memory + LINES * MEM_ALIGN, LINES * MEM_ALIGN - 1);
    ahead_begin();
    for (uint32_t tenth = 1; tenth <= 10; tenth++) {
        ahead_worked(100);
        cr_assert_eq(ahead.n_asked, 20 * tenth);
        cr_assert_eq(ahead.at, tenth < 5 ? 0 : tenth < 10 ? 1 : 2);
    }
    cr_assert_eq(ahead.ranges[0].from, memory + LINES * MEM_ALIGN);
    ahead_worked(100);
    cr_assert_eq(ahead.n_asked, 2 * LINES, "there is no more");
    ahead_end();
    cr_assert(ahead.n == 0 && ahead.n_lines == 0 && ahead.last_work == 1100);
}

Test(ahead, nothing_is_known_of_the_first_step)
{
    ahead_want(memory, sizeof memory);
    ahead_begin();
    ahead_worked(1000);
    cr_assert_eq(ahead.n_asked, 0);
    ahead_end();
    ahead_want(memory, sizeof memory);
    cr_assert_eq(ahead.n_lines, 2 * LINES);
}

Test(ahead, the_first_ranges)
{
    for (uint32_t i = 0; i < AHEAD_RANGES + 3; i++)
        ahead_want(memory, MEM_ALIGN);
    cr_assert_eq(ahead.n_lines, AHEAD_RANGES);
    step(10);
    cr_assert_eq(ahead.n, 0);
}

Test(ahead, less_work_than_before)
{
    step(1000);
    ahead_want(memory, sizeof memory);
    ahead_begin();
    ahead_worked(10);
    cr_assert_eq(ahead.n_asked, 2);
    ahead_end();
    ahead_begin();
    ahead_worked(10);
    cr_assert_eq(ahead.n_asked, 0, "forgotten");
}
