/* Commands of this room. argv[0] is the command's name; the exit code is returned. */
#ifndef HUBBUB_SIM_CMD_SIM_H
#define HUBBUB_SIM_CMD_SIM_H

#include "base/opts.h"

int cmd_sim(int argc, char **argv);
int cmd_topo(int argc, char **argv);

extern const struct opts cmd_sim_options, cmd_topo_options;

#endif
