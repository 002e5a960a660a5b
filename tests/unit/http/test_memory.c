/* Every allocation fails once: the client always gets exactly one answer, a whole one, and never half of
 * somebody's cookies. And nothing that is freed still holds a password or a token. Linked with --wrap for
 * malloc, calloc, realloc and free. */
#include <malloc.h>

#include "failing_malloc.h"
#include "fake.h"
#include "http/json_in.h"

static bool freed_a_secret;
static size_t frees;

static void look_for(const void *p, const char *secret) {
    if (memmem(p, malloc_usable_size((void *)(uintptr_t)p), secret, strlen(secret)) != NULL)
        freed_a_secret = true;
}

void __real_free(void *p);
void __wrap_free(void *p);
void __wrap_free(void *p) {
    if (p != NULL) {
        frees++;
        look_for(p, "battery staple");
        look_for(p, "new.access");
        look_for(p, "sprt_new");
    }
    __real_free(p);
}

static void check_answer(void) {
    assert_int_equal(reply.times, 1);
    if (reply.status < 400) {
        assert_true(reply.status == 200 || reply.status == 201 || reply.status == 204 || reply.status == 303);
        return;
    }
    assert_true(reply.status >= 500);
    for (size_t i = 0; header("Set-Cookie", i) != NULL; i++) {
        assert_non_null(strstr(header("Set-Cookie", i), "Max-Age=0"));
    }
    assert_null(strstr(reply.body, "new.access"));
    assert_null(header("X-Auth-Subject", 0));
    assert_null(header("Location", 0));
    assert_null(strstr(reply.body, "sealed"));
}

#define EVERY_FAILURE(...)                                                                                   \
    do {                                                                                                     \
        uint64_t n = 0;                                                                                      \
        bool failed;                                                                                         \
        do {                                                                                                 \
            failing_malloc_arm(++n, 1);                                                                      \
            ask(__VA_ARGS__, NULL);                                                                          \
            failed = failing_malloc_disarm();                                                                \
            check_answer();                                                                                  \
            assert_true(n < 10000);                                                                          \
        } while (failed);                                                                                    \
        assert_true(reply.status < 400);                                                                     \
    } while (0)

static void login(void **state) {
    (void)state;
    EVERY_FAILURE("POST /auth/login", "{\"username\":\"a\",\"password\":\"p\"}", JSON);
    EVERY_FAILURE("POST /auth/login", "{\"username\":\"a\",\"password\":\"p\",\"mode\":\"cookie\"}", JSON,
                  ORIGIN);
}

static void refresh_and_logout(void **state) {
    (void)state;
    EVERY_FAILURE("POST /auth/refresh", "{}", JSON, ORIGIN, COOKIES);
    EVERY_FAILURE("POST /auth/logout", NULL, ORIGIN, CSRF, COOKIES);
    EVERY_FAILURE("POST /auth/logout-all", NULL, BEARER);
}

static void verify_and_me(void **state) {
    (void)state;
    fake.scope = SP_SLICE_LIT("a b");
    EVERY_FAILURE("GET /auth/verify?permission=documents:read", NULL, BEARER);
    EVERY_FAILURE("GET /auth/me", NULL, COOKIES);
    EVERY_FAILURE("GET /.well-known/jwks.json", NULL, BEARER);
}

static void administration(void **state) {
    (void)state;
    fake.listener = sp_http_listener_admin;
    fake.peer.kind = SP_HTTP_PEER_UNIX;
    static const struct sp_user_row user = {.name = {3, "bob"}, .roles = {3, "a b"}};
    fake.users = &user;
    fake.n_users = 1;
    EVERY_FAILURE("POST /admin/v1/users", "{\"name\":\"bob\",\"roles\":[\"a\",\"b\"]}", JSON);
    EVERY_FAILURE("GET /admin/v1/audit?limit=3", NULL, "X-Nothing: x");
    EVERY_FAILURE("POST /admin/v1/audit/prune",
                  "{\"count\":1,\"time_ms\":1,"
                  "\"head\":\"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\","
                  "\"mac\":\"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\"}",
                  JSON);
    EVERY_FAILURE("OPTIONS /admin/v1/users", NULL, "X-Nothing: x");
}

#define SPA "Origin: https://spa.example"

static void oauth(void **state) {
    (void)state;
    fake.scope = SP_SLICE_LIT("openid");
    EVERY_FAILURE("POST /oauth2/token", "grant_type=x&code=y", FORM,
                  "Authorization: Basic c2hvcDpzZWNyZXQ=", SPA);
    EVERY_FAILURE("POST /oauth2/par", "scope=a&resource=b", FORM, "DPoP: a.b.c");
    EVERY_FAILURE("GET /oauth2/userinfo", NULL, BEARER);
    EVERY_FAILURE("GET /.well-known/openid-configuration", NULL, SPA);
    EVERY_FAILURE("OPTIONS /oauth2/token", NULL, SPA, "Access-Control-Request-Method: POST");
    EVERY_FAILURE("GET /auth/consents", NULL, BEARER);
}

static void pages(void **state) {
    (void)state;
    fake.authz = (struct sp_authz_result){.next = SP_AUTHZ_LOGIN,
                                          .request = SP_SLICE_LIT("sealed"),
                                          .client_id = SP_SLICE_LIT("shop"),
                                          .goes_to = SP_SLICE_LIT("https://shop.example/")};
    EVERY_FAILURE("GET /oauth2/authorize?client_id=shop", NULL, "X-Nothing: x");
    fake.authz.next = SP_AUTHZ_CONSENT;
    fake.authz.csrf = SP_SLICE_LIT("token");
    fake.authz.scope = SP_SLICE_LIT("openid documents:read");
    EVERY_FAILURE("GET /oauth2/authorize?client_id=shop", NULL, "X-Nothing: x");
    fake.authz = (struct sp_authz_result){.next = SP_AUTHZ_REDIRECT,
                                          .location = SP_SLICE_LIT("https://shop.example/?code=c"),
                                          .sets_cookie = true,
                                          .cookie = SP_SLICE_LIT("new.access")};
    EVERY_FAILURE("POST /oauth2/login", "request=r&username=a&password=p", FORM, ORIGIN);
}

static void what_is_freed_holds_no_secret(void **state) {
    (void)state;
    freed_a_secret = false;
    frees = 0;
    ask("POST /oauth2/login", "request=r&username=a&password=battery+staple", FORM, ORIGIN, NULL);
    ask("POST /oauth2/login", "request=r&password=battery%20staple&password=x", FORM, ORIGIN, NULL);
    assert_int_equal(reply.status, 400);
    ask("POST /oauth2/token", "client_id=a&client_secret=battery+staple", FORM, NULL);
    assert_int_equal(reply.status, 200);
    ask("POST /auth/login", "{\"username\":\"a\",\"password\":\"battery staple\"}", JSON, NULL);
    assert_int_equal(reply.status, 200);
    ask("POST /auth/login", "{\"username\":\"a\",\"password\":\"battery staple\",\"mode\":\"cookie\"}", JSON,
        ORIGIN, NULL);
    assert_int_equal(reply.status, 200);
    ask("POST /auth/login", "{\"password\":\"battery staple\",\"x\":1}", JSON, NULL);
    assert_int_equal(reply.status, 400);
    ask("POST /auth/login", "{\"password\":\"battery staple\",", JSON, NULL);
    assert_int_equal(reply.status, 400);
    assert_true(frees > 20);
    assert_false(freed_a_secret);
}

/* jansson goes on after a failed growth of its buffer, one character short: a password that nobody typed. */
static void a_text_is_whole_or_not_read(void **state) {
    (void)state;
    static const char text[] =
        "a password that is long enough to make the buffer grow, and then to grow again";
    char body[128];
    int body_n = snprintf(body, sizeof(body), "{\"password\":\"%s\"}", text);
    uint64_t n = 0;
    bool failed;
    do {
        sp_slice read = SP_SLICE_EMPTY;
        struct sp_json_in_field field = {
            .name = "password", .type = SP_JSON_IN_TEXT, .required = true, .max = 100, .ret.text = &read};
        struct sp_json_in doc = {0};
        failing_malloc_arm(++n, 1);
        enum sp_json_in_error e = sp_json_in_parse(&doc, sp_slice_of(body, (size_t)body_n), &field, 1);
        failed = failing_malloc_disarm();
        if (e == SP_JSON_IN_OK)
            assert_true(sp_slice_eq_cstr(read, text));
        else
            assert_int_equal(e, SP_JSON_IN_NO_MEMORY);
        sp_json_in_done(&doc);
    } while (failed);
    assert_true(n > 4);
}

#define T(f) cmocka_unit_test_setup_teardown(f, fake_setup, fake_teardown)
int main(void) {
    const struct CMUnitTest tests[] = {T(login),
                                       T(refresh_and_logout),
                                       T(verify_and_me),
                                       T(administration),
                                       T(oauth),
                                       T(pages),
                                       T(what_is_freed_holds_no_secret),
                                       T(a_text_is_whole_or_not_read)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
