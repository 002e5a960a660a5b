#include "conformance.h"

static struct sp_change end_of(const struct sp_session_row *row) {
    return (struct sp_change){.kind = SP_CHANGE_SESSION_END,
                              .session_end = {.tenant = row->tenant,
                                              .sid = row->sid,
                                              .expect_generation = SP_GENERATION_ANY,
                                              .state = SP_SESSION_ENDED,
                                              .cause = SP_END_LOGOUT,
                                              .now_ms = NOW_MS + 5}};
}

static void session_is_stored_as_given_with_the_stores_epochs(void **state) {
    struct fixture *f = *state;
    struct sp_session_row row = make_session(1, 1), found;
    struct sp_change raise[] = {
        {.kind = SP_CHANGE_GLOBAL_EPOCH, .global_epoch = {NOW_MS, NOW_S, false, SP_END_NONE, 0}},
        {.kind = SP_CHANGE_META, .meta = {NEXT_INCARNATION}}};
    assert_int_equal(commit_set(f, raise, 2, NULL), SP_OK);
    text_set(&row.act, "someone");
    row.has_attempt = true;
    row.attempt[3] = 9;
    row.global_epoch = 50;
    row.incarnation = 50;
    add_session(f, &row);
    row.global_epoch = 1;
    row.incarnation = 2;
    fixture_reopen(f);
    assert_int_equal(read_session(f, row.sid, &found), SP_OK);
    assert_memory_equal(&found, &row, sizeof(row));
}

static void session_with_a_taken_sid_is_refused(void **state) {
    struct fixture *f = *state;
    struct sp_session_row row = make_session(1, 1);
    add_session(f, &row);
    struct sp_change c = {.kind = SP_CHANGE_SESSION_INSERT, .session_insert = {.row = &row, .live_max = 1}};
    assert_refuses(f, &c);
}

static void end_is_kept_with_its_cause_and_revoked(void **state) {
    struct fixture *f = *state;
    struct sp_session_row row = make_session(1, 1), given;
    add_session(f, &row);
    struct sp_change c = end_of(&row);
    c.session_end.ret_session = &given;
    assert_commits(f, &c);
    row.state = SP_SESSION_ENDED;
    row.cause = SP_END_LOGOUT;
    row.ended_ms = NOW_MS + 5;
    assert_memory_equal(&given, &row, sizeof(row));
    assert_int_equal(read_session(f, row.sid, &given), SP_OK);
    assert_memory_equal(&given, &row, sizeof(row));
    assert_int_equal(events_count(f), 1);
    const struct sp_revocation_row *r = &f->events[0].revocation;
    assert_int_equal(r->what, SP_REVOKED_SID);
    assert_int_equal(r->expires_s, NOW_S + 900 + SP_REVOKE_SLACK_S);
    assert_memory_equal(r->id, row.sid, sizeof(row.sid));
    assert_refuses(f, &c); /* only once */
}

static void end_with_a_wrong_precondition_is_refused(void **state) {
    struct fixture *f = *state;
    struct sp_session_row row = make_session(1, 1), absent = make_session(1, 2), foreign = make_session(2, 1);
    add_session(f, &row);
    struct sp_change c = end_of(&absent);
    assert_refuses(f, &c);
    c = end_of(&row);
    c.session_end.expect_generation = 4;
    assert_refuses(f, &c);
    c = end_of(&row);
    c.session_end.user_id = foreign.user_id;
    assert_refuses(f, &c);
    c.session_end.user_id = row.user_id;
    c.session_end.expect_generation = 5;
    assert_commits(f, &c);
}

static void end_long_after_the_last_token_needs_no_revocation(void **state) {
    struct fixture *f = *state;
    struct sp_session_row row = make_session(1, 1), other = make_session(1, 2);
    add_session(f, &row);
    add_session(f, &other);
    struct sp_change c = end_of(&row);
    c.session_end.now_ms = (row.access_exp_max_s + SP_REVOKE_SLACK_S + 1) * 1000;
    assert_commits(f, &c);
    assert_int_equal(events_count(f), 0);
    c = end_of(&other);
    c.session_end.now_ms = (row.access_exp_max_s + SP_REVOKE_SLACK_S) * 1000;
    assert_commits(f, &c);
    assert_int_equal(events_count(f), 1);
}

static void ends_of_a_user_spare_others_and_the_excepted(void **state) {
    struct fixture *f = *state;
    struct sp_session_row rows[6];
    for (unsigned i = 0; i < 6; i++) {
        rows[i] = make_session(1, i);
        if (i == 4) { /* another user whose tag collides */
            struct sp_user_row other = make_user(2);
            memcpy(rows[i].user_id, other.id, sizeof(other.id));
        }
        add_session(f, &rows[i]);
    }
    struct sp_session_row neighbour = make_session(2, 0);
    memcpy(neighbour.user_id, rows[0].user_id,
           sizeof(neighbour.user_id)); /* outside the range: not this user's */
    add_session(f, &neighbour);
    struct sp_change first = end_of(&rows[5]);
    assert_commits(f, &first);
    struct sp_change c = {.kind = SP_CHANGE_SESSIONS_END,
                          .sessions_end = {1, rows[0].user_id, rows[0].sid, rows[2].sid, SP_SESSION_TRIPPED,
                                           SP_END_REUSE_ELSEWHERE, NOW_MS, 0}};
    assert_commits(f, &c);
    assert_int_equal(c.sessions_end.ret_ended, 3);
    assert_int_equal(events_count(f), 4);
    for (unsigned i = 0; i < 6; i++) {
        struct sp_session_row now;
        assert_int_equal(read_session(f, rows[i].sid, &now), SP_OK);
        bool spared = i == 2 || i == 4;
        assert_int_equal(now.state, spared   ? SP_SESSION_ACTIVE
                                    : i == 5 ? SP_SESSION_ENDED
                                             : SP_SESSION_TRIPPED);
    }
    assert_commits(f, &c);
    assert_int_equal(c.sessions_end.ret_ended, 0);
}

static void ends_reach_the_highest_tag(void **state) {
    struct fixture *f = *state;
    struct sp_session_row row = make_session(0xff, 1), last = make_session(0xff, 2);
    memset(last.sid, 0xff, sizeof(last.sid));
    add_session(f, &row);
    add_session(f, &last);
    struct sp_session_row next = make_session(0, 0);
    memcpy(next.user_id, row.user_id, sizeof(row.user_id));
    next.tenant = 2;
    add_session(f, &next);
    struct sp_change c = {
        .kind = SP_CHANGE_SESSIONS_END,
        .sessions_end = {1, row.user_id, row.sid, NULL, SP_SESSION_ENDED, SP_END_ADMIN, NOW_MS, 0}};
    assert_commits(f, &c);
    assert_int_equal(c.sessions_end.ret_ended, 2);
    struct sp_store_read r = {
        .kind = SP_READ_USER_SESSIONS, .key = SP_SLICE_ARRAY(row.user_id), .sid_tag = row.sid, .limit = 10};
    read_all(f, &r);
    assert_int_equal(r.ret.n, 2);
    sp_store_read_done(&r);
}

static void sessions_beyond_the_maximum_end_the_oldest(void **state) {
    struct fixture *f = *state;
    struct sp_session_row rows[6];
    for (unsigned i = 0; i < 6; i++) {
        rows[i] = make_session(1, i);
        rows[i].created_ms = NOW_MS - (i < 4 ? i : 0);      /* the oldest is number 3 */
        if (i == 1) rows[i].idle_expires_ms = NOW_MS - 100; /* expired: does not count */
    }
    for (unsigned i = 0; i < 4; i++) add_session(f, &rows[i]);
    struct sp_change c = {.kind = SP_CHANGE_SESSION_INSERT,
                          .session_insert = {.row = &rows[4], .live_max = 4}};
    assert_commits(f, &c);
    assert_int_equal(c.session_insert.ret_evicted, 0);
    c.session_insert = (struct sp_session_insert){.row = &rows[5], .live_max = 3};
    assert_commits(f, &c);
    assert_int_equal(c.session_insert.ret_evicted, 2);
    assert_int_equal(events_count(f), 2);
    static const bool gone[] = {false, false, true, true, false, false};
    for (unsigned i = 0; i < 6; i++) {
        struct sp_session_row now;
        assert_int_equal(read_session(f, rows[i].sid, &now), SP_OK);
        assert_int_equal(now.state, gone[i] ? SP_SESSION_ENDED : SP_SESSION_ACTIVE);
        assert_int_equal(now.cause, gone[i] ? SP_END_TOO_MANY_SESSIONS : SP_END_NONE);
    }
    assert_memory_equal(f->events[0].revocation.id, rows[3].sid, sizeof(rows[3].sid));
}

static void global_epoch_raises_the_floor_only_when_asked(void **state) {
    struct fixture *f = *state;
    struct sp_change c = {.kind = SP_CHANGE_GLOBAL_EPOCH,
                          .global_epoch = {NOW_MS, NOW_S + 9, false, SP_END_EVERYONE, 0}};
    assert_commits(f, &c);
    struct sp_meta_row meta = read_meta(f);
    assert_int_equal(meta.global_epoch, 1);
    assert_int_equal(meta.session_floor, 0);
    assert_int_equal(meta.floor_cause, SP_END_NONE);
    c.global_epoch.end_sessions = true;
    assert_commits(f, &c);
    assert_int_equal(c.global_epoch.ret_epoch, 2);
    fixture_reopen(f);
    meta = read_meta(f);
    assert_int_equal(meta.session_floor, 2);
    assert_int_equal(meta.floor_cause, SP_END_EVERYONE);
    assert_int_equal(meta.floor_ms, NOW_MS);
    assert_int_equal(meta.revoke_seq, 2);
    assert_int_equal(f->events[1].revocation.what, SP_REVOKED_GLOBAL_EPOCH);
    assert_int_equal(f->events[1].revocation.epoch, 2);
}

static void meta_writes_only_what_is_set(void **state) {
    struct fixture *f = *state;
    struct sp_meta_row meta = read_meta(f);
    assert_int_equal(meta.incarnation, 1);
    struct sp_change c = {.kind = SP_CHANGE_META,
                          .meta = {.alive_ms = 7, .count_boot = true, .access_ttl_max_s = 900}};
    assert_commits(f, &c);
    c.meta = (struct sp_meta_change){.access_ttl_max_s = 300};
    assert_commits(f, &c);
    c.meta = (struct sp_meta_change){NEXT_INCARNATION};
    assert_commits(f, &c);
    meta = read_meta(f);
    assert_int_equal(meta.alive_ms, 7);
    assert_int_equal(meta.boots, 1);
    assert_int_equal(meta.access_ttl_max_s, 900);
    assert_int_equal(meta.incarnation, 2);
}

static void revocations_are_paged_by_sequence_and_unexpired(void **state) {
    struct fixture *f = *state;
    uint8_t jti[16] = {0};
    for (unsigned i = 1; i <= 30; i++) {
        jti[0] = (uint8_t)i;
        struct sp_change c = {.kind = SP_CHANGE_REVOKE_JTI,
                              .revoke_jti = {1, jti, NOW_S + (i % 3 == 0 ? -1 : 10)}};
        assert_commits(f, &c);
    }
    uint64_t after = 0;
    unsigned seen = 0;
    for (bool more = true; more;) {
        struct sp_store_read r = {
            .kind = SP_READ_REVOCATIONS, .limit = 7, .after_seq = after, .now_s = NOW_S};
        read_all(f, &r);
        for (uint32_t i = 0; i < r.ret.n; i++, seen++) {
            const struct sp_revocation_row *row = &r.ret.revocations[i];
            assert_true(row->seq > after && row->seq % 3 != 0);
            assert_int_equal(row->id[0], row->seq);
            assert_int_equal(row->what, SP_REVOKED_JTI);
            after = row->seq;
        }
        more = r.ret.more;
        sp_store_read_done(&r);
    }
    assert_int_equal(seen, 20);
}

static uint32_t purge(struct fixture *f, int64_t now_s, int64_t before_ms, uint32_t most) {
    struct sp_change c = {.kind = SP_CHANGE_PURGE, .purge = {now_s, before_ms, most, 0}};
    assert_commits(f, &c);
    return c.purge.ret_purged;
}

static void purge_forgets_revocations_by_expiry_and_at_most_so_many(void **state) {
    struct fixture *f = *state;
    uint8_t jti[16] = {0};
    for (unsigned i = 0; i < 10; i++) {
        struct sp_change c = {.kind = SP_CHANGE_REVOKE_JTI, .revoke_jti = {1, jti, NOW_S + 10 - i}};
        assert_commits(f, &c);
    }
    assert_int_equal(purge(f, NOW_S + 1, 0, 100), 0);
    assert_int_equal(purge(f, NOW_S + 5, 0, 3), 3);
    assert_int_equal(purge(f, NOW_S + 5, 0, 3), 1);
    struct sp_store_read r = {.kind = SP_READ_REVOCATIONS, .limit = 100};
    read_all(f, &r);
    assert_int_equal(r.ret.n, 6);
    assert_int_equal(r.ret.revocations[5].expires_s, NOW_S + 5);
    sp_store_read_done(&r);
}

static void purge_walks_all_sessions_and_forgets_the_long_over(void **state) {
    struct fixture *f = *state;
    for (unsigned i = 0; i < 20; i++) {
        struct sp_session_row row = make_session(i, 0);
        if (i % 4 == 1) row.idle_expires_ms = NOW_MS - 1;
        if (i % 4 == 2) row.absolute_expires_ms = NOW_MS - 1;
        if (i % 4 == 3) {
            row.state = SP_SESSION_ENDED;
            row.cause = SP_END_LOGOUT;
            row.ended_ms = NOW_MS - 1;
        }
        add_session(f, &row);
    }
    uint32_t purged = 0;
    for (int step = 0; step < 6; step++) {
        uint32_t n = purge(f, 0, NOW_MS, 4);
        assert_true(n <= 4);
        purged += n;
    }
    assert_int_equal(purged, 15);
    assert_int_equal(purge(f, 0, NOW_MS, 100), 0);
    for (unsigned i = 0; i < 20; i++) {
        struct sp_session_row row = make_session(i, 0);
        assert_int_equal(read_session(f, row.sid, NULL), i % 4 == 0 ? SP_OK : SP_E_NOT_FOUND);
    }
    struct sp_change everyone = {.kind = SP_CHANGE_GLOBAL_EPOCH,
                                 .global_epoch = {NOW_MS + 10, NOW_S, true, SP_END_EVERYONE, 0}};
    assert_commits(f, &everyone);
    assert_int_equal(purge(f, 0, NOW_MS + 10, 100), 0);
    assert_int_equal(purge(f, 0, NOW_MS + 11, 100), 5 + 0); /* over by the floor */
}

static void sessions_are_paged_by_sid(void **state) {
    struct fixture *f = *state;
    for (unsigned i = 0; i < 23; i++) {
        struct sp_session_row row = make_session(1 + i % 2, i);
        add_session(f, &row);
    }
    uint8_t after[SP_ROW_SID_BYTES];
    sp_slice cursor = SP_SLICE_EMPTY;
    unsigned seen = 0, pages = 0;
    for (bool more = true; more; pages++) {
        struct sp_store_read r = {.kind = SP_READ_SESSIONS, .limit = 5, .after = cursor};
        read_all(f, &r);
        for (uint32_t i = 0; i < r.ret.n; i++, seen++) {
            assert_true(cursor.n == 0 || memcmp(r.ret.sessions[i].sid, after, sizeof(after)) > 0);
            memcpy(after, r.ret.sessions[i].sid, sizeof(after));
            cursor = SP_SLICE_ARRAY(after);
        }
        more = r.ret.more;
        sp_store_read_done(&r);
    }
    assert_int_equal(seen, 23);
    assert_int_equal(pages, 5);
}

static void sessions_of_a_user_are_paged_by_sid(void **state) {
    struct fixture *f = *state;
    for (unsigned i = 0; i < 12; i++) {
        struct sp_session_row row = make_session(1, i);
        if (i == 0) memset(row.sid + 4, 0, sizeof(row.sid) - 4); /* the first key of the range */
        if (i % 3 == 2) row.user_id[5] = 1;                      /* a tag that collides */
        add_session(f, &row);
    }
    struct sp_session_row user = make_session(1, 0);
    uint8_t after[SP_ROW_SID_BYTES];
    sp_slice cursor = SP_SLICE_EMPTY;
    unsigned seen = 0;
    for (bool more = true; more;) {
        struct sp_store_read r = {.kind = SP_READ_USER_SESSIONS,
                                  .limit = 3,
                                  .after = cursor,
                                  .key = SP_SLICE_ARRAY(user.user_id),
                                  .sid_tag = user.sid};
        read_all(f, &r);
        for (uint32_t i = 0; i < r.ret.n; i++, seen++) {
            assert_memory_equal(r.ret.sessions[i].user_id, user.user_id, sizeof(user.user_id));
            memcpy(after, r.ret.sessions[i].sid, sizeof(after));
            cursor = SP_SLICE_ARRAY(after);
        }
        more = r.ret.more;
        sp_store_read_done(&r);
    }
    assert_int_equal(seen, 8);
}

int conformance_ends(void) {
    const struct CMUnitTest tests[] = {
        STORE_TEST(session_is_stored_as_given_with_the_stores_epochs),
        STORE_TEST(session_with_a_taken_sid_is_refused),
        STORE_TEST(end_is_kept_with_its_cause_and_revoked),
        STORE_TEST(end_with_a_wrong_precondition_is_refused),
        STORE_TEST(end_long_after_the_last_token_needs_no_revocation),
        STORE_TEST(ends_of_a_user_spare_others_and_the_excepted),
        STORE_TEST(ends_reach_the_highest_tag),
        STORE_TEST(sessions_beyond_the_maximum_end_the_oldest),
        STORE_TEST(global_epoch_raises_the_floor_only_when_asked),
        STORE_TEST(meta_writes_only_what_is_set),
        STORE_TEST(revocations_are_paged_by_sequence_and_unexpired),
        STORE_TEST(purge_forgets_revocations_by_expiry_and_at_most_so_many),
        STORE_TEST(purge_walks_all_sessions_and_forgets_the_long_over),
        STORE_TEST(sessions_are_paged_by_sid),
        STORE_TEST(sessions_of_a_user_are_paged_by_sid),
    };
    return cmocka_run_group_tests_name("ends", tests, NULL, NULL);
}
