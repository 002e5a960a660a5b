/* The revocation set. See set.h for what is promised.
 *
 * Open addressing with linear probing over two arrays: 64-bit fingerprints, so that a miss touches one line
 * of eight of them, and 32-bit expiries beside. 12 bytes a slot.
 *
 * The invariant that makes readers simple: within one table a slot is taken once and keeps its fingerprint,
 * and its expiry only grows. Nothing is deleted in place. What has lapsed is left behind when the table is
 * built anew: bigger, smaller or of the same size; the new one is published in one store, and the old one
 * retired, so readers in it finish with what was true when they began.
 *
 * Turned down: reusing lapsed slots in place (a reader could pair one entry's fingerprint with another's
 * expiry), a lock for readers (a lookup costs less than the lock), rebuilding in steps (two tables to look
 * into on every miss, for a stall that only writers see: about 50 ns an entry). */
#include "revoke/set.h"

#include <endian.h>
#include <pthread.h>

#include "crypto/digest.h"

#define SLOTS_MIN 1024 /* 12 KiB: small servers never grow */
/* Rebuilt beyond 3/4 of the slots, where probe sequences begin to lengthen. When there is no memory for that,
 * the table fills to 7/8 before adding fails: it becomes slower before it becomes unable. */
#define SOFT_FULL(slots) ((slots) / 4 * 3)
#define HARD_FULL(slots) ((slots) / 8 * 7)

struct table {
    struct sp_retired retired;
    size_t mask; /* slots - 1; slots is a power of two */
    _Atomic uint32_t *expiry;
    _Atomic uint64_t fp[]; /* 0: free */
};

struct sp_revoke_set {
    _Atomic(struct table *) root;
    struct sp_reclaim *reclaim;
    uint8_t key[SP_REVOKE_KEY_BYTES];
    _Atomic uint32_t generation;
    uint64_t (*hash)(const uint8_t *key, enum sp_revoke_kind kind, sp_slice id);
    size_t entries_max;
    pthread_mutex_t lock; /* writers; guards all below */
    size_t used;          /* taken slots of the current table */
    uint64_t rebuilds;
};

_Static_assert(SP_REVOKE_KEY_BYTES == SP_SIPHASH_KEY_BYTES, "the key is a SipHash key");

static uint64_t keyed_hash(const uint8_t *key, enum sp_revoke_kind kind, sp_slice id) {
    uint8_t buf[1 + SP_REVOKE_ID_BYTES_MAX]; /* the kind in front: a jti is never a sid */
    buf[0] = (uint8_t)kind;
    memcpy(buf + 1, id.p, id.n);
    return le64toh(sp_siphash(key, sp_slice_of(buf, 1 + id.n))); /* sp_siphash gives the bytes as they are */
}

static bool id_fits(sp_slice id) {
    return id.n != 0 && id.n <= SP_REVOKE_ID_BYTES_MAX;
}

uint64_t sp_revoke_set_fingerprint(const struct sp_revoke_set *s, enum sp_revoke_kind kind, sp_slice id) {
    if (!id_fits(id)) return 0;
    uint64_t h = s->hash(s->key, kind, id);
    return h == 0 ? 1 : h; /* 0 says free; sharing 1 is one more collision in 2^64 */
}

static uint32_t clamp_expiry(int64_t expiry_s) {
    if (expiry_s < 0) return 0;
    return expiry_s > SP_REVOKE_FOREVER ? UINT32_MAX : (uint32_t)expiry_s;
}
static bool in_force(uint32_t expiry, int64_t now_s) {
    return expiry == UINT32_MAX || now_s <= (int64_t)expiry;
}

static size_t table_bytes(size_t slots) {
    return sizeof(struct table) + slots * (sizeof(uint64_t) + sizeof(uint32_t));
}

static struct table *table_new(size_t slots) {
    struct table *t = calloc(1, table_bytes(slots));
    if (t == NULL) return NULL;
    t->mask = slots - 1;
    t->expiry = (_Atomic uint32_t *)(void *)(t->fp + slots);
    return t;
}
static void table_free(struct sp_retired *link) {
    free(SP_CONTAINER_OF(link, struct table, retired));
}

/* The slot of fp, or the free slot where it belongs. There is always a free one: HARD_FULL. */
static size_t find_slot(const struct table *t, uint64_t fp, bool *ret_found) {
    for (size_t i = (size_t)fp & t->mask;; i = (i + 1) & t->mask) {
        /* acquire: the expiry that was written before this fingerprint */
        uint64_t v = atomic_load_explicit(&t->fp[i], memory_order_acquire);
        if (v != fp && v != 0) continue;
        *ret_found = v == fp;
        return i;
    }
}

/* Writer. The slot is free. */
static void take_slot(struct table *t, size_t i, uint64_t fp, uint32_t expiry) {
    atomic_store_explicit(&t->expiry[i], expiry, memory_order_relaxed);
    /* release: whoever sees the fingerprint sees its expiry */
    atomic_store_explicit(&t->fp[i], fp, memory_order_release);
}

static struct table *current(const struct sp_revoke_set *s) {
    return atomic_load_explicit(&s->root, memory_order_seq_cst); /* reclaim.h says why seq_cst */
}

static size_t count_in_force(const struct table *t, int64_t now_s) {
    size_t n = 0;
    for (size_t i = 0; i <= t->mask; i++) {
        if (atomic_load_explicit(&t->fp[i], memory_order_relaxed) == 0) continue;
        n += in_force(atomic_load_explicit(&t->expiry[i], memory_order_relaxed), now_s);
    }
    return n;
}

static void copy_in_force(const struct table *from, struct table *to, int64_t now_s) {
    for (size_t i = 0; i <= from->mask; i++) {
        uint64_t fp = atomic_load_explicit(&from->fp[i], memory_order_relaxed);
        uint32_t expiry = atomic_load_explicit(&from->expiry[i], memory_order_relaxed);
        bool found;
        if (fp != 0 && in_force(expiry, now_s)) take_slot(to, find_slot(to, fp, &found), fp, expiry);
    }
}

/* At most half full after a rebuild: the next is a quarter of the slots away, so that the cost of one is
 * spread over many adds. */
static size_t slots_for(size_t entries) {
    size_t slots = SLOTS_MIN;
    while (slots / 2 < entries + 1) slots *= 2;
    return slots;
}

/* Under the lock. `live` is what is in force at now_s. */
static sp_status rebuild(struct sp_revoke_set *s, int64_t now_s, size_t live) {
    struct table *old = current(s), *t = table_new(slots_for(live));
    if (t == NULL) return sp_err(SP_E_NOMEM);
    copy_in_force(old, t, now_s);
    s->used = live;
    s->rebuilds++;
    atomic_store_explicit(&s->root, t, memory_order_seq_cst); /* publishes every slot of t */
    sp_reclaim_retire(s->reclaim, &old->retired, table_free);
    return SP_SUCCESS;
}

/* Under the lock: after success one more entry fits into the current table. */
static sp_status make_room(struct sp_revoke_set *s, int64_t now_s) {
    size_t slots = current(s)->mask + 1;
    if (s->used < SOFT_FULL(slots)) return SP_SUCCESS;
    size_t live = count_in_force(current(s), now_s);
    /* The maximum is asked here only, where lapsed entries are told from others anyway: it bounds the table.
     */
    if (live >= s->entries_max) return sp_err(SP_E_LIMIT);
    sp_status st = rebuild(s, now_s, live);
    if (!sp_ok(st) && s->used < HARD_FULL(slots)) return SP_SUCCESS; /* no memory: what is left of this one */
    return st;
}

static sp_status add_locked(struct sp_revoke_set *s, uint64_t fp, uint32_t expiry, int64_t now_s) {
    struct table *t = current(s);
    bool found;
    size_t i = find_slot(t, fp, &found);
    if (found) {
        if (expiry > atomic_load_explicit(&t->expiry[i], memory_order_relaxed))
            atomic_store_explicit(&t->expiry[i], expiry, memory_order_release);
        return SP_SUCCESS;
    }
    SP_TRY(make_room(s, now_s));
    t = current(s);
    take_slot(t, find_slot(t, fp, &found), fp, expiry);
    s->used++;
    return SP_SUCCESS;
}

sp_status sp_revoke_set_add(struct sp_revoke_set *s, enum sp_revoke_kind kind, sp_slice id, int64_t expiry_s,
                            int64_t now_s) {
    uint64_t fp = sp_revoke_set_fingerprint(s, kind, id);
    if (fp == 0) return sp_err(SP_E_MALFORMED);
    pthread_mutex_lock(&s->lock);
    sp_status st = add_locked(s, fp, clamp_expiry(expiry_s), now_s);
    pthread_mutex_unlock(&s->lock);
    return st;
}

bool sp_revoke_set_contains_fingerprint(const struct sp_revoke_set *s, uint64_t fingerprint, int64_t now_s) {
    if (fingerprint == 0) return true;
    const struct table *t = current(s);
    bool found;
    size_t i = find_slot(t, fingerprint, &found);
    return found && in_force(atomic_load_explicit(&t->expiry[i], memory_order_acquire), now_s);
}

bool sp_revoke_set_contains(const struct sp_revoke_set *s, enum sp_revoke_kind kind, sp_slice id,
                            int64_t now_s) {
    return sp_revoke_set_contains_fingerprint(s, sp_revoke_set_fingerprint(s, kind, id), now_s);
}

sp_status sp_revoke_set_rekey(struct sp_revoke_set *s, const uint8_t key[SP_REVOKE_KEY_BYTES]) {
    pthread_mutex_lock(&s->lock);
    bool empty = s->used == 0;
    if (empty) {
        memcpy(s->key, key, sizeof s->key);
        atomic_fetch_add_explicit(&s->generation, 1, memory_order_seq_cst);
    }
    pthread_mutex_unlock(&s->lock);
    return empty ? SP_SUCCESS : sp_err(SP_E_CONFLICT);
}

void sp_revoke_set_key(const struct sp_revoke_set *s, uint8_t ret[SP_REVOKE_KEY_BYTES]) {
    memcpy(ret, s->key, sizeof s->key);
}

uint32_t sp_revoke_set_generation(const struct sp_revoke_set *s) {
    return atomic_load_explicit(&s->generation, memory_order_seq_cst);
}

sp_status sp_revoke_set_add_fingerprint(struct sp_revoke_set *s, uint64_t fingerprint, int64_t expiry_s,
                                        int64_t now_s) {
    if (fingerprint == 0) return sp_err(SP_E_MALFORMED);
    pthread_mutex_lock(&s->lock);
    sp_status st = add_locked(s, fingerprint, clamp_expiry(expiry_s), now_s);
    pthread_mutex_unlock(&s->lock);
    return st;
}

sp_status sp_revoke_set_reserve(struct sp_revoke_set *s, size_t more) {
    pthread_mutex_lock(&s->lock);
    bool fits = more <= s->entries_max && s->used <= s->entries_max - more;
    pthread_mutex_unlock(&s->lock);
    return fits ? SP_SUCCESS : sp_err(SP_E_LIMIT);
}

/* Keeps ret[0..n) sorted, with the lowest fingerprints seen. */
static size_t keep_lowest(struct sp_revoke_entry *ret, size_t n, size_t n_max, struct sp_revoke_entry e) {
    size_t i = n < n_max ? n : n_max;
    if (n == n_max && e.fingerprint > ret[n - 1].fingerprint) return n;
    if (n == n_max) i--;
    for (; i > 0 && ret[i - 1].fingerprint > e.fingerprint; i--) ret[i] = ret[i - 1];
    ret[i] = e;
    return n < n_max ? n + 1 : n;
}

size_t sp_revoke_set_dump(const struct sp_revoke_set *s, struct sp_revoke_dump *cursor, int64_t now_s,
                          struct sp_revoke_entry *ret, size_t n_max, bool *ret_end) {
    const struct table *t = current(s);
    size_t n = 0;
    for (size_t i = 0; i <= t->mask; i++) {
        struct sp_revoke_entry e = {.fingerprint = atomic_load_explicit(&t->fp[i], memory_order_acquire)};
        e.expiry_s = atomic_load_explicit(&t->expiry[i], memory_order_relaxed);
        if (e.fingerprint == 0 || e.fingerprint < cursor->at || !in_force(e.expiry_s, now_s)) continue;
        n = keep_lowest(ret, n, n_max, e);
    }
    *ret_end = n < n_max || ret[n - 1].fingerprint == UINT64_MAX;
    if (n != 0) cursor->at = *ret_end ? UINT64_MAX : ret[n - 1].fingerprint + 1;
    return n;
}

void sp_revoke_set_expire(struct sp_revoke_set *s, int64_t now_s) {
    pthread_mutex_lock(&s->lock);
    size_t live = count_in_force(current(s), now_s);
    /* Worth it when a quarter of a table beyond the smallest would be given back or made free. */
    bool worth = (s->used - live) * 4 > s->used && s->used > SLOTS_MIN / 4;
    if (worth) SP_IGNORE(rebuild(s, now_s, live)); /* without memory the old table stays, and is right */
    pthread_mutex_unlock(&s->lock);
    (void)sp_reclaim_collect(s->reclaim);
}

void sp_revoke_set_stats(struct sp_revoke_set *s, struct sp_revoke_set_stats *ret) {
    pthread_mutex_lock(&s->lock);
    size_t slots = current(s)->mask + 1;
    *ret = (struct sp_revoke_set_stats){.entries = s->used,
                                        .slots = slots,
                                        .bytes = table_bytes(slots),
                                        .peak_bytes = table_bytes(slots),
                                        .rebuilds = s->rebuilds};
    pthread_mutex_unlock(&s->lock);
}

static sp_status set_key(struct sp_revoke_set *s, const struct sp_revoke_set_opts *opts) {
    if (opts->key == NULL) return sp_random_fill(opts->random, s->key, sizeof s->key);
    memcpy(s->key, opts->key, sizeof s->key);
    return SP_SUCCESS;
}

sp_status sp_revoke_set_new(const struct sp_revoke_set_opts *opts, struct sp_revoke_set **ret) {
    if (opts->entries_max > SP_REVOKE_ENTRIES_MAX) return sp_err(SP_E_LIMIT);
    SP_AUTO_FREE(sp_revoke_set) s = calloc(1, sizeof *s);
    if (s == NULL) return sp_err(SP_E_NOMEM);
    pthread_mutex_init(&s->lock, NULL);
    s->reclaim = opts->reclaim;
    s->hash = opts->hash_for_test != NULL ? opts->hash_for_test : keyed_hash;
    s->entries_max = opts->entries_max != 0 ? opts->entries_max : SP_REVOKE_ENTRIES_MAX;
    SP_TRY(set_key(s, opts));
    struct table *t = table_new(SLOTS_MIN);
    if (t == NULL) return sp_err(SP_E_NOMEM);
    atomic_init(&s->root, t);
    *ret = sp_steal(&s);
    return SP_SUCCESS;
}

void sp_revoke_set_free(struct sp_revoke_set *s) {
    if (s == NULL) return;
    free(atomic_load_explicit(&s->root, memory_order_relaxed));
    pthread_mutex_destroy(&s->lock);
    sp_free_wiped(s, sizeof *s);
}
