/* Refresh tokens: opaque to clients, cheap to refuse, and provable without a history.
 *
 *   sprt_ + base64url( version 1 | key id 1 | sid 20 | generation 4, big endian | tag 8 | secret 16 )     72
 * characters
 *
 * The tag is HMAC-SHA-256 over the first 26 bytes: junk is refused without touching the store. The secret is
 * a ratchet: s_0 is random, s_(g+1) = HMAC-SHA-256(key, "sallyport refresh ratchet v1" || sid || be32(g+1) ||
 * s_g), its first 16 bytes. So the stored row (G, s_G) proves an old token genuine by ratcheting that token
 * forward, the successor of a token is always the same, and neither the database nor the server's key mints a
 * token alone. Tag and ratchet use separate subkeys of one 32-byte refresh key (HKDF): a leaked tag key would
 * not let anyone compute successors.
 *
 * Pure; a prepared key is read-only and may be shared between threads. Secrets in structs are the caller's to
 * wipe. */
#ifndef SP_TOKEN_REFRESH_TOKEN_H
#define SP_TOKEN_REFRESH_TOKEN_H

#include "base/mem.h"
#include "base/slice.h"
#include "base/status.h"
#include "crypto/digest.h"
#include "token/ids.h"

#define SP_REFRESH_KEY_BYTES 32
#define SP_REFRESH_SECRET_BYTES 16
#define SP_REFRESH_TAG_BYTES 8
#define SP_REFRESH_BYTES 50
#define SP_REFRESH_PREFIX "sprt_"
#define SP_REFRESH_CHARS 72
#define SP_REFRESH_VERSION 1

/* Prepared once for each refresh key. */
struct sp_refresh_key {
    uint8_t id;
    struct sp_hmac_key tag;
    struct sp_hmac_key ratchet;
};
void sp_refresh_key_init(struct sp_refresh_key *key, uint8_t id, const uint8_t secret[SP_REFRESH_KEY_BYTES]);
void sp_refresh_key_done(struct sp_refresh_key *key);

struct sp_refresh_token {
    uint8_t key_id;
    sp_sid sid;
    uint32_t generation;
    uint8_t secret[SP_REFRESH_SECRET_BYTES];
};
void sp_refresh_token_done(struct sp_refresh_token *t); /* wipes */

/* Writes exactly SP_REFRESH_CHARS characters, no NUL. key->id must be token->key_id (sp_assert: ours to get
 * right). */
void sp_refresh_token_encode(const struct sp_refresh_token *token, const struct sp_refresh_key *key,
                             char out[SP_REFRESH_CHARS]);

/* The key with this id, or NULL. Borrowed during the call. */
typedef const struct sp_refresh_key *(*sp_refresh_key_find)(void *arg, uint8_t id);
/* SP_E_MALFORMED: not of the form, or another version; SP_E_NOT_FOUND: no such key; SP_E_CRYPTO: the tag is
 * wrong. To clients all three are one answer. The secret is not checked here: only the session row can. */
sp_status sp_refresh_token_parse(sp_slice text, sp_refresh_key_find find, void *arg,
                                 struct sp_refresh_token *ret_token);

/* secret = s_g  ->  s_(g+1), in place; `generation` is g. */
void sp_refresh_ratchet(const struct sp_refresh_key *key, sp_sid sid, uint32_t generation,
                        uint8_t secret[SP_REFRESH_SECRET_BYTES]);
/* Steps from generation `from` to `to`. SP_E_LIMIT when to < from or to - from > max_steps (each step costs
 * about 0.4 us: name your bound); *secret is then untouched. */
sp_status sp_refresh_ratchet_forward(const struct sp_refresh_key *key, sp_sid sid, uint32_t from, uint32_t to,
                                     uint32_t max_steps, uint8_t secret[SP_REFRESH_SECRET_BYTES]);

#endif
