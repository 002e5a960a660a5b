#include "check.h"

#include "base/ct.h"

static void equality_looks_at_length_and_bytes(void **state) {
    (void)state;
    assert_true(sp_slice_eq(SP_SLICE_LIT("ab"), SP_SLICE_LIT("ab")));
    assert_false(sp_slice_eq(SP_SLICE_LIT("ab"), SP_SLICE_LIT("abc")));
    assert_false(sp_slice_eq(SP_SLICE_LIT("ab"), SP_SLICE_LIT("aB")));
    assert_true(sp_slice_eq(SP_SLICE_EMPTY, SP_SLICE_LIT("")));
    assert_true(sp_slice_eq_cstr(SP_SLICE_EMPTY, NULL));
    assert_false(sp_slice_eq_cstr(SP_SLICE_LIT("ab\0"), "ab"));
}

static void starts_accepts_the_whole_and_the_empty(void **state) {
    (void)state;
    assert_true(sp_slice_starts(SP_SLICE_LIT("Bearer x"), SP_SLICE_LIT("Bearer ")));
    assert_true(sp_slice_starts(SP_SLICE_LIT("ab"), SP_SLICE_LIT("ab")));
    assert_true(sp_slice_starts(SP_SLICE_EMPTY, SP_SLICE_EMPTY));
    assert_false(sp_slice_starts(SP_SLICE_LIT("a"), SP_SLICE_LIT("ab")));
}

static void case_folds_ascii_letters_only(void **state) {
    (void)state;
    assert_true(sp_slice_eq_nocase(SP_SLICE_LIT("X-CSRF-Token"), SP_SLICE_LIT("x-csrf-tokeN")));
    assert_false(sp_slice_eq_nocase(SP_SLICE_LIT("a"), SP_SLICE_LIT("ab")));
    assert_false(sp_slice_eq_nocase(SP_SLICE_LIT("["), SP_SLICE_LIT("{")));
    assert_false(sp_slice_eq_nocase(SP_SLICE_LIT("@"), SP_SLICE_LIT("`")));
    assert_false(sp_slice_eq_nocase(SP_SLICE_LIT("\xc3\x89"), SP_SLICE_LIT("\xc3\xa9")));
}

static void order_is_by_bytes_then_length(void **state) {
    (void)state;
    assert_true(sp_slice_cmp(SP_SLICE_LIT("a"), SP_SLICE_LIT("b")) < 0);
    assert_true(sp_slice_cmp(SP_SLICE_LIT("b"), SP_SLICE_LIT("aa")) > 0);
    assert_true(sp_slice_cmp(SP_SLICE_LIT("a"), SP_SLICE_LIT("aa")) < 0);
    assert_true(sp_slice_cmp(SP_SLICE_LIT("\xff"), SP_SLICE_LIT("a")) > 0);
    assert_int_equal(sp_slice_cmp(SP_SLICE_LIT("a"), SP_SLICE_LIT("a")), 0);
    assert_int_equal(sp_slice_cmp(SP_SLICE_EMPTY, SP_SLICE_LIT("")), 0);
}

static void numbers_have_one_form(void **state) {
    (void)state;
    static const char *const bad[] = {
        "", "-1", "+1", "01", "00", " 1", "1 ", "1.0", "0x1", "18446744073709551616", "10000000000000000000"};
    uint64_t v = 7;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(sp_slice_to_u64(sp_slice_cstr(bad[i]), &v));
        assert_int_equal(v, 7);
    }
    assert_true(sp_slice_to_u64(SP_SLICE_LIT("0"), &v));
    assert_int_equal(v, 0);
    assert_true(sp_slice_to_u64(SP_SLICE_LIT("9999999999999999999"), &v));
    assert_true(v == 9999999999999999999u);
}

static void ct_equal_sees_every_bit_of_every_byte(void **state) {
    (void)state;
    uint8_t a[41], b[41];
    for (size_t i = 0; i < sizeof(a); i++) a[i] = b[i] = (uint8_t)(i * 31);
    for (size_t n = 0; n <= sizeof(a); n++) assert_true(sp_ct_equal(sp_slice_of(a, n), sp_slice_of(b, n)));
    for (size_t i = 0; i < sizeof(a); i++)
        for (int bit = 0; bit < 8; bit++) {
            b[i] ^= (uint8_t)(1 << bit);
            assert_false(sp_ct_equal(SP_SLICE_ARRAY(a), SP_SLICE_ARRAY(b)));
            b[i] ^= (uint8_t)(1 << bit);
        }
    assert_false(sp_ct_equal(sp_slice_of(a, 8), sp_slice_of(b, 9)));
    assert_true(sp_ct_equal(SP_SLICE_EMPTY, SP_SLICE_EMPTY));
}

static void every_code_has_its_own_name(void **state) {
    (void)state;
    for (int i = 0; i < SP_CODE_COUNT; i++)
        for (int j = 0; j < i; j++)
            assert_string_not_equal(sp_code_name((enum sp_code)i), sp_code_name((enum sp_code)j));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equality_looks_at_length_and_bytes),
        cmocka_unit_test(starts_accepts_the_whole_and_the_empty),
        cmocka_unit_test(case_folds_ascii_letters_only),
        cmocka_unit_test(order_is_by_bytes_then_length),
        cmocka_unit_test(numbers_have_one_form),
        cmocka_unit_test(ct_equal_sees_every_bit_of_every_byte),
        cmocka_unit_test(every_code_has_its_own_name),
    };
    return cmocka_run_group_tests_name("base/slice", tests, NULL, NULL);
}
