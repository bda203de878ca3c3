/* --check: what must hold at every event, whatever the world does to its nodes.
 *
 *   - clocks and links run forwards: no node goes back in time, no message is faster than the
 *     floor, none overtakes another on its link;
 *   - an exchange is applied at most once on either side, and the two increments cancel; if on one
 *     side only, its link broke; of two that cross one is applied; what a node has under way on a
 *     slice adds up to a half at most;
 *   - the sum of all weights and of the increments still open is what steps, one-way merges and
 *     crashes made of it;
 *   - jobs and open exchanges of a node are bounded, and so is the time an exchange stays open;
 *   - nobody stalls: who is there steps, initiates, and joins in bounded time;
 *   - nobody breaks the protocol, and who joins gives its weights to nobody.
 *
 * The books are one thread's, so the simulation is, too. An exchange is known by the parcel of its
 * request, in which its answer comes back. Not for other rooms.
 */
#ifndef HUBBUB_SIM_CHECK_H
#define HUBBUB_SIM_CHECK_H

#include "base/check.h"
#include "sim/inner.h"

struct check;

struct check *check_open(const struct sim *s);
void check_close(struct check *c);

/* What is violated, or NULL. */
const char *check_failed_text(const struct check *c);

/* ---- of the node that is being run ------------------------------------------------------------
 */

RARELY void check_event(struct worker *w);
RARELY void check_letter(struct worker *w, const struct letter *letter);
RARELY void check_punished(struct worker *w, uint32_t peer, const char *reason);
RARELY void check_answer(struct worker *w, const struct gossip_message *g);

/* A request leaves, in that parcel. */
RARELY void check_request(struct worker *w, const struct gossip_message *g, uint32_t parcel);
RARELY void check_forgotten(struct worker *w, uint32_t parcel); /* by either side: it ends here */
RARELY void check_lost(struct worker *w, uint32_t parcel);      /* with its link */
RARELY void check_broke(struct worker *w, uint32_t peer);
RARELY void check_crashed(struct worker *w);

/* A request is going to be served, with c. */
RARELY void check_weight(struct worker *w, uint32_t peer, uint32_t slice, float c);

/* Before and after theta changes. */
RARELY void check_before(struct worker *w);
RARELY void check_changed(struct worker *w); /* by a step or a start */
RARELY void check_answered(struct worker *w, uint32_t parcel);
RARELY void check_added(struct worker *w, uint32_t parcel);
RARELY void check_mixed(struct worker *w, uint32_t parcel);

/* ---- between windows ---------------------------------------------------------------------------
 */

RARELY void check_all(struct sim *s);

#endif
