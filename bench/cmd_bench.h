/* hubbub bench: picks the benchmark. */
#ifndef HUBBUB_BENCH_CMD_BENCH_H
#define HUBBUB_BENCH_CMD_BENCH_H

#include "base/opts.h"

/* argv[0] is "bench"; returns the exit code of the process. */
int cmd_bench(int argc, char **argv);

extern const struct opts bench_train_options, bench_data_options, bench_exchange_options,
    bench_gossip_options, bench_straggler_options, bench_scaling_options, bench_sim_options;

#endif
