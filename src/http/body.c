/* The body of a request, and the parameters that lists share. */
#include "http/exchange.h"

static sp_slice trim(sp_slice s) {
    while (s.n > 0 && (s.p[0] == ' ' || s.p[0] == '\t')) s = sp_slice_of(s.p + 1, s.n - 1);
    while (s.n > 0 && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t')) s.n--;
    return s;
}

/* This type, alone or with charset=utf-8. Where JSON is wanted, anything else is what a form on another site
 * could send, or nothing that we can read. */
static bool is_type(sp_slice type, const char *wanted) {
    const uint8_t *semi = type.n == 0 ? NULL : memchr(type.p, ';', type.n);
    size_t n = semi == NULL ? type.n : (size_t)(semi - type.p);
    if (!sp_slice_eq_nocase(trim(sp_slice_of(type.p, n)), sp_slice_cstr(wanted))) return false;
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

static bool is_form(const struct sp_route *route) {
    return route->body == SP_BODY_FORM || route->body == SP_BODY_FORM_OPTIONAL;
}

static bool is_optional(const struct sp_route *route) {
    return route->body == SP_BODY_JSON_OPTIONAL || route->body == SP_BODY_FORM_OPTIONAL;
}

enum sp_step sp_x_check_body(struct sp_exchange *x) {
    if (x->route->body == SP_BODY_NONE) {
        if (!sp_x_has_body(x)) return SP_GO_ON;
        sp_x_problem(x, SP_PROBLEM_BODY_NOT_ALLOWED);
        return SP_ANSWERED;
    }
    sp_slice type = SP_SLICE_EMPTY;
    enum sp_http_presence typed = sp_http_req_header(x->req, "Content-Type", &type);
    if (is_optional(x->route) && !sp_x_has_body(x) && typed == SP_HTTP_ABSENT) return SP_GO_ON;
    const char *wanted = is_form(x->route) ? "application/x-www-form-urlencoded" : "application/json";
    if (typed == SP_HTTP_SINGLE && is_type(type, wanted) && !is_coded(x)) return SP_GO_ON;
    if (is_form(x->route)) {
        sp_x_oauth_error(x, SP_OAUTH_INVALID_REQUEST, "the body must be application/x-www-form-urlencoded");
    } else {
        sp_x_problem(x, SP_PROBLEM_UNSUPPORTED_MEDIA_TYPE);
    }
    return SP_ANSWERED;
}

static sp_slice form_text(const struct sp_exchange *x) {
    return x->route->method == SP_HTTP_GET ? sp_http_req_query(x->req) : sp_http_req_body(x->req);
}

enum sp_step sp_x_read_form(struct sp_exchange *x, const struct sp_form_field *fields, size_t n) {
    const sp_slice raw = form_text(x);
    x->form = malloc(raw.n == 0 ? 1 : raw.n);
    if (x->form == NULL) {
        sp_x_oauth_error(x, SP_OAUTH_SERVER_ERROR, NULL);
        return SP_ANSWERED;
    }
    x->form_n = raw.n;
    const char *name = NULL;
    const enum sp_form_error e = sp_form_parse(raw, x->form, fields, n, &name);
    if (e == SP_FORM_OK) return SP_GO_ON;
    x->wrong_parameter = name;
    sp_x_oauth_error(x, SP_OAUTH_INVALID_REQUEST, sp_form_error_text(e));
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
