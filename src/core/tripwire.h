/* Proves a presented refresh token against a session's row by the ratchet (DESIGN sections 4 and 5).
 * Pure but for the HMACs; thread-safe. */
#ifndef SP_CORE_TRIPWIRE_H
#define SP_CORE_TRIPWIRE_H

#include "core/session.h"
#include "token/refresh_token.h"

enum {
    SP_PROOF_SHORT = 256, /* steps that a loop may take itself: a tenth of a millisecond */
};
/* More steps than that, so not for the thread of a loop. */
bool sp_tripwire_is_long(const struct sp_session_row *row, const struct sp_refresh_token *token);
/* The token's tag has been found right already (parsing does that, without the store). `key` is the refresh
 * key that the token names; a row born under another one proves nothing. Constant-time compare of secrets; at
 * most SP_RATCHET_PROOF_MAX steps back and SP_HEAL_MAX forward. */
enum sp_proof sp_tripwire_prove(const struct sp_session_row *row, const struct sp_refresh_token *token,
                                const struct sp_refresh_key *key);

#endif
