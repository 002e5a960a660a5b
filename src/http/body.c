/* The body of a request, and the parameters that lists share. */
#include "http/exchange.h"

static sp_slice trim(sp_slice s) {
    while (s.n > 0 && (s.p[0] == ' ' || s.p[0] == '\t')) s = sp_slice_of(s.p + 1, s.n - 1);
    while (s.n > 0 && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t')) s.n--;
    return s;
}

/* application/json, alone or with charset=utf-8. Anything else is what a form on another site could send, or
 * nothing that we can read. */
static bool is_json_type(sp_slice type) {
    const uint8_t *semi = type.n == 0 ? NULL : memchr(type.p, ';', type.n);
    size_t n = semi == NULL ? type.n : (size_t)(semi - type.p);
    if (!sp_slice_eq_nocase(trim(sp_slice_of(type.p, n)), SP_SLICE_LIT("application/json"))) return false;
    if (semi == NULL) return true;
    sp_slice parameter = trim(sp_slice_of(semi + 1, type.n - n - 1));
    return sp_slice_eq_nocase(parameter, SP_SLICE_LIT("charset=utf-8")) ||
           sp_slice_eq_nocase(parameter, SP_SLICE_LIT("charset=\"utf-8\""));
}

/* A coding that the server has not undone would hide what the body is. */
static bool is_coded(const struct sp_exchange *x) {
    sp_slice coding;
    return sp_http_req_header(x->req, "Content-Encoding", &coding) != SP_HTTP_ABSENT &&
           !sp_slice_eq_nocase(coding, SP_SLICE_LIT("identity"));
}

bool sp_x_has_body(const struct sp_exchange *x) {
    return sp_http_req_body(x->req).n > 0;
}

enum sp_step sp_x_check_body(struct sp_exchange *x) {
    if (x->route->body == SP_BODY_NONE) {
        if (!sp_x_has_body(x)) return SP_GO_ON;
        sp_x_problem(x, SP_PROBLEM_BODY_NOT_ALLOWED);
        return SP_ANSWERED;
    }
    sp_slice type = SP_SLICE_EMPTY;
    enum sp_http_presence typed = sp_http_req_header(x->req, "Content-Type", &type);
    if (x->route->body == SP_BODY_JSON_OPTIONAL && !sp_x_has_body(x) && typed == SP_HTTP_ABSENT)
        return SP_GO_ON;
    if (typed == SP_HTTP_SINGLE && is_json_type(type) && !is_coded(x)) return SP_GO_ON;
    sp_x_problem(x, SP_PROBLEM_UNSUPPORTED_MEDIA_TYPE);
    return SP_ANSWERED;
}

enum sp_step sp_x_read_body(struct sp_exchange *x, struct sp_json_in_field *fields, size_t n) {
    sp_slice body = sp_http_req_body(x->req);
    if (body.n == 0 && x->route->body == SP_BODY_JSON_OPTIONAL) body = SP_SLICE_LIT("{}");
    enum sp_json_in_error e = sp_json_in_parse(&x->body, body, fields, n);
    if (e == SP_JSON_IN_OK) return SP_GO_ON;
    sp_x_problem_body(x, e, x->body.field);
    return SP_ANSWERED;
}

enum sp_step sp_x_read_limit(struct sp_exchange *x, uint32_t *ret_limit) {
    sp_slice text = sp_query_get(&x->query, "limit");
    uint64_t limit = SP_PAGE_DEFAULT;
    if (text.n > 0 && (!sp_slice_to_u64(text, &limit) || limit == 0 || limit > SP_PAGE_MAX)) {
        sp_x_problem_detail(x, SP_PROBLEM_BAD_PARAMETER, "limit");
        return SP_ANSWERED;
    }
    *ret_limit = (uint32_t)limit;
    return SP_GO_ON;
}
