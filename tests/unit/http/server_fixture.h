/* A real server on a real loop, and clients on the same thread: the loop is stepped until the client has what
 * it waits for. Nothing sleeps but in poll, and deadlines under test are a few milliseconds long: a client
 * that keeps up must not meet one because the machine was busy. So the server's clock goes on by
 * LONGEST_TURN_MS at most from step to step, however long that took. */
#ifndef SP_TESTS_HTTP_SERVER_FIXTURE_H
#define SP_TESTS_HTTP_SERVER_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/buf.h"
#include "http/server.h"

#define PARKED_MAX 4096
#define PATIENCE_MS 20000
#define TURN_MS 5
#define LONGEST_TURN_MS 8

struct fixture {
    struct sp_loop *loop;
    int64_t real_ms, boot_ms; /* of the last step; the server's clock */
    struct sp_http_server *server;
    uint16_t port;
    bool park;                               /* the handler keeps the request instead of answering */
    void (*handle)(struct sp_http_req *req); /* or this answers */
    struct sp_http_response response;
    sp_status reply_status;
    size_t calls;
    struct sp_http_req *parked[PARKED_MAX];
    size_t n_parked;
    /* of the last request */
    char method[32], path[SP_HTTP_URL_BYTES_MAX + 1], query[64], host[64], body[20000];
    size_t body_n;
    enum sp_http_presence x_one;
    struct sp_http_peer peer;
    void *user;
    bool keep_alive;
};

static struct fixture fx;

static inline void copy_text(char *out, size_t cap, sp_slice s) {
    assert_true(s.n < cap);
    if (s.n > 0) memcpy(out, s.p, s.n);
    out[s.n] = '\0';
}

static inline void on_request(void *arg, struct sp_http_req *req) {
    struct fixture *f = arg;
    f->calls++;
    copy_text(f->method, sizeof(f->method), sp_http_req_method_text(req));
    copy_text(f->path, sizeof(f->path), sp_http_req_path(req));
    copy_text(f->query, sizeof(f->query), sp_http_req_query(req));
    copy_text(f->host, sizeof(f->host), sp_http_req_host(req));
    copy_text(f->body, sizeof(f->body), sp_http_req_body(req));
    f->body_n = sp_http_req_body(req).n;
    f->x_one = sp_http_req_header(req, "x-one", NULL);
    f->peer = *sp_http_req_peer(req);
    f->user = sp_http_req_user(req);
    f->keep_alive = sp_http_req_keep_alive(req);
    if (f->park) {
        assert_true(f->n_parked < PARKED_MAX);
        f->parked[f->n_parked++] = req;
    } else if (f->handle != NULL) {
        f->handle(req);
    } else {
        f->reply_status = sp_http_reply(req, &f->response);
    }
}

static inline int64_t server_wall_ms(void *arg) {
    (void)arg;
    return sp_clock_wall_ms(&sp_clock_system);
}

static inline int64_t server_boot_ms(void *arg) {
    (void)arg;
    return fx.boot_ms;
}

static inline void start(struct sp_http_opts opts) {
    static const struct sp_clock clock = {server_wall_ms, server_boot_ms, NULL};
    fx = (struct fixture){.response = {.status = 200, .body = SP_SLICE_LIT("hello")}};
    fx.real_ms = fx.boot_ms = sp_clock_boot_ms(&sp_clock_system);
    opts.on_request = on_request;
    opts.arg = &fx;
    int fd = -1;
    assert_true(sp_ok(sp_loop_new(&clock, &fx.loop)));
    assert_true(sp_ok(sp_http_server_new(fx.loop, &opts, &fx.server)));
    assert_true(sp_ok(sp_http_listen_tcp("127.0.0.1", 0, false, &fd)));
    fx.port = sp_http_listen_port(fd);
    assert_true(sp_ok(sp_http_server_listen(fx.server, fd, &fx)));
}

static inline int stop(void **state) {
    (void)state;
    sp_http_server_free(fx.server);
    sp_loop_free(fx.loop);
    return 0;
}

static inline int start_default(void **state) {
    (void)state;
    start((struct sp_http_opts){0});
    return 0;
}

static inline struct sp_http_stats stats(void) {
    struct sp_http_stats s;
    sp_http_server_stats(fx.server, &s);
    return s;
}

static inline void step(void) {
    const int64_t now = sp_clock_boot_ms(&sp_clock_system), passed = now - fx.real_ms;
    fx.real_ms = now;
    fx.boot_ms += passed < LONGEST_TURN_MS ? passed : LONGEST_TURN_MS;
    assert_true(sp_ok(sp_loop_step(fx.loop, TURN_MS)));
}

/* So much of the server's time. */
static inline void pass(int64_t ms) {
    const int64_t until = fx.boot_ms + ms;
    while (fx.boot_ms < until) step();
}

/* Steps until the condition holds. */
#define WAIT_FOR(condition)                                                                                  \
    do {                                                                                                     \
        const int64_t until_ = sp_clock_boot_ms(&sp_clock_system) + PATIENCE_MS;                             \
        while (!(condition)) {                                                                               \
            if (sp_clock_boot_ms(&sp_clock_system) > until_) fail_msg("never happened: %s", #condition);     \
            step();                                                                                          \
        }                                                                                                    \
    } while (0)

/* --- A client. --- */

struct client {
    int fd;
    bool ended;
    size_t n;
    char got[64 * 1024];
};

static inline void client_open(struct client *c) {
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(fx.port)};
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    memset(c, 0, sizeof(*c));
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(c->fd >= 0);
    assert_int_equal(connect(c->fd, (struct sockaddr *)&in, sizeof(in)), 0);
}

static inline void client_send(struct client *c, const char *text) {
    assert_int_equal(send(c->fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static inline void client_receive(struct client *c) {
    const ssize_t n = recv(c->fd, c->got + c->n, sizeof(c->got) - 1 - c->n, MSG_DONTWAIT);
    if (n == 0 || (n < 0 && errno != EAGAIN)) c->ended = true;
    if (n > 0) c->n += (size_t)n;
    c->got[c->n] = '\0';
}

static inline bool client_has(struct client *c, const char *text) {
    client_receive(c);
    return strstr(c->got, text) != NULL;
}

static inline bool client_ended(struct client *c) {
    client_receive(c);
    return c->ended;
}

static inline void client_forget(struct client *c) {
    c->n = 0;
    c->got[0] = '\0';
}

static inline void client_close(struct client *c) {
    close(c->fd);
}

/* Closes with a reset instead of an orderly end. */
static inline void client_reset(struct client *c) {
    const struct linger now = {.l_onoff = 1, .l_linger = 0};
    assert_int_equal(setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now)), 0);
    close(c->fd);
}

static inline size_t count_of(const char *text, const char *what) {
    size_t n = 0;
    for (const char *at = text; (at = strstr(at, what)) != NULL; at += strlen(what)) n++;
    return n;
}

/* One request on a fresh connection: the answer begins with `answer`. */
static inline void expect(const char *request, const char *answer) {
    struct client c;
    client_open(&c);
    client_send(&c, request);
    WAIT_FOR(client_has(&c, "\r\n\r\n") || c.ended);
    if (strncmp(c.got, answer, strlen(answer)) != 0) fail_msg("%.60s...\n got: %s", request, c.got);
    client_close(&c);
}

static inline void reply_parked(size_t i) {
    fx.reply_status = sp_http_reply(fx.parked[i], &fx.response);
}

#define HOST "Host: a\r\n"
#define GET "GET / HTTP/1.1\r\n" HOST "\r\n"

#endif
