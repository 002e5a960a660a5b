/* Chains in one array: an entry is 32 bytes, found by SipHash under a key of its own, linked by index. An
 * entry that has expired is unlinked by whoever walks past it, and each call walks along one chain more, in
 * turn, so that none stays for longer than it takes to go once round. When no free one is left, all chains
 * are swept, once a second at most, so that a full table does not make every call a sweep.
 *
 * 16 of the 32 bytes of a hash are kept. Whoever finds two inputs that share them (2^64 work) has made one of
 * his own proofs unusable.
 *
 * Turned down: two generations of a Bloom filter (it would refuse honest clients by chance, and an attacker
 * who fills it more of them); a heap by expiry (nobody needs the order); shards with a lock each (the lock is
 * held for 100 ns, the check of a signature before it takes 50 us). */
#include "token/replay.h"

#include <pthread.h>

enum { KEPT_BYTES = 16, SWEEP_EVERY_MS = 1000 };
#define NO_ENTRY UINT32_MAX

struct entry {
    uint8_t hash[KEPT_BYTES];
    int64_t expires_ms;
    uint32_t next;
};

struct sp_replay {
    pthread_mutex_t lock; /* guards all below */
    uint8_t key[SP_SIPHASH_KEY_BYTES];
    size_t max;  /* entries */
    size_t used; /* entries that were ever taken: the rest of the array was never touched */
    size_t held;
    uint32_t free;    /* chain of those that were given back */
    uint32_t *chains; /* their first entries; a power of two of them, at least as many as entries */
    size_t mask;
    size_t turn; /* the chain that is walked along next, whatever is asked for */
    struct entry *entries;
    int64_t swept_ms;
    bool was_swept;
    int64_t forgotten_ms; /* the latest expires_ms of what was given back */
};

static size_t chains_for(size_t max) {
    size_t n = 1;
    while (n < max) n *= 2;
    return n;
}

/* No chain is NO_ENTRY + 1 == 0 in memory that comes zeroed and untouched. */
static uint32_t first_of(const struct sp_replay *t, size_t chain) {
    return t->chains[chain] - 1;
}
static void set_first(struct sp_replay *t, size_t chain, uint32_t entry) {
    t->chains[chain] = entry + 1;
}

sp_status sp_replay_new(size_t entries_max, const struct sp_random *random, struct sp_replay **ret) {
    if (entries_max < SP_REPLAY_ENTRIES_MIN || entries_max > SP_REPLAY_ENTRIES_MAX) return sp_err(SP_E_LIMIT);
    SP_AUTO_FREE(sp_replay) t = calloc(1, sizeof *t);
    if (t == NULL) return sp_err(SP_E_NOMEM);
    (void)pthread_mutex_init(&t->lock, NULL);
    size_t chains = chains_for(entries_max);
    t->max = entries_max;
    t->mask = chains - 1;
    t->free = NO_ENTRY;
    SP_TRY(sp_random_fill(random, t->key, sizeof t->key));
    t->chains = calloc(chains, sizeof *t->chains);
    t->entries = calloc(entries_max, sizeof *t->entries);
    if (t->chains == NULL || t->entries == NULL) return sp_err(SP_E_NOMEM);
    *ret = sp_steal(&t);
    return SP_SUCCESS;
}

void sp_replay_free(struct sp_replay *t) {
    if (t == NULL) return;
    (void)pthread_mutex_destroy(&t->lock);
    free(t->chains);
    free(t->entries);
    sp_free_wiped(t, sizeof *t);
}

static void give_back(struct sp_replay *t, uint32_t i) {
    if (t->forgotten_ms < t->entries[i].expires_ms) t->forgotten_ms = t->entries[i].expires_ms;
    t->entries[i].next = t->free;
    t->free = i;
    t->held--;
}

/* Unlinks what has expired; true when `hash` (or NULL) is among the rest. */
static bool walk(struct sp_replay *t, size_t chain, const uint8_t *hash, int64_t now_ms) {
    uint32_t before = NO_ENTRY;
    bool found = false;
    for (uint32_t i = first_of(t, chain), next; i != NO_ENTRY; i = next) {
        struct entry *e = &t->entries[i];
        next = e->next;
        if (e->expires_ms > now_ms) {
            found = found || (hash != NULL && memcmp(e->hash, hash, KEPT_BYTES) == 0); /* public */
            before = i;
            continue;
        }
        if (before == NO_ENTRY)
            set_first(t, chain, next);
        else
            t->entries[before].next = next;
        give_back(t, i);
    }
    return found;
}

/* The clock may have been set back: then the last sweep says nothing. */
static void sweep(struct sp_replay *t, int64_t now_ms) {
    bool is_soon = t->was_swept && now_ms >= t->swept_ms && now_ms - t->swept_ms < SWEEP_EVERY_MS;
    if (is_soon) return;
    for (size_t chain = 0; chain <= t->mask; chain++) (void)walk(t, chain, NULL, now_ms);
    t->swept_ms = now_ms;
    t->was_swept = true;
}

static uint32_t take_entry(struct sp_replay *t, int64_t now_ms) {
    if (t->free == NO_ENTRY && t->used == t->max) sweep(t, now_ms);
    uint32_t i = t->free;
    if (i != NO_ENTRY) {
        t->free = t->entries[i].next;
    } else if (t->used < t->max) {
        i = (uint32_t)t->used++;
    }
    return i;
}

static enum sp_replay_verdict add(struct sp_replay *t, const uint8_t *hash, int64_t expires_ms,
                                  int64_t now_ms) {
    size_t chain = (size_t)sp_siphash(t->key, sp_slice_of(hash, KEPT_BYTES)) & t->mask;
    (void)walk(t, t->turn++ & t->mask, NULL, now_ms);
    if (walk(t, chain, hash, now_ms)) return SP_REPLAY_SEEN;
    if (expires_ms <= now_ms) return SP_REPLAY_NEW;
    uint32_t i = take_entry(t, now_ms);
    if (i == NO_ENTRY) return SP_REPLAY_FULL;
    struct entry *e = &t->entries[i];
    memcpy(e->hash, hash, KEPT_BYTES);
    e->expires_ms = expires_ms;
    e->next = first_of(t, chain);
    set_first(t, chain, i);
    t->held++;
    return SP_REPLAY_NEW;
}

enum sp_replay_verdict sp_replay_add(struct sp_replay *t, const uint8_t hash[SP_SHA256_BYTES],
                                     int64_t expires_ms, int64_t now_ms) {
    pthread_mutex_lock(&t->lock);
    enum sp_replay_verdict v = add(t, hash, expires_ms, now_ms);
    pthread_mutex_unlock(&t->lock);
    return v;
}

bool sp_replay_may_have_forgotten(struct sp_replay *t, int64_t expires_ms) {
    pthread_mutex_lock(&t->lock);
    bool may = expires_ms <= t->forgotten_ms;
    pthread_mutex_unlock(&t->lock);
    return may;
}

size_t sp_replay_entries(struct sp_replay *t) {
    pthread_mutex_lock(&t->lock);
    size_t n = t->held;
    pthread_mutex_unlock(&t->lock);
    return n;
}
