/* The errors of OAuth, and what of a use case's end is told in their terms. */
#include "core/oauth_internal.h"

static const struct {
    int http_status;
    const char *code;
} errors[SP_OAUTH_ERROR_COUNT] = {
#define X(name, status, code) [SP_OAUTH_##name] = {status, code},
#include "core/oauth_errors.def"
#undef X
};

int sp_oauth_http_status(enum sp_oauth_error e) {
    return e < SP_OAUTH_ERROR_COUNT ? errors[e].http_status : 500;
}

const char *sp_oauth_code(enum sp_oauth_error e) {
    return e < SP_OAUTH_ERROR_COUNT ? errors[e].code : "server_error";
}

/* ---- the end of a use case ---- */

void sp_oauth_refuse_as(struct sp_op *op, struct sp_oauth_trouble trouble) {
    op->trouble = trouble;
    sp_op_finish(op, SP_OUTCOME_INVALID_REQUEST);
}

void sp_oauth_refuse(struct sp_op *op, enum sp_oauth_error error, const char *description) {
    sp_oauth_refuse_as(op, sp_oauth_trouble_of(error, description));
}

/* OUTCOME_UNKNOWN as well: RFC 6749 has no better word, and who asks again with the same code or token is
 * answered by what was written. What is not listed is an error of ours (0 is NONE, and only OK is that). */
static enum sp_oauth_error error_of(enum sp_outcome outcome) {
    static const enum sp_oauth_error told[SP_OUTCOME_COUNT] = {
        [SP_OUTCOME_OVERLOADED] = SP_OAUTH_TEMPORARILY_UNAVAILABLE,
        [SP_OUTCOME_STORE_UNAVAILABLE] = SP_OAUTH_TEMPORARILY_UNAVAILABLE,
        [SP_OUTCOME_OUTCOME_UNKNOWN] = SP_OAUTH_TEMPORARILY_UNAVAILABLE,
        [SP_OUTCOME_INVALID_GRANT] = SP_OAUTH_INVALID_GRANT,
        [SP_OUTCOME_REFRESH_SUPERSEDED] = SP_OAUTH_INVALID_GRANT,
        [SP_OUTCOME_INVALID_TOKEN] = SP_OAUTH_INVALID_TOKEN,
        [SP_OUTCOME_INVALID_PROOF] = SP_OAUTH_INVALID_DPOP_PROOF,
        [SP_OUTCOME_INVALID_REQUEST] = SP_OAUTH_INVALID_REQUEST,
        [SP_OUTCOME_TOO_MANY_ATTEMPTS] = SP_OAUTH_SLOW_DOWN,
    };
    const enum sp_oauth_error e = outcome < SP_OUTCOME_COUNT ? told[outcome] : SP_OAUTH_NONE;
    return e != SP_OAUTH_NONE ? e : SP_OAUTH_SERVER_ERROR;
}

struct sp_oauth_trouble sp_oauth_trouble_told(const struct sp_op *op, enum sp_outcome outcome) {
    if (outcome == SP_OUTCOME_OK) return (struct sp_oauth_trouble){.error = SP_OAUTH_NONE};
    if (op != NULL && op->trouble.error != SP_OAUTH_NONE) return op->trouble;
    struct sp_oauth_trouble t = sp_oauth_trouble_of(error_of(outcome), NULL);
    if (outcome == SP_OUTCOME_REFRESH_SUPERSEDED)
        t.description = "a newer refresh token has been issued; use that one";
    if (t.error == SP_OAUTH_SLOW_DOWN && op != NULL) t.retry_after_s = op->why.retry_after_s;
    if (t.error == SP_OAUTH_TEMPORARILY_UNAVAILABLE) t.retry_after_s = 1;
    return t;
}

/* STALE is our trouble, not the token's. */
struct sp_oauth_trouble sp_oauth_trouble_of_reject(enum sp_reject why) {
    if (why == SP_REJECT_INTERNAL) return sp_oauth_trouble_of(SP_OAUTH_SERVER_ERROR, NULL);
    struct sp_oauth_trouble t = sp_oauth_trouble_of(SP_OAUTH_INVALID_TOKEN, "the access token is not valid");
    if (why == SP_REJECT_STALE)
        t = (struct sp_oauth_trouble){.error = SP_OAUTH_TEMPORARILY_UNAVAILABLE, .retry_after_s = 1};
    return t;
}

/* ---- scopes ---- */

sp_status sp_oauth_words_add_(char *s, size_t cap, uint16_t *n, sp_slice word) {
    const size_t space = *n == 0 ? 0 : 1;
    if (word.n > cap || *n + space > cap - word.n) return sp_err(SP_E_LIMIT);
    if (space != 0) s[*n] = ' ';
    memcpy(s + *n + space, word.p, word.n);
    *n = (uint16_t)(*n + space + word.n);
    return SP_SUCCESS;
}

/* `granted` grants all that `word` does: a scope must not say `documents:*` for somebody who has
 * `documents:read`, because resources read it without knowing the roles. */
static bool covers(sp_slice granted, sp_slice word) {
    if (sp_slice_eq(granted, word)) return true;
    if (granted.n == 0 || granted.p[granted.n - 1] != '*') return false;
    return sp_slice_starts(word, sp_slice_of(granted.p, granted.n - 1));
}

static bool roles_cover(const struct sp_roles *table, sp_slice roles, sp_slice word) {
    sp_slice role, permissions, each;
    if (!sp_permission_valid(word, SP_PERMISSION_GRANTED)) return false;
    while (sp_words_next(&roles, &role)) {
        if (!sp_ok(sp_roles_find(table, role, &permissions))) continue;
        while (sp_words_next(&permissions, &each)) {
            if (covers(each, word)) return true;
        }
    }
    return false;
}

sp_status sp_oauth_scope_of_user(struct sp_app *app, sp_slice scope, sp_slice roles, sp_text512 *ret) {
    sp_text512 granted = {0};
    sp_slice word;
    sp_status s = SP_SUCCESS;
    sp_seats_enter(app->seats);
    const struct sp_roles *table = sp_live_roles_get(app->roles);
    while (sp_ok(s) && sp_words_next(&scope, &word)) {
        if (sp_scope_is_protocol_word(word) || roles_cover(table, roles, word))
            s = SP_OAUTH_WORDS_ADD(&granted, word);
    }
    sp_seats_leave(app->seats);
    if (sp_ok(s)) *ret = granted;
    return s;
}

/* ---- what discovery may promise ---- */

/* The key that signs now decides, not the configured alg: a change of it takes effect with the next key. */
bool sp_oauth_has_openid(const struct sp_app *app) {
    sp_seats_enter(app->seats);
    const enum sp_alg alg = sp_snapshot_signing(sp_keys_now(app->keys)).alg;
    sp_seats_leave(app->seats);
    return alg != SP_ALG_HS256;
}
