#include "fake_feed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/base64url.h"
#include "base/json.h"
#include "token/jwk.h"

#define MUST(expr) assert_true(sp_ok(expr))

static sp_slice issuer_of(const struct fake_feed *s) {
    return sp_slice_cstr(s->issuer);
}

/* Keys are the same in every run, so that a seed tells all of a simulation. */
static struct sp_sig_key *key_of(uint8_t seed) {
    uint8_t bytes[32];
    struct sp_sig_key *key;
    memset(bytes, seed, sizeof bytes);
    MUST(sp_sig_key_import_private(SP_KEY_ED25519, SP_SLICE_ARRAY(bytes), &key));
    return key;
}
static void use_key(struct fake_feed *s, struct sp_sig_key *key) {
    s->key = key;
    MUST(sp_jwk_thumbprint(key, s->kid));
}

static void start_chain(struct fake_feed *s) {
    s->epoch_from = s->backlog_from = s->n;
    sp_feed_chain_start(s->epoch, s->heads[s->n]);
}

void fake_init(struct fake_feed *s, const char *issuer, uint8_t seed) {
    memset(s, 0, sizeof *s);
    (void)snprintf(s->issuer, sizeof s->issuer, "%s", issuer);
    memset(s->epoch, 0xe0 + seed, sizeof s->epoch);
    memset(s->node, 0x10 + seed, sizeof s->node);
    memset(s->fingerprint_key, 0x55, sizeof s->fingerprint_key);
    use_key(s, key_of(seed));
    start_chain(s);
    fake_set_roles(s,
                   "{\"editor\":[\"documents:read\",\"documents:write\"],\"reader\":[\"documents:read\"]}");
    fake_set_keys(s, "");
}
void fake_done(struct fake_feed *s) {
    sp_sig_key_free(s->key);
    sp_sig_key_free(s->old_key);
}

static void append_jwk(const struct sp_sig_key *key, const uint8_t *kid, struct sp_buf *out) {
    char text[SP_BASE64URL_CHARS(SP_SHA256_BYTES)];
    sp_base64url_encode(sp_slice_of(kid, SP_SHA256_BYTES), text);
    MUST(sp_jwk_write_public(SP_SLICE_ARRAY(text), SP_ALG_EDDSA, key, out));
}
static void append_feed_keys(const struct fake_feed *s, struct sp_buf *out) {
    append_jwk(s->key, s->kid, out);
    if (s->old_key == NULL) return;
    MUST(sp_buf_append_cstr(out, ","));
    append_jwk(s->old_key, s->old_kid, out);
}

void fake_set_keys(struct fake_feed *s, const char *jwks) {
    SP_AUTO(sp_buf) b = SP_BUF_INIT(sizeof s->keys);
    const char *text;
    MUST(sp_buf_printf(&b, "{\"keys\":[%s],\"feed_keys\":[", jwks));
    append_feed_keys(s, &b);
    MUST(sp_buf_append_cstr(&b, "]}"));
    MUST(sp_buf_cstr(&b, &text));
    (void)snprintf(s->keys, sizeof s->keys, "%s", text);
}
void fake_set_roles(struct fake_feed *s, const char *roles) {
    (void)snprintf(s->roles, sizeof s->roles, "{\"roles\":%s}", roles);
}
void fake_restart(struct fake_feed *s, uint8_t node) {
    memset(s->node, node, sizeof s->node);
}
void fake_new_epoch(struct fake_feed *s, uint8_t epoch) {
    memset(s->epoch, epoch, sizeof s->epoch);
    start_chain(s);
}
void fake_rotate(struct fake_feed *s) {
    sp_sig_key_free(s->old_key);
    s->old_key = s->key;
    memcpy(s->old_kid, s->kid, sizeof s->kid);
    use_key(s, key_of((uint8_t)(s->kid[0] ^ 0xa5)));
}
void fake_forget(struct fake_feed *s, size_t n) {
    assert_true(n <= s->n - s->epoch_from);
    s->n -= n;
}

uint64_t fake_seq(const struct fake_feed *s) {
    return s->n;
}
static uint64_t revoke(struct fake_feed *s, struct sp_feed_revocation r) {
    assert_true(s->n < FAKE_LOG_MAX);
    r.seq = fake_seq(s) + 1;
    s->log[s->n] = r;
    sp_feed_chain_link(s->heads[s->n], &r, s->heads[s->n + 1]);
    s->n++;
    return r.seq;
}
uint64_t fake_revoke_jti(struct fake_feed *s, const uint8_t id[16], int64_t until_s) {
    struct sp_feed_revocation r = {.what = SP_FEED_JTI, .until_s = until_s};
    memcpy(r.id, id, 16);
    return revoke(s, r);
}
uint64_t fake_revoke_sid(struct fake_feed *s, const uint8_t id[20], int64_t until_s) {
    struct sp_feed_revocation r = {.what = SP_FEED_SID, .until_s = until_s};
    memcpy(r.id, id, 20);
    return revoke(s, r);
}
uint64_t fake_raise_user(struct fake_feed *s, const uint8_t sub[16], uint32_t epoch, int64_t until_s) {
    struct sp_feed_revocation r = {.what = SP_FEED_EPU, .epoch = epoch, .until_s = until_s};
    memcpy(r.id, sub, 16);
    return revoke(s, r);
}
uint64_t fake_raise_global(struct fake_feed *s, uint32_t epoch) {
    if (epoch > s->global_epoch) s->global_epoch = epoch;
    return revoke(s, (struct sp_feed_revocation){.what = SP_FEED_EPG, .epoch = epoch});
}

/* ---- answers ---- */

static void sign(const struct fake_feed *s, const struct sp_feed_signed *text,
                 uint8_t signature[SP_FEED_SIGNATURE_BYTES]) {
    size_t n;
    MUST(sp_sig_sign(s->key, SP_ALG_EDDSA, sp_feed_signed_slice(text), signature, SP_FEED_SIGNATURE_BYTES,
                     &n));
    if (s->sign_badly) signature[5] ^= 1;
}
static void append_b64(struct sp_buf *out, const char *before, const uint8_t *p, size_t n) {
    MUST(sp_buf_append_cstr(out, before));
    MUST(sp_buf_append_base64url(out, sp_slice_of(p, n)));
}

void fake_write_feed_keys(const struct fake_feed *s, struct sp_buf *out) {
    uint8_t signature[SP_FEED_SIGNATURE_BYTES];
    struct sp_feed_signed text;
    size_t n;
    MUST(sp_buf_append_cstr(out, "{\"keys\":["));
    append_feed_keys(s, out);
    MUST(sp_buf_append_cstr(out, "],\"successions\":["));
    if (s->old_key != NULL && !s->hide_successions) {
        MUST(sp_feed_signed_succession(issuer_of(s), s->kid, s->old_kid, &text));
        MUST(sp_sig_sign(s->old_key, SP_ALG_EDDSA, sp_feed_signed_slice(&text), signature, sizeof signature,
                         &n));
        append_b64(out, "{\"kid\":\"", s->kid, sizeof s->kid);
        append_b64(out, "\",\"by\":\"", s->old_kid, sizeof s->old_kid);
        append_b64(out, "\",\"signature\":\"", signature, sizeof signature);
        MUST(sp_buf_append_cstr(out, "\"}"));
    }
    MUST(sp_buf_append_cstr(out, "]}"));
}

static uint64_t fingerprint(const struct fake_feed *s, const struct sp_feed_revocation *r) {
    uint8_t bytes[1 + SP_FEED_ID_BYTES_MAX] = {(uint8_t)r->what};
    size_t n = r->what == SP_FEED_JTI ? 16 : 20;
    memcpy(bytes + 1, r->id, n);
    uint64_t v = sp_siphash(s->fingerprint_key, sp_slice_of(bytes, 1 + n));
    return v == 0 ? 1 : v;
}
static void write_row(const struct fake_feed *s, struct sp_snapshot_writer *w,
                      const struct sp_feed_revocation *r, struct sp_buf *out) {
    if (r->what == SP_FEED_JTI || r->what == SP_FEED_SID) {
        struct sp_snapshot_entry row = {.fingerprint = fingerprint(s, r), .until_s = (uint32_t)r->until_s};
        MUST(sp_snapshot_entries(w, &row, 1, out));
    } else if (r->what == SP_FEED_EPU) {
        struct sp_snapshot_user row = {.epoch = r->epoch, .until_s = r->until_s};
        memcpy(row.sub, r->id, sizeof row.sub);
        MUST(sp_snapshot_users(w, &row, 1, out));
    }
}
void fake_write_snapshot(const struct fake_feed *s, int64_t now_s, struct sp_buf *out) {
    struct sp_snapshot_writer w;
    struct sp_snapshot_trailer trailer;
    struct sp_feed_signed text;
    uint8_t body[SP_SHA256_BYTES];
    struct sp_snapshot_header h = {
        .at = {.seq = fake_seq(s)}, .time_s = now_s, .global_epoch = s->global_epoch};
    memcpy(h.at.epoch, s->epoch, sizeof h.at.epoch);
    memcpy(h.head, s->heads[s->n], sizeof h.head);
    memcpy(h.fingerprint_key, s->fingerprint_key, sizeof h.fingerprint_key);
    MUST(sp_snapshot_begin(&w, &h, out));
    for (size_t i = 0; i < s->n; i++) write_row(s, &w, &s->log[i], out);
    MUST(sp_snapshot_end(&w, out, body));
    MUST(sp_feed_signed_snapshot(issuer_of(s), body, &text));
    sign(s, &text, trailer.signature);
    memcpy(trailer.kid, s->kid, sizeof trailer.kid);
    MUST(sp_snapshot_trailer(&trailer, out));
}

void fake_write_hello(const struct fake_feed *s, struct sp_buf *out) {
    struct sp_feed_hello h = {.issuer = issuer_of(s), .seq = fake_seq(s), .beat_ms = FAKE_BEAT_MS};
    memcpy(h.epoch, s->epoch, sizeof h.epoch);
    memcpy(h.node, s->node, sizeof h.node);
    MUST(sp_feed_write_hello(&h, out));
}
void fake_write_reset(const char *reason, struct sp_buf *out) {
    SP_AUTO(sp_buf) data = SP_BUF_INIT(64);
    MUST(sp_buf_printf(&data, "{\"reason\":\"%s\"}", reason));
    MUST(sp_feed_write_event("reset", sp_buf_slice(&data), out));
}
void fake_write_documents(const struct fake_feed *s, struct sp_buf *out) {
    MUST(sp_feed_write_event("roles", sp_slice_cstr(s->roles), out));
    MUST(sp_feed_write_event("keys", sp_slice_cstr(s->keys), out));
}
void fake_write_revocations(const struct fake_feed *s, uint64_t seq, struct sp_buf *out) {
    for (size_t i = 0; i < s->n; i++)
        if (s->log[i].seq > seq) MUST(sp_feed_write_revocation(s->epoch, &s->log[i], out));
}
void fake_write_beat(const struct fake_feed *s, uint64_t boot_ms, struct sp_buf *out) {
    struct sp_feed_beat b = {.boot_ms = boot_ms, .seq = fake_seq(s)};
    struct sp_feed_signed text;
    memcpy(b.node, s->node, sizeof b.node);
    memcpy(b.head, s->heads[s->n], sizeof b.head);
    sp_sha256(sp_slice_cstr(s->roles), b.roles);
    sp_sha256(sp_slice_cstr(s->keys), b.keys);
    memcpy(b.kid, s->kid, sizeof b.kid);
    MUST(sp_feed_signed_beat(issuer_of(s), s->epoch, &b, &text));
    sign(s, &text, b.signature);
    MUST(sp_feed_write_beat(&b, out));
}

void fake_write_beginning(const struct fake_feed *s, const char *last_event_id, uint64_t boot_ms,
                          struct sp_buf *out) {
    struct sp_feed_position at;
    uint64_t from = fake_seq(s);
    const char *reset = NULL;
    if (last_event_id != NULL) {
        MUST(sp_feed_position_parse(sp_slice_cstr(last_event_id), &at));
        if (memcmp(at.epoch, s->epoch, sizeof at.epoch) != 0)
            reset = "epoch";
        else if (at.seq > fake_seq(s))
            reset = "ahead";
        else if (at.seq < s->backlog_from)
            reset = "backlog";
        else
            from = at.seq;
    }
    fake_write_hello(s, out);
    if (reset != NULL) fake_write_reset(reset, out);
    fake_write_documents(s, out);
    fake_write_revocations(s, from, out);
    fake_write_beat(s, boot_ms, out);
}

bool fake_write_answer(const struct fake_feed *s, sp_slice question, uint64_t boot_ms, struct sp_buf *out) {
    struct sp_json_node nodes[4];
    struct sp_json doc = {.nodes = nodes, .cap = 4};
    struct sp_feed_nonce_answer a = {.boot_ms = boot_ms};
    struct sp_feed_signed text;
    if (!sp_ok(sp_json_parse(question, &doc)) || nodes[0].type != SP_JSON_OBJECT) return false;
    const struct sp_json_node *nonce = sp_json_get(&doc, &nodes[0], "nonce");
    if (nonce == NULL || !sp_ok(sp_base64url_decode_exact(nonce->raw, a.nonce, sizeof a.nonce))) return false;
    memcpy(a.epoch, s->epoch, sizeof a.epoch);
    memcpy(a.node, s->node, sizeof a.node);
    memcpy(a.kid, s->kid, sizeof a.kid);
    MUST(sp_feed_signed_nonce(issuer_of(s), &a, &text));
    sign(s, &text, a.signature);
    MUST(sp_feed_write_nonce_answer(&a, out));
    return true;
}
