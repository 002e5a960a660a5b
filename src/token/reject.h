/* Why a token is refused. A value, not an error: sp_status says that *we* are in trouble, this says that the
 * token is bad.
 *
 * Zero is deliberately not "accepted", so that forgotten memory never lets anyone in; ask sp_reject_is_ok.
 * The codes are stable text: they stand in answers of the command line, in logs and metrics. What a client
 * hears is up to http. */
#ifndef SP_TOKEN_REJECT_H
#define SP_TOKEN_REJECT_H

#include <stdbool.h>

#define SP_REJECT_TABLE(X)                                                                                   \
    X(UNSET, "unset", "not decided: a bug if seen")                                                          \
    X(NONE, "ok", "accepted")                                                                                \
    X(MALFORMED, "malformed", "not a compact JWS of exactly three segments")                                 \
    X(OVERSIZE, "oversize", "longer than the largest token that we read")                                    \
    X(NOT_CANONICAL, "not_canonical", "a segment is not canonical base64url without padding")                \
    X(BAD_HEADER, "bad_header", "the header is not one JSON object of the required form")                    \
    X(DUPLICATE_NAME, "duplicate_name", "a JSON object names a member twice")                                \
    X(ALG_NOT_ALLOWED, "alg_not_allowed", "alg is none, unknown, or not on the allow-list")                  \
    X(ALG_KEY_MISMATCH, "alg_key_mismatch", "alg is not the algorithm of the key")                           \
    X(MISSING_KID, "missing_kid", "no kid, and a kid is required")                                           \
    X(UNKNOWN_KID, "unknown_kid", "no key has this kid")                                                     \
    X(NO_KEY, "no_key", "no single key can be chosen for this token")                                        \
    X(CRIT_UNSUPPORTED, "crit_unsupported", "demands an extension that we do not implement (crit, b64)")     \
    X(BAD_TYP, "bad_typ", "typ is not the one that is expected")                                             \
    X(BAD_SIGNATURE, "bad_signature", "the signature does not verify")                                       \
    X(BAD_PAYLOAD, "bad_payload", "the payload is not one JSON object, or a claim has the wrong type")       \
    X(MISSING_EXP, "missing_exp", "no exp")                                                                  \
    X(BAD_DATE, "bad_date", "a date is not an integer in range")                                             \
    X(EXPIRED, "expired", "exp has passed")                                                                  \
    X(NOT_YET_VALID, "not_yet_valid", "nbf is in the future")                                                \
    X(ISSUED_IN_FUTURE, "issued_in_future", "iat is in the future")                                          \
    X(BAD_ISSUER, "bad_issuer", "iss is not the one that is expected")                                       \
    X(BAD_AUDIENCE, "bad_audience", "aud does not name us")                                                  \
    X(REVOKED, "revoked", "the token, its session, user or client was revoked")                              \
    X(STALE, "stale", "freshness of revocations cannot be proved")                                           \
    X(PERMISSION_DENIED, "permission_denied", "the permission that was asked for is not granted")            \
    X(PROOF_REQUIRED, "proof_required", "the token is bound to a key, and no proof was given")               \
    X(BAD_PROOF, "bad_proof", "the proof of possession does not hold")                                       \
    X(INTERNAL, "internal", "could not be checked (out of memory); refused to be safe")

enum sp_reject {
#define SP_REJECT_ENUM_(name, code, doc) SP_REJECT_##name,
    SP_REJECT_TABLE(SP_REJECT_ENUM_)
#undef SP_REJECT_ENUM_
        SP_REJECT_COUNT
};

static inline bool sp_reject_is_ok(enum sp_reject r) {
    return r == SP_REJECT_NONE;
}
/* The stable code ("bad_signature"). Static storage. */
const char *sp_reject_code(enum sp_reject r);
/* One sentence for people. Static storage. */
const char *sp_reject_doc(enum sp_reject r);

/* Hands a refusal upward, unchanged. */
#define SP_CHECK(expr)                                                                                       \
    do {                                                                                                     \
        enum sp_reject sp_check_ = (expr);                                                                   \
        if (sp_check_ != SP_REJECT_NONE) return sp_check_;                                                   \
    } while (0)

#endif
