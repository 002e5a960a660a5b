/* Proof of life: every interval a pulse goes through each loop and through the store's writer. `alive` is
 * called, on the first loop, when all of them have come back; a stuck thread therefore silences it, and
 * whoever waits for it (the service manager's watchdog) ends and restarts us.
 *
 * A store that refuses (a full disk) still beats: restarting would not mend it, and /readyz tells. */
#ifndef SP_SERVER_HEARTBEAT_H
#define SP_SERVER_HEARTBEAT_H

#include "core/store.h"
#include "loop/loop.h"

struct sp_heartbeat;
/* loops[0] is where the timer runs and where everything here is called. The loops and the store must outlive
 * it. SP_E_NOMEM. */
sp_status sp_heartbeat_new(struct sp_loop *const *loops, size_t n, struct sp_store *store,
                           int64_t interval_ms, void (*alive)(void *arg), void *arg,
                           struct sp_heartbeat **ret);
/* Only when no pulse can come back any more: loops stopped and store closed. Accepts NULL. */
void sp_heartbeat_free(struct sp_heartbeat *hb);

#endif
