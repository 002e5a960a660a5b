/* The configuration of a command: defaults, file, environment, --set, --listen and --data, in that order. */
#ifndef SP_CLI_LOAD_CONFIG_H
#define SP_CLI_LOAD_CONFIG_H

#include "cli/command.h"
#include "server/config.h"

/* An exit status; what was wrong has been said on stderr. */
int sp_load_config(const struct sp_invocation *in, const char *listen, struct sp_config *ret);
/* The same without a word on stderr, for a server that reads it again: error[] says what is wrong. */
sp_status sp_load_config_again(const struct sp_invocation *in, const char *listen, struct sp_config *ret,
                               char error[SP_CONFIG_ERROR_BYTES]);

#endif
