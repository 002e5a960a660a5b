/* A connection: reads, gives out one request at a time, closes. Its states stand in server_llhttp.h.
 *
 * Idea: plain sockets are read and written directly (recv, sendmsg) on libevent's events, not through
 * bufferevents. A request is then one read into the buffer that its slices point into and one gathered write
 * of head and body, without evbuffer chains between; that is where the layer's share of the time goes. With
 * TLS, read_some and flush call OpenSSL instead of the socket, which costs the reply one copy into `out`.
 *
 * The read event stays registered while a request is handled, so that a keep-alive request costs no
 * epoll_ctl. What arrives meanwhile goes to the rest of the buffer; when that is full, reading stops until
 * the reply is out.
 *
 * Invariants: `handed` and state GONE together mean that only the handler's reply keeps the memory; nothing
 * is called on a connection after it left the server's list; memory is freed only in sp_http_conn_leave.
 *
 * Turned down: bufferevents (a third more time a request); stopping to read as soon as a request is complete
 * (two epoll changes a request, and a reset would go unnoticed while parked). */
#include "http/server_llhttp.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

static void advance(struct sp_http_conn *c);

/* --- Reading on and off. --- */

/* What OpenSSL has decrypted already makes no socket readable. */
static void read_pending(struct sp_http_conn *c) {
    if (c->tls != NULL && c->reading && sp_tls_has_pending(c->tls)) event_active(&c->read_ev, EV_READ, 0);
}

void sp_http_conn_reading_on(struct sp_http_conn *c) {
    if (c->reading || c->eof || c->state == CONN_GONE) return;
    if (event_add(&c->read_ev, NULL) != 0) {
        sp_http_conn_close(c);
        return;
    }
    c->reading = true;
    read_pending(c);
}

static void reading_off(struct sp_http_conn *c) {
    if (c->reading) event_del(&c->read_ev);
    c->reading = false;
}

/* --- Life. --- */

static void list_add(struct sp_http_server *s, struct sp_http_conn *c) {
    c->next = s->conns;
    if (c->next != NULL) c->next->prev = c;
    s->conns = c;
    s->stats.open++;
}

static void list_remove(struct sp_http_server *s, struct sp_http_conn *c) {
    if (c->prev != NULL) c->prev->next = c->next;
    if (c->prev == NULL) s->conns = c->next;
    if (c->next != NULL) c->next->prev = c->prev;
    s->stats.open--;
}

void sp_http_conn_close(struct sp_http_conn *c) {
    if (c->state == CONN_GONE) return;
    struct sp_http_server *s = c->server;
    if (c->state == CONN_STREAMING) sp_http_stream_lost(c);
    c->state = CONN_GONE;
    sp_http_deadline_set(c, DEADLINE_NONE);
    /* Unconditionally: advance may have made read_ev active without its being added. The changelist tells
     * epoll after the close, perhaps when the number is already another connection's, of this loop or of
     * another one. Closing has taken the socket out of epoll by then: the late removal finds nothing, and an
     * addition is made anew (libevent expects both). */
    event_del(&c->read_ev);
    event_del(&c->write_ev);
    c->reading = false;
    if (c->tls != NULL) sp_tls_say_end(c->tls);
    sp_tls_conn_free(c->tls);
    c->tls = NULL;
    close(c->fd);
    c->fd = -1;
    sp_buf_done(&c->out);
    if (c->address_key != 0) sp_http_address_leave(&s->addresses, c->address_key);
    list_remove(s, c);
}

void sp_http_conn_enter(struct sp_http_conn *c) {
    c->depth++;
}

bool sp_http_conn_is_idle(const struct sp_http_conn *c) {
    return c->state == CONN_READING && (c->req == NULL || c->req->end == c->req->start);
}

static enum deadline deadline_of(const struct sp_http_conn *c) {
    switch (c->state) {
    case CONN_HANDSHAKE: return DEADLINE_HANDSHAKE;
    case CONN_READING:
        if (sp_http_conn_is_idle(c)) return DEADLINE_IDLE;
        return c->req->head_done ? DEADLINE_BODY : DEADLINE_HEADER;
    case CONN_WRITING: return DEADLINE_WRITE;
    case CONN_STREAMING: return sp_http_conn_pending(c) > 0 ? DEADLINE_WRITE : DEADLINE_NONE;
    case CONN_LINGER: return DEADLINE_LINGER;
    case CONN_HANDED:
    case CONN_GONE: break;
    }
    return DEADLINE_NONE;
}

/* Absolute deadlines: one that runs is left alone, however many bytes drip in. */
static void settle(struct sp_http_conn *c) {
    const enum deadline kind = deadline_of(c);
    if (kind != c->deadline || c->deadline_anew) sp_http_deadline_set(c, kind);
    c->deadline_anew = false;
}

void sp_http_conn_leave(struct sp_http_conn *c) {
    if (--c->depth > 0) return;
    if (c->state != CONN_GONE) {
        settle(c);
        return;
    }
    if (c->handed) return;
    struct sp_http_server *s = c->server;
    if (c->req != NULL) sp_http_req_release(s, c->req);
    free(c);
    sp_http_conn_forgotten(s);
}

/* --- Requests. --- */

static void dispatch(struct sp_http_conn *c) {
    struct sp_http_server *s = c->server;
    struct sp_http_req *req = c->req;
    const bool more = req->end > req->parsed;
    if (s->draining) req->keep_alive = false;
    /* Somebody who announces the last request and sends another one is attacking whoever stands before us. */
    if (more && !req->keep_alive && !s->draining) {
        sp_http_fail(c, FAIL_MALFORMED);
        return;
    }
    c->state = CONN_HANDED;
    c->handed = true;
    c->served = true;
    s->stats.requests++;
    s->stats.parked++;
    s->opts.on_request(s->opts.arg, req);
}

bool sp_http_conn_next_req(struct sp_http_conn *c) {
    struct sp_http_req *req = c->req;
    /* A stream let go of its request when it began. */
    if (req == NULL || !req->head_done) return true;
    const size_t n = req->end - req->parsed;
    struct sp_http_req *fresh = NULL;
    if (n > 0) {
        fresh = sp_http_req_take(c->server, c);
        if (fresh == NULL) return false;
        memcpy(fresh->buf, req->buf + req->parsed, n);
        fresh->end = fresh->high = n;
    }
    c->req = fresh;
    sp_http_req_release(c->server, req);
    return true;
}

static void next_request(struct sp_http_conn *c) {
    c->state = CONN_READING;
    c->deadline_anew = true;
    if (!sp_http_conn_next_req(c)) sp_http_conn_close(c);
}

static void linger(struct sp_http_conn *c) {
    c->state = CONN_LINGER;
    if (c->tls != NULL) sp_tls_say_end(c->tls);
    if (shutdown(c->fd, SHUT_WR) != 0) {
        sp_http_conn_close(c);
        return;
    }
    sp_http_conn_reading_on(c);
}

void sp_http_conn_sent(struct sp_http_conn *c) {
    if (c->state == CONN_GONE) return;
    const bool unread =
        !c->eof && (c->req == NULL || c->req->failure != FAIL_NONE || c->req->end > c->req->parsed);
    if (!c->close_after) {
        next_request(c);
        sp_http_conn_reading_on(c);
    } else if (unread) {
        linger(c);
    } else {
        sp_http_conn_close(c);
    }
}

void sp_http_conn_replied(struct sp_http_conn *c) {
    /* When the handler replied from within on_request, advance is on the stack and goes on by itself. */
    if (c->state == CONN_READING && c->depth == 1) advance(c);
}

static void continue_body(struct sp_http_conn *c) {
    c->req->expect_continue = false;
    if (c->req->parsed > c->req->head_end || c->req->body_n > 0) return; /* the body is coming already */
    if (!sp_ok(sp_http_send_continue(c))) sp_http_conn_close(c);
}

/* Gives out what is complete, until bytes run out, a request is with its handler, or others want a turn. */
static void advance(struct sp_http_conn *c) {
    for (int turn = 0; c->state == CONN_READING && c->req != NULL; turn++) {
        if (turn == SP_HTTP_PIPELINE_TURN) {
            event_active(&c->read_ev, EV_READ, 0);
            return;
        }
        switch (sp_http_parse(c->req)) {
        case PARSE_COMPLETE: dispatch(c); break;
        case PARSE_FAILED: sp_http_fail(c, c->req->failure); return;
        case PARSE_MORE:
            if (c->req->expect_continue) continue_body(c);
            if (c->eof) sp_http_conn_close(c);
            return;
        }
    }
    if (c->state == CONN_READING && c->eof) sp_http_conn_close(c); /* and nothing buffered */
}

/* --- Bytes. --- */

/* What has arrived is still answered: advance closes when it finds nothing complete. */
static void on_end(struct sp_http_conn *c) {
    c->eof = true;
    reading_off(c); /* level-triggered: it would wake us for ever */
    if (c->state == CONN_LINGER || c->state == CONN_STREAMING) sp_http_conn_close(c);
}

static bool read_tls(struct sp_http_conn *c, void *p, size_t cap, size_t *ret_n) {
    switch (sp_tls_read(c->tls, p, cap, ret_n)) {
    case SP_TLS_DONE: return true;
    case SP_TLS_WANT_READ: return false;
    case SP_TLS_END: on_end(c); return false;
    case SP_TLS_WANT_WRITE:
    case SP_TLS_PLAIN_HTTP:
    case SP_TLS_FAILED: break;
    }
    sp_http_conn_close(c);
    return false;
}

/* True when bytes came. What follows our last answer is thrown away, so nobody decrypts it. */
static bool read_some(struct sp_http_conn *c, void *p, size_t cap, size_t *ret_n) {
    if (c->tls != NULL && c->state != CONN_LINGER) return read_tls(c, p, cap, ret_n);
    ssize_t n;
    do {
        n = recv(c->fd, p, cap, 0);
    } while (n < 0 && errno == EINTR);
    if (n > 0) {
        *ret_n = (size_t)n;
        return true;
    }
    if (n == 0) {
        on_end(c);
    } else if (errno != EAGAIN && errno != EWOULDBLOCK) {
        sp_http_conn_close(c);
    }
    return false;
}

static void read_request(struct sp_http_conn *c) {
    if (c->req == NULL) c->req = sp_http_req_take(c->server, c);
    struct sp_http_req *req = c->req;
    if (req == NULL) {
        sp_http_conn_close(c);
        return;
    }
    size_t n;
    if (req->end == req->cap) {
        reading_off(c);
    } else if (!c->eof && read_some(c, req->buf + req->end, req->cap - req->end, &n)) {
        req->end += n;
        if (req->high < req->end) req->high = req->end;
    }
    if (c->state == CONN_READING) advance(c);
    if (c->state == CONN_READING && c->req != NULL && c->req->end == 0) {
        sp_http_req_release(c->server, c->req);
        c->req = NULL;
    }
}

/* For the end of the stream. Beyond its share nothing is read: who left is then noticed by writing. */
static void read_while_streaming(struct sp_http_conn *c) {
    if (c->req == NULL) c->req = sp_http_req_take(c->server, c);
    struct sp_http_req *req = c->req;
    if (req == NULL) {
        sp_http_stream_cut(c, SP_HTTP_GONE_FAILED);
        return;
    }
    size_t n;
    if (req->end >= SP_HTTP_READ_AHEAD_BYTES) {
        reading_off(c);
    } else if (read_some(c, req->buf + req->end, SP_HTTP_READ_AHEAD_BYTES - req->end, &n)) {
        req->end += n;
        req->high = req->end;
    }
    if (c->state == CONN_STREAMING && req->end == 0) {
        sp_http_req_release(c->server, req);
        c->req = NULL;
    }
}

static void read_and_discard(struct sp_http_conn *c) {
    uint8_t scrap[4096];
    size_t n = 0;
    if (!read_some(c, scrap, sizeof(scrap), &n)) return;
    c->lingered += n;
    if (c->lingered > SP_HTTP_LINGER_BYTES) sp_http_conn_close(c);
}

/* --- The TLS handshake. --- */

static void wait_to_write(struct sp_http_conn *c) {
    reading_off(c); /* or what the client sends meanwhile would wake us for ever */
    if (event_add(&c->write_ev, NULL) != 0) sp_http_conn_close(c);
}

static void wait_to_read(struct sp_http_conn *c) {
    event_del(&c->write_ev);
    sp_http_conn_reading_on(c);
}

static void refuse_handshake(struct sp_http_conn *c, bool plain_http) {
    c->server->stats.handshakes_failed++;
    if (!plain_http) {
        sp_http_conn_close(c);
        return;
    }
    sp_tls_conn_free(c->tls);
    c->tls = NULL;
    c->state = CONN_READING;
    sp_http_fail(c, FAIL_PLAIN);
}

static void begin_reading(struct sp_http_conn *c) {
    /* Without tickets nothing of ours follows the client's last word, so the kernel would hold back its
     * acknowledgement for 40 ms, and a client with Nagle's algorithm its first request for as long. */
    const int on = 1;
    (void)setsockopt(c->fd, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof(on));
    c->state = CONN_READING;
    wait_to_read(c);
}

static void shake_hands(struct sp_http_conn *c) {
    const enum sp_tls_result result = sp_tls_handshake(c->tls);
    switch (result) {
    case SP_TLS_DONE: begin_reading(c); return;
    case SP_TLS_WANT_READ: wait_to_read(c); return;
    case SP_TLS_WANT_WRITE: wait_to_write(c); return;
    case SP_TLS_END:
    case SP_TLS_PLAIN_HTTP:
    case SP_TLS_FAILED: break;
    }
    refuse_handshake(c, result == SP_TLS_PLAIN_HTTP);
}

/* --- Events. --- */

static void on_readable(evutil_socket_t fd, short what, void *arg) {
    struct sp_http_conn *c = arg;
    (void)fd;
    (void)what;
    sp_http_conn_enter(c);
    if (c->state == CONN_HANDSHAKE) {
        shake_hands(c);
    } else if (c->state == CONN_LINGER) {
        read_and_discard(c);
    } else if (c->state != CONN_GONE) {
        if (c->state == CONN_STREAMING)
            read_while_streaming(c);
        else
            read_request(c);
        read_pending(c);
    }
    sp_http_conn_leave(c);
}

static bool send_some(struct sp_http_conn *c, size_t *ret_n, bool *ret_blocked) {
    const uint8_t *p = c->out.p + c->out_sent;
    const size_t left = c->out.n - c->out_sent;
    if (c->tls != NULL) {
        const enum sp_tls_result result = sp_tls_write(c->tls, p, left, ret_n);
        *ret_blocked = result == SP_TLS_WANT_WRITE;
        return result == SP_TLS_DONE;
    }
    ssize_t n;
    do {
        n = send(c->fd, p, left, MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    *ret_blocked = n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
    if (n >= 0) *ret_n = (size_t)n;
    return n >= 0;
}

enum flush_result sp_http_conn_flush(struct sp_http_conn *c) {
    while (c->out_sent < c->out.n) {
        size_t n = 0;
        bool blocked = false;
        if (!send_some(c, &n, &blocked)) return blocked ? FLUSH_BLOCKED : FLUSH_FAILED;
        c->out_sent += n;
    }
    sp_buf_done(&c->out);
    c->out_sent = 0;
    return FLUSH_DONE;
}

static void write_rest(struct sp_http_conn *c) {
    switch (sp_http_conn_flush(c)) {
    case FLUSH_BLOCKED: return;
    case FLUSH_FAILED: sp_http_conn_close(c); return;
    case FLUSH_DONE: break;
    }
    event_del(&c->write_ev);
    sp_http_conn_sent(c);
    if (c->state == CONN_READING) advance(c);
}

static void on_writable(evutil_socket_t fd, short what, void *arg) {
    struct sp_http_conn *c = arg;
    (void)fd;
    (void)what;
    sp_http_conn_enter(c);
    if (c->state == CONN_HANDSHAKE) {
        shake_hands(c);
    } else if (c->state == CONN_WRITING) {
        write_rest(c);
    } else if (c->state == CONN_STREAMING) {
        sp_http_stream_writable(c);
        if (c->state == CONN_READING) advance(c);
    }
    sp_http_conn_leave(c);
}

/* --- Deadlines. --- */

void sp_http_conn_expired(struct sp_http_conn *c) {
    sp_http_conn_enter(c);
    c->server->stats.timeouts++;
    if (c->state == CONN_READING && !sp_http_conn_is_idle(c)) {
        sp_http_fail(c, FAIL_TIMEOUT);
    } else if (c->state == CONN_STREAMING) {
        sp_http_stream_cut(c, SP_HTTP_GONE_STALLED);
    } else {
        sp_http_conn_close(c);
    }
    sp_http_conn_leave(c);
}

/* --- Birth. --- */

sp_status sp_http_conn_new(struct sp_http_server *s, int take_fd, const struct sp_http_peer *peer,
                           uint64_t address_key, const struct listener *from) {
    struct sp_http_conn *c = calloc(1, sizeof(*c));
    if (c == NULL) return sp_err(SP_E_NOMEM);
    struct sp_tls_conn *tls = NULL;
    if (from->tls != NULL && !sp_ok(sp_tls_conn_new(from->tls, take_fd, &tls))) {
        free(c);
        return sp_err(SP_E_NOMEM);
    }
    *c = (struct sp_http_conn){.server = s,
                               .fd = take_fd,
                               .tls = tls,
                               .state = tls != NULL ? CONN_HANDSHAKE : CONN_READING,
                               .deadline = DEADLINE_NONE,
                               .user = from->user,
                               .peer = *peer,
                               .address_key = address_key};
    sp_buf_init(&c->out, s->opts.response_bytes_max + SP_HTTP_RESPONSE_HEAD_MAX);
    struct event_base *base = sp_loop_base(s->loop);
    event_assign(&c->read_ev, base, take_fd, EV_READ | EV_PERSIST, on_readable, c);
    event_assign(&c->write_ev, base, take_fd, EV_WRITE | EV_PERSIST, on_writable, c);
    if (event_add(&c->read_ev, NULL) != 0) {
        sp_tls_conn_free(tls);
        free(c);
        return sp_err(SP_E_NOMEM);
    }
    c->reading = true;
    list_add(s, c);
    settle(c);
    return SP_SUCCESS;
}
