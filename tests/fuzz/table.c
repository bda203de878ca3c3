/* Fuzzing the reader of tables of text: what the file says of itself, the schema of that, and the
 * rows by it. */
#include "tests/fuzz/reader.h"

#include "data/table.h"

static void read_by_schema(const struct source *s, const struct summary *summary,
                           const struct data_options *options)
{
    struct schema schema = {0};
    struct part p = {0};
    struct memory *list = NULL;
    const uint32_t *groups;
    uint32_t n_groups;
    struct error err;
    if (schema_merge(&schema, (const struct summary *[]){summary}, 1, &err) == 0 &&
        table_read(&p, &schema, &list, s, options, &groups, &n_groups, &err) == 0)
        fuzz_read_part(&p);
    schema_close(&schema);
    memory_close(&list);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct source s = fuzz_source(data, n);
    struct data_options options = {.preprocess.clean = CLEAN_MEAN};
    struct summary summary;
    struct error err;
    if (n > 0 && table_summarise(&summary, &s, &options, &err) == 0) {
        read_by_schema(&s, &summary, &options);
        summary_close(&summary);
    }
    fuzz_end(&s);
    return 0;
}
