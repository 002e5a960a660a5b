/* The one place where a JWT becomes trusted. Strict, in the order that makes junk cheapest: size, form,
 * header, algorithm, key, signature; the payload is read only after its signature held.
 *
 * Two stages, because a verifier remembers tokens: stage 1 (form, header, signature, claims) depends only on
 * the bytes and the keys and may be cached as long as the key is trusted; stage 2 (times, issuer, audience)
 * runs on every use. typ and the allow-list are part of stage 1. What stage 2 does not know (revocation,
 * epochs, permissions, proofs) is src/verify's.
 *
 * Pure but for the keys it is lent; thread-safe with a scratch for each thread. */
#ifndef SP_TOKEN_CHECK_H
#define SP_TOKEN_CHECK_H

#include "token/claims.h"
#include "token/jwk.h"
#include "token/jws.h"
#include "token/reject.h"

#define SP_CHECK_LEEWAY_MAX_S 60

enum sp_check_kid { SP_CHECK_KID_REQUIRED, SP_CHECK_KID_OPTIONAL };
enum sp_check_typ {
    SP_CHECK_TYP_EXACT,  /* must be present and be `typ` */
    SP_CHECK_TYP_ANY_JWT /* absent, JWT or at+jwt: for tools that read anyone's tokens */
};

struct sp_check_policy {
    sp_slice issuer;   /* exact; empty: not checked */
    sp_slice audience; /* one of aud, exact; empty: not checked */
    enum sp_check_typ typ_rule;
    sp_slice typ;      /* "at+jwt" */
    uint32_t algs;     /* SP_ALG_BITs that are allowed at all */
    uint32_t leeway_s; /* 0..SP_CHECK_LEEWAY_MAX_S; more counts as the maximum */
    enum sp_check_kid kid;
    enum sp_claims_profile profile;
    bool
        raw; /* the signature alone: the payload may be any bytes, and neither typ nor claims are looked at */
};

/* The strictest policy: at+jwt, kid required, no leeway, our claims; algs, issuer and audience are as given.
 */
struct sp_check_policy sp_check_policy_access_token(sp_slice issuer, sp_slice audience, uint32_t algs);

/* Where keys come from. find answers NONE and a key, borrowed until the check returns, or why there is none.
 */
struct sp_key_lookup {
    enum sp_reject (*find)(void *arg, const struct sp_jws_header *header, const struct sp_jwk **ret_jwk);
    void *arg;
};
/* Looks up in a set that must outlive the lookup. */
struct sp_key_lookup sp_key_lookup_jwks(const struct sp_jwks *jwks);

/* Working memory of about 90 KiB, of which a usual token touches 6; one a thread, not on small stacks. */
struct sp_check_scratch {
    struct sp_jws_header_scratch header;
    struct sp_claims_scratch claims;
    uint8_t payload[SP_PAYLOAD_BYTES_MAX];
    uint8_t signature[SP_SIG_BYTES_MAX];
};

/* The last header that was read, so that the next token of the same key, whose header has the same bytes,
 * need not have it read again. What a header says depends on nothing but its bytes. One beside each scratch,
 * in which its slices lie; zeroed at first. */
#define SP_CHECK_MEMO_BYTES 256 /* ours have 70; a longer one is read each time */
struct sp_check_memo {
    size_t text_n; /* 0: none */
    uint8_t text[SP_CHECK_MEMO_BYTES];
    struct sp_jws_header header;
};

/* What stage 1 learned. Slices borrow from the token and the scratch. In raw mode claims are all absent. */
struct sp_checked {
    struct sp_jws_header header;
    struct sp_claims claims;
    sp_slice payload;   /* decoded */
    sp_slice signature; /* decoded */
    const struct sp_jwk *jwk;
};

/* Stage 1. */
enum sp_reject sp_check_signature(sp_slice token, const struct sp_key_lookup *keys,
                                  const struct sp_check_policy *policy, struct sp_check_scratch *scratch,
                                  struct sp_checked *ret_checked);
/* The same with a memo: for who checks many tokens with one scratch, and nothing else with that scratch. */
enum sp_reject sp_check_signature_memo(sp_slice token, const struct sp_key_lookup *keys,
                                       const struct sp_check_policy *policy, struct sp_check_scratch *scratch,
                                       struct sp_check_memo *memo, struct sp_checked *ret_checked);
/* Stage 2, in its two parts: what depends on the time (MISSING_EXP, EXPIRED, NOT_YET_VALID,
 * ISSUED_IN_FUTURE), and what depends on the policy alone (BAD_ISSUER, BAD_AUDIENCE), whose answer for one
 * token never changes. */
struct sp_check_times {
    int64_t exp, nbf, iat; /* as in struct sp_claims */
};
enum sp_reject sp_check_times(struct sp_check_times times, uint32_t leeway_s, int64_t now_s);
enum sp_reject sp_check_addressee(const struct sp_claims *claims, const struct sp_check_policy *policy);
/* Both parts. MISSING_EXP, EXPIRED, NOT_YET_VALID, ISSUED_IN_FUTURE, BAD_ISSUER, BAD_AUDIENCE. A token is
 * good while nbf - leeway <= now < exp + leeway, and iat <= now + leeway. */
enum sp_reject sp_check_claims(const struct sp_claims *claims, const struct sp_check_policy *policy,
                               int64_t now_s);
/* Both; in raw mode only the first. */
enum sp_reject sp_check_token(sp_slice token, const struct sp_key_lookup *keys,
                              const struct sp_check_policy *policy, int64_t now_s,
                              struct sp_check_scratch *scratch, struct sp_checked *ret_checked);

#endif
