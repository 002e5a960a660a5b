#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "base/mem.h"
#include "core/client_options.h"

#define KEY_1                                                                                                \
    "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"1\",\"x\":\"11qYAYKxCrfVS_"                              \
    "7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}"
#define KEY_2                                                                                                \
    "{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"2\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\"," \
    "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}"
#define SET(keys) "{\"keys\":[" keys "]}"
#define REDIRECT "https://app.example/cb"

/* Options as words. */
struct o {
    const char *name, *method, *grants, *scopes, *audiences, *redirects, *after_logout, *backchannel, *jwks;
    bool feed, keeps;
};

static enum sp_client_fault apply(const struct o *o, struct sp_client_row *row) {
    const struct sp_client_options options = {
        .feed = o->feed,
        .keeps_refresh = o->keeps,
        .name = sp_slice_cstr(o->name),
        .auth_method = sp_slice_cstr(o->method),
        .grants = sp_slice_cstr(o->grants),
        .scopes = sp_slice_cstr(o->scopes),
        .audiences = sp_slice_cstr(o->audiences),
        .redirect_uris = sp_slice_cstr(o->redirects),
        .post_logout_redirect_uris = sp_slice_cstr(o->after_logout),
        .backchannel_logout_uri = sp_slice_cstr(o->backchannel),
        .jwks = sp_slice_cstr(o->jwks),
    };
    return sp_client_options_apply(&options, row);
}

static enum sp_client_fault fault_of(struct o o) {
    static struct sp_client_row row;
    static const struct sp_client_row empty;
    row = empty;
    const enum sp_client_fault fault = apply(&o, &row);
    if (fault != SP_CLIENT_FAULT_NONE) assert_memory_equal(&row, &empty, sizeof(row));
    return fault;
}
#define FAULT(...) fault_of((struct o){__VA_ARGS__})
#define assert_fault(fault, ...) assert_int_equal(FAULT(__VA_ARGS__), SP_CLIENT_FAULT_##fault)

static void clients_of_every_kind_can_be_made(void **state) {
    (void)state;
    assert_fault(NONE, .feed = true);
    assert_fault(NONE, .grants = "client_credentials", .scopes = "orders:read orders:write");
    assert_fault(NONE, .grants = "authorization_code refresh_token", .redirects = REDIRECT, .keeps = true);
    assert_fault(NONE, .method = "none", .grants = "authorization_code refresh_token",
                 .redirects = "com.example.app:/cb http://127.0.0.1/cb");
    assert_fault(NONE, .method = "private_key_jwt", .jwks = SET(KEY_1 "," KEY_2),
                 .grants = "client_credentials");
    assert_fault(NONE, .method = "client_secret_post", .feed = true, .audiences = "urn:a https://b.example");
    assert_fault(NONE, .name = "Bestellungen \xc3\xa4\xc3\xb6", .backchannel = "https://app.example/bye",
                 .after_logout = "https://app.example/bye");
    assert_fault(NONE, .name = NULL); /* asks about tokens, and gets none */
}

static void options_become_the_row_and_the_rest_stays(void **state) {
    (void)state;
    static struct sp_client_row row;
    row = (struct sp_client_row){.tenant = 1, .version = 7, .disabled = true, .created_ms = 5};
    row.secrets[0].used = true;
    const struct o o = {.grants = "authorization_code", .redirects = REDIRECT, .method = "none"};
    assert_int_equal(apply(&o, &row), SP_CLIENT_FAULT_NONE);
    assert_true(row.is_public && row.rotate_refresh && row.disabled && row.secrets[0].used);
    assert_int_equal(row.version, 7);
    assert_true(sp_slice_eq_cstr(SP_TEXT_SLICE(&row.redirect_uris), REDIRECT));
    const struct o next = {.feed = true};
    assert_int_equal(apply(&next, &row), SP_CLIENT_FAULT_NONE);
    assert_false(row.is_public);
    assert_int_equal(row.redirect_uris.n + row.grants.n, 0); /* what is not given is not kept */
    assert_true(sp_slice_eq_cstr(SP_TEXT_SLICE(&row.auth_method), "client_secret_basic"));
}

static void public_client_has_nothing_that_needs_a_secret(void **state) {
    (void)state;
    assert_fault(GRANT_NEEDS_CONFIDENTIAL, .method = "none", .grants = "client_credentials");
    assert_fault(FEED_NEEDS_SECRET, .method = "none", .feed = true);
    assert_fault(FEED_NEEDS_SECRET, .method = "private_key_jwt", .jwks = SET(KEY_1), .feed = true);
    assert_fault(ROTATION_NEEDED, .method = "none", .keeps = true);
    assert_fault(JWKS_WITHOUT_USE, .method = "none", .jwks = SET(KEY_1));
    assert_fault(URI_SCHEME, .grants = "authorization_code", .redirects = "com.example.app:/cb");
}

static void methods_and_grants_are_those_that_there_are(void **state) {
    (void)state;
    static const char *const methods[] = {"client_secret_jwt", "tls_client_auth", "NONE", "None", "basic"};
    static const char *const grants[] = {"password", "implicit", "refresh_token2", "Authorization_code",
                                         "urn:ietf:params:oauth:grant-type:device_code"};
    for (size_t i = 0; i < SP_ARRAY_LEN(methods); i++) assert_fault(AUTH_METHOD, .method = methods[i]);
    for (size_t i = 0; i < SP_ARRAY_LEN(grants); i++) assert_fault(GRANT, .grants = grants[i]);
    assert_fault(GRANT_NEEDS_CODE, .grants = "refresh_token");
    assert_fault(REDIRECT_URI_MISSING, .grants = "authorization_code");
}

static void every_uri_of_a_list_is_looked_at(void **state) {
    (void)state;
    assert_fault(URI_FRAGMENT, .redirects = REDIRECT " https://b.example/#x");
    assert_fault(URI_WILDCARD, .redirects = "https://*.example/ " REDIRECT);
    assert_fault(URI_USERINFO, .after_logout = REDIRECT " https://u@b.example/");
    assert_fault(URI_SCHEME, .after_logout = "http://b.example/");
    assert_fault(URI_MALFORMED, .redirects = REDIRECT "  " REDIRECT);
    assert_fault(URI_SCHEME, .backchannel = "http://10.0.0.1/bye");
    assert_fault(URI_SCHEME, .backchannel = "com.example.app:/bye", .method = "none");
    assert_fault(AUDIENCE, .audiences = "urn:a orders");
    assert_fault(AUDIENCE, .audiences = "https://b.example/#x");
}

static void scopes_are_words_of_rfc_6749(void **state) {
    (void)state;
    assert_fault(NONE, .scopes = "openid https://api.example/read a:* !#[]~");
    assert_fault(SCOPE, .scopes = "a  b");
    assert_fault(SCOPE, .scopes = " a");
    assert_fault(SCOPE, .scopes = "a\"b");
    assert_fault(SCOPE, .scopes = "a\\b");
    assert_fault(SCOPE, .scopes = "\xc3\xa9");
    assert_fault(NAME, .name = "a\nb");
    assert_fault(NAME, .name = "\xff");
}

static void lists_are_bounded(void **state) {
    (void)state;
    static char uris[4096], scopes[600], name[200], long_uri[600];
    size_t n = 0;
    for (int i = 0; i < SP_CLIENT_REDIRECT_URIS_MAX; i++)
        n += (size_t)snprintf(uris + n, sizeof(uris) - n, "%shttps://a.example/%d", i == 0 ? "" : " ", i);
    assert_fault(NONE, .redirects = uris);
    snprintf(uris + n, sizeof(uris) - n, " https://a.example/more");
    assert_fault(TOO_MANY, .redirects = uris);
    memset(scopes, 'a', sizeof(scopes) - 1);
    assert_fault(TOO_LONG, .scopes = scopes);
    scopes[SP_CLIENT_SCOPE_BYTES_MAX + 1] = 0;
    assert_fault(SCOPE, .scopes = scopes);
    scopes[SP_CLIENT_SCOPE_BYTES_MAX] = 0;
    assert_fault(NONE, .scopes = scopes);
    memset(name, 'a', sizeof(name) - 1);
    assert_fault(TOO_LONG, .name = name);
    memset(long_uri, 'a', sizeof(long_uri) - 1);
    memcpy(long_uri, "https://a.example/", 18);
    assert_fault(TOO_LONG, .redirects = long_uri);
    assert_fault(TOO_LONG, .backchannel = long_uri);
    assert_fault(TOO_LONG, .audiences = long_uri);
    long_uri[SP_CLIENT_URI_BYTES_MAX] = 0;
    assert_fault(NONE, .redirects = long_uri);
    long_uri[SP_CLIENT_AUDIENCE_BYTES_MAX] = 0;
    assert_fault(NONE, .audiences = long_uri);
}

static void keys_are_public_and_can_be_used(void **state) {
    (void)state;
#define JWT .method = "private_key_jwt"
    assert_fault(JWKS_MISSING, JWT);
    assert_fault(JWKS_MISSING, JWT, .jwks = SET(""));
    assert_fault(JWKS_WITHOUT_USE, .jwks = SET(KEY_1));
    assert_fault(JWKS_MALFORMED, JWT, .jwks = "{}");
    assert_fault(JWKS_MALFORMED, JWT, .jwks = "x");
    assert_fault(JWKS_MALFORMED, JWT, .jwks = SET(KEY_1 "," KEY_1));
    assert_fault(
        JWKS_PRIVATE, JWT,
        .jwks =
            SET("{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\","
                "\"d\":\"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A\"}"));
    assert_fault(JWKS_PRIVATE, JWT, .jwks = SET(KEY_2 ",{\"kty\":\"oct\",\"kid\":\"3\",\"k\":\"AAAA\"}"));
    assert_fault(JWKS_UNSUPPORTED, JWT,
                 .jwks = SET("{\"kty\":\"EC\",\"crv\":\"P-521\",\"x\":\"AA\",\"y\":\"AA\"}"));
#undef JWT
}

static void keys_are_few(void **state) {
    (void)state;
    static char json[8192];
    for (int n = SP_CLIENT_KEYS_MAX; n <= SP_CLIENT_KEYS_MAX + 1; n++) {
        size_t at = (size_t)snprintf(json, sizeof(json), "{\"keys\":[");
        for (int i = 0; i < n; i++)
            at += (size_t)snprintf(json + at, sizeof(json) - at,
                                   "%s{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"%d\",\"x\":"
                                   "\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}",
                                   i == 0 ? "" : ",", i);
        snprintf(json + at, sizeof(json) - at, "]}");
        const enum sp_client_fault fault = FAULT(.method = "private_key_jwt", .jwks = json);
        assert_int_equal(fault, n <= SP_CLIENT_KEYS_MAX ? SP_CLIENT_FAULT_NONE : SP_CLIENT_FAULT_TOO_MANY);
    }
}

/* ---- secrets that somebody brings ---- */

static enum sp_client_fault own(const char *secret) {
    return sp_client_secret_own_check(sp_slice_cstr(secret));
}

static void own_secret_must_look_like_one(void **state) {
    (void)state;
    assert_int_equal(own("tn2LQ8uRzX5vKf0WcYb7HjMdE3sGaP9o"), SP_CLIENT_FAULT_NONE);
    assert_int_equal(own("8f14e45fceea167a5a36dedd4bea2543"), SP_CLIENT_FAULT_NONE); /* hexadecimal */
    assert_int_equal(own("a2L!$%&/()=?+*#-_.:,;<>|~^@{}[]x"), SP_CLIENT_FAULT_NONE);
    assert_int_equal(own(""), SP_CLIENT_FAULT_SECRET_TOO_SHORT);
    assert_int_equal(own("tn2LQ8uRzX5vKf0WcYb7HjMdE3sGaP9"), SP_CLIENT_FAULT_SECRET_TOO_SHORT);
    assert_int_equal(own("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"), SP_CLIENT_FAULT_SECRET_NOT_RANDOM);
    assert_int_equal(own("passwordpasswordpasswordpassword"), SP_CLIENT_FAULT_SECRET_NOT_RANDOM);
    assert_int_equal(own("correct-horse-battery-staple-horse"), SP_CLIENT_FAULT_SECRET_NOT_RANDOM);
    assert_int_equal(own("deadbeefdeadbeefdeadbeefdeadbeef"), SP_CLIENT_FAULT_SECRET_NOT_RANDOM);
    assert_int_equal(own("tn2LQ8uRzX5vKf0WcYb7 HjMdE3sGaP9o"), SP_CLIENT_FAULT_SECRET_CHARACTERS);
    assert_int_equal(own("tn2LQ8uRzX5vKf0WcYb7\nHjMdE3sGaP9o"), SP_CLIENT_FAULT_SECRET_CHARACTERS);
    assert_int_equal(own("tn2LQ8uRzX5vKf0WcYb7\xc3\xa9HjMdE3sGaP9o"), SP_CLIENT_FAULT_SECRET_CHARACTERS);
    static char text[SP_CLIENT_SECRET_OWN_CHARS_MAX + 2];
    for (size_t i = 0; i < sizeof(text) - 1; i++) text[i] = (char)('!' + i % 90);
    assert_int_equal(own(text), SP_CLIENT_FAULT_SECRET_TOO_LONG);
    text[SP_CLIENT_SECRET_OWN_CHARS_MAX] = 0;
    assert_int_equal(own(text), SP_CLIENT_FAULT_NONE);
}

/* ---- rows ---- */

static void row_from_before_is_a_client_with_a_secret(void **state) {
    (void)state;
    static struct sp_client_row row;
    sp_client_row_complete(&row);
    assert_true(sp_client_has_secret_method(&row) && row.rotate_refresh);
    row.rotate_refresh = false; /* and that was wanted */
    sp_client_row_complete(&row);
    assert_false(row.rotate_refresh);
}

static void narrower_is_whoever_lost_a_word(void **state) {
    (void)state;
    static struct sp_client_row was, next;
    const struct o both = {.grants = "client_credentials", .scopes = "a b", .audiences = "urn:a urn:b"};
    const struct o cases[] = {
        both,
        {.grants = "client_credentials", .scopes = "b a c", .audiences = "urn:b urn:a"},
        {.grants = "client_credentials", .scopes = "a", .audiences = "urn:a urn:b"},
        {.grants = "client_credentials", .scopes = "a b", .audiences = "urn:a"},
        {.grants = "", .scopes = "a b", .audiences = "urn:a urn:b"},
    };
    assert_int_equal(apply(&both, &was), SP_CLIENT_FAULT_NONE);
    for (size_t i = 0; i < SP_ARRAY_LEN(cases); i++) {
        assert_int_equal(apply(&cases[i], &next), SP_CLIENT_FAULT_NONE);
        assert_int_equal(sp_client_is_narrower(&next, &was), i >= 2);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clients_of_every_kind_can_be_made),
        cmocka_unit_test(options_become_the_row_and_the_rest_stays),
        cmocka_unit_test(public_client_has_nothing_that_needs_a_secret),
        cmocka_unit_test(methods_and_grants_are_those_that_there_are),
        cmocka_unit_test(every_uri_of_a_list_is_looked_at),
        cmocka_unit_test(scopes_are_words_of_rfc_6749),
        cmocka_unit_test(lists_are_bounded),
        cmocka_unit_test(keys_are_public_and_can_be_used),
        cmocka_unit_test(keys_are_few),
        cmocka_unit_test(own_secret_must_look_like_one),
        cmocka_unit_test(row_from_before_is_a_client_with_a_secret),
        cmocka_unit_test(narrower_is_whoever_lost_a_word),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
