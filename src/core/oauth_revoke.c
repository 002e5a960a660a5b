/* POST /oauth2/revoke (RFC 7009): a client gives a token back.
 *
 * A refresh token of any generation, proved by the ratchet, ends its session, and with it the access tokens
 * that the session has given, on every verifier; an access token is refused from now on by its jti, and its
 * session lives on. The answer is the same for tokens that were never ours, that are another client's, and
 * that are over; another client's are recorded.
 *
 * token_type_hint is not needed: which kind of token a text may be shows in its form. */
#include "core/oauth_internal.h"

#include "core/tripwire.h"
#include "token/ids.h"

struct revoke_op {
    struct sp_op base;
    const struct sp_client *client;
    struct sp_refresh_token token;
    struct sp_principal principal; /* of an access token */
};

static void revoke_say(struct sp_op *op, sp_any_done *done, void *arg, enum sp_outcome outcome) {
    const struct sp_oauth_plain_result result = {.trouble = sp_oauth_trouble_told(op, outcome)};
    ((sp_oauth_plain_done *)done)(arg, &result);
}
static void revoke_release(struct sp_op *op) {
    sp_client_release(((struct revoke_op *)(void *)op)->client);
}
static const struct sp_op_kind kind = {
    .size = sizeof(struct revoke_op), .say = revoke_say, .release = revoke_release};

static struct revoke_op *revoke_of(struct sp_op *op) {
    return (struct revoke_op *)(void *)op;
}

static bool is_own(const struct revoke_op *op, sp_slice client_id) {
    return sp_slice_eq(SP_TEXT_SLICE(&op->client->row.id), client_id);
}

static void record_foreign(const struct revoke_op *op, const uint8_t *sid, sp_slice target) {
    const struct sp_log_field detail[] = {SP_LOGF_TEXT("client", SP_TEXT_SLICE(&op->client->row.id)),
                                          SP_LOGF_TEXT("wanted", SP_SLICE_LIT("revocation"))};
    const struct sp_audit_event event = {.action = SP_AUDIT_CLIENT_MISMATCH,
                                         .outcome = SP_AUDIT_DENIED,
                                         .target = target,
                                         .sid = sid,
                                         .detail = detail,
                                         .detail_n = SP_ARRAY_LEN(detail)};
    sp_op_audit_coalesced(&op->base, &event);
}

/* What was over already is what was asked for. */
static void revoked(struct sp_op *op, sp_status status) {
    if (sp_ok(status) || sp_is(status, SP_E_CONFLICT)) {
        sp_op_finish(op, SP_OUTCOME_OK);
    } else {
        sp_op_fail(op, status);
    }
}

static void commit(struct revoke_op *op, const struct sp_audit_event *event) {
    const sp_status recorded = sp_op_audit(&op->base, event);
    if (sp_ok(recorded)) {
        sp_op_commit(&op->base, revoked);
    } else {
        sp_op_fail(&op->base, recorded);
    }
}

/* ---- a refresh token ---- */

static void end_session(struct revoke_op *op, const struct sp_session_row *row) {
    char target[SP_ID_CHARS];
    sp_id user;
    memcpy(user.b, row->user_id, sizeof(user.b));
    sp_id_text(user, target);
    sp_op_change(&op->base, SP_CHANGE_SESSION_END)->session_end =
        (struct sp_session_end){.tenant = SP_TENANT_DEFAULT,
                                .sid = op->token.sid.b,
                                .expect_generation = SP_GENERATION_ANY,
                                .state = SP_SESSION_ENDED,
                                .cause = SP_END_CLIENT_REVOKED,
                                .now_ms = op->base.now_ms};
    const struct sp_log_field detail[] = {SP_LOGF_TEXT("client", SP_TEXT_SLICE(&op->client->row.id))};
    commit(op, &(struct sp_audit_event){.action = SP_AUDIT_SESSION_ENDED,
                                        .outcome = SP_AUDIT_OK,
                                        .target = SP_SLICE_ARRAY(target),
                                        .sid = op->token.sid.b,
                                        .detail = detail,
                                        .detail_n = SP_ARRAY_LEN(detail)});
}

static sp_status prove(struct sp_op *base) {
    struct revoke_op *op = revoke_of(base);
    return sp_app_refresh_prove(base->app, &base->read.ret.sessions[0], &op->token) == SP_PROOF_GENUINE
               ? SP_SUCCESS
               : sp_err(SP_E_REFUSED);
}

static void proved(struct sp_op *base, sp_status status) {
    struct revoke_op *op = revoke_of(base);
    const struct sp_session_row *row = &base->read.ret.sessions[0];
    if (sp_is(status, SP_E_REFUSED)) {
        sp_op_finish(base, SP_OUTCOME_OK); /* none of ours */
    } else if (!sp_ok(status)) {
        sp_op_fail(base, status);
    } else if (!is_own(op, SP_TEXT_SLICE(&row->client_id))) {
        record_foreign(op, row->sid, SP_SLICE_EMPTY);
        sp_op_finish(base, SP_OUTCOME_OK);
    } else {
        end_session(op, row);
    }
}

static void session_read(struct sp_op *base, sp_status status) {
    struct revoke_op *op = revoke_of(base);
    if (!sp_ok(status) && !sp_is(status, SP_E_NOT_FOUND)) {
        sp_op_fail(base, status);
        return;
    }
    const struct sp_session_row *row = sp_ok(status) ? &base->read.ret.sessions[0] : NULL;
    if (row == NULL || row->state != SP_SESSION_ACTIVE) {
        sp_op_finish(base, SP_OUTCOME_OK);
    } else {
        sp_op_proof(base, sp_tripwire_is_long(row, &op->token), prove, proved);
    }
}

/* ---- an access token ---- */

static void revoke_jti(struct revoke_op *op) {
    const struct sp_principal *p = &op->principal;
    char target[SP_ID_CHARS];
    sp_id jti;
    memcpy(jti.b, p->jti, sizeof(jti.b));
    sp_id_text(jti, target);
    if (!is_own(op, SP_TEXT_SLICE(&p->client_id))) {
        record_foreign(op, p->is_client ? NULL : p->sid, SP_SLICE_ARRAY(target));
        sp_op_finish(&op->base, SP_OUTCOME_OK);
        return;
    }
    sp_op_change(&op->base, SP_CHANGE_REVOKE_JTI)->revoke_jti = (struct sp_revoke_jti){
        .tenant = SP_TENANT_DEFAULT, .jti = p->jti, .expires_s = p->exp_s + SP_REVOKE_SLACK_S};
    const struct sp_log_field detail[] = {SP_LOGF_TEXT("client", SP_TEXT_SLICE(&op->client->row.id))};
    commit(op, &(struct sp_audit_event){.action = SP_AUDIT_TOKEN_REVOKED,
                                        .outcome = SP_AUDIT_OK,
                                        .target = SP_SLICE_ARRAY(target),
                                        .sid = p->is_client ? NULL : p->sid,
                                        .detail = detail,
                                        .detail_n = SP_ARRAY_LEN(detail)});
}

/* ---- which of them ---- */

static void begin(struct revoke_op *op, sp_slice token) {
    struct sp_op *base = &op->base;
    if (sp_ok(sp_app_refresh_parse(base->app, token, &op->token))) {
        sp_op_read_begin(base, SP_READ_SESSION)->key = SP_SLICE_ARRAY(op->token.sid.b);
        sp_op_read(base, session_read);
        return;
    }
    const enum sp_reject verdict =
        sp_app_principal(base->app, token, SP_AUTHN_PROOF_BY_CALLER | SP_AUTHN_ANY_AUDIENCE, &op->principal);
    const struct sp_oauth_trouble t = sp_oauth_trouble_of_reject(verdict);
    if (sp_reject_is_ok(verdict)) {
        revoke_jti(op);
    } else if (t.error == SP_OAUTH_INVALID_TOKEN) {
        sp_op_finish(base, SP_OUTCOME_OK); /* over, or none of ours: RFC 7009 section 2.2 */
    } else {
        sp_oauth_refuse_as(base, t);
    }
}

void sp_oauth_revoke(struct sp_app *app, const struct sp_call *call, const struct sp_oauth_about_request *in,
                     sp_oauth_plain_done *done, void *arg) {
    struct revoke_op *op = sp_op_new(app, call, &kind, (sp_any_done *)done, arg);
    if (op == NULL) return;
    const struct sp_oauth_trouble t =
        sp_client_authenticate(app, call, &in->client, SP_SLICE_LIT("/oauth2/revoke"), &op->client);
    if (t.error != SP_OAUTH_NONE) {
        sp_oauth_refuse_as(&op->base, t);
    } else if (in->token.n == 0) {
        sp_oauth_refuse(&op->base, SP_OAUTH_INVALID_REQUEST, "token is missing");
    } else {
        sp_audit_actor_client(SP_TEXT_SLICE(&op->client->row.id), &op->base.actor);
        begin(op, in->token);
    }
}
