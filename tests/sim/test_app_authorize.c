/* The authorization endpoint over a whole app: from a client's request to its code, and those who try to get
 * one otherwise. Each test runs over memory and over SQLite. */
#include "oauth_bench.h"

#define S(text) sp_slice_cstr(text)

/* ---- the way that it is meant ---- */

static void login_consent_code_and_tokens(void **state) {
    BENCH;
    struct sp_authz_params params = oauth_params("app");
    params.login_hint = S("Ada");
    const struct page login = oauth_ask(b, &params, NULL);
    assert_next(&login, LOGIN);
    assert_string_equal(login.client_name, "The app");
    assert_string_equal(login.username, "Ada");
    assert_false(login.sets_cookie || login.expires_cookie);
    const struct page in = oauth_login(b, login.request, "Ada", "correct horse", NULL);
    assert_next(&in, REDIRECT);
    assert_true(in.sets_cookie);
    assert_int_equal(strlen(in.device_token), SP_DEVICE_TOKEN_CHARS);
    const struct page ask = oauth_follow(b, &in, in.cookie);
    assert_next(&ask, CONSENT);
    assert_string_equal(ask.username, "ada");
    assert_string_equal(ask.client_id, "app");
    assert_string_equal(ask.scope, "openid documents:read");
    assert_string_equal(ask.permissions, "documents:read");
    const struct page given = oauth_consent(b, ask.request, ask.csrf, in.cookie, true);
    assert_next(&given, REDIRECT);
    assert_int_equal(strncmp(given.location, "https://app.example/cb?code=", 28), 0);
    assert_param(&given, "state", "s-1");
    assert_param(&given, "iss", "https://auth.example");
    const struct redeemed r = oauth_redeem(b, "app", &given);
    assert_int_equal(r.error, SP_OAUTH_NONE);
    assert_string_equal(r.scope, "openid documents:read");
    assert_true(strlen(r.access) > 0 && strlen(r.refresh) > 0 && strlen(r.id_token) > 0);
    assert_int_equal(bench_records(b, "login"), 1);
    assert_int_equal(bench_records(b, "consent_given"), 1);
}

static void a_code_says_who_signed_in_how_and_when(void **state) {
    BENCH;
    const struct page in = oauth_sign_in(b, "ada");
    const int64_t then_s = b->now_ms / 1000;
    const struct sp_sso_cookie cookie = oauth_open_cookie(b, in.cookie);
    b->now_ms += 60000;
    struct sp_authz_params params = oauth_params("own");
    const struct page got = oauth_code(b, &params, in.cookie);
    const struct sp_authz_code code = oauth_open_code(b, &got);
    assert_int_equal(code.auth_time_s, then_s);
    assert_true(sp_slice_eq_cstr(SP_TEXT_SLICE(&code.amr), "pwd"));
    assert_true(sp_slice_eq_cstr(SP_TEXT_SLICE(&code.acr), SP_ACR_PASSWORD));
    assert_true(sp_slice_eq_cstr(SP_TEXT_SLICE(&code.nonce), "n-1"));
    assert_true(sp_slice_eq_cstr(SP_TEXT_SLICE(&code.client_id), "own"));
    assert_memory_equal(code.parent, cookie.sid, sizeof(code.parent));
    assert_memory_equal(code.user_id, bench_user(b, "ada").id, sizeof(code.user_id));
    assert_int_equal(code.expires_s, b->now_ms / 1000 + SP_OAUTH_CODE_TTL_S);
    const struct page again = oauth_code(b, &params, in.cookie);
    const struct sp_authz_code other = oauth_open_code(b, &again);
    assert_memory_not_equal(code.sid, other.sid, sizeof(code.sid)); /* each is a session of its own */
}

static void the_sign_in_is_a_session_that_its_person_sees(void **state) {
    BENCH;
    const struct page in = oauth_sign_in(b, "ada");
    const struct sp_session_row row = bench_session(b, oauth_open_cookie(b, in.cookie).sid);
    assert_int_equal(row.state, SP_SESSION_ACTIVE);
    assert_int_equal(row.mode, SP_MODE_COOKIE);
    assert_true(sp_slice_eq_cstr(SP_TEXT_SLICE(&row.device), "browser sign-in"));
    assert_true(sp_slice_eq_cstr(SP_TEXT_SLICE(&row.acr), SP_ACR_PASSWORD));
    assert_true(sp_slice_eq_cstr(SP_TEXT_SLICE(&row.client_id), "first-party"));
}

static void single_sign_on_asks_neither_for_a_password_nor_twice_for_consent(void **state) {
    BENCH;
    const struct page in = oauth_sign_in(b, "ada");
    struct sp_authz_params app = oauth_params("app"), other = oauth_params("other");
    assert_int_equal(oauth_ask(b, &app, in.cookie).next, SP_AUTHZ_CONSENT);
    oauth_code(b, &app, in.cookie);
    assert_int_equal(oauth_ask(b, &app, in.cookie).next, SP_AUTHZ_REDIRECT);
    assert_int_equal(oauth_ask(b, &other, in.cookie).next, SP_AUTHZ_CONSENT); /* not for the other one */
}

static void two_tabs_end_in_two_codes(void **state) {
    BENCH;
    struct sp_authz_params app = oauth_params("app"), own = oauth_params("own");
    const struct page one = oauth_ask(b, &app, NULL), two = oauth_ask(b, &own, NULL);
    const struct page in_one = oauth_login(b, one.request, "ada", "correct horse", NULL);
    /* The second tab still shows the login page, and the browser has the first one's cookie by now. */
    const struct page in_two = oauth_login(b, two.request, "ada", "correct horse", in_one.cookie);
    assert_next(&in_two, REDIRECT);
    const struct page done_two = oauth_follow(b, &in_two, in_two.cookie);
    assert_int_equal(oauth_redeem(b, "own", &done_two).error, SP_OAUTH_NONE);
    const struct page ask = oauth_follow(b, &in_one, in_two.cookie);
    assert_next(&ask, CONSENT);
    const struct page done_one = oauth_consent(b, ask.request, ask.csrf, in_two.cookie, true);
    assert_int_equal(oauth_redeem(b, "app", &done_one).error, SP_OAUTH_NONE);
}

/* Else it would be asked for its password again and again, without a word. */
static void a_browser_that_keeps_no_cookie_is_told_so(void **state) {
    BENCH;
    struct sp_authz_params app = oauth_params("app");
    const struct page first = oauth_ask(b, &app, NULL);
    assert_false(first.lost_cookie);
    const struct page in = oauth_login(b, first.request, "ada", "correct horse", NULL);
    const struct page asked = oauth_follow(b, &in, NULL);
    assert_next(&asked, LOGIN);
    assert_true(asked.lost_cookie);
    /* One of somebody else's, or that is over, was kept all the same. */
    const struct page bob = oauth_sign_in(b, "bob");
    oauth_session_end(b, oauth_open_cookie(b, bob.cookie).sid);
    assert_false(oauth_follow(b, &in, bob.cookie).lost_cookie);
    /* As soon as it is kept, the page goes on from there. */
    const struct page again = oauth_login(b, asked.request, "ada", "correct horse", NULL);
    assert_next(&again, REDIRECT);
    assert_int_equal(oauth_follow(b, &again, again.cookie).next, SP_AUTHZ_CONSENT);
}

/* ---- scope ---- */

static void a_scope_is_what_the_person_may_and_nothing_that_was_dropped_is_asked_for(void **state) {
    BENCH;
    const struct page in = oauth_sign_in(b, "ada");
    struct sp_authz_params params = oauth_params("app");
    params.scope = S("openid documents:read documents:burn");
    const struct page ask = oauth_ask(b, &params, in.cookie);
    assert_string_equal(ask.scope, "openid documents:read");
    const struct page given = oauth_consent(b, ask.request, ask.csrf, in.cookie, true);
    assert_string_equal(oauth_redeem(b, "app", &given).scope, "openid documents:read");
}

static void a_scope_that_grows_is_asked_for_again(void **state) {
    BENCH;
    const struct page in = oauth_sign_in(b, "ada");
    struct sp_authz_params params = oauth_params("app");
    oauth_code(b, &params, in.cookie);
    params.scope = S("openid");
    assert_int_equal(oauth_ask(b, &params, in.cookie).next, SP_AUTHZ_REDIRECT);
    params.scope = S("documents:write");
    assert_int_equal(oauth_ask(b, &params, in.cookie).next, SP_AUTHZ_CONSENT);
    oauth_code(b, &params, in.cookie);
    params.scope = S("openid documents:read documents:write"); /* both together were given */
    assert_int_equal(oauth_ask(b, &params, in.cookie).next, SP_AUTHZ_REDIRECT);
    params.scope = S("openid offline_access");
    assert_int_equal(oauth_ask(b, &params, in.cookie).next, SP_AUTHZ_CONSENT);
}

static void a_client_that_was_made_anew_is_asked_for_again(void **state) {
    BENCH;
    const struct page in = oauth_sign_in(b, "ada");
    struct sp_authz_params params = oauth_params("app");
    oauth_code(b, &params, in.cookie);
    oauth_client_delete(b, "app");
    b->now_ms += 1000;
    const struct sp_client_row row = oauth_client_row(b, "app");
    oauth_client_put(b, &row);
    assert_int_equal(oauth_ask(b, &params, in.cookie).next, SP_AUTHZ_CONSENT);
    params.scope = S("openid"); /* allowed now; what the first one was allowed besides stays its own */
    oauth_code(b, &params, in.cookie);
    assert_int_equal(oauth_ask(b, &params, in.cookie).next, SP_AUTHZ_REDIRECT);
    params.scope = S("documents:read");
    assert_int_equal(oauth_ask(b, &params, in.cookie).next, SP_AUTHZ_CONSENT);
}

/* ---- consent ---- */

static void a_no_is_told_to_the_client_and_recorded(void **state) {
    BENCH;
    const struct page in = oauth_sign_in(b, "ada");
    struct sp_authz_params params = oauth_params("app");
    const struct page ask = oauth_ask(b, &params, in.cookie);
    const struct page denied = oauth_consent(b, ask.request, ask.csrf, in.cookie, false);
    assert_told(&denied, SP_OAUTH_ACCESS_DENIED);
    assert_int_equal(bench_records(b, "consent_denied"), 1);
    assert_int_equal(bench_records(b, "consent_given"), 0);
    assert_int_equal(oauth_ask(b, &params, in.cookie).next, SP_AUTHZ_CONSENT); /* not remembered */
}

static void consent_needs_the_token_of_this_page_and_this_sign_in(void **state) {
    BENCH;
    const struct page ada = oauth_sign_in(b, "ada"), bob = oauth_sign_in(b, "bob");
    struct sp_authz_params app = oauth_params("app"), other = oauth_params("other");
    const struct page page = oauth_ask(b, &app, ada.cookie), elsewhere = oauth_ask(b, &other, ada.cookie);
    const struct page bobs = oauth_ask(b, &app, bob.cookie);
    char api[SP_CSRF_TEXT_BYTES + 1] = {0};
    sp_app_csrf_token(b->app, oauth_open_cookie(b, ada.cookie).sid, api);
    const struct {
        const char *request, *csrf, *cookie;
    } wrong[] = {
        {page.request, "", ada.cookie},
        {page.request, NULL, ada.cookie},
        {page.request, elsewhere.csrf, ada.cookie}, /* of another client's page */
        {page.request, bobs.csrf, ada.cookie},      /* of another person's */
        {page.request, api, ada.cookie},            /* of the API */
        {bobs.request, page.csrf, ada.cookie},
        {page.request, page.csrf, bob.cookie}, /* another sign-in's cookie */
        {page.request, page.csrf, NULL},
        {page.request, page.csrf, "junk"},
    };
    for (size_t i = 0; i < SP_ARRAY_LEN(wrong); i++) {
        const struct page p = oauth_consent(b, wrong[i].request, wrong[i].csrf, wrong[i].cookie, true);
        assert_next(&p, REDIRECT);
        char code[SP_LOCATION_BYTES_MAX];
        assert_false(oauth_param(&p, "code", code, sizeof(code)));
        assert_int_equal(strncmp(p.location, "https://auth.example/oauth2/authorize?", 38), 0);
    }
    assert_int_equal(bench_records(b, "consent_given"), 0);
    const struct page good = oauth_consent(b, page.request, page.csrf, ada.cookie, true);
    assert_param(&good, "state", "s-1");
}

static void consent_of_a_sign_in_that_has_ended_leads_to_the_login_page(void **state) {
    BENCH;
    const struct page in = oauth_sign_in(b, "ada");
    struct sp_authz_params params = oauth_params("app");
    const struct page ask = oauth_ask(b, &params, in.cookie);
    oauth_session_end(b, oauth_open_cookie(b, in.cookie).sid);
    const struct page sent = oauth_consent(b, ask.request, ask.csrf, in.cookie, true);
    assert_true(sent.expires_cookie);
    const struct page p = oauth_follow(b, &sent, in.cookie);
    assert_next(&p, LOGIN);
    assert_int_equal(bench_records(b, "consent_given"), 0);
}

static void a_page_that_lay_too_long_is_an_error(void **state) {
    BENCH;
    const struct page in = oauth_sign_in(b, "ada");
    struct sp_authz_params params = oauth_params("app");
    const struct page ask = oauth_ask(b, &params, in.cookie), login = oauth_ask(b, &params, NULL);
    b->now_ms += SP_OAUTH_PAGE_TTL_S * 1000;
    assert_int_equal(oauth_consent(b, ask.request, ask.csrf, in.cookie, true).next, SP_AUTHZ_ERROR);
    assert_int_equal(oauth_login(b, login.request, "ada", "correct horse", NULL).next, SP_AUTHZ_ERROR);
    assert_int_equal(bench_records(b, "login"), 1);
}

/* ---- sealed texts in the wrong place ---- */

static void sealed_texts_are_good_for_their_own_kind_alone(void **state) {
    BENCH;
    const struct page in = oauth_sign_in(b, "ada");
    struct sp_authz_params params = oauth_params("app");
    const struct page ask = oauth_ask(b, &params, in.cookie);
    const struct page out = oauth_logout(b, &(struct sp_authz_logout){.cookie = S(in.cookie)});
    assert_next(&out, LOGOUT);
    const struct page got = oauth_consent(b, ask.request, ask.csrf, in.cookie, true);
    char code[SP_LOCATION_BYTES_MAX];
    assert_true(oauth_param(&got, "code", code, sizeof(code)));
    const char *const texts[] = {in.cookie, out.request, code, "", "AAAA", "junk!"};
    for (size_t i = 0; i < SP_ARRAY_LEN(texts); i++) { /* as a page's request */
        assert_int_equal(oauth_consent(b, texts[i], ask.csrf, in.cookie, true).next, SP_AUTHZ_ERROR);
        assert_int_equal(oauth_login(b, texts[i], "ada", "correct horse", NULL).next, SP_AUTHZ_ERROR);
        char uri[SP_LOCATION_BYTES_MAX + 64];
        snprintf(uri, sizeof(uri), "%s%s", SP_OAUTH_REQUEST_URI_PREFIX, texts[i]);
        const struct sp_authz_params by_uri = {.client_id = S("app"), .request_uri = S(uri)};
        const struct page p = oauth_ask(b, &by_uri, in.cookie);
        assert_next(&p, ERROR);
        assert_int_equal(p.error, SP_OAUTH_INVALID_REQUEST_URI);
    }
    const char *const cookies[] = {ask.request, out.request, code, "junk"};
    params.prompt = S("none");
    for (size_t i = 0; i < SP_ARRAY_LEN(cookies); i++) { /* as the sign-in's cookie */
        const struct page p = oauth_ask(b, &params, cookies[i]);
        assert_told(&p, SP_OAUTH_LOGIN_REQUIRED);
        assert_true(p.expires_cookie);
    }
}

static void a_request_uri_is_one_clients(void **state) {
    BENCH;
    struct sp_authz_params params = oauth_params("app");
    const struct page login = oauth_ask(b, &params, NULL);
    char uri[SP_LOCATION_BYTES_MAX];
    snprintf(uri, sizeof(uri), "%s%s", SP_OAUTH_REQUEST_URI_PREFIX, login.request);
    struct sp_authz_params by_uri = {.client_id = S("other"), .request_uri = S(uri)};
    struct page p = oauth_ask(b, &by_uri, NULL);
    assert_next(&p, ERROR);
    assert_int_equal(p.error, SP_OAUTH_INVALID_REQUEST_URI);
    by_uri.client_id = SP_SLICE_EMPTY;
    assert_int_equal(oauth_ask(b, &by_uri, NULL).next, SP_AUTHZ_ERROR);
    by_uri.client_id = S("app");
    by_uri.request = S("e30.e30.");
    assert_int_equal(oauth_ask(b, &by_uri, NULL).next, SP_AUTHZ_ERROR);
    by_uri.request = SP_SLICE_EMPTY;
    by_uri.redirect_uri = S("https://evil.example/cb"); /* what it holds counts, not what stands beside it */
    assert_int_equal(oauth_ask(b, &by_uri, NULL).next, SP_AUTHZ_LOGIN);
    by_uri.request_uri = S("https://app.example/request.jwt"); /* never fetched */
    assert_int_equal(oauth_ask(b, &by_uri, NULL).next, SP_AUTHZ_ERROR);
}

static void a_request_is_held_against_the_client_as_it_is_by_then(void **state) {
    BENCH;
    struct sp_authz_params params = oauth_params("app");
    const struct page login = oauth_ask(b, &params, NULL);
    struct sp_client_row row = oauth_client_row(b, "app");
    assert_int_equal(SP_TEXT_SET(&row.redirect_uris, S("https://app.example/new")).code, SP_OK);
    oauth_client_put(b, &row);
    assert_int_equal(oauth_login(b, login.request, "ada", "correct horse", NULL).next, SP_AUTHZ_ERROR);
    oauth_client_delete(b, "app");
    assert_int_equal(oauth_login(b, login.request, "ada", "correct horse", NULL).next, SP_AUTHZ_ERROR);
    assert_int_equal(bench_records(b, "login"), 0);
}

static void a_code_of_one_client_is_none_of_another(void **state) {
    BENCH;
    const struct page in = oauth_sign_in(b, "ada");
    struct sp_authz_params app = oauth_params("app");
    const struct page got = oauth_code(b, &app, in.cookie);
    assert_param(&got, "iss", "https://auth.example"); /* RFC 9207: the client sees whose answer it is */
    assert_int_equal(oauth_redeem(b, "other", &got).error, SP_OAUTH_INVALID_GRANT);
    assert_int_equal(oauth_redeem(b, "own", &got).error, SP_OAUTH_INVALID_GRANT);
}

/* ---- prompt, max_age, hint ---- */

/* The request of a page, opened as if we had been sent there. */
static struct page reopen(struct bench *b, const char *client_id, const struct page *page,
                          const char *cookie) {
    char uri[sizeof(SP_OAUTH_REQUEST_URI_PREFIX) + sizeof(page->request)];
    snprintf(uri, sizeof(uri), "%s%s", SP_OAUTH_REQUEST_URI_PREFIX, page->request);
    const struct sp_authz_params in = {.client_id = sp_slice_cstr(client_id),
                                       .request_uri = sp_slice_cstr(uri)};
    return oauth_ask(b, &in, cookie);
}

static void prompt_none_shows_no_page(void **state) {
    BENCH;
    struct sp_authz_params app = oauth_params("app"), own = oauth_params("own");
    app.prompt = own.prompt = S("none");
    struct page p = oauth_ask(b, &app, NULL);
    assert_told(&p, SP_OAUTH_LOGIN_REQUIRED);
    const struct page in = oauth_sign_in(b, "ada");
    p = oauth_ask(b, &app, in.cookie);
    assert_told(&p, SP_OAUTH_CONSENT_REQUIRED);
    p = oauth_ask(b, &own, in.cookie);
    assert_param(&p, "state", "s-1");
    assert_int_equal(oauth_redeem(b, "own", &p).error, SP_OAUTH_NONE);
    app.prompt = SP_SLICE_EMPTY;
    oauth_code(b, &app, in.cookie);
    app.prompt = S("none");
    p = oauth_ask(b, &app, in.cookie);
    assert_int_equal(oauth_redeem(b, "app", &p).error, SP_OAUTH_NONE);
    app.max_age = S("0");
    p = oauth_ask(b, &app, in.cookie);
    assert_told(&p, SP_OAUTH_LOGIN_REQUIRED);
}

static void prompt_login_is_met_by_a_login_for_it_and_by_no_other(void **state) {
    BENCH;
    const struct page in = oauth_sign_in(b, "ada");
    struct sp_authz_params own = oauth_params("own");
    own.prompt = S("login");
    const struct page ask = oauth_ask(b, &own, in.cookie);
    assert_next(&ask, LOGIN);
    const struct page again = oauth_login(b, ask.request, "ada", "correct horse", in.cookie);
    const struct page got = oauth_follow(b, &again, again.cookie);
    assert_param(&got, "state", "s-1");
    /* The same address in a browser that is signed in otherwise: a link that somebody was sent. */
    assert_int_equal(oauth_follow(b, &again, in.cookie).next, SP_AUTHZ_LOGIN);
    const struct page bob = oauth_sign_in(b, "bob");
    assert_int_equal(oauth_follow(b, &again, bob.cookie).next, SP_AUTHZ_LOGIN);
}

static void prompt_consent_asks_each_time_but_not_for_a_trusted_client(void **state) {
    BENCH;
    const struct page in = oauth_sign_in(b, "ada");
    struct sp_authz_params app = oauth_params("app"), own = oauth_params("own");
    app.prompt = own.prompt = S("consent");
    oauth_code(b, &app, in.cookie);
    assert_int_equal(oauth_ask(b, &app, in.cookie).next, SP_AUTHZ_CONSENT);
    assert_int_equal(oauth_ask(b, &own, in.cookie).next, SP_AUTHZ_REDIRECT);
}

static void max_age_asks_for_a_login_that_is_fresh(void **state) {
    BENCH;
    const struct page in = oauth_sign_in(b, "ada");
    struct sp_authz_params own = oauth_params("own");
    own.max_age = S("300");
    b->now_ms += 300 * 1000;
    assert_int_equal(oauth_ask(b, &own, in.cookie).next, SP_AUTHZ_REDIRECT);
    b->now_ms += 1000;
    const struct page ask = oauth_ask(b, &own, in.cookie);
    assert_next(&ask, LOGIN);
    const struct page again = oauth_login(b, ask.request, "ada", "correct horse", in.cookie);
    const struct page got = oauth_follow(b, &again, again.cookie);
    assert_int_equal(oauth_open_code(b, &got).auth_time_s, b->now_ms / 1000);
}

/* Each page has ten minutes of its own, and whoever opens it again gets another one. */
static void login_for_a_request_is_not_fresh_for_ever(void **state) {
    BENCH;
    const struct page in = oauth_sign_in(b, "ada");
    struct sp_authz_params app = oauth_params("app");
    app.prompt = S("login consent");
    const struct page ask = oauth_ask(b, &app, in.cookie);
    const struct page again = oauth_login(b, ask.request, "ada", "correct horse", in.cookie);
    struct page page = oauth_follow(b, &again, again.cookie);
    for (int minutes = 0; minutes < 60; minutes += 5) {
        if (minutes > 0) page = reopen(b, "app", &page, again.cookie);
        assert_int_equal(page.next, minutes <= 10 ? SP_AUTHZ_CONSENT : SP_AUTHZ_LOGIN);
        b->now_ms += 5 * 60 * 1000;
    }
}

static void a_hint_is_whom_the_client_means(void **state) {
    BENCH;
    const struct page ada = oauth_sign_in(b, "ada"), bob = oauth_sign_in(b, "bob");
    struct sp_authz_params own = oauth_params("own");
    const struct page got = oauth_code(b, &own, ada.cookie);
    const struct redeemed r = oauth_redeem(b, "own", &got);
    own.id_token_hint = S(r.id_token);
    own.prompt = S("none");
    struct page p = oauth_ask(b, &own, ada.cookie);
    assert_int_equal(oauth_redeem(b, "own", &p).error, SP_OAUTH_NONE);
    p = oauth_ask(b, &own, bob.cookie);
    assert_told(&p, SP_OAUTH_LOGIN_REQUIRED);
    own.prompt = SP_SLICE_EMPTY;
    const struct page ask = oauth_ask(b, &own, bob.cookie);
    assert_next(&ask, LOGIN);
    /* bob logs in although ada was meant: that is not what the client asked for. */
    const struct page in = oauth_login(b, ask.request, "bob", "battery staple", bob.cookie);
    p = oauth_follow(b, &in, in.cookie);
    assert_told(&p, SP_OAUTH_LOGIN_REQUIRED);
    const struct page as_ada = oauth_login(b, ask.request, "ada", "correct horse", bob.cookie);
    p = oauth_follow(b, &as_ada, as_ada.cookie);
    assert_int_equal(oauth_redeem(b, "own", &p).error, SP_OAUTH_NONE);
}

static void a_hint_that_is_none_counts_only_where_nobody_can_be_asked(void **state) {
    BENCH;
    const struct page ada = oauth_sign_in(b, "ada");
    struct sp_authz_params own = oauth_params("own"), app = oauth_params("app");
    const struct page got = oauth_code(b, &app, ada.cookie);
    const struct redeemed r = oauth_redeem(b, "app", &got);
    const char *const hints[] = {"junk", r.access, r.id_token /* another client's */};
    for (size_t i = 0; i < SP_ARRAY_LEN(hints); i++) {
        own.id_token_hint = S(hints[i]);
        own.prompt = S("none");
        const struct page p = oauth_ask(b, &own, ada.cookie);
        assert_told(&p, SP_OAUTH_LOGIN_REQUIRED);
        own.prompt = SP_SLICE_EMPTY;
        assert_int_equal(oauth_ask(b, &own, ada.cookie).next, SP_AUTHZ_REDIRECT);
    }
}

/* ---- where faults are told ---- */

static void faults_go_to_the_client_only_when_it_is_known(void **state) {
    BENCH;
    struct sp_authz_params params = oauth_params("app");
    params.code_challenge_method = S("plain");
    struct page p = oauth_ask(b, &params, NULL);
    assert_told(&p, SP_OAUTH_INVALID_REQUEST);
    params.redirect_uri = S("https://other.example/cb"); /* another client's */
    p = oauth_ask(b, &params, NULL);
    assert_next(&p, ERROR);
    assert_int_equal(p.location[0], 0);
    params = oauth_params("nobody");
    p = oauth_ask(b, &params, NULL);
    assert_next(&p, ERROR);
    assert_int_equal(p.error, SP_OAUTH_INVALID_REQUEST);
}

static void without_openid_connect_there_is_no_openid(void **state) {
    BENCH;
    bench_stop(b);
    b->config.alg = SP_ALG_HS256;
    bench_start(b);
    b->now_ms += 61 * 1000;
    sp_app_tick(b->app, &b->queue.executor);
    bench_run(b);
    if (sp_oauth_has_openid(b->app)) skip(); /* the key of before still signs */
    struct sp_authz_params params = oauth_params("app");
    const struct page p = oauth_ask(b, &params, NULL);
    assert_told(&p, SP_OAUTH_INVALID_SCOPE);
}

#define T(f) OAUTH_TESTS(f)

int main(void) {
    const struct CMUnitTest tests[] = {
        T(login_consent_code_and_tokens),
        T(a_code_says_who_signed_in_how_and_when),
        T(the_sign_in_is_a_session_that_its_person_sees),
        T(single_sign_on_asks_neither_for_a_password_nor_twice_for_consent),
        T(two_tabs_end_in_two_codes),
        T(a_browser_that_keeps_no_cookie_is_told_so),
        T(a_scope_is_what_the_person_may_and_nothing_that_was_dropped_is_asked_for),
        T(a_scope_that_grows_is_asked_for_again),
        T(a_client_that_was_made_anew_is_asked_for_again),
        T(a_no_is_told_to_the_client_and_recorded),
        T(consent_needs_the_token_of_this_page_and_this_sign_in),
        T(consent_of_a_sign_in_that_has_ended_leads_to_the_login_page),
        T(a_page_that_lay_too_long_is_an_error),
        T(sealed_texts_are_good_for_their_own_kind_alone),
        T(a_request_uri_is_one_clients),
        T(a_request_is_held_against_the_client_as_it_is_by_then),
        T(a_code_of_one_client_is_none_of_another),
        T(prompt_none_shows_no_page),
        T(prompt_login_is_met_by_a_login_for_it_and_by_no_other),
        T(prompt_consent_asks_each_time_but_not_for_a_trusted_client),
        T(max_age_asks_for_a_login_that_is_fresh),
        T(login_for_a_request_is_not_fresh_for_ever),
        T(a_hint_is_whom_the_client_means),
        T(a_hint_that_is_none_counts_only_where_nobody_can_be_asked),
        T(faults_go_to_the_client_only_when_it_is_known),
        T(without_openid_connect_there_is_no_openid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
