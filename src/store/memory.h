/* A backend that keeps everything in memory: for a server that may forget, for simulations, and for tests.
 *
 * Same meaning as the others, by the same code (store/apply.h); what differs is only how rows are kept. It
 * has no thread: a change set or a read is applied when it is submitted, under a mutex, and its completion is
 * posted to the request's executor. So with a deterministic executor it is deterministic, and with loops it
 * is thread-safe.
 *
 * The publisher is called under that mutex: it must not submit to the store. */
#ifndef SP_STORE_MEMORY_H
#define SP_STORE_MEMORY_H

#include "core/store.h"

/* SP_E_NOMEM; SP_E_UNAVAILABLE: no randomness for the feed's epoch. */
sp_status sp_store_memory_new(struct sp_store **ret);

/* ---- faults, for tests and simulations ---- */

enum sp_memory_fault {
    SP_MEMORY_FAULT_NONE,
    SP_MEMORY_FAULT_UNAVAILABLE,         /* nothing changed, SP_E_UNAVAILABLE */
    SP_MEMORY_FAULT_UNKNOWN_APPLIED,     /* SP_E_UNKNOWN, and it happened (published, too) */
    SP_MEMORY_FAULT_UNKNOWN_NOT_APPLIED, /* SP_E_UNKNOWN, and it did not */
    SP_MEMORY_FAULT_BUSY,                /* nothing changed, SP_E_BUSY */
};
/* Of the commits that follow, the nth (1: the next) and the `times - 1` after it meet the fault. Replaces
 * what was armed. health is SP_E_UNAVAILABLE from a faulty commit (but BUSY) until one succeeds. */
void sp_store_memory_fail(struct sp_store *store, uint64_t nth, uint64_t times, enum sp_memory_fault fault);
/* While set, reads answer SP_E_UNAVAILABLE. */
void sp_store_memory_fail_reads(struct sp_store *store, bool fail);

/* Old backups: a copy of the whole state, and the store's return to it. With bump_incarnation the way
 * `sallyport restore` does it; without, as somebody does who copies files behind our back. A snapshot can be
 * restored many times. */
struct sp_memory_snapshot;
sp_status sp_store_memory_snapshot(struct sp_store *store, struct sp_memory_snapshot **ret);
sp_status sp_store_memory_restore(struct sp_store *store, const struct sp_memory_snapshot *snapshot,
                                  bool bump_incarnation);
void sp_memory_snapshot_free(struct sp_memory_snapshot *snapshot);

#endif
