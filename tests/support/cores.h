/* A swarm of gossip cores under virtual time, for comparing them with theory: no learning, one
 * slice, jobs that run at once, messages that take a while, links that break and are there again.
 */
#ifndef HUBBUB_TESTS_CORES_H
#define HUBBUB_TESTS_CORES_H

#include "base/rng.h"
#include "net/gossip.h"

struct cores_config {
    enum gossip_mode mode;
    uint32_t n, dim;             /* peers; values of each */
    uint16_t open_per_slice;     /* 0 is 1 */
    uint64_t seed, delay_max_us; /* a message takes 0 to that, at random */
    double loss;                 /* probability that a message is lost, with its link */
    /* Row i: whom peer i may choose, ended by GOSSIP_NONE; NULL: everybody else. Not copied. */
    const uint32_t *const *graph;
};

struct cores;

struct cores *cores_new(const struct cores_config *config);
void cores_free(struct cores *s);

/* [dim] of a peer, to be set before anything happens. */
float *cores_values(struct cores *s, uint32_t peer);

/* The peer initiates once. What follows from it happens in cores_run. */
void cores_initiate(struct cores *s, uint32_t peer);

/* All that happens until then, the time included. */
void cores_run(struct cores *s, uint64_t until_us);
uint64_t cores_now(const struct cores *s);

/* Until nothing is under way. */
void cores_drain(struct cores *s);

/* A peer's mass: 1 unless the mode is push-sum. */
double cores_mass(const struct cores *s, uint32_t peer);

struct cores_counts {
    uint64_t exchanges; /* completed, by the initiators' counts; of push those merged */
    uint64_t lost, resent, repeated, credited, unknown;
    uint64_t checks; /* events after which the mass of all peers and transfers was exact */
    uint64_t misses; /* and after which it was not */
};
struct cores_counts cores_counts(const struct cores *s);

#endif
