#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "http/forwarded.h"

/* Proxies 10.0.0.0/8 and 2001:db8:aa::/48. */
static const char *client(const char *peer, const char *first, const char *second) {
    static char text[SP_IP_TEXT_BYTES];
    struct sp_cidr proxies[2];
    sp_ip ip;
    assert_int_equal(sp_cidr_parse(SP_SLICE_LIT("10.0.0.0/8"), &proxies[0]).code, SP_OK);
    assert_int_equal(sp_cidr_parse(SP_SLICE_LIT("2001:db8:aa::/48"), &proxies[1]).code, SP_OK);
    assert_int_equal(sp_ip_parse(sp_slice_cstr(peer), &ip).code, SP_OK);
    const sp_slice lines[] = {sp_slice_cstr(first), sp_slice_cstr(second)};
    const size_t n = (first != NULL) + (second != NULL);
    ip = sp_forwarded_client(ip, lines, n, proxies, SP_ARRAY_LEN(proxies));
    sp_ip_text(&ip, text);
    return text;
}

static void a_proxys_word_is_taken(void **state) {
    (void)state;
    assert_string_equal(client("10.0.0.1", "192.0.2.7", NULL), "192.0.2.7");
    assert_string_equal(client("10.0.0.1", "192.0.2.7, 10.0.0.2", NULL), "192.0.2.7");
    assert_string_equal(client("10.0.0.1", "192.0.2.7\t,10.0.0.2 , 10.3.2.1", NULL), "192.0.2.7");
    assert_string_equal(client("10.0.0.1", "192.0.2.7", "10.0.0.2"), "192.0.2.7");
    assert_string_equal(client("::ffff:10.0.0.1", "::ffff:192.0.2.7", NULL), "192.0.2.7");
    assert_string_equal(client("2001:db8:aa::1", "2001:db8:bb::1", NULL), "2001:db8:bb::1");
}

static void nobody_else_is_believed(void **state) {
    (void)state;
    assert_string_equal(client("192.0.2.9", "203.0.113.1", NULL), "192.0.2.9");
    assert_string_equal(client("192.0.2.9", "10.0.0.1", NULL), "192.0.2.9");
    assert_string_equal(client("11.0.0.1", "203.0.113.1", NULL), "11.0.0.1");
    assert_string_equal(client("2001:db8:ab::1", "203.0.113.1", NULL), "2001:db8:ab::1");
}

/* What the client wrote stands to the left of what the proxy saw. */
static void spoofed_entries_are_not_reached(void **state) {
    (void)state;
    assert_string_equal(client("10.0.0.1", "203.0.113.1, 192.0.2.7", NULL), "192.0.2.7");
    assert_string_equal(client("10.0.0.1", "10.9.9.9, 192.0.2.7", NULL), "192.0.2.7");
    assert_string_equal(client("10.0.0.1", "garbage, ,,, 192.0.2.7", NULL), "192.0.2.7");
    assert_string_equal(client("10.0.0.1", "203.0.113.1", "192.0.2.7"), "192.0.2.7");
    assert_string_equal(client("10.0.0.1", "127.0.0.1, 192.0.2.7, 10.0.0.2", NULL), "192.0.2.7");
}

static void malformed_word_of_a_proxy_leaves_the_peer(void **state) {
    (void)state;
    static const char *const bad[] = {
        "",        "unknown", "192.0.2.7:443", "[2001:db8::1]", "192.0.2.7,", "192.0.2.7 x",
        "_hidden", "192.0.2", "for=192.0.2.7", "fe80::1%1"};
    for (size_t i = 0; i < SP_ARRAY_LEN(bad); i++)
        assert_string_equal(client("10.0.0.1", bad[i], NULL), "10.0.0.1");
    assert_string_equal(client("10.0.0.1", "192.0.2.7, garbage, 10.0.0.2", NULL), "10.0.0.1");
}

static void without_the_header_and_from_inside(void **state) {
    (void)state;
    assert_string_equal(client("10.0.0.1", NULL, NULL), "10.0.0.1");
    assert_string_equal(client("10.0.0.1", "10.0.0.3, 10.0.0.2", NULL), "10.0.0.3");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_proxys_word_is_taken),
        cmocka_unit_test(nobody_else_is_believed),
        cmocka_unit_test(spoofed_entries_are_not_reached),
        cmocka_unit_test(malformed_word_of_a_proxy_leaves_the_peer),
        cmocka_unit_test(without_the_header_and_from_inside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
