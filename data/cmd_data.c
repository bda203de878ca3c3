/* hubbub data: which data sets are here, what is in one, what its columns say. */
#include "data/cmd_data_inner.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/parse.h"
#include "data/source.h"
#include "data/table.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct flags {
    struct data_options data;
    bool json;
};

#define JSON_ROW                                                                                   \
    {                                                                                              \
        "json", OPT_SWITCH, offsetof(struct flags, json), 0, 0,                                    \
            "the result on stdout as one JSON object", "result"                                    \
    }

static const struct opt list_table[] = {JSON_ROW};
static const struct opt data_table[] = {DATA_OPTIONS(struct flags, data), JSON_ROW};

const struct opts cmd_data_list_options = {
    .command = "hubbub data list",
    .summary = "data sets that lie on this machine, and where to get those that do not",
    .usage = "[--json]",
    .examples = "  hubbub data list\n",
    .table = list_table,
    .n = sizeof list_table / sizeof list_table[0],
    .no_environment = true};

const struct opts cmd_data_info_options = {
    .command = "hubbub data info",
    .summary = "what a data set is: shape, types, classes, missing values, fingerprint",
    .usage = "FILE [OPTIONS]",
    .examples = "  hubbub data info fashion-mnist\n"
                "  hubbub data info patients.csv --label diagnosis --ignore patient_id\n",
    .table = data_table,
    .n = sizeof data_table / sizeof data_table[0],
    .no_environment = true};

const struct opts cmd_data_stats_options = {
    .command = "hubbub data stats",
    .summary = "statistics of a table's columns: with --json, what `data agree` sends of it",
    .usage = "FILE [OPTIONS]",
    .examples = "  hubbub data stats patients.csv --label diagnosis\n",
    .table = data_table,
    .n = sizeof data_table / sizeof data_table[0],
    .no_environment = true};

void data_print_json(json_t *o)
{
    json_dumpf(o, stdout, JSON_REAL_PRECISION(17) | JSON_COMPACT);
    putchar('\n');
    json_decref(o);
}

/* The one operand, FILE, in the place of --data. */
int data_parse(const struct opts *o, void *flags, struct data_options *data, int argc, char **argv,
               struct error *err)
{
    int n, rc = opts_parse(o, flags, argc, argv, &n, err);
    if (rc == 0 && n > 1)
        rc = error_set(err, ERR_USAGE, "%s takes one FILE, not also '%s'", o->command, argv[2]);
    if (rc == 0 && n == 1)
        data->spec = argv[1];
    return rc;
}

/* ---- list ------------------------------------------------------------------------------------ */

#define SKLEARN "/usr/lib/python3/dist-packages/sklearn/datasets/data/"

static const struct {
    const char *name, *path, *package, *what;
} known[] = {
    {"fashion-mnist", "/usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz",
     "dataset-fashion-mnist", "70,000 images of 28x28, 10 classes"},
    {"breast cancer", SKLEARN "breast_cancer.csv", "python3-sklearn",
     "569 rows, 30 columns, 2 classes"},
    {"digits", SKLEARN "digits.csv.gz", "python3-sklearn", "1,797 images of 8x8, 10 classes"},
    {"wine", SKLEARN "wine_data.csv", "python3-sklearn", "178 rows, 13 columns, 3 classes"},
};

static int list(int argc, char **argv, struct error *err)
{
    struct flags f = {0};
    int n, rc = opts_parse(&cmd_data_list_options, &f, argc, argv, &n, err);
    json_t *sets = json_array();
    for (size_t i = 0; rc == 0 && i < sizeof known / sizeof known[0]; i++) {
        bool here = access(known[i].path, R_OK) == 0;
        json_array_append_new(sets, json_pack("{s:s, s:s, s:b, s:s, s:s}", "name", known[i].name,
                                              "path", known[i].path, "here", here, "what",
                                              known[i].what, "package", known[i].package));
        if (!f.json)
            printf("%-14s %-34s %s%s\n", known[i].name, known[i].what,
                   here ? "" : "apt-get install ", here ? known[i].path : known[i].package);
    }
    if (rc == 0 && !f.json)
        printf("%-14s %-34s %s\n", "blobs", "synthetic, as many as you like",
               "blobs:classes=10,features=20,train=10000");
    if (rc == 0 && f.json)
        data_print_json(json_pack("{s:O}", "sets", sets));
    json_decref(sets);
    return rc;
}

/* ---- info ------------------------------------------------------------------------------------ */

void data_class_name(const struct data_pair *data, uint32_t class, char *text, size_t size)
{
    if (data->class_names != NULL)
        snprintf(text, size, "%s", data->class_names[class]);
    else
        snprintf(text, size, "%" PRIu32, class);
}

static json_t *histogram(const struct data_pair *data, const struct dataset *set)
{
    json_t *o = json_object();
    uint32_t *counts = MEM_NEW(uint32_t, set->shape.n_classes);
    for (uint32_t i = 0; i < set->n_samples; i++)
        counts[dataset_target(set, i).class]++;
    for (uint32_t c = 0; c < set->shape.n_classes; c++) {
        char name[SCHEMA_NAME_MAX];
        data_class_name(data, c, name, sizeof name);
        json_object_set_new(o, name, json_integer(counts[c]));
    }
    free(counts);
    return o;
}

static json_t *info_json(const struct data_pair *data)
{
    const struct data_shape *shape = &data->train.shape;
    json_t *o =
        json_pack("{s:s, s:I, s:I, s:i, s:s, s:i}", "name", data->name, "train",
                  (json_int_t)data->train.n_samples, "test", (json_int_t)data->test.n_samples,
                  "features", (int)shape->n_features, "type", elements[data->train.x.element].descr,
                  "classes", (int)shape->n_classes);
    if (shape->image[0] > 0)
        json_object_set_new(
            o, "image",
            json_pack("[i,i,i]", (int)shape->image[0], (int)shape->image[1], (int)shape->image[2]));
    if (shape->n_tokens > 0)
        json_object_set_new(o, "tokens", json_integer(shape->n_tokens));
    if (shape->n_classes > 0) {
        json_object_set_new(o, "train_classes", histogram(data, &data->train));
        json_object_set_new(o, "test_classes", histogram(data, &data->test));
    }
    if (data->schema == NULL)
        return o;
    json_t *missing = json_object();
    for (uint32_t i = 0; i < data->schema->n_columns; i++)
        if (data->schema->columns[i].n_missing > 0)
            json_object_set_new(missing, data->schema->columns[i].name,
                                json_integer((json_int_t)data->schema->columns[i].n_missing));
    json_object_set_new(o, "missing", missing);
    json_object_set_new(o, "columns", json_integer(data->schema->n_columns));
    json_object_set_new(o, "label", json_string(data->schema->label.name));
    return o;
}

static void print_info(json_t *o)
{
    const char *key;
    json_t *value, *test = json_object_get(o, "test_classes");
    printf("%s\n", json_string_value(json_object_get(o, "name")));
    printf("  samples   %lld to train on, %lld to test on\n",
           (long long)json_integer_value(json_object_get(o, "train")),
           (long long)json_integer_value(json_object_get(o, "test")));
    printf("  features  %lld (%s)", (long long)json_integer_value(json_object_get(o, "features")),
           json_string_value(json_object_get(o, "type")));
    json_t *image = json_object_get(o, "image");
    for (size_t i = 0; i < json_array_size(image); i++)
        printf("%s%lld", i == 0 ? ", image " : "x",
               (long long)json_integer_value(json_array_get(image, i)));
    printf("\n  target    %s\n", test != NULL ? "classes" : "a real number");
    json_object_foreach(json_object_get(o, "train_classes"), key, value)
        printf("    %-20s %8lld %8lld\n", key, (long long)json_integer_value(value),
               (long long)json_integer_value(json_object_get(test, key)));
    json_object_foreach(json_object_get(o, "missing"), key, value)
        printf("  missing   %lld in '%s'\n", (long long)json_integer_value(value), key);
}

static int info(int argc, char **argv, struct error *err)
{
    struct flags f = {0};
    struct data_pair data;
    int rc = data_parse(&cmd_data_info_options, &f, &f.data, argc, argv, err);
    if (rc != 0)
        return rc;
    rc = data_open(&data, f.data.spec, &f.data, err);
    if (rc != 0)
        return rc;
    json_t *o = info_json(&data);
    if (f.json) {
        data_print_json(o);
    } else {
        print_info(o);
        json_decref(o);
    }
    data_close(&data);
    return 0;
}

/* ---- stats ----------------------------------------------------------------------------------- */

static void print_column(const struct column *c)
{
    printf("%-28.28s ", c->name);
    if (c->kind == COLUMN_NUMBER)
        printf("%8" PRIu64 " %12.6g %12.6g %12.6g %12.6g", c->stats.count, c->stats.mean,
               stats_deviation(&c->stats), c->stats.min, c->stats.max);
    for (uint32_t i = 0; i < c->categories.n; i++)
        printf("%s%s %" PRIu64, i > 0 ? ", " : "", c->categories.names[i], c->categories.counts[i]);
    if (c->n_missing > 0)
        printf("  (%" PRIu64 " missing)", c->n_missing);
    printf("\n");
}

static int stats(int argc, char **argv, struct error *err)
{
    struct flags f = {0};
    struct memory *memory = NULL;
    struct source source;
    struct summary s = {0};
    int rc = data_parse(&cmd_data_stats_options, &f, &f.data, argc, argv, err);
    if (rc != 0)
        return rc;
    rc = source_open(&source, &memory, f.data.spec, err);
    if (rc == 0 && source_format(&source) != FORMAT_TABLE)
        rc = error_set(err, ERR_DATA, "%s: no table (right: CSV or TSV, plain or gzip)",
                       f.data.spec);
    if (rc == 0)
        rc = table_summarise(&s, &source, &f.data, err);
    if (rc == 0 && f.json) {
        data_print_json(summary_to_json(&s));
    } else if (rc == 0) {
        printf("%-28s %8s %12s %12s %12s %12s\n", "column", "count", "mean", "deviation", "min",
               "max");
        for (uint32_t i = 0; i < s.n_columns; i++)
            print_column(&s.columns[i]);
        print_column(&s.label);
    }
    summary_close(&s);
    memory_close(&memory);
    return rc;
}

/* ---- the command ----------------------------------------------------------------------------- */

static const struct {
    const char *name;
    int (*run)(int argc, char **argv, struct error *err);
} commands[] = {{"list", list},
                {"info", info},
                {"stats", stats},
                {"split", data_split},
                {"convert", data_convert}};

enum { N_COMMANDS = sizeof commands / sizeof commands[0] };

static void help(FILE *out)
{
    fprintf(
        out,
        "usage: hubbub data list | info FILE | stats FILE | split FILE | convert A B | agree\n\n"
        "  list    data sets on this machine\n"
        "  info    shape, types, classes, missing values, fingerprint\n"
        "  stats   statistics of a table's columns\n"
        "  split   who gets what under a --partition, as a table and as SVG\n"
        "  convert samples and labels as .npy, .npz, .csv or .tsv\n"
        "  agree   peers with private files agree on columns, classes, statistics\n\n"
        "'hubbub data COMMAND --help' tells the rest.\n");
}

int cmd_data(int argc, char **argv)
{
    struct error err = {0};
    const char *names[N_COMMANDS + 1] = {[N_COMMANDS] = "agree"};
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        help(argc < 2 ? stderr : stdout);
        return argc < 2 ? 2 : 0;
    }
    for (int i = 0; i < N_COMMANDS; i++) {
        names[i] = commands[i].name;
        if (strcmp(argv[1], names[i]) != 0)
            continue;
        int rc = commands[i].run(argc - 1, argv + 1, &err);
        if (rc < 0)
            log_error("%s", err.text);
        return rc == OPTS_DONE ? 0 : -rc;
    }
    const char *nearest = parse_nearest(argv[1], names, N_COMMANDS + 1);
    log_error("hubbub data: no command '%s'%s%s%s", argv[1], nearest ? "; did you mean '" : "",
              nearest ? nearest : "", nearest ? "'?" : "");
    return 2;
}
