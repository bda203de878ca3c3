/* Fuzzing the reader of .npy files. */
#include "tests/fuzz/reader.h"

#include "data/numpy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct source s = fuzz_source(data, n);
    struct part p = {0};
    struct error err;
    if (numpy_read_samples(&p, &s, &err) == 0)
        fuzz_read_part(&p);
    fuzz_end(&s);
    return 0;
}
