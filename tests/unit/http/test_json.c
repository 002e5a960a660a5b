/* Bodies in, answers out. What clients see of the first is in test_auth.c and test_admin.c. */
#include "fake.h"

#include <jansson.h>

#include "http/json_in.h"
#include "http/json_out.h"

/* *field is good until the next call. */
static enum sp_json_in_error parse(const char *body, struct sp_json_in_field *fields, size_t n,
                                   const char **field) {
    static struct sp_json_in doc;
    doc = (struct sp_json_in)SP_JSON_IN_INIT;
    enum sp_json_in_error e = sp_json_in_parse(&doc, sp_slice_cstr(body), fields, n);
    *field = doc.field;
    sp_json_in_done(&doc);
    return e;
}

static void values_arrive_and_absence_is_told(void **state) {
    (void)state;
    sp_slice a = SP_SLICE_EMPTY, b = SP_SLICE_EMPTY;
    bool flag = false;
    struct sp_json_in_field fields[] = {{"a", SP_JSON_IN_TEXT, true, 8, {.text = &a}},
                                        {"b", SP_JSON_IN_LABEL, false, 8, {.text = &b}},
                                        {"f", SP_JSON_IN_BOOL, false, 0, {.flag = &flag}}};
    struct sp_json_in doc = SP_JSON_IN_INIT;
    assert_int_equal(sp_json_in_parse(&doc, SP_SLICE_LIT(" {\"f\" : true, \"a\":\"x\\ny\"}\n"), fields, 3),
                     SP_JSON_IN_OK);
    assert_true(sp_slice_eq_cstr(a, "x\ny"));
    assert_true(fields[0].present && !fields[1].present && fields[2].present && flag);
    assert_int_equal(b.n, 0);
    sp_json_in_done(&doc);
}

static void the_field_at_fault_is_named(void **state) {
    (void)state;
    sp_slice a = SP_SLICE_EMPTY;
    struct sp_json_in_field fields[] = {{"a", SP_JSON_IN_TEXT, true, 2, {.text = &a}}};
    const char *field;
    assert_int_equal(parse("{\"a\":1}", fields, 1, &field), SP_JSON_IN_WRONG_TYPE);
    assert_string_equal(field, "a");
    assert_int_equal(parse("{\"a\":\"xxx\"}", fields, 1, &field), SP_JSON_IN_TOO_LONG);
    assert_string_equal(field, "a");
    assert_int_equal(parse("{}", fields, 1, &field), SP_JSON_IN_MISSING);
    assert_string_equal(field, "a");
    assert_int_equal(a.n, 0);
}

static void an_unknown_field_is_named_if_it_is_short_and_printable(void **state) {
    (void)state;
    char body[128], longest[SP_JSON_IN_UNKNOWN_BYTES_MAX + 2];
    const char *field;
    memset(longest, 'n', sizeof(longest));
    longest[sizeof(longest) - 1] = 0; /* one more than that */
    assert_int_equal(parse("{\"<b>\\\"\":1}", NULL, 0, &field), SP_JSON_IN_UNKNOWN);
    assert_string_equal(field, "<b>\"");
    snprintf(body, sizeof(body), "{\"%s\":1}", longest + 1);
    assert_int_equal(parse(body, NULL, 0, &field), SP_JSON_IN_UNKNOWN);
    assert_string_equal(field, longest + 1);
    snprintf(body, sizeof(body), "{\"%s\":1}", longest);
    static const char *const unnamed[] = {"{\"\":1}", "{\"a\\n\":1}", "{\"\\u001b[2J\":1}"};
    for (size_t i = 0; i <= SP_ARRAY_LEN(unnamed); i++) {
        const char *text = i == SP_ARRAY_LEN(unnamed) ? body : unnamed[i];
        assert_int_equal(parse(text, NULL, 0, &field), SP_JSON_IN_UNKNOWN);
        assert_null(field);
    }
}

static void lengths_are_bytes(void **state) {
    (void)state;
    sp_slice a = SP_SLICE_EMPTY;
    struct sp_json_in_field fields[] = {{"a", SP_JSON_IN_TEXT, true, 4, {.text = &a}}};
    const char *field;
    assert_int_equal(parse("{\"a\":\"\\u20ac1\"}", fields, 1, &field), SP_JSON_IN_OK);
    assert_int_equal(parse("{\"a\":\"\\u20ac12\"}", fields, 1, &field), SP_JSON_IN_TOO_LONG);
}

static void not_json(void **state) {
    (void)state;
    static const char *const bad[] = {"",
                                      " ",
                                      "{",
                                      "}",
                                      "{\"a\"}",
                                      "{'a':1}",
                                      "{a:1}",
                                      "{\"a\":1,}",
                                      "{\"a\":01}",
                                      "{\"a\":NaN}",
                                      "{\"a\":1}{",
                                      "\xEF\xBB\xBF{}",
                                      "{\"a\":\"\t\"}",
                                      "{\"a\":\"\\x\"}",
                                      "/**/{}",
                                      "{\"a\":\"\\udc00\"}",
                                      "{\"a\\u0000\":1}",
                                      "{\"a\":-}",
                                      "{\"a\":1e400}",
                                      "{\"a\":\"\xED\xA0\x80\"}",
                                      "{\"a\":\"\xC0\x80\"}"};
    const char *field;
    for (size_t i = 0; i < SP_ARRAY_LEN(bad); i++)
        assert_int_equal(parse(bad[i], NULL, 0, &field), SP_JSON_IN_NOT_JSON);
    struct sp_json_in doc = SP_JSON_IN_INIT;
    assert_int_equal(sp_json_in_parse(&doc, sp_slice_of("{}\0", 3), NULL, 0), SP_JSON_IN_NOT_JSON);
}

static void words_beyond_the_bound_stop(void **state) {
    (void)state;
    SP_AUTO(sp_buf) words = SP_BUF_INIT(64);
    struct sp_json_in_field fields[] = {{"w", SP_JSON_IN_WORDS, true, 8, {.words = &words}}};
    const char *field;
    assert_int_equal(parse("{\"w\":[\"abc\",\"def\"]}", fields, 1, &field), SP_JSON_IN_OK);
    assert_true(sp_slice_eq_cstr(sp_buf_slice(&words), "abc def"));
    sp_buf_clear(&words);
    assert_int_equal(parse("{\"w\":[\"abc\",\"def\",\"g\"]}", fields, 1, &field), SP_JSON_IN_TOO_LONG);
}

static void object_is_written_again_within_its_bound(void **state) {
    (void)state;
    SP_AUTO(sp_buf) object = SP_BUF_INIT(64);
    struct sp_json_in_field fields[] = {{"o", SP_JSON_IN_OBJECT, true, 23, {.words = &object}}};
    const char *field;
    assert_int_equal(parse("{\"o\": { \"b\" : [1, null],\n\"a\": \"\\u00e9\" }}", fields, 1, &field),
                     SP_JSON_IN_OK);
    assert_true(sp_slice_eq_cstr(sp_buf_slice(&object), "{\"b\":[1,null],\"a\":\"\xc3\xa9\"}"));
    static const struct {
        const char *body;
        enum sp_json_in_error error;
    } cases[] = {
        {"{\"o\":{}}", SP_JSON_IN_OK},
        {"{\"o\":{\"a\":\"0123456789abcde\"}}", SP_JSON_IN_OK},
        {"{\"o\":{\"a\":\"0123456789abcdef\"}}", SP_JSON_IN_TOO_LONG},
        {"{\"o\":{\"a\":\"0123456789012345678901234567890123456789012345678901234567890123\"}}",
         SP_JSON_IN_TOO_LONG}, /* beyond the buffer, too */
        {"{\"o\":{\"a\":1,\"a\":1}}", SP_JSON_IN_DUPLICATE},
        {"{\"o\":[]}", SP_JSON_IN_WRONG_TYPE},
        {"{\"o\":\"{}\"}", SP_JSON_IN_WRONG_TYPE},
        {"{\"o\":null}", SP_JSON_IN_WRONG_TYPE},
    };
    for (size_t i = 0; i < SP_ARRAY_LEN(cases); i++) {
        sp_buf_clear(&object);
        assert_int_equal(parse(cases[i].body, fields, 1, &field), cases[i].error);
    }
}

static void answers_are_json_whatever_is_in_them(void **state) {
    (void)state;
    SP_AUTO(sp_buf) b = SP_BUF_INIT(4096);
    struct sp_json_out o = SP_JSON_OUT(&b);
    sp_json_out_object(&o, NULL);
    sp_json_out_text(&o, "t", SP_SLICE_LIT("\"\\\x01\x7F\xFF\xE2\x82</script>"));
    sp_json_out_array(&o, "a");
    sp_json_out_array_end(&o);
    sp_json_out_words(&o, "w", SP_SLICE_LIT("x y"));
    sp_json_out_i64(&o, "min", INT64_MIN);
    sp_json_out_bool(&o, "b", false);
    sp_json_out_null(&o, "n");
    sp_json_out_time_ms(&o, "zero", 0);
    sp_json_out_time_ms(&o, "far", INT64_MAX);
    sp_json_out_time_s(&o, "further", INT64_MAX);
    sp_json_out_time_ms(&o, "before", -1);
    sp_json_out_time_ms(&o, "then", 1795228417023);
    sp_json_out_time_s(&o, "last", INT64_C(253402300799));
    sp_json_out_hex(&o, "h", SP_SLICE_LIT("\x01\xAB"));
    sp_json_out_object_end(&o);
    assert_false(o.failed);
    json_error_t err;
    json_t *j = json_loadb((const char *)b.p, b.n, JSON_REJECT_DUPLICATES, &err);
    assert_non_null(j);
    assert_string_equal(json_string_value(json_object_get(j, "h")), "01ab");
    assert_true(json_is_null(json_object_get(j, "far")));
    assert_true(json_is_null(json_object_get(j, "further")));
    assert_string_equal(json_string_value(json_object_get(j, "then")), "2026-11-21T02:33:37.023Z");
    assert_string_equal(json_string_value(json_object_get(j, "last")), "9999-12-31T23:59:59Z");
    assert_true(json_integer_value(json_object_get(j, "min")) == INT64_MIN);
    assert_int_equal(json_array_size(json_object_get(j, "w")), 2);
    json_decref(j);
}

static void a_full_answer_says_so_and_stays_so(void **state) {
    (void)state;
    SP_AUTO(sp_buf) b = SP_BUF_INIT(16);
    struct sp_json_out o = SP_JSON_OUT(&b);
    sp_json_out_object(&o, NULL);
    sp_json_out_text(&o, "text", SP_SLICE_LIT("longer than that"));
    assert_true(o.failed);
    sp_json_out_object_end(&o);
    assert_true(o.failed);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_arrive_and_absence_is_told),
        cmocka_unit_test(the_field_at_fault_is_named),
        cmocka_unit_test(an_unknown_field_is_named_if_it_is_short_and_printable),
        cmocka_unit_test(lengths_are_bytes),
        cmocka_unit_test(not_json),
        cmocka_unit_test(words_beyond_the_bound_stop),
        cmocka_unit_test(object_is_written_again_within_its_bound),
        cmocka_unit_test(answers_are_json_whatever_is_in_them),
        cmocka_unit_test(a_full_answer_says_so_and_stays_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
