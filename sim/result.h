/* What came out of one simulation. */
#ifndef HUBBUB_SIM_RESULT_H
#define HUBBUB_SIM_RESULT_H

#include "sim/sim.h"

#include <jansson.h>

struct sim_result {
    uint64_t nodes, cycles, seed, virtual_us;
    struct speed speed; /* of the peers, as measured where it was */
    uint64_t run_us;    /* of real time, without evaluations */
    uint64_t rss_bytes; /* at most */
    struct sim_totals totals;
    struct sim_counts counts;
    struct staleness staleness;
    struct sim_measure measure;
    struct sim_memory memory;
    char trace_sha256[SIM_HASH_TEXT], weights_sha256[SIM_HASH_TEXT];
};

/* Of a simulation that has run until now. */
struct sim_result sim_result_of(const struct sim *sim, const struct sim_config *config,
                                const struct sim_measure *m, uint64_t run_us);

/* A new reference. A figure that is no number (training diverged) is null. */
json_t *sim_result_json(const struct sim_result *r);

/* A block of lines on stdout. */
void sim_result_print(const struct sim_result *r);

/* The greatest resident set of this process since the start, or the last reset where the system
 * allows one. */
uint64_t sim_peak_bytes(void);
void sim_peak_reset(void);

/* "accuracy 91.20 % (90.10 to 92.30)", or of a real target "R^2 0.9120 (...)"; returns text. */
enum { SIM_SCORE_TEXT = 128 };
const char *sim_score_text(const struct sim_measure *m, char text[SIM_SCORE_TEXT]);

#endif
