/* JSON Web Keys (RFC 7517, 7518, 8037), read into keys that know what they may be used for, and written
 * without private parts.
 *
 * A key's algorithms are those of its type, narrowed to its `alg` when it has one. `use` must be "sig" and
 * `key_ops` contain "verify" when present. An RSA key without `alg` verifies RS256 and PS256; no key of one
 * type ever serves another type's algorithm. Private members (`d`, `p`, ...) are not looked at: a set that we
 * verify with must not hand us signing keys.
 *
 * In a set, a key that we cannot use (another type or curve, another use, weak, malformed) is left out and
 * counted, as RFC 7517 section 5 asks; a set that is not JSON, repeats a member name, or is too large is
 * refused whole. Two usable keys with one `kid` are kept, and a token that could mean either is refused
 * (SP_REJECT_NO_KEY). */
#ifndef SP_TOKEN_JWK_H
#define SP_TOKEN_JWK_H

#include "base/buf.h"
#include "base/json.h"
#include "base/text.h"
#include "crypto/digest.h"
#include "crypto/sig.h"
#include "token/jws.h"
#include "token/reject.h"

#define SP_JWKS_BYTES_MAX (256 * 1024) /* 64 RSA keys with certificate chains */
#define SP_JWKS_NODES_MAX 4096
#define SP_JWKS_KEYS_MAX 64 /* a lookup walks them all: 64 short comparisons stay below the cost of a MAC */

struct sp_jwk {
    bool has_kid;
    sp_text256 kid;
    uint32_t algs;          /* SP_ALG_BITs that this key may verify */
    struct sp_sig_key *key; /* owned */
};
void sp_jwk_done(struct sp_jwk *jwk);

/* Public keys only (sets from others, the feed), or symmetric keys too (a file of the operator's). */
enum sp_jwk_accept { SP_JWK_PUBLIC_ONLY, SP_JWK_WITH_SECRETS };

/* One key from its JSON text. SP_E_MALFORMED, SP_E_UNSUPPORTED (type, curve, alg, use that we do not serve),
 * SP_E_REFUSED (weak, or symmetric where only public ones are wanted), SP_E_LIMIT, SP_E_NOMEM. Fill *ret_jwk
 * is the caller's to sp_jwk_done. */
sp_status sp_jwk_parse(sp_slice json, enum sp_jwk_accept accept, struct sp_jwk *ret_jwk);

struct sp_jwks {
    struct sp_jwk *keys; /* owned; heap */
    size_t n;
    size_t skipped; /* keys that were left out */
};
#define SP_JWKS_INIT                                                                                         \
    { .keys = NULL, .n = 0, .skipped = 0 }

/* {"keys": [...]}, or one bare JWK. */
sp_status sp_jwks_parse(sp_slice json, enum sp_jwk_accept accept, struct sp_jwks *ret_jwks);
void sp_jwks_done(struct sp_jwks *jwks);

/* The key for a header. With kid: the one key of that kid that serves the alg; UNKNOWN_KID, ALG_KEY_MISMATCH
 * (the kid is known, but none of its keys serves the alg), NO_KEY (more than one does). Without: only when
 * exactly one key of the whole set serves the alg, NO_KEY otherwise. The key is borrowed from the set. */
enum sp_reject sp_jwks_find(const struct sp_jwks *jwks, const struct sp_jws_header *header,
                            const struct sp_jwk **ret_jwk);

/* Appends one public JWK object: {"kty":...,"kid":...,"alg":...,"use":"sig",...}. SP_E_REFUSED for HMAC keys.
 */
sp_status sp_jwk_write_public(sp_slice kid, enum sp_alg alg, const struct sp_sig_key *key,
                              struct sp_buf *out);

struct sp_jwk_public_row {
    sp_slice kid;
    enum sp_alg alg;
    const struct sp_sig_key *key;
};
/* Appends {"keys":[...]}; rows with HMAC keys are left out, since they have nothing that may be published. */
sp_status sp_jwks_write_public(const struct sp_jwk_public_row *rows, size_t n, struct sp_buf *out);

/* Does the object have a member that only private and symmetric keys have (RFC 7518 section 6)? Whoever shows
 * such a key in public has none. */
bool sp_jwk_has_private(const struct sp_json *doc, const struct sp_json_node *obj);

/* RFC 7638 thumbprint (SHA-256). SP_E_REFUSED for HMAC keys. */
sp_status sp_jwk_thumbprint(const struct sp_sig_key *key, uint8_t out[SP_SHA256_BYTES]);

#endif
