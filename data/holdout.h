/* Hold-out: test rows taken from a file before it is split, the same on every peer.
 *
 * The n rows are cut into m strata of equal size and one row of each, drawn with the seed, is held
 * out. The others keep the file's order. Both are functions of the index: no array, however large
 * the file, and a file sorted by class is held out evenly. Pure; any thread.
 */
#ifndef HUBBUB_DATA_HOLDOUT_H
#define HUBBUB_DATA_HOLDOUT_H

#include <stdint.h>

struct holdout {
    uint32_t n, m; /* rows; of them held out, 1 <= m <= n / 2 */
    uint64_t seed;
};

/* m: fraction (above 0, at most 0.5) of n >= 2, at least one row. */
struct holdout holdout_of(uint32_t n, double fraction, uint64_t seed);

uint32_t holdout_test_row(const struct holdout *h, uint32_t i);  /* i < m */
uint32_t holdout_train_row(const struct holdout *h, uint32_t i); /* i < n - m */

#endif
