/* What a node says at its end: a block for people or one JSON object, and the model's metadata. */
#include "base/json.h"
#include "base/mem.h"
#include "node/node.h"

#include <jansson.h>

#include <stdio.h>
#include <stdlib.h>

static json_t *class_list(const struct node *n)
{
    uint32_t *counts = MEM_NEW(uint32_t, n->data.train.shape.n_classes);
    json_t *list = json_array();
    shard_classes(&n->part, &n->data.train, counts);
    for (uint32_t c = 0; c < n->data.train.shape.n_classes; c++)
        if (counts[c] > 0)
            json_array_append_new(list, json_integer(c));
    free(counts);
    return list;
}

static double steps_per_s(const struct node *n)
{
    return n->training_us > 0 ? (double)n->report.steps_done * 1e6 / (double)n->training_us : 0;
}

/* Of the test data of all peers, where each has its own. */
static void set_swarm(json_t *o, const struct node *n)
{
    struct scores_sum swarm = scores_swarm(n);
    if (swarm.n == 0)
        return;
    json_object_set_new(o, "swarm_accuracy", json_real((double)swarm.n_correct / (double)swarm.n));
    json_object_set_new(o, "swarm_loss", json_real(swarm.loss));
    json_object_set_new(o, "swarm_peers", json_integer(swarm.n_peers));
}

static void set_counts(json_t *o, const struct gossip_counts *c)
{
    json_object_set_new(o, "initiated", json_integer(c->initiated));
    json_object_set_new(o, "mixed", json_integer(c->mixed));
    json_object_set_new(o, "served", json_integer(c->served));
    json_object_set_new(o, "crossed", json_integer(c->crossed));
    json_object_set_new(o, "declined", json_integer(c->declined));
    json_object_set_new(o, "refused", json_integer(c->refused));
    json_object_set_new(o, "busy", json_integer(c->busy));
    json_object_set_new(o, "parked", json_integer(c->parked));
    json_object_set_new(o, "lost", json_integer(c->lost));
    json_object_set_new(o, "orphaned", json_integer(c->orphaned));
    json_object_set_new(o, "unknown", json_integer(c->unknown));
}

static void set_staleness(json_t *o, const struct staleness *s)
{
    json_object_set_new(o, "staleness_q1", json_integer(staleness_quantile(s, 0.25)));
    json_object_set_new(o, "staleness_median", json_integer(staleness_quantile(s, 0.5)));
    json_object_set_new(o, "staleness_q3", json_integer(staleness_quantile(s, 0.75)));
    json_object_set_new(o, "staleness_max", json_integer(staleness_quantile(s, 1)));
    json_object_set_new(o, "staleness_counts", json_counts(s->counts, STALENESS_MAX + 1));
}

/* What a push-sum peer has of the swarm's mass, mean over the slices, and what became of transfers.
 * Nothing with other gossip. */
static void set_masses(json_t *o, const struct node *n)
{
    uint32_t n_slices = n->gossip_config.n_slices;
    double mass = 0, under_way = 0;
    if (n->gossip_config.mode != GOSSIP_PUSH_SUM)
        return;
    for (uint32_t i = 0; i < n_slices; i++) {
        mass += (double)gossip_mass_units(n->gossip, i) / (double)MASS_ONE / n_slices;
        under_way += (double)gossip_mass_under_way(n->gossip, i) / (double)MASS_ONE / n_slices;
    }
    const struct mass_counts *c = gossip_mass_counts(n->gossip);
    json_object_set_new(o, "mass", json_real(mass));
    json_object_set_new(o, "mass_under_way", json_real(under_way));
    json_object_set_new(o, "resent", json_integer(c->resent));
    json_object_set_new(o, "repeated", json_integer(c->repeated));
    json_object_set_new(o, "credited", json_integer(c->credited));
    json_object_set_new(o, "mass_unknown", json_integer(c->unknown));
}

void result_start(struct node *n)
{
    metrics_write(&n->metrics, "start",
                  json_pack("{s:s, s:i, s:i, s:s, s:s, s:I, s:I}", "run", n->config.run, "shard",
                            (int)n->config.shard + 1, "n_shards", (int)n->config.n_shards, "model",
                            n->model.spec, "data", n->data_name, "n_samples", (json_int_t)n->part.n,
                            "dim", (json_int_t)n->model.dim));
}

void result_report(struct node *n)
{
    const struct trainer_report *r = &n->report;
    if (n->metrics.file == NULL)
        return;
    json_t *o = json_object();
    json_object_set_new(o, "step", json_integer((json_int_t)r->step));
    json_object_set_new(o, "steps_done", json_integer((json_int_t)r->steps_done));
    json_object_set_new(o, "epochs", json_real(r->epochs));
    json_object_set_new(o, "loss", json_real(r->loss));
    if (r->n_evaluations > 0) {
        json_object_set_new(o, "accuracy", json_real(r->accuracy));
        json_object_set_new(o, "test_loss", json_real(r->test_loss));
        set_swarm(o, n);
        json_object_set_new(o, "eval_step", json_integer((json_int_t)r->eval_step));
    }
    json_object_set_new(o, "step_max_us", json_integer((json_int_t)r->step_max_us));
    json_object_set_new(o, "step_us", json_integer((json_int_t)r->step_us));
    json_object_set_new(o, "job_us", json_integer((json_int_t)r->job_us));
    json_object_set_new(o, "factor", json_real((double)n->weigh.factor));
    json_object_set_new(o, "gossip_share", json_real(n->budget.share));
    json_object_set_new(o, "every_steps", json_integer(n->config.every.steps));
    json_object_set_new(o, "peers", json_integer(n->peers.n_linked));
    json_object_set_new(o, "bytes_in", json_integer((json_int_t)n->bytes_in));
    json_object_set_new(o, "bytes_out", json_integer((json_int_t)n->bytes_out));
    set_counts(o, &n->counts);
    set_masses(o, n);
    set_staleness(o, &n->staleness);
    metrics_write(&n->metrics, "report", o);
}

static json_t *build(const struct node *n)
{
    const struct trainer_report *r = &n->report;
    const struct gossip_counts *c = &n->counts;
    char shard[32];
    snprintf(shard, sizeof shard, "%u/%u", n->config.shard + 1, n->config.n_shards);
    json_t *o = json_object();
    json_object_set_new(o, "run", json_string(n->config.run));
    json_object_set_new(o, "shard", json_string(shard));
    json_object_set_new(o, "classes", class_list(n));
    json_object_set_new(o, "step", json_integer((json_int_t)r->step));
    json_object_set_new(o, "steps_done", json_integer((json_int_t)r->steps_done));
    json_object_set_new(o, "epochs", json_real(r->epochs));
    json_object_set_new(o, "samples", json_integer((json_int_t)(r->steps_done * n->config.batch)));
    json_object_set_new(o, "accuracy", json_real(r->accuracy));
    json_object_set_new(o, "test_loss", json_real(r->test_loss));
    set_swarm(o, n);
    json_object_set_new(o, "train_loss", json_real(r->loss));
    json_object_set_new(o, "seconds", json_real((double)n->training_us / 1e6));
    json_object_set_new(o, "steps_per_s", json_real(steps_per_s(n)));
    json_object_set_new(o, "step_max_ms", json_real((double)r->step_max_us / 1e3));
    json_object_set_new(o, "factor", json_real((double)n->weigh.factor));
    json_object_set_new(o, "gossip_share", json_real(n->budget.share));
    json_object_set_new(o, "gossip_every_steps", json_integer(n->config.every.steps));
    json_object_set_new(o, "exchanges", json_integer((json_int_t)c->mixed + c->served));
    set_counts(o, c);
    set_masses(o, n);
    set_staleness(o, &n->staleness);
    json_object_set_new(o, "pool_buffers", json_integer(n->pool.n));
    json_object_set_new(o, "adopted_at_step", json_integer((json_int_t)n->adopt_step));
    json_object_set_new(o, "bytes_in", json_integer((json_int_t)n->bytes_in));
    json_object_set_new(o, "bytes_out", json_integer((json_int_t)n->bytes_out));
    json_object_set_new(o, "out", json_string(n->config.out));
    return o;
}

void result_score(const struct node *n, char text[RESULT_SCORE_MAX])
{
    double score = n->report.accuracy;
    if (n->data.train.shape.n_classes > 0)
        snprintf(text, RESULT_SCORE_MAX, "accuracy %.2f %%", 100 * score);
    else
        snprintf(text, RESULT_SCORE_MAX, "R^2 %.4f", score);
}

void result_print(const struct node *n)
{
    const struct trainer_report *r = &n->report;
    const struct gossip_counts *c = &n->counts;
    if (n->config.json) {
        json_t *o = build(n);
        json_dumpf(o, stdout, JSON_REAL_PRECISION(9));
        putchar('\n');
        json_decref(o);
        return;
    }
    char score[RESULT_SCORE_MAX];
    result_score(n, score);
    printf("shard %u/%u: test %s, loss %.4f after %.2f epochs (%llu steps in %.1f s, "
           "%.1f steps/s)\n",
           n->config.shard + 1, n->config.n_shards, score, r->test_loss, r->epochs,
           (unsigned long long)r->steps_done, (double)n->training_us / 1e6, steps_per_s(n));
    struct scores_sum swarm = scores_swarm(n);
    if (scores_are_shared(n) && swarm.n > 0)
        printf("  swarm: test accuracy %.2f %%, loss %.4f over the test data of %u peers\n",
               100 * (double)swarm.n_correct / (double)swarm.n, swarm.loss, swarm.n_peers);
    if (n->config.gossip != GOSSIP_CHOICE_OFF)
        printf("  %llu slices exchanged (%u asked, %u answered; %u declined, %u lost), "
               "%.1f MB received, %.1f MB sent\n",
               (unsigned long long)c->mixed + c->served, c->mixed, c->served, c->declined, c->lost,
               (double)n->bytes_in / 1e6, (double)n->bytes_out / 1e6);
}

json_t *result_metadata(const struct node *n)
{
    json_t *o = meta_new(&n->model, &n->data);
    json_object_set_new(o, "data", json_string(n->data_name));
    json_object_set_new(o, "run", json_string(n->config.run));
    json_object_set_new(o, "seed", json_integer((json_int_t)n->config.seed));
    json_object_set_new(o, "init", json_string(n->init));
    json_object_set_new(o, "step", json_integer((json_int_t)n->report.step));
    json_object_set_new(o, "accuracy", json_real(n->report.accuracy));
    set_swarm(o, n);
    return o;
}
