/* hubbub up: n peers on this machine. */
#include "node/cmd_node.h"

#include "base/log.h"
#include "base/opts.h"
#include "node/swarm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct flags {
    uint64_t n;
    bool json;
};

static const struct opt table[] = {
    {"nodes", OPT_U64, offsetof(struct flags, n), "N", "5", "peers to start", "options", 1,
     SWARM_MAX, 0, 0, 'n'},
    {"json", OPT_SWITCH, offsetof(struct flags, json), 0, 0,
     "the results on stdout as one JSON object", 0, 0, 0, 0, 0, 0},
};

static const struct opts options = {
    .command = "hubbub up",
    .summary = "starts n peers on this machine, each with its shard, and shows how they ended",
    .usage = "[-n N] [--json] [-- FLAGS OF hubbub node]",
    .examples = "  hubbub up -n 5 -- --partition labels --gossip-every 1\n"
                "  hubbub up -n 4 -- --until epochs=3 --out 'model-{i}.npz'\n"
                "  hubbub up -n 2 --json -- --data blobs:classes=3,features=8 --model softmax\n",
    .table = table,
    .n = sizeof table / sizeof table[0],
    .no_environment = true};

static void print_json(struct swarm_result *results, uint32_t n)
{
    json_t *o = json_object(), *peers = json_array();
    for (uint32_t i = 0; i < n; i++) {
        json_t *peer = results[i].json != NULL ? json_incref(results[i].json) : json_object();
        json_object_set_new(peer, "exit_code", json_integer(results[i].exit_code));
        json_object_set_new(peer, "consensus", json_real(results[i].consensus));
        json_array_append_new(peers, peer);
    }
    json_object_set_new(o, "peers", peers);
    json_dumpf(o, stdout, JSON_REAL_PRECISION(9));
    putchar('\n');
    json_decref(o);
}

static void print_table(const struct swarm_result *results, uint32_t n)
{
    printf("%-5s %-20s %9s %10s %8s %8s %10s %9s %9s %5s\n", "peer", "classes", "accuracy",
           "consensus", "epochs", "steps/s", "exchanges", "MB in", "MB out", "exit");
    for (uint32_t i = 0; i < n; i++) {
        const struct swarm_result *r = &results[i];
        char classes[512];
        swarm_classes(r, classes, sizeof classes);
        printf("%-5u %-20s %7.2f %% %10.2e %8.2f %8.1f %10.0f %9.1f %9.1f %5d\n", i + 1, classes,
               100 * swarm_number(r, "accuracy"), r->consensus, swarm_number(r, "epochs"),
               swarm_number(r, "steps_per_s"), swarm_number(r, "exchanges"),
               swarm_number(r, "bytes_in") / 1e6, swarm_number(r, "bytes_out") / 1e6, r->exit_code);
    }
}

int cmd_up(int argc, char **argv)
{
    struct flags flags = {0};
    struct error err = {0};
    struct swarm_plan *plan = calloc(1, sizeof *plan);
    struct swarm_result results[SWARM_MAX];
    int n_operands, rc = opts_parse(&options, &flags, argc, argv, &n_operands, &err);
    if (rc == OPTS_HELP) {
        opts_help(&options, stdout);
        free(plan);
        return 0;
    }
    if (rc == 0 && n_operands > SWARM_FLAGS_MAX)
        rc = error_set(&err, ERR_USAGE, "more than %d flags after --", SWARM_FLAGS_MAX);
    if (rc == 0) {
        plan->n = (uint32_t)flags.n;
        for (int i = 1; i <= n_operands; i++)
            plan->flags[plan->n_flags++] = argv[i];
        rc = swarm_run(plan, results, &err);
        if (rc == 0) {
            if (flags.json)
                print_json(results, plan->n);
            else
                print_table(results, plan->n);
            rc = swarm_verdict(results, plan->n, &err);
            swarm_results_close(results, plan->n);
        }
    }
    if (rc != 0)
        log_error("%s", err.text);
    free(plan);
    return -rc;
}
