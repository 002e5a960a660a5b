/* Every allocation fails once, then again with two in a row, and so on: whatever was acknowledged stays. */
#include "support.h"

#include <sys/mman.h>

#include "revoke/epochs.h"
#include "revoke/set.h"

#define T0 1800000000

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_aligned_alloc(size_t align, size_t n);
/* What mmap is called where off_t has 64 bits. */
void *__real_mmap64(void *at, size_t n, int prot, int flags, int fd, off_t offset);
void *__wrap_mmap64(void *at, size_t n, int prot, int flags, int fd, off_t offset);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_aligned_alloc(size_t align, size_t n);

static long countdown = -1; /* allocations until they fail; -1: never */
static bool fails(void) {
    if (countdown < 0) return false;
    if (countdown == 0) return true;
    countdown--;
    return false;
}
void *__wrap_malloc(size_t n) {
    return fails() ? NULL : __real_malloc(n);
}
void *__wrap_calloc(size_t n, size_t size) {
    return fails() ? NULL : __real_calloc(n, size);
}
void *__wrap_aligned_alloc(size_t align, size_t n) {
    return fails() ? NULL : __real_aligned_alloc(align, n);
}
void *__wrap_mmap64(void *at, size_t n, int prot, int flags, int fd, off_t offset) {
    return fails() ? MAP_FAILED : __real_mmap64(at, n, prot, flags, fd, offset);
}

static sp_slice id_of(const uint64_t *id) {
    return sp_slice_of(id, 2 * sizeof *id);
}

static void creation_survives_every_failure(void **state) {
    (void)state;
    for (long n = 0;; n++) {
        struct sp_reclaim *r = NULL;
        struct sp_revoke_set *s = NULL;
        struct sp_epochs *e = NULL;
        countdown = n;
        sp_status st = sp_reclaim_new(4, &r);
        if (sp_ok(st))
            st = sp_revoke_set_new(&(struct sp_revoke_set_opts){.reclaim = r, .random = &sp_random_system},
                                   &s);
        if (sp_ok(st))
            st = sp_epochs_new(&(struct sp_epochs_opts){.reclaim = r, .random = &sp_random_system}, &e);
        countdown = -1;
        bool done = sp_ok(st);
        assert_true(done || (sp_is(st, SP_E_NOMEM) && e == NULL));
        sp_epochs_free(e);
        sp_revoke_set_free(s);
        sp_reclaim_free(r);
        if (done) break;
    }
}

static void failed_add_is_reported_and_loses_nothing(void **state) {
    (void)state;
    struct sp_reclaim *r = NULL;
    struct sp_revoke_set *s = NULL;
    assert_true(sp_ok(sp_reclaim_new(4, &r)));
    assert_true(sp_ok(
        sp_revoke_set_new(&(struct sp_revoke_set_opts){.reclaim = r, .random = &sp_random_system}, &s)));
    uint64_t refused = 0;
    for (uint64_t n = 0; n < 5000; n++) {
        uint64_t id[2] = {n, 0};
        countdown = 0;
        sp_status st = sp_revoke_set_add(s, SP_REVOKE_JTI, id_of(id), T0 + 10, T0);
        sp_revoke_set_expire(s, T0); /* nor does this one, which may want memory too */
        countdown = -1;
        if (sp_ok(st)) continue;
        assert_true(sp_is(st, SP_E_NOMEM));
        assert_false(sp_revoke_set_contains(s, SP_REVOKE_JTI, id_of(id), T0));
        assert_true(sp_ok(sp_revoke_set_add(s, SP_REVOKE_JTI, id_of(id), T0 + 10, T0)));
        refused++;
    }
    assert_true(refused > 0);
    for (uint64_t n = 0; n < 5000; n++)
        assert_true(sp_revoke_set_contains(s, SP_REVOKE_JTI, id_of((uint64_t[2]){n, 0}), T0 + 10));
    sp_revoke_set_free(s);
    sp_reclaim_free(r);
}

/* Tables that are mapped: filled beyond the point where they should have grown, until nothing fits. */
#define MAPPED 300000

static void set_that_cannot_grow_fills_up_and_then_refuses(void **state) {
    (void)state;
    struct sp_reclaim *r = NULL;
    struct sp_revoke_set *s = NULL;
    struct sp_revoke_set_stats st;
    uint64_t rng = 1, n = MAPPED;
    assert_true(sp_ok(sp_reclaim_new(4, &r)));
    assert_true(sp_ok(
        sp_revoke_set_new(&(struct sp_revoke_set_opts){.reclaim = r, .random = &sp_random_system}, &s)));
    assert_true(sp_ok(sp_revoke_set_reserve(s, MAPPED)));
    for (size_t i = 0; i < MAPPED; i++)
        assert_true(sp_ok(sp_revoke_set_add_fingerprint(s, next_random(&rng), T0 + 10, T0)));
    countdown = 0;
    assert_true(sp_is(sp_revoke_set_reserve(s, 10 * MAPPED), SP_E_NOMEM));
    while (sp_ok(sp_revoke_set_add_fingerprint(s, next_random(&rng), T0 + 10, T0))) n++;
    sp_revoke_set_expire(s, T0);
    countdown = -1;
    sp_revoke_set_stats(s, &st);
    assert_int_equal(st.entries, n);
    rng = 1;
    for (uint64_t i = 0; i < n; i++)
        assert_true(sp_revoke_set_contains_fingerprint(s, next_random(&rng), T0 + 10));
    assert_true(sp_ok(sp_revoke_set_add_fingerprint(s, next_random(&rng), T0 + 10, T0)));
    sp_revoke_set_free(s);
    sp_reclaim_free(r);
}

/* Without memory for a smaller table, or none at all, what has lapsed stays and is not found. */
static void failed_expiry_changes_nothing(void **state) {
    (void)state;
    struct sp_reclaim *r = NULL;
    struct sp_revoke_set *s = NULL;
    uint64_t rng = 1;
    assert_true(sp_ok(sp_reclaim_new(4, &r)));
    assert_true(sp_ok(
        sp_revoke_set_new(&(struct sp_revoke_set_opts){.reclaim = r, .random = &sp_random_system}, &s)));
    for (size_t i = 0; i < 10000; i++)
        assert_true(sp_ok(sp_revoke_set_add_fingerprint(s, next_random(&rng), T0 + 10 + (i % 8 == 0), T0)));
    countdown = 0;
    sp_revoke_set_expire(s, T0 + 11);
    countdown = -1;
    rng = 1;
    for (size_t i = 0; i < 10000; i++)
        assert_true(sp_revoke_set_contains_fingerprint(s, next_random(&rng), T0 + 11) == (i % 8 == 0));
    sp_revoke_set_free(s);
    sp_reclaim_free(r);
}

static void failed_raise_is_reported_and_loses_nothing(void **state) {
    (void)state;
    struct sp_reclaim *r = NULL;
    struct sp_epochs *e = NULL;
    assert_true(sp_ok(sp_reclaim_new(4, &r)));
    assert_true(
        sp_ok(sp_epochs_new(&(struct sp_epochs_opts){.reclaim = r, .random = &sp_random_system}, &e)));
    uint64_t refused = 0;
    for (uint64_t n = 0; n < 3000; n++) {
        uint64_t id[2] = {n, 0};
        countdown = 0;
        sp_status st = sp_epochs_raise_user(e, id_of(id), 1, T0 + 10, T0);
        countdown = -1;
        if (sp_ok(st)) continue;
        assert_true(sp_is(st, SP_E_NOMEM));
        assert_true(sp_ok(sp_epochs_raise_user(e, id_of(id), 1, T0 + 10, T0)));
        refused++;
    }
    assert_true(refused > 0);
    for (uint64_t n = 0; n < 3000; n++)
        assert_int_equal(sp_epochs_check(e, id_of((uint64_t[2]){n, 0}), 0, 0), SP_EPOCH_REVOKED);
    sp_epochs_free(e);
    sp_reclaim_free(r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(creation_survives_every_failure),
        cmocka_unit_test(failed_add_is_reported_and_loses_nothing),
        cmocka_unit_test(set_that_cannot_grow_fills_up_and_then_refuses),
        cmocka_unit_test(failed_expiry_changes_nothing),
        cmocka_unit_test(failed_raise_is_reported_and_loses_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
