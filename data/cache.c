#include "data/cache.h"

#include "base/file.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

/* The end of a cached file. */
struct trailer {
    char magic[8];
    uint64_t n;
    XXH128_hash_t hash;
};
static const char magic[8] = "hubbubC1";

/* The directory, made when it is not there; false: there can be none. */
static bool find_directory(char dir[400])
{
    const char *base = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    int n = base != NULL && base[0] == '/'   ? snprintf(dir, 400, "%s", base)
            : home != NULL && home[0] == '/' ? snprintf(dir, 400, "%s/.cache", home)
                                             : 400;
    if (n >= 400)
        return false;
    (void)mkdir(dir, 0700);
    if (snprintf(dir + n, 400 - (size_t)n, "/hubbub") >= 400 - n)
        return false;
    return mkdir(dir, 0700) == 0 || errno == EEXIST;
}

static const uint8_t *map_if_whole(struct memory **list, const char *path, uint64_t *n)
{
    struct error err;
    uint64_t size;
    struct trailer t;
    int fd = file_open(path, &size, &err);
    if (fd < 0)
        return NULL;
    const uint8_t *bytes = NULL;
    if (size > sizeof t && pread(fd, &t, sizeof t, (off_t)(size - sizeof t)) == sizeof t &&
        memcmp(t.magic, magic, sizeof magic) == 0 && t.n == size - sizeof t)
        bytes = memory_map(list, fd, t.n, path, &err);
    close(fd);
    if (bytes != NULL && !XXH128_isEqual(XXH3_128bits(bytes, t.n), t.hash)) {
        memory_drop(list, bytes);
        bytes = NULL;
    }
    if (bytes == NULL)
        log_info("%s is damaged and made anew", path);
    else
        *n = t.n;
    return bytes;
}

const uint8_t *cache_find(struct memory **list, const uint8_t *packed, uint64_t n_packed,
                          struct cache_entry *entry, uint64_t *n)
{
    char dir[400];
    *entry = (struct cache_entry){.fd = -1};
    if (!find_directory(dir))
        return NULL;
    XXH128_hash_t key = XXH3_128bits(packed, n_packed);
    snprintf(entry->path, sizeof entry->path, "%s/%016" PRIx64 "%016" PRIx64 "-%" PRIu64, dir,
             (uint64_t)key.high64, (uint64_t)key.low64, n_packed);
    return map_if_whole(list, entry->path, n);
}

int cache_begin(struct cache_entry *entry, bool in_memory, struct error *err)
{
    if (entry->path[0] != '\0' && !in_memory) {
        snprintf(entry->temporary, sizeof entry->temporary, "%s-XXXXXX", entry->path);
        entry->fd = mkostemp(entry->temporary, O_CLOEXEC);
        if (entry->fd >= 0)
            return 0;
        log_info("%s: %s; unpacking into memory", entry->path, strerror(errno));
    } else if (!in_memory) {
        log_info("no directory for a cache (right: XDG_CACHE_HOME or HOME); unpacking into memory");
    }
    entry->path[0] = entry->temporary[0] = '\0';
    entry->fd = memfd_create("hubbub", MFD_CLOEXEC);
    if (entry->fd < 0)
        return error_set(err, ERR_FAILURE, "cannot unpack into memory: %s", strerror(errno));
    return 0;
}

void cache_abandon(struct cache_entry *entry)
{
    if (entry->fd >= 0)
        close(entry->fd);
    if (entry->temporary[0] != '\0')
        unlink(entry->temporary);
    entry->fd = -1;
    entry->temporary[0] = '\0';
}

/* A cache that fails costs the next process its time, and nothing else. */
static void keep(struct cache_entry *entry, const uint8_t *bytes, uint64_t n)
{
    struct trailer t = {.n = n, .hash = XXH3_128bits(bytes, n)};
    memcpy(t.magic, magic, sizeof magic);
    if (pwrite(entry->fd, &t, sizeof t, (off_t)n) == sizeof t &&
        rename(entry->temporary, entry->path) == 0)
        entry->temporary[0] = '\0';
    else
        log_info("%s: %s; it is not kept", entry->path, strerror(errno));
}

const uint8_t *cache_end(struct memory **list, struct cache_entry *entry, uint64_t n,
                         const char *path, struct error *err)
{
    const uint8_t *bytes = memory_map(list, entry->fd, n, path, err);
    if (bytes != NULL && entry->temporary[0] != '\0')
        keep(entry, bytes, n);
    cache_abandon(entry);
    return bytes;
}
