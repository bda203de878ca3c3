/* The accounts of push-sum: what mass each slice has here, and which transfers were taken in.
 *
 * Mass is counted in whole units, 2^40 of them in the mass 1 that a peer starts with, so none is
 * ever lost to rounding: what leaves is a number that a float holds exactly. Storage is the
 * caller's, 4-byte aligned. Pure; one thread at a time.
 */
#ifndef HUBBUB_NET_MASS_H
#define HUBBUB_NET_MASS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MASS_ONE (UINT64_C(1) << 40)
#define MASS_MAX (UINT64_C(1) << 62) /* of a slice */

/* Counts since the start. They wrap at 2^32: take differences. */
struct mass_counts {
    uint32_t resent;   /* transfers sent again on a new link */
    uint32_t repeated; /* of others, that had been taken in already: acknowledged again */
    uint32_t credited; /* taken back: declined, never sent, or the peer's incarnation was gone */
    uint32_t unknown;  /* given up: the peer never came back, so nobody knows where the mass is */
};

struct mass_book;

/* n_peers: senders whose transfers are remembered; of more, those that came first are forgotten. */
size_t mass_bytes(uint32_t n_slices, uint32_t n_peers);

/* Every slice has the mass 1. */
void mass_init(struct mass_book *b, uint32_t n_slices, uint32_t n_peers);

uint64_t mass_units(const struct mass_book *b, uint32_t slice);
struct mass_counts *mass_counts(struct mass_book *b);

/* The units of a mass that came or goes; 0 when it is none that a peer sends. */
uint64_t mass_from_float(float mass);

/* Takes about 1/parts of the slice's mass out of the book. False, and nothing is taken, when too
 * little is left: 2^-16 in the part. */
bool mass_take(struct mass_book *b, uint32_t slice, uint32_t parts, float *mass);

/* Whether so much can be added. */
bool mass_fits(const struct mass_book *b, uint32_t slice, float mass);

/* Adds it, and returns the coefficient of the values that come with it: mass / (all there is). */
float mass_merge(struct mass_book *b, uint32_t slice, float mass);

/* A transfer is named by its sender and an id that grows with each; of one slice, a sender sends
 * the next when the last is settled. */
void mass_note(struct mass_book *b, uint32_t peer, uint32_t slice, uint64_t id);
bool mass_is_noted(const struct mass_book *b, uint32_t peer, uint32_t slice, uint64_t id);

/* The peer's incarnation is gone: ids start again. */
void mass_forget(struct mass_book *b, uint32_t peer);

#endif
