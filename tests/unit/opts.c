#include "base/opts.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

TestSuite(opts, .timeout = 20);

struct target {
    bool verbose;
    uint64_t count, wait;
    double rate;
    const char *name;
    struct opt_list peers;
    int color;
};

#define AT(field) offsetof(struct target, field)

static const char *const colors[] = {"red", "green", NULL};
static const struct opt table[] = {
    {.name = "verbose", .type = OPT_SWITCH, .offset = AT(verbose), .help = "talk"},
    {.name = "count",
     .type = OPT_U64,
     .offset = AT(count),
     .arg = "N",
     .fallback = "3",
     .help = "how many",
     .min = 1,
     .max = 10},
    {.name = "rate",
     .type = OPT_F64,
     .offset = AT(rate),
     .arg = "R",
     .fallback = "0.5",
     .help = "how fast",
     .max = 1},
    {.name = "wait-time",
     .type = OPT_DURATION,
     .offset = AT(wait),
     .arg = "T",
     .fallback = "1s",
     .help = "how long"},
    {.name = "name", .type = OPT_STRING, .offset = AT(name), .arg = "S", .help = "who"},
    {.name = "peer", .type = OPT_LIST, .offset = AT(peers), .arg = "P", .help = "whom"},
    {.name = "color",
     .type = OPT_CHOICE,
     .offset = AT(color),
     .arg = "C",
     .fallback = "red",
     .help = "which",
     .choices = colors},
};
static const struct opts options = {.command = "hubbub test",
                                    .summary = "a table",
                                    .usage = "[X]",
                                    .table = table,
                                    .n = sizeof table / sizeof table[0]};

/* Words apart by spaces. */
static int parse(struct target *t, const char *words, int *n_operands, char **argv,
                 struct error *err)
{
    static char copy[512];
    int argc = 0;
    *t = (struct target){0};
    argv[argc++] = (char *)(uintptr_t) "test";
    strcpy(copy, words);
    for (char *w = strtok(copy, " "); w != NULL; w = strtok(NULL, " "))
        argv[argc++] = w;
    argv[argc] = NULL;
    FILE *out = fopen("/dev/null", "w");
    int rc = opts_parse_to(&options, t, argc, argv, n_operands, out, err);
    fclose(out);
    return rc;
}

Test(opts, flags_and_operands)
{
    struct target t;
    struct error err;
    char *argv[32];
    int n;
    cr_assert_eq(parse(&t, "", &n, argv, &err), OPTS_RUN);
    cr_assert(!t.verbose && t.count == 3 && t.wait == 1000000 && t.name == NULL && t.color == 0);
    cr_assert_eq(parse(&t,
                       "a --verbose --count=7 --name x b --color green --peer p --peer q "
                       "--wait-time 2ms -- --c",
                       &n, argv, &err),
                 OPTS_RUN, "%s", err.text);
    cr_assert(t.verbose && t.count == 7 && t.wait == 2000 && t.color == 1);
    cr_assert_str_eq(t.name, "x");
    cr_assert_eq(t.peers.n, 2);
    cr_assert_str_eq(t.peers.values[1], "q");
    cr_assert_eq(n, 3);
    cr_assert_str_eq(argv[1], "a");
    cr_assert_str_eq(argv[2], "b");
    cr_assert_str_eq(argv[3], "--c");
    cr_assert_eq(parse(&t, "--count 5 --help", &n, argv, &err), OPTS_DONE);
}

Test(opts, bad_values_are_named)
{
    static const struct {
        const char *words, *text;
    } cases[] = {
        {"--count 0", "out of range"},      {"--count 11", "out of range"},
        {"--count x", "whole number"},      {"--rate 1.5", "out of range"},
        {"--rate", "needs a value"},        {"--wait-time 5", "duration"},
        {"--color gren", "did you mean"},   {"--cuont 3", "did you mean --count"},
        {"--verbose=on", "takes no value"}, {"-c", "no option -c"},
        {"--nothing-like-it", "no option"},
    };
    struct target t;
    struct error err;
    char *argv[32];
    int n;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cr_assert_eq(parse(&t, cases[i].words, &n, argv, &err), ERR_USAGE, "%s", cases[i].words);
        cr_assert_not_null(strstr(err.text, cases[i].text), "%s: %s", cases[i].words, err.text);
    }
}

Test(opts, an_option_of_what_stands_after_dashes_is_sent_there)
{
    static const struct opt own[] = {{"json", OPT_SWITCH, 0, 0, 0, "j"}},
                            after[] = {{"lr", OPT_F64, 0, "X", "1", "rate"}};
    static const struct opts node = {.command = "hubbub node", .table = after, .n = 1},
                             up = {.command = "hubbub up",
                                   .table = own,
                                   .n = 1,
                                   .no_environment = true,
                                   .after_dashes = &node};
    double storage = 0;
    struct error err;
    char *argv[] = {"up", "--lr", "2", NULL};
    int n;
    cr_assert_eq(opts_parse(&up, &storage, 3, argv, &n, &err), ERR_USAGE);
    cr_assert_str_eq(err.text, "--lr is an option of hubbub node (right: 'hubbub up -- --lr ...')");
}

Test(opts, environment)
{
    struct target t;
    struct error err;
    char *argv[32];
    int n;
    setenv("HUBBUB_COUNT", "9", 1);
    setenv("HUBBUB_WAIT_TIME", "3s", 1);
    setenv("HUBBUB_VERBOSE", "1", 1);
    setenv("HUBBUB_PEER", "from-env", 1);
    cr_assert_eq(parse(&t, "", &n, argv, &err), OPTS_RUN);
    cr_assert(t.count == 9 && t.wait == 3000000 && t.verbose && t.peers.n == 1);
    cr_assert_eq(parse(&t, "--count 2 --peer a", &n, argv, &err), OPTS_RUN);
    cr_assert_eq(t.count, 2);
    cr_assert_eq(t.peers.n, 1);
    cr_assert_str_eq(t.peers.values[0], "a");
    setenv("HUBBUB_COUNT", "many", 1);
    cr_assert_eq(parse(&t, "", &n, argv, &err), ERR_USAGE);
    cr_assert_not_null(strstr(err.text, "HUBBUB_COUNT"), "%s", err.text);
}

Test(opts, list_is_bounded)
{
    static char *argv[2 * OPT_LIST_MAX + 4];
    struct target t = {0};
    struct error err;
    int argc = 0, n;
    argv[argc++] = (char *)(uintptr_t) "test";
    for (int i = 0; i <= OPT_LIST_MAX; i++) {
        argv[argc++] = (char *)(uintptr_t) "--peer";
        argv[argc++] = (char *)(uintptr_t) "p";
    }
    cr_assert_eq(opts_parse(&options, &t, argc - 2, argv, &n, &err), OPTS_RUN);
    t = (struct target){0};
    cr_assert_eq(opts_parse(&options, &t, argc, argv, &n, &err), ERR_USAGE);
}

Test(opts, help_names_every_option)
{
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    opts_help(&options, f);
    fclose(f);
    for (size_t i = 0; i < options.n; i++) {
        cr_assert_not_null(strstr(text, table[i].name), "%s", table[i].name);
        cr_assert_not_null(strstr(text, table[i].help));
    }
    cr_assert_not_null(strstr(text, "(3)"));
    free(text);
}
