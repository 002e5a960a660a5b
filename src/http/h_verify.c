/* Forward authentication: a proxy asks whether the request that it holds may pass.
 *
 *   GET /auth/verify[?permission=p][&max_age=seconds][&acr=a b]
 *     204  X-Auth-Subject, -Session, -Roles, -Permissions, -Scope, -Client, -Expires (Unix seconds)
 *     401  no token, or not a good one; or a login that is older than max_age, or of none of these classes:
 *          insufficient_user_authentication (RFC 9470), and the challenge says what would do
 *     403  permission missing, or the Origin rule
 *
 * Every X-Auth-* header is in every 204, "-" when there is nothing to say: a proxy that copies them then
 * overwrites whatever a client had sent under their names. Values are percent-encoded word by word
 * (percent.h), so nothing in a role or a name can begin another header or another word. Permissions that
 * would not fit into a proxy's buffer are left out whole ("-"): that grants less, never more.
 *
 * A browser sends its cookies wherever another site points it, so by cookie the forwarded method decides:
 * GET, HEAD and OPTIONS pass, any other must satisfy the Origin rule. The method is taken from
 * X-Forwarded-Method (Traefik, Caddy) or X-Original-Method (nginx); with none, with several, or with one that
 * we do not know, the request counts as one that changes something. */
#include "base/text.h"
#include "http/exchange.h"
#include "http/handlers.h"
#include "http/percent.h"

enum {
    LIST_BYTES_MAX = 2 * 1024, /* each; nginx reads an answer's headers into 4 KiB by default */
    ACR_BYTES_MAX = 64,        /* one; what a token of ours can have */
};
#define MAX_AGE_MAX_S (UINT64_C(100) * 365 * 86400) /* older than any login */

static bool forwarded_method_is_safe(const struct sp_exchange *x) {
    static const char *const names[] = {"X-Forwarded-Method", "X-Original-Method"};
    sp_slice method = SP_SLICE_EMPTY;
    size_t found = 0;
    for (size_t i = 0; i < SP_ARRAY_LEN(names); i++) {
        enum sp_http_presence p = sp_http_req_header(x->req, names[i], &method);
        if (p == SP_HTTP_REPEATED) return false;
        if (p == SP_HTTP_SINGLE) found++;
    }
    return found == 1 && sp_method_is_safe(method);
}

static void put_words(struct sp_exchange *x, const char *name, sp_slice words) {
    SP_AUTO(sp_buf) b = SP_BUF_INIT(LIST_BYTES_MAX);
    if (!sp_ok(sp_percent_encode_words(words, &b))) {
        sp_x_header(x, name, SP_SLICE_LIT("-"));
        return;
    }
    sp_x_header(x, name, sp_buf_slice(&b));
}

static void put_id(struct sp_exchange *x, const char *name, sp_slice id) {
    SP_AUTO(sp_buf) b = SP_BUF_INIT(64);
    if (!sp_ok(sp_buf_append_base64url(&b, id))) x->failed = true;
    sp_x_header(x, name, sp_buf_slice(&b));
}

static void put_permissions(struct sp_exchange *x) {
    SP_AUTO(sp_buf) words = SP_BUF_INIT(SP_HTTP_RESPONSE_BYTES_MAX);
    if (!sp_ok(sp_app_permissions(x->app, &x->principal, &words))) x->failed = true;
    put_words(x, "X-Auth-Permissions", sp_buf_slice(&words));
}

static void put_expires(struct sp_exchange *x) {
    SP_AUTO(sp_buf) b = SP_BUF_INIT(32);
    if (!sp_ok(sp_buf_append_i64_text(&b, x->principal.exp_s))) x->failed = true;
    sp_x_header(x, "X-Auth-Expires", sp_buf_slice(&b));
}

/* A client that acts on its own is its own subject, and has no session. */
static void put_subject(struct sp_exchange *x) {
    const struct sp_principal *p = &x->principal;
    if (p->is_client) {
        put_words(x, "X-Auth-Subject", SP_TEXT_SLICE(&p->client_id));
        sp_x_header(x, "X-Auth-Session", SP_SLICE_LIT("-"));
        return;
    }
    put_id(x, "X-Auth-Subject", SP_SLICE_ARRAY(p->user_id));
    put_id(x, "X-Auth-Session", SP_SLICE_ARRAY(p->sid));
}

/* ---- is the login good enough? (RFC 9470) ---- */

static enum sp_step refuse_parameter(struct sp_exchange *x, const char *name) {
    sp_x_problem_detail(x, SP_PROBLEM_BAD_PARAMETER, name);
    return SP_ANSWERED;
}

static enum sp_step read_demands(struct sp_exchange *x) {
    const sp_slice max_age = sp_query_get(&x->query, "max_age"), acr = sp_query_get(&x->query, "acr");
    uint64_t seconds = 0;
    if (max_age.n != 0 && (!sp_slice_to_u64(max_age, &seconds) || seconds > MAX_AGE_MAX_S))
        return refuse_parameter(x, "max_age");
    if (acr.n != 0 && !sp_words_valid(acr, ACR_BYTES_MAX)) return refuse_parameter(x, "acr");
    x->wanted.has_max_age = max_age.n != 0;
    x->wanted.max_age_s = (int64_t)seconds;
    x->wanted.acr = acr;
    return SP_GO_ON;
}

/* A token without a person has no login at all. */
static bool login_suffices(const struct sp_exchange *x) {
    const struct sp_principal *p = &x->principal;
    const int64_t now_s = sp_http_req_wall_ms(x->req) / 1000;
    if (x->wanted.has_max_age &&
        (p->auth_time_s == 0 || sp_login_age_s(p->auth_time_s, now_s) > x->wanted.max_age_s))
        return false;
    return x->wanted.acr.n == 0 || (p->acr.n != 0 && sp_words_contain(x->wanted.acr, SP_TEXT_SLICE(&p->acr)));
}

void sp_h_verify(struct sp_exchange *x) {
    const struct sp_principal *p = &x->principal;
    bool by_cookie = x->credential == SP_CREDENTIAL_COOKIE;
    if (by_cookie && !forwarded_method_is_safe(x) && sp_x_origin_rule(x) == SP_ANSWERED) return;
    if (read_demands(x) == SP_ANSWERED) return;
    if (!login_suffices(x)) {
        sp_x_problem(x, SP_PROBLEM_INSUFFICIENT_USER_AUTHENTICATION);
        return;
    }
    sp_slice permission = sp_query_get(&x->query, "permission");
    if (permission.n != 0 && !sp_app_permits(x->app, p, permission)) {
        sp_x_deny(x, permission, SP_SLICE_EMPTY);
        return;
    }
    put_subject(x);
    put_words(x, "X-Auth-Roles", SP_TEXT_SLICE(&p->roles));
    put_permissions(x);
    put_words(x, "X-Auth-Scope", SP_TEXT_SLICE(&p->scope));
    put_words(x, "X-Auth-Client", SP_TEXT_SLICE(&p->client_id));
    put_expires(x);
    sp_x_reply(x, 204);
}
