/* Sessions that came from a browser's sign-in, and the outbox that tells their clients of their ends. */
#include "conformance.h"

/* ---- rows and changes ---- */

static struct sp_session_row child_of(const struct sp_session_row *parent, unsigned k) {
    struct sp_session_row row = make_session(parent->sid[0], k);
    memcpy(row.parent, parent->sid, sizeof(row.parent));
    text_set(&row.client_id, "shop");
    return row;
}

static struct sp_change insert_of(const struct sp_session_row *row) {
    return (struct sp_change){.kind = SP_CHANGE_SESSION_INSERT, .session_insert = {.row = row}};
}

static struct sp_change end_of(const struct sp_session_row *row) {
    return (struct sp_change){.kind = SP_CHANGE_SESSION_END,
                              .session_end = {.tenant = row->tenant,
                                              .sid = row->sid,
                                              .expect_generation = SP_GENERATION_ANY,
                                              .state = SP_SESSION_TRIPPED,
                                              .cause = SP_END_REUSE_DETECTED,
                                              .now_ms = NOW_MS + 5}};
}

static void assert_cause(struct fixture *f, const struct sp_session_row *row, enum sp_end_cause cause) {
    struct sp_session_row now;
    assert_int_equal(read_session(f, row->sid, &now), SP_OK);
    assert_int_equal(now.cause, cause);
    if (cause == SP_END_PARENT) assert_int_equal(now.state, SP_SESSION_ENDED);
    if (cause == SP_END_NONE) assert_int_equal(now.state, SP_SESSION_ACTIVE);
}

static struct sp_store_read read_logouts(struct fixture *f, uint64_t after, uint32_t limit) {
    struct sp_store_read r = {.kind = SP_READ_LOGOUTS, .after_seq = after, .limit = limit};
    read_all(f, &r);
    return r;
}

static uint32_t logouts_count(struct fixture *f) {
    struct sp_store_read r = read_logouts(f, 0, SP_READ_PAGE_MAX);
    const uint32_t n = r.ret.n;
    sp_store_read_done(&r);
    return n;
}

static size_t events_of(struct fixture *f, enum sp_event_kind kind) {
    size_t n = 0;
    for (size_t i = 0; i < events_count(f); i++) n += f->events[i].kind == kind;
    return n;
}

/* ---- children ---- */

static void child_is_stored_as_given(void **state) {
    struct fixture *f = *state;
    struct sp_session_row parent = make_session(1, 1), row = child_of(&parent, 2), found;
    row.offline = row.backchannel = true;
    add_session(f, &parent);
    add_session(f, &row);
    fixture_reopen(f);
    assert_int_equal(read_session(f, row.sid, &found), SP_OK);
    assert_memory_equal(&found, &row, sizeof(row));
    struct sp_user_row user = make_user(1);
    add_user(f, &user);
    struct sp_change c = rotation_of(&row); /* which writes only what changes */
    assert_commits(f, &c);
    assert_int_equal(read_session(f, row.sid, &found), SP_OK);
    assert_memory_equal(found.parent, parent.sid, sizeof(found.parent));
    assert_true(found.offline && found.backchannel);
}

static void assert_no_child(struct fixture *f, const struct sp_session_row *row) {
    struct sp_change c = insert_of(row);
    assert_refuses(f, &c);
    assert_true(c.session_insert.ret_parent_gone);
    assert_int_equal(read_session(f, row->sid, NULL), SP_E_NOT_FOUND);
}

static void nobody_gets_a_child_of_a_sign_in_that_is_over(void **state) {
    struct fixture *f = *state;
    struct sp_session_row parent = make_session(1, 1), row = child_of(&parent, 2);
    assert_no_child(f, &row); /* absent */
    add_session(f, &parent);
    row.created_ms = parent.idle_expires_ms; /* expired by then */
    assert_no_child(f, &row);
    row.created_ms = parent.idle_expires_ms - 1;
    struct sp_session_row first = row;
    add_session(f, &first);
    struct sp_change c = end_of(&parent);
    assert_commits(f, &c);
    row.sid[19]++;
    assert_no_child(f, &row); /* ended */
    parent.sid[19] = 9;
    memcpy(row.parent, parent.sid, sizeof(row.parent));
    add_session(f, &parent);
    c = (struct sp_change){.kind = SP_CHANGE_GLOBAL_EPOCH,
                           .global_epoch = {NOW_MS, NOW_S, true, SP_END_EVERYONE, 0}};
    assert_commits(f, &c);
    assert_no_child(f, &row); /* below the session floor */
}

static void child_of_anothers_sign_in_is_refused(void **state) {
    struct fixture *f = *state;
    struct sp_session_row parent = make_session(1, 1), row = child_of(&parent, 2);
    struct sp_user_row other = make_user(2);
    add_session(f, &parent);
    memcpy(row.user_id, other.id, sizeof(row.user_id));
    assert_no_child(f, &row);
    row = child_of(&parent, 2);
    row.tenant = 2;
    struct sp_change c = insert_of(&row);
    assert_refuses(f, &c);
    assert_true(c.session_insert.ret_parent_gone);
}

static void families_are_one_level_deep(void **state) {
    struct fixture *f = *state;
    struct sp_session_row parent = make_session(1, 1), child = child_of(&parent, 2),
                          grandchild = child_of(&child, 3);
    add_session(f, &parent);
    add_session(f, &child);
    assert_no_child(f, &grandchild);
}

/* A code that is redeemed a second time is told from a sign-in that is over. */
static void taken_sid_is_told_from_a_parent_that_is_gone(void **state) {
    struct fixture *f = *state;
    struct sp_session_row parent = make_session(1, 1), row = child_of(&parent, 2);
    add_session(f, &parent);
    add_session(f, &row);
    struct sp_change c = insert_of(&row), end = end_of(&parent);
    c.session_insert.ret_parent_gone = true; /* of an earlier use */
    assert_refuses(f, &c);
    assert_false(c.session_insert.ret_parent_gone);
    assert_commits(f, &end);
    assert_refuses(f, &c);
    assert_false(c.session_insert.ret_parent_gone);
}

static void end_of_a_sign_in_takes_its_children_along(void **state) {
    struct fixture *f = *state;
    struct sp_session_row parent = make_session(1, 5), other = make_session(1, 6);
    struct sp_session_row before = child_of(&parent, 1), after = child_of(&parent, 9),
                          offline = child_of(&parent, 10), ended = child_of(&parent, 11),
                          others = child_of(&other, 12);
    offline.offline = true;
    before.backchannel = true;
    const struct sp_session_row *all[] = {&parent, &other, &before, &after, &offline, &ended, &others};
    for (size_t i = 0; i < SP_ARRAY_LEN(all); i++) add_session(f, all[i]);
    struct sp_change c = end_of(&ended);
    assert_commits(f, &c);
    f->events_n = 0;
    c = end_of(&parent);
    assert_commits(f, &c);
    assert_int_equal(c.session_end.ret_children, 2);
    assert_cause(f, &parent, SP_END_REUSE_DETECTED);
    assert_cause(f, &before, SP_END_PARENT);
    assert_cause(f, &after, SP_END_PARENT);
    assert_cause(f, &offline, SP_END_NONE);
    assert_cause(f, &ended, SP_END_REUSE_DETECTED);
    assert_cause(f, &other, SP_END_NONE);
    assert_cause(f, &others, SP_END_NONE);
    assert_int_equal(events_of(f, SP_EVENT_REVOKED), 3);
    assert_int_equal(events_of(f, SP_EVENT_LOGOUT), 1);
}

static void end_of_a_child_is_its_own(void **state) {
    struct fixture *f = *state;
    struct sp_session_row parent = make_session(1, 1), one = child_of(&parent, 2), two = child_of(&parent, 3);
    add_session(f, &parent);
    add_session(f, &one);
    add_session(f, &two);
    struct sp_change c = end_of(&one);
    assert_commits(f, &c);
    assert_int_equal(c.session_end.ret_children, 0);
    assert_cause(f, &parent, SP_END_NONE);
    assert_cause(f, &two, SP_END_NONE);
}

/* Someone whose tag collides may hold a row that names a parent which is not its own. */
static void end_spares_what_another_user_claims_to_be_a_child(void **state) {
    struct fixture *f = *state;
    struct sp_session_row parent = make_session(1, 1), row = child_of(&parent, 2);
    struct sp_user_row other = make_user(2);
    struct sp_session_row real = make_session(1, 7);
    memcpy(real.user_id, other.id, sizeof(other.id));
    add_session(f, &parent);
    add_session(f, &real);
    memcpy(row.user_id, other.id, sizeof(row.user_id));
    memcpy(row.parent, real.sid, sizeof(row.parent));
    add_session(f, &row);
    struct sp_change c = end_of(&parent);
    assert_commits(f, &c);
    assert_int_equal(c.session_end.ret_children, 0);
    assert_cause(f, &row, SP_END_NONE);
}

static void refused_set_ends_no_child(void **state) {
    struct fixture *f = *state;
    struct sp_session_row parent = make_session(1, 1), row = child_of(&parent, 2);
    row.backchannel = true;
    add_session(f, &parent);
    add_session(f, &row);
    struct sp_change set[] = {end_of(&parent), end_of(&row)}; /* which the first has ended already */
    size_t failed;
    assert_int_equal(commit_set(f, set, 2, &failed), SP_E_CONFLICT);
    assert_int_equal(failed, 1);
    assert_cause(f, &parent, SP_END_NONE);
    assert_cause(f, &row, SP_END_NONE);
    assert_int_equal(events_count(f), 0);
    assert_int_equal(logouts_count(f), 0);
    assert_int_equal(read_meta(f).logout_seq, 0);
}

/* ---- making room ---- */

/* Returns how many had to go. */
static uint32_t add_among(struct fixture *f, const struct sp_session_row *row, uint32_t live_max) {
    struct sp_change c = insert_of(row);
    c.session_insert.live_max = live_max;
    assert_commits(f, &c);
    return c.session_insert.ret_evicted;
}

static void evicted_sign_in_takes_its_children_along(void **state) {
    struct fixture *f = *state;
    struct sp_session_row parent = make_session(1, 1), row = child_of(&parent, 2), young = make_session(1, 3),
                          newcomer = make_session(1, 4);
    row.backchannel = true;
    add_session(f, &parent);
    add_session(f, &row);
    add_session(f, &young);
    assert_int_equal(add_among(f, &newcomer, 3), 1);
    assert_cause(f, &parent, SP_END_TOO_MANY_SESSIONS);
    assert_cause(f, &row, SP_END_PARENT);
    assert_cause(f, &young, SP_END_NONE);
    assert_int_equal(logouts_count(f), 1);
}

static void making_room_never_takes_the_newcomers_parent(void **state) {
    struct fixture *f = *state;
    struct sp_session_row parent = make_session(1, 1), young = make_session(1, 2), row = child_of(&parent, 3);
    add_session(f, &parent);
    add_session(f, &young);
    assert_int_equal(add_among(f, &row, 2), 1);
    assert_cause(f, &parent, SP_END_NONE);
    assert_cause(f, &young, SP_END_TOO_MANY_SESSIONS);
    struct sp_session_row second = child_of(&parent, 4);
    assert_int_equal(add_among(f, &second, 1), 1);
    assert_cause(f, &parent, SP_END_NONE);
    assert_cause(f, &row, SP_END_TOO_MANY_SESSIONS);
    assert_cause(f, &second, SP_END_NONE);
}

static void name_client(struct sp_session_row *row, const char *id) {
    assert_int_equal(SP_TEXT_SET(&row->client_id, sp_slice_cstr(id)).code, SP_OK);
}

static void client_makes_room_among_its_own_sessions(void **state) {
    struct fixture *f = *state;
    struct sp_session_row parent = make_session(1, 1), phone = make_session(1, 2),
                          first = child_of(&parent, 3), second = child_of(&parent, 4),
                          third = child_of(&parent, 5), other = child_of(&parent, 6);
    name_client(&first, "shop");
    name_client(&second, "shop");
    name_client(&third, "shop");
    name_client(&other, "other");
    add_session(f, &parent);
    add_session(f, &phone);
    add_session(f, &first);
    add_session(f, &second);
    assert_int_equal(add_among(f, &third, 4), 1);
    assert_cause(f, &first, SP_END_TOO_MANY_SESSIONS);
    assert_cause(f, &phone, SP_END_NONE);
    /* One that has none takes the oldest of all. */
    assert_int_equal(add_among(f, &other, 4), 1);
    assert_cause(f, &phone, SP_END_TOO_MANY_SESSIONS);
    assert_cause(f, &parent, SP_END_NONE);
    assert_cause(f, &second, SP_END_NONE);
}

/* ---- the outbox ---- */

static void end_with_a_back_channel_goes_into_the_outbox(void **state) {
    struct fixture *f = *state;
    struct sp_session_row quiet = make_session(1, 1), row = make_session(1, 2);
    row.backchannel = true;
    add_session(f, &quiet);
    add_session(f, &row);
    struct sp_change c = end_of(&quiet);
    assert_commits(f, &c);
    assert_int_equal(logouts_count(f), 0);
    c = end_of(&row);
    assert_commits(f, &c);
    struct sp_logout_row expected;
    memset(&expected, 0, sizeof(expected));
    expected.tenant = 1;
    expected.seq = 1;
    memcpy(expected.sid, row.sid, sizeof(row.sid));
    memcpy(expected.user_id, row.user_id, sizeof(row.user_id));
    expected.client_id = row.client_id;
    expected.cause = SP_END_REUSE_DETECTED;
    expected.created_ms = expected.next_ms = NOW_MS + 5;
    assert_int_equal(events_of(f, SP_EVENT_LOGOUT), 1);
    for (size_t i = 0; i < events_count(f); i++) {
        if (f->events[i].kind == SP_EVENT_LOGOUT)
            assert_memory_equal(&f->events[i].logout, &expected, sizeof(expected));
    }
    fixture_reopen(f);
    struct sp_store_read r = read_logouts(f, 0, 10);
    assert_int_equal(r.ret.n, 1);
    assert_memory_equal(&r.ret.logouts[0], &expected, sizeof(expected));
    sp_store_read_done(&r);
    assert_int_equal(read_meta(f).logout_seq, 1);
}

/* Also when no token of the session can pass any more. */
static void end_that_needs_no_revocation_still_says_so_to_the_client(void **state) {
    struct fixture *f = *state;
    struct sp_session_row row = make_session(1, 1);
    row.backchannel = true;
    add_session(f, &row);
    struct sp_change c = end_of(&row);
    c.session_end.now_ms = (row.access_exp_max_s + SP_REVOKE_SLACK_S + 1) * 1000;
    assert_commits(f, &c);
    assert_int_equal(events_of(f, SP_EVENT_REVOKED), 0);
    assert_int_equal(logouts_count(f), 1);
}

static void end_of_all_of_a_user_takes_children_and_offline_ones(void **state) {
    struct fixture *f = *state;
    struct sp_session_row parent = make_session(1, 1), row = child_of(&parent, 2),
                          offline = child_of(&parent, 3), kept = child_of(&parent, 4);
    row.backchannel = offline.backchannel = offline.offline = kept.backchannel = true;
    const struct sp_session_row *all[] = {&parent, &row, &offline, &kept};
    for (size_t i = 0; i < SP_ARRAY_LEN(all); i++) add_session(f, all[i]);
    struct sp_change c = {.kind = SP_CHANGE_SESSIONS_END,
                          .sessions_end = {1, parent.user_id, parent.sid, kept.sid, SP_SESSION_ENDED,
                                           SP_END_LOGOUT_ALL, NOW_MS, 0}};
    assert_commits(f, &c);
    assert_int_equal(c.sessions_end.ret_ended, 3);
    assert_cause(f, &offline, SP_END_LOGOUT_ALL);
    assert_cause(f, &row, SP_END_LOGOUT_ALL);
    assert_cause(f, &kept, SP_END_NONE); /* excepted is excepted, though its parent has ended */
    struct sp_store_read r = read_logouts(f, 0, 10);
    assert_int_equal(r.ret.n, 2);
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(r.ret.logouts[i].seq, i + 1);
        assert_int_equal(r.ret.logouts[i].cause, SP_END_LOGOUT_ALL);
    }
    sp_store_read_done(&r);
}

/* The floor is one number for everybody: no row is touched, so nobody is told. */
static void session_floor_fills_no_outbox(void **state) {
    struct fixture *f = *state;
    struct sp_session_row row = make_session(1, 1);
    row.backchannel = true;
    add_session(f, &row);
    struct sp_change c = {.kind = SP_CHANGE_GLOBAL_EPOCH,
                          .global_epoch = {NOW_MS, NOW_S, true, SP_END_EVERYONE, 0}};
    assert_commits(f, &c);
    assert_int_equal(logouts_count(f), 0);
}

static void fill_outbox(struct fixture *f, unsigned n) {
    for (unsigned k = 0; k < n; k++) {
        struct sp_session_row row = make_session(1, k);
        row.backchannel = true;
        add_session(f, &row);
        struct sp_change c = end_of(&row);
        assert_commits(f, &c);
    }
}

static void logout_is_tried_and_done(void **state) {
    struct fixture *f = *state;
    fill_outbox(f, 3);
    struct sp_change tried = {.kind = SP_CHANGE_LOGOUT_TRIED, .logout_tried = {2, 7, NOW_MS + 9000}};
    struct sp_change done = {.kind = SP_CHANGE_LOGOUT_DONE, .logout_done = {1}};
    assert_commits(f, &tried);
    assert_commits(f, &done);
    assert_refuses(f, &done); /* only once */
    tried.logout_tried.seq = 1;
    assert_refuses(f, &tried);
    tried.logout_tried.seq = done.logout_done.seq = 4;
    assert_refuses(f, &tried);
    assert_refuses(f, &done);
    fixture_reopen(f);
    struct sp_store_read r = read_logouts(f, 0, 10);
    assert_int_equal(r.ret.n, 2);
    assert_int_equal(r.ret.logouts[0].seq, 2);
    assert_int_equal(r.ret.logouts[0].tries, 7);
    assert_int_equal(r.ret.logouts[0].next_ms, NOW_MS + 9000);
    assert_int_equal(r.ret.logouts[0].created_ms, NOW_MS + 5);
    assert_int_equal(r.ret.logouts[1].tries, 0);
    sp_store_read_done(&r);
}

static void sequence_of_the_outbox_is_never_given_twice(void **state) {
    struct fixture *f = *state;
    fill_outbox(f, 2);
    struct sp_change done = {.kind = SP_CHANGE_LOGOUT_DONE, .logout_done = {2}};
    assert_commits(f, &done);
    fixture_reopen(f);
    struct sp_session_row row = make_session(1, 100);
    row.backchannel = true;
    add_session(f, &row);
    struct sp_change c = end_of(&row);
    assert_commits(f, &c);
    struct sp_store_read r = read_logouts(f, 1, 10);
    assert_int_equal(r.ret.n, 1);
    assert_int_equal(r.ret.logouts[0].seq, 3);
    sp_store_read_done(&r);
}

static void outbox_is_paged_by_sequence(void **state) {
    struct fixture *f = *state;
    fill_outbox(f, 11);
    uint64_t seen = 0;
    unsigned pages = 0;
    for (bool more = true; more; pages++) {
        struct sp_store_read r = read_logouts(f, seen, 4);
        for (uint32_t i = 0; i < r.ret.n; i++) assert_int_equal(r.ret.logouts[i].seq, ++seen);
        more = r.ret.more;
        sp_store_read_done(&r);
    }
    assert_int_equal(seen, 11);
    assert_int_equal(pages, 3);
}

int conformance_families(void) {
    const struct CMUnitTest tests[] = {
        STORE_TEST(child_is_stored_as_given),
        STORE_TEST(nobody_gets_a_child_of_a_sign_in_that_is_over),
        STORE_TEST(child_of_anothers_sign_in_is_refused),
        STORE_TEST(families_are_one_level_deep),
        STORE_TEST(taken_sid_is_told_from_a_parent_that_is_gone),
        STORE_TEST(end_of_a_sign_in_takes_its_children_along),
        STORE_TEST(end_of_a_child_is_its_own),
        STORE_TEST(end_spares_what_another_user_claims_to_be_a_child),
        STORE_TEST(refused_set_ends_no_child),
        STORE_TEST(evicted_sign_in_takes_its_children_along),
        STORE_TEST(client_makes_room_among_its_own_sessions),
        STORE_TEST(making_room_never_takes_the_newcomers_parent),
        STORE_TEST(end_with_a_back_channel_goes_into_the_outbox),
        STORE_TEST(end_that_needs_no_revocation_still_says_so_to_the_client),
        STORE_TEST(end_of_all_of_a_user_takes_children_and_offline_ones),
        STORE_TEST(session_floor_fills_no_outbox),
        STORE_TEST(logout_is_tried_and_done),
        STORE_TEST(sequence_of_the_outbox_is_never_given_twice),
        STORE_TEST(outbox_is_paged_by_sequence),
    };
    return cmocka_run_group_tests_name("families, logouts", tests, NULL, NULL);
}
