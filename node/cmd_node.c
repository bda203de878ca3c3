/* hubbub node: the options of a peer. */
#include "node/cmd_node.h"

#include "base/log.h"
#include "base/opts.h"
#include "base/team.h"
#include "model/options.h"
#include "node/addresses.h"
#include "node/node.h"

#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

struct flags {
    const char *run, *listen, *advertise, *peers_file, *init, *out, *snapshot_dir, *metrics;
    struct opt_list peers, until;
    uint32_t shard[2]; /* i, n as the user counts; 0, 0: by my place in the list of peers */
    struct gossip_every every;
    struct training_options training;
    double eval_every, slow;
    uint64_t threads, fanout, open, settle, join_timeout, report_every, min_peers, pace,
        snapshot_every, save_every;
    int init_normalize, gossip, end;
    bool json, insecure, verbose, quiet, die_with_parent;
};

static int parse_shard(const char *text, void *field, struct error *err)
{
    uint32_t *shard = field;
    char copy[64];
    uint64_t i, n;
    shard[0] = shard[1] = 0;
    if (strcmp(text, "auto") == 0)
        return 0;
    snprintf(copy, sizeof copy, "%s", text);
    char *slash = strchr(copy, '/');
    if (slash != NULL)
        *slash = '\0';
    if (slash == NULL || !parse_u64(copy, &i) || !parse_u64(slash + 1, &n) || i < 1 || i > n ||
        n > UINT32_MAX)
        return error_set(err, ERR_USAGE,
                         "'%.100s' is not i/n with 1 <= i <= n, such as 2/5, nor auto", text);
    shard[0] = (uint32_t)i;
    shard[1] = (uint32_t)n;
    return 0;
}

/* One "key=value" of --until. */
static int parse_goal(const char *text, struct until *until, struct error *err)
{
    const char *value = strchr(text, '=');
    size_t n = value != NULL ? (size_t)(value - text) : 0;
    double x;
    uint64_t count;
    if (n == 6 && strncmp(text, "epochs", n) == 0 && parse_f64(value + 1, &x) && x > 0 && x < 1e9)
        until->epochs = x;
    else if (n == 5 && strncmp(text, "steps", n) == 0 && parse_u64(value + 1, &count) && count > 0)
        until->steps = count;
    else if (n == 7 && strncmp(text, "seconds", n) == 0 && parse_f64(value + 1, &x) && x > 0 &&
             x < 1e9)
        until->duration_us = (uint64_t)(x * 1e6);
    else if (n == 3 && strncmp(text, "acc", n) == 0 && parse_f64(value + 1, &x) && x > 0 && x <= 1)
        until->accuracy = x;
    else
        return error_set(err, ERR_USAGE,
                         "'%.100s' is not epochs=N, steps=N, seconds=S or acc=A with a "
                         "positive number (A at most 1)",
                         text);
    return 0;
}

static int parse_goals(const char *text, struct until *until, struct error *err)
{
    char copy[256], *rest = copy, *goal;
    if (snprintf(copy, sizeof copy, "%s", text) >= (int)sizeof copy)
        return error_set(err, ERR_USAGE, "the value is longer than %zu bytes", sizeof copy - 1);
    int rc = 0;
    while (rc == 0 && (goal = strsep(&rest, ",")) != NULL)
        rc = parse_goal(goal, until, err);
    return rc;
}

static int look_at_goals(const char *text, void *field, struct error *err)
{
    struct until ignored;
    (void)field;
    return parse_goals(text, &ignored, err);
}

static int look_at_run(const char *text, void *field, struct error *err)
{
    (void)field;
    size_t n = strlen(text);
    if (n == 0 || n >= 64)
        return error_set(err, ERR_USAGE, "a name has 1 to 63 characters, not %zu", n);
    size_t good = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-");
    if (good < n)
        return error_set(err, ERR_USAGE,
                         "'%s': a name has letters, digits, '.', '_' and '-' (it is part of a "
                         "file's), not '%c'",
                         text, text[good]);
    return 0;
}

static const char *const gossips[] = {"pairwise", "pull", "push", "push-sum", "off", NULL};
static const char *const ends[] = {"vote", "own", NULL};

enum { FANOUT_MAX = 16 };

#define F(field) offsetof(struct flags, field)

static const struct opt table[] = {
    {"run", OPT_STRING, F(run), "NAME", "default", "peers of one run train together", "who",
     .parse = look_at_run},
    {"listen", OPT_STRING, F(listen), "H:P", "", "take links here; port 0 picks one",
     .parse = address_parse},
    {"advertise", OPT_STRING, F(advertise), "H:P", "",
     "where others reach me, when that is not where I listen", .parse = address_parse},
    {"peer", OPT_LIST, F(peers), "H:P", 0, "a peer to dial; may stand many times, may be myself",
     .parse = address_parse},
    {"peers-file", OPT_STRING, F(peers_file), "FILE", "", "the same, one H:P a line, # comments"},
    {"min-peers", OPT_U64, F(min_peers), "N", "0",
     "linked peers to wait for before step 1; a run under way is joined at once", 0, 0, PEERS_MAX},
    {"join-timeout", OPT_DURATION, F(join_timeout), "TIME", "60s", "how long to wait for them"},
    {"insecure", OPT_SWITCH, F(insecure), 0, 0,
     "allow plain TCP beyond this machine: no encryption, no proof of who is who"},

    TRAINING_OPTIONS(struct flags, training),
    {"init", OPT_STRING, F(init), "FILE", "",
     "first weights: a model file, or an .npy of floats; the same for all peers (random, from the "
     "seed)"},
    {"init-normalize", OPT_CHOICE, F(init_normalize), "HOW", "none",
     "layer: scale each layer of --init to the norm that random weights would have", 0, 0, 0,
     start_normalize_names},
    {"shard", OPT_CUSTOM, F(shard), "i/n", "1/1",
     "my part of the data, 1/n to n/n; auto: by my place in the list of peers", "peer",
     .parse = parse_shard},
    {"threads", OPT_U64, F(threads), "N", "1", "cores that share the work of a step", 0, 1,
     TEAM_MAX},

    {"gossip", OPT_CHOICE, F(gossip), "MODE", "pairwise",
     "pairwise (keeps the mean), pull (nobody can force a model on me), push (one way, merged "
     "by age), push-sum (one way, keeps the mean), off",
     "gossip", 0, 0, gossips},
    {"gossip-every", OPT_CUSTOM, F(every), "N|TIME", "auto",
     "local steps or time between exchanges; auto: as often as costs 10 %", 0, 0, 0, 0,
     gossip_every_parse},
    {"fanout", OPT_U64, F(fanout), "N", "1", "peers that a push goes to", 0, 1, FANOUT_MAX},
    {"open", OPT_U64, F(open), "N", "1",
     "exchanges of a slice under way at once, 1 to 4; one while the way out is full", 0, 1,
     GOSSIP_OPEN_PER_SLICE_MAX},

    {"until", OPT_LIST, F(until), "WHAT", "epochs=10",
     "epochs=N, steps=N, seconds=S or acc=0.88; several: the first one met", "ending",
     .parse = look_at_goals},
    {"end", OPT_CHOICE, F(end), "HOW", "vote",
     "vote: train on until most peers are done, then agree; own: just leave", 0, 0, 0, ends},
    {"settle", OPT_DURATION, F(settle), "TIME", "10s",
     "longest time to agree at the end, and as long once more for peers that join then"},
    {"out", OPT_STRING, F(out), "FILE", 0,
     "the model file, .npz or .safetensors; '' writes none (hubbub-RUN-SHARD.npz)"},
    {"save-every", OPT_DURATION, F(save_every), "TIME", "10m",
     "between writings of it while training; 0: only at the end"},

    {"eval-every", OPT_F64, F(eval_every), "EPOCHS", "1",
     "between evaluations on the test data; 0: only at the end", "reports"},
    {"report-every", OPT_DURATION, F(report_every), "TIME", "10s",
     "between lines of progress in the log, and reports in --metrics"},
    {"metrics", OPT_STRING, F(metrics), "FILE", "", "append what happens as JSON lines"},
    {"json", OPT_SWITCH, F(json), 0, 0, "the result on stdout as one JSON object"},
    {"verbose", OPT_SWITCH, F(verbose), 0, 0, "log more"},
    {"quiet", OPT_SWITCH, F(quiet), 0, 0, "log warnings and errors only"},

    {"pace", OPT_DURATION, F(pace), "TIME", "0",
     "least time a step takes; a late one is made up for", "for tests"},
    {"slow", OPT_F64, F(slow), "X", "1", "each step takes X times as long", 0, 1, 1e6},
    {"snapshot-dir", OPT_STRING, F(snapshot_dir), "DIR", "",
     "theta at ticks of the wall clock, as DIR/TICK-SHARD.f32"},
    {"snapshot-every", OPT_DURATION, F(snapshot_every), "TIME", "500ms", "length of a tick"},
    {"die-with-parent", OPT_SWITCH, F(die_with_parent), 0, 0,
     "leave when the process that started this one ends"},
};

const struct opts cmd_node_options = {
    .command = "hubbub node",
    .summary = "one peer: trains on its shard and averages weights with the others",
    .usage = "[OPTIONS]",
    .examples =
        "  hubbub node --listen 127.0.0.1:7701 --peer 127.0.0.1:7702 --shard 1/2 --out a.npz\n"
        "  hubbub node --listen 127.0.0.1:7702 --peer 127.0.0.1:7701 --shard 2/2 --out b.npz\n"
        "  hubbub node --insecure --listen 10.0.0.2:7700 --peers-file peers.txt --shard auto\n"
        "  hubbub node --gossip off --until epochs=5 --out alone.npz\n"
        "  hubbub node --gossip off --init alone.npz --lr 0.01 --out better.safetensors\n",
    .table = table,
    .n = sizeof table / sizeof table[0]};

static int make_config(const struct flags *f, struct node_config *c, struct error *err)
{
    const struct training_options *t = &f->training;
    *c = (struct node_config){
        .run = f->run,
        .data = t->data,
        .model_spec = t->model,
        .init = f->init,
        .init_normalize = (enum start_normalize)f->init_normalize,
        .shard = f->shard[0] > 0 ? f->shard[0] - 1 : 0,
        .n_shards = f->shard[1],
        .partition = training_partition(t),
        .optim = training_optim(t, f->gossip != GOSSIP_CHOICE_OFF),
        .warmup = t->warmup,
        .step_size = t->step_size,
        .schedule_is_given = t->schedule != 0,
        .batch = (uint32_t)t->batch,
        .seed = t->seed,
        .objective = (enum objective)t->objective,
        .n_threads = (uint32_t)f->threads,
        .gossip = (enum gossip_choice)f->gossip,
        .every = f->every,
        .open_per_slice = (uint32_t)f->open,
        .fanout = (uint32_t)f->fanout,
        .eval_epochs = f->eval_every,
        .end = (enum end_choice)f->end,
        .settle_us = f->settle,
        .join_timeout_us = f->join_timeout,
        .report_us = f->report_every > 0 ? f->report_every : UINT64_MAX,
        .min_peers = (uint32_t)f->min_peers,
        .pace_us = f->pace,
        .slow = f->slow,
        .out = f->out,
        .save_us = f->save_every,
        .snapshots = {.dir = f->snapshot_dir[0] != '\0' ? f->snapshot_dir : NULL,
                      .every_us = f->snapshot_every},
        .metrics = f->metrics,
        .json = f->json};
    int rc = 0;
    bool one_way = c->gossip == GOSSIP_CHOICE_PUSH || c->gossip == GOSSIP_CHOICE_PUSH_SUM;
    if (c->fanout > 1 && !one_way)
        rc = error_set(err, ERR_USAGE,
                       "--fanout %u goes with --gossip push and push-sum (right: --open)",
                       c->fanout);
    for (uint32_t i = 0; rc == 0 && i < f->until.n; i++)
        rc = parse_goals(f->until.values[i], &c->until, err);
    const struct address_flags addresses = {.listen = f->listen,
                                            .advertise = f->advertise,
                                            .peers_file = f->peers_file,
                                            .peers = &f->peers,
                                            .insecure = f->insecure,
                                            .decide_shard = f->shard[0] == 0};
    return rc != 0 ? rc : addresses_set(&addresses, c, err);
}

/* The parent may have gone before we asked to be told: then we are someone else's child. */
static int follow_parent(struct error *err)
{
    pid_t parent = getppid();
    if (prctl(PR_SET_PDEATHSIG, SIGTERM) != 0 || getppid() != parent)
        return error_set(err, ERR_FAILURE, "--die-with-parent: the parent is gone");
    return 0;
}

int cmd_node(int argc, char **argv)
{
    struct flags flags = {.training = TRAINING_UNSAID};
    struct node_config *config = calloc(1, sizeof *config);
    struct error err = {0};
    int n_operands, rc = opts_parse(&cmd_node_options, &flags, argc, argv, &n_operands, &err);
    if (rc == 0 && n_operands > 0)
        rc = error_set(&err, ERR_USAGE, "'%s' is no option of hubbub node", argv[1]);
    if (rc == 0 && flags.die_with_parent)
        rc = follow_parent(&err);
    log_set_level(flags.verbose ? LOG_DEBUG : flags.quiet ? LOG_WARN : LOG_INFO);
    if (rc == 0)
        rc = make_config(&flags, config, &err);
    if (rc == 0)
        rc = node_run(config, &err);
    if (rc < 0)
        log_error("%s", err.text);
    free(config);
    return rc == OPTS_DONE ? 0 : -rc;
}
