#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
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
