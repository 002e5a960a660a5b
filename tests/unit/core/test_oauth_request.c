/* Every parameter of an authorization request: missing, empty, too long, wrong; and where the fault is told.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/oauth_request.h"

#define CHALLENGE "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
#define JKT "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
#define CALLBACK "https://app.example/cb"

struct world {
    struct sp_app *app; /* only its configuration is looked at */
    struct sp_client client;
    struct sp_authz_facts facts;
    struct sp_authz_params params;
};

#define SET(t, text) assert_int_equal(SP_TEXT_SET((t), sp_slice_cstr(text)).code, SP_OK)

static int setup(void **state) {
    struct world *w = calloc(1, sizeof(*w));
    assert_non_null(w);
    w->app = calloc(1, sizeof(*w->app));
    assert_non_null(w->app);
    SET(&w->app->config.issuer, "https://auth.example");
    SET(&w->app->config.audience, "https://api.example");
    struct sp_client_row *row = &w->client.row;
    SET(&row->id, "app");
    SET(&row->grants, "authorization_code refresh_token");
    SET(&row->scopes, "openid profile offline_access documents:read documents:write");
    SET(&row->audiences, "https://api.example https://files.example");
    SET(&row->redirect_uris, CALLBACK);
    w->facts = (struct sp_authz_facts){.client = &w->client, .openid = true};
    w->params = (struct sp_authz_params){.client_id = SP_SLICE_LIT("app"),
                                         .response_type = SP_SLICE_LIT("code"),
                                         .redirect_uri = SP_SLICE_LIT(CALLBACK),
                                         .scope = SP_SLICE_LIT("openid documents:read"),
                                         .state = SP_SLICE_LIT("s-1"),
                                         .code_challenge = SP_SLICE_LIT(CHALLENGE),
                                         .code_challenge_method = SP_SLICE_LIT("S256")};
    *state = w;
    return 0;
}

static int teardown(void **state) {
    struct world *w = *state;
    free(w->app);
    free(w);
    return 0;
}

#define WORLD struct world *w = *state
#define TEXT_IS(t, text)                                                                                     \
    do {                                                                                                     \
        const __typeof__(t) t_ = (t);                                                                        \
        assert_true(sp_slice_eq_cstr(SP_TEXT_SLICE(&t_), (text)));                                           \
    } while (0)

static struct sp_authz_checked check(const struct world *w) {
    struct sp_authz_checked c;
    sp_authz_check(w->app, &w->facts, &w->params, &c);
    return c;
}

static void assert_good(const struct world *w) {
    struct sp_authz_checked c = check(w);
    if (c.trouble.error != SP_OAUTH_NONE)
        fail_msg("%s: %s", sp_oauth_code(c.trouble.error), c.trouble.description);
    assert_true(c.may_redirect);
}

/* Told to the client, by a redirect to the address that it has registered. */
static void assert_told(const struct world *w, enum sp_oauth_error error) {
    struct sp_authz_checked c = check(w);
    assert_string_equal(sp_oauth_code(c.trouble.error), sp_oauth_code(error));
    assert_int_equal(c.trouble.error, error);
    assert_non_null(c.trouble.description);
    assert_true(c.may_redirect);
    TEXT_IS(c.request.redirect_uri, CALLBACK);
}

/* Told to the person: nobody is sent anywhere. */
static void assert_shown(const struct world *w) {
    struct sp_authz_checked c = check(w);
    assert_int_equal(c.trouble.error, SP_OAUTH_INVALID_REQUEST);
    assert_non_null(c.trouble.description);
    assert_false(c.may_redirect);
}

static sp_slice many(char c, size_t n) {
    static char text[8192];
    assert_true(n <= sizeof(text));
    memset(text, c, n);
    return sp_slice_of(text, n);
}

/* ---- whom to, and where to ---- */

static void a_whole_request_is_taken_as_it_is(void **state) {
    WORLD;
    w->params.nonce = SP_SLICE_LIT("n-1");
    w->params.max_age = SP_SLICE_LIT("300");
    w->params.dpop_jkt = SP_SLICE_LIT(JKT);
    w->params.login_hint = SP_SLICE_LIT("ada");
    const sp_slice resources[] = {SP_SLICE_LIT("https://files.example")};
    w->params.resources = resources;
    w->params.n_resources = 1;
    const struct sp_authz_checked c = check(w);
    assert_int_equal(c.trouble.error, SP_OAUTH_NONE);
    TEXT_IS(c.request.client_id, "app");
    TEXT_IS(c.request.redirect_uri, CALLBACK);
    assert_true(c.request.redirect_uri_sent);
    TEXT_IS(c.request.state, "s-1");
    TEXT_IS(c.request.nonce, "n-1");
    TEXT_IS(c.request.code_challenge, CHALLENGE);
    TEXT_IS(c.request.scope, "openid documents:read");
    TEXT_IS(c.request.aud, "https://files.example");
    TEXT_IS(c.request.jkt, JKT);
    TEXT_IS(c.request.login_hint, "ada");
    assert_true(c.request.has_max_age);
    assert_int_equal(c.request.max_age_s, 300);
    assert_false(c.request.prompt_none || c.request.prompt_login || c.request.prompt_consent);
    assert_false(c.request.is_pushed || c.request.has_hint);
}

static void unknown_and_disabled_clients_are_shown(void **state) {
    WORLD;
    w->client.row.disabled = true;
    assert_shown(w);
    w->facts.client = NULL;
    assert_shown(w);
}

static void addresses_that_are_not_registered_are_shown(void **state) {
    WORLD;
    static const char *const others[] = {
        "https://evil.example/cb",     "https://app.example/cb/",
        "https://app.example/cb?x=1",  "https://app.example/CB",
        "https://app.example",         "http://app.example/cb",
        "https://app.example/cb#",     (CALLBACK " " CALLBACK),
        "https://app.example:443/cb",  "https://APP.example/cb",
        "https://app.example/cb\r\nx", "https://app.example/x/../cb",
        "https://app.example.evil/cb", "https://app.example/c%62",
        "javascript:alert(1)",         "data:text/html,x",
        "https://user@app.example/cb", "//app.example/cb",
    };
    for (size_t i = 0; i < SP_ARRAY_LEN(others); i++) {
        w->params.redirect_uri = sp_slice_cstr(others[i]);
        assert_shown(w);
    }
    w->params.redirect_uri = many('a', 4000);
    assert_shown(w);
}

static void two_registered_addresses_as_one_are_none(void **state) {
    WORLD;
    SET(&w->client.row.redirect_uris, CALLBACK " https://app.example/two");
    w->params.redirect_uri = SP_SLICE_LIT(CALLBACK " https://app.example/two");
    assert_shown(w);
    w->params.redirect_uri = SP_SLICE_LIT("https://app.example/two");
    assert_good(w);
}

static void a_missing_address_is_the_only_one_registered(void **state) {
    WORLD;
    w->params.redirect_uri = SP_SLICE_EMPTY;
    w->params.scope = SP_SLICE_LIT("documents:read");
    struct sp_authz_checked c = check(w);
    assert_int_equal(c.trouble.error, SP_OAUTH_NONE);
    assert_false(c.request.redirect_uri_sent);
    TEXT_IS(c.request.redirect_uri, CALLBACK);
    SET(&w->client.row.redirect_uris, CALLBACK " https://app.example/two");
    assert_shown(w);
    w->client.row.redirect_uris.n = 0;
    assert_shown(w);
}

static void openid_connect_requires_the_address(void **state) {
    WORLD;
    w->params.redirect_uri = SP_SLICE_LIT("");
    assert_told(w, SP_OAUTH_INVALID_REQUEST);
}

static void an_address_that_was_spoilt_on_disk_is_not_used(void **state) {
    WORLD;
    SET(&w->client.row.redirect_uris, "https://app.example/cb\r\nX:y");
    w->params.redirect_uri = SP_SLICE_LIT("https://app.example/cb\r\nX:y");
    assert_shown(w);
    w->params.redirect_uri = SP_SLICE_EMPTY;
    assert_shown(w);
}

/* ---- the rest ---- */

static void state_is_bounded_and_visible_or_not_given_back(void **state) {
    WORLD;
    w->params.state = many('s', SP_OAUTH_STATE_BYTES_MAX);
    assert_good(w);
    w->params.state = many('s', SP_OAUTH_STATE_BYTES_MAX + 1);
    assert_told(w, SP_OAUTH_INVALID_REQUEST);
    assert_int_equal(check(w).request.state.n, 0);
    w->params.state = SP_SLICE_LIT("a\nb");
    assert_told(w, SP_OAUTH_INVALID_REQUEST);
    assert_int_equal(check(w).request.state.n, 0);
    w->params.state = SP_SLICE_EMPTY;
    assert_good(w);
}

static void every_other_fault_carries_the_state(void **state) {
    WORLD;
    w->params.response_type = SP_SLICE_LIT("token");
    TEXT_IS(check(w).request.state, "s-1");
}

static void response_type_is_code_and_nothing_else(void **state) {
    WORLD;
    w->params.response_type = SP_SLICE_EMPTY;
    assert_told(w, SP_OAUTH_INVALID_REQUEST);
    w->params.response_type = SP_SLICE_LIT("");
    assert_told(w, SP_OAUTH_INVALID_REQUEST);
    static const char *const others[] = {"token", "id_token", "code id_token", "code token", "Code", "code "};
    for (size_t i = 0; i < SP_ARRAY_LEN(others); i++) {
        w->params.response_type = sp_slice_cstr(others[i]);
        assert_told(w, SP_OAUTH_UNSUPPORTED_RESPONSE_TYPE);
    }
}

static void response_mode_is_query_and_nothing_else(void **state) {
    WORLD;
    w->params.response_mode = SP_SLICE_LIT("query");
    assert_good(w);
    w->params.response_mode = SP_SLICE_LIT("");
    assert_good(w);
    w->params.response_mode = SP_SLICE_LIT("fragment");
    assert_told(w, SP_OAUTH_UNSUPPORTED_RESPONSE_MODE);
    w->params.response_mode = SP_SLICE_LIT("form_post");
    assert_told(w, SP_OAUTH_UNSUPPORTED_RESPONSE_MODE);
}

static void request_objects_and_registrations_are_refused(void **state) {
    WORLD;
    w->params.request = SP_SLICE_LIT("e30.e30.");
    assert_told(w, SP_OAUTH_REQUEST_NOT_SUPPORTED);
    w->params.request = SP_SLICE_LIT("");
    w->params.registration = SP_SLICE_LIT("{}");
    assert_told(w, SP_OAUTH_REGISTRATION_NOT_SUPPORTED);
}

static void a_client_without_the_grant_is_told_so(void **state) {
    WORLD;
    SET(&w->client.row.grants, "client_credentials refresh_token");
    assert_told(w, SP_OAUTH_UNAUTHORIZED_CLIENT);
}

static void a_client_that_must_push_must_push(void **state) {
    WORLD;
    w->client.row.require_par = true;
    assert_told(w, SP_OAUTH_INVALID_REQUEST);
    w->facts.pushed = true;
    assert_good(w);
}

static void pkce_is_required_and_only_s256(void **state) {
    WORLD;
    static const char *const methods[] = {"", "plain", "s256", "S256 ", "S512"};
    for (size_t i = 0; i < SP_ARRAY_LEN(methods); i++) {
        w->params.code_challenge_method = sp_slice_cstr(methods[i]);
        assert_told(w, SP_OAUTH_INVALID_REQUEST);
    }
    w->params.code_challenge_method = SP_SLICE_EMPTY; /* means plain */
    assert_told(w, SP_OAUTH_INVALID_REQUEST);
    w->params.code_challenge_method = SP_SLICE_LIT("S256");
    static const char *const challenges[] = {
        "",
        "x",
        CHALLENGE "A",
        CHALLENGE "=",
        "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cN", /* not canonical */
        "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw+cM",
        "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-c",
    };
    for (size_t i = 0; i < SP_ARRAY_LEN(challenges); i++) {
        w->params.code_challenge = sp_slice_cstr(challenges[i]);
        assert_told(w, SP_OAUTH_INVALID_REQUEST);
    }
    w->params.code_challenge = many('A', 5000);
    assert_told(w, SP_OAUTH_INVALID_REQUEST);
}

static void scopes_are_the_clients(void **state) {
    WORLD;
    static const char *const others[] = {"openid admin", "documents:*",  "openid  profile",
                                         " openid",      "openid ",      "openid\tprofile",
                                         "open\"id",     "op\xC3\xA9nid"};
    for (size_t i = 0; i < SP_ARRAY_LEN(others); i++) {
        w->params.scope = sp_slice_cstr(others[i]);
        assert_told(w, SP_OAUTH_INVALID_SCOPE);
    }
    w->params.scope = many('a', 5000);
    assert_told(w, SP_OAUTH_INVALID_SCOPE);
    w->params.scope = SP_SLICE_EMPTY;
    TEXT_IS(check(w).request.scope, "openid profile offline_access documents:read documents:write");
    w->client.row.scopes.n = 0;
    assert_good(w);
}

/* What libraries ask for unless they are told otherwise. */
static void scopes_of_claims_that_nobody_has_are_ignored_beside_openid(void **state) {
    WORLD;
    w->params.scope = SP_SLICE_LIT("openid profile email");
    TEXT_IS(check(w).request.scope, "openid profile");
    w->params.scope = SP_SLICE_LIT("email phone openid address");
    TEXT_IS(check(w).request.scope, "openid");
    static const char *const others[] = {"email", "profile email", "openid emails", "openid email admin",
                                         "openid  email"};
    for (size_t i = 0; i < SP_ARRAY_LEN(others); i++) {
        w->params.scope = sp_slice_cstr(others[i]);
        assert_told(w, SP_OAUTH_INVALID_SCOPE);
    }
}

static void openid_needs_keys_that_others_can_check(void **state) {
    WORLD;
    w->facts.openid = false;
    assert_told(w, SP_OAUTH_INVALID_SCOPE);
    w->params.scope = SP_SLICE_LIT("profile documents:read");
    assert_good(w);
    w->params.scope = SP_SLICE_EMPTY; /* nobody asked for it */
    TEXT_IS(check(w).request.scope, "profile offline_access documents:read documents:write");
}

static void offline_access_is_left_out_for_a_client_that_cannot_refresh(void **state) {
    WORLD;
    w->params.scope = SP_SLICE_LIT("offline_access openid");
    TEXT_IS(check(w).request.scope, "offline_access openid");
    SET(&w->client.row.grants, "authorization_code");
    TEXT_IS(check(w).request.scope, "openid");
}

static void resources_are_the_clients(void **state) {
    WORLD;
    sp_slice r[SP_OAUTH_RESOURCES_MAX + 1];
    for (size_t i = 0; i < SP_ARRAY_LEN(r); i++) r[i] = SP_SLICE_LIT("https://api.example");
    w->params.resources = r;
    w->params.n_resources = SP_OAUTH_RESOURCES_MAX;
    TEXT_IS(check(w).request.aud, "https://api.example");
    w->params.n_resources = SP_OAUTH_RESOURCES_MAX + 1;
    assert_told(w, SP_OAUTH_INVALID_TARGET);
    w->params.n_resources = 2;
    r[1] = SP_SLICE_LIT("https://other.example");
    assert_told(w, SP_OAUTH_INVALID_TARGET);
    r[1] = SP_SLICE_LIT("");
    assert_told(w, SP_OAUTH_INVALID_TARGET);
    w->params.n_resources = 0;
    assert_int_equal(check(w).request.aud.n, 0);
}

static void nonce_is_bounded_text(void **state) {
    WORLD;
    w->params.nonce = many('n', SP_OAUTH_NONCE_BYTES_MAX);
    assert_good(w);
    w->params.nonce = many('n', SP_OAUTH_NONCE_BYTES_MAX + 1);
    assert_told(w, SP_OAUTH_INVALID_REQUEST);
    w->params.nonce = SP_SLICE_LIT("a\x01");
    assert_told(w, SP_OAUTH_INVALID_REQUEST);
    w->params.nonce = SP_SLICE_LIT("\xFF");
    assert_told(w, SP_OAUTH_INVALID_REQUEST);
}

static void prompts_combine_but_none_stands_alone(void **state) {
    WORLD;
    static const struct {
        const char *prompt;
        bool good, none, login, consent;
    } rows[] = {
        {"", true, false, false, false},
        {"none", true, true, false, false},
        {"login", true, false, true, false},
        {"select_account", true, false, true, false},
        {"consent", true, false, false, true},
        {"login consent", true, false, true, true},
        {"consent select_account login", true, false, true, true},
        {"none none", true, true, false, false},
        {"none login", false, false, false, false},
        {"consent none", false, false, false, false},
        {"none select_account", false, false, false, false},
        {"create", false, false, false, false},
        {"NONE", false, false, false, false},
        {"login ", true, false, true, false},
        {"login  consent", false, false, false, false},
        {"login,consent", false, false, false, false},
    };
    for (size_t i = 0; i < SP_ARRAY_LEN(rows); i++) {
        w->params.prompt = sp_slice_cstr(rows[i].prompt);
        if (!rows[i].good) {
            assert_told(w, SP_OAUTH_INVALID_REQUEST);
            continue;
        }
        const struct sp_authz_checked c = check(w);
        assert_int_equal(c.trouble.error, SP_OAUTH_NONE);
        assert_int_equal(c.request.prompt_none, rows[i].none);
        assert_int_equal(c.request.prompt_login, rows[i].login);
        assert_int_equal(c.request.prompt_consent, rows[i].consent);
    }
}

static void max_age_is_a_number_of_seconds(void **state) {
    WORLD;
    w->params.max_age = SP_SLICE_LIT("0");
    assert_true(check(w).request.has_max_age);
    assert_int_equal(check(w).request.max_age_s, 0);
    w->params.max_age = SP_SLICE_LIT("9999999999999999999");
    assert_int_equal(check(w).request.max_age_s, SP_OAUTH_MAX_AGE_S_MAX);
    static const char *const others[] = {"-1", "1.5", "1s", " 1", "+1", "00", "99999999999999999999", "0x1"};
    for (size_t i = 0; i < SP_ARRAY_LEN(others); i++) {
        w->params.max_age = sp_slice_cstr(others[i]);
        assert_told(w, SP_OAUTH_INVALID_REQUEST);
    }
    w->params.max_age = SP_SLICE_LIT("");
    assert_false(check(w).request.has_max_age);
}

static void acr_values_that_nothing_here_meets_are_unmet(void **state) {
    WORLD;
    w->params.acr_values = SP_SLICE_LIT(SP_ACR_PASSWORD);
    assert_good(w);
    w->params.acr_values = SP_SLICE_LIT("urn:other:gold " SP_ACR_PASSWORD);
    assert_good(w);
    w->params.acr_values = SP_SLICE_LIT("urn:other:gold urn:other:silver");
    assert_told(w, SP_OAUTH_UNMET_AUTHENTICATION_REQUIREMENTS);
    w->params.acr_values = SP_SLICE_LIT(SP_ACR_PASSWORD "x");
    assert_told(w, SP_OAUTH_UNMET_AUTHENTICATION_REQUIREMENTS);
}

static void dpop_jkt_is_a_thumbprint(void **state) {
    WORLD;
    static const char *const others[] = {"x", JKT "A", JKT "=",
                                         "NzbLsXh8uDCcd+6MNwXF4W/7noWXFZAfHkxZsRGC9Xs"};
    for (size_t i = 0; i < SP_ARRAY_LEN(others); i++) {
        w->params.dpop_jkt = sp_slice_cstr(others[i]);
        assert_told(w, SP_OAUTH_INVALID_REQUEST);
    }
}

static void a_login_hint_that_cannot_be_shown_is_passed_over(void **state) {
    WORLD;
    w->params.login_hint = SP_SLICE_LIT("a\nb");
    assert_int_equal(check(w).request.login_hint.n, 0);
    w->params.login_hint = many('a', 1000);
    assert_int_equal(check(w).request.login_hint.n, 0);
    assert_good(w);
}

/* ---- later ---- */

static void a_sealed_request_is_held_against_the_client_as_it_is_now(void **state) {
    WORLD;
    const struct sp_authz_checked c = check(w);
    assert_null(sp_authz_still_good(&w->client, &c.request));
    assert_non_null(sp_authz_still_good(NULL, &c.request));
    w->client.row.disabled = true;
    assert_non_null(sp_authz_still_good(&w->client, &c.request));
    w->client.row.disabled = false;
    SET(&w->client.row.redirect_uris, "https://app.example/new");
    assert_non_null(sp_authz_still_good(&w->client, &c.request));
    SET(&w->client.row.redirect_uris, CALLBACK);
    SET(&w->client.row.grants, "refresh_token");
    assert_non_null(sp_authz_still_good(&w->client, &c.request));
    SET(&w->client.row.grants, "authorization_code");
    SET(&w->client.row.id, "other");
    assert_non_null(sp_authz_still_good(&w->client, &c.request));
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        T(a_whole_request_is_taken_as_it_is),
        T(unknown_and_disabled_clients_are_shown),
        T(addresses_that_are_not_registered_are_shown),
        T(two_registered_addresses_as_one_are_none),
        T(a_missing_address_is_the_only_one_registered),
        T(openid_connect_requires_the_address),
        T(an_address_that_was_spoilt_on_disk_is_not_used),
        T(state_is_bounded_and_visible_or_not_given_back),
        T(every_other_fault_carries_the_state),
        T(response_type_is_code_and_nothing_else),
        T(response_mode_is_query_and_nothing_else),
        T(request_objects_and_registrations_are_refused),
        T(a_client_without_the_grant_is_told_so),
        T(a_client_that_must_push_must_push),
        T(pkce_is_required_and_only_s256),
        T(scopes_are_the_clients),
        T(scopes_of_claims_that_nobody_has_are_ignored_beside_openid),
        T(openid_needs_keys_that_others_can_check),
        T(offline_access_is_left_out_for_a_client_that_cannot_refresh),
        T(resources_are_the_clients),
        T(nonce_is_bounded_text),
        T(prompts_combine_but_none_stands_alone),
        T(max_age_is_a_number_of_seconds),
        T(acr_values_that_nothing_here_meets_are_unmet),
        T(dpop_jkt_is_a_thumbprint),
        T(a_login_hint_that_cannot_be_shown_is_passed_over),
        T(a_sealed_request_is_held_against_the_client_as_it_is_now),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
