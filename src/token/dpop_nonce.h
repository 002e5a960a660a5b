/* Nonces for DPoP proofs (RFC 9449 sections 8 and 9): a server gives one out, and only proofs that carry it
 * are good. So a proof cannot be made in advance, nor be used at a server with another key.
 *
 * Nothing is stored: a nonce is a MAC over the number of a slot of time. It is good during its own slot and
 * the next, so that one that was just given out is never refused. It is no secret, and may be used any number
 * of times: proofs are told apart by their jti.
 *
 * They live by the clock since boot, which does not go back; the key does not outlive the process. But the
 * wall clock, by which proofs are in time, may be set back: then those that came with a nonce of before are
 * in time once more, while who remembers them may have forgotten. So a set-back ends all nonces of before.
 * Thread-safe. */
#ifndef SP_TOKEN_DPOP_NONCE_H
#define SP_TOKEN_DPOP_NONCE_H

#include <stdatomic.h>

#include "base/ports.h"
#include "crypto/digest.h"

#define SP_DPOP_NONCE_CHARS 22 /* 128 bits of MAC */
#define SP_DPOP_NONCE_SLOT_MS                                                                                \
    120000 /* a client that is busy pays one more round trip in two minutes at most */

/* Of one process; init before others have it. */
struct sp_dpop_nonces {
    struct sp_hmac_key key;
    _Atomic int64_t wall_ahead_ms; /* of the clock since boot, at most */
    _Atomic int64_t skip_ms;       /* so much later than by that clock it is for nonces */
};

/* SP_E_UNAVAILABLE: no randomness. */
sp_status sp_dpop_nonces_init(struct sp_dpop_nonces *n, const struct sp_random *random);
void sp_dpop_nonces_done(struct sp_dpop_nonces *n);

/* Before proofs are judged, and nonces given: notices when the wall clock was set back since the last look.
 */
void sp_dpop_nonces_look(struct sp_dpop_nonces *n, int64_t wall_ms, int64_t boot_ms);
/* The nonce to be sent now, without NUL. */
void sp_dpop_nonce_make(const struct sp_dpop_nonces *n, int64_t boot_ms, char ret[SP_DPOP_NONCE_CHARS]);
/* Is it one of the two that are good now? */
bool sp_dpop_nonce_is_good(const struct sp_dpop_nonces *n, int64_t boot_ms, sp_slice nonce);

#endif
