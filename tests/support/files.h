/* Files for tests, below a directory of their own. */
#ifndef HUBBUB_TESTS_FILES_H
#define HUBBUB_TESTS_FILES_H

#include <stddef.h>
#include <stdint.h>

/* Makes a new directory below /tmp; dir has room for it. */
enum { FILES_DIR_MAX = 64, FILES_PATH_MAX = 256 };
void files_begin(char dir[FILES_DIR_MAX]);

/* Removes the directory and all files in it. */
void files_end(const char *dir);

/* Writes dir/name, as gzip when `packed`; path gets its path unless NULL. */
void files_write(const char *dir, const char *name, const void *bytes, size_t n, int packed,
                 char path[FILES_PATH_MAX]);

/* The bytes of a file, NUL-terminated, free(); *n its size. */
uint8_t *files_read(const char *path, size_t *n);

#endif
