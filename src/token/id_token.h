/* The payloads of OpenID Connect: id_tokens (Core section 2), logout tokens (Back-Channel Logout
 * section 2.4), and the id_token_hint of a logout (RP-Initiated Logout section 2), which is an id_token of
 * ours that comes back.
 *
 * The writers make the JSON; whoever holds the key signs it (token/issue.h) with typ SP_ID_TOKEN_TYP or
 * SP_LOGOUT_TOKEN_TYP. Only asymmetric keys: an id_token is for others to check. Pure, thread-safe. */
#ifndef SP_TOKEN_ID_TOKEN_H
#define SP_TOKEN_ID_TOKEN_H

#include "base/buf.h"
#include "token/check.h"

#define SP_ID_TOKEN_TYP "JWT"
#define SP_LOGOUT_TOKEN_TYP "logout+jwt"
#define SP_LOGOUT_TOKEN_EVENT "http://schemas.openid.net/event/backchannel-logout"

/* The longest at_hash: half of a SHA-512 in base64url. */
#define SP_AT_HASH_CHARS_MAX 43

/* at_hash (Core section 3.1.3.6): the left half of the hash that belongs to the id_token's alg. SHA-256 for
 * ES256, RS256 and PS256 (22 characters), SHA-512 for EdDSA with Ed25519 (43). SP_E_UNSUPPORTED for HS256. */
sp_status sp_at_hash(enum sp_alg alg, sp_slice access_token, char ret[SP_AT_HASH_CHARS_MAX], size_t *ret_n);

/* Slices with p == NULL are left out, and so are dates that are SP_CLAIM_NO_DATE. */
struct sp_id_token {
    sp_slice iss, sub, aud; /* required; aud is the client's id */
    int64_t exp, iat;       /* required */
    int64_t auth_time;
    sp_slice nonce, acr;
    sp_slice amr; /* words; an array in the JSON */
    sp_slice azp, sid, at_hash;
};
/* Everything absent. */
void sp_id_token_init(struct sp_id_token *token);
/* Appends the JSON object. SP_E_MALFORMED: a required member is absent, a string is not UTF-8, a date out of
 * range; SP_E_LIMIT, SP_E_NOMEM. *out is then as it was. */
sp_status sp_id_token_write_json(const struct sp_id_token *token, struct sp_buf *out);

struct sp_logout_token {
    sp_slice iss, aud, jti; /* required */
    int64_t iat, exp;       /* required */
    sp_slice sub, sid;      /* one of them at least */
};
sp_status sp_logout_token_write_json(const struct sp_logout_token *token, struct sp_buf *out);

/* What an id_token of ours says, although it may have expired. */
struct sp_id_token_hint {
    sp_slice sub, client_id, sid; /* sid: p == NULL when absent. Borrowed from the scratch */
    int64_t iat, exp;
};
/* Signature by one of `keys`, typ, iss exact, aud one string; times are not compared. For who asked to be
 * logged out, never for letting anyone in. */
enum sp_reject sp_id_token_hint_read(sp_slice token, const struct sp_key_lookup *keys, sp_slice issuer,
                                     struct sp_check_scratch *scratch, struct sp_id_token_hint *ret)
    __attribute__((warn_unused_result));

#endif
