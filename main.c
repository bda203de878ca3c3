/* hubbub: picks the command. */
#include "base/docs.h"
#include "base/error.h"
#include "base/log.h"
#include "base/opts.h"
#include "base/parse.h"
#include "base/version.h"
#include "bench/cmd_bench.h"
#include "data/cmd_data.h"
#include "model/cmd_model.h"
#include "node/cmd_node.h"
#include "sim/cmd_sim.h"

#include <stdio.h>
#include <string.h>

#define DATE    "2026-11-24"
#define SUMMARY "trains one model on many machines with no coordinator"

static int cmd_docs(int argc, char **argv);
static int cmd_data_or_agree(int argc, char **argv);

static const struct {
    const char *name, *summary;
    int (*run)(int argc, char **argv);
} commands[] = {
    {"node", "one peer: trains on its shard and averages weights with the others", cmd_node},
    {"up", "starts n peers on this machine", cmd_up},
    {"demo", "five peers with two classes each, alone and together", cmd_demo},
    {"eval", "tries a model on data: loss, accuracy, every class", cmd_eval},
    {"predict", "writes what a model says of each sample, as CSV", cmd_predict},
    {"inspect", "shows what a model file holds; as stages; as Python for PyTorch", cmd_inspect},
    {"convert", "writes a model file in another format or precision", cmd_convert},
    {"sim", "many peers in one process under virtual time", cmd_sim},
    {"topo", "a topology's degrees, diameter, spectral gap and picture", cmd_topo},
    {"data", "looks at data, splits and converts them, agrees on private ones", cmd_data_or_agree},
    {"bench", "figures of this machine", cmd_bench},
    {"docs", "the manual page, and completions for bash, zsh and fish", cmd_docs},
};

enum { N_COMMANDS = sizeof commands / sizeof commands[0] };

static const struct opts docs_options = {
    .command = "hubbub docs",
    .summary = "prints the manual page, or what completes the command line in a shell",
    .usage = "man|bash|zsh|fish",
    .examples = "  hubbub docs man | man -l -\n"
                "  source <(hubbub docs bash)\n"
                "  hubbub docs fish > ~/.config/fish/completions/hubbub.fish\n",
    .operands = "man bash zsh fish",
    .no_environment = true};

/* clang-format off */
static const struct opts *const all_options[] = {
    &cmd_node_options,
    &cmd_up_options,
    &cmd_demo_options,
    &cmd_data_list_options,
    &cmd_data_info_options,
    &cmd_data_stats_options,
    &cmd_data_split_options,
    &cmd_data_convert_options,
    &cmd_agree_options,
    &cmd_eval_options,
    &cmd_predict_options,
    &cmd_inspect_options,
    &cmd_convert_options,
    &cmd_sim_options,
    &cmd_topo_options,
    &bench_train_options,
    &bench_data_options,
    &bench_exchange_options,
    &bench_gossip_options,
    &bench_straggler_options,
    &bench_scaling_options,
    &bench_sim_options,
    &docs_options,
};
/* clang-format on */

static const struct docs docs = {
    .program = "hubbub",
    .summary = SUMMARY,
    .version = VERSION,
    .date = DATE,
    .description =
        "Each peer keeps its own copy of the weights and its own shard of the data, trains on it "
        "without waiting for anybody, and now and then averages weights with a random peer over "
        "TCP. What comes out is one good model on every peer, through crashes, stragglers and "
        "latecomers.\n\n"
        "The result is on stdout, the log on stderr.",
    .commands = all_options,
    .n = sizeof all_options / sizeof all_options[0]};

static const struct {
    const char *name;
    void (*print)(const struct docs *d, FILE *out);
} pages[] = {{"man", docs_man}, {"bash", docs_bash}, {"zsh", docs_zsh}, {"fish", docs_fish}};

static int cmd_docs(int argc, char **argv)
{
    struct error err;
    int n_operands, rc = opts_parse(&docs_options, NULL, argc, argv, &n_operands, &err);
    for (size_t i = 0; rc == 0 && n_operands == 1 && i < sizeof pages / sizeof pages[0]; i++)
        if (strcmp(argv[1], pages[i].name) == 0) {
            pages[i].print(&docs, stdout);
            return 0;
        }
    if (rc == 0)
        rc = error_set(&err, ERR_USAGE, "hubbub docs: say one of man, bash, zsh, fish");
    if (rc < 0)
        log_error("%s", err.text);
    return rc == OPTS_DONE ? 0 : -rc;
}

/* The transport of agree is node's. */
static int cmd_data_or_agree(int argc, char **argv)
{
    bool agree = argc > 1 && strcmp(argv[1], "agree") == 0;
    return agree ? cmd_agree(argc - 1, argv + 1) : cmd_data(argc, argv);
}

static void help(FILE *out)
{
    fprintf(out, "hubbub " SUMMARY ".\n\n"
                 "usage: hubbub COMMAND [OPTIONS]\n\n");
    for (int i = 0; i < N_COMMANDS; i++)
        fprintf(out, "  %-8s %s\n", commands[i].name, commands[i].summary);
    fprintf(out, "\n'hubbub COMMAND --help' tells the rest.\n");
}

int main(int argc, char **argv)
{
    const char *names[N_COMMANDS];
    opts_set_family(all_options, sizeof all_options / sizeof all_options[0]);
    if (argc < 2) {
        help(stderr);
        return 2;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        help(stdout);
        return 0;
    }
    if (strcmp(argv[1], "--version") == 0) {
        puts("hubbub " VERSION);
        return 0;
    }
    for (int i = 0; i < N_COMMANDS; i++) {
        names[i] = commands[i].name;
        if (strcmp(argv[1], names[i]) == 0)
            return commands[i].run(argc - 1, argv + 1);
    }
    const char *nearest = parse_nearest(argv[1], names, N_COMMANDS);
    fprintf(stderr, "hubbub: no command '%s'%s%s%s; 'hubbub --help' lists them\n", argv[1],
            nearest ? " (did you mean '" : "", nearest ? nearest : "", nearest ? "'?)" : "");
    return 2;
}
