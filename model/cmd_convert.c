/* hubbub convert: a model file in another format or precision. */
#include "model/cmd_model.h"

#include "base/log.h"
#include "base/mem.h"
#include "model/meta.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct flags {
    int dtype; /* N_DTYPES: as it is */
    bool force;
};

static const char *const dtype_choices[] = {"f32", "f16", "bf16", "f64", "keep", NULL};

static const struct opt table[] = {
    {"dtype", OPT_CHOICE, offsetof(struct flags, dtype), "TYPE", "keep",
     "f32, f16, bf16 (.safetensors alone), f64, or keep what each tensor has", "options", 0, 0,
     dtype_choices},
    {"force", OPT_SWITCH, offsetof(struct flags, force), 0, 0, "write over a file that is there"},
};

const struct opts cmd_convert_options = {
    .command = "hubbub convert",
    .summary = "writes a model file in another format or precision",
    .usage = "FROM TO [OPTIONS]",
    .examples = "  hubbub convert model.npz model.safetensors\n"
                "  hubbub convert model.safetensors small.safetensors --dtype bf16\n"
                "  hubbub convert from-torch.npz from-torch.npz --dtype f32 --force\n",
    .table = table,
    .n = sizeof table / sizeof table[0],
    .no_environment = true};

/* The elements of tensor `from`, as the dtype of `to`. */
static int read_as(const struct model_file *f, const struct file_tensor *from,
                   const struct file_tensor *to, uint8_t *bytes, struct error *err)
{
    enum { CHUNK = 4096 };
    double values[CHUNK];
    struct file_cursor c;
    uint32_t n;
    int rc = file_cursor_open(&c, f, from, err);
    while (rc == 0 && (rc = file_cursor_next(&c, values, CHUNK, &n, err)) == 0 && n > 0) {
        uint64_t first = c.next - n;
        for (uint32_t i = 0; i < n; i++)
            if (!isfinite(values[i]))
                return file_tensor_error(f, from, err,
                                         "element %" PRIu64 " is %s (right: a finite "
                                         "number)",
                                         first + i, isnan(values[i]) ? "NaN" : "infinite");
        size_t good = dtype_encode(to->dtype, values, bytes + first * dtype_bytes(to->dtype), n);
        if (good < n)
            return file_tensor_error(f, from, err,
                                     "element %" PRIu64 " is %g (right: at most %g, "
                                     "what %s holds)",
                                     first + good, values[good], dtype_max(to->dtype),
                                     dtype_names[to->dtype]);
    }
    return rc;
}

/* A job in two passes: the hash of the weights as they will be, which the metadata in front of them
 * may hold; then the file. */
struct conversion {
    struct model_file from;
    struct file_tensor *to;
    uint8_t *bytes; /* of the largest tensor */
    float *floats;
};

static int by_name(const void *a, const void *b)
{
    const struct file_tensor *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

static int set_hash(struct conversion *c, struct error *err)
{
    char text[META_HASH_MAX];
    uint32_t n = c->from.n_tensors;
    int rc = 0;
    if (json_object_get(c->from.meta, "weights") == NULL)
        return 0;
    const struct file_tensor **sorted = MEM_NEW(const struct file_tensor *, n);
    struct weights_hash *h = weights_hash_new();
    for (uint32_t i = 0; i < n; i++)
        sorted[i] = &c->to[i];
    qsort(sorted, n, sizeof *sorted, by_name);
    for (uint32_t i = 0; rc == 0 && i < n; i++) {
        const struct file_tensor *to = sorted[i], *from = &c->from.tensors[to - c->to];
        size_t width = dtype_bytes(to->dtype);
        rc = read_as(&c->from, from, to, c->bytes, err);
        for (uint64_t k = 0; rc == 0 && k < to->count; k++) {
            double value;
            dtype_decode(to->dtype, c->bytes + k * width, &value, 1);
            c->floats[k] = (float)value;
        }
        if (rc == 0)
            weights_hash_add(h, to->name, c->floats, to->count);
    }
    weights_hash_end(h, text);
    free(sorted);
    json_object_set_new(c->from.meta, "weights", json_string(text));
    return rc;
}

static int plan(struct conversion *c, enum dtype dtype, struct error *err)
{
    uint64_t count_max = 0;
    c->to = MEM_NEW(struct file_tensor, c->from.n_tensors);
    for (uint32_t i = 0; i < c->from.n_tensors; i++) {
        struct file_cursor unused;
        const struct file_tensor *from = &c->from.tensors[i];
        if (file_cursor_open(&unused, &c->from, from, err) != 0)
            return err->code;
        c->to[i] = *from;
        c->to[i].dtype = dtype < N_DTYPES ? dtype : from->dtype;
        count_max = from->count > count_max ? from->count : count_max;
    }
    c->bytes = malloc(count_max * sizeof(double) + 1);
    c->floats = malloc(count_max * sizeof(float) + 1);
    if (c->bytes == NULL || c->floats == NULL)
        return error_set(err, ERR_FAILURE, "%s: out of memory: a tensor of %" PRIu64 " elements",
                         c->from.path, count_max);
    return 0;
}

static int convert(struct conversion *c, const char *to, struct error *err)
{
    struct file_writer w;
    int rc = set_hash(c, err);
    if (rc == 0)
        rc = file_writer_create(&w, to, c->to, c->from.n_tensors, c->from.meta, err);
    if (rc != 0)
        return rc;
    for (uint32_t i = 0; rc == 0 && i < c->from.n_tensors; i++) {
        rc = read_as(&c->from, &c->from.tensors[i], &c->to[i], c->bytes, err);
        if (rc == 0)
            file_writer_put(&w, c->bytes);
    }
    if (rc == 0)
        return file_writer_commit(&w, err);
    file_writer_drop(&w);
    return rc;
}

static int run(const struct flags *flags, const char *from, const char *to, struct error *err)
{
    struct conversion c = {0};
    enum file_format format;
    int rc = file_format_of(to, &format, err);
    if (rc != 0)
        return rc;
    if (!flags->force && access(to, F_OK) == 0)
        return error_set(err, ERR_USAGE, "%s: is there already (--force writes over it)", to);
    rc = model_file_open(&c.from, from, err);
    if (rc == 0)
        rc = plan(&c, (enum dtype)flags->dtype, err);
    if (rc == 0)
        rc = convert(&c, to, err);
    free(c.bytes);
    free(c.floats);
    free(c.to);
    model_file_close(&c.from);
    return rc;
}

int cmd_convert(int argc, char **argv)
{
    struct flags flags = {0};
    struct error err = {0};
    int n, rc = opts_parse(&cmd_convert_options, &flags, argc, argv, &n, &err);
    if (rc == 0 && n != 2)
        rc = error_set(&err, ERR_USAGE, "hubbub convert takes two files, FROM and TO, not %d", n);
    if (rc == 0)
        rc = run(&flags, argv[1], argv[2], &err);
    if (rc < 0)
        log_error("%s", err.text);
    return rc == OPTS_DONE ? 0 : -rc;
}
