#include "sim/run.h"

#include "base/clock.h"
#include "base/log.h"
#include "model/meta.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

struct run {
    struct sim *sim;
    const struct sim_config *config;
    const struct run_options *options;
    uint64_t run_us; /* of real time, without evaluations */
    uint64_t told_us;
};

static double seconds(uint64_t us)
{
    return (double)us / 1e6;
}

static void tell(struct run *r, const struct sim_measure *m)
{
    struct sim_totals t = sim_totals(r->sim);
    uint64_t now_us = sim_now_us(r->sim);
    log_info("cycle %" PRIu64 ", %.6g s: %.2f M events/s, accuracy %.2f %% (%.2f to %.2f), "
             "consensus %.3g, %" PRIu64 " MB",
             now_us / sim_cycle_us(r->sim), seconds(now_us),
             (double)t.events / (double)(r->run_us > 0 ? r->run_us : 1), 100 * m->acc_mean,
             100 * m->acc_min, 100 * m->acc_max, m->consensus, sim_peak_bytes() >> 20);
    metrics_write(r->options->metrics, "evaluation",
                  json_pack("{s:I, s:f, s:I, s:o, s:o, s:o, s:o, s:o, s:I}", "cycle",
                            (json_int_t)(now_us / sim_cycle_us(r->sim)), "virtual_s",
                            seconds(now_us), "node_updates", (json_int_t)t.node_updates, "acc_mean",
                            sim_json_real(m->acc_mean), "acc_min", sim_json_real(m->acc_min),
                            "acc_max", sim_json_real(m->acc_max), "loss", sim_json_real(m->loss),
                            "consensus", sim_json_real(m->consensus), "bytes",
                            (json_int_t)t.bytes));
}

/* Cycle by cycle; a line of progress where one is asked for, or every few seconds. */
static struct sim_measure run_cycles(struct run *r)
{
    const struct run_options *o = r->options;
    uint64_t n_cycles = r->config->cycles;
    for (uint64_t cycle = 1; cycle <= n_cycles; cycle++) {
        uint64_t start = clock_us();
        sim_run_until(r->sim, cycle * sim_cycle_us(r->sim));
        uint64_t now = clock_us();
        r->run_us += now - start;
        bool asked = o->eval_every > 0 && cycle % o->eval_every == 0;
        if (cycle < n_cycles && (asked || (!o->quiet && now - r->told_us > 5 * SECOND_US))) {
            struct sim_measure m = sim_measure(r->sim, o->eval_nodes);
            tell(r, &m);
            r->told_us = clock_us();
        }
    }
    struct sim_measure m = sim_measure(r->sim, o->eval_nodes);
    tell(r, &m);
    return m;
}

static int save(const struct run *r, struct error *err)
{
    const char *dir = r->options->save;
    if (mkdir(dir, 0777) != 0 && errno != EEXIST)
        return error_set(err, ERR_FAILURE, "%s: cannot be made: %m", dir);
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

int sim_run(const struct sim_config *config, const struct run_options *options,
            struct sim_result *result, struct error *err)
{
    struct run r = {.config = config, .options = options, .told_us = clock_us()};
    *result = (struct sim_result){0};
    int rc = sim_open(&r.sim, config, err);
    if (rc != 0)
        return rc;
    uint64_t cycles_max = sim_end_us(r.sim) / sim_cycle_us(r.sim);
    if (config->cycles > cycles_max) {
        rc = error_set(err, ERR_USAGE,
                       "--cycles %" PRIu64 " (right: at most %" PRIu64
                       " with these latencies: a longer --tick allows more)",
                       config->cycles, cycles_max);
    } else {
        struct sim_measure m = run_cycles(&r);
        *result = sim_result_of(r.sim, config, &m, r.run_us);
        rc = check(&r, err);
        if (rc == 0 && options->save[0] != '\0')
            rc = save(&r, err);
    }
    sim_close(r.sim);
    return rc;
}
