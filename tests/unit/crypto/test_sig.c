#include "crypto_test.h"

#include "crypto/digest.h"
#include "crypto/sig.h"

static const enum sp_alg all[] = {SP_ALG_ES256, SP_ALG_HS256, SP_ALG_RS256, SP_ALG_PS256, SP_ALG_EDDSA};
static struct sp_sig_key *keys[SP_ALG_COUNT];
static const sp_slice msg = SP_SLICE_LIT("eyJhbGciOiJFUzI1NiJ9.e30");

static int make_keys(void **state) {
    (void)state;
    for (size_t i = 0; i < SP_ARRAY_LEN(all); i++)
        if (!sp_ok(sp_sig_key_generate(all[i], &sp_random_system, &keys[all[i]]))) return -1;
    return 0;
}

static int free_keys(void **state) {
    (void)state;
    for (int i = 0; i < SP_ALG_COUNT; i++) sp_sig_key_free(keys[i]);
    return 0;
}

struct signature {
    uint8_t p[SP_SIG_BYTES_MAX];
    size_t n;
};

static struct signature sign(enum sp_alg alg) {
    struct signature s = {.n = 0};
    assert_status(sp_sig_sign(keys[alg], alg, msg, s.p, sizeof s.p, &s.n), SP_OK);
    assert_int_equal(s.n, sp_sig_bytes(keys[alg]));
    return s;
}

static void names_are_exact(void **state) {
    (void)state;
    static const char *const strangers[] = {"none",  "None", "es256",   "ES256 ", "ES384",
                                            "HS512", "",     "Ed25519", "RSA"};
    enum sp_alg alg;
    for (size_t i = 0; i < SP_ARRAY_LEN(all); i++) {
        assert_status(sp_alg_from_name(sp_slice_cstr(sp_alg_name(all[i])), &alg), SP_OK);
        assert_int_equal(alg, all[i]);
    }
    for (size_t i = 0; i < SP_ARRAY_LEN(strangers); i++)
        assert_status(sp_alg_from_name(sp_slice_cstr(strangers[i]), &alg), SP_E_UNSUPPORTED);
}

static void every_algorithm_verifies_its_signature_and_no_other(void **state) {
    (void)state;
    for (size_t i = 0; i < SP_ARRAY_LEN(all); i++) {
        struct signature s = sign(all[i]);
        assert_status(sp_sig_verify(keys[all[i]], all[i], msg, sp_slice_of(s.p, s.n)), SP_OK);
        assert_status(sp_sig_verify(keys[all[i]], all[i], SP_SLICE_LIT("other"), sp_slice_of(s.p, s.n)),
                      SP_E_CRYPTO);
        for (size_t byte = 0; byte < s.n; byte += 7) {
            s.p[byte] ^= 1;
            assert_status(sp_sig_verify(keys[all[i]], all[i], msg, sp_slice_of(s.p, s.n)), SP_E_CRYPTO);
            s.p[byte] ^= 1;
        }
    }
}

static void signature_of_any_other_length_is_refused(void **state) {
    (void)state;
    for (size_t i = 0; i < SP_ARRAY_LEN(all); i++) {
        struct signature s = sign(all[i]);
        for (size_t n = 0; n <= sizeof s.p; n++) {
            enum sp_code wanted = n == s.n ? SP_OK : SP_E_CRYPTO;
            assert_status(sp_sig_verify(keys[all[i]], all[i], msg, sp_slice_of(s.p, n)), wanted);
        }
    }
}

static void algorithm_of_another_type_is_refused(void **state) {
    (void)state;
    uint8_t sig[SP_SIG_BYTES_MAX] = {0};
    size_t n;
    for (size_t k = 0; k < SP_ARRAY_LEN(all); k++) {
        for (size_t a = 0; a < SP_ARRAY_LEN(all); a++) {
            if ((sp_sig_key_algs(keys[all[k]]) & SP_ALG_BIT(all[a])) != 0) continue;
            assert_status(sp_sig_verify(keys[all[k]], all[a], msg, sp_slice_of(sig, 32)), SP_E_REFUSED);
            assert_status(sp_sig_sign(keys[all[k]], all[a], msg, sig, sizeof sig, &n), SP_E_REFUSED);
        }
    }
}

static void rs256_signature_is_not_a_ps256_one(void **state) {
    (void)state;
    struct signature s = sign(SP_ALG_RS256);
    assert_status(sp_sig_verify(keys[SP_ALG_RS256], SP_ALG_PS256, msg, sp_slice_of(s.p, s.n)), SP_E_CRYPTO);
    s = sign(SP_ALG_PS256);
    assert_status(sp_sig_verify(keys[SP_ALG_PS256], SP_ALG_RS256, msg, sp_slice_of(s.p, s.n)), SP_E_CRYPTO);
}

static sp_status import_public(const struct sp_sig_public *p, struct sp_sig_key **ret) {
    switch (p->type) {
    case SP_KEY_EC_P256: return sp_sig_key_from_ec(SP_SLICE_ARRAY(p->x), SP_SLICE_ARRAY(p->y), ret);
    case SP_KEY_RSA:
        return sp_sig_key_from_rsa(sp_slice_of(p->n, p->n_bytes), sp_slice_of(p->e, p->e_bytes), ret);
    case SP_KEY_ED25519: return sp_sig_key_from_ed25519(SP_SLICE_ARRAY(p->x), ret);
    case SP_KEY_HMAC: break;
    }
    return sp_err(SP_E_UNSUPPORTED);
}

static void public_part_verifies_and_cannot_sign(void **state) {
    (void)state;
    struct sp_sig_public public;
    SP_AUTO(sp_buf) out = SP_BUF_INIT(SP_SIG_PRIVATE_BYTES_MAX);
    for (size_t i = 0; i < SP_ARRAY_LEN(all); i++) {
        if (all[i] == SP_ALG_HS256) continue;
        SP_AUTO_FREE(sp_sig_key) key = NULL;
        struct signature s = sign(all[i]);
        assert_status(sp_sig_key_public(keys[all[i]], &public), SP_OK);
        assert_status(import_public(&public, &key), SP_OK);
        assert_status(sp_sig_verify(key, all[i], msg, sp_slice_of(s.p, s.n)), SP_OK);
        assert_false(sp_sig_key_can_sign(key));
        assert_status(sp_sig_sign(key, all[i], msg, s.p, sizeof s.p, &s.n), SP_E_REFUSED);
        assert_status(sp_sig_key_export_private(key, &out), SP_E_REFUSED);
    }
    assert_status(sp_sig_key_public(keys[SP_ALG_HS256], &public), SP_E_REFUSED);
}

static void private_form_comes_back_as_the_same_key(void **state) {
    (void)state;
    for (size_t i = 0; i < SP_ARRAY_LEN(all); i++) {
        SP_AUTO(sp_buf) form = SP_BUF_INIT(SP_SIG_PRIVATE_BYTES_MAX);
        SP_AUTO_FREE(sp_sig_key) key = NULL;
        struct signature s = {.n = 0};
        assert_status(sp_sig_key_export_private(keys[all[i]], &form), SP_OK);
        assert_status(sp_sig_key_import_private(sp_sig_key_type(keys[all[i]]), sp_buf_slice(&form), &key),
                      SP_OK);
        assert_status(sp_sig_sign(key, all[i], msg, s.p, sizeof s.p, &s.n), SP_OK);
        assert_status(sp_sig_verify(keys[all[i]], all[i], msg, sp_slice_of(s.p, s.n)), SP_OK);
    }
}

static void private_form_of_another_type_or_with_leftovers_is_malformed(void **state) {
    (void)state;
    SP_AUTO(sp_buf) form = SP_BUF_INIT(SP_SIG_PRIVATE_BYTES_MAX);
    struct sp_sig_key *key;
    assert_status(sp_sig_key_export_private(keys[SP_ALG_ES256], &form), SP_OK);
    assert_status(sp_sig_key_import_private(SP_KEY_RSA, sp_buf_slice(&form), &key), SP_E_MALFORMED);
    assert_status(sp_sig_key_import_private(SP_KEY_ED25519, sp_buf_slice(&form), &key), SP_E_MALFORMED);
    assert_status(sp_buf_append_u8(&form, 0), SP_OK);
    assert_status(sp_sig_key_import_private(SP_KEY_EC_P256, sp_buf_slice(&form), &key), SP_E_MALFORMED);
    for (size_t n = 0; n + 1 < form.n; n++)
        assert_status(sp_sig_key_import_private(SP_KEY_EC_P256, sp_slice_of(form.p, n), &key),
                      SP_E_MALFORMED);
}

static void ec_point_must_lie_on_the_curve(void **state) {
    (void)state;
    struct sp_sig_public p;
    struct sp_sig_key *key;
    uint8_t zero[32] = {0}, prime[32];
    memcpy(prime, test_hex("ffffffff00000001000000000000000000000000ffffffffffffffffffffffff").p, 32);
    assert_status(sp_sig_key_public(keys[SP_ALG_ES256], &p), SP_OK);
    p.y[31] ^= 1;
    assert_status(sp_sig_key_from_ec(SP_SLICE_ARRAY(p.x), SP_SLICE_ARRAY(p.y), &key), SP_E_MALFORMED);
    p.y[31] ^= 1;
    assert_status(sp_sig_key_from_ec(SP_SLICE_ARRAY(zero), SP_SLICE_ARRAY(zero), &key), SP_E_MALFORMED);
    assert_status(sp_sig_key_from_ec(SP_SLICE_ARRAY(prime), SP_SLICE_ARRAY(p.y), &key), SP_E_MALFORMED);
    assert_status(sp_sig_key_from_ec(sp_slice_of(p.x, 31), SP_SLICE_ARRAY(p.y), &key), SP_E_MALFORMED);
}

/* RFC 7515 A.3 */
static void ec_private_key_from_its_components(void **state) {
    (void)state;
    struct test_bytes x = test_base64url("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"),
                      y = test_base64url("x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"),
                      d = test_base64url("jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI");
    SP_AUTO_FREE(sp_sig_key) key = NULL;
    struct sp_sig_key *none;
    struct signature s = {.n = 0};
    assert_status(sp_sig_key_from_ec_private(test_slice(&d), test_slice(&x), test_slice(&y), &key), SP_OK);
    assert_status(sp_sig_sign(key, SP_ALG_ES256, msg, s.p, sizeof s.p, &s.n), SP_OK);
    assert_status(sp_sig_verify(key, SP_ALG_ES256, msg, sp_slice_of(s.p, s.n)), SP_OK);
    d.p[31] ^= 1;
    assert_status(sp_sig_key_from_ec_private(test_slice(&d), test_slice(&x), test_slice(&y), &none),
                  SP_E_MALFORMED);
    memset(d.p, 0, d.n);
    assert_status(sp_sig_key_from_ec_private(test_slice(&d), test_slice(&x), test_slice(&y), &none),
                  SP_E_MALFORMED);
}

static void weak_rsa_keys_are_refused(void **state) {
    (void)state;
    static const struct {
        const char *e;
        enum sp_code wanted;
    } exponents[] = {{"01", SP_E_REFUSED},
                     {"03", SP_E_REFUSED},
                     {"11", SP_E_REFUSED},
                     {"ffff", SP_E_REFUSED},
                     {"010000", SP_E_REFUSED},
                     {"010002", SP_E_REFUSED},
                     {"010001", SP_OK},
                     {"010003", SP_OK},
                     {"00010001", SP_E_MALFORMED},
                     {"", SP_E_MALFORMED},
                     {"0100000001", SP_OK},
                     {"ffffffffffffffff", SP_OK},
                     {"010000000000000001", SP_E_REFUSED}};
    struct sp_sig_public p;
    assert_status(sp_sig_key_public(keys[SP_ALG_RS256], &p), SP_OK);
    for (size_t i = 0; i < SP_ARRAY_LEN(exponents); i++) {
        SP_AUTO_FREE(sp_sig_key) key = NULL;
        struct test_bytes e = test_hex(exponents[i].e);
        assert_status(sp_sig_key_from_rsa(sp_slice_of(p.n, p.n_bytes), test_slice(&e), &key),
                      exponents[i].wanted);
    }
}

static void rsa_modulus_out_of_range_is_refused(void **state) {
    (void)state;
    static uint8_t n[SP_SIG_BYTES_MAX + 1];
    struct sp_sig_key *key;
    uint8_t e[] = {1, 0, 1};
    memset(n, 0xff, sizeof n);
    assert_status(sp_sig_key_from_rsa(sp_slice_of(n, 255), SP_SLICE_ARRAY(e), &key), SP_E_REFUSED);
    assert_status(sp_sig_key_from_rsa(sp_slice_of(n, sizeof n), SP_SLICE_ARRAY(e), &key), SP_E_REFUSED);
    n[0] = 0x7f; /* 2047 bits */
    assert_status(sp_sig_key_from_rsa(sp_slice_of(n, 256), SP_SLICE_ARRAY(e), &key), SP_E_REFUSED);
    n[0] = 0xff;
    n[255] = 0xfe; /* even */
    assert_status(sp_sig_key_from_rsa(sp_slice_of(n, 256), SP_SLICE_ARRAY(e), &key), SP_E_REFUSED);
    n[0] = 0;
    assert_status(sp_sig_key_from_rsa(sp_slice_of(n, 257), SP_SLICE_ARRAY(e), &key), SP_E_MALFORMED);
    assert_status(sp_sig_key_generate_rsa(1024, &key), SP_E_REFUSED);
    assert_status(sp_sig_key_generate_rsa(16384, &key), SP_E_REFUSED);
}

static void ed25519_keys_of_small_order_or_not_canonical_are_refused(void **state) {
    (void)state;
    static const char *const bad[] = {
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000080",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    };
    struct sp_sig_key *key;
    for (size_t i = 0; i < SP_ARRAY_LEN(bad); i++) {
        struct test_bytes x = test_hex(bad[i]);
        assert_status(sp_sig_key_from_ed25519(test_slice(&x), &key), SP_E_REFUSED);
    }
    assert_status(sp_sig_key_from_ed25519(SP_SLICE_LIT("short"), &key), SP_E_MALFORMED);
}

static void ed25519_s_above_the_order_is_refused(void **state) {
    (void)state;
    struct signature s = sign(SP_ALG_EDDSA);
    struct test_bytes order = test_hex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
    unsigned carry = 0;
    for (size_t i = 0; i < 32; i++) {
        carry += (unsigned)s.p[32 + i] + order.p[i];
        s.p[32 + i] = (uint8_t)carry;
        carry >>= 8;
    }
    assert_status(sp_sig_verify(keys[SP_ALG_EDDSA], SP_ALG_EDDSA, msg, sp_slice_of(s.p, s.n)), SP_E_CRYPTO);
}

static void es256_zero_and_order_are_not_r_or_s(void **state) {
    (void)state;
    struct test_bytes order = test_hex("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551");
    for (int part = 0; part < 2; part++) {
        struct signature s = sign(SP_ALG_ES256);
        memset(s.p + 32 * part, 0, 32);
        assert_status(sp_sig_verify(keys[SP_ALG_ES256], SP_ALG_ES256, msg, sp_slice_of(s.p, s.n)),
                      SP_E_CRYPTO);
        memcpy(s.p + 32 * part, order.p, 32);
        assert_status(sp_sig_verify(keys[SP_ALG_ES256], SP_ALG_ES256, msg, sp_slice_of(s.p, s.n)),
                      SP_E_CRYPTO);
    }
    uint8_t zeros[64] = {0};
    assert_status(sp_sig_verify(keys[SP_ALG_ES256], SP_ALG_ES256, msg, SP_SLICE_ARRAY(zeros)), SP_E_CRYPTO);
}

static void short_hmac_keys_are_refused(void **state) {
    (void)state;
    static uint8_t k[SP_HMAC_KEY_BYTES_MAX + 1] = {7};
    SP_AUTO_FREE(sp_sig_key) key = NULL;
    assert_status(sp_sig_key_from_hmac(SP_SLICE_EMPTY, &key), SP_E_REFUSED);
    assert_status(sp_sig_key_from_hmac(sp_slice_of(k, 31), &key), SP_E_REFUSED);
    assert_status(sp_sig_key_from_hmac(SP_SLICE_ARRAY(k), &key), SP_E_REFUSED);
    assert_status(sp_sig_key_from_hmac(sp_slice_of(k, 32), &key), SP_OK);
}

static void key_lives_until_its_last_owner(void **state) {
    (void)state;
    struct sp_sig_key *key = NULL;
    struct signature s = {.n = 0};
    assert_status(sp_sig_key_generate(SP_ALG_ES256, &sp_random_system, &key), SP_OK);
    struct sp_sig_key *second = sp_sig_key_ref(key);
    sp_sig_key_free(key);
    assert_status(sp_sig_sign(second, SP_ALG_ES256, msg, s.p, sizeof s.p, &s.n), SP_OK);
    sp_sig_key_free(second);
    sp_sig_key_free(NULL);
}

static void no_room_for_the_signature_is_a_limit(void **state) {
    (void)state;
    uint8_t sig[63];
    size_t n = 7;
    assert_status(sp_sig_sign(keys[SP_ALG_ES256], SP_ALG_ES256, msg, sig, sizeof sig, &n), SP_E_LIMIT);
    assert_int_equal(n, 7);
}

static void without_randomness_no_key_is_made(void **state) {
    (void)state;
    struct sp_sig_key *key;
    assert_status(sp_sig_key_generate(SP_ALG_HS256, &test_random_broken, &key), SP_E_UNAVAILABLE);
    assert_status(sp_sig_key_generate(SP_ALG_EDDSA, &test_random_broken, &key), SP_E_UNAVAILABLE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_exact),
        cmocka_unit_test(every_algorithm_verifies_its_signature_and_no_other),
        cmocka_unit_test(signature_of_any_other_length_is_refused),
        cmocka_unit_test(algorithm_of_another_type_is_refused),
        cmocka_unit_test(rs256_signature_is_not_a_ps256_one),
        cmocka_unit_test(public_part_verifies_and_cannot_sign),
        cmocka_unit_test(private_form_comes_back_as_the_same_key),
        cmocka_unit_test(private_form_of_another_type_or_with_leftovers_is_malformed),
        cmocka_unit_test(ec_point_must_lie_on_the_curve),
        cmocka_unit_test(ec_private_key_from_its_components),
        cmocka_unit_test(weak_rsa_keys_are_refused),
        cmocka_unit_test(rsa_modulus_out_of_range_is_refused),
        cmocka_unit_test(ed25519_keys_of_small_order_or_not_canonical_are_refused),
        cmocka_unit_test(ed25519_s_above_the_order_is_refused),
        cmocka_unit_test(es256_zero_and_order_are_not_r_or_s),
        cmocka_unit_test(short_hmac_keys_are_refused),
        cmocka_unit_test(key_lives_until_its_last_owner),
        cmocka_unit_test(no_room_for_the_signature_is_a_limit),
        cmocka_unit_test(without_randomness_no_key_is_made),
    };
    return cmocka_run_group_tests(tests, make_keys, free_keys);
}
