#include "data/number.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* What the text says, digit by digit: mantissa * 10^exponent, unless there were too many digits. */
struct decimal {
    uint64_t mantissa;
    int n_digits, exponent;
    bool negative;
};

static bool scan(const char *p, const char *end, struct decimal *d)
{
    enum { EXPONENT_MAX = 99999 };
    *d = (struct decimal){.negative = p < end && *p == '-'};
    if (p < end && (*p == '-' || *p == '+'))
        p++;
    bool seen_point = false, seen_digit = false;
    for (; p < end && (is_digit(*p) || (*p == '.' && !seen_point)); p++) {
        if (*p == '.') {
            seen_point = true;
            continue;
        }
        seen_digit = true;
        d->n_digits += d->n_digits > 0 || *p != '0';
        d->mantissa = d->mantissa * 10 + (uint64_t)(*p - '0');
        d->exponent -= seen_point;
    }
    if (!seen_digit)
        return false;
    if (p < end && (*p == 'e' || *p == 'E')) {
        bool minus = ++p < end && *p == '-';
        int e = 0;
        if (p < end && (*p == '-' || *p == '+'))
            p++;
        if (p == end)
            return false;
        for (; p < end && is_digit(*p); p++)
            e = e < EXPONENT_MAX ? e * 10 + (*p - '0') : e;
        d->exponent += minus ? -e : e;
    }
    return p == end;
}

bool number_parse(const char *text, size_t n, double *value)
{
    enum { EXACT_DIGITS = 15, EXACT_POWER = 22, LENGTH_MAX = 127 };
    static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                    1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                    1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    struct decimal d;
    if (n > LENGTH_MAX || !scan(text, text + n, &d))
        return false;
    /* Both factors are exact, so one rounding is all there is (Clinger 1990). */
    if (d.n_digits <= EXACT_DIGITS && abs(d.exponent) <= EXACT_POWER) {
        double x = (double)d.mantissa;
        x = d.exponent < 0 ? x / powers[-d.exponent] : x * powers[d.exponent];
        *value = d.negative ? -x : x;
        return true;
    }
    char copy[LENGTH_MAX + 1];
    memcpy(copy, text, n);
    copy[n] = '\0';
    *value = strtod(copy, NULL);
    return isfinite(*value);
}
