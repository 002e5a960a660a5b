/* Every allocation fails once, then again with two in a row, and so on: whatever was acknowledged stays. */
#include "support.h"

#include "revoke/epochs.h"
#include "revoke/set.h"

#define T0 1800000000

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_aligned_alloc(size_t align, size_t n);
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
        cmocka_unit_test(failed_raise_is_reported_and_loses_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
