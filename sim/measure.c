/* What is known of the nodes from outside. */
#include "sim/inner.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/vec.h"
#include "sim/rounds.h"

#include <math.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

struct sim_totals sim_totals(const struct sim *s)
{
    struct sim_totals sum = {0};
    if (s->rounds != NULL)
        return rounds_totals(s->rounds);
    for (uint32_t i = 0; i < s->config.n_threads; i++) {
        const struct sim_totals *t = &s->workers[i].totals;
        sum.events += t->events;
        sum.node_updates += t->node_updates;
        sum.messages += t->messages;
        sum.bytes += t->bytes;
        sum.lost += t->lost;
        sum.crashes += t->crashes;
        sum.punished += t->punished;
        sum.diverged += t->diverged;
        sum.kernels_ticks += s->workers[i].workspace.kernels_ticks;
        sum.mixing_ticks += t->mixing_ticks;
        sum.frames_ticks += t->frames_ticks;
    }
    return sum;
}

void sim_add_counts(struct sim_counts *sum, const struct sim_counts *c)
{
    sum->initiated += c->initiated;
    sum->mixed += c->mixed;
    sum->served += c->served;
    sum->crossed += c->crossed;
    sum->declined += c->declined;
    sum->busy += c->busy;
    sum->parked += c->parked;
    sum->lost += c->lost;
}

struct sim_counts sim_counts_of(const struct gossip *core)
{
    const struct gossip_counts *c = gossip_counts(core);
    return (struct sim_counts){.initiated = c->initiated,
                               .mixed = c->mixed,
                               .served = c->served,
                               .crossed = c->crossed,
                               .declined = c->declined,
                               .busy = c->busy,
                               .parked = c->parked,
                               .lost = c->lost};
}

struct sim_counts sim_counts(const struct sim *s)
{
    struct sim_counts sum = {0};
    if (s->rounds != NULL)
        return sum;
    for (uint32_t i = 0; i < s->config.n_threads; i++)
        sim_add_counts(&sum, &s->workers[i].counts);
    for (uint32_t id = 0; id < s->config.n_nodes; id++) {
        struct sim_counts c = sim_counts_of(node_core(s, sim_node(s, id)));
        sim_add_counts(&sum, &c);
    }
    return sum;
}

struct staleness sim_staleness(const struct sim *s)
{
    struct staleness sum = {0};
    for (uint32_t i = 0; s->rounds == NULL && i < s->config.n_threads; i++)
        staleness_merge(&sum, &s->workers[i].staleness);
    return sum;
}

/* It is there, and has weights of its own. */
static bool is_up(const struct sim *s, uint32_t id)
{
    return s->lives == NULL || (!s->lives[id].down && !s->lives[id].joining);
}

/* The mean of all theta into mean [dim]; returns the root of the mean squared distance to it. */
static double mean_theta(const struct sim *s, float *mean)
{
    uint64_t dim = s->model.dim;
    uint32_t n = s->config.n_nodes;
    uint32_t n_up = 0;
    double *sum = MEM_NEW(double, dim), squares = 0;
    for (uint32_t id = 0; id < n; id++) {
        const float *theta = sim_theta(s, id);
        if (!is_up(s, id))
            continue;
        n_up++;
        for (uint64_t d = 0; d < dim; d++)
            sum[d] += (double)theta[d];
    }
    for (uint64_t d = 0; d < dim; d++)
        mean[d] = (float)(sum[d] / (n_up > 0 ? n_up : 1));
    for (uint32_t id = 0; id < n; id++)
        if (is_up(s, id))
            squares += vec_distance_sq(sim_theta(s, id), mean, dim);
    free(sum);
    return sqrt(squares / (n_up > 0 ? n_up : 1));
}

static struct sim_score score(struct sim *s, struct evaluator *e, const float *theta)
{
    evaluator_start(e, theta, 0);
    while (evaluator_run(e)) {
    }
    return (struct sim_score){.accuracy = evaluation_accuracy(&s->model, &e->sum),
                              .loss = e->sum.loss_sum / (double)e->sum.n};
}

struct scoring {
    struct sim *sim;
    const uint32_t *nodes;
    struct sim_score *scores;
    uint32_t n;
};

static void score_part(void *ctx, uint32_t part)
{
    const struct scoring *work = ctx;
    struct sim *s = work->sim;
    for (uint32_t i = part; i < work->n; i += s->config.n_threads)
        work->scores[i] = score(s, &s->evaluators[part], sim_theta(s, work->nodes[i]));
}

void sim_score(struct sim *s, const uint32_t *nodes, uint32_t n, struct sim_score *scores)
{
    struct scoring work = {.sim = s, .nodes = nodes, .scores = scores, .n = n};
    team_run(s->team, score_part, &work);
}

struct sim_measure sim_measure(struct sim *s, uint32_t n_max)
{
    uint32_t n = s->config.n_nodes < n_max ? s->config.n_nodes : n_max;
    uint32_t *nodes = MEM_NEW(uint32_t, n), n_up = 0;
    struct sim_score *scores = MEM_NEW(struct sim_score, n);
    float *mean = MEM_NEW(float, s->model.dim);
    double distance = mean_theta(s, mean);
    for (uint32_t i = 0; i < n; i++) {
        nodes[n_up] = (uint32_t)((uint64_t)s->config.n_nodes * i / n);
        n_up += is_up(s, nodes[n_up]);
    }
    sim_score(s, nodes, n_up, scores);
    struct sim_measure m = {.n_evaluated = n_up,
                            .is_real = s->data.test.shape.n_classes == 0,
                            .acc_min = INFINITY,
                            .acc_max = -INFINITY,
                            .loss_min = INFINITY,
                            .loss_max = -INFINITY,
                            .acc_of_mean = score(s, &s->evaluators[0], mean).accuracy,
                            .consensus = distance};
    for (uint32_t i = 0; i < n_up; i++) {
        double accuracy = scores[i].accuracy, loss = scores[i].loss;
        m.acc_mean += accuracy / n_up;
        m.loss += loss / n_up;
        m.acc_min = accuracy < m.acc_min ? accuracy : m.acc_min;
        m.acc_max = accuracy > m.acc_max ? accuracy : m.acc_max;
        m.loss_min = loss < m.loss_min ? loss : m.loss_min;
        m.loss_max = loss > m.loss_max ? loss : m.loss_max;
    }
    free(nodes);
    free(scores);
    free(mean);
    return m;
}

/* ---- hashes -------------------------------------------------------------------------------- */

static EVP_MD_CTX *sha256_start(void)
{
    EVP_MD_CTX *sha = EVP_MD_CTX_new();
    CHECK(sha != NULL && EVP_DigestInit_ex(sha, EVP_sha256(), NULL) == 1);
    return sha;
}

static void sha256_end(EVP_MD_CTX *sha, char text[SIM_HASH_TEXT])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    CHECK(EVP_DigestFinal_ex(sha, digest, &n) == 1 && 2 * n + 1 == SIM_HASH_TEXT);
    for (unsigned i = 0; i < n; i++)
        snprintf(text + (size_t)2 * i, 3, "%02x", digest[i]);
    EVP_MD_CTX_free(sha);
}

void sim_trace_sha256(const struct sim *s, char text[SIM_HASH_TEXT])
{
    EVP_MD_CTX *sha = sha256_start();
    for (uint32_t id = 0; id < s->config.n_nodes; id++)
        CHECK(EVP_DigestUpdate(sha, &sim_node(s, id)->trace, sizeof(uint64_t)) == 1);
    sha256_end(sha, text);
}

void sim_weights_sha256(const struct sim *s, char text[SIM_HASH_TEXT])
{
    EVP_MD_CTX *sha = sha256_start();
    for (uint32_t id = 0; id < s->config.n_nodes; id++)
        CHECK(EVP_DigestUpdate(sha, sim_theta(s, id), s->model.dim * sizeof(float)) == 1);
    sha256_end(sha, text);
}
