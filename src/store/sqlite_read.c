/* Reads: one statement each, so that each is a snapshot of its own and holds no log frame for long. */
#include "store/sqlite_conn.h"

enum { ROWS_AT_FIRST = 1, ROWS_ALL_MAX = 100000 /* roles and keys are read whole; a bound all the same */ };

/* The users' key range: after..tag ff ff ... `from` and `to` outlive the statement's use. */
struct range {
    uint8_t from[SP_ROW_SID_BYTES], to[SP_ROW_SID_BYTES];
};

static void range_of(struct range *r, const uint8_t *tag, sp_slice after) {
    memset(r->from, 0, sizeof(r->from));
    memset(r->to, 0xff, sizeof(r->to));
    memcpy(r->from, tag, 4);
    memcpy(r->to, tag, 4);
    if (after.n == sizeof(r->from)) memcpy(r->from, after.p, after.n);
}

/* `sid > from` must not lose the sid that is the tag and zeros: 2^-128, but wrong is wrong. */
static size_t range_from_bytes(sp_slice after) {
    return after.n == SP_ROW_SID_BYTES ? SP_ROW_SID_BYTES : 4;
}

static void bind(sqlite3_stmt *s, const struct sp_store_read *r, uint32_t limit, struct range *range) {
    int64_t wanted = (int64_t)limit + 1; /* one more tells whether there is more */
    switch (r->kind) {
    case SP_READ_META: break;
    case SP_READ_USER_BY_ID:
    case SP_READ_SESSION:
        sp_bind_int(s, 1, r->tenant);
        sp_bind_blob(s, 2, r->key.p, r->key.n);
        break;
    case SP_READ_USER_BY_NAME:
    case SP_READ_CLIENT:
        sp_bind_int(s, 1, r->tenant);
        sp_bind_text(s, 2, r->key);
        break;
    case SP_READ_USERS:
    case SP_READ_CLIENTS:
        sp_bind_int(s, 1, r->tenant);
        sp_bind_text(s, 2, r->after);
        sp_bind_int(s, 3, wanted);
        break;
    case SP_READ_ROLES:
    case SP_READ_KEYS: sp_bind_int(s, 1, r->tenant); break;
    case SP_READ_SESSIONS:
        sp_bind_int(s, 1, r->tenant);
        sp_bind_blob(s, 2, r->after.p, r->after.n);
        sp_bind_int(s, 3, wanted);
        break;
    case SP_READ_USER_SESSIONS:
        range_of(range, r->sid_tag, r->after);
        sp_bind_int(s, 1, r->tenant);
        sp_bind_blob(s, 2, range->from, range_from_bytes(r->after));
        sp_bind_int(s, 3, wanted);
        sp_bind_blob(s, 4, range->to, sizeof(range->to));
        sp_bind_blob(s, 5, r->key.p, r->key.n);
        break;
    case SP_READ_CONSENT:
    case SP_READ_CONSENTS:
        sp_bind_int(s, 1, r->tenant);
        sp_bind_blob(s, 2, r->key.p, r->key.n);
        sp_bind_text(s, 3, r->after);
        if (r->kind == SP_READ_CONSENTS) sp_bind_int(s, 4, wanted);
        break;
    case SP_READ_REVOCATIONS:
        sp_bind_int(s, 1, (int64_t)r->after_seq);
        sp_bind_int(s, 2, r->now_s);
        sp_bind_int(s, 3, wanted);
        break;
    case SP_READ_AUDIT:
    case SP_READ_LOGOUTS:
        sp_bind_int(s, 1, (int64_t)r->after_seq);
        sp_bind_int(s, 2, wanted);
        break;
    }
}

struct reading {
    enum sp_sql sql;
    sp_status (*load)(struct sp_conn *c, sqlite3_stmt *s, void *ret);
    size_t row_bytes;
    enum { ONE, PAGE, ALL } want;
};

static const struct reading readings[] = {
    [SP_READ_USER_BY_ID] = {SP_SQL_USER_GET, sp_row_user, sizeof(struct sp_user_row), ONE},
    [SP_READ_USER_BY_NAME] = {SP_SQL_USER_BY_NAME, sp_row_user, sizeof(struct sp_user_row), ONE},
    [SP_READ_USERS] = {SP_SQL_USERS, sp_row_user, sizeof(struct sp_user_row), PAGE},
    [SP_READ_ROLES] = {SP_SQL_ROLES, sp_row_role, sizeof(struct sp_role_row), ALL},
    [SP_READ_SESSION] = {SP_SQL_SESSION_GET, sp_row_session, sizeof(struct sp_session_row), ONE},
    [SP_READ_SESSIONS] = {SP_SQL_SESSIONS, sp_row_session, sizeof(struct sp_session_row), PAGE},
    [SP_READ_USER_SESSIONS] = {SP_SQL_USER_SESSIONS, sp_row_session, sizeof(struct sp_session_row), PAGE},
    [SP_READ_KEYS] = {SP_SQL_KEYS, sp_row_key, sizeof(struct sp_key_row), ALL},
    [SP_READ_REVOCATIONS] = {SP_SQL_REVOCATIONS, sp_row_revocation, sizeof(struct sp_revocation_row), PAGE},
    [SP_READ_AUDIT] = {SP_SQL_AUDIT, sp_row_audit, sizeof(struct sp_audit_row), PAGE},
    [SP_READ_CLIENT] = {SP_SQL_CLIENT_GET, sp_row_client, sizeof(struct sp_client_row), ONE},
    [SP_READ_CLIENTS] = {SP_SQL_CLIENTS, sp_row_client, sizeof(struct sp_client_row), PAGE},
    [SP_READ_CONSENT] = {SP_SQL_CONSENT_GET, sp_row_consent, sizeof(struct sp_consent_row), ONE},
    [SP_READ_CONSENTS] = {SP_SQL_CONSENTS, sp_row_consent, sizeof(struct sp_consent_row), PAGE},
    [SP_READ_LOGOUTS] = {SP_SQL_LOGOUTS, sp_row_logout, sizeof(struct sp_logout_row), PAGE},
};

static uint32_t limit_of(const struct reading *how, uint32_t asked) {
    if (how->want == ONE) return 1;
    if (how->want == ALL) return ROWS_ALL_MAX;
    if (asked == 0) return 1;
    return asked < SP_READ_PAGE_MAX ? asked : SP_READ_PAGE_MAX;
}

/* Room for one row more. The old rows are wiped: they may hold secrets. */
static sp_status grow(struct sp_store_read *r, uint32_t *cap, size_t row_bytes) {
    if (r->ret.n < *cap) return SP_SUCCESS;
    uint32_t wanted = *cap == 0 ? ROWS_AT_FIRST : *cap * 4;
    void *rows = malloc(wanted * row_bytes);
    if (rows == NULL) return sp_err(SP_E_NOMEM);
    if (r->ret.n != 0) memcpy(rows, r->ret.rows, r->ret.n * row_bytes);
    sp_free_wiped(r->ret.rows, r->ret.n * row_bytes);
    r->ret.rows = rows;
    *cap = wanted;
    return SP_SUCCESS;
}

static sp_status collect(struct sp_conn *c, sqlite3_stmt *s, const struct reading *how,
                         struct sp_store_read *r) {
    uint32_t cap = 0, limit = limit_of(how, r->limit);
    for (;;) {
        sp_status step = sp_conn_step(c, s);
        if (sp_is(step, SP_E_NOT_FOUND)) return SP_SUCCESS;
        SP_TRY(step);
        if (r->ret.n == limit) {
            r->ret.more = true;
            return SP_SUCCESS;
        }
        SP_TRY(grow(r, &cap, how->row_bytes));
        SP_TRY(how->load(c, s, (char *)r->ret.rows + r->ret.n * how->row_bytes));
        r->ret.n++;
    }
}

static sp_status read_rows(struct sp_conn *c, struct sp_store_read *r) {
    const struct reading *how = &readings[r->kind];
    struct range range;
    sqlite3_stmt *s = sp_conn_begin(c, how->sql);
    if (s == NULL) return sp_err(SP_E_UNAVAILABLE);
    bind(s, r, limit_of(how, r->limit), &range);
    sp_status status = collect(c, s, how, r);
    sp_conn_end(s);
    SP_TRY(status);
    return how->want == ONE && r->ret.n == 0 ? sp_err(SP_E_NOT_FOUND) : SP_SUCCESS;
}

void sp_sqlite_serve_read(struct sp_conn *c, struct sp_store_read *r) {
    memset(&r->ret, 0, sizeof(r->ret));
    c->failed = 0;
    r->status = r->kind == SP_READ_META ? sp_row_meta(c, &r->ret.meta) : read_rows(c, r);
    if (!sp_ok(r->status)) sp_store_read_done(r);
}
