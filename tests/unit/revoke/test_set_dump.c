/* Dumps: everything once, in order, whatever happens between the steps. */
#include "set_support.h"

#include <pthread.h>

#include "revoke/shards.h"

static const struct sp_revoke_set_opts in_order = {.mix_for_test = 1};

/* A whole dump in steps of n_max of a set that lies in the order of fingerprints: how many entries, in order,
 * each found in the set. */
static size_t dump_all(struct fixture *f, int64_t now, size_t n_max) {
    struct sp_revoke_entry page[64];
    struct sp_revoke_dump cursor = {0};
    size_t total = 0;
    uint64_t last = 0;
    for (bool end = false; !end;) {
        size_t n = dump_step(f, &cursor, now, page, n_max, &end);
        assert_true(n <= n_max);
        for (size_t i = 0; i < n; i++) {
            assert_true(page[i].fingerprint > last);
            assert_true(has_fingerprint(f, page[i].fingerprint, now));
            last = page[i].fingerprint;
        }
        total += n;
    }
    return total;
}

static void empty_set_gives_nothing_and_ends(void **state) {
    (void)state;
    struct fixture f = fixture_new(&in_order);
    assert_int_equal(dump_all(&f, T0, 1), 0);
    fixture_done(&f);
}

static void every_entry_in_force_is_given_once_in_order(void **state) {
    (void)state;
    static const size_t steps[] = {1, 2, 7, 64};
    struct fixture f = fixture_new(&in_order);
    for (uint64_t i = 0; i < 5000; i++) add_fingerprint(&f, spread(i), T0 + 10 + (int64_t)(i % 5), T0);
    for (size_t i = 0; i < SP_ARRAY_LEN(steps); i++) {
        assert_int_equal(dump_all(&f, T0 + 10, steps[i]), 5000);
        assert_int_equal(dump_all(&f, T0 + 13, steps[i]), 2000);
        assert_int_equal(dump_all(&f, T0 + 15, steps[i]), 0);
    }
    fixture_done(&f);
}

static void entry_is_given_with_its_expiry(void **state) {
    (void)state;
    struct fixture f = fixture_new(&in_order);
    struct sp_revoke_dump cursor = {0};
    struct sp_revoke_entry page[4];
    bool end = false;
    add_fingerprint(&f, 5, T0 + 10, T0);
    add_fingerprint(&f, 6, INT64_MAX, T0);
    assert_int_equal(dump_step(&f, &cursor, T0, page, 2, &end), 2);
    assert_int_equal(page[0].expiry_s, T0 + 10);
    assert_int_equal(page[1].expiry_s, UINT32_MAX);
    fixture_done(&f);
}

static void ends_of_the_fingerprints_are_given_too(void **state) {
    (void)state;
    struct fixture f = fixture_new(&in_order);
    add_fingerprint(&f, UINT64_MAX, T0 + 10, T0);
    assert_int_equal(dump_all(&f, T0, 1), 1);
    add_fingerprint(&f, UINT64_MAX - 1, T0 + 10, T0);
    add_fingerprint(&f, 1, T0 + 10, T0);
    assert_int_equal(dump_all(&f, T0, 1), 3);
    assert_int_equal(dump_all(&f, T0, 64), 3);
    fixture_done(&f);
}

/* All belong to the last line of a table and overflow into its first ones. */
static void entries_pushed_around_the_end_are_given(void **state) {
    (void)state;
    struct fixture f = fixture_new(&in_order);
    const uint64_t shard = (uint64_t)5 << (64 - SP_SHARD_BITS), last = UINT64_MAX >> SP_SHARD_BITS;
    for (uint64_t i = 0; i < 300; i++) add_fingerprint(&f, shard | (last - i), T0 + 10, T0);
    for (uint64_t i = 0; i < 300; i++) add_fingerprint(&f, shard | (i + 1), T0 + 10, T0);
    for (size_t n = 1; n <= 64; n *= 2) assert_int_equal(dump_all(&f, T0, n), 600);
    fixture_done(&f);
}

static void step_over_lapsed_entries_is_bounded(void **state) {
    (void)state;
    struct fixture f = fixture_new(NULL);
    struct sp_revoke_dump cursor = {0};
    struct sp_revoke_entry page[1];
    bool end = false;
    size_t steps = 0;
    for (uint64_t i = 0; i < 50000; i++) add_fingerprint(&f, spread(i), T0 + 10, T0);
    for (; !end; steps++) assert_int_equal(dump_step(&f, &cursor, T0 + 11, page, 1, &end), 0);
    assert_true(steps > 10);
    fixture_done(&f);
}

/* Between the steps the set grows manyfold, most of that lapses, and memory is given back. */
static void nothing_is_lost_while_the_set_grows_and_shrinks(void **state) {
    (void)state;
    struct fixture f = fixture_new(NULL);
    struct sp_revoke_dump cursor = {0};
    struct sp_revoke_entry page[16];
    static bool given[1000];
    uint64_t seed = test_seed(), rng = seed;
    size_t step = 0;
    int64_t now = T0;
    memset(given, 0, sizeof given);
    for (uint64_t i = 0; i < SP_ARRAY_LEN(given); i++) add_fingerprint(&f, spread(seed + i), T0 + 100000, T0);
    uint64_t rebuilds = stats(&f).rebuilds;
    for (bool end = false; !end; step++) {
        size_t n = dump_step(&f, &cursor, now, page, 1 + next_random(&rng) % 16, &end);
        for (size_t i = 0; i < n; i++)
            for (uint64_t k = 0; k < SP_ARRAY_LEN(given); k++)
                given[k] |= page[i].fingerprint == spread(seed + k);
        for (uint64_t i = 0; i < 300; i++) add_fingerprint(&f, next_random(&rng), now + 5, now);
        if (step % 50 == 49) sp_revoke_set_expire(f.set, now += 6);
    }
    assert_true(stats(&f).rebuilds > rebuilds + 500);
    for (size_t k = 0; k < SP_ARRAY_LEN(given); k++) assert_model(given[k], seed, k);
    fixture_done(&f);
}

/* The same with the writer in another thread, in the midst of the steps. */
#define STEADY 20000
struct race {
    struct fixture *f;
    _Atomic bool stop;
};

static void *churn(void *arg) {
    struct race *race = arg;
    int64_t now = T0;
    for (uint64_t n = STEADY; !atomic_load(&race->stop); n++) {
        if (!sp_ok(sp_revoke_set_add_fingerprint(race->f->set, spread(n), now + 3, now))) break;
        if (n % 5000 == 0) sp_revoke_set_expire(race->f->set, ++now);
    }
    return NULL;
}

static void dump_beside_a_writer_gives_everything_that_was_there(void **state) {
    (void)state;
    struct fixture f = fixture_new(NULL);
    struct race race = {.f = &f};
    pthread_t writer;
    for (uint64_t i = 0; i < STEADY; i++) add_fingerprint(&f, spread(i), INT64_MAX, T0);
    assert_int_equal(pthread_create(&writer, NULL, churn, &race), 0);
    for (int round = 0; round < 5; round++) {
        struct sp_revoke_dump cursor = {0};
        struct sp_revoke_entry page[100];
        size_t steady = 0;
        for (bool end = false; !end;) {
            size_t n = dump_step(&f, &cursor, T0, page, SP_ARRAY_LEN(page), &end);
            for (size_t i = 0; i < n; i++) steady += page[i].expiry_s == UINT32_MAX;
        }
        assert_int_equal(steady, STEADY);
    }
    atomic_store(&race.stop, true);
    pthread_join(writer, NULL);
    fixture_done(&f);
}

static void dump_loads_into_an_equal_set(void **state) {
    (void)state;
    struct fixture from = fixture_new(NULL), to = fixture_new(NULL);
    struct sp_revoke_dump cursor = {0};
    struct sp_revoke_entry page[64];
    for (uint64_t i = 0; i < 5000; i++) add_fingerprint(&from, spread(i), T0 + 10 + (int64_t)(i % 7), T0);
    assert_true(sp_ok(sp_revoke_set_reserve(to.set, 5000)));
    for (bool end = false; !end;) {
        size_t n = dump_step(&from, &cursor, T0, page, SP_ARRAY_LEN(page), &end);
        for (size_t i = 0; i < n; i++) add_fingerprint(&to, page[i].fingerprint, page[i].expiry_s, T0);
    }
    for (uint64_t i = 0; i < 10000; i++)
        for (int64_t now = T0 + 10; now < T0 + 18; now++)
            assert_true(has_fingerprint(&from, spread(i), now) == has_fingerprint(&to, spread(i), now));
    fixture_done(&from);
    fixture_done(&to);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_set_gives_nothing_and_ends),
        cmocka_unit_test(every_entry_in_force_is_given_once_in_order),
        cmocka_unit_test(entry_is_given_with_its_expiry),
        cmocka_unit_test(ends_of_the_fingerprints_are_given_too),
        cmocka_unit_test(entries_pushed_around_the_end_are_given),
        cmocka_unit_test(step_over_lapsed_entries_is_bounded),
        cmocka_unit_test(nothing_is_lost_while_the_set_grows_and_shrinks),
        cmocka_unit_test(dump_beside_a_writer_gives_everything_that_was_there),
        cmocka_unit_test(dump_loads_into_an_equal_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
