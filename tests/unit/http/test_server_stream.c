/* Answers that grow while they are read: what the client sees, what is refused, who goes when. */
#include "stream_fixture.h"

#define T(name) cmocka_unit_test_setup_teardown(name, start_streams, stop)

static const char *body_of(const struct client *c) {
    const char *end = strstr(c->got, "\r\n\r\n");
    assert_non_null(end);
    return end + 4;
}

/* --- What the client sees. --- */

static void chunks_arrive_as_they_are_written(void **state) {
    (void)state;
    struct client c;
    static struct owner o;
    client_open(&c);
    client_send(&c, GET);
    begin(&o, 0);
    assert_int_equal(stats().streams, 1);
    assert_int_equal(stats().parked, 0);
    WAIT_FOR(client_has(&c, "\r\n\r\n"));
    assert_non_null(strstr(c.got, "HTTP/1.1 200 OK\r\n"));
    assert_non_null(strstr(c.got, "Content-Type: text/event-stream\r\n"));
    assert_non_null(strstr(c.got, "Transfer-Encoding: chunked\r\n"));
    assert_null(strstr(c.got, "Content-Length"));
    assert_null(strstr(c.got, "Connection"));
    write_text(&o, "hello");
    WAIT_FOR(client_has(&c, "5\r\nhello\r\n"));
    write_text(&o, "0123456789abcdef");
    WAIT_FOR(client_has(&c, "10\r\n0123456789abcdef\r\n"));
    sp_http_stream_end(o.stream);
    WAIT_FOR(client_has(&c, "0\r\n\r\n"));
    assert_string_equal(body_of(&c), "5\r\nhello\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n");
    assert_int_equal(stats().streams, 0);
    assert_int_equal(o.gone, 0);
    client_close(&c);
}

static void write_reaches_the_socket_before_it_returns(void **state) {
    (void)state;
    struct client c;
    static struct owner o;
    client_pair(&c);
    client_send(&c, GET);
    begin(&o, 0);
    write_text(&o, "now");
    client_receive(&c); /* and no turn of the loop before */
    assert_string_equal(body_of(&c), "3\r\nnow\r\n");
    assert_int_equal(sp_http_stream_pending(o.stream), 0);
    client_close(&c);
}

static void empty_write_does_not_end_the_body(void **state) {
    (void)state;
    struct client c;
    static struct owner o;
    client_pair(&c);
    client_send(&c, GET);
    begin(&o, 0);
    SP_AUTO(sp_buf) b = SP_BUF_INIT(64);
    struct sp_http_chunk chunk;
    assert_true(sp_ok(sp_http_chunk_make(SP_SLICE_EMPTY, &b, &chunk)));
    assert_true(sp_ok(sp_http_stream_write_chunk(o.stream, &chunk)));
    write_text(&o, "");
    assert_true(sp_ok(o.status));
    write_text(&o, "x");
    client_receive(&c);
    assert_string_equal(body_of(&c), "1\r\nx\r\n");
    client_close(&c);
}

static void chunk_made_once_reads_like_one_written(void **state) {
    (void)state;
    SP_AUTO(sp_buf) b = SP_BUF_INIT(64);
    SP_AUTO(sp_buf) small = SP_BUF_INIT(9);
    struct sp_http_chunk chunk;
    assert_true(sp_is(sp_http_chunk_make(SP_SLICE_LIT("hello"), &small, &chunk), SP_E_LIMIT));
    assert_true(sp_ok(sp_http_chunk_make(SP_SLICE_LIT("hello"), &b, &chunk)));
    struct client c[2];
    static struct owner o[2];
    for (int i = 0; i < 2; i++) {
        client_pair(&c[i]);
        client_send(&c[i], i == 0 ? GET : "GET / HTTP/1.0\r\n\r\n");
        begin(&o[i], 0);
        assert_true(sp_ok(sp_http_stream_write_chunk(o[i].stream, &chunk)));
        client_receive(&c[i]);
    }
    assert_string_equal(body_of(&c[0]), "5\r\nhello\r\n");
    assert_string_equal(body_of(&c[1]), "hello");
    for (int i = 0; i < 2; i++) client_close(&c[i]);
}

static void stream_within(struct sp_http_req *req) {
    static struct owner o = {0};
    assert_true(sp_ok(begin_with(req, &o, 0, false)));
    write_text(&o, fx.path);
    sp_http_stream_end(o.stream);
}

static void pipelined_streams_are_answered_in_order(void **state) {
    (void)state;
    fx.park = false;
    fx.handle = stream_within;
    struct client c;
    client_open(&c);
    client_send(&c, "GET /a HTTP/1.1\r\n" HOST "\r\nGET /b HTTP/1.1\r\n" HOST "\r\n");
    WAIT_FOR(client_has(&c, "2\r\n/b\r\n0\r\n\r\n"));
    const char *a = strstr(c.got, "2\r\n/a\r\n0\r\n\r\n");
    assert_non_null(a);
    assert_true(a < strstr(c.got, "/b"));
    assert_int_equal(fx.calls, 2);
    assert_int_equal(stats().parked, 0);
    client_close(&c);
}

static void pipelined_request_waits_for_the_end(void **state) {
    (void)state;
    struct client c;
    static struct owner o;
    client_open(&c);
    client_send(&c, GET "GET /next HTTP/1.1\r\n");
    begin(&o, 0);
    client_send(&c, HOST "\r\n"); /* the rest of it while we stream */
    for (int i = 0; i < 5; i++) step();
    assert_int_equal(fx.calls, 1);
    fx.park = false;
    write_text(&o, "x");
    sp_http_stream_end(o.stream);
    WAIT_FOR(client_has(&c, "hello"));
    assert_string_equal(fx.path, "/next");
    assert_true(strstr(c.got, "0\r\n\r\n") < strstr(c.got, "hello"));
    client_close(&c);
}

static void what_a_client_sends_meanwhile_is_not_read_without_end(void **state) {
    (void)state;
    struct client c;
    static struct owner o;
    client_pair(&c);
    client_send(&c, GET);
    begin(&o, 0);
    char junk[4096];
    memset(junk, 'x', sizeof(junk));
    size_t sent = 0;
    for (int blocked = 0; blocked < 10;) {
        const ssize_t n = send(c.fd, junk, sizeof(junk), MSG_DONTWAIT | MSG_NOSIGNAL);
        blocked = n < 0 ? blocked + 1 : 0;
        if (n > 0) sent += (size_t)n;
        assert_true(sent < 16 * 1024 * 1024);
        step();
    }
    write_text(&o, "still here");
    assert_true(client_has(&c, "a\r\nstill here\r\n"));
    sp_http_stream_end(o.stream);
    WAIT_FOR(client_has(&c, "HTTP/1.1 400"));
    client_close(&c);
}

static void head_gets_the_headers_and_its_owner_is_told(void **state) {
    (void)state;
    struct client c;
    static struct owner o;
    client_open(&c);
    client_send(&c, "HEAD / HTTP/1.1\r\n" HOST "\r\n");
    begin(&o, 0);
    assert_int_equal(o.gone, 0); /* not from within begin */
    assert_int_equal(stats().streams, 0);
    write_text(&o, "no body");
    assert_true(sp_is(o.status, SP_E_UNAVAILABLE));
    WAIT_FOR(o.gone == 1);
    assert_int_equal(o.why, SP_HTTP_GONE_CLIENT);
    WAIT_FOR(client_has(&c, "Transfer-Encoding: chunked\r\n"));
    assert_string_equal(body_of(&c), "");
    fx.park = false;
    client_send(&c, GET);
    WAIT_FOR(client_has(&c, "hello"));
    assert_null(strstr(c.got, "no body"));
    client_close(&c);
}

static void http_1_0_body_ends_with_the_connection(void **state) {
    (void)state;
    struct client c;
    static struct owner o;
    client_open(&c);
    client_send(&c, "GET / HTTP/1.0\r\n\r\n");
    begin(&o, 0);
    write_text(&o, "plain");
    sp_http_stream_end(o.stream);
    WAIT_FOR(client_ended(&c));
    assert_null(strstr(c.got, "Transfer-Encoding"));
    assert_non_null(strstr(c.got, "Connection: close\r\n"));
    assert_string_equal(body_of(&c), "plain");
    client_close(&c);
}

static bool was_reset(const struct client *c) {
    char byte;
    const ssize_t n = recv(c->fd, &byte, 1, MSG_DONTWAIT);
    return n < 0 && errno == ECONNRESET;
}

static void incomplete_body_never_looks_complete(void **state) {
    (void)state;
    struct client chunked, plain;
    static struct owner o;
    client_open(&chunked);
    client_send(&chunked, GET);
    begin(&o, 0);
    write_text(&o, "half");
    sp_http_stream_abort(o.stream);
    WAIT_FOR(client_ended(&chunked));
    assert_string_equal(body_of(&chunked), "4\r\nhalf\r\n");
    client_open(&plain);
    client_send(&plain, "GET / HTTP/1.0\r\n\r\n");
    begin(&o, 0);
    write_text(&o, "half");
    WAIT_FOR(client_has(&plain, "half"));
    sp_http_stream_abort(o.stream);
    assert_true(was_reset(&plain));
    step();
    assert_int_equal(o.gone, 0); /* who aborts knows */
    assert_int_equal(stats().open, 0);
    client_close(&chunked);
    client_close(&plain);
}

/* --- What is refused. --- */

static void expect_refused(const struct sp_http_response *head, size_t bound, enum sp_code code) {
    struct client c;
    static struct owner o = {0};
    client_open(&c);
    client_send(&c, GET);
    WAIT_FOR(fx.n_parked == 1);
    const struct sp_http_stream_opts opts = {.pending_bytes_max = bound, .on_gone = note_gone, .arg = &o};
    assert_true(sp_is(sp_http_stream_begin(unpark(), head, &opts, &o.stream), code));
    WAIT_FOR(client_has(&c, "HTTP/1.1 500"));
    assert_null(o.stream);
    step();
    assert_int_equal(o.gone, 0);
    assert_int_equal(stats().streams, 0);
    client_close(&c);
}

static void head_that_cannot_be_streamed_is_a_500(void **state) {
    (void)state;
    static const struct sp_http_header coding = {{(const uint8_t *)"transfer-encoding", 17},
                                                 {(const uint8_t *)"gzip", 4}};
    static const struct sp_http_header split = {{(const uint8_t *)"X", 1}, {(const uint8_t *)"a\r\nb", 4}};
    expect_refused(&(struct sp_http_response){.status = 204}, 0, SP_E_MALFORMED);
    expect_refused(&(struct sp_http_response){.status = 304}, 0, SP_E_MALFORMED);
    expect_refused(&(struct sp_http_response){.status = 100}, 0, SP_E_MALFORMED);
    expect_refused(&(struct sp_http_response){.status = 200, .body = SP_SLICE_LIT("x")}, 0, SP_E_MALFORMED);
    expect_refused(&(struct sp_http_response){.status = 200, .headers = &coding, .n_headers = 1}, 0,
                   SP_E_MALFORMED);
    expect_refused(&(struct sp_http_response){.status = 200, .headers = &split, .n_headers = 1}, 0,
                   SP_E_MALFORMED);
    expect_refused(&(struct sp_http_response){.status = 200}, SP_HTTP_RESPONSE_BYTES_MAX / 2 + 1, SP_E_LIMIT);
}

/* --- Clients that go. --- */

static void owner_is_told_once_when_the_client_closes(void **state) {
    (void)state;
    struct client c;
    static struct owner o;
    for (int how = 0; how < 3; how++) {
        client_open(&c);
        client_send(&c, GET);
        begin(&o, 0);
        write_text(&o, "x");
        WAIT_FOR(client_has(&c, "x\r\n"));
        if (how == 0) client_close(&c);
        if (how == 1) client_reset(&c);
        if (how == 2) assert_int_equal(shutdown(c.fd, SHUT_WR), 0);
        WAIT_FOR(o.gone > 0);
        assert_int_equal(o.why, SP_HTTP_GONE_CLIENT);
        for (int i = 0; i < 3; i++) step();
        assert_int_equal(o.gone, 1);
        assert_int_equal(stats().open, 0);
        assert_int_equal(stats().streams, 0);
        if (how == 2) client_close(&c);
    }
}

static void write_to_who_has_gone_fails_and_tells_later(void **state) {
    (void)state;
    struct client c;
    static struct owner o;
    client_pair(&c);
    client_send(&c, GET);
    begin(&o, 0);
    client_close(&c);
    write_text(&o, "x");
    assert_true(sp_is(o.status, SP_E_IO));
    assert_int_equal(o.gone, 0);
    write_text(&o, "x");
    assert_true(sp_is(o.status, SP_E_UNAVAILABLE));
    assert_int_equal(sp_http_stream_pending(o.stream), 0);
    step();
    assert_int_equal(o.gone, 1);
}

static void owner_who_lets_go_first_is_not_told(void **state) {
    (void)state;
    struct client c[2];
    static struct owner o[2];
    for (int i = 0; i < 2; i++) {
        client_pair(&c[i]);
        client_send(&c[i], GET);
        begin(&o[i], 0);
    }
    for (int i = 0; i < 2; i++) {
        client_close(&c[i]);
        write_text(&o[i], "x");
        assert_true(sp_is(o[i].status, SP_E_IO));
    }
    sp_http_stream_end(o[0].stream);
    sp_http_stream_abort(o[1].stream);
    for (int i = 0; i < 3; i++) step();
    assert_int_equal(o[0].gone + o[1].gone, 0);
}

static void client_gone_before_the_stream_begins_is_told_to_its_owner(void **state) {
    (void)state;
    struct client c;
    static struct owner o = {0};
    for (int how = 0; how < 2; how++) {
        client_open(&c);
        client_send(&c, GET);
        WAIT_FOR(fx.n_parked == 1);
        if (how == 0) client_reset(&c);
        if (how == 1) assert_int_equal(shutdown(c.fd, SHUT_WR), 0);
        for (int i = 0; i < 3; i++) step();
        begin(&o, 0);
        write_text(&o, "x");
        assert_true(sp_is(o.status, SP_E_UNAVAILABLE));
        WAIT_FOR(o.gone == 1);
        assert_int_equal(o.why, SP_HTTP_GONE_CLIENT);
        assert_int_equal(stats().dropped, how + 1);
        assert_int_equal(stats().open, 0);
        if (how == 1) client_close(&c);
    }
}

/* --- Draining and caps. --- */

static void count_done(void *arg) {
    ++*(int *)arg;
}

static void drain_cuts_streams_at_once_and_waits_until_owners_know(void **state) {
    (void)state;
    struct client c, late;
    static struct owner o, after;
    client_open(&c);
    client_send(&c, GET);
    begin(&o, 0);
    client_open(&late);
    client_send(&late, GET);
    WAIT_FOR(fx.n_parked == 1);
    int done = 0;
    sp_http_server_drain(fx.server, 60000, count_done, &done);
    assert_int_equal(o.gone, 0);
    assert_int_equal(stats().streams, 0);
    write_text(&o, "x");
    assert_true(sp_is(o.status, SP_E_UNAVAILABLE));
    WAIT_FOR(o.gone == 1);
    assert_int_equal(o.why, SP_HTTP_GONE_DRAINED);
    WAIT_FOR(client_ended(&c));
    assert_string_equal(body_of(&c), ""); /* no last chunk */
    assert_int_equal(done, 0);
    begin(&after, 0);
    assert_int_equal(done, 0);
    WAIT_FOR(after.gone == 1);
    assert_int_equal(after.why, SP_HTTP_GONE_DRAINED);
    WAIT_FOR(done == 1);
    client_close(&c);
    client_close(&late);
}

static void drain_is_done_when_the_owner_lets_go_instead_of_being_told(void **state) {
    (void)state;
    struct client c;
    static struct owner o;
    client_open(&c);
    client_send(&c, GET);
    begin(&o, 0);
    int done = 0;
    sp_http_server_drain(fx.server, 60000, count_done, &done);
    sp_http_stream_end(o.stream);
    WAIT_FOR(done == 1);
    assert_int_equal(o.gone, 0);
    client_close(&c);
}

static void freeing_the_server_tells_owners_and_leaves_nothing(void **state) {
    (void)state;
    struct client c, parked;
    static struct owner o, late = {0};
    client_open(&c);
    client_send(&c, GET);
    begin(&o, 0);
    client_open(&parked);
    client_send(&parked, GET);
    WAIT_FOR(fx.n_parked == 1);
    sp_http_server_free(fx.server);
    fx.server = NULL;
    assert_int_equal(o.gone, 1);
    assert_int_equal(o.why, SP_HTTP_GONE_DRAINED);
    assert_true(sp_is(begin_with(unpark(), &late, 0, false), SP_E_UNAVAILABLE));
    for (int i = 0; i < 3; i++) step();
    assert_int_equal(late.gone, 0);
    client_close(&c);
    client_close(&parked);
}

static int start_capped_streams(void **state) {
    (void)state;
    start((struct sp_http_opts){.connections_max = 2});
    fx.park = true;
    return 0;
}

static void streams_count_as_connections_and_are_not_idle(void **state) {
    (void)state;
    struct client c[3];
    static struct owner o[2];
    for (int i = 0; i < 2; i++) {
        client_open(&c[i]);
        client_send(&c[i], GET);
        begin(&o[i], 0);
    }
    client_open(&c[2]);
    WAIT_FOR(client_ended(&c[2]));
    assert_int_equal(stats().refused, 1);
    assert_int_equal(stats().streams, 2);
    assert_int_equal(o[0].gone + o[1].gone, 0);
    for (int i = 0; i < 3; i++) client_close(&c[i]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        T(chunks_arrive_as_they_are_written),
        T(write_reaches_the_socket_before_it_returns),
        T(empty_write_does_not_end_the_body),
        T(chunk_made_once_reads_like_one_written),
        T(pipelined_streams_are_answered_in_order),
        T(pipelined_request_waits_for_the_end),
        T(what_a_client_sends_meanwhile_is_not_read_without_end),
        T(head_gets_the_headers_and_its_owner_is_told),
        T(http_1_0_body_ends_with_the_connection),
        T(incomplete_body_never_looks_complete),
        T(head_that_cannot_be_streamed_is_a_500),
        T(owner_is_told_once_when_the_client_closes),
        T(write_to_who_has_gone_fails_and_tells_later),
        T(owner_who_lets_go_first_is_not_told),
        T(client_gone_before_the_stream_begins_is_told_to_its_owner),
        T(drain_cuts_streams_at_once_and_waits_until_owners_know),
        T(drain_is_done_when_the_owner_lets_go_instead_of_being_told),
        T(freeing_the_server_tells_owners_and_leaves_nothing),
        cmocka_unit_test_setup_teardown(streams_count_as_connections_and_are_not_idle, start_capped_streams,
                                        stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
