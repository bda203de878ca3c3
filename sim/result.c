#include "sim/result.h"

#include "base/json.h"

#include <inttypes.h>
#include <stdio.h>

/* Not getrusage: its figure begins with that of the process that started this one. */
uint64_t sim_peak_bytes(void)
{
    unsigned long long kb = 0;
    char line[256];
    FILE *in = fopen("/proc/self/status", "r");
    while (in != NULL && fgets(line, sizeof line, in) != NULL)
        if (sscanf(line, "VmHWM: %llu kB", &kb) == 1)
            break;
    if (in != NULL)
        fclose(in);
    return (uint64_t)kb * 1024;
}

void sim_peak_reset(void)
{
    FILE *out = fopen("/proc/self/clear_refs", "w");
    if (out == NULL)
        return;
    fputs("5", out);
    fclose(out);
}

const char *sim_score_text(const struct sim_measure *m, char text[SIM_SCORE_TEXT])
{
    if (m->is_real)
        snprintf(text, SIM_SCORE_TEXT, "R^2 %.4f (%.4f to %.4f)", m->acc_mean, m->acc_min,
                 m->acc_max);
    else
        snprintf(text, SIM_SCORE_TEXT, "accuracy %.2f %% (%.2f to %.2f)", 100 * m->acc_mean,
                 100 * m->acc_min, 100 * m->acc_max);
    return text;
}

struct sim_result sim_result_of(const struct sim *sim, const struct sim_config *config,
                                const struct sim_measure *m, uint64_t run_us)
{
    struct sim_result r = {.nodes = config->n_nodes,
                           .cycles = config->cycles,
                           .seed = config->seed,
                           .virtual_us = sim_now_us(sim),
                           .speed = sim_speed(sim),
                           .run_us = run_us > 0 ? run_us : 1,
                           .rss_bytes = sim_peak_bytes(),
                           .totals = sim_totals(sim),
                           .counts = sim_counts(sim),
                           .staleness = sim_staleness(sim),
                           .measure = *m,
                           .memory = sim_memory(sim)};
    sim_trace_sha256(sim, r.trace_sha256);
    sim_weights_sha256(sim, r.weights_sha256);
    return r;
}

static void set_exchanges(json_t *o, const struct sim_result *r)
{
    const struct sim_counts *c = &r->counts;
    const struct staleness *s = &r->staleness;
    json_t *figures = json_pack(
        "{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:i, s:i, s:i, s:i, s:o}", "exchanges",
        (json_int_t)(c->mixed + c->served), "initiated", (json_int_t)c->initiated, "mixed",
        (json_int_t)c->mixed, "served", (json_int_t)c->served, "crossed", (json_int_t)c->crossed,
        "declined", (json_int_t)c->declined, "busy", (json_int_t)c->busy, "parked",
        (json_int_t)c->parked, "lost", (json_int_t)c->lost, "staleness_q1",
        (int)staleness_quantile(s, 0.25), "staleness_median", (int)staleness_quantile(s, 0.5),
        "staleness_q3", (int)staleness_quantile(s, 0.75), "staleness_max",
        (int)staleness_quantile(s, 1), "staleness_counts",
        json_counts(s->counts, STALENESS_MAX + 1));
    json_object_update(o, figures);
    json_decref(figures);
}

json_t *sim_result_json(const struct sim_result *r)
{
    const struct sim_measure *m = &r->measure;
    double seconds = (double)r->run_us / 1e6;
    json_t *o = json_pack(
        "{s:I, s:I, s:I, s:f, s:f, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:f, s:I, s:I, s:s, "
        "s:s}",
        "nodes", (json_int_t)r->nodes, "cycles", (json_int_t)r->cycles, "node_updates",
        (json_int_t)r->totals.node_updates, "seconds", seconds, "node_updates_per_s",
        (double)r->totals.node_updates / seconds, "rss_bytes", (json_int_t)r->rss_bytes,
        "test_error", json_real_or_null(1 - m->acc_mean), "acc_mean",
        json_real_or_null(m->acc_mean), "acc_min", json_real_or_null(m->acc_min), "acc_max",
        json_real_or_null(m->acc_max), "acc_of_mean", json_real_or_null(m->acc_of_mean), "loss",
        json_real_or_null(m->loss), "consensus", json_real_or_null(m->consensus), "virtual_s",
        (double)r->virtual_us / 1e6, "step_us", (json_int_t)speed_nominal_us(&r->speed), "bytes",
        (json_int_t)r->totals.bytes, "trace_sha256", r->trace_sha256, "weights_sha256",
        r->weights_sha256);
    set_exchanges(o, r);
    return o;
}

void sim_result_print(const struct sim_result *r)
{
    const struct sim_totals *t = &r->totals;
    const struct sim_measure *m = &r->measure;
    double seconds = (double)r->run_us / 1e6;
    printf("%14" PRIu64 "  peers, %" PRIu64 " cycles, %.6g virtual seconds\n", r->nodes, r->cycles,
           (double)r->virtual_us / 1e6);
    printf("%14.3f  seconds: %.3f M node-updates/s, %.3f M events/s\n", seconds,
           (double)t->node_updates / seconds / 1e6, (double)t->events / seconds / 1e6);
    printf("%14" PRIu64 "  node-updates, %" PRIu64 " messages (%" PRIu64 " lost) of %" PRIu64
           " bytes\n",
           t->node_updates, t->messages, t->lost, t->bytes);
    if (m->is_real)
        printf("%14.4f  R^2, mean of %" PRIu32 " peers (%.4f to %.4f); loss %.4f\n", m->acc_mean,
               m->n_evaluated, m->acc_min, m->acc_max, m->loss);
    else
        printf("%14.2f  %% accuracy, mean of %" PRIu32 " peers (%.2f to %.2f); loss %.4f\n",
               100 * m->acc_mean, m->n_evaluated, 100 * m->acc_min, 100 * m->acc_max, m->loss);
    printf("%14.3e  consensus distance\n", m->consensus);
    printf("%14" PRIu64 "  MB at most; a peer %" PRIu64 " B beside weights and optimiser, %" PRIu64
           " parcels of %" PRIu64 " B\n",
           r->rss_bytes >> 20, r->memory.node_bytes, r->memory.parcels, r->memory.parcel_bytes);
    printf("%14s  %s\n%14s  %s\n", "trace", r->trace_sha256, "weights", r->weights_sha256);
}
