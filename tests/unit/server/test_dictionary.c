#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <pthread.h>
#include <cmocka.h>

#include "core/password_rules.h"
#include "server/dictionary.h"

#define PATH "/var/cache/cracklib/cracklib_dict" /* of Debian's cracklib-runtime */

static struct sp_dictionary *dictionary(void) {
    struct sp_dictionary *d = NULL;
    assert_int_equal(sp_dictionary_open(PATH, &d).code, SP_OK);
    return d;
}

static void words_are_found_and_others_are_not(void **state) {
    (void)state;
    SP_AUTO_FREE(sp_dictionary) d = dictionary();
    const struct sp_word_list list = sp_dictionary_port(d);
    static const char *const words[] = {"password", "sunshine", "elephant", "iloveyou", "a"};
    static const char *const others[] = {"passwordx", "elephantine5", "qqqq", "zzzzzzzz",
                                         "abcdefghijklmnopqrstuvwxyz01234"};
    for (size_t i = 0; i < SP_ARRAY_LEN(words); i++) assert_true(list.has(list.arg, words[i]));
    for (size_t i = 0; i < SP_ARRAY_LEN(others); i++) assert_false(list.has(list.arg, others[i]));
}

static void common_passwords_are_common(void **state) {
    (void)state;
    SP_AUTO_FREE(sp_dictionary) d = dictionary();
    const struct sp_word_list list = sp_dictionary_port(d);
    assert_true(sp_password_is_common(SP_SLICE_LIT("P@ssw0rd1!"), &list));
    assert_true(sp_password_is_common(SP_SLICE_LIT("Elephant"), &list));
    assert_false(sp_password_is_common(SP_SLICE_LIT("correct horse battery"), &list));
}

static void a_missing_dictionary_is_said_and_leaves_nothing(void **state) {
    (void)state;
    struct sp_dictionary *d = NULL;
    char longest[400];
    memset(longest, 'x', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = 0;
    assert_int_equal(sp_dictionary_open("/nonexistent/dict", &d).code, SP_E_NOT_FOUND);
    assert_int_equal(sp_dictionary_open(longest, &d).code, SP_E_NOT_FOUND);
    assert_null(d);
    sp_dictionary_free(dictionary());
}

static void there_is_one_at_a_time(void **state) {
    (void)state;
    SP_AUTO_FREE(sp_dictionary) d = dictionary();
    struct sp_dictionary *second = NULL;
    assert_non_null(d);
    assert_int_equal(sp_dictionary_open(PATH, &second).code, SP_E_LIMIT);
    assert_null(second);
}

static void *look_up(void *arg) {
    const struct sp_word_list *list = arg;
    for (int i = 0; i < 100; i++) {
        if (!list->has(list->arg, "password") || list->has(list->arg, "passwordx")) return arg;
    }
    return NULL;
}

static void threads_do_not_disturb_each_other(void **state) {
    (void)state;
    SP_AUTO_FREE(sp_dictionary) d = dictionary();
    struct sp_word_list list = sp_dictionary_port(d);
    pthread_t threads[4];
    for (size_t i = 0; i < 4; i++) assert_int_equal(pthread_create(&threads[i], NULL, look_up, &list), 0);
    for (size_t i = 0; i < 4; i++) {
        void *failed = NULL;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_are_found_and_others_are_not),
        cmocka_unit_test(common_passwords_are_common),
        cmocka_unit_test(a_missing_dictionary_is_said_and_leaves_nothing),
        cmocka_unit_test(there_is_one_at_a_time),
        cmocka_unit_test(threads_do_not_disturb_each_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
