/* What our HTTP layer costs over none: server CPU a request, beside a loop on bare epoll that answers without
 * parsing.
 *
 *   http_bare [--seconds S] [--connections N] [--rounds R] [--json 1]
 *
 * Each server is a child process on the first processor, the client (keep-alive, one request at a time a
 * connection) is this process on the second. Rounds alternate and medians are compared, because only ratios
 * within one run mean anything. CPU is the child's own, from wait4. HTTP.md's bound for a GET is 1.35. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "http/server.h"

enum { ROUNDS_MAX = 9, EVENTS = 256, CONNECTIONS_MAX = 4096, BODY_IN = 300, BODY_OUT = 500 };

static int seconds = 2, connections = 64, rounds = 3, json;
static char get_request[256], post_request[1024], body_out[BODY_OUT];

static _Noreturn void die(const char *what) {
    perror(what);
    exit(1);
}

static void pin(int cpu) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    (void)sched_setaffinity(0, sizeof(set),
                            &set); /* one processor only: still a measurement, if a noisy one */
}

static int64_t now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* --- The bound: no parsing, no limits, no deadlines. --- */

static void bare_accept(int ep, int fd) {
    const int one = 1, c = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (c < 0) return;
    setsockopt(c, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    struct epoll_event ev = {.events = EPOLLIN, .data.fd = c};
    epoll_ctl(ep, EPOLL_CTL_ADD, c, &ev);
}

static void bare_answer(int c, size_t body_n) {
    static char in[16384], out[1024];
    static int out_n;
    if (out_n == 0) {
        out_n = snprintf(out, sizeof(out), "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%.*s", body_n,
                         (int)body_n, body_out);
    }
    if (recv(c, in, sizeof(in), 0) <= 0 || send(c, out, (size_t)out_n, MSG_NOSIGNAL) != out_n) close(c);
}

static void serve_bare(int fd, size_t body_n) {
    struct epoll_event ev = {.events = EPOLLIN, .data.fd = fd}, got[EVENTS];
    const int ep = epoll_create1(EPOLL_CLOEXEC);
    epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev);
    for (;;) {
        const int n = epoll_wait(ep, got, EVENTS, -1);
        for (int i = 0; i < n; i++) {
            if (got[i].data.fd == fd) {
                bare_accept(ep, fd);
            } else {
                bare_answer(got[i].data.fd, body_n);
            }
        }
    }
}

/* --- The bound of a parked request: handed to another thread and back, as ours is. --- */

struct job { /* a parked request on its way to the other thread and back */
    struct sp_task task;
    struct sp_http_req *req;
    int fd; /* instead of req, without a server */
    struct job *next;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t wanted = PTHREAD_COND_INITIALIZER;
static struct job *jobs;
static _Atomic(struct job *) bare_done;
static int bare_wake;

static void park(struct job *job) {
    pthread_mutex_lock(&mutex);
    job->next = jobs;
    jobs = job;
    pthread_mutex_unlock(&mutex);
    pthread_cond_signal(&wanted);
}

static struct job *take_parked(void) {
    pthread_mutex_lock(&mutex);
    while (jobs == NULL) pthread_cond_wait(&wanted, &mutex);
    struct job *batch = jobs;
    jobs = NULL;
    pthread_mutex_unlock(&mutex);
    return batch;
}

static void *bare_worker(void *arg) {
    const uint64_t one = 1;
    (void)arg;
    for (;;) {
        struct job *batch = take_parked(), *last = batch;
        while (last->next != NULL) last = last->next;
        last->next = atomic_load(&bare_done);
        while (!atomic_compare_exchange_weak(&bare_done, &last->next, batch)) {
        }
        if (last->next == NULL && write(bare_wake, &one, sizeof(one)) < 0) die("write");
    }
    return NULL;
}

static void bare_park(int c) {
    static char in[16384];
    struct job *job = malloc(sizeof(*job));
    if (job == NULL) abort();
    if (recv(c, in, sizeof(in), 0) <= 0) {
        close(c);
        free(job);
        return;
    }
    *job = (struct job){.fd = c};
    park(job);
}

static void bare_finish(void) {
    static char out[1024];
    static int out_n;
    uint64_t count;
    if (out_n == 0) {
        out_n = snprintf(out, sizeof(out), "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%.*s", BODY_OUT,
                         BODY_OUT, body_out);
    }
    if (read(bare_wake, &count, sizeof(count)) < 0) return;
    for (struct job *job = atomic_exchange(&bare_done, NULL); job != NULL;) {
        struct job *next = job->next;
        if (send(job->fd, out, (size_t)out_n, MSG_NOSIGNAL) != out_n) close(job->fd);
        free(job);
        job = next;
    }
}

static void serve_bare_parked(int fd) {
    bare_wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct epoll_event ev = {.events = EPOLLIN, .data.fd = fd}, got[EVENTS];
    const int ep = epoll_create1(EPOLL_CLOEXEC);
    epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev);
    ev.data.fd = bare_wake;
    epoll_ctl(ep, EPOLL_CTL_ADD, bare_wake, &ev);
    pthread_t thread;
    if (pthread_create(&thread, NULL, bare_worker, NULL) != 0) die("pthread_create");
    for (;;) {
        const int n = epoll_wait(ep, got, EVENTS, -1);
        for (int i = 0; i < n; i++) {
            if (got[i].data.fd == fd) {
                bare_accept(ep, fd);
            } else if (got[i].data.fd == bare_wake) {
                bare_finish();
            } else {
                bare_park(got[i].data.fd);
            }
        }
    }
}

/* --- Ours. --- */

static struct sp_loop *loop;
static size_t answer_n;

static void answer(struct sp_http_req *req) {
    const struct sp_http_response r = {.status = 200, .body = sp_slice_of(body_out, answer_n)};
    if (!sp_ok(sp_http_reply(req, &r))) abort();
}

static void finish_job(struct sp_task *task) {
    struct job *job = SP_CONTAINER_OF(task, struct job, task);
    answer(job->req);
    free(job);
}

/* As the store's writer does: takes all that wait, completes them together. */
static void *worker(void *arg) {
    (void)arg;
    for (;;) {
        struct job *batch = take_parked();
        while (batch != NULL) {
            struct job *next = batch->next;
            sp_executor_post(sp_loop_executor(loop), &batch->task);
            batch = next;
        }
    }
    return NULL;
}

static void on_request(void *arg, struct sp_http_req *req) {
    if (arg == NULL) {
        answer(req);
        return;
    }
    struct job *job = malloc(sizeof(*job));
    if (job == NULL) abort();
    *job = (struct job){.task.run = finish_job, .req = req};
    park(job);
}

static void serve_ours(int fd, size_t body_n, bool parked) {
    struct sp_http_server *server;
    const struct sp_http_opts opts = {.on_request = on_request, .arg = parked ? &jobs : NULL};
    answer_n = body_n;
    if (!sp_ok(sp_loop_new(NULL, &loop)) || !sp_ok(sp_http_server_new(loop, &opts, &server)) ||
        !sp_ok(sp_http_server_listen(server, fd, NULL))) {
        die("server");
    }
    pthread_t thread;
    if (parked && pthread_create(&thread, NULL, worker, NULL) != 0) die("pthread_create");
    (void)sp_loop_run(loop);
}

/* --- The client. --- */

struct conn {
    int fd;
    size_t got; /* bytes of the answer so far */
};

static void send_one(struct conn *c, const char *request) {
    const size_t n = strlen(request);
    c->got = 0;
    if (send(c->fd, request, n, MSG_NOSIGNAL) != (ssize_t)n) die("send");
}

/* The first answer tells how long each is: they are all alike, but for the date, which keeps its length. */
static bool answer_complete(struct conn *c, size_t *answer_bytes) {
    char buf[4096];
    const ssize_t n = recv(c->fd, buf, sizeof(buf), 0);
    if (n <= 0) die("recv");
    if (*answer_bytes == 0) *answer_bytes = (size_t)n;
    c->got += (size_t)n;
    return c->got >= *answer_bytes;
}

static void connect_all(struct conn *c, int ep, uint16_t port) {
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int one = 1;
    for (int i = 0; i < connections; i++) {
        c[i].fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (connect(c[i].fd, (struct sockaddr *)&in, sizeof(in)) != 0) die("connect");
        setsockopt(c[i].fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        struct epoll_event ev = {.events = EPOLLIN, .data.ptr = &c[i]};
        epoll_ctl(ep, EPOLL_CTL_ADD, c[i].fd, &ev);
    }
}

static int64_t load(uint16_t port, const char *request) {
    static struct conn c[CONNECTIONS_MAX];
    struct epoll_event got[EVENTS];
    const int ep = epoll_create1(EPOLL_CLOEXEC);
    connect_all(c, ep, port);
    for (int i = 0; i < connections; i++) send_one(&c[i], request);
    int64_t answers = 0;
    size_t answer_bytes = 0;
    for (const int64_t until = now_us() + (int64_t)seconds * 1000000; now_us() < until;) {
        const int n = epoll_wait(ep, got, EVENTS, 0); /* never sleeps: see loadgen.c */
        for (int i = 0; i < n; i++) {
            if (!answer_complete(got[i].data.ptr, &answer_bytes)) continue;
            answers++;
            send_one(got[i].data.ptr, request);
        }
    }
    for (int i = 0; i < connections; i++) close(c[i].fd);
    close(ep);
    return answers;
}

/* --- Measuring. --- */

enum kind { BARE_GET, OURS_GET, BARE_POST, OURS_POST, BARE_PARKED, OURS_PARKED, KINDS };
static const char *const names[KINDS] = {"GET, bare epoll",
                                         "GET",
                                         "POST 300 to 500, bare epoll",
                                         "POST 300 to 500",
                                         "POST parked, bare epoll",
                                         "POST parked, finished by another thread"};
static const enum kind bounds[KINDS] = {BARE_GET, BARE_GET, BARE_POST, BARE_POST, BARE_PARKED, BARE_PARKED};

struct result {
    double us;   /* server CPU a request */
    double rate; /* requests a second */
};

static void serve(enum kind kind, int fd) {
    const size_t body_n = kind == BARE_GET || kind == OURS_GET ? 100 : BODY_OUT;
    pin(0);
    if (kind == BARE_GET || kind == BARE_POST) serve_bare(fd, body_n);
    if (kind == BARE_PARKED) serve_bare_parked(fd);
    serve_ours(fd, body_n, kind == OURS_PARKED);
    _exit(0);
}

static struct result measure(enum kind kind) {
    int fd;
    if (!sp_ok(sp_http_listen_tcp("127.0.0.1", 0, false, &fd))) die("listen");
    const uint16_t port = sp_http_listen_port(fd);
    const pid_t child = fork();
    if (child < 0) die("fork");
    if (child == 0) serve(kind, fd);
    close(fd);
    const int64_t n = load(port, kind == BARE_GET || kind == OURS_GET ? get_request : post_request);
    struct rusage used;
    int status;
    kill(child, SIGKILL);
    if (wait4(child, &status, 0, &used) != child || n == 0) die("wait4");
    const double cpu = (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1e6 +
                       (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
    return (struct result){.us = cpu / (double)n, .rate = (double)n / seconds};
}

static int by_us(const void *a, const void *b) {
    const double x = ((const struct result *)a)->us, y = ((const struct result *)b)->us;
    return (x > y) - (x < y);
}

static void make_requests(void) {
    memset(body_out, 'o', sizeof(body_out));
    (void)snprintf(
        get_request, sizeof(get_request),
        "GET /auth/me HTTP/1.1\r\nHost: localhost:8080\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n");
    const int n =
        snprintf(post_request, sizeof(post_request),
                 "POST /auth/refresh HTTP/1.1\r\nHost: localhost:8080\r\nContent-Type: application/json\r\n"
                 "Content-Length: %d\r\n\r\n",
                 BODY_IN);
    memset(post_request + n, 'i', BODY_IN);
}

static void read_options(int argc, char **argv) {
    for (int i = 1; i + 1 < argc; i += 2) {
        const int v = (int)strtol(argv[i + 1], NULL, 10);
        if (strcmp(argv[i], "--seconds") == 0 && v > 0) seconds = v;
        if (strcmp(argv[i], "--connections") == 0 && v > 0 && v <= CONNECTIONS_MAX) connections = v;
        if (strcmp(argv[i], "--json") == 0) json = v;
        if (strcmp(argv[i], "--rounds") == 0 && v > 0 && v <= ROUNDS_MAX) rounds = v;
    }
}

static void print_table(const struct result medians[KINDS]) {
    for (int kind = 0; kind < KINDS; kind++) {
        const struct result r = medians[kind];
        const double bound = medians[bounds[kind]].us;
        printf("%-42s %8.0f /s %6.2f us CPU a request  %.2f of the bound\n", names[kind], r.rate, r.us,
               r.us / bound);
    }
}

static void print_json(const struct result medians[KINDS]) {
    static const char *const keys[KINDS] = {"bare_get", "get", "bare_post", "post", "bare_parked", "parked"};
    for (int kind = 0; kind < KINDS; kind++) {
        printf("%s\"%s\":{\"rate\":%.0f,\"cpu_us\":%.2f}", kind == 0 ? "{" : ",", keys[kind],
               medians[kind].rate, medians[kind].us);
    }
    printf("}\n");
}

int main(int argc, char **argv) {
    struct result results[KINDS][ROUNDS_MAX], medians[KINDS];
    read_options(argc, argv);
    make_requests();
    pin(1);
    for (int round = 0; round < rounds; round++) {
        for (int kind = 0; kind < KINDS; kind++) results[kind][round] = measure((enum kind)kind);
    }
    for (int kind = 0; kind < KINDS; kind++) {
        qsort(results[kind], (size_t)rounds, sizeof(results[kind][0]), by_us);
        medians[kind] = results[kind][rounds / 2];
    }
    if (json != 0) {
        print_json(medians);
    } else {
        print_table(medians);
    }
    return 0;
}
