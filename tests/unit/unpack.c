/* Packed files and the cache of what was in them. */
#include "data/cache.h"
#include "data/source.h"
#include "tests/support/files.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

TestSuite(unpack, .timeout = 30);

enum { N = 100000 };

/* The only file of the cache. */
static void cached(const char *dir, char *path, size_t size)
{
    char cache[FILES_PATH_MAX];
    snprintf(cache, sizeof cache, "%s/hubbub", dir);
    DIR *d = opendir(cache);
    cr_assert(d != NULL);
    int n = 0;
    for (struct dirent *e; (e = readdir(d)) != NULL;)
        if (e->d_name[0] != '.') {
            snprintf(path, size, "%s/%.100s", cache, e->d_name);
            n++;
        }
    closedir(d);
    cr_assert_eq(n, 1);
}

static void check(const char *path, const uint8_t *right)
{
    struct source s;
    struct memory *memory = NULL;
    struct error err;
    cr_assert_eq(source_open(&s, &memory, path, &err), 0);
    cr_assert_eq(s.n, N);
    cr_assert_arr_eq(s.bytes, right, N);
    memory_close(&memory);
}

Test(unpack, once_into_the_cache_and_again_when_that_is_damaged)
{
    static uint8_t bytes[N];
    char dir[FILES_DIR_MAX], path[FILES_PATH_MAX], entry[FILES_PATH_MAX + 128];
    struct stat before, after;
    for (int i = 0; i < N; i++)
        bytes[i] = (uint8_t)((uint32_t)i * (uint32_t)i >> 5);
    files_begin(dir);
    setenv("XDG_CACHE_HOME", dir, 1);
    files_write(dir, "a.gz", bytes, N, 1, path);
    check(path, bytes);
    cached(dir, entry, sizeof entry);
    cr_assert_eq(stat(entry, &before), 0);
    check(path, bytes);
    cr_assert_eq(stat(entry, &after), 0);
    cr_assert_eq(before.st_ino, after.st_ino);
    FILE *f = fopen(entry, "r+");
    cr_assert(f != NULL);
    fseek(f, 777, SEEK_SET);
    fputc(bytes[777] ^ 1, f);
    fclose(f);
    check(path, bytes);
    cached(dir, entry, sizeof entry);
    cr_assert_eq(truncate(entry, 10), 0);
    check(path, bytes);
    unlink(entry);
    snprintf(entry, sizeof entry, "%s/hubbub", dir);
    rmdir(entry);
    files_end(dir);
}

Test(unpack, without_a_place_for_the_cache)
{
    static uint8_t bytes[N];
    char dir[FILES_DIR_MAX], path[FILES_PATH_MAX];
    files_begin(dir);
    setenv("XDG_CACHE_HOME", "/dev/null/nowhere", 1);
    files_write(dir, "a.gz", bytes, N, 1, path);
    check(path, bytes);
    files_end(dir);
}

Test(unpack, broken_gzip)
{
    static uint8_t bytes[N];
    char dir[FILES_DIR_MAX], path[FILES_PATH_MAX];
    files_begin(dir);
    setenv("XDG_CACHE_HOME", dir, 1);
    for (int i = 0; i < N; i++)
        bytes[i] = (uint8_t)(i * 7919 >> 3);
    files_write(dir, "a.gz", bytes, N, 1, path);
    size_t n;
    uint8_t *packed = files_read(path, &n);
    static const struct {
        size_t cut;
        int flip_from_end;
    } cases[] = {{1, 0}, {9, 0}, {100, 0}, {0, 1}, {0, 5}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct source s;
        struct memory *memory = NULL;
        struct error err;
        if (cases[i].flip_from_end > 0)
            packed[n - (size_t)cases[i].flip_from_end] ^= 1;
        files_write(dir, "b.gz", packed, n - cases[i].cut, 0, path);
        cr_assert_eq(source_open(&s, &memory, path, &err), ERR_DATA, "%zu", i);
        cr_assert(strstr(err.text, "b.gz") != NULL, "%s", err.text);
        memory_close(&memory);
    }
    free(packed);
    char cache[FILES_PATH_MAX];
    snprintf(cache, sizeof cache, "%s/hubbub", dir);
    cr_assert_eq(rmdir(cache), 0, "nothing half unpacked stays there");
    files_end(dir);
}
