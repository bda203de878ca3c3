/* What the parts of `hubbub data` share. */
#ifndef HUBBUB_DATA_CMD_DATA_INNER_H
#define HUBBUB_DATA_CMD_DATA_INNER_H

#include "data/cmd_data.h"
#include "data/dataset.h"
#include "data/schema.h"

#include <stdio.h>

/* Parses; FILE goes where --data goes. */
int data_parse(const struct opts *o, void *flags, struct data_options *data, int argc, char **argv,
               struct error *err) MUST_USE;
/* One line on stdout; gives o back. */
void data_print_json(json_t *o);
void data_class_name(const struct data_pair *data, uint32_t class, char *text, size_t size);

int data_split(int argc, char **argv, struct error *err) MUST_USE;
int data_convert(int argc, char **argv, struct error *err) MUST_USE;

#endif
