/* hubbub data agree: peers with private files agree on a schema. */
#include "node/cmd_node.h"

#include "base/log.h"
#include "data/source.h"
#include "data/table.h"
#include "node/addresses.h"
#include "node/agree.h"

#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>

struct flags {
    const char *run, *listen, *peers_file, *out;
    struct opt_list peers;
    struct data_options data;
    uint64_t expect, timeout;
    bool insecure, json, verbose, quiet;
};

#define F(field) offsetof(struct flags, field)

static const struct opt table[] = {
    {"run", OPT_STRING, F(run), "NAME", "default", "peers of one run agree together", "who"},
    {"listen", OPT_STRING, F(listen), "H:P", "", "take links here", .parse = address_parse},
    {"peer", OPT_LIST, F(peers), "H:P", 0, "a peer to dial; may stand many times, may be myself",
     .parse = address_parse},
    {"peers-file", OPT_STRING, F(peers_file), "FILE", "", "the same, one H:P a line, # comments"},
    {"expect", OPT_U64, F(expect), "N", "2", "peers that have data, with me", 0, 1,
     SCHEMA_PEERS_MAX},
    {"timeout", OPT_DURATION, F(timeout), "TIME", "1h", "how long to wait for them"},
    {"insecure", OPT_SWITCH, F(insecure), 0, 0,
     "allow plain TCP beyond this machine: no encryption, no proof of who is who"},
    DATA_OPTIONS(struct flags, data),
    {"out", OPT_STRING, F(out), "FILE", "schema.json", "the schema", "result"},
    {"json", OPT_SWITCH, F(json), 0, 0, "the result on stdout as one JSON object"},
    {"verbose", OPT_SWITCH, F(verbose), 0, 0, "log more"},
    {"quiet", OPT_SWITCH, F(quiet), 0, 0, "log warnings and errors only"},
};

const struct opts cmd_agree_options = {
    .command = "hubbub data agree",
    .summary = "peers whose files nobody else may see agree on columns, classes and statistics",
    .usage = "--data FILE --expect N [OPTIONS]",
    .examples = "  hubbub data agree --data mine.csv --label diagnosis --ignore patient_id \\\n"
                "      --listen 127.0.0.1:7701 --peer 127.0.0.1:7702 --expect 2\n"
                "  hubbub node --data mine.csv --schema schema.json --model mlp:30-16-2 ...\n",
    .table = table,
    .n = sizeof table / sizeof table[0]};

static int summarise(struct summary *summary, const struct data_options *o, struct error *err)
{
    struct memory *memory = NULL;
    struct source source;
    int rc = source_open(&source, &memory, o->spec, err);
    if (rc == 0 && source_format(&source) != FORMAT_TABLE)
        rc = error_set(err, ERR_DATA, "%s: no table (right: CSV or TSV, plain or gzip)", o->spec);
    if (rc == 0)
        rc = table_summarise(summary, &source, o, err);
    memory_close(&memory);
    return rc;
}

static void print_result(const struct flags *f, const struct schema *s)
{
    struct data_shape shape = schema_shape(s);
    if (f->json) {
        json_t *o = schema_to_json(s);
        json_object_set_new(o, "hash", json_sprintf("%016" PRIx64, schema_hash(s)));
        json_object_set_new(o, "features", json_integer(shape.n_features));
        json_dumpf(o, stdout, JSON_REAL_PRECISION(17) | JSON_COMPACT);
        putchar('\n');
        json_decref(o);
        return;
    }
    printf("%s: %u peers, %" PRIu64 " rows, %u columns, %u features; label '%s'", f->out,
           s->n_peers, s->n_rows, s->n_columns, shape.n_features, s->label.name);
    for (uint32_t c = 0; c < s->label.categories.n; c++)
        printf("%s %s (%" PRIu64 ")", c == 0 ? ":" : ",", s->label.categories.names[c],
               s->label.categories.counts[c]);
    printf("; hash %016" PRIx64 "\n", schema_hash(s));
}

int cmd_agree(int argc, char **argv)
{
    struct flags f = {0};
    struct error err = {0};
    struct summary summary = {0};
    struct schema schema = {0};
    struct node_config *addresses = calloc(1, sizeof *addresses);
    int n_operands, rc = opts_parse(&cmd_agree_options, &f, argc, argv, &n_operands, &err);
    if (rc == 0 && n_operands > 0)
        rc = error_set(&err, ERR_USAGE, "'%s' is no option of hubbub data agree", argv[1]);
    if (rc == 0 && f.data.layout.order != LAYOUT_AUTO)
        rc = error_set(&err, ERR_USAGE,
                       "--layout is no matter of the schema (right: say it to "
                       "hubbub node)");
    log_set_level(f.verbose ? LOG_DEBUG : f.quiet ? LOG_WARN : LOG_INFO);
    signal(SIGPIPE, SIG_IGN);
    const struct address_flags flags = {.listen = f.listen,
                                        .advertise = "",
                                        .peers_file = f.peers_file,
                                        .peers = &f.peers,
                                        .insecure = f.insecure};
    if (rc == 0 && f.expect == 1)
        addresses->gossip = GOSSIP_CHOICE_OFF;
    if (rc == 0)
        rc = addresses_set(&flags, addresses, &err);
    if (rc == 0)
        rc = summarise(&summary, &f.data, &err);
    const struct agree_config config = {.run = f.run,
                                        .addresses = addresses,
                                        .own = &summary,
                                        .expect = (uint32_t)f.expect,
                                        .timeout_us = f.timeout};
    if (rc == 0)
        rc = agree_run(&schema, &config, &err);
    if (rc == 0)
        rc = schema_write(&schema, f.out, &err);
    if (rc == 0)
        print_result(&f, &schema);
    if (rc < 0)
        log_error("%s", err.text);
    summary_close(&summary);
    schema_close(&schema);
    free(addresses);
    return rc == OPTS_DONE ? 0 : -rc;
}
