/* hubbub inspect: what a model file holds. */
#include "model/cmd_model.h"

#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "model/meta.h"
#include "model/stage.h"
#include "model/torch.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct flags {
    uint64_t stages;
    bool torch, json;
};

static const struct opt table[] = {
    {"stages", OPT_U64, offsetof(struct flags, stages), "N", "0",
     "cut the model into N stages that take about the same time on this machine", "options", 0,
     1000},
    {"torch", OPT_SWITCH, offsetof(struct flags, torch), 0, 0,
     "a Python file that loads the model into PyTorch"},
    {"json", OPT_SWITCH, offsetof(struct flags, json), 0, 0, "one JSON object on stdout"},
};

const struct opts cmd_inspect_options = {
    .command = "hubbub inspect",
    .summary = "shows what a model file holds: tensors, norms, metadata",
    .usage = "FILE [OPTIONS]",
    .examples = "  hubbub inspect model.npz\n"
                "  hubbub inspect model.safetensors --json\n"
                "  hubbub inspect model.npz --stages 4\n"
                "  hubbub inspect model.npz --torch > net.py && python3 net.py\n",
    .table = table,
    .n = sizeof table / sizeof table[0],
    .no_environment = true};

struct figures {
    double norm, min, max;
    uint64_t n_non_finite;
    bool read;
};

/* Norm, least and greatest of the finite elements. A tensor that is not read is told of. */
static int measure(const struct model_file *f, const struct file_tensor *t, struct figures *g,
                   struct error *err)
{
    enum { CHUNK = 4096 };
    double values[CHUNK], sum = 0;
    struct file_cursor c;
    uint32_t n;
    *g = (struct figures){.min = (double)INFINITY, .max = -(double)INFINITY};
    if (file_cursor_open(&c, f, t, err) != 0)
        return 0;
    int rc;
    while ((rc = file_cursor_next(&c, values, CHUNK, &n, err)) == 0 && n > 0)
        for (uint32_t i = 0; i < n; i++) {
            if (!isfinite(values[i])) {
                g->n_non_finite++;
                continue;
            }
            sum += values[i] * values[i];
            g->min = values[i] < g->min ? values[i] : g->min;
            g->max = values[i] > g->max ? values[i] : g->max;
        }
    g->norm = sqrt(sum);
    g->read = true;
    return rc;
}

static const char *dtype_of(const struct file_tensor *t)
{
    return t->dtype < N_DTYPES ? dtype_names[t->dtype] : t->dtype_text;
}

/* ---- JSON ---------------------------------------------------------------------------------- */

static json_t *tensor_json(const struct file_tensor *t, const struct figures *g)
{
    json_t *o = json_pack("{s:s, s:s}", "name", t->name, "dtype", dtype_of(t));
    json_t *shape = json_array();
    for (uint32_t d = 0; d < t->n_dims; d++)
        json_array_append_new(shape, json_integer((json_int_t)t->shape[d]));
    json_object_set_new(o, "shape", shape);
    if (g->read) {
        json_object_set_new(o, "norm", json_real_or_null(g->norm));
        json_object_set_new(o, "min", json_real_or_null(g->min));
        json_object_set_new(o, "max", json_real_or_null(g->max));
        json_object_set_new(o, "non_finite", json_integer((json_int_t)g->n_non_finite));
    }
    return o;
}

static json_t *stages_json(const struct model *m, const double *costs, const uint32_t *cuts,
                           uint32_t n)
{
    json_t *list = json_array();
    for (uint32_t k = 0; k < n; k++) {
        struct stage s = model_stage(m, cuts[k], cuts[k + 1]);
        double seconds = 0;
        for (uint32_t i = cuts[k]; i < cuts[k + 1]; i++)
            seconds += costs[i];
        json_array_append_new(list, json_pack("{s:[i, i], s:I, s:I, s:f}", "layers", (int)cuts[k],
                                              (int)cuts[k + 1], "offset", (json_int_t)s.offset, "n",
                                              (json_int_t)s.n_params, "ms", 1e3 * seconds));
    }
    return list;
}

static void print_json(const struct model_file *f, const struct figures *g, json_t *stages)
{
    char fingerprint[META_HASH_MAX];
    uint64_t n_elements = 0, n_non_finite = 0;
    json_t *o = json_object(), *tensors = json_array();
    for (uint32_t i = 0; i < f->n_tensors; i++) {
        json_array_append_new(tensors, tensor_json(&f->tensors[i], &g[i]));
        n_elements += f->tensors[i].count;
        n_non_finite += g[i].n_non_finite;
    }
    meta_fingerprint(f->meta, fingerprint);
    json_object_set_new(o, "file", json_string(f->path));
    json_object_set_new(o, "format", json_string(file_format_names[f->format]));
    json_object_set_new(o, "elements", json_integer((json_int_t)n_elements));
    json_object_set_new(o, "non_finite", json_integer((json_int_t)n_non_finite));
    json_object_set_new(o, "fingerprint",
                        fingerprint[0] != '\0' ? json_string(fingerprint) : json_null());
    json_object_set_new(o, "tensors", tensors);
    json_object_set(o, "metadata", f->meta != NULL ? f->meta : json_null());
    if (stages != NULL)
        json_object_set(o, "stages", stages);
    json_dumpf(o, stdout, JSON_REAL_PRECISION(17));
    putchar('\n');
    json_decref(o);
}

/* ---- for people ---------------------------------------------------------------------------- */

/* "12 columns, label 'kind', 569 rows, clean fail, zscore". */
static char *schema_text(const json_t *schema)
{
    const json_t *label = json_object_get(schema, "label"),
                 *how = json_object_get(schema, "preprocess");
    const char *name = json_string_value(json_object_get(label, "name")),
               *clean = json_string_value(json_object_get(how, "clean")),
               *normalize = json_string_value(json_object_get(how, "normalize"));
    char *text = NULL;
    int n = asprintf(&text, "%zu columns, label '%.20s', %lld rows, clean %s, %s",
                     json_array_size(json_object_get(schema, "columns")), name ? name : "?",
                     (long long)json_integer_value(json_object_get(schema, "rows")),
                     clean ? clean : "?", normalize ? normalize : "?");
    return n < 0 ? NULL : text;
}

static void print_meta(const struct model_file *f)
{
    char fingerprint[META_HASH_MAX];
    const char *key;
    json_t *value;
    meta_fingerprint(f->meta, fingerprint);
    json_object_foreach(f->meta, key, value)
    {
        char *text = strcmp(key, "schema") == 0
                         ? schema_text(value)
                         : json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(6));
        const char *shown = json_is_string(value) ? json_string_value(value) : text;
        printf("  %-14s %.70s%s\n", key, shown, strlen(shown) > 70 ? "..." : "");
        if (strcmp(key, "fingerprint") == 0 && strcmp(shown, fingerprint) != 0)
            printf("  %-14s (of what the metadata says now: %s)\n", "", fingerprint);
        free(text);
    }
}

static void print_table(const struct model_file *f, const struct figures *g)
{
    uint64_t n_elements = 0, n_non_finite = 0;
    int width = 6;
    for (uint32_t i = 0; i < f->n_tensors; i++) {
        int n = (int)strlen(f->tensors[i].name);
        width = n > width ? n : width;
        n_elements += f->tensors[i].count;
        n_non_finite += g[i].n_non_finite;
    }
    printf("%s: %s, %" PRIu32 " tensor%s, %" PRIu64 " elements, %" PRIu64 " of them not finite\n",
           f->path, file_format_names[f->format], f->n_tensors, f->n_tensors == 1 ? "" : "s",
           n_elements, n_non_finite);
    print_meta(f);
    printf("\n  %-*s %-6s %-18s %11s %11s %11s %11s\n", width, "tensor", "dtype", "shape", "norm",
           "least", "greatest", "not finite");
    for (uint32_t i = 0; i < f->n_tensors; i++) {
        const struct file_tensor *t = &f->tensors[i];
        char shape[FILE_SHAPE_MAX];
        file_shape_text(shape, t->shape, t->n_dims);
        printf("  %-*s %-6s %-18s", width, t->name, dtype_of(t), shape);
        if (g[i].read && g[i].max >= g[i].min)
            printf(" %11.5g %11.5g %11.5g %11" PRIu64 "\n", g[i].norm, g[i].min, g[i].max,
                   g[i].n_non_finite);
        else
            printf(" %11s %11s %11s %11" PRIu64 "\n", "-", "-", "-", g[i].n_non_finite);
    }
}

static void print_stages(const json_t *stages, uint32_t batch)
{
    size_t k;
    json_t *s;
    double sum = 0;
    json_array_foreach(stages, k, s) sum += json_number_value(json_object_get(s, "ms"));
    printf("\n  %-6s %-10s %-22s %11s %7s   (batch %" PRIu32 ", forward and backward)\n", "stage",
           "layers", "theta", "ms", "share", batch);
    json_array_foreach(stages, k, s)
    {
        char layers[32], range[48];
        json_int_t first, end, offset, n;
        double ms;
        json_unpack(s, "{s:[I, I], s:I, s:I, s:f}", "layers", &first, &end, "offset", &offset, "n",
                    &n, "ms", &ms);
        snprintf(layers, sizeof layers, "%lld-%lld", (long long)first, (long long)end - 1);
        snprintf(range, sizeof range, "%lld-%lld", (long long)offset, (long long)(offset + n));
        printf("  %-6zu %-10s %-22s %11.4f %5.1f %%\n", k + 1, layers, range, ms, 100 * ms / sum);
    }
}

/* ---- the command --------------------------------------------------------------------------- */

enum { BATCH = 64 };

static int cut(const struct model_file *f, const struct model *m, uint32_t n, json_t **stages,
               struct error *err)
{
    if (n > m->n_layers)
        return error_set(err, ERR_USAGE,
                         "--stages: %s has %" PRIu32 " layers, too few for %" PRIu32 " stages",
                         f->path, m->n_layers, n);
    double *costs = MEM_NEW(double, m->n_layers);
    uint32_t *cuts = MEM_NEW(uint32_t, n + 1);
    model_measure(m, BATCH, costs);
    model_cut(m, costs, n, cuts);
    *stages = stages_json(m, costs, cuts, n);
    free(costs);
    free(cuts);
    return 0;
}

static int show(const struct flags *flags, const struct model_file *f, const struct model *m,
                struct error *err)
{
    json_t *stages = NULL;
    struct figures *g = MEM_NEW(struct figures, f->n_tensors);
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < f->n_tensors; i++)
        rc = measure(f, &f->tensors[i], &g[i], err);
    if (rc == 0 && flags->stages > 0)
        rc = cut(f, m, (uint32_t)flags->stages, &stages, err);
    if (rc == 0 && flags->json) {
        print_json(f, g, stages);
    } else if (rc == 0) {
        print_table(f, g);
        if (stages != NULL)
            print_stages(stages, BATCH);
    }
    json_decref(stages);
    free(g);
    return rc;
}

static int run(const struct flags *flags, const char *path, struct error *err)
{
    struct model_file f;
    struct model *m = MEM_NEW(struct model, 1);
    int rc = model_file_open(&f, path, err);
    if (rc == 0 && (flags->torch || flags->stages > 0))
        rc = meta_model(&f, NULL, NULL, m, err);
    if (rc == 0 && flags->torch && flags->json)
        rc = error_set(err, ERR_USAGE, "--torch prints Python, --json JSON: say one of them");
    if (rc == 0 && flags->torch)
        torch_print(&f, m, stdout);
    else if (rc == 0)
        rc = show(flags, &f, m, err);
    model_file_close(&f);
    free(m);
    return rc;
}

int cmd_inspect(int argc, char **argv)
{
    struct flags flags = {0};
    struct error err = {0};
    int n, rc = opts_parse(&cmd_inspect_options, &flags, argc, argv, &n, &err);
    if (rc == 0 && n != 1)
        rc = error_set(&err, ERR_USAGE, "hubbub inspect takes one file, not %d", n);
    if (rc == 0)
        rc = run(&flags, argv[1], &err);
    if (rc < 0)
        log_error("%s", err.text);
    return rc == OPTS_DONE ? 0 : -rc;
}
