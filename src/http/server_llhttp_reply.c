/* From a response to bytes.
 *
 * The head is made in the server's one scratch buffer, since only one reply is made at a time; head and body
 * leave in one gathered write. Only what the socket does not take is copied. A handler's header can neither
 * end the line nor contradict the length that we count: it is checked before the first byte is sent, and the
 * client gets a 500 instead. The scratch buffer and the leftovers are wiped, because they carry tokens. */
#include "http/server_llhttp.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/assert.h"

/* --- Status lines and dates. --- */

static const struct {
    int status;
    const char *line;
} statuses[] = {
    {200, "HTTP/1.1 200 OK\r\n"},
    {201, "HTTP/1.1 201 Created\r\n"},
    {202, "HTTP/1.1 202 Accepted\r\n"},
    {204, "HTTP/1.1 204 No Content\r\n"},
    {206, "HTTP/1.1 206 Partial Content\r\n"},
    {301, "HTTP/1.1 301 Moved Permanently\r\n"},
    {302, "HTTP/1.1 302 Found\r\n"},
    {303, "HTTP/1.1 303 See Other\r\n"},
    {304, "HTTP/1.1 304 Not Modified\r\n"},
    {307, "HTTP/1.1 307 Temporary Redirect\r\n"},
    {308, "HTTP/1.1 308 Permanent Redirect\r\n"},
    {400, "HTTP/1.1 400 Bad Request\r\n"},
    {401, "HTTP/1.1 401 Unauthorized\r\n"},
    {403, "HTTP/1.1 403 Forbidden\r\n"},
    {404, "HTTP/1.1 404 Not Found\r\n"},
    {405, "HTTP/1.1 405 Method Not Allowed\r\n"},
    {406, "HTTP/1.1 406 Not Acceptable\r\n"},
    {408, "HTTP/1.1 408 Request Timeout\r\n"},
    {409, "HTTP/1.1 409 Conflict\r\n"},
    {410, "HTTP/1.1 410 Gone\r\n"},
    {412, "HTTP/1.1 412 Precondition Failed\r\n"},
    {413, "HTTP/1.1 413 Content Too Large\r\n"},
    {414, "HTTP/1.1 414 URI Too Long\r\n"},
    {415, "HTTP/1.1 415 Unsupported Media Type\r\n"},
    {417, "HTTP/1.1 417 Expectation Failed\r\n"},
    {421, "HTTP/1.1 421 Misdirected Request\r\n"},
    {422, "HTTP/1.1 422 Unprocessable Content\r\n"},
    {428, "HTTP/1.1 428 Precondition Required\r\n"},
    {429, "HTTP/1.1 429 Too Many Requests\r\n"},
    {431, "HTTP/1.1 431 Request Header Fields Too Large\r\n"},
    {500, "HTTP/1.1 500 Internal Server Error\r\n"},
    {501, "HTTP/1.1 501 Not Implemented\r\n"},
    {502, "HTTP/1.1 502 Bad Gateway\r\n"},
    {503, "HTTP/1.1 503 Service Unavailable\r\n"},
    {504, "HTTP/1.1 504 Gateway Timeout\r\n"},
    {505, "HTTP/1.1 505 HTTP Version Not Supported\r\n"},
};

static sp_status append_status_line(struct sp_buf *b, int status) {
    for (size_t i = 0; i < SP_ARRAY_LEN(statuses); i++) {
        if (statuses[i].status == status) return sp_buf_append_cstr(b, statuses[i].line);
    }
    return sp_buf_printf(b, "HTTP/1.1 %d \r\n", status); /* RFC 9112 4: the phrase may be empty */
}

/* IMF-fixdate, RFC 9110 5.6.7; names spelled out because strftime asks the locale. */
static void make_date(struct sp_http_server *s, int64_t now_s) {
    static const char days[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    const time_t t = (time_t)now_s;
    struct tm tm = {0};
    (void)gmtime_r(&t, &tm);
    (void)snprintf(s->date, sizeof(s->date), "%.3s, %02u %.3s %04u %02u:%02u:%02u GMT",
                   days + 3 * (tm.tm_wday % 7), (unsigned)tm.tm_mday % 100, months + 3 * (tm.tm_mon % 12),
                   (unsigned)(tm.tm_year + 1900) % 10000, (unsigned)tm.tm_hour % 100,
                   (unsigned)tm.tm_min % 100, (unsigned)tm.tm_sec % 100);
    s->date_s = now_s;
}

static const char *date_now(struct sp_http_server *s) {
    const int64_t now_s = sp_loop_wall_ms(s->loop) / 1000;
    if (s->date[0] == '\0' || s->date_s != now_s) make_date(s, now_s);
    return s->date;
}

/* --- The head. --- */

/* tchar (RFC 9110 5.6.2), and what may stand in a value: tables, because every byte of every head passes
 * here.
 */
static const uint8_t token_char[256] = {
    ['!'] = 1,         ['#' ... '\''] = 1, ['*'] = 1,         ['+'] = 1, ['-'] = 1, ['.'] = 1,
    ['0' ... '9'] = 1, ['A' ... 'Z'] = 1,  ['^' ... 'z'] = 1, ['|'] = 1, ['~'] = 1,
};
static const uint8_t value_char[256] = {['\t'] = 1, [' ' ... '~'] = 1, [0x80 ... 0xff] = 1};

static bool all_of(sp_slice s, const uint8_t table[256]) {
    for (size_t i = 0; i < s.n; i++) {
        if (!table[s.p[i]]) return false;
    }
    return true;
}

static bool is_token(sp_slice s) {
    return s.n > 0 && all_of(s, token_char);
}

static bool is_value(sp_slice s) {
    return all_of(s, value_char);
}

static bool is_ours(sp_slice name) {
    static const sp_slice ours[] = {{(const uint8_t *)"Date", 4},
                                    {(const uint8_t *)"Connection", 10},
                                    {(const uint8_t *)"Content-Length", 14},
                                    {(const uint8_t *)"Transfer-Encoding", 17}};
    for (size_t i = 0; i < SP_ARRAY_LEN(ours); i++) {
        if (name.n == ours[i].n && sp_slice_eq_nocase(name, ours[i])) return true;
    }
    return false;
}

static bool has_no_body(int status) {
    return status == 204 || status == 304;
}

sp_status sp_http_check_response(const struct sp_http_server *s, const struct sp_http_response *r) {
    if (r->status < 200 || r->status > 599) return sp_err(SP_E_MALFORMED);
    if (has_no_body(r->status) && r->body.n > 0) return sp_err(SP_E_MALFORMED);
    if (r->n_headers > SP_HTTP_RESPONSE_HEADERS_MAX || r->body.n > s->opts.response_bytes_max) {
        return sp_err(SP_E_LIMIT);
    }
    for (size_t i = 0; i < r->n_headers; i++) {
        const struct sp_http_header *h = &r->headers[i];
        if (!is_token(h->name) || is_ours(h->name) || !is_value(h->value)) return sp_err(SP_E_MALFORMED);
    }
    return SP_SUCCESS;
}

static sp_status append_header(struct sp_buf *b, sp_slice name, sp_slice value) {
    SP_TRY(sp_buf_append(b, name));
    SP_TRY(sp_buf_append(b, SP_SLICE_LIT(": ")));
    SP_TRY(sp_buf_append(b, value));
    return sp_buf_append(b, SP_SLICE_LIT("\r\n"));
}

/* Digits by hand: printf would be a tenth of the whole request. */
static sp_status append_length(struct sp_buf *b, size_t n) {
    uint8_t digits[20];
    size_t at = sizeof(digits);
    do {
        digits[--at] = (uint8_t)('0' + n % 10);
        n /= 10;
    } while (n > 0);
    SP_TRY(sp_buf_append(b, SP_SLICE_LIT("Content-Length: ")));
    SP_TRY(sp_buf_append(b, sp_slice_of(digits + at, sizeof(digits) - at)));
    return sp_buf_append(b, SP_SLICE_LIT("\r\n"));
}

static sp_status append_framing(struct sp_buf *b, enum reply_framing framing, size_t n) {
    switch (framing) {
    case FRAMING_LENGTH: return append_length(b, n);
    case FRAMING_CHUNKED: return sp_buf_append(b, SP_SLICE_LIT("Transfer-Encoding: chunked\r\n"));
    case FRAMING_UNTIL_CLOSE: break;
    }
    return SP_SUCCESS;
}

sp_status sp_http_make_head(struct sp_http_server *s, const struct sp_http_response *r,
                            enum reply_framing framing, bool close) {
    struct sp_buf *b = &s->head;
    SP_TRY(append_status_line(b, r->status));
    SP_TRY(append_header(b, SP_SLICE_LIT("Date"), sp_slice_cstr(date_now(s))));
    for (size_t i = 0; i < r->n_headers; i++) {
        SP_TRY(append_header(b, r->headers[i].name, r->headers[i].value));
    }
    if (!has_no_body(r->status)) SP_TRY(append_framing(b, framing, r->body.n));
    if (close) SP_TRY(sp_buf_append(b, SP_SLICE_LIT("Connection: close\r\n")));
    return sp_buf_append(b, SP_SLICE_LIT("\r\n"));
}

/* --- Sending. --- */

static sp_status keep_rest(struct sp_http_conn *c, sp_slice head, sp_slice body, size_t sent) {
    const size_t head_sent = sent < head.n ? sent : head.n;
    const size_t body_sent = sent - head_sent;
    SP_TRY(sp_buf_append(&c->out, sp_slice_of(head.p + head_sent, head.n - head_sent)));
    if (body.n > body_sent)
        SP_TRY(sp_buf_append(&c->out, sp_slice_of(body.p + body_sent, body.n - body_sent)));
    return SP_SUCCESS;
}

static sp_status write_when_possible(struct sp_http_conn *c) {
    return event_add(&c->write_ev, NULL) == 0 ? SP_SUCCESS : sp_err(SP_E_NOMEM);
}

/* Head and body in one record, so that a short answer is one segment. */
static void send_tls(struct sp_http_conn *c, sp_slice head, sp_slice body) {
    c->state = CONN_WRITING;
    enum flush_result result = FLUSH_FAILED;
    if (sp_ok(keep_rest(c, head, body, 0))) result = sp_http_conn_flush(c);
    if (result == FLUSH_DONE) {
        sp_http_conn_sent(c);
    } else if (result == FLUSH_FAILED || !sp_ok(write_when_possible(c))) {
        c->server->stats.dropped++;
        sp_http_conn_close(c);
    }
}

void sp_http_send(struct sp_http_conn *c, sp_slice head, sp_slice body) {
    if (c->tls != NULL) {
        send_tls(c, head, body);
        return;
    }
    struct iovec iov[2] = {{(void *)(uintptr_t)head.p, head.n}, {(void *)(uintptr_t)body.p, body.n}};
    const struct msghdr msg = {.msg_iov = iov, .msg_iovlen = body.n > 0 ? 2 : 1};
    ssize_t n;
    do {
        n = sendmsg(c->fd, &msg, MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK) {
        c->server->stats.dropped++;
        sp_http_conn_close(c);
        return;
    }
    const size_t sent = n < 0 ? 0 : (size_t)n;
    if (sent == head.n + body.n) {
        sp_http_conn_sent(c);
        return;
    }
    c->state = CONN_WRITING;
    if (!sp_ok(keep_rest(c, head, body, sent)) || !sp_ok(write_when_possible(c))) sp_http_conn_close(c);
}

/* Also of a request that was refused before it was read. */
static bool is_head(const struct sp_http_req *req) {
    if (req == NULL) return false;
    if (req->method_text.p != NULL) return req->method == SP_HTTP_HEAD;
    return sp_slice_starts(sp_slice_of(req->buf + req->start, req->end - req->start), SP_SLICE_LIT("HEAD "));
}

static sp_status send_response(struct sp_http_conn *c, const struct sp_http_response *r) {
    struct sp_http_server *s = c->server;
    const bool close = c->close_after || r->close;
    const sp_status made = sp_http_make_head(s, r, FRAMING_LENGTH, close);
    if (sp_ok(made)) {
        c->close_after = close;
        sp_http_send(c, sp_buf_slice(&s->head), is_head(c->req) ? SP_SLICE_EMPTY : r->body);
    }
    sp_buf_clear(&s->head);
    return made;
}

/* --- Answers of this layer's own (RFC 9457). --- */

#define PROBLEM(status_, code_, title_)                                                                      \
    {                                                                                                        \
        status_, "{\"type\":\"about:blank\",\"title\":\"" title_ "\",\"status\":" #status_                   \
                 ",\"code\":\"" code_ "\"}\n"                                                                \
    }
static const struct {
    int status;
    const char *body;
} failures[FAIL_COUNT] = {
    [FAIL_NONE] = PROBLEM(500, "internal_error", "Internal server error"),
    [FAIL_MALFORMED] = PROBLEM(400, "malformed_request", "The request is not well-formed HTTP/1.1"),
    [FAIL_PLAIN] = PROBLEM(400, "https_required", "This port speaks HTTPS only"),
    [FAIL_TIMEOUT] = PROBLEM(408, "request_timeout", "The request did not arrive in time"),
    [FAIL_BODY_TOO_LARGE] = PROBLEM(413, "body_too_large", "The request body is too large"),
    [FAIL_URL_TOO_LONG] = PROBLEM(414, "url_too_long", "The request target is too long"),
    [FAIL_EXPECTATION] = PROBLEM(417, "expectation_failed", "Only 100-continue can be expected"),
    [FAIL_HEADERS_TOO_LARGE] =
        PROBLEM(431, "headers_too_large", "The request headers are too large or too many"),
    [FAIL_INTERNAL] = PROBLEM(500, "internal_error", "Internal server error"),
    [FAIL_METHOD] = PROBLEM(501, "method_not_implemented", "The request method is not implemented"),
    [FAIL_CODING] = PROBLEM(501, "transfer_coding_not_implemented", "The transfer coding is not implemented"),
    [FAIL_VERSION] = PROBLEM(505, "http_version_not_supported", "Only HTTP/1.1 and HTTP/1.0 are spoken here"),
};

static void send_failure(struct sp_http_conn *c, enum sp_http_failure failure) {
    static const struct sp_http_header headers[] = {
        {{(const uint8_t *)"Content-Type", 12}, {(const uint8_t *)"application/problem+json", 24}},
        {{(const uint8_t *)"Cache-Control", 13}, {(const uint8_t *)"no-store", 8}},
        {{(const uint8_t *)"X-Content-Type-Options", 22}, {(const uint8_t *)"nosniff", 7}},
    };
    const struct sp_http_response r = {.status = failures[failure].status,
                                       .headers = headers,
                                       .n_headers = SP_ARRAY_LEN(headers),
                                       .body = sp_slice_cstr(failures[failure].body)};
    if (!sp_ok(send_response(c, &r))) sp_http_conn_close(c);
}

void sp_http_fail(struct sp_http_conn *c, enum sp_http_failure failure) {
    if (failure != FAIL_TIMEOUT) c->server->stats.malformed++;
    if (c->req != NULL) c->req->failure = failure;
    c->close_after = true;
    send_failure(c, failure);
}

void sp_http_send_internal_error(struct sp_http_conn *c) {
    send_failure(c, FAIL_INTERNAL);
}

sp_status sp_http_send_continue(struct sp_http_conn *c) {
    static const char line[] = "HTTP/1.1 100 Continue\r\n\r\n";
    /* Nothing else is under way to this client; a socket that does not take 25 bytes then is no use. */
    if (c->tls != NULL) {
        size_t sent = 0;
        const enum sp_tls_result result = sp_tls_write(c->tls, line, sizeof(line) - 1, &sent);
        return result == SP_TLS_DONE && sent == sizeof(line) - 1 ? SP_SUCCESS : sp_err(SP_E_IO);
    }
    const ssize_t n = send(c->fd, line, sizeof(line) - 1, MSG_NOSIGNAL);
    return n == (ssize_t)sizeof(line) - 1 ? SP_SUCCESS : sp_err(SP_E_IO);
}

/* --- The handler's reply. --- */

static sp_status send_reply(struct sp_http_conn *c, const struct sp_http_response *r) {
    sp_status status = sp_http_check_response(c->server, r);
    c->close_after = !sp_http_req_keep_alive(c->req);
    if (sp_ok(status)) status = send_response(c, r);
    if (!sp_ok(status)) sp_http_send_internal_error(c);
    return status;
}

sp_status sp_http_reply(struct sp_http_req *req, const struct sp_http_response *response) {
    struct sp_http_conn *c = req->conn;
    sp_assert(c->handed); /* a second reply to one request */
    sp_status status;
    sp_http_conn_enter(c);
    c->handed = false;
    c->server->stats.parked--;
    if (c->state == CONN_GONE) {
        c->server->stats.dropped++;
        status = sp_http_check_response(c->server, response);
    } else {
        status = send_reply(c, response);
        sp_http_conn_replied(c);
    }
    sp_http_conn_leave(c);
    return status;
}
