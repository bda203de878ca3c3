#include "bench/cmd_bench.h"

#include "base/error.h"
#include "base/parse.h"
#include "bench/bench.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct {
    const char *name, *summary;
    int (*run)(int argc, char **argv);
} benches[] = {
    {"train", "training steps against their bare matrix products; the mixing kernel", bench_train},
    {"data", "loading against gzip -dc; gathering a batch against a training step", bench_data},
    {"exchange", "slices between two peers, against a bare libuv stream", bench_exchange},
    {"gossip", "what gossip costs two training peers, against a bare socket loop", bench_gossip},
    {"straggler", "what one slow peer costs the others, as real processes", bench_straggler},
    {"scaling", "peers on a processor each, against one process on one", bench_scaling},
    {"sim", "node-updates of the simulator, by one thread and by two", bench_sim},
};
enum { N_BENCHES = sizeof benches / sizeof benches[0] };

static void help(FILE *out)
{
    fprintf(out, "hubbub bench: measure, next to what it is measured against\n\n"
                 "usage: hubbub bench NAME [OPTIONS]\n\nbenchmarks:\n");
    for (size_t i = 0; i < N_BENCHES; i++)
        fprintf(out, "  %-10s %s\n", benches[i].name, benches[i].summary);
    fprintf(out, "\n'hubbub bench NAME --help' tells the options of one.\n");
}

int cmd_bench(int argc, char **argv)
{
    if (argc < 2) {
        help(stderr);
        return -ERR_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        help(stdout);
        return 0;
    }
    const char *names[N_BENCHES];
    for (size_t i = 0; i < N_BENCHES; i++)
        names[i] = benches[i].name;
    size_t i = parse_choice(argv[1], names, N_BENCHES);
    if (i < N_BENCHES)
        return benches[i].run(argc - 1, argv + 1);
    const char *nearest = parse_nearest(argv[1], names, N_BENCHES);
    fprintf(stderr, "hubbub bench: no benchmark '%s'%s%s%s; 'hubbub bench --help' lists them all\n",
            argv[1], nearest ? "; did you mean '" : "", nearest ? nearest : "",
            nearest ? "'?" : "");
    return -ERR_USAGE;
}

int bench_parse(const struct opts *o, void *target, int argc, char **argv, struct error *err)
{
    int n_operands = 0, rc = opts_parse(o, target, argc, argv, &n_operands, err);
    if (rc == 0 && n_operands > 0)
        rc = error_set(err, ERR_USAGE, "no operand is expected, but '%s' stands there", argv[1]);
    return rc;
}

int bench_end(const struct opts *o, int rc, const struct error *err)
{
    if (rc < 0)
        fprintf(stderr, "%s: %s\n", o->command, err->text);
    return rc == OPTS_DONE ? 0 : -rc;
}

void bench_remove_folder(const char *dir)
{
    DIR *d = opendir(dir);
    for (struct dirent *entry; d != NULL && (entry = readdir(d)) != NULL;)
        if (entry->d_name[0] != '.')
            unlinkat(dirfd(d), entry->d_name, 0);
    if (d != NULL)
        closedir(d);
    rmdir(dir);
}
