/* The model file: checked at the start, written now and then while training, and at the end.
 *
 * While training, the trainer copies theta between two steps (JOB_COPY) and libuv's pool writes it,
 * so a slow disk costs training a copy. */
#include "node/node.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "model/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Whether the file that is there was written by another run; false where it says nothing. */
static bool is_of_another_run(const struct node *n, char *theirs, size_t size)
{
    struct model_file f;
    struct error err;
    bool opened = model_file_open(&f, n->config.out, &err) == 0;
    const char *run = json_string_value(json_object_get(f.meta, "run"));
    bool differs = opened && run != NULL && strcmp(run, n->config.run) != 0;
    snprintf(theirs, size, "%s", differs ? run : "");
    model_file_close(&f);
    return differs;
}

int save_open(struct node *n, struct error *err)
{
    char path[4096], theirs[64];
    enum file_format format;
    struct stat st;
    if (n->config.out == NULL) {
        snprintf(n->save.path, sizeof n->save.path, "hubbub-%s-%u.npz", n->config.run,
                 n->config.shard + 1);
        n->config.out = n->save.path;
    }
    const char *out = n->config.out;
    if (out[0] == '\0')
        return 0;
    if (stat(out, &st) == 0 && S_ISDIR(st.st_mode))
        return error_set(err, ERR_USAGE, "--out %s: is a directory", out);
    if (file_format_of(out, &format, err) != 0)
        return error_prefix(err, "--out");
    if (is_of_another_run(n, theirs, sizeof theirs))
        return error_set(err, ERR_USAGE,
                         "--out %s: holds a model of run '%s', this is run '%s': name another file",
                         out, theirs, n->config.run);
    int length = snprintf(path, sizeof path, "%s.tmp-%d", out, (int)getpid());
    FILE *f = length < (int)sizeof path ? fopen(path, "wb") : NULL;
    if (f == NULL)
        return error_set(err, ERR_USAGE, "--out %s: cannot be written: %m", out);
    fclose(f);
    remove(path);
    n->save.last_us = clock_us();
    return 0;
}

void save_close(struct node *n)
{
    free(n->save.theta);
}

void save_tick(struct node *n, uint64_t now_us)
{
    bool due = n->trains && n->config.save_us > 0 && now_us - n->save.last_us >= n->config.save_us;
    if (!due || n->save.busy || n->config.out[0] == '\0')
        return;
    if (n->save.theta == NULL)
        n->save.theta = MEM_NEW(float, n->model.dim);
    n->save.busy = true;
    n->save.last_us = now_us;
    struct job job = {.type = JOB_COPY, .data = n->save.theta, .count = n->model.dim};
    handoff_give_job(&n->handoff, &job);
}

static void write_copy(uv_work_t *work)
{
    struct node *n = work->data;
    n->save.rc =
        model_file_write(n->config.out, &n->model, n->save.theta, n->save.metadata, &n->save.err);
}

static void on_written(uv_work_t *work, int status)
{
    struct node *n = work->data;
    if (status == 0 && n->save.rc != 0 && !n->save.warned) {
        log_warn("%s; training goes on, and tries again", n->save.err.text);
        n->save.warned = true;
    } else if (status == 0 && n->save.rc == 0) {
        log_debug("saved %s", n->config.out);
        n->save.warned = false;
    }
    json_decref(n->save.metadata);
    n->save.busy = false;
}

void save_copied(struct node *n)
{
    n->save.metadata = result_metadata(n);
    n->save.work.data = n;
    CHECK(uv_queue_work(&n->loop, &n->save.work, write_copy, on_written) == 0);
}

void save_final(struct node *n)
{
    struct error err;
    if (n->config.out[0] == '\0' || n->error.code != 0 || !n->trains)
        return;
    json_t *metadata = result_metadata(n);
    if (model_file_write(n->config.out, &n->model, n->trainer.learner.theta, metadata, &err) != 0)
        n->error = err;
    else
        log_info("wrote %s", n->config.out);
    json_decref(metadata);
}
