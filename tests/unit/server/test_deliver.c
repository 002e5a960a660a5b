/* Messages to clients' addresses, against a small server of our own on the loopback. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "server/deliver.h"

enum { PATIENCE_S = 30, REQUEST_MAX = 4096, LONG_MS = 25 * 1000 };

/* ---- a client's end: answers each connection's first request with `answer`; NULL: never ---- */

struct peer {
    int listener;
    uint16_t port;
    pthread_t thread;
    const char *answer;
    size_t answer_n;
    bool repeats; /* the answer has no end */
    char request[REQUEST_MAX + 1];
    int silent[8]; /* connections that wait for nothing */
    size_t silent_n;
};

/* A head and its body; false: the other end has gone. */
static bool read_request(struct peer *p, int fd) {
    size_t n = 0;
    for (;;) {
        const ssize_t got = read(fd, p->request + n, REQUEST_MAX - n);
        if (got <= 0) return false;
        n += (size_t)got;
        p->request[n] = 0;
        const char *end = strstr(p->request, "\r\n\r\n"), *length = strstr(p->request, "Content-Length: ");
        if (end == NULL || length == NULL) continue;
        const size_t body = strtoul(length + 16, NULL, 10);
        if (n >= (size_t)(end + 4 - p->request) + body) return true;
    }
}

static void converse(struct peer *p, int fd) {
    if (!read_request(p, fd)) {
        (void)close(fd);
        return;
    }
    if (p->answer == NULL) {
        assert_true(p->silent_n < SP_ARRAY_LEN(p->silent));
        p->silent[p->silent_n++] = fd;
        return;
    }
    ssize_t sent;
    do {
        sent = send(fd, p->answer, p->answer_n, MSG_NOSIGNAL);
    } while (p->repeats && sent > 0);
    (void)close(fd);
}

static void *peer_thread(void *arg) {
    struct peer *p = arg;
    int fd;
    while ((fd = accept(p->listener, NULL, NULL)) >= 0) converse(p, fd);
    return NULL;
}

/* A port on which nobody answers for as long as nobody listens. */
static void peer_bind(struct peer *p) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof(a);
    p->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(p->listener, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(getsockname(p->listener, (struct sockaddr *)&a, &n), 0);
    p->port = ntohs(a.sin_port);
}

static void peer_start_repeating(struct peer *p, const char *answer, bool repeats) {
    *p = (struct peer){.answer = answer, .answer_n = answer == NULL ? 0 : strlen(answer), .repeats = repeats};
    peer_bind(p);
    assert_int_equal(listen(p->listener, 16), 0);
    assert_int_equal(pthread_create(&p->thread, NULL, peer_thread, p), 0);
}

static void peer_start(struct peer *p, const char *answer) {
    peer_start_repeating(p, answer, false);
}

static void peer_stop(struct peer *p) {
    (void)shutdown(p->listener, SHUT_RDWR);
    pthread_join(p->thread, NULL);
    (void)close(p->listener);
    for (size_t i = 0; i < p->silent_n; i++) (void)close(p->silent[i]);
}

/* ---- messages ---- */

struct message {
    struct sp_delivery job;
    char url[128];
    bool is_done;
};
struct desk {
    struct sp_executor executor; /* runs where it is posted */
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct sp_deliverer *d;
    struct sp_deliver port;
};
static struct desk desk; /* the tasks find it here */

static void run_at_once(struct sp_executor *self, struct sp_task *task) {
    (void)self;
    task->run(task);
}

static void message_done(struct sp_task *task) {
    struct sp_delivery *job = SP_CONTAINER_OF(task, struct sp_delivery, task);
    pthread_mutex_lock(&desk.mutex);
    SP_CONTAINER_OF(job, struct message, job)->is_done = true;
    pthread_cond_broadcast(&desk.changed);
    pthread_mutex_unlock(&desk.mutex);
}

static sp_status send_message(struct message *m, const char *url, int64_t timeout_ms) {
    memset(m, 0, sizeof(*m));
    snprintf(m->url, sizeof(m->url), "%s", url);
    m->job = (struct sp_delivery){.task = {.run = message_done},
                                  .executor = &desk.executor,
                                  .url = sp_slice_cstr(m->url),
                                  .body = SP_SLICE_LIT("logout_token=abc.def.ghi"),
                                  .timeout_ms = timeout_ms};
    return desk.port.submit(desk.port.arg, &m->job);
}

static void send_to(struct message *m, const struct peer *p, int64_t timeout_ms) {
    char url[128];
    snprintf(url, sizeof(url), "http://127.0.0.1:%u/bye?x=1", (unsigned)p->port);
    assert_int_equal(send_message(m, url, timeout_ms).code, SP_OK);
}

static void await(struct message *m) {
    struct timespec late;
    (void)clock_gettime(CLOCK_REALTIME, &late);
    late.tv_sec += PATIENCE_S;
    pthread_mutex_lock(&desk.mutex);
    int waited = 0;
    while (!m->is_done && waited == 0) waited = pthread_cond_timedwait(&desk.changed, &desk.mutex, &late);
    const bool is_done = m->is_done;
    pthread_mutex_unlock(&desk.mutex);
    if (!is_done) fail_msg("no end of %s", m->url);
}

static int setup(void **state) {
    (void)state;
    desk = (struct desk){.executor = {run_at_once}};
    (void)signal(SIGPIPE, SIG_IGN); /* as the server does */
    assert_int_equal(pthread_mutex_init(&desk.mutex, NULL), 0);
    assert_int_equal(pthread_cond_init(&desk.changed, NULL), 0);
    const struct sp_deliver_opts opts = {.ca_file = "", .log = sp_log_none};
    assert_int_equal(sp_deliverer_new(&opts, &desk.d).code, SP_OK);
    desk.port = sp_deliverer_port(desk.d);
    return 0;
}
static int teardown(void **state) {
    (void)state;
    sp_deliverer_stop(desk.d);
    sp_deliverer_free(desk.d);
    pthread_cond_destroy(&desk.changed);
    pthread_mutex_destroy(&desk.mutex);
    return 0;
}
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

/* ---- answers ---- */

static void expect_status(const char *answer, int status) {
    struct peer p;
    struct message m;
    peer_start(&p, answer);
    send_to(&m, &p, LONG_MS);
    await(&m);
    peer_stop(&p);
    assert_int_equal(m.job.result, SP_DELIVERY_ANSWERED);
    assert_int_equal(m.job.http_status, status);
}

static void expect_failure(const char *answer, bool repeats) {
    struct peer p;
    struct message m;
    peer_start_repeating(&p, answer, repeats);
    send_to(&m, &p, LONG_MS);
    await(&m);
    peer_stop(&p);
    assert_int_equal(m.job.result, SP_DELIVERY_FAILED);
    assert_int_equal(m.job.http_status, 0);
    assert_true(m.job.reason[0] != 0);
}

static void a_message_arrives_as_a_form_without_cookies_and_credentials(void **state) {
    (void)state;
    struct peer p;
    struct message m;
    peer_start(&p, "HTTP/1.1 204 No Content\r\nSet-Cookie: a=b\r\n\r\n");
    send_to(&m, &p, LONG_MS);
    await(&m);
    assert_int_equal(m.job.result, SP_DELIVERY_ANSWERED);
    assert_int_equal(m.job.http_status, 204);
    send_to(&m, &p, LONG_MS);
    await(&m);
    peer_stop(&p);
    assert_int_equal(strncmp(p.request, "POST /bye?x=1 HTTP/1.1\r\n", 24), 0);
    assert_non_null(strstr(p.request, "\r\nContent-Type: application/x-www-form-urlencoded\r\n"));
    assert_non_null(strstr(p.request, "\r\nUser-Agent: sallyport/"));
    assert_non_null(strstr(p.request, "\r\n\r\nlogout_token=abc.def.ghi"));
    assert_null(strstr(p.request, "Cookie"));
    assert_null(strstr(p.request, "Authorization"));
    assert_null(strstr(p.request, "Expect"));
}

static void any_status_is_an_answer_and_redirects_are_not_followed(void **state) {
    (void)state;
    expect_status("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 200);
    expect_status("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", 400);
    expect_status("HTTP/1.1 503 Later\r\nContent-Length: 0\r\n\r\n", 503);
    expect_status("HTTP/1.1 302 There\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", 302);
}

static void an_interim_answer_is_not_the_answer(void **state) {
    (void)state;
    expect_status("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n", 202);
    expect_failure("HTTP/1.1 103 Early Hints\r\n\r\n", false);
}

static void the_status_counts_whatever_becomes_of_the_body(void **state) {
    (void)state;
    static char flood[64 * 1024];
    memset(flood, 'x', sizeof(flood) - 1);
    static const char head[] = "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n";
    memcpy(flood, head, sizeof(head) - 1);
    expect_status(flood, 200);
    expect_status("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\ncut", 200);
}

static void half_a_head_a_head_without_end_and_no_http_are_no_answer(void **state) {
    (void)state;
    static char head[1024];
    memset(head, 'x', sizeof(head) - 1);
    static const char begin[] = "HTTP/1.1 200 OK\r\nX: ", end[] = "\r\nY: y\r\n";
    expect_failure("HTTP/1.1 200 OK\r\nContent-Len", false);
    expect_failure("", false);
    expect_failure("SSH-2.0-OpenSSH_9.2\r\n", false);
    memcpy(head, "HTTP/1.1 200 OK\r\nX: ", sizeof(begin) - 1);
    memcpy(head + sizeof(head) - sizeof(end), end, sizeof(end));
    expect_failure(head, true);
}

static void who_is_not_there_or_does_not_answer_is_a_failure(void **state) {
    (void)state;
    struct peer p;
    struct message m;
    peer_start(&p, NULL);
    send_to(&m, &p, 50);
    await(&m);
    assert_int_equal(m.job.result, SP_DELIVERY_FAILED);
    peer_stop(&p);
    peer_bind(&p); /* nobody listens there, nor can another process */
    send_to(&m, &p, LONG_MS);
    await(&m);
    assert_int_equal(m.job.result, SP_DELIVERY_FAILED);
    (void)close(p.listener);
}

static void addresses_without_tls_that_are_not_ours_are_not_gone_to(void **state) {
    (void)state;
    static const char *const urls[] = {"http://192.0.2.1/",  "http://localhost.example/", "ftp://127.0.0.1/",
                                       "file:///etc/passwd", "https://u:p@127.0.0.1/",    "",
                                       "127.0.0.1"};
    for (size_t i = 0; i < SP_ARRAY_LEN(urls); i++) {
        struct message m;
        assert_int_equal(send_message(&m, urls[i], LONG_MS).code, SP_OK);
        await(&m);
        assert_int_equal(m.job.result, SP_DELIVERY_FAILED);
        assert_string_equal(m.job.reason, "not an address that we post to");
    }
}

/* ---- several, and the end ---- */

static void one_that_does_not_answer_holds_up_nobody(void **state) {
    (void)state;
    struct peer silent, p;
    struct message stuck[4], m[8];
    peer_start(&silent, NULL);
    peer_start(&p, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    for (size_t i = 0; i < SP_ARRAY_LEN(stuck); i++) send_to(&stuck[i], &silent, LONG_MS);
    for (size_t i = 0; i < SP_ARRAY_LEN(m); i++) send_to(&m[i], &p, LONG_MS);
    for (size_t i = 0; i < SP_ARRAY_LEN(m); i++) {
        await(&m[i]);
        assert_int_equal(m[i].job.http_status, 200);
    }
    sp_deliverer_stop(desk.d);
    for (size_t i = 0; i < SP_ARRAY_LEN(stuck); i++) {
        await(&stuck[i]);
        assert_int_equal(stuck[i].job.result, SP_DELIVERY_STOPPED);
    }
    peer_stop(&silent);
    peer_stop(&p);
}

struct posted {
    struct sp_task task;
    struct message m; /* only is_done */
    pthread_t by;
};
static void posted_run(struct sp_task *task) {
    struct posted *p = SP_CONTAINER_OF(task, struct posted, task);
    p->by = pthread_self();
    message_done(&p->m.job.task);
}

static void after_a_stop_nothing_is_taken_and_the_executor_goes_on(void **state) {
    (void)state;
    struct message m;
    struct posted p = {.task = {.run = posted_run}};
    sp_deliverer_stop(desk.d);
    assert_int_equal(send_message(&m, "http://127.0.0.1:1/", LONG_MS).code, SP_E_BUSY);
    sp_executor_post(desk.port.executor, &p.task);
    await(&p.m);
    assert_false(pthread_equal(p.by, pthread_self()));
}

static void what_was_posted_runs_before_the_end(void **state) {
    (void)state;
    struct posted p = {.task = {.run = posted_run}};
    sp_executor_post(desk.port.executor, &p.task);
    sp_deliverer_free(desk.d);
    assert_true(p.m.is_done);
    desk.d = NULL;
}

static void the_library_is_there(void **state) {
    (void)state;
    assert_true(sp_deliverer_has_library());
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_message_arrives_as_a_form_without_cookies_and_credentials),
        TEST(any_status_is_an_answer_and_redirects_are_not_followed),
        TEST(an_interim_answer_is_not_the_answer),
        TEST(the_status_counts_whatever_becomes_of_the_body),
        TEST(half_a_head_a_head_without_end_and_no_http_are_no_answer),
        TEST(who_is_not_there_or_does_not_answer_is_a_failure),
        TEST(addresses_without_tls_that_are_not_ours_are_not_gone_to),
        TEST(one_that_does_not_answer_holds_up_nobody),
        TEST(after_a_stop_nothing_is_taken_and_the_executor_goes_on),
        TEST(what_was_posted_runs_before_the_end),
        TEST(the_library_is_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
