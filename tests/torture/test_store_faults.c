/* Every write, sync and truncation of the SQLite store fails once, one after the other, in every way, for one
 * operation, for a few, and until the end; and each time: nothing that was acknowledged is lost, nothing that
 * was refused happened, what was unknown is one of the two and published if it happened, and the store
 * recovers by itself. */
#include <sqlite3.h>
#include <unistd.h>

#include "fault_vfs.h"
#include "fixture.h"
#include "store/sqlite.h"

enum { SESSIONS = 3, ROUNDS = 12, TRIES_MAX = 50, FOREVER = 1 << 30 };

static unsigned unknown, unknown_happened;

/* What the store has promised so far. */
struct model {
    struct sp_session_row sessions[SESSIONS];
    bool ended[SESSIONS];
    uint64_t records, base;
};

static void open_store(struct fixture *f, const char *vfs) {
    const struct sp_sqlite_opts opts = {
        .dir = f->dir, .vfs = vfs, .checkpoint_pages = 8, .group_max = 4, .readers = 1};
    sp_status s = sp_store_sqlite_open(&opts, &f->store);
    if (!sp_ok(s)) { /* only while the fault lasts */
        assert_true(fault_fired());
        assert_int_equal(s.code, SP_E_UNAVAILABLE);
        fault_disarm();
        s = sp_store_sqlite_open(&opts, &f->store);
    }
    assert_int_equal(s.code, SP_OK);
    struct sp_store_env env = fixture_env(f);
    f->store->ops->set_env(f->store, &env);
}

/* A fault that lasts is mended here: the only place where we wait, and we wait by asking. */
static struct sp_session_row read_for_sure(struct fixture *f, const uint8_t *sid) {
    struct sp_session_row row;
    for (int i = 0; i < TRIES_MAX; i++) {
        enum sp_code code = read_session(f, sid, &row);
        if (code == SP_OK) return row;
        assert_int_equal(code, SP_E_UNAVAILABLE);
        if (i == 2) fault_disarm();
        struct sp_change nothing = {.kind = SP_CHANGE_META, .meta = {.alive_ms = i + 1}};
        SP_IGNORE(sp_store_commit_wait(f->store, &nothing, 1, NULL));
    }
    fail_msg("the store did not recover");
    return row;
}

static struct sp_change audit_record(void) {
    return (struct sp_change){
        .kind = SP_CHANGE_AUDIT,
        .audit = {.time_ms = NOW_MS, .action = SP_SLICE_LIT("x"), .body = SP_SLICE_LIT("{}")}};
}

/* Two changes with their record; what was unknown is looked up. Gives whether it happened. */
static bool happened(struct fixture *f, struct model *m, struct sp_change *change, struct sp_session_row *row,
                     bool (*is_after)(const struct sp_session_row *now,
                                      const struct sp_session_row *before)) {
    struct sp_change set[] = {*change, audit_record()};
    enum sp_code code = commit_set(f, set, 2, NULL);
    assert_true(code == SP_OK || code == SP_E_UNAVAILABLE || code == SP_E_UNKNOWN);
    assert_true(code == SP_OK || fault_fired());
    struct sp_session_row now = read_for_sure(f, row->sid);
    bool after = is_after(&now, row);
    if (code == SP_OK) assert_true(after);
    if (code == SP_E_UNAVAILABLE) assert_false(after);
    if (code == SP_E_UNKNOWN) unknown++, unknown_happened += after;
    if (after) m->records++;
    *row = now;
    return after;
}

static bool is_rotated(const struct sp_session_row *now, const struct sp_session_row *before) {
    assert_true(now->generation == before->generation || now->generation == before->generation + 1);
    return now->generation == before->generation + 1;
}

static bool is_ended(const struct sp_session_row *now, const struct sp_session_row *before) {
    (void)before;
    return now->state == SP_SESSION_ENDED;
}

static void populate(struct fixture *f, struct model *m) {
    struct sp_user_row user = make_user(1);
    struct sp_change c = {.kind = SP_CHANGE_USER_INSERT, .user_insert = {&user}};
    for (int i = 0; i < TRIES_MAX; i++) {
        enum sp_code code = commit_one(f, &c);
        if (code == SP_OK || code == SP_E_CONFLICT) break; /* CONFLICT: the unknown one before had happened */
        if (i == 2) fault_disarm();
        assert_true(i < TRIES_MAX - 1);
    }
    for (unsigned k = 0; k < SESSIONS; k++) {
        m->sessions[k] = make_session(1, k);
        m->sessions[k].backchannel = true;
        c = (struct sp_change){.kind = SP_CHANGE_SESSION_INSERT, .session_insert = {.row = &m->sessions[k]}};
        for (int i = 0; i < TRIES_MAX; i++) {
            enum sp_code code = commit_one(f, &c);
            if (code == SP_OK || code == SP_E_CONFLICT) break;
            if (i == 2) fault_disarm();
            assert_true(i < TRIES_MAX - 1);
        }
    }
}

/* The hash of the record after the base, as the model knows it: every body is the same. */
static void hash_of(uint64_t seq, uint8_t ret[SP_ROW_HASH_BYTES]) {
    memset(ret, 0, SP_ROW_HASH_BYTES);
    for (uint64_t i = 1; i <= seq; i++) chain_link(NULL, i, ret, SP_SLICE_LIT("{}"), ret);
}

static void prune_one(struct fixture *f, struct model *m) {
    uint8_t hash[SP_ROW_HASH_BYTES];
    hash_of(m->base + 1, hash);
    struct sp_change c = {.kind = SP_CHANGE_AUDIT_PRUNE, .audit_prune = {m->base, m->base + 1, hash}};
    enum sp_code code = commit_one(f, &c);
    assert_true(code == SP_OK || code == SP_E_UNAVAILABLE || code == SP_E_UNKNOWN);
    assert_true(code == SP_OK || fault_fired());
    read_for_sure(f, m->sessions[0].sid); /* the store serves again */
    const uint64_t base = read_meta(f).audit_base;
    if (code == SP_OK) assert_int_equal(base, m->base + 1);
    if (code == SP_E_UNAVAILABLE) assert_int_equal(base, m->base);
    assert_true(base == m->base || base == m->base + 1);
    m->base = base;
}

static void work(struct fixture *f, struct model *m) {
    for (unsigned round = 0; round < ROUNDS; round++) {
        unsigned k = round % SESSIONS;
        struct sp_session_row *row = &m->sessions[k];
        struct sp_change c = rotation_of(row);
        if (!m->ended[k]) happened(f, m, &c, row, is_rotated);
        if (round % 4 == 3 && m->records > m->base + 1) prune_one(f, m);
        if (round % 5 == 4 && !m->ended[k]) {
            c = (struct sp_change){.kind = SP_CHANGE_SESSION_END,
                                   .session_end = {.tenant = 1,
                                                   .sid = row->sid,
                                                   .expect_generation = SP_GENERATION_ANY,
                                                   .state = SP_SESSION_ENDED,
                                                   .cause = SP_END_LOGOUT,
                                                   .now_ms = NOW_MS}};
            m->ended[k] = happened(f, m, &c, row, is_ended);
        }
    }
}

static void check_recovers(struct fixture *f) {
    fault_disarm();
    struct sp_change c = {.kind = SP_CHANGE_META, .meta = {.alive_ms = NOW_MS}};
    enum sp_code code = SP_E_UNKNOWN;
    for (int i = 0; i < TRIES_MAX && code != SP_OK; i++) code = commit_one(f, &c);
    assert_int_equal(code, SP_OK);
    assert_int_equal(f->store->ops->health(f->store).code, SP_OK);
}

static void check_integrity(const char *dir) {
    char path[128];
    snprintf(path, sizeof(path), "%s/sallyport.db", dir);
    sqlite3 *db = NULL;
    sqlite3_stmt *s = NULL;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1, &s, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(s), SQLITE_ROW);
    assert_string_equal((const char *)sqlite3_column_text(s, 0), "ok");
    sqlite3_finalize(s);
    sqlite3_close(db);
}

static bool was_published(struct fixture *f, enum sp_event_kind kind, uint64_t seq) {
    for (size_t i = 0; i < f->events_n; i++) {
        const struct event *e = &f->events[i];
        const uint64_t its = kind == SP_EVENT_LOGOUT ? e->logout.seq : e->revocation.seq;
        if (e->kind == kind && its == seq) return true;
    }
    return false;
}

/* Each end has put one into the outbox and said so, once. */
static void check_logouts(struct fixture *f, const struct sp_meta_row *meta, uint64_t ended) {
    struct sp_store_read r = {.kind = SP_READ_LOGOUTS, .limit = 100};
    read_all(f, &r);
    assert_int_equal(r.ret.n, ended);
    assert_int_equal(meta->logout_seq, ended);
    for (uint32_t i = 0; i < r.ret.n; i++) {
        assert_int_equal(r.ret.logouts[i].seq, i + 1);
        assert_true(was_published(f, SP_EVENT_LOGOUT, i + 1));
    }
    sp_store_read_done(&r);
}

static void check_log(struct fixture *f, const struct sp_meta_row *meta) {
    uint8_t mac[SP_ROW_HASH_BYTES];
    struct sp_store_read r = {.kind = SP_READ_AUDIT, .limit = 100};
    read_all(f, &r);
    assert_int_equal(r.ret.n, meta->audit_count - meta->audit_base);
    if (r.ret.n != 0) assert_int_equal(r.ret.audit[0].seq, meta->audit_base + 1);
    sp_store_read_done(&r);
    if (meta->audit_count == 0) return; /* nothing was sealed */
    chain_seal(NULL, meta, mac);
    assert_memory_equal(meta->audit_mac, mac, sizeof(mac));
}

/* The chain's head is of the rows that are there, and so was each head that was published. */
static void check_feed(struct fixture *f, const struct sp_meta_row *meta,
                       const struct sp_revocation_row *rows, uint32_t n) {
    uint8_t head[SP_ROW_HASH_BYTES];
    feed_start(NULL, meta->feed_epoch, head);
    for (uint32_t i = 0; i < n; i++) {
        assert_int_equal(rows[i].seq, i + 1);
        feed_link(NULL, head, &rows[i], head);
        for (size_t k = 0; k < f->events_n; k++) {
            if (f->events[k].kind == SP_EVENT_REVOKED && f->events[k].revocation.seq == rows[i].seq)
                assert_memory_equal(f->events[k].feed_head, head, sizeof(head));
        }
    }
    assert_memory_equal(meta->feed_head, head, sizeof(head));
}

static void check_model(struct fixture *f, const struct model *m) {
    uint8_t head[SP_ROW_HASH_BYTES];
    uint64_t ended = 0;
    for (unsigned k = 0; k < SESSIONS; k++) {
        struct sp_session_row now;
        assert_int_equal(read_session(f, m->sessions[k].sid, &now), SP_OK);
        assert_memory_equal(&now, &m->sessions[k], sizeof(now));
        ended += m->ended[k];
    }
    struct sp_meta_row meta = read_meta(f);
    assert_int_equal(meta.audit_count, m->records);
    assert_int_equal(meta.revoke_seq, ended);
    hash_of(m->records, head);
    assert_memory_equal(meta.audit_head, head, sizeof(head));
    assert_int_equal(meta.audit_base, m->base);
    hash_of(m->base, head);
    assert_memory_equal(meta.audit_base_hash, head, sizeof(head));
    check_log(f, &meta);
    struct sp_store_read r = {.kind = SP_READ_REVOCATIONS, .limit = 100};
    read_all(f, &r);
    assert_int_equal(r.ret.n, ended);
    for (uint32_t i = 0; i < r.ret.n; i++)
        assert_true(was_published(f, SP_EVENT_REVOKED, r.ret.revocations[i].seq));
    assert_int_equal(f->events_n, 2 * ended);
    check_logouts(f, &meta, ended);
    check_feed(f, &meta, r.ret.revocations, r.ret.n);
    sp_store_read_done(&r);
}

/* One life of a store with one fault in it. false: the fault came too late to happen. */
static bool run_with_fault(enum fault_kind kind, int nth, int times) {
    struct fixture *f = calloc(1, sizeof(*f));
    struct model *m = calloc(1, sizeof(*m));
    assert_true(f != NULL && m != NULL);
    assert_int_equal(pthread_mutex_init(&f->mutex, NULL), 0);
    snprintf(f->dir, sizeof(f->dir), "%s/sallyport-fault-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    assert_non_null(mkdtemp(f->dir));
    fault_arm(kind, nth, times);
    open_store(f, FAULT_VFS);
    populate(f, m);
    work(f, m);
    bool reached = fault_fired();
    if (reached) check_recovers(f);
    sp_store_close(f->store); /* here, too, if it has not come yet: the log is emptied into the database */
    reached = reached || fault_fired();
    fault_disarm();
    open_store(f, NULL);
    check_model(f, m);
    sp_store_close(f->store);
    check_integrity(f->dir);
    remove_dir(f->dir);
    pthread_mutex_destroy(&f->mutex);
    free(m);
    free(f);
    return reached;
}

static void every_operation_fails(enum fault_kind kind, int times) {
    int nth = 1;
    while (run_with_fault(kind, nth, times)) nth++;
    print_message("%d operations; unknown outcomes so far %u, of which %u had happened\n", nth - 1, unknown,
                  unknown_happened);
    assert_true(nth > 50); /* the shim is really there */
}

static void io_errors_lose_nothing(void **state) {
    (void)state;
    every_operation_fails(FAULT_IOERR, 1);
    every_operation_fails(FAULT_IOERR, 5);
}

static void a_disk_that_stays_broken_until_mended_loses_nothing(void **state) {
    (void)state;
    every_operation_fails(FAULT_IOERR, FOREVER);
}

static void a_full_disk_loses_nothing(void **state) {
    (void)state;
    every_operation_fails(FAULT_FULL, 1);
    every_operation_fails(FAULT_FULL, FOREVER);
}

static void short_writes_lose_nothing(void **state) {
    (void)state;
    every_operation_fails(FAULT_SHORT, 1);
    every_operation_fails(FAULT_SHORT, 3);
}

static void writes_that_happen_and_say_they_did_not_lose_nothing(void **state) {
    (void)state;
    every_operation_fails(FAULT_LATE, 1);
    every_operation_fails(FAULT_LATE, 3);
}

int main(void) {
    fault_vfs_register();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(io_errors_lose_nothing),
        cmocka_unit_test(a_disk_that_stays_broken_until_mended_loses_nothing),
        cmocka_unit_test(a_full_disk_loses_nothing),
        cmocka_unit_test(short_writes_lose_nothing),
        cmocka_unit_test(writes_that_happen_and_say_they_did_not_lose_nothing),
    };
    return cmocka_run_group_tests_name("store faults", tests, NULL, NULL);
}
