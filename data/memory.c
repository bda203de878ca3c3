#include "data/memory.h"

#include "base/check.h"
#include "base/mem.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct memory {
    struct memory *next;
    uint8_t *at;
    uint64_t n;
    bool is_mapped;
};

/* ---- files that shrink ----------------------------------------------------------------------- */

/* For the handler, so a table of its own. */
enum { MAPS_MAX = 64, PATH_SHOWN = 512 };
static struct {
    const uint8_t *volatile at;
    uint64_t n;
    char path[PATH_SHOWN];
} maps[MAPS_MAX];

static void say(const char *text)
{
    if (write(STDERR_FILENO, text, strlen(text)) < 0)
        return; /* nobody listens */
}

static void say_number(uint64_t x)
{
    char digits[24], *p = digits + sizeof digits;
    *--p = '\0';
    do
        *--p = (char)('0' + x % 10);
    while ((x /= 10) > 0);
    say(p);
}

static void on_lost_page(int signum, siginfo_t *info, void *context)
{
    (void)context;
    const uint8_t *at = info->si_addr;
    for (int i = 0; i < MAPS_MAX; i++)
        if (maps[i].at != NULL && at >= maps[i].at && (uint64_t)(at - maps[i].at) < maps[i].n) {
            say("hubbub: ");
            say(maps[i].path);
            say(": offset ");
            say_number((uint64_t)(at - maps[i].at));
            say(": the file shrank while it was in use, or the disk cannot read it\n");
            _exit(-ERR_DATA);
        }
    signal(signum, SIG_DFL); /* not ours: it comes again at once */
}

static bool watch(const uint8_t *at, uint64_t n, const char *path)
{
    static bool installed;
    if (!installed) {
        struct sigaction action = {.sa_sigaction = on_lost_page, .sa_flags = SA_SIGINFO};
        CHECK(sigaction(SIGBUS, &action, NULL) == 0);
        installed = true;
    }
    for (int i = 0; i < MAPS_MAX; i++)
        if (maps[i].at == NULL) {
            snprintf(maps[i].path, sizeof maps[i].path, "%s", path);
            maps[i].n = n;
            maps[i].at = at;
            return true;
        }
    return false;
}

static void unwatch(const uint8_t *at)
{
    for (int i = 0; i < MAPS_MAX; i++)
        if (maps[i].at == at)
            maps[i].at = NULL;
}

/* ---- pieces ---------------------------------------------------------------------------------- */

static void add(struct memory **list, void *at, uint64_t n, bool is_mapped)
{
    struct memory *m = malloc(sizeof *m);
    CHECK(m != NULL);
    *m = (struct memory){*list, at, n, is_mapped};
    *list = m;
}

/* The rows of a batch lie anywhere, and with small pages each costs a walk of the page table. */
void *memory_alloc(struct memory **list, uint64_t n)
{
    const size_t huge = (size_t)1 << 21;
    if (n > SIZE_MAX / 2)
        return NULL;
    size_t align = n < huge ? MEM_ALIGN : huge, size = mem_round(n, align);
    void *p = aligned_alloc(align, size > 0 ? size : align);
    if (p == NULL)
        return NULL;
    if (align == huge)
        (void)madvise(p, size, MADV_HUGEPAGE);
    add(list, p, n, false);
    return p;
}

const uint8_t *memory_map(struct memory **list, int fd, uint64_t n, const char *path,
                          struct error *err)
{
    void *p = mmap(NULL, n, PROT_READ, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED) {
        error_set(err, ERR_FAILURE, "%s: cannot map %" PRIu64 " bytes: %s", path, n,
                  strerror(errno));
        return NULL;
    }
    if (!watch(p, n, path)) {
        munmap(p, n);
        error_set(err, ERR_FAILURE, "%s: more than %d files are mapped", path, MAPS_MAX);
        return NULL;
    }
    /* Of what does not fit into memory only the rows that are asked for, not what lies around. */
    if (n > mem_physical() / 2)
        (void)madvise(p, n, MADV_RANDOM);
    add(list, p, n, true);
    return p;
}

const void *memory_settle(struct memory **list, const void *at, uint64_t most)
{
    for (struct memory *m = *list; m != NULL; m = m->next) {
        uint64_t offset = (uint64_t)((const uint8_t *)at - (const uint8_t *)m->at);
        if (!m->is_mapped || offset >= m->n)
            continue;
        uint8_t *copy = m->n <= most ? memory_alloc(list, m->n) : NULL;
        if (copy == NULL)
            return at;
        memcpy(copy, m->at, m->n);
        (void)madvise(m->at, m->n, MADV_DONTNEED); /* as much as it was before it was read */
        return copy + offset;
    }
    return at;
}

static void give_back(struct memory *m)
{
    if (m->is_mapped) {
        unwatch(m->at);
        munmap(m->at, m->n);
    } else {
        free(m->at);
    }
    free(m);
}

void memory_drop(struct memory **list, const void *at)
{
    for (struct memory **p = list; *p != NULL; p = &(*p)->next)
        if ((*p)->at == at) {
            struct memory *m = *p;
            *p = m->next;
            give_back(m);
            return;
        }
    CHECK(0 && "memory of this list");
}

void memory_close(struct memory **list)
{
    while (*list != NULL) {
        struct memory *m = *list;
        *list = m->next;
        give_back(m);
    }
}
