/* Safe memory reclamation: lets readers walk shared memory without a lock, and tells writers when what they
 * unlinked may be freed.
 *
 * Epoch based. A reader brackets its look at shared memory with enter and exit: enter writes the current
 * epoch into the reader's own slot (one atomic exchange), exit clears it (one store). A writer first unlinks
 * an object, then retires it: retiring stamps the object with the epoch and advances it. The object is freed
 * when every reader is either outside, or entered after the stamp.
 *
 * What is promised, and to whom:
 *   - A pointer loaded inside enter/exit stays good until exit, if it was loaded *from a root that is written
 *     with memory_order_seq_cst, by a seq_cst load*, and was retired only after the root stopped naming it.
 *     (Weaker orders would allow the load to pass the write of the slot; on x86-64 the load costs nothing.)
 *   - A reader outside blocks nobody, however long it stays away, and one that ends gives its slot back by
 *     sp_reclaim_reader_leave. A reader that stays *inside* holds back everything retired since it entered:
 *     so never sleep, never do I/O inside. sp_reclaim_pending shows it; nothing is ever freed early.
 *   - What is retired is freed by a later retire (every SP_RECLAIM_BATCH objects), by sp_reclaim_collect,
 *     which some timer should call, or by sp_reclaim_free at last.
 *   - Retiring never allocates and so never fails: the object carries the link in itself.
 *
 * Turned down: reference counts on the objects (every reader would write to the same cache line), hazard
 * pointers (an ordered store and a second load for every object), pure QSBR (needs every thread to pass a
 * quiescent point; a thread that blocks in a poll would hold everything). */
#ifndef SP_REVOKE_RECLAIM_H
#define SP_REVOKE_RECLAIM_H

#include <stdatomic.h>

#include "base/assert.h"
#include "base/mem.h"
#include "base/status.h"

/* Threads of a process that look at the same time. A seat takes 64 bytes from when it is first taken on, and
 * collections look at no others, so a large maximum costs nothing: the lowest free seat is given out first.
 */
#define SP_RECLAIM_READERS_MAX 4096
/* Objects retired between two collections that retire starts by itself: the scan is paid once for many. */
#define SP_RECLAIM_BATCH 32

struct sp_reclaim;

/* One thread's seat. Lives inside the sp_reclaim; only its thread may enter and exit. */
struct sp_reclaim_reader {
    _Alignas(64) _Atomic uint64_t epoch; /* 0: outside; otherwise the epoch at enter. A line of its own */
    const _Atomic uint64_t *now;         /* the current epoch, shared */
    uint32_t depth;                      /* sections may nest; the outermost counts */
    bool taken;                          /* guarded by the owner's mutex */
};

/* The link that a reclaimable object carries. `free_fn` gets the link back (SP_CONTAINER_OF finds the
 * object); it runs on whichever thread collects, without any lock of ours held, and may retire more. */
struct sp_retired {
    struct sp_retired *next;
    void (*free_fn)(struct sp_retired *link);
    uint64_t stamp;
};

/* readers_max in 1..SP_RECLAIM_READERS_MAX (SP_E_LIMIT); SP_E_NOMEM. */
sp_status sp_reclaim_new(uint32_t readers_max, struct sp_reclaim **ret);
/* Frees all that is retired. No reader is inside any more, and nobody retires. Accepts NULL. */
void sp_reclaim_free(struct sp_reclaim *r);
SP_DEFINE_FREE(sp_reclaim);

/* A seat for the calling thread, until leave; SP_E_LIMIT when all are taken. Any thread, takes a lock. */
sp_status sp_reclaim_reader_join(struct sp_reclaim *r, struct sp_reclaim_reader **ret);
/* The reader is outside. Accepts NULL. */
void sp_reclaim_reader_leave(struct sp_reclaim *r, struct sp_reclaim_reader *reader);

static inline void sp_reclaim_enter(struct sp_reclaim_reader *reader) {
    if (reader->depth++ != 0) return;
    /* acquire: an epoch seen here was advanced after the unlinking that it stands for. seq_cst: the slot is
     * written before any root is loaded (see above). */
    uint64_t e = atomic_load_explicit(reader->now, memory_order_acquire);
    (void)atomic_exchange_explicit(&reader->epoch, e, memory_order_seq_cst);
}
static inline void sp_reclaim_exit(struct sp_reclaim_reader *reader) {
    sp_assert(reader->depth != 0);
    /* release: all that was read inside was read before a collector sees us outside. */
    if (--reader->depth == 0) atomic_store_explicit(&reader->epoch, 0, memory_order_release);
}
static inline bool sp_reclaim_is_inside(const struct sp_reclaim_reader *reader) {
    return reader->depth != 0;
}

/* Any thread. The object is no longer reachable from any root. Takes a lock, shortly; may free others. */
void sp_reclaim_retire(struct sp_reclaim *r, struct sp_retired *link, void (*free_fn)(struct sp_retired *));
/* Frees what nobody can see any more; returns how many objects still wait. Any thread. */
size_t sp_reclaim_collect(struct sp_reclaim *r);
/* Objects that wait. For metrics. Any thread. */
size_t sp_reclaim_pending(const struct sp_reclaim *r);

#endif
