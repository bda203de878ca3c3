#include "data/zip.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

TestSuite(zip, .timeout = 20);

struct file {
    uint8_t *bytes;
    size_t n;
};

/* Members "0", "1" and so on of 0, 7, 14, ... bytes. */
static struct file write_zip(uint32_t n_members, uint64_t limit)
{
    struct file f = {0};
    struct zip_writer w;
    FILE *out = tmpfile();
    cr_assert_not_null(out);
    zip_writer_begin(&w, out);
    w.limit = limit;
    for (uint32_t i = 0; i < n_members; i++) {
        char name[16];
        snprintf(name, sizeof name, "%u", i);
        zip_writer_member(&w, name);
        for (uint32_t k = 0; k < i; k++)
            zip_writer_put(&w, "content", 7);
    }
    zip_writer_end(&w);
    f.n = (size_t)ftell(out);
    f.bytes = malloc(f.n);
    rewind(out);
    cr_assert_eq(fread(f.bytes, 1, f.n, out), f.n);
    fclose(out);
    return f;
}

/* From 100 on, numbers stand in zip64 fields: sizes, offsets, the directory. */
Test(zip, written_and_read_back)
{
    static const struct {
        uint32_t n_members;
        uint64_t limit;
        bool is_zip64;
    } cases[] = {{0, 0xffffffff, false}, {1, 0xffffffff, false}, {40, 0xffffffff, false},
                 {40, 100, true},        {3, 10, true},          {2, 0, true}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct file f = write_zip(cases[i].n_members, cases[i].limit);
        struct zip z;
        struct zip_member m;
        struct error err;
        uint64_t at = 0;
        cr_assert_eq(zip_open(&z, f.bytes, f.n, &err), 0, "case %zu: %s", i, err.text);
        cr_assert_eq(z.n_members, cases[i].n_members);
        cr_expect_eq(memmem(f.bytes, f.n, "PK\6\6", 4) != NULL, cases[i].is_zip64, "case %zu", i);
        for (uint32_t k = 0; k < cases[i].n_members; k++) {
            cr_assert_eq(zip_next(&z, &at, &m, &err), 1, "case %zu, %u: %s", i, k, err.text);
            char name[16];
            snprintf(name, sizeof name, "%u", k);
            cr_expect(m.n_name == strlen(name) && memcmp(m.name, name, m.n_name) == 0);
            cr_expect(!m.deflated && m.n_bytes == 7 * k && m.n_packed == m.n_bytes, "case %zu", i);
            cr_expect_eq(m.crc, (uint32_t)crc32_z(0, f.bytes + m.offset, m.n_bytes));
            cr_expect(k == 0 || memcmp(f.bytes + m.offset, "content", 7) == 0);
        }
        cr_assert_eq(zip_next(&z, &at, &m, &err), 0);
        free(f.bytes);
    }
}

/* Any cut is seen, and any changed byte is safe. */
Test(zip, damage)
{
    struct file f = write_zip(5, 30);
    for (size_t n = 0; n < f.n; n++) {
        struct zip z;
        struct error err = {0};
        cr_assert_eq(zip_open(&z, f.bytes, n, &err), ERR_DATA, "%zu bytes", n);
        cr_assert(err.text[0] != '\0');
    }
    for (size_t i = 0; i < f.n; i++)
        for (int bit = 0; bit < 8; bit++) {
            struct zip z;
            struct zip_member m;
            struct error err;
            uint64_t at = 0;
            f.bytes[i] ^= (uint8_t)(1 << bit);
            if (zip_open(&z, f.bytes, f.n, &err) == 0)
                while (zip_next(&z, &at, &m, &err) == 1)
                    cr_assert(m.offset <= f.n && m.n_packed <= f.n - m.offset);
            f.bytes[i] ^= (uint8_t)(1 << bit);
        }
    free(f.bytes);
}

Test(zip, refuses_in_words)
{
    static const struct {
        const char *what;
        const char *magic; /* of the header that is changed */
        int offset;
        uint8_t value;
    } cases[] = {
        {"encrypted", "PK\1\2", 8, 1},
        {"compressed by method 12", "PK\1\2", 10, 12},
        {"two different sizes", "PK\1\2", 20, 99},
        {"no local header", "PK\1\2", 43, 1},
        {"directory is damaged", "PK\1\2", 0, 'Q'},
        {"directory is said to lie outside", "PK\5\6", 17, 0xff},
        {"members in a directory of", "PK\5\6", 10, 99},
        {"no end record", "PK\5\6", 0, 'Q'},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct file f = write_zip(3, 0xffffffff);
        struct zip z;
        struct zip_member m;
        struct error err = {0};
        uint64_t at = 0;
        uint8_t *header = memmem(f.bytes, f.n, cases[i].magic, 4);
        cr_assert_not_null(header);
        header[cases[i].offset] = cases[i].value;
        int rc = zip_open(&z, f.bytes, f.n, &err);
        while (rc == 0 || rc == 1) {
            rc = zip_next(&z, &at, &m, &err);
            if (rc == 0)
                break;
        }
        cr_expect_eq(rc, ERR_DATA, "%s", cases[i].what);
        cr_expect_not_null(strstr(err.text, cases[i].what), "%s: %s", cases[i].what, err.text);
        free(f.bytes);
    }
}
