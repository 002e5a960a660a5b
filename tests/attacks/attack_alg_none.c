/* "alg":"none" in every spelling, with and without a signature (CVE-2015-9235 and its many cousins). */
#include "forge.h"

static const char *const spellings[] = {"none",         "None",  "NONE",        "nOnE", "n\\u006fne",
                                        "none ",        " none", "none\\u0000", "null", "",
                                        "HS256\\u0000", "hs256", "ES256,none"};

static void no_spelling_of_none_is_accepted(void **state) {
    (void)state;
    for (size_t i = 0; i < SP_ARRAY_LEN(spellings); i++) {
        char header[128];
        snprintf(header, sizeof header, "{\"alg\":\"%s\",\"kid\":\"ES256\",\"typ\":\"at+jwt\"}",
                 spellings[i]);
        sp_slice h = sp_slice_cstr(header), p = SP_SLICE_LIT(FORGE_CLAIMS);
        forge_assert_refused(forge_join(h, p, SP_SLICE_EMPTY), "alg_not_allowed");
        forge_assert_refused(forge_sign_slices(SP_ALG_ES256, forge.keys[SP_ALG_ES256], h, p),
                             "alg_not_allowed");
    }
}

static void alg_of_another_type_is_a_bad_header(void **state) {
    (void)state;
    static const char *const values[] = {"null", "true", "0", "[]", "{}", "[\"ES256\"]", "256"};
    for (size_t i = 0; i < SP_ARRAY_LEN(values); i++) {
        char header[128];
        snprintf(header, sizeof header, "{\"alg\":%s,\"kid\":\"ES256\",\"typ\":\"at+jwt\"}", values[i]);
        forge_assert_refused(forge_sign(SP_ALG_ES256, header, FORGE_CLAIMS), "bad_header");
    }
    forge_assert_refused(forge_sign(SP_ALG_ES256, "{\"kid\":\"ES256\",\"typ\":\"at+jwt\"}", FORGE_CLAIMS),
                         "bad_header");
}

static void good_token_without_its_signature_is_refused(void **state) {
    (void)state;
    for (int alg = 0; alg < SP_ALG_COUNT; alg++) {
        sp_slice token = forge_token((enum sp_alg)alg, FORGE_CLAIMS);
        assert_reject(forge_check(token), "ok");
        while (token.p[token.n - 1] != '.') token.n--;
        forge_assert_refused(token, "bad_signature");
        token.n--;
        forge_assert_refused(token, "malformed");
    }
}

static void algorithm_off_the_allow_list_is_refused_although_it_verifies(void **state) {
    (void)state;
    struct sp_check_policy policy = forge_policy();
    policy.algs = SP_ALG_BIT(SP_ALG_ES256);
    for (int alg = 0; alg < SP_ALG_COUNT; alg++) {
        sp_slice token = forge_token((enum sp_alg)alg, FORGE_CLAIMS);
        assert_reject(forge_check_with(token, &forge.jwks, policy),
                      alg == SP_ALG_ES256 ? "ok" : "alg_not_allowed");
    }
    policy.algs = 0;
    assert_reject(forge_check_with(forge_token(SP_ALG_ES256, FORGE_CLAIMS), &forge.jwks, policy),
                  "alg_not_allowed");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_spelling_of_none_is_accepted),
        cmocka_unit_test(alg_of_another_type_is_a_bad_header),
        cmocka_unit_test(good_token_without_its_signature_is_refused),
        cmocka_unit_test(algorithm_off_the_allow_list_is_refused_although_it_verifies),
    };
    return cmocka_run_group_tests(tests, forge_setup, forge_teardown);
}
