#include "sim/churn.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/parse.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TIMES_MAX (UINT64_C(1) << 30)

/* The comma between the two is the first that leaves a distribution on either side. */
int sessions_parse(const char *text, void *field, struct error *err)
{
    struct sessions *s = field;
    char copy[200];
    struct error ignored;
    *s = (struct sessions){0};
    if (text[0] == '\0')
        return 0;
    snprintf(copy, sizeof copy, "%s", text);
    for (char *comma = strchr(copy, ','); comma != NULL; comma = strchr(comma + 1, ',')) {
        *comma = '\0';
        s->set = dist_parse(copy, &s->session, &ignored) == 0 &&
                 dist_parse(comma + 1, &s->gap, &ignored) == 0 && dist_longest(&s->session) > 0;
        *comma = ',';
        if (s->set)
            return 0;
    }
    *s = (struct sessions){0};
    return error_set(err, ERR_USAGE,
                     "'%.120s' is not SESSIONS,GAPS, two distributions of times, such as "
                     "60s,5s or lognormal:60s,1,uniform:1s,10s",
                     text);
}

int late_parse(const char *text, void *field, struct error *err)
{
    struct late *late = field;
    char copy[100];
    uint64_t n;
    *late = (struct late){0};
    if (text[0] == '\0')
        return 0;
    snprintf(copy, sizeof copy, "%s", text);
    char *colon = strchr(copy, ':');
    if (colon != NULL)
        *colon = '\0';
    if (colon == NULL || !parse_duration(copy, &late->at_us) || !parse_u64(colon + 1, &n) ||
        n == 0 || n > UINT32_MAX || late->at_us == 0) {
        *late = (struct late){0};
        return error_set(err, ERR_USAGE, "'%.90s' is not TIME:N, such as 30s:10", text);
    }
    late->n = (uint32_t)n;
    return 0;
}

/* ---- the schedule --------------------------------------------------------------------------- */

struct schedule {
    uint64_t *times;
    uint64_t n, max;
};

static void append(struct schedule *s, uint64_t time_us)
{
    if (s->n == s->max) {
        s->max = s->max > 0 ? 2 * s->max : 1024;
        s->times = realloc(s->times, s->max * sizeof *s->times);
        CHECK(s->times != NULL);
    }
    s->times[s->n++] = time_us;
}

static void draw_node(struct schedule *s, const struct churn_config *c, uint64_t seed,
                      uint32_t node, uint64_t start_us)
{
    struct rng rng = rng_stream(seed, node, RNG_CHURN);
    uint64_t heal_us = c->heal_us > 0 ? c->heal_us : CHURN_NEVER, now_us = start_us;
    append(s, now_us);
    while (c->sessions.set && s->n < TIMES_MAX) {
        uint64_t session_us = dist_draw(&c->sessions.session, &rng, 1);
        if (now_us == start_us && start_us == 0) /* all have been there for a while */
            session_us = 1 + (uint64_t)(rng_uniform(&rng) * (double)session_us);
        now_us += session_us;
        if (now_us >= heal_us || now_us > c->end_us)
            return;
        append(s, now_us);
        uint64_t back_us = now_us + dist_draw(&c->sessions.gap, &rng, 1);
        back_us = back_us < heal_us ? back_us : heal_us;
        now_us = clock_later(back_us, now_us + c->least_gap_us);
        append(s, now_us);
    }
}

int churn_init(struct churn *c, const struct churn_config *config, uint32_t n, uint64_t seed,
               struct error *err)
{
    *c = (struct churn){0};
    if (!config->sessions.set && config->late.n == 0)
        return 0;
    if (config->late.n >= n)
        return error_set(err, ERR_USAGE,
                         "%" PRIu32 " of %" PRIu32 " peers join late (right: fewer than all)",
                         config->late.n, n);
    struct schedule s = {0};
    c->firsts = calloc((size_t)n + 1, sizeof *c->firsts);
    CHECK(c->firsts != NULL);
    for (uint32_t i = 0; i < n; i++) {
        c->firsts[i] = s.n;
        draw_node(&s, config, seed, i, i >= n - config->late.n ? config->late.at_us : 0);
    }
    c->firsts[n] = s.n;
    c->times = s.times;
    if (s.n < TIMES_MAX)
        return 0;
    churn_close(c);
    return error_set(err, ERR_USAGE,
                     "peers come and go more than %" PRIu64
                     " times (right: longer sessions, fewer peers or cycles)",
                     TIMES_MAX);
}

void churn_close(struct churn *c)
{
    free(c->firsts);
    free(c->times);
    *c = (struct churn){0};
}

/* How many of the node's starts and crashes have come. */
static uint64_t n_until(const struct churn *c, uint32_t node, uint64_t now_us)
{
    uint64_t low = c->firsts[node], high = c->firsts[node + 1];
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (c->times[middle] <= now_us)
            low = middle + 1;
        else
            high = middle;
    }
    return low - c->firsts[node];
}

uint64_t churn_next_us(const struct churn *c, uint32_t node, uint64_t now_us)
{
    uint64_t at = c->firsts[node] + n_until(c, node, now_us);
    return at < c->firsts[node + 1] ? c->times[at] : CHURN_NEVER;
}

bool churn_is_up(const struct churn *c, uint32_t node, uint64_t now_us)
{
    return n_until(c, node, now_us) % 2 == 1;
}

bool churn_stays_up(const struct churn *c, uint32_t node, uint64_t from_us, uint64_t to_us)
{
    uint64_t n = n_until(c, node, from_us);
    return n % 2 == 1 && n_until(c, node, to_us) == n;
}

uint64_t churn_since_us(const struct churn *c, uint32_t node, uint64_t now_us)
{
    uint64_t n = n_until(c, node, now_us);
    return n % 2 == 1 ? c->times[c->firsts[node] + n - 1] : CHURN_NEVER;
}
