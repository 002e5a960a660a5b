/* Tokens that are genuine and meant for someone else: another issuer, another audience, another kind. */
#include "forge.h"

static enum sp_reject check_with(const char *iss, const char *aud) {
    char payload[512];
    snprintf(payload, sizeof payload, "{\"exp\":1700000900%s%s%s%s}",
             iss == NULL ? "" : ",\"iss\":", iss == NULL ? "" : iss,
             aud == NULL ? "" : ",\"aud\":", aud == NULL ? "" : aud);
    return forge_check(forge_token(SP_ALG_HS256, payload));
}

static void issuer_is_exact(void **state) {
    (void)state;
    static const char *const others[] = {"\"https://issuer.example/\"",
                                         "\"https://issuer.exampl\"",
                                         "\"https://issuer.example.evil\"",
                                         "\"HTTPS://issuer.example\"",
                                         "\"\"",
                                         "\"https://issuer.example\\u0000\"",
                                         "\" https://issuer.example\""};
    assert_reject(check_with("\"https://issuer.example\"", "\"api\""), "ok");
    assert_reject(check_with("\"https:\\/\\/issuer.example\"", "\"api\""), "ok");
    assert_reject(check_with(NULL, "\"api\""), "bad_issuer");
    for (size_t i = 0; i < SP_ARRAY_LEN(others); i++)
        assert_reject(check_with(others[i], "\"api\""), "bad_issuer");
    assert_reject(check_with("[\"https://issuer.example\"]", "\"api\""), "bad_payload");
    assert_reject(check_with("null", "\"api\""), "bad_payload");
}

static void audience_is_exact_and_one_of_a_list(void **state) {
    (void)state;
    static const char *const good[] = {"\"api\"", "[\"api\"]", "[\"other\",\"api\"]",
                                       "[\"\",\"api\",\"api\"]", "[\"a pi\",\"\\u0061pi\"]"};
    static const char *const bad[] = {
        "\"ap\"",          "\"apis\"",       "\"API\"",       "\"\"",          "[]",
        "[\"\"]",          "[\"a\",\"pi\"]", "\"api other\"", "\"api,other\"", "\"*\"",
        "[\"api\\u0000\"]"};
    static const char *const wrong_type[] = {"null",        "1",   "true",        "{}",
                                             "{\"api\":1}", "[1]", "[[\"api\"]]", "[null,\"api\"]"};
    const char *iss = "\"https://issuer.example\"";
    for (size_t i = 0; i < SP_ARRAY_LEN(good); i++) assert_reject(check_with(iss, good[i]), "ok");
    for (size_t i = 0; i < SP_ARRAY_LEN(bad); i++) assert_reject(check_with(iss, bad[i]), "bad_audience");
    for (size_t i = 0; i < SP_ARRAY_LEN(wrong_type); i++)
        assert_reject(check_with(iss, wrong_type[i]), "bad_payload");
    assert_reject(check_with(iss, NULL), "bad_audience");
}

static enum sp_reject check_typ(const char *member) {
    char header[256];
    snprintf(header, sizeof header, "{\"alg\":\"HS256\",\"kid\":\"HS256\"%s}", member);
    return forge_check(forge_sign(SP_ALG_HS256, header, FORGE_CLAIMS));
}

/* An ID token, a logout token or a proof of possession by the same issuer and key is not an access token (RFC
 * 8725 section 3.11). */
static void typ_keeps_kinds_of_tokens_apart(void **state) {
    (void)state;
    static const char *const good[] = {",\"typ\":\"at+jwt\"", ",\"typ\":\"application/at+jwt\"",
                                       ",\"typ\":\"AT+JWT\""};
    static const char *const bad[] = {"",
                                      ",\"typ\":\"JWT\"",
                                      ",\"typ\":\"dpop+jwt\"",
                                      ",\"typ\":\"logout+jwt\"",
                                      ",\"typ\":\"at+jwt2\"",
                                      ",\"typ\":\"at\"",
                                      ",\"typ\":\"application/application/at+jwt\"",
                                      ",\"typ\":\"text/at+jwt\"",
                                      ",\"typ\":\"at+jwt\\u0000\"",
                                      ",\"typ\":\"application/\""};
    static const char *const wrong_type[] = {",\"typ\":null", ",\"typ\":1", ",\"typ\":[\"at+jwt\"]",
                                             ",\"typ\":\"\""};
    for (size_t i = 0; i < SP_ARRAY_LEN(good); i++) assert_reject(check_typ(good[i]), "ok");
    for (size_t i = 0; i < SP_ARRAY_LEN(bad); i++) assert_reject(check_typ(bad[i]), "bad_typ");
    for (size_t i = 0; i < SP_ARRAY_LEN(wrong_type); i++)
        assert_reject(check_typ(wrong_type[i]), "bad_header");
}

static void claims_of_the_wrong_type_are_refused(void **state) {
    (void)state;
    static const char *const members[] = {
        "\"sub\":1",
        "\"jti\":null",
        "\"sid\":[]",
        "\"client_id\":{}",
        "\"roles\":\"admin\"",
        "\"roles\":[1]",
        "\"roles\":[\"a b\"]",
        "\"roles\":[\"\"]",
        "\"roles\":[\"a\\u0020b\"]",
        "\"roles\":{\"admin\":true}",
        "\"permissions\":[[\"*\"]]",
        "\"permissions\":\"*\"",
        "\"scope\":[\"a\"]",
        "\"scope\":\"a  b\"",
        "\"scope\":\" a\"",
        "\"scope\":\"a\\tb\"",
        "\"epu\":-1",
        "\"epu\":4294967296",
        "\"epg\":\"1\"",
        "\"epg\":1.0",
        "\"amr\":\"pwd\"",
        "\"cnf\":null",
        "\"cnf\":{}",
        "\"cnf\":{\"jkt\":1}",
        "\"cnf\":{\"jkt\":\"\"}",
        "\"cnf\":{\"x5t#S256\":\"a\"}",
        "\"cnf\":{\"jkt\":\"a\",\"x5t#S256\":\"b\"}",
        "\"cnf\":\"jkt\"",
    };
    for (size_t i = 0; i < SP_ARRAY_LEN(members); i++) {
        char payload[512];
        snprintf(payload, sizeof payload,
                 "{\"iss\":\"https://issuer.example\",\"aud\":\"api\",\"exp\":1700000900,%s}", members[i]);
        assert_reject(forge_check(forge_token(SP_ALG_HS256, payload)), "bad_payload");
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(issuer_is_exact),
        cmocka_unit_test(audience_is_exact_and_one_of_a_list),
        cmocka_unit_test(typ_keeps_kinds_of_tokens_apart),
        cmocka_unit_test(claims_of_the_wrong_type_are_refused),
    };
    return cmocka_run_group_tests(tests, forge_setup, forge_teardown);
}
