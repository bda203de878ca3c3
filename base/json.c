#include "base/json.h"

#include <math.h>

json_t *json_real_or_null(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

json_t *json_counts(const uint64_t *counts, size_t n)
{
    json_t *list = json_array();
    while (n > 0 && counts[n - 1] == 0)
        n--;
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, json_integer((json_int_t)counts[i]));
    return list;
}
