/* Passwords on a whole app: logins and changes of password, each with its near miss and its attack. */
#include "app_bench.h"

enum { SECOND = 1000 };

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

int main(void) {
    const struct CMUnitTest tests[] = {
        BENCH_TEST(login_gives_a_token_that_passes_and_is_recorded),
        BENCH_TEST(login_by_unknown_name_and_by_wrong_password_cost_and_answer_the_same),
        BENCH_TEST(login_of_a_disabled_user_is_invalid_credentials_after_one_hash),
        BENCH_TEST(login_of_a_user_without_password_never_matches),
        BENCH_TEST(login_names_are_found_in_any_case),
        BENCH_TEST(failed_logins_of_a_minute_are_one_record),
        BENCH_TEST(login_with_a_full_hash_queue_is_overloaded),
        BENCH_TEST(login_hashes_an_old_password_anew),
        BENCH_TEST(login_whose_password_changed_while_it_was_hashed_is_checked_again),
        BENCH_TEST(login_beyond_the_limit_of_sessions_ends_the_oldest),
        BENCH_TEST(login_with_a_device_that_is_no_text_is_an_invalid_request),
        BENCH_TEST(password_change_ends_the_other_sessions_only),
        BENCH_TEST(password_change_with_a_wrong_current_one_is_refused_and_recorded),
        BENCH_TEST(password_change_to_a_poor_one_is_rejected),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
