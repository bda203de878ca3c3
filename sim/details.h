/* What a report shows of single peers and links of a simulation: copies, which outlive it. */
#ifndef HUBBUB_SIM_DETAILS_H
#define HUBBUB_SIM_DETAILS_H

#include "sim/record.h"
#include "sim/sim.h"

enum { DETAILS_CLASSES_MAX = 40 };

struct details_peer {
    uint32_t id, n_samples;
    uint64_t n_steps;
    double accuracy, loss; /* on the test data */
};

struct details {
    enum topology_kind topology;
    uint32_t columns; /* of a torus */
    uint32_t n_peers; /* of the sample (sim/record.h), by id */
    struct details_peer *peers;
    uint32_t n_edges;
    uint32_t (*edges)[2]; /* places in peers; one way where edges have a direction */
    /* Where there are more than DETAILS_CLASSES_MAX the last stands for all but the most frequent.
     */
    uint32_t n_classes, n_classes_all;
    char **class_names; /* [n_classes] */
    uint32_t *samples;  /* [n_peers, n_classes] */
    uint32_t n_links;
    struct record_link *links; /* by from, then to */
    uint64_t bytes_unlisted;
    uint64_t ages[RECORD_AGES_MAX];
};

/* Before the first sim_run_until: from here on peers and links of a sample are noted. */
void sim_record(struct sim *sim);
void sim_forget_records(struct sim *sim);

/* Of a simulation that was recorded. Evaluates the sample. Never NULL. */
struct details *details_new(struct sim *sim);
void details_free(struct details *d);

#endif
