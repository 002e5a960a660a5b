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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_segments_of_plain_characters),
        cmocka_unit_test(star_may_only_be_granted),
        cmocka_unit_test(length_has_a_maximum),
        cmocka_unit_test(star_grants_what_is_below_it),
        cmocka_unit_test(exact_grants_only_itself),
        cmocka_unit_test(any_word_of_a_list_may_grant),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
