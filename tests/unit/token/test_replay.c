#include "forge.h"
#include "token/replay.h"

#include <pthread.h>
#include <stdatomic.h>

static struct sp_replay *table_of(size_t entries) {
    struct sp_replay *t = NULL;
    assert_status(sp_replay_new(entries, &sp_random_system, &t), SP_OK);
    return t;
}
static enum sp_replay_verdict add(struct sp_replay *t, uint64_t n, int64_t expires_ms, int64_t now_ms) {
    uint8_t hash[SP_SHA256_BYTES];
    sp_sha256(sp_slice_of(&n, sizeof n), hash);
    return sp_replay_add(t, hash, expires_ms, now_ms);
}

static void seen_until_it_expires(void **state) {
    (void)state;
    SP_AUTO_FREE(sp_replay) t = table_of(SP_REPLAY_ENTRIES_MIN);
    assert_int_equal(add(t, 1, 1000, 0), SP_REPLAY_NEW);
    assert_int_equal(add(t, 1, 1000, 0), SP_REPLAY_SEEN);
    assert_int_equal(add(t, 1, 5000, 999), SP_REPLAY_SEEN);
    assert_int_equal(add(t, 2, 1000, 999), SP_REPLAY_NEW);
    assert_int_equal(add(t, 1, 2000, 1000), SP_REPLAY_NEW);
    assert_int_equal(add(t, 1, 2000, 1999), SP_REPLAY_SEEN);
}

static void what_has_expired_already_is_not_kept(void **state) {
    (void)state;
    SP_AUTO_FREE(sp_replay) t = table_of(SP_REPLAY_ENTRIES_MIN);
    assert_int_equal(add(t, 1, 1000, 1000), SP_REPLAY_NEW);
    assert_int_equal(sp_replay_entries(t), 0);
}

static void full_table_refuses_and_forgets_nothing(void **state) {
    (void)state;
    const uint64_t n = 100;
    SP_AUTO_FREE(sp_replay) t = table_of(n);
    for (uint64_t i = 0; i < n; i++) assert_int_equal(add(t, i, 1000, 0), SP_REPLAY_NEW);
    assert_int_equal(add(t, n, 1000, 0), SP_REPLAY_FULL);
    assert_int_equal(add(t, n, 1000, 0), SP_REPLAY_FULL); /* a refused one was not entered */
    for (uint64_t i = 0; i < n; i++) assert_int_equal(add(t, i, 1000, 999), SP_REPLAY_SEEN);
    assert_int_equal(sp_replay_entries(t), n);
}

static void full_table_takes_again_when_entries_expire(void **state) {
    (void)state;
    const uint64_t n = 100;
    SP_AUTO_FREE(sp_replay) t = table_of(n);
    for (uint64_t i = 0; i < n; i++) assert_int_equal(add(t, i, i < 60 ? 2000 : 9000, 0), SP_REPLAY_NEW);
    for (uint64_t i = 0; i < 60; i++) assert_int_equal(add(t, n + i, 9000, 2000), SP_REPLAY_NEW);
    assert_int_equal(add(t, 2 * n, 9000, 2000), SP_REPLAY_FULL);
    for (uint64_t i = 60; i < n; i++) assert_int_equal(add(t, i, 9000, 2000), SP_REPLAY_SEEN);
}

/* What a sweep found lasts for a second; but a clock that is set back does not keep the table shut. */
static void sweeps_are_rare_and_survive_a_clock_that_goes_back(void **state) {
    (void)state;
    const uint64_t n = SP_REPLAY_ENTRIES_MIN;
    SP_AUTO_FREE(sp_replay) t = table_of(n);
    for (uint64_t i = 0; i < n; i++) assert_int_equal(add(t, i, 100500, 100000), SP_REPLAY_NEW);
    assert_int_equal(add(t, n, 200000, 100000), SP_REPLAY_FULL);
    assert_int_equal(add(t, n, 50000, 10000), SP_REPLAY_FULL);
    assert_int_equal(add(t, n, 200000, 101000), SP_REPLAY_NEW);
}

/* What had expired is told from what cannot have been there, so that a clock that is set back lets nothing
 * pass twice; and a clock that goes on never makes one wait. */
static void what_was_forgotten_is_told_when_the_clock_goes_back(void **state) {
    (void)state;
    SP_AUTO_FREE(sp_replay) t = table_of(2000);
    assert_int_equal(add(t, 1, 1000, 0), SP_REPLAY_NEW);
    assert_false(sp_replay_may_have_forgotten(t, 1000)); /* it is there */
    assert_int_equal(add(t, 1, 3000, 2000), SP_REPLAY_NEW);
    assert_true(sp_replay_may_have_forgotten(t, 1000));
    assert_true(sp_replay_may_have_forgotten(t, 999));
    assert_false(sp_replay_may_have_forgotten(t, 1001));
    for (int64_t now_ms = 2000; now_ms < 60000; now_ms++) {
        assert_int_equal(add(t, (uint64_t)now_ms, now_ms + 50, now_ms), SP_REPLAY_NEW);
        assert_false(sp_replay_may_have_forgotten(t, now_ms + 1));
    }
}

/* What has expired does not stand in the way until the next sweep. */
static void half_empty_table_has_room_at_any_pace(void **state) {
    (void)state;
    const uint64_t live = 500, a_ms = 10;
    SP_AUTO_FREE(sp_replay) t = table_of(2 * live);
    for (uint64_t i = 0; i < 30000; i++) {
        const int64_t now_ms = (int64_t)(i / a_ms);
        assert_int_equal(add(t, i, now_ms + (int64_t)(live / a_ms), now_ms), SP_REPLAY_NEW);
    }
}

static void churn_keeps_every_live_entry(void **state) {
    (void)state;
    const uint64_t live = 500;
    SP_AUTO_FREE(sp_replay) t = table_of(2 * live);
    for (uint64_t i = 0; i < 50000; i++) {
        int64_t now_ms = (int64_t)i;
        assert_int_equal(add(t, i, now_ms + (int64_t)live, now_ms), SP_REPLAY_NEW);
        if (i >= live) assert_int_equal(add(t, i - live + 1, now_ms + 1, now_ms), SP_REPLAY_SEEN);
    }
    assert_true(sp_replay_entries(t) <= 2 * live);
}

static void sizes_that_cannot_be_meant_are_refused(void **state) {
    (void)state;
    struct sp_replay *t = NULL;
    assert_status(sp_replay_new(0, &sp_random_system, &t), SP_E_LIMIT);
    assert_status(sp_replay_new(SP_REPLAY_ENTRIES_MIN - 1, &sp_random_system, &t), SP_E_LIMIT);
    assert_status(sp_replay_new((size_t)SP_REPLAY_ENTRIES_MAX + 1, &sp_random_system, &t), SP_E_LIMIT);
    assert_null(t);
    sp_replay_free(NULL);
}

enum { THREADS = 4, ROUNDS = 20000 };
static struct sp_replay *shared;
static _Atomic uint64_t news;
static void *add_all(void *arg) {
    for (uint64_t i = 0; i < ROUNDS; i++)
        if (add(shared, i, INT64_MAX, 0) == SP_REPLAY_NEW) atomic_fetch_add(&news, 1);
    return arg;
}
static void one_thread_of_many_is_the_first(void **state) {
    (void)state;
    pthread_t threads[THREADS];
    shared = table_of(ROUNDS);
    for (int i = 0; i < THREADS; i++) assert_int_equal(pthread_create(&threads[i], NULL, add_all, NULL), 0);
    for (int i = 0; i < THREADS; i++) assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(atomic_load(&news), ROUNDS);
    sp_replay_free(shared);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(seen_until_it_expires),
        cmocka_unit_test(what_has_expired_already_is_not_kept),
        cmocka_unit_test(full_table_refuses_and_forgets_nothing),
        cmocka_unit_test(full_table_takes_again_when_entries_expire),
        cmocka_unit_test(sweeps_are_rare_and_survive_a_clock_that_goes_back),
        cmocka_unit_test(what_was_forgotten_is_told_when_the_clock_goes_back),
        cmocka_unit_test(half_empty_table_has_room_at_any_pace),
        cmocka_unit_test(churn_keeps_every_live_entry),
        cmocka_unit_test(sizes_that_cannot_be_meant_are_refused),
        cmocka_unit_test(one_thread_of_many_is_the_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
