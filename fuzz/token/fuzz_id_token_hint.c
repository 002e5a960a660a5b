/* id_tokens that come back as hints; see sign_here.h for the form of an input. What is accepted is ours, and
 * says whose it is and for whom. */
#include "sign_here.h"
#include "token/id_token.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct sp_check_scratch scratch;

static const struct sp_jwks *keys(void) {
    static struct sp_jwk jwk = {.has_kid = true, .algs = SP_ALG_BIT(SP_ALG_EDDSA)};
    static struct sp_jwks jwks = {.keys = &jwk, .n = 1};
    if (jwk.key == NULL) {
        jwk.key = (struct sp_sig_key *)(uintptr_t)sign_here_key();
        sp_assert(sp_ok(SP_TEXT_SET(&jwk.kid, SP_SLICE_LIT("k"))));
    }
    return &jwks;
}

/* Read again from what we would write of it. */
static void must_come_back(const struct sp_id_token_hint *hint) {
    static struct sp_check_scratch other;
    SP_AUTO(sp_buf) json = SP_BUF_INIT(SP_TOKEN_BYTES_MAX);
    struct sp_id_token t;
    struct sp_id_token_hint again;
    struct sp_key_lookup lookup = sp_key_lookup_jwks(keys());
    sp_id_token_init(&t);
    t.iss = SP_SLICE_LIT("https://issuer.example");
    t.sub = hint->sub;
    t.aud = hint->client_id;
    t.sid = hint->sid;
    t.exp = hint->exp;
    t.iat = hint->iat;
    if (!sp_ok(sp_id_token_write_json(&t, &json))) return; /* escapes make it longer */
    sp_slice token =
        sign_here(SP_SLICE_LIT("{\"alg\":\"EdDSA\",\"kid\":\"k\",\"typ\":\"JWT\"}"), sp_buf_slice(&json));
    if (token.n > SP_TOKEN_BYTES_MAX) return;
    sp_assert(sp_id_token_hint_read(token, &lookup, t.iss, &other, &again) == SP_REJECT_NONE);
    sp_assert(sp_slice_eq(again.sub, hint->sub) && sp_slice_eq(again.client_id, hint->client_id));
    sp_assert(sp_slice_eq(again.sid, hint->sid) && again.exp == hint->exp && again.iat == hint->iat);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct sp_key_lookup lookup = sp_key_lookup_jwks(keys());
    struct sp_id_token_hint hint;
    enum sp_reject r = sp_id_token_hint_read(sign_here_input(data, size), &lookup,
                                             SP_SLICE_LIT("https://issuer.example"), &scratch, &hint);
    sp_assert(r != SP_REJECT_UNSET && r != SP_REJECT_INTERNAL);
    if (r != SP_REJECT_NONE) return 0;
    sp_assert(hint.sub.n != 0 && hint.client_id.n != 0);
    must_come_back(&hint);
    return 0;
}
