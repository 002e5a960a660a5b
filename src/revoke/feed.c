/* The words of the feed, written: the chain, what is signed, events. See feed.h; reading is in feed_read.c.
 */
#include "revoke/feed.h"

#include <string.h>

#include "base/assert.h"
#include "base/base64url.h"

/* Domains end with a NUL, so that none is the beginning of another. */
#define DOMAIN(s) sp_slice_of("" s, sizeof(s))

enum { ENTRY_BYTES = 8 + 1 + SP_FEED_ID_BYTES_MAX + 4 + 8 };

static uint8_t *put_be(uint8_t *at, uint64_t v, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) at[i] = (uint8_t)(v >> (8 * (bytes - 1 - i)));
    return at + bytes;
}
static uint8_t *put(uint8_t *at, const void *p, size_t n) {
    memcpy(at, p, n);
    return at + n;
}

/* ---- the chain ---- */

void sp_feed_chain_start(const uint8_t epoch[SP_FEED_EPOCH_BYTES], uint8_t ret_head[SP_FEED_HEAD_BYTES]) {
    struct sp_sha256 h;
    sp_sha256_init(&h);
    sp_sha256_update(&h, DOMAIN("sallyport feed start 1"));
    sp_sha256_update(&h, sp_slice_of(epoch, SP_FEED_EPOCH_BYTES));
    sp_sha256_final(&h, ret_head);
}

void sp_feed_chain_link(const uint8_t head[SP_FEED_HEAD_BYTES], const struct sp_feed_revocation *r,
                        uint8_t ret_head[SP_FEED_HEAD_BYTES]) {
    uint8_t entry[ENTRY_BYTES], *at = put_be(entry, r->seq, 8);
    *at++ = (uint8_t)r->what;
    at = put(at, r->id, SP_FEED_ID_BYTES_MAX);
    at = put_be(at, r->epoch, 4);
    (void)put_be(at, (uint64_t)r->until_s, 8);

    struct sp_sha256 h;
    sp_sha256_init(&h);
    sp_sha256_update(&h, DOMAIN("sallyport feed chain 1"));
    sp_sha256_update(&h, sp_slice_of(head, SP_FEED_HEAD_BYTES));
    sp_sha256_update(&h, SP_SLICE_ARRAY(entry));
    sp_sha256_final(&h, ret_head);
}

/* ---- what is signed ---- */

/* Domain and issuer; what follows has a fixed length, so nothing can slide from one field into the next. */
static sp_status begin_signed(sp_slice domain, sp_slice issuer, struct sp_feed_signed *s, uint8_t **ret_at) {
    if (issuer.n > SP_FEED_ISSUER_BYTES_MAX) return sp_err(SP_E_LIMIT);
    uint8_t *at = put(s->b, domain.p, domain.n);
    at = put_be(at, issuer.n, 2);
    if (issuer.n != 0) at = put(at, issuer.p, issuer.n);
    *ret_at = at;
    return SP_SUCCESS;
}
static void end_signed(struct sp_feed_signed *s, const uint8_t *at) {
    s->n = (size_t)(at - s->b);
    sp_assert(s->n <= sizeof s->b);
}

sp_status sp_feed_signed_beat(sp_slice issuer, const uint8_t epoch[SP_FEED_EPOCH_BYTES],
                              const struct sp_feed_beat *beat, struct sp_feed_signed *ret) {
    uint8_t *at;
    SP_TRY(begin_signed(DOMAIN("sallyport feed beat 1"), issuer, ret, &at));
    at = put(at, epoch, SP_FEED_EPOCH_BYTES);
    at = put(at, beat->node, SP_FEED_NODE_BYTES);
    at = put_be(at, beat->boot_ms, 8);
    at = put_be(at, beat->seq, 8);
    at = put(at, beat->head, SP_FEED_HEAD_BYTES);
    at = put(at, beat->roles, SP_FEED_DIGEST_BYTES);
    at = put(at, beat->keys, SP_FEED_DIGEST_BYTES);
    end_signed(ret, at);
    return SP_SUCCESS;
}

sp_status sp_feed_signed_nonce(sp_slice issuer, const struct sp_feed_nonce_answer *answer,
                               struct sp_feed_signed *ret) {
    uint8_t *at;
    SP_TRY(begin_signed(DOMAIN("sallyport feed nonce 1"), issuer, ret, &at));
    at = put(at, answer->epoch, SP_FEED_EPOCH_BYTES);
    at = put(at, answer->node, SP_FEED_NODE_BYTES);
    at = put_be(at, answer->boot_ms, 8);
    at = put(at, answer->nonce, SP_FEED_NONCE_BYTES);
    end_signed(ret, at);
    return SP_SUCCESS;
}

sp_status sp_feed_signed_snapshot(sp_slice issuer, const uint8_t body[SP_SHA256_BYTES],
                                  struct sp_feed_signed *ret) {
    uint8_t *at;
    SP_TRY(begin_signed(DOMAIN("sallyport feed snapshot 1"), issuer, ret, &at));
    end_signed(ret, put(at, body, SP_SHA256_BYTES));
    return SP_SUCCESS;
}

sp_status sp_feed_signed_succession(sp_slice issuer, const uint8_t of[SP_SHA256_BYTES],
                                    const uint8_t by[SP_SHA256_BYTES], struct sp_feed_signed *ret) {
    uint8_t *at;
    SP_TRY(begin_signed(DOMAIN("sallyport feed key 1"), issuer, ret, &at));
    at = put(at, of, SP_SHA256_BYTES);
    end_signed(ret, put(at, by, SP_SHA256_BYTES));
    return SP_SUCCESS;
}

/* ---- events ---- */

/* Cuts the buffer back to where it was when `s` is a failure. */
static sp_status whole_or_nothing(struct sp_buf *out, size_t before, sp_status s) {
    if (!sp_ok(s)) sp_buf_truncate(out, before);
    return s;
}

static sp_status b64_member(struct sp_buf *out, const char *before, const uint8_t *p, size_t n) {
    SP_TRY(sp_buf_append_cstr(out, before));
    SP_TRY(sp_buf_append_base64url(out, sp_slice_of(p, n)));
    return sp_buf_append_u8(out, '"');
}
static sp_status int_member(struct sp_buf *out, const char *before, uint64_t v) {
    SP_TRY(sp_buf_append_cstr(out, before));
    return sp_buf_append_i64_text(out, (int64_t)v);
}

static sp_status write_revocation(const uint8_t *epoch, const struct sp_feed_revocation *r,
                                  struct sp_buf *out) {
    const bool raises = r->what == SP_FEED_EPU || r->what == SP_FEED_EPG;
    SP_TRY(sp_buf_append_cstr(out, "id: "));
    SP_TRY(sp_buf_append_base64url(out, sp_slice_of(epoch, SP_FEED_EPOCH_BYTES)));
    SP_TRY(int_member(out, ":", r->seq));
    SP_TRY(sp_buf_append_cstr(out, raises ? "\nevent: epoch\ndata: {" : "\nevent: revoke\ndata: {"));
    switch (r->what) {
    case SP_FEED_JTI: SP_TRY(b64_member(out, "\"jti\":\"", r->id, 16)); break;
    case SP_FEED_SID: SP_TRY(b64_member(out, "\"sid\":\"", r->id, 20)); break;
    case SP_FEED_EPU:
        SP_TRY(b64_member(out, "\"sub\":\"", r->id, 16));
        SP_TRY(int_member(out, ",\"epu\":", r->epoch));
        break;
    case SP_FEED_EPG: SP_TRY(int_member(out, "\"epg\":", r->epoch)); break;
    }
    SP_TRY(int_member(out, ",\"until\":", (uint64_t)r->until_s));
    return sp_buf_append_cstr(out, "}\n\n");
}

sp_status sp_feed_write_revocation(const uint8_t epoch[SP_FEED_EPOCH_BYTES],
                                   const struct sp_feed_revocation *r, struct sp_buf *out) {
    const size_t before = out->n;
    return whole_or_nothing(out, before, write_revocation(epoch, r, out));
}

static sp_status write_beat(const struct sp_feed_beat *b, struct sp_buf *out) {
    SP_TRY(sp_buf_append_cstr(out, "event: beat\ndata: {"));
    SP_TRY(b64_member(out, "\"node\":\"", b->node, sizeof b->node));
    SP_TRY(int_member(out, ",\"boot_ms\":", b->boot_ms));
    SP_TRY(int_member(out, ",\"seq\":", b->seq));
    SP_TRY(b64_member(out, ",\"head\":\"", b->head, sizeof b->head));
    SP_TRY(b64_member(out, ",\"roles\":\"", b->roles, sizeof b->roles));
    SP_TRY(b64_member(out, ",\"keys\":\"", b->keys, sizeof b->keys));
    SP_TRY(b64_member(out, ",\"kid\":\"", b->kid, sizeof b->kid));
    SP_TRY(b64_member(out, ",\"signature\":\"", b->signature, sizeof b->signature));
    return sp_buf_append_cstr(out, "}\n\n");
}

sp_status sp_feed_write_beat(const struct sp_feed_beat *beat, struct sp_buf *out) {
    const size_t before = out->n;
    return whole_or_nothing(out, before, write_beat(beat, out));
}

static sp_status write_event(const char *name, sp_slice data, struct sp_buf *out) {
    SP_TRY(sp_buf_append_cstr(out, "event: "));
    SP_TRY(sp_buf_append_cstr(out, name));
    SP_TRY(sp_buf_append_cstr(out, "\ndata: "));
    SP_TRY(sp_buf_append(out, data));
    return sp_buf_append_cstr(out, "\n\n");
}

sp_status sp_feed_write_event(const char *name, sp_slice data, struct sp_buf *out) {
    const size_t before = out->n;
    return whole_or_nothing(out, before, write_event(name, data, out));
}

static sp_status write_nonce_answer(const struct sp_feed_nonce_answer *a, struct sp_buf *out) {
    SP_TRY(b64_member(out, "{\"nonce\":\"", a->nonce, sizeof a->nonce));
    SP_TRY(b64_member(out, ",\"epoch\":\"", a->epoch, sizeof a->epoch));
    SP_TRY(b64_member(out, ",\"node\":\"", a->node, sizeof a->node));
    SP_TRY(int_member(out, ",\"boot_ms\":", a->boot_ms));
    SP_TRY(b64_member(out, ",\"kid\":\"", a->kid, sizeof a->kid));
    SP_TRY(b64_member(out, ",\"signature\":\"", a->signature, sizeof a->signature));
    return sp_buf_append_cstr(out, "}");
}

sp_status sp_feed_write_nonce_answer(const struct sp_feed_nonce_answer *answer, struct sp_buf *out) {
    const size_t before = out->n;
    return whole_or_nothing(out, before, write_nonce_answer(answer, out));
}

static sp_status write_hello(const struct sp_feed_hello *h, struct sp_buf *out) {
    SP_TRY(sp_buf_append_cstr(out, "event: hello\ndata: {\"issuer\":"));
    SP_TRY(sp_buf_append_json_string(out, h->issuer));
    SP_TRY(b64_member(out, ",\"epoch\":\"", h->epoch, sizeof h->epoch));
    SP_TRY(b64_member(out, ",\"node\":\"", h->node, sizeof h->node));
    SP_TRY(int_member(out, ",\"seq\":", h->seq));
    SP_TRY(int_member(out, ",\"beat_ms\":", h->beat_ms));
    return sp_buf_append_cstr(out, "}\n\n");
}

sp_status sp_feed_write_hello(const struct sp_feed_hello *hello, struct sp_buf *out) {
    const size_t before = out->n;
    return whole_or_nothing(out, before, write_hello(hello, out));
}

size_t sp_feed_position_text(const struct sp_feed_position *at, char *text) {
    char digits[20];
    size_t n = 0;
    uint64_t v = at->seq;
    do {
        digits[n++] = (char)('0' + v % 10);
        v /= 10;
    } while (v != 0);
    sp_base64url_encode(SP_SLICE_ARRAY(at->epoch), text);
    text[SP_FEED_EPOCH_CHARS] = ':';
    for (size_t i = 0; i < n; i++) text[SP_FEED_EPOCH_CHARS + 1 + i] = digits[n - 1 - i];
    return SP_FEED_EPOCH_CHARS + 1 + n;
}
