/* Nothing that is freed still holds a password or a refresh token: every block is looked through on its way
 * out. */
#include "app_bench.h"

#include <malloc.h>

enum { SECRETS_MAX = 4, SECRET_BYTES_MAX = 64 };
static struct {
    uint8_t p[SECRET_BYTES_MAX];
    size_t n;
} secrets[SECRETS_MAX];
static size_t secrets_n;
static uint32_t leaks, looked;

void __real_free(void *p);
void __wrap_free(void *p);
void __wrap_free(void *p) {
    size_t n = p == NULL ? 0 : malloc_usable_size(p);
    looked++;
    for (size_t i = 0; i < secrets_n; i++)
        leaks += n != 0 && memmem(p, n, secrets[i].p, secrets[i].n) != NULL;
    __real_free(p);
}

static void watch(const void *p, size_t n) {
    assert_true(secrets_n < SECRETS_MAX && n <= SECRET_BYTES_MAX);
    memcpy(secrets[secrets_n].p, p, n);
    secrets[secrets_n++].n = n;
}

/* The characters that carry nothing but the secret. */
static void watch_refresh(const struct tokens *t) {
    watch(&t->refresh[t->refresh_n - 20], 20);
}

static void change_password(struct bench *b, const struct tokens *t) {
    struct plain p = {0};
    struct sp_call call = bench_call_as(b, t);
    struct sp_password_request in = {SP_SLICE_LIT("correct horse"), SP_SLICE_LIT("battery staple")};
    sp_app_password_change(b->app, &call, &in, bench_plain_done, &p);
    bench_run(b);
    assert_int_equal(p.outcome, SP_OUTCOME_OK);
}

static void passwords_and_refresh_tokens_are_wiped_before_memory_is_given_back(void **state) {
    struct bench *b = *state;
    watch("correct horse", 13);
    watch("battery staple", 14);
    struct tokens t0 = bench_login(b);
    watch_refresh(&t0);
    struct tokens t1 = bench_refresh(b, &t0);
    watch_refresh(&t1);
    bench_refresh(b, &t0);
    change_password(b, &t1);
    bench_logout_refresh(b, &t1);
    assert_true(looked > 0);
    assert_int_equal(leaks, 0);
}

static void the_look_finds_what_is_not_wiped(void **state) {
    (void)state;
    uint32_t before = leaks;
    char *p = malloc(64);
    assert_non_null(p);
    memcpy(p, "xxcorrect horsexx", 17);
    __asm__ volatile("" ::"r"(p) : "memory"); /* the compiler may not drop a write to dying memory */
    free(p);
    assert_int_equal(leaks, before + 1);
    leaks = before;
}

static int setup(void **state) {
    static struct bench b;
    bench_defaults(&b);
    bench_open(&b);
    secrets_n = 0;
    *state = &b;
    return 0;
}
static int teardown(void **state) {
    bench_close(*state);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(passwords_and_refresh_tokens_are_wiped_before_memory_is_given_back,
                                        setup, teardown),
        cmocka_unit_test(the_look_finds_what_is_not_wiped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
