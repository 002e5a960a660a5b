#include "fake.h"

#include "http/percent.h"

static sp_status decode(const char *in, enum sp_percent_part part, char out[64]) {
    size_t n;
    SP_TRY(sp_percent_decode(sp_slice_cstr(in), part, (uint8_t *)out, &n));
    out[n] = '\0';
    return SP_SUCCESS;
}

static void decodes_what_an_encoder_writes(void **state) {
    (void)state;
    char out[64];
    assert_true(sp_ok(decode("a%20b%40c%3A:@", SP_PERCENT_SEGMENT, out)));
    assert_string_equal(out, "a b@c::@");
    assert_true(sp_ok(decode("%E2%82%AC", SP_PERCENT_SEGMENT, out)));
    assert_string_equal(out, "\xE2\x82\xAC");
    assert_true(sp_ok(decode("a%2Fb/c", SP_PERCENT_QUERY_VALUE, out)));
    assert_string_equal(out, "a/b/c");
    assert_true(sp_ok(decode("a%2Bb", SP_PERCENT_QUERY_VALUE, out)));
    assert_string_equal(out, "a+b");
}

static void refuses_every_other_spelling(void **state) {
    (void)state;
    char out[64];
    static const char *const bad[] = {
        "%",   "%4",     "%4g",      "%GG",      "%41",    "%7E",  "%2d",  "%00",    "%1F",
        "%7F", "%5C",    "%2F",      "a b",      "\"",     "<",    "a\\b", "%C0%80", "%ED%A0%80",
        "%FF", "%C2%85", "\xC3\xA9", "a%0D%0Ab", "%c3%a9", "%%41", "% 41", "a#b"};
    for (size_t i = 0; i < SP_ARRAY_LEN(bad); i++) {
        assert_true(sp_is(decode(bad[i], SP_PERCENT_SEGMENT, out), SP_E_MALFORMED));
    }
    static const char *const query[] = {"a+b", "a&b", "a#b", "%41", "%5C", "%00"};
    for (size_t i = 0; i < SP_ARRAY_LEN(query); i++) {
        assert_true(sp_is(decode(query[i], SP_PERCENT_QUERY_VALUE, out), SP_E_MALFORMED));
    }
}

static void valid_paths_are_those_that_decode(void **state) {
    (void)state;
    static const char *const good[] = {"/", "/a", "/a/", "/.well-known/jwks.json", "/a/%20", "/...", "/.a"};
    static const char *const bad[] = {"",       "a",      "*",      "/.",      "/..",  "/a/../b",
                                      "/a/./b", "/a%2Fb", "/a%5cb", "/%2E%2E", "/a b", "/a?b"};
    for (size_t i = 0; i < SP_ARRAY_LEN(good); i++)
        assert_true(sp_percent_path_valid(sp_slice_cstr(good[i])));
    for (size_t i = 0; i < SP_ARRAY_LEN(bad); i++) assert_false(sp_percent_path_valid(sp_slice_cstr(bad[i])));
}

static void encodes_words(void **state) {
    (void)state;
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"", "-"},          {"-", "%2D"},           {"- -", "- -"},   {"a:b *", "a:b *"},    {"a/b", "a%2Fb"},
        {"\r\n", "%0D%0A"}, {"\xC3\xBF", "%C3%BF"}, {"%41", "%2541"}, {"a;b=c", "a%3Bb%3Dc"}};
    for (size_t i = 0; i < SP_ARRAY_LEN(cases); i++) {
        SP_AUTO(sp_buf) b = SP_BUF_INIT(64);
        assert_true(sp_ok(sp_percent_encode_words(sp_slice_cstr(cases[i].in), &b)));
        assert_true(sp_slice_eq_cstr(sp_buf_slice(&b), cases[i].out));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decodes_what_an_encoder_writes),
        cmocka_unit_test(refuses_every_other_spelling),
        cmocka_unit_test(valid_paths_are_those_that_decode),
        cmocka_unit_test(encodes_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
