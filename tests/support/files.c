#include "tests/support/files.h"

#include "base/check.h"
#include "base/mem.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

void files_begin(char dir[FILES_DIR_MAX])
{
    strcpy(dir, "/tmp/hubbub-test-XXXXXX");
    CHECK(mkdtemp(dir) != NULL);
}

static void join(char path[FILES_PATH_MAX], const char *dir, const char *name)
{
    CHECK(snprintf(path, FILES_PATH_MAX, "%s/%s", dir, name) < FILES_PATH_MAX);
}

void files_end(const char *dir)
{
    char path[FILES_PATH_MAX];
    DIR *d = opendir(dir);
    CHECK(d != NULL);
    for (struct dirent *e; (e = readdir(d)) != NULL;)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) {
            join(path, dir, e->d_name);
            if (remove(path) != 0) { /* the cache of a test that began with this directory */
                files_end(path);
            }
        }
    closedir(d);
    CHECK(rmdir(dir) == 0);
}

void files_write(const char *dir, const char *name, const void *bytes, size_t n, int packed,
                 char path[FILES_PATH_MAX])
{
    char own[FILES_PATH_MAX];
    path = path != NULL ? path : own;
    join(path, dir, name);
    gzFile f = gzopen(path, packed ? "wb" : "wbT");
    CHECK(f != NULL);
    CHECK(n == 0 || gzwrite(f, bytes, (unsigned)n) == (int)n);
    CHECK(gzclose(f) == Z_OK);
}

uint8_t *files_read(const char *path, size_t *n)
{
    FILE *f = fopen(path, "rb");
    CHECK(f != NULL);
    CHECK(fseek(f, 0, SEEK_END) == 0);
    *n = (size_t)ftell(f);
    rewind(f);
    uint8_t *bytes = MEM_NEW(uint8_t, *n + 1);
    CHECK(fread(bytes, 1, *n, f) == *n);
    fclose(f);
    return bytes;
}
