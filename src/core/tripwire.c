/* Old tokens are walked forward to the stored secret; after a rollback the stored secret is walked forward to
 * the token. Both ends are bounded, because whoever holds one genuine token can present it as often as the
 * network allows; the long walks are not for the thread of a loop (sp_op_proof). */
#include "core/tripwire.h"

#include "base/ct.h"
#include "base/mem.h"

static bool walks_to(const struct sp_refresh_key *key, sp_sid sid, uint32_t from, const uint8_t *start,
                     uint32_t to, const uint8_t *end, uint32_t steps_max) {
    uint8_t secret[SP_ROW_SECRET_BYTES];
    memcpy(secret, start, sizeof(secret));
    sp_status walked = sp_refresh_ratchet_forward(key, sid, from, to, steps_max, secret);
    bool arrived = sp_ok(walked) && sp_ct_equal(SP_SLICE_ARRAY(secret), sp_slice_of(end, sizeof(secret)));
    sp_wipe(secret, sizeof(secret));
    return arrived;
}

bool sp_tripwire_is_long(const struct sp_session_row *row, const struct sp_refresh_token *token) {
    bool older = token->generation <= row->generation;
    uint32_t steps = older ? row->generation - token->generation : token->generation - row->generation;
    return steps > SP_PROOF_SHORT && steps <= (older ? SP_RATCHET_PROOF_MAX : SP_HEAL_MAX);
}

enum sp_proof sp_tripwire_prove(const struct sp_session_row *row, const struct sp_refresh_token *token,
                                const struct sp_refresh_key *key) {
    if (token->key_id != row->refresh_key || key->id != row->refresh_key) return SP_PROOF_WRONG;
    if (token->generation > row->generation && token->generation - row->generation > SP_HEAL_MAX)
        return SP_PROOF_BEYOND;
    bool older = token->generation <= row->generation;
    bool ours = older ? walks_to(key, token->sid, token->generation, token->secret, row->generation,
                                 row->secret, SP_RATCHET_PROOF_MAX)
                      : walks_to(key, token->sid, row->generation, row->secret, token->generation,
                                 token->secret, SP_HEAL_MAX);
    return ours ? SP_PROOF_GENUINE : SP_PROOF_WRONG;
}
