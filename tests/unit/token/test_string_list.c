#include "forge.h"
#include "token/string_list.h"

static struct sp_strings packed_of(const char *const *strings, size_t n, uint8_t *buf, size_t cap) {
    size_t used = 0;
    for (size_t i = 0; i < n; i++) {
        size_t got = sp_strings_pack(sp_slice_cstr(strings[i]), buf + used, cap - used);
        assert_true(got != 0);
        used += got;
    }
    return (struct sp_strings){.bytes = sp_slice_of(buf, used)};
}

static void one_string_is_a_list_of_one(void **state) {
    (void)state;
    struct sp_strings list = sp_strings_one(SP_SLICE_LIT("a b"));
    assert_int_equal(sp_strings_count(list), 1);
    assert_true(sp_strings_contain(list, SP_SLICE_LIT("a b")));
    assert_false(sp_strings_contain(list, SP_SLICE_LIT("a")));
    assert_int_equal(sp_strings_count(sp_strings_one(SP_SLICE_LIT(""))), 1);
    assert_int_equal(sp_strings_count(SP_STRINGS_NONE), 0);
}

static void packed_strings_come_back_in_order(void **state) {
    (void)state;
    uint8_t buf[64];
    const char *const strings[] = {"", "b c", "", "a"};
    struct sp_strings list = packed_of(strings, 4, buf, sizeof buf), rest = list;
    sp_slice s;
    for (size_t i = 0; i < 4; i++) {
        assert_true(sp_strings_next(&rest, &s));
        assert_true(sp_slice_eq_cstr(s, strings[i]));
    }
    assert_false(sp_strings_next(&rest, &s));
    assert_true(sp_strings_contain(list, SP_SLICE_LIT("b c")));
    assert_false(sp_strings_contain(list, SP_SLICE_LIT("c")));
}

static void cut_list_ends_early_and_reads_nothing_beyond(void **state) {
    (void)state;
    uint8_t buf[64];
    const char *const strings[] = {"abc", "def"};
    struct sp_strings list = packed_of(strings, 2, buf, sizeof buf);
    for (size_t n = 0; n < list.bytes.n; n++) {
        struct sp_strings cut = {.bytes = sp_slice_of(buf, n)};
        assert_int_equal(sp_strings_count(cut), n < 5 ? 0 : 1);
    }
}

static void string_that_does_not_fit_is_not_packed(void **state) {
    (void)state;
    static uint8_t large[UINT16_MAX + 1], out[UINT16_MAX + 10];
    assert_int_equal(sp_strings_pack(SP_SLICE_LIT("abc"), out, 4), 0);
    assert_int_equal(sp_strings_pack(SP_SLICE_LIT("abc"), out, 5), 5);
    assert_int_equal(sp_strings_pack(SP_SLICE_ARRAY(large), out, sizeof out), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_string_is_a_list_of_one),
        cmocka_unit_test(packed_strings_come_back_in_order),
        cmocka_unit_test(cut_list_ends_early_and_reads_nothing_beyond),
        cmocka_unit_test(string_that_does_not_fit_is_not_packed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
