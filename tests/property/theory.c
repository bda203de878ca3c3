/* The gossip core against theory, without learning: what exchanges of the deployed state machine do
 * to the values that they average. Each line says what it holds, the theoretical value, the
 * measured one, and the tolerance; a miss fails.
 *
 * usage: theory          FULL=1: ten times the runs
 *
 * A measured mean of independent draws is held to its expectation within 4.5 of its standard
 * errors: seeds are fixed, so a line that passes once passes always.
 */
#include "base/mem.h"
#include "tests/support/cores.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N = 16, DIM = 32 };
#define SIGMAS 4.5

static int n_lines, n_missed;
static uint32_t effort = 1;

static void judge(bool holds, const char *what, double theory, double measured, double tolerance)
{
    n_lines++;
    n_missed += !holds;
    printf("%s %-74s theory %-11.6g measured %-11.6g tolerance %.2g\n", holds ? "ok  " : "MISS",
           what, theory, measured, tolerance);
}

static void judge_near(const char *what, double theory, double measured, double tolerance)
{
    judge(fabs(measured - theory) <= tolerance, what, theory, measured, tolerance);
}

static void judge_most(const char *what, double most, double measured)
{
    judge(measured <= most, what, most, measured, 0);
}

/* A mean of draws, and its standard error. */
struct mean {
    double n, sum, squares;
};

static void mean_add(struct mean *m, double x)
{
    m->n++;
    m->sum += x;
    m->squares += x * x;
}

static double mean_get(const struct mean *m)
{
    return m->sum / m->n;
}

static double mean_error(const struct mean *m)
{
    double mean = mean_get(m);
    return sqrt((m->squares / m->n - mean * mean) / (m->n - 1));
}

static void judge_mean(const char *what, double theory, const struct mean *m)
{
    judge_near(what, theory, mean_get(m), SIGMAS * mean_error(m));
}

/* ---- graphs ---------------------------------------------------------------------------------- */

struct graph {
    const char *name;
    const uint32_t *rows[N];
    uint32_t lists[N][N + 1], degree[N];
};

static void add_edge(struct graph *g, uint32_t i, uint32_t j)
{
    g->lists[i][g->degree[i]++] = j;
    g->lists[i][g->degree[i]] = GOSSIP_NONE;
    g->rows[i] = g->lists[i];
}

static bool is_edge(const char *name, uint32_t i, uint32_t j)
{
    enum { SIDE = 4 };
    uint32_t row = (i / SIDE + SIDE - j / SIDE) % SIDE,
             column = (i % SIDE + SIDE - j % SIDE) % SIDE;
    bool next_row = row == 1 || row == SIDE - 1, next_column = column == 1 || column == SIDE - 1;
    uint32_t bits = i ^ j, ahead = (j + N - i) % N;
    switch (name[0]) {
    case 'c': /* complete */
        return true;
    case 'r': /* ring */
        return ahead == 1 || ahead == N - 1;
    case 'p': /* path */
        return (ahead == 1 && i < j) || (ahead == N - 1 && j < i);
    case 't': /* torus */
        return (next_row && column == 0) || (row == 0 && next_column);
    case 'h': /* hypercube */
        return (bits & (bits - 1)) == 0;
    case 's': /* star */
        return i == 0 || j == 0;
    default: /* directed: a one-way ring, and ways from peer 0 to every third one */
        return ahead == 1 || (i == 0 && j % 3 == 0);
    }
}

static struct graph *graph_new(const char *name)
{
    struct graph *g = MEM_NEW(struct graph, 1);
    g->name = name;
    for (uint32_t i = 0; i < N; i++)
        for (uint32_t j = 0; j < N; j++)
            if (i != j && is_edge(name, i, j))
                add_edge(g, i, j);
    return g;
}

/* The expected mixing matrix of one exchange whose initiator and its choice are drawn evenly: of
 * pairwise E[W] = E[W^T W], both going to their middle; of a one-way merge only j does. */
static void expected_mixing(const struct graph *g, bool one_way, double w[N][N])
{
    memset(w, 0, sizeof(double) * N * N);
    for (uint32_t i = 0; i < N; i++)
        w[i][i] = 1;
    for (uint32_t i = 0; i < N; i++)
        for (uint32_t k = 0; k < g->degree[i]; k++) {
            uint32_t j = g->lists[i][k];
            double p = 0.5 / N / g->degree[i];
            w[j][j] -= p;
            w[j][i] += p;
            if (!one_way) {
                w[i][i] -= p;
                w[i][j] += p;
            }
        }
}

/* x = W x (or its transpose), so often that the largest eigenvalue's vector is left; with centre,
 * of those orthogonal to 1. Returns the eigenvalue; x has norm 1. */
static double power(double w[N][N], bool transpose, bool centre, double x[N])
{
    enum { ROUNDS = 200000 };
    double value = 0;
    for (uint32_t i = 0; i < N; i++)
        x[i] = 1 + i * i % 7;
    for (int round = 0; round < ROUNDS; round++) {
        double y[N] = {0}, mean = 0, norm = 0;
        for (uint32_t i = 0; i < N; i++)
            for (uint32_t j = 0; j < N; j++)
                y[i] += (transpose ? w[j][i] : w[i][j]) * x[j];
        for (uint32_t i = 0; i < N; i++)
            mean += y[i] / N;
        for (uint32_t i = 0; i < N; i++) {
            y[i] -= centre ? mean : 0;
            norm += y[i] * y[i];
        }
        value = sqrt(norm);
        for (uint32_t i = 0; i < N; i++)
            x[i] = y[i] / value;
    }
    return value;
}

/* ---- swarms ---------------------------------------------------------------------------------- */

static double mean_of(struct cores *s, uint32_t n, uint32_t d)
{
    double sum = 0;
    for (uint32_t i = 0; i < n; i++)
        sum += cores_mass(s, i) * (double)cores_values(s, i)[d] / n;
    return sum;
}

/* Sum of squares to the mean, over peers and values. */
static double distance(struct cores *s, uint32_t n, uint32_t dim)
{
    double sum = 0;
    for (uint32_t d = 0; d < dim; d++) {
        double mean = 0;
        for (uint32_t i = 0; i < n; i++)
            mean += (double)cores_values(s, i)[d] / n;
        for (uint32_t i = 0; i < n; i++)
            sum += pow((double)cores_values(s, i)[d] - mean, 2);
    }
    return sum;
}

static void draw_values(struct cores *s, uint32_t n, uint32_t dim, struct rng *r)
{
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t d = 0; d < dim; d++)
            cores_values(s, i)[d] = (float)(2 * rng_uniform(r) - 1);
}

/* One exchange of a peer drawn evenly, to its end. */
static void exchange(struct cores *s, uint32_t n, struct rng *r)
{
    cores_initiate(s, rng_below(r, n));
    cores_drain(s);
}

/* Each peer initiates once in a period, at its own time. */
static void run_periods(struct cores *s, uint32_t n, uint32_t n_periods, uint64_t period_us)
{
    uint64_t start = cores_now(s);
    for (uint32_t k = 0; k < n_periods; k++)
        for (uint32_t i = 0; i < n; i++) {
            cores_run(s, start + k * period_us + i * period_us / n);
            cores_initiate(s, i);
        }
    cores_drain(s);
}

/* ---- contraction ------------------------------------------------------------------------------
 */

/* Boyd, Ghosh, Prabhakar, Shah 2006, "Randomized gossip algorithms", IEEE Trans. Inf. Theory 52:
 * E||x' - mean||^2 = x^T E[W^T W] x; on the complete graph (1 - 1/(n-1)) ||x - mean||^2. */
static void check_complete(uint32_t n)
{
    char what[100];
    struct mean ratio = {0};
    struct rng r = rng_stream(1, n, RNG_TEST);
    for (uint32_t run = 0; run < 100 * effort; run++) {
        struct cores_config config = {.mode = GOSSIP_PAIRWISE, .n = n, .dim = DIM, .seed = run};
        struct cores *s = cores_new(&config);
        draw_values(s, n, DIM, &r);
        for (uint32_t k = 0; k < 2 * n; k++) {
            double before = distance(s, n, DIM);
            exchange(s, n, &r);
            mean_add(&ratio, distance(s, n, DIM) / before);
        }
        cores_free(s);
    }
    snprintf(what, sizeof what,
             "pairwise, complete graph of %u: contraction an exchange, 1-1/(n-1)", n);
    judge_mean(what, 1 - 1.0 / (n - 1), &ratio);
}

static void check_graph(const char *name)
{
    struct graph *g = graph_new(name);
    struct mean ratio = {0};
    struct rng r = rng_stream(2, (uint32_t)name[0], RNG_TEST);
    double w[N][N], x[N];
    char what[100];
    expected_mixing(g, false, w);
    double lambda = power(w, false, true, x);
    struct cores_config config = {.mode = GOSSIP_PAIRWISE, .n = N, .dim = 1, .graph = g->rows};
    for (uint32_t run = 0; run < 2000 * effort; run++) {
        config.seed = run;
        struct cores *s = cores_new(&config);
        for (uint32_t i = 0; i < N; i++)
            cores_values(s, i)[0] = (float)x[i];
        double before = distance(s, N, 1);
        exchange(s, N, &r);
        mean_add(&ratio, distance(s, N, 1) / before);
        cores_free(s);
    }
    snprintf(what, sizeof what, "pairwise, %s of %u: slowest contraction, lambda_2(E[W^T W])", name,
             N);
    judge_mean(what, lambda, &ratio);
    free(g);
}

/* ---- the mean ----------------------------------------------------------------------------------
 */

/* Rounding alone: each of the 2E increments is off by half a unit in the last place of values of
 * about 1, independently. */
static void check_drift(uint16_t open, uint32_t delay)
{
    char what[100];
    struct rng r = rng_stream(3, open * 100 + delay, RNG_TEST);
    struct cores_config config = {.mode = GOSSIP_PAIRWISE,
                                  .n = N,
                                  .dim = DIM,
                                  .seed = 3,
                                  .open_per_slice = open,
                                  .delay_max_us = delay * 1000};
    struct cores *s = cores_new(&config);
    double start[DIM], worst = 0;
    draw_values(s, N, DIM, &r);
    for (uint32_t d = 0; d < DIM; d++)
        start[d] = mean_of(s, N, d);
    run_periods(s, N, 400 * effort, 1000);
    for (uint32_t d = 0; d < DIM; d++)
        worst = fmax(worst, fabs(mean_of(s, N, d) - start[d]));
    double bound = 3 * 0x1p-24 * sqrt(2.0 * (double)cores_counts(s).exchanges) / N;
    snprintf(what, sizeof what,
             "pairwise, %u open, delay to %u periods: drift of the mean, rounding", open, delay);
    judge_most(what, bound, worst);
    cores_free(s);
}

/* One-way merging, x_j = (x_i + x_j)/2, moves the mean by (x_i - x_j)/(2n); until agreement that
 * adds up to a variance of S0/(n(n+1)), S0 the sum of squares to the mean at the start. */
static void check_push_drift(enum gossip_mode mode)
{
    enum { EXCHANGES = 1000 };
    struct mean moved = {0};
    struct rng r = rng_stream(4, mode, RNG_TEST);
    double worst = 0;
    for (uint32_t run = 0; run < 300 * effort; run++) {
        struct cores_config config = {.mode = mode, .n = N, .dim = DIM, .seed = run};
        struct cores *s = cores_new(&config);
        draw_values(s, N, DIM, &r);
        double s0 = distance(s, N, DIM), start[DIM], squares = 0;
        for (uint32_t d = 0; d < DIM; d++)
            start[d] = mean_of(s, N, d);
        for (uint32_t k = 0; k < EXCHANGES; k++)
            exchange(s, N, &r);
        for (uint32_t d = 0; d < DIM; d++) {
            double off = (double)cores_values(s, 0)[d] - start[d];
            squares += off * off;
            worst = fmax(worst, fabs(off));
        }
        mean_add(&moved, squares / s0);
        cores_free(s);
    }
    if (mode == GOSSIP_PUSH)
        judge_mean("push: variance of the value agreed on, over S0, 1/(n(n+1))", 1.0 / N / (N + 1),
                   &moved);
    else
        judge_most("push-sum, the same exchanges: what is agreed on is off the mean by", 1e-6,
                   worst);
}

/* ---- push-sum ----------------------------------------------------------------------------------
 */

/* Kempe, Dobra, Gehrke 2003, "Gossip-based computation of aggregate information", FOCS:
 * contribution vectors v_i, of which v_ij is what is of j in i; the potential sum (v_ij - w_i/n)^2.
 * In rounds. */
static double potential(struct cores *s, uint32_t n)
{
    double sum = 0;
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t j = 0; j < n; j++)
            sum += pow(cores_mass(s, i) * ((double)cores_values(s, i)[j] - 1.0 / n), 2);
    return sum;
}

static void check_potential(uint32_t n)
{
    enum { ROUNDS = 12 };
    char what[100];
    struct mean ratio = {0};
    for (uint32_t run = 0; run < 200 * effort; run++) {
        struct cores_config config = {.mode = GOSSIP_PUSH_SUM, .n = n, .dim = n, .seed = run};
        struct cores *s = cores_new(&config);
        for (uint32_t i = 0; i < n; i++)
            cores_values(s, i)[i] = 1;
        for (uint32_t k = 0; k < ROUNDS; k++) {
            double before = potential(s, n);
            for (uint32_t i = 0; i < n; i++)
                cores_initiate(s, i);
            cores_drain(s);
            mean_add(&ratio, potential(s, n) / before);
        }
        cores_free(s);
    }
    snprintf(what, sizeof what,
             "push-sum of %u: potential a round, 1/2-(n-2)/(4(n-1)^2)-1/(2(n-1))", n);
    judge_mean(what, 0.5 - (n - 2) / (4.0 * (n - 1) * (n - 1)) - 1 / (2.0 * (n - 1)), &ratio);
}

static void check_loss(double loss, uint32_t delay)
{
    char what[100];
    struct rng r = rng_stream(5, delay, RNG_TEST);
    struct cores_config config = {.mode = GOSSIP_PUSH_SUM,
                                  .n = N,
                                  .dim = DIM,
                                  .seed = 5,
                                  .open_per_slice = 2,
                                  .delay_max_us = delay * 1000,
                                  .loss = loss};
    struct cores *s = cores_new(&config);
    double start[DIM], worst = 0;
    draw_values(s, N, DIM, &r);
    for (uint32_t d = 0; d < DIM; d++)
        start[d] = mean_of(s, N, d);
    run_periods(s, N, 200 * effort, 1000);
    for (uint32_t i = 0; i < N; i++)
        for (uint32_t d = 0; d < DIM; d++)
            worst = fmax(worst, fabs((double)cores_values(s, i)[d] - start[d]));
    struct cores_counts c = cores_counts(s);
    snprintf(what, sizeof what, "push-sum, %.0f %% loss, delay to %u periods: off the mean by",
             100 * loss, delay);
    judge_most(what, 2e-6, worst);
    snprintf(what, sizeof what, "  and the mass of peers and transfers, at %llu events, not exact",
             (unsigned long long)c.checks);
    judge(c.misses == 0 && c.checks > 1000, what, 0, (double)c.misses, 0);
    snprintf(what, sizeof what, "  %llu sent again, %llu taken in before, %llu back; given up",
             (unsigned long long)c.resent, (unsigned long long)c.repeated,
             (unsigned long long)c.credited);
    bool met = loss == 0 || (c.resent > 100 && c.repeated > 100);
    judge(c.unknown == 0 && met, what, 0, (double)c.unknown, 0);
    cores_free(s);
}

/* Who may send to whom is not symmetric: one-way merging agrees, in expectation, on the values
 * weighted by the left eigenvector of E[W], push-sum on the mean. */
static void check_directed(enum gossip_mode mode)
{
    enum { EXCHANGES = 6000 };
    struct graph *g = graph_new("directed");
    struct mean at[N] = {0};
    struct rng r = rng_stream(6, mode, RNG_TEST);
    double w[N][N], perron[N], sum = 0, worst = 0, most = 0, uneven = 0;
    expected_mixing(g, true, w);
    power(w, true, false, perron);
    for (uint32_t i = 0; i < N; i++)
        sum += perron[i];
    for (uint32_t run = 0; run < (mode == GOSSIP_PUSH ? 200 : 10) * effort; run++) {
        struct cores_config config = {
            .mode = mode, .n = N, .dim = N, .seed = run, .graph = g->rows};
        struct cores *s = cores_new(&config);
        for (uint32_t i = 0; i < N; i++)
            cores_values(s, i)[i] = 1;
        for (uint32_t k = 0; k < EXCHANGES; k++)
            exchange(s, N, &r);
        for (uint32_t j = 0; j < N; j++) {
            mean_add(&at[j], (double)cores_values(s, 0)[j]);
            worst = fmax(worst, fabs((double)cores_values(s, 0)[j] - 1.0 / N));
        }
        cores_free(s);
    }
    for (uint32_t j = 0; j < N; j++) {
        double error = mean_error(&at[j]);
        most = fmax(most, fabs(mean_get(&at[j]) - perron[j] / sum) / (error > 0 ? error : 1));
        uneven = fmax(uneven, perron[j] / sum * N);
    }
    if (mode == GOSSIP_PUSH) {
        judge_near("directed, one-way merging: from the Perron weights, standard errors", 0, most,
                   SIGMAS);
        judge(uneven > 1.5, "  whose largest is so many times an even share, above", 1.5, uneven,
              0);
    } else {
        judge_most("directed, push-sum: what is agreed on is off the mean by", 1e-5, worst);
    }
    free(g);
}

/* Pittel 1987, "On spreading a rumor": log2 n + ln n + O(1) rounds until all know. */
static void check_rumour(uint32_t n)
{
    char what[100];
    struct mean rounds = {0};
    for (uint32_t run = 0; run < (n > 2000 ? 10 : 40) * effort; run++) {
        struct cores_config config = {.mode = GOSSIP_PUSH, .n = n, .dim = 1, .seed = run};
        struct cores *s = cores_new(&config);
        uint32_t n_know = 1, k = 0;
        cores_values(s, 0)[0] = 1;
        for (; n_know < n; k++) {
            n_know = 0;
            for (uint32_t i = 0; i < n; i++)
                cores_initiate(s, i);
            cores_drain(s);
            for (uint32_t i = 0; i < n; i++)
                n_know += cores_values(s, i)[0] > 0;
        }
        mean_add(&rounds, k);
        cores_free(s);
    }
    snprintf(what, sizeof what, "push, %u peers: rounds until all have something of one", n);
    judge_near(what, log2(n) + log(n), mean_get(&rounds), 2);
}

int main(void)
{
    static const char *const graphs[] = {"complete", "ring", "path", "torus", "hypercube", "star"};
    const char *full = getenv("FULL");
    effort = full != NULL && full[0] != '\0' && full[0] != '0' ? 10 : 1;
    check_complete(4);
    check_complete(16);
    check_complete(64);
    for (size_t i = 0; i < sizeof graphs / sizeof graphs[0]; i++)
        check_graph(graphs[i]);
    check_drift(1, 0);
    check_drift(1, 3);
    check_drift(4, 5);
    check_push_drift(GOSSIP_PUSH);
    check_push_drift(GOSSIP_PUSH_SUM);
    check_potential(8);
    check_potential(32);
    check_loss(0, 5);
    check_loss(0.2, 0);
    check_loss(0.2, 5);
    check_directed(GOSSIP_PUSH);
    check_directed(GOSSIP_PUSH_SUM);
    check_rumour(256);
    check_rumour(1024);
    check_rumour(4096);
    printf("theory: %d held, %d missed\n", n_lines - n_missed, n_missed);
    return n_missed > 0;
}
