/* A process is killed while it rotates, revokes, records, ends, and prunes its records; what it had
 * acknowledged is there afterwards, and at most what was under way more. (SIGKILL, not a loss of power: the
 * system's cache survives. That the log is synced before each answer is shown by the faults of its sync,
 * test_store_faults.)
 */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fixture.h"
#include "store/sqlite.h"

enum { CLIENTS = 4, LIVES = 12, PRUNE_STEP = 4 };

struct ack {
    uint32_t client, generation;
};

struct client {
    struct fixture *f;
    unsigned k;
    int pipe;
};

/* ---- in the child ---- */

/* Whose tokens can pass nowhere any more: its end is told to its client, and revokes nothing. */
static struct sp_session_row passer_by(unsigned k) {
    struct sp_session_row row = make_session(10 + k, 0);
    row.backchannel = true;
    row.access_exp_max_s = 0;
    return row;
}

static void *rotate_until_killed(void *arg) {
    struct client *c = arg;
    struct sp_session_row row, guest = passer_by(c->k);
    if (read_session(c->f, make_session(1, c->k).sid, &row) != SP_OK) _exit(2);
    for (;;) {
        struct sp_change set[] = {
            rotation_of(&row),
            {.kind = SP_CHANGE_REVOKE_JTI, .revoke_jti = {1, row.user_id, NOW_S}},
            {.kind = SP_CHANGE_AUDIT, .audit = {.action = SP_SLICE_LIT("x"), .body = SP_SLICE_LIT("{}")}},
            {.kind = SP_CHANGE_SESSION_INSERT, .session_insert = {.row = &guest}},
            {.kind = SP_CHANGE_SESSIONS_END,
             .sessions_end = {1, guest.user_id, guest.sid, NULL, SP_SESSION_ENDED, SP_END_LOGOUT, NOW_MS, 0}},
            {.kind = SP_CHANGE_SESSIONS_FORGET, .sessions_forget = {1, guest.user_id, guest.sid, 1, 0}}};
        set[0].rotate.ret_session = &row;
        if (commit_set(c->f, set, SP_ARRAY_LEN(set), NULL) != SP_OK) _exit(3);
        struct ack ack = {c->k, row.generation};
        if (write(c->pipe, &ack, sizeof(ack)) != sizeof(ack)) _exit(4); /* shorter than PIPE_BUF: whole */
    }
}

static uint64_t newest_of_page(struct fixture *f, uint8_t ret_hash[SP_ROW_HASH_BYTES]) {
    struct sp_store_read r = {.kind = SP_READ_AUDIT, .limit = PRUNE_STEP};
    uint64_t seq = 0;
    if (!sp_ok(sp_store_read_wait(f->store, &r))) _exit(7);
    if (r.ret.more) seq = r.ret.audit[r.ret.n - 1].seq;
    if (r.ret.more) memcpy(ret_hash, r.ret.audit[r.ret.n - 1].hash, SP_ROW_HASH_BYTES);
    sp_store_read_done(&r);
    return seq;
}

static void *prune_until_killed(void *arg) {
    struct fixture *f = arg;
    uint8_t hash[SP_ROW_HASH_BYTES];
    for (;;) {
        const uint64_t base = read_meta(f).audit_base, up_to = newest_of_page(f, hash);
        if (up_to == 0) continue; /* the others have yet to write */
        struct sp_change c = {.kind = SP_CHANGE_AUDIT_PRUNE, .audit_prune = {base, up_to, hash}};
        if (commit_one(f, &c) != SP_OK) _exit(8);
    }
}

static void open_store(struct fixture *f) {
    const struct sp_sqlite_opts opts = {.dir = f->dir, .checkpoint_pages = 16};
    if (!sp_ok(sp_store_sqlite_open(&opts, &f->store))) abort();
    struct sp_store_env env = fixture_env(f);
    f->store->ops->set_env(f->store, &env);
}

static void child(struct fixture *f, int pipe) {
    pthread_t threads[CLIENTS], pruner;
    struct client clients[CLIENTS];
    open_store(f);
    for (unsigned k = 0; k < CLIENTS; k++) {
        clients[k] = (struct client){f, k, pipe};
        if (pthread_create(&threads[k], NULL, rotate_until_killed, &clients[k]) != 0) _exit(5);
    }
    if (pthread_create(&pruner, NULL, prune_until_killed, f) != 0) _exit(5);
    pthread_join(threads[0], NULL);
}

/* ---- in the parent ---- */

/* Kills it after so many acknowledgements and gives the last of each client. */
static void live_and_die(struct fixture *f, unsigned acks, uint32_t last[CLIENTS]) {
    int ends[2], status;
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        close(ends[0]);
        child(f, ends[1]);
        _exit(6);
    }
    close(ends[1]);
    struct ack ack;
    for (unsigned i = 0; read(ends[0], &ack, sizeof(ack)) == sizeof(ack); i++) {
        last[ack.client] = ack.generation;
        if (i == acks) assert_int_equal(kill(pid, SIGKILL), 0);
    }
    close(ends[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

/* What was not pruned is all there, and the seal covers where it begins. */
static void check_log(struct fixture *f, const struct sp_meta_row *meta) {
    uint8_t mac[SP_ROW_HASH_BYTES];
    uint64_t seq = meta->audit_base;
    chain_seal(NULL, meta, mac);
    assert_memory_equal(meta->audit_mac, mac, sizeof(mac));
    for (bool more = true; more;) {
        struct sp_store_read r = {.kind = SP_READ_AUDIT, .limit = SP_READ_PAGE_MAX, .after_seq = seq};
        read_all(f, &r);
        for (uint32_t i = 0; i < r.ret.n; i++) assert_int_equal(r.ret.audit[i].seq, ++seq);
        more = r.ret.more;
        sp_store_read_done(&r);
    }
    assert_int_equal(seq, meta->audit_count);
}

static void check_feed(struct fixture *f, const struct sp_meta_row *meta) {
    uint8_t head[SP_ROW_HASH_BYTES];
    uint64_t seq = 0;
    feed_start(NULL, meta->feed_epoch, head);
    for (bool more = true; more;) {
        struct sp_store_read r = {.kind = SP_READ_REVOCATIONS, .limit = SP_READ_PAGE_MAX, .after_seq = seq};
        read_all(f, &r);
        for (uint32_t i = 0; i < r.ret.n; i++) {
            assert_int_equal(r.ret.revocations[i].seq, ++seq);
            feed_link(NULL, head, &r.ret.revocations[i], head);
        }
        more = r.ret.more;
        sp_store_read_done(&r);
    }
    assert_int_equal(seq, meta->revoke_seq);
    assert_memory_equal(meta->feed_head, head, sizeof(head));
}

static void check_logouts(struct fixture *f, const struct sp_meta_row *meta) {
    uint64_t seq = 0;
    for (bool more = true; more;) {
        struct sp_store_read r = {.kind = SP_READ_LOGOUTS, .limit = SP_READ_PAGE_MAX, .after_seq = seq};
        read_all(f, &r);
        for (uint32_t i = 0; i < r.ret.n; i++) assert_int_equal(r.ret.logouts[i].seq, ++seq);
        more = r.ret.more;
        sp_store_read_done(&r);
    }
    assert_int_equal(seq, meta->logout_seq);
}

static void check(struct fixture *f, uint32_t last[CLIENTS]) {
    uint8_t head[SP_ROW_HASH_BYTES] = {0};
    uint64_t rotations = 0;
    for (unsigned k = 0; k < CLIENTS; k++) {
        struct sp_session_row row;
        assert_int_equal(read_session(f, make_session(1, k).sid, &row), SP_OK);
        assert_true(row.generation == last[k] || row.generation == last[k] + 1);
        last[k] = row.generation;
        rotations += row.generation - 5;
    }
    struct sp_meta_row meta = read_meta(f);
    assert_int_equal(meta.audit_count, rotations); /* each change with its record, or neither */
    assert_int_equal(meta.revoke_seq, rotations);  /* and with its revocation */
    assert_int_equal(meta.logout_seq, rotations);  /* and with its row in the outbox */
    for (uint64_t seq = 1; seq <= rotations; seq++) {
        chain_link(NULL, seq, head, SP_SLICE_LIT("{}"), head);
        if (seq == meta.audit_base) assert_memory_equal(meta.audit_base_hash, head, sizeof(head));
    }
    assert_memory_equal(meta.audit_head, head, sizeof(head));
    check_log(f, &meta);
    check_feed(f, &meta);
    check_logouts(f, &meta);
}

static void killed_at_any_moment_it_keeps_what_it_acknowledged(void **state) {
    (void)state;
    struct fixture *f = calloc(1, sizeof(*f));
    uint32_t last[CLIENTS] = {5, 5, 5, 5};
    assert_non_null(f);
    assert_int_equal(pthread_mutex_init(&f->mutex, NULL), 0);
    snprintf(f->dir, sizeof(f->dir), "/tmp/sallyport-crash-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    open_store(f);
    struct sp_user_row user = make_user(1);
    add_user(f, &user);
    for (unsigned k = 0; k < CLIENTS; k++) {
        struct sp_session_row row = make_session(1, k);
        row.idle_expires_ms = row.absolute_expires_ms = NOW_MS * 2;
        add_session(f, &row);
    }
    for (unsigned life = 0; life < LIVES; life++) {
        sp_store_close(f->store);
        live_and_die(f, 1 + life * 37, last);
        open_store(f);
        check(f, last);
    }
    assert_true(read_meta(f).audit_base > 0);
    sp_store_close(f->store);
    remove_dir(f->dir);
    pthread_mutex_destroy(&f->mutex);
    free(f);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(killed_at_any_moment_it_keeps_what_it_acknowledged)};
    return cmocka_run_group_tests_name("store crash", tests, NULL, NULL);
}
