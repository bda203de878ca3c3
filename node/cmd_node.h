/* Commands of this room. argv[0] is the command's name; the exit code is returned. */
#ifndef HUBBUB_NODE_CMD_NODE_H
#define HUBBUB_NODE_CMD_NODE_H

#include "base/opts.h"

int cmd_node(int argc, char **argv);
int cmd_up(int argc, char **argv);
int cmd_demo(int argc, char **argv);
int cmd_agree(int argc, char **argv); /* "data agree" */

extern const struct opts cmd_node_options, cmd_up_options, cmd_demo_options, cmd_agree_options;

#endif
