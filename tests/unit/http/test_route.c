#include "fake.h"

#include "http/route.h"

static enum sp_route_found find(enum sp_http_method method, const char *path, struct sp_route_match *m) {
    return sp_route_find(sp_routes, sp_routes_n, method, sp_slice_cstr(path), m);
}

static void every_route_finds_itself(void **state) {
    (void)state;
    for (size_t i = 0; i < sp_routes_n; i++) {
        struct sp_route_match m;
        assert_int_equal(find(sp_routes[i].method, sp_routes[i].pattern, &m), SP_ROUTE_FOUND);
        if (m.route != &sp_routes[i]) print_error("hidden: %s\n", sp_routes[i].pattern);
        assert_ptr_equal(m.route, &sp_routes[i]);
    }
}

/* The two mistakes in the table that would open a door. */
static void every_route_that_changes_something_is_defended(void **state) {
    (void)state;
    for (size_t i = 0; i < sp_routes_n; i++) {
        const struct sp_route *r = &sp_routes[i];
        if (r->method == SP_HTTP_GET) {
            assert_int_equal(r->csrf, SP_CSRF_SAFE);
            assert_int_equal(r->body, SP_BODY_NONE);
        } else if (r->auth == SP_AUTH_FEED) {
            assert_int_equal(r->csrf, SP_CSRF_SAFE); /* of a service: no cookie is looked at */
        } else if (sp_route_style(r) == SP_STYLE_OAUTH || strcmp(r->pattern, "/oauth2/authorize") == 0) {
            assert_int_equal(r->csrf, SP_CSRF_SAFE); /* no cookie is looked at; or nothing is changed */
        } else {
            assert_int_not_equal(r->csrf, SP_CSRF_SAFE);
        }
        if (strncmp(r->pattern, "/admin/", 7) == 0) assert_int_equal(r->auth, SP_AUTH_ADMIN);
        if (r->csrf == SP_CSRF_FULL) assert_true(r->auth == SP_AUTH_USER || r->auth == SP_AUTH_ADMIN);
    }
}

static void fixed_segments_win_over_named_ones_by_order(void **state) {
    (void)state;
    struct sp_route_match m;
    assert_int_equal(find(SP_HTTP_PUT, "/admin/v1/users/a:b/roles", &m), SP_ROUTE_FOUND);
    assert_string_equal(m.route->pattern, "/admin/v1/users/{user}/roles");
    assert_true(sp_slice_eq_cstr(m.segment[0], "a:b"));
    assert_int_equal(find(SP_HTTP_HEAD, "/admin/v1/audit/verify", &m), SP_ROUTE_FOUND);
    assert_string_equal(m.route->pattern, "/admin/v1/audit/verify");
}

static void near_misses(void **state) {
    (void)state;
    static const char *const paths[] = {"",
                                        "/",
                                        "auth/me",
                                        "/auth/me/",
                                        "/auth/m",
                                        "/auth/mee",
                                        "/auth",
                                        "/auth/me/x",
                                        "/AUTH/me",
                                        "/auth/sessions/",
                                        "/auth/sessions/a/b",
                                        "//auth/me",
                                        "/admin/v1/users//roles",
                                        "/{sid}"};
    struct sp_route_match m;
    for (size_t i = 0; i < SP_ARRAY_LEN(paths); i++) {
        assert_int_equal(find(SP_HTTP_GET, paths[i], &m), SP_ROUTE_NO_PATH);
    }
    assert_int_equal(find(SP_HTTP_OTHER, "/auth/me", &m), SP_ROUTE_NO_METHOD);
    assert_int_equal(m.methods, 1u << SP_HTTP_GET);
    assert_int_equal(find(SP_HTTP_HEAD, "/auth/login", &m), SP_ROUTE_NO_METHOD);
}

static void queries(void **state) {
    (void)state;
    uint8_t text[64];
    struct sp_query q;
    assert_int_equal(sp_query_parse(SP_SLICE_EMPTY, "", text, &q), SP_QUERY_OK);
    assert_int_equal(q.n, 0);
    assert_int_equal(sp_query_parse(SP_SLICE_LIT("b=%C3%A9%26&a=1%3D2"), "a b", text, &q), SP_QUERY_OK);
    assert_true(sp_slice_eq_cstr(sp_query_get(&q, "a"), "1=2"));
    assert_true(sp_slice_eq_cstr(sp_query_get(&q, "b"), "\xC3\xA9&"));
    assert_int_equal(sp_query_get(&q, "c").n, 0);
    assert_int_equal(sp_query_parse(SP_SLICE_LIT("a=1&a=1"), "a b", text, &q), SP_QUERY_DUPLICATE);
    assert_int_equal(sp_query_parse(SP_SLICE_LIT("c=1"), "a b", text, &q), SP_QUERY_UNKNOWN);
    assert_int_equal(sp_query_parse(SP_SLICE_LIT("a b=1"), "a b", text, &q), SP_QUERY_UNKNOWN);
    assert_int_equal(sp_query_parse(SP_SLICE_LIT("=1"), "a b", text, &q), SP_QUERY_BAD);
    assert_int_equal(sp_query_parse(SP_SLICE_LIT("&a=1"), "a b", text, &q), SP_QUERY_BAD);
    assert_int_equal(sp_query_parse(SP_SLICE_LIT("a=1;b=2"), "a b", text, &q), SP_QUERY_BAD);
    assert_int_equal(sp_query_parse(SP_SLICE_LIT("a=1=2"), "a b", text, &q), SP_QUERY_BAD);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_route_finds_itself),
        cmocka_unit_test(every_route_that_changes_something_is_defended),
        cmocka_unit_test(fixed_segments_win_over_named_ones_by_order),
        cmocka_unit_test(near_misses),
        cmocka_unit_test(queries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
