/* Client assertions; see sign_here.h for the form of an input, but for first bytes of 64 to 127: then the
 * rest is a set of keys that somebody registers. What is accepted names its client and ends soon; a set that
 * may be registered can be read. */
#include "sign_here.h"
#include "token/client_assertion.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { NOW = 1700000000 };
#define JWKS                                                                                                 \
    "{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"k\",\"x\":"                                   \
    "\"ebVWLo_mVPlAeLES6KmLp5AfhTrmlb7X4OORC60ElmQ\"}]}"

static struct sp_check_scratch scratch;

static void check_set(sp_slice set) {
    SP_AUTO(sp_jwks) jwks = SP_JWKS_INIT;
    if (!sp_ok(sp_client_jwks_check(set))) return;
    sp_assert(sp_ok(sp_jwks_parse(set, SP_JWK_PUBLIC_ONLY, &jwks)));
    sp_assert(jwks.n > 0 && jwks.skipped == 0);
    for (size_t i = 0; i < jwks.n; i++) sp_assert(sp_sig_key_type(jwks.keys[i].key) != SP_KEY_HMAC);
}

static void check_assertion(sp_slice assertion) {
    const sp_slice audience = SP_SLICE_LIT("https://issuer.example");
    const struct sp_client_assertion_expect e = {.client_id = SP_SLICE_LIT("billing"),
                                                 .jwks = SP_SLICE_LIT(JWKS),
                                                 .audiences = &audience,
                                                 .audiences_n = 1,
                                                 .now_s = NOW};
    struct sp_client_assertion a;
    sp_slice name = SP_SLICE_EMPTY;
    enum sp_client_assertion_fault f = sp_client_assertion_check(assertion, &e, &scratch, &a);
    sp_assert(f != SP_CLIENT_ASSERTION_UNSET && f != SP_CLIENT_ASSERTION_INTERNAL);
    enum sp_client_assertion_fault peeked = sp_client_assertion_peek(assertion, &scratch, &name);
    sp_assert(peeked == SP_CLIENT_ASSERTION_NONE || peeked == SP_CLIENT_ASSERTION_MALFORMED);
    if (f != SP_CLIENT_ASSERTION_NONE) return;
    sp_assert(peeked == SP_CLIENT_ASSERTION_NONE && sp_slice_eq(name, e.client_id));
    sp_assert(a.exp > NOW && a.exp <= NOW + SP_CLIENT_ASSERTION_LIFE_S + SP_CLIENT_ASSERTION_SKEW_S);
    sp_assert(a.replay_until_ms >= a.exp * 1000);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size != 0 && data[0] >= 64 && data[0] < 128)
        check_set(sp_slice_of(data + 1, size - 1));
    else
        check_assertion(sign_here_input(data, size));
    return 0;
}
