#include "http/route.h"

#include "base/text.h"
#include "http/handlers.h"
#include "http/percent.h"

/* The rows, and the count that goes with them. */
const struct sp_route sp_routes[] = {
#define R(method_, pattern_, handler_, auth_, body_, csrf_, parameters_)                                     \
    {.method = SP_HTTP_##method_,                                                                            \
     .pattern = (pattern_),                                                                                  \
     .handle = sp_h_##handler_,                                                                              \
     .auth = SP_AUTH_##auth_,                                                                                \
     .body = SP_BODY_##body_,                                                                                \
     .csrf = SP_CSRF_##csrf_,                                                                                \
     .parameters = (parameters_)},
#include "http/routes.def"
#undef R
};
const size_t sp_routes_n = SP_ARRAY_LEN(sp_routes);

/* Takes one segment off the front of "/a/b": "a", leaving "/b". */
static bool take_segment(sp_slice *rest, sp_slice *ret) {
    if (rest->n == 0 || rest->p[0] != '/') return false;
    size_t end = 1;
    while (end < rest->n && rest->p[end] != '/') end++;
    *ret = sp_slice_of(rest->p + 1, end - 1);
    *rest = sp_slice_of(rest->p + end, rest->n - end);
    return true;
}

static bool matches(const char *pattern, sp_slice path, sp_slice segment[SP_ROUTE_SEGMENTS_MAX]) {
    sp_slice wanted = sp_slice_cstr(pattern), want, have;
    size_t n = 0;
    for (size_t i = 0; i < SP_ROUTE_SEGMENTS_MAX; i++) segment[i] = SP_SLICE_EMPTY;
    while (take_segment(&wanted, &want)) {
        if (!take_segment(&path, &have)) return false;
        if (want.n > 0 && want.p[0] == '{') {
            if (have.n == 0 || n == SP_ROUTE_SEGMENTS_MAX) return false;
            segment[n++] = have;
        } else if (!sp_slice_eq(want, have)) {
            return false;
        }
    }
    return path.n == 0;
}

enum sp_route_found sp_route_find(const struct sp_route *routes, size_t n, enum sp_http_method method,
                                  sp_slice path, struct sp_route_match *ret) {
    if (method == SP_HTTP_HEAD) method = SP_HTTP_GET;
    struct sp_route_match found = {.route = NULL};
    for (size_t i = 0; i < n && found.route == NULL; i++) {
        if (!matches(routes[i].pattern, path, found.segment)) continue;
        found.methods |= 1u << routes[i].method;
        if (found.sibling == NULL) found.sibling = &routes[i];
        if (routes[i].method == method) found.route = &routes[i];
    }
    *ret = found;
    if (found.route != NULL) return SP_ROUTE_FOUND;
    return found.methods == 0 ? SP_ROUTE_NO_PATH : SP_ROUTE_NO_METHOD;
}

enum sp_route_style sp_route_style(const struct sp_route *route) {
    if (route->auth == SP_AUTH_PAGE) return SP_STYLE_PAGE;
    const bool oauth = route->auth == SP_AUTH_CLIENT || route->auth == SP_AUTH_TOKEN;
    return oauth ? SP_STYLE_OAUTH : SP_STYLE_PROBLEM;
}

bool sp_route_is_shared(const struct sp_route *route) {
    static const char *const rooms[] = {"/auth/", "/oauth2/", "/.well-known/"};
    if (route->auth == SP_AUTH_PAGE) return false;
    for (size_t i = 0; i < SP_ARRAY_LEN(rooms); i++) {
        if (sp_slice_starts(sp_slice_cstr(route->pattern), sp_slice_cstr(rooms[i]))) return true;
    }
    return false;
}

enum sp_http_method sp_route_method(sp_slice name) {
    static const enum sp_http_method all[] = {SP_HTTP_GET, SP_HTTP_HEAD,  SP_HTTP_POST,
                                              SP_HTTP_PUT, SP_HTTP_PATCH, SP_HTTP_DELETE};
    for (size_t i = 0; i < SP_ARRAY_LEN(all); i++) {
        if (sp_slice_eq_cstr(name, sp_route_method_name(all[i]))) return all[i];
    }
    return SP_HTTP_OTHER;
}

const char *sp_route_method_name(enum sp_http_method method) {
    switch (method) {
    case SP_HTTP_GET: return "GET";
    case SP_HTTP_HEAD: return "HEAD";
    case SP_HTTP_POST: return "POST";
    case SP_HTTP_PUT: return "PUT";
    case SP_HTTP_PATCH: return "PATCH";
    case SP_HTTP_DELETE: return "DELETE";
    case SP_HTTP_OPTIONS: return "OPTIONS";
    case SP_HTTP_OTHER: break;
    }
    return "other";
}

sp_status sp_route_allow(uint32_t methods, struct sp_buf *ret) {
    static const struct {
        enum sp_http_method method;
        const char *text;
    } names[] = {{SP_HTTP_GET, "GET, HEAD, "},
                 {SP_HTTP_POST, "POST, "},
                 {SP_HTTP_PUT, "PUT, "},
                 {SP_HTTP_PATCH, "PATCH, "},
                 {SP_HTTP_DELETE, "DELETE, "}};
    for (size_t i = 0; i < SP_ARRAY_LEN(names); i++) {
        if ((methods & 1u << names[i].method) != 0) SP_TRY(sp_buf_append_cstr(ret, names[i].text));
    }
    return sp_buf_append_cstr(ret, "OPTIONS");
}

/* ---- the query ---- */

static bool take_until(sp_slice *rest, char delim, sp_slice *ret) {
    const uint8_t *at = rest->n == 0 ? NULL : memchr(rest->p, delim, rest->n);
    size_t n = at == NULL ? rest->n : (size_t)(at - rest->p);
    *ret = sp_slice_of(rest->p, n);
    size_t taken = at == NULL ? n : n + 1;
    *rest = sp_slice_of(rest->p + taken, rest->n - taken);
    return at != NULL;
}

static enum sp_query_error add_parameter(sp_slice pair, const char *allowed, uint8_t *text,
                                         struct sp_query *q) {
    sp_slice name, value = pair;
    if (!take_until(&value, '=', &name) || name.n == 0) return SP_QUERY_BAD;
    if (!sp_words_contain(sp_slice_cstr(allowed), name)) return SP_QUERY_UNKNOWN;
    if (q->n == SP_QUERY_PARAMETERS_MAX) return SP_QUERY_BAD;
    for (size_t i = 0; i < q->n; i++) {
        if (sp_slice_eq(q->item[i].name, name)) return SP_QUERY_DUPLICATE;
    }
    size_t n;
    if (!sp_ok(sp_percent_decode(value, SP_PERCENT_QUERY_VALUE, text, &n)) || n == 0) return SP_QUERY_BAD;
    q->item[q->n].name = name;
    q->item[q->n].value = sp_slice_of(text, n);
    q->n++;
    return SP_QUERY_OK;
}

enum sp_query_error sp_query_parse(sp_slice raw, const char *allowed, uint8_t *text, struct sp_query *ret) {
    struct sp_query q = {.n = 0};
    bool more = raw.n > 0;
    while (more) {
        sp_slice pair;
        more = take_until(&raw, '&', &pair);
        enum sp_query_error e = add_parameter(pair, allowed, text, &q);
        if (e != SP_QUERY_OK) return e;
        text += q.item[q.n - 1].value.n;
    }
    *ret = q;
    return SP_QUERY_OK;
}

sp_slice sp_query_get(const struct sp_query *q, const char *name) {
    for (size_t i = 0; i < q->n; i++) {
        if (sp_slice_eq_cstr(q->item[i].name, name)) return q->item[i].value;
    }
    return SP_SLICE_EMPTY;
}
