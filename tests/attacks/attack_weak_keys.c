/* Keys that verify what anyone can sign: RSA with e = 1, tiny or huge or even, points of small order, empty
 * secrets. A key set that holds one must not hold it. */
#include "forge.h"

static void assert_left_out(const char *jwk) {
    char set[4096];
    struct sp_jwks jwks = SP_JWKS_INIT;
    snprintf(set, sizeof set, "{\"keys\":[%s]}", jwk);
    assert_status(sp_jwks_parse(sp_slice_cstr(set), SP_JWK_WITH_SECRETS, &jwks), SP_OK);
    assert_int_equal(jwks.n, 0);
    assert_int_equal(jwks.skipped, 1);
    sp_jwks_done(&jwks);
}

static const char *n_of_bytes(size_t bytes) {
    static char text[SP_BASE64URL_CHARS(1100) + 1];
    static uint8_t n[1100];
    memset(n, 0xff, sizeof n);
    sp_base64url_encode(sp_slice_of(n, bytes), text);
    text[SP_BASE64URL_CHARS(bytes)] = 0;
    return text;
}

static void rsa_exponents_that_undo_nothing_are_left_out(void **state) {
    (void)state;
    static const char *const exponents[] = {
        "AQ", "AA", "Aw", "BQ", "AQAA", "AAEAAQ", "", "AQAB=", "AQABAQABAQABAQAB"};
    for (size_t i = 0; i < SP_ARRAY_LEN(exponents); i++) {
        char jwk[4096];
        snprintf(jwk, sizeof jwk, "{\"kty\":\"RSA\",\"n\":\"%s\",\"e\":\"%s\"}", n_of_bytes(256),
                 exponents[i]);
        assert_left_out(jwk);
    }
}

static void rsa_moduli_out_of_range_are_left_out(void **state) {
    (void)state;
    static const size_t bytes[] = {0, 1, 64, 128, 255, 1025, 1100};
    for (size_t i = 0; i < SP_ARRAY_LEN(bytes); i++) {
        char jwk[4096];
        snprintf(jwk, sizeof jwk, "{\"kty\":\"RSA\",\"n\":\"%s\",\"e\":\"AQAB\"}", n_of_bytes(bytes[i]));
        assert_left_out(jwk);
    }
}

static void ed25519_points_of_small_order_are_left_out(void **state) {
    (void)state;
    static const char *const points[] = {
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "7P_______________________________________38", "xxdqcD1N2E-6PAt2DRBnDyogU_osOczGTsf9d5KsA3o",
        "JuiVj8KyJ7BFw_SJ8u-Y8NXfrAXTxjM5sTgCiG1T_AU", "",
    };
    for (size_t i = 0; i < SP_ARRAY_LEN(points); i++) {
        char jwk[256];
        snprintf(jwk, sizeof jwk, "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"%s\"}", points[i]);
        assert_left_out(jwk);
    }
}

/* With A of order 1 the pair (R = sB, s) verifies for every message in a lax verifier. libsodium refuses the
 * key itself. */
static void small_order_key_verifies_nothing(void **state) {
    (void)state;
    uint8_t identity[32] = {1};
    struct sp_sig_key *key;
    assert_status(sp_sig_key_from_ed25519(SP_SLICE_ARRAY(identity), &key), SP_E_REFUSED);
}

static void ec_points_off_the_curve_are_left_out(void **state) {
    (void)state;
    assert_left_out("{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\","
                    "\"y\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}");
    assert_left_out("{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
                    "\"y\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\"}");
    assert_left_out(
        "{\"kty\":\"EC\",\"crv\":\"secp256k1\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
        "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}");
}

static void short_secrets_are_left_out(void **state) {
    (void)state;
    assert_left_out("{\"kty\":\"oct\",\"k\":\"\"}");
    assert_left_out("{\"kty\":\"oct\"}");
    assert_left_out("{\"kty\":\"oct\",\"alg\":\"HS256\",\"k\":\"c2VjcmV0\"}");
    assert_left_out("{\"kty\":\"oct\",\"k\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rsa_exponents_that_undo_nothing_are_left_out),
        cmocka_unit_test(rsa_moduli_out_of_range_are_left_out),
        cmocka_unit_test(ed25519_points_of_small_order_are_left_out),
        cmocka_unit_test(small_order_key_verifies_nothing),
        cmocka_unit_test(ec_points_off_the_curve_are_left_out),
        cmocka_unit_test(short_secrets_are_left_out),
    };
    return cmocka_run_group_tests(tests, forge_setup, forge_teardown);
}
