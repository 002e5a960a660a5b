/* Bytes into a connection, cut into pieces as the input says, with handlers that answer now, later or never
 * before the client has gone, whole or by a stream.
 *
 * The first byte of the input steers (how to cut, when to park, how to leave, what to answer with), the rest
 * goes to the server. What must hold: a handler sees only what the contract of http/server.h allows, every
 * request is answered at most once and in order, whatever is answered is framed, the owner of a stream hears
 * of its end exactly once, and nothing is left over when the client has gone. */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"
#include "http/server.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define BODY_MAX 64
#define HEADER_MAX 512
#define URL_MAX 128

static struct sp_loop *loop;
static struct sp_http_server *server;
static struct sp_http_req *parked;
static struct sp_http_stream *stream;
static bool park, streams, aborts, answered;
static size_t calls, replies, begun, over;

static void check_text(sp_slice s, bool token) {
    for (size_t i = 0; i < s.n; i++) {
        sp_assert(s.p[i] != '\r' && s.p[i] != '\n' && s.p[i] != '\0' && s.p[i] != 0x7f);
        if (token) sp_assert(s.p[i] > ' ' && s.p[i] < 0x7f && s.p[i] != ':');
    }
}

static void check_framing(struct sp_http_req *req) {
    sp_slice v;
    const enum sp_http_presence length = sp_http_req_header(req, "content-length", &v);
    const enum sp_http_presence coding = sp_http_req_header(req, "transfer-encoding", NULL);
    sp_assert(length != SP_HTTP_REPEATED && coding != SP_HTTP_REPEATED);
    sp_assert(length == SP_HTTP_ABSENT || coding == SP_HTTP_ABSENT);
    if (length == SP_HTTP_ABSENT && coding == SP_HTTP_ABSENT) sp_assert(sp_http_req_body(req).n == 0);
    size_t value = 0;
    for (size_t i = 0; length == SP_HTTP_SINGLE && i < v.n; i++) value = value * 10 + (size_t)(v.p[i] - '0');
    if (length == SP_HTTP_SINGLE) sp_assert(sp_http_req_body(req).n == value);
    sp_assert(sp_http_req_header(req, "host", NULL) != SP_HTTP_REPEATED);
}

static void check_request(struct sp_http_req *req) {
    sp_assert(sp_http_req_body(req).n <= BODY_MAX);
    sp_assert(sp_http_req_header_count(req) <= SP_HTTP_HEADERS_MAX);
    const sp_slice path = sp_http_req_path(req);
    sp_assert(path.n > 0 && path.n <= URL_MAX && (path.p[0] == '/' || sp_slice_eq_cstr(path, "*")));
    check_text(path, false);
    check_text(sp_http_req_query(req), false);
    check_text(sp_http_req_host(req), false);
    check_text(sp_http_req_method_text(req), true);
    size_t bytes = 0;
    for (size_t i = 0; i < sp_http_req_header_count(req); i++) {
        const struct sp_http_header *h = sp_http_req_header_at(req, i);
        sp_assert(h->name.n > 0);
        check_text(h->name, true);
        check_text(h->value, false);
        bytes += h->name.n + h->value.n + 3;
    }
    sp_assert(bytes <= HEADER_MAX);
    check_framing(req);
}

static void on_gone(void *arg, enum sp_http_gone why) {
    (void)why;
    sp_assert(stream != NULL && arg == &stream);
    stream = NULL;
    over++;
}

static void end_stream(void) {
    struct sp_http_stream *s = stream;
    stream = NULL;
    if (s == NULL) return;
    over++;
    if (aborts) {
        sp_http_stream_abort(s);
    } else {
        sp_http_stream_end(s); /* may give out the next request */
    }
}

/* Ends with the call of a handler who answers at once; otherwise later, or never. */
static void reply_with_stream(struct sp_http_req *req) {
    const struct sp_http_response ok = {.status = 200};
    const struct sp_http_stream_opts opts = {.on_gone = on_gone, .arg = &stream};
    sp_assert(stream == NULL);
    begun++;
    sp_assert(sp_ok(sp_http_stream_begin(req, &ok, &opts, &stream)));
    SP_IGNORE(sp_http_stream_write(stream, SP_SLICE_LIT("streamed"))); /* the client may have gone */
    if (!park) end_stream();
}

static void reply(struct sp_http_req *req) {
    const struct sp_http_response ok = {.status = 200, .body = sp_http_req_body(req)};
    check_request(req); /* still as it was, whatever happened meanwhile */
    replies++;
    if (streams) {
        reply_with_stream(req);
    } else {
        sp_assert(sp_ok(sp_http_reply(req, &ok)));
    }
}

static void on_request(void *arg, struct sp_http_req *req) {
    (void)arg;
    sp_assert(parked == NULL); /* one at a time */
    calls++;
    check_request(req);
    if (park) {
        parked = req;
    } else {
        reply(req);
    }
}

static void reply_parked(void) {
    end_stream();
    struct sp_http_req *req = parked;
    parked = NULL;
    if (req != NULL) reply(req);
}

static void begin(void) {
    if (server != NULL) return;
    const struct sp_http_opts opts = {.on_request = on_request,
                                      .header_bytes_max = HEADER_MAX,
                                      .url_bytes_max = URL_MAX,
                                      .body_bytes_max = BODY_MAX};
    sp_assert(sp_ok(sp_loop_new(NULL, &loop)));
    sp_assert(sp_ok(sp_http_server_new(loop, &opts, &server)));
}

static void step(void) {
    sp_assert(sp_ok(sp_loop_step(loop, 0)));
}

/* What comes back begins as our answers do: nothing of the request was sent before a status line. */
static void read_answers(int fd) {
    static char got[65536];
    const ssize_t n = recv(fd, got, sizeof(got), MSG_DONTWAIT);
    if (n <= 0 || answered) return;
    answered = true;
    sp_assert(n >= 9 && memcmp(got, "HTTP/1.1 ", 9) == 0);
}

static void leave(int fd, bool half) {
    if (half) {
        (void)shutdown(fd, SHUT_WR);
        step();
        reply_parked();
        step();
        read_answers(fd);
    }
    close(fd);
    step();
    reply_parked();
    for (int i = 0; i < 8; i++) step();
    sp_assert(stream == NULL && begun == over);
}

static void feed(int fd, const uint8_t *p, size_t n, uint8_t steer) {
    const size_t piece = (steer & 7) == 7 ? n : (size_t)1 << (steer & 7);
    for (size_t at = 0, turn = 0; at < n; turn++) {
        const size_t k = n - at < piece ? n - at : piece;
        const ssize_t sent = send(fd, p + at, k, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno != EAGAIN) return;
        if (sent > 0) at += (size_t)sent;
        step();
        read_answers(fd);
        if ((turn & 1) != 0) reply_parked();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    if (n < 1 || n > 16384) return 0;
    begin();
    int pair[2];
    sp_assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
    calls = replies = begun = over = 0;
    answered = false;
    park = (data[0] & 8) != 0;
    streams = (data[0] & 32) != 0;
    aborts = (data[0] & 64) != 0;
    sp_assert(sp_ok(sp_http_server_adopt(server, pair[0], NULL)));
    feed(pair[1], data + 1, n - 1, data[0]);
    leave(pair[1], (data[0] & 16) != 0);
    struct sp_http_stats stats;
    sp_http_server_stats(server, &stats);
    sp_assert(calls == replies && stats.open == 0 && stats.parked == 0 && stats.streams == 0);
    return 0;
}
