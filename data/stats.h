/* Statistics of a column: exact to merge, whatever the split.
 *
 * One value at a time as Welford (1962), two sets as Chan, Golub and LeVeque (1983), "Algorithms
 * for computing the sample variance": with d = mean_b - mean_a, n = n_a + n_b,
 *     mean = mean_a + d n_b / n,   M2 = M2_a + M2_b + d^2 n_a n_b / n.
 * Pure; any thread. */
#ifndef HUBBUB_DATA_STATS_H
#define HUBBUB_DATA_STATS_H

#include <stdint.h>

struct stats {
    uint64_t count;
    double mean, m2; /* M2: sum of squared distances to the mean */
    double min, max; /* 0 while count is 0 */
};

void stats_add(struct stats *s, double x);
void stats_merge(struct stats *s, const struct stats *other);

/* Of the population: sqrt(M2 / count); 0 for none. */
double stats_deviation(const struct stats *s);

#endif
