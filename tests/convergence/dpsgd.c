/* `hubbub sim --algorithm dpsgd` against the theory of decentralised gradient descent. The deployed
 * objects: sim/rounds and sim/mixing over model/learner.
 *
 * With lr = 0: ||X_t - mean|| <= rho^t ||X_0 - mean||, rho = ||W - 11'/n||_2, and the bound is
 * reached where W is symmetric (Xiao and Boyd 2004). Quadratics f_i = a/2 (x - b_i)^2, a = 2 (a
 * linear model on a feature that is 0 learns its bias alone; mean squared error), with eta = a lr:
 *   adapt-then-combine  X = W((1 - eta) X + eta B)   so  X = eta (I - (1 - eta) W)^-1 W B
 *   combine-then-adapt  X = W X - eta (X - B)        so  X = eta (I - W + eta I)^-1 B
 * (Yuan, Ling, Yin 2016; Sayed 2014, chapter 7). With targets of variance s^2, drawn one a step,
 * the mean over n nodes is an autoregressive process of variance eta s^2 / (n (2 - eta)). */
#include "base/check.h"
#include "base/mem.h"
#include "model/model.h"
#include "sim/inner.h"
#include "sim/spectrum.h"
#include "tests/support/bounds.h"
#include "tests/support/files.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CURVATURE 2.0 /* of the squared error */

static char data_dir[FILES_DIR_MAX], data_path[FILES_PATH_MAX];

/* A CSV with a feature that is always 0 and these targets. */
static void write_targets(const double *y, size_t n)
{
    enum { LINE_MAX_BYTES = 32 };
    char *text = MEM_NEW(char, n *LINE_MAX_BYTES + LINE_MAX_BYTES);
    size_t length = (size_t)sprintf(text, "x,y\n");
    for (size_t i = 0; i < n; i++)
        length += (size_t)sprintf(text + length, "0,%.9g\n", y[i]);
    files_write(data_dir, "targets.csv", text, length, 0, data_path);
    free(text);
}

static struct sim_config config(const char *topology, uint32_t n, double lr)
{
    static struct partition contiguous;
    struct error err;
    CHECK(partition_parse("contiguous", &contiguous, &err) == 0);
    struct sim_config c = {
        .algorithm = SIM_DPSGD,
        .n_nodes = n,
        .n_threads = 2,
        .topology = topology,
        .model_spec = "linear",
        .data = {.spec = data_path,
                 .test = data_path,
                 .label = "y",
                 .preprocess = {.normalize = NORMALIZE_NONE}},
        .partition = contiguous,
        .optim = optim_defaults(OPTIM_SGD),
        .batch = 1,
        .seed = 1,
        .cycles = 1,
        .every_steps = 1,
    };
    c.optim.lr = (float)lr;
    c.optim.momentum = 0;
    return c;
}

static struct sim *open_sim(const struct sim_config *c)
{
    struct sim *s;
    struct error err;
    if (sim_open(&s, c, &err) != 0) {
        fprintf(stderr, "%s\n", err.text);
        exit(1);
    }
    return s;
}

/* The bias is the last of a linear model's weights. */
static double bias(const struct sim *s, uint32_t node)
{
    return (double)sim_theta(s, node)[s->model.dim - 1];
}

/* ---- lr = 0: averaging alone -------------------------------------------------------------------
 */

static double distance(const struct sim *s)
{
    double sum = 0;
    for (uint64_t d = 0; d < s->model.dim; d++) {
        double mean = 0;
        for (uint32_t i = 0; i < s->config.n_nodes; i++)
            mean += (double)sim_theta(s, i)[d] / s->config.n_nodes;
        for (uint32_t i = 0; i < s->config.n_nodes; i++) {
            double x = (double)sim_theta(s, i)[d] - mean;
            sum += x * x;
        }
    }
    return sqrt(sum);
}

static void scatter(struct sim *s)
{
    struct rng rng = rng_stream(1, 0, RNG_TEST);
    for (uint32_t i = 0; i < s->config.n_nodes; i++)
        for (uint64_t d = 0; d < s->model.dim; d++)
            node_floats(s, sim_node(s, i))[d] = (float)rng_normal(&rng);
}

static double rho_of(const struct sim *s)
{
    struct mixing m;
    struct spectrum found;
    struct error err;
    mixing_init(&m, &s->topology, s->config.mixing, s->config.seed);
    CHECK(spectrum_find(&found, &m, &err) == 0);
    return 1 - found.gap;
}

/* The worst ||X_t - mean|| / (rho^t ||X_0 - mean||), and the factor of a period at the end, from
 * when the slowest part is all that is left until rounding is seen. */
static void contraction(const char *topology, uint32_t n, enum mixing_kind kind)
{
    enum { ROUNDS_MAX = 600, DIM = 64 };
    const double least = 1e-4; /* of the start: above rounding */
    struct sim_config c = config(topology, n, 0);
    c.data = (struct data_options){.spec = "blobs:classes=4,features=15,train=200,test=10"};
    c.model_spec = "softmax";
    c.mixing = kind;
    c.partition = partition_iid;
    struct sim *s = open_sim(&c);
    struct mixing m;
    CHECK(s->model.dim == DIM);
    mixing_init(&m, &s->topology, kind, c.seed);
    scatter(s);
    double rho = rho_of(s), first = distance(s), last = first, worst = 0, factor = 0;
    uint32_t period = mixing_period(&m);
    bool directed = s->topology.kind >= TOPOLOGY_EXPONENTIAL &&
                    s->topology.kind <= TOPOLOGY_ONE_PEER_EXPONENTIAL;
    for (uint32_t t = 1; t * period <= ROUNDS_MAX && last > least * first; t++) {
        sim_run_cycles(s, (uint64_t)t * period);
        double now = distance(s);
        worst = fmax(worst, now / (pow(rho, t) * first));
        factor = now / last;
        last = now;
    }
    bounds_below(1, worst, 1e-4,
                 "%s of %u, %s weights, lr 0: distance over rho^t of its start, worst", topology, n,
                 mixing_kind_names[kind]);
    if (!directed)
        bounds_near(rho, factor, 2e-3, "%s of %u, %s weights, lr 0: factor a round, rho", topology,
                    n, mixing_kind_names[kind]);
    sim_close(s);
}

static void contractions(void)
{
    static const char *const topologies[] = {"ring",      "path",   "torus",
                                             "hypercube", "star",   "exponential",
                                             "regular:4", "er:0.3", "smallworld:4,0.2"};
    for (size_t i = 0; i < sizeof topologies / sizeof topologies[0]; i++)
        for (int kind = 0; kind < N_MIXING_KINDS; kind++)
            contraction(topologies[i], 16, (enum mixing_kind)kind);
    contraction("one-peer-exponential", 12, MIXING_METROPOLIS);
}

/* With n = 2^k one peer a round averages exactly: what is left after log2 n rounds is rounding, and
 * before them it is not. */
static void exact_averaging(void)
{
    for (uint32_t k = 1; k <= 8; k++) {
        uint32_t n = 1u << k;
        struct sim_config c = config("one-peer-exponential", n, 0);
        c.data = (struct data_options){.spec = "blobs:classes=4,features=15,train=2000,test=10"};
        c.model_spec = "softmax";
        struct sim *s = open_sim(&c);
        scatter(s);
        double first = distance(s);
        sim_run_cycles(s, k - 1);
        bool is_left = distance(s) > 1e-3 * first;
        sim_run_cycles(s, k);
        bounds_near(0, is_left ? distance(s) / first : 1, 1e-6,
                    "one-peer-exponential of %u, lr 0: distance left after %u rounds", n, k);
        sim_close(s);
    }
}

/* ---- quadratics: fixed points
 * -------------------------------------------------------------------- */

static double *mixing_matrix(const struct sim *s)
{
    size_t n = s->config.n_nodes;
    struct mixing m;
    mixing_init(&m, &s->topology, s->config.mixing, s->config.seed);
    struct mixing_entry *row = MEM_NEW(struct mixing_entry, (size_t)m.degree_max + 1);
    double *w = MEM_NEW(double, n *n);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t n_entries = mixing_row(&m, 0, i, row);
        for (uint32_t k = 0; k < n_entries; k++)
            w[i * n + row[k].node] += row[k].weight;
    }
    free(row);
    return w;
}

/* x [n] where the rounds come to rest. */
static void fixed_point(const struct sim *s, double eta, const double *b, double *x)
{
    size_t n = s->config.n_nodes;
    double *w = mixing_matrix(s), *a = MEM_NEW(double, n *n);
    bool combine_first = s->config.order == SIM_COMBINE_THEN_ADAPT;
    for (size_t i = 0; i < n; i++) {
        x[i] = combine_first ? eta * b[i] : 0;
        for (size_t j = 0; j < n; j++) {
            a[i * n + j] = (i == j) - (combine_first ? 1 : 1 - eta) * w[i * n + j];
            a[i * n + j] += combine_first && i == j ? eta : 0;
            x[i] += combine_first ? 0 : eta * w[i * n + j] * b[j];
        }
    }
    bounds_solve(a, x, n, 1);
    free(a);
    free(w);
}

static void fixed_points(void)
{
    enum { N = 16, ROUNDS = 400 };
    static const char *const topologies[] = {"ring",  "path",        "star",
                                             "torus", "exponential", "er:0.3"};
    static const char *const orders[] = {"adapt-then-combine", "combine-then-adapt"};
    const double eta = 0.2;
    double b[N], x[N];
    struct rng rng = rng_stream(2, 0, RNG_TEST);
    for (int i = 0; i < N; i++)
        b[i] = rng_normal(&rng);
    write_targets(b, N);
    for (size_t i = 0; i < sizeof topologies / sizeof topologies[0]; i++)
        for (int order = 0; order < 2; order++) {
            struct sim_config c = config(topologies[i], N, eta / CURVATURE);
            c.order = (enum sim_order)order;
            struct sim *s = open_sim(&c);
            double worst = 0, apart = 0;
            sim_run_cycles(s, ROUNDS);
            fixed_point(s, eta, b, x);
            for (uint32_t k = 0; k < N; k++) {
                worst = fmax(worst, fabs(bias(s, k) - x[k]));
                apart = fmax(apart, fabs(x[k] - x[0]));
            }
            bounds_near(0, apart > 0.01 ? worst : 1, 1e-5,
                        "quadratics on %s of %d, %s: error of the fixed point", topologies[i], N,
                        orders[order]);
            sim_close(s);
        }
}

/* ---- quadratics with noise
 * ----------------------------------------------------------------------- */

struct point {
    double log_n, log_variance;
};

/* n nodes, or, where they are one, the mean over nodes that are alone. */
static double stationary_variance(uint32_t n, uint32_t n_rounds, double eta)
{
    enum { BURN_IN = 100 };
    struct sim_config c = config("ring", n > 1 ? n : 16, eta / CURVATURE);
    c.algorithm = n > 1 ? SIM_DPSGD : SIM_LOCAL;
    struct sim *s = open_sim(&c);
    double sum = 0;
    for (uint32_t t = 1; t <= n_rounds; t++) {
        double mean = 0, squares = 0;
        sim_run_cycles(s, t);
        for (uint32_t i = 0; i < c.n_nodes; i++) {
            double x = bias(s, i);
            mean += x / c.n_nodes;
            squares += x * x / c.n_nodes;
        }
        if (t > BURN_IN)
            sum += (n > 1 ? mean * mean : squares) / (n_rounds - BURN_IN);
    }
    sim_close(s);
    return sum;
}

static double slope(const struct point *p, size_t n)
{
    double x = 0, y = 0, xx = 0, xy = 0;
    for (size_t i = 0; i < n; i++) {
        x += p[i].log_n / (double)n;
        y += p[i].log_variance / (double)n;
    }
    for (size_t i = 0; i < n; i++) {
        xx += (p[i].log_n - x) * (p[i].log_n - x);
        xy += (p[i].log_n - x) * (p[i].log_variance - y);
    }
    return xy / xx;
}

/* No sample is drawn twice, so the noise of steps is independent. */
static void stationary_variances(void)
{
    enum { N_SIZES = 7, N_MAX = 64 };
    const uint32_t n_rounds = bounds_full() ? 20000 : 8000;
    const double eta = 0.2, left = (1 - eta) * (1 - eta);
    /* Of an average of squares of a process that forgets by 1 - eta a round: its relative error. */
    double error = sqrt(2 * (1 + left) / (1 - left) / n_rounds);
    size_t n_samples = (size_t)N_MAX * n_rounds;
    double *y = MEM_NEW(double, n_samples);
    struct point points[N_SIZES];
    struct rng rng = rng_stream(3, 0, RNG_TEST);
    for (size_t i = 0; i < n_samples; i++)
        y[i] = rng_normal(&rng);
    write_targets(y, n_samples);
    free(y);
    for (uint32_t k = 0; k < N_SIZES; k++) {
        uint32_t n = 1u << k;
        double measured = stationary_variance(n, n_rounds, eta), theory = eta / (n * (2 - eta));
        points[k] = (struct point){log(n), log(measured)};
        bounds_near(theory, measured, 4 * error * theory,
                    "noisy quadratics, mean of %u: stationary variance", n);
    }
    bounds_near(-1, slope(points, N_SIZES), 0.1,
                "noisy quadratics: slope of log variance over log n, 1 to %d", N_MAX);
}

int main(void)
{
    files_begin(data_dir);
    contractions();
    exact_averaging();
    fixed_points();
    stationary_variances();
    files_end(data_dir);
    return bounds_end();
}
