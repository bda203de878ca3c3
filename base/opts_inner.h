/* Between the parts of opts: opts.c, opts_config.c, opts_help.c, opts_docs.c. Not for others. */
#ifndef HUBBUB_BASE_OPTS_INNER_H
#define HUBBUB_BASE_OPTS_INNER_H

#include "base/opts.h"

/* Where a value came from; a higher one overrides a lower one. */
enum origin { ORIGIN_DEFAULT, ORIGIN_CONFIG, ORIGIN_ENVIRONMENT, ORIGIN_FLAG, N_ORIGINS };

struct given {
    const struct opt *opt;
    const char *name; /* as it was called there: the option's name or alias */
    const char *text;
    enum origin origin;
    unsigned line; /* of the config file */
};

/* All that was said, in any order of origins, each in the order it was said. */
struct givens {
    struct given *items;
    size_t n, capacity;
    const char *config; /* path; "" for none */
};

void givens_add(struct givens *g, struct given item);

/* The options of a command: its table, then those that all commands have. */
size_t opts_count(const struct opts *o);
const struct opt *opts_at(const struct opts *o, size_t i);

/* By name or alias; the name as it stands in the table in *name. NULL: none. */
const struct opt *opts_find(const struct opts *o, const char *text, size_t length,
                            const char **name);
const char *opts_nearest(const struct opts *o, const char *text);

/* "gossip-every" -> "HUBBUB_GOSSIP_EVERY". */
enum { VARIABLE_MAX = 64, SHOWN_MAX = 200 };
void opts_variable(const char *name, char variable[VARIABLE_MAX]);

/* Text from outside, fit for one line: control bytes as '?', of a long one only the end. */
const char *opts_shown(const char *text, char shown[SHOWN_MAX]);

/* Adds what stands in the file g->config. 0 or ERR_DATA. */
int opts_read_config(const struct opts *o, struct givens *g, struct error *err) MUST_USE;

/* The same of a file's n bytes, in which the values are cut out in place: text[n] is there too, and
 * all of it must last as long as g. g->config is the name in messages. */
int opts_parse_config(const struct opts *o, struct givens *g, char *text, size_t n,
                      struct error *err) MUST_USE;

/* Sets in target what was said, the highest origin last. OPTS_RUN, ERR_USAGE or ERR_DATA. */
int opts_set_all(const struct opts *o, const struct givens *g, void *target,
                 struct error *err) MUST_USE;

/* A config file that says the same as g. */
void opts_print_config(const struct opts *o, const struct givens *g, FILE *out);

#endif
