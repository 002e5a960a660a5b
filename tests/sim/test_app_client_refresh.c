/* grant_type=refresh_token: the machine of /auth/refresh, bound to the client, and what differs. */
#include "token_bench.h"

#include "core/app_internal.h"

enum { GRACE_OVER_MS = SP_GRACE_DEFAULT_MS + 1 };

static void refresh_rotates_and_says_the_scope_again(void **state) {
    BENCH;
    uint8_t sid[SP_ROW_SID_BYTES];
    const struct granted first = token_session_sid(b, as_public("app"), sid);
    const struct granted next = token_refresh(b, as_public("app"), &first);
    assert_error(next, NONE);
    assert_string_not_equal(next.refresh, first.refresh);
    assert_string_equal(next.scope, first.scope);
    assert_int_equal(bench_session(b, sid).generation, 1);
    const char *claims = token_payload(next.id_token);
    assert_null(strstr(claims, "nonce")); /* it was for the request, which is long over */
    assert_reject(token_check(b, next.access), "ok");
}

static void retry_within_grace_gives_the_same_token_again(void **state) {
    BENCH;
    const struct granted first = token_session(b, as_public("app"));
    const struct granted next = token_refresh(b, as_public("app"), &first);
    b->now_ms += SP_GRACE_DEFAULT_MS;
    const struct granted again = token_refresh(b, as_public("app"), &first);
    assert_error(again, NONE);
    assert_string_equal(again.refresh, next.refresh);
}

static void reuse_after_grace_trips_the_session(void **state) {
    BENCH;
    uint8_t sid[SP_ROW_SID_BYTES];
    const struct granted first = token_session_sid(b, as_public("app"), sid);
    const struct granted next = token_refresh(b, as_public("app"), &first);
    b->now_ms += GRACE_OVER_MS;
    assert_error(token_refresh(b, as_public("app"), &first), INVALID_GRANT);
    assert_int_equal(bench_session(b, sid).state, SP_SESSION_TRIPPED);
    assert_int_equal(bench_records(b, "refresh_reuse_detected"), 1);
    assert_error(token_refresh(b, as_public("app"), &next), INVALID_GRANT);
    assert_reject(token_check(b, next.access), "revoked");
}

static void superseded_token_is_an_invalid_grant_and_trips_nothing(void **state) {
    BENCH;
    uint8_t sid[SP_ROW_SID_BYTES];
    const struct granted first = token_session_sid(b, as_public("app"), sid);
    const struct granted second = token_refresh(b, as_public("app"), &first);
    assert_error(token_refresh(b, as_public("app"), &second), NONE);
    assert_error(token_refresh(b, as_public("app"), &first), INVALID_GRANT);
    assert_int_equal(bench_session(b, sid).state, SP_SESSION_ACTIVE);
}

static void attempt_makes_a_late_retry_good(void **state) {
    BENCH;
    const struct granted first = token_session(b, as_public("app"));
    struct sp_oauth_token_request in = refresh_request(as_public("app"), &first);
    in.attempt = SP_SLICE_LIT("AAECAwQFBgcICQoLDA0ODw");
    const struct granted next = token_ask(b, in);
    assert_error(next, NONE);
    b->now_ms += 60 * 1000;
    const struct granted again = token_ask(b, in);
    assert_error(again, NONE);
    assert_string_equal(again.refresh, next.refresh);
    in.attempt = SP_SLICE_LIT("AAECAwQFBgcICQoLDA0OD");
    assert_error(token_ask(b, in), INVALID_REQUEST);
}

/* ---- whose token it is ---- */

static void token_of_another_client_is_refused_and_never_trips(void **state) {
    BENCH;
    uint8_t sid[SP_ROW_SID_BYTES];
    const struct granted first = token_session_sid(b, as_public("app"), sid);
    const struct granted next = token_refresh(b, as_public("app"), &first);
    b->now_ms += GRACE_OVER_MS;
    assert_error(token_refresh(b, as_public("other"), &next), INVALID_GRANT);
    assert_error(token_refresh(b, as_public("other"), &first), INVALID_GRANT); /* an old one, too */
    assert_error(token_refresh(b, as_svc(), &first), INVALID_GRANT);
    assert_int_equal(bench_session(b, sid).state, SP_SESSION_ACTIVE);
    assert_int_equal(bench_records(b, "refresh_reuse_detected"), 0);
    assert_true(bench_records(b, "client_mismatch") >= 1);
    assert_error(token_refresh(b, as_public("app"), &next), NONE);
}

static void first_party_token_is_none_of_a_clients(void **state) {
    BENCH;
    const struct tokens own = bench_login(b);
    struct granted as_if = {0};
    memcpy(as_if.refresh, own.refresh, own.refresh_n);
    assert_error(token_refresh(b, as_public("app"), &as_if), INVALID_GRANT);
    assert_int_equal(bench_session(b, own.sid).generation, 0);
    assert_int_equal(bench_records(b, "client_mismatch"), 1);
    assert_int_equal(bench_refresh(b, &own).outcome, SP_OUTCOME_OK);
}

static void clients_token_is_none_of_the_first_partys(void **state) {
    BENCH;
    uint8_t sid[SP_ROW_SID_BYTES];
    const struct granted g = token_session_sid(b, as_public("app"), sid);
    struct tokens as_if = {0};
    memcpy(as_if.refresh, g.refresh, as_if.refresh_n = strlen(g.refresh));
    assert_int_equal(bench_refresh(b, &as_if).outcome, SP_OUTCOME_INVALID_GRANT);
    assert_int_equal(bench_session(b, sid).generation, 0);
    assert_error(token_refresh(b, as_public("app"), &g), NONE);
}

static void junk_is_an_invalid_grant_and_nothing_an_invalid_request(void **state) {
    BENCH;
    struct granted junk = {.refresh = "spr1_junk"};
    assert_error(token_refresh(b, as_public("app"), &junk), INVALID_GRANT);
    junk.refresh[0] = 0;
    assert_error(token_refresh(b, as_public("app"), &junk), INVALID_REQUEST);
}

static void disabled_user_and_disabled_client_refresh_no_more(void **state) {
    BENCH;
    const struct granted g = token_session(b, as_svc());
    struct sp_client_row row = token_svc_row(b);
    row.disabled = true;
    oauth_client_put(b, &row);
    assert_error(token_refresh(b, as_svc(), &g), INVALID_CLIENT);
    row.disabled = false;
    oauth_client_put(b, &row);
    const struct granted next = token_refresh(b, as_svc(), &g);
    assert_error(next, NONE);
    oauth_user_disable(b, "ada");
    assert_error(token_refresh(b, as_svc(), &next), INVALID_GRANT);
}

/* ---- narrowing ---- */

/* The walk that ends the sessions of a client knows them by their beginning: a code that is redeemed while
 * the client is being disabled begins one after that was asked for, and before it is done. */
static void session_that_begins_while_its_client_is_disabled_ends_with_it(void **state) {
    BENCH;
    static const enum sp_client_edit ways[] = {SP_CLIENT_DISABLE, SP_CLIENT_DELETE};
    for (size_t i = 0; i < SP_ARRAY_LEN(ways); i++) {
        const char *id = i == 0 ? "app" : "other";
        const struct sp_call call = bench_call_admin(b);
        const struct sp_authz_code code = code_new(b, id);
        const struct sp_oauth_token_request in = code_request(as_public(id), code_text(b, &code));
        struct plain edited = {0};
        struct granted g;
        sp_app_client_edit(b->app, &call, sp_slice_cstr(id), ways[i], bench_plain_done, &edited);
        b->now_ms += 1;
        token_begin(b, &in, &g);
        b->now_ms += 1;
        bench_run(b);
        assert_int_equal(edited.outcome, SP_OUTCOME_OK);
        assert_error(g, NONE); /* it was first */
        assert_int_equal(bench_session(b, code.sid).cause, SP_END_CLIENT_REVOKED);
        assert_reject(token_check(b, g.access), "revoked");
    }
}

/* Whatever kept the sessions of the first one from being ended: a restart, a store that failed. */
static void token_of_a_former_client_of_this_id_is_worth_nothing(void **state) {
    BENCH;
    const struct granted old = token_session(b, as_public("app"));
    struct granted kept = token_session(b, as_svc());
    b->now_ms += 1000;
    struct sp_client_row row = oauth_client_row(b, "app"), svc = token_svc_row(b);
    oauth_client_delete(b, "app");
    oauth_client_delete(b, "svc");
    row.created_ms = svc.created_ms = b->now_ms;
    svc.rotate_refresh = false;
    oauth_client_put(b, &row);
    oauth_client_put(b, &svc);
    b->now_ms += 1000;
    assert_error(token_refresh(b, as_public("app"), &old), INVALID_GRANT);
    struct sp_oauth_token_request in =
        refresh_request(as_public("app"), &old); /* the session is read first */
    in.scope = SP_SLICE_LIT("openid");
    assert_error(token_ask(b, in), INVALID_GRANT);
    assert_error(token_refresh(b, as_svc(), &kept), INVALID_GRANT);
    assert_error(token_refresh(b, as_svc(), &kept), INVALID_GRANT);
    const struct granted own = token_session(b, as_svc());
    assert_error(token_refresh(b, as_svc(), &own), NONE);
}

static void narrower_scope_is_for_this_access_token_only(void **state) {
    BENCH;
    const struct granted first = token_session(b, as_public("app"));
    struct sp_oauth_token_request in = refresh_request(as_public("app"), &first);
    in.scope = SP_SLICE_LIT("documents:read");
    const struct granted narrow = token_ask(b, in);
    assert_error(narrow, NONE);
    assert_string_equal(narrow.scope, "documents:read");
    assert_int_equal(narrow.id_token[0], 0); /* openid was not asked for */
    const struct sp_principal p = token_principal(b, narrow.access);
    assert_true(sp_app_permits(b->app, &p, SP_SLICE_LIT("documents:read")));
    assert_false(sp_app_permits(b->app, &p, SP_SLICE_LIT("documents:write")));
    assert_string_equal(token_refresh(b, as_public("app"), &narrow).scope, first.scope);
}

static void more_scope_than_granted_is_refused_before_anything_rotates(void **state) {
    BENCH;
    uint8_t sid[SP_ROW_SID_BYTES];
    const struct granted first = token_session_sid(b, as_public("app"), sid);
    struct sp_oauth_token_request in = refresh_request(as_public("app"), &first);
    static const char *const more[] = {"documents:burn",
                                       "openid offline_access",
                                       "sallyport:admin",
                                       "*",
                                       "documents:*",
                                       "documents:read  openid",
                                       " "};
    for (size_t i = 0; i < SP_ARRAY_LEN(more); i++) {
        in.scope = sp_slice_cstr(more[i]);
        assert_error(token_ask(b, in), INVALID_SCOPE);
    }
    assert_int_equal(bench_session(b, sid).generation, 0);
    in.scope = SP_SLICE_EMPTY;
    assert_error(token_ask(b, in), NONE);
}

/* Some libraries (Authlib) repeat at each refresh what they asked for at first. */
static void scopes_that_were_ignored_at_first_are_ignored_again(void **state) {
    BENCH;
    const struct granted first = token_session(b, as_public("app"));
    struct sp_oauth_token_request in = refresh_request(as_public("app"), &first);
    in.scope = SP_SLICE_LIT("openid email phone documents:read");
    const struct granted next = token_ask(b, in);
    assert_error(next, NONE);
    assert_string_equal(next.scope, "openid documents:read");
    in = refresh_request(as_public("app"), &next);
    in.scope = SP_SLICE_LIT("email");
    assert_error(token_ask(b, in), INVALID_SCOPE);
}

static void asking_for_too_much_does_not_save_a_thief(void **state) {
    BENCH;
    uint8_t sid[SP_ROW_SID_BYTES];
    const struct granted first = token_session_sid(b, as_public("app"), sid);
    assert_error(token_refresh(b, as_public("app"), &first), NONE);
    b->now_ms += GRACE_OVER_MS;
    struct sp_oauth_token_request in = refresh_request(as_public("app"), &first);
    in.scope = SP_SLICE_LIT("documents:burn");
    assert_error(token_ask(b, in), INVALID_GRANT);
    assert_int_equal(bench_session(b, sid).state, SP_SESSION_TRIPPED);
}

static void scope_shrinks_with_the_client_and_with_the_user(void **state) {
    BENCH;
    const struct granted first = token_session(b, as_public("app"));
    struct sp_client_row row = oauth_client_row(b, "app");
    assert_true(sp_ok(SP_TEXT_SET(&row.scopes, SP_SLICE_LIT("openid documents:write"))));
    oauth_client_put(b, &row);
    const struct granted second = token_refresh(b, as_public("app"), &first);
    assert_string_equal(second.scope, "openid documents:write");
    struct sp_user_row ada = bench_user(b, "ada");
    ada.roles.n = 0;
    bench_user_put(b, &ada);
    assert_string_equal(token_refresh(b, as_public("app"), &second).scope, "openid");
}

static void resource_must_be_one_of_the_sessions(void **state) {
    BENCH;
    uint8_t sid[SP_ROW_SID_BYTES];
    const struct granted first = token_session_sid(b, as_svc(), sid); /* for the first of its audiences */
    struct sp_oauth_token_request in = refresh_request(as_svc(), &first);
    const sp_slice api = SP_SLICE_LIT("https://api.example"), files = SP_SLICE_LIT("https://files.example"),
                   stranger = SP_SLICE_LIT("https://evil.example");
    in.n_resources = 1;
    in.resources = &files; /* the client's, but not this session's */
    assert_error(token_ask(b, in), INVALID_TARGET);
    in.resources = &stranger;
    assert_error(token_ask(b, in), INVALID_TARGET);
    assert_int_equal(bench_session(b, sid).generation, 0);
    in.resources = &api;
    assert_error(token_ask(b, in), NONE);
}

static void audience_that_the_client_lost_gives_no_token(void **state) {
    BENCH;
    const struct granted first = token_session(b, as_svc());
    struct sp_client_row row = token_svc_row(b);
    assert_true(sp_ok(SP_TEXT_SET(&row.audiences, SP_SLICE_LIT("https://files.example"))));
    oauth_client_put(b, &row);
    assert_error(token_refresh(b, as_svc(), &first), INVALID_GRANT);
}

/* ---- without rotation ---- */

static void keep_tokens(struct bench *b, struct sp_client_row row) {
    row.rotate_refresh = false;
    oauth_client_put(b, &row);
}

static void client_that_does_not_rotate_keeps_its_token(void **state) {
    BENCH;
    uint8_t sid[SP_ROW_SID_BYTES];
    keep_tokens(b, token_svc_row(b));
    const struct granted first = token_session_sid(b, as_svc(), sid);
    for (int i = 0; i < 4; i++) {
        b->now_ms += 6 * 86400 * (int64_t)1000; /* idle after seven days: each refresh begins it anew */
        const struct granted next = token_refresh(b, as_svc(), &first);
        assert_error(next, NONE);
        assert_string_equal(next.refresh, first.refresh);
        assert_reject(token_check(b, next.access), "ok");
    }
    assert_int_equal(bench_session(b, sid).generation, 0);
    assert_int_equal(bench_session(b, sid).state, SP_SESSION_ACTIVE);
    b->now_ms += 8 * 86400 * (int64_t)1000;
    assert_error(token_refresh(b, as_svc(), &first), INVALID_GRANT);
}

static void token_that_is_kept_can_be_narrowed(void **state) {
    BENCH;
    keep_tokens(b, token_svc_row(b));
    const struct granted first = token_session(b, as_svc());
    struct sp_oauth_token_request in = refresh_request(as_svc(), &first);
    in.scope = SP_SLICE_LIT("documents:read");
    const struct granted narrow = token_ask(b, in);
    assert_error(narrow, NONE);
    assert_string_equal(narrow.refresh, first.refresh);
    assert_string_equal(narrow.scope, "documents:read");
}

static void public_client_always_rotates(void **state) {
    BENCH;
    keep_tokens(b, oauth_client_row(b, "app"));
    const struct granted first = token_session(b, as_public("app"));
    const struct granted next = token_refresh(b, as_public("app"), &first);
    assert_string_not_equal(next.refresh, first.refresh);
}

static void token_from_before_rotation_ended_still_trips(void **state) {
    BENCH;
    uint8_t sid[SP_ROW_SID_BYTES];
    const struct granted first = token_session_sid(b, as_svc(), sid);
    const struct granted next = token_refresh(b, as_svc(), &first);
    keep_tokens(b, token_svc_row(b));
    assert_string_equal(token_refresh(b, as_svc(), &next).refresh, next.refresh);
    b->now_ms += GRACE_OVER_MS;
    assert_error(token_refresh(b, as_svc(), &first), INVALID_GRANT);
    assert_int_equal(bench_session(b, sid).state, SP_SESSION_TRIPPED);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TOKEN_TESTS(refresh_rotates_and_says_the_scope_again),
        TOKEN_TESTS(retry_within_grace_gives_the_same_token_again),
        TOKEN_TESTS(reuse_after_grace_trips_the_session),
        TOKEN_TESTS(superseded_token_is_an_invalid_grant_and_trips_nothing),
        TOKEN_TESTS(attempt_makes_a_late_retry_good),
        TOKEN_TESTS(token_of_another_client_is_refused_and_never_trips),
        TOKEN_TESTS(first_party_token_is_none_of_a_clients),
        TOKEN_TESTS(clients_token_is_none_of_the_first_partys),
        TOKEN_TESTS(junk_is_an_invalid_grant_and_nothing_an_invalid_request),
        TOKEN_TESTS(disabled_user_and_disabled_client_refresh_no_more),
        TOKEN_TESTS(session_that_begins_while_its_client_is_disabled_ends_with_it),
        TOKEN_TESTS(token_of_a_former_client_of_this_id_is_worth_nothing),
        TOKEN_TESTS(narrower_scope_is_for_this_access_token_only),
        TOKEN_TESTS(more_scope_than_granted_is_refused_before_anything_rotates),
        TOKEN_TESTS(scopes_that_were_ignored_at_first_are_ignored_again),
        TOKEN_TESTS(asking_for_too_much_does_not_save_a_thief),
        TOKEN_TESTS(scope_shrinks_with_the_client_and_with_the_user),
        TOKEN_TESTS(resource_must_be_one_of_the_sessions),
        TOKEN_TESTS(audience_that_the_client_lost_gives_no_token),
        TOKEN_TESTS(client_that_does_not_rotate_keeps_its_token),
        TOKEN_TESTS(token_that_is_kept_can_be_narrowed),
        TOKEN_TESTS(public_client_always_rotates),
        TOKEN_TESTS(token_from_before_rotation_ended_still_trips),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
