#include "check.h"

#include "base/ip.h"

static sp_ip ip_of(const char *text) {
    sp_ip ip;
    assert_ok(sp_ip_parse(sp_slice_cstr(text), &ip));
    return ip;
}

static void addresses_have_one_value_and_one_text(void **state) {
    (void)state;
    static const struct {
        const char *in, *out;
    } cases[] = {{"192.0.2.1", "192.0.2.1"},
                 {"::ffff:192.0.2.1", "192.0.2.1"},
                 {"::FFFF:c000:201", "192.0.2.1"},
                 {"2001:DB8::0:1", "2001:db8::1"},
                 {"::", "::"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[SP_IP_TEXT_BYTES];
        sp_ip ip = ip_of(cases[i].in);
        sp_ip_text(&ip, text);
        assert_string_equal(text, cases[i].out);
    }
}

static void what_merely_looks_like_an_address_is_refused(void **state) {
    (void)state;
    static const char *const bad[] = {"",         "127.1",     "1.2.3.4.5",   "1.2.3.256", "01.2.3.4",
                                      " 1.2.3.4", "1.2.3.4 ",  "1.2.3.4:80",  "[::1]",     "fe80::1%eth0",
                                      "unknown",  "_obscured", "1:2:3:4:5:6", "::g",       "0x7f.0.0.1"};
    sp_ip ip;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_code(sp_ip_parse(sp_slice_cstr(bad[i]), &ip), SP_E_MALFORMED);
    assert_code(sp_ip_parse(SP_SLICE_LIT("1.2.3.4\0"), &ip), SP_E_MALFORMED);
    char longest[100];
    memset(longest, '1', sizeof(longest));
    assert_code(sp_ip_parse(SP_SLICE_ARRAY(longest), &ip), SP_E_MALFORMED);
}

static bool has(const char *block, const char *address) {
    struct sp_cidr c;
    sp_ip ip = ip_of(address);
    assert_ok(sp_cidr_parse(sp_slice_cstr(block), &c));
    return sp_cidr_has(&c, &ip);
}

static void block_has_its_addresses_and_no_neighbour(void **state) {
    (void)state;
    assert_true(has("10.0.0.0/8", "10.255.255.255"));
    assert_false(has("10.0.0.0/8", "11.0.0.0"));
    assert_false(has("10.0.0.0/8", "9.255.255.255"));
    assert_true(has("192.0.2.128/25", "192.0.2.128"));
    assert_false(has("192.0.2.128/25", "192.0.2.127"));
    assert_true(has("192.0.2.1", "::ffff:192.0.2.1"));
    assert_false(has("192.0.2.1", "192.0.2.2"));
    assert_true(has("2001:db8::/33", "2001:db8:7fff::1"));
    assert_false(has("2001:db8::/33", "2001:db8:8000::1"));
    assert_true(has("0.0.0.0/0", "8.8.8.8"));
    assert_false(has("0.0.0.0/0", "2001:db8::1"));
    assert_true(has("::/0", "8.8.8.8"));
}

static void block_with_a_typing_error_is_refused(void **state) {
    (void)state;
    static const char *const bad[] = {"",          "10.0.0.0/33",     "10.0.0.0/",    "10.0.0.0/8/8",
                                      "/8",        "10.0.0.0/-1",     "10.0.0.0/08",  "10.0.0.1/8",
                                      "::1/129",   "2001:db8::1/64",  "10.0.0.0/8 ",  "proxy.example",
                                      "10.0.0/24", "192.0.2.129/25x", "10.0.0.0/0x08"};
    struct sp_cidr c;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_code(sp_cidr_parse(sp_slice_cstr(bad[i]), &c), SP_E_MALFORMED);
}

static void this_machine_is_told_from_names_that_begin_like_it(void **state) {
    (void)state;
    static const char *const here[] = {"localhost",     "localhost:8080",  "localhost/x", "127.0.0.1",
                                       "127.0.0.1:443", "127.8.9.10/path", "[::1]",       "[::1]:8080"};
    static const char *const elsewhere[] = {"",
                                            "localhost.example.com",
                                            "localhost.",
                                            "localhostess",
                                            "127.0.0.1.example.com",
                                            "127.0.0.1.",
                                            "127.0.0.256",
                                            "127.1",
                                            "[::1].example.com",
                                            "[::2]",
                                            "::1",
                                            "128.0.0.1",
                                            "0.0.0.0:80",
                                            ":8080",
                                            "user@127.0.0.1"};
    for (size_t i = 0; i < sizeof(here) / sizeof(here[0]); i++)
        assert_true(sp_host_is_loopback(sp_slice_cstr(here[i])));
    for (size_t i = 0; i < sizeof(elsewhere) / sizeof(elsewhere[0]); i++)
        assert_false(sp_host_is_loopback(sp_slice_cstr(elsewhere[i])));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_have_one_value_and_one_text),
        cmocka_unit_test(what_merely_looks_like_an_address_is_refused),
        cmocka_unit_test(block_has_its_addresses_and_no_neighbour),
        cmocka_unit_test(block_with_a_typing_error_is_refused),
        cmocka_unit_test(this_machine_is_told_from_names_that_begin_like_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
