/* Who may act with a visitor's cookies: the Origin rule (csrf.h) on a request, and what its operator learns
 * when it refuses.
 *
 * A server that is opened under another address than it was told refuses every form of its own pages, and
 * whoever sees that has nothing to go on: so a line of the log tells what came and what is allowed. It is
 * written once a minute by each loop, because strangers decide how many refusals there are; what they sent is
 * shown only if it is an origin as browsers write it. */
#include "http/exchange.h"

enum {
    SAY_AGAIN_US = 60 * 1000 * 1000,
    ORIGIN_BYTES_MAX = 300,   /* a host name at its longest, with its scheme and port */
    ALLOWED_BYTES_MAX = 2048, /* half a line of the log; those that do not fit are left out */
};

static struct sp_origin_headers headers_of(const struct sp_exchange *x) {
    struct sp_origin_headers h = {.has_origin = false};
    h.has_origin = sp_http_req_header(x->req, "Origin", &h.origin) != SP_HTTP_ABSENT;
    h.has_fetch_site = sp_http_req_header(x->req, "Sec-Fetch-Site", &h.fetch_site) != SP_HTTP_ABSENT;
    return h;
}

static sp_slice own_origin(const struct sp_exchange *x) {
    return sp_issuer_origin(SP_TEXT_SLICE(&sp_app_config(x->app)->issuer));
}

/* ---- the log ---- */

static sp_slice shown_origin(const struct sp_origin_headers *h) {
    if (!h->has_origin) return SP_SLICE_LIT("-");
    if (sp_slice_eq_cstr(h->origin, "null")) return h->origin;
    return h->origin.n <= ORIGIN_BYTES_MAX && sp_origin_valid(h->origin) ? h->origin
                                                                         : SP_SLICE_LIT("(malformed)");
}

static sp_slice shown_site(const struct sp_origin_headers *h) {
    static const char *const known[] = {"same-origin", "same-site", "cross-site", "none"};
    if (!h->has_fetch_site) return SP_SLICE_LIT("-");
    for (size_t i = 0; i < SP_ARRAY_LEN(known); i++) {
        if (sp_slice_eq_cstr(h->fetch_site, known[i])) return h->fetch_site;
    }
    return SP_SLICE_LIT("(malformed)");
}

static void add_origin(struct sp_buf *list, sp_slice origin) {
    if (sp_words_contain(sp_buf_slice(list), origin)) return;
    if (list->n + 1 + origin.n > list->max) return;
    if (list->n != 0) SP_IGNORE(sp_buf_append_u8(list, ' '));
    SP_IGNORE(sp_buf_append(list, origin)); /* without memory the line is shorter */
}

static void list_allowed(const struct sp_exchange *x, struct sp_buf *list) {
    if (x->route->auth == SP_AUTH_PAGE) add_origin(list, own_origin(x));
    for (size_t i = 0; i < x->api->n_origins; i++) add_origin(list, x->api->origins[i]);
}

static void log_refusal(struct sp_exchange *x, const struct sp_origin_headers *h) {
    struct sp_http_api *api = x->api;
    if (api->origin_said_us != 0 && x->began_us - api->origin_said_us < SAY_AGAIN_US) return;
    api->origin_said_us = x->began_us;
    SP_AUTO(sp_buf) allowed = SP_BUF_INIT(ALLOWED_BYTES_MAX);
    list_allowed(x, &allowed);
    SP_LOG(&api->log, SP_LOG_WARN, "origin_refused",
           SP_LOGF_TEXT("request_id", SP_SLICE_ARRAY(x->request_id)),
           SP_LOGF_TEXT("route", sp_slice_cstr(x->route->pattern)), SP_LOGF_TEXT("origin", shown_origin(h)),
           SP_LOGF_TEXT("sec_fetch_site", shown_site(h)), SP_LOGF_TEXT("allowed", sp_buf_slice(&allowed)));
}

/* ---- the rule ---- */

static bool is_allowed(const struct sp_exchange *x, const struct sp_origin_headers *h) {
    if (sp_origin_rule(h, x->api->origins, x->api->n_origins)) return true;
    /* Our own pages stand at the issuer, whatever applications are configured beside it. */
    const sp_slice own = own_origin(x);
    return x->route->auth == SP_AUTH_PAGE && sp_origin_rule(h, &own, 1);
}

enum sp_step sp_x_origin_rule(struct sp_exchange *x) {
    const struct sp_origin_headers h = headers_of(x);
    if (is_allowed(x, &h)) return SP_GO_ON;
    log_refusal(x, &h);
    sp_x_problem(x, SP_PROBLEM_ORIGIN_REFUSED);
    return SP_ANSWERED;
}
