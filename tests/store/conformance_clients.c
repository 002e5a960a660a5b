#include "conformance.h"

static struct sp_change put_of(const struct sp_client_row *row, uint64_t expect) {
    return (struct sp_change){.kind = SP_CHANGE_CLIENT_PUT, .client_put = {row, expect}};
}

static struct sp_change delete_of(const char *id, uint64_t expect) {
    return (struct sp_change){.kind = SP_CHANGE_CLIENT_DELETE,
                              .client_delete = {1, sp_slice_cstr(id), expect}};
}

static enum sp_code read_client(struct fixture *f, uint32_t tenant, const char *id,
                                struct sp_client_row *ret) {
    struct sp_store_read r = {.kind = SP_READ_CLIENT, .tenant = tenant, .key = sp_slice_cstr(id)};
    const enum sp_code code = sp_store_read_wait(f->store, &r).code;
    if (code == SP_OK && ret != NULL) *ret = r.ret.clients[0];
    sp_store_read_done(&r);
    return code;
}

static void client_is_stored_as_given_with_version_one(void **state) {
    struct fixture *f = *state;
    struct sp_client_row row = make_client("orders"), found;
    row.version = 42;
    row.is_public = row.disabled = true;
    row.secrets[1] = row.secrets[0];
    row.secrets[1].hash[7] = 1;
    row.secrets[1].expires_ms = 0;
    struct sp_change c = put_of(&row, SP_VERSION_ABSENT);
    assert_commits(f, &c);
    row.version = 1;
    fixture_reopen(f);
    assert_int_equal(read_client(f, 1, "orders", &found), SP_OK);
    assert_memory_equal(&found, &row, sizeof(row));
    assert_int_equal(read_client(f, 1, "order", NULL), SP_E_NOT_FOUND);
    assert_int_equal(read_client(f, 2, "orders", NULL), SP_E_NOT_FOUND);
}

/* A text of each column at its longest comes back whole. */
static void longest_client_fits(void **state) {
    struct fixture *f = *state;
    struct sp_client_row row = make_client(""), found;
#define FILL(field) (row.field.n = sizeof(row.field.s), memset(row.field.s, 'x', sizeof(row.field.s)))
    FILL(id);
    FILL(auth_method);
    FILL(grants);
    FILL(scopes);
    FILL(audiences);
    FILL(redirect_uris);
    FILL(jwks);
#undef FILL
    struct sp_change c = put_of(&row, SP_VERSION_ABSENT);
    assert_commits(f, &c);
    row.version = 1;
    struct sp_store_read r = {.kind = SP_READ_CLIENT, .key = SP_TEXT_SLICE(&row.id)};
    read_all(f, &r);
    found = r.ret.clients[0];
    sp_store_read_done(&r);
    assert_memory_equal(&found, &row, sizeof(row));
    assert_int_equal(f->events[0].client.n, sizeof(row.id.s));
}

static void client_put_compares_versions(void **state) {
    struct fixture *f = *state;
    struct sp_client_row row = make_client("orders"), found;
    struct sp_change c = put_of(&row, 1);
    assert_refuses(f, &c);
    c = put_of(&row, SP_VERSION_ABSENT);
    assert_commits(f, &c);
    assert_refuses(f, &c);
    row.disabled = true;
    c = put_of(&row, 1);
    assert_commits(f, &c);
    assert_refuses(f, &c); /* somebody else was faster */
    c = put_of(&row, SP_VERSION_ANY);
    assert_commits(f, &c);
    assert_int_equal(read_client(f, 1, "orders", &found), SP_OK);
    assert_int_equal(found.version, 3);
    assert_true(found.disabled);
    assert_int_equal(events_count(f), 3);
    assert_int_equal(f->events[2].kind, SP_EVENT_CLIENT);
    assert_int_equal(f->events[2].client_version, 3);
}

static void client_delete_says_which(void **state) {
    struct fixture *f = *state;
    struct sp_client_row row = make_client("orders");
    struct sp_change put = put_of(&row, SP_VERSION_ABSENT), c = delete_of("orders", SP_VERSION_ANY);
    assert_refuses(f, &c);
    assert_commits(f, &put);
    c = delete_of("orders", 2);
    assert_refuses(f, &c);
    c = delete_of("orders", 1);
    assert_commits(f, &c);
    assert_int_equal(read_client(f, 1, "orders", NULL), SP_E_NOT_FOUND);
    assert_int_equal(events_count(f), 2);
    assert_int_equal(f->events[1].kind, SP_EVENT_CLIENT_GONE);
    assert_true(sp_slice_eq_cstr(SP_TEXT_SLICE(&f->events[1].client), "orders"));
}

static void clients_are_paged_by_id(void **state) {
    struct fixture *f = *state;
    for (unsigned i = 0; i < 11; i++) {
        char id[16];
        snprintf(id, sizeof(id), "svc%02u", 10 - i);
        struct sp_client_row row = make_client(id);
        if (i == 10) row.tenant = 2; /* svc00 */
        struct sp_change c = put_of(&row, SP_VERSION_ABSENT);
        assert_commits(f, &c);
    }
    sp_text128 after = {0};
    unsigned seen = 0, pages = 0;
    for (bool more = true; more; pages++) {
        struct sp_store_read r = {.kind = SP_READ_CLIENTS, .limit = 4, .after = SP_TEXT_SLICE(&after)};
        read_all(f, &r);
        for (uint32_t i = 0; i < r.ret.n; i++, seen++) {
            assert_true(sp_slice_cmp(SP_TEXT_SLICE(&r.ret.clients[i].id), SP_TEXT_SLICE(&after)) > 0);
            after = r.ret.clients[i].id;
        }
        more = r.ret.more;
        sp_store_read_done(&r);
    }
    assert_int_equal(seen, 10);
    assert_int_equal(pages, 3);
}

static void refused_set_leaves_no_client(void **state) {
    struct fixture *f = *state;
    struct sp_client_row one = make_client("one"), two = make_client("two");
    struct sp_change set[] = {put_of(&one, SP_VERSION_ABSENT), put_of(&two, 7)};
    size_t failed;
    assert_int_equal(commit_set(f, set, 2, &failed), SP_E_CONFLICT);
    assert_int_equal(failed, 1);
    assert_int_equal(read_client(f, 1, "one", NULL), SP_E_NOT_FOUND);
    assert_int_equal(events_count(f), 0);
}

int conformance_clients(void) {
    const struct CMUnitTest tests[] = {
        STORE_TEST(client_is_stored_as_given_with_version_one),
        STORE_TEST(longest_client_fits),
        STORE_TEST(client_put_compares_versions),
        STORE_TEST(client_delete_says_which),
        STORE_TEST(clients_are_paged_by_id),
        STORE_TEST(refused_set_leaves_no_client),
    };
    return cmocka_run_group_tests_name("clients", tests, NULL, NULL);
}
