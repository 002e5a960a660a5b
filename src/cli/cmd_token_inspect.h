/* `sallyport token inspect`: shows what a token says, without believing it. */
#ifndef SP_CLI_CMD_TOKEN_INSPECT_H
#define SP_CLI_CMD_TOKEN_INSPECT_H

/* argv[0] is "inspect". Reads one token from standard input. 0: shown; 1: not a compact JWS, or unreadable;
 * 2: usage. */
int sp_cmd_token_inspect(int argc, char **argv);

#endif
