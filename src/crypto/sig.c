#include "crypto/sig.h"

#include "crypto/sig_internal.h"

static const char *const names[SP_ALG_COUNT] = {
    [SP_ALG_ES256] = "ES256", [SP_ALG_HS256] = "HS256", [SP_ALG_RS256] = "RS256",
    [SP_ALG_PS256] = "PS256", [SP_ALG_EDDSA] = "EdDSA",
};

const char *sp_alg_name(enum sp_alg alg) {
    return names[alg];
}

sp_status sp_alg_from_name(sp_slice name, enum sp_alg *ret_alg) {
    for (int alg = 0; alg < SP_ALG_COUNT; alg++) {
        if (!sp_slice_eq_cstr(name, names[alg])) continue;
        *ret_alg = (enum sp_alg)alg;
        return SP_SUCCESS;
    }
    return sp_err(SP_E_UNSUPPORTED);
}

static const struct sp_sig_ops *const ops_of_type[] = {
    [SP_KEY_EC_P256] = &sp_sig_ops_es256,
    [SP_KEY_RSA] = &sp_sig_ops_rsa,
    [SP_KEY_ED25519] = &sp_sig_ops_eddsa,
    [SP_KEY_HMAC] = &sp_sig_ops_hs256,
};

static const struct sp_sig_ops *ops(const struct sp_sig_key *key) {
    return ops_of_type[key->type];
}

sp_status sp_sig_key_new_(enum sp_key_type type, struct sp_sig_key **ret_key) {
    struct sp_sig_key *key = calloc(1, sizeof *key);
    if (key == NULL) return sp_err(SP_E_NOMEM);
    atomic_init(&key->refs, 1);
    key->type = type;
    *ret_key = key;
    return SP_SUCCESS;
}

struct sp_sig_key *sp_sig_key_ref(struct sp_sig_key *key) {
    atomic_fetch_add_explicit(&key->refs, 1, memory_order_relaxed);
    return key;
}

void sp_sig_key_free(struct sp_sig_key *key) {
    /* acq_rel: whoever frees sees all that the other owners did with the key */
    if (key == NULL || atomic_fetch_sub_explicit(&key->refs, 1, memory_order_acq_rel) != 1) return;
    if (ops(key)->done != NULL) ops(key)->done(key);
    sp_free_wiped(key, sizeof *key);
}

enum sp_key_type sp_sig_key_type(const struct sp_sig_key *key) {
    return key->type;
}

bool sp_sig_key_can_sign(const struct sp_sig_key *key) {
    return key->has_private;
}

uint32_t sp_sig_key_algs(const struct sp_sig_key *key) {
    return ops(key)->algs;
}

size_t sp_sig_bytes(const struct sp_sig_key *key) {
    return key->sig_bytes;
}

sp_status sp_sig_key_public(const struct sp_sig_key *key, struct sp_sig_public *ret_public) {
    if (ops(key)->public_part == NULL) return sp_err(SP_E_REFUSED);
    return ops(key)->public_part(key, ret_public);
}

sp_status sp_sig_key_export_private(const struct sp_sig_key *key, struct sp_buf *out) {
    return key->has_private ? ops(key)->export_private(key, out) : sp_err(SP_E_REFUSED);
}

sp_status sp_sig_key_import_private(enum sp_key_type type, sp_slice private_form,
                                    struct sp_sig_key **ret_key) {
    return ops_of_type[type]->import_private(private_form, ret_key);
}

static bool serves(const struct sp_sig_key *key, enum sp_alg alg) {
    return (ops(key)->algs & SP_ALG_BIT(alg)) != 0;
}

sp_status sp_sig_sign(const struct sp_sig_key *key, enum sp_alg alg, sp_slice msg, uint8_t *sig, size_t cap,
                      size_t *ret_n) {
    if (!serves(key, alg) || !key->has_private) return sp_err(SP_E_REFUSED);
    if (cap < key->sig_bytes) return sp_err(SP_E_LIMIT);
    SP_TRY(ops(key)->sign(key, alg, msg, sig));
    *ret_n = key->sig_bytes;
    return SP_SUCCESS;
}

sp_status sp_sig_verify(const struct sp_sig_key *key, enum sp_alg alg, sp_slice msg, sp_slice sig) {
    if (!serves(key, alg)) return sp_err(SP_E_REFUSED);
    if (sig.n != key->sig_bytes) return sp_err(SP_E_CRYPTO);
    return ops(key)->verify(key, alg, msg, sig);
}

static sp_status generate_hmac(const struct sp_random *random, struct sp_sig_key **ret_key) {
    uint8_t k[SP_HMAC_KEY_BYTES_MIN];
    SP_TRY(sp_random_fill(random, k, sizeof k));
    sp_status s = sp_sig_key_from_hmac(SP_SLICE_ARRAY(k), ret_key);
    sp_wipe(k, sizeof k);
    return s;
}

static sp_status generate_ed25519(const struct sp_random *random, struct sp_sig_key **ret_key) {
    uint8_t seed[crypto_sign_SEEDBYTES];
    SP_TRY(sp_random_fill(random, seed, sizeof seed));
    sp_status s = sp_sig_key_import_private(SP_KEY_ED25519, SP_SLICE_ARRAY(seed), ret_key);
    sp_wipe(seed, sizeof seed);
    return s;
}

sp_status sp_sig_key_generate(enum sp_alg alg, const struct sp_random *random, struct sp_sig_key **ret_key) {
    switch (alg) {
    case SP_ALG_ES256: return sp_sig_key_generate_ec(ret_key);
    case SP_ALG_HS256: return generate_hmac(random, ret_key);
    case SP_ALG_RS256:
    case SP_ALG_PS256: return sp_sig_key_generate_rsa(SP_RSA_BITS_MIN, ret_key);
    case SP_ALG_EDDSA: return generate_ed25519(random, ret_key);
    case SP_ALG_COUNT: break;
    }
    return sp_err(SP_E_UNSUPPORTED);
}
