#include "conformance.h"

static void user_is_stored_as_given_with_version_one(void **state) {
    struct fixture *f = *state;
    struct sp_user_row user = make_user(1), found;
    user.version = 42;
    add_user(f, &user);
    user.version = 1;
    assert_int_equal(read_user(f, user.id, &found), SP_OK);
    assert_memory_equal(&found, &user, sizeof(found));
    fixture_reopen(f);
    struct sp_store_read r = {.kind = SP_READ_USER_BY_NAME, .key = SP_SLICE_LIT("user001")};
    read_all(f, &r);
    assert_int_equal(r.ret.n, 1);
    assert_memory_equal(&r.ret.users[0], &user, sizeof(user));
    sp_store_read_done(&r);
}

static void user_that_is_absent_is_not_found(void **state) {
    struct fixture *f = *state;
    struct sp_user_row user = make_user(1);
    assert_int_equal(read_user(f, user.id, NULL), SP_E_NOT_FOUND);
    struct sp_store_read r = {.kind = SP_READ_USER_BY_NAME, .tenant = 1, .key = SP_SLICE_LIT("user001")};
    assert_int_equal(sp_store_read_wait(f->store, &r).code, SP_E_NOT_FOUND);
    add_user(f, &user);
    r = (struct sp_store_read){.kind = SP_READ_USER_BY_NAME, .tenant = 2, .key = SP_SLICE_LIT("user001")};
    assert_int_equal(sp_store_read_wait(f->store, &r).code, SP_E_NOT_FOUND);
}

static void user_with_a_taken_name_or_id_is_refused(void **state) {
    struct fixture *f = *state;
    struct sp_user_row user = make_user(1), same_name = make_user(2), same_id = make_user(1);
    add_user(f, &user);
    same_name.name = user.name;
    text_set(&same_id.name, "other");
    struct sp_change c = {.kind = SP_CHANGE_USER_INSERT, .user_insert = {&same_name}};
    assert_refuses(f, &c);
    c.user_insert.row = &same_id;
    assert_refuses(f, &c);
    same_name.tenant = 2; /* names are of a tenant */
    c.user_insert.row = &same_name;
    assert_commits(f, &c);
}

static void user_update_keeps_id_epoch_and_birth(void **state) {
    struct fixture *f = *state;
    struct sp_user_row user = make_user(1), wanted = make_user(1), found;
    user.epoch = 3;
    add_user(f, &user);
    text_set(&wanted.name, "renamed");
    wanted.epoch = 77;
    wanted.created_ms = 5;
    wanted.disabled = true;
    struct sp_change c = {.kind = SP_CHANGE_USER_UPDATE, .user_update = {&wanted, 1, false, 0, 0}};
    assert_commits(f, &c);
    assert_int_equal(c.user_update.ret_epoch, 3);
    assert_int_equal(read_user(f, user.id, &found), SP_OK);
    assert_int_equal(found.version, 2);
    assert_int_equal(found.epoch, 3);
    assert_int_equal(found.created_ms, user.created_ms);
    assert_true(found.disabled);
    assert_true(sp_slice_eq_cstr(SP_TEXT_SLICE(&found.name), "renamed"));
    assert_int_equal(events_count(f), 0);
    struct sp_user_row again = make_user(9); /* the old name is free again */
    again.name = user.name;
    add_user(f, &again);
}

static void user_update_at_another_version_is_refused(void **state) {
    struct fixture *f = *state;
    struct sp_user_row user = make_user(1);
    add_user(f, &user);
    struct sp_change c = {.kind = SP_CHANGE_USER_UPDATE, .user_update = {&user, 2, false, 0, 0}};
    assert_refuses(f, &c);
    c.user_update.expect_version = SP_VERSION_ANY;
    assert_commits(f, &c);
    struct sp_user_row absent = make_user(2);
    c.user_update.row = &absent;
    assert_refuses(f, &c);
}

static void user_update_to_a_taken_name_is_refused(void **state) {
    struct fixture *f = *state;
    struct sp_user_row user = make_user(1), other = make_user(2);
    add_user(f, &user);
    add_user(f, &other);
    other.name = user.name;
    struct sp_change c = {.kind = SP_CHANGE_USER_UPDATE, .user_update = {&other, 1, false, 0, 0}};
    assert_refuses(f, &c);
}

static void user_update_can_raise_the_epoch(void **state) {
    struct fixture *f = *state;
    struct sp_user_row user = make_user(1);
    add_user(f, &user);
    struct sp_change c = {.kind = SP_CHANGE_USER_UPDATE, .user_update = {&user, 1, true, NOW_S + 5, 0}};
    assert_commits(f, &c);
    assert_int_equal(c.user_update.ret_epoch, 1);
    assert_int_equal(events_count(f), 1);
    assert_int_equal(f->events[0].revocation.what, SP_REVOKED_USER_EPOCH);
    assert_int_equal(f->events[0].revocation.epoch, 1);
    assert_int_equal(f->events[0].revocation.seq, 1);
    assert_int_equal(f->events[0].revocation.expires_s, NOW_S + 5);
    assert_memory_equal(f->events[0].revocation.id, user.id, sizeof(user.id));
}

static void user_epoch_leaves_the_version(void **state) {
    struct fixture *f = *state;
    struct sp_user_row user = make_user(1), found;
    add_user(f, &user);
    struct sp_change c = {.kind = SP_CHANGE_USER_EPOCH, .user_epoch = {1, user.id, NOW_S + 5, 0}};
    assert_commits(f, &c);
    assert_commits(f, &c);
    assert_int_equal(c.user_epoch.ret_epoch, 2);
    assert_int_equal(read_user(f, user.id, &found), SP_OK);
    assert_int_equal(found.epoch, 2);
    assert_int_equal(found.version, 1);
    assert_int_equal(events_count(f), 2);
    struct sp_user_row absent = make_user(2);
    c.user_epoch.id = absent.id;
    assert_refuses(f, &c);
}

static void user_delete_needs_its_version(void **state) {
    struct fixture *f = *state;
    struct sp_user_row user = make_user(1);
    add_user(f, &user);
    struct sp_change c = {.kind = SP_CHANGE_USER_DELETE, .user_delete = {1, user.id, 2}};
    assert_refuses(f, &c);
    c.user_delete.expect_version = 1;
    assert_commits(f, &c);
    assert_int_equal(read_user(f, user.id, NULL), SP_E_NOT_FOUND);
    assert_refuses(f, &c);
}

static void user_expect_compares_and_changes_nothing(void **state) {
    struct fixture *f = *state;
    struct sp_user_row user = make_user(1), found;
    sp_text256 wrong = {.n = 5};
    add_user(f, &user);
    struct sp_change c = {
        .kind = SP_CHANGE_USER_EXPECT,
        .user_expect = {.tenant = 1, .id = user.id, .expect_version = 1, .ret_user = &found}};
    assert_commits(f, &c);
    assert_memory_equal(&found, &user, sizeof(user));
    c.user_expect.expect_version = 2;
    assert_refuses(f, &c);
    c.user_expect.expect_password = &user.password; /* instead of the version */
    assert_commits(f, &c);
    c.user_expect.expect_password = &wrong;
    assert_refuses(f, &c);
    user.disabled = true;
    struct sp_change disable = {.kind = SP_CHANGE_USER_UPDATE, .user_update = {&user, 1, false, 0, 0}};
    assert_commits(f, &disable);
    c.user_expect.expect_password = &user.password;
    assert_refuses(f, &c);
    struct sp_user_row absent = make_user(2);
    c.user_expect.id = absent.id;
    assert_refuses(f, &c);
}

static void users_are_paged_by_name(void **state) {
    struct fixture *f = *state;
    for (unsigned i = 0; i < 25; i++) {
        struct sp_user_row user = make_user((i * 7) % 25);
        add_user(f, &user);
    }
    struct sp_user_row foreign = make_user(30);
    foreign.tenant = 2;
    add_user(f, &foreign);
    sp_text256 after = {0};
    unsigned seen = 0;
    for (bool more = true; more;) {
        struct sp_store_read r = {.kind = SP_READ_USERS, .limit = 10, .after = SP_TEXT_SLICE(&after)};
        read_all(f, &r);
        for (uint32_t i = 0; i < r.ret.n; i++) {
            struct sp_user_row expected = make_user(seen++);
            assert_memory_equal(&r.ret.users[i], &expected, sizeof(expected));
        }
        assert_int_equal(r.ret.n, seen == 25 ? 5 : 10);
        after = r.ret.users[r.ret.n - 1].name;
        more = r.ret.more;
        sp_store_read_done(&r);
    }
    assert_int_equal(seen, 25);
    struct sp_store_read r = {.kind = SP_READ_USERS, .limit = 25};
    read_all(f, &r);
    assert_int_equal(r.ret.n, 25);
    assert_false(r.ret.more); /* exactly a page: nothing follows */
    sp_store_read_done(&r);
}

/* ---- roles, keys ---- */

static void role_put_compares_versions(void **state) {
    struct fixture *f = *state;
    struct sp_role_row role = make_role("admin", "a b");
    struct sp_change c = {.kind = SP_CHANGE_ROLE_PUT, .role_put = {&role, 1}};
    assert_refuses(f, &c); /* absent is not version 1 */
    c.role_put.expect_version = SP_VERSION_ABSENT;
    assert_commits(f, &c);
    assert_refuses(f, &c);
    text_set(&role.permissions, "c");
    c.role_put.expect_version = 1;
    assert_commits(f, &c);
    c.role_put.expect_version = SP_VERSION_ANY;
    assert_commits(f, &c);
    assert_int_equal(events_count(f), 3);
    assert_int_equal(f->events[2].kind, SP_EVENT_ROLE);
    assert_int_equal(f->events[2].role.version, 3);
    assert_true(sp_slice_eq_cstr(SP_TEXT_SLICE(&f->events[2].role.permissions), "c"));
}

static void roles_are_read_by_name(void **state) {
    struct fixture *f = *state;
    static const char *const names[] = {"writer", "admin", "reader"};
    for (size_t i = 0; i < 3; i++) {
        struct sp_role_row role = make_role(names[i], "p");
        struct sp_change c = {.kind = SP_CHANGE_ROLE_PUT, .role_put = {&role, SP_VERSION_ANY}};
        assert_commits(f, &c);
    }
    struct sp_store_read r = {.kind = SP_READ_ROLES};
    read_all(f, &r);
    assert_int_equal(r.ret.n, 3);
    struct sp_role_row first = make_role("admin", "p");
    first.version = 1;
    assert_memory_equal(&r.ret.roles[0], &first, sizeof(first));
    assert_true(sp_slice_eq_cstr(SP_TEXT_SLICE(&r.ret.roles[2].name), "writer"));
    sp_store_read_done(&r);
}

static void role_delete_says_which(void **state) {
    struct fixture *f = *state;
    struct sp_role_row role = make_role("admin", "");
    struct sp_change put = {.kind = SP_CHANGE_ROLE_PUT, .role_put = {&role, SP_VERSION_ANY}};
    struct sp_change c = {.kind = SP_CHANGE_ROLE_DELETE, .role_delete = {1, SP_SLICE_LIT("admin")}};
    assert_refuses(f, &c);
    assert_commits(f, &put);
    assert_commits(f, &c);
    assert_int_equal(f->events[1].kind, SP_EVENT_ROLE_GONE);
    assert_true(sp_slice_eq_cstr(SP_TEXT_SLICE(&f->events[1].name), "admin"));
    struct sp_store_read r = {.kind = SP_READ_ROLES};
    read_all(f, &r);
    assert_int_equal(r.ret.n, 0);
    sp_store_read_done(&r);
}

static void keys_are_read_by_age(void **state) {
    struct fixture *f = *state;
    struct sp_key_row old = make_key("zz", 10), young = make_key("aa", 20);
    struct sp_change c = {.kind = SP_CHANGE_KEY_PUT, .key_put = {&young, SP_VERSION_ABSENT}};
    assert_commits(f, &c);
    c.key_put.row = &old;
    assert_commits(f, &c);
    assert_refuses(f, &c);
    fixture_reopen(f);
    struct sp_store_read r = {.kind = SP_READ_KEYS};
    read_all(f, &r);
    assert_int_equal(r.ret.n, 2);
    old.version = young.version = 1;
    assert_memory_equal(&r.ret.keys[0], &old, sizeof(old));
    assert_memory_equal(&r.ret.keys[1], &young, sizeof(young));
    sp_store_read_done(&r);
    assert_int_equal(f->events[0].kind, SP_EVENT_KEY);
    old.state = SP_KEY_SIGNING;
    c.key_put.expect_version = 1;
    assert_commits(f, &c);
    assert_refuses(f, &c);
}

int conformance_directory(void) {
    const struct CMUnitTest tests[] = {
        STORE_TEST(user_is_stored_as_given_with_version_one),
        STORE_TEST(user_that_is_absent_is_not_found),
        STORE_TEST(user_with_a_taken_name_or_id_is_refused),
        STORE_TEST(user_update_keeps_id_epoch_and_birth),
        STORE_TEST(user_update_at_another_version_is_refused),
        STORE_TEST(user_update_to_a_taken_name_is_refused),
        STORE_TEST(user_update_can_raise_the_epoch),
        STORE_TEST(user_epoch_leaves_the_version),
        STORE_TEST(user_delete_needs_its_version),
        STORE_TEST(user_expect_compares_and_changes_nothing),
        STORE_TEST(users_are_paged_by_name),
        STORE_TEST(role_put_compares_versions),
        STORE_TEST(roles_are_read_by_name),
        STORE_TEST(role_delete_says_which),
        STORE_TEST(keys_are_read_by_age),
    };
    return cmocka_run_group_tests_name("directory", tests, NULL, NULL);
}
