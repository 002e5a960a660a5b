#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/directory.h"
#include "core/password_rules.h"

static unsigned asked;

static bool has(void *arg, const char *word) {
    static const char *const words[] = {"password", "sunshine", "dragon", "trustno1", "ab", "letmein"};
    (void)arg;
    asked++;
    assert_true(strlen(word) <= SP_LISTED_WORD_CHARS_MAX);
    assert_int_equal(strspn(word, "abcdefghijklmnopqrstuvwxyz0123456789"), strlen(word));
    for (size_t i = 0; i < SP_ARRAY_LEN(words); i++) {
        if (strcmp(word, words[i]) == 0) return true;
    }
    return false;
}
static const struct sp_word_list list = {.has = has};

static bool is_common(const char *password) {
    return sp_password_is_common(sp_slice_cstr(password), &list);
}

static void listed_words_and_what_people_make_of_them_are_common(void **state) {
    (void)state;
    static const char *const common[] = {"password",  "PassWord",    "password1",        "password123!",
                                         "p@ssw0rd",  "P4$$w0rd!",   "123password",      "!!sunshine!!",
                                         "$unshine1", "pass-word",   "passwordpassword", "p a s s w o r d",
                                         "trustno1",  "TRUSTNO1!!!", "dragon2026",       "letmein1"};
    for (size_t i = 0; i < SP_ARRAY_LEN(common); i++) {
        if (!is_common(common[i])) fail_msg("%s", common[i]);
    }
}

static void passwords_that_merely_contain_a_word_are_not(void **state) {
    (void)state;
    static const char *const fine[] = {
        "correct horse battery",
        "dragon sunshine",
        "passwordsunshine",
        "dragon20261",
        "mydragon",
        "12345dragon",
        "ab1234567",
        "p\xc3\xa4ssword",
        "",
        "a password that is long enough not to be looked up in any list of words"};
    for (size_t i = 0; i < SP_ARRAY_LEN(fine); i++) {
        if (is_common(fine[i])) fail_msg("%s", fine[i]);
    }
}

static void without_a_list_nothing_is_common_and_work_is_bounded(void **state) {
    (void)state;
    static const struct sp_word_list none = {.has = NULL};
    assert_false(sp_password_is_common(SP_SLICE_LIT("password"), &none));
    char longest[1024];
    memset(longest, '!', sizeof(longest));
    for (size_t n = 1; n <= sizeof(longest); n++) {
        asked = 0;
        (void)sp_password_is_common(sp_slice_of(longest, n), &list);
        assert_true(asked <= 8);
    }
}

static void runs_rows_and_repeats_are_simple(void **state) {
    (void)state;
    static const char *const simple[] = {"12345678",
                                         "87654321",
                                         "aaaaaaaa",
                                         "abcdefgh",
                                         "ABCDEFGH",
                                         "qwertyuiop",
                                         "asdfghjkl",
                                         "qwer1234",
                                         "abcabcabcabc",
                                         "1212121212",
                                         "qwertzuiop",
                                         "11112222",
                                         "aaaabbbb",
                                         "1234567890",
                                         "abc12345",
                                         "        ",
                                         "\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4"};
    static const char *const fine[] = {"correct horse", "a new password", "1q9z4m7x", "abcdabcd xyzzy", ""};
    for (size_t i = 0; i < SP_ARRAY_LEN(simple); i++) {
        if (!sp_password_is_simple(sp_slice_cstr(simple[i]))) fail_msg("%s", simple[i]);
    }
    for (size_t i = 0; i < SP_ARRAY_LEN(fine); i++) {
        if (sp_password_is_simple(sp_slice_cstr(fine[i]))) fail_msg("%s", fine[i]);
    }
}

static void judge_names_the_fault(void **state) {
    (void)state;
    const sp_slice name = SP_SLICE_LIT("ada lovelace");
    static const struct {
        const char *password, *reason;
    } cases[] = {{"seven c", "too_short"},
                 {"Ada Lovelace", "is_user_name"},
                 {"12345678", "too_simple"},
                 {"\xff\xfe-eight", "not_text"},
                 {"eight ch", ""}};
    for (size_t i = 0; i < SP_ARRAY_LEN(cases); i++) {
        enum sp_password_fault f = sp_password_judge(sp_slice_cstr(cases[i].password), name);
        assert_string_equal(sp_password_fault_name(f), cases[i].reason);
    }
    assert_string_equal(sp_password_fault_name(SP_PASSWORD_COMMON), "common");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(listed_words_and_what_people_make_of_them_are_common),
        cmocka_unit_test(passwords_that_merely_contain_a_word_are_not),
        cmocka_unit_test(without_a_list_nothing_is_common_and_work_is_bounded),
        cmocka_unit_test(runs_rows_and_repeats_are_simple),
        cmocka_unit_test(judge_names_the_fault),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
