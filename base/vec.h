/* Kernels over float ranges. Pure, any thread; ranges must not overlap unless said otherwise.
 *
 * Reductions run over 16 declared lanes, so that the result is the same bit for bit with every
 * compiler and vector width (docs/DESIGN.md, section 5).
 */
#ifndef HUBBUB_BASE_VEC_H
#define HUBBUB_BASE_VEC_H

#include <stddef.h>

/* The mixing kernel of the gossip protocol: x += c * (theirs - base). */
void vec_mix(float *restrict x, float c, const float *restrict theirs, const float *restrict base,
             size_t n);

/* The same of two vectors: x += c * (theirs - base), y += d * (theirs - base). */
void vec_mix_two(float *restrict x, float c, float *restrict y, float d,
                 const float *restrict theirs, const float *restrict base, size_t n);

/* vec_mix with base = x as it is now: x += c * (theirs - x); for c = 1 exactly x = theirs. */
void vec_mix_current(float *restrict x, float c, const float *restrict theirs, size_t n);

/* The responder's half of an exchange, in one pass: theirs leaves in `buffer` and mine is left
 * there: (x, buffer) = (x + c * (buffer - x), x). */
void vec_swap_mix(float *restrict x, float c, float *restrict buffer, size_t n);

/* Plain descent: x -= lr * v. */
void vec_descend(float *restrict x, float lr, const float *restrict v, size_t n);

/* x = a * x + b * y. */
void vec_scale_add(float *x, float a, float b, const float *y, size_t n);

/* x += y. */
void vec_add(float *restrict x, const float *restrict y, size_t n);

/* Sum of squares of x, and of x - y. */
double vec_norm_sq(const float *x, size_t n);
double vec_distance_sq(const float *x, const float *y, size_t n);

/* Index of the first that is no number in [-max, max] (NaN, an infinity or too large); n when all
 * are. With FLT_MAX: all finite numbers are. */
size_t vec_first_beyond(const float *x, float max, size_t n);

#endif
