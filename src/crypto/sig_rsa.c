/* RS256 and PS256 (RFC 7518 sections 3.3 and 3.5). One key type, two algorithms; which of them a key serves
 * in a token is for the JWK's `alg` to say. OpenSSL compares the whole encoded message of a PKCS#1 v1.5
 * signature, so that forgeries by lax padding checks (Bleichenbacher 2006) do not apply, and they would need
 * an exponent that we refuse. */
#include "crypto/sig_internal.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>

#define RSA_ALGS (SP_ALG_BIT(SP_ALG_RS256) | SP_ALG_BIT(SP_ALG_PS256))

enum {
    RSA_E_MIN = 65537
}; /* FIPS 186-5 appendix A.1.1; small exponents only help forgers of sloppy signatures */

static sp_status tune(EVP_PKEY_CTX *ctx, enum sp_alg alg) {
    bool pss = alg == SP_ALG_PS256;
    if (EVP_PKEY_CTX_set_rsa_padding(ctx, pss ? RSA_PKCS1_PSS_PADDING : RSA_PKCS1_PADDING) <= 0)
        return sp_evp_failure(SP_E_CRYPTO);
    if (!pss) return SP_SUCCESS;
    if (EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_DIGEST) <= 0 ||
        EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, EVP_sha256()) <= 0)
        return sp_evp_failure(SP_E_CRYPTO);
    return SP_SUCCESS;
}

static sp_status rsa_sign(const struct sp_sig_key *key, enum sp_alg alg, sp_slice msg, uint8_t *sig) {
    size_t n = key->sig_bytes;
    SP_TRY(sp_evp_sign(key, alg, msg, sig, &n));
    return n == key->sig_bytes ? SP_SUCCESS : sp_err(SP_E_CRYPTO);
}

static sp_status wrap(EVP_PKEY *pkey, bool has_private, struct sp_sig_key **ret_key) {
    size_t sig_bytes = (size_t)EVP_PKEY_get_size(pkey);
    struct sp_sig_key *key;
    SP_TRY(sp_evp_key_new(pkey, SP_KEY_RSA, RSA_ALGS, has_private, tune, &key));
    key->sig_bytes = sig_bytes;
    *ret_key = key;
    return SP_SUCCESS;
}

static sp_status check_numbers(const BIGNUM *n, const BIGNUM *e) {
    int bits = BN_num_bits(n);
    if (bits < SP_RSA_BITS_MIN || bits > SP_RSA_BITS_MAX || !BN_is_odd(n)) return sp_err(SP_E_REFUSED);
    if (BN_num_bytes(e) > SP_RSA_E_BYTES_MAX || !BN_is_odd(e)) return sp_err(SP_E_REFUSED);
    return BN_num_bits(e) > 16 && BN_get_word(e) >= RSA_E_MIN ? SP_SUCCESS : sp_err(SP_E_REFUSED);
}

static sp_status pkey_of(const BIGNUM *n, const BIGNUM *e, EVP_PKEY **ret) {
    EVP_PKEY *pkey = NULL;
    OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    bool built = bld != NULL && ctx != NULL && OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_N, n) &&
                 OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_E, e);
    OSSL_PARAM *params = built ? OSSL_PARAM_BLD_to_param(bld) : NULL;
    sp_status s = SP_SUCCESS;
    if (params == NULL)
        s = sp_evp_failure(SP_E_NOMEM);
    else if (EVP_PKEY_fromdata_init(ctx) != 1 ||
             EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_PUBLIC_KEY, params) != 1)
        s = sp_evp_failure(SP_E_MALFORMED);
    OSSL_PARAM_free(params);
    EVP_PKEY_CTX_free(ctx);
    OSSL_PARAM_BLD_free(bld);
    if (sp_ok(s)) *ret = pkey;
    return s;
}

static sp_status import_numbers(const BIGNUM *n, const BIGNUM *e, struct sp_sig_key **ret_key) {
    EVP_PKEY *pkey;
    if (n == NULL || e == NULL) return sp_evp_failure(SP_E_NOMEM);
    SP_TRY(check_numbers(n, e));
    SP_TRY(pkey_of(n, e, &pkey));
    return wrap(pkey, false, ret_key);
}

/* Base64urlUInt has no leading zero bytes (RFC 7518 section 2). */
static bool is_minimal(sp_slice v, size_t max) {
    return v.n != 0 && v.n <= max && v.p[0] != 0;
}

sp_status sp_sig_key_from_rsa(sp_slice n, sp_slice e, struct sp_sig_key **ret_key) {
    if (n.n > SP_SIG_BYTES_MAX || e.n > SP_RSA_E_BYTES_MAX) return sp_err(SP_E_REFUSED);
    if (!is_minimal(n, SP_SIG_BYTES_MAX) || !is_minimal(e, SP_RSA_E_BYTES_MAX)) return sp_err(SP_E_MALFORMED);
    BIGNUM *bn_n = BN_bin2bn(n.p, (int)n.n, NULL), *bn_e = BN_bin2bn(e.p, (int)e.n, NULL);
    sp_status s = import_numbers(bn_n, bn_e, ret_key);
    BN_free(bn_n);
    BN_free(bn_e);
    return s;
}

sp_status sp_sig_key_generate_rsa(unsigned bits, struct sp_sig_key **ret_key) {
    if (bits < SP_RSA_BITS_MIN || bits > SP_RSA_BITS_MAX) return sp_err(SP_E_REFUSED);
    EVP_PKEY *pkey = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)bits); /* e = 65537 */
    if (pkey == NULL) return sp_evp_failure(SP_E_CRYPTO);
    return wrap(pkey, true, ret_key);
}

static sp_status numbers_of(const EVP_PKEY *pkey, BIGNUM **n, BIGNUM **e) {
    bool got = EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_N, n) == 1 &&
               EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_E, e) == 1;
    return got ? SP_SUCCESS : sp_evp_failure(SP_E_CRYPTO);
}

static sp_status rsa_public(const struct sp_sig_key *key, struct sp_sig_public *ret) {
    struct sp_sig_public p = {.type = SP_KEY_RSA};
    BIGNUM *n = NULL, *e = NULL;
    sp_status s = numbers_of(key->u.evp.pkey, &n, &e);
    if (sp_ok(s)) {
        p.n_bytes = (size_t)BN_bn2bin(n, p.n); /* both were within the maxima when the key was made */
        p.e_bytes = (size_t)BN_bn2bin(e, p.e);
        *ret = p;
    }
    BN_free(n);
    BN_free(e);
    return s;
}

static sp_status check_private(EVP_PKEY *pkey) {
    BIGNUM *n = NULL, *e = NULL;
    sp_status s = numbers_of(pkey, &n, &e);
    if (sp_ok(s)) s = check_numbers(n, e);
    BN_free(n);
    BN_free(e);
    SP_TRY(s);
    return sp_evp_check(pkey, EVP_PKEY_pairwise_check);
}

static sp_status rsa_import(sp_slice der, struct sp_sig_key **ret_key) {
    EVP_PKEY *pkey;
    SP_TRY(sp_evp_import_pkcs8(der, "RSA", &pkey));
    sp_status s = check_private(pkey);
    if (sp_ok(s)) return wrap(pkey, true, ret_key);
    EVP_PKEY_free(pkey);
    return s;
}

const struct sp_sig_ops sp_sig_ops_rsa = {
    .algs = RSA_ALGS,
    .sign = rsa_sign,
    .verify = sp_evp_verify,
    .public_part = rsa_public,
    .export_private = sp_evp_export_pkcs8,
    .import_private = rsa_import,
    .done = sp_evp_key_done,
};
