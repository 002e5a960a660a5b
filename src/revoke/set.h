/* The revocation set: which tokens (jti) and sessions (sid) are revoked, and until when that matters.
 *
 * Exact in the direction that counts: what was added is found until its expiry, always. Keys are kept as
 * 64-bit fingerprints by a keyed hash, so a stranger's id may read as revoked with a chance of n / 2^64,
 * which nobody without the key can steer. Two ids that share a fingerprint share one entry with the later
 * expiry: again never a false "not revoked".
 *
 * Readers take no lock and never wait: see reclaim.h; they look only between enter and exit. Writers take
 * the set's mutex, so there may be several. An add is seen by every lookup that begins after it returned. */
#ifndef SP_REVOKE_SET_H
#define SP_REVOKE_SET_H

#include "base/ports.h"
#include "revoke/reclaim.h"

enum sp_revoke_kind {
    SP_REVOKE_JTI = 1,
    SP_REVOKE_SID = 2,
};

#define SP_REVOKE_KEY_BYTES 16
/* Ids are given as bytes: the 16 or 20 raw ones of an id of ours, otherwise the characters of a foreign text.
 * Ours have 16 and 20 bytes; texts of foreign ids may be longer, but nobody names a token in more than
 * this. */
#define SP_REVOKE_ID_BYTES_MAX 256
/* A revoked session lives here for minutes (until its last access token has expired): 2^24 entries are 18,600
 * logouts a second at 15 minutes, and 384 MiB. Beyond that adding is refused, loudly. The maximum is asked
 * when the table would be rebuilt, so that a table that was paid for is used: up to half as many more may
 * enter. */
#define SP_REVOKE_ENTRIES_MAX ((size_t)1 << 24)

/* Entries that say "for ever": expiries at or beyond this (the year 2106) never lapse. */
#define SP_REVOKE_FOREVER ((int64_t)UINT32_MAX)

struct sp_revoke_set;

struct sp_revoke_set_opts {
    struct sp_reclaim *reclaim; /* borrowed; outlives the set */
    const struct sp_random
        *random;        /* borrowed for the call: draws the fingerprint key. May be NULL with key */
    const uint8_t *key; /* SP_REVOKE_KEY_BYTES: use this key (a snapshot's) instead of a random one */
    size_t entries_max; /* 0: SP_REVOKE_ENTRIES_MAX, the most that there may be */
    /* For tests: forces collisions. NULL: keyed SipHash-2-4. */
    uint64_t (*hash_for_test)(const uint8_t *key, enum sp_revoke_kind kind, sp_slice id);
};

struct sp_revoke_set_stats {
    size_t entries; /* taken slots, lapsed ones included */
    size_t slots;
    size_t bytes;
    uint64_t rebuilds;
};

/* SP_E_NOMEM, SP_E_LIMIT (entries_max), SP_E_UNAVAILABLE (randomness). */
sp_status sp_revoke_set_new(const struct sp_revoke_set_opts *opts, struct sp_revoke_set **ret);
/* No reader is inside any more. Accepts NULL. */
void sp_revoke_set_free(struct sp_revoke_set *s);
SP_DEFINE_FREE(sp_revoke_set);

/* Revokes until expiry_s inclusive. Idempotent; only ever extends an expiry that is there. Any thread.
 *
 * SP_E_NOMEM or SP_E_LIMIT: this entry was NOT taken, all others stand. The caller must then fail closed:
 * it may not answer 2xx for the revocation, and if the revocation is already durable it must close the
 * verifiers that read this set (sp_verifier_close) until an add of the same id has succeeded.
 * SP_E_MALFORMED: an id that is empty or longer than SP_REVOKE_ID_BYTES_MAX; no such token passes either.
 * `now_s` lets a full table drop what has lapsed before it grows. */
sp_status sp_revoke_set_add(struct sp_revoke_set *s, enum sp_revoke_kind kind, sp_slice id, int64_t expiry_s,
                            int64_t now_s);

/* True when the id is revoked and now_s <= its expiry; true also for ids that could not have been added
 * (empty or too long): nothing is known in their favour. Inside enter/exit. Any thread, no lock. */
bool sp_revoke_set_contains(const struct sp_revoke_set *s, enum sp_revoke_kind kind, sp_slice id,
                            int64_t now_s) __attribute__((warn_unused_result));

/* The same in two steps, for who asks again and again about one id: the fingerprint never changes within a
 * set, and costs most of a lookup. 0 for an id that could not have been added, which reads as revoked. */
uint64_t sp_revoke_set_fingerprint(const struct sp_revoke_set *s, enum sp_revoke_kind kind, sp_slice id);
bool sp_revoke_set_contains_fingerprint(const struct sp_revoke_set *s, uint64_t fingerprint, int64_t now_s)
    __attribute__((warn_unused_result));

/* Drops what has lapsed (expiry < now_s) and gives memory back, when that is worth a rebuild. Readers go on.
 * Failing for want of memory changes nothing, and is not reported: the table that is there stays right.
 * `now_s` must be a time that does not go back by more than the margin that expiries carry. Any thread. */
void sp_revoke_set_expire(struct sp_revoke_set *s, int64_t now_s);

/* Any thread; takes the lock. */
void sp_revoke_set_stats(struct sp_revoke_set *s, struct sp_revoke_set_stats *ret);

#endif
