/* hubbub bench: picks the benchmark. */
#ifndef HUBBUB_BENCH_CMD_BENCH_H
#define HUBBUB_BENCH_CMD_BENCH_H

/* argv[0] is "bench"; returns the exit code of the process. */
int cmd_bench(int argc, char **argv);

#endif
