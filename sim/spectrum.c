#include "sim/spectrum.h"

#include "base/check.h"
#include "base/mem.h"

#include <cblas.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define ENTRIES_MAX (UINT64_C(1) << 25) /* of a matrix above SPECTRUM_DENSE_MAX nodes */
#define WORK_MAX    1e10                /* entries times steps of the iteration */
#define ROUNDING    1e-13               /* a gap below is none: the graph is not connected */

/* LAPACK's, which OpenBLAS holds and Debian gives no header for: eigenvalues of a symmetric matrix,
 * ascending. */
void dsyev_(const char *jobz, const char *uplo, const int *n, double *a, const int *lda, double *w,
            double *work, const int *lwork, int *info);

/* ---- small: all eigenvalues ------------------------------------------------------------------ */

/* The product of a period's matrices, [n, n]. */
static double *dense_product(const struct mixing *m, struct mixing_entry *row)
{
    size_t n = m->topology->n;
    double *product = MEM_NEW(double, n *n), *last = MEM_NEW(double, n *n);
    for (uint32_t round = 0; round < mixing_period(m); round++) {
        double *before = product;
        product = last;
        last = before;
        memset(product, 0, n * n * sizeof *product);
        for (uint32_t i = 0; i < n; i++) {
            uint32_t n_entries = mixing_row(m, round, i, row);
            for (uint32_t k = 0; k < n_entries; k++)
                if (round == 0)
                    product[i * n + row[k].node] += row[k].weight;
                else
                    cblas_daxpy((int)n, row[k].weight, last + row[k].node * n, 1, product + i * n,
                                1);
        }
    }
    free(last);
    return product;
}

static bool is_symmetric(const double *a, size_t n)
{
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < i; j++)
            if (fabs(a[i * n + j] - a[j * n + i]) > 1e-14)
                return false;
    return true;
}

/* The largest magnitude of an eigenvalue of a symmetric matrix, which is overwritten. */
static double symmetric_norm(double *a, int n)
{
    double *values = MEM_NEW(double, (size_t)n), best;
    int n_work = -1, info;
    dsyev_("N", "U", &n, a, &n, values, &best, &n_work, &info);
    CHECK(info == 0);
    n_work = (int)best;
    double *work = MEM_NEW(double, (size_t)n_work);
    dsyev_("N", "U", &n, a, &n, values, work, &n_work, &info);
    CHECK(info == 0);
    double norm = fmax(fabs(values[0]), fabs(values[n - 1]));
    free(values);
    free(work);
    return norm;
}

static double dense_norm(const struct mixing *m, struct mixing_entry *row)
{
    size_t n = m->topology->n;
    double *a = dense_product(m, row), norm;
    for (size_t i = 0; i < n * n; i++)
        a[i] -= 1 / (double)n;
    if (is_symmetric(a, n)) {
        norm = symmetric_norm(a, (int)n);
    } else {
        double *square = MEM_NEW(double, n *n);
        cblas_dsyrk(CblasColMajor, CblasUpper, CblasTrans, (int)n, (int)n, 1, a, (int)n, 0, square,
                    (int)n);
        norm = sqrt(symmetric_norm(square, (int)n));
        free(square);
    }
    free(a);
    return norm;
}

/* ---- large: Lanczos -------------------------------------------------------------------------- */

/* A period's matrices, row after row, round after round. */
struct sparse {
    uint32_t n, period;
    uint64_t *starts; /* [period * n + 1] */
    struct mixing_entry *entries;
};

static void make_sparse(struct sparse *s, const struct mixing *m, struct mixing_entry *row)
{
    uint64_t n_entries = 0, n_rows = (uint64_t)s->n * s->period;
    for (uint64_t i = 0; i < n_rows; i++)
        n_entries += mixing_row(m, i / s->n, (uint32_t)(i % s->n), row);
    s->starts = MEM_NEW(uint64_t, n_rows + 1);
    s->entries = MEM_NEW(struct mixing_entry, n_entries);
    for (uint64_t i = 0; i < n_rows; i++)
        s->starts[i + 1] =
            s->starts[i] + mixing_row(m, i / s->n, (uint32_t)(i % s->n), s->entries + s->starts[i]);
}

static void multiply(const struct sparse *s, uint32_t round, const double *x, double *y)
{
    const uint64_t *starts = s->starts + (uint64_t)round * s->n;
    for (uint32_t i = 0; i < s->n; i++) {
        double sum = 0;
        for (uint64_t e = starts[i]; e < starts[i + 1]; e++)
            sum += s->entries[e].weight * x[s->entries[e].node];
        y[i] = sum;
    }
}

static void multiply_transposed(const struct sparse *s, uint32_t round, const double *x, double *y)
{
    const uint64_t *starts = s->starts + (uint64_t)round * s->n;
    memset(y, 0, s->n * sizeof *y);
    for (uint32_t i = 0; i < s->n; i++)
        for (uint64_t e = starts[i]; e < starts[i + 1]; e++)
            y[s->entries[e].node] += s->entries[e].weight * x[i];
}

/* x = W'W x, W the product of the rounds, and no part of it along (1, ..., 1). */
static void apply(const struct sparse *s, double *x, double *spare)
{
    double mean = 0;
    for (uint32_t round = 0; round < s->period; round++) {
        multiply(s, round, x, spare);
        memcpy(x, spare, s->n * sizeof *x);
    }
    for (uint32_t round = s->period; round-- > 0;) {
        multiply_transposed(s, round, x, spare);
        memcpy(x, spare, s->n * sizeof *x);
    }
    for (uint32_t i = 0; i < s->n; i++)
        mean += x[i] / s->n;
    for (uint32_t i = 0; i < s->n; i++)
        x[i] -= mean;
}

/* The largest eigenvalue of the tridiagonal matrix, in [0, 1], by bisection: of T - x the number of
 * negative pivots is that of eigenvalues below x (Sturm). */
static double largest(const double *diagonal, const double *beside, uint32_t n)
{
    double low = 0, high = 1 + 1e-9;
    for (int halving = 0; halving < 60; halving++) {
        double x = (low + high) / 2, pivot = 1;
        uint32_t n_below = 0;
        for (uint32_t i = 0; i < n; i++) {
            double b = i > 0 ? beside[i - 1] : 0;
            pivot = diagonal[i] - x - b * b / pivot;
            if (pivot == 0)
                pivot = 1e-300;
            n_below += pivot < 0;
        }
        *(n_below == n ? &high : &low) = x;
    }
    return (low + high) / 2;
}

static double gap_of(double square)
{
    return 1 - sqrt(fmin(square, 1));
}

/* Without reorthogonalisation: copies of eigenvalues do not matter to the largest. Settled when a
 * third more steps change the gap by less than a millionth of it. */
static struct spectrum lanczos(const struct sparse *s, uint32_t n_steps_max)
{
    double *v = MEM_NEW(double, s->n), *before = MEM_NEW(double, s->n);
    double *x = MEM_NEW(double, s->n), *spare = MEM_NEW(double, s->n);
    double *diagonal = MEM_NEW(double, n_steps_max), *beside = MEM_NEW(double, n_steps_max);
    struct spectrum found = {.gap = 2};
    struct rng rng = rng_stream(1, 0, RNG_TOPOLOGY);
    double norm = 0, mean = 0;
    for (uint32_t i = 0; i < s->n; i++)
        mean += (x[i] = rng_normal(&rng)) / s->n;
    for (uint32_t i = 0; i < s->n; i++)
        x[i] -= mean;
    norm = cblas_dnrm2((int)s->n, x, 1);
    for (uint32_t step = 0, look = 30; step < n_steps_max && !found.is_exact; step++) {
        for (uint32_t i = 0; i < s->n; i++) {
            before[i] = v[i];
            v[i] = x[i] / norm;
        }
        memcpy(x, v, s->n * sizeof *x);
        apply(s, x, spare);
        diagonal[step] = cblas_ddot((int)s->n, v, 1, x, 1);
        cblas_daxpy((int)s->n, -diagonal[step], v, 1, x, 1);
        if (step > 0)
            cblas_daxpy((int)s->n, -norm, before, 1, x, 1);
        norm = beside[step] = cblas_dnrm2((int)s->n, x, 1);
        bool invariant = norm < 1e-13, last = step + 1 == n_steps_max || invariant;
        if (step < look && !last)
            continue;
        double gap = gap_of(largest(diagonal, beside, step + 1));
        found.is_exact = invariant || found.gap - gap < 1e-6 * gap;
        found.gap = gap;
        look = step + step / 3;
    }
    free(v);
    free(before);
    free(x);
    free(spare);
    free(diagonal);
    free(beside);
    return found;
}

static int find_large(struct spectrum *spectrum, const struct mixing *m, struct mixing_entry *row,
                      struct error *err)
{
    struct sparse s = {.n = m->topology->n, .period = mixing_period(m)};
    uint64_t n_entries = 0;
    for (uint32_t i = 0; i < s.n; i++)
        n_entries +=
            s.period * (1 + (s.period == 1 ? (uint64_t)topology_degree(m->topology, i) : 1));
    if (n_entries > ENTRIES_MAX)
        return error_set(err, ERR_USAGE,
                         "a mixing matrix of %" PRIu32 " nodes with %" PRIu64
                         " entries (right: at most %" PRIu64 ")",
                         s.n, n_entries, ENTRIES_MAX);
    make_sparse(&s, m, row);
    *spectrum = lanczos(&s, (uint32_t)fmin(WORK_MAX / (double)(2 * n_entries + 8 * s.n), s.n));
    free(s.starts);
    free(s.entries);
    return 0;
}

int spectrum_find(struct spectrum *spectrum, const struct mixing *m, struct error *err)
{
    double n = (double)m->topology->n;
    *spectrum = (struct spectrum){.gap = 1, .is_exact = true};
    if (m->topology->kind == TOPOLOGY_COMPLETE && m->topology->n > SPECTRUM_DENSE_MAX)
        return 0; /* W = 11'/n */
    if (m->topology->kind == TOPOLOGY_RANDOM) {
        /* W = (1 + P)/2 for the permutation P of a matching, a projection, so W'W = W; a pair is
         * matched with probability 1/(n - 1), with n odd 1/n. */
        spectrum->gap = m->topology->n % 2 == 0 ? n / (2 * (n - 1)) : 0.5;
        return 0;
    }
    struct mixing_entry *row = MEM_NEW(struct mixing_entry, (size_t)m->degree_max + 1);
    int rc = 0;
    if (m->topology->n <= SPECTRUM_DENSE_MAX)
        spectrum->gap = 1 - dense_norm(m, row);
    else
        rc = find_large(spectrum, m, row, err);
    if (spectrum->gap < ROUNDING)
        spectrum->gap = 0;
    free(row);
    return rc;
}
