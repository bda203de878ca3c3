#include "data/stats.h"

#include <math.h>

void stats_add(struct stats *s, double x)
{
    s->min = s->count == 0 || x < s->min ? x : s->min;
    s->max = s->count == 0 || x > s->max ? x : s->max;
    s->count++;
    double d = x - s->mean;
    s->mean += d / (double)s->count;
    s->m2 += d * (x - s->mean);
}

void stats_merge(struct stats *s, const struct stats *other)
{
    if (other->count == 0)
        return;
    if (s->count == 0) {
        *s = *other;
        return;
    }
    double n_a = (double)s->count, n_b = (double)other->count, n = n_a + n_b;
    double d = other->mean - s->mean;
    s->mean += d * (n_b / n);
    s->m2 += other->m2 + d * d * (n_a * n_b / n);
    s->min = other->min < s->min ? other->min : s->min;
    s->max = other->max > s->max ? other->max : s->max;
    s->count += other->count;
}

double stats_deviation(const struct stats *s)
{
    return s->count > 0 ? sqrt(s->m2 / (double)s->count) : 0;
}
