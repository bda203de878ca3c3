#include "base/opts_inner.h"

#include "base/check.h"
#include "base/parse.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* ---- the table ------------------------------------------------------------------------------ */

enum { COMMON_HELP, COMMON_CONFIG, COMMON_PRINT_CONFIG };

static const struct opt common[] = {
    {"help", OPT_SWITCH, .help = "this text", .group = "general", .letter = 'h'},
    {"config", OPT_STRING, .arg = "FILE", .fallback = "",
     .help = "lines 'flag = value', # comments"},
    {"print-config", OPT_SWITCH, .help = "print all options as a config file, then leave"},
};

size_t opts_count(const struct opts *o)
{
    CHECK(o->n <= OPTS_MAX);
    return o->n + (o->no_environment ? 1 : sizeof common / sizeof common[0]);
}

const struct opt *opts_at(const struct opts *o, size_t i)
{
    return i < o->n ? &o->table[i] : &common[i - o->n];
}

static bool is_called(const char *name, const char *text, size_t length)
{
    return name != NULL && strlen(name) == length && memcmp(name, text, length) == 0;
}

const struct opt *opts_find(const struct opts *o, const char *text, size_t length,
                            const char **name)
{
    for (size_t i = 0; i < opts_count(o); i++) {
        const struct opt *opt = opts_at(o, i);
        bool is_alias = is_called(opt->alias, text, length);
        if (is_alias || is_called(opt->name, text, length)) {
            *name = is_alias ? opt->alias : opt->name;
            return opt;
        }
    }
    return NULL;
}

static const struct opt *find_letter(const struct opts *o, const char *word)
{
    for (size_t i = 0; i < opts_count(o); i++)
        if (word[0] == '-' && word[1] == opts_at(o, i)->letter && word[1] != '\0' &&
            word[2] == '\0')
            return opts_at(o, i);
    return NULL;
}

const char *opts_nearest(const struct opts *o, const char *text)
{
    const char *names[2 * (OPTS_MAX + 8)];
    size_t n = 0;
    for (size_t i = 0; i < opts_count(o); i++) {
        names[n++] = opts_at(o, i)->name;
        if (opts_at(o, i)->alias != NULL)
            names[n++] = opts_at(o, i)->alias;
    }
    return parse_nearest(text, names, n);
}

void opts_variable(const char *name, char variable[VARIABLE_MAX])
{
    size_t n = (size_t)snprintf(variable, VARIABLE_MAX, "HUBBUB_");
    for (const char *p = name; *p != '\0' && n + 1 < VARIABLE_MAX; p++)
        variable[n++] = *p == '-' ? '_' : (char)toupper((unsigned char)*p);
    variable[n] = '\0';
}

const char *opts_shown(const char *text, char shown[SHOWN_MAX])
{
    size_t length = strlen(text);
    bool cut = length >= SHOWN_MAX;
    snprintf(shown, SHOWN_MAX, "%s%s", cut ? "..." : "",
             cut ? text + length - SHOWN_MAX + 4 : text);
    for (char *p = shown; *p != '\0'; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = '?';
    return shown;
}

/* ---- text to values: the messages do not name the option, their caller does -------------------
 */

static int set_switch(const char *text, bool *field, struct error *err)
{
    *field = strcmp(text, "true") == 0 || strcmp(text, "1") == 0;
    if (!*field && strcmp(text, "false") != 0 && strcmp(text, "0") != 0)
        return error_set(err, ERR_USAGE, "'%.100s' is neither true nor false", text);
    return 0;
}

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
    return error_set(err, ERR_USAGE, "'%.100s' is none of %s%s%s%s", text, list,
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
        return error_set(err, ERR_USAGE, "'%.100s' is not a %s (at least %g, at most %g)", text,
                         whole ? "whole number" : "number", opt->min, max);
    if (value < opt->min || value > max)
        return error_set(err, ERR_USAGE, "%.100s is out of range (at least %g, at most %g)", text,
                         opt->min, max);
    if (whole)
        *(uint64_t *)field = count;
    else
        *(double *)field = value;
    return 0;
}

static int set_text(const struct opt *opt, const char *text, void *field, struct error *err)
{
    if (opt->parse != NULL && opt->parse(text, NULL, err) != 0)
        return ERR_USAGE;
    if (opt->type == OPT_STRING) {
        *(const char **)field = text;
        return 0;
    }
    struct opt_list *list = field;
    if (list->n == OPT_LIST_MAX)
        return error_set(err, ERR_USAGE, "stands more than %d times", OPT_LIST_MAX);
    list->values[list->n++] = text;
    return 0;
}

static int set_value(const struct opt *opt, const char *text, void *target, struct error *err)
{
    void *field = (char *)target + opt->offset;
    switch (opt->type) {
    case OPT_SWITCH:
        return set_switch(text, field, err);
    case OPT_U64:
    case OPT_F64:
        return set_number(opt, text, field, err);
    case OPT_DURATION:
        if (!parse_duration(text, field))
            return error_set(err, ERR_USAGE,
                             "'%.100s' is not a duration such as 250us, 10ms, 1.5s, 2m or 1h",
                             text);
        return 0;
    case OPT_STRING:
    case OPT_LIST:
        return set_text(opt, text, field, err);
    case OPT_CHOICE:
        return set_choice(opt, text, field, err);
    case OPT_CUSTOM:
        return opt->parse(text, field, err) != 0 ? ERR_USAGE : 0;
    }
    CHECK(0 && "opt type");
    return ERR_USAGE;
}

/* ---- what was said: by the table, the environment, the command line ----------------------------
 */

void givens_add(struct givens *g, struct given item)
{
    if (g->n == g->capacity) {
        g->capacity = 2 * g->capacity + 64;
        g->items = realloc(g->items, g->capacity * sizeof *g->items);
        CHECK(g->items != NULL);
    }
    g->items[g->n++] = item;
}

static void add_defaults(const struct opts *o, struct givens *g)
{
    for (size_t i = 0; i < o->n; i++) {
        const struct opt *opt = &o->table[i];
        const char *text = opt->type == OPT_SWITCH ? "false" : opt->fallback;
        if (text != NULL)
            givens_add(g, (struct given){opt, opt->name, text, ORIGIN_DEFAULT});
    }
}

/* An empty variable leaves a switch alone; elsewhere it is a value as any other. */
static const char *variable_text(const struct opt *opt, const char *name)
{
    char variable[VARIABLE_MAX];
    if (name == NULL)
        return NULL;
    opts_variable(name, variable);
    const char *text = getenv(variable);
    return text != NULL && opt->type == OPT_SWITCH && *text == '\0' ? NULL : text;
}

static int add_environment(const struct opts *o, struct givens *g, struct error *err)
{
    for (size_t i = 0; i < o->n; i++) {
        const struct opt *opt = &o->table[i];
        const char *text = variable_text(opt, opt->name), *alias = variable_text(opt, opt->alias);
        if (text != NULL && alias != NULL) {
            char variables[2][VARIABLE_MAX];
            opts_variable(opt->name, variables[0]);
            opts_variable(opt->alias, variables[1]);
            return error_set(err, ERR_USAGE,
                             "environment variable %s: means the same as %s; set one", variables[1],
                             variables[0]);
        }
        if (text != NULL || alias != NULL)
            givens_add(g, (struct given){opt, text ? opt->name : opt->alias, text ? text : alias,
                                         ORIGIN_ENVIRONMENT});
    }
    return 0;
}

static int unknown_option(const struct opts *o, const char *name, size_t length, struct error *err)
{
    char copy[64];
    snprintf(copy, sizeof copy, "%.*s", (int)(length < 63 ? length : 63), name);
    const char *nearest = opts_nearest(o, copy), *known;
    if (o->after_dashes != NULL && opts_find(o->after_dashes, copy, strlen(copy), &known) != NULL)
        return error_set(err, ERR_USAGE, "--%s is an option of %s (right: '%s -- --%s ...')", copy,
                         o->after_dashes->command, o->command, copy);
    return error_set(err, ERR_USAGE, "no option --%s%s%s%s; '%s --help' lists them all", copy,
                     nearest ? " (did you mean --" : "", nearest ? nearest : "",
                     nearest ? "?)" : "", o->command);
}

/* The words of the command line, read. */
struct words {
    int argc;
    char **argv;
    bool help, print_config;
};

/* One "--name", "--name=value", "--name value" or "-n value" at argv[*i]; *i ends on its last
 * word. */
static int add_flag(const struct opts *o, struct givens *g, struct words *w, int *i,
                    struct error *err)
{
    const struct opt *opt = find_letter(o, w->argv[*i]);
    const char *name = opt != NULL ? opt->name : w->argv[*i] + 2;
    size_t length = strcspn(name, "=");
    const char *value = name[length] == '=' ? name + length + 1 : NULL;
    if (opt == NULL)
        opt = opts_find(o, name, length, &name);
    if (opt == NULL)
        return unknown_option(o, name, length, err);
    bool ignored;
    if (opt->type == OPT_SWITCH && value != NULL && set_switch(value, &ignored, err) != 0)
        return error_set(err, ERR_USAGE, "--%s takes no value but true or false, not '%.100s'",
                         name, value);
    if (value == NULL && opt->type == OPT_SWITCH) {
        value = "true";
    } else if (value == NULL) {
        if (*i + 1 >= w->argc)
            return error_set(err, ERR_USAGE, "--%s needs a value: --%s %s", name, name, opt->arg);
        value = w->argv[++*i];
    }
    bool on = opt->type == OPT_SWITCH && (*value == 't' || *value == '1');
    if (opt == &common[COMMON_HELP])
        w->help = on;
    else if (opt == &common[COMMON_CONFIG])
        g->config = value;
    else if (opt == &common[COMMON_PRINT_CONFIG])
        w->print_config = on;
    else
        givens_add(g, (struct given){opt, name, value, ORIGIN_FLAG});
    return 0;
}

static int add_flags(const struct opts *o, struct givens *g, struct words *w, int *n_operands,
                     struct error *err)
{
    *n_operands = 0;
    bool only_operands = false;
    for (int i = 1; i < w->argc && !w->help; i++) {
        const char *word = w->argv[i];
        if (!only_operands && strcmp(word, "--") == 0) {
            only_operands = true;
        } else if (!only_operands && (strncmp(word, "--", 2) == 0 || find_letter(o, word))) {
            int rc = add_flag(o, g, w, &i, err);
            if (rc != 0)
                return rc;
        } else if (!only_operands && word[0] == '-' && word[1] != '\0' &&
                   !isdigit((unsigned char)word[1])) {
            return error_set(err, ERR_USAGE,
                             "no option %s; options start with --, '%s --help' "
                             "lists them all",
                             word, o->command);
        } else {
            w->argv[++*n_operands] = w->argv[i];
        }
    }
    return 0;
}

/* ---- all of it together ---------------------------------------------------------------------- */

static int name_origin(const struct givens *g, const struct given *item, struct error *err)
{
    char text[VARIABLE_MAX], shown[SHOWN_MAX];
    switch (item->origin) {
    case ORIGIN_ENVIRONMENT:
        opts_variable(item->name, text);
        return error_prefix(err, "environment variable %s", text);
    case ORIGIN_CONFIG:
        err->code = ERR_DATA;
        return error_prefix(err, "%s:%u: %s", opts_shown(g->config, shown), item->line, item->name);
    case ORIGIN_DEFAULT:
    case ORIGIN_FLAG:
    case N_ORIGINS:
        break;
    }
    return error_prefix(err, "--%s", item->name);
}

/* Lowest origin first, so that the highest stays; a list starts anew with each. */
int opts_set_all(const struct opts *o, const struct givens *g, void *target, struct error *err)
{
    enum origin reached[OPTS_MAX] = {ORIGIN_DEFAULT};
    for (enum origin origin = ORIGIN_DEFAULT; origin < N_ORIGINS; origin++)
        for (size_t i = 0; i < g->n; i++) {
            const struct given *item = &g->items[i];
            if (item->origin != origin)
                continue;
            enum origin *last = &reached[item->opt - o->table];
            if (item->opt->type == OPT_LIST && *last != origin)
                ((struct opt_list *)(void *)((char *)target + item->opt->offset))->n = 0;
            *last = origin;
            if (set_value(item->opt, item->text, target, err) != 0)
                return name_origin(g, item, err);
        }
    return OPTS_RUN;
}

int opts_parse_to(const struct opts *o, void *target, int argc, char **argv, int *n_operands,
                  FILE *out, struct error *err)
{
    struct givens g = {0};
    struct words w = {.argc = argc, .argv = argv};
    int rc = add_flags(o, &g, &w, n_operands, err);
    if (rc == 0 && w.help) {
        opts_help(o, out);
        rc = OPTS_DONE;
    }
    if (rc == 0 && !o->no_environment) {
        const char *config = getenv("HUBBUB_CONFIG");
        if (g.config == NULL)
            g.config = config != NULL ? config : "";
        if (g.config[0] != '\0')
            rc = opts_read_config(o, &g, err);
        if (rc == 0)
            rc = add_environment(o, &g, err);
    }
    if (rc == 0) {
        add_defaults(o, &g);
        rc = opts_set_all(o, &g, target, err);
    }
    if (rc == 0 && w.print_config) {
        opts_print_config(o, &g, out);
        rc = OPTS_DONE;
    }
    free(g.items);
    return rc;
}

int opts_parse(const struct opts *o, void *target, int argc, char **argv, int *n_operands,
               struct error *err)
{
    return opts_parse_to(o, target, argc, argv, n_operands, stdout, err);
}
