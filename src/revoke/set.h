/* The revocation set: which tokens (jti) and sessions (sid) are revoked, and until when that matters.
 *
 * Exact in the direction that counts: what was added is found until its expiry, always. Keys are kept as
 * 64-bit fingerprints by a keyed hash, so a stranger's id may read as revoked with a chance of n / 2^64,
 * which nobody without the key can steer. Two ids that share a fingerprint share one entry with the later
 * expiry: again never a false "not revoked".
 *
 * Readers take no lock and never wait, also not while the set grows, forgets or is dumped: see reclaim.h and
 * shards.h; they look only between enter and exit. Writers take the set's mutex, so there may be several. An
 * add is seen by every lookup that begins after it returned. The same code runs in the server and in every
 * verifier. */
#ifndef SP_REVOKE_SET_H
#define SP_REVOKE_SET_H

#include "base/ports.h"
#include "revoke/reclaim.h"

enum sp_revoke_kind {
    SP_REVOKE_JTI = 1,
    SP_REVOKE_SID = 2,
};

/* The fingerprint of an entry is part of the wire format of the feed's snapshot (docs/feed.md):
 *
 *   SipHash-2-4, 64 bits, under the 16-byte key, over the kind as one byte (1: jti, 2: sid) and then the
 *   bytes of the id; the eight bytes of its output read as a little-endian number; 0 becomes 1.
 *
 * The bytes of an id are the 16 raw ones of a jti of ours (base64url of exactly 16 bytes), the 20 raw ones of
 * a sid of ours, and otherwise the characters of the text as they stand in the token. */
#define SP_REVOKE_KEY_BYTES 16
/* Ids are given as bytes: the 16 or 20 raw ones of an id of ours, otherwise the characters of a foreign text.
 * Ours have 16 and 20 bytes; texts of foreign ids may be longer, but nobody names a token in more than
 * this. */
#define SP_REVOKE_ID_BYTES_MAX 256
/* A revoked session lives here for minutes (until its last access token has expired): 2^24 entries are 18,600
 * logouts a second at 15 minutes, and 290 to 360 MiB. Beyond that adding is refused, loudly; lapsed entries
 * do not count. */
#define SP_REVOKE_ENTRIES_MAX ((size_t)1 << 24)

/* Entries that say "for ever": expiries at or beyond this (the year 2106) never lapse. */
#define SP_REVOKE_FOREVER ((int64_t)UINT32_MAX)

struct sp_revoke_set;

struct sp_revoke_set_opts {
    struct sp_reclaim *reclaim; /* borrowed; outlives the set */
    const struct sp_random
        *random;         /* borrowed for the call: draws the fingerprint key. May be NULL with key */
    const uint8_t *key;  /* SP_REVOKE_KEY_BYTES: use this key (a snapshot's) instead of a random one */
    size_t entries_max;  /* 0: SP_REVOKE_ENTRIES_MAX, the most that there may be */
    bool without_filter; /* for measurements and tests: what the filter is worth */
    /* For tests: forces collisions. NULL: keyed SipHash-2-4. */
    uint64_t (*hash_for_test)(const uint8_t *key, enum sp_revoke_kind kind, sp_slice id);
    uint64_t mix_for_test; /* odd: where entries lie; 1: in the order of fingerprints. 0: nobody knows */
};

struct sp_revoke_set_stats {
    size_t entries; /* taken slots, lapsed ones included */
    size_t slots;
    size_t bytes;        /* of tables and filters, those included that wait for readers to leave */
    size_t peak_bytes;   /* the most that `bytes` ever was: growth holds old and new */
    size_t filter_bytes; /* the part of `bytes` that is filter */
    uint64_t rebuilds;   /* of shards */
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
/* Where a lookup of this fingerprint will look, for who keeps fingerprints and wants to have that at hand. It
 * is this set's secret. Any thread. */
uint32_t sp_revoke_set_hint(const struct sp_revoke_set *s, uint64_t fingerprint);
/* Asks memory for what that lookup will read first, and waits for nothing. Inside enter/exit. */
void sp_revoke_set_prefetch(const struct sp_revoke_set *s, uint32_t hint);

/* The key of the fingerprints, so that a server has the same one after every start and a verifier the
 * server's. Only while the set is empty (lapsed entries that were not dropped yet count): otherwise
 * SP_E_CONFLICT and nothing changes. Fingerprints made before are void afterwards: see
 * sp_revoke_set_generation. Any thread. */
sp_status sp_revoke_set_rekey(struct sp_revoke_set *s, const uint8_t key[SP_REVOKE_KEY_BYTES]);
/* Forgets every entry, the key stays. For a verifier that took rows from a stranger before it had anything
 * else: nothing that was ever proved may be in it. Any thread. */
void sp_revoke_set_clear(struct sp_revoke_set *s);
/* It goes to verifiers only: who knows it can choose ids that collide. Any thread, no lock. */
void sp_revoke_set_key(const struct sp_revoke_set *s, uint8_t ret[SP_REVOKE_KEY_BYTES]);
/* Changes with every rekey. Who keeps fingerprints reads it before making one, keeps it with it, and makes
 * the fingerprint anew when the generation is another: an old one would read as "not revoked". Any thread. */
uint32_t sp_revoke_set_generation(const struct sp_revoke_set *s);

/* As sp_revoke_set_add, by fingerprint: for what comes from a snapshot under this set's key. 0 is never a
 * fingerprint: SP_E_MALFORMED. In any order. */
sp_status sp_revoke_set_add_fingerprint(struct sp_revoke_set *s, uint64_t fingerprint, int64_t expiry_s,
                                        int64_t now_s);
/* Makes room for `more` entries at once, so that loading them grows nothing. SP_E_NOMEM; SP_E_LIMIT when they
 * would exceed entries_max. A failure costs only speed: adding may succeed all the same. Any thread. */
sp_status sp_revoke_set_reserve(struct sp_revoke_set *s, size_t more);

struct sp_revoke_entry {
    uint64_t fingerprint;
    uint32_t expiry_s; /* the last second in force; UINT32_MAX: for ever */
};
/* Where a dump has come to: {0} begins. A plain value: it names no memory of the set, so it may be kept for
 * as long as a slow client takes. */
struct sp_revoke_dump {
    uint64_t at;
};
/* The next entries in force at now_s, in an order of this set's own: at most n_max (> 0), perhaps fewer,
 * perhaps none, before the end; *ret_end says that nothing follows. The cursor moves on. Inside enter/exit,
 * which may be left between two steps; writers never wait for it.
 *
 * Every entry that is in the set before the first step and does not lapse before the last is given exactly
 * once, whatever is added, grows or expires between and during the steps. One added meanwhile is given if its
 * turn had not come; an expiry extended meanwhile may be given as it was. */
size_t sp_revoke_set_dump(const struct sp_revoke_set *s, struct sp_revoke_dump *cursor, int64_t now_s,
                          struct sp_revoke_entry *ret, size_t n_max, bool *ret_end);

/* Drops what has lapsed (expiry < now_s) and gives memory back, where that is worth a rebuild. Readers go on;
 * a writer waits for one shard at most. Work for a call is bounded: a small set is done at once, one of
 * millions in turns, so call it every few seconds. Failing for want of memory changes nothing, and is not
 * reported: the table that is there stays right. `now_s` must be a time that does not go back by more than
 * the margin that expiries carry. Any thread. */
void sp_revoke_set_expire(struct sp_revoke_set *s, int64_t now_s);

/* Any thread; takes the lock. */
void sp_revoke_set_stats(struct sp_revoke_set *s, struct sp_revoke_set_stats *ret);

#endif
