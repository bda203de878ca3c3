/* Fuzzing the reader of config files, in memory that ends where the text does. What is accepted
 * must say the same once it was printed and read again. */
#include "base/opts_inner.h"

#include "base/check.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* Longer ones, printed with all quoted, could have lines beyond the limit. */
enum { PRINTED_MAX = CONFIG_LINE_MAX / 4 };

struct target {
    bool loud;
    uint64_t count, wait;
    double rate;
    const char *name;
    struct opt_list peers;
    int color;
};

#define AT(field) offsetof(struct target, field)

static const char *const colors[] = {"red", "green", "blue", NULL};
static const struct opt table[] = {
    {"loud", OPT_SWITCH, AT(loud), .help = "talk", .group = "all", .alias = "noisy"},
    {"count", OPT_U64, AT(count), "N", "3", "how many", .min = 1, .max = 10, .alias = "how-many"},
    {"rate", OPT_F64, AT(rate), "R", "0.5", "how fast", .max = 1},
    {"wait-time", OPT_DURATION, AT(wait), "T", "1s", "how long"},
    {"name", OPT_STRING, AT(name), "S", NULL, "who"},
    {"peer", OPT_LIST, AT(peers), "P", "p0", "whom"},
    {"color", OPT_CHOICE, AT(color), "C", "red", "which", .choices = colors},
};
static const struct opts options = {
    .command = "hubbub test", .table = table, .n = sizeof table / sizeof table[0]};

/* The k-th value that g has for the option; NULL: there are fewer. */
static const char *value(const struct givens *g, const struct opt *opt, size_t k)
{
    for (size_t i = 0; i < g->n; i++)
        if (g->items[i].opt == opt && k-- == 0)
            return g->items[i].text;
    return NULL;
}

static bool is_same(const struct opt *opt, const char *a, const char *b)
{
    if (opt->type == OPT_SWITCH) /* 1 is printed as true */
        return (*a == 't' || *a == '1') == (*b == 't' || *b == '1');
    return strcmp(a, b) == 0;
}

static void print_and_read_again(const struct givens *g)
{
    char *text = NULL;
    size_t n;
    struct givens again = {.config = "again"};
    struct error err;
    FILE *out = open_memstream(&text, &n);
    CHECK(out != NULL);
    opts_print_config(&options, g, out);
    CHECK(fclose(out) == 0); /* and a NUL behind it */
    CHECK(opts_parse_config(&options, &again, text, n, &err) == 0);
    CHECK(again.n == g->n);
    for (size_t i = 0; i < options.n; i++) {
        const char *a, *b;
        for (size_t k = 0; (a = value(g, &table[i], k)) != NULL; k++)
            CHECK((b = value(&again, &table[i], k)) != NULL && is_same(&table[i], a, b));
    }
    free(again.items);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct target target = {0};
    struct givens g = {.config = "fuzz"};
    struct error err;
    char *text = malloc(n + 1); /* exactly: a byte more shows */
    CHECK(text != NULL);
    memcpy(text, data, n);
    if (opts_parse_config(&options, &g, text, n, &err) == 0 &&
        opts_set_all(&options, &g, &target, &err) == 0 && n <= PRINTED_MAX)
        print_and_read_again(&g);
    free(g.items);
    free(text);
    return 0;
}
