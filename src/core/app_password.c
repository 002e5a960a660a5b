/* Change of one's own password: check the current one, judge the wanted one, hash it, and in one commit
 * replace it and end the other sessions. The caller's own session stays.
 *
 * The commit expects the version of the user that was read. When something else about the user changed
 * meanwhile (a role), the row is read again and the change built anew; when the password itself changed, this
 * change is refused. */
#include "core/app_internal.h"

#include "token/ids.h"

struct password_op {
    struct sp_plain_op plain;
    struct sp_user_row user; /* as read; then as it will be written */
    sp_text256 old_phc;      /* what `current` was checked against */
    sp_text256 new_phc;
    struct sp_change *ends;
    struct sp_charge address, account; /* whoever holds a stolen session must not guess here for free */
};

static void password_say(struct sp_op *base, sp_any_done *done, void *arg, enum sp_outcome outcome) {
    struct password_op *op = (struct password_op *)(void *)base;
    if (op != NULL && outcome != SP_OUTCOME_INVALID_CREDENTIALS) {
        sp_op_refund(base, &op->account);
        sp_op_refund(base, &op->address);
    }
    sp_plain_say(base, done, arg, outcome);
}
static const struct sp_op_kind password_kind = {.size = sizeof(struct password_op), .say = password_say};

static void read_user(struct password_op *op, sp_op_step *next) {
    struct sp_store_read *r = sp_op_read_begin(&op->plain.base, SP_READ_USER_BY_ID);
    r->key = SP_SLICE_ARRAY(op->plain.base.principal.user_id);
    sp_op_read(&op->plain.base, next);
}

static void target_of(const struct password_op *op, char ret[SP_ID_CHARS]) {
    sp_id user;
    memcpy(user.b, op->plain.base.principal.user_id, sizeof(user.b));
    sp_id_text(user, ret);
}

static void refuse(struct password_op *op) {
    struct sp_op *base = &op->plain.base;
    char target[SP_ID_CHARS];
    target_of(op, target);
    struct sp_audit_event event = {.action = SP_AUDIT_PASSWORD_CHANGE_FAILED,
                                   .outcome = SP_AUDIT_FAILED,
                                   .target = SP_SLICE_ARRAY(target),
                                   .sid = base->principal.sid};
    sp_op_audit_coalesced(base, &event);
    sp_op_finish(base, SP_OUTCOME_INVALID_CREDENTIALS);
}

static void throttled(struct password_op *op, const struct sp_charge *charge, int64_t wait_ms) {
    struct sp_op *base = &op->plain.base;
    char target[SP_ID_CHARS];
    target_of(op, target);
    sp_op_throttled(base, charge, wait_ms,
                    (struct sp_audit_event){.action = SP_AUDIT_PASSWORD_CHANGE_THROTTLED,
                                            .target = SP_SLICE_ARRAY(target),
                                            .sid = base->principal.sid});
}

/* ---- the commit ---- */

static void user_read_again(struct sp_op *base, sp_status status);

static void changed(struct sp_op *base, sp_status status) {
    struct password_op *op = (struct password_op *)(void *)base;
    if (sp_is(status, SP_E_CONFLICT) && ++base->tries < SP_OP_RETRIES_MAX) {
        read_user(op, user_read_again);
    } else if (sp_is(status, SP_E_CONFLICT)) {
        sp_op_finish(base, SP_OUTCOME_CHANGED_MEANWHILE);
    } else if (!sp_ok(status)) {
        sp_op_fail(base, status);
    } else {
        op->plain.count = op->ends->sessions_end.ret_ended;
        sp_op_finish(base, SP_OUTCOME_OK);
    }
}

static sp_status add_changes(struct password_op *op) {
    struct sp_op *base = &op->plain.base;
    char target[SP_ID_CHARS];
    sp_op_reset(base);
    op->user.password = op->new_phc;
    op->user.password_changed_ms = base->now_ms;
    sp_op_change(base, SP_CHANGE_USER_UPDATE)->user_update =
        (struct sp_user_update){.row = &op->user, .expect_version = op->user.version};
    op->ends = sp_op_change(base, SP_CHANGE_SESSIONS_END);
    op->ends->sessions_end = (struct sp_sessions_end){.tenant = SP_TENANT_DEFAULT,
                                                      .user_id = base->principal.user_id,
                                                      .sid_tag = base->principal.sid,
                                                      .except_sid = base->principal.sid,
                                                      .state = SP_SESSION_ENDED,
                                                      .cause = SP_END_PASSWORD_CHANGE,
                                                      .now_ms = base->now_ms};
    target_of(op, target);
    return sp_op_audit(base, &(struct sp_audit_event){.action = SP_AUDIT_PASSWORD_CHANGED,
                                                      .outcome = SP_AUDIT_OK,
                                                      .target = SP_SLICE_ARRAY(target),
                                                      .sid = base->principal.sid});
}

static void change(struct password_op *op) {
    struct sp_op *base = &op->plain.base;
    base->now_ms = sp_app_now_ms(base->app);
    sp_status built = add_changes(op);
    if (sp_ok(built)) {
        sp_op_commit(base, changed);
    } else {
        sp_op_fail(base, built);
    }
}

static void user_read_again(struct sp_op *base, sp_status status) {
    struct password_op *op = (struct password_op *)(void *)base;
    if (!sp_ok(status) && !sp_is(status, SP_E_NOT_FOUND)) {
        sp_op_fail(base, status);
        return;
    }
    const struct sp_user_row *user = sp_ok(status) ? &base->read.ret.users[0] : NULL;
    bool is_same = user != NULL && !user->disabled &&
                   sp_slice_eq(SP_TEXT_SLICE(&user->password), SP_TEXT_SLICE(&op->old_phc));
    if (!is_same) {
        sp_op_finish(base, SP_OUTCOME_CHANGED_MEANWHILE);
        return;
    }
    op->user = *user;
    change(op);
}

/* ---- the way there ---- */

static void wanted_hashed(struct sp_op *base, sp_status status) {
    struct password_op *op = (struct password_op *)(void *)base;
    if (!sp_ok(status)) {
        sp_op_fail(base, status);
        return;
    }
    op->new_phc = base->hash.phc;
    change(op);
}

static void current_verified(struct sp_op *base, sp_status status) {
    struct password_op *op = (struct password_op *)(void *)base;
    if (!sp_ok(status)) {
        sp_op_fail(base, status);
    } else if (!base->hash.matches || op->old_phc.n == 0) {
        refuse(op);
    } else {
        sp_op_hash_new(base, sp_buf_slice(&base->secret[1]), wanted_hashed);
    }
}

static void verify_current(struct password_op *op) {
    struct sp_op *base = &op->plain.base;
    const sp_slice user = SP_SLICE_ARRAY(base->principal.user_id);
    int64_t wait_ms = sp_op_charge_address(base, &op->address, SP_THROTTLE_ADDRESS);
    if (wait_ms != 0) {
        throttled(op, &op->address, wait_ms);
        return;
    }
    wait_ms = sp_op_charge(base, &op->account, SP_THROTTLE_PASSWORD, user);
    if (wait_ms != 0) {
        throttled(op, &op->account, wait_ms);
        return;
    }
    sp_op_hash(base, sp_buf_slice(&base->secret[0]), &op->old_phc, current_verified);
}

static void user_read(struct sp_op *base, sp_status status) {
    struct password_op *op = (struct password_op *)(void *)base;
    if (sp_is(status, SP_E_NOT_FOUND)) {
        sp_op_finish(base, SP_OUTCOME_INVALID_TOKEN); /* deleted since the token was checked */
        return;
    }
    if (!sp_ok(status)) {
        sp_op_fail(base, status);
        return;
    }
    op->user = base->read.ret.users[0];
    op->old_phc = op->user.password;
    if (op->user.disabled) {
        sp_op_finish(base, SP_OUTCOME_INVALID_TOKEN);
        return;
    }
    enum sp_outcome o =
        sp_op_judge_password(base, sp_buf_slice(&base->secret[1]), SP_TEXT_SLICE(&op->user.name));
    if (o != SP_OUTCOME_OK) {
        sp_op_finish(base, o);
    } else {
        verify_current(op);
    }
}

static enum sp_outcome take(struct sp_op *base, const struct sp_password_request *in) {
    const enum sp_outcome own = sp_op_judge_own_session(base);
    if (own != SP_OUTCOME_OK) return own;
    sp_status wanted = sp_password_prepare(in->wanted, &base->secret[1]);
    sp_status current = sp_password_prepare(in->current, &base->secret[0]);
    if (sp_is(wanted, SP_E_NOMEM) || sp_is(current, SP_E_NOMEM)) return SP_OUTCOME_INTERNAL;
    if (!sp_ok(wanted)) return sp_op_judge_password(base, in->wanted, SP_SLICE_EMPTY);
    return sp_ok(current) ? SP_OUTCOME_OK : SP_OUTCOME_INVALID_CREDENTIALS;
}

void sp_app_password_change(struct sp_app *app, const struct sp_call *call,
                            const struct sp_password_request *in, sp_plain_done *done, void *arg) {
    struct password_op *op = sp_op_new(app, call, &password_kind, (sp_any_done *)done, arg);
    if (op == NULL) return;
    enum sp_outcome taken = take(&op->plain.base, in);
    if (taken == SP_OUTCOME_INVALID_CREDENTIALS) {
        refuse(op);
    } else if (taken != SP_OUTCOME_OK) {
        sp_op_finish(&op->plain.base, taken);
    } else {
        read_user(op, user_read);
    }
}
