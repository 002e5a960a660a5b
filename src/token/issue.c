#include "token/issue.h"

#include "base/text.h"

/* The header is short and its strings are our own configuration. */
static sp_status write_header(const struct sp_jws_issue_header *h, struct sp_buf *json) {
    if (h->kid.n > SP_KID_BYTES_MAX || h->typ.n > SP_TYP_BYTES_MAX) return sp_err(SP_E_LIMIT);
    if (!sp_utf8_valid(h->kid) || !sp_utf8_valid(h->typ)) return sp_err(SP_E_MALFORMED);
    SP_TRY(sp_buf_printf(json, "{\"alg\":\"%s\"", sp_alg_name(h->alg)));
    if (h->typ.n != 0) {
        SP_TRY(sp_buf_append_cstr(json, ",\"typ\":"));
        SP_TRY(sp_buf_append_json_string(json, h->typ));
    }
    if (h->kid.n != 0) {
        SP_TRY(sp_buf_append_cstr(json, ",\"kid\":"));
        SP_TRY(sp_buf_append_json_string(json, h->kid));
    }
    return sp_buf_append_u8(json, '}');
}

static sp_status write_input(sp_slice header, sp_slice payload, struct sp_buf *out) {
    SP_TRY(sp_buf_append_base64url(out, header));
    SP_TRY(sp_buf_append_u8(out, '.'));
    return sp_buf_append_base64url(out, payload);
}

sp_status sp_jws_begin(const struct sp_jws_issue_header *header, sp_slice payload, struct sp_buf *out) {
    size_t before = out->n;
    SP_AUTO(sp_buf) json = SP_BUF_INIT(SP_JWS_HEADER_BYTES_MAX);
    SP_TRY(write_header(header, &json));
    sp_status s = write_input(sp_buf_slice(&json), payload, out);
    if (!sp_ok(s)) sp_buf_truncate(out, before);
    return s;
}

sp_status sp_jws_finish(sp_slice signature, struct sp_buf *out) {
    size_t before = out->n;
    SP_TRY(sp_buf_append_u8(out, '.'));
    sp_status s = sp_buf_append_base64url(out, signature);
    if (sp_ok(s) && out->n > SP_TOKEN_BYTES_MAX) s = sp_err(SP_E_LIMIT);
    if (!sp_ok(s)) sp_buf_truncate(out, before);
    return s;
}

static sp_status issue(const struct sp_jws_issue_header *header, sp_slice payload, sp_jws_sign_fn sign,
                       void *arg, struct sp_buf *out) {
    uint8_t sig[SP_SIG_BYTES_MAX];
    size_t n = 0;
    SP_TRY(sp_jws_begin(header, payload, out));
    SP_TRY(sign(arg, sp_buf_slice(out), sig, sizeof sig, &n));
    return sp_jws_finish(sp_slice_of(sig, n), out);
}

sp_status sp_jws_issue(const struct sp_jws_issue_header *header, sp_slice payload, sp_jws_sign_fn sign,
                       void *arg, struct sp_buf *out) {
    sp_status s = issue(header, payload, sign, arg, out);
    if (!sp_ok(s)) sp_buf_clear(out);
    return s;
}

struct local_signer {
    const struct sp_sig_key *key;
    enum sp_alg alg;
};

static sp_status sign_here(void *arg, sp_slice input, uint8_t *sig, size_t cap, size_t *ret_n) {
    const struct local_signer *signer = arg;
    return sp_sig_sign(signer->key, signer->alg, input, sig, cap, ret_n);
}

sp_status sp_jws_issue_with_key(const struct sp_jws_issue_header *header, sp_slice payload,
                                const struct sp_sig_key *key, struct sp_buf *out) {
    struct local_signer signer = {.key = key, .alg = header->alg};
    return sp_jws_issue(header, payload, sign_here, &signer, out);
}
