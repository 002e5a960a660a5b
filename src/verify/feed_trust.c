/* See feed_trust.h. A key is known by the thumbprint that we compute, never by the `kid` that it claims. */
#include "verify/feed_trust.h"

#include "base/base64url.h"
#include "token/jwk.h"

#define NODES_MAX 4096 /* 96 keys of 10 members and as many successions of 4: half of it */

void sp_feed_trust_init(struct sp_feed_trust *t, sp_slice issuer, const uint8_t *pin) {
    *t = (struct sp_feed_trust){.issuer = issuer, .is_pinned = pin != NULL};
    if (pin != NULL) memcpy(t->pin, pin, sizeof t->pin);
}

static void drop_keys(struct sp_feed_trusted *keys, size_t n) {
    for (size_t i = 0; i < n; i++) sp_sig_key_free(keys[i].key);
}
void sp_feed_trust_done(struct sp_feed_trust *t) {
    drop_keys(t->keys, t->n);
    t->n = 0;
}

static const struct sp_feed_trusted *find(const struct sp_feed_trusted *keys, size_t n, const uint8_t *kid) {
    for (size_t i = 0; i < n; i++)
        if (memcmp(keys[i].kid, kid, SP_SHA256_BYTES) == 0) return &keys[i];
    return NULL;
}

/* ---- reading keys ---- */

struct offer {
    struct sp_json doc;
    struct sp_feed_trusted keys[SP_FEED_TRUST_KEYS_MAX];
    size_t n;
};

static sp_status offer_open(struct offer *o, sp_slice json) {
    struct sp_json_node *nodes = calloc(NODES_MAX, sizeof *nodes);
    if (nodes == NULL) return sp_err(SP_E_NOMEM);
    *o = (struct offer){.doc = {.nodes = nodes, .cap = NODES_MAX}};
    sp_status s = sp_json_parse(json, &o->doc);
    return sp_ok(s) && nodes[0].type == SP_JSON_OBJECT ? SP_SUCCESS : sp_err(SP_E_MALFORMED);
}
static void offer_done(struct offer *o) {
    drop_keys(o->keys, o->n);
    free(o->doc.nodes);
}

/* Keys of other kinds, weak or malformed ones are left out, as in any JWK Set. */
static sp_status add_key(struct offer *o, sp_slice jwk_json) {
    struct sp_jwk jwk;
    struct sp_feed_trusted k;
    sp_status s = sp_jwk_parse(jwk_json, SP_JWK_PUBLIC_ONLY, &jwk);
    if (sp_is(s, SP_E_NOMEM)) return s;
    if (!sp_ok(s)) return SP_SUCCESS;
    bool usable = sp_sig_key_type(jwk.key) == SP_KEY_ED25519 && sp_ok(sp_jwk_thumbprint(jwk.key, k.kid));
    if (usable && o->n < SP_FEED_TRUST_KEYS_MAX && find(o->keys, o->n, k.kid) == NULL) {
        k.key = sp_sig_key_ref(jwk.key);
        o->keys[o->n++] = k;
    }
    sp_jwk_done(&jwk);
    return SP_SUCCESS;
}

static sp_status offer_read_keys(struct offer *o, const char *member) {
    const struct sp_json_node *keys = sp_json_get(&o->doc, &o->doc.nodes[0], member), *each = NULL;
    if (keys == NULL || keys->type != SP_JSON_ARRAY) return sp_err(SP_E_MALFORMED);
    while ((each = sp_json_next(&o->doc, keys, each)) != NULL) SP_TRY(add_key(o, each->raw));
    return SP_SUCCESS;
}

/* ---- trusting ---- */

static void trust_key(struct sp_feed_trust *t, const struct sp_feed_trusted *k) {
    if (t->n == SP_FEED_TRUST_KEYS_MAX || find(t->keys, t->n, k->kid) != NULL) return;
    t->keys[t->n] = *k;
    t->keys[t->n++].key = sp_sig_key_ref(k->key);
}

static void begin_trust(struct sp_feed_trust *t, const struct offer *o) {
    for (size_t i = 0; i < o->n; i++)
        if (!t->is_pinned || memcmp(o->keys[i].kid, t->pin, sizeof t->pin) == 0) trust_key(t, &o->keys[i]);
}

static bool read_b64(const struct sp_json *doc, const struct sp_json_node *object, const char *name,
                     uint8_t *ret, size_t n) {
    const struct sp_json_node *m = sp_json_get(doc, object, name);
    return m != NULL && m->type == SP_JSON_STRING && !m->escaped &&
           sp_ok(sp_base64url_decode_exact(m->raw, ret, n));
}

/* True when it made a key trusted. */
static bool succeed(struct sp_feed_trust *t, const struct offer *o, const struct sp_json_node *succession) {
    uint8_t kid[SP_SHA256_BYTES], by[SP_SHA256_BYTES], signature[SP_FEED_SIGNATURE_BYTES];
    struct sp_feed_signed text;
    if (succession->type != SP_JSON_OBJECT || !read_b64(&o->doc, succession, "kid", kid, sizeof kid) ||
        !read_b64(&o->doc, succession, "by", by, sizeof by) ||
        !read_b64(&o->doc, succession, "signature", signature, sizeof signature))
        return false;
    const struct sp_feed_trusted *key = find(o->keys, o->n, kid);
    if (key == NULL || find(t->keys, t->n, kid) != NULL || t->n == SP_FEED_TRUST_KEYS_MAX) return false;
    if (!sp_ok(sp_feed_signed_succession(t->issuer, kid, by, &text))) return false;
    if (!sp_ok(sp_feed_trust_verify(t, by, &text, signature))) return false;
    trust_key(t, key);
    return true;
}

/* Chains of any order: again, as long as one more key was reached. */
static sp_status follow_successions(struct sp_feed_trust *t, const struct offer *o) {
    const struct sp_json_node *list = sp_json_get(&o->doc, &o->doc.nodes[0], "successions");
    if (list == NULL) return SP_SUCCESS;
    if (list->type != SP_JSON_ARRAY || list->count > SP_FEED_SUCCESSIONS_MAX) return sp_err(SP_E_MALFORMED);
    bool grew;
    do {
        const struct sp_json_node *each = NULL;
        grew = false;
        while ((each = sp_json_next(&o->doc, list, each)) != NULL) grew = succeed(t, o, each) || grew;
    } while (grew); /* at most SP_FEED_TRUST_KEYS_MAX times */
    return SP_SUCCESS;
}

sp_status sp_feed_trust_offer(struct sp_feed_trust *t, sp_slice json) {
    struct offer o = {.n = 0};
    sp_status s = offer_open(&o, json);
    if (sp_ok(s)) s = offer_read_keys(&o, "keys");
    if (sp_ok(s) && t->n == 0) begin_trust(t, &o);
    if (sp_ok(s)) s = follow_successions(t, &o);
    if (sp_ok(s) && t->n == 0) s = sp_err(SP_E_REFUSED);
    offer_done(&o);
    return s;
}

sp_status sp_feed_trust_replace(struct sp_feed_trust *t, sp_slice keys_document) {
    struct offer o = {.n = 0};
    sp_status s = offer_open(&o, keys_document);
    if (sp_ok(s)) s = offer_read_keys(&o, "feed_keys");
    if (sp_ok(s) && o.n == 0) s = sp_err(SP_E_MALFORMED);
    if (sp_ok(s)) {
        sp_feed_trust_done(t);
        for (size_t i = 0; i < o.n; i++) trust_key(t, &o.keys[i]);
    }
    offer_done(&o);
    return s;
}

sp_status sp_feed_trust_verify(const struct sp_feed_trust *t, const uint8_t kid[SP_SHA256_BYTES],
                               const struct sp_feed_signed *text,
                               const uint8_t signature[SP_FEED_SIGNATURE_BYTES]) {
    const struct sp_feed_trusted *k = find(t->keys, t->n, kid);
    if (k == NULL) return sp_err(SP_E_NOT_FOUND);
    sp_status s = sp_sig_verify(k->key, SP_ALG_EDDSA, sp_feed_signed_slice(text),
                                sp_slice_of(signature, SP_FEED_SIGNATURE_BYTES));
    return sp_ok(s) || sp_is(s, SP_E_NOMEM) ? s : sp_err(SP_E_CRYPTO);
}
