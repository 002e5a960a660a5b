/* The server: listeners, accepting, caps, deadlines, draining.
 *
 * Deadlines are kept in one queue a kind. Each kind has one length, so the queue is sorted by itself, setting
 * and clearing are O(1), and a single timer looks at the heads. A heap (libevent's own timers) would cost two
 * operations a request; a sweep over all connections would cost most when there are many.
 *
 * At the cap of connections the longest idle one makes room: it has nothing to lose but a handshake. When
 * none is idle the newcomer is closed. */
#include "http/server_llhttp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"

/* --- Deadlines. --- */

static void queue_add(struct conn_queue *q, struct sp_http_conn *c) {
    c->dl_prev = q->last;
    c->dl_next = NULL;
    if (q->last != NULL) q->last->dl_next = c;
    if (q->last == NULL) q->first = c;
    q->last = c;
}

static void queue_remove(struct conn_queue *q, struct sp_http_conn *c) {
    if (c->dl_prev != NULL) c->dl_prev->dl_next = c->dl_next;
    if (c->dl_prev == NULL) q->first = c->dl_next;
    if (c->dl_next != NULL) c->dl_next->dl_prev = c->dl_prev;
    if (c->dl_next == NULL) q->last = c->dl_prev;
}

/* The timer may run too early (its connection got another deadline meanwhile), never too late. */
static void sweep_by(struct sp_http_server *s, int64_t at_ms) {
    if (sp_loop_timer_is_running(&s->sweep) && s->sweep_at_ms <= at_ms) return;
    s->sweep_at_ms = at_ms;
    sp_loop_timer_start(&s->sweep, at_ms - sp_loop_boot_ms(s->loop));
}

void sp_http_deadline_set(struct sp_http_conn *c, enum deadline kind) {
    struct sp_http_server *s = c->server;
    if (c->deadline != DEADLINE_NONE) queue_remove(&s->queues[c->deadline], c);
    c->deadline = kind;
    if (kind == DEADLINE_NONE) return;
    c->deadline_ms = sp_loop_boot_ms(s->loop) + s->limit_ms[kind];
    queue_add(&s->queues[kind], c);
    sweep_by(s, c->deadline_ms);
}

static void on_sweep(struct sp_loop_timer *timer) {
    struct sp_http_server *s = SP_CONTAINER_OF(timer, struct sp_http_server, sweep);
    const int64_t now = sp_loop_boot_ms(s->loop);
    for (int kind = 0; kind < DEADLINE_COUNT; kind++) {
        struct sp_http_conn *c;
        while ((c = s->queues[kind].first) != NULL && c->deadline_ms <= now) sp_http_conn_expired(c);
    }
    for (int kind = 0; kind < DEADLINE_COUNT; kind++) {
        if (s->queues[kind].first != NULL) sweep_by(s, s->queues[kind].first->deadline_ms);
    }
}

/* --- Request objects. --- */

static struct sp_http_req *req_new(const struct sp_http_server *s) {
    const size_t cap = s->opts.header_bytes_max + s->opts.body_bytes_max + SP_HTTP_READ_AHEAD_BYTES;
    struct sp_http_req *req = malloc(sizeof(*req) + cap);
    if (req != NULL) req->cap = cap;
    return req;
}

struct sp_http_req *sp_http_req_take(struct sp_http_server *s, struct sp_http_conn *c) {
    struct sp_http_req *req = s->free_reqs;
    if (req != NULL) {
        s->free_reqs = req->next_free;
        s->n_free_reqs--;
    } else if ((req = req_new(s)) == NULL) {
        return NULL;
    }
    /* Everything before the header lines: those are written before they are read. */
    const size_t cap = req->cap;
    memset(req, 0, offsetof(struct sp_http_req, headers));
    req->cap = cap;
    req->conn = c;
    req->wall_ms = sp_loop_wall_ms(s->loop);
    req->boot_ms = sp_loop_boot_ms(s->loop);
    sp_http_parse_begin(req);
    return req;
}

void sp_http_req_release(struct sp_http_server *s, struct sp_http_req *req) {
    sp_wipe(req->buf, req->high); /* passwords and tokens */
    if (s->n_free_reqs == SP_HTTP_REQS_KEPT) {
        free(req);
        return;
    }
    req->next_free = s->free_reqs;
    s->free_reqs = req;
    s->n_free_reqs++;
}

/* --- Who is calling. --- */

static void peer_v4(struct sp_http_peer *p, const struct in_addr *a) {
    (void)inet_ntop(AF_INET, a, p->address, sizeof(p->address));
}

static void peer_of_inet(struct sp_http_peer *p, const struct sockaddr_storage *ss) {
    p->kind = SP_HTTP_PEER_TCP;
    if (ss->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)ss;
        peer_v4(p, &in->sin_addr);
        p->port = ntohs(in->sin_port);
        return;
    }
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)ss;
    p->port = ntohs(in6->sin6_port);
    if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) {
        struct in_addr a;
        memcpy(&a, in6->sin6_addr.s6_addr + 12, sizeof(a));
        peer_v4(p, &a);
    } else {
        (void)inet_ntop(AF_INET6, &in6->sin6_addr, p->address, sizeof(p->address));
    }
}

static sp_status peer_of_unix(struct sp_http_peer *p, int fd) {
    struct ucred cred;
    socklen_t n = sizeof(cred);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &n) != 0 || n != sizeof(cred)) return sp_err(SP_E_IO);
    *p = (struct sp_http_peer){
        .kind = SP_HTTP_PEER_UNIX, .address = "unix", .uid = cred.uid, .gid = cred.gid, .pid = cred.pid};
    return SP_SUCCESS;
}

/* uid and gid of a peer that has none are those of nobody, so that a careless check does not find root. */
static sp_status peer_of(int fd, const struct sockaddr_storage *ss, struct sp_http_peer *ret_peer) {
    struct sp_http_peer p = {.uid = (uid_t)-1, .gid = (gid_t)-1, .pid = -1};
    if (ss->ss_family == AF_UNIX) {
        SP_TRY(peer_of_unix(&p, fd));
    } else if (ss->ss_family == AF_INET || ss->ss_family == AF_INET6) {
        peer_of_inet(&p, ss);
    } else {
        return sp_err(SP_E_UNSUPPORTED);
    }
    *ret_peer = p;
    return SP_SUCCESS;
}

/* One key for IPv4 and IPv4-mapped; IPv6 by /64, which one customer usually has to himself. */
static bool count_address(struct sp_http_server *s, const struct sockaddr_storage *ss, uint64_t *ret_key) {
    const size_t max = s->opts.connections_per_address_max;
    if (max == 0 || ss->ss_family == AF_UNIX) return true;
    if (ss->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)ss;
        return sp_http_address_enter(&s->addresses, &in->sin_addr, 4, max, ret_key);
    }
    const uint8_t *a = ((const struct sockaddr_in6 *)ss)->sin6_addr.s6_addr;
    if (IN6_IS_ADDR_V4MAPPED(&((const struct sockaddr_in6 *)ss)->sin6_addr)) {
        return sp_http_address_enter(&s->addresses, a + 12, 4, max, ret_key);
    }
    return sp_http_address_enter(&s->addresses, a, 8, max, ret_key);
}

/* --- Accepting. --- */

static bool make_room(struct sp_http_server *s) {
    if (s->stats.open < s->opts.connections_max) return true;
    struct sp_http_conn *c = s->queues[DEADLINE_IDLE].first;
    if (c == NULL || c->depth > 0) return false;
    sp_http_conn_enter(c);
    sp_http_conn_close(c);
    sp_http_conn_leave(c);
    return true;
}

static sp_status add_connection(struct sp_http_server *s, int take_fd, const struct sockaddr_storage *ss,
                                const struct listener *from) {
    struct sp_http_peer peer;
    SP_TRY(peer_of(take_fd, ss, &peer));
    uint64_t key = 0;
    if (s->draining || !count_address(s, ss, &key)) return sp_err(SP_E_BUSY);
    sp_status status = sp_err(SP_E_BUSY);
    if (make_room(s)) status = sp_http_conn_new(s, take_fd, &peer, key, from);
    if (!sp_ok(status) && key != 0) sp_http_address_leave(&s->addresses, key);
    return status;
}

static void pause_accepting(struct sp_http_server *s) {
    s->stats.accept_errors++;
    for (struct listener *l = s->listeners; l != NULL; l = l->next) event_del(&l->ev);
    sp_loop_timer_start(&s->accept_again, SP_HTTP_ACCEPT_PAUSE_MS);
}

static void on_accept_again(struct sp_loop_timer *timer) {
    struct sp_http_server *s = SP_CONTAINER_OF(timer, struct sp_http_server, accept_again);
    for (struct listener *l = s->listeners; l != NULL; l = l->next) {
        if (event_add(&l->ev, NULL) != 0) sp_loop_timer_start(timer, SP_HTTP_ACCEPT_PAUSE_MS);
    }
}

/* True when another connection may be waiting. */
static bool accept_one(struct listener *l) {
    struct sp_http_server *s = l->server;
    struct sockaddr_storage ss = {0};
    socklen_t n = sizeof(ss);
    const int fd = accept4(l->fd, (struct sockaddr *)&ss, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        if (errno == EINTR || errno == ECONNABORTED) return true;
        if (errno != EAGAIN && errno != EWOULDBLOCK) pause_accepting(s);
        return false;
    }
    if (sp_ok(add_connection(s, fd, &ss, l))) {
        s->stats.accepted++;
    } else {
        s->stats.refused++;
        close(fd);
    }
    return true;
}

static void on_acceptable(evutil_socket_t fd, short what, void *arg) {
    struct listener *l = arg;
    (void)fd;
    (void)what;
    for (int i = 0; i < SP_HTTP_ACCEPT_TURN && accept_one(l); i++) {
    }
}

sp_status sp_http_server_listen(struct sp_http_server *s, int take_fd, void *user) {
    struct listener *l = calloc(1, sizeof(*l));
    if (l == NULL) return sp_err(SP_E_NOMEM);
    *l = (struct listener){.server = s, .next = s->listeners, .fd = take_fd, .user = user};
    const int on = 1;
    /* Accepted sockets inherit it; without it a reply in two segments waits for the client's delayed ACK.
     * Fails for Unix sockets, which need none. */
    (void)setsockopt(take_fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (evutil_make_socket_nonblocking(take_fd) != 0 || evutil_make_socket_closeonexec(take_fd) != 0) {
        free(l);
        return sp_err(SP_E_IO);
    }
    event_assign(&l->ev, sp_loop_base(s->loop), take_fd, EV_READ | EV_PERSIST, on_acceptable, l);
    if (event_add(&l->ev, NULL) != 0) {
        free(l);
        return sp_err(SP_E_NOMEM);
    }
    s->listeners = l;
    return SP_SUCCESS;
}

void sp_http_server_set_tls(struct sp_http_server *s, const void *user, struct sp_tls *tls) {
    for (struct listener *l = s->listeners; l != NULL; l = l->next) {
        if (l->user != user) continue;
        struct sp_tls *old = l->tls;
        l->tls = sp_tls_ref(tls);
        sp_tls_unref(old);
    }
}

sp_status sp_http_server_adopt(struct sp_http_server *s, int take_fd, void *user) {
    struct sockaddr_storage ss = {0};
    socklen_t n = sizeof(ss);
    if (getpeername(take_fd, (struct sockaddr *)&ss, &n) != 0) return sp_err(SP_E_IO);
    if (evutil_make_socket_nonblocking(take_fd) != 0) return sp_err(SP_E_IO);
    const int on = 1;
    (void)setsockopt(take_fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)); /* as above */
    SP_TRY(add_connection(s, take_fd, &ss, &(struct listener){.server = s, .user = user}));
    s->stats.accepted++;
    return SP_SUCCESS;
}

static void free_closing(struct sp_http_server *s) {
    while (s->closing != NULL) {
        struct listener *l = s->closing;
        s->closing = l->next;
        close(l->fd);
        sp_tls_unref(l->tls);
        free(l);
    }
    sp_loop_timer_cancel(&s->close_listeners);
}

static void on_close_listeners(struct sp_loop_timer *timer) {
    free_closing(SP_CONTAINER_OF(timer, struct sp_http_server, close_listeners));
}

/* Closed an iteration later: by then the changelist has taken them out of epoll. A socket that others hold
 * open too (inherited, or of several loops) does not leave it by our close, and would wake us until we exit.
 */
static void close_listeners(struct sp_http_server *s) {
    while (s->listeners != NULL) {
        struct listener *l = s->listeners;
        s->listeners = l->next;
        event_del(&l->ev);
        l->next = s->closing;
        s->closing = l;
    }
    sp_loop_timer_cancel(&s->accept_again);
    sp_loop_timer_start(&s->close_listeners, 0);
}

/* --- Draining. --- */

static bool is_used_up(const struct sp_http_conn *c) {
    return sp_http_conn_is_idle(c) && c->served;
}

static bool is_without_request(const struct sp_http_conn *c) {
    return sp_http_conn_is_idle(c) || c->state == CONN_HANDSHAKE;
}

static bool is_streaming(const struct sp_http_conn *c) {
    return c->state == CONN_STREAMING;
}

static bool is_any(const struct sp_http_conn *c) {
    (void)c;
    return true;
}

static void close_where(struct sp_http_server *s, bool (*applies)(const struct sp_http_conn *c)) {
    struct sp_http_conn *next;
    for (struct sp_http_conn *c = s->conns; c != NULL; c = next) {
        next = c->next;
        if (!applies(c)) continue;
        sp_http_conn_enter(c);
        sp_http_conn_close(c);
        sp_http_conn_leave(c);
    }
}

static void on_drain_fresh(struct sp_loop_timer *timer) {
    close_where(SP_CONTAINER_OF(timer, struct sp_http_server, drain_fresh), is_without_request);
}

static void on_drain_limit(struct sp_loop_timer *timer) {
    close_where(SP_CONTAINER_OF(timer, struct sp_http_server, drain_limit), is_any);
}

static void on_drain_done(struct sp_loop_timer *timer) {
    struct sp_http_server *s = SP_CONTAINER_OF(timer, struct sp_http_server, drain_done);
    void (*done)(void *arg) = s->done;
    s->done = NULL;
    if (done != NULL) done(s->done_arg); /* may free the server */
}

static bool is_empty(const struct sp_http_server *s) {
    return s->stats.open == 0 && s->stats.parked == 0 && s->gone_first == NULL;
}

void sp_http_server_drain(struct sp_http_server *s, int64_t limit_ms, void (*done)(void *arg), void *arg) {
    s->draining = true;
    s->done = done;
    s->done_arg = arg;
    close_listeners(s);
    sp_loop_timer_start(&s->drain_limit, limit_ms);
    sp_loop_timer_start(&s->drain_fresh, SP_HTTP_DRAIN_FRESH_MS);
    close_where(s, is_used_up);
    close_where(s, is_streaming);
    if (is_empty(s)) sp_loop_timer_start(&s->drain_done, 0);
}

/* --- Life. --- */

static void destroy(struct sp_http_server *s) {
    while (s->free_reqs != NULL) {
        struct sp_http_req *req = s->free_reqs;
        s->free_reqs = req->next_free;
        free(req);
    }
    sp_http_address_done(&s->addresses);
    sp_buf_done(&s->head);
    free(s);
}

void sp_http_conn_forgotten(struct sp_http_server *s) {
    if (!is_empty(s)) return;
    /* By a timer: whoever waits may free the server, and our caller is still in it. */
    if (s->draining && !s->freed) sp_loop_timer_start(&s->drain_done, 0);
    if (s->freed) destroy(s);
}

#define OR_DEFAULT(field, value)                                                                             \
    if (opts.field == 0) opts.field = (value)

static struct sp_http_opts with_defaults(struct sp_http_opts opts) {
    OR_DEFAULT(header_bytes_max, SP_HTTP_HEADER_BYTES_MAX);
    OR_DEFAULT(url_bytes_max, SP_HTTP_URL_BYTES_MAX);
    OR_DEFAULT(body_bytes_max, SP_HTTP_BODY_BYTES_MAX);
    OR_DEFAULT(connections_max, SP_HTTP_CONNECTIONS_MAX);
    OR_DEFAULT(response_bytes_max, SP_HTTP_RESPONSE_BYTES_MAX);
    OR_DEFAULT(handshake_deadline_ms, SP_HTTP_HANDSHAKE_DEADLINE_MS);
    OR_DEFAULT(header_deadline_ms, SP_HTTP_HEADER_DEADLINE_MS);
    OR_DEFAULT(body_deadline_ms, SP_HTTP_BODY_DEADLINE_MS);
    OR_DEFAULT(idle_ms, SP_HTTP_IDLE_MS);
    OR_DEFAULT(write_deadline_ms, SP_HTTP_WRITE_DEADLINE_MS);
    return opts;
}

static void set_limits(struct sp_http_server *s) {
    s->limit_ms[DEADLINE_IDLE] = s->opts.idle_ms;
    s->limit_ms[DEADLINE_HANDSHAKE] = s->opts.handshake_deadline_ms;
    s->limit_ms[DEADLINE_HEADER] = s->opts.header_deadline_ms;
    s->limit_ms[DEADLINE_BODY] = s->opts.body_deadline_ms;
    s->limit_ms[DEADLINE_WRITE] = s->opts.write_deadline_ms;
    s->limit_ms[DEADLINE_LINGER] = SP_HTTP_LINGER_MS;
}

sp_status sp_http_server_new(struct sp_loop *loop, const struct sp_http_opts *opts,
                             struct sp_http_server **ret_server) {
    if (opts->on_request == NULL) return sp_err(SP_E_MALFORMED);
    struct sp_http_server *s = calloc(1, sizeof(*s));
    if (s == NULL) return sp_err(SP_E_NOMEM);
    s->loop = loop;
    s->opts = with_defaults(*opts);
    set_limits(s);
    if (!sp_ok(sp_http_address_init(&s->addresses, s->opts.connections_max))) {
        free(s);
        return sp_err(SP_E_NOMEM);
    }
    sp_buf_init(&s->head, SP_HTTP_RESPONSE_HEAD_MAX);
    sp_loop_timer_init(&s->sweep, loop, on_sweep);
    sp_loop_timer_init(&s->accept_again, loop, on_accept_again);
    sp_loop_timer_init(&s->close_listeners, loop, on_close_listeners);
    sp_loop_timer_init(&s->drain_fresh, loop, on_drain_fresh);
    sp_loop_timer_init(&s->drain_limit, loop, on_drain_limit);
    sp_loop_timer_init(&s->drain_done, loop, on_drain_done);
    sp_http_streams_init(s);
    *ret_server = s;
    return SP_SUCCESS;
}

void sp_http_server_free(struct sp_http_server *s) {
    if (s == NULL) return;
    close_listeners(s);
    free_closing(s);
    s->draining = true;
    s->done = NULL;
    close_where(s, is_any);
    sp_http_streams_done(s);
    sp_loop_timer_cancel(&s->sweep);
    sp_loop_timer_cancel(&s->drain_fresh);
    sp_loop_timer_cancel(&s->drain_limit);
    sp_loop_timer_cancel(&s->drain_done);
    s->freed = true;
    if (is_empty(s)) destroy(s);
}

void sp_http_server_stats(const struct sp_http_server *s, struct sp_http_stats *ret_stats) {
    *ret_stats = s->stats;
}
