/* Test results where every peer tests on data of its own: told to all, passed on, summed up. */
#include "node/node.h"

#include "base/clock.h"

#include <math.h>

/* A small shard is tested on thousands of times a second: told each time, the links to a peer that
 * rests for a moment would fill. */
enum { NEWS_US = 100000 };

bool scores_are_shared(const struct node *n)
{
    return n->config.partition.kind == PARTITION_NONE && n->config.gossip != GOSSIP_CHOICE_OFF;
}

struct scores_sum scores_swarm(const struct node *n)
{
    const struct trainer_report *r = &n->report;
    if (scores_are_shared(n))
        return scores_sum(&n->scores, clock_us());
    uint64_t n_test = n->data.test.n_samples;
    return (struct scores_sum){.n = n_test,
                               .n_correct = (uint64_t)llround(r->accuracy * (double)n_test),
                               .loss = r->test_loss,
                               .n_peers = 1};
}

/* The trainer ends at the swarm's accuracy, which is known once every linked peer has told its own;
 * before, it would end at that of a few. */
static void tell_trainer(struct node *n)
{
    struct scores_sum sum = scores_swarm(n);
    for (uint32_t i = 0; i < PEERS_MAX; i++)
        if (n->peers.slots[i].link != NULL && scores_of(&n->scores, n->peers.slots[i].id) == NULL)
            return;
    if (sum.n > 0)
        handoff_set_swarm_accuracy(&n->handoff, (double)sum.n_correct / (double)sum.n);
}

static void send_one(struct node *n, const struct wire_score *score)
{
    struct wire_message m = {.kind = WIRE_SCORE, .score = *score};
    for (uint32_t i = 0; i < PEERS_MAX; i++)
        if (n->peers.slots[i].link != NULL)
            tcp_send_control(n->peers.slots[i].link, &m);
}

static void send_scores(struct node *n, uint64_t now_us)
{
    const struct wire_score *score;
    n->scores_us = now_us;
    n->score_is_new = false;
    if ((score = scores_own(&n->scores)) != NULL)
        send_one(n, score);
    for (int k = 0; k < SCORES_PASSED && (score = scores_next(&n->scores, now_us)) != NULL; k++)
        send_one(n, score);
    tell_trainer(n);
}

void scores_tick(struct node *n, uint64_t now_us)
{
    uint64_t since_us = now_us - n->scores_us;
    if (scores_are_shared(n) && since_us >= (n->score_is_new ? NEWS_US : SECOND_US))
        send_scores(n, now_us);
}

void scores_evaluated(struct node *n, bool final)
{
    const struct trainer_report *r = &n->report;
    if (!scores_are_shared(n) || (r->n_evaluations == n->scored && !final))
        return;
    n->scored = r->n_evaluations;
    n->score_is_new = true;
    uint64_t n_test = n->data.test.n_samples;
    scores_set_own(&n->scores, n_test, (uint64_t)llround(r->accuracy * (double)n_test),
                   r->test_loss, final);
    if (final)
        send_scores(n, clock_us());
    else
        tell_trainer(n);
}

void scores_received(struct node *n, const struct wire_score *score)
{
    if (!scores_are_shared(n))
        return;
    scores_put(&n->scores, score, clock_us());
    tell_trainer(n);
}

bool scores_are_final(const struct node *n)
{
    for (uint32_t i = 0; i < PEERS_MAX; i++) {
        const struct peer *p = &n->peers.slots[i];
        const struct wire_score *score = p->link != NULL ? scores_of(&n->scores, p->id) : NULL;
        if (p->link != NULL && (score == NULL || score->final == 0))
            return false;
    }
    return true;
}
