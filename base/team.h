/* A team: threads that do the parts of one piece of work and wait for the next.
 *
 * The caller is its first member. A team is used by one thread at a time. Memory that a part wrote
 * is seen by everybody once team_run has returned.
 */
#ifndef HUBBUB_BASE_TEAM_H
#define HUBBUB_BASE_TEAM_H

#include <stdint.h>

enum { TEAM_MAX = 64 };

struct team;

/* n threads, 1 to TEAM_MAX, of which n - 1 are started; with one, nothing is. Owned by the caller.
 * Ends the program when the system gives no threads. */
struct team *team_new(uint32_t n);
void team_free(struct team *t);

uint32_t team_size(const struct team *t);

/* Calls work(ctx, i) for i in [0, n), each on a thread of its own, and returns when all are done.
 */
void team_run(struct team *t, void (*work)(void *ctx, uint32_t i), void *ctx);

#endif
