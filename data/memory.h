/* What data sets lie in: memory of our own, and files that are mapped. Main thread. */
#ifndef HUBBUB_DATA_MEMORY_H
#define HUBBUB_DATA_MEMORY_H

#include "base/error.h"

#include <stdint.h>

struct memory;

/* n bytes on huge pages where the system gives them; NULL when there is no memory. *list holds
 * them until memory_close. */
void *memory_alloc(struct memory **list, uint64_t n);

/* The first n > 0 bytes of an open file, which may be closed afterwards. When the file shrinks and
 * a lost page is touched, on whatever thread, the program ends with one line that names the file
 * and exit code 3: without this it would be the signal SIGBUS. ERR_FAILURE: no memory; NULL then.
 */
const uint8_t *memory_map(struct memory **list, int fd, uint64_t n, const char *path,
                          struct error *err);

/* Copies the mapped file that `at` lies in into memory of our own, and returns the same place
 * there; `at` when it lies in none, or the file has more than `most` bytes, or there is no memory.
 */
const void *memory_settle(struct memory **list, const void *at, uint64_t most);

/* Gives back the one piece that starts there. */
void memory_drop(struct memory **list, const void *at);
void memory_close(struct memory **list);

#endif
