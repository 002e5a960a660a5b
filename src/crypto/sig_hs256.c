/* HS256: HMAC-SHA-256 (RFC 7518 section 3.2). The key is hashed into its two blocks once; a verification is
 * two copies and the hashing of the message. The bytes are kept beside, because a configured key must be
 * sealed and handed on. */
#include "crypto/sig_internal.h"

#include "base/ct.h"

static sp_status hs256_sign(const struct sp_sig_key *key, enum sp_alg alg, sp_slice msg, uint8_t *sig) {
    (void)alg;
    sp_hmac(&key->u.hmac.prepared, msg, sig);
    return SP_SUCCESS;
}

static sp_status hs256_verify(const struct sp_sig_key *key, enum sp_alg alg, sp_slice msg, sp_slice sig) {
    uint8_t expected[SP_SHA256_BYTES];
    (void)alg;
    sp_hmac(&key->u.hmac.prepared, msg, expected);
    bool equal = sp_ct_equal(SP_SLICE_ARRAY(expected), sig);
    sp_wipe(expected, sizeof expected); /* it would be the attacker's forgery */
    return equal ? SP_SUCCESS : sp_err(SP_E_CRYPTO);
}

sp_status sp_sig_key_from_hmac(sp_slice k, struct sp_sig_key **ret_key) {
    struct sp_sig_key *key;
    if (k.n < SP_HMAC_KEY_BYTES_MIN || k.n > SP_HMAC_KEY_BYTES_MAX) return sp_err(SP_E_REFUSED);
    SP_TRY(sp_sig_key_new_(SP_KEY_HMAC, &key));
    sp_hmac_key_init(&key->u.hmac.prepared, k);
    memcpy(key->u.hmac.bytes, k.p, k.n);
    key->u.hmac.n = k.n;
    key->has_private = true;
    key->sig_bytes = SP_SHA256_BYTES;
    *ret_key = key;
    return SP_SUCCESS;
}

static sp_status hs256_export(const struct sp_sig_key *key, struct sp_buf *out) {
    return sp_buf_append(out, sp_slice_of(key->u.hmac.bytes, key->u.hmac.n));
}

const struct sp_sig_ops sp_sig_ops_hs256 = {
    .algs = SP_ALG_BIT(SP_ALG_HS256),
    .sign = hs256_sign,
    .verify = hs256_verify,
    .export_private = hs256_export,
    .import_private = sp_sig_key_from_hmac,
};
