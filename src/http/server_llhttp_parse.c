/* From bytes to a request.
 *
 * Idea: the head of a request is read twice, by llhttp (strict build, no lenient flag) and by the short
 * reader below, which allows exactly the grammar of RFC 9112 and nothing else. Both must find the same end,
 * the same version and the same framing, else the request is refused. A smuggled request needs two parsers
 * that disagree; here that disagreement is itself the alarm. llhttp sees bytes as they come and so refuses
 * early; ours runs once, over the whole head, and makes the slices. Bodies with Content-Length are then a
 * matter of counting; chunked ones go through llhttp and are put together in place.
 *
 * What llhttp 8.1 lets pass and we refuse: folded headers, white space around the version, repeated Host,
 * Host missing, Content-Length twice with the same value, signs and spaces in it, Transfer-Encoding in
 * HTTP/1.0, names that look like the framing headers after a careless proxy has normalised them
 * (Content_Length).
 *
 * Turned down: llhttp's header callbacks (slower than our pass, and the checks would need a pass anyway). */
#include "http/server_llhttp.h"

/* tchar, RFC 9110 5.6.2. */
static const uint8_t token_char[256] = {
    ['!'] = 1,         ['#' ... '\''] = 1, ['*'] = 1,         ['+'] = 1, ['-'] = 1, ['.'] = 1,
    ['0' ... '9'] = 1, ['A' ... 'Z'] = 1,  ['^' ... 'z'] = 1, ['|'] = 1, ['~'] = 1,
};
/* field-vchar, obs-text, SP and HTAB, RFC 9110 5.5. */
static const uint8_t value_char[256] = {['\t'] = 1, [' ' ... '~'] = 1, [0x80 ... 0xff] = 1};
/* reg-name, IP-literal and port, RFC 3986 3.2.2; no userinfo. */
static const uint8_t host_char[256] = {
    ['!'] = 1, ['$' ... '.'] = 1, ['0' ... ';'] = 1, ['='] = 1, ['A' ... '['] = 1,
    [']'] = 1, ['_'] = 1,         ['a' ... 'z'] = 1, ['~'] = 1,
};

static bool all_of(sp_slice s, const uint8_t table[256]) {
    for (size_t i = 0; i < s.n; i++) {
        if (!table[s.p[i]]) return false;
    }
    return true;
}

static bool is_blank(uint8_t ch) {
    return ch == ' ' || ch == '\t';
}

static sp_slice trim(sp_slice s) {
    while (s.n > 0 && is_blank(s.p[0])) s = sp_slice_of(s.p + 1, s.n - 1);
    while (s.n > 0 && is_blank(s.p[s.n - 1])) s.n--;
    return s;
}

/* The next element of a comma-separated list, trimmed; false at its end. Empty elements come back empty. */
static bool list_next(sp_slice *list, sp_slice *ret_item) {
    if (list->p == NULL) return false;
    const uint8_t *comma = list->n == 0 ? NULL : memchr(list->p, ',', list->n);
    const size_t n = comma == NULL ? list->n : (size_t)(comma - list->p);
    *ret_item = trim(sp_slice_of(list->p, n));
    *list = comma == NULL ? SP_SLICE_EMPTY : sp_slice_of(comma + 1, list->n - n - 1);
    return true;
}

static bool eq(sp_slice s, const char *text) {
    return sp_slice_eq_nocase(s, sp_slice_cstr(text));
}

static enum parse_result fail(struct sp_http_req *req, enum sp_http_failure why) {
    req->failure = why;
    return PARSE_FAILED;
}

/* --- Our reader: the request line. --- */

static const struct {
    const char *name;
    enum sp_http_method method;
} methods[] = {
    {"GET", SP_HTTP_GET},     {"HEAD", SP_HTTP_HEAD},     {"POST", SP_HTTP_POST},       {"PUT", SP_HTTP_PUT},
    {"PATCH", SP_HTTP_PATCH}, {"DELETE", SP_HTTP_DELETE}, {"OPTIONS", SP_HTTP_OPTIONS},
};

static enum sp_http_method method_of(sp_slice text) {
    for (size_t i = 0; i < SP_ARRAY_LEN(methods); i++) {
        if (sp_slice_eq_cstr(text, methods[i].name)) return methods[i].method;
    }
    return SP_HTTP_OTHER;
}

/* path [ "?" query ] [ "#" fragment ] */
static void split_target(struct sp_http_req *req, sp_slice rest) {
    const uint8_t *hash = rest.n == 0 ? NULL : memchr(rest.p, '#', rest.n);
    if (hash != NULL) rest.n = (size_t)(hash - rest.p);
    const uint8_t *mark = rest.n == 0 ? NULL : memchr(rest.p, '?', rest.n);
    const size_t path_n = mark == NULL ? rest.n : (size_t)(mark - rest.p);
    req->path = path_n == 0 ? SP_SLICE_LIT("/") : sp_slice_of(rest.p, path_n);
    req->query = mark == NULL ? SP_SLICE_EMPTY : sp_slice_of(mark + 1, rest.n - path_n - 1);
}

static bool starts_nocase(sp_slice s, sp_slice prefix) {
    return s.n >= prefix.n && sp_slice_eq_nocase(sp_slice_of(s.p, prefix.n), prefix);
}

/* http[s]://authority... ; what it names wins over Host (RFC 9112 3.2.2). */
static bool split_absolute(struct sp_http_req *req) {
    static const sp_slice schemes[] = {{(const uint8_t *)"http://", 7}, {(const uint8_t *)"https://", 8}};
    for (size_t i = 0; i < SP_ARRAY_LEN(schemes); i++) {
        if (!starts_nocase(req->target, schemes[i])) continue;
        const sp_slice rest = sp_slice_of(req->target.p + schemes[i].n, req->target.n - schemes[i].n);
        size_t n = 0;
        while (n < rest.n && rest.p[n] != '/' && rest.p[n] != '?' && rest.p[n] != '#') n++;
        req->host = sp_slice_of(rest.p, n);
        split_target(req, sp_slice_of(rest.p + n, rest.n - n));
        return n > 0 && all_of(req->host, host_char);
    }
    return false;
}

static bool read_target(struct sp_http_req *req) {
    for (size_t i = 0; i < req->target.n; i++) {
        if (req->target.p[i] <= ' ' || req->target.p[i] >= 0x7f) return false;
    }
    if (req->target.p[0] == '/') {
        split_target(req, req->target);
        return true;
    }
    if (sp_slice_eq_cstr(req->target, "*")) {
        req->path = req->target;
        return req->method == SP_HTTP_OPTIONS;
    }
    return split_absolute(req);
}

/* method SP target SP "HTTP/1." ( "0" / "1" ), already cut off before its CRLF. */
static enum sp_http_failure read_request_line(struct sp_http_req *req, sp_slice line) {
    const uint8_t *first = memchr(line.p, ' ', line.n);
    if (first == NULL) return FAIL_MALFORMED;
    req->method_text = sp_slice_of(line.p, (size_t)(first - line.p));
    const sp_slice rest = sp_slice_of(first + 1, line.n - req->method_text.n - 1);
    const uint8_t *second = memchr(rest.p, ' ', rest.n);
    if (second == NULL || second == rest.p) return FAIL_MALFORMED;
    req->target = sp_slice_of(rest.p, (size_t)(second - rest.p));
    const sp_slice version = sp_slice_of(second + 1, rest.n - req->target.n - 1);
    req->http_1_0 = sp_slice_eq_cstr(version, "HTTP/1.0");
    if (!req->http_1_0 && !sp_slice_eq_cstr(version, "HTTP/1.1")) {
        return version.n == 8 && sp_slice_starts(version, SP_SLICE_LIT("HTTP/")) ? FAIL_VERSION
                                                                                 : FAIL_MALFORMED;
    }
    req->method = method_of(req->method_text);
    if (req->target.n > req->conn->server->opts.url_bytes_max) return FAIL_URL_TOO_LONG;
    if (sp_slice_eq_cstr(req->method_text, "CONNECT") || sp_slice_eq_cstr(req->method_text, "PRI")) {
        return FAIL_METHOD; /* we are no tunnel and speak no HTTP/2 */
    }
    return read_target(req) ? FAIL_NONE : FAIL_MALFORMED;
}

/* --- Our reader: headers. --- */

/* A line without its CRLF; false when there is none, or a CR or LF stands alone. */
static bool take_line(sp_slice *rest, sp_slice *ret_line) {
    const uint8_t *cr = rest->n == 0 ? NULL : memchr(rest->p, '\r', rest->n);
    if (cr == NULL) return false;
    const size_t n = (size_t)(cr - rest->p);
    if (n + 1 >= rest->n || cr[1] != '\n') return false;
    *ret_line = sp_slice_of(rest->p, n);
    *rest = sp_slice_of(cr + 2, rest->n - n - 2);
    return true;
}

/* A name with token characters only, the colon directly after it, a value without control characters. A
 * folded line has no name and so is refused (RFC 9112 5.2). */
static bool read_header(sp_slice line, struct sp_http_header *ret_header) {
    size_t n = 0;
    while (n < line.n && token_char[line.p[n]]) n++;
    if (n == 0 || n == line.n || line.p[n] != ':') return false;
    const sp_slice value = trim(sp_slice_of(line.p + n + 1, line.n - n - 1));
    if (!all_of(value, value_char)) return false;
    *ret_header = (struct sp_http_header){sp_slice_of(line.p, n), value};
    return true;
}

/* True when the name, reduced to its letters, is `letters`: what a proxy that maps '_' to '-' would make of
 * it. */
static bool looks_like(sp_slice name, const char *letters) {
    size_t at = 0;
    for (size_t i = 0; i < name.n; i++) {
        const uint8_t lower = name.p[i] | 0x20;
        if (lower < 'a' || lower > 'z') continue;
        if (letters[at] == '\0' || lower != (uint8_t)letters[at]) return false;
        at++;
    }
    return letters[at] == '\0';
}

static bool is_framing_lookalike(sp_slice name) {
    return looks_like(name, "contentlength") || looks_like(name, "transferencoding");
}

/* The headers that decide how the message ends and what becomes of the connection. */
struct framing {
    sp_slice host, length, coding, expect;
    size_t n_host, n_length, n_coding, n_expect;
    bool close;
};

static void note_connection(struct framing *f, sp_slice list) {
    sp_slice item;
    while (list_next(&list, &item)) {
        if (eq(item, "close")) f->close = true;
    }
}

static bool note_header(struct framing *f, const struct sp_http_header *h) {
    switch (h->name.n) {
    case 4:
        if (eq(h->name, "host")) f->host = h->value, f->n_host++;
        return true;
    case 6:
        if (eq(h->name, "expect")) f->expect = h->value, f->n_expect++;
        return true;
    case 10:
        if (eq(h->name, "connection")) note_connection(f, h->value);
        return true;
    case 14:
        if (eq(h->name, "content-length")) {
            f->length = h->value, f->n_length++;
            return true;
        }
        break;
    case 17:
        if (eq(h->name, "transfer-encoding")) {
            f->coding = h->value, f->n_coding++;
            return true;
        }
        break;
    default: break;
    }
    return h->name.n < sizeof("contentlength") - 1 || !is_framing_lookalike(h->name);
}

/* Digits only; "003" is allowed by the grammar and means 3 to everyone. */
static bool read_length(sp_slice s, uint64_t *ret) {
    uint64_t v = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9') return false;
        if (__builtin_mul_overflow(v, 10u, &v) || __builtin_add_overflow(v, s.p[i] - '0', &v)) return false;
    }
    *ret = v;
    return s.n > 0;
}

/* Codings that exist, `chunked` once and last: the end of the message is then certain, whether or not anybody
 * here can undo the others. */
static bool read_codings(sp_slice list) {
    static const char *const known[] = {"gzip", "x-gzip", "deflate", "compress", "x-compress", "identity"};
    sp_slice item;
    bool chunked = false;
    while (list_next(&list, &item)) {
        if (chunked) return false;
        chunked = eq(item, "chunked");
        bool found = chunked;
        for (size_t i = 0; i < SP_ARRAY_LEN(known); i++) found = found || eq(item, known[i]);
        if (!found) return false;
    }
    return chunked;
}

static enum sp_http_failure decide_body(struct sp_http_req *req, const struct framing *f) {
    if (f->n_coding > 1 || f->n_length > 1 || (f->n_coding > 0 && (f->n_length > 0 || req->http_1_0))) {
        return FAIL_MALFORMED;
    }
    if (f->n_coding == 1) {
        if (!read_codings(f->coding)) return FAIL_CODING;
        req->body_kind = BODY_CHUNKED;
    } else if (f->n_length == 1) {
        if (!read_length(f->length, &req->content_length)) return FAIL_MALFORMED;
        if (req->content_length > req->conn->server->opts.body_bytes_max) return FAIL_BODY_TOO_LARGE;
        if (req->content_length > 0) req->body_kind = BODY_LENGTH;
    }
    return FAIL_NONE;
}

static enum sp_http_failure decide_host(struct sp_http_req *req, const struct framing *f) {
    if (f->n_host > 1 || (f->n_host == 0 && !req->http_1_0)) return FAIL_MALFORMED;
    if (!all_of(f->host, host_char)) return FAIL_MALFORMED;
    if (req->host.p == NULL) req->host = f->host;
    return FAIL_NONE;
}

static enum sp_http_failure decide_expect(struct sp_http_req *req, const struct framing *f) {
    if (f->n_expect == 0 || req->http_1_0) return FAIL_NONE; /* RFC 9110 10.1.1: ignored from HTTP/1.0 */
    if (f->n_expect > 1 || !eq(f->expect, "100-continue")) return FAIL_EXPECTATION;
    req->expect_continue = req->body_kind != BODY_NONE;
    return FAIL_NONE;
}

static enum sp_http_failure decide(struct sp_http_req *req, const struct framing *f) {
    enum sp_http_failure why = decide_body(req, f);
    if (why == FAIL_NONE) why = decide_host(req, f);
    if (why == FAIL_NONE) why = decide_expect(req, f);
    /* A body in a GET has no meaning; proxies differ in whether they forward it. It is read, and nothing
     * after it. */
    const bool odd_body =
        req->body_kind != BODY_NONE && (req->method == SP_HTTP_GET || req->method == SP_HTTP_HEAD);
    req->keep_alive = !req->http_1_0 && !f->close && !odd_body;
    return why;
}

static enum sp_http_failure read_head(struct sp_http_req *req) {
    sp_slice rest = sp_slice_of(req->buf + req->start, req->head_end - req->start), line;
    if (!take_line(&rest, &line)) return FAIL_MALFORMED;
    enum sp_http_failure why = read_request_line(req, line);
    if (why != FAIL_NONE) return why;
    struct framing f = {0};
    for (;;) {
        if (!take_line(&rest, &line)) return FAIL_MALFORMED;
        if (line.n == 0) break;
        if (req->n_headers == SP_HTTP_HEADERS_MAX) return FAIL_HEADERS_TOO_LARGE;
        struct sp_http_header *h = &req->headers[req->n_headers];
        if (!read_header(line, h) || !note_header(&f, h)) return FAIL_MALFORMED;
        req->n_headers++;
    }
    if (rest.n != 0) return FAIL_MALFORMED; /* llhttp found another end */
    return decide(req, &f);
}

/* --- llhttp. --- */

static int on_headers_complete(llhttp_t *parser) {
    (void)parser;
    return HPE_PAUSED;
}

static int on_body(llhttp_t *parser, const char *at, size_t n) {
    struct sp_http_req *req = parser->data;
    if (n > req->conn->server->opts.body_bytes_max - req->body_n) {
        req->failure = FAIL_BODY_TOO_LARGE;
        return -1;
    }
    memmove(req->buf + req->head_end + req->body_n, at, n);
    req->body_n += n;
    return 0;
}

static int on_message_complete(llhttp_t *parser) {
    (void)parser;
    return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
};

void sp_http_parse_begin(struct sp_http_req *req) {
    llhttp_init(&req->parser, HTTP_REQUEST, &settings);
    req->parser.data = req;
}

/* Both readers must have understood the same message. */
static bool llhttp_agrees(const struct sp_http_req *req) {
    const llhttp_t *p = &req->parser;
    const bool chunked = (p->flags & F_CHUNKED) != 0;
    if (chunked != (req->body_kind == BODY_CHUNKED)) return false;
    if (!chunked && p->content_length != req->content_length) return false;
    return p->http_major == 1 && p->http_minor == (req->http_1_0 ? 0 : 1);
}

/* A well-formed method that we do not know is 501; anything else (a TLS greeting, say) is 400. */
static enum sp_http_failure method_failure(const struct sp_http_req *req) {
    size_t i = req->start;
    while (i < req->end && token_char[req->buf[i]]) i++;
    return i > req->start && i < req->end && req->buf[i] == ' ' ? FAIL_METHOD : FAIL_MALFORMED;
}

/* 505 for a version that there might be ("HTTP/2.0"), 400 for what is none. */
static enum sp_http_failure version_failure(const struct sp_http_req *req) {
    static const char mark[] = " HTTP/";
    const uint8_t *end = req->buf + req->end;
    const uint8_t *at = memmem(req->buf + req->start, req->end - req->start, mark, sizeof(mark) - 1);
    if (at == NULL || end - at < 9) return FAIL_MALFORMED;
    const uint8_t *v = at + sizeof(mark) - 1;
    const bool digits = v[0] >= '0' && v[0] <= '9' && v[1] == '.' && v[2] >= '0' && v[2] <= '9';
    return digits && (v + 3 == end || v[3] == '\r') ? FAIL_VERSION : FAIL_MALFORMED;
}

static enum sp_http_failure llhttp_failure(const struct sp_http_req *req, llhttp_errno_t err) {
    if (err == HPE_INVALID_METHOD) return method_failure(req);
    if (err == HPE_INVALID_VERSION || err == HPE_PAUSED_H2_UPGRADE) return version_failure(req);
    return FAIL_MALFORMED;
}

/* Skips CRLFs before the request line; false when something odd stands there. */
static bool skip_empty_lines(struct sp_http_req *req) {
    while (req->parsed + 1 < req->end && req->buf[req->parsed] == '\r' && req->buf[req->parsed + 1] == '\n') {
        if (req->start == 2 * SP_HTTP_EMPTY_LINES_MAX) return false;
        req->start += 2;
        req->parsed = req->start;
    }
    if (req->parsed == req->end || req->buf[req->parsed] == '\n') return req->parsed == req->end;
    return req->buf[req->parsed] != '\r' || req->parsed + 1 == req->end;
}

/* llhttp 8 does not know QUERY, which is like SEARCH: a safe method with a body. No method that it knows
 * begins with Q. */
static bool begin_line(struct sp_http_req *req) {
    static const char query[] = "QUERY ";
    const size_t n = req->end - req->start;
    if (req->buf[req->start] != 'Q') return true;
    if (n < sizeof(query) - 1) return memcmp(req->buf + req->start, query, n) != 0;
    if (memcmp(req->buf + req->start, query, sizeof(query) - 1) == 0) {
        req->parsed += sizeof(query) - 2;
        (void)llhttp_execute(&req->parser, "SEARCH", 6);
    }
    return true;
}

/* No end of the head in sight: is there still room for one? */
static enum parse_result head_unfinished(struct sp_http_req *req) {
    const struct sp_http_opts *opts = &req->conn->server->opts;
    const size_t n = req->parsed - req->start;
    const size_t line_max = opts->url_bytes_max + 64; /* longest method, spaces, version */
    const bool one_line = memchr(req->buf + req->start, '\n', n) == NULL;
    if (one_line && (n >= line_max || n >= opts->header_bytes_max)) return fail(req, FAIL_URL_TOO_LONG);
    return n >= opts->header_bytes_max ? fail(req, FAIL_HEADERS_TOO_LARGE) : PARSE_MORE;
}

static enum parse_result head_finished(struct sp_http_req *req) {
    req->parsed = (size_t)((const uint8_t *)llhttp_get_error_pos(&req->parser) - req->buf);
    req->head_end = req->parsed;
    const enum sp_http_failure why = read_head(req);
    if (why != FAIL_NONE) return fail(req, why);
    if (!llhttp_agrees(req)) return fail(req, FAIL_MALFORMED);
    req->head_done = true;
    return PARSE_COMPLETE;
}

static enum parse_result parse_head(struct sp_http_req *req) {
    if (req->parsed == req->start) {
        if (!skip_empty_lines(req)) return fail(req, FAIL_MALFORMED);
        if (req->parsed == req->end || req->buf[req->parsed] == '\r') return PARSE_MORE;
        if (!begin_line(req)) return PARSE_MORE;
    }
    const size_t limit = req->start + req->conn->server->opts.header_bytes_max;
    const size_t until = req->end < limit ? req->end : limit;
    const char *from = (const char *)req->buf + req->parsed;
    const llhttp_errno_t err = llhttp_execute(&req->parser, from, until - req->parsed);
    if (err == HPE_PAUSED) return head_finished(req);
    if (err != HPE_OK) return fail(req, llhttp_failure(req, err));
    req->parsed = until;
    return head_unfinished(req);
}

static enum parse_result parse_length_body(struct sp_http_req *req) {
    const size_t there = req->end - req->head_end;
    if (there < req->content_length) {
        req->parsed = req->end;
        return PARSE_MORE;
    }
    req->body_n = (size_t)req->content_length;
    req->parsed = req->head_end + req->body_n;
    return PARSE_COMPLETE;
}

/* More wire than any honest chunking of the largest body needs: the sender is buying our time with empty
 * words. */
static bool too_much_wire(struct sp_http_req *req, size_t n) {
    req->body_wire_n += n;
    const size_t max =
        req->conn->server->opts.body_bytes_max * SP_HTTP_BODY_WIRE_FACTOR + SP_HTTP_BODY_WIRE_EXTRA;
    return req->body_wire_n > max;
}

static enum parse_result parse_chunked_body(struct sp_http_req *req) {
    const char *from = (const char *)req->buf + req->parsed;
    const size_t n = req->end - req->parsed;
    llhttp_resume(&req->parser);
    const llhttp_errno_t err = llhttp_execute(&req->parser, from, n);
    if (err == HPE_PAUSED) {
        req->parsed = (size_t)((const uint8_t *)llhttp_get_error_pos(&req->parser) - req->buf);
        return PARSE_COMPLETE;
    }
    if (err != HPE_OK) return fail(req, req->failure != FAIL_NONE ? req->failure : FAIL_MALFORMED);
    if (too_much_wire(req, n)) return fail(req, FAIL_BODY_TOO_LARGE);
    /* All of it is parsed and the data has moved to the front: what comes next may overwrite the wire's form.
     */
    req->parsed = req->end = req->head_end + req->body_n;
    return PARSE_MORE;
}

enum parse_result sp_http_parse(struct sp_http_req *req) {
    if (req->parsed == req->end) return PARSE_MORE;
    if (!req->head_done) {
        const enum parse_result r = parse_head(req);
        if (r != PARSE_COMPLETE) return r;
    }
    switch (req->body_kind) {
    case BODY_LENGTH: return parse_length_body(req);
    case BODY_CHUNKED: return req->parsed == req->end ? PARSE_MORE : parse_chunked_body(req);
    case BODY_NONE: break;
    }
    return PARSE_COMPLETE;
}
