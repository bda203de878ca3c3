/* --help, from the table. */
#include "base/opts_inner.h"

#include <string.h>

enum { COLUMNS = 100, LEFT_MAX = 32 };

/* Words in lines of COLUMNS at most; the first starts in `column`, the others are indented. */
static void wrap(const char *text, size_t column, size_t indent, FILE *out)
{
    while (*text != '\0') {
        size_t n = strcspn(text, " ");
        if (column > indent && column + 1 + n > COLUMNS) {
            fprintf(out, "\n%*s", (int)indent, "");
            column = indent;
        } else if (column > indent) {
            fputc(' ', out);
            column++;
        }
        fprintf(out, "%.*s", (int)n, text);
        column += n;
        text += n;
        text += strspn(text, " ");
    }
    fputc('\n', out);
}

static size_t left_column(const struct opt *opt, char *left, size_t size)
{
    char letter[8] = "";
    if (opt->letter != '\0')
        snprintf(letter, sizeof letter, "-%c, ", opt->letter);
    snprintf(left, size, "%s--%s%s%s", letter, opt->name, opt->arg ? " " : "",
             opt->arg ? opt->arg : "");
    return strlen(left);
}

void opts_help(const struct opts *o, FILE *out)
{
    size_t width = 0;
    char left[80], right[400], intro[300];
    for (size_t i = 0; i < opts_count(o); i++) {
        size_t n = left_column(opts_at(o, i), left, sizeof left);
        width = n > width && n <= LEFT_MAX ? n : width;
    }
    snprintf(intro, sizeof intro, "%s: %s", o->command, o->summary);
    wrap(intro, 0, 0, out);
    fprintf(out, "\nusage: %s %s\n", o->command, o->usage);
    if (o->examples != NULL)
        fprintf(out, "\nexamples:\n%s", o->examples);
    for (size_t i = 0; i < opts_count(o); i++) {
        const struct opt *opt = opts_at(o, i);
        if (opt->group != NULL)
            fprintf(out, "\n%s:\n", opt->group);
        left_column(opt, left, sizeof left);
        bool shows = opt->fallback != NULL && *opt->fallback != '\0';
        snprintf(right, sizeof right, "%s%s%s%s%s%s", opt->help, opt->alias ? "; also --" : "",
                 opt->alias ? opt->alias : "", shows ? " (" : "", shows ? opt->fallback : "",
                 shows ? ")" : "");
        fprintf(out, "  %-*s  ", (int)width, left);
        if (strlen(left) > width)
            fprintf(out, "\n%*s", (int)width + 4, "");
        wrap(right, width + 4, width + 4, out);
    }
    fprintf(out, "\nA default stands in brackets.\n");
    if (!o->no_environment)
        fprintf(out, "--some-flag X can also be HUBBUB_SOME_FLAG=X in the environment or\n"
                     "'some-flag = X' in a config file. A flag goes before the environment, that "
                     "before the file.\n");
}
