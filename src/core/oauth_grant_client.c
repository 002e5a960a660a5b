/* grant_type=client_credentials (RFC 6749 section 4.4): a client acts on its own.
 *
 *   meta (global epoch) -> the client's row (is it still there?) -> signed
 *
 * No session and no refresh token: whoever has the credential asks again. The token is revocable by its jti,
 * by everyone's epoch and by the client's own, which is on the feed under the subject that is derived from
 * its id. Neither epoch is newer than what the token was decided on: the global one is read before the row,
 * and the client's is that of the client that was let in, whose scopes these are. Was it narrowed meanwhile,
 * the token is refused wherever it is shown. */
#include "core/oauth_internal.h"

#include "token/ids.h"

struct client_op {
    struct sp_tokens_op t;
    uint32_t epoch;
};

static const struct sp_op_kind kind = {
    .size = sizeof(struct client_op), .say = sp_oauth_tokens_say, .release = sp_tokens_release};

static struct client_op *client_of(struct sp_op *op) {
    return (struct client_op *)(void *)op;
}

/* ---- the token ---- */

static sp_status issue(struct client_op *op) {
    struct sp_app *app = op->t.base.app;
    uint8_t room[2 * sizeof(op->t.aud.s)];
    char jti_text[SP_ID_CHARS];
    struct sp_claims c;
    sp_id jti;
    SP_TRY(sp_id_random(&app->deps.random, &jti));
    sp_id_text(jti, jti_text);
    op->t.access_exp_s = op->t.base.now_ms / 1000 + app->config.access_ttl_s;
    sp_claims_init(&c);
    c.iss = SP_TEXT_SLICE(&app->config.issuer);
    c.sub = c.client_id = SP_TEXT_SLICE(&op->t.client->row.id);
    c.aud = sp_oauth_audience_claim(SP_TEXT_SLICE(&op->t.aud), room, sizeof(room));
    c.jti = SP_SLICE_ARRAY(jti_text);
    c.scope = SP_TEXT_SLICE(&op->t.scope);
    if (op->t.jkt.n != 0) c.jkt = SP_TEXT_SLICE(&op->t.jkt);
    c.iat = op->t.base.now_ms / 1000;
    c.exp = op->t.access_exp_s;
    c.has_epu = c.has_epg = true;
    c.epu = op->epoch;
    c.epg = op->t.global_epoch;
    const struct sp_permission_limit limit = {.scope = c.scope, .is_client = true};
    return sp_app_sign_access(app, &c, limit, SP_ACCESS_TOKEN_BYTES_MAX, &op->t.access);
}

/* One record a minute: a service may ask for a token with each of its requests. */
static void record(const struct client_op *op) {
    const struct sp_log_field detail[] = {SP_LOGF_TEXT("scope", SP_TEXT_SLICE(&op->t.scope)),
                                          SP_LOGF_TEXT("audience", SP_TEXT_SLICE(&op->t.aud))};
    const struct sp_audit_event event = {.action = SP_AUDIT_CLIENT_TOKEN_ISSUED,
                                         .outcome = SP_AUDIT_OK,
                                         .target = SP_TEXT_SLICE(&op->t.client->row.id),
                                         .detail = detail,
                                         .detail_n = SP_ARRAY_LEN(detail)};
    sp_op_audit_coalesced(&op->t.base, &event);
}

/* ---- the way there ---- */

static void row_read(struct sp_op *base, sp_status status) {
    struct client_op *op = client_of(base);
    const bool is_gone = sp_is(status, SP_E_NOT_FOUND);
    if (!sp_ok(status) && !is_gone) {
        sp_op_fail(base, status);
        return;
    }
    const struct sp_client_row *row = is_gone ? NULL : &base->read.ret.clients[0];
    /* A row from before clients had subjects gets one when it is next written, and nothing written since then
     * is without. Until then a token of its could not be revoked, and is not given. */
    if (row == NULL || row->disabled || !sp_client_has_subject(row)) {
        sp_oauth_refuse(base, SP_OAUTH_INVALID_CLIENT, "client authentication failed");
        return;
    }
    op->epoch = op->t.client->row.epoch; /* not the row's */
    const sp_status issued = issue(op);
    if (!sp_ok(issued)) {
        sp_op_fail(base, issued);
        return;
    }
    atomic_fetch_add_explicit(&base->app->counters.client_tokens, 1, memory_order_relaxed);
    record(op);
    sp_op_finish(base, SP_OUTCOME_OK);
}

static void meta_read(struct sp_op *base, sp_status status) {
    struct client_op *op = client_of(base);
    if (!sp_ok(status)) {
        sp_op_fail(base, status);
        return;
    }
    op->t.global_epoch = base->read.ret.meta.global_epoch;
    sp_op_read_begin(base, SP_READ_CLIENT)->key = SP_TEXT_SLICE(&op->t.client->row.id);
    sp_op_read(base, row_read);
}

/* There is nobody to be known (openid, profile), and no session to outlive another (offline_access). */
static struct sp_oauth_trouble take_scope(struct client_op *op, sp_slice asked) {
    sp_text512 given;
    const sp_status s = sp_client_scope(op->t.client, asked, &given);
    if (!sp_ok(s))
        return sp_oauth_trouble_of(
            SP_OAUTH_INVALID_SCOPE,
            "scope has a word that is malformed, or not one of the scopes of the client");
    sp_slice rest = SP_TEXT_SLICE(&given), word;
    while (sp_words_next(&rest, &word)) {
        if (sp_scope_is_protocol_word(word)) continue;
        SP_IGNORE(SP_OAUTH_WORDS_ADD(&op->t.scope, word)); /* a part of what fits */
    }
    return sp_oauth_trouble_of(SP_OAUTH_NONE, NULL);
}

static struct sp_oauth_trouble take(struct client_op *op, const struct sp_oauth_token_request *in) {
    struct sp_app *app = op->t.base.app;
    if (op->t.client->row.is_public)
        return sp_oauth_trouble_of(SP_OAUTH_UNAUTHORIZED_CLIENT, "a public client has no credential");
    const struct sp_oauth_trouble scope = take_scope(op, in->scope);
    if (scope.error != SP_OAUTH_NONE) return scope;
    if (!sp_ok(sp_client_audience(app, op->t.client, in->resources, in->n_resources, &op->t.aud)))
        return sp_oauth_trouble_of(SP_OAUTH_INVALID_TARGET, "not a resource of this client");
    return sp_oauth_dpop_check(app, &in->dpop, SP_DPOP_NONCE_AS_CONFIGURED, SP_SLICE_EMPTY, SP_SLICE_EMPTY,
                               &op->t.jkt);
}

void sp_oauth_grant_client(struct sp_app *app, const struct sp_oauth_grant *g) {
    struct client_op *op = sp_oauth_grant_op(app, g, &kind);
    if (op == NULL) return;
    const struct sp_oauth_trouble t = take(op, g->in);
    if (t.error != SP_OAUTH_NONE) {
        sp_oauth_refuse_as(&op->t.base, t);
        return;
    }
    sp_op_read_begin(&op->t.base, SP_READ_META);
    sp_op_read(&op->t.base, meta_read);
}
