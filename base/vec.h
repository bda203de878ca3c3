/* Kernels over float ranges. Pure, any thread; ranges must not overlap unless said otherwise.
 *
 * Reductions run over 16 declared lanes, so that the result is the same bit for bit with every
 * compiler and vector width (docs/DESIGN.md, section 5).
 */
#ifndef HUBBUB_BASE_VEC_H
#define HUBBUB_BASE_VEC_H

#include <stddef.h>

/* x += c * v, the initiator's half of an exchange, and plain descent; and the same of two vectors:
 * y += d * v. */
void vec_add_scaled(float *restrict x, float c, const float *restrict v, size_t n);
void vec_add_scaled_two(float *restrict x, float c, float *restrict y, float d,
                        const float *restrict v, size_t n);

/* The responder's half of an exchange, in one pass: theirs comes in `buffer`, and the difference of
 * mine is left there: buffer = x - buffer, x -= c * buffer; and the same with a second vector:
 * y -= d * buffer. */
void vec_answer(float *restrict x, float c, float *restrict buffer, size_t n);
void vec_answer_two(float *restrict x, float c, float *restrict y, float d, float *restrict buffer,
                    size_t n);

/* One-sided: x += c * (theirs - base). */
void vec_mix(float *restrict x, float c, const float *restrict theirs, const float *restrict base,
             size_t n);

/* The same with base = x as it is now: x += c * (theirs - x); for c = 1 exactly x = theirs. */
void vec_mix_current(float *restrict x, float c, const float *restrict theirs, size_t n);

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
