/* Finds the command, parses what follows it by its table, runs it. getopt_long is not used because options of
 * the program and of the command may stand anywhere, and because its messages would name neither. */
#include "cli/command.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "cli/near.h"
#include "token/ids.h"

const struct sp_option sp_global_options[] = {
    {"data", "DIR", false, "data directory of the server (SALLYPORT_DATA; default: sallyport-data)"},
    {"json", NULL, false, "answers as JSON instead of a table"},
    {"help", NULL, false, "shows this (also -h)"},
    {"version", NULL, false, "prints the version"},
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
static int name_matches(const char *name, int argc, const char *const *argv) {
    int words = 0;
    while (*name != 0) {
        size_t n = strcspn(name, " ");
        if (words >= argc || strlen(argv[words]) != n || memcmp(argv[words], name, n) != 0) return 0;
        name += n + (name[n] == ' ');
        words++;
    }
    return words;
}

const struct sp_command *sp_command_find(int argc, const char *const *argv, int *ret_words) {
    for (const struct sp_command *c = sp_commands; c->name != NULL; c++) {
        *ret_words = name_matches(c->name, argc, argv);
        if (*ret_words != 0) return c;
    }
    return NULL;
}

/* "user", "lst" -> "user lst" */
static void join(char *ret, size_t cap, int argc, const char *const *argv) {
    snprintf(ret, cap, "%s%s%s", argv[0], argc > 1 ? " " : "", argc > 1 ? argv[1] : "");
}

int sp_unknown_command(int argc, const char *const *argv) {
    char typed[2 * SP_NEAR_BYTES], near[SP_NEAR_BYTES + 32] = "";
    join(typed, sizeof(typed), argc, argv);
    struct sp_near whole = sp_near_begin(typed, strlen(typed));
    struct sp_near first = sp_near_begin(argv[0], strlen(argv[0]));
    for (const struct sp_command *c = sp_commands; c->name != NULL; c++) {
        sp_near_try(&whole, c->name, strlen(c->name));
        sp_near_try(&first, c->name, strcspn(c->name, " "));
    }
    const struct sp_near *meant = whole.word != NULL ? &whole : &first;
    if (meant->word != NULL && meant->distance != 0)
        snprintf(near, sizeof(near), "; did you mean \"%.*s\"?", (int)meant->word_n, meant->word);
    return sp_usage_error(NULL, "unknown command \"%s\"%s", typed, near);
}

struct parse {
    struct sp_invocation *in;
    bool help, version;
};

/* What is wrong with an option; otherwise how many words it took beyond its own. */
enum { UNKNOWN = -1, NEEDS_VALUE = -2, TAKES_NO_VALUE = -3, GIVEN_TWICE = -4, TOO_OFTEN = -5 };

/* One of --data, --json, --help, --version. `value`: after '=', or NULL. */
static int parse_global(struct parse *p, size_t i, const char *value, const char *next) {
    const struct sp_option *o = &sp_global_options[i];
    if (o->arg == NULL && value != NULL) return TAKES_NO_VALUE;
    if (strcmp(o->name, "help") == 0) p->help = true;
    if (strcmp(o->name, "version") == 0) p->version = true;
    if (strcmp(o->name, "json") == 0) p->in->json = true;
    if (o->arg == NULL) return 0;
    p->in->data = value != NULL ? value : next;
    return p->in->data == NULL ? NEEDS_VALUE : value == NULL;
}

static int parse_own(struct parse *p, size_t i, const char *value, const char *next) {
    const struct sp_option *o = &p->in->command->options[i];
    const char *v = o->arg == NULL ? "" : value != NULL ? value : next;
    if (v == NULL) return NEEDS_VALUE;
    if (o->arg == NULL && value != NULL) return TAKES_NO_VALUE;
    size_t n = p->in->options[i].n;
    if (n != 0 && !o->repeats) return GIVEN_TWICE;
    if (n == SP_OPTION_VALUES_MAX) return TOO_OFTEN;
    p->in->options[i].values[p->in->options[i].n++] = v;
    return o->arg != NULL && value == NULL;
}

/* "-n VALUE", "--name VALUE", "--name=VALUE" */
static int parse_option(struct parse *p, const char *word, const char *next) {
    if (strcmp(word, "-h") == 0) word = "--help";
    const char *name = word + (word[1] == '-' ? 2 : 1), *equals = strchr(name, '=');
    size_t name_n = equals != NULL ? (size_t)(equals - name) : strlen(name);
    const char *value = equals != NULL ? equals + 1 : NULL;
    if ((word[1] == '-') == (name_n < 2)) return UNKNOWN;
    size_t own = p->in->command == NULL ? SIZE_MAX : option_index(p->in->command->options, name, name_n);
    if (own != SIZE_MAX) return parse_own(p, own, value, next);
    size_t global = option_index(sp_global_options, name, name_n);
    return global == SIZE_MAX ? UNKNOWN : parse_global(p, global, value, next);
}

/* Without the value: it might be a secret. */
static int option_error(const struct parse *p, const char *word, int wrong) {
    static const char *const says[] = {[-UNKNOWN] = "unknown option",
                                       [-NEEDS_VALUE] = "needs a value",
                                       [-TAKES_NO_VALUE] = "takes no value",
                                       [-GIVEN_TWICE] = "is given twice",
                                       [-TOO_OFTEN] = "is given too often"};
    const struct sp_command *c = p->in->command;
    const int n = (int)strcspn(word, "=");
    if (wrong != UNKNOWN) return sp_usage_error(c, "%.*s %s", n, word, says[-wrong]);
    char near[SP_NEAR_BYTES] = "";
    struct sp_near best = sp_near_begin(word + strspn(word, "-"), strcspn(word + strspn(word, "-"), "="));
    for (size_t i = 0; c != NULL && c->options != NULL && c->options[i].name != NULL; i++)
        sp_near_try(&best, c->options[i].name, strlen(c->options[i].name));
    for (size_t i = 0; sp_global_options[i].name != NULL; i++)
        sp_near_try(&best, sp_global_options[i].name, strlen(sp_global_options[i].name));
    if (best.word != NULL) snprintf(near, sizeof(near), "; did you mean --%s?", best.word);
    return sp_usage_error(c, "unknown option %.*s%s", n, word, near);
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
            if (taken < 0) return option_error(p, argv[i], taken);
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
        sp_print_command_help(stdout, in->command);
        return SP_EXIT_OK;
    }
    if (p->version) return sp_cmd_version(in);
    if (in->n_args < in->command->args_min || in->n_args > in->command->args_max)
        return sp_usage_error(in->command, "expected arguments: %s",
                              in->command->args[0] ? in->command->args : "none");
    return in->command->run(in);
}

/* The first word is that of several commands, and what follows makes none of them. */
static int run_group(struct parse *p, int argc, char **argv) {
    int failed = parse_words(p, argc - 1, argv + 1);
    if (failed) return failed;
    if (p->help || p->in->n_args == 0) {
        sp_print_group_help(p->help ? stdout : stderr, argv[0]);
        return p->help ? SP_EXIT_OK : SP_EXIT_USAGE;
    }
    if (argv[1][0] == '-')
        return sp_usage_error(NULL, "options stand before or behind \"%s %s\", not within it", argv[0],
                              p->in->args[0]);
    return sp_unknown_command(argc, (const char *const *)argv);
}

/* Options of the program may stand before the command; takes them off argv's front. */
static int parse_leading(struct parse *p, int *argc, char ***argv) {
    while (*argc > 0 && (*argv)[0][0] == '-') {
        int taken = parse_option(p, (*argv)[0], *argc > 1 ? (*argv)[1] : NULL);
        if (taken < 0) return option_error(p, (*argv)[0], taken);
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
    if (p.version) return sp_cmd_version(&in);
    if (argc == 0 || p.help) {
        sp_print_help(p.help ? stdout : stderr);
        return p.help ? SP_EXIT_OK : SP_EXIT_USAGE;
    }
    int words = 0;
    in.command = sp_command_find(argc, (const char *const *)argv, &words);
    if (in.command != NULL) return run_command(&p, argc - words, argv + words);
    return sp_command_is_group(argv[0]) ? run_group(&p, argc, argv)
                                        : sp_unknown_command(argc, (const char *const *)argv);
}
