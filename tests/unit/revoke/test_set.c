#include "support.h"

#include <pthread.h>

#include "revoke/set.h"

#define T0 1800000000

struct fixture {
    struct sp_reclaim *reclaim;
    struct sp_reclaim_reader *reader;
    struct sp_revoke_set *set;
};

static struct fixture fixture_new(const struct sp_revoke_set_opts *opts) {
    struct fixture f = {0};
    struct sp_revoke_set_opts o = opts != NULL ? *opts : (struct sp_revoke_set_opts){0};
    assert_true(sp_ok(sp_reclaim_new(8, &f.reclaim)));
    assert_true(sp_ok(sp_reclaim_reader_join(f.reclaim, &f.reader)));
    o.reclaim = f.reclaim;
    o.random = &sp_random_system;
    assert_true(sp_ok(sp_revoke_set_new(&o, &f.set)));
    return f;
}
static void fixture_done(struct fixture *f) {
    sp_revoke_set_free(f->set);
    sp_reclaim_reader_leave(f->reclaim, f->reader);
    sp_reclaim_free(f->reclaim);
}

static sp_slice id_of(const uint64_t *n) {
    return sp_slice_of(n, sizeof *n);
}
static bool has(struct fixture *f, enum sp_revoke_kind kind, uint64_t n, int64_t now) {
    sp_reclaim_enter(f->reader);
    bool r = sp_revoke_set_contains(f->set, kind, id_of(&n), now);
    sp_reclaim_exit(f->reader);
    return r;
}
static void add(struct fixture *f, enum sp_revoke_kind kind, uint64_t n, int64_t expiry, int64_t now) {
    assert_true(sp_ok(sp_revoke_set_add(f->set, kind, id_of(&n), expiry, now)));
}
static struct sp_revoke_set_stats stats(struct fixture *f) {
    struct sp_revoke_set_stats st;
    sp_revoke_set_stats(f->set, &st);
    return st;
}

static void added_id_is_revoked_and_no_other(void **state) {
    (void)state;
    struct fixture f = fixture_new(NULL);
    add(&f, SP_REVOKE_JTI, 1, T0 + 10, T0);
    assert_true(has(&f, SP_REVOKE_JTI, 1, T0));
    assert_false(has(&f, SP_REVOKE_JTI, 2, T0));
    fixture_done(&f);
}

static void jti_and_sid_of_the_same_bytes_are_different(void **state) {
    (void)state;
    struct fixture f = fixture_new(NULL);
    add(&f, SP_REVOKE_JTI, 1, T0 + 10, T0);
    assert_false(has(&f, SP_REVOKE_SID, 1, T0));
    fixture_done(&f);
}

static void entry_holds_through_its_expiry_and_not_after(void **state) {
    (void)state;
    struct fixture f = fixture_new(NULL);
    add(&f, SP_REVOKE_SID, 7, T0 + 10, T0);
    assert_true(has(&f, SP_REVOKE_SID, 7, T0 + 9));
    assert_true(has(&f, SP_REVOKE_SID, 7, T0 + 10));
    assert_false(has(&f, SP_REVOKE_SID, 7, T0 + 11));
    fixture_done(&f);
}

static void adding_again_extends_and_never_shortens(void **state) {
    (void)state;
    struct fixture f = fixture_new(NULL);
    add(&f, SP_REVOKE_SID, 7, T0 + 10, T0);
    add(&f, SP_REVOKE_SID, 7, T0 + 5, T0);
    assert_true(has(&f, SP_REVOKE_SID, 7, T0 + 10));
    add(&f, SP_REVOKE_SID, 7, T0 + 20, T0);
    assert_true(has(&f, SP_REVOKE_SID, 7, T0 + 20));
    assert_int_equal(stats(&f).entries, 1);
    fixture_done(&f);
}

static void far_expiry_never_lapses_and_past_expiry_always_has(void **state) {
    (void)state;
    struct fixture f = fixture_new(NULL);
    add(&f, SP_REVOKE_JTI, 1, INT64_MAX, T0);
    add(&f, SP_REVOKE_JTI, 2, INT64_MIN, T0);
    assert_true(has(&f, SP_REVOKE_JTI, 1, INT64_MAX));
    assert_false(has(&f, SP_REVOKE_JTI, 2, T0));
    fixture_done(&f);
}

static void id_that_cannot_be_added_reads_as_revoked(void **state) {
    (void)state;
    struct fixture f = fixture_new(NULL);
    uint8_t longest[SP_REVOKE_ID_BYTES_MAX + 1] = {0};
    sp_slice bad[] = {SP_SLICE_EMPTY, SP_SLICE_ARRAY(longest)};
    sp_slice good = sp_slice_of(longest, SP_REVOKE_ID_BYTES_MAX);
    for (size_t i = 0; i < SP_ARRAY_LEN(bad); i++) {
        assert_true(sp_is(sp_revoke_set_add(f.set, SP_REVOKE_JTI, bad[i], T0, T0), SP_E_MALFORMED));
        assert_true(sp_revoke_set_contains(f.set, SP_REVOKE_JTI, bad[i], T0));
    }
    assert_false(sp_revoke_set_contains(f.set, SP_REVOKE_JTI, good, T0));
    fixture_done(&f);
}

static uint64_t hash_all_the_same(const uint8_t *key, enum sp_revoke_kind kind, sp_slice id) {
    (void)key, (void)kind, (void)id;
    return 0;
}

static void equal_fingerprints_keep_the_later_expiry(void **state) {
    (void)state;
    struct fixture f = fixture_new(&(struct sp_revoke_set_opts){.hash_for_test = hash_all_the_same});
    add(&f, SP_REVOKE_JTI, 1, T0 + 10, T0);
    add(&f, SP_REVOKE_JTI, 2, T0 + 5, T0);
    assert_true(has(&f, SP_REVOKE_JTI, 1, T0 + 10));
    assert_true(has(&f, SP_REVOKE_JTI, 2, T0 + 5));
    fixture_done(&f);
}

/* Distinct fingerprints that all begin at one slot, near the end of the table so that the probe wraps. */
static uint64_t hash_to_one_slot(const uint8_t *key, enum sp_revoke_kind kind, sp_slice id) {
    uint64_t n;
    (void)key, (void)kind;
    memcpy(&n, id.p, sizeof n);
    return (n + 1) << 32 | 0xfffffffdu;
}

static void colliding_slots_lose_nobody(void **state) {
    (void)state;
    struct fixture f = fixture_new(&(struct sp_revoke_set_opts){.hash_for_test = hash_to_one_slot});
    for (uint64_t i = 0; i < 2000; i++) add(&f, SP_REVOKE_JTI, i, T0 + 10, T0);
    for (uint64_t i = 0; i < 2000; i++) assert_true(has(&f, SP_REVOKE_JTI, i, T0));
    assert_false(has(&f, SP_REVOKE_JTI, 2000, T0));
    assert_true(stats(&f).rebuilds > 0);
    fixture_done(&f);
}

static void lapsed_entries_give_their_memory_back(void **state) {
    (void)state;
    struct fixture f = fixture_new(NULL);
    for (uint64_t i = 0; i < 20000; i++) add(&f, SP_REVOKE_SID, i, T0 + 10, T0);
    add(&f, SP_REVOKE_SID, 20000, T0 + 50, T0);
    size_t before = stats(&f).slots;
    sp_revoke_set_expire(f.set, T0 + 10);
    assert_int_equal(stats(&f).entries, 20001);
    sp_revoke_set_expire(f.set, T0 + 11);
    assert_int_equal(stats(&f).entries, 1);
    assert_true(stats(&f).slots < before);
    assert_true(has(&f, SP_REVOKE_SID, 20000, T0 + 50));
    assert_int_equal(sp_reclaim_pending(f.reclaim), 0);
    fixture_done(&f);
}

static void steady_stream_does_not_grow_without_bound(void **state) {
    (void)state;
    struct fixture f = fixture_new(NULL);
    for (uint64_t i = 0; i < 200000; i++)
        add(&f, SP_REVOKE_SID, i, T0 + (int64_t)i / 100 + 1, T0 + (int64_t)i / 100);
    assert_true(stats(&f).slots <= 2048);
    fixture_done(&f);
}

static void full_set_refuses_new_entries_and_keeps_the_old(void **state) {
    (void)state;
    struct fixture f = fixture_new(&(struct sp_revoke_set_opts){.entries_max = 100});
    uint64_t n = 0;
    while (sp_ok(sp_revoke_set_add(f.set, SP_REVOKE_JTI, id_of(&n), T0 + 10, T0))) n++;
    assert_in_range(n, 100, 1024);
    assert_true(sp_is(sp_revoke_set_add(f.set, SP_REVOKE_JTI, id_of(&n), T0 + 10, T0), SP_E_LIMIT));
    for (uint64_t i = 0; i < n; i++) assert_true(has(&f, SP_REVOKE_JTI, i, T0 + 10));
    add(&f, SP_REVOKE_JTI, 0, T0 + 99, T0); /* what is there can still be extended */
    add(&f, SP_REVOKE_JTI, n, T0 + 99, T0 + 11);
    assert_true(has(&f, SP_REVOKE_JTI, n, T0 + 99));
    assert_true(has(&f, SP_REVOKE_JTI, 0, T0 + 99));
    fixture_done(&f);
}

static void more_than_the_maximum_is_refused(void **state) {
    (void)state;
    struct sp_revoke_set *s = NULL;
    struct sp_revoke_set_opts o = {.random = &sp_random_system, .entries_max = SP_REVOKE_ENTRIES_MAX + 1};
    assert_true(sp_is(sp_revoke_set_new(&o, &s), SP_E_LIMIT));
    assert_null(s);
}

/* Against a plain table: random adds, lookups and expiries under a clock that moves on. */
#define MODEL_IDS 4096
#define MODEL_STEPS 200000

static void behaves_as_a_plain_table(void **state) {
    (void)state;
    static int64_t expiry[2][MODEL_IDS]; /* the reference: 0 is never added */
    struct fixture f = fixture_new(NULL);
    uint64_t seed = test_seed(), rng = seed;
    int64_t now = T0;
    memset(expiry, 0, sizeof expiry);
    for (size_t step = 0; step < MODEL_STEPS; step++) {
        uint64_t r = next_random(&rng), id = (r >> 8) % MODEL_IDS;
        enum sp_revoke_kind kind = (r >> 40) & 1 ? SP_REVOKE_SID : SP_REVOKE_JTI;
        int64_t *ref = &expiry[kind - SP_REVOKE_JTI][id];
        if (r % 16 < 5) {
            int64_t until = now + (int64_t)((r >> 48) % 600) - 10;
            assert_model(sp_ok(sp_revoke_set_add(f.set, kind, id_of(&id), until, now)), seed, step);
            if (until > *ref) *ref = until;
        } else if (r % 1024 == 15) {
            sp_revoke_set_expire(f.set, now);
        } else if (r % 64 == 14) {
            now += (int64_t)((r >> 48) % 8);
        }
        assert_model(has(&f, kind, id, now) == (*ref != 0 && now <= *ref), seed, step);
    }
    fixture_done(&f);
}

/* One writer adds ids in order, through several growths and expiries; readers must find every id that was
 * added before they began to look, and never one that was not. */
#define RACE_IDS 60000
struct race {
    struct fixture *f;
    _Atomic uint64_t added; /* ids below are in the set */
    _Atomic size_t wrong;
    _Atomic size_t looks;
};

static void *race_reader(void *arg) {
    struct race *race = arg;
    struct sp_reclaim_reader *reader = NULL;
    uint64_t rng = (uintptr_t)&reader, added;
    if (!sp_ok(sp_reclaim_reader_join(race->f->reclaim, &reader))) return NULL;
    do {
        added = atomic_load(&race->added);
        if (added == 0) continue;
        uint64_t in = next_random(&rng) % added, out = RACE_IDS + next_random(&rng) % RACE_IDS;
        sp_reclaim_enter(reader);
        bool ok = sp_revoke_set_contains(race->f->set, SP_REVOKE_SID, id_of(&in), T0) &&
                  !sp_revoke_set_contains(race->f->set, SP_REVOKE_SID, id_of(&out), T0);
        sp_reclaim_exit(reader);
        if (!ok) atomic_fetch_add(&race->wrong, 1);
        atomic_fetch_add(&race->looks, 1);
    } while (added < RACE_IDS);
    sp_reclaim_reader_leave(race->f->reclaim, reader);
    return NULL;
}

static void readers_find_everything_while_the_table_grows(void **state) {
    (void)state;
    struct fixture f = fixture_new(NULL);
    struct race race = {.f = &f};
    pthread_t t[2];
    for (size_t i = 0; i < SP_ARRAY_LEN(t); i++)
        assert_int_equal(pthread_create(&t[i], NULL, race_reader, &race), 0);
    for (uint64_t i = 0; i < RACE_IDS; i++) {
        uint64_t passing = i + 4 * (uint64_t)RACE_IDS;
        add(&f, SP_REVOKE_SID, passing, T0 - 1, T0 - 1);
        add(&f, SP_REVOKE_SID, i, T0 + 10, T0);
        if (i % 10000 == 0) sp_revoke_set_expire(f.set, T0);
        atomic_store(&race.added, i + 1);
    }
    for (size_t i = 0; i < SP_ARRAY_LEN(t); i++) pthread_join(t[i], NULL);
    assert_int_equal(atomic_load(&race.wrong), 0);
    assert_true(atomic_load(&race.looks) > 0);
    fixture_done(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(added_id_is_revoked_and_no_other),
        cmocka_unit_test(jti_and_sid_of_the_same_bytes_are_different),
        cmocka_unit_test(entry_holds_through_its_expiry_and_not_after),
        cmocka_unit_test(adding_again_extends_and_never_shortens),
        cmocka_unit_test(far_expiry_never_lapses_and_past_expiry_always_has),
        cmocka_unit_test(id_that_cannot_be_added_reads_as_revoked),
        cmocka_unit_test(equal_fingerprints_keep_the_later_expiry),
        cmocka_unit_test(colliding_slots_lose_nobody),
        cmocka_unit_test(lapsed_entries_give_their_memory_back),
        cmocka_unit_test(steady_stream_does_not_grow_without_bound),
        cmocka_unit_test(full_set_refuses_new_entries_and_keeps_the_old),
        cmocka_unit_test(more_than_the_maximum_is_refused),
        cmocka_unit_test(behaves_as_a_plain_table),
        cmocka_unit_test(readers_find_everything_while_the_table_grows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
