/* How long a step takes on this machine: what --calibrate measures. */
#ifndef HUBBUB_SIM_CALIBRATE_H
#define HUBBUB_SIM_CALIBRATE_H

#include "model/learner.h"

struct calibration {
    uint32_t n_steps;
    double median_us, q1_us, q3_us; /* of real time, computing */
};

/* Steps of a real learner on that shard, for about a second; what it learns is thrown away. With a
 * pace each waits for its end, as a node's do: what comes after a rest computes on colder caches.
 */
struct calibration calibrate(const struct learner_config *config, const struct shard *shard,
                             uint64_t pace_us);

#endif
