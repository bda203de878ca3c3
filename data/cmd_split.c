/* hubbub data split: who gets what, how far from the whole, and that nothing is lost or twice. */
#include "data/cmd_data_inner.h"

#include "base/mem.h"
#include "data/partition.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SHOWN_MAX = 50, SVG_PEERS_MAX = 200 };

struct flags {
    struct data_options data;
    struct partition partition;
    uint64_t n, seed;
    const char *svg;
    bool json;
};

#define F(field) offsetof(struct flags, field)

static const struct opt table[] = {
    DATA_OPTIONS(struct flags, data),
    {"partition", OPT_CUSTOM, F(partition), "HOW", "iid", "as of hubbub node", "split",
     .parse = partition_parse},
    {"peers", OPT_U64, F(n), "N", "5", "how many share the data", 0, 1, 1000000, .letter = 'n'},
    {"seed", OPT_U64, F(seed), "N", "1", "as of hubbub node"},
    {"svg", OPT_STRING, F(svg), "FILE", "", "also draw the classes of each peer", "result"},
    {"json", OPT_SWITCH, F(json), 0, 0, "the result on stdout as one JSON object"},
};

const struct opts cmd_data_split_options = {
    .command = "hubbub data split",
    .summary = "who gets what under a partition, and how far that is from the whole",
    .usage = "FILE [-n N] [--partition HOW] [--svg FILE]",
    .examples =
        "  hubbub data split fashion-mnist -n 10 --partition dirichlet:0.1 --svg split.svg\n"
        "  hubbub data split patients.csv -n 3 --partition by:hospital\n",
    .table = table,
    .n = sizeof table / sizeof table[0],
    .no_environment = true};

struct report {
    const struct data_pair *data;
    const struct flags *flags;
    uint32_t n, n_classes;
    uint32_t *sizes;  /* [n] */
    uint32_t *counts; /* [n, n_classes] */
    double *whole;    /* [n_classes], shares */
    double distance;  /* mean over peers */
    uint64_t n_rows, n_twice, n_missed;
};

/* Total variation between a peer's classes and the whole's: half the sum of |p - q|. */
static double distance_of(const struct report *r, uint32_t i)
{
    double sum = 0;
    for (uint32_t c = 0; c < r->n_classes; c++)
        sum += fabs((double)r->counts[(size_t)i * r->n_classes + c] / r->sizes[i] - r->whole[c]);
    return sum / 2;
}

static void count(struct report *r, const struct split *split)
{
    const struct dataset *set = &r->data->train;
    uint8_t *seen = MEM_NEW(uint8_t, set->n_samples);
    for (uint32_t i = 0; i < r->n; i++) {
        struct shard shard = split_shard(split, i);
        r->sizes[i] = shard.n;
        r->n_rows += shard.n;
        for (uint32_t k = 0; k < shard.n; k++) {
            uint32_t row = shard_row(&shard, k);
            r->n_twice += seen[row] == 1;
            seen[row] = seen[row] == 0 ? 1 : 2;
            if (r->n_classes > 0)
                r->counts[(size_t)i * r->n_classes + dataset_target(set, row).class]++;
        }
    }
    for (uint32_t row = 0; row < set->n_samples; row++) {
        r->n_missed += seen[row] == 0;
        if (r->n_classes > 0)
            r->whole[dataset_target(set, row).class] += 1.0 / set->n_samples;
    }
    free(seen);
    for (uint32_t i = 0; i < r->n && r->n_classes > 0; i++)
        r->distance += distance_of(r, i) / r->n;
}

/* ---- what it looks like ---------------------------------------------------------------------- */

static void print_json(const struct report *r)
{
    json_t *peers = json_array();
    for (uint32_t i = 0; i < r->n; i++) {
        json_t *peer = json_object(), *classes = json_array();
        for (uint32_t c = 0; c < r->n_classes; c++)
            json_array_append_new(classes, json_integer(r->counts[(size_t)i * r->n_classes + c]));
        json_object_set_new(peer, "rows", json_integer(r->sizes[i]));
        json_object_set_new(peer, "classes", classes);
        if (r->n_classes > 0)
            json_object_set_new(peer, "distance", json_real(distance_of(r, i)));
        json_array_append_new(peers, peer);
    }
    data_print_json(json_pack(
        "{s:s, s:s, s:I, s:f, s:b, s:b, s:o}", "data", r->data->name, "partition",
        r->flags->partition.text, "samples", (json_int_t)r->data->train.n_samples, "distance",
        r->distance, "disjoint", r->n_twice == 0, "complete", r->n_missed == 0, "peers", peers));
}

static void print_table(const struct report *r)
{
    enum { COLUMNS = 12 };
    char name[SCHEMA_NAME_MAX];
    uint32_t n_columns = r->n_classes < COLUMNS ? r->n_classes : COLUMNS;
    printf("%-6s %9s %9s", "peer", "rows", "distance");
    for (uint32_t c = 0; c < n_columns; c++) {
        data_class_name(r->data, c, name, sizeof name);
        printf(" %8.8s", name);
    }
    printf("%s\n", n_columns < r->n_classes ? " ..." : "");
    for (uint32_t i = 0; i < r->n && i < SHOWN_MAX; i++) {
        printf("%-6" PRIu32 " %9" PRIu32 " %9.3f", i + 1, r->sizes[i],
               r->n_classes > 0 ? distance_of(r, i) : 0);
        for (uint32_t c = 0; c < n_columns; c++)
            printf(" %8" PRIu32, r->counts[(size_t)i * r->n_classes + c]);
        printf("\n");
    }
    if (r->n > SHOWN_MAX)
        printf("... and %" PRIu32 " more\n", r->n - SHOWN_MAX);
    printf("%" PRIu64 " rows of %" PRIu32 ": %" PRIu64 " twice (%s), %" PRIu64 " nowhere (%s)\n",
           r->n_rows, r->data->train.n_samples, r->n_twice,
           r->n_twice == 0 ? "disjoint" : "not disjoint", r->n_missed,
           r->n_missed == 0 ? "complete" : "not complete");
    if (r->n_classes > 0)
        printf("mean total-variation distance to the whole: %.3f (0: all alike; %.3f: one class "
               "each)\n",
               r->distance, 1 - 1.0 / r->n_classes);
}

/* A row a peer, a stretch of it a class. */
static int draw(const struct report *r, struct error *err)
{
    enum { LEFT = 60, WIDTH = 600, HEIGHT = 16, GAP = 4, TOP = 30 };
    uint32_t n = r->n < SVG_PEERS_MAX ? r->n : SVG_PEERS_MAX, largest = 1;
    FILE *f = fopen(r->flags->svg, "we");
    if (f == NULL)
        return error_set(err, ERR_FAILURE, "%s: %s", r->flags->svg, strerror(errno));
    for (uint32_t i = 0; i < n; i++)
        largest = r->sizes[i] > largest ? r->sizes[i] : largest;
    fprintf(f,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%" PRIu32
            "\" font-family=\"sans-serif\" font-size=\"12\">\n"
            "<text x=\"4\" y=\"18\">%s, %" PRIu32 " peers: distance %.3f</text>\n",
            LEFT + WIDTH + 80, TOP + n * (HEIGHT + GAP) + GAP, r->flags->partition.text, r->n,
            r->distance);
    for (uint32_t i = 0; i < n; i++) {
        double x = LEFT;
        uint32_t y = TOP + i * (HEIGHT + GAP);
        fprintf(f, "<text x=\"4\" y=\"%" PRIu32 "\">peer %" PRIu32 "</text>\n", y + 13, i + 1);
        for (uint32_t c = 0; c < r->n_classes; c++) {
            double w = (double)WIDTH * r->counts[(size_t)i * r->n_classes + c] / largest;
            if (w > 0)
                fprintf(f,
                        "<rect x=\"%.1f\" y=\"%" PRIu32 "\" width=\"%.1f\" height=\"%d\" "
                        "fill=\"hsl(%u,65%%,55%%)\"/>\n",
                        x, y, w, HEIGHT, 360 * c / r->n_classes);
            x += w;
        }
        fprintf(f, "<text x=\"%.1f\" y=\"%" PRIu32 "\">%" PRIu32 "</text>\n", x + 4, y + 13,
                r->sizes[i]);
    }
    fputs("</svg>\n", f);
    bool good = ferror(f) == 0;
    if (fclose(f) != 0 || !good)
        return error_set(err, ERR_FAILURE, "%s: cannot be written: %s", r->flags->svg,
                         strerror(errno));
    return 0;
}

static int report(const struct data_pair *data, const struct flags *f, struct error *err)
{
    struct report r = {.data = data, .flags = f, .n = (uint32_t)f->n};
    struct split split;
    int rc = split_init(&split, &data->train, &f->partition, r.n, f->seed, err);
    if (rc != 0)
        return rc;
    r.n_classes = data->train.shape.n_classes;
    r.sizes = MEM_NEW(uint32_t, r.n);
    r.counts = MEM_NEW(uint32_t, (size_t)r.n * r.n_classes);
    r.whole = MEM_NEW(double, r.n_classes);
    count(&r, &split);
    if (f->json)
        print_json(&r);
    else
        print_table(&r);
    if (f->svg[0] != '\0')
        rc = draw(&r, err);
    free(r.sizes);
    free(r.counts);
    free(r.whole);
    split_close(&split);
    return rc;
}

int data_split(int argc, char **argv, struct error *err)
{
    struct flags f = {0};
    struct data_pair data;
    int rc = data_parse(&cmd_data_split_options, &f, &f.data, argc, argv, err);
    if (rc != 0)
        return rc;
    f.data.group = f.partition.kind == PARTITION_BY ? f.partition.column : NULL;
    rc = data_open(&data, f.data.spec, &f.data, err);
    if (rc != 0)
        return rc;
    rc = report(&data, &f, err);
    data_close(&data);
    return rc;
}
