#include "crypto_test.h"

#include "crypto/aead.h"

static const uint8_t key[SP_AEAD_KEY_BYTES] = {1, 2, 3};

static void sealed_text_opens_with_the_same_key_and_place(void **state) {
    (void)state;
    SP_AUTO(sp_buf) sealed = SP_BUF_INIT(256);
    SP_AUTO(sp_buf) plain = SP_BUF_INIT(256);
    assert_status(sp_aead_seal(key, &sp_random_system, SP_SLICE_LIT("key 7"), SP_SLICE_LIT("hello"), &sealed),
                  SP_OK);
    assert_int_equal(sealed.n, 5 + SP_AEAD_OVERHEAD_BYTES);
    assert_status(sp_aead_open(key, SP_SLICE_LIT("key 7"), sp_buf_slice(&sealed), &plain), SP_OK);
    assert_true(sp_slice_eq_cstr(sp_buf_slice(&plain), "hello"));
}

static void sealed_text_moved_to_another_place_does_not_open(void **state) {
    (void)state;
    SP_AUTO(sp_buf) sealed = SP_BUF_INIT(256);
    SP_AUTO(sp_buf) plain = SP_BUF_INIT(256);
    assert_status(sp_aead_seal(key, &sp_random_system, SP_SLICE_LIT("key 7"), SP_SLICE_LIT("hello"), &sealed),
                  SP_OK);
    assert_status(sp_aead_open(key, SP_SLICE_LIT("key 8"), sp_buf_slice(&sealed), &plain), SP_E_CRYPTO);
    assert_int_equal(plain.n, 0);
}

static void no_changed_bit_opens(void **state) {
    (void)state;
    SP_AUTO(sp_buf) sealed = SP_BUF_INIT(256);
    SP_AUTO(sp_buf) plain = SP_BUF_INIT(256);
    assert_status(sp_aead_seal(key, &sp_random_system, SP_SLICE_EMPTY, SP_SLICE_LIT("hi"), &sealed), SP_OK);
    for (size_t bit = 0; bit < sealed.n * 8; bit++) {
        sealed.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_status(sp_aead_open(key, SP_SLICE_EMPTY, sp_buf_slice(&sealed), &plain), SP_E_CRYPTO);
        sealed.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t n = 0; n < sealed.n; n++)
        assert_status(sp_aead_open(key, SP_SLICE_EMPTY, sp_slice_of(sealed.p, n), &plain), SP_E_CRYPTO);
    assert_status(sp_aead_open(key, SP_SLICE_EMPTY, sp_buf_slice(&sealed), &plain), SP_OK);
}

static void two_seals_of_one_text_differ(void **state) {
    (void)state;
    SP_AUTO(sp_buf) a = SP_BUF_INIT(256);
    SP_AUTO(sp_buf) b = SP_BUF_INIT(256);
    assert_status(sp_aead_seal(key, &sp_random_system, SP_SLICE_EMPTY, SP_SLICE_LIT("hello"), &a), SP_OK);
    assert_status(sp_aead_seal(key, &sp_random_system, SP_SLICE_EMPTY, SP_SLICE_LIT("hello"), &b), SP_OK);
    assert_false(sp_slice_eq(sp_buf_slice(&a), sp_buf_slice(&b)));
}

static void without_randomness_nothing_is_sealed(void **state) {
    (void)state;
    SP_AUTO(sp_buf) out = SP_BUF_INIT(256);
    assert_status(sp_aead_seal(key, &test_random_broken, SP_SLICE_EMPTY, SP_SLICE_LIT("hello"), &out),
                  SP_E_UNAVAILABLE);
    assert_int_equal(out.n, 0);
}

static void what_does_not_fit_is_not_written(void **state) {
    (void)state;
    SP_AUTO(sp_buf) out = SP_BUF_INIT(SP_AEAD_OVERHEAD_BYTES + 4);
    assert_status(sp_aead_seal(key, &sp_random_system, SP_SLICE_EMPTY, SP_SLICE_LIT("hello"), &out),
                  SP_E_LIMIT);
    assert_int_equal(out.n, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sealed_text_opens_with_the_same_key_and_place),
        cmocka_unit_test(sealed_text_moved_to_another_place_does_not_open),
        cmocka_unit_test(no_changed_bit_opens),
        cmocka_unit_test(two_seals_of_one_text_differ),
        cmocka_unit_test(without_randomness_nothing_is_sealed),
        cmocka_unit_test(what_does_not_fit_is_not_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
