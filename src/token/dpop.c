/* In the order that makes junk cheapest: size, form, typ, algorithm, key and its thumbprint, and only then
 * the signature. The payload is read after it, as everywhere. */
#include "token/dpop.h"

#include "token/jwk.h"

static const struct {
    const char *code;
    const char *doc;
} faults[SP_DPOP_FAULT_COUNT] = {
#define ROW(name, code_, doc_) [SP_DPOP_##name] = {.code = code_, .doc = doc_},
    SP_DPOP_FAULT_TABLE(ROW)
#undef ROW
};

const char *sp_dpop_fault_code(enum sp_dpop_fault fault) {
    return faults[(unsigned)fault < SP_DPOP_FAULT_COUNT ? fault : SP_DPOP_UNSET].code;
}
const char *sp_dpop_fault_doc(enum sp_dpop_fault fault) {
    return faults[(unsigned)fault < SP_DPOP_FAULT_COUNT ? fault : SP_DPOP_UNSET].doc;
}

#define CHECK(expr)                                                                                          \
    do {                                                                                                     \
        enum sp_dpop_fault check_ = (expr);                                                                  \
        if (check_ != SP_DPOP_NONE) return check_;                                                           \
    } while (0)

bool sp_jkt_valid(sp_slice jkt) {
    uint8_t hash[SP_SHA256_BYTES];
    return sp_ok(sp_base64url_decode_exact(jkt, hash, sizeof hash));
}

/* ---- header ---- */

static enum sp_dpop_fault fault_of_header(enum sp_reject r) {
    if (r == SP_REJECT_ALG_NOT_ALLOWED) return SP_DPOP_BAD_ALG;
    if (r == SP_REJECT_NOT_CANONICAL) return SP_DPOP_MALFORMED;
    return r == SP_REJECT_OVERSIZE ? SP_DPOP_OVERSIZE : SP_DPOP_BAD_HEADER;
}

static enum sp_dpop_fault read_header(sp_slice text, const struct sp_dpop_expect *expect,
                                      struct sp_dpop_scratch *scratch, struct sp_jws_header *ret) {
    uint32_t algs = expect->algs == 0 ? SP_DPOP_ALGS : expect->algs & SP_DPOP_ALGS;
    enum sp_reject r = sp_jws_header_parse(text, &scratch->header, ret);
    if (r != SP_REJECT_NONE) return fault_of_header(r);
    if (!ret->has_typ || !sp_jws_typ_is(ret->typ, SP_SLICE_LIT("dpop+jwt"))) return SP_DPOP_BAD_TYP;
    return (algs & SP_ALG_BIT(ret->alg)) != 0 ? SP_DPOP_NONE : SP_DPOP_BAD_ALG;
}

/* ---- key ---- */

void sp_dpop_keys_done(struct sp_dpop_keys *keys) {
    for (size_t i = 0; i < SP_DPOP_KEYS; i++) {
        sp_sig_key_free(keys->known[i].key);
        keys->known[i].key = NULL;
    }
}

/* The place where a key of this text is, or would be. */
static struct sp_dpop_known_key *place_of(struct sp_dpop_keys *keys, const uint8_t text[SP_SHA256_BYTES]) {
    return keys == NULL ? NULL : &keys->known[text[0] % SP_DPOP_KEYS];
}

static bool recall(const struct sp_dpop_known_key *place, struct sp_dpop_known_key *key) {
    if (place == NULL || place->key == NULL || memcmp(place->text, key->text, sizeof key->text) != 0)
        return false;
    *key = *place;
    key->key = sp_sig_key_ref(place->key);
    return true;
}

static enum sp_dpop_fault make_key(sp_slice json, struct sp_dpop_scratch *scratch,
                                   struct sp_dpop_known_key *ret) {
    struct sp_json doc = {.nodes = scratch->nodes, .cap = SP_DPOP_NODES};
    struct sp_jwk jwk;
    uint8_t hash[SP_SHA256_BYTES];
    if (json.n == 0 || !sp_ok(sp_json_parse(json, &doc))) return SP_DPOP_BAD_KEY;
    if (sp_jwk_has_private(&doc, doc.nodes)) return SP_DPOP_PRIVATE_KEY;
    sp_status s = sp_jwk_parse(json, SP_JWK_PUBLIC_ONLY, &jwk);
    if (!sp_ok(s)) return sp_is(s, SP_E_NOMEM) ? SP_DPOP_INTERNAL : SP_DPOP_BAD_KEY;
    ret->key = jwk.key; /* owned from here on */
    ret->algs = jwk.algs;
    if (!sp_ok(sp_jwk_thumbprint(ret->key, hash))) return SP_DPOP_INTERNAL;
    sp_base64url_encode(SP_SLICE_ARRAY(hash), ret->jkt);
    return SP_DPOP_NONE;
}

static enum sp_dpop_fault check_key(const struct sp_dpop_known_key *key, enum sp_alg alg,
                                    const struct sp_dpop_expect *expect) {
    if ((key->algs & SP_ALG_BIT(alg)) == 0) return SP_DPOP_BAD_KEY;
    if (sp_sig_bytes(key->key) > SP_DPOP_RSA_BITS_MAX / 8) return SP_DPOP_BAD_KEY;
    bool is_the_one = expect->jkt.p == NULL || sp_slice_eq(expect->jkt, SP_SLICE_ARRAY(key->jkt));
    return is_the_one ? SP_DPOP_NONE : SP_DPOP_WRONG_KEY;
}

static enum sp_dpop_fault check_signature(const struct sp_sig_key *key, enum sp_alg alg,
                                          const struct sp_jws *jws, struct sp_dpop_scratch *scratch) {
    size_t n = 0;
    sp_status s = sp_base64url_decode(jws->signature, scratch->signature, sizeof scratch->signature, &n);
    if (sp_is(s, SP_E_LIMIT)) return SP_DPOP_BAD_SIGNATURE;
    if (!sp_ok(s)) return SP_DPOP_MALFORMED;
    s = sp_sig_verify(key, alg, jws->signing_input, sp_slice_of(scratch->signature, n));
    if (sp_ok(s)) return SP_DPOP_NONE;
    return sp_is(s, SP_E_CRYPTO) || sp_is(s, SP_E_REFUSED) ? SP_DPOP_BAD_SIGNATURE : SP_DPOP_INTERNAL;
}

/* Keeps the key in place of the one that was there: both have clients with good tokens. */
static void remember(struct sp_dpop_known_key *place, const struct sp_dpop_known_key *key) {
    sp_sig_key_free(place->key);
    *place = *key;
    place->key = sp_sig_key_ref(key->key);
}

static enum sp_dpop_fault check_with_key(const struct sp_jws *jws, const struct sp_jws_header *header,
                                         const struct sp_dpop_expect *expect, struct sp_dpop_scratch *scratch,
                                         struct sp_dpop_known_key *key) {
    sp_sha256(header->jwk, key->text);
    struct sp_dpop_known_key *place = place_of(expect->keys, key->text);
    bool is_known = recall(place, key);
    if (!is_known) CHECK(make_key(header->jwk, scratch, key));
    CHECK(check_key(key, header->alg, expect));
    CHECK(check_signature(key->key, header->alg, jws, scratch));
    if (!is_known && place != NULL && expect->jkt.p != NULL) remember(place, key);
    return SP_DPOP_NONE;
}

static enum sp_dpop_fault check_jwk(const struct sp_jws *jws, const struct sp_jws_header *header,
                                    const struct sp_dpop_expect *expect, struct sp_dpop_scratch *scratch,
                                    char ret_jkt[SP_JKT_CHARS]) {
    struct sp_dpop_known_key key = {.key = NULL};
    enum sp_dpop_fault f = check_with_key(jws, header, expect, scratch, &key);
    if (f == SP_DPOP_NONE) memcpy(ret_jkt, key.jkt, sizeof key.jkt);
    sp_sig_key_free(key.key);
    return f;
}

/* ---- payload ---- */

enum presence { OPTIONAL, REQUIRED };

/* Unescaped strings stand one behind the other, and are never longer than the payload that they are from. */
struct payload {
    struct sp_json doc;
    uint8_t *at, *end;
};

static enum sp_dpop_fault read_text(struct payload *p, const char *name, enum presence presence, size_t max,
                                    sp_slice *ret) {
    sp_slice s = SP_SLICE_EMPTY;
    const struct sp_json_node *node = sp_json_get(&p->doc, p->doc.nodes, name);
    *ret = s;
    if (node == NULL) return presence == OPTIONAL ? SP_DPOP_NONE : SP_DPOP_MISSING_CLAIM;
    if (!sp_ok(sp_json_string(node, p->at, (size_t)(p->end - p->at), &s))) return SP_DPOP_BAD_PAYLOAD;
    if (s.n == 0 || s.n > max) return SP_DPOP_BAD_PAYLOAD;
    if (s.p == p->at) p->at += s.n;
    *ret = s;
    return SP_DPOP_NONE;
}

static enum sp_dpop_fault read_iat(const struct payload *p, int64_t *ret) {
    const struct sp_json_node *node = sp_json_get(&p->doc, p->doc.nodes, "iat");
    if (node == NULL) return SP_DPOP_MISSING_CLAIM;
    if (!sp_ok(sp_json_i64(node, ret)) || node->raw.p[0] == '-') return SP_DPOP_BAD_PAYLOAD;
    return SP_DPOP_NONE;
}

static enum sp_dpop_fault check_time(int64_t iat, int64_t now_s) {
    if (iat > now_s && iat - now_s > SP_DPOP_FUTURE_S) return SP_DPOP_IN_FUTURE;
    return iat < now_s && now_s - iat > SP_DPOP_PAST_S ? SP_DPOP_TOO_OLD : SP_DPOP_NONE;
}

static enum sp_dpop_fault check_url(sp_slice htu, const struct sp_dpop_expect *expect,
                                    struct sp_dpop_scratch *scratch) {
    size_t n = 0, each_n = 0;
    if (!sp_ok(sp_htu_normalize(htu, scratch->urls[0], &n))) return SP_DPOP_WRONG_URL;
    for (size_t i = 0; i < expect->urls_n; i++) {
        if (!sp_ok(sp_htu_normalize(expect->urls[i], scratch->urls[1], &each_n))) continue;
        if (sp_slice_eq(sp_slice_of(scratch->urls[0], n), sp_slice_of(scratch->urls[1], each_n)))
            return SP_DPOP_NONE;
    }
    return SP_DPOP_WRONG_URL;
}

static enum sp_dpop_fault check_token_hash(struct payload *p, sp_slice access_token) {
    uint8_t hash[SP_SHA256_BYTES];
    char text[SP_BASE64URL_CHARS(SP_SHA256_BYTES)];
    sp_slice ath;
    enum presence presence = access_token.p == NULL ? OPTIONAL : REQUIRED;
    enum sp_dpop_fault f = read_text(p, "ath", presence, sizeof text, &ath);
    if (access_token.p == NULL) return f;
    if (f != SP_DPOP_NONE) return SP_DPOP_WRONG_TOKEN;
    sp_sha256(access_token, hash);
    sp_base64url_encode(SP_SLICE_ARRAY(hash), text);
    return sp_slice_eq(ath, SP_SLICE_ARRAY(text)) ? SP_DPOP_NONE : SP_DPOP_WRONG_TOKEN;
}

static void make_id(const char jkt[SP_JKT_CHARS], sp_slice jti, uint8_t ret[SP_SHA256_BYTES]) {
    struct sp_sha256 h;
    sp_sha256_init(&h);
    sp_sha256_update(&h, sp_slice_of(jkt, SP_JKT_CHARS)); /* of one length, so nothing need stand between */
    sp_sha256_update(&h, jti);
    sp_sha256_final(&h, ret);
}

static enum sp_dpop_fault read_claims(struct payload *p, const struct sp_dpop_expect *expect,
                                      struct sp_dpop_scratch *scratch, struct sp_dpop *dpop) {
    sp_slice jti, htm, htu;
    CHECK(read_text(p, "jti", REQUIRED, SP_DPOP_JTI_BYTES_MAX, &jti));
    CHECK(read_text(p, "htm", REQUIRED, SIZE_MAX, &htm));
    CHECK(read_text(p, "htu", REQUIRED, SIZE_MAX, &htu));
    CHECK(read_iat(p, &dpop->iat));
    CHECK(read_text(p, "nonce", OPTIONAL, SP_DPOP_NONCE_BYTES_MAX, &dpop->nonce));
    if (!sp_slice_eq(htm, expect->method)) return SP_DPOP_WRONG_METHOD;
    CHECK(check_url(htu, expect, scratch));
    CHECK(check_time(dpop->iat, expect->now_s));
    CHECK(check_token_hash(p, expect->access_token));
    make_id(dpop->jkt, jti, dpop->id);
    /* Good up to the last millisecond of its last second. */
    dpop->replay_until_ms = (dpop->iat + SP_DPOP_PAST_S + 1) * 1000;
    return SP_DPOP_NONE;
}

static enum sp_dpop_fault read_payload(sp_slice text, const struct sp_dpop_expect *expect,
                                       struct sp_dpop_scratch *scratch, struct sp_dpop *dpop) {
    size_t n = 0;
    struct payload p = {.doc = {.nodes = scratch->nodes, .cap = SP_DPOP_NODES},
                        .at = scratch->strings,
                        .end = scratch->strings + sizeof scratch->strings};
    if (!sp_ok(sp_base64url_decode(text, scratch->payload, sizeof scratch->payload, &n)))
        return SP_DPOP_MALFORMED;
    if (!sp_ok(sp_json_parse(sp_slice_of(scratch->payload, n), &p.doc))) return SP_DPOP_BAD_PAYLOAD;
    if (p.doc.nodes[0].type != SP_JSON_OBJECT) return SP_DPOP_BAD_PAYLOAD;
    return read_claims(&p, expect, scratch, dpop);
}

enum sp_dpop_fault sp_dpop_check(sp_slice proof, const struct sp_dpop_expect *expect,
                                 struct sp_dpop_scratch *scratch, struct sp_dpop *ret) {
    struct sp_jws jws;
    struct sp_jws_header header;
    struct sp_dpop dpop = {.iat = 0};
    if (proof.n == 0) return SP_DPOP_MISSING;
    if (proof.n > SP_DPOP_BYTES_MAX) return SP_DPOP_OVERSIZE;
    if (sp_jws_split(proof, &jws) != SP_REJECT_NONE) return SP_DPOP_MALFORMED;
    CHECK(read_header(jws.header, expect, scratch, &header));
    CHECK(check_jwk(&jws, &header, expect, scratch, dpop.jkt));
    CHECK(read_payload(jws.payload, expect, scratch, &dpop));
    *ret = dpop;
    return SP_DPOP_NONE;
}
