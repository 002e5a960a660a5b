/* Readers beside a writer that never pauses: for the thread sanitizer, and for what it cannot see. */
#include "set_support.h"

#include <pthread.h>
#include <time.h>

#define READERS 2

struct race {
    struct fixture f;
    _Atomic uint64_t added; /* of the ids 0, 1, ..., those below are in the set */
    _Atomic int64_t now;
    _Atomic bool stop;
    _Atomic size_t missed, invented, looks;
};

/* The n-th id is added at second n / PER_SECOND of the race and lives for LIFE. */
#define PER_SECOND 1000
#define LIFE 20

static int64_t expiry_of(uint64_t n) {
    return T0 + (int64_t)(n / PER_SECOND) + LIFE;
}

/* An id that was added before the look began and has not lapsed after it is found, always. One never added is
 * not: among 64 bits of fingerprint a test does not meet a collision. */
static void look(struct race *race, struct sp_reclaim_reader *seat, uint64_t *rng) {
    uint64_t added = atomic_load(&race->added), r = next_random(rng);
    uint64_t in = added - 1 - r % (added < LIFE * PER_SECOND ? added : LIFE * PER_SECOND), out = ~r;
    sp_reclaim_enter(seat);
    bool found = sp_revoke_set_contains(race->f.set, SP_REVOKE_SID, id_of(&in), T0);
    bool other = sp_revoke_set_contains(race->f.set, SP_REVOKE_SID, id_of(&out), T0);
    sp_reclaim_exit(seat);
    if (!found && atomic_load(&race->now) <= expiry_of(in)) atomic_fetch_add(&race->missed, 1);
    if (other) atomic_fetch_add(&race->invented, 1);
}

static void *read_on(void *arg) {
    struct race *race = arg;
    struct sp_reclaim_reader *seat = NULL;
    uint64_t rng = (uintptr_t)&seat;
    if (!sp_ok(sp_reclaim_reader_join(race->f.reclaim, &seat))) return NULL;
    while (!atomic_load(&race->stop)) {
        if (atomic_load(&race->added) == 0) continue;
        look(race, seat, &rng);
        atomic_fetch_add_explicit(&race->looks, 1, memory_order_relaxed);
    }
    sp_reclaim_reader_leave(race->f.reclaim, seat);
    return NULL;
}

/* Each second of the race brings PER_SECOND ids, an extension, and an expiry of what has lapsed. */
static bool write_second(struct race *race, uint64_t second) {
    int64_t now = T0 + (int64_t)second;
    atomic_store(&race->now, now); /* before anything is dropped as of it */
    for (uint64_t n = second * PER_SECOND; n < (second + 1) * PER_SECOND; n++) {
        if (!sp_ok(sp_revoke_set_add(race->f.set, SP_REVOKE_SID, id_of(&n), expiry_of(n), now))) return false;
        atomic_store(&race->added, n + 1);
    }
    sp_revoke_set_expire(race->f.set, now);
    return true;
}

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* As fast as it goes (a million changes a second without a sanitizer), for two seconds or two million ids;
 * and for as long as the readers need to begin. */
static void readers_never_miss_beside_a_writer_without_pause(void **state) {
    (void)state;
    static struct race race;
    pthread_t t[READERS];
    race.f = fixture_new(NULL);
    for (size_t i = 0; i < READERS; i++) assert_int_equal(pthread_create(&t[i], NULL, read_on, &race), 0);
    bool ok = true;
    double start = seconds();
    for (uint64_t s = 0; ok && ((s < 2000 && seconds() - start < 2) || atomic_load(&race.looks) == 0); s++)
        ok = write_second(&race, s);
    atomic_store(&race.stop, true);
    for (size_t i = 0; i < READERS; i++) pthread_join(t[i], NULL);
    assert_true(ok);
    assert_int_equal(atomic_load(&race.missed), 0);
    assert_int_equal(atomic_load(&race.invented), 0);
    assert_true(atomic_load(&race.looks) > 0);
    print_message("%.0f changes a second, %zu lookups\n",
                  (double)atomic_load(&race.added) / (seconds() - start), (size_t)atomic_load(&race.looks));
    fixture_done(&race.f);
}

/* Growth alone: nothing lapses, every id ever added is found. */
#define GROWING_IDS 100000

static void readers_find_everything_while_shards_grow(void **state) {
    (void)state;
    static struct race race;
    pthread_t t[READERS];
    memset(&race, 0, sizeof race);
    race.f = fixture_new(NULL);
    for (size_t i = 0; i < READERS; i++) assert_int_equal(pthread_create(&t[i], NULL, read_on, &race), 0);
    for (uint64_t n = 0; n < GROWING_IDS; n++) {
        add(&race.f, SP_REVOKE_SID, n, INT64_MAX, T0);
        atomic_store(&race.added, n + 1);
    }
    for (uint64_t n = 0; n < GROWING_IDS; n++) assert_true(has(&race.f, SP_REVOKE_SID, n, T0));
    atomic_store(&race.stop, true);
    for (size_t i = 0; i < READERS; i++) pthread_join(t[i], NULL);
    assert_int_equal(atomic_load(&race.missed), 0);
    assert_int_equal(atomic_load(&race.invented), 0);
    fixture_done(&race.f);
}

/* The set stays empty; the key changes all the time. A fingerprint is one of the two, never a mix. */
static void *make_fingerprints(void *arg) {
    struct race *race = arg;
    uint64_t id = 1, a = atomic_load(&race->added), b = (uint64_t)atomic_load(&race->now);
    while (!atomic_load(&race->stop)) {
        uint64_t fp = sp_revoke_set_fingerprint(race->f.set, SP_REVOKE_SID, id_of(&id));
        if (fp != a && fp != b) atomic_fetch_add(&race->missed, 1);
    }
    return NULL;
}

static void fingerprint_beside_a_rekey_is_of_one_key(void **state) {
    (void)state;
    static struct race race;
    static const uint8_t key[2][SP_REVOKE_KEY_BYTES] = {{1}, {2, [15] = 3}};
    uint64_t id = 1, fp[2];
    pthread_t t[READERS];
    memset(&race, 0, sizeof race);
    race.f = fixture_new(NULL);
    for (size_t i = 0; i < 2; i++) {
        assert_true(sp_ok(sp_revoke_set_rekey(race.f.set, key[i])));
        fp[i] = sp_revoke_set_fingerprint(race.f.set, SP_REVOKE_SID, id_of(&id));
    }
    atomic_store(&race.added, fp[0]);
    atomic_store(&race.now, (int64_t)fp[1]);
    for (size_t i = 0; i < READERS; i++)
        assert_int_equal(pthread_create(&t[i], NULL, make_fingerprints, &race), 0);
    for (size_t i = 0; i < 100000; i++) assert_true(sp_ok(sp_revoke_set_rekey(race.f.set, key[i % 2])));
    atomic_store(&race.stop, true);
    for (size_t i = 0; i < READERS; i++) pthread_join(t[i], NULL);
    assert_int_equal(atomic_load(&race.missed), 0);
    fixture_done(&race.f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(readers_never_miss_beside_a_writer_without_pause),
        cmocka_unit_test(readers_find_everything_while_shards_grow),
        cmocka_unit_test(fingerprint_beside_a_rekey_is_of_one_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
