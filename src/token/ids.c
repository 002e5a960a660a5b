#include "token/ids.h"

#include "base/base64url.h"

_Static_assert(SP_BASE64URL_CHARS(SP_ID_BYTES) == SP_ID_CHARS, "id text");
_Static_assert(SP_BASE64URL_CHARS(SP_SID_BYTES) == SP_SID_CHARS, "sid text");

sp_status sp_id_random(const struct sp_random *random, sp_id *ret_id) {
    sp_id id;
    SP_TRY(sp_random_fill(random, id.b, sizeof id.b));
    *ret_id = id;
    return SP_SUCCESS;
}

void sp_id_text(sp_id id, char out[SP_ID_CHARS]) {
    sp_base64url_encode(SP_SLICE_ARRAY(id.b), out);
}

sp_status sp_id_parse(sp_slice text, sp_id *ret_id) {
    sp_id id;
    SP_TRY(sp_base64url_decode_exact(text, id.b, sizeof id.b));
    *ret_id = id;
    return SP_SUCCESS;
}

/* The domain string keeps this use of the key apart from any other that may come. */
void sp_user_tag(const struct sp_hmac_key *tag_key, sp_slice user, uint8_t out[SP_SID_TAG_BYTES]) {
    uint8_t mac[SP_SHA256_BYTES];
    const sp_slice parts[] = {SP_SLICE_LIT("sallyport sid tag v1"), user};
    sp_hmac_parts(tag_key, parts, 2, mac);
    memcpy(out, mac, SP_SID_TAG_BYTES);
}

sp_status sp_sid_new(const struct sp_hmac_key *tag_key, sp_slice user, const struct sp_random *random,
                     sp_sid *ret_sid) {
    sp_sid sid;
    sp_user_tag(tag_key, user, sid.b);
    SP_TRY(sp_random_fill(random, sid.b + SP_SID_TAG_BYTES, SP_SID_BYTES - SP_SID_TAG_BYTES));
    *ret_sid = sid;
    return SP_SUCCESS;
}

bool sp_sid_is_of(sp_sid sid, const struct sp_hmac_key *tag_key, sp_slice user) {
    uint8_t tag[SP_SID_TAG_BYTES];
    sp_user_tag(tag_key, user, tag);
    return memcmp(tag, sid.b, sizeof tag) == 0; /* a sid is public */
}

uint16_t sp_user_bucket(const struct sp_hmac_key *tag_key, sp_slice user) {
    sp_sid sid = {{0}};
    sp_user_tag(tag_key, user, sid.b);
    return sp_sid_bucket(sid);
}

void sp_sid_text(sp_sid sid, char out[SP_SID_CHARS]) {
    sp_base64url_encode(SP_SLICE_ARRAY(sid.b), out);
}

sp_status sp_sid_parse(sp_slice text, sp_sid *ret_sid) {
    sp_sid sid;
    SP_TRY(sp_base64url_decode_exact(text, sid.b, sizeof sid.b));
    *ret_sid = sid;
    return SP_SUCCESS;
}

void sp_client_subject(sp_slice client_id, uint8_t ret[SP_ID_BYTES]) {
    static const sp_slice domain = SP_SLICE_LIT("sallyport client subject\0");
    uint8_t hash[SP_SHA256_BYTES];
    struct sp_sha256 h;
    sp_sha256_init(&h);
    sp_sha256_update(&h, domain);
    sp_sha256_update(&h, client_id);
    sp_sha256_final(&h, hash);
    memcpy(ret, hash, SP_ID_BYTES);
}

enum sp_subject sp_subject_of(sp_slice sub, sp_slice client_id, sp_id *ret_id) {
    if (sp_ok(sp_id_parse(sub, ret_id))) return SP_SUBJECT_USER;
    if (sub.n == 0 || !sp_slice_eq(sub, client_id)) return SP_SUBJECT_UNKNOWN;
    sp_client_subject(client_id, ret_id->b);
    return SP_SUBJECT_CLIENT;
}
