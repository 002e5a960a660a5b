/* Verifiers by the thousand, and what a logout costs until the last of them knows.
 *
 *   feed_load PORT CREDENTIAL VERIFIERS LOGOUTS [receipts] < access tokens, one a line
 *
 * Opens VERIFIERS streams of the feed and, with `receipts`, as many connections that acknowledge. Then logs
 * out one session after another and notes when each verifier has read the event, counted from the moment at
 * which the answer to the logout came in (an event that is earlier counts 0). With `receipts` the logout asks
 * for one (Prefer: wait=5) and its own time counts, from request to answer. Prints one JSON object. One
 * thread, epoll, loopback only.
 *
 * A verifier here finds the session in the event's line and does no more: what a real one adds is in
 * bench_verify. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BUFFER = 64 * 1024, TOKEN_MAX = 8192, WAIT_MS = 5000, BATCH = 512 };

enum kind { STREAM, ACKER, DRIVER };
struct conn {
    enum kind kind;
    int fd;
    size_t n;
    char *in; /* BUFFER */
    size_t index;
    /* STREAM */
    bool has_hello, has_event;
    uint64_t seq;
    /* ACKER */
    bool in_flight, wanted;
};

static int port, epoll_fd;
static char authorization[512], epoch[64], roles[64], keys[64];
static struct conn *streams, *ackers, driver;
static size_t n_verifiers, n_heard, n_samples;
static double *samples, answered_at;
static bool with_receipts, has_answer;
static char answer[BUFFER];

static void die(const char *what) {
    fprintf(stderr, "feed_load: %s: %s\n", what, strerror(errno));
    exit(1);
}
static double now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void open_conn(struct conn *c, enum kind kind, size_t index) {
    const struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = c};
    const int one = 1;
    *c = (struct conn){.kind = kind, .fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), .index = index};
    if (c->fd < 0 || connect(c->fd, (const struct sockaddr *)&to, sizeof(to)) != 0) die("connect");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (fcntl(c->fd, F_SETFL, O_NONBLOCK) != 0 || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &ev) != 0)
        die("epoll");
    c->in = malloc(BUFFER);
    if (c->in == NULL) die("malloc");
}

static void send_all(struct conn *c, const char *text, size_t n) {
    while (n != 0) {
        const ssize_t sent = send(c->fd, text, n, MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN) continue;
        if (sent <= 0) die("send");
        text += sent;
        n -= (size_t)sent;
    }
}

static void send_ack(struct conn *c) {
    char body[512], text[1200];
    if (c->in_flight || roles[0] == 0) {
        c->wanted = true;
        return;
    }
    const int n =
        snprintf(body, sizeof(body),
                 "{\"verifier\":\"v%zu\",\"epoch\":\"%s\",\"seq\":%llu,\"roles\":\"%s\",\"keys\":\"%s\","
                 "\"max_staleness_s\":30}",
                 c->index, epoch, (unsigned long long)streams[c->index].seq, roles, keys);
    const int m = snprintf(text, sizeof(text),
                           "POST /feed/ack HTTP/1.1\r\nHost: localhost\r\nAuthorization: %s\r\n"
                           "Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
                           authorization, n, body);
    c->in_flight = true;
    c->wanted = false;
    send_all(c, text, (size_t)m);
}

/* "name":"value" */
static void member(const char *line, const char *name, char *ret, size_t cap) {
    const char *at = strstr(line, name);
    if (at == NULL) return;
    at += strlen(name);
    const size_t n = strcspn(at, "\"");
    if (n < cap) {
        memcpy(ret, at, n);
        ret[n] = 0;
    }
}

static void on_event_line(struct conn *c, const char *line) {
    const char *colon;
    if (strncmp(line, "id: ", 4) == 0 && (colon = strchr(line + 4, ':')) != NULL)
        c->seq = strtoull(colon + 1, NULL, 10);
    if (strncmp(line, "data: {\"issuer\"", 15) == 0) {
        member(line, "\"epoch\":\"", epoch, sizeof(epoch));
        const char *seq = strstr(line, "\"seq\":");
        if (seq != NULL) c->seq = strtoull(seq + 6, NULL, 10);
        c->has_hello = true;
    }
    if (strncmp(line, "data: {\"node\"", 13) == 0) {
        member(line, "\"roles\":\"", roles, sizeof(roles));
        member(line, "\"keys\":\"", keys, sizeof(keys));
    }
    if (strncmp(line, "data: {\"sid\"", 12) != 0) return;
    const double at = now_ms();
    if (!c->has_event) {
        c->has_event = true;
        n_heard++;
        /* Before the answer is known the time is kept as it is, and set against it when it comes. */
        samples[n_samples++] = at;
    }
    if (with_receipts) send_ack(&ackers[c->index]);
}

static void on_stream(struct conn *c) {
    char *from = c->in, *end;
    c->in[c->n] = 0;
    while ((end = memchr(from, '\n', (size_t)(c->in + c->n - from))) != NULL) {
        *end = 0;
        on_event_line(c, from);
        from = end + 1;
    }
    c->n = (size_t)(c->in + c->n - from);
    memmove(c->in, from, c->n);
}

/* True when a whole answer is there; it is then in `answer`. */
static bool take_answer(struct conn *c) {
    c->in[c->n] = 0;
    char *body = strstr(c->in, "\r\n\r\n");
    if (body == NULL) return false;
    const char *length = strstr(c->in, "Content-Length: ");
    size_t want = length != NULL && length < body ? strtoul(length + 16, NULL, 10) : 0;
    body += 4;
    if ((size_t)(c->in + c->n - body) < want) return false;
    const size_t n = (size_t)(body - c->in) + want;
    memcpy(answer, c->in, n);
    answer[n] = 0;
    memmove(c->in, c->in + n, c->n - n);
    c->n -= n;
    return true;
}

static void on_readable(struct conn *c) {
    const ssize_t got = recv(c->fd, c->in + c->n, BUFFER - 1 - c->n, 0);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) {
        errno = got == 0 ? ECONNRESET : errno;
        die(c->kind == STREAM ? "a stream ended" : "a connection ended");
    }
    c->n += (size_t)got;
    if (c->kind == STREAM) {
        on_stream(c);
    } else if (take_answer(c)) {
        if (c->kind == DRIVER) {
            answered_at = now_ms();
            has_answer = true;
            return;
        }
        if (strncmp(answer, "HTTP/1.1 204", 12) != 0) {
            fprintf(stderr, "feed_load: %.200s\n", answer);
            exit(1);
        }
        c->in_flight = false;
        if (c->wanted) send_ack(c);
    }
}

static void turn(int wait_ms) {
    struct epoll_event ev[BATCH];
    const int n = epoll_wait(epoll_fd, ev, BATCH, wait_ms);
    for (int i = 0; i < n; i++) on_readable(ev[i].data.ptr);
}

static void subscribe(struct conn *c) {
    char text[1024];
    const int n = snprintf(text, sizeof(text),
                           "GET /feed?verifier=v%zu HTTP/1.1\r\nHost: localhost\r\nAuthorization: %s\r\n\r\n",
                           c->index, authorization);
    send_all(c, text, (size_t)n);
    const double until = now_ms() + WAIT_MS;
    while (!c->has_hello) {
        if (now_ms() > until) die("no hello");
        turn(100);
    }
}

static int compare(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}
static double quantile(double *v, size_t n, double q) {
    qsort(v, n, sizeof(*v), compare);
    return n == 0 ? -1 : v[(size_t)((double)(n - 1) * q)];
}

static void base64(const char *in, char *out) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const size_t n = strlen(in);
    for (size_t i = 0; i < n; i += 3) {
        const unsigned a = (unsigned char)in[i], b = i + 1 < n ? (unsigned char)in[i + 1] : 0,
                       c = i + 2 < n ? (unsigned char)in[i + 2] : 0, v = a << 16 | b << 8 | c;
        *out++ = digits[v >> 18];
        *out++ = digits[v >> 12 & 63];
        *out++ = i + 1 < n ? digits[v >> 6 & 63] : '=';
        *out++ = i + 2 < n ? digits[v & 63] : '=';
    }
    *out = 0;
}

static void log_out(const char *token) {
    char text[TOKEN_MAX + 512];
    const int n = snprintf(text, sizeof(text),
                           "POST /auth/logout HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n%s"
                           "Content-Length: 0\r\n\r\n",
                           token, with_receipts ? "Prefer: wait=5\r\n" : "");
    for (size_t i = 0; i < n_verifiers; i++) streams[i].has_event = false;
    n_heard = 0;
    has_answer = false;
    send_all(&driver, text, (size_t)n);
}

/* One logout; the request's own time. */
static double one(const char *token) {
    const size_t first = n_samples;
    const double began = now_ms();
    log_out(token);
    while (!has_answer || n_heard < n_verifiers) {
        if (now_ms() - began > WAIT_MS) die("an event or answer did not come");
        turn(100);
    }
    if (strncmp(answer, "HTTP/1.1 20", 11) != 0) {
        fprintf(stderr, "feed_load: %.300s\n", answer);
        exit(1);
    }
    char all[64];
    (void)snprintf(all, sizeof(all), "\"confirmed\":%zu", n_verifiers);
    if (with_receipts && strstr(answer, all) == NULL) {
        fprintf(stderr, "feed_load: not all have confirmed: %.800s\n", answer);
        exit(1);
    }
    for (size_t i = first; i < n_samples; i++) {
        samples[i] -= answered_at;
        if (samples[i] < 0) samples[i] = 0;
    }
    return answered_at - began;
}

static void settle(int ms) {
    const double until = now_ms() + ms;
    while (now_ms() < until) turn(20);
}

int main(int argc, char **argv) {
    static char token[TOKEN_MAX];
    if (argc < 5) {
        fprintf(stderr, "usage: feed_load PORT CREDENTIAL VERIFIERS LOGOUTS [receipts] < tokens\n");
        return 2;
    }
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    port = (int)strtol(argv[1], NULL, 10);
    memcpy(authorization, "Basic ", sizeof("Basic "));
    base64(argv[2], authorization + 6);
    n_verifiers = strtoul(argv[3], NULL, 10);
    const size_t logouts = strtoul(argv[4], NULL, 10);
    with_receipts = argc > 5;
    streams = calloc(n_verifiers + 1, sizeof(*streams));
    ackers = calloc(n_verifiers + 1, sizeof(*ackers));
    samples = calloc(n_verifiers * logouts + 1, sizeof(*samples));
    double *took = calloc(logouts + 1, sizeof(*took));
    if (streams == NULL || ackers == NULL || samples == NULL || took == NULL) die("calloc");
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    for (size_t i = 0; i < n_verifiers; i++) {
        open_conn(&streams[i], STREAM, i);
        subscribe(&streams[i]);
    }
    for (size_t i = 0; with_receipts && i < n_verifiers; i++) open_conn(&ackers[i], ACKER, i);
    settle(600);
    for (size_t i = 0; with_receipts && i < n_verifiers; i++) send_ack(&ackers[i]);
    settle(1000);
    open_conn(&driver, DRIVER, 0);
    for (size_t i = 0; i < logouts; i++) {
        if (fgets(token, sizeof(token), stdin) == NULL) die("not enough tokens");
        token[strcspn(token, "\n")] = 0;
        took[i] = one(token);
        settle(2 + (int)(i % 7)); /* so that logouts do not fall in step with beats */
    }
    printf("{\"verifiers\":%zu,\"logouts\":%zu,\"event_p50_ms\":%.3f,\"event_p99_ms\":%.3f,\"event_max_ms\":%"
           ".3f,"
           "\"request_p50_ms\":%.3f,\"request_p99_ms\":%.3f}\n",
           n_verifiers, logouts, quantile(samples, n_samples, 0.5), quantile(samples, n_samples, 0.99),
           quantile(samples, n_samples, 1), quantile(took, logouts, 0.5), quantile(took, logouts, 0.99));
    return 0;
}
