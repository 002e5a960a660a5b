/* Commands as tables: parsing, --help, man page, docs/cli.md and shell completion come from the same rows.
 *
 * Exit status of every command: 0 done; 1 refused or failed; 2 wrong usage; 3 the server cannot be reached.
 */
#ifndef SP_CLI_COMMAND_H
#define SP_CLI_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum { SP_EXIT_OK = 0, SP_EXIT_FAILED = 1, SP_EXIT_USAGE = 2, SP_EXIT_UNREACHABLE = 3 };

enum {
    SP_OPTION_VALUES_MAX = 64, /* repeated options: far more than anyone types */
    SP_ARGS_MAX = 256,         /* permissions of a role on one line */
    SP_OPTIONS_MAX = 24,       /* of one command: clients have the most */
};

struct sp_option {
    const char *name; /* without the dashes; a single letter has one dash: -n */
    const char *arg;  /* what its value is, for help; NULL: a flag */
    bool repeats;
    const char *doc;
};

struct sp_invocation;
struct sp_command {
    const char *name; /* "user add" */
    const char *args; /* "NAME", "NAME PERMISSION...", "" */
    size_t args_min, args_max;
    const char *summary;
    const struct sp_option *options; /* ends with a NULL name; NULL: none */
    int (*run)(const struct sp_invocation *in);
    const char *details; /* sentences for those who read on; NULL: none */
};
extern const struct sp_command sp_commands[]; /* ends with a NULL name */
extern const struct sp_option sp_global_options[];

/* What every command's end means. */
#define SP_EXIT_STATUS_TEXT "0 done, 1 refused or failed, 2 wrong usage, 3 the server cannot be reached"

/* What was typed. Borrows from argv. */
struct sp_invocation {
    const struct sp_command *command;
    const char *data; /* data directory */
    bool json;
    size_t n_args;
    const char *args[SP_ARGS_MAX];
    struct {
        size_t n;
        const char *values[SP_OPTION_VALUES_MAX];
    } options[SP_OPTIONS_MAX];
};

/* The option's last value, or NULL; for a flag, non-NULL when it was given. The name must be in the command's
 * table. */
const char *sp_invocation_option(const struct sp_invocation *in, const char *name);
/* All values of a repeated option. */
size_t sp_invocation_values(const struct sp_invocation *in, const char *name, const char *const **ret);

/* Says "sallyport CMD: ..." and where help is, on stderr; returns SP_EXIT_USAGE. */
int sp_usage_error(const struct sp_command *command, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Says what is not a command, and what may have been meant; returns SP_EXIT_USAGE. argc > 0. */
int sp_unknown_command(int argc, const char *const *argv);
/* The command whose name argv begins with, and how many words that is; NULL: none. */
const struct sp_command *sp_command_find(int argc, const char *const *argv, int *ret_words);
/* The first word of commands of two words: "user". */
bool sp_command_is_group(const char *word);

/* The list of commands; of those with the same first word; and one of them. */
void sp_print_help(FILE *out);
void sp_print_group_help(FILE *out, const char *word);
void sp_print_command_help(FILE *out, const struct sp_command *c);
/* "-" or "--" */
const char *sp_option_dashes(const struct sp_option *o);

int sp_cli_main(int argc, char **argv);

/* The commands (cmd_*.c). */
int sp_cmd_serve(const struct sp_invocation *in);
int sp_cmd_status(const struct sp_invocation *in);
int sp_cmd_user_add(const struct sp_invocation *in);
int sp_cmd_user_list(const struct sp_invocation *in);
int sp_cmd_user_show(const struct sp_invocation *in);
int sp_cmd_user_disable(const struct sp_invocation *in);
int sp_cmd_user_enable(const struct sp_invocation *in);
int sp_cmd_user_delete(const struct sp_invocation *in);
int sp_cmd_user_passwd(const struct sp_invocation *in);
int sp_cmd_user_roles(const struct sp_invocation *in);
int sp_cmd_role_set(const struct sp_invocation *in);
int sp_cmd_role_list(const struct sp_invocation *in);
int sp_cmd_role_delete(const struct sp_invocation *in);
int sp_cmd_session_list(const struct sp_invocation *in);
int sp_cmd_session_add(const struct sp_invocation *in);
int sp_cmd_session_revoke(const struct sp_invocation *in);
int sp_cmd_revoke(const struct sp_invocation *in);
int sp_cmd_client_add(const struct sp_invocation *in);
int sp_cmd_client_set(const struct sp_invocation *in);
int sp_cmd_client_list(const struct sp_invocation *in);
int sp_cmd_client_show(const struct sp_invocation *in);
int sp_cmd_client_rotate(const struct sp_invocation *in);
int sp_cmd_client_disable(const struct sp_invocation *in);
int sp_cmd_client_enable(const struct sp_invocation *in);
int sp_cmd_client_delete(const struct sp_invocation *in);
int sp_cmd_key_list(const struct sp_invocation *in);
int sp_cmd_key_rotate(const struct sp_invocation *in);
int sp_cmd_key_revoke(const struct sp_invocation *in);
int sp_cmd_audit_show(const struct sp_invocation *in);
int sp_cmd_audit_prune(const struct sp_invocation *in);
int sp_cmd_audit_verify(const struct sp_invocation *in);
int sp_cmd_audit_tail(const struct sp_invocation *in);
int sp_cmd_audit_export(const struct sp_invocation *in);
int sp_cmd_audit_checkpoint(const struct sp_invocation *in);
int sp_cmd_user_erase(const struct sp_invocation *in);
int sp_cmd_backup(const struct sp_invocation *in);
int sp_cmd_restore(const struct sp_invocation *in);
int sp_cmd_doctor(const struct sp_invocation *in);
int sp_cmd_help(const struct sp_invocation *in);
int sp_cmd_completion(const struct sp_invocation *in);
int sp_cmd_man(const struct sp_invocation *in);
int sp_cmd_config_show(const struct sp_invocation *in);
int sp_cmd_config_check(const struct sp_invocation *in);
int sp_cmd_config_doc(const struct sp_invocation *in);
int sp_cmd_version(const struct sp_invocation *in);
int sp_cmd_verifiers(const struct sp_invocation *in);
int sp_cmd_verify(const struct sp_invocation *in);
int sp_cmd_token_inspect(const struct sp_invocation *in);

#endif
