/* Tokens whose signature has been verified, so that it need not be verified again.
 *
 * What stands in it is a fact that never changes ("these bytes were signed by that key, and say this"), so
 * only facts are kept: the token's bytes, its decoded payload, the parsed claims, and the identity of the
 * key. Nothing that depends on now is: expiry, epochs and revocation are the caller's, on every call.
 *
 * Found by a keyed mix of the last 16 bytes of the signature (a secret random key: nobody can aim at a
 * bucket, and the tail is the one part of a token that an adversary without the key cannot choose), then
 * compared in full, in constant time. Inserted only after a valid signature.
 *
 * Bounded in bytes: what is linked and what waits to be reclaimed together never exceed bytes_max. When there
 * is no room even after eviction, the token is simply not cached. */
#ifndef SP_VERIFY_TOKEN_CACHE_H
#define SP_VERIFY_TOKEN_CACHE_H

#include "base/ports.h"
#include "revoke/reclaim.h"
#include "token/check.h"

/* At least this, or a cache is not worth its table. */
#define SP_TOKEN_CACHE_BYTES_MIN ((size_t)64 * 1024)
/* More would outgrow the table's 32-bit arithmetic of buckets; 10 million tokens fit. */
#define SP_TOKEN_CACHE_BYTES_MAX ((size_t)16 * 1024 * 1024 * 1024)
/* The signature's tail by which a token is found: as long as the shortest half of any signature that we
 * allow. */
#define SP_TOKEN_CACHE_TAIL_BYTES 16

struct sp_token_cache;

/* One cached token. Immutable; good until the reader exits. */
struct sp_cached_token {
    sp_slice token;
    uint64_t key_identity;
    const struct sp_claims *claims;
};

struct sp_token_cache_stats {
    size_t entries;
    size_t bytes; /* linked and waiting, and the table itself */
    uint64_t evictions;
    uint64_t skipped; /* inserts that found no room */
};

/* SP_E_LIMIT (bytes_max), SP_E_NOMEM, SP_E_UNAVAILABLE. `reclaim` is borrowed and outlives the cache. */
sp_status sp_token_cache_new(size_t bytes_max, struct sp_reclaim *reclaim, const struct sp_random *random,
                             struct sp_token_cache **ret);
/* No reader is inside any more. Accepts NULL. */
void sp_token_cache_free(struct sp_token_cache *c);
SP_DEFINE_FREE(sp_token_cache);

/* NULL: not there. Inside enter/exit; any thread, no lock, no allocation. */
const struct sp_cached_token *sp_token_cache_find(struct sp_token_cache *c, sp_slice token);

void sp_token_cache_stats(struct sp_token_cache *c, struct sp_token_cache_stats *ret);

#endif
