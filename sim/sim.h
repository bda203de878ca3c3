/* The simulator: many peers in one process under virtual time, running the code that is deployed.
 *
 * A discrete-event engine over the gossip core, frames, mixing kernels and learners of a real peer;
 * sockets, clock and threads are what it replaces. The virtual result is a function of the
 * configuration alone, bit for bit, whatever n_threads is (docs/SIMULATOR.md). Its functions are
 * called from one thread.
 */
#ifndef HUBBUB_SIM_SIM_H
#define HUBBUB_SIM_SIM_H

#include "data/partition.h"
#include "model/options.h"
#include "model/learner.h"
#include "net/gossip.h"
#include "net/staleness.h"
#include "sim/churn.h"
#include "sim/mixing.h"
#include "sim/network.h"
#include "sim/speed.h"

#include <stdbool.h>

enum { SIM_THREADS_MAX = 64, SIM_HASH_TEXT = 65 };

#define SIM_DAYS_MAX UINT32_MAX /* of a run */

enum sim_train {
    SIM_CONTINUOUS, /* step after step; exchanges in between */
    SIM_ON_RECEIVE  /* a step for every model that was merged: gossip learning */
};

/* The gossip engine, or what goes in rounds (sim/rounds.h). */
enum sim_algorithm { SIM_GOSSIP, SIM_DPSGD, SIM_ALLREDUCE, SIM_LOCAL };
enum sim_order { SIM_ADAPT_THEN_COMBINE, SIM_COMBINE_THEN_ADAPT }; /* of SIM_DPSGD */

struct sim_config {
    enum sim_algorithm algorithm;
    enum sim_order order;
    enum mixing_kind mixing; /* of SIM_DPSGD */
    uint32_t n_nodes, n_threads;
    const char *topology, *model_spec;
    struct data_options data;
    struct partition partition;
    struct optim_config optim; /* the schedule's lengths are filled in: from cycles, and from */
    struct step_span warmup, step_size; /* these, epochs being those of the first peer's shard */
    uint32_t batch;
    uint64_t seed, cycles;
    enum objective objective;
    enum gossip_mode gossip;
    bool alone;           /* no gossip at all */
    uint32_t every_steps; /* local steps between initiations; 0: by time */
    uint64_t every_us;
    uint32_t open_per_slice, serve_per_slice; /* 0: as a real peer has: 1, 4 */
    uint32_t parked_per_slice;                /* a real peer has GOSSIP_PARKED_PER_SLICE */
    uint32_t fanout;
    enum sim_train train;
    struct network network;   /* floor_us 0: a thousandth of a cycle */
    struct speed speed;       /* step_us 0: from the model */
    struct sessions sessions; /* of nodes that come and go */
    struct late late;
    uint64_t settle_us; /* from then on steps change nothing; 0: never */
    bool state_is_kept; /* through a crash; else a node comes back empty, and adopts */
    bool check;         /* the invariants of sim/check.h at every event; n_threads is 1 */
    bool calibrate;     /* step_us: as measured here and now */
    bool frames;        /* encode and decode every message */
    bool profile;       /* count where real time goes */
};

struct sim_totals {
    uint64_t events;       /* messages that arrived, steps, wakes */
    uint64_t node_updates; /* local steps; on-receive: models merged and trained on */
    uint64_t messages, bytes, lost;
    uint64_t crashes;
    uint64_t punished, diverged; /* neither must ever be above 0 */
    /* With profile, clock_ticks of all threads: in models' and optimisers' kernels; in copying and
     * mixing slices; in encoding, checking and decoding messages. */
    uint64_t kernels_ticks, mixing_ticks, frames_ticks;
};

/* Sums of struct gossip_counts over all peers. */
struct sim_counts {
    uint64_t initiated, mixed, served, crossed, declined, busy, parked, lost;
};

struct sim_measure {
    uint32_t n_evaluated;              /* nodes, evenly spaced */
    bool is_real;                      /* the target */
    double acc_mean, acc_min, acc_max; /* R^2 where the target is real */
    double acc_of_mean;                /* of the mean of all theta: the model of the swarm */
    double loss, loss_min, loss_max;   /* loss: the mean */
    double consensus;                  /* root of the mean squared distance to the mean theta */
};

/* Of one node, on the test data. */
struct sim_score {
    double accuracy, loss;
};

struct sim;

/* ERR_USAGE, ERR_DATA, ERR_FAILURE. */
int sim_open(struct sim **sim, const struct sim_config *config, struct error *err) MUST_USE;
void sim_close(struct sim *sim);

/* A gossip period: every_us, or every_steps nominal steps. A round lasts no fixed time. */
uint64_t sim_cycle_us(const struct sim *sim);

/* How long steps take: as configured, from the model, or as measured. */
struct speed sim_speed(const struct sim *sim);

/* The latest time that sim_run_until may be given: SIM_DAYS_MAX days. */
uint64_t sim_end_us(const struct sim *sim);

/* Runs all days (of the length of the network's floor) that start before time_us. */
void sim_run_until(struct sim *sim, uint64_t time_us);

/* Until so many cycles are over since the start: gossip periods, or rounds of a synchronous
 * algorithm, for which it stands in for sim_run_until. */
void sim_run_cycles(struct sim *sim, uint64_t n_cycles);
uint64_t sim_cycles(const struct sim *sim);
uint64_t sim_now_us(const struct sim *sim);

/* With `check`: what was violated, with node and time, after which nothing more happens; or NULL.
 */
const char *sim_violation(const struct sim *sim);

struct sim_totals sim_totals(const struct sim *sim);

/* Of all peers so far; nothing of synchronous algorithms. */
struct sim_counts sim_counts(const struct sim *sim);
struct staleness sim_staleness(const struct sim *sim);

/* Accuracy on the test data of n_max nodes or all. Changes nothing, as does the next. */
struct sim_measure sim_measure(struct sim *sim, uint32_t n_max);

/* scores [n] of these nodes; the threads share the work. */
void sim_score(struct sim *sim, const uint32_t *nodes, uint32_t n, struct sim_score *scores);

/* SHA-256 in hexadecimal: of the nodes' trace hashes, and of all theta, in node order. */
void sim_trace_sha256(const struct sim *sim, char text[SIM_HASH_TEXT]);
void sim_weights_sha256(const struct sim *sim, char text[SIM_HASH_TEXT]);

const struct model *sim_model(const struct sim *sim);
const struct data_pair *sim_data(const struct sim *sim);
const float *sim_theta(const struct sim *sim, uint32_t node);

/* Bytes of a node beyond weights and optimiser; parcels there are, and bytes of one. */
struct sim_memory {
    uint64_t node_bytes, parcels, parcel_bytes;
};
struct sim_memory sim_memory(const struct sim *sim);

#endif
