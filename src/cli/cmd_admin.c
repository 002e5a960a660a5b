/* Commands that are one call of the admin API each. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cli/admin_call.h"
#include "cli/client.h"
#include "cli/output.h"
#include "cli/password.h"
#include "cli/receipt.h"
#include "token/ids.h"
#include "token/permission.h"
#include "token/roles.h"

static const struct sp_column user_columns[] = {
    {"NAME", "name"}, {"ID", "id"}, {"ROLES", "roles"}, {"DISABLED", "disabled"}, {"CREATED", "created_at"}};
static const struct sp_column role_columns[] = {{"NAME", "name"}, {"PERMISSIONS", "permissions"}};
static const struct sp_column session_columns[] = {
    {"SESSION", "session_id"}, {"USER", "username"},          {"DEVICE", "device"},  {"ADDRESS", "address"},
    {"MODE", "mode"},          {"LAST SEEN", "last_seen_at"}, {"ENDED", "ended_at"}, {"CAUSE", "cause"}};
static const struct sp_column key_columns[] = {{"KID", "kid"},
                                               {"USE", "use"},
                                               {"ALG", "alg"},
                                               {"STATE", "state"},
                                               {"CREATED", "created_at"},
                                               {"SIGNS FROM", "signing_from"}};
/* ---- users ---- */

int sp_cmd_user_add(const struct sp_invocation *in) {
    char password[SP_CLI_PASSWORD_BYTES] = "";
    bool none = sp_invocation_option(in, "no-password") != NULL;
    int failed = none ? SP_EXIT_OK : sp_password_get(in, password);
    if (failed) return failed;
    const char *const *roles;
    size_t n_roles = sp_invocation_values(in, "role", &roles);
    json_t *body = json_pack("{s:s, s:o}", "name", in->args[0], "roles", sp_admin_strings(roles, n_roles));
    if (!none && body != NULL) json_object_set_new(body, "password", json_string(password));
    sp_wipe(password, sizeof(password));
    if (body == NULL) return sp_usage_error(in->command, "the name is not UTF-8");
    struct sp_answer a = {0};
    failed = sp_client_call(in, "POST", "/admin/v1/users", body, &a);
    json_decref(body);
    if (failed) return failed;
    if (in->json) sp_print_json(stdout, a.body);
    if (!in->json) sp_print_record(stdout, user_columns, SP_ARRAY_LEN(user_columns), a.body);
    sp_answer_done(&a);
    return SP_EXIT_OK;
}

int sp_cmd_user_list(const struct sp_invocation *in) {
    return sp_admin_list(in, "/admin/v1/users", "users", user_columns, SP_ARRAY_LEN(user_columns));
}

int sp_cmd_user_show(const struct sp_invocation *in) {
    struct sp_answer a = {0};
    int failed = sp_admin_call(in, "GET", "/admin/v1/users/", in->args[0], "", NULL, &a);
    if (failed) return failed;
    if (in->json) sp_print_json(stdout, a.body);
    if (!in->json) sp_print_record(stdout, user_columns, SP_ARRAY_LEN(user_columns), a.body);
    sp_answer_done(&a);
    return SP_EXIT_OK;
}

int sp_cmd_user_disable(const struct sp_invocation *in) {
    struct sp_answer a = {0};
    int64_t wait_s;
    int failed = sp_receipt_option(in, &wait_s);
    if (!failed)
        failed = sp_admin_call_wait(in, "POST", "/admin/v1/users/", in->args[0], "/disable", wait_s, &a);
    if (failed) return failed;
    if (in->json) {
        sp_print_json(stdout, a.body != NULL ? a.body : json_null());
    } else {
        printf("disabled; all sessions ended\n");
        sp_receipt_print(a.body);
    }
    sp_answer_done(&a);
    return SP_EXIT_OK;
}

int sp_cmd_user_enable(const struct sp_invocation *in) {
    return sp_admin_change(in, "POST", "/admin/v1/users/", in->args[0], "/enable", NULL, "enabled");
}

int sp_cmd_user_delete(const struct sp_invocation *in) {
    return sp_admin_change(in, "DELETE", "/admin/v1/users/", in->args[0], "", NULL,
                           "deleted; all sessions ended");
}

int sp_cmd_user_passwd(const struct sp_invocation *in) {
    char password[SP_CLI_PASSWORD_BYTES];
    int failed = sp_password_get(in, password);
    if (failed) return failed;
    json_t *body = json_pack("{s:s}", "password", password);
    sp_wipe(password, sizeof(password));
    if (body == NULL) return sp_usage_error(in->command, "the password is not UTF-8");
    failed = sp_admin_change(in, "PUT", "/admin/v1/users/", in->args[0], "/password", body,
                             "password set; all sessions ended");
    json_decref(body);
    return failed;
}

int sp_cmd_user_roles(const struct sp_invocation *in) {
    json_t *body = json_pack("{s:o}", "roles", sp_admin_strings(in->args + 1, in->n_args - 1));
    int failed = sp_admin_change(in, "PUT", "/admin/v1/users/", in->args[0], "/roles", body, "roles set");
    json_decref(body);
    return failed;
}

/* ---- roles ---- */

/* The server judges again; here it can be said which one and what would do. */
static int check_role(const struct sp_invocation *in) {
    if (!sp_role_name_valid(sp_slice_cstr(in->args[0])))
        return sp_usage_error(
            in->command, "not a role's name: \"%s\"; letters, digits, '.', '_', '-' and ':'", in->args[0]);
    for (size_t i = 1; i < in->n_args; i++) {
        if (!sp_permission_valid(sp_slice_cstr(in->args[i]), SP_PERMISSION_GRANTED))
            return sp_usage_error(in->command,
                                  "not a permission: \"%s\"; one word each, such as documents:read, "
                                  "documents:* or *",
                                  in->args[i]);
    }
    return SP_EXIT_OK;
}

int sp_cmd_role_set(const struct sp_invocation *in) {
    if (check_role(in) != SP_EXIT_OK) return SP_EXIT_USAGE;
    json_t *body = json_pack("{s:o}", "permissions", sp_admin_strings(in->args + 1, in->n_args - 1));
    int failed = sp_admin_change(in, "PUT", "/admin/v1/roles/", in->args[0], "", body, "role set");
    json_decref(body);
    return failed;
}

int sp_cmd_role_list(const struct sp_invocation *in) {
    return sp_admin_list(in, "/admin/v1/roles", "roles", role_columns, SP_ARRAY_LEN(role_columns));
}

int sp_cmd_role_delete(const struct sp_invocation *in) {
    return sp_admin_change(in, "DELETE", "/admin/v1/roles/", in->args[0], "", NULL, "role deleted");
}

/* ---- sessions and revocation ---- */

int sp_cmd_session_list(const struct sp_invocation *in) {
    SP_AUTO(sp_buf) path = SP_BUF_INIT(SP_ADMIN_PATH_BYTES_MAX);
    const char *user = sp_invocation_option(in, "user"), *text;
    sp_status s = sp_buf_append_cstr(&path, "/admin/v1/sessions?ended=");
    if (sp_ok(s)) s = sp_buf_append_cstr(&path, sp_invocation_option(in, "ended") ? "true" : "false");
    if (sp_ok(s) && user != NULL) s = sp_buf_append_cstr(&path, "&user=");
    if (sp_ok(s) && user != NULL) s = sp_path_append(&path, user);
    if (sp_ok(s)) s = sp_buf_cstr(&path, &text);
    if (!sp_ok(s)) return sp_usage_error(in->command, "the name is too long");
    return sp_admin_list(in, text, "sessions", session_columns, SP_ARRAY_LEN(session_columns));
}

static json_t *session_add_body(const struct sp_invocation *in) {
    const char *const *roles;
    size_t n = sp_invocation_values(in, "role", &roles);
    json_t *list = n == 0 ? NULL : sp_admin_strings(roles, n);
    return json_pack("{s:s, s:o*, s:s*, s:s*}", "subject", in->args[0], "roles", list, "scope",
                     sp_invocation_option(in, "scope"), "device", sp_invocation_option(in, "device"));
}

int sp_cmd_session_add(const struct sp_invocation *in) {
    struct sp_answer a = {0};
    json_t *body = session_add_body(in);
    int failed = body == NULL ? sp_usage_error(in->command, "not UTF-8")
                              : sp_client_call(in, "POST", "/admin/v1/sessions", body, &a);
    json_decref(body);
    if (!failed) sp_print_json(stdout, a.body);
    if (!failed) sp_answer_done(&a);
    return failed;
}

static int revoke(const struct sp_invocation *in, json_t *body) {
    struct sp_answer a = {0};
    int64_t wait_s = 0;
    int failed = body == NULL ? sp_usage_error(in->command, "not UTF-8") : sp_receipt_option(in, &wait_s);
    if (!failed) failed = sp_client_call_wait(in, "POST", "/admin/v1/revocations", body, wait_s, &a);
    bool everyone = json_object_get(body, "everyone") != NULL;
    json_decref(body);
    if (failed) return failed;
    long long ended = (long long)json_integer_value(json_object_get(a.body, "sessions_ended"));
    if (in->json) {
        sp_print_json(stdout, a.body);
    } else if (everyone) { /* one write that is above them all: nobody has counted them */
        printf("revoked; every session has ended\n");
    } else {
        printf("revoked; %lld session%s ended\n", ended, ended == 1 ? "" : "s");
    }
    if (!in->json) sp_receipt_print(a.body);
    sp_answer_done(&a);
    return SP_EXIT_OK;
}

static int check_sid(const struct sp_invocation *in, const char *text) {
    sp_sid sid;
    if (sp_ok(sp_sid_parse(sp_slice_cstr(text), &sid))) return SP_EXIT_OK;
    return sp_usage_error(in->command, "not a session id: \"%s\"; `session list` shows them", text);
}

static int check_jti(const struct sp_invocation *in, const char *text) {
    sp_id jti;
    if (sp_ok(sp_id_parse(sp_slice_cstr(text), &jti))) return SP_EXIT_OK;
    return sp_usage_error(in->command, "not a jti: \"%s\"; `token inspect` shows a token's", text);
}

int sp_cmd_session_revoke(const struct sp_invocation *in) {
    if (check_sid(in, in->args[0]) != SP_EXIT_OK) return SP_EXIT_USAGE;
    return revoke(in, json_pack("{s:s}", "session", in->args[0]));
}

int sp_cmd_revoke(const struct sp_invocation *in) {
    static const char *const targets[] = {"jti", "session", "user"};
    bool everyone = sp_invocation_option(in, "everyone") != NULL;
    size_t given = everyone;
    json_t *body = everyone ? json_pack("{s:b}", "everyone", 1) : NULL;
    for (size_t i = 0; i < SP_ARRAY_LEN(targets); i++) {
        const char *value = sp_invocation_option(in, targets[i]);
        if (value == NULL) continue;
        given++;
        json_decref(body);
        body = json_pack("{s:s}", targets[i], value);
    }
    const char *jti = sp_invocation_option(in, "jti"), *sid = sp_invocation_option(in, "session");
    int failed = given == 1 && jti != NULL ? check_jti(in, jti) : SP_EXIT_OK;
    if (given == 1 && sid != NULL) failed = check_sid(in, sid);
    if (given == 1 && !failed) return revoke(in, body);
    json_decref(body);
    if (failed) return failed;
    return sp_usage_error(in->command, "expected exactly one of --jti, --session, --user, --everyone");
}

/* ---- keys ---- */

int sp_cmd_key_list(const struct sp_invocation *in) {
    return sp_admin_list(in, "/admin/v1/keys", "keys", key_columns, SP_ARRAY_LEN(key_columns));
}

int sp_cmd_key_rotate(const struct sp_invocation *in) {
    const char *use = sp_invocation_option(in, "use");
    if (use != NULL && strcmp(use, "access") != 0 && strcmp(use, "refresh") != 0 && strcmp(use, "feed") != 0)
        return sp_usage_error(in->command, "--use is access, refresh or feed, not \"%s\"", use);
    if (use != NULL && strcmp(use, "feed") == 0 && sp_invocation_option(in, "immediately") != NULL)
        return sp_usage_error(in->command,
                              "a key of the feed cannot take over immediately: verifiers believe "
                              "it only once the old one has announced it");
    json_t *body = json_pack("{s:s, s:b}", "use", use ? use : "access", "immediately",
                             sp_invocation_option(in, "immediately") != NULL);
    struct sp_answer a = {0};
    int failed = sp_client_call(in, "POST", "/admin/v1/keys/rotate", body, &a);
    json_decref(body);
    if (failed) return failed;
    if (in->json) sp_print_json(stdout, a.body);
    if (!in->json)
        sp_print_table(stdout, key_columns, SP_ARRAY_LEN(key_columns), json_object_get(a.body, "keys"));
    sp_answer_done(&a);
    return SP_EXIT_OK;
}

int sp_cmd_key_revoke(const struct sp_invocation *in) {
    return sp_admin_change(in, "DELETE", "/admin/v1/keys/", in->args[0], "", NULL, "key revoked");
}

/* ---- status ---- */

int sp_cmd_status(const struct sp_invocation *in) {
    struct sp_answer a = {0};
    int failed = sp_client_call(in, "GET", "/admin/v1/status", NULL, &a);
    if (failed) return failed;
    if (in->json) {
        sp_print_json(stdout, a.body);
    } else {
        const char *name;
        json_t *value;
        json_object_foreach(a.body, name, value) {
            const struct sp_column column = {name, name};
            sp_print_record(stdout, &column, 1, a.body);
        }
    }
    sp_answer_done(&a);
    return SP_EXIT_OK;
}
