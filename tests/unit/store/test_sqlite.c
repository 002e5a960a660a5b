#include "store/sqlite.h"

#include <sqlite3.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fixture.h"

static int setup(void **state) {
    struct fixture *f = malloc(sizeof(*f));
    if (f == NULL) return -1;
    fixture_open(f, "sqlite");
    *state = f;
    return 0;
}

static int teardown(void **state) {
    fixture_close(*state);
    free(*state);
    return 0;
}

static void path_of(const struct fixture *f, const char *file, char ret[128]) {
    snprintf(ret, 128, "%s/%s", f->dir, file);
}

/* What an operator must not do, and somebody will. */
static void meddle(struct fixture *f, const char *sql) {
    char path[128];
    sqlite3 *db = NULL;
    path_of(f, "sallyport.db", path);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

static enum sp_code open_again(struct fixture *f, struct sp_store **ret) {
    const struct sp_sqlite_opts opts = {.dir = f->dir};
    return sp_store_sqlite_open(&opts, ret).code;
}

static void reopen_after(struct fixture *f, const char *sql, enum sp_code expected) {
    sp_store_close(f->store);
    meddle(f, sql);
    assert_int_equal(open_again(f, &f->store), expected);
    if (expected != SP_OK) return;
    struct sp_store_env env = fixture_env(f);
    f->store->ops->set_env(f->store, &env);
}

static void second_server_is_refused(void **state) {
    struct fixture *f = *state;
    struct sp_store *second = NULL;
    assert_int_equal(open_again(f, &second), SP_E_BUSY);
    assert_null(second);
    struct sp_change c = {.kind = SP_CHANGE_META, .meta = {.alive_ms = 1}};
    assert_commits(f, &c); /* the first has not noticed */
}

static void files_are_private(void **state) {
    struct fixture *f = *state;
    static const char *const files[] = {"sallyport.db", "sallyport.db-wal", "sallyport.db-shm",
                                        "sallyport.lock"};
    for (size_t i = 0; i < SP_ARRAY_LEN(files); i++) {
        char path[128];
        struct stat st;
        path_of(f, files[i], path);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
    }
}

static int schema_of(struct fixture *f) {
    char path[128];
    sqlite3 *db = NULL;
    sqlite3_stmt *s = NULL;
    path_of(f, "sallyport.db", path);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, "PRAGMA user_version", -1, &s, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(s), SQLITE_ROW);
    const int version = sqlite3_column_int(s, 0);
    sqlite3_finalize(s);
    sqlite3_close(db);
    return version;
}

static void newer_schema_is_refused(void **state) {
    struct fixture *f = *state;
    char back[64];
    snprintf(back, sizeof(back), "PRAGMA user_version = %d", schema_of(f));
    reopen_after(f, "PRAGMA user_version = 1000", SP_E_UNSUPPORTED);
    meddle(f, back);
    assert_int_equal(open_again(f, &f->store), SP_OK);
}

static void foreign_database_is_refused(void **state) {
    struct fixture *f = *state;
    reopen_after(f, "PRAGMA application_id = 77", SP_E_UNSUPPORTED);
    meddle(f, "PRAGMA application_id = 1396788313");
    assert_int_equal(open_again(f, &f->store), SP_OK);
}

static void directory_that_cannot_be_made_is_an_io_error(void **state) {
    (void)state;
    const struct sp_sqlite_opts opts = {.dir = "/nonexistent/deeper"};
    struct sp_store *store = NULL;
    assert_int_equal(sp_store_sqlite_open(&opts, &store).code, SP_E_IO);
}

static void file_that_is_no_database_is_unavailable(void **state) {
    struct fixture *f = *state;
    char path[128];
    static const char junk[8192] = "certainly not a database";
    sp_store_close(f->store);
    path_of(f, "sallyport.db", path);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(junk, 1, sizeof(junk), file), sizeof(junk));
    fclose(file);
    assert_int_equal(open_again(f, &f->store), SP_E_UNAVAILABLE);
    assert_int_equal(truncate(path, 0), 0);
    assert_int_equal(open_again(f, &f->store), SP_OK);
}

/* ---- rows of another author ---- */

static void corrupt_session_fails_its_own_reads_and_writes_only(void **state) {
    struct fixture *f = *state;
    struct sp_user_row user = make_user(1);
    struct sp_session_row bad = make_session(1, 1), good = make_session(1, 2);
    add_user(f, &user);
    add_session(f, &bad);
    add_session(f, &good);
    reopen_after(f, "UPDATE sessions SET hot = zeroblob(length(hot)) WHERE hex(sid) LIKE '%01'", SP_OK);
    assert_int_equal(read_session(f, bad.sid, NULL), SP_E_UNAVAILABLE);
    assert_int_equal(read_session(f, good.sid, NULL), SP_OK);
    struct sp_change c = rotation_of(&bad);
    assert_int_equal(commit_one(f, &c), SP_E_UNAVAILABLE);
    c = rotation_of(&good);
    assert_commits(f, &c);
    assert_int_equal(f->store->ops->health(f->store).code, SP_OK);
}

static void set_that_meets_a_corrupt_row_half_way_leaves_nothing(void **state) {
    struct fixture *f = *state;
    struct sp_session_row rows[3];
    for (unsigned k = 0; k < 3; k++) {
        rows[k] = make_session(1, k);
        add_session(f, &rows[k]);
    }
    reopen_after(f, "UPDATE sessions SET login = x'00' WHERE hex(sid) LIKE '%02'", SP_OK);
    struct sp_change c = {
        .kind = SP_CHANGE_SESSIONS_END,
        .sessions_end = {1, rows[0].user_id, rows[0].sid, NULL, SP_SESSION_ENDED, SP_END_ADMIN, NOW_MS, 0}};
    assert_int_equal(commit_one(f, &c), SP_E_UNAVAILABLE);
    struct sp_session_row now;
    assert_int_equal(read_session(f, rows[0].sid, &now), SP_OK);
    assert_int_equal(now.state, SP_SESSION_ACTIVE);
    assert_int_equal(read_meta(f).revoke_seq, 0);
}

static void add_consent(struct fixture *f, const struct sp_user_row *user) {
    struct sp_consent_row row = {.tenant = user->tenant, .granted_ms = NOW_MS};
    memcpy(row.user_id, user->id, sizeof(row.user_id));
    text_set(&row.client_id, "shop");
    struct sp_change c = {.kind = SP_CHANGE_CONSENT_PUT, .consent_put = {&row}};
    assert_commits(f, &c);
}

/* Session k of user 1 comes and goes. */
static void end_with_logout(struct fixture *f, unsigned k) {
    struct sp_session_row row = make_session(1, k);
    row.backchannel = true;
    add_session(f, &row);
    struct sp_change c = {.kind = SP_CHANGE_SESSION_END,
                          .session_end = {.tenant = 1,
                                          .sid = row.sid,
                                          .expect_generation = SP_GENERATION_ANY,
                                          .state = SP_SESSION_ENDED,
                                          .cause = SP_END_LOGOUT,
                                          .now_ms = NOW_MS}};
    assert_commits(f, &c);
}

/* A child that does not load: its parent's end has written by then, and must not have. */
static void end_that_meets_a_corrupt_child_leaves_nothing(void **state) {
    struct fixture *f = *state;
    struct sp_session_row parent = make_session(1, 1), child = make_session(1, 2);
    memcpy(child.parent, parent.sid, sizeof(child.parent));
    parent.backchannel = true;
    add_session(f, &parent);
    add_session(f, &child);
    reopen_after(f, "UPDATE sessions SET login = x'00' WHERE hex(sid) LIKE '%02'", SP_OK);
    struct sp_change c = {.kind = SP_CHANGE_SESSION_END,
                          .session_end = {.tenant = 1,
                                          .sid = parent.sid,
                                          .expect_generation = SP_GENERATION_ANY,
                                          .state = SP_SESSION_ENDED,
                                          .cause = SP_END_LOGOUT,
                                          .now_ms = NOW_MS}};
    assert_int_equal(commit_one(f, &c), SP_E_UNAVAILABLE);
    assert_int_equal(read_session(f, parent.sid, &parent), SP_OK);
    assert_int_equal(parent.state, SP_SESSION_ACTIVE);
    assert_int_equal(read_meta(f).revoke_seq, 0);
    assert_int_equal(read_meta(f).logout_seq, 0);
    assert_int_equal(events_count(f), 0);
}

static void corrupt_rows_of_every_kind_are_refused(void **state) {
    struct fixture *f = *state;
    struct sp_user_row user = make_user(1);
    struct sp_key_row key = make_key("k", 1);
    struct sp_role_row role = make_role("r", "p");
    struct sp_client_row client = make_client("shop");
    uint8_t jti[16] = {1};
    struct sp_change set[] = {{.kind = SP_CHANGE_USER_INSERT, .user_insert = {&user}},
                              {.kind = SP_CHANGE_KEY_PUT, .key_put = {&key, SP_VERSION_ANY}},
                              {.kind = SP_CHANGE_ROLE_PUT, .role_put = {&role, SP_VERSION_ANY}},
                              {.kind = SP_CHANGE_REVOKE_JTI, .revoke_jti = {1, jti, NOW_S}},
                              {.kind = SP_CHANGE_CLIENT_PUT, .client_put = {.row = &client}},
                              {.kind = SP_CHANGE_AUDIT, .audit = {.body = SP_SLICE_LIT("{}")}}};
    set[4].client_put.expect_version = SP_VERSION_ANY;
    assert_int_equal(commit_set(f, set, SP_ARRAY_LEN(set), NULL), SP_OK);
    add_consent(f, &user);
    end_with_logout(f, 1);
    reopen_after(f,
                 "UPDATE users SET disabled = 2; UPDATE keys SET use = 99; UPDATE revocations SET what = 0;"
                 "UPDATE roles SET permissions = printf('%5000s', 'x'); UPDATE audit SET hash = x'00';"
                 "UPDATE clients SET subject = x'00'; UPDATE consents SET scopes = printf('%1025s', 'x');"
                 "UPDATE logouts SET cause = 0",
                 SP_OK);
    static const enum sp_read_kind kinds[] = {SP_READ_USERS,       SP_READ_KEYS,  SP_READ_ROLES,
                                              SP_READ_REVOCATIONS, SP_READ_AUDIT, SP_READ_CLIENTS,
                                              SP_READ_LOGOUTS};
    for (size_t i = 0; i < SP_ARRAY_LEN(kinds); i++) {
        struct sp_store_read r = {.kind = kinds[i], .tenant = 1, .limit = 10};
        assert_int_equal(sp_store_read_wait(f->store, &r).code, SP_E_UNAVAILABLE);
        assert_null(r.ret.rows);
    }
    struct sp_store_read r = {
        .kind = SP_READ_CONSENTS, .tenant = 1, .key = SP_SLICE_ARRAY(user.id), .limit = 9};
    assert_int_equal(sp_store_read_wait(f->store, &r).code, SP_E_UNAVAILABLE);
    struct sp_change tried = {.kind = SP_CHANGE_LOGOUT_TRIED, .logout_tried = {1, 1, NOW_MS}};
    assert_int_equal(commit_one(f, &tried), SP_E_UNAVAILABLE);
}

static void corrupt_meta_row_does_not_start(void **state) {
    struct fixture *f = *state;
    reopen_after(f, "UPDATE meta SET audit_head = x'00'", SP_E_UNAVAILABLE);
    meddle(f, "UPDATE meta SET audit_head = zeroblob(32)");
    assert_int_equal(open_again(f, &f->store), SP_OK);
}

/* ---- a store of an earlier release ---- */

/* As it was before OAuth, before there was a feed, and before a log could be pruned: made from today's, which
 * only added to them. */
#define BEFORE_OAUTH                                                                                         \
    "ALTER TABLE clients DROP COLUMN name; ALTER TABLE clients DROP COLUMN backchannel_logout_uri;"          \
    "ALTER TABLE clients DROP COLUMN post_logout_redirect_uris; ALTER TABLE clients DROP COLUMN trusted;"    \
    "ALTER TABLE clients DROP COLUMN require_par; ALTER TABLE clients DROP COLUMN require_dpop;"             \
    "ALTER TABLE clients DROP COLUMN subject; ALTER TABLE clients DROP COLUMN epoch;"                        \
    "ALTER TABLE meta DROP COLUMN logout_seq; DROP TABLE consents; DROP TABLE logouts;"                      \
    "PRAGMA user_version = 3;"
#define BEFORE_THE_FEED                                                                                      \
    BEFORE_OAUTH "ALTER TABLE meta DROP COLUMN feed_epoch; ALTER TABLE meta DROP COLUMN feed_head;"          \
                 "DROP TABLE clients; PRAGMA user_version = 2;"
static const char as_before_pruning[] = BEFORE_THE_FEED "ALTER TABLE meta DROP COLUMN audit_base;"
                                                        "ALTER TABLE meta DROP COLUMN audit_base_hash;"
                                                        "PRAGMA user_version = 1";

static void store_from_before_pruning_opens_and_can_be_pruned(void **state) {
    struct fixture *f = *state;
    struct sp_change set[] = {{.kind = SP_CHANGE_AUDIT, .audit = {.body = SP_SLICE_LIT("{}")}},
                              {.kind = SP_CHANGE_AUDIT, .audit = {.body = SP_SLICE_LIT("{}")}}};
    assert_int_equal(commit_set(f, set, SP_ARRAY_LEN(set), NULL), SP_OK);
    const struct sp_meta_row before = read_meta(f);
    reopen_after(f, as_before_pruning, SP_OK);
    struct sp_meta_row after = read_meta(f);
    memcpy(after.feed_epoch, before.feed_epoch, sizeof(after.feed_epoch)); /* its own: below */
    memcpy(after.feed_head, before.feed_head, sizeof(after.feed_head));
    assert_memory_equal(&after, &before, sizeof(after));
    assert_int_equal(after.audit_base, 0);

    struct sp_store_env env = fixture_env(f);
    f->store->ops->set_env(f->store, &env);
    uint8_t first[SP_ROW_HASH_BYTES] = {0};
    chain_link(NULL, 1, first, SP_SLICE_LIT("{}"), first);
    struct sp_change prune = {.kind = SP_CHANGE_AUDIT_PRUNE, .audit_prune = {0, 1, first}};
    assert_commits(f, &prune);
    reopen_after(f, "SELECT 1", SP_OK);
    assert_int_equal(read_meta(f).audit_base, 1);
}

static void revoke_some(struct fixture *f, unsigned n) {
    uint8_t jti[SP_ROW_ID_BYTES] = {0};
    for (unsigned i = 0; i < n; i++) {
        struct sp_change c = {.kind = SP_CHANGE_REVOKE_JTI, .revoke_jti = {1, jti, NOW_S + 10}};
        assert_commits(f, &c);
    }
}

/* Its revocations keep their sequence; the chain begins after them, under an epoch that no copy of it has. */
static void store_from_before_the_feed_begins_its_chain_when_it_opens(void **state) {
    struct fixture *f = *state;
    static const uint8_t zeros[SP_ROW_HASH_BYTES] = {0};
    uint8_t head[SP_ROW_HASH_BYTES];
    revoke_some(f, 3);
    const struct sp_meta_row before = read_meta(f);
    reopen_after(f, BEFORE_THE_FEED, SP_OK);
    const struct sp_meta_row upgraded = read_meta(f);
    assert_int_equal(upgraded.revoke_seq, 3);
    assert_memory_not_equal(upgraded.feed_epoch, zeros, sizeof(upgraded.feed_epoch));
    assert_memory_not_equal(upgraded.feed_epoch, before.feed_epoch, sizeof(upgraded.feed_epoch));
    assert_memory_equal(upgraded.feed_head, zeros, sizeof(zeros));

    struct sp_change boot = {.kind = SP_CHANGE_META, .meta = {.count_boot = true}};
    assert_commits(f, &boot);
    feed_start(NULL, upgraded.feed_epoch, head);
    assert_memory_equal(read_meta(f).feed_head, head, sizeof(head));
    revoke_some(f, 1);
    feed_link(NULL, head, &f->events[f->events_n - 1].revocation, head);
    assert_memory_equal(read_meta(f).feed_head, head, sizeof(head));
    reopen_after(f, "SELECT 1", SP_OK); /* and only once */
    assert_memory_equal(read_meta(f).feed_epoch, upgraded.feed_epoch, sizeof(upgraded.feed_epoch));
    assert_memory_equal(read_meta(f).feed_head, head, sizeof(head));
}

/* Clients and sessions are as they were, with nothing of what came later. */
static void store_from_before_oauth_keeps_its_clients_and_sessions(void **state) {
    struct fixture *f = *state;
    struct sp_client_row client = make_client("orders"), expected = client;
    struct sp_session_row session = make_session(1, 1), found;
    struct sp_user_row user = make_user(1);
    add_user(f, &user);
    add_session(f, &session);
    struct sp_change put = {.kind = SP_CHANGE_CLIENT_PUT, .client_put = {&client, SP_VERSION_ABSENT}};
    assert_commits(f, &put);
    reopen_after(f, BEFORE_OAUTH, SP_OK);
    assert_int_equal(schema_of(f), 4);

    expected.version = 1;
    expected.name.n = 0;
    memset(expected.name.s, 0, sizeof(expected.name.s));
    memset(expected.subject, 0, sizeof(expected.subject));
    expected.epoch = 0;
    struct sp_store_read r = {.kind = SP_READ_CLIENT, .key = SP_SLICE_LIT("orders")};
    read_all(f, &r);
    assert_memory_equal(&r.ret.clients[0], &expected, sizeof(expected));
    sp_store_read_done(&r);
    assert_int_equal(read_session(f, session.sid, &found), SP_OK);
    assert_memory_equal(&found, &session, sizeof(found));
    struct sp_change rotation = rotation_of(&session);
    assert_commits(f, &rotation);

    put.client_put.expect_version = 1; /* the next put fills the subject in, and may raise the epoch */
    put.client_put.raise_epoch = true;
    put.client_put.epoch_expires_s = NOW_S + 900;
    assert_commits(f, &put);
    assert_int_equal(put.client_put.ret_epoch, NOW_S);
    add_consent(f, &user);
    end_with_logout(f, 2);
    assert_int_equal(read_meta(f).logout_seq, 1);
}

static void half_of_the_step_to_oauth_is_refused(void **state) {
    struct fixture *f = *state;
    reopen_after(f, "ALTER TABLE meta DROP COLUMN logout_seq", SP_E_UNAVAILABLE);
    meddle(f, "ALTER TABLE meta ADD COLUMN logout_seq INTEGER NOT NULL DEFAULT 0");
    assert_int_equal(open_again(f, &f->store), SP_OK);
}

static void half_of_the_step_to_pruning_is_refused(void **state) {
    struct fixture *f = *state;
    reopen_after(f, "ALTER TABLE meta DROP COLUMN audit_base", SP_E_UNAVAILABLE);
    meddle(f, "ALTER TABLE meta ADD COLUMN audit_base INTEGER NOT NULL DEFAULT 0");
    assert_int_equal(open_again(f, &f->store), SP_OK);
}

/* ---- bounds ---- */

static uint64_t first_logout(struct fixture *f) {
    struct sp_store_read r = {.kind = SP_READ_LOGOUTS, .limit = 1};
    read_all(f, &r);
    assert_int_equal(r.ret.n, 1);
    const uint64_t seq = r.ret.logouts[0].seq;
    sp_store_read_done(&r);
    return seq;
}

/* Filled by another author, so that it does not take a hundred thousand ends. */
static void full_outbox_lets_its_oldest_go(void **state) {
    struct fixture *f = *state;
    char fill[512];
    snprintf(fill, sizeof(fill),
             "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)"
             "INSERT INTO logouts SELECT i, 1, zeroblob(20), zeroblob(16), 'shop', 1, 0, 0, 0 FROM n;"
             "UPDATE meta SET logout_seq = %d",
             SP_LOGOUTS_MAX - 1, SP_LOGOUTS_MAX - 1);
    reopen_after(f, fill, SP_OK);
    end_with_logout(f, 1);
    assert_int_equal(first_logout(f), 1); /* exactly full */
    end_with_logout(f, 2);
    assert_int_equal(first_logout(f), 2);
    struct sp_change done = {.kind = SP_CHANGE_LOGOUT_DONE, .logout_done = {5000}};
    assert_commits(f, &done);
    end_with_logout(f, 3); /* in the place of the one that was delivered */
    assert_int_equal(first_logout(f), 2);
    end_with_logout(f, 4);
    assert_int_equal(first_logout(f), 3);
    assert_int_equal(read_meta(f).logout_seq, SP_LOGOUTS_MAX + 3);
}

struct burst {
    struct sp_store_commit commit;
    struct sp_change change;
    atomic_int *landed;
};

static void run_here(struct sp_executor *self, struct sp_task *task) {
    (void)self;
    task->run(task);
}
static struct sp_executor here = {run_here};

static void landed(struct sp_store_commit *c) {
    atomic_fetch_add(SP_CONTAINER_OF(c, struct burst, commit)->landed, 1);
}

/* The writer is held inside the publisher, so that what the queue takes can be counted. */
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static atomic_bool inside;

static void hold(void *arg, const struct sp_store_event *e) {
    (void)arg, (void)e;
    atomic_store(&inside, true);
    pthread_mutex_lock(&gate);
    pthread_mutex_unlock(&gate);
}

static void full_queue_says_so_and_takes_no_more(void **state) {
    struct fixture *f = *state;
    enum { QUEUE = 4, BURST = 10 };
    struct burst burst[BURST];
    atomic_int done = 0;
    uint8_t jti[16] = {0};
    sp_store_close(f->store);
    const struct sp_sqlite_opts opts = {.dir = f->dir, .queue_max = QUEUE};
    assert_true(sp_ok(sp_store_sqlite_open(&opts, &f->store)));
    struct sp_store_env env = fixture_env(f);
    env.publisher = (struct sp_publisher){hold, NULL};
    f->store->ops->set_env(f->store, &env);
    pthread_mutex_lock(&gate);
    for (int i = 0; i < BURST; i++) {
        burst[i] = (struct burst){.commit = {.executor = &here, .done = landed, .n = 1}, .landed = &done};
        burst[i].change = (struct sp_change){.kind = SP_CHANGE_REVOKE_JTI, .revoke_jti = {1, jti, NOW_S}};
        burst[i].commit.changes = &burst[i].change;
        sp_store_commit_submit(f->store, &burst[i].commit);
        while (i == 0 && !atomic_load(&inside)) sched_yield();
    }
    assert_int_equal(atomic_load(&done), BURST - 1 - QUEUE);
    pthread_mutex_unlock(&gate);
    sp_store_close(f->store); /* finishes what was taken */
    for (int i = 0; i < BURST; i++)
        assert_int_equal(burst[i].commit.status.code, i <= QUEUE ? SP_OK : SP_E_BUSY);
    assert_int_equal(open_again(f, &f->store), SP_OK);
    assert_int_equal(read_meta(f).revoke_seq, QUEUE + 1);
}

static void log_stays_bounded_under_load(void **state) {
    struct fixture *f = *state;
    char path[128];
    struct stat st;
    sp_store_close(f->store);
    const struct sp_sqlite_opts opts = {.dir = f->dir, .checkpoint_pages = 50};
    assert_true(sp_ok(sp_store_sqlite_open(&opts, &f->store)));
    path_of(f, "sallyport.db-wal", path);
    for (int i = 0; i < 500; i++) {
        struct sp_change c = {.kind = SP_CHANGE_META, .meta = {.alive_ms = i + 1}};
        assert_commits(f, &c);
        SP_IGNORE(sp_err(read_meta(f).incarnation == 0 ? SP_E_UNKNOWN : SP_OK));
    }
    assert_int_equal(stat(path, &st), 0);
    assert_true(st.st_size < 100 * 4200);
    struct sp_store_env env = fixture_env(f);
    f->store->ops->set_env(f->store, &env);
}

#define SQLITE_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        SQLITE_TEST(second_server_is_refused),
        SQLITE_TEST(files_are_private),
        SQLITE_TEST(newer_schema_is_refused),
        SQLITE_TEST(foreign_database_is_refused),
        cmocka_unit_test(directory_that_cannot_be_made_is_an_io_error),
        SQLITE_TEST(file_that_is_no_database_is_unavailable),
        SQLITE_TEST(corrupt_session_fails_its_own_reads_and_writes_only),
        SQLITE_TEST(set_that_meets_a_corrupt_row_half_way_leaves_nothing),
        SQLITE_TEST(end_that_meets_a_corrupt_child_leaves_nothing),
        SQLITE_TEST(corrupt_rows_of_every_kind_are_refused),
        SQLITE_TEST(corrupt_meta_row_does_not_start),
        SQLITE_TEST(store_from_before_pruning_opens_and_can_be_pruned),
        SQLITE_TEST(half_of_the_step_to_pruning_is_refused),
        SQLITE_TEST(store_from_before_oauth_keeps_its_clients_and_sessions),
        SQLITE_TEST(half_of_the_step_to_oauth_is_refused),
        SQLITE_TEST(store_from_before_the_feed_begins_its_chain_when_it_opens),
        SQLITE_TEST(full_outbox_lets_its_oldest_go),
        SQLITE_TEST(full_queue_says_so_and_takes_no_more),
        SQLITE_TEST(log_stays_bounded_under_load),
    };
    return cmocka_run_group_tests_name("sqlite store", tests, NULL, NULL);
}
