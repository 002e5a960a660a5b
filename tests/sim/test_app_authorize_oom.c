/* Every allocation of a browser's use case fails once, and then every one from there on: it is answered
 * exactly once, never with a code, a cookie or an end that it should not give, and the app works afterwards.
 * Leaks are the sanitizer's to find. */
#include "oauth_bench.h"

#include "failing_malloc.h"

#define S(text) sp_slice_cstr(text)

struct scene {
    struct bench *b;
    const char *cookie; /* of ada's sign-in, made once */
    struct page in, page;
    struct redeemed token;
    struct tokens me;
    struct page got;
    struct plain plain;
    uint32_t answers;
    enum sp_oauth_error error;
    enum sp_outcome outcome;
};

struct use_case {
    const char *name;
    void (*prepare)(struct scene *s);
    void (*submit)(struct scene *s);
    bool (*is_good)(const struct scene *s);
};

/* ---- how it may end ---- */

static bool has(const struct page *p, const char *name) {
    char text[SP_LOCATION_BYTES_MAX];
    return oauth_param(p, name, text, sizeof(text));
}
static bool is_ours(enum sp_oauth_error e) {
    return e == SP_OAUTH_SERVER_ERROR || e == SP_OAUTH_TEMPORARILY_UNAVAILABLE;
}
/* Our own trouble, said on a page, to the client, or on the login page. */
static bool page_is_trouble(const struct page *p) {
    char error[64];
    if (p->sets_cookie || has(p, "code")) return false;
    if (p->next == SP_AUTHZ_ERROR) return is_ours(p->error);
    if (p->next == SP_AUTHZ_LOGIN) return p->failed != SP_OUTCOME_OK;
    if (p->next != SP_AUTHZ_REDIRECT || !oauth_param(p, "error", error, sizeof(error))) return false;
    return strcmp(error, "server_error") == 0 || strcmp(error, "temporarily_unavailable") == 0;
}
static bool got_login(const struct scene *s) {
    return s->got.next == SP_AUTHZ_LOGIN && s->got.request[0] != 0;
}
static bool got_consent(const struct scene *s) {
    return s->got.next == SP_AUTHZ_CONSENT && s->got.csrf[0] != 0;
}
static bool got_question(const struct scene *s) {
    return s->got.next == SP_AUTHZ_LOGOUT && s->got.csrf[0] != 0;
}
static bool got_code(const struct scene *s) {
    return s->got.next == SP_AUTHZ_REDIRECT && has(&s->got, "code") && has(&s->got, "iss");
}
static bool got_in(const struct scene *s) {
    return s->got.next == SP_AUTHZ_REDIRECT && s->got.sets_cookie && has(&s->got, "request_uri");
}
static bool got_refused(const struct scene *s) {
    return s->got.next == SP_AUTHZ_LOGIN && s->got.failed == SP_OUTCOME_INVALID_CREDENTIALS;
}
static bool got_denied(const struct scene *s) {
    char error[64];
    return oauth_param(&s->got, "error", error, sizeof(error)) && strcmp(error, "access_denied") == 0;
}
static bool got_out(const struct scene *s) {
    return s->got.next == SP_AUTHZ_GOODBYE && s->got.expires_cookie;
}
static bool got_pushed(const struct scene *s) {
    return s->error == SP_OAUTH_NONE;
}
static bool got_ok(const struct scene *s) {
    return s->outcome == SP_OUTCOME_OK;
}

/* ---- the use cases ---- */

static void ask_with(struct scene *s, const char *client, const char *cookie) {
    const struct sp_authz_params params = oauth_params(client);
    const struct sp_call call = bench_call(s->b);
    sp_oauth_authorize(s->b->app, &call, &params, S(cookie), oauth_page_done, &s->got);
}
static void submit_ask(struct scene *s) {
    ask_with(s, "app", NULL);
}
static void submit_ask_signed_in(struct scene *s) {
    ask_with(s, "other", s->cookie);
}
static void submit_ask_trusted(struct scene *s) {
    s->b->now_ms += SP_SIGNIN_TOUCH_MS; /* so that the sign-in is kept from expiring as well */
    ask_with(s, "own", s->cookie);
}
static void prepare_page(struct scene *s) {
    const struct sp_authz_params params = oauth_params("app");
    s->page = oauth_ask(s->b, &params, NULL);
}
static void login_with(struct scene *s, const char *name, const char *password) {
    const struct sp_call call = bench_call(s->b);
    const struct sp_authz_login in = {.request = S(s->page.request),
                                      .username = S(name),
                                      .password = S(password),
                                      .cookie = S(s->in.cookie)};
    sp_oauth_login(s->b->app, &call, &in, oauth_page_done, &s->got);
}
static void prepare_second_login(struct scene *s) {
    s->in = oauth_sign_in(s->b, "ada"); /* which ends when bob comes */
    prepare_page(s);
}
static void submit_login(struct scene *s) {
    login_with(s, "bob", "battery staple");
}
static void submit_login_again(struct scene *s) {
    login_with(s, "ada", "correct horse");
}
static void submit_failed_login(struct scene *s) {
    s->b->now_ms += 61 * 1000; /* so that it is recorded anew */
    login_with(s, "bob", "wrong");
}
static void prepare_consent(struct scene *s) {
    struct sp_authz_params params = oauth_params("app");
    params.prompt = S("consent");
    s->page = oauth_ask(s->b, &params, s->cookie);
    assert_next(&s->page, CONSENT);
}
static void consent_with(struct scene *s, bool allowed) {
    const struct sp_call call = bench_call(s->b);
    const struct sp_authz_consent in = {
        .request = S(s->page.request), .csrf = S(s->page.csrf), .cookie = S(s->cookie), .allowed = allowed};
    sp_oauth_consent(s->b->app, &call, &in, oauth_page_done, &s->got);
}
static void submit_yes(struct scene *s) {
    consent_with(s, true);
}
static void submit_no(struct scene *s) {
    s->b->now_ms += 61 * 1000;
    consent_with(s, false);
}
static void prepare_hint(struct scene *s) {
    const struct sp_authz_params params = oauth_params("own");
    s->in = oauth_sign_in(s->b, "ada");
    const struct page got = oauth_code(s->b, &params, s->in.cookie);
    s->token = oauth_redeem(s->b, "own", &got);
    assert_int_equal(s->token.error, SP_OAUTH_NONE);
}
static void submit_logout(struct scene *s) {
    const struct sp_call call = bench_call(s->b);
    const struct sp_authz_logout in = {.id_token_hint = S(s->token.id_token), .cookie = S(s->in.cookie)};
    sp_oauth_logout(s->b->app, &call, &in, oauth_page_done, &s->got);
}
static void submit_logout_question(struct scene *s) {
    const struct sp_call call = bench_call(s->b);
    const struct sp_authz_logout in = {.cookie = S(s->cookie)};
    sp_oauth_logout(s->b->app, &call, &in, oauth_page_done, &s->got);
}
static void par_done(void *arg, const struct sp_oauth_par_result *r) {
    struct scene *s = arg;
    s->answers++;
    s->error = r->trouble.error;
    assert_int_equal(r->request_uri.n != 0, r->trouble.error == SP_OAUTH_NONE);
}
static void submit_push(struct scene *s) {
    const struct sp_call call = bench_call(s->b);
    const struct sp_oauth_par_request in = {.client = {.id = S("app")}, .params = oauth_params("app")};
    sp_oauth_par(s->b->app, &call, &in, par_done, s);
}
static void consents_done(void *arg, const struct sp_consents_result *r) {
    struct scene *s = arg;
    s->answers++;
    s->outcome = r->outcome;
}
static void submit_list(struct scene *s) {
    const struct sp_call call = bench_call_as(s->b, &s->me);
    sp_app_consents_own(s->b->app, &call, consents_done, s);
}
static void prepare_allowed(struct scene *s) {
    const struct sp_authz_params params = oauth_params("other");
    const struct page got = oauth_code(s->b, &params, s->cookie);
    assert_int_equal(oauth_redeem(s->b, "other", &got).error, SP_OAUTH_NONE);
}
static void withdrawn(void *arg, const struct sp_plain_result *r) {
    struct scene *s = arg;
    s->answers++;
    s->outcome = r->outcome;
}
static void submit_withdraw(struct scene *s) {
    const struct sp_call call = bench_call_as(s->b, &s->me);
    sp_app_consent_end_own(s->b->app, &call, S("other"), withdrawn, s);
}

static const struct use_case cases[] = {
    {"authorize, signed out", NULL, submit_ask, got_login},
    {"authorize, to be asked", NULL, submit_ask_signed_in, got_consent},
    {"authorize, to a code", NULL, submit_ask_trusted, got_code},
    {"login", prepare_second_login, submit_login, got_in},
    {"login, again", prepare_second_login, submit_login_again, got_in},
    {"login, wrong password", prepare_page, submit_failed_login, got_refused},
    {"consent, yes", prepare_consent, submit_yes, got_code},
    {"consent, no", prepare_consent, submit_no, got_denied},
    {"logout", prepare_hint, submit_logout, got_out},
    {"logout, to be asked", NULL, submit_logout_question, got_question},
    {"pushed", NULL, submit_push, got_pushed},
    {"own consents", NULL, submit_list, got_ok},
    {"consent taken back", prepare_allowed, submit_withdraw, got_ok},
};

static bool is_trouble(const struct scene *s) {
    if (s->got.answers != 0) return page_is_trouble(&s->got);
    if (s->error != SP_OAUTH_NONE) return is_ours(s->error);
    return s->outcome == SP_OUTCOME_INTERNAL || s->outcome == SP_OUTCOME_STORE_UNAVAILABLE;
}

/* True when the fault was met. */
static bool run_once(struct scene *base, const struct use_case *c, uint64_t nth, uint64_t times) {
    static struct scene s; /* 60 KiB */
    s = *base;
    if (c->prepare != NULL) c->prepare(&s);
    failing_malloc_arm(nth, times);
    c->submit(&s);
    assert_int_equal(s.answers + s.got.answers, 0);
    bench_run(s.b);
    const bool met = failing_malloc_disarm();
    assert_int_equal(s.answers + s.got.answers, 1);
    const bool good = c->is_good(&s);
    if (!good && !is_trouble(&s))
        fail_msg("%s, allocation %u: %d %s", c->name, (unsigned)nth, (int)s.got.next, s.got.location);
    if (!met) assert_true(good);
    return met;
}

/* Signed in anew for each: a run may leave sessions behind, and the oldest make room. */
static void torture(struct bench *b, const struct use_case *c, uint64_t times) {
    static struct scene s;
    memset(&s, 0, sizeof(s));
    s.b = b;
    const struct page in = oauth_sign_in(b, "ada");
    s.cookie = in.cookie;
    s.me = bench_login(b);
    uint64_t nth = 1;
    while (run_once(&s, c, nth, times)) nth++;
    assert_true(nth > 1); /* something was there to fail */
}

static void each_allocation_that_fails_is_said_once_and_gives_nothing_away(void **state) {
    for (size_t i = 0; i < SP_ARRAY_LEN(cases); i++) torture(*state, &cases[i], 1);
}
static void memory_that_stays_away_is_said_once_and_gives_nothing_away(void **state) {
    for (size_t i = 0; i < SP_ARRAY_LEN(cases); i++) torture(*state, &cases[i], UINT64_MAX);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, oauth_setup_memory, oauth_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(each_allocation_that_fails_is_said_once_and_gives_nothing_away),
        TEST(memory_that_stays_away_is_said_once_and_gives_nothing_away),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
