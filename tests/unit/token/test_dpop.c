#include "forge_dpop.h"

#include "token/dpop_nonce.h"

/* RFC 9449 sections 4.1 and 7.1. */
#define RFC_HEADER                                                                                           \
    "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOX" \
    "pD"                                                                                                     \
    "a0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydi" \
    "I6"                                                                                                     \
    "IlAtMjU2In19"
#define RFC_TOKEN_PROOF                                                                                      \
    RFC_HEADER                                                                                               \
    ".eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY2"        \
    "9tL3Rva2VuIiwiaWF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiO"          \
    "SsX0x7NVY-FNyJK70nfbV37xRZT3Lg"
#define RFC_RESOURCE_PROOF                                                                                   \
    RFC_HEADER                                                                                               \
    ".eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm"        \
    "9yZy9wcm90ZWN0ZWRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNFc05yV0JiMHhX"         \
    "WG9hTnk1OUlpS0NBcWtzbVFFbyJ9.2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6F"         \
    "y1dqd-jfxSYoMxhAJpLjA"
#define RFC_JKT "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"
#define RFC_ACCESS_TOKEN "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU"

static void examples_of_the_rfc_hold(void **state) {
    (void)state;
    const sp_slice token_url = SP_SLICE_LIT("https://server.example.com/token");
    const sp_slice resource_url = SP_SLICE_LIT("https://resource.example.org/protectedresource");
    struct sp_dpop_expect e = {
        .method = SP_SLICE_LIT("POST"), .urls = &token_url, .urls_n = 1, .now_s = 1562262616};
    struct sp_dpop dpop;
    assert_fault(proof_check(SP_SLICE_LIT(RFC_TOKEN_PROOF), e, &dpop), "ok");
    assert_memory_equal(dpop.jkt, RFC_JKT, SP_JKT_CHARS);
    assert_int_equal(dpop.iat, 1562262616);
    assert_null(dpop.nonce.p);
    e.method = SP_SLICE_LIT("GET");
    e.urls = &resource_url;
    e.access_token = SP_SLICE_LIT(RFC_ACCESS_TOKEN);
    e.jkt = SP_SLICE_LIT(RFC_JKT);
    assert_fault(proof_check(SP_SLICE_LIT(RFC_RESOURCE_PROOF), e, &dpop), "ok");
    assert_memory_equal(dpop.jkt, RFC_JKT, SP_JKT_CHARS);
}

static void every_asymmetric_algorithm_proves(void **state) {
    (void)state;
    for (int alg = 0; alg < SP_ALG_COUNT; alg++) {
        char jkt[SP_JKT_CHARS];
        struct sp_dpop dpop;
        if (alg == SP_ALG_HS256) continue;
        assert_fault(
            proof_check(forge_proof((struct proof_parts){.alg = (enum sp_alg)alg}), proof_expect(), &dpop),
            "ok");
        forge_jkt(forge.keys[alg], jkt);
        assert_memory_equal(dpop.jkt, jkt, sizeof jkt);
    }
}

static void algorithms_can_be_narrowed_never_widened(void **state) {
    (void)state;
    struct sp_dpop_expect e = proof_expect();
    sp_slice proof = forge_proof((struct proof_parts){.alg = SP_ALG_ES256});
    e.algs = SP_ALG_BIT(SP_ALG_EDDSA);
    assert_fault(proof_check(proof, e, NULL), "bad_alg");
    e.algs = SP_ALG_BIT(SP_ALG_EDDSA) | SP_ALG_BIT(SP_ALG_ES256);
    assert_fault(proof_check(proof, e, NULL), "ok");
    e.algs = SP_ALG_ALL;
    proof = forge_proof((struct proof_parts){.alg = SP_ALG_HS256, .jwk = "{\"kty\":\"oct\"}"});
    assert_fault(proof_check(proof, e, NULL), "bad_alg");
}

static void typ_is_that_of_a_proof(void **state) {
    (void)state;
    assert_fault(proof_of((struct proof_parts){.typ = "application/DPoP+JWT"}), "ok");
    assert_fault(proof_of((struct proof_parts){.typ = ""}), "bad_typ");
    assert_fault(proof_of((struct proof_parts){.typ = "JWT"}), "bad_typ");
    assert_fault(proof_of((struct proof_parts){.typ = "at+jwt"}), "bad_typ");
}

static void claims_are_required(void **state) {
    (void)state;
    assert_fault(proof_of((struct proof_parts){.jti = ""}), "missing_claim");
    assert_fault(proof_of((struct proof_parts){.htm = ""}), "missing_claim");
    assert_fault(proof_of((struct proof_parts){.htu = ""}), "missing_claim");
    assert_fault(proof_of((struct proof_parts){
                     .payload = "{\"jti\":\"a\",\"htm\":\"GET\",\"htu\":\"" PROOF_URL "\"}"}),
                 "missing_claim");
}

static void claims_have_their_form(void **state) {
    (void)state;
    static const char *const bad[] = {
        "",
        "[]",
        "null",
        "{\"jti\":\"a\"",
        "{\"jti\":1,\"htm\":\"GET\",\"htu\":\"" PROOF_URL "\",\"iat\":1700000000}",
        "{\"jti\":\"\",\"htm\":\"GET\",\"htu\":\"" PROOF_URL "\",\"iat\":1700000000}",
        "{\"jti\":\"a\",\"htm\":[\"GET\"],\"htu\":\"" PROOF_URL "\",\"iat\":1700000000}",
        "{\"jti\":\"a\",\"htm\":\"GET\",\"htu\":null,\"iat\":1700000000}",
        "{\"jti\":\"a\",\"htm\":\"GET\",\"htu\":\"" PROOF_URL "\",\"iat\":\"1700000000\"}",
        "{\"jti\":\"a\",\"htm\":\"GET\",\"htu\":\"" PROOF_URL "\",\"iat\":1700000000.5}",
        "{\"jti\":\"a\",\"htm\":\"GET\",\"htu\":\"" PROOF_URL "\",\"iat\":1.7e9}",
        "{\"jti\":\"a\",\"htm\":\"GET\",\"htu\":\"" PROOF_URL "\",\"iat\":-1700000000}",
        "{\"jti\":\"a\",\"htm\":\"GET\",\"htu\":\"" PROOF_URL "\",\"iat\":1700000000,\"nonce\":7}",
        "{\"jti\":\"a\",\"htm\":\"GET\",\"htu\":\"" PROOF_URL "\",\"iat\":1700000000,\"nonce\":\"\"}",
        "{\"jti\":\"a\",\"htm\":\"GET\",\"htu\":\"" PROOF_URL "\",\"iat\":1700000000,\"ath\":true}",
        "{\"jti\":\"a\",\"jti\":\"b\",\"htm\":\"GET\",\"htu\":\"" PROOF_URL "\",\"iat\":1700000000}"};
    for (size_t i = 0; i < SP_ARRAY_LEN(bad); i++)
        assert_fault(proof_of((struct proof_parts){.payload = bad[i]}), "bad_payload");
}

static void jti_has_256_bytes_at_most(void **state) {
    (void)state;
    char jti[SP_DPOP_JTI_BYTES_MAX + 2];
    memset(jti, 'j', sizeof jti);
    jti[SP_DPOP_JTI_BYTES_MAX] = 0;
    assert_fault(proof_of((struct proof_parts){.jti = jti}), "ok");
    jti[SP_DPOP_JTI_BYTES_MAX] = 'j';
    jti[SP_DPOP_JTI_BYTES_MAX + 1] = 0;
    assert_fault(proof_of((struct proof_parts){.jti = jti}), "bad_payload");
}

static void method_is_exact(void **state) {
    (void)state;
    assert_fault(proof_of((struct proof_parts){.htm = "POST"}), "wrong_method");
    assert_fault(proof_of((struct proof_parts){.htm = "get"}), "wrong_method");
    assert_fault(proof_of((struct proof_parts){.htm = "GET "}), "wrong_method");
}

static void one_of_several_urls_is_enough(void **state) {
    (void)state;
    const sp_slice urls[] = {SP_SLICE_LIT("not a url"), SP_SLICE_LIT("https://a.example/x"),
                             SP_SLICE_LIT("https://API.example:443/orders?page=2")};
    struct sp_dpop_expect e = proof_expect();
    e.urls = urls;
    e.urls_n = 3;
    assert_fault(proof_check(forge_proof((struct proof_parts){0}), e, NULL), "ok");
    e.urls_n = 2;
    assert_fault(proof_check(forge_proof((struct proof_parts){0}), e, NULL), "wrong_url");
    e.urls_n = 0;
    assert_fault(proof_check(forge_proof((struct proof_parts){0}), e, NULL), "wrong_url");
}

static void window_of_time_is_a_minute_back_and_five_seconds_ahead(void **state) {
    (void)state;
    assert_fault(proof_of((struct proof_parts){.iat = FORGE_NOW - 60}), "ok");
    assert_fault(proof_of((struct proof_parts){.iat = FORGE_NOW - 61}), "too_old");
    assert_fault(proof_of((struct proof_parts){.iat = FORGE_NOW + 5}), "ok");
    assert_fault(proof_of((struct proof_parts){.iat = FORGE_NOW + 6}), "in_future");
    assert_fault(proof_of((struct proof_parts){.iat = INT64_MAX}), "in_future");
    assert_fault(proof_of((struct proof_parts){.iat = 1}), "too_old");
}

static void proof_is_remembered_as_long_as_it_could_pass(void **state) {
    (void)state;
    struct sp_dpop dpop;
    sp_slice proof = forge_proof((struct proof_parts){.iat = FORGE_NOW + 5});
    struct sp_dpop_expect e = proof_expect();
    assert_fault(proof_check(proof, e, &dpop), "ok");
    e.now_s = (dpop.replay_until_ms - 1) / 1000;
    assert_fault(proof_check(proof, e, NULL), "ok");
    e.now_s = dpop.replay_until_ms / 1000;
    assert_fault(proof_check(proof, e, NULL), "too_old");
}

static void proof_names_the_access_token(void **state) {
    (void)state;
    char ath[SP_JKT_CHARS + 1], other[SP_JKT_CHARS + 1];
    struct sp_dpop_expect e = proof_expect();
    forge_ath(SP_SLICE_LIT("token"), ath);
    forge_ath(SP_SLICE_LIT("token2"), other);
    e.access_token = SP_SLICE_LIT("token");
    assert_fault(proof_check(forge_proof((struct proof_parts){.ath = ath}), e, NULL), "ok");
    assert_fault(proof_check(forge_proof((struct proof_parts){.ath = other}), e, NULL), "wrong_token");
    assert_fault(proof_check(forge_proof((struct proof_parts){0}), e, NULL), "wrong_token");
    ath[10] = 0;
    assert_fault(proof_check(forge_proof((struct proof_parts){.ath = ath}), e, NULL), "wrong_token");
    e.access_token = SP_SLICE_EMPTY; /* at the token endpoint nobody asks */
    assert_fault(proof_check(forge_proof((struct proof_parts){.ath = other}), e, NULL), "ok");
}

static void key_is_the_one_that_is_bound(void **state) {
    (void)state;
    char jkt[SP_JKT_CHARS];
    struct sp_dpop_expect e = proof_expect();
    forge_jkt(forge.keys[SP_ALG_ES256], jkt);
    e.jkt = SP_SLICE_ARRAY(jkt);
    assert_fault(proof_check(forge_proof((struct proof_parts){.alg = SP_ALG_ES256}), e, NULL), "ok");
    assert_fault(proof_check(forge_proof((struct proof_parts){.alg = SP_ALG_EDDSA}), e, NULL), "wrong_key");
    e.jkt = sp_slice_of(jkt, 0); /* bound to no key at all: none is right */
    assert_fault(proof_check(forge_proof((struct proof_parts){.alg = SP_ALG_ES256}), e, NULL), "wrong_key");
}

static void nonce_is_handed_back(void **state) {
    (void)state;
    struct sp_dpop dpop;
    assert_fault(
        proof_check(forge_proof((struct proof_parts){.nonce = "eyJ7S_zG.eyJH0-Z"}), proof_expect(), &dpop),
        "ok");
    assert_true(sp_slice_eq_cstr(dpop.nonce, "eyJ7S_zG.eyJH0-Z"));
}

static void id_tells_keys_and_jtis_apart(void **state) {
    (void)state;
    struct sp_dpop a, b, c, again;
    struct sp_dpop_expect e = proof_expect();
    assert_fault(proof_check(forge_proof((struct proof_parts){.jti = "1"}), e, &a), "ok");
    assert_fault(proof_check(forge_proof((struct proof_parts){.jti = "2"}), e, &b), "ok");
    assert_fault(proof_check(forge_proof((struct proof_parts){.jti = "1", .alg = SP_ALG_EDDSA}), e, &c),
                 "ok");
    assert_fault(
        proof_check(forge_proof((struct proof_parts){.jti = "\\u0031", .iat = FORGE_NOW - 1}), e, &again),
        "ok");
    assert_memory_not_equal(a.id, b.id, sizeof a.id);
    assert_memory_not_equal(a.id, c.id, sizeof a.id);
    assert_memory_equal(a.id, again.id, sizeof a.id); /* the same jti, however it is written and when */
}

static void proof_from_before_the_start_may_have_been_used(void **state) {
    (void)state;
    const struct sp_dpop dpop = {.iat = 1000};
    assert_false(sp_dpop_may_predate(&dpop, 995));
    assert_true(sp_dpop_may_predate(&dpop, 996)); /* a clock may be five seconds ahead */
    assert_true(sp_dpop_may_predate(&dpop, 1001));
}

static void escapes_do_not_hide_anything(void **state) {
    (void)state;
    assert_fault(
        proof_of((struct proof_parts){.htm = "\\u0047ET", .htu = "https:\\/\\/api.example\\/orders"}), "ok");
}

static void no_proof_is_missing_and_a_long_one_is_not_read(void **state) {
    (void)state;
    static uint8_t text[SP_DPOP_BYTES_MAX + 1];
    memset(text, 'A', sizeof text);
    assert_fault(proof_check(SP_SLICE_EMPTY, proof_expect(), NULL), "missing");
    assert_fault(proof_check(SP_SLICE_ARRAY(text), proof_expect(), NULL), "oversize");
    assert_fault(proof_check(sp_slice_of(text, SP_DPOP_BYTES_MAX), proof_expect(), NULL), "malformed");
}

static void faults_have_codes_and_sentences(void **state) {
    (void)state;
    for (unsigned f = 0; f < SP_DPOP_FAULT_COUNT; f++) {
        assert_true(strlen(sp_dpop_fault_code((enum sp_dpop_fault)f)) > 1);
        assert_true(strlen(sp_dpop_fault_doc((enum sp_dpop_fault)f)) > 10);
        assert_null(strchr(sp_dpop_fault_doc((enum sp_dpop_fault)f), '"')); /* goes into error_description */
    }
    assert_string_equal(sp_dpop_fault_code((enum sp_dpop_fault)999), "unset");
}

static void jkt_is_43_characters(void **state) {
    (void)state;
    assert_true(sp_jkt_valid(SP_SLICE_LIT(RFC_JKT)));
    assert_false(sp_jkt_valid(SP_SLICE_LIT("")));
    assert_false(sp_jkt_valid(SP_SLICE_LIT("0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4")));
    assert_false(
        sp_jkt_valid(SP_SLICE_LIT("0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4J"))); /* trailing bits */
    assert_false(sp_jkt_valid(SP_SLICE_LIT(RFC_JKT "=")));
}

/* ---- nonces ---- */

static void nonce_is_good_in_its_slot_and_the_next(void **state) {
    (void)state;
    struct sp_dpop_nonces ours, others;
    char nonce[SP_DPOP_NONCE_CHARS];
    assert_status(sp_dpop_nonces_init(&ours, &sp_random_system), SP_OK);
    assert_status(sp_dpop_nonces_init(&others, &sp_random_system), SP_OK); /* another process */
    const int64_t begin = 7 * (int64_t)SP_DPOP_NONCE_SLOT_MS;
    sp_dpop_nonce_make(&ours, begin, nonce);
    const sp_slice n = SP_SLICE_ARRAY(nonce);
    assert_true(sp_dpop_nonce_is_good(&ours, begin, n));
    assert_true(sp_dpop_nonce_is_good(&ours, begin + 2 * SP_DPOP_NONCE_SLOT_MS - 1, n));
    assert_false(sp_dpop_nonce_is_good(&ours, begin + 2 * SP_DPOP_NONCE_SLOT_MS, n));
    assert_false(sp_dpop_nonce_is_good(&ours, begin - 1, n)); /* nobody can have it yet */
    assert_false(sp_dpop_nonce_is_good(&others, begin, n));
    assert_false(sp_dpop_nonce_is_good(&ours, begin, SP_SLICE_EMPTY));
    assert_false(sp_dpop_nonce_is_good(&ours, begin, sp_slice_of(nonce, sizeof nonce - 1)));
    nonce[3] ^= 1;
    assert_false(sp_dpop_nonce_is_good(&ours, begin, n));
}

static void nonce_of_the_first_slot_is_good(void **state) {
    (void)state;
    struct sp_dpop_nonces ours;
    char nonce[SP_DPOP_NONCE_CHARS];
    assert_status(sp_dpop_nonces_init(&ours, &sp_random_system), SP_OK);
    sp_dpop_nonce_make(&ours, 0, nonce);
    assert_true(sp_dpop_nonce_is_good(&ours, 5, SP_SLICE_ARRAY(nonce)));
    assert_false(sp_dpop_nonce_is_good(&ours, 5, SP_SLICE_LIT("AAAAAAAAAAAAAAAAAAAAAA")));
}

/* A key that is remembered is judged by the same rules as one that comes for the first time. */
static void known_key_changes_no_answer(void **state) {
    (void)state;
    static struct sp_dpop_keys keys;
    char jkt[SP_JKT_CHARS];
    struct sp_dpop first, again;
    struct sp_dpop_expect e = proof_expect();
    forge_jkt(forge.keys[SP_ALG_RS256], jkt);
    e.jkt = SP_SLICE_ARRAY(jkt);
    e.keys = &keys;
    sp_slice proof = forge_proof((struct proof_parts){.alg = SP_ALG_RS256});
    assert_fault(proof_check(proof, e, &first), "ok");
    assert_fault(proof_check(proof, e, &again), "ok");
    assert_memory_equal(first.id, again.id, sizeof first.id);
    assert_memory_equal(first.jkt, again.jkt, sizeof first.jkt);
    assert_fault(proof_check(forge_proof((struct proof_parts){.alg = SP_ALG_RS256, .htm = "PUT"}), e, NULL),
                 "wrong_method");
    SP_AUTO(sp_buf) jwk = SP_BUF_INIT(4096);
    const char *text;
    forge_jwk(forge.keys[SP_ALG_RS256], &jwk);
    assert_status(sp_buf_cstr(&jwk, &text), SP_OK);
    struct proof_parts by_thief = {.alg = SP_ALG_RS256, .key = forge.keys[SP_ALG_PS256], .jwk = text};
    assert_fault(proof_check(forge_proof(by_thief), e, NULL), "bad_signature");
    struct proof_parts other_alg = {.alg = SP_ALG_ES256, .jwk = text};
    assert_fault(proof_check(forge_proof(other_alg), e, NULL), "bad_key");
    jkt[0] ^= 1;
    assert_fault(proof_check(proof, e, NULL), "wrong_key");
    sp_dpop_keys_done(&keys);
}

static void only_expected_keys_are_remembered(void **state) {
    (void)state;
    static struct sp_dpop_keys keys;
    struct sp_dpop_expect e = proof_expect();
    e.keys = &keys;
    for (int with_jkt = 0; with_jkt < 2; with_jkt++) {
        char jkt[SP_JKT_CHARS];
        size_t n = 0;
        forge_jkt(forge.keys[SP_ALG_ES256], jkt);
        if (with_jkt) e.jkt = SP_SLICE_ARRAY(jkt);
        assert_fault(proof_check(forge_proof((struct proof_parts){0}), e, NULL), "ok");
        for (size_t i = 0; i < SP_DPOP_KEYS; i++) n += keys.known[i].key != NULL;
        assert_int_equal(n, with_jkt);
    }
    sp_dpop_keys_done(&keys);
}

static void keys_push_each_other_out_of_their_places(void **state) {
    (void)state;
    static struct sp_dpop_keys keys;
    for (int i = 0; i < 3 * SP_DPOP_KEYS; i++) {
        SP_AUTO_FREE(sp_sig_key) key = NULL;
        char jkt[SP_JKT_CHARS];
        struct sp_dpop_expect e = proof_expect();
        assert_status(sp_sig_key_generate(SP_ALG_EDDSA, &sp_random_system, &key), SP_OK);
        forge_jkt(key, jkt);
        e.jkt = SP_SLICE_ARRAY(jkt);
        e.keys = &keys;
        for (int round = 0; round < 2; round++)
            assert_fault(
                proof_check(forge_proof((struct proof_parts){.alg = SP_ALG_EDDSA, .key = key}), e, NULL),
                "ok");
    }
    sp_dpop_keys_done(&keys);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(examples_of_the_rfc_hold),
        cmocka_unit_test(every_asymmetric_algorithm_proves),
        cmocka_unit_test(algorithms_can_be_narrowed_never_widened),
        cmocka_unit_test(typ_is_that_of_a_proof),
        cmocka_unit_test(claims_are_required),
        cmocka_unit_test(claims_have_their_form),
        cmocka_unit_test(jti_has_256_bytes_at_most),
        cmocka_unit_test(method_is_exact),
        cmocka_unit_test(one_of_several_urls_is_enough),
        cmocka_unit_test(window_of_time_is_a_minute_back_and_five_seconds_ahead),
        cmocka_unit_test(proof_is_remembered_as_long_as_it_could_pass),
        cmocka_unit_test(proof_names_the_access_token),
        cmocka_unit_test(key_is_the_one_that_is_bound),
        cmocka_unit_test(nonce_is_handed_back),
        cmocka_unit_test(id_tells_keys_and_jtis_apart),
        cmocka_unit_test(proof_from_before_the_start_may_have_been_used),
        cmocka_unit_test(escapes_do_not_hide_anything),
        cmocka_unit_test(no_proof_is_missing_and_a_long_one_is_not_read),
        cmocka_unit_test(faults_have_codes_and_sentences),
        cmocka_unit_test(jkt_is_43_characters),
        cmocka_unit_test(nonce_is_good_in_its_slot_and_the_next),
        cmocka_unit_test(nonce_of_the_first_slot_is_good),
        cmocka_unit_test(known_key_changes_no_answer),
        cmocka_unit_test(only_expected_keys_are_remembered),
        cmocka_unit_test(keys_push_each_other_out_of_their_places),
    };
    return cmocka_run_group_tests(tests, forge_setup, forge_teardown);
}
