/* One reclamation seat a thread, found by itself: so that any thread may look at an immutable snapshot
 * (the key ring, the role table) without a lock and without being told about seats.
 *
 * A thread takes its seat at its first look and gives it back when it ends. Turned down: a reference count on
 * the snapshots (every request of every loop would write to one cache line), and a seat handed through every
 * call (every caller would have to know about reclamation).
 *
 * Thread-safe, but for new and free. */
#ifndef SP_CORE_SEATS_H
#define SP_CORE_SEATS_H

#include "revoke/reclaim.h"

struct sp_seats;

/* `reclaim` is borrowed and outlives the seats. SP_E_NOMEM, SP_E_IO. */
sp_status sp_seats_new(struct sp_reclaim *reclaim, struct sp_seats **ret);
/* No thread is inside or comes back. */
void sp_seats_free(struct sp_seats *seats);
SP_DEFINE_FREE(sp_seats);

/* The calling thread looks from here on; what it loads stays good until it leaves. May nest. No I/O and no
 * waiting inside. More threads than the reclaimer has seats for is a mistake of the wiring: sp_assert. */
void sp_seats_enter(struct sp_seats *seats);
void sp_seats_leave(struct sp_seats *seats);

struct sp_reclaim *sp_seats_reclaim(struct sp_seats *seats);

#endif
