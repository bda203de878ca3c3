#include "base/vec.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

enum { LANES = 16 };

void vec_add_scaled(float *restrict x, float c, const float *restrict v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] = fmaf(c, v[i], x[i]);
}

void vec_add_scaled_two(float *restrict x, float c, float *restrict y, float d,
                        const float *restrict v, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        x[i] = fmaf(c, v[i], x[i]);
        y[i] = fmaf(d, v[i], y[i]);
    }
}

void vec_mix(float *restrict x, float c, const float *restrict theirs, const float *restrict base,
             size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] = fmaf(c, theirs[i] - base[i], x[i]);
}

void vec_mix_current(float *restrict x, float c, const float *restrict theirs, size_t n)
{
    if (c == 1.0f) {
        memcpy(x, theirs, n * sizeof *x);
        return;
    }
    for (size_t i = 0; i < n; i++)
        x[i] = fmaf(c, theirs[i] - x[i], x[i]);
}

void vec_answer(float *restrict x, float c, float *restrict buffer, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        buffer[i] = x[i] - buffer[i];
        x[i] = fmaf(-c, buffer[i], x[i]);
    }
}

void vec_answer_two(float *restrict x, float c, float *restrict y, float d, float *restrict buffer,
                    size_t n)
{
    for (size_t i = 0; i < n; i++) {
        buffer[i] = x[i] - buffer[i];
        x[i] = fmaf(-c, buffer[i], x[i]);
        y[i] = fmaf(-d, buffer[i], y[i]);
    }
}

void vec_scale_add(float *x, float a, float b, const float *y, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] = fmaf(a, x[i], b * y[i]);
}

void vec_add(float *restrict x, const float *restrict y, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] += y[i];
}

/* Lanes are floats for a block, then added up in double: fast, and exact enough for any n. */
static double sum_lanes(const float lane[LANES])
{
    double sum = 0;
    for (int l = 0; l < LANES; l++)
        sum += (double)lane[l];
    return sum;
}

enum { BLOCK = 4096 };

double vec_norm_sq(const float *x, size_t n)
{
    double sum = 0;
    for (size_t start = 0; start < n; start += BLOCK) {
        size_t end = n - start < BLOCK ? n : start + BLOCK;
        float lane[LANES] = {0};
        size_t i = start;
        for (; i + LANES <= end; i += LANES)
            for (int l = 0; l < LANES; l++)
                lane[l] = fmaf(x[i + (size_t)l], x[i + (size_t)l], lane[l]);
        for (; i < end; i++)
            lane[i % LANES] = fmaf(x[i], x[i], lane[i % LANES]);
        sum += sum_lanes(lane);
    }
    return sum;
}

double vec_distance_sq(const float *x, const float *y, size_t n)
{
    double sum = 0;
    for (size_t start = 0; start < n; start += BLOCK) {
        size_t end = n - start < BLOCK ? n : start + BLOCK;
        float lane[LANES] = {0};
        size_t i = start;
        for (; i + LANES <= end; i += LANES)
            for (int l = 0; l < LANES; l++) {
                float d = x[i + (size_t)l] - y[i + (size_t)l];
                lane[l] = fmaf(d, d, lane[l]);
            }
        for (; i < end; i++)
            lane[i % LANES] = fmaf(x[i] - y[i], x[i] - y[i], lane[i % LANES]);
        sum += sum_lanes(lane);
    }
    return sum;
}

/* Without its sign a float orders as an integer, and NaN stands above all. */
static int32_t magnitude(float x)
{
    int32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits & INT32_MAX;
}

size_t vec_first_beyond(const float *x, float max, size_t n)
{
    int32_t bound = magnitude(max);
    for (size_t start = 0; start < n; start += BLOCK) {
        size_t end = n - start < BLOCK ? n : start + BLOCK, i = start;
        int32_t lane[2 * LANES] = {0};
        for (; i + 2 * LANES <= end; i += 2 * LANES)
            for (int l = 0; l < 2 * LANES; l++) {
                int32_t size = magnitude(x[i + (size_t)l]);
                lane[l] = lane[l] > size ? lane[l] : size;
            }
        int found = 0;
        for (int l = 0; l < 2 * LANES; l++)
            found |= lane[l] > bound;
        for (; i < end; i++)
            found |= magnitude(x[i]) > bound;
        if (found)
            for (i = start; i < end; i++)
                if (magnitude(x[i]) > bound)
                    return i;
    }
    return n;
}
