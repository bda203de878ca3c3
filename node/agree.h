/* Agreement before training: peers with private files exchange what they say of them (summaries)
 * until all hold the same set, and each makes the same schema of it.
 *
 * The set is keyed by the id of a summary, its peer's: a hash of its text. So repeating one is
 * harmless, a peer that was started again counts once, and nobody can replace another's. Summaries
 * are passed on to all links: not everybody needs to be linked with everybody. */
#ifndef HUBBUB_NODE_AGREE_H
#define HUBBUB_NODE_AGREE_H

#include "data/schema.h"
#include "node/node.h"

#define AGREE_MODEL "data agree" /* in the place of a model, in HELLO */

struct agree_config {
    const char *run;
    struct node_config *addresses; /* where to listen and whom to dial, see addresses_set */
    const struct summary *own;     /* borrowed */
    uint32_t expect;               /* peers, with me */
    uint64_t timeout_us;
};

/* Runs until all have the same. ERR_INCOMPATIBLE: the files do not fit, in words; ERR_ALONE: not
 * all came in time; ERR_INTERRUPTED. schema is the caller's to close. */
int agree_run(struct schema *schema, const struct agree_config *config, struct error *err) MUST_USE;

#endif
