/* Requests in, replies out: what reaches a handler, and what the client sees of its reply. */
#include "server_fixture.h"

/* --- Requests. --- */

static void get_is_answered_and_the_connection_kept(void **state) {
    (void)state;
    struct client c;
    client_open(&c);
    for (int i = 0; i < 3; i++) {
        client_forget(&c);
        client_send(&c, "GET /a/b%20c?x=1&y#frag HTTP/1.1\r\n" HOST "\r\n");
        WAIT_FOR(client_has(&c, "hello"));
        assert_non_null(strstr(c.got, "HTTP/1.1 200 OK\r\nDate: "));
        assert_non_null(strstr(c.got, "Content-Length: 5\r\n"));
        assert_null(strstr(c.got, "Connection:"));
    }
    assert_int_equal(fx.calls, 3);
    assert_int_equal(stats().accepted, 1);
    assert_string_equal(fx.method, "GET");
    assert_string_equal(fx.path, "/a/b%20c");
    assert_string_equal(fx.query, "x=1&y");
    assert_string_equal(fx.host, "a");
    assert_string_equal(fx.peer.address, "127.0.0.1");
    assert_int_equal(fx.peer.kind, SP_HTTP_PEER_TCP);
    assert_ptr_equal(fx.user, &fx);
    client_close(&c);
}

static void request_may_come_byte_by_byte(void **state) {
    (void)state;
    static const char text[] =
        "POST /p HTTP/1.1\r\nHost: a\r\nX-One:  v \r\nTransfer-Encoding: chunked\r\n\r\n"
        "3;ext=\"a\"\r\nabc\r\n2\r\nde\r\n0\r\nTrailer: x\r\n\r\n";
    struct client c;
    client_open(&c);
    for (size_t i = 0; text[i] != '\0'; i++) {
        const char one[2] = {text[i], '\0'};
        client_send(&c, one);
        assert_true(sp_ok(sp_loop_step(fx.loop, 1)));
    }
    WAIT_FOR(client_has(&c, "hello"));
    assert_string_equal(fx.body, "abcde");
    assert_int_equal(fx.x_one, SP_HTTP_SINGLE);
    client_close(&c);
}

static void body_with_length_arrives_whole(void **state) {
    (void)state;
    struct client c;
    client_open(&c);
    client_send(&c, "POST / HTTP/1.1\r\n" HOST "Content-Length: 10\r\n\r\n01234");
    step();
    assert_int_equal(fx.calls, 0);
    client_send(&c, "56789");
    WAIT_FOR(client_has(&c, "hello"));
    assert_string_equal(fx.body, "0123456789");
    client_close(&c);
}

static void repeated_header_is_told_apart_from_a_single_one(void **state) {
    (void)state;
    expect("GET / HTTP/1.1\r\n" HOST "X-One: 1\r\nx-two: 2\r\nX-ONE: 2\r\n\r\n", "HTTP/1.1 200");
    assert_int_equal(fx.x_one, SP_HTTP_REPEATED);
    expect("GET / HTTP/1.1\r\n" HOST "X-ONE: 1\r\nX-One-More: 2\r\n\r\n", "HTTP/1.1 200");
    assert_int_equal(fx.x_one, SP_HTTP_SINGLE);
    expect(GET, "HTTP/1.1 200");
    assert_int_equal(fx.x_one, SP_HTTP_ABSENT);
}

static void absolute_target_names_path_and_host(void **state) {
    (void)state;
    expect("GET http://b.example:81/p?q HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 200");
    assert_string_equal(fx.path, "/p");
    assert_string_equal(fx.query, "q");
    assert_string_equal(fx.host, "b.example:81");
    expect("GET HTTPS://b.example HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 200");
    assert_string_equal(fx.path, "/");
    expect("GET http://user@b.example/ HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 400");
    expect("GET ftp://b.example/ HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 400");
    expect("OPTIONS * HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 200");
    assert_string_equal(fx.path, "*");
    expect("GET * HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 400");
}

static void http_1_0_is_answered_and_closed(void **state) {
    (void)state;
    struct client c;
    client_open(&c);
    client_send(&c, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    WAIT_FOR(client_ended(&c));
    assert_non_null(strstr(c.got, "HTTP/1.1 200 OK"));
    assert_non_null(strstr(c.got, "Connection: close"));
    assert_false(fx.keep_alive);
    client_close(&c);
}

static void refusals_have_their_own_status(void **state) {
    (void)state;
    static const struct {
        const char *request, *answer;
    } rows[] = {
        {"GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 400"},
        {"GET / HTTP/1.1\r\n" HOST HOST "\r\n", "HTTP/1.1 400"},
        {"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", "HTTP/1.1 400"},
        {"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", "HTTP/1.1 400"},
        {"GET / HTTP/1.1\n" HOST "\r\n", "HTTP/1.1 400"},
        {"\nGET / HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 400"},
        {"\r\n\r\n\r\nGET / HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 400"},
        {"GET  / HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 400"},
        {"GET / HTTP/1.1 \r\n" HOST "\r\n", "HTTP/1.1 400"},
        {"GET / HTTP/1.1\r\n" HOST "X-One: a\r\n b\r\n\r\n", "HTTP/1.1 400"},
        {"GET / HTTP/1.1\r\n" HOST "X-One:\r\n b\r\n\r\n", "HTTP/1.1 400"},
        {"GET / HTTP/1.1\r\n" HOST "X-One : a\r\n\r\n", "HTTP/1.1 400"},
        {"GET / HTTP/1.1\r\n" HOST "X-One: a\x7f\r\n\r\n", "HTTP/1.1 400"},
        {"POST / HTTP/1.1\r\n" HOST "Content-Length: +3\r\n\r\nabc", "HTTP/1.1 400"},
        {"POST / HTTP/1.1\r\n" HOST "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", "HTTP/1.1 400"},
        {"POST / HTTP/1.1\r\n" HOST "Content-Length: 3, 3\r\n\r\nabc", "HTTP/1.1 400"},
        {"POST / HTTP/1.1\r\n" HOST "Content_Length: 3\r\n\r\n", "HTTP/1.1 400"},
        {"POST / HTTP/1.1\r\n" HOST "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
         "HTTP/1.1 400"},
        {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n",
         "HTTP/1.1 400"},
        {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0xc\r\n", "HTTP/1.1 400"},
        {"GET / HTTP/1.1\r\n" HOST "Expect: tea\r\n\r\n", "HTTP/1.1 417"},
        {"BREW / HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 501"},
        {"CONNECT a:443 HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 501"},
        {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP/1.1 505"},
        {"GET / HTTP/1.2\r\n" HOST "\r\n", "HTTP/1.1 505"},
        {"GET / HTTP/2.0\r\n" HOST "\r\n", "HTTP/1.1 505"},
        {"\x16\x03\x01 greetings", "HTTP/1.1 400"},
    };
    for (size_t i = 0; i < SP_ARRAY_LEN(rows); i++) expect(rows[i].request, rows[i].answer);
    assert_int_equal(fx.calls, 0);
}

static void refusal_is_problem_json_and_ends_the_connection(void **state) {
    (void)state;
    struct client c;
    client_open(&c);
    client_send(&c, "GET / HTTP/1.1\r\n\r\n" GET);
    WAIT_FOR(client_ended(&c));
    assert_non_null(strstr(c.got, "Content-Type: application/problem+json\r\n"));
    assert_non_null(strstr(c.got, "\"code\":\"malformed_request\""));
    assert_non_null(strstr(c.got, "Connection: close\r\n"));
    assert_int_equal(count_of(c.got, "HTTP/1.1 400"), 1);
    assert_int_equal(count_of(c.got, "Date: "), 1);
    assert_int_equal(stats().malformed, 1);
    client_close(&c);
}

static void upgrade_is_ignored(void **state) {
    (void)state;
    expect("GET / HTTP/1.1\r\n" HOST "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n",
           "HTTP/1.1 200");
}

static void query_method_reaches_the_handler(void **state) {
    (void)state;
    expect("QUERY /q HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\nx", "HTTP/1.1 200");
    assert_string_equal(fx.method, "QUERY");
    assert_string_equal(fx.path, "/q");
    expect("QUERE /q HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 501");
}

static void expect_continue_is_answered_before_the_body(void **state) {
    (void)state;
    struct client c;
    client_open(&c);
    client_send(&c, "POST / HTTP/1.1\r\n" HOST "Expect: 100-Continue\r\nContent-Length: 2\r\n\r\n");
    WAIT_FOR(client_has(&c, "HTTP/1.1 100 Continue\r\n\r\n"));
    assert_int_equal(fx.calls, 0);
    client_send(&c, "ok");
    WAIT_FOR(client_has(&c, "hello"));
    assert_int_equal(count_of(c.got, "100 Continue"), 1);
    client_close(&c);
}

static void get_with_a_body_is_the_last_of_its_connection(void **state) {
    (void)state;
    struct client c;
    client_open(&c);
    client_send(&c, "GET / HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\nab");
    WAIT_FOR(client_ended(&c));
    assert_non_null(strstr(c.got, "Connection: close"));
    client_close(&c);
}

/* --- Parking. --- */

static void parked_request_is_completed_later(void **state) {
    (void)state;
    fx.park = true;
    struct client c;
    client_open(&c);
    client_send(&c, GET);
    WAIT_FOR(fx.n_parked == 1);
    assert_int_equal(stats().parked, 1);
    int context = 7;
    sp_http_req_set_context(fx.parked[0], &context);
    assert_ptr_equal(sp_http_req_context(fx.parked[0]), &context);
    assert_ptr_equal(sp_http_req_loop(fx.parked[0]), fx.loop);
    step();
    client_receive(&c);
    assert_int_equal(c.n, 0);
    reply_parked(0);
    WAIT_FOR(client_has(&c, "hello"));
    assert_int_equal(stats().parked, 0);
    client_close(&c);
}

static void client_that_resets_while_parked_leaves_nothing_dangling(void **state) {
    (void)state;
    fx.park = true;
    struct client c;
    client_open(&c);
    client_send(&c, "POST /x HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc");
    WAIT_FOR(fx.n_parked == 1);
    assert_false(sp_http_req_client_gone(fx.parked[0]));
    client_reset(&c);
    WAIT_FOR(sp_http_req_client_gone(fx.parked[0]));
    assert_int_equal(stats().open, 0);
    assert_int_equal(stats().parked, 1);
    assert_true(sp_slice_eq_cstr(sp_http_req_body(fx.parked[0]), "abc"));
    assert_string_equal(sp_http_req_peer(fx.parked[0])->address, "127.0.0.1");
    reply_parked(0);
    assert_true(sp_ok(fx.reply_status));
    assert_int_equal(stats().dropped, 1);
    assert_int_equal(stats().parked, 0);
}

static void client_that_closes_half_still_gets_its_answer(void **state) {
    (void)state;
    fx.park = true;
    struct client c;
    client_open(&c);
    client_send(&c, GET GET);
    shutdown(c.fd, SHUT_WR);
    WAIT_FOR(fx.n_parked == 1);
    for (int i = 0; i < 3; i++) step();
    assert_false(sp_http_req_client_gone(fx.parked[0]));
    reply_parked(0);
    WAIT_FOR(fx.n_parked == 2); /* it was read before the end */
    reply_parked(1);
    WAIT_FOR(client_ended(&c));
    assert_int_equal(count_of(c.got, "HTTP/1.1 200"), 2);
    client_close(&c);
}

static void server_may_end_before_its_parked_requests(void **state) {
    (void)state;
    fx.park = true;
    struct client c[2];
    for (int i = 0; i < 2; i++) {
        client_open(&c[i]);
        client_send(&c[i], GET);
    }
    WAIT_FOR(fx.n_parked == 2);
    sp_http_server_free(fx.server);
    fx.server = NULL;
    for (int i = 0; i < 2; i++) {
        assert_true(sp_http_req_client_gone(fx.parked[i]));
        assert_true(sp_slice_eq_cstr(sp_http_req_path(fx.parked[i]), "/"));
        reply_parked((size_t)i);
        client_close(&c[i]);
    }
}

/* --- Pipelining. --- */

static void pipelined_requests_are_handled_one_at_a_time_in_order(void **state) {
    (void)state;
    fx.park = true;
    struct client c;
    client_open(&c);
    client_send(&c, "GET /1 HTTP/1.1\r\n" HOST "\r\nPOST /2 HTTP/1.1\r\n" HOST
                    "Content-Length: 3\r\n\r\nabcGET /3 HTTP/1.1\r\n" HOST "\r\n");
    for (size_t i = 0; i < 3; i++) {
        WAIT_FOR(fx.n_parked == i + 1);
        step();
        assert_int_equal(fx.n_parked, i + 1);
        assert_int_equal(fx.path[1], '1' + (int)i);
        reply_parked(i);
    }
    WAIT_FOR(client_has(&c, "hello") && count_of(c.got, "hello") == 3);
    client_close(&c);
}

static void reading_stops_while_a_flood_of_requests_waits(void **state) {
    (void)state;
    enum { REQUESTS = 20000 };
    fx.park = true;
    struct client c;
    client_open(&c);
    const int small = 4096;
    assert_int_equal(setsockopt(c.fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), 0);
    size_t sent = 0, total = 0, answers = 0;
    const size_t n = strlen(GET);
    while (answers < REQUESTS) {
        for (int i = 0; i < 64 && sent < REQUESTS; i++) {
            const ssize_t k = send(c.fd, &GET[total % n], n - total % n, MSG_DONTWAIT | MSG_NOSIGNAL);
            if (k <= 0) break;
            total += (size_t)k;
            sent = total / n;
        }
        if (answers > 100) fx.park = false; /* by then the buffer was full more than once */
        assert_true(sp_ok(sp_loop_step(fx.loop, 1)));
        for (; fx.n_parked > 0; fx.n_parked--) reply_parked(fx.n_parked - 1);
        client_forget(&c);
        client_receive(&c);
        answers += count_of(c.got, "HTTP/1.1 200"); /* one torn apart is counted by its body below */
        if (fx.calls == REQUESTS) break;
        assert_false(c.ended);
    }
    assert_int_equal(fx.calls, REQUESTS);
    client_close(&c);
}

static void request_after_connection_close_is_refused_with_the_first(void **state) {
    (void)state;
    expect("GET / HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n" GET, "HTTP/1.1 400");
    assert_int_equal(fx.calls, 0);
}

static void empty_line_between_requests_is_no_request(void **state) {
    (void)state;
    struct client c;
    client_open(&c);
    client_send(&c, "POST / HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\nx\r\n");
    WAIT_FOR(client_has(&c, "hello"));
    client_send(&c, GET);
    WAIT_FOR(client_has(&c, "hello") && count_of(c.got, "hello") == 2);
    client_close(&c);
}

/* --- Replies. --- */

static void head_has_the_length_but_no_body(void **state) {
    (void)state;
    struct client c;
    client_open(&c);
    client_send(&c, "HEAD / HTTP/1.1\r\n" HOST "\r\n" GET);
    WAIT_FOR(client_has(&c, "hello"));
    assert_int_equal(count_of(c.got, "Content-Length: 5\r\n"), 2);
    assert_int_equal(count_of(c.got, "hello"), 1);
    client_close(&c);
}

static void no_content_has_neither_length_nor_body(void **state) {
    (void)state;
    struct client c;
    client_open(&c);
    fx.response = (struct sp_http_response){.status = 204};
    client_send(&c, GET);
    WAIT_FOR(client_has(&c, "\r\n\r\n"));
    assert_null(strstr(c.got, "Content-Length"));
    fx.response.body = SP_SLICE_LIT("x");
    expect(GET, "HTTP/1.1 500");
    assert_true(sp_is(fx.reply_status, SP_E_MALFORMED));
    client_close(&c);
}

static void cookies_may_be_repeated(void **state) {
    (void)state;
    const struct sp_http_header headers[] = {{SP_SLICE_LIT("Set-Cookie"), SP_SLICE_LIT("a=1")},
                                             {SP_SLICE_LIT("Set-Cookie"), SP_SLICE_LIT("b=2; \xc3\xa4")}};
    fx.response.headers = headers;
    fx.response.n_headers = 2;
    struct client c;
    client_open(&c);
    client_send(&c, GET);
    WAIT_FOR(client_has(&c, "hello"));
    assert_non_null(strstr(c.got, "Set-Cookie: a=1\r\nSet-Cookie: b=2; \xc3\xa4\r\n"));
    client_close(&c);
}

static void header_that_would_split_the_answer_is_an_error(void **state) {
    (void)state;
    static const struct sp_http_header bad[] = {
        {SP_SLICE_LIT("X-A"), SP_SLICE_LIT("a\r\nX-B: b")},
        {SP_SLICE_LIT("X-A"), SP_SLICE_LIT("a\nb")},
        {SP_SLICE_LIT("X-A"), SP_SLICE_LIT("a\0b")},
        {SP_SLICE_LIT("X A"), SP_SLICE_LIT("a")},
        {SP_SLICE_LIT("X-A:"), SP_SLICE_LIT("a")},
        {SP_SLICE_LIT(""), SP_SLICE_LIT("a")},
        {SP_SLICE_LIT("content-length"), SP_SLICE_LIT("1")},
        {SP_SLICE_LIT("Transfer-Encoding"), SP_SLICE_LIT("x")},
        {SP_SLICE_LIT("Connection"), SP_SLICE_LIT("x")},
        {SP_SLICE_LIT("DATE"), SP_SLICE_LIT("x")},
    };
    for (size_t i = 0; i < SP_ARRAY_LEN(bad); i++) {
        fx.response.headers = &bad[i];
        fx.response.n_headers = 1;
        expect(GET, "HTTP/1.1 500");
        assert_true(sp_is(fx.reply_status, SP_E_MALFORMED));
    }
}

static void handler_may_end_the_connection(void **state) {
    (void)state;
    fx.response.close = true;
    struct client c;
    client_open(&c);
    client_send(&c, GET);
    WAIT_FOR(client_ended(&c));
    assert_non_null(strstr(c.got, "Connection: close\r\n"));
    assert_non_null(strstr(c.got, "hello"));
    client_close(&c);
}

static void large_answer_survives_a_slow_reader(void **state) {
    (void)state;
    enum { SIZE = 4 * 1024 * 1024 };
    uint8_t *big = malloc(SIZE);
    assert_non_null(big);
    for (size_t i = 0; i < SIZE; i++) big[i] = (uint8_t)('a' + i % 26);
    fx.response.body = sp_slice_of(big, SIZE);
    struct client c;
    client_open(&c);
    client_send(&c, GET);
    WAIT_FOR(client_has(&c, "\r\n\r\n"));
    memset(big, '!', SIZE); /* the reply was given: the body is ours again */
    size_t n = c.n - (size_t)(strstr(c.got, "\r\n\r\n") + 4 - c.got), wrong = 0;
    while (n < SIZE) {
        client_forget(&c);
        client_receive(&c);
        for (size_t i = 0; i < c.n; i++) wrong += c.got[i] != (char)('a' + (n + i) % 26);
        n += c.n;
        if (c.n == 0) step();
        assert_false(c.ended);
    }
    assert_int_equal(n, SIZE);
    assert_int_equal(wrong, 0);
    fx.response.body = SP_SLICE_LIT("hello");
    client_send(&c, GET);
    WAIT_FOR(client_has(&c, "hello")); /* and the connection goes on */
    client_close(&c);
    free(big);
}

#define T(name) cmocka_unit_test_setup_teardown(name, start_default, stop)

int main(void) {
    const struct CMUnitTest tests[] = {
        T(get_is_answered_and_the_connection_kept),
        T(request_may_come_byte_by_byte),
        T(body_with_length_arrives_whole),
        T(repeated_header_is_told_apart_from_a_single_one),
        T(absolute_target_names_path_and_host),
        T(http_1_0_is_answered_and_closed),
        T(refusals_have_their_own_status),
        T(refusal_is_problem_json_and_ends_the_connection),
        T(upgrade_is_ignored),
        T(query_method_reaches_the_handler),
        T(expect_continue_is_answered_before_the_body),
        T(get_with_a_body_is_the_last_of_its_connection),
        T(parked_request_is_completed_later),
        T(client_that_resets_while_parked_leaves_nothing_dangling),
        T(client_that_closes_half_still_gets_its_answer),
        T(server_may_end_before_its_parked_requests),
        T(pipelined_requests_are_handled_one_at_a_time_in_order),
        T(reading_stops_while_a_flood_of_requests_waits),
        T(request_after_connection_close_is_refused_with_the_first),
        T(empty_line_between_requests_is_no_request),
        T(head_has_the_length_but_no_body),
        T(no_content_has_neither_length_nor_body),
        T(cookies_may_be_repeated),
        T(header_that_would_split_the_answer_is_an_error),
        T(handler_may_end_the_connection),
        T(large_answer_survives_a_slow_reader),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
