/* Access tokens (RFC 9068) and id_tokens, made after the commit that decided them, from the rows and epochs
 * which that very transaction gave: so a token never carries an epoch that is newer than the state it was
 * decided on.
 *
 * Permissions are a convenience for verifiers that have no role table. When they do not fit (a cookie, or a
 * role with hundreds of them) they are left out: an absent claim means "ask the role table", while a
 * shortened one would be a lie.
 *
 * A client's token says what it is limited to, and that is at most what the client may have now and what the
 * user's roles grant now, whatever was consented to once. */
#include "core/app_internal.h"

#include "core/client_auth.h"
#include "core/oauth_internal.h"
#include "token/claims.h"
#include "token/id_token.h"
#include "token/ids.h"
#include "token/issue.h"

enum {
    SIGN_TRIES = 3, /* the signing key may be replaced between choosing it and signing; not thrice in a row */
    AUD_PACKED_BYTES_MAX = 512, /* 256 bytes of words, and two bytes of length for each */
};

/* ---- signing ---- */

static sp_status signing_key(struct sp_app *app, sp_text64 *ret_kid, enum sp_alg *ret_alg) {
    sp_seats_enter(app->seats);
    struct sp_key_signing key = sp_snapshot_signing(sp_keys_now(app->keys));
    sp_status copied = SP_TEXT_SET(ret_kid, key.kid);
    *ret_alg = key.alg;
    sp_seats_leave(app->seats);
    return copied;
}

static sp_status sign_with(struct sp_app *app, sp_slice kid, enum sp_alg alg, sp_slice typ, sp_slice payload,
                           struct sp_buf *ret) {
    struct sp_jws_issue_header header = {.alg = alg, .kid = kid, .typ = typ};
    SP_AUTO(sp_buf) signature = SP_BUF_INIT(SP_SIG_BYTES_MAX);
    SP_TRY(sp_jws_begin(&header, payload, ret));
    SP_TRY(app->signer.sign(app->signer.arg, kid, sp_buf_slice(ret), &signature));
    return sp_jws_finish(sp_buf_slice(&signature), ret);
}

static sp_status sign_now(struct sp_app *app, sp_slice typ, sp_slice payload, struct sp_buf *ret) {
    sp_text64 kid = {0};
    enum sp_alg alg;
    SP_TRY(signing_key(app, &kid, &alg));
    return sign_with(app, SP_TEXT_SLICE(&kid), alg, typ, payload, ret);
}

sp_status sp_app_sign_json(struct sp_app *app, sp_slice typ, sp_slice payload, struct sp_buf *ret) {
    sp_status s = sp_err(SP_E_NOT_FOUND);
    for (int i = 0; i < SIGN_TRIES && sp_is(s, SP_E_NOT_FOUND); i++) {
        sp_buf_clear(ret);
        s = sign_now(app, typ, payload, ret);
    }
    return s;
}

static sp_status sign_claims(struct sp_app *app, const struct sp_claims *claims, struct sp_buf *ret) {
    SP_AUTO(sp_buf) payload = SP_BUF_INIT(SP_PAYLOAD_BYTES_MAX);
    SP_TRY(sp_claims_write_json(claims, &payload));
    return sp_app_sign_json(app, SP_SLICE_LIT("at+jwt"), sp_buf_slice(&payload), ret);
}

/* ---- an access token ---- */

/* Texts that claims borrow from. */
struct claim_texts {
    char sub[SP_ID_CHARS], jti[SP_ID_CHARS], sid[SP_SID_CHARS];
    uint8_t aud[AUD_PACKED_BYTES_MAX];
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

struct sp_strings sp_oauth_audience_claim(sp_slice words, uint8_t *room, size_t cap) {
    sp_slice word;
    size_t n = 0;
    if (sp_words_count(words) == 1) return sp_strings_one(words);
    while (sp_words_next(&words, &word)) n += sp_strings_pack(word, room + n, cap - n);
    return (struct sp_strings){.bytes = sp_slice_of(room, n)};
}

static void client_claims(const struct sp_tokens_op *op, struct claim_texts *t, struct sp_claims *c) {
    c->aud = sp_oauth_audience_claim(SP_TEXT_SLICE(&op->aud), t->aud, sizeof(t->aud));
    c->scope = SP_TEXT_SLICE(&op->scope); /* perhaps "", which is another thing than none */
}

static void claims_of(const struct sp_app *app, const struct sp_tokens_op *op, struct claim_texts *t,
                      struct sp_claims *c) {
    sp_claims_init(c);
    c->iss = SP_TEXT_SLICE(&app->config.issuer);
    c->sub = SP_SLICE_ARRAY(t->sub);
    c->aud = sp_strings_one(SP_TEXT_SLICE(&op->session.aud));
    c->client_id = SP_TEXT_SLICE(&op->session.client_id);
    c->jti = SP_SLICE_ARRAY(t->jti);
    c->sid = SP_SLICE_ARRAY(t->sid);
    if (op->session.scope.n != 0) c->scope = SP_TEXT_SLICE(&op->session.scope);
    if (op->jkt.n != 0) c->jkt = SP_TEXT_SLICE(&op->jkt);
    if (op->session.acr.n != 0) c->acr = SP_TEXT_SLICE(&op->session.acr);
    if (op->session.amr.n != 0) c->amr = SP_TEXT_SLICE(&op->session.amr);
    c->roles = SP_TEXT_SLICE(&op->user.roles);
    c->has_roles = true;
    c->iat = op->base.now_ms / 1000;
    c->exp = op->access_exp_s;
    c->auth_time = op->session.auth_time_s;
    c->has_epu = c->has_epg = true;
    c->epu = op->user.epoch;
    c->epg = op->global_epoch;
    if (op->client != NULL) client_claims(op, t, c);
}

sp_status sp_app_sign_access(struct sp_app *app, struct sp_claims *claims, struct sp_permission_limit limit,
                             size_t bytes_max, struct sp_buf *ret) {
    if (!app->config.embed_permissions) return sign_claims(app, claims, ret);
    SP_AUTO(sp_buf) permissions = SP_BUF_INIT(SP_ACCESS_TOKEN_BYTES_MAX);
    sp_status s = sp_app_permissions_of(app, claims->roles, limit, &permissions);
    if (sp_ok(s)) {
        claims->permissions = sp_buf_slice(&permissions);
        claims->has_permissions = true;
        s = sign_claims(app, claims, ret);
        claims->permissions = SP_SLICE_EMPTY;
        claims->has_permissions = false;
    }
    if (sp_ok(s) && ret->n > bytes_max) s = sp_err(SP_E_LIMIT);
    return sp_is(s, SP_E_LIMIT) ? sign_claims(app, claims, ret) : s;
}

static sp_status issue_access(struct sp_tokens_op *op) {
    struct claim_texts texts;
    struct sp_claims claims;
    const bool is_cookie = op->session.mode == SP_MODE_COOKIE;
    SP_TRY(texts_of(op->base.app, &op->session, &texts));
    claims_of(op->base.app, op, &texts, &claims);
    return sp_app_sign_access(op->base.app, &claims, (struct sp_permission_limit){.scope = claims.scope},
                              is_cookie ? SP_COOKIE_TOKEN_BYTES_MAX : SP_ACCESS_TOKEN_BYTES_MAX, &op->access);
}

/* ---- what a client's token is limited to ---- */

/* Of the session's, what was asked for of it (which is within it: decided before), what the client may have
 * now, and what the user may. */
static sp_status limit_scope(struct sp_tokens_op *op) {
    sp_slice rest = op->scope_asked ? SP_TEXT_SLICE(&op->scope) : SP_TEXT_SLICE(&op->session.scope), word;
    sp_text512 kept = {0};
    while (sp_words_next(&rest, &word)) {
        if (sp_words_contain(SP_TEXT_SLICE(&op->client->row.scopes), word))
            SP_TRY(SP_OAUTH_WORDS_ADD(&kept, word));
    }
    return sp_oauth_scope_of_user(op->base.app, SP_TEXT_SLICE(&kept), SP_TEXT_SLICE(&op->user.roles),
                                  &op->scope);
}

/* The same of the audience. SP_E_REFUSED: nothing is left, and a token for nobody is none. */
static sp_status limit_audience(struct sp_tokens_op *op) {
    sp_slice rest = op->aud.n != 0 ? SP_TEXT_SLICE(&op->aud) : SP_TEXT_SLICE(&op->session.aud), word;
    sp_text256 kept = {0}, one;
    while (sp_words_next(&rest, &word)) {
        if (sp_ok(sp_client_audience(op->base.app, op->client, &word, 1, &one)))
            SP_TRY(SP_OAUTH_WORDS_ADD(&kept, word));
    }
    op->aud = kept;
    return kept.n != 0 ? SP_SUCCESS : sp_err(SP_E_REFUSED);
}

/* ---- an id_token ---- */

static void fill_id_token(const struct sp_tokens_op *op, const struct claim_texts *texts,
                          struct sp_id_token *ret) {
    sp_id_token_init(ret);
    ret->iss = SP_TEXT_SLICE(&op->base.app->config.issuer);
    ret->sub = SP_SLICE_ARRAY(texts->sub);
    ret->aud = SP_TEXT_SLICE(&op->session.client_id);
    ret->sid = SP_SLICE_ARRAY(texts->sid);
    ret->iat = op->base.now_ms / 1000;
    ret->exp = ret->iat + SP_OAUTH_ID_TOKEN_TTL_S;
    ret->auth_time = op->session.auth_time_s;
    if (op->nonce.n != 0) ret->nonce = SP_TEXT_SLICE(&op->nonce);
    if (op->session.acr.n != 0) ret->acr = SP_TEXT_SLICE(&op->session.acr);
    if (op->session.amr.n != 0) ret->amr = SP_TEXT_SLICE(&op->session.amr);
}

/* at_hash depends on the key's algorithm, so the payload is written for the key that then signs it. */
static sp_status sign_id_token(struct sp_tokens_op *op, struct sp_id_token token) {
    struct sp_app *app = op->base.app;
    SP_AUTO(sp_buf) payload = SP_BUF_INIT(SP_PAYLOAD_BYTES_MAX);
    char at_hash[SP_AT_HASH_CHARS_MAX];
    size_t at_hash_n = 0;
    sp_text64 kid = {0};
    enum sp_alg alg;
    SP_TRY(signing_key(app, &kid, &alg));
    if (alg == SP_ALG_HS256) return SP_SUCCESS; /* nobody but us could check it: there is no OpenID Connect */
    SP_TRY(sp_at_hash(alg, sp_buf_slice(&op->access), at_hash, &at_hash_n));
    token.at_hash = sp_slice_of(at_hash, at_hash_n);
    SP_TRY(sp_id_token_write_json(&token, &payload));
    sp_buf_clear(&op->id_token);
    return sign_with(app, SP_TEXT_SLICE(&kid), alg, SP_SLICE_LIT(SP_ID_TOKEN_TYP), sp_buf_slice(&payload),
                     &op->id_token);
}

static sp_status issue_id_token(struct sp_tokens_op *op) {
    struct claim_texts texts;
    struct sp_id_token token;
    if (!sp_words_contain(SP_TEXT_SLICE(&op->scope), SP_SLICE_LIT("openid"))) return SP_SUCCESS;
    SP_TRY(texts_of(op->base.app, &op->session, &texts));
    fill_id_token(op, &texts, &token);
    sp_status s = sp_err(SP_E_NOT_FOUND);
    for (int i = 0; i < SIGN_TRIES && sp_is(s, SP_E_NOT_FOUND); i++) s = sign_id_token(op, token);
    return s;
}

/* ---- the answer ---- */

void sp_tokens_init(struct sp_tokens_op *op) {
    sp_buf_init(&op->access, SP_ACCESS_TOKEN_BYTES_MAX);
    sp_buf_init(&op->id_token, SP_ACCESS_TOKEN_BYTES_MAX);
}

void sp_tokens_release(struct sp_op *base) {
    struct sp_tokens_op *op = (struct sp_tokens_op *)(void *)base;
    sp_buf_done(&op->access);
    sp_buf_done(&op->id_token);
    sp_client_release(op->client);
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
    ret->is_dpop = op->jkt.n != 0;
    memcpy(ret->sid, row->sid, sizeof(ret->sid));
    memcpy(ret->user_id, row->user_id, sizeof(ret->user_id));
    if (op->has_device_text) ret->device_token = SP_SLICE_ARRAY(op->device_text);
}

void sp_tokens_say(struct sp_op *base, sp_any_done *done, void *arg, enum sp_outcome outcome) {
    const struct sp_tokens_op *op = (const struct sp_tokens_op *)(const void *)base;
    struct sp_tokens_result result = {.outcome = outcome, .reuse_detected = op != NULL && op->reuse_detected};
    if (op != NULL) result.why = op->base.why;
    if (op != NULL && outcome == SP_OUTCOME_INVALID_PROOF) result.trouble = &op->base.trouble;
    if (op != NULL && outcome == SP_OUTCOME_OK) fill(op, &result);
    ((sp_tokens_done *)done)(arg, &result);
}

static sp_status issue(struct sp_tokens_op *op) {
    if (op->client == NULL) return issue_access(op);
    SP_TRY(limit_scope(op));
    SP_TRY(limit_audience(op));
    SP_TRY(issue_access(op));
    return issue_id_token(op);
}

void sp_tokens_issue(struct sp_tokens_op *op) {
    sp_status s = issue(op);
    if (sp_ok(s)) {
        sp_op_finish(&op->base, SP_OUTCOME_OK);
    } else if (sp_is(s, SP_E_REFUSED)) {
        /* Not invalid_target, upon which clients try again with the token that they have: it was rotated. */
        sp_oauth_refuse(&op->base, SP_OAUTH_INVALID_GRANT, "the client may no longer have this audience");
    } else {
        sp_op_finish(&op->base, SP_OUTCOME_INTERNAL); /* whatever it was: the store has done its part */
    }
}
