/* What happens between two steps of a browser's use case. Each of them is stopped at every point at which it
 * waits, and there the ground goes away under it: the sign-in ends, the person is disabled, the client is
 * deleted, the store fails. Whatever it answers then, nobody gets tokens by it, and it answers once. */
#include "oauth_bench.h"

#define S(text) sp_slice_cstr(text)

enum { STEPS_MAX = 20 }; /* no use case waits so often */

struct scene {
    struct bench *b;
    char cookie[SP_OAUTH_SEALED_BYTES_MAX + 1];
    uint8_t sid[SP_ROW_SID_BYTES];
    struct page page; /* that is answered */
    struct page got;
};

/* ---- the use cases: what leads up to each, and itself without waiting for it ---- */

static void prepare_trusted(struct scene *s) {
    (void)s;
}
static void submit_trusted(struct scene *s) {
    const struct sp_authz_params params = oauth_params("own");
    const struct sp_call call = bench_call(s->b);
    sp_oauth_authorize(s->b->app, &call, &params, S(s->cookie), oauth_page_done, &s->got);
}
static void prepare_remembered(struct scene *s) {
    const struct sp_authz_params params = oauth_params("app");
    oauth_code(s->b, &params, s->cookie);
}
static void submit_remembered(struct scene *s) {
    const struct sp_authz_params params = oauth_params("app");
    const struct sp_call call = bench_call(s->b);
    sp_oauth_authorize(s->b->app, &call, &params, S(s->cookie), oauth_page_done, &s->got);
}
static void prepare_consent(struct scene *s) {
    struct sp_authz_params params = oauth_params("app");
    params.prompt = S("consent");
    s->page = oauth_ask(s->b, &params, s->cookie);
    assert_next(&s->page, CONSENT);
}
static void submit_consent(struct scene *s) {
    const struct sp_call call = bench_call(s->b);
    const struct sp_authz_consent in = {
        .request = S(s->page.request), .csrf = S(s->page.csrf), .cookie = S(s->cookie), .allowed = true};
    sp_oauth_consent(s->b->app, &call, &in, oauth_page_done, &s->got);
}
static void prepare_login(struct scene *s) {
    const struct sp_authz_params params = oauth_params("app");
    s->page = oauth_ask(s->b, &params, NULL);
}
static void login_as(struct scene *s, const char *name, const char *password) {
    const struct sp_call call = bench_call(s->b);
    const struct sp_authz_login in = {
        .request = S(s->page.request), .username = S(name), .password = S(password), .cookie = S(s->cookie)};
    sp_oauth_login(s->b->app, &call, &in, oauth_page_done, &s->got);
}
static void submit_login(struct scene *s) {
    login_as(s, "bob", "battery staple");
}
static void submit_login_again(struct scene *s) {
    login_as(s, "ada", "correct horse");
}
static void submit_question(struct scene *s) {
    const struct sp_call call = bench_call(s->b);
    const struct sp_authz_logout in = {.cookie = S(s->cookie)};
    sp_oauth_logout(s->b->app, &call, &in, oauth_page_done, &s->got);
}
static void prepare_answer(struct scene *s) {
    submit_question(s);
    bench_run(s->b);
    s->page = s->got;
    memset(&s->got, 0, sizeof(s->got));
    assert_next(&s->page, LOGOUT);
}
static void submit_answer(struct scene *s) {
    const struct sp_call call = bench_call(s->b);
    const struct sp_authz_logout in = {
        .confirmed = true, .request = S(s->page.request), .csrf = S(s->page.csrf), .cookie = S(s->cookie)};
    sp_oauth_logout(s->b->app, &call, &in, oauth_page_done, &s->got);
}

struct use_case {
    const char *name, *client;
    void (*prepare)(struct scene *s);
    void (*submit)(struct scene *s);
    enum sp_authz_next good;
};
static const struct use_case cases[] = {
    {"authorize, trusted", "own", prepare_trusted, submit_trusted, SP_AUTHZ_REDIRECT},
    {"authorize, remembered", "app", prepare_remembered, submit_remembered, SP_AUTHZ_REDIRECT},
    {"consent", "app", prepare_consent, submit_consent, SP_AUTHZ_REDIRECT},
    {"login", "app", prepare_login, submit_login, SP_AUTHZ_REDIRECT},
    {"login, again", "app", prepare_login, submit_login_again, SP_AUTHZ_REDIRECT},
    {"logout, a question", "app", prepare_trusted, submit_question, SP_AUTHZ_LOGOUT},
    {"logout, the answer", "app", prepare_answer, submit_answer, SP_AUTHZ_GOODBYE},
};

static struct scene *begin(struct bench *b, const struct use_case *c) {
    static struct scene s;
    memset(&s, 0, sizeof(s));
    s.b = b;
    const struct page in = oauth_sign_in(b, "ada");
    memcpy(s.cookie, in.cookie, sizeof(s.cookie));
    memcpy(s.sid, oauth_open_cookie(b, s.cookie).sid, sizeof(s.sid));
    c->prepare(&s);
    return &s;
}

/* ---- the ground goes away ---- */

static bool has_code(const struct page *p) {
    char code[SP_LOCATION_BYTES_MAX];
    return p->next == SP_AUTHZ_REDIRECT && oauth_param(p, "code", code, sizeof(code));
}

static void disable_now(struct bench *b, const char *name) {
    struct sp_user_row row = bench_user(b, name);
    row.disabled = true;
    bench_user_put(b, &row);
}
static void enable_now(struct bench *b, const char *name) {
    struct sp_user_row row = bench_user(b, name);
    row.disabled = false;
    bench_user_put(b, &row);
}

/* Runs each use case as far as `at`, lets `change` happen, and the rest. */
static void each_point(struct bench *b, void (*change)(struct scene *s, const struct use_case *c),
                       void (*check)(struct scene *s, const struct use_case *c),
                       void (*undo)(struct bench *b, const struct use_case *c)) {
    for (size_t i = 0; i < SP_ARRAY_LEN(cases); i++) {
        for (uint32_t at = 0; at < STEPS_MAX; at++) {
            struct scene *s = begin(b, &cases[i]);
            cases[i].submit(s);
            oauth_run_some(b, at);
            const bool was_over = s->got.answers != 0;
            change(s, &cases[i]);
            bench_run(b);
            assert_int_equal(s->got.answers, 1);
            check(s, &cases[i]);
            undo(b, &cases[i]);
            if (was_over) break;
            assert_true(at + 1 < STEPS_MAX);
        }
    }
}

static void end_sign_in(struct scene *s, const struct use_case *c) {
    (void)c;
    if (bench_session(s->b, s->sid).state == SP_SESSION_ACTIVE) oauth_session_end(s->b, s->sid);
}
static void gives_no_tokens(struct scene *s, const struct use_case *c) {
    if (has_code(&s->got)) assert_int_not_equal(oauth_redeem(s->b, c->client, &s->got).error, SP_OAUTH_NONE);
}
static void nothing(struct bench *b, const struct use_case *c) {
    (void)b, (void)c;
}

static void a_sign_in_that_ends_in_between_gives_no_tokens(void **state) {
    each_point(*state, end_sign_in, gives_no_tokens, nothing);
}

static void disable_ada(struct scene *s, const struct use_case *c) {
    (void)c;
    disable_now(s->b, "ada");
}
static void enable_ada(struct bench *b, const struct use_case *c) {
    (void)c;
    enable_now(b, "ada");
}
static void a_person_who_is_disabled_in_between_gives_no_tokens(void **state) {
    each_point(*state, disable_ada, gives_no_tokens, enable_ada);
}

static void disable_bob(struct scene *s, const struct use_case *c) {
    (void)c;
    disable_now(s->b, "bob");
}
/* bob may have got a cookie just before; it is worth nothing. */
static void lets_nobody_in(struct scene *s, const struct use_case *c) {
    if (!s->got.sets_cookie || c->submit == submit_login_again) return;
    assert_int_equal(oauth_follow(s->b, &s->got, s->got.cookie).next, SP_AUTHZ_LOGIN);
}
static void enable_bob(struct bench *b, const struct use_case *c) {
    (void)c;
    enable_now(b, "bob");
}
static void whoever_is_disabled_while_logging_in_is_not_in(void **state) {
    each_point(*state, disable_bob, lets_nobody_in, enable_bob);
}

static void delete_client(struct scene *s, const struct use_case *c) {
    oauth_client_delete(s->b, c->client);
}
static void make_client(struct bench *b, const struct use_case *c) {
    b->now_ms += 1000;
    struct sp_client_row row = oauth_client_row(b, c->client);
    row.trusted = strcmp(c->client, "own") == 0;
    oauth_client_put(b, &row);
}
static void a_client_that_is_deleted_in_between_gets_no_tokens(void **state) {
    each_point(*state, delete_client, gives_no_tokens, make_client);
}

/* ---- the store fails ---- */

static bool is_told(const struct page *p) {
    char error[64];
    if (p->sets_cookie || has_code(p)) return false;
    if (p->next == SP_AUTHZ_ERROR) return p->error == SP_OAUTH_TEMPORARILY_UNAVAILABLE;
    if (p->next == SP_AUTHZ_LOGIN)
        return p->failed == SP_OUTCOME_STORE_UNAVAILABLE || p->failed == SP_OUTCOME_OUTCOME_UNKNOWN;
    return p->next == SP_AUTHZ_REDIRECT && oauth_param(p, "error", error, sizeof(error)) &&
           strcmp(error, "temporarily_unavailable") == 0;
}

/* What is done on the side (being used, the end of another's sign-in before) may fail and be none the worse.
 */
static bool is_good(const struct page *p, const struct use_case *c) {
    char error[64];
    return p->next == c->good && !oauth_param(p, "error", error, sizeof(error));
}

static void fail_each(struct bench *b, enum sp_code with) {
    for (size_t i = 0; i < SP_ARRAY_LEN(cases); i++) {
        bool met = true;
        for (uint32_t nth = 1; met; nth++) {
            struct scene *s = begin(b, &cases[i]);
            oauth_store_fail(b, nth, with);
            cases[i].submit(s);
            bench_run(b);
            met = oauth_store_failed(b);
            assert_int_equal(s->got.answers, 1);
            if (!is_told(&s->got) && !is_good(&s->got, &cases[i]))
                fail_msg("%s, request %u: %d %s", cases[i].name, nth, (int)s->got.next, s->got.location);
            if (!met) assert_true(is_good(&s->got, &cases[i]));
            assert_true(nth < STEPS_MAX);
        }
    }
}

static void a_store_that_is_down_is_told_where_somebody_waits(void **state) {
    fail_each(*state, SP_E_UNAVAILABLE);
}
static void a_commit_of_which_nobody_knows_gives_nothing_away(void **state) {
    fail_each(*state, SP_E_UNKNOWN);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, oauth_setup_faulty, oauth_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_sign_in_that_ends_in_between_gives_no_tokens),
        TEST(a_person_who_is_disabled_in_between_gives_no_tokens),
        TEST(whoever_is_disabled_while_logging_in_is_not_in),
        TEST(a_client_that_is_deleted_in_between_gets_no_tokens),
        TEST(a_store_that_is_down_is_told_where_somebody_waits),
        TEST(a_commit_of_which_nobody_knows_gives_nothing_away),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
