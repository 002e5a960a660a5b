#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "cli/answer.h"

static bool parse(const char *text, struct sp_answer *ret) {
    return sp_ok(sp_answer_parse(sp_slice_cstr(text), ret));
}

static void an_answer_is_its_status_and_its_body(void **state) {
    (void)state;
    struct sp_answer a = {0};
    assert_true(parse("HTTP/1.1 200 OK\r\nContent-Length: 7\r\nX-Any: thing\r\n\r\n{\"a\":1}", &a));
    assert_int_equal(a.status, 200);
    assert_int_equal(json_integer_value(json_object_get(a.body, "a")), 1);
    sp_answer_done(&a);
    assert_true(parse("HTTP/1.1 204 No Content\r\n\r\n", &a));
    assert_int_equal(a.status, 204);
    assert_null(a.body);
    assert_true(parse("HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n", &a));
    assert_int_equal(a.status, 503);
}

/* Cut after any byte: never a shorter success. */
static void an_answer_that_was_cut_off_is_none(void **state) {
    (void)state;
    static const char whole[] = "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n{\"a\":1}";
    for (size_t n = 0; n < sizeof(whole) - 1; n++) {
        struct sp_answer a = {.status = 7};
        assert_false(sp_ok(sp_answer_parse(sp_slice_of(whole, n), &a)));
        assert_int_equal(a.status, 7);
        assert_null(a.body);
    }
}

static void what_our_server_does_not_say_is_refused(void **state) {
    (void)state;
    static const char *const bad[] = {
        "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.1 099 OK\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.1 600 OK\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.1 200 OK\nContent-Length: 2\n\n{}",
        "HTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n{\"a\":1,\"a\":2}",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno",
    };
    for (size_t i = 0; i < SP_ARRAY_LEN(bad); i++) {
        struct sp_answer a = {.status = 7};
        if (parse(bad[i], &a)) fail_msg("%s", bad[i]);
        assert_int_equal(a.status, 7);
        assert_null(a.body);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_is_its_status_and_its_body),
        cmocka_unit_test(an_answer_that_was_cut_off_is_none),
        cmocka_unit_test(what_our_server_does_not_say_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
