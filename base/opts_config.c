/* Config files: read, and written so that they can be read. */
#include "base/opts_inner.h"

#include "base/check.h"
#include "base/file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- reading -------------------------------------------------------------------------------- */

/* Texts of config files, for options to point into; never freed. */
struct kept {
    struct kept *next;
    char text[CONFIG_BYTES_MAX + 2];
};
static struct kept *all_kept;

struct reader {
    const struct opts *o;
    struct givens *g;
    char path[SHOWN_MAX];
    unsigned line;
    unsigned seen[OPTS_MAX]; /* the line where an option stands; 0: nowhere yet */
};

/* Reads all of fd, and closes it. */
static int load(int fd, char *text, size_t *n, struct error *err)
{
    const char *why = NULL;
    *n = 0;
    while (why == NULL && *n <= CONFIG_BYTES_MAX) {
        ssize_t got = read(fd, text + *n, CONFIG_BYTES_MAX + 1 - *n);
        if (got == 0)
            break;
        if (got < 0 && errno != EINTR)
            why = strerror(errno);
        else if (got > 0)
            *n += (size_t)got;
    }
    close(fd);
    if (why != NULL)
        return error_set(err, ERR_DATA, "%s", why);
    if (*n > CONFIG_BYTES_MAX)
        return error_set(err, ERR_DATA, "is longer than %d bytes", CONFIG_BYTES_MAX);
    return 0;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static char *skip_blanks(char *p)
{
    while (is_blank(*p))
        p++;
    return p;
}

/* Ends the text before the blanks at its end. */
static void trim(char *start, char *end)
{
    while (end > start && is_blank(end[-1]))
        end--;
    *end = '\0';
}

/* What a backslash and the text at *p stand for; *p moves behind it. '\0': nothing. */
static char unescape(char **p)
{
    static const char written[] = "\\\"nrt", meant[] = "\\\"\n\r\t";
    unsigned byte = 0;
    const char *at = **p != '\0' ? strchr(written, **p) : NULL;
    if (at != NULL) {
        ++*p;
        return meant[at - written];
    }
    if (**p != 'x' || strspn(*p + 1, "0123456789abcdef") < 2)
        return '\0';
    sscanf(*p + 1, "%2x", &byte);
    *p += 3;
    return (char)byte;
}

/* "..." at p, undone in place. */
static int unquote(char *p, struct error *err)
{
    char *to = p++;
    while (*p != '\0' && *p != '"') {
        char c = *p++;
        if (c == '\\' && (c = unescape(&p)) == '\0')
            return error_set(
                err, ERR_DATA,
                "a backslash in quotes stands before \\, \", n, r, t or xHH (two digits "
                "of 0-9a-f, not 00); write \\\\ for itself");
        *to++ = c;
    }
    if (*p == '\0')
        return error_set(err, ERR_DATA, "the value starts with \" and has none at its end");
    char *after = skip_blanks(p + 1);
    if (*after != '\0' && (*after != '#' || after == p + 1))
        return error_set(err, ERR_DATA,
                         "'%.100s' stands after the quoted value; write \\\" for a quote in it",
                         after);
    *to = '\0';
    return 0;
}

/* The value at p, in place: up to a comment, without blanks around it. */
static int read_value(char *p, struct error *err)
{
    if (*p == '"')
        return unquote(p, err);
    char *end = p;
    while (*end != '\0' && !(*end == '#' && is_blank(end[-1])))
        end++;
    trim(p, end);
    return 0;
}

static int unknown_key(const struct reader *r, const char *key, struct error *err)
{
    if (strncmp(key, "--", 2) == 0)
        return error_set(err, ERR_DATA, "names stand here without dashes: %.60s", key + 2);
    const char *nearest = opts_nearest(r->o, key);
    return error_set(err, ERR_DATA, "no option '%.60s'%s%s%s; '%s --help' lists them all", key,
                     nearest ? " (did you mean '" : "", nearest ? nearest : "",
                     nearest ? "'?)" : "", r->o->command);
}

static int read_line(struct reader *r, char *line, struct error *err)
{
    const char *name = NULL;
    char *key = skip_blanks(line);
    if (*key == '\0' || *key == '#')
        return 0;
    char *equals = key + strcspn(key, "=");
    bool has_value = *equals == '=';
    char *value = has_value ? skip_blanks(equals + 1) : equals;
    trim(key, equals);
    const struct opt *opt = opts_find(r->o, key, strlen(key), &name);
    if (!has_value && opt != NULL)
        return error_set(err, ERR_DATA, "'%s' has no '=': write %s = %s", key, key,
                         opt->type == OPT_SWITCH ? "true" : opt->arg);
    if (!has_value)
        return error_set(err, ERR_DATA, "'%.60s' has no '=': a line is 'flag = value'", key);
    if (opt == NULL)
        return unknown_key(r, key, err);
    if (opt < r->o->table || opt >= r->o->table + r->o->n)
        return error_set(err, ERR_DATA, "'%s' has no place in a config file: say --%s", key, key);
    unsigned *seen = &r->seen[opt - r->o->table];
    if (*seen > 0 && opt->type != OPT_LIST)
        return error_set(err, ERR_DATA, "'%s' stands in line %u already", key, *seen);
    *seen = r->line;
    if (read_value(value, err) != 0)
        return ERR_DATA;
    if (*value == '\0' && opt->type == OPT_LIST)
        return error_set(err, ERR_DATA, "'%s' needs a value: %s = %s", key, key, opt->arg);
    givens_add(r->g, (struct given){opt, name, value, ORIGIN_CONFIG, r->line});
    return 0;
}

/* One line of n bytes, its end cut off. */
static int check_line(const char *line, size_t n, struct error *err)
{
    if (n > CONFIG_LINE_MAX)
        return error_set(err, ERR_DATA, "the line is longer than %d bytes", CONFIG_LINE_MAX);
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)line[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return error_set(err, ERR_DATA,
                             "byte 0x%02x in column %zu: a config file is plain text", c, i + 1);
    }
    return 0;
}

int opts_parse_config(const struct opts *o, struct givens *g, char *text, size_t n,
                      struct error *err)
{
    struct reader r = {.o = o, .g = g};
    opts_shown(g->config, r.path);
    for (char *line = text, *end = line + n; line < end;) {
        char *next = memchr(line, '\n', (size_t)(end - line));
        char *stop = next != NULL ? next : end;
        next = stop + 1;
        if (stop > line && stop[-1] == '\r')
            stop--;
        *stop = '\0';
        r.line++;
        if (check_line(line, (size_t)(stop - line), err) != 0 || read_line(&r, line, err) != 0)
            return error_prefix(err, "%s:%u", r.path, r.line);
        line = next;
    }
    return 0;
}

int opts_read_config(const struct opts *o, struct givens *g, struct error *err)
{
    char shown[SHOWN_MAX];
    struct kept *kept = calloc(1, sizeof *kept);
    size_t size = 0;
    CHECK(kept != NULL);
    kept->next = all_kept;
    all_kept = kept;
    int fd = file_open(g->config, NULL, err);
    if (fd < 0)
        return error_prefix(err, "config file");
    if (load(fd, kept->text, &size, err) != 0)
        return error_prefix(err, "config file %s", opts_shown(g->config, shown));
    return opts_parse_config(o, g, kept->text, size, err);
}

/* ---- writing -------------------------------------------------------------------------------- */

static bool is_control(char c)
{
    return (unsigned char)c < 0x20 || c == 0x7f;
}

static bool needs_quotes(const char *text)
{
    size_t n = strlen(text);
    for (size_t i = 0; i < n; i++)
        if (is_control(text[i]) || text[i] == '#')
            return true;
    return n > 0 && (text[0] == '"' || text[0] == ' ' || text[n - 1] == ' ');
}

/* "name = value" in a column of its own. */
static void print_value(const char *name, const char *text, FILE *out)
{
    enum { COLUMN = 44 };
    int n = fprintf(out, "%s = ", name);
    if (!needs_quotes(text)) {
        n += fprintf(out, "%s", text);
    } else {
        n += fprintf(out, "\"");
        for (const char *p = text; *p != '\0'; p++) {
            const char *escaped = *p == '\n'   ? "\\n"
                                  : *p == '\r' ? "\\r"
                                  : *p == '\t' ? "\\t"
                                  : *p == '"'  ? "\\\""
                                  : *p == '\\' ? "\\\\"
                                               : NULL;
            if (escaped != NULL)
                n += fprintf(out, "%s", escaped);
            else
                n += fprintf(out, is_control(*p) ? "\\x%02x" : "%c", (unsigned char)*p);
        }
        n += fprintf(out, "\"");
    }
    fprintf(out, "%*s  # ", n < COLUMN ? COLUMN - n : 0, "");
}

static void print_origin(const struct givens *g, const struct given *item, FILE *out)
{
    char text[VARIABLE_MAX], shown[SHOWN_MAX];
    if (item->origin == ORIGIN_CONFIG) {
        fprintf(out, "config %s:%u\n", opts_shown(g->config, shown), item->line);
    } else if (item->origin == ORIGIN_ENVIRONMENT) {
        opts_variable(item->name, text);
        fprintf(out, "environment %s\n", text);
    } else {
        fprintf(out, "%s\n", item->origin == ORIGIN_FLAG ? "flag" : "default");
    }
}

static void print_option(const struct opt *opt, const struct givens *g, FILE *out)
{
    const struct given *last = NULL;
    for (size_t i = 0; i < g->n; i++)
        if (g->items[i].opt == opt && (last == NULL || g->items[i].origin >= last->origin))
            last = &g->items[i];
    if (last == NULL)
        fprintf(out, "# %s = %s is not set\n", opt->name, opt->arg);
    for (size_t i = 0; last != NULL && i < g->n; i++) {
        const struct given *item = &g->items[i];
        bool counts =
            opt->type == OPT_LIST ? item->opt == opt && item->origin == last->origin : item == last;
        if (counts) {
            const char *text = item->text;
            if (opt->type == OPT_SWITCH)
                text = *text == 't' || *text == '1' ? "true" : "false";
            print_value(opt->name, text, out);
            print_origin(g, item, out);
        }
    }
}

void opts_print_config(const struct opts *o, const struct givens *g, FILE *out)
{
    fprintf(out, "# The options of %s, each with where it came from.\n", o->command);
    for (size_t i = 0; i < o->n; i++) {
        if (o->table[i].group != NULL)
            fprintf(out, "\n# %s\n", o->table[i].group);
        print_option(&o->table[i], g, out);
    }
}
