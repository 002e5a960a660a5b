#include "conformance.h"

static struct sp_consent_row make_consent(unsigned user, const char *client, const char *scopes) {
    struct sp_consent_row row;
    const struct sp_user_row u = make_user(user);
    memset(&row, 0, sizeof(row));
    row.tenant = SP_TENANT_DEFAULT;
    memcpy(row.user_id, u.id, sizeof(u.id));
    text_set(&row.client_id, client);
    text_set(&row.scopes, scopes);
    row.granted_ms = NOW_MS + 3;
    return row;
}

static struct sp_change put_of(const struct sp_consent_row *row) {
    return (struct sp_change){.kind = SP_CHANGE_CONSENT_PUT, .consent_put = {row}};
}

static struct sp_change delete_of(const struct sp_consent_row *row, const char *client) {
    return (struct sp_change){.kind = SP_CHANGE_CONSENT_DELETE,
                              .consent_delete = {1, row->user_id, sp_slice_cstr(client), 99}};
}

static void add_consent(struct fixture *f, const struct sp_consent_row *row) {
    struct sp_change c = put_of(row);
    assert_commits(f, &c);
}

static enum sp_code read_consent(struct fixture *f, const struct sp_consent_row *row,
                                 struct sp_consent_row *ret) {
    struct sp_store_read r = {.kind = SP_READ_CONSENT,
                              .tenant = row->tenant,
                              .key = SP_SLICE_ARRAY(row->user_id),
                              .after = SP_TEXT_SLICE(&row->client_id)};
    const enum sp_code code = sp_store_read_wait(f->store, &r).code;
    if (code == SP_OK && ret != NULL) *ret = r.ret.consents[0];
    sp_store_read_done(&r);
    return code;
}

static uint32_t consents_count(struct fixture *f, const struct sp_consent_row *row) {
    struct sp_store_read r = {
        .kind = SP_READ_CONSENTS, .key = SP_SLICE_ARRAY(row->user_id), .limit = SP_READ_PAGE_MAX};
    read_all(f, &r);
    const uint32_t n = r.ret.n;
    sp_store_read_done(&r);
    return n;
}

static void add_users(struct fixture *f) {
    for (unsigned i = 1; i <= 2; i++) {
        struct sp_user_row user = make_user(i);
        add_user(f, &user);
    }
}

static void consent_is_stored_as_given_and_replaced(void **state) {
    struct fixture *f = *state;
    struct sp_consent_row row = make_consent(1, "shop", "openid orders:read"), found;
    add_users(f);
    add_consent(f, &row);
    fixture_reopen(f);
    assert_int_equal(read_consent(f, &row, &found), SP_OK);
    assert_memory_equal(&found, &row, sizeof(row));
    text_set(&row.scopes, "openid");
    row.granted_ms++;
    add_consent(f, &row);
    assert_int_equal(read_consent(f, &row, &found), SP_OK);
    assert_memory_equal(&found, &row, sizeof(row));
    assert_int_equal(consents_count(f, &row), 1);
    assert_int_equal(events_count(f), 0);
}

static void client_is_expected_with_the_consent_of_a_user(void **state) {
    struct fixture *f = *state;
    const struct sp_consent_row row = make_consent(1, "shop", "openid");
    const struct sp_user_row stranger = make_user(2);
    struct sp_client_row client = make_client("shop");
    struct sp_change put = {.kind = SP_CHANGE_CLIENT_PUT,
                            .client_put = {.row = &client, .expect_version = SP_VERSION_ANY}};
    struct sp_change c = {.kind = SP_CHANGE_CLIENT_EXPECT,
                          .client_expect = {.tenant = SP_TENANT_DEFAULT,
                                            .id = sp_slice_cstr("shop"),
                                            .expect_version = SP_VERSION_ANY,
                                            .allowed_by = row.user_id}};
    add_users(f);
    assert_commits(f, &put);
    assert_refuses(f, &c); /* nobody has allowed it */
    add_consent(f, &row);
    assert_commits(f, &c);
    c.client_expect.allowed_by = stranger.id;
    assert_refuses(f, &c);
    client.trusted = true;
    assert_commits(f, &put);
    assert_commits(f, &c);
    client.trusted = false;
    client.created_ms = row.granted_ms + 1; /* another client by now */
    assert_commits(f, &put);
    c.client_expect.allowed_by = row.user_id;
    assert_refuses(f, &c);
}

static void longest_consent_fits(void **state) {
    struct fixture *f = *state;
    struct sp_consent_row row = make_consent(1, "", ""), found;
    row.client_id.n = sizeof(row.client_id.s), memset(row.client_id.s, 'x', sizeof(row.client_id.s));
    row.scopes.n = sizeof(row.scopes.s), memset(row.scopes.s, 'y', sizeof(row.scopes.s));
    add_users(f);
    add_consent(f, &row);
    assert_int_equal(read_consent(f, &row, &found), SP_OK);
    assert_memory_equal(&found, &row, sizeof(row));
}

static void consent_is_found_by_its_whole_key_only(void **state) {
    struct fixture *f = *state;
    struct sp_consent_row row = make_consent(1, "shop", "a"), near = make_consent(2, "shop", "a");
    add_users(f);
    add_consent(f, &row);
    assert_int_equal(read_consent(f, &near, NULL), SP_E_NOT_FOUND);
    near = make_consent(1, "sho", "a");
    assert_int_equal(read_consent(f, &near, NULL), SP_E_NOT_FOUND);
    near = row;
    near.tenant = 2;
    assert_int_equal(read_consent(f, &near, NULL), SP_E_NOT_FOUND);
    struct sp_store_read r = {
        .kind = SP_READ_CONSENT, .tenant = 1, .key = SP_SLICE_LIT("short"), .after = SP_SLICE_LIT("shop")};
    assert_int_equal(sp_store_read_wait(f->store, &r).code, SP_E_NOT_FOUND);
}

/* Or it would come after the deletion that forgets them all, and stay. */
static void consent_of_nobody_is_refused(void **state) {
    struct fixture *f = *state;
    struct sp_consent_row row = make_consent(7, "shop", "a");
    struct sp_change c = put_of(&row);
    add_users(f);
    assert_refuses(f, &c);
    row = make_consent(1, "shop", "a");
    row.tenant = 2;
    assert_refuses(f, &c);
}

static void consents_are_deleted_one_or_all(void **state) {
    struct fixture *f = *state;
    static const char *const clients[] = {"a", "b", "c"};
    struct sp_consent_row row, other = make_consent(2, "b", "x");
    add_users(f);
    for (size_t i = 0; i < SP_ARRAY_LEN(clients); i++) {
        row = make_consent(1, clients[i], "x");
        add_consent(f, &row);
    }
    add_consent(f, &other);
    struct sp_change c = delete_of(&row, "b");
    assert_commits(f, &c);
    assert_int_equal(c.consent_delete.ret_deleted, 1);
    assert_commits(f, &c); /* again: nothing to forget is no error */
    assert_int_equal(c.consent_delete.ret_deleted, 0);
    assert_int_equal(consents_count(f, &row), 2);
    c = delete_of(&row, "");
    assert_commits(f, &c);
    assert_int_equal(c.consent_delete.ret_deleted, 2);
    assert_int_equal(consents_count(f, &row), 0);
    assert_int_equal(read_consent(f, &other, NULL), SP_OK);
}

static void user_that_is_deleted_has_consented_to_nothing(void **state) {
    struct fixture *f = *state;
    struct sp_consent_row row = make_consent(1, "shop", "a"), other = make_consent(2, "shop", "a");
    struct sp_user_row user = make_user(1);
    add_users(f);
    add_consent(f, &row);
    add_consent(f, &other);
    struct sp_change c = {.kind = SP_CHANGE_USER_DELETE, .user_delete = {1, user.id, 7}};
    assert_refuses(f, &c);
    assert_int_equal(consents_count(f, &row), 1);
    c.user_delete.expect_version = 1;
    assert_commits(f, &c);
    assert_int_equal(consents_count(f, &row), 0);
    assert_int_equal(consents_count(f, &other), 1);
}

static void user_that_is_renamed_keeps_them(void **state) {
    struct fixture *f = *state;
    struct sp_consent_row row = make_consent(1, "shop", "a");
    struct sp_user_row user = make_user(1);
    add_users(f);
    add_consent(f, &row);
    text_set(&user.name, "other");
    struct sp_change c = {.kind = SP_CHANGE_USER_UPDATE, .user_update = {&user, 1, false, 0, 0}};
    assert_commits(f, &c);
    assert_int_equal(read_consent(f, &row, NULL), SP_OK);
}

static void consents_are_paged_by_client(void **state) {
    struct fixture *f = *state;
    struct sp_consent_row row;
    add_users(f);
    for (unsigned i = 0; i < 11; i++) {
        char client[16];
        snprintf(client, sizeof(client), "svc%02u", 10 - i);
        row = make_consent(i == 10 ? 2 : 1, client, "a"); /* svc00 */
        add_consent(f, &row);
    }
    row = make_consent(1, "", "a");
    sp_text128 after = {0};
    unsigned seen = 0, pages = 0;
    for (bool more = true; more; pages++) {
        struct sp_store_read r = {.kind = SP_READ_CONSENTS,
                                  .limit = 4,
                                  .key = SP_SLICE_ARRAY(row.user_id),
                                  .after = SP_TEXT_SLICE(&after)};
        read_all(f, &r);
        for (uint32_t i = 0; i < r.ret.n; i++, seen++) {
            assert_true(sp_slice_cmp(SP_TEXT_SLICE(&r.ret.consents[i].client_id), SP_TEXT_SLICE(&after)) > 0);
            after = r.ret.consents[i].client_id;
        }
        more = r.ret.more;
        sp_store_read_done(&r);
    }
    assert_int_equal(seen, 10);
    assert_int_equal(pages, 3);
    struct sp_store_read r = {.kind = SP_READ_CONSENTS, .key = SP_SLICE_LIT("nobody"), .limit = 4};
    read_all(f, &r);
    assert_int_equal(r.ret.n, 0);
    sp_store_read_done(&r);
}

static void refused_set_leaves_no_consent(void **state) {
    struct fixture *f = *state;
    struct sp_consent_row row = make_consent(1, "shop", "a"), nobodys = make_consent(7, "shop", "a");
    struct sp_change set[] = {put_of(&row), put_of(&nobodys)};
    add_users(f);
    assert_int_equal(commit_set(f, set, 2, NULL), SP_E_CONFLICT);
    assert_int_equal(read_consent(f, &row, NULL), SP_E_NOT_FOUND);
}

int conformance_consents(void) {
    const struct CMUnitTest tests[] = {
        STORE_TEST(consent_is_stored_as_given_and_replaced),
        STORE_TEST(longest_consent_fits),
        STORE_TEST(client_is_expected_with_the_consent_of_a_user),
        STORE_TEST(consent_is_found_by_its_whole_key_only),
        STORE_TEST(consent_of_nobody_is_refused),
        STORE_TEST(consents_are_deleted_one_or_all),
        STORE_TEST(user_that_is_deleted_has_consented_to_nothing),
        STORE_TEST(user_that_is_renamed_keeps_them),
        STORE_TEST(consents_are_paged_by_client),
        STORE_TEST(refused_set_leaves_no_consent),
    };
    return cmocka_run_group_tests_name("consents", tests, NULL, NULL);
}
