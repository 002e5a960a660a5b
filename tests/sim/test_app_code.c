/* Authorization codes at the token endpoint: one redemption gives tokens, every other one takes them back. */
#include "token_bench.h"

#include "core/app_internal.h"

static struct granted redeem(struct bench *b, struct sp_client_proof client,
                             const struct sp_authz_code *code) {
    return token_ask(b, code_request(client, code_text(b, code)));
}

/* ---- a good one ---- */

static void code_becomes_the_session_whose_id_it_holds(void **state) {
    BENCH;
    const struct sp_authz_code code = code_new(b, "app");
    const struct granted g = redeem(b, as_public("app"), &code);
    assert_error(g, NONE);
    assert_string_equal(g.scope, "openid profile documents:read documents:write");
    assert_int_equal(g.expires_s, 900);
    assert_false(g.is_dpop);
    assert_true(g.refresh[0] != 0);
    const struct sp_session_row row = bench_session(b, code.sid);
    assert_int_equal(row.state, SP_SESSION_ACTIVE);
    assert_true(sp_slice_eq_cstr(SP_TEXT_SLICE(&row.client_id), "app"));
    assert_int_equal(row.auth_time_s, code.auth_time_s);
    assert_int_equal(row.jkt.n, 0);
    assert_false(row.offline || row.backchannel);
    assert_reject(token_check(b, g.access), "ok");
    const struct sp_principal p = token_principal(b, g.access);
    assert_memory_equal(p.sid, code.sid, sizeof(p.sid));
    assert_true(p.has_scope);
    assert_int_equal(bench_records(b, "code_redeemed"), 1);
}

static void id_token_says_who_and_when_and_for_which_request(void **state) {
    BENCH;
    const struct granted g = token_session(b, as_public("app"));
    const char *claims = token_payload(g.id_token);
    assert_non_null(strstr(claims, "\"aud\":\"app\""));
    assert_non_null(strstr(claims, "\"nonce\":\"n-1\""));
    assert_non_null(strstr(claims, "\"acr\":\"" SP_ACR_PASSWORD "\""));
    assert_non_null(strstr(claims, "\"amr\":[\"pwd\"]"));
    assert_non_null(strstr(claims, "\"auth_time\":"));
    assert_non_null(strstr(claims, "\"at_hash\":"));
    assert_non_null(strstr(claims, "\"sid\":"));
    assert_reject(token_check(b, g.id_token), "bad_typ"); /* and is no access token */
}

static void without_openid_there_is_no_id_token(void **state) {
    BENCH;
    struct sp_authz_code code = code_new(b, "app");
    assert_true(sp_ok(SP_TEXT_SET(&code.scope, SP_SLICE_LIT("documents:read"))));
    const struct granted g = redeem(b, as_public("app"), &code);
    assert_error(g, NONE);
    assert_int_equal(g.id_token[0], 0);
}

static void scope_is_what_the_user_may_at_this_moment(void **state) {
    BENCH;
    struct sp_authz_code code = code_new(b, "app");
    assert_true(sp_ok(SP_TEXT_SET(&code.scope, SP_SLICE_LIT("openid documents:read documents:burn"))));
    const struct granted g = redeem(b, as_public("app"), &code);
    assert_string_equal(g.scope, "openid documents:read");
    const char *claims = token_payload(g.access);
    assert_non_null(strstr(claims, "\"scope\":\"openid documents:read\""));
    assert_non_null(strstr(claims, "\"permissions\":[\"documents:read\"]"));
}

static void scope_that_comes_to_nothing_is_there_and_empty(void **state) {
    BENCH;
    struct sp_authz_code code = code_new(b, "app");
    assert_true(sp_ok(SP_TEXT_SET(&code.scope, SP_SLICE_LIT("documents:burn"))));
    const struct granted g = redeem(b, as_public("app"), &code);
    assert_error(g, NONE);
    assert_non_null(strstr(token_payload(g.access), "\"scope\":\"\""));
    const struct sp_principal p = token_principal(b, g.access);
    assert_true(p.has_scope);
    assert_false(sp_app_permits(b->app, &p, SP_SLICE_LIT("documents:read")));
}

static void client_without_the_refresh_grant_gets_no_refresh_token(void **state) {
    BENCH;
    struct sp_client_row row = oauth_client_row(b, "app");
    assert_true(sp_ok(SP_TEXT_SET(&row.grants, SP_SLICE_LIT("authorization_code"))));
    oauth_client_put(b, &row);
    const struct granted g = token_session(b, as_public("app"));
    assert_int_equal(g.refresh[0], 0);
}

static void offline_and_backchannel_stand_in_the_row(void **state) {
    BENCH;
    struct sp_client_row client = oauth_client_row(b, "app");
    assert_true(sp_ok(SP_TEXT_SET(&client.backchannel_logout_uri, SP_SLICE_LIT("https://app.example/out"))));
    oauth_client_put(b, &client);
    struct sp_authz_code code = code_new(b, "app");
    assert_true(sp_ok(SP_TEXT_SET(&code.scope, SP_SLICE_LIT("openid offline_access"))));
    assert_error(redeem(b, as_public("app"), &code), NONE);
    const struct sp_session_row row = bench_session(b, code.sid);
    assert_true(row.offline && row.backchannel);
}

/* ---- a second use ---- */

static void second_use_ends_what_the_first_gave(void **state) {
    BENCH;
    const struct sp_authz_code code = code_new(b, "app");
    const struct granted first = redeem(b, as_public("app"), &code);
    assert_error(first, NONE);
    assert_error(redeem(b, as_public("app"), &code), INVALID_GRANT);
    assert_int_equal(bench_session(b, code.sid).cause, SP_END_CODE_REPLAYED);
    assert_reject(token_check(b, first.access), "revoked");
    assert_error(token_refresh(b, as_public("app"), &first), INVALID_GRANT);
    assert_int_equal(bench_records(b, "code_replayed"), 1);
    assert_error(redeem(b, as_public("app"), &code), INVALID_GRANT); /* and a third ends nothing more */
    assert_int_equal(bench_records(b, "code_replayed"), 1);
}

static void of_two_at_once_one_is_the_second(void **state) {
    BENCH;
    const struct sp_authz_code code = code_new(b, "app");
    const struct sp_oauth_token_request in = code_request(as_public("app"), code_text(b, &code));
    struct granted one, two;
    token_begin(b, &in, &one);
    token_begin(b, &in, &two);
    bench_run(b);
    assert_int_equal(one.answers + two.answers, 2);
    assert_int_equal((one.error == SP_OAUTH_NONE) + (two.error == SP_OAUTH_NONE), 1);
    assert_int_equal(bench_session(b, code.sid).cause, SP_END_CODE_REPLAYED);
    assert_reject(token_check(b, one.error == SP_OAUTH_NONE ? one.access : two.access), "revoked");
}

static void second_use_without_the_verifier_ends_it_too(void **state) {
    BENCH;
    const struct sp_authz_code code = code_new(b, "app");
    assert_error(redeem(b, as_public("app"), &code), NONE);
    struct sp_oauth_token_request in = code_request(as_public("app"), code_text(b, &code));
    in.code_verifier = SP_SLICE_LIT("0123456789012345678901234567890123456789012");
    assert_error(token_ask(b, in), INVALID_GRANT);
    assert_int_equal(bench_session(b, code.sid).cause, SP_END_CODE_REPLAYED);
}

static void second_use_after_the_code_expired_ends_it_too(void **state) {
    BENCH;
    const struct sp_authz_code code = code_new(b, "app");
    assert_error(redeem(b, as_public("app"), &code), NONE);
    b->now_ms += 10 * SP_OAUTH_CODE_TTL_S * 1000;
    assert_error(redeem(b, as_public("app"), &code), INVALID_GRANT);
    assert_int_equal(bench_session(b, code.sid).cause, SP_END_CODE_REPLAYED);
}

/* ---- what does not redeem ---- */

static void expired_code_gives_nothing(void **state) {
    BENCH;
    const struct sp_authz_code code = code_new(b, "app");
    b->now_ms += SP_OAUTH_CODE_TTL_S * 1000;
    assert_error(redeem(b, as_public("app"), &code), INVALID_GRANT);
    assert_int_equal(bench_records(b, "code_refused"), 1);
    assert_int_equal(bench_records(b, "code_redeemed"), 0);
    b->now_ms -= 1000; /* the near miss */
    assert_error(redeem(b, as_public("app"), &code), NONE);
}

static void each_reason_of_a_refusal_is_on_record(void **state) {
    BENCH;
    const struct sp_authz_code code = code_new(b, "app");
    struct sp_oauth_token_request verifier = code_request(as_public("app"), code_text(b, &code));
    struct sp_oauth_token_request place = verifier;
    verifier.code_verifier = SP_SLICE_LIT("0123456789012345678901234567890123456789012");
    place.redirect_uri = SP_SLICE_LIT("https://elsewhere.example/");
    for (int i = 0; i < 3; i++) {
        assert_error(token_ask(b, verifier), INVALID_GRANT);
        assert_error(token_ask(b, place), INVALID_GRANT);
    }
    assert_int_equal(bench_records(b, "code_refused"), 2);
}

static void code_of_another_client_gives_nothing_and_ends_nothing(void **state) {
    BENCH;
    const struct sp_authz_code code = code_new(b, "app");
    assert_error(redeem(b, as_public("other"), &code), INVALID_GRANT);
    assert_int_equal(bench_records(b, "code_refused"), 1);
    assert_error(redeem(b, as_public("app"), &code), NONE);
    assert_error(redeem(b, as_public("other"), &code), INVALID_GRANT);
    assert_int_equal(bench_session(b, code.sid).state, SP_SESSION_ACTIVE);
}

static void verifier_must_be_the_one_of_the_challenge(void **state) {
    BENCH;
    static const char *const bad[] = {
        "0123456789012345678901234567890123456789012",   OAUTH_CHALLENGE, /* "plain" */
        "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjX",                     /* 42 characters */
        "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk=",                   /* not its alphabet */
        "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk\n",
    };
    const struct sp_authz_code code = code_new(b, "app");
    struct sp_oauth_token_request in = code_request(as_public("app"), code_text(b, &code));
    for (size_t i = 0; i < SP_ARRAY_LEN(bad); i++) {
        in.code_verifier = sp_slice_cstr(bad[i]);
        assert_error(token_ask(b, in), INVALID_GRANT);
    }
    in.code_verifier = SP_SLICE_EMPTY;
    assert_error(token_ask(b, in), INVALID_REQUEST);
    in.code_verifier = SP_SLICE_LIT(OAUTH_VERIFIER);
    assert_error(token_ask(b, in), NONE); /* whoever has the verifier still can */
}

static void redirect_uri_must_be_the_same_as_before(void **state) {
    BENCH;
    struct sp_authz_code code = code_new(b, "app");
    struct sp_oauth_token_request in = code_request(as_public("app"), code_text(b, &code));
    in.redirect_uri = SP_SLICE_LIT("https://app.example/cb/");
    assert_error(token_ask(b, in), INVALID_GRANT);
    in.redirect_uri = SP_SLICE_EMPTY;
    assert_error(token_ask(b, in), INVALID_GRANT);
    code.redirect_uri_sent = false; /* the client's only one: it need not be repeated */
    in = code_request(as_public("app"), code_text(b, &code));
    in.redirect_uri = SP_SLICE_EMPTY;
    assert_error(token_ask(b, in), NONE);
}

static void what_is_no_code_of_ours_gives_nothing(void **state) {
    BENCH;
    const struct sp_authz_code code = code_new(b, "app");
    const sp_slice good = code_text(b, &code);
    char bent[SP_OAUTH_SEALED_BYTES_MAX];
    struct sp_oauth_token_request in = code_request(as_public("app"), good);
    for (size_t i = 0; i < good.n; i += 37) {
        memcpy(bent, good.p, good.n);
        bent[i] = bent[i] == 'A' ? 'B' : 'A';
        in.code = sp_slice_of(bent, good.n);
        assert_error(token_ask(b, in), INVALID_GRANT);
    }
    in.code = SP_SLICE_LIT("junk");
    assert_error(token_ask(b, in), INVALID_GRANT);
    in.code = SP_SLICE_EMPTY;
    assert_error(token_ask(b, in), INVALID_REQUEST);
}

static void disabled_user_gets_nothing(void **state) {
    BENCH;
    const struct sp_authz_code code = code_new(b, "app");
    oauth_user_disable(b, "ada");
    assert_error(redeem(b, as_public("app"), &code), INVALID_GRANT);
    assert_int_equal(bench_records(b, "code_redeemed"), 0);
}

static void disabled_client_gets_nothing(void **state) {
    BENCH;
    const struct sp_authz_code code = code_new(b, "svc");
    struct sp_client_row row = token_svc_row(b);
    row.disabled = true;
    oauth_client_put(b, &row);
    assert_error(redeem(b, as_svc(), &code), INVALID_CLIENT);
}

static void code_of_a_client_that_was_deleted_is_worth_nothing_to_its_namesake(void **state) {
    BENCH;
    const struct sp_authz_code code = code_new(b, "app");
    b->now_ms += 1000;
    oauth_client_delete(b, "app");
    const struct sp_client_row row = oauth_client_row(b, "app");
    oauth_client_put(b, &row);
    assert_error(redeem(b, as_public("app"), &code), INVALID_GRANT);
    const struct sp_authz_code fresh = code_new(b, "app");
    assert_error(redeem(b, as_public("app"), &fresh), NONE);
}

static void nobody_gets_a_child_of_a_sign_in_that_has_ended(void **state) {
    BENCH;
    const struct tokens sign_in = bench_login(b);
    struct sp_authz_code code = code_new(b, "app");
    memcpy(code.parent, sign_in.sid, sizeof(code.parent));
    oauth_session_end(b, sign_in.sid);
    assert_error(redeem(b, as_public("app"), &code), INVALID_GRANT);
    assert_int_equal(bench_records(b, "code_refused"), 1);
}

static void end_of_the_sign_in_ends_the_session(void **state) {
    BENCH;
    const struct tokens sign_in = bench_login(b);
    struct sp_authz_code code = code_new(b, "app");
    memcpy(code.parent, sign_in.sid, sizeof(code.parent));
    const struct granted g = redeem(b, as_public("app"), &code);
    assert_error(g, NONE);
    oauth_session_end(b, sign_in.sid);
    assert_int_equal(bench_session(b, code.sid).cause, SP_END_PARENT);
    assert_reject(token_check(b, g.access), "revoked");
}

/* ---- grants and clients ---- */

static void client_may_only_what_it_was_made_for(void **state) {
    BENCH;
    struct sp_oauth_token_request in = client_request("");
    in.client = as_public("app");
    assert_error(token_ask(b, in), UNAUTHORIZED_CLIENT);
    in.grant_type = SP_SLICE_LIT("password");
    assert_error(token_ask(b, in), UNSUPPORTED_GRANT_TYPE);
    in.grant_type = SP_SLICE_EMPTY;
    assert_error(token_ask(b, in), INVALID_REQUEST);
    in.client = with_secret("svc", "spcs_wrong");
    in.grant_type = SP_SLICE_LIT("password"); /* strangers do not learn what there is */
    assert_error(token_ask(b, in), INVALID_CLIENT);
}

static void token_may_be_for_fewer_resources_than_the_session(void **state) {
    BENCH;
    struct sp_authz_code code = code_new(b, "svc");
    assert_true(sp_ok(SP_TEXT_SET(&code.aud, SP_SLICE_LIT("https://api.example https://files.example"))));
    struct sp_oauth_token_request in = code_request(as_svc(), code_text(b, &code));
    const sp_slice stranger = SP_SLICE_LIT("https://other.example"),
                   files = SP_SLICE_LIT("https://files.example");
    in.resources = &stranger;
    in.n_resources = 1;
    assert_error(token_ask(b, in), INVALID_TARGET);
    in.resources = &files;
    const struct granted g = token_ask(b, in);
    assert_error(g, NONE);
    assert_non_null(strstr(token_payload(g.access), "\"aud\":\"https://files.example\""));
    const struct granted all = token_refresh(b, as_svc(), &g);
    assert_non_null(
        strstr(token_payload(all.access), "\"aud\":[\"https://api.example\",\"https://files.example\"]"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TOKEN_TESTS(code_becomes_the_session_whose_id_it_holds),
        TOKEN_TESTS(id_token_says_who_and_when_and_for_which_request),
        TOKEN_TESTS(without_openid_there_is_no_id_token),
        TOKEN_TESTS(scope_is_what_the_user_may_at_this_moment),
        TOKEN_TESTS(scope_that_comes_to_nothing_is_there_and_empty),
        TOKEN_TESTS(client_without_the_refresh_grant_gets_no_refresh_token),
        TOKEN_TESTS(offline_and_backchannel_stand_in_the_row),
        TOKEN_TESTS(second_use_ends_what_the_first_gave),
        TOKEN_TESTS(of_two_at_once_one_is_the_second),
        TOKEN_TESTS(second_use_without_the_verifier_ends_it_too),
        TOKEN_TESTS(second_use_after_the_code_expired_ends_it_too),
        TOKEN_TESTS(expired_code_gives_nothing),
        TOKEN_TESTS(each_reason_of_a_refusal_is_on_record),
        TOKEN_TESTS(code_of_another_client_gives_nothing_and_ends_nothing),
        TOKEN_TESTS(verifier_must_be_the_one_of_the_challenge),
        TOKEN_TESTS(redirect_uri_must_be_the_same_as_before),
        TOKEN_TESTS(what_is_no_code_of_ours_gives_nothing),
        TOKEN_TESTS(disabled_user_gets_nothing),
        TOKEN_TESTS(disabled_client_gets_nothing),
        TOKEN_TESTS(code_of_a_client_that_was_deleted_is_worth_nothing_to_its_namesake),
        TOKEN_TESTS(nobody_gets_a_child_of_a_sign_in_that_has_ended),
        TOKEN_TESTS(end_of_the_sign_in_ends_the_session),
        TOKEN_TESTS(client_may_only_what_it_was_made_for),
        TOKEN_TESTS(token_may_be_for_fewer_resources_than_the_session),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
