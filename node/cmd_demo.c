/* hubbub demo: five peers that hold two classes each, first alone and then together. */
#include "node/cmd_node.h"

#include "base/log.h"
#include "base/opts.h"
#include "node/swarm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N_PEERS = 5 };

struct flags {
    const char *out_dir;
    uint64_t slow_peer, late_peer;
    bool json;
};

#define F(field) offsetof(struct flags, field)

static const struct opt table[] = {
    {"json", OPT_SWITCH, F(json), 0, 0, "the table on stdout as one JSON object", "options"},
    {"out", OPT_STRING, F(out_dir), "DIR", "", "keep the models, as DIR/alone-1.npz and so on"},
    {"slow-peer", OPT_U64, F(slow_peer), "I", "0", "make peer I four times slower; 0: none", 0, 0,
     N_PEERS},
    {"late-peer", OPT_U64, F(late_peer), "I", "0", "start peer I ten seconds late; 0: none", 0, 0,
     N_PEERS},
};

const struct opts cmd_demo_options = {
    .command = "hubbub demo",
    .summary = "five peers with two classes of Fashion-MNIST each, alone and together",
    .usage = "[OPTIONS]",
    .examples = "  hubbub demo\n"
                "  hubbub demo --slow-peer 2 --late-peer 4\n"
                "  hubbub demo --json > demo.json\n",
    .table = table,
    .n = sizeof table / sizeof table[0],
    .no_environment = true};

/* Chosen by measurement (docs/ALGORITHMS.md): shards this skewed want an exchange after every
 * step, and momentum that follows the swarm; five peers on a few cores need the pace to have time
 * for it. */
static const char *const common[] = {"--data=fashion-mnist", "--partition=labels",
                                     "--until=epochs=10", "--run=demo", "--pace=20ms"};
static const char *const alone[] = {"--gossip=off", "--optimizer=qgm", "--quiet", "--pace=0"};
static const char *const together[] = {"--gossip=pairwise", "--gossip-every=1", "--optimizer=qgm"};

static void add_flags(struct swarm_plan *plan, const char *const *flags, size_t n)
{
    for (size_t i = 0; i < n; i++)
        plan->flags[plan->n_flags++] = flags[i];
}

static void log_flags(const char *what, const struct swarm_plan *plan)
{
    char text[1024] = "";
    for (uint32_t i = 0; i < plan->n_flags; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), " %s", plan->flags[i]);
    log_info("%s: hubbub up -n %u --%s", what, plan->n, text);
}

/* One of the two runs; `name` is that of its model files. */
static int run_peers(const struct flags *f, const char *name, struct swarm_plan *plan,
                     struct swarm_result *results, struct error *err)
{
    char out[600];
    snprintf(out, sizeof out, "--out=%s/%s-{i}.npz", f->out_dir, name);
    if (f->out_dir[0] != '\0')
        plan->flags[plan->n_flags++] = out;
    log_flags(name, plan);
    int rc = swarm_run(plan, results, err);
    return rc != 0 ? rc : swarm_verdict(results, plan->n, err);
}

static int run_alone(const struct flags *f, struct swarm_result *results, struct error *err)
{
    struct swarm_plan plan = {.n = N_PEERS};
    add_flags(&plan, common, sizeof common / sizeof common[0]);
    add_flags(&plan, alone, sizeof alone / sizeof alone[0]);
    return run_peers(f, "alone", &plan, results, err);
}

static int run_together(const struct flags *f, struct swarm_result *results, struct error *err)
{
    struct swarm_plan plan = {.n = N_PEERS};
    add_flags(&plan, common, sizeof common / sizeof common[0]);
    add_flags(&plan, together, sizeof together / sizeof together[0]);
    if (f->slow_peer > 0)
        plan.extra[f->slow_peer - 1] = "--slow=4";
    if (f->late_peer > 0) {
        plan.delay_us[f->late_peer - 1] = 10000000;
        plan.flags[plan.n_flags++] = "--min-peers=3";
    }
    return run_peers(f, "together", &plan, results, err);
}

static json_t *peer_json(const struct swarm_result *one, const struct swarm_result *all)
{
    static const char *const same[] = {"steps_per_s", "exchanges", "bytes_in", "bytes_out"};
    json_t *o = json_object();
    json_object_set(o, "shard", json_object_get(all->json, "shard"));
    json_object_set(o, "classes", json_object_get(all->json, "classes"));
    json_object_set_new(o, "acc_alone", json_real(swarm_number(one, "accuracy")));
    json_object_set_new(o, "acc_together", json_real(swarm_number(all, "accuracy")));
    json_object_set_new(o, "consensus", json_real(all->consensus));
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++)
        json_object_set(o, same[i], json_object_get(all->json, same[i]));
    return o;
}

static void print_json(const struct swarm_result *one, const struct swarm_result *all)
{
    json_t *o = json_object(), *peers = json_array();
    for (uint32_t i = 0; i < N_PEERS; i++)
        json_array_append_new(peers, peer_json(&one[i], &all[i]));
    json_object_set_new(o, "peers", peers);
    json_dumpf(o, stdout, JSON_REAL_PRECISION(6));
    putchar('\n');
    json_decref(o);
}

static void print_table(const struct swarm_result *one, const struct swarm_result *all)
{
    printf("\nFive peers train one model on Fashion-MNIST; each holds two of the ten classes.\n"
           "Test accuracy over all ten:\n\n"
           "  peer  classes     alone   together   consensus   steps/s  exchanges    MB sent  "
           "MB received\n");
    for (uint32_t i = 0; i < N_PEERS; i++) {
        char classes[512];
        swarm_classes(&all[i], classes, sizeof classes);
        printf("  %-4u  %-8s  %5.1f %%    %5.1f %%  %10.1e  %8.1f  %9.0f  %9.1f  %11.1f\n", i + 1,
               classes, 100 * swarm_number(&one[i], "accuracy"),
               100 * swarm_number(&all[i], "accuracy"), all[i].consensus,
               swarm_number(&all[i], "steps_per_s"), swarm_number(&all[i], "exchanges"),
               swarm_number(&all[i], "bytes_out") / 1e6, swarm_number(&all[i], "bytes_in") / 1e6);
    }
    printf("\nAlone, a peer knows only its own two classes. Together each ends with a model of all "
           "ten,\nand no image has left its peer: they averaged weights, pair by pair, over TCP.\n"
           "consensus: distance of a peer's weights to their mean, relative. exchanges: of a "
           "slice\n(up to 65,536 weights) with one other peer.\n");
}

int cmd_demo(int argc, char **argv)
{
    struct flags flags = {0};
    struct error err = {0};
    struct swarm_result one[SWARM_MAX] = {0}, all[SWARM_MAX] = {0};
    int n_operands, rc = opts_parse(&cmd_demo_options, &flags, argc, argv, &n_operands, &err);
    if (rc == OPTS_DONE)
        return 0;
    if (rc == 0 && n_operands > 0)
        rc = error_set(&err, ERR_USAGE, "'%s' is no option of hubbub demo", argv[1]);
    if (rc == 0)
        rc = run_alone(&flags, one, &err);
    if (rc == 0)
        rc = run_together(&flags, all, &err);
    if (rc == 0 && flags.json)
        print_json(one, all);
    else if (rc == 0)
        print_table(one, all);
    else
        log_error("%s", err.text);
    swarm_results_close(one, N_PEERS);
    swarm_results_close(all, N_PEERS);
    return -rc;
}
