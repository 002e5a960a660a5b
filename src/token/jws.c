#include "token/jws.h"

#include "base/base64url.h"
#include "base/reader.h"

enum sp_reject sp_jws_split(sp_slice token, struct sp_jws *ret_jws) {
    struct sp_jws jws;
    struct sp_reader r = SP_READER(token);
    if (token.n > SP_TOKEN_BYTES_MAX) return SP_REJECT_OVERSIZE;
    if (!sp_ok(sp_reader_until(&r, '.', &jws.header))) return SP_REJECT_MALFORMED;
    if (!sp_ok(sp_reader_until(&r, '.', &jws.payload))) return SP_REJECT_MALFORMED;
    jws.signature = sp_reader_rest(&r);
    if (jws.signature.n != 0 && memchr(jws.signature.p, '.', jws.signature.n) != NULL)
        return SP_REJECT_MALFORMED;
    if (jws.header.n == 0) return SP_REJECT_MALFORMED;
    jws.signing_input = sp_slice_of(token.p, jws.header.n + 1 + jws.payload.n);
    *ret_jws = jws;
    return SP_REJECT_NONE;
}

static enum sp_reject decode_header(sp_slice base64url, struct sp_jws_header_scratch *scratch,
                                    sp_slice *ret_json) {
    size_t n;
    sp_status s = sp_base64url_decode(base64url, scratch->json, sizeof scratch->json, &n);
    if (sp_is(s, SP_E_LIMIT)) return SP_REJECT_OVERSIZE;
    if (!sp_ok(s)) return SP_REJECT_NOT_CANONICAL;
    *ret_json = sp_slice_of(scratch->json, n);
    return SP_REJECT_NONE;
}

static enum sp_reject parse_object(sp_slice json, struct sp_json *doc) {
    sp_status s = sp_json_parse(json, doc);
    if (sp_is(s, SP_E_CONFLICT)) return SP_REJECT_DUPLICATE_NAME;
    if (!sp_ok(s) || doc->nodes[0].type != SP_JSON_OBJECT) return SP_REJECT_BAD_HEADER;
    return SP_REJECT_NONE;
}

/* crit names extensions that must be understood (we have none); b64 changes what is signed (RFC 7797); enc
 * makes it a JWE. Any value refuses: a list that is empty, or a b64 that is true, is not worth a special
 * case. */
static enum sp_reject refuse_extensions(const struct sp_json *doc) {
    if (sp_json_get(doc, doc->nodes, "crit") != NULL) return SP_REJECT_CRIT_UNSUPPORTED;
    if (sp_json_get(doc, doc->nodes, "b64") != NULL) return SP_REJECT_CRIT_UNSUPPORTED;
    if (sp_json_get(doc, doc->nodes, "enc") != NULL) return SP_REJECT_BAD_HEADER;
    return SP_REJECT_NONE;
}

static enum sp_reject read_alg(const struct sp_json *doc, enum sp_alg *ret) {
    const struct sp_json_node *node = sp_json_get(doc, doc->nodes, "alg");
    if (node == NULL || node->type != SP_JSON_STRING) return SP_REJECT_BAD_HEADER;
    for (int alg = 0; alg < SP_ALG_COUNT; alg++) {
        if (!sp_json_string_is(node, sp_alg_name((enum sp_alg)alg))) continue;
        *ret = (enum sp_alg)alg;
        return SP_REJECT_NONE;
    }
    return SP_REJECT_ALG_NOT_ALLOWED;
}

/* An optional string of 1 to max bytes. */
static enum sp_reject read_string(const struct sp_json *doc, const char *name, uint8_t *scratch, size_t max,
                                  bool *ret_has, sp_slice *ret) {
    sp_slice s = SP_SLICE_EMPTY;
    const struct sp_json_node *node = sp_json_get(doc, doc->nodes, name);
    *ret_has = node != NULL;
    if (node == NULL) return SP_REJECT_NONE;
    if (!sp_ok(sp_json_string(node, scratch, max, &s))) return SP_REJECT_BAD_HEADER;
    if (s.n == 0 || s.n > max) return SP_REJECT_BAD_HEADER;
    *ret = s;
    return SP_REJECT_NONE;
}

enum sp_reject sp_jws_header_parse(sp_slice header_base64url, struct sp_jws_header_scratch *scratch,
                                   struct sp_jws_header *ret_header) {
    sp_slice json;
    struct sp_jws_header h = {.alg = SP_ALG_COUNT};
    struct sp_json doc = {.nodes = scratch->nodes, .cap = SP_JWS_HEADER_NODES};
    SP_CHECK(decode_header(header_base64url, scratch, &json));
    SP_CHECK(parse_object(json, &doc));
    SP_CHECK(refuse_extensions(&doc));
    SP_CHECK(read_alg(&doc, &h.alg));
    SP_CHECK(read_string(&doc, "kid", scratch->strings, SP_KID_BYTES_MAX, &h.has_kid, &h.kid));
    SP_CHECK(
        read_string(&doc, "typ", scratch->strings + SP_KID_BYTES_MAX, SP_TYP_BYTES_MAX, &h.has_typ, &h.typ));
    const struct sp_json_node *jwk = sp_json_get(&doc, doc.nodes, "jwk");
    if (jwk != NULL && jwk->type == SP_JSON_OBJECT) h.jwk = jwk->raw;
    *ret_header = h;
    return SP_REJECT_NONE;
}

static sp_slice without_application(sp_slice typ) {
    static const sp_slice prefix = SP_SLICE_LIT("application/");
    if (typ.n <= prefix.n || !sp_slice_eq_nocase(sp_slice_of(typ.p, prefix.n), prefix)) return typ;
    return sp_slice_of(typ.p + prefix.n, typ.n - prefix.n);
}

bool sp_jws_typ_is(sp_slice typ, sp_slice wanted) {
    if (sp_slice_eq(typ, wanted)) return true; /* as our servers write it */
    return sp_slice_eq_nocase(without_application(typ), without_application(wanted));
}
