/* hubbub node: the options of a peer. */
#include "node/cmd_node.h"

#include "base/log.h"
#include "base/opts.h"
#include "node/node.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

struct flags {
    const char *run, *listen, *peers_file, *data, *model, *out, *snapshot_dir, *metrics;
    struct opt_list peers, until;
    uint32_t shard[2]; /* i, n as the user counts */
    struct gossip_every every;
    double lr, momentum, eval_every, slow;
    uint64_t batch, seed, open, settle, join_timeout, report_every, min_peers, pace, snapshot_every;
    int partition, schedule, optimizer, gossip, end;
    bool json, insecure, verbose, quiet, die_with_parent;
};

static int parse_shard(const char *text, void *field, struct error *err)
{
    uint32_t *shard = field;
    char copy[64];
    uint64_t i, n;
    snprintf(copy, sizeof copy, "%s", text);
    char *slash = strchr(copy, '/');
    if (slash != NULL)
        *slash = '\0';
    if (slash == NULL || !parse_u64(copy, &i) || !parse_u64(slash + 1, &n) || i < 1 || i > n ||
        n > UINT32_MAX)
        return error_set(err, ERR_USAGE, "'%s' is not i/n with 1 <= i <= n, such as 2/5", text);
    shard[0] = (uint32_t)i;
    shard[1] = (uint32_t)n;
    return 0;
}

static int parse_every(const char *text, void *field, struct error *err)
{
    struct gossip_every *every = field;
    uint64_t steps;
    *every = (struct gossip_every){0};
    if (strcmp(text, "auto") == 0) {
        every->automatic = true;
        return 0;
    }
    if (parse_u64(text, &steps) && steps >= 1 && steps <= 1000000) {
        every->steps = (uint32_t)steps;
        return 0;
    }
    if (parse_duration(text, &every->period_us) && every->period_us >= 1000)
        return 0;
    return error_set(err, ERR_USAGE,
                     "'%s' is neither auto, nor a number of local steps from 1 to 1000000, nor a "
                     "duration of at least 1ms",
                     text);
}

static const char *const schedules[] = {"auto", "constant", "cosine", NULL};
static const char *const gossips[] = {"pairwise", "pull", "off", NULL};
static const char *const ends[] = {"vote", "own", NULL};

#define F(field) offsetof(struct flags, field)

static const struct opt table[] = {
    {"run", OPT_STRING, F(run), "NAME", "default", "peers of one run train together", "who", 0, 0,
     0, 0, 0},
    {"listen", OPT_STRING, F(listen), "H:P", "", "take links here; port 0 picks one", 0, 0, 0, 0, 0,
     0},
    {"peer", OPT_LIST, F(peers), "H:P", 0, "a peer to dial; may stand many times, may be myself", 0,
     0, 0, 0, 0, 0},
    {"peers-file", OPT_STRING, F(peers_file), "FILE", "", "the same, one H:P a line, # comments", 0,
     0, 0, 0, 0, 0},
    {"min-peers", OPT_U64, F(min_peers), "N", "0", "linked peers to wait for before step 1", 0, 0,
     PEERS_MAX, 0, 0, 0},
    {"join-timeout", OPT_DURATION, F(join_timeout), "TIME", "60s", "how long to wait for them", 0,
     0, 0, 0, 0, 0},
    {"insecure", OPT_SWITCH, F(insecure), 0, 0,
     "allow plain TCP beyond this machine: no encryption, no proof of who is who", 0, 0, 0, 0, 0,
     0},

    {"data", OPT_STRING, F(data), "SPEC", "fashion-mnist",
     "fashion-mnist, a directory of IDX files, or blobs:classes=10,features=20", "data", 0, 0, 0, 0,
     0},
    {"shard", OPT_CUSTOM, F(shard), "i/n", "1/1", "my part of the data, 1/n to n/n", 0, 0, 0, 0,
     parse_shard, 0},
    {"partition", OPT_CHOICE, F(partition), "HOW", "iid",
     "iid, labels (a few classes each), contiguous", 0, 0, 0, partition_names, 0, 0},

    {"model", OPT_STRING, F(model), "SPEC", "mlp:784-256-128-10", "softmax or mlp:IN-...-OUT",
     "training", 0, 0, 0, 0, 0},
    {"batch", OPT_U64, F(batch), "N", "64", "samples in a minibatch", 0, 1, 65536, 0, 0, 0},
    {"lr", OPT_F64, F(lr), "X", "0.05", "learning rate", 0, 0, 1000, 0, 0, 0},
    {"lr-schedule", OPT_CHOICE, F(schedule), "HOW", "auto",
     "constant, cosine, auto: cosine where --until names epochs or steps", 0, 0, 0, schedules, 0,
     0},
    {"optimizer", OPT_CHOICE, F(optimizer), "HOW", 0,
     "qgm (quasi-global momentum; default) or sgd (default with --gossip off)", 0, 0, 0,
     optimizer_names, 0, 0},
    {"momentum", OPT_F64, F(momentum), "X", "0.9", "momentum", 0, 0, 0.9999, 0, 0, 0},
    {"seed", OPT_U64, F(seed), "N", "1", "of first weights, split and order; one for all peers", 0,
     0, 0, 0, 0, 0},

    {"gossip", OPT_CHOICE, F(gossip), "MODE", "pairwise",
     "pairwise (keeps the mean), pull (nobody can force a model on me), off", "gossip", 0, 0,
     gossips, 0, 0},
    {"gossip-every", OPT_CUSTOM, F(every), "N|TIME", "auto",
     "local steps or time between exchanges; auto: as often as costs 10 %", 0, 0, 0, 0, parse_every,
     0},
    {"open", OPT_U64, F(open), "N", "1", "exchanges of a slice under way at once, 1 to 4", 0, 1,
     GOSSIP_OPEN_PER_SLICE_MAX, 0, 0, 0},

    {"until", OPT_LIST, F(until), "WHAT", "epochs=10",
     "epochs=N, steps=N, seconds=S or acc=0.88; several: the first one met", "ending", 0, 0, 0, 0,
     0},
    {"end", OPT_CHOICE, F(end), "HOW", "vote",
     "vote: train on until most peers are done, then agree; own: just leave", 0, 0, 0, ends, 0, 0},
    {"settle", OPT_DURATION, F(settle), "TIME", "10s", "longest time to agree at the end", 0, 0, 0,
     0, 0, 0},
    {"out", OPT_STRING, F(out), "FILE", "", "the model, as .npz", 0, 0, 0, 0, 0, 0},

    {"eval-every", OPT_F64, F(eval_every), "EPOCHS", "1",
     "between evaluations on the test data; 0: only at the end", "reports", 0, 0, 0, 0, 0},
    {"report-every", OPT_DURATION, F(report_every), "TIME", "2s", "between lines of progress", 0, 0,
     0, 0, 0, 0},
    {"metrics", OPT_STRING, F(metrics), "FILE", "", "append what happens as JSON lines", 0, 0, 0, 0,
     0, 0},
    {"json", OPT_SWITCH, F(json), 0, 0, "the result on stdout as one JSON object", 0, 0, 0, 0, 0,
     0},
    {"verbose", OPT_SWITCH, F(verbose), 0, 0, "log more", 0, 0, 0, 0, 0, 0},
    {"quiet", OPT_SWITCH, F(quiet), 0, 0, "log warnings and errors only", 0, 0, 0, 0, 0, 0},

    {"pace", OPT_DURATION, F(pace), "TIME", "0", "least time a step takes", "for tests", 0, 0, 0, 0,
     0},
    {"slow", OPT_F64, F(slow), "X", "1", "each step takes X times as long", 0, 1, 1e6, 0, 0, 0},
    {"snapshot-dir", OPT_STRING, F(snapshot_dir), "DIR", "",
     "theta at ticks of the wall clock, as DIR/TICK-SHARD.f32", 0, 0, 0, 0, 0, 0},
    {"snapshot-every", OPT_DURATION, F(snapshot_every), "TIME", "500ms", "length of a tick", 0, 0,
     0, 0, 0, 0},
    {"die-with-parent", OPT_SWITCH, F(die_with_parent), 0, 0,
     "leave when the process that started this one ends", 0, 0, 0, 0, 0, 0},
};

static const struct opts options = {
    .command = "hubbub node",
    .summary = "one peer: trains on its shard and averages weights with the others",
    .usage = "[OPTIONS]",
    .examples =
        "  hubbub node --listen 127.0.0.1:7701 --peer 127.0.0.1:7702 --shard 1/2 --out a.npz\n"
        "  hubbub node --listen 127.0.0.1:7702 --peer 127.0.0.1:7701 --shard 2/2 --out b.npz\n"
        "  hubbub node --gossip off --until epochs=5 --out alone.npz\n",
    .table = table,
    .n = sizeof table / sizeof table[0]};

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
                         "--until: '%s' is not epochs=N, steps=N, seconds=S or acc=A with a "
                         "positive number (A at most 1)",
                         text);
    return 0;
}

static int parse_until(const struct opt_list *list, struct until *until, struct error *err)
{
    for (uint32_t i = 0; i < list->n; i++) {
        char copy[256], *rest = copy, *goal;
        if (snprintf(copy, sizeof copy, "%s", list->values[i]) >= (int)sizeof copy)
            return error_set(err, ERR_USAGE, "--until: value too long");
        while ((goal = strsep(&rest, ",")) != NULL) {
            int rc = parse_goal(goal, until, err);
            if (rc != 0)
                return rc;
        }
    }
    return 0;
}

/* By address or by the one name that never means another machine: "127.example.org" may. */
static bool is_loopback(const char *host)
{
    struct in_addr v4;
    bool is_v4 = inet_pton(AF_INET, host, &v4) == 1;
    return (is_v4 && ntohl(v4.s_addr) >> 24 == 127) || strcmp(host, "::1") == 0 ||
           strcmp(host, "localhost") == 0;
}

static int check_address(const char *what, const char *text, bool insecure, struct host_port *at,
                         struct error *err)
{
    if (!parse_host_port(text, at))
        return error_set(err, ERR_USAGE,
                         "%s: '%s' is not HOST:PORT, such as 10.0.0.2:7700 or [::1]:7700", what,
                         text);
    if (!insecure && !is_loopback(at->host))
        return error_set(err, ERR_USAGE,
                         "%s: %s is not this machine, and links are plain TCP: whoever can reach "
                         "the port can read and change the model. On a network you trust say "
                         "--insecure; otherwise use a tunnel (ssh -L, WireGuard)",
                         what, text);
    return 0;
}

static int add_address(struct node_config *c, const char *what, const char *text, bool insecure,
                       struct error *err)
{
    if (c->n_addresses == NODE_ADDRESSES_MAX)
        return error_set(err, ERR_USAGE, "%s: more than %d peers", what, NODE_ADDRESSES_MAX);
    struct host_port *at = &c->addresses[c->n_addresses];
    int rc = check_address(what, text, insecure, at, err);
    if (rc == 0 && at->port == 0)
        return error_set(err, ERR_USAGE, "%s: '%s' has no port to dial", what, text);
    for (uint32_t i = 0; rc == 0 && i < c->n_addresses; i++)
        if (strcmp(c->addresses[i].host, at->host) == 0 && c->addresses[i].port == at->port)
            return 0; /* named twice */
    c->n_addresses += rc == 0;
    return rc;
}

static int read_peers_file(struct node_config *c, const char *path, bool insecure,
                           struct error *err)
{
    char *line = NULL, what[600];
    size_t size = 0;
    int rc = 0;
    FILE *f = fopen(path, "r");
    if (f == NULL)
        return error_set(err, ERR_DATA, "--peers-file %s: %s", path, strerror(errno));
    for (unsigned number = 1; rc == 0 && getline(&line, &size, f) >= 0; number++) {
        line[strcspn(line, "#\r\n")] = '\0';
        char *start = line;
        while (isspace((unsigned char)*start))
            start++;
        for (char *end = start + strlen(start); end > start && isspace((unsigned char)end[-1]);)
            *--end = '\0';
        snprintf(what, sizeof what, "%s line %u", path, number);
        if (*start != '\0' && (rc = add_address(c, what, start, insecure, err)) != 0)
            rc = err->code = ERR_DATA;
    }
    if (rc == 0 && ferror(f))
        rc = error_set(err, ERR_DATA, "--peers-file %s: %s", path, strerror(errno));
    free(line);
    fclose(f);
    return rc;
}

static int set_addresses(const struct flags *f, struct node_config *c, struct error *err)
{
    int rc = 0;
    if (f->listen[0] != '\0') {
        c->listens = true;
        rc = check_address("--listen", f->listen, f->insecure, &c->listen, err);
    }
    for (uint32_t i = 0; rc == 0 && i < f->peers.n; i++)
        rc = add_address(c, "--peer", f->peers.values[i], f->insecure, err);
    if (rc == 0 && f->peers_file[0] != '\0')
        rc = read_peers_file(c, f->peers_file, f->insecure, err);
    if (rc == 0 && c->gossip != GOSSIP_CHOICE_OFF && !c->listens && c->n_addresses == 0)
        return error_set(err, ERR_USAGE,
                         "nobody to train with: give --listen and --peer (or --peers-file), or "
                         "--gossip off to train alone");
    return rc;
}

static int make_config(const struct flags *f, struct node_config *c, struct error *err)
{
    *c = (struct node_config){.run = f->run,
                              .data_spec = f->data,
                              .model_spec = f->model,
                              .shard = f->shard[0] - 1,
                              .n_shards = f->shard[1],
                              .partition = (enum partition)f->partition,
                              .optim = {.schedule = f->schedule == 2 ? LR_COSINE : LR_CONSTANT,
                                        .lr = (float)f->lr,
                                        .momentum = (float)f->momentum},
                              .schedule_is_given = f->schedule != 0,
                              .batch = (uint32_t)f->batch,
                              .seed = f->seed,
                              .gossip = (enum gossip_choice)f->gossip,
                              .every = f->every,
                              .open_per_slice = (uint32_t)f->open,
                              .eval_epochs = f->eval_every,
                              .end = (enum end_choice)f->end,
                              .settle_us = f->settle,
                              .join_timeout_us = f->join_timeout,
                              .report_us = f->report_every > 0 ? f->report_every : UINT64_MAX,
                              .min_peers = (uint32_t)f->min_peers,
                              .pace_us = f->pace,
                              .slow = f->slow,
                              .out = f->out,
                              .snapshot_dir = f->snapshot_dir[0] != '\0' ? f->snapshot_dir : NULL,
                              .snapshot_us = f->snapshot_every,
                              .metrics = f->metrics,
                              .json = f->json};
    c->optim.kind = f->optimizer >= 0                ? (enum optimizer)f->optimizer
                    : c->gossip == GOSSIP_CHOICE_OFF ? OPTIM_SGD
                                                     : OPTIM_QGM;
    if (f->run[0] == '\0' || strlen(f->run) >= 64)
        return error_set(err, ERR_USAGE, "--run: a name has 1 to 63 characters, not %zu",
                         strlen(f->run));
    int rc = parse_until(&f->until, &c->until, err);
    return rc != 0 ? rc : set_addresses(f, c, err);
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
    struct flags flags = {.optimizer = -1};
    struct node_config *config = calloc(1, sizeof *config);
    struct error err = {0};
    int n_operands, rc = opts_parse(&options, &flags, argc, argv, &n_operands, &err);
    if (rc == OPTS_HELP) {
        opts_help(&options, stdout);
    } else {
        if (rc == 0 && n_operands > 0)
            rc = error_set(&err, ERR_USAGE, "'%s' is no option of hubbub node", argv[1]);
        if (rc == 0 && flags.die_with_parent)
            rc = follow_parent(&err);
        log_set_level(flags.verbose ? LOG_DEBUG : flags.quiet ? LOG_WARN : LOG_INFO);
        if (rc == 0)
            rc = make_config(&flags, config, &err);
        if (rc == 0)
            rc = node_run(config, &err);
        if (rc != 0)
            log_error("%s", err.text);
    }
    free(config);
    return rc == OPTS_HELP ? 0 : -rc;
}
