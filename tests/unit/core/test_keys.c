#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>

#include "base/base64url.h"
#include "core/audit.h"
#include "core/keys.h"
#include "core/signer_local.h"

enum { DAY_S = 24 * 3600, ROWS_MAX = 2048 };
#define T0 INT64_C(1790000000000)

static const uint8_t master[SP_MASTER_KEY_BYTES] = {1, 2, 3};
static const uint8_t other_master[SP_MASTER_KEY_BYTES] = {9, 9, 9};

static struct sp_key_schedule usual(void) {
    return (struct sp_key_schedule){
        .alg = SP_ALG_ES256,
        .rotate_every_s = 30 * DAY_S,
        .announce_s = 3600,
        .access_ttl_max_s = 900,
        .absolute_ttl_s = 30 * DAY_S,
    };
}

/* A store of rows in an array: what KEY_PUT does. */
struct table {
    struct sp_key_row *rows;
    size_t n;
};

static void table_init(struct table *t) {
    t->rows = calloc(ROWS_MAX, sizeof(*t->rows));
    t->n = 0;
    assert_non_null(t->rows);
}

static void table_done(struct table *t) {
    free(t->rows);
}

static struct sp_key_row *row_of(struct table *t, sp_slice kid) {
    for (size_t i = 0; i < t->n; i++) {
        if (sp_slice_eq(SP_TEXT_SLICE(&t->rows[i].kid), kid)) return &t->rows[i];
    }
    return NULL;
}

static void put(struct table *t, const struct sp_key_row *row, uint64_t expect) {
    struct sp_key_row *at = row_of(t, SP_TEXT_SLICE(&row->kid));
    if (at == NULL) {
        assert_true(expect == SP_VERSION_ABSENT);
        assert_true(t->n < ROWS_MAX);
        at = &t->rows[t->n++];
        *at = *row;
        at->version = 1;
    } else {
        assert_true(expect == at->version);
        uint64_t version = at->version;
        *at = *row;
        at->version = version + 1;
    }
}

static void carry_out(struct table *t, const struct sp_key_plan *plan, int64_t now_ms,
                      const struct sp_key_schedule *schedule) {
    struct sp_key_changes made = SP_KEY_CHANGES_INIT;
    assert_true(sp_ok(sp_keys_carry_out(plan, t->rows, t->n, SP_SLICE_ARRAY(master), &sp_random_system,
                                        now_ms, schedule, &made)));
    for (size_t i = 0; i < made.n; i++) {
        struct sp_change c = sp_key_change_put(&made, i);
        put(t, c.key_put.row, c.key_put.expect_version);
    }
    sp_key_changes_done(&made);
}

static size_t run_plan(struct table *t, int64_t now_ms, const struct sp_key_schedule *schedule) {
    struct sp_key_plan plan;
    sp_keys_plan(t->rows, t->n, now_ms, schedule, &plan);
    carry_out(t, &plan, now_ms, schedule);
    return plan.n;
}

static size_t count(const struct table *t, enum sp_key_use use, enum sp_key_state state) {
    size_t n = 0;
    for (size_t i = 0; i < t->n; i++) n += t->rows[i].use == use && t->rows[i].state == state;
    return n;
}

static struct sp_key_row *only(struct table *t, enum sp_key_use use, enum sp_key_state state) {
    assert_int_equal(count(t, use, state), 1);
    for (size_t i = 0; i < t->n; i++) {
        if (t->rows[i].use == use && t->rows[i].state == state) return &t->rows[i];
    }
    return NULL;
}

/* A ring with what it stands on. */
struct ring {
    struct sp_reclaim *reclaim;
    struct sp_seats *seats;
    struct sp_keys *keys;
};

static sp_status ring_try(struct ring *r, struct table *t, const uint8_t *key) {
    assert_true(sp_ok(sp_reclaim_new(16, &r->reclaim)));
    assert_true(sp_ok(sp_seats_new(r->reclaim, &r->seats)));
    r->keys = NULL;
    return sp_keys_new(r->seats, sp_slice_of(key, SP_MASTER_KEY_BYTES), t->rows, t->n, &r->keys);
}

static void ring_init(struct ring *r, struct table *t) {
    assert_true(sp_ok(ring_try(r, t, master)));
}

static void ring_done(struct ring *r) {
    sp_keys_free(r->keys);
    sp_seats_free(r->seats);
    sp_reclaim_free(r->reclaim);
}

/* ---- first start ---- */

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

/* ---- sealing ---- */

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

/* ---- the schedule ---- */

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
        cmocka_unit_test(first_start_makes_every_key_once),
        cmocka_unit_test(each_step_is_answered_in_each_state),
        cmocka_unit_test(every_algorithm_signs_and_verifies_through_the_ring),
        cmocka_unit_test(secret_keys_are_never_published),
        cmocka_unit_test(other_master_key_opens_nothing),
        cmocka_unit_test(sealed_key_opens_only_in_its_place),
        cmocka_unit_test(public_jwk_column_is_not_believed),
        cmocka_unit_test(ring_without_a_fixed_key_does_not_open_and_no_plan_makes_a_new_one),
        cmocka_unit_test(successor_is_announced_then_signs_then_the_old_one_goes),
        cmocka_unit_test(store_from_before_the_feed_gets_its_key_and_no_other),
        cmocka_unit_test(feed_key_signs_no_token_and_stands_in_no_jwks),
        cmocka_unit_test(feed_key_is_announced_and_its_successor_comes_first_in_the_ring),
        cmocka_unit_test(announced_keys_wait_for_verifiers_but_not_for_ever),
        cmocka_unit_test(a_year_of_rotations_keeps_every_promise),
        cmocka_unit_test(refresh_numbers_are_never_shared_and_run_out_safely),
        cmocka_unit_test(changed_algorithm_is_in_force_after_one_plan),
        cmocka_unit_test(rotate_by_hand_only_never_rotates_by_itself),
        cmocka_unit_test(second_announcement_is_refused_and_haste_promotes_the_first),
        cmocka_unit_test(rotating_in_a_hurry_stops_before_verifiers_overflow),
        cmocka_unit_test(revoked_signing_key_is_replaced_in_the_same_change_set),
        cmocka_unit_test(revoked_refresh_key_gets_a_successor_of_another_number),
        cmocka_unit_test(ring_refuses_a_change_that_leaves_nobody_to_sign),
        cmocka_unit_test(readers_go_on_while_keys_change),
        cmocka_unit_test(key_record_names_the_kid_and_no_secret),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
