/* The browser's sign-in: what makes one, what keeps it, what ends it, and what is none. Each test runs over
 * memory and over SQLite. */
#include "oauth_bench.h"

#define S(text) sp_slice_cstr(text)

/* ---- the cookie ---- */

static void cookies_that_are_no_sign_in_lead_to_the_login_page_and_expire(void **state) {
    BENCH;
    const struct page in = oauth_sign_in(b, "ada");
    struct sp_authz_params params = oauth_params("own");
    struct sp_sso_cookie c = oauth_open_cookie(b, in.cookie);
    SP_AUTO(sp_buf) forged = SP_BUF_INIT(SP_OAUTH_SEALED_BYTES_MAX);
    const char *text;
    /* A sid from a list of sessions, with a secret that nobody knows: not even our own seal helps. */
    c.secret[0] ^= 1;
    assert_int_equal(sp_seal_sso(b->app, &c, &forged).code, SP_OK);
    assert_int_equal(sp_buf_cstr(&forged, &text).code, SP_OK);
    struct page p = oauth_ask(b, &params, text);
    assert_next(&p, LOGIN);
    assert_true(p.expires_cookie);
    /* One that never was. */
    c.secret[0] ^= 1;
    c.sid[10] ^= 1;
    sp_buf_clear(&forged);
    assert_int_equal(sp_seal_sso(b->app, &c, &forged).code, SP_OK);
    assert_int_equal(sp_buf_cstr(&forged, &text).code, SP_OK);
    p = oauth_ask(b, &params, text);
    assert_next(&p, LOGIN);
    assert_true(p.expires_cookie);
}

static void sessions_of_other_kinds_are_no_sign_in(void **state) {
    BENCH;
    const struct tokens by_token = bench_login(b);
    const struct page in = oauth_sign_in(b, "ada");
    struct sp_authz_params params = oauth_params("own");
    const struct page got = oauth_code(b, &params, in.cookie);
    const struct redeemed r = oauth_redeem(b, "own", &got);
    assert_int_equal(r.error, SP_OAUTH_NONE);
    const uint8_t *const sids[] = {by_token.sid, r.sid};
    for (size_t i = 0; i < SP_ARRAY_LEN(sids); i++) {
        struct sp_sso_cookie c;
        const struct sp_session_row row = bench_session(b, sids[i]);
        memcpy(c.sid, row.sid, sizeof(c.sid));
        memcpy(c.secret, row.secret, sizeof(c.secret));
        SP_AUTO(sp_buf) forged = SP_BUF_INIT(SP_OAUTH_SEALED_BYTES_MAX);
        const char *text;
        assert_int_equal(sp_seal_sso(b->app, &c, &forged).code, SP_OK);
        assert_int_equal(sp_buf_cstr(&forged, &text).code, SP_OK);
        assert_int_equal(oauth_ask(b, &params, text).next, SP_AUTHZ_LOGIN);
    }
}

static void a_sign_in_that_was_ended_is_over_at_once(void **state) {
    BENCH;
    const struct page in = oauth_sign_in(b, "ada");
    struct sp_authz_params params = oauth_params("own");
    assert_int_equal(oauth_ask(b, &params, in.cookie).next, SP_AUTHZ_REDIRECT);
    oauth_session_end(b, oauth_open_cookie(b, in.cookie).sid);
    const struct page p = oauth_ask(b, &params, in.cookie);
    assert_next(&p, LOGIN);
    assert_true(p.expires_cookie);
}

static void a_sign_in_expires_when_idle_and_not_while_it_is_used(void **state) {
    BENCH;
    const struct page in = oauth_sign_in(b, "ada");
    struct sp_authz_params params = oauth_params("own");
    for (int day = 0; day < 10; day++) {
        b->now_ms += 86400 * 1000;
        assert_int_equal(oauth_ask(b, &params, in.cookie).next, SP_AUTHZ_REDIRECT);
    }
    b->now_ms += b->config.idle_ttl_s * 1000 + 1;
    assert_int_equal(oauth_ask(b, &params, in.cookie).next, SP_AUTHZ_LOGIN);
}

static void a_sign_in_ends_after_its_longest_life_however_much_it_is_used(void **state) {
    BENCH;
    const struct page in = oauth_sign_in(b, "ada");
    struct sp_authz_params params = oauth_params("own");
    for (int day = 0; day < 29; day++) {
        b->now_ms += 86400 * 1000;
        assert_int_equal(oauth_ask(b, &params, in.cookie).next, SP_AUTHZ_REDIRECT);
    }
    b->now_ms += 86400 * 1000;
    assert_int_equal(oauth_ask(b, &params, in.cookie).next, SP_AUTHZ_LOGIN);
}

static void using_a_sign_in_often_writes_seldom(void **state) {
    BENCH;
    const struct page in = oauth_sign_in(b, "ada");
    struct sp_authz_params params = oauth_params("own");
    const uint8_t *sid = oauth_open_cookie(b, in.cookie).sid;
    uint8_t copy[SP_ROW_SID_BYTES];
    memcpy(copy, sid, sizeof(copy));
    for (int i = 0; i < 100; i++) {
        b->now_ms += 60 * 1000;
        oauth_ask(b, &params, in.cookie);
    }
    assert_in_range(bench_session(b, copy).refreshes, 6, 7); /* 100 minutes, one in a quarter of an hour */
}

static void disabling_a_person_ends_the_way_at_every_step(void **state) {
    BENCH;
    const struct page in = oauth_sign_in(b, "bob");
    struct sp_authz_params params = oauth_params("app"), own = oauth_params("own");
    const struct page ask = oauth_ask(b, &params, in.cookie);
    const struct page got = oauth_code(b, &own, in.cookie);
    const struct page login = oauth_ask(b, &params, NULL);
    oauth_user_disable(b, "bob");
    const struct page sent = oauth_consent(b, ask.request, ask.csrf, in.cookie, true);
    assert_int_equal(oauth_follow(b, &sent, in.cookie).next, SP_AUTHZ_LOGIN);
    assert_int_equal(oauth_ask(b, &own, in.cookie).next, SP_AUTHZ_LOGIN);
    assert_int_equal(oauth_redeem(b, "own", &got).error, SP_OAUTH_INVALID_GRANT);
    const struct page again = oauth_login(b, login.request, "bob", "battery staple", NULL);
    assert_next(&again, LOGIN);
    assert_int_equal(again.failed, SP_OUTCOME_INVALID_CREDENTIALS);
}

static void revoking_everyone_ends_sign_ins(void **state) {
    BENCH;
    const struct page in = oauth_sign_in(b, "ada");
    struct sp_authz_params params = oauth_params("own");
    struct plain p = {0};
    const struct sp_call call = bench_call_admin(b);
    sp_app_revoke(b->app, &call, SP_TARGET_EVERYONE, SP_SLICE_EMPTY, bench_plain_done, &p);
    bench_run(b);
    assert_int_equal(p.outcome, SP_OUTCOME_OK);
    assert_int_equal(oauth_ask(b, &params, in.cookie).next, SP_AUTHZ_LOGIN);
}

/* ---- logging in ---- */

static void a_wrong_password_shows_the_page_again_with_the_name_as_typed(void **state) {
    BENCH;
    struct sp_authz_params params = oauth_params("app");
    params.login_hint = S("somebody");
    const struct page login = oauth_ask(b, &params, NULL);
    const struct page again = oauth_login(b, login.request, "Ada", "wrong horse", NULL);
    assert_next(&again, LOGIN);
    assert_int_equal(again.failed, SP_OUTCOME_INVALID_CREDENTIALS);
    assert_string_equal(again.username, "Ada");
    assert_string_equal(again.client_name, "The app");
    assert_false(again.sets_cookie);
    assert_int_equal(bench_records(b, "login_failed"), 1);
    const struct page in = oauth_login(b, again.request, "Ada", "correct horse", NULL);
    assert_next(&in, REDIRECT);
}

static void an_overloaded_hasher_is_said_on_the_page(void **state) {
    BENCH;
    struct sp_authz_params params = oauth_params("app");
    const struct page login = oauth_ask(b, &params, NULL);
    b->hash_full = true;
    const struct page again = oauth_login(b, login.request, "ada", "correct horse", NULL);
    assert_next(&again, LOGIN);
    assert_int_equal(again.failed, SP_OUTCOME_OVERLOADED);
}

static void the_page_is_throttled_as_the_api_is_and_together_with_it(void **state) {
    BENCH;
    bench_stop(b);
    b->config.throttle[SP_THROTTLE_ACCOUNT] = (struct sp_throttle_rate){.burst = 3, .refill_ms = 60000};
    bench_start(b);
    struct sp_authz_params params = oauth_params("app");
    const struct page login = oauth_ask(b, &params, NULL);
    oauth_login(b, login.request, "ada", "wrong", NULL);
    assert_int_equal(bench_login_as(b, "ada", "wrong", SP_MODE_TOKEN).outcome,
                     SP_OUTCOME_INVALID_CREDENTIALS);
    oauth_login(b, login.request, "ada", "wrong", NULL);
    const struct page again = oauth_login(b, login.request, "ada", "correct horse", NULL);
    assert_next(&again, LOGIN);
    assert_int_equal(again.failed, SP_OUTCOME_TOO_MANY_ATTEMPTS);
    assert_true(again.retry_after_s > 0);
    assert_int_equal(bench_login_as(b, "ada", "correct horse", SP_MODE_TOKEN).outcome,
                     SP_OUTCOME_TOO_MANY_ATTEMPTS);
}

static void another_persons_login_ends_the_sign_in_before(void **state) {
    BENCH;
    const struct page ada = oauth_sign_in(b, "ada");
    struct sp_authz_params own = oauth_params("own");
    const struct page got = oauth_code(b, &own, ada.cookie);
    const struct redeemed child = oauth_redeem(b, "own", &got);
    own.prompt = S("login");
    const struct page ask = oauth_ask(b, &own, ada.cookie);
    assert_next(&ask, LOGIN);
    const struct page bob = oauth_login(b, ask.request, "bob", "battery staple", ada.cookie);
    assert_next(&bob, REDIRECT);
    const struct sp_session_row old = bench_session(b, oauth_open_cookie(b, ada.cookie).sid);
    assert_int_equal(old.state, SP_SESSION_ENDED);
    assert_int_equal(old.cause, SP_END_LOGOUT);
    assert_int_equal(bench_session(b, child.sid).cause, SP_END_PARENT);
    assert_int_equal(bench_records(b, "session_ended"), 1);
    const struct page p = oauth_follow(b, &bob, bob.cookie);
    const struct sp_authz_code code = oauth_open_code(b, &p);
    assert_memory_equal(code.user_id, bench_user(b, "bob").id, sizeof(code.user_id));
}

/* ada logs in once more, for prompt=login; the cookie of before is `first`. */
static struct page log_in_again(struct bench *b, const struct page *first) {
    struct sp_authz_params own = oauth_params("own");
    own.prompt = S("login");
    const struct page ask = oauth_ask(b, &own, first->cookie);
    const struct page again = oauth_login(b, ask.request, "ada", "correct horse", first->cookie);
    assert_next(&again, REDIRECT);
    assert_true(again.sets_cookie);
    return again;
}

static void the_same_person_logging_in_again_goes_on_with_the_same_sign_in(void **state) {
    BENCH;
    const struct page first = oauth_sign_in(b, "ada");
    struct sp_authz_params own = oauth_params("own");
    const struct page got = oauth_code(b, &own, first.cookie);
    const struct redeemed child = oauth_redeem(b, "own", &got);
    b->now_ms += 600 * 1000;
    const struct page again = log_in_again(b, &first);
    const struct sp_sso_cookie was = oauth_open_cookie(b, first.cookie);
    const struct sp_sso_cookie is = oauth_open_cookie(b, again.cookie);
    assert_memory_equal(is.sid, was.sid, sizeof(is.sid));
    assert_int_equal(bench_session(b, child.sid).state, SP_SESSION_ACTIVE);
    const struct page later = oauth_follow(b, &again, again.cookie);
    assert_int_equal(oauth_open_code(b, &later).auth_time_s, b->now_ms / 1000);
    assert_int_equal(bench_records(b, "login"), 2);
    assert_int_equal(bench_records(b, "session_ended"), 0);
    /* Signing out ends what was there before this login, too. */
    const struct sp_authz_logout out = {.id_token_hint = S(child.id_token), .cookie = S(again.cookie)};
    assert_int_equal(oauth_logout(b, &out).next, SP_AUTHZ_GOODBYE);
    assert_int_equal(bench_session(b, child.sid).cause, SP_END_PARENT);
}

static void logging_in_again_makes_a_stolen_copy_of_the_cookie_worthless(void **state) {
    BENCH;
    const struct page stolen = oauth_sign_in(b, "ada");
    const struct page again = log_in_again(b, &stolen);
    struct sp_authz_params own = oauth_params("own");
    own.max_age = S("300");
    assert_int_equal(oauth_ask(b, &own, stolen.cookie).next, SP_AUTHZ_LOGIN);
    assert_int_equal(oauth_ask(b, &own, again.cookie).next, SP_AUTHZ_REDIRECT);
    /* Nor does it end, or take over, what is ada's when its thief logs in as himself. */
    const struct page ask = oauth_ask(b, &own, NULL);
    oauth_login(b, ask.request, "bob", "battery staple", stolen.cookie);
    assert_int_equal(oauth_ask(b, &own, again.cookie).next, SP_AUTHZ_REDIRECT);
}

static void a_sign_in_that_is_over_is_followed_by_another(void **state) {
    BENCH;
    const struct page first = oauth_sign_in(b, "ada");
    const struct sp_sso_cookie was = oauth_open_cookie(b, first.cookie);
    oauth_session_end(b, was.sid);
    const struct page again = log_in_again(b, &first);
    assert_memory_not_equal(oauth_open_cookie(b, again.cookie).sid, was.sid, sizeof(was.sid));
    b->now_ms += b->config.idle_ttl_s * 1000 + 1; /* expired, which no row says */
    const struct page third = log_in_again(b, &again);
    struct sp_authz_params own = oauth_params("own");
    assert_int_equal(oauth_ask(b, &own, third.cookie).next, SP_AUTHZ_REDIRECT);
}

static void a_sign_in_below_the_floor_is_followed_by_another(void **state) {
    BENCH;
    const struct page first = oauth_sign_in(b, "ada");
    struct sp_authz_params own = oauth_params("own");
    const struct page ask = oauth_ask(b, &own, NULL);
    struct plain p = {0};
    const struct sp_call call = bench_call_admin(b);
    sp_app_revoke(b->app, &call, SP_TARGET_EVERYONE, SP_SLICE_EMPTY, bench_plain_done, &p);
    bench_run(b);
    const struct page again = oauth_login(b, ask.request, "ada", "correct horse", first.cookie);
    assert_next(&again, REDIRECT); /* only the store knows that the first one is over */
    assert_int_equal(oauth_ask(b, &own, again.cookie).next, SP_AUTHZ_REDIRECT);
}

static void a_stolen_sid_in_a_cookie_ends_nobody(void **state) {
    BENCH;
    const struct page ada = oauth_sign_in(b, "ada");
    struct sp_sso_cookie c = oauth_open_cookie(b, ada.cookie);
    c.secret[3] ^= 1;
    SP_AUTO(sp_buf) forged = SP_BUF_INIT(SP_OAUTH_SEALED_BYTES_MAX);
    const char *text;
    assert_int_equal(sp_seal_sso(b->app, &c, &forged).code, SP_OK);
    assert_int_equal(sp_buf_cstr(&forged, &text).code, SP_OK);
    struct sp_authz_params own = oauth_params("own");
    const struct page ask = oauth_ask(b, &own, NULL);
    oauth_login(b, ask.request, "bob", "battery staple", text);
    assert_int_equal(bench_session(b, c.sid).state, SP_SESSION_ACTIVE);
}

#define T(f) OAUTH_TESTS(f)

int main(void) {
    const struct CMUnitTest tests[] = {
        T(cookies_that_are_no_sign_in_lead_to_the_login_page_and_expire),
        T(sessions_of_other_kinds_are_no_sign_in),
        T(a_sign_in_that_was_ended_is_over_at_once),
        T(a_sign_in_expires_when_idle_and_not_while_it_is_used),
        T(a_sign_in_ends_after_its_longest_life_however_much_it_is_used),
        T(using_a_sign_in_often_writes_seldom),
        T(disabling_a_person_ends_the_way_at_every_step),
        T(revoking_everyone_ends_sign_ins),
        T(a_wrong_password_shows_the_page_again_with_the_name_as_typed),
        T(an_overloaded_hasher_is_said_on_the_page),
        T(the_page_is_throttled_as_the_api_is_and_together_with_it),
        T(another_persons_login_ends_the_sign_in_before),
        T(the_same_person_logging_in_again_goes_on_with_the_same_sign_in),
        T(logging_in_again_makes_a_stolen_copy_of_the_cookie_worthless),
        T(a_sign_in_that_is_over_is_followed_by_another),
        T(a_sign_in_below_the_floor_is_followed_by_another),
        T(a_stolen_sid_in_a_cookie_ends_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
