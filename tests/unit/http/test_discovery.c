#include "fake.h"

#include <jansson.h>

static json_t *discover(const char *line) {
    ask(line, NULL, NULL);
    assert_status(200);
    assert_string_equal(header("Content-Type", 0), "application/json");
    assert_string_equal(header("Cache-Control", 0), "public, max-age=300");
    json_error_t err;
    json_t *j = json_loadb(reply.body, reply.body_n, JSON_REJECT_DUPLICATES, &err);
    assert_non_null(j);
    return j;
}

static const char *text(json_t *j, const char *name) {
    return json_string_value(json_object_get(j, name));
}

static void both_documents_say_the_same(void **state) {
    (void)state;
    json_t *one = discover("GET /.well-known/openid-configuration");
    json_t *two = discover("GET /.well-known/oauth-authorization-server");
    assert_true(json_equal(one, two));
    assert_string_equal(text(one, "issuer"), "https://iss");
    assert_string_equal(text(one, "token_endpoint"), "https://iss/oauth2/token");
    assert_string_equal(text(one, "jwks_uri"), "https://iss/.well-known/jwks.json");
    json_decref(one);
    json_decref(two);
}

static void only_the_configured_algorithm_is_promised(void **state) {
    (void)state;
    fake.alg = SP_ALG_EDDSA;
    json_t *j = discover("GET /.well-known/openid-configuration");
    json_t *algs = json_object_get(j, "id_token_signing_alg_values_supported");
    assert_int_equal(json_array_size(algs), 1);
    assert_string_equal(json_string_value(json_array_get(algs, 0)), "EdDSA");
    json_decref(j);
}

static void without_openid_there_is_nothing_of_it(void **state) {
    (void)state;
    static const char *const of_openid[] = {"userinfo_endpoint",
                                            "end_session_endpoint",
                                            "scopes_supported",
                                            "id_token_signing_alg_values_supported",
                                            "backchannel_logout_supported",
                                            "claims_supported"};
    fake.no_openid = true;
    json_t *j = discover("GET /.well-known/oauth-authorization-server");
    for (size_t i = 0; i < SP_ARRAY_LEN(of_openid); i++) assert_null(json_object_get(j, of_openid[i]));
    json_decref(j);
    ask("GET /.well-known/openid-configuration", NULL, NULL);
    assert_problem(404, "no_such_route");
}

static void an_issuer_with_a_path_has_it_behind_the_name(void **state) {
    (void)state;
    fake.issuer = SP_SLICE_LIT("https://iss/a/b/");
    json_t *one = discover("GET /.well-known/oauth-authorization-server/a/b");
    assert_string_equal(text(one, "issuer"), "https://iss/a/b/");
    assert_string_equal(text(one, "token_endpoint"), "https://iss/a/b/oauth2/token");
    json_t *two = discover("GET /.well-known/openid-configuration/a/b");
    json_t *three = discover("GET /.well-known/openid-configuration");
    assert_true(json_equal(one, two) && json_equal(one, three));
    json_decref(one);
    json_decref(two);
    json_decref(three);
    static const char *const others[] = {
        "GET /.well-known/oauth-authorization-server/a", "GET /.well-known/oauth-authorization-server/a/b/c",
        "GET /.well-known/oauth-authorization-server/a/b/", "GET /.well-known/oauth-authorization-server/",
        "GET /.well-known/jwks.json/a/b"};
    for (size_t i = 0; i < SP_ARRAY_LEN(others); i++) {
        ask(others[i], NULL, NULL);
        assert_problem(404, "no_such_route");
    }
}

#define T(name) cmocka_unit_test_setup_teardown(name, fake_setup, fake_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        T(both_documents_say_the_same),
        T(only_the_configured_algorithm_is_promised),
        T(without_openid_there_is_nothing_of_it),
        T(an_issuer_with_a_path_has_it_behind_the_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
