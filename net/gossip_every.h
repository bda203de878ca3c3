/* How often slices are exchanged, as a user says it. Any thread. */
#ifndef HUBBUB_NET_GOSSIP_EVERY_H
#define HUBBUB_NET_GOSSIP_EVERY_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

/* One of the three. */
struct gossip_every {
    bool automatic;
    uint32_t steps;
    uint64_t period_us;
};

/* "auto", a number of local steps, or a duration. For OPT_CUSTOM: field is a struct gossip_every *.
 * ERR_USAGE. */
int gossip_every_parse(const char *text, void *field, struct error *err) MUST_USE;

#endif
