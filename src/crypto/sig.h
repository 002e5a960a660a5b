/* Signature keys and algorithms (RFC 7518, RFC 8037), one file an algorithm: sig_es256.c sig_hs256.c
 * sig_rsa.c sig_eddsa.c.
 *
 * A key has a type, and a type has its algorithms; sign and verify name the algorithm and refuse one that is
 * not the key's. So the confusion of an RSA public key with an HMAC secret cannot be written down here: there
 * is no function that takes bytes and an algorithm name. Keys are parsed, checked and prepared once and are
 * immutable after: any number of threads may verify and sign with one key at a time.
 *
 * Refused when a key is made, whoever asks: RSA under 2048 or over 8192 bits, an even modulus, an even
 * exponent or one under 65537; points that are not on P-256; Ed25519 keys of small order, outside the main
 * subgroup or not canonical; HMAC keys under 32 bytes. When verifying: signatures of any length but the one,
 * r or s of zero or not below the order, Ed25519 s not below the order, PSS salts of another length than the
 * hash (RFC 7518 section 3.5).
 *
 * Randomness inside the primitives (ECDSA nonces, PSS salts, RSA primes) is OpenSSL's generator, seeded by
 * the operating system; everything else takes a struct sp_random. */
#ifndef SP_CRYPTO_SIG_H
#define SP_CRYPTO_SIG_H

#include "base/buf.h"
#include "base/mem.h"
#include "base/ports.h"
#include "base/slice.h"
#include "base/status.h"

enum sp_alg { SP_ALG_ES256, SP_ALG_HS256, SP_ALG_RS256, SP_ALG_PS256, SP_ALG_EDDSA, SP_ALG_COUNT };

/* Sets of algorithms. */
#define SP_ALG_BIT(alg) (1u << (alg))
#define SP_ALG_ALL (SP_ALG_BIT(SP_ALG_COUNT) - 1)
#define SP_ALG_PUBLIC                                                                                        \
    (SP_ALG_ALL & ~SP_ALG_BIT(SP_ALG_HS256)) /* what a verifier of strangers' keys may use */

/* The name in a JOSE header ("ES256"). Static storage. */
const char *sp_alg_name(enum sp_alg alg);
/* Exact, case-sensitive (RFC 7515 section 4.1.1). SP_E_UNSUPPORTED for everything else, "none" included. */
sp_status sp_alg_from_name(sp_slice name, enum sp_alg *ret_alg);

enum sp_key_type { SP_KEY_EC_P256, SP_KEY_RSA, SP_KEY_ED25519, SP_KEY_HMAC };

#define SP_RSA_BITS_MIN 2048
#define SP_RSA_BITS_MAX                                                                                      \
    8192 /* verification grows with the square: 8192 bits cost 200 us, 16384 would cost 1 ms */
#define SP_RSA_E_BYTES_MAX 8
#define SP_HMAC_KEY_BYTES_MIN 32 /* RFC 7518 section 3.2: no shorter than the hash */
#define SP_HMAC_KEY_BYTES_MAX 1024
#define SP_SIG_BYTES_MAX (SP_RSA_BITS_MAX / 8)
#define SP_SIG_PRIVATE_BYTES_MAX 6144 /* PKCS#8 of RSA-8192 is 4.7 KB */

struct sp_sig_key; /* opaque, immutable, shared freely; heap */

void sp_sig_key_free(struct sp_sig_key *key); /* wipes; NULL is fine */
SP_DEFINE_FREE(sp_sig_key);
/* Shares ownership: one more sp_sig_key_free is needed. Thread-safe. Returns `key`. */
struct sp_sig_key *sp_sig_key_ref(struct sp_sig_key *key);

/* A fresh key for `alg`: P-256, RSA-2048 (3072: sp_sig_key_generate_rsa), Ed25519, 32 bytes of HMAC key. RSA
 * takes up to seconds. */
sp_status sp_sig_key_generate(enum sp_alg alg, const struct sp_random *random, struct sp_sig_key **ret_key);
sp_status sp_sig_key_generate_rsa(unsigned bits, struct sp_sig_key **ret_key);

/* Keys from their JWK components, all big endian as RFC 7518 section 6 writes them. SP_E_MALFORMED: wrong
 * length or not a point of the curve, or the private part does not belong to the public one; SP_E_REFUSED:
 * well-formed but weak (see above); SP_E_NOMEM. */
sp_status sp_sig_key_from_ec(sp_slice x, sp_slice y, struct sp_sig_key **ret_key);
sp_status sp_sig_key_from_ec_private(sp_slice d, sp_slice x, sp_slice y, struct sp_sig_key **ret_key);
sp_status sp_sig_key_from_rsa(sp_slice n, sp_slice e, struct sp_sig_key **ret_key);
sp_status sp_sig_key_from_ed25519(sp_slice x, struct sp_sig_key **ret_key);
sp_status sp_sig_key_from_hmac(sp_slice k, struct sp_sig_key **ret_key);

/* The private form that is sealed at rest, and back: PKCS#8 DER (EC, RSA), the 32-byte seed (Ed25519), the
 * bytes (HMAC). export: SP_E_REFUSED when the key is public only. *out should be wiped after (sp_buf does).
 */
sp_status sp_sig_key_export_private(const struct sp_sig_key *key, struct sp_buf *out);
sp_status sp_sig_key_import_private(enum sp_key_type type, sp_slice private_form,
                                    struct sp_sig_key **ret_key);

enum sp_key_type sp_sig_key_type(const struct sp_sig_key *key);
bool sp_sig_key_can_sign(const struct sp_sig_key *key);
/* The algorithms of the key's type. */
uint32_t sp_sig_key_algs(const struct sp_sig_key *key);
/* Bytes of a signature by this key: 64 (EC, Ed25519), 32 (HMAC), the modulus (RSA). */
size_t sp_sig_bytes(const struct sp_sig_key *key);

/* The public components, for JWKs and thumbprints. */
struct sp_sig_public {
    enum sp_key_type type;
    uint8_t x[32], y[32];                               /* EC: both; Ed25519: x */
    uint8_t n[SP_SIG_BYTES_MAX], e[SP_RSA_E_BYTES_MAX]; /* RSA, minimal big endian */
    size_t n_bytes, e_bytes;
};
/* SP_E_REFUSED for HMAC keys, which have no public part. */
sp_status sp_sig_key_public(const struct sp_sig_key *key, struct sp_sig_public *ret_public);

/* Signs `msg` in JOSE form (ES256: r || s, 64 bytes). SP_E_REFUSED: a public key, or not an algorithm of this
 * key; SP_E_LIMIT: cap < sp_sig_bytes(key); SP_E_CRYPTO, SP_E_NOMEM. */
sp_status sp_sig_sign(const struct sp_sig_key *key, enum sp_alg alg, sp_slice msg, uint8_t *sig, size_t cap,
                      size_t *ret_n);
/* SP_OK: the signature is by this key over `msg`. SP_E_CRYPTO: it is not. SP_E_REFUSED: not an algorithm of
 * this key. SP_E_NOMEM: could not be checked. Only SP_OK means accept. */
sp_status sp_sig_verify(const struct sp_sig_key *key, enum sp_alg alg, sp_slice msg, sp_slice sig);

/* True for secrets that stand in tutorials, RFCs and default configurations: strings such as
 * "your-256-bit-secret", the key of RFC 7515 A.1, one byte or one short word repeated. Policy for our own
 * configured keys; a key made from one still works, because the test vectors use them. */
bool sp_hs256_secret_is_well_known(sp_slice secret);

#endif
