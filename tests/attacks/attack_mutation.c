/* Every single character of a good token, changed, removed, doubled; every prefix. Nothing but the token
 * itself passes. */
#include "forge.h"

static uint8_t text[FORGE_TOKEN_MAX];

static void assert_refused(sp_slice token) {
    assert_false(sp_reject_is_ok(forge_check(token)));
    assert_false(sp_reject_is_ok(forge_check_with(token, &forge.jwks, forge_policy_raw())));
}

static void no_neighbour_of_a_token_passes(void **state) {
    (void)state;
    static const enum sp_alg algs[] = {SP_ALG_HS256, SP_ALG_EDDSA, SP_ALG_ES256};
    static const uint8_t others[] = {'A', 'B', '-', '_', '.', '=', 0, ' ', 0xff};
    for (size_t a = 0; a < SP_ARRAY_LEN(algs); a++) {
        sp_slice token = forge_token(algs[a], FORGE_CLAIMS);
        for (size_t i = 0; i < token.n; i++) {
            memcpy(text, token.p, token.n);
            for (size_t o = 0; o < SP_ARRAY_LEN(others); o++) {
                if (token.p[i] == others[o]) continue;
                text[i] = others[o];
                assert_refused(sp_slice_of(text, token.n));
            }
            memmove(text + i, token.p + i + 1, token.n - i - 1);
            assert_refused(sp_slice_of(text, token.n - 1));
            assert_refused(sp_slice_of(token.p, i));
        }
        assert_reject(forge_check(token), "ok");
    }
}

static void segments_of_two_tokens_do_not_mix(void **state) {
    (void)state;
    struct sp_jws a, b;
    sp_slice first = forge_token(SP_ALG_ES256, FORGE_CLAIMS);
    sp_slice second = forge_token(
        SP_ALG_ES256,
        "{\"iss\":\"https://issuer.example\",\"aud\":\"api\",\"sub\":\"admin\",\"exp\":1700000900}");
    assert_reject(sp_jws_split(first, &a), "ok");
    assert_reject(sp_jws_split(second, &b), "ok");
    int n = snprintf((char *)text, sizeof text, "%.*s.%.*s.%.*s", SP_SLICE_FMT(a.header),
                     SP_SLICE_FMT(b.payload), SP_SLICE_FMT(a.signature));
    forge_assert_refused(sp_slice_of(text, (size_t)n), "bad_signature");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_neighbour_of_a_token_passes),
        cmocka_unit_test(segments_of_two_tokens_do_not_mix),
    };
    return cmocka_run_group_tests(tests, forge_setup, forge_teardown);
}
