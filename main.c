/* hubbub: picks the command. */
#include "base/parse.h"
#include "bench/cmd_bench.h"
#include "node/cmd_node.h"

#include <stdio.h>
#include <string.h>

#define VERSION "0.1.0"

static const struct {
    const char *name, *summary;
    int (*run)(int argc, char **argv);
} commands[] = {
    {"node", "one peer: trains on its shard and averages weights with the others", cmd_node},
    {"up", "starts n peers on this machine", cmd_up},
    {"demo", "five peers with two classes each, alone and together", cmd_demo},
    {"bench", "figures of this machine", cmd_bench},
};

enum { N_COMMANDS = sizeof commands / sizeof commands[0] };

static void help(FILE *out)
{
    fprintf(out, "hubbub trains one model on many machines with no coordinator.\n\n"
                 "usage: hubbub COMMAND [OPTIONS]\n\n");
    for (int i = 0; i < N_COMMANDS; i++)
        fprintf(out, "  %-8s %s\n", commands[i].name, commands[i].summary);
    fprintf(out, "\n'hubbub COMMAND --help' tells the rest.\n");
}

int main(int argc, char **argv)
{
    const char *names[N_COMMANDS];
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
