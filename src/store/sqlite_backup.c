/* A copy of the live database, by a thread and a read-only connection of its own.
 *
 * The connection holds one read transaction from the first page to the last, so the copy is of one moment and
 * SQLite never starts it over, however much is written meanwhile; the writer does not wait for readers, but
 * for the rare checkpoint that would start the log over, which is put off while a backup runs
 * (sqlite_write.c). The log grows until then: by what is written during the copy.
 *
 *   FILE.partial   made here with O_EXCL and 0600; copied into, made a plain file without a log, checked
 *   FILE           the same file under its name, without replacing anything, once it is synced
 *
 * Turned down: VACUUM INTO (one statement that neither shows progress nor lets the disk breathe), and a copy
 * of the file by its bytes (the log beside it belongs to it). */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "store/sqlite_int.h"

enum {
    PAGES_A_STEP = 512,      /* 2 MiB: a few milliseconds */
    PAGES_A_SYNC = 8192,     /* 32 MiB: one fsync of the whole at the end would stall those of the writer */
    CHECK_EVERY_OPS = 20000, /* of SQLite's machine: how often an integrity check looks for a cancellation */
};

static sp_status io_status(void) {
    return sp_err(errno == EEXIST ? SP_E_CONFLICT : SP_E_IO);
}

/* ---- copying ---- */

static sp_status begin_snapshot(struct sp_conn *from) {
    const char *sql = "BEGIN; SELECT count(*) FROM sqlite_schema";
    return sqlite3_exec(from->db, sql, NULL, NULL, NULL) == SQLITE_OK ? SP_SUCCESS
                                                                      : sp_conn_failed(from, "snapshot");
}

static void show(struct sp_store_backup *b, sqlite3_backup *copy) {
    uint64_t pages = (uint64_t)sqlite3_backup_pagecount(copy);
    atomic_store_explicit(&b->pages, pages, memory_order_relaxed);
    atomic_store_explicit(&b->pages_done, pages - (uint64_t)sqlite3_backup_remaining(copy),
                          memory_order_relaxed);
}

static sp_status copy_pages(struct sp_store_backup *b, sqlite3_backup *copy, int fd) {
    for (uint32_t pages = 0;; pages += PAGES_A_STEP) {
        if (atomic_load(&b->cancel)) return sp_err(SP_E_REFUSED);
        int rc = sqlite3_backup_step(copy, PAGES_A_STEP);
        show(b, copy);
        if (rc == SQLITE_DONE) return SP_SUCCESS;
        if (rc != SQLITE_OK) return sp_err(SP_E_UNAVAILABLE);
        if (pages % PAGES_A_SYNC == 0 && fdatasync(fd) != 0) return sp_err(SP_E_IO);
    }
}

static sp_status copy_all(struct sp_store_backup *b, struct sp_conn *from, sqlite3 *to, int fd) {
    SP_TRY(begin_snapshot(from));
    sqlite3_backup *copy = sqlite3_backup_init(to, "main", from->db, "main");
    sp_status s = copy == NULL ? sp_err(SP_E_UNAVAILABLE) : copy_pages(b, copy, fd);
    if (sqlite3_backup_finish(copy) != SQLITE_OK && sp_ok(s)) s = sp_err(SP_E_UNAVAILABLE);
    sqlite3_exec(from->db, "COMMIT", NULL, NULL, NULL);
    return s;
}

/* ---- checking ---- */

static int is_cancelled(void *b) {
    return atomic_load(&((struct sp_store_backup *)b)->cancel);
}

sp_status sp_sqlite_check_whole(sqlite3 *db) {
    sqlite3_stmt *s = NULL;
    bool whole =
        sqlite3_prepare_v2(db, "PRAGMA integrity_check(1)", -1, &s, NULL) == SQLITE_OK &&
        sqlite3_step(s) == SQLITE_ROW &&
        sp_slice_eq_cstr(sp_slice_of(sqlite3_column_text(s, 0), (size_t)sqlite3_column_bytes(s, 0)), "ok");
    sqlite3_finalize(s);
    return whole ? SP_SUCCESS : sp_err(SP_E_UNAVAILABLE);
}

/* The pages came with the mark of a log; a backup is one file. */
static sp_status finish_file(struct sp_store_backup *b, sqlite3 *to) {
    const char *sql = "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=DELETE";
    if (sqlite3_exec(to, sql, NULL, NULL, NULL) != SQLITE_OK) return sp_err(SP_E_UNAVAILABLE);
    sqlite3_progress_handler(to, CHECK_EVERY_OPS, is_cancelled, b);
    sp_status s = sp_sqlite_check_whole(to);
    sqlite3_progress_handler(to, 0, NULL, NULL);
    return atomic_load(&b->cancel) ? sp_err(SP_E_REFUSED) : s;
}

/* ---- the file ---- */

static sp_status sync_directory_of(const char *path) {
    char dir[SP_SQLITE_PATH_BYTES];
    const char *slash = strrchr(path, '/');
    int n = snprintf(dir, sizeof(dir), "%.*s", slash == NULL ? 1 : (int)(slash - path + 1),
                     slash == NULL ? "." : path);
    if (n < 0 || (size_t)n >= sizeof(dir)) return sp_err(SP_E_LIMIT);
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool synced = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0) close(fd);
    return synced ? SP_SUCCESS : sp_err(SP_E_IO);
}

static sp_status name_file(struct sp_store_backup *b, const char *partial, int fd) {
    struct stat st;
    if (fsync(fd) != 0 || fstat(fd, &st) != 0) return sp_err(SP_E_IO);
    if (renameat2(AT_FDCWD, partial, AT_FDCWD, b->path, RENAME_NOREPLACE) != 0) return io_status();
    b->bytes = (uint64_t)st.st_size;
    return sync_directory_of(b->path);
}

static sp_status copy_into(struct sp_sqlite *s, struct sp_store_backup *b, const char *partial, int fd) {
    struct sp_conn from = {0};
    sqlite3 *to = NULL;
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW;
    SP_TRY(sp_conn_open(&from, s->path, &s->opts, SP_CONN_READER));
    bool opened =
        sqlite3_open_v2(partial, &to, flags, s->opts.vfs) == SQLITE_OK &&
        sqlite3_exec(to, "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF", NULL, NULL, NULL) == SQLITE_OK;
    sp_status status = opened ? copy_all(b, &from, to, fd) : sp_err(SP_E_UNAVAILABLE);
    if (sp_ok(status)) status = finish_file(b, to);
    if (sqlite3_close(to) != SQLITE_OK && sp_ok(status)) status = sp_err(SP_E_UNAVAILABLE);
    sp_conn_close(&from);
    return sp_ok(status) ? name_file(b, partial, fd) : status;
}

static sp_status back_up(struct sp_sqlite *s, struct sp_store_backup *b) {
    char partial[SP_SQLITE_PATH_BYTES];
    int n = snprintf(partial, sizeof(partial), "%s.partial", b->path);
    if (n < 0 || (size_t)n >= sizeof(partial)) return sp_err(SP_E_LIMIT);
    /* Told before hours of copying; the rename will not replace it either. */
    if (access(b->path, F_OK) == 0) return sp_err(SP_E_CONFLICT);
    int fd = open(partial, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) return io_status();
    sp_status status = copy_into(s, b, partial, fd);
    close(fd);
    if (!sp_ok(status)) unlink(partial); /* gone already when it was the directory that did not sync */
    return status;
}

/* ---- the thread ---- */

static void run_done(struct sp_task *task) {
    struct sp_store_backup *b = SP_CONTAINER_OF(task, struct sp_store_backup, task);
    b->done(b);
}

static void answer(struct sp_store_backup *b, sp_status status) {
    b->status = status;
    b->task = (struct sp_task){.run = run_done};
    sp_executor_post(b->executor, &b->task);
}

static void *run(void *arg) {
    struct sp_sqlite *s = arg;
    struct sp_store_backup *b = s->backup;
    sp_status status = atomic_load(&s->serving) ? back_up(s, b) : sp_err(SP_E_UNAVAILABLE);
    SP_LOG(&s->opts.log, sp_ok(status) ? SP_LOG_INFO : SP_LOG_WARN, "store_backup",
           SP_LOGF_TEXT("status", sp_slice_cstr(sp_code_name(status.code))));
    atomic_store(&s->backing_up, false); /* before the answer: whoever has it may begin the next */
    answer(b, status);
    return NULL;
}

void sp_sqlite_backup_join(struct sp_sqlite *s) {
    if (!s->backup_joinable) return;
    pthread_join(s->backup_thread, NULL);
    s->backup_joinable = false;
}

void sp_sqlite_backup(struct sp_store *store, struct sp_store_backup *b) {
    struct sp_sqlite *s = SP_CONTAINER_OF(store, struct sp_sqlite, store);
    bool idle = false;
    b->bytes = 0;
    if (!atomic_compare_exchange_strong(&s->backing_up, &idle, true)) {
        answer(b, sp_err(SP_E_BUSY));
        return;
    }
    pthread_mutex_lock(&s->backup_mutex);
    sp_sqlite_backup_join(s); /* the last one has answered, and only has to return */
    s->backup = b;
    s->backup_joinable = pthread_create(&s->backup_thread, NULL, run, s) == 0;
    bool started = s->backup_joinable;
    pthread_mutex_unlock(&s->backup_mutex);
    if (started) return;
    atomic_store(&s->backing_up, false);
    answer(b, sp_err(SP_E_UNAVAILABLE));
}
