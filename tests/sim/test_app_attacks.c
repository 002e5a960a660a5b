/* What a patient attacker tried on a whole app: each of these worked once. */
#include "app_bench.h"

#include "base/base64url.h"
#include "core/tripwire.h"

static struct tokens rotated(struct bench *b, struct tokens t, uint32_t times) {
    for (uint32_t i = 0; i < times; i++) {
        t = bench_refresh(b, &t);
        assert_int_equal(t.outcome, SP_OUTCOME_OK);
    }
    return t;
}

/* The tag is ours, the secret is not: what anyone can make of one old token of his own. */
static struct tokens with_junk_secret(const struct tokens *t) {
    enum { PREFIX = 5, BYTES = 50, SECRET_AT = 34 };
    struct tokens junk = *t;
    uint8_t raw[BYTES];
    sp_slice text = sp_slice_of(t->refresh + PREFIX, t->refresh_n - PREFIX);
    assert_true(sp_ok(sp_base64url_decode_exact(text, raw, sizeof(raw))));
    memset(raw + SECRET_AT, 7, sizeof(raw) - SECRET_AT);
    sp_base64url_encode(SP_SLICE_ARRAY(raw), junk.refresh + PREFIX);
    return junk;
}

static void a_long_proof_is_never_made_on_the_loop(void **state) {
    struct bench *b = *state;
    struct tokens first = bench_login(b), junk = with_junk_secret(&first);
    struct tokens last = rotated(b, first, SP_PROOF_SHORT + 1);
    b->hash_full = true; /* so whatever needs the pool is told to come again */
    assert_int_equal(bench_refresh(b, &junk).outcome, SP_OUTCOME_OVERLOADED);
    assert_int_equal(bench_logout_refresh(b, &junk).outcome, SP_OUTCOME_OVERLOADED);
    b->hash_full = false;
    assert_int_equal(bench_refresh(b, &junk).outcome, SP_OUTCOME_INVALID_GRANT);
    assert_int_equal(bench_logout_refresh(b, &junk).outcome, SP_OUTCOME_INVALID_GRANT);
    assert_int_equal(bench_session(b, first.sid).state, SP_SESSION_ACTIVE);
    rotated(b, last, 1);
}

static void a_short_proof_needs_no_pool(void **state) {
    struct bench *b = *state;
    struct tokens first = bench_login(b), junk = with_junk_secret(&first);
    rotated(b, first, SP_PROOF_SHORT);
    b->hash_full = true;
    assert_int_equal(bench_refresh(b, &junk).outcome, SP_OUTCOME_INVALID_GRANT);
}

static void only_one_long_proof_is_under_way(void **state) {
    struct bench *b = *state;
    struct tokens first = bench_login(b), junk = with_junk_secret(&first), one = {0}, two = {0};
    rotated(b, first, SP_PROOF_SHORT + 1);
    bench_refresh_begin(b, &junk, NULL, &one);
    bench_refresh_begin(b, &junk, NULL, &two);
    bench_run(b);
    assert_int_equal(one.answers, 1);
    assert_int_equal(two.answers, 1);
    assert_int_equal(one.outcome, SP_OUTCOME_INVALID_GRANT);
    assert_int_equal(two.outcome, SP_OUTCOME_OVERLOADED);
    assert_int_equal(bench_refresh(b, &junk).outcome, SP_OUTCOME_INVALID_GRANT);
}

static void a_token_from_long_ago_still_trips_and_logs_out(void **state) {
    struct bench *b = *state;
    struct tokens first = bench_login(b);
    rotated(b, first, SP_PROOF_SHORT + 1);
    b->now_ms += b->config.grace_ms + 1;
    struct tokens replay = bench_refresh(b, &first);
    assert_int_equal(replay.outcome, SP_OUTCOME_INVALID_GRANT);
    assert_true(replay.reuse_detected);
    assert_int_equal(bench_session(b, first.sid).state, SP_SESSION_TRIPPED);

    struct tokens other = bench_login(b);
    rotated(b, other, SP_PROOF_SHORT + 1);
    assert_int_equal(bench_logout_refresh(b, &other).outcome, SP_OUTCOME_OK);
    assert_int_equal(bench_session(b, other.sid).cause, SP_END_LOGOUT);
}

/* Or whoever was tripped could buy as much work as before, for as long as the row is kept. */
static void of_a_session_that_is_over_nothing_is_proved(void **state) {
    struct bench *b = *state;
    struct tokens first = bench_login(b), last = rotated(b, first, SP_PROOF_SHORT + 1);
    assert_int_equal(bench_logout_refresh(b, &last).outcome, SP_OUTCOME_OK);
    b->hash_full = true;
    assert_int_equal(bench_refresh(b, &first).outcome, SP_OUTCOME_INVALID_GRANT);
}

static uint32_t rows_of(struct bench *b, const struct tokens *t) {
    struct sp_session_row row = bench_session(b, t->sid);
    struct sp_store_read r = {.kind = SP_READ_USER_SESSIONS,
                              .tenant = SP_TENANT_DEFAULT,
                              .key = SP_SLICE_ARRAY(row.user_id),
                              .sid_tag = row.sid,
                              .limit = SP_READ_PAGE_MAX};
    assert_true(sp_ok(sp_store_read_wait(b->store, &r)));
    uint32_t n = r.ret.n;
    sp_store_read_done(&r);
    return n;
}

/* Each login walks through the sessions of its user while all other writes wait. */
static void logging_in_and_out_all_day_does_not_pile_up_sessions(void **state) {
    struct bench *b = *state;
    struct tokens kept = bench_login(b), last = {0};
    struct tokens first = bench_login(b);
    assert_int_equal(bench_logout_refresh(b, &first).outcome, SP_OUTCOME_OK);
    for (uint32_t i = 0; i < SP_SESSIONS_OVER_MAX + 50; i++) {
        b->now_ms += 1000;
        last = bench_login(b);
        assert_int_equal(bench_logout_refresh(b, &last).outcome, SP_OUTCOME_OK);
    }
    assert_int_equal(rows_of(b, &kept), 1 + SP_SESSIONS_OVER_MAX);
    assert_int_equal(bench_refresh(b, &kept).outcome, SP_OUTCOME_OK);
    assert_int_equal(bench_session(b, last.sid).cause, SP_END_LOGOUT); /* the oldest went, not the latest */
    assert_int_equal(bench_refresh(b, &first).outcome, SP_OUTCOME_INVALID_GRANT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        BENCH_TEST(a_long_proof_is_never_made_on_the_loop),
        BENCH_TEST(a_short_proof_needs_no_pool),
        BENCH_TEST(only_one_long_proof_is_under_way),
        BENCH_TEST(a_token_from_long_ago_still_trips_and_logs_out),
        BENCH_TEST(logging_in_and_out_all_day_does_not_pile_up_sessions),
        BENCH_TEST(of_a_session_that_is_over_nothing_is_proved),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
