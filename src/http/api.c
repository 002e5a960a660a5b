#include "http/api.h"

#include <unistd.h>

#include "base/base64url.h"
#include "http/cors.h"
#include "http/exchange.h"
#include "http/feed_streams.h"
#include "http/percent.h"

char sp_http_listener_public[1];
char sp_http_listener_admin[1];
char sp_http_listener_metrics[1];

static sp_status keep_origins(const sp_slice *given, size_t n, sp_text256 texts[SP_ORIGINS_MAX],
                              sp_slice ret[SP_ORIGINS_MAX]) {
    if (n > SP_ORIGINS_MAX) return sp_err(SP_E_LIMIT);
    for (size_t i = 0; i < n; i++) {
        if (!sp_origin_valid(given[i])) return sp_err(SP_E_MALFORMED);
        SP_TRY(SP_TEXT_SET(&texts[i], given[i]));
        ret[i] = SP_TEXT_SLICE(&texts[i]);
    }
    return SP_SUCCESS;
}

static sp_status set_origins(struct sp_http_api *api, const struct sp_http_api_config *config) {
    SP_TRY(keep_origins(config->public_origins, config->n_public_origins, api->origin_texts, api->origins));
    SP_TRY(keep_origins(config->cors_origins, config->n_cors_origins, api->cors_texts, api->cors));
    api->n_origins = config->n_public_origins;
    api->n_cors = config->n_cors_origins;
    return SP_SUCCESS;
}

static sp_status set_proxies(struct sp_http_api *api, const struct sp_http_api_config *config) {
    if (config->n_trusted_proxies > SP_PROXIES_MAX) return sp_err(SP_E_LIMIT);
    for (size_t i = 0; i < config->n_trusted_proxies; i++)
        SP_TRY(sp_cidr_parse(config->trusted_proxies[i], &api->proxies[i]));
    api->n_proxies = config->n_trusted_proxies;
    return SP_SUCCESS;
}

/* This machine's own name: a browser that has seen the header there asks whatever else runs on it for HTTPS,
 * too. */
static bool is_local(sp_slice origin) {
    const sp_slice scheme = SP_SLICE_LIT("https://");
    return sp_host_is_loopback(sp_slice_of(origin.p + scheme.n, origin.n - scheme.n));
}

/* RFC 6797. Not includeSubDomains: which names stand below ours is for their owner to say. */
static sp_status set_hsts(struct sp_http_api *api, int64_t max_age_s) {
    const sp_slice origin = sp_issuer_origin(SP_TEXT_SLICE(&sp_app_config(api->app)->issuer));
    if (max_age_s <= 0 || !sp_slice_starts(origin, SP_SLICE_LIT("https://")) || is_local(origin))
        return SP_SUCCESS;
    char text[sizeof(api->hsts.s)];
    const int n = snprintf(text, sizeof(text), "max-age=%lld", (long long)max_age_s);
    return SP_TEXT_SET(&api->hsts, sp_slice_of(text, (size_t)n));
}

static sp_status api_init(struct sp_http_api *api, struct sp_app *app,
                          const struct sp_http_api_config *config) {
    api->app = app;
    api->log = config->log.write == NULL ? sp_log_none : config->log;
    api->seen = config->seen;
    api->seen_arg = config->seen_arg;
    api->request_log = config->request_log;
    api->metrics = config->metrics;
    api->metrics_arg = config->metrics_arg;
    api->euid = geteuid();
    SP_TRY(sp_cookie_names_set(&api->cookies, config->cookie_prefix));
    SP_TRY(set_origins(api, config));
    SP_TRY(set_proxies(api, config));
    SP_TRY(set_hsts(api, config->hsts_max_age_s));
    return sp_random_fill(&config->random, api->id_prefix, sizeof(api->id_prefix));
}

sp_status sp_http_api_new(struct sp_app *app, const struct sp_http_api_config *config,
                          struct sp_http_api **ret) {
    SP_AUTO_FREE(sp_http_api) api = calloc(1, sizeof(*api));
    if (api == NULL) return sp_err(SP_E_NOMEM);
    SP_TRY(api_init(api, app, config));
    *ret = sp_steal(&api);
    return SP_SUCCESS;
}

void sp_http_api_free(struct sp_http_api *api) {
    if (api == NULL) return;
    sp_feed_streams_free(api->streams);
    free(api);
}

void sp_http_api_drain(struct sp_http_api *api) {
    api->draining = true;
    sp_receipts_hurry(api);
}

/* ---- the steps before the handler ---- */

/* Unique, not secret: a random prefix for each api and a counter. A client's own X-Request-Id is not taken
 * over: it would let anyone make two records of the audit log look like one request. */
static void make_request_id(struct sp_http_api *api, char ret[SP_REQUEST_ID_CHARS]) {
    uint8_t raw[SP_REQUEST_ID_BYTES];
    memcpy(raw, api->id_prefix, sizeof(api->id_prefix));
    uint64_t count = api->id_counter++;
    for (size_t i = 0; i < 8; i++) raw[sizeof(raw) - 1 - i] = (uint8_t)(count >> (8 * i));
    sp_base64url_encode(SP_SLICE_ARRAY(raw), ret);
}

static bool on_admin_socket(const struct sp_exchange *x) {
    return sp_http_req_user(x->req) == (void *)sp_http_listener_admin;
}

static bool on_metrics_listener(const struct sp_exchange *x) {
    return sp_http_req_user(x->req) == (void *)sp_http_listener_metrics;
}

/* The admin socket serves administration and what watches over the process, so that whoever holds it by
 * mistake holds no more; the metrics listener, which asks nobody who they are, only the latter. */
static bool serves(const struct sp_exchange *x, sp_slice path) {
    /* Switched off, it is not there at all, whatever the method. */
    if (sp_slice_eq_cstr(path, "/auth/register") && !sp_app_config(x->app)->registration_enabled)
        return false;
    if (sp_slice_eq_cstr(path, "/.well-known/openid-configuration") && !sp_oauth_has_openid(x->app))
        return false;
    bool watching = sp_slice_eq_cstr(path, "/healthz") || sp_slice_eq_cstr(path, "/readyz") ||
                    (sp_slice_eq_cstr(path, "/metrics") && x->api->metrics != NULL);
    if (on_metrics_listener(x)) return watching;
    if (on_admin_socket(x)) return watching || sp_slice_starts(path, SP_SLICE_LIT("/admin/v1/"));
    return watching || !sp_slice_eq_cstr(path, "/metrics");
}

static enum sp_step answer_methods(struct sp_exchange *x, uint32_t methods) {
    SP_AUTO(sp_buf) allow = SP_BUF_INIT(SP_ALLOW_BYTES_MAX);
    if (!sp_ok(sp_route_allow(methods, &allow))) x->failed = true;
    sp_x_header(x, "Allow", sp_buf_slice(&allow));
    sp_x_preflight(x, methods, sp_buf_slice(&allow));
    if (sp_http_req_method(x->req) == SP_HTTP_OPTIONS) {
        sp_x_reply(x, 204);
    } else {
        sp_x_problem(x, SP_PROBLEM_METHOD_NOT_ALLOWED);
    }
    return SP_ANSWERED;
}

/* Decodes the segments into x->text, which later takes the query's values too: together never longer than
 * their encoded forms. */
static enum sp_step decode_segments(struct sp_exchange *x, const struct sp_route_match *match, size_t *used) {
    for (size_t i = 0; i < SP_ROUTE_SEGMENTS_MAX && match->segment[i].n > 0; i++) {
        size_t n;
        if (!sp_ok(sp_percent_decode(match->segment[i], SP_PERCENT_SEGMENT, x->text + *used, &n))) {
            sp_x_problem(x, SP_PROBLEM_BAD_PATH);
            return SP_ANSWERED;
        }
        x->segment[i] = sp_slice_of(x->text + *used, n);
        *used += n;
    }
    return SP_GO_ON;
}

static enum sp_step read_query(struct sp_exchange *x, size_t used) {
    sp_slice raw = sp_http_req_query(x->req);
    switch (sp_query_parse(raw, x->route->parameters, x->text + used, &x->query)) {
    case SP_QUERY_OK: return SP_GO_ON;
    case SP_QUERY_UNKNOWN: sp_x_problem(x, SP_PROBLEM_UNKNOWN_PARAMETER); return SP_ANSWERED;
    case SP_QUERY_DUPLICATE: sp_x_problem(x, SP_PROBLEM_DUPLICATE_PARAMETER); return SP_ANSWERED;
    case SP_QUERY_BAD: break;
    }
    sp_x_problem(x, SP_PROBLEM_BAD_PARAMETER);
    return SP_ANSWERED;
}

static enum sp_step read_target(struct sp_exchange *x, const struct sp_route_match *match) {
    size_t n = sp_http_req_path(x->req).n + sp_http_req_query(x->req).n;
    x->text = malloc(n);
    if (x->text == NULL) {
        sp_x_outcome(x, SP_OUTCOME_INTERNAL);
        return SP_ANSWERED;
    }
    size_t used = 0;
    if (decode_segments(x, match, &used) == SP_ANSWERED) return SP_ANSWERED;
    const bool is_form = x->route->auth == SP_AUTH_PAGE && x->route->method == SP_HTTP_GET;
    return is_form ? SP_GO_ON : read_query(x, used);
}

/* The path of the issuer stands behind the name of a well-known document (RFC 8414 section 3.1), and not
 * before it; whoever forwards requests to us need not know. */
static sp_slice without_issuer_path(const struct sp_exchange *x, sp_slice path) {
    static const char *const documents[] = {"/.well-known/oauth-authorization-server",
                                            "/.well-known/openid-configuration"};
    for (size_t i = 0; i < SP_ARRAY_LEN(documents); i++) {
        const sp_slice name = sp_slice_cstr(documents[i]);
        if (!sp_slice_starts(path, name)) continue;
        const sp_slice own = sp_issuer_path(SP_TEXT_SLICE(&sp_app_config(x->app)->issuer));
        if (sp_slice_eq(sp_slice_of(path.p + name.n, path.n - name.n), own)) return name;
    }
    return path;
}

static enum sp_step find_route(struct sp_exchange *x) {
    sp_slice path = without_issuer_path(x, sp_http_req_path(x->req));
    if (sp_slice_eq_cstr(path, "*")) return answer_methods(x, 1u << SP_HTTP_GET | 1u << SP_HTTP_POST);
    if (!sp_percent_path_valid(path)) {
        sp_x_problem(x, SP_PROBLEM_BAD_PATH);
        return SP_ANSWERED;
    }
    struct sp_route_match match;
    enum sp_route_found found =
        sp_route_find(sp_routes, sp_routes_n, sp_http_req_method(x->req), path, &match);
    if (found == SP_ROUTE_NO_PATH || !serves(x, path)) {
        sp_x_problem(x, SP_PROBLEM_NO_SUCH_ROUTE);
        return SP_ANSWERED;
    }
    x->sibling = match.sibling;
    if (found == SP_ROUTE_NO_METHOD) return answer_methods(x, match.methods);
    x->route = match.route;
    return read_target(x, &match);
}

/* What decides something must not have two values, of which a proxy in front may have judged the other. */
static enum sp_step refuse_repeated_headers(struct sp_exchange *x) {
    static const char *const deciding[] = {"Authorization", "Origin",       "Sec-Fetch-Site",
                                           "Content-Type",  "X-CSRF-Token", "Content-Encoding"};
    for (size_t i = 0; i < SP_ARRAY_LEN(deciding); i++) {
        if (sp_http_req_header(x->req, deciding[i], NULL) != SP_HTTP_REPEATED) continue;
        sp_x_problem_detail(x, SP_PROBLEM_REPEATED_HEADER, deciding[i]);
        return SP_ANSWERED;
    }
    return SP_GO_ON;
}

static enum sp_step defend_cookie(struct sp_exchange *x) {
    if (x->route->csrf != SP_CSRF_FULL || x->credential != SP_CREDENTIAL_COOKIE) return SP_GO_ON;
    if (sp_x_origin_rule(x) == SP_ANSWERED) return SP_ANSWERED;
    return sp_x_csrf_token(x, x->principal.sid);
}

/* Permissions come last: only a request that its user meant is worth a record that it was denied. */
static enum sp_step admit(struct sp_exchange *x) {
    if (x->route->auth == SP_AUTH_NONE || on_metrics_listener(x)) return SP_GO_ON;
    if (x->route->auth == SP_AUTH_FEED) return sp_x_authenticate_client(x);
    if (sp_route_style(x->route) != SP_STYLE_PROBLEM) return SP_GO_ON;
    if (sp_x_find_credential(x) == SP_ANSWERED) return SP_ANSWERED;
    if (x->route->auth == SP_AUTH_OWN) return SP_GO_ON;
    if (sp_x_authenticate(x) == SP_ANSWERED) return SP_ANSWERED;
    if (defend_cookie(x) == SP_ANSWERED) return SP_ANSWERED;
    if (x->route->auth == SP_AUTH_METRICS) return sp_x_authorize_metrics(x);
    return x->route->auth == SP_AUTH_ADMIN ? sp_x_authorize_admin(x) : SP_GO_ON;
}

/* The last ones, in order: the list is read from its end, and what a client sends stands before it. */
static size_t forwarded_lines(struct sp_http_req *req, sp_slice said[SP_FORWARDED_LINES_MAX]) {
    size_t n = 0;
    for (size_t i = sp_http_req_header_count(req); i > 0 && n < SP_FORWARDED_LINES_MAX; i--) {
        const struct sp_http_header *h = sp_http_req_header_at(req, i - 1);
        if (!sp_slice_eq_nocase(h->name, SP_SLICE_LIT("x-forwarded-for"))) continue;
        said[SP_FORWARDED_LINES_MAX - ++n] = h->value;
    }
    memmove(said, said + SP_FORWARDED_LINES_MAX - n, n * sizeof(*said));
    return n;
}

/* The peer, or whom the proxies in front of us name. */
static sp_slice client_address(struct sp_exchange *x, const struct sp_http_peer *peer) {
    const struct sp_http_api *api = x->api;
    sp_slice said[SP_FORWARDED_LINES_MAX], address = sp_slice_cstr(peer->address);
    if (api->n_proxies == 0) return address;
    sp_ip client;
    if (!sp_ok(sp_ip_parse(address, &client))) return address;
    const size_t n = forwarded_lines(x->req, said);
    client = sp_forwarded_client(client, said, n, api->proxies, api->n_proxies);
    sp_ip_text(&client, x->address);
    return sp_slice_cstr(x->address);
}

static struct sp_exchange *exchange_new(struct sp_http_api *api, struct sp_http_req *req) {
    struct sp_exchange *x = calloc(1, sizeof(*x));
    if (x == NULL) return NULL;
    x->api = api;
    x->app = api->app;
    x->req = req;
    sp_buf_init(&x->out, SP_HTTP_RESPONSE_BYTES_MAX);
    sp_buf_init(&x->header_text, SP_REPLY_HEADER_TEXT_BYTES_MAX);
    x->json = SP_JSON_OUT(&x->out);
    make_request_id(api, x->request_id);
    x->began_us = sp_x_clock_us();
    if (on_admin_socket(x)) x->credential = SP_CREDENTIAL_SOCKET;
    const struct sp_http_peer *peer = sp_http_req_peer(req);
    x->call.executor = sp_loop_executor(sp_http_req_loop(req));
    x->call.channel = on_admin_socket(x) ? SP_CHANNEL_ADMIN_SOCKET : SP_CHANNEL_HTTP;
    if (peer->kind == SP_HTTP_PEER_TCP) x->call.address = client_address(x, peer);
    (void)sp_http_req_header(req, "User-Agent",
                             &x->call.user_agent); /* absent reads as empty; of several, the first */
    x->call.request_id = SP_SLICE_ARRAY(x->request_id);
    return x;
}

void sp_http_api_on_request(void *arg, struct sp_http_req *req) {
    struct sp_exchange *x = exchange_new(arg, req);
    if (x == NULL) {
        const struct sp_http_response response = {.status = 503, .close = true};
        SP_IGNORE(sp_http_reply(req, &response)); /* nothing is left to tell anyone with */
        return;
    }
    if (find_route(x) == SP_ANSWERED) return;
    if (refuse_repeated_headers(x) == SP_ANSWERED) return;
    if (admit(x) == SP_ANSWERED) return;
    if (sp_x_check_body(x) == SP_ANSWERED) return;
    x->route->handle(x);
}
