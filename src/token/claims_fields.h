/* The claims as a table: reading, writing and copying go by it, so that a new claim is one row. Internal to
 * src/token. */
#ifndef SP_TOKEN_CLAIMS_FIELDS_H
#define SP_TOKEN_CLAIMS_FIELDS_H

#include "token/claims.h"

enum sp_claim_kind {
    SP_CLAIM_STRING,   /* a string */
    SP_CLAIM_SCOPE,    /* a string that is a word list */
    SP_CLAIM_WORDS,    /* an array of words */
    SP_CLAIM_AUDIENCE, /* a string or an array of strings */
    SP_CLAIM_DATE,     /* seconds since 1970 */
    SP_CLAIM_EPOCH,    /* uint32 */
    SP_CLAIM_CNF       /* {"jkt": string} */
};

struct sp_claim_field {
    sp_slice name;
    sp_slice member; /* "name": as it is written */
    enum sp_claim_kind kind;
    bool registered; /* RFC 7519 section 4.1: typed in anyone's JWT */
    size_t offset;   /* of the value in struct sp_claims */
    size_t has;      /* of the bool that says "present"; 0: the value itself says so */
};

/* In the order in which they are written. */
extern const struct sp_claim_field sp_claim_fields[];
extern const size_t sp_claim_fields_n;

#endif
