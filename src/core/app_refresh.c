/* Refresh. The token itself says what its session's row must look like (generation and secret), so the
 * rotation is submitted at once, without reading anything: one conditional write, which the store decides.
 * Only when it does not apply is there something to think about (app_trip.c), or when each
 * refresh shall be recorded (audit.refresh), or less is asked for than the session has: then the session is
 * read first.
 *
 * Junk is refused by its tag before the store hears of it. */
#include "core/app_refresh.h"

#include "core/oauth_internal.h"

static void refresh_release(struct sp_op *op) {
    sp_tokens_release(op); /* token and secrets are wiped with the op */
}
static const struct sp_op_kind refresh_kind = {
    .size = sizeof(struct sp_refresh_op), .say = sp_tokens_say, .release = refresh_release};

/* ---- a token that is shown ---- */

sp_status sp_app_refresh_parse(struct sp_app *app, sp_slice text, struct sp_refresh_token *ret) {
    sp_seats_enter(app->seats);
    void *snapshot = (void *)(uintptr_t)sp_keys_now(app->keys);
    const sp_status s = sp_refresh_token_parse(text, sp_snapshot_refresh_find, snapshot, ret);
    sp_seats_leave(app->seats);
    return s;
}

enum sp_proof sp_app_refresh_prove(struct sp_app *app, const struct sp_session_row *row,
                                   const struct sp_refresh_token *token) {
    sp_seats_enter(app->seats);
    void *snapshot = (void *)(uintptr_t)sp_keys_now(app->keys);
    const struct sp_refresh_key *key = sp_snapshot_refresh_find(snapshot, token->key_id);
    const enum sp_proof proof = key == NULL ? SP_PROOF_WRONG : sp_tripwire_prove(row, token, key);
    sp_seats_leave(app->seats);
    return proof;
}

/* ---- the next token ---- */

static void encode(struct sp_refresh_op *op, const struct sp_refresh_key *key, uint32_t generation,
                   const uint8_t *secret) {
    struct sp_refresh_token next = {.key_id = key->id, .sid = op->token.sid, .generation = generation};
    memcpy(next.secret, secret, sizeof(next.secret));
    sp_refresh_token_encode(&next, key, op->t.refresh_text);
    sp_refresh_token_done(&next);
}

static const struct sp_refresh_key *key_of(struct sp_refresh_op *op) {
    /* The snapshot is only read; `void *` is how sp_refresh_key_find passes it. */
    void *snapshot = (void *)(uintptr_t)sp_keys_now(op->t.base.app->keys);
    return sp_snapshot_refresh_find(snapshot, op->token.key_id);
}

static sp_status successor(struct sp_refresh_op *op) {
    const struct sp_refresh_key *key = key_of(op);
    if (key == NULL) return sp_err(SP_E_NOT_FOUND);
    memcpy(op->next_secret, op->token.secret, sizeof(op->next_secret));
    sp_refresh_ratchet(key, op->token.sid, op->token.generation, op->next_secret);
    op->next_generation = op->token.generation + 1;
    encode(op, key, op->next_generation, op->next_secret);
    return SP_SUCCESS;
}

sp_status sp_refresh_successor(struct sp_refresh_op *op) {
    sp_seats_enter(op->t.base.app->seats);
    sp_status s = successor(op);
    sp_seats_leave(op->t.base.app->seats);
    return s;
}

static sp_status encode_again(struct sp_refresh_op *op, uint32_t generation, const uint8_t *secret) {
    sp_seats_enter(op->t.base.app->seats);
    const struct sp_refresh_key *key = key_of(op);
    if (key != NULL) encode(op, key, generation, secret);
    sp_seats_leave(op->t.base.app->seats);
    return key != NULL ? SP_SUCCESS : sp_err(SP_E_NOT_FOUND);
}

sp_status sp_refresh_current(struct sp_refresh_op *op) {
    return encode_again(op, op->seen.generation, op->seen.secret);
}

static sp_status same_again(struct sp_refresh_op *op) {
    return encode_again(op, op->token.generation, op->token.secret);
}

/* ---- the write ---- */

/* Cookie mode answers tabs without rotating, so a rotation must not apply while the window of the last one is
 * open; the same arithmetic as the machine's, as one bound on rotated_ms[0]. Token mode has no such bound
 * (0). */
static int64_t rotated_before_ms(const struct sp_refresh_op *op) {
    if (op->mode != SP_MODE_COOKIE) return 0;
    int64_t bound = op->t.base.now_ms - op->t.base.app->config.grace_ms;
    return bound > 0 ? bound
                     : 1; /* 0 would mean no bound; a generation that was never rotated (0) is below 1 */
}

void sp_refresh_add_rotate(struct sp_refresh_op *op, uint32_t generation, const uint8_t *secret,
                           bool is_heal) {
    const struct sp_app_config *config = &op->t.base.app->config;
    int64_t now_ms = op->t.base.now_ms;
    op->t.access_exp_s = now_ms / 1000 + config->access_ttl_s;
    op->write = sp_op_change(&op->t.base, SP_CHANGE_SESSION_ROTATE);
    op->write->rotate = (struct sp_session_rotate){.tenant = SP_TENANT_DEFAULT,
                                                   .sid = op->token.sid.b,
                                                   .generation = generation,
                                                   .secret = secret,
                                                   .refresh_key = op->token.key_id,
                                                   .client_id = SP_TEXT_SLICE(&op->client_id),
                                                   .jkt = SP_TEXT_SLICE(&op->bound),
                                                   .mode = op->mode,
                                                   .rotated_before_ms = is_heal ? 0 : rotated_before_ms(op),
                                                   .now_ms = now_ms,
                                                   .next_generation = op->next_generation,
                                                   .next_secret = op->next_secret,
                                                   .attempt = op->has_attempt ? op->attempt : NULL,
                                                   .idle_expires_ms = now_ms + config->idle_ttl_s * 1000,
                                                   .access_exp_s = op->t.access_exp_s,
                                                   .heal = is_heal,
                                                   .ret_session = &op->t.session,
                                                   .ret_user = &op->t.user};
}

static void add_reissue(struct sp_refresh_op *op, uint32_t generation, const uint8_t *secret, bool mark_used,
                        int64_t idle_expires_ms) {
    int64_t now_ms = op->t.base.now_ms;
    op->t.access_exp_s = now_ms / 1000 + op->t.base.app->config.access_ttl_s;
    op->write = sp_op_change(&op->t.base, SP_CHANGE_SESSION_REISSUE);
    op->write->reissue = (struct sp_session_reissue){.tenant = SP_TENANT_DEFAULT,
                                                     .sid = op->token.sid.b,
                                                     .generation = generation,
                                                     .secret = secret,
                                                     .client_id = SP_TEXT_SLICE(&op->client_id),
                                                     .jkt = SP_TEXT_SLICE(&op->bound),
                                                     .now_ms = now_ms,
                                                     .access_exp_s = op->t.access_exp_s,
                                                     .mark_used = mark_used,
                                                     .idle_expires_ms = idle_expires_ms,
                                                     .ret_session = &op->t.session,
                                                     .ret_user = &op->t.user};
}

void sp_refresh_add_reissue(struct sp_refresh_op *op, bool mark_used) {
    add_reissue(op, op->seen.generation, op->seen.secret, mark_used, 0);
}

/* It is a refresh like any other, but for the token: the session's idle time begins anew. */
sp_status sp_refresh_add_keep(struct sp_refresh_op *op) {
    SP_TRY(same_again(op));
    add_reissue(op, op->token.generation, op->token.secret, true,
                op->t.base.now_ms + op->t.base.app->config.idle_ttl_s * 1000);
    return SP_SUCCESS;
}

void sp_refresh_applied(struct sp_refresh_op *op) {
    struct sp_app *app = op->t.base.app;
    if (sp_client_inherits(op->t.client, &op->t.session)) {
        sp_op_finish(&op->t.base, SP_OUTCOME_INVALID_GRANT);
        return;
    }
    bool rotated = op->write->kind == SP_CHANGE_SESSION_ROTATE;
    op->t.global_epoch = rotated ? op->write->rotate.ret_global_epoch : op->write->reissue.ret_global_epoch;
    /* relaxed: only the heartbeat reads it, and a second late is early enough. */
    if (!rotated) atomic_fetch_add_explicit(&app->counters.reissues, 1, memory_order_relaxed);
    if (rotated) atomic_store_explicit(&app->last_rotation_ms, op->t.base.now_ms, memory_order_relaxed);
    atomic_fetch_add_explicit(&app->counters.refreshes, 1, memory_order_relaxed);
    sp_tokens_issue(&op->t);
}

/* ---- the way there ---- */

static void written(struct sp_op *base, sp_status status) {
    struct sp_refresh_op *op = (struct sp_refresh_op *)(void *)base;
    if (sp_ok(status)) {
        sp_refresh_applied(op);
    } else if (sp_is(status, SP_E_CONFLICT)) {
        sp_refresh_ask(op);
    } else {
        sp_op_fail(base, status);
    }
}

static bool take_attempt(struct sp_refresh_op *op, sp_slice attempt) {
    if (attempt.n != 0 && attempt.n != SP_ROW_ATTEMPT_BYTES) return false;
    op->has_attempt = attempt.n != 0;
    if (!op->has_attempt) return true;
    uint8_t hash[SP_SHA256_BYTES];
    sp_sha256(attempt, hash);
    memcpy(op->attempt, hash, sizeof(op->attempt));
    return true;
}

/* A browser with cookies has no key of its own. The proof comes last: it is remembered. */
static enum sp_outcome accept_proof(struct sp_refresh_op *op, const struct sp_dpop_shown *dpop) {
    struct sp_op *base = &op->t.base;
    if (dpop == NULL || dpop->proof.p == NULL) return SP_OUTCOME_OK;
    if (op->mode == SP_MODE_COOKIE) return SP_OUTCOME_INVALID_REQUEST;
    base->trouble = sp_oauth_dpop_check(base->app, dpop, SP_DPOP_NONCE_AS_CONFIGURED, SP_SLICE_EMPTY,
                                        SP_SLICE_EMPTY, &op->t.jkt);
    if (base->trouble.error != SP_OAUTH_NONE) return SP_OUTCOME_INVALID_PROOF;
    /* A confidential client authenticates itself at each refresh: RFC 9449 section 5. */
    const bool is_confidential = op->t.client != NULL && !op->t.client->row.is_public;
    if (!is_confidential) op->bound = op->t.jkt;
    return SP_OUTCOME_OK;
}

static enum sp_outcome accept(struct sp_refresh_op *op, const struct sp_refresh_request *in) {
    op->mode = in->mode;
    bool mode = in->mode == SP_MODE_TOKEN || in->mode == SP_MODE_COOKIE;
    if (!mode || !take_attempt(op, in->attempt)) return SP_OUTCOME_INVALID_REQUEST;
    if (!sp_ok(sp_app_refresh_parse(op->t.base.app, in->refresh_token, &op->token)))
        return SP_OUTCOME_INVALID_GRANT;
    /* No session of ours comes near: 2^31 refreshes. */
    if (op->token.generation >= SP_GENERATION_MAX) return SP_OUTCOME_INVALID_GRANT;
    if (!sp_ok(sp_refresh_successor(op))) return SP_OUTCOME_INVALID_GRANT;
    return accept_proof(op, in->dpop);
}

/* A record names the user, and what is narrowed must be within the session's: both stand in its row. */
static bool must_read_first(const struct sp_refresh_op *op) {
    return op->t.base.app->config.audit_refresh || op->t.scope_asked || op->t.aud.n != 0;
}

void sp_refresh_begin(struct sp_refresh_op *op, const struct sp_refresh_request *in) {
    struct sp_op *base = &op->t.base;
    enum sp_outcome accepted = accept(op, in);
    if (accepted != SP_OUTCOME_OK) {
        sp_op_finish(base, accepted);
    } else if (must_read_first(op)) {
        sp_refresh_ask(op);
    } else if (!op->keeps_token) {
        sp_refresh_add_rotate(op, op->token.generation, op->token.secret, false);
        sp_op_commit(base, written);
    } else if (sp_ok(sp_refresh_add_keep(op))) {
        sp_op_commit(base, written);
    } else {
        sp_op_finish(base, SP_OUTCOME_INVALID_GRANT); /* the key was withdrawn in between */
    }
}

/* ---- the first-party door ---- */

void sp_app_refresh(struct sp_app *app, const struct sp_call *call, const struct sp_refresh_request *in,
                    sp_tokens_done *done, void *arg) {
    struct sp_refresh_op *op = sp_op_new(app, call, &refresh_kind, (sp_any_done *)done, arg);
    if (op == NULL) return;
    sp_tokens_init(&op->t);
    op->client_id = app->config.client_id;
    sp_refresh_begin(op, in);
}
