/* Every row of http-raw.jsonl against the real server on a loopback port.
 *
 *   reject    the handler never sees it; the answer, if any, is an error, and the connection ends
 *   accept    the first message reaches the handler
 *   no-reuse  whatever is answered, nothing is answered after it
 *   either    a matter of taste: no assertion but that the connection comes to an end
 *
 * All rows are sent at once, each on a connection of its own, and short deadlines end what is incomplete; so
 * the whole file takes one deadline, not 256. */
#include "vectors.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "http/server.h"

#define ROWS_MAX 300
#define DEADLINE_MS 400
#define PATIENCE_MS 10000 /* for the whole file, on a machine that is busy with other things */

/* Their first message is well-formed and complete, only what follows is not: it is answered, the rest
 * refused. */
static const char *const refused_after_the_first[] = {
    "llhttp/connection/CRLF between requests, implicit `keep-alive`",
};

struct row {
    const char *id, *expect;
    sp_slice raw;
    int fd;
    uint16_t port;
    bool ended;
    struct sp_buf answer;
};

static struct row rows[ROWS_MAX];
static size_t n_rows;
static int calls_by_port[65536]; /* written by the server's thread, read after it was joined */

/* --- The server. --- */

static void on_request(void *arg, struct sp_http_req *req) {
    (void)arg;
    calls_by_port[sp_http_req_peer(req)->port]++;
    const struct sp_http_response ok = {.status = 200, .body = SP_SLICE_LIT("ok\n")};
    if (!sp_ok(sp_http_reply(req, &ok))) abort();
}

static void *serve(void *loop) {
    if (!sp_ok(sp_loop_run(loop))) abort();
    return NULL;
}

/* --- The file. --- */

static json_t *docs[ROWS_MAX];

static void take_row(size_t i) {
    struct row *r = &rows[i];
    *r = (struct row){.fd = -1,
                      .id = vectors_text(docs[i], "id"),
                      .expect = vectors_text(docs[i], "expect"),
                      .raw = vectors_base64(vectors_text(docs[i], "raw_b64"))};
    sp_buf_init(&r->answer, 64 * 1024);
}

/* --- The clients. --- */

static void open_row(struct row *r, uint16_t port) {
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    r->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(r->fd >= 0);
    assert_int_equal(connect(r->fd, (struct sockaddr *)&in, sizeof(in)), 0);
    socklen_t n = sizeof(in);
    assert_int_equal(getsockname(r->fd, (struct sockaddr *)&in, &n), 0);
    r->port = ntohs(in.sin_port);
    /* The largest row fits into the socket's buffer; a refusal may come before all is sent. */
    const ssize_t sent = send(r->fd, r->raw.p, r->raw.n, MSG_NOSIGNAL);
    assert_true(sent == (ssize_t)r->raw.n || errno == EPIPE || errno == ECONNRESET);
}

static void read_row(struct row *r) {
    uint8_t chunk[4096];
    const ssize_t n = recv(r->fd, chunk, sizeof(chunk), 0);
    if (n > 0) {
        assert_true(sp_ok(sp_buf_append(&r->answer, sp_slice_of(chunk, (size_t)n))));
        return;
    }
    r->ended = true;
    close(r->fd);
}

static size_t poll_rows(int wait_ms) {
    struct pollfd fds[ROWS_MAX];
    struct row *of[ROWS_MAX];
    size_t n = 0;
    for (size_t i = 0; i < n_rows; i++) {
        if (rows[i].ended) continue;
        fds[n] = (struct pollfd){.fd = rows[i].fd, .events = POLLIN};
        of[n++] = &rows[i];
    }
    if (n == 0 || poll(fds, n, wait_ms) <= 0) return n;
    for (size_t i = 0; i < n; i++) {
        if (fds[i].revents != 0) read_row(of[i]);
    }
    return n;
}

static void run_rows(uint16_t port) {
    for (size_t i = 0; i < n_rows; i++) open_row(&rows[i], port);
    const int64_t until = sp_clock_boot_ms(&sp_clock_system) + PATIENCE_MS;
    while (poll_rows(200) > 0 && sp_clock_boot_ms(&sp_clock_system) < until) {
    }
}

static int setup(void **state) {
    (void)state;
    struct sp_loop *loop = NULL;
    struct sp_http_server *server = NULL;
    int fd = -1;
    const struct sp_http_opts opts = {.on_request = on_request,
                                      .body_bytes_max = 64 * 1024, /* one row has 22 KiB */
                                      .header_deadline_ms = DEADLINE_MS,
                                      .body_deadline_ms = DEADLINE_MS,
                                      .idle_ms = DEADLINE_MS};
    if (!sp_ok(sp_loop_new(NULL, &loop)) || !sp_ok(sp_http_server_new(loop, &opts, &server))) return -1;
    if (!sp_ok(sp_http_listen_tcp("127.0.0.1", 0, false, &fd))) return -1;
    const uint16_t port = sp_http_listen_port(fd);
    if (!sp_ok(sp_http_server_listen(server, fd, NULL))) return -1;
    pthread_t thread;
    if (pthread_create(&thread, NULL, serve, loop) != 0) return -1;
    run_rows(port);
    sp_loop_stop(loop);
    pthread_join(thread, NULL);
    sp_http_server_free(server);
    sp_loop_free(loop);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    for (size_t i = 0; i < n_rows; i++) {
        free((void *)(uintptr_t)rows[i].raw.p);
        sp_buf_done(&rows[i].answer);
        json_decref(docs[i]);
    }
    return 0;
}

/* --- What came back. --- */

struct verdict {
    int answers;
    int first_status, last_status;
    bool first_closes;
};

/* Walks over the answers: each has a Content-Length. */
static struct verdict read_answers(struct row *r) {
    struct verdict v = {0};
    const char *at;
    assert_true(sp_ok(sp_buf_cstr(&r->answer, &at)));
    while (*at != '\0') {
        int status = 0;
        if (sscanf(at, "HTTP/1.1 %d", &status) != 1) fail_msg("%s: not an answer: %s", r->id, at);
        const char *end = strstr(at, "\r\n\r\n");
        const char *length = strstr(at, "Content-Length: ");
        const char *close = strstr(at, "Connection: close\r\n");
        if (end == NULL || length == NULL || length > end) fail_msg("%s: answer without length", r->id);
        v.answers++;
        if (v.answers == 1) v.first_status = status;
        if (v.answers == 1) v.first_closes = close != NULL && close < end;
        v.last_status = status;
        const bool head = sp_slice_starts(r->raw, SP_SLICE_LIT("HEAD "));
        at = end + 4 + (head ? 0 : strtol(length + strlen("Content-Length: "), NULL, 10));
    }
    return v;
}

static bool is_refused_after_the_first(const struct row *r) {
    for (size_t i = 0; i < SP_ARRAY_LEN(refused_after_the_first); i++) {
        if (strcmp(r->id, refused_after_the_first[i]) == 0) return true;
    }
    return false;
}

static const char *fault_of(struct row *r) {
    const struct verdict v = read_answers(r);
    const int calls = calls_by_port[r->port];
    if (!r->ended) return "the connection did not end";
    if (strcmp(r->expect, "reject") == 0) {
        if (calls > (is_refused_after_the_first(r) ? 1 : 0)) return "reached the handler";
        if (v.answers > 0 && v.last_status < 400) return "was answered with success";
    } else if (strcmp(r->expect, "accept") == 0) {
        if (calls < 1 || v.first_status != 200) return "was refused";
    } else if (strcmp(r->expect, "no-reuse") == 0) {
        if (calls > 1 || v.answers > 1) return "was answered more than once";
        if (v.answers == 1 && !v.first_closes) return "was answered without Connection: close";
    } else if (strcmp(r->expect, "either") != 0) {
        return "unknown expectation";
    }
    return NULL;
}

static void check(void **state) {
    struct row *r = *state;
    const char *fault = fault_of(r);
    if (fault != NULL) fail_msg("(%s) %s:\n%s", r->expect, fault, (char *)r->answer.p);
}

int main(void) {
    static struct CMUnitTest tests[ROWS_MAX];
    FILE *file = vectors_open("http-raw.jsonl");
    if (file == NULL) return VECTORS_SKIPPED;
    _Static_assert(ROWS_MAX <= VECTORS_ROWS_MAX, "");
    static json_t *all[VECTORS_ROWS_MAX];
    const int n = vectors_load(file, all);
    fclose(file);
    if (n <= 0 || n > ROWS_MAX) {
        printf("http-raw.jsonl: %d rows\n", n);
        return 1;
    }
    for (n_rows = 0; n_rows < (size_t)n; n_rows++) {
        docs[n_rows] = all[n_rows];
        take_row(n_rows);
        tests[n_rows] =
            (struct CMUnitTest){.name = rows[n_rows].id, .test_func = check, .initial_state = &rows[n_rows]};
    }
    return _cmocka_run_group_tests("http-raw.jsonl", tests, n_rows, setup, teardown);
}
