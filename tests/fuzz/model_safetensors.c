/* Fuzzing the reader of model files, .safetensors. */
#include "tests/fuzz/model_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    model_file_try(data, n, "safetensors");
    return 0;
}
