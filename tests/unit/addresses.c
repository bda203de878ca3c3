#include "node/addresses.h"

#include "tests/support/files.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

TestSuite(addresses, .timeout = 20);

/* Words apart by spaces; NULL for no file. */
struct given {
    const char *listen, *advertise, *peers, *file;
    bool insecure;
};

static int set(const struct given *g, bool decide_shard, struct node_config *c, struct error *err)
{
    static struct opt_list list;
    static char words[512];
    char dir[FILES_DIR_MAX], path[FILES_PATH_MAX] = "";
    list.n = 0;
    snprintf(words, sizeof words, "%s", g->peers);
    for (char *w = strtok(words, " "); w != NULL; w = strtok(NULL, " "))
        list.values[list.n++] = w;
    files_begin(dir);
    if (g->file != NULL)
        files_write(dir, "peers", g->file, strlen(g->file), 0, path);
    const struct address_flags f = {g->listen, g->advertise, path,
                                    &list,     g->insecure,  decide_shard};
    memset(c, 0, sizeof *c);
    int rc = addresses_set(&f, c, err);
    files_end(dir);
    return rc;
}

#define FILE_OF_3 "# all\n127.0.0.1:1\n 127.0.0.1:2 # two\n\nlocalhost:3\n"

Test(addresses, place_in_the_list)
{
    static const struct {
        struct given given;
        uint32_t shard, n_shards, n_addresses;
        const char *me;
    } cases[] = {
        {{"127.0.0.1:1", "", "", FILE_OF_3}, 0, 3, 3, "127.0.0.1:1"},
        {{"127.0.0.1:2", "", "", FILE_OF_3}, 1, 3, 3, "127.0.0.1:2"},
        {{"LOCALHOST:3", "", "", FILE_OF_3}, 2, 3, 3, "localhost:3"},
        {{"127.0.0.1:9", "127.0.0.1:2", "", FILE_OF_3}, 1, 3, 3, "127.0.0.1:2"},
        {{"127.0.0.1:1", "127.0.0.1:2", "", FILE_OF_3}, 1, 3, 3, "127.0.0.1:2"},
        {{"127.0.0.1:2", "", "127.0.0.1:1 127.0.0.1:2", NULL}, 1, 2, 2, "127.0.0.1:2"},
        {{"[::1]:7", "", "[::1]:7", NULL}, 0, 1, 1, "[::1]:7"},
        /* Every address of this machine; 203.0.113.0/24 is nobody's. */
        {{"0.0.0.0:2", "", "203.0.113.1:2 203.0.113.2:2 127.0.0.1:2", NULL, true},
         2,
         3,
         3,
         "127.0.0.1:2"},
        {{"[::]:2", "", "127.0.0.1:2 127.0.0.1:3", NULL, true}, 0, 2, 2, "127.0.0.1:2"},
        /* Beside a file, --peer adds whom to dial and no shard. */
        {{"127.0.0.1:1", "", "127.0.0.1:4 127.0.0.1:1", FILE_OF_3}, 0, 3, 4, "127.0.0.1:1"},
    };
    struct node_config *c = malloc(sizeof *c);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct error err = {0};
        cr_assert_eq(set(&cases[i].given, true, c, &err), 0, "%zu: %s", i, err.text);
        cr_expect_eq(c->shard, cases[i].shard, "%zu: %u", i, c->shard);
        cr_expect_eq(c->n_shards, cases[i].n_shards, "%zu: %u", i, c->n_shards);
        cr_expect_eq(c->n_addresses, cases[i].n_addresses, "%zu: %u", i, c->n_addresses);
        cr_expect_str_eq(c->advertise, cases[i].me);
    }
    free(c);
}

Test(addresses, no_place_in_the_list)
{
    static const struct {
        struct given given;
        int rc;
        const char *wanted;
    } cases[] = {
        {{"127.0.0.1:4", "", "", FILE_OF_3},
         ERR_USAGE,
         "--listen 127.0.0.1:4 is none of the 3 entries of "},
        {{"127.0.0.1:1", "10.0.0.1:1", "", FILE_OF_3}, ERR_USAGE, "--advertise 10.0.0.1:1 is none"},
        {{"127.0.0.1:0", "", "127.0.0.1:1", NULL}, ERR_USAGE, "say with --advertise"},
        {{"0.0.0.0:2", "", "203.0.113.1:2 127.0.0.1:3", NULL, true}, ERR_USAGE, "is none of the 2"},
        {{"0.0.0.0:2", "", "127.0.0.1:2 [::1]:2", NULL, true},
         ERR_USAGE,
         "127.0.0.1:2 and ::1:2 of the list of --peer are both this machine"},
        {{"127.0.0.1:1", "", "", NULL}, ERR_USAGE, "needs a list of all peers"},
        {{"127.0.0.1:1", "", "", "# none\n"}, ERR_USAGE, "needs a list of all peers"},
        {{"", "", "", FILE_OF_3}, ERR_USAGE, "needs --listen or --advertise"},
        {{"127.0.0.1:1", "", "127.0.0.1:1 127.0.0.1:2 127.0.0.1:1", NULL},
         ERR_USAGE,
         "--peer: 127.0.0.1:1 stands twice"},
        {{"127.0.0.1:1", "", "", "127.0.0.1:1\nlocalhost:2\nLocalhost:2\n"},
         ERR_DATA,
         "peers line 3: Localhost:2 stands twice"},
    };
    struct node_config *c = malloc(sizeof *c);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct error err = {0};
        cr_expect_eq(set(&cases[i].given, true, c, &err), cases[i].rc, "%zu: %s", i, err.text);
        cr_expect_not_null(strstr(err.text, cases[i].wanted), "%zu: %s", i, err.text);
    }
    free(c);
}

Test(addresses, without_a_place)
{
    static const struct given twice = {"127.0.0.1:1", "", "127.0.0.1:2 127.0.0.1:2", NULL};
    static const struct {
        struct given given;
        const char *wanted;
    } bad[] = {
        {{"10.0.0.1:1", "", "", NULL}, "--listen: 10.0.0.1:1 is not this machine"},
        {{"127.0.0.1:1", "10.0.0.1:0", "", NULL}, "--advertise: '10.0.0.1:0' has no port"},
        {{"127.0.0.1:1", "10.0.0.1", "", NULL}, "--advertise: '10.0.0.1' is not HOST:PORT"},
        {{"", "10.0.0.1:1", "127.0.0.1:1", NULL}, "--advertise: needs --listen"},
        {{"", "", "", NULL}, "nobody to train with"},
    };
    struct node_config *c = malloc(sizeof *c);
    struct error err = {0};
    cr_assert_eq(set(&twice, false, c, &err), 0, "%s", err.text);
    cr_assert_eq(c->n_addresses, 1);
    cr_assert_eq(set(&(struct given){"127.0.0.1:1", "10.0.0.1:1", "", NULL}, false, c, &err), 0);
    cr_assert_str_eq(c->advertise, "10.0.0.1:1");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        cr_expect_eq(set(&bad[i].given, false, c, &err), ERR_USAGE, "%zu", i);
        cr_expect_not_null(strstr(err.text, bad[i].wanted), "%zu: %s", i, err.text);
    }
    free(c);
}
