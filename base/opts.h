/* Options: one table of a command drives its parsing, its defaults, its --help, its config files,
 * its page of the manual and its completions.
 *
 * A value comes from a flag, else from the environment (HUBBUB_NAME, '-' as '_'), else from the
 * config file, else from the table's default. All four are parsed by the same code, also those
 * that a higher one overrides. Every command has --help; where the environment is read, also
 * --config FILE (or HUBBUB_CONFIG) and --print-config.
 *
 * A config file has lines "name = value" and "# comments"; a comment may also follow a blank. A
 * switch is true or false, a list may stand on several lines. In "double quotes" a value may hold
 * anything: \\ \" \n \r \t \xHH.
 *
 * All functions: main thread only.
 */
#ifndef HUBBUB_BASE_OPTS_H
#define HUBBUB_BASE_OPTS_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum opt_type {
    OPT_SWITCH,   /* bool; the flag alone stands for true, --name=false for false */
    OPT_U64,      /* uint64_t in [min, max] */
    OPT_F64,      /* double in [min, max] */
    OPT_DURATION, /* uint64_t microseconds */
    OPT_STRING,   /* const char *, borrowed from argv, the environment, the table or the text of
                     the config file, which is kept until the process ends */
    OPT_LIST,     /* struct opt_list: the flag may stand many times */
    OPT_CHOICE,   /* int: index into the NULL-terminated choices */
    OPT_CUSTOM    /* whatever parse makes of it */
};

enum { OPT_LIST_MAX = 256, OPTS_MAX = 100, CONFIG_BYTES_MAX = 65536, CONFIG_LINE_MAX = 4096 };

struct opt_list {
    uint32_t n;
    const char *values[OPT_LIST_MAX];
};

struct opt {
    const char *name; /* without "--" */
    enum opt_type type;
    size_t offset;        /* of the field in the target */
    const char *arg;      /* how help names the value; NULL for a switch */
    const char *fallback; /* default as text; NULL leaves the target as it was */
    const char *help;     /* one line */
    const char *group;    /* heading in help; NULL continues the group above */
    double min, max;      /* for OPT_U64 and OPT_F64; max 0 is no bound */
    const char *const *choices;
    /* OPT_CUSTOM: text to field. OPT_STRING and OPT_LIST: looks at one value, field is NULL. */
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
    bool no_environment;  /* read neither HUBBUB_* nor a config file (it only passes flags on) */
    const char *operands; /* words that may stand as operands, apart by spaces; or NULL */
    const struct opts *after_dashes; /* whose options stand after "--"; or NULL */
};

enum opts_outcome { OPTS_RUN = 0, OPTS_DONE = 1 };

/* Fills `target`. Options may stand anywhere; "--" ends them. What is no option is moved to the
 * front of argv, and *n_operands counts it (argv[0] is the command, not looked at; operands start
 * at argv[1]). Returns OPTS_RUN; OPTS_DONE when --help or --print-config was asked for and is
 * answered on `out`; ERR_USAGE; or ERR_DATA for what is wrong in a config file. */
int opts_parse_to(const struct opts *o, void *target, int argc, char **argv, int *n_operands,
                  FILE *out, struct error *err) MUST_USE;

/* The same, on stdout. */
int opts_parse(const struct opts *o, void *target, int argc, char **argv, int *n_operands,
               struct error *err) MUST_USE;

void opts_help(const struct opts *o, FILE *out);

/* The commands of the program, which may share a config file: a name in it that only another one
 * of them has is skipped, and --print-config tells. Before the first opts_parse; borrowed. Without
 * this call every name must be the command's own. */
void opts_set_family(const struct opts *const *commands, size_t n);

#endif
