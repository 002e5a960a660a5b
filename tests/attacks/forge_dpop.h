/* DPoP proofs, good and bad: every part can be replaced. */
#ifndef SP_TESTS_FORGE_DPOP_H
#define SP_TESTS_FORGE_DPOP_H

#include "forge.h"
#include "token/dpop.h"

#define PROOF_URL "https://api.example/orders"
#define assert_fault(f, wanted) assert_string_equal(sp_dpop_fault_code(f), (wanted))

/* What is NULL is as in a good proof; what is "" is left out. */
struct proof_parts {
    enum sp_alg alg;
    const struct sp_sig_key *key; /* that signs */
    const char *typ, *jwk, *extra /* members of the header, with a comma behind */;
    const char *jti, *htm, *htu, *ath, *nonce;
    int64_t iat;         /* 0: FORGE_NOW */
    const char *payload; /* instead of all claims */
};

static inline const char *forge_or(const char *given, const char *otherwise) {
    return given != NULL ? given : otherwise;
}

/* {"kty":...} as clients write it: what the thumbprint covers, and nothing else. */
static inline void forge_jwk(const struct sp_sig_key *key, struct sp_buf *out) {
    struct sp_sig_public p;
    assert_status(sp_sig_key_public(key, &p), SP_OK);
    if (p.type == SP_KEY_RSA) {
        assert_status(sp_buf_append_cstr(out, "{\"kty\":\"RSA\",\"e\":\""), SP_OK);
        assert_status(sp_buf_append_base64url(out, sp_slice_of(p.e, p.e_bytes)), SP_OK);
        assert_status(sp_buf_append_cstr(out, "\",\"n\":\""), SP_OK);
        assert_status(sp_buf_append_base64url(out, sp_slice_of(p.n, p.n_bytes)), SP_OK);
    } else {
        bool is_ec = p.type == SP_KEY_EC_P256;
        assert_status(sp_buf_append_cstr(out, is_ec ? "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\""
                                                    : "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\""),
                      SP_OK);
        assert_status(sp_buf_append_base64url(out, SP_SLICE_ARRAY(p.x)), SP_OK);
        if (is_ec) {
            assert_status(sp_buf_append_cstr(out, "\",\"y\":\""), SP_OK);
            assert_status(sp_buf_append_base64url(out, SP_SLICE_ARRAY(p.y)), SP_OK);
        }
    }
    assert_status(sp_buf_append_cstr(out, "\"}"), SP_OK);
}

static inline void forge_member(struct sp_buf *out, const char *name, const char *value) {
    if (*value == 0) return;
    assert_status(sp_buf_printf(out, "%s\"%s\":\"%s\"", out->n == 1 ? "" : ",", name, value), SP_OK);
}

static inline void forge_claims(const struct proof_parts *p, struct sp_buf *out) {
    if (p->payload != NULL) {
        assert_status(sp_buf_append_cstr(out, p->payload), SP_OK);
        return;
    }
    assert_status(sp_buf_append_u8(out, '{'), SP_OK);
    forge_member(out, "jti", forge_or(p->jti, "-BwC3ESc6acc2lTc"));
    forge_member(out, "htm", forge_or(p->htm, "GET"));
    forge_member(out, "htu", forge_or(p->htu, PROOF_URL));
    forge_member(out, "ath", forge_or(p->ath, ""));
    forge_member(out, "nonce", forge_or(p->nonce, ""));
    assert_status(sp_buf_printf(out, "%s\"iat\":%lld}", out->n == 1 ? "" : ",",
                                (long long)(p->iat != 0 ? p->iat : FORGE_NOW)),
                  SP_OK);
}

/* Static storage, as forge_join's. */
static inline sp_slice forge_proof(struct proof_parts p) {
    SP_AUTO(sp_buf) jwk = SP_BUF_INIT(8192), header = SP_BUF_INIT(8192), claims = SP_BUF_INIT(8192);
    const struct sp_sig_key *key = p.key != NULL ? p.key : forge.keys[p.alg];
    const char *text = p.jwk;
    if (text == NULL) {
        forge_jwk(key, &jwk);
        assert_status(sp_buf_cstr(&jwk, &text), SP_OK);
    }
    assert_status(sp_buf_printf(&header, "{%s", forge_or(p.extra, "")), SP_OK);
    const char *typ = forge_or(p.typ, "dpop+jwt");
    if (*typ != 0) assert_status(sp_buf_printf(&header, "\"typ\":\"%s\",", typ), SP_OK);
    if (*text != 0) assert_status(sp_buf_printf(&header, "\"jwk\":%s,", text), SP_OK);
    assert_status(sp_buf_printf(&header, "\"alg\":\"%s\"}", sp_alg_name(p.alg)), SP_OK);
    forge_claims(&p, &claims);
    return forge_sign_slices(p.alg, key, sp_buf_slice(&header), sp_buf_slice(&claims));
}

static inline void forge_jkt(const struct sp_sig_key *key, char ret[SP_JKT_CHARS]) {
    uint8_t hash[SP_SHA256_BYTES];
    assert_status(sp_jwk_thumbprint(key, hash), SP_OK);
    sp_base64url_encode(SP_SLICE_ARRAY(hash), ret);
}

static inline void forge_ath(sp_slice token, char ret[SP_JKT_CHARS + 1]) {
    uint8_t hash[SP_SHA256_BYTES];
    sp_sha256(token, hash);
    sp_base64url_encode(SP_SLICE_ARRAY(hash), ret);
    ret[SP_JKT_CHARS] = 0;
}

static const sp_slice proof_urls[] = {SP_SLICE_LIT(PROOF_URL)};
static inline struct sp_dpop_expect proof_expect(void) {
    return (struct sp_dpop_expect){
        .method = SP_SLICE_LIT("GET"), .urls = proof_urls, .urls_n = 1, .now_s = FORGE_NOW};
}

static struct sp_dpop_scratch proof_scratch;
/* A refusal leaves *ret alone. */
static inline enum sp_dpop_fault proof_check(sp_slice proof, struct sp_dpop_expect expect,
                                             struct sp_dpop *ret) {
    struct sp_dpop dpop, before;
    memset(&dpop, 0x5a, sizeof dpop);
    before = dpop;
    enum sp_dpop_fault f = sp_dpop_check(proof, &expect, &proof_scratch, &dpop);
    if (f != SP_DPOP_NONE) assert_memory_equal(&dpop, &before, sizeof dpop);
    if (ret != NULL) *ret = dpop;
    return f;
}
static inline enum sp_dpop_fault proof_of(struct proof_parts p) {
    return proof_check(forge_proof(p), proof_expect(), NULL);
}

#endif
