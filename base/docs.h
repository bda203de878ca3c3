/* The manual page and the completions of shells, written from the option tables. */
#ifndef HUBBUB_BASE_DOCS_H
#define HUBBUB_BASE_DOCS_H

#include "base/opts.h"

/* A program with subcommands. Those of one parent ("hubbub bench train", "hubbub bench straggler")
 * stand together; the parent itself is not listed. */
struct docs {
    const char *program; /* "hubbub" */
    const char *summary; /* one line, without the program's name */
    const char *version, *date;
    const char *description; /* paragraphs, apart by empty lines */
    const struct opts *const *commands;
    size_t n;
};

void docs_man(const struct docs *d, FILE *out);
void docs_bash(const struct docs *d, FILE *out);
void docs_zsh(const struct docs *d, FILE *out);
void docs_fish(const struct docs *d, FILE *out);

/* What follows the program's name: "bench train" of "hubbub bench train". */
const char *docs_path(const struct docs *d, const struct opts *o);

#endif
