/* What the files of the feed share. See feed.h. */
#ifndef SP_CORE_FEED_INTERNAL_H
#define SP_CORE_FEED_INTERNAL_H

#include <pthread.h>

#include "base/assert.h"
#include "base/mem.h"
#include "core/feed.h"

enum {
    FEED_WORD_BITS = 64,
    /* Documents of keys whose confirmation is still told from "some other document": verifiers that confirm
     * an older one than these do not have the keys. */
    FEED_KEYS_REMEMBERED = 16,
};

/* One verifier: a client's credential and the name that the verifier gave itself. */
struct feed_seat {
    bool taken;
    uint64_t hash, client_hash;
    sp_text64 client, instance, address;
    uint32_t streams; /* open ones; a new one may come before the old one is seen to be dead */
    bool has_acked;
    uint64_t seq;
    uint64_t roles_index, keys_index; /* of documents confirmed; 0: none that we know */
    int64_t acked_boot_ms, heard_boot_ms;
    int64_t since_ms, acked_ms;
    uint32_t max_staleness_s;
};

/* Revocations in order, without gaps, the last one at the feed's seq: a ring that doubles up to its maximum.
 */
struct feed_backlog {
    struct sp_feed_revocation *ring;
    size_t cap; /* power of two */
    size_t first, n;
};

/* The revocation whose lag is being measured. */
struct feed_probe {
    bool is_open;
    uint64_t seq;
    int64_t began_ms, confirmed_ms; /* boot time; of the last confirmation */
    uint32_t left;                  /* bits that are set */
    uint64_t open[SP_FEED_VERIFIERS_MAX / FEED_WORD_BITS];
};

struct sp_feed {
    struct sp_clock clock;
    struct sp_seats *seats;
    struct sp_keys *keys;
    struct sp_live_roles *live_roles;
    struct sp_revoke_set *revoked;
    struct sp_epochs *epochs;
    sp_text256 issuer;
    uint8_t node[SP_FEED_NODE_BYTES];

    pthread_mutex_t lock; /* everything below */
    struct sp_feed_position at;
    uint8_t head[SP_FEED_HEAD_BYTES];
    struct feed_backlog backlog;
    struct sp_feed_document *roles_document, *keys_document;
    uint8_t keys_before[FEED_KEYS_REMEMBERED][SP_FEED_DIGEST_BYTES]; /* by index, going round */
    struct sp_feed_watcher *watchers;
    struct feed_seat *verifiers; /* grows by doubling to SP_FEED_VERIFIERS_MAX */
    size_t verifiers_cap;
    uint16_t *index; /* by hash of client and instance: seat + 1; twice verifiers_cap, a power of two */
    struct sp_feed_waiter *waiters;
    size_t n_waiters;
    struct feed_probe probe;
    struct sp_feed_counts counts; /* the sums in it */
};

static inline void feed_lock(struct sp_feed *f) {
    sp_assert(pthread_mutex_lock(&f->lock) == 0);
}
static inline void feed_unlock(struct sp_feed *f) {
    sp_assert(pthread_mutex_unlock(&f->lock) == 0);
}

/* Tells every watcher. Under the lock: posting takes no lock of ours and never blocks. */
void sp_feed_tell_watchers(struct sp_feed *f);
/* Signs with the feed key of the moment: thumbprint and signature. */
sp_status sp_feed_sign(struct sp_feed *f, const struct sp_feed_signed *what, uint8_t ret_kid[SP_SHA256_BYTES],
                       uint8_t ret_signature[SP_FEED_SIGNATURE_BYTES]);
void sp_feed_verifiers_done(struct sp_feed *f);

/* A mark for a seat. */
static inline bool feed_bit(const uint64_t *bits, size_t i) {
    return (bits[i / FEED_WORD_BITS] >> (i % FEED_WORD_BITS) & 1) != 0;
}
static inline void feed_bit_set(uint64_t *bits, size_t i) {
    bits[i / FEED_WORD_BITS] |= (uint64_t)1 << (i % FEED_WORD_BITS);
}
static inline void feed_bit_clear(uint64_t *bits, size_t i) {
    bits[i / FEED_WORD_BITS] &= ~((uint64_t)1 << (i % FEED_WORD_BITS));
}

bool sp_feed_is_live(const struct feed_seat *v, int64_t boot_ms);

/* Receipts and lag (feed_receipts.c), under the lock. The verifier of this seat has confirmed up to `seq`
 * (UINT64_MAX: it has said goodbye) ... */
void sp_feed_seat_confirmed(struct sp_feed *f, size_t seat, uint64_t seq);
/* ... or is no more: its confirmations would be somebody else's. */
void sp_feed_seat_lost(struct sp_feed *f, size_t seat);
void sp_feed_probe_published(struct sp_feed *f, uint64_t seq);
void sp_feed_probe_tick(struct sp_feed *f, int64_t boot_ms);

#endif
