/* Answers that grow while they are read.
 *
 * Idea: with nothing pending a write goes straight to the socket, from the writer's memory: no copy, no
 * event, no deadline, so that bytes for thousands of subscribers leave in the order of the calls. Only what a
 * socket does not take is copied to the connection's `out`, and only then is there an event and a deadline.
 *
 * The stream is an object beside the connection, because its owner may still hold it when the connection has
 * gone. Then it stands in the server's list of those whose owners are to be told, which an event of its own
 * does (activated, not added: that cannot fail).
 *
 * The deadline moves when everything that was pending at its start has been taken, not with each byte: who
 * drips is cut as surely as who stops.
 *
 * Invariants: `conn` is set exactly while the connection is STREAMING and points back; `out` never holds more
 * than the bound, but for the headers and the last chunk.
 *
 * Turned down: telling owners at once (they would lose elements of the list that they walk); a deadline of
 * each stream's own length (a queue would no longer be sorted by itself); SO_SNDBUF as the bound of the
 * kernel's share (it also bounds what is under way on a long line). */
#include "http/server_llhttp.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/assert.h"

struct sp_http_stream {
    struct sp_http_server *server;
    struct sp_http_conn *conn; /* NULL: gone, and in the server's list */
    struct sp_http_stream *prev, *next;
    struct sp_http_stream_opts opts;
    size_t due; /* bytes to be taken before the deadline moves */
    enum sp_http_gone why;
    bool chunked;
    bool awaiting; /* write_ev is added */
    bool wrote;    /* since on_drained */
};

/* --- Streams that are gone. --- */

static void list_gone(struct sp_http_stream *st) {
    struct sp_http_server *s = st->server;
    st->prev = s->gone_last;
    if (st->prev != NULL) st->prev->next = st;
    if (st->prev == NULL) s->gone_first = st;
    s->gone_last = st;
    event_active(&s->tell_gone, EV_TIMEOUT, 0);
}

static void unlist_gone(struct sp_http_stream *st) {
    struct sp_http_server *s = st->server;
    if (st->prev != NULL) st->prev->next = st->next;
    if (st->prev == NULL) s->gone_first = st->next;
    if (st->next != NULL) st->next->prev = st->prev;
    if (st->next == NULL) s->gone_last = st->prev;
}

static void tell_all(struct sp_http_server *s) {
    while (s->gone_first != NULL) {
        struct sp_http_stream *st = s->gone_first;
        const struct sp_http_stream_opts opts = st->opts;
        const enum sp_http_gone why = st->why;
        unlist_gone(st);
        free(st);
        opts.on_gone(opts.arg, why);
    }
}

static void on_tell_gone(evutil_socket_t fd, short what, void *arg) {
    struct sp_http_server *s = arg;
    (void)fd;
    (void)what;
    tell_all(s);
    sp_http_conn_forgotten(s);
}

void sp_http_streams_init(struct sp_http_server *s) {
    event_assign(&s->tell_gone, sp_loop_base(s->loop), -1, 0, on_tell_gone, s);
}

void sp_http_streams_done(struct sp_http_server *s) {
    tell_all(s);
    event_del(&s->tell_gone);
}

/* The owner let go of it before he was told. */
static void forget_gone(struct sp_http_stream *st) {
    struct sp_http_server *s = st->server;
    unlist_gone(st);
    free(st);
    sp_http_conn_forgotten(s);
}

/* --- Coming and going. --- */

static void attach(struct sp_http_stream *st, struct sp_http_conn *c) {
    c->state = CONN_STREAMING;
    c->stream = st;
    st->conn = c;
    c->server->stats.streams++;
}

/* The state is the caller's to choose. */
static void detach(struct sp_http_stream *st) {
    struct sp_http_conn *c = st->conn;
    st->conn = NULL;
    c->stream = NULL;
    c->lingered = 0;
    c->server->stats.streams--;
}

/* The client must not take what it has for all there is, nor the kernel keep what was not read. */
static void make_close_a_reset(struct sp_http_conn *c) {
    const struct linger now = {.l_onoff = 1, .l_linger = 0};
    (void)setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    sp_tls_conn_free(c->tls); /* without a close_notify */
    c->tls = NULL;
}

void sp_http_stream_lost(struct sp_http_conn *c) {
    struct sp_http_stream *st = c->stream;
    const bool slow = st->why == SP_HTTP_GONE_LIMIT || st->why == SP_HTTP_GONE_STALLED;
    if (slow) c->server->stats.streams_cut++;
    if (slow || !st->chunked) make_close_a_reset(c);
    if (st->why == SP_HTTP_GONE_CLIENT && c->server->draining) st->why = SP_HTTP_GONE_DRAINED;
    detach(st);
    list_gone(st);
}

void sp_http_stream_cut(struct sp_http_conn *c, enum sp_http_gone why) {
    c->stream->why = why;
    sp_http_conn_close(c);
}

/* --- Bytes. --- */

static sp_status await_writable(struct sp_http_conn *c) {
    struct sp_http_stream *st = c->stream;
    if (st->awaiting) return SP_SUCCESS;
    if (event_add(&c->write_ev, NULL) != 0) {
        sp_http_stream_cut(c, SP_HTTP_GONE_FAILED);
        return sp_err(SP_E_NOMEM);
    }
    st->awaiting = true;
    return SP_SUCCESS;
}

static void stop_awaiting(struct sp_http_conn *c) {
    if (c->stream->awaiting) event_del(&c->write_ev);
    c->stream->awaiting = false;
}

/* Sends from `out`, and moves the deadline when what was due is sent. */
static enum flush_result flush(struct sp_http_conn *c) {
    struct sp_http_stream *st = c->stream;
    const size_t before = sp_http_conn_pending(c);
    const enum flush_result result = sp_http_conn_flush(c);
    const size_t after = sp_http_conn_pending(c);
    const bool on_time = before - after >= st->due;
    st->due = on_time ? after : st->due - (before - after);
    if (on_time) c->deadline_anew = true;
    return result;
}

static bool send_tls(struct sp_http_conn *c, sp_slice bytes, size_t *ret_sent) {
    size_t sent = 0;
    enum sp_tls_result result = SP_TLS_DONE;
    while (result == SP_TLS_DONE && sent < bytes.n) {
        size_t n = 0;
        result = sp_tls_write(c->tls, bytes.p + sent, bytes.n - sent, &n);
        sent += n;
    }
    *ret_sent = sent;
    return result == SP_TLS_DONE || result == SP_TLS_WANT_WRITE;
}

enum { PARTS_MAX = 3 }; /* size line, bytes, end of line */
struct parts {
    size_t n;
    sp_slice part[PARTS_MAX];
};

static size_t length_of(const struct parts *parts) {
    size_t n = 0;
    for (size_t i = 0; i < parts->n; i++) n += parts->part[i].n;
    return n;
}

static bool send_plain(struct sp_http_conn *c, const struct parts *parts, size_t *ret_sent) {
    struct iovec iov[PARTS_MAX];
    for (size_t i = 0; i < parts->n; i++)
        iov[i] = (struct iovec){(void *)(uintptr_t)parts->part[i].p, parts->part[i].n};
    const struct msghdr msg = {.msg_iov = iov, .msg_iovlen = parts->n};
    ssize_t n;
    do {
        n = sendmsg(c->fd, &msg, MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    *ret_sent = n < 0 ? 0 : (size_t)n;
    return n >= 0 || errno == EAGAIN || errno == EWOULDBLOCK;
}

/* In one record, so that a short chunk is one segment; hence a chunk that was made once is better here. */
static bool send_tls_parts(struct sp_http_conn *c, const struct parts *parts, size_t *ret_sent) {
    if (parts->n == 1) return send_tls(c, parts->part[0], ret_sent);
    SP_AUTO(sp_buf) whole = SP_BUF_INIT(length_of(parts));
    for (size_t i = 0; i < parts->n; i++) {
        if (!sp_ok(sp_buf_append(&whole, parts->part[i]))) return false;
    }
    return send_tls(c, sp_buf_slice(&whole), ret_sent);
}

static bool send_now(struct sp_http_conn *c, const struct parts *parts, size_t *ret_sent) {
    return c->tls != NULL ? send_tls_parts(c, parts, ret_sent) : send_plain(c, parts, ret_sent);
}

/* Each byte is moved at most once for each byte that was sent: what is moved is no longer than what went. */
static void close_gap(struct sp_http_conn *c) {
    const size_t pending = sp_http_conn_pending(c);
    if (c->out_sent < pending || c->out_sent == 0) return;
    memmove(c->out.p, c->out.p + c->out_sent, pending);
    sp_buf_truncate(&c->out, pending);
    c->out_sent = 0;
}

static sp_status copy_rest(struct sp_http_conn *c, const struct parts *parts, size_t sent) {
    for (size_t i = 0; i < parts->n; i++) {
        const sp_slice part = parts->part[i];
        const size_t skip = sent < part.n ? sent : part.n;
        sent -= skip;
        SP_TRY(sp_buf_append(&c->out, sp_slice_of(part.p + skip, part.n - skip)));
    }
    return SP_SUCCESS;
}

static sp_status keep_rest(struct sp_http_conn *c, const struct parts *parts, size_t sent, size_t max) {
    const size_t pending = sp_http_conn_pending(c), rest = length_of(parts) - sent;
    if (pending > max || rest > max - pending) {
        sp_http_stream_cut(c, SP_HTTP_GONE_LIMIT);
        return sp_err(SP_E_LIMIT);
    }
    close_gap(c);
    const sp_status kept = copy_rest(c, parts, sent);
    if (!sp_ok(kept)) {
        sp_http_stream_cut(c, SP_HTTP_GONE_FAILED);
        return kept;
    }
    if (pending == 0) c->stream->due = rest;
    return await_writable(c);
}

/* Pending bytes that the kernel would take by now must not cost anybody his stream. */
static bool catch_up(struct sp_http_conn *c, size_t n, size_t max) {
    const size_t pending = sp_http_conn_pending(c);
    if (pending == 0 || (pending <= max && n <= max - pending)) return true;
    return flush(c) != FLUSH_FAILED;
}

static sp_status put(struct sp_http_conn *c, const struct parts *parts, size_t max) {
    size_t sent = 0;
    if (!catch_up(c, length_of(parts), max) || (sp_http_conn_pending(c) == 0 && !send_now(c, parts, &sent))) {
        sp_http_stream_cut(c, SP_HTTP_GONE_CLIENT);
        return sp_err(SP_E_IO);
    }
    return sent < length_of(parts) ? keep_rest(c, parts, sent, max) : SP_SUCCESS;
}

/* The headers and the last chunk: nobody is cut for our own few bytes. */
static sp_status put_whatever(struct sp_http_conn *c, sp_slice bytes) {
    return put(c, &(struct parts){.n = 1, .part = {bytes}}, SIZE_MAX);
}

static sp_status expect_more(struct sp_http_conn *c) {
    struct sp_http_stream *st = c->stream;
    if (st->opts.on_drained == NULL) return SP_SUCCESS;
    if (st->opts.drained == SP_HTTP_DRAINED_BLOCKED && sp_http_conn_pending(c) == 0) return SP_SUCCESS;
    st->wrote = true;
    return await_writable(c);
}

void sp_http_stream_writable(struct sp_http_conn *c) {
    struct sp_http_stream *st = c->stream;
    switch (flush(c)) {
    case FLUSH_BLOCKED: return;
    case FLUSH_FAILED: sp_http_conn_close(c); return;
    case FLUSH_DONE: break;
    }
    if (!st->wrote) {
        stop_awaiting(c);
        return;
    }
    st->wrote = false;
    st->opts.on_drained(st->opts.arg);
}

/* --- Chunks. --- */

enum { SIZE_LINE_MAX = 2 * sizeof(size_t) + 2 };

/* RFC 9112 7.1: the size in hexadecimal, CRLF. */
static sp_slice size_line(size_t n, uint8_t line[SIZE_LINE_MAX]) {
    size_t at = SIZE_LINE_MAX;
    line[--at] = '\n';
    line[--at] = '\r';
    do {
        line[--at] = (uint8_t) "0123456789abcdef"[n % 16];
        n /= 16;
    } while (n > 0);
    return sp_slice_of(line + at, SIZE_LINE_MAX - at);
}

sp_status sp_http_chunk_make(sp_slice bytes, struct sp_buf *framed, struct sp_http_chunk *ret_chunk) {
    if (bytes.n == 0) { /* an empty chunk would be the last one */
        *ret_chunk = (struct sp_http_chunk){SP_SLICE_EMPTY, SP_SLICE_EMPTY};
        return SP_SUCCESS;
    }
    uint8_t line[SIZE_LINE_MAX], *p;
    const sp_slice size = size_line(bytes.n, line);
    const size_t extra = size.n + 2;
    if (bytes.n > SIZE_MAX - extra) return sp_err(SP_E_LIMIT);
    SP_TRY(sp_buf_reserve(framed, bytes.n + extra, &p));
    memcpy(p, size.p, size.n);
    memcpy(p + size.n, bytes.p, bytes.n);
    memcpy(p + size.n + bytes.n, "\r\n", 2);
    sp_buf_advance(framed, bytes.n + extra);
    *ret_chunk = (struct sp_http_chunk){.framed = sp_slice_of(p, bytes.n + extra),
                                        .bytes = sp_slice_of(p + size.n, bytes.n)};
    return SP_SUCCESS;
}

static sp_status write_parts(struct sp_http_stream *st, const struct parts *parts) {
    struct sp_http_conn *c = st->conn;
    if (c == NULL) return sp_err(SP_E_UNAVAILABLE);
    if (length_of(parts) == 0) return SP_SUCCESS;
    sp_http_conn_enter(c);
    sp_status status = put(c, parts, st->opts.pending_bytes_max);
    if (sp_ok(status)) status = expect_more(c);
    sp_http_conn_leave(c);
    return status;
}

sp_status sp_http_stream_write(struct sp_http_stream *st, sp_slice bytes) {
    uint8_t line[SIZE_LINE_MAX];
    if (!st->chunked || bytes.n == 0) return write_parts(st, &(struct parts){.n = 1, .part = {bytes}});
    return write_parts(
        st, &(struct parts){.n = 3, .part = {size_line(bytes.n, line), bytes, SP_SLICE_LIT("\r\n")}});
}

sp_status sp_http_stream_write_chunk(struct sp_http_stream *st, const struct sp_http_chunk *chunk) {
    return write_parts(st, &(struct parts){.n = 1, .part = {st->chunked ? chunk->framed : chunk->bytes}});
}

size_t sp_http_stream_pending(const struct sp_http_stream *st) {
    return st->conn == NULL ? 0 : sp_http_conn_pending(st->conn);
}

/* --- The beginning. --- */

static sp_status check(const struct sp_http_server *s, const struct sp_http_response *head,
                       const struct sp_http_stream_opts *opts) {
    SP_TRY(sp_http_check_response(s, head));
    if (head->status == 204 || head->status == 304 || head->body.n > 0) return sp_err(SP_E_MALFORMED);
    return opts->pending_bytes_max > s->opts.response_bytes_max / 2 ? sp_err(SP_E_LIMIT) : SP_SUCCESS;
}

/* The kernel's share of the bound and of the deadline. Failing would only leave them to us alone. Its
 * patience outlasts ours, which counts who was cut: from the kernel it would look as if the client had gone.
 */
static void set_socket(const struct sp_http_conn *c) {
    if (c->peer.kind != SP_HTTP_PEER_TCP) return;
    const unsigned unsent = SP_HTTP_STREAM_UNSENT_BYTES,
                   patience = 2 * (unsigned)c->server->opts.write_deadline_ms;
    (void)setsockopt(c->fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof(unsent));
    (void)setsockopt(c->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &patience, sizeof(patience));
}

static void begin_body(struct sp_http_stream *st, struct sp_http_conn *c) {
    struct sp_http_server *s = c->server;
    attach(st, c);
    set_socket(c);
    if (!sp_ok(put_whatever(c, sp_buf_slice(&s->head)))) return;
    if (!sp_http_conn_next_req(c)) {
        sp_http_stream_cut(c, SP_HTTP_GONE_FAILED);
        return;
    }
    sp_http_conn_reading_on(c);
    if (c->state != CONN_STREAMING) return;
    if (s->draining) {
        sp_http_conn_close(c);
        return;
    }
    SP_IGNORE(expect_more(c)); /* its owner will be told */
}

/* With s->head made. */
static void answer(struct sp_http_stream *st, struct sp_http_conn *c) {
    const bool gone = c->state == CONN_GONE || c->eof;
    if (!gone && c->req->method != SP_HTTP_HEAD) {
        begin_body(st, c);
        return;
    }
    if (gone) {
        c->server->stats.dropped++;
        sp_http_conn_close(c);
    } else {
        sp_http_send(c, sp_buf_slice(&c->server->head), SP_SLICE_EMPTY);
    }
    list_gone(st);
}

static sp_status begin(struct sp_http_conn *c, const struct sp_http_response *head,
                       const struct sp_http_stream_opts *opts, struct sp_http_stream **ret_stream) {
    struct sp_http_server *s = c->server;
    if (s->freed) return sp_err(SP_E_UNAVAILABLE);
    SP_TRY(check(s, head, opts));
    const bool chunked = !c->req->http_1_0;
    const bool close = c->close_after || head->close || !chunked;
    SP_TRY(sp_http_make_head(s, head, chunked ? FRAMING_CHUNKED : FRAMING_UNTIL_CLOSE, close));
    struct sp_http_stream *st = calloc(1, sizeof(*st));
    if (st == NULL) return sp_err(SP_E_NOMEM);
    *st = (struct sp_http_stream){.server = s, .opts = *opts, .chunked = chunked};
    if (opts->pending_bytes_max == 0) st->opts.pending_bytes_max = SP_HTTP_STREAM_PENDING_BYTES;
    c->close_after = close;
    answer(st, c);
    *ret_stream = st;
    return SP_SUCCESS;
}

sp_status sp_http_stream_begin(struct sp_http_req *req, const struct sp_http_response *head,
                               const struct sp_http_stream_opts *opts, struct sp_http_stream **ret_stream) {
    struct sp_http_conn *c = req->conn;
    sp_assert(c->handed); /* a second reply to one request */
    sp_assert(opts->on_gone != NULL);
    sp_http_conn_enter(c);
    c->handed = false;
    c->server->stats.parked--;
    c->close_after = !sp_http_req_keep_alive(req);
    const sp_status status = begin(c, head, opts, ret_stream);
    sp_buf_clear(&c->server->head);
    if (!sp_ok(status) && c->state != CONN_GONE) sp_http_send_internal_error(c);
    sp_http_conn_replied(c);
    sp_http_conn_leave(c);
    return status;
}

/* --- The end. --- */

/* Lets the connection go on; what is pending follows by itself. */
static void finish(struct sp_http_stream *st) {
    struct sp_http_conn *c = st->conn;
    if (sp_http_conn_pending(c) == 0) stop_awaiting(c);
    detach(st);
    free(st);
    c->state = CONN_WRITING;
    c->deadline_anew = true;
    if (sp_http_conn_pending(c) == 0) sp_http_conn_sent(c);
}

void sp_http_stream_end(struct sp_http_stream *st) {
    struct sp_http_conn *c = st->conn;
    if (c == NULL) {
        forget_gone(st);
        return;
    }
    sp_http_conn_enter(c);
    const sp_status last = st->chunked ? put_whatever(c, SP_SLICE_LIT("0\r\n\r\n")) : SP_SUCCESS;
    if (sp_ok(last)) {
        finish(st);
    } else {
        forget_gone(st);
    }
    sp_http_conn_replied(c);
    sp_http_conn_leave(c);
}

void sp_http_stream_abort(struct sp_http_stream *st) {
    struct sp_http_conn *c = st->conn;
    if (c != NULL) {
        sp_http_conn_enter(c);
        sp_http_conn_close(c);
        sp_http_conn_leave(c);
    }
    forget_gone(st);
}
