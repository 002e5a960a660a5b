/* The files of a restore; no server runs. What the restored store must say of itself is core/app_restore.c's.
 *
 *   stage   FILE is copied into a directory inside the data directory (the same file system), and checked
 *   settle  the old database takes in what its log holds, so that it is one file
 *   swap    the old one gets a second name, then the staged one takes its place by rename(2)
 *
 * Killed at any point, the directory holds the old database or the new one, whole. Only when the old one is
 * so broken that its log cannot be taken in, the log moves aside with it before the swap: a log of one
 * database beside another would destroy it. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/sqlite_int.h"

enum { COPY_BYTES = 64 * 1024 };

static sp_status path_of(char ret[SP_SQLITE_PATH_BYTES], const char *dir, const char *name,
                         const char *suffix) {
    int n = snprintf(ret, SP_SQLITE_PATH_BYTES, "%s/%s%s", dir, name, suffix);
    return n > 0 && n < SP_SQLITE_PATH_BYTES ? SP_SUCCESS : sp_err(SP_E_LIMIT);
}

static sp_status sync_path(const char *path, int flags) {
    int fd = open(path, flags | O_CLOEXEC);
    bool synced = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0) close(fd);
    return synced ? SP_SUCCESS : sp_err(SP_E_IO);
}

/* ---- lock ---- */

sp_status sp_store_sqlite_lock(const char *dir, int *ret_fd) {
    char path[SP_SQLITE_PATH_BYTES];
    SP_TRY(path_of(path, dir, "sallyport.lock", ""));
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) return sp_err(SP_E_IO);
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        sp_status s = sp_err(errno == EWOULDBLOCK ? SP_E_BUSY : SP_E_IO);
        close(fd);
        return s;
    }
    *ret_fd = fd;
    return SP_SUCCESS;
}

/* ---- stage ---- */

static sp_status copy_bytes(int from, int to, sp_store_progress *progress, void *arg) {
    char bytes[COPY_BYTES];
    struct stat st;
    uint64_t done = 0;
    if (fstat(from, &st) != 0 || !S_ISREG(st.st_mode)) return sp_err(SP_E_IO);
    for (;;) {
        ssize_t n = read(from, bytes, sizeof(bytes));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return sp_err(SP_E_IO);
        if (n == 0) return fsync(to) == 0 ? SP_SUCCESS : sp_err(SP_E_IO);
        if (write(to, bytes, (size_t)n) != n) return sp_err(SP_E_IO);
        done += (uint64_t)n;
        if (progress != NULL) progress(arg, done, (uint64_t)st.st_size);
    }
}

static sp_status copy_file(const char *file, const char *staged, sp_store_progress *progress, void *arg) {
    int from = open(file, O_RDONLY | O_CLOEXEC);
    if (from < 0) return sp_err(errno == ENOENT ? SP_E_NOT_FOUND : SP_E_IO);
    int to = open(staged, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    sp_status s = to < 0 ? sp_err(SP_E_IO) : copy_bytes(from, to, progress, arg);
    if (to >= 0) close(to);
    close(from);
    return s;
}

/* A database that was copied while its log held a part of it is not whole. */
static sp_status has_no_log(const char *file) {
    char log[SP_SQLITE_PATH_BYTES];
    struct stat st;
    int n = snprintf(log, sizeof(log), "%s-wal", file);
    if (n < 0 || (size_t)n >= sizeof(log)) return sp_err(SP_E_LIMIT);
    return stat(log, &st) == 0 && st.st_size != 0 ? sp_err(SP_E_REFUSED) : SP_SUCCESS;
}

/* The file comes from elsewhere: nothing in it is trusted, and pages are looked at before they are used. */
sp_status sp_sqlite_check_backup(sqlite3 *db) {
    const char *careful = "PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON";
    struct sp_conn c = {.db = db, .log = sp_log_none};
    if (sqlite3_exec(db, careful, NULL, NULL, NULL) != SQLITE_OK) return sp_err(SP_E_UNAVAILABLE);
    SP_TRY(sp_schema_is_ours(&c));
    return sp_sqlite_check_whole(db);
}

static sp_status check(const char *staged) {
    sqlite3 *db = NULL;
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW;
    bool opened = sqlite3_open_v2(staged, &db, flags, NULL) == SQLITE_OK;
    sp_status s = opened ? sp_sqlite_check_backup(db) : sp_err(SP_E_UNAVAILABLE);
    sqlite3_close(db);
    return s;
}

sp_status sp_store_sqlite_stage(const char *file, const char *staging, sp_store_progress *progress,
                                void *arg) {
    char staged[SP_SQLITE_PATH_BYTES];
    SP_TRY(path_of(staged, staging, "sallyport.db", ""));
    SP_TRY(has_no_log(file));
    SP_TRY(copy_file(file, staged, progress, arg));
    return check(staged);
}

void sp_store_sqlite_unstage(const char *staging) {
    static const char *const names[] = {"sallyport.db", "sallyport.db-wal", "sallyport.db-shm",
                                        "sallyport.db-journal", "sallyport.lock"};
    char path[SP_SQLITE_PATH_BYTES];
    for (size_t i = 0; i < SP_ARRAY_LEN(names); i++) {
        if (sp_ok(path_of(path, staging, names[i], ""))) unlink(path);
    }
    rmdir(staging);
}

/* ---- settle ---- */

static bool read_counters(sqlite3 *db, struct sp_store_counters *ret) {
    sqlite3_stmt *s = NULL;
    bool got =
        sqlite3_prepare_v2(db, "SELECT incarnation, global_epoch FROM meta", -1, &s, NULL) == SQLITE_OK &&
        sqlite3_step(s) == SQLITE_ROW;
    if (got) {
        ret->incarnation = (uint32_t)sqlite3_column_int64(s, 0);
        ret->global_epoch = (uint32_t)sqlite3_column_int64(s, 1);
    }
    sqlite3_finalize(s);
    return got;
}

void sp_store_sqlite_settle(const char *dir, struct sp_store_counters *ret) {
    char path[SP_SQLITE_PATH_BYTES];
    sqlite3 *db = NULL;
    *ret = (struct sp_store_counters){0};
    if (!sp_ok(path_of(path, dir, "sallyport.db", "")) || access(path, F_OK) != 0) return;
    ret->exists = true;
    if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOFOLLOW, NULL) == SQLITE_OK) {
        ret->known = read_counters(db, ret);
        sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    }
    sqlite3_close(db); /* the last connection takes an empty log away */
}

/* ---- swap ---- */

/* What is left of a log could not be taken in. */
static sp_status move_log(const char *dir, const char *aside) {
    char log[SP_SQLITE_PATH_BYTES], index[SP_SQLITE_PATH_BYTES], to[SP_SQLITE_PATH_BYTES];
    SP_TRY(path_of(log, dir, "sallyport.db", "-wal"));
    SP_TRY(path_of(index, dir, "sallyport.db", "-shm"));
    int n = snprintf(to, sizeof(to), "%s-wal", aside);
    if (n < 0 || (size_t)n >= sizeof(to)) return sp_err(SP_E_LIMIT);
    if (rename(log, to) != 0 && errno != ENOENT) return sp_err(SP_E_IO);
    if (unlink(index) != 0 && errno != ENOENT) return sp_err(SP_E_IO);
    return sync_path(dir, O_RDONLY | O_DIRECTORY);
}

sp_status sp_store_sqlite_swap(const char *dir, const char *staging, const char *aside) {
    char live[SP_SQLITE_PATH_BYTES], staged[SP_SQLITE_PATH_BYTES];
    SP_TRY(path_of(live, dir, "sallyport.db", ""));
    SP_TRY(path_of(staged, staging, "sallyport.db", ""));
    SP_TRY(sync_path(staged, O_RDONLY));
    if (link(live, aside) != 0 && errno != ENOENT) return sp_err(errno == EEXIST ? SP_E_CONFLICT : SP_E_IO);
    SP_TRY(move_log(dir, aside));
    if (rename(staged, live) != 0) return sp_err(SP_E_IO);
    return sync_path(dir, O_RDONLY | O_DIRECTORY);
}
