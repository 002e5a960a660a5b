#include "http/exchange.h"

#include <time.h>

#include "base/assert.h"
#include "http/challenge.h"
#include "http/cors.h"
#include "http/page.h"
#include "http/traceparent.h"

static const struct {
    int status;
    const char *code, *title;
} problems[SP_PROBLEM_COUNT] = {
#define X(name, status, code, title) [SP_PROBLEM_##name] = {status, code, title},
#include "http/problems.def"
#undef X
};

enum {
    /* overload passes in the time of a few password hashes; a restart of the store in about as much */
    RETRY_AFTER_S = 1,
    ERROR_DESCRIPTION_BYTES_MAX = 512, /* two sentences of ours */
};

void sp_x_header(struct sp_exchange *x, const char *name, sp_slice value) {
    if (x->n_headers == SP_REPLY_HEADERS_MAX || !sp_ok(sp_buf_append(&x->header_text, value))) {
        x->failed = true;
        return;
    }
    x->header[x->n_headers].name = name;
    x->header[x->n_headers].at = x->header_text.n - value.n;
    x->header[x->n_headers].n = value.n;
    x->n_headers++;
}

static void header_cstr(struct sp_exchange *x, const char *name, const char *value) {
    sp_x_header(x, name, sp_slice_cstr(value));
}

static bool has_header(const struct sp_exchange *x, const char *name) {
    for (size_t i = 0; i < x->n_headers; i++) {
        if (strcmp(x->header[i].name, name) == 0) return true;
    }
    return false;
}

static void header_unless(struct sp_exchange *x, const char *name, const char *value) {
    if (!has_header(x, name)) header_cstr(x, name, value);
}

/* RFC 6797 section 7.2: over HTTPS only. Who speaks it to browsers, we or a proxy, the issuer tells; the
 * metrics listener is plain. */
static void add_hsts(struct sp_exchange *x) {
    const bool is_plain = sp_http_req_user(x->req) == (void *)sp_http_listener_metrics;
    if (x->api->hsts.n != 0 && !is_plain)
        sp_x_header(x, "Strict-Transport-Security", SP_TEXT_SLICE(&x->api->hsts));
}

/* On every answer. What is fetched from here is data, unless it is a page, which says so itself (page.h):
 * nothing of it may run, be framed, be guessed to be something else, or be kept. */
static void add_common_headers(struct sp_exchange *x) {
    header_unless(x, "Cache-Control", "no-store");
    header_cstr(x, "X-Content-Type-Options", "nosniff");
    header_unless(x, "Content-Security-Policy",
                  "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'");
    header_unless(x, "Cross-Origin-Resource-Policy", "same-origin"); /* says nothing to CORS */
    header_unless(x, "Referrer-Policy", "no-referrer");
    add_hsts(x);
    sp_x_header(x, "X-Request-Id", SP_SLICE_ARRAY(x->request_id));
    sp_x_cors(x);
}

/* So that our log line can be found from the caller's trace; "-" without a well-formed one. It is the
 * client's word and decides nothing. */
static sp_slice trace_id(const struct sp_exchange *x) {
    sp_slice v = SP_SLICE_EMPTY, id = SP_SLICE_LIT("-");
    if (sp_http_req_header(x->req, "traceparent", &v) == SP_HTTP_SINGLE)
        SP_IGNORE(sp_traceparent_parse(v, &id));
    return id;
}

int64_t sp_x_clock_us(void) {
    struct timespec t;
    sp_assert(clock_gettime(CLOCK_MONOTONIC, &t) == 0);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* Pattern and not path: a path holds names and ids, a query may hold anything. */
static void log_request(const struct sp_exchange *x, const char *pattern, int status, int64_t took_us) {
    const struct sp_http_api *api = x->api;
    if (api->request_log == SP_REQUEST_LOG_OFF && status < 500) return;
    enum sp_log_level level = api->request_log == SP_REQUEST_LOG_INFO ? SP_LOG_INFO : SP_LOG_DEBUG;
    SP_LOG(&api->log, status >= 500 ? SP_LOG_WARN : level, "http_request",
           SP_LOGF_TEXT("request_id", SP_SLICE_ARRAY(x->request_id)), SP_LOGF_TEXT("trace_id", trace_id(x)),
           SP_LOGF_TEXT("method", sp_http_req_method_text(x->req)),
           SP_LOGF_TEXT("route", sp_slice_cstr(pattern == NULL ? "-" : pattern)),
           SP_LOGF_I64("status", status), SP_LOGF_I64("us", took_us),
           SP_LOGF_TEXT("address", x->call.address.n == 0 ? SP_SLICE_LIT("-") : x->call.address));
}

static void observe(const struct sp_exchange *x, int status) {
    const struct sp_http_api *api = x->api;
    const char *pattern = x->route == NULL ? NULL : x->route->pattern;
    int64_t took_us = sp_x_clock_us() - x->began_us;
    log_request(x, pattern, status, took_us);
    if (api->seen == NULL) return;
    const struct sp_http_seen seen = {.method = sp_http_req_method(x->req),
                                      .pattern = pattern,
                                      .route =
                                          x->route == NULL ? sp_routes_n : (size_t)(x->route - sp_routes),
                                      .status = status,
                                      .took_us = took_us};
    api->seen(api->seen_arg, &seen);
}

static void exchange_free(struct sp_exchange *x) {
    sp_json_in_done(&x->body);
    sp_buf_done(&x->out);
    sp_buf_done(&x->header_text);
    free(x->text);
    if (x->form != NULL) sp_wipe(x->form, x->form_n);
    free(x->form);
    sp_wipe(x, sizeof(*x));
    free(x);
}

static struct sp_http_response make_response(const struct sp_exchange *x, int status,
                                             struct sp_http_header headers[SP_REPLY_HEADERS_MAX]) {
    for (size_t i = 0; i < x->n_headers; i++) {
        headers[i].name = sp_slice_cstr(x->header[i].name);
        headers[i].value = sp_slice_of(x->header_text.p + x->header[i].at, x->header[i].n);
    }
    return (struct sp_http_response){.status = status, .headers = headers, .n_headers = x->n_headers};
}

/* The client has its 500 from the server. */
static void log_refused(const struct sp_exchange *x, sp_status st) {
    SP_LOG(&x->api->log, SP_LOG_ERROR, "http_reply_refused",
           SP_LOGF_TEXT("request_id", SP_SLICE_ARRAY(x->request_id)),
           SP_LOGF_TEXT("why", sp_slice_cstr(sp_code_name(st.code))));
}

static void send_reply(struct sp_exchange *x, int status) {
    struct sp_http_header headers[SP_REPLY_HEADERS_MAX];
    struct sp_http_response response = make_response(x, status, headers);
    response.body = sp_buf_slice(&x->out);
    observe(x, status);
    sp_status st = sp_http_reply(x->req, &response);
    if (!sp_ok(st)) log_refused(x, st);
    exchange_free(x);
}

static enum sp_route_style style_of(const struct sp_exchange *x) {
    return x->sibling == NULL ? SP_STYLE_PROBLEM : sp_route_style(x->sibling);
}

static void start_over(struct sp_exchange *x) {
    sp_buf_clear(&x->out);
    x->json = SP_JSON_OUT(&x->out);
}

/* An answer that cannot be built at all: no body, and the headers that still fit. */
static void send_bare_500(struct sp_exchange *x) {
    sp_buf_clear(&x->out);
    x->n_headers = 0;
    send_reply(x, 500);
}

struct problem {
    int status;
    const char *code, *title;
    const char *detail;      /* NULL: none */
    const char *reason;      /* NULL: none */
    uint32_t retry_after_s;  /* 0: as the status asks for */
    const char *oauth_error; /* what OAuth calls it; NULL: as the status says */
};

static void write_problem(struct sp_exchange *x, const struct problem *p) {
    struct sp_json_out *o = &x->json;
    sp_json_out_object(o, NULL);
    if (!o->failed)
        o->failed = !sp_ok(sp_buf_printf(&x->out, "\"type\":\"urn:sallyport:problem:%s\"", p->code));
    o->comma = true;
    sp_json_out_text(o, "title", sp_slice_cstr(p->title));
    sp_json_out_i64(o, "status", p->status);
    sp_json_out_text(o, "code", sp_slice_cstr(p->code));
    if (p->detail != NULL) sp_json_out_text(o, "detail", sp_slice_cstr(p->detail));
    if (p->reason != NULL) sp_json_out_text(o, "reason", sp_slice_cstr(p->reason));
    sp_json_out_object_end(o);
    header_cstr(x, "Content-Type", "application/problem+json");
}

/* RFC 6749 section 5.2 has a word for few of the things that HTTP can refuse. */
static const char *oauth_error(const struct problem *p) {
    if (p->oauth_error != NULL) return p->oauth_error;
    if (p->status == 403) return "access_denied";
    if (p->status == 503) return "temporarily_unavailable";
    return p->status >= 500 ? "server_error" : "invalid_request";
}

static void write_oauth_error(struct sp_exchange *x, const struct problem *p) {
    struct sp_json_out *o = &x->json;
    sp_json_out_object(o, NULL);
    sp_json_out_text(o, "error", sp_slice_cstr(oauth_error(p)));
    if (p->title != NULL && p->detail != NULL) {
        SP_AUTO(sp_buf) b = SP_BUF_INIT(ERROR_DESCRIPTION_BYTES_MAX);
        if (!sp_ok(sp_buf_printf(&b, "%s: %s", p->title, p->detail))) x->failed = true;
        sp_json_out_text(o, "error_description", sp_buf_slice(&b));
    } else if (p->title != NULL) {
        sp_json_out_text(o, "error_description", sp_slice_cstr(p->title));
    }
    sp_json_out_object_end(o);
    header_cstr(x, "Content-Type", "application/json");
    header_cstr(x, "Pragma", "no-cache"); /* RFC 6749 section 5.1 */
}

static void write_body(struct sp_exchange *x, const struct problem *p) {
    switch (style_of(x)) {
    case SP_STYLE_PROBLEM: write_problem(x, p); return;
    case SP_STYLE_OAUTH: write_oauth_error(x, p); return;
    case SP_STYLE_PAGE: break;
    }
    sp_page_error(x, oauth_error(p), p->title, p->detail);
}

/* ---- challenges ---- */

static void add_challenge(struct sp_exchange *x, const struct sp_challenge *c) {
    SP_AUTO(sp_buf) b = SP_BUF_INIT(SP_CHALLENGE_BYTES_MAX);
    if (!sp_ok(sp_challenge_write(c, &b))) x->failed = true;
    sp_x_header(x, "WWW-Authenticate", sp_buf_slice(&b));
}

/* How a token was shown is what is wrong, or on userinfo what came with it. */
static bool is_shown_wrongly(const struct sp_exchange *x, const struct problem *p) {
    if (p->status != 400) return false;
    if (x->route != NULL && x->route->auth == SP_AUTH_TOKEN)
        return strcmp(oauth_error(p), "invalid_request") == 0;
    return strcmp(p->code, "malformed_authorization") == 0 || strcmp(p->code, "ambiguous_credentials") == 0;
}

/* Errors of a token that was shown, in the words of RFC 6750, 9449 and 9470; NULL: it is about something
 * else. */
static const char *token_error(const struct problem *p) {
    static const char *const of_tokens[] = {"invalid_token", "invalid_dpop_proof", "use_dpop_nonce",
                                            "insufficient_user_authentication", "insufficient_scope"};
    const char *code = p->oauth_error != NULL ? p->oauth_error : p->code;
    if (strcmp(code, "permission_denied") == 0) return "insufficient_scope";
    for (size_t i = 0; i < SP_ARRAY_LEN(of_tokens); i++) {
        if (strcmp(code, of_tokens[i]) == 0) return of_tokens[i];
    }
    return NULL;
}

/* RFC 9110 section 11.6.1: every 401 says how to do better. RFC 6750 section 3: the error only when a token
 * was given. With the scheme that was used the error, and the other one as an offer. */
static void challenge_token(struct sp_exchange *x, const struct problem *p) {
    struct sp_challenge c = SP_CHALLENGE_INIT;
    const enum sp_challenge_scheme used = x->is_dpop ? SP_CHALLENGE_DPOP : SP_CHALLENGE_BEARER;
    c.error = is_shown_wrongly(x, p) ? "invalid_request" : token_error(p);
    if (p->status != 401 && c.error == NULL) return;
    if (c.error != NULL) c.description = p->title;
    c.scope = x->wanted.scope;
    c.acr_values = x->wanted.acr;
    if (x->wanted.has_max_age) c.max_age_s = x->wanted.max_age_s;
    c.scheme = used;
    add_challenge(x, &c);
    if (p->status != 401 || x->route == NULL || x->route->auth == SP_AUTH_NONE) return;
    const struct sp_challenge other = {
        .scheme = used == SP_CHALLENGE_DPOP ? SP_CHALLENGE_BEARER : SP_CHALLENGE_DPOP, .max_age_s = -1};
    add_challenge(x, &other);
}

static void add_challenges(struct sp_exchange *x, const struct problem *p) {
    if (p->status != 401 && p->status != 403 && !is_shown_wrongly(x, p)) return;
    const enum sp_route_auth auth = x->route == NULL ? SP_AUTH_NONE : x->route->auth;
    if (auth == SP_AUTH_PAGE) return;
    if (auth == SP_AUTH_FEED || auth == SP_AUTH_CLIENT) {
        /* RFC 6749 section 5.2: whoever used the header is told so; a browser would ask its person. */
        const bool wanted = p->status == 401 && (auth == SP_AUTH_FEED || x->shows_authorization);
        const char *realm = auth == SP_AUTH_FEED ? "Basic realm=\"sallyport feed\", charset=\"UTF-8\""
                                                 : "Basic realm=\"sallyport\", charset=\"UTF-8\"";
        if (wanted) header_cstr(x, "WWW-Authenticate", realm);
        return;
    }
    challenge_token(x, p);
}

static void add_retry_after(struct sp_exchange *x, uint32_t seconds) {
    char text[16];
    int n = snprintf(text, sizeof(text), "%u", seconds);
    sp_x_header(x, "Retry-After", sp_slice_of(text, (size_t)n));
}

static void send_problem(struct sp_exchange *x, const struct problem *p) {
    start_over(x);
    write_body(x, p);
    add_challenges(x, p);
    if (p->retry_after_s != 0) {
        add_retry_after(x, p->retry_after_s);
    } else if (p->status == 503) {
        add_retry_after(x, RETRY_AFTER_S);
    }
    add_common_headers(x);
    if (x->failed || x->json.failed) {
        send_bare_500(x);
        return;
    }
    send_reply(x, p->status);
}

void sp_x_problem_detail(struct sp_exchange *x, enum sp_problem problem, const char *detail) {
    sp_assert(problem < SP_PROBLEM_COUNT);
    send_problem(x, &(struct problem){.status = problems[problem].status,
                                      .code = problems[problem].code,
                                      .title = problems[problem].title,
                                      .detail = detail});
}

void sp_x_problem(struct sp_exchange *x, enum sp_problem problem) {
    sp_x_problem_detail(x, problem, NULL);
}

void sp_x_problem_body(struct sp_exchange *x, enum sp_json_in_error e, const char *field) {
    int status = e == SP_JSON_IN_NO_MEMORY ? 500 : 400;
    send_problem(
        x, &(struct problem){
               .status = status, .code = sp_json_in_code(e), .title = sp_json_in_title(e), .detail = field});
}

void sp_x_outcome_why(struct sp_exchange *x, enum sp_outcome outcome, const struct sp_why *why) {
    sp_assert(outcome != SP_OUTCOME_OK && outcome < SP_OUTCOME_COUNT);
    send_problem(x, &(struct problem){.status = sp_outcome_http_status(outcome),
                                      .code = sp_outcome_code(outcome),
                                      .title = sp_outcome_title(outcome),
                                      .detail = why->detail,
                                      .reason = why->reason,
                                      .retry_after_s = why->retry_after_s});
}

void sp_x_outcome(struct sp_exchange *x, enum sp_outcome outcome) {
    sp_x_outcome_why(x, outcome, &(struct sp_why){.reason = NULL});
}

void sp_x_trouble(struct sp_exchange *x, const struct sp_oauth_trouble *trouble) {
    const char *code = sp_oauth_code(trouble->error);
    int status = sp_oauth_http_status(trouble->error);
    const bool at_token = x->route->auth == SP_AUTH_TOKEN;
    const bool about_proof =
        trouble->error == SP_OAUTH_INVALID_DPOP_PROOF || trouble->error == SP_OAUTH_USE_DPOP_NONCE;
    /* RFC 9449 section 7.1: at a resource, a proof is part of the credential. */
    if (at_token && about_proof) status = 401;
    if (at_token && about_proof) x->is_dpop = true;
    /* A page cannot be asked for a credential. */
    if (status == 401 && style_of(x) == SP_STYLE_PAGE) status = 400;
    if (trouble->error == SP_OAUTH_INSUFFICIENT_SCOPE) x->wanted.scope = SP_SLICE_LIT("openid");
    if (trouble->wants_nonce) sp_x_dpop_nonce(x);
    send_problem(x, &(struct problem){.status = status,
                                      .code = code,
                                      .title = trouble->description,
                                      .detail = x->wrong_parameter,
                                      .retry_after_s = trouble->retry_after_s,
                                      .oauth_error = code});
}

void sp_x_oauth_error(struct sp_exchange *x, enum sp_oauth_error error, const char *description) {
    sp_x_trouble(x, &(struct sp_oauth_trouble){.error = error, .description = description});
}

void sp_x_dpop_nonce(struct sp_exchange *x) {
    char nonce[SP_DPOP_NONCE_CHARS];
    sp_oauth_dpop_nonce(x->app, nonce);
    sp_x_header(x, "DPoP-Nonce", SP_SLICE_ARRAY(nonce));
}

static void fail(struct sp_exchange *x) {
    x->n_headers = 0; /* half of an answer's headers (a cookie, say) must not go out with its failure */
    sp_buf_clear(&x->header_text);
    x->failed = false;
    sp_x_outcome(x, SP_OUTCOME_INTERNAL);
}

void sp_x_reply(struct sp_exchange *x, int status) {
    if (x->out.n > 0 && !has_header(x, "Content-Type")) header_cstr(x, "Content-Type", "application/json");
    add_common_headers(x);
    if (x->failed || x->json.failed) {
        fail(x);
        return;
    }
    send_reply(x, status);
}

sp_status sp_x_stream(struct sp_exchange *x, int status, const struct sp_http_stream_opts *opts,
                      struct sp_http_stream **ret_stream) {
    add_common_headers(x);
    if (x->failed) {
        fail(x);
        return sp_err(SP_E_NOMEM);
    }
    struct sp_http_header headers[SP_REPLY_HEADERS_MAX];
    const struct sp_http_response head = make_response(x, status, headers);
    observe(x, status);
    sp_status st = sp_http_stream_begin(x->req, &head, opts, ret_stream);
    if (!sp_ok(st)) log_refused(x, st);
    exchange_free(x);
    return st;
}

void sp_x_done_plain(struct sp_exchange *x, const struct sp_plain_result *result) {
    if (result->outcome != SP_OUTCOME_OK) {
        sp_x_outcome_why(x, result->outcome, &result->why);
        return;
    }
    if (x->ends_cookies) sp_x_expire_cookies(x);
    sp_x_reply(x, 204);
}

void sp_x_done_count(struct sp_exchange *x, const struct sp_plain_result *result) {
    if (result->outcome != SP_OUTCOME_OK) {
        sp_x_outcome_why(x, result->outcome, &result->why);
        return;
    }
    if (x->ends_cookies) sp_x_expire_cookies(x);
    sp_json_out_object(&x->json, NULL);
    sp_json_out_u64(&x->json, "sessions_ended", result->count);
    sp_json_out_object_end(&x->json);
    sp_x_reply(x, 200);
}

void sp_x_set_cookie(struct sp_exchange *x, enum sp_cookie_kind kind, sp_slice value, int64_t max_age_s) {
    SP_AUTO(sp_buf) b = SP_BUF_INIT(SP_ACCESS_TOKEN_BYTES_MAX);
    if (!sp_ok(sp_cookie_write(&x->api->cookies, kind, value, max_age_s, &b))) {
        x->failed = true;
        return;
    }
    sp_x_header(x, "Set-Cookie", sp_buf_slice(&b));
}

void sp_x_expire_cookies(struct sp_exchange *x) {
    sp_x_set_cookie(x, SP_COOKIE_ACCESS, SP_SLICE_EMPTY, 0);
    sp_x_set_cookie(x, SP_COOKIE_REFRESH, SP_SLICE_EMPTY, 0);
}
