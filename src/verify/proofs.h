/* Proofs of possession at a handle of the library: which were seen, and which nonce they must carry. What a
 * proof says is token/dpop.h's; the token that it goes with was accepted before. Any thread. */
#ifndef SP_VERIFY_PROOFS_H
#define SP_VERIFY_PROOFS_H

#include "token/dpop.h"
#include "token/dpop_nonce.h"
#include "token/replay.h"

struct sp_proofs {
    struct sp_replay *seen;
    struct sp_dpop_nonces nonces; /* of this handle; those of others are none */
    bool need_nonce;
};

/* SP_E_LIMIT (entries), SP_E_NOMEM, SP_E_UNAVAILABLE. `p` is zeroed memory, or one that is done. */
sp_status sp_proofs_init(struct sp_proofs *p, size_t entries, bool need_nonce,
                         const struct sp_random *random);
void sp_proofs_done(struct sp_proofs *p); /* also of one that init has refused, or never saw */

/* One that holds is remembered: the second time it is REPLAYED. `now_ms`: wall time, with expect->now_s;
 * `boot_ms`: the clock of the nonces. Of a proof that may have been seen before the wall clock was set back a
 * nonce is required, always. */
enum sp_dpop_fault sp_proofs_check(struct sp_proofs *p, sp_slice proof, const struct sp_dpop_expect *expect,
                                   int64_t now_ms, int64_t boot_ms, struct sp_dpop_scratch *scratch)
    __attribute__((warn_unused_result));

#endif
