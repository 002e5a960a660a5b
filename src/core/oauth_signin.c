/* POST of the login page: the password path of app_login.h, and at its end not tokens but a sign-in's cookie,
 * and the way back to /oauth2/authorize, where the request is looked at anew.
 *
 * The session that is made is an ordinary one, which its person finds in the list of sessions; its refresh
 * token is thrown away, and its first secret goes into the cookie.
 *
 * When another sign-in was there before: another person's is ended (whoever shares a computer must not be
 * left signed in by the next one's login), with what clients had by it. The same person's stays as it is,
 * although no browser has its cookie any more: ending it would end those sessions with it, and logging in
 * again for one client must not log out of the others. It expires by itself, and can be ended from the list.
 */
#include "core/app_login.h"

#include "base/ct.h"
#include "core/oauth_browser.h"

struct signin_op {
    struct sp_login_op login;
    struct sp_browser b;
};

static struct signin_op *signin_of(struct sp_op *op) {
    return (struct signin_op *)(void *)op;
}

/* What the person can do something about, or can only try again: the page says so. */
static bool is_for_the_page(enum sp_outcome outcome) {
    return outcome == SP_OUTCOME_INVALID_CREDENTIALS || outcome == SP_OUTCOME_TOO_MANY_ATTEMPTS ||
           outcome == SP_OUTCOME_OVERLOADED || outcome == SP_OUTCOME_STORE_UNAVAILABLE ||
           outcome == SP_OUTCOME_OUTCOME_UNKNOWN;
}

static void signin_say(struct sp_op *base, sp_any_done *done, void *arg, enum sp_outcome outcome) {
    if (base == NULL) {
        sp_browser_say(NULL, done, arg, outcome);
        return;
    }
    struct signin_op *op = signin_of(base);
    sp_login_settle(&op->login, outcome);
    if (op->b.may_redirect && is_for_the_page(outcome) && sp_ok(sp_browser_build_login(&op->b))) {
        op->b.failed = outcome;
        op->b.trouble.retry_after_s = sp_oauth_trouble_told(base, outcome).retry_after_s;
        outcome = SP_OUTCOME_OK;
    }
    sp_browser_say(&op->b, done, arg, outcome);
}

static void signin_release(struct sp_op *base) {
    sp_browser_done(&signin_of(base)->b);
    sp_tokens_release(base);
}
static const struct sp_op_kind signin_kind = {
    .size = sizeof(struct signin_op), .say = signin_say, .release = signin_release};

/* ---- the answer ---- */

static sp_status build_answer(struct signin_op *op) {
    struct sp_browser *b = &op->b;
    const struct sp_session_row *row = &op->login.row;
    struct sp_sso_cookie cookie;
    memcpy(cookie.sid, row->sid, sizeof(cookie.sid));
    memcpy(cookie.secret, row->secret, sizeof(cookie.secret));
    sp_status s = sp_seal_sso(b->op->app, &cookie, &b->new_cookie);
    sp_wipe(&cookie, sizeof(cookie));
    SP_TRY(s);
    memcpy(b->request.signed_in, row->sid, sizeof(b->request.signed_in));
    SP_TRY(sp_browser_build_self(b));
    b->sets_cookie = true;
    b->device_token = SP_SLICE_ARRAY(op->login.t.device_text);
    return SP_SUCCESS;
}

static void answer(struct signin_op *op) {
    struct sp_op *base = op->b.op;
    sp_op_finish(base, sp_ok(build_answer(op)) ? SP_OUTCOME_OK : SP_OUTCOME_INTERNAL);
}

/* ---- the sign-in that was there before ---- */

/* Best effort: this login is durable and must be answered; what was not ended is in the list of sessions. */
static void old_ended(struct sp_op *base, sp_status status) {
    if (!sp_ok(status) && !sp_is(status, SP_E_CONFLICT)) {
        SP_LOG(&base->app->deps.log, SP_LOG_WARN, "old_sign_in_not_ended",
               SP_LOGF_TEXT("reason", sp_slice_cstr(sp_code_name(status.code))));
    }
    answer(signin_of(base));
}

static sp_status add_old_end(struct signin_op *op, const struct sp_session_row *old) {
    struct sp_op *base = op->b.op;
    sp_text64 target;
    op->b.session = *old;
    sp_op_reset(base);
    sp_op_change(base, SP_CHANGE_SESSION_END)->session_end =
        (struct sp_session_end){.tenant = SP_TENANT_DEFAULT,
                                .sid = op->b.session.sid,
                                .user_id = op->b.session.user_id,
                                .expect_generation = SP_GENERATION_ANY,
                                .state = SP_SESSION_ENDED,
                                .cause = SP_END_LOGOUT,
                                .now_ms = base->now_ms};
    sp_audit_actor_user(old->user_id, &target);
    return sp_op_audit(base, &(struct sp_audit_event){.action = SP_AUDIT_SESSION_ENDED,
                                                      .outcome = SP_AUDIT_OK,
                                                      .target = SP_TEXT_SLICE(&target),
                                                      .sid = op->b.session.sid});
}

static bool is_anothers(const struct signin_op *op, const struct sp_session_row *old) {
    return old->state == SP_SESSION_ACTIVE &&
           sp_ct_equal(SP_SLICE_ARRAY(old->secret), SP_SLICE_ARRAY(op->b.cookie.secret)) &&
           memcmp(old->user_id, op->login.row.user_id, sizeof(old->user_id)) != 0;
}

static void old_read(struct sp_op *base, sp_status status) {
    struct signin_op *op = signin_of(base);
    if (!sp_ok(status)) {
        old_ended(base, sp_is(status, SP_E_NOT_FOUND) ? SP_SUCCESS : status);
        return;
    }
    const struct sp_session_row *old = &base->read.ret.sessions[0];
    if (!is_anothers(op, old)) {
        answer(op);
        return;
    }
    sp_status built = add_old_end(op, old);
    if (sp_ok(built)) {
        sp_op_commit(base, old_ended);
    } else {
        old_ended(base, built);
    }
}

static void begun(struct sp_login_op *login) {
    struct signin_op *op = signin_of(&login->t.base);
    if (!op->b.has_cookie) {
        answer(op);
        return;
    }
    struct sp_store_read *r = sp_op_read_begin(op->b.op, SP_READ_SESSION);
    r->key = SP_SLICE_ARRAY(op->b.cookie.sid);
    sp_op_read(op->b.op, old_read);
}

/* ---- the way there ---- */

/* No access token is ever made of it, so that its end need not be told to those who check them. */
static sp_status shape(struct sp_login_op *login) {
    login->row.access_exp_max_s = login->t.base.now_ms / 1000;
    return SP_SUCCESS;
}

/* As typed, to be shown again. */
static void keep_name(struct sp_browser *b, sp_slice typed) {
    if (sp_utf8_printable(typed)) SP_IGNORE(SP_TEXT_SET(&b->username, typed)); /* else the hint will do */
}

void sp_oauth_login(struct sp_app *app, const struct sp_call *call, const struct sp_authz_login *in,
                    sp_authz_done *done, void *arg) {
    struct signin_op *op = sp_op_new(app, call, &signin_kind, (sp_any_done *)done, arg);
    if (op == NULL) return;
    struct sp_op *base = &op->login.t.base;
    sp_browser_init(&op->b, base);
    sp_tokens_init(&op->login.t);
    if (!sp_browser_open(&op->b, SP_SEAL_PAGE, in->request)) return;
    sp_status s = sp_browser_open_cookie(&op->b, in->cookie);
    if (!sp_ok(s)) {
        sp_op_fail(base, s);
        return;
    }
    keep_name(&op->b, in->username);
    op->login.shape = shape;
    op->login.begun = begun;
    const struct sp_login_request login = {.username = in->username,
                                           .password = in->password,
                                           .device = SP_SLICE_LIT("browser sign-in"),
                                           .mode = SP_MODE_COOKIE,
                                           .device_token = in->device_token};
    sp_login_begin(&op->login, &login);
}
