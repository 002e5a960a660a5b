/* The cache of verified tokens. See token_cache.h for what it promises.
 *
 * A hit must find a token among a million, most of which are in no cache of the processor: what it costs is
 * the number of times that memory is waited for. So there are two waits and no third. First a bucket of the
 * index, two neighbouring lines: eight words, each a tag and the place of an entry and how many lines it
 * takes, and eight hints. Then the entry, all of whose lines are asked for at once before the first is looked
 * at (what is known of the token, the token, and the strings of its claims, side by side), and with them, by
 * the hint, the lines of the revocation set's filter.
 *
 * Entries lie one behind the other in a log that is a ring of segments. An insert writes at the end. When a
 * segment is full, the log goes on in the next, which was emptied one step before; and the one after that is
 * emptied now: tokens in it that were asked for since they were written, and have not expired, are written
 * again into the new segment, the others go (a clock, whose hand is the end of the log). What was emptied may
 * still be read; it is written on only when no reader can see it (reclaim.h), which it has the time of a
 * whole segment for. If readers hold it longer, inserts are dropped until they let go.
 *
 * Invariants: a word of the index names a whole entry in a segment that is not FREE. An entry is immutable
 * but for `used`. Segments: `end` is written by the log's writers under the lock; FREE is set by whoever
 * reclaims, everything else under the lock.
 *
 * Bytes: index and segments are one mapping of their own, made with the cache. Of a cache of usual size index
 * and first segments stay in small pages, so that a small service stays small; the rest asks for huge ones,
 * since with small ones a hit waits for the page table as well.
 *
 * Turned down, and measured where there are figures (docs/internals/verify.md): an allocation for each entry
 * (the entries of one second lie anywhere, a header of 24 bytes each for malloc and the reclaiming), a list
 * in order of use (a reader would have to write to its neighbours), SipHash for the index (the reader waits
 * for it before it can ask for anything), entries of fixed size (tokens differ by twenty). */
#include "verify/token_cache.h"

#include <pthread.h>
#include <sys/mman.h>

#include "base/ct.h"
#include "revoke/pages.h"

#define LINE_BYTES ((size_t)64)
#define WAYS 8
/* A word and a hint for every 320 bytes, which makes the index a twentieth of the cache: entries of our usual
 * tokens take 900, so buckets are a third full, and one in five hundred overflows. */
#define BYTES_PER_WORD 320
/* Emptying a segment is what an insert may have to wait for: 300 entries are 50 us. Small caches have small
 * segments, because one of them is always empty. */
#define SEGMENT_BYTES_MAX ((size_t)256 * 1024)
#define SEGMENT_BYTES_MIN ((size_t)8 * 1024)
#define SEGMENTS_WANTED 16
/* A segment that is emptied hands on at most three quarters, or a cache full of tokens in use would only move
 * them about. */
#define SURVIVORS_MAX(segment_bytes) ((segment_bytes) / 4 * 3)
/* Who asks for a larger index (a cache of 160 MiB) wants speed; below, this much of the log is in small
 * pages, as is the index. */
#define SMALL_INDEX_BYTES_MAX ((size_t)8 * 1024 * 1024)
#define SMALL_LOG_BYTES ((size_t)2 * 1024 * 1024)
#define LEEWAY_MAX_S 60 /* the largest there is: an expired token may pass for so long */

/* A word of the index: 16 bits of tag, 8 bits of length and 40 bits of place, both in lines. 0: free. */
#define PLACE_BITS 40
#define LINES_BITS 8
#define TAG_SHIFT (PLACE_BITS + LINES_BITS)
#define ENTRY_LINES_MAX ((1u << LINES_BITS) - 1)

struct entry {
    _Alignas(64) _Atomic uint8_t used; /* since it was written; a reader writes it only when it is clear */
    uint16_t token_n, block_n;
    struct sp_token_facts facts;
    uint8_t data[]; /* the token, then the strings of the claims */
};
_Static_assert(offsetof(struct entry, data) <= 2 * 64, "the facts are two lines");
_Static_assert((sizeof(struct entry) + SP_TOKEN_BYTES_MAX + SP_PAYLOAD_BYTES_MAX) / 64 < ENTRY_LINES_MAX,
               "every token fits into the length of a word");

/* Beside each word a hint: where the revocation set will look for the two ids that it will be asked about.
 * With it the filter of the revocation set is fetched while the entry is, not after. Only a hint: a reader
 * may pair it with another word, and then fetches in vain. */
struct bucket {
    _Alignas(64) _Atomic uint64_t word[WAYS];
    _Atomic uint64_t hint[WAYS];
};

enum segment_state { FREE, FILLED, WAITING };
struct segment {
    struct sp_retired retired;
    struct sp_token_cache *cache; /* counted while WAITING */
    _Atomic uint32_t state;       /* enum segment_state */
    uint32_t end;                 /* bytes written */
};

struct sp_token_cache {
    struct bucket *buckets; /* the mapping begins here */
    uint8_t *log;           /* and goes on here */
    uint64_t key[2];
    size_t buckets_n, mapped_bytes, segment_bytes, segments_n;
    struct sp_reclaim *reclaim;
    _Atomic size_t refs;               /* the owner, and every segment that waits */
    _Alignas(64) pthread_mutex_t lock; /* writers; guards all below */
    size_t current;                    /* the segment that is written */
    size_t touched;                    /* segments that were ever written */
    size_t entries;
    unsigned hand; /* the way of a full bucket that is looked at first */
    uint64_t evictions, skipped;
    struct segment segments[];
};

/* Places */

/* One multiplication: enough to spread what an attacker cannot choose under a key that he does not know, and
 * a tenth of SipHash's time, all of which a hit would wait for. */
static uint64_t tail_mix(const struct sp_token_cache *c, sp_slice token) {
    uint64_t tail[2];
    _Static_assert(sizeof tail == SP_TOKEN_CACHE_TAIL_BYTES, "the tail is two words");
    memcpy(tail, token.p + (token.n - sizeof tail), sizeof tail);
    unsigned __int128 m = (unsigned __int128)(tail[0] ^ c->key[0]) * (tail[1] ^ c->key[1]);
    return (uint64_t)m ^ (uint64_t)(m >> 64);
}
static struct bucket *bucket_of(const struct sp_token_cache *c, uint64_t mix) {
    return &c->buckets[((mix & UINT32_MAX) * c->buckets_n) >> 32];
}
static uint64_t tag_of(uint64_t mix) {
    return mix >> TAG_SHIFT;
}

static uint64_t word_of(const struct sp_token_cache *c, uint64_t mix, const struct entry *e, size_t lines) {
    uint64_t place = (uint64_t)((const uint8_t *)e - c->log) / LINE_BYTES;
    return tag_of(mix) << TAG_SHIFT | (uint64_t)lines << PLACE_BITS | place;
}
static struct entry *entry_at(const struct sp_token_cache *c, uint64_t word) {
    size_t place = (size_t)(word & (((uint64_t)1 << PLACE_BITS) - 1));
    return (struct entry *)(void *)(c->log + place * LINE_BYTES);
}
static size_t lines_of(uint64_t word) {
    return (size_t)(word >> PLACE_BITS) & ENTRY_LINES_MAX;
}
static uint64_t load_word(const struct bucket *b, size_t i) {
    return atomic_load_explicit(&b->word[i], memory_order_seq_cst); /* reclaim.h says why seq_cst */
}
static void store_word(struct bucket *b, size_t i, uint64_t word) {
    atomic_store_explicit(&b->word[i], word, memory_order_seq_cst); /* publishes the entry */
}

static size_t entry_bytes(size_t token_n, size_t block_n) {
    size_t n = offsetof(struct entry, data) + token_n + block_n;
    return (n + LINE_BYTES - 1) / LINE_BYTES * LINE_BYTES;
}
static sp_slice token_of(const struct entry *e) {
    return sp_slice_of(e->data, e->token_n);
}

/* Readers */

/* A bit for each way whose tag fits, worked out without a branch: which way it will be is nothing that the
 * processor could guess. A free word has the tag 0 and lines 0. */
static unsigned ways_with(const struct bucket *b, uint64_t tag) {
    unsigned ways = 0;
    for (size_t i = 0; i < WAYS; i++) ways |= (unsigned)(load_word(b, i) >> TAG_SHIFT == tag) << i;
    return ways;
}

static uint64_t hint_of(const struct sp_revoke_set *set, const struct sp_token_marks *marks) {
    if (set == NULL) return 0;
    return (uint64_t)sp_revoke_set_hint(set, marks->jti) << 32 | sp_revoke_set_hint(set, marks->sid);
}
static void prefetch_marks(const struct sp_revoke_set *set, const struct bucket *b, size_t way) {
    uint64_t hint = atomic_load_explicit(&b->hint[way], memory_order_relaxed);
    sp_revoke_set_prefetch(set, (uint32_t)(hint >> 32));
    if ((uint32_t)hint != 0) sp_revoke_set_prefetch(set, (uint32_t)hint);
}

static void prefetch(const struct entry *e, size_t lines) {
    const uint8_t *p = (const uint8_t *)e;
    for (size_t i = 0; i < lines; i++) __builtin_prefetch(p + i * LINE_BYTES);
}

static void mark_used(struct entry *e) {
    if (atomic_load_explicit(&e->used, memory_order_relaxed) == 0)
        atomic_store_explicit(&e->used, 1, memory_order_relaxed);
}

bool sp_token_cache_find(struct sp_token_cache *c, const struct sp_revoke_set *set, sp_slice token,
                         struct sp_cached_token *ret) {
    if (token.n < SP_TOKEN_CACHE_TAIL_BYTES) return false;
    uint64_t mix = tail_mix(c, token);
    const struct bucket *b = bucket_of(c, mix);
    for (unsigned ways = ways_with(b, tag_of(mix)); ways != 0; ways &= ways - 1) {
        size_t way = (size_t)__builtin_ctz(ways);
        uint64_t word = load_word(b, way);
        if (lines_of(word) == 0) continue;
        struct entry *e = entry_at(c, word);
        prefetch(e, lines_of(word));
        if (set != NULL) prefetch_marks(set, b, way);
        if (!sp_ct_equal(token_of(e), token)) continue;
        mark_used(e);
        *ret = (struct sp_cached_token){.facts = &e->facts,
                                        .block = sp_slice_of(e->data + e->token_n, e->block_n)};
        return true;
    }
    return false;
}

/* Segments */

static uint8_t *segment_at(const struct sp_token_cache *c, size_t i) {
    return c->log + i * c->segment_bytes;
}
static size_t following(const struct sp_token_cache *c, size_t i) {
    return i + 1 == c->segments_n ? 0 : i + 1;
}
static bool is_free(const struct segment *s) {
    /* acquire: it was wiped before */
    return atomic_load_explicit(&s->state, memory_order_acquire) == FREE;
}

static void cache_unref(struct sp_token_cache *c) {
    /* acq_rel: everything done to the cache under other references is done before the last one frees it */
    if (atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) != 1) return;
    pthread_mutex_destroy(&c->lock);
    sp_pages_free(c->buckets, c->mapped_bytes);
    sp_free_wiped(c, sizeof *c);
}

/* No reader can see it any more. Wiped, since a token is a secret while it lives. */
static void segment_free(struct sp_retired *link) {
    struct segment *s = SP_CONTAINER_OF(link, struct segment, retired);
    struct sp_token_cache *c = s->cache;
    sp_wipe(segment_at(c, (size_t)(s - c->segments)), s->end);
    atomic_store_explicit(&s->state, FREE, memory_order_release); /* publishes the wiping */
    cache_unref(c);
}

/* Under the lock. */
static void segment_retire(struct sp_token_cache *c, struct segment *s) {
    atomic_store_explicit(&s->state, WAITING, memory_order_relaxed);
    s->cache = c;
    atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
    sp_reclaim_retire(c->reclaim, &s->retired, segment_free);
}

/* Under the lock: room at the end of the current segment, or NULL. */
static struct entry *append(struct sp_token_cache *c, size_t bytes) {
    struct segment *s = &c->segments[c->current];
    if (c->segment_bytes - s->end < bytes) return NULL;
    struct entry *e = (struct entry *)(void *)(segment_at(c, c->current) + s->end);
    s->end += (uint32_t)bytes;
    return e;
}

/* Eviction */

static bool has_expired(const struct entry *e, int64_t now_s) {
    int64_t exp = e->facts.claims.exp;
    return exp == SP_CLAIM_NO_DATE || exp < now_s - LEEWAY_MAX_S;
}
static bool is_worth_keeping(const struct entry *e, int64_t now_s) {
    return atomic_load_explicit(&e->used, memory_order_relaxed) != 0 && !has_expired(e, now_s);
}

/* The way that holds exactly this word; WAYS when none does: the entry was replaced or evicted since. */
static size_t way_of(const struct bucket *b, uint64_t word) {
    size_t i = 0;
    while (i < WAYS && load_word(b, i) != word) i++;
    return i;
}

static void unlink_way(struct sp_token_cache *c, struct bucket *b, size_t i) {
    store_word(b, i, 0);
    c->entries--;
    c->evictions++;
}

/* Under the lock. Writes the entry again at the end of the log, not used since. */
static struct entry *write_again(struct sp_token_cache *c, const struct entry *e, size_t bytes) {
    struct entry *copy = append(c, bytes);
    if (copy == NULL) return NULL;
    size_t from = offsetof(struct entry, token_n); /* `used` is a reader's to write at any time */
    memcpy((uint8_t *)copy + from, (const uint8_t *)e + from, bytes - from);
    atomic_init(&copy->used, 0);
    return copy;
}

/* Under the lock. Moves the entry to the end of the log, or lets it go. */
static void evict_entry(struct sp_token_cache *c, const struct entry *e, size_t bytes, bool keep) {
    uint64_t mix = tail_mix(c, token_of(e));
    struct bucket *b = bucket_of(c, mix);
    size_t i = way_of(b, word_of(c, mix, e, bytes / LINE_BYTES));
    if (i == WAYS) return;
    struct entry *copy = keep ? write_again(c, e, bytes) : NULL;
    if (copy == NULL)
        unlink_way(c, b, i);
    else
        store_word(b, i, word_of(c, mix, copy, bytes / LINE_BYTES));
}

/* Under the lock. Empties a segment into the current one. */
static void evict_segment(struct sp_token_cache *c, size_t at, int64_t now_s) {
    struct segment *s = &c->segments[at];
    const uint8_t *p = segment_at(c, at);
    for (size_t n, i = 0; i < s->end; i += n) {
        const struct entry *e = (const struct entry *)(const void *)(p + i);
        n = entry_bytes(e->token_n, e->block_n);
        bool room = c->segments[c->current].end + n <= SURVIVORS_MAX(c->segment_bytes);
        evict_entry(c, e, n, room && is_worth_keeping(e, now_s));
    }
    segment_retire(c, s);
}

/* Under the lock: the log goes on in the next segment, if that is free by now. */
static bool advance(struct sp_token_cache *c, int64_t now_s) {
    size_t next = following(c, c->current), after = following(c, next);
    if (!is_free(&c->segments[next])) return false;
    c->current = next;
    c->segments[next].end = 0;
    atomic_store_explicit(&c->segments[next].state, FILLED, memory_order_relaxed);
    if (next >= c->touched) c->touched = next + 1;
    if (atomic_load_explicit(&c->segments[after].state, memory_order_relaxed) == FILLED)
        evict_segment(c, after, now_s);
    return true;
}

/* Inserting */

/* Under the lock, in a full bucket: one that was not used, or else any. */
static size_t victim(struct sp_token_cache *c, const struct bucket *b, int64_t now_s) {
    unsigned first = c->hand++;
    for (unsigned n = 0; n < WAYS; n++) {
        size_t i = (first + n) % WAYS;
        if (!is_worth_keeping(entry_at(c, load_word(b, i)), now_s)) return i;
    }
    return first % WAYS;
}

/* Under the lock: a way for the token; the same one under an older key makes room for itself. */
static size_t free_way(struct sp_token_cache *c, struct bucket *b, uint64_t tag, sp_slice token,
                       int64_t now_s) {
    size_t free = WAYS;
    for (size_t i = 0; i < WAYS; i++) {
        uint64_t word = load_word(b, i);
        if (word == 0)
            free = i;
        else if (word >> TAG_SHIFT == tag && sp_slice_eq(token_of(entry_at(c, word)), token)) {
            c->entries--;
            return i;
        }
    }
    if (free != WAYS) return free;
    size_t i = victim(c, b, now_s);
    unlink_way(c, b, i);
    return i;
}

static void fill(struct entry *e, sp_slice token, const struct sp_token_facts *facts, sp_slice block) {
    atomic_init(&e->used, 0);
    e->token_n = (uint16_t)token.n;
    e->block_n = (uint16_t)block.n;
    e->facts = *facts;
    memcpy(e->data, token.p, token.n);
    if (block.n != 0) memcpy(e->data + token.n, block.p, block.n);
}

/* Under the lock. NULL: no room. */
static struct entry *room_for(struct sp_token_cache *c, size_t bytes, int64_t now_s) {
    struct entry *e = append(c, bytes);
    if (e == NULL && bytes <= c->segment_bytes && advance(c, now_s)) e = append(c, bytes);
    return e;
}

/* Under the lock. False: no room. */
static bool insert_locked(struct sp_token_cache *c, const struct sp_revoke_set *set, sp_slice token,
                          const struct sp_token_facts *facts, sp_slice block, int64_t now_s) {
    size_t bytes = entry_bytes(token.n, block.n);
    struct entry *e = room_for(c, bytes, now_s);
    if (e == NULL) return false;
    fill(e, token, facts, block);
    uint64_t mix = tail_mix(c, token);
    struct bucket *b = bucket_of(c, mix);
    size_t i = free_way(c, b, tag_of(mix), token, now_s);
    atomic_store_explicit(&b->hint[i], hint_of(set, &facts->marks), memory_order_relaxed);
    store_word(b, i, word_of(c, mix, e, bytes / LINE_BYTES));
    c->entries++;
    return true;
}

static bool try_insert(struct sp_token_cache *c, const struct sp_revoke_set *set, sp_slice token,
                       const struct sp_token_facts *facts, sp_slice block, int64_t now_s) {
    pthread_mutex_lock(&c->lock);
    bool inserted = insert_locked(c, set, token, facts, block, now_s);
    pthread_mutex_unlock(&c->lock);
    return inserted;
}

void sp_token_cache_insert(struct sp_token_cache *c, const struct sp_revoke_set *set, sp_slice token,
                           const struct sp_token_facts *facts, sp_slice block, int64_t now_s) {
    if (token.n < SP_TOKEN_CACHE_TAIL_BYTES || token.n > SP_TOKEN_BYTES_MAX) return;
    if (block.n > SP_PAYLOAD_BYTES_MAX) return;
    if (try_insert(c, set, token, facts, block, now_s)) return;
    (void)sp_reclaim_collect(c->reclaim); /* the segment that was in the way may only have waited for this */
    if (try_insert(c, set, token, facts, block, now_s)) return;
    pthread_mutex_lock(&c->lock);
    c->skipped++;
    pthread_mutex_unlock(&c->lock);
}

void sp_token_cache_stats(struct sp_token_cache *c, struct sp_token_cache_stats *ret) {
    pthread_mutex_lock(&c->lock);
    *ret = (struct sp_token_cache_stats){
        .entries = c->entries,
        .bytes = sizeof *c + c->segments_n * sizeof c->segments[0] + c->buckets_n * sizeof(struct bucket) +
                 c->touched * c->segment_bytes,
        .evictions = c->evictions,
        .skipped = c->skipped,
    };
    pthread_mutex_unlock(&c->lock);
}

/* Making */

static size_t segment_bytes_for(size_t bytes_max) {
    size_t n = SEGMENT_BYTES_MIN;
    while (n < SEGMENT_BYTES_MAX && 2 * n * SEGMENTS_WANTED <= bytes_max) n *= 2;
    return n;
}

/* A small service touches little of its cache, and should not get 2 MiB for every first touch. */
static void keep_beginning_small(const struct sp_token_cache *c) {
    size_t index_bytes = (size_t)(c->log - (const uint8_t *)c->buckets);
    if (index_bytes > SMALL_INDEX_BYTES_MAX || c->mapped_bytes < 2 * SMALL_LOG_BYTES) return;
    (void)madvise(c->buckets, index_bytes + SMALL_LOG_BYTES, MADV_NOHUGEPAGE); /* refused: only larger */
}

static sp_status map_memory(struct sp_token_cache *c) {
    size_t index_bytes = c->buckets_n * sizeof(struct bucket);
    c->mapped_bytes = index_bytes + c->segments_n * c->segment_bytes;
    c->buckets = sp_pages_new(c->mapped_bytes);
    if (c->buckets == NULL) return sp_err(SP_E_NOMEM);
    c->log = (uint8_t *)c->buckets + index_bytes;
    keep_beginning_small(c);
    return SP_SUCCESS;
}

static size_t segments_for(size_t bytes_max, size_t buckets_n, size_t segment_bytes) {
    size_t page = 4096; /* what rounding the mapping up may take */
    size_t before = sizeof(struct sp_token_cache) + buckets_n * sizeof(struct bucket) + page;
    return (bytes_max - before) / (segment_bytes + sizeof(struct segment));
}

static sp_status cache_new(size_t bytes_max, struct sp_token_cache **ret) {
    size_t buckets_n = bytes_max / BYTES_PER_WORD / WAYS, segment_bytes = segment_bytes_for(bytes_max);
    size_t n = segments_for(bytes_max, buckets_n, segment_bytes);
    size_t size = sizeof(struct sp_token_cache) + n * sizeof(struct segment);
    struct sp_token_cache *c = aligned_alloc(LINE_BYTES, (size + LINE_BYTES - 1) / LINE_BYTES * LINE_BYTES);
    if (c == NULL) return sp_err(SP_E_NOMEM);
    memset(c, 0, size);
    c->buckets_n = buckets_n;
    c->segment_bytes = segment_bytes;
    c->segments_n = n;
    sp_status st = map_memory(c);
    if (!sp_ok(st)) {
        free(c);
        return st;
    }
    pthread_mutex_init(&c->lock, NULL); /* cannot fail with default attributes on Linux */
    atomic_init(&c->refs, 1);
    *ret = c;
    return SP_SUCCESS;
}

sp_status sp_token_cache_new(size_t bytes_max, struct sp_reclaim *reclaim, const struct sp_random *random,
                             struct sp_token_cache **ret) {
    if (bytes_max < SP_TOKEN_CACHE_BYTES_MIN || bytes_max > SP_TOKEN_CACHE_BYTES_MAX)
        return sp_err(SP_E_LIMIT);
    SP_AUTO_FREE(sp_token_cache) c = NULL;
    SP_TRY(cache_new(bytes_max, &c));
    SP_TRY(sp_random_fill(random, (uint8_t *)c->key, sizeof c->key));
    c->reclaim = reclaim;
    atomic_store_explicit(&c->segments[0].state, FILLED, memory_order_relaxed);
    c->touched = 1;
    *ret = sp_steal(&c);
    return SP_SUCCESS;
}

void sp_token_cache_free(struct sp_token_cache *c) {
    if (c != NULL) cache_unref(c);
}
