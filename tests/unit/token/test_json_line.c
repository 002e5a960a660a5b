#include "forge.h"
#include "token/json_line.h"

static void assert_line(const char *json, const char *wanted) {
    SP_AUTO(sp_buf) out = SP_BUF_INIT(1024);
    assert_status(sp_json_line(sp_slice_cstr(json), &out), SP_OK);
    assert_int_equal(out.n, strlen(wanted));
    assert_memory_equal(out.p, wanted, out.n);
}

static void space_between_tokens_goes_and_inside_strings_stays(void **state) {
    (void)state;
    assert_line("{ \"a b\" :\r\n\t[ 1 , 2 ] }", "{\"a b\":[1,2]}");
    assert_line("\" \\\" \\\\\" ", "\" \\\" \\\\\"");
    assert_line("[\"\\\\\", \" \"]", "[\"\\\\\",\" \"]");
}

static void numbers_are_not_touched(void **state) {
    (void)state;
    assert_line("[1.50, 1e400, 100000000000000000000000, -0]", "[1.50,1e400,100000000000000000000000,-0]");
}

static void characters_that_steer_terminals_are_escaped(void **state) {
    (void)state;
    assert_line("\"\x7f\xc2\x80\xc2\x9b\xc2\x9f\xc2\xa0\xc3\xa9\"",
                "\"\\u007f\\u0080\\u009b\\u009f\xc2\xa0\xc3\xa9\"");
}

static void line_that_does_not_fit_is_a_limit(void **state) {
    (void)state;
    SP_AUTO(sp_buf) out = SP_BUF_INIT(4);
    assert_status(sp_json_line(SP_SLICE_LIT("[1,2]"), &out), SP_E_LIMIT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(space_between_tokens_goes_and_inside_strings_stays),
        cmocka_unit_test(numbers_are_not_touched),
        cmocka_unit_test(characters_that_steer_terminals_are_escaped),
        cmocka_unit_test(line_that_does_not_fit_is_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
