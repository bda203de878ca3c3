/* Fuzzing the reader of model files, .npy. */
#include "tests/fuzz/model_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    model_file_try(data, n, "npy");
    return 0;
}
