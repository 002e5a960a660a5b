/* The public keys that a verifier trusts, by kid: an immutable set, swapped whole.
 *
 * Each key has an identity: a number that is never given twice within a process. A key that stands in the old
 * set and in the new one unchanged (kid, type, alg and key material) keeps its identity; a key that is new,
 * replaced under the same kid, or comes back after having been away gets a fresh one. What was verified under
 * a key remembers the identity and counts only while the current set has it: so removing a key takes its
 * cached tokens along, at once and without a search.
 *
 * Immutable after new, so any thread may read it; who shares it frees it through reclaim.h. */
#ifndef SP_VERIFY_KEYSET_H
#define SP_VERIFY_KEYSET_H

#include "revoke/reclaim.h"
#include "token/jwk.h"

/* Announced, signing and a few retired keys of a handful of algorithms; a longer list is somebody's mistake,
 * and would be searched linearly on every check. */
#define SP_KEYSET_KEYS_MAX 32

struct sp_keyset;
struct sp_keyset_key {
    const struct sp_jwk *jwk;
    uint64_t identity; /* never 0 */
};

/* Copies the keys. `prev` (or NULL) is the set that this one follows, for the identities; it is only read.
 * SP_E_CONFLICT: two keys with one kid. SP_E_LIMIT, SP_E_NOMEM, SP_E_MALFORMED (a key without a kid). */
sp_status sp_keyset_new(const struct sp_jwk *const *keys, size_t n, const struct sp_keyset *prev,
                        struct sp_keyset **ret);
void sp_keyset_free(struct sp_keyset *ks); /* accepts NULL */
SP_DEFINE_FREE(sp_keyset);
/* Frees it when no reader can see it any more. Accepts NULL. */
void sp_keyset_retire(struct sp_keyset *ks, struct sp_reclaim *reclaim);

/* NULL when we do not know the kid. Lives as long as the set. */
const struct sp_keyset_key *sp_keyset_find(const struct sp_keyset *ks, sp_slice kid);
/* Does the set still have exactly this key? */
bool sp_keyset_has(const struct sp_keyset *ks, uint64_t identity) __attribute__((warn_unused_result));
size_t sp_keyset_count(const struct sp_keyset *ks);

#endif
