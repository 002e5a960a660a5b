#include "fake.h"

static void verify_says_everything_in_headers(void **state) {
    (void)state;
    fake.scope = SP_SLICE_LIT("read write");
    ask("GET /auth/verify", NULL, BEARER, NULL);
    assert_status(204);
    assert_string_equal(header("X-Auth-Subject", 0), SUB);
    assert_string_equal(header("X-Auth-Session", 0), SID);
    assert_string_equal(header("X-Auth-Roles", 0), "staff");
    assert_string_equal(header("X-Auth-Permissions", 0), "documents:read");
    assert_string_equal(header("X-Auth-Scope", 0), "read write");
    assert_string_equal(header("X-Auth-Client", 0), "web");
    assert_string_equal(header("X-Auth-Expires", 0), "1700000900");
    assert_string_equal(header("Cache-Control", 0), "no-store");
}

static void verify_never_leaves_a_header_empty(void **state) {
    (void)state;
    fake.roles = SP_SLICE_LIT("");
    fake.permissions = SP_SLICE_EMPTY;
    ask("HEAD /auth/verify", NULL, BEARER, NULL);
    assert_status(204);
    assert_string_equal(header("X-Auth-Roles", 0), "-");
    assert_string_equal(header("X-Auth-Permissions", 0), "-");
    assert_string_equal(header("X-Auth-Scope", 0), "-");
}

static void verify_encodes_what_could_begin_another_header(void **state) {
    (void)state;
    fake.roles = SP_SLICE_LIT("a\r\nX-Auth-Roles:admin b\x01 c\xC3\xA9 d,e%");
    ask("GET /auth/verify", NULL, BEARER, NULL);
    assert_status(204);
    assert_string_equal(header("X-Auth-Roles", 0), "a%0D%0AX-Auth-Roles:admin b%01 c%C3%A9 d%2Ce%25");
    assert_null(header("X-Auth-Roles", 1));
}

static void a_role_named_like_nothing_is_not_nothing(void **state) {
    (void)state;
    fake.roles = SP_SLICE_LIT("-");
    ask("GET /auth/verify", NULL, BEARER, NULL);
    assert_string_equal(header("X-Auth-Roles", 0), "%2D");
}

static void permissions_that_do_not_fit_are_left_out_whole(void **state) {
    (void)state;
    static char many[8000];
    memset(many, 'p', sizeof(many));
    for (size_t i = 20; i < sizeof(many); i += 20) many[i] = ' ';
    fake.permissions = SP_SLICE_ARRAY(many);
    ask("GET /auth/verify", NULL, BEARER, NULL);
    assert_status(204);
    assert_string_equal(header("X-Auth-Permissions", 0), "-");
}

static void verify_asks_for_a_permission(void **state) {
    (void)state;
    ask("GET /auth/verify?permission=documents:read", NULL, BEARER, NULL);
    assert_status(204);
    ask("GET /auth/verify?permission=documents%3Aread", NULL, BEARER, NULL);
    assert_status(204);
    assert_calls("");
    ask("GET /auth/verify?permission=documents:write", NULL, BEARER, NULL);
    assert_problem(403, "permission_denied");
    assert_string_equal(header("WWW-Authenticate", 0),
                        "Bearer realm=\"sallyport\", error=\"insufficient_scope\", "
                        "error_description=\"permission_denied\", scope=\"documents:write\"");
    assert_null(header("WWW-Authenticate", 1));
    assert_null(header("X-Auth-Subject", 0));
    assert_calls("denial documents:write \n");
}

static void verify_refuses_parameters_that_a_proxy_may_read_otherwise(void **state) {
    (void)state;
    static const struct {
        const char *line, *code;
    } cases[] = {
        {"GET /auth/verify?permission=documents:read&permission=x", "duplicate_parameter"},
        {"GET /auth/verify?Permission=documents:read", "unknown_parameter"},
        {"GET /auth/verify?perm%69ssion=documents:read", "unknown_parameter"},
        {"GET /auth/verify?permission=", "bad_parameter"},
        {"GET /auth/verify?permission", "bad_parameter"},
        {"GET /auth/verify?permission=documents:rea%64", "bad_parameter"},
        {"GET /auth/verify?permission=documents%3aread", "bad_parameter"},
        {"GET /auth/verify?permission=a+b", "bad_parameter"},
        {"GET /auth/verify?permission=a%00b", "bad_parameter"},
        {"GET /auth/verify?permission=%FF", "bad_parameter"},
        {"GET /auth/verify?permission=a%2", "bad_parameter"},
        {"GET /auth/verify?permission=documents:read&", "bad_parameter"},
        {"GET /auth/verify?&", "bad_parameter"},
    };
    for (size_t i = 0; i < SP_ARRAY_LEN(cases); i++) {
        ask(cases[i].line, NULL, BEARER, NULL);
        assert_problem(400, cases[i].code);
    }
}

static void verify_without_a_good_token(void **state) {
    (void)state;
    ask("GET /auth/verify", NULL, NULL);
    assert_problem(401, "not_authenticated");
    assert_string_equal(header("WWW-Authenticate", 0), "Bearer realm=\"sallyport\"");
    assert_string_equal(header("WWW-Authenticate", 1),
                        "DPoP realm=\"sallyport\", algs=\"ES256 RS256 PS256 EdDSA\"");
    ask("GET /auth/verify", NULL, "Authorization: Bearer forged", NULL);
    assert_problem(401, "invalid_token");
    assert_string_equal(
        header("WWW-Authenticate", 0),
        "Bearer realm=\"sallyport\", error=\"invalid_token\", error_description=\"invalid_token\"");
    ask("GET /auth/verify", NULL, "Authorization: Bearer stale.token", NULL);
    assert_problem(503, "store_unavailable");
    ask("GET /auth/verify", NULL, "Authorization: Bearer broken.token", NULL);
    assert_problem(500, "internal_error");
}

static void a_permission_that_is_no_word_stays_out_of_the_challenge(void **state) {
    (void)state;
    ask("GET /auth/verify?permission=%22,%20error:%22x", NULL, BEARER, NULL);
    assert_problem(403, "permission_denied");
    assert_null(strstr(header("WWW-Authenticate", 0), "scope="));
}

/* Everybody here logged in 300 s ago. */
static void a_login_may_be_too_old_or_too_weak(void **state) {
    (void)state;
    fake.acr = SP_SLICE_LIT("urn:pwd");
    static const char *const good[] = {"GET /auth/verify?max_age=300",
                                       "GET /auth/verify?max_age=301&acr=urn:pwd",
                                       "GET /auth/verify?acr=urn:mfa%20urn:pwd"};
    for (size_t i = 0; i < SP_ARRAY_LEN(good); i++) {
        ask(good[i], NULL, BEARER, NULL);
        assert_status(204);
    }
    ask("GET /auth/verify?max_age=299", NULL, BEARER, NULL);
    assert_problem(401, "insufficient_user_authentication");
    assert_string_equal(header("WWW-Authenticate", 0),
                        "Bearer realm=\"sallyport\", error=\"insufficient_user_authentication\", "
                        "error_description=\"The login is too long ago or not strong enough; log in again\", "
                        "max_age=\"299\"");
    assert_null(header("X-Auth-Subject", 0));
    ask("GET /auth/verify?acr=urn:mfa&permission=documents:write", NULL, BEARER, NULL);
    assert_problem(401, "insufficient_user_authentication");
    assert_non_null(strstr(header("WWW-Authenticate", 0), "acr_values=\"urn:mfa\""));
    fake.acr = SP_SLICE_EMPTY;
    ask("GET /auth/verify?acr=urn:pwd", NULL, BEARER, NULL);
    assert_problem(401, "insufficient_user_authentication");
    static const char *const bad[] = {"max_age=-1", "max_age=1.5", "max_age=01",   "max_age=99999999999",
                                      "max_age=",   "acr=%22",     "acr=a%20%20b", "acr="};
    for (size_t i = 0; i < SP_ARRAY_LEN(bad); i++) {
        char line[64];
        (void)snprintf(line, sizeof(line), "GET /auth/verify?%s", bad[i]);
        ask(line, NULL, BEARER, NULL);
        assert_problem(400, "bad_parameter");
    }
}

/* The clock was set back: how old the login is cannot be told. */
static void a_login_that_is_still_to_come_is_too_old(void **state) {
    (void)state;
    fake.login_ahead_s = 301; /* of now: one second */
    ask("GET /auth/verify", NULL, BEARER, NULL);
    assert_status(204);
    ask("GET /auth/verify?max_age=3600", NULL, BEARER, NULL);
    assert_problem(401, "insufficient_user_authentication");
    fake.login_ahead_s = 300;
    ask("GET /auth/verify?max_age=3600", NULL, BEARER, NULL);
    assert_status(204);
}

static void a_client_on_its_own_is_its_own_subject_without_a_session(void **state) {
    (void)state;
    fake.is_client = true;
    ask("GET /auth/verify", NULL, BEARER, NULL);
    assert_status(204);
    assert_string_equal(header("X-Auth-Subject", 0), "web");
    assert_string_equal(header("X-Auth-Session", 0), "-");
}

#define DPOP_TOKEN "Authorization: DPoP " BOUND

static void a_bound_token_needs_its_scheme_and_its_proof(void **state) {
    (void)state;
    ask("GET /auth/verify", NULL, DPOP_TOKEN, "DPoP: good.proof", NULL);
    assert_status(204);
    ask("GET /auth/verify", NULL, "Authorization: dpop " BOUND, "DPoP: good.proof", NULL);
    assert_status(204);
    ask("GET /auth/verify", NULL, "Authorization: Bearer " BOUND, "DPoP: good.proof", NULL);
    assert_problem(401, "invalid_dpop_proof");
    ask("GET /auth/verify", NULL, DPOP_TOKEN, NULL);
    assert_problem(401, "invalid_dpop_proof");
    ask("GET /auth/verify", NULL, DPOP_TOKEN, "DPoP: bad.proof", NULL);
    assert_problem(401, "invalid_dpop_proof");
    assert_non_null(
        strstr(header("WWW-Authenticate", 0), "DPoP realm=\"sallyport\", error=\"invalid_dpop_proof\""));
    assert_string_equal(header("WWW-Authenticate", 1), "Bearer realm=\"sallyport\"");
    ask("GET /auth/verify", NULL, "Authorization: DPoP " GOOD, "DPoP: good.proof", NULL);
    assert_problem(401, "invalid_dpop_proof");
    ask("GET /auth/verify", NULL, "Authorization: DPoP forged", "DPoP: good.proof", NULL);
    assert_problem(401, "invalid_token");
    assert_non_null(strstr(header("WWW-Authenticate", 0), "DPoP "));
    ask("GET /auth/verify", NULL, DPOP_TOKEN, "DPoP: good.proof", "DPoP: good.proof", NULL);
    assert_problem(401, "invalid_dpop_proof");
    assert_null(header("DPoP-Nonce", 0));
}

static void a_proof_that_needs_a_nonce_gets_it(void **state) {
    (void)state;
    fake.trouble = (struct sp_oauth_trouble){.error = SP_OAUTH_USE_DPOP_NONCE, .wants_nonce = true};
    ask("GET /auth/verify", NULL, DPOP_TOKEN, "DPoP: old.proof", NULL);
    assert_problem(401, "use_dpop_nonce");
    assert_string_equal(header("DPoP-Nonce", 0), "NNNNNNNNNNNNNNNNNNNNNN");
    assert_non_null(strstr(header("WWW-Authenticate", 0), "error=\"use_dpop_nonce\""));
    fake.trouble = (struct sp_oauth_trouble){.error = SP_OAUTH_TEMPORARILY_UNAVAILABLE, .retry_after_s = 1};
    ask("GET /auth/verify", NULL, DPOP_TOKEN, "DPoP: old.proof", NULL);
    assert_problem(503, "overloaded");
}

static void by_cookie_a_safe_forwarded_method_passes(void **state) {
    (void)state;
    ask("GET /auth/verify", NULL, COOKIES, "X-Forwarded-Method: GET", "Sec-Fetch-Site: cross-site", NULL);
    assert_status(204);
    ask("GET /auth/verify", NULL, COOKIES, "X-Original-Method: HEAD", NULL);
    assert_status(204);
}

static void by_cookie_any_other_method_obeys_the_origin_rule(void **state) {
    (void)state;
    static const char *const methods[] = {"X-Forwarded-Method: POST",
                                          "X-Original-Method: DELETE",
                                          "X-Forwarded-Method: get",
                                          "X-Forwarded-Method: GET, POST",
                                          "X-Forwarded-Method: PURGE",
                                          "X-Forwarded-Method: ",
                                          "X-Other: GET"};
    for (size_t i = 0; i < SP_ARRAY_LEN(methods); i++) {
        ask("GET /auth/verify", NULL, COOKIES, methods[i], NULL);
        assert_problem(403, "origin_refused");
        ask("GET /auth/verify", NULL, COOKIES, methods[i], "Origin: https://evil.example", NULL);
        assert_problem(403, "origin_refused");
        ask("GET /auth/verify", NULL, COOKIES, methods[i], ORIGIN, NULL);
        assert_status(204);
    }
    ask("GET /auth/verify", NULL, COOKIES, "X-Forwarded-Method: GET", "X-Original-Method: GET", NULL);
    assert_problem(403, "origin_refused");
    ask("GET /auth/verify", NULL, COOKIES, "X-Forwarded-Method: GET", "x-forwarded-method: GET", NULL);
    assert_problem(403, "origin_refused");
}

static void by_bearer_the_forwarded_method_does_not_matter(void **state) {
    (void)state;
    ask("GET /auth/verify", NULL, BEARER, "X-Forwarded-Method: POST", "Origin: https://evil.example", NULL);
    assert_status(204);
}

static void verify_is_get_and_head_only(void **state) {
    (void)state;
    ask("POST /auth/verify", NULL, BEARER, NULL);
    assert_problem(405, "method_not_allowed");
    assert_string_equal(header("Allow", 0), "GET, HEAD, OPTIONS");
}

#define T(f) cmocka_unit_test_setup_teardown(f, fake_setup, fake_teardown)
int main(void) {
    const struct CMUnitTest tests[] = {
        T(verify_says_everything_in_headers),
        T(verify_never_leaves_a_header_empty),
        T(verify_encodes_what_could_begin_another_header),
        T(a_role_named_like_nothing_is_not_nothing),
        T(permissions_that_do_not_fit_are_left_out_whole),
        T(verify_asks_for_a_permission),
        T(verify_refuses_parameters_that_a_proxy_may_read_otherwise),
        T(a_permission_that_is_no_word_stays_out_of_the_challenge),
        T(a_login_may_be_too_old_or_too_weak),
        T(a_login_that_is_still_to_come_is_too_old),
        T(a_client_on_its_own_is_its_own_subject_without_a_session),
        T(a_bound_token_needs_its_scheme_and_its_proof),
        T(a_proof_that_needs_a_nonce_gets_it),
        T(verify_without_a_good_token),
        T(by_cookie_a_safe_forwarded_method_passes),
        T(by_cookie_any_other_method_obeys_the_origin_rule),
        T(by_bearer_the_forwarded_method_does_not_matter),
        T(verify_is_get_and_head_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
