/* The documents of the feed (roles, keys), its keys, and signing.
 *
 * A document is made from the live tables right after they have changed, on the publisher's thread; who
 * compares digests sees each change as a new document, and one that changed nothing as the old one. */
#include "base/base64url.h"
#include "core/feed_internal.h"

/* ---- documents ---- */

void sp_feed_document_unref(struct sp_feed_document *d) {
    if (d != NULL && atomic_fetch_sub(&d->refs, 1) == 1) free(d);
}

static sp_status document_new(sp_slice bytes, struct sp_feed_document **ret) {
    struct sp_feed_document *d = malloc(sizeof(*d) + bytes.n);
    if (d == NULL) return sp_err(SP_E_NOMEM);
    atomic_init(&d->refs, 1);
    d->index = 0;
    d->n = bytes.n;
    memcpy(d->bytes, bytes.p, bytes.n);
    sp_sha256(bytes, d->digest);
    *ret = d;
    return SP_SUCCESS;
}

/* Puts `d` in the place of *at, unless it says the same. True when it is new. */
static bool document_replace(struct sp_feed *f, struct sp_feed_document **at, struct sp_feed_document *d) {
    if (*at != NULL && memcmp((*at)->digest, d->digest, sizeof(d->digest)) == 0) {
        sp_feed_document_unref(d);
        return false;
    }
    d->index = *at == NULL ? 1 : (*at)->index + 1;
    sp_feed_document_unref(*at);
    *at = d;
    sp_feed_tell_watchers(f);
    return true;
}

/* ["a","b"] of a word list. */
static sp_status write_words(sp_slice words, struct sp_buf *out) {
    sp_slice word;
    const char *before = "[";
    while (sp_words_next(&words, &word)) {
        SP_TRY(sp_buf_append_cstr(out, before));
        SP_TRY(sp_buf_append_json_string(out, word));
        before = ",";
    }
    return sp_buf_append_cstr(out, *before == '[' ? "[]" : "]");
}

static sp_status write_roles(const struct sp_roles *roles, struct sp_buf *out) {
    SP_TRY(sp_buf_append_cstr(out, "{\"roles\":{"));
    for (size_t i = 0; i < sp_roles_count(roles); i++) {
        const struct sp_roles_entry e = sp_roles_at(roles, i);
        if (i != 0) SP_TRY(sp_buf_append_u8(out, ','));
        SP_TRY(sp_buf_append_json_string(out, e.name));
        SP_TRY(sp_buf_append_u8(out, ':'));
        SP_TRY(write_words(e.permissions, out));
    }
    return sp_buf_append_cstr(out, "}}");
}

sp_status sp_feed_publish_roles(struct sp_feed *f) {
    SP_AUTO(sp_buf) out = SP_BUF_INIT(SP_FEED_DOCUMENT_BYTES_MAX);
    struct sp_feed_document *d = NULL;
    sp_seats_enter(f->seats);
    sp_status s = write_roles(sp_live_roles_get(f->live_roles), &out);
    sp_seats_leave(f->seats);
    SP_TRY(s);
    SP_TRY(document_new(sp_buf_slice(&out), &d));
    feed_lock(f);
    (void)document_replace(f, &f->roles_document, d);
    feed_unlock(f);
    return SP_SUCCESS;
}

/* Feed keys that may sign from now on: retired ones no longer do. */
static sp_status write_feed_keys(const struct sp_key_snapshot *s, bool with_retired, struct sp_buf *out) {
    const struct sp_feed_key *keys;
    const size_t n = sp_snapshot_feed_keys(s, &keys);
    const char *before = "[";
    for (size_t i = 0; i < n; i++) {
        if (keys[i].state == SP_KEY_RETIRED && !with_retired) continue;
        SP_TRY(sp_buf_append_cstr(out, before));
        SP_TRY(sp_jwk_write_public(keys[i].kid, SP_ALG_EDDSA, keys[i].key, out));
        before = ",";
    }
    return sp_buf_append_u8(out, ']');
}

/* The JWKS is an object {"keys":[...]}: the document is that object with one more member. */
static sp_status write_keys(const struct sp_key_snapshot *s, struct sp_buf *out) {
    const sp_slice jwks = sp_snapshot_jwks(s);
    sp_assert(jwks.n > 2 && jwks.p[jwks.n - 1] == '}');
    SP_TRY(sp_buf_append(out, sp_slice_of(jwks.p, jwks.n - 1)));
    SP_TRY(sp_buf_append_cstr(out, ",\"feed_keys\":"));
    SP_TRY(write_feed_keys(s, false, out));
    return sp_buf_append_u8(out, '}');
}

sp_status sp_feed_publish_keys(struct sp_feed *f) {
    SP_AUTO(sp_buf) out = SP_BUF_INIT(SP_FEED_DOCUMENT_BYTES_MAX);
    struct sp_feed_document *d = NULL;
    sp_seats_enter(f->seats);
    sp_status s = write_keys(sp_keys_now(f->keys), &out);
    sp_seats_leave(f->seats);
    SP_TRY(s);
    SP_TRY(document_new(sp_buf_slice(&out), &d));
    feed_lock(f);
    if (document_replace(f, &f->keys_document, d))
        memcpy(f->keys_before[d->index % FEED_KEYS_REMEMBERED], d->digest, sizeof(d->digest));
    feed_unlock(f);
    return SP_SUCCESS;
}

/* ---- keys ---- */

sp_status sp_feed_sign(struct sp_feed *f, const struct sp_feed_signed *what, uint8_t ret_kid[SP_SHA256_BYTES],
                       uint8_t ret_signature[SP_FEED_SIGNATURE_BYTES]) {
    const struct sp_feed_key *keys;
    size_t n = 0;
    sp_seats_enter(f->seats);
    (void)sp_snapshot_feed_keys(sp_keys_now(f->keys), &keys);
    memcpy(ret_kid, keys[0].thumbprint, SP_SHA256_BYTES);
    sp_status s = sp_sig_sign(keys[0].key, SP_ALG_EDDSA, sp_feed_signed_slice(what), ret_signature,
                              SP_FEED_SIGNATURE_BYTES, &n);
    sp_seats_leave(f->seats);
    return s;
}

static sp_status write_succession(struct sp_feed *f, const struct sp_feed_key *of,
                                  const struct sp_feed_key *by, struct sp_buf *out) {
    struct sp_feed_signed text;
    uint8_t signature[SP_FEED_SIGNATURE_BYTES];
    size_t n;
    SP_TRY(sp_feed_signed_succession(SP_TEXT_SLICE(&f->issuer), of->thumbprint, by->thumbprint, &text));
    SP_TRY(sp_sig_sign(by->key, SP_ALG_EDDSA, sp_feed_signed_slice(&text), signature, sizeof(signature), &n));
    SP_TRY(sp_buf_append_cstr(out, "{\"kid\":"));
    SP_TRY(sp_buf_append_json_string(out, of->kid));
    SP_TRY(sp_buf_append_cstr(out, ",\"by\":"));
    SP_TRY(sp_buf_append_json_string(out, by->kid));
    SP_TRY(sp_buf_append_cstr(out, ",\"signature\":\""));
    SP_TRY(sp_buf_append_base64url(out, SP_SLICE_ARRAY(signature)));
    return sp_buf_append_cstr(out, "\"}");
}

/* Every retired key vouches for the one that signs now: however long a verifier was away, one step brings it
 * here. */
static sp_status write_successions(struct sp_feed *f, const struct sp_key_snapshot *s, struct sp_buf *out) {
    const struct sp_feed_key *keys;
    const size_t n = sp_snapshot_feed_keys(s, &keys);
    bool first = true;
    for (size_t i = 1; i < n; i++) {
        if (keys[i].state != SP_KEY_RETIRED) continue;
        if (!first) SP_TRY(sp_buf_append_u8(out, ','));
        first = false;
        SP_TRY(write_succession(f, &keys[0], &keys[i], out));
    }
    return SP_SUCCESS;
}

static sp_status write_all_keys(struct sp_feed *f, const struct sp_key_snapshot *s, struct sp_buf *out) {
    SP_TRY(sp_buf_append_cstr(out, "{\"keys\":"));
    SP_TRY(write_feed_keys(s, true, out));
    SP_TRY(sp_buf_append_cstr(out, ",\"successions\":["));
    SP_TRY(write_successions(f, s, out));
    return sp_buf_append_cstr(out, "]}");
}

sp_status sp_feed_write_keys(struct sp_feed *f, struct sp_buf *out) {
    const size_t before = out->n;
    sp_seats_enter(f->seats);
    sp_status s = write_all_keys(f, sp_keys_now(f->keys), out);
    sp_seats_leave(f->seats);
    if (!sp_ok(s)) sp_buf_truncate(out, before);
    return s;
}
