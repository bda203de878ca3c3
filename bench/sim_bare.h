/* The bare loop of gossip learning: what `hubbub bench sim` is measured beside.
 *
 * The same world as gossip_learning (bench/sim_worlds.h): peers with a model of 58 floats and one
 * sample each; once a cycle, at a moment of its own, each sends its model to a random other one,
 * which gets it 1 to 100 thousandths of a cycle later, merges by age and takes one step of logistic
 * regression. One thread, and nothing else: no protocol, no frames, no counts, no trace.
 */
#ifndef HUBBUB_BENCH_SIM_BARE_H
#define HUBBUB_BENCH_SIM_BARE_H

#include <stdint.h>

/* Million node-updates a second of n_peers >= 2, over `cycles`, after one. */
double sim_bare_rate(uint32_t n_peers, uint64_t cycles);

#endif
