/* Which keys may sign the feed (docs/feed.md, Keys of the feed).
 *
 * The first ones come from a thumbprint that the operator gave, or, without one, from the server itself, over
 * a connection that proves whose it is. After that a new key is trusted only because a trusted one says so:
 * by a succession, or by a `keys` document that a beat has covered, which then names all of them. Asking the
 * server again never adds a key by itself: who once gets hold of the connection must not become the feed for
 * good.
 *
 * One owner; not thread-safe. */
#ifndef SP_VERIFY_FEED_TRUST_H
#define SP_VERIFY_FEED_TRUST_H

#include "base/mem.h"
#include "crypto/sig.h"
#include "revoke/feed.h"

enum {
    SP_FEED_TRUST_KEYS_MAX = 32,        /* a server keeps a retired key of the feed for 90 days */
    SP_FEED_SUCCESSIONS_MAX = 64,       /* offered at once */
    SP_FEED_KEYS_BYTES_MAX = 64 * 1024, /* of an answer with all these */
};

struct sp_feed_trusted {
    uint8_t kid[SP_SHA256_BYTES];
    struct sp_sig_key *key; /* owned */
};
struct sp_feed_trust {
    sp_slice issuer; /* borrowed */
    bool is_pinned;
    uint8_t pin[SP_SHA256_BYTES];
    size_t n;
    struct sp_feed_trusted keys[SP_FEED_TRUST_KEYS_MAX];
};

/* `pin`: a thumbprint, or NULL. */
void sp_feed_trust_init(struct sp_feed_trust *t, sp_slice issuer, const uint8_t *pin);
void sp_feed_trust_done(struct sp_feed_trust *t);

/* An answer of /feed/keys. Begins the trust, or follows successions. SP_E_MALFORMED; SP_E_REFUSED: nothing in
 * it is trusted (the pinned key is not there); SP_E_NOMEM. */
sp_status sp_feed_trust_offer(struct sp_feed_trust *t, sp_slice json);
/* The `feed_keys` of a covered `keys` document: from now on exactly these. SP_E_MALFORMED: there is none that
 * could sign; then the old ones stay. SP_E_NOMEM likewise. */
sp_status sp_feed_trust_replace(struct sp_feed_trust *t, sp_slice keys_document);

/* SP_OK: signed by a key that is trusted. SP_E_NOT_FOUND: the key is not; SP_E_CRYPTO: the signature does not
 * verify; SP_E_NOMEM. Only SP_OK means yes. */
sp_status sp_feed_trust_verify(const struct sp_feed_trust *t, const uint8_t kid[SP_SHA256_BYTES],
                               const struct sp_feed_signed *text,
                               const uint8_t signature[SP_FEED_SIGNATURE_BYTES]);

#endif
