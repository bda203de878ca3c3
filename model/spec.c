/* The grammar (docs/MODELS.md):
 *
 *     model  = name [":" sizes] | layers ["," "loss:" loss]
 *     layers = layer {"," layer}
 *     layer  = name [":" arguments] | "res(" layers ["|" layers] ")"
 *
 * A named model is a list of layers under a short name. What is read is written out again as the
 * canonical text: no blanks, no leading zeros, nothing that has its default.
 */
#include "model/spec.h"

#include "base/file.h"
#include "base/mem.h"
#include "base/parse.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct layer_ops *const kinds[] = {
    &layer_dense,   &layer_embed,     &layer_conv,      &layer_maxpool, &layer_avgpool,
    &layer_relu,    &layer_gelu,      &layer_tanh,      &layer_sigmoid, &layer_flatten,
    &layer_dropout, &layer_layernorm, &layer_groupnorm, &layer_res};
enum { N_KINDS = sizeof kinds / sizeof kinds[0] };

enum { DEPTH_MAX = 4, WORD_MAX = 64 };

struct builder {
    struct model *m;
    const char *at; /* what is still to be read */
    size_t n;       /* bytes of canonical text */
    struct shape shape;
    bool columns, is_tokens;
    uint32_t n_out; /* logits that the data asks for */
    int depth;
    char place[TENSOR_NAME_MAX]; /* of the layer being built: "3.body.0" */
    char what[WORD_MAX];         /* and its text, "" before it is read */
    struct error *err;
};

static int bad(const struct builder *b, const char *format, ...) PRINTF(2, 3);

/* "model: layer 3.body.0 (conv:8x3x3): ..." */
static int bad(const struct builder *b, const char *format, ...)
{
    char text[300];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return error_set(b->err, ERR_USAGE, "model: layer %s%s%s%s: %s", b->place,
                     b->what[0] != '\0' ? " (" : "", b->what, b->what[0] != '\0' ? ")" : "", text);
}

static int emit(struct builder *b, const char *format, ...) PRINTF(2, 3);
static int emit(struct builder *b, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(b->m->spec + b->n, MODEL_SPEC_MAX - b->n, format, args);
    va_end(args);
    b->n += (size_t)n;
    if (b->n >= MODEL_SPEC_MAX)
        return error_set(b->err, ERR_USAGE, "model: its text is longer than %d bytes",
                         MODEL_SPEC_MAX - 1);
    return 0;
}

/* ---- arguments of a layer ------------------------------------------------------------------ */

/* A number from min to max at *p, which moves behind it. */
static bool number(const char **p, uint32_t min, uint32_t max, uint32_t *value)
{
    uint64_t v = 0;
    if (!isdigit((unsigned char)**p))
        return false;
    for (; isdigit((unsigned char)**p); (*p)++)
        v = v > max ? v : v * 10 + (uint64_t)(**p - '0');
    *value = (uint32_t)v;
    return v >= min && v <= max;
}

enum { KERNEL_MAX = 1024 };

/* [sSTRIDE][pPADDING] */
static bool moves(const char **p, struct layer *l, uint32_t stride)
{
    l->stride = stride;
    if (**p == 's' && (++*p, !number(p, 1, KERNEL_MAX, &l->stride)))
        return false;
    if (**p == 'p' && (++*p, !number(p, 0, KERNEL_MAX, &l->padding)))
        return false;
    return **p == '\0';
}

static bool read_conv(const char *p, struct layer *l)
{
    return number(&p, 1, MODEL_WIDTH_MAX, &l->size) && *p++ == 'x' &&
           number(&p, 1, KERNEL_MAX, &l->kernel[0]) && *p++ == 'x' &&
           number(&p, 1, KERNEL_MAX, &l->kernel[1]) && moves(&p, l, 1);
}

static bool read_window(const char *p, struct layer *l)
{
    if (!number(&p, 1, KERNEL_MAX, &l->kernel[0]))
        return false;
    l->kernel[1] = l->kernel[0];
    if (*p == 'x' && (p++, !number(&p, 1, KERNEL_MAX, &l->kernel[1])))
        return false;
    return moves(&p, l, l->kernel[0]);
}

static bool read_rate(const char *text, struct layer *l)
{
    double rate;
    if (!parse_f64(text, &rate) || rate < 0 || rate > 0.99)
        return false;
    l->rate = (float)rate;
    return true;
}

static int read_args(struct builder *b, struct layer *l, const char *args)
{
    static const char *const right[] = {
        [ARGS_NONE] = "nothing",
        [ARGS_SIZE] = "a number from 1 to 65536",
        [ARGS_CONV] = "CHANNELSxHEIGHTxWIDTH[sSTRIDE][pPADDING], such as 32x3x3s2p1",
        [ARGS_WINDOW] = "a window, then sSTRIDE and pPADDING if wanted, such as 2 or 3x3s2p1",
        [ARGS_RATE] = "the share to drop, 0 to 0.99",
        [ARGS_INNER] = "(LAYERS) or (LAYERS|SHORTCUT)"};
    const struct layer_ops *ops = l->ops;
    bool good = false;
    if (args == NULL) {
        if (ops->args == ARGS_NONE || ops->args_optional)
            return 0;
        return bad(b, "lacks its arguments (right: %s:, then %s)", ops->name, right[ops->args]);
    }
    switch (ops->args) {
    case ARGS_NONE:
    case ARGS_INNER:
        break;
    case ARGS_SIZE:
        good = number(&args, 1, MODEL_WIDTH_MAX, &l->size) && *args == '\0';
        break;
    case ARGS_CONV:
        good = read_conv(args, l);
        break;
    case ARGS_WINDOW:
        good = read_window(args, l);
        break;
    case ARGS_RATE:
        good = read_rate(args, l);
        break;
    }
    return good ? 0
                : bad(b, "what follows %s: is not understood (right: %s)", ops->name,
                      right[ops->args]);
}

static int emit_layer(struct builder *b, const struct layer *l)
{
    const char *name = l->ops->name;
    char moved[32];
    uint32_t usual = l->ops->args == ARGS_WINDOW ? l->kernel[0] : 1;
    int n = 0;
    moved[0] = '\0';
    if (l->stride != usual)
        n = snprintf(moved, sizeof moved, "s%u", l->stride);
    if (l->padding > 0)
        snprintf(moved + n, sizeof moved - (size_t)n, "p%u", l->padding);
    switch (l->ops->args) {
    case ARGS_SIZE:
        return emit(b, "%s:%u", name, l->size);
    case ARGS_CONV:
        return emit(b, "%s:%ux%ux%u%s", name, l->size, l->kernel[0], l->kernel[1], moved);
    case ARGS_WINDOW:
        if (l->kernel[0] == 0)
            return emit(b, "%s", name);
        if (l->kernel[0] == l->kernel[1])
            return emit(b, "%s:%u%s", name, l->kernel[0], moved);
        return emit(b, "%s:%ux%u%s", name, l->kernel[0], l->kernel[1], moved);
    case ARGS_RATE:
        return emit(b, "%s:%g", name, (double)l->rate);
    case ARGS_NONE:
    case ARGS_INNER:
        break;
    }
    return emit(b, "%s", name);
}

/* ---- layers -------------------------------------------------------------------------------- */

static int append(struct builder *b, const struct layer *l)
{
    struct model *m = b->m;
    if (m->n_nodes == MODEL_NODES_MAX)
        return bad(b, "too many layers (at most %d, inner ones included)", MODEL_NODES_MAX);
    m->nodes[m->n_nodes] = *l;
    m->nodes[m->n_nodes].node = m->n_nodes;
    m->n_nodes++;
    return 0;
}

static int set_layout(struct builder *b, bool columns)
{
    uint32_t n = (uint32_t)shape_count(&b->shape);
    struct layer l = {.ops = &layer_transpose,
                      .in = b->shape,
                      .out = b->shape,
                      .n_in = n,
                      .n_out = n,
                      .columns = columns,
                      .offset = b->m->dim};
    if (columns == b->columns)
        return 0;
    b->columns = columns;
    return append(b, &l);
}

static uint64_t param_count(const struct param *p)
{
    uint64_t n = p->n_dims > 0 ? 1 : 0;
    for (uint32_t d = 0; d < p->n_dims; d++)
        n *= p->shape[d];
    return n;
}

/* A layer that has its arguments takes its place. */
static int add_layer(struct builder *b, struct layer *l)
{
    struct error why;
    char text[SHAPE_TEXT_MAX];
    if (l->ops->plan(l, &why) != 0)
        return bad(b, "%s", why.text);
    uint64_t n_out = shape_count(&l->out);
    l->n_params = param_count(&l->weight) + param_count(&l->bias);
    if (n_out > MODEL_AREA_MAX)
        return bad(b, "gives %s, %" PRIu64 " floats for a sample (at most %d)",
                   shape_name(&l->out, text), n_out, MODEL_AREA_MAX);
    if (l->n_params > MODEL_DIM_MAX - b->m->dim)
        return bad(b, "the model has %" PRIu64 " parameters so far (at most %d)",
                   b->m->dim + l->n_params, MODEL_DIM_MAX);
    bool columns = l->ops->layout == LAYOUT_EITHER    ? b->columns
                   : l->ops->layout == LAYOUT_CHOOSES ? l->ops->wants_columns(l)
                                                      : false;
    if (set_layout(b, columns) != 0)
        return b->err->code;
    l->n_out = (uint32_t)n_out;
    l->columns = columns;
    l->offset = b->m->dim;
    b->m->dim += l->n_params;
    b->shape = l->out;
    return append(b, l);
}

static int build_list(struct builder *b, const char *prefix);

/* One branch of a residual block, back in the layout it began in. */
static int build_branch(struct builder *b, const char *place, const char *name)
{
    char prefix[TENSOR_NAME_MAX];
    bool columns = b->columns;
    snprintf(prefix, sizeof prefix, "%s.%s.", place, name);
    int rc = build_list(b, prefix);
    if (rc == 0) {
        snprintf(b->place, sizeof b->place, "%s", place);
        snprintf(b->what, sizeof b->what, "res");
    }
    return rc != 0 ? rc : set_layout(b, columns);
}

/* What follows "res(". */
static int build_res(struct builder *b)
{
    struct model *m = b->m;
    uint32_t at = m->n_nodes;
    struct layer l = {.ops = &layer_res,
                      .in = b->shape,
                      .columns = b->columns,
                      .offset = m->dim,
                      .n_in = (uint32_t)shape_count(&b->shape)};
    char place[sizeof b->place], body[SHAPE_TEXT_MAX], other[SHAPE_TEXT_MAX];
    memcpy(place, b->place, sizeof place);
    if (++b->depth > DEPTH_MAX)
        return bad(b, "more than %d residual blocks within each other", DEPTH_MAX);
    if (append(b, &l) != 0 || emit(b, "res(") != 0 || build_branch(b, place, "body") != 0)
        return b->err->code;
    m->nodes[at].out = b->shape;
    m->nodes[at].n_out = (uint32_t)shape_count(&b->shape);
    m->nodes[at].n_body = m->n_nodes - at - 1;
    b->shape = l.in;
    bool projects = *b->at == '|';
    if (projects && (b->at++, emit(b, "|") != 0 || build_branch(b, place, "shortcut") != 0))
        return b->err->code;
    m->nodes[at].n_inner = m->n_nodes - at - 1;
    m->nodes[at].n_params = m->dim - l.offset;
    if (*b->at != ')')
        return bad(b, "res( without its ')'");
    b->at++;
    b->depth--;
    if (memcmp(&b->shape, &m->nodes[at].out, sizeof b->shape) != 0)
        return bad(b, "its layers give %s but its shortcut %s%s",
                   shape_name(&m->nodes[at].out, body), shape_name(&b->shape, other),
                   projects ? ""
                            : " (right: a shortcut that projects, as in "
                              "res(...|conv:32x1x1s2))");
    return emit(b, ")");
}

static int unknown(struct builder *b, const char *name);

static int build_layer(struct builder *b)
{
    char word[WORD_MAX], *args;
    size_t n = strcspn(b->at, ",()|");
    b->what[0] = '\0';
    if (n == 0)
        return bad(b, "a layer is missing%s", *b->at == '\0' ? " at the end" : "");
    if (n >= sizeof word)
        return bad(b, "'%.40s...' is no layer", b->at);
    memcpy(word, b->at, n);
    word[n] = '\0';
    b->at += n;
    memcpy(b->what, word, n + 1);
    if ((args = strchr(word, ':')) != NULL)
        *args++ = '\0';
    struct layer l = {.in = b->shape, .n_in = (uint32_t)shape_count(&b->shape)};
    for (size_t i = 0; i < N_KINDS; i++)
        if (strcmp(word, kinds[i]->name) == 0)
            l.ops = kinds[i];
    if (strcmp(word, "maxpool") == 0)
        l.ops = &layer_maxpool;
    if (l.ops == NULL)
        return unknown(b, word);
    if (b->is_tokens && l.ops != &layer_embed)
        return bad(b, "%s cannot take tokens (right: embed:N first)", word);
    if ((*b->at == '(') != (l.ops == &layer_res && args == NULL))
        return bad(
            b, l.ops == &layer_res ? "res wants its layers in brackets: res(...)" : "'(' after %s",
            word);
    if (l.ops == &layer_res)
        return b->at++, build_res(b);
    if (read_args(b, &l, args) != 0)
        return b->err->code;
    if (l.ops == &layer_dense && args == NULL) {
        if (*b->at != '\0' || b->depth > 0)
            return bad(b, "dense needs its number of outputs, as in dense:128 (only the last one's "
                          "follows from the data)");
        l.size = b->n_out;
    }
    l.n_tokens = l.ops == &layer_embed && b->is_tokens ? b->m->data.n_tokens : 0;
    b->is_tokens = false;
    struct layer as_given = l;
    return add_layer(b, &l) != 0 ? b->err->code : emit_layer(b, &as_given);
}

static int build_list(struct builder *b, const char *prefix)
{
    bool top = b->depth == 0;
    uint32_t i = 0;
    int rc = 0;
    do {
        snprintf(b->place, sizeof b->place, "%s%u", prefix, i);
        if (top)
            b->m->starts[i] = b->m->n_nodes;
        rc = i > 0 ? emit(b, ",") : 0;
        i++;
    } while (rc == 0 && (rc = build_layer(b)) == 0 && *b->at == ',' && b->at++ != NULL);
    if (top && rc == 0) {
        if (*b->at != '\0')
            return bad(b, "'%.20s' after it", b->at);
        rc = set_layout(b, false);
        b->m->n_layers = i;
        b->m->starts[i] = b->m->n_nodes;
    }
    return rc;
}

/* ---- named models -------------------------------------------------------------------------- */

#define NORM "groupnorm:8"

/* He et al. 2016, section 4.2, n = 3, with group norm; projections where the shape changes (B). */
#define BLOCK(c) ",res(conv:" c "x3x3p1," NORM ",relu,conv:" c "x3x3p1," NORM "),relu"
#define BLOCK_DOWN(c)                                                                              \
    ",res(conv:" c "x3x3s2p1," NORM ",relu,conv:" c "x3x3p1," NORM "|conv:" c "x1x1s2),relu"
#define RESNET20                                                                                   \
    "conv:16x3x3p1," NORM ",relu" BLOCK("16") BLOCK("16") BLOCK("16") BLOCK_DOWN("32") BLOCK("32") \
        BLOCK("32") BLOCK_DOWN("64") BLOCK("64") BLOCK("64") ",avgpool,flatten,dense"

/* LeCun et al. 1998 as it is trained today: ReLU, max pooling; 32 pixels with their margin. */
#define LENET5(padding)                                                                            \
    "conv:6x5x5" padding ",relu,pool:2,conv:16x5x5,relu,pool:2,flatten,dense:120,relu,dense:84,"   \
    "relu,dense"

enum name { SOFTMAX, LINEAR, LOGISTIC, SVM, MLP, LENET, RESNET, N_NAMES };
static const char *const names[N_NAMES + 1] = {"softmax", "linear", "logistic", "svm",
                                               "mlp",     "lenet5", "resnet20", 0};
static const enum loss losses_of[] = {LOSS_SOFTMAX, LOSS_MSE, LOSS_LOGISTIC, LOSS_HINGE};

static int unknown(struct builder *b, const char *name)
{
    const char *all[N_KINDS + N_NAMES];
    size_t n = 0;
    for (size_t i = 0; i < N_KINDS; i++)
        all[n++] = kinds[i]->name;
    for (size_t i = 0; i < N_NAMES && b->m->n_nodes == 0; i++)
        all[n++] = names[i];
    const char *nearest = parse_nearest(name, all, n);
    const char *what = b->m->n_nodes == 0 ? "no model and no layer" : "no layer";
    if (nearest != NULL)
        return bad(b, "'%s' is %s; did you mean '%s'?", name, what, nearest);
    return bad(b, "'%s' is %s (right: %s)", name, what,
               b->m->n_nodes == 0 ? "softmax, linear, logistic, svm, mlp:784-256-10, lenet5, "
                                    "resnet20 or a list of layers"
                                  : "dense, embed, conv, pool, avgpool, relu, gelu, tanh, sigmoid, "
                                    "flatten, dropout, layernorm, groupnorm, res");
}

enum { WIDTHS_MAX = 33 };

/* "784-256-10" -> widths; 0 on anything else. */
static uint32_t read_widths(const char *p, uint32_t widths[WIDTHS_MAX])
{
    uint32_t n = 0;
    do
        if (n == WIDTHS_MAX || !number(&p, 1, MODEL_WIDTH_MAX, &widths[n++]))
            return 0;
    while (*p == '-' && p++ != NULL);
    return *p == '\0' ? n : 0;
}

/* softmax, linear, logistic, svm and mlp: dense layers over the features, whatever their shape. */
static int build_dense(struct builder *b, enum name name, const char *spec, const char *sizes)
{
    const struct data_shape *data = &b->m->data;
    uint32_t widths[WIDTHS_MAX] = {data->n_features, b->n_out}, n = 2;
    bool one = name != MLP;
    if (sizes != NULL || !one)
        n = sizes != NULL ? read_widths(sizes, widths) : 0;
    if (n < 2 || (one && n > 2))
        return error_set(b->err, ERR_USAGE,
                         "model '%.200s': the part after ':' is not a list of 2 to %d sizes, each "
                         "1 to %d (right: %s:%" PRIu32 "-%s%" PRIu32 ")",
                         spec, one ? 2 : WIDTHS_MAX, MODEL_WIDTH_MAX, names[name], data->n_features,
                         one ? "" : "256-128-", b->n_out);
    if (widths[0] != data->n_features || widths[n - 1] != b->n_out)
        return error_set(b->err, ERR_USAGE,
                         "model '%.200s' goes from %" PRIu32 " to %" PRIu32
                         " but the data has %" PRIu32 " features and %" PRIu32 " classes, which "
                         "take %" PRIu32 " output%s",
                         spec, widths[0], widths[n - 1], data->n_features, data->n_classes,
                         b->n_out, b->n_out == 1 ? "" : "s");
    char list[WIDTHS_MAX * 24], text[WIDTHS_MAX * 8];
    size_t at = 0, length = 0;
    for (uint32_t i = 0; i < n; i++) {
        length += (size_t)snprintf(text + length, sizeof text - length, "%s%u", i > 0 ? "-" : "",
                                   widths[i]);
        if (i > 0)
            at += (size_t)snprintf(list + at, sizeof list - at, "%sdense:%u", i > 1 ? ",relu," : "",
                                   widths[i]);
    }
    b->at = list;
    b->shape = shape_flat(data->n_features);
    if (build_list(b, "") != 0)
        return b->err->code;
    if (n == 2)
        for (enum name k = SOFTMAX; k <= SVM; k++)
            name = losses_of[k] == b->m->loss ? k : name;
    b->n = 0;
    return emit(b, "%s:%s", names[name], text);
}

static int build_images(struct builder *b, enum name name, const char *sizes)
{
    const struct data_shape *data = &b->m->data;
    if (sizes != NULL)
        return error_set(b->err, ERR_USAGE, "model %s takes no sizes, but ':%.100s' follows",
                         names[name], sizes);
    if (data->image[0] == 0)
        return error_set(b->err, ERR_USAGE,
                         "model %s takes images, but the data has %u features of no image",
                         names[name], data->n_features);
    b->at = name == RESNET ? RESNET20 : data->image[1] < 32 ? LENET5("p2") : LENET5("");
    if (build_list(b, "") != 0)
        return error_prefix(b->err, "%s", names[name]);
    b->n = 0;
    return emit(b, "%s", names[name]);
}

/* ---- text ---------------------------------------------------------------------------------- */

static int read_file(char *raw, size_t size, const char *path, struct error *err)
{
    uint64_t bytes;
    int fd = file_open(path, &bytes, err);
    if (fd < 0)
        return fd;
    FILE *f = fdopen(fd, "rb");
    size_t n = f != NULL ? fread(raw, 1, size, f) : 0;
    bool good = f != NULL && !ferror(f);
    if (f != NULL)
        fclose(f);
    if (!good)
        return error_set(err, ERR_DATA, "%s: cannot be read", path);
    if (n == size)
        return error_set(err, ERR_DATA, "%s: longer than the %zu bytes of a model's text", path,
                         size - 1);
    if (memchr(raw, '\0', n) != NULL)
        return error_set(err, ERR_DATA, "%s: no text: a zero byte at offset %zu", path,
                         strlen(raw));
    raw[n] = '\0';
    return 0;
}

/* Without blanks and comments; an end of line is a comma where one is needed. */
static int clean(const char *raw, char text[MODEL_SPEC_MAX], struct error *err)
{
    size_t n = 0;
    bool line_ended = false;
    for (; *raw != '\0'; raw++) {
        raw += *raw == '#' ? strcspn(raw, "\n") : 0;
        line_ended = line_ended || *raw == '\n';
        if (*raw == '\0')
            break;
        if (isspace((unsigned char)*raw))
            continue;
        if (line_ended && n > 0 && !strchr(",(|:", text[n - 1]) && !strchr(",(|)", *raw))
            text[n++] = ',';
        line_ended = false;
        if (n + 2 >= MODEL_SPEC_MAX)
            return error_set(err, ERR_USAGE, "model: its text is longer than %d bytes",
                             MODEL_SPEC_MAX - 1);
        text[n++] = isprint((unsigned char)*raw) ? *raw : '?';
    }
    text[n] = '\0';
    return 0;
}

/* Takes ",loss:NAME" off the end of the text; sets the loss and what the data asks of it. */
static int choose_loss(struct builder *b, char *text, enum name name)
{
    struct model *m = b->m;
    char *end = strrchr(text, ',');
    uint32_t n_classes = m->data.n_classes;
    m->loss = n_classes == 0 ? LOSS_MSE : LOSS_SOFTMAX;
    if (name <= SVM)
        m->loss = losses_of[name];
    else if (end != NULL && strncmp(end, ",loss:", 6) == 0) {
        size_t choice = parse_choice(end + 6, loss_names, N_LOSSES);
        if (choice == N_LOSSES)
            return error_set(b->err, ERR_USAGE,
                             "model: no loss '%.40s' (right: softmax, logistic, hinge or mse)",
                             end + 6);
        m->loss = (enum loss)choice;
        *end = '\0';
    }
    b->n_out = loss_n_logits(m->loss, n_classes);
    if (b->n_out > 0)
        return 0;
    char what[48];
    snprintf(what, sizeof what, n_classes > 0 ? "has %u classes" : "has real targets", n_classes);
    return error_set(b->err, ERR_USAGE, "model '%.100s': %s loss does not fit the data, which %s%s",
                     text, loss_names[m->loss], what,
                     m->loss == LOSS_LOGISTIC ? " (right: two classes)"
                     : n_classes == 0         ? " (right: linear, or mse)"
                                              : " (right: softmax)");
}

/* Which named model the text begins with, with what follows its ':'. */
static enum name find_name(char *text, const char **sizes)
{
    size_t n = strcspn(text, ":,(");
    char word[16];
    *sizes = NULL;
    if (n >= sizeof word || text[n] == '(')
        return N_NAMES;
    memcpy(word, text, n);
    word[n] = '\0';
    enum name name = (enum name)parse_choice(word, names, N_NAMES);
    if (name != N_NAMES && text[n] == ':')
        *sizes = text + n + 1;
    return name;
}

static int build_text(struct builder *b, char *text)
{
    struct model *m = b->m;
    const char *sizes;
    char given[SHAPE_TEXT_MAX];
    enum name name = find_name(text, &sizes);
    int rc = choose_loss(b, text, name);
    if (rc != 0)
        return rc;
    if (name != N_NAMES && strchr(text, ',') != NULL)
        return error_set(b->err, ERR_USAGE, "model: nothing may follow %s, but '%.100s' does%s",
                         names[name], strchr(text, ','),
                         name <= SVM ? "" : " (right: loss:NAME alone)");
    if (m->data.image[0] > 0)
        b->shape = (struct shape){3, {m->data.image[0], m->data.image[1], m->data.image[2]}};
    b->is_tokens = m->data.n_tokens > 0;
    if (name <= MLP)
        rc = build_dense(b, name, text, sizes);
    else if (name != N_NAMES)
        rc = build_images(b, name, sizes);
    else {
        b->at = text;
        rc = build_list(b, "");
    }
    if (rc != 0)
        return rc;
    if (b->shape.n_dims != 1 || b->shape.dims[0] != b->n_out)
        return bad(b, "gives %s, but the data and %s loss ask for %u at the end (right: %sdense)",
                   shape_name(&b->shape, given), loss_names[m->loss], b->n_out,
                   b->shape.n_dims > 1 ? "flatten, then " : "");
    bool usual = m->loss == (m->data.n_classes == 0 ? LOSS_MSE : LOSS_SOFTMAX);
    return usual || name <= SVM || strstr(m->spec, "svm") == m->spec
               ? 0
               : emit(b, ",loss:%s", loss_names[m->loss]);
}

int spec_parse(struct model *m, const char *spec, struct data_shape data, struct error *err)
{
    enum { FILE_MAX = 65536 };
    char text[MODEL_SPEC_MAX], *raw = NULL;
    const char *path = spec[0] == '@' ? spec + 1 : strchr(spec, '/') != NULL ? spec : NULL;
    struct builder b = {.m = m, .err = err, .shape = shape_flat(data.n_features)};
    int rc = 0;
    memset(m, 0, sizeof *m);
    m->data = data;
    m->n_in = data.n_features;
    if (path != NULL) {
        raw = MEM_NEW(char, FILE_MAX);
        rc = read_file(raw, FILE_MAX, path, err);
    }
    if (rc == 0 && (rc = clean(raw != NULL ? raw : spec, text, err)) == 0)
        rc = build_text(&b, text);
    if (rc == ERR_USAGE && path != NULL) {
        error_prefix(err, "%s", path);
        rc = err->code = ERR_DATA;
    }
    free(raw);
    m->n_out = b.n_out;
    return rc;
}
