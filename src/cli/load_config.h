/* The configuration of a command: defaults, file, environment, --set, --listen and --data, in that order. */
#ifndef SP_CLI_LOAD_CONFIG_H
#define SP_CLI_LOAD_CONFIG_H

#include "cli/command.h"
#include "server/config.h"

/* An exit status; what was wrong has been said on stderr. */
int sp_load_config(const struct sp_invocation *in, const char *listen, struct sp_config *ret);

#endif
