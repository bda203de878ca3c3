/* When simulated nodes are there: what is understood, and the schedule. */
#include "sim/churn.h"

#include <criterion/criterion.h>

TestSuite(churn, .timeout = 30);

static struct churn_config config(const char *sessions, const char *late)
{
    struct churn_config c = {.least_gap_us = 1000, .end_us = 10000000};
    struct error err = {0};
    cr_assert_eq(sessions_parse(sessions, &c.sessions, &err), 0, "%s", err.text);
    cr_assert_eq(late_parse(late, &c.late, &err), 0, "%s", err.text);
    return c;
}

static struct churn churn(const struct churn_config *config, uint32_t n)
{
    struct churn c;
    struct error err = {0};
    cr_assert_eq(churn_init(&c, config, n, 7, &err), 0, "%s", err.text);
    return c;
}

Test(churn, what_is_understood)
{
    static const struct {
        const char *text;
        enum dist_kind session, gap;
        uint64_t session_us, gap_us;
    } cases[] = {
        {"10s,2s", DIST_CONST, DIST_CONST, 10000000, 2000000},
        {"uniform:1s,2s,3s", DIST_UNIFORM, DIST_CONST, 1000000, 3000000},
        {"lognormal:60s,1,uniform:1s,5s", DIST_LOGNORMAL, DIST_UNIFORM, 60000000, 1000000},
        {"5s,lognormal:60s,0.5", DIST_CONST, DIST_LOGNORMAL, 5000000, 60000000},
    };
    static const char *const wrong[] = {"10s",   "10s,",      ",10s",         "0,10s",
                                        "10,10", "10s,2s,3s", "uniform:1s,2s"};
    static const char *const wrong_late[] = {"10s", "10s:0", "10:5", "0s:5", ":5", "10s:x"};
    struct error err;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sessions s;
        cr_assert_eq(sessions_parse(cases[i].text, &s, &err), 0, "%s", cases[i].text);
        cr_assert(s.set && s.session.kind == cases[i].session && s.gap.kind == cases[i].gap);
        cr_assert(s.session.low_us == cases[i].session_us && s.gap.low_us == cases[i].gap_us);
    }
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        cr_assert_eq(sessions_parse(wrong[i], &(struct sessions){0}, &err), ERR_USAGE, "%s",
                     wrong[i]);
    for (size_t i = 0; i < sizeof wrong_late / sizeof wrong_late[0]; i++)
        cr_assert_eq(late_parse(wrong_late[i], &(struct late){0}, &err), ERR_USAGE, "%s",
                     wrong_late[i]);
}

Test(churn, nobody_comes_or_goes)
{
    struct churn_config c = config("", "");
    struct churn none = churn(&c, 10);
    cr_assert_null(none.firsts);
    churn_close(&none);
}

Test(churn, sessions_and_gaps)
{
    struct churn_config config_ = config("uniform:100ms,200ms,uniform:0,50ms", "");
    struct churn c = churn(&config_, 100);
    uint64_t n_crashes = 0;
    for (uint32_t node = 0; node < 100; node++) {
        uint64_t now = 0;
        cr_assert(churn_is_up(&c, node, 0));
        while (true) {
            uint64_t crash = churn_next_us(&c, node, now);
            if (crash == CHURN_NEVER || crash > config_.end_us)
                break;
            uint64_t back = churn_next_us(&c, node, crash);
            cr_assert(crash - now <= 200000 && (now == 0 || crash - now >= 100000));
            cr_assert(back - crash >= 1000 && back - crash <= 50000, "away for %lu", back - crash);
            cr_assert(churn_is_up(&c, node, crash - 1) && !churn_is_up(&c, node, crash));
            cr_assert(!churn_is_up(&c, node, back - 1) && churn_is_up(&c, node, back));
            cr_assert(churn_stays_up(&c, node, now, crash - 1));
            cr_assert(!churn_stays_up(&c, node, now, crash));
            cr_assert(!churn_stays_up(&c, node, crash - 1, back), "it is another session");
            cr_assert(!churn_stays_up(&c, node, crash, back));
            cr_assert_eq(churn_since_us(&c, node, crash - 1), now);
            cr_assert_eq(churn_since_us(&c, node, crash), CHURN_NEVER);
            now = back;
            n_crashes++;
        }
    }
    cr_assert(n_crashes > 5000 && n_crashes < 6500, "%lu", n_crashes);
    churn_close(&c);
}

Test(churn, healed)
{
    struct churn_config config_ = config("100ms,10s", "");
    config_.heal_us = 500000;
    config_.least_gap_us = 20000;
    struct churn c = churn(&config_, 100);
    for (uint32_t node = 0; node < 100; node++) {
        uint64_t crash = churn_next_us(&c, node, 0), back = churn_next_us(&c, node, crash);
        cr_assert_lt(crash, 500000);
        cr_assert_eq(back, crash + 20000 > 500000 ? crash + 20000 : 500000, "%lu", back);
        cr_assert_eq(churn_next_us(&c, node, back), CHURN_NEVER);
    }
    churn_close(&c);
}

Test(churn, late)
{
    struct churn_config config_ = config("", "2s:3");
    struct error err;
    struct churn c = churn(&config_, 10);
    for (uint32_t node = 0; node < 10; node++) {
        cr_assert_eq(churn_is_up(&c, node, 1999999), node < 7);
        cr_assert(churn_is_up(&c, node, 2000000));
        cr_assert_eq(churn_next_us(&c, node, 2000000), CHURN_NEVER);
    }
    churn_close(&c);
    cr_assert_eq(churn_init(&c, &config_, 3, 1, &err), ERR_USAGE, "somebody must be there");
}
