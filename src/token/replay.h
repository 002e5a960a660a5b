/* What was seen, and must not be seen again until it has expired by itself: DPoP proofs, client assertions.
 *
 *   sp_replay_add(table, proof.id, proof.replay_until_ms, now_ms) == SP_REPLAY_NEW, or refuse
 *
 * Bounded: all memory is taken in new and touched as entries come. A full table refuses: to forget an entry
 * that has not expired would let it pass twice. So add what is good in every other respect, and nothing else.
 *
 * In one process, and gone with it: whoever starts must refuse what may have been seen before the start
 * (sp_dpop_may_predate, sp_client_assertion_may_predate). The same when the clock is set back: what expired
 * by the time before was forgotten, and is in time once more (sp_replay_may_have_forgotten).
 *
 * Thread-safe: one lock, held for a walk along one short chain; places are found by a hash under a random
 * key, so nobody can aim at one. */
#ifndef SP_TOKEN_REPLAY_H
#define SP_TOKEN_REPLAY_H

#include "base/mem.h"
#include "base/ports.h"
#include "crypto/digest.h"

/* Two thousand proofs a second for a minute; 4.5 MiB when it is full. */
#define SP_REPLAY_ENTRIES_DEFAULT 131072
#define SP_REPLAY_ENTRIES_MIN 64
#define SP_REPLAY_ENTRIES_MAX                                                                                \
    (16 * 1024 * 1024) /* half a gigabyte: a larger figure is a slip of the unit                             \
                        */

/* Zero refuses. */
enum sp_replay_verdict { SP_REPLAY_FULL = 0, SP_REPLAY_SEEN = 1, SP_REPLAY_NEW = 2 };

struct sp_replay;

/* SP_E_LIMIT, SP_E_NOMEM, SP_E_UNAVAILABLE (no randomness). `random` is used here only. */
sp_status sp_replay_new(size_t entries_max, const struct sp_random *random, struct sp_replay **ret);
void sp_replay_free(struct sp_replay *table); /* accepts NULL */
SP_DEFINE_FREE(sp_replay);

/* NEW: it is in the table now, and will be SEEN while now_ms < expires_ms. An expires_ms that has passed is
 * NEW, and is not remembered. */
enum sp_replay_verdict sp_replay_add(struct sp_replay *table, const uint8_t hash[SP_SHA256_BYTES],
                                     int64_t expires_ms, int64_t now_ms) __attribute__((warn_unused_result));

/* May an entry of this expires_ms have been here? As long as the clock only goes forward it is false for all
 * that has not expired. */
bool sp_replay_may_have_forgotten(struct sp_replay *table, int64_t expires_ms);

/* Entries that are held, expired ones that nobody came across among them. For metrics. */
size_t sp_replay_entries(struct sp_replay *table);

#endif
