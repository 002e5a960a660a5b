/* The claims of an access token (RFC 9068 and ours), typed.
 *
 * Absent strings are empty slices with p == NULL, absent dates are SP_CLAIM_NO_DATE. Lists that are ours
 * (roles, permissions, amr) are word lists (base/text.h) although they are arrays in the JSON; `aud` may hold
 * any string and is a struct sp_strings. Slices borrow from the decoded payload and from the arena given to
 * sp_claims_parse; sp_claims_pack gathers them elsewhere. */
#ifndef SP_TOKEN_CLAIMS_H
#define SP_TOKEN_CLAIMS_H

#include "base/base64url.h"
#include "base/buf.h"
#include "base/json.h"
#include "token/jws.h"
#include "token/reject.h"
#include "token/string_list.h"

#define SP_CLAIM_NO_DATE INT64_MIN
#define SP_CLAIM_DATE_MAX 253402300799 /* the end of year 9999; far from overflow when leeway is added */
#define SP_PAYLOAD_BYTES_MAX SP_BASE64URL_BYTES(SP_TOKEN_BYTES_MAX)
#define SP_PAYLOAD_NODES 1024 /* hundreds of permissions; more do not fit into a token */
#define SP_CLAIM_WORD_BYTES_MAX 128

struct sp_claims {
    sp_slice iss, sub, client_id, jti, sid, scope /* words */, jkt /* cnf.jkt */;
    struct sp_strings aud;
    sp_slice amr, roles, permissions; /* words */
    sp_slice acr;
    bool has_roles,
        has_permissions; /* present, possibly empty: an absent `permissions` means "ask the role table" */
    int64_t iat, exp, nbf, auth_time; /* seconds since 1970 */
    bool has_epu, has_epg;
    uint32_t epu, epg; /* revocation epoch of the user, and of everyone */
};

/* How much of the payload is ours. */
enum sp_claims_profile {
    SP_CLAIMS_JWT, /* anyone's JWT: the claims of RFC 7519 section 4.1 are typed and checked, others are not
                      looked at */
    SP_CLAIMS_ACCESS_TOKEN /* every claim above must have its type where it is present */
};

/* Memory for one payload. */
struct sp_claims_scratch {
    struct sp_json_node nodes[SP_PAYLOAD_NODES];
    uint8_t arena[SP_TOKEN_BYTES_MAX]; /* unescaped strings and lists; never more than the payload, see
                                          claims.c */
};

/* BAD_PAYLOAD, DUPLICATE_NAME, BAD_DATE. Presence is not checked here (token/check.h does). `payload` is the
 * decoded JSON. */
enum sp_reject sp_claims_parse(sp_slice payload, enum sp_claims_profile profile,
                               struct sp_claims_scratch *scratch, struct sp_claims *ret_claims);

/* Everything absent; for filling in before sp_claims_write_json. */
void sp_claims_init(struct sp_claims *claims);

/* Claims in a line of memory: the numbers, and the lengths of the strings, which lie one after another in a
 * block. For a cache that holds a million of them, and for whoever keeps them longer than what they were read
 * from. */
enum sp_claims_string {
    SP_CLAIMS_ISS,
    SP_CLAIMS_SUB,
    SP_CLAIMS_AUD,
    SP_CLAIMS_CLIENT_ID,
    SP_CLAIMS_JTI,
    SP_CLAIMS_SID,
    SP_CLAIMS_AMR,
    SP_CLAIMS_ROLES,
    SP_CLAIMS_PERMISSIONS,
    SP_CLAIMS_SCOPE,
    SP_CLAIMS_JKT,
    SP_CLAIMS_ACR,
    SP_CLAIMS_STRINGS
};
struct sp_claims_packed {
    int64_t iat, exp, nbf, auth_time;
    uint32_t epu, epg; /* 0 when absent, which is what an absent epoch counts as */
    uint16_t string_n[SP_CLAIMS_STRINGS];
    uint32_t flags; /* a bit for each string that is not NULL, then those of claims.c */
};
static inline bool sp_claims_packed_has(const struct sp_claims_packed *packed, enum sp_claims_string s) {
    return (packed->flags >> s & 1) != 0;
}
size_t sp_claims_bytes(const struct sp_claims *claims);
/* Copies the strings to dst[0..sp_claims_bytes(claims)), which becomes the block. SP_E_LIMIT: one is longer
 * than 65,535 bytes. */
sp_status sp_claims_pack(const struct sp_claims *claims, uint8_t *dst, struct sp_claims_packed *ret_packed);
void sp_claims_unpack(const struct sp_claims_packed *packed, const uint8_t *block,
                      struct sp_claims *ret_claims);
/* Claims whose slices all lie in a block, after that block was copied to `dst`: one memcpy and this. */
void sp_claims_rebase(struct sp_claims *claims, sp_slice block, const uint8_t *dst);

/* Appends the JSON object, members in a fixed order, absent ones left out; one audience is written as a
 * string, several as an array. SP_E_MALFORMED when a string is not UTF-8 or a word list is not one;
 * SP_E_LIMIT, SP_E_NOMEM. */
sp_status sp_claims_write_json(const struct sp_claims *claims, struct sp_buf *out);
/* A word list as an array of strings. Errors as above; *out may then hold a part. */
sp_status sp_claims_write_words(sp_slice words, struct sp_buf *out);

#endif
