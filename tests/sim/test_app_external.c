/* Sessions for an application that checks its people itself, on a whole app. */
#include "app_bench.h"

#include "core/directory.h"

static struct tokens add(struct bench *b, const struct sp_session_add_request *in) {
    struct tokens t = {0};
    struct sp_call call = bench_call_admin(b);
    sp_app_session_add(b->app, &call, in, bench_tokens_done, &t);
    assert_int_equal(t.answers, 0);
    bench_run(b);
    assert_int_equal(t.answers, 1);
    return t;
}

static struct sp_session_add_request of(const char *subject) {
    return (struct sp_session_add_request){.subject = sp_slice_cstr(subject)};
}

static struct tokens added(struct bench *b, const char *subject, const char *roles) {
    struct sp_session_add_request in = of(subject);
    in.has_roles = roles != NULL;
    if (roles != NULL) in.roles = sp_slice_cstr(roles);
    struct tokens t = add(b, &in);
    assert_int_equal(t.outcome, SP_OUTCOME_OK);
    return t;
}

static struct plain edit(struct bench *b, const char *who, enum sp_user_edit what, const char *value) {
    struct plain p = {0};
    struct sp_call call = bench_call_admin(b);
    sp_app_user_edit(b->app, &call, sp_slice_cstr(who), what, sp_slice_cstr(value), bench_plain_done, &p);
    bench_run(b);
    assert_int_equal(p.answers, 1);
    return p;
}

static void a_subject_gets_a_session_that_works_like_any_other(void **state) {
    struct bench *b = *state;
    struct sp_session_add_request in = of("shop/User 7");
    in.scope = SP_SLICE_LIT("cart orders");
    in.amr = SP_SLICE_LIT("pwd otp");
    in.device = SP_SLICE_LIT("till");
    in.auth_time_s = b->now_ms / 1000 - 30;
    struct tokens t = add(b, &in);
    assert_int_equal(t.outcome, SP_OUTCOME_OK);
    assert_int_equal(bench_check(b, &t), SP_REJECT_NONE);
    struct sp_session_row row = bench_session(b, t.sid);
    assert_int_equal(row.auth_time_s, b->now_ms / 1000 - 30);
    assert_true(sp_slice_eq_cstr(SP_TEXT_SLICE(&row.scope), "cart orders"));
    assert_true(sp_slice_eq_cstr(SP_TEXT_SLICE(&row.amr), "pwd otp"));
    assert_int_equal(row.mode, SP_MODE_TOKEN);

    struct tokens next = bench_refresh(b, &t);
    assert_int_equal(next.outcome, SP_OUTCOME_OK);
    b->now_ms += b->config.grace_ms + 1;
    next = bench_refresh(b, &next);
    assert_int_equal(next.outcome, SP_OUTCOME_OK);
    b->now_ms += b->config.grace_ms + 1;
    assert_true(bench_refresh(b, &t).reuse_detected);
    assert_int_equal(bench_records(b, "session_created"), 1);
    assert_int_equal(bench_records(b, "user_added"), 1);
}

static void one_subject_is_one_user_and_other_cases_are_other_subjects(void **state) {
    struct bench *b = *state;
    struct tokens one = added(b, "anna", NULL), two = added(b, "anna", NULL), other = added(b, "Anna", NULL);
    struct sp_session_row a = bench_session(b, one.sid), c = bench_session(b, two.sid),
                          d = bench_session(b, other.sid);
    assert_memory_equal(a.user_id, c.user_id, sizeof(a.user_id));
    assert_memory_not_equal(a.user_id, d.user_id, sizeof(a.user_id));
    assert_int_equal(bench_records(b, "user_added"), 2);
}

static void two_first_sessions_at_once_meet_in_one_user(void **state) {
    struct bench *b = *state;
    struct tokens t[2] = {{0}};
    struct sp_call call = bench_call_admin(b);
    struct sp_session_add_request in = of("twin");
    for (size_t i = 0; i < 2; i++) sp_app_session_add(b->app, &call, &in, bench_tokens_done, &t[i]);
    bench_run(b);
    for (size_t i = 0; i < 2; i++) assert_int_equal(t[i].outcome, SP_OUTCOME_OK);
    assert_memory_equal(bench_session(b, t[0].sid).user_id, bench_session(b, t[1].sid).user_id,
                        SP_ROW_ID_BYTES);
    assert_int_equal(bench_records(b, "user_added"), 1);
}

static void the_namespaces_cannot_meet(void **state) {
    struct bench *b = *state;
    static const char *const names[] = {"ext:ada", "EXT:ada", "\xEF\xBD\x85xt:ada" /* full-width e */,
                                        "ext:"};
    added(b, "ada", NULL);
    for (size_t i = 0; i < SP_ARRAY_LEN(names); i++) {
        sp_text256 name;
        assert_true(sp_is(sp_name_normalize(sp_slice_cstr(names[i]), &name), SP_E_MALFORMED));
        assert_int_equal(bench_login_as(b, names[i], "correct horse", SP_MODE_TOKEN).outcome,
                         SP_OUTCOME_INVALID_CREDENTIALS);
    }
    assert_int_equal(bench_login(b).outcome, SP_OUTCOME_OK); /* the directory's own ada */
    assert_int_equal(edit(b, "ext:ada", SP_USER_SET_PASSWORD, "long enough pass").outcome,
                     SP_OUTCOME_PASSWORD_REJECTED);
}

static void named_roles_replace_and_taking_one_away_raises_the_epoch(void **state) {
    struct bench *b = *state;
    struct tokens first = added(b, "anna", "writer");
    assert_int_equal(bench_check(b, &first), SP_REJECT_NONE);
    struct tokens same = added(b, "anna", NULL);
    struct sp_user_row user = bench_user(b, "ext:anna");
    assert_true(sp_slice_eq_cstr(SP_TEXT_SLICE(&user.roles), "writer"));
    struct tokens none = added(b, "anna", "");
    assert_int_equal(bench_user(b, "ext:anna").roles.n, 0);
    assert_int_not_equal(bench_check(b, &first), SP_REJECT_NONE);
    assert_int_not_equal(bench_check(b, &same), SP_REJECT_NONE);
    assert_int_equal(bench_check(b, &none), SP_REJECT_NONE);
    assert_int_equal(bench_records(b, "user_roles_changed"), 1);
    struct sp_session_add_request in = of("anna");
    in.has_roles = true;
    in.roles = SP_SLICE_LIT("nobody-made-this");
    assert_int_equal(add(b, &in).outcome, SP_OUTCOME_UNKNOWN_ROLE);
}

static void administration_reaches_a_subject_by_its_name(void **state) {
    struct bench *b = *state;
    struct tokens t = added(b, "Anna B", NULL);
    struct plain p = edit(b, "ext:Anna B", SP_USER_DISABLE, "");
    assert_int_equal(p.outcome, SP_OUTCOME_OK);
    assert_int_equal(p.count, 1);
    assert_int_not_equal(bench_check(b, &t), SP_REJECT_NONE);
    struct sp_session_add_request in = of("Anna B");
    assert_int_equal(add(b, &in).outcome, SP_OUTCOME_USER_DISABLED);
    assert_int_equal(edit(b, "ext:Anna B", SP_USER_ENABLE, "").outcome, SP_OUTCOME_OK);
    t = added(b, "Anna B", NULL);
    struct sp_call call = bench_call_admin(b);
    p = (struct plain){0};
    sp_app_revoke(b->app, &call, SP_TARGET_USER, SP_SLICE_LIT("ext:Anna B"), bench_plain_done, &p);
    bench_run(b);
    assert_int_equal(p.count, 1);
    assert_int_not_equal(bench_check(b, &t), SP_REJECT_NONE);
    t = added(b, "Anna B", NULL);
    call = bench_call_as(b, &t);
    p = (struct plain){0};
    sp_app_logout_all(b->app, &call, bench_plain_done, &p);
    bench_run(b);
    assert_int_equal(p.count, 1);
    assert_int_equal(edit(b, "ext:anna b", SP_USER_DISABLE, "").outcome, SP_OUTCOME_NOT_FOUND);
}

/* The old tokens stay dead and the new ones live, though both were of the same subject. */
static void a_deleted_subject_comes_back_as_somebody_new(void **state) {
    struct bench *b = *state;
    struct tokens before = added(b, "anna", NULL);
    assert_int_equal(edit(b, "ext:anna", SP_USER_DELETE, "").outcome, SP_OUTCOME_OK);
    struct tokens after = added(b, "anna", NULL);
    assert_int_not_equal(bench_check(b, &before), SP_REJECT_NONE);
    assert_int_equal(bench_check(b, &after), SP_REJECT_NONE);
}

static void what_is_not_of_the_form_is_refused(void **state) {
    struct bench *b = *state;
    static char longest[130];
    memset(longest, 'x', 129);
    struct sp_session_add_request bad[] = {of(""),  of("a\x01"), of("\xFF"), of(longest),
                                           of("a"), of("a"),     of("a"),    of("a")};
    bad[4].scope = SP_SLICE_LIT("two  spaces");
    bad[5].amr = SP_SLICE_LIT("caf\xC3\xA9");
    bad[6].auth_time_s = b->now_ms / 1000 + 1;
    bad[7].auth_time_s = -1;
    for (size_t i = 0; i < SP_ARRAY_LEN(bad); i++)
        assert_int_equal(add(b, &bad[i]).outcome, SP_OUTCOME_INVALID_REQUEST);
    longest[128] = 0;
    assert_int_equal(added(b, longest, NULL).outcome, SP_OUTCOME_OK);
    assert_int_equal(bench_records(b, "session_created"), 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        BENCH_TEST(a_subject_gets_a_session_that_works_like_any_other),
        BENCH_TEST(one_subject_is_one_user_and_other_cases_are_other_subjects),
        BENCH_TEST(two_first_sessions_at_once_meet_in_one_user),
        BENCH_TEST(the_namespaces_cannot_meet),
        BENCH_TEST(named_roles_replace_and_taking_one_away_raises_the_epoch),
        BENCH_TEST(administration_reaches_a_subject_by_its_name),
        BENCH_TEST(a_deleted_subject_comes_back_as_somebody_new),
        BENCH_TEST(what_is_not_of_the_form_is_refused),
#undef T
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
