#include "support.h"

#include <pthread.h>

#include "revoke/epochs.h"

#define T0 1800000000

struct fixture {
    struct sp_reclaim *reclaim;
    struct sp_reclaim_reader *reader;
    struct sp_epochs *epochs;
};

static struct fixture fixture_new(const struct sp_epochs_opts *opts) {
    struct fixture f = {0};
    struct sp_epochs_opts o = opts != NULL ? *opts : (struct sp_epochs_opts){0};
    assert_true(sp_ok(sp_reclaim_new(8, &f.reclaim)));
    assert_true(sp_ok(sp_reclaim_reader_join(f.reclaim, &f.reader)));
    o.reclaim = f.reclaim;
    o.random = &sp_random_system;
    assert_true(sp_ok(sp_epochs_new(&o, &f.epochs)));
    return f;
}
static void fixture_done(struct fixture *f) {
    sp_epochs_free(f->epochs);
    sp_reclaim_reader_leave(f->reclaim, f->reader);
    sp_reclaim_free(f->reclaim);
}

struct user {
    uint64_t hi, lo;
};
static sp_slice sub_of(const struct user *u) {
    return sp_slice_of(u, sizeof *u);
}
static bool passes(struct fixture *f, uint64_t user, uint32_t epu, uint32_t epg) {
    struct user u = {1, user};
    sp_reclaim_enter(f->reader);
    enum sp_epoch_verdict v = sp_epochs_check(f->epochs, sub_of(&u), epu, epg);
    sp_reclaim_exit(f->reader);
    return v == SP_EPOCH_CURRENT;
}
static void raise_user(struct fixture *f, uint64_t user, uint32_t epoch, int64_t expiry, int64_t now) {
    struct user u = {1, user};
    assert_true(sp_ok(sp_epochs_raise_user(f->epochs, sub_of(&u), epoch, expiry, now)));
}

static void lower_epoch_is_refused_equal_and_higher_pass(void **state) {
    (void)state;
    struct fixture f = fixture_new(NULL);
    raise_user(&f, 1, 5, T0 + 10, T0);
    assert_false(passes(&f, 1, 4, 0));
    assert_true(passes(&f, 1, 5, 0));
    assert_true(passes(&f, 1, 6, 0));
    assert_true(passes(&f, 1, UINT32_MAX, 0));
    fixture_done(&f);
}

static void raising_a_user_touches_no_other(void **state) {
    (void)state;
    struct fixture f = fixture_new(NULL);
    raise_user(&f, 1, 5, T0 + 10, T0);
    assert_true(passes(&f, 2, 0, 0));
    fixture_done(&f);
}

static void epoch_never_goes_down(void **state) {
    (void)state;
    struct fixture f = fixture_new(NULL);
    raise_user(&f, 1, 5, T0 + 10, T0);
    raise_user(&f, 1, 3, T0 + 10, T0);
    assert_false(passes(&f, 1, 4, 0));
    sp_epochs_raise_global(f.epochs, 9);
    sp_epochs_raise_global(f.epochs, 2);
    assert_int_equal(sp_epochs_global(f.epochs), 9);
    fixture_done(&f);
}

static void global_epoch_is_everyones(void **state) {
    (void)state;
    struct fixture f = fixture_new(NULL);
    sp_epochs_raise_global(f.epochs, 2);
    assert_false(passes(&f, 1, UINT32_MAX, 1));
    assert_true(passes(&f, 1, 0, 2));
    assert_true(passes(&f, 1, 0, 3));
    fixture_done(&f);
}

static void sub_of_another_length_is_refused(void **state) {
    (void)state;
    struct fixture f = fixture_new(NULL);
    uint8_t b[SP_EPOCHS_SUB_BYTES + 1] = {0};
    size_t lengths[] = {0, SP_EPOCHS_SUB_BYTES - 1, SP_EPOCHS_SUB_BYTES + 1};
    for (size_t i = 0; i < SP_ARRAY_LEN(lengths); i++) {
        sp_slice sub = sp_slice_of(b, lengths[i]);
        assert_true(sp_is(sp_epochs_raise_user(f.epochs, sub, 1, T0, T0), SP_E_MALFORMED));
        assert_int_equal(sp_epochs_check(f.epochs, sub, UINT32_MAX, UINT32_MAX), SP_EPOCH_REVOKED);
    }
    fixture_done(&f);
}

static void expiry_is_inclusive_and_only_extends(void **state) {
    (void)state;
    struct fixture f = fixture_new(NULL);
    for (uint64_t i = 0; i < 1000; i++) raise_user(&f, i, 5, T0 + 10, T0);
    raise_user(&f, 7, 5, T0 + 20, T0);
    raise_user(&f, 7, 5, T0 + 15, T0);
    sp_epochs_expire(f.epochs, T0 + 10);
    assert_int_equal(sp_epochs_users(f.epochs), 1000);
    sp_epochs_expire(f.epochs, T0 + 11);
    assert_int_equal(sp_epochs_users(f.epochs), 1);
    assert_false(passes(&f, 7, 4, 0));
    assert_true(passes(&f, 8, 4, 0));
    fixture_done(&f);
}

static uint64_t hash_all_the_same(const uint8_t *key, sp_slice sub) {
    (void)key, (void)sub;
    return UINT64_MAX;
}

static void colliding_users_are_told_apart(void **state) {
    (void)state;
    struct fixture f = fixture_new(&(struct sp_epochs_opts){.hash_for_test = hash_all_the_same});
    for (uint64_t i = 0; i < 600; i++) raise_user(&f, i, (uint32_t)i, T0 + 10, T0);
    for (uint64_t i = 1; i < 600; i++) {
        assert_true(passes(&f, i, (uint32_t)i, 0));
        assert_false(passes(&f, i, (uint32_t)i - 1, 0));
    }
    assert_true(passes(&f, 600, 0, 0));
    fixture_done(&f);
}

static void full_map_refuses_new_users_and_keeps_the_old(void **state) {
    (void)state;
    struct fixture f = fixture_new(&(struct sp_epochs_opts){.users_max = 50});
    struct user u = {1, 0};
    while (sp_ok(sp_epochs_raise_user(f.epochs, sub_of(&u), 1, T0 + 10, T0))) u.lo++;
    assert_int_equal(u.lo, 50);
    assert_true(sp_is(sp_epochs_raise_user(f.epochs, sub_of(&u), 1, T0 + 10, T0), SP_E_LIMIT));
    for (uint64_t i = 0; i < u.lo; i++) assert_false(passes(&f, i, 0, 0));
    raise_user(&f, u.lo, 1, T0 + 20, T0 + 11);
    assert_false(passes(&f, u.lo, 0, 0));
    fixture_done(&f);
}

#define MODEL_USERS 2048
#define MODEL_STEPS 100000

static void behaves_as_a_plain_table(void **state) {
    (void)state;
    static struct {
        uint32_t epoch;
        int64_t expiry;
    } ref[MODEL_USERS];
    struct fixture f = fixture_new(NULL);
    uint64_t seed = test_seed(), rng = seed;
    uint32_t global = 0;
    int64_t now = T0;
    memset(ref, 0, sizeof ref);
    for (size_t step = 0; step < MODEL_STEPS; step++) {
        uint64_t r = next_random(&rng), user = (r >> 8) % MODEL_USERS;
        uint32_t epu = ref[user].epoch + (uint32_t)(r >> 32) % 3 - (ref[user].epoch != 0);
        uint32_t epg = global + (uint32_t)(r >> 40) % 3 - (global != 0);
        if (r % 16 < 5) {
            int64_t until = now + (int64_t)((r >> 48) % 300);
            raise_user(&f, user, ++ref[user].epoch, until, now); /* an epoch counts up: the store's does */
            if (until > ref[user].expiry) ref[user].expiry = until;
        } else if (r % 1024 == 15) {
            sp_epochs_expire(f.epochs, now);
        } else if (r % 64 == 14) {
            now += (int64_t)((r >> 48) % 8);
        } else if (r % 4096 == 13) {
            sp_epochs_raise_global(f.epochs, ++global);
        }
        /* Who has lapsed may still be known or not; who has not must be. */
        bool passed = passes(&f, user, epu, epg), good = epu >= ref[user].epoch && epg >= global;
        if (now <= ref[user].expiry || good || epg < global) assert_model(passed == good, seed, step);
    }
    fixture_done(&f);
}

/* ---- dumps ---- */

/* A whole dump in steps of n_max: how many of the users 0..n_users-1 were given, each once and as they are.
 */
static size_t dump_all(struct fixture *f, int64_t now, size_t n_max, size_t n_users) {
    static bool given[5000];
    struct sp_epochs_entry page[64];
    struct sp_epochs_dump cursor = {0};
    size_t total = 0;
    memset(given, 0, sizeof given);
    for (bool end = false; !end;) {
        sp_reclaim_enter(f->reader);
        size_t n = sp_epochs_dump(f->epochs, &cursor, now, page, n_max, &end);
        sp_reclaim_exit(f->reader);
        assert_true(n <= n_max);
        for (size_t i = 0; i < n; i++) {
            struct user u;
            memcpy(&u, page[i].sub, sizeof u);
            assert_true(u.hi == 1 && u.lo < n_users && !given[u.lo] && now <= page[i].expiry_s);
            assert_int_equal(page[i].epoch, u.lo + 1);
            given[u.lo] = true;
        }
        total += n;
    }
    return total;
}

static void every_user_in_force_is_dumped_once(void **state) {
    (void)state;
    static const size_t steps[] = {1, 7, 64};
    struct fixture f = fixture_new(NULL);
    assert_int_equal(dump_all(&f, T0, 1, 0), 0);
    for (uint64_t i = 0; i < 5000; i++) raise_user(&f, i, (uint32_t)i + 1, T0 + 10 + (int64_t)(i % 5), T0);
    for (size_t i = 0; i < SP_ARRAY_LEN(steps); i++) {
        assert_int_equal(dump_all(&f, T0 + 10, steps[i], 5000), 5000);
        assert_int_equal(dump_all(&f, T0 + 13, steps[i], 5000), 2000);
        assert_int_equal(dump_all(&f, T0 + 15, steps[i], 5000), 0);
    }
    fixture_done(&f);
}

static void users_of_one_hash_are_dumped_in_steps_too(void **state) {
    (void)state;
    struct fixture f = fixture_new(&(struct sp_epochs_opts){.hash_for_test = hash_all_the_same});
    for (uint64_t i = 0; i < 200; i++) raise_user(&f, i, (uint32_t)i + 1, T0 + 10, T0);
    for (size_t n = 1; n <= 64; n *= 4) assert_int_equal(dump_all(&f, T0, n, 200), 200);
    fixture_done(&f);
}

/* Between the steps the map grows manifold, most of that lapses, and memory is given back. */
static void no_user_is_lost_while_the_map_grows_and_shrinks(void **state) {
    (void)state;
    struct fixture f = fixture_new(NULL);
    struct sp_epochs_dump cursor = {0};
    struct sp_epochs_entry page[8];
    size_t steady = 0, step = 0;
    int64_t now = T0;
    for (uint64_t i = 0; i < 1000; i++) raise_user(&f, i, 1, INT64_MAX, T0);
    for (bool end = false; !end; step++) {
        sp_reclaim_enter(f.reader);
        size_t n = sp_epochs_dump(f.epochs, &cursor, now, page, SP_ARRAY_LEN(page), &end);
        sp_reclaim_exit(f.reader);
        for (size_t i = 0; i < n; i++) steady += page[i].expiry_s == UINT32_MAX;
        for (uint64_t i = 0; i < 200; i++) raise_user(&f, 1000 + step * 200 + i, 1, now + 5, now);
        if (step % 20 == 19) sp_epochs_expire(f.epochs, now += 6);
    }
    assert_int_equal(steady, 1000);
    fixture_done(&f);
}

#define RACE_USERS 20000
struct race {
    struct fixture *f;
    _Atomic uint64_t raised;
    _Atomic size_t wrong;
};

static void *race_reader(void *arg) {
    struct race *race = arg;
    struct sp_reclaim_reader *reader = NULL;
    uint64_t rng = (uintptr_t)&reader, raised;
    if (!sp_ok(sp_reclaim_reader_join(race->f->reclaim, &reader))) return NULL;
    do {
        raised = atomic_load(&race->raised);
        if (raised == 0) continue;
        struct user in = {1, next_random(&rng) % raised}, out = {2, in.lo};
        sp_reclaim_enter(reader);
        bool ok = sp_epochs_check(race->f->epochs, sub_of(&in), 0, 0) == SP_EPOCH_REVOKED &&
                  sp_epochs_check(race->f->epochs, sub_of(&out), 0, 0) == SP_EPOCH_CURRENT;
        sp_reclaim_exit(reader);
        if (!ok) atomic_fetch_add(&race->wrong, 1);
    } while (raised < RACE_USERS);
    sp_reclaim_reader_leave(race->f->reclaim, reader);
    return NULL;
}

static void readers_see_every_raise_while_the_map_grows(void **state) {
    (void)state;
    struct fixture f = fixture_new(NULL);
    struct race race = {.f = &f};
    pthread_t t[2];
    for (size_t i = 0; i < SP_ARRAY_LEN(t); i++)
        assert_int_equal(pthread_create(&t[i], NULL, race_reader, &race), 0);
    for (uint64_t i = 0; i < RACE_USERS; i++) {
        raise_user(&f, i + RACE_USERS, 1, T0 - 1, T0 - 1);
        raise_user(&f, i, 1, T0 + 10, T0);
        if (i % 3000 == 0) sp_epochs_expire(f.epochs, T0);
        atomic_store(&race.raised, i + 1);
    }
    for (size_t i = 0; i < SP_ARRAY_LEN(t); i++) pthread_join(t[i], NULL);
    assert_int_equal(atomic_load(&race.wrong), 0);
    fixture_done(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lower_epoch_is_refused_equal_and_higher_pass),
        cmocka_unit_test(raising_a_user_touches_no_other),
        cmocka_unit_test(epoch_never_goes_down),
        cmocka_unit_test(global_epoch_is_everyones),
        cmocka_unit_test(sub_of_another_length_is_refused),
        cmocka_unit_test(expiry_is_inclusive_and_only_extends),
        cmocka_unit_test(colliding_users_are_told_apart),
        cmocka_unit_test(full_map_refuses_new_users_and_keeps_the_old),
        cmocka_unit_test(behaves_as_a_plain_table),
        cmocka_unit_test(every_user_in_force_is_dumped_once),
        cmocka_unit_test(users_of_one_hash_are_dumped_in_steps_too),
        cmocka_unit_test(no_user_is_lost_while_the_map_grows_and_shrinks),
        cmocka_unit_test(readers_see_every_raise_while_the_map_grows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
