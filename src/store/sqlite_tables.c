#include "store/session_codec.h"
#include "store/sqlite_conn.h"

static struct sp_conn *conn_of(struct sp_tables *t) {
    return SP_CONTAINER_OF(t, struct sp_sqlite_tables, tables)->conn;
}

typedef sp_status row_loader(struct sp_conn *c, sqlite3_stmt *s, void *ret);

/* Steps a bound query once, loads the row if there is one, and ends it. */
static sp_status fetch(struct sp_conn *c, sqlite3_stmt *s, row_loader *load, void *ret) {
    sp_status status = sp_conn_step(c, s);
    if (sp_ok(status)) status = load(c, s, ret);
    sp_conn_end(s);
    return status;
}

/* Steps a bound write and ends it. */
static sp_status finish(struct sp_conn *c, sqlite3_stmt *s) {
    sp_status status = sp_conn_step(c, s);
    sp_conn_end(s);
    return sp_is(status, SP_E_NOT_FOUND) ? SP_SUCCESS : status;
}

#define BEGIN(conn, stmt, which)                                                                             \
    struct sp_conn *conn = conn_of(t);                                                                       \
    sqlite3_stmt *stmt = sp_conn_begin(conn, (which));                                                       \
    if (stmt == NULL) return sp_err(SP_E_UNAVAILABLE)

static sp_status mark(struct sp_tables *t) {
    return sp_conn_run(conn_of(t), SP_SQL_MARK);
}

static sp_status release(struct sp_tables *t) {
    return sp_conn_run(conn_of(t), SP_SQL_RELEASE);
}

/* Once SQLite itself has failed there may be no savepoint left to go back to; the group is dropped then
 * anyway. */
static sp_status undo(struct sp_tables *t) {
    if (conn_of(t)->failed != 0) return SP_SUCCESS;
    SP_TRY(sp_conn_run(conn_of(t), SP_SQL_UNDO));
    return release(t);
}

/* ---- users ---- */

static sp_status user_get(struct sp_tables *t, uint32_t tenant, const uint8_t *id, struct sp_user_row *ret) {
    BEGIN(c, s, SP_SQL_USER_GET);
    sp_bind_int(s, 1, tenant);
    sp_bind_blob(s, 2, id, SP_ROW_ID_BYTES);
    return fetch(c, s, sp_row_user, ret);
}

static sp_status load_id(struct sp_conn *c, sqlite3_stmt *s, void *ret) {
    (void)c;
    if (sqlite3_column_bytes(s, 0) != SP_ROW_ID_BYTES) return sp_err(SP_E_UNAVAILABLE);
    memcpy(ret, sqlite3_column_blob(s, 0), SP_ROW_ID_BYTES);
    return SP_SUCCESS;
}

static sp_status user_find(struct sp_tables *t, uint32_t tenant, sp_slice name,
                           uint8_t ret_id[SP_ROW_ID_BYTES]) {
    BEGIN(c, s, SP_SQL_USER_FIND);
    sp_bind_int(s, 1, tenant);
    sp_bind_text(s, 2, name);
    return fetch(c, s, load_id, ret_id);
}

static sp_status user_write(struct sp_tables *t, enum sp_sql which, const struct sp_user_row *row) {
    BEGIN(c, s, which);
    sp_bind_int(s, 1, row->tenant);
    sp_bind_blob(s, 2, row->id, sizeof(row->id));
    sp_bind_int(s, 3, (int64_t)row->version);
    sp_bind_text(s, 4, SP_TEXT_SLICE(&row->name));
    sp_bind_text(s, 5, SP_TEXT_SLICE(&row->display));
    sp_bind_text(s, 6, SP_TEXT_SLICE(&row->password));
    sp_bind_text(s, 7, SP_TEXT_SLICE(&row->roles));
    sp_bind_int(s, 8, row->epoch);
    sp_bind_int(s, 9, row->disabled);
    sp_bind_int(s, 10, row->created_ms);
    sp_bind_int(s, 11, row->password_changed_ms);
    return finish(c, s);
}

static sp_status user_insert(struct sp_tables *t, const struct sp_user_row *row) {
    return user_write(t, SP_SQL_USER_INSERT, row);
}

static sp_status user_update(struct sp_tables *t, const struct sp_user_row *row) {
    return user_write(t, SP_SQL_USER_UPDATE, row);
}

static sp_status user_remove(struct sp_tables *t, uint32_t tenant, const uint8_t *id) {
    BEGIN(c, s, SP_SQL_USER_REMOVE);
    sp_bind_int(s, 1, tenant);
    sp_bind_blob(s, 2, id, SP_ROW_ID_BYTES);
    return finish(c, s);
}

/* ---- roles, keys ---- */

static sp_status role_get(struct sp_tables *t, uint32_t tenant, sp_slice name, struct sp_role_row *ret) {
    BEGIN(c, s, SP_SQL_ROLE_GET);
    sp_bind_int(s, 1, tenant);
    sp_bind_text(s, 2, name);
    return fetch(c, s, sp_row_role, ret);
}

static sp_status role_put(struct sp_tables *t, const struct sp_role_row *row) {
    BEGIN(c, s, SP_SQL_ROLE_PUT);
    sp_bind_int(s, 1, row->tenant);
    sp_bind_text(s, 2, SP_TEXT_SLICE(&row->name));
    sp_bind_int(s, 3, (int64_t)row->version);
    sp_bind_text(s, 4, SP_TEXT_SLICE(&row->permissions));
    sp_bind_int(s, 5, row->updated_ms);
    return finish(c, s);
}

static sp_status role_remove(struct sp_tables *t, uint32_t tenant, sp_slice name) {
    BEGIN(c, s, SP_SQL_ROLE_REMOVE);
    sp_bind_int(s, 1, tenant);
    sp_bind_text(s, 2, name);
    return finish(c, s);
}

static sp_status key_get(struct sp_tables *t, uint32_t tenant, sp_slice kid, struct sp_key_row *ret) {
    BEGIN(c, s, SP_SQL_KEY_GET);
    sp_bind_int(s, 1, tenant);
    sp_bind_text(s, 2, kid);
    return fetch(c, s, sp_row_key, ret);
}

static sp_status key_put(struct sp_tables *t, const struct sp_key_row *row) {
    BEGIN(c, s, SP_SQL_KEY_PUT);
    sp_bind_int(s, 1, row->tenant);
    sp_bind_text(s, 2, SP_TEXT_SLICE(&row->kid));
    sp_bind_int(s, 3, (int64_t)row->version);
    sp_bind_int(s, 4, row->use);
    sp_bind_text(s, 5, SP_TEXT_SLICE(&row->alg));
    sp_bind_int(s, 6, row->state);
    sp_bind_int(s, 7, row->number);
    sp_bind_int(s, 8, row->created_ms);
    sp_bind_int(s, 9, row->signing_from_ms);
    sp_bind_int(s, 10, row->retired_ms);
    sp_bind_int(s, 11, row->gone_ms);
    sp_bind_text(s, 12, SP_TEXT_SLICE(&row->public_jwk));
    sp_bind_blob(s, 13, row->sealed.s, row->sealed.n);
    return finish(c, s);
}

/* ---- clients ---- */

static sp_status client_get(struct sp_tables *t, uint32_t tenant, sp_slice id, struct sp_client_row *ret) {
    BEGIN(c, s, SP_SQL_CLIENT_GET);
    sp_bind_int(s, 1, tenant);
    sp_bind_text(s, 2, id);
    return fetch(c, s, sp_row_client, ret);
}

static int bind_secret(sqlite3_stmt *s, int at, const struct sp_client_secret *secret) {
    sp_bind_int(s, at++, secret->used);
    sp_bind_blob(s, at++, secret->hash, sizeof(secret->hash));
    sp_bind_int(s, at++, secret->created_ms);
    sp_bind_int(s, at++, secret->expires_ms);
    return at;
}

static sp_status client_put(struct sp_tables *t, const struct sp_client_row *row) {
    BEGIN(c, s, SP_SQL_CLIENT_PUT);
    sp_bind_int(s, 1, row->tenant);
    sp_bind_text(s, 2, SP_TEXT_SLICE(&row->id));
    sp_bind_int(s, 3, (int64_t)row->version);
    sp_bind_int(s, 4, row->is_public);
    sp_bind_int(s, 5, row->feed);
    sp_bind_int(s, 6, row->disabled);
    sp_bind_text(s, 7, SP_TEXT_SLICE(&row->auth_method));
    sp_bind_text(s, 8, SP_TEXT_SLICE(&row->grants));
    sp_bind_text(s, 9, SP_TEXT_SLICE(&row->scopes));
    sp_bind_text(s, 10, SP_TEXT_SLICE(&row->audiences));
    sp_bind_text(s, 11, SP_TEXT_SLICE(&row->redirect_uris));
    sp_bind_text(s, 12, SP_TEXT_SLICE(&row->jwks));
    sp_bind_int(s, 13, row->rotate_refresh);
    int at = 14;
    for (size_t i = 0; i < SP_ARRAY_LEN(row->secrets); i++) at = bind_secret(s, at, &row->secrets[i]);
    sp_bind_int(s, at++, row->created_ms);
    sp_bind_text(s, at++, SP_TEXT_SLICE(&row->name));
    sp_bind_text(s, at++, SP_TEXT_SLICE(&row->backchannel_logout_uri));
    sp_bind_text(s, at++, SP_TEXT_SLICE(&row->post_logout_redirect_uris));
    sp_bind_int(s, at++, row->trusted);
    sp_bind_int(s, at++, row->require_par);
    sp_bind_int(s, at++, row->require_dpop);
    sp_bind_blob(s, at++, row->subject, sizeof(row->subject));
    sp_bind_int(s, at, row->epoch);
    return finish(c, s);
}

static sp_status client_remove(struct sp_tables *t, uint32_t tenant, sp_slice id) {
    BEGIN(c, s, SP_SQL_CLIENT_REMOVE);
    sp_bind_int(s, 1, tenant);
    sp_bind_text(s, 2, id);
    return finish(c, s);
}

/* ---- consents, logouts ---- */

static sp_status consent_get(struct sp_tables *t, uint32_t tenant, const uint8_t *user_id, sp_slice client_id,
                             struct sp_consent_row *ret) {
    BEGIN(c, s, SP_SQL_CONSENT_GET);
    sp_bind_int(s, 1, tenant);
    sp_bind_blob(s, 2, user_id, SP_ROW_ID_BYTES);
    sp_bind_text(s, 3, client_id);
    return fetch(c, s, sp_row_consent, ret);
}

static sp_status consent_put(struct sp_tables *t, const struct sp_consent_row *row) {
    BEGIN(c, s, SP_SQL_CONSENT_PUT);
    sp_bind_int(s, 1, row->tenant);
    sp_bind_blob(s, 2, row->user_id, sizeof(row->user_id));
    sp_bind_text(s, 3, SP_TEXT_SLICE(&row->client_id));
    sp_bind_text(s, 4, SP_TEXT_SLICE(&row->scopes));
    sp_bind_int(s, 5, row->granted_ms);
    return finish(c, s);
}

static sp_status consents_remove(struct sp_tables *t, uint32_t tenant, const uint8_t *user_id,
                                 sp_slice client_id, uint32_t *ret_n) {
    BEGIN(c, s, SP_SQL_CONSENTS_REMOVE);
    sp_bind_int(s, 1, tenant);
    sp_bind_blob(s, 2, user_id, SP_ROW_ID_BYTES);
    sp_bind_text(s, 3, client_id);
    SP_TRY(finish(c, s));
    *ret_n = (uint32_t)sqlite3_changes(c->db);
    return SP_SUCCESS;
}

static sp_status logout_get(struct sp_tables *t, uint64_t seq, struct sp_logout_row *ret) {
    BEGIN(c, s, SP_SQL_LOGOUT_GET);
    sp_bind_int(s, 1, (int64_t)seq);
    return fetch(c, s, sp_row_logout, ret);
}

static sp_status logout_put(struct sp_tables *t, const struct sp_logout_row *row) {
    BEGIN(c, s, SP_SQL_LOGOUT_PUT);
    sp_bind_int(s, 1, (int64_t)row->seq);
    sp_bind_int(s, 2, row->tenant);
    sp_bind_blob(s, 3, row->sid, sizeof(row->sid));
    sp_bind_blob(s, 4, row->user_id, sizeof(row->user_id));
    sp_bind_text(s, 5, SP_TEXT_SLICE(&row->client_id));
    sp_bind_int(s, 6, row->cause);
    sp_bind_int(s, 7, row->created_ms);
    sp_bind_int(s, 8, row->tries);
    sp_bind_int(s, 9, row->next_ms);
    return finish(c, s);
}

static sp_status logout_remove(struct sp_tables *t, uint64_t seq) {
    BEGIN(c, s, SP_SQL_LOGOUT_REMOVE);
    sp_bind_int(s, 1, (int64_t)seq);
    return finish(c, s);
}

static sp_status logout_remove_oldest(struct sp_tables *t) {
    return sp_conn_run(conn_of(t), SP_SQL_LOGOUT_REMOVE_OLDEST);
}

static sp_status load_count(struct sp_conn *c, sqlite3_stmt *s, void *ret) {
    (void)c;
    *(uint32_t *)ret = (uint32_t)sqlite3_column_int64(s, 0);
    return SP_SUCCESS;
}

static sp_status logouts_count(struct sp_tables *t, uint32_t *ret) {
    BEGIN(c, s, SP_SQL_LOGOUTS_COUNT);
    return fetch(c, s, load_count, ret);
}

/* ---- sessions ---- */

static sp_status session_get(struct sp_tables *t, uint32_t tenant, const uint8_t *sid,
                             struct sp_session_row *ret) {
    BEGIN(c, s, SP_SQL_SESSION_GET);
    sp_bind_int(s, 1, tenant);
    sp_bind_blob(s, 2, sid, SP_ROW_SID_BYTES);
    return fetch(c, s, sp_row_session, ret);
}

static sp_status session_from(struct sp_tables *t, const struct sp_session_key *from,
                              struct sp_session_row *ret) {
    BEGIN(c, s, SP_SQL_SESSION_FROM);
    sp_bind_int(s, 1, from->tenant);
    sp_bind_blob(s, 2, from->sid, sizeof(from->sid));
    return fetch(c, s, sp_row_session, ret);
}

static sp_status session_insert(struct sp_tables *t, const struct sp_session_row *row) {
    uint8_t hot[SP_SESSION_HOT_BYTES], login[SP_SESSION_LOGIN_BYTES_MAX];
    BEGIN(c, s, SP_SQL_SESSION_INSERT);
    sp_session_hot_encode(row, hot);
    sp_bind_int(s, 1, row->tenant);
    sp_bind_blob(s, 2, row->sid, sizeof(row->sid));
    sp_bind_blob(s, 3, row->user_id, sizeof(row->user_id));
    sp_bind_blob(s, 4, hot, sizeof(hot));
    sp_bind_blob(s, 5, login, sp_session_login_encode(row, login));
    sp_status status = finish(c, s);
    sp_wipe(hot, sizeof(hot));
    return status;
}

static sp_status session_update(struct sp_tables *t, const struct sp_session_row *row) {
    uint8_t hot[SP_SESSION_HOT_BYTES];
    BEGIN(c, s, SP_SQL_SESSION_UPDATE);
    sp_session_hot_encode(row, hot);
    sp_bind_int(s, 1, row->tenant);
    sp_bind_blob(s, 2, row->sid, sizeof(row->sid));
    sp_bind_blob(s, 3, hot, sizeof(hot));
    sp_status status = finish(c, s);
    sp_wipe(hot, sizeof(hot));
    return status;
}

static sp_status session_remove(struct sp_tables *t, uint32_t tenant, const uint8_t *sid) {
    BEGIN(c, s, SP_SQL_SESSION_REMOVE);
    sp_bind_int(s, 1, tenant);
    sp_bind_blob(s, 2, sid, SP_ROW_SID_BYTES);
    return finish(c, s);
}

/* ---- revocations, audit, meta ---- */

static sp_status revocation_put(struct sp_tables *t, const struct sp_revocation_row *row) {
    BEGIN(c, s, SP_SQL_REVOCATION_PUT);
    sp_bind_int(s, 1, (int64_t)row->seq);
    sp_bind_int(s, 2, row->tenant);
    sp_bind_int(s, 3, row->what);
    sp_bind_blob(s, 4, row->id, sizeof(row->id));
    sp_bind_int(s, 5, row->epoch);
    sp_bind_int(s, 6, row->expires_s);
    return finish(c, s);
}

static sp_status load_nothing(struct sp_conn *c, sqlite3_stmt *s, void *ret) {
    (void)c, (void)s, (void)ret;
    return SP_SUCCESS;
}

static sp_status revocation_exists(struct sp_tables *t, uint64_t seq) {
    BEGIN(c, s, SP_SQL_REVOCATION_EXISTS);
    sp_bind_int(s, 1, (int64_t)seq);
    return fetch(c, s, load_nothing, NULL);
}

static sp_status revocations_purge(struct sp_tables *t, int64_t now_s, uint64_t up_to, uint32_t most,
                                   uint32_t *ret_n) {
    BEGIN(c, s, SP_SQL_REVOCATIONS_PURGE);
    sp_bind_int(s, 1, now_s);
    sp_bind_int(s, 2, most);
    sp_bind_int(s, 3, (int64_t)up_to);
    SP_TRY(finish(c, s));
    *ret_n = (uint32_t)sqlite3_changes(c->db);
    return SP_SUCCESS;
}

static sp_status personal_put(struct sp_tables *t, uint64_t seq, sp_slice value) {
    BEGIN(c, s, SP_SQL_PERSONAL_PUT);
    sp_bind_int(s, 1, (int64_t)seq);
    sp_bind_blob(s, 2, value.p, value.n);
    return finish(c, s);
}

static sp_status audit_put(struct sp_tables *t, uint64_t seq, const struct sp_audit_append *in,
                           const uint8_t *hash) {
    BEGIN(c, s, SP_SQL_AUDIT_PUT);
    sp_bind_int(s, 1, (int64_t)seq);
    sp_bind_int(s, 2, in->time_ms);
    sp_bind_text(s, 3, in->action);
    sp_bind_text(s, 4, in->outcome);
    sp_bind_text(s, 5, in->actor);
    sp_bind_text(s, 6, in->target);
    sp_bind_blob(s, 7, in->body.p, in->body.n);
    sp_bind_blob(s, 8, hash, SP_ROW_HASH_BYTES);
    SP_TRY(finish(c, s));
    return in->personal.n == 0 ? SP_SUCCESS : personal_put(t, seq, in->personal);
}

static sp_status load_hash(struct sp_conn *c, sqlite3_stmt *s, void *ret) {
    (void)c;
    if (sqlite3_column_bytes(s, 0) != SP_ROW_HASH_BYTES) return sp_err(SP_E_UNAVAILABLE);
    memcpy(ret, sqlite3_column_blob(s, 0), SP_ROW_HASH_BYTES);
    return SP_SUCCESS;
}

static sp_status audit_hash(struct sp_tables *t, uint64_t seq, uint8_t ret[SP_ROW_HASH_BYTES]) {
    BEGIN(c, s, SP_SQL_AUDIT_HASH);
    sp_bind_int(s, 1, (int64_t)seq);
    return fetch(c, s, load_hash, ret);
}

static sp_status remove_range(struct sp_tables *t, enum sp_sql which, uint64_t first, uint64_t last,
                              uint64_t *ret_n) {
    BEGIN(c, s, which);
    sp_bind_int(s, 1, (int64_t)first);
    sp_bind_int(s, 2, (int64_t)last);
    SP_TRY(finish(c, s));
    *ret_n = (uint64_t)sqlite3_changes(c->db);
    return SP_SUCCESS;
}

static sp_status audit_remove(struct sp_tables *t, uint64_t first, uint64_t last, uint64_t *ret_n) {
    uint64_t personal;
    SP_TRY(remove_range(t, SP_SQL_PERSONAL_PRUNE, first, last, &personal));
    return remove_range(t, SP_SQL_AUDIT_PRUNE, first, last, ret_n);
}

static sp_status personal_remove(struct sp_tables *t, uint64_t seq, bool *ret_had) {
    BEGIN(c, s, SP_SQL_PERSONAL_REMOVE);
    sp_bind_int(s, 1, (int64_t)seq);
    SP_TRY(finish(c, s));
    *ret_had = sqlite3_changes(c->db) != 0;
    return SP_SUCCESS;
}

static sp_status meta_put(struct sp_tables *t, const struct sp_meta_row *row) {
    BEGIN(c, s, SP_SQL_META_PUT);
    sp_bind_int(s, 1, row->incarnation);
    sp_bind_int(s, 2, (int64_t)row->boots);
    sp_bind_int(s, 3, row->alive_ms);
    sp_bind_int(s, 4, row->global_epoch);
    sp_bind_int(s, 5, row->session_floor);
    sp_bind_int(s, 6, row->floor_cause);
    sp_bind_int(s, 7, row->floor_ms);
    sp_bind_int(s, 8, (int64_t)row->revoke_seq);
    sp_bind_int(s, 9, row->access_ttl_max_s);
    sp_bind_int(s, 10, (int64_t)row->audit_count);
    sp_bind_blob(s, 11, row->audit_head, sizeof(row->audit_head));
    sp_bind_blob(s, 12, row->audit_mac, sizeof(row->audit_mac));
    sp_bind_int(s, 13, (int64_t)row->audit_base);
    sp_bind_blob(s, 14, row->audit_base_hash, sizeof(row->audit_base_hash));
    sp_bind_blob(s, 15, row->feed_epoch, sizeof(row->feed_epoch));
    sp_bind_blob(s, 16, row->feed_head, sizeof(row->feed_head));
    sp_bind_int(s, 17, (int64_t)row->logout_seq);
    return finish(c, s);
}

static const struct sp_tables_ops ops = {
    .mark = mark,
    .release = release,
    .undo = undo,
    .user_get = user_get,
    .user_find = user_find,
    .user_insert = user_insert,
    .user_update = user_update,
    .user_remove = user_remove,
    .role_get = role_get,
    .role_put = role_put,
    .role_remove = role_remove,
    .key_get = key_get,
    .key_put = key_put,
    .client_get = client_get,
    .client_put = client_put,
    .client_remove = client_remove,
    .consent_get = consent_get,
    .consent_put = consent_put,
    .consents_remove = consents_remove,
    .logout_get = logout_get,
    .logout_put = logout_put,
    .logout_remove = logout_remove,
    .logout_remove_oldest = logout_remove_oldest,
    .logouts_count = logouts_count,
    .session_get = session_get,
    .session_from = session_from,
    .session_insert = session_insert,
    .session_update = session_update,
    .session_remove = session_remove,
    .revocation_put = revocation_put,
    .revocation_exists = revocation_exists,
    .revocations_purge = revocations_purge,
    .audit_put = audit_put,
    .audit_hash = audit_hash,
    .audit_remove = audit_remove,
    .personal_remove = personal_remove,
    .meta_put = meta_put,
};

void sp_sqlite_tables_init(struct sp_sqlite_tables *t, struct sp_conn *c) {
    *t = (struct sp_sqlite_tables){.tables = {&ops}, .conn = c};
}
