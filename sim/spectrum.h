/* How fast averaging with a mixing matrix brings nodes together. */
#ifndef HUBBUB_SIM_SPECTRUM_H
#define HUBBUB_SIM_SPECTRUM_H

#include "base/error.h"
#include "sim/mixing.h"

enum { SPECTRUM_DENSE_MAX = 2000 };

struct spectrum {
    /* 1 - rho, rho = ||W - 11'/n||_2: what a round leaves of the distance to the mean at most. W is
     * the matrix; of a topology that repeats itself (one-peer-exponential), the product of a
     * period; of random matchings, the expected one, which is also E[W'W]. */
    double gap;
    bool is_exact; /* else it is at most that: the iteration has not settled */
};

/* Up to SPECTRUM_DENSE_MAX nodes all eigenvalues (LAPACK's dsyev); above, the largest one by
 * Lanczos' iteration, about n steps of it for a ring of n. Some seconds, at most a minute.
 * ERR_USAGE where the graph has too many edges for that. */
int spectrum_find(struct spectrum *spectrum, const struct mixing *m, struct error *err) MUST_USE;

#endif
