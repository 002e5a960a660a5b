/* For what cannot be taken back. */
#ifndef SP_CLI_CONFIRM_H
#define SP_CLI_CONFIRM_H

#include "cli/command.h"

/* Asks on the terminal and wants `word` typed, unless --yes was given. SP_EXIT_OK: go on. Otherwise an exit
 * status, and what went wrong has been said. */
int sp_confirm(const struct sp_invocation *in, const char *question, const char *word);

#endif
