#include "sim/page.h"

/* Read by the assembler, from the top of the tree; the Makefile says that this file depends on
 * them. */
#define EMBED(name, path)                                                                          \
    __asm__(".pushsection .rodata\n.globl " #name "\n" #name ":\n.incbin \"" path "\"\n.byte 0\n"  \
            ".popsection\n")

EMBED(page_html, "sim/page/page.html");
EMBED(page_css, "sim/page/page.css");
EMBED(page_js, "sim/page/page.js");
EMBED(page_uplot_css, "sim/page/uplot/uPlot.min.css");
EMBED(page_uplot_js, "sim/page/uplot/uPlot.iife.min.js");
EMBED(page_uplot_licence, "sim/page/uplot/LICENSE");
