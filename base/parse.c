#include "base/parse.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

bool parse_u64(const char *text, uint64_t *value)
{
    uint64_t v = 0;
    if (*text == '\0')
        return false;
    for (const char *p = text; *p != '\0'; p++) {
        if (*p < '0' || *p > '9')
            return false;
        uint64_t digit = (uint64_t)(*p - '0');
        if (v > (UINT64_MAX - digit) / 10)
            return false;
        v = v * 10 + digit;
    }
    *value = v;
    return true;
}

/* A number at the start of text; *rest is what follows it. */
static bool leading_number(const char *text, double *value, const char **rest)
{
    size_t n = strspn(text, "+-.0123456789eE");
    char copy[64];
    if (n == 0 || n >= sizeof copy)
        return false;
    memcpy(copy, text, n);
    copy[n] = '\0';
    char *end;
    errno = 0;
    *value = strtod(copy, &end);
    *rest = text + (end - copy);
    return end != copy && errno == 0 && isfinite(*value);
}

bool parse_f64(const char *text, double *value)
{
    const char *rest;
    double v;
    if (!leading_number(text, &v, &rest) || *rest != '\0')
        return false;
    *value = v;
    return true;
}

bool parse_duration(const char *text, uint64_t *us)
{
    static const struct {
        const char *unit;
        double us;
    } units[] = {{"us", 1}, {"ms", 1e3}, {"s", 1e6}, {"m", 60e6}, {"h", 3600e6}};
    const char *rest;
    double v;
    if (!leading_number(text, &v, &rest) || v < 0)
        return false;
    if (v == 0 && *rest == '\0') {
        *us = 0;
        return true;
    }
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (strcmp(rest, units[i].unit) == 0 && v * units[i].us < 1e18) {
            *us = (uint64_t)llround(v * units[i].us);
            return true;
        }
    return false;
}

bool parse_host_port(const char *text, struct host_port *value)
{
    const char *host = text, *colon = strrchr(text, ':');
    uint64_t port;
    if (colon == NULL || !parse_u64(colon + 1, &port) || port > 65535)
        return false;
    size_t n = (size_t)(colon - host);
    if (n >= 2 && host[0] == '[' && host[n - 1] == ']') {
        host++;
        n -= 2;
    } else if (memchr(host, ':', n) != NULL) {
        return false; /* an IPv6 address needs brackets */
    }
    if (n == 0 || n >= sizeof value->host)
        return false;
    memcpy(value->host, host, n);
    value->host[n] = '\0';
    value->port = (uint16_t)port;
    return true;
}

size_t parse_choice(const char *text, const char *const *names, size_t n)
{
    size_t i = 0;
    while (i < n && strcmp(text, names[i]) != 0)
        i++;
    return i;
}

/* Levenshtein distance of two short words; 99 for longer ones. */
static size_t edit_distance(const char *a, const char *b)
{
    enum { WORD_MAX = 48 };
    size_t row[WORD_MAX + 1], na = strlen(a), nb = strlen(b);
    if (na > WORD_MAX || nb > WORD_MAX)
        return 99;
    for (size_t j = 0; j <= nb; j++)
        row[j] = j;
    for (size_t i = 1; i <= na; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= nb; j++) {
            size_t best = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[nb];
}

const char *parse_nearest(const char *text, const char *const *names, size_t n)
{
    const char *nearest = NULL;
    size_t best = strlen(text) / 3 + 1;
    for (size_t i = 0; i < n; i++) {
        size_t d = edit_distance(text, names[i]);
        if (d <= best && (nearest == NULL || d < best)) {
            nearest = names[i];
            best = d;
        }
    }
    return nearest;
}
