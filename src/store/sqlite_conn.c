#include "store/sqlite_conn.h"

#include "base/assert.h"

static const char *const sql_texts[SP_SQL_COUNT] = {
#define X(name, sql) [SP_SQL_##name] = sql,
    SP_SQL_STATEMENTS(X)
#undef X
};

/* What sqlite3_exec takes in one go. Before anything is read:
 *   synchronous=FULL    the log is synced at every COMMIT: this is the promise of a 2xx
 *   wal_autocheckpoint  off: the writer checkpoints, after it has answered (sqlite_write.c)
 *   secure_delete=FAST  removed rows are zeroed where that costs no extra write
 *   temp_store          savepoints spill to memory, never to a file elsewhere
 *   cache_size          KiB, negative; the hot pages of about 100,000 sessions; the system's cache has the
 * rest */
static const char pragmas_writer[] =
    "PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON; PRAGMA temp_store=MEMORY;"
    "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=0;"
    "PRAGMA journal_size_limit=16777216; PRAGMA secure_delete=FAST;"
    "PRAGMA cache_size=-16384;";
static const char pragmas_reader[] =
    "PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON; PRAGMA temp_store=MEMORY;"
    "PRAGMA query_only=ON; PRAGMA cache_size=-2048;";

static int count_wal_pages(void *arg, sqlite3 *db, const char *name, int pages) {
    (void)db, (void)name;
    ((struct sp_conn *)arg)->wal_pages = pages;
    return SQLITE_OK;
}

sp_status sp_conn_failed(struct sp_conn *c, const char *doing) {
    c->failed = sqlite3_extended_errcode(c->db);
    if (c->failed == SQLITE_OK) c->failed = SQLITE_ERROR;
    SP_LOG(&c->log, SP_LOG_ERROR, "store_failed", SP_LOGF_TEXT("doing", sp_slice_cstr(doing)),
           SP_LOGF_I64("code", c->failed), SP_LOGF_TEXT("error", sp_slice_cstr(sqlite3_errmsg(c->db))),
           SP_LOGF_I64("errno", c->db == NULL ? 0 : sqlite3_system_errno(c->db)));
    return sp_err(SP_E_UNAVAILABLE);
}

/* The pragma answers with what it could do, not with an error. */
static sp_status require_wal(struct sp_conn *c) {
    sqlite3_stmt *s = NULL;
    bool wal =
        sqlite3_prepare_v2(c->db, "PRAGMA journal_mode", -1, &s, NULL) == SQLITE_OK &&
        sqlite3_step(s) == SQLITE_ROW &&
        sp_slice_eq_cstr(sp_slice_of(sqlite3_column_text(s, 0), (size_t)sqlite3_column_bytes(s, 0)), "wal");
    sqlite3_finalize(s);
    return wal ? SP_SUCCESS : sp_conn_failed(c, "use a write-ahead log");
}

static sp_status configure(struct sp_conn *c, const struct sp_sqlite_opts *opts, enum sp_conn_role role) {
    sqlite3_extended_result_codes(c->db, 1);
    sqlite3_busy_timeout(c->db, (int)opts->busy_ms);
    sqlite3_db_config(c->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    /* Closing after a failed COMMIT must not move anything: the writer checkpoints when it stops in good
     * order. */
    sqlite3_db_config(c->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    const char *pragmas = role == SP_CONN_WRITER ? pragmas_writer : pragmas_reader;
    if (sqlite3_exec(c->db, pragmas, NULL, NULL, NULL) != SQLITE_OK) return sp_conn_failed(c, "configure");
    if (role == SP_CONN_READER) return SP_SUCCESS;
    SP_TRY(require_wal(c));
    sqlite3_wal_hook(c->db, count_wal_pages, c);
    return sp_schema_migrate(c);
}

sp_status sp_conn_open(struct sp_conn *c, const char *path, const struct sp_sqlite_opts *opts,
                       enum sp_conn_role role) {
    int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE | SQLITE_OPEN_NOFOLLOW;
    flags |= role == SP_CONN_WRITER ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY;
    memset(c, 0, sizeof(*c));
    c->log = opts->log;
    int rc = sqlite3_open_v2(path, &c->db, flags, opts->vfs);
    sp_status s = rc == SQLITE_OK ? configure(c, opts, role) : sp_conn_failed(c, "open");
    if (!sp_ok(s)) sp_conn_close(c);
    return s;
}

void sp_conn_close(struct sp_conn *c) {
    for (size_t i = 0; i < SP_SQL_COUNT; i++) {
        sqlite3_finalize(c->statements[i]);
        c->statements[i] = NULL;
    }
    sqlite3_close(c->db);
    c->db = NULL;
}

/* ---- statements ---- */

sqlite3_stmt *sp_conn_begin(struct sp_conn *c, enum sp_sql which) {
    if (c->statements[which] != NULL) return c->statements[which];
    int rc = sqlite3_prepare_v3(c->db, sql_texts[which], -1, SQLITE_PREPARE_PERSISTENT, &c->statements[which],
                                NULL);
    if (rc == SQLITE_OK) return c->statements[which];
    SP_IGNORE(sp_conn_failed(c, sql_texts[which])); /* the caller sees NULL */
    return NULL;
}

sp_status sp_conn_step(struct sp_conn *c, sqlite3_stmt *s) {
    int rc = sqlite3_step(s);
    if (rc == SQLITE_ROW) return SP_SUCCESS;
    if (rc == SQLITE_DONE) return sp_err(SP_E_NOT_FOUND);
    return sp_conn_failed(c, sqlite3_sql(s));
}

/* Bindings stay until they are bound anew (every statement binds all it has), but for what they borrow:
 * nothing reads it between two uses. */
void sp_conn_end(sqlite3_stmt *s) {
    sqlite3_reset(s);
}

sp_status sp_conn_run(struct sp_conn *c, enum sp_sql which) {
    sqlite3_stmt *s = sp_conn_begin(c, which);
    if (s == NULL) return sp_err(SP_E_UNAVAILABLE);
    sp_status status = sp_conn_step(c, s);
    sp_conn_end(s);
    return sp_is(status, SP_E_NOT_FOUND) ? SP_SUCCESS : status;
}

/* ---- binding: an error (no memory) leaves the parameter NULL, which the NOT NULL of every column refuses
 * ---- */

void sp_bind_int(sqlite3_stmt *s, int at, int64_t v) {
    sqlite3_bind_int64(s, at, v);
}

/* Never NULL: an empty value of a NOT NULL column is the empty string. */
void sp_bind_blob(sqlite3_stmt *s, int at, const void *p, size_t n) {
    sqlite3_bind_blob64(s, at, n == 0 ? "" : p, n, SQLITE_STATIC);
}

void sp_bind_text(sqlite3_stmt *s, int at, sp_slice v) {
    sqlite3_bind_text64(s, at, v.n == 0 ? "" : (const char *)v.p, v.n, SQLITE_STATIC, SQLITE_UTF8);
}
