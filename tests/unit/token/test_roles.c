#include "forge.h"
#include "token/roles.h"

#define ENTRY(name_, permissions_)                                                                           \
    { .name = SP_SLICE_LIT(name_), .permissions = SP_SLICE_LIT(permissions_) }

static const struct sp_roles_entry rows[] = {
    ENTRY("editor", "documents:read documents:write"),
    ENTRY("admin", "*"),
    ENTRY("viewer", "documents:read"),
    ENTRY("nobody", ""),
    ENTRY("auditor", "audit:* documents:read"),
};
static struct sp_roles *roles;

static int setup(void **state) {
    (void)state;
    return sp_ok(sp_roles_new(rows, SP_ARRAY_LEN(rows), &roles)) ? 0 : -1;
}
static int teardown(void **state) {
    (void)state;
    sp_roles_free(roles);
    return 0;
}

static void rows_are_found_and_listed_by_name(void **state) {
    (void)state;
    sp_slice permissions;
    assert_int_equal(sp_roles_count(roles), SP_ARRAY_LEN(rows));
    for (size_t i = 1; i < SP_ARRAY_LEN(rows); i++)
        assert_true(sp_slice_cmp(sp_roles_at(roles, i - 1).name, sp_roles_at(roles, i).name) < 0);
    for (size_t i = 0; i < SP_ARRAY_LEN(rows); i++) {
        assert_status(sp_roles_find(roles, rows[i].name, &permissions), SP_OK);
        assert_true(sp_slice_eq(permissions, rows[i].permissions));
    }
    assert_status(sp_roles_find(roles, SP_SLICE_LIT("Admin"), &permissions), SP_E_NOT_FOUND);
    assert_status(sp_roles_find(roles, SP_SLICE_EMPTY, &permissions), SP_E_NOT_FOUND);
}

static void table_does_not_borrow_from_its_rows(void **state) {
    (void)state;
    char name[] = "role", permissions[] = "a b";
    struct sp_roles_entry row = {.name = sp_slice_cstr(name), .permissions = sp_slice_cstr(permissions)};
    SP_AUTO_FREE(sp_roles) table = NULL;
    sp_slice got;
    assert_status(sp_roles_new(&row, 1, &table), SP_OK);
    name[0] = permissions[0] = 'x';
    assert_status(sp_roles_find(table, SP_SLICE_LIT("role"), &got), SP_OK);
    assert_true(sp_slice_eq_cstr(got, "a b"));
}

static void roles_grant_together_and_strangers_nothing(void **state) {
    (void)state;
    assert_true(sp_roles_grant(roles, SP_SLICE_LIT("nobody editor"), SP_SLICE_LIT("documents:write")));
    assert_true(sp_roles_grant(roles, SP_SLICE_LIT("viewer auditor"), SP_SLICE_LIT("audit:export")));
    assert_true(sp_roles_grant(roles, SP_SLICE_LIT("admin"), SP_SLICE_LIT("anything")));
    assert_false(sp_roles_grant(roles, SP_SLICE_LIT("viewer"), SP_SLICE_LIT("documents:write")));
    assert_false(sp_roles_grant(roles, SP_SLICE_LIT("nobody stranger"), SP_SLICE_LIT("documents:read")));
    assert_false(sp_roles_grant(roles, SP_SLICE_EMPTY, SP_SLICE_LIT("documents:read")));
    assert_false(sp_roles_grant(roles, SP_SLICE_LIT("admin"), SP_SLICE_LIT("*")));
}

static void permissions_are_united_sorted_and_once(void **state) {
    (void)state;
    SP_AUTO(sp_buf) out = SP_BUF_INIT(1024);
    assert_status(sp_roles_permissions(roles, SP_SLICE_LIT("viewer editor stranger auditor viewer"), &out),
                  SP_OK);
    assert_true(sp_slice_eq_cstr(sp_buf_slice(&out), "audit:* documents:read documents:write"));
    sp_buf_clear(&out);
    assert_status(sp_roles_permissions(roles, SP_SLICE_LIT("nobody stranger"), &out), SP_OK);
    assert_int_equal(out.n, 0);
}

static void union_that_does_not_fit_leaves_the_buffer(void **state) {
    (void)state;
    SP_AUTO(sp_buf) out = SP_BUF_INIT(20);
    assert_status(sp_buf_append_cstr(&out, "x "), SP_OK);
    assert_status(sp_roles_permissions(roles, SP_SLICE_LIT("editor"), &out), SP_E_LIMIT);
    assert_int_equal(out.n, 2);
}

static void bad_rows_make_no_table(void **state) {
    (void)state;
    static const struct {
        struct sp_roles_entry rows[2];
        enum sp_code wanted;
    } cases[] = {
        {{ENTRY("a", "x"), ENTRY("a", "y")}, SP_E_CONFLICT},
        {{ENTRY("", "x"), ENTRY("b", "y")}, SP_E_MALFORMED},
        {{ENTRY("a b", "x"), ENTRY("b", "y")}, SP_E_MALFORMED},
        {{ENTRY("a", "x  y"), ENTRY("b", "y")}, SP_E_MALFORMED},
        {{ENTRY("a", " x"), ENTRY("b", "y")}, SP_E_MALFORMED},
        {{ENTRY("a", "x:*:y"), ENTRY("b", "y")}, SP_E_MALFORMED},
    };
    for (size_t i = 0; i < SP_ARRAY_LEN(cases); i++) {
        struct sp_roles *none = NULL;
        assert_status(sp_roles_new(cases[i].rows, 2, &none), cases[i].wanted);
        assert_null(none);
    }
    struct sp_roles *none = NULL;
    assert_status(sp_roles_new(rows, SP_ROLES_MAX + 1, &none), SP_E_LIMIT);
}

static void empty_table_grants_nothing(void **state) {
    (void)state;
    SP_AUTO_FREE(sp_roles) empty = NULL;
    assert_status(sp_roles_new(NULL, 0, &empty), SP_OK);
    assert_int_equal(sp_roles_count(empty), 0);
    assert_false(sp_roles_grant(empty, SP_SLICE_LIT("admin"), SP_SLICE_LIT("a")));
}

static void scope_limits_what_roles_permit(void **state) {
    (void)state;
    const sp_slice admin = SP_SLICE_LIT("admin"), viewer = SP_SLICE_LIT("viewer");
    const sp_slice read = SP_SLICE_LIT("documents:read"), write = SP_SLICE_LIT("documents:write");
    struct sp_permission_limit none = {.scope = SP_SLICE_EMPTY},
                               limit = {.scope = SP_SLICE_LIT("openid documents:read")};
    assert_true(sp_roles_permit(roles, admin, none, write));
    assert_true(sp_roles_permit(roles, admin, limit, read));
    assert_false(sp_roles_permit(roles, admin, limit, write));
    assert_false(sp_roles_permit(roles, admin, limit, SP_SLICE_LIT("openid")));
    limit.scope = SP_SLICE_LIT("documents:write");
    assert_false(sp_roles_permit(roles, viewer, limit, write));
    limit.scope = SP_SLICE_LIT("");
    assert_false(sp_roles_permit(roles, admin, limit, read));
}

static void client_needs_no_role_and_gains_by_none(void **state) {
    (void)state;
    struct sp_permission_limit limit = {.scope = SP_SLICE_LIT("documents:read"), .is_client = true};
    assert_true(sp_roles_permit(roles, SP_SLICE_EMPTY, limit, SP_SLICE_LIT("documents:read")));
    assert_false(sp_roles_permit(roles, SP_SLICE_LIT("admin"), limit, SP_SLICE_LIT("documents:write")));
    limit.scope = SP_SLICE_EMPTY;
    assert_false(sp_roles_permit(roles, SP_SLICE_LIT("admin"), limit, SP_SLICE_LIT("documents:read")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_found_and_listed_by_name),
        cmocka_unit_test(table_does_not_borrow_from_its_rows),
        cmocka_unit_test(roles_grant_together_and_strangers_nothing),
        cmocka_unit_test(permissions_are_united_sorted_and_once),
        cmocka_unit_test(union_that_does_not_fit_leaves_the_buffer),
        cmocka_unit_test(bad_rows_make_no_table),
        cmocka_unit_test(empty_table_grants_nothing),
        cmocka_unit_test(scope_limits_what_roles_permit),
        cmocka_unit_test(client_needs_no_role_and_gains_by_none),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
