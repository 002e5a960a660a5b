/* What --help prints: of the program, of a group (the commands with the same first word), of one command. */
#include "cli/command.h"

#include <stdio.h>
#include <string.h>

const char *sp_option_dashes(const struct sp_option *o) {
    return o->name[1] == 0 ? "-" : "--";
}

static void print_options(FILE *out, const struct sp_option *options) {
    for (; options != NULL && options->name != NULL; options++) {
        char left[64];
        snprintf(left, sizeof(left), "%s%s%s%s", sp_option_dashes(options), options->name,
                 options->arg ? " " : "", options->arg ? options->arg : "");
        fprintf(out, "  %-28s %s%s\n", left, options->doc, options->repeats ? " (may be repeated)" : "");
    }
}

/* In lines of a terminal's width, and an empty one behind them. */
static void print_folded(FILE *out, const char *text) {
    enum { COLUMNS = 78 };
    for (size_t column = 0; *text != 0;) {
        size_t n = strcspn(text, " ");
        bool fits = column + 1 + n <= COLUMNS;
        fprintf(out, "%s%.*s", column == 0 ? "" : fits ? " " : "\n", (int)n, text);
        column = column != 0 && fits ? column + 1 + n : n;
        text += n + (text[n] == ' ');
    }
    fprintf(out, "\n\n");
}

void sp_print_command_help(FILE *out, const struct sp_command *c) {
    fprintf(out, "%s\n\nusage: sallyport [--data DIR] %s%s%s%s\n\n", c->summary, c->name,
            c->options ? " [OPTION]..." : "", c->args[0] ? " " : "", c->args);
    if (c->details != NULL) print_folded(out, c->details);
    print_options(out, c->options);
    print_options(out, sp_global_options);
    fprintf(out, "\nexit status: " SP_EXIT_STATUS_TEXT "\n");
}

static void print_summary(FILE *out, const struct sp_command *c) {
    char left[64];
    snprintf(left, sizeof(left), "%s %s", c->name, c->args);
    fprintf(out, "  %-28s %s\n", left, c->summary);
}

void sp_print_help(FILE *out) {
    fprintf(
        out,
        "Sallyport, a session and token server\n\nusage: sallyport [--data DIR] COMMAND [ARGUMENT]...\n\n");
    for (const struct sp_command *c = sp_commands; c->name != NULL; c++) print_summary(out, c);
    fprintf(out, "\n`sallyport COMMAND --help` tells more.\n");
}

static bool is_of_group(const struct sp_command *c, const char *word) {
    const size_t n = strlen(word);
    return n != 0 && strncmp(c->name, word, n) == 0 && c->name[n] == ' ';
}

bool sp_command_is_group(const char *word) {
    for (const struct sp_command *c = sp_commands; c->name != NULL; c++)
        if (is_of_group(c, word)) return true;
    return false;
}

void sp_print_group_help(FILE *out, const char *word) {
    fprintf(out, "usage: sallyport [--data DIR] %s COMMAND [ARGUMENT]...\n\n", word);
    for (const struct sp_command *c = sp_commands; c->name != NULL; c++)
        if (is_of_group(c, word)) print_summary(out, c);
    fprintf(out, "\n`sallyport %s COMMAND --help` tells more.\n", word);
}
