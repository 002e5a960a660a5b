/* The good cases and the contract of the two stages; what must be refused is in tests/attacks. */
#include "forge.h"

static void both_stages_say_what_the_whole_says(void **state) {
    (void)state;
    struct sp_check_policy policy = forge_policy();
    struct sp_key_lookup lookup = sp_key_lookup_jwks(&forge.jwks);
    struct sp_checked c;
    sp_slice token = forge_token(SP_ALG_ES256, FORGE_CLAIMS);
    assert_reject(sp_check_signature(token, &lookup, &policy, &forge_scratch, &c), "ok");
    assert_true(sp_slice_eq_cstr(c.claims.sub, "u"));
    assert_true(sp_slice_eq_cstr(c.payload, FORGE_CLAIMS));
    assert_int_equal(c.signature.n, 64);
    assert_ptr_equal(c.jwk, &forge.jwk[SP_ALG_ES256]);
    assert_reject(sp_check_claims(&c.claims, &policy, FORGE_NOW), "ok");
    assert_reject(sp_check_claims(&c.claims, &policy, FORGE_NOW + 900), "expired");
    policy.audience = SP_SLICE_LIT("other");
    assert_reject(sp_check_claims(&c.claims, &policy, FORGE_NOW), "bad_audience");
}

static void refusal_leaves_the_outputs_alone(void **state) {
    (void)state;
    struct sp_check_policy policy = forge_policy();
    struct sp_key_lookup lookup = sp_key_lookup_jwks(&forge.jwks);
    struct sp_checked c, before;
    memset(&c, 0x5a, sizeof c);
    before = c;
    sp_slice token = forge_token(SP_ALG_ES256, "{\"exp\":1}");
    assert_reject(sp_check_token(token, &lookup, &policy, FORGE_NOW, &forge_scratch, &c), "expired");
    assert_memory_equal(&c, &before, sizeof c);
}

/* One reader sees tokens of many keys, good and bad, in any order: with the memo it says what it says
 * without. */
static void header_seen_before_is_never_taken_for_another(void **state) {
    (void)state;
    static struct sp_check_scratch scratch;
    static char texts[2 * SP_ALG_COUNT + 2][1024];
    sp_slice tokens[SP_ARRAY_LEN(texts)];
    struct sp_check_policy policy = forge_policy();
    struct sp_key_lookup lookup = sp_key_lookup_jwks(&forge.jwks);
    struct sp_check_memo memo = {.text_n = 0};
    for (size_t i = 0; i < SP_ARRAY_LEN(tokens); i++) {
        sp_slice t = i < 2 * SP_ALG_COUNT ? forge_token((enum sp_alg)(i / 2), FORGE_CLAIMS)
                                          : SP_SLICE_LIT("bm90IGpzb24.e30.AAAA");
        memcpy(texts[i], t.p, t.n);
        if (i % 2 != 0) texts[i][i % 4 == 1 ? 7 : t.n - 3] ^= 1; /* in the header, or in the signature */
        tokens[i] = sp_slice_of(texts[i], t.n);
    }
    for (unsigned i = 0, at = 1; i < 500; i++, at = at * 69069 + 1) {
        struct sp_checked with, without;
        sp_slice t = tokens[(at >> 16) % SP_ARRAY_LEN(tokens)];
        enum sp_reject a = sp_check_signature_memo(t, &lookup, &policy, &scratch, &memo, &with);
        enum sp_reject b = sp_check_signature(t, &lookup, &policy, &forge_scratch, &without);
        assert_reject(a, sp_reject_code(b));
        if (!sp_reject_is_ok(a)) continue;
        assert_ptr_equal(with.jwk, without.jwk);
        assert_true(with.header.alg == without.header.alg &&
                    sp_slice_eq(with.header.kid, without.header.kid));
    }
}

static void raw_mode_takes_any_payload(void **state) {
    (void)state;
    assert_reject(forge_check_with(forge_token(SP_ALG_EDDSA, ""), &forge.jwks, forge_policy_raw()), "ok");
    assert_reject(forge_check_with(forge_token(SP_ALG_EDDSA, "foo"), &forge.jwks, forge_policy_raw()), "ok");
    assert_reject(forge_check_with(forge_sign(SP_ALG_EDDSA, "{\"alg\":\"EdDSA\",\"typ\":\"x\"}", "\xff"),
                                   &forge.jwks, forge_policy_raw()),
                  "ok");
}

static void empty_issuer_and_audience_are_not_checked(void **state) {
    (void)state;
    struct sp_check_policy policy = forge_policy();
    policy.issuer = policy.audience = SP_SLICE_EMPTY;
    assert_reject(forge_check_with(forge_token(SP_ALG_ES256, "{\"exp\":1700000900}"), &forge.jwks, policy),
                  "ok");
}

static void tools_accept_the_usual_types(void **state) {
    (void)state;
    static const struct {
        const char *typ, *wanted;
    } cases[] = {{"", "ok"},
                 {",\"typ\":\"JWT\"", "ok"},
                 {",\"typ\":\"jwt\"", "ok"},
                 {",\"typ\":\"at+jwt\"", "ok"},
                 {",\"typ\":\"dpop+jwt\"", "bad_typ"}};
    struct sp_check_policy policy = forge_policy();
    policy.typ_rule = SP_CHECK_TYP_ANY_JWT;
    for (size_t i = 0; i < SP_ARRAY_LEN(cases); i++) {
        char header[128];
        snprintf(header, sizeof header, "{\"alg\":\"HS256\",\"kid\":\"HS256\"%s}", cases[i].typ);
        assert_reject(forge_check_with(forge_sign(SP_ALG_HS256, header, FORGE_CLAIMS), &forge.jwks, policy),
                      cases[i].wanted);
    }
}

static void key_without_alg_verifies_both_rsa_algorithms(void **state) {
    (void)state;
    struct sp_jwk jwk = forge.jwk[SP_ALG_RS256];
    struct sp_jwks jwks = {.keys = &jwk, .n = 1};
    jwk.algs = sp_sig_key_algs(jwk.key);
    sp_slice header = SP_SLICE_LIT("{\"alg\":\"PS256\",\"kid\":\"RS256\",\"typ\":\"at+jwt\"}"),
             payload = SP_SLICE_LIT(FORGE_CLAIMS);
    sp_slice token = forge_sign_slices(SP_ALG_PS256, jwk.key, header, payload);
    assert_reject(forge_check_with(token, &jwks, forge_policy()), "ok");
    assert_reject(forge_check_with(token, &forge.jwks, forge_policy()), "alg_key_mismatch");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_stages_say_what_the_whole_says),
        cmocka_unit_test(refusal_leaves_the_outputs_alone),
        cmocka_unit_test(header_seen_before_is_never_taken_for_another),
        cmocka_unit_test(raw_mode_takes_any_payload),
        cmocka_unit_test(empty_issuer_and_audience_are_not_checked),
        cmocka_unit_test(tools_accept_the_usual_types),
        cmocka_unit_test(key_without_alg_verifies_both_rsa_algorithms),
    };
    return cmocka_run_group_tests(tests, forge_setup, forge_teardown);
}
