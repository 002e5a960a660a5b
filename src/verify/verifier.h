/* May this token pass? One call: signature (or the cache of tokens whose signature was already checked), then
 * times, issuer, audience, type, epochs and revocation, the latter afresh on every call.
 *
 * A verifier is shared by all threads of a process. Each thread has a reader of its own:
 *
 *   sp_verifier_reader_new(v, &reader);                                once a thread
 *   sp_verifier_enter(reader);
 *   reject = sp_verifier_check(v, reader, token, now_s, &claims);      claims != NULL exactly when accepted
 *   ... use *claims ...
 *   sp_verifier_exit(reader);                                          claims are gone
 *
 * Between enter and exit no I/O and no waiting (reclaim.h says why). Pure: no clock and no descriptors. */
#ifndef SP_VERIFY_VERIFIER_H
#define SP_VERIFY_VERIFIER_H

#include "base/ports.h"
#include "revoke/epochs.h"
#include "revoke/reclaim.h"
#include "revoke/set.h"
#include "token/check.h"
#include "verify/keyset.h"

struct sp_verifier;
struct sp_verifier_reader;

/* Everything is borrowed until the verifier ends, except issuer, audience and typ, which are copied. */
struct sp_verifier_opts {
    sp_slice issuer;    /* exact; required */
    sp_slice audience;  /* one of the token's; required */
    sp_slice typ;       /* the header's; empty: "at+jwt" */
    uint32_t alg_mask;  /* allowed algorithms, as sp_check_policy (token/check.h) has them */
    int64_t leeway_s;   /* 0..SP_CHECK_LEEWAY_MAX_S */
    size_t cache_bytes; /* at most this for cached tokens; 0: no cache */
    struct sp_reclaim *reclaim;
    const struct sp_random *random; /* for the keys of set, map and cache; used in new only */
};

/* Relaxed counts since new; each is exact, together they are not one moment. */
struct sp_verifier_stats {
    uint64_t hits;   /* signature found in the cache */
    uint64_t misses; /* signature had to be checked, or the token was refused before */
    uint64_t accepted;
    uint64_t rejected[SP_REJECT_COUNT]; /* by reason */
    uint64_t cache_bytes;
    uint64_t cache_entries;
};

/* Begins without keys: refuses everything. SP_E_NOMEM, SP_E_LIMIT, SP_E_MALFORMED, SP_E_UNAVAILABLE. */
sp_status sp_verifier_new(const struct sp_verifier_opts *opts, struct sp_verifier **ret);
/* All readers have ended. Accepts NULL. */
void sp_verifier_free(struct sp_verifier *v);
SP_DEFINE_FREE(sp_verifier);

/* SP_E_LIMIT when the reclaim has no seat left; SP_E_NOMEM. */
sp_status sp_verifier_reader_new(struct sp_verifier *v, struct sp_verifier_reader **ret);
void sp_verifier_reader_free(struct sp_verifier_reader *reader); /* outside; accepts NULL */
SP_DEFINE_FREE(sp_verifier_reader);
void sp_verifier_enter(struct sp_verifier_reader *reader);
void sp_verifier_exit(struct sp_verifier_reader *reader);

/* Inside enter/exit, by the reader's thread. SP_REJECT_NONE: accepted, and *ret_claims (if asked for) is good
 * until exit or the reader's next check. Otherwise *ret_claims is NULL. */
enum sp_reject sp_verifier_check(struct sp_verifier *v, struct sp_verifier_reader *reader, sp_slice token,
                                 int64_t now_s, const struct sp_claims **ret_claims)
    __attribute__((warn_unused_result));

/* The keys from now on; copied. Any thread, one at a time inside. Cached tokens of keys that are not in it,
 * or not the same, no longer count. Fails as sp_keyset_new; then the old keys stay. */
sp_status sp_verifier_set_keys(struct sp_verifier *v, const struct sp_jwk *const *keys, size_t n);

/* Writer's side. Live as long as the verifier. */
struct sp_revoke_set *sp_verifier_revoke_set(struct sp_verifier *v);
struct sp_epochs *sp_verifier_epochs(struct sp_verifier *v);
/* Drops what has lapsed, and collects. Call it every few seconds. */
void sp_verifier_tick(struct sp_verifier *v, int64_t now_s);

/* Fail closed: while closed, every token is refused. For whoever could not record a revocation, or has lost
 * touch with what is revoked. Counted: as many opens as closes. Any thread. */
void sp_verifier_close(struct sp_verifier *v);
void sp_verifier_open(struct sp_verifier *v);

void sp_verifier_stats(const struct sp_verifier *v, struct sp_verifier_stats *ret);

#endif
