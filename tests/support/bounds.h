/* The lines of the convergence suite that are programs: what holds, the theoretical value, the
 * measured one, the tolerance; a miss fails. */
#ifndef HUBBUB_TESTS_BOUNDS_H
#define HUBBUB_TESTS_BOUNDS_H

#include <stdbool.h>
#include <stddef.h>

/* |measured - theory| <= tolerance. what: as printf. */
void bounds_near(double theory, double measured, double tolerance, const char *what, ...)
    __attribute__((format(printf, 4, 5)));

/* measured <= theory + tolerance. */
void bounds_below(double theory, double measured, double tolerance, const char *what, ...)
    __attribute__((format(printf, 4, 5)));

/* Prints how many lines passed and failed; the exit code. None at all is a failure. */
int bounds_end(void);

/* FULL=1: all of it, and not the quick set. */
bool bounds_full(void);

/* x [n, m] with A x = b, A [n, n] and b [n, m] overwritten; x comes in b. Row-major. Gauss, with
 * pivots by column. */
void bounds_solve(double *a, double *b, size_t n, size_t m);

#endif
