/* Raw signatures of Wycheproof. One deliberate difference: the rows under an RSA exponent of 3 hold valid
 * signatures, by keys that we refuse to load (FIPS 186-5 asks for 65537 at least); for these it is the
 * refusal that is asserted. */
#include "vectors.h"

#include "base/mem.h"
#include "crypto/sig.h"

enum { BYTES_MAX = 4096 };

struct bytes {
    uint8_t p[BYTES_MAX];
    size_t n;
};

static sp_slice slice(const struct bytes *b) {
    return sp_slice_of(b->p, b->n);
}

static struct bytes base64url(const json_t *jwk, const char *name) {
    struct bytes b = {.n = 0};
    assert_true(sp_ok(sp_base64url_decode(sp_slice_cstr(vectors_text(jwk, name)), b.p, sizeof b.p, &b.n)));
    return b;
}

static struct bytes hex(const json_t *row, const char *name) {
    struct bytes b = {.n = 0};
    const char *text = vectors_text(row, name);
    for (; text[0] != 0; text += 2) {
        const char pair[3] = {text[0], text[1], 0};
        assert_true(b.n < sizeof b.p && text[1] != 0);
        b.p[b.n++] = (uint8_t)strtoul(pair, NULL, 16);
    }
    return b;
}

static sp_status load(const json_t *jwk, struct sp_sig_key **ret_key) {
    const char *kty = vectors_text(jwk, "kty");
    struct bytes a, b;
    if (strcmp(kty, "oct") == 0) {
        a = base64url(jwk, "k");
        return sp_sig_key_from_hmac(slice(&a), ret_key);
    }
    if (strcmp(kty, "RSA") == 0) {
        a = base64url(jwk, "n");
        b = base64url(jwk, "e");
        return sp_sig_key_from_rsa(slice(&a), slice(&b), ret_key);
    }
    a = base64url(jwk, "x");
    if (strcmp(kty, "OKP") == 0) return sp_sig_key_from_ed25519(slice(&a), ret_key);
    b = base64url(jwk, "y");
    return sp_sig_key_from_ec(slice(&a), slice(&b), ret_key);
}

static void signature_verifies_as_the_row_says(void **state) {
    const json_t *row = *state, *jwk = json_object_get(row, "jwk");
    enum sp_alg alg = SP_ALG_COUNT;
    SP_AUTO_FREE(sp_sig_key) key = NULL;
    sp_status loaded = load(jwk, &key);
    if (strcmp(vectors_text(jwk, "e"), "Aw") == 0) {
        assert_int_equal(loaded.code, SP_E_REFUSED);
        return;
    }
    assert_int_equal(loaded.code, SP_OK);
    assert_true(sp_ok(sp_alg_from_name(sp_slice_cstr(vectors_text(row, "alg")), &alg)));
    struct bytes msg = hex(row, "msg_hex"), sig = hex(row, "sig_hex");
    sp_status s = sp_sig_verify(key, alg, slice(&msg), slice(&sig));
    assert_int_equal(s.code, json_is_true(json_object_get(row, "valid")) ? SP_OK : SP_E_CRYPTO);
}

int main(void) {
    return vectors_run("wycheproof-sig-primitives.jsonl", signature_verifies_as_the_row_says);
}
