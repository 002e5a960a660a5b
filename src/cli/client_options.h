/* The options of `client add` and `client set`, as members of a request of the admin API. */
#ifndef SP_CLI_CLIENT_OPTIONS_H
#define SP_CLI_CLIENT_OPTIONS_H

#include <jansson.h>

#include "cli/command.h"

/* Puts what was given into the object, over what is there. An exit status; what is wrong has been said. */
int sp_client_options_put(const struct sp_invocation *in, json_t *body);

#endif
