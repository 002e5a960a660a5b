#include "crypto/sig_internal.h"

#include <openssl/err.h>
#include <openssl/x509.h>

sp_status sp_evp_failure(enum sp_code otherwise) {
    unsigned long e = ERR_peek_error();
    bool nomem = e != 0 && ERR_GET_REASON(e) == ERR_R_MALLOC_FAILURE;
    ERR_clear_error();
    return sp_err(nomem ? SP_E_NOMEM : otherwise);
}

static sp_status prepare(EVP_PKEY *pkey, int (*init)(EVP_PKEY_CTX *), enum sp_alg alg, sp_evp_tune tune,
                         EVP_PKEY_CTX **ret) {
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);
    if (ctx == NULL) return sp_evp_failure(SP_E_NOMEM);
    sp_status s = SP_SUCCESS;
    if (init(ctx) <= 0 || EVP_PKEY_CTX_set_signature_md(ctx, EVP_sha256()) <= 0)
        s = sp_evp_failure(SP_E_CRYPTO);
    else if (tune != NULL)
        s = tune(ctx, alg);
    if (sp_ok(s))
        *ret = ctx;
    else
        EVP_PKEY_CTX_free(ctx);
    return s;
}

static sp_status prepare_all(struct sp_sig_key *key, uint32_t algs, sp_evp_tune tune) {
    struct sp_evp_key *evp = &key->u.evp;
    for (int alg = 0; alg < SP_ALG_COUNT; alg++) {
        if ((algs & SP_ALG_BIT(alg)) == 0) continue;
        SP_TRY(prepare(evp->pkey, EVP_PKEY_verify_init, (enum sp_alg)alg, tune, &evp->verify[alg]));
        if (!key->has_private) continue;
        SP_TRY(prepare(evp->pkey, EVP_PKEY_sign_init, (enum sp_alg)alg, tune, &evp->sign[alg]));
    }
    return SP_SUCCESS;
}

sp_status sp_evp_key_new(EVP_PKEY *pkey, enum sp_key_type type, uint32_t algs, bool has_private,
                         sp_evp_tune tune, struct sp_sig_key **ret_key) {
    SP_AUTO_FREE(sp_sig_key) key = NULL;
    sp_status made = sp_sig_key_new_(type, &key);
    if (!sp_ok(made)) {
        EVP_PKEY_free(pkey);
        return made;
    }
    key->u.evp.pkey = pkey;
    key->has_private = has_private;
    SP_TRY(prepare_all(key, algs, tune));
    *ret_key = sp_steal(&key);
    return SP_SUCCESS;
}

void sp_evp_key_done(struct sp_sig_key *key) {
    for (int alg = 0; alg < SP_ALG_COUNT; alg++) {
        EVP_PKEY_CTX_free(key->u.evp.verify[alg]);
        EVP_PKEY_CTX_free(key->u.evp.sign[alg]);
    }
    EVP_PKEY_free(key->u.evp.pkey);
}

sp_status sp_evp_sign(const struct sp_sig_key *key, enum sp_alg alg, sp_slice msg, uint8_t *sig, size_t *n) {
    uint8_t digest[SP_SHA256_BYTES];
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_dup(key->u.evp.sign[alg]);
    if (ctx == NULL) return sp_evp_failure(SP_E_NOMEM);
    sp_sha256(msg, digest);
    int rc = EVP_PKEY_sign(ctx, sig, n, digest, sizeof digest);
    EVP_PKEY_CTX_free(ctx);
    return rc == 1 ? SP_SUCCESS : sp_evp_failure(SP_E_CRYPTO);
}

sp_status sp_evp_verify(const struct sp_sig_key *key, enum sp_alg alg, sp_slice msg, sp_slice sig) {
    uint8_t digest[SP_SHA256_BYTES];
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_dup(key->u.evp.verify[alg]);
    if (ctx == NULL) return sp_evp_failure(SP_E_NOMEM);
    sp_sha256(msg, digest);
    int rc = EVP_PKEY_verify(ctx, sig.p, sig.n, digest, sizeof digest);
    EVP_PKEY_CTX_free(ctx);
    return rc == 1 ? SP_SUCCESS : sp_evp_failure(SP_E_CRYPTO);
}

sp_status sp_evp_export_pkcs8(const struct sp_sig_key *key, struct sp_buf *out) {
    uint8_t *der = NULL;
    PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(key->u.evp.pkey);
    if (info == NULL) return sp_evp_failure(SP_E_NOMEM);
    int n = i2d_PKCS8_PRIV_KEY_INFO(info, &der);
    PKCS8_PRIV_KEY_INFO_free(info); /* wipes */
    if (n <= 0) return sp_evp_failure(SP_E_NOMEM);
    sp_status s = sp_buf_append(out, sp_slice_of(der, (size_t)n));
    OPENSSL_clear_free(der, (size_t)n);
    return s;
}

sp_status sp_evp_import_pkcs8(sp_slice der, const char *type_name, EVP_PKEY **ret_pkey) {
    if (der.n == 0 || der.n > SP_SIG_PRIVATE_BYTES_MAX) return sp_err(SP_E_MALFORMED);
    const uint8_t *at = der.p;
    PKCS8_PRIV_KEY_INFO *info = d2i_PKCS8_PRIV_KEY_INFO(NULL, &at, (long)der.n);
    if (info == NULL) return sp_evp_failure(SP_E_MALFORMED);
    EVP_PKEY *pkey = at == der.p + der.n ? EVP_PKCS82PKEY(info) : NULL;
    PKCS8_PRIV_KEY_INFO_free(info);
    if (pkey == NULL) return sp_evp_failure(SP_E_MALFORMED);
    if (!EVP_PKEY_is_a(pkey, type_name)) {
        EVP_PKEY_free(pkey);
        return sp_err(SP_E_MALFORMED);
    }
    *ret_pkey = pkey;
    return SP_SUCCESS;
}

sp_status sp_evp_check(EVP_PKEY *pkey, int (*check)(EVP_PKEY_CTX *)) {
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);
    if (ctx == NULL) return sp_evp_failure(SP_E_NOMEM);
    int rc = check(ctx);
    EVP_PKEY_CTX_free(ctx);
    return rc == 1 ? SP_SUCCESS : sp_evp_failure(SP_E_MALFORMED);
}
