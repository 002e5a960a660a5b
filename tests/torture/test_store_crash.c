/* A process is killed while it rotates and records; what it had acknowledged is there afterwards, and at most
 * what was under way more. (SIGKILL, not a loss of power: the system's cache survives. That the log is synced
 * before each answer is shown by the faults of its sync, test_store_faults.) */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fixture.h"
#include "store/sqlite.h"

enum { CLIENTS = 4, LIVES = 12 };

struct ack {
    uint32_t client, generation;
};

struct client {
    struct fixture *f;
    unsigned k;
    int pipe;
};

/* ---- in the child ---- */

static void *rotate_until_killed(void *arg) {
    struct client *c = arg;
    struct sp_session_row row;
    if (read_session(c->f, make_session(1, c->k).sid, &row) != SP_OK) _exit(2);
    for (;;) {
        struct sp_change set[] = {
            rotation_of(&row),
            {.kind = SP_CHANGE_AUDIT, .audit = {.action = SP_SLICE_LIT("x"), .body = SP_SLICE_LIT("{}")}}};
        set[0].rotate.ret_session = &row;
        if (commit_set(c->f, set, 2, NULL) != SP_OK) _exit(3);
        struct ack ack = {c->k, row.generation};
        if (write(c->pipe, &ack, sizeof(ack)) != sizeof(ack)) _exit(4); /* shorter than PIPE_BUF: whole */
    }
}

static void open_store(struct fixture *f) {
    const struct sp_sqlite_opts opts = {.dir = f->dir, .checkpoint_pages = 16};
    if (!sp_ok(sp_store_sqlite_open(&opts, &f->store))) abort();
    struct sp_store_env env = fixture_env(f);
    f->store->ops->set_env(f->store, &env);
}

static void child(struct fixture *f, int pipe) {
    pthread_t threads[CLIENTS];
    struct client clients[CLIENTS];
    open_store(f);
    for (unsigned k = 0; k < CLIENTS; k++) {
        clients[k] = (struct client){f, k, pipe};
        if (pthread_create(&threads[k], NULL, rotate_until_killed, &clients[k]) != 0) _exit(5);
    }
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
    for (uint64_t seq = 1; seq <= rotations; seq++) chain_link(NULL, seq, head, SP_SLICE_LIT("{}"), head);
    assert_memory_equal(meta.audit_head, head, sizeof(head));
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
    sp_store_close(f->store);
    remove_dir(f->dir);
    pthread_mutex_destroy(&f->mutex);
    free(f);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(killed_at_any_moment_it_keeps_what_it_acknowledged)};
    return cmocka_run_group_tests_name("store crash", tests, NULL, NULL);
}
