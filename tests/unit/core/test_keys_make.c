/* A step's answer in each state, the sealing of what is made, and the record of it. */
#include "keys_fixture.h"

#include "core/audit.h"

static void each_step_is_answered_in_each_state(void **state) {
    (void)state;
    enum { STATES = SP_KEY_REVOKED + 2, STEPS = SP_KEY_STEP_REVOKE + 2 }; /* and one of each that is none */
    static const struct {
        enum sp_key_state from;
        enum sp_key_step_kind step;
        enum sp_key_state to;
    } all[] = {
        {SP_KEY_ANNOUNCED, SP_KEY_STEP_SIGN, SP_KEY_SIGNING},
        {SP_KEY_ANNOUNCED, SP_KEY_STEP_DROP, SP_KEY_GONE},
        {SP_KEY_ANNOUNCED, SP_KEY_STEP_REVOKE, SP_KEY_REVOKED},
        {SP_KEY_SIGNING, SP_KEY_STEP_RETIRE, SP_KEY_RETIRED},
        {SP_KEY_SIGNING, SP_KEY_STEP_REVOKE, SP_KEY_REVOKED},
        {SP_KEY_RETIRED, SP_KEY_STEP_DROP, SP_KEY_GONE},
        {SP_KEY_RETIRED, SP_KEY_STEP_REVOKE, SP_KEY_REVOKED},
    };
    enum sp_key_state expected[STATES][STEPS] = {{0}};
    for (size_t i = 0; i < SP_ARRAY_LEN(all); i++) expected[all[i].from][all[i].step] = all[i].to;
    for (unsigned from = 0; from < STATES; from++) {
        for (unsigned step = 0; step < STEPS; step++) {
            enum sp_key_state to = 0;
            sp_status s = sp_key_next_state((enum sp_key_state)from, (enum sp_key_step_kind)step, &to);
            assert_int_equal(to, expected[from][step]);
            assert_int_equal(s.code, expected[from][step] == 0 ? SP_E_CONFLICT : SP_OK);
        }
    }
}

static void sealed_key_opens_only_in_its_place(void **state) {
    (void)state;
    struct table t;
    struct sp_key_schedule s = usual();
    table_init(&t);
    run_plan(&t, T0, &s);
    const struct sp_key_row good = *only(&t, SP_KEY_REFRESH, SP_KEY_SIGNING);
    SP_AUTO(sp_buf) out = SP_BUF_INIT(4096);
    assert_true(sp_ok(sp_key_unseal(&good, SP_SLICE_ARRAY(master), &out)));
    assert_int_equal(out.n, 32);

    struct sp_key_row moved = good;
    moved.kid.s[0] ^= 1;
    assert_int_equal(sp_key_unseal(&moved, SP_SLICE_ARRAY(master), &out).code, SP_E_CRYPTO);
    moved = good;
    moved.use = SP_KEY_CSRF;
    assert_int_equal(sp_key_unseal(&moved, SP_SLICE_ARRAY(master), &out).code, SP_E_CRYPTO);
    moved = good;
    moved.number = 2;
    assert_int_equal(sp_key_unseal(&moved, SP_SLICE_ARRAY(master), &out).code, SP_E_CRYPTO);
    moved = good;
    assert_true(sp_ok(SP_TEXT_SET(&moved.alg, SP_SLICE_LIT("HS256"))));
    assert_int_equal(sp_key_unseal(&moved, SP_SLICE_ARRAY(master), &out).code, SP_E_CRYPTO);
    for (size_t i = 0; i < good.sealed.n; i++) {
        moved = good;
        moved.sealed.s[i] ^= 1;
        assert_int_equal(sp_key_unseal(&moved, SP_SLICE_ARRAY(master), &out).code, SP_E_CRYPTO);
    }
    moved = good;
    moved.sealed.n = 3;
    assert_false(sp_ok(sp_key_unseal(&moved, SP_SLICE_ARRAY(master), &out)));
    assert_int_equal(out.n, 32); /* untouched by every failure */
    table_done(&t);
}

static void key_record_names_the_kid_and_no_secret(void **state) {
    (void)state;
    struct table t;
    struct sp_key_schedule s = usual();
    struct sp_key_plan plan;
    struct sp_key_changes made = SP_KEY_CHANGES_INIT;
    struct sp_log_field field[3];
    struct sp_audit_event event;
    table_init(&t);
    sp_keys_plan(NULL, 0, T0, &s, &plan);
    assert_true(
        sp_ok(sp_keys_carry_out(&plan, NULL, 0, SP_SLICE_ARRAY(master), &sp_random_system, T0, &s, &made)));
    for (size_t i = 0; i < made.n; i++) {
        sp_key_change_event(&made.v[i], field, &event);
        assert_int_equal(event.action, SP_AUDIT_KEY_CREATED);
        assert_true(sp_slice_eq(event.target, SP_TEXT_SLICE(&made.v[i].row.kid)));
        assert_int_equal(event.detail_n, 3);
    }
    sp_key_changes_done(&made);
    table_done(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_step_is_answered_in_each_state),
        cmocka_unit_test(sealed_key_opens_only_in_its_place),
        cmocka_unit_test(key_record_names_the_kid_and_no_secret),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
