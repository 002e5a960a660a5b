#include "store/memory_int.h"

/* What a read wants of a table: where it begins, which rows it keeps, where it stops. */
struct query {
    const struct sp_mtable *table;
    size_t from;
    uint32_t limit;
    bool (*ends)(const struct sp_store_read *r, const void *row);  /* past the last: stop */
    bool (*keeps)(const struct sp_store_read *r, const void *row); /* NULL: all */
};

static uint32_t page_limit(const struct sp_store_read *r) {
    if (r->limit == 0) return 1;
    return r->limit < SP_READ_PAGE_MAX ? r->limit : SP_READ_PAGE_MAX;
}

/* ---- rows ---- */

static sp_status copy_row(const struct sp_mtype *type, void *to, const void *from) {
    if (type->copy != NULL) return type->copy(to, from);
    memcpy(to, from, type->bytes);
    return SP_SUCCESS;
}

/* Counts first, so that the rows have one allocation of the right size. */
static uint32_t count(const struct sp_store_read *r, const struct query *q) {
    uint32_t n = 0;
    for (size_t i = q->from; i < q->table->n && n <= q->limit; i++) {
        if (q->ends(r, q->table->rows[i])) break;
        if (q->keeps == NULL || q->keeps(r, q->table->rows[i])) n++;
    }
    return n;
}

static sp_status run(const struct query *q, struct sp_store_read *r) {
    uint32_t n = count(r, q);
    bool more = n > q->limit;
    if (more) n = q->limit;
    if (n != 0) r->ret.rows = calloc(n, q->table->type->bytes);
    if (n != 0 && r->ret.rows == NULL) return sp_err(SP_E_NOMEM);
    for (size_t i = q->from; r->ret.n < n; i++) {
        if (q->keeps != NULL && !q->keeps(r, q->table->rows[i])) continue;
        char *to = (char *)r->ret.rows + r->ret.n * q->table->type->bytes;
        SP_TRY(copy_row(q->table->type, to, q->table->rows[i]));
        r->ret.n++;
    }
    r->ret.more = more;
    return SP_SUCCESS;
}

static sp_status one(const struct sp_mtable *table, const void *key, struct sp_store_read *r) {
    const void *row = sp_mtable_find(table, key);
    if (row == NULL) return sp_err(SP_E_NOT_FOUND);
    r->ret.rows = calloc(1, table->type->bytes);
    if (r->ret.rows == NULL) return sp_err(SP_E_NOMEM);
    SP_TRY(copy_row(table->type, r->ret.rows, row));
    r->ret.n = 1;
    return SP_SUCCESS;
}

/* The first row above `key`. */
static size_t after(const struct sp_mtable *table, const void *key) {
    size_t i = sp_mtable_from(table, key);
    return i < table->n && table->type->compare(table->rows[i], key) == 0 ? i + 1 : i;
}

/* ---- users ---- */

static sp_status user_by_id(const struct sp_memory_tables *m, struct sp_store_read *r) {
    struct sp_user_row key = {.tenant = r->tenant};
    if (r->key.n != sizeof(key.id)) return sp_err(SP_E_NOT_FOUND);
    memcpy(key.id, r->key.p, sizeof(key.id));
    return one(&m->t[SP_MUSERS], &key, r);
}

static sp_status user_by_name(const struct sp_memory_tables *m, struct sp_store_read *r) {
    struct sp_mname key = {.tenant = r->tenant};
    if (!sp_ok(SP_TEXT_SET(&key.name, r->key))) return sp_err(SP_E_NOT_FOUND);
    const struct sp_mname *name = sp_mtable_find(&m->t[SP_MNAMES], &key);
    if (name == NULL) return sp_err(SP_E_NOT_FOUND);
    struct sp_user_row id = {.tenant = r->tenant};
    memcpy(id.id, name->id, sizeof(id.id));
    return one(&m->t[SP_MUSERS], &id, r);
}

static sp_status users(const struct sp_memory_tables *m, struct sp_store_read *r) {
    const struct sp_mtable *names = &m->t[SP_MNAMES];
    struct sp_mname key = {.tenant = r->tenant};
    if (!sp_ok(SP_TEXT_SET(&key.name, r->after))) return sp_err(SP_E_MALFORMED);
    size_t i = r->after.n == 0 ? sp_mtable_from(names, &key) : after(names, &key);
    uint32_t limit = page_limit(r);
    r->ret.rows = calloc(limit, sizeof(struct sp_user_row));
    if (r->ret.rows == NULL) return sp_err(SP_E_NOMEM);
    for (; i < names->n; i++) {
        const struct sp_mname *name = names->rows[i];
        if (name->tenant != r->tenant) break;
        if (r->ret.n == limit) {
            r->ret.more = true;
            break;
        }
        struct sp_user_row id = {.tenant = name->tenant};
        memcpy(id.id, name->id, sizeof(id.id));
        r->ret.users[r->ret.n++] = *(const struct sp_user_row *)sp_mtable_find(&m->t[SP_MUSERS], &id);
    }
    return SP_SUCCESS;
}

/* ---- roles, keys ---- */

static bool ends_role(const struct sp_store_read *r, const void *row) {
    return ((const struct sp_role_row *)row)->tenant != r->tenant;
}

static sp_status roles(const struct sp_memory_tables *m, struct sp_store_read *r) {
    struct sp_role_row key = {.tenant = r->tenant};
    const struct sp_mtable *t = &m->t[SP_MROLES];
    return run(&(struct query){t, sp_mtable_from(t, &key), UINT32_MAX - 1, ends_role, NULL}, r);
}

static bool ends_key(const struct sp_store_read *r, const void *row) {
    return ((const struct sp_key_row *)row)->tenant != r->tenant;
}

static int by_creation(const void *a, const void *b) {
    const struct sp_key_row *x = a, *y = b;
    if (x->created_ms != y->created_ms) return x->created_ms < y->created_ms ? -1 : 1;
    return sp_slice_cmp(SP_TEXT_SLICE(&x->kid), SP_TEXT_SLICE(&y->kid));
}

static sp_status keys(const struct sp_memory_tables *m, struct sp_store_read *r) {
    struct sp_key_row key = {.tenant = r->tenant};
    const struct sp_mtable *t = &m->t[SP_MKEYS];
    SP_TRY(run(&(struct query){t, sp_mtable_from(t, &key), UINT32_MAX - 1, ends_key, NULL}, r));
    if (r->ret.n != 0) qsort(r->ret.keys, r->ret.n, sizeof(r->ret.keys[0]), by_creation);
    return SP_SUCCESS;
}

/* ---- clients ---- */

static bool ends_client(const struct sp_store_read *r, const void *row) {
    return ((const struct sp_client_row *)row)->tenant != r->tenant;
}

static sp_status client(const struct sp_memory_tables *m, struct sp_store_read *r) {
    struct sp_client_row key = {.tenant = r->tenant};
    if (!sp_ok(SP_TEXT_SET(&key.id, r->key))) return sp_err(SP_E_NOT_FOUND);
    return one(&m->t[SP_MCLIENTS], &key, r);
}

static sp_status clients(const struct sp_memory_tables *m, struct sp_store_read *r) {
    const struct sp_mtable *t = &m->t[SP_MCLIENTS];
    struct sp_client_row key = {.tenant = r->tenant};
    if (!sp_ok(SP_TEXT_SET(&key.id, r->after))) return sp_err(SP_E_MALFORMED);
    return run(&(struct query){t, after(t, &key), page_limit(r), ends_client, NULL}, r);
}

/* ---- consents ---- */

static sp_status consent_key(const struct sp_store_read *r, struct sp_consent_row *ret) {
    *ret = (struct sp_consent_row){.tenant = r->tenant};
    if (r->key.n != sizeof(ret->user_id)) return sp_err(SP_E_NOT_FOUND);
    memcpy(ret->user_id, r->key.p, sizeof(ret->user_id));
    return sp_ok(SP_TEXT_SET(&ret->client_id, r->after)) ? SP_SUCCESS : sp_err(SP_E_NOT_FOUND);
}

static bool ends_consent(const struct sp_store_read *r, const void *row) {
    const struct sp_consent_row *c = row;
    return c->tenant != r->tenant || !sp_slice_eq(SP_SLICE_ARRAY(c->user_id), r->key);
}

static sp_status consent(const struct sp_memory_tables *m, struct sp_store_read *r) {
    struct sp_consent_row key;
    SP_TRY(consent_key(r, &key));
    return one(&m->t[SP_MCONSENTS], &key, r);
}

static sp_status consents(const struct sp_memory_tables *m, struct sp_store_read *r) {
    const struct sp_mtable *t = &m->t[SP_MCONSENTS];
    struct sp_consent_row key;
    if (!sp_ok(consent_key(r, &key))) return SP_SUCCESS; /* nobody's: an empty page */
    return run(&(struct query){t, after(t, &key), page_limit(r), ends_consent, NULL}, r);
}

/* ---- sessions ---- */

static sp_status session(const struct sp_memory_tables *m, struct sp_store_read *r) {
    struct sp_session_row key = {.tenant = r->tenant};
    if (r->key.n != sizeof(key.sid)) return sp_err(SP_E_NOT_FOUND);
    memcpy(key.sid, r->key.p, sizeof(key.sid));
    return one(&m->t[SP_MSESSIONS], &key, r);
}

static bool ends_session(const struct sp_store_read *r, const void *row) {
    return ((const struct sp_session_row *)row)->tenant != r->tenant;
}

static bool ends_user_session(const struct sp_store_read *r, const void *row) {
    return ends_session(r, row) || memcmp(((const struct sp_session_row *)row)->sid, r->sid_tag, 4) != 0;
}

static bool keeps_user_session(const struct sp_store_read *r, const void *row) {
    const struct sp_session_row *s = row;
    return sp_slice_eq(sp_slice_of(s->user_id, sizeof(s->user_id)), r->key);
}

static sp_status sessions(const struct sp_memory_tables *m, struct sp_store_read *r) {
    const struct sp_mtable *t = &m->t[SP_MSESSIONS];
    struct sp_session_row key = {.tenant = r->tenant};
    bool of_user = r->kind == SP_READ_USER_SESSIONS, resumed = r->after.n == sizeof(key.sid);
    if (of_user) memcpy(key.sid, r->sid_tag, 4);
    if (resumed) memcpy(key.sid, r->after.p, sizeof(key.sid));
    size_t from = resumed ? after(t, &key) : sp_mtable_from(t, &key);
    struct query q = {t, from, page_limit(r), of_user ? ends_user_session : ends_session,
                      of_user ? keeps_user_session : NULL};
    return run(&q, r);
}

/* ---- revocations, audit, logouts: of the whole store ---- */

static bool ends_never(const struct sp_store_read *r, const void *row) {
    (void)r, (void)row;
    return false;
}

static bool keeps_unexpired(const struct sp_store_read *r, const void *row) {
    return ((const struct sp_revocation_row *)row)->expires_s >= r->now_s;
}

static sp_status revocations(const struct sp_memory_tables *m, struct sp_store_read *r) {
    const struct sp_mtable *t = &m->t[SP_MREVOCATIONS];
    struct sp_revocation_row key = {.seq = r->after_seq};
    return run(&(struct query){t, after(t, &key), page_limit(r), ends_never, keeps_unexpired}, r);
}

static sp_status audit(const struct sp_memory_tables *m, struct sp_store_read *r) {
    const struct sp_mtable *t = &m->t[SP_MAUDIT];
    struct sp_audit_row key = {.seq = r->after_seq};
    return run(&(struct query){t, after(t, &key), page_limit(r), ends_never, NULL}, r);
}

static sp_status logouts(const struct sp_memory_tables *m, struct sp_store_read *r) {
    const struct sp_mtable *t = &m->t[SP_MLOGOUTS];
    struct sp_logout_row key = {.seq = r->after_seq};
    return run(&(struct query){t, after(t, &key), page_limit(r), ends_never, NULL}, r);
}

static sp_status dispatch(const struct sp_memory_tables *m, const struct sp_meta_row *meta,
                          struct sp_store_read *r) {
    switch (r->kind) {
    case SP_READ_META: r->ret.meta = *meta; return SP_SUCCESS;
    case SP_READ_USER_BY_ID: return user_by_id(m, r);
    case SP_READ_USER_BY_NAME: return user_by_name(m, r);
    case SP_READ_USERS: return users(m, r);
    case SP_READ_ROLES: return roles(m, r);
    case SP_READ_SESSION: return session(m, r);
    case SP_READ_SESSIONS:
    case SP_READ_USER_SESSIONS: return sessions(m, r);
    case SP_READ_KEYS: return keys(m, r);
    case SP_READ_REVOCATIONS: return revocations(m, r);
    case SP_READ_AUDIT: return audit(m, r);
    case SP_READ_CLIENT: return client(m, r);
    case SP_READ_CLIENTS: return clients(m, r);
    case SP_READ_CONSENT: return consent(m, r);
    case SP_READ_CONSENTS: return consents(m, r);
    case SP_READ_LOGOUTS: return logouts(m, r);
    }
    return sp_err(SP_E_UNSUPPORTED);
}

void sp_memory_serve_read(const struct sp_memory_tables *m, const struct sp_meta_row *meta,
                          struct sp_store_read *r) {
    memset(&r->ret, 0, sizeof(r->ret));
    r->status = dispatch(m, meta, r);
    if (!sp_ok(r->status)) sp_store_read_done(r);
}
