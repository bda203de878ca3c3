/* --faults: worlds of faults, each drawn from a seed.
 *
 * A world is a command line of hubbub sim: nodes, topology, latency, bandwidth, loss, a netsplit,
 * crashes, speeds, the mode of gossip, in which faults end half-way (--heal) and the learning rate
 * decays to nothing. All invariants (--check) must hold in it, and its nodes must have agreed and
 * learned by its end.
 */
#ifndef HUBBUB_SIM_FAULTS_H
#define HUBBUB_SIM_FAULTS_H

#include "sim/sim.h"

enum { FAULTS_TEXT = 1000 };

/* Its options, apart by blanks. */
void faults_draw(uint64_t seed, char text[FAULTS_TEXT]);

/* n worlds of the seeds from first on, a line about each that fails, or about each when verbose.
 * parse: the options of hubbub sim as a configuration. ERR_FAILURE when one failed. */
int faults_run(uint64_t first, uint64_t n, bool verbose,
               int (*parse)(int argc, char **argv, struct sim_config *c, struct error *err),
               struct error *err) MUST_USE;

#endif
