#include "check.h"

#include "base/mem.h"
#include "base/ports.h"

static void boot_time_never_goes_back(void **state) {
    (void)state;
    int64_t last = sp_clock_boot_ms(&sp_clock_system);
    for (int i = 0; i < 1000; i++) {
        int64_t now = sp_clock_boot_ms(&sp_clock_system);
        assert_true(now >= last);
        last = now;
    }
}

static void wall_time_is_unix_time_in_milliseconds(void **state) {
    (void)state;
    int64_t before = (int64_t)time(NULL) * 1000, now = sp_clock_wall_ms(&sp_clock_system);
    assert_true(now >= before - 1000);
    assert_true(now <= before + 60 * 1000);
}

static void random_fills_all_and_differs(void **state) {
    (void)state;
    uint8_t a[600] = {0}, b[600] = {0}; /* more than getrandom(2) promises to give at once */
    assert_ok(sp_random_fill(&sp_random_system, a, sizeof(a)));
    assert_ok(sp_random_fill(&sp_random_system, b, sizeof(b)));
    assert_memory_not_equal(a, b, sizeof(a));
    static const uint8_t zeros[32];
    assert_memory_not_equal(a + sizeof(a) - 32, zeros, 32);
    assert_ok(sp_random_fill(&sp_random_system, NULL, 0));
}

struct seen {
    size_t n;
    int64_t first;
};

static void remember(void *arg, enum sp_log_level level, const char *event, const struct sp_log_field *fields,
                     size_t n) {
    struct seen *seen = arg;
    assert_int_equal(level, SP_LOG_WARN);
    assert_string_equal(event, "key_retired");
    seen->n = n;
    seen->first = fields[0].i64;
}

static void log_hands_over_fields_in_order(void **state) {
    (void)state;
    struct seen seen = {0};
    const struct sp_log log = {remember, &seen};
    SP_LOG(&log, SP_LOG_WARN, "key_retired", SP_LOGF_I64("age_s", 7), SP_LOGF_TEXT("kid", SP_SLICE_LIT("k")));
    assert_int_equal(seen.n, 2);
    assert_int_equal(seen.first, 7);
    SP_LOG(&sp_log_none, SP_LOG_ERROR, "nobody_hears", SP_LOGF_I64("n", 1));
}

static void checked_sizes_refuse_to_wrap(void **state) {
    (void)state;
    size_t n = 7;
    assert_false(sp_mul_size(SIZE_MAX / 2 + 1, 2, &n));
    assert_false(sp_add_size(SIZE_MAX, 1, &n));
    assert_int_equal(n, 7);
    assert_true(sp_add_size(SIZE_MAX, 0, &n));
    assert_true(n == SIZE_MAX);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(boot_time_never_goes_back),
        cmocka_unit_test(wall_time_is_unix_time_in_milliseconds),
        cmocka_unit_test(random_fills_all_and_differs),
        cmocka_unit_test(log_hands_over_fields_in_order),
        cmocka_unit_test(checked_sizes_refuse_to_wrap),
    };
    return cmocka_run_group_tests_name("base/ports", tests, NULL, NULL);
}
