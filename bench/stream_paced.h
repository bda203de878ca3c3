/* A bare socket loop a side, on the side's processor: each sends bursts at a given rate and takes
 * what comes, with a buffer for each direction; nothing else. What any exchange of so many bytes
 * costs whoever computes beside it. */
#ifndef HUBBUB_BENCH_STREAM_PACED_H
#define HUBBUB_BENCH_STREAM_PACED_H

#include "bench/stream.h"

struct paced;

/* Burst of so many bytes, each side, every period; it stands still until stream_set_open. Its
 * stream counts bytes that came. */
struct paced *paced_new(uint32_t burst_bytes, uint64_t period_us, struct error *err);
void paced_free(struct paced *p);
uint64_t paced_work_us(const struct paced *p); /* processor time of its threads */
struct stream *paced_stream(struct paced *p);

#endif
