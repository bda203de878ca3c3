/* A swarm on this machine: n `hubbub node` processes, started, watched and waited for. */
#ifndef HUBBUB_NODE_SWARM_H
#define HUBBUB_NODE_SWARM_H

#include "base/error.h"

#include <jansson.h>

#include <stdbool.h>
#include <stdint.h>

enum { SWARM_MAX = 64, SWARM_FLAGS_MAX = 128 };

/* What to start. In every flag "{i}" stands for the peer's number, from 1. */
struct swarm_plan {
    uint32_t n;
    uint32_t n_flags;
    const char *flags[SWARM_FLAGS_MAX]; /* of hubbub node, for all */
    const char *extra[SWARM_MAX];       /* one more flag "--name=value" for one; NULL: none */
    uint64_t delay_us[SWARM_MAX];       /* start of that peer after the first */
};

struct swarm_result {
    int exit_code;    /* of the process; 128 + signal if one ended it; -1: never started */
    json_t *json;     /* what it printed, NULL if nothing; owned */
    double consensus; /* ||theta_i - mean|| / ||mean|| over the models written; -1: unknown */
};

/* Gives each peer a free port on loopback and all the others as its peers; fills in --shard i/n,
 * --min-peers n-1, --out (a temporary file) and --json where the flags do not have them. Log lines
 * of peer i come out on stderr behind "[i] ". SIGINT and SIGTERM are passed on, once each time.
 * ERR_*: nothing could be started. results[n] is filled in any case. */
int swarm_run(const struct swarm_plan *plan, struct swarm_result *results,
              struct error *err) MUST_USE;
void swarm_results_close(struct swarm_result *results, uint32_t n);

/* The worst exit code as an ERR_* with the peers' numbers in err; 0 if all ended well. */
int swarm_verdict(const struct swarm_result *results, uint32_t n, struct error *err) MUST_USE;

/* A number of a result; 0 if it is not there. */
double swarm_number(const struct swarm_result *result, const char *key);

/* "0 1", the classes of its shard. */
void swarm_classes(const struct swarm_result *result, char *text, size_t size);

#endif
