/* The use cases of a person: login, refresh, reuse, logout, password; each with its near miss and its attack.
 */
#include "app_bench.h"

enum { SECOND = 1000, GRACE_OVER_MS = SP_GRACE_DEFAULT_MS + 1 };
static const char attempt_a[] = "0123456789abcdef";

static int setup(void **state) {
    static struct bench b;
    bench_defaults(&b);
    bench_open(&b);
    *state = &b;
    return 0;
}
static int teardown(void **state) {
    bench_close(*state);
    return 0;
}
#define BENCH struct bench *b = *state

static void assert_same_refresh(const struct tokens *x, const struct tokens *y) {
    assert_int_equal(x->refresh_n, y->refresh_n);
    assert_memory_equal(x->refresh, y->refresh, x->refresh_n);
}

/* ---- login ---- */

static void login_gives_a_token_that_passes_and_is_recorded(void **state) {
    BENCH;
    struct tokens t = bench_login(b);
    assert_int_equal(bench_check(b, &t), SP_REJECT_NONE);
    assert_int_equal(t.access_s, 900);
    assert_int_equal(t.refresh_s, 7 * 86400);
    struct sp_session_row row = bench_session(b, t.sid);
    assert_int_equal(row.access_exp_max_s, b->now_ms / 1000 + 900);
    assert_int_equal(bench_records(b, "login"), 1);
}

static void login_by_unknown_name_and_by_wrong_password_cost_and_answer_the_same(void **state) {
    BENCH;
    uint32_t before = b->hashes;
    struct tokens unknown = bench_login_as(b, "nobody", "correct horse", SP_MODE_TOKEN);
    assert_int_equal(b->hashes, before + 1);
    struct tokens wrong = bench_login_as(b, "ada", "correct hors", SP_MODE_TOKEN);
    assert_int_equal(b->hashes, before + 2);
    assert_int_equal(unknown.outcome, SP_OUTCOME_INVALID_CREDENTIALS);
    assert_int_equal(wrong.outcome, SP_OUTCOME_INVALID_CREDENTIALS);
}

static void login_of_a_disabled_user_is_invalid_credentials_after_one_hash(void **state) {
    BENCH;
    struct sp_user_row row = bench_user(b, "ada");
    row.disabled = true;
    bench_user_put(b, &row);
    uint32_t before = b->hashes;
    assert_int_equal(bench_login_as(b, "ada", "correct horse", SP_MODE_TOKEN).outcome,
                     SP_OUTCOME_INVALID_CREDENTIALS);
    assert_int_equal(b->hashes, before + 1);
}

static void login_of_a_user_without_password_never_matches(void **state) {
    BENCH;
    bench_user_new(b, "bare", "");
    assert_int_equal(bench_login_as(b, "bare", "", SP_MODE_TOKEN).outcome, SP_OUTCOME_INVALID_CREDENTIALS);
}

static void login_names_are_found_in_any_case(void **state) {
    BENCH;
    assert_int_equal(bench_login_as(b, "ADA", "correct horse", SP_MODE_TOKEN).outcome, SP_OUTCOME_OK);
    assert_int_equal(bench_login_as(b, "ad", "correct horse", SP_MODE_TOKEN).outcome,
                     SP_OUTCOME_INVALID_CREDENTIALS);
}

static void failed_logins_of_a_minute_are_one_record(void **state) {
    BENCH;
    for (int i = 0; i < 5; i++) bench_login_as(b, "ada", "wrong password", SP_MODE_TOKEN);
    assert_int_equal(bench_records(b, "login_failed"), 1);
    b->now_ms += 61 * SECOND;
    sp_app_tick(b->app, &b->queue.executor);
    bench_run(b);
    assert_int_equal(bench_records(b, "login_failed"), 2); /* "and four more" */
}

static void login_with_a_full_hash_queue_is_overloaded(void **state) {
    BENCH;
    b->hash_full = true;
    assert_int_equal(bench_login_as(b, "ada", "correct horse", SP_MODE_TOKEN).outcome, SP_OUTCOME_OVERLOADED);
}

static void login_hashes_an_old_password_anew(void **state) {
    BENCH;
    bench_user_new(b, "old", "old:secret words");
    assert_int_equal(bench_login_as(b, "old", "secret words", SP_MODE_TOKEN).outcome, SP_OUTCOME_OK);
    bench_run(b);
    struct sp_user_row row = bench_user(b, "old");
    assert_true(sp_slice_eq_cstr(SP_TEXT_SLICE(&row.password), "plain:secret words"));
    assert_int_equal(bench_login_as(b, "old", "secret words", SP_MODE_TOKEN).outcome, SP_OUTCOME_OK);
}

static void login_whose_password_changed_while_it_was_hashed_is_checked_again(void **state) {
    BENCH;
    struct tokens t = {0};
    struct sp_call call = bench_call(b);
    struct sp_login_request in = {
        .username = SP_SLICE_LIT("ada"), .password = SP_SLICE_LIT("correct horse"), .mode = SP_MODE_TOKEN};
    sp_app_login(b->app, &call, &in, bench_tokens_done, &t);
    struct sp_task *read = b->queue.head; /* the user has been read; its completion waits */
    assert_non_null(read);
    struct sp_user_row row = bench_user(b, "ada");
    assert_int_equal(SP_TEXT_SET(&row.password, SP_SLICE_LIT("plain:another one")).code, SP_OK);
    bench_user_put(b, &row);
    bench_run(b);
    assert_int_equal(t.outcome, SP_OUTCOME_INVALID_CREDENTIALS);
}

static void login_beyond_the_limit_of_sessions_ends_the_oldest(void **state) {
    BENCH;
    bench_stop(b);
    b->config.sessions_max = 2;
    bench_start(b);
    struct tokens first = bench_login(b);
    b->now_ms += SECOND;
    struct tokens second = bench_login(b);
    b->now_ms += SECOND;
    bench_login(b);
    assert_int_equal(bench_session(b, first.sid).cause, SP_END_TOO_MANY_SESSIONS);
    assert_int_equal(bench_session(b, second.sid).state, SP_SESSION_ACTIVE);
    assert_int_equal(bench_check(b, &first), SP_REJECT_REVOKED);
    assert_int_equal(bench_records(b, "sessions_evicted"), 1);
}

static void login_with_a_device_that_is_no_text_is_an_invalid_request(void **state) {
    BENCH;
    struct tokens t = {0};
    struct sp_call call = bench_call(b);
    struct sp_login_request in = {.username = SP_SLICE_LIT("ada"),
                                  .password = SP_SLICE_LIT("correct horse"),
                                  .device = SP_SLICE_LIT("\x1b[2J"),
                                  .mode = SP_MODE_TOKEN};
    sp_app_login(b->app, &call, &in, bench_tokens_done, &t);
    bench_run(b);
    assert_int_equal(t.outcome, SP_OUTCOME_INVALID_REQUEST);
}

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
    assert_same_refresh(&t1, &again);
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
    assert_same_refresh(&lost, &retry);
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
    assert_same_refresh(&x, &y);
    assert_same_refresh(&x, &z);
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
    assert_same_refresh(&t1, &again);
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

/* ---- checkpoints in the server's log ---- */

static uint32_t checkpoints_after(struct bench *b, int64_t ms) {
    b->now_ms += ms;
    sp_app_tick(b->app, &b->queue.executor);
    bench_run(b);
    return b->checkpoints;
}

static void append_records(struct bench *b, uint32_t n) {
    struct sp_change c = {.kind = SP_CHANGE_AUDIT,
                          .audit = {.time_ms = b->now_ms,
                                    .action = SP_SLICE_LIT("login"),
                                    .outcome = SP_SLICE_LIT("ok"),
                                    .body = SP_SLICE_LIT("{}")}};
    for (uint32_t i = 0; i < n; i++)
        assert_int_equal(sp_store_commit_wait(b->store, &c, 1, NULL).code, SP_OK);
}

static void a_checkpoint_is_logged_at_the_start_and_once_a_day(void **state) {
    BENCH;
    const int64_t minute = 60 * SECOND, day = 24 * 60 * minute;
    assert_int_equal(checkpoints_after(b, 0), 1);
    assert_int_equal(checkpoints_after(b, minute), 1);
    assert_int_equal(checkpoints_after(b, day - 2 * minute), 1);
    assert_int_equal(checkpoints_after(b, minute), 2);
    assert_int_equal(checkpoints_after(b, minute), 2);
    bench_stop(b);
    bench_start(b);
    assert_int_equal(checkpoints_after(b, 0), 3);
}

static void a_checkpoint_is_logged_when_many_records_came(void **state) {
    BENCH;
    assert_int_equal(checkpoints_after(b, 0), 1);
    append_records(b, 9999);
    assert_int_equal(checkpoints_after(b, 60 * SECOND), 1);
    append_records(b, 1);
    assert_int_equal(checkpoints_after(b, 59 * SECOND), 1); /* looked at once a minute */
    assert_int_equal(checkpoints_after(b, SECOND), 2);
}

/* ---- cookies ---- */

static void refresh_by_tabs_within_grace_does_not_rotate(void **state) {
    BENCH;
    struct tokens t0 = bench_login_cookie(b);
    struct tokens t1 = bench_refresh_mode(b, &t0, NULL, SP_MODE_COOKIE);
    b->now_ms += 2 * SECOND;
    struct tokens tab = bench_refresh_mode(b, &t1, NULL, SP_MODE_COOKIE);
    assert_int_equal(tab.outcome, SP_OUTCOME_OK);
    assert_same_refresh(&t1, &tab);
    struct tokens slow = bench_refresh_mode(b, &t0, NULL, SP_MODE_COOKIE);
    assert_int_equal(slow.outcome, SP_OUTCOME_OK);
    assert_same_refresh(&t1, &slow);
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

/* ---- restarts and stores that went back ---- */

static void windows_open_at_the_stop_reopen_at_the_start(void **state) {
    BENCH;
    struct tokens t0 = bench_login(b);
    struct tokens t1 = bench_refresh(b, &t0);
    bench_stop(b);
    b->now_ms += 600 * SECOND;
    bench_start(b);
    b->now_ms += SECOND;
    struct tokens retry = bench_refresh(b, &t0);
    assert_int_equal(retry.outcome, SP_OUTCOME_OK);
    assert_same_refresh(&t1, &retry);
    b->now_ms += GRACE_OVER_MS;
    assert_true(bench_refresh(b, &t0).reuse_detected);
}

static void windows_that_were_reopened_reopen_again_after_another_stop(void **state) {
    BENCH;
    struct tokens t0 = bench_login(b), busy = bench_login(b);
    struct tokens t1 = bench_refresh(b, &t0);
    bench_stop(b);
    b->now_ms += 600 * SECOND;
    bench_start(b);
    b->now_ms += SECOND;
    assert_int_equal(bench_refresh(b, &busy).outcome, SP_OUTCOME_OK);
    sp_app_tick(b->app,
                &b->queue.executor); /* a heartbeat now would close the window of t0 for the next start */
    bench_run(b);
    bench_stop(b);
    b->now_ms += 600 * SECOND;
    bench_start(b);
    b->now_ms += SECOND;
    struct tokens retry = bench_refresh(b, &t0);
    assert_int_equal(retry.outcome, SP_OUTCOME_OK);
    assert_same_refresh(&t1, &retry);
}

static void tabs_after_a_restart_rotate_although_windows_reopened(void **state) {
    BENCH;
    struct tokens t0 = bench_login_cookie(b);
    struct tokens t1 = bench_refresh_mode(b, &t0, NULL, SP_MODE_COOKIE);
    bench_stop(b);
    b->now_ms += 600 * SECOND;
    bench_start(b);
    b->now_ms += SECOND;
    struct tokens tab = bench_refresh_mode(b, &t1, NULL, SP_MODE_COOKIE);
    assert_int_equal(tab.outcome, SP_OUTCOME_OK);
    assert_memory_not_equal(t1.refresh, tab.refresh, t1.refresh_n);
    assert_int_equal(bench_session(b, t0.sid).generation, 2);
}

static void windows_closed_long_before_the_stop_stay_closed(void **state) {
    BENCH;
    bench_stop(b);
    bench_start(b);
    b->now_ms += GRACE_OVER_MS;
    struct tokens t0 = bench_login(b);
    bench_refresh(b, &t0);
    for (int i = 0; i < 30; i++) {
        b->now_ms += SECOND;
        sp_app_tick(b->app, &b->queue.executor);
        bench_run(b);
    }
    bench_stop(b);
    b->now_ms += 600 * SECOND;
    bench_start(b);
    assert_true(bench_refresh(b, &t0).reuse_detected);
}

static void a_start_enforces_what_was_revoked_before(void **state) {
    BENCH;
    struct tokens t = bench_login(b);
    assert_int_equal(bench_logout_refresh(b, &t).outcome, SP_OUTCOME_OK);
    bench_stop(b);
    bench_start(b);
    assert_int_equal(bench_check(b, &t), SP_REJECT_REVOKED);
    struct tokens fresh = bench_login(b); /* under the same keys */
    assert_int_equal(bench_check(b, &fresh), SP_REJECT_NONE);
}

static void a_store_put_back_heals_and_records(void **state) {
    BENCH;
    struct tokens t0 = bench_login(b);
    struct sp_memory_snapshot *copy;
    assert_int_equal(sp_store_memory_snapshot(b->store, &copy).code, SP_OK);
    struct tokens t1 = bench_refresh(b, &t0), t2 = bench_refresh(b, &t1);
    bench_stop(b);
    assert_int_equal(sp_store_memory_restore(b->store, copy, true).code, SP_OK);
    sp_memory_snapshot_free(copy);
    bench_start(b);
    struct tokens t3 = bench_refresh(b, &t2);
    assert_int_equal(t3.outcome, SP_OUTCOME_OK);
    assert_int_equal(bench_session(b, t0.sid).generation, 3);
    assert_int_equal(bench_records(b, "store_rollback"), 1);
    assert_int_equal(bench_refresh(b, &t3).outcome, SP_OUTCOME_OK);
}

static void a_store_put_back_behind_our_back_is_told_by_the_count_of_starts(void **state) {
    BENCH;
    struct tokens t0 = bench_login(b);
    struct sp_memory_snapshot *copy;
    assert_int_equal(sp_store_memory_snapshot(b->store, &copy).code, SP_OK);
    bench_stop(b);
    bench_start(b);
    struct tokens t1 = bench_refresh(b, &t0), t2 = bench_refresh(b, &t1);
    b->config.expected_boots = sp_app_boots(b->app);
    bench_stop(b);
    assert_int_equal(sp_store_memory_restore(b->store, copy, false).code, SP_OK);
    sp_memory_snapshot_free(copy);
    bench_start(b);
    assert_int_equal(bench_refresh(b, &t2).outcome, SP_OUTCOME_OK);
}

static void a_generation_that_never_was_trips(void **state) {
    BENCH;
    struct tokens t0 = bench_login(b);
    struct sp_memory_snapshot *copy;
    assert_int_equal(sp_store_memory_snapshot(b->store, &copy).code, SP_OK);
    struct tokens t1 = bench_refresh(b, &t0), t2 = bench_refresh(b, &t1);
    bench_stop(b);
    assert_int_equal(sp_store_memory_restore(b->store, copy, false).code, SP_OK); /* nobody noticed */
    sp_memory_snapshot_free(copy);
    bench_start(b);
    assert_true(bench_refresh(b, &t2).reuse_detected);
    assert_int_equal(bench_session(b, t0.sid).cause, SP_END_GENERATION_IMPOSSIBLE);
    assert_int_equal(bench_records(b, "generation_impossible"), 1);
}

static void tick(struct bench *b) {
    sp_app_tick(b->app, &b->queue.executor);
    bench_run(b);
}

static void a_new_signing_key_is_announced_first_and_old_tokens_keep_passing(void **state) {
    BENCH;
    bench_stop(b);
    b->config.key_rotate_every_s = 600;
    bench_start(b);
    SP_AUTO(sp_buf) before = SP_BUF_INIT(65536);
    SP_AUTO(sp_buf) after = SP_BUF_INIT(65536);
    assert_int_equal(sp_app_jwks(b->app, &before).code, SP_OK);
    struct tokens old = bench_login(b);
    b->now_ms += 601 * SECOND;
    tick(b);
    assert_int_equal(sp_app_jwks(b->app, &after).code, SP_OK);
    assert_true(after.n > before.n);
    struct tokens still = bench_login(b);
    size_t header_n = (size_t)((char *)memchr(old.access, '.', old.access_n) - old.access);
    assert_memory_equal(still.access, old.access, header_n); /* signed by the old one */
    b->now_ms += 61 * SECOND;
    tick(b);
    struct tokens fresh = bench_login(b);
    assert_memory_not_equal(fresh.access, old.access, header_n);
    assert_int_equal(bench_check(b, &old), SP_REJECT_NONE);
    assert_int_equal(bench_check(b, &fresh), SP_REJECT_NONE);
    assert_int_equal(bench_refresh(b, &old).outcome, SP_OUTCOME_OK); /* its refresh key has retired, too */
    uint32_t retired = bench_records(b, "key_retired");
    assert_true(retired >= 1);
    tick(b); /* nothing to do: nothing is written */
    assert_int_equal(bench_records(b, "key_retired"), retired);
}

static void an_idle_server_writes_no_heartbeat(void **state) {
    BENCH;
    struct tokens t = bench_login(b);
    b->now_ms += GRACE_OVER_MS;
    sp_store_memory_fail(b->store, 1, UINT64_MAX, SP_MEMORY_FAULT_UNAVAILABLE);
    tick(b); /* the first one purges, and fails */
    b->now_ms += SECOND;
    tick(b); /* nothing was rotated: this one does not write */
    assert_int_equal(sp_app_ready(b->app).code, SP_E_UNAVAILABLE);
    sp_store_memory_fail(b->store, 0, 0, SP_MEMORY_FAULT_NONE);
    assert_int_equal(bench_refresh(b, &t).outcome, SP_OUTCOME_OK);
    assert_int_equal(sp_app_ready(b->app).code, SP_OK);
}

struct status {
    uint32_t answers;
    struct sp_status_result r;
};
static void status_done(void *arg, const struct sp_status_result *r) {
    struct status *s = arg;
    s->answers++;
    s->r = *r;
}

static struct sp_meta_row meta_of(struct bench *b) {
    struct status s = {0};
    struct sp_call call = bench_call(b);
    sp_app_status(b->app, &call, status_done, &s);
    bench_run(b);
    assert_int_equal(s.answers, 1);
    assert_int_equal(s.r.outcome, SP_OUTCOME_OK);
    return s.r.meta;
}

static void the_heartbeat_beats_while_a_window_can_be_open(void **state) {
    BENCH;
    b->now_ms += GRACE_OVER_MS;
    struct tokens t = bench_login(b);
    tick(b);
    int64_t idle_ms = meta_of(b).alive_ms;
    bench_refresh(b, &t);
    b->now_ms += SECOND;
    tick(b);
    assert_true(meta_of(b).alive_ms > idle_ms);
    for (int i = 0; i < 60; i++) {
        b->now_ms += SECOND;
        tick(b);
    }
    int64_t last_ms = meta_of(b).alive_ms;
    assert_true(last_ms < b->now_ms - 30 * SECOND);
    assert_int_equal(meta_of(b).boots, sp_app_boots(b->app));
}

/* ---- logout ---- */

static void logout_ends_and_is_idempotent(void **state) {
    BENCH;
    struct tokens t0 = bench_login(b);
    struct plain first = bench_logout_refresh(b, &t0), second = bench_logout_refresh(b, &t0);
    assert_int_equal(first.outcome, SP_OUTCOME_OK);
    assert_int_equal(first.count, 1);
    assert_int_equal(second.outcome, SP_OUTCOME_OK);
    assert_int_equal(second.count, 0);
    assert_int_equal(bench_check(b, &t0), SP_REJECT_REVOKED);
    assert_int_equal(bench_refresh(b, &t0).outcome, SP_OUTCOME_INVALID_GRANT);
    assert_int_equal(bench_records(b, "logout"), 1);
}

static void logout_takes_an_old_generation_and_never_trips(void **state) {
    BENCH;
    struct tokens t0 = bench_login(b);
    struct tokens t1 = bench_refresh(b, &t0);
    b->now_ms += GRACE_OVER_MS;
    bench_refresh(b, &t1);
    assert_int_equal(bench_logout_refresh(b, &t0).count, 1);
    assert_int_equal(bench_session(b, t0.sid).cause, SP_END_LOGOUT);
}

static void logout_with_a_guessed_secret_is_refused(void **state) {
    BENCH;
    struct tokens t0 = bench_login(b), guess = t0;
    char *secret = &guess.refresh[guess.refresh_n - 8];
    *secret = *secret == 'A' ? 'B' : 'A';
    assert_int_equal(bench_logout_refresh(b, &guess).outcome, SP_OUTCOME_INVALID_GRANT);
    assert_int_equal(bench_check(b, &t0), SP_REJECT_NONE);
}

static void logout_takes_an_expired_access_token_but_no_forged_one(void **state) {
    BENCH;
    struct tokens t = bench_login(b), forged = t;
    char *sig = &forged.access[forged.access_n - 20];
    *sig = *sig == 'A' ? 'B' : 'A';
    assert_int_equal(bench_logout_access(b, &forged).outcome, SP_OUTCOME_INVALID_TOKEN);
    b->now_ms += 901 * SECOND;
    assert_int_equal(bench_check(b, &t), SP_REJECT_EXPIRED);
    assert_int_equal(bench_logout_access(b, &t).count, 1);
    assert_int_equal(bench_logout_access(b, &t).count, 0);
}

static void logout_needs_exactly_one_token(void **state) {
    BENCH;
    struct plain p = {0};
    struct sp_call call = bench_call(b);
    sp_app_logout(b->app, &call, &(struct sp_logout_request){0}, bench_plain_done, &p);
    bench_run(b);
    assert_int_equal(p.outcome, SP_OUTCOME_INVALID_REQUEST);
}

static void logout_all_ends_all_and_a_login_in_the_same_second_passes(void **state) {
    BENCH;
    struct tokens x = bench_login(b), y = bench_login(b);
    struct plain p = {0};
    struct sp_call call = bench_call_as(b, &x);
    sp_app_logout_all(b->app, &call, bench_plain_done, &p);
    bench_run(b);
    assert_int_equal(p.outcome, SP_OUTCOME_OK);
    assert_int_equal(p.count, 2);
    assert_int_equal(bench_check(b, &x), SP_REJECT_REVOKED);
    assert_int_equal(bench_check(b, &y), SP_REJECT_REVOKED);
    assert_int_equal(bench_refresh(b, &y).outcome, SP_OUTCOME_INVALID_GRANT);
    struct tokens fresh = bench_login(b);
    assert_int_equal(bench_check(b, &fresh), SP_REJECT_NONE);
}

/* ---- password ---- */

static struct plain change_password(struct bench *b, const struct tokens *t, const char *current,
                                    const char *wanted) {
    struct plain p = {0};
    struct sp_call call = bench_call_as(b, t);
    struct sp_password_request in = {sp_slice_cstr(current), sp_slice_cstr(wanted)};
    sp_app_password_change(b->app, &call, &in, bench_plain_done, &p);
    assert_int_equal(p.answers, 0);
    bench_run(b);
    assert_int_equal(p.answers, 1);
    return p;
}

static void password_change_ends_the_other_sessions_only(void **state) {
    BENCH;
    struct tokens mine = bench_login(b), other = bench_login(b);
    struct plain p = change_password(b, &mine, "correct horse", "battery staple");
    assert_int_equal(p.outcome, SP_OUTCOME_OK);
    assert_int_equal(p.count, 1);
    assert_int_equal(bench_check(b, &mine), SP_REJECT_NONE);
    assert_int_equal(bench_refresh(b, &mine).outcome, SP_OUTCOME_OK);
    assert_int_equal(bench_check(b, &other), SP_REJECT_REVOKED);
    assert_int_equal(bench_login_as(b, "ada", "correct horse", SP_MODE_TOKEN).outcome,
                     SP_OUTCOME_INVALID_CREDENTIALS);
    assert_int_equal(bench_login_as(b, "ada", "battery staple", SP_MODE_TOKEN).outcome, SP_OUTCOME_OK);
}

static void password_change_with_a_wrong_current_one_is_refused_and_recorded(void **state) {
    BENCH;
    struct tokens t = bench_login(b);
    assert_int_equal(change_password(b, &t, "wrong horse", "battery staple").outcome,
                     SP_OUTCOME_INVALID_CREDENTIALS);
    assert_int_equal(bench_records(b, "password_change_failed"), 1);
}

static void password_change_to_a_poor_one_is_rejected(void **state) {
    BENCH;
    struct tokens t = bench_login(b);
    assert_int_equal(change_password(b, &t, "correct horse", "seven77").outcome,
                     SP_OUTCOME_PASSWORD_REJECTED);
    assert_int_equal(change_password(b, &t, "correct horse", "eight888").outcome, SP_OUTCOME_OK);
    bench_user_new(b, "eight-letters", "plain:first one");
    struct tokens e = bench_login_as(b, "eight-letters", "first one", SP_MODE_TOKEN);
    assert_int_equal(change_password(b, &e, "first one", "EIGHT-letters").outcome,
                     SP_OUTCOME_PASSWORD_REJECTED);
    assert_int_equal(change_password(b, &e, "first one", "\xff\xfe\xfd\xfc\xfb\xfa\xf9\xf8").outcome,
                     SP_OUTCOME_PASSWORD_REJECTED);
}

/* ---- sessions ---- */

struct list {
    uint32_t answers;
    enum sp_outcome outcome;
    size_t n, live, current;
    enum sp_end_cause last_over;
};

static void list_done(void *arg, const struct sp_sessions_result *r) {
    struct list *l = arg;
    static const uint8_t none[SP_ROW_SECRET_BYTES] = {0};
    l->answers++;
    l->outcome = r->outcome;
    l->n = r->n;
    for (size_t i = 0; i < r->n; i++) {
        l->live += r->views[i].over == SP_END_NONE;
        l->current += r->views[i].current;
        l->last_over = r->views[i].over;
        assert_memory_equal(r->views[i].row->secret, none, sizeof(none));
    }
}

static void own_sessions_show_the_live_and_why_others_ended(void **state) {
    BENCH;
    struct tokens mine = bench_login(b), gone = bench_login(b);
    bench_user_new(b, "bob", "plain:his password");
    bench_login_as(b, "bob", "his password", SP_MODE_TOKEN);
    bench_logout_refresh(b, &gone);
    for (int i = 0; i < 60; i++) bench_login(b); /* more than one page */
    struct list l = {0};
    struct sp_call call = bench_call_as(b, &mine);
    sp_app_sessions_own(b->app, &call, list_done, &l);
    bench_run(b);
    assert_int_equal(l.outcome, SP_OUTCOME_OK);
    assert_int_equal(l.n, 62);
    assert_int_equal(l.live, 61);
    assert_int_equal(l.current, 1);
    assert_int_equal(l.last_over, SP_END_LOGOUT);
}

static struct plain end_own(struct bench *b, const struct tokens *by, const uint8_t *sid) {
    struct plain p = {0};
    struct sp_call call = bench_call_as(b, by);
    sp_sid s;
    char text[SP_SID_CHARS];
    memcpy(s.b, sid, sizeof(s.b));
    sp_sid_text(s, text);
    sp_app_session_end_own(b->app, &call, SP_SLICE_ARRAY(text), bench_plain_done, &p);
    bench_run(b);
    return p;
}

static void own_session_can_be_ended_but_not_another_users(void **state) {
    BENCH;
    struct tokens mine = bench_login(b), other = bench_login(b);
    bench_user_new(b, "bob", "plain:his password");
    struct tokens bobs = bench_login_as(b, "bob", "his password", SP_MODE_TOKEN);
    assert_int_equal(end_own(b, &mine, bobs.sid).outcome, SP_OUTCOME_NOT_FOUND);
    assert_int_equal(bench_check(b, &bobs), SP_REJECT_NONE);
    assert_int_equal(end_own(b, &mine, other.sid).outcome, SP_OUTCOME_OK);
    assert_int_equal(bench_session(b, other.sid).cause, SP_END_USER_ENDED);
    assert_int_equal(bench_check(b, &other), SP_REJECT_REVOKED);
    assert_int_equal(end_own(b, &mine, other.sid).outcome, SP_OUTCOME_NOT_FOUND);
}

/* ---- what needs no store ---- */

static void permissions_follow_the_live_role_table(void **state) {
    BENCH;
    struct tokens t = bench_login(b);
    struct sp_call call = bench_call_as(b, &t);
    assert_true(sp_app_permits(b->app, call.principal, SP_SLICE_LIT("documents:write")));
    assert_false(sp_app_permits(b->app, call.principal, SP_SLICE_LIT("sallyport:admin")));
    struct sp_change c = {.kind = SP_CHANGE_ROLE_DELETE,
                          .role_delete = {.tenant = SP_TENANT_DEFAULT, .name = SP_SLICE_LIT("writer")}};
    assert_int_equal(sp_store_commit_wait(b->store, &c, 1, NULL).code, SP_OK);
    assert_false(sp_app_permits(b->app, call.principal, SP_SLICE_LIT("documents:write")));
    struct sp_principal admin = {.is_local_admin = true};
    assert_true(sp_app_permits(b->app, &admin, SP_SLICE_LIT("sallyport:admin")));
}

static void csrf_tokens_belong_to_their_session(void **state) {
    BENCH;
    struct tokens x = bench_login(b), y = bench_login(b);
    char token[SP_CSRF_TEXT_BYTES];
    sp_app_csrf_token(b->app, x.sid, token);
    assert_true(sp_app_csrf_valid(b->app, x.sid, SP_SLICE_ARRAY(token)));
    assert_false(sp_app_csrf_valid(b->app, y.sid, SP_SLICE_ARRAY(token)));
    assert_false(sp_app_csrf_valid(b->app, x.sid, sp_slice_of(token, sizeof(token) - 1)));
    assert_false(sp_app_csrf_valid(b->app, x.sid, SP_SLICE_EMPTY));
}

static void denials_of_a_minute_are_one_record(void **state) {
    BENCH;
    struct tokens t = bench_login(b);
    struct sp_call call = bench_call_as(b, &t);
    for (int i = 0; i < 10; i++)
        sp_app_audit_denial(b->app, &call, SP_SLICE_LIT("sallyport:admin"), SP_SLICE_EMPTY);
    bench_run(b);
    assert_int_equal(bench_records(b, "permission_denied"), 1);
}

/* ---- a store in trouble ---- */

static void a_store_that_is_down_changes_nothing_and_says_so(void **state) {
    BENCH;
    struct tokens t = bench_login(b);
    sp_store_memory_fail(b->store, 1, 1, SP_MEMORY_FAULT_UNAVAILABLE);
    assert_int_equal(bench_login_as(b, "ada", "correct horse", SP_MODE_TOKEN).outcome,
                     SP_OUTCOME_STORE_UNAVAILABLE);
    sp_store_memory_fail(b->store, 1, 1, SP_MEMORY_FAULT_BUSY);
    assert_int_equal(bench_refresh(b, &t).outcome, SP_OUTCOME_STORE_UNAVAILABLE);
    sp_store_memory_fail(b->store, 1, 1, SP_MEMORY_FAULT_UNAVAILABLE);
    assert_int_equal(bench_logout_refresh(b, &t).outcome, SP_OUTCOME_STORE_UNAVAILABLE);
    assert_int_equal(bench_check(b, &t), SP_REJECT_NONE);
    sp_store_memory_fail_reads(b->store, true);
    assert_int_equal(bench_login_as(b, "ada", "correct horse", SP_MODE_TOKEN).outcome,
                     SP_OUTCOME_STORE_UNAVAILABLE);
    assert_int_equal(bench_logout_refresh(b, &t).outcome, SP_OUTCOME_STORE_UNAVAILABLE);
    sp_store_memory_fail_reads(b->store, false);
    assert_int_equal(bench_refresh(b, &t).outcome, SP_OUTCOME_OK);
}

static void an_unknown_outcome_of_a_refresh_is_repaired_by_its_retry(void **state) {
    BENCH;
    static const enum sp_memory_fault faults[] = {SP_MEMORY_FAULT_UNKNOWN_APPLIED,
                                                  SP_MEMORY_FAULT_UNKNOWN_NOT_APPLIED};
    for (size_t i = 0; i < SP_ARRAY_LEN(faults); i++) {
        struct tokens t = bench_login(b);
        sp_store_memory_fail(b->store, 1, 1, faults[i]);
        assert_int_equal(bench_refresh(b, &t).outcome, SP_OUTCOME_OUTCOME_UNKNOWN);
        assert_int_equal(bench_refresh(b, &t).outcome, SP_OUTCOME_OK);
        assert_int_equal(bench_session(b, t.sid).generation, 1);
    }
}

static void a_trip_that_could_not_be_stored_is_not_forgotten(void **state) {
    BENCH;
    struct tokens t0 = bench_login(b);
    struct tokens t1 = bench_refresh(b, &t0);
    b->now_ms += GRACE_OVER_MS;
    sp_store_memory_fail(b->store, 2, 1,
                         SP_MEMORY_FAULT_UNAVAILABLE); /* the rotation conflicts, the trip fails */
    struct tokens r = bench_refresh(b, &t0);
    assert_int_equal(r.outcome, SP_OUTCOME_STORE_UNAVAILABLE);
    assert_false(r.reuse_detected);
    assert_int_equal(bench_check(b, &t1), SP_REJECT_NONE);
    assert_true(bench_refresh(b, &t0).reuse_detected);
    assert_int_equal(bench_check(b, &t1), SP_REJECT_REVOKED);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(login_gives_a_token_that_passes_and_is_recorded),
        TEST(login_by_unknown_name_and_by_wrong_password_cost_and_answer_the_same),
        TEST(login_of_a_disabled_user_is_invalid_credentials_after_one_hash),
        TEST(login_of_a_user_without_password_never_matches),
        TEST(login_names_are_found_in_any_case),
        TEST(failed_logins_of_a_minute_are_one_record),
        TEST(login_with_a_full_hash_queue_is_overloaded),
        TEST(login_hashes_an_old_password_anew),
        TEST(login_whose_password_changed_while_it_was_hashed_is_checked_again),
        TEST(login_beyond_the_limit_of_sessions_ends_the_oldest),
        TEST(login_with_a_device_that_is_no_text_is_an_invalid_request),
        TEST(refresh_rotates_and_both_access_tokens_pass),
        TEST(refresh_within_grace_gives_the_same_successor_again),
        TEST(refresh_reused_after_grace_trips_the_session_once),
        TEST(refresh_reused_with_the_policy_user_ends_every_session),
        TEST(refresh_reused_with_the_policy_report_ends_nothing),
        TEST(refresh_with_its_attempt_survives_a_lost_answer_however_late),
        TEST(refresh_with_another_attempt_after_grace_trips),
        TEST(refresh_with_an_attempt_of_another_length_is_an_invalid_request),
        TEST(refresh_two_generations_back_but_recent_is_superseded),
        TEST(refresh_by_two_presenters_at_once_gives_both_the_same_token),
        TEST(refresh_reused_by_two_thieves_at_once_is_one_trip),
        TEST(refresh_of_junk_changes_nothing_and_costs_no_store),
        TEST(refresh_with_a_guessed_secret_cannot_trip),
        TEST(refresh_in_the_other_mode_refuses_and_records_but_does_not_trip),
        TEST(refresh_extends_idle_but_never_absolute_expiry),
        TEST(refresh_at_the_idle_end_is_too_late),
        TEST(refresh_of_a_disabled_user_is_refused),
        TEST(refreshes_are_only_counted_unless_records_are_asked_for),
        TEST(each_refresh_is_one_record_when_asked_for),
        TEST(a_recorded_refresh_that_is_refused_is_no_refresh),
        TEST(a_recorded_refresh_of_a_disabled_user_is_refused),
        TEST(a_healed_refresh_is_recorded_as_one),
        TEST(a_checkpoint_is_logged_at_the_start_and_once_a_day),
        TEST(a_checkpoint_is_logged_when_many_records_came),
        TEST(refresh_by_tabs_within_grace_does_not_rotate),
        TEST(cookie_access_token_that_is_too_large_drops_permissions),
        TEST(windows_open_at_the_stop_reopen_at_the_start),
        TEST(windows_that_were_reopened_reopen_again_after_another_stop),
        TEST(tabs_after_a_restart_rotate_although_windows_reopened),
        TEST(windows_closed_long_before_the_stop_stay_closed),
        TEST(a_start_enforces_what_was_revoked_before),
        TEST(a_store_put_back_heals_and_records),
        TEST(a_store_put_back_behind_our_back_is_told_by_the_count_of_starts),
        TEST(a_generation_that_never_was_trips),
        TEST(a_new_signing_key_is_announced_first_and_old_tokens_keep_passing),
        TEST(an_idle_server_writes_no_heartbeat),
        TEST(the_heartbeat_beats_while_a_window_can_be_open),
        TEST(logout_ends_and_is_idempotent),
        TEST(logout_takes_an_old_generation_and_never_trips),
        TEST(logout_with_a_guessed_secret_is_refused),
        TEST(logout_takes_an_expired_access_token_but_no_forged_one),
        TEST(logout_needs_exactly_one_token),
        TEST(logout_all_ends_all_and_a_login_in_the_same_second_passes),
        TEST(password_change_ends_the_other_sessions_only),
        TEST(password_change_with_a_wrong_current_one_is_refused_and_recorded),
        TEST(password_change_to_a_poor_one_is_rejected),
        TEST(own_sessions_show_the_live_and_why_others_ended),
        TEST(own_session_can_be_ended_but_not_another_users),
        TEST(permissions_follow_the_live_role_table),
        TEST(csrf_tokens_belong_to_their_session),
        TEST(denials_of_a_minute_are_one_record),
        TEST(a_store_that_is_down_changes_nothing_and_says_so),
        TEST(an_unknown_outcome_of_a_refresh_is_repaired_by_its_retry),
        TEST(a_trip_that_could_not_be_stored_is_not_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
