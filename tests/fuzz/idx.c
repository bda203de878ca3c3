/* Fuzzing the reader of IDX files: samples, then labels. */
#include "tests/fuzz/reader.h"

#include "data/idx.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct source s = fuzz_source(data, n);
    struct part p = {0};
    struct error err;
    if (idx_read_samples(&p, &s, &err) == 0)
        fuzz_read_part(&p);
    p.n_rows = n > 7 ? data[7] : 0;
    if (idx_read_labels(&p, &s, &err) == 0)
        (void)array_value(&p.y, p.n_rows - 1, 0);
    fuzz_end(&s);
    return 0;
}
