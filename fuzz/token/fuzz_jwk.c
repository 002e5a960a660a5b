/* Key sets. What we write of an accepted key comes back as the same key, without secrets. */
#include "base/assert.h"
#include "token/jwk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must_come_back(const struct sp_jwk *jwk) {
    SP_AUTO(sp_buf) out = SP_BUF_INIT(8192);
    struct sp_jwk again;
    uint8_t a[SP_SHA256_BYTES], b[SP_SHA256_BYTES];
    if (sp_sig_key_type(jwk->key) == SP_KEY_HMAC || jwk->kid.n == 0) return;
    int alg = __builtin_ctz(jwk->algs);
    sp_assert(sp_ok(sp_jwk_write_public(SP_TEXT_SLICE(&jwk->kid), (enum sp_alg)alg, jwk->key, &out)));
    sp_assert(sp_ok(sp_jwk_parse(sp_buf_slice(&out), SP_JWK_PUBLIC_ONLY, &again)));
    sp_assert(sp_slice_eq(SP_TEXT_SLICE(&jwk->kid), SP_TEXT_SLICE(&again.kid)));
    sp_assert(sp_ok(sp_jwk_thumbprint(jwk->key, a)) && sp_ok(sp_jwk_thumbprint(again.key, b)));
    sp_assert(memcmp(a, b, sizeof a) == 0);
    sp_jwk_done(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct sp_jwks set = SP_JWKS_INIT;
    if (!sp_ok(sp_jwks_parse(sp_slice_of(data, size), SP_JWK_WITH_SECRETS, &set))) return 0;
    sp_assert(set.n <= SP_JWKS_KEYS_MAX);
    for (size_t i = 0; i < set.n; i++) {
        sp_assert(set.keys[i].algs != 0 && (set.keys[i].algs & ~sp_sig_key_algs(set.keys[i].key)) == 0);
        must_come_back(&set.keys[i]);
    }
    sp_jwks_done(&set);
    return 0;
}
