#include "store/memory_int.h"

/* ---- keys ---- */

static int compare_u64(uint64_t a, uint64_t b) {
    return a < b ? -1 : a > b;
}

#define COMPARE_BYTES(T, field)                                                                              \
    const struct T *x = a, *y = b;                                                                           \
    int by_tenant = compare_u64(x->tenant, y->tenant);                                                       \
    return by_tenant != 0 ? by_tenant : memcmp(x->field, y->field, sizeof(x->field))

#define COMPARE_TEXT(T, field)                                                                               \
    const struct T *x = a, *y = b;                                                                           \
    int by_tenant = compare_u64(x->tenant, y->tenant);                                                       \
    return by_tenant != 0 ? by_tenant : sp_slice_cmp(SP_TEXT_SLICE(&x->field), SP_TEXT_SLICE(&y->field))

static int compare_users(const void *a, const void *b) {
    COMPARE_BYTES(sp_user_row, id);
}
static int compare_names(const void *a, const void *b) {
    COMPARE_TEXT(sp_mname, name);
}
static int compare_roles(const void *a, const void *b) {
    COMPARE_TEXT(sp_role_row, name);
}
static int compare_keys(const void *a, const void *b) {
    COMPARE_TEXT(sp_key_row, kid);
}
static int compare_clients(const void *a, const void *b) {
    COMPARE_TEXT(sp_client_row, id);
}
static int compare_sessions(const void *a, const void *b) {
    COMPARE_BYTES(sp_session_row, sid);
}
static int compare_revocations(const void *a, const void *b) {
    return compare_u64(((const struct sp_revocation_row *)a)->seq,
                       ((const struct sp_revocation_row *)b)->seq);
}
static int compare_consents(const void *a, const void *b) {
    const struct sp_consent_row *x = a, *y = b;
    if (x->tenant != y->tenant) return compare_u64(x->tenant, y->tenant);
    int by_user = memcmp(x->user_id, y->user_id, sizeof(x->user_id));
    if (by_user != 0) return by_user;
    return sp_slice_cmp(SP_TEXT_SLICE(&x->client_id), SP_TEXT_SLICE(&y->client_id));
}
static int compare_logouts(const void *a, const void *b) {
    return compare_u64(((const struct sp_logout_row *)a)->seq, ((const struct sp_logout_row *)b)->seq);
}
static int compare_audit(const void *a, const void *b) {
    return compare_u64(((const struct sp_audit_row *)a)->seq, ((const struct sp_audit_row *)b)->seq);
}

/* ---- audit rows have a heap of their own ---- */

static char *copy_bytes(const void *p, size_t n) {
    char *copy = malloc(n + 1);
    if (copy == NULL) return NULL;
    if (n != 0) memcpy(copy, p, n);
    copy[n] = '\0';
    return copy;
}

sp_status sp_audit_row_copy(void *to, const void *from) {
    const struct sp_audit_row *in = from;
    struct sp_audit_row row = *in;
    row.body = copy_bytes(in->body, in->body_n);
    row.personal = in->personal == NULL ? NULL : copy_bytes(in->personal, in->personal_n);
    if (row.body == NULL || (row.personal == NULL && in->personal != NULL)) {
        sp_audit_row_done(&row);
        return sp_err(SP_E_NOMEM);
    }
    *(struct sp_audit_row *)to = row;
    return SP_SUCCESS;
}

static void audit_done(void *row) {
    sp_audit_row_done(row);
}

static const struct sp_mtype types[SP_MTABLES] = {
    [SP_MUSERS] = {sizeof(struct sp_user_row), compare_users, NULL, NULL},
    [SP_MNAMES] = {sizeof(struct sp_mname), compare_names, NULL, NULL},
    [SP_MROLES] = {sizeof(struct sp_role_row), compare_roles, NULL, NULL},
    [SP_MKEYS] = {sizeof(struct sp_key_row), compare_keys, NULL, NULL},
    [SP_MSESSIONS] = {sizeof(struct sp_session_row), compare_sessions, NULL, NULL},
    [SP_MREVOCATIONS] = {sizeof(struct sp_revocation_row), compare_revocations, NULL, NULL},
    [SP_MAUDIT] = {sizeof(struct sp_audit_row), compare_audit, sp_audit_row_copy, audit_done},
    [SP_MCLIENTS] = {sizeof(struct sp_client_row), compare_clients, NULL, NULL},
    [SP_MCONSENTS] = {sizeof(struct sp_consent_row), compare_consents, NULL, NULL},
    [SP_MLOGOUTS] = {sizeof(struct sp_logout_row), compare_logouts, NULL, NULL},
};

/* ---- the tables of apply.h ---- */

static struct sp_memory_tables *self(struct sp_tables *t) {
    return SP_CONTAINER_OF(t, struct sp_memory_tables, tables);
}

static sp_status mark(struct sp_tables *t) {
    self(t)->marked = self(t)->log.n;
    return SP_SUCCESS;
}

static sp_status release(struct sp_tables *t) {
    (void)t;
    return SP_SUCCESS;
}

static sp_status undo(struct sp_tables *t) {
    sp_mlog_undo(&self(t)->log, self(t)->marked);
    return SP_SUCCESS;
}

static sp_status put(struct sp_tables *t, enum sp_mkind kind, const void *row) {
    return sp_mtable_put(&self(t)->t[kind], &self(t)->log, row);
}

static sp_status drop(struct sp_tables *t, enum sp_mkind kind, const void *key) {
    return sp_mtable_remove(&self(t)->t[kind], &self(t)->log, key);
}

static sp_status get(struct sp_tables *t, enum sp_mkind kind, const void *key, void *ret) {
    const void *row = sp_mtable_find(&self(t)->t[kind], key);
    if (row == NULL) return sp_err(SP_E_NOT_FOUND);
    memcpy(ret, row, types[kind].bytes);
    return SP_SUCCESS;
}

static sp_status user_get(struct sp_tables *t, uint32_t tenant, const uint8_t *id, struct sp_user_row *ret) {
    struct sp_user_row key = {.tenant = tenant};
    memcpy(key.id, id, sizeof(key.id));
    return get(t, SP_MUSERS, &key, ret);
}

static sp_status user_find(struct sp_tables *t, uint32_t tenant, sp_slice name,
                           uint8_t ret_id[SP_ROW_ID_BYTES]) {
    struct sp_mname key = {.tenant = tenant}, found;
    if (!sp_ok(SP_TEXT_SET(&key.name, name))) return sp_err(SP_E_NOT_FOUND);
    SP_TRY(get(t, SP_MNAMES, &key, &found));
    memcpy(ret_id, found.id, sizeof(found.id));
    return SP_SUCCESS;
}

static struct sp_mname name_of(const struct sp_user_row *row) {
    struct sp_mname name = {.tenant = row->tenant, .name = row->name};
    memcpy(name.id, row->id, sizeof(name.id));
    return name;
}

static sp_status user_insert(struct sp_tables *t, const struct sp_user_row *row) {
    struct sp_mname name = name_of(row);
    SP_TRY(put(t, SP_MNAMES, &name));
    return put(t, SP_MUSERS, row);
}

static sp_status user_remove(struct sp_tables *t, uint32_t tenant, const uint8_t *id) {
    SP_WIPED(user_row) row;
    SP_TRY(user_get(t, tenant, id, &row));
    struct sp_mname name = name_of(&row);
    SP_TRY(drop(t, SP_MNAMES, &name));
    return drop(t, SP_MUSERS, &row);
}

static sp_status user_update(struct sp_tables *t, const struct sp_user_row *row) {
    SP_TRY(user_remove(t, row->tenant, row->id));
    return user_insert(t, row);
}

static sp_status role_get(struct sp_tables *t, uint32_t tenant, sp_slice name, struct sp_role_row *ret) {
    struct sp_role_row key = {.tenant = tenant};
    if (!sp_ok(SP_TEXT_SET(&key.name, name))) return sp_err(SP_E_NOT_FOUND);
    return get(t, SP_MROLES, &key, ret);
}

static sp_status role_put(struct sp_tables *t, const struct sp_role_row *row) {
    return put(t, SP_MROLES, row);
}

static sp_status role_remove(struct sp_tables *t, uint32_t tenant, sp_slice name) {
    struct sp_role_row key = {.tenant = tenant};
    if (!sp_ok(SP_TEXT_SET(&key.name, name))) return SP_SUCCESS;
    return drop(t, SP_MROLES, &key);
}

static sp_status key_get(struct sp_tables *t, uint32_t tenant, sp_slice kid, struct sp_key_row *ret) {
    struct sp_key_row key = {.tenant = tenant};
    if (!sp_ok(SP_TEXT_SET(&key.kid, kid))) return sp_err(SP_E_NOT_FOUND);
    return get(t, SP_MKEYS, &key, ret);
}

static sp_status key_put(struct sp_tables *t, const struct sp_key_row *row) {
    return put(t, SP_MKEYS, row);
}

static sp_status client_get(struct sp_tables *t, uint32_t tenant, sp_slice id, struct sp_client_row *ret) {
    struct sp_client_row key = {.tenant = tenant};
    if (!sp_ok(SP_TEXT_SET(&key.id, id))) return sp_err(SP_E_NOT_FOUND);
    return get(t, SP_MCLIENTS, &key, ret);
}

static sp_status client_put(struct sp_tables *t, const struct sp_client_row *row) {
    return put(t, SP_MCLIENTS, row);
}

static sp_status client_remove(struct sp_tables *t, uint32_t tenant, sp_slice id) {
    struct sp_client_row key = {.tenant = tenant};
    if (!sp_ok(SP_TEXT_SET(&key.id, id))) return SP_SUCCESS;
    return drop(t, SP_MCLIENTS, &key);
}

static sp_status consent_get(struct sp_tables *t, uint32_t tenant, const uint8_t *user_id, sp_slice client_id,
                             struct sp_consent_row *ret) {
    struct sp_consent_row key = {.tenant = tenant};
    if (!sp_ok(SP_TEXT_SET(&key.client_id, client_id))) return sp_err(SP_E_NOT_FOUND);
    memcpy(key.user_id, user_id, sizeof(key.user_id));
    return get(t, SP_MCONSENTS, &key, ret);
}

static sp_status consent_put(struct sp_tables *t, const struct sp_consent_row *row) {
    return put(t, SP_MCONSENTS, row);
}

/* The first of the user's with that client, or (empty) with any. */
static const struct sp_consent_row *some_consent(const struct sp_mtable *t,
                                                 const struct sp_consent_row *key) {
    if (key->client_id.n != 0) return sp_mtable_find(t, key);
    size_t i = sp_mtable_from(t, key);
    const struct sp_consent_row *row = i == t->n ? NULL : t->rows[i];
    bool is_its = row != NULL && row->tenant == key->tenant &&
                  memcmp(row->user_id, key->user_id, sizeof(row->user_id)) == 0;
    return is_its ? row : NULL;
}

static sp_status consents_remove(struct sp_tables *t, uint32_t tenant, const uint8_t *user_id,
                                 sp_slice client_id, uint32_t *ret_n) {
    struct sp_consent_row key = {.tenant = tenant};
    const struct sp_consent_row *row;
    uint32_t removed = 0;
    memcpy(key.user_id, user_id, sizeof(key.user_id));
    if (sp_ok(SP_TEXT_SET(&key.client_id, client_id))) {
        for (; (row = some_consent(&self(t)->t[SP_MCONSENTS], &key)) != NULL; removed++)
            SP_TRY(drop(t, SP_MCONSENTS, row));
    }
    *ret_n = removed;
    return SP_SUCCESS;
}

static sp_status logout_get(struct sp_tables *t, uint64_t seq, struct sp_logout_row *ret) {
    struct sp_logout_row key = {.seq = seq};
    return get(t, SP_MLOGOUTS, &key, ret);
}

static sp_status logout_put(struct sp_tables *t, const struct sp_logout_row *row) {
    return put(t, SP_MLOGOUTS, row);
}

static sp_status logout_remove(struct sp_tables *t, uint64_t seq) {
    struct sp_logout_row key = {.seq = seq};
    return drop(t, SP_MLOGOUTS, &key);
}

static sp_status logout_remove_oldest(struct sp_tables *t) {
    const struct sp_mtable *logouts = &self(t)->t[SP_MLOGOUTS];
    return logouts->n == 0 ? SP_SUCCESS : drop(t, SP_MLOGOUTS, logouts->rows[0]);
}

static sp_status logouts_count(struct sp_tables *t, uint32_t *ret) {
    *ret = (uint32_t)self(t)->t[SP_MLOGOUTS].n;
    return SP_SUCCESS;
}

static struct sp_session_row session_key(uint32_t tenant, const uint8_t *sid) {
    struct sp_session_row key = {.tenant = tenant};
    memcpy(key.sid, sid, sizeof(key.sid));
    return key;
}

static sp_status session_get(struct sp_tables *t, uint32_t tenant, const uint8_t *sid,
                             struct sp_session_row *ret) {
    struct sp_session_row key = session_key(tenant, sid);
    return get(t, SP_MSESSIONS, &key, ret);
}

static sp_status session_from(struct sp_tables *t, const struct sp_session_key *from,
                              struct sp_session_row *ret) {
    const struct sp_mtable *sessions = &self(t)->t[SP_MSESSIONS];
    struct sp_session_row key = session_key(from->tenant, from->sid);
    size_t i = sp_mtable_from(sessions, &key);
    if (i == sessions->n) return sp_err(SP_E_NOT_FOUND);
    memcpy(ret, sessions->rows[i], sizeof(*ret));
    return SP_SUCCESS;
}

static sp_status session_put(struct sp_tables *t, const struct sp_session_row *row) {
    return put(t, SP_MSESSIONS, row);
}

static sp_status session_remove(struct sp_tables *t, uint32_t tenant, const uint8_t *sid) {
    struct sp_session_row key = session_key(tenant, sid);
    return drop(t, SP_MSESSIONS, &key);
}

static sp_status revocation_put(struct sp_tables *t, const struct sp_revocation_row *row) {
    return put(t, SP_MREVOCATIONS, row);
}

static sp_status revocation_exists(struct sp_tables *t, uint64_t seq) {
    struct sp_revocation_row key = {.seq = seq}, found;
    return get(t, SP_MREVOCATIONS, &key, &found);
}

/* One pass for each that goes, by (expires_s, seq): a memory store has few, and its steps are small. */
static const struct sp_revocation_row *first_to_expire(const struct sp_mtable *t, uint64_t up_to) {
    const struct sp_revocation_row *first = NULL;
    for (size_t i = 0; i < t->n; i++) {
        const struct sp_revocation_row *row = t->rows[i];
        if (row->seq > up_to) break;
        if (first == NULL || row->expires_s < first->expires_s) first = row;
    }
    return first;
}

static sp_status revocations_purge(struct sp_tables *t, int64_t now_s, uint64_t up_to, uint32_t most,
                                   uint32_t *ret_n) {
    uint32_t purged = 0;
    for (; purged < most; purged++) {
        const struct sp_revocation_row *row = first_to_expire(&self(t)->t[SP_MREVOCATIONS], up_to);
        if (row == NULL || row->expires_s >= now_s) break;
        SP_TRY(drop(t, SP_MREVOCATIONS, row));
    }
    *ret_n = purged;
    return SP_SUCCESS;
}

static sp_status audit_put(struct sp_tables *t, uint64_t seq, const struct sp_audit_append *in,
                           const uint8_t *hash) {
    struct sp_audit_row row = {.seq = seq, .time_ms = in->time_ms, .body_n = in->body.n};
    SP_TRY(SP_TEXT_SET(&row.action, in->action));
    SP_TRY(SP_TEXT_SET(&row.outcome, in->outcome));
    SP_TRY(SP_TEXT_SET(&row.actor, in->actor));
    SP_TRY(SP_TEXT_SET(&row.target, in->target));
    memcpy(row.hash, hash, sizeof(row.hash));
    row.body = copy_bytes(in->body.p, in->body.n);
    if (in->personal.n != 0) row.personal = copy_bytes(in->personal.p, in->personal.n);
    row.personal_n = in->personal.n;
    bool whole = row.body != NULL && (row.personal != NULL || in->personal.n == 0);
    sp_status status = whole ? put(t, SP_MAUDIT, &row) : sp_err(SP_E_NOMEM);
    sp_audit_row_done(&row);
    return status;
}

static sp_status audit_hash(struct sp_tables *t, uint64_t seq, uint8_t ret[SP_ROW_HASH_BYTES]) {
    struct sp_audit_row key = {.seq = seq};
    const struct sp_audit_row *row = sp_mtable_find(&self(t)->t[SP_MAUDIT], &key);
    if (row == NULL) return sp_err(SP_E_NOT_FOUND);
    memcpy(ret, row->hash, sizeof(row->hash));
    return SP_SUCCESS;
}

/* From the last to the first, so that each moves as few pointers as can be. */
static sp_status audit_remove(struct sp_tables *t, uint64_t first, uint64_t last, uint64_t *ret_n) {
    const struct sp_mtable *audit = &self(t)->t[SP_MAUDIT];
    const size_t before = audit->n;
    for (uint64_t seq = last; seq >= first; seq--) {
        struct sp_audit_row key = {.seq = seq};
        SP_TRY(drop(t, SP_MAUDIT, &key));
    }
    *ret_n = before - audit->n;
    return SP_SUCCESS;
}

static sp_status personal_remove(struct sp_tables *t, uint64_t seq, bool *ret_had) {
    struct sp_audit_row key = {.seq = seq};
    const struct sp_audit_row *row = sp_mtable_find(&self(t)->t[SP_MAUDIT], &key);
    *ret_had = row != NULL && row->personal != NULL;
    if (!*ret_had) return SP_SUCCESS;
    struct sp_audit_row without = *row;
    without.personal = NULL;
    without.personal_n = 0;
    return put(t, SP_MAUDIT, &without);
}

/* apply's own copy is the row. */
static sp_status meta_put(struct sp_tables *t, const struct sp_meta_row *row) {
    (void)t, (void)row;
    return SP_SUCCESS;
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
    .session_insert = session_put,
    .session_update = session_put,
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

void sp_memory_tables_init(struct sp_memory_tables *m) {
    *m = (struct sp_memory_tables){.tables = {&ops}};
    for (int i = 0; i < SP_MTABLES; i++) m->t[i].type = &types[i];
}

void sp_memory_tables_done(struct sp_memory_tables *m) {
    sp_mlog_done(&m->log);
    for (int i = 0; i < SP_MTABLES; i++) sp_mtable_done(&m->t[i]);
}

sp_status sp_memory_tables_assign(struct sp_memory_tables *to, const struct sp_memory_tables *from) {
    struct sp_memory_tables copy;
    sp_memory_tables_init(&copy);
    for (int i = 0; i < SP_MTABLES; i++) {
        sp_status s = sp_mtable_assign(&copy.t[i], &from->t[i]);
        if (sp_ok(s)) continue;
        sp_memory_tables_done(&copy);
        return s;
    }
    sp_memory_tables_done(to);
    *to = copy;
    return SP_SUCCESS;
}
