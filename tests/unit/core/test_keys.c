/* The ring: what it opens and what it refuses to, what it signs with and shows, and how it takes a change. */
#include "keys_fixture.h"

#include <pthread.h>

#include "base/base64url.h"
#include "core/signer_local.h"

static const uint8_t other_master[SP_MASTER_KEY_BYTES] = {9, 9, 9};

static void every_algorithm_signs_and_verifies_through_the_ring(void **state) {
    (void)state;
    static const enum sp_alg algs[] = {SP_ALG_ES256, SP_ALG_HS256, SP_ALG_RS256, SP_ALG_PS256, SP_ALG_EDDSA};
    for (size_t i = 0; i < SP_ARRAY_LEN(algs); i++) {
        struct table t;
        struct ring r;
        struct sp_key_schedule s = usual();
        s.alg = algs[i];
        table_init(&t);
        run_plan(&t, T0, &s);
        ring_init(&r, &t);
        const bool is_rsa = algs[i] == SP_ALG_RS256 || algs[i] == SP_ALG_PS256;
        assert_int_equal(sp_key_rsa_bits(only(&t, SP_KEY_ACCESS, SP_KEY_SIGNING)), is_rsa ? 2048 : 0);
        struct sp_signer_local local = {r.keys, r.seats};
        struct sp_signer signer = sp_signer_local_port(&local);
        SP_AUTO(sp_buf) signature = SP_BUF_INIT(SP_SIG_BYTES_MAX);
        size_t n = 0;

        sp_seats_enter(r.seats);
        const struct sp_key_snapshot *now = sp_keys_now(r.keys);
        struct sp_key_signing signing = sp_snapshot_signing(now);
        const struct sp_jwk *jwk = sp_snapshot_verification(now, &n);
        assert_int_equal(signing.alg, algs[i]);
        assert_int_equal(n, 1);
        assert_int_equal(jwk[0].algs, SP_ALG_BIT(algs[i]));
        assert_true(sp_ok(signer.sign(signer.arg, signing.kid, SP_SLICE_LIT("input"), &signature)));
        assert_true(
            sp_ok(sp_sig_verify(jwk[0].key, algs[i], SP_SLICE_LIT("input"), sp_buf_slice(&signature))));
        assert_false(
            sp_ok(sp_sig_verify(jwk[0].key, algs[i], SP_SLICE_LIT("Input"), sp_buf_slice(&signature))));
        assert_int_equal(signer.sign(signer.arg, SP_SLICE_LIT("nobody"), SP_SLICE_LIT("x"), &signature).code,
                         SP_E_NOT_FOUND);
        sp_seats_leave(r.seats);
        ring_done(&r);
        table_done(&t);
    }
}

static void secret_keys_are_never_published(void **state) {
    (void)state;
    struct table t;
    struct ring r;
    struct sp_key_schedule s = usual();
    s.alg = SP_ALG_HS256;
    table_init(&t);
    run_plan(&t, T0, &s);
    ring_init(&r, &t);
    sp_seats_enter(r.seats);
    assert_true(sp_slice_eq_cstr(sp_snapshot_jwks(sp_keys_now(r.keys)), "{\"keys\":[]}"));
    sp_seats_leave(r.seats);
    assert_int_equal(only(&t, SP_KEY_ACCESS, SP_KEY_SIGNING)->public_jwk.n, 0);
    ring_done(&r);
    table_done(&t);
}

static void other_master_key_opens_nothing(void **state) {
    (void)state;
    struct table t;
    struct ring r;
    struct sp_key_schedule s = usual();
    table_init(&t);
    run_plan(&t, T0, &s);
    assert_int_equal(ring_try(&r, &t, other_master).code, SP_E_CRYPTO);
    ring_done(&r);
    table_done(&t);
}

/* Who can write rows but has no master key must not be able to make us trust a key of theirs. */
static void public_jwk_column_is_not_believed(void **state) {
    (void)state;
    struct table t, theirs;
    struct ring r;
    struct sp_key_schedule s = usual();
    table_init(&t);
    table_init(&theirs);
    run_plan(&t, T0, &s);
    run_plan(&theirs, T0, &s);
    struct sp_key_row *access = only(&t, SP_KEY_ACCESS, SP_KEY_SIGNING);
    const sp_text64 kid = access->kid;
    access->public_jwk = only(&theirs, SP_KEY_ACCESS, SP_KEY_SIGNING)->public_jwk;
    ring_init(&r, &t);
    sp_seats_enter(r.seats);
    size_t n;
    uint8_t thumbprint[SP_SHA256_BYTES];
    char text[43];
    const struct sp_jwk *jwk = sp_snapshot_verification(sp_keys_now(r.keys), &n);
    assert_true(sp_ok(sp_jwk_thumbprint(jwk[0].key, thumbprint)));
    sp_base64url_encode(SP_SLICE_ARRAY(thumbprint), text);
    assert_true(sp_slice_eq(SP_SLICE_ARRAY(text), SP_TEXT_SLICE(&kid)));
    sp_seats_leave(r.seats);
    ring_done(&r);
    table_done(&t);
    table_done(&theirs);
}

static void ring_without_a_fixed_key_does_not_open_and_no_plan_makes_a_new_one(void **state) {
    (void)state;
    struct table t;
    struct ring r;
    struct sp_key_schedule s = usual();
    table_init(&t);
    run_plan(&t, T0, &s);
    *only(&t, SP_KEY_SID_TAG, SP_KEY_SIGNING) = t.rows[t.n - 1];
    t.n--;
    assert_int_equal(run_plan(&t, T0, &s), 0);
    assert_int_equal(ring_try(&r, &t, master).code, SP_E_NOT_FOUND);
    ring_done(&r);
    table_done(&t);
}

/* ---- the feed's key ---- */

static void store_from_before_the_feed_gets_its_key_and_no_other(void **state) {
    (void)state;
    struct table t;
    struct ring r;
    struct sp_key_schedule s = usual();
    table_init(&t);
    run_plan(&t, T0, &s);
    *only(&t, SP_KEY_FEED, SP_KEY_SIGNING) = t.rows[t.n - 1];
    t.n--;
    assert_int_equal(ring_try(&r, &t, master).code, SP_E_NOT_FOUND);
    ring_done(&r);
    assert_int_equal(run_plan(&t, T0, &s), 1);
    (void)only(&t, SP_KEY_FEED, SP_KEY_SIGNING);
    ring_init(&r, &t);
    ring_done(&r);
    table_done(&t);
}

static void feed_key_signs_no_token_and_stands_in_no_jwks(void **state) {
    (void)state;
    struct table t;
    struct ring r;
    struct sp_key_schedule s = usual();
    const struct sp_feed_key *feed;
    enum sp_alg alg;
    size_t n;
    table_init(&t);
    run_plan(&t, T0, &s);
    ring_init(&r, &t);
    sp_seats_enter(r.seats);
    const struct sp_key_snapshot *now = sp_keys_now(r.keys);
    assert_int_equal(sp_snapshot_feed_keys(now, &feed), 1);
    assert_null(sp_snapshot_private(now, feed[0].kid, &alg));
    (void)sp_snapshot_verification(now, &n);
    assert_int_equal(n, 1);
    const sp_slice jwks = sp_snapshot_jwks(now);
    assert_null(memmem(jwks.p, jwks.n, feed[0].kid.p, feed[0].kid.n));
    sp_seats_leave(r.seats);
    ring_done(&r);
    table_done(&t);
}

/* ---- revoking, applying ---- */

/* Applies as the publisher does: one row at a time, in the order of the change set. */
static void apply_plan(struct table *t, struct ring *r, const struct sp_key_plan *plan, int64_t now_ms,
                       const struct sp_key_schedule *s) {
    struct sp_key_changes made = SP_KEY_CHANGES_INIT;
    assert_true(sp_ok(
        sp_keys_carry_out(plan, t->rows, t->n, SP_SLICE_ARRAY(master), &sp_random_system, now_ms, s, &made)));
    for (size_t i = 0; i < made.n; i++) {
        put(t, &made.v[i].row, made.v[i].expect_version);
        assert_true(sp_ok(sp_keys_apply(r->keys, row_of(t, SP_TEXT_SLICE(&made.v[i].row.kid)))));
    }
    sp_key_changes_done(&made);
}

static void revoked_signing_key_is_replaced_in_the_same_change_set(void **state) {
    (void)state;
    struct table t;
    struct ring r;
    struct sp_key_schedule s = usual();
    struct sp_key_plan plan;
    table_init(&t);
    run_plan(&t, T0, &s);
    ring_init(&r, &t);
    const sp_text64 bad = only(&t, SP_KEY_ACCESS, SP_KEY_SIGNING)->kid;
    assert_true(sp_ok(sp_keys_plan_revoke(t.rows, t.n, SP_TEXT_SLICE(&bad), &s, &plan)));
    apply_plan(&t, &r, &plan, T0, &s); /* within the millisecond in which it was made */

    struct sp_key_row *revoked = only(&t, SP_KEY_ACCESS, SP_KEY_REVOKED);
    assert_int_equal(revoked->sealed.n, 0);
    size_t n;
    enum sp_alg alg;
    sp_seats_enter(r.seats);
    const struct sp_key_snapshot *now = sp_keys_now(r.keys);
    (void)sp_snapshot_verification(now, &n);
    assert_int_equal(n, 1);
    assert_null(sp_snapshot_private(now, SP_TEXT_SLICE(&bad), &alg));
    assert_false(sp_slice_eq(sp_snapshot_signing(now).kid, SP_TEXT_SLICE(&bad)));
    sp_seats_leave(r.seats);

    assert_int_equal(sp_keys_plan_revoke(t.rows, t.n, SP_TEXT_SLICE(&bad), &s, &plan).code, SP_E_CONFLICT);
    assert_int_equal(sp_keys_plan_revoke(t.rows, t.n, SP_SLICE_LIT("nobody"), &s, &plan).code,
                     SP_E_NOT_FOUND);
    const sp_text64 tag = only(&t, SP_KEY_SID_TAG, SP_KEY_SIGNING)->kid;
    assert_int_equal(sp_keys_plan_revoke(t.rows, t.n, SP_TEXT_SLICE(&tag), &s, &plan).code, SP_E_REFUSED);
    ring_done(&r);
    table_done(&t);
}

static void revoked_refresh_key_gets_a_successor_of_another_number(void **state) {
    (void)state;
    struct table t;
    struct ring r;
    struct sp_key_schedule s = usual();
    struct sp_key_plan plan;
    table_init(&t);
    run_plan(&t, T0, &s);
    ring_init(&r, &t);
    const sp_text64 bad = only(&t, SP_KEY_REFRESH, SP_KEY_SIGNING)->kid;
    assert_true(sp_ok(sp_keys_plan_revoke(t.rows, t.n, SP_TEXT_SLICE(&bad), &s, &plan)));
    apply_plan(&t, &r, &plan, T0 + 1, &s);
    sp_seats_enter(r.seats);
    struct sp_key_snapshot *now = (struct sp_key_snapshot *)(uintptr_t)sp_keys_now(r.keys);
    assert_null(sp_snapshot_refresh_find(now, 1));
    assert_int_equal(sp_snapshot_refresh_current(now)->id, 2);
    sp_seats_leave(r.seats);
    ring_done(&r);
    table_done(&t);
}

static void ring_refuses_a_change_that_leaves_nobody_to_sign(void **state) {
    (void)state;
    struct table t;
    struct ring r;
    struct sp_key_schedule s = usual();
    table_init(&t);
    run_plan(&t, T0, &s);
    ring_init(&r, &t);
    struct sp_key_row row = *only(&t, SP_KEY_ACCESS, SP_KEY_SIGNING);
    row.state = SP_KEY_REVOKED;
    assert_false(sp_ok(sp_keys_apply(r.keys, &row)));
    sp_seats_enter(r.seats);
    assert_int_equal(sp_snapshot_signing(sp_keys_now(r.keys)).alg, SP_ALG_ES256); /* as it was */
    sp_seats_leave(r.seats);
    ring_done(&r);
    table_done(&t);
}

/* ---- readers and a writer ---- */

struct reading {
    struct ring *ring;
    atomic_bool stop;
};

static void *read_all_the_time(void *arg) {
    struct reading *reading = arg;
    struct sp_signer_local local = {reading->ring->keys, reading->ring->seats};
    struct sp_signer signer = sp_signer_local_port(&local);
    while (!atomic_load(&reading->stop)) {
        SP_AUTO(sp_buf) signature = SP_BUF_INIT(SP_SIG_BYTES_MAX);
        sp_seats_enter(local.seats);
        struct sp_key_signing signing = sp_snapshot_signing(sp_keys_now(local.keys));
        if (!sp_ok(signer.sign(signer.arg, signing.kid, SP_SLICE_LIT("input"), &signature)) &&
            sp_slice_eq(signing.kid, sp_snapshot_signing(sp_keys_now(local.keys)).kid)) {
            abort(); /* a key that signs now must sign */
        }
        sp_seats_leave(local.seats);
    }
    return NULL;
}

static void readers_go_on_while_keys_change(void **state) {
    (void)state;
    struct table t;
    struct ring r;
    struct sp_key_schedule s = usual();
    struct sp_key_plan plan;
    pthread_t threads[3];
    s.alg = SP_ALG_EDDSA;
    s.access_ttl_max_s = 0;
    table_init(&t);
    run_plan(&t, T0, &s);
    ring_init(&r, &t);
    struct reading reading = {.ring = &r};
    for (size_t i = 0; i < SP_ARRAY_LEN(threads); i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, read_all_the_time, &reading), 0);
    }
    for (int i = 1; i <= 60; i++) {
        int64_t now = T0 + i * INT64_C(1000000);
        sp_keys_plan(t.rows, t.n, now, &s, &plan); /* drops the retired */
        apply_plan(&t, &r, &plan, now, &s);
        assert_true(sp_ok(sp_keys_plan_rotate(t.rows, t.n, SP_KEY_ACCESS, true, &s, &plan)));
        apply_plan(&t, &r, &plan, now, &s);
    }
    atomic_store(&reading.stop, true);
    for (size_t i = 0; i < SP_ARRAY_LEN(threads); i++) pthread_join(threads[i], NULL);
    sp_reclaim_collect(r.reclaim);
    assert_int_equal(sp_reclaim_pending(r.reclaim), 0);
    ring_done(&r);
    table_done(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_algorithm_signs_and_verifies_through_the_ring),
        cmocka_unit_test(secret_keys_are_never_published),
        cmocka_unit_test(other_master_key_opens_nothing),
        cmocka_unit_test(public_jwk_column_is_not_believed),
        cmocka_unit_test(ring_without_a_fixed_key_does_not_open_and_no_plan_makes_a_new_one),
        cmocka_unit_test(store_from_before_the_feed_gets_its_key_and_no_other),
        cmocka_unit_test(feed_key_signs_no_token_and_stands_in_no_jwks),
        cmocka_unit_test(revoked_signing_key_is_replaced_in_the_same_change_set),
        cmocka_unit_test(revoked_refresh_key_gets_a_successor_of_another_number),
        cmocka_unit_test(ring_refuses_a_change_that_leaves_nobody_to_sign),
        cmocka_unit_test(readers_go_on_while_keys_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
