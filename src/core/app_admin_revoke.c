/* Revoking a token, a session, a user, everyone. Each is durable and enforced by this server before it is
 * answered: the store's publisher has run by then. */
#include "core/app_admin.h"

struct revoke_op {
    struct sp_admin_op admin;
    sp_id jti;
    sp_sid sid;
    struct sp_change *ends; /* sessions_end, when there is one */
};
static const struct sp_op_kind revoke_kind = {
    .size = sizeof(struct revoke_op), .say = sp_plain_say, .release = sp_admin_release};

static struct revoke_op *revoke_of(struct sp_op *op) {
    return (struct revoke_op *)(void *)op;
}

static void commit_with_record(struct revoke_op *r, const struct sp_audit_event *event, sp_op_step *next) {
    struct sp_op *op = &r->admin.plain.base;
    sp_status s = sp_op_audit(op, event);
    if (sp_ok(s)) {
        sp_op_commit(op, next);
    } else {
        sp_op_fail(op, s);
    }
}

static void finish(struct sp_op *op, sp_status status) {
    if (sp_ok(status)) {
        sp_op_finish(op, SP_OUTCOME_OK);
    } else {
        sp_op_fail(op, status);
    }
}

/* ---- a token ---- */

/* Nobody knows when a token that we only have the name of will expire: until the last one that was issued
 * could. */
static void revoke_jti(struct revoke_op *r, sp_slice text) {
    struct sp_op *op = &r->admin.plain.base;
    const struct sp_audit_event event = {.action = SP_AUDIT_TOKEN_REVOKED, .target = text};
    if (!sp_ok(sp_id_parse(text, &r->jti))) {
        sp_op_finish(op, SP_OUTCOME_INVALID_REQUEST);
        return;
    }
    sp_op_change(op, SP_CHANGE_REVOKE_JTI)->revoke_jti =
        (struct sp_revoke_jti){.tenant = SP_TENANT_DEFAULT,
                               .jti = r->jti.b,
                               .expires_s = sp_app_epoch_expires_s(op->app, op->now_ms)};
    commit_with_record(r, &event, finish);
}

/* ---- a session ---- */

/* It exists, so it had ended before: what was asked for is so. */
static void session_looked_up(struct sp_op *op, sp_status status) {
    if (sp_is(status, SP_E_NOT_FOUND)) {
        sp_op_finish(op, SP_OUTCOME_NOT_FOUND);
    } else {
        finish(op, status);
    }
}

static void session_ended(struct sp_op *op, sp_status status) {
    struct revoke_op *r = revoke_of(op);
    if (sp_is(status, SP_E_CONFLICT)) {
        sp_op_read_begin(op, SP_READ_SESSION)->key = SP_SLICE_ARRAY(r->sid.b);
        sp_op_read(op, session_looked_up);
        return;
    }
    r->admin.plain.count = 1;
    finish(op, status);
}

static void revoke_session(struct revoke_op *r, sp_slice text) {
    struct sp_op *op = &r->admin.plain.base;
    const struct sp_audit_event event = {.action = SP_AUDIT_SESSION_ENDED, .target = text, .sid = r->sid.b};
    if (!sp_ok(sp_sid_parse(text, &r->sid))) {
        sp_op_finish(op, SP_OUTCOME_INVALID_REQUEST);
        return;
    }
    sp_op_change(op, SP_CHANGE_SESSION_END)->session_end = (struct sp_session_end){
        .tenant = SP_TENANT_DEFAULT,
        .sid = r->sid.b,
        .expect_generation = SP_GENERATION_ANY,
        .state = SP_SESSION_ENDED,
        .cause = SP_END_ADMIN,
        .now_ms = op->now_ms,
    };
    commit_with_record(r, &event, session_ended);
}

/* ---- a user ---- */

static void user_revoked(struct sp_op *op, sp_status status) {
    struct revoke_op *r = revoke_of(op);
    if (sp_is(status, SP_E_CONFLICT)) {
        sp_op_finish(op, SP_OUTCOME_NOT_FOUND); /* deleted since it was found */
        return;
    }
    if (sp_ok(status)) r->admin.plain.count = r->ends->sessions_end.ret_ended;
    finish(op, status);
}

static void user_found(struct sp_op *op, sp_status status) {
    (void)status; /* found */
    struct revoke_op *r = revoke_of(op);
    const struct sp_audit_event event = {
        .action = SP_AUDIT_USER_REVOKED,
        .target = SP_TEXT_SLICE(&r->admin.user_text),
        .username = SP_TEXT_SLICE(&r->admin.user.display),
    };
    r->ends = sp_admin_end_sessions(&r->admin, SP_END_ADMIN);
    sp_op_change(op, SP_CHANGE_USER_EPOCH)->user_epoch =
        (struct sp_user_epoch){.tenant = SP_TENANT_DEFAULT,
                               .id = r->admin.user.id,
                               .expires_s = sp_app_epoch_expires_s(op->app, op->now_ms)};
    commit_with_record(r, &event, user_revoked);
}

/* ---- everyone ---- */

static void revoke_everyone(struct revoke_op *r) {
    struct sp_op *op = &r->admin.plain.base;
    const struct sp_audit_event event = {.action = SP_AUDIT_EVERYONE_REVOKED};
    sp_op_change(op, SP_CHANGE_GLOBAL_EPOCH)->global_epoch = (struct sp_global_epoch){
        .now_ms = op->now_ms,
        .expires_s = sp_app_epoch_expires_s(op->app, op->now_ms),
        .end_sessions = true,
        .cause = SP_END_EVERYONE,
    };
    commit_with_record(r, &event, finish);
}

void sp_app_revoke(struct sp_app *app, const struct sp_call *call, enum sp_revoke_target target,
                   sp_slice value, sp_plain_done *done, void *arg) {
    struct revoke_op *r = sp_admin_op_new(app, call, &revoke_kind, (sp_any_done *)done, arg);
    if (r == NULL) return;
    switch (target) {
    case SP_TARGET_JTI: revoke_jti(r, value); return;
    case SP_TARGET_SESSION: revoke_session(r, value); return;
    case SP_TARGET_USER: sp_admin_find(&r->admin, value, user_found); return;
    case SP_TARGET_EVERYONE: revoke_everyone(r); return;
    }
    sp_op_finish(&r->admin.plain.base, SP_OUTCOME_INVALID_REQUEST);
}
