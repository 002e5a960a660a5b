#include "token/refresh_token.h"

#include "base/assert.h"
#include "base/base64url.h"
#include "base/ct.h"
#include "base/reader.h"

enum { TAGGED_BYTES = 26 };
_Static_assert(1 + 1 + SP_SID_BYTES + 4 == TAGGED_BYTES, "what the tag covers");
_Static_assert(TAGGED_BYTES + SP_REFRESH_TAG_BYTES + SP_REFRESH_SECRET_BYTES == SP_REFRESH_BYTES,
               "refresh token");
_Static_assert(sizeof SP_REFRESH_PREFIX - 1 + SP_BASE64URL_CHARS(SP_REFRESH_BYTES) == SP_REFRESH_CHARS,
               "its text");

static const char ratchet_domain[] = "sallyport refresh ratchet v1";

static void subkey(sp_slice secret, sp_slice info, struct sp_hmac_key *ret) {
    uint8_t derived[SP_SHA256_BYTES];
    sp_hkdf_sha256(secret, SP_SLICE_EMPTY, info, derived, sizeof derived);
    sp_hmac_key_init(ret, SP_SLICE_ARRAY(derived));
    sp_wipe(derived, sizeof derived);
}

void sp_refresh_key_init(struct sp_refresh_key *key, uint8_t id, const uint8_t secret[SP_REFRESH_KEY_BYTES]) {
    sp_slice s = sp_slice_of(secret, SP_REFRESH_KEY_BYTES);
    key->id = id;
    subkey(s, SP_SLICE_LIT("sallyport refresh tag key v1"), &key->tag);
    subkey(s, SP_SLICE_LIT("sallyport refresh ratchet key v1"), &key->ratchet);
}

void sp_refresh_key_done(struct sp_refresh_key *key) {
    sp_wipe(key, sizeof *key);
}

void sp_refresh_token_done(struct sp_refresh_token *t) {
    sp_wipe(t, sizeof *t);
}

static void put_u32be(uint8_t out[4], uint32_t v) {
    out[0] = (uint8_t)(v >> 24);
    out[1] = (uint8_t)(v >> 16);
    out[2] = (uint8_t)(v >> 8);
    out[3] = (uint8_t)v;
}

void sp_refresh_token_encode(const struct sp_refresh_token *token, const struct sp_refresh_key *key,
                             char out[SP_REFRESH_CHARS]) {
    uint8_t bytes[SP_REFRESH_BYTES] = {SP_REFRESH_VERSION, token->key_id}, mac[SP_SHA256_BYTES];
    sp_assert(key->id == token->key_id);
    memcpy(bytes + 2, token->sid.b, SP_SID_BYTES);
    put_u32be(bytes + 2 + SP_SID_BYTES, token->generation);
    sp_hmac(&key->tag, sp_slice_of(bytes, TAGGED_BYTES), mac);
    memcpy(bytes + TAGGED_BYTES, mac, SP_REFRESH_TAG_BYTES);
    memcpy(bytes + TAGGED_BYTES + SP_REFRESH_TAG_BYTES, token->secret, SP_REFRESH_SECRET_BYTES);
    memcpy(out, SP_REFRESH_PREFIX, sizeof SP_REFRESH_PREFIX - 1);
    sp_base64url_encode(SP_SLICE_ARRAY(bytes), out + sizeof SP_REFRESH_PREFIX - 1);
    sp_wipe(bytes, sizeof bytes);
}

static sp_status check_tag(const struct sp_refresh_key *key, const uint8_t bytes[SP_REFRESH_BYTES]) {
    uint8_t mac[SP_SHA256_BYTES];
    sp_hmac(&key->tag, sp_slice_of(bytes, TAGGED_BYTES), mac);
    bool equal = sp_ct_equal(sp_slice_of(mac, SP_REFRESH_TAG_BYTES),
                             sp_slice_of(bytes + TAGGED_BYTES, SP_REFRESH_TAG_BYTES));
    sp_wipe(mac, sizeof mac);
    return equal ? SP_SUCCESS : sp_err(SP_E_CRYPTO);
}

static sp_status read_fields(const uint8_t bytes[SP_REFRESH_BYTES], struct sp_refresh_token *ret) {
    struct sp_reader r = SP_READER(sp_slice_of(bytes, SP_REFRESH_BYTES));
    uint8_t version;
    sp_slice tag;
    SP_TRY(sp_reader_u8(&r, &version));
    if (version != SP_REFRESH_VERSION) return sp_err(SP_E_MALFORMED);
    SP_TRY(sp_reader_u8(&r, &ret->key_id));
    SP_TRY(sp_reader_copy(&r, ret->sid.b, SP_SID_BYTES));
    SP_TRY(sp_reader_u32be(&r, &ret->generation));
    SP_TRY(sp_reader_bytes(&r, SP_REFRESH_TAG_BYTES, &tag));
    SP_TRY(sp_reader_copy(&r, ret->secret, SP_REFRESH_SECRET_BYTES));
    return sp_reader_end(&r);
}

static sp_status parse_bytes(const uint8_t bytes[SP_REFRESH_BYTES], sp_refresh_key_find find, void *arg,
                             struct sp_refresh_token *ret_token) {
    SP_AUTO(sp_refresh_token) token = {0};
    SP_TRY(read_fields(bytes, &token));
    const struct sp_refresh_key *key = find(arg, token.key_id);
    if (key == NULL) return sp_err(SP_E_NOT_FOUND);
    SP_TRY(check_tag(key, bytes));
    *ret_token = token;
    return SP_SUCCESS;
}

sp_status sp_refresh_token_parse(sp_slice text, sp_refresh_key_find find, void *arg,
                                 struct sp_refresh_token *ret_token) {
    static const sp_slice prefix = SP_SLICE_LIT(SP_REFRESH_PREFIX);
    uint8_t bytes[SP_REFRESH_BYTES];
    if (text.n != SP_REFRESH_CHARS || !sp_slice_starts(text, prefix)) return sp_err(SP_E_MALFORMED);
    sp_slice base64url = sp_slice_of(text.p + prefix.n, text.n - prefix.n);
    sp_status s = sp_base64url_decode_exact(base64url, bytes, sizeof bytes);
    if (sp_ok(s)) s = parse_bytes(bytes, find, arg, ret_token);
    sp_wipe(bytes, sizeof bytes);
    return s;
}

void sp_refresh_ratchet(const struct sp_refresh_key *key, sp_sid sid, uint32_t generation,
                        uint8_t secret[SP_REFRESH_SECRET_BYTES]) {
    uint8_t next[4], mac[SP_SHA256_BYTES];
    put_u32be(next, generation + 1);
    const sp_slice parts[] = {sp_slice_of(ratchet_domain, sizeof ratchet_domain - 1), SP_SLICE_ARRAY(sid.b),
                              SP_SLICE_ARRAY(next), sp_slice_of(secret, SP_REFRESH_SECRET_BYTES)};
    sp_hmac_parts(&key->ratchet, parts, SP_ARRAY_LEN(parts), mac);
    memcpy(secret, mac, SP_REFRESH_SECRET_BYTES);
    sp_wipe(mac, sizeof mac);
}

sp_status sp_refresh_ratchet_forward(const struct sp_refresh_key *key, sp_sid sid, uint32_t from, uint32_t to,
                                     uint32_t max_steps, uint8_t secret[SP_REFRESH_SECRET_BYTES]) {
    if (to < from || to - from > max_steps) return sp_err(SP_E_LIMIT);
    for (uint32_t g = from; g < to; g++) sp_refresh_ratchet(key, sid, g, secret);
    return SP_SUCCESS;
}
