/* The cache of verified tokens. See token_cache.h for what it promises.
 *
 * Set-associative: a bucket is one cache line with six pointers and a 16-bit tag for each, so a miss costs
 * one line and a hit one more besides the token itself. Readers only load; a pointer that is replaced is
 * retired. The tag is a hint, written beside the pointer and not with it: a reader that pairs an old tag with
 * a new pointer misses (or compares and misses), which costs a verification and nothing else.
 *
 * Bytes: `linked` is what the buckets hold, `waiting` what has been unlinked and not yet been freed. Eviction
 * keeps linked under 7/8 of the maximum, so that there is room for what waits; an insert that would still
 * exceed the maximum is dropped. One lock for writers: it is held for the linking, not for the copying, and
 * whoever comes here has just paid for a signature.
 *
 * Turned down: a list in order of use (a reader would have to write to its neighbours), a fixed arena (tokens
 * differ in size by twenty), storing the payload as well (the claims are parsed, the text is in the token).
 */
#include "verify/token_cache.h"

#include <pthread.h>

#include "base/ct.h"
#include "crypto/digest.h"

#define WAYS 6
/* A slot for every 640 bytes: entries of our usual tokens take 1 KiB and more, so buckets stay half empty. */
#define BYTES_PER_SLOT 640
/* Buckets that one insert looks through for room: bounds its time; the clock goes on there the next time. */
#define SWEEP_BUCKETS_MAX 64
/* What malloc adds to a block, so that the bound is honest. */
#define MALLOC_OVERHEAD 16

struct entry {
    struct sp_retired retired;
    struct sp_token_cache *cache; /* counted: refs */
    uint64_t hash;
    size_t bytes;
    _Atomic uint8_t used; /* since the clock came by; a reader writes it only when it is clear */
    struct sp_cached_token fact;
    uint8_t data[]; /* the token, then the strings of the claims */
};

struct bucket {
    _Alignas(64) _Atomic(struct entry *) way[WAYS];
    _Atomic uint16_t tag[WAYS];
    uint8_t hand; /* writers */
};

struct sp_token_cache {
    void *table; /* of calloc, whose pages are not there before they are used: an idle server stays small */
    struct bucket *buckets; /* in the table, from the first cache line on */
    size_t mask;
    size_t bytes_max;
    struct sp_reclaim *reclaim;
    uint8_t key[SP_SIPHASH_KEY_BYTES];
    _Atomic size_t refs;    /* the owner, and every entry that has not been freed */
    _Atomic size_t waiting; /* bytes */
    pthread_mutex_t lock;   /* writers; guards all below */
    size_t linked;          /* bytes, the table included */
    size_t entries;
    size_t sweep; /* the next bucket of the clock */
    uint64_t evictions, skipped;
};

static uint64_t tail_hash(const struct sp_token_cache *c, sp_slice token) {
    const uint8_t *tail = token.p + (token.n - SP_TOKEN_CACHE_TAIL_BYTES);
    return sp_siphash(c->key, sp_slice_of(tail, SP_TOKEN_CACHE_TAIL_BYTES));
}
static struct bucket *bucket_of(const struct sp_token_cache *c, uint64_t hash) {
    return &c->buckets[hash & c->mask];
}
static uint16_t tag_of(uint64_t hash) {
    return (uint16_t)(hash >> 48);
}
static struct entry *load_way(const struct bucket *b, size_t i) {
    return atomic_load_explicit(&b->way[i], memory_order_seq_cst); /* reclaim.h says why seq_cst */
}

/* An entry is about 15 lines of one block, all of which a hit will read: asked for at once they arrive
 * together, which takes a sixth off a hit that is in no cache of the processor (bench/bench_revoke). */
static void prefetch_entry(const struct entry *e, size_t token_bytes) {
    const uint8_t *p = (const uint8_t *)e;
    size_t n = sizeof *e + token_bytes;
    for (size_t at = 0; at < n; at += 64) __builtin_prefetch(p + at);
}

const struct sp_cached_token *sp_token_cache_find(struct sp_token_cache *c, sp_slice token) {
    if (token.n < SP_TOKEN_CACHE_TAIL_BYTES) return NULL;
    uint64_t hash = tail_hash(c, token);
    const struct bucket *b = bucket_of(c, hash);
    for (size_t i = 0; i < WAYS; i++) {
        if (atomic_load_explicit(&b->tag[i], memory_order_relaxed) != tag_of(hash)) continue;
        struct entry *e = load_way(b, i);
        if (e == NULL) continue;
        prefetch_entry(e, token.n);
        if (e->hash != hash || !sp_ct_equal(e->fact.token, token)) continue;
        if (atomic_load_explicit(&e->used, memory_order_relaxed) == 0)
            atomic_store_explicit(&e->used, 1, memory_order_relaxed);
        return &e->fact;
    }
    return NULL;
}

static void cache_unref(struct sp_token_cache *c) {
    /* acq_rel: everything done to the cache under other references is done before the last one frees it */
    if (atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) != 1) return;
    pthread_mutex_destroy(&c->lock);
    free(c->table);
    sp_free_wiped(c, sizeof *c);
}

static void entry_free(struct entry *e) {
    struct sp_token_cache *c = e->cache;
    sp_free_wiped(e, e->bytes - MALLOC_OVERHEAD); /* a token is a secret while it lives */
    cache_unref(c);
}
static void entry_free_retired(struct sp_retired *link) {
    struct entry *e = SP_CONTAINER_OF(link, struct entry, retired);
    atomic_fetch_sub_explicit(&e->cache->waiting, e->bytes, memory_order_relaxed);
    entry_free(e);
}

static struct entry *entry_new(struct sp_token_cache *c, const struct sp_cached_token *fact, uint64_t hash) {
    size_t claims_bytes = sp_claims_bytes(&fact->claims);
    size_t size = sizeof(struct entry) + fact->token.n + claims_bytes;
    struct entry *e = calloc(1, size);
    if (e == NULL) return NULL;
    e->cache = c;
    e->hash = hash;
    e->bytes = size + MALLOC_OVERHEAD;
    e->fact = *fact;
    memcpy(e->data, fact->token.p, fact->token.n);
    e->fact.token = sp_slice_of(e->data, fact->token.n);
    sp_claims_copy(&fact->claims, e->data + fact->token.n, &e->fact.claims);
    e->fact.block = sp_slice_of(e->data + fact->token.n, claims_bytes);
    atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
    return e;
}

/* Under the lock. */
static void unlink_way(struct sp_token_cache *c, struct bucket *b, size_t i) {
    struct entry *e = load_way(b, i);
    if (e == NULL) return;
    atomic_store_explicit(&b->way[i], NULL, memory_order_seq_cst);
    c->linked -= e->bytes;
    c->entries--;
    atomic_fetch_add_explicit(&c->waiting, e->bytes, memory_order_relaxed);
    sp_reclaim_retire(c->reclaim, &e->retired, entry_free_retired);
}
static void evict_way(struct sp_token_cache *c, struct bucket *b, size_t i) {
    c->evictions++;
    unlink_way(c, b, i);
}

static bool has_expired(const struct entry *e, int64_t now_s) {
    return e->fact.claims.exp == SP_CLAIM_NO_DATE || e->fact.claims.exp < now_s - 60; /* the largest leeway */
}

/* The clock's look at one entry: true when it may go, otherwise it has lost its second chance. */
static bool may_go(struct entry *e, int64_t now_s) {
    if (has_expired(e, now_s)) return true;
    return atomic_exchange_explicit(&e->used, 0, memory_order_relaxed) == 0;
}

/* Under the lock. Evicts until `bytes` more fit under 7/8, or enough buckets were seen. */
static void sweep(struct sp_token_cache *c, size_t bytes, int64_t now_s) {
    size_t target = c->bytes_max / 8 * 7;
    for (size_t n = 0; n < SWEEP_BUCKETS_MAX && c->linked + bytes > target; n++) {
        struct bucket *b = &c->buckets[c->sweep++ & c->mask];
        for (size_t i = 0; i < WAYS; i++) {
            struct entry *e = load_way(b, i);
            if (e != NULL && may_go(e, now_s)) evict_way(c, b, i);
        }
    }
}

/* Under the lock, in a full bucket: the way that goes. Second chances for one round only, since readers may
 * give them out faster than we take them away. */
static size_t victim(struct bucket *b, int64_t now_s) {
    for (size_t n = 0; n < WAYS; n++) {
        size_t i = b->hand;
        b->hand = (uint8_t)((i + 1) % WAYS);
        if (may_go(load_way(b, i), now_s)) return i;
    }
    return b->hand;
}

/* Under the lock: a free way of the bucket; the same token under an older key makes room for itself. */
static size_t free_way(struct sp_token_cache *c, struct bucket *b, const struct entry *e, int64_t now_s) {
    size_t free = WAYS;
    for (size_t i = 0; i < WAYS; i++) {
        struct entry *old = load_way(b, i);
        if (old == NULL) {
            free = i;
        } else if (old->hash == e->hash && sp_slice_eq(old->fact.token, e->fact.token)) {
            unlink_way(c, b, i);
            return i;
        }
    }
    if (free != WAYS) return free;
    size_t i = victim(b, now_s);
    evict_way(c, b, i);
    return i;
}

static bool fits(const struct sp_token_cache *c, size_t bytes) {
    return c->linked + atomic_load_explicit(&c->waiting, memory_order_relaxed) + bytes <= c->bytes_max;
}

/* Under the lock. False: no room. */
static bool link_entry(struct sp_token_cache *c, struct entry *e, int64_t now_s) {
    sweep(c, e->bytes, now_s);
    if (!fits(c, e->bytes)) return false;
    struct bucket *b = bucket_of(c, e->hash);
    size_t i = free_way(c, b, e, now_s);
    atomic_store_explicit(&b->tag[i], tag_of(e->hash), memory_order_relaxed);
    atomic_store_explicit(&b->way[i], e, memory_order_seq_cst); /* publishes the entry */
    c->linked += e->bytes;
    c->entries++;
    return true;
}

void sp_token_cache_insert(struct sp_token_cache *c, const struct sp_cached_token *fact, int64_t now_s) {
    if (fact->token.n < SP_TOKEN_CACHE_TAIL_BYTES) return;
    struct entry *e = entry_new(c, fact, tail_hash(c, fact->token));
    pthread_mutex_lock(&c->lock);
    bool linked = e != NULL && link_entry(c, e, now_s);
    if (!linked) c->skipped++;
    pthread_mutex_unlock(&c->lock);
    if (linked || e == NULL) return;
    entry_free(e);
    (void)sp_reclaim_collect(c->reclaim); /* what waits is what was in the way */
}

void sp_token_cache_stats(struct sp_token_cache *c, struct sp_token_cache_stats *ret) {
    pthread_mutex_lock(&c->lock);
    *ret = (struct sp_token_cache_stats){
        .entries = c->entries,
        .bytes = c->linked + atomic_load_explicit(&c->waiting, memory_order_relaxed),
        .evictions = c->evictions,
        .skipped = c->skipped,
    };
    pthread_mutex_unlock(&c->lock);
}

static size_t buckets_for(size_t bytes_max) {
    size_t n = 1;
    while (n * WAYS < bytes_max / BYTES_PER_SLOT) n *= 2;
    return n;
}

static struct bucket *align_up(void *p) {
    uintptr_t at = (uintptr_t)p, line = _Alignof(struct bucket);
    return (struct bucket *)((at + line - 1) / line * line);
}

sp_status sp_token_cache_new(size_t bytes_max, struct sp_reclaim *reclaim, const struct sp_random *random,
                             struct sp_token_cache **ret) {
    if (bytes_max < SP_TOKEN_CACHE_BYTES_MIN || bytes_max > SP_TOKEN_CACHE_BYTES_MAX)
        return sp_err(SP_E_LIMIT);
    SP_AUTO_FREE(sp_token_cache) c = calloc(1, sizeof *c);
    if (c == NULL) return sp_err(SP_E_NOMEM);
    pthread_mutex_init(&c->lock, NULL);
    atomic_init(&c->refs, 1);
    size_t n = buckets_for(bytes_max), table_bytes = (n + 1) * sizeof(struct bucket);
    c->table = calloc(n + 1, sizeof(struct bucket));
    if (c->table == NULL) return sp_err(SP_E_NOMEM);
    c->buckets = align_up(c->table);
    c->mask = n - 1;
    c->bytes_max = bytes_max;
    c->linked = table_bytes;
    c->reclaim = reclaim;
    SP_TRY(sp_random_fill(random, c->key, sizeof c->key));
    *ret = sp_steal(&c);
    return SP_SUCCESS;
}

void sp_token_cache_free(struct sp_token_cache *c) {
    if (c == NULL) return;
    for (size_t n = 0; c->buckets != NULL && n <= c->mask; n++)
        for (size_t i = 0; i < WAYS; i++)
            if (load_way(&c->buckets[n], i) != NULL) entry_free(load_way(&c->buckets[n], i));
    cache_unref(c); /* entries that wait to be reclaimed hold the rest */
}
