#include "model/meta.h"

#include "data/memory.h"
#include "data/schema.h"

#include "base/check.h"
#include "base/mem.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

/* ---- hashes -------------------------------------------------------------------------------- */

struct weights_hash {
    XXH3_state_t *state;
};

static void hash_text(uint64_t hash, char text[META_HASH_MAX])
{
    snprintf(text, META_HASH_MAX, "%016" PRIx64, hash);
}

struct weights_hash *weights_hash_new(void)
{
    struct weights_hash *h = MEM_NEW(struct weights_hash, 1);
    h->state = XXH3_createState();
    CHECK(h->state != NULL);
    XXH3_64bits_reset(h->state);
    return h;
}

void weights_hash_add(struct weights_hash *h, const char *name, const float *values, uint64_t n)
{
    XXH3_64bits_update(h->state, name, strlen(name) + 1);
    XXH3_64bits_update(h->state, values, n * sizeof *values);
}

void weights_hash_end(struct weights_hash *h, char text[META_HASH_MAX])
{
    hash_text(XXH3_64bits_digest(h->state), text);
    XXH3_freeState(h->state);
    free(h);
}

static int by_name(const void *a, const void *b)
{
    const struct tensor_info *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

void weights_hash(const struct model *m, const float *theta, char text[META_HASH_MAX])
{
    const struct tensor_info *sorted[MODEL_TENSORS_MAX];
    struct weights_hash *h = weights_hash_new();
    for (uint32_t i = 0; i < m->n_tensors; i++)
        sorted[i] = &m->tensors[i];
    qsort(sorted, m->n_tensors, sizeof *sorted, by_name);
    for (uint32_t i = 0; i < m->n_tensors; i++) {
        uint64_t n = 1;
        for (uint32_t d = 0; d < sorted[i]->n_dims; d++)
            n *= sorted[i]->shape[d];
        weights_hash_add(h, sorted[i]->name, theta + sorted[i]->offset, n);
    }
    weights_hash_end(h, text);
}

void meta_fingerprint(const json_t *meta, char text[META_HASH_MAX])
{
    static const char *const keys[] = {"model",         "input",  "output",
                                       "preprocessing", "labels", "schema"};
    text[0] = '\0';
    if (!json_is_string(json_object_get(meta, "model")))
        return;
    json_t *part = json_object();
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        json_object_set(part, keys[i], json_object_get(meta, keys[i]));
    char *dump = json_dumps(part, JSON_COMPACT | JSON_SORT_KEYS | JSON_REAL_PRECISION(17));
    CHECK(dump != NULL);
    hash_text(XXH3_64bits(dump, strlen(dump)), text);
    free(dump);
    json_decref(part);
}

/* ---- the object ---------------------------------------------------------------------------- */

static json_t *input_of(const struct data_shape *s)
{
    json_t *input = json_pack("{s:i}", "features", (int)s->n_features);
    if (s->image[0] > 0)
        json_object_set_new(
            input, "image",
            json_pack("[i, i, i]", (int)s->image[0], (int)s->image[1], (int)s->image[2]));
    if (s->n_tokens > 0)
        json_object_set_new(input, "tokens", json_integer(s->n_tokens));
    return input;
}

static json_t *list_of(const float *values, uint32_t n)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < n; i++)
        json_array_append_new(list, json_real((double)values[i]));
    return list;
}

/* A feature is (x - shift) * scale: one number for all, or a list of one each. */
static json_t *preprocessing_of(const struct data_pair *data)
{
    const struct dataset *set = &data->train;
    uint32_t n = set->shape.n_features;
    json_t *o = set->shift == NULL ? json_pack("{s:f}", "scale", (double)set->scale_all)
                                   : json_pack("{s:o, s:o}", "shift", list_of(set->shift, n),
                                               "scale", list_of(set->scale, n));
    if (data->layout[0] != '\0')
        json_object_set_new(o, "layout", json_string(data->layout));
    return o;
}

/* Without the counts of each peer. */
static json_t *schema_of(const struct data_pair *data)
{
    json_t *schema = schema_to_json(data->schema);
    json_object_del(schema, "peers");
    return schema;
}

static json_t *labels_of(const struct data_pair *data)
{
    json_t *list = json_array();
    for (uint32_t c = 0; c < data->train.shape.n_classes; c++)
        json_array_append_new(list, json_string(data->class_names[c]));
    return list;
}

json_t *meta_new(const struct model *m, const struct data_pair *data)
{
    const struct dataset *set = &data->train;
    char fingerprint[META_HASH_MAX];
    json_t *meta = json_pack("{s:i, s:s, s:o, s:{s:i}, s:o}", "format", 1, "model", m->spec,
                             "input", input_of(&set->shape), "output", "classes",
                             (int)set->shape.n_classes, "preprocessing", preprocessing_of(data));
    CHECK(meta != NULL);
    if (data->class_names != NULL)
        json_object_set_new(meta, "labels", labels_of(data));
    if (data->schema != NULL)
        json_object_set_new(meta, "schema", schema_of(data));
    meta_fingerprint(meta, fingerprint);
    json_object_set_new(meta, "fingerprint", json_string(fingerprint));
    return meta;
}

/* ---- reading it back ----------------------------------------------------------------------- */

static int meta_error(const struct model_file *f, struct error *err, const char *key,
                      const char *right)
{
    return error_set(err, ERR_DATA, "%s: metadata: \"%s\" is not %s", f->path, key, right);
}

/* A whole number in [min, UINT32_MAX]. */
static bool get_u32(const json_t *object, const char *key, json_int_t min, uint32_t *value)
{
    const json_t *number = json_object_get(object, key);
    json_int_t n = json_integer_value(number);
    *value = (uint32_t)n;
    return json_is_integer(number) && n >= min && n <= UINT32_MAX;
}

static int get_shape(const struct model_file *f, struct data_shape *s, struct error *err)
{
    const json_t *input = json_object_get(f->meta, "input");
    const json_t *image = json_object_get(input, "image");
    *s = (struct data_shape){0};
    if (!get_u32(input, "features", 1, &s->n_features))
        return meta_error(f, err, "input", "an object with \"features\" from 1 on");
    if (!get_u32(json_object_get(f->meta, "output"), "classes", 0, &s->n_classes))
        return meta_error(f, err, "output", "an object with \"classes\" from 0 on");
    if (json_object_get(input, "tokens") != NULL && !get_u32(input, "tokens", 1, &s->n_tokens))
        return meta_error(f, err, "tokens", "a whole number from 1 on");
    if (image == NULL)
        return 0;
    uint64_t product = 1;
    for (size_t i = 0; i < 3; i++) {
        json_int_t n = json_integer_value(json_array_get(image, i));
        bool fits = n >= 1 && n <= s->n_features && product <= s->n_features;
        s->image[i] = fits ? (uint32_t)n : 0;
        product *= s->image[i];
    }
    if (json_array_size(image) != 3 || product != s->n_features)
        return meta_error(f, err, "image", "[channels, height, width] of \"features\" in all");
    return 0;
}

static int check_shape(const struct model_file *f, const struct data_shape *model,
                       const struct data_shape *data, struct error *err)
{
    const struct {
        const char *what;
        uint32_t model, data;
    } sizes[] = {{"features", model->n_features, data->n_features},
                 {"classes", model->n_classes, data->n_classes},
                 {"kinds of tokens", model->n_tokens, data->n_tokens}};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        if (sizes[i].model != sizes[i].data)
            return error_set(err, ERR_DATA,
                             "%s: its model is for data of %" PRIu32 " %s, this data has %" PRIu32,
                             f->path, sizes[i].model, sizes[i].what, sizes[i].data);
    return 0;
}

int meta_model(const struct model_file *f, const char *spec, const struct data_shape *shape,
               struct model *m, struct error *err)
{
    struct data_shape own;
    const json_t *text = json_object_get(f->meta, "model");
    if (text == NULL) {
        if (spec == NULL || shape == NULL)
            return error_set(err, shape == NULL ? ERR_DATA : ERR_USAGE,
                             "%s: its metadata names no model%s", f->path,
                             shape != NULL ? ": say which with --model" : "");
        return model_parse(m, spec, *shape, err);
    }
    if (!json_is_string(text))
        return meta_error(f, err, "model", "a string");
    if (strpbrk(json_string_value(text), "@/") != NULL)
        return meta_error(f, err, "model", "a model's text (files are named in --model alone)");
    if (get_shape(f, &own, err) != 0)
        return err->code;
    if (model_parse(m, json_string_value(text), own, err) != 0) {
        err->code = ERR_DATA;
        return error_prefix(err, "%s: metadata", f->path);
    }
    if (spec != NULL) {
        struct model *said = MEM_NEW(struct model, 1);
        int rc = model_parse(said, spec, own, err);
        if (rc == 0 && strcmp(said->spec, m->spec) != 0)
            rc = error_set(err, ERR_USAGE, "--model %.150s: %s holds a %.150s", said->spec, f->path,
                           m->spec);
        free(said);
        if (rc != 0)
            return rc;
    }
    return shape != NULL ? check_shape(f, &own, shape, err) : 0;
}

int meta_schema(const struct model_file *f, struct schema *schema, struct error *err)
{
    const json_t *json = json_object_get(f->meta, "schema");
    *schema = (struct schema){0};
    if (json == NULL)
        return 0;
    if (schema_from_json(schema, json, err) != 0)
        return error_prefix(err, "%s: metadata: \"schema\"", f->path);
    return 1;
}

int meta_layout(const struct model_file *f, struct layout *layout, struct error *err)
{
    const json_t *text = json_object_get(json_object_get(f->meta, "preprocessing"), "layout");
    *layout = (struct layout){0};
    if (text == NULL)
        return 0;
    if (!json_is_string(text) || layout_parse(json_string_value(text), layout, err) != 0)
        return meta_error(f, err, "layout", "a layout such as \"chw:1x8x8\"");
    return 0;
}

int meta_check_size(const json_t *meta, struct error *err)
{
    enum { FOR_THE_REST = 1 << 16 };
    size_t n = json_dumpb(meta, NULL, 0, JSON_REAL_PRECISION(17));
    if (n <= FILE_METADATA_MAX - FOR_THE_REST)
        return 0;
    return error_set(
        err, ERR_DATA,
        "what a model file says of this data takes %zu bytes (right: at most %d; fewer "
        "columns or categories)",
        n, FILE_METADATA_MAX - FOR_THE_REST);
}

const char *meta_label(const json_t *meta, uint32_t class)
{
    return json_string_value(json_array_get(json_object_get(meta, "labels"), class));
}

int meta_check_labels(const struct model_file *f, const struct data_pair *data, struct error *err)
{
    uint32_t n = data->train.shape.n_classes;
    for (uint32_t c = 0; data->class_names != NULL && c < n; c++) {
        const char *label = meta_label(f->meta, c);
        if (label != NULL && strcmp(label, data->class_names[c]) != 0)
            return error_set(err, ERR_DATA,
                             "%s: its class %" PRIu32 " is '%.60s', that of this data '%.60s' "
                             "(right: data with the classes that it was trained on)",
                             f->path, c, label, data->class_names[c]);
    }
    return 0;
}

/* The n numbers of a list, in memory of the data; NULL where it is not such a list. */
static const float *numbers_of(const json_t *list, uint32_t n, struct data_pair *data)
{
    if (json_array_size(list) != n)
        return NULL;
    float *values = memory_alloc(&data->memory, n * sizeof *values);
    for (uint32_t i = 0; values != NULL && i < n; i++) {
        if (!json_is_number(json_array_get(list, i)))
            return NULL;
        values[i] = (float)json_number_value(json_array_get(list, i));
    }
    return values;
}

int meta_apply(const struct model_file *f, struct data_pair *data, struct dataset *set,
               struct error *err)
{
    const json_t *preprocessing = json_object_get(f->meta, "preprocessing");
    const json_t *scale = json_object_get(preprocessing, "scale");
    const json_t *shift = json_object_get(preprocessing, "shift");
    if (preprocessing == NULL)
        return 0;
    set->shift = set->scale = NULL;
    if (json_is_number(scale) && shift == NULL) {
        set->scale_all = (float)json_number_value(scale);
        return 0;
    }
    set->shift = numbers_of(shift, set->shape.n_features, data);
    set->scale = numbers_of(scale, set->shape.n_features, data);
    if (set->shift == NULL || set->scale == NULL)
        return meta_error(f, err, "preprocessing",
                          "a number \"scale\", or lists \"shift\" and \"scale\" with a number for "
                          "each feature");
    return 0;
}
