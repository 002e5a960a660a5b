#include "token/jwk.h"

/* Public members of each type, in the order of a thumbprint (RFC 7638 section 3.2: lexicographic, no spaces).
 * A private member cannot be written by mistake: struct sp_sig_public does not have any. */
static sp_status append_member(struct sp_buf *out, const char *before, const uint8_t *p, size_t n) {
    SP_TRY(sp_buf_append_cstr(out, before));
    SP_TRY(sp_buf_append_base64url(out, sp_slice_of(p, n)));
    return sp_buf_append_u8(out, '"');
}

static sp_status append_required(const struct sp_sig_public *p, struct sp_buf *out) {
    switch (p->type) {
    case SP_KEY_EC_P256:
        SP_TRY(append_member(out, "\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"", p->x, sizeof p->x));
        return append_member(out, ",\"y\":\"", p->y, sizeof p->y);
    case SP_KEY_RSA:
        SP_TRY(append_member(out, "\"e\":\"", p->e, p->e_bytes));
        return append_member(out, ",\"kty\":\"RSA\",\"n\":\"", p->n, p->n_bytes);
    case SP_KEY_ED25519:
        return append_member(out, "\"crv\":\"Ed25519\",\"kty\":\"OKP\",\"x\":\"", p->x, sizeof p->x);
    case SP_KEY_HMAC: break;
    }
    return sp_err(SP_E_REFUSED);
}

static sp_status write_jwk(sp_slice kid, enum sp_alg alg, const struct sp_sig_public *public,
                           struct sp_buf *out) {
    SP_TRY(sp_buf_append_u8(out, '{'));
    SP_TRY(append_required(public, out));
    SP_TRY(sp_buf_append_cstr(out, ",\"kid\":"));
    SP_TRY(sp_buf_append_json_string(out, kid));
    return sp_buf_printf(out, ",\"alg\":\"%s\",\"use\":\"sig\"}", sp_alg_name(alg));
}

sp_status sp_jwk_write_public(sp_slice kid, enum sp_alg alg, const struct sp_sig_key *key,
                              struct sp_buf *out) {
    struct sp_sig_public public;
    size_t before = out->n;
    if (kid.n == 0 || kid.n > SP_KID_BYTES_MAX || !sp_utf8_valid(kid)) return sp_err(SP_E_MALFORMED);
    if ((sp_sig_key_algs(key) & SP_ALG_BIT(alg)) == 0) return sp_err(SP_E_REFUSED);
    SP_TRY(sp_sig_key_public(key, &public));
    sp_status s = write_jwk(kid, alg, &public, out);
    if (!sp_ok(s)) sp_buf_truncate(out, before);
    return s;
}

static sp_status write_set(const struct sp_jwk_public_row *rows, size_t n, struct sp_buf *out) {
    bool first = true;
    SP_TRY(sp_buf_append_cstr(out, "{\"keys\":["));
    for (size_t i = 0; i < n; i++) {
        if (sp_sig_key_type(rows[i].key) == SP_KEY_HMAC) continue;
        if (!first) SP_TRY(sp_buf_append_u8(out, ','));
        SP_TRY(sp_jwk_write_public(rows[i].kid, rows[i].alg, rows[i].key, out));
        first = false;
    }
    return sp_buf_append_cstr(out, "]}");
}

sp_status sp_jwks_write_public(const struct sp_jwk_public_row *rows, size_t n, struct sp_buf *out) {
    size_t before = out->n;
    sp_status s = write_set(rows, n, out);
    if (!sp_ok(s)) sp_buf_truncate(out, before);
    return s;
}

sp_status sp_jwk_thumbprint(const struct sp_sig_key *key, uint8_t out[SP_SHA256_BYTES]) {
    struct sp_sig_public public;
    SP_AUTO(sp_buf) json = SP_BUF_INIT(4096); /* n of RSA-8192 takes 1,366 characters */
    SP_TRY(sp_sig_key_public(key, &public));
    SP_TRY(sp_buf_append_u8(&json, '{'));
    SP_TRY(append_required(&public, &json));
    SP_TRY(sp_buf_append_u8(&json, '}'));
    sp_sha256(sp_buf_slice(&json), out);
    return SP_SUCCESS;
}
