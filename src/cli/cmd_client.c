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
#include "cli/duration.h"
#include "cli/secret_file.h"
#include "core/app.h"

#define CLIENTS "/admin/v1/clients"

enum { CREDENTIAL_BYTES_MAX = 256 };

static const struct sp_column client_columns[] = {{"CLIENT", "client_id"},
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

/* ---- add, rotate-secret ---- */

int sp_cmd_client_add(const struct sp_invocation *in) {
    struct sp_secret_file out;
    struct sp_answer a = {0};
    if (!sp_client_id_valid(sp_slice_cstr(in->args[0])))
        return sp_usage_error(in->command, "a name has 1 to 64 of A-Z a-z 0-9 . _ -, and looks neither like "
                                           "the id of a user nor like a secret");
    if (sp_invocation_option(in, "feed") == NULL)
        return sp_usage_error(in->command, "say what the client may do: --feed");
    int failed = sp_secret_file_begin(in, sp_invocation_option(in, "out"), SP_SECRET_FILE_NEW, &out);
    if (failed) return failed;
    json_t *body = json_pack("{s:s, s:b}", "client_id", in->args[0], "feed", 1);
    failed = body == NULL ? sp_usage_error(in->command, "the name is not UTF-8")
                          : sp_client_call(in, "POST", CLIENTS, body, &a);
    json_decref(body);
    if (!failed) failed = give(in, a.body, &out);
    sp_secret_file_done(&out);
    sp_answer_done(&a);
    return failed;
}

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
    if (!failed)
        failed = sp_secret_file_begin(in, sp_invocation_option(in, "out"), SP_SECRET_FILE_REPLACE, &out);
    if (failed) {
        json_decref(body);
        return failed;
    }
    failed = sp_admin_call(in, "POST", CLIENTS "/", in->args[0], "/rotate-secret", body, &a);
    json_decref(body);
    if (!failed) failed = give(in, a.body, &out);
    sp_secret_file_done(&out);
    sp_answer_done(&a);
    return failed;
}

/* ---- the rest ---- */

int sp_cmd_client_list(const struct sp_invocation *in) {
    return sp_admin_list(in, CLIENTS, "clients", client_columns, SP_ARRAY_LEN(client_columns));
}

int sp_cmd_client_show(const struct sp_invocation *in) {
    struct sp_answer a = {0};
    const int failed = sp_admin_call(in, "GET", CLIENTS "/", in->args[0], "", NULL, &a);
    if (failed) return failed;
    if (in->json) sp_print_json(stdout, a.body);
    if (!in->json) sp_print_record(stdout, client_columns, SP_ARRAY_LEN(client_columns), a.body);
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
