/* Fuzzing the reader of tables of text, through their schema. */
#include "tests/fuzz/reader.h"

#include "data/table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct source s = fuzz_source(data, n);
    struct part p = {0};
    struct error err;
    struct data_options options = {.preprocess.clean = CLEAN_MEAN};
    struct schema *schema = NULL;
    struct memory *list = NULL;
    if (n > 0 && table_read(&p, &schema, false, &list, &s, &options, &err) == 0)
        fuzz_read_part(&p);
    table_schema_free(schema);
    memory_close(&list);
    fuzz_end(&s);
    return 0;
}
