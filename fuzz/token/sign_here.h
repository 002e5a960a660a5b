/* For fuzzers that must get behind a signature: header and payload as they come, signed by a fixed Ed25519
 * key, which the corpora show as their jwk. */
#ifndef SP_FUZZ_SIGN_HERE_H
#define SP_FUZZ_SIGN_HERE_H

#include "base/assert.h"
#include "base/base64url.h"
#include "token/check.h"

enum { SIGN_HERE_MAX = 4 * SP_TOKEN_BYTES_MAX };

/* Its public part: x = ebVWLo_mVPlAeLES6KmLp5AfhTrmlb7X4OORC60ElmQ */
static inline const struct sp_sig_key *sign_here_key(void) {
    static const uint8_t seed[32] = {1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15, 16,
                                     17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32};
    static struct sp_sig_key *key;
    if (key == NULL) sp_assert(sp_ok(sp_sig_key_import_private(SP_KEY_ED25519, SP_SLICE_ARRAY(seed), &key)));
    return key;
}

/* Static storage. Empty when it would be longer than any token. */
static inline sp_slice sign_here(sp_slice header, sp_slice payload) {
    static char text[SIGN_HERE_MAX];
    uint8_t sig[64];
    size_t n = 0;
    char *at = text;
    if (header.n + payload.n > SIGN_HERE_MAX / 2) return SP_SLICE_EMPTY;
    sp_base64url_encode(header, at);
    at += SP_BASE64URL_CHARS(header.n);
    *at++ = '.';
    sp_base64url_encode(payload, at);
    at += SP_BASE64URL_CHARS(payload.n);
    sp_slice input = sp_slice_of(text, (size_t)(at - text));
    sp_assert(sp_ok(sp_sig_sign(sign_here_key(), SP_ALG_EDDSA, input, sig, sizeof sig, &n)));
    *at++ = '.';
    sp_base64url_encode(SP_SLICE_ARRAY(sig), at);
    return sp_slice_of(text, input.n + 1 + SP_BASE64URL_CHARS(sizeof sig));
}

/* The first byte: 0 to 127, the rest is a token as it stands; from 128 on, the rest is header, NUL, payload.
 */
static inline sp_slice sign_here_input(const uint8_t *data, size_t size) {
    if (size == 0) return SP_SLICE_EMPTY;
    sp_slice rest = sp_slice_of(data + 1, size - 1);
    const uint8_t *nul = rest.n == 0 ? NULL : memchr(rest.p, 0, rest.n);
    if (data[0] < 128) return rest;
    if (nul == NULL) return sign_here(rest, SP_SLICE_EMPTY);
    size_t n = (size_t)(nul - rest.p);
    return sign_here(sp_slice_of(rest.p, n), sp_slice_of(nul + 1, rest.n - n - 1));
}

#endif
