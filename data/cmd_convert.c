/* hubbub data convert: samples and labels in another format. */
#include "data/cmd_data_inner.h"

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/parse.h"
#include "data/samples.h"
#include "data/zip.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum split { SPLIT_AUTO, SPLIT_TRAIN, SPLIT_TEST };
static const char *const split_names[] = {"auto", "train", "test", NULL};

struct flags {
    struct data_options data;
    const char *labels_out;
    int split;
    bool force, json;
};

#define F(field) offsetof(struct flags, field)

static const struct opt table[] = {
    DATA_COLUMN_OPTIONS(struct flags, data),
    {"split", OPT_CHOICE, F(split), "WHICH", "auto",
     "of data that have test data of their own: train or test; an .npz takes both", "result", 0, 0,
     split_names},
    {"labels-out", OPT_STRING, F(labels_out), "FILE", "", "the labels beside an .npy, as an .npy"},
    {"force", OPT_SWITCH, F(force), 0, 0, "write over files that are there"},
    {"json", OPT_SWITCH, F(json), 0, 0, "what was written on stdout as one JSON object"},
};

const struct opts cmd_data_convert_options = {
    .command = "hubbub data convert",
    .summary = "writes samples and labels in another format: .npy, .npz, .csv or .tsv",
    .usage = "FROM TO [OPTIONS]",
    .examples = "  hubbub data convert patients.csv patients.npz --label diagnosis\n"
                "  hubbub data convert digits.npz digits.csv\n"
                "  hubbub data convert digits.npz x.npy --labels-out y.npy\n",
    .table = table,
    .n = sizeof table / sizeof table[0],
    .no_environment = true};

enum format { TO_NPY, TO_NPZ, TO_CSV, TO_TSV, N_TO };
static const char *const endings[N_TO] = {".npy", ".npz", ".csv", ".tsv"};

static int format_of(const char *path, enum format *format, struct error *err)
{
    for (size_t n = strlen(path), i = 0; i < N_TO; i++)
        if (n > 4 && strcmp(path + n - 4, endings[i]) == 0) {
            *format = (enum format)i;
            return 0;
        }
    return error_set(err, ERR_USAGE,
                     "%s: its ending names no format (right: .npy, .npz, .csv, .tsv)", path);
}

/* ---- arrays ---------------------------------------------------------------------------------- */

/* Where bytes go: into a file as they come, or into the member of a zip. */
struct sink {
    FILE *out;
    struct zip_writer *zip; /* NULL: none */
};

static void put(struct sink *to, const void *bytes, size_t n)
{
    if (to->zip != NULL)
        zip_writer_put(to->zip, bytes, n);
    else
        (void)fwrite(bytes, 1, n, to->out);
}

/* x or y of all rows, as an .npy. */
static int put_array(struct sink *to, struct samples *s, bool is_y, struct error *err)
{
    char head[NPY_HEADER_OUT_MAX];
    enum element element = is_y ? s->y : s->x;
    size_t n = is_y ? 1 : s->width;
    const uint8_t *x, *y;
    int rc;
    put(to, head, npy_format_header(head, element, is_y ? 1 : s->n_dims, s->dims));
    samples_rewind(s);
    while ((rc = samples_next(s, &x, &y, err)) == 1)
        put(to, is_y ? y : x, n * elements[element].n_bytes);
    return rc;
}

/* UTF-8 that is valid -> characters; returns how many. to may be NULL. */
static uint32_t decode(const char *text, uint32_t *to)
{
    uint32_t n = 0;
    for (const uint8_t *p = (const uint8_t *)text; *p != '\0'; n++) {
        uint32_t n_more = *p < 0x80 ? 0 : *p < 0xe0 ? 1 : *p < 0xf0 ? 2 : 3;
        uint32_t c = n_more == 0 ? *p : *p & (0x3fu >> n_more);
        for (p++; n_more > 0 && *p != '\0'; n_more--)
            c = c << 6 | (*p++ & 0x3f);
        if (to != NULL)
            to[n] = c;
    }
    return n;
}

static void put_texts(struct zip_writer *zip, const char *member, const char *const *texts,
                      uint32_t n)
{
    char head[NPY_HEADER_OUT_MAX];
    uint32_t widest = 1;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t length = decode(texts[i], NULL);
        widest = length > widest ? length : widest;
    }
    uint32_t *row = MEM_NEW(uint32_t, widest);
    zip_writer_member(zip, member);
    zip_writer_put(zip, head, npy_format_texts(head, widest, n));
    for (uint32_t i = 0; i < n; i++) {
        memset(row, 0, widest * sizeof *row);
        (void)decode(texts[i], row);
        zip_writer_put(zip, row, widest * sizeof *row);
    }
    free(row);
}

static int put_members(struct zip_writer *zip, struct samples *s, const char *x, const char *y,
                       struct error *err)
{
    struct sink to = {.zip = zip};
    zip_writer_member(zip, x);
    int rc = put_array(&to, s, false, err);
    if (rc != 0 || !s->has_y)
        return rc;
    zip_writer_member(zip, y);
    return put_array(&to, s, true, err);
}

/* ---- text ------------------------------------------------------------------------------------ */

/* In quotes where it needs them, a quote doubled (RFC 4180). */
static void put_cell(FILE *out, const char *text, char separator)
{
    const char special[] = {separator, '"', '\r', '\n', '\0'};
    bool is_quoted = strpbrk(text, special) != NULL;
    fputs(is_quoted ? "\"" : "", out);
    for (; *text != '\0'; text++) {
        if (*text == '"')
            fputc('"', out);
        fputc(*text, out);
    }
    fputs(is_quoted ? "\"" : "", out);
}

/* As few digits as say which number of its type it is; nothing for NaN. */
static void put_value(FILE *out, enum element element, const uint8_t *bytes)
{
    const struct array one = array_of(bytes, 1, element);
    char text[40];
    if (!elements[element].is_float) {
        fprintf(out, "%" PRId64, array_whole(&one, 0, 0));
        return;
    }
    double value = array_value(&one, 0, 0);
    int digits = element == ELEMENT_F64 ? 15 : element == ELEMENT_F32 ? 6 : 5;
    for (bool is_same = isnan(value); !is_same; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        is_same = element == ELEMENT_F64   ? strtod(text, NULL) == value
                  : element == ELEMENT_F32 ? (double)strtof(text, NULL) == value
                                           : true;
    }
    fputs(isnan(value) ? "" : text, out);
}

/* What no column is called. */
static const char *label_name(const struct samples *s)
{
    static const char *const names[] = {"label", "target", "y", "class"};
    uint32_t i = 0;
    while (i < 3 && s->columns != NULL && parse_choice(names[i], s->columns, s->width) < s->width)
        i++;
    return s->label != NULL ? s->label : names[i];
}

static void put_head(FILE *out, const struct samples *s, char separator)
{
    for (uint32_t i = 0; i < s->width; i++) {
        if (i > 0)
            fputc(separator, out);
        if (s->columns != NULL)
            put_cell(out, s->columns[i], separator);
        else
            fprintf(out, "column%" PRIu32, i + 1);
    }
    if (s->has_y) {
        fputc(separator, out);
        put_cell(out, label_name(s), separator);
    }
    fputc('\n', out);
}

static int put_label(FILE *out, const struct samples *s, const uint8_t *y, char separator,
                     struct error *err)
{
    const struct array one = array_of(y, 1, s->y);
    if (s->classes == NULL) {
        put_value(out, s->y, y);
        return 0;
    }
    double place = array_value(&one, 0, 0);
    if (!(place >= 0) || place >= s->n_classes || place != floor(place))
        return error_set(err, ERR_DATA,
                         "label %g of row %" PRIu64 ", but there are %" PRIu32 " names of classes",
                         place, s->next, s->n_classes);
    put_cell(out, s->classes[(uint32_t)place], separator);
    return 0;
}

static int put_table(FILE *out, struct samples *s, char separator, struct error *err)
{
    const uint8_t *x, *y;
    int rc;
    put_head(out, s, separator);
    samples_rewind(s);
    while ((rc = samples_next(s, &x, &y, err)) == 1) {
        for (uint32_t i = 0; i < s->width; i++) {
            if (i > 0)
                fputc(separator, out);
            put_value(out, s->x, x + (size_t)i * elements[s->x].n_bytes);
        }
        if (s->has_y) {
            fputc(separator, out);
            rc = put_label(out, s, y, separator, err);
        }
        if (rc < 0)
            return rc;
        fputc('\n', out);
    }
    return rc;
}

/* ---- files ----------------------------------------------------------------------------------- */

static int write_npz(FILE *out, struct samples_file *f, struct samples *s, struct error *err)
{
    struct zip_writer zip;
    bool both = s == NULL;
    zip_writer_begin(&zip, out);
    int rc = both ? put_members(&zip, &f->train, "x_train.npy", "y_train.npy", err)
                  : put_members(&zip, s, "x.npy", "y.npy", err);
    if (rc == 0 && both)
        rc = put_members(&zip, &f->test, "x_test.npy", "y_test.npy", err);
    s = both ? &f->train : s;
    if (rc == 0 && s->classes != NULL)
        put_texts(&zip, "target_names.npy", s->classes, s->n_classes);
    if (rc == 0 && s->columns != NULL)
        put_texts(&zip, "feature_names.npy", s->columns, s->width);
    if (rc == 0)
        zip_writer_end(&zip);
    zip_writer_drop(&zip);
    return rc;
}

/* s: NULL for train and test. */
static int write_file(const char *path, enum format format, struct samples_file *f,
                      struct samples *s, bool is_y, struct error *err)
{
    struct file_draft draft;
    int rc = file_draft_open(&draft, path, err);
    if (rc != 0)
        return rc;
    struct sink to = {.out = draft.out};
    if (format == TO_NPZ)
        rc = write_npz(draft.out, f, s, err);
    else if (format == TO_NPY)
        rc = put_array(&to, s, is_y, err);
    else
        rc = put_table(draft.out, s, format == TO_CSV ? ',' : '\t', err);
    if (rc == 0)
        return file_draft_commit(&draft, err);
    file_draft_drop(&draft);
    return rc;
}

/* Of what TO has no place for. */
static int check(const struct flags *flags, enum format format, const struct samples *s,
                 const char *from, const char *to, struct error *err)
{
    bool has_out = flags->labels_out[0] != '\0';
    if (s == NULL && format != TO_NPZ)
        return error_set(err, ERR_USAGE,
                         "%s: has test data, for which %s has no place (right: --split train or "
                         "test; or .npz)",
                         from, to);
    if (has_out && format != TO_NPY)
        return error_set(err, ERR_USAGE, "--labels-out: %s holds the labels itself", to);
    if (has_out && !s->has_y)
        return error_set(err, ERR_USAGE,
                         "--labels-out: %s has no labels (right: --label or --labels)", from);
    if (format == TO_NPY && s->has_y && !has_out)
        return error_set(err, ERR_USAGE,
                         "%s: has labels, for which %s has no place (right: --labels-out FILE.npy; "
                         "or .npz)",
                         from, to);
    return 0;
}

static int check_path(const char *path, bool force, struct error *err)
{
    if (!force && access(path, F_OK) == 0)
        return error_set(err, ERR_USAGE, "%s: is there already (--force writes over it)", path);
    return 0;
}

static json_t *set_json(const struct samples *s)
{
    json_t *shape = json_array();
    for (uint32_t d = 0; d < s->n_dims; d++)
        json_array_append_new(shape, json_integer((json_int_t)s->dims[d]));
    return json_pack("{s:I, s:o, s:s, s:o}", "rows", (json_int_t)s->n_rows, "shape", shape, "type",
                     elements[s->x].descr, "labels",
                     s->has_y ? json_string(elements[s->y].descr) : json_null());
}

static void print_set(const char *to, const char *what, const struct samples *s)
{
    printf("%s:%s %" PRIu64 " rows of %" PRIu32 " numbers (%s)", to, what, s->n_rows, s->width,
           elements[s->x].descr);
    if (s->has_y)
        printf(", labels (%s)", elements[s->y].descr);
    for (uint32_t c = 0; c < s->n_classes && c < 8; c++)
        printf("%s%s%s", c == 0 ? ": " : ", ", s->classes[c],
               c == 7 && s->n_classes > 8 ? ", ..." : "");
    putchar('\n');
}

static void print_result(const struct flags *flags, const char *to, const struct samples_file *f,
                         const struct samples *s)
{
    const struct samples *first = s != NULL ? s : &f->train;
    if (!flags->json) {
        print_set(to, s == NULL ? " train:" : "", first);
        if (s == NULL)
            print_set(to, " test:", &f->test);
        return;
    }
    json_t *o = set_json(first), *classes = json_array();
    for (uint32_t c = 0; c < first->n_classes; c++)
        json_array_append_new(classes, json_string(first->classes[c]));
    json_object_set_new(o, "file", json_string(to));
    json_object_set_new(o, "classes", classes);
    if (s == NULL)
        json_object_set_new(o, "test", set_json(&f->test));
    data_print_json(o);
}

static int convert(const struct flags *flags, const char *from, const char *to, struct error *err)
{
    struct samples_file f;
    enum format format = N_TO;
    bool has_out = flags->labels_out[0] != '\0';
    int rc = format_of(to, &format, err);
    if (rc == 0)
        rc = check_path(to, flags->force, err);
    if (rc == 0 && has_out)
        rc = check_path(flags->labels_out, flags->force, err);
    if (rc != 0)
        return rc;
    rc = samples_open(&f, from, &flags->data, err);
    struct samples *s = flags->split == SPLIT_TEST                        ? &f.test
                        : f.test.n_rows > 0 && flags->split == SPLIT_AUTO ? NULL
                                                                          : &f.train;
    if (rc == 0 && s != NULL && s->n_rows == 0)
        rc = error_set(err, ERR_USAGE, "--split test: %s has no test data", from);
    if (rc == 0)
        rc = check(flags, format, s, from, to, err);
    if (rc == 0)
        rc = write_file(to, format, &f, s, false, err);
    if (rc == 0 && has_out)
        rc = write_file(flags->labels_out, TO_NPY, &f, s, true, err);
    if (rc == 0 && has_out && s->classes != NULL)
        log_warn("%s: the names of the classes are not kept (an .npz keeps them)", to);
    if (rc == 0)
        print_result(flags, to, &f, s);
    samples_close(&f);
    return rc;
}

int data_convert(int argc, char **argv, struct error *err)
{
    struct flags flags = {0};
    int n, rc = opts_parse(&cmd_data_convert_options, &flags, argc, argv, &n, err);
    if (rc == 0 && n != 2)
        rc = error_set(err, ERR_USAGE, "hubbub data convert takes two files, FROM and TO, not %d",
                       n);
    return rc == 0 ? convert(&flags, argv[1], argv[2], err) : rc;
}
