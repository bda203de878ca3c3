/* Where a peer listens, whom it dials, and which shard its place in the list gives it. */
#ifndef HUBBUB_NODE_ADDRESSES_H
#define HUBBUB_NODE_ADDRESSES_H

#include "base/opts.h"
#include "node/node.h"

struct address_flags {
    const char *listen, *advertise, *peers_file; /* "" for none */
    const struct opt_list *peers;
    bool insecure;
    bool decide_shard; /* --shard auto: my place in the list, found by --advertise or else
                            --listen; 0.0.0.0 and :: stand for every address of this machine */
};

/* A check for an option table: is the text HOST:PORT, or empty? ERR_USAGE. */
int address_parse(const char *text, void *field, struct error *err) MUST_USE;

/* Sets listens, listen, advertise, addresses and, with decide_shard, shard and n_shards of c; looks
 * at its gossip. c->advertise is borrowed from f. ERR_USAGE, or ERR_DATA for the peers file. */
int addresses_set(const struct address_flags *f, struct node_config *c, struct error *err) MUST_USE;

/* Reads the peers file again and adds what is new in it; what is gone from it stays. ERR_DATA; c
 * has then what came before the bad line. */
int addresses_read_again(struct node_config *c, struct error *err) MUST_USE;

#endif
