#include "node/metrics.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"

#include <fcntl.h>

int metrics_open(struct metrics *m, const char *path, struct error *err)
{
    *m = (struct metrics){0};
    if (path[0] == '\0')
        return 0;
    m->path = path;
    /* A FIFO that nobody reads is refused, and one read too slowly fails: neither is waited for. */
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_CLOEXEC, 0666);
    if (fd < 0)
        return error_set(err, ERR_USAGE, "--metrics %s: cannot be written: %m", path);
    m->file = fdopen(fd, "a");
    CHECK(m->file != NULL);
    return 0;
}

void metrics_close(struct metrics *m)
{
    if (m->file != NULL)
        fclose(m->file);
    m->file = NULL;
}

void metrics_reopen(struct metrics *m)
{
    struct error err;
    if (m->path == NULL)
        return;
    metrics_close(m);
    if (metrics_open(m, m->path, &err) != 0)
        log_warn("%s; training goes on without it", err.text);
}

void metrics_write(struct metrics *m, const char *event, json_t *fields)
{
    if (m->file != NULL) {
        json_t *o = json_object();
        json_object_set_new(o, "time", json_real((double)clock_wall_us() / 1e6));
        json_object_set_new(o, "event", json_string(event));
        json_object_update(o, fields);
        bool good = json_dumpf(o, m->file, JSON_REAL_PRECISION(16) | JSON_COMPACT) == 0 &&
                    fputc('\n', m->file) != EOF && fflush(m->file) == 0;
        json_decref(o);
        if (!good) {
            log_warn("--metrics %s: cannot be written: %m; training goes on without it", m->path);
            metrics_close(m);
        }
    }
    json_decref(fields);
}
