#include "base/ct.h"
#include "store/apply.h"

static int64_t later(int64_t a, int64_t b) {
    return a > b ? a : b;
}

static int64_t sooner(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static sp_status session_get(struct sp_apply *a, uint32_t tenant, const uint8_t *sid,
                             struct sp_session_row *ret) {
    sp_status s = a->tables->ops->session_get(a->tables, tenant, sid, ret);
    return sp_is(s, SP_E_NOT_FOUND) ? sp_err(SP_E_CONFLICT) : s;
}

static bool is_unexpired(const struct sp_session_row *row, int64_t now_ms) {
    return row->idle_expires_ms > now_ms && row->absolute_expires_ms > now_ms;
}

static bool is_live(const struct sp_apply *a, const struct sp_session_row *row, int64_t now_ms) {
    return row->state == SP_SESSION_ACTIVE && is_unexpired(row, now_ms) &&
           row->global_epoch >= a->now.meta.session_floor;
}

/* The user exists and is enabled. */
static sp_status enabled_user(struct sp_apply *a, const struct sp_session_row *row, struct sp_user_row *ret) {
    sp_status s = a->tables->ops->user_get(a->tables, row->tenant, row->user_id, ret);
    if (sp_is(s, SP_E_NOT_FOUND)) return sp_err(SP_E_CONFLICT);
    SP_TRY(s);
    return ret->disabled ? sp_err(SP_E_CONFLICT) : SP_SUCCESS;
}

/* ---- rotate, reissue ---- */

static bool secret_is(const struct sp_session_row *row, const uint8_t *secret) {
    return sp_ct_equal(SP_SLICE_ARRAY(row->secret), sp_slice_of(secret, SP_ROW_SECRET_BYTES));
}

static bool same_client(const struct sp_session_row *row, const struct sp_session_rotate *in) {
    return sp_slice_eq(SP_TEXT_SLICE(&row->client_id), in->client_id) && row->mode == in->mode &&
           sp_slice_eq(SP_TEXT_SLICE(&row->jkt), in->jkt) && row->refresh_key == in->refresh_key;
}

static bool may_reissue(const struct sp_apply *a, const struct sp_session_row *row,
                        const struct sp_session_reissue *in) {
    return is_live(a, row, in->now_ms) && row->generation == in->generation && secret_is(row, in->secret) &&
           sp_slice_eq(SP_TEXT_SLICE(&row->client_id), in->client_id) &&
           sp_slice_eq(SP_TEXT_SLICE(&row->jkt), in->jkt);
}

static bool next_fits(const struct sp_apply *a, const struct sp_session_row *row,
                      const struct sp_session_rotate *in) {
    if (!in->heal) return in->next_generation == in->generation + 1;
    return in->next_generation > in->generation && row->incarnation < a->now.meta.incarnation;
}

static bool may_rotate(const struct sp_apply *a, const struct sp_session_row *row,
                       const struct sp_session_rotate *in) {
    return is_live(a, row, in->now_ms) && row->generation == in->generation && secret_is(row, in->secret) &&
           same_client(row, in) && next_fits(a, row, in) &&
           (in->rotated_before_ms == 0 || row->rotated_ms[0] < in->rotated_before_ms);
}

static void rotate(const struct sp_apply *a, struct sp_session_row *row, const struct sp_session_rotate *in) {
    row->generation = in->next_generation;
    memcpy(row->secret, in->next_secret, sizeof(row->secret));
    memmove(&row->rotated_ms[1], &row->rotated_ms[0], sizeof(row->rotated_ms) - sizeof(row->rotated_ms[0]));
    row->rotated_ms[0] = in->now_ms;
    row->has_attempt = in->attempt != NULL;
    memset(row->attempt, 0, sizeof(row->attempt));
    if (row->has_attempt) memcpy(row->attempt, in->attempt, sizeof(row->attempt));
    row->generation_used = false;
    row->incarnation = a->now.meta.incarnation;
    row->last_seen_ms = in->now_ms;
    row->idle_expires_ms = sooner(in->idle_expires_ms, row->absolute_expires_ms);
    row->access_exp_max_s = later(row->access_exp_max_s, in->access_exp_s);
    row->refreshes++;
}

sp_status sp_apply_session_rotate(struct sp_apply *a, struct sp_session_rotate *in) {
    SP_WIPED(session_row) row;
    SP_WIPED(user_row) user;
    SP_TRY(session_get(a, in->tenant, in->sid, &row));
    if (!may_rotate(a, &row, in)) return sp_err(SP_E_CONFLICT);
    SP_TRY(enabled_user(a, &row, &user));
    rotate(a, &row, in);
    SP_TRY(a->tables->ops->session_update(a->tables, &row));
    if (in->ret_session != NULL) *in->ret_session = row;
    if (in->ret_user != NULL) *in->ret_user = user;
    in->ret_global_epoch = a->now.meta.global_epoch;
    return SP_SUCCESS;
}

static void reissue(struct sp_session_row *row, const struct sp_session_reissue *in) {
    row->last_seen_ms = in->now_ms;
    row->access_exp_max_s = later(row->access_exp_max_s, in->access_exp_s);
    row->generation_used = row->generation_used || in->mark_used;
    if (in->idle_expires_ms == 0) return;
    row->idle_expires_ms = sooner(in->idle_expires_ms, row->absolute_expires_ms);
    row->refreshes++;
}

sp_status sp_apply_session_reissue(struct sp_apply *a, struct sp_session_reissue *in) {
    SP_WIPED(session_row) row;
    SP_WIPED(user_row) user;
    SP_TRY(session_get(a, in->tenant, in->sid, &row));
    if (!may_reissue(a, &row, in)) return sp_err(SP_E_CONFLICT);
    SP_TRY(enabled_user(a, &row, &user));
    reissue(&row, in);
    SP_TRY(a->tables->ops->session_update(a->tables, &row));
    if (in->ret_session != NULL) *in->ret_session = row;
    if (in->ret_user != NULL) *in->ret_user = user;
    in->ret_global_epoch = a->now.meta.global_epoch;
    return SP_SUCCESS;
}

/* ---- ends ---- */

struct end {
    enum sp_session_state state;
    enum sp_end_cause cause;
    int64_t now_ms;
};

/* When the last access token of it ends. A row that is older than the store's incarnation was put back from a
 * copy, and does not know what was issued in the time that was lost. */
static int64_t access_ends_s(const struct sp_apply *a, const struct sp_session_row *row, int64_t now_ms) {
    bool knows_all = row->incarnation >= a->now.meta.incarnation;
    return knows_all ? row->access_exp_max_s
                     : later(row->access_exp_max_s, now_ms / 1000 + a->now.meta.access_ttl_max_s);
}

/* None when the last token of it can no longer pass anywhere. */
static sp_status revoke_session(struct sp_apply *a, const struct sp_session_row *row, const struct end *end) {
    struct sp_revocation_row r = {.tenant = row->tenant, .what = SP_REVOKED_SID};
    if (__builtin_add_overflow(access_ends_s(a, row, end->now_ms), (int64_t)SP_REVOKE_SLACK_S, &r.expires_s))
        r.expires_s = INT64_MAX;
    if (r.expires_s < end->now_ms / 1000) return SP_SUCCESS;
    memcpy(r.id, row->sid, sizeof(row->sid));
    return sp_apply_revoke(a, &r);
}

/* The one way out of SP_SESSION_ACTIVE. */
static sp_status end_session(struct sp_apply *a, struct sp_session_row *row, const struct end *end) {
    row->state = end->state;
    row->cause = end->cause;
    row->ended_ms = end->now_ms;
    SP_TRY(a->tables->ops->session_update(a->tables, row));
    if (row->backchannel) SP_TRY(sp_apply_logout(a, row));
    return revoke_session(a, row, end);
}

/* Walks a user's key range: all sids that begin with its tag, of which a few may be another user's. */
struct walk {
    uint32_t tenant;
    struct sp_session_key at;
    uint8_t tag[4];
    const uint8_t *user_id;
};

static struct walk walk_of(uint32_t tenant, const uint8_t *tag, const uint8_t *user_id) {
    struct walk w = {.tenant = tenant, .at.tenant = tenant, .user_id = user_id};
    memcpy(w.tag, tag, sizeof(w.tag));
    memcpy(w.at.sid, tag, sizeof(w.tag));
    return w;
}

/* The key after this one; after the last of all, the first. */
static void key_next(struct sp_session_key *key) {
    for (size_t i = SP_ROW_SID_BYTES; i-- > 0;) {
        if (++key->sid[i] != 0) return;
    }
    key->tenant++;
}

/* SP_E_NOT_FOUND: the end of the range. */
static sp_status walk_next(struct sp_apply *a, struct walk *w, struct sp_session_row *ret) {
    for (;;) {
        SP_TRY(a->tables->ops->session_from(a->tables, &w->at, ret));
        if (ret->tenant != w->tenant || memcmp(ret->sid, w->tag, sizeof(w->tag)) != 0)
            return sp_err(SP_E_NOT_FOUND);
        memcpy(w->at.sid, ret->sid, sizeof(ret->sid));
        key_next(&w->at); /* past the last key of all: the next row found is outside the range */
        if (memcmp(ret->user_id, w->user_id, sizeof(ret->user_id)) == 0) return SP_SUCCESS;
    }
}

/* A child has none: families are one level deep. */
static sp_status end_children(struct sp_apply *a, const struct sp_session_row *parent, int64_t now_ms,
                              uint32_t *ret_n) {
    SP_WIPED(session_row) row;
    struct walk w = walk_of(parent->tenant, parent->sid, parent->user_id);
    const struct end end = {SP_SESSION_ENDED, SP_END_PARENT, now_ms};
    uint32_t ended = 0;
    while (!sp_session_has_parent(parent)) {
        sp_status s = walk_next(a, &w, &row);
        if (sp_is(s, SP_E_NOT_FOUND)) break;
        SP_TRY(s);
        if (row.state != SP_SESSION_ACTIVE || row.offline) continue;
        if (memcmp(row.parent, parent->sid, sizeof(row.parent)) != 0) continue;
        SP_TRY(end_session(a, &row, &end));
        ended++;
    }
    *ret_n = ended;
    return SP_SUCCESS;
}

static sp_status may_end(const struct sp_session_row *row, const struct sp_session_end *in) {
    if (row->state != SP_SESSION_ACTIVE) return sp_err(SP_E_CONFLICT);
    if (in->expect_generation != SP_GENERATION_ANY && row->generation != in->expect_generation)
        return sp_err(SP_E_CONFLICT);
    if (in->user_id != NULL && memcmp(row->user_id, in->user_id, sizeof(row->user_id)) != 0)
        return sp_err(SP_E_CONFLICT);
    return SP_SUCCESS;
}

sp_status sp_apply_session_end(struct sp_apply *a, struct sp_session_end *in) {
    SP_WIPED(session_row) row;
    uint32_t children;
    SP_TRY(session_get(a, in->tenant, in->sid, &row));
    SP_TRY(may_end(&row, in));
    SP_TRY(end_session(a, &row, &(struct end){in->state, in->cause, in->now_ms}));
    SP_TRY(end_children(a, &row, in->now_ms, &children));
    if (in->ret_session != NULL) *in->ret_session = row;
    in->ret_children = children;
    return SP_SUCCESS;
}

sp_status sp_apply_sessions_end(struct sp_apply *a, struct sp_sessions_end *in) {
    SP_WIPED(session_row) row;
    struct walk w = walk_of(in->tenant, in->sid_tag, in->user_id);
    const struct end end = {in->state, in->cause, in->now_ms};
    uint32_t ended = 0;
    for (;;) {
        sp_status s = walk_next(a, &w, &row);
        if (sp_is(s, SP_E_NOT_FOUND)) break;
        SP_TRY(s);
        if (row.state != SP_SESSION_ACTIVE) continue;
        if (in->except_sid != NULL && memcmp(row.sid, in->except_sid, sizeof(row.sid)) == 0) continue;
        SP_TRY(end_session(a, &row, &end));
        ended++;
    }
    in->ret_ended = ended;
    return SP_SUCCESS;
}

sp_status sp_apply_sessions_forget(struct sp_apply *a, struct sp_sessions_forget *in) {
    SP_WIPED(session_row) row;
    struct walk w = walk_of(in->tenant, in->sid_tag, in->user_id);
    uint32_t forgotten = 0;
    while (forgotten < in->most) {
        sp_status s = walk_next(a, &w, &row);
        if (sp_is(s, SP_E_NOT_FOUND)) break;
        SP_TRY(s);
        if (row.state == SP_SESSION_ACTIVE) continue;
        SP_TRY(a->tables->ops->session_remove(a->tables, row.tenant, row.sid));
        forgotten++;
    }
    in->ret_forgotten = forgotten;
    return SP_SUCCESS;
}

/* ---- insert ---- */

/* The sessions of the newcomer's user but itself. */
struct tally {
    uint32_t live, over, evictable;
    struct sp_session_row oldest_live, oldest_over; /* ties: the lowest sid. _live: of the evictable */
    bool has_own;                                   /* oldest_live is of the newcomer's own client */
};

static int64_t over_since(const struct sp_apply *a, const struct sp_session_row *row) {
    if (row->state != SP_SESSION_ACTIVE) return row->ended_ms;
    int64_t at = sooner(row->idle_expires_ms, row->absolute_expires_ms);
    if (row->global_epoch < a->now.meta.session_floor) at = sooner(at, a->now.meta.floor_ms);
    return at;
}

/* A client could sign a person in as often as it likes, until the sessions of all others are gone; so it
 * makes room among its own, as long as it has any. */
static bool is_own(const struct sp_session_row *row, const struct sp_session_row *newcomer) {
    return sp_session_has_parent(newcomer) &&
           sp_slice_eq(SP_TEXT_SLICE(&row->client_id), SP_TEXT_SLICE(&newcomer->client_id));
}

/* Making room must not take the newcomer's parent away from it. */
static void tally_live(const struct sp_session_row *row, const struct sp_session_row *newcomer,
                       struct tally *t) {
    t->live++;
    if (memcmp(row->sid, newcomer->parent, sizeof(row->sid)) == 0) return;
    const bool own = is_own(row, newcomer), older = row->created_ms < t->oldest_live.created_ms;
    if (t->evictable == 0 || own > t->has_own || (own == t->has_own && older)) {
        t->oldest_live = *row;
        t->has_own = own;
    }
    t->evictable++;
}

static void tally_add(const struct sp_apply *a, const struct sp_session_row *row,
                      const struct sp_session_row *newcomer, struct tally *t) {
    if (is_live(a, row, newcomer->created_ms)) {
        tally_live(row, newcomer, t);
    } else {
        if (t->over == 0 || over_since(a, row) < over_since(a, &t->oldest_over)) t->oldest_over = *row;
        t->over++;
    }
}

static sp_status tally_up(struct sp_apply *a, const struct sp_session_row *newcomer, struct tally *ret) {
    SP_WIPED(session_row) row;
    struct walk w = walk_of(newcomer->tenant, newcomer->sid, newcomer->user_id);
    ret->live = ret->over = ret->evictable = 0;
    ret->has_own = false;
    for (;;) {
        sp_status s = walk_next(a, &w, &row);
        if (sp_is(s, SP_E_NOT_FOUND)) return SP_SUCCESS;
        SP_TRY(s);
        if (memcmp(row.sid, newcomer->sid, sizeof(row.sid)) == 0) continue;
        tally_add(a, &row, newcomer, ret);
    }
}

/* One pass for each session that goes: usually that is one, or none. */
static sp_status evict(struct sp_apply *a, const struct sp_session_row *newcomer, uint32_t live_max,
                       struct tally *t, uint32_t *ret_n) {
    const struct end end = {SP_SESSION_ENDED, SP_END_TOO_MANY_SESSIONS, newcomer->created_ms};
    uint32_t evicted = 0, children;
    for (;;) {
        SP_TRY(tally_up(a, newcomer, t));
        if (t->live < live_max || t->evictable == 0) break;
        SP_TRY(end_session(a, &t->oldest_live, &end));
        SP_TRY(end_children(a, &t->oldest_live, newcomer->created_ms, &children));
        evicted++;
        if (t->live == live_max) break;
    }
    *ret_n = evicted;
    return SP_SUCCESS;
}

/* A login walks all that its user has, in the one thread that writes. So what is over is bounded too, or
 * somebody who logs in and out all day would make everybody wait for each of his logins. */
static sp_status make_room(struct sp_apply *a, const struct sp_session_row *newcomer, uint32_t live_max,
                           uint32_t *ret_evicted) {
    struct tally t;
    sp_status s = evict(a, newcomer, live_max, &t, ret_evicted);
    if (sp_ok(s) && t.over >= SP_SESSIONS_OVER_MAX)
        s = a->tables->ops->session_remove(a->tables, t.oldest_over.tenant, t.oldest_over.sid);
    sp_wipe(&t, sizeof(t));
    return s;
}

static bool fits_parent(const struct sp_apply *a, const struct sp_session_row *child,
                        const struct sp_session_row *parent) {
    return is_live(a, parent, child->created_ms) && !sp_session_has_parent(parent) &&
           memcmp(parent->user_id, child->user_id, sizeof(child->user_id)) == 0;
}

static sp_status parent_is_there(struct sp_apply *a, struct sp_session_insert *in) {
    SP_WIPED(session_row) parent;
    if (!sp_session_has_parent(in->row)) return SP_SUCCESS;
    sp_status s = session_get(a, in->row->tenant, in->row->parent, &parent);
    if (sp_ok(s) && !fits_parent(a, in->row, &parent)) s = sp_err(SP_E_CONFLICT);
    in->ret_parent_gone = sp_is(s, SP_E_CONFLICT);
    return s;
}

sp_status sp_apply_session_insert(struct sp_apply *a, struct sp_session_insert *in) {
    SP_WIPED(session_row) row;
    in->ret_parent_gone = false;
    sp_status s = a->tables->ops->session_get(a->tables, in->row->tenant, in->row->sid, &row);
    if (sp_ok(s)) return sp_err(SP_E_CONFLICT);
    if (!sp_is(s, SP_E_NOT_FOUND)) return s;
    SP_TRY(parent_is_there(a, in));
    row = *in->row;
    row.global_epoch = a->now.meta.global_epoch;
    row.incarnation = a->now.meta.incarnation;
    uint32_t evicted = 0;
    if (in->live_max != 0) SP_TRY(make_room(a, &row, in->live_max, &evicted));
    SP_TRY(a->tables->ops->session_insert(a->tables, &row));
    in->ret_evicted = evicted;
    return SP_SUCCESS;
}

/* ---- purge ---- */

/* Looks at `most` sessions at most, then goes on from there at the next step; at the end it starts over. */
static sp_status purge_sessions(struct sp_apply *a, const struct sp_purge *in, uint32_t *ret_n) {
    SP_WIPED(session_row) row;
    struct sp_session_key *at = &a->now.purge_at;
    uint32_t purged = 0;
    for (uint32_t i = 0; i < in->most; i++) {
        sp_status s = a->tables->ops->session_from(a->tables, at, &row);
        if (!sp_ok(s)) memset(at, 0, sizeof(*at));
        if (sp_is(s, SP_E_NOT_FOUND)) break;
        SP_TRY(s);
        at->tenant = row.tenant;
        memcpy(at->sid, row.sid, sizeof(row.sid));
        key_next(at); /* past the last key: wraps to the start, as it should */
        if (over_since(a, &row) >= in->sessions_before_ms) continue;
        SP_TRY(a->tables->ops->session_remove(a->tables, row.tenant, row.sid));
        purged++;
    }
    *ret_n = purged;
    return SP_SUCCESS;
}

sp_status sp_apply_purge(struct sp_apply *a, struct sp_purge *in) {
    uint32_t revocations, sessions;
    const uint64_t given = a->now.meta.revoke_seq, up_to = given > in->keep_last ? given - in->keep_last : 0;
    SP_TRY(a->tables->ops->revocations_purge(a->tables, in->now_s, up_to, in->most, &revocations));
    SP_TRY(purge_sessions(a, in, &sessions));
    in->ret_purged = revocations + sessions;
    return SP_SUCCESS;
}
