#include "forge.h"
#include "token/id_token.h"

#define ISSUER "https://issuer.example"

static void assert_at_hash(enum sp_alg alg, const char *token, const char *wanted) {
    char text[SP_AT_HASH_CHARS_MAX];
    size_t n = 0;
    assert_status(sp_at_hash(alg, sp_slice_cstr(token), text, &n), SP_OK);
    assert_int_equal(n, strlen(wanted));
    assert_memory_equal(text, wanted, n);
}

static void at_hash_is_half_of_the_hash_of_the_algorithm(void **state) {
    (void)state;
    char text[SP_AT_HASH_CHARS_MAX];
    size_t n = 0;
    /* OpenID Connect Core, appendix A.3 */
    assert_at_hash(SP_ALG_RS256, "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y", "77QmUPtjPfzWtF2AnpK9RQ");
    assert_at_hash(SP_ALG_ES256, "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y", "77QmUPtjPfzWtF2AnpK9RQ");
    /* SHA-512("abc"), FIPS 180-2 appendix C: ddaf35a193617aba cc417349ae204131 12e6fa4e89a97ea2
     * 0a9eeee64b55d39a */
    assert_at_hash(SP_ALG_EDDSA, "abc", "3a81oZNherrMQXNJriBBMRLm-k6JqX6iCp7u5ktV05o");
    assert_status(sp_at_hash(SP_ALG_HS256, SP_SLICE_LIT("abc"), text, &n), SP_E_UNSUPPORTED);
}

static struct sp_id_token good(void) {
    struct sp_id_token t;
    sp_id_token_init(&t);
    t.iss = SP_SLICE_LIT(ISSUER);
    t.sub = SP_SLICE_LIT("AAECAwQFBgcICQoLDA0ODw");
    t.aud = SP_SLICE_LIT("shop");
    t.exp = FORGE_NOW + 300;
    t.iat = FORGE_NOW;
    return t;
}
static void assert_json(const struct sp_id_token *t, const char *wanted) {
    SP_AUTO(sp_buf) out = SP_BUF_INIT(4096);
    const char *text;
    assert_status(sp_id_token_write_json(t, &out), SP_OK);
    assert_status(sp_buf_cstr(&out, &text), SP_OK);
    assert_string_equal(text, wanted);
}

static void id_token_has_what_is_known(void **state) {
    (void)state;
    struct sp_id_token t = good();
    assert_json(&t, "{\"iss\":\"" ISSUER
                    "\",\"sub\":\"AAECAwQFBgcICQoLDA0ODw\",\"aud\":\"shop\",\"exp\":1700000300,"
                    "\"iat\":1700000000}");
    t.auth_time = FORGE_NOW - 10;
    t.nonce = SP_SLICE_LIT("n-0S6_WzA2Mj\"\\");
    t.acr = SP_SLICE_LIT("urn:sallyport:acr:password");
    t.amr = SP_SLICE_LIT("pwd otp");
    t.azp = SP_SLICE_LIT("shop");
    t.sid = SP_SLICE_LIT("s");
    t.at_hash = SP_SLICE_LIT("77QmUPtjPfzWtF2AnpK9RQ");
    assert_json(
        &t, "{\"iss\":\"" ISSUER "\",\"sub\":\"AAECAwQFBgcICQoLDA0ODw\",\"aud\":\"shop\",\"exp\":1700000300,"
            "\"iat\":1700000000,\"auth_time\":1699999990,\"nonce\":\"n-0S6_WzA2Mj\\\"\\\\\","
            "\"acr\":\"urn:sallyport:acr:password\",\"amr\":[\"pwd\",\"otp\"],\"azp\":\"shop\",\"sid\":\"s\","
            "\"at_hash\":\"77QmUPtjPfzWtF2AnpK9RQ\"}");
}

static void incomplete_id_token_is_not_written(void **state) {
    (void)state;
    SP_AUTO(sp_buf) out = SP_BUF_INIT(4096);
    assert_status(sp_buf_append_cstr(&out, "kept"), SP_OK);
    for (int missing = 0; missing < 8; missing++) {
        struct sp_id_token t = good();
        if (missing == 0) t.iss = SP_SLICE_EMPTY;
        if (missing == 1) t.sub = SP_SLICE_EMPTY;
        if (missing == 2) t.aud = SP_SLICE_EMPTY;
        if (missing == 3) t.exp = SP_CLAIM_NO_DATE;
        if (missing == 4) t.iat = SP_CLAIM_NO_DATE;
        if (missing == 5) t.nonce = SP_SLICE_LIT("\xff");
        if (missing == 6) t.amr = SP_SLICE_LIT("two  spaces");
        if (missing == 7) t.auth_time = -5;
        assert_status(sp_id_token_write_json(&t, &out), SP_E_MALFORMED);
        assert_int_equal(out.n, 4);
    }
}

static void logout_token_says_who_and_that_it_is_one(void **state) {
    (void)state;
    SP_AUTO(sp_buf) out = SP_BUF_INIT(4096);
    const char *text;
    struct sp_logout_token t = {.iss = SP_SLICE_LIT(ISSUER),
                                .aud = SP_SLICE_LIT("shop"),
                                .jti = SP_SLICE_LIT("j"),
                                .iat = FORGE_NOW,
                                .exp = FORGE_NOW + 120};
    assert_status(sp_logout_token_write_json(&t, &out), SP_E_MALFORMED); /* neither sub nor sid */
    t.sid = SP_SLICE_LIT("s");
    assert_status(sp_logout_token_write_json(&t, &out), SP_OK);
    assert_status(sp_buf_cstr(&out, &text), SP_OK);
    assert_string_equal(
        text, "{\"iss\":\"" ISSUER "\",\"aud\":\"shop\",\"iat\":1700000000,\"exp\":1700000120,\"jti\":\"j\","
              "\"sid\":\"s\",\"events\":{\"http://schemas.openid.net/event/backchannel-logout\":{}}}");
}

/* ---- hints ---- */

static enum sp_reject read_hint(sp_slice token, struct sp_id_token_hint *ret) {
    struct sp_key_lookup lookup = sp_key_lookup_jwks(&forge.jwks);
    struct sp_id_token_hint hint;
    enum sp_reject r = sp_id_token_hint_read(token, &lookup, SP_SLICE_LIT(ISSUER), &forge_scratch, &hint);
    if (r == SP_REJECT_NONE && ret != NULL) *ret = hint;
    return r;
}
#define HEADER "{\"alg\":\"ES256\",\"kid\":\"ES256\",\"typ\":\"JWT\"}"
#define HINT(payload) forge_sign(SP_ALG_ES256, HEADER, payload)

static void what_we_write_comes_back_as_a_hint(void **state) {
    (void)state;
    SP_AUTO(sp_buf) json = SP_BUF_INIT(4096);
    struct sp_id_token t = good();
    struct sp_id_token_hint hint;
    t.sid = SP_SLICE_LIT("s1");
    t.nonce = SP_SLICE_LIT("n");
    t.amr = SP_SLICE_LIT("pwd");
    t.auth_time = t.iat;
    assert_status(sp_id_token_write_json(&t, &json), SP_OK);
    sp_slice token =
        forge_sign_slices(SP_ALG_ES256, forge.keys[SP_ALG_ES256], SP_SLICE_LIT(HEADER), sp_buf_slice(&json));
    assert_reject(read_hint(token, &hint), "ok");
    assert_true(sp_slice_eq(hint.sub, t.sub));
    assert_true(sp_slice_eq_cstr(hint.client_id, "shop"));
    assert_true(sp_slice_eq_cstr(hint.sid, "s1"));
    assert_int_equal(hint.exp, t.exp);
}

static void expired_hint_still_names_its_session(void **state) {
    (void)state;
    struct sp_id_token_hint hint;
    assert_reject(
        read_hint(HINT("{\"iss\":\"" ISSUER "\",\"sub\":\"u\",\"aud\":\"shop\",\"exp\":2,\"iat\":1}"), &hint),
        "ok");
    assert_null(hint.sid.p);
}

static void hint_of_another_kind_is_refused(void **state) {
    (void)state;
#define CLAIMS "{\"iss\":\"" ISSUER "\",\"sub\":\"u\",\"aud\":\"shop\",\"exp\":2,\"iat\":1}"
    static const char *const typs[] = {"at+jwt", "logout+jwt", "dpop+jwt"};
    for (size_t i = 0; i < SP_ARRAY_LEN(typs); i++) {
        char header[96];
        snprintf(header, sizeof header, "{\"alg\":\"ES256\",\"kid\":\"ES256\",\"typ\":\"%s\"}", typs[i]);
        assert_reject(read_hint(forge_sign(SP_ALG_ES256, header, CLAIMS), NULL), "bad_typ");
    }
    assert_reject(read_hint(forge_sign(SP_ALG_ES256, "{\"alg\":\"ES256\",\"kid\":\"ES256\"}", CLAIMS), NULL),
                  "bad_typ");
    assert_reject(
        read_hint(forge_sign(SP_ALG_HS256, "{\"alg\":\"HS256\",\"kid\":\"HS256\",\"typ\":\"JWT\"}", CLAIMS),
                  NULL),
        "alg_not_allowed");
    assert_reject(
        read_hint(forge_sign(SP_ALG_ES256, "{\"alg\":\"ES256\",\"kid\":\"PS256\",\"typ\":\"JWT\"}", CLAIMS),
                  NULL),
        "alg_key_mismatch");
#undef CLAIMS
}

static void hint_of_another_issuer_or_form_is_refused(void **state) {
    (void)state;
    assert_reject(
        read_hint(HINT("{\"iss\":\"https://evil.example\",\"sub\":\"u\",\"aud\":\"a\",\"exp\":2,\"iat\":1}"),
                  NULL),
        "bad_issuer");
    assert_reject(read_hint(HINT("{\"sub\":\"u\",\"aud\":\"a\",\"exp\":2,\"iat\":1}"), NULL), "bad_issuer");
    assert_reject(
        read_hint(HINT("{\"iss\":\"" ISSUER "\",\"sub\":\"u\",\"aud\":[\"a\",\"b\"],\"exp\":2,\"iat\":1}"),
                  NULL),
        "bad_audience");
    assert_reject(read_hint(HINT("{\"iss\":\"" ISSUER "\",\"sub\":\"u\",\"exp\":2,\"iat\":1}"), NULL),
                  "bad_audience");
    assert_reject(read_hint(HINT("{\"iss\":\"" ISSUER "\",\"sub\":\"u\",\"aud\":\"a\",\"iat\":1}"), NULL),
                  "missing_exp");
    assert_reject(read_hint(HINT("{\"iss\":\"" ISSUER "\",\"aud\":\"a\",\"exp\":2,\"iat\":1}"), NULL),
                  "bad_payload");
    assert_reject(read_hint(HINT("{\"iss\":\"" ISSUER
                                 "\",\"sub\":\"u\",\"sub\":\"v\",\"aud\":\"a\",\"exp\":2,\"iat\":1}"),
                            NULL),
                  "duplicate_name");
    sp_slice token = HINT("{\"iss\":\"" ISSUER "\",\"sub\":\"u\",\"aud\":\"a\",\"exp\":2,\"iat\":1}");
    uint8_t *last = (uint8_t *)(uintptr_t)(token.p + token.n - 5);
    *last = *last == 'A' ? 'B' : 'A';
    assert_reject(read_hint(token, NULL), "bad_signature");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(at_hash_is_half_of_the_hash_of_the_algorithm),
        cmocka_unit_test(id_token_has_what_is_known),
        cmocka_unit_test(incomplete_id_token_is_not_written),
        cmocka_unit_test(logout_token_says_who_and_that_it_is_one),
        cmocka_unit_test(what_we_write_comes_back_as_a_hint),
        cmocka_unit_test(expired_hint_still_names_its_session),
        cmocka_unit_test(hint_of_another_kind_is_refused),
        cmocka_unit_test(hint_of_another_issuer_or_form_is_refused),
    };
    return cmocka_run_group_tests(tests, forge_setup, forge_teardown);
}
