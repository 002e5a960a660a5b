/* XChaCha20-Poly1305: seals keys and secrets at rest.
 *
 * The nonce is 24 random bytes, so that it never needs a counter that a restored backup could repeat; that is
 * why it is this cipher and not AES-GCM. Sealed form: nonce || ciphertext || tag. `ad` (associated data) must
 * name what is sealed and where it belongs (domain, key id), so that a row cannot be moved to another place.
 * Thread-safe. */
#ifndef SP_CRYPTO_AEAD_H
#define SP_CRYPTO_AEAD_H

#include "base/buf.h"
#include "base/ports.h"

#define SP_AEAD_KEY_BYTES 32
#define SP_AEAD_NONCE_BYTES 24
#define SP_AEAD_TAG_BYTES 16
#define SP_AEAD_OVERHEAD_BYTES (SP_AEAD_NONCE_BYTES + SP_AEAD_TAG_BYTES)

/* Appends the sealed form of `plain` to *out. SP_E_LIMIT, SP_E_NOMEM, SP_E_UNAVAILABLE (no randomness). */
sp_status sp_aead_seal(const uint8_t key[SP_AEAD_KEY_BYTES], const struct sp_random *random, sp_slice ad,
                       sp_slice plain, struct sp_buf *out);
/* Appends the plain text to *out. SP_E_CRYPTO: wrong key, other `ad`, or changed bytes; *out is then as it
 * was. */
sp_status sp_aead_open(const uint8_t key[SP_AEAD_KEY_BYTES], sp_slice ad, sp_slice sealed,
                       struct sp_buf *out);

#endif
