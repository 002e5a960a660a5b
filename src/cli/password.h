/* Passwords come from a prompt or from standard input, never from argv. */
#ifndef SP_CLI_PASSWORD_H
#define SP_CLI_PASSWORD_H

#include "cli/command.h"

enum { SP_CLI_PASSWORD_BYTES = 1024 + 2 }; /* the server's maximum, and a NUL */

/* By the command's --password-stdin: one line, its newline taken off. Otherwise asked for twice on the
 * terminal, without echo. An exit status; wipe `ret` after use. */
int sp_password_get(const struct sp_invocation *in, char ret[SP_CLI_PASSWORD_BYTES]);
/* One line of standard input, its newline taken off, for other secrets. false: there is none, or it is too
 * long. */
bool sp_secret_line_get(char ret[SP_CLI_PASSWORD_BYTES]);

#endif
