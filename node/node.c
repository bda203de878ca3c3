/* A peer's life: start, joining, training, the vote, settling, leaving. */
#include "node/node.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "data/schema.h"
#include "node/addresses.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

enum {
    TICK_MS = 20,
    LOOK_US = 2000000,     /* how long a start looks for peers before it trains anyway */
    ADOPT_LEAD_STEPS = 20, /* a peer this little ahead is where we start: nothing to take over */
    REFUSED_US = 10000000, /* when everybody who answered by then refused: give up */
    FINISH_US = 2000000,   /* what is open when leaving may take so long, and who joins then rest */
    FINAL_US = 3000000,    /* and the last test results of the others so long */
    ORDERS_MAX = 8,        /* JOB_TRAIN and the like, beside the exchanges' jobs */
    SPEC_SHOWN = 120,      /* characters of a model in the log */
    EXTRAS_MAX = 160
};

static bool gossips(const struct node *n)
{
    return n->config.gossip != GOSSIP_CHOICE_OFF;
}

static void give_order(struct node *n, enum job_type type)
{
    struct job job = {.type = type};
    handoff_give_job(&n->handoff, &job);
}

/* Training begins, though the trainer hears of it with the next order that wakes it up. */
static void begin(struct node *n)
{
    struct job job = {.type = JOB_TRAIN, .step = n->adopt_step};
    n->trained_us = n->state_us;
    n->trains = true;
    handoff_leave_job(&n->handoff, &job);
    exchange_phase(n, GOSSIP_ACTIVE);
}

void node_set_state(struct node *n, enum peer_state state)
{
    uint64_t now = clock_us();
    n->state = state;
    n->state_us = now;
    switch (state) {
    case PEER_JOINING:
    case PEER_DONE:
        break;
    case PEER_TRAINING:
        begin(n);
        handoff_wake(&n->handoff);
        break;
    case PEER_SETTLING:
        if (!n->trains)
            begin(n);
        give_order(n, JOB_SETTLE);
        for (uint32_t i = 0; i < PEERS_MAX; i++)
            n->peers.slots[i].n_calm = 0;
        break;
    case PEER_ENDED:
    case PEER_LEAVING:
        give_order(n, JOB_SETTLE);
        exchange_phase(n, state == PEER_ENDED ? GOSSIP_ENDED : GOSSIP_LEAVING);
        break;
    case N_PEER_STATES:
        CHECK(false && "a state");
    }
    if (n->trains && n->training_us == 0 && state >= PEER_SETTLING)
        n->training_us = now - n->trained_us;
    /* A trainer that steps without rest wants the processor for itself. */
    tcp_set_patient(n->tcp, state == PEER_TRAINING && n->config.pace_us == 0);
    log_debug("state: %s", peer_state_names[state]);
    metrics_write(&n->metrics, "state",
                  json_pack("{s:s, s:I}", "state", peer_state_names[state], "step",
                            (json_int_t)n->report.step));
    exchange_set_schedule(n);
    peering_send_status(n);
}

void node_fail(struct node *n, const struct error *err)
{
    if (n->error.code != 0)
        return;
    n->error = *err;
    node_set_state(n, PEER_LEAVING);
}

static void fail(struct node *n, int code, const char *text)
{
    struct error err = {.code = code};
    snprintf(err.text, sizeof err.text, "%s", text);
    node_fail(n, &err);
}

/* ---- the states, each looked at on every tick ----------------------------------------------- */

/* Nobody compatible was ever linked, and everybody who answered our dials refused. Who has not
 * answered yet has REFUSED_US to do so, unless there is no such one. */
static bool is_refused(const struct node *n, uint64_t now_us)
{
    bool patient = now_us - n->started_us <= REFUSED_US && !peering_all_answered(n);
    return !n->ever_linked && peering_n_refused(n) > 0 && !patient;
}

static void start_adoption(struct node *n, uint32_t slot)
{
    struct gossip_event event = {.type = GOSSIP_ADOPT, .adopt = slot};
    n->adopting = true;
    n->adopt_slot = slot;
    n->adopt_step = n->peers.slots[slot].step;
    log_info("taking over the weights of %s at step %llu", n->peers.slots[slot].name,
             (unsigned long long)n->adopt_step);
    exchange_drive(n, &event);
}

static void fail_alone(struct node *n)
{
    char text[160];
    int used = snprintf(text, sizeof text, "%u linked within --join-timeout, --min-peers %u",
                        n->peers.n_linked, n->config.min_peers);
    if (n->peers.n_goodbyes > 0)
        snprintf(text + used, sizeof text - (size_t)used,
                 "; %u had ended their training before this one could join them",
                 n->peers.n_goodbyes);
    fail(n, ERR_ALONE, text);
}

static void tick_joining(struct node *n, uint64_t now_us)
{
    if (n->adopting)
        return;
    if (gossips(n)) {
        if (is_refused(n, now_us)) {
            fail(n, ERR_INCOMPATIBLE, "every peer that answered refused to train with this one");
            return;
        }
        /* The one that failed last only when there is no other. */
        uint32_t slot = peers_furthest(&n->peers, ADOPT_LEAD_STEPS, n->adopt_slot);
        if (slot == PEERS_MAX)
            slot = peers_furthest(&n->peers, ADOPT_LEAD_STEPS, PEERS_MAX);
        if (slot != PEERS_MAX) {
            if (now_us >= n->adopt_retry_us)
                start_adoption(n, slot);
            return;
        }
        if (n->peers.n_linked < n->config.min_peers) {
            if (now_us - n->started_us > n->config.join_timeout_us)
                fail_alone(n);
            return;
        }
        if (!peering_all_tried(n) && now_us - n->started_us < LOOK_US)
            return;
    }
    /* They ended without me: it would be no vote on what I have. */
    if (n->peers.n_goodbyes > 0)
        log_warn("%u peers had ended their training before this one could join them",
                 n->peers.n_goodbyes);
    n->peers.n_goodbyes = 0;
    n->adopt_step = 0;
    node_set_state(n, PEER_TRAINING);
}

static bool vote_passed(const struct node *n, bool i_am_done)
{
    return n->config.end == END_VOTE && peers_most_are_done(&n->peers, i_am_done);
}

static void settle(struct node *n)
{
    log_info("most peers are done: settling");
    node_set_state(n, PEER_SETTLING);
}

/* Where most peers are done with what was taken over, no step is added to it. */
void node_adopted(struct node *n)
{
    uint64_t steps = n->config.optim.steps;
    n->report.step = n->adopt_step; /* for STATUS, until the trainer says so */
    if (vote_passed(n, steps > 0 && n->adopt_step >= steps))
        settle(n);
    else
        node_set_state(n, PEER_TRAINING);
}

static void tick_training(struct node *n, uint64_t now_us)
{
    if (n->report.diverged) {
        char text[160];
        snprintf(text, sizeof text,
                 "training diverged: the loss of step %llu is not a finite "
                 "number; try a smaller --lr than %g",
                 (unsigned long long)n->report.step, (double)n->config.optim.lr);
        fail(n, ERR_FAILURE, text);
        return;
    }
    if (gossips(n) && is_refused(n, now_us)) {
        fail(n, ERR_INCOMPATIBLE, "every peer that answered refused to train with this one");
        return;
    }
    if (n->report.until_met && n->state == PEER_TRAINING) {
        log_info("done: --until is met at step %llu", (unsigned long long)n->report.step);
        node_set_state(n, n->config.end == END_OWN ? PEER_ENDED : PEER_DONE);
    }
    if (n->state < PEER_ENDED && vote_passed(n, n->state == PEER_DONE))
        settle(n);
}

static void tick_settling(struct node *n, uint64_t now_us)
{
    if (peers_all_settled(&n->peers, 2 * n->gossip_config.n_slices)) {
        log_info("settled with %u peer%s in %.1f s", n->peers.n_linked,
                 n->peers.n_linked == 1 ? "" : "s", (double)(now_us - n->state_us) / 1e6);
        node_set_state(n, PEER_ENDED);
    } else if (now_us - n->state_us > n->config.settle_us) {
        log_warn("--settle is over before all peers agreed");
        node_set_state(n, PEER_ENDED);
    }
}

static void on_tcp_freed(void *ctx)
{
    struct node *n = ctx;
    uv_close((uv_handle_t *)&n->completions, NULL);
    uv_close((uv_handle_t *)&n->wake, NULL);
    uv_close((uv_handle_t *)&n->tick, NULL);
    uv_close((uv_handle_t *)&n->sigint, NULL);
    uv_close((uv_handle_t *)&n->sigterm, NULL);
    uv_close((uv_handle_t *)&n->sigusr1, NULL);
    uv_close((uv_handle_t *)&n->sighup, NULL);
}

/* The trainer has ended. Peers that test on data of their own tell each other how they end. */
static void stopped(struct node *n, const struct trainer_report *report)
{
    n->report = *report;
    trainer_join(&n->trainer);
    n->stopped_us = clock_us();
    n->jobs_left = true; /* those that came after JOB_STOP */
    scores_evaluated(n, true);
}

/* The model goes to disk, and only then goodbye. */
static void finish(struct node *n)
{
    save_final(n);
    bool done = n->error.code == 0 && !n->interrupted;
    peering_say_goodbye(n, done ? WIRE_BYE_DONE : WIRE_BYE_LEAVING,
                        done             ? "its training is over"
                        : n->interrupted ? "it was told to stop"
                                         : "it failed");
    exchange_count(n);
    result_report(n);
    n->tcp_closed = true;
    uv_timer_stop(&n->tick);
    tcp_free(n->tcp, on_tcp_freed);
}

/* A peer that joins takes over my weights before I leave, as long as it gets on with that. */
static bool is_needed(const struct node *n, uint64_t now_us)
{
    return n->state == PEER_ENDED && !n->interrupted && peers_n_joining(&n->peers) > 0 &&
           now_us - clock_later(n->state_us, n->sent_us) <= FINISH_US &&
           now_us - n->state_us <= clock_later(n->config.settle_us, FINISH_US);
}

static void tick_leaving(struct node *n, uint64_t now_us)
{
    if (n->n_leaving > 0)
        n->sent_us = now_us;
    bool needed = is_needed(n, now_us);
    n->needed_us = needed ? now_us : n->needed_us;
    if (n->stopped_us > 0) {
        bool told = !scores_are_shared(n) || scores_are_final(n) ||
                    now_us - clock_later(n->stopped_us, n->needed_us) > FINAL_US;
        if (told && !needed)
            finish(n);
        return;
    }
    bool finished = gossip_n_open(n->gossip) == 0 || now_us - n->state_us > FINISH_US;
    if (!n->stop_given && finished && !n->save.busy) {
        n->stop_given = true;
        give_order(n, JOB_STOP);
    }
}

static void on_tick(uv_timer_t *timer)
{
    struct node *n = timer->data;
    uint64_t now = clock_us();
    if (n->tcp_closed)
        return;
    if (gossips(n)) {
        peering_tick(n, now);
        exchange_adjust(n, now);
    }
    if (n->state < PEER_ENDED)
        save_tick(n, now);
    switch (n->state) {
    case PEER_JOINING:
        tick_joining(n, now);
        break;
    case PEER_TRAINING:
    case PEER_DONE:
        tick_training(n, now);
        break;
    case PEER_SETTLING:
        tick_settling(n, now);
        break;
    case PEER_ENDED:
    case PEER_LEAVING:
        tick_leaving(n, now);
        break;
    case N_PEER_STATES:
        CHECK(false && "a state");
    }
    progress_tick(n, now);
}

void node_take_completions(struct node *n)
{
    struct completion c;
    while (handoff_take_completion(&n->handoff, &c)) {
        switch (c.type) {
        case COMPLETED_JOB:
            if (c.job.type == JOB_COPY)
                save_copied(n);
            else
                exchange_completed(n, &c);
            break;
        case COMPLETED_REPORT: {
            uint64_t before = n->report.steps_done;
            n->report = c.report;
            scores_evaluated(n, false);
            exchange_steps(n, (uint32_t)(c.report.steps_done - before));
            break;
        }
        case COMPLETED_STOP:
            stopped(n, &c.report);
            return;
        }
    }
}

static void on_completions(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    struct node *n = poll->data;
    uint64_t n_notified;
    if (read(n->notified_fd, &n_notified, sizeof n_notified) > 0)
        node_take_completions(n);
}

static void on_signal(uv_signal_t *handle, int signum)
{
    struct node *n = handle->data;
    if (n->interrupted) {
        log_error("second signal: aborting; nothing more is written");
        _Exit(130);
    }
    log_info("%s: leaving in order; once more aborts", signum == SIGINT ? "SIGINT" : "SIGTERM");
    n->interrupted = true;
    if (n->state < PEER_ENDED)
        node_set_state(n, PEER_LEAVING);
}

static void on_usr1(uv_signal_t *handle, int signum)
{
    (void)signum;
    peering_log_table(handle->data);
}

static void on_hup(uv_signal_t *handle, int signum)
{
    struct node *n = handle->data;
    (void)signum;
    struct error err;
    uint32_t before = n->n_addresses;
    metrics_reopen(&n->metrics);
    if (addresses_read_again(&n->config, &err) != 0)
        log_warn("%s", err.text);
    peering_take_addresses(n);
    log_info("SIGHUP: %u new addresses, %u in all", n->n_addresses - before, n->n_addresses);
}

/* ---- the start ------------------------------------------------------------------------------ */

/* Not uv_async_send: on a processor that both share, the loop's thread wakes up in the middle of
 * it, and then libuv spins until the trainer, which that keeps from running, is out of it. */
static void notify(void *ctx)
{
    uint64_t one = 1;
    CHECK(write(((struct node *)ctx)->notified_fd, &one, sizeof one) == sizeof one);
}

/* The first weights, and how peers call them. */
static int open_first(struct node *n, struct error *err)
{
    const struct node_config *c = &n->config;
    char hash[META_HASH_MAX];
    json_t *meta = meta_new(&n->model, &n->data);
    meta_fingerprint(meta, n->fingerprint);
    int rc = meta_check_size(meta, err);
    json_decref(meta);
    if (rc != 0)
        return error_prefix(err, "%s", c->data.spec);
    snprintf(n->init, sizeof n->init, "seed");
    if (c->init[0] == '\0')
        return 0;
    n->first = MEM_NEW(float, n->model.dim);
    if (start_read(&n->model, c->init, c->seed, c->init_normalize, n->first, hash, err) != 0)
        return error_prefix(err, "--init");
    snprintf(n->init, sizeof n->init, "%s%s%s", hash, c->init_normalize ? " " : "",
             c->init_normalize ? start_normalize_names[c->init_normalize] : "");
    log_info("first weights from %s: %s", c->init, n->init);
    return 0;
}

/* What peers must agree on. Of private data: not what is in the file, but what a sample is. */
static void name_data(struct node *n)
{
    const struct node_config *c = &n->config;
    const struct data_shape *shape = &n->data.train.shape;
    unsigned long long seed = c->seed;
    if (c->partition.kind != PARTITION_NONE)
        snprintf(n->data_name, sizeof n->data_name, "%.127s %s n=%u seed=%llu", n->data.name,
                 c->partition.text, c->n_shards, seed);
    else if (n->data.schema != NULL && c->data.schema[0] != '\0')
        snprintf(n->data_name, sizeof n->data_name, "private, schema %016llx seed=%llu",
                 (unsigned long long)schema_hash(n->data.schema), seed);
    else
        snprintf(n->data_name, sizeof n->data_name, "private, %u features, %u classes seed=%llu",
                 shape->n_features, shape->n_classes, seed);
}

static int open_inputs(struct node *n, struct error *err)
{
    struct node_config *c = &n->config;
    c->data.group = c->partition.kind == PARTITION_BY ? c->partition.column : NULL;
    int rc = data_open(&n->data, c->data.spec, &c->data, err);
    if (rc == 0)
        rc = shard_make(&n->part, &n->data.train, &c->partition, c->shard, c->n_shards, c->seed,
                        err);
    if (rc == 0)
        rc = model_parse(&n->model, c->model_spec, n->data.train.shape, err);
    if (rc == 0)
        rc = model_blas_setup(1, c->n_threads > 1, err);
    if (rc == 0)
        rc = open_first(n, err);
    if (rc != 0)
        return rc;
    name_data(n);
    c->optim.steps = until_steps(&c->until, n->part.n, c->batch);
    if (!c->schedule_is_given)
        c->optim.schedule = c->optim.steps > 0 ? LR_COSINE : LR_CONSTANT;
    if (c->optim.schedule == LR_COSINE && c->optim.steps == 0)
        return error_set(err, ERR_USAGE,
                         "--lr-schedule cosine needs a length: give epochs= or "
                         "steps= in --until");
    return training_set_lengths(&c->optim, &c->warmup, &c->step_size, n->part.n, c->batch,
                                "--until", err);
}

static int open_network(struct node *n, struct error *err)
{
    const struct node_config *c = &n->config;
    uint16_t port;
    n->tcp = tcp_new(&n->loop, &peering_ops, n, GOSSIP_SLICE_FLOATS * sizeof(float));
    tcp_set_turn(n->tcp, exchange_turn);
    if (!gossips(n) || !c->listens)
        return 0;
    if (tcp_listen(n->tcp, &c->listen, &port, err) != 0)
        return err->code;
    bool v6 = strchr(c->listen.host, ':') != NULL;
    snprintf(n->listen_name, sizeof n->listen_name, "%s%s%s:%u", v6 ? "[" : "", c->listen.host,
             v6 ? "]" : "", port);
    return 0;
}

static void open_loop(struct node *n)
{
    CHECK(uv_loop_init(&n->loop) == 0);
    n->notified_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    CHECK(n->notified_fd >= 0);
    CHECK(uv_poll_init(&n->loop, &n->completions, n->notified_fd) == 0);
    uv_timer_init(&n->loop, &n->wake);
    uv_timer_init(&n->loop, &n->tick);
    uv_signal_init(&n->loop, &n->sigint);
    uv_signal_init(&n->loop, &n->sigterm);
    uv_signal_init(&n->loop, &n->sigusr1);
    uv_signal_init(&n->loop, &n->sighup);
    n->completions.data = n->wake.data = n->tick.data = n->sigint.data = n->sigterm.data = n;
    n->sigusr1.data = n->sighup.data = n;
    CHECK(uv_poll_start(&n->completions, UV_READABLE, on_completions) == 0);
}

static void start_trainer(struct node *n)
{
    const struct node_config *c = &n->config;
    struct trainer_config t = {.learner = {.model = &n->model,
                                           .train = &n->data.train,
                                           .optim = c->optim,
                                           .batch = c->batch,
                                           .seed = c->seed,
                                           .n_threads = c->n_threads,
                                           .first = n->first},
                               .part = &n->part,
                               .test = &n->data.test,
                               .until = c->until,
                               .alone = c->gossip == GOSSIP_CHOICE_OFF,
                               .swarm_accuracy = scores_are_shared(n),
                               .eval_epochs = c->eval_epochs,
                               .pace_us = c->pace_us,
                               .slow = c->slow,
                               .snapshots = c->snapshots,
                               .shard = c->shard};
    uint32_t n_jobs = (uint32_t)n->gossip_config.open_max + n->gossip_config.serve_max;
    handoff_init(&n->handoff, n_jobs + ORDERS_MAX, notify, n);
    trainer_init(&n->trainer, &t, &n->handoff);
    free(n->first);
    n->first = NULL;
    n->trainer.config.learner.first = NULL;
    trainer_start(&n->trainer);
}

/* ", clip 1, weight decay 0.01": what is not always there. */
static void append(char text[EXTRAS_MAX], const char *format, ...) PRINTF(2, 3);
static void append(char text[EXTRAS_MAX], const char *format, ...)
{
    size_t used = strlen(text);
    va_list args;
    va_start(args, format);
    vsnprintf(text + used, EXTRAS_MAX - used, format, args);
    va_end(args);
}

static void name_extras(const struct node_config *c, char text[EXTRAS_MAX])
{
    const struct optim_config *o = &c->optim;
    text[0] = '\0';
    if (o->weight_decay > 0)
        append(text, ", weight decay %g", (double)o->weight_decay);
    if (o->clip > 0)
        append(text, ", clip %g", (double)o->clip);
    if (o->warmup > 0)
        append(text, ", warm-up %llu steps", (unsigned long long)o->warmup);
    if (o->schedule == LR_STEP)
        append(text, ", times %g every %llu steps", (double)o->gamma,
               (unsigned long long)o->step_size);
    if (c->n_threads > 1)
        append(text, ", %u threads", c->n_threads);
}

static void log_start(const struct node *n)
{
    const struct node_config *c = &n->config;
    char extras[EXTRAS_MAX];
    bool is_long = strlen(n->model.spec) > SPEC_SHOWN;
    name_extras(c, extras);
    log_info(
        "run '%s': %.*s%s, %llu weights; %s, shard %u/%u (%s), %u samples; batch %u, %s, lr %g "
        "%s, momentum %g%s, seed %llu",
        c->run, SPEC_SHOWN, n->model.spec, is_long ? "..." : "", (unsigned long long)n->model.dim,
        n->data.name, c->shard + 1, c->n_shards, c->partition.text, n->part.n, c->batch,
        optimizer_names[c->optim.kind], (double)c->optim.lr, lr_schedule_names[c->optim.schedule],
        (double)c->optim.momentum, extras, (unsigned long long)c->seed);
    if (gossips(n) && n->listen_name[0] != '\0')
        log_info("listening on %s", n->listen_name);
}

static double swarm_accuracy(const struct node *n)
{
    struct scores_sum sum = scores_swarm(n);
    return sum.n > 0 ? (double)sum.n_correct / (double)sum.n : 0;
}

/* What the end was, in one code. */
static int verdict(const struct node *n, struct error *err)
{
    *err = n->error;
    if (n->error.code != 0)
        return n->error.code;
    if (n->interrupted)
        return error_set(err, ERR_INTERRUPTED, "stopped by a signal");
    if (n->report.until_failed)
        return error_set(err, ERR_UNREACHED, "--until acc=%g was not reached: %.4f at the end",
                         n->config.until.accuracy, swarm_accuracy(n));
    if (gossips(n) && !n->ever_linked && peering_n_refused(n) > 0)
        return error_set(err, ERR_INCOMPATIBLE,
                         "trained alone: every peer that answered refused to train with this one");
    if (gossips(n) && !n->ever_linked)
        return error_set(err, ERR_ALONE, "trained alone: no peer was ever linked");
    return 0;
}

int node_open(struct node *n, const struct node_config *config, struct error *err)
{
    uint8_t id[WIRE_PEER_ID_BYTES];
    n->config = *config;
    int rc = open_inputs(n, err);
    if (rc == 0)
        rc = save_open(n, err);
    if (rc == 0)
        rc = metrics_open(&n->metrics, config->metrics, err);
    if (rc != 0)
        return rc;
    n->started_us = n->reported_us = n->shown.us = clock_us();
    n->adopt_slot = PEERS_MAX;
    n->budget.adjusted_us = n->started_us;
    if (n->config.every.automatic)
        n->config.every.steps = 8;
    CHECK(getrandom(id, sizeof id, 0) == (ssize_t)sizeof id);
    peers_init(&n->peers, id);
    n->weigh.factor = 1;
    scores_init(&n->scores, id);
    open_loop(n);
    rc = open_network(n, err);
    if (rc != 0)
        return rc;
    exchange_init(n);
    start_trainer(n);
    peering_init(n);
    log_start(n);
    result_start(n);
    uv_timer_start(&n->tick, on_tick, 0, TICK_MS);
    n->opened = true;
    return 0;
}

void node_close(struct node *n)
{
    if (n->opened) {
        trainer_close(&n->trainer);
        handoff_close(&n->handoff);
        exchange_close(n);
        save_close(n);
        uv_loop_close(&n->loop);
        close(n->notified_fd);
    }
    metrics_close(&n->metrics);
    free(n->first);
    shard_close(&n->part);
    data_close(&n->data);
}

int node_run(const struct node_config *config, struct error *err)
{
    struct node *n = MEM_NEW(struct node, 1);
    int rc = node_open(n, config, err);
    if (rc == 0) {
        uv_signal_start(&n->sigint, on_signal, SIGINT);
        uv_signal_start(&n->sigterm, on_signal, SIGTERM);
        uv_signal_start(&n->sigusr1, on_usr1, SIGUSR1);
        uv_signal_start(&n->sighup, on_hup, SIGHUP);
        uv_run(&n->loop, UV_RUN_DEFAULT);
        if (n->trains && n->error.code == 0)
            result_print(n);
        rc = verdict(n, err);
    }
    node_close(n);
    free(n);
    return rc;
}
