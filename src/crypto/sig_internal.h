/* What sig.c and the algorithms share. Internal to src/crypto. */
#ifndef SP_CRYPTO_SIG_INTERNAL_H
#define SP_CRYPTO_SIG_INTERNAL_H

#include "crypto/digest.h"
#include "crypto/sig.h"

#include <openssl/evp.h>
#include <sodium.h>
#include <stdatomic.h>

/* EC and RSA keys: the parsed key, and for each algorithm a prepared context that is only ever copied (a copy
 * costs a fraction of fetching the algorithm by name; copying reads, so it needs no lock). */
struct sp_evp_key {
    EVP_PKEY *pkey;
    EVP_PKEY_CTX *verify[SP_ALG_COUNT];
    EVP_PKEY_CTX *sign[SP_ALG_COUNT];
};

struct sp_sig_key {
    atomic_uint refs;
    enum sp_key_type type;
    bool has_private;
    size_t sig_bytes;
    union {
        struct sp_evp_key evp;
        struct {
            uint8_t public[crypto_sign_PUBLICKEYBYTES];
            uint8_t secret[crypto_sign_SECRETKEYBYTES]; /* zero when absent */
        } ed;
        struct {
            struct sp_hmac_key prepared;
            size_t n;
            uint8_t bytes[SP_HMAC_KEY_BYTES_MAX];
        } hmac;
    } u;
};

/* What a key type can do. `alg` has been checked to be one of `algs`, sign only runs on keys with a private
 * part and cap >= sig_bytes, verify only on signatures of sig_bytes. */
struct sp_sig_ops {
    uint32_t algs;
    sp_status (*sign)(const struct sp_sig_key *key, enum sp_alg alg, sp_slice msg, uint8_t *sig);
    sp_status (*verify)(const struct sp_sig_key *key, enum sp_alg alg, sp_slice msg, sp_slice sig);
    sp_status (*public_part)(const struct sp_sig_key *key, struct sp_sig_public *ret);
    sp_status (*export_private)(const struct sp_sig_key *key, struct sp_buf *out);
    sp_status (*import_private)(sp_slice form, struct sp_sig_key **ret_key);
    void (*done)(struct sp_sig_key *key);
};
extern const struct sp_sig_ops sp_sig_ops_es256, sp_sig_ops_rsa, sp_sig_ops_eddsa, sp_sig_ops_hs256;

/* A zeroed key with one reference. */
sp_status sp_sig_key_new_(enum sp_key_type type, struct sp_sig_key **ret_key);

/* sig_es256.c */
sp_status sp_sig_key_generate_ec(struct sp_sig_key **ret_key);

/* sig_evp.c: what EC and RSA have in common. */

/* The status of a failed OpenSSL call: NOMEM if that was the reason, `otherwise` if not. Empties the error
 * queue. */
sp_status sp_evp_failure(enum sp_code otherwise);
/* Makes a key around pkey (taken on success and on failure), with contexts prepared for the algorithms. */
typedef sp_status (*sp_evp_tune)(EVP_PKEY_CTX *ctx, enum sp_alg alg);
sp_status sp_evp_key_new(EVP_PKEY *pkey, enum sp_key_type type, uint32_t algs, bool has_private,
                         sp_evp_tune tune, struct sp_sig_key **ret_key);
void sp_evp_key_done(struct sp_sig_key *key);
/* Over the SHA-256 of msg, in OpenSSL's form (DER for EC). *n: in the capacity, out the bytes. */
sp_status sp_evp_sign(const struct sp_sig_key *key, enum sp_alg alg, sp_slice msg, uint8_t *sig, size_t *n);
sp_status sp_evp_verify(const struct sp_sig_key *key, enum sp_alg alg, sp_slice msg, sp_slice sig);
/* PKCS#8 DER, both ways. The key read back has not been checked; it is `ret_pkey`'s to free. */
sp_status sp_evp_export_pkcs8(const struct sp_sig_key *key, struct sp_buf *out);
sp_status sp_evp_import_pkcs8(sp_slice der, const char *type_name, EVP_PKEY **ret_pkey);
/* Runs a check (EVP_PKEY_public_check, EVP_PKEY_pairwise_check, ...); SP_E_MALFORMED when it fails. */
sp_status sp_evp_check(EVP_PKEY *pkey, int (*check)(EVP_PKEY_CTX *));

#endif
