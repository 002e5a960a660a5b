#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "core/client_uri.h"

static enum sp_uri_fault check(const char *uri, enum sp_uri_use use) {
    return sp_uri_check(sp_slice_cstr(uri), use);
}

static bool same(const char *registered, const char *sent) {
    return sp_uri_is_registered(sp_slice_cstr(registered), sp_slice_cstr(sent));
}

static void web_addresses_and_loopback_may_be_redirected_to(void **state) {
    (void)state;
    static const char *const good[] = {
        "https://app.example",         "https://app.example/",     "https://app.example/cb?tenant=1&x=%2F",
        "https://App.Example:8443/cb", "https://192.0.2.1/cb",     "https://[2001:db8::1]:8443/cb",
        "http://localhost/cb",         "http://localhost:3000/cb", "http://127.0.0.1/cb",
        "http://127.0.0.1:65535",      "http://[::1]/cb",          "http://[::1]:1/cb",
    };
    for (size_t i = 0; i < SP_ARRAY_LEN(good); i++) {
        assert_int_equal(check(good[i], SP_URI_REDIRECT), SP_URI_OK);
        assert_int_equal(check(good[i], SP_URI_REDIRECT_PRIVATE), SP_URI_OK);
        assert_int_equal(check(good[i], SP_URI_CALL), SP_URI_OK);
    }
}

static void private_use_schemes_are_for_public_clients_and_have_a_dot(void **state) {
    (void)state;
    static const char *const good[] = {"com.example.app:/cb", "com.example.app:cb", "com.example.app://cb/x"};
    for (size_t i = 0; i < SP_ARRAY_LEN(good); i++) {
        assert_int_equal(check(good[i], SP_URI_REDIRECT_PRIVATE), SP_URI_OK);
        assert_int_equal(check(good[i], SP_URI_REDIRECT), SP_URI_SCHEME);
        assert_int_equal(check(good[i], SP_URI_CALL), SP_URI_SCHEME);
    }
    static const char *const bad[] = {"myapp:/cb", "javascript:alert(1)", "data:text/html,x",
                                      "file:/etc/passwd", "app.:/cb"};
    for (size_t i = 0; i < SP_ARRAY_LEN(bad); i++)
        assert_int_equal(check(bad[i], SP_URI_REDIRECT_PRIVATE), SP_URI_SCHEME);
}

static void plain_http_is_for_loopback_alone(void **state) {
    (void)state;
    static const char *const bad[] = {
        "http://app.example/cb",         "http://127.0.0.2/cb",  "http://localhost.evil.example/cb",
        "http://127.0.0.1.evil.example", "http://[::2]/cb",      "http://0.0.0.0/cb",
        "http://LOCALHOST/cb",           "http:/localhost/cb",   "https:/app.example/cb",
        "http://[::ffff:127.0.0.1]/cb",  "ftp://app.example/cb", "wss://app.example/",
    };
    for (size_t i = 0; i < SP_ARRAY_LEN(bad); i++)
        assert_int_equal(check(bad[i], SP_URI_REDIRECT), SP_URI_SCHEME);
}

static void what_two_readers_could_read_in_two_ways_is_refused(void **state) {
    (void)state;
    static const struct {
        const char *uri;
        enum sp_uri_fault fault;
    } cases[] = {
        {"", SP_URI_MALFORMED},
        {"/cb", SP_URI_MALFORMED},
        {"//app.example/cb", SP_URI_MALFORMED},
        {"https:", SP_URI_MALFORMED},
        {"https://", SP_URI_MALFORMED},
        {"https:///cb", SP_URI_MALFORMED},
        {"HTTPS://app.example/", SP_URI_MALFORMED},
        {" https://app.example/", SP_URI_MALFORMED},
        {"https://app.example/a b", SP_URI_MALFORMED},
        {"https://app.example/\t", SP_URI_MALFORMED},
        {"https://app.example\\@evil.example/", SP_URI_MALFORMED},
        {"https://app.example/\"", SP_URI_MALFORMED},
        {"https://app.example/%2", SP_URI_MALFORMED},
        {"https://app.example/%zz", SP_URI_MALFORMED},
        {"https://app.example/\xc3\xa9", SP_URI_MALFORMED},
        {"https://app.example:/cb", SP_URI_MALFORMED},
        {"https://app.example:0/cb", SP_URI_MALFORMED},
        {"https://app.example:080/cb", SP_URI_MALFORMED},
        {"https://app.example:65536/cb", SP_URI_MALFORMED},
        {"https://app.example:8x/cb", SP_URI_MALFORMED},
        {"https://app%2eexample/cb", SP_URI_MALFORMED},
        {"https://[::1/cb", SP_URI_MALFORMED},
        {"https://[::1]x/cb", SP_URI_MALFORMED},
        {"https://[127.0.0.1]/cb", SP_URI_MALFORMED},
        {"https://[]/cb", SP_URI_MALFORMED},
        {"https://app.example/cb#", SP_URI_FRAGMENT},
        {"https://app.example/cb#x", SP_URI_FRAGMENT},
        {"https://user@app.example/cb", SP_URI_USERINFO},
        {"https://app.example@evil.example/cb", SP_URI_USERINFO},
        {"https://user:pw@app.example/cb", SP_URI_USERINFO},
        {"https://*.example/cb", SP_URI_WILDCARD},
        {"https://app.example/*", SP_URI_WILDCARD},
        {"https://app.example:*/cb", SP_URI_WILDCARD},
    };
    for (size_t i = 0; i < SP_ARRAY_LEN(cases); i++)
        assert_int_equal(check(cases[i].uri, SP_URI_REDIRECT), cases[i].fault);
    assert_int_equal(sp_uri_check(sp_slice_of("https://a\0.example", 18), SP_URI_REDIRECT), SP_URI_MALFORMED);
}

static void audience_is_any_absolute_uri_without_a_fragment(void **state) {
    (void)state;
    static const char *const good[] = {"https://api.example/v1", "http://internal", "urn:example:api",
                                       "api://orders", "spiffe://example/orders"};
    static const char *const bad[] = {"orders", "api", "https://api.example/#x",
                                      "urn:",   ":x",  "https://u@api.example"};
    for (size_t i = 0; i < SP_ARRAY_LEN(good); i++) assert_int_equal(check(good[i], SP_URI_NAME), SP_URI_OK);
    for (size_t i = 0; i < SP_ARRAY_LEN(bad); i++)
        assert_int_not_equal(check(bad[i], SP_URI_NAME), SP_URI_OK);
}

static void uri_is_compared_byte_by_byte(void **state) {
    (void)state;
    static const char registered[] = "https://app.example/cb";
    static const char *const others[] = {
        "",
        "https://app.example/cb/",
        "https://app.example/c",
        "https://app.example/cb?x=1",
        "https://app.example/cb#",
        "https://app.example:443/cb",
        "https://APP.example/cb",
        "https://app.example/%63b",
        "https://app.example/./cb",
        "https://app.example/x/../cb",
        "https://app.example/CB",
        "https://user@app.example/cb",
        "https://app.example.evil.example/cb",
        "https://evil.example/?https://app.example/cb",
        "http://app.example/cb",
        "https://app.example/cb ",
    };
    assert_true(same(registered, registered));
    for (size_t i = 0; i < SP_ARRAY_LEN(others); i++) assert_false(same(registered, others[i]));
    assert_false(same("", ""));
}

static void port_of_a_loopback_address_may_be_another(void **state) {
    (void)state;
    assert_true(same("http://127.0.0.1/cb", "http://127.0.0.1:49152/cb"));
    assert_true(same("http://127.0.0.1:8080/cb", "http://127.0.0.1:49152/cb"));
    assert_true(same("http://127.0.0.1:8080/cb", "http://127.0.0.1/cb"));
    assert_true(same("http://[::1]/cb?x=1", "http://[::1]:49152/cb?x=1"));
    assert_true(same("http://127.0.0.1", "http://127.0.0.1:49152"));

    assert_false(same("http://127.0.0.1/cb", "http://127.0.0.1:49152/cb2"));
    assert_false(same("http://127.0.0.1/cb", "http://127.0.0.1:49152/"));
    assert_false(same("http://127.0.0.1/cb", "http://[::1]:49152/cb"));
    assert_false(same("http://127.0.0.1/cb", "https://127.0.0.1:49152/cb"));
    assert_false(same("http://127.0.0.1/cb", "http://127.0.0.1:0/cb"));
    assert_false(same("http://127.0.0.1/cb", "http://127.0.0.1:/cb"));
    assert_false(same("http://127.0.0.1/cb", "http://127.0.0.1:99999/cb"));
    assert_false(same("http://127.0.0.1/cb", "http://127.0.0.1:80@evil.example/cb"));
    assert_false(same("http://127.0.0.1/cb", "http://127.0.0.1.evil.example/cb"));
    /* names, and anything but http */
    assert_false(same("http://localhost/cb", "http://localhost:49152/cb"));
    assert_false(same("https://127.0.0.1/cb", "https://127.0.0.1:8443/cb"));
    assert_false(same("https://app.example/cb", "https://app.example:8443/cb"));
    assert_false(same("com.example.app://127.0.0.1/cb", "com.example.app://127.0.0.1:1/cb"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(web_addresses_and_loopback_may_be_redirected_to),
        cmocka_unit_test(private_use_schemes_are_for_public_clients_and_have_a_dot),
        cmocka_unit_test(plain_http_is_for_loopback_alone),
        cmocka_unit_test(what_two_readers_could_read_in_two_ways_is_refused),
        cmocka_unit_test(audience_is_any_absolute_uri_without_a_fragment),
        cmocka_unit_test(uri_is_compared_byte_by_byte),
        cmocka_unit_test(port_of_a_loopback_address_may_be_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
