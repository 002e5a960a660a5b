/* Tokens whose signature has been verified, so that it need not be verified again.
 *
 * What stands in it is a fact that never changes ("these bytes were signed by that key, and say this"), so
 * only facts are kept: the token's bytes, its claims, the identity of the key, and what is needed to ask
 * about revocation. Nothing that depends on now is: expiry, epochs and revocation are the caller's, on every
 * call, and so is whether the key is still trusted (keyset.h).
 *
 * Found by a keyed mix of the last 16 bytes of the token, which are the end of the signature: the key is
 * random and secret, so nobody can aim at a bucket, and the end of a signature is the one part of a token
 * that its bearer cannot choose. Then compared in full, in constant time. Inserted only after a valid
 * signature.
 *
 * Bounded in bytes: all memory that there will ever be is reserved when the cache is made, and used from the
 * beginning on, so that what was never needed is never touched. An insert allocates nothing. When there is no
 * room, the token is simply not cached. What was not asked for since the clock last came by goes first, and
 * what has expired with it, so that a flood of valid new tokens does not wash out those in use. */
#ifndef SP_VERIFY_TOKEN_CACHE_H
#define SP_VERIFY_TOKEN_CACHE_H

#include "base/ports.h"
#include "revoke/reclaim.h"
#include "revoke/set.h"
#include "token/claims.h"
#include "token/ids.h"

/* At least this, or a cache is not worth its table. */
#define SP_TOKEN_CACHE_BYTES_MIN ((size_t)64 * 1024)
/* Some 18 million tokens; a larger figure is more likely a slip of the unit than a wish. */
#define SP_TOKEN_CACHE_BYTES_MAX ((size_t)16 * 1024 * 1024 * 1024)
/* 96 bits of any signature: enough that two tokens in one cache never share them by chance. */
#define SP_TOKEN_CACHE_TAIL_BYTES 16

struct sp_token_cache;

/* What revocation asks about, worked out once. */
struct sp_token_marks {
    sp_id sub;
    uint64_t jti, sid; /* fingerprints in the verifier's revocation set; sid 0: has none */
};

/* All that is known of one token; two lines of memory. */
struct sp_token_facts {
    struct sp_token_marks marks;
    uint64_t key_identity;
    uint32_t generation;      /* of that set when the marks were made: they are void in any other */
    enum sp_reject addressee; /* sp_check_addressee's answer: the policy of a verifier never changes */
    struct sp_claims_packed claims;
};

/* One cached token. Immutable; good until the reader exits. */
struct sp_cached_token {
    const struct sp_token_facts *facts;
    sp_slice block; /* what the claims borrow: their strings, one after the other */
};

struct sp_token_cache_stats {
    uint64_t entries;
    uint64_t bytes; /* the table, and the part of the rest that was ever used; what readers hold is in it */
    uint64_t evictions;
    uint64_t skipped; /* inserts that found no room, or were too large */
};

/* SP_E_LIMIT (bytes_max), SP_E_NOMEM, SP_E_UNAVAILABLE. `reclaim` is borrowed and outlives the cache. */
sp_status sp_token_cache_new(size_t bytes_max, struct sp_reclaim *reclaim, const struct sp_random *random,
                             struct sp_token_cache **ret);
/* No reader is inside any more. Accepts NULL. */
void sp_token_cache_free(struct sp_token_cache *c);
SP_DEFINE_FREE(sp_token_cache);

/* False: not there. Inside enter/exit; any thread, no lock, no allocation. `set` is asked to have at hand
 * what it will be asked about the token's marks; NULL: nobody. */
bool sp_token_cache_find(struct sp_token_cache *c, const struct sp_revoke_set *set, sp_slice token,
                         struct sp_cached_token *ret) __attribute__((warn_unused_result));

/* Copies token, facts and block; `set`, which may be NULL, is the one that find will be called with. Best
 * effort: a cache that cannot take a token is only slower, so failure is counted and not reported. A token
 * that is there already under another key is replaced. Inside or outside of enter/exit; any thread, takes a
 * lock. */
void sp_token_cache_insert(struct sp_token_cache *c, const struct sp_revoke_set *set, sp_slice token,
                           const struct sp_token_facts *facts, sp_slice block, int64_t now_s);

void sp_token_cache_stats(struct sp_token_cache *c, struct sp_token_cache_stats *ret);

#endif
