/* The front door for browsers: authorization requests, and the pages of a sign-in (RFC 6749 section 4.1,
 * OpenID Connect Core 3.1.2, RP-Initiated Logout 1.0).
 *
 *   GET, POST /oauth2/authorize   -> 303 on, or a page
 *   POST /oauth2/login            request, username, password
 *   POST /oauth2/consent          request, csrf, decision: "allow" | "deny"
 *   GET, POST /oauth2/logout      id_token_hint, client_id, post_logout_redirect_uri, state; of the page:
 *                                 request, csrf
 *
 * What core decides is shown here. A page is 200. A login that failed is 400: the form was not good (401
 * would have to name a scheme of HTTP's own authentication, and a browser would ask for it); 429 and 503 with
 * Retry-After. What no client may be told of is the error page, with the status that the JSON endpoints give
 * the same error; 400 instead of their 401.
 *
 * What a page posts passes the Origin rule, the login too: else another site could sign its visitor in as
 * somebody else. */
#include "http/authz_form.h"
#include "http/exchange.h"
#include "http/handlers.h"
#include "http/page.h"
#include "http/pages.h"

enum {
    CSRF_BYTES_MAX = 256, /* ours: a MAC */
    DECISION_BYTES_MAX = 16,
};

#define FIELD(name, at)                                                                                      \
    { name, SP_HTTP_BODY_BYTES_MAX, (at), NULL, SP_FORM_PRINTABLE }

/* The sign-in's cookie. Of two we believe neither. */
static sp_slice sso_cookie(struct sp_exchange *x) {
    sp_x_read_cookies(x);
    return x->cookies.seen[SP_COOKIE_SSO] == 1 ? x->cookies.value[SP_COOKIE_SSO] : SP_SLICE_EMPTY;
}

static void put_cookies(struct sp_exchange *x, const struct sp_authz_result *r) {
    if (r->sets_cookie) {
        sp_x_set_cookie(x, SP_COOKIE_SSO, r->cookie, SP_COOKIE_UNTIL_CLOSED);
    } else if (r->expires_cookie || x->cookies.seen[SP_COOKIE_SSO] > 1) {
        sp_x_set_cookie(x, SP_COOKIE_SSO, SP_SLICE_EMPTY, 0);
    }
    if (r->device_token.n != 0) sp_x_set_cookie(x, SP_COOKIE_DEVICE, r->device_token, SP_DEVICE_TOKEN_TTL_S);
}

static int login_status(enum sp_outcome failed) {
    if (failed == SP_OUTCOME_OK) return 200;
    const int status = sp_outcome_http_status(failed);
    return status == 401 ? 400 : status;
}

static void put_retry_after(struct sp_exchange *x, int status, uint32_t seconds) {
    if (status != 429 && status != 503) return;
    char text[16];
    const int n = snprintf(text, sizeof(text), "%u", seconds == 0 ? 1 : seconds);
    sp_x_header(x, "Retry-After", sp_slice_of(text, (size_t)n));
}

static void answer_login(struct sp_exchange *x, const struct sp_authz_result *r) {
    const int status = login_status(r->failed);
    sp_page_login(x, r);
    put_retry_after(x, status, r->trouble.retry_after_s);
    sp_x_reply(x, status);
}

static void answer_page(struct sp_exchange *x,
                        void (*page)(struct sp_exchange *, const struct sp_authz_result *),
                        const struct sp_authz_result *r) {
    page(x, r);
    sp_x_reply(x, 200);
}

static void answer(void *arg, const struct sp_authz_result *r) {
    struct sp_exchange *x = arg;
    put_cookies(x, r);
    switch (r->next) {
    case SP_AUTHZ_REDIRECT:
        sp_x_header(x, "Location", r->location);
        sp_x_reply(x, 303);
        return;
    case SP_AUTHZ_LOGIN: answer_login(x, r); return;
    case SP_AUTHZ_CONSENT: answer_page(x, sp_page_consent, r); return;
    case SP_AUTHZ_LOGOUT: answer_page(x, sp_page_logout, r); return;
    case SP_AUTHZ_GOODBYE:
        sp_page_goodbye(x);
        sp_x_reply(x, 200);
        return;
    case SP_AUTHZ_ERROR: break;
    }
    sp_x_trouble(x, &r->trouble);
}

void sp_h_authorize(struct sp_exchange *x) {
    struct sp_authz_params p = {.client_id = SP_SLICE_EMPTY};
    struct sp_form_list resources = {.n = 0};
    const struct sp_form_field fields[] = {FIELD("client_id", &p.client_id),
                                           SP_AUTHZ_FORM_FIELDS(&p, &resources)};
    if (sp_x_read_form(x, fields, SP_ARRAY_LEN(fields)) == SP_ANSWERED) return;
    p.resources = resources.item;
    p.n_resources = resources.n;
    sp_oauth_authorize(x->app, &x->call, &p, sso_cookie(x), answer, x);
}

void sp_h_authorize_login(struct sp_exchange *x) {
    struct sp_authz_login in = {.request = SP_SLICE_EMPTY};
    const struct sp_form_field fields[] = {
        FIELD("request", &in.request),
        {"username", SP_NAME_BYTES_MAX, &in.username, NULL, SP_FORM_PRINTABLE},
        {"password", SP_PASSWORD_BYTES_MAX, &in.password, NULL, SP_FORM_ANY},
    };
    if (sp_x_origin_rule(x) == SP_ANSWERED) return;
    if (sp_x_read_form(x, fields, SP_ARRAY_LEN(fields)) == SP_ANSWERED) return;
    in.cookie = sso_cookie(x);
    /* Of two we believe neither; it only costs the trust. */
    if (x->cookies.seen[SP_COOKIE_DEVICE] == 1) in.device_token = x->cookies.value[SP_COOKIE_DEVICE];
    sp_oauth_login(x->app, &x->call, &in, answer, x);
}

void sp_h_authorize_consent(struct sp_exchange *x) {
    struct sp_authz_consent in = {.request = SP_SLICE_EMPTY};
    sp_slice decision = SP_SLICE_EMPTY;
    const struct sp_form_field fields[] = {
        FIELD("request", &in.request),
        {"csrf", CSRF_BYTES_MAX, &in.csrf, NULL, SP_FORM_PRINTABLE},
        {"decision", DECISION_BYTES_MAX, &decision, NULL, SP_FORM_PRINTABLE},
    };
    if (sp_x_origin_rule(x) == SP_ANSWERED) return;
    if (sp_x_read_form(x, fields, SP_ARRAY_LEN(fields)) == SP_ANSWERED) return;
    in.allowed = sp_slice_eq_cstr(decision, "allow");
    if (!in.allowed && !sp_slice_eq_cstr(decision, "deny")) {
        sp_x_oauth_error(x, SP_OAUTH_INVALID_REQUEST, "decision is neither allow nor deny");
        return;
    }
    in.cookie = sso_cookie(x);
    sp_oauth_consent(x->app, &x->call, &in, answer, x);
}

/* A POST with `request` comes from our page and does what it says; one without it is a client's, and asks. */
void sp_h_authorize_logout(struct sp_exchange *x) {
    struct sp_authz_logout in = {.state = SP_SLICE_EMPTY};
    const struct sp_form_field fields[] = {
        FIELD("id_token_hint", &in.id_token_hint),
        FIELD("client_id", &in.client_id),
        FIELD("post_logout_redirect_uri", &in.post_logout_redirect_uri),
        FIELD("state", &in.state),
        FIELD("request", &in.request),
        {"csrf", CSRF_BYTES_MAX, &in.csrf, NULL, SP_FORM_PRINTABLE},
    };
    /* A link must not be able to speak for the page. */
    const size_t of_clients = 4;
    const bool is_get = x->route->method == SP_HTTP_GET;
    if (sp_x_read_form(x, fields, is_get ? of_clients : SP_ARRAY_LEN(fields)) == SP_ANSWERED) return;
    in.confirmed = in.request.n != 0;
    if (in.confirmed && sp_x_origin_rule(x) == SP_ANSWERED) return;
    in.cookie = sso_cookie(x);
    sp_oauth_logout(x->app, &x->call, &in, answer, x);
}
