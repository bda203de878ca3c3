/* Mixing matrices: doubly stochastic, with the spectral gap of the closed forms.
 *
 * The deployed objects: sim/topology, sim/mixing, sim/spectrum; those of `hubbub topo` and of
 * `hubbub sim --algorithm dpsgd`. Gaps are 1 - ||W - 11'/n||_2. Sources: eigenvalues of circulant
 * matrices and of sums of them (ring, path, torus), characters (hypercube), Ying et al. 2021, arXiv
 * 2110.13363, theorem 1 (exponential) and lemma 1 (one peer). */
#include "base/check.h"
#include "base/mem.h"
#include "model/model.h"
#include "sim/spectrum.h"
#include "tests/support/bounds.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct world {
    struct topology topology;
    struct mixing mixing;
    struct mixing_entry *row;
};

static void open_world(struct world *w, const char *spec, uint32_t n, enum mixing_kind kind)
{
    struct error err;
    CHECK(topology_init(&w->topology, spec, n, 1, &err) == 0);
    mixing_init(&w->mixing, &w->topology, kind, 1);
    w->row = MEM_NEW(struct mixing_entry, (size_t)w->mixing.degree_max + 1);
}

static void close_world(struct world *w)
{
    free(w->row);
    topology_close(&w->topology);
}

/* W of the round, [n, n]; to be freed. */
static double *matrix(struct world *w, uint64_t round)
{
    size_t n = w->topology.n;
    double *a = MEM_NEW(double, n *n);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t n_entries = mixing_row(&w->mixing, round, i, w->row);
        for (uint32_t k = 0; k < n_entries; k++)
            a[i * n + w->row[k].node] += w->row[k].weight;
    }
    return a;
}

/* ---- sums of rows and columns ------------------------------------------------------------------
 */

static double worst_sum(struct world *w, uint64_t round)
{
    size_t n = w->topology.n;
    double *a = matrix(w, round), worst = 0;
    for (size_t i = 0; i < n; i++) {
        double row = 0, column = 0;
        for (size_t j = 0; j < n; j++) {
            row += a[i * n + j];
            column += a[j * n + i];
            worst = fmax(worst, -a[i * n + j]);
        }
        worst = fmax(worst, fmax(fabs(row - 1), fabs(column - 1)));
    }
    free(a);
    return worst;
}

static void doubly_stochastic(void)
{
    static const char *const specs[] = {"complete",    "ring",
                                        "path",        "torus",
                                        "star",        "hypercube",
                                        "exponential", "one-peer-exponential",
                                        "random",      "regular:3",
                                        "regular:4",   "er:0.1",
                                        "er:0.01",     "smallworld:4,0.3"};
    for (size_t i = 0; i < sizeof specs / sizeof specs[0]; i++)
        for (int kind = 0; kind < N_MIXING_KINDS; kind++) {
            double worst = 0;
            for (uint32_t n = 16; n <= 64; n += strcmp(specs[i], "hypercube") == 0 ? n : 12) {
                struct world w;
                open_world(&w, specs[i], n, (enum mixing_kind)kind);
                for (uint64_t round = 0; round < 7; round++)
                    worst = fmax(worst, worst_sum(&w, round));
                close_world(&w);
            }
            bounds_near(0, worst, 1e-12, "%s, %s weights: rows and columns sum to 1, error",
                        specs[i], mixing_kind_names[kind]);
        }
}

/* ---- gaps
 * ---------------------------------------------------------------------------------------- */

static double gap(const char *spec, uint32_t n, enum mixing_kind kind)
{
    struct world w;
    struct spectrum s;
    struct error err;
    open_world(&w, spec, n, kind);
    CHECK(spectrum_find(&s, &w.mixing, &err) == 0);
    CHECK(s.is_exact);
    close_world(&w);
    return s.gap;
}

static double ring_gap(double n)
{
    return 2.0 / 3 * (1 - cos(2 * M_PI / n));
}

static double path_gap(double n)
{
    return 2.0 / 3 * (1 - cos(M_PI / n));
}

static double torus_gap(double n)
{
    return 2.0 / 5 * (1 - cos(2 * M_PI / sqrt(n)));
}

static double hypercube_gap(double n)
{
    return 2 / (log2(n) + 1);
}

static double star_gap(double n)
{
    return 1 / n;
}

static double complete_gap(double n)
{
    (void)n;
    return 1;
}

static double exponential_gap(double n)
{
    return 2 / (1 + ceil(log2(n)));
}

/* All eigenvalues up to 2,000 nodes, Lanczos' iteration above. */
static void closed_forms(void)
{
    static const struct {
        const char *spec;
        double (*gap)(double n);
        uint32_t sizes[8];
    } cases[] = {
        {"ring", ring_gap, {3, 4, 16, 101, 600, 2400}},
        {"path", path_gap, {3, 16, 101, 600, 2400}},
        {"torus", torus_gap, {9, 16, 49, 576, 2500, 10000}},
        {"hypercube", hypercube_gap, {2, 16, 64, 512, 4096, 65536}},
        {"star", star_gap, {3, 8, 64, 500, 5000}},
        {"complete", complete_gap, {2, 16, 500}},
        {"exponential", exponential_gap, {4, 6, 12, 64, 100, 498, 3000, 65536}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (size_t k = 0; k < 8 && cases[i].sizes[k] > 0; k++) {
            uint32_t n = cases[i].sizes[k];
            double theory = cases[i].gap(n);
            bounds_near(theory, gap(cases[i].spec, n, MIXING_METROPOLIS),
                        n <= SPECTRUM_DENSE_MAX ? 1e-10 : 1e-5 * theory, "%s of %u: spectral gap",
                        cases[i].spec, n);
        }
    /* The same weight on each edge: the star's leaves lose 1/n in one direction, as above. */
    bounds_near(star_gap(64), gap("star", 64, MIXING_UNIFORM), 1e-10,
                "star of 64, uniform weights: spectral gap");
    bounds_near(path_gap(64), gap("path", 64, MIXING_UNIFORM), 1e-10,
                "path of 64, uniform weights: spectral gap");
}

/* ---- one peer a round
 * ------------------------------------------------------------------------------ */

static void one_peer(void)
{
    for (uint32_t n = 2; n <= 1024; n *= 4)
        bounds_near(1, gap("one-peer-exponential", n, MIXING_METROPOLIS), 1e-12,
                    "one-peer-exponential of %u: gap of its log2 n rounds", n);
    bounds_near(1, gap("one-peer-exponential", 4096, MIXING_METROPOLIS), 1e-6,
                "one-peer-exponential of 4096: gap of its log2 n rounds");
    /* Not a power of two: a circulant matrix whose eigenvalues are products of cosines. */
    double rho = 0;
    for (uint32_t j = 1; j < 12; j++) {
        double product = 1;
        for (uint32_t k = 0; k < 4; k++)
            product *= fabs(cos(M_PI * j * (1 << k) / 12));
        rho = fmax(rho, product);
    }
    bounds_near(1 - rho, gap("one-peer-exponential", 12, MIXING_METROPOLIS), 1e-7,
                "one-peer-exponential of 12: gap of its 4 rounds");
}

/* E ||W x||^2 / ||x||^2 over the matchings that rounds draw, for x orthogonal to (1, ..., 1). */
static void random_matchings(void)
{
    enum { ROUNDS = 20000, N = 9 };
    for (uint32_t n = N - 1; n <= N; n++) {
        struct world w;
        double x[N], mean = 0, before = 0, sum = 0, squares = 0;
        struct rng rng = rng_stream(1, 0, RNG_TEST);
        open_world(&w, "random", n, MIXING_METROPOLIS);
        for (uint32_t i = 0; i < n; i++)
            mean += (x[i] = rng_normal(&rng)) / n;
        for (uint32_t i = 0; i < n; i++)
            before += (x[i] - mean) * (x[i] - mean);
        for (uint64_t round = 0; round < ROUNDS; round++) {
            double left = 0;
            for (uint32_t i = 0; i < n; i++) {
                double mixed = -mean;
                uint32_t n_entries = mixing_row(&w.mixing, round, i, w.row);
                for (uint32_t k = 0; k < n_entries; k++)
                    mixed += w.row[k].weight * x[w.row[k].node];
                left += mixed * mixed;
            }
            sum += left / before;
            squares += left / before * left / before;
        }
        mean = sum / ROUNDS;
        double error = sqrt((squares / ROUNDS - mean * mean) / ROUNDS);
        bounds_near(1 - gap("random", n, MIXING_METROPOLIS), mean, 4 * error,
                    "random matchings of %u: what a round leaves of the squared distance", n);
        close_world(&w);
    }
}

int main(void)
{
    struct error err;
    CHECK(model_blas_setup(1, 0, &err) == 0);
    doubly_stochastic();
    closed_forms();
    one_peer();
    random_matchings();
    return bounds_end();
}
