#include "cli/client_options.h"

#include <string.h>

#include "base/mem.h"
#include "cli/admin_call.h"

enum kind { TEXT, LIST, YES, NO, NONE_METHOD, JSON_FILE };

static const struct row {
    const char *option;
    enum kind kind;
    const char *member;
} rows[] = {
    {"name", TEXT, "name"},
    {"auth-method", TEXT, "auth_method"},
    {"public", NONE_METHOD, "auth_method"},
    {"grant", LIST, "grants"},
    {"scope", LIST, "scopes"},
    {"audience", LIST, "audiences"},
    {"redirect-uri", LIST, "redirect_uris"},
    {"post-logout-redirect-uri", LIST, "post_logout_redirect_uris"},
    {"backchannel-logout-uri", TEXT, "backchannel_logout_uri"},
    {"jwks-file", JSON_FILE, "jwks"},
    {"feed", YES, "feed"},
    {"no-feed", NO, "feed"},
    {"rotate", YES, "rotate_refresh"},
    {"no-rotate", NO, "rotate_refresh"},
    {"trusted", YES, "trusted"},
    {"no-trusted", NO, "trusted"},
    {"require-par", YES, "require_par"},
    {"no-require-par", NO, "require_par"},
    {"require-dpop", YES, "require_dpop"},
    {"no-require-dpop", NO, "require_dpop"},
};

static const struct row *find(const char *option) {
    for (size_t i = 0; i < SP_ARRAY_LEN(rows); i++) {
        if (strcmp(rows[i].option, option) == 0) return &rows[i];
    }
    return NULL;
}

/* One empty value stands for the empty list. */
static json_t *list_of(const char *const *values, size_t n) {
    return n == 1 && *values[0] == 0 ? json_array() : sp_admin_strings(values, n);
}

/* A JWK Set, or one JWK, which is made into a set. NULL: said. */
static json_t *keys_in(const struct sp_invocation *in, const char *path) {
    json_error_t e;
    json_t *keys = json_load_file(path, JSON_REJECT_DUPLICATES, &e);
    if (keys == NULL)
        fprintf(stderr, "sallyport %s: %s: %s\n", in->command->name, path,
                json_error_code(&e) == json_error_cannot_open_file ? "cannot be read" : "is not JSON");
    if (keys == NULL || json_object_get(keys, "kty") == NULL) return keys;
    return json_pack("{s:[o]}", "keys", keys);
}

/* NULL: said, or a text that is not UTF-8. */
static json_t *value_of(const struct sp_invocation *in, const struct row *row, const char *const *values,
                        size_t n) {
    switch (row->kind) {
    case TEXT: return json_string(values[n - 1]);
    case LIST: return list_of(values, n);
    case YES: return json_true();
    case NO: return json_false();
    case NONE_METHOD: return json_string("none");
    case JSON_FILE: return keys_in(in, values[n - 1]);
    }
    return NULL;
}

static int put(const struct sp_invocation *in, const struct row *row, size_t i, json_t *given) {
    for (size_t v = 0; row->kind == LIST && v < in->options[i].n; v++) {
        if (strpbrk(in->options[i].values[v], " \t\n") != NULL)
            return sp_usage_error(in->command, "--%s \"%s\": one word each; repeat --%s", row->option,
                                  in->options[i].values[v], row->option);
    }
    const char *other = json_string_value(json_object_get(given, row->member));
    if (json_object_get(given, row->member) != NULL)
        return sp_usage_error(in->command, "--%s contradicts another option%s%s", row->option,
                              other != NULL ? ": " : "", other != NULL ? other : "");
    json_t *value = value_of(in, row, in->options[i].values, in->options[i].n);
    if (value == NULL && row->kind == JSON_FILE) return SP_EXIT_FAILED;
    if (json_object_set_new(given, row->member, value) != 0)
        return sp_usage_error(in->command, "--%s is not UTF-8", row->option);
    return SP_EXIT_OK;
}

int sp_client_options_put(const struct sp_invocation *in, json_t *body) {
    json_t *given = json_object();
    int failed = SP_EXIT_OK;
    for (size_t i = 0; !failed && in->command->options[i].name != NULL; i++) {
        const struct row *row = find(in->command->options[i].name);
        if (row != NULL && in->options[i].n != 0) failed = put(in, row, i, given);
    }
    if (!failed) json_object_update(body, given);
    json_decref(given);
    return failed;
}
