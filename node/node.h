/* A peer: a libuv loop and a trainer thread around one gossip core.
 *
 * The loop thread owns everything here but the trainer's insides. Its parts:
 *   node.c      start, the life of the peer, the end and the result
 *   peering.c   dialling, HELLO, one link per pair, STATUS, goodbyes
 *   exchange.c  drives the gossip core: its actions become frames and jobs
 *   weigh.c     what its gradient counts for
 *   scores.c    test results of all peers, where each has data of its own
 *   save.c      the model file
 *   progress.c  how far it is, for people
 *   result.c    what it says at the end, and in --metrics
 */
#ifndef HUBBUB_NODE_NODE_H
#define HUBBUB_NODE_NODE_H

#include "base/parse.h"
#include "base/rng.h"
#include "data/partition.h"
#include "model/start.h"
#include "model/options.h"
#include "net/gossip.h"
#include "net/gossip_every.h"
#include "net/peers.h"
#include "net/scores.h"
#include "net/staleness.h"
#include "net/tcp.h"
#include "node/handoff.h"
#include "base/metrics.h"
#include "node/pool.h"
#include "node/trainer.h"

#include <uv.h>

enum { NODE_ADDRESSES_MAX = 256 };

enum gossip_choice {
    GOSSIP_CHOICE_PAIRWISE,
    GOSSIP_CHOICE_PULL,
    GOSSIP_CHOICE_PUSH,
    GOSSIP_CHOICE_PUSH_SUM,
    GOSSIP_CHOICE_OFF
};
enum end_choice { END_VOTE, END_OWN };

struct node_config {
    const char *run;
    struct data_options data;
    const char *model_spec;
    const char *init; /* file of the first weights; "": from the seed */
    enum start_normalize init_normalize;
    uint32_t shard, n_shards; /* from 0 */
    struct partition partition;
    bool listens;
    struct host_port listen;
    const char *advertise; /* H:P for HELLO; "": where it listens */
    char own_entry[300];   /* with --shard auto: H:P of me in the list */
    struct host_port addresses[NODE_ADDRESSES_MAX];
    uint32_t n_addresses;
    const char *peers_file; /* "" for none; read again on SIGHUP */
    bool insecure;
    struct optim_config optim; /* steps are filled in from until */
    bool schedule_is_given;
    struct step_span warmup, step_size; /* become steps of optim when the data is known */
    uint32_t batch;
    uint64_t seed;
    uint32_t n_threads; /* of a step */
    enum objective objective;
    enum gossip_choice gossip;
    struct gossip_every every;
    uint32_t open_per_slice, fanout;
    struct until until;
    double eval_epochs;
    enum end_choice end;
    uint64_t settle_us, join_timeout_us, report_us;
    uint32_t min_peers;
    uint64_t pace_us;
    double slow;
    const char *out;  /* NULL: hubbub-RUN-SHARD.npz; "": none */
    uint64_t save_us; /* between writings of it while training; 0: only at the end */
    struct snapshots snapshots;
    const char *metrics; /* "" for none */
    bool json;
};

/* An address to dial: from the peer list. */
struct address {
    struct host_port at;
    struct tcp_link *link;                 /* being dialled or in use; NULL: neither */
    bool is_self;                          /* it is we who answer there */
    bool tried, refused;                   /* an outcome is known; the peer there is incompatible */
    bool has_served;                       /* served_by is set */
    uint8_t served_by[WIRE_PEER_ID_BYTES]; /* who answered there last: no dial while it is linked */
    uint32_t n_failures;
    uint64_t next_dial_us;
};

/* What we know of a link; its user pointer. */
struct contact {
    struct tcp_link *link;
    struct address *address; /* when we dialled */
    uint32_t slot;           /* in the peer table; PEERS_MAX before HELLO, and when superseded */
    bool greeted;            /* its HELLO was accepted */
    bool closing, said_goodbye, goodbye_done;
};

struct node {
    struct node_config config;
    struct data_pair data;
    struct shard part;
    struct model model;
    float *first; /* weights of --init, until the trainer has them; NULL: none */
    struct trainer trainer;
    struct handoff handoff;
    struct pool pool;
    uint32_t n_leaving; /* bodies of tensors that wait to be written, or are being */
    uint32_t n_asking;  /* REQUESTs among them */
    uint16_t *asking;   /* of a buffer: REQUESTs that it is being written with */
    uint32_t *asked;    /* and to whom, the last of them */
    uint64_t *taken_at; /* of an exchange: the trainer's step at its TAKE */
    uint64_t *sums;     /* of a buffer that a TAKE or ANSWER filled: its wire_body_sum */
    bool jobs_left;     /* for the trainer, in this turn of the loop: exchange_turn sees to them */
    struct staleness staleness;
    struct peers peers;
    struct scores scores;
    uint64_t scored, scores_us; /* evaluations that scores has; when it was last told to others */
    bool score_is_new;          /* since then */
    struct gossip_config gossip_config;
    struct gossip *gossip;
    char data_name[WIRE_TEXT_MAX]; /* data, split and seed: what peers must agree on */
    char listen_name[300];
    char fingerprint[META_HASH_MAX];
    char init[2 * META_HASH_MAX]; /* first weights: "seed", or the hash of --init's file, with
                                     " layer" where they were normalised */

    uv_loop_t loop;
    int notified_fd; /* an eventfd that the trainer writes to: completions are there */
    uv_poll_t completions;
    uv_timer_t wake, tick;
    uv_signal_t sigint, sigterm, sigusr1, sighup;
    struct metrics metrics;
    struct tcp *tcp;

    struct address addresses[NODE_ADDRESSES_MAX];
    uint32_t n_addresses;
    struct rng backoff;
    struct {
        uint64_t since_us;
        uint32_t n_warnings;
    } strangers; /* what the log said lately of links that never became peers */

    enum peer_state state;
    bool ever_linked, interrupted, adopting, stop_given, trains;
    uint32_t adopt_slot; /* from whom; PEERS_MAX if none */
    uint64_t adopt_step, adopt_retry_us;
    uint64_t started_us, trained_us, state_us; /* since when: program, training, state */
    uint64_t status_us, reported_us;
    struct {
        uint64_t us, bytes_in, bytes_out; /* when progress was last shown */
    } shown;
    struct trainer_report report;
    uint64_t training_us; /* length of the training, once over */

    struct {
        struct pace pace; /* my steps a second */
        float factor, told;
        uint64_t told_us;
    } weigh;
    struct {
        uint64_t adjusted_us, job_us, loop_us;
        double share; /* of the trainer's time that gossip costs, lately */
    } budget;
    struct {
        char path[128]; /* the default of --out */
        float *theta;   /* copy that is being written */
        json_t *metadata;
        uv_work_t work;
        bool busy, warned; /* from the JOB_COPY to the end of the write; a failure was told */
        int rc;
        struct error err;
        uint64_t last_us;
    } save;
    uint64_t bytes_in, bytes_out;
    struct gossip_counts counts;
    uint64_t stopped_us; /* the trainer has ended; 0: it has not */
    uint64_t sent_us;    /* when, ended, weights last left for a peer, or were on their way */
    uint64_t needed_us;  /* when a peer that joins last needed them from me, who has ended */
    bool opened, tcp_closed;
    struct error error; /* why the node ends early, code 0: it does not */
};

/* Runs a peer to its end. Returns 0 or an ERR_* with err filled; the result is on stdout. */
int node_run(const struct node_config *config, struct error *err) MUST_USE;

/* The same in parts, for a benchmark that runs peers inside itself: no signals, nothing on stdout.
 * *n is zeroed. uv_run(&n->loop), on the thread that opened it, ends once the node has left:
 * node_set_state(n, PEER_LEAVING). node_close also after a node_open that failed. */
int node_open(struct node *n, const struct node_config *config, struct error *err) MUST_USE;
void node_close(struct node *n);

/* ---- between the parts (not for other rooms) ------------------------------------------------ */

void node_set_state(struct node *n, enum peer_state state);
void node_fail(struct node *n, const struct error *err);
void node_adopted(struct node *n);
void node_take_completions(struct node *n);

/* peering.c */
extern const struct tcp_ops peering_ops;
void peering_init(struct node *n);
/* Takes over the addresses of the configuration that are not there yet. */
void peering_take_addresses(struct node *n);
void peering_tick(struct node *n, uint64_t now_us);
void peering_send_status(struct node *n);
/* BYE to all. */
void peering_say_goodbye(struct node *n, enum wire_bye reason, const char *text);
/* Whether it has no link, or one that is being closed. */
bool peering_ends(const struct node *n, uint32_t slot);
void peering_punish(struct node *n, uint32_t slot, const char *reason);
/* Logs who is linked and which addresses do not answer. */
void peering_log_table(const struct node *n);
/* Every address has answered, failed or been recognised as ourselves. */
bool peering_all_tried(const struct node *n);
/* Addresses whose peer refused us, or we it; and whether a peer has answered at every one. */
uint32_t peering_n_refused(const struct node *n);
bool peering_all_answered(const struct node *n);

/* scores.c: test results of peers that test on data of their own */
bool scores_are_shared(const struct node *n);
void scores_evaluated(struct node *n, bool final); /* there is a new report */
void scores_received(struct node *n, const struct wire_score *score);
/* Tells it every second, and what is new ten times a second at most; a last one at once. */
void scores_tick(struct node *n, uint64_t now_us);
/* Whether every linked peer has told how its last model does. */
bool scores_are_final(const struct node *n);
/* Of all peers; where there is one data set for all, my own. */
struct scores_sum scores_swarm(const struct node *n);

/* exchange.c */
void exchange_init(struct node *n);
void exchange_close(struct node *n);
void exchange_drive(struct node *n, struct gossip_event *event);
void exchange_turn(void *ctx); /* the node; as tcp_set_turn's */
/* slot PEERS_MAX: only neighbours changed. gone: as in struct gossip_event. */
void exchange_peer(struct node *n, uint32_t slot, bool up, bool gone);
void exchange_phase(struct node *n, enum gossip_phase phase);
void exchange_set_schedule(struct node *n);
void exchange_steps(struct node *n, uint32_t n_steps);
void exchange_completed(struct node *n, const struct completion *c);
void exchange_adjust(struct node *n, uint64_t now_us); /* --gossip-every auto */
void *exchange_body(struct node *n, uint32_t slot, const struct wire_message *m);
void exchange_received(struct node *n, uint32_t slot, const struct wire_message *m, void *body);
void exchange_dropped(struct node *n, void *body);
void exchange_released(struct node *n, void *token);
void exchange_count(struct node *n); /* brings n->counts and the bytes up to date */

/* weigh.c: what this peer's gradient counts for (model/objective.h) */
void weigh_tick(struct node *n, uint64_t now_us); /* every second */

/* save.c */
int save_open(struct node *n, struct error *err) MUST_USE; /* --out can be written, and may be */
void save_close(struct node *n);
void save_tick(struct node *n, uint64_t now_us); /* --save-every */
void save_copied(struct node *n);                /* a JOB_COPY was done */
void save_final(struct node *n);                 /* after the trainer's end */

/* progress.c */
void progress_tick(struct node *n, uint64_t now_us);

/* result.c */
/* "accuracy 87.12 %", or "R^2 0.9876" for real targets: of the last evaluation. */
enum { RESULT_SCORE_MAX = 40 };
void result_score(const struct node *n, char text[RESULT_SCORE_MAX]);
void result_print(const struct node *n);
/* The events "start" and "report" of --metrics. */
void result_start(struct node *n);
void result_report(struct node *n);
/* For the model file; the caller's to json_decref. */
json_t *result_metadata(const struct node *n);

#endif
