/* May this token pass? One call: signature (or the cache of tokens whose signature was already checked), then
 * times, issuer, audience, epochs and revocation, these afresh on every call.
 *
 * A verifier is shared by all threads of a process. Each thread has a reader of its own:
 *
 *   sp_verifier_reader_new(v, &reader);                                once a thread
 *   sp_verifier_enter(reader);
 *   reject = sp_verifier_check(v, reader, token, now_s, &claims);      claims != NULL exactly when accepted
 *   ... use *claims ...
 *   sp_verifier_exit(reader);                                          claims are gone
 *
 * Between enter and exit no I/O and no waiting (reclaim.h says why). Pure: no clock and no descriptors.
 *
 * What is looked up in the revocation set: the raw 16 and 20 bytes of a jti and a sid in our text form,
 * otherwise the characters of the claim as they stand. A token that nobody could revoke is refused as
 * BAD_PAYLOAD: one without jti, or whose sub is neither an id of ours nor its client_id, since users and
 * clients are raised by id (sp_subject_of). Absent epochs count as 0. */
#ifndef SP_VERIFY_VERIFIER_H
#define SP_VERIFY_VERIFIER_H

#include "base/ports.h"
#include "revoke/epochs.h"
#include "revoke/reclaim.h"
#include "revoke/set.h"
#include "token/check.h"
#include "verify/keyset.h"
#include "verify/token_cache.h"

/* The strings of accepted claims together: they are never longer than the payload that they were read from.
 */
#define SP_VERIFIER_BLOCK_BYTES_MAX SP_PAYLOAD_BYTES_MAX
#define SP_VERIFIER_NAME_BYTES_MAX 256 /* issuer, audience and typ: URLs and media types of sane length */

struct sp_verifier;
struct sp_verifier_reader;

/* Slices are copied; reclaim and random are borrowed. */
struct sp_verifier_opts {
    sp_slice issuer;                /* exact; required */
    sp_slice audience;              /* one of the token's, exact; required */
    sp_slice typ;                   /* the header's; empty: "at+jwt" */
    uint32_t alg_mask;              /* SP_ALG_BITs that are allowed */
    uint32_t leeway_s;              /* 0..SP_CHECK_LEEWAY_MAX_S */
    size_t cache_bytes;             /* at most this for cached tokens; 0: no cache */
    struct sp_reclaim *reclaim;     /* outlives the verifier */
    const struct sp_random *random; /* for the keys of set, map and cache; used in new only */
};

/* Sums since new over all readers. Each is exact, together they are not one moment. */
struct sp_verifier_stats {
    uint64_t hits;                      /* signature found in the cache */
    uint64_t misses;                    /* it was not: checked, or refused before */
    uint64_t verdicts[SP_REJECT_COUNT]; /* by enum sp_reject; accepted is [SP_REJECT_NONE] */
    struct sp_token_cache_stats cache;  /* zero without a cache */
};

/* Begins without keys: refuses everything. SP_E_MALFORMED (no issuer or audience), SP_E_LIMIT, SP_E_NOMEM,
 * SP_E_UNAVAILABLE. */
sp_status sp_verifier_new(const struct sp_verifier_opts *opts, struct sp_verifier **ret);
/* All readers have ended. Accepts NULL. */
void sp_verifier_free(struct sp_verifier *v);
SP_DEFINE_FREE(sp_verifier);

/* SP_E_LIMIT when the reclaim has no seat left; SP_E_NOMEM. Takes about 100 KiB, of which usual tokens touch
 * a tenth. */
sp_status sp_verifier_reader_new(struct sp_verifier *v, struct sp_verifier_reader **ret);
void sp_verifier_reader_free(struct sp_verifier_reader *reader); /* outside; accepts NULL */
SP_DEFINE_FREE(sp_verifier_reader);
void sp_verifier_enter(struct sp_verifier_reader *reader);
void sp_verifier_exit(struct sp_verifier_reader *reader);

enum sp_verify_flags {
    SP_VERIFY_STRICT = 0,
    /* For logout: a token that has expired, or was revoked, still names its session. Signature, issuer,
     * audience and typ as ever; says nothing about whether the token may pass. */
    SP_VERIFY_IGNORE_END = 1,
    /* The caller checks the proof of a token that is bound to a key (cnf.jkt); without this such a token is
     * refused, since it is no bearer token. */
    SP_VERIFY_PROOF_BY_CALLER = 2,
    /* For the issuer's own endpoints (userinfo, introspection, revocation): tokens for any audience. */
    SP_VERIFY_ANY_AUDIENCE = 4,
};

/* Inside enter/exit, by the reader's thread. SP_REJECT_NONE: accepted, and *ret_claims is good until exit or
 * the reader's next check. Otherwise *ret_claims is NULL. ret_claims may be NULL. */
enum sp_reject sp_verifier_check(struct sp_verifier *v, struct sp_verifier_reader *reader, sp_slice token,
                                 int64_t now_s, const struct sp_claims **ret_claims)
    __attribute__((warn_unused_result));
/* The same with flags (enum sp_verify_flags, or-ed). */
enum sp_reject sp_verifier_check_flags(struct sp_verifier *v, struct sp_verifier_reader *reader,
                                       unsigned flags, sp_slice token, int64_t now_s,
                                       const struct sp_claims **ret_claims)
    __attribute__((warn_unused_result));

/* The bytes that the claims of the reader's last accepted check borrow: every slice in them is NULL or lies
 * whole in this one block of at most SP_VERIFIER_BLOCK_BYTES_MAX. So claims outlive the exit by one memcpy of
 * the block, an assignment of the struct and sp_claims_rebase. Good for as long as the claims. */
sp_slice sp_verifier_claims_block(const struct sp_verifier_reader *reader);

/* The keys from now on; copied. Any thread. Cached tokens of keys that are not in it, or not the same, no
 * longer count: for every check that begins after this returned. Fails as sp_keyset_new; then the old keys
 * stay. */
sp_status sp_verifier_set_keys(struct sp_verifier *v, const struct sp_jwk *keys, size_t n);

/* Writer's side. Live as long as the verifier. */
struct sp_revoke_set *sp_verifier_revoke_set(struct sp_verifier *v);
struct sp_epochs *sp_verifier_epochs(struct sp_verifier *v);
/* Drops what has lapsed, and collects. Call it every few seconds. */
void sp_verifier_tick(struct sp_verifier *v, int64_t now_s);

/* Fail closed: while closed, every token is refused as STALE; only SP_VERIFY_IGNORE_END still answers, so
 * that people can log out. For whoever could not record a revocation, or has lost touch with what is revoked.
 * Counted: opens again after as many opens as closes. Any thread. */
void sp_verifier_close(struct sp_verifier *v);
void sp_verifier_open(struct sp_verifier *v);
/* False while closed. A hint for status pages; a check decides for itself. Any thread. */
bool sp_verifier_is_open(const struct sp_verifier *v);

/* Any thread; takes locks. */
void sp_verifier_stats(struct sp_verifier *v, struct sp_verifier_stats *ret);

#endif
