/* Benchmarks: each a subcommand of `hubbub bench`, each next to what it is measured against. */
#ifndef HUBBUB_BENCH_BENCH_H
#define HUBBUB_BENCH_BENCH_H

#include "base/opts.h"

/* Fills the options; a benchmark takes no operand. OPTS_RUN, OPTS_DONE or ERR_*, as opts_parse. */
int bench_parse(const struct opts *o, void *target, int argc, char **argv,
                struct error *err) MUST_USE;

/* The exit code after that and the rest; says on stderr what went wrong. */
int bench_end(const struct opts *o, int rc, const struct error *err);

/* A folder and the files in it, if it is there. */
void bench_remove_folder(const char *dir);

/* argv[0] is the benchmark's name; returns the exit code of the process. */
int bench_train(int argc, char **argv);
int bench_data(int argc, char **argv);
int bench_exchange(int argc, char **argv);
int bench_gossip(int argc, char **argv);
int bench_straggler(int argc, char **argv);
int bench_scaling(int argc, char **argv);
int bench_sim(int argc, char **argv);

#endif
