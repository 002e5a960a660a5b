/* Registration: somebody makes an account and is logged in, in one commit.
 *
 * That a name is taken is told (409), because whoever registers has to choose another: who may see this route
 * can find out which names exist, one by one, and each try costs an attempt of its address that is never
 * given back. So does success: accounts are what is being limited. Hashing comes before the name is looked
 * at, so that the time of the answer tells no more than its status does. */
#include "core/app_internal.h"

#include "core/oauth_internal.h"
#include "token/ids.h"

struct register_op {
    struct sp_tokens_op t;
    struct sp_charge charge;
    enum sp_session_mode mode;
    sp_text128 device;
    struct sp_user_row user; /* as it will be written */
    struct sp_session_row row;
    struct sp_change *expect;
};

static bool was_an_account_or_a_try(enum sp_outcome outcome) {
    return outcome == SP_OUTCOME_OK || outcome == SP_OUTCOME_ALREADY_EXISTS ||
           outcome == SP_OUTCOME_OUTCOME_UNKNOWN;
}

static void register_say(struct sp_op *base, sp_any_done *done, void *arg, enum sp_outcome outcome) {
    struct register_op *op = (struct register_op *)(void *)base;
    if (op != NULL && !was_an_account_or_a_try(outcome)) sp_op_refund(base, &op->charge);
    sp_tokens_say(base, done, arg, outcome);
}

static const struct sp_op_kind register_kind = {
    .size = sizeof(struct register_op), .say = register_say, .release = sp_tokens_release};

/* ---- the commit ---- */

static void name_taken(struct sp_op *base) {
    sp_op_audit_coalesced(
        base, &(struct sp_audit_event){.action = SP_AUDIT_REGISTRATION_FAILED, .outcome = SP_AUDIT_FAILED});
    sp_op_finish(base, SP_OUTCOME_ALREADY_EXISTS);
}

static void committed(struct sp_op *base, sp_status status) {
    struct register_op *op = (struct register_op *)(void *)base;
    if (sp_is(status, SP_E_CONFLICT)) {
        base->actor.n = 0; /* nobody came to be */
        name_taken(base);
        return;
    }
    if (!sp_ok(status)) {
        sp_op_fail(base, status);
        return;
    }
    atomic_fetch_add_explicit(&base->app->counters.registrations, 1, memory_order_relaxed);
    op->t.global_epoch = op->expect->user_expect.ret_global_epoch;
    op->t.session = op->row;
    struct sp_device device;
    op->t.has_device_text = sp_ok(sp_random_fill(&base->app->deps.random, device.id, sizeof(device.id)));
    if (op->t.has_device_text)
        sp_device_token(base->app, &device, op->row.user_id, base->now_ms, op->t.device_text);
    sp_tokens_issue(&op->t);
}

static sp_status add_records(struct register_op *op) {
    struct sp_op *base = &op->t.base;
    sp_op_actor_user(base, op->user.id);
    struct sp_audit_event event = {.action = SP_AUDIT_USER_REGISTERED,
                                   .outcome = SP_AUDIT_OK,
                                   .target = SP_TEXT_SLICE(&base->actor),
                                   .username = SP_TEXT_SLICE(&op->user.display)};
    SP_TRY(sp_op_audit(base, &event));
    event.action = SP_AUDIT_LOGIN;
    event.sid = op->row.sid;
    event.username = SP_TEXT_SLICE(&op->user.name);
    return sp_op_audit(base, &event);
}

static sp_status add_changes(struct register_op *op) {
    struct sp_op *base = &op->t.base;
    const struct sp_session_birth birth = {.mode = op->mode,
                                           .device = SP_TEXT_SLICE(&op->device),
                                           .amr = SP_SLICE_LIT("pwd"), /* RFC 8176 */
                                           .acr = SP_SLICE_LIT(SP_ACR_PASSWORD),
                                           .auth_time_s = base->now_ms / 1000,
                                           .jkt = SP_TEXT_SLICE(&op->t.jkt)};
    SP_TRY(sp_session_row_new(&op->t, &birth, &op->row));
    sp_op_change(base, SP_CHANGE_USER_INSERT)->user_insert.row = &op->user;
    op->expect = sp_op_change(base, SP_CHANGE_USER_EXPECT);
    op->expect->user_expect = (struct sp_user_expect){.tenant = SP_TENANT_DEFAULT,
                                                      .id = op->user.id,
                                                      .expect_version = SP_VERSION_ANY,
                                                      .ret_user = &op->t.user};
    sp_op_change(base, SP_CHANGE_SESSION_INSERT)->session_insert =
        (struct sp_session_insert){.row = &op->row, .live_max = base->app->config.sessions_max};
    return add_records(op);
}

static void hashed(struct sp_op *base, sp_status status) {
    struct register_op *op = (struct register_op *)(void *)base;
    if (!sp_ok(status)) {
        sp_op_fail(base, status);
        return;
    }
    base->now_ms = sp_app_now_ms(base->app);
    op->user.password = base->hash.phc;
    op->user.created_ms = op->user.password_changed_ms = base->now_ms;
    op->t.user = op->user;
    sp_status built = add_changes(op);
    if (sp_ok(built)) {
        sp_op_commit(base, committed);
    } else {
        sp_op_fail(base, built);
    }
}

/* ---- what is accepted ---- */

static enum sp_outcome accept_user(struct register_op *op, const struct sp_register_request *in) {
    struct sp_op *base = &op->t.base;
    sp_id id;
    sp_status name = sp_name_accept(in->username, &op->user.name, &op->user.display);
    if (!sp_ok(name)) return sp_is(name, SP_E_NOMEM) ? SP_OUTCOME_INTERNAL : SP_OUTCOME_INVALID_REQUEST;
    enum sp_outcome o = sp_op_judge_password(base, in->password, SP_TEXT_SLICE(&op->user.name));
    if (o != SP_OUTCOME_OK) return o;
    if (!sp_ok(sp_password_prepare(in->password, &base->secret[0]))) return SP_OUTCOME_INTERNAL;
    if (!sp_ok(sp_id_random(&base->app->deps.random, &id))) return SP_OUTCOME_INTERNAL;
    memcpy(op->user.id, id.b, sizeof(id.b));
    op->user.tenant = SP_TENANT_DEFAULT;
    op->user.roles = base->app->config.registration_roles;
    return SP_OUTCOME_OK;
}

/* Last, because it is remembered. A browser with cookies has no key of its own. */
static enum sp_outcome accept_proof(struct register_op *op, const struct sp_dpop_shown *dpop) {
    struct sp_op *base = &op->t.base;
    if (dpop == NULL || dpop->proof.p == NULL) return SP_OUTCOME_OK;
    if (op->mode == SP_MODE_COOKIE) return SP_OUTCOME_INVALID_REQUEST;
    base->trouble = sp_oauth_dpop_check(base->app, dpop, SP_DPOP_NONCE_AS_CONFIGURED, SP_SLICE_EMPTY,
                                        SP_SLICE_EMPTY, &op->t.jkt);
    return base->trouble.error == SP_OAUTH_NONE ? SP_OUTCOME_OK : SP_OUTCOME_INVALID_PROOF;
}

static enum sp_outcome accept(struct register_op *op, const struct sp_register_request *in) {
    bool mode = in->mode == SP_MODE_TOKEN || in->mode == SP_MODE_COOKIE;
    if (!mode || !sp_utf8_printable(in->device) || !sp_ok(SP_TEXT_SET(&op->device, in->device)))
        return SP_OUTCOME_INVALID_REQUEST;
    op->mode = in->mode;
    const enum sp_outcome o = accept_user(op, in);
    return o == SP_OUTCOME_OK ? accept_proof(op, in->dpop) : o;
}

void sp_app_register(struct sp_app *app, const struct sp_call *call, const struct sp_register_request *in,
                     sp_tokens_done *done, void *arg) {
    struct register_op *op = sp_op_new(app, call, &register_kind, (sp_any_done *)done, arg);
    if (op == NULL) return;
    sp_tokens_init(&op->t);
    struct sp_op *base = &op->t.base;
    int64_t wait_ms = sp_op_charge_address(base, &op->charge, SP_THROTTLE_REGISTER);
    if (wait_ms != 0) {
        sp_op_throttled(base, &op->charge, wait_ms,
                        (struct sp_audit_event){.action = SP_AUDIT_REGISTRATION_THROTTLED});
        return;
    }
    enum sp_outcome o = accept(op, in);
    if (o == SP_OUTCOME_OK) {
        sp_op_hash_new(base, sp_buf_slice(&base->secret[0]), hashed);
    } else {
        sp_op_finish(base, o);
    }
}
