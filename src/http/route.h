/* Routes: the table (routes.def), and finding a request's row in it.
 *
 * A row says everything about a route that can be decided before its handler runs: who may come, whether a
 * body is read, which defence against other sites' pages applies, which query parameters exist. So a route
 * that forgets a check is a row to look at and not a path through code. About forty rows are compared one
 * after another, the busiest first: a tree would save nothing that could be measured beside the parsing of a
 * request.
 *
 * Matching is by bytes of the raw path: `{x}` is one non-empty segment, a trailing slash is another path. */
#ifndef SP_HTTP_ROUTE_H
#define SP_HTTP_ROUTE_H

#include "base/buf.h"
#include "http/server.h"

struct sp_exchange;

enum sp_route_auth {
    SP_AUTH_NONE,    /* credentials are not looked at */
    SP_AUTH_USER,    /* a good access token: Bearer, DPoP or cookie */
    SP_AUTH_ADMIN,   /* the admin socket, or such a token with the permission sallyport:admin */
    SP_AUTH_METRICS, /* the metrics listener, the admin socket, or such a token with sallyport:metrics or
                        sallyport:admin */
    SP_AUTH_FEED,    /* HTTP Basic, of a client that may follow the feed */
    SP_AUTH_OWN,     /* the handler reads the credentials that were found */
    /* The handler asks; refusals are in the words of OAuth. */
    SP_AUTH_CLIENT, /* a client's credential, in Authorization or in the form */
    SP_AUTH_TOKEN,  /* an access token, in Authorization or in the form */
    SP_AUTH_PAGE,   /* whoever has this browser; refusals are pages */
};
/* A form's parameters are read by the handler (form.h). */
enum sp_route_body { SP_BODY_NONE, SP_BODY_JSON, SP_BODY_JSON_OPTIONAL, SP_BODY_FORM, SP_BODY_FORM_OPTIONAL };
/* How a refusal is written. */
enum sp_route_style {
    SP_STYLE_PROBLEM, /* RFC 9457 */
    SP_STYLE_OAUTH,   /* RFC 6749 section 5.2 */
    SP_STYLE_PAGE,    /* HTML */
};
/* What applies when the credential is a cookie. */
enum sp_route_csrf {
    SP_CSRF_SAFE, /* changes nothing */
    SP_CSRF_FULL, /* X-CSRF-Token and the Origin rule */
    SP_CSRF_OWN,  /* the handler applies the Origin rule where it meets a cookie */
};

struct sp_route {
    enum sp_http_method method;
    const char *pattern;
    void (*handle)(struct sp_exchange *x);
    enum sp_route_auth auth;
    enum sp_route_body body;
    enum sp_route_csrf csrf;
    const char *parameters; /* word list; of a page those that it knows: it ignores others (RFC 6749 3.1) */
};
enum sp_route_style sp_route_style(const struct sp_route *route);
/* May pages of other origins that are configured call it (CORS)? What applications call with tokens, and what
 * is public; never a page of ours, administration or the feed. */
bool sp_route_is_shared(const struct sp_route *route);
extern const struct sp_route sp_routes[];
extern const size_t sp_routes_n;

enum { SP_ROUTE_SEGMENTS_MAX = 2 }; /* `{x}` in one pattern */

enum sp_route_found { SP_ROUTE_FOUND, SP_ROUTE_NO_PATH, SP_ROUTE_NO_METHOD };
struct sp_route_match {
    const struct sp_route *route;            /* FOUND. HEAD finds GET */
    const struct sp_route *sibling;          /* FOUND, NO_METHOD: the first of the path's rows */
    sp_slice segment[SP_ROUTE_SEGMENTS_MAX]; /* FOUND: raw, borrowed from path */
    uint32_t
        methods; /* NO_METHOD: bits of enum sp_http_method that the path has; HEAD and OPTIONS not included */
};
enum sp_route_found sp_route_find(const struct sp_route *routes, size_t n, enum sp_http_method method,
                                  sp_slice path, struct sp_route_match *ret);
/* "GET"; "other" for what is none of ours. */
const char *sp_route_method_name(enum sp_http_method method);
/* The method of that name; OTHER. */
enum sp_http_method sp_route_method(sp_slice name);
/* "GET, HEAD, OPTIONS": the value of Allow. */
enum { SP_ALLOW_BYTES_MAX = 64 };
sp_status sp_route_allow(uint32_t methods, struct sp_buf *ret);

/* The query: `a=b&c=d`, names plain, values percent-encoded. */
enum { SP_QUERY_PARAMETERS_MAX = 8 };
struct sp_query {
    size_t n;
    struct {
        sp_slice name, value; /* name borrowed from the query, value from `text` */
    } item[SP_QUERY_PARAMETERS_MAX];
};
enum sp_query_error { SP_QUERY_OK, SP_QUERY_BAD, SP_QUERY_UNKNOWN, SP_QUERY_DUPLICATE };
/* `text` has room for raw.n bytes. `allowed` is a word list. Empty values are BAD: leave the parameter out.
 */
enum sp_query_error sp_query_parse(sp_slice raw, const char *allowed, uint8_t *text, struct sp_query *ret);
/* Empty when absent. */
sp_slice sp_query_get(const struct sp_query *q, const char *name);

#endif
