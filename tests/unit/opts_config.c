/* Config files, --print-config and the precedence of the four origins. */
#include "base/opts.h"

#include "tests/support/files.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

TestSuite(opts_config, .timeout = 20);

struct target {
    bool loud;
    uint64_t count, wait;
    double rate;
    const char *name, *free;
    struct opt_list peers;
    int color, pair;
};

#define AT(field) offsetof(struct target, field)

static int parse_pair(const char *text, void *field, struct error *err)
{
    if (strlen(text) != 2)
        return error_set(err, ERR_USAGE, "'%.100s' is not two letters", text);
    *(int *)field = text[0] * 256 + text[1];
    return 0;
}

static int look_at_name(const char *text, void *field, struct error *err)
{
    cr_assert_null(field);
    return strcmp(text, "nobody") == 0 ? error_set(err, ERR_USAGE, "nobody is no name") : 0;
}

static const char *const colors[] = {"red", "green", "blue", NULL};
static const struct opt table[] = {
    {"loud", OPT_SWITCH, AT(loud), .help = "talk", .group = "all", .alias = "noisy"},
    {"count", OPT_U64, AT(count), "N", "3", "how many", .min = 1, .max = 10, .alias = "how-many"},
    {"rate", OPT_F64, AT(rate), "R", "0.5", "how fast", .max = 1},
    {"wait-time", OPT_DURATION, AT(wait), "T", "1s", "how long"},
    {"name", OPT_STRING, AT(name), "S", "x", "who", .parse = look_at_name},
    {"free", OPT_STRING, AT(free), "S", NULL, "no default"},
    {"peer", OPT_LIST, AT(peers), "P", "p0", "whom"},
    {"color", OPT_CHOICE, AT(color), "C", "red", "which", .choices = colors},
    {"pair", OPT_CUSTOM, AT(pair), "AB", "aa", "two", .parse = parse_pair},
};
static const struct opts options = {.command = "hubbub test",
                                    .summary = "a table",
                                    .usage = "[X]",
                                    .table = table,
                                    .n = sizeof table / sizeof table[0]};

/* What was printed, free(); NULL for flags. */
static int run(struct target *t, const char *const *flags, char **printed, struct error *err)
{
    char *argv[32], *text = NULL;
    size_t size;
    int argc = 0, n_operands;
    argv[argc++] = (char *)(uintptr_t) "test";
    for (; flags != NULL && *flags != NULL; flags++)
        argv[argc++] = (char *)(uintptr_t)*flags;
    *t = (struct target){0};
    FILE *out = open_memstream(&text, &size);
    int rc = opts_parse_to(&options, t, argc, argv, &n_operands, out, err);
    fclose(out);
    if (printed != NULL)
        *printed = text;
    else
        free(text);
    return rc;
}

/* Parses with a config file of n bytes. */
static int run_file(struct target *t, const void *bytes, size_t n, struct error *err)
{
    char dir[FILES_DIR_MAX], path[FILES_PATH_MAX];
    files_begin(dir);
    files_write(dir, "c.conf", bytes, n, 0, path);
    int rc = run(t, (const char *[]){"--config", path, NULL}, NULL, err);
    files_end(dir);
    return rc;
}

Test(opts_config, good_files)
{
    static const char text[] = "# a comment\r\n"
                               "\n"
                               "  \t  # one more\n"
                               "loud=true\n"
                               "  how-many\t=  7 \t# seven\r\n"
                               "rate = 0.25\n"
                               "wait-time = 2ms\n"
                               "name = a b#c = d   # the rest\n"
                               "free = \" \\\"#\\\\ \\n\\r\\t \" # quoted\n"
                               "peer = p\n"
                               "color = blue\n"
                               "peer = q\n"
                               "pair = xy";
    struct target t;
    struct error err = {0};
    cr_assert_eq(run_file(&t, text, strlen(text), &err), OPTS_RUN, "%s", err.text);
    cr_assert(t.loud && t.count == 7 && t.rate == 0.25 && t.wait == 2000 && t.color == 2);
    cr_assert_eq(t.pair, 'x' * 256 + 'y');
    cr_assert_str_eq(t.name, "a b#c = d");
    cr_assert_str_eq(t.free, " \"#\\ \n\r\t ");
    cr_assert_eq(t.peers.n, 2);
    cr_assert_str_eq(t.peers.values[0], "p");
    cr_assert_str_eq(t.peers.values[1], "q");
    cr_assert_eq(run_file(&t, "", 0, &err), OPTS_RUN);
    cr_assert(t.count == 3 && t.peers.n == 1 && t.free == NULL);
    cr_assert_eq(run_file(&t, "name =\nloud = false # x", 23, &err), OPTS_RUN);
    cr_assert(!t.loud);
    cr_assert_str_eq(t.name, "");
}

Test(opts_config, broken_files)
{
    static const struct {
        const char *text;
        unsigned line;
        const char *wanted;
    } cases[] = {
        {"cuont = 3", 1, "did you mean 'count'"},
        {"\n\nhow-mny = 3", 3, "did you mean 'how-many'"},
        {"nothing-like-it = 3", 1, "no option 'nothing-like-it'; 'hubbub test --help'"},
        {"Count = 3", 1, "did you mean 'count'"},
        {"--count = 3", 1, "without dashes: count"},
        {"wait_time = 3s", 1, "did you mean 'wait-time'"},
        {"= 3", 1, "no option ''"},
        {"# x\ncount 3", 2, "a line is 'flag = value'"},
        {"count", 1, "write count = N"},
        {"loud", 1, "write loud = true"},
        {"loud # on", 1, "has no '='"},
        {"loud = yes", 1, "loud: 'yes' is neither true nor false"},
        {"noisy =", 1, "noisy: '' is neither true nor false"},
        {"count = 0", 1, "count: 0 is out of range (at least 1, at most 10)"},
        {"count = 11", 1, "at most 10"},
        {"how-many = many", 1, "how-many: 'many' is not a whole number"},
        {"count = 3 4", 1, "'3 4' is not a whole number"},
        {"count =", 1, "count: '' is not a whole number"},
        {"rate = nan", 1, "rate: 'nan' is not a number"},
        {"wait-time = 5", 1, "such as 250us, 10ms"},
        {"color = gren", 1, "did you mean 'green'"},
        {"pair = abc", 1, "pair: 'abc' is not two letters"},
        {"name = nobody", 1, "name: nobody is no name"},
        {"peer =", 1, "peer = P"},
        {"peer = a\npeer =   # none", 2, "needs a value"},
        {"count = 3\ncount = 3", 2, "stands in line 1 already"},
        {"count = 3\n\nhow-many = 3", 3, "stands in line 1 already"},
        {"config = other.conf", 1, "no place in a config file: say --config"},
        {"print-config = true", 1, "no place"},
        {"help = true", 1, "no place"},
        {"free = \"a", 1, "none at its end"},
        {"free = \"a\\", 1, "a backslash in quotes"},
        {"free = \"a\\x\"", 1, "a backslash in quotes"},
        {"free = \"\\x00\"", 1, "not 00"},
        {"free = \"\\x4\"", 1, "xHH"},
        {"free = \"a\" b", 1, "'b' stands after the quoted value"},
        {"free = \"a\"# b", 1, "stands after the quoted value"},
        {"free = a\rcount = 3", 1, "byte 0x0d in column 9"},
        {"count = 3\nfree = \x1b[2J", 2, "byte 0x1b in column 8"},
    };
    struct target t;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct error err = {0};
        char place[32];
        snprintf(place, sizeof place, "/c.conf:%u: ", cases[i].line);
        cr_expect_eq(run_file(&t, cases[i].text, strlen(cases[i].text), &err), ERR_DATA, "%s",
                     cases[i].text);
        cr_expect_eq(err.code, ERR_DATA);
        cr_expect_not_null(strstr(err.text, place), "%s: %s", cases[i].text, err.text);
        cr_expect_not_null(strstr(err.text, cases[i].wanted), "%s: %s", cases[i].text, err.text);
    }
}

Test(opts_config, bytes_and_limits)
{
    struct target t;
    struct error err = {0};
    cr_assert_eq(run_file(&t, "count = 3\nname = a\0b\n", 21, &err), ERR_DATA);
    cr_assert_not_null(strstr(err.text, ":2: byte 0x00 in column 9"), "%s", err.text);

    static char text[CONFIG_BYTES_MAX + 1];
    memset(text, '#', sizeof text);
    cr_assert_eq(run_file(&t, text, CONFIG_LINE_MAX, &err), OPTS_RUN);
    cr_assert_eq(run_file(&t, text, CONFIG_LINE_MAX + 1, &err), ERR_DATA);
    cr_assert_not_null(strstr(err.text, ":1: the line is longer than 4096 bytes"), "%s", err.text);
    for (size_t i = 99; i < sizeof text; i += 100)
        text[i] = '\n';
    cr_assert_eq(run_file(&t, text, CONFIG_BYTES_MAX, &err), OPTS_RUN, "%s", err.text);
    cr_assert_eq(run_file(&t, text, CONFIG_BYTES_MAX + 1, &err), ERR_DATA);
    cr_assert_not_null(strstr(err.text, "c.conf: is longer than 65536 bytes"), "%s", err.text);

    size_t n = 0;
    for (int i = 0; i <= OPT_LIST_MAX; i++)
        n += (size_t)sprintf(text + n, "peer = p\n");
    cr_assert_eq(run_file(&t, text, n - 9, &err), OPTS_RUN, "%s", err.text);
    cr_assert_eq(run_file(&t, text, n, &err), ERR_DATA);
    cr_assert_not_null(strstr(err.text, ":257: peer: stands more than 256"), "%s", err.text);

    /* However long a value, the message keeps its place and what would be right. */
    n = (size_t)sprintf(text, "count = %04000d", 0);
    text[8] = 'x';
    cr_assert_eq(run_file(&t, text, n, &err), ERR_DATA);
    cr_assert_not_null(strstr(err.text, ":1: count: 'x"), "%s", err.text);
    cr_assert_not_null(strstr(err.text, "at most 10"), "%s", err.text);
}

Test(opts_config, what_is_no_file)
{
    char dir[FILES_DIR_MAX], fifo[FILES_PATH_MAX], none[FILES_PATH_MAX];
    struct target t;
    struct error err = {0};
    files_begin(dir);
    snprintf(fifo, sizeof fifo, "%s/fifo", dir);
    snprintf(none, sizeof none, "%s/none", dir);
    cr_assert_eq(mkfifo(fifo, 0600), 0);
    const struct {
        const char *path, *wanted;
    } cases[] = {{dir, "but a directory"},
                 {fifo, "but a pipe or device"},
                 {"/dev/zero", "but a pipe or device"},
                 {none, "No such file"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cr_expect_eq(run(&t, (const char *[]){"--config", cases[i].path, NULL}, NULL, &err),
                     ERR_DATA);
        cr_expect_not_null(strstr(err.text, cases[i].path), "%s", err.text);
        cr_expect_not_null(strstr(err.text, cases[i].wanted), "%s", err.text);
    }
    cr_assert_eq(run(&t, (const char *[]){"--config", "", NULL}, NULL, &err), OPTS_RUN);
    unlink(fifo);
    files_end(dir);
}

/* Every set of the origins flag, environment, config; also with the alias as the name. */
Test(opts_config, precedence)
{
    enum { CONFIG = 1, ENVIRONMENT = 2, FLAG = 4, ALL = 8 };
    static const struct {
        const char *key, *variable;
    } names[] = {{"count", "HUBBUB_COUNT"}, {"how-many", "HUBBUB_HOW_MANY"}};
    char dir[FILES_DIR_MAX], path[FILES_PATH_MAX], line[128], flag[32];
    struct target t;
    struct error err = {0};
    files_begin(dir);
    for (int said = 0; said < ALL; said++)
        for (size_t k = 0; k < 2; k++) {
            unsetenv(names[1 - k].variable);
            snprintf(line, sizeof line, "%s = 4\npeer = c1\npeer = c2\nloud = true\n",
                     names[k].key);
            files_write(dir, "c", said & CONFIG ? line : "", said & CONFIG ? strlen(line) : 0, 0,
                        path);
            setenv(names[k].variable, "5", 1);
            setenv("HUBBUB_PEER", "e", 1);
            setenv("HUBBUB_LOUD", "false", 1);
            if (!(said & ENVIRONMENT)) {
                unsetenv(names[k].variable);
                unsetenv("HUBBUB_PEER");
                unsetenv("HUBBUB_LOUD");
            }
            snprintf(flag, sizeof flag, "--%s=6", names[k].key);
            const char *words[] = {"--config", path, said & FLAG ? flag : NULL, "--peer", "f",
                                   "--loud",   NULL};
            cr_assert_eq(run(&t, words, NULL, &err), OPTS_RUN, "%s", err.text);
            const char *first = said & FLAG          ? "f"
                                : said & ENVIRONMENT ? "e"
                                : said & CONFIG      ? "c1"
                                                     : "p0";
            uint64_t count = said & FLAG ? 6 : said & ENVIRONMENT ? 5 : said & CONFIG ? 4 : 3;
            bool loud = said & FLAG || (!(said & ENVIRONMENT) && said & CONFIG);
            cr_expect_eq(t.count, count, "%d: %d", said, (int)t.count);
            cr_expect_eq(t.loud, loud, "%d", said);
            cr_expect_eq(t.peers.n, said == CONFIG ? 2 : 1, "%d", said);
            cr_expect_str_eq(t.peers.values[0], first, "%d", said);
        }
    files_end(dir);
}

Test(opts_config, a_flag_switches_off)
{
    struct target t;
    struct error err = {0};
    setenv("HUBBUB_LOUD", "1", 1);
    cr_assert_eq(run(&t, NULL, NULL, &err), OPTS_RUN);
    cr_assert(t.loud);
    cr_assert_eq(run(&t, (const char *[]){"--noisy=false", NULL}, NULL, &err), OPTS_RUN);
    cr_assert(!t.loud);
    setenv("HUBBUB_LOUD", "yes", 1);
    cr_assert_eq(run(&t, NULL, NULL, &err), ERR_USAGE);
    cr_assert_not_null(strstr(err.text, "HUBBUB_LOUD: 'yes' is neither"), "%s", err.text);
    setenv("HUBBUB_LOUD", "", 1);
    cr_assert_eq(run(&t, NULL, NULL, &err), OPTS_RUN);
    cr_assert(!t.loud);
}

Test(opts_config, what_is_overridden_is_looked_at_too)
{
    char dir[FILES_DIR_MAX], path[FILES_PATH_MAX];
    struct target t;
    struct error err = {0};
    files_begin(dir);
    files_write(dir, "c", "count = 99\n", 11, 0, path);
    cr_assert_eq(run(&t, (const char *[]){"--config", path, "--count=3", NULL}, NULL, &err),
                 ERR_DATA);
    setenv("HUBBUB_HOW_MANY", "4", 1);
    setenv("HUBBUB_COUNT", "4", 1);
    cr_assert_eq(run(&t, NULL, NULL, &err), ERR_USAGE);
    cr_assert_not_null(strstr(err.text, "HUBBUB_HOW_MANY: means the same as HUBBUB_COUNT"), "%s",
                       err.text);
    files_end(dir);
}

Test(opts_config, file_from_the_environment)
{
    char dir[FILES_DIR_MAX], a[FILES_PATH_MAX], b[FILES_PATH_MAX];
    struct target t;
    struct error err = {0};
    files_begin(dir);
    files_write(dir, "a", "count = 4\n", 10, 0, a);
    files_write(dir, "b", "count = 5\n", 10, 0, b);
    setenv("HUBBUB_CONFIG", a, 1);
    cr_assert_eq(run(&t, NULL, NULL, &err), OPTS_RUN);
    cr_assert_eq(t.count, 4);
    cr_assert_eq(run(&t, (const char *[]){"--config", b, NULL}, NULL, &err), OPTS_RUN);
    cr_assert_eq(t.count, 5);
    cr_assert_eq(run(&t, (const char *[]){"--config=", NULL}, NULL, &err), OPTS_RUN);
    cr_assert_eq(t.count, 3);
    files_end(dir);
}

Test(opts_config, no_environment_no_config)
{
    struct opts bare = options;
    struct target t = {0};
    struct error err = {0};
    char *argv[] = {(char *)(uintptr_t) "test", (char *)(uintptr_t) "--config=x", NULL};
    int n;
    bare.no_environment = true;
    setenv("HUBBUB_CONFIG", "/nowhere", 1);
    setenv("HUBBUB_COUNT", "99", 1);
    cr_assert_eq(opts_parse(&bare, &t, 1, argv, &n, &err), OPTS_RUN, "%s", err.text);
    cr_assert_eq(t.count, 3);
    cr_assert_eq(opts_parse(&bare, &t, 2, argv, &n, &err), ERR_USAGE);
}

static void expect_same(const struct target *a, const struct target *b)
{
    cr_assert(a->loud == b->loud && a->count == b->count && a->wait == b->wait);
    cr_assert(a->rate == b->rate && a->color == b->color && a->pair == b->pair);
    cr_assert_str_eq(a->name, b->name);
    cr_assert_eq(a->free == NULL, b->free == NULL);
    if (a->free != NULL)
        cr_assert_str_eq(a->free, b->free);
    cr_assert_eq(a->peers.n, b->peers.n);
    for (uint32_t i = 0; i < a->peers.n; i++)
        cr_assert_str_eq(a->peers.values[i], b->peers.values[i]);
}

/* What --print-config says, read again, is the same. */
Test(opts_config, printed_and_read_again)
{
    static const char *const cases[][8] = {
        {"--print-config"},
        {"--print-config", "--loud", "--rate=1e-3", "--color=green", "--pair=# "},
        {"--print-config", "--name= a ", "--free=#", "--peer=a # b", "--peer=\"q\"", "--peer=c"},
        {"--print-config", "--name=", "--free=two\nlines\r\n", "--count=2", "--count=9"},
        {"--print-config", "--name=a\\n#\\", "--free=\\\t", "--wait-time=0", "--pair=\"\""},
        {"--print-config", "--name=\x01\x7f\xc3\xa4x0", "--free=\\x01\033"},
        {"--print-config", "--name=\t", "--free=x\t", "--peer= ", "--peer=a b", "--loud=0"},
    };
    char dir[FILES_DIR_MAX], path[FILES_PATH_MAX], *printed, *again;
    struct target said, read;
    struct error err = {0};
    files_begin(dir);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cr_assert_eq(run(&said, cases[i], &printed, &err), OPTS_DONE, "%s", err.text);
        files_write(dir, "c", printed, strlen(printed), 0, path);
        int rc =
            run(&read, (const char *[]){"--config", path, "--print-config", NULL}, &again, &err);
        cr_assert_eq(rc, OPTS_DONE, "%s\n%s", err.text, printed);
        expect_same(&said, &read);
        cr_assert_not_null(strstr(again, "c:"));
        cr_assert_null(strstr(again, "# flag"));
        free(printed);
        free(again);
    }
    files_end(dir);
}

Test(opts_config, printed_origins)
{
    static const char *const wanted[] = {"loud = true",
                                         "# environment HUBBUB_NOISY\n",
                                         "count = 4",
                                         "/c\?d:2\n",
                                         "rate = 0.5",
                                         "# default\n",
                                         "name = me",
                                         "# flag\n",
                                         "# free = S is not set\n",
                                         "peer = p",
                                         "/c\?d:3\n",
                                         "/c\?d:4\n"};
    char dir[FILES_DIR_MAX], path[FILES_PATH_MAX], *printed;
    struct target t;
    struct error err = {0};
    files_begin(dir);
    files_write(dir, "c\nd", "#\ncount = 4\npeer = p\npeer = q\n", 30, 0, path);
    setenv("HUBBUB_NOISY", "1", 1);
    cr_assert_eq(run(&t, (const char *[]){"--config", path, "--name=me", "--print-config", NULL},
                     &printed, &err),
                 OPTS_DONE, "%s", err.text);
    const char *at = printed;
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        at = strstr(at, wanted[i]);
        cr_assert_not_null(at, "no %s in\n%s", wanted[i], printed);
    }
    free(printed);
    files_end(dir);
}

static const struct opt sister_table[] = {
    {"depth", OPT_U64, 0, "N", "3", "how deep", .min = 1, .max = 10},
};
static const struct opts sister = {.command = "hubbub sister",
                                   .summary = "another table",
                                   .usage = "",
                                   .table = sister_table,
                                   .n = sizeof sister_table / sizeof sister_table[0]};

Test(opts_config, names_of_other_commands)
{
    static const char shared[] = "depth = 99\ncount = 7\n", wrong[] = "depht = 1\n",
                      unquoted[] = "depth = \"x\n";
    const struct opts *const family[] = {&options, &sister};
    struct target t;
    struct error err;
    cr_assert_eq(run_file(&t, shared, sizeof shared - 1, &err), ERR_DATA);
    opts_set_family(family, 2);
    cr_assert_eq(run_file(&t, shared, sizeof shared - 1, &err), 0, "%s", err.text);
    cr_assert_eq(t.count, 7);
    cr_assert_eq(run_file(&t, wrong, sizeof wrong - 1, &err), ERR_DATA);
    cr_assert(strstr(err.text, "no option 'depht'"), "%s", err.text);
    cr_assert_eq(run_file(&t, unquoted, sizeof unquoted - 1, &err), ERR_DATA);
}
