/* kid is an attacker's string: it is compared, never opened, queried or formatted. */
#include "forge.h"

static sp_slice with_kid(const char *json_value) {
    static char header[2048];
    snprintf(header, sizeof header, "{\"alg\":\"ES256\",\"kid\":%s,\"typ\":\"at+jwt\"}", json_value);
    return forge_sign(SP_ALG_ES256, header, FORGE_CLAIMS);
}

static void strangers_are_unknown(void **state) {
    (void)state;
    static const char *const kids[] = {
        "\"../../../../dev/null\"",
        "\"/dev/null\"",
        "\"' OR 1=1 --\"",
        "\"ES256' UNION SELECT 'x\"",
        "\"|whoami\"",
        "\"$(id)\"",
        "\"%s%s%n\"",
        "\"es256\"",
        "\"ES256 \"",
        "\" ES256\"",
        "\"ES25\"",
        "\"ES2566\"",
        "\"ES256\\u0000\"",
        "\"ES256\\u0000.pem\"",
        "\"\\u0000\"",
        "\"ES256\\n\"",
        "\"\xd0\x95S256\"",
        "\"\xef\xbc\xa5S256\"",
    };
    for (size_t i = 0; i < SP_ARRAY_LEN(kids); i++) forge_assert_refused(with_kid(kids[i]), "unknown_kid");
}

static void kid_of_another_form_is_a_bad_header(void **state) {
    (void)state;
    static const char *const kids[] = {"null", "1",    "true", "[\"ES256\"]",
                                       "{}",   "\"\"", "[]",   "{\"ES256\":1}"};
    for (size_t i = 0; i < SP_ARRAY_LEN(kids); i++) forge_assert_refused(with_kid(kids[i]), "bad_header");
}

static void huge_kid_is_a_bad_header(void **state) {
    (void)state;
    char kid[1024];
    memset(kid, 'A', sizeof kid);
    kid[0] = kid[SP_KID_BYTES_MAX + 2] = '"';
    kid[SP_KID_BYTES_MAX + 3] = 0;
    forge_assert_refused(with_kid(kid), "bad_header");
    kid[SP_KID_BYTES_MAX + 1] = '"';
    kid[SP_KID_BYTES_MAX + 2] = 0;
    forge_assert_refused(with_kid(kid), "unknown_kid");
    char escaped[1400] = "\"", *at = escaped + 1;
    for (int i = 0; i < 100; i++) at += snprintf(at, 8, "\\u20ac"); /* 300 bytes unescaped */
    snprintf(at, 2, "\"");
    forge_assert_refused(with_kid(escaped), "bad_header");
}

static void escaped_kid_is_the_same_kid(void **state) {
    (void)state;
    assert_reject(forge_check(with_kid("\"\\u0045S256\"")), "ok");
}

static void kid_of_another_key_does_not_verify(void **state) {
    (void)state;
    forge_assert_refused(with_kid("\"RS256\""), "alg_key_mismatch");
}

static void without_kid_only_raw_mode_looks_for_the_single_key(void **state) {
    (void)state;
    struct sp_jwk two[2] = {forge.jwk[SP_ALG_ES256], forge.jwk[SP_ALG_ES256]};
    struct sp_jwks twice = {.keys = two, .n = 2}, none = SP_JWKS_INIT;
    sp_slice token = forge_sign(SP_ALG_ES256, "{\"alg\":\"ES256\",\"typ\":\"at+jwt\"}", FORGE_CLAIMS);
    assert_reject(forge_check(token), "missing_kid");
    assert_reject(forge_check_with(token, &forge.jwks, forge_policy_raw()), "ok");
    assert_reject(forge_check_with(token, &twice, forge_policy_raw()), "no_key");
    assert_reject(forge_check_with(token, &none, forge_policy_raw()), "no_key");
}

static void two_keys_of_one_kid_serve_nobody(void **state) {
    (void)state;
    struct sp_jwk two[2] = {forge.jwk[SP_ALG_ES256], forge.jwk[SP_ALG_ES256]};
    struct sp_jwks twice = {.keys = two, .n = 2};
    assert_reject(forge_check_with(forge_token(SP_ALG_ES256, FORGE_CLAIMS), &twice, forge_policy()),
                  "no_key");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strangers_are_unknown),
        cmocka_unit_test(kid_of_another_form_is_a_bad_header),
        cmocka_unit_test(huge_kid_is_a_bad_header),
        cmocka_unit_test(escaped_kid_is_the_same_kid),
        cmocka_unit_test(kid_of_another_key_does_not_verify),
        cmocka_unit_test(without_kid_only_raw_mode_looks_for_the_single_key),
        cmocka_unit_test(two_keys_of_one_kid_serve_nobody),
    };
    return cmocka_run_group_tests(tests, forge_setup, forge_teardown);
}
