#include "sim/calibrate.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/quantile.h"

#include <stdlib.h>

enum { WARM_US = 200000, MEASURE_US = 800000, SAMPLES_MAX = 4096, SAMPLE_US = 100 };

/* Short steps are timed by the dozen, so that reading the clock costs nothing beside them; paced
 * ones each. Their times into samples [SAMPLES_MAX]; returns how many. */
static uint32_t measure(struct learner *learner, struct workspace *workspace, uint64_t batch,
                        uint64_t pace_us, double *samples)
{
    uint32_t n = 0;
    uint64_t start = clock_us();
    for (; n < SAMPLES_MAX && (n < 3 || clock_us() - start < MEASURE_US); n++) {
        uint64_t before = clock_us();
        for (uint64_t i = 0; i < batch; i++)
            learner_step(learner, workspace);
        samples[n] = (double)(clock_us() - before) / (double)batch;
        if (pace_us > 0)
            clock_sleep_until(before + pace_us);
    }
    return n;
}

struct calibration calibrate(const struct learner_config *config, const struct shard *shard,
                             uint64_t pace_us)
{
    struct learner learner;
    struct workspace workspace;
    float *storage = MEM_NEW(float, learner_floats(config));
    double *samples = MEM_NEW(double, SAMPLES_MAX);
    uint64_t start = clock_us(), warm = 0, n_warm = 0;
    learner_init(&learner, config, shard, 0, storage);
    workspace_init(&workspace, config);
    for (; warm < WARM_US; warm = clock_us() - start, n_warm++)
        learner_step(&learner, &workspace);
    uint64_t batch = pace_us > 0 ? 1 : 1 + SAMPLE_US * n_warm / warm;
    uint32_t n = measure(&learner, &workspace, batch, pace_us, samples);
    struct quartiles q = quartiles_of(samples, n);
    struct calibration c = {
        .n_steps = (uint32_t)(n * batch), .median_us = q.median, .q1_us = q.q1, .q3_us = q.q3};
    workspace_close(&workspace);
    free(samples);
    free(storage);
    return c;
}
