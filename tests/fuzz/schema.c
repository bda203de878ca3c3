/* Summaries from anybody: parsed, merged with a good one, and what comes of it written and read. */
#include "base/check.h"
#include "data/schema.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void read_again(const struct schema *schema)
{
    struct schema again;
    struct error err;
    json_t *json = schema_to_json(schema);
    CHECK(schema_from_json(&again, json, &err) == 0);
    CHECK(schema_hash(&again) == schema_hash(schema));
    json_decref(json);
    schema_close(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const char good[] =
        "{\"hubbub\":\"summary\",\"version\":1,\"rows\":2,\"preprocess\":{\"clean\":\"fail\","
        "\"normalize\":\"auto\"},\"label\":{\"name\":\"y\",\"kind\":\"category\",\"missing\":0,"
        "\"categories\":[\"A\",\"B\"],\"counts\":[1,1]},\"columns\":[{\"name\":\"a\",\"kind\":"
        "\"number\",\"missing\":0,\"count\":2,\"mean\":1.5,\"m2\":0.5,\"min\":1.0,\"max\":2.0}]}";
    struct summary ours, theirs;
    struct schema schema;
    struct error err;
    CHECK(summary_parse(&ours, good, strlen(good), &err) == 0);
    if (summary_parse(&theirs, (const char *)data, n, &err) == 0) {
        theirs.id[0] = 1;
        const struct summary *list[] = {&ours, &theirs};
        if (schema_merge(&schema, list, 2, &err) == 0) {
            read_again(&schema);
            schema_close(&schema);
        }
        if (schema_merge(&schema, list + 1, 1, &err) == 0) {
            struct data_shape shape = schema_shape(&schema);
            CHECK(shape.n_features > 0);
            const char *names[] = {"y", "a"};
            struct encoder *e = encoder_new("-", &schema, n % 2 == 0, names, 2, &err);
            encoder_free(e);
            schema_close(&schema);
        }
        summary_close(&theirs);
    }
    summary_close(&ours);
    return 0;
}
