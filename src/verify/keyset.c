/* The keys that a verifier trusts. See keyset.h for identities and lifetimes. */
#include "verify/keyset.h"

#include "base/ct.h"

struct sp_keyset {
    struct sp_retired retired;
    struct sp_jwks jwks; /* its array is `keys` below, so that sp_jwks_find does the finding */
    uint64_t identity[SP_KEYSET_KEYS_MAX];
    struct sp_jwk keys[];
};

static uint64_t next_identity(void) {
    static _Atomic uint64_t last; /* per process: no two sets of any verifier share a number */
    return atomic_fetch_add_explicit(&last, 1, memory_order_relaxed) + 1;
}

static bool same_secret(const struct sp_sig_key *a, const struct sp_sig_key *b) {
    SP_AUTO(sp_buf) x = SP_BUF_INIT(SP_HMAC_KEY_BYTES_MAX), y = SP_BUF_INIT(SP_HMAC_KEY_BYTES_MAX);
    return sp_ok(sp_sig_key_export_private(a, &x)) && sp_ok(sp_sig_key_export_private(b, &y)) &&
           sp_ct_equal(sp_buf_slice(&x), sp_buf_slice(&y));
}
static bool same_public(const struct sp_sig_key *a, const struct sp_sig_key *b) {
    uint8_t x[SP_SHA256_BYTES], y[SP_SHA256_BYTES];
    return sp_ok(sp_jwk_thumbprint(a, x)) && sp_ok(sp_jwk_thumbprint(b, y)) &&
           sp_slice_eq(SP_SLICE_ARRAY(x), SP_SLICE_ARRAY(y));
}

/* When it cannot be told (out of memory): not the same, which only costs cached tokens. */
static bool same_key(const struct sp_jwk *a, const struct sp_jwk *b) {
    if (a->has_kid != b->has_kid || a->algs != b->algs) return false;
    if (a->has_kid && !sp_slice_eq(SP_TEXT_SLICE(&a->kid), SP_TEXT_SLICE(&b->kid))) return false;
    if (a->key == b->key) return true;
    if (sp_sig_key_type(a->key) != sp_sig_key_type(b->key)) return false;
    return sp_sig_key_type(a->key) == SP_KEY_HMAC ? same_secret(a->key, b->key) : same_public(a->key, b->key);
}

static uint64_t identity_after(const struct sp_keyset *prev, const struct sp_jwk *jwk) {
    for (size_t i = 0; prev != NULL && i < prev->jwks.n; i++)
        if (same_key(&prev->keys[i], jwk)) return prev->identity[i];
    return next_identity();
}

sp_status sp_keyset_new(const struct sp_jwk *keys, size_t n, const struct sp_keyset *prev,
                        struct sp_keyset **ret) {
    if (n > SP_KEYSET_KEYS_MAX) return sp_err(SP_E_LIMIT);
    struct sp_keyset *ks = calloc(1, sizeof *ks + n * sizeof ks->keys[0]);
    if (ks == NULL) return sp_err(SP_E_NOMEM);
    ks->jwks = (struct sp_jwks){.keys = ks->keys, .n = n};
    for (size_t i = 0; i < n; i++) {
        ks->keys[i] = keys[i];
        ks->keys[i].key = sp_sig_key_ref(keys[i].key);
        ks->identity[i] = identity_after(prev, &keys[i]);
    }
    *ret = ks;
    return SP_SUCCESS;
}

void sp_keyset_free(struct sp_keyset *ks) {
    if (ks == NULL) return;
    for (size_t i = 0; i < ks->jwks.n; i++) sp_sig_key_free(ks->keys[i].key);
    free(ks);
}

static void free_retired(struct sp_retired *link) {
    sp_keyset_free(SP_CONTAINER_OF(link, struct sp_keyset, retired));
}
void sp_keyset_retire(struct sp_keyset *ks, struct sp_reclaim *reclaim) {
    if (ks != NULL) sp_reclaim_retire(reclaim, &ks->retired, free_retired);
}

struct sp_key_lookup sp_keyset_lookup(const struct sp_keyset *ks) {
    return sp_key_lookup_jwks(&ks->jwks);
}

uint64_t sp_keyset_identity(const struct sp_keyset *ks, const struct sp_jwk *jwk) {
    sp_assert(jwk >= ks->keys && jwk < ks->keys + ks->jwks.n);
    return ks->identity[jwk - ks->keys];
}

bool sp_keyset_has(const struct sp_keyset *ks, uint64_t identity) {
    for (size_t i = 0; i < ks->jwks.n; i++)
        if (ks->identity[i] == identity) return true;
    return false;
}

size_t sp_keyset_count(const struct sp_keyset *ks) {
    return ks->jwks.n;
}
