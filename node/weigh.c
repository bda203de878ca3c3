/* What this peer's gradient counts for, from what peers tell of their samples and steps. */
#include "base/log.h"
#include "node/node.h"

#include <math.h>

enum { TOLD_US = 10000000 };

#define WORTH_TELLING 0.15 /* a change by so much */

void weigh_tick(struct node *n, uint64_t now_us)
{
    if (n->state != PEER_TRAINING && n->state != PEER_DONE)
        return;
    pace_note(&n->weigh.pace, n->report.step, now_us);
    double samples = peers_share_samples(&n->peers, n->part.n);
    double speed = peers_share_speed(&n->peers, n->weigh.pace.per_s);
    double evenness = peers_evenness(&n->peers, n->weigh.pace.per_s);
    float factor = objective_factor(n->config.objective, samples, speed, evenness);
    n->weigh.factor = factor;
    handoff_set_factor(&n->handoff, factor);
    float told = n->weigh.told > 0 ? n->weigh.told : 1;
    if (fabs((double)(factor / told) - 1) < WORTH_TELLING || now_us - n->weigh.told_us < TOLD_US)
        return;
    log_info("this peer's gradients count %.2f times: it has %.2f times the samples of a peer, and "
             "makes %.2f times the steps",
             (double)factor, samples, speed > 0 ? speed : 1);
    n->weigh.told = factor;
    n->weigh.told_us = now_us;
}
