#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <pthread.h>
#include <stdio.h>
#include <cmocka.h>

#include "core/ratelimit.h"

enum { BURST = 10, REFILL_MS = 60000, T0 = 1000000 };

static struct sp_ratelimit *limits(void) {
    struct sp_throttle_rate rates[SP_THROTTLE_CLASSES];
    for (size_t i = 0; i < SP_THROTTLE_CLASSES; i++)
        rates[i] = (struct sp_throttle_rate){.burst = BURST, .refill_ms = REFILL_MS};
    rates[SP_THROTTLE_REGISTER].burst = 0;
    struct sp_ratelimit *r = NULL;
    assert_int_equal(sp_ratelimit_new(rates, &sp_random_system, &r).code, SP_OK);
    return r;
}

static uint64_t key(const struct sp_ratelimit *r, const char *name) {
    return sp_ratelimit_key(r, SP_THROTTLE_ACCOUNT, sp_slice_cstr(name));
}

static int64_t take(struct sp_ratelimit *r, uint64_t k, int64_t now_ms) {
    return sp_ratelimit_take(r, SP_THROTTLE_ACCOUNT, k, now_ms);
}

static int drain(struct sp_ratelimit *r, uint64_t k, int64_t now_ms) {
    int n = 0;
    while (take(r, k, now_ms) == 0) n++;
    return n;
}

static void burst_is_allowed_and_one_more_is_not(void **state) {
    (void)state;
    SP_AUTO_FREE(sp_ratelimit) r = limits();
    uint64_t k = key(r, "ada");
    for (int i = 0; i < BURST; i++) assert_int_equal(take(r, k, T0), 0);
    assert_int_equal(take(r, k, T0), REFILL_MS);
    assert_int_equal(take(r, key(r, "bob"), T0), 0);
}

static void wait_that_was_told_is_the_wait_that_is_needed(void **state) {
    (void)state;
    SP_AUTO_FREE(sp_ratelimit) r = limits();
    uint64_t k = key(r, "ada");
    drain(r, k, T0);
    int64_t wait = take(r, k, T0 + 1234);
    assert_int_equal(wait, REFILL_MS - 1234);
    assert_true(take(r, k, T0 + 1234 + wait - 1) > 0);
    assert_int_equal(take(r, k, T0 + 1234 + wait), 0);
    assert_true(take(r, k, T0 + 1234 + wait) > 0);
}

static void refused_attempts_do_not_push_the_wait_away(void **state) {
    (void)state;
    SP_AUTO_FREE(sp_ratelimit) r = limits();
    uint64_t k = key(r, "ada");
    drain(r, k, T0);
    for (int i = 0; i < 1000; i++) assert_true(take(r, k, T0 + i) > 0);
    assert_int_equal(take(r, k, T0 + REFILL_MS), 0);
}

static void bucket_fills_up_to_the_burst_and_no_further(void **state) {
    (void)state;
    SP_AUTO_FREE(sp_ratelimit) r = limits();
    uint64_t k = key(r, "ada");
    drain(r, k, T0);
    assert_int_equal(drain(r, k, T0 + 3 * REFILL_MS), 3);
    assert_int_equal(drain(r, k, T0 + INT64_C(1000) * REFILL_MS), BURST);
}

static void refund_gives_back_one_and_never_more_than_the_burst(void **state) {
    (void)state;
    SP_AUTO_FREE(sp_ratelimit) r = limits();
    uint64_t k = key(r, "ada");
    drain(r, k, T0);
    sp_ratelimit_refund(r, SP_THROTTLE_ACCOUNT, k, T0);
    assert_int_equal(drain(r, k, T0), 1);
    uint64_t fresh = key(r, "bob");
    for (int i = 0; i < 5; i++) sp_ratelimit_refund(r, SP_THROTTLE_ACCOUNT, fresh, T0);
    assert_int_equal(drain(r, fresh, T0), BURST);
}

static void classes_are_separate_and_one_without_burst_is_open(void **state) {
    (void)state;
    SP_AUTO_FREE(sp_ratelimit) r = limits();
    uint64_t k = key(r, "ada");
    drain(r, k, T0);
    assert_int_equal(sp_ratelimit_take(r, SP_THROTTLE_DEVICE, k, T0), 0);
    for (int i = 0; i < 1000; i++) assert_int_equal(sp_ratelimit_take(r, SP_THROTTLE_REGISTER, k, T0), 0);
    assert_true(sp_ratelimit_key(r, SP_THROTTLE_DEVICE, SP_SLICE_LIT("ada")) != k);
}

static uint64_t address(const struct sp_ratelimit *r, const char *text) {
    return sp_ratelimit_address_key(r, SP_THROTTLE_ADDRESS, sp_slice_cstr(text));
}

static void addresses_count_by_v4_host_and_v6_network(void **state) {
    (void)state;
    SP_AUTO_FREE(sp_ratelimit) r = limits();
    assert_true(address(r, "192.0.2.1") == address(r, "::ffff:192.0.2.1"));
    assert_true(address(r, "192.0.2.1") != address(r, "192.0.2.2"));
    assert_true(address(r, "2001:db8:0:1::1") == address(r, "2001:db8:0:1:ffff:ffff:ffff:ffff"));
    assert_true(address(r, "2001:db8:0:1::1") != address(r, "2001:db8:0:2::1"));
    assert_true(address(r, "no address") != address(r, ""));
}

/* The attack: drain the victim, then touch names until its bucket is pushed out. */
static void flood_of_names_does_not_free_a_drained_account(void **state) {
    (void)state;
    SP_AUTO_FREE(sp_ratelimit) r = limits();
    uint64_t victim = key(r, "victim");
    drain(r, victim, T0);
    for (int i = 0; i < 20 * SP_RATELIMIT_BUCKETS; i++) {
        char name[32];
        snprintf(name, sizeof(name), "n%d", i);
        (void)!take(r, key(r, name), T0);
    }
    assert_true(take(r, victim, T0) > 0);
}

/* The near miss: a bucket that has lost one attempt is cheap to push out, and what is won is that one. */
static void names_that_no_longer_matter_make_room(void **state) {
    (void)state;
    SP_AUTO_FREE(sp_ratelimit) r = limits();
    for (int i = 0; i < 4 * SP_RATELIMIT_BUCKETS; i++) {
        char name[32];
        snprintf(name, sizeof(name), "n%d", i);
        assert_int_equal(take(r, key(r, name), T0), 0);
    }
    assert_int_equal(drain(r, key(r, "newcomer"), T0), BURST);
    assert_true(take(r, key(r, "newcomer"), T0) > 0);
}

static void rate_without_refill_is_refused(void **state) {
    (void)state;
    struct sp_throttle_rate rates[SP_THROTTLE_CLASSES] = {{.burst = 1, .refill_ms = 0}};
    struct sp_ratelimit *r = NULL;
    assert_int_equal(sp_ratelimit_new(rates, &sp_random_system, &r).code, SP_E_MALFORMED);
    assert_null(r);
}

/* ---- threads ---- */

struct racer {
    struct sp_ratelimit *r;
    uint64_t key;
    int taken;
};

static void *race(void *arg) {
    struct racer *x = arg;
    for (int i = 0; i < 1000; i++) x->taken += take(x->r, x->key, T0) == 0;
    return NULL;
}

static void threads_together_get_one_burst(void **state) {
    (void)state;
    SP_AUTO_FREE(sp_ratelimit) r = limits();
    struct racer racers[4];
    pthread_t threads[4];
    int taken = 0;
    for (size_t i = 0; i < 4; i++) {
        racers[i] = (struct racer){.r = r, .key = key(r, "ada")};
        assert_int_equal(pthread_create(&threads[i], NULL, race, &racers[i]), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        taken += racers[i].taken;
    }
    assert_int_equal(taken, BURST);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(burst_is_allowed_and_one_more_is_not),
        cmocka_unit_test(wait_that_was_told_is_the_wait_that_is_needed),
        cmocka_unit_test(refused_attempts_do_not_push_the_wait_away),
        cmocka_unit_test(bucket_fills_up_to_the_burst_and_no_further),
        cmocka_unit_test(refund_gives_back_one_and_never_more_than_the_burst),
        cmocka_unit_test(classes_are_separate_and_one_without_burst_is_open),
        cmocka_unit_test(addresses_count_by_v4_host_and_v6_network),
        cmocka_unit_test(flood_of_names_does_not_free_a_drained_account),
        cmocka_unit_test(names_that_no_longer_matter_make_room),
        cmocka_unit_test(rate_without_refill_is_refused),
        cmocka_unit_test(threads_together_get_one_burst),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
