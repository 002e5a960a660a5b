/* Who is asking: found in the headers first, judged afterwards.
 *
 * Finding never chooses. Two credentials are two stories about who is asking, and whichever we believed,
 * something in front of us may believe the other; so Bearer beside a cookie of ours, or one of our cookies
 * twice, is refused before anything is looked at. */
#include "http/basic.h"
#include "http/exchange.h"

enum { OVERFLOW_UID = 65534 }; /* who the kernel says it is when the peer's user has no number here */

/* RFC 7235 2.1; a table, because each byte of each access token passes here. */
static const bool token68[256] = {
    ['a' ... 'z'] = true, ['A' ... 'Z'] = true, ['0' ... '9'] = true, ['-'] = true, ['.'] = true,
    ['_'] = true,         ['~'] = true,         ['+'] = true,         ['/'] = true,
};

sp_status sp_token_parse(sp_slice authorization, sp_slice scheme, sp_slice *ret_token) {
    size_t i = 0;
    while (i < authorization.n && authorization.p[i] != ' ') i++;
    if (i == 0 || i == authorization.n) return sp_err(SP_E_MALFORMED);
    if (!sp_slice_eq_nocase(sp_slice_of(authorization.p, i), scheme)) return sp_err(SP_E_UNSUPPORTED);
    while (i < authorization.n && authorization.p[i] == ' ') i++;
    sp_slice token = sp_slice_of(authorization.p + i, authorization.n - i);
    size_t n = 0;
    while (n < token.n && token68[token.p[n]]) n++;
    if (n == 0) return sp_err(SP_E_MALFORMED);
    while (n < token.n && token.p[n] == '=') n++;
    if (n != token.n) return sp_err(SP_E_MALFORMED);
    *ret_token = token;
    return SP_SUCCESS;
}

sp_status sp_bearer_parse(sp_slice authorization, sp_slice *ret_token) {
    return sp_token_parse(authorization, SP_SLICE_LIT("Bearer"), ret_token);
}

void sp_x_read_cookies(struct sp_exchange *x) {
    size_t n = sp_http_req_header_count(x->req);
    for (size_t i = 0; i < n; i++) {
        const struct sp_http_header *h = sp_http_req_header_at(x->req, i);
        if (!sp_slice_eq_nocase(h->name, SP_SLICE_LIT("cookie"))) continue;
        sp_cookies_read(&x->api->cookies, h->value, &x->cookies);
    }
}

static enum sp_step read_token(struct sp_exchange *x, sp_slice authorization) {
    sp_status st = sp_bearer_parse(authorization, &x->access_token);
    if (sp_is(st, SP_E_UNSUPPORTED)) {
        st = sp_token_parse(authorization, SP_SLICE_LIT("DPoP"), &x->access_token);
        x->is_dpop = sp_ok(st);
    }
    if (sp_is(st, SP_E_UNSUPPORTED)) {
        sp_x_problem_detail(x, SP_PROBLEM_UNSUPPORTED_SCHEME, "use Bearer or DPoP");
        return SP_ANSWERED;
    }
    if (!sp_ok(st)) {
        sp_x_problem(x, SP_PROBLEM_MALFORMED_AUTHORIZATION);
        return SP_ANSWERED;
    }
    x->credential = SP_CREDENTIAL_BEARER;
    return SP_GO_ON;
}

enum sp_step sp_x_find_credential(struct sp_exchange *x) {
    if (x->credential == SP_CREDENTIAL_SOCKET) return SP_GO_ON; /* the kernel has said who it is */
    sp_x_read_cookies(x);
    if (sp_cookies_repeated(&x->cookies)) {
        sp_x_expire_cookies(x);
        sp_x_problem(x, SP_PROBLEM_REPEATED_COOKIE);
        return SP_ANSWERED;
    }
    sp_slice authorization;
    bool has_authorization = sp_http_req_header(x->req, "Authorization", &authorization) != SP_HTTP_ABSENT;
    if (has_authorization && sp_cookies_any(&x->cookies)) {
        sp_x_problem(x, SP_PROBLEM_AMBIGUOUS_CREDENTIALS);
        return SP_ANSWERED;
    }
    if (has_authorization) return read_token(x, authorization);
    if (!sp_cookies_any(&x->cookies)) return SP_GO_ON;
    x->credential = SP_CREDENTIAL_COOKIE;
    x->access_token = x->cookies.value[SP_COOKIE_ACCESS];
    return SP_GO_ON;
}

/* One answer for a missing, malformed, unknown, wrong and lapsed credential. */
enum sp_step sp_x_authenticate_client(struct sp_exchange *x) {
    struct sp_basic basic;
    sp_slice authorization;
    enum sp_client_check check = SP_CLIENT_REFUSED;
    if (sp_http_req_header(x->req, "Authorization", &authorization) == SP_HTTP_SINGLE &&
        sp_ok(sp_basic_parse(authorization, &basic))) {
        check = sp_app_client_check(x->app, &x->call, basic.user, basic.password, &x->client);
    }
    sp_wipe(&basic, sizeof(basic));
    if (check != SP_CLIENT_GENUINE) {
        sp_x_problem(x, SP_PROBLEM_INVALID_CLIENT);
        return SP_ANSWERED;
    }
    if (x->client.feed) return SP_GO_ON;
    sp_x_problem(x, SP_PROBLEM_NOT_FOR_THE_FEED);
    return SP_ANSWERED;
}

enum sp_step sp_x_read_dpop(struct sp_exchange *x, struct sp_dpop_shown *ret) {
    struct sp_dpop_shown shown = {.proof = SP_SLICE_EMPTY};
    if (sp_http_req_header(x->req, "DPoP", &shown.proof) == SP_HTTP_REPEATED) {
        if (sp_route_style(x->route) == SP_STYLE_OAUTH) {
            sp_x_oauth_error(x, SP_OAUTH_INVALID_DPOP_PROOF, "more than one proof is given");
        } else {
            sp_x_problem_detail(x, SP_PROBLEM_INVALID_DPOP_PROOF, "more than one proof is given");
        }
        return SP_ANSWERED;
    }
    shown.method = sp_http_req_method_text(x->req);
    shown.path = sp_http_req_path(x->req);
    *ret = shown;
    return SP_GO_ON;
}

/* A token without the proof that it needs, and a proof that does not hold. */
void sp_x_refuse_proof(struct sp_exchange *x, const struct sp_oauth_trouble *trouble) {
    if (trouble->error == SP_OAUTH_TEMPORARILY_UNAVAILABLE) { /* no room to remember the proof */
        sp_x_outcome(x, SP_OUTCOME_OVERLOADED);
        return;
    }
    if (trouble->error == SP_OAUTH_SERVER_ERROR) { /* we could not look at it */
        sp_x_outcome(x, SP_OUTCOME_INTERNAL);
        return;
    }
    x->is_dpop = true; /* which is the scheme to come back with */
    if (trouble->wants_nonce) {
        sp_x_dpop_nonce(x);
        sp_x_problem(x, SP_PROBLEM_USE_DPOP_NONCE);
        return;
    }
    sp_x_problem_detail(x, SP_PROBLEM_INVALID_DPOP_PROOF, trouble->description);
}

/* One answer for every reason that lies in the token: which one it was is in the log of whoever may know. */
static void refuse_token(struct sp_exchange *x, enum sp_reject why, const struct sp_oauth_trouble *trouble) {
    if (why == SP_REJECT_PROOF_REQUIRED || why == SP_REJECT_BAD_PROOF) {
        sp_x_refuse_proof(x, trouble);
    } else if (why == SP_REJECT_INTERNAL) {
        sp_x_outcome(x, SP_OUTCOME_INTERNAL);
    } else if (why == SP_REJECT_STALE) {
        sp_x_outcome(x, SP_OUTCOME_STORE_UNAVAILABLE);
    } else {
        sp_x_outcome(x, SP_OUTCOME_INVALID_TOKEN);
    }
}

enum sp_step sp_x_authenticate(struct sp_exchange *x) {
    if (x->credential == SP_CREDENTIAL_SOCKET) return SP_GO_ON;
    if (x->access_token.n == 0) {
        sp_x_problem(x, SP_PROBLEM_NOT_AUTHENTICATED);
        return SP_ANSWERED;
    }
    struct sp_dpop_shown dpop;
    struct sp_oauth_trouble trouble = {.error = SP_OAUTH_NONE};
    if (sp_x_read_dpop(x, &dpop) == SP_ANSWERED) return SP_ANSWERED;
    const enum sp_reject r =
        sp_app_authenticate_dpop(x->app, x->access_token, x->is_dpop, &dpop, &x->principal, &trouble);
    if (r != SP_REJECT_NONE) {
        refuse_token(x, r, &trouble);
        return SP_ANSWERED;
    }
    x->call.principal = &x->principal;
    return SP_GO_ON;
}

void sp_x_deny(struct sp_exchange *x, sp_slice permission, sp_slice target) {
    sp_app_audit_denial(x->app, &x->call, permission, target);
    x->wanted.scope = permission;
    sp_x_outcome(x, SP_OUTCOME_PERMISSION_DENIED);
}

static enum sp_step admit_peer(struct sp_exchange *x) {
    const struct sp_http_peer *peer = sp_http_req_peer(x->req);
    bool good = peer->kind == SP_HTTP_PEER_UNIX && peer->uid != OVERFLOW_UID &&
                (peer->uid == 0 || peer->uid == x->api->euid);
    if (!good) {
        sp_x_problem(x, SP_PROBLEM_PEER_REFUSED);
        return SP_ANSWERED;
    }
    x->principal.is_local_admin = true;
    x->principal.uid = peer->uid;
    x->call.principal = &x->principal;
    return SP_GO_ON;
}

enum sp_step sp_x_authorize_admin(struct sp_exchange *x) {
    if (x->credential == SP_CREDENTIAL_SOCKET) return admit_peer(x);
    const sp_slice permission = SP_SLICE_LIT("sallyport:admin");
    if (sp_app_permits(x->app, &x->principal, permission)) return SP_GO_ON;
    sp_x_deny(x, permission, sp_slice_cstr(x->route->pattern));
    return SP_ANSWERED;
}

enum sp_step sp_x_authorize_metrics(struct sp_exchange *x) {
    const sp_slice permission = SP_SLICE_LIT("sallyport:metrics");
    if (x->credential != SP_CREDENTIAL_SOCKET && sp_app_permits(x->app, &x->principal, permission))
        return SP_GO_ON;
    return sp_x_authorize_admin(x);
}

enum sp_step sp_x_csrf_token(struct sp_exchange *x, const uint8_t *sid) {
    sp_slice presented = SP_SLICE_EMPTY;
    if (sp_http_req_header(x->req, "X-CSRF-Token", &presented) == SP_HTTP_SINGLE &&
        presented.n == SP_CSRF_TEXT_BYTES && sp_app_csrf_valid(x->app, sid, presented)) {
        return SP_GO_ON;
    }
    sp_x_problem(x, SP_PROBLEM_CSRF_FAILED);
    return SP_ANSWERED;
}
