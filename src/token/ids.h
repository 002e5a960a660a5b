/* Identifiers and their texts (base64url, canonical, no padding).
 *
 * A sid is 20 bytes: a 4-byte keyed tag of the user and 16 random bytes. The first 12 bits of the tag are the
 * bucket: all sessions of a user share one, so they share a Redis Cluster slot and can be found without an
 * index. The tag is keyed so that a sid, which stands in every token, does not tell whose it is or let anyone
 * aim at a bucket. Other ids are 16 random bytes. */
#ifndef SP_TOKEN_IDS_H
#define SP_TOKEN_IDS_H

#include "base/ports.h"
#include "base/slice.h"
#include "base/status.h"
#include "crypto/digest.h"

#define SP_ID_BYTES 16
#define SP_ID_CHARS 22
#define SP_SID_BYTES 20
#define SP_SID_CHARS 27
#define SP_SID_TAG_BYTES 4
#define SP_BUCKET_COUNT 4096

typedef struct sp_id {
    uint8_t b[SP_ID_BYTES];
} sp_id;
typedef struct sp_sid {
    uint8_t b[SP_SID_BYTES];
} sp_sid;

sp_status sp_id_random(const struct sp_random *random, sp_id *ret_id);
static inline bool sp_id_eq(sp_id a, sp_id b) {
    return memcmp(a.b, b.b, sizeof a.b) == 0; /* ids are public */
}
void sp_id_text(sp_id id, char out[SP_ID_CHARS]); /* no NUL */
/* SP_E_MALFORMED for anything but the one text of an id. */
sp_status sp_id_parse(sp_slice text, sp_id *ret_id);

/* `tag_key`: the deployment's sid tag key, which never rotates. `user`: the user's immutable id. */
sp_status sp_sid_new(const struct sp_hmac_key *tag_key, sp_slice user, const struct sp_random *random,
                     sp_sid *ret_sid);
/* True when the sid carries the user's tag: a cheap hint, never a proof of ownership. */
bool sp_sid_is_of(sp_sid sid, const struct sp_hmac_key *tag_key, sp_slice user);
/* The tag with which every sid of the user begins: the start of a key range. */
void sp_user_tag(const struct sp_hmac_key *tag_key, sp_slice user, uint8_t out[SP_SID_TAG_BYTES]);
/* The bucket of a user, and of a sid; equal for every sid of the user. 0..SP_BUCKET_COUNT-1 */
uint16_t sp_user_bucket(const struct sp_hmac_key *tag_key, sp_slice user);
static inline uint16_t sp_sid_bucket(sp_sid sid) {
    return (uint16_t)((uint16_t)sid.b[0] << 4 | sid.b[1] >> 4);
}
static inline bool sp_sid_eq(sp_sid a, sp_sid b) {
    return memcmp(a.b, b.b, sizeof a.b) == 0;
}
void sp_sid_text(sp_sid sid, char out[SP_SID_CHARS]); /* no NUL */
sp_status sp_sid_parse(sp_slice text, sp_sid *ret_sid);

/* A client that acts on its own (client_credentials) is the subject of its tokens: `sub` is its `client_id`,
 * which is not the text of an id. Revocation knows subjects by id, so a client has a derived one: the first
 * 16 bytes of SHA-256("sallyport client subject" 0x00 client_id). */
void sp_client_subject(sp_slice client_id, uint8_t ret[SP_ID_BYTES]);

enum sp_subject {
    SP_SUBJECT_UNKNOWN = 0, /* nobody's: such a token could not be revoked, and is refused */
    SP_SUBJECT_USER = 1,    /* sub is the text of an id, and that is the id */
    SP_SUBJECT_CLIENT = 2   /* sub is the client_id and not the text of an id: the derived id */
};
/* Whose token it is that says so, and under which id it is revoked; *ret_id is set unless UNKNOWN. */
enum sp_subject sp_subject_of(sp_slice sub, sp_slice client_id, sp_id *ret_id);

#endif
