/* What the swarm minimises: how much a peer's gradient counts for. Pure; any thread.
 *
 * A swarm whose n peers average takes, in a time, r_i steps of peer i, each along its gradient g_i
 * times a factor f_i: together sum f_i r_i g_i. That is the gradient of the loss over all samples,
 * sum n_i g_i / sum n_i, times the steps that are made anyway, sum r_i, when
 *     f_i = (n_i / mean n) (mean r / r_i)
 * as in FedNova (Wang et al. 2020, arXiv 2007.07481), which divides a client's update by the
 * steps that it made. docs/ALGORITHMS.md.
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

/* Shares of a peer over their mean: of samples, and of steps in a time; 0 where one is not known,
 * and counts for 1. Above 0, at most OBJECTIVE_FACTOR_MAX. */
float objective_factor(enum objective what, double samples, double speed);

#endif
