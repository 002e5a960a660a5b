#include "fake.h"

#include "http/cookie.h"

static struct sp_cookie_names names;

static int setup(void **state) {
    (void)state;
    return sp_ok(sp_cookie_names_set(&names, SP_SLICE_EMPTY)) ? 0 : -1;
}

static struct sp_cookies read_all(const char *text) {
    struct sp_cookies c = SP_COOKIES_INIT;
    sp_cookies_read(&names, sp_slice_cstr(text), &c);
    return c;
}

static void finds_ours_among_others(void **state) {
    (void)state;
    struct sp_cookies c = read_all("a=b; __Host-sp_access=AC; theme=\"x;y\"; __Host-sp_refresh=RE");
    assert_int_equal(c.seen[SP_COOKIE_ACCESS], 1);
    assert_true(sp_slice_eq_cstr(c.value[SP_COOKIE_ACCESS], "AC"));
    assert_true(sp_slice_eq_cstr(c.value[SP_COOKIE_REFRESH], "RE"));
    assert_true(sp_cookies_any(&c));
    assert_false(sp_cookies_repeated(&c));
}

static void other_names_are_not_ours(void **state) {
    (void)state;
    static const char *const texts[] = {
        "",
        ";",
        ";;  ; =",
        "__Host-sp_access",
        "__host-sp_access=x",
        "__Host-sp_acces=x",
        "__Host-sp_access2=x",
        "__Secure-sp_access=x",
        "sp_access=x",
        "__Host-sp_access =x",
        "\xE2\x80\x80__Host-sp_access=x",
        "\xC2\xA0__Host-sp_access=x",
        "\x0B__Host-sp_access=x",
        "a=b,__Host-sp_access=x",
        "$Version=1,__Host-sp_access=x",
        "a=\"__Host-sp_access=x\"",
        "==__Host-sp_access=x",
    };
    for (size_t i = 0; i < SP_ARRAY_LEN(texts); i++) {
        struct sp_cookies c = read_all(texts[i]);
        assert_false(sp_cookies_any(&c));
    }
}

static void repeats_are_counted_wherever_they_hide(void **state) {
    (void)state;
    static const char *const texts[] = {
        "__Host-sp_access=a; __Host-sp_access=b",
        "__Host-sp_access=a;__Host-sp_access=a",
        "__Host-sp_access=a;\t __Host-sp_access=",
        "__Host-sp_refresh=; x=\"; __Host-sp_refresh=b; \"",
    };
    for (size_t i = 0; i < SP_ARRAY_LEN(texts); i++) {
        struct sp_cookies c = read_all(texts[i]);
        assert_true(sp_cookies_repeated(&c));
    }
    struct sp_cookies c = read_all("__Host-sp_access=a");
    sp_cookies_read(&names, SP_SLICE_LIT("__Host-sp_access=b"), &c);
    assert_true(sp_cookies_repeated(&c));
}

static void values_are_taken_as_they_stand(void **state) {
    (void)state;
    struct sp_cookies c = read_all("__Host-sp_access=\"a=b\"  ; x");
    assert_true(sp_slice_eq_cstr(c.value[SP_COOKIE_ACCESS], "\"a=b\""));
}

static void writes_only_cookie_octets(void **state) {
    (void)state;
    static const char *const bad[] = {"a;Domain=x", "a b",   "a\r\nSet-Cookie: x=y", "a,b",
                                      "a\\b",       "\"a\"", "caf\xC3\xA9"};
    for (size_t i = 0; i < SP_ARRAY_LEN(bad); i++) {
        SP_AUTO(sp_buf) b = SP_BUF_INIT(4096);
        assert_false(sp_ok(sp_cookie_write(&names, SP_COOKIE_ACCESS, sp_slice_cstr(bad[i]), 1, &b)));
        assert_int_equal(b.n, 0);
    }
    SP_AUTO(sp_buf) b = SP_BUF_INIT(4096);
    assert_true(sp_ok(sp_cookie_write(&names, SP_COOKIE_REFRESH, SP_SLICE_LIT("a.b-c_d~"), 60, &b)));
    const char *text;
    assert_true(sp_ok(sp_buf_cstr(&b, &text)));
    assert_string_equal(text,
                        "__Host-sp_refresh=a.b-c_d~; Path=/; Max-Age=60; HttpOnly; Secure; SameSite=Strict");
    assert_null(strstr(text, "Domain"));
}

static void a_cookie_that_does_not_fit_leaves_nothing(void **state) {
    (void)state;
    SP_AUTO(sp_buf) b = SP_BUF_INIT(40);
    assert_false(sp_ok(sp_cookie_write(&names, SP_COOKIE_ACCESS, SP_SLICE_LIT("value"), 60, &b)));
    assert_int_equal(b.n, 0);
}

static void prefixes(void **state) {
    (void)state;
    struct sp_cookie_names n;
    assert_true(sp_ok(sp_cookie_names_set(&n, SP_SLICE_LIT("__Host-eu_"))));
    assert_true(sp_slice_eq_cstr(SP_TEXT_SLICE(&n.name[SP_COOKIE_ACCESS]), "__Host-eu_sp_access"));
    static const char *const bad[] = {"a b", "a=", "a;", "a\x01", "\xC3\xA9", "a,"};
    for (size_t i = 0; i < SP_ARRAY_LEN(bad); i++) {
        assert_true(sp_is(sp_cookie_names_set(&n, sp_slice_cstr(bad[i])), SP_E_MALFORMED));
    }
    char fat[65];
    memset(fat, 'a', sizeof(fat));
    assert_true(sp_is(sp_cookie_names_set(&n, SP_SLICE_ARRAY(fat)), SP_E_LIMIT));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_ours_among_others),
        cmocka_unit_test(other_names_are_not_ours),
        cmocka_unit_test(repeats_are_counted_wherever_they_hide),
        cmocka_unit_test(values_are_taken_as_they_stand),
        cmocka_unit_test(writes_only_cookie_octets),
        cmocka_unit_test(a_cookie_that_does_not_fit_leaves_nothing),
        cmocka_unit_test(prefixes),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
