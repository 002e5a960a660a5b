/* The nth allocation fails, for every n: nothing leaks, nothing is accepted that should not be, and a check
 * never needs memory to refuse. */
#include <sys/mman.h>

#include "support.h"

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__real_aligned_alloc(size_t align, size_t n);
void *__real_mmap(void *at, size_t n, int prot, int flags, int fd, off_t off);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
void *__wrap_aligned_alloc(size_t align, size_t n);
void *__wrap_mmap(void *at, size_t n, int prot, int flags, int fd, off_t off);

static long countdown = -1; /* allocations until one fails; -1: never */
static bool armed_all;      /* that one and all after it */
static size_t allocations;
static bool fails(void) {
    allocations++;
    if (countdown < 0) return false;
    if (countdown == 0) {
        if (!armed_all) countdown = -1;
        return true;
    }
    countdown--;
    return false;
}
void *__wrap_malloc(size_t n) {
    return fails() ? NULL : __real_malloc(n);
}
void *__wrap_calloc(size_t n, size_t size) {
    return fails() ? NULL : __real_calloc(n, size);
}
void *__wrap_realloc(void *p, size_t n) {
    return fails() ? NULL : __real_realloc(p, n);
}
void *__wrap_aligned_alloc(size_t align, size_t n) {
    return fails() ? NULL : __real_aligned_alloc(align, n);
}
void *__wrap_mmap(void *at, size_t n, int prot, int flags, int fd, off_t off) {
    return fails() ? MAP_FAILED : __real_mmap(at, n, prot, flags, fd, off);
}
static void arm(long n, bool all) {
    countdown = n;
    armed_all = all;
}

static void creation_survives_every_failure(void **state) {
    (void)state;
    SP_AUTO_FREE(sp_reclaim) r = NULL;
    assert_true(sp_ok(sp_reclaim_new(4, &r)));
    struct sp_verifier_opts opts = opts_with(r, CACHE_BYTES);
    for (long n = 0;; n++) {
        struct sp_verifier *v = NULL;
        struct sp_verifier_reader *reader = NULL;
        arm(n, false);
        sp_status st = sp_verifier_new(&opts, &v);
        if (sp_ok(st)) st = sp_verifier_reader_new(v, &reader);
        bool done = countdown >= 0;
        arm(-1, false);
        assert_true(sp_ok(st) == done);
        assert_true(done || sp_is(st, SP_E_NOMEM));
        sp_verifier_reader_free(reader);
        sp_verifier_free(v);
        if (done) break;
    }
}

/* All memory of the cache is there from its beginning. */
static void token_is_cached_when_there_is_no_memory(void **state) {
    (void)state;
    struct fixture f;
    fixture_init(&f, SP_ALG_HS256, CACHE_BYTES);
    arm(0, true);
    enum sp_reject r = check(&f, &f.token, T0);
    arm(-1, false);
    assert_verdict(r, NONE);
    assert_int_equal(stats(&f).cache.entries, 1);
    assert_int_equal(stats(&f).cache.skipped, 0);
    fixture_done(&f);
}

static void warm_check_allocates_nothing(void **state) {
    (void)state;
    struct fixture f;
    fixture_init(&f, SP_ALG_ES256, CACHE_BYTES);
    assert_verdict(check(&f, &f.token, T0), NONE);
    size_t before = allocations;
    for (int i = 0; i < 100; i++) (void)check(&f, &f.token, T0);
    assert_int_equal(allocations, before);
    assert_int_equal(stats(&f).hits, 100);
    fixture_done(&f);
}

static void failed_swap_keeps_the_old_keys(void **state) {
    (void)state;
    struct fixture f;
    fixture_init(&f, SP_ALG_HS256, CACHE_BYTES);
    struct sp_jwk other = make_jwk("k2", SP_ALG_HS256);
    arm(0, true);
    sp_status st = sp_verifier_set_keys(f.v, &other, 1);
    arm(-1, false);
    assert_true(sp_is(st, SP_E_NOMEM));
    assert_verdict(check(&f, &f.token, T0), NONE);
    sp_jwk_done(&other);
    fixture_done(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(creation_survives_every_failure),
        cmocka_unit_test(token_is_cached_when_there_is_no_memory),
        cmocka_unit_test(warm_check_allocates_nothing),
        cmocka_unit_test(failed_swap_keeps_the_old_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
