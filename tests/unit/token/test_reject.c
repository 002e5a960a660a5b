#include "forge.h"

static void codes_are_distinct_and_stable_in_form(void **state) {
    (void)state;
    for (int a = 0; a < SP_REJECT_COUNT; a++) {
        const char *code = sp_reject_code((enum sp_reject)a);
        assert_non_null(code);
        assert_true(strlen(code) > 1 && strspn(code, "abcdefghijklmnopqrstuvwxyz_") == strlen(code));
        assert_true(strlen(sp_reject_doc((enum sp_reject)a)) > 1);
        for (int b = 0; b < a; b++) assert_string_not_equal(code, sp_reject_code((enum sp_reject)b));
    }
}

static void only_none_accepts(void **state) {
    (void)state;
    for (int r = 0; r < SP_REJECT_COUNT; r++)
        assert_int_equal(sp_reject_is_ok((enum sp_reject)r), r == SP_REJECT_NONE);
    assert_false(sp_reject_is_ok((enum sp_reject)0));
    assert_string_equal(sp_reject_code((enum sp_reject)1000), "unset");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(codes_are_distinct_and_stable_in_form),
        cmocka_unit_test(only_none_accepts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
