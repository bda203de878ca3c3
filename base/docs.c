/* The manual page. */
#include "base/docs.h"

#include "base/opts_inner.h"

#include <string.h>

const char *docs_path(const struct docs *d, const struct opts *o)
{
    return o->command + strlen(d->program) + 1;
}

/* Text that roff takes as it is. */
static void plain(const char *text, FILE *out)
{
    bool line_starts = true;
    for (const char *p = text; *p != '\0'; p++) {
        if (line_starts && (*p == '.' || *p == '\''))
            fputs("\\&", out);
        if (*p == '-')
            fputs("\\-", out);
        else if (*p == '\\')
            fputs("\\e", out);
        else if (*p == '\'')
            fputs("\\(aq", out);
        else if (*p == '"')
            fputs("\\(dq", out);
        else
            fputc(*p, out);
        line_starts = *p == '\n';
    }
}

/* `before` as it stands; then, in the font, `mark` as it stands and the text. */
static void font(char letter, const char *before, const char *mark, const char *text, FILE *out)
{
    fprintf(out, "%s\\f%c%s", before, letter, mark);
    plain(text, out);
    fputs("\\fR", out);
}

/* Words, in lines that are easy to read in the source as well. */
static void prose(const char *text, FILE *out)
{
    char word[200];
    for (size_t column = 0; *text != '\0';) {
        size_t n = strcspn(text, " ");
        snprintf(word, sizeof word, "%.*s", (int)n, text);
        if (column > 0)
            fputc(column + n > 70 ? '\n' : ' ', out);
        column = column + n > 70 ? n : column + n + 1;
        plain(word, out);
        text += n;
        text += strspn(text, " ");
    }
}

/* Paragraphs apart by empty lines. */
static void paragraphs(const char *text, FILE *out)
{
    while (*text != '\0') {
        const char *end = strstr(text, "\n\n");
        size_t n = end != NULL ? (size_t)(end - text) : strlen(text);
        char part[2000];
        snprintf(part, sizeof part, "%.*s", (int)n, text);
        prose(part, out);
        fputs(end != NULL ? "\n.PP\n" : "\n", out);
        text += n + (end != NULL ? 2 : 0);
    }
}

static void verbatim(const char *text, FILE *out)
{
    fputs(".PP\n.nf\n", out);
    plain(text, out);
    fputs(".fi\n", out);
}

static void option(const struct opts *o, const struct opt *opt, FILE *out)
{
    char text[VARIABLE_MAX], letter[2] = {opt->letter, '\0'};
    fputs(".TP\n", out);
    if (opt->letter != '\0')
        font('B', "", "\\-", letter, out);
    font('B', opt->letter != '\0' ? ", " : "", "\\-\\-", opt->name, out);
    if (opt->alias != NULL)
        font('B', ", ", "\\-\\-", opt->alias, out);
    if (opt->arg != NULL)
        font('I', " ", "", opt->arg, out);
    fputc('\n', out);
    prose(opt->help, out);
    fputs(".\n", out);
    if (opt->fallback != NULL && *opt->fallback != '\0') {
        font('B', "Default: ", "", opt->fallback, out);
        fputs(".\n", out);
    }
    bool is_own = opt >= o->table && opt < o->table + o->n;
    if (!o->no_environment && (is_own || opt->type == OPT_STRING)) {
        opts_variable(opt->name, text);
        font('B', "Environment: ", "\\%", text, out); /* \%: one word, not hyphenated */
        fputs(".\n", out);
    }
}

static void command(const struct opts *o, FILE *out)
{
    fprintf(out, ".SS ");
    plain(o->command, out);
    fputc('\n', out);
    prose(o->summary, out);
    fputs(".\n.PP\n", out);
    font('B', "", "", o->command, out);
    fputc(' ', out);
    plain(o->usage, out);
    fputc('\n', out);
    for (size_t i = 0; i < opts_count(o); i++) {
        const struct opt *opt = opts_at(o, i);
        if (opt->group != NULL) {
            font('I', ".PP\n", "", opt->group, out);
            fputc('\n', out);
        }
        option(o, opt, out);
    }
    if (o->examples != NULL)
        verbatim(o->examples, out);
}

static const char config_text[] =
    "Where a command has --config, a file holds lines 'flag = value' with the names of the flags, "
    "empty lines, and comments from # to the end of the line (within a line, after a blank). A "
    "switch is true or false. A flag that may stand many times may stand on several lines, each "
    "other one once. A value that holds # or has blanks around it stands in double quotes; in them "
    "\\\\ \\\" \\n \\r \\t \\xHH stand for a backslash, a quote, line feed, carriage return, tab "
    "and the byte HH.\n\n"
    "A flag goes before the environment, the environment before the file, the file before the "
    "default. --print-config shows every option with its value and where it came from, as a config "
    "file.";

static const char config_example[] = "  # peer.conf\n"
                                     "  peers-file = peers.txt\n"
                                     "  shard = auto\n"
                                     "  until = acc=0.88\n"
                                     "  json = true\n";

static const char environment_text[] =
    "Each flag of a command with --config can be set as HUBBUB_NAME: its name in capitals, with _ "
    "for -. A switch takes true or 1, false or 0.";

/* The codes of base/error.h. */
static const struct {
    const char *code, *meaning;
} exit_codes[] = {
    {"0", "Done."},
    {"1", "The system refused: memory, disk, socket."},
    {"2", "A flag or operand is wrong."},
    {"3", "A data, model or config file is wrong."},
    {"4", "Gossip was asked for and no peer, or too few, were met."},
    {"5", "The accuracy of --until was not reached."},
    {"6", "Every peer that answered refused: run, model, data or protocol differ."},
    {"130", "Interrupted."},
};

void docs_man(const struct docs *d, FILE *out)
{
    fprintf(out, ".TH %s 1 \"%s\" \"%s %s\" \"User Commands\"\n.SH NAME\n%s \\- ", "HUBBUB",
            d->date, d->program, d->version, d->program);
    plain(d->summary, out);
    fputs("\n.SH SYNOPSIS\n", out);
    for (size_t i = 0; i < d->n; i++) {
        font('B', i > 0 ? ".br\n" : "", "", d->commands[i]->command, out);
        fputc(' ', out);
        plain(d->commands[i]->usage, out);
        fputc('\n', out);
    }
    fputs(".SH DESCRIPTION\n", out);
    paragraphs(d->description, out);
    fputs(".SH COMMANDS\n", out);
    for (size_t i = 0; i < d->n; i++)
        command(d->commands[i], out);
    fputs(".SH CONFIG FILES\n", out);
    paragraphs(config_text, out);
    verbatim(config_example, out);
    fputs(".SH ENVIRONMENT\n", out);
    paragraphs(environment_text, out);
    fputs(".SH EXIT STATUS\n", out);
    for (size_t i = 0; i < sizeof exit_codes / sizeof exit_codes[0]; i++) {
        fprintf(out, ".TP\n%s\n", exit_codes[i].code);
        plain(exit_codes[i].meaning, out);
        fputc('\n', out);
    }
}
