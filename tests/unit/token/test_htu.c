#include "forge.h"
#include "token/htu.h"

static void assert_form(const char *url, const char *wanted) {
    uint8_t out[SP_HTU_BYTES_MAX];
    size_t n = 0;
    sp_status s = sp_htu_normalize(sp_slice_cstr(url), out, &n);
    if (wanted == NULL) {
        assert_status(s, SP_E_MALFORMED);
        return;
    }
    assert_status(s, SP_OK);
    assert_int_equal(n, strlen(wanted));
    assert_memory_equal(out, wanted, n);
}

static void spellings_of_one_url_have_one_form(void **state) {
    (void)state;
    assert_form("https://a.example/b", "https://a.example/b");
    assert_form("HTTPS://A.Example/B", "https://a.example/B");
    assert_form("https://a.example", "https://a.example/");
    assert_form("https://a.example:443/b", "https://a.example/b");
    assert_form("https://a.example:/b", "https://a.example/b");
    assert_form("http://a.example:80/b", "http://a.example/b");
    assert_form("http://a.example:8420/b", "http://a.example:8420/b");
    assert_form("https://a.example/b?c=d#e", "https://a.example/b");
    assert_form("https://a.example/b#e?c", "https://a.example/b");
    assert_form("https://a.example?c", "https://a.example/");
    assert_form("https://a.example/%7euser%2fx%e2%82%ac", "https://a.example/~user%2Fx%E2%82%AC");
    assert_form("http://[::1]:8420/b", "http://[::1]:8420/b");
    assert_form("https://[2001:DB8::1]/b", "https://[2001:db8::1]/b");
    assert_form("https://a.example/b;c=d,e:@&=+$!*'()", "https://a.example/b;c=d,e:@&=+$!*'()");
}

static void other_urls_have_other_forms(void **state) {
    (void)state;
    assert_form("https://a.example./b", "https://a.example./b");
    assert_form("https://a.example/b/", "https://a.example/b/");
    assert_form("https://a.example//b", "https://a.example//b");
    assert_form("http://a.example:443/b", "http://a.example:443/b");
    assert_form("https://a.example:80/b", "https://a.example:80/b");
    assert_form("https://a.example/%3Fb", "https://a.example/%3Fb");     /* not a query */
    assert_form("https://a.example/%25%37e", "https://a.example/%257e"); /* undone once, not twice */
    assert_form("https://a.example/.b/..c/...", "https://a.example/.b/..c/...");
}

static void what_reads_in_two_ways_has_no_form(void **state) {
    (void)state;
    static const char *const bad[] = {"",
                                      "/b",
                                      "a.example/b",
                                      "ftp://a.example/b",
                                      "https:/a.example/b",
                                      "https:a.example",
                                      "//a.example/b",
                                      "https://",
                                      "https:///b",
                                      "https://:443/b",
                                      "https://user@a.example/b",
                                      "https://user:pw@a.example/b",
                                      "https://a.example@evil.example/b",
                                      "https://a.example:65536/b",
                                      "https://a.example:0/b",
                                      "https://a.example:0443/b",
                                      "https://a.example:4 43/b",
                                      "https://a.example:443:443/b",
                                      "https://a%2eexample/b",
                                      "https://a_b c/d",
                                      "https://a.example\\b",
                                      "https://a.example/b\\c",
                                      "https://a.example/.",
                                      "https://a.example/..",
                                      "https://a.example/./b",
                                      "https://a.example/b/../c",
                                      "https://a.example/%2e/b",
                                      "https://a.example/%2E%2e/b",
                                      "https://a.example/.%2e",
                                      "https://a.example/b c",
                                      "https://a.example/b%",
                                      "https://a.example/b%2",
                                      "https://a.example/b%zz",
                                      "https://a.example/b%00",
                                      "https://a.example/\xc3\xa9",
                                      "https://\xc3\xa9.example/",
                                      "https://a.example/b\n",
                                      " https://a.example/b",
                                      "https://a.example/\x7f",
                                      "https://[::1/b",
                                      "https://[]/b",
                                      "https://::1/b",
                                      "https://[::1]x/b",
                                      "https://x[::1]/b",
                                      "https://[::1%25eth0]/b",
                                      "https://../b",
                                      "https://./b",
                                      "https://.a.example/b",
                                      "https://a..example/b",
                                      "https://a.example../b",
                                      "https://a.example,b.example/"};
    for (size_t i = 0; i < SP_ARRAY_LEN(bad); i++) assert_form(bad[i], NULL);
    uint8_t out[SP_HTU_BYTES_MAX];
    size_t n = 0;
    assert_status(sp_htu_normalize(SP_SLICE_LIT("https://a.example/b\0c"), out, &n), SP_E_MALFORMED);
    assert_status(sp_htu_normalize(SP_SLICE_LIT("https://a.example\0/b"), out, &n), SP_E_MALFORMED);
    assert_status(sp_htu_normalize(SP_SLICE_EMPTY, out, &n), SP_E_MALFORMED);
}

static void longest_form_fits_exactly(void **state) {
    (void)state;
    static char url[SP_HTU_BYTES_MAX + 64];
    uint8_t out[SP_HTU_BYTES_MAX];
    size_t n = 0;
    memset(url, 'b', sizeof url);
    memcpy(url, "https://a.example/", 18);
    assert_status(sp_htu_normalize(sp_slice_of(url, SP_HTU_BYTES_MAX), out, &n), SP_OK);
    assert_int_equal(n, SP_HTU_BYTES_MAX);
    assert_status(sp_htu_normalize(sp_slice_of(url, SP_HTU_BYTES_MAX + 1), out, &n), SP_E_LIMIT);
    url[100] = '?'; /* what is cut off may be as long as it likes */
    assert_status(sp_htu_normalize(SP_SLICE_ARRAY(url), out, &n), SP_OK);
    assert_int_equal(n, 100);
}

static void form_of_a_form_is_itself(void **state) {
    (void)state;
    static const char *const urls[] = {"HTTPS://A.example:443/%7e%2f?x", "http://[::A]:1/",
                                       "https://a.example:"};
    for (size_t i = 0; i < SP_ARRAY_LEN(urls); i++) {
        uint8_t once[SP_HTU_BYTES_MAX], twice[SP_HTU_BYTES_MAX];
        size_t n = 0, m = 0;
        assert_status(sp_htu_normalize(sp_slice_cstr(urls[i]), once, &n), SP_OK);
        assert_status(sp_htu_normalize(sp_slice_of(once, n), twice, &m), SP_OK);
        assert_int_equal(n, m);
        assert_memory_equal(once, twice, n);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spellings_of_one_url_have_one_form), cmocka_unit_test(other_urls_have_other_forms),
        cmocka_unit_test(what_reads_in_two_ways_has_no_form), cmocka_unit_test(longest_form_fits_exactly),
        cmocka_unit_test(form_of_a_form_is_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
