#include "forge.h"
#include "token/ids.h"

static struct sp_hmac_key key;

static int setup(void **state) {
    (void)state;
    sp_hmac_key_init(&key, SP_SLICE_LIT("a tag key of the deployment"));
    return 0;
}

static void ids_have_one_text_each(void **state) {
    (void)state;
    sp_id id, back;
    char text[SP_ID_CHARS];
    assert_status(sp_id_random(&sp_random_system, &id), SP_OK);
    sp_id_text(id, text);
    assert_status(sp_id_parse(SP_SLICE_ARRAY(text), &back), SP_OK);
    assert_true(sp_id_eq(id, back));
    assert_status(sp_id_parse(sp_slice_of(text, SP_ID_CHARS - 1), &back), SP_E_MALFORMED);
    text[SP_ID_CHARS - 1] = 'B'; /* trailing bits */
    assert_status(sp_id_parse(SP_SLICE_ARRAY(text), &back), SP_E_MALFORMED);
    assert_status(sp_id_parse(SP_SLICE_LIT("AAAAAAAAAAAAAAAAAAAAAA=="), &back), SP_E_MALFORMED);
}

static void all_sids_of_a_user_share_the_bucket(void **state) {
    (void)state;
    sp_slice user = SP_SLICE_LIT("0123456789abcdef"), other = SP_SLICE_LIT("fedcba9876543210");
    uint16_t bucket = sp_user_bucket(&key, user);
    sp_sid first, sid;
    assert_true(bucket < SP_BUCKET_COUNT);
    assert_status(sp_sid_new(&key, user, &sp_random_system, &first), SP_OK);
    for (int i = 0; i < 100; i++) {
        assert_status(sp_sid_new(&key, user, &sp_random_system, &sid), SP_OK);
        assert_int_equal(sp_sid_bucket(sid), bucket);
        assert_true(sp_sid_is_of(sid, &key, user));
        assert_false(sp_sid_is_of(sid, &key, other));
        assert_false(sp_sid_eq(sid, first));
    }
}

static void buckets_spread_over_users_and_depend_on_the_key(void **state) {
    (void)state;
    struct sp_hmac_key other_key;
    static bool seen[SP_BUCKET_COUNT];
    size_t distinct = 0, same = 0;
    sp_hmac_key_init(&other_key, SP_SLICE_LIT("another"));
    for (uint32_t i = 0; i < 4096; i++) {
        sp_slice user = sp_slice_of(&i, sizeof i);
        uint16_t b = sp_user_bucket(&key, user);
        if (!seen[b]) distinct++;
        seen[b] = true;
        if (b == sp_user_bucket(&other_key, user)) same++;
    }
    assert_in_range(distinct, 2300, 2900); /* 1 - 1/e of 4096 is 2589 */
    assert_in_range(same, 0, 12);
}

static void sid_bucket_is_the_first_twelve_bits(void **state) {
    (void)state;
    sp_sid sid = {{0xab, 0xcd}};
    assert_int_equal(sp_sid_bucket(sid), 0xabc);
}

static void sids_have_one_text_each(void **state) {
    (void)state;
    sp_sid sid, back;
    char text[SP_SID_CHARS];
    assert_status(sp_sid_new(&key, SP_SLICE_LIT("u"), &sp_random_system, &sid), SP_OK);
    sp_sid_text(sid, text);
    assert_status(sp_sid_parse(SP_SLICE_ARRAY(text), &back), SP_OK);
    assert_true(sp_sid_eq(sid, back));
    assert_status(sp_sid_parse(SP_SLICE_EMPTY, &back), SP_E_MALFORMED);
}

/* Fixed: verifiers and servers of all versions must derive the same. */
static void client_has_a_derived_subject(void **state) {
    (void)state;
    uint8_t subject[SP_ID_BYTES], hash[SP_SHA256_BYTES];
    static const char input[] = "sallyport client subject\0reports";
    sp_client_subject(SP_SLICE_LIT("reports"), subject);
    sp_sha256(sp_slice_of(input, sizeof input - 1), hash);
    assert_memory_equal(subject, hash, sizeof subject);
}

static void subject_is_a_user_or_the_client_itself(void **state) {
    (void)state;
    sp_id id, user = {{1, 2, 3}}, client;
    char text[SP_ID_CHARS];
    sp_id_text(user, text);
    sp_slice sub = SP_SLICE_ARRAY(text);
    sp_client_subject(SP_SLICE_LIT("reports"), client.b);
    assert_int_equal(sp_subject_of(sub, SP_SLICE_LIT("reports"), &id), SP_SUBJECT_USER);
    assert_true(sp_id_eq(id, user));
    assert_int_equal(sp_subject_of(SP_SLICE_LIT("reports"), SP_SLICE_LIT("reports"), &id), SP_SUBJECT_CLIENT);
    assert_true(sp_id_eq(id, client));
    assert_int_equal(sp_subject_of(SP_SLICE_LIT("reports"), SP_SLICE_LIT("other"), &id), SP_SUBJECT_UNKNOWN);
    assert_int_equal(sp_subject_of(SP_SLICE_LIT("reports"), SP_SLICE_EMPTY, &id), SP_SUBJECT_UNKNOWN);
    assert_int_equal(sp_subject_of(SP_SLICE_EMPTY, SP_SLICE_EMPTY, &id), SP_SUBJECT_UNKNOWN);
    /* A client that calls itself like a user is a user, whose epoch it then shares: never more. */
    assert_int_equal(sp_subject_of(sub, sub, &id), SP_SUBJECT_USER);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_have_one_text_each),
        cmocka_unit_test(all_sids_of_a_user_share_the_bucket),
        cmocka_unit_test(buckets_spread_over_users_and_depend_on_the_key),
        cmocka_unit_test(sid_bucket_is_the_first_twelve_bits),
        cmocka_unit_test(sids_have_one_text_each),
        cmocka_unit_test(client_has_a_derived_subject),
        cmocka_unit_test(subject_is_a_user_or_the_client_itself),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
