/* The wire: messages <-> bytes. docs/WIRE.md shows every byte.
 *
 * A frame is a fixed header of 32 bytes, a msgpack map of at most 4 KiB, and raw little-endian
 * tensor bytes outside msgpack. An XXH3-64 checksum covers all three: of the body
 * its own sum, so that who makes a body can sum it up before its header is known. Pure; any thread.
 * Bytes from a peer never reach a CHECK and never decide an allocation: limits are below.
 */
#ifndef HUBBUB_NET_WIRE_H
#define HUBBUB_NET_WIRE_H

#include "base/error.h"
#include "net/peer_state.h"

#include <stddef.h>
#include <stdint.h>

enum {
    WIRE_PROTOCOL = 1, /* the version this program speaks; HELLO carries min and max */
    WIRE_HEADER_BYTES = 32,
    WIRE_MAP_MAX = 4096, /* the longest HELLO needs 1,230 */
    WIRE_HEAD_MAX = WIRE_HEADER_BYTES + WIRE_MAP_MAX,
    WIRE_BODY_MAX = 1 << 24, /* a slice is 256 KiB by default; links set their own lower limit */
    WIRE_PEER_ID_BYTES = 32,
    WIRE_TEXT_MAX = 256 /* of any string, with its NUL */
};

/* Elements of a body lie within +-this: above any weight that trains, below what could end training
 * in one exchange by overflow. */
#define WIRE_ELEMENT_MAX 1e6f

enum wire_kind {
    WIRE_HELLO = 1,  /* first frame on a link, both ways */
    WIRE_STATUS = 2, /* state and progress; every second and on a change */
    WIRE_BYE = 3,    /* last frame: why the link ends */
    WIRE_SCORE = 4,  /* how a peer's model does on its own test data; passed on */
    WIRE_REQUEST = 16,
    WIRE_REPLY = 17,
    WIRE_DECLINE = 18, /* an answer to REQUEST: no room, or not now */
    WIRE_SUMMARY = 19  /* of private data, in `hubbub data agree`: JSON in the body; passed on */
};

enum wire_codec { WIRE_F32 = 0 };

enum wire_mode { WIRE_PAIRWISE = 0, WIRE_PULL = 1, WIRE_PUSH = 2, WIRE_PUSH_SUM = 3 };

enum wire_bye {
    WIRE_BYE_DONE = 0,         /* left in order: its training is over */
    WIRE_BYE_LEAVING = 1,      /* left in order: told to stop */
    WIRE_BYE_INCOMPATIBLE = 2, /* text: the difference in words */
    WIRE_BYE_DUPLICATE = 3,    /* we have another link already */
    WIRE_BYE_SELF = 4,         /* you are me */
    WIRE_BYE_PROTOCOL = 5,     /* you broke the protocol; text says how */
    WIRE_BYE_BUSY = 6,         /* too many links; or not ready yet: come back */
    N_WIRE_BYES
};

struct wire_hello {
    uint8_t id[WIRE_PEER_ID_BYTES];
    uint64_t incarnation; /* of this id: later starts are greater */
    uint32_t protocol_min, protocol_max;
    uint64_t capabilities; /* bits, none defined yet */
    char run[WIRE_TEXT_MAX];
    char model[WIRE_TEXT_MAX];       /* canonical spec */
    char data[WIRE_TEXT_MAX];        /* data set, split and seed, in words */
    char fingerprint[WIRE_TEXT_MAX]; /* hash of model, preprocessing and labels */
    char init[WIRE_TEXT_MAX];        /* first weights: "seed", or a hash */
    char address[WIRE_TEXT_MAX];     /* where others reach it, "" when nowhere */
    uint64_t dim;
    uint32_t slice;                   /* floats in a slice */
    uint32_t shard, n_shards;         /* from 0 */
    uint32_t stage_first, stage_last; /* layers it holds: the whole model today */
    uint64_t n_samples;               /* it trains on; 0: it does not say */
    enum peer_state state;
    uint64_t step;
};

struct wire_status {
    enum peer_state state;
    uint64_t step;
};

/* Of the peer `id`, which may be another than the sender. A greater beat is newer. */
struct wire_score {
    uint8_t id[WIRE_PEER_ID_BYTES];
    uint64_t beat;
    uint64_t n, n_correct; /* test samples; n_correct <= n */
    float loss;            /* mean over them; finite, at least 0 */
    uint32_t final;        /* 1: of its last model */
};

struct wire_bye_message {
    enum wire_bye reason;
    char text[WIRE_TEXT_MAX];
};

/* REQUEST and REPLY. The body is `count` elements; a pull's REQUEST and a push-sum's REPLY have
 * none. */
struct wire_tensor {
    uint64_t offset; /* in the whole model's theta, floats */
    uint32_t count;
    enum wire_codec codec;
    enum wire_mode mode;
    float weight; /* w: asked for in a REQUEST, used in a REPLY; (0, 0.5], or 1 for a pull */
    float mass; /* m of the sender, of a push the age of its slice, of push-sum what is sent; > 0 */
    uint32_t more; /* bytes, at least, of REQUESTs and REPLYs that follow this one without delay */
};

struct wire_message {
    enum wire_kind kind;
    uint64_t id; /* of the exchange; 0 for kinds without one */
    uint32_t body_bytes;
    union {
        struct wire_hello hello;
        struct wire_status status;
        struct wire_bye_message bye;
        struct wire_score score;
        struct wire_tensor tensor; /* REQUEST, REPLY */
    };
};

/* The fixed header, decoded. */
struct wire_header {
    uint16_t version, kind;
    uint32_t map_bytes, body_bytes;
    uint64_t id, checksum;
};

/* Writes header and map into head (WIRE_HEAD_MAX bytes) and the checksum over them and the body's
 * sum (wire_body_sum; of no meaning where body_bytes is 0); returns their length. Numbers go out as
 * they are (the other side refuses what is out of range); text is cut to whole characters, and what
 * is not clean UTF-8 in it becomes '?'. */
size_t wire_encode(const struct wire_message *message, uint64_t body_sum, uint8_t *head);

/* First WIRE_HEADER_BYTES bytes of a frame. ERR_DATA: magic, kind, an empty map or one above
 * WIRE_MAP_MAX, a body above body_max or where the kind has none, with the values. Another version
 * than WIRE_PROTOCOL passes, with all but header->version 0: the caller must look. */
int wire_decode_header(const uint8_t *bytes, uint32_t body_max, struct wire_header *header,
                       struct error *err) MUST_USE;

/* The map of that header, header->map_bytes long. Every field is range-checked; an unknown key is
 * skipped (a later version may add some), a missing or repeated one is ERR_DATA. Strings are valid
 * UTF-8 without control characters. */
int wire_decode_map(const struct wire_header *header, const uint8_t *map,
                    struct wire_message *message, struct error *err) MUST_USE;

/* XXH3-64 of a body, fed as its bytes arrive or are made. */
struct wire_sum {
    void *state; /* XXH3 state; owned */
};
void wire_sum_init(struct wire_sum *s);
void wire_sum_close(struct wire_sum *s);
void wire_sum_start(struct wire_sum *s);
void wire_sum_add(struct wire_sum *s, const void *bytes, size_t n);
uint64_t wire_sum_get(const struct wire_sum *s);
uint64_t wire_body_sum(const void *body, size_t n); /* the same of a whole body */

/* Of a received frame, to match header->checksum. head: its header and map. */
uint64_t wire_frame_sum(const struct wire_header *header, const uint8_t *head, uint64_t body_sum);

extern const char *const wire_bye_names[N_WIRE_BYES];
const char *wire_kind_name(enum wire_kind kind);

#endif
