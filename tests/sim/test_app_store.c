/* What outlives a request on a whole app: checkpoints, restarts, stores that went back or are in trouble. */
#include "app_bench.h"

enum { SECOND = 1000, GRACE_OVER_MS = SP_GRACE_DEFAULT_MS + 1 };

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
    bench_assert_same_refresh(&t1, &retry);
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
    bench_assert_same_refresh(&t1, &retry);
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

int main(void) {
    const struct CMUnitTest tests[] = {
        BENCH_TEST(a_checkpoint_is_logged_at_the_start_and_once_a_day),
        BENCH_TEST(a_checkpoint_is_logged_when_many_records_came),
        BENCH_TEST(windows_open_at_the_stop_reopen_at_the_start),
        BENCH_TEST(windows_that_were_reopened_reopen_again_after_another_stop),
        BENCH_TEST(tabs_after_a_restart_rotate_although_windows_reopened),
        BENCH_TEST(windows_closed_long_before_the_stop_stay_closed),
        BENCH_TEST(a_start_enforces_what_was_revoked_before),
        BENCH_TEST(a_store_put_back_heals_and_records),
        BENCH_TEST(a_store_put_back_behind_our_back_is_told_by_the_count_of_starts),
        BENCH_TEST(a_generation_that_never_was_trips),
        BENCH_TEST(a_new_signing_key_is_announced_first_and_old_tokens_keep_passing),
        BENCH_TEST(an_idle_server_writes_no_heartbeat),
        BENCH_TEST(the_heartbeat_beats_while_a_window_can_be_open),
        BENCH_TEST(a_store_that_is_down_changes_nothing_and_says_so),
        BENCH_TEST(an_unknown_outcome_of_a_refresh_is_repaired_by_its_retry),
        BENCH_TEST(a_trip_that_could_not_be_stored_is_not_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
