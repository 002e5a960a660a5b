/* The tables, as a list of steps: user_version counts those that were taken. A step never changes once
 * released; what must change is a new step.
 *
 * sessions has no secondary index, so that a rotation touches one page: a user's sessions are a key range
 * (the sid begins with the user's tag), and expiry is found by walking. Revocations are few enough to afford
 * one on their expiry. The audit log's columns repeat what its body says, for filters; the chain covers the
 * body alone. */
#include "store/sqlite_conn.h"

enum { APPLICATION_ID = 0x53414c59 /* "SALY": so that file(1) and we can tell it is ours */ };

static const char *const steps[] = {
    "CREATE TABLE meta (one INTEGER PRIMARY KEY CHECK (one = 1), incarnation INTEGER NOT NULL, boots INTEGER "
    "NOT NULL,"
    " alive_ms INTEGER NOT NULL, global_epoch INTEGER NOT NULL, session_floor INTEGER NOT NULL, floor_cause "
    "INTEGER NOT NULL,"
    " floor_ms INTEGER NOT NULL, revoke_seq INTEGER NOT NULL, access_ttl_max_s INTEGER NOT NULL,"
    " audit_count INTEGER NOT NULL, audit_head BLOB NOT NULL, audit_mac BLOB NOT NULL, probes INTEGER NOT "
    "NULL) STRICT;"
    "INSERT INTO meta VALUES (1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, zeroblob(32), zeroblob(32), 0);"
    "CREATE TABLE users (tenant INTEGER NOT NULL, id BLOB NOT NULL, version INTEGER NOT NULL, name TEXT NOT "
    "NULL,"
    " display TEXT NOT NULL, password TEXT NOT NULL, roles TEXT NOT NULL, epoch INTEGER NOT NULL, disabled "
    "INTEGER NOT NULL,"
    " created_ms INTEGER NOT NULL, password_changed_ms INTEGER NOT NULL, PRIMARY KEY (tenant, id)) STRICT, "
    "WITHOUT ROWID;"
    "CREATE UNIQUE INDEX users_name ON users (tenant, name);"
    "CREATE TABLE roles (tenant INTEGER NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL, permissions "
    "TEXT NOT NULL,"
    " updated_ms INTEGER NOT NULL, PRIMARY KEY (tenant, name)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE keys (tenant INTEGER NOT NULL, kid TEXT NOT NULL, version INTEGER NOT NULL, use INTEGER "
    "NOT NULL,"
    " alg TEXT NOT NULL, state INTEGER NOT NULL, number INTEGER NOT NULL, created_ms INTEGER NOT NULL,"
    " signing_from_ms INTEGER NOT NULL, retired_ms INTEGER NOT NULL, gone_ms INTEGER NOT NULL, public_jwk "
    "TEXT NOT NULL,"
    " sealed BLOB NOT NULL, PRIMARY KEY (tenant, kid)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE sessions (tenant INTEGER NOT NULL, sid BLOB NOT NULL, user_id BLOB NOT NULL, hot BLOB NOT "
    "NULL,"
    " login BLOB NOT NULL, PRIMARY KEY (tenant, sid)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE revocations (seq INTEGER PRIMARY KEY, tenant INTEGER NOT NULL, what INTEGER NOT NULL, id "
    "BLOB NOT NULL,"
    " epoch INTEGER NOT NULL, expires_s INTEGER NOT NULL) STRICT;"
    "CREATE INDEX revocations_expiry ON revocations (expires_s);"
    "CREATE TABLE audit (seq INTEGER PRIMARY KEY, time_ms INTEGER NOT NULL, action TEXT NOT NULL, outcome "
    "TEXT NOT NULL,"
    " actor TEXT NOT NULL, target TEXT NOT NULL, body BLOB NOT NULL, hash BLOB NOT NULL) STRICT;"
    "CREATE TABLE audit_personal (seq INTEGER PRIMARY KEY, value BLOB NOT NULL) STRICT;",

    /* Where the audit log begins, when its oldest records were pruned. */
    "ALTER TABLE meta ADD COLUMN audit_base INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE meta ADD COLUMN audit_base_hash BLOB NOT NULL DEFAULT "
    "x'0000000000000000000000000000000000000000000000000000000000000000';",

    /* The feed and its clients. A head of zeros: the chain begins with the first change set (store/apply.h).
     * The epoch need only be another one than any other store's. */
    "ALTER TABLE meta ADD COLUMN feed_epoch BLOB NOT NULL DEFAULT x'00000000000000000000000000000000';"
    "ALTER TABLE meta ADD COLUMN feed_head BLOB NOT NULL"
    " DEFAULT x'0000000000000000000000000000000000000000000000000000000000000000';"
    "UPDATE meta SET feed_epoch = randomblob(16);"
    "CREATE TABLE clients (tenant INTEGER NOT NULL, id TEXT NOT NULL, version INTEGER NOT NULL,"
    " is_public INTEGER NOT NULL, feed INTEGER NOT NULL, disabled INTEGER NOT NULL, auth_method TEXT NOT "
    "NULL,"
    " grants TEXT NOT NULL, scopes TEXT NOT NULL, audiences TEXT NOT NULL, redirect_uris TEXT NOT NULL,"
    " jwks TEXT NOT NULL, rotate_refresh INTEGER NOT NULL,"
    " secret0_used INTEGER NOT NULL, secret0 BLOB NOT NULL, secret0_created_ms INTEGER NOT NULL,"
    " secret0_expires_ms INTEGER NOT NULL,"
    " secret1_used INTEGER NOT NULL, secret1 BLOB NOT NULL, secret1_created_ms INTEGER NOT NULL,"
    " secret1_expires_ms INTEGER NOT NULL,"
    " created_ms INTEGER NOT NULL, PRIMARY KEY (tenant, id)) STRICT, WITHOUT ROWID;",

    /* What an OAuth server keeps. A subject of zeros: core/rows.h. The outbox's sequence is not SQLite's own
     * (AUTOINCREMENT), so that every backend gives the same. */
    "ALTER TABLE clients ADD COLUMN name TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE clients ADD COLUMN backchannel_logout_uri TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE clients ADD COLUMN post_logout_redirect_uris TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE clients ADD COLUMN trusted INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE clients ADD COLUMN require_par INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE clients ADD COLUMN require_dpop INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE clients ADD COLUMN subject BLOB NOT NULL DEFAULT x'00000000000000000000000000000000';"
    "ALTER TABLE clients ADD COLUMN epoch INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE meta ADD COLUMN logout_seq INTEGER NOT NULL DEFAULT 0;"
    "CREATE TABLE consents (tenant INTEGER NOT NULL, user_id BLOB NOT NULL, client_id TEXT NOT NULL,"
    " scopes TEXT NOT NULL, granted_ms INTEGER NOT NULL, PRIMARY KEY (tenant, user_id, client_id)) STRICT, "
    "WITHOUT ROWID;"
    "CREATE TABLE logouts (seq INTEGER PRIMARY KEY, tenant INTEGER NOT NULL, sid BLOB NOT NULL,"
    " user_id BLOB NOT NULL, client_id TEXT NOT NULL, cause INTEGER NOT NULL, created_ms INTEGER NOT NULL,"
    " tries INTEGER NOT NULL, next_ms INTEGER NOT NULL) STRICT;",
};

static sp_status exec(struct sp_conn *c, const char *sql) {
    return sqlite3_exec(c->db, sql, NULL, NULL, NULL) == SQLITE_OK ? SP_SUCCESS
                                                                   : sp_conn_failed(c, "migrate");
}

static sp_status pragma_int(struct sp_conn *c, const char *sql, int64_t *ret) {
    sqlite3_stmt *s = NULL;
    bool got = sqlite3_prepare_v2(c->db, sql, -1, &s, NULL) == SQLITE_OK && sqlite3_step(s) == SQLITE_ROW;
    if (got) *ret = sqlite3_column_int64(s, 0);
    sp_status status = got ? SP_SUCCESS : sp_conn_failed(c, sql);
    sqlite3_finalize(s);
    return status;
}

/* In one transaction with its number: a crash between two steps leaves the first whole. */
static sp_status take_step(struct sp_conn *c, size_t i) {
    char number[96];
    snprintf(number, sizeof(number), "PRAGMA application_id = %d; PRAGMA user_version = %zu; COMMIT",
             APPLICATION_ID, i + 1);
    SP_TRY(exec(c, "BEGIN IMMEDIATE"));
    sp_status s = exec(c, steps[i]);
    if (sp_ok(s)) s = exec(c, number);
    if (!sp_ok(s)) sqlite3_exec(c->db, "ROLLBACK", NULL, NULL, NULL);
    return s;
}

sp_status sp_schema_is_ours(struct sp_conn *c) {
    int64_t version = 0, application = 0;
    SP_TRY(pragma_int(c, "PRAGMA user_version", &version));
    SP_TRY(pragma_int(c, "PRAGMA application_id", &application));
    bool ours = application == APPLICATION_ID && version >= 1 && version <= (int64_t)SP_ARRAY_LEN(steps);
    return ours ? SP_SUCCESS : sp_err(SP_E_UNSUPPORTED);
}

sp_status sp_schema_migrate(struct sp_conn *c) {
    int64_t version = 0, application = 0, tables = 0;
    SP_TRY(pragma_int(c, "PRAGMA user_version", &version));
    SP_TRY(pragma_int(c, "PRAGMA application_id", &application));
    SP_TRY(pragma_int(c, "SELECT count(*) FROM sqlite_schema", &tables));
    bool ours = application == APPLICATION_ID || (application == 0 && version == 0 && tables == 0);
    if (!ours || version < 0 || version > (int64_t)SP_ARRAY_LEN(steps)) {
        SP_LOG(&c->log, SP_LOG_ERROR, ours ? "store_schema_is_newer" : "store_is_not_ours",
               SP_LOGF_I64("found", version), SP_LOGF_I64("known", (int64_t)SP_ARRAY_LEN(steps)));
        return sp_err(SP_E_UNSUPPORTED);
    }
    for (size_t i = (size_t)version; i < SP_ARRAY_LEN(steps); i++) SP_TRY(take_step(c, i));
    return SP_SUCCESS;
}
