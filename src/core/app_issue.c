/* Access tokens (RFC 9068), made after the commit that decided them, from the rows and epochs which that very
 * transaction gave: so a token never carries an epoch that is newer than the state it was decided on.
 *
 * Permissions are a convenience for verifiers that have no role table. When they do not fit (a cookie, or a
 * role with hundreds of them) they are left out: an absent claim means "ask the role table", while a
 * shortened one would be a lie. */
#include "core/app_internal.h"

#include "token/claims.h"
#include "token/ids.h"
#include "token/issue.h"

enum {
    SIGN_TRIES = 3
}; /* the signing key may be replaced between choosing it and signing; not thrice in a row */

/* Texts that claims borrow from. */
struct claim_texts {
    char sub[SP_ID_CHARS], jti[SP_ID_CHARS], sid[SP_SID_CHARS];
};

static sp_status texts_of(struct sp_app *app, const struct sp_session_row *row, struct claim_texts *ret) {
    sp_id user, jti;
    sp_sid sid;
    memcpy(user.b, row->user_id, sizeof(user.b));
    memcpy(sid.b, row->sid, sizeof(sid.b));
    SP_TRY(sp_id_random(&app->deps.random, &jti));
    sp_id_text(user, ret->sub);
    sp_id_text(jti, ret->jti);
    sp_sid_text(sid, ret->sid);
    return SP_SUCCESS;
}

static void claims_of(const struct sp_app *app, const struct sp_tokens_op *op, const struct claim_texts *t,
                      struct sp_claims *c) {
    sp_claims_init(c);
    c->iss = SP_TEXT_SLICE(&app->config.issuer);
    c->sub = SP_SLICE_ARRAY(t->sub);
    c->aud = sp_strings_one(SP_TEXT_SLICE(&op->session.aud));
    c->client_id = SP_TEXT_SLICE(&op->session.client_id);
    c->jti = SP_SLICE_ARRAY(t->jti);
    c->sid = SP_SLICE_ARRAY(t->sid);
    if (op->session.scope.n != 0) c->scope = SP_TEXT_SLICE(&op->session.scope);
    if (op->session.jkt.n != 0) c->jkt = SP_TEXT_SLICE(&op->session.jkt);
    if (op->session.amr.n != 0) c->amr = SP_TEXT_SLICE(&op->session.amr);
    c->roles = SP_TEXT_SLICE(&op->user.roles);
    c->has_roles = true;
    c->iat = op->base.now_ms / 1000;
    c->exp = op->access_exp_s;
    c->auth_time = op->session.auth_time_s;
    c->has_epu = c->has_epg = true;
    c->epu = op->user.epoch;
    c->epg = op->global_epoch;
}

static sp_status sign_with(struct sp_app *app, sp_slice kid, enum sp_alg alg, sp_slice payload,
                           struct sp_buf *ret) {
    struct sp_jws_issue_header header = {.alg = alg, .kid = kid, .typ = SP_SLICE_LIT("at+jwt")};
    SP_AUTO(sp_buf) signature = SP_BUF_INIT(SP_SIG_BYTES_MAX);
    SP_TRY(sp_jws_begin(&header, payload, ret));
    SP_TRY(app->signer.sign(app->signer.arg, kid, sp_buf_slice(ret), &signature));
    return sp_jws_finish(sp_buf_slice(&signature), ret);
}

static sp_status sign_now(struct sp_app *app, sp_slice payload, struct sp_buf *ret) {
    sp_seats_enter(app->seats);
    struct sp_key_signing key = sp_snapshot_signing(sp_keys_now(app->keys));
    sp_text64 kid = {0};
    sp_status copied = SP_TEXT_SET(&kid, key.kid);
    sp_seats_leave(app->seats);
    SP_TRY(copied);
    return sign_with(app, SP_TEXT_SLICE(&kid), key.alg, payload, ret);
}

static sp_status sign(struct sp_app *app, const struct sp_claims *claims, struct sp_buf *ret) {
    SP_AUTO(sp_buf) payload = SP_BUF_INIT(SP_PAYLOAD_BYTES_MAX);
    SP_TRY(sp_claims_write_json(claims, &payload));
    sp_status s = sp_err(SP_E_NOT_FOUND);
    for (int i = 0; i < SIGN_TRIES && sp_is(s, SP_E_NOT_FOUND); i++) {
        sp_buf_clear(ret);
        s = sign_now(app, sp_buf_slice(&payload), ret);
    }
    return s;
}

/* SP_E_LIMIT: they do not fit into any token. */
static sp_status permissions_of(struct sp_app *app, const struct sp_user_row *user, struct sp_buf *ret) {
    sp_seats_enter(app->seats);
    sp_status s = sp_roles_permissions(sp_live_roles_get(app->roles), SP_TEXT_SLICE(&user->roles), ret);
    sp_seats_leave(app->seats);
    return s;
}

static sp_status sign_with_permissions(struct sp_app *app, const struct sp_tokens_op *op,
                                       struct sp_claims claims, struct sp_buf *ret) {
    SP_AUTO(sp_buf) permissions = SP_BUF_INIT(SP_ACCESS_TOKEN_BYTES_MAX);
    SP_TRY(permissions_of(app, &op->user, &permissions));
    claims.permissions = sp_buf_slice(&permissions);
    claims.has_permissions = true;
    SP_TRY(sign(app, &claims, ret));
    bool is_cookie = op->session.mode == SP_MODE_COOKIE;
    size_t most = is_cookie ? (size_t)SP_COOKIE_TOKEN_BYTES_MAX : (size_t)SP_ACCESS_TOKEN_BYTES_MAX;
    return ret->n <= most ? SP_SUCCESS : sp_err(SP_E_LIMIT);
}

sp_status sp_app_issue_access(struct sp_app *app, const struct sp_tokens_op *op, struct sp_buf *ret) {
    struct claim_texts texts;
    struct sp_claims claims;
    SP_TRY(texts_of(app, &op->session, &texts));
    claims_of(app, op, &texts, &claims);
    if (app->config.embed_permissions) {
        sp_status s = sign_with_permissions(app, op, claims, ret);
        if (!sp_is(s, SP_E_LIMIT)) return s;
    }
    return sign(app, &claims, ret);
}

/* ---- the answer ---- */

void sp_tokens_init(struct sp_tokens_op *op) {
    sp_buf_init(&op->access, SP_ACCESS_TOKEN_BYTES_MAX);
}

void sp_tokens_release(struct sp_op *op) {
    sp_buf_done(&((struct sp_tokens_op *)(void *)op)->access);
}

static int64_t earlier(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static void fill(const struct sp_tokens_op *op, struct sp_tokens_result *ret) {
    const struct sp_session_row *row = &op->session;
    int64_t now_ms = op->base.now_ms;
    ret->mode = row->mode;
    ret->access_token = sp_buf_slice(&op->access);
    ret->access_expires_in_s = op->access_exp_s - now_ms / 1000;
    ret->refresh_token = SP_SLICE_ARRAY(op->refresh_text);
    ret->refresh_expires_in_s = (earlier(row->idle_expires_ms, row->absolute_expires_ms) - now_ms) / 1000;
    memcpy(ret->sid, row->sid, sizeof(ret->sid));
    memcpy(ret->user_id, row->user_id, sizeof(ret->user_id));
    if (op->has_device_text) ret->device_token = SP_SLICE_ARRAY(op->device_text);
}

void sp_tokens_say(struct sp_op *base, sp_any_done *done, void *arg, enum sp_outcome outcome) {
    const struct sp_tokens_op *op = (const struct sp_tokens_op *)(const void *)base;
    struct sp_tokens_result result = {.outcome = outcome, .reuse_detected = op != NULL && op->reuse_detected};
    if (op != NULL) result.why = op->base.why;
    if (op != NULL && outcome == SP_OUTCOME_OK) fill(op, &result);
    ((sp_tokens_done *)done)(arg, &result);
}

void sp_tokens_issue(struct sp_tokens_op *op) {
    sp_status s = sp_app_issue_access(op->base.app, op, &op->access);
    if (sp_ok(s)) {
        sp_op_finish(&op->base, SP_OUTCOME_OK);
    } else {
        sp_op_finish(&op->base, SP_OUTCOME_INTERNAL); /* whatever it was: the store has done its part */
    }
}
