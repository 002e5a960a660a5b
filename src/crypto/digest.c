/* SHA-256 is OpenSSL's (SHA-NI or AVX2 where there is one; libsodium's is portable C and several times
 * slower), used through the low-level interface: it is deprecated in favour of EVP, which allocates and may
 * fail, and costs more than the hashing of a token. OpenSSL 3 keeps it for as long as there is a 3. HMAC and
 * HKDF are the few lines of RFC 2104 and RFC 5869 over it, checked by the vectors of RFC 4231 and RFC 5869
 * and by Wycheproof's. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "crypto/digest.h"

#include "base/assert.h"
#include "base/mem.h"

#include <openssl/sha.h>
#include <sodium.h>

enum { BLOCK_BYTES = 64 };

_Static_assert(sizeof(struct sp_sha256) == sizeof(SHA256_CTX), "sp_sha256 stands for a SHA256_CTX");
_Static_assert(_Alignof(struct sp_sha256) >= _Alignof(SHA256_CTX), "and is aligned like one");
_Static_assert(SP_SIPHASH_KEY_BYTES == crypto_shorthash_siphash24_KEYBYTES, "SipHash key");

static SHA256_CTX *ctx(struct sp_sha256 *s) {
    return (SHA256_CTX *)(void *)s->opaque;
}

void sp_sha256_init(struct sp_sha256 *s) {
    SHA256_Init(ctx(s));
}

void sp_sha256_update(struct sp_sha256 *s, sp_slice in) {
    if (in.n != 0) SHA256_Update(ctx(s), in.p, in.n);
}

void sp_sha256_final(struct sp_sha256 *s, uint8_t out[SP_SHA256_BYTES]) {
    SHA256_Final(out, ctx(s));
    sp_wipe(s, sizeof *s);
}

void sp_sha256(sp_slice in, uint8_t out[SP_SHA256_BYTES]) {
    struct sp_sha256 s;
    sp_sha256_init(&s);
    sp_sha256_update(&s, in);
    sp_sha256_final(&s, out);
}

void sp_sha512(sp_slice in, uint8_t out[SP_SHA512_BYTES]) {
    (void)crypto_hash_sha512(out, in.p, in.n); /* always 0 */
}

static void hash_pad(struct sp_sha256 *s, const uint8_t key[BLOCK_BYTES], uint8_t mask) {
    uint8_t pad[BLOCK_BYTES];
    for (size_t i = 0; i < sizeof pad; i++) pad[i] = key[i] ^ mask;
    sp_sha256_init(s);
    sp_sha256_update(s, SP_SLICE_ARRAY(pad));
    sp_wipe(pad, sizeof pad);
}

void sp_hmac_key_init(struct sp_hmac_key *k, sp_slice key) {
    uint8_t block[BLOCK_BYTES] = {0};
    if (key.n > sizeof block)
        sp_sha256(key, block);
    else if (key.n != 0)
        memcpy(block, key.p, key.n);
    hash_pad(&k->inner, block, 0x36);
    hash_pad(&k->outer, block, 0x5c);
    sp_wipe(block, sizeof block);
}

void sp_hmac_key_done(struct sp_hmac_key *k) {
    sp_wipe(k, sizeof *k);
}

void sp_hmac_begin(struct sp_hmac_stream *s, const struct sp_hmac_key *k) {
    s->inner = k->inner;
    s->key = k;
}

void sp_hmac_update(struct sp_hmac_stream *s, sp_slice in) {
    sp_sha256_update(&s->inner, in);
}

void sp_hmac_final(struct sp_hmac_stream *s, uint8_t out[SP_SHA256_BYTES]) {
    struct sp_sha256 outer = s->key->outer;
    uint8_t digest[SP_SHA256_BYTES];
    sp_sha256_final(&s->inner, digest);
    sp_sha256_update(&outer, SP_SLICE_ARRAY(digest));
    sp_sha256_final(&outer, out);
    sp_wipe(digest, sizeof digest);
}

void sp_hmac(const struct sp_hmac_key *k, sp_slice in, uint8_t out[SP_SHA256_BYTES]) {
    sp_hmac_parts(k, &in, 1, out);
}

void sp_hmac_parts(const struct sp_hmac_key *k, const sp_slice *parts, size_t n,
                   uint8_t out[SP_SHA256_BYTES]) {
    struct sp_hmac_stream s;
    sp_hmac_begin(&s, k);
    for (size_t i = 0; i < n; i++) sp_hmac_update(&s, parts[i]);
    sp_hmac_final(&s, out);
}

void sp_hmac_sha256(sp_slice key, sp_slice in, uint8_t out[SP_SHA256_BYTES]) {
    struct sp_hmac_key k;
    sp_hmac_key_init(&k, key);
    sp_hmac(&k, in, out);
    sp_hmac_key_done(&k);
}

/* T(i) = HMAC(PRK, T(i-1) || info || i), concatenated. */
static void hkdf_expand(const struct sp_hmac_key *prk, sp_slice info, uint8_t *out, size_t n) {
    uint8_t block[SP_SHA256_BYTES], counter = 0;
    sp_slice previous = SP_SLICE_EMPTY;
    while (n > 0) {
        counter++;
        const sp_slice parts[] = {previous, info, sp_slice_of(&counter, 1)};
        sp_hmac_parts(prk, parts, SP_ARRAY_LEN(parts), block);
        previous = SP_SLICE_ARRAY(block);
        size_t take = n < sizeof block ? n : sizeof block;
        memcpy(out, block, take);
        out += take;
        n -= take;
    }
    sp_wipe(block, sizeof block);
}

void sp_hkdf_sha256(sp_slice ikm, sp_slice salt, sp_slice info, uint8_t *out, size_t n) {
    uint8_t prk[SP_SHA256_BYTES];
    struct sp_hmac_key key;
    sp_assert(n <= SP_HKDF_BYTES_MAX);
    sp_hmac_sha256(salt, ikm, prk); /* an absent salt is zeros, as HMAC pads it */
    sp_hmac_key_init(&key, SP_SLICE_ARRAY(prk));
    hkdf_expand(&key, info, out, n);
    sp_hmac_key_done(&key);
    sp_wipe(prk, sizeof prk);
}

uint64_t sp_siphash(const uint8_t key[SP_SIPHASH_KEY_BYTES], sp_slice in) {
    uint8_t out[crypto_shorthash_siphash24_BYTES];
    uint64_t v;
    static const uint8_t nothing;
    crypto_shorthash_siphash24(out, in.n == 0 ? &nothing : in.p, in.n, key);
    memcpy(&v, out, sizeof v); /* as they lie in memory; whose value leaves the process orders them */
    return v;
}
