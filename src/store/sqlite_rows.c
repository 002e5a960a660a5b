/* Rows as they come from the disk, which is another author: every type, length and enum is checked. */
#include "store/session_codec.h"
#include "store/sqlite_conn.h"

/* A row being read: the first thing that does not fit makes all of it malformed. */
struct cols {
    sqlite3_stmt *s;
    int at;
    bool bad;
};

static int64_t col_int(struct cols *c, int64_t min, int64_t max) {
    int at = c->at++;
    int64_t v = sqlite3_column_int64(c->s, at);
    if (sqlite3_column_type(c->s, at) != SQLITE_INTEGER || v < min || v > max) c->bad = true;
    return v;
}

static int64_t col_time(struct cols *c) {
    return col_int(c, INT64_MIN, INT64_MAX);
}

static uint64_t col_count(struct cols *c) {
    return (uint64_t)col_int(c, 0, INT64_MAX);
}

static uint32_t col_u32(struct cols *c) {
    return (uint32_t)col_int(c, 0, UINT32_MAX);
}

/* Borrowed until the next step. */
static sp_slice col_slice(struct cols *c, int type) {
    int at = c->at++;
    if (sqlite3_column_type(c->s, at) != type) {
        c->bad = true;
        return SP_SLICE_EMPTY;
    }
    const void *p = sqlite3_column_blob(c->s, at);
    int n = sqlite3_column_bytes(c->s, at);
    if (p == NULL && n != 0) c->bad = true; /* out of memory */
    return sp_slice_of(p, c->bad ? 0 : (size_t)n);
}

static void col_bytes(struct cols *c, uint8_t *ret, size_t n) {
    sp_slice v = col_slice(c, SQLITE_BLOB);
    if (v.n != n) c->bad = true;
    if (!c->bad) memcpy(ret, v.p, n);
}

#define COL_TEXT(c, text)                                                                                    \
    do {                                                                                                     \
        if (!sp_ok(SP_TEXT_SET((text), col_slice((c), SQLITE_TEXT)))) (c)->bad = true;                       \
    } while (0)

/* Says which table, never what was in it. */
static sp_status loaded(struct sp_conn *c, const struct cols *cols, const char *table) {
    if (!cols->bad) return SP_SUCCESS;
    SP_LOG(&c->log, SP_LOG_ERROR, "store_row_malformed", SP_LOGF_TEXT("table", sp_slice_cstr(table)),
           SP_LOGF_I64("column", cols->at));
    return sp_err(SP_E_UNAVAILABLE);
}

sp_status sp_row_user(struct sp_conn *c, sqlite3_stmt *s, void *ret) {
    struct cols cols = {.s = s};
    struct sp_user_row *row = ret;
    memset(row, 0, sizeof(*row));
    row->tenant = col_u32(&cols);
    col_bytes(&cols, row->id, sizeof(row->id));
    row->version = col_count(&cols);
    COL_TEXT(&cols, &row->name);
    COL_TEXT(&cols, &row->display);
    COL_TEXT(&cols, &row->password);
    COL_TEXT(&cols, &row->roles);
    row->epoch = col_u32(&cols);
    row->disabled = col_int(&cols, 0, 1) != 0;
    row->created_ms = col_time(&cols);
    row->password_changed_ms = col_time(&cols);
    return loaded(c, &cols, "users");
}

sp_status sp_row_role(struct sp_conn *c, sqlite3_stmt *s, void *ret) {
    struct cols cols = {.s = s};
    struct sp_role_row *row = ret;
    memset(row, 0, sizeof(*row));
    row->tenant = col_u32(&cols);
    COL_TEXT(&cols, &row->name);
    row->version = col_count(&cols);
    COL_TEXT(&cols, &row->permissions);
    row->updated_ms = col_time(&cols);
    return loaded(c, &cols, "roles");
}

sp_status sp_row_key(struct sp_conn *c, sqlite3_stmt *s, void *ret) {
    struct cols cols = {.s = s};
    struct sp_key_row *row = ret;
    memset(row, 0, sizeof(*row));
    row->tenant = col_u32(&cols);
    COL_TEXT(&cols, &row->kid);
    row->version = col_count(&cols);
    row->use = (enum sp_key_use)col_int(&cols, SP_KEY_ACCESS, SP_KEY_FEED);
    COL_TEXT(&cols, &row->alg);
    row->state = (enum sp_key_state)col_int(&cols, SP_KEY_ANNOUNCED, SP_KEY_REVOKED);
    row->number = (uint8_t)col_int(&cols, 0, UINT8_MAX);
    row->created_ms = col_time(&cols);
    row->signing_from_ms = col_time(&cols);
    row->retired_ms = col_time(&cols);
    row->gone_ms = col_time(&cols);
    COL_TEXT(&cols, &row->public_jwk);
    sp_slice sealed = col_slice(&cols, SQLITE_BLOB);
    if (!sp_ok(SP_TEXT_SET(&row->sealed, sealed))) cols.bad = true;
    return loaded(c, &cols, "keys");
}

static void secret_columns(struct cols *cols, struct sp_client_secret *secret) {
    secret->used = col_int(cols, 0, 1) != 0;
    col_bytes(cols, secret->hash, sizeof(secret->hash));
    secret->created_ms = col_time(cols);
    secret->expires_ms = col_time(cols);
}

sp_status sp_row_client(struct sp_conn *c, sqlite3_stmt *s, void *ret) {
    struct cols cols = {.s = s};
    struct sp_client_row *row = ret;
    memset(row, 0, sizeof(*row));
    row->tenant = col_u32(&cols);
    COL_TEXT(&cols, &row->id);
    row->version = col_count(&cols);
    row->is_public = col_int(&cols, 0, 1) != 0;
    row->feed = col_int(&cols, 0, 1) != 0;
    row->disabled = col_int(&cols, 0, 1) != 0;
    COL_TEXT(&cols, &row->auth_method);
    COL_TEXT(&cols, &row->grants);
    COL_TEXT(&cols, &row->scopes);
    COL_TEXT(&cols, &row->audiences);
    COL_TEXT(&cols, &row->redirect_uris);
    COL_TEXT(&cols, &row->jwks);
    row->rotate_refresh = col_int(&cols, 0, 1) != 0;
    for (size_t i = 0; i < SP_ARRAY_LEN(row->secrets); i++) secret_columns(&cols, &row->secrets[i]);
    row->created_ms = col_time(&cols);
    COL_TEXT(&cols, &row->name);
    COL_TEXT(&cols, &row->backchannel_logout_uri);
    COL_TEXT(&cols, &row->post_logout_redirect_uris);
    row->trusted = col_int(&cols, 0, 1) != 0;
    row->require_par = col_int(&cols, 0, 1) != 0;
    row->require_dpop = col_int(&cols, 0, 1) != 0;
    col_bytes(&cols, row->subject, sizeof(row->subject));
    row->epoch = col_u32(&cols);
    return loaded(c, &cols, "clients");
}

sp_status sp_row_consent(struct sp_conn *c, sqlite3_stmt *s, void *ret) {
    struct cols cols = {.s = s};
    struct sp_consent_row *row = ret;
    memset(row, 0, sizeof(*row));
    row->tenant = col_u32(&cols);
    col_bytes(&cols, row->user_id, sizeof(row->user_id));
    COL_TEXT(&cols, &row->client_id);
    COL_TEXT(&cols, &row->scopes);
    row->granted_ms = col_time(&cols);
    return loaded(c, &cols, "consents");
}

sp_status sp_row_logout(struct sp_conn *c, sqlite3_stmt *s, void *ret) {
    struct cols cols = {.s = s};
    struct sp_logout_row *row = ret;
    memset(row, 0, sizeof(*row));
    row->seq = col_count(&cols);
    row->tenant = col_u32(&cols);
    col_bytes(&cols, row->sid, sizeof(row->sid));
    col_bytes(&cols, row->user_id, sizeof(row->user_id));
    COL_TEXT(&cols, &row->client_id);
    row->cause = (enum sp_end_cause)col_int(&cols, SP_END_NONE + 1, SP_END_CAUSE_COUNT - 1);
    row->created_ms = col_time(&cols);
    row->tries = col_u32(&cols);
    row->next_ms = col_time(&cols);
    return loaded(c, &cols, "logouts");
}

sp_status sp_row_session(struct sp_conn *c, sqlite3_stmt *s, void *ret) {
    struct cols cols = {.s = s};
    struct sp_session_row *row = ret;
    memset(row, 0, sizeof(*row));
    row->tenant = col_u32(&cols);
    col_bytes(&cols, row->sid, sizeof(row->sid));
    col_bytes(&cols, row->user_id, sizeof(row->user_id));
    sp_slice hot = col_slice(&cols, SQLITE_BLOB);
    sp_slice login = col_slice(&cols, SQLITE_BLOB);
    if (!cols.bad && !sp_ok(sp_session_hot_decode(hot, row))) cols.bad = true;
    if (!cols.bad && !sp_ok(sp_session_login_decode(login, row))) cols.bad = true;
    return loaded(c, &cols, "sessions");
}

sp_status sp_row_revocation(struct sp_conn *c, sqlite3_stmt *s, void *ret) {
    struct cols cols = {.s = s};
    struct sp_revocation_row *row = ret;
    memset(row, 0, sizeof(*row));
    row->seq = col_count(&cols);
    row->tenant = col_u32(&cols);
    row->what = (enum sp_revoke_what)col_int(&cols, SP_REVOKED_JTI, SP_REVOKED_GLOBAL_EPOCH);
    col_bytes(&cols, row->id, sizeof(row->id));
    row->epoch = col_u32(&cols);
    row->expires_s = col_time(&cols);
    return loaded(c, &cols, "revocations");
}

static char *col_copy(struct cols *c, size_t *ret_n) {
    sp_slice v = col_slice(c, SQLITE_BLOB);
    if (c->bad) return NULL;
    char *p = malloc(v.n + 1);
    if (p == NULL) {
        c->bad = true;
        return NULL;
    }
    if (v.n != 0) memcpy(p, v.p, v.n);
    p[v.n] = '\0';
    *ret_n = v.n;
    return p;
}

sp_status sp_row_audit(struct sp_conn *c, sqlite3_stmt *s, void *ret) {
    struct cols cols = {.s = s};
    struct sp_audit_row *row = ret;
    memset(row, 0, sizeof(*row));
    row->seq = col_count(&cols);
    row->time_ms = col_time(&cols);
    COL_TEXT(&cols, &row->action);
    COL_TEXT(&cols, &row->outcome);
    COL_TEXT(&cols, &row->actor);
    COL_TEXT(&cols, &row->target);
    row->body = col_copy(&cols, &row->body_n);
    col_bytes(&cols, row->hash, sizeof(row->hash));
    if (sqlite3_column_type(s, cols.at) != SQLITE_NULL) row->personal = col_copy(&cols, &row->personal_n);
    sp_status status = loaded(c, &cols, "audit");
    if (!sp_ok(status)) sp_audit_row_done(row);
    return status;
}

static void meta_columns(struct cols *cols, struct sp_meta_row *row) {
    row->incarnation = col_u32(cols);
    row->boots = col_count(cols);
    row->alive_ms = col_time(cols);
    row->global_epoch = col_u32(cols);
    row->session_floor = col_u32(cols);
    row->floor_cause = (enum sp_end_cause)col_int(cols, SP_END_NONE, SP_END_CAUSE_COUNT - 1);
    row->floor_ms = col_time(cols);
    row->revoke_seq = col_count(cols);
    row->access_ttl_max_s = col_time(cols);
    row->audit_count = col_count(cols);
    col_bytes(cols, row->audit_head, sizeof(row->audit_head));
    col_bytes(cols, row->audit_mac, sizeof(row->audit_mac));
    row->audit_base = col_count(cols);
    col_bytes(cols, row->audit_base_hash, sizeof(row->audit_base_hash));
    col_bytes(cols, row->feed_epoch, sizeof(row->feed_epoch));
    col_bytes(cols, row->feed_head, sizeof(row->feed_head));
    row->logout_seq = col_count(cols);
}

sp_status sp_row_meta(struct sp_conn *c, struct sp_meta_row *ret) {
    struct cols cols = {.s = sp_conn_begin(c, SP_SQL_META_GET)};
    struct sp_meta_row row;
    if (cols.s == NULL) return sp_err(SP_E_UNAVAILABLE);
    memset(&row, 0, sizeof(row)); /* padding too: rows are compared whole */
    sp_status s = sp_conn_step(c, cols.s);
    if (sp_ok(s)) {
        meta_columns(&cols, &row);
        s = loaded(c, &cols, "meta");
    }
    sp_conn_end(cols.s);
    if (!sp_ok(s)) return sp_err(SP_E_UNAVAILABLE);
    *ret = row;
    return SP_SUCCESS;
}
