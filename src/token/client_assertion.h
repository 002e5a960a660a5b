/* A client that proves who it is with a JWT that it signed (private_key_jwt: RFC 7523, OpenID Connect Core
 * section 9), checked against the keys that it registered.
 *
 * Required: an asymmetric algorithm; a kid, when there is one, of a key of this client; typ absent, "JWT" or
 * "client-authentication+jwt"; iss and sub both the client's id; us among aud; exp, at most
 * SP_CLIENT_ASSERTION_LIFE_S ahead; jti. iat and nbf, when present, are not in the future. That no assertion
 * passes twice is the caller's (token/replay.h), at the end, when everything else is good.
 *
 * Pure; thread-safe with a scratch for each thread. Keys are read anew from the text each time: the check of
 * a signature costs more. */
#ifndef SP_TOKEN_CLIENT_ASSERTION_H
#define SP_TOKEN_CLIENT_ASSERTION_H

#include "token/check.h"

/* How far exp may lie ahead, which is how long an assertion must be remembered. Libraries write one minute,
 * five at most. */
#define SP_CLIENT_ASSERTION_LIFE_S 300
#define SP_CLIENT_ASSERTION_SKEW_S                                                                           \
    5 /* clocks that are ahead of ours: for iat, nbf, and exp at its far end                                 \
       */
#define SP_CLIENT_ASSERTION_JTI_BYTES_MAX 256
#define SP_CLIENT_JWKS_BYTES_MAX (16 * 1024) /* ten RSA keys; a client has two at most at a time */

#define SP_CLIENT_ASSERTION_FAULT_TABLE(X)                                                                   \
    X(UNSET, "unset", "not decided: a bug if seen")                                                          \
    X(NONE, "ok", "the assertion holds")                                                                     \
    X(MALFORMED, "malformed", "the assertion is not a JWT of the required form")                             \
    X(BAD_TYP, "bad_typ", "the assertion's typ is that of another kind of token")                            \
    X(BAD_ALG, "bad_alg", "the assertion's alg is not an asymmetric algorithm that is accepted")             \
    X(NO_KEY, "no_key", "the assertion is by none of the client's keys, or does not say by which")           \
    X(BAD_SIGNATURE, "bad_signature", "the assertion's signature does not verify")                           \
    X(WRONG_CLIENT, "wrong_client", "iss and sub of the assertion are not both the client's id")             \
    X(WRONG_AUDIENCE, "wrong_audience", "the assertion is for somebody else (aud)")                          \
    X(MISSING_CLAIM, "missing_claim", "the assertion lacks exp or jti")                                      \
    X(EXPIRED, "expired", "the assertion has expired")                                                       \
    X(TOO_LONG, "too_long", "the assertion expires more than five minutes from now")                         \
    X(IN_FUTURE, "in_future", "the assertion is from the future (iat, nbf)")                                 \
    X(INTERNAL, "internal", "could not be checked (out of memory, or the client's keys are unreadable)")     \
    X(REPLAYED, "replayed", "the assertion was used before")                                                 \
    X(TABLE_FULL, "table_full",                                                                              \
      "too many assertions at a time: it cannot be remembered that this one was used")

enum sp_client_assertion_fault {
#define SP_CLIENT_ASSERTION_ENUM_(name, code, doc) SP_CLIENT_ASSERTION_##name,
    SP_CLIENT_ASSERTION_FAULT_TABLE(SP_CLIENT_ASSERTION_ENUM_)
#undef SP_CLIENT_ASSERTION_ENUM_
        SP_CLIENT_ASSERTION_FAULT_COUNT
};
const char *sp_client_assertion_fault_code(enum sp_client_assertion_fault fault);
const char *sp_client_assertion_fault_doc(enum sp_client_assertion_fault fault);

struct sp_client_assertion_expect {
    sp_slice client_id;
    sp_slice jwks;             /* the text of the client's JWK Set (or of one JWK) */
    const sp_slice *audiences; /* any of these: the issuer, the URL of the token endpoint */
    size_t audiences_n;
    uint32_t algs; /* SP_ALG_BITs; 0: all that are asymmetric. HS256 is never accepted */
    int64_t now_s;
};

struct sp_client_assertion {
    uint8_t id[SP_SHA256_BYTES]; /* of (client_id, jti): what must not come twice, ... */
    int64_t replay_until_ms;     /* ... as long as this */
    int64_t exp, iat;            /* iat: SP_CLAIM_NO_DATE when absent */
};

/* SP_CLIENT_ASSERTION_NONE and *ret filled, or what is wrong. */
enum sp_client_assertion_fault sp_client_assertion_check(sp_slice assertion,
                                                         const struct sp_client_assertion_expect *expect,
                                                         struct sp_check_scratch *scratch,
                                                         struct sp_client_assertion *ret)
    __attribute__((warn_unused_result));

/* Whose assertion it says it is (`sub`), for a request without client_id: NOT believed, only a name to look
 * the client up by. Borrowed from the scratch. MALFORMED, or NONE. */
enum sp_client_assertion_fault sp_client_assertion_peek(sp_slice assertion, struct sp_check_scratch *scratch,
                                                        sp_slice *ret_client_id)
    __attribute__((warn_unused_result));

/* After a start nothing is remembered: may this assertion have been used before it? Then it must be refused.
 */
static inline bool sp_client_assertion_may_predate(const struct sp_client_assertion *a, int64_t start_s) {
    int64_t made_s = a->iat != SP_CLAIM_NO_DATE ? a->iat : a->exp - SP_CLIENT_ASSERTION_LIFE_S;
    return made_s < start_s + SP_CLIENT_ASSERTION_SKEW_S;
}

/* For registering: is it a set of keys that a client can authenticate with? SP_E_MALFORMED: not a JWK Set, or
 * a kid twice, or several keys of which one has no kid; SP_E_REFUSED: holds a private or a symmetric key,
 * which must not be given to anyone; SP_E_UNSUPPORTED: one of the keys is not usable; SP_E_LIMIT, SP_E_NOMEM.
 */
sp_status sp_client_jwks_check(sp_slice jwks);

#endif
