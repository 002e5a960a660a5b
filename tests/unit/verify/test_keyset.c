#include "support.h"

static void free_keys(struct sp_jwk *keys, size_t n) {
    for (size_t i = 0; i < n; i++) sp_jwk_done(&keys[i]);
}

static const struct sp_jwk *find(const struct sp_keyset *ks, const char *kid, enum sp_alg alg) {
    struct sp_key_lookup lookup = sp_keyset_lookup(ks);
    struct sp_jws_header h = {.alg = alg, .has_kid = true, .kid = sp_slice_cstr(kid)};
    const struct sp_jwk *jwk = NULL;
    return lookup.find(lookup.arg, &h, &jwk) == SP_REJECT_NONE ? jwk : NULL;
}
static uint64_t identity(const struct sp_keyset *ks, const char *kid, enum sp_alg alg) {
    const struct sp_jwk *jwk = find(ks, kid, alg);
    assert_non_null(jwk);
    return sp_keyset_identity(ks, jwk);
}

static void key_is_found_by_kid_and_algorithm(void **state) {
    (void)state;
    struct sp_jwk keys[] = {make_jwk("a", SP_ALG_ES256), make_jwk("b", SP_ALG_EDDSA)};
    SP_AUTO_FREE(sp_keyset) ks = NULL;
    assert_true(sp_ok(sp_keyset_new(keys, 2, NULL, &ks)));
    assert_int_equal(sp_keyset_count(ks), 2);
    assert_non_null(find(ks, "a", SP_ALG_ES256));
    assert_non_null(find(ks, "b", SP_ALG_EDDSA));
    assert_null(find(ks, "a", SP_ALG_EDDSA));
    assert_null(find(ks, "c", SP_ALG_ES256));
    free_keys(keys, 2);
}

static void set_keeps_its_keys_when_the_callers_end(void **state) {
    (void)state;
    struct sp_jwk key = make_jwk("a", SP_ALG_HS256);
    SP_AUTO_FREE(sp_keyset) ks = NULL;
    assert_true(sp_ok(sp_keyset_new(&key, 1, NULL, &ks)));
    sp_jwk_done(&key);
    assert_int_equal(sp_sig_bytes(find(ks, "a", SP_ALG_HS256)->key), 32);
}

static void unchanged_key_keeps_its_identity_others_get_new_ones(void **state) {
    (void)state;
    for (unsigned alg = 0; alg < SP_ALG_COUNT; alg++) {
        enum sp_alg a = (enum sp_alg)alg;
        struct sp_jwk before[] = {make_jwk("same", a), make_jwk("replaced", a), make_jwk("gone", a)};
        struct sp_jwk after[] = {make_jwk("new", a), make_jwk("replaced", a), before[0]};
        SP_AUTO_FREE(sp_keyset) first = NULL;
        SP_AUTO_FREE(sp_keyset) second = NULL;
        assert_true(sp_ok(sp_keyset_new(before, 3, NULL, &first)));
        assert_true(sp_ok(sp_keyset_new(after, 3, first, &second)));
        assert_int_equal(identity(first, "same", a), identity(second, "same", a));
        assert_true(sp_keyset_has(second, identity(first, "same", a)));
        assert_false(sp_keyset_has(second, identity(first, "replaced", a)));
        assert_false(sp_keyset_has(second, identity(first, "gone", a)));
        assert_false(sp_keyset_has(first, identity(second, "new", a)));
        assert_false(sp_keyset_has(second, 0));
        free_keys(before, 3);
        free_keys(after, 2);
    }
}

/* The same material read a second time is another object, but not another key. */
static void key_read_again_keeps_its_identity(void **state) {
    (void)state;
    struct sp_jwk a = make_jwk("k", SP_ALG_HS256), b = a;
    SP_AUTO(sp_buf) secret = SP_BUF_INIT(SP_HMAC_KEY_BYTES_MAX);
    assert_true(sp_ok(sp_sig_key_export_private(a.key, &secret)));
    assert_true(sp_ok(sp_sig_key_from_hmac(sp_buf_slice(&secret), &b.key)));
    struct sp_sig_public pub;
    struct sp_jwk c = make_jwk("k", SP_ALG_ES256), d = c;
    assert_true(sp_ok(sp_sig_key_public(c.key, &pub)));
    assert_true(sp_ok(sp_sig_key_from_ec(SP_SLICE_ARRAY(pub.x), SP_SLICE_ARRAY(pub.y), &d.key)));
    SP_AUTO_FREE(sp_keyset) first = NULL;
    SP_AUTO_FREE(sp_keyset) second = NULL;
    assert_true(sp_ok(sp_keyset_new((struct sp_jwk[]){a, c}, 2, NULL, &first)));
    assert_true(sp_ok(sp_keyset_new((struct sp_jwk[]){d, b}, 2, first, &second)));
    assert_int_equal(identity(first, "k", SP_ALG_HS256), identity(second, "k", SP_ALG_HS256));
    assert_int_equal(identity(first, "k", SP_ALG_ES256), identity(second, "k", SP_ALG_ES256));
    struct sp_jwk all[] = {a, b, c, d};
    free_keys(all, 4);
}

static void same_material_under_another_kid_or_algorithm_is_another_key(void **state) {
    (void)state;
    struct sp_jwk key = make_jwk("a", SP_ALG_RS256), renamed = key, other_alg = key;
    assert_true(sp_ok(SP_TEXT_SET(&renamed.kid, SP_SLICE_LIT("b"))));
    other_alg.algs = SP_ALG_BIT(SP_ALG_PS256);
    SP_AUTO_FREE(sp_keyset) first = NULL;
    SP_AUTO_FREE(sp_keyset) second = NULL;
    assert_true(sp_ok(sp_keyset_new(&key, 1, NULL, &first)));
    assert_true(sp_ok(sp_keyset_new((struct sp_jwk[]){renamed, other_alg}, 2, first, &second)));
    assert_false(sp_keyset_has(second, identity(first, "a", SP_ALG_RS256)));
    sp_jwk_done(&key);
}

static void too_many_keys_are_refused(void **state) {
    (void)state;
    struct sp_jwk key = make_jwk("a", SP_ALG_HS256), many[SP_KEYSET_KEYS_MAX + 1];
    for (size_t i = 0; i < SP_ARRAY_LEN(many); i++) many[i] = key;
    struct sp_keyset *ks = NULL;
    assert_true(sp_is(sp_keyset_new(many, SP_ARRAY_LEN(many), NULL, &ks), SP_E_LIMIT));
    assert_null(ks);
    assert_true(sp_ok(sp_keyset_new(many, SP_KEYSET_KEYS_MAX, NULL, &ks)));
    assert_null(find(ks, "a", SP_ALG_HS256)); /* nobody can say which */
    sp_keyset_free(ks);
    sp_jwk_done(&key);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(key_is_found_by_kid_and_algorithm),
        cmocka_unit_test(set_keeps_its_keys_when_the_callers_end),
        cmocka_unit_test(unchanged_key_keeps_its_identity_others_get_new_ones),
        cmocka_unit_test(key_read_again_keeps_its_identity),
        cmocka_unit_test(same_material_under_another_kid_or_algorithm_is_another_key),
        cmocka_unit_test(too_many_keys_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
