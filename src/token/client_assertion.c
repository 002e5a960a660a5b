#include "token/client_assertion.h"

static const struct {
    const char *code;
    const char *doc;
} faults[SP_CLIENT_ASSERTION_FAULT_COUNT] = {
#define ROW(name, code_, doc_) [SP_CLIENT_ASSERTION_##name] = {.code = code_, .doc = doc_},
    SP_CLIENT_ASSERTION_FAULT_TABLE(ROW)
#undef ROW
};

const char *sp_client_assertion_fault_code(enum sp_client_assertion_fault fault) {
    return faults[(unsigned)fault < SP_CLIENT_ASSERTION_FAULT_COUNT ? fault : 0].code;
}
const char *sp_client_assertion_fault_doc(enum sp_client_assertion_fault fault) {
    return faults[(unsigned)fault < SP_CLIENT_ASSERTION_FAULT_COUNT ? fault : 0].doc;
}

#define CHECK(expr)                                                                                          \
    do {                                                                                                     \
        enum sp_client_assertion_fault check_ = (expr);                                                      \
        if (check_ != SP_CLIENT_ASSERTION_NONE) return check_;                                               \
    } while (0)

static enum sp_client_assertion_fault fault_of(enum sp_reject r) {
    static const enum sp_client_assertion_fault of[SP_REJECT_COUNT] = {
        [SP_REJECT_NONE] = SP_CLIENT_ASSERTION_NONE,
        [SP_REJECT_ALG_NOT_ALLOWED] = SP_CLIENT_ASSERTION_BAD_ALG,
        [SP_REJECT_ALG_KEY_MISMATCH] = SP_CLIENT_ASSERTION_NO_KEY,
        [SP_REJECT_MISSING_KID] = SP_CLIENT_ASSERTION_NO_KEY,
        [SP_REJECT_UNKNOWN_KID] = SP_CLIENT_ASSERTION_NO_KEY,
        [SP_REJECT_NO_KEY] = SP_CLIENT_ASSERTION_NO_KEY,
        [SP_REJECT_BAD_SIGNATURE] = SP_CLIENT_ASSERTION_BAD_SIGNATURE,
        [SP_REJECT_INTERNAL] = SP_CLIENT_ASSERTION_INTERNAL,
    };
    return of[r] != SP_CLIENT_ASSERTION_UNSET ? of[r] : SP_CLIENT_ASSERTION_MALFORMED;
}

/* Our typ alone tells it from an access token or a proof; "JWT" and none are what most libraries write. */
static bool typ_is_good(const struct sp_jws_header *h) {
    return !h->has_typ || sp_jws_typ_is(h->typ, SP_SLICE_LIT("JWT")) ||
           sp_jws_typ_is(h->typ, SP_SLICE_LIT("client-authentication+jwt"));
}

/* Looked at before the client's keys are made of their text, so that junk does not buy that. */
static enum sp_client_assertion_fault check_header(sp_slice assertion, uint32_t algs,
                                                   struct sp_check_scratch *scratch) {
    struct sp_jws jws;
    struct sp_jws_header header;
    CHECK(fault_of(sp_jws_split(assertion, &jws)));
    CHECK(fault_of(sp_jws_header_parse(jws.header, &scratch->header, &header)));
    if ((algs & SP_ALG_BIT(header.alg)) == 0) return SP_CLIENT_ASSERTION_BAD_ALG;
    return typ_is_good(&header) ? SP_CLIENT_ASSERTION_NONE : SP_CLIENT_ASSERTION_BAD_TYP;
}

static enum sp_client_assertion_fault check_signature(sp_slice assertion,
                                                      const struct sp_client_assertion_expect *expect,
                                                      struct sp_check_scratch *scratch,
                                                      struct sp_claims *ret) {
    SP_AUTO(sp_jwks) jwks = SP_JWKS_INIT;
    struct sp_checked checked;
    const struct sp_check_policy policy = {
        .algs = expect->algs == 0 ? SP_ALG_PUBLIC : expect->algs & SP_ALG_PUBLIC,
        .kid = SP_CHECK_KID_OPTIONAL,
        .raw = true /* the claims are read below, in another profile */
    };
    CHECK(check_header(assertion, policy.algs, scratch));
    if (!sp_ok(sp_jwks_parse(expect->jwks, SP_JWK_PUBLIC_ONLY, &jwks))) return SP_CLIENT_ASSERTION_INTERNAL;
    const struct sp_key_lookup lookup = sp_key_lookup_jwks(&jwks);
    CHECK(fault_of(sp_check_signature(assertion, &lookup, &policy, scratch, &checked)));
    return fault_of(sp_claims_parse(checked.payload, SP_CLAIMS_JWT, &scratch->claims, ret));
}

static bool is_for_us(struct sp_strings aud, const struct sp_client_assertion_expect *expect) {
    for (size_t i = 0; i < expect->audiences_n; i++) {
        if (sp_strings_contain(aud, expect->audiences[i])) return true;
    }
    return false;
}

static enum sp_client_assertion_fault check_times(const struct sp_claims *c, int64_t now_s) {
    const int64_t latest_s = now_s + SP_CLIENT_ASSERTION_SKEW_S;
    if (c->exp <= now_s) return SP_CLIENT_ASSERTION_EXPIRED;
    if (c->exp > latest_s + SP_CLIENT_ASSERTION_LIFE_S) return SP_CLIENT_ASSERTION_TOO_LONG;
    if (c->iat != SP_CLAIM_NO_DATE && c->iat > latest_s) return SP_CLIENT_ASSERTION_IN_FUTURE;
    if (c->nbf != SP_CLAIM_NO_DATE && c->nbf > latest_s) return SP_CLIENT_ASSERTION_IN_FUTURE;
    return SP_CLIENT_ASSERTION_NONE;
}

static enum sp_client_assertion_fault check_claims(const struct sp_claims *c,
                                                   const struct sp_client_assertion_expect *expect) {
    if (!sp_slice_eq(c->iss, expect->client_id) || !sp_slice_eq(c->sub, expect->client_id))
        return SP_CLIENT_ASSERTION_WRONG_CLIENT;
    if (!is_for_us(c->aud, expect)) return SP_CLIENT_ASSERTION_WRONG_AUDIENCE;
    if (c->exp == SP_CLAIM_NO_DATE || c->jti.n == 0) return SP_CLIENT_ASSERTION_MISSING_CLAIM;
    if (c->jti.n > SP_CLIENT_ASSERTION_JTI_BYTES_MAX) return SP_CLIENT_ASSERTION_MALFORMED;
    return check_times(c, expect->now_s);
}

/* A client's id is no secret and of any length, so it is hashed before the jti is put behind it. */
static void make_id(sp_slice client_id, sp_slice jti, uint8_t ret[SP_SHA256_BYTES]) {
    uint8_t of_client[SP_SHA256_BYTES];
    struct sp_sha256 h;
    sp_sha256(client_id, of_client);
    sp_sha256_init(&h);
    sp_sha256_update(&h, SP_SLICE_ARRAY(of_client));
    sp_sha256_update(&h, jti);
    sp_sha256_final(&h, ret);
}

enum sp_client_assertion_fault sp_client_assertion_check(sp_slice assertion,
                                                         const struct sp_client_assertion_expect *expect,
                                                         struct sp_check_scratch *scratch,
                                                         struct sp_client_assertion *ret) {
    struct sp_claims claims;
    if (expect->client_id.n == 0) return SP_CLIENT_ASSERTION_WRONG_CLIENT; /* absent names are no client's */
    CHECK(check_signature(assertion, expect, scratch, &claims));
    CHECK(check_claims(&claims, expect));
    make_id(expect->client_id, claims.jti, ret->id);
    ret->exp = claims.exp;
    ret->iat = claims.iat;
    ret->replay_until_ms = claims.exp * 1000;
    return SP_CLIENT_ASSERTION_NONE;
}

enum sp_client_assertion_fault sp_client_assertion_peek(sp_slice assertion, struct sp_check_scratch *scratch,
                                                        sp_slice *ret_client_id) {
    struct sp_jws jws;
    struct sp_claims claims;
    size_t n = 0;
    CHECK(fault_of(sp_jws_split(assertion, &jws)));
    if (!sp_ok(sp_base64url_decode(jws.payload, scratch->payload, sizeof scratch->payload, &n)))
        return SP_CLIENT_ASSERTION_MALFORMED;
    CHECK(fault_of(
        sp_claims_parse(sp_slice_of(scratch->payload, n), SP_CLAIMS_JWT, &scratch->claims, &claims)));
    if (claims.sub.n == 0) return SP_CLIENT_ASSERTION_MALFORMED;
    *ret_client_id = claims.sub;
    return SP_CLIENT_ASSERTION_NONE;
}

/* ---- registering ---- */

static sp_status check_private(const struct sp_json *doc) {
    const struct sp_json_node *keys = sp_json_get(doc, doc->nodes, "keys"), *each = NULL;
    if (sp_jwk_has_private(doc, doc->nodes)) return sp_err(SP_E_REFUSED);
    while (keys != NULL && (each = sp_json_next(doc, keys, each)) != NULL) {
        if (sp_jwk_has_private(doc, each)) return sp_err(SP_E_REFUSED);
    }
    return SP_SUCCESS;
}

static sp_status refuse_private(sp_slice json) {
    struct sp_json doc = {.nodes = calloc(SP_JWKS_NODES_MAX, sizeof *doc.nodes), .cap = SP_JWKS_NODES_MAX};
    if (doc.nodes == NULL) return sp_err(SP_E_NOMEM);
    sp_status s = sp_json_parse(json, &doc);
    if (sp_ok(s)) s = check_private(&doc);
    free(doc.nodes);
    return sp_is(s, SP_E_CONFLICT) ? sp_err(SP_E_MALFORMED) : s;
}

/* Each key can be named, and by one name: an assertion that could be by two keys is refused later. */
static sp_status check_kids(const struct sp_jwks *jwks) {
    for (size_t i = 0; jwks->n > 1 && i < jwks->n; i++) {
        if (!jwks->keys[i].has_kid) return sp_err(SP_E_MALFORMED);
        for (size_t j = 0; j < i; j++) {
            if (sp_slice_eq(SP_TEXT_SLICE(&jwks->keys[i].kid), SP_TEXT_SLICE(&jwks->keys[j].kid)))
                return sp_err(SP_E_MALFORMED);
        }
    }
    return SP_SUCCESS;
}

sp_status sp_client_jwks_check(sp_slice json) {
    SP_AUTO(sp_jwks) jwks = SP_JWKS_INIT;
    if (json.n > SP_CLIENT_JWKS_BYTES_MAX) return sp_err(SP_E_LIMIT);
    SP_TRY(refuse_private(json));
    SP_TRY(sp_jwks_parse(json, SP_JWK_PUBLIC_ONLY, &jwks));
    if (jwks.n == 0 || jwks.skipped != 0) return sp_err(SP_E_UNSUPPORTED);
    return check_kids(&jwks);
}
