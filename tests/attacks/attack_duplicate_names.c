/* Two readers of one JSON take different members of a pair: so there may be no pair, however it is spelled.
 */
#include "forge.h"

static void repeated_header_names_are_refused(void **state) {
    (void)state;
    static const char *const headers[] = {
        "{\"alg\":\"ES256\",\"alg\":\"none\",\"kid\":\"ES256\",\"typ\":\"at+jwt\"}",
        "{\"alg\":\"none\",\"alg\":\"ES256\",\"kid\":\"ES256\",\"typ\":\"at+jwt\"}",
        "{\"alg\":\"ES256\",\"alg\":\"ES256\",\"kid\":\"ES256\",\"typ\":\"at+jwt\"}",
        "{\"alg\":\"ES256\",\"\\u0061lg\":\"none\",\"kid\":\"ES256\",\"typ\":\"at+jwt\"}",
        "{\"\\u0061\\u006c\\u0067\":\"none\",\"alg\":\"ES256\",\"kid\":\"ES256\",\"typ\":\"at+jwt\"}",
        "{\"alg\":\"ES256\",\"kid\":\"ES256\",\"k\\u0069d\":\"RS256\",\"typ\":\"at+jwt\"}",
        "{\"alg\":\"ES256\",\"kid\":\"ES256\",\"typ\":\"at+jwt\",\"x\":{\"a\":1,\"a\":2}}",
        "{\"alg\":\"ES256\",\"kid\":\"ES256\",\"typ\":\"at+jwt\",\"\":1,\"\":2}",
    };
    for (size_t i = 0; i < SP_ARRAY_LEN(headers); i++)
        forge_assert_refused(forge_sign(SP_ALG_ES256, headers[i], FORGE_CLAIMS), "duplicate_name");
}

static void repeated_claims_are_refused(void **state) {
    (void)state;
    static const char *const payloads[] = {
        "{\"exp\":1,\"exp\":1700000900}",
        "{\"exp\":1700000900,\"exp\":1}",
        "{\"exp\":1700000900,\"e\\u0078p\":9999999999}",
        "{\"exp\":1700000900,\"\\u0065\\u0078\\u0070\":1}",
        "{\"exp\":1700000900,\"sub\":\"u\",\"sub\":\"admin\"}",
        "{\"exp\":1700000900,\"cnf\":{\"jkt\":\"a\",\"jkt\":\"b\"}}",
        "{\"exp\":1700000900,\"x\":[{\"y\":{\"z\":1,\"z\":1}}]}",
        "{\"exp\":1700000900,\"a\\/b\":1,\"a/b\":2}",
        "{\"exp\":1700000900,\"\\ud83d\\ude00\":1,\"\xf0\x9f\x98\x80\":2}",
    };
    for (size_t i = 0; i < SP_ARRAY_LEN(payloads); i++)
        assert_reject(forge_check(forge_token(SP_ALG_ES256, payloads[i])), "duplicate_name");
}

static void names_that_only_look_alike_are_two_names(void **state) {
    (void)state;
    const char *payload =
        "{\"iss\":\"https://issuer.example\",\"aud\":\"api\",\"exp\":1700000900,\"EXP\":1,\"exp \":2,"
        "\"exp\\u0000\":3,\"e\xcc\x81xp\":4}";
    assert_reject(forge_check(forge_token(SP_ALG_ES256, payload)), "ok");
}

static void escaped_claim_name_is_the_claim(void **state) {
    (void)state;
    assert_reject(forge_check(forge_token(SP_ALG_ES256, "{\"e\\u0078p\":1}")), "expired");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(repeated_header_names_are_refused),
        cmocka_unit_test(repeated_claims_are_refused),
        cmocka_unit_test(names_that_only_look_alike_are_two_names),
        cmocka_unit_test(escaped_claim_name_is_the_claim),
    };
    return cmocka_run_group_tests(tests, forge_setup, forge_teardown);
}
