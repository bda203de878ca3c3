/* Options: one table of a command drives its parsing, its defaults and its --help.
 *
 * A value comes from a flag, else from the environment (HUBBUB_NAME, '-' as '_'), else from the
 * table's default. All three are parsed by the same code.
 */
#ifndef HUBBUB_BASE_OPTS_H
#define HUBBUB_BASE_OPTS_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum opt_type {
    OPT_SWITCH,   /* bool; takes no value, stands for true */
    OPT_U64,      /* uint64_t in [min, max] */
    OPT_F64,      /* double in [min, max] */
    OPT_DURATION, /* uint64_t microseconds */
    OPT_STRING,   /* const char *, borrowed from argv, the environment or the table */
    OPT_LIST,     /* struct opt_list: the flag may stand many times */
    OPT_CHOICE,   /* int: index into the NULL-terminated choices */
    OPT_CUSTOM    /* whatever parse makes of it */
};

enum { OPT_LIST_MAX = 256 };

struct opt_list {
    uint32_t n;
    const char *values[OPT_LIST_MAX];
};

struct opt {
    const char *name; /* without "--" */
    enum opt_type type;
    size_t offset;         /* of the field in the target */
    const char *arg;       /* how help names the value; NULL for a switch */
    const char *fallback;  /* default as text; NULL leaves the target as it was */
    const char *help;      /* one line */
    const char *group;     /* heading in help; NULL continues the group above */
    double min, max;       /* for OPT_U64 and OPT_F64; max 0 is no bound */
    const char *const *choices;
    int (*parse)(const char *text, void *field, struct error *err);
    char letter;       /* also "-n VALUE"; 0: no short form */
    const char *alias; /* a second name, in every place where the first may stand; or NULL */
};

struct opts {
    const char *command;  /* "hubbub node" */
    const char *summary;  /* one line */
    const char *usage;    /* what follows the command */
    const char *examples; /* lines, each indented by two spaces */
    const struct opt *table;
    size_t n;
    bool no_environment; /* do not read HUBBUB_* (a command that only passes flags on) */
};

enum opts_outcome { OPTS_RUN = 0, OPTS_HELP = 1 };

/* Fills `target`. Options may stand anywhere; "--" ends them. What is no option is moved to the
 * front of argv, and *n_operands counts it (argv[0] is the command, not looked at; operands start
 * at argv[1]). Returns OPTS_RUN, OPTS_HELP when --help was asked for, or ERR_USAGE. */
int opts_parse(const struct opts *o, void *target, int argc, char **argv, int *n_operands,
               struct error *err) MUST_USE;

void opts_help(const struct opts *o, FILE *out);

#endif
