/* Text from a user -> values, strictly: the whole text, in range, or false. Any thread. */
#ifndef HUBBUB_BASE_PARSE_H
#define HUBBUB_BASE_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Decimal digits only: no sign, no space. */
bool parse_u64(const char *text, uint64_t *value);

/* A finite decimal number. */
bool parse_f64(const char *text, double *value);

/* "250us", "10ms", "1.5s", "2m", "1h"; a unit is needed unless the number is 0. */
bool parse_duration(const char *text, uint64_t *us);

/* "host:port", "1.2.3.4:port", "[::1]:port"; port 0 to 65535. host without brackets. */
struct host_port {
    char host[256];
    uint16_t port;
};
bool parse_host_port(const char *text, struct host_port *value);

/* Where text stands in names[0..n), or n. */
size_t parse_choice(const char *text, const char *const *names, size_t n);

/* The name in names[0..n) that a user most likely meant by text, or NULL. */
const char *parse_nearest(const char *text, const char *const *names, size_t n);

#endif
