/* ES256: ECDSA on P-256 with SHA-256 (RFC 7518 section 3.4). JOSE writes a signature as r || s, OpenSSL as
 * DER; the conversion is here. Malleable by nature ((r, n-s) verifies too), which is why nothing keys on a
 * token's text. */
#include "crypto/sig_internal.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/param_build.h>

enum { COORDINATE_BYTES = 32, ES256_SIG_BYTES = 64, DER_BYTES_MAX = 80 };

/* The order of the group. */
static const uint8_t order[COORDINATE_BYTES] = {
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51};

/* 1 <= v < order. Of public values. OpenSSL checks it again; CVE-2022-21449 showed what it costs when nobody
 * does. */
static bool in_range(const uint8_t v[COORDINATE_BYTES]) {
    static const uint8_t zero[COORDINATE_BYTES];
    return memcmp(v, zero, sizeof zero) != 0 && memcmp(v, order, sizeof order) < 0;
}

/* DER INTEGER of a 32-byte value: no leading zero bytes but one where the top bit is set. */
static size_t put_integer(uint8_t *out, const uint8_t v[COORDINATE_BYTES]) {
    size_t skip = 0;
    while (skip < COORDINATE_BYTES - 1 && v[skip] == 0) skip++;
    size_t pad = v[skip] >> 7, n = COORDINATE_BYTES - skip;
    out[0] = 0x02;
    out[1] = (uint8_t)(n + pad);
    out[2] = 0;
    memcpy(out + 2 + pad, v + skip, n);
    return 2 + pad + n;
}

static size_t to_der(const uint8_t raw[ES256_SIG_BYTES], uint8_t der[DER_BYTES_MAX]) {
    size_t n = 2;
    n += put_integer(der + n, raw);
    n += put_integer(der + n, raw + COORDINATE_BYTES);
    der[0] = 0x30;
    der[1] = (uint8_t)(n - 2);
    return n;
}

static sp_status from_der(sp_slice der, uint8_t raw[ES256_SIG_BYTES]) {
    const uint8_t *at = der.p;
    ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &at, (long)der.n);
    if (sig == NULL) return sp_evp_failure(SP_E_CRYPTO);
    int r = BN_bn2binpad(ECDSA_SIG_get0_r(sig), raw, COORDINATE_BYTES);
    int s = BN_bn2binpad(ECDSA_SIG_get0_s(sig), raw + COORDINATE_BYTES, COORDINATE_BYTES);
    ECDSA_SIG_free(sig);
    return r == COORDINATE_BYTES && s == COORDINATE_BYTES ? SP_SUCCESS : sp_evp_failure(SP_E_CRYPTO);
}

static sp_status es256_sign(const struct sp_sig_key *key, enum sp_alg alg, sp_slice msg, uint8_t *sig) {
    uint8_t der[DER_BYTES_MAX];
    size_t n = sizeof der;
    SP_TRY(sp_evp_sign(key, alg, msg, der, &n));
    return from_der(sp_slice_of(der, n), sig);
}

static sp_status es256_verify(const struct sp_sig_key *key, enum sp_alg alg, sp_slice msg, sp_slice sig) {
    uint8_t der[DER_BYTES_MAX];
    if (!in_range(sig.p) || !in_range(sig.p + COORDINATE_BYTES)) return sp_err(SP_E_CRYPTO);
    return sp_evp_verify(key, alg, msg, sp_slice_of(der, to_der(sig.p, der)));
}

static sp_status wrap(EVP_PKEY *pkey, bool has_private, struct sp_sig_key **ret_key) {
    struct sp_sig_key *key;
    SP_TRY(sp_evp_key_new(pkey, SP_KEY_EC_P256, SP_ALG_BIT(SP_ALG_ES256), has_private, NULL, &key));
    key->sig_bytes = ES256_SIG_BYTES;
    *ret_key = key;
    return SP_SUCCESS;
}

/* point: 0x04 || x || y. d: NULL for a public key. Everything is OpenSSL's to check but the lengths. */
static sp_status params_of(const uint8_t point[1 + 2 * COORDINATE_BYTES], const BIGNUM *d, OSSL_PARAM **ret) {
    OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
    if (bld == NULL) return sp_evp_failure(SP_E_NOMEM);
    bool built =
        OSSL_PARAM_BLD_push_utf8_string(bld, OSSL_PKEY_PARAM_GROUP_NAME, "P-256", 0) &&
        OSSL_PARAM_BLD_push_octet_string(bld, OSSL_PKEY_PARAM_PUB_KEY, point, 1 + 2 * COORDINATE_BYTES) &&
        (d == NULL || OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_PRIV_KEY, d));
    OSSL_PARAM *params = built ? OSSL_PARAM_BLD_to_param(bld) : NULL;
    OSSL_PARAM_BLD_free(bld);
    if (params == NULL) return sp_evp_failure(SP_E_NOMEM);
    *ret = params;
    return SP_SUCCESS;
}

static sp_status pkey_of(OSSL_PARAM *params, int selection, EVP_PKEY **ret) {
    EVP_PKEY *pkey = NULL;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    if (ctx == NULL) return sp_evp_failure(SP_E_NOMEM);
    bool made = EVP_PKEY_fromdata_init(ctx) == 1 && EVP_PKEY_fromdata(ctx, &pkey, selection, params) == 1;
    EVP_PKEY_CTX_free(ctx);
    if (!made) return sp_evp_failure(SP_E_MALFORMED);
    *ret = pkey;
    return SP_SUCCESS;
}

static sp_status import_components(sp_slice x, sp_slice y, const BIGNUM *d, struct sp_sig_key **ret_key) {
    uint8_t point[1 + 2 * COORDINATE_BYTES] = {0x04};
    OSSL_PARAM *params = NULL;
    EVP_PKEY *pkey = NULL;
    if (x.n != COORDINATE_BYTES || y.n != COORDINATE_BYTES) return sp_err(SP_E_MALFORMED);
    memcpy(point + 1, x.p, x.n);
    memcpy(point + 1 + x.n, y.p, y.n);
    SP_TRY(params_of(point, d, &params));
    sp_status s = pkey_of(params, d == NULL ? EVP_PKEY_PUBLIC_KEY : EVP_PKEY_KEYPAIR, &pkey);
    OSSL_PARAM_free(params);
    SP_TRY(s);
    s = sp_evp_check(pkey, EVP_PKEY_public_check);
    if (sp_ok(s) && d != NULL) s = sp_evp_check(pkey, EVP_PKEY_pairwise_check);
    if (sp_ok(s)) return wrap(pkey, d != NULL, ret_key);
    EVP_PKEY_free(pkey);
    return s;
}

sp_status sp_sig_key_from_ec(sp_slice x, sp_slice y, struct sp_sig_key **ret_key) {
    return import_components(x, y, NULL, ret_key);
}

sp_status sp_sig_key_from_ec_private(sp_slice d, sp_slice x, sp_slice y, struct sp_sig_key **ret_key) {
    if (d.n != COORDINATE_BYTES || !in_range(d.p)) return sp_err(SP_E_MALFORMED);
    BIGNUM *bn = BN_secure_new();
    if (bn == NULL || BN_bin2bn(d.p, (int)d.n, bn) == NULL) {
        BN_clear_free(bn);
        return sp_evp_failure(SP_E_NOMEM);
    }
    sp_status s = import_components(x, y, bn, ret_key);
    BN_clear_free(bn);
    return s;
}

sp_status sp_sig_key_generate_ec(struct sp_sig_key **ret_key) {
    EVP_PKEY *pkey = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    if (pkey == NULL) return sp_evp_failure(SP_E_CRYPTO);
    return wrap(pkey, true, ret_key);
}

static sp_status coordinate(const EVP_PKEY *pkey, const char *name, uint8_t out[COORDINATE_BYTES]) {
    BIGNUM *bn = NULL;
    if (EVP_PKEY_get_bn_param(pkey, name, &bn) != 1) return sp_evp_failure(SP_E_CRYPTO);
    int n = BN_bn2binpad(bn, out, COORDINATE_BYTES);
    BN_free(bn);
    return n == COORDINATE_BYTES ? SP_SUCCESS : sp_evp_failure(SP_E_CRYPTO);
}

static sp_status es256_public(const struct sp_sig_key *key, struct sp_sig_public *ret) {
    struct sp_sig_public p = {.type = SP_KEY_EC_P256};
    SP_TRY(coordinate(key->u.evp.pkey, OSSL_PKEY_PARAM_EC_PUB_X, p.x));
    SP_TRY(coordinate(key->u.evp.pkey, OSSL_PKEY_PARAM_EC_PUB_Y, p.y));
    *ret = p;
    return SP_SUCCESS;
}

static sp_status check_is_p256(EVP_PKEY *pkey) {
    char group[32] = "";
    if (EVP_PKEY_get_utf8_string_param(pkey, OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof group, NULL) != 1)
        return sp_evp_failure(SP_E_MALFORMED);
    if (strcmp(group, "prime256v1") != 0 && strcmp(group, "P-256") != 0) return sp_err(SP_E_MALFORMED);
    SP_TRY(sp_evp_check(pkey, EVP_PKEY_public_check));
    return sp_evp_check(pkey, EVP_PKEY_pairwise_check);
}

static sp_status es256_import(sp_slice der, struct sp_sig_key **ret_key) {
    EVP_PKEY *pkey;
    SP_TRY(sp_evp_import_pkcs8(der, "EC", &pkey));
    sp_status s = check_is_p256(pkey);
    if (sp_ok(s)) return wrap(pkey, true, ret_key);
    EVP_PKEY_free(pkey);
    return s;
}

const struct sp_sig_ops sp_sig_ops_es256 = {
    .algs = SP_ALG_BIT(SP_ALG_ES256),
    .sign = es256_sign,
    .verify = es256_verify,
    .public_part = es256_public,
    .export_private = sp_evp_export_pkcs8,
    .import_private = es256_import,
    .done = sp_evp_key_done,
};
