/* What an attacker, and a test, needs to make tokens: any header, any payload, any key, any signature. */
#ifndef SP_TESTS_FORGE_H
#define SP_TESTS_FORGE_H

/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include "base/base64url.h"
#include "base/buf.h"
#include "base/mem.h"
#include "base/ports.h"
#include "token/check.h"
#include "token/issue.h"

#define assert_status(s, wanted) assert_int_equal((s).code, (wanted))
/* Compares reason codes, so that a failure names them. */
#define assert_reject(r, wanted) assert_string_equal(sp_reject_code(r), (wanted))

#define FORGE_NOW 1700000000
#define FORGE_CLAIMS "{\"iss\":\"https://issuer.example\",\"aud\":\"api\",\"sub\":\"u\",\"exp\":1700000900}"

enum { FORGE_TOKEN_MAX = 3 * SP_TOKEN_BYTES_MAX };

/* One key for each algorithm, kid "ES256" and so on, made once. */
struct forge {
    struct sp_sig_key *keys[SP_ALG_COUNT];
    struct sp_jwk jwk[SP_ALG_COUNT];
    struct sp_jwks jwks;
};
static struct forge forge;
static struct sp_check_scratch forge_scratch;

static inline int forge_setup(void **state) {
    (void)state;
    for (int alg = 0; alg < SP_ALG_COUNT; alg++) {
        if (!sp_ok(sp_sig_key_generate((enum sp_alg)alg, &sp_random_system, &forge.keys[alg]))) return -1;
        struct sp_jwk *jwk = &forge.jwk[alg];
        *jwk = (struct sp_jwk){.has_kid = true, .algs = SP_ALG_BIT(alg), .key = forge.keys[alg]};
        if (!sp_ok(SP_TEXT_SET(&jwk->kid, sp_slice_cstr(sp_alg_name((enum sp_alg)alg))))) return -1;
    }
    forge.jwks = (struct sp_jwks){.keys = forge.jwk, .n = SP_ALG_COUNT};
    return 0;
}

static inline int forge_teardown(void **state) {
    (void)state;
    for (int alg = 0; alg < SP_ALG_COUNT; alg++) sp_sig_key_free(forge.keys[alg]);
    return 0;
}

/* A token as text; static storage; good until the fourth after it. */
static inline sp_slice forge_join(sp_slice header, sp_slice payload, sp_slice sig) {
    static uint8_t text[4][FORGE_TOKEN_MAX];
    static int turn;
    const sp_slice parts[] = {header, payload, sig};
    char *out = (char *)text[turn = (turn + 1) % 4], *at = out;
    for (size_t i = 0; i < 3; i++) {
        assert_true((size_t)(at - out) + SP_BASE64URL_CHARS(parts[i].n) + 1 < FORGE_TOKEN_MAX);
        if (i > 0) *at++ = '.';
        sp_base64url_encode(parts[i], at);
        at += SP_BASE64URL_CHARS(parts[i].n);
    }
    return sp_slice_of(out, (size_t)(at - out));
}

/* Signs exactly these bytes. */
static inline sp_slice forge_sign_slices(enum sp_alg alg, const struct sp_sig_key *key, sp_slice header,
                                         sp_slice payload) {
    uint8_t sig[SP_SIG_BYTES_MAX];
    size_t n = 0;
    sp_slice unsigned_token = forge_join(header, payload, SP_SLICE_EMPTY);
    sp_slice input = sp_slice_of(unsigned_token.p, unsigned_token.n - 1);
    assert_status(sp_sig_sign(key, alg, input, sig, sizeof sig, &n), SP_OK);
    return forge_join(header, payload, sp_slice_of(sig, n));
}
static inline sp_slice forge_sign(enum sp_alg alg, const char *header, const char *payload) {
    return forge_sign_slices(alg, forge.keys[alg], sp_slice_cstr(header), sp_slice_cstr(payload));
}
/* With a header that is good for the algorithm. */
static inline sp_slice forge_token(enum sp_alg alg, const char *payload) {
    char header[128];
    snprintf(header, sizeof header, "{\"alg\":\"%s\",\"kid\":\"%s\",\"typ\":\"at+jwt\"}", sp_alg_name(alg),
             sp_alg_name(alg));
    return forge_sign(alg, header, payload);
}

static inline struct sp_check_policy forge_policy(void) {
    return sp_check_policy_access_token(SP_SLICE_LIT("https://issuer.example"), SP_SLICE_LIT("api"),
                                        SP_ALG_ALL);
}
static inline struct sp_check_policy forge_policy_raw(void) {
    return (struct sp_check_policy){.algs = SP_ALG_ALL, .kid = SP_CHECK_KID_OPTIONAL, .raw = true};
}

static inline enum sp_reject forge_check_with(sp_slice token, const struct sp_jwks *jwks,
                                              struct sp_check_policy policy) {
    struct sp_checked checked;
    struct sp_key_lookup lookup = sp_key_lookup_jwks(jwks);
    return sp_check_token(token, &lookup, &policy, FORGE_NOW, &forge_scratch, &checked);
}
static inline enum sp_reject forge_check(sp_slice token) {
    return forge_check_with(token, &forge.jwks, forge_policy());
}
/* Both with our policy and in raw mode: what must hold for the signature alone must hold with everything. */
static inline void forge_assert_refused(sp_slice token, const char *code) {
    assert_reject(forge_check(token), code);
    assert_reject(forge_check_with(token, &forge.jwks, forge_policy_raw()), code);
}

#endif
