/* Device tokens: who has logged in here before is not a stranger, whatever strangers do to the account.
 *
 *   base64url( version 1 | device id 16 | user id 16 | issued at, ms, 8 | HMAC-SHA-256 over these, 32 )
 *
 * (The idea is OWASP's device cookie.) A token is worth a bucket of its own, nothing more: it logs nobody in.
 * It is bound to the user's id, dies after a year, and is older than the password after a change of it:
 * somebody who knew the old password could have collected any number of them, each with its attempts.
 *
 * The key is derived from the CSRF key, which every server has and which is never rotated: one block of
 * HKDF-Expand (RFC 5869 section 2.3) with a label of our own. Thread-safe. */
#include "core/app_internal.h"

#include "base/base64url.h"
#include "base/ct.h"

enum {
    VERSION = 1,
    ID_AT = 1,
    USER_AT = ID_AT + SP_DEVICE_ID_BYTES,
    ISSUED_AT = USER_AT + SP_ROW_ID_BYTES,
    TAG_AT = ISSUED_AT + 8,
    TOKEN_BYTES = TAG_AT + SP_SHA256_BYTES,
    EARLY_MS =
        60 * 1000, /* how far a clock that was set back may make a token seem to come from the future */
};
_Static_assert((TOKEN_BYTES * 8 + 5) / 6 == SP_DEVICE_TOKEN_CHARS, "98 characters of base64url");

void sp_device_key_init(struct sp_app *app) {
    const sp_slice info[] = {SP_SLICE_LIT("sallyport device token v1"), SP_SLICE_LIT("\x01")};
    uint8_t key[SP_SHA256_BYTES];
    sp_hmac_parts(sp_keys_csrf(app->keys), info, SP_ARRAY_LEN(info), key);
    sp_hmac_key_init(&app->device_key, SP_SLICE_ARRAY(key));
    sp_wipe(key, sizeof(key));
}

static void tag_of(const struct sp_app *app, const uint8_t *token, uint8_t ret[SP_SHA256_BYTES]) {
    sp_hmac(&app->device_key, sp_slice_of(token, TAG_AT), ret);
}

static int64_t issued_ms(const uint8_t *token) {
    uint64_t v = 0;
    for (size_t i = 0; i < 8; i++) v = v << 8 | token[ISSUED_AT + i];
    return (int64_t)v;
}

static bool is_current(int64_t issued, const struct sp_user_row *user, int64_t now_ms) {
    return issued >= user->password_changed_ms && issued <= now_ms + EARLY_MS &&
           now_ms - issued < (int64_t)SP_DEVICE_TOKEN_TTL_S * 1000;
}

bool sp_device_known(const struct sp_app *app, sp_slice text, const struct sp_user_row *user, int64_t now_ms,
                     struct sp_device *ret) {
    uint8_t token[TOKEN_BYTES], tag[SP_SHA256_BYTES];
    if (text.n != SP_DEVICE_TOKEN_CHARS || !sp_ok(sp_base64url_decode_exact(text, token, sizeof(token))))
        return false;
    tag_of(app, token, tag);
    if (!sp_ct_equal(SP_SLICE_ARRAY(tag), sp_slice_of(token + TAG_AT, sizeof(tag)))) return false;
    /* Ours, so what it says is true. */
    if (token[0] != VERSION || memcmp(token + USER_AT, user->id, sizeof(user->id)) != 0) return false;
    if (!is_current(issued_ms(token), user, now_ms)) return false;
    memcpy(ret->id, token + ID_AT, sizeof(ret->id));
    return true;
}

void sp_device_token(const struct sp_app *app, const struct sp_device *device, const uint8_t *user_id,
                     int64_t now_ms, char ret[SP_DEVICE_TOKEN_CHARS]) {
    uint8_t token[TOKEN_BYTES] = {VERSION};
    memcpy(token + ID_AT, device->id, sizeof(device->id));
    memcpy(token + USER_AT, user_id, SP_ROW_ID_BYTES);
    for (size_t i = 0; i < 8; i++) token[ISSUED_AT + i] = (uint8_t)((uint64_t)now_ms >> (56 - 8 * i));
    tag_of(app, token, token + TAG_AT);
    sp_base64url_encode(SP_SLICE_ARRAY(token), ret);
}
