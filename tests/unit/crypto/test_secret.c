#include "crypto_test.h"

#include "crypto/secret.h"

static void secret_holds_what_it_was_given(void **state) {
    (void)state;
    SP_AUTO(sp_secret) s = SP_SECRET_INIT;
    assert_true(sp_secret_is_empty(&s));
    assert_status(sp_secret_set(&s, SP_SLICE_LIT("first")), SP_OK);
    assert_status(sp_secret_set(&s, SP_SLICE_LIT("the second")), SP_OK);
    assert_true(sp_slice_eq_cstr(sp_secret_slice(&s), "the second"));
    sp_secret_done(&s);
    assert_true(sp_secret_is_empty(&s));
}

static void failed_change_leaves_the_secret(void **state) {
    (void)state;
    static uint8_t large[SP_SECRET_BYTES_MAX + 1];
    SP_AUTO(sp_secret) s = SP_SECRET_INIT;
    assert_status(sp_secret_set(&s, SP_SLICE_LIT("first")), SP_OK);
    assert_status(sp_secret_set(&s, SP_SLICE_EMPTY), SP_E_LIMIT);
    assert_status(sp_secret_set(&s, SP_SLICE_ARRAY(large)), SP_E_LIMIT);
    assert_status(sp_secret_random(&s, 32, &test_random_broken), SP_E_UNAVAILABLE);
    assert_true(sp_slice_eq_cstr(sp_secret_slice(&s), "first"));
}

static void random_secrets_differ(void **state) {
    (void)state;
    SP_AUTO(sp_secret) a = SP_SECRET_INIT;
    SP_AUTO(sp_secret) b = SP_SECRET_INIT;
    assert_status(sp_secret_random(&a, 32, &sp_random_system), SP_OK);
    assert_status(sp_secret_random(&b, 32, &sp_random_system), SP_OK);
    assert_false(sp_slice_eq(sp_secret_slice(&a), sp_secret_slice(&b)));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(secret_holds_what_it_was_given),
        cmocka_unit_test(failed_change_leaves_the_secret),
        cmocka_unit_test(random_secrets_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
