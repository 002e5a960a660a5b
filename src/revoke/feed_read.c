/* The words of the feed, read. Strict: each object has exactly its members, each member exactly its form.
 * What we do not know we refuse, because a verifier that guesses has stopped proving anything. */
#include "base/base64url.h"
#include "base/json.h"
#include "revoke/feed.h"

enum { NODES_MAX = 16 }; /* flat objects of at most eight members */

struct object {
    struct sp_json_node nodes[NODES_MAX];
    struct sp_json doc;
    uint32_t taken; /* members that were asked for and there */
};

static sp_status open_object(struct object *o, sp_slice json) {
    o->doc = (struct sp_json){.nodes = o->nodes, .cap = NODES_MAX};
    o->taken = 0;
    sp_status s = sp_json_parse(json, &o->doc);
    if (!sp_ok(s) || o->nodes[0].type != SP_JSON_OBJECT) return sp_err(SP_E_MALFORMED);
    return SP_SUCCESS;
}
static const struct sp_json_node *member(struct object *o, const char *name) {
    const struct sp_json_node *m = sp_json_get(&o->doc, &o->nodes[0], name);
    if (m != NULL) o->taken++;
    return m;
}
/* Every member was asked for. */
static sp_status close_object(const struct object *o) {
    return o->taken == o->nodes[0].count ? SP_SUCCESS : sp_err(SP_E_MALFORMED);
}

static sp_status read_b64(struct object *o, const char *name, uint8_t *ret, size_t n) {
    const struct sp_json_node *m = member(o, name);
    if (m == NULL || m->type != SP_JSON_STRING || m->escaped) return sp_err(SP_E_MALFORMED);
    return sp_base64url_decode_exact(m->raw, ret, n);
}
static sp_status read_uint(struct object *o, const char *name, int64_t max, int64_t *ret) {
    const struct sp_json_node *m = member(o, name);
    int64_t v;
    if (m == NULL || m->type != SP_JSON_NUMBER || m->raw.p[0] == '-') return sp_err(SP_E_MALFORMED);
    SP_TRY(sp_json_i64(m, &v));
    if (v < 0 || v > max) return sp_err(SP_E_MALFORMED);
    *ret = v;
    return SP_SUCCESS;
}
static sp_status read_u64(struct object *o, const char *name, uint64_t *ret) {
    int64_t v;
    SP_TRY(read_uint(o, name, INT64_MAX, &v));
    *ret = (uint64_t)v;
    return SP_SUCCESS;
}

/* ---- revocations ---- */

static sp_status read_revoked(struct object *o, struct sp_feed_revocation *r) {
    const bool is_jti = sp_json_get(&o->doc, &o->nodes[0], "jti") != NULL;
    r->what = is_jti ? SP_FEED_JTI : SP_FEED_SID;
    return is_jti ? read_b64(o, "jti", r->id, 16) : read_b64(o, "sid", r->id, 20);
}

static sp_status read_raised(struct object *o, struct sp_feed_revocation *r) {
    const bool is_user = sp_json_get(&o->doc, &o->nodes[0], "sub") != NULL;
    int64_t epoch;
    r->what = is_user ? SP_FEED_EPU : SP_FEED_EPG;
    if (is_user) SP_TRY(read_b64(o, "sub", r->id, 16));
    SP_TRY(read_uint(o, is_user ? "epu" : "epg", UINT32_MAX, &epoch));
    r->epoch = (uint32_t)epoch;
    return SP_SUCCESS;
}

sp_status sp_feed_read_revocation(sp_slice event, sp_slice id, sp_slice data,
                                  uint8_t ret_epoch[SP_FEED_EPOCH_BYTES], struct sp_feed_revocation *ret) {
    struct object o;
    struct sp_feed_position at;
    struct sp_feed_revocation r = {.seq = 0};
    SP_TRY(sp_feed_position_parse(id, &at));
    SP_TRY(open_object(&o, data));
    if (sp_slice_eq_cstr(event, "revoke")) {
        SP_TRY(read_revoked(&o, &r));
    } else if (sp_slice_eq_cstr(event, "epoch")) {
        SP_TRY(read_raised(&o, &r));
    } else {
        return sp_err(SP_E_MALFORMED);
    }
    SP_TRY(read_uint(&o, "until", INT64_MAX, &r.until_s));
    SP_TRY(close_object(&o));
    r.seq = at.seq;
    memcpy(ret_epoch, at.epoch, sizeof at.epoch);
    *ret = r;
    return SP_SUCCESS;
}

/* ---- signed answers ---- */

sp_status sp_feed_read_beat(sp_slice data, struct sp_feed_beat *ret) {
    struct object o;
    struct sp_feed_beat b;
    SP_TRY(open_object(&o, data));
    SP_TRY(read_b64(&o, "node", b.node, sizeof b.node));
    SP_TRY(read_u64(&o, "boot_ms", &b.boot_ms));
    SP_TRY(read_u64(&o, "seq", &b.seq));
    SP_TRY(read_b64(&o, "head", b.head, sizeof b.head));
    SP_TRY(read_b64(&o, "roles", b.roles, sizeof b.roles));
    SP_TRY(read_b64(&o, "keys", b.keys, sizeof b.keys));
    SP_TRY(read_b64(&o, "kid", b.kid, sizeof b.kid));
    SP_TRY(read_b64(&o, "signature", b.signature, sizeof b.signature));
    SP_TRY(close_object(&o));
    *ret = b;
    return SP_SUCCESS;
}

sp_status sp_feed_read_nonce_answer(sp_slice json, struct sp_feed_nonce_answer *ret) {
    struct object o;
    struct sp_feed_nonce_answer a;
    SP_TRY(open_object(&o, json));
    SP_TRY(read_b64(&o, "nonce", a.nonce, sizeof a.nonce));
    SP_TRY(read_b64(&o, "epoch", a.epoch, sizeof a.epoch));
    SP_TRY(read_b64(&o, "node", a.node, sizeof a.node));
    SP_TRY(read_u64(&o, "boot_ms", &a.boot_ms));
    SP_TRY(read_b64(&o, "kid", a.kid, sizeof a.kid));
    SP_TRY(read_b64(&o, "signature", a.signature, sizeof a.signature));
    SP_TRY(close_object(&o));
    *ret = a;
    return SP_SUCCESS;
}

sp_status sp_feed_read_hello(sp_slice data, struct sp_feed_hello *ret) {
    struct object o;
    struct sp_feed_hello h;
    int64_t beat_ms;
    SP_TRY(open_object(&o, data));
    const struct sp_json_node *issuer = member(&o, "issuer");
    if (issuer == NULL || issuer->type != SP_JSON_STRING || issuer->escaped) return sp_err(SP_E_MALFORMED);
    if (issuer->raw.n > SP_FEED_ISSUER_BYTES_MAX) return sp_err(SP_E_MALFORMED);
    h.issuer = issuer->raw;
    SP_TRY(read_b64(&o, "epoch", h.epoch, sizeof h.epoch));
    SP_TRY(read_b64(&o, "node", h.node, sizeof h.node));
    SP_TRY(read_u64(&o, "seq", &h.seq));
    SP_TRY(read_uint(&o, "beat_ms", UINT32_MAX, &beat_ms));
    SP_TRY(close_object(&o));
    h.beat_ms = (uint32_t)beat_ms;
    *ret = h;
    return SP_SUCCESS;
}

/* ---- names ---- */

sp_status sp_feed_position_parse(sp_slice text, struct sp_feed_position *ret) {
    struct sp_feed_position at;
    if (text.n <= SP_FEED_EPOCH_CHARS || text.p[SP_FEED_EPOCH_CHARS] != ':') return sp_err(SP_E_MALFORMED);
    SP_TRY(sp_base64url_decode_exact(sp_slice_of(text.p, SP_FEED_EPOCH_CHARS), at.epoch, sizeof at.epoch));
    const size_t skip = SP_FEED_EPOCH_CHARS + 1;
    if (!sp_slice_to_u64(sp_slice_of(text.p + skip, text.n - skip), &at.seq)) return sp_err(SP_E_MALFORMED);
    *ret = at;
    return SP_SUCCESS;
}

static bool is_instance_char(uint8_t c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
}

bool sp_feed_instance_valid(sp_slice instance) {
    if (instance.n == 0 || instance.n > SP_FEED_INSTANCE_BYTES_MAX) return false;
    for (size_t i = 0; i < instance.n; i++) {
        if (!is_instance_char(instance.p[i])) return false;
    }
    return true;
}
