/* Fuzzing the reader of LIBSVM files. */
#include "tests/fuzz/reader.h"

#include "data/libsvm.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct source s = fuzz_source(data, n);
    struct part p = {0};
    struct error err;
    struct libsvm_layout layout = {0};
    struct memory *list = NULL;
    if (libsvm_looks_right(&s) && libsvm_read(&p, &layout, false, &list, &s, &err) == 0)
        fuzz_read_part(&p);
    memory_close(&list);
    fuzz_end(&s);
    return 0;
}
