#include "sim/markup.h"

#include "base/check.h"
#include "base/mem.h"
#include "net/wire_scan.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

char *markup_clean(const char *text)
{
    static const char unknown[] = "\xef\xbf\xbd";
    size_t n = strlen(text), n_out = 0;
    char *out = MEM_NEW(char, 3 * n + 1);
    for (size_t i = 0; i < n;) {
        uint32_t code = 0;
        size_t length = wire_scan_utf8((const uint8_t *)text + i, n - i, &code);
        bool is_control =
            (code < 0x20 && code != '\n' && code != '\t') || (code >= 0x7f && code < 0xa0);
        if (length == 0 || is_control) {
            memcpy(out + n_out, unknown, 3);
            n_out += 3;
        } else {
            memcpy(out + n_out, text + i, length);
            n_out += length;
        }
        i += length > 0 ? length : 1;
    }
    return out;
}

static void put(FILE *out, char c)
{
    switch (c) {
    case '&':
        fputs("&amp;", out);
        break;
    case '<':
        fputs("&lt;", out);
        break;
    case '>':
        fputs("&gt;", out);
        break;
    case '"':
        fputs("&quot;", out);
        break;
    case '\'':
        fputs("&#39;", out);
        break;
    default:
        fputc(c, out);
    }
}

void markup_text(FILE *out, const char *text)
{
    char *clean = markup_clean(text);
    for (const char *p = clean; *p != '\0'; p++)
        put(out, *p);
    free(clean);
}

void markup_cell(FILE *out, const char *text)
{
    char *clean = markup_clean(text);
    bool quoted = strpbrk(clean, ",\"\n\r") != NULL;
    if (quoted)
        put(out, '"');
    for (const char *p = clean; *p != '\0'; p++) {
        put(out, *p);
        if (*p == '"')
            put(out, '"');
    }
    if (quoted)
        put(out, '"');
    free(clean);
}

void markup_word(FILE *out, const char *word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "_@%+=:,./-";
    char *clean = markup_clean(word);
    bool quoted = *clean == '\0' || strspn(clean, plain) < strlen(clean);
    if (quoted)
        put(out, '\'');
    for (const char *p = clean; *p != '\0'; p++)
        if (*p == '\'')
            markup_text(out, "'\\''");
        else
            put(out, *p);
    if (quoted)
        put(out, '\'');
    free(clean);
}

void markup_json(FILE *out, const json_t *value)
{
    char *text = json_dumps(value, JSON_COMPACT | JSON_REAL_PRECISION(9));
    CHECK(text != NULL);
    for (const char *p = text; *p != '\0'; p++)
        if (*p == '<' || *p == '>' || *p == '&')
            fprintf(out, "\\u%04x", (unsigned)*p);
        else
            fputc(*p, out);
    free(text);
}
