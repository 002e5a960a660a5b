/* Ending: by one's own refresh or access token, all of one's sessions, or one of them from another.
 *
 * A logout asks for less than a refresh: any generation, any client, without a proof of the key that a
 * session is bound to, even after the end; and says OK when there is nothing left to end, because the person
 * wants to be out, and is. All of one's sessions, or another one, are for a session of our own alone. */
#include "core/app_internal.h"

#include "core/tripwire.h"
#include "token/ids.h"

struct logout_op {
    struct sp_plain_op plain;
    struct sp_refresh_token token;
    uint8_t sid[SP_ROW_SID_BYTES];
    uint8_t user_id[SP_ROW_ID_BYTES];
    enum sp_end_cause cause;
    struct sp_change *ends; /* SESSIONS_END, which says how many */
};
static const struct sp_op_kind logout_kind = {.size = sizeof(struct logout_op), .say = sp_plain_say};

static sp_status add_record(struct logout_op *op, enum sp_audit_action action, const uint8_t *sid) {
    struct sp_op *base = &op->plain.base;
    sp_id user;
    char target[SP_ID_CHARS];
    memcpy(user.b, op->user_id, sizeof(user.b));
    sp_id_text(user, target);
    sp_op_actor_user(base, op->user_id);
    struct sp_audit_event event = {
        .action = action, .outcome = SP_AUDIT_OK, .target = SP_SLICE_ARRAY(target), .sid = sid};
    return sp_op_audit(base, &event);
}

static sp_status add_end(struct logout_op *op, enum sp_audit_action action) {
    struct sp_op *base = &op->plain.base;
    sp_op_change(base, SP_CHANGE_SESSION_END)->session_end =
        (struct sp_session_end){.tenant = SP_TENANT_DEFAULT,
                                .sid = op->sid,
                                .user_id = op->user_id,
                                .expect_generation = SP_GENERATION_ANY,
                                .state = SP_SESSION_ENDED,
                                .cause = op->cause,
                                .now_ms = base->now_ms};
    return add_record(op, action, op->sid);
}

static void commit_or_fail(struct logout_op *op, sp_status built, sp_op_step *next) {
    if (sp_ok(built)) {
        sp_op_commit(&op->plain.base, next);
    } else {
        sp_op_fail(&op->plain.base, built);
    }
}

/* ---- one's own session ---- */

static void logged_out(struct sp_op *base, sp_status status) {
    struct logout_op *op = (struct logout_op *)(void *)base;
    bool was_over = sp_is(status, SP_E_CONFLICT);
    if (!sp_ok(status) && !was_over) {
        sp_op_fail(base, status);
        return;
    }
    op->plain.count = was_over ? 0 : 1;
    sp_op_finish(base, SP_OUTCOME_OK);
}

static void logout(struct logout_op *op) {
    op->cause = SP_END_LOGOUT;
    commit_or_fail(op, add_end(op, SP_AUDIT_LOGOUT), logged_out);
}

static sp_status prove(struct sp_op *base) {
    struct logout_op *op = (struct logout_op *)(void *)base;
    const enum sp_proof proof = sp_app_refresh_prove(base->app, &base->read.ret.sessions[0], &op->token);
    return proof == SP_PROOF_GENUINE ? SP_SUCCESS : sp_err(SP_E_REFUSED);
}

static void proved(struct sp_op *base, sp_status status) {
    struct logout_op *op = (struct logout_op *)(void *)base;
    if (sp_is(status, SP_E_REFUSED)) {
        sp_op_finish(base, SP_OUTCOME_INVALID_GRANT);
    } else if (!sp_ok(status)) {
        sp_op_fail(base, status);
    } else {
        memcpy(op->user_id, base->read.ret.sessions[0].user_id, sizeof(op->user_id));
        logout(op);
    }
}

/* Over or forgotten: the tag was ours, and there is nothing to end. The secret is not looked at, because an
 * answer that depended on it would tell whether the session still exists. */
static void session_read(struct sp_op *base, sp_status status) {
    struct logout_op *op = (struct logout_op *)(void *)base;
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

static void logout_by_refresh(struct logout_op *op, sp_slice text) {
    struct sp_op *base = &op->plain.base;
    if (!sp_ok(sp_app_refresh_parse(base->app, text, &op->token))) {
        sp_op_finish(base, SP_OUTCOME_INVALID_GRANT);
        return;
    }
    memcpy(op->sid, op->token.sid.b, sizeof(op->sid));
    struct sp_store_read *r = sp_op_read_begin(base, SP_READ_SESSION);
    r->key = SP_SLICE_ARRAY(op->sid);
    sp_op_read(base, session_read);
}

static void logout_by_access(struct logout_op *op, sp_slice text) {
    struct sp_op *base = &op->plain.base;
    struct sp_principal p;
    const enum sp_reject verdict =
        sp_app_principal(base->app, text, SP_AUTHN_IGNORE_END | SP_AUTHN_PROOF_BY_CALLER, &p);
    if (!sp_reject_is_ok(verdict) || p.is_client) { /* a client's own token has no session */
        sp_op_finish(base, SP_OUTCOME_INVALID_TOKEN);
        return;
    }
    memcpy(op->sid, p.sid, sizeof(op->sid));
    memcpy(op->user_id, p.user_id, sizeof(op->user_id));
    logout(op);
}

void sp_app_logout(struct sp_app *app, const struct sp_call *call, const struct sp_logout_request *in,
                   sp_plain_done *done, void *arg) {
    struct logout_op *op = sp_op_new(app, call, &logout_kind, (sp_any_done *)done, arg);
    if (op == NULL) return;
    bool by_refresh = in->refresh_token.n != 0, by_access = in->access_token.n != 0;
    if (by_refresh == by_access) {
        sp_op_finish(&op->plain.base, SP_OUTCOME_INVALID_REQUEST);
    } else if (by_refresh) {
        logout_by_refresh(op, in->refresh_token);
    } else {
        logout_by_access(op, in->access_token);
    }
}

/* ---- all of them, or another one ---- */

/* An op for the user who calls; NULL: answered already. */
static struct logout_op *new_for_user(struct sp_app *app, const struct sp_call *call, sp_plain_done *done,
                                      void *arg) {
    struct logout_op *op = sp_op_new(app, call, &logout_kind, (sp_any_done *)done, arg);
    if (op == NULL) return NULL;
    const struct sp_op *base = &op->plain.base;
    const enum sp_outcome own = sp_op_judge_own_session(base);
    if (own != SP_OUTCOME_OK) {
        sp_op_finish(&op->plain.base, own);
        return NULL;
    }
    memcpy(op->user_id, base->principal.user_id, sizeof(op->user_id));
    return op;
}

static void all_ended(struct sp_op *base, sp_status status) {
    struct logout_op *op = (struct logout_op *)(void *)base;
    if (sp_is(status, SP_E_CONFLICT)) {
        sp_op_finish(base, SP_OUTCOME_INVALID_TOKEN); /* the user is gone, and the sessions with it */
        return;
    }
    if (!sp_ok(status)) {
        sp_op_fail(base, status);
        return;
    }
    op->plain.count = op->ends->sessions_end.ret_ended;
    sp_op_finish(base, SP_OUTCOME_OK);
}

void sp_app_logout_all(struct sp_app *app, const struct sp_call *call, sp_plain_done *done, void *arg) {
    struct logout_op *op = new_for_user(app, call, done, arg);
    if (op == NULL) return;
    struct sp_op *base = &op->plain.base;
    op->ends = sp_op_change(base, SP_CHANGE_SESSIONS_END);
    op->ends->sessions_end = (struct sp_sessions_end){.tenant = SP_TENANT_DEFAULT,
                                                      .user_id = op->user_id,
                                                      .sid_tag = base->principal.sid,
                                                      .state = SP_SESSION_ENDED,
                                                      .cause = SP_END_LOGOUT_ALL,
                                                      .now_ms = base->now_ms};
    sp_op_change(base, SP_CHANGE_USER_EPOCH)->user_epoch =
        (struct sp_user_epoch){.tenant = SP_TENANT_DEFAULT,
                               .id = op->user_id,
                               .expires_s = sp_app_epoch_expires_s(app, base->now_ms)};
    commit_or_fail(op, add_record(op, SP_AUDIT_LOGOUT_ALL, base->principal.sid), all_ended);
}

static void own_ended(struct sp_op *base, sp_status status) {
    struct logout_op *op = (struct logout_op *)(void *)base;
    if (sp_ok(status)) {
        op->plain.count = 1;
        sp_op_finish(base, SP_OUTCOME_OK);
    } else if (sp_is(status, SP_E_CONFLICT)) {
        sp_op_finish(base, SP_OUTCOME_NOT_FOUND);
    } else {
        sp_op_fail(base, status);
    }
}

void sp_app_session_end_own(struct sp_app *app, const struct sp_call *call, sp_slice sid, sp_plain_done *done,
                            void *arg) {
    struct logout_op *op = new_for_user(app, call, done, arg);
    if (op == NULL) return;
    struct sp_op *base = &op->plain.base;
    sp_sid parsed;
    if (!sp_ok(sp_sid_parse(sid, &parsed))) {
        sp_op_finish(base, SP_OUTCOME_NOT_FOUND);
        return;
    }
    memcpy(op->sid, parsed.b, sizeof(op->sid));
    bool is_own = memcmp(op->sid, base->principal.sid, sizeof(op->sid)) == 0;
    op->cause = is_own ? SP_END_LOGOUT : SP_END_USER_ENDED;
    commit_or_fail(op, add_end(op, is_own ? SP_AUDIT_LOGOUT : SP_AUDIT_SESSION_ENDED), own_ended);
}
