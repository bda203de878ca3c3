/* Commands of this room. argv[0] is the command's name; the exit code is returned. */
#ifndef HUBBUB_DATA_CMD_DATA_H
#define HUBBUB_DATA_CMD_DATA_H

#include "base/opts.h"

int cmd_data(int argc, char **argv);

extern const struct opts cmd_data_list_options, cmd_data_info_options, cmd_data_stats_options,
    cmd_data_split_options, cmd_data_convert_options;

#endif
