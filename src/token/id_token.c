#include "token/id_token.h"

#include "base/base64url.h"
#include "base/text.h"
#include "crypto/digest.h"

sp_status sp_at_hash(enum sp_alg alg, sp_slice access_token, char ret[SP_AT_HASH_CHARS_MAX], size_t *ret_n) {
    uint8_t hash[SP_SHA512_BYTES];
    size_t half = SP_SHA256_BYTES / 2;
    if (alg == SP_ALG_HS256 || alg >= SP_ALG_COUNT) return sp_err(SP_E_UNSUPPORTED);
    if (alg == SP_ALG_EDDSA) {
        sp_sha512(access_token, hash);
        half = SP_SHA512_BYTES / 2;
    } else {
        sp_sha256(access_token, hash);
    }
    sp_base64url_encode(sp_slice_of(hash, half), ret);
    *ret_n = SP_BASE64URL_CHARS(half);
    return SP_SUCCESS;
}

/* ---- writing ---- */

enum kind { TEXT, WORDS, DATE };
struct member {
    const char *name;
    enum kind kind;
    bool required;
    sp_slice text;
    int64_t date;
};

static sp_status append_value(const struct member *m, struct sp_buf *out) {
    switch (m->kind) {
    case TEXT:
        if (!sp_utf8_valid(m->text)) return sp_err(SP_E_MALFORMED);
        return sp_buf_append_json_string(out, m->text);
    case WORDS: return sp_claims_write_words(m->text, out);
    case DATE:
        if (m->date < 0 || m->date > SP_CLAIM_DATE_MAX) return sp_err(SP_E_MALFORMED);
        return sp_buf_append_i64_text(out, m->date);
    }
    return sp_err(SP_E_UNSUPPORTED);
}

static sp_status append_members(const struct member *members, size_t n, struct sp_buf *out) {
    for (size_t i = 0; i < n; i++) {
        const struct member *m = &members[i];
        bool absent = m->kind == DATE ? m->date == SP_CLAIM_NO_DATE : m->text.p == NULL;
        if (absent && m->required) return sp_err(SP_E_MALFORMED);
        if (absent) continue;
        SP_TRY(sp_buf_printf(out, "%s\"%s\":", i == 0 ? "{" : ",", m->name)); /* the first is required */
        SP_TRY(append_value(m, out));
    }
    return SP_SUCCESS;
}

static sp_status append_object(const struct member *members, size_t n, const char *end, struct sp_buf *out) {
    size_t before = out->n;
    sp_status s = append_members(members, n, out);
    if (sp_ok(s)) s = sp_buf_append_cstr(out, end);
    if (!sp_ok(s)) sp_buf_truncate(out, before);
    return s;
}

void sp_id_token_init(struct sp_id_token *token) {
    *token =
        (struct sp_id_token){.exp = SP_CLAIM_NO_DATE, .iat = SP_CLAIM_NO_DATE, .auth_time = SP_CLAIM_NO_DATE};
}

sp_status sp_id_token_write_json(const struct sp_id_token *t, struct sp_buf *out) {
    const struct member members[] = {
        {"iss", TEXT, true, .text = t->iss},      {"sub", TEXT, true, .text = t->sub},
        {"aud", TEXT, true, .text = t->aud},      {"exp", DATE, true, .date = t->exp},
        {"iat", DATE, true, .date = t->iat},      {"auth_time", DATE, false, .date = t->auth_time},
        {"nonce", TEXT, false, .text = t->nonce}, {"acr", TEXT, false, .text = t->acr},
        {"amr", WORDS, false, .text = t->amr},    {"azp", TEXT, false, .text = t->azp},
        {"sid", TEXT, false, .text = t->sid},     {"at_hash", TEXT, false, .text = t->at_hash},
    };
    return append_object(members, SP_ARRAY_LEN(members), "}", out);
}

sp_status sp_logout_token_write_json(const struct sp_logout_token *t, struct sp_buf *out) {
    const struct member members[] = {
        {"iss", TEXT, true, .text = t->iss},  {"aud", TEXT, true, .text = t->aud},
        {"iat", DATE, true, .date = t->iat},  {"exp", DATE, true, .date = t->exp},
        {"jti", TEXT, true, .text = t->jti},  {"sub", TEXT, false, .text = t->sub},
        {"sid", TEXT, false, .text = t->sid},
    };
    if (t->sub.p == NULL && t->sid.p == NULL) return sp_err(SP_E_MALFORMED);
    return append_object(members, SP_ARRAY_LEN(members), ",\"events\":{\"" SP_LOGOUT_TOKEN_EVENT "\":{}}}",
                         out);
}

/* ---- the hint ---- */

static enum sp_reject check_hint(const struct sp_claims *c, sp_slice issuer) {
    if (issuer.n == 0 || !sp_slice_eq(c->iss, issuer)) return SP_REJECT_BAD_ISSUER;
    if (c->exp == SP_CLAIM_NO_DATE) return SP_REJECT_MISSING_EXP;
    if (!c->aud.is_one || c->aud.bytes.n == 0) return SP_REJECT_BAD_AUDIENCE;
    return c->sub.n != 0 && c->iat != SP_CLAIM_NO_DATE ? SP_REJECT_NONE : SP_REJECT_BAD_PAYLOAD;
}

/* Of the access token's claims those that an id_token shares are read by the same table; the profile types
 * them all, and refuses an id_token that was written by somebody else's rules, which ours is not. */
enum sp_reject sp_id_token_hint_read(sp_slice token, const struct sp_key_lookup *keys, sp_slice issuer,
                                     struct sp_check_scratch *scratch, struct sp_id_token_hint *ret) {
    const struct sp_check_policy policy = {.typ_rule = SP_CHECK_TYP_EXACT,
                                           .typ = SP_SLICE_LIT(SP_ID_TOKEN_TYP),
                                           .algs = SP_ALG_PUBLIC,
                                           .kid = SP_CHECK_KID_REQUIRED,
                                           .profile = SP_CLAIMS_ACCESS_TOKEN};
    struct sp_checked checked;
    SP_CHECK(sp_check_signature(token, keys, &policy, scratch, &checked));
    const struct sp_claims *c = &checked.claims;
    SP_CHECK(check_hint(c, issuer));
    *ret = (struct sp_id_token_hint){
        .sub = c->sub, .client_id = c->aud.bytes, .sid = c->sid, .iat = c->iat, .exp = c->exp};
    return SP_REJECT_NONE;
}
