/* What a simulated peer takes of memory. */
#ifndef HUBBUB_BENCH_SIM_MEMORY_H
#define HUBBUB_BENCH_SIM_MEMORY_H

#include "base/error.h"

#include <stdint.h>

/* Bytes that a peer adds to what is resident at most: the difference between `hubbub sim` with
 * about n_peers >= 2 and with a quarter of them, over theirs, each in a process of its own, so that
 * neither gets memory that another gave back. flags: more of its options, NULL at the end.
 * ERR_FAILURE. */
int sim_memory_a_peer(const char *const *flags, uint32_t n_peers, double *bytes,
                      struct error *err) MUST_USE;

#endif
