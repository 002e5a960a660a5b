#include "fake.h"

#include "http/challenge.h"

static void writes(struct sp_challenge c, const char *wanted) {
    SP_AUTO(sp_buf) out = SP_BUF_INIT(SP_CHALLENGE_BYTES_MAX);
    assert_true(sp_ok(sp_challenge_write(&c, &out)));
    const char *s;
    assert_true(sp_ok(sp_buf_cstr(&out, &s)));
    assert_string_equal(s, wanted);
}

static void each_part_stands_where_its_rfc_puts_it(void **state) {
    (void)state;
    writes((struct sp_challenge)SP_CHALLENGE_INIT, "Bearer realm=\"sallyport\"");
    writes((struct sp_challenge){.error = "insufficient_scope",
                                 .scope = SP_SLICE_LIT("documents:read"),
                                 .max_age_s = -1},
           "Bearer realm=\"sallyport\", error=\"insufficient_scope\", scope=\"documents:read\"");
    writes((struct sp_challenge){.error = "insufficient_user_authentication",
                                 .description = "Log in again",
                                 .acr_values = SP_SLICE_LIT("urn:a urn:b"),
                                 .max_age_s = 0},
           "Bearer realm=\"sallyport\", error=\"insufficient_user_authentication\", "
           "error_description=\"Log in again\", acr_values=\"urn:a urn:b\", max_age=\"0\"");
    writes((struct sp_challenge){.scheme = SP_CHALLENGE_DPOP, .error = "use_dpop_nonce", .max_age_s = -1},
           "DPoP realm=\"sallyport\", error=\"use_dpop_nonce\", algs=\"" SP_PUBLIC_ALGS "\"");
}

static void nothing_can_leave_its_quotes(void **state) {
    (void)state;
    static const char *const bad[] = {"a\"b", "a\\b", "a\nb", "a  b", " a", "\xC3\xBC", "a\rSet-Cookie: x"};
    for (size_t i = 0; i < SP_ARRAY_LEN(bad); i++) {
        writes((struct sp_challenge){.scope = sp_slice_cstr(bad[i]),
                                     .acr_values = sp_slice_cstr(bad[i]),
                                     .max_age_s = -1},
               "Bearer realm=\"sallyport\"");
    }
    writes((struct sp_challenge){.description = "say \"x\"", .max_age_s = -1}, "Bearer realm=\"sallyport\"");
}

/* The list is text; the set is crypto/sig.h's. */
static void the_algorithms_are_those_that_may_sign_proofs(void **state) {
    (void)state;
    SP_AUTO(sp_buf) all = SP_BUF_INIT(128);
    for (int i = 0; i < SP_ALG_COUNT; i++) {
        if ((SP_ALG_PUBLIC & SP_ALG_BIT(i)) == 0) continue;
        if (all.n != 0) assert_true(sp_ok(sp_buf_append_u8(&all, ' ')));
        assert_true(sp_ok(sp_buf_append_cstr(&all, sp_alg_name((enum sp_alg)i))));
    }
    const char *s;
    assert_true(sp_ok(sp_buf_cstr(&all, &s)));
    assert_string_equal(s, SP_PUBLIC_ALGS);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_part_stands_where_its_rfc_puts_it),
        cmocka_unit_test(nothing_can_leave_its_quotes),
        cmocka_unit_test(the_algorithms_are_those_that_may_sign_proofs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
