#include "base/rng.h"
#include "data/cell.h"
#include "data/schema.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

TestSuite(schema, .timeout = 30);

/* ---- small tables: lines of cells apart by commas, names first ------------------------------- */

enum { CELLS_MAX = 16 };

struct table {
    char text[4096], *rest;
    const char *cells[CELLS_MAX];
    uint32_t n, line;
};

static bool next_row(struct table *t)
{
    char *line = strsep(&t->rest, "\n");
    t->n = 0;
    t->line++;
    while (line != NULL && t->n < CELLS_MAX)
        t->cells[t->n++] = strsep(&line, ",");
    return t->n > 0;
}

static struct table *table_of(const char *text)
{
    struct table *t = calloc(1, sizeof *t);
    snprintf(t->text, sizeof t->text, "%s", text);
    t->rest = t->text;
    cr_assert(next_row(t));
    return t;
}

static int summarise(struct summary *summary, const char *text, const struct table_options *o,
                     struct error *err)
{
    struct table *t = table_of(text);
    struct survey *s = survey_new("t.csv", t->cells, t->n, o, err);
    int rc = s == NULL ? err->code : 0;
    while (rc >= 0 && next_row(t))
        rc = survey_row(s, t->cells, t->line, err);
    if (rc >= 0)
        rc = survey_end(s, summary, err);
    survey_free(s);
    free(t);
    return rc;
}

static struct summary summary_of(const char *text, const struct table_options *o)
{
    struct summary s;
    struct error err = {0};
    cr_assert_eq(summarise(&s, text, o, &err), 0, "%s", err.text);
    return s;
}

static struct schema schema_of(const char *text, const struct table_options *o)
{
    struct summary summary = summary_of(text, o);
    struct schema s;
    struct error err = {0};
    cr_assert_eq(schema_merge(&s, (const struct summary *[]){&summary}, 1, &err), 0, "%s",
                 err.text);
    summary_close(&summary);
    return s;
}

/* Returns the rows kept, or the error; x and y hold them. */
static int encode_as(const struct schema *schema, bool labelled, const char *text, float *x,
                     union target *y, struct error *err)
{
    struct table *t = table_of(text);
    struct encoder *e = encoder_new("u.csv", schema, labelled, t->cells, t->n, err);
    uint32_t width = schema_shape(schema).n_features;
    int rc = e == NULL ? err->code : 0, n = 0;
    while (rc >= 0 && next_row(t)) {
        rc = encoder_row(e, t->cells, t->line, x + (uint32_t)n * width, y + n, err);
        n += rc == 1;
    }
    encoder_free(e);
    free(t);
    return rc < 0 ? rc : n;
}

static int encode(const struct schema *schema, const char *text, float *x, union target *y,
                  struct error *err)
{
    return encode_as(schema, true, text, x, y, err);
}

static const struct table_options plain = {.label = ""};

/* ---- cells ----------------------------------------------------------------------------------- */

Test(schema, cells)
{
    static const struct {
        const char *text;
        enum cell_kind kind;
        double value;
    } cases[] = {
        {"", CELL_MISSING, 0},
        {"  ", CELL_MISSING, 0},
        {"?", CELL_MISSING, 0},
        {"NaN", CELL_MISSING, 0},
        {"n/a", CELL_MISSING, 0},
        {"-inf", CELL_MISSING, 0},
        {"1e999", CELL_MISSING, 0},
        {"1e101", CELL_MISSING, 0},
        {"0", CELL_NUMBER, 0},
        {"-0", CELL_NUMBER, 0},
        {" 12.5 ", CELL_NUMBER, 12.5},
        {"+3", CELL_NUMBER, 3},
        {".5", CELL_NUMBER, 0.5},
        {"5.", CELL_NUMBER, 5},
        {"1e-3", CELL_NUMBER, 1e-3},
        {"0x10", CELL_TEXT, 0},
        {"1,5", CELL_TEXT, 0},
        {"-", CELL_TEXT, 0},
        {".", CELL_TEXT, 0},
        {"1.2.3", CELL_TEXT, 0},
        {"nano", CELL_TEXT, 0},
        {"0.1", CELL_NUMBER, 0.1},
        {"17.990000000000002", CELL_NUMBER, 17.990000000000002},
        {"-123456789012345", CELL_NUMBER, -123456789012345},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct cell c = cell_read(cases[i].text);
        cr_assert_eq(c.kind, cases[i].kind, "'%s'", cases[i].text);
        cr_assert(c.kind != CELL_NUMBER || c.value == cases[i].value, "'%s': %g", cases[i].text,
                  c.value);
    }
}

/* The short way reads what strtod reads. */
Test(schema, numbers_as_strtod)
{
    struct rng rng = rng_stream(1, 0, RNG_TEST);
    for (int i = 0; i < 200000; i++) {
        char text[40];
        double x = rng_normal(&rng) * pow(10, rng_below(&rng, 14));
        snprintf(text, sizeof text, "%.*f", (int)rng_below(&rng, 10), x);
        struct cell c = cell_read(text);
        cr_assert(c.kind == CELL_NUMBER && c.value == strtod(text, NULL), "%s: %.17g", text,
                  c.value);
    }
}

/* ---- statistics ------------------------------------------------------------------------------ */

Test(schema, statistics_merge_exactly)
{
    enum { N = 5000 };
    struct rng rng = rng_stream(2, 0, RNG_TEST);
    for (int world = 0; world < 50; world++) {
        struct stats whole = {0}, parts[7] = {0}, merged = {0};
        double centre = rng_normal(&rng) * 1e6, sum = 0, m2 = 0;
        double x[N];
        for (int i = 0; i < N; i++) {
            x[i] = centre + rng_normal(&rng);
            sum += x[i];
            stats_add(&whole, x[i]);
            stats_add(&parts[rng_below(&rng, 1 + (uint32_t)world % 7)], x[i]);
        }
        for (int i = 0; i < N; i++)
            m2 += (x[i] - sum / N) * (x[i] - sum / N);
        for (int p = 0; p < 7; p++)
            stats_merge(&merged, &parts[p]);
        cr_assert_eq(merged.count, N);
        cr_assert(merged.min == whole.min && merged.max == whole.max);
        cr_assert_lt(fabs(merged.mean - sum / N), 1e-12 * fabs(sum / N));
        cr_assert_lt(fabs(merged.m2 - m2), 1e-9 * m2);
        cr_assert_lt(fabs(whole.m2 - m2), 1e-9 * m2);
    }
}

/* ---- surveys --------------------------------------------------------------------------------- */

Test(schema, kinds_statistics_and_classes)
{
    struct schema s = schema_of("age,sex,weight,diagnosis\n"
                                "30,f,61.5,benign\n40,m,80,malignant\n50,f,70,benign",
                                &plain);
    cr_assert_eq(s.n_columns, 3);
    cr_assert_str_eq(s.columns[0].name, "age");
    cr_assert(s.columns[0].kind == COLUMN_NUMBER && s.columns[0].stats.mean == 40);
    cr_assert(s.columns[0].stats.m2 == 200 && s.columns[0].stats.min == 30);
    cr_assert(s.columns[1].kind == COLUMN_CATEGORY && s.columns[1].categories.n == 2);
    cr_assert_str_eq(s.columns[1].categories.names[1], "m");
    cr_assert_eq(s.columns[1].categories.counts[0], 2);
    cr_assert_str_eq(s.label.categories.names[1], "malignant");
    cr_assert_eq(schema_shape(&s).n_features, 4);
    cr_assert_eq(schema_shape(&s).n_classes, 2);
    cr_assert(s.n_peers == 1 && s.n_rows == 3 && s.peers[0].class_counts[0] == 2);
    schema_close(&s);
}

Test(schema, labels)
{
    static const struct {
        const char *text;
        enum target_kind target;
        uint32_t n_classes; /* 0: real */
        const char *first;
    } cases[] = {
        {"x,y\n1,0\n1,1\n1,0", TARGET_AUTO, 2, "0"},
        {"x,y\n1,10\n1,9\n1,1.0\n1,1", TARGET_AUTO, 3, "1"}, /* sorted by value; 1.0 is 1 */
        {"x,y\n1,0.5\n1,1", TARGET_AUTO, 0, ""},
        {"x,y\n1,0\n1,1", TARGET_REAL, 0, ""},
        {"x,y\n1,0.5\n1,1", TARGET_CLASSES, 2, "0.5"},
        {"x,y\n1,b\n1,a\n1,3", TARGET_AUTO, 3, "3"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct table_options o = {.label = "y", .target = cases[i].target};
        struct schema s = schema_of(cases[i].text, &o);
        cr_assert_eq(schema_shape(&s).n_classes, cases[i].n_classes, "%s", cases[i].text);
        cr_assert(cases[i].n_classes == 0 ||
                  strcmp(s.label.categories.names[0], cases[i].first) == 0);
        schema_close(&s);
    }
}

Test(schema, cleaning)
{
    static const struct {
        const char *clean;
        uint64_t n_rows;
        double mean;
        float second; /* of the rows kept: what became of the missing value, but for drop */
    } cases[] = {
        {"drop", 4, 5, 9},
        {"mean", 5, 5, 5},
        {"median", 5, 5, 4},
        {"mean,duplicates", 4, 17.0 / 3, 17.0f / 3},
    };
    static const char text[] = "x,y\n3,a\n,b\n9,a\n5,b\n3,a";
    struct error err = {0};
    struct summary summary;
    cr_assert_eq(summarise(&summary, text, &plain, &err), ERR_DATA);
    cr_assert_not_null(strstr(err.text, "t.csv: line 3: column 'x' is missing"), "%s", err.text);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct table_options o = {.preprocess = {.normalize = NORMALIZE_NONE}};
        float x[8];
        union target y[8];
        cr_assert_eq(preprocess_parse_clean(cases[i].clean, &o.preprocess, &err), 0);
        struct schema s = schema_of(text, &o);
        cr_assert_eq(s.n_rows, cases[i].n_rows, "%s", cases[i].clean);
        cr_assert_float_eq(s.columns[0].stats.mean, cases[i].mean, 1e-12, "%s", cases[i].clean);
        cr_assert_eq(s.columns[0].n_missing, 1);
        cr_assert_eq(encode(&s, text, x, y, &err), (int)cases[i].n_rows, "%s", err.text);
        cr_assert_float_eq(x[1], cases[i].second, 1e-6f, "%s: %g", cases[i].clean, (double)x[1]);
        schema_close(&s);
    }
}

Test(schema, constant_columns)
{
    struct table_options o = {.preprocess.drop_constant = true};
    struct schema s = schema_of("a,b,c,y\n1,2,u,0\n1,3,u,1", &o);
    cr_assert_eq(s.n_columns, 1);
    cr_assert_str_eq(s.columns[0].name, "b");
    schema_close(&s);
}

Test(schema, columns_without_a_value_are_nothing_to_learn_from)
{
    static const char empty[] =
        "{\"hubbub\":\"summary\",\"version\":1,\"rows\":2,\"preprocess\":{\"clean\":\"fail\","
        "\"drop_constant\":false,\"normalize\":\"none\"},\"label\":{\"name\":\"y\",\"kind\":"
        "\"category\",\"missing\":0,\"categories\":[\"A\"],\"counts\":[2]},\"columns\":[{\"name\":"
        "\"a\",\"kind\":\"category\",\"missing\":2,\"categories\":[],\"counts\":[]}]}";
    struct error err = {0};
    struct summary summary;
    struct schema s;
    cr_assert_eq(summary_parse(&summary, empty, strlen(empty), &err), 0, "%s", err.text);
    const struct summary *list[] = {&summary};
    cr_assert_eq(schema_merge(&s, list, 1, &err), ERR_DATA);
    cr_assert_not_null(strstr(err.text, "every column is empty"), "%s", err.text);
    summary_close(&summary);
}

Test(schema, choosing_columns)
{
    static const char *const ignored[] = {"id", "4"};
    struct table_options o = {.label = "kind", .ignore = ignored, .n_ignore = 2};
    struct schema s = schema_of("id,kind,x,z\n7,a,1,q\n8,b,2,r", &o);
    cr_assert_eq(s.n_columns, 1);
    cr_assert_str_eq(s.columns[0].name, "x");
    cr_assert_str_eq(s.label.name, "kind");
    schema_close(&s);
}

static char *many_values(const char *last)
{
    static char text[4096];
    int at = snprintf(text, sizeof text, "x,y");
    for (int i = 0; i <= SCHEMA_CATEGORIES_MAX; i++)
        at += snprintf(text + at, sizeof text - (size_t)at, "\n%d.5,%d", i, i % 2);
    snprintf(text + at, sizeof text - (size_t)at, "\n%s,1", last);
    return text;
}

Test(schema, surveys_refuse)
{
    static const char *const ignores_y[] = {"y"};
    const struct {
        const char *text;
        struct table_options o;
        const char *says;
    } cases[] = {
        {"x,y", {0}, "no rows"},
        {"x,y\n?,1", {.preprocess.clean = CLEAN_DROP}, "no rows of data are left"},
        {"x,y,x\n1,2,3", {0}, "two columns are called 'x'"},
        {"x,,y\n1,2,3", {0}, "column 2: its name"},
        {"x\n1", {0}, "no column is left"},
        {"x,weight\n1,2", {.label = "wieght"}, "did you mean 'weight'"},
        {"x,y\n1,2", {.label = "3"}, "--label '3'"},
        {"x,y\n1,2", {.label = "y", .ignore = ignores_y, .n_ignore = 1}, "both label and ignored"},
        {"x,y\n1,a", {.target = TARGET_REAL}, "holds text"},
        {"x,y\n1,\x1b[2J", {0}, "control characters"},
        {"x,y\n1,\xff", {0}, "UTF-8"},
        {"x,y\n1,", {0}, "column 'y' is missing"},
        {many_values("abc"), {0}, "column 'x' holds 'abc', and more than 256"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct error err = {0};
        struct summary s;
        int rc = summarise(&s, cases[i].text, &cases[i].o, &err);
        cr_assert(rc == ERR_DATA || rc == ERR_USAGE, "case %zu", i);
        cr_assert_not_null(strstr(err.text, cases[i].says), "%s", err.text);
    }
}

/* ---- merging --------------------------------------------------------------------------------- */

static struct summary hospital(uint8_t id, const char *text)
{
    struct table_options o = {.label = "y", .preprocess.clean = CLEAN_MEAN};
    struct summary s = summary_of(text, &o);
    s.id[0] = id;
    snprintf(s.name, sizeof s.name, "10.0.0.%u", id);
    return s;
}

Test(schema, merging_in_any_order_gives_the_same)
{
    struct summary s[3] = {hospital(9, "a,b,y\n1.25,u,A\n2.5,v,B"),
                           hospital(4, "y,b,a\nA,w,0.1\nA,u,"), hospital(7, "b,y,a\nu,C,1e3")};
    static const int orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                     {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    uint64_t hash = 0;
    for (int o = 0; o < 6; o++) {
        const struct summary *list[3];
        struct schema schema;
        struct error err = {0};
        for (int i = 0; i < 3; i++)
            list[i] = &s[orders[o][i]];
        cr_assert_eq(schema_merge(&schema, list, 3, &err), 0, "%s", err.text);
        cr_assert(o == 0 || hash == schema_hash(&schema));
        hash = schema_hash(&schema);
        cr_assert(schema.n_peers == 3 && schema.peers[0].id[0] == 4 && schema.n_rows == 5);
        cr_assert_eq(schema.label.categories.n, 3);
        cr_assert(schema.peers[0].class_counts[0] == 2 && schema.peers[1].class_counts[2] == 1);
        cr_assert_eq(schema.columns[1].categories.n, 3);
        cr_assert(schema.columns[0].stats.count == 4 && schema.columns[0].n_missing == 1);
        schema_close(&schema);
    }
    for (int i = 0; i < 3; i++)
        summary_close(&s[i]);
}

Test(schema, what_differs_is_named)
{
    static const struct {
        const char *a, *b, *says[3];
    } cases[] = {
        {"age,y\n1,A",
         "Age,y\n1,A",
         {"10.0.0.2 has no column 'age'", "10.0.0.1 has no column 'Age'"}},
        {"a,b,c,y\n1,1,1,A", "a,y\n1,A", {"10.0.0.2 has no column 'b', 'c'"}},
        {"a,y\n1,A",
         "a,y\nx,A",
         {"column 'a' differs: numbers at 10.0.0.1, categories at 10.0.0.2 ('x')"}},
        {"a,y\n1,0.5", "a,y\n1,2", {"label 'y' differs: real numbers", "--target"}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct summary a = hospital(1, cases[i].a), b = hospital(2, cases[i].b);
        const struct summary *list[] = {&a, &b};
        struct schema schema;
        struct error err = {0};
        cr_assert_eq(schema_merge(&schema, list, 2, &err), ERR_DATA);
        for (int k = 0; k < 3 && cases[i].says[k] != NULL; k++)
            cr_assert_not_null(strstr(err.text, cases[i].says[k]), "%s", err.text);
        summary_close(&a);
        summary_close(&b);
    }
    struct summary a = hospital(1, "a,y\n1,A"), b = hospital(2, "a,y\n1,B");
    const struct summary *list[] = {&a, &b};
    struct schema schema;
    struct error err = {0};
    b.preprocess.normalize = NORMALIZE_MINMAX;
    cr_assert_eq(schema_merge(&schema, list, 2, &err), ERR_DATA);
    cr_assert_not_null(strstr(err.text, "--normalize differs: auto at 10.0.0.1, minmax"), "%s",
                       err.text);
    a.preprocess = b.preprocess;
    a.preprocess.clean = b.preprocess.clean = CLEAN_MEDIAN;
    cr_assert_eq(schema_merge(&schema, list, 2, &err), ERR_DATA);
    cr_assert_not_null(strstr(err.text, "--clean median"), "%s", err.text);
    summary_close(&a);
    summary_close(&b);
}

/* ---- encoding -------------------------------------------------------------------------------- */

Test(schema, encodes_by_name)
{
    static const struct {
        enum normalize normalize;
        float x[2]; /* of the values 2 and 4 */
    } cases[] = {
        {NORMALIZE_NONE, {2, 4}},    {NORMALIZE_SCALE, {2, 4}}, {NORMALIZE_MINMAX, {0, 1}},
        {NORMALIZE_ZSCORE, {-1, 1}}, {NORMALIZE_AUTO, {-1, 1}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct table_options o = {.label = "y", .preprocess.normalize = cases[i].normalize};
        struct schema s = schema_of("a,b,y\n2,u,B\n4,v,A", &o);
        float x[6];
        union target y[2];
        struct error err = {0};
        cr_assert_eq(encode(&s, "y,id,b,a\nB,7,u,2\nA,8,v,4", x, y, &err), 2, "%s", err.text);
        float wanted[6] = {cases[i].x[0], 1, 0, cases[i].x[1], 0, 1};
        for (int k = 0; k < 6; k++)
            cr_assert_float_eq(x[k], wanted[k], 1e-6f, "%s: x[%d] %g",
                               normalize_names[cases[i].normalize], k, (double)x[k]);
        cr_assert(y[0].class == 1 && y[1].class == 0);
        schema_close(&s);
    }
}

/* The label may be missing, there, or something else altogether: it is not read. */
Test(schema, encodes_without_labels)
{
    static const char *const texts[] = {"z,x\n1,4\n1,2", "x,y\n4,a\n2,b", "y,x\n,4\nnew,2"};
    struct table_options o = {.preprocess = {.normalize = NORMALIZE_NONE}};
    struct schema s = schema_of("x,y\n3,a\n5,b", &o);
    struct error err = {0};
    float x[4];
    union target y[4];
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        cr_assert_eq(encode_as(&s, false, texts[i], x, y, &err), 2, "%s: %s", texts[i], err.text);
        cr_assert(x[0] == 4 && x[1] == 2 && y[0].class == 0 && y[1].class == 0, "%s", texts[i]);
    }
    cr_assert_eq(encode(&s, texts[0], x, y, &err), ERR_DATA);
    cr_assert_not_null(strstr(err.text, "column 'y' of the schema is not there"), "%s", err.text);
    schema_close(&s);
}

Test(schema, encoders_refuse)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"b,y\nu,A", "column 'age' of the schema is not there"},
        {"Age,b,y\n1,u,A", "there is 'Age'"},
        {"age,b,y\n1,u,C", "line 2: column 'y' holds 'C' (right: A, B)"},
        {"age,b,y\n1,w,A", "column 'b' holds 'w' (right: u, v)"},
        {"age,b,y\nx,u,A", "column 'age' holds 'x', no number"},
        {"age,b,y\n1,u,A\n,u,A", "line 3: column 'age' is missing"},
    };
    struct schema s = schema_of("age,b,y\n2,u,B\n4,v,A", &plain);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        float x[16];
        union target y[4];
        struct error err = {0};
        cr_assert_eq(encode(&s, cases[i].text, x, y, &err), ERR_DATA, "case %zu", i);
        cr_assert_not_null(strstr(err.text, cases[i].says), "%s", err.text);
    }
    schema_close(&s);
}

/* ---- JSON ------------------------------------------------------------------------------------ */

Test(schema, json_and_back)
{
    struct table_options o = {.preprocess = {.clean = CLEAN_MEDIAN, .normalize = NORMALIZE_MINMAX}};
    struct schema a = schema_of("a,b,y\n0.1,u,7\n,v \xc3\xa4,8\n1e-300,u,8", &o), b;
    struct error err = {0};
    json_t *json = schema_to_json(&a);
    char *text = json_dumps(json, JSON_REAL_PRECISION(17));
    json_t *again = json_loads(text, 0, NULL);
    cr_assert_eq(schema_from_json(&b, again, &err), 0, "%s", err.text);
    cr_assert_eq(schema_hash(&a), schema_hash(&b));
    cr_assert_eq(b.columns[0].stats.m2, a.columns[0].stats.m2);
    cr_assert_eq(b.columns[0].median, a.columns[0].median);
    cr_assert_eq(b.peers[0].class_counts[1], 2);
    json_decref(json);
    json_decref(again);
    free(text);
    schema_close(&a);
    schema_close(&b);
}

/* The one value at `path` (keys apart by '/') replaced by JSON text; "" takes it away. */
static void replace(json_t *o, const char *path, const char *value)
{
    char copy[80], *rest = copy, *key;
    snprintf(copy, sizeof copy, "%s", path);
    while ((key = strsep(&rest, "/")) != NULL && rest != NULL)
        o = json_is_array(o) ? json_array_get(o, (size_t)atoi(key)) : json_object_get(o, key);
    if (value[0] == '\0')
        json_object_del(o, key);
    else if (json_is_array(o))
        json_array_set_new(o, (size_t)atoi(key), json_loads(value, JSON_DECODE_ANY, NULL));
    else
        json_object_set_new(o, key, json_loads(value, JSON_DECODE_ANY, NULL));
}

Test(schema, hostile_json)
{
    static const struct {
        const char *path, *value, *says;
    } cases[] = {
        {"hubbub", "\"schema\"", "not a summary"},
        {"version", "2", "another version"},
        {"columns", "[]", "1 to 4096 columns"},
        {"columns", "7", "1 to 4096 columns"},
        {"rows", "-1", "\"rows\" is no count"},
        {"rows", "0", "\"rows\" is 0"},
        {"rows", "1e3", "\"rows\" is no count"},
        {"preprocess", "", "\"clean\""},
        {"preprocess/normalize", "\"zzz\"", "none of the words"},
        {"label", "null", "\"name\""},
        {"label/categories", "[]", "\"categories\""},
        {"label/categories/0", "\"B\"", "not sorted"},
        {"label/categories/0", "\"z\"", "not sorted"},
        {"label/categories/0", "\"nan\"", "not sorted, or one is no value"},
        {"label/categories/0", "\"1.0\"", "not sorted, or one is no value"},
        {"label/categories/0", "\"\"", "1 to 255 bytes"},
        {"label/counts/0", "-3", "\"categories\""},
        {"label/counts/0", "\"x\"", "\"categories\""},
        {"columns/0", "[]", "\"name\""},
        {"columns/0/name", "\"b\"", "two columns"},
        {"columns/0/name", "\"y\"", "two columns"},
        {"columns/0/name", "\"a\\u001b[2J\"", "control characters"},
        {"columns/0/kind", "\"image\"", "\"kind\""},
        {"columns/0/mean", "1e200", "\"mean\""},
        {"columns/0/m2", "-1", "\"m2\""},
        {"columns/0/min", "5e10", "above \"max\""},
        {"columns/0/count", "\"many\"", "\"count\""},
    };
    struct summary good = summary_of("a,b,y\n1,u,A\n2,v,B", &plain), s;
    for (size_t i = 0; i <= sizeof cases / sizeof cases[0]; i++) {
        struct error err = {0};
        json_t *json = summary_to_json(&good);
        if (i > 0)
            replace(json, cases[i - 1].path, cases[i - 1].value);
        char *text = json_dumps(json, JSON_REAL_PRECISION(17));
        int rc = summary_parse(&s, text, strlen(text), &err);
        cr_assert_eq(rc, i == 0 ? 0 : ERR_DATA, "case %zu: %s", i, err.text);
        if (i == 0)
            summary_close(&s);
        else
            cr_assert_not_null(strstr(err.text, cases[i - 1].says), "case %zu: %s", i, err.text);
        free(text);
        json_decref(json);
    }
    struct error err = {0};
    cr_assert_eq(summary_parse(&s, "{\"a", 3, &err), ERR_DATA);
    cr_assert_not_null(strstr(err.text, "no JSON"), "%s", err.text);
    summary_close(&good);
}

Test(schema, files)
{
    char path[] = "/tmp/hubbub-schema-XXXXXX";
    struct schema a = schema_of("a,y\n1,A\n2,B", &plain), b;
    struct error err = {0};
    close(mkstemp(path));
    cr_assert_eq(schema_write(&a, path, &err), 0, "%s", err.text);
    cr_assert_eq(schema_read(&b, path, &err), 0, "%s", err.text);
    cr_assert_eq(schema_hash(&a), schema_hash(&b));
    schema_close(&b);
    FILE *f = fopen(path, "w");
    fputs("{\n\"hubbub\": ", f);
    fclose(f);
    cr_assert_eq(schema_read(&b, path, &err), ERR_DATA);
    cr_assert(strncmp(err.text, path, strlen(path)) == 0 && strstr(err.text, "line 2") != NULL,
              "%s", err.text);
    remove(path);
    cr_assert_eq(schema_read(&b, path, &err), ERR_DATA);
    cr_assert_eq(schema_write(&a, "/nowhere/x.json", &err), ERR_FAILURE);
    schema_close(&a);
}
