#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "http/query_values.h"

static int64_t time_of(const char *text) {
    int64_t ms = -1;
    return sp_ok(sp_time_parse(sp_slice_cstr(text), &ms)) ? ms : -1;
}

static void times_of_rfc_3339_are_read(void **state) {
    (void)state;
    assert_int_equal(time_of("1970-01-01T00:00:00Z"), 0);
    assert_int_equal(time_of("2026-11-21T02:33:37.123Z"), 1795228417123);
    assert_int_equal(time_of("2026-11-21T02:33:37.1Z"), 1795228417100);
    assert_int_equal(time_of("2026-11-21T02:33:37.123999Z"), 1795228417123);
    assert_int_equal(time_of("2026-11-21T03:33:37+01:00"), 1795228417000);
    assert_int_equal(time_of("2026-11-20t21:03:37-05:30"), 1795228417000);
    assert_int_equal(time_of("2024-02-29T00:00:00Z"), 1709164800000);
}

static void what_is_no_moment_is_refused(void **state) {
    (void)state;
    static const char *const bad[] = {"",
                                      "now",
                                      "2026-11-21",
                                      "2026-11-21T02:33:37",
                                      "2026-02-29T00:00:00Z",
                                      "2026-13-01T00:00:00Z",
                                      "2026-00-01T00:00:00Z",
                                      "2026-11-21T24:00:00Z",
                                      "2026-11-21T02:60:00Z",
                                      "2026-11-21T02:33:60Z",
                                      "2026-11-21T02:33:37.Z",
                                      "2026-11-21T02:33:37Zx",
                                      "2026-11-21T02:33:37+24:00",
                                      "2026-11-21T02:33:37+1:00",
                                      "1969-12-31T23:59:59Z",
                                      "1970-01-01T00:00:00+00:01",
                                      "-026-11-21T02:33:37Z",
                                      "9999-12-31T23:59:59-00:01",
                                      "2026-11-21T02:33:37.123456789"};
    for (size_t i = 0; i < SP_ARRAY_LEN(bad); i++) {
        if (time_of(bad[i]) != -1) fail_msg("%s", bad[i]);
    }
}

static void hexadecimal_is_exact(void **state) {
    (void)state;
    uint8_t b[2] = {9, 9};
    assert_true(sp_hex_decode_exact(sp_slice_cstr("00fF"), b, 2));
    assert_int_equal(b[0], 0);
    assert_int_equal(b[1], 255);
    static const char *const bad[] = {"", "00f", "00fff", "00fg", "0x00", " 00f"};
    for (size_t i = 0; i < SP_ARRAY_LEN(bad); i++) {
        assert_false(sp_hex_decode_exact(sp_slice_cstr(bad[i]), b, 2));
        assert_int_equal(b[1], 255);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_of_rfc_3339_are_read),
        cmocka_unit_test(what_is_no_moment_is_refused),
        cmocka_unit_test(hexadecimal_is_exact),
    };
    return cmocka_run_group_tests_name("http-query_values", tests, NULL, NULL);
}
