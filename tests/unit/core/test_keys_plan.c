/* The schedule: which keys are made, announced, sign, retire and go, by time, by hand and in haste. */
#include "keys_fixture.h"

static void first_start_makes_every_key_once(void **state) {
    (void)state;
    struct table t;
    struct sp_key_schedule s = usual();
    table_init(&t);
    assert_int_equal(run_plan(&t, T0, &s), 6);
    assert_int_equal(only(&t, SP_KEY_REFRESH, SP_KEY_SIGNING)->number, 1);
    (void)only(&t, SP_KEY_SID_TAG, SP_KEY_SIGNING);
    (void)only(&t, SP_KEY_CSRF, SP_KEY_SIGNING);
    (void)only(&t, SP_KEY_AUDIT, SP_KEY_SIGNING);
    (void)only(&t, SP_KEY_FEED, SP_KEY_SIGNING);
    struct sp_key_row *access = only(&t, SP_KEY_ACCESS, SP_KEY_SIGNING);
    assert_true(sp_slice_eq_cstr(SP_TEXT_SLICE(&access->alg), "ES256"));
    assert_int_equal(access->kid.n, 43); /* a thumbprint */
    assert_true(access->public_jwk.n > 0);
    assert_int_equal(run_plan(&t, T0 + 1000, &s), 0);
    table_done(&t);
}

static void successor_is_announced_then_signs_then_the_old_one_goes(void **state) {
    (void)state;
    struct table t;
    struct sp_key_schedule s = usual();
    table_init(&t);
    run_plan(&t, T0, &s);
    const sp_text64 first = only(&t, SP_KEY_ACCESS, SP_KEY_SIGNING)->kid;
    int64_t now = T0 + s.rotate_every_s * 1000;
    assert_int_equal(run_plan(&t, now - 1, &s), 0);
    run_plan(&t, now, &s);
    const sp_text64 second = only(&t, SP_KEY_ACCESS, SP_KEY_ANNOUNCED)->kid;
    assert_true(
        sp_slice_eq(SP_TEXT_SLICE(&only(&t, SP_KEY_ACCESS, SP_KEY_SIGNING)->kid), SP_TEXT_SLICE(&first)));

    now += s.announce_s * 1000;
    assert_int_equal(run_plan(&t, now - 1, &s), 0);
    run_plan(&t, now, &s);
    assert_true(
        sp_slice_eq(SP_TEXT_SLICE(&only(&t, SP_KEY_ACCESS, SP_KEY_SIGNING)->kid), SP_TEXT_SLICE(&second)));
    assert_true(
        sp_slice_eq(SP_TEXT_SLICE(&only(&t, SP_KEY_ACCESS, SP_KEY_RETIRED)->kid), SP_TEXT_SLICE(&first)));

    now += (s.access_ttl_max_s + SP_REVOKE_SLACK_S + SP_KEY_GONE_EXTRA_S) * 1000;
    assert_int_equal(run_plan(&t, now - 1, &s), 0);
    run_plan(&t, now, &s);
    struct sp_key_row *gone = only(&t, SP_KEY_ACCESS, SP_KEY_GONE);
    assert_true(sp_slice_eq(SP_TEXT_SLICE(&gone->kid), SP_TEXT_SLICE(&first)));
    assert_int_equal(gone->sealed.n, 0); /* forgotten */
    table_done(&t);
}

static void rotate_feed(struct table *t, int64_t now_ms, const struct sp_key_schedule *s) {
    struct sp_key_plan plan;
    assert_true(sp_ok(sp_keys_plan_rotate(t->rows, t->n, SP_KEY_FEED, false, s, &plan)));
    carry_out(t, &plan, now_ms, s);
}

static void feed_key_is_announced_and_its_successor_comes_first_in_the_ring(void **state) {
    (void)state;
    struct table t;
    struct ring r;
    struct sp_key_plan plan;
    struct sp_key_schedule s = usual();
    const struct sp_feed_key *feed;
    table_init(&t);
    s.rotate_every_s = 0;
    run_plan(&t, T0, &s);
    const sp_text64 first = only(&t, SP_KEY_FEED, SP_KEY_SIGNING)->kid;
    assert_int_equal(sp_keys_plan_rotate(t.rows, t.n, SP_KEY_FEED, true, &s, &plan).code, SP_E_REFUSED);
    assert_int_equal(sp_keys_plan_revoke(t.rows, t.n, SP_TEXT_SLICE(&first), &s, &plan).code, SP_E_REFUSED);
    rotate_feed(&t, T0, &s);
    assert_int_equal(sp_keys_plan_rotate(t.rows, t.n, SP_KEY_FEED, false, &s, &plan).code, SP_E_BUSY);
    assert_int_equal(run_plan(&t, T0 + s.announce_s * 1000 - 1, &s), 0);
    run_plan(&t, T0 + s.announce_s * 1000, &s);
    assert_true(
        sp_slice_eq(SP_TEXT_SLICE(&only(&t, SP_KEY_FEED, SP_KEY_RETIRED)->kid), SP_TEXT_SLICE(&first)));
    ring_init(&r, &t);
    sp_seats_enter(r.seats);
    assert_int_equal(sp_snapshot_feed_keys(sp_keys_now(r.keys), &feed), 2);
    assert_int_equal(feed[0].state, SP_KEY_SIGNING);
    assert_int_equal(feed[1].state, SP_KEY_RETIRED);
    assert_true(sp_slice_eq(feed[1].kid, SP_TEXT_SLICE(&first)));
    sp_seats_leave(r.seats);
    ring_done(&r);
    const int64_t gone_ms = T0 + s.announce_s * 1000 + (int64_t)SP_KEY_FEED_KEPT_S * 1000;
    assert_int_equal(run_plan(&t, gone_ms - 1, &s), 0);
    run_plan(&t, gone_ms, &s);
    (void)only(&t, SP_KEY_FEED, SP_KEY_GONE);
    table_done(&t);
}

static void announced_keys_wait_for_verifiers_but_not_for_ever(void **state) {
    (void)state;
    static const enum sp_key_use uses[] = {SP_KEY_ACCESS, SP_KEY_FEED};
    for (size_t i = 0; i < SP_ARRAY_LEN(uses); i++) {
        struct table t;
        struct sp_key_plan plan;
        struct sp_key_schedule s = usual(), held = usual();
        table_init(&t);
        s.rotate_every_s = held.rotate_every_s = 0;
        held.hold_announced = true;
        run_plan(&t, T0, &s);
        assert_true(sp_ok(sp_keys_plan_rotate(t.rows, t.n, uses[i], false, &s, &plan)));
        carry_out(&t, &plan, T0, &s);
        const int64_t due_ms = T0 + s.announce_s * 1000;
        assert_int_equal(run_plan(&t, due_ms, &held), 0);
        assert_int_equal(run_plan(&t, due_ms + SP_KEY_HOLD_MAX_S * 1000 - 1, &held), 0);
        assert_int_equal(run_plan(&t, due_ms + SP_KEY_HOLD_MAX_S * 1000, &held), 2);
        assert_int_equal(count(&t, uses[i], SP_KEY_ANNOUNCED), 0);
        table_done(&t);
    }
}

/* One minute a step would be 525,600 steps; ten minutes show every deadline within its tolerance. */
static void a_year_of_rotations_keeps_every_promise(void **state) {
    (void)state;
    struct table t;
    struct sp_key_schedule s = usual();
    const int64_t step_ms = 600 * 1000, year_ms = INT64_C(365) * DAY_S * 1000;
    size_t signed_by = 0;
    sp_text64 last = {0};
    table_init(&t);
    for (int64_t now = T0; now < T0 + year_ms; now += step_ms) {
        run_plan(&t, now, &s);
        struct sp_key_row *signing = only(&t, SP_KEY_ACCESS, SP_KEY_SIGNING);
        assert_int_equal(count(&t, SP_KEY_REFRESH, SP_KEY_SIGNING), 1);
        assert_int_equal(count(&t, SP_KEY_SID_TAG, SP_KEY_SIGNING), 1);
        assert_true(count(&t, SP_KEY_ACCESS, SP_KEY_RETIRED) <= 1);
        assert_true(count(&t, SP_KEY_REFRESH, SP_KEY_RETIRED) <= 2);
        assert_true(now - signing->signing_from_ms <= (s.rotate_every_s + s.announce_s) * 1000 + step_ms);
        if (!sp_slice_eq(SP_TEXT_SLICE(&last), SP_TEXT_SLICE(&signing->kid))) {
            /* It was in the JWKS long enough before it signed. */
            if (signed_by != 0)
                assert_true(signing->signing_from_ms - signing->created_ms >= s.announce_s * 1000);
            signed_by++;
            last = signing->kid;
        }
    }
    assert_in_range(signed_by, 12, 13);
    /* A refresh key outlives every session that was born under it. */
    for (size_t i = 0; i < t.n; i++) {
        const struct sp_key_row *row = &t.rows[i];
        if (row->use == SP_KEY_REFRESH && row->state == SP_KEY_GONE) {
            assert_true(row->gone_ms - row->retired_ms >= s.absolute_ttl_s * 1000);
        }
    }
    struct ring r;
    ring_init(&r, &t);
    ring_done(&r);
    table_done(&t);
}

static void refresh_numbers_are_never_shared_and_run_out_safely(void **state) {
    (void)state;
    struct table t;
    struct sp_key_schedule s = usual();
    struct sp_key_plan plan;
    table_init(&t);
    run_plan(&t, T0, &s);
    for (int i = 2; i <= 255; i++) {
        assert_true(sp_ok(sp_keys_plan_rotate(t.rows, t.n, SP_KEY_REFRESH, true, &s, &plan)));
        carry_out(&t, &plan, T0 + i, &s);
        assert_int_equal(only(&t, SP_KEY_REFRESH, SP_KEY_SIGNING)->number, i);
    }
    assert_int_equal(sp_keys_plan_rotate(t.rows, t.n, SP_KEY_REFRESH, true, &s, &plan).code, SP_E_LIMIT);
    struct ring r;
    ring_init(&r, &t); /* and all of them fit */
    sp_seats_enter(r.seats);
    struct sp_key_snapshot *now = (struct sp_key_snapshot *)(uintptr_t)sp_keys_now(r.keys);
    assert_null(sp_snapshot_refresh_find(now, 0));
    for (int i = 1; i <= 255; i++) assert_int_equal(sp_snapshot_refresh_find(now, (uint8_t)i)->id, i);
    assert_int_equal(sp_snapshot_refresh_current(now)->id, 255);
    sp_seats_leave(r.seats);
    ring_done(&r);
    table_done(&t);
}

static void changed_algorithm_is_in_force_after_one_plan(void **state) {
    (void)state;
    struct table t;
    struct sp_key_schedule s = usual();
    struct sp_key_plan plan;
    table_init(&t);
    run_plan(&t, T0, &s);
    assert_true(sp_ok(sp_keys_plan_rotate(t.rows, t.n, SP_KEY_ACCESS, false, &s, &plan)));
    carry_out(&t, &plan, T0 + 1, &s); /* an announced ES256 key that will never sign */
    s.alg = SP_ALG_EDDSA;
    run_plan(&t, T0 + 2, &s);
    assert_true(sp_slice_eq_cstr(SP_TEXT_SLICE(&only(&t, SP_KEY_ACCESS, SP_KEY_SIGNING)->alg), "EdDSA"));
    assert_int_equal(count(&t, SP_KEY_ACCESS, SP_KEY_RETIRED), 1);
    assert_int_equal(count(&t, SP_KEY_ACCESS, SP_KEY_ANNOUNCED), 0);
    assert_int_equal(run_plan(&t, T0 + 3, &s), 0);
    table_done(&t);
}

static void rotate_by_hand_only_never_rotates_by_itself(void **state) {
    (void)state;
    struct table t;
    struct sp_key_schedule s = usual();
    s.rotate_every_s = 0;
    table_init(&t);
    run_plan(&t, T0, &s);
    assert_int_equal(run_plan(&t, T0 + INT64_C(10) * 365 * DAY_S * 1000, &s), 0);
    table_done(&t);
}

static void second_announcement_is_refused_and_haste_promotes_the_first(void **state) {
    (void)state;
    struct table t;
    struct sp_key_schedule s = usual();
    struct sp_key_plan plan;
    table_init(&t);
    run_plan(&t, T0, &s);
    assert_true(sp_ok(sp_keys_plan_rotate(t.rows, t.n, SP_KEY_ACCESS, false, &s, &plan)));
    carry_out(&t, &plan, T0 + 1, &s);
    const sp_text64 announced = only(&t, SP_KEY_ACCESS, SP_KEY_ANNOUNCED)->kid;
    assert_int_equal(sp_keys_plan_rotate(t.rows, t.n, SP_KEY_ACCESS, false, &s, &plan).code, SP_E_BUSY);
    assert_true(sp_ok(sp_keys_plan_rotate(t.rows, t.n, SP_KEY_ACCESS, true, &s, &plan)));
    carry_out(&t, &plan, T0 + 2, &s);
    assert_true(
        sp_slice_eq(SP_TEXT_SLICE(&only(&t, SP_KEY_ACCESS, SP_KEY_SIGNING)->kid), SP_TEXT_SLICE(&announced)));
    assert_int_equal(sp_keys_plan_rotate(t.rows, t.n, SP_KEY_SID_TAG, true, &s, &plan).code, SP_E_REFUSED);
    table_done(&t);
}

static void rotating_in_a_hurry_stops_before_verifiers_overflow(void **state) {
    (void)state;
    struct table t;
    struct sp_key_schedule s = usual();
    struct sp_key_plan plan;
    size_t made = 1;
    table_init(&t);
    run_plan(&t, T0, &s);
    while (sp_ok(sp_keys_plan_rotate(t.rows, t.n, SP_KEY_ACCESS, true, &s, &plan))) {
        carry_out(&t, &plan, T0 + (int64_t)made, &s);
        assert_true(++made <= SP_KEYS_ACCESS_MAX);
    }
    assert_int_equal(made, SP_KEYS_ACCESS_MAX);
    table_done(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_start_makes_every_key_once),
        cmocka_unit_test(successor_is_announced_then_signs_then_the_old_one_goes),
        cmocka_unit_test(feed_key_is_announced_and_its_successor_comes_first_in_the_ring),
        cmocka_unit_test(announced_keys_wait_for_verifiers_but_not_for_ever),
        cmocka_unit_test(a_year_of_rotations_keeps_every_promise),
        cmocka_unit_test(refresh_numbers_are_never_shared_and_run_out_safely),
        cmocka_unit_test(changed_algorithm_is_in_force_after_one_plan),
        cmocka_unit_test(rotate_by_hand_only_never_rotates_by_itself),
        cmocka_unit_test(second_announcement_is_refused_and_haste_promotes_the_first),
        cmocka_unit_test(rotating_in_a_hurry_stops_before_verifiers_overflow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
