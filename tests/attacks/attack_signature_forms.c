/* Signatures that are numbers nobody computed: zeros (CVE-2022-21449), the order, DER instead of r || s, too
 * short, too long, twice. */
#include "forge.h"

static sp_slice with_signature(enum sp_alg alg, const uint8_t *sig, size_t n) {
    char header[128];
    snprintf(header, sizeof header, "{\"alg\":\"%s\",\"kid\":\"%s\",\"typ\":\"at+jwt\"}", sp_alg_name(alg),
             sp_alg_name(alg));
    return forge_join(sp_slice_cstr(header), SP_SLICE_LIT(FORGE_CLAIMS), sp_slice_of(sig, n));
}

static void constant_signatures_of_every_length_are_refused(void **state) {
    (void)state;
    static const size_t lengths[] = {0,  1,   31,  32,  33,  63,  64,   65,   70,
                                     72, 128, 255, 256, 257, 512, 1024, 1025, 4000};
    static uint8_t sig[4000];
    for (int alg = 0; alg < SP_ALG_COUNT; alg++) {
        for (size_t i = 0; i < SP_ARRAY_LEN(lengths); i++) {
            for (int fill = 0; fill < 256; fill += 51) {
                memset(sig, fill, lengths[i]);
                forge_assert_refused(with_signature((enum sp_alg)alg, sig, lengths[i]), "bad_signature");
            }
        }
    }
}

static void es256_signature_in_der_is_refused(void **state) {
    (void)state;
    uint8_t der[] = {0x30, 0x06, 0x02, 0x01, 0x01, 0x02, 0x01, 0x01};
    forge_assert_refused(with_signature(SP_ALG_ES256, der, sizeof der), "bad_signature");
}

static void r_or_s_of_zero_or_one_is_refused(void **state) {
    (void)state;
    for (int bits = 0; bits < 16; bits++) {
        uint8_t sig[64] = {0};
        sig[31] = bits & 3;
        sig[63] = (uint8_t)(bits >> 2);
        forge_assert_refused(with_signature(SP_ALG_ES256, sig, sizeof sig), "bad_signature");
    }
}

static void signature_with_bytes_added_or_removed_is_refused(void **state) {
    (void)state;
    for (int alg = 0; alg < SP_ALG_COUNT; alg++) {
        uint8_t sig[SP_SIG_BYTES_MAX] = {0};
        size_t n = 0;
        sp_slice token = with_signature((enum sp_alg)alg, sig, 0);
        assert_status(sp_sig_sign(forge.keys[alg], (enum sp_alg)alg, sp_slice_of(token.p, token.n - 1), sig,
                                  sizeof sig, &n),
                      SP_OK);
        assert_reject(forge_check(with_signature((enum sp_alg)alg, sig, n)), "ok");
        forge_assert_refused(with_signature((enum sp_alg)alg, sig, n - 1), "bad_signature");
        forge_assert_refused(with_signature((enum sp_alg)alg, sig, n + 1), "bad_signature");
        memmove(sig + 1, sig, n);
        sig[0] = 0;
        forge_assert_refused(with_signature((enum sp_alg)alg, sig, n + 1), "bad_signature");
    }
}

/* ECDSA is malleable: (r, n - s) verifies too. Known, harmless, because nothing here keys on a token's text;
 * this test exists so that whoever relies on the text finds it. */
static void es256_is_malleable_and_we_know(void **state) {
    (void)state;
    static const uint8_t order[32] = {0xff, 0xff, 0xff, 0xff, 0,    0,    0,    0,    0xff, 0xff, 0xff,
                                      0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17,
                                      0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51};
    uint8_t sig[64] = {0};
    size_t n = 0;
    int borrow = 0;
    sp_slice token = with_signature(SP_ALG_ES256, sig, 0);
    assert_status(
        sp_sig_sign(forge.keys[SP_ALG_ES256], SP_ALG_ES256, sp_slice_of(token.p, token.n - 1), sig, 64, &n),
        SP_OK);
    for (int i = 31; i >= 0; i--) {
        int v = order[i] - sig[32 + i] - borrow;
        borrow = v < 0;
        sig[32 + i] = (uint8_t)(v + 256 * borrow);
    }
    assert_reject(forge_check(with_signature(SP_ALG_ES256, sig, n)), "ok");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(constant_signatures_of_every_length_are_refused),
        cmocka_unit_test(es256_signature_in_der_is_refused),
        cmocka_unit_test(r_or_s_of_zero_or_one_is_refused),
        cmocka_unit_test(signature_with_bytes_added_or_removed_is_refused),
        cmocka_unit_test(es256_is_malleable_and_we_know),
    };
    return cmocka_run_group_tests(tests, forge_setup, forge_teardown);
}
