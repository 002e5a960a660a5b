#include "token/jwk.h"

#include "base/base64url.h"

enum { MEMBER_CHARS_MAX = SP_BASE64URL_CHARS(SP_SIG_BYTES_MAX) };

void sp_jwk_done(struct sp_jwk *jwk) {
    sp_sig_key_free(jwk->key);
    jwk->key = NULL;
}

/* A required member in base64url, decoded into out[0..cap). */
static sp_status read_bytes(const struct sp_json *doc, const struct sp_json_node *obj, const char *name,
                            uint8_t *out, size_t cap, sp_slice *ret) {
    uint8_t scratch[MEMBER_CHARS_MAX];
    sp_slice text = SP_SLICE_EMPTY;
    size_t n = 0;
    const struct sp_json_node *node = sp_json_get(doc, obj, name);
    if (node == NULL) return sp_err(SP_E_MALFORMED);
    SP_TRY(sp_json_string(node, scratch, sizeof scratch, &text));
    sp_status s = sp_base64url_decode(text, out, cap, &n);
    sp_wipe(scratch, sizeof scratch);
    SP_TRY(s);
    *ret = sp_slice_of(out, n);
    return SP_SUCCESS;
}

static sp_status read_ec(const struct sp_json *doc, const struct sp_json_node *obj, struct sp_sig_key **ret) {
    uint8_t bx[32], by[32];
    sp_slice x, y;
    const struct sp_json_node *crv = sp_json_get(doc, obj, "crv");
    if (crv == NULL) return sp_err(SP_E_MALFORMED);
    if (!sp_json_string_is(crv, "P-256")) return sp_err(SP_E_UNSUPPORTED);
    SP_TRY(read_bytes(doc, obj, "x", bx, sizeof bx, &x));
    SP_TRY(read_bytes(doc, obj, "y", by, sizeof by, &y));
    return sp_sig_key_from_ec(x, y, ret);
}

static sp_status read_okp(const struct sp_json *doc, const struct sp_json_node *obj,
                          struct sp_sig_key **ret) {
    uint8_t bx[32];
    sp_slice x;
    const struct sp_json_node *crv = sp_json_get(doc, obj, "crv");
    if (crv == NULL) return sp_err(SP_E_MALFORMED);
    if (!sp_json_string_is(crv, "Ed25519")) return sp_err(SP_E_UNSUPPORTED);
    SP_TRY(read_bytes(doc, obj, "x", bx, sizeof bx, &x));
    return sp_sig_key_from_ed25519(x, ret);
}

static sp_status read_rsa(const struct sp_json *doc, const struct sp_json_node *obj,
                          struct sp_sig_key **ret) {
    uint8_t bn[SP_SIG_BYTES_MAX], be[SP_RSA_E_BYTES_MAX];
    sp_slice n, e;
    SP_TRY(read_bytes(doc, obj, "n", bn, sizeof bn, &n));
    SP_TRY(read_bytes(doc, obj, "e", be, sizeof be, &e));
    return sp_sig_key_from_rsa(n, e, ret);
}

static sp_status read_oct(const struct sp_json *doc, const struct sp_json_node *obj,
                          struct sp_sig_key **ret) {
    uint8_t bk[SP_HMAC_KEY_BYTES_MAX];
    sp_slice k;
    SP_TRY(read_bytes(doc, obj, "k", bk, sizeof bk, &k));
    sp_status s = sp_sig_key_from_hmac(k, ret);
    sp_wipe(bk, sizeof bk);
    return s;
}

static sp_status read_key(const struct sp_json *doc, const struct sp_json_node *obj,
                          enum sp_jwk_accept accept, struct sp_sig_key **ret) {
    const struct sp_json_node *kty = sp_json_get(doc, obj, "kty");
    if (kty == NULL || kty->type != SP_JSON_STRING) return sp_err(SP_E_MALFORMED);
    if (sp_json_string_is(kty, "EC")) return read_ec(doc, obj, ret);
    if (sp_json_string_is(kty, "OKP")) return read_okp(doc, obj, ret);
    if (sp_json_string_is(kty, "RSA")) return read_rsa(doc, obj, ret);
    if (!sp_json_string_is(kty, "oct")) return sp_err(SP_E_UNSUPPORTED);
    return accept == SP_JWK_WITH_SECRETS ? read_oct(doc, obj, ret) : sp_err(SP_E_REFUSED);
}

/* `use` and `key_ops` (RFC 7517 sections 4.2 and 4.3): when present they must allow verifying. */
static sp_status check_use(const struct sp_json *doc, const struct sp_json_node *obj) {
    const struct sp_json_node *use = sp_json_get(doc, obj, "use"), *ops = sp_json_get(doc, obj, "key_ops");
    if (use != NULL && !sp_json_string_is(use, "sig")) return sp_err(SP_E_UNSUPPORTED);
    if (ops == NULL) return SP_SUCCESS;
    if (ops->type != SP_JSON_ARRAY) return sp_err(SP_E_MALFORMED);
    const struct sp_json_node *op = NULL;
    while ((op = sp_json_next(doc, ops, op)) != NULL) {
        if (sp_json_string_is(op, "verify")) return SP_SUCCESS;
    }
    return sp_err(SP_E_UNSUPPORTED);
}

/* An alg that we do not offer, or that is not one of the key's type, makes the key useless to us. */
static sp_status read_algs(const struct sp_json *doc, const struct sp_json_node *obj, uint32_t of_type,
                           uint32_t *ret) {
    const struct sp_json_node *node = sp_json_get(doc, obj, "alg");
    uint32_t algs = node == NULL ? of_type : 0;
    for (int alg = 0; node != NULL && alg < SP_ALG_COUNT; alg++) {
        if (sp_json_string_is(node, sp_alg_name((enum sp_alg)alg))) algs = of_type & SP_ALG_BIT(alg);
    }
    if (algs == 0) return sp_err(SP_E_UNSUPPORTED);
    *ret = algs;
    return SP_SUCCESS;
}

static sp_status read_kid(const struct sp_json *doc, const struct sp_json_node *obj, struct sp_jwk *jwk) {
    uint8_t scratch[SP_KID_BYTES_MAX];
    sp_slice kid = SP_SLICE_EMPTY;
    const struct sp_json_node *node = sp_json_get(doc, obj, "kid");
    jwk->has_kid = node != NULL;
    if (node == NULL) return SP_SUCCESS;
    SP_TRY(sp_json_string(node, scratch, sizeof scratch, &kid));
    return SP_TEXT_SET(&jwk->kid, kid);
}

static sp_status read_jwk(const struct sp_json *doc, const struct sp_json_node *obj,
                          enum sp_jwk_accept accept, struct sp_jwk *ret_jwk) {
    struct sp_jwk jwk = {0};
    SP_AUTO_FREE(sp_sig_key) key = NULL;
    if (obj->type != SP_JSON_OBJECT) return sp_err(SP_E_MALFORMED);
    SP_TRY(read_kid(doc, obj, &jwk));
    SP_TRY(check_use(doc, obj));
    SP_TRY(read_key(doc, obj, accept, &key));
    SP_TRY(read_algs(doc, obj, sp_sig_key_algs(key), &jwk.algs));
    jwk.key = sp_steal(&key);
    *ret_jwk = jwk;
    return SP_SUCCESS;
}

sp_status sp_jwk_parse(sp_slice json, enum sp_jwk_accept accept, struct sp_jwk *ret_jwk) {
    enum { NODES = 128 };
    struct sp_json_node nodes[NODES];
    struct sp_json doc = {.nodes = nodes, .cap = NODES};
    SP_TRY(sp_json_parse(json, &doc));
    return read_jwk(&doc, doc.nodes, accept, ret_jwk);
}

bool sp_jwk_has_private(const struct sp_json *doc, const struct sp_json_node *obj) {
    static const char *const names[] = {"d", "p", "q", "dp", "dq", "qi", "oth", "k"};
    for (size_t i = 0; i < SP_ARRAY_LEN(names); i++) {
        if (sp_json_get(doc, obj, names[i]) != NULL) return true;
    }
    return false;
}

void sp_jwks_done(struct sp_jwks *jwks) {
    for (size_t i = 0; i < jwks->n; i++) sp_jwk_done(&jwks->keys[i]);
    free(jwks->keys);
    *jwks = (struct sp_jwks)SP_JWKS_INIT;
}

static sp_status add_key(const struct sp_json *doc, const struct sp_json_node *obj, enum sp_jwk_accept accept,
                         struct sp_jwks *jwks) {
    if (jwks->n == SP_JWKS_KEYS_MAX) return sp_err(SP_E_LIMIT);
    sp_status s = read_jwk(doc, obj, accept, &jwks->keys[jwks->n]);
    if (sp_is(s, SP_E_NOMEM)) return s;
    if (sp_ok(s))
        jwks->n++;
    else
        jwks->skipped++;
    return SP_SUCCESS;
}

static sp_status read_set(const struct sp_json *doc, enum sp_jwk_accept accept, struct sp_jwks *jwks) {
    const struct sp_json_node *root = doc->nodes, *keys = sp_json_get(doc, root, "keys"), *each = NULL;
    if (root->type != SP_JSON_OBJECT) return sp_err(SP_E_MALFORMED);
    if (keys == NULL && sp_json_get(doc, root, "kty") != NULL) return add_key(doc, root, accept, jwks);
    if (keys == NULL || keys->type != SP_JSON_ARRAY) return sp_err(SP_E_MALFORMED);
    while ((each = sp_json_next(doc, keys, each)) != NULL) SP_TRY(add_key(doc, each, accept, jwks));
    return SP_SUCCESS;
}

static sp_status parse_set(sp_slice json, struct sp_json_node *nodes, uint32_t cap, enum sp_jwk_accept accept,
                           struct sp_jwks *jwks) {
    struct sp_json doc = {.nodes = nodes, .cap = cap};
    SP_TRY(sp_json_parse(json, &doc));
    jwks->keys = calloc(SP_JWKS_KEYS_MAX, sizeof *jwks->keys);
    return jwks->keys == NULL ? sp_err(SP_E_NOMEM) : read_set(&doc, accept, jwks);
}

sp_status sp_jwks_parse(sp_slice json, enum sp_jwk_accept accept, struct sp_jwks *ret_jwks) {
    struct sp_jwks jwks = SP_JWKS_INIT;
    if (json.n > SP_JWKS_BYTES_MAX) return sp_err(SP_E_LIMIT);
    struct sp_json_node *nodes = calloc(SP_JWKS_NODES_MAX, sizeof *nodes);
    if (nodes == NULL) return sp_err(SP_E_NOMEM);
    sp_status s = parse_set(json, nodes, SP_JWKS_NODES_MAX, accept, &jwks);
    free(nodes);
    if (sp_ok(s))
        *ret_jwks = jwks;
    else
        sp_jwks_done(&jwks);
    return s;
}

static bool has_this_kid(const struct sp_jwk *jwk, sp_slice kid) {
    return jwk->has_kid && sp_slice_eq(SP_TEXT_SLICE(&jwk->kid), kid);
}

enum sp_reject sp_jwks_find(const struct sp_jwks *jwks, const struct sp_jws_header *header,
                            const struct sp_jwk **ret_jwk) {
    const struct sp_jwk *found = NULL;
    size_t named = 0, usable = 0;
    for (size_t i = 0; i < jwks->n; i++) {
        const struct sp_jwk *jwk = &jwks->keys[i];
        if (header->has_kid && !has_this_kid(jwk, header->kid)) continue;
        named++;
        if ((jwk->algs & SP_ALG_BIT(header->alg)) == 0) continue;
        usable++;
        found = jwk;
    }
    if (header->has_kid && named == 0) return SP_REJECT_UNKNOWN_KID;
    if (header->has_kid && usable == 0) return SP_REJECT_ALG_KEY_MISMATCH;
    if (usable != 1) return SP_REJECT_NO_KEY;
    *ret_jwk = found;
    return SP_REJECT_NONE;
}
