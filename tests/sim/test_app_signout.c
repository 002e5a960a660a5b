/* Being signed out by a client (RP-Initiated Logout), and taking back what a client was allowed. Each test
 * runs over memory and over SQLite. */
#include "oauth_bench.h"

#define S(text) sp_slice_cstr(text)
#define APP_BYE "https://app.example/bye?x=1"

/* ada is signed in; "app" and "own" have a session each. */
struct scene {
    struct page in;
    uint8_t sid[SP_ROW_SID_BYTES];
    struct redeemed app, own;
};

static struct redeemed redeem(struct bench *b, const char *client, const char *scope, const char *cookie) {
    struct sp_authz_params params = oauth_params(client);
    params.scope = S(scope);
    const struct page got = oauth_code(b, &params, cookie);
    const struct redeemed r = oauth_redeem(b, client, &got);
    assert_int_equal(r.error, SP_OAUTH_NONE);
    return r;
}

static struct scene begin(struct bench *b) {
    struct scene s = {.in = oauth_sign_in(b, "ada")};
    memcpy(s.sid, oauth_open_cookie(b, s.in.cookie).sid, sizeof(s.sid));
    s.app = redeem(b, "app", "openid documents:read", s.in.cookie);
    s.own = redeem(b, "own", "openid", s.in.cookie);
    return s;
}

static enum sp_session_state state_of(struct bench *b, const uint8_t *sid) {
    return bench_session(b, sid).state;
}
#define assert_alive(b, sid) assert_int_equal(state_of((b), (sid)), SP_SESSION_ACTIVE)
#define assert_over(b, sid, why) assert_int_equal(bench_session((b), (sid)).cause, SP_END_##why)

/* ---- logout ---- */

static void a_hint_of_the_person_signs_out_at_once_with_all_that_came_from_it(void **state) {
    BENCH;
    const struct scene s = begin(b);
    const struct sp_authz_logout in = {.id_token_hint = S(s.app.id_token),
                                       .post_logout_redirect_uri = S(APP_BYE),
                                       .state = S("s 1&x"),
                                       .cookie = S(s.in.cookie)};
    const struct page p = oauth_logout(b, &in);
    assert_next(&p, REDIRECT);
    assert_string_equal(p.location, "https://app.example/bye?x=1&state=s%201%26x");
    assert_true(p.expires_cookie);
    assert_over(b, s.sid, LOGOUT);
    assert_over(b, s.app.sid, PARENT);
    assert_over(b, s.own.sid, PARENT);
    assert_int_equal(bench_records(b, "logout"), 1);
    struct sp_authz_params own = oauth_params("own");
    assert_int_equal(oauth_ask(b, &own, s.in.cookie).next, SP_AUTHZ_LOGIN);
}

static void a_hint_that_has_expired_is_still_one(void **state) {
    BENCH;
    const struct scene s = begin(b);
    b->now_ms += 2 * 86400 * 1000;
    const struct sp_authz_logout in = {.id_token_hint = S(s.app.id_token), .cookie = S(s.in.cookie)};
    assert_int_equal(oauth_logout(b, &in).next, SP_AUTHZ_GOODBYE);
    assert_over(b, s.sid, LOGOUT);
}

static void without_a_hint_the_person_is_asked_first(void **state) {
    BENCH;
    const struct scene s = begin(b);
    struct sp_authz_logout in = {.client_id = S("app"),
                                 .post_logout_redirect_uri = S(APP_BYE),
                                 .state = S("s-1"),
                                 .cookie = S(s.in.cookie)};
    const struct page ask = oauth_logout(b, &in);
    assert_next(&ask, LOGOUT);
    assert_string_equal(ask.username, "ada");
    assert_string_equal(ask.client_name, "The app");
    assert_alive(b, s.sid);
    const struct sp_authz_logout yes = {
        .confirmed = true, .csrf = S(ask.csrf), .request = S(ask.request), .cookie = S(s.in.cookie)};
    const struct page p = oauth_logout(b, &yes);
    assert_next(&p, REDIRECT);
    assert_string_equal(p.location, APP_BYE "&state=s-1");
    assert_over(b, s.sid, LOGOUT);
    assert_over(b, s.app.sid, PARENT);
}

static void an_answer_that_is_not_the_pages_own_is_a_question_again(void **state) {
    BENCH;
    const struct scene s = begin(b);
    const struct page bob = oauth_sign_in(b, "bob");
    struct sp_authz_params app = oauth_params("app");
    const struct page mine = oauth_logout(b, &(struct sp_authz_logout){.cookie = S(s.in.cookie)});
    const struct page bobs = oauth_logout(b, &(struct sp_authz_logout){.cookie = S(bob.cookie)});
    const struct page consent = oauth_ask(b, &app, bob.cookie);
    const struct {
        const char *request, *csrf;
    } wrong[] = {{mine.request, ""},           {mine.request, NULL},           {mine.request, bobs.csrf},
                 {bobs.request, mine.csrf},    {bobs.request, bobs.csrf},      {"", mine.csrf},
                 {mine.request, consent.csrf}, {consent.request, consent.csrf}};
    for (size_t i = 0; i < SP_ARRAY_LEN(wrong); i++) {
        const struct sp_authz_logout in = {.confirmed = true,
                                           .request = S(wrong[i].request),
                                           .csrf = S(wrong[i].csrf),
                                           .cookie = S(s.in.cookie)};
        assert_int_equal(oauth_logout(b, &in).next, SP_AUTHZ_LOGOUT);
    }
    assert_alive(b, s.sid);
    b->now_ms += SP_OAUTH_PAGE_TTL_S * 1000;
    const struct sp_authz_logout late = {
        .confirmed = true, .request = S(mine.request), .csrf = S(mine.csrf), .cookie = S(s.in.cookie)};
    assert_int_equal(oauth_logout(b, &late).next, SP_AUTHZ_LOGOUT);
    assert_alive(b, s.sid);
}

static void a_hint_of_somebody_else_is_no_order(void **state) {
    BENCH;
    const struct scene s = begin(b);
    const struct page bob = oauth_sign_in(b, "bob");
    const struct sp_authz_logout in = {.id_token_hint = S(s.app.id_token), .cookie = S(bob.cookie)};
    assert_int_equal(oauth_logout(b, &in).next, SP_AUTHZ_LOGOUT);
    assert_alive(b, oauth_open_cookie(b, bob.cookie).sid);
    assert_alive(b, s.app.sid);
}

static void texts_that_are_no_hint_are_no_order(void **state) {
    BENCH;
    const struct scene s = begin(b);
    const char *const hints[] = {"junk", s.app.access, s.in.cookie};
    for (size_t i = 0; i < SP_ARRAY_LEN(hints); i++) {
        const struct sp_authz_logout in = {.id_token_hint = S(hints[i]), .cookie = S(s.in.cookie)};
        assert_int_equal(oauth_logout(b, &in).next, SP_AUTHZ_LOGOUT);
    }
    /* A good one, under the name of another client. */
    const struct sp_authz_logout in = {
        .id_token_hint = S(s.app.id_token), .client_id = S("other"), .cookie = S(s.in.cookie)};
    assert_int_equal(oauth_logout(b, &in).next, SP_AUTHZ_LOGOUT);
    assert_alive(b, s.sid);
}

static void a_hint_without_a_sign_in_ends_its_own_session(void **state) {
    BENCH;
    const struct scene s = begin(b);
    const struct sp_authz_logout in = {.id_token_hint = S(s.app.id_token)};
    assert_int_equal(oauth_logout(b, &in).next, SP_AUTHZ_GOODBYE);
    assert_over(b, s.app.sid, LOGOUT);
    assert_alive(b, s.own.sid);
    assert_alive(b, s.sid);
    assert_int_equal(oauth_logout(b, &in).next, SP_AUTHZ_GOODBYE); /* again: nothing is left */
    assert_int_equal(bench_records(b, "logout"), 1);
}

static void offline_access_outlives_a_logout(void **state) {
    BENCH;
    const struct scene s = begin(b);
    const struct redeemed offline = redeem(b, "app", "openid offline_access", s.in.cookie);
    const struct sp_authz_logout by_it = {.id_token_hint = S(offline.id_token)};
    assert_int_equal(oauth_logout(b, &by_it).next, SP_AUTHZ_GOODBYE);
    assert_alive(b, offline.sid);
    const struct sp_authz_logout in = {.id_token_hint = S(s.app.id_token), .cookie = S(s.in.cookie)};
    oauth_logout(b, &in);
    assert_over(b, s.app.sid, PARENT);
    assert_alive(b, offline.sid);
}

static void nobody_is_sent_where_the_client_did_not_register(void **state) {
    BENCH;
    static const char *const others[] = {"https://evil.example/",
                                         "https://app.example/bye",
                                         "https://app.example/bye?x=1&y",
                                         "https://other.example/bye?x=1",
                                         "https://app.example/cb",
                                         "javascript:alert(1)",
                                         APP_BYE "\r\nX: y"};
    for (size_t i = 0; i < SP_ARRAY_LEN(others); i++) {
        const struct sp_authz_logout in = {.client_id = S("app"), .post_logout_redirect_uri = S(others[i])};
        const struct page p = oauth_logout(b, &in);
        assert_next(&p, GOODBYE);
        assert_int_equal(p.location[0], 0);
    }
    /* Registered, but nobody says by whom. */
    const struct sp_authz_logout in = {.post_logout_redirect_uri = S(APP_BYE)};
    assert_int_equal(oauth_logout(b, &in).next, SP_AUTHZ_GOODBYE);
}

static void an_address_that_is_registered_no_more_when_the_person_answers_is_not_used(void **state) {
    BENCH;
    const struct scene s = begin(b);
    const struct sp_authz_logout in = {
        .client_id = S("app"), .post_logout_redirect_uri = S(APP_BYE), .cookie = S(s.in.cookie)};
    const struct page ask = oauth_logout(b, &in);
    struct sp_client_row row = oauth_client_row(b, "app");
    row.post_logout_redirect_uris.n = 0;
    oauth_client_put(b, &row);
    const struct sp_authz_logout yes = {
        .confirmed = true, .csrf = S(ask.csrf), .request = S(ask.request), .cookie = S(s.in.cookie)};
    assert_int_equal(oauth_logout(b, &yes).next, SP_AUTHZ_GOODBYE);
    assert_over(b, s.sid, LOGOUT);
}

static void nobody_signed_in_is_out_already(void **state) {
    BENCH;
    const struct scene s = begin(b);
    oauth_session_end(b, s.sid);
    const struct sp_authz_logout in = {
        .client_id = S("app"), .post_logout_redirect_uri = S(APP_BYE), .cookie = S(s.in.cookie)};
    const struct page p = oauth_logout(b, &in);
    assert_next(&p, REDIRECT);
    assert_string_equal(p.location, APP_BYE);
    assert_true(p.expires_cookie);
    assert_int_equal(bench_records(b, "logout"), 0);
}

/* ---- consents ---- */

struct consents {
    uint32_t answers;
    enum sp_outcome outcome;
    size_t n;
    char clients[8][129], scopes[8][1025];
};
static void consents_done(void *arg, const struct sp_consents_result *r) {
    struct consents *c = arg;
    c->answers++;
    c->outcome = r->outcome;
    c->n = r->n;
    assert_true(r->n <= 8);
    for (size_t i = 0; i < r->n; i++) {
        memcpy(c->clients[i], r->rows[i].client_id.s, r->rows[i].client_id.n);
        memcpy(c->scopes[i], r->rows[i].scopes.s, r->rows[i].scopes.n);
    }
}

static struct consents list(struct bench *b, const struct tokens *as) {
    struct consents c = {0};
    const struct sp_call call = bench_call_as(b, as);
    sp_app_consents_own(b->app, &call, consents_done, &c);
    assert_int_equal(c.answers, 0);
    bench_run(b);
    assert_int_equal(c.answers, 1);
    return c;
}

static struct plain withdraw(struct bench *b, const struct tokens *as, const char *client) {
    struct plain p = {0};
    const struct sp_call call = bench_call_as(b, as);
    sp_app_consent_end_own(b->app, &call, S(client), bench_plain_done, &p);
    assert_int_equal(p.answers, 0);
    bench_run(b);
    assert_int_equal(p.answers, 1);
    return p;
}

static void a_person_sees_what_was_allowed_to_whom(void **state) {
    BENCH;
    const struct scene s = begin(b);
    redeem(b, "other", "documents:read documents:write", s.in.cookie);
    const struct tokens me = bench_login(b);
    struct consents c = list(b, &me);
    assert_int_equal(c.outcome, SP_OUTCOME_OK);
    assert_int_equal(c.n, 2);
    assert_string_equal(c.clients[0], "app");
    assert_string_equal(c.scopes[0], "openid documents:read");
    assert_string_equal(c.clients[1], "other");
    oauth_client_delete(b, "app"); /* then it is worth nothing */
    c = list(b, &me);
    assert_int_equal(c.n, 1);
    assert_string_equal(c.clients[0], "other");
    const struct tokens bob = bench_login_as(b, "bob", "battery staple", SP_MODE_TOKEN);
    assert_int_equal(list(b, &bob).n, 0);
}

static void taking_it_back_ends_all_that_the_client_has_of_the_person_and_nothing_else(void **state) {
    BENCH;
    const struct scene s = begin(b);
    struct redeemed more[7];
    for (size_t i = 0; i < SP_ARRAY_LEN(more); i++)
        more[i] = redeem(b, "app", i % 2 == 0 ? "openid" : "openid offline_access", s.in.cookie);
    const struct page bobs_in = oauth_sign_in(b, "bob");
    const struct redeemed bobs = redeem(b, "app", "openid", bobs_in.cookie);
    const struct tokens me = bench_login(b);
    const struct plain p = withdraw(b, &me, "app");
    assert_int_equal(p.outcome, SP_OUTCOME_OK);
    assert_int_equal(p.count, 8);
    assert_over(b, s.app.sid, USER_ENDED);
    for (size_t i = 0; i < SP_ARRAY_LEN(more); i++) assert_over(b, more[i].sid, USER_ENDED);
    assert_alive(b, s.own.sid);
    assert_alive(b, s.sid);
    assert_alive(b, me.sid);
    assert_alive(b, bobs.sid);
    assert_int_equal(list(b, &me).n, 0);
    assert_int_equal(bench_records(b, "consent_withdrawn"), 1);
    assert_int_equal(bench_records(b, "session_ended"), 8);
    struct sp_authz_params app = oauth_params("app");
    assert_int_equal(oauth_ask(b, &app, s.in.cookie).next, SP_AUTHZ_CONSENT);
    assert_int_equal(withdraw(b, &me, "app").outcome, SP_OUTCOME_NOT_FOUND);
}

static void a_session_more_than_a_page_is_ended_too(void **state) {
    BENCH;
    const struct scene s = begin(b);
    for (int i = 0; i < 70; i++) redeem(b, "app", "openid", s.in.cookie);
    const struct tokens me = bench_login(b);
    assert_int_equal(withdraw(b, &me, "app").count, 71);
}

static void a_trusted_client_has_sessions_without_a_consent(void **state) {
    BENCH;
    const struct scene s = begin(b);
    const struct tokens me = bench_login(b);
    assert_int_equal(list(b, &me).n, 1);
    const struct plain p = withdraw(b, &me, "own");
    assert_int_equal(p.outcome, SP_OUTCOME_OK);
    assert_int_equal(p.count, 1);
    assert_over(b, s.own.sid, USER_ENDED);
    assert_int_equal(bench_records(b, "consent_withdrawn"), 0);
}

static void what_is_no_client_has_nothing_to_take_back(void **state) {
    BENCH;
    const struct tokens me = bench_login(b);
    const char *const none[] = {"", "nobody", "first-party", "a b", "app\n", NULL};
    for (size_t i = 0; i < SP_ARRAY_LEN(none); i++)
        assert_int_equal(withdraw(b, &me, none[i]).outcome, SP_OUTCOME_NOT_FOUND);
    assert_alive(b, me.sid);
}

static void a_clients_token_is_not_the_persons_word(void **state) {
    BENCH;
    const struct scene s = begin(b);
    struct tokens as = {.access_n = strlen(s.app.access)};
    memcpy(as.access, s.app.access, as.access_n);
    assert_int_equal(list(b, &as).outcome, SP_OUTCOME_PERMISSION_DENIED);
    assert_int_equal(withdraw(b, &as, "app").outcome, SP_OUTCOME_PERMISSION_DENIED);
    struct plain p = {0};
    const struct sp_call call = bench_call(b);
    sp_app_consent_end_own(b->app, &call, S("app"), bench_plain_done, &p);
    bench_run(b);
    assert_int_equal(p.outcome, SP_OUTCOME_INVALID_TOKEN);
    assert_alive(b, s.app.sid);
}

#define T(f) OAUTH_TESTS(f)

int main(void) {
    const struct CMUnitTest tests[] = {
        T(a_hint_of_the_person_signs_out_at_once_with_all_that_came_from_it),
        T(a_hint_that_has_expired_is_still_one),
        T(without_a_hint_the_person_is_asked_first),
        T(an_answer_that_is_not_the_pages_own_is_a_question_again),
        T(a_hint_of_somebody_else_is_no_order),
        T(texts_that_are_no_hint_are_no_order),
        T(a_hint_without_a_sign_in_ends_its_own_session),
        T(offline_access_outlives_a_logout),
        T(nobody_is_sent_where_the_client_did_not_register),
        T(an_address_that_is_registered_no_more_when_the_person_answers_is_not_used),
        T(nobody_signed_in_is_out_already),
        T(a_person_sees_what_was_allowed_to_whom),
        T(taking_it_back_ends_all_that_the_client_has_of_the_person_and_nothing_else),
        T(a_session_more_than_a_page_is_ended_too),
        T(a_trusted_client_has_sessions_without_a_consent),
        T(what_is_no_client_has_nothing_to_take_back),
        T(a_clients_token_is_not_the_persons_word),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
