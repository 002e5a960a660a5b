#include "check.h"

#include "base/text.h"

static void set_fits_to_the_last_byte(void **state) {
    (void)state;
    sp_text32 t = {0};
    assert_ok(SP_TEXT_SET(&t, SP_SLICE_LIT("01234567890123456789012345678901")));
    assert_slice(SP_TEXT_SLICE(&t), "01234567890123456789012345678901");
    assert_code(SP_TEXT_SET(&t, SP_SLICE_LIT("012345678901234567890123456789012")), SP_E_LIMIT);
    assert_int_equal(t.n, 32);
    assert_ok(SP_TEXT_SET(&t, SP_SLICE_EMPTY));
    assert_int_equal(t.n, 0);
}

static void set_accepts_its_own_content(void **state) {
    (void)state;
    sp_text32 t = {0};
    assert_ok(SP_TEXT_SET(&t, SP_SLICE_LIT("abcdef")));
    assert_ok(SP_TEXT_SET(&t, sp_slice_of(t.s + 2, 4)));
    assert_slice(SP_TEXT_SLICE(&t), "cdef");
}

static void words_are_found_whole(void **state) {
    (void)state;
    sp_slice list = SP_SLICE_LIT("read write read:all");
    assert_true(sp_words_contain(list, SP_SLICE_LIT("read")));
    assert_true(sp_words_contain(list, SP_SLICE_LIT("read:all")));
    assert_false(sp_words_contain(list, SP_SLICE_LIT("rea")));
    assert_false(sp_words_contain(list, SP_SLICE_LIT("read:al")));
    assert_false(sp_words_contain(list, SP_SLICE_LIT("read write")));
    assert_false(sp_words_contain(list, SP_SLICE_EMPTY));
    assert_false(sp_words_contain(SP_SLICE_EMPTY, SP_SLICE_LIT("read")));
    assert_int_equal(sp_words_count(list), 3);
    assert_int_equal(sp_words_count(SP_SLICE_EMPTY), 0);
}

static void word_lists_have_one_form(void **state) {
    (void)state;
    static const char *const good[] = {"", "a", "a b", "sallyport:admin !~ #[]"};
    static const char *const bad[] = {" ",    " a",   "a ",    "a  b",        "a\tb",
                                      "a\"b", "a\\b", "a\x7f", "caf\xc3\xa9", "a\nb"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_true(sp_words_valid(sp_slice_cstr(good[i]), 32));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(sp_words_valid(sp_slice_cstr(bad[i]), 32));
    assert_true(sp_words_valid(SP_SLICE_LIT("abc de"), 3));
    assert_false(sp_words_valid(SP_SLICE_LIT("abcd de"), 3));
    assert_false(sp_words_valid(SP_SLICE_LIT("a\0b"), 32));
}

/* Unicode 15, table 3-7: the corners of every row, and one step outside. */
static void utf8_accepts_exactly_table_3_7(void **state) {
    (void)state;
    static const char *const good[] = {"",
                                       "\x7f",
                                       "\xc2\x80",
                                       "\xdf\xbf",
                                       "\xe0\xa0\x80",
                                       "\xe0\xbf\xbf",
                                       "\xec\xbf\xbf",
                                       "\xed\x80\x80",
                                       "\xed\x9f\xbf",
                                       "\xee\x80\x80",
                                       "\xef\xbf\xbf",
                                       "\xf0\x90\x80\x80",
                                       "\xf3\xbf\xbf\xbf",
                                       "\xf4\x8f\xbf\xbf"};
    static const char *const bad[] = {"\x80",
                                      "\xbf",
                                      "\xc0\x80",
                                      "\xc1\xbf",
                                      "\xc2",
                                      "\xc2\x7f",
                                      "\xc2\xc0",
                                      "\xe0\x9f\xbf",
                                      "\xed\xa0\x80",
                                      "\xed\xbf\xbf",
                                      "\xe1\x80",
                                      "\xe1\x80\x7f",
                                      "\xf0\x8f\xbf\xbf",
                                      "\xf4\x90\x80\x80",
                                      "\xf5\x80\x80\x80",
                                      "\xf1\x80\x80",
                                      "\xff",
                                      "\xfe"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_true(sp_utf8_valid(sp_slice_cstr(good[i])));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(sp_utf8_valid(sp_slice_cstr(bad[i])));
    assert_true(sp_utf8_valid(SP_SLICE_LIT("\0")));
}

static void printable_has_no_controls(void **state) {
    (void)state;
    assert_true(sp_utf8_printable(SP_SLICE_LIT("Zo\xc3\xab ~\xc2\xa0")));
    assert_false(sp_utf8_printable(SP_SLICE_LIT("a\nb")));
    assert_false(sp_utf8_printable(SP_SLICE_LIT("a\0b")));
    assert_false(sp_utf8_printable(SP_SLICE_LIT("\x7f")));
    assert_false(sp_utf8_printable(SP_SLICE_LIT("\xc2\x80")));
    assert_false(sp_utf8_printable(SP_SLICE_LIT("\xc2\x9f")));
    assert_false(sp_utf8_printable(SP_SLICE_LIT("ok\xc2")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(set_fits_to_the_last_byte),      cmocka_unit_test(set_accepts_its_own_content),
        cmocka_unit_test(words_are_found_whole),          cmocka_unit_test(word_lists_have_one_form),
        cmocka_unit_test(utf8_accepts_exactly_table_3_7), cmocka_unit_test(printable_has_no_controls),
    };
    return cmocka_run_group_tests_name("base/text", tests, NULL, NULL);
}
