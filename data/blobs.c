#include "data/blobs.h"

#include "base/mem.h"
#include "base/parse.h"
#include "base/rng.h"
#include "data/memory.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct spec {
    uint64_t classes, features, train, test, seed;
    double spread;
};

static const struct {
    const char *name;
    uint64_t min, max;
    size_t offset;
} keys_u64[] = {
    {"classes", 2, BLOBS_CLASSES_MAX, offsetof(struct spec, classes)},
    {"features", 1, BLOBS_FEATURES_MAX, offsetof(struct spec, features)},
    {"train", 1, BLOBS_SAMPLES_MAX, offsetof(struct spec, train)},
    {"test", 1, BLOBS_SAMPLES_MAX, offsetof(struct spec, test)},
    {"seed", 0, UINT64_MAX, offsetof(struct spec, seed)},
};
enum { N_KEYS_U64 = sizeof keys_u64 / sizeof keys_u64[0] };

static int unknown_key(const char *name, struct error *err)
{
    const char *names[N_KEYS_U64 + 1];
    for (size_t i = 0; i < N_KEYS_U64; i++)
        names[i] = keys_u64[i].name;
    names[N_KEYS_U64] = "spread";
    const char *nearest = parse_nearest(name, names, N_KEYS_U64 + 1);
    return error_set(err, ERR_USAGE,
                     "blobs: no key '%s'%s%s%s (right: classes, features, train, test, spread, "
                     "seed)",
                     name, nearest ? "; did you mean '" : "", nearest ? nearest : "",
                     nearest ? "'?" : "");
}

static int set_key(struct spec *s, const char *name, const char *value, struct error *err)
{
    for (size_t i = 0; i < N_KEYS_U64; i++) {
        if (strcmp(name, keys_u64[i].name) != 0)
            continue;
        uint64_t v;
        if (!parse_u64(value, &v) || v < keys_u64[i].min || v > keys_u64[i].max)
            return error_set(err, ERR_USAGE,
                             "blobs: %s=%s (right: a whole number from %" PRIu64 " to %" PRIu64 ")",
                             name, value, keys_u64[i].min, keys_u64[i].max);
        memcpy((char *)s + keys_u64[i].offset, &v, sizeof v);
        return 0;
    }
    if (strcmp(name, "spread") != 0)
        return unknown_key(name, err);
    if (!parse_f64(value, &s->spread) || s->spread < 0 || s->spread > 1e6)
        return error_set(err, ERR_USAGE, "blobs: spread=%s (right: a number from 0 to 1e6)", value);
    return 0;
}

static int parse_spec(struct spec *s, const char *keys, struct error *err)
{
    char copy[256];
    if (strlen(keys) >= sizeof copy)
        return error_set(err, ERR_USAGE, "blobs: more than %zu characters of keys",
                         sizeof copy - 1);
    strcpy(copy, keys);
    char *rest = copy;
    while (*keys != '\0' && rest != NULL) {
        char *name = strsep(&rest, ","), *value = strchr(name, '=');
        if (value == NULL)
            return error_set(err, ERR_USAGE, "blobs: '%s' is not key=value", name);
        *value++ = '\0';
        int rc = set_key(s, name, value, err);
        if (rc != 0)
            return rc;
    }
    if ((s->train + s->test) * s->features > BLOBS_FLOATS_MAX)
        return error_set(err, ERR_USAGE,
                         "blobs: (train + test) * features = %" PRIu64 " (right: at most %d)",
                         (s->train + s->test) * s->features, BLOBS_FLOATS_MAX);
    return 0;
}

static int fill(struct data_pair *data, struct dataset *set, const struct spec *s,
                const float *centres, uint64_t n, uint32_t stream, struct error *err)
{
    uint32_t n_features = (uint32_t)s->features;
    float *x = memory_alloc(&data->memory, n * n_features * sizeof *x);
    uint8_t *labels = memory_alloc(&data->memory, n);
    if (x == NULL || labels == NULL)
        return error_set(err, ERR_FAILURE, "blobs: out of memory");
    struct rng rng = rng_stream(s->seed, stream, RNG_BLOBS);
    for (size_t i = 0; i < n; i++) {
        labels[i] = (uint8_t)(i % s->classes);
        const float *centre = centres + (size_t)labels[i] * n_features;
        for (uint32_t j = 0; j < n_features; j++)
            x[i * n_features + j] = centre[j] + (float)(s->spread * rng_normal(&rng));
    }
    *set = (struct dataset){.n_samples = (uint32_t)n,
                            .shape = data_flat(n_features, (uint32_t)s->classes),
                            .x = array_of(x, n_features, ELEMENT_F32),
                            .y = array_of(labels, 1, ELEMENT_U8),
                            .scale_all = 1.0f};
    return 0;
}

int blobs_open(struct data_pair *data, const char *keys, struct error *err)
{
    enum { CENTRES, TRAIN, TEST };
    struct spec s = {10, 20, 10000, 1000, 7, 1.0};
    *data = (struct data_pair){0};
    int rc = parse_spec(&s, keys, err);
    if (rc != 0)
        return rc;
    size_t n_centres = (size_t)(s.classes * s.features);
    float *centres = MEM_NEW(float, n_centres);
    struct rng rng = rng_stream(s.seed, CENTRES, RNG_BLOBS);
    for (size_t i = 0; i < n_centres; i++)
        centres[i] = (float)rng_normal(&rng);
    rc = fill(data, &data->train, &s, centres, s.train, TRAIN, err);
    if (rc == 0)
        rc = fill(data, &data->test, &s, centres, s.test, TEST, err);
    free(centres);
    if (rc != 0) {
        data_close(data);
        return rc;
    }
    snprintf(data->name, sizeof data->name,
             "blobs:classes=%" PRIu64 ",features=%" PRIu64 ",train=%" PRIu64 ",test=%" PRIu64
             ",spread=%.9g,seed=%" PRIu64,
             s.classes, s.features, s.train, s.test, s.spread, s.seed);
    return 0;
}
