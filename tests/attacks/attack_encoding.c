/* One token, one text: padding, other alphabets, white space, trailing bits, invalid UTF-8, byte order marks.
 */
#include "forge.h"

static uint8_t text[FORGE_TOKEN_MAX];

/* The good token with `insert` put before offset `at`. */
static sp_slice with_inserted(sp_slice token, size_t at, sp_slice insert) {
    memcpy(text, token.p, at);
    memcpy(text + at, insert.p, insert.n);
    memcpy(text + at + insert.n, token.p + at, token.n - at);
    return sp_slice_of(text, token.n + insert.n);
}

static size_t dot(sp_slice token, int which) {
    size_t at = 0;
    for (; at < token.n; at++)
        if (token.p[at] == '.' && which-- == 0) break;
    return at;
}

static void nothing_may_stand_around_or_inside_the_segments(void **state) {
    (void)state;
    static const sp_slice inserts[] = {
        SP_SLICE_LIT(" "),        SP_SLICE_LIT("\n"), SP_SLICE_LIT("\r\n"), SP_SLICE_LIT("\t"),
        SP_SLICE_LIT("="),        SP_SLICE_LIT("=="), SP_SLICE_LIT("\0"),   SP_SLICE_LIT("\xef\xbb\xbf"),
        SP_SLICE_LIT("+"),        SP_SLICE_LIT("/"),  SP_SLICE_LIT("%2E"),  SP_SLICE_LIT("\xff"),
        SP_SLICE_LIT("\xc2\xa0"), SP_SLICE_LIT("*"),  SP_SLICE_LIT("\"")};
    sp_slice token = forge_token(SP_ALG_ES256, FORGE_CLAIMS);
    const size_t places[] = {0,      1, dot(token, 0), dot(token, 0) + 1, dot(token, 1), dot(token, 1) + 1,
                             token.n};
    for (size_t i = 0; i < SP_ARRAY_LEN(inserts); i++)
        for (size_t p = 0; p < SP_ARRAY_LEN(places); p++)
            forge_assert_refused(with_inserted(token, places[p], inserts[i]), "not_canonical");
}

static void more_or_fewer_segments_are_refused(void **state) {
    (void)state;
    sp_slice token = forge_token(SP_ALG_ES256, FORGE_CLAIMS);
    forge_assert_refused(with_inserted(token, token.n, SP_SLICE_LIT(".")), "malformed");
    forge_assert_refused(with_inserted(token, token.n, SP_SLICE_LIT(".e30")), "malformed");
    forge_assert_refused(with_inserted(token, 0, SP_SLICE_LIT(".")), "malformed");
    forge_assert_refused(with_inserted(token, dot(token, 0), SP_SLICE_LIT(".")), "malformed");
    forge_assert_refused(SP_SLICE_EMPTY, "malformed");
    forge_assert_refused(SP_SLICE_LIT("."), "malformed");
    forge_assert_refused(SP_SLICE_LIT(".."), "malformed");
    forge_assert_refused(SP_SLICE_LIT("..."), "malformed");
    forge_assert_refused(SP_SLICE_LIT("e30"), "malformed");
}

/* The last character of an ES256 signature carries four unused bits: 16 texts for one signature, one of them
 * canonical. */
static void trailing_bits_are_refused(void **state) {
    (void)state;
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    sp_slice token = forge_token(SP_ALG_ES256, FORGE_CLAIMS);
    memcpy(text, token.p, token.n);
    const char *last = strchr(alphabet, text[token.n - 1]);
    assert_non_null(last);
    for (int bits = 1; bits < 16; bits++) {
        text[token.n - 1] = (uint8_t)alphabet[(last - alphabet) | bits];
        forge_assert_refused(sp_slice_of(text, token.n), "not_canonical");
    }
}

static void standard_base64_is_refused(void **state) {
    (void)state;
    /* One of three question marks is a '_', wherever they stand: not every signature has one. */
    sp_slice token = forge_token(
        SP_ALG_RS256,
        "{\"iss\":\"https://issuer.example\",\"aud\":\"api\",\"sub\":\"???\",\"exp\":1700000900}");
    assert_reject(forge_check(token), "ok");
    memcpy(text, token.p, token.n);
    for (size_t i = 0; i < token.n; i++) text[i] = text[i] == '-' ? '+' : text[i] == '_' ? '/' : text[i];
    assert_memory_not_equal(text, token.p, token.n);
    forge_assert_refused(sp_slice_of(text, token.n), "not_canonical");
}

static void headers_that_are_not_strict_json_are_refused(void **state) {
    (void)state;
    static const char *const headers[] = {
        "\xef\xbb\xbf{\"alg\":\"ES256\",\"kid\":\"ES256\",\"typ\":\"at+jwt\"}",
        "{\"alg\":\"ES256\",\"kid\":\"ES256\",\"typ\":\"at+jwt\"} x",
        "{\"alg\":\"ES256\",\"kid\":\"ES256\",\"typ\":\"at+jwt\"}{}",
        "{\"alg\":\"ES256\",\"kid\":\"ES256\",\"typ\":\"at+jwt\",}",
        "{'alg':'ES256','kid':'ES256','typ':'at+jwt'}",
        "{\"alg\":\"ES256\",\"kid\":\"ES256\",\"typ\":\"at+jwt\" /* c */}",
        "{\"alg\":\"ES256\",\"kid\":\"ES256\",\"typ\":\"at+jwt\",\"x\":\"\xff\"}",
        "{\"alg\":\"ES256\",\"kid\":\"ES256\",\"typ\":\"at+jwt\",\"x\":\"\xed\xa0\x80\"}",
        "{\"alg\":\"ES256\",\"kid\":\"ES256\",\"typ\":\"at+jwt\",\"x\":\"\\ud800\"}",
        "{\"alg\":\"ES256\",\"kid\":\"ES256\",\"typ\":\"at+jwt\",\"x\":\"\xc0\x80\"}",
        "{\"alg\":\"ES256\",\"kid\":\"ES256\",\"typ\":\"at+jwt\",\"x\":\"\n\"}",
        "[{\"alg\":\"ES256\",\"kid\":\"ES256\",\"typ\":\"at+jwt\"}]",
        "\"ES256\"",
        "null",
        "{",
        " ",
    };
    for (size_t i = 0; i < SP_ARRAY_LEN(headers); i++)
        forge_assert_refused(forge_sign(SP_ALG_ES256, headers[i], FORGE_CLAIMS), "bad_header");
}

static void payloads_that_are_not_one_object_are_refused(void **state) {
    (void)state;
    static const char *const payloads[] = {"",
                                           "[]",
                                           "null",
                                           "\"x\"",
                                           "1",
                                           "{}{}",
                                           "{\"exp\":1700000900",
                                           "\xef\xbb\xbf{\"exp\":1700000900}",
                                           "{\"exp\":1700000900,\"x\":\"\xff\"}",
                                           "{\"exp\":1700000900,\"x\":\"\\udc00\"}",
                                           "foo"};
    for (size_t i = 0; i < SP_ARRAY_LEN(payloads); i++)
        assert_reject(forge_check(forge_token(SP_ALG_HS256, payloads[i])), "bad_payload");
}

static void nul_inside_the_json_is_refused(void **state) {
    (void)state;
    sp_slice header = SP_SLICE_LIT("{\"alg\":\"HS256\",\"kid\":\"HS256\",\"typ\":\"at+jwt\"}");
    sp_slice payload = SP_SLICE_LIT("{\"exp\":1700000900}\0{\"exp\":1}");
    assert_reject(forge_check(forge_sign_slices(SP_ALG_HS256, forge.keys[SP_ALG_HS256], header, payload)),
                  "bad_payload");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_may_stand_around_or_inside_the_segments),
        cmocka_unit_test(more_or_fewer_segments_are_refused),
        cmocka_unit_test(trailing_bits_are_refused),
        cmocka_unit_test(standard_base64_is_refused),
        cmocka_unit_test(headers_that_are_not_strict_json_are_refused),
        cmocka_unit_test(payloads_that_are_not_one_object_are_refused),
        cmocka_unit_test(nul_inside_the_json_is_refused),
    };
    return cmocka_run_group_tests(tests, forge_setup, forge_teardown);
}
