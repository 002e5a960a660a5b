/* grant_type=authorization_code (RFC 6749 section 4.1.3, RFC 7636): a code becomes a session.
 *
 *   unseal -> compare (client, redirect_uri, PKCE, time) -> proof -> one commit: user, client, session,
 * record
 *
 * The code holds the sid of the session that it will be, and the store inserts a sid once: so of any number
 * of redemptions, at whatever moment and on whichever node, one gets tokens. Every other one ends what that
 * one got (RFC 9700 section 2.1.1), because one of the two is a thief and nobody can tell which. So does a
 * genuine code of the right client that does not redeem: too late, with another verifier, for another
 * address. Before the code was redeemed there is nothing to end, and it stays good for who holds the
 * verifier.
 *
 * A proof that does not hold, or lacks a nonce, is no redemption: the client tries again with the same code.
 */
#include "core/oauth_internal.h"

#include "base/base64url.h"
#include "base/ct.h"
#include "token/ids.h"

enum {
    VERIFIER_CHARS_MIN = 43, /* RFC 7636 section 4.1 */
    VERIFIER_CHARS_MAX = 128,
};

struct code_op {
    struct sp_tokens_op t;
    struct sp_authz_code code;
    sp_text256 aud; /* of the session */
    struct sp_session_row row;
    struct sp_change *expect, *insert;
    const char *reason; /* of a replay, for its record */
};

static void code_release(struct sp_op *op) {
    sp_tokens_release(op); /* the code is wiped with the op */
}
static const struct sp_op_kind kind = {
    .size = sizeof(struct code_op), .say = sp_oauth_tokens_say, .release = code_release};

static void refuse(struct code_op *op) {
    sp_oauth_refuse(&op->t.base, SP_OAUTH_INVALID_GRANT, "the authorization code is not valid");
}

/* ---- records ---- */

struct record {
    char target[SP_ID_CHARS];
    struct sp_log_field detail[2];
    struct sp_audit_event event;
};

/* The target is the user, whose session it was to be. */
static void record_of(const struct code_op *op, enum sp_audit_action action, enum sp_audit_outcome outcome,
                      struct record *ret) {
    sp_id user;
    memcpy(user.b, op->code.user_id, sizeof(user.b));
    sp_id_text(user, ret->target);
    ret->detail[0] = SP_LOGF_TEXT("client", SP_TEXT_SLICE(&op->t.client->row.id));
    ret->detail[1] = SP_LOGF_TEXT("reason", sp_slice_cstr(op->reason));
    ret->event = (struct sp_audit_event){.action = action,
                                         .outcome = outcome,
                                         .target = SP_SLICE_ARRAY(ret->target),
                                         .sid = op->code.sid,
                                         .detail = ret->detail,
                                         .detail_n = op->reason != NULL ? 2 : 1,
                                         .reason = op->reason};
}

static void record_refusal(const struct code_op *op) {
    struct record record;
    record_of(op, SP_AUDIT_CODE_REFUSED, SP_AUDIT_DENIED, &record);
    sp_op_audit_coalesced(&op->t.base, &record.event);
}

/* ---- a second use ---- */

/* Nothing there to end: the code was never redeemed, or what it gave is over. */
static void replay_ended(struct sp_op *base, sp_status status) {
    struct code_op *op = (struct code_op *)(void *)base;
    if (sp_ok(status)) {
        atomic_fetch_add_explicit(&base->app->counters.code_replays, 1, memory_order_relaxed);
        refuse(op);
    } else if (sp_is(status, SP_E_CONFLICT)) {
        record_refusal(op);
        refuse(op);
    } else {
        sp_op_fail(base, status);
    }
}

static void end_replayed(struct code_op *op, const char *reason) {
    struct sp_op *base = &op->t.base;
    op->reason = reason;
    base->now_ms = sp_app_now_ms(base->app);
    sp_op_reset(base);
    sp_op_change(base, SP_CHANGE_SESSION_END)->session_end =
        (struct sp_session_end){.tenant = SP_TENANT_DEFAULT,
                                .sid = op->code.sid,
                                .user_id = op->code.user_id,
                                .expect_generation = SP_GENERATION_ANY,
                                .state = SP_SESSION_ENDED,
                                .cause = SP_END_CODE_REPLAYED,
                                .now_ms = base->now_ms};
    struct record record;
    record_of(op, SP_AUDIT_CODE_REPLAYED, SP_AUDIT_ALARM, &record);
    sp_status recorded = sp_op_audit(base, &record.event);
    if (sp_ok(recorded)) {
        sp_op_commit(base, replay_ended);
    } else {
        sp_op_fail(base, recorded);
    }
}

/* ---- the commit ---- */

static void lost(struct code_op *op) {
    const struct sp_change *failed = &op->t.base.changes[op->t.base.commit.failed];
    if (failed == op->insert && !op->insert->session_insert.ret_parent_gone) {
        end_replayed(op, "second_use");
        return;
    }
    op->reason = failed == op->insert ? "signed_out" : failed == op->expect ? "user" : "not_allowed";
    record_refusal(op);
    refuse(op);
}

static void committed(struct sp_op *base, sp_status status) {
    struct code_op *op = (struct code_op *)(void *)base;
    if (sp_is(status, SP_E_CONFLICT)) {
        lost(op);
        return;
    }
    if (!sp_ok(status)) {
        sp_op_fail(base, status);
        return;
    }
    atomic_fetch_add_explicit(&base->app->counters.codes_redeemed, 1, memory_order_relaxed);
    sp_session_begun(&op->t, &op->row, op->expect, op->insert);
    sp_tokens_issue(&op->t);
}

/* Refresh tokens of a public client are bound to its key; a confidential one authenticates itself instead. */
static sp_slice binding_of(const struct code_op *op) {
    return op->t.client->row.is_public ? SP_TEXT_SLICE(&op->t.jkt) : SP_SLICE_EMPTY;
}

static sp_status add_session(struct code_op *op) {
    struct sp_op *base = &op->t.base;
    const struct sp_client_row *client = &op->t.client->row;
    const sp_slice scope = SP_TEXT_SLICE(&op->code.scope);
    memcpy(op->t.user.id, op->code.user_id, sizeof(op->t.user.id));
    op->t.nonce = op->code.nonce; /* for the id_token */
    const struct sp_session_birth birth = {
        .mode = SP_MODE_TOKEN,
        .device = client->name.n != 0 ? SP_TEXT_SLICE(&client->name) : SP_TEXT_SLICE(&client->id),
        .scope = scope,
        .acr = SP_TEXT_SLICE(&op->code.acr),
        .amr = SP_TEXT_SLICE(&op->code.amr),
        .auth_time_s = op->code.auth_time_s,
        .jkt = binding_of(op),
        .client = client,
        .aud = SP_TEXT_SLICE(&op->aud),
        .sid = op->code.sid,
        .parent = op->code.parent, /* zeros: none */
        .offline = sp_words_contain(scope, SP_SLICE_LIT("offline_access")),
    };
    SP_TRY(sp_session_row_new(&op->t, &birth, &op->row));
    op->expect = sp_op_change(base, SP_CHANGE_USER_EXPECT);
    op->expect->user_expect = (struct sp_user_expect){.tenant = SP_TENANT_DEFAULT,
                                                      .id = op->row.user_id,
                                                      .expect_version = SP_VERSION_ANY,
                                                      .ret_user = &op->t.user};
    /* A client that is gone, or was allowed no more, while its code was under way: what it had was ended
     * then, and a session that comes after would be found by nobody. */
    sp_op_change(base, SP_CHANGE_CLIENT_EXPECT)->client_expect =
        (struct sp_client_expect){.tenant = SP_TENANT_DEFAULT,
                                  .id = SP_TEXT_SLICE(&op->row.client_id),
                                  .expect_version = SP_VERSION_ANY,
                                  .allowed_by = op->row.user_id};
    op->insert = sp_op_change(base, SP_CHANGE_SESSION_INSERT);
    op->insert->session_insert =
        (struct sp_session_insert){.row = &op->row, .live_max = base->app->config.sessions_max};
    struct record record;
    record_of(op, SP_AUDIT_CODE_REDEEMED, SP_AUDIT_OK, &record);
    return sp_op_audit(base, &record.event);
}

/* ---- does it redeem? ---- */

static bool is_verifier(sp_slice v) {
    if (v.n < VERIFIER_CHARS_MIN || v.n > VERIFIER_CHARS_MAX) return false;
    for (size_t i = 0; i < v.n; i++) {
        const uint8_t c = v.p[i];
        const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!letter && c != '-' && c != '.' && c != '_' && c != '~') return false;
    }
    return true;
}

static bool verifier_matches(const struct sp_authz_code *code, sp_slice verifier) {
    uint8_t hash[SP_SHA256_BYTES];
    char challenge[SP_BASE64URL_CHARS(SP_SHA256_BYTES)];
    if (!is_verifier(verifier)) return false;
    sp_sha256(verifier, hash);
    sp_base64url_encode(SP_SLICE_ARRAY(hash), challenge);
    return sp_ct_equal(SP_SLICE_ARRAY(challenge), SP_TEXT_SLICE(&code->code_challenge));
}

/* What the authorization request named must be named again; what it left out may be, and must be the same. */
static bool redirect_matches(const struct sp_authz_code *code, sp_slice redirect_uri) {
    uint8_t hash[SP_SHA256_BYTES];
    if (redirect_uri.n == 0) return !code->redirect_uri_sent;
    sp_sha256(redirect_uri, hash);
    return memcmp(hash, code->redirect_uri_hash, sizeof(hash)) == 0; /* public */
}

/* A client that was deleted and made again under its id is another one. */
static bool is_of_former_client(const struct code_op *op) {
    const int64_t made_s = op->code.expires_s - SP_OAUTH_CODE_TTL_S;
    return made_s < op->t.client->row.created_ms / 1000;
}

/* NULL, or why a code of this client does not redeem. */
static const char *fault_of(const struct code_op *op, const struct sp_oauth_token_request *in) {
    if (op->t.base.now_ms / 1000 >= op->code.expires_s) return "expired";
    if (is_of_former_client(op)) return "former_client";
    if (!redirect_matches(&op->code, in->redirect_uri)) return "redirect_uri";
    if (!verifier_matches(&op->code, in->code_verifier)) return "code_verifier";
    return NULL;
}

/* The session has what was authorized; the token may have less of it (RFC 8707 section 2.2). */
static bool take_audience(struct code_op *op, const struct sp_oauth_token_request *in) {
    struct sp_app *app = op->t.base.app;
    op->aud = op->code.aud;
    if (op->aud.n == 0 && !sp_ok(sp_client_audience(app, op->t.client, NULL, 0, &op->aud))) return false;
    for (size_t i = 0; i < in->n_resources; i++) {
        if (in->resources[i].n == 0 || !sp_words_contain(SP_TEXT_SLICE(&op->aud), in->resources[i]))
            return false;
        if (sp_words_contain(SP_TEXT_SLICE(&op->t.aud), in->resources[i])) continue;
        if (!sp_ok(SP_OAUTH_WORDS_ADD(&op->t.aud, in->resources[i]))) return false;
    }
    return true;
}

/* The key that was named beforehand (dpop_jkt, or the proof at PAR) must be the one that is shown now. */
static struct sp_oauth_trouble take_proof(struct code_op *op, const struct sp_dpop_shown *dpop) {
    const bool is_bound = op->code.jkt.n != 0;
    if (is_bound && dpop->proof.p == NULL)
        return sp_oauth_trouble_of(SP_OAUTH_INVALID_DPOP_PROOF, "the code is bound to a key: show a proof");
    return sp_oauth_dpop_check(op->t.base.app, dpop, SP_DPOP_NONCE_AS_CONFIGURED, SP_SLICE_EMPTY,
                               is_bound ? SP_TEXT_SLICE(&op->code.jkt) : SP_SLICE_EMPTY, &op->t.jkt);
}

static void redeem(struct code_op *op, const struct sp_oauth_token_request *in) {
    struct sp_op *base = &op->t.base;
    if (!take_audience(op, in)) {
        sp_oauth_refuse(base, SP_OAUTH_INVALID_TARGET, "not a resource that was authorized");
        return;
    }
    const struct sp_oauth_trouble t = take_proof(op, &in->dpop);
    if (t.error != SP_OAUTH_NONE) {
        sp_oauth_refuse_as(base, t);
        return;
    }
    const sp_status built = add_session(op);
    if (sp_ok(built)) {
        sp_op_commit(base, committed);
    } else {
        sp_op_fail(base, built);
    }
}

/* Another client's code: that client's secret, or its code, is in the wrong hands, but which session to end
 * is not for this client to say. */
static void refuse_foreign(struct code_op *op) {
    op->reason = "client";
    record_refusal(op);
    refuse(op);
}

/* Expiry is compared by fault_of: the latecomer's code, too, may be one that was used. */
static void open_code(struct code_op *op, const struct sp_oauth_token_request *in) {
    const sp_status unsealed = sp_unseal_code(op->t.base.app, in->code, 0, &op->code);
    if (sp_is(unsealed, SP_E_NOMEM)) {
        sp_op_fail(&op->t.base, unsealed);
        return;
    }
    if (!sp_ok(unsealed)) {
        refuse(op);
        return;
    }
    if (!sp_slice_eq(SP_TEXT_SLICE(&op->code.client_id), SP_TEXT_SLICE(&op->t.client->row.id))) {
        refuse_foreign(op);
        return;
    }
    const char *fault = fault_of(op, in);
    if (fault != NULL) {
        end_replayed(op, fault);
    } else {
        redeem(op, in);
    }
}

void sp_oauth_grant_code(struct sp_app *app, const struct sp_oauth_grant *g) {
    struct code_op *op = sp_oauth_grant_op(app, g, &kind);
    if (op == NULL) return;
    op->t.gives_refresh = sp_client_may_grant(g->client, SP_SLICE_LIT("refresh_token"));
    if (g->in->code.n == 0 || g->in->code_verifier.n == 0) {
        sp_oauth_refuse(&op->t.base, SP_OAUTH_INVALID_REQUEST, "code and code_verifier are required");
    } else {
        open_code(op, g->in);
    }
}
