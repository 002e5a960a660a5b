/* Proofs of possession by who does not possess the key, or not for this request (RFC 9449 section 11). */
#include "forge_dpop.h"

#include "token/replay.h"

static void jwk_text(const struct sp_sig_key *key, const char *member, char *out, size_t cap) {
    SP_AUTO(sp_buf) jwk = SP_BUF_INIT(8192);
    forge_jwk(key, &jwk);
    assert_true(jwk.n + strlen(member) < cap);
    snprintf(out, cap, "{%s%.*s", member, (int)jwk.n - 1, (const char *)jwk.p + 1);
}

/* The victim's public key stands in every proof of his: it may not become the secret of an HMAC, nor the key
 * of another algorithm. */
static void victims_public_key_is_no_secret(void **state) {
    (void)state;
    for (int alg = 0; alg < SP_ALG_COUNT; alg++) {
        char jwk[4096], header[8192];
        uint8_t mac[SP_SHA256_BYTES];
        if (alg == SP_ALG_HS256) continue;
        jwk_text(forge.keys[alg], "", jwk, sizeof jwk);
        snprintf(header, sizeof header, "{\"typ\":\"dpop+jwt\",\"alg\":\"HS256\",\"jwk\":%s}", jwk);
        sp_slice claims =
            SP_SLICE_LIT("{\"jti\":\"a\",\"htm\":\"GET\",\"htu\":\"" PROOF_URL "\",\"iat\":1700000000}");
        sp_slice input = forge_join(sp_slice_cstr(header), claims, SP_SLICE_EMPTY);
        sp_hmac_sha256(sp_slice_cstr(jwk), sp_slice_of(input.p, input.n - 1), mac);
        sp_slice proof = forge_join(sp_slice_cstr(header), claims, SP_SLICE_ARRAY(mac));
        assert_fault(proof_check(proof, proof_expect(), NULL), "bad_alg");
    }
}

static void symmetric_key_in_the_header_is_no_key(void **state) {
    (void)state;
    const char *jwk = "{\"kty\":\"oct\",\"k\":\"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T\"}";
    assert_fault(proof_of((struct proof_parts){.alg = SP_ALG_HS256, .jwk = jwk}), "bad_alg");
    assert_fault(proof_of((struct proof_parts){.alg = SP_ALG_ES256, .jwk = jwk}), "private_key");
    assert_fault(proof_of((struct proof_parts){.alg = SP_ALG_ES256, .jwk = "{\"kty\":\"oct\"}"}), "bad_key");
}

static void none_signs_nothing(void **state) {
    (void)state;
    char jwk[4096], header[8192];
    static const char *const names[] = {"none", "None", "", "ES256K", "es256", "HS512"};
    jwk_text(forge.keys[SP_ALG_ES256], "", jwk, sizeof jwk);
    for (size_t i = 0; i < SP_ARRAY_LEN(names); i++) {
        snprintf(header, sizeof header, "{\"typ\":\"dpop+jwt\",\"alg\":\"%s\",\"jwk\":%s}", names[i], jwk);
        sp_slice proof = forge_join(
            sp_slice_cstr(header),
            SP_SLICE_LIT("{\"jti\":\"a\",\"htm\":\"GET\",\"htu\":\"" PROOF_URL "\",\"iat\":1700000000}"),
            SP_SLICE_EMPTY);
        assert_fault(proof_check(proof, proof_expect(), NULL), "bad_alg");
    }
}

static void key_of_one_type_serves_no_algorithm_of_another(void **state) {
    (void)state;
    for (int signs = 0; signs < SP_ALG_COUNT; signs++) {
        for (int shown = 0; shown < SP_ALG_COUNT; shown++) {
            char jwk[4096];
            bool of_one_type = sp_sig_key_type(forge.keys[signs]) == sp_sig_key_type(forge.keys[shown]);
            if (signs == SP_ALG_HS256 || shown == SP_ALG_HS256 || signs == shown) continue;
            jwk_text(forge.keys[shown], "", jwk, sizeof jwk);
            assert_fault(proof_of((struct proof_parts){.alg = (enum sp_alg)signs, .jwk = jwk}),
                         of_one_type ? "bad_signature" : "bad_key");
        }
    }
}

/* The thief shows the victim's key and signs with his own. */
static void thiefs_signature_under_the_victims_key_is_refused(void **state) {
    (void)state;
    SP_AUTO_FREE(sp_sig_key) thief = NULL;
    char jwk[4096], jkt[SP_JKT_CHARS];
    assert_status(sp_sig_key_generate(SP_ALG_ES256, &sp_random_system, &thief), SP_OK);
    jwk_text(forge.keys[SP_ALG_ES256], "", jwk, sizeof jwk);
    forge_jkt(forge.keys[SP_ALG_ES256], jkt);
    struct sp_dpop_expect e = proof_expect();
    e.jkt = SP_SLICE_ARRAY(jkt);
    assert_fault(proof_check(forge_proof((struct proof_parts){.key = thief, .jwk = jwk}), e, NULL),
                 "bad_signature");
    assert_fault(proof_check(forge_proof((struct proof_parts){.key = thief}), e, NULL), "wrong_key");
}

static void private_key_in_the_header_is_refused(void **state) {
    (void)state;
    static const char *const members[] = {
        "\"d\":\"x\",",  "\"p\":\"x\",", "\"q\":\"x\",", "\"dp\":\"x\",", "\"dq\":\"x\",",
        "\"qi\":\"x\",", "\"oth\":[],",  "\"k\":\"x\",", "\"d\":null,",   "\"\\u0064\":\"x\","};
    static const enum sp_alg algs[] = {SP_ALG_ES256, SP_ALG_EDDSA, SP_ALG_RS256};
    for (size_t a = 0; a < SP_ARRAY_LEN(algs); a++) {
        for (size_t i = 0; i < SP_ARRAY_LEN(members); i++) {
            char jwk[4096];
            jwk_text(forge.keys[algs[a]], members[i], jwk, sizeof jwk);
            assert_fault(proof_of((struct proof_parts){.alg = algs[a], .jwk = jwk}), "private_key");
        }
    }
}

static void key_is_in_the_header_and_nowhere_else(void **state) {
    (void)state;
    char jwk[4096];
    jwk_text(forge.keys[SP_ALG_ES256], "", jwk, sizeof jwk);
    assert_fault(proof_of((struct proof_parts){.jwk = ""}), "bad_key");
    assert_fault(proof_of((struct proof_parts){.jwk = "null"}), "bad_key");
    assert_fault(proof_of((struct proof_parts){.jwk = "\"https://evil.example/jwk\""}), "bad_key");
    assert_fault(proof_of((struct proof_parts){.jwk = "{}"}), "bad_key");
    assert_fault(proof_of((struct proof_parts){.jwk = "[]"}), "bad_key");
    assert_fault(proof_of((struct proof_parts){.jwk = "", .extra = "\"jku\":\"https://evil.example/\","}),
                 "bad_key");
    assert_fault(proof_of((struct proof_parts){.extra = "\"kid\":\"a\",\"jku\":\"https://evil.example/\","}),
                 "ok");
    assert_fault(proof_of((struct proof_parts){.extra = "\"jwk\":{},"}), "bad_header");
    assert_fault(proof_of((struct proof_parts){.extra = "\"crit\":[\"x\"],"}), "bad_header");
    assert_fault(proof_of((struct proof_parts){.extra = "\"b64\":false,"}), "bad_header");
    assert_fault(proof_of((struct proof_parts){.extra = "\"typ\":\"JWT\","}), "bad_header");
    assert_fault(proof_of((struct proof_parts){.extra = "\"\\u0074yp\":\"JWT\","}), "bad_header");
}

#define ZERO "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
static void weak_and_foreign_keys_are_refused(void **state) {
    (void)state;
    static const char *const keys[] = {"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" ZERO "\",\"y\":\"" ZERO
                                       "\"}",
                                       "{\"kty\":\"EC\",\"crv\":\"P-384\",\"x\":\"AA\",\"y\":\"AA\"}",
                                       "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AA\"}",
                                       "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"" ZERO "\"}",
                                       "{\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":\"AQAB\"}",
                                       "{\"kty\":\"RSA\",\"e\":\"Aw\",\"n\":\"AQAB\"}"};
    for (size_t i = 0; i < SP_ARRAY_LEN(keys); i++) {
        enum sp_alg alg = i < 3 ? SP_ALG_ES256 : i == 3 ? SP_ALG_EDDSA : SP_ALG_RS256;
        assert_fault(proof_of((struct proof_parts){.alg = alg, .jwk = keys[i]}), "bad_key");
    }
}

/* Strangers choose the key, and the server pays for checking with it. */
static void key_that_costs_too_much_is_refused_before_it_is_used(void **state) {
    (void)state;
    char n[700 * 2], jwk[2048];
    memset(n, 'A', sizeof n);
    memcpy(n, "gAAA", 4);
    n[SP_BASE64URL_CHARS(640) - 1] = 'Q'; /* odd; 5120 bits */
    snprintf(jwk, sizeof jwk, "{\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":\"%.*s\"}", (int)SP_BASE64URL_CHARS(640),
             n);
    struct sp_jwk good;
    assert_status(sp_jwk_parse(sp_slice_cstr(jwk), SP_JWK_PUBLIC_ONLY, &good),
                  SP_OK); /* elsewhere it is a key */
    sp_jwk_done(&good);
    assert_fault(proof_of((struct proof_parts){.alg = SP_ALG_RS256, .jwk = jwk}), "bad_key");
}

static void proof_for_another_place_is_refused(void **state) {
    (void)state;
    static const char *const others[] = {"https://api.example/order",
                                         "https://api.example/orders/",
                                         "https://api.example/orders/1",
                                         "https://api.example/Orders",
                                         "https://api.example/",
                                         "https://api.example",
                                         "http://api.example/orders",
                                         "https://api.example:8443/orders",
                                         "https://api.example:80/orders",
                                         "https://api.example./orders",
                                         "https://evil.example/orders",
                                         "https://api.example.evil.example/orders",
                                         "https://evil.example/https://api.example/orders",
                                         "/orders",
                                         "//api.example/orders",
                                         "orders",
                                         "https://user@api.example/orders",
                                         "https://api.example@evil.example/orders",
                                         "https://evil.example#@api.example/orders",
                                         "https://api.example/x/../orders",
                                         "https://api.example/./orders",
                                         "https://api.example/x/%2e%2e/orders",
                                         "https://api.example/%2E/orders",
                                         "https://api.example//orders",
                                         "https://api.example/%6frders/..",
                                         "https://api.example%2forders",
                                         "https://api.example\\\\orders",
                                         "https://api.example/orders%00",
                                         "https://api.example/orders ",
                                         " https://api.example/orders",
                                         "https://api.example/orders%3Fa",
                                         "https://api.example/orders%23",
                                         "https://api.example/orders;a",
                                         "https://[::1]/orders",
                                         "ftp://api.example/orders",
                                         "javascript:alert(1)"};
    for (size_t i = 0; i < SP_ARRAY_LEN(others); i++)
        assert_fault(proof_of((struct proof_parts){.htu = others[i]}), "wrong_url");
}

/* RFC 9449 section 4.3 asks for these, lest honest clients fail. */
static void other_spellings_of_the_same_place_are_good(void **state) {
    (void)state;
    static const char *const same[] = {"HTTPS://API.Example/orders",     "https://api.example:443/orders",
                                       "https://api.example/%6Frders",   "https://api.example/%6frders",
                                       "https://api.example/orders?a=b", "https://api.example/orders#c"};
    for (size_t i = 0; i < SP_ARRAY_LEN(same); i++)
        assert_fault(proof_of((struct proof_parts){.htu = same[i]}), "ok");
}

/* What is ours to know is compared by the same rules: a request line with tricks in it matches nothing. */
static void request_with_tricks_matches_no_proof(void **state) {
    (void)state;
    const sp_slice url = SP_SLICE_LIT("https://api.example/x/../orders");
    struct sp_dpop_expect e = proof_expect();
    e.urls = &url;
    assert_fault(
        proof_check(forge_proof((struct proof_parts){.htu = "https://api.example/x/../orders"}), e, NULL),
        "wrong_url");
    assert_fault(proof_check(forge_proof((struct proof_parts){0}), e, NULL), "wrong_url");
}

static void stolen_token_with_another_tokens_proof_is_refused(void **state) {
    (void)state;
    char ath[SP_JKT_CHARS + 1];
    struct sp_dpop_expect e = proof_expect();
    e.access_token = SP_SLICE_LIT("stolen");
    forge_ath(SP_SLICE_LIT("own"), ath);
    assert_fault(proof_check(forge_proof((struct proof_parts){.ath = ath}), e, NULL), "wrong_token");
    assert_fault(proof_check(forge_proof((struct proof_parts){.ath = "stolen"}), e, NULL), "wrong_token");
    e.access_token = sp_slice_of("", 0); /* an empty token is one whose hash must be there */
    assert_fault(proof_check(forge_proof((struct proof_parts){0}), e, NULL), "wrong_token");
}

static void proof_passes_once(void **state) {
    (void)state;
    struct sp_dpop dpop;
    SP_AUTO_FREE(sp_replay) seen = NULL;
    assert_status(sp_replay_new(SP_REPLAY_ENTRIES_MIN, &sp_random_system, &seen), SP_OK);
    sp_slice proof = forge_proof((struct proof_parts){0});
    for (int64_t later_s = 0; later_s <= SP_DPOP_PAST_S; later_s += 20) {
        struct sp_dpop_expect e = proof_expect();
        e.now_s += later_s;
        assert_fault(proof_check(proof, e, &dpop), "ok");
        assert_int_equal(sp_replay_add(seen, dpop.id, dpop.replay_until_ms, e.now_s * 1000 + 999),
                         later_s == 0 ? SP_REPLAY_NEW : SP_REPLAY_SEEN);
    }
}

/* One bit of any character changed, or one character more or less: never accepted, never the same proof
 * twice. */
static void changed_proof_is_refused(void **state) {
    (void)state;
    static uint8_t text[SP_DPOP_BYTES_MAX];
    sp_slice proof = forge_proof((struct proof_parts){.alg = SP_ALG_EDDSA}); /* not malleable */
    for (size_t i = 0; i < proof.n; i++) {
        for (int bit = 0; bit < 8; bit++) {
            memcpy(text, proof.p, proof.n);
            text[i] ^= (uint8_t)(1 << bit);
            assert_true(proof_check(sp_slice_of(text, proof.n), proof_expect(), NULL) != SP_DPOP_NONE);
        }
    }
    memcpy(text, proof.p, proof.n);
    text[proof.n] = '=';
    assert_fault(proof_check(sp_slice_of(text, proof.n + 1), proof_expect(), NULL), "malformed");
    text[proof.n] = '.';
    assert_fault(proof_check(sp_slice_of(text, proof.n + 1), proof_expect(), NULL), "malformed");
    for (size_t n = 1; n < proof.n; n++)
        assert_true(proof_check(sp_slice_of(text, n), proof_expect(), NULL) != SP_DPOP_NONE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(victims_public_key_is_no_secret),
        cmocka_unit_test(symmetric_key_in_the_header_is_no_key),
        cmocka_unit_test(none_signs_nothing),
        cmocka_unit_test(key_of_one_type_serves_no_algorithm_of_another),
        cmocka_unit_test(thiefs_signature_under_the_victims_key_is_refused),
        cmocka_unit_test(private_key_in_the_header_is_refused),
        cmocka_unit_test(key_is_in_the_header_and_nowhere_else),
        cmocka_unit_test(weak_and_foreign_keys_are_refused),
        cmocka_unit_test(key_that_costs_too_much_is_refused_before_it_is_used),
        cmocka_unit_test(proof_for_another_place_is_refused),
        cmocka_unit_test(other_spellings_of_the_same_place_are_good),
        cmocka_unit_test(request_with_tricks_matches_no_proof),
        cmocka_unit_test(stolen_token_with_another_tokens_proof_is_refused),
        cmocka_unit_test(proof_passes_once),
        cmocka_unit_test(changed_proof_is_refused),
    };
    return cmocka_run_group_tests(tests, forge_setup, forge_teardown);
}
