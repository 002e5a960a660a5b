/* Login: name -> user -> password -> one commit that expects the user as it was checked and inserts the
 * session with its record.
 *
 * An unknown user, a disabled one, one without a password and a wrong password cost one hash each and get one
 * answer; and the record of the failure is written on the side, so that whether it was coalesced does not
 * show in the time of the answer either.
 *
 * Before the hash, which is what guessing costs us, stand two buckets: the address's, and the one of the user
 * name, or of the user on a known device. The second is chosen once the user has been read, and for a name
 * that nobody has it is the name's, as for any stranger. What was no failure is given back. */
#include "core/app_login.h"

#include "core/oauth_internal.h"
#include "token/ids.h"

static void login_read(struct sp_login_op *op);

/* Overload and a failing store are not the account's fault, but they cost us work for that address. */
void sp_login_settle(struct sp_login_op *op, enum sp_outcome outcome) {
    if (outcome != SP_OUTCOME_INVALID_CREDENTIALS) sp_op_refund(&op->t.base, &op->account);
    if (outcome == SP_OUTCOME_OK) sp_op_refund(&op->t.base, &op->address);
}

static void login_say(struct sp_op *base, sp_any_done *done, void *arg, enum sp_outcome outcome) {
    if (base != NULL) sp_login_settle((struct sp_login_op *)(void *)base, outcome);
    sp_tokens_say(base, done, arg, outcome);
}

static const struct sp_op_kind login_kind = {
    .size = sizeof(struct sp_login_op), .say = login_say, .release = sp_tokens_release};

static void id_text_of(const uint8_t *id, char ret[SP_ID_CHARS]) {
    sp_id user;
    memcpy(user.b, id, sizeof(user.b));
    sp_id_text(user, ret);
}

/* The name stands in the record only when it is a user's: people type passwords into the name's field. */
static void name_user(const struct sp_login_op *op, char target[SP_ID_CHARS], struct sp_audit_event *event) {
    if (!op->is_known) return;
    id_text_of(op->t.user.id, target);
    event->target = sp_slice_of(target, SP_ID_CHARS);
    event->username = SP_TEXT_SLICE(&op->name);
}

static void login_throttled(struct sp_login_op *op, const struct sp_charge *charge, int64_t wait_ms) {
    char target[SP_ID_CHARS];
    struct sp_audit_event event = {.action = SP_AUDIT_LOGIN_THROTTLED};
    name_user(op, target, &event);
    sp_op_throttled(&op->t.base, charge, wait_ms, event);
}

static void login_refuse(struct sp_login_op *op) {
    struct sp_op *base = &op->t.base;
    char target[SP_ID_CHARS];
    struct sp_audit_event event = {.action = SP_AUDIT_LOGIN_FAILED, .outcome = SP_AUDIT_FAILED};
    name_user(op, target, &event);
    atomic_fetch_add_explicit(&base->app->counters.login_failures, 1, memory_order_relaxed);
    sp_op_audit_coalesced(base, &event);
    sp_op_finish(base, SP_OUTCOME_INVALID_CREDENTIALS);
}

/* ---- a password that was hashed with older parameters ---- */

struct rehash_op {
    struct sp_op base;
    struct sp_user_row user;
};
static void rehash_saved(struct sp_op *op, sp_status status) {
    (void)status; /* best effort: the next login tries again */
    sp_op_finish(op, SP_OUTCOME_OK);
}

static void rehash_made(struct sp_op *base, sp_status status) {
    struct rehash_op *op = (struct rehash_op *)(void *)base;
    if (!sp_ok(status)) {
        sp_op_finish(base, SP_OUTCOME_OK);
        return;
    }
    op->user.password = base->hash.phc;
    sp_op_change(base, SP_CHANGE_USER_UPDATE)->user_update =
        (struct sp_user_update){.row = &op->user, .expect_version = op->user.version};
    sp_op_commit(base, rehash_saved);
}

static void rehash_aside(struct sp_login_op *login) {
    static const struct sp_op_kind kind = {.size = sizeof(struct rehash_op), .say = sp_background_say};
    struct rehash_op *op = sp_op_background(login->t.base.app, &login->t.base, &kind);
    if (op == NULL) return;
    op->user = login->t.user;
    if (!sp_ok(sp_buf_append(&op->base.secret[0], sp_buf_slice(&login->t.base.secret[0])))) {
        sp_op_finish(&op->base, SP_OUTCOME_INTERNAL);
        return;
    }
    sp_op_hash(&op->base, sp_buf_slice(&op->base.secret[0]), NULL, rehash_made);
}

/* ---- the commit ---- */

static void login_committed(struct sp_op *base, sp_status status) {
    struct sp_login_op *op = (struct sp_login_op *)(void *)base;
    if (sp_is(status, SP_E_CONFLICT) && ++base->tries < SP_OP_RETRIES_MAX) {
        login_read(op); /* the user changed while the password was checked: check against what is there now */
        return;
    }
    if (!sp_ok(status)) {
        sp_op_finish(base,
                     sp_is(status, SP_E_CONFLICT) ? SP_OUTCOME_STORE_UNAVAILABLE : sp_outcome_of(status));
        return;
    }
    atomic_fetch_add_explicit(&base->app->counters.logins, 1, memory_order_relaxed);
    sp_session_begun(&op->t, &op->row, op->expect, op->insert);
    if (base->hash.needs_rehash) rehash_aside(op);
    sp_device_token(base->app, &op->seen_on, op->row.user_id, base->now_ms, op->t.device_text);
    op->t.has_device_text = true;
    op->begun(op);
}

sp_status sp_login_insert(struct sp_login_op *op) {
    struct sp_op *base = &op->t.base;
    op->insert = sp_op_change(base, SP_CHANGE_SESSION_INSERT);
    op->insert->session_insert =
        (struct sp_session_insert){.row = &op->row, .live_max = base->app->config.sessions_max};
    return SP_SUCCESS;
}

static sp_status login_changes(struct sp_login_op *op) {
    struct sp_op *base = &op->t.base;
    char target[SP_ID_CHARS];
    const struct sp_session_birth birth = {.mode = op->mode,
                                           .device = SP_TEXT_SLICE(&op->device),
                                           .amr = SP_SLICE_LIT("pwd"), /* RFC 8176 */
                                           .acr = SP_SLICE_LIT(SP_ACR_PASSWORD),
                                           .auth_time_s = base->now_ms / 1000,
                                           .jkt = SP_TEXT_SLICE(&op->proof.jkt)};
    op->t.jkt = op->proof.jkt;
    SP_TRY(sp_session_row_new(&op->t, &birth, &op->row));
    sp_op_reset(base);
    op->expect = sp_op_change(base, SP_CHANGE_USER_EXPECT);
    op->expect->user_expect = (struct sp_user_expect){.tenant = SP_TENANT_DEFAULT,
                                                      .id = op->row.user_id,
                                                      .expect_version = SP_VERSION_ANY,
                                                      .expect_password = &base->hash.phc,
                                                      .ret_user = &op->t.user};
    sp_op_actor_user(base, op->row.user_id);
    op->insert = NULL;
    SP_TRY(op->add_session != NULL ? op->add_session(op) : sp_login_insert(op));
    id_text_of(op->row.user_id, target);
    return sp_op_audit(base, &(struct sp_audit_event){.action = SP_AUDIT_LOGIN,
                                                      .outcome = SP_AUDIT_OK,
                                                      .target = SP_SLICE_ARRAY(target),
                                                      .sid = op->row.sid,
                                                      .username = SP_TEXT_SLICE(&op->name)});
}

/* ---- the way there ---- */

void sp_login_commit(struct sp_login_op *op) {
    struct sp_op *base = &op->t.base;
    base->now_ms = sp_app_now_ms(base->app); /* hashing and its queue took their time */
    sp_status built = login_changes(op);
    if (sp_ok(built)) {
        sp_op_commit(base, login_committed);
    } else {
        sp_op_fail(base, built);
    }
}

static void login_verified(struct sp_op *base, sp_status status) {
    struct sp_login_op *op = (struct sp_login_op *)(void *)base;
    if (!sp_ok(status)) {
        sp_op_fail(base, status);
    } else if (!op->is_usable || !base->hash.matches) {
        login_refuse(op);
    } else if (op->verified != NULL) {
        op->verified(op);
    } else {
        sp_login_commit(op);
    }
}

/* Known devices have buckets of their own, so that strangers cannot use up the attempts of whoever has logged
 * in there before. SP_E_UNAVAILABLE: no randomness for a new device. */
static sp_status admit(struct sp_login_op *op, int64_t *ret_wait_ms) {
    struct sp_op *base = &op->t.base;
    const sp_slice token = sp_slice_of(op->device_token, op->device_token_n);
    if (op->is_known && sp_device_known(base->app, token, &op->t.user, base->now_ms, &op->seen_on)) {
        uint8_t name[SP_ROW_ID_BYTES + SP_DEVICE_ID_BYTES];
        memcpy(name, op->t.user.id, SP_ROW_ID_BYTES);
        memcpy(name + SP_ROW_ID_BYTES, op->seen_on.id, SP_DEVICE_ID_BYTES);
        *ret_wait_ms = sp_op_charge(base, &op->account, SP_THROTTLE_DEVICE, SP_SLICE_ARRAY(name));
        return SP_SUCCESS;
    }
    SP_TRY(sp_random_fill(&base->app->deps.random, op->seen_on.id, sizeof(op->seen_on.id)));
    *ret_wait_ms = sp_op_charge(base, &op->account, SP_THROTTLE_ACCOUNT, SP_TEXT_SLICE(&op->name));
    return SP_SUCCESS;
}

/* The proof is used up by the attempt, whatever becomes of that: so it says nothing about the password. */
static void login_check(struct sp_login_op *op) {
    static const sp_text256 nobody = {0};
    struct sp_op *base = &op->t.base;
    base->trouble = sp_oauth_dpop_remember(base->app, &op->proof);
    if (base->trouble.error != SP_OAUTH_NONE) {
        sp_op_finish(base, SP_OUTCOME_INVALID_PROOF);
        return;
    }
    const sp_text256 *phc = op->is_usable ? &op->t.user.password : &nobody;
    sp_op_hash(base, sp_buf_slice(&base->secret[0]), phc, login_verified);
}

static void login_found(struct sp_op *base, sp_status status) {
    struct sp_login_op *op = (struct sp_login_op *)(void *)base;
    if (!sp_ok(status) && !sp_is(status, SP_E_NOT_FOUND)) {
        sp_op_fail(base, status);
        return;
    }
    op->is_known = sp_ok(status);
    if (op->is_known) op->t.user = base->read.ret.users[0];
    op->is_usable = op->is_known && !op->t.user.disabled && op->t.user.password.n != 0;
    if (op->is_admitted) { /* the user changed meanwhile: still the same attempt */
        login_check(op);
        return;
    }
    int64_t wait_ms = 0;
    sp_status admitted = admit(op, &wait_ms);
    op->is_admitted = sp_ok(admitted) && wait_ms == 0;
    if (op->is_admitted) {
        login_check(op);
    } else if (sp_ok(admitted)) {
        login_throttled(op, &op->account, wait_ms);
    } else {
        sp_op_fail(base, admitted);
    }
}

static void login_read(struct sp_login_op *op) {
    struct sp_store_read *r = sp_op_read_begin(&op->t.base, SP_READ_USER_BY_NAME);
    r->key = SP_TEXT_SLICE(&op->name);
    sp_op_read(&op->t.base, login_found);
}

static bool request_is_well_formed(struct sp_login_op *op, const struct sp_login_request *in) {
    bool mode = in->mode == SP_MODE_TOKEN || in->mode == SP_MODE_COOKIE;
    op->mode = in->mode;
    if (in->device_token.n == sizeof(op->device_token)) { /* of any other length it is none of ours */
        memcpy(op->device_token, in->device_token.p, in->device_token.n);
        op->device_token_n = in->device_token.n;
    }
    return mode && sp_utf8_printable(in->device) && sp_ok(SP_TEXT_SET(&op->device, in->device));
}

/* A browser with cookies has no key of its own. */
static enum sp_outcome look_at_proof(struct sp_login_op *op, const struct sp_dpop_shown *dpop) {
    struct sp_op *base = &op->t.base;
    if (dpop == NULL || dpop->proof.p == NULL) return SP_OUTCOME_OK;
    if (op->mode == SP_MODE_COOKIE) return SP_OUTCOME_INVALID_REQUEST;
    base->trouble = sp_oauth_dpop_look(base->app, dpop, SP_DPOP_NONCE_AS_CONFIGURED, SP_SLICE_EMPTY,
                                       SP_SLICE_EMPTY, &op->proof);
    return base->trouble.error == SP_OAUTH_NONE ? SP_OUTCOME_OK : SP_OUTCOME_INVALID_PROOF;
}

void sp_login_begin(struct sp_login_op *op, const struct sp_login_request *in) {
    if (!request_is_well_formed(op, in)) {
        sp_op_finish(&op->t.base, SP_OUTCOME_INVALID_REQUEST);
        return;
    }
    const enum sp_outcome proof = look_at_proof(op, in->dpop);
    if (proof != SP_OUTCOME_OK) {
        sp_op_finish(&op->t.base, proof);
        return;
    }
    int64_t wait_ms = sp_op_charge_address(&op->t.base, &op->address, SP_THROTTLE_ADDRESS);
    if (wait_ms != 0) {
        login_throttled(op, &op->address, wait_ms);
        return;
    }
    sp_status name = sp_name_normalize(in->username, &op->name);
    sp_status password = sp_password_prepare(in->password, &op->t.base.secret[0]);
    if (sp_is(name, SP_E_NOMEM) || sp_is(password, SP_E_NOMEM)) {
        sp_op_finish(&op->t.base, SP_OUTCOME_INTERNAL);
    } else if (!sp_ok(name) || !sp_ok(password)) {
        /* Nobody has such a name or such a password, and whoever sends one knows that: there is nothing to
         * hide by hashing. */
        login_refuse(op);
    } else {
        login_read(op);
    }
}

static void issue_tokens(struct sp_login_op *op) {
    sp_tokens_issue(&op->t);
}

void sp_app_login(struct sp_app *app, const struct sp_call *call, const struct sp_login_request *in,
                  sp_tokens_done *done, void *arg) {
    struct sp_login_op *op = sp_op_new(app, call, &login_kind, (sp_any_done *)done, arg);
    if (op == NULL) return;
    sp_tokens_init(&op->t);
    op->begun = issue_tokens;
    sp_login_begin(op, in);
}
