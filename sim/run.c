#include "sim/run.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "model/meta.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum {
    PIECE_US = 100000, /* of real time, between two looks at the clock */
    DRAW_US = 250000,  /* between two drawings on a terminal */
    TELL_US = 5000000, /* between two lines elsewhere */
    EVAL_PART = 10     /* evaluations that nobody asked for take at most a tenth of the time */
};

struct run {
    struct sim *sim;
    const struct sim_config *config;
    const struct run_options *options;
    uint64_t run_us, eval_us; /* of real time: without evaluations, and their own */
    uint64_t told_us;
    struct sim_measure measure; /* the last; n_evaluated 0: there is none yet */
    uint64_t measure_cycle;
};

static double seconds(uint64_t us)
{
    return (double)us / 1e6;
}

/* ---- progress ------------------------------------------------------------------------------ */

enum { LEFT_TEXT = 48, LINE_TEXT = 512 };

static const char *format_left(const struct run *r, char text[LEFT_TEXT])
{
    double done = (double)sim_cycles(r->sim) / (double)r->config->cycles;
    uint64_t spent_us = r->run_us + r->eval_us;
    text[0] = '\0';
    if (done <= 0 || done >= 1 || spent_us < SECOND_US)
        return text;
    uint64_t left = (uint64_t)(seconds(spent_us) * (1 - done) / done + 0.5);
    snprintf(text, LEFT_TEXT, "ETA %" PRIu64 ":%02" PRIu64 ":%02" PRIu64 ", ", left / 3600,
             left / 60 % 60, left % 60);
    return text;
}

/* What matters most first: a terminal cuts the line. */
static const char *format_line(const struct run *r, char text[LINE_TEXT])
{
    struct sim_totals t = sim_totals(r->sim);
    const struct sim_measure *m = &r->measure;
    char left[LEFT_TEXT], score[SIM_SCORE_TEXT], at[32] = "", measured[SIM_SCORE_TEXT + 80] = "";
    if (m->n_evaluated > 0 && r->measure_cycle < sim_cycles(r->sim))
        snprintf(at, sizeof at, " at cycle %" PRIu64, r->measure_cycle);
    if (m->n_evaluated > 0)
        snprintf(measured, sizeof measured, "%s, consensus %.3g%s, ", sim_score_text(m, score),
                 m->consensus, at);
    snprintf(text, LINE_TEXT,
             "%s%s%.0f %%, %s%scycle %" PRIu64 ", %.6g virtual s, %.3g M events/s, %" PRIu64 " MB",
             r->options->name, r->options->name[0] != '\0' ? ": " : "",
             100 * (double)sim_cycles(r->sim) / (double)r->config->cycles, format_left(r, left),
             measured, sim_cycles(r->sim), seconds(sim_now_us(r->sim)),
             (double)t.events / (double)(r->run_us > 0 ? r->run_us : 1), sim_peak_bytes() >> 20);
    return text;
}

/* ---- evaluations --------------------------------------------------------------------------- */

static void measure(struct run *r, uint32_t n_nodes)
{
    uint64_t start = clock_us();
    r->measure = sim_measure(r->sim, n_nodes);
    r->measure_cycle = sim_cycles(r->sim);
    r->eval_us += clock_us() - start;
}

/* The one just made, for whoever asked for it. */
static void note(const struct run *r)
{
    struct sim_totals t = sim_totals(r->sim);
    const struct sim_measure *m = &r->measure;
    json_t *o = json_pack(
        "{s:I, s:f, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:I}", "cycle",
        (json_int_t)r->measure_cycle, "virtual_s", seconds(sim_now_us(r->sim)), "seed",
        (json_int_t)r->config->seed, "node_updates", (json_int_t)t.node_updates, "acc_mean",
        json_real_or_null(m->acc_mean), "acc_min", json_real_or_null(m->acc_min), "acc_max",
        json_real_or_null(m->acc_max), "acc_of_mean", json_real_or_null(m->acc_of_mean), "loss",
        json_real_or_null(m->loss), "consensus", json_real_or_null(m->consensus), "bytes",
        (json_int_t)t.bytes);
    if (r->options->name[0] != '\0')
        json_object_set_new(o, "run", json_string(r->options->name));
    metrics_write(r->options->metrics, "evaluation", o);
    struct series *series = r->options->series;
    if (series == NULL)
        return;
    if (series->n == series->max) {
        series->max = 2 * series->max + 64;
        series->rows = realloc(series->rows, series->max * sizeof *series->rows);
        CHECK(series->rows != NULL);
    }
    series->rows[series->n++] = (struct series_row){.cycle = r->measure_cycle,
                                                    .virtual_us = sim_now_us(r->sim),
                                                    .node_updates = t.node_updates,
                                                    .bytes = t.bytes,
                                                    .measure = *m};
}

/* After a piece of the run. */
static void look(struct run *r, bool asked)
{
    const struct run_options *o = r->options;
    uint64_t silent_us = clock_us() - r->told_us;
    bool due = !o->quiet && silent_us > (log_is_terminal() ? DRAW_US : TELL_US);
    if (asked || (due && EVAL_PART * r->eval_us < r->run_us))
        measure(r, o->eval_nodes);
    if (asked)
        note(r);
    if (!due && !(asked && (o->tell || log_is_terminal())))
        return;
    char line[LINE_TEXT];
    log_progress("%s", format_line(r, line));
    r->told_us = clock_us();
}

/* Piece by piece, each of so many cycles that the line of progress moves. */
static void run_cycles(struct run *r)
{
    uint64_t n_cycles = r->config->cycles, every = r->options->eval_every, piece = 1;
    for (uint64_t done = 0; done < n_cycles && sim_violation(r->sim) == NULL;) {
        uint64_t goal = n_cycles - done > piece ? done + piece : n_cycles;
        if (every > 0 && goal > (done / every + 1) * every)
            goal = (done / every + 1) * every;
        uint64_t start = clock_us();
        sim_run_cycles(r->sim, goal);
        uint64_t took_us = clock_us() - start;
        r->run_us += took_us;
        done = goal;
        if (r->config->check) /* looks at everybody after each cycle */
            piece = 1;
        else if (took_us < PIECE_US / 2 && piece < n_cycles)
            piece *= 2;
        else if (took_us > PIECE_US && piece > 1)
            piece /= 2;
        if (done < n_cycles)
            look(r, every > 0 && done % every == 0);
    }
    char line[LINE_TEXT];
    measure(r, r->options->eval_nodes);
    note(r);
    log_info("%s", format_line(r, line));
}

/* ---- the end ------------------------------------------------------------------------------- */

static int save(const struct run *r, struct error *err)
{
    const char *dir = r->options->save;
    if (mkdir(dir, 0777) != 0 && errno != EEXIST)
        return error_set(err, ERR_FAILURE, "--save %s: cannot be made: %m", dir);
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < r->config->n_nodes; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%" PRIu32 ".npz", dir, i);
        json_t *meta = meta_new(sim_model(r->sim), sim_data(r->sim));
        json_object_set_new(meta, "node", json_integer(i));
        json_object_set_new(meta, "cycles", json_integer((json_int_t)r->config->cycles));
        rc = model_file_write(path, sim_model(r->sim), sim_theta(r->sim, i), meta, err);
        json_decref(meta);
    }
    return rc;
}

static int check(const struct run *r, struct error *err)
{
    struct sim_totals t = sim_totals(r->sim);
    if (sim_violation(r->sim) != NULL)
        return error_set(err, ERR_FAILURE, "--check: %s; seed %" PRIu64, sim_violation(r->sim),
                         r->config->seed);
    if (t.punished > 0)
        return error_set(err, ERR_FAILURE,
                         "%" PRIu64 " messages broke the protocol: a bug of hubbub's; seed %" PRIu64
                         " shows it",
                         t.punished, r->config->seed);
    if (t.diverged > 0)
        return error_set(err, ERR_UNREACHED,
                         "training diverged: %" PRIu64 " steps with a loss that is no number "
                         "(a lower --lr may help)",
                         t.diverged);
    return 0;
}

static int run(struct run *r, struct sim_result *result, struct error *err)
{
    const struct run_options *o = r->options;
    uint64_t cycles = r->config->cycles, cycles_max = sim_end_us(r->sim) / sim_cycle_us(r->sim);
    if (cycles > cycles_max)
        return error_set(err, ERR_USAGE,
                         "--cycles %" PRIu64 " (right: at most %" PRIu64
                         " with these latencies: a longer --tick allows more)",
                         cycles, cycles_max);
    if (o->details != NULL)
        sim_record(r->sim);
    if (o->series != NULL) {
        measure(r, 1);
        note(r);
    }
    run_cycles(r);
    *result = sim_result_of(r->sim, r->config, &r->measure, r->run_us);
    if (o->details != NULL)
        *o->details = details_new(r->sim);
    int rc = check(r, err);
    return rc == 0 && o->save[0] != '\0' ? save(r, err) : rc;
}

int sim_run(const struct sim_config *config, const struct run_options *options,
            struct sim_result *result, struct error *err)
{
    struct run r = {.config = config, .options = options, .told_us = clock_us()};
    *result = (struct sim_result){0};
    sim_peak_reset();
    int rc = sim_open(&r.sim, config, err);
    if (rc != 0)
        return rc;
    rc = run(&r, result, err);
    sim_close(r.sim);
    return rc;
}
