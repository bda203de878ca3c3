/* The simulated network: latency, order on a link, bandwidth, loss; and speeds. */
#include "sim/network.h"
#include "sim/speed.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

TestSuite(network, .timeout = 30);

static struct dist dist(const char *text)
{
    struct dist d;
    struct error err = {0};
    cr_assert_eq(dist_parse(text, &d, &err), 0, "%s", err.text);
    return d;
}

Test(network, distributions)
{
    enum { N = 20000 };
    static const struct {
        const char *text;
        double mean, low, high;
    } cases[] = {
        {"5ms", 5000, 5000, 5000},
        {"const:5ms", 5000, 5000, 5000},
        {"uniform:1ms,3ms", 2000, 1000, 3000},
        {"uniform:7us,7us", 7, 7, 7},
        {"lognormal:1ms,0.5", 1000 * 1.1331, 1, 1000 * 20.1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct dist d = dist(cases[i].text);
        struct rng rng = rng_stream(1, 0, RNG_TEST);
        double sum = 0;
        for (int k = 0; k < N; k++) {
            double us = (double)dist_draw(&d, &rng, 1);
            cr_assert(us >= cases[i].low && us <= cases[i].high, "%s drew %g", cases[i].text, us);
            sum += us / N;
        }
        cr_assert(fabs(sum / cases[i].mean - 1) < 0.02, "%s: mean %g", cases[i].text, sum);
        cr_assert_eq(dist_draw(&d, &rng, 50000), 50000);
        cr_assert_leq((double)dist_longest(&d), cases[i].high);
    }
}

Test(network, what_is_misunderstood)
{
    static const char *const dists[] = {"",
                                        "5",
                                        "const",
                                        "const:1ms,2ms",
                                        "uniform",
                                        "uniform:1ms",
                                        "uniform:2ms,1ms",
                                        "normal:1ms,1",
                                        "lognormal:1ms",
                                        "lognormal:0,1",
                                        "lognormal:1ms,-1"};
    static const char *const splits[] = {"1s..2s", "2s..1s:2", "1s..2s:1", "1s:2", "1..2:2"};
    static const char *const speeds[] = {"",
                                         "fast",
                                         "const:1",
                                         "lognormal",
                                         "lognormal:x",
                                         "stragglers:0.1",
                                         "stragglers:2,4x",
                                         "stragglers:0.1,0.5"};
    struct error err;
    for (size_t i = 0; i < sizeof dists / sizeof dists[0]; i++)
        cr_assert_eq(dist_parse(dists[i], &(struct dist){0}, &err), ERR_USAGE, "%s", dists[i]);
    for (size_t i = 0; i < sizeof splits / sizeof splits[0]; i++)
        cr_assert_eq(netsplit_parse(splits[i], &(struct netsplit){0}, &err), ERR_USAGE, "%s",
                     splits[i]);
    for (size_t i = 0; i < sizeof speeds / sizeof speeds[0]; i++)
        cr_assert_eq(speed_parse(speeds[i], &(struct speed){0}, &err), ERR_USAGE, "%s", speeds[i]);
}

static struct delivery send_now(const struct network *n, struct flights *f, struct outbox *box,
                                uint32_t dst, uint64_t bytes, uint64_t now_us, uint64_t *way_out_us)
{
    uint64_t latency_us = network_latency(n, box, 0);
    return network_send(n, f, box, 0, dst, bytes, latency_us, now_us, way_out_us);
}

Test(network, a_link_never_overtakes_itself)
{
    struct network n = {.latency = dist("uniform:1ms,100ms"), .floor_us = 1000, .seed = 1};
    struct flights f;
    struct outbox box = {0};
    uint64_t last[50] = {0};
    uint32_t n_held = 0;
    flights_init(&f, &n);
    for (uint32_t i = 0; i < 20000; i++) {
        uint32_t dst = 1 + i * 7 % 50;
        uint64_t now = (uint64_t)i * 40;
        struct delivery d = send_now(&n, &f, &box, dst, 100, now, NULL);
        cr_assert(!d.lost && d.arrival_us >= now + 1000 && d.arrival_us <= now + 100000);
        cr_assert_geq(d.arrival_us, last[dst - 1]);
        n_held += d.arrival_us == last[dst - 1];
        last[dst - 1] = d.arrival_us;
    }
    cr_assert_gt(n_held, 1000, "some had to wait for those before them");
    cr_assert_leq(f.landing.size, 4096, "what has landed is forgotten");
    flights_close(&f);
}

Test(network, bandwidth_is_a_queue)
{
    struct network n = {.latency = dist("1ms"), .floor_us = 1000, .bytes_per_s = 1000000};
    struct flights f;
    struct outbox box = {0};
    uint64_t way_out = 0;
    flights_init(&f, &n);
    /* Three of 500 bytes at once leave after 0.5, 1 and 1.5 ms; one later has the way to itself. */
    for (uint32_t i = 0; i < 3; i++)
        cr_assert_eq(send_now(&n, &f, &box, 1 + i, 500, 10, &way_out).arrival_us,
                     10 + 500 * (i + 1) + 1000);
    cr_assert_eq(send_now(&n, &f, &box, 1, 500, 9000, &way_out).arrival_us, 9000 + 500 + 1000);
    flights_close(&f);
}

Test(network, a_link_is_a_queue_of_its_own)
{
    struct network n = {.latency = dist("1ms"),
                        .floor_us = 1000,
                        .bytes_per_s = 1000000,
                        .link_bytes_per_s = 100000};
    struct flights f;
    struct outbox box = {0};
    uint64_t way_out = 0;
    flights_init(&f, &n);
    /* 500 bytes leave the peer in 0.5 ms and pass a link in 5; another link does not wait for it,
     * the same one does, and what is shorter than the way out does not hold up the link. */
    cr_assert_eq(send_now(&n, &f, &box, 1, 500, 10, &way_out).arrival_us, 10 + 5000 + 1000);
    cr_assert_eq(send_now(&n, &f, &box, 2, 500, 10, &way_out).arrival_us, 510 + 5000 + 1000);
    cr_assert_eq(send_now(&n, &f, &box, 1, 500, 10, &way_out).arrival_us, 10 + 10000 + 1000);
    n.link_bytes_per_s = 10000000;
    cr_assert_eq(send_now(&n, &f, &box, 3, 500, 10, &way_out).leaves_us, 2010,
                 "no link is faster than the way out");
    flights_close(&f);
}

Test(network, the_way_in_is_a_queue)
{
    struct network n = {.bytes_per_s = 1000000};
    uint64_t way_in = 0;
    static const struct {
        uint64_t arrival, in;
    } letters[] = {{10000, 10000}, {10100, 10500}, {10200, 11000}, {12000, 12000}, {12500, 12500}};
    for (size_t i = 0; i < sizeof letters / sizeof letters[0]; i++)
        cr_assert_eq(network_come_in(&n, 500, letters[i].arrival, &way_in), letters[i].in, "%zu",
                     i);
}

Test(network, healed)
{
    struct network n = {.latency = dist("1ms"),
                        .drop = 1,
                        .split = {.from_us = 0, .to_us = 1000, .n_groups = 2},
                        .heal_us = 500};
    struct flights f;
    struct outbox box = {0};
    flights_init(&f, &n);
    cr_assert(send_now(&n, &f, &box, 1, 1, 499, NULL).lost);
    cr_assert(!send_now(&n, &f, &box, 1, 1, 500, NULL).lost);
    flights_close(&f);
}

Test(network, loss)
{
    struct network n = {.latency = dist("1ms"), .floor_us = 1000, .drop = 0.1, .seed = 1};
    struct flights f;
    struct outbox box = {0};
    uint32_t n_lost = 0;
    flights_init(&f, &n);
    for (uint32_t i = 0; i < 10000; i++)
        n_lost += send_now(&n, &f, &box, 1, 100, i, NULL).lost;
    cr_assert(n_lost > 850 && n_lost < 1150, "%u of 10000", n_lost);
    n.drop = 0;
    n.split = (struct netsplit){.from_us = 100, .to_us = 200, .n_groups = 2};
    for (uint32_t now = 99; now <= 200; now++)
        for (uint32_t dst = 1; dst < 4; dst++) {
            bool split = now >= 100 && now < 200 && dst % 2 == 1;
            cr_assert_eq(send_now(&n, &f, &box, dst, 100, now, NULL).lost, split, "%u to %u", now,
                         dst);
        }
    flights_close(&f);
}

Test(network, what_was_sent_before_a_break_is_lost)
{
    struct network n = {.latency = dist("uniform:1ms,5ms")};
    struct flights f;
    flights_init(&f, &n);
    cr_assert(!flights_is_lost(&f, 1, 2, 0));
    flights_break(&f, 1, 2, 10000, 10000);
    cr_assert(flights_is_lost(&f, 1, 2, 9999));
    cr_assert(!flights_is_lost(&f, 1, 2, 10000));
    cr_assert(!flights_is_lost(&f, 2, 1, 9999), "each end learns for itself");
    cr_assert(!flights_break(&f, 1, 2, 10000, 10000), "two messages were lost with one link");
    cr_assert(!flights_break(&f, 1, 2, 9000, 10000), "which is known");
    for (uint32_t i = 0; i < 5000; i++)
        flights_break(&f, 1, 3 + i % 4, 14999, 14999);
    cr_assert(flights_is_lost(&f, 1, 2, 9999), "still remembered while something may be under way");
    flights_prolong(&f, 50000);
    for (uint32_t i = 0; i < 5000; i++)
        flights_break(&f, 2, i, 30000 + i, 30000 + i);
    cr_assert(flights_is_lost(&f, 1, 2, 9999), "and longer where bandwidth holds up messages");
    flights_close(&f);
}

Test(network, speeds)
{
    struct speed s = {.step_us = 1000, .n_nodes = 10000};
    struct error err;
    uint32_t n_slow = 0, n_below = 0, n_other = 0;
    cr_assert_eq(speed_step_us(&s, 1, 7), 1000);
    cr_assert_eq(speed_parse("stragglers:0.1,4x", &s, &err), 0);
    for (uint32_t i = 0; i < 10000; i++) {
        uint64_t us = speed_step_us(&s, 1, i);
        cr_assert(us == 1000 || us == 4000);
        cr_assert_eq(us, speed_step_us(&s, 1, i));
        n_slow += us == 4000;
        n_other += us != speed_step_us(&s, 2, i);
    }
    cr_assert_eq(n_slow, 1000, "which is drawn, not how many: %u", n_slow);
    cr_assert_gt(n_other, 1500, "another seed, other stragglers");
    cr_assert_eq(speed_parse("lognormal:0.5", &s, &err), 0);
    for (uint32_t i = 0; i < 10000; i++)
        n_below += speed_step_us(&s, 1, i) < 1000;
    cr_assert(n_below > 4800 && n_below < 5200, "the median is 1: %u of 10000 below", n_below);
}
