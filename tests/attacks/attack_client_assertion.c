/* Client assertions by who is not the client, or not for us (RFC 7523 section 3, OpenID Connect Core section
 * 9). */
#include "forge.h"
#include "token/client_assertion.h"
#include "token/replay.h"

#define ISSUER "https://issuer.example"
#define GOOD                                                                                                 \
    "{\"iss\":\"billing\",\"sub\":\"billing\",\"aud\":\"" ISSUER                                             \
    "\",\"exp\":1700000060,\"iat\":1700000000,\"jti\":\"j\"}"
#define assert_fault(f, wanted) assert_string_equal(sp_client_assertion_fault_code(f), (wanted))

static char set[8192];
static sp_slice jwks_of(const struct sp_sig_key *key, enum sp_alg alg, const char *kid) {
    SP_AUTO(sp_buf) out = SP_BUF_INIT(sizeof set);
    const struct sp_jwk_public_row row = {.kid = sp_slice_cstr(kid), .alg = alg, .key = key};
    assert_status(sp_jwks_write_public(&row, 1, &out), SP_OK);
    memcpy(set, out.p, out.n);
    return sp_slice_of(set, out.n);
}
static const sp_slice audience = SP_SLICE_LIT(ISSUER);
static enum sp_client_assertion_fault check_with(sp_slice token, sp_slice jwks, const char *client,
                                                 struct sp_client_assertion *ret) {
    const struct sp_client_assertion_expect e = {.client_id = sp_slice_cstr(client),
                                                 .jwks = jwks,
                                                 .audiences = &audience,
                                                 .audiences_n = 1,
                                                 .algs = SP_ALG_ALL, /* HS256 stays out, whoever asks */
                                                 .now_s = FORGE_NOW};
    return sp_client_assertion_check(token, &e, &forge_scratch, ret);
}
static enum sp_client_assertion_fault check(sp_slice token, const char *kid) {
    struct sp_client_assertion a;
    return check_with(token, jwks_of(forge.keys[SP_ALG_ES256], SP_ALG_ES256, kid), "billing", &a);
}

static void public_key_is_no_secret(void **state) {
    (void)state;
    uint8_t mac[SP_SHA256_BYTES];
    sp_slice jwks = jwks_of(forge.keys[SP_ALG_ES256], SP_ALG_ES256, "ES256");
    sp_slice header = SP_SLICE_LIT("{\"alg\":\"HS256\",\"kid\":\"ES256\"}"), claims = SP_SLICE_LIT(GOOD);
    sp_slice input = forge_join(header, claims, SP_SLICE_EMPTY);
    sp_hmac_sha256(jwks, sp_slice_of(input.p, input.n - 1), mac);
    assert_fault(check(forge_join(header, claims, SP_SLICE_ARRAY(mac)), "ES256"), "bad_alg");
    header = SP_SLICE_LIT("{\"alg\":\"none\"}");
    assert_fault(check(forge_join(header, claims, SP_SLICE_EMPTY), "ES256"), "bad_alg");
}

/* The client's own secret is no key either: client_secret_jwt is not offered. */
static void symmetric_key_in_the_set_is_not_used(void **state) {
    (void)state;
    struct sp_client_assertion a;
    sp_slice jwks = SP_SLICE_LIT("{\"keys\":[{\"kty\":\"oct\",\"kid\":\"HS256\",\"k\":"
                                 "\"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T\"}]}");
    sp_slice token = forge_sign(SP_ALG_HS256, "{\"alg\":\"HS256\",\"kid\":\"HS256\"}", GOOD);
    assert_fault(check_with(token, jwks, "billing", &a), "bad_alg");
}

static void kid_of_another_client_opens_nothing(void **state) {
    (void)state;
    sp_slice token = forge_sign(SP_ALG_ES256, "{\"alg\":\"ES256\",\"kid\":\"evil-1\"}", GOOD);
    assert_fault(check(token, "billing-1"), "no_key");
    token = forge_sign(SP_ALG_ES256, "{\"alg\":\"ES256\",\"kid\":\"billing-1\"}", GOOD);
    assert_fault(check(token, "billing-1"), "ok");
    SP_AUTO_FREE(sp_sig_key) evil = NULL;
    assert_status(sp_sig_key_generate(SP_ALG_ES256, &sp_random_system, &evil), SP_OK);
    token = forge_sign_slices(SP_ALG_ES256, evil, SP_SLICE_LIT("{\"alg\":\"ES256\",\"kid\":\"billing-1\"}"),
                              SP_SLICE_LIT(GOOD));
    assert_fault(check(token, "billing-1"), "bad_signature"); /* the right name, the wrong key */
}

static void key_in_the_header_is_not_believed(void **state) {
    (void)state;
    SP_AUTO(sp_buf) jwk = SP_BUF_INIT(4096);
    char header[4200];
    assert_status(sp_jwk_write_public(SP_SLICE_LIT("k"), SP_ALG_EDDSA, forge.keys[SP_ALG_EDDSA], &jwk),
                  SP_OK);
    snprintf(header, sizeof header, "{\"alg\":\"EdDSA\",\"jwk\":%.*s}", (int)jwk.n, (const char *)jwk.p);
    assert_fault(check(forge_sign(SP_ALG_EDDSA, header, GOOD), "ES256"), "no_key");
    assert_fault(
        check(forge_sign(SP_ALG_EDDSA, "{\"alg\":\"EdDSA\",\"jku\":\"https://evil.example/\"}", GOOD),
              "ES256"),
        "no_key");
}

/* One client's assertion under another's name: by its keys, by its claims. */
static void assertion_of_another_client_is_refused(void **state) {
    (void)state;
    struct sp_client_assertion a;
    sp_slice token = forge_sign(SP_ALG_ES256, "{\"alg\":\"ES256\"}", GOOD);
    assert_fault(check_with(token, jwks_of(forge.keys[SP_ALG_ES256], SP_ALG_ES256, "k"), "shop", &a),
                 "wrong_client");
    assert_fault(check_with(token, jwks_of(forge.keys[SP_ALG_EDDSA], SP_ALG_EDDSA, "k"), "shop", &a),
                 "no_key");
}

/* RFC 7523 errata and CVE-2025-27370: an audience that another server would accept too is none of ours. */
static void audiences_that_look_like_ours_are_refused(void **state) {
    (void)state;
    static const char *const auds[] = {"\"" ISSUER "/\"",
                                       "\"" ISSUER ":443\"",
                                       "\"HTTPS://issuer.example\"",
                                       "\"https://issuer.example.evil.example\"",
                                       "\"issuer.example\"",
                                       "\"*\"",
                                       "[]",
                                       "[\"\"]",
                                       "\"\"",
                                       "[\"" ISSUER "/x\"]"};
    for (size_t i = 0; i < SP_ARRAY_LEN(auds); i++) {
        char text[1024];
        snprintf(text, sizeof text,
                 "{\"iss\":\"billing\",\"sub\":\"billing\",\"aud\":%s,\"exp\":1700000060,\"jti\":\"j\"}",
                 auds[i]);
        assert_fault(check(forge_sign(SP_ALG_ES256, "{\"alg\":\"ES256\"}", text), "k"), "wrong_audience");
    }
}

static void members_that_come_twice_are_refused(void **state) {
    (void)state;
    static const char *const bad[] = {
        "{\"iss\":\"evil\",\"iss\":\"billing\",\"sub\":\"billing\",\"aud\":\"" ISSUER
        "\",\"exp\":1700000060,\"jti\":\"j\"}",
        "{\"iss\":\"billing\",\"sub\":\"billing\",\"\\u0073ub\":\"evil\",\"aud\":\"" ISSUER
        "\",\"exp\":1700000060,\"jti\":\"j\"}",
        "{\"iss\":\"billing\",\"sub\":\"billing\",\"aud\":\"x\",\"aud\":\"" ISSUER
        "\",\"exp\":1700000060,\"jti\":\"j\"}",
        "{\"iss\":\"billing\",\"sub\":\"billing\",\"aud\":\"" ISSUER
        "\",\"exp\":1700000060,\"exp\":1,\"jti\":\"j\"}",
        "{\"iss\":\"billing\",\"sub\":\"billing\",\"aud\":\"" ISSUER
        "\",\"exp\":1700000060,\"jti\":\"j\",\"jti\":\"k\"}"};
    for (size_t i = 0; i < SP_ARRAY_LEN(bad); i++)
        assert_fault(check(forge_sign(SP_ALG_ES256, "{\"alg\":\"ES256\"}", bad[i]), "k"), "malformed");
    assert_fault(check(forge_sign(SP_ALG_ES256, "{\"alg\":\"none\",\"alg\":\"ES256\"}", GOOD), "k"),
                 "malformed");
}

static void access_token_is_no_assertion(void **state) {
    (void)state;
    assert_fault(check(forge_sign(SP_ALG_ES256, "{\"alg\":\"ES256\",\"typ\":\"at+jwt\"}", GOOD), "k"),
                 "bad_typ");
    assert_fault(check(forge_sign(SP_ALG_ES256, "{\"alg\":\"ES256\",\"crit\":[\"exp\"]}", GOOD), "k"),
                 "malformed");
}

static void assertion_passes_once(void **state) {
    (void)state;
    struct sp_client_assertion a;
    SP_AUTO_FREE(sp_replay) seen = NULL;
    assert_status(sp_replay_new(SP_REPLAY_ENTRIES_MIN, &sp_random_system, &seen), SP_OK);
    for (int i = 0; i < 2; i++) { /* signed anew: ES256 signatures differ, the jti does not */
        sp_slice token = forge_sign(SP_ALG_ES256, "{\"alg\":\"ES256\"}", GOOD);
        sp_slice jwks = jwks_of(forge.keys[SP_ALG_ES256], SP_ALG_ES256, "k");
        assert_fault(check_with(token, jwks, "billing", &a), "ok");
        assert_int_equal(sp_replay_add(seen, a.id, a.replay_until_ms, FORGE_NOW * 1000LL),
                         i == 0 ? SP_REPLAY_NEW : SP_REPLAY_SEEN);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(public_key_is_no_secret),
        cmocka_unit_test(symmetric_key_in_the_set_is_not_used),
        cmocka_unit_test(kid_of_another_client_opens_nothing),
        cmocka_unit_test(key_in_the_header_is_not_believed),
        cmocka_unit_test(assertion_of_another_client_is_refused),
        cmocka_unit_test(audiences_that_look_like_ours_are_refused),
        cmocka_unit_test(members_that_come_twice_are_refused),
        cmocka_unit_test(access_token_is_no_assertion),
        cmocka_unit_test(assertion_passes_once),
    };
    return cmocka_run_group_tests(tests, forge_setup, forge_teardown);
}
