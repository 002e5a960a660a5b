/* Errors of OAuth, how ends of use cases are told in them, and word lists that grow. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/oauth_internal.h"

static void every_error_has_a_code_and_a_status(void **state) {
    (void)state;
    for (int e = SP_OAUTH_NONE + 1; e < SP_OAUTH_ERROR_COUNT; e++) {
        const int status = sp_oauth_http_status((enum sp_oauth_error)e);
        assert_true(status >= 400 && status < 600);
        assert_true(strlen(sp_oauth_code((enum sp_oauth_error)e)) > 5);
    }
    assert_int_equal(sp_oauth_http_status(SP_OAUTH_ERROR_COUNT), 500);
    assert_string_equal(sp_oauth_code(SP_OAUTH_ERROR_COUNT), "server_error");
    assert_int_equal(sp_oauth_http_status(SP_OAUTH_INVALID_CLIENT), 401); /* RFC 6749 5.2 */
    assert_string_equal(sp_oauth_code(SP_OAUTH_SLOW_DOWN), "temporarily_unavailable");
}

static void every_end_is_told_and_only_ok_is_no_trouble(void **state) {
    (void)state;
    for (int o = 0; o < SP_OUTCOME_COUNT; o++) {
        const struct sp_oauth_trouble t = sp_oauth_trouble_told(NULL, (enum sp_outcome)o);
        assert_int_equal(t.error == SP_OAUTH_NONE, o == SP_OUTCOME_OK);
    }
    assert_int_equal(sp_oauth_trouble_told(NULL, SP_OUTCOME_INTERNAL).error, SP_OAUTH_SERVER_ERROR);
    assert_int_equal(sp_oauth_trouble_told(NULL, SP_OUTCOME_REFRESH_SUPERSEDED).error,
                     SP_OAUTH_INVALID_GRANT);
    const struct sp_oauth_trouble busy = sp_oauth_trouble_told(NULL, SP_OUTCOME_STORE_UNAVAILABLE);
    assert_int_equal(busy.error, SP_OAUTH_TEMPORARILY_UNAVAILABLE);
    assert_true(busy.retry_after_s > 0);
}

static void what_an_op_says_goes_before_its_outcome_but_not_before_ok(void **state) {
    (void)state;
    static struct sp_op op;
    op.trouble = sp_oauth_trouble_of(SP_OAUTH_INVALID_SCOPE, "no");
    assert_int_equal(sp_oauth_trouble_told(&op, SP_OUTCOME_INVALID_REQUEST).error, SP_OAUTH_INVALID_SCOPE);
    assert_int_equal(sp_oauth_trouble_told(&op, SP_OUTCOME_OK).error, SP_OAUTH_NONE);
}

static void refused_tokens_are_invalid_and_our_trouble_is_ours(void **state) {
    (void)state;
    for (int r = SP_REJECT_NONE + 1; r < SP_REJECT_COUNT; r++) {
        const enum sp_oauth_error e = sp_oauth_trouble_of_reject((enum sp_reject)r).error;
        const enum sp_oauth_error expected = r == SP_REJECT_INTERNAL ? SP_OAUTH_SERVER_ERROR
                                             : r == SP_REJECT_STALE  ? SP_OAUTH_TEMPORARILY_UNAVAILABLE
                                                                     : SP_OAUTH_INVALID_TOKEN;
        assert_int_equal(e, expected);
    }
}

static void words_are_added_while_they_fit_and_not_by_half(void **state) {
    (void)state;
    sp_text32 t = {0};
    assert_true(sp_ok(SP_OAUTH_WORDS_ADD(&t, SP_SLICE_LIT("0123456789abcde"))));
    assert_true(sp_ok(SP_OAUTH_WORDS_ADD(&t, SP_SLICE_LIT("0123456789abcdef")))); /* 15 + 1 + 16: full */
    assert_int_equal(t.n, 32);
    assert_true(sp_is(SP_OAUTH_WORDS_ADD(&t, SP_SLICE_LIT("x")), SP_E_LIMIT));
    assert_int_equal(t.n, 32);
    t.n = 15;
    assert_true(sp_is(SP_OAUTH_WORDS_ADD(&t, SP_SLICE_LIT("0123456789abcdefg")), SP_E_LIMIT));
    assert_int_equal(t.n, 15);
    assert_true(sp_is(SP_OAUTH_WORDS_ADD(&t, SP_SLICE_LIT("0123456789abcdef0123456789abcdef0")), SP_E_LIMIT));
    assert_true(sp_slice_eq_cstr(SP_TEXT_SLICE(&t), "0123456789abcde"));
}

static void audience_of_one_is_a_string_and_of_many_a_list(void **state) {
    (void)state;
    uint8_t room[64];
    sp_slice aud;
    struct sp_strings one = sp_oauth_audience_claim(SP_SLICE_LIT("https://a.example"), room, sizeof(room));
    assert_true(one.is_one);
    struct sp_strings two = sp_oauth_audience_claim(SP_SLICE_LIT("urn:a urn:b"), room, sizeof(room));
    assert_false(two.is_one);
    assert_int_equal(sp_strings_count(two), 2);
    assert_true(sp_strings_next(&two, &aud) && sp_slice_eq_cstr(aud, "urn:a"));
    assert_true(sp_strings_next(&two, &aud) && sp_slice_eq_cstr(aud, "urn:b"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_error_has_a_code_and_a_status),
        cmocka_unit_test(every_end_is_told_and_only_ok_is_no_trouble),
        cmocka_unit_test(what_an_op_says_goes_before_its_outcome_but_not_before_ok),
        cmocka_unit_test(refused_tokens_are_invalid_and_our_trouble_is_ours),
        cmocka_unit_test(words_are_added_while_they_fit_and_not_by_half),
        cmocka_unit_test(audience_of_one_is_a_string_and_of_many_a_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
