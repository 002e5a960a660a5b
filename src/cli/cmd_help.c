/* What the command tables become: the list of commands, docs/cli.md, the manual page, the completion for
 * bash. Tests hold the files in the repository and these outputs together. */
#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "server/wire.h"

static const char env_text[] = "SALLYPORT_DATA is the data directory when --data is not given; "
                               "SALLYPORT_CONFIG the configuration file when "
                               "--config is not; SALLYPORT_MASTER_KEY holds the master key instead of a "
                               "file; SALLYPORT_SECTION_KEY sets any "
                               "configuration key.";

/* ---- markdown ---- */

/* Characters that a table would take for its own are escaped. */
static void markdown_text(const char *s) {
    for (; *s != 0; s++) {
        if (strchr("|<>", *s) != NULL) putchar('\\');
        putchar(*s);
    }
}

static void markdown_options(const struct sp_option *o) {
    if (o == NULL || o->name == NULL) return;
    printf("| option | |\n|---|---|\n");
    for (; o->name != NULL; o++) {
        printf("| `%s%s%s%s` | ", sp_option_dashes(o), o->name, o->arg ? " " : "", o->arg ? o->arg : "");
        markdown_text(o->doc);
        printf("%s |\n", o->repeats ? " (may be repeated)" : "");
    }
    printf("\n");
}

static void print_markdown(void) {
    printf(
        "# The command line\n\n"
        "<!-- Made by `sallyport help --markdown`; tests hold the two together. -->\n\n"
        "`sallyport COMMAND --help` says the same. Commands that need a running server talk to it over the\n"
        "admin socket in its data directory, which the server's own user and root may use.\n"
        "Passwords are asked for or read from standard input; they are never arguments.\n\n"
        "Exit status: %s.\n\n%s\n\n## For every command\n\n",
        SP_EXIT_STATUS_TEXT, env_text);
    markdown_options(sp_global_options);
    for (const struct sp_command *c = sp_commands; c->name != NULL; c++) {
        printf("## `%s%s%s`\n\n%s.\n\n", c->name, c->args[0] ? " " : "", c->args, c->summary);
        if (c->details != NULL) printf("%s\n\n", c->details);
        markdown_options(c->options);
    }
}

/* ---- manual page ---- */

/* A leading dot or quote is a request to roff, a backslash an escape; dashes are to be typed. */
static void roff_text(const char *s) {
    if (*s == '.' || *s == '\'') fputs("\\&", stdout);
    for (; *s != 0; s++) {
        if (*s == '\\')
            fputs("\\e", stdout);
        else if (*s == '-')
            fputs("\\-", stdout);
        else
            putchar(*s);
    }
}

static void roff_options(const struct sp_option *o) {
    for (; o != NULL && o->name != NULL; o++) {
        printf(".RS\n.TP\n.B ");
        roff_text(sp_option_dashes(o));
        roff_text(o->name);
        if (o->arg != NULL) {
            printf(" \\fI");
            roff_text(o->arg);
            printf("\\fR");
        }
        printf("\n");
        roff_text(o->doc);
        printf("%s\n.RE\n", o->repeats ? " (may be repeated)" : "");
    }
}

int sp_cmd_man(const struct sp_invocation *in) {
    (void)in;
    printf(".TH SALLYPORT 1 \"\" \"sallyport %s\"\n.SH NAME\nsallyport \\- a session and token server\n"
           ".SH SYNOPSIS\n.B sallyport\n[\\-\\-data DIR] COMMAND [ARGUMENT]...\n.SH DESCRIPTION\n"
           "Logs users in, issues short\\-lived signed access tokens and rotating refresh tokens, and "
           "revokes them.\n"
           "Commands that need a running server talk to it over the admin socket in its data directory.\n"
           ".SH OPTIONS\n",
           SP_VERSION);
    roff_options(sp_global_options);
    printf(".SH COMMANDS\n");
    for (const struct sp_command *c = sp_commands; c->name != NULL; c++) {
        printf(".TP\n.B ");
        roff_text(c->name);
        printf(" \\fI");
        roff_text(c->args);
        printf("\\fR\n");
        roff_text(c->summary);
        printf(".\n");
        if (c->details != NULL) {
            roff_text(c->details);
            printf("\n");
        }
        roff_options(c->options);
    }
    printf(".SH EXIT STATUS\n");
    roff_text(SP_EXIT_STATUS_TEXT);
    printf(".\n.SH ENVIRONMENT\n");
    roff_text(env_text);
    printf("\n");
    return SP_EXIT_OK;
}

/* ---- bash ---- */

static void bash_options(const struct sp_option *o) {
    for (; o != NULL && o->name != NULL; o++) printf("%s%s ", sp_option_dashes(o), o->name);
}

/* One case a command, by its words; the words that may follow a first one are found by the same table. */
int sp_cmd_completion(const struct sp_invocation *in) {
    if (strcmp(in->args[0], "bash") != 0) return sp_usage_error(in->command, "only bash is known");
    printf("# bash completion for sallyport: source <(sallyport completion bash)\n"
           "_sallyport() {\n"
           "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} words='' options='' i\n"
           "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
           "        case ${COMP_WORDS[i]} in\n"
           "            --data) ((i++)) ;;\n"
           "            -*) ;;\n"
           "            *) words+=\"${COMP_WORDS[i]} \" ;;\n"
           "        esac\n"
           "    done\n"
           "    case $prev in\n"
           "        --data) COMPREPLY=($(compgen -d -- \"$cur\")); return ;;\n"
           "        --config|--checkpoint|--jwks) COMPREPLY=($(compgen -f -- \"$cur\")); return ;;\n"
           "    esac\n"
           "    case $words in\n");
    for (const struct sp_command *c = sp_commands; c->name != NULL; c++) {
        printf("        '%s '*) options='", c->name);
        bash_options(c->options);
        printf("' ;;\n");
    }
    printf("    esac\n    options+='");
    bash_options(sp_global_options);
    printf("'\n"
           "    if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W \"$options\" -- \"$cur\")); return; fi\n"
           "    local known line next=''\n"
           "    known='");
    for (const struct sp_command *c = sp_commands; c->name != NULL; c++) printf("%s\n", c->name);
    printf("'\n"
           "    while IFS= read -r line; do\n"
           "        [[ \"$line \" == \"$words\"* ]] && line=${line:${#words}} && next+=\"${line%%%% *} \"\n"
           "    done <<< \"$known\"\n"
           "    if [[ -n ${next// /} ]]; then COMPREPLY=($(compgen -W \"$next\" -- \"$cur\"))\n"
           "    else COMPREPLY=($(compgen -f -- \"$cur\")); fi\n"
           "}\n"
           "complete -F _sallyport sallyport\n");
    return SP_EXIT_OK;
}

/* `help user`, `help user add` */
static int print_help_of(const struct sp_invocation *in) {
    int n;
    const struct sp_command *c = sp_command_find((int)in->n_args, in->args, &n);
    if (c != NULL) {
        sp_print_command_help(stdout, c);
    } else if (in->n_args == 1 && sp_command_is_group(in->args[0])) {
        sp_print_group_help(stdout, in->args[0]);
    } else {
        return sp_unknown_command((int)in->n_args, in->args);
    }
    return SP_EXIT_OK;
}

int sp_cmd_help(const struct sp_invocation *in) {
    if (in->n_args != 0) return print_help_of(in);
    if (sp_invocation_option(in, "markdown") != NULL) {
        print_markdown();
    } else {
        sp_print_help(stdout);
    }
    return SP_EXIT_OK;
}
