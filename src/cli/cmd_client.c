/* Clients: services with a credential of their own. A secret is on standard output or in a file once, when it
 * is made; what is said about it goes to stderr, so that `> credential` holds the credential and nothing
 * else. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "cli/admin_call.h"
#include "cli/client_options.h"
#include "cli/duration.h"
#include "cli/password.h"
#include "cli/secret_file.h"
#include "core/app.h"

#define CLIENTS "/admin/v1/clients"

enum { CREDENTIAL_BYTES_MAX = 256 };

static const struct sp_column list_columns[] = {{"CLIENT", "client_id"},
                                                {"NAME", "name"},
                                                {"METHOD", "auth_method"},
                                                {"GRANTS", "grants"},
                                                {"FEED", "feed"},
                                                {"DISABLED", "disabled"},
                                                {"CREATED", "created_at"},
                                                {"SECRET FROM", "secret_created_at"},
                                                {"OLD ONE UNTIL", "previous_secret_expires_at"}};
static const struct sp_column show_columns[] = {{"CLIENT", "client_id"},
                                                {"NAME", "name"},
                                                {"METHOD", "auth_method"},
                                                {"GRANTS", "grants"},
                                                {"SCOPES", "scopes"},
                                                {"AUDIENCES", "audiences"},
                                                {"REDIRECT URIS", "redirect_uris"},
                                                {"AFTER LOGOUT", "post_logout_redirect_uris"},
                                                {"BACK-CHANNEL LOGOUT", "backchannel_logout_uri"},
                                                {"ROTATES", "rotate_refresh"},
                                                {"TRUSTED", "trusted"},
                                                {"REQUIRES PAR", "require_par"},
                                                {"REQUIRES DPOP", "require_dpop"},
                                                {"FEED", "feed"},
                                                {"DISABLED", "disabled"},
                                                {"CREATED", "created_at"},
                                                {"SECRET FROM", "secret_created_at"},
                                                {"OLD ONE UNTIL", "previous_secret_expires_at"}};

/* ---- the credential ---- */

/* "NAME:SECRET", as HTTP Basic and curl -u take it, and a newline. */
static sp_status credential_of(const json_t *client, struct sp_buf *ret) {
    const char *id = json_string_value(json_object_get(client, "client_id"));
    const char *secret = json_string_value(json_object_get(client, "client_secret"));
    if (id == NULL || secret == NULL) return sp_err(SP_E_MALFORMED);
    return sp_buf_printf(ret, "%s:%s\n", id, secret);
}

static int not_kept(const struct sp_invocation *in, const char *path, const char *why) {
    fprintf(
        stderr,
        "sallyport %s: %s: %s\nThe secret was made, but is lost: `sallyport client rotate-secret %s` makes "
        "another.\n",
        in->command->name, path, why, in->args[0]);
    return SP_EXIT_FAILED;
}

static int keep_in_file(const struct sp_invocation *in, json_t *client, sp_slice credential,
                        struct sp_secret_file *out) {
    const int failed = sp_secret_file_keep(out, credential);
    if (failed != 0) return not_kept(in, out->path, strerror(failed));
    json_object_del(client, "client_secret");
    if (in->json) {
        sp_print_json(stdout, client);
    } else {
        printf("credential written to %s\n", out->path);
    }
    return SP_EXIT_OK;
}

static int print_credential(const struct sp_invocation *in, const json_t *client, sp_slice credential) {
    bool written = true;
    if (in->json)
        sp_print_json(stdout, client);
    else
        written = fwrite(credential.p, 1, credential.n, stdout) == credential.n;
    if (fflush(stdout) != 0 || ferror(stdout) || !written)
        return not_kept(in, "standard output", "cannot be written");
    if (isatty(STDOUT_FILENO)) fprintf(stderr, "This is shown once: only its hash is kept.\n");
    return SP_EXIT_OK;
}

static int give(const struct sp_invocation *in, json_t *client, struct sp_secret_file *out) {
    SP_AUTO(sp_buf) credential = SP_BUF_INIT(CREDENTIAL_BYTES_MAX);
    if (!sp_ok(credential_of(client, &credential)))
        return not_kept(in, "the answer", "is not of the expected form");
    const sp_slice text = sp_buf_slice(&credential);
    return out->path != NULL ? keep_in_file(in, client, text, out) : print_credential(in, client, text);
}

/* No secret was made: the client has none, or brought its own. */
static int say_done(const struct sp_invocation *in, const json_t *client, const char *done) {
    if (in->json) {
        sp_print_json(stdout, client);
    } else {
        printf("%s\n", done);
    }
    return SP_EXIT_OK;
}

/* ---- secrets that somebody brings ---- */

static int put_own_secret(const struct sp_invocation *in, json_t *body) {
    char secret[SP_CLI_PASSWORD_BYTES] = "";
    if (sp_invocation_option(in, "secret-stdin") == NULL) return SP_EXIT_OK;
    if (sp_invocation_option(in, "out") != NULL)
        return sp_usage_error(in->command,
                              "--out is for a secret that is made here: not with --secret-stdin");
    int failed = SP_EXIT_OK;
    if (!sp_secret_line_get(secret) || json_object_set_new(body, "client_secret", json_string(secret)) != 0)
        failed = sp_usage_error(in->command, "no secret of up to 1024 bytes on standard input");
    sp_wipe(secret, sizeof(secret));
    return failed;
}

/* ---- add ---- */

static bool has_secret_to_show(const json_t *client) {
    return json_object_get(client, "client_secret") != NULL;
}

/* `file`: made before the client is. */
static int add(const struct sp_invocation *in, json_t *body, struct sp_secret_file *file) {
    struct sp_answer a = {0};
    int failed = put_own_secret(in, body);
    if (!failed) failed = sp_client_call(in, "POST", CLIENTS, body, &a);
    if (!failed) failed = has_secret_to_show(a.body) ? give(in, a.body, file) : say_done(in, a.body, "added");
    sp_answer_done(&a);
    return failed;
}

/* It follows the feed, gets tokens, or asks about tokens that are for it. */
static bool has_purpose(const json_t *body) {
    return json_is_true(json_object_get(body, "feed")) || json_object_get(body, "grants") != NULL ||
           json_object_get(body, "audiences") != NULL;
}

static bool gets_secret(const json_t *body) {
    const char *method = json_string_value(json_object_get(body, "auth_method"));
    return method == NULL || strncmp(method, "client_secret_", 14) == 0;
}

static int check_add(const struct sp_invocation *in, const json_t *body) {
    if (!has_purpose(body))
        return sp_usage_error(in->command, "say what the client may do: --feed, --grant or --audience");
    if (sp_invocation_option(in, "out") != NULL && !gets_secret(body))
        return sp_usage_error(in->command, "--out is for a secret, and this client has none");
    return SP_EXIT_OK;
}

int sp_cmd_client_add(const struct sp_invocation *in) {
    struct sp_secret_file out;
    if (!sp_client_id_valid(sp_slice_cstr(in->args[0])))
        return sp_usage_error(in->command, "a name has 1 to 64 of A-Z a-z 0-9 . _ -, and looks neither like "
                                           "the id of a user nor like a secret");
    json_t *body = json_pack("{s:s}", "client_id", in->args[0]);
    int failed = sp_client_options_put(in, body);
    if (!failed) failed = check_add(in, body);
    if (!failed) failed = sp_secret_file_begin(in, sp_invocation_option(in, "out"), SP_SECRET_FILE_NEW, &out);
    if (!failed) {
        failed = add(in, body, &out);
        sp_secret_file_done(&out);
    }
    json_decref(body);
    return failed;
}

/* ---- set ---- */

/* What the server would not take back, or what another method has no use for. */
static void leave_out(json_t *body, const char *method_before) {
    static const char *const facts[] = {"client_id", "disabled", "created_at", "secret_created_at",
                                        "previous_secret_expires_at"};
    const char *method = json_string_value(json_object_get(body, "auth_method"));
    for (size_t i = 0; i < SP_ARRAY_LEN(facts); i++) json_object_del(body, facts[i]);
    const bool has_keys = json_is_object(json_object_get(body, "jwks"));
    const bool keeps_keys = method != NULL && method_before != NULL && strcmp(method, method_before) == 0;
    if (!has_keys || (!keeps_keys && method != NULL && strcmp(method, "private_key_jwt") != 0))
        json_object_del(body, "jwks");
}

static void tell_of_no_secret(const struct sp_invocation *in, const json_t *client) {
    const char *method = json_string_value(json_object_get(client, "auth_method"));
    if (method == NULL || strncmp(method, "client_secret_", 14) != 0) return;
    if (json_is_null(json_object_get(client, "secret_created_at")))
        fprintf(stderr, "It has no secret: `sallyport client rotate-secret %s` makes one.\n", in->args[0]);
}

static int put_changed(const struct sp_invocation *in, const json_t *body) {
    struct sp_answer a = {0};
    int failed = sp_admin_call(in, "PUT", CLIENTS "/", in->args[0], "", body, &a);
    if (failed) return failed;
    failed = say_done(in, a.body, "changed");
    tell_of_no_secret(in, a.body);
    sp_answer_done(&a);
    return failed;
}

/* What is there, with what was given over it, unless it was changed in between. */
int sp_cmd_client_set(const struct sp_invocation *in) {
    struct sp_answer a = {0};
    json_t *given = json_object();
    int failed = sp_client_options_put(in, given);
    if (!failed && json_object_size(given) == 0) failed = sp_usage_error(in->command, "say what to change");
    if (!failed) failed = sp_admin_call(in, "GET", CLIENTS "/", in->args[0], "", NULL, &a);
    if (!failed) {
        json_t *body = json_copy(a.body);
        json_object_update(body, given);
        leave_out(body, json_string_value(json_object_get(a.body, "auth_method")));
        failed = put_changed(in, body);
        json_decref(body);
    }
    json_decref(given);
    sp_answer_done(&a);
    return failed;
}

/* ---- rotate-secret ---- */

static int overlap(const struct sp_invocation *in, json_t *body) {
    const char *text = sp_invocation_option(in, "overlap");
    uint64_t seconds;
    if (text == NULL) return SP_EXIT_OK;
    if (!sp_duration_parse(text, SP_CLIENT_OVERLAP_S_MAX, &seconds))
        return sp_usage_error(in->command, "%s is not a time up to 90d (90s, 15m, 24h, 7d)", text);
    json_object_set_new(body, "overlap_s", json_integer((json_int_t)seconds));
    return SP_EXIT_OK;
}

int sp_cmd_client_rotate(const struct sp_invocation *in) {
    struct sp_secret_file out;
    struct sp_answer a = {0};
    json_t *body = json_object();
    int failed = overlap(in, body);
    if (!failed) failed = put_own_secret(in, body);
    if (!failed)
        failed = sp_secret_file_begin(in, sp_invocation_option(in, "out"), SP_SECRET_FILE_REPLACE, &out);
    if (failed) {
        json_decref(body);
        return failed;
    }
    failed = sp_admin_call(in, "POST", CLIENTS "/", in->args[0], "/rotate-secret", body, &a);
    json_decref(body);
    if (!failed)
        failed = has_secret_to_show(a.body) ? give(in, a.body, &out) : say_done(in, a.body, "replaced");
    sp_secret_file_done(&out);
    sp_answer_done(&a);
    return failed;
}

/* ---- the rest ---- */

int sp_cmd_client_list(const struct sp_invocation *in) {
    return sp_admin_list(in, CLIENTS, "clients", list_columns, SP_ARRAY_LEN(list_columns));
}

int sp_cmd_client_show(const struct sp_invocation *in) {
    struct sp_answer a = {0};
    const int failed = sp_admin_call(in, "GET", CLIENTS "/", in->args[0], "", NULL, &a);
    if (failed) return failed;
    if (in->json) sp_print_json(stdout, a.body);
    if (!in->json) sp_print_record(stdout, show_columns, SP_ARRAY_LEN(show_columns), a.body);
    sp_answer_done(&a);
    return SP_EXIT_OK;
}

int sp_cmd_client_disable(const struct sp_invocation *in) {
    return sp_admin_change(in, "POST", CLIENTS "/", in->args[0], "/disable", NULL, "disabled");
}

int sp_cmd_client_enable(const struct sp_invocation *in) {
    return sp_admin_change(in, "POST", CLIENTS "/", in->args[0], "/enable", NULL, "enabled");
}

int sp_cmd_client_delete(const struct sp_invocation *in) {
    return sp_admin_change(in, "DELETE", CLIENTS "/", in->args[0], "", NULL, "deleted");
}
