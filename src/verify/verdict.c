#include "verify/handle.h"

enum sp_verdict sp_verdict_of(enum sp_reject r) {
    switch (r) {
    case SP_REJECT_NONE: return SP_ACCEPTED;
    case SP_REJECT_MALFORMED:
    case SP_REJECT_OVERSIZE:
    case SP_REJECT_NOT_CANONICAL:
    case SP_REJECT_BAD_HEADER:
    case SP_REJECT_DUPLICATE_NAME:
    case SP_REJECT_BAD_PAYLOAD:
    case SP_REJECT_MISSING_EXP:
    case SP_REJECT_BAD_DATE: return SP_MALFORMED;
    case SP_REJECT_BAD_SIGNATURE: return SP_BAD_SIGNATURE;
    case SP_REJECT_MISSING_KID:
    case SP_REJECT_UNKNOWN_KID:
    case SP_REJECT_NO_KEY: return SP_UNKNOWN_KEY;
    case SP_REJECT_ALG_NOT_ALLOWED:
    case SP_REJECT_ALG_KEY_MISMATCH:
    case SP_REJECT_CRIT_UNSUPPORTED:
    case SP_REJECT_BAD_TYP:
    case SP_REJECT_PERMISSION_DENIED: return SP_NOT_ALLOWED;
    case SP_REJECT_EXPIRED: return SP_EXPIRED;
    case SP_REJECT_NOT_YET_VALID:
    case SP_REJECT_ISSUED_IN_FUTURE: return SP_NOT_YET_VALID;
    case SP_REJECT_BAD_ISSUER: return SP_BAD_ISSUER;
    case SP_REJECT_BAD_AUDIENCE: return SP_BAD_AUDIENCE;
    case SP_REJECT_REVOKED: return SP_REVOKED;
    case SP_REJECT_STALE: return SP_STALE;
    case SP_REJECT_PROOF_REQUIRED: return SP_PROOF_REQUIRED;
    case SP_REJECT_BAD_PROOF: return SP_BAD_PROOF;
    case SP_REJECT_INTERNAL: return SP_NO_MEMORY;
    case SP_REJECT_UNSET:
    case SP_REJECT_COUNT: break;
    }
    return SP_NO_MEMORY; /* could not be decided: refused */
}

enum sp_verdict sp_verdict_of_proof(enum sp_dpop_fault f) {
    if (f == SP_DPOP_NONE) return SP_ACCEPTED;
    if (f == SP_DPOP_MISSING) return SP_PROOF_REQUIRED;
    if (f == SP_DPOP_NONCE_REQUIRED) return SP_NONCE_REQUIRED;
    if (f == SP_DPOP_TABLE_FULL) return SP_BUSY;
    return f == SP_DPOP_INTERNAL ? SP_NO_MEMORY : SP_BAD_PROOF;
}

const char *sp_verdict_code(enum sp_verdict verdict) {
    switch (verdict) {
#define CASE_(name, value, code)                                                                             \
    case SP_##name: return code;
        SP_VERDICT_TABLE(CASE_)
#undef CASE_
    }
    return "unknown";
}

const char *sp_verdict_text(enum sp_verdict verdict) {
    switch (verdict) {
    case SP_ACCEPTED: return "the token is good, and nothing that it rests on was revoked";
    case SP_MALFORMED: return "not an access token, or one whose claims are not of the required form";
    case SP_BAD_SIGNATURE: return "the signature does not verify";
    case SP_UNKNOWN_KEY: return "signed by a key that the issuer does not have, or without naming one";
    case SP_NOT_ALLOWED: return "an algorithm, type or extension that is not accepted";
    case SP_EXPIRED: return "the token has expired";
    case SP_NOT_YET_VALID: return "the token is not valid yet, or was issued in the future";
    case SP_BAD_ISSUER: return "the token is from another issuer";
    case SP_BAD_AUDIENCE: return "the token is for another audience";
    case SP_REVOKED: return "the token, its session or its user was revoked";
    case SP_STALE: return "it cannot be proved that no revocation was missed: nobody is let in until it can";
    case SP_PROOF_REQUIRED: return "the token is bound to a key, and came without a proof of it (DPoP)";
    case SP_BAD_PROOF: return "the proof of possession (DPoP) does not hold";
    case SP_BAD_REQUEST: return "the call was made wrongly: no token, or a request that was not initialised";
    case SP_CLOSED: return "the verifier was opened before a fork: open another one in the child";
    case SP_NO_MEMORY: return "out of memory, or too many threads: it could not be checked";
    case SP_NONCE_REQUIRED: return "the proof of possession must carry the nonce that is sent along";
    case SP_BUSY: return "too many proofs of possession at a time: this one cannot be remembered";
    }
    return "not a verdict";
}
