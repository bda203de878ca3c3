/* The model room's commands. argv[0] is the command's name; the exit code is returned. */
#ifndef HUBBUB_MODEL_CMD_MODEL_H
#define HUBBUB_MODEL_CMD_MODEL_H

#include "base/opts.h"

int cmd_eval(int argc, char **argv);
int cmd_predict(int argc, char **argv);
int cmd_inspect(int argc, char **argv);
int cmd_convert(int argc, char **argv);

extern const struct opts cmd_eval_options, cmd_predict_options, cmd_inspect_options,
    cmd_convert_options;

#endif
