/* Loops, connections, and who waits for which answer.
 *
 * A connection carries one exchange at a time (and now and then a pipelined question after the server's
 * health in front of it), then serves whoever asks next, so that what was left over from one client would be
 * another one's. Requests arrive in pieces. Which loop moves when is the seed's choice; only memory moves
 * bytes, so nothing else has a say: the same seed is the same history. */
#include "sim_http.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    SEEDS = 120,
    SPAN_MS = 60 * 60 * 1000,
    NEVER_MS = 365 * 24 * 3600 * 1000LL, /* deadlines of connections go by the kernel's clock: none here */
    STEPS_A_DRAIN = 4,
    DRAINS_MAX = 100000,
};

/* ---- loops ---- */

static void front_run(struct sim *s, struct sim_event *e);

static void arm(struct sim_front *f) {
    if (f->step_is_armed) return;
    f->step_is_armed = true;
    sim_at(f->sim, &f->step, f->sim->now_ms + sim_app_step_ms(f->sim), front_run);
}

static int64_t clock_ms(void *arg) {
    return ((struct sim *)arg)->now_ms;
}

static sp_status random_fill(void *arg, void *p, size_t n) {
    sim_bytes(arg, p, n);
    return SP_SUCCESS;
}

static void front_open(struct sim *s, struct sim_front *f) {
    static const sp_slice origins[] = {{(const uint8_t *)SIM_ORIGIN, sizeof(SIM_ORIGIN) - 1}};
    const struct sp_http_api_config config = {.public_origins = origins,
                                              .n_public_origins = 1,
                                              .log = sp_log_none,
                                              .request_log = SP_REQUEST_LOG_OFF,
                                              .random = {random_fill, s}};
    SIM_OK(s, sp_loop_new(&sim_http_of(s)->clock, &f->loop));
    SIM_OK(s, sp_http_api_new(sim_app_of(s)->app, &config, &f->api));
    const struct sp_http_opts opts = {.on_request = sp_http_api_on_request,
                                      .arg = f->api,
                                      .header_deadline_ms = NEVER_MS,
                                      .body_deadline_ms = NEVER_MS,
                                      .idle_ms = NEVER_MS,
                                      .write_deadline_ms = NEVER_MS};
    SIM_OK(s, sp_http_server_new(f->loop, &opts, &f->server));
}

void sim_http_open(struct sim *s) {
    struct sim_http *h = sim_http_of(s);
    h->sim = s;
    h->clock = (struct sp_clock){clock_ms, clock_ms, s};
    for (size_t i = 0; i < SIM_FRONTS; i++) {
        h->fronts[i].sim = s;
        front_open(s, &h->fronts[i]);
    }
    if (!h->foes_have_begun) sim_http_foes_begin(s);
    h->foes_have_begun = true;
}

/* ---- exchanges ---- */

struct sim_exchange *sim_exchange_new(struct sim *s, const char *what) {
    struct sim_exchange *x = calloc(1, sizeof(*x));
    sp_assert(x != NULL);
    x->what = what;
    x->number = ++sim_http_of(s)->exchanges;
    return x;
}

static void exchange_free(struct sim_exchange *x) {
    x->is_over = true;
    if (!x->send_is_armed) free(x); /* else its event does */
}

/* The connection is busy until its answer has been heard. */
static void finish(struct sim *s, struct sim_conn *c, const struct sim_answer *a) {
    c->exchange->answered(s, c->exchange, a);
}

static void conn_free_exchange(struct sim_conn *c) {
    exchange_free(c->exchange);
    c->exchange = NULL;
}

static void conn_close(struct sim_conn *c) {
    if (c->fd >= 0) close(c->fd);
    c->fd = -1;
    c->is_open = false;
    c->in_n = 0;
}

/* ---- reading ---- */

/* False: the server has closed. */
static bool receive(struct sim *s, struct sim_conn *c) {
    for (;;) {
        const ssize_t n = recv(c->fd, c->in + c->in_n, sizeof(c->in) - c->in_n, MSG_DONTWAIT);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == EAGAIN) return true;
        if (n <= 0) return false;
        c->in_n += (size_t)n;
        if (c->in_n == sizeof(c->in)) sim_fail(s, "an answer that does not end");
    }
}

static void drop(struct sim_conn *c, size_t n) {
    memmove(c->in, c->in + n, c->in_n - n);
    c->in_n -= n;
}

/* True: the one that was waited for. */
static bool take_answer(struct sim *s, struct sim_conn *c) {
    struct sim_answer a = {0};
    const size_t n = sim_answer_read(s, c->exchange, c->in, c->in_n, &a);
    if (n == 0) return false;
    const bool ours = c->exchange->skip == 0, closes = a.closes;
    if (ours) finish(s, c, &a);
    sim_answer_done(&a);
    drop(c, n);
    if (!ours) {
        c->exchange->skip--;
        return take_answer(s, c);
    }
    conn_free_exchange(c);
    if (closes) conn_close(c);
    return true;
}

/* Nobody hears it; but it has happened. */
static bool take_lost(struct sim *s, struct sim_conn *c) {
    struct sim_exchange *x = c->exchange;
    if (!x->has_result) return false;
    s->answer_is_lost = true;
    x->tokens_done(x->arg, &x->result);
    s->answer_is_lost = false;
    conn_free_exchange(c);
    conn_close(c);
    return true;
}

static bool collect_conn(struct sim *s, struct sim_conn *c) {
    if (c->fd < 0) return take_lost(s, c);
    const bool is_there = receive(s, c);
    if (c->in_n > 0 && take_answer(s, c)) {
        if (c->is_open && c->in_n > 0) sim_fail(s, "bytes that nobody has asked for");
        if (c->is_open && !is_there) conn_close(c);
        return true;
    }
    if (!is_there) sim_fail(s, "the server hung up on %s", c->exchange->what);
    return false;
}

/* What has come on the connections of this loop. */
static bool collect(struct sim *s, struct sim_front *f) {
    struct sim_http *h = sim_http_of(s);
    bool finished = false;
    for (size_t i = 0; i < SIM_CONNS; i++) {
        struct sim_conn *c = &h->conns[i];
        if (c->is_open && c->front == f && c->exchange != NULL) finished = collect_conn(s, c) || finished;
    }
    return finished;
}

static bool is_busy(struct sim *s, const struct sim_front *f) {
    const struct sim_http *h = sim_http_of(s);
    struct sp_http_stats stats;
    sp_http_server_stats(f->server, &stats);
    if (stats.parked > 0) return true;
    for (size_t i = 0; i < SIM_CONNS; i++) {
        if (h->conns[i].is_open && h->conns[i].front == f && h->conns[i].exchange != NULL) return true;
    }
    return false;
}

static void front_run(struct sim *s, struct sim_event *e) {
    struct sim_front *f = SP_CONTAINER_OF(e, struct sim_front, step);
    f->step_is_armed = false;
    if (s->down || f->loop == NULL) return;
    SIM_OK(s, sp_loop_step(f->loop, 0));
    collect(s, f);
    if (is_busy(s, f)) arm(f);
}

/* ---- sending ---- */

static void send_piece(struct sim *s, struct sim_event *e) {
    struct sim_exchange *x = SP_CONTAINER_OF(e, struct sim_exchange, send);
    x->send_is_armed = false;
    if (x->is_over) {
        free(x);
        return;
    }
    const size_t left = x->request.n - x->sent, n = left < x->piece ? left : x->piece;
    if (send(x->conn->fd, x->request.p + x->sent, n, MSG_NOSIGNAL) != (ssize_t)n)
        sim_fail(s, "%s cannot be sent", x->what);
    x->sent += n;
    arm(x->conn->front);
    if (x->sent == x->request.n) return;
    x->send_is_armed = true;
    sim_at(s, &x->send, s->now_ms + sim_between(s, 0, 20), send_piece);
}

static struct sim_conn *conn_new(struct sim *s, void *listener) {
    struct sim_http *h = sim_http_of(s);
    struct sim_conn *c = NULL;
    for (size_t i = 0; i < SIM_CONNS && c == NULL; i++) {
        if (!h->conns[i].is_open) c = &h->conns[i];
    }
    for (size_t i = 0; i < SIM_CONNS && c == NULL; i++) {
        if (h->conns[i].exchange != NULL) continue;
        c = &h->conns[i];
        conn_close(c);
    }
    if (c == NULL) sim_fail(s, "more requests at a time than were thought of");
    int pair[2];
    sp_assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
    c->front = &h->fronts[sim_below(s, SIM_FRONTS)];
    c->fd = pair[0];
    c->is_open = true;
    c->listener = listener;
    c->in_n = 0;
    SIM_OK(s, sp_http_server_adopt(c->front->server, pair[1], listener));
    return c;
}

/* One that has been used before, by whomever, or a new one. */
static struct sim_conn *conn_for(struct sim *s, void *listener) {
    struct sim_http *h = sim_http_of(s);
    if (sim_chance(s, 20)) return conn_new(s, listener);
    const size_t from = sim_below(s, SIM_CONNS);
    for (size_t i = 0; i < SIM_CONNS; i++) {
        struct sim_conn *c = &h->conns[(from + i) % SIM_CONNS];
        if (c->is_open && c->exchange == NULL && c->listener == listener) return c;
    }
    return conn_new(s, listener);
}

static void put_in_front(struct sim_exchange *x, const char *text) {
    const size_t n = strlen(text);
    if (x->request.n + n > sizeof(x->request.p)) return;
    memmove(x->request.p + n, x->request.p, x->request.n);
    memcpy(x->request.p, text, n);
    x->request.n += n;
    x->skip++;
}

void sim_exchange_send(struct sim *s, struct sim_exchange *x, void *listener) {
    if (sim_chance(s, 10)) put_in_front(x, "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n");
    x->conn = conn_for(s, listener);
    x->conn->exchange = x;
    x->piece = sim_chance(s, 70) ? x->request.n : 1 + x->request.n / (1 + sim_below(s, 3));
    send_piece(s, &x->send);
}

struct abandoned {
    struct sim_event event;
    int fd;
    uint32_t start;
};

static void hang_up(struct sim *s, struct sim_event *e) {
    struct abandoned *a = SP_CONTAINER_OF(e, struct abandoned, event);
    close(a->fd);
    free(a);
    for (size_t i = 0; i < SIM_FRONTS && !s->down; i++) arm(&sim_http_of(s)->fronts[i]);
}

void sim_http_abandon(struct sim *s, const struct sim_text *bytes) {
    struct sim_conn *c = conn_new(s, sp_http_listener_public);
    struct abandoned *a = calloc(1, sizeof(*a));
    sp_assert(a != NULL && send(c->fd, bytes->p, bytes->n, MSG_NOSIGNAL) == (ssize_t)bytes->n);
    a->fd = c->fd;
    c->is_open = false; /* it is ours now */
    arm(c->front);
    sim_at(s, &a->event, s->now_ms + sim_between(s, 0, 100), hang_up);
}

/* ---- the end ---- */

bool sim_http_drain(struct sim *s) {
    struct sim_http *h = sim_http_of(s);
    bool progress = false;
    for (size_t i = 0; i < SIM_FRONTS; i++) {
        struct sim_front *f = &h->fronts[i];
        for (size_t k = 0; f->loop != NULL && k < STEPS_A_DRAIN; k++) {
            SIM_OK(s, sp_loop_step(f->loop, 0));
            progress = collect(s, f) || progress;
        }
        struct sp_http_stats stats = {0};
        if (f->loop != NULL) sp_http_server_stats(f->server, &stats);
        progress = stats.parked > 0 || progress;
    }
    return progress;
}

static void front_close(struct sim_front *f) {
    sp_http_server_free(f->server);
    sp_http_api_free(f->api);
    sp_loop_free(f->loop);
    f->server = NULL;
    f->api = NULL;
    f->loop = NULL;
}

/* Requests that have not arrived whole are nobody's. */
void sim_http_close(struct sim *s) {
    struct sim_http *h = sim_http_of(s);
    for (size_t i = 0; i < SIM_CONNS; i++) {
        struct sim_conn *c = &h->conns[i];
        if (!c->is_open) continue;
        if (c->exchange != NULL && c->exchange->sent == c->exchange->request.n)
            sim_fail(s, "%s was never answered", c->exchange->what);
        if (c->exchange != NULL) finish(s, c, NULL);
        if (c->exchange != NULL) conn_free_exchange(c);
        conn_close(c);
    }
    for (size_t i = 0; i < SIM_FRONTS; i++) front_close(&h->fronts[i]);
}

static void begin(struct sim *s) {
    struct sim_http *h = calloc(1, sizeof(*h));
    sp_assert(h != NULL);
    h->conns = calloc(SIM_CONNS, sizeof(*h->conns));
    sp_assert(h->conns != NULL);
    sim_app_begin(s, &sim_http_door, h);
}

static uint64_t exchanges; /* of this process */

uint64_t sim_http_exchanges(void) {
    return exchanges;
}

static void end(struct sim *s) {
    struct sim_http *h = sim_http_of(s);
    sim_app_server.end(s);
    exchanges += h->exchanges;
    free(h->conns);
    free(h);
}

struct sim_server sim_http_server(void) {
    struct sim_server server = sim_app_server;
    server.name = "http";
    server.test = "test_sim_http";
    server.seeds = SEEDS;
    server.span_ms = SPAN_MS;
    server.begin = begin;
    server.end = end;
    return server;
}
