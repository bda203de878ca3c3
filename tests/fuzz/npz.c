/* Fuzzing the reader of .npz files, members of both kinds. */
#include "tests/fuzz/reader.h"

#include "base/log.h"
#include "data/numpy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct source s = fuzz_source(data, n);
    struct part p = {0};
    struct error err;
    struct part test = {0};
    struct memory *list = NULL;
    setenv("XDG_CACHE_HOME", "/proc", 1);
    log_set_level(LOG_ERROR);
    if (numpy_read_npz(&p, &test, &list, &s, &err) == 0) {
        fuzz_read_part(&p);
        fuzz_read_part(&test);
    }
    memory_close(&list);
    fuzz_end(&s);
    return 0;
}
