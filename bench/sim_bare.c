/* A calendar queue whose days are thousandths of a cycle: an array of messages each. Whoever sends
 * copies its model to the end of the day of arrival, and a day is read from its start, so only the
 * receiver of a message lies anywhere. */
#include "bench/sim_bare.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/lanes.h"
#include "base/mem.h"

#include <stdlib.h>

enum {
    FLOATS = 58, /* 57 features and the bias */
    SAMPLES = 4140,
    CYCLE = 1000, /* days */
    DELAY_MAX = 100,
    RING = 128, /* days, above DELAY_MAX */
    AHEAD = 8   /* messages between asking the memory for a peer and its update */
};

struct peer {
    float theta[FLOATS];
    uint32_t age, sample;
};

struct message {
    float theta[FLOATS];
    uint32_t age, to;
};

struct day {
    struct message *messages;
    size_t n, max;
};

struct sample {
    float x[FLOATS]; /* the last is 1 */
    float y;         /* 0 or 1 */
};

struct world {
    uint32_t n_peers;
    uint64_t random; /* state of SplitMix64 (Steele, Lea, Flood 2014) */
    struct peer *peers;
    struct sample *samples;
    uint32_t *senders, starts[CYCLE + 1]; /* peers by the day of the cycle on which they send */
    struct day days[RING];
};

static uint64_t draw(struct world *w)
{
    uint64_t z = w->random += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return z ^ z >> 31;
}

static uint32_t below(uint32_t bits, uint32_t n)
{
    return (uint32_t)((uint64_t)bits * n >> 32);
}

static void send(struct world *w, uint32_t from, uint64_t today)
{
    uint64_t bits = draw(w);
    uint32_t to = below((uint32_t)bits, w->n_peers - 1);
    uint32_t delay = 1 + below((uint32_t)(bits >> 32), DELAY_MAX);
    struct day *day = &w->days[(today + delay) % RING];
    if (day->n == day->max) {
        day->max = day->max > 0 ? 2 * day->max : 16;
        day->messages = realloc(day->messages, day->max * sizeof *day->messages);
        CHECK(day->messages != NULL);
    }
    struct message *m = &day->messages[day->n++];
    memcpy(m->theta, w->peers[from].theta, sizeof m->theta);
    m->age = w->peers[from].age;
    m->to = to + (to >= from);
}

static float dot(const float *a, const float *b)
{
    lanes sums = {0};
    uint32_t i = 0;
    for (; i + LANES <= FLOATS; i += LANES)
        sums = lanes_fma(lanes_load(a + i), lanes_load(b + i), sums);
    sums = lanes_fma(lanes_load_first(a + i, FLOATS - i, 0), lanes_load_first(b + i, FLOATS - i, 0),
                     sums);
    return lanes_sum(sums);
}

static void receive(struct world *w, const struct message *m)
{
    const float lr = 0.01f;
    struct peer *p = &w->peers[m->to];
    const struct sample *s = &w->samples[p->sample];
    float c = (float)m->age / (float)(m->age + p->age);
    for (uint32_t i = 0; i < FLOATS; i++)
        p->theta[i] = fmaf(c, m->theta[i] - p->theta[i], p->theta[i]);
    p->age = (m->age > p->age ? m->age : p->age) + 1;
    float error = 1 / (1 + expf(-dot(p->theta, s->x))) - s->y;
    for (uint32_t i = 0; i < FLOATS; i++)
        p->theta[i] = fmaf(-lr * error, s->x[i], p->theta[i]);
}

static void expect(const struct peer *p)
{
    __builtin_prefetch(p, 1);
    __builtin_prefetch(p->theta + 16, 1);
    __builtin_prefetch(p->theta + 32, 1);
    __builtin_prefetch(p->theta + 48, 1);
}

/* Returns how many peers were updated. */
static uint64_t run_day(struct world *w, uint64_t today)
{
    struct day *day = &w->days[today % RING];
    size_t n = day->n;
    for (size_t i = 0; i < n; i++) {
        if (i + AHEAD < n)
            expect(&w->peers[day->messages[i + AHEAD].to]);
        receive(w, &day->messages[i]);
    }
    day->n = 0;
    const uint32_t *start = w->starts + today % CYCLE;
    for (uint32_t i = start[0]; i < start[1]; i++) {
        if (i + AHEAD < start[1])
            expect(&w->peers[w->senders[i + AHEAD]]);
        send(w, w->senders[i], today);
    }
    return n;
}

static void make(struct world *w, uint32_t n_peers)
{
    *w = (struct world){.n_peers = n_peers,
                        .random = 1,
                        .peers = MEM_NEW(struct peer, n_peers),
                        .samples = MEM_NEW(struct sample, SAMPLES),
                        .senders = MEM_NEW(uint32_t, n_peers)};
    uint32_t *days = MEM_NEW(uint32_t, n_peers), at[CYCLE];
    for (uint32_t i = 0; i < SAMPLES; i++) {
        struct sample *s = &w->samples[i];
        for (uint32_t j = 0; j < FLOATS; j++)
            s->x[j] = j + 1 < FLOATS ? (float)(int32_t)draw(w) * 0x1p-31f : 1;
        s->y = s->x[0] + s->x[1] > 0;
    }
    for (uint32_t i = 0; i < n_peers; i++) {
        w->peers[i].age = 1;
        w->peers[i].sample = below((uint32_t)draw(w), SAMPLES);
        days[i] = below((uint32_t)draw(w), CYCLE);
        w->starts[days[i] + 1]++;
    }
    for (uint32_t d = 0; d < CYCLE; d++) {
        at[d] = w->starts[d];
        w->starts[d + 1] += w->starts[d];
    }
    for (uint32_t i = 0; i < n_peers; i++)
        w->senders[at[days[i]]++] = i;
    free(days);
}

double sim_bare_rate(uint32_t n_peers, uint64_t cycles)
{
    struct world *w = MEM_NEW(struct world, 1);
    uint64_t n_updates = 0, start, today = 0;
    make(w, n_peers);
    while (today < CYCLE)
        (void)run_day(w, today++);
    start = clock_us();
    while (today < (1 + cycles) * CYCLE)
        n_updates += run_day(w, today++);
    double rate = (double)n_updates / (double)(clock_us() - start);
    for (uint32_t i = 0; i < RING; i++)
        free(w->days[i].messages);
    free(w->peers);
    free(w->samples);
    free(w->senders);
    free(w);
    return rate;
}
