#include "fake.h"

#define LOGIN "{\"username\":\"alice\",\"password\":\"correct horse\"}"
#define LOGIN_COOKIE "{\"username\":\"alice\",\"password\":\"correct horse\",\"mode\":\"cookie\"}"
#define TOKENS                                                                                               \
    "{\"access_token\":\"new.access\",\"token_type\":\"Bearer\",\"expires_in\":900,\"refresh_token\":"       \
    "\"sprt_new\",\"refresh_expires_in\":604800,\"session_id\":\"" SID "\"}"
#define TOKENS_COOKIE                                                                                        \
    "{\"expires_in\":900,\"refresh_expires_in\":604800,\"session_id\":\"" SID "\",\"csrf_token\":"           \
    "\"CCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCC\"}"

/* ---- login ---- */

static void login_gives_tokens(void **state) {
    (void)state;
    ask("POST /auth/login", LOGIN, JSON, NULL);
    assert_status(200);
    assert_body(TOKENS);
    assert_string_equal(header("Cache-Control", 0), "no-store");
    assert_no_cookies();
    assert_calls("login alice|correct horse||token\n");
}

static void login_takes_a_device_and_a_charset(void **state) {
    (void)state;
    ask("POST /auth/login",
        "{\"username\":\"al\\u00efce\",\"password\":\"p\",\"device\":\"phone\",\"mode\":\"token\"}",
        "content-type: Application/JSON; charset=UTF-8", NULL);
    assert_status(200);
    assert_calls("login al\xC3\xAF"
                 "ce|p|phone|token\n");
}

static void login_in_cookie_mode_keeps_tokens_out_of_the_body(void **state) {
    (void)state;
    ask("POST /auth/login", LOGIN_COOKIE, JSON, ORIGIN, "Sec-Fetch-Site: same-origin", NULL);
    assert_status(200);
    assert_body(TOKENS_COOKIE);
    assert_string_equal(header("Set-Cookie", 0),
                        "__Host-sp_access=new.access; Path=/; Max-Age=900; HttpOnly; Secure; SameSite=Lax");
    assert_string_equal(
        header("Set-Cookie", 1),
        "__Host-sp_refresh=sprt_new; Path=/; Max-Age=604800; HttpOnly; Secure; SameSite=Strict");
}

static void login_in_cookie_mode_from_another_origin_is_refused(void **state) {
    (void)state;
    static const char *const origins[] = {"Origin: https://evil.example",     "Origin: null",
                                          "Origin: https://app.example.evil", "Origin: http://app.example",
                                          "Origin: https://app.example:443",  "Origin: https://APP.example",
                                          "Origin: https://app.example/",     "Origin: "};
    for (size_t i = 0; i < SP_ARRAY_LEN(origins); i++) {
        ask("POST /auth/login", LOGIN_COOKIE, JSON, origins[i], NULL);
        assert_problem(403, "origin_refused");
    }
    ask("POST /auth/login", LOGIN_COOKIE, JSON, NULL);
    assert_problem(403, "origin_refused");
    ask("POST /auth/login", LOGIN_COOKIE, JSON, ORIGIN, "Sec-Fetch-Site: same-site", NULL);
    assert_problem(403, "origin_refused");
    ask("POST /auth/login", LOGIN_COOKIE, JSON, "Host: app.example", "X-Forwarded-Host: app.example",
        "Referer: https://app.example/", NULL);
    assert_problem(403, "origin_refused");
    assert_calls("");
}

static void a_refused_origin_is_told_to_the_log_once_a_minute(void **state) {
    (void)state;
    ask("POST /auth/login", LOGIN_COOKIE, JSON, "Origin: http://localhost:8420",
        "Sec-Fetch-Site: same-origin", NULL);
    assert_problem(403, "origin_refused");
    assert_non_null(strstr(fake.warning, "origin_refused "));
    assert_non_null(strstr(fake.warning, "route=/auth/login "));
    assert_non_null(strstr(fake.warning, " origin=http://localhost:8420 sec_fetch_site=same-origin "));
    assert_non_null(strstr(fake.warning, "allowed=https://app.example "));
    ask("POST /auth/login", LOGIN_COOKIE, JSON, "Origin: https://evil.example", NULL);
    assert_problem(403, "origin_refused");
    assert_int_equal(fake.warnings, 1);
}

static void what_is_no_origin_is_not_shown_in_the_log(void **state) {
    (void)state;
    ask("POST /auth/login", LOGIN_COOKIE, JSON, "Origin: https://a allowed=https://evil.example",
        "Sec-Fetch-Site: x allowed=y", NULL);
    assert_problem(403, "origin_refused");
    assert_non_null(
        strstr(fake.warning, " origin=(malformed) sec_fetch_site=(malformed) allowed=https://app"));
    assert_null(strstr(fake.warning, "evil"));
}

static void login_refuses_what_a_form_can_send(void **state) {
    (void)state;
    static const char *const types[] = {"Content-Type: text/plain",
                                        "Content-Type: application/x-www-form-urlencoded",
                                        "Content-Type: multipart/form-data; boundary=x",
                                        "Content-Type: application/json; charset=utf-16",
                                        "Content-Type: application/jsonp",
                                        "Content-Type: text/plain, application/json",
                                        "Content-Type: "};
    for (size_t i = 0; i < SP_ARRAY_LEN(types); i++) {
        ask("POST /auth/login", LOGIN, types[i], NULL);
        assert_problem(415, "unsupported_media_type");
    }
    ask("POST /auth/login", LOGIN, NULL);
    assert_problem(415, "unsupported_media_type");
    ask("POST /auth/login", LOGIN, JSON, "Content-Encoding: gzip", NULL);
    assert_problem(415, "unsupported_media_type");
}

static void an_unknown_field_is_named_as_json(void **state) {
    (void)state;
    ask("POST /auth/login", "{\"user\\\"name<\":\"a\"}", JSON, NULL);
    assert_problem(400, "unknown_field");
    assert_non_null(strstr(reply.body, "\"detail\":\"user\\\"name"));
}

static void login_refuses_malformed_bodies_each_with_its_code(void **state) {
    (void)state;
    static const struct {
        const char *body, *code;
    } cases[] = {
        {"", "malformed_json"},
        {"{", "malformed_json"},
        {"{} x", "malformed_json"},
        {"{\"username\":\"a\xFF\",\"password\":\"p\"}", "malformed_json"},
        {"{\"username\":\"a\\u0000b\",\"password\":\"p\"}", "malformed_json"},
        {"{\"username\":\"a\\ud800\",\"password\":\"p\"}", "malformed_json"},
        {"{\"username\":1e999,\"password\":\"p\"}", "malformed_json"},
        {"{\"username\":99999999999999999999999,\"password\":\"p\"}", "malformed_json"},
        {"[]", "not_an_object"},
        {"null", "not_an_object"},
        {"{\"username\":\"a\",\"username\":\"b\",\"password\":\"p\"}", "duplicate_field"},
        {"{\"username\":\"a\",\"user\\u006eame\":\"b\",\"password\":\"p\"}", "duplicate_field"},
        {"{\"username\":\"a\",\"password\":\"p\",\"admin\":true}", "unknown_field"},
        {"{\"Username\":\"a\",\"password\":\"p\"}", "unknown_field"},
        {"{\"username\":[\"a\"],\"password\":\"p\"}", "wrong_type"},
        {"{\"username\":\"a\",\"password\":null}", "wrong_type"},
        {"{\"username\":\"a\",\"password\":{}}", "wrong_type"},
        {"{\"username\":\"a\"}", "missing_field"},
        {"{}", "missing_field"},
        {"{\"username\":\"\",\"password\":\"p\"}", "bad_value"},
        {"{\"username\":\"a\\r\\nX-Auth-Roles: admin\",\"password\":\"p\"}", "bad_value"},
        {"{\"username\":\"a\",\"password\":\"p\",\"mode\":\"Cookie\"}", "bad_value"},
    };
    for (size_t i = 0; i < SP_ARRAY_LEN(cases); i++) {
        ask("POST /auth/login", cases[i].body, JSON, ORIGIN, NULL);
        assert_problem(400, cases[i].code);
        assert_calls("");
    }
}

static void login_refuses_a_body_of_brackets(void **state) {
    (void)state;
    static char deep[8000];
    memset(deep, '[', sizeof(deep));
    ask_bytes("POST /auth/login", SP_SLICE_ARRAY(deep), JSON, NULL);
    assert_problem(400, "malformed_json");
}

static void login_bounds_the_password(void **state) {
    (void)state;
    static char body[4096];
    static char password[SP_PASSWORD_BYTES_MAX + 2];
    memset(password, 'x', SP_PASSWORD_BYTES_MAX + 1);
    snprintf(body, sizeof(body), "{\"username\":\"a\",\"password\":\"%s\"}", password);
    ask("POST /auth/login", body, JSON, NULL);
    assert_problem(400, "too_long");
    password[SP_PASSWORD_BYTES_MAX] = '\0';
    snprintf(body, sizeof(body), "{\"username\":\"a\",\"password\":\"%s\"}", password);
    ask("POST /auth/login", body, JSON, NULL);
    assert_status(200);
}

static void login_refusals_keep_their_status(void **state) {
    (void)state;
    fake.outcome = SP_OUTCOME_INVALID_CREDENTIALS;
    ask("POST /auth/login", LOGIN, JSON, NULL);
    assert_problem(401, "invalid_credentials");
    fake.outcome = SP_OUTCOME_OVERLOADED;
    ask("POST /auth/login", LOGIN, JSON, NULL);
    assert_problem(503, "overloaded");
    assert_string_equal(header("Retry-After", 0), "1");
}

static void a_proof_that_does_not_hold_and_one_that_we_could_not_look_at_are_told_apart(void **state) {
    (void)state;
    fake.outcome = SP_OUTCOME_INVALID_PROOF;
    fake.trouble = (struct sp_oauth_trouble){.error = SP_OAUTH_INVALID_DPOP_PROOF};
    ask("POST /auth/login", LOGIN, JSON, NULL);
    assert_problem(401, "invalid_dpop_proof");
    fake.trouble = (struct sp_oauth_trouble){.error = SP_OAUTH_USE_DPOP_NONCE, .wants_nonce = true};
    ask("POST /auth/login", LOGIN, JSON, NULL);
    assert_problem(401, "use_dpop_nonce");
    fake.trouble = (struct sp_oauth_trouble){.error = SP_OAUTH_TEMPORARILY_UNAVAILABLE};
    ask("POST /auth/login", LOGIN, JSON, NULL);
    assert_problem(503, "overloaded");
    fake.trouble = (struct sp_oauth_trouble){.error = SP_OAUTH_SERVER_ERROR};
    ask("POST /auth/login", LOGIN, JSON, NULL);
    assert_problem(500, "internal_error");
}

static void login_with_a_cookie_that_cannot_be_written_sends_no_cookie(void **state) {
    (void)state;
    fake.access_token = SP_SLICE_LIT("a;Domain=evil");
    ask("POST /auth/login", LOGIN_COOKIE, JSON, ORIGIN, NULL);
    assert_problem(500, "internal_error");
    assert_no_cookies();
}

/* ---- refresh ---- */

static void refresh_by_body(void **state) {
    (void)state;
    ask("POST /auth/refresh", "{\"refresh_token\":\"sprt_x\",\"attempt\":\"AAAAAAAAAAAAAAAAAAAAAA\"}", JSON,
        NULL);
    assert_status(200);
    assert_body(TOKENS);
    assert_calls("refresh sprt_x|16|token\n");
}

static void refresh_ignores_a_bearer_that_is_probably_expired(void **state) {
    (void)state;
    ask("POST /auth/refresh", "{\"refresh_token\":\"sprt_x\"}", JSON, "Authorization: Bearer expired", NULL);
    assert_status(200);
    assert_calls("refresh sprt_x|0|token\n");
}

static void refresh_refuses_a_bad_attempt(void **state) {
    (void)state;
    static const char *const bad[] = {"AAAAAAAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAAAB",
                                      "AAAAAAAAAAAAAAAAAAAAA="};
    for (size_t i = 0; i < SP_ARRAY_LEN(bad); i++) {
        char body[128];
        snprintf(body, sizeof(body), "{\"refresh_token\":\"x\",\"attempt\":\"%s\"}", bad[i]);
        ask("POST /auth/refresh", body, JSON, NULL);
        assert_problem(400, "bad_value");
    }
    ask("POST /auth/refresh", "{\"refresh_token\":\"x\",\"attempt\":\"AAAAAAAAAAAAAAAAAAAAAAAA\"}", JSON,
        NULL);
    assert_problem(400, "too_long");
}

static void refresh_by_cookie_needs_origin_and_json_only(void **state) {
    (void)state;
    ask("POST /auth/refresh", "{}", JSON, ORIGIN, COOKIES, NULL);
    assert_status(200);
    assert_body(TOKENS_COOKIE);
    assert_non_null(header("Set-Cookie", 1));
    assert_calls("refresh " REFRESH "|0|cookie\n");
    ask("POST /auth/refresh", "{}", JSON, "Sec-Fetch-Site: same-origin", COOKIES, NULL);
    assert_status(200);
    ask("POST /auth/refresh", "{}", JSON, COOKIES, NULL);
    assert_problem(403, "origin_refused");
    ask("POST /auth/refresh", "{}", JSON, COOKIES, "Sec-Fetch-Site: cross-site", NULL);
    assert_problem(403, "origin_refused");
    ask("POST /auth/refresh", "{}", "Content-Type: text/plain", ORIGIN, COOKIES, NULL);
    assert_problem(415, "unsupported_media_type");
    ask("POST /auth/refresh", "", JSON, ORIGIN, COOKIES, NULL);
    assert_problem(400, "malformed_json");
}

static void refresh_that_is_not_valid_expires_both_cookies(void **state) {
    (void)state;
    fake.outcome = SP_OUTCOME_INVALID_GRANT;
    ask("POST /auth/refresh", "{}", JSON, ORIGIN, COOKIES, NULL);
    assert_problem(401, "invalid_grant");
    assert_cookies_expired();
    ask("POST /auth/refresh", "{\"refresh_token\":\"x\"}", JSON, NULL);
    assert_problem(401, "invalid_grant");
    assert_no_cookies();
    fake.outcome = SP_OUTCOME_REFRESH_SUPERSEDED;
    ask("POST /auth/refresh", "{}", JSON, ORIGIN, COOKIES, NULL);
    assert_problem(409, "refresh_superseded");
    assert_no_cookies();
    fake.outcome = SP_OUTCOME_STORE_UNAVAILABLE;
    ask("POST /auth/refresh", "{}", JSON, ORIGIN, COOKIES, NULL);
    assert_problem(503, "store_unavailable");
    assert_no_cookies();
}

static void refresh_with_two_tokens_is_refused(void **state) {
    (void)state;
    ask("POST /auth/refresh", "{\"refresh_token\":\"x\"}", JSON, ORIGIN, COOKIES, NULL);
    assert_problem(400, "ambiguous_credentials");
    ask("POST /auth/refresh", "{}", JSON, ORIGIN, COOKIES, BEARER, NULL);
    assert_problem(400, "ambiguous_credentials");
    assert_calls("");
}

static void refresh_without_a_token_is_not_authenticated(void **state) {
    (void)state;
    ask("POST /auth/refresh", "{}", JSON, ORIGIN, NULL);
    assert_problem(401, "not_authenticated");
    ask("POST /auth/refresh", "{}", JSON, ORIGIN, "Cookie: __Host-sp_access=" GOOD, NULL);
    assert_problem(401, "not_authenticated");
    ask("POST /auth/refresh", "{}", JSON, ORIGIN, "Cookie: __Host-sp_refresh=", NULL);
    assert_problem(401, "not_authenticated");
}

static void a_tossed_cookie_is_expired_and_refused(void **state) {
    (void)state;
    ask("POST /auth/refresh", "{}", JSON, ORIGIN, COOKIES "; __Host-sp_refresh=evil", NULL);
    assert_problem(401, "repeated_cookie");
    assert_cookies_expired();
    ask("POST /auth/refresh", "{}", JSON, ORIGIN, COOKIES, "cookie: __Host-sp_access=evil", NULL);
    assert_problem(401, "repeated_cookie");
    assert_calls("");
}

/* ---- logout ---- */

static void logout_by_body_or_bearer_even_expired(void **state) {
    (void)state;
    ask("POST /auth/logout", "{\"refresh_token\":\"sprt_x\"}", JSON, NULL);
    assert_status(204);
    assert_calls("logout sprt_x|\n");
    assert_no_cookies();
    ask("POST /auth/logout", NULL, "Authorization: bEaReR expired.token", NULL);
    assert_status(204);
    assert_calls("logout |expired.token\n");
    ask("POST /auth/logout", "{}", JSON, BEARER, NULL);
    assert_status(204);
}

static void logout_by_cookie_needs_origin_and_csrf_token(void **state) {
    (void)state;
    ask("POST /auth/logout", NULL, COOKIES, ORIGIN, CSRF, NULL);
    assert_status(204);
    assert_cookies_expired();
    assert_calls("logout " REFRESH "|\n");
    ask("POST /auth/logout", NULL, COOKIES, CSRF, NULL);
    assert_problem(403, "origin_refused");
    ask("POST /auth/logout", NULL, COOKIES, ORIGIN, NULL);
    assert_problem(403, "csrf_failed");
    ask("POST /auth/logout", NULL, COOKIES, ORIGIN,
        "X-CSRF-Token: XXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX", NULL);
    assert_problem(403, "csrf_failed");
    ask("POST /auth/logout", NULL, COOKIES, ORIGIN, CSRF "C", NULL);
    assert_problem(403, "csrf_failed");
    assert_calls("");
}

static void logout_by_the_refresh_cookie_alone(void **state) {
    (void)state;
    ask("POST /auth/logout", NULL, "Cookie: __Host-sp_refresh=" REFRESH, ORIGIN, CSRF, NULL);
    assert_status(204);
    assert_calls("logout " REFRESH "|\n");
    ask("POST /auth/logout", NULL, "Cookie: __Host-sp_refresh=junk", ORIGIN, CSRF, NULL);
    assert_problem(401, "invalid_grant");
    assert_cookies_expired();
}

static void logout_by_the_access_cookie_alone(void **state) {
    (void)state;
    ask("POST /auth/logout", NULL, "Cookie: __Host-sp_access=" GOOD, ORIGIN, CSRF, NULL);
    assert_status(204);
    assert_calls("logout |" GOOD "\n");
    ask("POST /auth/logout", NULL, "Cookie: __Host-sp_access=junk", ORIGIN, CSRF, NULL);
    assert_problem(401, "invalid_token");
}

static void logout_that_proves_nothing_still_expires_cookies(void **state) {
    (void)state;
    fake.outcome = SP_OUTCOME_INVALID_GRANT;
    ask("POST /auth/logout", NULL, COOKIES, ORIGIN, CSRF, NULL);
    assert_problem(401, "invalid_grant");
    assert_cookies_expired();
    fake.outcome = SP_OUTCOME_STORE_UNAVAILABLE;
    ask("POST /auth/logout", NULL, COOKIES, ORIGIN, CSRF, NULL);
    assert_problem(503, "store_unavailable");
    assert_no_cookies();
}

static void logout_with_two_or_no_credentials_is_refused(void **state) {
    (void)state;
    ask("POST /auth/logout", "{\"refresh_token\":\"x\"}", JSON, BEARER, NULL);
    assert_problem(400, "ambiguous_credentials");
    ask("POST /auth/logout", "{\"refresh_token\":\"x\"}", JSON, COOKIES, ORIGIN, CSRF, NULL);
    assert_problem(400, "ambiguous_credentials");
    ask("POST /auth/logout", NULL, NULL);
    assert_problem(401, "not_authenticated");
    ask("POST /auth/logout", "{}", NULL);
    assert_problem(415, "unsupported_media_type");
}

static void logout_all_counts_and_expires(void **state) {
    (void)state;
    fake.count = 3;
    ask("POST /auth/logout-all", NULL, BEARER, NULL);
    assert_status(200);
    assert_body("{\"sessions_ended\":3}");
    assert_no_cookies();
    ask("POST /auth/logout-all", NULL, COOKIES, ORIGIN, CSRF, NULL);
    assert_status(200);
    assert_cookies_expired();
    ask("POST /auth/logout-all", NULL, COOKIES, ORIGIN, NULL);
    assert_problem(403, "csrf_failed");
    ask("POST /auth/logout-all", NULL, NULL);
    assert_problem(401, "not_authenticated");
}

/* ---- me, password ---- */

static void me_answers_from_the_token(void **state) {
    (void)state;
    fake.scope = SP_SLICE_LIT("a b");
    ask("GET /auth/me", NULL, BEARER, NULL);
    assert_status(200);
    assert_body(
        "{\"sub\":\"" SUB "\",\"session_id\":\"" SID "\",\"roles\":[\"staff\"],\"permissions\":"
        "[\"documents:read\"],\"scope\":\"a b\",\"auth_time\":\"2023-11-14T22:13:20Z\",\"expires_at\":"
        "\"2023-11-14T22:28:20Z\"}");
    ask("GET /auth/me", NULL, COOKIES, NULL);
    assert_status(200);
    assert_non_null(strstr(reply.body, "\"csrf_token\":\"CCC"));
}

static void password_change(void **state) {
    (void)state;
    const char *body = "{\"current_password\":\"old\",\"new_password\":\"new new new\"}";
    ask("POST /auth/password", body, JSON, BEARER, NULL);
    assert_status(204);
    assert_calls("password old|new new new\n");
    ask("POST /auth/password", body, JSON, COOKIES, ORIGIN, CSRF, NULL);
    assert_status(204);
    assert_no_cookies();
    ask("POST /auth/password", body, JSON, COOKIES, ORIGIN, NULL);
    assert_problem(403, "csrf_failed");
    fake.outcome = SP_OUTCOME_INVALID_CREDENTIALS;
    ask("POST /auth/password", body, JSON, BEARER, NULL);
    assert_problem(401, "invalid_credentials");
    fake.outcome = SP_OUTCOME_PASSWORD_REJECTED;
    ask("POST /auth/password", body, JSON, BEARER, NULL);
    assert_problem(422, "password_rejected");
}

/* ---- attempts, devices, registration ---- */

static void too_many_attempts_say_when_to_come_back(void **state) {
    (void)state;
    fake.outcome = SP_OUTCOME_TOO_MANY_ATTEMPTS;
    fake.why.retry_after_s = 297;
    ask("POST /auth/login", LOGIN, JSON, NULL);
    assert_problem(429, "too_many_attempts");
    assert_string_equal(header("Retry-After", 0), "297");
    assert_null(header("WWW-Authenticate", 0));
    ask("POST /auth/password", "{\"current_password\":\"old\",\"new_password\":\"new\"}", JSON, BEARER, NULL);
    assert_problem(429, "too_many_attempts");
    assert_string_equal(header("Retry-After", 0), "297");
}

static void rejected_password_has_its_reason(void **state) {
    (void)state;
    fake.outcome = SP_OUTCOME_PASSWORD_REJECTED;
    fake.why.reason = "common";
    ask("POST /auth/password", "{\"current_password\":\"old\",\"new_password\":\"new\"}", JSON, BEARER, NULL);
    assert_problem(422, "password_rejected");
    assert_non_null(strstr(reply.body, "\"reason\":\"common\""));
    assert_null(header("Retry-After", 0));
}

#define DEVICE_COOKIE "Cookie: other=1; __Host-sp_device=dev.known"

static void device_cookie_is_read_and_renewed_in_cookie_mode_alone(void **state) {
    (void)state;
    fake.device_token = SP_SLICE_LIT("dev.new");
    ask("POST /auth/login", LOGIN_COOKIE, JSON, ORIGIN, DEVICE_COOKIE, NULL);
    assert_body(TOKENS_COOKIE);
    assert_string_equal(
        header("Set-Cookie", 2),
        "__Host-sp_device=dev.new; Path=/; Max-Age=31536000; HttpOnly; Secure; SameSite=Strict");
    assert_calls("login alice|correct horse||cookie\ndevice dev.known\n");
    ask("POST /auth/login", LOGIN, JSON, DEVICE_COOKIE, NULL);
    assert_body(TOKENS);
    assert_no_cookies();
    assert_calls("login alice|correct horse||token\n");
}

static void repeated_device_cookie_is_no_device(void **state) {
    (void)state;
    ask("POST /auth/login", LOGIN_COOKIE, JSON, ORIGIN, DEVICE_COOKIE, "Cookie: __Host-sp_device=dev.other",
        NULL);
    assert_status(200);
    assert_calls("login alice|correct horse||cookie\n");
}

static void device_token_comes_to_whoever_asks_for_it(void **state) {
    (void)state;
    fake.device_token = SP_SLICE_LIT("dev.new");
    ask("POST /auth/login", "{\"username\":\"alice\",\"password\":\"p\",\"device_token\":\"\"}", JSON, NULL);
    assert_status(200);
    assert_non_null(strstr(reply.body, "\"device_token\":\"dev.new\""));
    assert_calls("login alice|p||token\n");
    ask("POST /auth/login", "{\"username\":\"alice\",\"password\":\"p\",\"device_token\":\"dev.known\"}",
        JSON, NULL);
    assert_calls("login alice|p||token\ndevice dev.known\n");
    ask("POST /auth/login", "{\"username\":\"alice\",\"password\":\"p\",\"device_token\":null}", JSON, NULL);
    assert_problem(400, "wrong_type");
}

static void registration_is_not_there_unless_it_is_on(void **state) {
    (void)state;
    static const char *const lines[] = {"POST /auth/register", "GET /auth/register",
                                        "OPTIONS /auth/register"};
    for (size_t i = 0; i < SP_ARRAY_LEN(lines); i++) {
        ask(lines[i], i == 0 ? LOGIN : NULL, JSON, NULL);
        assert_problem(404, "no_such_route");
    }
    assert_calls("");
    fake.registration = true;
    ask("POST /auth/register", LOGIN, JSON, NULL);
    assert_status(201);
    assert_body(TOKENS);
    assert_calls("register alice|correct horse||token\n");
    ask("POST /auth/register", LOGIN_COOKIE, JSON, NULL);
    assert_problem(403, "origin_refused");
    ask("POST /auth/register", LOGIN_COOKIE, JSON, ORIGIN, NULL);
    assert_status(201);
    fake.outcome = SP_OUTCOME_ALREADY_EXISTS;
    ask("POST /auth/register", LOGIN, JSON, NULL);
    assert_problem(409, "already_exists");
}

#define T(f) cmocka_unit_test_setup_teardown(f, fake_setup, fake_teardown)
int main(void) {
    const struct CMUnitTest tests[] = {
        T(login_gives_tokens),
        T(too_many_attempts_say_when_to_come_back),
        T(rejected_password_has_its_reason),
        T(device_cookie_is_read_and_renewed_in_cookie_mode_alone),
        T(repeated_device_cookie_is_no_device),
        T(device_token_comes_to_whoever_asks_for_it),
        T(registration_is_not_there_unless_it_is_on),
        T(login_takes_a_device_and_a_charset),
        T(login_in_cookie_mode_keeps_tokens_out_of_the_body),
        T(login_in_cookie_mode_from_another_origin_is_refused),
        T(a_refused_origin_is_told_to_the_log_once_a_minute),
        T(what_is_no_origin_is_not_shown_in_the_log),
        T(login_refuses_what_a_form_can_send),
        T(an_unknown_field_is_named_as_json),
        T(login_refuses_malformed_bodies_each_with_its_code),
        T(login_refuses_a_body_of_brackets),
        T(login_bounds_the_password),
        T(login_refusals_keep_their_status),
        T(a_proof_that_does_not_hold_and_one_that_we_could_not_look_at_are_told_apart),
        T(login_with_a_cookie_that_cannot_be_written_sends_no_cookie),
        T(refresh_by_body),
        T(refresh_ignores_a_bearer_that_is_probably_expired),
        T(refresh_refuses_a_bad_attempt),
        T(refresh_by_cookie_needs_origin_and_json_only),
        T(refresh_that_is_not_valid_expires_both_cookies),
        T(refresh_with_two_tokens_is_refused),
        T(refresh_without_a_token_is_not_authenticated),
        T(a_tossed_cookie_is_expired_and_refused),
        T(logout_by_body_or_bearer_even_expired),
        T(logout_by_cookie_needs_origin_and_csrf_token),
        T(logout_by_the_refresh_cookie_alone),
        T(logout_by_the_access_cookie_alone),
        T(logout_that_proves_nothing_still_expires_cookies),
        T(logout_with_two_or_no_credentials_is_refused),
        T(logout_all_counts_and_expires),
        T(me_answers_from_the_token),
        T(password_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
