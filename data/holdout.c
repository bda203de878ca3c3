#include "data/holdout.h"

#include "base/check.h"
#include "base/rng.h"

#include <math.h>

struct holdout holdout_of(uint32_t n, double fraction, uint64_t seed)
{
    CHECK(n >= 2 && fraction > 0 && fraction <= 0.5);
    uint32_t m = (uint32_t)floor(fraction * n + 0.5);
    m = m < 1 ? 1 : m > n / 2 ? n / 2 : m;
    return (struct holdout){.n = n, .m = m, .seed = seed};
}

/* The first row of stratum j; that of j = m is n. */
static uint32_t bound(const struct holdout *h, uint32_t j)
{
    return (uint32_t)((uint64_t)h->n * j / h->m);
}

uint32_t holdout_test_row(const struct holdout *h, uint32_t i)
{
    struct rng rng = rng_stream(h->seed, 0, RNG_HOLDOUT);
    rng.index = (uint64_t)i << 16;
    uint32_t from = bound(h, i);
    return from + rng_below(&rng, bound(h, i + 1) - from);
}

uint32_t holdout_train_row(const struct holdout *h, uint32_t i)
{
    /* The stratum j that holds training row i: those before it have bound(j) - j. */
    uint32_t j = (uint32_t)((uint64_t)i * h->m / (h->n - h->m));
    while (j > 0 && bound(h, j) - j > i)
        j--;
    while (bound(h, j + 1) - (j + 1) <= i)
        j++;
    uint32_t row = i + j;
    return row < holdout_test_row(h, j) ? row : row + 1;
}
