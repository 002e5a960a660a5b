/* The sign-in of a browser: is the cookie that was shown one of ours, and does its session live? */
#include "core/oauth_browser.h"

#include "base/base64url.h"
#include "base/ct.h"

static struct sp_browser_op *browser_of(struct sp_op *op) {
    return (struct sp_browser_op *)(void *)op;
}

void sp_browser_op_say(struct sp_op *op, sp_any_done *done, void *arg, enum sp_outcome outcome) {
    sp_browser_say(op == NULL ? NULL : &browser_of(op)->b, done, arg, outcome);
}

void sp_browser_op_release(struct sp_op *op) {
    sp_browser_done(&browser_of(op)->b);
}

/* ---- the page's CSRF token ---- */

void sp_browser_csrf_token(struct sp_app *app, const uint8_t *sid, sp_slice sealed,
                           char ret[SP_CSRF_TEXT_BYTES]) {
    const sp_slice parts[] = {SP_SLICE_LIT("sallyport page csrf v1"), sp_slice_of(sid, SP_ROW_SID_BYTES),
                              sealed};
    uint8_t mac[SP_SHA256_BYTES];
    sp_hmac_parts(sp_keys_csrf(app->keys), parts, SP_ARRAY_LEN(parts), mac);
    sp_base64url_encode(SP_SLICE_ARRAY(mac), ret);
}

bool sp_browser_csrf_valid(struct sp_app *app, const uint8_t *sid, sp_slice sealed, sp_slice presented) {
    char expected[SP_CSRF_TEXT_BYTES];
    sp_browser_csrf_token(app, sid, sealed, expected);
    return sp_ct_equal(SP_SLICE_ARRAY(expected), presented);
}

/* ---- the cookie ---- */

sp_status sp_browser_open_cookie(struct sp_browser *b, sp_slice cookie) {
    if (cookie.n == 0) return SP_SUCCESS;
    sp_status s = sp_unseal_sso(b->op->app, cookie, &b->cookie);
    b->has_cookie = sp_ok(s);
    b->expires_cookie = sp_is(s, SP_E_MALFORMED);
    return sp_is(s, SP_E_MALFORMED) ? SP_SUCCESS : s;
}

/* A sid stands in tokens and lists; the secret never left the row and the cookie. */
bool sp_signin_is_good(const struct sp_app *app, const struct sp_session_row *row,
                       const struct sp_sso_cookie *cookie, int64_t now_ms,
                       const struct sp_session_policy *policy) {
    if (!sp_ct_equal(SP_SLICE_ARRAY(row->secret), SP_SLICE_ARRAY(cookie->secret))) return false;
    if (row->mode != SP_MODE_COOKIE || sp_session_has_parent(row)) return false;
    if (!sp_slice_eq(SP_TEXT_SLICE(&row->client_id), SP_TEXT_SLICE(&app->config.client_id))) return false;
    return sp_session_over(row, now_ms, policy) == SP_END_NONE;
}

/* A sign-in is rotated by a login of its person and by nothing else (oauth_signin.c). What the row says of
 * its birth stays as it was. */
static int64_t auth_time_s(const struct sp_session_row *row) {
    return row->rotated_ms[0] != 0 ? row->rotated_ms[0] / 1000 : row->auth_time_s;
}

/* ---- being used keeps it from expiring ---- */

struct touch_op {
    struct sp_op base;
    struct sp_session_row row, after;
    struct sp_user_row user;
};

static void touched(struct sp_op *op, sp_status status) {
    (void)status; /* best effort: the next use tries again; over, and there is nothing to keep */
    sp_op_finish(op, SP_OUTCOME_OK);
}

static int64_t touch_after_ms(const struct sp_app *app) {
    const int64_t quarter_ms = app->config.idle_ttl_s * 1000 / 4;
    return quarter_ms < SP_SIGNIN_TOUCH_MS ? quarter_ms : SP_SIGNIN_TOUCH_MS;
}

static void touch(const struct sp_op *like, const struct sp_session_row *row) {
    static const struct sp_op_kind kind = {.size = sizeof(struct touch_op), .say = sp_background_say};
    struct sp_app *app = like->app;
    if (like->now_ms - row->last_seen_ms < touch_after_ms(app)) return;
    struct touch_op *op = sp_op_background(app, like, &kind);
    if (op == NULL) return;
    op->row = *row;
    sp_op_change(&op->base, SP_CHANGE_SESSION_REISSUE)->reissue = (struct sp_session_reissue){
        .tenant = SP_TENANT_DEFAULT,
        .sid = op->row.sid,
        .generation = op->row.generation,
        .secret = op->row.secret,
        .client_id = SP_TEXT_SLICE(&op->row.client_id),
        .jkt = SP_TEXT_SLICE(&op->row.jkt),
        .now_ms = op->base.now_ms,
        .idle_expires_ms = op->base.now_ms + app->config.idle_ttl_s * 1000,
        .access_exp_s = op->row.access_exp_max_s,
        .ret_session = &op->after,
        .ret_user = &op->user,
    };
    sp_op_commit(&op->base, touched);
}

/* ---- looking it up ---- */

static void not_signed_in(struct sp_browser_op *op) {
    op->b.expires_cookie = true;
    op->then(op);
}

/* NOT_FOUND is no trouble of ours: true, and the way goes on without a sign-in. */
static bool failed(struct sp_browser_op *op, sp_status status) {
    if (sp_ok(status)) return false;
    if (sp_is(status, SP_E_NOT_FOUND)) {
        not_signed_in(op);
    } else {
        sp_op_fail(&op->base, status);
    }
    return true;
}

static void user_read(struct sp_op *base, sp_status status) {
    struct sp_browser_op *op = browser_of(base);
    struct sp_browser *b = &op->b;
    if (failed(op, status)) return;
    b->user = base->read.ret.users[0];
    if (b->user.disabled) {
        not_signed_in(op);
        return;
    }
    sp_wipe(&b->user.password, sizeof(b->user.password));
    b->signin.is_on = true;
    b->signin.auth_time_s = auth_time_s(&b->session);
    memcpy(b->signin.sid, b->session.sid, sizeof(b->signin.sid));
    memcpy(b->signin.user_id, b->user.id, sizeof(b->signin.user_id));
    sp_op_actor_user(base, b->user.id);
    touch(base, &b->session);
    op->then(op);
}

static void session_read(struct sp_op *base, sp_status status) {
    struct sp_browser_op *op = browser_of(base);
    struct sp_browser *b = &op->b;
    if (failed(op, status)) return;
    b->session = base->read.ret.sessions[0];
    if (!sp_signin_is_good(base->app, &b->session, &b->cookie, base->now_ms, &op->policy)) {
        not_signed_in(op);
        return;
    }
    struct sp_store_read *r = sp_op_read_begin(base, SP_READ_USER_BY_ID);
    r->key = SP_SLICE_ARRAY(b->session.user_id);
    sp_op_read(base, user_read);
}

static void meta_read(struct sp_op *base, sp_status status) {
    struct sp_browser_op *op = browser_of(base);
    if (!sp_ok(status)) {
        sp_op_fail(base, status);
        return;
    }
    op->policy = sp_app_policy(base->app, &base->read.ret.meta);
    struct sp_store_read *r = sp_op_read_begin(base, SP_READ_SESSION);
    r->key = SP_SLICE_ARRAY(op->b.cookie.sid);
    sp_op_read(base, session_read);
}

void sp_browser_find_signin(struct sp_browser_op *op, sp_browser_step *then) {
    op->then = then;
    if (!op->b.has_cookie) {
        then(op);
        return;
    }
    sp_op_read_begin(&op->base, SP_READ_META);
    sp_op_read(&op->base, meta_read);
}
