/* A study: every setting of a sweep, each with several seeds; what came out of all of them.
 * Main thread. */
#ifndef HUBBUB_SIM_STUDY_H
#define HUBBUB_SIM_STUDY_H

#include "base/quantile.h"
#include "sim/run.h"
#include "sim/sweep.h"

enum {
    STUDY_RUNS_MAX = 10000,
    STUDY_DETAILS_MAX = 8,
    STUDY_EVALUATIONS = 40 /* of a run for a report, at most, where nobody says how often */
};

struct study_run {
    struct sim_config config;
    struct sim_result result;        /* nodes 0: not run */
    struct series series;            /* where wanted */
    char *words[SWEEP_KEYS_MAX + 1]; /* that config may point into */
    uint32_t n_words;
};

struct study_setting {
    char *label;             /* what makes it differ from others, "partition=iid"; "": nothing */
    struct study_run *runs;  /* [n_seeds] */
    struct details *details; /* of the first run of the first STUDY_DETAILS_MAX; or NULL */
};

struct study {
    struct sweep sweep;
    uint32_t n_settings, n_seeds;
    struct study_setting *settings;
};

/* Fills the configuration that the command line stands for with words behind it, each
 * "--name=value", which last as long as the study. ERR_*. */
typedef int study_configure(void *ctx, char **words, uint32_t n_words, struct sim_config *config,
                            struct error *err);

/* Reads all configurations, from first_seed on where n_seeds > 1, before anything runs; ERR_USAGE
 * names option and value. s needs study_close in any case. */
int study_open(struct study *s, const struct opt_list *sweep, uint64_t first_seed, uint32_t n_seeds,
               study_configure *configure, void *ctx, struct error *err) MUST_USE;
void study_close(struct study *s);

/* Runs everything. for_report: with series and details; options->series, details and name are not
 * looked at. A run that diverges is no reason to stop, but the error in the end (ERR_UNREACHED). */
int study_run(struct study *s, const struct run_options *options, bool for_report,
              struct error *err) MUST_USE;

/* A figure of a setting over its seeds: of sim_result_json, by name. NaN where one is none. */
struct quartiles study_figure(const struct study *s, uint32_t setting, const char *name);

/* On stdout: of one run the block or object of sim/result.h, else a table, or an object with
 * "runs" and "summary", in "settings" where there is a sweep. */
void study_print(const struct study *s, bool json);

#endif
