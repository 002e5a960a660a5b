/* Every way to write a date that is not a plain integer, and every side of every boundary. */
#include "forge.h"

static enum sp_reject check_member(const char *name, const char *value, uint32_t leeway_s) {
    char payload[512];
    struct sp_check_policy policy = forge_policy();
    policy.leeway_s = leeway_s;
    bool is_exp = strcmp(name, "exp") == 0;
    snprintf(payload, sizeof payload, "{\"iss\":\"https://issuer.example\",\"aud\":\"api\",%s\"%s\":%s}",
             is_exp ? "" : "\"exp\":1700000900,", name, value);
    return forge_check_with(forge_token(SP_ALG_HS256, payload), &forge.jwks, policy);
}

static void dates_that_are_not_plain_integers_are_refused(void **state) {
    (void)state;
    static const char *const names[] = {"exp", "nbf", "iat", "auth_time"};
    static const char *const values[] = {
        "\"1700000900\"",
        "1700000900.0",
        "1700000900.5",
        "1.7e9",
        "17E8",
        "1700000900e0",
        "-1",
        "-1700000900",
        "-0",
        "null",
        "true",
        "[]",
        "[1700000900]",
        "{}",
        "{\"$date\":1700000900}",
        "\"2099-01-01T00:00:00Z\"",
        "\"\"",
        "9223372036854775808",
        "99999999999999999999999999",
        "18446744073709551616",
        "1e400",
        "253402300800",
        "9223372036854775807",
        "0.0",
        "1700000900000",
        "\"Infinity\"",
    };
    for (size_t n = 0; n < SP_ARRAY_LEN(names); n++)
        for (size_t v = 0; v < SP_ARRAY_LEN(values); v++) {

            assert_reject(check_member(names[n], values[v], 60), "bad_date");
        }
}

static void numbers_that_are_not_json_are_refused(void **state) {
    (void)state;
    static const char *const values[] = {"01700000900", "+1700000900", "0x6553F3A4",  "1_700_000_900",
                                         "1700000900.", ".5",          "NaN",         "Infinity",
                                         "-Infinity",   "1700000900n", "1700000900 1"};
    for (size_t v = 0; v < SP_ARRAY_LEN(values); v++)
        assert_reject(check_member("exp", values[v], 0), "bad_payload");
}

static void token_without_exp_is_refused(void **state) {
    (void)state;
    assert_reject(check_member("iat", "1", 0), "ok");
    assert_reject(
        forge_check(forge_token(SP_ALG_HS256, "{\"iss\":\"https://issuer.example\",\"aud\":\"api\"}")),
        "missing_exp");
    assert_reject(forge_check(forge_token(SP_ALG_HS256, "{\"Exp\":1700000900}")), "missing_exp");
    assert_reject(forge_check(forge_token(SP_ALG_HS256, "{\"x\":{\"exp\":1700000900}}")), "missing_exp");
}

static void exp_ends_at_its_second_exactly(void **state) {
    (void)state;
    assert_reject(check_member("exp", "1700000001", 0), "ok");
    assert_reject(check_member("exp", "1700000000", 0), "expired"); /* RFC 7519: on or after */
    assert_reject(check_member("exp", "1699999999", 0), "expired");
    assert_reject(check_member("exp", "0", 0), "expired");
    assert_reject(check_member("exp", "253402300799", 0), "ok");
}

static void leeway_moves_the_bounds_and_no_further_than_a_minute(void **state) {
    (void)state;
    assert_reject(check_member("exp", "1699999991", 10), "ok");
    assert_reject(check_member("exp", "1699999990", 10), "expired");
    assert_reject(check_member("exp", "1699999941", 60), "ok");
    assert_reject(check_member("exp", "1699999940", 60), "expired");
    assert_reject(check_member("exp", "1699999940", UINT32_MAX), "expired");
    assert_reject(check_member("nbf", "1700000060", 60), "ok");
    assert_reject(check_member("nbf", "1700000061", UINT32_MAX), "not_yet_valid");
}

static void nbf_and_iat_may_not_lie_ahead(void **state) {
    (void)state;
    assert_reject(check_member("nbf", "1700000000", 0), "ok");
    assert_reject(check_member("nbf", "1700000001", 0), "not_yet_valid");
    assert_reject(check_member("iat", "1700000000", 0), "ok");
    assert_reject(check_member("iat", "1700000001", 0), "issued_in_future");
    assert_reject(check_member("iat", "1700000010", 10), "ok");
    assert_reject(check_member("iat", "253402300799", 60), "issued_in_future");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dates_that_are_not_plain_integers_are_refused),
        cmocka_unit_test(numbers_that_are_not_json_are_refused),
        cmocka_unit_test(token_without_exp_is_refused),
        cmocka_unit_test(exp_ends_at_its_second_exactly),
        cmocka_unit_test(leeway_moves_the_bounds_and_no_further_than_a_minute),
        cmocka_unit_test(nbf_and_iat_may_not_lie_ahead),
    };
    return cmocka_run_group_tests(tests, forge_setup, forge_teardown);
}
