#include "conformance.h"

static struct sp_change put_of(const struct sp_client_row *row, uint64_t expect) {
    return (struct sp_change){.kind = SP_CHANGE_CLIENT_PUT,
                              .client_put = {.row = row, .expect_version = expect}};
}

static struct sp_change delete_of(const char *id, uint64_t expect) {
    return (struct sp_change){
        .kind = SP_CHANGE_CLIENT_DELETE,
        .client_delete = {.tenant = 1, .id = sp_slice_cstr(id), .expect_version = expect}};
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
    text_set(&row.backchannel_logout_uri, "https://orders.example/logout");
    text_set(&row.post_logout_redirect_uris, "https://orders.example/bye https://orders.example/");
    row.trusted = row.require_dpop = true;
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
    FILL(name);
    FILL(backchannel_logout_uri);
    FILL(post_logout_redirect_uris);
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

/* ---- epochs ---- */

static struct sp_change raise_of(const struct sp_client_row *row) {
    struct sp_change c = put_of(row, SP_VERSION_ANY);
    c.client_put.raise_epoch = true;
    c.client_put.epoch_expires_s = NOW_S + 900;
    return c;
}

static void assert_revoked(struct fixture *f, const struct sp_client_row *row, uint32_t epoch) {
    const size_t n = events_count(f);
    assert_true(n > 0);
    const struct event *e = &f->events[n - 1];
    assert_int_equal(e->kind, SP_EVENT_REVOKED);
    assert_int_equal(e->revocation.what, SP_REVOKED_USER_EPOCH);
    assert_int_equal(e->revocation.tenant, row->tenant);
    assert_int_equal(e->revocation.epoch, epoch);
    assert_int_equal(e->revocation.expires_s, NOW_S + 900);
    assert_memory_equal(e->revocation.id, row->subject, sizeof(row->subject));
}

static void client_keeps_its_epoch_until_it_is_raised(void **state) {
    struct fixture *f = *state;
    struct sp_client_row row = make_client("orders"), found;
    struct sp_change c = put_of(&row, SP_VERSION_ABSENT);
    assert_commits(f, &c);
    assert_int_equal(c.client_put.ret_epoch, NOW_S);
    row.epoch = NOW_S + 50; /* what a put without a raise says does not count */
    c = put_of(&row, 1);
    assert_commits(f, &c);
    assert_int_equal(c.client_put.ret_epoch, NOW_S);
    assert_int_equal(events_count(f), 2);
    c = raise_of(&row);
    assert_commits(f, &c);
    assert_int_equal(c.client_put.ret_epoch, NOW_S + 50); /* the higher of the two */
    assert_revoked(f, &row, NOW_S + 50);
    row.epoch = 1;
    c = raise_of(&row);
    assert_commits(f, &c);
    assert_int_equal(c.client_put.ret_epoch, NOW_S + 51);
    assert_revoked(f, &row, NOW_S + 51);
    assert_int_equal(events_count(f), 6);
    fixture_reopen(f);
    assert_int_equal(read_client(f, 1, "orders", &found), SP_OK);
    assert_int_equal(found.epoch, NOW_S + 51);
    assert_int_equal(found.version, 4);
}

static void new_client_can_be_born_above_its_predecessor(void **state) {
    struct fixture *f = *state;
    struct sp_client_row row = make_client("orders");
    struct sp_change c = raise_of(&row);
    assert_commits(f, &c);
    assert_int_equal(c.client_put.ret_epoch, NOW_S);
    assert_revoked(f, &row, NOW_S);
}

static void refused_raise_revokes_nothing(void **state) {
    struct fixture *f = *state;
    struct sp_client_row row = make_client("orders");
    struct sp_change c = raise_of(&row);
    c.client_put.expect_version = 3;
    assert_refuses(f, &c);
    assert_int_equal(events_count(f), 0);
    assert_int_equal(read_meta(f).revoke_seq, 0);
}

static void epoch_that_would_wrap_stays(void **state) {
    struct fixture *f = *state;
    struct sp_client_row row = make_client("orders"), found;
    row.epoch = UINT32_MAX;
    struct sp_change c = put_of(&row, SP_VERSION_ABSENT);
    assert_commits(f, &c);
    c = raise_of(&row);
    assert_int_equal(commit_one(f, &c), SP_E_UNAVAILABLE);
    c = delete_of("orders", SP_VERSION_ANY);
    c.client_delete.epoch_expires_s = NOW_S + 900;
    assert_int_equal(commit_one(f, &c), SP_E_UNAVAILABLE);
    assert_int_equal(read_client(f, 1, "orders", &found), SP_OK);
    assert_int_equal(found.version, 1);
}

static void subject_is_filled_in_once_and_stays(void **state) {
    struct fixture *f = *state;
    struct sp_client_row row = make_client("orders"), bare = row, found;
    memset(bare.subject, 0, sizeof(bare.subject)); /* as in a store from before there were subjects */
    struct sp_change c = put_of(&bare, SP_VERSION_ABSENT);
    assert_commits(f, &c);
    c = put_of(&row, SP_VERSION_ANY);
    assert_commits(f, &c);
    c = put_of(&bare, SP_VERSION_ANY);
    assert_commits(f, &c);
    assert_int_equal(read_client(f, 1, "orders", &found), SP_OK);
    assert_memory_equal(found.subject, row.subject, sizeof(row.subject));
    c = raise_of(&bare);
    assert_commits(f, &c);
    assert_revoked(f, &row, NOW_S + 1);
}

static void deleted_clients_tokens_are_revoked(void **state) {
    struct fixture *f = *state;
    struct sp_client_row row = make_client("orders"), bare = make_client("bare");
    memset(bare.subject, 0, sizeof(bare.subject));
    struct sp_change c = put_of(&row, SP_VERSION_ABSENT);
    assert_commits(f, &c);
    c = put_of(&bare, SP_VERSION_ABSENT);
    assert_commits(f, &c);
    c = delete_of("orders", 1);
    c.client_delete.epoch_expires_s = NOW_S + 900;
    assert_commits(f, &c);
    assert_revoked(f, &row, NOW_S + 1);
    c = delete_of("bare", 1);
    c.client_delete.epoch_expires_s = NOW_S + 900;
    assert_commits(f, &c); /* it never had a token of its own */
    assert_int_equal(read_meta(f).revoke_seq, 1);
}

/* ---- expecting one ---- */

static struct sp_change expect_of(const char *id, uint64_t version, struct sp_client_row *ret) {
    return (struct sp_change){.kind = SP_CHANGE_CLIENT_EXPECT,
                              .client_expect = {1, sp_slice_cstr(id), version, ret, 77, NULL}};
}

static void expected_client_is_given_with_the_global_epoch(void **state) {
    struct fixture *f = *state;
    struct sp_client_row row = make_client("orders"), found;
    struct sp_change c = put_of(&row, SP_VERSION_ABSENT);
    assert_commits(f, &c);
    c = (struct sp_change){.kind = SP_CHANGE_GLOBAL_EPOCH,
                           .global_epoch = {NOW_MS, NOW_S, false, SP_END_NONE, 0}};
    assert_commits(f, &c);
    f->events_n = 0;
    c = expect_of("orders", 1, &found);
    assert_commits(f, &c);
    row.version = 1;
    assert_memory_equal(&found, &row, sizeof(row));
    assert_int_equal(c.client_expect.ret_global_epoch, 1);
    c = expect_of("orders", SP_VERSION_ANY, NULL);
    assert_commits(f, &c);
    assert_int_equal(events_count(f), 0);
}

static void client_other_than_expected_is_refused(void **state) {
    struct fixture *f = *state;
    struct sp_client_row row = make_client("orders");
    struct sp_change c = expect_of("orders", SP_VERSION_ANY, NULL), put = put_of(&row, SP_VERSION_ANY);
    assert_refuses(f, &c); /* absent */
    assert_commits(f, &put);
    c = expect_of("orders", 2, NULL);
    assert_refuses(f, &c);
    c = expect_of("order", SP_VERSION_ANY, NULL);
    assert_refuses(f, &c);
    row.disabled = true;
    assert_commits(f, &put);
    c = expect_of("orders", SP_VERSION_ANY, NULL);
    assert_refuses(f, &c);
    c = expect_of("orders", 2, NULL);
    assert_refuses(f, &c);
}

static void set_holds_only_with_the_client_it_expects(void **state) {
    struct fixture *f = *state;
    struct sp_client_row row = make_client("orders");
    struct sp_session_row session = make_session(1, 1);
    struct sp_change put = put_of(&row, SP_VERSION_ABSENT);
    struct sp_change set[] = {{.kind = SP_CHANGE_SESSION_INSERT, .session_insert = {.row = &session}},
                              expect_of("orders", 1, NULL)};
    assert_int_equal(commit_set(f, set, 2, NULL), SP_E_CONFLICT);
    assert_int_equal(read_session(f, session.sid, NULL), SP_E_NOT_FOUND);
    assert_commits(f, &put);
    assert_int_equal(commit_set(f, set, 2, NULL), SP_OK);
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
        STORE_TEST(client_keeps_its_epoch_until_it_is_raised),
        STORE_TEST(new_client_can_be_born_above_its_predecessor),
        STORE_TEST(refused_raise_revokes_nothing),
        STORE_TEST(epoch_that_would_wrap_stays),
        STORE_TEST(subject_is_filled_in_once_and_stays),
        STORE_TEST(deleted_clients_tokens_are_revoked),
        STORE_TEST(expected_client_is_given_with_the_global_epoch),
        STORE_TEST(client_other_than_expected_is_refused),
        STORE_TEST(set_holds_only_with_the_client_it_expects),
        STORE_TEST(clients_are_paged_by_id),
        STORE_TEST(refused_set_leaves_no_client),
    };
    return cmocka_run_group_tests_name("clients", tests, NULL, NULL);
}
