#include "store/memory.h"

#include "fixture.h"

static int setup(void **state) {
    struct fixture *f = malloc(sizeof(*f));
    if (f == NULL) return -1;
    fixture_open(f, "memory");
    struct sp_user_row user = make_user(1);
    struct sp_session_row row = make_session(1, 1);
    add_user(f, &user);
    add_session(f, &row);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    fixture_close(*state);
    free(*state);
    return 0;
}

static enum sp_code end_session(struct fixture *f) {
    struct sp_session_row row = make_session(1, 1);
    struct sp_change c = {.kind = SP_CHANGE_SESSION_END,
                          .session_end = {.tenant = 1,
                                          .sid = row.sid,
                                          .expect_generation = SP_GENERATION_ANY,
                                          .state = SP_SESSION_ENDED,
                                          .cause = SP_END_LOGOUT,
                                          .now_ms = NOW_MS}};
    return commit_one(f, &c);
}

static bool is_ended(struct fixture *f) {
    struct sp_session_row row = make_session(1, 1);
    assert_int_equal(read_session(f, row.sid, &row), SP_OK);
    return row.state == SP_SESSION_ENDED;
}

static void unavailable_changes_nothing_and_passes(void **state) {
    struct fixture *f = *state;
    sp_store_memory_fail(f->store, 1, 2, SP_MEMORY_FAULT_UNAVAILABLE);
    assert_int_equal(end_session(f), SP_E_UNAVAILABLE);
    assert_int_equal(f->store->ops->health(f->store).code, SP_E_UNAVAILABLE);
    assert_int_equal(end_session(f), SP_E_UNAVAILABLE);
    assert_false(is_ended(f));
    assert_int_equal(end_session(f), SP_OK);
    assert_int_equal(f->store->ops->health(f->store).code, SP_OK);
}

static void the_nth_commit_fails_and_no_other(void **state) {
    struct fixture *f = *state;
    sp_store_memory_fail(f->store, 2, 1, SP_MEMORY_FAULT_BUSY);
    struct sp_change c = {.kind = SP_CHANGE_META, .meta = {.alive_ms = 1}};
    assert_int_equal(commit_one(f, &c), SP_OK);
    assert_int_equal(commit_one(f, &c), SP_E_BUSY);
    assert_int_equal(commit_one(f, &c), SP_OK);
}

static void unknown_can_have_happened(void **state) {
    struct fixture *f = *state;
    sp_store_memory_fail(f->store, 1, 1, SP_MEMORY_FAULT_UNKNOWN_APPLIED);
    assert_int_equal(end_session(f), SP_E_UNKNOWN);
    assert_true(is_ended(f));
    assert_int_equal(events_count(f), 1);
}

static void unknown_need_not_have_happened(void **state) {
    struct fixture *f = *state;
    sp_store_memory_fail(f->store, 1, 1, SP_MEMORY_FAULT_UNKNOWN_NOT_APPLIED);
    assert_int_equal(end_session(f), SP_E_UNKNOWN);
    assert_false(is_ended(f));
    assert_int_equal(events_count(f), 0);
    assert_int_equal(read_meta(f).revoke_seq, 0);
}

static void reads_can_fail(void **state) {
    struct fixture *f = *state;
    struct sp_session_row row = make_session(1, 1);
    sp_store_memory_fail_reads(f->store, true);
    assert_int_equal(read_session(f, row.sid, NULL), SP_E_UNAVAILABLE);
    sp_store_memory_fail_reads(f->store, false);
    assert_int_equal(read_session(f, row.sid, NULL), SP_OK);
}

/* A session of user 2 comes, goes, and is forgotten. */
static void come_and_go(struct fixture *f) {
    struct sp_session_row row = make_session(2, 2);
    row.backchannel = true;
    struct sp_change set[] = {
        {.kind = SP_CHANGE_SESSION_INSERT, .session_insert = {.row = &row}},
        {.kind = SP_CHANGE_SESSIONS_END,
         .sessions_end = {1, row.user_id, row.sid, NULL, SP_SESSION_ENDED, SP_END_LOGOUT, INT64_MAX / 2, 0}},
        {.kind = SP_CHANGE_SESSIONS_FORGET, .sessions_forget = {1, row.user_id, row.sid, 1, 0}}};
    assert_int_equal(commit_set(f, set, SP_ARRAY_LEN(set), NULL), SP_OK);
    f->events_n = 0;
}

static uint64_t first_logout(struct fixture *f) {
    struct sp_store_read r = {.kind = SP_READ_LOGOUTS, .limit = 1};
    read_all(f, &r);
    assert_int_equal(r.ret.n, 1);
    const uint64_t seq = r.ret.logouts[0].seq;
    sp_store_read_done(&r);
    return seq;
}

static void full_outbox_lets_its_oldest_go(void **state) {
    struct fixture *f = *state;
    for (unsigned i = 0; i < SP_LOGOUTS_MAX; i++) come_and_go(f);
    assert_int_equal(first_logout(f), 1);
    struct sp_change done = {.kind = SP_CHANGE_LOGOUT_DONE, .logout_done = {5000}};
    assert_commits(f, &done);
    come_and_go(f); /* in the place of the one that was delivered */
    assert_int_equal(first_logout(f), 1);
    come_and_go(f);
    assert_int_equal(first_logout(f), 2);
    struct sp_session_row row = make_session(2, 3);
    row.backchannel = true;
    struct sp_change set[] = {
        {.kind = SP_CHANGE_SESSION_INSERT, .session_insert = {.row = &row}},
        {.kind = SP_CHANGE_SESSIONS_END,
         .sessions_end = {1, row.user_id, row.sid, NULL, SP_SESSION_ENDED, SP_END_LOGOUT, NOW_MS, 0}},
        {.kind = SP_CHANGE_LOGOUT_DONE, .logout_done = {5000}}}; /* is not there any more */
    assert_int_equal(commit_set(f, set, SP_ARRAY_LEN(set), NULL), SP_E_CONFLICT);
    assert_int_equal(first_logout(f), 2); /* what was refused has thrown nothing out */
}

static void restored_it_is_as_it_was(void **state) {
    struct fixture *f = *state;
    struct sp_memory_snapshot *snapshot;
    struct sp_change audit = {.kind = SP_CHANGE_AUDIT,
                              .audit = {.body = SP_SLICE_LIT("{}"), .personal = SP_SLICE_LIT("{}")}};
    assert_commits(f, &audit);
    assert_true(sp_ok(sp_store_memory_snapshot(f->store, &snapshot)));
    struct sp_meta_row before = read_meta(f), after;
    assert_int_equal(end_session(f), SP_OK);
    assert_commits(f, &audit);
    assert_true(sp_ok(sp_store_memory_restore(f->store, snapshot, false)));
    assert_false(is_ended(f));
    after = read_meta(f);
    assert_memory_equal(&before, &after, sizeof(before));
    assert_int_equal(end_session(f), SP_OK);
    assert_true(sp_ok(sp_store_memory_restore(f->store, snapshot, true))); /* again */
    assert_false(is_ended(f));
    assert_int_equal(read_meta(f).incarnation, before.incarnation + 1);
    assert_commits(f, &audit); /* the chain goes on from there */
    assert_int_equal(audit.audit.ret_seq, 2);
    sp_memory_snapshot_free(snapshot);
}

#define MEMORY_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        MEMORY_TEST(unavailable_changes_nothing_and_passes),
        MEMORY_TEST(the_nth_commit_fails_and_no_other),
        MEMORY_TEST(unknown_can_have_happened),
        MEMORY_TEST(unknown_need_not_have_happened),
        MEMORY_TEST(reads_can_fail),
        MEMORY_TEST(full_outbox_lets_its_oldest_go),
        MEMORY_TEST(restored_it_is_as_it_was),
    };
    return cmocka_run_group_tests_name("memory store", tests, NULL, NULL);
}
