#include "forge.h"

#include "crypto/digest.h"

#define P256_X "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"
#define P256_Y "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"
#define P256 "\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" P256_X "\",\"y\":\"" P256_Y "\""

static sp_status parse_one(const char *json, struct sp_jwk *ret) {
    return sp_jwk_parse(sp_slice_cstr(json), SP_JWK_WITH_SECRETS, ret);
}

static void assert_one(const char *json, enum sp_code wanted) {
    struct sp_jwk jwk = {.key = NULL};
    assert_status(parse_one(json, &jwk), wanted);
    if (wanted == SP_OK) sp_jwk_done(&jwk);
}

static void key_without_alg_serves_those_of_its_type(void **state) {
    (void)state;
    struct sp_jwk jwk;
    assert_status(parse_one("{" P256 "}", &jwk), SP_OK);
    assert_int_equal(jwk.algs, SP_ALG_BIT(SP_ALG_ES256));
    assert_false(jwk.has_kid);
    sp_jwk_done(&jwk);
}

static void alg_use_and_key_ops_are_honoured(void **state) {
    (void)state;
    assert_one("{" P256 ",\"alg\":\"ES256\",\"use\":\"sig\",\"key_ops\":[\"verify\"]}", SP_OK);
    assert_one("{" P256 ",\"key_ops\":[\"sign\",\"verify\"]}", SP_OK);
    assert_one("{" P256 ",\"alg\":\"RS256\"}", SP_E_UNSUPPORTED);
    assert_one("{" P256 ",\"alg\":\"HS256\"}", SP_E_UNSUPPORTED);
    assert_one("{" P256 ",\"alg\":\"ES512\"}", SP_E_UNSUPPORTED);
    assert_one("{" P256 ",\"alg\":null}", SP_E_UNSUPPORTED);
    assert_one("{" P256 ",\"use\":\"enc\"}", SP_E_UNSUPPORTED);
    assert_one("{" P256 ",\"use\":1}", SP_E_UNSUPPORTED);
    assert_one("{" P256 ",\"key_ops\":[\"sign\"]}", SP_E_UNSUPPORTED);
    assert_one("{" P256 ",\"key_ops\":[]}", SP_E_UNSUPPORTED);
    assert_one("{" P256 ",\"key_ops\":\"verify\"}", SP_E_MALFORMED);
}

static void malformed_keys_are_told_from_unsupported_ones(void **state) {
    (void)state;
    assert_one("{}", SP_E_MALFORMED);
    assert_one("[]", SP_E_MALFORMED);
    assert_one("{\"kty\":1}", SP_E_MALFORMED);
    assert_one("{\"kty\":\"ec\"}", SP_E_UNSUPPORTED);
    assert_one("{\"kty\":\"EC\",\"crv\":\"P-384\",\"x\":\"AA\",\"y\":\"AA\"}", SP_E_UNSUPPORTED);
    assert_one("{\"kty\":\"EC\",\"x\":\"" P256_X "\",\"y\":\"" P256_Y "\"}", SP_E_MALFORMED);
    assert_one("{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" P256_X "\"}", SP_E_MALFORMED);
    assert_one("{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" P256_X "=\",\"y\":\"" P256_Y "\"}", SP_E_LIMIT);
    assert_one("{\"kty\":\"OKP\",\"crv\":\"X25519\",\"x\":\"AA\"}", SP_E_UNSUPPORTED);
    assert_one("{" P256 ",\"kid\":7}", SP_E_MALFORMED);
    assert_one("{" P256 ",\"x\":\"" P256_X "\"}", SP_E_CONFLICT);
}

static void kid_beyond_its_maximum_is_a_limit(void **state) {
    (void)state;
    char json[1024], kid[SP_KID_BYTES_MAX + 2];
    memset(kid, 'k', sizeof kid);
    kid[SP_KID_BYTES_MAX + 1] = 0;
    snprintf(json, sizeof json, "{" P256 ",\"kid\":\"%s\"}", kid);
    assert_one(json, SP_E_LIMIT);
    kid[SP_KID_BYTES_MAX] = 0;
    snprintf(json, sizeof json, "{" P256 ",\"kid\":\"%s\"}", kid);
    assert_one(json, SP_OK);
}

static void private_members_are_not_looked_at(void **state) {
    (void)state;
    struct sp_jwk jwk;
    assert_status(parse_one("{" P256 ",\"d\":\"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI\"}", &jwk), SP_OK);
    assert_false(sp_sig_key_can_sign(jwk.key));
    sp_jwk_done(&jwk);
}

static void set_leaves_out_what_it_cannot_use(void **state) {
    (void)state;
    struct sp_jwks set = SP_JWKS_INIT;
    sp_slice json = SP_SLICE_LIT("{\"keys\":[{" P256 ",\"kid\":\"a\"},7,null,{\"kty\":\"EC\"},{" P256
                                 ",\"use\":\"enc\"},{" P256 ",\"kid\":\"b\"}],\"x\":1}");
    assert_status(sp_jwks_parse(json, SP_JWK_PUBLIC_ONLY, &set), SP_OK);
    assert_int_equal(set.n, 2);
    assert_int_equal(set.skipped, 4);
    sp_jwks_done(&set);
}

static void set_that_is_no_set_is_refused_whole(void **state) {
    (void)state;
    static const char *const bad[] = {"",
                                      "[]",
                                      "{}",
                                      "{\"keys\":{}}",
                                      "{\"keys\":[]",
                                      "{\"keys\":[{" P256 "}]}x",
                                      "null",
                                      "{\"keys\":[{" P256 "}],\"keys\":[]}"};
    struct sp_jwks set = SP_JWKS_INIT;
    for (size_t i = 0; i < SP_ARRAY_LEN(bad); i++)
        assert_false(sp_ok(sp_jwks_parse(sp_slice_cstr(bad[i]), SP_JWK_PUBLIC_ONLY, &set)));
    assert_null(set.keys);
    assert_status(sp_jwks_parse(SP_SLICE_LIT("{\"keys\":[]}"), SP_JWK_PUBLIC_ONLY, &set), SP_OK);
    assert_int_equal(set.n, 0);
    sp_jwks_done(&set);
}

static void bare_key_is_a_set_of_one(void **state) {
    (void)state;
    struct sp_jwks set = SP_JWKS_INIT;
    assert_status(sp_jwks_parse(SP_SLICE_LIT("{" P256 "}"), SP_JWK_PUBLIC_ONLY, &set), SP_OK);
    assert_int_equal(set.n, 1);
    sp_jwks_done(&set);
}

static void set_with_too_many_keys_is_refused(void **state) {
    (void)state;
    static char json[SP_JWKS_BYTES_MAX];
    struct sp_jwks set = SP_JWKS_INIT;
    int n = snprintf(json, sizeof json, "{\"keys\":[{" P256 "}");
    for (int i = 0; i < SP_JWKS_KEYS_MAX; i++)
        n += snprintf(json + n, sizeof json - (size_t)n, ",{" P256 "}");
    snprintf(json + n, sizeof json - (size_t)n, "]}");
    assert_status(sp_jwks_parse(sp_slice_cstr(json), SP_JWK_PUBLIC_ONLY, &set), SP_E_LIMIT);
    assert_null(set.keys);
}

static void written_set_is_read_back_and_holds_no_secret(void **state) {
    (void)state;
    SP_AUTO(sp_buf) out = SP_BUF_INIT(64 * 1024);
    struct sp_jwk_public_row rows[SP_ALG_COUNT];
    struct sp_jwks set = SP_JWKS_INIT;
    static const char *const secrets[] = {"\"d\"",  "\"k\"",  "\"p\"",  "\"q\"",
                                          "\"dp\"", "\"dq\"", "\"qi\"", "oct"};
    const char *text;
    for (int alg = 0; alg < SP_ALG_COUNT; alg++)
        rows[alg] = (struct sp_jwk_public_row){.kid = sp_slice_cstr(sp_alg_name((enum sp_alg)alg)),
                                               .alg = (enum sp_alg)alg,
                                               .key = forge.keys[alg]};
    assert_status(sp_jwks_write_public(rows, SP_ALG_COUNT, &out), SP_OK);
    assert_status(sp_jwks_parse(sp_buf_slice(&out), SP_JWK_PUBLIC_ONLY, &set), SP_OK);
    assert_int_equal(set.n, SP_ALG_COUNT - 1);
    assert_int_equal(set.skipped, 0);
    for (int alg = 0; alg < SP_ALG_COUNT; alg++)
        assert_reject(forge_check_with(forge_token((enum sp_alg)alg, FORGE_CLAIMS), &set, forge_policy()),
                      alg == SP_ALG_HS256 ? "unknown_kid" : "ok");
    assert_status(sp_buf_cstr(&out, &text), SP_OK);
    for (size_t i = 0; i < SP_ARRAY_LEN(secrets); i++) assert_null(strstr(text, secrets[i]));
    sp_jwks_done(&set);
}

static void hmac_key_cannot_be_written(void **state) {
    (void)state;
    SP_AUTO(sp_buf) out = SP_BUF_INIT(4096);
    assert_status(sp_jwk_write_public(SP_SLICE_LIT("k"), SP_ALG_HS256, forge.keys[SP_ALG_HS256], &out),
                  SP_E_REFUSED);
    assert_status(sp_jwk_write_public(SP_SLICE_LIT("k"), SP_ALG_RS256, forge.keys[SP_ALG_ES256], &out),
                  SP_E_REFUSED);
    assert_status(sp_jwk_write_public(SP_SLICE_EMPTY, SP_ALG_ES256, forge.keys[SP_ALG_ES256], &out),
                  SP_E_MALFORMED);
    assert_int_equal(out.n, 0);
}

/* RFC 7638 section 3.1 and RFC 8037 appendix A.3 */
static void thumbprints_are_those_of_the_rfcs(void **state) {
    (void)state;
    static const struct {
        const char *jwk, *thumbprint;
    } cases[] = {
        {"{\"kty\":\"RSA\",\"n\":"
         "\"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_"
         "BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_"
         "FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-"
         "bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw\","
         "\"e\":\"AQAB\",\"alg\":\"RS256\",\"kid\":\"2011-04-29\"}",
         "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"},
        {"{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}",
         "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"},
    };
    for (size_t i = 0; i < SP_ARRAY_LEN(cases); i++) {
        struct sp_jwk jwk;
        uint8_t out[SP_SHA256_BYTES];
        char text[SP_BASE64URL_CHARS(SP_SHA256_BYTES)];
        assert_status(parse_one(cases[i].jwk, &jwk), SP_OK);
        assert_status(sp_jwk_thumbprint(jwk.key, out), SP_OK);
        sp_base64url_encode(SP_SLICE_ARRAY(out), text);
        assert_memory_equal(text, cases[i].thumbprint, sizeof text);
        sp_jwk_done(&jwk);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(key_without_alg_serves_those_of_its_type),
        cmocka_unit_test(alg_use_and_key_ops_are_honoured),
        cmocka_unit_test(malformed_keys_are_told_from_unsupported_ones),
        cmocka_unit_test(kid_beyond_its_maximum_is_a_limit),
        cmocka_unit_test(private_members_are_not_looked_at),
        cmocka_unit_test(set_leaves_out_what_it_cannot_use),
        cmocka_unit_test(set_that_is_no_set_is_refused_whole),
        cmocka_unit_test(bare_key_is_a_set_of_one),
        cmocka_unit_test(set_with_too_many_keys_is_refused),
        cmocka_unit_test(written_set_is_read_back_and_holds_no_secret),
        cmocka_unit_test(hmac_key_cannot_be_written),
        cmocka_unit_test(thumbprints_are_those_of_the_rfcs),
    };
    return cmocka_run_group_tests(tests, forge_setup, forge_teardown);
}
