#include "verify/proofs.h"

sp_status sp_proofs_init(struct sp_proofs *p, size_t entries, bool need_nonce,
                         const struct sp_random *random) {
    SP_TRY(sp_dpop_nonces_init(&p->nonces, random));
    p->need_nonce = need_nonce;
    return sp_replay_new(entries, random, &p->seen);
}

void sp_proofs_done(struct sp_proofs *p) {
    sp_replay_free(p->seen);
    p->seen = NULL;
    sp_dpop_nonces_done(&p->nonces);
}

static bool nonce_is_good(const struct sp_proofs *p, const struct sp_dpop *dpop, int64_t boot_ms) {
    return dpop->nonce.p != NULL && sp_dpop_nonce_is_good(&p->nonces, boot_ms, dpop->nonce);
}

/* A nonce that comes without being asked for may be from another process, and is not looked at. */
enum sp_dpop_fault sp_proofs_check(struct sp_proofs *p, sp_slice proof, const struct sp_dpop_expect *expect,
                                   int64_t now_ms, int64_t boot_ms, struct sp_dpop_scratch *scratch) {
    struct sp_dpop dpop;
    enum sp_dpop_fault f = sp_dpop_check(proof, expect, scratch, &dpop);
    if (f != SP_DPOP_NONE) return f;
    sp_dpop_nonces_look(&p->nonces, now_ms, boot_ms);
    const bool is_needed = p->need_nonce || sp_replay_may_have_forgotten(p->seen, dpop.replay_until_ms);
    if (is_needed && !nonce_is_good(p, &dpop, boot_ms)) return SP_DPOP_NONCE_REQUIRED;
    switch (sp_replay_add(p->seen, dpop.id, dpop.replay_until_ms, now_ms)) {
    case SP_REPLAY_NEW: return SP_DPOP_NONE;
    case SP_REPLAY_SEEN: return SP_DPOP_REPLAYED;
    case SP_REPLAY_FULL: break;
    }
    return SP_DPOP_TABLE_FULL;
}
