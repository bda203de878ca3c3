/* Staleness: how many local steps an initiator made between the TAKE of a slice and the ADD of its
 * answer (a responder takes and adds at once: 0). A histogram; one thread at a time.
 */
#ifndef HUBBUB_NET_STALENESS_H
#define HUBBUB_NET_STALENESS_H

#include <stdint.h>

enum { STALENESS_MAX = 255 }; /* more counts as this much */

struct staleness {
    uint64_t counts[STALENESS_MAX + 1];
    uint64_t n;
    double lately; /* mean over the last 50 exchanges or so */
};

void staleness_add(struct staleness *s, uint64_t steps);

/* Adds the exchanges of another; `lately` stays. */
void staleness_merge(struct staleness *s, const struct staleness *other);

/* The least number of steps that a part `q` (0 to 1) of the exchanges do not exceed; 0 for none. */
uint32_t staleness_quantile(const struct staleness *s, double q);

#endif
