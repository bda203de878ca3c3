#include "base/error.h"

#include <criterion/criterion.h>
#include <string.h>

TestSuite(error, .timeout = 20);

Test(error, set_and_prefix)
{
    struct error err;
    cr_assert_eq(error_set(&err, ERR_DATA, "offset %d", 4), ERR_DATA);
    cr_assert_eq(err.code, ERR_DATA);
    cr_assert_eq(error_prefix(&err, "file %s", "a"), ERR_DATA);
    cr_assert_str_eq(err.text, "file a: offset 4");
}

Test(error, long_texts_are_cut)
{
    struct error err;
    char text[2000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    error_set(&err, ERR_USAGE, "%s", text);
    cr_assert_eq(strlen(err.text), sizeof err.text - 1);
    error_prefix(&err, "place");
    cr_assert_eq(strncmp(err.text, "place: xxx", 10), 0);
    cr_assert_lt(strlen(err.text), sizeof err.text);
}
