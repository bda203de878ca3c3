/* The way in of a node: one message after another comes in, as fast as its bandwidth allows.
 *
 * All that arrives at a node's door in a window is known when the window starts, so its queue can
 * be gone through before the node is run. Where one need not wait for others nothing changes. */
#include "sim/check.h"
#include "sim/inner.h"

#include <stdlib.h>

/* False: the letter comes in later, or, when its receiver crashes before, never. */
static bool comes_in(struct worker *w, uint32_t id, struct letter *letter, uint64_t end_us)
{
    struct sim *s = w->sim;
    uint64_t bytes = parcel_at(&s->parcels, letter->parcel)->flight.bytes;
    uint64_t door_us = letter->arrival_us;
    letter->arrival_us = network_come_in(&s->config.network, bytes, door_us, &s->way_in_us[id]);
    letter->number |= LETTER_IS_IN;
    way_note_longest(s, letter->arrival_us - letter->sent_us);
    if (s->lives != NULL && !churn_stays_up(&s->churn, id, door_us, letter->arrival_us)) {
        w->id = id;
        w->node = sim_node(s, id);
        w->totals.lost++;
        if (s->check != NULL)
            check_lost(w, letter->parcel);
        life_tell(w, letter->src, churn_next_us(&s->churn, id, door_us));
        parcel_unref(&w->shelf, letter->parcel);
        return false;
    }
    if (letter->arrival_us < end_us)
        return true;
    engine_post(w, letter);
    return false;
}

size_t way_in_pass(struct worker *w, uint32_t id, struct letter *letters, struct visit *visits,
                   size_t n, uint64_t end_us)
{
    size_t n_in = 0;
    for (size_t i = 0; i < n; i++) {
        struct letter *letter = &letters[visits[i].letter];
        if (letter->parcel == PARCEL_NONE || letter->src == id || letter->number & LETTER_IS_IN ||
            comes_in(w, id, letter, end_us))
            visits[n_in++] = visits[i];
    }
    qsort_r(visits, n_in, sizeof *visits, visit_compare, letters);
    return n_in;
}
