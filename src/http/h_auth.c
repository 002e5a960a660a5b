/* Login, refresh, logout, change of password, and who am I.
 *
 *   POST /auth/login       {username, password, device?, mode?: "token" | "cookie", device_token?}
 *   POST /auth/register    {username, password, device?, mode?} -> 201 as login; 404 unless it is switched on
 *   POST /auth/refresh     {refresh_token, attempt?}, or the refresh cookie and {attempt?}
 *     -> 200 {access_token, token_type, expires_in, refresh_token, refresh_expires_in, session_id}
 *        cookie mode: two Set-Cookie and {expires_in, refresh_expires_in, session_id, csrf_token}
 *        login and register: a third Set-Cookie that names the device; in token mode `device_token` in the
 * answer to whoever sent a `device_token` (of an earlier login, or ""), so that others see the answer as it
 * always was POST /auth/logout      {refresh_token}, or Bearer, or cookies -> 204 POST /auth/logout-all  ->
 * 200 {sessions_ended} POST /auth/password    {current_password, new_password} -> 204 GET  /auth/me -> 200
 * {sub, session_id, roles, permissions, scope, auth_time, expires_at, csrf_token?}
 *
 * A proof of possession (the header DPoP) at login binds the session to its key; refreshing then needs one.
 *
 * `me` answers from the token and the role table alone, without asking the store: it is what a page calls
 * first on every load. The user name is not in the token, since it may change and is nobody else's business,
 * and so it is not in the answer. */
#include "base/base64url.h"
#include "http/exchange.h"
#include "http/h_sessions.h"
#include "http/handlers.h"

enum { ATTEMPT_BYTES = 16, ATTEMPT_CHARS = 22, MODE_BYTES_MAX = 16 };

static void put_csrf_token(struct sp_exchange *x, const uint8_t *sid) {
    char text[SP_CSRF_TEXT_BYTES];
    sp_app_csrf_token(x->app, sid, text);
    sp_json_out_text(&x->json, "csrf_token", SP_SLICE_ARRAY(text));
}

void sp_tokens_write(struct sp_exchange *x, const struct sp_tokens_result *r) {
    struct sp_json_out *o = &x->json;
    bool in_body = r->mode != SP_MODE_COOKIE;
    if (in_body) sp_json_out_text(o, "access_token", r->access_token);
    if (in_body) sp_json_out_text(o, "token_type", sp_slice_cstr(r->is_dpop ? "DPoP" : "Bearer"));
    sp_json_out_i64(o, "expires_in", r->access_expires_in_s);
    if (in_body) sp_json_out_text(o, "refresh_token", r->refresh_token);
    sp_json_out_i64(o, "refresh_expires_in", r->refresh_expires_in_s);
    sp_json_out_base64url(o, "session_id", SP_SLICE_ARRAY(r->sid));
    if (in_body && x->wants_device_token) sp_json_out_text(o, "device_token", r->device_token);
    if (!in_body) put_csrf_token(x, r->sid);
}

static void answer_tokens(struct sp_exchange *x, const struct sp_tokens_result *r, int status) {
    if (r->outcome == SP_OUTCOME_INVALID_PROOF && r->trouble != NULL) {
        sp_x_refuse_proof(x, r->trouble);
        return;
    }
    if (r->outcome != SP_OUTCOME_OK) {
        if (r->outcome == SP_OUTCOME_INVALID_GRANT && x->ends_cookies) sp_x_expire_cookies(x);
        sp_x_outcome_why(x, r->outcome, &r->why);
        return;
    }
    if (r->mode == SP_MODE_COOKIE) {
        sp_x_set_cookie(x, SP_COOKIE_ACCESS, r->access_token, r->access_expires_in_s);
        sp_x_set_cookie(x, SP_COOKIE_REFRESH, r->refresh_token, r->refresh_expires_in_s);
        if (r->device_token.n != 0)
            sp_x_set_cookie(x, SP_COOKIE_DEVICE, r->device_token, SP_DEVICE_TOKEN_TTL_S);
    }
    sp_json_out_object(&x->json, NULL);
    sp_tokens_write(x, r);
    sp_json_out_object_end(&x->json);
    sp_x_reply(x, status);
}

static void tokens_done(void *arg, const struct sp_tokens_result *r) {
    answer_tokens(arg, r, 200);
}
static void register_done(void *arg, const struct sp_tokens_result *r) {
    answer_tokens(arg, r, 201);
}

static bool mode_of(sp_slice text, enum sp_session_mode *ret) {
    if (text.n == 0 || sp_slice_eq_cstr(text, "token")) {
        *ret = SP_MODE_TOKEN;
    } else if (sp_slice_eq_cstr(text, "cookie")) {
        *ret = SP_MODE_COOKIE;
    } else {
        return false;
    }
    return true;
}

static enum sp_step choose_mode(struct sp_exchange *x, sp_slice text, enum sp_session_mode *ret) {
    if (!mode_of(text, ret)) {
        sp_x_problem_body(x, SP_JSON_IN_BAD_VALUE, "mode");
        return SP_ANSWERED;
    }
    /* Or another site could log its visitor in as somebody else (login CSRF). */
    return *ret == SP_MODE_COOKIE ? sp_x_origin_rule(x) : SP_GO_ON;
}

void sp_h_login(struct sp_exchange *x) {
    struct sp_login_request in = {.mode = SP_MODE_TOKEN};
    sp_slice mode = SP_SLICE_EMPTY;
    struct sp_json_in_field fields[] = {
        {"username", SP_JSON_IN_LABEL, true, SP_NAME_BYTES_MAX, {.text = &in.username}},
        {"password", SP_JSON_IN_TEXT, true, SP_PASSWORD_BYTES_MAX, {.text = &in.password}},
        {"device", SP_JSON_IN_LABEL, false, SP_DEVICE_BYTES_MAX, {.text = &in.device}},
        {"mode", SP_JSON_IN_LABEL, false, MODE_BYTES_MAX, {.text = &mode}},
        {"device_token", SP_JSON_IN_MAYBE, false, SP_DEVICE_TOKEN_CHARS, {.text = &in.device_token}},
    };
    if (sp_x_read_body(x, fields, SP_ARRAY_LEN(fields)) == SP_ANSWERED) return;
    if (choose_mode(x, mode, &in.mode) == SP_ANSWERED) return;
    struct sp_dpop_shown dpop;
    if (sp_x_read_dpop(x, &dpop) == SP_ANSWERED) return;
    if (dpop.proof.p != NULL) in.dpop = &dpop;
    x->wants_device_token = fields[SP_ARRAY_LEN(fields) - 1].present;
    if (in.mode == SP_MODE_COOKIE) {
        sp_x_read_cookies(x);
        /* Of two we believe neither; it only costs the trust. */
        if (x->cookies.seen[SP_COOKIE_DEVICE] == 1) in.device_token = x->cookies.value[SP_COOKIE_DEVICE];
    }
    sp_app_login(x->app, &x->call, &in, tokens_done, x);
}

void sp_h_register(struct sp_exchange *x) {
    struct sp_register_request in = {.mode = SP_MODE_TOKEN};
    sp_slice mode = SP_SLICE_EMPTY, ignored = SP_SLICE_EMPTY;
    struct sp_json_in_field fields[] = {
        {"username", SP_JSON_IN_LABEL, true, SP_NAME_BYTES_MAX, {.text = &in.username}},
        {"password", SP_JSON_IN_TEXT, true, SP_PASSWORD_BYTES_MAX, {.text = &in.password}},
        {"device", SP_JSON_IN_LABEL, false, SP_DEVICE_BYTES_MAX, {.text = &in.device}},
        {"mode", SP_JSON_IN_LABEL, false, MODE_BYTES_MAX, {.text = &mode}},
        /* Nobody has logged in here as someone who does not exist yet: asks for one, that is all. */
        {"device_token", SP_JSON_IN_MAYBE, false, SP_DEVICE_TOKEN_CHARS, {.text = &ignored}},
    };
    if (sp_x_read_body(x, fields, SP_ARRAY_LEN(fields)) == SP_ANSWERED) return;
    if (choose_mode(x, mode, &in.mode) == SP_ANSWERED) return;
    struct sp_dpop_shown dpop;
    if (sp_x_read_dpop(x, &dpop) == SP_ANSWERED) return;
    if (dpop.proof.p != NULL) in.dpop = &dpop;
    x->wants_device_token = fields[SP_ARRAY_LEN(fields) - 1].present;
    sp_app_register(x->app, &x->call, &in, register_done, x);
}

/* Body or cookie, never both. */
static enum sp_step choose_refresh_token(struct sp_exchange *x, struct sp_refresh_request *in) {
    bool by_cookie = x->credential == SP_CREDENTIAL_COOKIE;
    if (by_cookie && in->refresh_token.n != 0) {
        sp_x_problem(x, SP_PROBLEM_AMBIGUOUS_CREDENTIALS);
        return SP_ANSWERED;
    }
    in->mode = by_cookie ? SP_MODE_COOKIE : SP_MODE_TOKEN;
    if (by_cookie) in->refresh_token = x->cookies.value[SP_COOKIE_REFRESH];
    if (in->refresh_token.n == 0) {
        sp_x_problem(x, SP_PROBLEM_NOT_AUTHENTICATED);
        return SP_ANSWERED;
    }
    x->ends_cookies = by_cookie;
    return by_cookie ? sp_x_origin_rule(x) : SP_GO_ON;
}

void sp_h_refresh(struct sp_exchange *x) {
    struct sp_refresh_request in = {.mode = SP_MODE_TOKEN};
    sp_slice attempt = SP_SLICE_EMPTY;
    struct sp_json_in_field fields[] = {
        {"refresh_token", SP_JSON_IN_LABEL, false, SP_HTTP_BODY_BYTES_MAX, {.text = &in.refresh_token}},
        {"attempt", SP_JSON_IN_LABEL, false, ATTEMPT_CHARS, {.text = &attempt}},
    };
    if (sp_x_read_body(x, fields, SP_ARRAY_LEN(fields)) == SP_ANSWERED) return;
    uint8_t raw[ATTEMPT_BYTES];
    if (attempt.n != 0) {
        if (!sp_ok(sp_base64url_decode_exact(attempt, raw, sizeof(raw)))) {
            sp_x_problem_body(x, SP_JSON_IN_BAD_VALUE, "attempt");
            return;
        }
        in.attempt = SP_SLICE_ARRAY(raw);
    }
    if (choose_refresh_token(x, &in) == SP_ANSWERED) return;
    struct sp_dpop_shown dpop;
    if (sp_x_read_dpop(x, &dpop) == SP_ANSWERED) return;
    if (dpop.proof.p != NULL) in.dpop = &dpop;
    sp_app_refresh(x->app, &x->call, &in, tokens_done, x);
}

/* ---- logout ---- */

static void logout_done(void *arg, const struct sp_plain_result *r) {
    struct sp_exchange *x = arg;
    bool useless = r->outcome == SP_OUTCOME_INVALID_GRANT || r->outcome == SP_OUTCOME_INVALID_TOKEN;
    if (useless && x->ends_cookies) sp_x_expire_cookies(x);
    sp_x_done_revoked(x, r);
}

/* The CSRF token is bound to the session that is to end. The refresh cookie names it even after the access
 * cookie has gone, which is when people tend to log out. */
static enum sp_step logout_by_cookie(struct sp_exchange *x, struct sp_logout_request *in) {
    x->ends_cookies = true;
    if (sp_x_origin_rule(x) == SP_ANSWERED) return SP_ANSWERED;
    sp_slice refresh = x->cookies.value[SP_COOKIE_REFRESH];
    if (refresh.n == 0) {
        in->access_token = x->access_token;
        if (sp_x_authenticate(x) == SP_ANSWERED) return SP_ANSWERED;
        return sp_x_csrf_token(x, x->principal.sid);
    }
    in->refresh_token = refresh;
    uint8_t sid[SP_REFRESH_SID_BYTES];
    if (sp_ok(sp_refresh_text_sid(refresh, sid))) return sp_x_csrf_token(x, sid);
    sp_x_expire_cookies(x);
    sp_x_outcome(x, SP_OUTCOME_INVALID_GRANT);
    return SP_ANSWERED;
}

static enum sp_step choose_logout_token(struct sp_exchange *x, struct sp_logout_request *in) {
    bool in_body = in->refresh_token.n != 0;
    if (in_body && x->credential != SP_CREDENTIAL_NONE) {
        sp_x_problem(x, SP_PROBLEM_AMBIGUOUS_CREDENTIALS);
        return SP_ANSWERED;
    }
    if (in_body) return SP_GO_ON;
    if (x->credential == SP_CREDENTIAL_COOKIE) return logout_by_cookie(x, in);
    if (x->credential == SP_CREDENTIAL_BEARER) {
        in->access_token = x->access_token;
        return SP_GO_ON;
    }
    sp_x_problem(x, SP_PROBLEM_NOT_AUTHENTICATED);
    return SP_ANSWERED;
}

void sp_h_logout(struct sp_exchange *x) {
    struct sp_logout_request in = {.refresh_token = SP_SLICE_EMPTY};
    struct sp_json_in_field fields[] = {
        {"refresh_token", SP_JSON_IN_LABEL, false, SP_HTTP_BODY_BYTES_MAX, {.text = &in.refresh_token}},
    };
    if (sp_x_read_body(x, fields, SP_ARRAY_LEN(fields)) == SP_ANSWERED) return;
    if (choose_logout_token(x, &in) == SP_ANSWERED) return;
    sp_app_logout(x->app, &x->call, &in, logout_done, x);
}

static void count_done(void *arg, const struct sp_plain_result *r) {
    sp_x_done_revoked_count(arg, r);
}

void sp_h_logout_all(struct sp_exchange *x) {
    x->ends_cookies = x->credential == SP_CREDENTIAL_COOKIE;
    sp_app_logout_all(x->app, &x->call, count_done, x);
}

/* ---- password, me ---- */

static void plain_done(void *arg, const struct sp_plain_result *r) {
    sp_x_done_revoked(arg, r);
}

void sp_h_password(struct sp_exchange *x) {
    struct sp_password_request in = {.current = SP_SLICE_EMPTY};
    struct sp_json_in_field fields[] = {
        {"current_password", SP_JSON_IN_TEXT, true, SP_PASSWORD_BYTES_MAX, {.text = &in.current}},
        {"new_password", SP_JSON_IN_TEXT, true, SP_PASSWORD_BYTES_MAX, {.text = &in.wanted}},
    };
    if (sp_x_read_body(x, fields, SP_ARRAY_LEN(fields)) == SP_ANSWERED) return;
    sp_app_password_change(x->app, &x->call, &in, plain_done, x);
}

/* A client that acts on its own is its own subject, and has no session. */
static void put_subject(struct sp_json_out *o, const struct sp_principal *p) {
    if (p->is_client) {
        sp_json_out_text(o, "sub", SP_TEXT_SLICE(&p->client_id));
        sp_json_out_null(o, "session_id");
        return;
    }
    sp_json_out_base64url(o, "sub", SP_SLICE_ARRAY(p->user_id));
    sp_json_out_base64url(o, "session_id", SP_SLICE_ARRAY(p->sid));
}

void sp_h_me(struct sp_exchange *x) {
    const struct sp_principal *p = &x->principal;
    SP_AUTO(sp_buf) permissions = SP_BUF_INIT(SP_HTTP_RESPONSE_BYTES_MAX);
    if (!sp_ok(sp_app_permissions(x->app, p, &permissions))) x->failed = true;
    struct sp_json_out *o = &x->json;
    sp_json_out_object(o, NULL);
    put_subject(o, p);
    sp_json_out_words(o, "roles", SP_TEXT_SLICE(&p->roles));
    sp_json_out_words(o, "permissions", sp_buf_slice(&permissions));
    sp_json_out_text(o, "scope", SP_TEXT_SLICE(&p->scope));
    sp_json_out_time_s(o, "auth_time", p->auth_time_s);
    sp_json_out_time_s(o, "expires_at", p->exp_s);
    if (x->credential == SP_CREDENTIAL_COOKIE) put_csrf_token(x, p->sid);
    sp_json_out_object_end(o);
    sp_x_reply(x, 200);
}
