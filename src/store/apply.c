#include "store/apply.h"

#include "base/assert.h"

struct sp_apply_event {
    enum sp_event_kind kind;
    struct sp_revocation_row revocation; /* REVOKED */
    uint8_t head[SP_ROW_HASH_BYTES];     /* REVOKED: of the feed's chain, after it */
    uint32_t tenant;                     /* of what follows */
    sp_text128 name;                     /* of the role, kid of the key, id of the client */
    void *row;                           /* ROLE, KEY, CLIENT, LOGOUT: heap, as it was written */
};

/* Enough for most groups; grows for sessions_end. */
enum {
    EVENTS_AT_FIRST = 64,
    EVENTS_OF_A_SIMPLE_CHANGE = 2, /* at most: a client, and its epoch */
};

void sp_apply_init(struct sp_apply *a, struct sp_tables *tables, const struct sp_meta_row *meta) {
    *a = (struct sp_apply){.tables = tables, .env.log = sp_log_none};
    a->now.meta = *meta;
    a->kept = a->now;
}

static size_t event_row_bytes(enum sp_event_kind kind) {
    if (kind == SP_EVENT_KEY) return sizeof(struct sp_key_row);
    if (kind == SP_EVENT_LOGOUT) return sizeof(struct sp_logout_row);
    return kind == SP_EVENT_CLIENT ? sizeof(struct sp_client_row) : sizeof(struct sp_role_row);
}

static void event_done(struct sp_apply_event *e) {
    /* A key's bytes are sealed and a client's secrets hashed, but leave nothing lying around all the same. */
    if (e->row != NULL) sp_free_wiped(e->row, event_row_bytes(e->kind));
    e->row = NULL;
}

static void events_cut(struct sp_apply *a, size_t n) {
    while (a->n > n) event_done(&a->events[--a->n]);
    if (a->settled > n) a->settled = n;
}

void sp_apply_done(struct sp_apply *a) {
    events_cut(a, 0);
    free(a->events);
    a->events = NULL;
    a->cap = 0;
}

void sp_apply_reload(struct sp_apply *a, const struct sp_meta_row *meta) {
    a->now.meta = *meta;
    a->now.logouts_known = false;
    a->kept = a->now;
}

/* ---- events ---- */

sp_status sp_apply_reserve(struct sp_apply *a, size_t more) {
    if (a->cap - a->n >= more) return SP_SUCCESS;
    size_t cap = a->cap == 0 ? EVENTS_AT_FIRST : a->cap * 2;
    if (cap < a->n + more) cap = a->n + more;
    size_t bytes;
    if (!sp_mul_size(cap, sizeof(*a->events), &bytes)) return sp_err(SP_E_NOMEM);
    struct sp_apply_event *grown = realloc(a->events, bytes);
    if (grown == NULL) return sp_err(SP_E_NOMEM);
    a->events = grown;
    a->cap = cap;
    return SP_SUCCESS;
}

static struct sp_apply_event *event_push(struct sp_apply *a, enum sp_event_kind kind) {
    sp_assert(a->n < a->cap);
    struct sp_apply_event *e = &a->events[a->n++];
    memset(e, 0, sizeof(*e));
    e->kind = kind;
    return e;
}

void sp_apply_event_row(struct sp_apply *a, enum sp_event_kind kind, uint32_t tenant, sp_slice name,
                        void *row) {
    struct sp_apply_event *e = event_push(a, kind);
    e->tenant = tenant;
    sp_assert(sp_ok(SP_TEXT_SET(&e->name, name))); /* no key of a row is longer */
    e->row = row;
}

/* ---- the feed's chain ---- */

static bool chain_is_begun(const struct sp_meta_row *meta) {
    static const uint8_t zeros[SP_ROW_HASH_BYTES] = {0};
    return memcmp(meta->feed_head, zeros, sizeof(zeros)) != 0;
}

static void chain_begin(struct sp_apply *a) {
    struct sp_meta_row *meta = &a->now.meta;
    if (a->env.feed.start == NULL || chain_is_begun(meta)) return;
    a->env.feed.start(a->env.feed.arg, meta->feed_epoch, meta->feed_head);
}

void sp_apply_feed_renew(struct sp_apply *a, const uint8_t *epoch) {
    struct sp_meta_row *meta = &a->now.meta;
    memcpy(meta->feed_epoch, epoch, sizeof(meta->feed_epoch));
    memset(meta->feed_head, 0, sizeof(meta->feed_head));
    chain_begin(a);
}

/* A revocation outside a chain that was begun would split it in two of one epoch: better to stop. */
static void chain_link(struct sp_apply *a, const struct sp_revocation_row *row) {
    struct sp_meta_row *meta = &a->now.meta;
    if (!chain_is_begun(meta)) return;
    sp_assert(a->env.feed.link != NULL);
    a->env.feed.link(a->env.feed.arg, meta->feed_head, row, meta->feed_head);
}

/* The one place where a sequence is given. */
sp_status sp_apply_revoke(struct sp_apply *a, const struct sp_revocation_row *row) {
    struct sp_revocation_row numbered = *row;
    SP_TRY(sp_apply_reserve(a, 1));
    numbered.seq = a->now.meta.revoke_seq + 1;
    SP_TRY(a->tables->ops->revocation_put(a->tables, &numbered));
    a->now.meta.revoke_seq = numbered.seq;
    chain_link(a, &numbered);
    struct sp_apply_event *e = event_push(a, SP_EVENT_REVOKED);
    e->revocation = numbered;
    memcpy(e->head, a->now.meta.feed_head, sizeof(e->head));
    return SP_SUCCESS;
}

/* ---- publishing ---- */

static void publish(const struct sp_apply *a, const struct sp_apply_event *e) {
    if (a->env.publisher.publish == NULL) return;
    struct sp_store_event out = {.kind = e->kind};
    switch (e->kind) {
    case SP_EVENT_REVOKED:
        out.revocation = &e->revocation;
        out.feed_head = e->head;
        break;
    case SP_EVENT_ROLE: out.role = e->row; break;
    case SP_EVENT_ROLE_GONE: out.role_name = SP_TEXT_SLICE(&e->name); break;
    case SP_EVENT_KEY: out.key = e->row; break;
    case SP_EVENT_CLIENT: out.client = e->row; break;
    case SP_EVENT_CLIENT_GONE: out.client_id = SP_TEXT_SLICE(&e->name); break;
    case SP_EVENT_LOGOUT: out.logout = e->row; break;
    }
    a->env.publisher.publish(a->env.publisher.arg, &out);
}

void sp_apply_kept(struct sp_apply *a) {
    a->kept = a->now;
    for (size_t i = 0; i < a->n; i++) publish(a, &a->events[i]);
    events_cut(a, 0);
}

void sp_apply_dropped(struct sp_apply *a) {
    a->now = a->kept;
    events_cut(a, 0);
}

/* Of what was to go: SP_E_NOT_FOUND when it is still there. */
static sp_status gone(sp_status found) {
    if (sp_ok(found)) return sp_err(SP_E_NOT_FOUND);
    return sp_is(found, SP_E_NOT_FOUND) ? SP_SUCCESS : found;
}

static sp_status settle_gone_role(struct sp_tables *t, const struct sp_apply_event *e) {
    struct sp_role_row still;
    return gone(t->ops->role_get(t, e->tenant, SP_TEXT_SLICE(&e->name), &still));
}

static sp_status settle_gone_client(struct sp_tables *t, const struct sp_apply_event *e) {
    SP_WIPED(client_row) still;
    return gone(t->ops->client_get(t, e->tenant, SP_TEXT_SLICE(&e->name), &still));
}

static sp_status settle_logout(struct sp_tables *t, const struct sp_apply_event *e) {
    struct sp_logout_row now, *row = e->row;
    SP_TRY(t->ops->logout_get(t, row->seq, &now));
    *row = now;
    return SP_SUCCESS;
}

/* The row as it is now takes the place of the row as it would have been. */
static sp_status settle_event(struct sp_apply *a, struct sp_apply_event *e) {
    struct sp_tables *t = a->tables;
    sp_status s;
    switch (e->kind) {
    default:
    case SP_EVENT_REVOKED: s = t->ops->revocation_exists(t, e->revocation.seq); break;
    case SP_EVENT_KEY: s = t->ops->key_get(t, e->tenant, SP_TEXT_SLICE(&e->name), e->row); break;
    case SP_EVENT_ROLE: s = t->ops->role_get(t, e->tenant, SP_TEXT_SLICE(&e->name), e->row); break;
    case SP_EVENT_CLIENT: s = t->ops->client_get(t, e->tenant, SP_TEXT_SLICE(&e->name), e->row); break;
    case SP_EVENT_ROLE_GONE: s = settle_gone_role(t, e); break;
    case SP_EVENT_CLIENT_GONE: s = settle_gone_client(t, e); break;
    case SP_EVENT_LOGOUT: s = settle_logout(t, e); break;
    }
    if (sp_is(s, SP_E_NOT_FOUND)) return SP_SUCCESS;
    SP_TRY(s);
    publish(a, e);
    return SP_SUCCESS;
}

sp_status sp_apply_settle(struct sp_apply *a) {
    for (; a->settled < a->n; a->settled++) SP_TRY(settle_event(a, &a->events[a->settled]));
    events_cut(a, 0);
    return SP_SUCCESS;
}

/* ---- users ---- */

static sp_status absent(sp_status s) {
    if (sp_ok(s)) return sp_err(SP_E_CONFLICT);
    return sp_is(s, SP_E_NOT_FOUND) ? SP_SUCCESS : s;
}

static sp_status name_is_free(struct sp_apply *a, uint32_t tenant, sp_slice name) {
    uint8_t holder[SP_ROW_ID_BYTES];
    return absent(a->tables->ops->user_find(a->tables, tenant, name, holder));
}

static sp_status user_insert(struct sp_apply *a, struct sp_user_insert *in) {
    SP_WIPED(user_row) row;
    SP_TRY(absent(a->tables->ops->user_get(a->tables, in->row->tenant, in->row->id, &row)));
    SP_TRY(name_is_free(a, in->row->tenant, SP_TEXT_SLICE(&in->row->name)));
    row = *in->row;
    row.version = 1;
    return a->tables->ops->user_insert(a->tables, &row);
}

static struct sp_revocation_row user_epoch_raised(const struct sp_user_row *user, int64_t expires_s) {
    struct sp_revocation_row r = {
        .tenant = user->tenant,
        .what = SP_REVOKED_USER_EPOCH,
        .epoch = user->epoch,
        .expires_s = expires_s,
    };
    memcpy(r.id, user->id, sizeof(user->id));
    return r;
}

sp_status sp_apply_epoch_raise(uint32_t *epoch) {
    if (*epoch == UINT32_MAX) return sp_err(SP_E_UNAVAILABLE);
    ++*epoch;
    return SP_SUCCESS;
}

static sp_status user_update(struct sp_apply *a, struct sp_user_update *in) {
    SP_WIPED(user_row) old;
    SP_WIPED(user_row) row = *in->row;
    SP_TRY(sp_apply_present(a->tables->ops->user_get(a->tables, row.tenant, row.id, &old)));
    if (!sp_apply_version_holds(in->expect_version, old.version)) return sp_err(SP_E_CONFLICT);
    if (!sp_slice_eq(SP_TEXT_SLICE(&row.name), SP_TEXT_SLICE(&old.name)))
        SP_TRY(name_is_free(a, row.tenant, SP_TEXT_SLICE(&row.name)));
    row.version = old.version + 1;
    row.epoch = old.epoch;
    row.created_ms = old.created_ms;
    if (in->raise_epoch) SP_TRY(sp_apply_epoch_raise(&row.epoch));
    SP_TRY(a->tables->ops->user_update(a->tables, &row));
    if (in->raise_epoch) {
        struct sp_revocation_row r = user_epoch_raised(&row, in->epoch_expires_s);
        SP_TRY(sp_apply_revoke(a, &r));
    }
    in->ret_epoch = row.epoch;
    return SP_SUCCESS;
}

static sp_status user_delete(struct sp_apply *a, struct sp_user_delete *in) {
    SP_WIPED(user_row) old;
    SP_TRY(sp_apply_present(a->tables->ops->user_get(a->tables, in->tenant, in->id, &old)));
    if (!sp_apply_version_holds(in->expect_version, old.version)) return sp_err(SP_E_CONFLICT);
    uint32_t consents;
    SP_TRY(a->tables->ops->consents_remove(a->tables, in->tenant, in->id, SP_SLICE_EMPTY, &consents));
    return a->tables->ops->user_remove(a->tables, in->tenant, in->id);
}

static sp_status user_expect(struct sp_apply *a, struct sp_user_expect *in) {
    SP_WIPED(user_row) row;
    SP_TRY(sp_apply_present(a->tables->ops->user_get(a->tables, in->tenant, in->id, &row)));
    if (row.disabled) return sp_err(SP_E_CONFLICT);
    bool holds = in->expect_password != NULL
                     /* Public here: a PHC string that was read from this very row a moment ago. */
                     ? sp_slice_eq(SP_TEXT_SLICE(in->expect_password), SP_TEXT_SLICE(&row.password))
                     : sp_apply_version_holds(in->expect_version, row.version);
    if (!holds) return sp_err(SP_E_CONFLICT);
    if (in->ret_user != NULL) *in->ret_user = row;
    in->ret_global_epoch = a->now.meta.global_epoch;
    return SP_SUCCESS;
}

static sp_status user_epoch(struct sp_apply *a, struct sp_user_epoch *in) {
    SP_WIPED(user_row) row;
    SP_TRY(sp_apply_present(a->tables->ops->user_get(a->tables, in->tenant, in->id, &row)));
    SP_TRY(sp_apply_epoch_raise(&row.epoch));
    SP_TRY(a->tables->ops->user_update(a->tables, &row));
    struct sp_revocation_row r = user_epoch_raised(&row, in->expires_s);
    SP_TRY(sp_apply_revoke(a, &r));
    in->ret_epoch = row.epoch;
    return SP_SUCCESS;
}

/* ---- roles, keys ---- */

sp_status sp_apply_next_version(sp_status found, uint64_t is, uint64_t expected, uint64_t *ret) {
    if (sp_is(found, SP_E_NOT_FOUND)) {
        if (expected != SP_VERSION_ABSENT && expected != SP_VERSION_ANY) return sp_err(SP_E_CONFLICT);
        *ret = 1;
        return SP_SUCCESS;
    }
    SP_TRY(found);
    if (!sp_apply_version_holds(expected, is)) return sp_err(SP_E_CONFLICT);
    *ret = is + 1;
    return SP_SUCCESS;
}

static sp_status role_put(struct sp_apply *a, struct sp_role_put *in) {
    struct sp_role_row old = {0};
    sp_status found =
        a->tables->ops->role_get(a->tables, in->row->tenant, SP_TEXT_SLICE(&in->row->name), &old);
    uint64_t version;
    SP_TRY(sp_apply_next_version(found, old.version, in->expect_version, &version));
    SP_TRY(sp_apply_reserve(a, 1));
    struct sp_role_row *row = malloc(sizeof(*row));
    if (row == NULL) return sp_err(SP_E_NOMEM);
    *row = *in->row;
    row->version = version;
    sp_status put = a->tables->ops->role_put(a->tables, row);
    if (!sp_ok(put)) {
        free(row);
        return put;
    }
    sp_apply_event_row(a, SP_EVENT_ROLE, row->tenant, SP_TEXT_SLICE(&row->name), row);
    return SP_SUCCESS;
}

static sp_status role_delete(struct sp_apply *a, struct sp_role_delete *in) {
    struct sp_role_row old;
    SP_TRY(sp_apply_present(a->tables->ops->role_get(a->tables, in->tenant, in->name, &old)));
    SP_TRY(sp_apply_reserve(a, 1));
    SP_TRY(a->tables->ops->role_remove(a->tables, in->tenant, in->name));
    sp_apply_event_row(a, SP_EVENT_ROLE_GONE, in->tenant, SP_TEXT_SLICE(&old.name), NULL);
    return SP_SUCCESS;
}

static sp_status key_put(struct sp_apply *a, struct sp_key_put *in) {
    SP_WIPED(key_row) old = {0};
    sp_status found = a->tables->ops->key_get(a->tables, in->row->tenant, SP_TEXT_SLICE(&in->row->kid), &old);
    uint64_t version;
    SP_TRY(sp_apply_next_version(found, old.version, in->expect_version, &version));
    SP_TRY(sp_apply_reserve(a, 1));
    struct sp_key_row *row = malloc(sizeof(*row));
    if (row == NULL) return sp_err(SP_E_NOMEM);
    *row = *in->row;
    row->version = version;
    sp_status put = a->tables->ops->key_put(a->tables, row);
    if (!sp_ok(put)) {
        sp_free_wiped(row, sizeof(*row));
        return put;
    }
    sp_apply_event_row(a, SP_EVENT_KEY, row->tenant, SP_TEXT_SLICE(&row->kid), row);
    return SP_SUCCESS;
}

/* ---- the store as a whole ---- */

static sp_status revoke_jti(struct sp_apply *a, struct sp_revoke_jti *in) {
    struct sp_revocation_row r = {.tenant = in->tenant, .what = SP_REVOKED_JTI, .expires_s = in->expires_s};
    memcpy(r.id, in->jti, SP_ROW_ID_BYTES);
    return sp_apply_revoke(a, &r);
}

static sp_status global_epoch(struct sp_apply *a, struct sp_global_epoch *in) {
    struct sp_meta_row *meta = &a->now.meta;
    SP_TRY(sp_apply_epoch_raise(&meta->global_epoch));
    if (meta->global_epoch < in->at_least) meta->global_epoch = in->at_least;
    if (in->end_sessions) {
        meta->session_floor = meta->global_epoch;
        meta->floor_cause = in->cause;
        meta->floor_ms = in->now_ms;
    }
    /* tenant 0: it concerns them all */
    struct sp_revocation_row r = {
        .what = SP_REVOKED_GLOBAL_EPOCH, .epoch = meta->global_epoch, .expires_s = in->expires_s};
    SP_TRY(sp_apply_revoke(a, &r));
    in->ret_epoch = meta->global_epoch;
    return SP_SUCCESS;
}

/* The columns beside the body are for filters: what does not fit is cut, the chain covers the whole in the
 * body. Clients choose some of them (a login's name), so neither an error nor an assertion would do. */
static sp_slice clip(sp_slice s, size_t max) {
    return sp_slice_of(s.p, s.n < max ? s.n : max);
}

/* The MAC over the head is made once a group (sp_apply_finish): only the last one is ever stored. */
static sp_status audit_append(struct sp_apply *a, struct sp_audit_append *in) {
    sp_assert(a->env.audit.link != NULL && a->env.audit.seal != NULL);
    struct sp_meta_row *meta = &a->now.meta;
    uint8_t hash[SP_ROW_HASH_BYTES];
    uint64_t seq = meta->audit_count + 1;
    a->env.audit.link(a->env.audit.arg, seq, meta->audit_head, in->body, hash);
    struct sp_audit_append fits = *in;
    fits.action = clip(in->action, sizeof(((struct sp_audit_row *)0)->action.s));
    fits.outcome = clip(in->outcome, sizeof(((struct sp_audit_row *)0)->outcome.s));
    fits.actor = clip(in->actor, sizeof(((struct sp_audit_row *)0)->actor.s));
    fits.target = clip(in->target, sizeof(((struct sp_audit_row *)0)->target.s));
    SP_TRY(a->tables->ops->audit_put(a->tables, seq, &fits, hash));
    meta->audit_count = seq;
    memcpy(meta->audit_head, hash, sizeof(hash));
    in->ret_seq = seq;
    return SP_SUCCESS;
}

static sp_status personal_erase(struct sp_apply *a, struct sp_personal_erase *in) {
    uint32_t erased = 0;
    for (size_t i = 0; i < in->n; i++) {
        bool had;
        SP_TRY(a->tables->ops->personal_remove(a->tables, in->seqs[i], &had));
        erased += had;
    }
    in->ret_erased = erased;
    return SP_SUCCESS;
}

/* The bytes are public: the hashes of records are shown to whoever reads the log. */
static sp_status prune_fits(struct sp_apply *a, const struct sp_audit_prune *in) {
    const struct sp_meta_row *meta = &a->now.meta;
    uint8_t hash[SP_ROW_HASH_BYTES];
    if (in->expect_base != meta->audit_base || in->up_to <= in->expect_base) return sp_err(SP_E_CONFLICT);
    if (in->up_to - in->expect_base > SP_AUDIT_PRUNE_MOST || in->up_to >= meta->audit_count)
        return sp_err(SP_E_CONFLICT);
    SP_TRY(sp_apply_present(a->tables->ops->audit_hash(a->tables, in->up_to, hash)));
    const bool same = sp_slice_eq(SP_SLICE_ARRAY(hash), sp_slice_of(in->hash, sizeof(hash)));
    return same ? SP_SUCCESS : sp_err(SP_E_CONFLICT);
}

static sp_status audit_prune(struct sp_apply *a, const struct sp_audit_prune *in) {
    struct sp_meta_row *meta = &a->now.meta;
    uint64_t removed;
    SP_TRY(prune_fits(a, in));
    SP_TRY(a->tables->ops->audit_remove(a->tables, in->expect_base + 1, in->up_to, &removed));
    /* A log with holes is evidence, not something to tidy away. */
    if (removed != in->up_to - in->expect_base) return sp_err(SP_E_CONFLICT);
    meta->audit_base = in->up_to;
    memcpy(meta->audit_base_hash, in->hash, sizeof(meta->audit_base_hash));
    return SP_SUCCESS;
}

static sp_status meta_change(struct sp_apply *a, const struct sp_meta_change *in) {
    struct sp_meta_row *meta = &a->now.meta;
    if (in->next_incarnation) {
        if (meta->incarnation < in->incarnation_above) meta->incarnation = in->incarnation_above;
        SP_TRY(sp_apply_epoch_raise(&meta->incarnation));
        sp_assert(in->feed_epoch != NULL);
        sp_apply_feed_renew(a, in->feed_epoch);
    }
    if (in->alive_ms != 0) meta->alive_ms = in->alive_ms;
    if (in->count_boot) meta->boots++;
    if (in->access_ttl_max_s > meta->access_ttl_max_s) meta->access_ttl_max_s = in->access_ttl_max_s;
    return SP_SUCCESS;
}

sp_status sp_apply_finish(struct sp_apply *a) {
    struct sp_meta_row *meta = &a->now.meta;
    const struct sp_meta_row *kept = &a->kept.meta;
    if (meta->audit_count != kept->audit_count || meta->audit_base != kept->audit_base)
        a->env.audit.seal(a->env.audit.arg, meta, meta->audit_mac);
    /* NOLINTNEXTLINE: bytes of padding can only make equal rows look changed, and then one row is written */
    if (memcmp(meta, kept, sizeof(*meta)) == 0) return SP_SUCCESS;
    return a->tables->ops->meta_put(a->tables, meta);
}

/* ---- sets ---- */

static sp_status apply_change(struct sp_apply *a, struct sp_change *c) {
    switch (c->kind) {
    case SP_CHANGE_USER_INSERT: return user_insert(a, &c->user_insert);
    case SP_CHANGE_USER_UPDATE: return user_update(a, &c->user_update);
    case SP_CHANGE_USER_DELETE: return user_delete(a, &c->user_delete);
    case SP_CHANGE_USER_EXPECT: return user_expect(a, &c->user_expect);
    case SP_CHANGE_ROLE_PUT: return role_put(a, &c->role_put);
    case SP_CHANGE_ROLE_DELETE: return role_delete(a, &c->role_delete);
    case SP_CHANGE_SESSION_INSERT: return sp_apply_session_insert(a, &c->session_insert);
    case SP_CHANGE_SESSION_ROTATE: return sp_apply_session_rotate(a, &c->rotate);
    case SP_CHANGE_SESSION_REISSUE: return sp_apply_session_reissue(a, &c->reissue);
    case SP_CHANGE_SESSION_END: return sp_apply_session_end(a, &c->session_end);
    case SP_CHANGE_SESSIONS_END: return sp_apply_sessions_end(a, &c->sessions_end);
    case SP_CHANGE_REVOKE_JTI: return revoke_jti(a, &c->revoke_jti);
    case SP_CHANGE_USER_EPOCH: return user_epoch(a, &c->user_epoch);
    case SP_CHANGE_GLOBAL_EPOCH: return global_epoch(a, &c->global_epoch);
    case SP_CHANGE_KEY_PUT: return key_put(a, &c->key_put);
    case SP_CHANGE_AUDIT: return audit_append(a, &c->audit);
    case SP_CHANGE_META: return meta_change(a, &c->meta);
    case SP_CHANGE_PURGE: return sp_apply_purge(a, &c->purge);
    case SP_CHANGE_PERSONAL_ERASE: return personal_erase(a, &c->personal_erase);
    case SP_CHANGE_SESSIONS_FORGET: return sp_apply_sessions_forget(a, &c->sessions_forget);
    case SP_CHANGE_AUDIT_PRUNE: return audit_prune(a, &c->audit_prune);
    case SP_CHANGE_CLIENT_PUT: return sp_apply_client_put(a, &c->client_put);
    case SP_CHANGE_CLIENT_DELETE: return sp_apply_client_delete(a, &c->client_delete);
    case SP_CHANGE_CLIENT_EXPECT: return sp_apply_client_expect(a, &c->client_expect);
    case SP_CHANGE_CONSENT_PUT: return sp_apply_consent_put(a, &c->consent_put);
    case SP_CHANGE_CONSENT_DELETE: return sp_apply_consent_delete(a, &c->consent_delete);
    case SP_CHANGE_LOGOUT_TRIED: return sp_apply_logout_tried(a, &c->logout_tried);
    case SP_CHANGE_LOGOUT_DONE: return sp_apply_logout_done(a, &c->logout_done);
    }
    return sp_err(SP_E_UNSUPPORTED);
}

/* A change that cannot refuse after its first write, nor meet a row that does not load. */
static bool never_refuses(enum sp_change_kind kind) {
    return kind == SP_CHANGE_AUDIT || kind == SP_CHANGE_REVOKE_JTI;
}

static bool checks_before_it_writes(enum sp_change_kind kind) {
    return kind != SP_CHANGE_SESSION_INSERT && kind != SP_CHANGE_SESSION_END &&
           kind != SP_CHANGE_SESSIONS_END && kind != SP_CHANGE_PURGE && kind != SP_CHANGE_PERSONAL_ERASE &&
           kind != SP_CHANGE_SESSIONS_FORGET && kind != SP_CHANGE_AUDIT_PRUNE;
}

/* A mark costs more than a rotation's own statements (bench/bench_store), and most sets cannot fail half way:
 * they check, write once, and append to the log. */
static bool needs_mark(const struct sp_store_commit *c) {
    bool wrote = false;
    for (size_t i = 0; i < c->n; i++) {
        enum sp_change_kind kind = c->changes[i].kind;
        if (!checks_before_it_writes(kind)) return true;
        if (wrote && !never_refuses(kind)) return true;
        if (kind != SP_CHANGE_USER_EXPECT && kind != SP_CHANGE_CLIENT_EXPECT) wrote = true;
    }
    return false;
}

static sp_status apply_changes(struct sp_apply *a, struct sp_store_commit *c) {
    SP_TRY(sp_apply_reserve(a, c->n * EVENTS_OF_A_SIMPLE_CHANGE));
    for (size_t i = 0; i < c->n; i++) {
        sp_status s = apply_change(a, &c->changes[i]);
        if (sp_ok(s)) continue;
        c->failed = i;
        return s;
    }
    return SP_SUCCESS;
}

static sp_status apply_marked(struct sp_apply *a, struct sp_store_commit *c) {
    SP_TRY(a->tables->ops->mark(a->tables));
    sp_status s = apply_changes(a, c);
    if (sp_ok(s)) return a->tables->ops->release(a->tables);
    SP_TRY(a->tables->ops->undo(a->tables));
    return s;
}

sp_status sp_apply_set(struct sp_apply *a, struct sp_store_commit *c) {
    struct sp_apply_state before = a->now;
    size_t events = a->n;
    c->failed = 0;
    chain_begin(a);
    sp_status s = needs_mark(c) ? apply_marked(a, c) : apply_changes(a, c);
    if (sp_ok(s)) return s;
    a->now = before;
    events_cut(a, events);
    return s;
}
