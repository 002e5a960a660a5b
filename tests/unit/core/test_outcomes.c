#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/app.h"

static void every_outcome_has_status_code_and_title(void **state) {
    (void)state;
    for (int i = 0; i < SP_OUTCOME_COUNT; i++) {
        const int status = sp_outcome_http_status((enum sp_outcome)i);
        assert_in_range(status, 200, 599);
        assert_true(strlen(sp_outcome_code((enum sp_outcome)i)) > 0);
        assert_true(strlen(sp_outcome_title((enum sp_outcome)i)) > 0);
    }
}

static void codes_are_unique_and_snake_case(void **state) {
    (void)state;
    for (int i = 0; i < SP_OUTCOME_COUNT; i++) {
        const char *code = sp_outcome_code((enum sp_outcome)i);
        assert_int_equal(strspn(code, "abcdefghijklmnopqrstuvwxyz_"), strlen(code));
        for (int j = 0; j < i; j++) assert_string_not_equal(code, sp_outcome_code((enum sp_outcome)j));
    }
}

static void only_ok_reads_as_success(void **state) {
    (void)state;
    assert_int_equal(sp_outcome_http_status(SP_OUTCOME_OK), 200);
    for (int i = 0; i < SP_OUTCOME_COUNT; i++) {
        if (i != SP_OUTCOME_OK) assert_true(sp_outcome_http_status((enum sp_outcome)i) >= 400);
    }
}

/* Part of the API: a client branches on these. */
static void codes_that_clients_know_stay(void **state) {
    (void)state;
    assert_string_equal(sp_outcome_code(SP_OUTCOME_INVALID_CREDENTIALS), "invalid_credentials");
    assert_string_equal(sp_outcome_code(SP_OUTCOME_INVALID_GRANT), "invalid_grant");
    assert_string_equal(sp_outcome_code(SP_OUTCOME_REFRESH_SUPERSEDED), "refresh_superseded");
    assert_string_equal(sp_outcome_code(SP_OUTCOME_STORE_UNAVAILABLE), "store_unavailable");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_outcome_has_status_code_and_title),
        cmocka_unit_test(codes_are_unique_and_snake_case),
        cmocka_unit_test(only_ok_reads_as_success),
        cmocka_unit_test(codes_that_clients_know_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
