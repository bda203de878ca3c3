/* hubbub sim: the options of a simulation, its progress and its result. */
#include "sim/cmd_sim.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "model/meta.h"
#include "model/options.h"
#include "net/gossip_every.h"
#include "sim/sim.h"
#include "sim/topology.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

struct flags {
    struct training_options training;
    struct gossip_every every;
    struct dist latency;
    struct netsplit split;
    struct speed speed;
    const char *topology, *metrics, *save;
    double drop;
    uint64_t nodes, threads, cycles, open, serve, tick, bandwidth, step_time, fanout, eval_every,
        eval_nodes;
    int gossip, train, frames;
    bool json, verbose, quiet;
};

static const char *const gossips[] = {"pairwise", "pull", "push", "push-sum", "off", NULL};
static const char *const trains[] = {"continuous", "on-receive", NULL};
static const char *const on_off[] = {"on", "off", NULL};
enum { GOSSIP_OFF = 4, FRAMES_ON = 0, FANOUT_MAX = 16 };

#define F(field) offsetof(struct flags, field)

static const struct opt table[] = {
    {"nodes", OPT_U64, F(nodes), "N", "100", "peers", "who", 2, 1 << 28, .letter = 'n'},
    {"topology", OPT_STRING, F(topology), "SHAPE", "random",
     "random (uniform over everyone), complete, ring, path, torus, hypercube, star, exponential, "
     "one-peer-exponential, regular:d, er:p, smallworld:k,p, file:F"},
    {"threads", OPT_U64, F(threads), "N", "1", "that share the work; the result is the same", 0, 1,
     SIM_THREADS_MAX},
    {"cycles", OPT_U64, F(cycles), "N", "100", "how long: in gossip periods", 0, 1, 1e9},

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
    {"open", OPT_U64, F(open), "N", "1", "exchanges of a slice under way at once, 1 to 4", 0, 1,
     GOSSIP_OPEN_PER_SLICE_MAX},
    {"serve", OPT_U64, F(serve), "N", "1", "requests for a slice answered at once", 0, 1, 64},

    {"latency", OPT_CUSTOM, F(latency), "DIST", "0",
     "of a message: const:5ms, uniform:1ms,20ms, lognormal:20ms,0.5 (median, sigma)", "network",
     .parse = dist_parse},
    {"tick", OPT_DURATION, F(tick), "TIME", "0",
     "no message is faster; 0: a thousandth of a gossip period"},
    {"bandwidth", OPT_U64, F(bandwidth), "BYTES", "0", "a second, out of each peer; 0: no limit"},
    {"drop", OPT_F64, F(drop), "P", "0", "probability that a message is lost, with its link", 0, 0,
     1},
    {"netsplit", OPT_CUSTOM, F(split), "T..T:N", "",
     "from one time to another N groups that do not reach each other (10s..20s:2)",
     .parse = netsplit_parse},

    {"speed", OPT_CUSTOM, F(speed), "HOW", "const",
     "of peers: const, lognormal:SIGMA, stragglers:0.1,4x", "compute", .parse = speed_parse},
    {"step-time", OPT_DURATION, F(step_time), "TIME", "0",
     "virtual time of a step; 0: from the model, at 10 GFLOP/s"},

    {"eval-every", OPT_U64, F(eval_every), "CYCLES", "0",
     "between evaluations on the test data; 0: only at the end", "reports"},
    {"eval-nodes", OPT_U64, F(eval_nodes), "N", "100", "peers that are evaluated", 0, 1, 1 << 28},
    {"metrics", OPT_STRING, F(metrics), "FILE", "", "append evaluations as JSON lines"},
    {"save", OPT_STRING, F(save), "DIR", "", "the peers' models at the end, as DIR/NODE.npz"},
    {"json", OPT_SWITCH, F(json), 0, 0, "the result on stdout as one JSON object"},
    {"frames", OPT_CHOICE, F(frames), "on|off", "on",
     "encode, check and decode each message, as on the wire; the result is the same", 0, 0, 0,
     on_off},
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

static int make_config(const struct flags *f, struct sim_config *c, struct error *err)
{
    const struct training_options *t = &f->training;
    *c = (struct sim_config){
        .n_nodes = (uint32_t)f->nodes,
        .n_threads = (uint32_t)f->threads,
        .topology = f->topology,
        .data = t->data,
        .model_spec = t->model,
        .partition = t->partition.kind != N_PARTITION_KINDS ? t->partition : partition_iid,
        .optim = training_optim(t, f->gossip != GOSSIP_OFF),
        .warmup = t->warmup,
        .step_size = t->step_size,
        .batch = (uint32_t)t->batch,
        .seed = t->seed,
        .objective = (enum objective)t->objective,
        .cycles = f->cycles,
        .gossip = f->gossip == GOSSIP_OFF ? GOSSIP_PAIRWISE : (enum gossip_mode)f->gossip,
        .alone = f->gossip == GOSSIP_OFF,
        .every_steps = f->every.steps,
        .every_us = f->every.period_us,
        .open_per_slice = (uint32_t)f->open,
        .fanout = (uint32_t)f->fanout,
        .serve_per_slice = (uint32_t)f->serve,
        .train = (enum sim_train)f->train,
        .network = {.latency = f->latency,
                    .floor_us = f->tick,
                    .drop = f->drop,
                    .bytes_per_s = f->bandwidth,
                    .split = f->split},
        .speed = f->speed,
        .frames = f->frames == FRAMES_ON};
    c->speed.step_us = f->step_time;
    if (f->every.automatic)
        return error_set(err, ERR_USAGE,
                         "--gossip-every auto follows the clock of a real machine (right: a number "
                         "of steps, or a time)");
    if (c->fanout > 1 && c->gossip != GOSSIP_PUSH && c->gossip != GOSSIP_PUSH_SUM)
        return error_set(
            err, ERR_USAGE,
            "--fanout %" PRIu32 " goes with --gossip push and push-sum (right: --open)", c->fanout);
    if (c->train == SIM_ON_RECEIVE && c->every_steps > 0)
        return error_set(err, ERR_USAGE,
                         "--train on-receive with --gossip-every %" PRIu32
                         ": nobody steps before something comes (right: a time, such as 1s)",
                         c->every_steps);
    if (c->train == SIM_ON_RECEIVE && c->alone)
        return error_set(err, ERR_USAGE, "--train on-receive with --gossip off: nothing comes");
    return 0;
}

/* ---- progress ------------------------------------------------------------------------------ */

struct progress {
    struct sim *sim;
    const struct flags *flags;
    struct metrics metrics;
    uint64_t run_us; /* of real time, without evaluations */
    uint64_t told_us;
};

static uint64_t peak_bytes(void)
{
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? (uint64_t)usage.ru_maxrss * 1024 : 0;
}

static double seconds(uint64_t us)
{
    return (double)us / 1e6;
}

static void tell(struct progress *p, const struct sim_measure *m)
{
    struct sim_totals t = sim_totals(p->sim);
    uint64_t now_us = sim_now_us(p->sim);
    log_info("cycle %" PRIu64 ", %.6g s: %.2f M events/s, accuracy %.2f %% (%.2f to %.2f), "
             "consensus %.3g, %" PRIu64 " MB",
             now_us / sim_cycle_us(p->sim), seconds(now_us),
             (double)t.events / (double)(p->run_us > 0 ? p->run_us : 1), 100 * m->acc_mean,
             100 * m->acc_min, 100 * m->acc_max, m->consensus, peak_bytes() >> 20);
    metrics_write(&p->metrics, "evaluation",
                  json_pack("{s:I, s:f, s:I, s:f, s:f, s:f, s:f, s:f, s:I}", "cycle",
                            (json_int_t)(now_us / sim_cycle_us(p->sim)), "virtual_s",
                            seconds(now_us), "node_updates", (json_int_t)t.node_updates, "acc_mean",
                            m->acc_mean, "acc_min", m->acc_min, "acc_max", m->acc_max, "loss",
                            m->loss, "consensus", m->consensus, "bytes", (json_int_t)t.bytes));
}

/* Cycle by cycle; a line of progress where one is asked for, or every few seconds. */
static struct sim_measure run(struct progress *p)
{
    const struct flags *f = p->flags;
    uint32_t n_eval = (uint32_t)f->eval_nodes;
    for (uint64_t cycle = 1; cycle <= f->cycles; cycle++) {
        uint64_t start = clock_us();
        sim_run_until(p->sim, cycle * sim_cycle_us(p->sim));
        uint64_t now = clock_us();
        p->run_us += now - start;
        bool asked = f->eval_every > 0 && cycle % f->eval_every == 0;
        if (cycle < f->cycles && (asked || (!f->quiet && now - p->told_us > 5 * SECOND_US))) {
            struct sim_measure m = sim_measure(p->sim, n_eval);
            tell(p, &m);
            p->told_us = clock_us();
        }
    }
    struct sim_measure m = sim_measure(p->sim, n_eval);
    tell(p, &m);
    return m;
}

/* ---- the result ------------------------------------------------------------------------------ */

static void print_result(const struct progress *p, const struct sim_measure *m)
{
    const struct sim *sim = p->sim;
    struct sim_totals t = sim_totals(sim);
    struct sim_memory memory = sim_memory(sim);
    double took = seconds(p->run_us > 0 ? p->run_us : 1);
    char trace[SIM_HASH_TEXT], weights[SIM_HASH_TEXT];
    sim_trace_sha256(sim, trace);
    sim_weights_sha256(sim, weights);
    if (p->flags->json) {
        json_t *o = json_pack(
            "{s:I, s:I, s:I, s:f, s:f, s:I, s:f, s:f, s:f, s:f, s:f, s:f, s:I, s:s, s:s}", "nodes",
            (json_int_t)p->flags->nodes, "cycles", (json_int_t)p->flags->cycles, "node_updates",
            (json_int_t)t.node_updates, "seconds", took, "node_updates_per_s",
            (double)t.node_updates / took, "rss_bytes", (json_int_t)peak_bytes(), "test_error",
            1 - m->acc_mean, "acc_mean", m->acc_mean, "acc_min", m->acc_min, "acc_max", m->acc_max,
            "consensus", m->consensus, "virtual_s", seconds(sim_now_us(sim)), "bytes",
            (json_int_t)t.bytes, "trace_sha256", trace, "weights_sha256", weights);
        json_dumpf(o, stdout, JSON_INDENT(2));
        putchar('\n');
        json_decref(o);
        return;
    }
    printf("%14" PRIu64 "  peers, %" PRIu64 " cycles, %.6g virtual seconds\n", p->flags->nodes,
           p->flags->cycles, seconds(sim_now_us(sim)));
    printf("%14.3f  seconds: %.3f M node-updates/s, %.3f M events/s\n", took,
           (double)t.node_updates / took / 1e6, (double)t.events / took / 1e6);
    printf("%14" PRIu64 "  node-updates, %" PRIu64 " messages (%" PRIu64 " lost) of %" PRIu64
           " bytes\n",
           t.node_updates, t.messages, t.lost, t.bytes);
    printf("%14.2f  %% accuracy, mean of %" PRIu32 " peers (%.2f to %.2f); loss %.4f\n",
           100 * m->acc_mean, m->n_evaluated, 100 * m->acc_min, 100 * m->acc_max, m->loss);
    printf("%14.3e  consensus distance\n", m->consensus);
    printf("%14" PRIu64 "  MB at most; a peer %" PRIu64 " B beside weights and optimiser, %" PRIu64
           " parcels of %" PRIu64 " B\n",
           peak_bytes() >> 20, memory.node_bytes, memory.parcels, memory.parcel_bytes);
    printf("%14s  %s\n%14s  %s\n", "trace", trace, "weights", weights);
}

static int save(const struct progress *p, struct error *err)
{
    const char *dir = p->flags->save;
    if (mkdir(dir, 0777) != 0 && errno != EEXIST)
        return error_set(err, ERR_FAILURE, "%s: cannot be made: %m", dir);
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < p->flags->nodes; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%" PRIu32 ".npz", dir, i);
        json_t *meta = meta_new(sim_model(p->sim), sim_data(p->sim));
        json_object_set_new(meta, "node", json_integer(i));
        json_object_set_new(meta, "cycles", json_integer((json_int_t)p->flags->cycles));
        rc = model_file_write(path, sim_model(p->sim), sim_theta(p->sim, i), meta, err);
        json_decref(meta);
    }
    return rc;
}

static int check(const struct progress *p, struct error *err)
{
    struct sim_totals t = sim_totals(p->sim);
    if (t.punished > 0)
        return error_set(err, ERR_FAILURE,
                         "%" PRIu64 " messages broke the protocol: a bug of hubbub's; seed %" PRIu64
                         " shows it",
                         t.punished, p->flags->training.seed);
    if (t.diverged > 0)
        return error_set(err, ERR_UNREACHED,
                         "training diverged: %" PRIu64 " steps with a loss that is no number "
                         "(a lower --lr may help)",
                         t.diverged);
    return 0;
}

static int simulate(const struct flags *flags, struct error *err)
{
    struct progress p = {.flags = flags, .told_us = clock_us()};
    struct sim_config config;
    int rc = make_config(flags, &config, err);
    if (rc == 0)
        rc = metrics_open(&p.metrics, flags->metrics, err);
    if (rc != 0)
        return rc;
    rc = sim_open(&p.sim, &config, err);
    if (rc == 0 && flags->cycles > sim_end_us(p.sim) / sim_cycle_us(p.sim)) {
        rc = error_set(err, ERR_USAGE,
                       "--cycles %" PRIu64 " (right: at most %" PRIu64
                       " with these latencies: a longer --tick allows more)",
                       flags->cycles, sim_end_us(p.sim) / sim_cycle_us(p.sim));
        sim_close(p.sim);
    } else if (rc == 0) {
        struct sim_measure m = run(&p);
        print_result(&p, &m);
        rc = check(&p, err);
        if (rc == 0 && flags->save[0] != '\0')
            rc = save(&p, err);
        sim_close(p.sim);
    }
    metrics_close(&p.metrics);
    return rc;
}

int cmd_sim(int argc, char **argv)
{
    struct flags flags = {.training = TRAINING_UNSAID};
    struct error err = {0};
    int n_operands, rc = opts_parse(&cmd_sim_options, &flags, argc, argv, &n_operands, &err);
    if (rc == 0 && n_operands > 0)
        rc = error_set(&err, ERR_USAGE, "'%s' is no option of hubbub sim", argv[1]);
    log_set_level(flags.verbose ? LOG_DEBUG : flags.quiet ? LOG_WARN : LOG_INFO);
    if (rc == 0)
        rc = simulate(&flags, &err);
    if (rc < 0)
        log_error("%s", err.text);
    return rc == OPTS_DONE ? 0 : -rc;
}
