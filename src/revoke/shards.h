/* What the revocation set and the map of epochs share: a hash table in 64 shards that readers walk without a
 * lock while it grows, shrinks and forgets.
 *
 * A shard is the entries whose hash begins with the same 6 bits, in one table of cache lines. Where an entry
 * belongs (its home) follows the order of the hashes: the n-th part of the hash space has the n-th line. So a
 * table may have any number of lines, copying one into another reads and writes both from front to back, and
 * "all hashes below x" means the same in every table: that is what lets a dump go on after a rebuild.
 *
 * Invariants that make readers simple:
 *   - Within one table a slot is taken once and keeps its identity; what else is in it only grows. Nothing is
 *     deleted in place, no entry moves.
 *   - An entry lies in its home or, if that was full, in the next line that was not (the first follows the
 *     last). A line once full stays full, and one line has always a free slot: a search ends there.
 *   - A table is built whole, published in one store and never changed again except by taking free slots.
 * What has lapsed is left behind when a table is built from another; the old one is retired, so readers in it
 *     finish with what was true when they began.
 *
 * A shard grows alone, by a quarter: while it does, 1/64 of the entries is held twice, and a writer waits for
 * the copying of 1/64.
 *
 * Turned down: one table (growing held three times the memory, and the add that met it waited half a second
 * at ten million); powers of two (half of the memory is air after each doubling, in all shards at once, since
 * hashes fill them evenly); extendible hashing, segments that split in two (the same air); copying in steps
 * (two tables to search on every miss); a pool of lines chained into buckets (a pointer to follow on every
 * hit); reusing lapsed slots in place (a reader could pair one entry's identity with another's expiry). */
#ifndef SP_REVOKE_SHARDS_H
#define SP_REVOKE_SHARDS_H

#include <pthread.h>

#include "revoke/reclaim.h"

/* 64: at ten million entries a table is just larger than a huge page (pages.h), and their heads stay in the
 * first level of the cache. 256 would make stalls of 0.3 instead of 1 ms and lose the huge pages. */
#define SP_SHARD_BITS 6
#define SP_SHARDS 64
#define SP_SHARD_LINE_BYTES 64

struct sp_shard_meter;

/* A table: this head, then `blocks` lines of filter, then `lines` lines of slots. */
struct sp_shard_table {
    struct sp_retired retired;
    struct sp_shard_meter *meter;
    size_t bytes;
    uint32_t lines;
    uint32_t blocks; /* of the filter; 0: none */
    uint32_t slots;
    uint32_t skew; /* bytes before this head in its memory */
    uint32_t pad[2];
};
_Static_assert(sizeof(struct sp_shard_table) == SP_SHARD_LINE_BYTES, "what follows begins at a line");

/* What a kind of table is made of. `copy` puts what is in force into an empty table that has room for it. */
struct sp_shard_kind {
    uint32_t slots_per_line;
    uint32_t filter_bits; /* for each entry that fits; 0: no filter */
    size_t (*count_in_force)(const struct sp_shard_table *t, int64_t now_s);
    void (*copy_in_force)(const struct sp_shard_table *from, struct sp_shard_table *to, int64_t now_s,
                          void *arg);
    void *arg;
};

struct sp_shards {
    _Alignas(64) _Atomic(struct sp_shard_table *) root[SP_SHARDS]; /* NULL: nothing there */
    _Alignas(64)
        pthread_mutex_t lock; /* writers; guards all below. Lines of its own: readers read only roots */
    struct sp_shard_kind kind;
    struct sp_reclaim *reclaim;
    struct sp_shard_meter *meter;
    size_t entries_max;
    size_t used_in[SP_SHARDS]; /* taken slots, lapsed ones included */
    size_t used;               /* their sum */
    size_t expire_next;        /* the shard that expiry looks at next */
    int64_t swept_s;           /* when a full table was last searched for what has lapsed */
    uint64_t rebuilds;
};

struct sp_shards_stats {
    size_t used, slots, bytes, peak_bytes, filter_bytes;
    uint64_t rebuilds;
};

/* SP_E_NOMEM. `kind` is copied, `reclaim` borrowed. */
sp_status sp_shards_init(struct sp_shards *s, const struct sp_shard_kind *kind, struct sp_reclaim *reclaim,
                         size_t entries_max);
/* No reader is inside any more. Accepts what init failed on, if it was zeroed. */
void sp_shards_done(struct sp_shards *s);

/* ---- readers ---- */

static inline size_t sp_shard_of(uint64_t hash) {
    return (size_t)(hash >> (64 - SP_SHARD_BITS));
}
static inline struct sp_shard_table *sp_shards_table(const struct sp_shards *s, size_t shard) {
    return atomic_load_explicit(&s->root[shard], memory_order_seq_cst); /* reclaim.h says why seq_cst */
}
/* The place in 0..n-1 of a hash within its shard: monotonic in the hash. */
static inline uint32_t sp_shard_place(uint64_t hash, uint32_t n) {
    return (uint32_t)(((hash << SP_SHARD_BITS) >> 32) * n >> 32);
}
static inline void *sp_shard_block(const struct sp_shard_table *t, uint32_t i) {
    return (uint8_t *)(uintptr_t)(t + 1) + (size_t)i * SP_SHARD_LINE_BYTES;
}
static inline void *sp_shard_line(const struct sp_shard_table *t, uint32_t i) {
    return sp_shard_block(t, t->blocks + i);
}
static inline uint32_t sp_shard_next(const struct sp_shard_table *t, uint32_t line) {
    return line + 1 == t->lines ? 0 : line + 1;
}
/* The lowest hash whose home lies behind that of `hash`; t is its shard's table, or NULL. 0: none follows. */
uint64_t sp_shard_hash_behind(const struct sp_shard_table *t, uint64_t hash);

static inline uint32_t sp_shard_clamp_expiry(int64_t expiry_s) {
    if (expiry_s < 0) return 0;
    return expiry_s > (int64_t)UINT32_MAX ? UINT32_MAX : (uint32_t)expiry_s;
}
/* UINT32_MAX is for ever. */
static inline bool sp_shard_in_force(uint32_t expiry, int64_t now_s) {
    return expiry == UINT32_MAX || now_s <= (int64_t)expiry;
}

/* ---- writers, under the lock ---- */

/* After success the shard has a table, and one more entry fits into it. SP_E_LIMIT, SP_E_NOMEM. */
sp_status sp_shards_make_room(struct sp_shards *s, size_t shard, int64_t now_s);
static inline void sp_shards_count_added(struct sp_shards *s, size_t shard) {
    s->used_in[shard]++;
    s->used++;
}

/* ---- writers, which take the lock themselves ---- */

/* See sp_revoke_set_reserve and sp_revoke_set_expire. */
sp_status sp_shards_reserve(struct sp_shards *s, size_t more);
void sp_shards_expire(struct sp_shards *s, int64_t now_s);
/* Forgets every entry: readers that are inside finish with what was there. */
void sp_shards_clear(struct sp_shards *s);
void sp_shards_stats(struct sp_shards *s, struct sp_shards_stats *ret);

#endif
