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
        MEMORY_TEST(restored_it_is_as_it_was),
    };
    return cmocka_run_group_tests_name("memory store", tests, NULL, NULL);
}
