#include "http/cors.h"

/* What our clients send, and what they must be able to read. */
#define ALLOWED_HEADERS "Authorization, Content-Type, DPoP, Prefer"
#define EXPOSED_HEADERS "WWW-Authenticate, DPoP-Nonce, Retry-After, X-Request-Id"

static bool is_shared(const struct sp_exchange *x) {
    return x->sibling != NULL && x->api->n_cors != 0 && sp_route_is_shared(x->sibling);
}

/* The configured origin that the request comes from; NULL when it is another, or none. */
static const sp_slice *allowed_origin(const struct sp_exchange *x) {
    sp_slice origin;
    if (!is_shared(x) || sp_http_req_header(x->req, "Origin", &origin) != SP_HTTP_SINGLE) return NULL;
    for (size_t i = 0; i < x->api->n_cors; i++) {
        if (sp_slice_eq(origin, x->api->cors[i])) return &x->api->cors[i];
    }
    return NULL;
}

void sp_x_cors(struct sp_exchange *x) {
    if (!is_shared(x)) return;
    sp_x_header(x, "Vary", SP_SLICE_LIT("Origin"));
    const sp_slice *origin = allowed_origin(x);
    if (origin == NULL) return;
    sp_x_header(x, "Access-Control-Allow-Origin", *origin);
    sp_x_header(x, "Access-Control-Expose-Headers", SP_SLICE_LIT(EXPOSED_HEADERS));
}

/* HEAD and GET are always allowed, and so is POST; a preflight asks for them too when headers need one. */
static bool has_method(uint32_t methods, sp_slice name) {
    enum sp_http_method m = sp_route_method(name);
    if (m == SP_HTTP_HEAD) m = SP_HTTP_GET;
    return m != SP_HTTP_OTHER && (methods & 1u << m) != 0;
}

void sp_x_preflight(struct sp_exchange *x, uint32_t methods, sp_slice allow) {
    sp_slice wanted;
    if (sp_http_req_header(x->req, "Access-Control-Request-Method", &wanted) != SP_HTTP_SINGLE ||
        allowed_origin(x) == NULL || !has_method(methods, wanted))
        return;
    char seconds[16];
    const int n = snprintf(seconds, sizeof(seconds), "%d", SP_CORS_MAX_AGE_S);
    sp_x_header(x, "Access-Control-Allow-Methods", allow);
    sp_x_header(x, "Access-Control-Allow-Headers", SP_SLICE_LIT(ALLOWED_HEADERS));
    sp_x_header(x, "Access-Control-Max-Age", sp_slice_of(seconds, (size_t)n));
}
