/* A thread's place at a handle of the library: its reader of the verifier, and its counters. Found without a
 * lock once it is there; given back when the thread ends, or when the handle is closed, whichever is first.
 *
 * Also who knows whether this process is a child of the one that opened the handle: there no thread follows
 * the feed, and nothing of the handle may be believed. */
#ifndef SP_VERIFY_SEATS_H
#define SP_VERIFY_SEATS_H

#include <stdatomic.h>

#include "token/dpop.h"
#include "verify/verifier.h"

enum sp_seat_count { SP_SEAT_ACCEPTED, SP_SEAT_REFUSED, SP_SEAT_REVOKED, SP_SEAT_STALE, SP_SEAT_COUNTS };

/* One for each handle. */
struct sp_seats {
    uint64_t id; /* never given twice in a process */
    uint64_t process;
    struct sp_verifier *verifier;  /* borrowed; outlives the seats */
    struct sp_seat *first;         /* guarded by the lock of all seats */
    uint64_t gone[SP_SEAT_COUNTS]; /* likewise: of seats that were given back */
};
struct sp_seat {
    uint64_t id; /* of its home; only the thread's own */
    struct sp_verifier_reader *reader;
    _Atomic uint64_t counts[SP_SEAT_COUNTS]; /* written by its thread only */
    struct sp_seat *next_of_thread;
    struct sp_seats *home; /* guarded by the lock; NULL: closed */
    struct sp_seat *next_of_home;
    struct sp_dpop_scratch dpop; /* untouched until the first proof */
    struct sp_dpop_keys dpop_keys;
};

/* SP_E_IO: no thread-specific key, or no handler for forks. */
sp_status sp_seats_init(struct sp_seats *s, struct sp_verifier *verifier);
/* Gives back the seats of all threads. None of them is inside. */
void sp_seats_done(struct sp_seats *s);

bool sp_seats_are_a_childs(const struct sp_seats *s);
/* The calling thread's; made when there is none. NULL: no memory, or too many threads. */
struct sp_seat *sp_seats_mine(struct sp_seats *s);
void sp_seats_sum(struct sp_seats *s, uint64_t ret[SP_SEAT_COUNTS]);

static inline void sp_seat_count(struct sp_seat *seat, enum sp_seat_count what) {
    uint64_t n = atomic_load_explicit(&seat->counts[what], memory_order_relaxed);
    atomic_store_explicit(&seat->counts[what], n + 1, memory_order_relaxed);
}

#endif
