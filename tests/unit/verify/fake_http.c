#include "fake_http.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/base64url.h"

enum { FAKE_POUR_BYTES = 256 << 20 };

struct connection {
    struct fake_http *s;
    int fd;
};
struct request {
    char method[8], target[256], authorization[512], last_event_id[64];
    char body[4096];
};

static bool send_all(int fd, const void *p, size_t n) {
    const uint8_t *at = p;
    while (n != 0) {
        ssize_t sent = send(fd, at, n, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        if (sent <= 0) return false;
        at += sent;
        n -= (size_t)sent;
    }
    return true;
}
/* One byte, or false at the end, or when the server stops. */
static bool read_byte(struct connection *c, char *ret) {
    struct pollfd p = {.fd = c->fd, .events = POLLIN};
    while (poll(&p, 1, 20) == 0)
        if (atomic_load(&c->s->stops)) return false;
    return recv(c->fd, ret, 1, 0) == 1;
}
static bool read_line(struct connection *c, char *line, size_t cap) {
    size_t n = 0;
    char b;
    while (n + 1 < cap && read_byte(c, &b)) {
        if (b == '\n') {
            line[n > 0 && line[n - 1] == '\r' ? n - 1 : n] = 0;
            return true;
        }
        line[n++] = b;
    }
    return false;
}
static const char *value_of(const char *line, const char *name) {
    size_t n = strlen(name);
    return strncasecmp(line, name, n) == 0 && line[n] == ':' ? line + n + 1 + strspn(line + n + 1, " ")
                                                             : NULL;
}
static bool read_request(struct connection *c, struct request *r) {
    char line[2048];
    const char *v;
    size_t body = 0;
    memset(r, 0, sizeof *r);
    if (!read_line(c, line, sizeof line) || sscanf(line, "%7s %255s", r->method, r->target) != 2)
        return false;
    while (read_line(c, line, sizeof line) && line[0] != 0) {
        if ((v = value_of(line, "Authorization")) != NULL)
            (void)snprintf(r->authorization, sizeof r->authorization, "%s", v);
        if ((v = value_of(line, "Last-Event-ID")) != NULL)
            (void)snprintf(r->last_event_id, sizeof r->last_event_id, "%.63s", v);
        if ((v = value_of(line, "Content-Length")) != NULL) body = strtoul(v, NULL, 10);
    }
    for (size_t i = 0; i < body && i + 1 < sizeof r->body; i++)
        if (!read_byte(c, &r->body[i])) return false;
    return true;
}

static bool reply(struct connection *c, const char *status, const char *field, sp_slice body) {
    char head[512];
    int n =
        snprintf(head, sizeof head, "HTTP/1.1 %s\r\n%sContent-Length: %zu\r\n\r\n", status, field, body.n);
    return send_all(c->fd, head, (size_t)n) && send_all(c->fd, body.p, body.n);
}
static bool send_chunk(struct connection *c, sp_slice piece) {
    char size[32];
    size_t step = atomic_load(&c->s->manner) == FAKE_ONE_BYTE ? 1 : piece.n;
    for (size_t at = 0; at < piece.n; at += step) {
        int n = snprintf(size, sizeof size, "%zx\r\n", step);
        if (!send_all(c->fd, size, (size_t)n) || !send_all(c->fd, piece.p + at, step) ||
            !send_all(c->fd, "\r\n", 2))
            return false;
    }
    return true;
}

static uint64_t now_ms(void) {
    return (uint64_t)sp_clock_boot_ms(&sp_clock_system) + 1234567;
}

static void cut(struct connection *c, sp_slice piece) {
    struct linger hard = {.l_onoff = 1, .l_linger = 0};
    (void)send_all(c->fd, "ffff\r\n", 6);
    (void)send_all(c->fd, piece.p, piece.n / 2);
    (void)setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
}
static void huge_line(struct connection *c) {
    char filler[8192];
    memset(filler, 'x', sizeof filler);
    (void)send_chunk(c, SP_SLICE_LIT("event: beat\ndata: "));
    for (int i = 0; i < 64; i++)
        if (!send_chunk(c, SP_SLICE_ARRAY(filler))) return;
}

static void serve_stream(struct connection *c, const struct request *r) {
    struct fake_http *s = c->s;
    uint64_t at;
    unsigned changes;
    static const char head[] =
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
    SP_AUTO(sp_buf) b = SP_BUF_INIT(FAKE_BYTES_MAX);
    if (!send_all(c->fd, head, sizeof head - 1)) return;
    pthread_mutex_lock(&s->lock);
    s->streams++;
    fake_write_beginning(&s->feed, r->last_event_id, now_ms(), &b);
    at = fake_seq(&s->feed);
    changes = s->changes;
    pthread_mutex_unlock(&s->lock);
    if (atomic_load(&s->manner) == FAKE_CUT) {
        cut(c, sp_buf_slice(&b));
        return;
    }
    if (atomic_load(&s->manner) == FAKE_HUGE_LINE) huge_line(c);
    while (send_chunk(c, sp_buf_slice(&b)) && !atomic_load(&s->stops)) {
        sp_buf_clear(&b);
        struct timespec end;
        (void)clock_gettime(CLOCK_REALTIME, &end);
        end.tv_nsec += 100 * 1000000;
        end.tv_sec += end.tv_nsec / 1000000000;
        end.tv_nsec %= 1000000000;
        pthread_mutex_lock(&s->lock);
        (void)pthread_cond_timedwait(&s->changed, &s->lock, &end);
        if (changes != s->changes) fake_write_documents(&s->feed, &b);
        changes = s->changes;
        fake_write_revocations(&s->feed, at, &b);
        at = fake_seq(&s->feed);
        fake_write_beat(&s->feed, now_ms(), &b);
        pthread_mutex_unlock(&s->lock);
    }
}

/* What has no end, until the client has enough of it, or has proved that it never will. */
static bool pour(struct connection *c, const char *begin, const char *line) {
    SP_AUTO(sp_buf) many = SP_BUF_INIT(FAKE_BYTES_MAX);
    size_t n = 0, most;
    while (many.n < 16384) assert_true(sp_ok(sp_buf_append_cstr(&many, line)));
    bool takes = send_all(c->fd, begin, strlen(begin));
    for (; takes && n < FAKE_POUR_BYTES && !atomic_load(&c->s->stops); n += many.n)
        takes = send_all(c->fd, many.p, many.n);
    most = atomic_load(&c->s->poured);
    while (n > most && !atomic_compare_exchange_weak(&c->s->poured, &most, n)) continue;
    return false;
}
static bool redirect(struct connection *c) {
    char field[256];
    (void)snprintf(field, sizeof field, "Location: %s\r\n",
                   c->s->redirect_to != NULL ? c->s->redirect_to : "/elsewhere");
    return reply(c, "302 Found", field, SP_SLICE_EMPTY);
}
static bool is_errand(const struct request *r) {
    return strcmp(r->target, "/feed/ack") == 0 || strcmp(r->target, "/feed/nonce") == 0;
}
/* False: a good answer is to be given; otherwise *ret_goes_on says whether the connection is kept. */
static bool misbehave(struct connection *c, const struct request *r, int manner, bool *ret_goes_on) {
    *ret_goes_on = false;
    switch (manner) {
    case FAKE_503: *ret_goes_on = reply(c, "503 Service Unavailable", "", SP_SLICE_LIT("later")); return true;
    case FAKE_204: *ret_goes_on = send_all(c->fd, "HTTP/1.1 204 No Content\r\n\r\n", 27); return true;
    case FAKE_REDIRECT:
        if (strcmp(r->target, "/elsewhere") == 0) return false;
        *ret_goes_on = redirect(c);
        return true;
    case FAKE_HEADS: return !pour(c, "HTTP/1.1 200 OK\r\n", "X-Filler: of a head that does not end\r\n");
    case FAKE_INTERIM: return !pour(c, "", "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n");
    case FAKE_BODIES:
        return is_errand(r) && !pour(c, "HTTP/1.1 200 OK\r\nContent-Length: 9999999999\r\n\r\n", "filler ");
    case FAKE_HANG:
        while (!atomic_load(&c->s->stops) && atomic_load(&c->s->manner) == FAKE_HANG) (void)poll(NULL, 0, 10);
        return false;
    default: return false;
    }
}

/* False: the connection is over. */
static bool serve(struct connection *c, const struct request *r) {
    struct fake_http *s = c->s;
    SP_AUTO(sp_buf) b = SP_BUF_INIT(FAKE_BYTES_MAX);
    int manner = atomic_load(&s->manner);
    bool goes_on;
    pthread_mutex_lock(&s->lock);
    s->requests++;
    pthread_mutex_unlock(&s->lock);
    if (misbehave(c, r, manner, &goes_on)) return goes_on;
    pthread_mutex_lock(&s->lock);
    bool denied = strcmp(r->authorization, s->authorization) != 0;
    s->denied += denied;
    s->elsewhere += strcmp(r->target, "/elsewhere") == 0;
    pthread_mutex_unlock(&s->lock);
    if (denied) return reply(c, "401 Unauthorized", "WWW-Authenticate: Basic\r\n", SP_SLICE_EMPTY);
    if (strncmp(r->target, "/feed?verifier=", 15) == 0) {
        serve_stream(c, r);
        return false;
    }
    pthread_mutex_lock(&s->lock);
    bool known = true;
    if (strcmp(r->target, "/feed/keys") == 0) {
        fake_write_feed_keys(&s->feed, &b);
    } else if (strcmp(r->target, "/feed/snapshot") == 0) {
        fake_write_snapshot(&s->feed, sp_clock_wall_ms(&sp_clock_system) / 1000, &b);
    } else if (strcmp(r->target, "/feed/nonce") == 0) {
        known = fake_write_answer(&s->feed, sp_slice_cstr(r->body), now_ms(), &b);
    } else if (strcmp(r->target, "/feed/ack") == 0) {
        s->acks++;
        (void)snprintf(s->last_ack, sizeof s->last_ack, "%.1023s", r->body);
        pthread_cond_broadcast(&s->changed);
    } else {
        known = false;
    }
    pthread_mutex_unlock(&s->lock);
    if (manner == FAKE_OLD) {
        (void)send_all(c->fd, b.p, b.n);
        return false;
    }
    if (manner == FAKE_GZIP)
        return reply(c, "200 OK", "Content-Encoding: gzip\r\n", SP_SLICE_LIT("\x1f\x8b\x08junk"));
    return reply(c, known ? "200 OK" : "404 Not Found", "", sp_buf_slice(&b));
}

static void *run_connection(void *arg) {
    struct connection *c = arg;
    struct request r;
    while (read_request(c, &r) && serve(c, &r)) continue;
    (void)close(c->fd);
    atomic_fetch_sub(&c->s->connections, 1);
    free(c);
    return NULL;
}

static void *run_listener(void *arg) {
    struct fake_http *s = arg;
    while (!atomic_load(&s->stops)) {
        struct pollfd p = {.fd = s->listener, .events = POLLIN};
        if (poll(&p, 1, 20) <= 0) continue;
        struct connection *c = calloc(1, sizeof *c);
        pthread_t thread;
        c->s = s;
        c->fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC);
        atomic_fetch_add(&s->connections, 1);
        if (pthread_create(&thread, NULL, run_connection, c) == 0) (void)pthread_detach(thread);
    }
    return NULL;
}

static void set_authorization(struct fake_http *s, const char *credential) {
    /* base64 with padding, which we have not: base64url differs in two characters, and padding is added */
    char text[SP_BASE64URL_CHARS(200) + 1] = {0};
    sp_slice in = sp_slice_cstr(credential);
    sp_base64url_encode(in, text);
    for (char *p = text; *p != 0; p++) *p = *p == '-' ? '+' : *p == '_' ? '/' : *p;
    (void)snprintf(s->authorization, sizeof s->authorization, "Basic %s%s", text,
                   in.n % 3 == 1   ? "=="
                   : in.n % 3 == 2 ? "="
                                   : "");
}

void fake_http_start(struct fake_http *s, const char *issuer, const char *credential) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    memset(s, 0, sizeof *s);
    fake_init(&s->feed, issuer, 1);
    set_authorization(s, credential);
    (void)pthread_mutex_init(&s->lock, NULL);
    (void)pthread_cond_init(&s->changed, NULL);
    s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(s->listener, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(s->listener, 64), 0);
    assert_int_equal(getsockname(s->listener, (struct sockaddr *)&a, &n), 0);
    s->port = ntohs(a.sin_port);
    assert_int_equal(pthread_create(&s->thread, NULL, run_listener, s), 0);
}
void fake_http_stop(struct fake_http *s) {
    atomic_store(&s->stops, true);
    (void)pthread_join(s->thread, NULL);
    while (atomic_load(&s->connections) != 0) (void)poll(NULL, 0, 5);
    (void)close(s->listener);
    pthread_mutex_destroy(&s->lock);
    pthread_cond_destroy(&s->changed);
    fake_done(&s->feed);
}
void fake_http_url(const struct fake_http *s, char *out, size_t cap) {
    (void)snprintf(out, cap, "http://127.0.0.1:%u", s->port);
}
void fake_http_revoke(struct fake_http *s, const uint8_t jti[16], int64_t until_s) {
    pthread_mutex_lock(&s->lock);
    (void)fake_revoke_jti(&s->feed, jti, until_s);
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}
bool fake_http_wait(bool (*cond)(void *arg), void *arg) {
    for (int i = 0; i < 4000; i++) {
        if (cond(arg)) return true;
        (void)poll(NULL, 0, 5);
    }
    return false;
}
