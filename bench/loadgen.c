/* A load generator that behaves as real clients do: each connection is one client with a session of its own,
 * follows its chain of rotating refresh tokens, and sends its next request when it has the answer to the
 * last.
 *
 *   loadgen --port P --mode refresh|me|verify|fresh|health|login [--connections N] [--seconds S] [--users N]
 *           [--password P] [--pid PID]
 *
 * It logs in first (users bench0, bench1, ... must exist), then measures for S seconds, and prints one JSON
 * object: requests, rate, latency percentiles, answers that were not 2xx and, with --pid, the CPU that the
 * server spent on a request. `fresh` is `verify` with tokens that the server has not seen before: each client
 * first gathers FRESH_TOKENS of them by refreshing, and the measurement ends when they are used up. One
 * thread, epoll, loopback only.
 *
 * Not an HTTP client for strangers: it reads the answers of one server that it knows. */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    CONNECTIONS_MAX = 4096,
    BUFFER_BYTES = 16 * 1024,
    TOKEN_BYTES = 8 * 1024,
    SAMPLES_MAX = 1 << 23, /* 8 M answers: 32 MiB */
    FRESH_TOKENS = 512,    /* a client */
};

enum mode { MODE_REFRESH, MODE_ME, MODE_VERIFY, MODE_HEALTH, MODE_LOGIN, MODE_FRESH };

static struct {
    int port, connections, seconds, users, pid;
    const char *password;
    enum mode mode;
} opt = {.connections = 64, .seconds = 5, .users = 64, .password = "correct horse battery"};

struct client {
    int fd;
    int user;
    bool logged_in;
    size_t out_n, out_at, in_n;
    int64_t sent_ns;
    char out[BUFFER_BYTES], in[BUFFER_BYTES];
    char access[TOKEN_BYTES], refresh[128];
    char *fresh[FRESH_TOKENS];
    size_t fresh_n, fresh_at;
};

static struct client *clients;
static uint32_t *samples_us;
static size_t n_samples;
static uint64_t n_errors;
static bool measuring;
static char first_error[256];

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void die(const char *what) {
    fprintf(stderr, "loadgen: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* ---- requests ---- */

static void post(struct client *c, const char *path, const char *body) {
    c->out_n = (size_t)snprintf(c->out, sizeof(c->out),
                                "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
                                "Content-Length: %zu\r\n\r\n%s",
                                path, strlen(body), body);
}

static void get(struct client *c, const char *path, const char *token) {
    if (token == NULL) {
        c->out_n =
            (size_t)snprintf(c->out, sizeof(c->out), "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", path);
        return;
    }
    c->out_n = (size_t)snprintf(c->out, sizeof(c->out),
                                "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer %s\r\n\r\n",
                                path, token);
}

static void build_login(struct client *c) {
    char body[512];
    snprintf(body, sizeof(body), "{\"username\":\"bench%d\",\"password\":\"%s\"}", c->user, opt.password);
    post(c, "/auth/login", body);
}

static void build_refresh(struct client *c) {
    char body[256];
    snprintf(body, sizeof(body), "{\"refresh_token\":\"%s\"}", c->refresh);
    post(c, "/auth/refresh", body);
}

static bool is_ready(const struct client *c) {
    if (opt.mode == MODE_HEALTH || opt.mode == MODE_LOGIN) return true;
    return c->logged_in && (opt.mode != MODE_FRESH || c->fresh_n == FRESH_TOKENS);
}

static void build_measured(struct client *c) {
    switch (opt.mode) {
    case MODE_REFRESH: build_refresh(c); break;
    case MODE_LOGIN: build_login(c); break;
    case MODE_ME: get(c, "/auth/me", c->access); break;
    case MODE_VERIFY: get(c, "/auth/verify", c->access); break;
    case MODE_FRESH: get(c, "/auth/verify", c->fresh[c->fresh_at++]); break;
    case MODE_HEALTH: get(c, "/healthz", NULL); break;
    }
}

static void build_request(struct client *c) {
    if (is_ready(c)) {
        build_measured(c);
    } else if (!c->logged_in) {
        build_login(c);
    } else {
        build_refresh(c);
    }
    c->out_at = 0;
    c->in_n = 0;
    c->sent_ns = now_ns();
}

/* ---- answers ---- */

static bool copy_member(const char *body, const char *name, char *out, size_t cap) {
    const char *at = strstr(body, name);
    if (at == NULL) return false;
    at += strlen(name);
    const char *end = strchr(at, '"');
    if (end == NULL || (size_t)(end - at) >= cap) return false;
    memcpy(out, at, (size_t)(end - at));
    out[end - at] = 0;
    return true;
}

/* Bytes of the whole answer at in[0..in_n), or 0 while it is not complete. */
static size_t answer_length(const struct client *c) {
    const char *end = memmem(c->in, c->in_n, "\r\n\r\n", 4);
    if (end == NULL) return 0;
    size_t head = (size_t)(end - c->in) + 4, body = 0;
    const char *length = memmem(c->in, head, "Content-Length: ", 16);
    if (length != NULL) body = strtoul(length + 16, NULL, 10);
    return c->in_n >= head + body ? head + body : 0;
}

static void note_error(const struct client *c) {
    n_errors++;
    if (first_error[0] != 0) return;
    size_t line = strcspn(c->in, "\r\n");
    snprintf(first_error, sizeof(first_error), "%.*s", (int)(line < 200 ? line : 200), c->in);
}

/* False: the chain is broken; the client begins anew with a login. */
static bool learn_tokens(struct client *c) {
    return copy_member(c->in, "\"access_token\":\"", c->access, sizeof(c->access)) &&
           copy_member(c->in, "\"refresh_token\":\"", c->refresh, sizeof(c->refresh));
}

static void keep_fresh(struct client *c) {
    if (c->fresh_n < FRESH_TOKENS && (c->fresh[c->fresh_n] = strdup(c->access)) != NULL) c->fresh_n++;
}

static bool gives_tokens(const struct client *c) {
    return !is_ready(c) || opt.mode == MODE_REFRESH || opt.mode == MODE_LOGIN;
}

static void finish_answer(struct client *c) {
    c->in[c->in_n] = 0;
    bool good = memcmp(c->in, "HTTP/1.1 2", 10) == 0, was_ready = is_ready(c);
    if (gives_tokens(c)) {
        good = good && learn_tokens(c);
        c->logged_in = good;
        if (good && opt.mode == MODE_FRESH) keep_fresh(c);
    }
    if (!good) note_error(c);
    if (measuring && n_samples < SAMPLES_MAX && was_ready)
        samples_us[n_samples++] = (uint32_t)((now_ns() - c->sent_ns) / 1000);
}

/* ---- the loop ---- */

static void dial(struct client *c) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)opt.port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&to, sizeof(to)) != 0) die("connect");
    int one = 1;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
}

static void send_some(struct client *c) {
    while (c->out_at < c->out_n) {
        ssize_t n = send(c->fd, c->out + c->out_at, c->out_n - c->out_at, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN)
            return; /* requests are small: the next readiness comes with the answer */
        if (n <= 0) die("send");
        c->out_at += (size_t)n;
    }
}

/* True when a whole answer has been read. */
static bool receive_some(struct client *c) {
    ssize_t n = recv(c->fd, c->in + c->in_n, sizeof(c->in) - 1 - c->in_n, 0);
    if (n < 0 && errno == EAGAIN) return false;
    if (n <= 0) die("the server closed a connection");
    c->in_n += (size_t)n;
    return answer_length(c) != 0;
}

static bool all_ready(void) {
    for (int i = 0; i < opt.connections; i++) {
        if (!is_ready(&clients[i])) return false;
    }
    return true;
}

static bool has_nothing_left(const struct client *c) {
    return opt.mode == MODE_FRESH && c->fresh_at == c->fresh_n;
}

/* True when the measurement is over before its time. */
static bool next_turn(struct client *c) {
    if (!receive_some(c)) return false;
    finish_answer(c);
    if (!measuring && n_errors > 100) {
        fprintf(stderr, "loadgen: logins fail: %s\n", first_error);
        exit(1);
    }
    if (!measuring && is_ready(c)) return false; /* waits for the others */
    if (measuring && has_nothing_left(c)) return true;
    build_request(c);
    send_some(c);
    return false;
}

/* Drives all clients until `until_ns`, or (0) until each is ready to be measured. */
static void drive(int ep, int64_t until_ns) {
    struct epoll_event events[256];
    while (until_ns != 0 ? now_ns() < until_ns : !all_ready()) {
        /* Never sleeps: to wake a processor costs the one who wakes it microseconds on a virtual machine, and
         * that would be the server. */
        int n = epoll_wait(ep, events, 256, 0);
        for (int i = 0; i < n; i++) {
            if (next_turn(events[i].data.ptr)) return;
        }
    }
}

static void start_all(void) {
    for (int i = 0; i < opt.connections; i++) {
        build_request(&clients[i]);
        send_some(&clients[i]);
    }
}

static int by_value(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static uint32_t percentile(double p) {
    return n_samples == 0 ? 0 : samples_us[(size_t)((double)(n_samples - 1) * p)];
}

/* What the scheduler has given to all threads of the server so far; 0 when it cannot be read. */
static double cpu_us(void) {
    char path[64 + NAME_MAX];
    double sum_ns = 0;
    snprintf(path, sizeof(path), "/proc/%d/task", opt.pid);
    DIR *tasks = opt.pid == 0 ? NULL : opendir(path);
    if (tasks == NULL) return 0;
    for (struct dirent *e; (e = readdir(tasks)) != NULL;) {
        char text[128] = "";
        snprintf(path, sizeof(path), "/proc/%d/task/%s/schedstat", opt.pid, e->d_name);
        FILE *f = e->d_name[0] == '.' ? NULL : fopen(path, "re");
        if (f == NULL) continue;
        if (fgets(text, sizeof(text), f) != NULL) sum_ns += strtod(text, NULL);
        fclose(f);
    }
    closedir(tasks);
    return sum_ns / 1000;
}

static void report(double seconds, double server_us) {
    qsort(samples_us, n_samples, sizeof(*samples_us), by_value);
    printf("{\"requests\":%zu,\"rate\":%.0f,\"p50_ms\":%.3f,\"p99_ms\":%.3f,\"max_ms\":%.3f,\"cpu_us\":%.2f,"
           "\"errors\":%llu,\"first_error\":\"%s\"}\n",
           n_samples, (double)n_samples / seconds, percentile(0.50) / 1000.0, percentile(0.99) / 1000.0,
           percentile(1) / 1000.0, n_samples == 0 ? 0 : server_us / (double)n_samples,
           (unsigned long long)n_errors, first_error);
}

static void parse_options(int argc, char **argv) {
    static const char *const modes[] = {"refresh", "me", "verify", "health", "login", "fresh"};
    for (int i = 1; i + 1 < argc; i += 2) {
        const char *name = argv[i], *value = argv[i + 1];
        if (strcmp(name, "--port") == 0) opt.port = (int)strtol(value, NULL, 10);
        if (strcmp(name, "--connections") == 0) opt.connections = (int)strtol(value, NULL, 10);
        if (strcmp(name, "--seconds") == 0) opt.seconds = (int)strtol(value, NULL, 10);
        if (strcmp(name, "--users") == 0) opt.users = (int)strtol(value, NULL, 10);
        if (strcmp(name, "--pid") == 0) opt.pid = (int)strtol(value, NULL, 10);
        if (strcmp(name, "--password") == 0) opt.password = value;
        for (int m = 0; strcmp(name, "--mode") == 0 && m < 6; m++) {
            if (strcmp(value, modes[m]) == 0) opt.mode = (enum mode)m;
        }
    }
    if (opt.port <= 0 || opt.connections < 1 || opt.connections > CONNECTIONS_MAX || opt.seconds < 1 ||
        opt.seconds > 600 || opt.users < 1) {
        fprintf(stderr, "usage: loadgen --port P --mode refresh|me|verify|fresh|health|login "
                        "[--connections N] [--seconds S] [--users N] [--pid PID]\n");
        exit(2);
    }
}

int main(int argc, char **argv) {
    parse_options(argc, argv);
    clients = calloc((size_t)opt.connections, sizeof(*clients));
    samples_us = calloc(SAMPLES_MAX, sizeof(*samples_us));
    int ep = epoll_create1(EPOLL_CLOEXEC);
    if (clients == NULL || samples_us == NULL || ep < 0) die("starting");
    for (int i = 0; i < opt.connections; i++) {
        struct client *c = &clients[i];
        c->user = i % opt.users;
        dial(c);
        struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
        if (epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &e) != 0) die("epoll_ctl");
    }
    if (!all_ready()) {
        start_all();
        drive(ep, 0);
        n_errors = 0;
        first_error[0] = 0;
    }
    measuring = true;
    double before_us = cpu_us();
    int64_t start = now_ns();
    start_all();
    drive(ep, start + (int64_t)opt.seconds * 1000000000);
    report((double)(now_ns() - start) / 1e9, cpu_us() - before_us);
    return 0;
}
