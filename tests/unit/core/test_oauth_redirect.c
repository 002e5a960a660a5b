#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/mem.h"
#include "core/oauth_redirect.h"

static bool valid(const char *uri) {
    return sp_redirect_target_valid(sp_slice_cstr(uri));
}

static void addresses_that_browsers_follow_are_targets(void **state) {
    (void)state;
    assert_true(valid("https://app.example/cb"));
    assert_true(valid("https://app.example/cb?tenant=7&x="));
    assert_true(valid("http://127.0.0.1:49152/"));
    assert_true(valid("http://[::1]:49152/cb"));
    assert_true(valid("com.example.app:/oauth2redirect"));
    assert_true(valid("com.example.app:cb"));
}

static void what_is_no_address_or_would_break_a_header_is_none(void **state) {
    (void)state;
    static const char *const none[] = {
        "",
        ":",
        "https",
        "https:",
        "/cb",
        "//app.example/cb",
        "1https://app.example",
        " https://app.example",
        "https://app.example/cb ",
        "https://app.example/c b",
        "https://app.example/cb#fragment",
        "https://app.example/cb#",
        "https://app.example/\r\nSet-Cookie: a=b",
        "https://app.example/\n",
        "https://app.example/\t",
        "https://app.example/\x7F",
        "https://app.example/\xC3\xA9",
        "https://app.example\\@evil.example",
        "https://app.example/\"><script>",
        "https://app.example/{x}",
    };
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
        if (valid(none[i])) fail_msg("taken for an address: %s", none[i]);
    }
    static const char nul[] = "https://app.example/\0x";
    assert_false(sp_redirect_target_valid(sp_slice_of(nul, sizeof(nul) - 1)));
}

static void what_is_no_address_is_not_begun(void **state) {
    (void)state;
    SP_AUTO(sp_buf) b = SP_BUF_INIT(4096);
    assert_int_equal(sp_redirect_begin(SP_SLICE_LIT("https://a.example/#x"), &b).code, SP_E_MALFORMED);
    assert_int_equal(b.n, 0);
    assert_int_equal(sp_redirect_param(&b, "code", SP_SLICE_LIT("x")).code, SP_E_MALFORMED);
}

static void assert_made(const char *uri, sp_slice value, const char *expected) {
    SP_AUTO(sp_buf) b = SP_BUF_INIT(4096);
    const char *text;
    assert_int_equal(sp_redirect_begin(sp_slice_cstr(uri), &b).code, SP_OK);
    assert_int_equal(sp_redirect_param(&b, "state", value).code, SP_OK);
    assert_int_equal(sp_redirect_param(&b, "iss", SP_SLICE_LIT("https://auth.example")).code, SP_OK);
    assert_int_equal(sp_buf_cstr(&b, &text).code, SP_OK);
    assert_string_equal(text, expected);
}

static void parameters_join_the_query_that_is_there(void **state) {
    (void)state;
    const sp_slice x = SP_SLICE_LIT("x");
#define ISS "iss=https%3A%2F%2Fauth.example"
    assert_made("https://a.example/cb", x, "https://a.example/cb?state=x&" ISS);
    assert_made("https://a.example", x, "https://a.example?state=x&" ISS);
    assert_made("https://a.example/cb?", x, "https://a.example/cb?state=x&" ISS);
    assert_made("https://a.example/cb?t=1", x, "https://a.example/cb?t=1&state=x&" ISS);
    assert_made("https://a.example/cb?t=1&", x, "https://a.example/cb?t=1&state=x&" ISS);
    assert_made("https://a.example/cb?t=?", x, "https://a.example/cb?t=?state=x&" ISS);
    assert_made("com.example.app:/cb", x, "com.example.app:/cb?state=x&" ISS);
}

static void a_value_is_never_more_than_a_value(void **state) {
    (void)state;
    assert_made(
        "https://a.example/", SP_SLICE_LIT("a&code=evil#f\r\nSet-Cookie: x %+\xC3\xA9~-._"),
        "https://a.example/?state=a%26code%3Devil%23f%0D%0ASet-Cookie%3A%20x%20%25%2B%C3%A9~-._&" ISS);
    assert_made("https://a.example/", SP_SLICE_LIT(""), "https://a.example/?state=&" ISS);
    assert_made("https://a.example/", SP_SLICE_EMPTY, "https://a.example/?" ISS);
}

static void what_does_not_fit_is_said(void **state) {
    (void)state;
    SP_AUTO(sp_buf) b = SP_BUF_INIT(24);
    assert_int_equal(sp_redirect_begin(SP_SLICE_LIT("https://a.example/"), &b).code, SP_OK);
    assert_int_equal(sp_redirect_param(&b, "state", SP_SLICE_LIT("1234")).code, SP_E_LIMIT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_that_browsers_follow_are_targets),
        cmocka_unit_test(what_is_no_address_or_would_break_a_header_is_none),
        cmocka_unit_test(what_is_no_address_is_not_begun),
        cmocka_unit_test(parameters_join_the_query_that_is_there),
        cmocka_unit_test(a_value_is_never_more_than_a_value),
        cmocka_unit_test(what_does_not_fit_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
