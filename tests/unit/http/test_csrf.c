#include "fake.h"

#include "http/csrf.h"
#include "token/refresh_token.h"

static const sp_slice ours[] = {{(const uint8_t *)"https://a.example", 17},
                                {(const uint8_t *)"http://localhost:8080", 21}};

static bool rule(const char *origin, const char *site) {
    const struct sp_origin_headers h = {.has_origin = origin != NULL,
                                        .has_fetch_site = site != NULL,
                                        .origin = sp_slice_cstr(origin),
                                        .fetch_site = sp_slice_cstr(site)};
    return sp_origin_rule(&h, ours, SP_ARRAY_LEN(ours));
}

static void origin_rule(void **state) {
    (void)state;
    assert_true(rule("https://a.example", NULL));
    assert_true(rule("http://localhost:8080", "same-origin"));
    assert_true(rule(NULL, "same-origin"));
    assert_false(rule(NULL, NULL));
    assert_false(rule("https://a.example", "cross-site"));
    assert_false(rule("https://a.example", "same-site"));
    assert_false(rule("https://a.example", "none"));
    assert_false(rule("https://a.example", ""));
    assert_false(rule("https://a.example", "Same-Origin"));
    assert_false(rule("null", "same-origin"));
    assert_false(rule("", "same-origin"));
    assert_false(rule("http://a.example", NULL));
    assert_false(rule("https://a.example.evil", NULL));
    assert_false(rule("https://a.exampl", NULL));
    assert_false(rule("http://localhost", NULL));
    const struct sp_origin_headers h = {.has_origin = true, .origin = SP_SLICE_LIT("https://a.example")};
    assert_false(sp_origin_rule(&h, NULL, 0));
}

static void safe_methods_are_exact(void **state) {
    (void)state;
    assert_true(sp_method_is_safe(SP_SLICE_LIT("GET")));
    assert_true(sp_method_is_safe(SP_SLICE_LIT("HEAD")));
    assert_true(sp_method_is_safe(SP_SLICE_LIT("OPTIONS")));
    assert_false(sp_method_is_safe(SP_SLICE_LIT("get")));
    assert_false(sp_method_is_safe(SP_SLICE_LIT("GET ")));
    assert_false(sp_method_is_safe(SP_SLICE_LIT("POST")));
    assert_false(sp_method_is_safe(SP_SLICE_EMPTY));
}

/* Holds the layout that we read against the codec that writes it. */
static void the_sid_of_a_refresh_token_is_where_the_codec_puts_it(void **state) {
    (void)state;
    uint8_t secret[SP_REFRESH_KEY_BYTES] = {1};
    struct sp_refresh_key key;
    sp_refresh_key_init(&key, 7, secret);
    struct sp_refresh_token token = {.key_id = 7, .generation = 3};
    for (size_t i = 0; i < sizeof(token.sid.b); i++) token.sid.b[i] = (uint8_t)(i + 1);
    char text[SP_REFRESH_CHARS];
    sp_refresh_token_encode(&token, &key, text);
    uint8_t sid[SP_REFRESH_SID_BYTES];
    assert_true(sp_ok(sp_refresh_text_sid(SP_SLICE_ARRAY(text), sid)));
    assert_memory_equal(sid, token.sid.b, sizeof(sid));
    assert_false(sp_ok(sp_refresh_text_sid(sp_slice_of(text, sizeof(text) - 1), sid)));
    assert_false(sp_ok(sp_refresh_text_sid(sp_slice_of(text + 1, sizeof(text) - 1), sid)));
    assert_false(sp_ok(sp_refresh_text_sid(SP_SLICE_EMPTY, sid)));
    text[40] = '=';
    assert_false(sp_ok(sp_refresh_text_sid(SP_SLICE_ARRAY(text), sid)));
    sp_refresh_key_done(&key);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(origin_rule),
        cmocka_unit_test(safe_methods_are_exact),
        cmocka_unit_test(the_sid_of_a_refresh_token_is_where_the_codec_puts_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
