/* Deadlines, caps, draining, and the sockets that a server listens on. */
#include "server_fixture.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>

/* --- Sizes. --- */

static char *long_request(const char *before, size_t n, const char *after) {
    const size_t a = strlen(before), b = strlen(after);
    char *text = malloc(a + n + b + 1);
    assert_non_null(text);
    memcpy(text, before, a);
    memset(text + a, 'a', n);
    memcpy(text + a + n, after, b + 1);
    return text;
}

static void expect_long(const char *before, size_t n, const char *after, const char *answer) {
    char *text = long_request(before, n, after);
    expect(text, answer);
    free(text);
}

static void url_may_have_its_maximum_and_no_more(void **state) {
    (void)state;
    static const char rest[] = " HTTP/1.1\r\n" HOST "\r\n";
    expect_long("GET /", SP_HTTP_URL_BYTES_MAX - 1, rest, "HTTP/1.1 200");
    expect_long("GET /", SP_HTTP_URL_BYTES_MAX, rest, "HTTP/1.1 414");
    expect_long("GET /", 2 * SP_HTTP_HEADER_BYTES_MAX, rest, "HTTP/1.1 414");
    expect_long("GET /", SP_HTTP_URL_BYTES_MAX + 100, "", "HTTP/1.1 414"); /* without waiting for its end */
}

static void headers_may_have_their_maximum_and_no_more(void **state) {
    (void)state;
    static const char line[] = "GET / HTTP/1.1\r\n" HOST "X-Pad: ";
    const size_t fits = SP_HTTP_HEADER_BYTES_MAX - strlen(line) - 4;
    expect_long(line, fits, "\r\n\r\n", "HTTP/1.1 200");
    expect_long(line, fits + 1, "\r\n\r\n", "HTTP/1.1 431");
    expect_long(line, fits + 4, "", "HTTP/1.1 431"); /* without waiting for its end */
}

static void expect_headers(size_t n, const char *answer) {
    SP_AUTO(sp_buf) b = SP_BUF_INIT(64 * 1024);
    assert_true(sp_ok(sp_buf_append_cstr(&b, "GET / HTTP/1.1\r\n" HOST)));
    for (size_t i = 1; i < n; i++) assert_true(sp_ok(sp_buf_append_cstr(&b, "X: y\r\n")));
    assert_true(sp_ok(sp_buf_append_cstr(&b, "\r\n")));
    const char *text;
    assert_true(sp_ok(sp_buf_cstr(&b, &text)));
    expect(text, answer);
}

static void header_lines_are_counted(void **state) {
    (void)state;
    expect_headers(SP_HTTP_HEADERS_MAX, "HTTP/1.1 200");
    expect_headers(SP_HTTP_HEADERS_MAX + 1, "HTTP/1.1 431");
}

static void body_may_have_its_maximum_and_no_more(void **state) {
    (void)state;
    expect_long("POST / HTTP/1.1\r\n" HOST "Content-Length: 16384\r\n\r\n", 16384, "", "HTTP/1.1 200");
    assert_int_equal(fx.body_n, 16384);
    /* Refused before it is sent. */
    expect("POST / HTTP/1.1\r\n" HOST "Content-Length: 16385\r\n\r\n", "HTTP/1.1 413");
    expect("POST / HTTP/1.1\r\n" HOST "Content-Length: 18446744073709551615\r\n\r\n", "HTTP/1.1 413");
    static const char chunked[] = "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n";
    char head[256];
    (void)snprintf(head, sizeof(head), "%s4000\r\n", chunked);
    expect_long(head, 16384, "\r\n0\r\n\r\n", "HTTP/1.1 200");
    assert_int_equal(fx.body_n, 16384);
    expect_long(head, 16384, "\r\n1\r\na\r\n0\r\n\r\n", "HTTP/1.1 413");
    assert_int_equal(fx.calls, 2);
}

static void chunks_of_one_byte_make_a_whole_body(void **state) {
    (void)state;
    SP_AUTO(sp_buf) b = SP_BUF_INIT(256 * 1024);
    assert_true(
        sp_ok(sp_buf_append_cstr(&b, "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n")));
    for (size_t i = 0; i < SP_HTTP_BODY_BYTES_MAX; i++) {
        const char chunk[] = {'1', '\r', '\n', (char)('a' + i % 26), '\r', '\n', '\0'};
        assert_true(sp_ok(sp_buf_append_cstr(&b, chunk)));
    }
    assert_true(sp_ok(sp_buf_append_cstr(&b, "0\r\n\r\n")));
    struct client c;
    client_open(&c);
    for (size_t sent = 0; sent < b.n;) {
        const ssize_t n = send(c.fd, b.p + sent, b.n - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n > 0) sent += (size_t)n;
        step();
    }
    WAIT_FOR(client_has(&c, "hello"));
    assert_int_equal(fx.body_n, SP_HTTP_BODY_BYTES_MAX);
    for (size_t i = 0; i < fx.body_n; i++) assert_int_equal(fx.body[i], 'a' + (char)(i % 26));
    client_close(&c);
}

static void endless_chunk_extensions_are_cut(void **state) {
    (void)state;
    struct client c;
    client_open(&c);
    client_send(&c, "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n1;a=");
    char pad[1024];
    memset(pad, 'x', sizeof(pad));
    size_t sent = 0;
    while (!client_has(&c, "HTTP/1.1 413")) {
        const ssize_t n = send(c.fd, pad, sizeof(pad), MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n > 0) sent += (size_t)n;
        step();
        assert_true(sent < 16 * 1024 * 1024);
    }
    client_close(&c);
}

/* --- Deadlines. --- */

static int start_hasty(void **state) {
    (void)state;
    start((struct sp_http_opts){
        .header_deadline_ms = 60, .body_deadline_ms = 60, .idle_ms = 60, .write_deadline_ms = 60});
    return 0;
}

static void slow_header_is_cut_however_it_drips(void **state) {
    (void)state;
    struct client c;
    client_open(&c);
    client_send(&c, "GET / HTTP/1.1\r\n" HOST "X: ");
    const int64_t begun = sp_clock_boot_ms(&sp_clock_system);
    while (!client_has(&c, "HTTP/1.1 408")) {
        (void)send(c.fd, "a", 1, MSG_NOSIGNAL);
        step();
        assert_true(sp_clock_boot_ms(&sp_clock_system) - begun < PATIENCE_MS);
    }
    assert_non_null(strstr(c.got, "\"code\":\"request_timeout\""));
    assert_int_equal(fx.calls, 0);
    assert_int_equal(stats().timeouts, 1);
    client_close(&c);
}

static void slow_body_is_cut(void **state) {
    (void)state;
    expect("POST / HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nab", "HTTP/1.1 408");
    expect("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n", "HTTP/1.1 408");
    assert_int_equal(fx.calls, 0);
}

static void idle_connection_is_closed_without_a_word(void **state) {
    (void)state;
    struct client fresh, used;
    client_open(&fresh);
    client_open(&used);
    client_send(&used, GET);
    WAIT_FOR(client_has(&used, "hello"));
    client_forget(&used);
    WAIT_FOR(client_ended(&fresh) && client_ended(&used));
    assert_int_equal(fresh.n, 0);
    assert_int_equal(used.n, 0);
    assert_int_equal(stats().open, 0);
    client_close(&fresh);
    client_close(&used);
}

static void parked_request_has_no_deadline_of_ours(void **state) {
    (void)state;
    fx.park = true;
    struct client c;
    client_open(&c);
    client_send(&c, GET);
    WAIT_FOR(fx.n_parked == 1);
    pass(150);
    assert_false(sp_http_req_client_gone(fx.parked[0]));
    reply_parked(0);
    WAIT_FOR(client_has(&c, "hello"));
    client_close(&c);
}

static void reader_that_never_reads_is_cut(void **state) {
    (void)state;
    enum { SIZE = 8 * 1024 * 1024 };
    uint8_t *big = calloc(1, SIZE);
    assert_non_null(big);
    fx.response.body = sp_slice_of(big, SIZE);
    struct client c;
    client_open(&c);
    client_send(&c, GET);
    WAIT_FOR(fx.calls == 1);
    assert_int_equal(stats().open, 1);
    WAIT_FOR(stats().open == 0);
    assert_int_equal(stats().timeouts, 1);
    client_close(&c);
    fx.response.body.n = SIZE + 1; /* nobody reads this far: refused before it is touched */
    expect(GET, "HTTP/1.1 500");
    assert_true(sp_is(fx.reply_status, SP_E_LIMIT));
    free(big);
}

/* --- Caps. --- */

static int start_capped(void **state) {
    (void)state;
    start((struct sp_http_opts){.connections_max = 2});
    return 0;
}

static void newcomer_takes_the_place_of_the_longest_idle(void **state) {
    (void)state;
    struct client c[3];
    for (int i = 0; i < 3; i++) {
        client_open(&c[i]);
        client_send(&c[i], GET);
        WAIT_FOR(client_has(&c[i], "hello"));
    }
    WAIT_FOR(client_ended(&c[0]));
    assert_int_equal(stats().open, 2);
    client_receive(&c[1]);
    assert_false(c[1].ended);
    for (int i = 0; i < 3; i++) client_close(&c[i]);
}

static void newcomer_is_refused_when_all_are_busy(void **state) {
    (void)state;
    fx.park = true;
    struct client c[3];
    for (int i = 0; i < 3; i++) {
        client_open(&c[i]);
        client_send(&c[i], GET);
        WAIT_FOR(fx.n_parked == (size_t)i + 1 || stats().refused == 1);
    }
    WAIT_FOR(client_ended(&c[2]));
    assert_int_equal(fx.n_parked, 2);
    assert_int_equal(stats().refused, 1);
    reply_parked(0);
    reply_parked(1);
    for (int i = 0; i < 3; i++) client_close(&c[i]);
}

static int start_capped_per_address(void **state) {
    (void)state;
    start((struct sp_http_opts){.connections_per_address_max = 2});
    return 0;
}

static void address_has_its_own_cap(void **state) {
    (void)state;
    struct client c[3];
    for (int i = 0; i < 3; i++) client_open(&c[i]);
    WAIT_FOR(client_ended(&c[2]));
    assert_int_equal(stats().open, 2);
    client_close(&c[0]);
    WAIT_FOR(stats().open == 1);
    client_close(&c[2]);
    client_open(&c[2]);
    client_send(&c[2], GET);
    WAIT_FOR(client_has(&c[2], "hello"));
    client_close(&c[1]);
    client_close(&c[2]);
    WAIT_FOR(stats().open == 0);
}

/* What is our own, without the pages of files: those the kernel may take away meanwhile. */
static size_t resident_bytes(void) {
    FILE *f = fopen("/proc/self/statm", "r");
    unsigned long size = 0, resident = 0, of_files = 0;
    assert_non_null(f);
    assert_int_equal(fscanf(f, "%lu %lu %lu", &size, &resident, &of_files), 3);
    fclose(f);
    return (resident - of_files) * (size_t)sysconf(_SC_PAGESIZE);
}

static void many_idle_connections_cost_little_and_all_work(void **state) {
    (void)state;
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    size_t n = 2000;
    if (limit.rlim_cur < 2 * n + 64) n = (limit.rlim_cur - 64) / 2;
    int *fds = calloc(n, sizeof(*fds));
    assert_non_null(fds);
    struct client c;
    const size_t before = resident_bytes();
    for (size_t i = 0; i < n; i++) {
        client_open(&c);
        fds[i] = c.fd;
        if (i % 32 == 0) step();
    }
    WAIT_FOR(stats().open == n);
    const size_t after = resident_bytes();
    print_message("%zu idle connections, %zu bytes each\n", n, (after - before) / n);
    assert_true(after < before + n * 4096);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(send(fds[i], GET, strlen(GET), MSG_NOSIGNAL), strlen(GET));
    WAIT_FOR(fx.calls == n);
    for (size_t i = 0; i < n; i++) {
        c = (struct client){.fd = fds[i]};
        WAIT_FOR(client_has(&c, "hello"));
        client_close(&c);
    }
    WAIT_FOR(stats().open == 0);
    free(fds);
}

static void running_out_of_descriptors_pauses_accepting(void **state) {
    (void)state;
    struct rlimit limit, low;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    struct client c;
    client_open(&c);
    low = limit;
    low.rlim_cur = (rlim_t)c.fd + 1;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    WAIT_FOR(stats().accept_errors > 0);
    assert_int_equal(stats().accept_errors, 1); /* it does not spin */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    client_send(&c, GET);
    WAIT_FOR(client_has(&c, "hello"));
    client_close(&c);
}

/* --- Draining. --- */

static void count_done(void *arg) {
    ++*(int *)arg;
}

static bool is_refused(void) {
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(fx.port)};
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int late = socket(AF_INET, SOCK_STREAM, 0);
    const bool refused = connect(late, (struct sockaddr *)&in, sizeof(in)) != 0;
    close(late);
    return refused;
}

static void drain_finishes_what_is_in_flight(void **state) {
    (void)state;
    struct client idle, busy;
    client_open(&idle);
    client_send(&idle, GET);
    WAIT_FOR(client_has(&idle, "hello"));
    fx.park = true;
    client_open(&busy);
    client_send(&busy, GET);
    WAIT_FOR(fx.n_parked == 1);
    int done = 0;
    sp_http_server_drain(fx.server, 5000, count_done, &done);
    WAIT_FOR(client_ended(&idle));
    WAIT_FOR(is_refused()); /* some turns of the loop later: which, is the timer's granularity */
    step();
    assert_int_equal(done, 0);
    reply_parked(0);
    WAIT_FOR(client_ended(&busy));
    assert_non_null(strstr(busy.got, "Connection: close\r\n"));
    WAIT_FOR(done == 1);
    client_close(&idle);
    client_close(&busy);
}

static void drain_lets_a_fresh_client_ask_once(void **state) {
    (void)state;
    struct client fresh;
    client_open(&fresh);
    WAIT_FOR(stats().open == 1);
    int done = 0;
    sp_http_server_drain(fx.server, 5000, count_done, &done);
    step();
    step();
    assert_int_equal(stats().open, 1);
    client_send(&fresh, GET GET);
    WAIT_FOR(client_ended(&fresh));
    assert_int_equal(count_of(fresh.got, "HTTP/1.1 200 OK"), 1);
    assert_non_null(strstr(fresh.got, "Connection: close\r\n"));
    WAIT_FOR(done == 1);
    client_close(&fresh);
}

static void drain_does_not_wait_long_for_a_client_that_says_nothing(void **state) {
    (void)state;
    struct client silent;
    client_open(&silent);
    WAIT_FOR(stats().open == 1);
    int done = 0;
    const int64_t since = sp_clock_boot_ms(&sp_clock_system);
    sp_http_server_drain(fx.server, PATIENCE_MS, count_done, &done);
    WAIT_FOR(done == 1);
    assert_true(sp_clock_boot_ms(&sp_clock_system) - since < PATIENCE_MS / 2);
    client_close(&silent);
}

static void drain_cuts_what_takes_too_long_but_waits_for_the_handler(void **state) {
    (void)state;
    fx.park = true;
    struct client slow, parked;
    client_open(&slow);
    client_send(&slow, "GET / HTTP/1.1\r\n");
    client_open(&parked);
    client_send(&parked, GET);
    WAIT_FOR(fx.n_parked == 1);
    int done = 0;
    sp_http_server_drain(fx.server, 20, count_done, &done);
    WAIT_FOR(client_ended(&slow) && client_ended(&parked));
    step();
    assert_int_equal(done, 0);
    reply_parked(0);
    WAIT_FOR(done == 1);
    client_close(&slow);
    client_close(&parked);
}

static void free_server(void *arg) {
    sp_http_server_free(fx.server);
    fx.server = NULL;
    count_done(arg);
}

static void server_may_be_freed_when_drained(void **state) {
    (void)state;
    int done = 0;
    sp_http_server_drain(fx.server, 1000, free_server, &done);
    WAIT_FOR(done == 1);
}

/* --- Sockets. --- */

static char dir[] = "/tmp/sp-test-XXXXXX";

static int in_directory(void **state) {
    memcpy(dir + sizeof(dir) - 7, "XXXXXX", 6);
    return mkdtemp(dir) == NULL ? -1 : start_default(state);
}

static int out_of_directory(void **state) {
    char path[64];
    (void)snprintf(path, sizeof(path), "%s/s", dir);
    (void)unlink(path);
    assert_int_equal(rmdir(dir), 0); /* nothing else was left there */
    return stop(state);
}

static int connect_unix(const char *path) {
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    memcpy(un.sun_path, path, strlen(path));
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, (struct sockaddr *)&un, sizeof(un)) == 0) return fd;
    close(fd);
    return -1;
}

static void unix_peer_is_known_by_its_uid(void **state) {
    (void)state;
    char path[64];
    int fd = -1;
    (void)snprintf(path, sizeof(path), "%s/s", dir);
    assert_true(sp_ok(sp_http_listen_unix(path, 0600, &fd)));
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_true(S_ISSOCK(st.st_mode));
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(sp_http_listen_port(fd), 0);
    assert_true(sp_ok(sp_http_server_listen(fx.server, fd, dir)));
    struct client c = {.fd = connect_unix(path)};
    client_send(&c, GET);
    WAIT_FOR(client_has(&c, "hello"));
    assert_int_equal(fx.peer.kind, SP_HTTP_PEER_UNIX);
    assert_int_equal(fx.peer.uid, getuid());
    assert_int_equal(fx.peer.gid, getgid());
    assert_int_equal(fx.peer.pid, getpid());
    assert_ptr_equal(fx.user, dir);
    client_close(&c);
    expect(GET, "HTTP/1.1 200");
    assert_ptr_equal(fx.user, &fx); /* the other listener's */
    assert_int_equal(fx.peer.uid, (uid_t)-1);
}

static void stale_socket_is_replaced_and_a_live_one_is_not(void **state) {
    (void)state;
    char path[64];
    int first = -1, second = -1;
    (void)snprintf(path, sizeof(path), "%s/s", dir);
    assert_true(sp_ok(sp_http_listen_unix(path, 0600, &first)));
    assert_true(sp_is(sp_http_listen_unix(path, 0600, &second), SP_E_CONFLICT));
    const int client = connect_unix(path);
    assert_true(client >= 0); /* and it still works */
    close(client);
    close(first);
    assert_true(sp_ok(sp_http_listen_unix(path, 0600, &second)));
    close(second);
}

static void file_in_the_place_of_a_socket_is_left_alone(void **state) {
    (void)state;
    char path[64];
    int fd = -1;
    (void)snprintf(path, sizeof(path), "%s/s", dir);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fclose(f);
    assert_true(sp_is(sp_http_listen_unix(path, 0600, &fd), SP_E_CONFLICT));
    char deep[200];
    memset(deep, 'x', sizeof(deep) - 1);
    deep[sizeof(deep) - 1] = '\0';
    assert_true(sp_is(sp_http_listen_unix(deep, 0600, &fd), SP_E_LIMIT));
    assert_true(sp_is(sp_http_listen_unix("/nonexistent/s", 0600, &fd), SP_E_IO));
    assert_int_equal(fd, -1);
}

static void port_in_use_is_a_conflict_unless_shared(void **state) {
    (void)state;
    int a = -1, b = -1;
    assert_true(sp_is(sp_http_listen_tcp("127.0.0.1", fx.port, false, &a), SP_E_CONFLICT));
    assert_true(sp_ok(sp_http_listen_tcp("127.0.0.1", 0, true, &a)));
    assert_true(sp_ok(sp_http_listen_tcp("127.0.0.1", sp_http_listen_port(a), true, &b)));
    close(a);
    close(b);
    assert_true(sp_is(sp_http_listen_tcp("no such host", 0, false, &a), SP_E_MALFORMED));
    assert_true(sp_ok(sp_http_listen_tcp("*", 0, false, &a)));
    assert_true(sp_ok(sp_http_server_listen(fx.server, a, NULL)));
    const uint16_t other = fx.port;
    fx.port = sp_http_listen_port(a);
    expect(GET, "HTTP/1.1 200"); /* IPv4 through the IPv6 socket, and shown as IPv4 */
    assert_string_equal(fx.peer.address, "127.0.0.1");
    fx.port = other;
}

static void adopted_socket_is_served(void **state) {
    (void)state;
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    assert_true(sp_ok(sp_http_server_adopt(fx.server, pair[0], NULL)));
    struct client c = {.fd = pair[1]};
    client_send(&c, GET);
    WAIT_FOR(client_has(&c, "hello"));
    assert_int_equal(fx.peer.uid, getuid());
    client_close(&c);
}

#define T(name) cmocka_unit_test_setup_teardown(name, start_default, stop)
#define T_HASTY(name) cmocka_unit_test_setup_teardown(name, start_hasty, stop)
#define T_DIR(name) cmocka_unit_test_setup_teardown(name, in_directory, out_of_directory)

int main(void) {
    const struct CMUnitTest tests[] = {
        T(url_may_have_its_maximum_and_no_more),
        T(headers_may_have_their_maximum_and_no_more),
        T(header_lines_are_counted),
        T(body_may_have_its_maximum_and_no_more),
        T(chunks_of_one_byte_make_a_whole_body),
        T(endless_chunk_extensions_are_cut),
        T_HASTY(slow_header_is_cut_however_it_drips),
        T_HASTY(slow_body_is_cut),
        T_HASTY(idle_connection_is_closed_without_a_word),
        T_HASTY(parked_request_has_no_deadline_of_ours),
        T_HASTY(reader_that_never_reads_is_cut),
        cmocka_unit_test_setup_teardown(newcomer_takes_the_place_of_the_longest_idle, start_capped, stop),
        cmocka_unit_test_setup_teardown(newcomer_is_refused_when_all_are_busy, start_capped, stop),
        cmocka_unit_test_setup_teardown(address_has_its_own_cap, start_capped_per_address, stop),
        T(many_idle_connections_cost_little_and_all_work),
        T(running_out_of_descriptors_pauses_accepting),
        T(drain_finishes_what_is_in_flight),
        T(drain_lets_a_fresh_client_ask_once),
        T(drain_does_not_wait_long_for_a_client_that_says_nothing),
        T(drain_cuts_what_takes_too_long_but_waits_for_the_handler),
        T(server_may_be_freed_when_drained),
        T_DIR(unix_peer_is_known_by_its_uid),
        T_DIR(stale_socket_is_replaced_and_a_live_one_is_not),
        T_DIR(file_in_the_place_of_a_socket_is_left_alone),
        T(port_in_use_is_a_conflict_unless_shared),
        T(adopted_socket_is_served),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
