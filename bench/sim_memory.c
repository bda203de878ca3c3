#include "bench/sim_memory.h"

#include "base/check.h"

#include <jansson.h>

#include <inttypes.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ARGS_MAX = 48 };

/* Starts it with its output going into a pipe, whose other end is *out. */
static int start(char *const *args, pid_t *pid, FILE **out, struct error *err)
{
    int ends[2];
    posix_spawn_file_actions_t actions;
    if (pipe(ends) != 0)
        return error_set(err, ERR_FAILURE, "no pipe: %m");
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    posix_spawn_file_actions_addclose(&actions, ends[0]);
    posix_spawn_file_actions_addclose(&actions, ends[1]);
    int cause = posix_spawn(pid, "/proc/self/exe", &actions, NULL, args, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    if (cause == 0) {
        *out = fdopen(ends[0], "r");
        return 0;
    }
    close(ends[0]);
    return error_set(err, ERR_FAILURE, "hubbub sim cannot be started: %s", strerror(cause));
}

static int resident_bytes(const char *const *flags, uint32_t n_peers, double *bytes,
                          struct error *err)
{
    char number[16];
    const char *args[ARGS_MAX] = {"hubbub", "sim", "--json", "--quiet", "--nodes", number};
    size_t n_args = 6;
    FILE *out = NULL;
    pid_t pid;
    int status = -1;
    snprintf(number, sizeof number, "%" PRIu32, n_peers);
    while (*flags != NULL) {
        CHECK(n_args + 1 < ARGS_MAX);
        args[n_args++] = *flags++;
    }
    int rc = start((char *const *)(uintptr_t)args, &pid, &out, err);
    if (rc != 0)
        return rc;
    json_t *result = json_loadf(out, 0, NULL);
    *bytes = (double)json_integer_value(json_object_get(result, "rss_bytes"));
    fclose(out);
    if (waitpid(pid, &status, 0) != pid || status != 0 || !(*bytes > 0))
        rc = error_set(err, ERR_FAILURE, "hubbub sim ended with status %d", status);
    json_decref(result);
    return rc;
}

int sim_memory_a_peer(const char *const *flags, uint32_t n_peers, double *bytes, struct error *err)
{
    uint32_t few = 2 + n_peers / 4, many = 2 + n_peers; /* no run has fewer than two */
    double of_few, of_many;
    int rc = resident_bytes(flags, few, &of_few, err);
    if (rc == 0)
        rc = resident_bytes(flags, many, &of_many, err);
    if (rc == 0)
        *bytes = (of_many - of_few) / (many - few);
    return rc;
}
