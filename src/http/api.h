/* The HTTP API: what stands between a whole request (server.h) and the use cases (core/app.h).
 *
 * For every request, in this order: canonical path, route, method, headers that must not repeat, query,
 * credentials, the defences of cookies, media type and body; then the handler. The first refusal answers, as
 * RFC 9457 problem JSON with a stable `code`; at /oauth2 as RFC 6749 wants it, or as a page.
 *
 * One api a loop, attached to that loop's server as opts.on_request with the api as arg. Listeners are told
 * apart by the `user` they were given: sp_http_listener_admin for the admin socket, sp_http_listener_metrics,
 * and sp_http_listener_public (or anything else) for the rest. All of it belongs to the loop's thread; the
 * app behind it is shared. It must outlive its server, and the app must outlive it.
 *
 * The address of a call is the connection's peer; a trusted proxy's X-Forwarded-For is believed
 * (forwarded.h), and nothing else of X-Forwarded-* and Forwarded. */
#ifndef SP_HTTP_API_H
#define SP_HTTP_API_H

#include "core/app.h"
#include "http/cookie.h"
#include "http/csrf.h"
#include "http/forwarded.h"
#include "http/server.h"

extern char sp_http_listener_public[1];
extern char sp_http_listener_admin[1];
extern char
    sp_http_listener_metrics[1]; /* answers /metrics, /healthz and /readyz, to anyone who can reach it */

/* What became of a request, for metrics. `pattern` is the route's, or NULL when none was found. */
struct sp_http_seen {
    enum sp_http_method method;
    const char *pattern;
    size_t route; /* its row in sp_routes; sp_routes_n when none was found */
    int status;
    int64_t took_us; /* from the whole request to the reply */
};

/* Severity of the line that each request gets in the log; an answer of 500 or more is a warning in any case.
 */
enum sp_http_request_log { SP_REQUEST_LOG_DEBUG, SP_REQUEST_LOG_INFO, SP_REQUEST_LOG_OFF };

struct sp_http_api_config {
    const sp_slice *public_origins;  /* copied; each sp_origin_valid */
    size_t n_public_origins;         /* at most SP_ORIGINS_MAX */
    const sp_slice *cors_origins;    /* likewise; whose pages may read answers (cors.h) */
    size_t n_cors_origins;           /* at most SP_ORIGINS_MAX */
    const sp_slice *trusted_proxies; /* each an sp_cidr; copied */
    size_t n_trusted_proxies;        /* at most SP_PROXIES_MAX */
    sp_slice cookie_prefix;          /* empty: "__Host-" */
    /* Strict-Transport-Security on every answer, when the issuer is https and not of this machine; 0: never.
     */
    int64_t hsts_max_age_s;
    struct sp_log log; /* one `http_request` a request; never a token, a query or a body */
    void (*seen)(void *arg, const struct sp_http_seen *seen); /* may be NULL */
    void *seen_arg;
    enum sp_http_request_log request_log;
    /* Appends Prometheus text 0.0.4 to *ret; NULL: there is nothing at /metrics. */
    sp_status (*metrics)(void *arg, const struct sp_measures *measures, struct sp_buf *ret);
    void *metrics_arg;
    struct sp_random random; /* for the prefix of request ids */
};

struct sp_http_api;
/* SP_E_MALFORMED: an origin, a proxy or the prefix is not of its form; SP_E_LIMIT, SP_E_NOMEM,
 * SP_E_UNAVAILABLE. */
sp_status sp_http_api_new(struct sp_app *app, const struct sp_http_api_config *config,
                          struct sp_http_api **ret);
/* From now on /readyz answers that we are not: a stop has begun. On the loop's thread. */
void sp_http_api_drain(struct sp_http_api *api);
/* No request may be in flight. */
void sp_http_api_free(struct sp_http_api *api);
SP_DEFINE_FREE(sp_http_api);

/* For sp_http_opts.on_request; arg is the api. */
void sp_http_api_on_request(void *arg, struct sp_http_req *req);

#endif
