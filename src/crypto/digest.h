/* SHA-256, HMAC-SHA-256, HKDF-SHA-256 and SipHash-2-4: what tables, tags and chains are made of.
 *
 * None of these can fail or allocates, so callers need no error path: the states live in the caller's
 * storage and wrap OpenSSL's SHA-256 block function directly. That is also what makes them fast: a fresh
 * EVP context costs four times the HMAC of a whole token (1.4 us against 0.34 us for 400 bytes).
 * All functions are thread-safe on distinct states; prepared keys are read-only and may be shared. */
#ifndef SP_CRYPTO_DIGEST_H
#define SP_CRYPTO_DIGEST_H

#include "base/slice.h"

#define SP_SHA256_BYTES 32
#define SP_SIPHASH_KEY_BYTES 16

/* A running SHA-256; copying the struct copies the computation. Wipe it if the input was secret. */
struct sp_sha256 {
    uint32_t opaque[28];
};

void sp_sha256_init(struct sp_sha256 *s);
void sp_sha256_update(struct sp_sha256 *s, sp_slice in);
void sp_sha256_final(struct sp_sha256 *s, uint8_t out[SP_SHA256_BYTES]); /* wipes the state */
void sp_sha256(sp_slice in, uint8_t out[SP_SHA256_BYTES]);
/* For what others define by it (at_hash of EdDSA); nothing of ours is. */
#define SP_SHA512_BYTES 64
void sp_sha512(sp_slice in, uint8_t out[SP_SHA512_BYTES]);

/* An HMAC key with its inner and outer blocks already hashed. A secret: sp_hmac_key_done wipes it. */
struct sp_hmac_key {
    struct sp_sha256 inner;
    struct sp_sha256 outer;
};

void sp_hmac_key_init(struct sp_hmac_key *k, sp_slice key); /* a key of any length */
void sp_hmac_key_done(struct sp_hmac_key *k);
void sp_hmac(const struct sp_hmac_key *k, sp_slice in, uint8_t out[SP_SHA256_BYTES]);
/* Over the concatenation of n parts. */
void sp_hmac_parts(const struct sp_hmac_key *k, const sp_slice *parts, size_t n,
                   uint8_t out[SP_SHA256_BYTES]);
/* One-shot, for keys that are used once. */
void sp_hmac_sha256(sp_slice key, sp_slice in, uint8_t out[SP_SHA256_BYTES]);

/* A running HMAC for input that comes in pieces. */
struct sp_hmac_stream {
    struct sp_sha256 inner;
    const struct sp_hmac_key *key; /* borrowed until final */
};
void sp_hmac_begin(struct sp_hmac_stream *s, const struct sp_hmac_key *k);
void sp_hmac_update(struct sp_hmac_stream *s, sp_slice in);
void sp_hmac_final(struct sp_hmac_stream *s, uint8_t out[SP_SHA256_BYTES]);

/* RFC 5869: n <= SP_HKDF_BYTES_MAX bytes of subkey from `ikm`, bound to `info` (a domain string of ours such
 * as "sallyport refresh tag v1"). `salt` may be empty. */
#define SP_HKDF_BYTES_MAX ((size_t)255 * SP_SHA256_BYTES)
void sp_hkdf_sha256(sp_slice ikm, sp_slice salt, sp_slice info, uint8_t *out, size_t n);

/* SipHash-2-4, 64 bits, for tables whose keys an attacker chooses. Not a MAC for anything else. */
uint64_t sp_siphash(const uint8_t key[SP_SIPHASH_KEY_BYTES], sp_slice in);

#endif
