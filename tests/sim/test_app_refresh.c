/* Refreshing on a whole app: rotation, grace, reuse, what is recorded of it, and cookies. */
#include "app_bench.h"

enum { SECOND = 1000, GRACE_OVER_MS = SP_GRACE_DEFAULT_MS + 1 };
static const char attempt_a[] = "0123456789abcdef";

/* ---- refresh ---- */

static void refresh_rotates_and_both_access_tokens_pass(void **state) {
    BENCH;
    struct tokens t0 = bench_login(b);
    b->now_ms += 60 * SECOND;
    struct tokens t1 = bench_refresh(b, &t0);
    assert_int_equal(t1.outcome, SP_OUTCOME_OK);
    assert_memory_not_equal(t0.refresh, t1.refresh, t0.refresh_n);
    assert_int_equal(bench_check(b, &t0), SP_REJECT_NONE);
    assert_int_equal(bench_check(b, &t1), SP_REJECT_NONE);
    struct sp_session_row row = bench_session(b, t0.sid);
    assert_int_equal(row.generation, 1);
    assert_int_equal(row.refreshes, 1);
    assert_int_equal(row.access_exp_max_s, b->now_ms / 1000 + 900);
}

static void refresh_within_grace_gives_the_same_successor_again(void **state) {
    BENCH;
    struct tokens t0 = bench_login(b);
    struct tokens t1 = bench_refresh(b, &t0);
    b->now_ms += SP_GRACE_DEFAULT_MS;
    struct tokens again = bench_refresh(b, &t0);
    assert_int_equal(again.outcome, SP_OUTCOME_OK);
    bench_assert_same_refresh(&t1, &again);
    assert_int_equal(bench_session(b, t0.sid).generation, 1);
}

static void refresh_reused_after_grace_trips_the_session_once(void **state) {
    BENCH;
    struct tokens other = bench_login(b);
    struct tokens t0 = bench_login(b);
    struct tokens t1 = bench_refresh(b, &t0);
    b->now_ms += GRACE_OVER_MS;
    struct tokens thief = bench_refresh(b, &t0);
    assert_int_equal(thief.outcome, SP_OUTCOME_INVALID_GRANT);
    assert_true(thief.reuse_detected);
    assert_int_equal(bench_check(b, &t1), SP_REJECT_REVOKED);
    assert_int_equal(bench_refresh(b, &t1).outcome, SP_OUTCOME_INVALID_GRANT);
    struct tokens later = bench_refresh(b, &t0);
    assert_int_equal(later.outcome, SP_OUTCOME_INVALID_GRANT);
    assert_false(later.reuse_detected);
    assert_int_equal(bench_session(b, t0.sid).state, SP_SESSION_TRIPPED);
    assert_int_equal(bench_records(b, "refresh_reuse_detected"), 1);
    assert_int_equal(bench_check(b, &other), SP_REJECT_NONE);
    assert_int_equal(bench_refresh(b, &other).outcome, SP_OUTCOME_OK);
}

static void refresh_reused_with_the_policy_user_ends_every_session(void **state) {
    BENCH;
    bench_stop(b);
    b->config.reuse = SP_REUSE_USER;
    bench_start(b);
    struct tokens other = bench_login(b);
    struct tokens t0 = bench_login(b);
    bench_refresh(b, &t0);
    b->now_ms += GRACE_OVER_MS;
    assert_true(bench_refresh(b, &t0).reuse_detected);
    assert_int_equal(bench_session(b, t0.sid).cause, SP_END_REUSE_DETECTED);
    assert_int_equal(bench_session(b, other.sid).cause, SP_END_REUSE_ELSEWHERE);
    assert_int_equal(bench_check(b, &other), SP_REJECT_REVOKED);
    struct tokens fresh = bench_login(b); /* in the same second */
    assert_int_equal(bench_check(b, &fresh), SP_REJECT_NONE);
}

static void refresh_reused_with_the_policy_report_ends_nothing(void **state) {
    BENCH;
    bench_stop(b);
    b->config.reuse = SP_REUSE_REPORT;
    bench_start(b);
    struct tokens t0 = bench_login(b);
    struct tokens t1 = bench_refresh(b, &t0);
    b->now_ms += GRACE_OVER_MS;
    struct tokens thief = bench_refresh(b, &t0);
    assert_int_equal(thief.outcome, SP_OUTCOME_INVALID_GRANT);
    assert_true(thief.reuse_detected);
    assert_int_equal(bench_records(b, "refresh_reuse_detected"), 1);
    assert_int_equal(bench_refresh(b, &t1).outcome, SP_OUTCOME_OK);
}

static void refresh_with_its_attempt_survives_a_lost_answer_however_late(void **state) {
    BENCH;
    struct tokens t0 = bench_login(b);
    struct tokens lost = bench_refresh_mode(b, &t0, attempt_a, SP_MODE_TOKEN);
    b->now_ms += 3600 * SECOND;
    struct tokens retry = bench_refresh_mode(b, &t0, attempt_a, SP_MODE_TOKEN);
    assert_int_equal(retry.outcome, SP_OUTCOME_OK);
    bench_assert_same_refresh(&lost, &retry);
}

static void refresh_with_another_attempt_after_grace_trips(void **state) {
    BENCH;
    struct tokens t0 = bench_login(b);
    bench_refresh_mode(b, &t0, attempt_a, SP_MODE_TOKEN);
    b->now_ms += GRACE_OVER_MS;
    assert_true(bench_refresh_mode(b, &t0, "fedcba9876543210", SP_MODE_TOKEN).reuse_detected);
}

static void refresh_with_an_attempt_of_another_length_is_an_invalid_request(void **state) {
    BENCH;
    struct tokens t0 = bench_login(b);
    assert_int_equal(bench_refresh_mode(b, &t0, "short", SP_MODE_TOKEN).outcome, SP_OUTCOME_INVALID_REQUEST);
}

static void refresh_two_generations_back_but_recent_is_superseded(void **state) {
    BENCH;
    struct tokens t0 = bench_login(b);
    struct tokens t1 = bench_refresh(b, &t0);
    struct tokens t2 = bench_refresh(b, &t1);
    assert_int_equal(bench_refresh(b, &t0).outcome, SP_OUTCOME_REFRESH_SUPERSEDED);
    assert_int_equal(bench_refresh(b, &t2).outcome, SP_OUTCOME_OK);
}

static void refresh_by_two_presenters_at_once_gives_both_the_same_token(void **state) {
    BENCH;
    struct tokens t0 = bench_login(b), x = {0}, y = {0}, z = {0};
    bench_refresh_begin(b, &t0, NULL, &x);
    bench_refresh_begin(b, &t0, NULL, &y);
    bench_refresh_begin(b, &t0, NULL, &z);
    bench_run(b);
    assert_int_equal(x.outcome, SP_OUTCOME_OK);
    assert_int_equal(y.outcome, SP_OUTCOME_OK);
    assert_int_equal(z.outcome, SP_OUTCOME_OK);
    bench_assert_same_refresh(&x, &y);
    bench_assert_same_refresh(&x, &z);
    assert_int_equal(bench_session(b, t0.sid).generation, 1);
}

static void refresh_reused_by_two_thieves_at_once_is_one_trip(void **state) {
    BENCH;
    struct tokens t0 = bench_login(b), x = {0}, y = {0};
    bench_refresh(b, &t0);
    b->now_ms += GRACE_OVER_MS;
    bench_refresh_begin(b, &t0, NULL, &x);
    bench_refresh_begin(b, &t0, NULL, &y);
    bench_run(b);
    assert_int_equal(x.reuse_detected + y.reuse_detected, 1);
    assert_int_equal(bench_records(b, "refresh_reuse_detected"), 1);
}

static void refresh_of_junk_changes_nothing_and_costs_no_store(void **state) {
    BENCH;
    struct tokens t0 = bench_login(b);
    sp_store_memory_fail_reads(b->store, true);
    sp_store_memory_fail(b->store, 1, 100, SP_MEMORY_FAULT_UNAVAILABLE);
    struct tokens junk = t0;
    for (size_t i = 0; i < junk.refresh_n - 22;
         i++) { /* the secret's last characters have no part in the tag */
        junk = t0;
        junk.refresh[i] = junk.refresh[i] == 'A' ? 'B' : 'A';
        assert_int_equal(bench_refresh(b, &junk).outcome, SP_OUTCOME_INVALID_GRANT);
    }
    sp_store_memory_fail(b->store, 0, 0, SP_MEMORY_FAULT_NONE);
    sp_store_memory_fail_reads(b->store, false);
    assert_int_equal(bench_refresh(b, &t0).outcome, SP_OUTCOME_OK);
}

static void refresh_with_a_guessed_secret_cannot_trip(void **state) {
    BENCH;
    struct tokens t0 = bench_login(b);
    struct tokens t1 = bench_refresh(b, &t0);
    b->now_ms += GRACE_OVER_MS;
    struct tokens guess = t0;
    char *secret = &guess.refresh[guess.refresh_n - 8];
    *secret = *secret == 'A' ? 'B' : 'A';
    struct tokens r = bench_refresh(b, &guess);
    assert_int_equal(r.outcome, SP_OUTCOME_INVALID_GRANT);
    assert_false(r.reuse_detected);
    assert_int_equal(bench_refresh(b, &t1).outcome, SP_OUTCOME_OK);
}

static void refresh_in_the_other_mode_refuses_and_records_but_does_not_trip(void **state) {
    BENCH;
    struct tokens t0 = bench_login(b);
    struct tokens r = bench_refresh_mode(b, &t0, NULL, SP_MODE_COOKIE);
    assert_int_equal(r.outcome, SP_OUTCOME_INVALID_GRANT);
    assert_false(r.reuse_detected);
    assert_int_equal(bench_records(b, "client_mismatch"), 1);
    assert_int_equal(bench_refresh(b, &t0).outcome, SP_OUTCOME_OK);
}

static void refresh_extends_idle_but_never_absolute_expiry(void **state) {
    BENCH;
    struct tokens t = bench_login(b);
    const int64_t born_ms = b->now_ms, week_ms = INT64_C(7) * 86400 * SECOND;
    for (int i = 1; i <= 4; i++) {
        b->now_ms = born_ms + i * week_ms - i; /* a moment before the idle end */
        t = bench_refresh(b, &t);
        assert_int_equal(t.outcome, SP_OUTCOME_OK);
    }
    assert_true(t.refresh_s <= 2 * 86400 + 1);
    b->now_ms = born_ms + INT64_C(30) * 86400 * SECOND;
    assert_int_equal(bench_refresh(b, &t).outcome, SP_OUTCOME_INVALID_GRANT);
}

static void refresh_at_the_idle_end_is_too_late(void **state) {
    BENCH;
    struct tokens t = bench_login(b);
    b->now_ms += INT64_C(7) * 86400 * SECOND;
    assert_int_equal(bench_refresh(b, &t).outcome, SP_OUTCOME_INVALID_GRANT);
}

static void refresh_of_a_disabled_user_is_refused(void **state) {
    BENCH;
    struct tokens t = bench_login(b);
    struct sp_user_row row = bench_user(b, "ada");
    row.disabled = true;
    bench_user_put(b, &row); /* the row alone: its sessions were not ended */
    assert_int_equal(bench_refresh(b, &t).outcome, SP_OUTCOME_INVALID_GRANT);
}

/* ---- records of refreshes ---- */

static void open_recording(struct bench *b) {
    bench_stop(b);
    b->config.audit_refresh = true;
    bench_start(b);
}

static bool body_has(struct bench *b, uint64_t seq, const char *text) {
    struct sp_store_read r = {
        .kind = SP_READ_AUDIT, .tenant = SP_TENANT_DEFAULT, .after_seq = seq - 1, .limit = 1};
    assert_int_equal(sp_store_read_wait(b->store, &r).code, SP_OK);
    assert_int_equal(r.ret.n, 1);
    bool has = memmem(r.ret.audit[0].body, r.ret.audit[0].body_n, text, strlen(text)) != NULL;
    sp_store_read_done(&r);
    return has;
}

static uint64_t records_count(struct bench *b) {
    struct sp_store_read r = {.kind = SP_READ_META, .tenant = SP_TENANT_DEFAULT, .limit = 1};
    assert_int_equal(sp_store_read_wait(b->store, &r).code, SP_OK);
    return r.ret.meta.audit_count;
}

static void refreshes_are_only_counted_unless_records_are_asked_for(void **state) {
    BENCH;
    struct tokens t0 = bench_login(b), t1 = bench_refresh(b, &t0);
    assert_int_equal(bench_refresh(b, &t1).outcome, SP_OUTCOME_OK);
    assert_int_equal(bench_records(b, "refreshed"), 0);
    assert_int_equal(bench_session(b, t0.sid).refreshes, 2);
}

static void each_refresh_is_one_record_when_asked_for(void **state) {
    BENCH;
    open_recording(b);
    struct tokens t0 = bench_login(b), t1 = bench_refresh(b, &t0);
    assert_int_equal(t1.outcome, SP_OUTCOME_OK);
    assert_int_equal(bench_records(b, "refreshed"), 1);
    assert_true(body_has(b, records_count(b), "\"detail\":{\"kind\":\"rotated\",\"generation\":1}"));
    struct tokens again = bench_refresh(b, &t0);
    bench_assert_same_refresh(&t1, &again);
    assert_int_equal(bench_records(b, "refreshed"), 2);
    assert_true(body_has(b, records_count(b), "\"detail\":{\"kind\":\"reissued\",\"generation\":1}"));
    assert_int_equal(bench_session(b, t0.sid).refreshes, 1);
}

static void a_recorded_refresh_that_is_refused_is_no_refresh(void **state) {
    BENCH;
    open_recording(b);
    struct tokens t0 = bench_login(b), t1 = bench_refresh(b, &t0);
    b->now_ms += GRACE_OVER_MS;
    assert_true(bench_refresh(b, &t0).reuse_detected);
    assert_int_equal(bench_refresh(b, &t1).outcome, SP_OUTCOME_INVALID_GRANT);
    assert_int_equal(bench_records(b, "refreshed"), 1);
    assert_int_equal(bench_records(b, "refresh_reuse_detected"), 1);
}

static void a_recorded_refresh_of_a_disabled_user_is_refused(void **state) {
    BENCH;
    open_recording(b);
    struct tokens t0 = bench_login(b);
    struct sp_user_row row = bench_user(b, "ada");
    row.disabled = true;
    bench_user_put(b, &row);
    assert_int_equal(bench_refresh(b, &t0).outcome, SP_OUTCOME_INVALID_GRANT);
    assert_int_equal(bench_records(b, "refreshed"), 0);
}

static void a_healed_refresh_is_recorded_as_one(void **state) {
    BENCH;
    open_recording(b);
    struct tokens t0 = bench_login(b);
    struct sp_memory_snapshot *copy;
    assert_int_equal(sp_store_memory_snapshot(b->store, &copy).code, SP_OK);
    struct tokens t1 = bench_refresh(b, &t0), t2 = bench_refresh(b, &t1);
    bench_stop(b);
    assert_int_equal(sp_store_memory_restore(b->store, copy, true).code, SP_OK);
    sp_memory_snapshot_free(copy);
    bench_start(b);
    assert_int_equal(bench_refresh(b, &t2).outcome, SP_OUTCOME_OK);
    assert_int_equal(bench_records(b, "refreshed"), 1);
    assert_true(body_has(b, records_count(b), "\"detail\":{\"kind\":\"healed\",\"generation\":3}"));
}

/* ---- cookies ---- */

static void refresh_by_tabs_within_grace_does_not_rotate(void **state) {
    BENCH;
    struct tokens t0 = bench_login_cookie(b);
    struct tokens t1 = bench_refresh_mode(b, &t0, NULL, SP_MODE_COOKIE);
    b->now_ms += 2 * SECOND;
    struct tokens tab = bench_refresh_mode(b, &t1, NULL, SP_MODE_COOKIE);
    assert_int_equal(tab.outcome, SP_OUTCOME_OK);
    bench_assert_same_refresh(&t1, &tab);
    struct tokens slow = bench_refresh_mode(b, &t0, NULL, SP_MODE_COOKIE);
    assert_int_equal(slow.outcome, SP_OUTCOME_OK);
    bench_assert_same_refresh(&t1, &slow);
    b->now_ms += GRACE_OVER_MS;
    struct tokens t2 = bench_refresh_mode(b, &t1, NULL, SP_MODE_COOKIE);
    assert_int_equal(t2.outcome, SP_OUTCOME_OK);
    assert_int_equal(bench_session(b, t0.sid).generation, 2);
}

static void cookie_access_token_that_is_too_large_drops_permissions(void **state) {
    BENCH;
    struct sp_role_row role = {.tenant = SP_TENANT_DEFAULT};
    char words[4096];
    size_t n = 0;
    for (int i = 0; i < 150; i++)
        n += (size_t)snprintf(words + n, sizeof(words) - n, "%sdocuments:action-%04d", i ? " " : "", i);
    assert_int_equal(SP_TEXT_SET(&role.name, SP_SLICE_LIT("writer")).code, SP_OK);
    assert_int_equal(SP_TEXT_SET(&role.permissions, sp_slice_of(words, n)).code, SP_OK);
    struct sp_change c = {.kind = SP_CHANGE_ROLE_PUT,
                          .role_put = {.row = &role, .expect_version = SP_VERSION_ANY}};
    assert_int_equal(sp_store_commit_wait(b->store, &c, 1, NULL).code, SP_OK);
    struct tokens bearer = bench_login(b), cookie = bench_login_cookie(b);
    assert_true(bearer.access_n > SP_COOKIE_TOKEN_BYTES_MAX);
    assert_true(cookie.access_n <= SP_COOKIE_TOKEN_BYTES_MAX);
    assert_int_equal(bench_check(b, &cookie), SP_REJECT_NONE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        BENCH_TEST(refresh_rotates_and_both_access_tokens_pass),
        BENCH_TEST(refresh_within_grace_gives_the_same_successor_again),
        BENCH_TEST(refresh_reused_after_grace_trips_the_session_once),
        BENCH_TEST(refresh_reused_with_the_policy_user_ends_every_session),
        BENCH_TEST(refresh_reused_with_the_policy_report_ends_nothing),
        BENCH_TEST(refresh_with_its_attempt_survives_a_lost_answer_however_late),
        BENCH_TEST(refresh_with_another_attempt_after_grace_trips),
        BENCH_TEST(refresh_with_an_attempt_of_another_length_is_an_invalid_request),
        BENCH_TEST(refresh_two_generations_back_but_recent_is_superseded),
        BENCH_TEST(refresh_by_two_presenters_at_once_gives_both_the_same_token),
        BENCH_TEST(refresh_reused_by_two_thieves_at_once_is_one_trip),
        BENCH_TEST(refresh_of_junk_changes_nothing_and_costs_no_store),
        BENCH_TEST(refresh_with_a_guessed_secret_cannot_trip),
        BENCH_TEST(refresh_in_the_other_mode_refuses_and_records_but_does_not_trip),
        BENCH_TEST(refresh_extends_idle_but_never_absolute_expiry),
        BENCH_TEST(refresh_at_the_idle_end_is_too_late),
        BENCH_TEST(refresh_of_a_disabled_user_is_refused),
        BENCH_TEST(refreshes_are_only_counted_unless_records_are_asked_for),
        BENCH_TEST(each_refresh_is_one_record_when_asked_for),
        BENCH_TEST(a_recorded_refresh_that_is_refused_is_no_refresh),
        BENCH_TEST(a_recorded_refresh_of_a_disabled_user_is_refused),
        BENCH_TEST(a_healed_refresh_is_recorded_as_one),
        BENCH_TEST(refresh_by_tabs_within_grace_does_not_rotate),
        BENCH_TEST(cookie_access_token_that_is_too_large_drops_permissions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
