/* One connection to the database file: pragmas, prepared statements, rows in and out. One thread at a time.
 * Inside src/store only. */
#ifndef SP_STORE_SQLITE_CONN_H
#define SP_STORE_SQLITE_CONN_H

#include <sqlite3.h>

#include "base/mem.h"
#include "store/sqlite.h"
#include "store/tables.h"

/* name, SQL. Prepared at first use, kept until the connection closes. */
#define SP_SQL_STATEMENTS(X)                                                                                 \
    X(BEGIN, "BEGIN IMMEDIATE")                                                                              \
    X(COMMIT, "COMMIT")                                                                                      \
    X(ROLLBACK, "ROLLBACK")                                                                                  \
    X(MARK, "SAVEPOINT change_set")                                                                          \
    X(RELEASE, "RELEASE change_set")                                                                         \
    X(UNDO, "ROLLBACK TO change_set")                                                                        \
    X(META_GET, "SELECT incarnation, boots, alive_ms, global_epoch, session_floor, floor_cause, floor_ms, "  \
                "revoke_seq, "                                                                               \
                "access_ttl_max_s, audit_count, audit_head, audit_mac, audit_base, audit_base_hash, "        \
                "feed_epoch, feed_head, logout_seq FROM meta WHERE one = 1")                                 \
    X(META_PUT,                                                                                              \
      "UPDATE meta SET incarnation = ?1, boots = ?2, alive_ms = ?3, global_epoch = ?4, session_floor = ?5, " \
      "floor_cause = ?6, floor_ms = ?7, revoke_seq = ?8, access_ttl_max_s = ?9, audit_count = ?10, "         \
      "audit_head = ?11, audit_mac = ?12, audit_base = ?13, audit_base_hash = ?14, feed_epoch = ?15, "       \
      "feed_head = ?16, logout_seq = ?17 WHERE one = 1")                                                     \
    X(META_PROBE, "UPDATE meta SET probes = probes + 1 WHERE one = 1")                                       \
    X(USER_GET, SP_SQL_USER " WHERE tenant = ?1 AND id = ?2")                                                \
    X(USER_BY_NAME, SP_SQL_USER " WHERE tenant = ?1 AND name = ?2")                                          \
    X(USERS, SP_SQL_USER " WHERE tenant = ?1 AND name > ?2 ORDER BY name LIMIT ?3")                          \
    X(USER_FIND, "SELECT id FROM users WHERE tenant = ?1 AND name = ?2")                                     \
    X(USER_INSERT, "INSERT INTO users (tenant, id, version, name, display, password, roles, epoch, "         \
                   "disabled, created_ms, "                                                                  \
                   "password_changed_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)")             \
    X(USER_UPDATE,                                                                                           \
      "UPDATE users SET version = ?3, name = ?4, display = ?5, password = ?6, roles = ?7, epoch = ?8, "      \
      "disabled = ?9, created_ms = ?10, password_changed_ms = ?11 WHERE tenant = ?1 AND id = ?2")            \
    X(USER_REMOVE, "DELETE FROM users WHERE tenant = ?1 AND id = ?2")                                        \
    X(ROLE_GET, SP_SQL_ROLE " WHERE tenant = ?1 AND name = ?2")                                              \
    X(ROLES, SP_SQL_ROLE " WHERE tenant = ?1 ORDER BY name")                                                 \
    X(ROLE_PUT, "INSERT OR REPLACE INTO roles (tenant, name, version, permissions, updated_ms) "             \
                "VALUES (?1, ?2, ?3, ?4, ?5)")                                                               \
    X(ROLE_REMOVE, "DELETE FROM roles WHERE tenant = ?1 AND name = ?2")                                      \
    X(KEY_GET, SP_SQL_KEY " WHERE tenant = ?1 AND kid = ?2")                                                 \
    X(KEYS, SP_SQL_KEY " WHERE tenant = ?1 ORDER BY created_ms, kid")                                        \
    X(KEY_PUT, "INSERT OR REPLACE INTO keys (tenant, kid, version, use, alg, state, number, created_ms, "    \
               "signing_from_ms, "                                                                           \
               "retired_ms, gone_ms, public_jwk, sealed) "                                                   \
               "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)")                            \
    X(CLIENT_GET, SP_SQL_CLIENT " WHERE tenant = ?1 AND id = ?2")                                            \
    X(CLIENTS, SP_SQL_CLIENT " WHERE tenant = ?1 AND id > ?2 ORDER BY id LIMIT ?3")                          \
    X(CLIENT_PUT,                                                                                            \
      "INSERT OR REPLACE INTO clients (tenant, id, version, is_public, feed, disabled, auth_method, "        \
      "grants, "                                                                                             \
      "scopes, audiences, redirect_uris, jwks, rotate_refresh, secret0_used, secret0, secret0_created_ms, "  \
      "secret0_expires_ms, secret1_used, secret1, secret1_created_ms, secret1_expires_ms, created_ms, "      \
      "name, backchannel_logout_uri, post_logout_redirect_uris, trusted, require_par, require_dpop, "        \
      "subject, epoch) VALUES "                                                                              \
      "(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, "    \
      "?22, ?23, ?24, ?25, ?26, ?27, ?28, ?29, ?30)")                                                        \
    X(CLIENT_REMOVE, "DELETE FROM clients WHERE tenant = ?1 AND id = ?2")                                    \
    X(CONSENT_GET, SP_SQL_CONSENT " WHERE tenant = ?1 AND user_id = ?2 AND client_id = ?3")                  \
    X(CONSENTS,                                                                                              \
      SP_SQL_CONSENT " WHERE tenant = ?1 AND user_id = ?2 AND client_id > ?3 ORDER BY client_id LIMIT ?4")   \
    X(CONSENT_PUT, "INSERT OR REPLACE INTO consents (tenant, user_id, client_id, scopes, granted_ms) "       \
                   "VALUES (?1, ?2, ?3, ?4, ?5)")                                                            \
    X(CONSENTS_REMOVE,                                                                                       \
      "DELETE FROM consents WHERE tenant = ?1 AND user_id = ?2 AND (?3 = '' OR client_id = ?3)")             \
    X(LOGOUT_GET, SP_SQL_LOGOUT " WHERE seq = ?1")                                                           \
    X(LOGOUTS, SP_SQL_LOGOUT " WHERE seq > ?1 ORDER BY seq LIMIT ?2")                                        \
    X(LOGOUT_PUT, "INSERT OR REPLACE INTO logouts (seq, tenant, sid, user_id, client_id, cause, "            \
                  "created_ms, tries, next_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)")                 \
    X(LOGOUT_REMOVE, "DELETE FROM logouts WHERE seq = ?1")                                                   \
    X(LOGOUT_REMOVE_OLDEST, "DELETE FROM logouts WHERE seq = (SELECT min(seq) FROM logouts)")                \
    X(LOGOUTS_COUNT, "SELECT count(*) FROM logouts")                                                         \
    X(SESSION_GET, SP_SQL_SESSION " WHERE tenant = ?1 AND sid = ?2")                                         \
    X(SESSION_FROM, SP_SQL_SESSION " WHERE (tenant, sid) >= (?1, ?2) ORDER BY tenant, sid LIMIT 1")          \
    X(SESSIONS, SP_SQL_SESSION " WHERE tenant = ?1 AND sid > ?2 ORDER BY sid LIMIT ?3")                      \
    X(USER_SESSIONS,                                                                                         \
      SP_SQL_SESSION " WHERE tenant = ?1 AND sid > ?2 AND sid <= ?4 AND user_id = ?5 ORDER BY sid LIMIT ?3") \
    X(SESSION_INSERT, "INSERT INTO sessions (tenant, sid, user_id, hot, login) VALUES (?1, ?2, ?3, ?4, ?5)") \
    X(SESSION_UPDATE, "UPDATE sessions SET hot = ?3 WHERE tenant = ?1 AND sid = ?2")                         \
    X(SESSION_REMOVE, "DELETE FROM sessions WHERE tenant = ?1 AND sid = ?2")                                 \
    X(REVOCATION_PUT,                                                                                        \
      "INSERT INTO revocations (seq, tenant, what, id, epoch, expires_s) VALUES (?1, ?2, ?3, ?4, ?5, ?6)")   \
    X(REVOCATION_EXISTS, "SELECT 1 FROM revocations WHERE seq = ?1")                                         \
    X(REVOCATIONS, "SELECT seq, tenant, what, id, epoch, expires_s FROM revocations NOT INDEXED "            \
                   "WHERE seq > ?1 AND expires_s >= ?2 ORDER BY seq LIMIT ?3")                               \
    X(REVOCATIONS_PURGE,                                                                                     \
      "DELETE FROM revocations WHERE seq IN (SELECT seq FROM revocations WHERE expires_s < ?1 "              \
      "AND seq <= ?3 ORDER BY expires_s, seq LIMIT ?2)")                                                     \
    X(AUDIT_PUT, "INSERT INTO audit (seq, time_ms, action, outcome, actor, target, body, hash) "             \
                 "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")                                                  \
    X(PERSONAL_PUT, "INSERT INTO audit_personal (seq, value) VALUES (?1, ?2)")                               \
    X(PERSONAL_REMOVE, "DELETE FROM audit_personal WHERE seq = ?1")                                          \
    X(AUDIT_HASH, "SELECT hash FROM audit WHERE seq = ?1")                                                   \
    X(AUDIT_PRUNE, "DELETE FROM audit WHERE seq BETWEEN ?1 AND ?2")                                          \
    X(PERSONAL_PRUNE, "DELETE FROM audit_personal WHERE seq BETWEEN ?1 AND ?2")                              \
    X(AUDIT, "SELECT a.seq, a.time_ms, a.action, a.outcome, a.actor, a.target, a.body, a.hash, p.value "     \
             "FROM audit a "                                                                                 \
             "LEFT JOIN audit_personal p ON p.seq = a.seq WHERE a.seq > ?1 ORDER BY a.seq LIMIT ?2")

#define SP_SQL_USER                                                                                          \
    "SELECT tenant, id, version, name, display, password, roles, epoch, disabled, created_ms, "              \
    "password_changed_ms FROM users"
#define SP_SQL_ROLE "SELECT tenant, name, version, permissions, updated_ms FROM roles"
#define SP_SQL_KEY                                                                                           \
    "SELECT tenant, kid, version, use, alg, state, number, created_ms, signing_from_ms, retired_ms, "        \
    "gone_ms, public_jwk, sealed "                                                                           \
    "FROM keys"
#define SP_SQL_CLIENT                                                                                        \
    "SELECT tenant, id, version, is_public, feed, disabled, auth_method, grants, scopes, audiences, "        \
    "redirect_uris, jwks, rotate_refresh, secret0_used, secret0, secret0_created_ms, secret0_expires_ms, "   \
    "secret1_used, secret1, secret1_created_ms, secret1_expires_ms, created_ms, name, "                      \
    "backchannel_logout_uri, post_logout_redirect_uris, trusted, require_par, require_dpop, subject, "       \
    "epoch FROM clients"
#define SP_SQL_CONSENT "SELECT tenant, user_id, client_id, scopes, granted_ms FROM consents"
#define SP_SQL_LOGOUT                                                                                        \
    "SELECT seq, tenant, sid, user_id, client_id, cause, created_ms, tries, next_ms FROM logouts"
#define SP_SQL_SESSION "SELECT tenant, sid, user_id, hot, login FROM sessions"

enum sp_sql {
#define X(name, sql) SP_SQL_##name,
    SP_SQL_STATEMENTS(X)
#undef X
        SP_SQL_COUNT
};

enum sp_conn_role { SP_CONN_WRITER, SP_CONN_READER };

struct sp_conn {
    sqlite3 *db;
    sqlite3_stmt *statements[SP_SQL_COUNT];
    int failed;    /* the last result code of SQLite that was not what we hoped for; 0: none since cleared */
    int wal_pages; /* in the log after the last commit */
    struct sp_log log;
};

/* Opens `path` with our pragmas. The writer creates and migrates. Failing closes what was opened. */
sp_status sp_conn_open(struct sp_conn *c, const char *path, const struct sp_sqlite_opts *opts,
                       enum sp_conn_role role);
void sp_conn_close(struct sp_conn *c);
/* Creates or brings up to date: sqlite_schema.c. SP_E_UNSUPPORTED: newer than we are, or not ours. */
sp_status sp_schema_migrate(struct sp_conn *c);
/* SP_E_UNSUPPORTED: another application's file, or of a version that we do not know. */
sp_status sp_schema_is_ours(struct sp_conn *c);

/* SP_E_UNAVAILABLE, with the code kept in c->failed and logged. */
sp_status sp_conn_failed(struct sp_conn *c, const char *doing);
/* NULL when it cannot be prepared (c->failed). Bindings are cleared by sp_conn_end. */
sqlite3_stmt *sp_conn_begin(struct sp_conn *c, enum sp_sql which);
/* One step: SP_OK (a row), SP_E_NOT_FOUND (none, or no more), SP_E_UNAVAILABLE. */
sp_status sp_conn_step(struct sp_conn *c, sqlite3_stmt *s);
void sp_conn_end(sqlite3_stmt *s);
/* Begin, one step that gives no row, end. */
sp_status sp_conn_run(struct sp_conn *c, enum sp_sql which);

/* Binding. Bytes are borrowed until sp_conn_end. A failure shows at the step. */
void sp_bind_int(sqlite3_stmt *s, int at, int64_t v);
void sp_bind_blob(sqlite3_stmt *s, int at, const void *p, size_t n);
void sp_bind_text(sqlite3_stmt *s, int at, sp_slice v);

/* Rows, in the column order of SP_SQL_...; SP_E_UNAVAILABLE, logged, when one is not as we write it. */
sp_status sp_row_user(struct sp_conn *c, sqlite3_stmt *s, void *ret);
sp_status sp_row_role(struct sp_conn *c, sqlite3_stmt *s, void *ret);
sp_status sp_row_key(struct sp_conn *c, sqlite3_stmt *s, void *ret);
sp_status sp_row_client(struct sp_conn *c, sqlite3_stmt *s, void *ret);
sp_status sp_row_consent(struct sp_conn *c, sqlite3_stmt *s, void *ret);
sp_status sp_row_logout(struct sp_conn *c, sqlite3_stmt *s, void *ret);
sp_status sp_row_session(struct sp_conn *c, sqlite3_stmt *s, void *ret);
sp_status sp_row_revocation(struct sp_conn *c, sqlite3_stmt *s, void *ret);
sp_status sp_row_audit(struct sp_conn *c, sqlite3_stmt *s, void *ret);
sp_status sp_row_meta(struct sp_conn *c, struct sp_meta_row *ret);

/* What a reader does with a request: fills r->ret and r->status (sqlite_read.c). */
void sp_sqlite_serve_read(struct sp_conn *c, struct sp_store_read *r);

/* The tables of apply.h over a writer's connection (sqlite_tables.c). */
struct sp_sqlite_tables {
    struct sp_tables tables;
    struct sp_conn *conn;
};
void sp_sqlite_tables_init(struct sp_sqlite_tables *t, struct sp_conn *c);

#endif
