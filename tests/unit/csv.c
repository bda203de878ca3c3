/* Records of tables of text. */
#include "data/csv.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

TestSuite(csv, .timeout = 30);

/* Every record as "name=cell,...;": what the file means. */
static int flatten(const char *text, size_t n, char *out, size_t size, struct error *err)
{
    struct source s = {"a.csv", (const uint8_t *)text, n};
    struct csv c;
    int rc = csv_open(&c, &s, err);
    if (rc != 0)
        return rc;
    size_t at = 0;
    out[0] = '\0';
    while ((rc = csv_next(&c, err)) == 1) {
        for (uint32_t i = 0; i < c.n_columns; i++)
            at += (size_t)snprintf(out + at, size - at, "%s=%s,", c.names[i], c.cells[i]);
        at += (size_t)snprintf(out + at, size - at, ";");
    }
    csv_close(&c);
    return rc;
}

Test(csv, records)
{
    static const struct {
        const char *text, *right;
    } cases[] = {
        {"a,b\n1,2\n", "a=1,b=2,;"},
        {"\xef\xbb\xbf"
         "a,b\r\n1,2\r\n\r\n3,4",
         "a=1,b=2,;a=3,b=4,;"},
        {"a\tb\n1\t2\n", "a=1,b=2,;"},
        {"a;b\n1,5;2\n", "a=1,5,b=2,;"},
        {"a|b\n1|2\n", "a=1,b=2,;"},
        {"a,b\n\"x,\"\"y\"\"\nz\",2\n", "a=x,\"y\"\nz,b=2,;"},
        {"1,2\n3,4\n", "column1=1,column2=2,;column1=3,column2=4,;"},
        {" a , b\n1,2\n", "a=1,b=2,;"},
        {",b\n1,2\n", "column1=1,b=2,;"},
        {"0,1,y\n5,6,7\n", "0=5,1=6,y=7,;"},
        {"M,1\nB,2\n", "column1=M,column2=1,;column1=B,column2=2,;"},
        {"2,1,no,yes\n5,0\n6,1\n", "column1=5,column2=0,;column1=6,column2=1,;"},
        {"a,b\n,?\n", "a=,b=?,;"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char out[256];
        struct error err;
        cr_assert_eq(flatten(cases[i].text, strlen(cases[i].text), out, sizeof out, &err), 0,
                     "%zu: %s", i, err.text);
        cr_assert_str_eq(out, cases[i].right, "%zu: %s", i, out);
    }
}

Test(csv, what_is_broken_names_its_line)
{
    static const struct {
        const char *text;
        size_t n;
        const char *right;
    } cases[] = {
        {"a,b\n1,2\n3\n", 0, "line 3: 1 cells (right: 2"},
        {"a,b\n1,2\n1,2,3\n", 0, "line 3: 3 cells (right: 2"},
        {"a,b\n1,2\n\"3,4\n", 0, "line 3: a quote that is never closed"},
        {"a,b\n1,2\n\"3\"x,4\n", 0, "line 3: text between"},
        {"a,b\n1,\0\n", 8, "line 2: a byte 0"},
        {"one\ntwo\n", 0, "line 1: one column only"},
        {"a,b\n", 0, "no rows after the header"},
        {"3,1,no,yes\n5,0\n6,1\n", 0, "ends after 2 rows (right: 3"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char out[256];
        struct error err;
        size_t n = cases[i].n > 0 ? cases[i].n : strlen(cases[i].text);
        cr_assert_eq(flatten(cases[i].text, n, out, sizeof out, &err), ERR_DATA, "%zu", i);
        cr_assert(strstr(err.text, cases[i].right) != NULL, "%zu: %s", i, err.text);
    }
}
