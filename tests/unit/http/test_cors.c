#include "fake.h"

#define SPA "Origin: https://spa.example"

static void assert_shared(void) {
    assert_string_equal(header("Access-Control-Allow-Origin", 0), "https://spa.example");
    assert_null(header("Access-Control-Allow-Credentials", 0));
    assert_string_equal(header("Vary", 0), "Origin");
    assert_string_equal(header("Access-Control-Expose-Headers", 0),
                        "WWW-Authenticate, DPoP-Nonce, Retry-After, X-Request-Id");
}

static void assert_not_shared(void) {
    for (size_t i = 0; i < reply.n_headers; i++)
        assert_int_not_equal(strncmp(reply.header[i].name, "Access-Control-", 15), 0);
}

static void a_listed_origin_reads_answers_and_refusals(void **state) {
    (void)state;
    ask("GET /auth/me", NULL, SPA, BEARER, NULL);
    assert_status(200);
    assert_shared();
    ask("GET /auth/me", NULL, SPA, NULL);
    assert_problem(401, "not_authenticated");
    assert_shared();
    ask("POST /oauth2/token", "grant_type=x", SPA, FORM, NULL);
    assert_status(200);
    assert_shared();
    ask("POST /oauth2/token", "{}", SPA, JSON, NULL);
    assert_oauth_error(400, "invalid_request");
    assert_shared();
    ask("GET /.well-known/openid-configuration", NULL, SPA, NULL);
    assert_status(200);
    assert_shared();
    ask("GET /oauth2/token", NULL, SPA, NULL);
    assert_status(405);
    assert_shared();
}

static void others_read_nothing_and_nothing_of_theirs_is_repeated(void **state) {
    (void)state;
    static const char *const others[] = {"Origin: https://evil.example",
                                         "Origin: null",
                                         "Origin: https://spa.example.evil",
                                         "Origin: https://spa.exampl",
                                         "Origin: http://spa.example",
                                         "Origin: https://SPA.example",
                                         "Origin: https://spa.example:443",
                                         "Origin: https://app.example",
                                         "Origin: *"};
    for (size_t i = 0; i < SP_ARRAY_LEN(others); i++) {
        ask("GET /auth/me", NULL, others[i], BEARER, NULL);
        assert_status(200);
        assert_not_shared();
        assert_string_equal(header("Vary", 0), "Origin");
        ask("OPTIONS /auth/me", NULL, others[i], "Access-Control-Request-Method: GET", NULL);
        assert_status(204);
        assert_not_shared();
    }
    ask("GET /auth/me", NULL, BEARER, NULL);
    assert_not_shared();
    assert_string_equal(header("Vary", 0), "Origin");
}

static void two_origins_are_none(void **state) {
    (void)state;
    ask("OPTIONS /auth/me", NULL, SPA, SPA, "Access-Control-Request-Method: GET", NULL);
    assert_status(204);
    assert_not_shared();
}

static void pages_and_administration_are_never_shared(void **state) {
    (void)state;
    fake.authz.next = SP_AUTHZ_GOODBYE;
    ask("GET /oauth2/authorize", NULL, SPA, NULL);
    assert_not_shared();
    assert_null(header("Vary", 0));
    ask("GET /oauth2/logout", NULL, SPA, NULL);
    assert_not_shared();
    ask("OPTIONS /oauth2/login", NULL, SPA, "Access-Control-Request-Method: POST", NULL);
    assert_not_shared();
    ask("GET /admin/v1/users", NULL, SPA, BEARER_ADMIN, NULL);
    assert_not_shared();
    ask("OPTIONS /admin/v1/users", NULL, SPA, "Access-Control-Request-Method: GET", NULL);
    assert_not_shared();
    ask("GET /healthz", NULL, SPA, NULL);
    assert_not_shared();
    ask("GET /nowhere", NULL, SPA, NULL);
    assert_not_shared();
}

static void a_preflight_names_what_the_path_has(void **state) {
    (void)state;
    ask("OPTIONS /oauth2/userinfo", NULL, SPA, "Access-Control-Request-Method: POST",
        "Access-Control-Request-Headers: authorization,x-evil", NULL);
    assert_status(204);
    assert_shared();
    assert_string_equal(header("Access-Control-Allow-Methods", 0), "GET, HEAD, POST, OPTIONS");
    assert_string_equal(header("Access-Control-Allow-Headers", 0),
                        "Authorization, Content-Type, DPoP, Prefer");
    assert_string_equal(header("Access-Control-Max-Age", 0), "600");
    assert_int_equal(reply.body_n, 0);
}

static void a_preflight_for_another_method_is_none(void **state) {
    (void)state;
    static const char *const wanted[] = {"Access-Control-Request-Method: DELETE",
                                         "Access-Control-Request-Method: post",
                                         "Access-Control-Request-Method: PURGE"};
    for (size_t i = 0; i < SP_ARRAY_LEN(wanted); i++) {
        ask("OPTIONS /oauth2/userinfo", NULL, SPA, wanted[i], NULL);
        assert_status(204);
        assert_null(header("Access-Control-Allow-Methods", 0));
    }
    ask("OPTIONS /oauth2/userinfo", NULL, SPA, NULL);
    assert_null(header("Access-Control-Allow-Methods", 0));
}

#define T(name) cmocka_unit_test_setup_teardown(name, fake_setup, fake_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        T(a_listed_origin_reads_answers_and_refusals),
        T(others_read_nothing_and_nothing_of_theirs_is_repeated),
        T(two_origins_are_none),
        T(pages_and_administration_are_never_shared),
        T(a_preflight_names_what_the_path_has),
        T(a_preflight_for_another_method_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
