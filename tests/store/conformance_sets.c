#include "conformance.h"

#include <stdatomic.h>

static struct sp_change audit_of(const char *body) {
    return (struct sp_change){.kind = SP_CHANGE_AUDIT,
                              .audit = {.time_ms = NOW_MS,
                                        .action = SP_SLICE_LIT("login"),
                                        .outcome = SP_SLICE_LIT("ok"),
                                        .actor = SP_SLICE_LIT("a"),
                                        .target = SP_SLICE_LIT("t"),
                                        .body = sp_slice_cstr(body)}};
}

/* ---- atomicity ---- */

static void set_with_a_refusal_leaves_nothing_behind(void **state) {
    struct fixture *f = *state;
    struct sp_user_row user = make_user(1), second = make_user(2);
    struct sp_session_row row = make_session(1, 1), found;
    struct sp_role_row role = make_role("admin", "p");
    add_user(f, &user);
    add_session(f, &row);
    uint8_t jti[16] = {1};
    struct sp_change set[] = {
        {.kind = SP_CHANGE_USER_INSERT, .user_insert = {&second}},
        rotation_of(&row),
        {.kind = SP_CHANGE_REVOKE_JTI, .revoke_jti = {1, jti, NOW_S}},
        {.kind = SP_CHANGE_ROLE_PUT, .role_put = {&role, SP_VERSION_ANY}},
        {.kind = SP_CHANGE_GLOBAL_EPOCH, .global_epoch = {NOW_MS, NOW_S, true, SP_END_EVERYONE, 0}},
        audit_of("{}"),
        {.kind = SP_CHANGE_USER_DELETE, .user_delete = {1, user.id, 99}},
    };
    struct sp_meta_row before = read_meta(f), after;
    size_t failed = 0;
    assert_int_equal(commit_set(f, set, SP_ARRAY_LEN(set), &failed), SP_E_CONFLICT);
    assert_int_equal(failed, 6);
    after = read_meta(f);
    assert_memory_equal(&before, &after, sizeof(before));
    assert_int_equal(read_user(f, second.id, NULL), SP_E_NOT_FOUND);
    assert_int_equal(read_session(f, row.sid, &found), SP_OK);
    assert_memory_equal(&found, &row, sizeof(row));
    assert_int_equal(events_count(f), 0);
    struct sp_store_read r = {.kind = SP_READ_AUDIT, .limit = 10};
    read_all(f, &r);
    assert_int_equal(r.ret.n, 0);
    sp_store_read_done(&r);
    set[6].user_delete.expect_version = 1;
    assert_int_equal(commit_set(f, set, SP_ARRAY_LEN(set), &failed), SP_OK);
    assert_int_equal(events_count(f), 3);
    assert_int_equal(f->events[0].revocation.seq, 1); /* no number was lost on the refused one */
    assert_int_equal(f->events[1].kind, SP_EVENT_ROLE);
    assert_int_equal(f->events[2].revocation.what, SP_REVOKED_GLOBAL_EPOCH);
}

static void set_sees_its_own_changes_in_order(void **state) {
    struct fixture *f = *state;
    struct sp_user_row user = make_user(1), changed = make_user(1);
    text_set(&changed.name, "renamed");
    struct sp_session_row row = make_session(1, 1);
    struct sp_change set[] = {
        {.kind = SP_CHANGE_USER_INSERT, .user_insert = {&user}},
        {.kind = SP_CHANGE_USER_UPDATE, .user_update = {&changed, 1, false, 0, 0}},
        {.kind = SP_CHANGE_SESSION_INSERT, .session_insert = {.row = &row}},
        rotation_of(&row),
        {.kind = SP_CHANGE_USER_EXPECT, .user_expect = {.tenant = 1, .id = user.id, .expect_version = 2}},
        audit_of("x"),
    };
    assert_int_equal(commit_set(f, set, SP_ARRAY_LEN(set), NULL), SP_OK);
    struct sp_session_row found;
    assert_int_equal(read_session(f, row.sid, &found), SP_OK);
    assert_int_equal(found.generation, 6);
}

static void refused_first_change_is_named(void **state) {
    struct fixture *f = *state;
    struct sp_session_row row = make_session(1, 1);
    struct sp_change set[] = {rotation_of(&row), audit_of("x")};
    size_t failed = 9;
    assert_int_equal(commit_set(f, set, 2, &failed), SP_E_CONFLICT);
    assert_int_equal(failed, 0);
    assert_int_equal(read_meta(f).audit_count, 0);
}

/* ---- audit ---- */

static void audit_records_form_one_chain(void **state) {
    struct fixture *f = *state;
    enum { RECORDS = 12 };
    for (unsigned i = 1; i <= RECORDS; i++) {
        char body[32];
        snprintf(body, sizeof(body), "{\"n\":%u}", i);
        struct sp_change c = audit_of(body);
        if (i % 3 == 0) c.audit.personal = SP_SLICE_LIT("{\"address\":1}");
        assert_commits(f, &c);
        assert_int_equal(c.audit.ret_seq, i);
        if (i == 6) fixture_reopen(f);
    }
    uint8_t head[SP_ROW_HASH_BYTES] = {0}, mac[SP_ROW_HASH_BYTES];
    uint64_t seq = 0;
    for (bool more = true; more;) {
        struct sp_store_read r = {.kind = SP_READ_AUDIT, .limit = 5, .after_seq = seq};
        read_all(f, &r);
        for (uint32_t i = 0; i < r.ret.n; i++) {
            const struct sp_audit_row *row = &r.ret.audit[i];
            assert_int_equal(row->seq, ++seq);
            chain_link(NULL, seq, head, sp_slice_of(row->body, row->body_n), head);
            assert_memory_equal(row->hash, head, sizeof(head));
            assert_int_equal(row->personal != NULL, seq % 3 == 0);
            assert_true(sp_slice_eq_cstr(SP_TEXT_SLICE(&row->action), "login"));
        }
        more = r.ret.more;
        sp_store_read_done(&r);
    }
    assert_int_equal(seq, RECORDS);
    struct sp_meta_row meta = read_meta(f);
    assert_int_equal(meta.audit_count, RECORDS);
    assert_memory_equal(meta.audit_head, head, sizeof(head));
    chain_seal(NULL, &meta, mac);
    assert_memory_equal(meta.audit_mac, mac, sizeof(mac));
}

static void audit_filter_that_does_not_fit_is_cut(void **state) {
    struct fixture *f = *state;
    char longest[200];
    memset(longest, 'x', sizeof(longest));
    struct sp_change c = audit_of("{}");
    c.audit.target = sp_slice_of(longest, sizeof(longest));
    c.audit.outcome = sp_slice_of(longest, sizeof(longest));
    assert_commits(f, &c);
    struct sp_store_read r = {.kind = SP_READ_AUDIT, .limit = 1};
    read_all(f, &r);
    assert_int_equal(r.ret.audit[0].target.n, 64);
    assert_int_equal(r.ret.audit[0].outcome.n, 32);
    sp_store_read_done(&r);
}

/* ---- many at once ---- */

struct crowd {
    struct fixture *f;
    const struct sp_session_row *base;
    atomic_uint won[64];
    atomic_uint conflicts;
};

/* Rotates the one session until it is at the last generation; each generation must have one winner. */
static void *rotate_in_a_crowd(void *arg) {
    struct crowd *crowd = arg;
    struct sp_session_row row = *crowd->base;
    uint8_t next[SP_ROW_SECRET_BYTES];
    while (row.generation < 5 + 60) {
        struct sp_change c = rotation_of(&row);
        memset(next, (int)row.generation, sizeof(next));
        c.rotate.next_secret = next;
        enum sp_code code = commit_one(crowd->f, &c);
        if (code == SP_OK) atomic_fetch_add(&crowd->won[row.generation - 5], 1);
        if (code == SP_E_CONFLICT) atomic_fetch_add(&crowd->conflicts, 1);
        row.generation++;
        memcpy(row.secret, next, sizeof(next));
    }
    return NULL;
}

static void rotations_at_once_have_one_winner_a_generation(void **state) {
    struct fixture *f = *state;
    struct sp_user_row user = make_user(1);
    struct sp_session_row row = make_session(1, 1), now;
    add_user(f, &user);
    add_session(f, &row);
    struct crowd *crowd = calloc(1, sizeof(*crowd));
    assert_non_null(crowd);
    crowd->f = f;
    crowd->base = &row;
    pthread_t threads[8];
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, rotate_in_a_crowd, crowd), 0);
    for (size_t i = 0; i < 8; i++) pthread_join(threads[i], NULL);
    for (size_t g = 0; g < 60; g++) assert_int_equal(atomic_load(&crowd->won[g]), 1);
    assert_int_equal(atomic_load(&crowd->conflicts), 7 * 60);
    assert_int_equal(read_session(f, row.sid, &now), SP_OK);
    assert_int_equal(now.generation, 65);
    assert_int_equal(now.refreshes, 60);
    free(crowd);
}

/* A commit in flight, and how many events had been published when its done was called. */
struct flight {
    struct sp_store_commit commit;
    struct sp_change change;
    uint8_t jti[16];
    struct fixture *f;
    size_t published;
    atomic_bool finished;
};

static void run_here(struct sp_executor *self, struct sp_task *task) {
    (void)self;
    task->run(task);
}

static void landed(struct sp_store_commit *c) {
    struct flight *flight = SP_CONTAINER_OF(c, struct flight, commit);
    flight->published = events_count(flight->f);
    atomic_store(&flight->finished, true);
}

static void events_come_in_commit_order_before_any_done(void **state) {
    struct fixture *f = *state;
    enum { FLIGHTS = 200 };
    struct sp_executor executor = {run_here};
    struct flight *flights = calloc(FLIGHTS, sizeof(*flights));
    assert_non_null(flights);
    for (size_t i = 0; i < FLIGHTS; i++) {
        struct flight *x = &flights[i];
        x->f = f;
        x->jti[0] = (uint8_t)i;
        x->change = (struct sp_change){.kind = SP_CHANGE_REVOKE_JTI, .revoke_jti = {1, x->jti, NOW_S}};
        x->commit =
            (struct sp_store_commit){.executor = &executor, .done = landed, .changes = &x->change, .n = 1};
        sp_store_commit_submit(f->store, &x->commit);
    }
    struct sp_change last = {.kind = SP_CHANGE_META, .meta = {.alive_ms = 1}};
    assert_commits(f, &last); /* queues are in order: all before it have landed */
    for (size_t i = 0; i < FLIGHTS; i++) {
        assert_true(atomic_load(&flights[i].finished));
        assert_int_equal(flights[i].commit.status.code, SP_OK);
        assert_true(flights[i].published > i);
        assert_int_equal(f->events[i].revocation.seq, i + 1);
        assert_int_equal(f->events[i].revocation.id[0], (uint8_t)i);
    }
    free(flights);
}

static void *login_in_a_crowd(void *arg) {
    struct fixture *f = arg;
    static atomic_uint next;
    for (int i = 0; i < 20; i++) {
        unsigned k = atomic_fetch_add(&next, 1);
        struct sp_session_row row = make_session(3, k), found;
        struct sp_change set[] = {{.kind = SP_CHANGE_SESSION_INSERT, .session_insert = {.row = &row}},
                                  audit_of("{}")};
        if (commit_set(f, set, 2, NULL) != SP_OK) return f;
        if (read_session(f, row.sid, &found) != SP_OK) return f; /* what is done can be read */
    }
    return NULL;
}

static void reads_see_what_was_done_before_them(void **state) {
    struct fixture *f = *state;
    pthread_t threads[8];
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, login_in_a_crowd, f), 0);
    for (size_t i = 0; i < 8; i++) {
        void *failed;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    assert_int_equal(read_meta(f).audit_count, 160);
}

static void healthy_store_says_so(void **state) {
    struct fixture *f = *state;
    assert_int_equal(f->store->ops->health(f->store).code, SP_OK);
}

/* ---- erasing ---- */

static void personal_values_go_and_the_records_stay(void **state) {
    struct fixture *f = *state;
    for (int i = 0; i < 3; i++) {
        struct sp_change c = audit_of("{}");
        if (i != 1) c.audit.personal = SP_SLICE_LIT("{\"salt\":\"x\"}");
        assert_commits(f, &c);
    }
    const uint64_t seqs[] = {1, 2, 77};
    struct sp_change erase = {.kind = SP_CHANGE_PERSONAL_ERASE, .personal_erase = {.seqs = seqs, .n = 3}};
    assert_commits(f, &erase);
    assert_int_equal(erase.personal_erase.ret_erased, 1);
    assert_commits(f, &erase);
    assert_int_equal(erase.personal_erase.ret_erased, 0);
    struct sp_store_read r = {.kind = SP_READ_AUDIT, .limit = 10};
    read_all(f, &r);
    assert_int_equal(r.ret.n, 3);
    assert_null(r.ret.audit[0].personal);
    assert_null(r.ret.audit[1].personal);
    assert_non_null(r.ret.audit[2].personal);
    sp_store_read_done(&r);
}

static void an_erasure_that_is_undone_erases_nothing(void **state) {
    struct fixture *f = *state;
    struct sp_change c = audit_of("{}");
    c.audit.personal = SP_SLICE_LIT("{}");
    assert_commits(f, &c);
    const uint64_t seq = 1;
    const uint8_t nobody[16] = {0xee};
    struct sp_change set[] = {
        {.kind = SP_CHANGE_PERSONAL_ERASE, .personal_erase = {.seqs = &seq, .n = 1}},
        {.kind = SP_CHANGE_USER_DELETE,
         .user_delete = {.tenant = 1, .id = nobody, .expect_version = SP_VERSION_ANY}},
    };
    assert_int_equal(sp_store_commit_wait(f->store, set, 2, NULL).code, SP_E_CONFLICT);
    struct sp_store_read r = {.kind = SP_READ_AUDIT, .limit = 10};
    read_all(f, &r);
    assert_non_null(r.ret.audit[0].personal);
    sp_store_read_done(&r);
}

static void only_ended_sessions_of_the_user_are_forgotten(void **state) {
    struct fixture *f = *state;
    for (unsigned k = 0; k < 4; k++) {
        struct sp_session_row row = make_session(1, k);
        if (k != 0) {
            row.state = SP_SESSION_ENDED;
            row.cause = SP_END_LOGOUT;
            row.ended_ms = NOW_MS;
        }
        add_session(f, &row);
    }
    struct sp_session_row other = make_session(2, 0);
    other.state = SP_SESSION_ENDED;
    other.cause = SP_END_LOGOUT;
    other.ended_ms = NOW_MS;
    add_session(f, &other);
    const struct sp_session_row mine = make_session(1, 0);
    struct sp_change forget = {
        .kind = SP_CHANGE_SESSIONS_FORGET,
        .sessions_forget = {.tenant = 1, .user_id = mine.user_id, .sid_tag = mine.sid, .most = 2}};
    assert_commits(f, &forget);
    assert_int_equal(forget.sessions_forget.ret_forgotten, 2);
    assert_commits(f, &forget);
    assert_int_equal(forget.sessions_forget.ret_forgotten, 1);
    assert_int_equal(read_session(f, mine.sid, NULL), SP_OK);
    assert_int_equal(read_session(f, other.sid, NULL), SP_OK);
}

static void epochs_and_incarnations_can_be_made_to_jump(void **state) {
    struct fixture *f = *state;
    struct sp_change set[] = {{.kind = SP_CHANGE_META, .meta = {NEXT_INCARNATION, .incarnation_above = 40}},
                              {.kind = SP_CHANGE_GLOBAL_EPOCH,
                               .global_epoch = {.now_ms = NOW_MS, .expires_s = NOW_S, .at_least = 65536}}};
    assert_int_equal(sp_store_commit_wait(f->store, set, 2, NULL).code, SP_OK);
    assert_int_equal(set[1].global_epoch.ret_epoch, 65536);
    struct sp_store_read r = {.kind = SP_READ_META, .limit = 1};
    read_all(f, &r);
    assert_int_equal(r.ret.meta.incarnation, 41);
    sp_store_read_done(&r);
}

int conformance_sets(void) {
    const struct CMUnitTest tests[] = {
        STORE_TEST(set_with_a_refusal_leaves_nothing_behind),
        STORE_TEST(set_sees_its_own_changes_in_order),
        STORE_TEST(refused_first_change_is_named),
        STORE_TEST(audit_records_form_one_chain),
        STORE_TEST(audit_filter_that_does_not_fit_is_cut),
        STORE_TEST(rotations_at_once_have_one_winner_a_generation),
        STORE_TEST(events_come_in_commit_order_before_any_done),
        STORE_TEST(reads_see_what_was_done_before_them),
        STORE_TEST(healthy_store_says_so),
        STORE_TEST(personal_values_go_and_the_records_stay),
        STORE_TEST(an_erasure_that_is_undone_erases_nothing),
        STORE_TEST(only_ended_sessions_of_the_user_are_forgotten),
        STORE_TEST(epochs_and_incarnations_can_be_made_to_jump),
    };
    return cmocka_run_group_tests_name("sets", tests, NULL, NULL);
}
