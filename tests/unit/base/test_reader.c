#include "check.h"

#include "base/reader.h"

static void takes_exactly_what_it_names(void **state) {
    (void)state;
    struct sp_reader r = SP_READER(SP_SLICE_LIT("\x01\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x03"
                                                "abcde"));
    uint8_t u8, two[2];
    uint32_t u32;
    uint64_t u64;
    sp_slice s;
    assert_ok(sp_reader_u8(&r, &u8));
    assert_ok(sp_reader_u32be(&r, &u32));
    assert_ok(sp_reader_u64be(&r, &u64));
    assert_ok(sp_reader_bytes(&r, 1, &s));
    assert_ok(sp_reader_copy(&r, two, 2));
    assert_int_equal(u8, 1);
    assert_int_equal(u32, 2);
    assert_int_equal(u64, 3);
    assert_slice(s, "a");
    assert_memory_equal(two, "bc", 2);
    assert_code(sp_reader_end(&r), SP_E_MALFORMED);
    assert_slice(sp_reader_rest(&r), "de");
    assert_ok(sp_reader_end(&r));
}

static void highest_bits_survive(void **state) {
    (void)state;
    struct sp_reader r = SP_READER(SP_SLICE_LIT("\xff\xff\xff\xfe\xff\xff\xff\xff\xff\xff\xff\xfd"));
    uint32_t u32;
    uint64_t u64;
    assert_ok(sp_reader_u32be(&r, &u32));
    assert_ok(sp_reader_u64be(&r, &u64));
    assert_true(u32 == UINT32_MAX - 1);
    assert_true(u64 == UINT64_MAX - 2);
}

static void a_failure_moves_nothing(void **state) {
    (void)state;
    struct sp_reader r = SP_READER(SP_SLICE_LIT("abc"));
    uint32_t u32 = 7;
    uint64_t u64 = 8;
    uint8_t copy[4] = {9, 9, 9, 9};
    sp_slice s = SP_SLICE_LIT("old");
    assert_code(sp_reader_u32be(&r, &u32), SP_E_MALFORMED);
    assert_code(sp_reader_u64be(&r, &u64), SP_E_MALFORMED);
    assert_code(sp_reader_bytes(&r, 4, &s), SP_E_MALFORMED);
    assert_code(sp_reader_bytes(&r, SIZE_MAX, &s), SP_E_MALFORMED);
    assert_code(sp_reader_copy(&r, copy, 4), SP_E_MALFORMED);
    assert_code(sp_reader_until(&r, '.', &s), SP_E_MALFORMED);
    assert_int_equal(u32, 7);
    assert_int_equal(u64, 8);
    assert_int_equal(copy[0], 9);
    assert_slice(s, "old");
    assert_slice(sp_reader_rest(&r), "abc");
}

static void until_takes_the_delimiter_too(void **state) {
    (void)state;
    struct sp_reader r = SP_READER(SP_SLICE_LIT("head..tail"));
    sp_slice s;
    assert_ok(sp_reader_until(&r, '.', &s));
    assert_slice(s, "head");
    assert_ok(sp_reader_until(&r, '.', &s));
    assert_slice(s, "");
    assert_code(sp_reader_until(&r, '.', &s), SP_E_MALFORMED);
    assert_slice(sp_reader_rest(&r), "tail");
}

static void an_empty_input_is_harmless(void **state) {
    (void)state;
    struct sp_reader r = SP_READER(SP_SLICE_EMPTY);
    sp_slice s;
    uint8_t u8;
    assert_code(sp_reader_u8(&r, &u8), SP_E_MALFORMED);
    assert_code(sp_reader_until(&r, '.', &s), SP_E_MALFORMED);
    assert_ok(sp_reader_bytes(&r, 0, &s));
    assert_ok(sp_reader_copy(&r, NULL, 0));
    assert_int_equal(sp_reader_rest(&r).n, 0);
    assert_ok(sp_reader_end(&r));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_exactly_what_it_names), cmocka_unit_test(highest_bits_survive),
        cmocka_unit_test(a_failure_moves_nothing),     cmocka_unit_test(until_takes_the_delimiter_too),
        cmocka_unit_test(an_empty_input_is_harmless),
    };
    return cmocka_run_group_tests_name("base/reader", tests, NULL, NULL);
}
