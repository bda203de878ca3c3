/* The world's faults: what a file, a peer or a flag got wrong, in one line a user can act on. */
#ifndef HUBBUB_BASE_ERROR_H
#define HUBBUB_BASE_ERROR_H

#define MUST_USE     __attribute__((warn_unused_result))
#define PRINTF(f, a) __attribute__((format(printf, f, a)))

/* A negated code is the exit code of the program. */
enum {
    ERR_FAILURE = -1,      /* the system refused: memory, disk, socket */
    ERR_USAGE = -2,        /* a flag or operand is wrong */
    ERR_DATA = -3,         /* a data, model or config file is wrong */
    ERR_ALONE = -4,        /* gossip was asked for and no peer was ever met */
    ERR_UNREACHED = -5,    /* the target of --until was not reached */
    ERR_INCOMPATIBLE = -6, /* every peer that answered refused us */
    ERR_INTERRUPTED = -130 /* stopped by a signal */
};

/* Filled by the callee that failed; text names the file or flag, the place, the value and what
 * would be right, without a final newline. */
struct error {
    int code;
    char text[512];
};

/* Sets code and text (cut to fit) and returns code, so that a caller can `return error_set(...)`.
 */
int error_set(struct error *err, int code, const char *format, ...) PRINTF(3, 4);

/* Puts "prefix: " before the text that is already there; returns err->code. */
int error_prefix(struct error *err, const char *format, ...) PRINTF(2, 3);

#endif
