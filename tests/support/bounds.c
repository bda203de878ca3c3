#include "tests/support/bounds.h"

#include "base/check.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned n_passed, n_failed;

static void line(bool good, const char *relation, double theory, double measured, double tolerance,
                 const char *what, va_list args)
{
    *(good ? &n_passed : &n_failed) += 1;
    printf("%s: ", good ? "ok" : "FAILED");
    vprintf(what, args);
    printf(": %.8g (%s %.8g, tolerance %.2g)\n", measured, relation, theory, tolerance);
    fflush(stdout);
}

void bounds_near(double theory, double measured, double tolerance, const char *what, ...)
{
    va_list args;
    va_start(args, what);
    line(fabs(measured - theory) <= tolerance, "theory", theory, measured, tolerance, what, args);
    va_end(args);
}

void bounds_below(double theory, double measured, double tolerance, const char *what, ...)
{
    va_list args;
    va_start(args, what);
    line(measured <= theory + tolerance, "at most", theory, measured, tolerance, what, args);
    va_end(args);
}

int bounds_end(void)
{
    printf("%u passed, %u failed\n", n_passed, n_failed);
    return n_failed == 0 && n_passed > 0 ? 0 : 1;
}

bool bounds_full(void)
{
    const char *full = getenv("FULL");
    return full != NULL && full[0] != '\0';
}

static void swap_rows(double *a, size_t i, size_t k, size_t n)
{
    for (size_t j = 0; j < n; j++) {
        double t = a[i * n + j];
        a[i * n + j] = a[k * n + j];
        a[k * n + j] = t;
    }
}

static void subtract_row(double *a, size_t from, size_t which, double factor, size_t n)
{
    for (size_t j = 0; j < n; j++)
        a[from * n + j] -= factor * a[which * n + j];
}

void bounds_solve(double *a, double *b, size_t n, size_t m)
{
    for (size_t i = 0; i < n; i++) {
        size_t pivot = i;
        for (size_t k = i + 1; k < n; k++)
            pivot = fabs(a[k * n + i]) > fabs(a[pivot * n + i]) ? k : pivot;
        CHECK(a[pivot * n + i] != 0);
        swap_rows(a, i, pivot, n);
        swap_rows(b, i, pivot, m);
        for (size_t k = 0; k < n; k++) {
            double factor = k != i ? a[k * n + i] / a[i * n + i] : 0;
            subtract_row(a, k, i, factor, n);
            subtract_row(b, k, i, factor, m);
        }
    }
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < m; j++)
            b[i * m + j] /= a[i * n + i];
}
