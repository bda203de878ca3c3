#include "model/meta.h"

#include <criterion/criterion.h>
#include <string.h>

TestSuite(meta, .timeout = 20);

/* Each thing that makes another function of the inputs makes another fingerprint; nothing else
 * does. */
Test(meta, fingerprint)
{
    struct error err;
    struct model m;
    static const char *const names[] = {"ant", "bee", "cat"};
    struct data_pair data = {.train = {.shape = data_flat(4, 3), .scale_all = 1.0f / 255},
                             .class_names = names};
    char first[META_HASH_MAX], other[META_HASH_MAX];
    cr_assert_eq(model_parse(&m, "softmax", data.train.shape, &err), 0);
    json_t *meta = meta_new(&m, &data);
    meta_fingerprint(meta, first);
    cr_expect_eq(strlen(first), 16);
    cr_expect_str_eq(json_string_value(json_object_get(meta, "fingerprint")), first);
    json_object_set_new(meta, "step", json_integer(3));
    meta_fingerprint(meta, other);
    cr_expect_str_eq(first, other);
    static const char *const keys[] = {"model",         "input",  "output",
                                       "preprocessing", "labels", "schema"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        json_t *changed = json_deep_copy(meta);
        json_object_set_new(changed, keys[i], json_string("x"));
        meta_fingerprint(changed, other);
        cr_expect_str_neq(first, other, "%s", keys[i]);
        json_decref(changed);
    }
    json_object_del(meta, "model");
    meta_fingerprint(meta, other);
    cr_expect_str_eq(other, "");
    json_decref(meta);
}

/* By name, not by place; and it sees every float and every name. */
Test(meta, weights_hash)
{
    struct model m = {.dim = 3,
                      .n_tensors = 2,
                      .tensors = {{.name = "0.weight", .n_dims = 1, .shape = {2}, .offset = 0},
                                  {.name = "0.bias", .n_dims = 1, .shape = {1}, .offset = 2}}};
    float theta[3] = {1, 2, 3}, turned[3] = {3, 1, 2};
    char first[META_HASH_MAX], other[META_HASH_MAX];
    weights_hash(&m, theta, first);
    for (int i = 0; i < 3; i++) {
        theta[i] += 1;
        weights_hash(&m, theta, other);
        cr_expect_str_neq(first, other, "%d", i);
        theta[i] -= 1;
    }
    m.tensors[0].offset = 1;
    m.tensors[1].offset = 0;
    weights_hash(&m, turned, other);
    cr_expect_str_eq(first, other);
    strcpy(m.tensors[1].name, "0.bios");
    weights_hash(&m, turned, other);
    cr_expect_str_neq(first, other);
}

/* What a file says of a table or of images is either right or refused in words. */
Test(meta, schema_and_layout)
{
    static const struct {
        const char *meta, *schema_error, *layout_error; /* NULL: none */
        const char *layout;
    } cases[] = {
        {"{}", NULL, NULL, ""},
        {"{\"schema\": 3}", "f.npz: metadata: \"schema\": not a schema", NULL, ""},
        {"{\"schema\": {\"hubbub\": \"schema\", \"version\": 1}}", "\"columns\" is not a list",
         NULL, ""},
        {"{\"preprocessing\": {\"layout\": \"1x8x8\"}}", NULL, NULL, "chw:1x8x8"},
        {"{\"preprocessing\": {\"layout\": \"8x8\"}}", NULL, "\"layout\" is not a layout", ""},
        {"{\"preprocessing\": {\"layout\": 8}}", NULL, "\"layout\" is not a layout", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct model_file f = {.path = "f.npz", .meta = json_loads(cases[i].meta, 0, NULL)};
        struct schema schema;
        struct layout layout;
        struct error err = {0};
        cr_assert_not_null(f.meta);
        int rc = meta_schema(&f, &schema, &err);
        cr_expect_eq(rc, cases[i].schema_error != NULL ? ERR_DATA : 0, "%s", cases[i].meta);
        cr_expect(cases[i].schema_error == NULL || strstr(err.text, cases[i].schema_error) != NULL,
                  "%s: %s", cases[i].meta, err.text);
        rc = meta_layout(&f, &layout, &err);
        cr_expect_eq(rc, cases[i].layout_error != NULL ? ERR_DATA : 0, "%s", cases[i].meta);
        cr_expect(cases[i].layout_error == NULL || strstr(err.text, cases[i].layout_error) != NULL,
                  "%s: %s", cases[i].meta, err.text);
        cr_expect(rc != 0 || strcmp(layout.text, cases[i].layout) == 0, "%s", layout.text);
        json_decref(f.meta);
    }
}

Test(meta, what_could_not_be_read_back_is_not_begun)
{
    struct error err = {0};
    json_t *meta = json_object(), *list = json_array();
    for (int i = 0; i < FILE_METADATA_MAX / 20; i++)
        json_array_append_new(list, json_real(1.0 / 3));
    json_object_set_new(meta, "step", json_integer(1));
    cr_expect_eq(meta_check_size(meta, &err), 0);
    json_object_set_new(meta, "schema", list);
    cr_expect_eq(meta_check_size(meta, &err), ERR_DATA);
    cr_expect_not_null(strstr(err.text, "fewer columns"), "%s", err.text);
    json_decref(meta);
}
