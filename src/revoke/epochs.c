/* The epochs of users, and of everyone. See epochs.h for what is promised, shards.h for how readers and
 * writers share a table.
 *
 * Exact: a slot holds the whole id of a user, 32 bytes, two to a line. Nearly every check misses, in a map
 * that is small: no filter. Its hash is not kept but computed again where a table is copied or dumped. */
#include "revoke/epochs.h"

#include "crypto/digest.h"
#include "revoke/pages.h"
#include "revoke/shards.h"

#define LINE_SLOTS 2

struct slot {
    uint8_t sub[SP_EPOCHS_SUB_BYTES]; /* written before `taken`, never after */
    _Atomic uint32_t epoch;
    _Atomic uint32_t expiry; /* readers do not ask: a token that lapsed with it passes nowhere */
    _Atomic uint32_t taken;
    uint32_t pad;
};
struct line {
    struct slot slot[LINE_SLOTS]; /* taken in order */
};
_Static_assert(sizeof(struct line) == SP_SHARD_LINE_BYTES, "a line of the table is one of the cache");

struct sp_epochs {
    struct sp_shards shards;
    _Alignas(64) _Atomic uint32_t global;
    atomic_bool has_users; /* some user was raised, ever: before that a check needs no hash */
    uint8_t key[SP_SIPHASH_KEY_BYTES];
    uint64_t (*hash)(const uint8_t *key, sp_slice sub);
};

static uint64_t keyed_hash(const uint8_t *key, sp_slice sub) {
    return sp_siphash(key, sub);
}
static uint64_t hash_of(const struct sp_epochs *e, const uint8_t *sub) {
    return e->hash(e->key, sp_slice_of(sub, SP_EPOCHS_SUB_BYTES));
}

/* ---- slots ---- */

static bool in_force(const struct slot *s, int64_t now_s) {
    return sp_shard_in_force(atomic_load_explicit(&s->expiry, memory_order_relaxed), now_s);
}
static bool is_taken(const struct slot *s) {
    /* acquire: the id and the epoch that were written before */
    return atomic_load_explicit(&s->taken, memory_order_acquire) != 0;
}
static bool is_of(const struct slot *s, const uint8_t *sub) {
    return memcmp(s->sub, sub, SP_EPOCHS_SUB_BYTES) == 0; /* ids are public */
}

/* The slot of sub, or the free one where it belongs. Which of both is decided here, once: a slot seen free
 * may be somebody else's a moment later. */
static struct slot *search(const struct sp_shard_table *t, uint64_t hash, const uint8_t *sub,
                           bool *ret_found) {
    for (uint32_t i = sp_shard_place(hash, t->lines);; i = sp_shard_next(t, i)) {
        struct line *line = sp_shard_line(t, i);
        for (size_t n = 0; n < LINE_SLOTS; n++) {
            struct slot *s = &line->slot[n];
            bool taken = is_taken(s);
            if (taken && !is_of(s, sub)) continue;
            *ret_found = taken;
            return s;
        }
    }
}

static void take(struct slot *s, const uint8_t *sub, uint32_t epoch, uint32_t expiry) {
    memcpy(s->sub, sub, SP_EPOCHS_SUB_BYTES);
    atomic_store_explicit(&s->epoch, epoch, memory_order_relaxed);
    atomic_store_explicit(&s->expiry, expiry, memory_order_relaxed);
    atomic_store_explicit(&s->taken, 1, memory_order_release); /* publishes the three above */
}

/* Under the lock: the n-th slot of a table, if it is taken and in force; NULL otherwise. */
static const struct slot *live_slot(const struct sp_shard_table *t, uint32_t n, int64_t now_s) {
    const struct line *line = sp_shard_line(t, n / LINE_SLOTS);
    const struct slot *s = &line->slot[n % LINE_SLOTS];
    bool taken = atomic_load_explicit(&s->taken, memory_order_relaxed) != 0;
    return taken && in_force(s, now_s) ? s : NULL;
}

static size_t count_in_force(const struct sp_shard_table *t, int64_t now_s) {
    size_t live = 0;
    for (uint32_t n = 0; n < t->slots; n++) live += live_slot(t, n, now_s) != NULL;
    return live;
}

static void copy_in_force(const struct sp_shard_table *from, struct sp_shard_table *to, int64_t now_s,
                          void *arg) {
    const struct sp_epochs *e = arg;
    for (uint32_t n = 0; n < from->slots; n++) {
        const struct slot *s = live_slot(from, n, now_s);
        bool found;
        if (s == NULL) continue;
        take(search(to, hash_of(e, s->sub), s->sub, &found), s->sub,
             atomic_load_explicit(&s->epoch, memory_order_relaxed),
             atomic_load_explicit(&s->expiry, memory_order_relaxed));
    }
}

/* ---- raising ---- */

/* Only the writer stores, so a load and a store are enough. */
static void grow_to(_Atomic uint32_t *v, uint32_t to) {
    if (to > atomic_load_explicit(v, memory_order_relaxed))
        atomic_store_explicit(v, to, memory_order_release);
}

/* False: nobody of that name is there. */
static bool raise_known(const struct sp_shard_table *t, uint64_t hash, const uint8_t *sub, uint32_t epoch,
                        uint32_t expiry) {
    bool found;
    struct slot *s = search(t, hash, sub, &found);
    if (!found) return false;
    grow_to(&s->epoch, epoch);
    grow_to(&s->expiry, expiry);
    return true;
}

static sp_status raise_locked(struct sp_epochs *e, const uint8_t *sub, uint32_t epoch, uint32_t expiry,
                              int64_t now_s) {
    uint64_t hash = hash_of(e, sub);
    size_t shard = sp_shard_of(hash);
    bool found;
    struct sp_shard_table *t = sp_shards_table(&e->shards, shard);
    if (t != NULL && raise_known(t, hash, sub, epoch, expiry)) return SP_SUCCESS;
    SP_TRY(sp_shards_make_room(&e->shards, shard, now_s));
    t = sp_shards_table(&e->shards, shard);
    take(search(t, hash, sub, &found), sub, epoch, expiry);
    sp_shards_count_added(&e->shards, shard);
    return SP_SUCCESS;
}

sp_status sp_epochs_raise_user(struct sp_epochs *e, sp_slice sub, uint32_t epoch, int64_t expiry_s,
                               int64_t now_s) {
    if (sub.n != SP_EPOCHS_SUB_BYTES) return sp_err(SP_E_MALFORMED);
    pthread_mutex_lock(&e->shards.lock);
    /* release: before the entry itself, so that no check that begins after we return looks past it */
    atomic_store_explicit(&e->has_users, true, memory_order_release);
    sp_status st = raise_locked(e, sub.p, epoch, sp_shard_clamp_expiry(expiry_s), now_s);
    pthread_mutex_unlock(&e->shards.lock);
    return st;
}

void sp_epochs_raise_global(struct sp_epochs *e, uint32_t epoch) {
    pthread_mutex_lock(&e->shards.lock);
    grow_to(&e->global, epoch);
    pthread_mutex_unlock(&e->shards.lock);
}

uint32_t sp_epochs_global(const struct sp_epochs *e) {
    return atomic_load_explicit(&e->global, memory_order_acquire);
}

enum sp_epoch_verdict sp_epochs_check(const struct sp_epochs *e, sp_slice sub, uint32_t epu, uint32_t epg) {
    if (sub.n != SP_EPOCHS_SUB_BYTES || epg < sp_epochs_global(e)) return SP_EPOCH_REVOKED;
    if (!atomic_load_explicit(&e->has_users, memory_order_acquire)) return SP_EPOCH_CURRENT;
    uint64_t hash = hash_of(e, sub.p);
    const struct sp_shard_table *t = sp_shards_table(&e->shards, sp_shard_of(hash));
    if (t == NULL) return SP_EPOCH_CURRENT;
    bool found;
    const struct slot *s = search(t, hash, sub.p, &found);
    if (!found) return SP_EPOCH_CURRENT;
    return epu < atomic_load_explicit(&s->epoch, memory_order_acquire) ? SP_EPOCH_REVOKED : SP_EPOCH_CURRENT;
}

/* ---- the dump ---- */

/* The order of a dump: by hash, then by id. It knows of no tables, so it survives every rebuild. */
static bool is_before(uint64_t hash_a, const uint8_t *sub_a, uint64_t hash_b, const uint8_t *sub_b) {
    if (hash_a != hash_b) return hash_a < hash_b;
    return memcmp(sub_a, sub_b, SP_EPOCHS_SUB_BYTES) < 0;
}
static bool is_given(const struct sp_epochs_dump *c, uint64_t hash, const uint8_t *sub) {
    if (hash < c->at) return true;
    return c->has_after && !is_before(c->at, c->after, hash, sub);
}

struct found_user {
    const struct slot *slot; /* NULL: none */
    uint64_t hash;
};

static void keep_first(struct found_user *best, const struct slot *s, uint64_t hash) {
    if (best->slot == NULL || is_before(hash, s->sub, best->hash, best->slot->sub))
        *best = (struct found_user){s, hash};
}

/* Of the users who belong to the line where the cursor is, the first who was not given. */
static struct found_user first_of_home(const struct sp_epochs *e, const struct sp_shard_table *t,
                                       const struct sp_epochs_dump *cursor, int64_t now_s) {
    struct found_user best = {0};
    const uint32_t home = sp_shard_place(cursor->at, t->lines);
    for (uint32_t i = home;; i = sp_shard_next(t, i)) {
        const struct line *line = sp_shard_line(t, i);
        for (size_t n = 0; n < LINE_SLOTS; n++) {
            const struct slot *s = &line->slot[n];
            if (!is_taken(s)) return best; /* nothing was ever pushed beyond a free slot */
            uint64_t hash = hash_of(e, s->sub);
            if (sp_shard_place(hash, t->lines) != home || is_given(cursor, hash, s->sub)) continue;
            if (in_force(s, now_s)) keep_first(&best, s, hash);
        }
    }
}

static void give(const struct slot *s, struct sp_epochs_entry *ret) {
    memcpy(ret->sub, s->sub, SP_EPOCHS_SUB_BYTES);
    ret->epoch = atomic_load_explicit(&s->epoch, memory_order_acquire);
    ret->expiry_s = atomic_load_explicit(&s->expiry, memory_order_relaxed);
}

/* One look: the next user of the line where the cursor is, or none and the cursor at the next line. */
static size_t dump_one(const struct sp_epochs *e, struct sp_epochs_dump *cursor, int64_t now_s,
                       struct sp_epochs_entry *ret, bool *ret_end) {
    const struct sp_shard_table *t = sp_shards_table(&e->shards, sp_shard_of(cursor->at));
    struct found_user next = {0};
    if (t != NULL) next = first_of_home(e, t, cursor, now_s);
    if (next.slot != NULL) {
        give(next.slot, ret);
        cursor->at = next.hash;
        cursor->has_after = true;
        memcpy(cursor->after, ret->sub, SP_EPOCHS_SUB_BYTES);
        return 1;
    }
    uint64_t behind = sp_shard_hash_behind(t, cursor->at);
    *ret_end = behind == 0;
    if (!*ret_end) *cursor = (struct sp_epochs_dump){.at = behind};
    return 0;
}

/* Looks that one step may take beyond its users, so that it ends soon where much is free or has lapsed. */
#define DUMP_LOOKS_MORE 1024

size_t sp_epochs_dump(const struct sp_epochs *e, struct sp_epochs_dump *cursor, int64_t now_s,
                      struct sp_epochs_entry *ret, size_t n_max, bool *ret_end) {
    size_t n = 0;
    bool end = false;
    for (size_t looks = 0; !end && n < n_max && looks < 2 * n_max + DUMP_LOOKS_MORE; looks++)
        n += dump_one(e, cursor, now_s, &ret[n], &end);
    *ret_end = end;
    return n;
}

/* ---- the rest ---- */

void sp_epochs_expire(struct sp_epochs *e, int64_t now_s) {
    sp_shards_expire(&e->shards, now_s);
}

void sp_epochs_clear_users(struct sp_epochs *e) {
    sp_shards_clear(&e->shards);
}
size_t sp_epochs_users(struct sp_epochs *e) {
    struct sp_shards_stats st;
    sp_shards_stats(&e->shards, &st);
    return st.used;
}

sp_status sp_epochs_new(const struct sp_epochs_opts *opts, struct sp_epochs **ret) {
    if (opts->users_max > SP_EPOCHS_USERS_MAX) return sp_err(SP_E_LIMIT);
    SP_AUTO_FREE(sp_epochs) e = sp_pages_new(sizeof *e);
    if (e == NULL) return sp_err(SP_E_NOMEM);
    const struct sp_shard_kind kind = {.slots_per_line = LINE_SLOTS,
                                       .count_in_force = count_in_force,
                                       .copy_in_force = copy_in_force,
                                       .arg = e};
    e->hash = opts->hash_for_test != NULL ? opts->hash_for_test : keyed_hash;
    SP_TRY(sp_random_fill(opts->random, e->key, sizeof e->key));
    SP_TRY(sp_shards_init(&e->shards, &kind, opts->reclaim,
                          opts->users_max != 0 ? opts->users_max : SP_EPOCHS_USERS_MAX));
    *ret = sp_steal(&e);
    return SP_SUCCESS;
}

void sp_epochs_free(struct sp_epochs *e) {
    if (e == NULL) return;
    sp_shards_done(&e->shards);
    sp_wipe(e, sizeof *e);
    sp_pages_free(e, sizeof *e);
}
