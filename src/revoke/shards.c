/* Shards: when their tables are built, and how large. See shards.h for the idea. */
#include "revoke/shards.h"

#include "revoke/pages.h"

/* Rebuilt beyond 4/5 of the slots, where the runs of full lines begin to lengthen. When there is no memory
 * for that, the table fills to 9/10 before adding fails: it becomes slower before it becomes unable. One slot
 * at least stays free, always. */
static size_t soft_full(const struct sp_shard_table *t) {
    return t->slots - t->slots / 5;
}
static size_t hard_full(const struct sp_shard_table *t) {
    return t->slots - t->slots / 10 - 1;
}
/* Without memory, growing is tried again after so many adds, since each try counts what is in force. */
#define RETRY_EVERY 64
/* How much a table that is built has free below soft_full: a quarter. The copying of one entry is then paid
 * by a quarter of an add, some 4 times 5 ns; an eighth would save 6 % of the memory for twice of that. */
#define HEADROOM(live) ((live) / 4)
#define HEADROOM_MIN 8     /* entries: small tables grow in steps worth an allocation */
#define LINES_MIN 4        /* so that hard_full leaves something free, whatever fits into a line */
#define SKEW_LINES_MIN 512 /* smaller tables do not begin at a page */
/* A table of this size that was replaced is freed at once, if no reader is inside; smaller ones in batches.
 */
#define COLLECT_BYTES ((size_t)64 * 1024)
/* Slots that one call of expire looks at, at least one shard: 7 MiB, about 1 ms. */
#define EXPIRE_SLOTS ((size_t)1 << 19)

/* ---- what tables take ---- */

/* Lives as long as the last table, which may wait in the reclaimer when the shards are gone. */
struct sp_shard_meter {
    _Atomic size_t bytes, filter_bytes, peak_bytes;
    _Atomic size_t refs;
};

static void meter_unref(struct sp_shard_meter *m) {
    if (atomic_fetch_sub_explicit(&m->refs, 1, memory_order_acq_rel) == 1) free(m);
}

/* Under the lock, so that there is one to raise the peak. */
static void meter_add(struct sp_shard_meter *m, const struct sp_shard_table *t) {
    size_t now = atomic_fetch_add_explicit(&m->bytes, t->bytes, memory_order_relaxed) + t->bytes;
    atomic_fetch_add_explicit(&m->filter_bytes, (size_t)t->blocks * SP_SHARD_LINE_BYTES,
                              memory_order_relaxed);
    atomic_fetch_add_explicit(&m->refs, 1, memory_order_relaxed);
    if (now > atomic_load_explicit(&m->peak_bytes, memory_order_relaxed))
        atomic_store_explicit(&m->peak_bytes, now, memory_order_relaxed);
}

static void meter_remove(struct sp_shard_meter *m, const struct sp_shard_table *t) {
    atomic_fetch_sub_explicit(&m->bytes, t->bytes, memory_order_relaxed);
    atomic_fetch_sub_explicit(&m->filter_bytes, (size_t)t->blocks * SP_SHARD_LINE_BYTES,
                              memory_order_relaxed);
    meter_unref(m);
}

/* ---- tables ---- */

static size_t divide_up(size_t a, size_t b) {
    return (a + b - 1) / b;
}

/* A table in which `entries` stay below soft_full. The heads of different shards begin at different lines of
 * their pages: otherwise all of them, which every lookup reads, would compete for the same few places in the
 * cache (measured: 1.9 instead of 1.0 ns for each). */
static struct sp_shard_table *table_new(struct sp_shards *s, size_t shard, size_t entries) {
    size_t per_line = s->kind.slots_per_line;
    size_t lines = divide_up(entries + entries / 4 + 2, per_line);
    if (lines < LINES_MIN) lines = LINES_MIN;
    struct sp_shard_table head = {.meter = s->meter, .lines = (uint32_t)lines};
    head.skew = lines < SKEW_LINES_MIN ? 0 : (uint32_t)(shard * SP_SHARD_LINE_BYTES);
    head.slots = (uint32_t)(lines * per_line);
    head.blocks = (uint32_t)divide_up(soft_full(&head) * s->kind.filter_bits, 8 * SP_SHARD_LINE_BYTES);
    head.bytes = sp_pages_bytes(head.skew + sizeof head + (head.blocks + lines) * SP_SHARD_LINE_BYTES);
    uint8_t *memory = sp_pages_new(head.bytes);
    if (memory == NULL) return NULL;
    struct sp_shard_table *t = (struct sp_shard_table *)(void *)(memory + head.skew);
    memcpy(t, &head, sizeof head);
    meter_add(s->meter, t);
    return t;
}

static void table_free(struct sp_shard_table *t) {
    if (t == NULL) return;
    meter_remove(t->meter, t);
    sp_pages_free((uint8_t *)t - t->skew, t->bytes);
}
static void table_free_retired(struct sp_retired *link) {
    table_free(SP_CONTAINER_OF(link, struct sp_shard_table, retired));
}

static size_t count_in_force(const struct sp_shards *s, const struct sp_shard_table *t, int64_t now_s) {
    return t == NULL ? 0 : s->kind.count_in_force(t, now_s);
}

/* `t` takes the place of the shard's table; `live` is what is in it. 64 shards that grow one after another
 * must not leave 64 old tables behind: hence the collecting. */
static void publish(struct sp_shards *s, size_t shard, struct sp_shard_table *t, size_t live) {
    struct sp_shard_table *old = sp_shards_table(s, shard);
    s->used = s->used - s->used_in[shard] + live;
    s->used_in[shard] = live;
    s->rebuilds++;
    atomic_store_explicit(&s->root[shard], t, memory_order_seq_cst); /* publishes every slot of t */
    if (old == NULL) return;
    bool large = old->bytes >= COLLECT_BYTES;
    sp_reclaim_retire(s->reclaim, &old->retired, table_free_retired);
    if (large) (void)sp_reclaim_collect(s->reclaim);
}

/* `live` is what is in force at now_s; the new table has room for `entries`. */
static sp_status rebuild(struct sp_shards *s, size_t shard, int64_t now_s, size_t live, size_t entries) {
    struct sp_shard_table *old = sp_shards_table(s, shard), *t = table_new(s, shard, entries);
    if (t == NULL) return sp_err(SP_E_NOMEM);
    if (old != NULL) s->kind.copy_in_force(old, t, now_s, s->kind.arg);
    publish(s, shard, t, live);
    return SP_SUCCESS;
}

static sp_status rebuild_for(struct sp_shards *s, size_t shard, int64_t now_s, size_t live) {
    size_t headroom = HEADROOM(live) < HEADROOM_MIN ? HEADROOM_MIN : HEADROOM(live);
    return rebuild(s, shard, now_s, live, live + headroom);
}

/* Drops what has lapsed in one shard, if that is `worth` entries. */
static void drop_lapsed(struct sp_shards *s, size_t shard, int64_t now_s, size_t worth) {
    size_t used = s->used_in[shard], live = count_in_force(s, sp_shards_table(s, shard), now_s);
    if (used == live || used - live < worth) return;
    if (live == 0)
        publish(s, shard, NULL, 0);
    else
        SP_IGNORE(rebuild_for(s, shard, now_s, live)); /* without memory the old table stays, and is right */
}

/* ---- room ---- */

/* At the maximum: whatever has lapsed anywhere goes. Nothing more lapses within the same second, so it is not
 * searched for again: an add that is refused stays cheap. */
static sp_status sweep(struct sp_shards *s, int64_t now_s) {
    if (s->swept_s == now_s) return sp_err(SP_E_LIMIT);
    for (size_t i = 0; i < SP_SHARDS; i++) drop_lapsed(s, i, now_s, 1);
    s->swept_s = now_s;
    return s->used < s->entries_max ? SP_SUCCESS : sp_err(SP_E_LIMIT);
}

sp_status sp_shards_make_room(struct sp_shards *s, size_t shard, int64_t now_s) {
    if (s->used >= s->entries_max) SP_TRY(sweep(s, now_s));
    const struct sp_shard_table *t = sp_shards_table(s, shard);
    size_t used = s->used_in[shard];
    bool fits = t != NULL && used < hard_full(t);
    bool grows = t == NULL || (used >= soft_full(t) && (used - soft_full(t)) % RETRY_EVERY == 0);
    if (fits && !grows) return SP_SUCCESS;
    sp_status st = rebuild_for(s, shard, now_s, count_in_force(s, t, now_s));
    return fits ? SP_SUCCESS : st;
}

/* Hashes do not fill shards quite evenly: n of them scatter by sqrt(n). Four times that is hardly ever met;
 * who meets it grows. */
static size_t share_of(size_t more) {
    size_t share = divide_up(more, SP_SHARDS), root = 1;
    while (root * root < share) root++;
    return share + 4 * root;
}

static sp_status reserve(struct sp_shards *s, size_t more) {
    if (more > s->entries_max || s->used > s->entries_max - more) return sp_err(SP_E_LIMIT);
    for (size_t i = 0; i < SP_SHARDS; i++) {
        const struct sp_shard_table *t = sp_shards_table(s, i);
        size_t used = s->used_in[i], wanted = used + share_of(more);
        if (t != NULL && soft_full(t) >= wanted) continue;
        /* Of no time: what has lapsed is carried along, nobody said what the time is. */
        SP_TRY(rebuild(s, i, INT64_MIN, used, wanted));
    }
    return SP_SUCCESS;
}

sp_status sp_shards_reserve(struct sp_shards *s, size_t more) {
    pthread_mutex_lock(&s->lock);
    sp_status st = more == 0 ? SP_SUCCESS : reserve(s, more);
    pthread_mutex_unlock(&s->lock);
    return st;
}

/* ---- expiry ---- */

/* One shard; how many slots it has. */
static size_t expire_one(struct sp_shards *s, int64_t now_s) {
    size_t shard = s->expire_next;
    const struct sp_shard_table *t = sp_shards_table(s, shard);
    size_t slots = t != NULL ? t->slots : 0;
    s->expire_next = (shard + 1) % SP_SHARDS;
    drop_lapsed(s, shard, now_s, s->used_in[shard] / 4);
    return slots;
}

void sp_shards_expire(struct sp_shards *s, int64_t now_s) {
    size_t slots = 0;
    for (size_t i = 0; i < SP_SHARDS && slots < EXPIRE_SLOTS; i++) {
        pthread_mutex_lock(&s->lock); /* for each anew: who adds waits for one shard only */
        slots += expire_one(s, now_s);
        pthread_mutex_unlock(&s->lock);
    }
    (void)sp_reclaim_collect(s->reclaim);
}

/* ---- the rest ---- */

uint64_t sp_shard_hash_behind(const struct sp_shard_table *t, uint64_t hash) {
    uint64_t shard = hash >> (64 - SP_SHARD_BITS);
    uint64_t place = t == NULL ? 0 : (uint64_t)sp_shard_place(hash, t->lines) + 1;
    if (t == NULL || place == t->lines)
        return (shard + 1) << (64 - SP_SHARD_BITS); /* wraps to 0 at the end */
    return shard << (64 - SP_SHARD_BITS) | ((place << 32) + t->lines - 1) / t->lines << (32 - SP_SHARD_BITS);
}

void sp_shards_clear(struct sp_shards *s) {
    pthread_mutex_lock(&s->lock);
    for (size_t shard = 0; shard < SP_SHARDS; shard++)
        if (sp_shards_table(s, shard) != NULL) publish(s, shard, NULL, 0);
    pthread_mutex_unlock(&s->lock);
}

void sp_shards_stats(struct sp_shards *s, struct sp_shards_stats *ret) {
    pthread_mutex_lock(&s->lock);
    size_t slots = 0;
    for (size_t i = 0; i < SP_SHARDS; i++) {
        const struct sp_shard_table *t = sp_shards_table(s, i);
        if (t != NULL) slots += t->slots;
    }
    *ret = (struct sp_shards_stats){
        .used = s->used,
        .slots = slots,
        .bytes = atomic_load_explicit(&s->meter->bytes, memory_order_relaxed),
        .peak_bytes = atomic_load_explicit(&s->meter->peak_bytes, memory_order_relaxed),
        .filter_bytes = atomic_load_explicit(&s->meter->filter_bytes, memory_order_relaxed),
        .rebuilds = s->rebuilds,
    };
    pthread_mutex_unlock(&s->lock);
}

sp_status sp_shards_init(struct sp_shards *s, const struct sp_shard_kind *kind, struct sp_reclaim *reclaim,
                         size_t entries_max) {
    struct sp_shard_meter *meter = calloc(1, sizeof *meter);
    if (meter == NULL) return sp_err(SP_E_NOMEM);
    atomic_init(&meter->refs, 1);
    pthread_mutex_init(&s->lock, NULL); /* cannot fail with default attributes on Linux */
    s->kind = *kind;
    s->reclaim = reclaim;
    s->meter = meter;
    s->entries_max = entries_max;
    s->swept_s = INT64_MIN;
    return SP_SUCCESS;
}

void sp_shards_done(struct sp_shards *s) {
    if (s->meter == NULL) return;
    for (size_t i = 0; i < SP_SHARDS; i++)
        table_free(atomic_load_explicit(&s->root[i], memory_order_relaxed));
    meter_unref(s->meter);
    pthread_mutex_destroy(&s->lock);
}
