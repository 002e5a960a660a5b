/* What holds before any handler runs: paths, methods, headers, credentials, bodies, listeners. */
#include <unistd.h>

#include "fake.h"

static void unknown_paths_are_not_found(void **state) {
    (void)state;
    static const char *const lines[] = {
        "GET /",         "GET /auth",           "GET /auth/me/",       "GET //auth/me",
        "GET /auth//me", "GET /Auth/me",        "GET /auth/me;x",      "POST /auth/nothing",
        "GET /admin/v1", "GET /admin/v2/users", "GET /auth/sessions/", "PURGE /nowhere"};
    for (size_t i = 0; i < SP_ARRAY_LEN(lines); i++) {
        ask(lines[i], NULL, BEARER_ADMIN, NULL);
        assert_problem(404, "no_such_route");
    }
}

static void paths_that_are_not_canonical_are_refused(void **state) {
    (void)state;
    static const char *const lines[] = {"GET /auth/%6De",         "GET /auth/me%00",
                                        "GET /auth%2Fme",         "GET /auth/%2e%2e/auth/me",
                                        "GET /auth/../auth/me",   "GET /./auth/me",
                                        "GET /auth/me%",          "GET /auth/me%4",
                                        "GET /auth/me%zz",        "GET /auth\\me",
                                        "GET /admin/v1/users/..", "GET /auth/%c3%a9",
                                        "GET /auth/%5Cme",        "GET /auth/m\xC3\xA9",
                                        "GET /auth/me\"",         "GET /admin/v1/users/a%0Ab",
                                        "GET /admin/v1/users/%7F"};
    for (size_t i = 0; i < SP_ARRAY_LEN(lines); i++) {
        ask(lines[i], NULL, BEARER_ADMIN, NULL);
        assert_problem(400, "bad_path");
    }
    ask("GET /admin/v1/users/%FF", NULL, BEARER_ADMIN, NULL);
    assert_problem(400, "bad_path");
}

static void wrong_methods_are_told_the_right_ones(void **state) {
    (void)state;
    ask("GET /auth/login", NULL, NULL);
    assert_problem(405, "method_not_allowed");
    assert_string_equal(header("Allow", 0), "POST, OPTIONS");
    ask("PATCH /admin/v1/users/x", NULL, NULL);
    assert_string_equal(header("Allow", 0), "GET, HEAD, DELETE, OPTIONS");
    ask("PURGE /auth/me", NULL, NULL);
    assert_problem(405, "method_not_allowed");
    ask("HEAD /auth/login", NULL, NULL);
    assert_problem(405, "method_not_allowed");
}

static void options_and_head(void **state) {
    (void)state;
    ask("OPTIONS /admin/v1/users", NULL, NULL);
    assert_status(204);
    assert_string_equal(header("Allow", 0), "GET, HEAD, POST, OPTIONS");
    assert_null(header("Access-Control-Allow-Origin", 0));
    ask("OPTIONS *", NULL, NULL);
    assert_status(204);
    ask("HEAD /healthz", NULL, NULL);
    assert_status(200);
}

static void headers_that_decide_must_not_repeat(void **state) {
    (void)state;
    ask("GET /auth/me", NULL, BEARER, "authorization: Bearer other", NULL);
    assert_problem(400, "repeated_header");
    ask("POST /auth/logout-all", NULL, COOKIES, ORIGIN, ORIGIN, CSRF, NULL);
    assert_problem(400, "repeated_header");
    ask("POST /auth/logout-all", NULL, COOKIES, ORIGIN, CSRF, CSRF, NULL);
    assert_problem(400, "repeated_header");
    ask("POST /auth/login", "{}", JSON, JSON, NULL);
    assert_problem(400, "repeated_header");
    ask("POST /auth/logout-all", NULL, COOKIES, "Sec-Fetch-Site: same-origin", "Sec-Fetch-Site: same-origin",
        CSRF, NULL);
    assert_problem(400, "repeated_header");
}

static void authorization_is_one_scheme_and_one_token(void **state) {
    (void)state;
    static const char *const good[] = {"Authorization: bearer " GOOD, "Authorization: BEARER   " GOOD};
    for (size_t i = 0; i < SP_ARRAY_LEN(good); i++) {
        ask("GET /auth/me", NULL, good[i], NULL);
        assert_status(200);
    }
    static const char *const bad[] = {
        "Authorization: Bearer",     "Authorization: Bearer ",          "Authorization: ",
        "Authorization: Bearer a b", "Authorization: Bearer " GOOD ",", "Authorization: Bearer ==",
        "Authorization: Bearer a=b", "Authorization: Bearer a\tb"};
    for (size_t i = 0; i < SP_ARRAY_LEN(bad); i++) {
        ask("GET /auth/me", NULL, bad[i], NULL);
        assert_problem(400, "malformed_authorization");
    }
    static const char *const other[] = {"Authorization: Basic YTpi", ("Authorization: Bearer\t" GOOD " x"),
                                        "Authorization: Bearerx " GOOD};
    for (size_t i = 0; i < SP_ARRAY_LEN(other); i++) {
        ask("GET /auth/me", NULL, other[i], NULL);
        assert_problem(401, "unsupported_scheme");
    }
}

static void bearer_beside_a_cookie_is_refused(void **state) {
    (void)state;
    ask("GET /auth/me", NULL, BEARER, COOKIES, NULL);
    assert_problem(400, "ambiguous_credentials");
    ask("GET /auth/me", NULL, BEARER, "Cookie: __Host-sp_refresh=x", NULL);
    assert_problem(400, "ambiguous_credentials");
    ask("GET /auth/me", NULL, "Authorization: Basic x", COOKIES, NULL);
    assert_problem(400, "ambiguous_credentials");
    ask("GET /auth/me", NULL, BEARER, "Cookie: theme=dark", NULL);
    assert_status(200);
}

static void a_repeated_cookie_is_expired(void **state) {
    (void)state;
    ask("GET /auth/me", NULL, "Cookie: __Host-sp_access=" GOOD "; __Host-sp_access=" GOOD, NULL);
    assert_problem(401, "repeated_cookie");
    assert_cookies_expired();
}

static void csrf_matrix(void **state) {
    (void)state;
    static const char *const routes[] = {"POST /auth/logout-all", ("DELETE /auth/sessions/" SID),
                                         "POST /admin/v1/users/x/disable", "DELETE /admin/v1/keys/k"};
    const char *admin = "Cookie: __Host-sp_access=" ADMIN;
    const char *none = "X-Nothing: x";
    const char *const origins[] = {none, ORIGIN, "Origin: https://evil.example", "Origin: null"};
    const char *const sites[] = {none, "Sec-Fetch-Site: same-origin", "Sec-Fetch-Site: same-site",
                                 "Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: none"};
    const char *const tokens[] = {none, CSRF, "X-CSRF-Token: XXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX"};
    for (size_t r = 0; r < SP_ARRAY_LEN(routes); r++) {
        for (size_t o = 0; o < SP_ARRAY_LEN(origins); o++) {
            for (size_t s = 0; s < SP_ARRAY_LEN(sites); s++) {
                for (size_t t = 0; t < SP_ARRAY_LEN(tokens); t++) {
                    ask(routes[r], NULL, admin, origins[o], sites[s], tokens[t], NULL);
                    bool origin_good = (o == 1 && s <= 1) || (o == 0 && s == 1);
                    if (!origin_good) {
                        assert_problem(403, "origin_refused");
                    } else if (t != 1) {
                        assert_problem(403, "csrf_failed");
                    } else {
                        assert_true(reply.status == 200 || reply.status == 204);
                    }
                    if (reply.status == 403) assert_calls("");
                }
            }
        }
    }
}

static void bearer_needs_no_csrf_token(void **state) {
    (void)state;
    ask("POST /auth/logout-all", NULL, BEARER, "Origin: https://evil.example", "Sec-Fetch-Site: cross-site",
        NULL);
    assert_status(200);
}

static void bodies_where_none_is_taken(void **state) {
    (void)state;
    ask("POST /auth/logout-all", "{}", BEARER, JSON, NULL);
    assert_problem(400, "body_not_allowed");
    ask("GET /auth/me", "x", BEARER, NULL);
    assert_problem(400, "body_not_allowed");
    assert_calls("");
}

static void administration_over_tcp_needs_the_permission(void **state) {
    (void)state;
    ask("GET /admin/v1/users", NULL, BEARER_ADMIN, NULL);
    assert_status(200);
    ask("GET /admin/v1/users", NULL, NULL);
    assert_problem(401, "not_authenticated");
    ask("GET /admin/v1/users/bob", NULL, BEARER, NULL);
    assert_problem(403, "permission_denied");
    assert_calls("denial sallyport:admin /admin/v1/users/{user}\n");
}

static void use_socket(uid_t uid) {
    fake.listener = sp_http_listener_admin;
    fake.peer.kind = SP_HTTP_PEER_UNIX;
    fake.peer.uid = uid;
}

static void the_admin_socket_serves_root_and_ourselves(void **state) {
    (void)state;
    const uid_t good[] = {0, geteuid()};
    for (size_t i = 0; i < SP_ARRAY_LEN(good); i++) {
        use_socket(good[i]);
        ask("POST /admin/v1/users/bob/disable", NULL, NULL);
        assert_status(200);
        assert_calls("user_edit bob|0|\n");
    }
}

static void the_admin_socket_refuses_everyone_else(void **state) {
    (void)state;
    const uid_t nobody = 65534; /* who runs this, in some containers */
    const uid_t bad[] = {geteuid() == nobody ? 1 : nobody, geteuid() + 1, (uid_t)-1};
    for (size_t i = 0; i < SP_ARRAY_LEN(bad); i++) {
        use_socket(bad[i]);
        ask("GET /admin/v1/status", NULL, BEARER_ADMIN, NULL);
        assert_problem(403, "peer_refused");
        assert_calls("");
    }
    use_socket(0);
    fake.peer.kind = SP_HTTP_PEER_TCP; /* a listener given the wrong tag must not turn strangers into root */
    fake.listener = sp_http_listener_admin;
    memcpy(fake.peer.address, "192.0.2.1", 10);
    ask("GET /admin/v1/status", NULL, NULL);
    assert_problem(403, "peer_refused");
}

static void the_admin_socket_serves_nothing_else(void **state) {
    (void)state;
    use_socket(0);
    static const char *const hidden[] = {"POST /auth/login", "GET /auth/me", "GET /.well-known/jwks.json",
                                         "OPTIONS /auth/me", "PATCH /auth/login"};
    for (size_t i = 0; i < SP_ARRAY_LEN(hidden); i++) {
        ask(hidden[i], NULL, NULL);
        assert_problem(404, "no_such_route");
    }
    ask("GET /healthz", NULL, NULL);
    assert_status(200);
    ask("GET /readyz", NULL, NULL);
    assert_status(200);
}

static void health_and_readiness(void **state) {
    (void)state;
    ask("GET /healthz", NULL, NULL);
    assert_status(200);
    assert_body("{\"status\":\"alive\"}");
    ask("GET /readyz", NULL, NULL);
    assert_body("{\"status\":\"ready\"}");
    fake.ready = sp_err(SP_E_UNAVAILABLE);
    ask("GET /readyz", NULL, NULL);
    assert_problem(503, "not_ready");
    ask("GET /.well-known/jwks.json", NULL, NULL);
    assert_problem(503, "store_unavailable");
    ask("GET /healthz", NULL, NULL);
    assert_status(200);
}

static void jwks_may_be_cached(void **state) {
    (void)state;
    ask("GET /.well-known/jwks.json", NULL, NULL);
    assert_status(200);
    assert_string_equal(header("Cache-Control", 0), "public, max-age=300");
    assert_null(header("Cache-Control", 1));
    assert_string_equal(header("Content-Type", 0), "application/jwk-set+json");
    assert_string_equal(reply.body, "{\"keys\":[]}");
}

static void request_ids_are_ours_and_never_repeat(void **state) {
    (void)state;
    char first[32];
    ask("GET /healthz", NULL, "X-Request-Id: mine", NULL);
    snprintf(first, sizeof(first), "%s", header("X-Request-Id", 0));
    ask("GET /healthz", NULL, "X-Request-Id: mine", NULL);
    assert_string_not_equal(first, header("X-Request-Id", 0));
    assert_string_not_equal("mine", header("X-Request-Id", 0));
}

static void the_log_names_route_and_trace_but_nothing_secret(void **state) {
    (void)state;
    ask("GET /auth/verify?permission=documents:read", NULL, BEARER,
        "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", NULL);
    assert_non_null(strstr(fake.log, "route=/auth/verify "));
    assert_non_null(strstr(fake.log, "trace_id=4bf92f3577b34da6a3ce929d0e0e4736 "));
    assert_null(strstr(fake.log, GOOD));
    assert_null(strstr(fake.log, "documents"));
    static const char *const bad[] = {"traceparent: 00-4BF92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
                                      "traceparent: 00-00000000000000000000000000000000-00f067aa0ba902b7-01",
                                      "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
                                      "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-zz",
                                      "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736",
                                      "traceparent: "};
    for (size_t i = 0; i < SP_ARRAY_LEN(bad); i++) {
        ask("GET /healthz", NULL, bad[i], NULL);
        assert_non_null(strstr(fake.log, "trace_id=- "));
    }
}

static void an_api_is_not_made_of_bad_configuration(void **state) {
    (void)state;
    static const char *const origins[] = {"https://app.example/",
                                          "app.example",
                                          "https://",
                                          "https://A.example",
                                          "*",
                                          "null",
                                          "https://a.example/path",
                                          "https://user@a.example",
                                          "ftp://a.example"};
    for (size_t i = 0; i < SP_ARRAY_LEN(origins); i++) {
        sp_slice origin = sp_slice_cstr(origins[i]);
        const struct sp_http_api_config config = {
            .public_origins = &origin, .n_public_origins = 1, .random = sp_random_system};
        struct sp_http_api *api = NULL;
        assert_true(sp_is(sp_http_api_new(NULL, &config, &api), SP_E_MALFORMED));
        assert_null(api);
    }
    const struct sp_http_api_config prefix = {.cookie_prefix = SP_SLICE_LIT("a;"),
                                              .random = sp_random_system};
    struct sp_http_api *api = NULL;
    assert_true(sp_is(sp_http_api_new(NULL, &prefix, &api), SP_E_MALFORMED));
}

#define T(f) cmocka_unit_test_setup_teardown(f, fake_setup, fake_teardown)
static void metrics_ask_who_it_is_except_on_their_own_listener(void **state) {
    (void)state;
    ask("GET /metrics", NULL, NULL);
    assert_problem(401, "not_authenticated");
    ask("GET /metrics", NULL, BEARER, NULL);
    assert_problem(403, "permission_denied");
    ask("GET /metrics", NULL, BEARER_ADMIN, NULL);
    assert_status(200);
    assert_string_equal(header("Content-Type", 0), "text/plain; version=0.0.4; charset=utf-8");
    assert_string_equal(reply.body, "# store memory\n");
    fake.listener = sp_http_listener_metrics;
    ask("GET /metrics", NULL, NULL);
    assert_status(200);
    fake.outcome = SP_OUTCOME_INTERNAL;
    ask("GET /metrics", NULL, NULL);
    assert_problem(500, "internal_error");
}

static void the_metrics_listener_serves_nothing_else(void **state) {
    (void)state;
    fake.listener = sp_http_listener_metrics;
    static const char *const others[] = {"GET /auth/me", "POST /auth/login", "GET /admin/v1/users",
                                         "GET /.well-known/jwks.json"};
    for (size_t i = 0; i < SP_ARRAY_LEN(others); i++) {
        ask(others[i], NULL, BEARER_ADMIN, NULL);
        assert_problem(404, "no_such_route");
    }
    ask("GET /readyz", NULL, NULL);
    assert_status(200);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        T(unknown_paths_are_not_found),
        T(paths_that_are_not_canonical_are_refused),
        T(wrong_methods_are_told_the_right_ones),
        T(options_and_head),
        T(metrics_ask_who_it_is_except_on_their_own_listener),
        T(the_metrics_listener_serves_nothing_else),
        T(headers_that_decide_must_not_repeat),
        T(authorization_is_one_scheme_and_one_token),
        T(bearer_beside_a_cookie_is_refused),
        T(a_repeated_cookie_is_expired),
        T(csrf_matrix),
        T(bearer_needs_no_csrf_token),
        T(bodies_where_none_is_taken),
        T(administration_over_tcp_needs_the_permission),
        T(the_admin_socket_serves_root_and_ourselves),
        T(the_admin_socket_refuses_everyone_else),
        T(the_admin_socket_serves_nothing_else),
        T(health_and_readiness),
        T(jwks_may_be_cached),
        T(request_ids_are_ours_and_never_repeat),
        T(the_log_names_route_and_trace_but_nothing_secret),
        T(an_api_is_not_made_of_bad_configuration),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
