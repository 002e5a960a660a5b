#include "fake.h"

#include "http/html.h"

static void escapes_to(sp_slice in, const char *wanted) {
    SP_AUTO(sp_buf) out = SP_BUF_INIT(256);
    assert_true(sp_ok(sp_html_escape(in, &out)));
    const char *s;
    assert_true(sp_ok(sp_buf_cstr(&out, &s)));
    assert_string_equal(s, wanted);
}

static void what_html_reads_is_escaped(void **state) {
    (void)state;
    escapes_to(SP_SLICE_LIT(""), "");
    escapes_to(SP_SLICE_LIT("Shop & Co."), "Shop &amp; Co.");
    escapes_to(SP_SLICE_LIT("<script>alert('x')</script>"),
               "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;");
    escapes_to(SP_SLICE_LIT("\" onfocus=\"x"), "&#34; onfocus=&#34;x");
    escapes_to(SP_SLICE_LIT("&amp;&#39;"), "&amp;amp;&amp;#39;");
    escapes_to(SP_SLICE_LIT("J\xC3\xB6rg \xF0\x9F\x98\x80"), "J\xC3\xB6rg \xF0\x9F\x98\x80");
}

#define BAD "\xEF\xBF\xBD"

static void what_is_no_text_is_shown_as_such(void **state) {
    (void)state;
    escapes_to(SP_SLICE_LIT("a\0b\x1B\n\x7F"), "a" BAD "b" BAD BAD BAD);
    escapes_to(SP_SLICE_LIT("\xC0\xBC\xFF<"), BAD BAD BAD "&lt;");
    escapes_to(SP_SLICE_LIT("\xC3"), BAD);
    escapes_to(SP_SLICE_LIT("\xC2\x85"), BAD);
}

static void marks_that_turn_the_direction_are_taken_out(void **state) {
    (void)state;
    escapes_to(SP_SLICE_LIT("a\xE2\x80\xAE"
                            "b"),
               "a" BAD "b");
    escapes_to(SP_SLICE_LIT("\xE2\x80\x8F\xE2\x81\xA6\xE2\x81\xA9\xD8\x9C"), BAD BAD BAD BAD);
    escapes_to(SP_SLICE_LIT("\xE2\x80\x93\xE2\x82\xAC"), "\xE2\x80\x93\xE2\x82\xAC"); /* a dash, a euro */
}

static void what_does_not_fit_leaves_the_buffer_alone(void **state) {
    (void)state;
    SP_AUTO(sp_buf) out = SP_BUF_INIT(8);
    assert_true(sp_ok(sp_buf_append_cstr(&out, "ab")));
    assert_true(sp_is(sp_html_escape(SP_SLICE_LIT("<<"), &out), SP_E_LIMIT));
    assert_int_equal(out.n, 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_html_reads_is_escaped),
        cmocka_unit_test(what_is_no_text_is_shown_as_such),
        cmocka_unit_test(marks_that_turn_the_direction_are_taken_out),
        cmocka_unit_test(what_does_not_fit_leaves_the_buffer_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
