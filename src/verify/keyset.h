/* The keys that a verifier trusts: an immutable set, swapped whole.
 *
 * Each key has an identity: a number that is never given twice within a process. A key that stands in the old
 * set and in the new one unchanged (kid, type, algorithms and key material) keeps its identity; a key that is
 * new, replaced under the same kid, or comes back after having been away gets a fresh one. What was verified
 * under a key remembers the identity and counts only while the current set has it: so removing a key takes
 * its cached tokens along, at once and without a search.
 *
 * Immutable after new, so any thread may read it; who shares it frees it through reclaim.h. */
#ifndef SP_VERIFY_KEYSET_H
#define SP_VERIFY_KEYSET_H

#include "revoke/reclaim.h"
#include "token/check.h"
#include "token/jwk.h"

/* Announced, signing and retired keys of a handful of algorithms; searched linearly on every check. */
#define SP_KEYSET_KEYS_MAX SP_JWKS_KEYS_MAX

struct sp_keyset;

/* Copies the keys (sharing the material). `prev` (or NULL) is the set that this one follows, for the
 * identities; it is only read. SP_E_LIMIT, SP_E_NOMEM. A key without kid is never found by a token, since we
 * require one; keys that share a kid are told apart by algorithm or not at all (sp_jwks_find). */
sp_status sp_keyset_new(const struct sp_jwk *keys, size_t n, const struct sp_keyset *prev,
                        struct sp_keyset **ret);
void sp_keyset_free(struct sp_keyset *ks); /* accepts NULL */
SP_DEFINE_FREE(sp_keyset);
/* Frees it when no reader can see it any more. Accepts NULL. */
void sp_keyset_retire(struct sp_keyset *ks, struct sp_reclaim *reclaim);

/* For sp_check_signature; the set must outlive the lookup. */
struct sp_key_lookup sp_keyset_lookup(const struct sp_keyset *ks);
/* Of a key that a lookup in this set answered. Never 0. */
uint64_t sp_keyset_identity(const struct sp_keyset *ks, const struct sp_jwk *jwk);
/* Does the set still have exactly this key? */
bool sp_keyset_has(const struct sp_keyset *ks, uint64_t identity) __attribute__((warn_unused_result));
size_t sp_keyset_count(const struct sp_keyset *ks);

#endif
