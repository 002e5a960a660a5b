#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "cli/checkpoint.h"

#define HASH "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static char error[SP_CHECKPOINT_ERROR_BYTES];

static void a_checkpoint_becomes_the_query_that_looks_for_it(void **state) {
    (void)state;
    SP_AUTO(sp_buf) query = SP_BUF_INIT(4096);
    const sp_slice text = SP_SLICE_LIT("{\"issuer\":\"i\",\"count\":7,\"time_ms\":8,\"head\":\"" HASH
                                       "\",\"mac\":\"" HASH "\"}\n");
    assert_true(sp_ok(sp_checkpoint_query(text, &query, error)));
    assert_true(sp_slice_eq(
        sp_buf_slice(&query),
        SP_SLICE_LIT("&checkpoint_count=7&checkpoint_time=8&checkpoint_head=" HASH "&checkpoint_mac=" HASH)));
}

static void a_checkpoint_becomes_a_body_of_its_four_members(void **state) {
    (void)state;
    json_t *body = NULL;
    const sp_slice text = SP_SLICE_LIT("{\"issuer\":\"i\",\"count\":7,\"time_ms\":8,\"head\":\"" HASH
                                       "\",\"mac\":\"" HASH "\",\"level\":\"info\"}\n");
    assert_true(sp_ok(sp_checkpoint_body(text, &body, error)));
    assert_int_equal(json_object_size(body), 4);
    assert_int_equal(json_integer_value(json_object_get(body, "count")), 7);
    assert_string_equal(json_string_value(json_object_get(body, "mac")), HASH);
    json_decref(body);
}

static void what_is_no_checkpoint_is_told(void **state) {
    (void)state;
    static const char *const bad[] = {
        "",
        "{}",
        "[]",
        "{\"count\":-1,\"time_ms\":8,\"head\":\"" HASH "\",\"mac\":\"" HASH "\"}",
        "{\"count\":1,\"time_ms\":-8,\"head\":\"" HASH "\",\"mac\":\"" HASH "\"}",
        "{\"count\":1,\"count\":1,\"time_ms\":8,\"head\":\"" HASH "\",\"mac\":\"" HASH "\"}",
        "{\"count\":1.5,\"time_ms\":8,\"head\":\"" HASH "\",\"mac\":\"" HASH "\"}",
        "{\"count\":1,\"time_ms\":8,\"head\":\"" HASH "0\",\"mac\":\"" HASH "\"}",
        "{\"count\":1,\"time_ms\":8,\"head\":\"&count=2\",\"mac\":\"" HASH "\"}",
        "{\"count\":1,\"time_ms\":8,\"head\":5,\"mac\":\"" HASH "\"}",
        "{\"count\":1,\"time_ms\":8,\"head\":\"" HASH "\",\"mac\":\"" HASH "\"} more",
    };
    for (size_t i = 0; i < SP_ARRAY_LEN(bad); i++) {
        SP_AUTO(sp_buf) query = SP_BUF_INIT(4096);
        error[0] = 0;
        if (sp_ok(sp_checkpoint_query(sp_slice_cstr(bad[i]), &query, error))) fail_msg("%s", bad[i]);
        assert_int_equal(query.n, 0);
        assert_int_not_equal(error[0], 0);
        json_t *body = NULL;
        if (sp_ok(sp_checkpoint_body(sp_slice_cstr(bad[i]), &body, error))) fail_msg("%s", bad[i]);
        assert_null(body);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_checkpoint_becomes_the_query_that_looks_for_it),
        cmocka_unit_test(a_checkpoint_becomes_a_body_of_its_four_members),
        cmocka_unit_test(what_is_no_checkpoint_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
