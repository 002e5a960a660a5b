/* `sallyport verify`: answers, for each token on standard input, whether it is good; offline, with keys from
 * a file. */
#ifndef SP_CLI_CMD_VERIFY_H
#define SP_CLI_CMD_VERIFY_H

/* argv[0] is "verify". 0: every line was answered; 1: the keys or standard input could not be read; 2: usage.
 */
int sp_cmd_verify(int argc, char **argv);

#endif
