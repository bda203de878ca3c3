/* What is kept of single peers and links for a report, while a simulation runs.
 *
 * A sample of the peers is looked at: all of them, or RECORD_PEERS_MAX that lie together, as far as
 * the topology goes from peer 0, so that their links are among them. What a thread's peers do is
 * noted in a struct record of its own. Nothing that is virtual depends on it. */
#ifndef HUBBUB_SIM_RECORD_H
#define HUBBUB_SIM_RECORD_H

#include "base/check.h"
#include "sim/topology.h"

#include <stddef.h>

enum {
    RECORD_PEERS_MAX = 128,
    RECORD_LINKS_MAX = RECORD_PEERS_MAX * RECORD_PEERS_MAX, /* noted; more are only counted */
    RECORD_AGE_BITS = 6, /* bins of ages: 64 to each power of two */
    RECORD_AGES_MAX = (65 - RECORD_AGE_BITS) << RECORD_AGE_BITS,
    RECORD_SLICES = 4096,
    RECORD_NOBODY = UINT8_MAX
};

struct record_sample {
    uint32_t n;
    uint32_t ids[RECORD_PEERS_MAX];
    uint8_t *places; /* [n_nodes]: where a node stands in ids; RECORD_NOBODY: nowhere */
};

void record_sample_init(struct record_sample *s, const struct topology *t);
void record_sample_close(struct record_sample *s);

struct record_link {
    uint32_t from, to; /* nodes; from is of the sample */
    uint64_t bytes;    /* 0: a free place */
};

struct record {
    const struct record_sample *sample; /* borrowed */
    struct record_link *links;          /* [2 * RECORD_LINKS_MAX], open addressing */
    uint32_t n_links;
    uint64_t bytes_unlisted; /* on links that found no place */
    /* Age of a slice when it is mixed into a peer of the sample, since it left its sender. */
    uint64_t *ages; /* [RECORD_AGES_MAX], see record_age_us */
    /* Slices that came and wait for their turn, by handle; one may displace another. */
    struct {
        uint64_t sent_us;
        uint32_t handle;
    } slices[RECORD_SLICES];
};

void record_init(struct record *r, const struct record_sample *sample);
void record_close(struct record *r);

/* Of any node of the thread. */
RARELY void record_sent(struct record *r, uint32_t from, uint32_t to, uint64_t bytes);
RARELY void record_came(struct record *r, uint32_t node, uint32_t handle, uint64_t sent_us);
RARELY void record_mixed(struct record *r, uint32_t node, uint32_t handle, uint64_t now_us);

/* The least age of a bin of ages. */
uint64_t record_age_us(uint32_t bin);

#endif
