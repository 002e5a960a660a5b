/* Finds the command, parses what follows it by its table, runs it. getopt_long is not used because options of
 * the program and of the command may stand anywhere, and because its messages would name neither. */
#include "cli/command.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "token/ids.h"

const struct sp_option sp_global_options[] = {
    {"data", "DIR", false, "data directory of the server (SALLYPORT_DATA; default: sallyport-data)"},
    {"json", NULL, false, "answers as JSON instead of a table"},
    {"help", NULL, false, "shows this"},
    {0},
};

static size_t option_index(const struct sp_option *options, const char *name, size_t name_n) {
    size_t i = 0;
    for (; options != NULL && options[i].name != NULL; i++) {
        if (strlen(options[i].name) == name_n && memcmp(options[i].name, name, name_n) == 0) return i;
    }
    return SIZE_MAX;
}

const char *sp_invocation_option(const struct sp_invocation *in, const char *name) {
    const char *const *values;
    size_t n = sp_invocation_values(in, name, &values);
    return n == 0 ? NULL : values[n - 1];
}

size_t sp_invocation_values(const struct sp_invocation *in, const char *name, const char *const **ret) {
    size_t i = option_index(in->command->options, name, strlen(name));
    sp_assert(i != SIZE_MAX);
    *ret = in->options[i].values;
    return in->options[i].n;
}

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

static void print_command_help(FILE *out, const struct sp_command *c) {
    fprintf(out, "%s\n\nusage: sallyport [--data DIR] %s%s%s%s\n\n", c->summary, c->name,
            c->options ? " [OPTION]..." : "", c->args[0] ? " " : "", c->args);
    if (c->details != NULL) print_folded(out, c->details);
    print_options(out, c->options);
    print_options(out, sp_global_options);
    fprintf(out, "\nexit status: " SP_EXIT_STATUS_TEXT "\n");
}

void sp_print_help(FILE *out) {
    fprintf(
        out,
        "Sallyport, a session and token server\n\nusage: sallyport [--data DIR] COMMAND [ARGUMENT]...\n\n");
    for (const struct sp_command *c = sp_commands; c->name != NULL; c++) {
        char left[64];
        snprintf(left, sizeof(left), "%s %s", c->name, c->args);
        fprintf(out, "  %-28s %s\n", left, c->summary);
    }
    fprintf(out, "\n`sallyport COMMAND --help` tells more.\n");
}

int sp_usage_error(const struct sp_command *command, const char *fmt, ...) {
    fprintf(stderr, "sallyport%s%s: ", command ? " " : "", command ? command->name : "");
    va_list args;
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fprintf(stderr, "\n`sallyport%s%s --help` shows the usage.\n", command ? " " : "",
            command ? command->name : "");
    return SP_EXIT_USAGE;
}

/* How many words of argv the command's name takes at its start; 0: not this one. */
static int name_matches(const char *name, int argc, char **argv) {
    int words = 0;
    while (*name != 0) {
        size_t n = strcspn(name, " ");
        if (words >= argc || strlen(argv[words]) != n || memcmp(argv[words], name, n) != 0) return 0;
        name += n + (name[n] == ' ');
        words++;
    }
    return words;
}

static const struct sp_command *find_command(int argc, char **argv, int *ret_words) {
    for (const struct sp_command *c = sp_commands; c->name != NULL; c++) {
        *ret_words = name_matches(c->name, argc, argv);
        if (*ret_words != 0) return c;
    }
    return NULL;
}

struct parse {
    struct sp_invocation *in;
    bool help;
};

/* One of --data, --json, --help. `value`: after '=', or NULL. Returns words taken beyond the first, or -1. */
static int parse_global(struct parse *p, size_t i, const char *value, const char *next) {
    const struct sp_option *o = &sp_global_options[i];
    if (o->arg == NULL && value != NULL) return -1;
    if (strcmp(o->name, "help") == 0) p->help = true;
    if (strcmp(o->name, "json") == 0) p->in->json = true;
    if (o->arg == NULL) return 0;
    p->in->data = value != NULL ? value : next;
    return p->in->data == NULL ? -1 : value == NULL;
}

static int parse_own(struct parse *p, size_t i, const char *value, const char *next) {
    const struct sp_option *o = &p->in->command->options[i];
    const char *v = o->arg == NULL ? "" : value != NULL ? value : next;
    if (v == NULL || (o->arg == NULL && value != NULL)) return -1;
    size_t n = p->in->options[i].n;
    if (n != 0 && !o->repeats) return -1;
    if (n == SP_OPTION_VALUES_MAX) return -1;
    p->in->options[i].values[p->in->options[i].n++] = v;
    return o->arg != NULL && value == NULL;
}

/* "-n VALUE", "--name VALUE", "--name=VALUE" */
static int parse_option(struct parse *p, const char *word, const char *next) {
    const char *name = word + (word[1] == '-' ? 2 : 1), *equals = strchr(name, '=');
    size_t name_n = equals != NULL ? (size_t)(equals - name) : strlen(name);
    const char *value = equals != NULL ? equals + 1 : NULL;
    if ((word[1] == '-') == (name_n < 2)) return -1;
    size_t own = p->in->command == NULL ? SIZE_MAX : option_index(p->in->command->options, name, name_n);
    if (own != SIZE_MAX) return parse_own(p, own, value, next);
    size_t global = option_index(sp_global_options, name, name_n);
    return global == SIZE_MAX ? -1 : parse_global(p, global, value, next);
}

/* One id in 64 begins with a dash, and people paste ids: a word of the length of an id (user, token, key;
 * session; key's thumbprint) and of its characters is one. No option is as long as that. */
static bool looks_like_id(const char *word) {
    enum { THUMBPRINT_CHARS = 43 }; /* SHA-256 in base64url, RFC 7638 */
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    size_t n = strspn(word, alphabet);
    return word[n] == 0 && (n == SP_ID_CHARS || n == SP_SID_CHARS || n == THUMBPRINT_CHARS);
}

static bool is_option(const char *word) {
    return word[0] == '-' && word[1] != 0 && !looks_like_id(word);
}

static int parse_words(struct parse *p, int argc, char **argv) {
    struct sp_invocation *in = p->in;
    bool options_over = false;
    for (int i = 0; i < argc; i++) {
        if (!options_over && strcmp(argv[i], "--") == 0) {
            options_over = true;
        } else if (!options_over && is_option(argv[i])) {
            int taken = parse_option(p, argv[i], i + 1 < argc ? argv[i + 1] : NULL);
            if (taken < 0) return sp_usage_error(in->command, "cannot read option %s", argv[i]);
            i += taken;
        } else if (in->n_args == SP_ARGS_MAX) {
            return sp_usage_error(in->command, "too many arguments");
        } else {
            in->args[in->n_args++] = argv[i];
        }
    }
    return SP_EXIT_OK;
}

static int run_command(struct parse *p, int argc, char **argv) {
    struct sp_invocation *in = p->in;
    int failed = parse_words(p, argc, argv);
    if (failed) return failed;
    if (p->help) {
        print_command_help(stdout, in->command);
        return SP_EXIT_OK;
    }
    if (in->n_args < in->command->args_min || in->n_args > in->command->args_max)
        return sp_usage_error(in->command, "expected arguments: %s",
                              in->command->args[0] ? in->command->args : "none");
    return in->command->run(in);
}

/* Options of the program may stand before the command; takes them off argv's front. */
static int parse_leading(struct parse *p, int *argc, char ***argv) {
    while (*argc > 0 && (*argv)[0][0] == '-') {
        int taken = parse_option(p, (*argv)[0], *argc > 1 ? (*argv)[1] : NULL);
        if (taken < 0) return sp_usage_error(NULL, "cannot read option %s", (*argv)[0]);
        *argc -= taken + 1;
        *argv += taken + 1;
    }
    return SP_EXIT_OK;
}

int sp_cli_main(int argc, char **argv) {
    const char *data = getenv("SALLYPORT_DATA");
    struct sp_invocation in = {.data = data != NULL && *data != 0 ? data : NULL};
    struct parse p = {.in = &in};
    argc--, argv++;
    int failed = parse_leading(&p, &argc, &argv);
    if (failed) return failed;
    if (argc == 0 || p.help) {
        sp_print_help(p.help ? stdout : stderr);
        return p.help ? SP_EXIT_OK : SP_EXIT_USAGE;
    }
    int words = 0;
    in.command = find_command(argc, argv, &words);
    if (in.command == NULL)
        return sp_usage_error(NULL, "unknown command \"%s%s%s\"", argv[0], argc > 1 ? " " : "",
                              argc > 1 ? argv[1] : "");
    return run_command(&p, argc - words, argv + words);
}
