/* The epochs of users, and of everyone. See epochs.h for what is promised.
 *
 * The same shape as the revocation set (set.c), but exact: a slot holds the whole id of a user. Within one
 * table a slot is taken once, by writing the id and then `taken`; after that its epoch and its expiry only
 * grow. What has lapsed is left behind by a rebuild. 32 bytes a slot, two to a line. */
#include "revoke/epochs.h"

#include <pthread.h>

#include "crypto/digest.h"

#define SLOTS_MIN 256
#define SOFT_FULL(slots) ((slots) / 4 * 3) /* as in set.c */
#define HARD_FULL(slots) ((slots) / 8 * 7)
#define EXPIRY_FOREVER UINT32_MAX

struct slot {
    uint8_t sub[SP_EPOCHS_SUB_BYTES]; /* written before `taken`, never after */
    _Atomic uint32_t epoch;
    _Atomic uint32_t expiry; /* writers only */
    _Atomic uint32_t taken;
    uint32_t pad;
};

struct table {
    struct sp_retired retired;
    size_t mask;
    struct slot slots[];
};

struct sp_epochs {
    _Atomic(struct table *) root;
    _Atomic uint32_t global;
    struct sp_reclaim *reclaim;
    uint8_t key[SP_SIPHASH_KEY_BYTES];
    uint64_t (*hash)(const uint8_t *key, sp_slice sub);
    size_t users_max;
    pthread_mutex_t lock; /* writers; guards `used` */
    size_t used;
};

static uint64_t keyed_hash(const uint8_t *key, sp_slice sub) {
    return sp_siphash(key, sub);
}

static uint32_t clamp_expiry(int64_t expiry_s) {
    if (expiry_s < 0) return 0;
    return expiry_s > (int64_t)UINT32_MAX ? EXPIRY_FOREVER : (uint32_t)expiry_s;
}
static bool in_force(const struct slot *s, int64_t now_s) {
    uint32_t expiry = atomic_load_explicit(&s->expiry, memory_order_relaxed);
    return expiry == EXPIRY_FOREVER || now_s <= (int64_t)expiry;
}
static bool is_taken(const struct slot *s) {
    /* acquire: the id and the epoch that were written before */
    return atomic_load_explicit(&s->taken, memory_order_acquire) != 0;
}

static struct table *table_new(size_t slots) {
    struct table *t = calloc(1, sizeof *t + slots * sizeof(struct slot));
    if (t != NULL) t->mask = slots - 1;
    return t;
}
static void table_free(struct sp_retired *link) {
    free(SP_CONTAINER_OF(link, struct table, retired));
}

static struct table *current(const struct sp_epochs *e) {
    return atomic_load_explicit(&e->root, memory_order_seq_cst); /* reclaim.h says why seq_cst */
}

/* The slot of sub, or the free one where it belongs. There is always a free one: HARD_FULL. Whether it was
 * found is decided here, once: a slot seen free may be somebody else's a moment later. */
static struct slot *find_slot(const struct sp_epochs *e, struct table *t, const uint8_t *sub,
                              bool *ret_found) {
    uint64_t h = e->hash(e->key, sp_slice_of(sub, SP_EPOCHS_SUB_BYTES));
    for (size_t i = (size_t)h & t->mask;; i = (i + 1) & t->mask) {
        struct slot *s = &t->slots[i];
        bool taken = is_taken(s);
        if (taken && memcmp(s->sub, sub, SP_EPOCHS_SUB_BYTES) != 0) continue; /* ids are public */
        *ret_found = taken;
        return s;
    }
}

static void take_slot(struct slot *s, const uint8_t *sub, uint32_t epoch, uint32_t expiry) {
    memcpy(s->sub, sub, SP_EPOCHS_SUB_BYTES);
    atomic_store_explicit(&s->epoch, epoch, memory_order_relaxed);
    atomic_store_explicit(&s->expiry, expiry, memory_order_relaxed);
    atomic_store_explicit(&s->taken, 1, memory_order_release); /* publishes the three above */
}

static size_t count_in_force(const struct table *t, int64_t now_s) {
    size_t n = 0;
    for (size_t i = 0; i <= t->mask; i++) n += is_taken(&t->slots[i]) && in_force(&t->slots[i], now_s);
    return n;
}

static void copy_in_force(const struct sp_epochs *e, struct table *from, struct table *to, int64_t now_s) {
    for (size_t i = 0; i <= from->mask; i++) {
        struct slot *s = &from->slots[i];
        bool found;
        if (!is_taken(s) || !in_force(s, now_s)) continue;
        take_slot(find_slot(e, to, s->sub, &found), s->sub,
                  atomic_load_explicit(&s->epoch, memory_order_relaxed),
                  atomic_load_explicit(&s->expiry, memory_order_relaxed));
    }
}

static size_t slots_for(size_t users) {
    size_t slots = SLOTS_MIN;
    while (slots / 2 < users + 1) slots *= 2;
    return slots;
}

/* Under the lock. `live` is what is in force at now_s. */
static sp_status rebuild(struct sp_epochs *e, int64_t now_s, size_t live) {
    struct table *old = current(e), *t = table_new(slots_for(live));
    if (t == NULL) return sp_err(SP_E_NOMEM);
    copy_in_force(e, old, t, now_s);
    e->used = live;
    atomic_store_explicit(&e->root, t, memory_order_seq_cst); /* publishes every slot of t */
    sp_reclaim_retire(e->reclaim, &old->retired, table_free);
    return SP_SUCCESS;
}

/* Under the lock: after success one more user fits into the current table. */
static sp_status make_room(struct sp_epochs *e, int64_t now_s) {
    size_t slots = current(e)->mask + 1;
    if (e->used < SOFT_FULL(slots)) return SP_SUCCESS;
    size_t live = count_in_force(current(e), now_s);
    if (live >= e->users_max) return sp_err(SP_E_LIMIT);
    sp_status st = rebuild(e, now_s, live);
    if (!sp_ok(st) && e->used < HARD_FULL(slots)) return SP_SUCCESS; /* no memory: what is left of this one */
    return st;
}

/* Only the writer stores, so a load and a store are enough. */
static void grow_to(_Atomic uint32_t *v, uint32_t to) {
    if (to > atomic_load_explicit(v, memory_order_relaxed))
        atomic_store_explicit(v, to, memory_order_release);
}

static sp_status raise_locked(struct sp_epochs *e, const uint8_t *sub, uint32_t epoch, uint32_t expiry,
                              int64_t now_s) {
    bool found;
    struct slot *s = find_slot(e, current(e), sub, &found);
    if (found) {
        grow_to(&s->epoch, epoch);
        grow_to(&s->expiry, expiry);
        return SP_SUCCESS;
    }
    SP_TRY(make_room(e, now_s));
    take_slot(find_slot(e, current(e), sub, &found), sub, epoch, expiry);
    e->used++;
    return SP_SUCCESS;
}

sp_status sp_epochs_raise_user(struct sp_epochs *e, sp_slice sub, uint32_t epoch, int64_t expiry_s,
                               int64_t now_s) {
    if (sub.n != SP_EPOCHS_SUB_BYTES) return sp_err(SP_E_MALFORMED);
    pthread_mutex_lock(&e->lock);
    sp_status st = raise_locked(e, sub.p, epoch, clamp_expiry(expiry_s), now_s);
    pthread_mutex_unlock(&e->lock);
    return st;
}

void sp_epochs_raise_global(struct sp_epochs *e, uint32_t epoch) {
    pthread_mutex_lock(&e->lock);
    grow_to(&e->global, epoch);
    pthread_mutex_unlock(&e->lock);
}

uint32_t sp_epochs_global(const struct sp_epochs *e) {
    return atomic_load_explicit(&e->global, memory_order_acquire);
}

enum sp_epoch_verdict sp_epochs_check(const struct sp_epochs *e, sp_slice sub, uint32_t epu, uint32_t epg) {
    if (sub.n != SP_EPOCHS_SUB_BYTES || epg < sp_epochs_global(e)) return SP_EPOCH_REVOKED;
    bool found;
    const struct slot *s = find_slot(e, current(e), sub.p, &found);
    if (!found) return SP_EPOCH_CURRENT;
    return epu < atomic_load_explicit(&s->epoch, memory_order_acquire) ? SP_EPOCH_REVOKED : SP_EPOCH_CURRENT;
}

/* The order of a dump: by hash, then by id. Survives every rebuild, since it does not know of tables. */
static bool is_given(const struct sp_epochs_dump *c, uint64_t hash, const uint8_t *sub) {
    if (hash != c->at) return hash < c->at;
    return c->has_after && memcmp(sub, c->after, SP_EPOCHS_SUB_BYTES) <= 0;
}

/* The lowest in that order which was not given yet; NULL when there is none. */
static const struct slot *next_to_give(const struct sp_epochs *e, const struct table *t, int64_t now_s,
                                       const struct sp_epochs_dump *cursor, struct sp_epochs_dump *ret) {
    const struct slot *best = NULL;
    for (size_t i = 0; i <= t->mask; i++) {
        const struct slot *s = &t->slots[i];
        if (!is_taken(s) || !in_force(s, now_s)) continue;
        uint64_t hash = e->hash(e->key, sp_slice_of(s->sub, SP_EPOCHS_SUB_BYTES));
        if (is_given(cursor, hash, s->sub) || (best != NULL && !is_given(ret, hash, s->sub))) continue;
        *ret = (struct sp_epochs_dump){.at = hash, .has_after = true};
        memcpy(ret->after, s->sub, SP_EPOCHS_SUB_BYTES);
        best = s;
    }
    return best;
}

size_t sp_epochs_dump(const struct sp_epochs *e, struct sp_epochs_dump *cursor, int64_t now_s,
                      struct sp_epochs_entry *ret, size_t n_max, bool *ret_end) {
    const struct table *t = current(e);
    size_t n = 0;
    bool end = false;
    while (n < n_max && !end) {
        struct sp_epochs_dump next;
        const struct slot *s = next_to_give(e, t, now_s, cursor, &next);
        end = s == NULL;
        if (end) break;
        memcpy(ret[n].sub, s->sub, SP_EPOCHS_SUB_BYTES);
        ret[n].epoch = atomic_load_explicit(&s->epoch, memory_order_relaxed);
        ret[n++].expiry_s = atomic_load_explicit(&s->expiry, memory_order_relaxed);
        *cursor = next;
    }
    *ret_end = end;
    return n;
}

void sp_epochs_expire(struct sp_epochs *e, int64_t now_s) {
    pthread_mutex_lock(&e->lock);
    size_t live = count_in_force(current(e), now_s);
    bool worth = (e->used - live) * 4 > e->used && e->used > SLOTS_MIN / 4;
    if (worth) SP_IGNORE(rebuild(e, now_s, live)); /* without memory the old table stays, and is right */
    pthread_mutex_unlock(&e->lock);
    (void)sp_reclaim_collect(e->reclaim);
}

size_t sp_epochs_users(struct sp_epochs *e) {
    pthread_mutex_lock(&e->lock);
    size_t n = e->used;
    pthread_mutex_unlock(&e->lock);
    return n;
}

sp_status sp_epochs_new(const struct sp_epochs_opts *opts, struct sp_epochs **ret) {
    if (opts->users_max > SP_EPOCHS_USERS_MAX) return sp_err(SP_E_LIMIT);
    SP_AUTO_FREE(sp_epochs) e = calloc(1, sizeof *e);
    if (e == NULL) return sp_err(SP_E_NOMEM);
    pthread_mutex_init(&e->lock, NULL);
    e->reclaim = opts->reclaim;
    e->hash = opts->hash_for_test != NULL ? opts->hash_for_test : keyed_hash;
    e->users_max = opts->users_max != 0 ? opts->users_max : SP_EPOCHS_USERS_MAX;
    SP_TRY(sp_random_fill(opts->random, e->key, sizeof e->key));
    struct table *t = table_new(SLOTS_MIN);
    if (t == NULL) return sp_err(SP_E_NOMEM);
    atomic_init(&e->root, t);
    *ret = sp_steal(&e);
    return SP_SUCCESS;
}

void sp_epochs_free(struct sp_epochs *e) {
    if (e == NULL) return;
    free(atomic_load_explicit(&e->root, memory_order_relaxed));
    pthread_mutex_destroy(&e->lock);
    sp_free_wiped(e, sizeof *e);
}
