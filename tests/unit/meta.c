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
