/* Benchmarks: each a subcommand of `hubbub bench`, each next to what it is measured against. */
#ifndef HUBBUB_BENCH_BENCH_H
#define HUBBUB_BENCH_BENCH_H

/* argv[0] is the benchmark's name; returns the exit code of the process. */
int bench_train(int argc, char **argv);
int bench_data(int argc, char **argv);
int bench_exchange(int argc, char **argv);
int bench_gossip(int argc, char **argv);
int bench_straggler(int argc, char **argv);
int bench_sim(int argc, char **argv);

#endif
