/* What the swarm minimises: how much a peer's gradient counts for. Pure; any thread.
 *
 * A swarm whose n peers average takes, in a time, r_i steps of peer i, each along its gradient g_i
 * times a factor f_i: together sum f_i r_i g_i. That is the gradient of the loss over all samples,
 * sum n_i g_i / sum n_i, times the steps that are made anyway, sum r_i, when
 *     f_i = (n_i / mean n) (mean r / r_i)
 * as in FedNova (Wang et al. 2020, arXiv 2007.07481), which divides a client's update by the
 * steps that it made. But the noise of the gradients goes with sum r_i f_i^2, and so the root of
 * r_i is taken, half way between bias and noise (docs/ALGORITHMS.md):
 *     f_i = (n_i / mean n) mean r / (sqrt r_i mean sqrt r)
 */
#ifndef HUBBUB_MODEL_OBJECTIVE_H
#define HUBBUB_MODEL_OBJECTIVE_H

enum objective {
    OBJECTIVE_SAMPLES, /* the mean loss over all samples */
    OBJECTIVE_PEERS,   /* the mean over the peers of the loss over their samples: n_i = 1 */
    OBJECTIVE_STEPS,   /* every step counts for one */
    N_OBJECTIVES
};
extern const char *const objective_names[N_OBJECTIVES + 1];

#define OBJECTIVE_FACTOR_MAX 4.0

/* samples, speed: a peer's over their mean, speed in steps in a time; 0 where it is not known, and
 * counts for 1. evenness: mean sqrt r / sqrt mean r, 1 where all are as fast as each other. The
 * result is above 0, at most OBJECTIVE_FACTOR_MAX. */
float objective_factor(enum objective what, double samples, double speed, double evenness);

#endif
