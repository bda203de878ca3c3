#include "base/opts.h"

#include "base/check.h"
#include "base/parse.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static int set_choice(const struct opt *opt, const char *text, int *field, struct error *err)
{
    size_t n = 0;
    while (opt->choices[n] != NULL)
        n++;
    size_t i = parse_choice(text, opt->choices, n);
    if (i < n) {
        *field = (int)i;
        return 0;
    }
    char list[256] = "";
    for (i = 0; i < n; i++)
        snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s", i > 0 ? ", " : "",
                 opt->choices[i]);
    const char *nearest = parse_nearest(text, opt->choices, n);
    return error_set(err, ERR_USAGE, "--%s: '%s' is none of %s%s%s%s", opt->name, text, list,
                     nearest ? " (did you mean '" : "", nearest ? nearest : "",
                     nearest ? "'?)" : "");
}

static int set_number(const struct opt *opt, const char *text, void *field, struct error *err)
{
    double max = opt->max > 0 ? opt->max : 1e18, value = 0;
    uint64_t count = 0;
    bool whole = opt->type == OPT_U64;
    bool good = whole ? parse_u64(text, &count) : parse_f64(text, &value);
    if (whole)
        value = (double)count;
    if (!good)
        return error_set(err, ERR_USAGE, "--%s: '%s' is not a %s (at least %g, at most %g)",
                         opt->name, text, whole ? "whole number" : "number", opt->min, max);
    if (value < opt->min || value > max)
        return error_set(err, ERR_USAGE, "--%s: %s is out of range (at least %g, at most %g)",
                         opt->name, text, opt->min, max);
    if (whole)
        *(uint64_t *)field = count;
    else
        *(double *)field = value;
    return 0;
}

static int set_value(const struct opt *opt, const char *text, void *target, struct error *err)
{
    void *field = (char *)target + opt->offset;
    switch (opt->type) {
    case OPT_SWITCH:
        *(bool *)field = true;
        return 0;
    case OPT_U64:
    case OPT_F64:
        return set_number(opt, text, field, err);
    case OPT_DURATION:
        if (!parse_duration(text, field))
            return error_set(err, ERR_USAGE,
                             "--%s: '%s' is not a duration such as 250us, 10ms, 1.5s, 2m or 1h",
                             opt->name, text);
        return 0;
    case OPT_STRING:
        *(const char **)field = text;
        return 0;
    case OPT_LIST: {
        struct opt_list *list = field;
        if (list->n == OPT_LIST_MAX)
            return error_set(err, ERR_USAGE, "--%s: stands more than %d times", opt->name,
                             OPT_LIST_MAX);
        list->values[list->n++] = text;
        return 0;
    }
    case OPT_CHOICE:
        return set_choice(opt, text, field, err);
    case OPT_CUSTOM:
        if (opt->parse(text, field, err) != 0) {
            error_prefix(err, "--%s", opt->name);
            return ERR_USAGE;
        }
        return 0;
    }
    CHECK(0 && "opt type");
    return ERR_USAGE;
}

static int unknown_option(const struct opts *o, const char *name, struct error *err)
{
    const char *names[128];
    size_t n = o->n < 127 ? o->n : 127;
    for (size_t i = 0; i < n; i++)
        names[i] = o->table[i].name;
    names[n] = "help";
    const char *nearest = parse_nearest(name, names, n + 1);
    return error_set(err, ERR_USAGE, "no option --%s%s%s%s; '%s --help' lists them all", name,
                     nearest ? " (did you mean --" : "", nearest ? nearest : "",
                     nearest ? "?)" : "", o->command);
}

static const struct opt *find(const struct opts *o, const char *name, size_t length)
{
    for (size_t i = 0; i < o->n; i++)
        if (strlen(o->table[i].name) == length && memcmp(o->table[i].name, name, length) == 0)
            return &o->table[i];
    return NULL;
}

static int set_fallbacks(const struct opts *o, void *target, struct error *err)
{
    for (size_t i = 0; i < o->n; i++) {
        const struct opt *opt = &o->table[i];
        char name[64] = "HUBBUB_";
        size_t n = strlen(name);
        for (const char *p = opt->name; *p != '\0' && n + 1 < sizeof name; p++)
            name[n++] = *p == '-' ? '_' : (char)toupper((unsigned char)*p);
        name[n] = '\0';
        const char *text = o->no_environment ? NULL : getenv(name);
        bool on = text != NULL && *text != '\0' && strcmp(text, "0") != 0;
        int rc = 0;
        if (opt->type == OPT_SWITCH)
            *(bool *)((char *)target + opt->offset) = on;
        else if (text != NULL)
            rc = set_value(opt, text, target, err);
        else if (opt->fallback != NULL)
            rc = set_value(opt, opt->fallback, target, err);
        if (rc != 0)
            return text != NULL ? error_prefix(err, "environment variable %s", name) : rc;
    }
    return 0;
}

static const struct opt *find_letter(const struct opts *o, const char *word)
{
    for (size_t i = 0; i < o->n; i++)
        if (word[0] == '-' && word[1] == o->table[i].letter && word[1] != '\0' && word[2] == '\0')
            return &o->table[i];
    return NULL;
}

/* One "--name", "--name=value", "--name value" or "-n value" at argv[*i]; *i ends on its last
 * word. */
static int parse_option(const struct opts *o, void *target, int argc, char **argv, int *i,
                        struct error *err)
{
    const struct opt *opt = find_letter(o, argv[*i]);
    const char *name = opt != NULL ? opt->name : argv[*i] + 2;
    size_t length = strcspn(name, "=");
    const char *value = name[length] == '=' ? name + length + 1 : NULL;
    if (opt == NULL)
        opt = find(o, name, length);
    if (opt == NULL) {
        char copy[64];
        snprintf(copy, sizeof copy, "%.*s", (int)(length < 63 ? length : 63), name);
        return unknown_option(o, copy, err);
    }
    if (opt->type == OPT_SWITCH) {
        if (value != NULL)
            return error_set(err, ERR_USAGE, "--%s takes no value, not '%s'", opt->name, value);
    } else if (value == NULL) {
        if (*i + 1 >= argc)
            return error_set(err, ERR_USAGE, "--%s needs a value: --%s %s", opt->name, opt->name,
                             opt->arg);
        value = argv[++*i];
    }
    return set_value(opt, value, target, err);
}

int opts_parse(const struct opts *o, void *target, int argc, char **argv, int *n_operands,
               struct error *err)
{
    int rc = set_fallbacks(o, target, err);
    if (rc != 0)
        return rc;
    /* A flag replaces a list that came from the environment or the table. */
    for (size_t i = 0; i < o->n; i++)
        if (o->table[i].type == OPT_LIST)
            for (int a = 1; a < argc && strcmp(argv[a], "--") != 0; a++)
                if (strncmp(argv[a], "--", 2) == 0 &&
                    find(o, argv[a] + 2, strcspn(argv[a] + 2, "=")) == &o->table[i])
                    ((struct opt_list *)(void *)((char *)target + o->table[i].offset))->n = 0;
    *n_operands = 0;
    bool only_operands = false;
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i];
        if (!only_operands && strcmp(word, "--") == 0) {
            only_operands = true;
        } else if (!only_operands && (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)) {
            return OPTS_HELP;
        } else if (!only_operands && (strncmp(word, "--", 2) == 0 || find_letter(o, word))) {
            rc = parse_option(o, target, argc, argv, &i, err);
            if (rc != 0)
                return rc;
        } else if (!only_operands && word[0] == '-' && word[1] != '\0' &&
                   !isdigit((unsigned char)word[1])) {
            return error_set(err, ERR_USAGE, "no option %s; options start with --, '%s --help' "
                             "lists them all", word, o->command);
        } else {
            argv[++*n_operands] = argv[i];
        }
    }
    return OPTS_RUN;
}

void opts_help(const struct opts *o, FILE *out)
{
    fprintf(out, "%s: %s\n\nusage: %s %s\n", o->command, o->summary, o->command, o->usage);
    if (o->examples != NULL)
        fprintf(out, "\nexamples:\n%s", o->examples);
    for (size_t i = 0; i < o->n; i++) {
        const struct opt *opt = &o->table[i];
        char left[64], right[32] = "";
        if (opt->group != NULL)
            fprintf(out, "\n%s:\n", opt->group);
        char letter[8] = "";
        if (opt->letter != '\0')
            snprintf(letter, sizeof letter, "-%c, ", opt->letter);
        snprintf(left, sizeof left, "%s--%s %s", letter, opt->name, opt->arg ? opt->arg : "");
        if (opt->fallback != NULL && *opt->fallback != '\0')
            snprintf(right, sizeof right, " (%s)", opt->fallback);
        fprintf(out, "  %-30s %s%s\n", left, opt->help, right);
    }
    fprintf(out, "\nA default stands in brackets.%s\n",
            o->no_environment ? ""
                              : " Each option can be set as HUBBUB_NAME in the environment.");
}
