/* hubbub sim: its options. */
#include "sim/cmd_sim.h"

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "model/options.h"
#include "net/gossip_every.h"
#include "sim/faults.h"
#include "sim/report.h"
#include "sim/topology.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct flags {
    struct training_options training;
    struct gossip_every every;
    struct dist latency;
    struct netsplit split;
    struct speed speed;
    struct sessions sessions;
    struct late late;
    const char *topology, *metrics, *save, *report;
    double drop;
    uint64_t nodes, threads, cycles, open, serve, tick, bandwidth, link_bandwidth, heal, settle,
        faults, step_time, pace, parked, fanout, eval_every, eval_nodes;
    int algorithm, mixing, order, gossip, train, frames, churn_state;
    uint64_t repeat;
    struct opt_list sweep;
    bool calibrate, json, verbose, quiet, check;
};

static const char *const gossips[] = {"pairwise", "pull", "push", "push-sum", "off", NULL};
static const char *const algorithms[] = {"gossip", "dpsgd", "allreduce", "local", NULL};
static const char *const orders[] = {"adapt-then-combine", "combine-then-adapt", NULL};
static const char *const trains[] = {"continuous", "on-receive", NULL};
static const char *const on_off[] = {"on", "off", NULL};
static const char *const churn_states[] = {"lost", "kept", NULL};
enum { GOSSIP_OFF = 4, FRAMES_ON = 0, STATE_KEPT = 1, FANOUT_MAX = 16 };
#define BANDWIDTH_MAX UINT64_C(1000000000000)

#define F(field) offsetof(struct flags, field)

static const struct opt table[] = {
    {"nodes", OPT_U64, F(nodes), "N", "100", "peers", "who", 2, 1 << 28, .letter = 'n'},
    {"topology", OPT_STRING, F(topology), "SHAPE", "random",
     "random (uniform over everyone), complete, ring, path, torus, hypercube, star, exponential, "
     "one-peer-exponential, regular:d, er:p, smallworld:k,p, file:F"},
    {"threads", OPT_U64, F(threads), "N", "1", "that share the work; the result is the same", 0, 1,
     SIM_THREADS_MAX},
    {"cycles", OPT_U64, F(cycles), "N", "100", "how long: in gossip periods", 0, 1, 1e9},

    {"algorithm", OPT_CHOICE, F(algorithm), "NAME", "gossip",
     "gossip; in rounds, each as long as its slowest peer: dpsgd, allreduce, local", "algorithm", 0,
     0, algorithms},
    {"mixing-matrix", OPT_CHOICE, F(mixing), "HOW", "metropolis",
     "of dpsgd: metropolis, or uniform (the same weight on each edge)", 0, 0, 0, mixing_kind_names},
    {"order", OPT_CHOICE, F(order), "HOW", "adapt-then-combine",
     "of dpsgd: adapt-then-combine X <- W(X - lr G), combine-then-adapt X <- WX - lr G", 0, 0, 0,
     orders},

    TRAINING_OPTIONS(struct flags, training),
    {"train", OPT_CHOICE, F(train), "HOW", "continuous",
     "continuous, or on-receive: a step for each model that was merged", 0, 0, 0, trains},

    {"gossip", OPT_CHOICE, F(gossip), "MODE", "pairwise",
     "pairwise (keeps the mean), pull, push (one way, merged by age), push-sum (one way, keeps the "
     "mean), off",
     "gossip", 0, 0, gossips},
    {"gossip-every", OPT_CUSTOM, F(every), "N|TIME", "1",
     "local steps or virtual time between exchanges", .parse = gossip_every_parse},
    {"fanout", OPT_U64, F(fanout), "N", "1", "peers that a push goes to", 0, 1, FANOUT_MAX},
    {"open", OPT_U64, F(open), "N", "1",
     "exchanges of a slice under way at once, 1 to 4; one while the way out is full", 0, 1,
     GOSSIP_OPEN_PER_SLICE_MAX},
    {"parked", OPT_U64, F(parked), "N", "3",
     "beside them, exchanges of a slice that wait for a slow peer (not with push)", 0, 0, 64},
    {"serve", OPT_U64, F(serve), "N", "0",
     "requests for a slice answered at once; 0: 4, with --train on-receive 1", 0, 0, 64},

    {"latency", OPT_CUSTOM, F(latency), "DIST", "0",
     "of a message: const:5ms, uniform:1ms,20ms, lognormal:20ms,0.5 (median, sigma)", "network",
     .parse = dist_parse},
    {"tick", OPT_DURATION, F(tick), "TIME", "0",
     "no message is faster; 0: a thousandth of a gossip period"},
    {"bandwidth", OPT_U64, F(bandwidth), "BYTES", "0",
     "a second, out of each peer and into it, one message after another; 0: no limit", 0, 0,
     BANDWIDTH_MAX},
    {"link-bandwidth", OPT_U64, F(link_bandwidth), "BYTES", "0",
     "a second, each way of each link; 0: no limit", 0, 0, BANDWIDTH_MAX},
    {"drop", OPT_F64, F(drop), "P", "0", "probability that a message is lost, with its link", 0, 0,
     1},
    {"netsplit", OPT_CUSTOM, F(split), "T..T:N", "",
     "from one time to another N groups that do not reach each other (10s..20s:2)",
     .parse = netsplit_parse},
    {"churn", OPT_CUSTOM, F(sessions), "DIST,DIST", "",
     "how long peers stay until they crash, and how long they are away "
     "(lognormal:60s,1,uniform:1s,10s)",
     .parse = sessions_parse},
    {"churn-state", OPT_CHOICE, F(churn_state), "lost|kept", "lost",
     "what a crash leaves of a peer: nothing, so it takes over the weights of another, or its "
     "weights and step",
     0, 0, 0, churn_states},
    {"join", OPT_CUSTOM, F(late), "TIME:N", "", "the last N peers join at that time",
     .parse = late_parse},
    {"heal", OPT_DURATION, F(heal), "TIME", "0",
     "from then on nothing is lost and nobody crashes; 0: never"},
    {"settle", OPT_DURATION, F(settle), "TIME", "0",
     "from then on nobody learns, and peers only average; 0: never"},

    {"speed", OPT_CUSTOM, F(speed), "HOW", "const",
     "of peers: const, lognormal:SIGMA, stragglers:0.1,4x", "compute", .parse = speed_parse},
    {"step-time", OPT_DURATION, F(step_time), "TIME", "0",
     "virtual time of a step; 0: from the model, at 10 GFLOP/s"},
    {"pace", OPT_DURATION, F(pace), "TIME", "0",
     "least time a step takes; what is left of it is waited out, jobs running as they come"},
    {"calibrate", OPT_SWITCH, F(calibrate), 0, 0,
     "as long as a step takes on this machine, measured now; the result then depends on it"},

    {"eval-every", OPT_U64, F(eval_every), "CYCLES", "0",
     "between evaluations on the test data; 0: only at the end (with --report 40 on the way)",
     "reports"},
    {"eval-nodes", OPT_U64, F(eval_nodes), "N", "100", "peers that are evaluated", 0, 1, 1 << 28},
    {"report", OPT_STRING, F(report), "FILE", "",
     "write a page of plots and data that needs nothing else (FILE.html)"},
    {"repeat", OPT_U64, F(repeat), "N", "1",
     "runs, with seeds from --seed on: medians and quartiles", 0, 1, 1000},
    {"sweep", OPT_LIST, F(sweep), "NAME=VALUES", 0,
     "a run for each value of an option (partition=iid labels:2), in all combinations"},
    {"metrics", OPT_STRING, F(metrics), "FILE", "", "append evaluations as JSON lines"},
    {"save", OPT_STRING, F(save), "DIR", "", "the peers' models at the end, as DIR/NODE.npz"},
    {"json", OPT_SWITCH, F(json), 0, 0, "the result on stdout as one JSON object"},
    {"frames", OPT_CHOICE, F(frames), "on|off", "on",
     "encode, check and decode each message, as on the wire; the result is the same", 0, 0, 0,
     on_off},
    {"check", OPT_SWITCH, F(check), 0, 0,
     "stop with exit code 1 when an invariant of the protocol does not hold; one thread"},
    {"faults", OPT_U64, F(faults), "N", "0",
     "N worlds of faults instead, drawn from the seeds from --seed on: none may break an "
     "invariant, "
     "all must converge; the only other options are --seed and --verbose",
     0, 0, 1000000000},
    {"verbose", OPT_SWITCH, F(verbose), 0, 0, "log more"},
    {"quiet", OPT_SWITCH, F(quiet), 0, 0, "log warnings and errors only"},
};

const struct opts cmd_sim_options = {
    .command = "hubbub sim",
    .summary = "many peers in one process under virtual time, running the code of hubbub node",
    .usage = "[OPTIONS]",
    .examples =
        "  hubbub sim -n 64 --topology ring --partition labels --gossip-every 4 --cycles 200\n"
        "  hubbub sim -n 1000000 --threads 2 --train on-receive --gossip push --gossip-every 1s\\\n"
        "    --latency uniform:1ms,100ms --partition sample:0.0001 --batch 1 --optimizer sgd\\\n"
        "    --momentum 0 --data blobs:classes=2,features=57 --model softmax --frames off\n"
        "  hubbub sim -n 16 --data blobs --model softmax --latency lognormal:20ms,0.5 --json\n",
    .table = table,
    .n = sizeof table / sizeof table[0]};

static bool averages_weights(const struct flags *f)
{
    enum sim_algorithm a = (enum sim_algorithm)f->algorithm;
    return a == SIM_DPSGD || (a == SIM_GOSSIP && f->gossip != GOSSIP_OFF);
}

/* Options that each make sense, but not together. */
static int check_together(const struct flags *f, const struct sim_config *c, struct error *err)
{
    if (f->check && f->threads > 1)
        return error_set(err, ERR_USAGE,
                         "--check with --threads %" PRIu64
                         ": it keeps its books on one thread (the result is the same on any)",
                         f->threads);
    if (c->gossip == GOSSIP_PUSH_SUM && (c->sessions.set || c->late.n > 0))
        return error_set(err, ERR_USAGE,
                         "--gossip push-sum with --%s: what its mass is after a crash is not "
                         "simulated yet (right: pairwise, push or pull)",
                         c->sessions.set ? "churn" : "join");
    if (c->fanout > 1 && c->gossip != GOSSIP_PUSH && c->gossip != GOSSIP_PUSH_SUM)
        return error_set(
            err, ERR_USAGE,
            "--fanout %" PRIu32 " goes with --gossip push and push-sum (right: --open)", c->fanout);
    if (c->train == SIM_ON_RECEIVE && c->every_steps > 0)
        return error_set(err, ERR_USAGE,
                         "--train on-receive with --gossip-every %" PRIu32
                         ": nobody steps before something comes (right: a time, such as 1s)",
                         c->every_steps);
    if (c->train == SIM_ON_RECEIVE && c->speed.pace_us > 0)
        return error_set(err, ERR_USAGE,
                         "--train on-receive with --pace: a step follows what was merged (right: "
                         "--gossip-every)");
    if (c->train == SIM_ON_RECEIVE && c->alone)
        return error_set(err, ERR_USAGE, "--train on-receive with --gossip off: nothing comes");
    return 0;
}

static int make_config(const struct flags *f, struct sim_config *c, struct error *err)
{
    const struct training_options *t = &f->training;
    *c = (struct sim_config){.algorithm = (enum sim_algorithm)f->algorithm,
                             .order = (enum sim_order)f->order,
                             .mixing = (enum mixing_kind)f->mixing,
                             .n_nodes = (uint32_t)f->nodes,
                             .n_threads = (uint32_t)f->threads,
                             .topology = f->topology,
                             .data = t->data,
                             .model_spec = t->model,
                             .partition = training_partition(t),
                             .optim = training_optim(t, averages_weights(f)),
                             .warmup = t->warmup,
                             .step_size = t->step_size,
                             .batch = (uint32_t)t->batch,
                             .seed = t->seed,
                             .objective = (enum objective)t->objective,
                             .cycles = f->cycles,
                             .gossip = f->gossip == GOSSIP_OFF ? GOSSIP_PAIRWISE
                                                               : (enum gossip_mode)f->gossip,
                             .alone = f->gossip == GOSSIP_OFF,
                             .every_steps = f->every.steps,
                             .every_us = f->every.period_us,
                             .open_per_slice = (uint32_t)f->open,
                             .fanout = (uint32_t)f->fanout,
                             .parked_per_slice = (uint32_t)f->parked,
                             .serve_per_slice = (uint32_t)f->serve,
                             .train = (enum sim_train)f->train,
                             .network = {.latency = f->latency,
                                         .floor_us = f->tick,
                                         .drop = f->drop,
                                         .bytes_per_s = f->bandwidth,
                                         .link_bytes_per_s = f->link_bandwidth,
                                         .split = f->split,
                                         .heal_us = f->heal},
                             .sessions = f->sessions,
                             .late = f->late,
                             .settle_us = f->settle,
                             .state_is_kept = f->churn_state == STATE_KEPT,
                             .check = f->check,
                             .speed = f->speed,
                             .frames = f->frames == FRAMES_ON};
    c->speed.step_us = f->step_time;
    c->speed.pace_us = f->pace;
    c->calibrate = f->calibrate;
    if (f->calibrate && f->step_time > 0)
        return error_set(err, ERR_USAGE,
                         "--calibrate measures what --step-time %" PRIu64 "us says (right: one)",
                         f->step_time);
    if (f->every.automatic)
        return error_set(err, ERR_USAGE,
                         "--gossip-every auto follows the clock of a real machine (right: a number "
                         "of steps, or a time)");
    return check_together(f, c, err);
}

struct command_line {
    int argc;
    char **argv;
};

/* Words that a study adds stand last, so they count. */
static int configure(void *ctx, char **words, uint32_t n_words, struct sim_config *config,
                     struct error *err)
{
    const struct command_line *line = ctx;
    struct flags flags = {.training = TRAINING_UNSAID};
    char **argv = MEM_NEW(char *, (size_t)line->argc + n_words + 1);
    memcpy(argv, line->argv, (size_t)line->argc * sizeof *argv);
    memcpy(argv + line->argc, words, n_words * sizeof *argv);
    int n_operands;
    int rc =
        opts_parse(&cmd_sim_options, &flags, line->argc + (int)n_words, argv, &n_operands, err);
    free(argv);
    return rc == 0 ? make_config(&flags, config, err) : rc;
}

/* For --faults: the options that it drew. */
static int parse_config(int argc, char **argv, struct sim_config *config, struct error *err)
{
    struct command_line line = {.argc = argc, .argv = argv};
    return configure(&line, argv, 0, config, err);
}

/* What failed, and, of an invariant, in which command. */
static void complain(const struct flags *flags, const struct command_line *line, int rc,
                     const struct error *err)
{
    char command[2000];
    size_t at = (size_t)snprintf(command, sizeof command, "hubbub");
    for (int i = 0; i < line->argc && at < sizeof command; i++)
        at += (size_t)snprintf(command + at, sizeof command - at, " %s", line->argv[i]);
    if (rc == ERR_FAILURE && flags->check)
        log_error("%s: %s", err->text, command);
    else
        log_error("%s", err->text);
}

static int run_study(struct study *study, const struct flags *flags, struct metrics *metrics,
                     struct error *err)
{
    struct run_options options = {.eval_every = flags->eval_every,
                                  .eval_nodes = (uint32_t)flags->eval_nodes,
                                  .save = flags->save,
                                  .metrics = metrics,
                                  .tell = flags->eval_every > 0,
                                  .quiet = flags->quiet};
    int rc = study_run(study, &options, flags->report[0] != '\0', err);
    if (rc == 0 || rc == ERR_UNREACHED)
        study_print(study, flags->json);
    return rc;
}

/* The page is begun before anything runs, so that it does not fail for its name in the end. */
static int run_and_report(struct study *study, const struct flags *flags,
                          const struct command_line *line, struct metrics *metrics,
                          struct error *err)
{
    struct file_draft page;
    if (file_draft_open(&page, flags->report, err) != 0)
        return error_prefix(err, "--report");
    int rc = run_study(study, flags, metrics, err);
    if (rc != 0 && rc != ERR_UNREACHED) {
        file_draft_drop(&page);
        return rc;
    }
    struct error unwritten;
    report_write(page.out, study, line->argc, line->argv);
    if (file_draft_commit(&page, &unwritten) == 0)
        return rc;
    *err = unwritten;
    return error_prefix(err, "--report");
}

static int simulate(const struct flags *flags, struct command_line *line, struct error *err)
{
    struct study study;
    struct metrics metrics;
    int rc = study_open(&study, &flags->sweep, flags->training.seed, (uint32_t)flags->repeat,
                        configure, line, err);
    if (rc == 0 && flags->save[0] != '\0' && study.n_settings * study.n_seeds > 1)
        rc = error_set(err, ERR_USAGE, "--save %s: is for one run, not for --repeat or --sweep",
                       flags->save);
    if (rc == 0)
        rc = metrics_open(&metrics, flags->metrics, err);
    if (rc == 0) {
        rc = flags->report[0] != '\0' ? run_and_report(&study, flags, line, &metrics, err)
                                      : run_study(&study, flags, &metrics, err);
        metrics_close(&metrics);
    }
    study_close(&study);
    return rc;
}

int cmd_sim(int argc, char **argv)
{
    struct flags flags = {.training = TRAINING_UNSAID};
    struct error err = {0};
    struct command_line line = {.argc = argc, .argv = MEM_NEW(char *, (size_t)argc + 1)};
    memcpy(line.argv, argv, (size_t)argc * sizeof *argv);
    int n_operands, rc = opts_parse(&cmd_sim_options, &flags, argc, argv, &n_operands, &err);
    if (rc == 0 && n_operands > 0)
        rc = error_set(&err, ERR_USAGE, "'%s' is no option of hubbub sim", argv[1]);
    log_set_level(flags.verbose ? LOG_DEBUG : flags.quiet ? LOG_WARN : LOG_INFO);
    if (rc == 0 && flags.faults > 0)
        rc = faults_run(flags.training.seed, flags.faults, flags.verbose, parse_config, &err);
    else if (rc == 0)
        rc = simulate(&flags, &line, &err);
    if (rc < 0)
        complain(&flags, &line, rc, &err);
    free(line.argv);
    return rc == OPTS_DONE ? 0 : -rc;
}
