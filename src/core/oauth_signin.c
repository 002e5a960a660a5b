/* POST of the login page: the password path of app_login.h, and at its end not tokens but a sign-in's cookie,
 * and the way back to /oauth2/authorize, where the request is looked at anew.
 *
 * The session that is made is an ordinary one, which its person finds in the list of sessions; its refresh
 * token is thrown away, and its secret goes into the cookie. What was there before, by the browser's cookie:
 *
 * - The same person's sign-in goes on, with another secret and the time of this login. So what clients have
 *   by it stays with it, and ends with it; and a stolen copy of the cookie is worth nothing any more, least
 *   of all a login that is fresh.
 * - Another person's ends, with what clients had by it: whoever shares a computer must not be left signed in
 *   by the next one's login.
 * - Of none that lives, a session is made.
 *
 * All of it is in the login's own change set. */
#include "core/app_login.h"

#include "base/ct.h"
#include "core/oauth_browser.h"

struct signin_op {
    struct sp_login_op login;
    struct sp_browser b;
    struct sp_session_row old; /* of the cookie; the secret in it was compared */
    bool has_old;
    uint8_t secret[SP_ROW_SECRET_BYTES]; /* the next one of a sign-in that goes on */
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

static void old_read(struct sp_op *base, sp_status status) {
    struct signin_op *op = signin_of(base);
    if (!sp_ok(status) && !sp_is(status, SP_E_NOT_FOUND)) {
        sp_op_fail(base, status);
        return;
    }
    if (sp_ok(status)) op->old = base->read.ret.sessions[0];
    op->has_old = sp_ok(status) && op->old.state == SP_SESSION_ACTIVE &&
                  sp_ct_equal(SP_SLICE_ARRAY(op->old.secret), SP_SLICE_ARRAY(op->b.cookie.secret));
    sp_login_commit(&op->login);
}

static void verified(struct sp_login_op *login) {
    struct signin_op *op = signin_of(&login->t.base);
    if (!op->b.has_cookie) {
        sp_login_commit(login);
        return;
    }
    struct sp_store_read *r = sp_op_read_begin(op->b.op, SP_READ_SESSION);
    r->key = SP_SLICE_ARRAY(op->b.cookie.sid);
    sp_op_read(op->b.op, old_read);
}

/* Once more after a conflict: it is not asked what was in the way (the end of a life that only the store
 * knows), a session is made instead. */
static bool goes_on(const struct signin_op *op) {
    const struct sp_session_row *old = &op->old;
    const int64_t now_ms = op->b.op->now_ms;
    return op->has_old && op->b.op->tries == 0 && old->idle_expires_ms > now_ms &&
           old->absolute_expires_ms > now_ms &&
           memcmp(old->user_id, op->login.row.user_id, sizeof(old->user_id)) == 0;
}

static sp_status add_renewal(struct signin_op *op) {
    struct sp_op *base = op->b.op;
    const struct sp_session_row *old = &op->old;
    SP_TRY(sp_random_fill(&base->app->deps.random, op->secret, sizeof(op->secret)));
    op->login.row = *old;
    memcpy(op->login.row.secret, op->secret, sizeof(op->secret));
    sp_op_change(base, SP_CHANGE_SESSION_ROTATE)->rotate = (struct sp_session_rotate){
        .tenant = SP_TENANT_DEFAULT,
        .sid = old->sid,
        .generation = old->generation,
        .secret = old->secret,
        .refresh_key = old->refresh_key,
        .client_id = SP_TEXT_SLICE(&old->client_id),
        .jkt = SP_TEXT_SLICE(&old->jkt),
        .mode = SP_MODE_COOKIE,
        .now_ms = base->now_ms,
        .next_generation = old->generation + 1,
        .next_secret = op->secret,
        .idle_expires_ms = base->now_ms + base->app->config.idle_ttl_s * 1000,
        .access_exp_s = old->access_exp_max_s,
    };
    return SP_SUCCESS;
}

static sp_status add_end(struct signin_op *op) {
    struct sp_op *base = op->b.op;
    sp_text64 target;
    sp_op_change(base, SP_CHANGE_SESSION_END)->session_end =
        (struct sp_session_end){.tenant = SP_TENANT_DEFAULT,
                                .sid = op->old.sid,
                                .user_id = op->old.user_id,
                                .expect_generation = SP_GENERATION_ANY,
                                .state = SP_SESSION_ENDED,
                                .cause = SP_END_LOGOUT,
                                .now_ms = base->now_ms};
    sp_audit_actor_user(op->old.user_id, &target);
    return sp_op_audit(base, &(struct sp_audit_event){.action = SP_AUDIT_SESSION_ENDED,
                                                      .outcome = SP_AUDIT_OK,
                                                      .target = SP_TEXT_SLICE(&target),
                                                      .sid = op->old.sid});
}

/* No access token is ever made of it, so that its end need not be told to those who check them. */
static sp_status add_session(struct sp_login_op *login) {
    struct signin_op *op = signin_of(&login->t.base);
    if (goes_on(op)) return add_renewal(op);
    const bool is_anothers =
        op->has_old && memcmp(op->old.user_id, login->row.user_id, sizeof(op->old.user_id)) != 0;
    if (is_anothers) SP_TRY(add_end(op));
    login->row.access_exp_max_s = login->t.base.now_ms / 1000;
    return sp_login_insert(login);
}

/* ---- the way there ---- */

static void begun(struct sp_login_op *login) {
    answer(signin_of(&login->t.base));
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
    op->login.verified = verified;
    op->login.add_session = add_session;
    op->login.begun = begun;
    const struct sp_login_request login = {.username = in->username,
                                           .password = in->password,
                                           .device = SP_SLICE_LIT("browser sign-in"),
                                           .mode = SP_MODE_COOKIE,
                                           .device_token = in->device_token};
    sp_login_begin(&op->login, &login);
}
