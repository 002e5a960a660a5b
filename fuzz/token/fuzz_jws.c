/* The whole door. First byte: 0 to 127, the rest is a token as it stands; from 128 on, the rest is header,
 * NUL, payload, which are signed here, so that what lies behind the signature is reached too. What is
 * accepted must be the one text of its parts, must carry the MAC, and must not be expired. */
#include "base/assert.h"
#include "base/base64url.h"
#include "token/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { NOW = 1700000000, TOKEN_MAX = 4 * SP_TOKEN_BYTES_MAX };

static const uint8_t secret[32] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
static struct sp_check_scratch scratch;
static char built[TOKEN_MAX];

static const struct sp_jwks *keys(void) {
    static struct sp_jwk jwk = {.has_kid = true, .algs = SP_ALG_BIT(SP_ALG_HS256)};
    static struct sp_jwks jwks = {.keys = &jwk, .n = 1};
    if (jwk.key == NULL) {
        sp_assert(sp_ok(sp_sig_key_from_hmac(SP_SLICE_ARRAY(secret), &jwk.key)));
        sp_assert(sp_ok(SP_TEXT_SET(&jwk.kid, SP_SLICE_LIT("k"))));
    }
    return &jwks;
}

static sp_slice sign(sp_slice header, sp_slice payload) {
    uint8_t mac[SP_SHA256_BYTES];
    char *at = built;
    sp_base64url_encode(header, at);
    at += SP_BASE64URL_CHARS(header.n);
    *at++ = '.';
    sp_base64url_encode(payload, at);
    at += SP_BASE64URL_CHARS(payload.n);
    sp_hmac_sha256(SP_SLICE_ARRAY(secret), sp_slice_of(built, (size_t)(at - built)), mac);
    *at++ = '.';
    sp_base64url_encode(SP_SLICE_ARRAY(mac), at);
    return sp_slice_of(built, (size_t)(at - built) + SP_BASE64URL_CHARS(sizeof mac));
}

static void must_be_the_one_text(sp_slice token) {
    static uint8_t header[SP_TOKEN_BYTES_MAX], payload[SP_TOKEN_BYTES_MAX];
    size_t header_n = 0, payload_n = 0;
    struct sp_jws jws;
    sp_assert(sp_reject_is_ok(sp_jws_split(token, &jws)));
    sp_assert(sp_ok(sp_base64url_decode(jws.header, header, sizeof header, &header_n)));
    sp_assert(sp_ok(sp_base64url_decode(jws.payload, payload, sizeof payload, &payload_n)));
    sp_slice again = sign(sp_slice_of(header, header_n), sp_slice_of(payload, payload_n));
    sp_assert(again.n == token.n && memcmp(again.p, token.p, token.n) == 0);
}

static void check(sp_slice token, struct sp_check_policy policy) {
    static uint8_t copy[TOKEN_MAX];
    struct sp_key_lookup lookup = sp_key_lookup_jwks(keys());
    struct sp_checked c = {.claims = {.exp = NOW + 1}};
    enum sp_reject r = sp_check_token(token, &lookup, &policy, NOW, &scratch, &c);
    sp_assert(r != SP_REJECT_UNSET && r != SP_REJECT_INTERNAL);
    if (!sp_reject_is_ok(r)) return;
    sp_assert(token.n <= sizeof copy);
    memcpy(copy, token.p, token.n); /* `token` may be what the next line overwrites */
    must_be_the_one_text(sp_slice_of(copy, token.n));
    sp_assert(policy.raw || c.claims.exp > NOW);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0 || size > SP_TOKEN_BYTES_MAX) return 0;
    sp_slice rest = sp_slice_of(data + 1, size - 1), token = rest;
    const uint8_t *nul = memchr(rest.p, 0, rest.n);
    if (data[0] >= 128 && nul != NULL) {
        size_t header_n = (size_t)(nul - rest.p);
        token = sign(sp_slice_of(rest.p, header_n), sp_slice_of(nul + 1, rest.n - header_n - 1));
    }
    struct sp_check_policy strict = sp_check_policy_access_token(SP_SLICE_EMPTY, SP_SLICE_EMPTY, SP_ALG_ALL);
    struct sp_check_policy raw = {.algs = SP_ALG_ALL, .kid = SP_CHECK_KID_OPTIONAL, .raw = true};
    static uint8_t own[TOKEN_MAX];
    memcpy(own, token.p, token.n);
    check(sp_slice_of(own, token.n), strict);
    check(sp_slice_of(own, token.n), raw);
    return 0;
}
