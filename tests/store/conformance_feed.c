/* The chain over revocations: whatever gives a sequence moves the head, in the same transaction. */
#include "conformance.h"

static uint8_t jti[SP_ROW_ID_BYTES] = "jti of 16 bytes";

static struct sp_change revoke(unsigned n) {
    jti[0] = (uint8_t)n;
    return (struct sp_change){.kind = SP_CHANGE_REVOKE_JTI, .revoke_jti = {1, jti, NOW_S + 10}};
}

static void assert_head_is(struct fixture *f, const uint8_t *head) {
    const struct sp_meta_row meta = read_meta(f);
    assert_memory_equal(meta.feed_head, head, SP_ROW_HASH_BYTES);
}

static void head_at_start(struct fixture *f, uint8_t ret[SP_ROW_HASH_BYTES]) {
    const struct sp_meta_row meta = read_meta(f);
    feed_start(NULL, meta.feed_epoch, ret);
}

/* From the stored rows after `seq`, which must follow each other without a gap. */
static void link_stored(struct fixture *f, uint64_t seq, uint8_t head[SP_ROW_HASH_BYTES]) {
    struct sp_store_read r = {.kind = SP_READ_REVOCATIONS, .limit = SP_READ_PAGE_MAX, .after_seq = seq};
    read_all(f, &r);
    assert_false(r.ret.more);
    for (uint32_t i = 0; i < r.ret.n; i++) {
        assert_int_equal(r.ret.revocations[i].seq, ++seq);
        feed_link(NULL, head, &r.ret.revocations[i], head);
    }
    sp_store_read_done(&r);
}

static void fresh_store_begins_a_chain_under_an_epoch_of_its_own(void **state) {
    struct fixture *f = *state, *other = malloc(sizeof(*other));
    static const uint8_t zeros[SP_ROW_FEED_EPOCH_BYTES] = {0};
    const struct sp_meta_row meta = read_meta(f);
    assert_non_null(other);
    fixture_open(other, f->backend);
    const struct sp_meta_row of_other = read_meta(other);
    fixture_close(other);
    free(other);
    assert_memory_not_equal(meta.feed_epoch, zeros, sizeof(zeros));
    assert_memory_not_equal(meta.feed_epoch, of_other.feed_epoch, sizeof(meta.feed_epoch));

    uint8_t head[SP_ROW_HASH_BYTES];
    struct sp_change boot = {.kind = SP_CHANGE_META, .meta = {.count_boot = true}};
    head_at_start(f, head);
    assert_commits(f, &boot);
    assert_head_is(f, head);
    fixture_reopen(f);
    assert_head_is(f, head);
    assert_memory_equal(read_meta(f).feed_epoch, meta.feed_epoch, sizeof(meta.feed_epoch));
}

/* One of each change that revokes, so that none can have a way of its own around the chain. */
static size_t every_way_to_revoke(struct sp_change *set, const struct sp_user_row *user,
                                  const struct sp_session_row *sessions) {
    const struct sp_change all[] = {
        revoke(1),
        {.kind = SP_CHANGE_USER_UPDATE, .user_update = {user, SP_VERSION_ANY, true, NOW_S + 20, 0}},
        {.kind = SP_CHANGE_USER_EPOCH, .user_epoch = {1, user->id, NOW_S + 30, 0}},
        {.kind = SP_CHANGE_GLOBAL_EPOCH, .global_epoch = {.now_ms = NOW_MS, .expires_s = NOW_S + 40}},
        {.kind = SP_CHANGE_SESSION_END,
         .session_end = {.tenant = 1,
                         .sid = sessions[0].sid,
                         .expect_generation = SP_GENERATION_ANY,
                         .state = SP_SESSION_ENDED,
                         .cause = SP_END_LOGOUT,
                         .now_ms = NOW_MS}},
        /* two are left of the four, so that one more evicts one */
        {.kind = SP_CHANGE_SESSION_INSERT, .session_insert = {.row = &sessions[3], .live_max = 2}},
        {.kind = SP_CHANGE_SESSIONS_END,
         .sessions_end = {1, user->id, sessions[0].sid, NULL, SP_SESSION_TRIPPED, SP_END_REUSE_DETECTED,
                          NOW_MS, 0}},
    };
    memcpy(set, all, sizeof(all));
    return SP_ARRAY_LEN(all);
}

static void whatever_revokes_moves_the_head(void **state) {
    struct fixture *f = *state;
    struct sp_user_row user = make_user(1);
    struct sp_session_row sessions[4];
    struct sp_change set[8];
    uint8_t head[SP_ROW_HASH_BYTES];
    add_user(f, &user);
    for (unsigned k = 0; k < 4; k++) sessions[k] = make_session(1, k);
    for (unsigned k = 0; k < 3; k++) add_session(f, &sessions[k]);
    const size_t n = every_way_to_revoke(set, &user, sessions);
    assert_int_equal(commit_set(f, set, n, NULL), SP_OK);
    assert_int_equal(set[5].session_insert.ret_evicted, 1);
    assert_int_equal(events_count(f), 5 + 1 + 2);

    head_at_start(f, head);
    for (size_t i = 0; i < f->events_n; i++) {
        assert_int_equal(f->events[i].revocation.seq, i + 1);
        feed_link(NULL, head, &f->events[i].revocation, head);
        assert_memory_equal(f->events[i].feed_head, head, sizeof(head)); /* as it was after each */
    }
    assert_head_is(f, head);
    fixture_reopen(f);
    assert_head_is(f, head);
    head_at_start(f, head);
    link_stored(f, 0, head);
    assert_head_is(f, head);
}

static void refused_set_moves_neither_sequence_nor_head(void **state) {
    struct fixture *f = *state;
    uint8_t nobody[SP_ROW_ID_BYTES] = {9};
    struct sp_change first = revoke(1);
    assert_commits(f, &first);
    const struct sp_meta_row before = read_meta(f);
    struct sp_change set[] = {revoke(2), {.kind = SP_CHANGE_USER_EPOCH, .user_epoch = {1, nobody, NOW_S, 0}}};
    assert_int_equal(commit_set(f, set, 2, NULL), SP_E_CONFLICT);
    const struct sp_meta_row after = read_meta(f);
    assert_int_equal(after.revoke_seq, before.revoke_seq);
    assert_memory_equal(after.feed_head, before.feed_head, sizeof(before.feed_head));
    assert_int_equal(events_count(f), 1);
}

static void next_incarnation_starts_the_chain_anew_but_not_the_sequence(void **state) {
    struct fixture *f = *state;
    static const uint8_t epoch[SP_ROW_FEED_EPOCH_BYTES] = "another epoch 16";
    uint8_t head[SP_ROW_HASH_BYTES];
    struct sp_change c = revoke(1);
    assert_commits(f, &c);
    struct sp_change set[] = {
        {.kind = SP_CHANGE_META, .meta = {.next_incarnation = true, .feed_epoch = epoch}}, revoke(2)};
    assert_int_equal(commit_set(f, set, 2, NULL), SP_OK);
    fixture_reopen(f);
    const struct sp_meta_row meta = read_meta(f);
    assert_memory_equal(meta.feed_epoch, epoch, sizeof(epoch));
    assert_int_equal(meta.revoke_seq, 2);
    feed_start(NULL, epoch, head);
    link_stored(f, 1, head);
    assert_head_is(f, head);
}

static void other_meta_changes_leave_the_epoch(void **state) {
    struct fixture *f = *state;
    const struct sp_meta_row before = read_meta(f);
    struct sp_change c = {.kind = SP_CHANGE_META,
                          .meta = {.alive_ms = 9, .feed_epoch = (const uint8_t *)"another epoch 16"}};
    assert_commits(f, &c);
    assert_memory_equal(read_meta(f).feed_epoch, before.feed_epoch, sizeof(before.feed_epoch));
}

/* As a store whose rows are older than the feed. */
static void chain_begins_at_the_sequence_of_the_first_set_under_hooks(void **state) {
    struct fixture *f = *state;
    static const uint8_t zeros[SP_ROW_HASH_BYTES] = {0};
    uint8_t head[SP_ROW_HASH_BYTES];
    struct sp_store_env env = fixture_env(f), without = env;
    without.feed = (struct sp_feed_hooks){0};
    f->store->ops->set_env(f->store, &without);
    for (unsigned i = 1; i <= 3; i++) {
        struct sp_change c = revoke(i);
        assert_commits(f, &c);
    }
    assert_head_is(f, zeros);
    fixture_reopen(f); /* sets them */
    f->store->ops->set_env(f->store, &env);
    struct sp_change fourth = revoke(4);
    assert_commits(f, &fourth);
    head_at_start(f, head);
    link_stored(f, 3, head);
    assert_head_is(f, head);
}

static void purge_keeps_the_newest_without_a_gap(void **state) {
    struct fixture *f = *state;
    for (unsigned i = 1; i <= 9; i++) {
        struct sp_change c = revoke(i);
        c.revoke_jti.expires_s = NOW_S + (i % 2 == 0 ? 1000 : -1);
        assert_commits(f, &c);
    }
    struct sp_change c = {.kind = SP_CHANGE_PURGE, .purge = {.now_s = NOW_S, .most = 100, .keep_last = 4}};
    assert_commits(f, &c);
    assert_int_equal(c.purge.ret_purged, 3); /* 1, 3, 5 */
    struct sp_store_read r = {.kind = SP_READ_REVOCATIONS, .limit = 100, .after_seq = 5};
    read_all(f, &r);
    assert_int_equal(r.ret.n, 4);
    for (uint32_t i = 0; i < r.ret.n; i++) assert_int_equal(r.ret.revocations[i].seq, 6 + i);
    sp_store_read_done(&r);
    c.purge.keep_last = 100; /* more than there are */
    assert_commits(f, &c);
    assert_int_equal(c.purge.ret_purged, 0);
}

int conformance_feed(void) {
    const struct CMUnitTest tests[] = {
        STORE_TEST(fresh_store_begins_a_chain_under_an_epoch_of_its_own),
        STORE_TEST(whatever_revokes_moves_the_head),
        STORE_TEST(refused_set_moves_neither_sequence_nor_head),
        STORE_TEST(next_incarnation_starts_the_chain_anew_but_not_the_sequence),
        STORE_TEST(other_meta_changes_leave_the_epoch),
        STORE_TEST(chain_begins_at_the_sequence_of_the_first_set_under_hooks),
        STORE_TEST(purge_keeps_the_newest_without_a_gap),
    };
    return cmocka_run_group_tests_name("feed", tests, NULL, NULL);
}
