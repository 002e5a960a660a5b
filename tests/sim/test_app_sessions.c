/* The end of a session on a whole app, the list of them, and what follows from whose it is. */
#include "app_bench.h"

enum { SECOND = 1000, GRACE_OVER_MS = SP_GRACE_DEFAULT_MS + 1 };

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

int main(void) {
    const struct CMUnitTest tests[] = {
        BENCH_TEST(logout_ends_and_is_idempotent),
        BENCH_TEST(logout_takes_an_old_generation_and_never_trips),
        BENCH_TEST(logout_with_a_guessed_secret_is_refused),
        BENCH_TEST(logout_takes_an_expired_access_token_but_no_forged_one),
        BENCH_TEST(logout_needs_exactly_one_token),
        BENCH_TEST(logout_all_ends_all_and_a_login_in_the_same_second_passes),
        BENCH_TEST(own_sessions_show_the_live_and_why_others_ended),
        BENCH_TEST(own_session_can_be_ended_but_not_another_users),
        BENCH_TEST(permissions_follow_the_live_role_table),
        BENCH_TEST(csrf_tokens_belong_to_their_session),
        BENCH_TEST(denials_of_a_minute_are_one_record),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
