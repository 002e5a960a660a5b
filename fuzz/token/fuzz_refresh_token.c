/* Refresh tokens. First byte odd: the rest is a text; even: the rest is 26 + 16 bytes that are tagged here,
 * so that the tag is passed. What is accepted must be the one text of its fields. */
#include "base/assert.h"
#include "base/base64url.h"
#include "token/refresh_token.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct sp_refresh_key key;

static const struct sp_refresh_key *find(void *arg, uint8_t id) {
    (void)arg;
    return id == key.id ? &key : NULL;
}

static sp_slice tagged(const uint8_t *data, char text[SP_REFRESH_CHARS]) {
    uint8_t bytes[SP_REFRESH_BYTES], mac[SP_SHA256_BYTES];
    memcpy(bytes, data, 26);
    sp_hmac(&key.tag, sp_slice_of(bytes, 26), mac);
    memcpy(bytes + 26, mac, SP_REFRESH_TAG_BYTES);
    memcpy(bytes + 26 + SP_REFRESH_TAG_BYTES, data + 26, SP_REFRESH_SECRET_BYTES);
    memcpy(text, SP_REFRESH_PREFIX, 5);
    sp_base64url_encode(SP_SLICE_ARRAY(bytes), text + 5);
    return sp_slice_of(text, SP_REFRESH_CHARS);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const uint8_t secret[SP_REFRESH_KEY_BYTES] = {42};
    char made[SP_REFRESH_CHARS], again[SP_REFRESH_CHARS];
    struct sp_refresh_token token;
    if (key.id == 0) sp_refresh_key_init(&key, 1, secret);
    if (size == 0) return 0;
    sp_slice text = sp_slice_of(data + 1, size - 1);
    if (data[0] % 2 == 0 && size > 26 + SP_REFRESH_SECRET_BYTES) text = tagged(data + 1, made);
    if (!sp_ok(sp_refresh_token_parse(text, find, NULL, &token))) return 0;
    sp_refresh_token_encode(&token, &key, again);
    sp_assert(sp_slice_eq(text, SP_SLICE_ARRAY(again)));
    return 0;
}
