#include "forge.h"
#include "token/permission.h"

static bool matches(const char *granted, const char *wanted) {
    return sp_permission_matches(sp_slice_cstr(granted), sp_slice_cstr(wanted));
}

static void names_are_segments_of_plain_characters(void **state) {
    (void)state;
    static const char *const good[] = {"a", "documents:read", "sallyport:admin", "a.b_c-d:E9:x"};
    static const char *const bad[] = {"",   ":",    "a:",    ":a", "a::b", "a b",      "a/b", "*a",
                                      "a*", "a:*b", "a:*:b", "**", "a:**", "\xc3\xa9", "a\n"};
    for (size_t i = 0; i < SP_ARRAY_LEN(good); i++) {
        assert_true(sp_permission_valid(sp_slice_cstr(good[i]), SP_PERMISSION_WANTED));
        assert_true(sp_permission_valid(sp_slice_cstr(good[i]), SP_PERMISSION_GRANTED));
    }
    for (size_t i = 0; i < SP_ARRAY_LEN(bad); i++) {
        assert_false(sp_permission_valid(sp_slice_cstr(bad[i]), SP_PERMISSION_WANTED));
        assert_false(sp_permission_valid(sp_slice_cstr(bad[i]), SP_PERMISSION_GRANTED));
    }
}

static void star_may_only_be_granted(void **state) {
    (void)state;
    static const char *const stars[] = {"*", "documents:*", "a:b:*"};
    for (size_t i = 0; i < SP_ARRAY_LEN(stars); i++) {
        assert_true(sp_permission_valid(sp_slice_cstr(stars[i]), SP_PERMISSION_GRANTED));
        assert_false(sp_permission_valid(sp_slice_cstr(stars[i]), SP_PERMISSION_WANTED));
        assert_false(matches(stars[i], stars[i]));
    }
}

static void length_has_a_maximum(void **state) {
    (void)state;
    char name[SP_PERMISSION_BYTES_MAX + 1];
    memset(name, 'a', sizeof name);
    assert_true(sp_permission_valid(sp_slice_of(name, SP_PERMISSION_BYTES_MAX), SP_PERMISSION_WANTED));
    assert_false(sp_permission_valid(SP_SLICE_ARRAY(name), SP_PERMISSION_WANTED));
}

static void star_grants_what_is_below_it(void **state) {
    (void)state;
    assert_true(matches("documents:*", "documents:read"));
    assert_true(matches("documents:*", "documents:archive:read"));
    assert_true(matches("*", "documents:read"));
    assert_true(matches("*", "x"));
    assert_false(matches("documents:*", "documents"));
    assert_false(matches("documents:*", "documentsx:read"));
    assert_false(matches("documents:*", "document:read"));
    assert_false(matches("documents:a:*", "documents:b"));
}

static void exact_grants_only_itself(void **state) {
    (void)state;
    assert_true(matches("documents:read", "documents:read"));
    assert_false(matches("documents:read", "documents:reader"));
    assert_false(matches("documents:read", "documents"));
    assert_false(matches("documents", "documents:read"));
    assert_false(matches("documents:read", "Documents:read"));
    assert_false(matches("", ""));
    assert_false(matches("a b", "a b"));
    assert_false(matches("*", ""));
    assert_false(matches("*", "a:*"));
}

static void any_word_of_a_list_may_grant(void **state) {
    (void)state;
    sp_slice words = SP_SLICE_LIT("a:read b:* c");
    assert_true(sp_permissions_grant(words, SP_SLICE_LIT("a:read")));
    assert_true(sp_permissions_grant(words, SP_SLICE_LIT("b:x")));
    assert_true(sp_permissions_grant(words, SP_SLICE_LIT("c")));
    assert_false(sp_permissions_grant(words, SP_SLICE_LIT("a:write")));
    assert_false(sp_permissions_grant(words, SP_SLICE_LIT("a:read b:*")));
    assert_false(sp_permissions_grant(SP_SLICE_EMPTY, SP_SLICE_LIT("a")));
}

static void assert_common(const char *a, const char *b, const char *wanted) {
    SP_AUTO(sp_buf) out = SP_BUF_INIT(256);
    assert_status(sp_buf_append_cstr(&out, "before "), SP_OK); /* what stands there is not looked at */
    assert_status(sp_permissions_intersect(sp_slice_cstr(a), sp_slice_cstr(b), &out), SP_OK);
    assert_int_equal(out.n, 7 + strlen(wanted));
    assert_memory_equal(out.p + 7, wanted, strlen(wanted));
}

static void intersection_is_what_both_grant(void **state) {
    (void)state;
    assert_common("a b c", "c a", "a c");
    assert_common("a:* b", "a:read a:write b:x", "a:read a:write");
    assert_common("a:read", "a:*", "a:read");
    assert_common("*", "a:* b", "a:* b");
    assert_common("a:*", "*", "a:*");
    assert_common("a:b:*", "a:*", "a:b:*");
    assert_common("a:* a:read", "a:read", "a:read");
    assert_common("a:*", "a", "");
    assert_common("a", "", "");
    assert_common("", "a", "");
    assert_common("*", "openid profile a:read offline_access", "a:read"); /* nobody is granted those */
    assert_common("openid a:read", "*", "a:read");
    assert_common("a!b before", "a!b before", "before"); /* not a permission */
}

static void intersection_that_does_not_fit_leaves_the_buffer(void **state) {
    (void)state;
    SP_AUTO(sp_buf) out = SP_BUF_INIT(8);
    assert_status(sp_permissions_intersect(SP_SLICE_LIT("abcd efgh"), SP_SLICE_LIT("*"), &out), SP_E_LIMIT);
    assert_int_equal(out.n, 0);
}

static void scope_grants_by_its_words_but_for_the_protocols(void **state) {
    (void)state;
    sp_slice scope = SP_SLICE_LIT("openid profile offline_access documents:read mail:*");
    assert_true(sp_scope_grants(scope, SP_SLICE_LIT("documents:read")));
    assert_true(sp_scope_grants(scope, SP_SLICE_LIT("mail:send")));
    assert_false(sp_scope_grants(scope, SP_SLICE_LIT("documents:write")));
    assert_false(sp_scope_grants(scope, SP_SLICE_LIT("openid")));
    assert_false(sp_scope_grants(scope, SP_SLICE_LIT("profile")));
    assert_false(sp_scope_grants(scope, SP_SLICE_LIT("offline_access")));
    assert_false(sp_scope_grants(scope, SP_SLICE_LIT("mail:*")));
    assert_false(sp_scope_grants(SP_SLICE_EMPTY, SP_SLICE_LIT("a")));
}

static void limit_takes_and_never_gives(void **state) {
    (void)state;
    const sp_slice has = SP_SLICE_LIT("documents:* mail:send"), read = SP_SLICE_LIT("documents:read");
    struct sp_permission_limit none = {.scope = SP_SLICE_EMPTY},
                               limit = {.scope = SP_SLICE_LIT("documents:read")};
    struct sp_permission_limit nothing = {.scope = SP_SLICE_LIT("")};
    assert_true(sp_permissions_permit(has, none, SP_SLICE_LIT("mail:send")));
    assert_true(sp_permissions_permit(has, limit, read));
    assert_false(sp_permissions_permit(has, limit, SP_SLICE_LIT("mail:send")));
    assert_false(sp_permissions_permit(SP_SLICE_LIT("mail:send"), limit, read)); /* a scope is no grant */
    assert_false(sp_permissions_permit(has, nothing, read));                     /* "" is not "absent" */
}

static void client_is_permitted_what_its_scope_says(void **state) {
    (void)state;
    const sp_slice read = SP_SLICE_LIT("documents:read");
    struct sp_permission_limit limit = {.scope = SP_SLICE_LIT("documents:read"), .is_client = true};
    assert_true(sp_permissions_permit(SP_SLICE_EMPTY, limit, read));
    assert_false(sp_permissions_permit(SP_SLICE_LIT("*"), limit, SP_SLICE_LIT("mail:send")));
    limit.scope = SP_SLICE_EMPTY; /* no claim at all: not one of ours, and no reason to be generous */
    assert_false(sp_permissions_permit(SP_SLICE_LIT("*"), limit, read));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_segments_of_plain_characters),
        cmocka_unit_test(star_may_only_be_granted),
        cmocka_unit_test(length_has_a_maximum),
        cmocka_unit_test(star_grants_what_is_below_it),
        cmocka_unit_test(exact_grants_only_itself),
        cmocka_unit_test(any_word_of_a_list_may_grant),
        cmocka_unit_test(intersection_is_what_both_grant),
        cmocka_unit_test(intersection_that_does_not_fit_leaves_the_buffer),
        cmocka_unit_test(scope_grants_by_its_words_but_for_the_protocols),
        cmocka_unit_test(limit_takes_and_never_gives),
        cmocka_unit_test(client_is_permitted_what_its_scope_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
