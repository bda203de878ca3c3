#include "sim/markup.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

TestSuite(markup, .timeout = 20);

#define UNKNOWN "\xef\xbf\xbd"

static void expect(void (*write)(FILE *out, const char *text), const char *text, const char *right)
{
    char *written = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&written, &size);
    write(out, text);
    fclose(out);
    cr_assert_str_eq(written, right, "of '%s': '%s'", text, written);
    free(written);
}

Test(markup, text)
{
    expect(markup_text, "", "");
    expect(markup_text, "a & b <c> \"d\" 'e'", "a &amp; b &lt;c&gt; &quot;d&quot; &#39;e&#39;");
    expect(markup_text, "caf\xc3\xa9\n\t", "caf\xc3\xa9\n\t");
    expect(markup_text, "\x1b[2J\x7f", UNKNOWN "[2J" UNKNOWN);
    expect(markup_text, "\xff<\xc3", UNKNOWN "&lt;" UNKNOWN);
    expect(markup_text, "\xc2\x85", UNKNOWN);                     /* a C1 control */
    expect(markup_text, "\xed\xa0\x80", UNKNOWN UNKNOWN UNKNOWN); /* a surrogate */
}

Test(markup, cell)
{
    expect(markup_cell, "plain", "plain");
    expect(markup_cell, "a,b", "&quot;a,b&quot;");
    expect(markup_cell, "say \"x\"", "&quot;say &quot;&quot;x&quot;&quot;&quot;");
    expect(markup_cell, "two\nlines", "&quot;two\nlines&quot;");
    expect(markup_cell, "</pre>", "&lt;/pre&gt;");
}

Test(markup, word)
{
    expect(markup_word, "--lr=0.1", "--lr=0.1");
    expect(markup_word, "", "&#39;&#39;");
    expect(markup_word, "a b", "&#39;a b&#39;");
    expect(markup_word, "it's", "&#39;it&#39;\\&#39;&#39;s&#39;");
    expect(markup_word, "$(x);<", "&#39;$(x);&lt;&#39;");
}

Test(markup, json)
{
    char *written = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&written, &size);
    json_t *value = json_pack("[s]", "</script><!--&");
    markup_json(out, value);
    fclose(out);
    cr_assert_str_eq(written, "[\"\\u003c/script\\u003e\\u003c!--\\u0026\"]");
    json_t *back = json_loads(written, 0, NULL);
    cr_assert(json_equal(value, back), "the same string");
    json_decref(back);
    json_decref(value);
    free(written);
}
