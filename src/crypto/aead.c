#include "crypto/aead.h"

#include "base/mem.h"
#include "crypto/sodium_once.h"

#include <sodium.h>

_Static_assert(SP_AEAD_KEY_BYTES == crypto_aead_xchacha20poly1305_ietf_KEYBYTES, "key");
_Static_assert(SP_AEAD_NONCE_BYTES == crypto_aead_xchacha20poly1305_ietf_NPUBBYTES, "nonce");
_Static_assert(SP_AEAD_TAG_BYTES == crypto_aead_xchacha20poly1305_ietf_ABYTES, "tag");

sp_status sp_aead_seal(const uint8_t key[SP_AEAD_KEY_BYTES], const struct sp_random *random, sp_slice ad,
                       sp_slice plain, struct sp_buf *out) {
    uint8_t *p;
    size_t n;
    SP_TRY(sp_sodium_once());
    if (!sp_add_size(plain.n, SP_AEAD_OVERHEAD_BYTES, &n)) return sp_err(SP_E_LIMIT);
    SP_TRY(sp_buf_reserve(out, n, &p));
    SP_TRY(sp_random_fill(random, p, SP_AEAD_NONCE_BYTES));
    crypto_aead_xchacha20poly1305_ietf_encrypt(p + SP_AEAD_NONCE_BYTES, NULL, plain.p, plain.n, ad.p, ad.n,
                                               NULL, p, key);
    sp_buf_advance(out, n);
    return SP_SUCCESS;
}

sp_status sp_aead_open(const uint8_t key[SP_AEAD_KEY_BYTES], sp_slice ad, sp_slice sealed,
                       struct sp_buf *out) {
    uint8_t *p;
    SP_TRY(sp_sodium_once());
    if (sealed.n < SP_AEAD_OVERHEAD_BYTES) return sp_err(SP_E_CRYPTO);
    size_t n = sealed.n - SP_AEAD_OVERHEAD_BYTES;
    SP_TRY(sp_buf_reserve(out, n, &p));
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(p, NULL, NULL, sealed.p + SP_AEAD_NONCE_BYTES,
                                                   sealed.n - SP_AEAD_NONCE_BYTES, ad.p, ad.n, sealed.p,
                                                   key) != 0)
        return sp_err(SP_E_CRYPTO);
    sp_buf_advance(out, n);
    return SP_SUCCESS;
}
