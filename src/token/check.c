#include "token/check.h"

#include "base/base64url.h"

struct sp_check_policy sp_check_policy_access_token(sp_slice issuer, sp_slice audience, uint32_t algs) {
    return (struct sp_check_policy){.issuer = issuer,
                                    .audience = audience,
                                    .typ_rule = SP_CHECK_TYP_EXACT,
                                    .typ = SP_SLICE_LIT("at+jwt"),
                                    .algs = algs,
                                    .kid = SP_CHECK_KID_REQUIRED,
                                    .profile = SP_CLAIMS_ACCESS_TOKEN};
}

static enum sp_reject find_in_jwks(void *arg, const struct sp_jws_header *header,
                                   const struct sp_jwk **ret_jwk) {
    return sp_jwks_find(arg, header, ret_jwk);
}

struct sp_key_lookup sp_key_lookup_jwks(const struct sp_jwks *jwks) {
    return (struct sp_key_lookup){.find = find_in_jwks, .arg = (void *)(uintptr_t)jwks};
}

static enum sp_reject check_typ(const struct sp_jws_header *h, const struct sp_check_policy *policy) {
    if (policy->raw) return SP_REJECT_NONE;
    if (policy->typ_rule == SP_CHECK_TYP_EXACT)
        return h->has_typ && sp_jws_typ_is(h->typ, policy->typ) ? SP_REJECT_NONE : SP_REJECT_BAD_TYP;
    bool any = !h->has_typ || sp_jws_typ_is(h->typ, SP_SLICE_LIT("JWT")) ||
               sp_jws_typ_is(h->typ, SP_SLICE_LIT("at+jwt"));
    return any ? SP_REJECT_NONE : SP_REJECT_BAD_TYP;
}

static enum sp_reject check_header(const struct sp_jws_header *h, const struct sp_check_policy *policy) {
    if ((policy->algs & SP_ALG_BIT(h->alg)) == 0) return SP_REJECT_ALG_NOT_ALLOWED;
    if (!h->has_kid && policy->kid == SP_CHECK_KID_REQUIRED) return SP_REJECT_MISSING_KID;
    return check_typ(h, policy);
}

static enum sp_reject decode(sp_slice text, uint8_t *out, size_t cap, enum sp_reject too_long,
                             sp_slice *ret) {
    size_t n = 0;
    sp_status s = sp_base64url_decode(text, out, cap, &n);
    if (sp_is(s, SP_E_LIMIT)) return too_long;
    if (!sp_ok(s)) return SP_REJECT_NOT_CANONICAL;
    *ret = sp_slice_of(out, n);
    return SP_REJECT_NONE;
}

/* The lookup is not trusted to have compared algorithms: this is the line between RS256 and HS256. */
static enum sp_reject find_key(const struct sp_key_lookup *keys, const struct sp_jws_header *header,
                               const struct sp_jwk **ret_jwk) {
    const struct sp_jwk *jwk = NULL;
    SP_CHECK(keys->find(keys->arg, header, &jwk));
    if (jwk == NULL) return SP_REJECT_NO_KEY;
    if ((jwk->algs & SP_ALG_BIT(header->alg)) == 0) return SP_REJECT_ALG_KEY_MISMATCH;
    *ret_jwk = jwk;
    return SP_REJECT_NONE;
}

static enum sp_reject verify(const struct sp_jwk *jwk, enum sp_alg alg, sp_slice input, sp_slice signature) {
    sp_status s = sp_sig_verify(jwk->key, alg, input, signature);
    if (sp_ok(s)) return SP_REJECT_NONE;
    if (sp_is(s, SP_E_REFUSED)) return SP_REJECT_ALG_KEY_MISMATCH;
    return sp_is(s, SP_E_CRYPTO) ? SP_REJECT_BAD_SIGNATURE : SP_REJECT_INTERNAL;
}

/* Reading a header writes over the scratch in which the last one lies, so the memo is given up before. */
static enum sp_reject read_header(sp_slice text, struct sp_check_scratch *scratch, struct sp_check_memo *memo,
                                  struct sp_jws_header *ret) {
    if (memo->text_n != 0 && sp_slice_eq(sp_slice_of(memo->text, memo->text_n), text)) {
        *ret = memo->header;
        return SP_REJECT_NONE;
    }
    memo->text_n = 0;
    SP_CHECK(sp_jws_header_parse(text, &scratch->header, ret));
    if (text.n > sizeof memo->text) return SP_REJECT_NONE;
    memcpy(memo->text, text.p, text.n);
    memo->text_n = text.n;
    memo->header = *ret;
    return SP_REJECT_NONE;
}

enum sp_reject sp_check_signature(sp_slice token, const struct sp_key_lookup *keys,
                                  const struct sp_check_policy *policy, struct sp_check_scratch *scratch,
                                  struct sp_checked *ret_checked) {
    struct sp_check_memo memo = {.text_n = 0};
    return sp_check_signature_memo(token, keys, policy, scratch, &memo, ret_checked);
}

enum sp_reject sp_check_signature_memo(sp_slice token, const struct sp_key_lookup *keys,
                                       const struct sp_check_policy *policy, struct sp_check_scratch *scratch,
                                       struct sp_check_memo *memo, struct sp_checked *ret_checked) {
    struct sp_jws jws;
    struct sp_jws_header header;
    sp_slice payload, signature;
    const struct sp_jwk *jwk;
    SP_CHECK(sp_jws_split(token, &jws));
    SP_CHECK(read_header(jws.header, scratch, memo, &header));
    SP_CHECK(check_header(&header, policy));
    SP_CHECK(decode(jws.payload, scratch->payload, sizeof scratch->payload, SP_REJECT_OVERSIZE, &payload));
    SP_CHECK(decode(jws.signature, scratch->signature, sizeof scratch->signature, SP_REJECT_BAD_SIGNATURE,
                    &signature));
    SP_CHECK(find_key(keys, &header, &jwk));
    SP_CHECK(verify(jwk, header.alg, jws.signing_input, signature));
    if (policy->raw) /* the claims are the largest part of the answer, so they are written in their place */
        sp_claims_init(&ret_checked->claims);
    else
        SP_CHECK(sp_claims_parse(payload, policy->profile, &scratch->claims, &ret_checked->claims));
    ret_checked->header = header;
    ret_checked->payload = payload;
    ret_checked->signature = signature;
    ret_checked->jwk = jwk;
    return SP_REJECT_NONE;
}

/* Dates are at most SP_CLAIM_DATE_MAX, so adding a minute cannot overflow. */
enum sp_reject sp_check_times(struct sp_check_times t, uint32_t leeway, int64_t now_s) {
    int64_t leeway_s = leeway < SP_CHECK_LEEWAY_MAX_S ? leeway : SP_CHECK_LEEWAY_MAX_S;
    if (t.exp == SP_CLAIM_NO_DATE) return SP_REJECT_MISSING_EXP;
    if (now_s >= t.exp + leeway_s) return SP_REJECT_EXPIRED;
    if (t.nbf != SP_CLAIM_NO_DATE && t.nbf - leeway_s > now_s) return SP_REJECT_NOT_YET_VALID;
    if (t.iat != SP_CLAIM_NO_DATE && t.iat - leeway_s > now_s) return SP_REJECT_ISSUED_IN_FUTURE;
    return SP_REJECT_NONE;
}

enum sp_reject sp_check_addressee(const struct sp_claims *claims, const struct sp_check_policy *policy) {
    if (policy->issuer.n != 0 && !sp_slice_eq(claims->iss, policy->issuer)) return SP_REJECT_BAD_ISSUER;
    if (policy->audience.n != 0 && !sp_strings_contain(claims->aud, policy->audience))
        return SP_REJECT_BAD_AUDIENCE;
    return SP_REJECT_NONE;
}

enum sp_reject sp_check_claims(const struct sp_claims *claims, const struct sp_check_policy *policy,
                               int64_t now_s) {
    const struct sp_check_times times = {.exp = claims->exp, .nbf = claims->nbf, .iat = claims->iat};
    SP_CHECK(sp_check_times(times, policy->leeway_s, now_s));
    return sp_check_addressee(claims, policy);
}

enum sp_reject sp_check_token(sp_slice token, const struct sp_key_lookup *keys,
                              const struct sp_check_policy *policy, int64_t now_s,
                              struct sp_check_scratch *scratch, struct sp_checked *ret_checked) {
    struct sp_checked c;
    SP_CHECK(sp_check_signature(token, keys, policy, scratch, &c));
    if (!policy->raw) SP_CHECK(sp_check_claims(&c.claims, policy, now_s));
    *ret_checked = c;
    return SP_REJECT_NONE;
}
