#include "fake.h"

#include "http/form.h"

static uint8_t text[4096];
static sp_slice a, b;
static struct sp_form_list list;
static const char *name;

static enum sp_form_error parse(const char *raw) {
    const struct sp_form_field fields[] = {
        {"a", 8, &a, NULL, SP_FORM_PRINTABLE},
        {"b", 8, &b, NULL, SP_FORM_ANY},
        {"list", 8, NULL, &list, SP_FORM_PRINTABLE},
    };
    a = b = SP_SLICE_EMPTY;
    list.n = 0;
    name = NULL;
    return sp_form_parse(sp_slice_cstr(raw), text, fields, SP_ARRAY_LEN(fields), &name);
}

#define assert_slice(s, wanted) assert_true(sp_slice_eq_cstr((s), (wanted)))

static void values_are_decoded(void **state) {
    (void)state;
    assert_int_equal(parse("a=x+y&b=%C3%bC%0a"), SP_FORM_OK);
    assert_slice(a, "x y");
    assert_slice(b, "\xC3\xBC\n");
    assert_int_equal(parse("b=1=2&a=https://x/?y"), SP_FORM_TOO_LONG);
    assert_int_equal(parse("b=1=2&a=x:/?;"), SP_FORM_OK);
    assert_slice(b, "1=2");
}

static void what_is_not_declared_is_ignored(void **state) {
    (void)state;
    assert_int_equal(parse("A=1&other=%41&other=2&a=x&=&&x"), SP_FORM_OK);
    assert_slice(a, "x");
    assert_null(b.p);
}

static void an_empty_value_is_none(void **state) {
    (void)state;
    assert_int_equal(parse("a=&b"), SP_FORM_OK);
    assert_null(a.p);
    assert_null(b.p);
    assert_int_equal(parse(""), SP_FORM_OK);
    assert_null(a.p);
}

static void a_name_that_comes_twice_is_refused_however_it_is_spelled(void **state) {
    (void)state;
    static const char *const twice[] = {"a=1&a=1", "a=1&b=2&a=3", "a=&a=1", "a=1&a", "a=1&%61=1", "%61=1&a="};
    for (size_t i = 0; i < SP_ARRAY_LEN(twice); i++) {
        assert_int_equal(parse(twice[i]), SP_FORM_REPEATED);
        assert_string_equal(name, "a");
        assert_null(a.p);
    }
}

static void a_list_keeps_the_order_and_has_a_bound(void **state) {
    (void)state;
    assert_int_equal(parse("list=1&a=x&list=2&list="), SP_FORM_OK);
    assert_int_equal(list.n, 2);
    assert_slice(list.item[0], "1");
    assert_slice(list.item[1], "2");
    assert_int_equal(parse("list=1&list=2&list=3&list=4&list=5&list=6&list=7&list=8"), SP_FORM_OK);
    assert_int_equal(list.n, 8);
    assert_int_equal(parse("list=1&list=2&list=3&list=4&list=5&list=6&list=7&list=8&list=9"),
                     SP_FORM_TOO_MANY);
    assert_string_equal(name, "list");
}

static void what_is_not_this_encoding_is_refused_in_unknown_names_too(void **state) {
    (void)state;
    static const char *const bad[] = {"a=%",    "a=%4",   "a=%zz",        "a=%00", "a=x%00y", "a=\xC3\xBC",
                                      "a= ",    "a=%C3",  "a=%ED%A0%80",  "z=%",   "%=1",     "%00=1",
                                      "z=\x01", "\xFF=1", "a=1&z=%C0%AF", "b=%00", "a=1\t"};
    for (size_t i = 0; i < SP_ARRAY_LEN(bad); i++) assert_int_equal(parse(bad[i]), SP_FORM_MALFORMED);
}

static void control_characters_are_told_from_bad_encoding(void **state) {
    (void)state;
    static const char *const bad[] = {"a=%0A", "a=%7F", "a=%C2%85", "a=x%0D%0A"};
    for (size_t i = 0; i < SP_ARRAY_LEN(bad); i++) {
        assert_int_equal(parse(bad[i]), SP_FORM_CHARACTERS);
        assert_string_equal(name, "a");
    }
    assert_int_equal(parse("a=x y"), SP_FORM_MALFORMED); /* never taken for a value */
    assert_non_null(strstr(sp_form_error_text(SP_FORM_MALFORMED), "a space is written + or %20"));
}

static void values_and_pairs_have_bounds(void **state) {
    (void)state;
    assert_int_equal(parse("a=12345678"), SP_FORM_OK);
    assert_int_equal(parse("a=123456789"), SP_FORM_TOO_LONG);
    assert_int_equal(parse("a=%31%32%33%34%35%36%37%38"), SP_FORM_OK);
    char many[4 * (SP_FORM_PAIRS_MAX + 1) + 1] = "";
    for (size_t i = 0; i < SP_FORM_PAIRS_MAX; i++) memcpy(many + 4 * i, "z=1&", 5);
    assert_int_equal(parse(many), SP_FORM_OK);
    memcpy(many + 4 * SP_FORM_PAIRS_MAX, "z=1&", 5);
    assert_int_equal(parse(many), SP_FORM_TOO_MANY);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_decoded),
        cmocka_unit_test(what_is_not_declared_is_ignored),
        cmocka_unit_test(an_empty_value_is_none),
        cmocka_unit_test(a_name_that_comes_twice_is_refused_however_it_is_spelled),
        cmocka_unit_test(a_list_keeps_the_order_and_has_a_bound),
        cmocka_unit_test(what_is_not_this_encoding_is_refused_in_unknown_names_too),
        cmocka_unit_test(control_characters_are_told_from_bad_encoding),
        cmocka_unit_test(values_and_pairs_have_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
