/* Attacks on the OAuth face of a whole app, each by somebody who has something real in hand: a public
 * client's id, a consent page, a code. Each test runs over memory and over SQLite. */
#include "token_bench.h"

#include "core/app_internal.h"
#include "core/oauth_internal.h"

#define S(text) sp_slice_cstr(text)

/* ---- a stranger and the table of proofs ---- */

struct pushed {
    uint32_t answers;
    enum sp_oauth_error error;
};

static void pushed_done(void *arg, const struct sp_oauth_par_result *r) {
    struct pushed *p = arg;
    p->answers++;
    p->error = r->trouble.error;
}

static enum sp_oauth_error push(struct bench *b, struct sp_client_proof client, const char *id,
                                struct sp_dpop_shown dpop) {
    struct pushed p = {0};
    const struct sp_call call = bench_call(b);
    const struct sp_oauth_par_request in = {.client = client, .dpop = dpop, .params = oauth_params(id)};
    sp_oauth_par(b->app, &call, &in, pushed_done, &p);
    bench_run(b);
    assert_int_equal(p.answers, 1);
    return p.error;
}

/* Everybody knows the id and the address of a public client, and can make keys. */
static void pushing_as_a_public_client_adds_nothing_to_the_table_of_proofs(void **state) {
    BENCH;
    const size_t before = sp_replay_entries(b->app->proofs);
    const struct sp_dpop_shown dpop = proof_new(b, (struct proof){.path = "/oauth2/par"});
    assert_int_equal(push(b, as_public("app"), "app", dpop), SP_OAUTH_NONE);
    assert_int_equal(sp_replay_entries(b->app->proofs), before);
    /* Whoever has heard it may push it again: what comes of it is bound to a key that he does not have. */
    assert_int_equal(push(b, as_public("app"), "app", dpop), SP_OAUTH_NONE);
}

static void pushing_as_a_confidential_client_spends_the_proof(void **state) {
    BENCH;
    const struct sp_dpop_shown dpop = proof_new(b, (struct proof){.path = "/oauth2/par"});
    assert_int_equal(push(b, as_svc(), "svc", dpop), SP_OAUTH_NONE);
    assert_int_equal(push(b, as_svc(), "svc", dpop), SP_OAUTH_INVALID_DPOP_PROOF);
}

/* ---- what the page did not say ---- */

static void put_role(struct bench *b, const char *permissions) {
    struct sp_role_row role = {.tenant = SP_TENANT_DEFAULT};
    assert_int_equal(SP_TEXT_SET(&role.name, S("writer")).code, SP_OK);
    assert_int_equal(SP_TEXT_SET(&role.permissions, S(permissions)).code, SP_OK);
    struct sp_change c = {.kind = SP_CHANGE_ROLE_PUT,
                          .role_put = {.row = &role, .expect_version = SP_VERSION_ANY}};
    assert_int_equal(sp_store_commit_wait(b->store, &c, 1, NULL).code, SP_OK);
}

/* The client has asked for more than ada may, and waits with its page open until she may. */
static void nobody_allows_what_the_page_has_not_shown(void **state) {
    BENCH;
    const struct page in = oauth_sign_in(b, "ada");
    struct sp_authz_params params = oauth_params("app");
    params.scope = S("openid documents:read documents:burn");
    const struct page ask = oauth_ask(b, &params, in.cookie);
    assert_next(&ask, CONSENT);
    assert_string_equal(ask.scope, "openid documents:read");
    put_role(b, "documents:read documents:write documents:burn");
    const struct page sent = oauth_consent(b, ask.request, ask.csrf, in.cookie, true);
    const struct page again = oauth_follow(b, &sent, in.cookie);
    assert_next(&again, CONSENT); /* asked anew, with all of it */
    assert_string_equal(again.scope, "openid documents:read documents:burn");
    assert_int_equal(bench_records(b, "consent_given"), 0);
    const struct page given = oauth_consent(b, again.request, again.csrf, in.cookie, true);
    assert_string_equal(oauth_redeem(b, "app", &given).scope, "openid documents:read documents:burn");
}

static void a_page_that_shows_more_than_is_left_is_shown_anew(void **state) {
    BENCH;
    const struct page in = oauth_sign_in(b, "ada");
    struct sp_authz_params params = oauth_params("app");
    params.scope = S("openid documents:read documents:write");
    const struct page ask = oauth_ask(b, &params, in.cookie);
    put_role(b, "documents:read");
    const struct page sent = oauth_consent(b, ask.request, ask.csrf, in.cookie, true);
    const struct page again = oauth_follow(b, &sent, in.cookie);
    assert_next(&again, CONSENT);
    assert_string_equal(again.scope, "openid documents:read");
}

/* The sealed request of a login page never showed a scope, whoever computes a token for it. */
static void a_request_of_another_page_allows_nothing(void **state) {
    BENCH;
    const struct page in = oauth_sign_in(b, "ada");
    struct sp_authz_params params = oauth_params("app");
    const struct page login = oauth_ask(b, &params, NULL);
    char csrf[SP_CSRF_TEXT_BYTES + 1] = {0};
    sp_browser_csrf_token(b->app, oauth_open_cookie(b, in.cookie).sid, S(login.request), csrf);
    const struct page sent = oauth_consent(b, login.request, csrf, in.cookie, true);
    assert_next(&sent, REDIRECT);
    assert_int_equal(oauth_follow(b, &sent, in.cookie).next, SP_AUTHZ_CONSENT);
    assert_int_equal(bench_records(b, "consent_given"), 0);
}

/* ---- a client that goes while its code is on the way ---- */

static void disable(struct bench *b, const char *id) {
    struct sp_client_row row = oauth_client_row(b, id);
    row.disabled = true;
    oauth_client_put(b, &row);
}

static bool is_there(struct bench *b, const uint8_t *sid) {
    struct sp_store_read r = {.kind = SP_READ_SESSION,
                              .tenant = SP_TENANT_DEFAULT,
                              .key = sp_slice_of(sid, SP_ROW_SID_BYTES),
                              .limit = 1};
    const sp_status s = sp_store_read_wait(b->store, &r);
    sp_store_read_done(&r);
    assert_true(sp_ok(s) || sp_is(s, SP_E_NOT_FOUND));
    return sp_ok(s);
}

static void tokens_done(void *arg, const struct sp_oauth_tokens_result *r) {
    struct granted *g = arg;
    g->answers++;
    g->error = r->trouble.error;
    assert_int_equal(r->access_token.n, 0);
}

/* The client was let in, and goes before the store hears of its code: nobody would find the session. */
static void redeem_while(struct bench *b, void (*go)(struct bench *b, const char *id)) {
    const struct sp_authz_code code = code_new(b, "app");
    const struct sp_oauth_token_request in = code_request(as_public("app"), code_text(b, &code));
    const struct sp_call call = bench_call(b);
    struct granted g = {0};
    const struct sp_oauth_grant grant = {.call = &call,
                                         .in = &in,
                                         .client = sp_live_clients_get(b->app->clients, S("app")),
                                         .done = tokens_done,
                                         .arg = &g};
    go(b, "app");
    sp_oauth_grant_code(b->app, &grant);
    bench_run(b);
    assert_int_equal(g.answers, 1);
    assert_error(g, INVALID_GRANT);
    assert_false(is_there(b, code.sid));
    assert_int_equal(bench_records(b, "code_refused"), 1);
}

static void a_client_that_is_deleted_in_between_gets_no_session(void **state) {
    BENCH;
    redeem_while(b, oauth_client_delete);
}

static void a_client_that_is_disabled_in_between_gets_no_session(void **state) {
    BENCH;
    redeem_while(b, disable);
}

/* ---- what was taken back while a code is on the way ---- */

static void withdraw(struct bench *b, const char *client) {
    struct sp_principal who;
    struct plain p = {0};
    const struct tokens own = bench_login(b);
    assert_int_equal(own.outcome, SP_OUTCOME_OK);
    who = token_principal(b, own.access);
    struct sp_call call = bench_call(b);
    call.principal = &who;
    sp_app_consent_end_own(b->app, &call, S(client), bench_plain_done, &p);
    bench_run(b);
    assert_int_equal(p.outcome, SP_OUTCOME_OK);
}

/* The client keeps its code back until the person has thought better of it. */
static void a_code_from_before_consent_was_taken_back_is_not_redeemed(void **state) {
    BENCH;
    const struct page in = oauth_sign_in(b, "ada");
    struct sp_authz_params params = oauth_params("app");
    params.scope = S("openid offline_access");
    const struct page kept = oauth_code(b, &params, in.cookie);
    withdraw(b, "app");
    assert_int_equal(oauth_redeem(b, "app", &kept).error, SP_OAUTH_INVALID_GRANT);
    assert_false(is_there(b, oauth_open_code(b, &kept).sid));
    assert_int_equal(bench_records(b, "code_refused"), 1);
    assert_int_equal(oauth_ask(b, &params, in.cookie).next, SP_AUTHZ_CONSENT);
}

static void a_trusted_client_needs_no_consent_for_its_code(void **state) {
    BENCH;
    const struct page in = oauth_sign_in(b, "ada");
    const struct sp_authz_params params = oauth_params("own");
    const struct page got = oauth_code(b, &params, in.cookie);
    assert_int_equal(oauth_redeem(b, "own", &got).error, SP_OAUTH_NONE);
}

/* ---- a stranger and the audit log ---- */

/* Each name would be a record of its own: four thousand a minute, for as long as the disk lasts. */
static void a_stranger_with_a_thousand_names_is_on_record_once_a_minute(void **state) {
    BENCH;
    char id[16];
    for (int i = 0; i < 1000; i++) {
        snprintf(id, sizeof(id), "nobody-%d", i);
        const struct sp_oauth_token_request in = {.client = with_secret(id, "x"),
                                                  .grant_type = S("client_credentials")};
        assert_error(token_ask(b, in), INVALID_CLIENT);
    }
    assert_int_equal(bench_records(b, "client_refused"), 1);
    /* That somebody tries a client that is there has a record of its own. */
    const struct sp_oauth_token_request in = {.client = with_secret("svc", "x"),
                                              .grant_type = S("client_credentials")};
    assert_error(token_ask(b, in), INVALID_CLIENT);
    assert_int_equal(bench_records(b, "client_refused"), 2);
}

static void a_stranger_at_the_feed_is_on_record_once_a_minute(void **state) {
    BENCH;
    char id[16];
    const struct sp_call call = bench_call(b);
    for (int i = 0; i < 1000; i++) {
        struct sp_client_facts facts;
        snprintf(id, sizeof(id), "nobody-%d", i);
        assert_int_equal(sp_app_client_check(b->app, &call, S(id), S("x"), &facts), SP_CLIENT_REFUSED);
    }
    bench_run(b);
    assert_int_equal(bench_records(b, "client_refused"), 1);
}

/* ---- a client that trips on purpose ---- */

/* A replay by the client itself, long after; what is left of the person's own session. */
static enum sp_session_state own_session_after_replay_by(struct bench *b, const char *client) {
    const struct tokens own = bench_login(b);
    const struct granted first = token_session(b, as_public(client));
    const struct granted second = token_refresh(b, as_public(client), &first);
    assert_error(second, NONE);
    b->now_ms += 600 * 1000;
    const struct granted third = token_refresh(b, as_public(client), &second);
    assert_error(third, NONE);
    assert_error(token_refresh(b, as_public(client), &first), INVALID_GRANT);
    assert_error(token_refresh(b, as_public(client), &third), INVALID_GRANT); /* its own session is over */
    return bench_session(b, own.sid).state;
}

static void with_reuse(struct bench *b, enum sp_reuse_policy policy) {
    bench_stop(b);
    b->config.reuse = policy;
    bench_start(b);
    b->now_ms += 10 * 1000;
}

static void a_client_ends_nothing_but_its_own_by_a_replay(void **state) {
    BENCH;
    with_reuse(b, SP_REUSE_USER);
    assert_int_equal(own_session_after_replay_by(b, "app"), SP_SESSION_ACTIVE);
}

static void a_replay_at_a_client_of_the_operators_own_reaches_the_user(void **state) {
    BENCH;
    with_reuse(b, SP_REUSE_USER);
    assert_int_equal(own_session_after_replay_by(b, "own"), SP_SESSION_ENDED);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TOKEN_TESTS(pushing_as_a_public_client_adds_nothing_to_the_table_of_proofs),
        TOKEN_TESTS(pushing_as_a_confidential_client_spends_the_proof),
        TOKEN_TESTS(nobody_allows_what_the_page_has_not_shown),
        TOKEN_TESTS(a_page_that_shows_more_than_is_left_is_shown_anew),
        TOKEN_TESTS(a_request_of_another_page_allows_nothing),
        TOKEN_TESTS(a_client_that_is_deleted_in_between_gets_no_session),
        TOKEN_TESTS(a_client_that_is_disabled_in_between_gets_no_session),
        TOKEN_TESTS(a_code_from_before_consent_was_taken_back_is_not_redeemed),
        TOKEN_TESTS(a_stranger_with_a_thousand_names_is_on_record_once_a_minute),
        TOKEN_TESTS(a_stranger_at_the_feed_is_on_record_once_a_minute),
        TOKEN_TESTS(a_client_ends_nothing_but_its_own_by_a_replay),
        TOKEN_TESTS(a_replay_at_a_client_of_the_operators_own_reaches_the_user),
        TOKEN_TESTS(a_trusted_client_needs_no_consent_for_its_code),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
