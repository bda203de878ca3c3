#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>

void check_failed(const char *file, int line, const char *expression)
{
    fprintf(stderr, "hubbub: bug: %s:%d: CHECK(%s) failed\n", file, line, expression);
    abort();
}
