#include "fake.h"

#define TOKEN "POST /oauth2/token"
/* shop:secret, and sh%6fp:se%2Bcret+x */
#define BASIC "Authorization: Basic c2hvcDpzZWNyZXQ="

/* ---- forms ---- */

static void only_forms_are_read(void **state) {
    (void)state;
    static const char *const types[] = {JSON, "Content-Type: text/plain", "Content-Type: multipart/form-data",
                                        "Content-Type: application/x-www-form-urlencoded; charset=latin1",
                                        "Content-Type: application/x-www-form-urlencodedx"};
    for (size_t i = 0; i < SP_ARRAY_LEN(types); i++) {
        ask(TOKEN, "grant_type=x", types[i], NULL);
        assert_oauth_error(400, "invalid_request");
    }
    ask(TOKEN, "grant_type=x", NULL);
    assert_oauth_error(400, "invalid_request");
    ask(TOKEN, "grant_type=x", FORM, "Content-Encoding: gzip", NULL);
    assert_oauth_error(400, "invalid_request");
    ask(TOKEN, "grant_type=x", "Content-Type: Application/X-WWW-Form-Urlencoded ; charset=\"UTF-8\"", NULL);
    assert_status(200);
    assert_calls("token nothing ||\ngrant_type=x\n");
}

static void a_query_is_no_place_for_parameters(void **state) {
    (void)state;
    ask(TOKEN "?grant_type=x", "grant_type=x", FORM, NULL);
    assert_oauth_error(400, "invalid_request");
    ask("GET /oauth2/userinfo?access_token=" GOOD, NULL, NULL);
    assert_oauth_error(400, "invalid_request");
    assert_calls("");
}

static void repeated_parameters_are_named_and_refused(void **state) {
    (void)state;
    ask(TOKEN, "grant_type=x&grant_type=y", FORM, NULL);
    assert_oauth_error(400, "invalid_request");
    assert_non_null(strstr(reply.body, "given twice: grant_type"));
    ask(TOKEN, "grant_type=x&scope=%00", FORM, NULL);
    assert_oauth_error(400, "invalid_request");
    ask(TOKEN,
        "resource=1&resource=2&resource=3&resource=4&resource=5&resource=6&resource=7&resource=8&resource=9",
        FORM, NULL);
    assert_oauth_error(400, "invalid_request");
    assert_calls("");
}

static void everything_of_a_token_request_reaches_core(void **state) {
    (void)state;
    ask(TOKEN,
        "grant_type=authorization_code&code=c&redirect_uri=https%3A%2F%2Fapp.example%2Fcb%3Fa%3D1&code_"
        "verifier=v&"
        "refresh_token=r&scope=a+b&attempt=t&resource=urn:1&resource=urn:2&unknown=1&unknown=2&client_id="
        "shop",
        FORM, "DPoP: a.b.c", NULL);
    assert_status(200);
    assert_calls("token nothing shop||\n"
                 "dpop a.b.c POST /oauth2/token\n"
                 "grant_type=authorization_code\ncode=c\nredirect_uri=https://app.example/cb?a=1\n"
                 "code_verifier=v\nrefresh_token=r\nscope=a b\nattempt=t\nresource=urn:1\nresource=urn:2\n");
}

static void the_answer_has_what_was_given(void **state) {
    (void)state;
    fake.scope = SP_SLICE_LIT("openid");
    ask(TOKEN, "grant_type=x", FORM, NULL);
    assert_status(200);
    assert_string_equal(header("Cache-Control", 0), "no-store");
    assert_string_equal(header("Pragma", 0), "no-cache");
    assert_body("{\"access_token\":\"new.access\",\"token_type\":\"Bearer\",\"expires_in\":900,"
                "\"scope\":\"openid\",\"refresh_token\":\"sprt_new\"}");
    fake.mode = SP_MODE_COOKIE; /* no refresh token */
    fake.is_dpop = true;
    fake.scope = SP_SLICE_LIT("");
    ask(TOKEN, "grant_type=x", FORM, NULL);
    assert_body(
        "{\"access_token\":\"new.access\",\"token_type\":\"DPoP\",\"expires_in\":900,\"scope\":\"\"}");
}

static void troubles_have_their_status_and_headers(void **state) {
    (void)state;
    fake.trouble = (struct sp_oauth_trouble){.error = SP_OAUTH_INVALID_GRANT, .description = "it is spent"};
    ask(TOKEN, "grant_type=x", FORM, NULL);
    assert_oauth_error(400, "invalid_grant");
    assert_string_equal(reply.body, "{\"error\":\"invalid_grant\",\"error_description\":\"it is spent\"}");
    fake.trouble = (struct sp_oauth_trouble){.error = SP_OAUTH_SLOW_DOWN, .retry_after_s = 7};
    ask(TOKEN, "grant_type=x", FORM, NULL);
    assert_oauth_error(429, "temporarily_unavailable");
    assert_string_equal(header("Retry-After", 0), "7");
    fake.trouble = (struct sp_oauth_trouble){.error = SP_OAUTH_TEMPORARILY_UNAVAILABLE};
    ask(TOKEN, "grant_type=x", FORM, NULL);
    assert_oauth_error(503, "temporarily_unavailable");
    fake.trouble = (struct sp_oauth_trouble){.error = SP_OAUTH_USE_DPOP_NONCE, .wants_nonce = true};
    ask(TOKEN, "grant_type=x", FORM, NULL);
    assert_oauth_error(400, "use_dpop_nonce");
    assert_string_equal(header("DPoP-Nonce", 0), "NNNNNNNNNNNNNNNNNNNNNN");
    fake.trouble = (struct sp_oauth_trouble){.error = SP_OAUTH_SERVER_ERROR};
    ask(TOKEN, "grant_type=x", FORM, NULL);
    assert_oauth_error(500, "server_error");
    fake.trouble = (struct sp_oauth_trouble){.error = SP_OAUTH_NONE};
    ask(TOKEN, "grant_type=x", FORM, "DPoP: a", "DPoP: a", NULL);
    assert_oauth_error(400, "invalid_dpop_proof");
    ask("GET "
        "/oauth2/token",
        NULL, NULL);
    assert_oauth_error(405, "invalid_request");
    assert_string_equal(header("Allow", 0), "POST, OPTIONS");
    ask(TOKEN, "grant_type=x", FORM, FORM, NULL);
    assert_oauth_error(400, "invalid_request");
}

/* ---- the client's credential ---- */

static void each_way_of_authentication_is_read(void **state) {
    (void)state;
    ask(TOKEN, "a=1", FORM, BASIC, NULL);
    assert_calls("token basic shop|secret|\n");
    ask(TOKEN, "client_id=shop", FORM, BASIC, NULL);
    assert_calls("token basic shop|secret|\n");
    /* sh%6fp:se%2Bcret+x */
    ask(TOKEN, "a=1", FORM, "Authorization: basic c2glNmZwOnNlJTJCY3JldCt4", NULL);
    assert_calls("token basic shop|se+cret x|\n");
    ask(TOKEN, "client_id=shop&client_secret=se%2Bcret", FORM, NULL);
    assert_calls("token post shop|se+cret|\n");
    ask(TOKEN,
        "client_assertion=a.b.c&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%"
        "3Ajwt-bearer",
        FORM, NULL);
    assert_calls("token assertion ||a.b.c\n");
    ask(TOKEN, "client_id=spa", FORM, NULL);
    assert_calls("token nothing spa||\n");
}

static void two_ways_at_once_are_refused(void **state) {
    (void)state;
    static const char *const bodies[] = {"client_secret=x", "client_id=shop&client_secret=secret",
                                         "client_assertion=a", "client_id=other"};
    for (size_t i = 0; i < SP_ARRAY_LEN(bodies); i++) {
        ask(TOKEN, bodies[i], FORM, BASIC, NULL);
        assert_oauth_error(400, "invalid_request");
    }
    ask(TOKEN, "client_id=a&client_secret=b&client_assertion=c&client_assertion_type=d", FORM, NULL);
    assert_oauth_error(400, "invalid_request");
    ask(TOKEN, "client_secret=b", FORM, NULL);
    assert_oauth_error(400, "invalid_request");
    ask(TOKEN, "client_assertion=c", FORM, NULL);
    assert_oauth_error(400, "invalid_request");
    ask(TOKEN, "client_assertion_type=c", FORM, NULL);
    assert_oauth_error(400, "invalid_request");
    ask(TOKEN, "a=1", FORM, BASIC, BASIC, NULL);
    assert_oauth_error(400, "invalid_request");
    assert_calls("");
}

/* RFC 6749 section 5.2. */
static void a_challenge_comes_to_whoever_used_the_header(void **state) {
    (void)state;
    static const char *const bad[] = {"Authorization: Bearer x",       "Authorization: Basic !",
                                      "Authorization: Basic c2hvcA==", "Authorization: Basic OnNlY3JldA==",
                                      "Authorization: Basic JTAwOng=", "Authorization: Basic"};
    for (size_t i = 0; i < SP_ARRAY_LEN(bad); i++) {
        ask(TOKEN, "a=1", FORM, bad[i], NULL);
        assert_oauth_error(401, "invalid_client");
        assert_string_equal(header("WWW-Authenticate", 0), "Basic realm=\"sallyport\", charset=\"UTF-8\"");
    }
    assert_calls("");
    fake.trouble = (struct sp_oauth_trouble){.error = SP_OAUTH_INVALID_CLIENT};
    ask(TOKEN, "a=1", FORM, BASIC, NULL);
    assert_oauth_error(401, "invalid_client");
    assert_non_null(header("WWW-Authenticate", 0));
    fake.no_challenge = true;
    ask(TOKEN, "client_id=shop&client_secret=x", FORM, NULL);
    assert_oauth_error(401, "invalid_client");
    assert_null(header("WWW-Authenticate", 0));
    ask(TOKEN, "client_assertion=a&client_assertion_type=other", FORM, NULL);
    assert_oauth_error(401, "invalid_client");
}

/* ---- the others ---- */

static void revocation_says_nothing(void **state) {
    (void)state;
    ask("POST /oauth2/revoke", "token=t&token_type_hint=refresh_token", FORM, BASIC, NULL);
    assert_status(200);
    assert_body("{}"); /* some clients take nothing but JSON */
    assert_calls("revoke basic shop|secret|\ntoken=t\nhint=refresh_token\n");
}

static void introspection_says_nothing_of_what_is_not_active(void **state) {
    (void)state;
    ask("POST /oauth2/introspect", "token=t", FORM, BASIC, NULL);
    assert_body("{\"active\":false}");
    fake.introspection = (struct sp_oauth_introspection){.active = true,
                                                         .sub = SP_SLICE_LIT(SUB),
                                                         .client_id = SP_SLICE_LIT("shop"),
                                                         .scope = SP_SLICE_LIT("a b"),
                                                         .aud = SP_SLICE_LIT("urn:1 urn:2"),
                                                         .amr = SP_SLICE_LIT("pwd"),
                                                         .jkt = SP_SLICE_LIT("k"),
                                                         .exp_s = 5,
                                                         .iat_s = 4};
    ask("POST /oauth2/introspect", "token=t", FORM, BASIC, NULL);
    assert_body("{\"active\":true,\"iss\":\"https://iss\",\"sub\":\"" SUB "\",\"aud\":[\"urn:1\",\"urn:2\"],"
                "\"client_id\":\"shop\",\"scope\":\"a b\",\"token_type\":\"DPoP\",\"exp\":5,\"iat\":4,"
                "\"amr\":[\"pwd\"],\"cnf\":{\"jkt\":\"k\"}}");
    fake.introspection.is_refresh_token = true;
    fake.introspection.jkt = SP_SLICE_EMPTY;
    fake.introspection.amr = SP_SLICE_EMPTY;
    fake.introspection.aud = SP_SLICE_LIT("urn:1");
    ask("POST /oauth2/introspect", "token=t", FORM, BASIC, NULL);
    assert_body("{\"active\":true,\"iss\":\"https://iss\",\"sub\":\"" SUB "\",\"aud\":\"urn:1\","
                "\"client_id\":\"shop\",\"scope\":\"a b\",\"exp\":5,\"iat\":4}");
}

static void a_pushed_request_has_all_its_parameters(void **state) {
    (void)state;
    ask("POST /oauth2/par",
        "response_type=code&response_mode=query&redirect_uri=r&scope=s&state=t&nonce=n&code_challenge=c&"
        "code_challenge_method=S256&prompt=p&max_age=1&acr_values=a&login_hint=l&id_token_hint=i&dpop_jkt=j&"
        "request=q&request_uri=u&registration=g&resource=x&resource=y",
        FORM, BASIC, NULL);
    assert_status(201);
    assert_string_equal(reply.body,
                        "{\"request_uri\":\"urn:ietf:params:oauth:request_uri:x\",\"expires_in\":90}");
    assert_calls(
        "par basic shop|secret|\nclient_id=shop\nresponse_type=code\nresponse_mode=query\nredirect_uri=r\n"
        "scope=s\nstate=t\nnonce=n\ncode_challenge=c\ncode_challenge_method=S256\nprompt=p\nmax_age=1\n"
        "acr_values=a\nlogin_hint=l\nid_token_hint=i\ndpop_jkt=j\nrequest=q\nrequest_uri=u\n"
        "registration=g\nresource=x\nresource=y\n");
}

static void userinfo_takes_one_token(void **state) {
    (void)state;
    ask("GET /oauth2/userinfo", NULL, BEARER, NULL);
    assert_body("{\"sub\":\"" SUB "\",\"preferred_username\":\"alice\"}");
    assert_calls("userinfo bearer " GOOD "\n");
    ask("POST /oauth2/userinfo", NULL, "Authorization: DPoP " BOUND, "DPoP: p", NULL);
    assert_calls("userinfo dpop " BOUND "\ndpop p POST /oauth2/userinfo\n");
    ask("POST /oauth2/userinfo", "access_token=" GOOD, FORM, NULL);
    assert_calls("userinfo bearer " GOOD "\n");
    ask("POST /oauth2/userinfo", "access_token=" GOOD, FORM, BEARER, NULL);
    assert_oauth_error(400, "invalid_request");
    ask("GET /oauth2/userinfo", NULL, COOKIES, NULL);
    assert_status(401);
    assert_string_equal(header("WWW-Authenticate", 0), "Bearer realm=\"sallyport\"");
    ask("GET /oauth2/userinfo", NULL, BASIC, NULL);
    assert_status(401);
    ask("GET /oauth2/userinfo", NULL, "Authorization: Bearer a b", NULL);
    assert_oauth_error(400, "invalid_request");
    assert_calls("");
}

static void userinfo_challenges_as_a_resource_does(void **state) {
    (void)state;
    fake.trouble = (struct sp_oauth_trouble){.error = SP_OAUTH_INVALID_TOKEN, .description = "it is over"};
    ask("GET /oauth2/userinfo", NULL, BEARER, NULL);
    assert_oauth_error(401, "invalid_token");
    assert_string_equal(
        header("WWW-Authenticate", 0),
        "Bearer realm=\"sallyport\", error=\"invalid_token\", error_description=\"it is over\"");
    fake.trouble = (struct sp_oauth_trouble){.error = SP_OAUTH_INSUFFICIENT_SCOPE};
    ask("GET /oauth2/userinfo", NULL, BEARER, NULL);
    assert_oauth_error(403, "insufficient_scope");
    assert_string_equal(header("WWW-Authenticate", 0),
                        "Bearer realm=\"sallyport\", error=\"insufficient_scope\", scope=\"openid\"");
    fake.trouble = (struct sp_oauth_trouble){.error = SP_OAUTH_USE_DPOP_NONCE, .wants_nonce = true};
    ask("GET /oauth2/userinfo", NULL, "Authorization: DPoP " BOUND, "DPoP: p", NULL);
    assert_oauth_error(401, "use_dpop_nonce");
    assert_non_null(
        strstr(header("WWW-Authenticate", 0), "DPoP realm=\"sallyport\", error=\"use_dpop_nonce\""));
    assert_non_null(header("DPoP-Nonce", 0));
}

/* ---- consents ---- */

static void a_person_sees_what_it_allowed_and_takes_it_back(void **state) {
    (void)state;
    ask("GET /auth/consents", NULL, BEARER, NULL);
    assert_body("{\"consents\":[{\"client_id\":\"shop\",\"scope\":[\"openid\",\"documents:read\"],"
                "\"granted_at\":\"2023-11-14T22:13:20.000Z\"}]}");
    ask("DELETE /auth/consents/shop", NULL, BEARER, NULL);
    assert_status(204);
    assert_calls("consent_end shop\n");
    ask("DELETE /auth/consents/shop", NULL, COOKIES, ORIGIN, NULL);
    assert_problem(403, "csrf_failed");
    fake.outcome = SP_OUTCOME_NOT_FOUND;
    ask("DELETE /auth/consents/shop", NULL, COOKIES, ORIGIN, CSRF, NULL);
    assert_problem(404, "not_found");
}

#define T(name) cmocka_unit_test_setup_teardown(name, fake_setup, fake_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        T(only_forms_are_read),
        T(a_query_is_no_place_for_parameters),
        T(repeated_parameters_are_named_and_refused),
        T(everything_of_a_token_request_reaches_core),
        T(the_answer_has_what_was_given),
        T(troubles_have_their_status_and_headers),
        T(each_way_of_authentication_is_read),
        T(two_ways_at_once_are_refused),
        T(a_challenge_comes_to_whoever_used_the_header),
        T(revocation_says_nothing),
        T(introspection_says_nothing_of_what_is_not_active),
        T(a_pushed_request_has_all_its_parameters),
        T(userinfo_takes_one_token),
        T(userinfo_challenges_as_a_resource_does),
        T(a_person_sees_what_it_allowed_and_takes_it_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
