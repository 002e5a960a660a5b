#include "fake.h"

#include "crypto/digest.h"
#include "http/page.h"

#define SSO "Cookie: __Host-sp_sso=signed"

static void assert_page(int status) {
    assert_status(status);
    assert_string_equal(header("Content-Type", 0), "text/html; charset=utf-8");
    assert_string_equal(header("Cache-Control", 0), "no-store");
    assert_string_equal(header("X-Frame-Options", 0), "DENY");
    assert_string_equal(header("Cross-Origin-Opener-Policy", 0), "same-origin");
    assert_non_null(header("Permissions-Policy", 0));
    const char *policy = header("Content-Security-Policy", 0);
    assert_null(strstr(policy, "unsafe"));
    assert_non_null(strstr(policy, "default-src 'none'; style-src 'sha256-"));
    assert_non_null(strstr(policy, "base-uri 'none'; frame-ancestors 'none'"));
    assert_int_equal(strncmp(reply.body, "<!doctype html>\n<html lang=\"en\">", 32), 0);
    const char *h1 = strstr(reply.body, "<h1>");
    assert_non_null(h1);
    assert_null(strstr(h1 + 1, "<h1>"));
    assert_null(strstr(reply.body, "<script"));
    assert_null(strstr(reply.body, " style="));
}
static void assert_shows(const char *html) {
    if (strstr(reply.body, html) == NULL) print_error("%s\n", reply.body);
    assert_non_null(strstr(reply.body, html));
}

static void the_policy_has_the_hash_of_the_stylesheet(void **state) {
    (void)state;
    uint8_t hash[SP_SHA256_BYTES];
    sp_sha256(sp_slice_cstr(sp_page_style), hash);
    char text[64];
    sp_base64url_encode(SP_SLICE_ARRAY(hash), text);
    for (size_t i = 0; i < 43; i++) text[i] = text[i] == '-' ? '+' : text[i] == '_' ? '/' : text[i];
    memcpy(text + 43, "=", 2);
    char wanted[80];
    (void)snprintf(wanted, sizeof(wanted), "sha256-%s", text);
    assert_string_equal(sp_page_style_hash, wanted);
}

static void a_form_may_lead_to_the_origin_of_its_address(void **state) {
    (void)state;
    static const struct {
        const char *address, *source;
    } cases[] = {
        {"https://app.example/cb?x=1", "https://app.example"},
        {"https://app.example", "https://app.example"},
        {"https://app.example:8443#x", "https://app.example:8443"},
        {"http://127.0.0.1:1234/cb", "http://127.0.0.1:1234"},
        {"http://[::1]:1234/cb", "http:"},
        {"https://user@app.example/", "https:"},
        {"https://app.example;script-src *//", "https:"},
        {"https://", "https:"},
        {"com.example.app:/cb", "com.example.app:"},
        {"com.example.app://host;x", "com.example.app:"},
        {"nothing", ""},
        {":x", ""},
        {"a b:c", ""},
        {"", ""},
    };
    for (size_t i = 0; i < SP_ARRAY_LEN(cases); i++) {
        SP_AUTO(sp_buf) b = SP_BUF_INIT(128);
        const char *s;
        assert_true(sp_ok(sp_page_form_source(sp_slice_cstr(cases[i].address), &b)));
        assert_true(sp_ok(sp_buf_cstr(&b, &s)));
        assert_string_equal(s, cases[i].source);
    }
}

static void show_login(void) {
    fake.authz = (struct sp_authz_result){.next = SP_AUTHZ_LOGIN,
                                          .request = SP_SLICE_LIT("sealed"),
                                          .client_id = SP_SLICE_LIT("shop"),
                                          .client_name = SP_SLICE_LIT("<b>Shop</b>"),
                                          .goes_to = SP_SLICE_LIT("https://shop.example/cb"),
                                          .failed = SP_OUTCOME_OK};
}

static void a_browser_that_keeps_no_cookie_is_told_so(void **state) {
    (void)state;
    show_login();
    fake.authz.lost_cookie = true;
    ask("GET /oauth2/authorize?client_id=shop", NULL, NULL);
    assert_page(200);
    assert_shows("<title>Error: Sign in</title>");
    assert_shows("role=\"alert\">\n<p>Your browser did not keep the sign-in.");
    assert_null(strstr(reply.body, " aria-invalid=\"true\""));
}

static void the_login_page_can_be_used_by_anybody(void **state) {
    (void)state;
    show_login();
    ask("GET /oauth2/authorize?client_id=shop", NULL, NULL);
    assert_page(200);
    assert_shows("<title>Sign in</title>");
    assert_shows("&lt;b&gt;Shop&lt;/b&gt;</bdi></strong> (<bdi>shop</bdi>)");
    assert_shows("<form method=\"post\" action=\"login\">");
    assert_shows("<input type=\"hidden\" name=\"request\" value=\"sealed\">");
    assert_shows("<label for=\"username\">");
    assert_shows("autocomplete=\"username\"");
    assert_shows("<label for=\"password\">");
    assert_shows("autocomplete=\"current-password\"");
    assert_null(strstr(reply.body, "role=\"alert\""));
    assert_non_null(strstr(header("Content-Security-Policy", 0), "form-action 'self' https://shop.example;"));
    fake.authz.username = SP_SLICE_LIT("al\"ice");
    ask("GET /oauth2/authorize?client_id=shop", NULL, NULL);
    assert_shows("value=\"al&#34;ice\"");
}

static void a_login_that_failed_says_so(void **state) {
    (void)state;
    static const struct {
        enum sp_outcome failed;
        int status;
        const char *text;
    } cases[] = {
        {SP_OUTCOME_INVALID_CREDENTIALS, 400, "The user name or the password is wrong"},
        {SP_OUTCOME_TOO_MANY_ATTEMPTS, 429, "Try again in 5 minutes."},
        {SP_OUTCOME_OVERLOADED, 503, "at this moment"},
        {SP_OUTCOME_STORE_UNAVAILABLE, 503, "at this moment"},
    };
    for (size_t i = 0; i < SP_ARRAY_LEN(cases); i++) {
        show_login();
        fake.authz.failed = cases[i].failed;
        fake.authz.trouble.retry_after_s = 299;
        fake.authz.username = SP_SLICE_LIT("bob");
        ask("POST /oauth2/login", "request=r&username=bob&password=p", FORM, ORIGIN, NULL);
        assert_page(cases[i].status);
        assert_shows("<title>Error: Sign in</title>");
        assert_shows("id=\"problem\" role=\"alert\"");
        assert_shows(cases[i].text);
        assert_shows("value=\"bob\"");
        assert_null(strstr(reply.body, "value=\"p\""));
        if (i == 0) assert_shows("aria-invalid=\"true\" aria-describedby=\"problem\"");
        if (i == 1) assert_string_equal(header("Retry-After", 0), "299");
    }
}

static void what_a_page_posts_needs_our_origin(void **state) {
    (void)state;
    static const char *const lines[] = {"POST /oauth2/login", "POST /oauth2/consent", "POST /oauth2/logout"};
    static const char *const bad[] = {"Origin: https://evil.example", "Origin: null",
                                      "Sec-Fetch-Site: cross-site", "X-Nothing: x"};
    for (size_t i = 0; i < SP_ARRAY_LEN(lines); i++) {
        for (size_t j = 0; j < SP_ARRAY_LEN(bad); j++) {
            ask(lines[i], "request=r&csrf=c&decision=allow&username=a&password=b", FORM, SSO, bad[j], NULL);
            assert_page(403);
            assert_shows("access_denied");
            assert_calls("");
        }
    }
}

static void a_page_under_another_address_names_the_servers_own(void **state) {
    (void)state;
    fake.issuer = SP_SLICE_LIT("https://auth.example/a&b");
    ask("POST /oauth2/login", "request=r&username=a&password=b", FORM, "Origin: http://localhost:8420", NULL);
    assert_page(403);
    assert_shows("opened under another address than the server");
    assert_shows("<code>https://auth.example/a&amp;b</code>");
    assert_null(strstr(reply.body, "localhost"));
    assert_non_null(strstr(fake.warning, " origin=http://localhost:8420 "));
    assert_non_null(strstr(fake.warning, "allowed=https://auth.example https://app.example "));
}

static void the_issuer_is_an_origin_of_its_own_pages_and_of_nothing_else(void **state) {
    (void)state;
    fake.issuer = SP_SLICE_LIT("https://auth.example/below/");
    fake.authz = (struct sp_authz_result){.next = SP_AUTHZ_GOODBYE};
    ask("POST /oauth2/logout", "request=r&csrf=c", FORM, SSO, "Origin: https://auth.example", NULL);
    assert_page(200);
    ask("POST /oauth2/logout", "request=r&csrf=c", FORM, SSO, "Origin: https://auth.example",
        "Sec-Fetch-Site: same-site", NULL);
    assert_page(403);
    ask("POST /auth/refresh", "{}", JSON, COOKIES, "Origin: https://auth.example", NULL);
    assert_problem(403, "origin_refused");
}

static void a_login_reaches_core_with_what_the_browser_has(void **state) {
    (void)state;
    fake.authz = (struct sp_authz_result){.next = SP_AUTHZ_REDIRECT,
                                          .location = SP_SLICE_LIT("https://iss/oauth2/authorize?x"),
                                          .sets_cookie = true,
                                          .cookie = SP_SLICE_LIT("fresh"),
                                          .device_token = SP_SLICE_LIT("device")};
    ask("POST /oauth2/login", "request=r&username=a+b&password=p%0A%C3%BC", FORM, ORIGIN,
        "Cookie: __Host-sp_sso=old; __Host-sp_device=known", NULL);
    assert_status(303);
    assert_int_equal(reply.body_n, 0);
    assert_string_equal(header("Location", 0), "https://iss/oauth2/authorize?x");
    assert_string_equal(header("Set-Cookie", 0),
                        "__Host-sp_sso=fresh; Path=/; HttpOnly; Secure; SameSite=Lax");
    assert_string_equal(
        header("Set-Cookie", 1),
        "__Host-sp_device=device; Path=/; Max-Age=31536000; HttpOnly; Secure; SameSite=Strict");
    assert_calls("login r|a b|p\n\xC3\xBC|known|old\n");
}

static void a_repeated_cookie_is_none_and_expired(void **state) {
    (void)state;
    show_login();
    ask("GET /oauth2/authorize?client_id=shop", NULL, "Cookie: __Host-sp_sso=a; __Host-sp_sso=b", NULL);
    assert_page(200);
    assert_calls("authorize \nclient_id=shop\n");
    assert_string_equal(header("Set-Cookie", 0),
                        "__Host-sp_sso=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Lax");
    ask("GET /oauth2/authorize?client_id=shop", NULL, SSO, NULL);
    assert_calls("authorize signed\nclient_id=shop\n");
    assert_no_cookies();
    fake.authz.expires_cookie = true;
    ask("GET /oauth2/authorize?client_id=shop", NULL, SSO, NULL);
    assert_non_null(strstr(header("Set-Cookie", 0), "Max-Age=0"));
}

static void requests_come_by_query_or_form(void **state) {
    (void)state;
    show_login();
    ask("GET /oauth2/authorize?client_id=shop&scope=openid+a%3Ab&state=%26&utm=1&utm=2&resource=x&resource=y",
        NULL, NULL);
    assert_page(200);
    assert_calls("authorize \nclient_id=shop\nscope=openid a:b\nstate=&\nresource=x\nresource=y\n");
    ask("POST /oauth2/authorize", "client_id=shop&redirect_uri=a%3a%2F", FORM, NULL);
    assert_page(200);
    assert_calls("authorize \nclient_id=shop\nredirect_uri=a:/\n");
    static const char *const bad[] = {"GET /oauth2/authorize?client_id=a&client_id=b",
                                      "GET /oauth2/authorize?state=%", "GET /oauth2/authorize?state=%00"};
    for (size_t i = 0; i < SP_ARRAY_LEN(bad); i++) {
        ask(bad[i], NULL, NULL);
        assert_page(400);
        assert_shows("invalid_request");
        assert_calls("");
    }
    ask("POST /oauth2/authorize", "{}", JSON, NULL);
    assert_page(400);
    ask("GET /oauth2/login", NULL, NULL);
    assert_page(405);
    assert_string_equal(header("Allow", 0), "POST, OPTIONS");
}

static void the_consent_page_names_everything(void **state) {
    (void)state;
    fake.authz =
        (struct sp_authz_result){.next = SP_AUTHZ_CONSENT,
                                 .request = SP_SLICE_LIT("sealed"),
                                 .csrf = SP_SLICE_LIT("token"),
                                 .client_id = SP_SLICE_LIT("shop"),
                                 .username = SP_SLICE_LIT("al<ice"),
                                 .scope = SP_SLICE_LIT("openid profile offline_access documents:read odd"),
                                 .permissions = SP_SLICE_LIT("documents:read"),
                                 .goes_to = SP_SLICE_LIT("com.example.app:/cb")};
    ask("GET /oauth2/authorize?client_id=shop", NULL, SSO, NULL);
    assert_page(200);
    assert_shows("al&lt;ice");
    assert_shows("<li>Know that it is you who signs in here</li>");
    assert_shows("<li>See your user name</li>");
    assert_shows("<li>Stay connected when you have signed out here</li>");
    assert_shows("<li>Use your permission <code>documents:read</code></li>");
    assert_shows("<li><code>odd</code></li>");
    assert_shows("name=\"csrf\" value=\"token\"");
    assert_shows("name=\"decision\" value=\"allow\"");
    assert_shows("name=\"decision\" value=\"deny\"");
    assert_shows("Afterwards you go to <bdi>com.example.app:</bdi>");
    assert_shows("Not you? <a href=\"logout\">Sign out</a>");
    assert_non_null(strstr(header("Content-Security-Policy", 0), "form-action 'self' com.example.app:;"));
}

static void a_decision_is_one_of_two(void **state) {
    (void)state;
    fake.authz = (struct sp_authz_result){.next = SP_AUTHZ_REDIRECT,
                                          .location = SP_SLICE_LIT("https://shop.example/")};
    ask("POST /oauth2/consent", "request=r&csrf=c&decision=allow", FORM, ORIGIN, SSO, NULL);
    assert_status(303);
    assert_calls("consent allowed r|c|signed\n");
    ask("POST /oauth2/consent", "request=r&csrf=c&decision=deny", FORM, ORIGIN, SSO, NULL);
    assert_calls("consent denied r|c|signed\n");
    static const char *const bad[] = {"request=r&csrf=c", "request=r&decision=Allow",
                                      "request=r&decision=allow&decision=deny"};
    for (size_t i = 0; i < SP_ARRAY_LEN(bad); i++) {
        ask("POST /oauth2/consent", bad[i], FORM, ORIGIN, SSO, NULL);
        assert_page(400);
        assert_calls("");
    }
}

static void logging_out_is_asked_for_and_confirmed_by_our_page_alone(void **state) {
    (void)state;
    fake.authz = (struct sp_authz_result){.next = SP_AUTHZ_LOGOUT,
                                          .request = SP_SLICE_LIT("sealed"),
                                          .csrf = SP_SLICE_LIT("token"),
                                          .username = SP_SLICE_LIT("alice")};
    ask("GET "
        "/oauth2/logout?id_token_hint=h&client_id=shop&post_logout_redirect_uri=u&state=s&request=r&csrf=c",
        NULL, SSO, NULL);
    assert_page(200);
    assert_shows("<form method=\"post\" action=\"logout\">");
    assert_calls(
        "logout asked signed||\nid_token_hint=h\nclient_id=shop\npost_logout_redirect_uri=u\nstate=s\n");
    ask("POST /oauth2/logout", "id_token_hint=h", FORM, "Origin: https://shop.example", NULL);
    assert_page(200);
    assert_calls("logout asked ||\nid_token_hint=h\n");
    fake.authz.next = SP_AUTHZ_GOODBYE;
    fake.authz.expires_cookie = true;
    ask("POST /oauth2/logout", "request=sealed&csrf=token", FORM, ORIGIN, SSO, NULL);
    assert_page(200);
    assert_shows("You are signed out");
    assert_calls("logout confirmed signed|token|sealed\n");
    assert_non_null(strstr(header("Set-Cookie", 0), "__Host-sp_sso=; Path=/; Max-Age=0"));
}

static void an_error_says_what_to_do_and_which_request_it_was(void **state) {
    (void)state;
    static const struct {
        enum sp_oauth_error error;
        int status;
    } cases[] = {{SP_OAUTH_INVALID_REQUEST, 400},
                 {SP_OAUTH_INVALID_CLIENT, 400},
                 {SP_OAUTH_SERVER_ERROR, 500},
                 {SP_OAUTH_TEMPORARILY_UNAVAILABLE, 503}};
    for (size_t i = 0; i < SP_ARRAY_LEN(cases); i++) {
        fake.authz = (struct sp_authz_result){
            .next = SP_AUTHZ_ERROR, .trouble = {.error = cases[i].error, .description = "a <reason>"}};
        ask("GET /oauth2/authorize?client_id=shop", NULL, SSO, NULL);
        assert_page(cases[i].status);
        assert_shows("a &lt;reason&gt;");
        assert_shows("o back to the application");
        assert_shows(header("X-Request-Id", 0));
    }
}

#define T(name) cmocka_unit_test_setup_teardown(name, fake_setup, fake_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_policy_has_the_hash_of_the_stylesheet),
        cmocka_unit_test(a_form_may_lead_to_the_origin_of_its_address),
        T(the_login_page_can_be_used_by_anybody),
        T(a_browser_that_keeps_no_cookie_is_told_so),
        T(a_login_that_failed_says_so),
        T(what_a_page_posts_needs_our_origin),
        T(a_page_under_another_address_names_the_servers_own),
        T(the_issuer_is_an_origin_of_its_own_pages_and_of_nothing_else),
        T(a_login_reaches_core_with_what_the_browser_has),
        T(a_repeated_cookie_is_none_and_expired),
        T(requests_come_by_query_or_form),
        T(the_consent_page_names_everything),
        T(a_decision_is_one_of_two),
        T(logging_out_is_asked_for_and_confirmed_by_our_page_alone),
        T(an_error_says_what_to_do_and_which_request_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
