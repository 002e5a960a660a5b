/* The revocation set. See set.h for what is promised, shards.h for how readers and writers share a table.
 *
 * A line holds five entries, fingerprints and expiries together, so that a hit touches one line: 12.8 bytes a
 * slot. In front of the lines each table has a blocked Bloom filter, so that a miss touches one line of that
 * instead: at ten million entries the filters are 13 MiB, where the tables are 165. The filter lives and dies
 * with its table, is made for as many entries as fit and is filled anew by each rebuild: so it never has to
 * forget, and needs no second generation.
 *
 * What the table knows of an entry is its mark: the fingerprint times an odd number that is this set's
 * secret. That is a permutation, so it is as exact, and it gives the fingerprint back. But what comes in the
 * order of another set (a dump), or chosen by somebody, is in no order here: sorted fingerprints, put in as
 * they are, would fill the first lines of a table that is still small, and each add would have to walk past
 * them all.
 *
 * Turned down, measured (docs/internals/revoke.md): no filter, other sizes of it, two generations of it;
 * tables in the order of fingerprints. */
#include "revoke/set.h"

#include <endian.h>

#include "crypto/digest.h"
#include "revoke/pages.h"
#include "revoke/shards.h"

#define LINE_ENTRIES 5
/* Bits of filter for each entry that fits, four of them set: 1.3 % of misses get past a full one. */
#define FILTER_BITS 10

struct line {
    _Atomic uint64_t mark[LINE_ENTRIES]; /* 0: free. Taken in order */
    _Atomic uint32_t expiry[LINE_ENTRIES];
    uint32_t pad;
};
struct block {
    _Atomic uint64_t word[8];
};
_Static_assert(sizeof(struct line) == SP_SHARD_LINE_BYTES && sizeof(struct block) == SP_SHARD_LINE_BYTES,
               "a line of the table is one of the cache");
_Static_assert(SP_REVOKE_KEY_BYTES == SP_SIPHASH_KEY_BYTES, "the key is a SipHash key");

struct sp_revoke_set {
    struct sp_shards shards;
    /* The key, written by rekey only: `turns` is odd while it is. Readers that saw it change read again. */
    _Alignas(64) _Atomic uint64_t key[2];
    _Atomic uint32_t turns;
    uint64_t mix, unmix; /* see mark_of */
    uint64_t (*hash)(const uint8_t *key, enum sp_revoke_kind kind, sp_slice id);
};

/* ---- fingerprints ---- */

static uint64_t keyed_hash(const uint8_t *key, enum sp_revoke_kind kind, sp_slice id) {
    uint8_t buf[1 + SP_REVOKE_ID_BYTES_MAX]; /* the kind in front: a jti is never a sid */
    buf[0] = (uint8_t)kind;
    memcpy(buf + 1, id.p, id.n);
    return le64toh(sp_siphash(key, sp_slice_of(buf, 1 + id.n))); /* its bytes, in the order of the wire */
}

static bool id_fits(sp_slice id) {
    return id.n != 0 && id.n <= SP_REVOKE_ID_BYTES_MAX;
}

void sp_revoke_set_key(const struct sp_revoke_set *s, uint8_t ret[SP_REVOKE_KEY_BYTES]) {
    uint32_t before, after;
    do {
        uint64_t half[2];
        before = atomic_load_explicit(&s->turns, memory_order_acquire);
        /* acquire: who sees a new half sees the turn that was taken before it was written */
        half[0] = atomic_load_explicit(&s->key[0], memory_order_acquire);
        half[1] = atomic_load_explicit(&s->key[1], memory_order_acquire);
        memcpy(ret, half, sizeof half);
        after = atomic_load_explicit(&s->turns, memory_order_relaxed);
    } while (before != after || before % 2 != 0);
}

static void store_key(struct sp_revoke_set *s, const uint8_t key[SP_REVOKE_KEY_BYTES]) {
    uint64_t half[2];
    memcpy(half, key, sizeof half);
    atomic_fetch_add_explicit(&s->turns, 1, memory_order_relaxed);
    atomic_store_explicit(&s->key[0], half[0], memory_order_release);
    atomic_store_explicit(&s->key[1], half[1], memory_order_release);
    atomic_fetch_add_explicit(&s->turns, 1, memory_order_release);
}

uint32_t sp_revoke_set_generation(const struct sp_revoke_set *s) {
    return atomic_load_explicit(&s->turns, memory_order_acquire) / 2;
}

uint64_t sp_revoke_set_fingerprint(const struct sp_revoke_set *s, enum sp_revoke_kind kind, sp_slice id) {
    if (!id_fits(id)) return 0;
    uint8_t key[SP_REVOKE_KEY_BYTES];
    sp_revoke_set_key(s, key);
    uint64_t h = s->hash(key, kind, id);
    return h == 0 ? 1 : h; /* 0 says free; sharing 1 is one more collision in 2^64 */
}

sp_status sp_revoke_set_rekey(struct sp_revoke_set *s, const uint8_t key[SP_REVOKE_KEY_BYTES]) {
    pthread_mutex_lock(&s->shards.lock);
    bool empty = s->shards.used == 0;
    if (empty) store_key(s, key);
    pthread_mutex_unlock(&s->shards.lock);
    return empty ? SP_SUCCESS : sp_err(SP_E_CONFLICT);
}

void sp_revoke_set_clear(struct sp_revoke_set *s) {
    sp_shards_clear(&s->shards);
}

/* ---- marks ---- */

static inline uint64_t mark_of(const struct sp_revoke_set *s, uint64_t fingerprint) {
    return fingerprint * s->mix; /* modulo 2^64; 0 for 0 only, since mix is odd */
}

/* By Newton's iteration: an odd number is its own inverse modulo 8, and each step doubles the right bits. */
static uint64_t inverse_of(uint64_t odd) {
    uint64_t inverse = odd;
    for (int i = 0; i < 5; i++) inverse *= 2 - odd * inverse;
    return inverse;
}

static sp_status draw(const struct sp_revoke_set_opts *opts, void *p, size_t n) {
    return sp_random_fill(opts->random != NULL ? opts->random : &sp_random_system, p, n);
}

static sp_status set_mix(struct sp_revoke_set *s, const struct sp_revoke_set_opts *opts) {
    s->mix = opts->mix_for_test;
    if (s->mix == 0) SP_TRY(draw(opts, &s->mix, sizeof s->mix));
    s->mix |= 1;
    s->unmix = inverse_of(s->mix);
    return SP_SUCCESS;
}

/* ---- the filter ---- */

/* An entry sets two bits in each of two words of its block: of the lower four words and of the upper four.
 * The place of the block comes from the upper bits of the mark, these from the lower 28. */
struct filter_bits {
    size_t word[2];
    uint64_t mask[2];
};

static inline uint64_t two_bits(uint64_t v) {
    return (uint64_t)1 << (v & 63) | (uint64_t)1 << (v >> 6 & 63);
}
static inline struct filter_bits filter_bits(uint64_t mark) {
    return (struct filter_bits){.word = {mark & 3, 4 + (mark >> 2 & 3)},
                                .mask = {two_bits(mark >> 4), two_bits(mark >> 16)}};
}
static inline struct block *filter_block(const struct sp_shard_table *t, uint64_t mark) {
    return sp_shard_block(t, sp_shard_place(mark, t->blocks));
}

static inline bool filter_may_have(const struct sp_shard_table *t, uint64_t mark) {
    if (t->blocks == 0) return true;
    const struct block *b = filter_block(t, mark);
    struct filter_bits f = filter_bits(mark);
    uint64_t low = atomic_load_explicit(&b->word[f.word[0]], memory_order_relaxed);
    uint64_t high = atomic_load_explicit(&b->word[f.word[1]], memory_order_relaxed);
    return ((~low & f.mask[0]) | (~high & f.mask[1])) == 0;
}

/* The only writer: a load and a store are enough. */
static void filter_add(struct sp_shard_table *t, uint64_t mark) {
    if (t->blocks == 0) return;
    struct block *b = filter_block(t, mark);
    struct filter_bits f = filter_bits(mark);
    for (size_t i = 0; i < 2; i++) {
        uint64_t w = atomic_load_explicit(&b->word[f.word[i]], memory_order_relaxed);
        atomic_store_explicit(&b->word[f.word[i]], w | f.mask[i], memory_order_release);
    }
}

/* ---- lines ---- */

struct place {
    struct line *line;
    size_t at; /* LINE_ENTRIES: the line is full of others */
    bool found;
};

static inline struct place search_line(struct line *line, uint64_t mark, memory_order order) {
    size_t at = 0;
    for (; at < LINE_ENTRIES; at++) {
        uint64_t v = atomic_load_explicit(&line->mark[at], order);
        if (v == mark) return (struct place){line, at, true};
        if (v == 0) break;
    }
    return (struct place){line, at, false};
}

/* The slot of mark, or the free one where it belongs. Readers acquire: whatever was written before the
 * mark. Who holds the lock has seen all that, and need not. */
static inline struct place search(const struct sp_shard_table *t, uint64_t mark, memory_order order) {
    for (uint32_t i = sp_shard_place(mark, t->lines);; i = sp_shard_next(t, i)) {
        struct place p = search_line(sp_shard_line(t, i), mark, order);
        if (p.at != LINE_ENTRIES) return p;
    }
}

/* Writer. The slot is free. The filter first: a reader that finds nothing there looks no further. */
static void take(struct sp_shard_table *t, struct place p, uint64_t mark, uint32_t expiry) {
    filter_add(t, mark);
    atomic_store_explicit(&p.line->expiry[p.at], expiry, memory_order_relaxed);
    /* release: whoever sees the mark sees its expiry */
    atomic_store_explicit(&p.line->mark[p.at], mark, memory_order_release);
}

/* What is in a slot; mark 0: nothing. */
struct marked {
    uint64_t mark;
    uint32_t expiry;
};

static inline struct marked entry_at(struct line *line, size_t at, memory_order order) {
    uint64_t mark = atomic_load_explicit(&line->mark[at], order);
    return (struct marked){mark, atomic_load_explicit(&line->expiry[at], memory_order_relaxed)};
}

static size_t count_in_line(struct line *line, int64_t now_s) {
    size_t n = 0;
    for (size_t at = 0; at < LINE_ENTRIES; at++) {
        struct marked e = entry_at(line, at, memory_order_relaxed);
        n += e.mark != 0 && sp_shard_in_force(e.expiry, now_s);
    }
    return n;
}
static size_t count_in_force(const struct sp_shard_table *t, int64_t now_s) {
    size_t n = 0;
    for (uint32_t i = 0; i < t->lines; i++) n += count_in_line(sp_shard_line(t, i), now_s);
    return n;
}

static void copy_line(struct line *from, struct sp_shard_table *to, int64_t now_s) {
    for (size_t at = 0; at < LINE_ENTRIES; at++) {
        struct marked e = entry_at(from, at, memory_order_relaxed);
        if (e.mark == 0 || !sp_shard_in_force(e.expiry, now_s)) continue;
        take(to, search(to, e.mark, memory_order_relaxed), e.mark, e.expiry);
    }
}
static void copy_in_force(const struct sp_shard_table *from, struct sp_shard_table *to, int64_t now_s,
                          void *arg) {
    (void)arg;
    for (uint32_t i = 0; i < from->lines; i++) copy_line(sp_shard_line(from, i), to, now_s);
}

/* ---- adding ---- */

/* False: it is not there. */
static bool extend(struct sp_shard_table *t, uint64_t mark, uint32_t expiry) {
    struct place p = search(t, mark, memory_order_relaxed);
    if (p.found && expiry > atomic_load_explicit(&p.line->expiry[p.at], memory_order_relaxed))
        atomic_store_explicit(&p.line->expiry[p.at], expiry, memory_order_release);
    return p.found;
}

static sp_status add_locked(struct sp_revoke_set *s, uint64_t fp, uint32_t expiry, int64_t now_s) {
    uint64_t mark = mark_of(s, fp);
    size_t shard = sp_shard_of(mark);
    struct sp_shard_table *t = sp_shards_table(&s->shards, shard);
    if (t != NULL && extend(t, mark, expiry)) return SP_SUCCESS;
    SP_TRY(sp_shards_make_room(&s->shards, shard, now_s));
    t = sp_shards_table(&s->shards, shard);
    take(t, search(t, mark, memory_order_relaxed), mark, expiry);
    sp_shards_count_added(&s->shards, shard);
    return SP_SUCCESS;
}

sp_status sp_revoke_set_add_fingerprint(struct sp_revoke_set *s, uint64_t fingerprint, int64_t expiry_s,
                                        int64_t now_s) {
    if (fingerprint == 0) return sp_err(SP_E_MALFORMED);
    pthread_mutex_lock(&s->shards.lock);
    sp_status st = add_locked(s, fingerprint, sp_shard_clamp_expiry(expiry_s), now_s);
    pthread_mutex_unlock(&s->shards.lock);
    return st;
}

sp_status sp_revoke_set_add(struct sp_revoke_set *s, enum sp_revoke_kind kind, sp_slice id, int64_t expiry_s,
                            int64_t now_s) {
    if (!id_fits(id)) return sp_err(SP_E_MALFORMED);
    pthread_mutex_lock(&s->shards.lock);
    uint64_t fp = sp_revoke_set_fingerprint(s, kind, id); /* inside: a rekey does not come between */
    sp_status st = add_locked(s, fp, sp_shard_clamp_expiry(expiry_s), now_s);
    pthread_mutex_unlock(&s->shards.lock);
    return st;
}

sp_status sp_revoke_set_reserve(struct sp_revoke_set *s, size_t more) {
    return sp_shards_reserve(&s->shards, more);
}

/* ---- looking ---- */

/* The upper half of a mark says which block, up to 2^32 of them. */
uint32_t sp_revoke_set_hint(const struct sp_revoke_set *s, uint64_t fingerprint) {
    return (uint32_t)(mark_of(s, fingerprint) >> 32);
}

void sp_revoke_set_prefetch(const struct sp_revoke_set *s, uint32_t hint) {
    const uint64_t mark = (uint64_t)hint << 32;
    const struct sp_shard_table *t = sp_shards_table(&s->shards, sp_shard_of(mark));
    if (t != NULL && t->blocks != 0) __builtin_prefetch(filter_block(t, mark));
}

bool sp_revoke_set_contains_fingerprint(const struct sp_revoke_set *s, uint64_t fingerprint, int64_t now_s) {
    if (fingerprint == 0) return true;
    uint64_t mark = mark_of(s, fingerprint);
    const struct sp_shard_table *t = sp_shards_table(&s->shards, sp_shard_of(mark));
    if (t == NULL || !filter_may_have(t, mark)) return false;
    struct place p = search(t, mark, memory_order_acquire);
    return p.found &&
           sp_shard_in_force(atomic_load_explicit(&p.line->expiry[p.at], memory_order_acquire), now_s);
}

bool sp_revoke_set_contains(const struct sp_revoke_set *s, enum sp_revoke_kind kind, sp_slice id,
                            int64_t now_s) {
    return sp_revoke_set_contains_fingerprint(s, sp_revoke_set_fingerprint(s, kind, id), now_s);
}

/* ---- the dump ---- */

/* Of the entries that belong to one line, the one with the lowest mark that is not below `at`; 0: none. */
static struct marked lowest_of_home(const struct sp_shard_table *t, uint64_t at, int64_t now_s) {
    struct marked best = {0};
    const uint32_t home = sp_shard_place(at, t->lines);
    for (uint32_t i = home;; i = sp_shard_next(t, i)) {
        for (size_t n = 0; n < LINE_ENTRIES; n++) {
            struct marked e = entry_at(sp_shard_line(t, i), n, memory_order_acquire);
            if (e.mark == 0) return best; /* nothing was ever pushed beyond a free slot */
            bool wanted = e.mark >= at && sp_shard_place(e.mark, t->lines) == home;
            if (!wanted || !sp_shard_in_force(e.expiry, now_s)) continue;
            if (best.mark == 0 || e.mark < best.mark) best = e;
        }
    }
}

/* One look: the next entry of the line where the cursor is, or nothing and the cursor at the next line. */
static size_t dump_one(const struct sp_revoke_set *s, struct sp_revoke_dump *cursor, int64_t now_s,
                       struct sp_revoke_entry *ret, bool *ret_end) {
    const struct sp_shard_table *t = sp_shards_table(&s->shards, sp_shard_of(cursor->at));
    struct marked e = {0};
    if (t != NULL) e = lowest_of_home(t, cursor->at, now_s);
    uint64_t next = e.mark != 0 ? e.mark + 1 : sp_shard_hash_behind(t, cursor->at);
    *ret_end = next == 0;
    cursor->at = *ret_end ? UINT64_MAX : next;
    if (e.mark == 0) return 0;
    *ret = (struct sp_revoke_entry){.fingerprint = e.mark * s->unmix, .expiry_s = e.expiry};
    return 1;
}

/* Looks that one step may take beyond its entries, so that it ends soon where much is free or has lapsed. */
#define DUMP_LOOKS_MORE 1024

size_t sp_revoke_set_dump(const struct sp_revoke_set *s, struct sp_revoke_dump *cursor, int64_t now_s,
                          struct sp_revoke_entry *ret, size_t n_max, bool *ret_end) {
    size_t n = 0;
    bool end = false;
    for (size_t looks = 0; !end && n < n_max && looks < 2 * n_max + DUMP_LOOKS_MORE; looks++)
        n += dump_one(s, cursor, now_s, &ret[n], &end);
    *ret_end = end;
    return n;
}

/* ---- the rest ---- */

void sp_revoke_set_expire(struct sp_revoke_set *s, int64_t now_s) {
    sp_shards_expire(&s->shards, now_s);
}

void sp_revoke_set_stats(struct sp_revoke_set *s, struct sp_revoke_set_stats *ret) {
    struct sp_shards_stats st;
    sp_shards_stats(&s->shards, &st);
    *ret = (struct sp_revoke_set_stats){
        .entries = st.used,
        .slots = st.slots,
        .bytes = st.bytes,
        .peak_bytes = st.peak_bytes,
        .filter_bytes = st.filter_bytes,
        .rebuilds = st.rebuilds,
    };
}

static sp_status set_key(struct sp_revoke_set *s, const struct sp_revoke_set_opts *opts) {
    uint8_t key[SP_REVOKE_KEY_BYTES];
    if (opts->key == NULL) SP_TRY(draw(opts, key, sizeof key));
    store_key(s, opts->key != NULL ? opts->key : key);
    sp_wipe(key, sizeof key);
    return SP_SUCCESS;
}

sp_status sp_revoke_set_new(const struct sp_revoke_set_opts *opts, struct sp_revoke_set **ret) {
    const struct sp_shard_kind kind = {.slots_per_line = LINE_ENTRIES,
                                       .filter_bits = opts->without_filter ? 0 : FILTER_BITS,
                                       .count_in_force = count_in_force,
                                       .copy_in_force = copy_in_force};
    if (opts->entries_max > SP_REVOKE_ENTRIES_MAX) return sp_err(SP_E_LIMIT);
    SP_AUTO_FREE(sp_revoke_set) s = sp_pages_new(sizeof *s);
    if (s == NULL) return sp_err(SP_E_NOMEM);
    s->hash = opts->hash_for_test != NULL ? opts->hash_for_test : keyed_hash;
    SP_TRY(set_mix(s, opts));
    SP_TRY(set_key(s, opts));
    SP_TRY(sp_shards_init(&s->shards, &kind, opts->reclaim,
                          opts->entries_max != 0 ? opts->entries_max : SP_REVOKE_ENTRIES_MAX));
    *ret = sp_steal(&s);
    return SP_SUCCESS;
}

void sp_revoke_set_free(struct sp_revoke_set *s) {
    if (s == NULL) return;
    sp_shards_done(&s->shards);
    sp_wipe(s, sizeof *s);
    sp_pages_free(s, sizeof *s);
}
