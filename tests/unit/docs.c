/* Help, manual page and completions of the real commands. */
#include "base/docs.h"

#include "base/opts_inner.h"
#include "bench/cmd_bench.h"
#include "model/cmd_model.h"
#include "node/cmd_node.h"

#include <criterion/criterion.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

TestSuite(docs, .timeout = 20);

static const struct opts *const all[] = {
    &cmd_node_options,    &cmd_up_options,      &cmd_demo_options,
    &cmd_eval_options,    &cmd_predict_options, &cmd_inspect_options,
    &cmd_convert_options, &bench_train_options, &bench_straggler_options};
enum { N_ALL = sizeof all / sizeof all[0] };

static const struct docs book = {.program = "hubbub",
                                 .summary = "is a program",
                                 .version = "1",
                                 .date = "2026-01-01",
                                 .description = ".A 'b' \\c.\n\nd-e",
                                 .commands = all,
                                 .n = N_ALL};

static char *printed(void (*print)(const struct docs *d, FILE *out))
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    print(&book, out);
    fclose(out);
    return text;
}

static bool has(const char *text, const char *format, const char *a, const char *b)
{
    char wanted[300];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(wanted, sizeof wanted, format, a, b);
#pragma GCC diagnostic pop
    return strstr(text, wanted) != NULL;
}

Test(docs, help_fits_and_is_aligned)
{
    for (size_t i = 0; i < N_ALL; i++) {
        char *text = NULL, *line, *rest;
        size_t size, n_examples = 0, column = 0;
        FILE *out = open_memstream(&text, &size);
        opts_help(all[i], out);
        fclose(out);
        const char *examples = strstr(text, "\nexamples:\n");
        cr_assert_not_null(examples, "%s", all[i]->command);
        for (rest = text; (line = strsep(&rest, "\n")) != NULL;) {
            cr_expect_leq(strlen(line), 100, "%s", line);
            n_examples += strncmp(line, "  ", 2) == 0 && strstr(line, " hubbub ") != NULL;
            bool is_option = strncmp(line, "  -", 3) == 0;
            char *gap = is_option ? strstr(line + 3, "  ") : NULL;
            if (gap == NULL)
                continue;
            size_t at = (size_t)(gap - line) + strspn(gap, " ");
            cr_expect(column == 0 || at == column, "%s", line);
            column = at;
        }
        cr_expect_geq(n_examples, 3, "%s", all[i]->command);
        free(text);
    }
}

Test(docs, every_option_is_everywhere)
{
    char *man = printed(docs_man), *bash = printed(docs_bash), *zsh = printed(docs_zsh),
         *fish = printed(docs_fish);
    for (size_t i = 0; i < N_ALL; i++)
        for (size_t k = 0; k < opts_count(all[i]); k++) {
            const struct opt *opt = opts_at(all[i], k);
            char escaped[100] = "", variable[VARIABLE_MAX];
            for (const char *p = opt->name; *p != '\0'; p++)
                snprintf(escaped + strlen(escaped), 3, "%s%c", *p == '-' ? "\\" : "", *p);
            cr_expect(has(man, "\\-\\-%s\\fR%s", escaped, ""), "%s", opt->name);
            cr_expect(has(bash, " --%s%s", opt->name, "") || has(bash, "'--%s%s", opt->name, " "),
                      "%s", opt->name);
            cr_expect(has(zsh, "--%s%s", opt->name, opt->arg ? "=[" : "["), "%s", opt->name);
            cr_expect(has(fish, " -l %s%s", opt->name, " "), "%s", opt->name);
            opts_variable(opt->name, variable);
            if (all[i] == &cmd_node_options && k < all[i]->n)
                cr_expect(has(man, "\\fB\\%%%s\\fR%s", variable, ""), "%s", variable);
        }
    cr_expect(has(bash, "%s%s", "'node/--batch' | 'node/--batch-size')", ""));
    cr_expect(has(bash, "%s%s", "words='pairwise pull push push-sum off'", ""));
    cr_expect(has(bash, "%s%s", "'up/--') command='node'", ""));
    free(man);
    free(bash);
    free(zsh);
    free(fish);
}

/* A line that starts with '.' or '\'' is a request; text must not be one. */
Test(docs, manual_is_sound)
{
    static const char *const requests[] = {".TH ", ".SH ", ".SS ", ".TP",
                                           ".PP",  ".nf",  ".fi",  ".br"};
    char *man = printed(docs_man), *line, *rest;
    cr_assert_not_null(strstr(man, "\n\\&.A \\&\\(aqb\\(aq \\ec.\n.PP\nd\\-e\n"), "%.600s", man);
    for (rest = man; (line = strsep(&rest, "\n")) != NULL;) {
        bool known = *line != '.' && *line != '\'';
        for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++)
            known = known || strncmp(line, requests[i], strlen(requests[i])) == 0;
        cr_expect(known, "%s", line);
    }
    free(man);
}

/* Names are unique, and no longer than a variable's name. */
Test(docs, tables_are_sound)
{
    for (size_t i = 0; i < N_ALL; i++)
        for (size_t k = 0; k < opts_count(all[i]); k++) {
            const struct opt *opt = opts_at(all[i], k);
            const char *name;
            cr_expect_eq(opts_find(all[i], opt->name, strlen(opt->name), &name), opt, "%s",
                         opt->name);
            cr_expect_str_eq(name, opt->name);
            if (opt->alias != NULL)
                cr_expect_eq(opts_find(all[i], opt->alias, strlen(opt->alias), &name), opt, "%s",
                             opt->alias);
            cr_expect_lt(strlen(opt->name) + strlen("HUBBUB_"), VARIABLE_MAX);
            cr_expect((opt->arg == NULL) == (opt->type == OPT_SWITCH), "%s", opt->name);
            for (const char *p = opt->name; *p != '\0'; p++)
                cr_expect(islower((unsigned char)*p) || isdigit((unsigned char)*p) || *p == '-',
                          "%s", opt->name);
        }
}
