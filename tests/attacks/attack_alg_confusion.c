/* A token signed under one algorithm with what the attacker knows of a key of another: above all HS256 with
 * the public key as the secret (CVE-2016-5431, CVE-2016-10555 and again every year), and HS256 with an empty
 * secret when a library finds no bytes in an RSA key (CVE-2026-44699). */
#include "forge.h"

#include <openssl/evp.h>
#include <openssl/pem.h>

static const enum sp_alg publics[] = {SP_ALG_ES256, SP_ALG_RS256, SP_ALG_PS256, SP_ALG_EDDSA};

/* HS256 over the token with any secret, shorter than we would load. */
static sp_slice hs256_with(sp_slice secret, const char *kid) {
    char header[128];
    uint8_t mac[SP_SHA256_BYTES];
    snprintf(header, sizeof header, "{\"alg\":\"HS256\",\"kid\":\"%s\",\"typ\":\"at+jwt\"}", kid);
    sp_slice h = sp_slice_cstr(header), p = SP_SLICE_LIT(FORGE_CLAIMS);
    sp_slice input = forge_join(h, p, SP_SLICE_EMPTY);
    sp_hmac_sha256(secret, sp_slice_of(input.p, input.n - 1), mac);
    return forge_join(h, p, SP_SLICE_ARRAY(mac));
}

static void assert_secret_is_useless(sp_slice secret, enum sp_alg alg) {
    forge_assert_refused(hs256_with(secret, sp_alg_name(alg)), "alg_key_mismatch");
}

/* The forms in which a public key is at hand: PEM and DER as files have it, raw components and the JWK as a
 * key endpoint has it. */
static void public_key_in_no_form_is_an_hmac_secret(void **state) {
    (void)state;
    for (size_t i = 0; i < SP_ARRAY_LEN(publics); i++) {
        struct sp_sig_public public;
        SP_AUTO(sp_buf) jwk = SP_BUF_INIT(4096);
        enum sp_alg alg = publics[i];
        assert_status(sp_sig_key_public(forge.keys[alg], &public), SP_OK);
        assert_status(sp_jwk_write_public(SP_SLICE_LIT("k"), alg, forge.keys[alg], &jwk), SP_OK);
        assert_secret_is_useless(sp_buf_slice(&jwk), alg);
        assert_secret_is_useless(sp_slice_of(public.n, public.n_bytes), alg);
        assert_secret_is_useless(sp_slice_of(public.e, public.e_bytes), alg);
        assert_secret_is_useless(SP_SLICE_ARRAY(public.x), alg);
        assert_secret_is_useless(sp_slice_of(public.x, 64), alg); /* x || y */
        assert_secret_is_useless(SP_SLICE_EMPTY, alg);
    }
}

static void public_key_as_pem_or_der_is_not_an_hmac_secret(void **state) {
    (void)state;
    for (size_t i = 0; i < SP_ARRAY_LEN(publics); i++) {
        SP_AUTO(sp_buf) form = SP_BUF_INIT(SP_SIG_PRIVATE_BYTES_MAX);
        enum sp_alg alg = publics[i];
        if (alg == SP_ALG_EDDSA) continue; /* its private form is a seed */
        assert_status(sp_sig_key_export_private(forge.keys[alg], &form), SP_OK);
        const uint8_t *at = form.p;
        uint8_t *der = NULL;
        char *pem;
        EVP_PKEY *pkey = d2i_AutoPrivateKey(NULL, &at, (long)form.n);
        int der_n = i2d_PUBKEY(pkey, &der);
        BIO *bio = BIO_new(BIO_s_mem());
        assert_int_equal(PEM_write_bio_PUBKEY(bio, pkey), 1);
        long pem_n = BIO_get_mem_data(bio, &pem);
        assert_secret_is_useless(sp_slice_of(der, (size_t)der_n), alg);
        assert_secret_is_useless(sp_slice_of(pem, (size_t)pem_n), alg);
        assert_secret_is_useless(sp_slice_of(pem, (size_t)pem_n - 1), alg); /* without the last newline */
        OPENSSL_free(der);
        BIO_free(bio);
        EVP_PKEY_free(pkey);
    }
}

static void every_pair_of_key_and_algorithm_but_its_own_is_refused(void **state) {
    (void)state;
    for (int key = 0; key < SP_ALG_COUNT; key++) {
        for (int alg = 0; alg < SP_ALG_COUNT; alg++) {
            char header[128];
            if (alg == key) continue;
            snprintf(header, sizeof header, "{\"alg\":\"%s\",\"kid\":\"%s\",\"typ\":\"at+jwt\"}",
                     sp_alg_name((enum sp_alg)alg), sp_alg_name((enum sp_alg)key));
            sp_slice token = forge_sign_slices((enum sp_alg)key, forge.keys[key], sp_slice_cstr(header),
                                               SP_SLICE_LIT(FORGE_CLAIMS));
            forge_assert_refused(token, "alg_key_mismatch");
        }
    }
}

/* The JWK has no alg, so nothing in the set says "not HS256": the type must. */
static void key_without_alg_is_bound_by_its_type(void **state) {
    (void)state;
    for (size_t i = 0; i < SP_ARRAY_LEN(publics); i++) {
        struct sp_jwk jwk = forge.jwk[publics[i]];
        struct sp_jwks jwks = {.keys = &jwk, .n = 1};
        jwk.algs = sp_sig_key_algs(jwk.key);
        sp_slice token = hs256_with(SP_SLICE_EMPTY, sp_alg_name(publics[i]));
        assert_reject(forge_check_with(token, &jwks, forge_policy()), "alg_key_mismatch");
        assert_reject(forge_check_with(token, &jwks, forge_policy_raw()), "alg_key_mismatch");
    }
}

/* Even a lookup that hands out the wrong key, or claims that it serves everything, opens nothing. */
static enum sp_reject find_anything(void *arg, const struct sp_jws_header *header,
                                    const struct sp_jwk **ret_jwk) {
    (void)header;
    *ret_jwk = arg;
    return SP_REJECT_NONE;
}

static void careless_lookup_opens_nothing(void **state) {
    (void)state;
    struct sp_check_policy policy = forge_policy();
    for (size_t i = 0; i < SP_ARRAY_LEN(publics); i++) {
        struct sp_jwk jwk = forge.jwk[publics[i]];
        struct sp_key_lookup lookup = {.find = find_anything, .arg = &jwk};
        struct sp_checked checked;
        sp_slice token = hs256_with(SP_SLICE_EMPTY, "x");
        assert_reject(sp_check_token(token, &lookup, &policy, FORGE_NOW, &forge_scratch, &checked),
                      "alg_key_mismatch");
        jwk.algs = SP_ALG_ALL;
        assert_reject(sp_check_token(token, &lookup, &policy, FORGE_NOW, &forge_scratch, &checked),
                      "alg_key_mismatch");
    }
}

static void hmac_key_in_a_set_of_strangers_is_not_loaded(void **state) {
    (void)state;
    sp_slice set = SP_SLICE_LIT("{\"keys\":[{\"kty\":\"oct\",\"kid\":\"a\",\"alg\":\"HS256\","
                                "\"k\":\"hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG-Onbc6mxCcYg\"}]}");
    struct sp_jwks jwks = SP_JWKS_INIT;
    assert_status(sp_jwks_parse(set, SP_JWK_PUBLIC_ONLY, &jwks), SP_OK);
    assert_int_equal(jwks.n, 0);
    assert_int_equal(jwks.skipped, 1);
    sp_jwks_done(&jwks);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(public_key_in_no_form_is_an_hmac_secret),
        cmocka_unit_test(public_key_as_pem_or_der_is_not_an_hmac_secret),
        cmocka_unit_test(every_pair_of_key_and_algorithm_but_its_own_is_refused),
        cmocka_unit_test(key_without_alg_is_bound_by_its_type),
        cmocka_unit_test(careless_lookup_opens_nothing),
        cmocka_unit_test(hmac_key_in_a_set_of_strangers_is_not_loaded),
    };
    return cmocka_run_group_tests(tests, forge_setup, forge_teardown);
}
