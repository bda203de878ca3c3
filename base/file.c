#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int file_open(const char *path, uint64_t *size, struct error *err)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return error_set(err, ERR_DATA, "%s: %s", path, strerror(errno));
    const char *why = fstat(fd, &st) != 0   ? strerror(errno)
                      : S_ISREG(st.st_mode) ? NULL
                      : S_ISDIR(st.st_mode) ? "not a regular file but a directory"
                                            : "not a regular file but a pipe or device";
    if (why != NULL) {
        close(fd);
        return error_set(err, ERR_DATA, "%s: %s", path, why);
    }
    if (size != NULL)
        *size = (uint64_t)st.st_size;
    return fd;
}

int file_read_at(int fd, const char *path, uint64_t offset, void *bytes, uint64_t n,
                 struct error *err)
{
    uint8_t *to = bytes;
    while (n > 0) {
        ssize_t got = pread(fd, to, n, (off_t)offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return error_set(err, ERR_DATA, "%s: offset %" PRIu64 ": %s", path, offset,
                             got < 0 ? strerror(errno) : "the file ends here");
        to += got;
        offset += (uint64_t)got;
        n -= (uint64_t)got;
    }
    return 0;
}

/* ---- writing ------------------------------------------------------------------------------- */

int file_draft_open(struct file_draft *d, const char *path, struct error *err)
{
    *d = (struct file_draft){.path = path};
    int n = snprintf(d->temporary, sizeof d->temporary, "%s.tmp-%ld", path, (long)getpid());
    if (n >= (int)sizeof d->temporary)
        return error_set(err, ERR_FAILURE, "%.200s...: path too long", path);
    d->out = fopen(d->temporary, "wbe");
    if (d->out == NULL)
        return error_set(err, ERR_FAILURE, "%s: %s", d->temporary, strerror(errno));
    return 0;
}

static void sync_directory(const char *path)
{
    char dir[4096];
    const char *slash = strrchr(path, '/');
    int n = slash != NULL ? snprintf(dir, sizeof dir, "%.*s/", (int)(slash - path), path)
                          : snprintf(dir, sizeof dir, ".");
    int fd = n < (int)sizeof dir ? open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (fd >= 0) {
        (void)fsync(fd);
        close(fd);
    }
}

int file_draft_commit(struct file_draft *d, struct error *err)
{
    errno = 0;
    bool good = fflush(d->out) == 0 && !ferror(d->out) && fsync(fileno(d->out)) == 0;
    int reason = errno;
    good = fclose(d->out) == 0 && good;
    if (good && rename(d->temporary, d->path) == 0) {
        sync_directory(d->path);
        return 0;
    }
    reason = good ? errno : reason;
    unlink(d->temporary);
    return error_set(err, ERR_FAILURE, "%s: %s", d->path,
                     reason != 0 ? strerror(reason) : "write error");
}

void file_draft_drop(struct file_draft *d)
{
    fclose(d->out);
    unlink(d->temporary);
}
