/* Token buckets in bounded tables: who may try again, and when.
 *
 * A bucket is one number, the time at which it will be full again (the "virtual scheduling" form of GCRA): it
 * needs no timer, and a bucket that is full is the same as no bucket. Taking moves that time one refill
 * further; when it would lie more than `burst` refills ahead, the bucket is empty.
 *
 * A table has a fixed number of sets of WAYS buckets, found by a keyed hash, so that nobody can choose names
 * that meet in one set. A set that is full gives up the bucket that is nearest to full. So a victim's
 * bucket is thrown out only by buckets that were drained as far as it was: whoever wants to win back n
 * attempts has to spend n attempts on each of all the names that it takes to fill the set, and does not know
 * which. There is one table for each class, so that a flood of addresses cannot push out accounts.
 *
 * Turned down: counting failures in the store (a disk write for each guess, which the guesser decides), locks
 * that only an administrator opens (anyone could lock anyone out), an exact map that grows (so does what an
 * attacker sends), and a sketch (it would refuse people who did nothing).
 *
 * Pure: time comes in, as CLOCK_BOOTTIME in milliseconds. Thread-safe: one mutex for each table, held for a
 * few dozen nanoseconds before tens of milliseconds of hashing. */
#ifndef SP_CORE_RATELIMIT_H
#define SP_CORE_RATELIMIT_H

#include "base/mem.h"
#include "base/ports.h"
#include "base/slice.h"
#include "base/status.h"

enum {
    /* Of each class: 16 bytes each, 1 MiB, of which the kernel gives only the pages that are touched. */
    SP_RATELIMIT_BUCKETS = 65536,
};

enum sp_throttle_class {
    SP_THROTTLE_ACCOUNT,  /* a user name, from a device that is not known */
    SP_THROTTLE_DEVICE,   /* a user on a device on which that user has logged in before */
    SP_THROTTLE_ADDRESS,  /* an IPv4 address or an IPv6 /64 */
    SP_THROTTLE_REGISTER, /* new accounts of an address */
    SP_THROTTLE_PASSWORD, /* a user who is logged in and must prove the current password */
    SP_THROTTLE_CLASSES
};
const char *sp_throttle_class_name(enum sp_throttle_class c); /* for the log */

struct sp_throttle_rate {
    uint32_t burst;    /* attempts in a row; 0: this class is not limited */
    int64_t refill_ms; /* one more attempt after each of these; positive */
};

struct sp_ratelimit;

/* SP_E_MALFORMED: a rate whose refill is not positive; SP_E_NOMEM, SP_E_UNAVAILABLE. */
sp_status sp_ratelimit_new(const struct sp_throttle_rate rates[SP_THROTTLE_CLASSES],
                           const struct sp_random *random, struct sp_ratelimit **ret);
void sp_ratelimit_free(struct sp_ratelimit *r);
SP_DEFINE_FREE(sp_ratelimit);

/* The bucket's key. Two names share a bucket when their keyed 64-bit hashes are equal. */
uint64_t sp_ratelimit_key(const struct sp_ratelimit *r, enum sp_throttle_class c, sp_slice name);
/* The key of a client address, as text: IPv4 (mapped or not) whole, IPv6 by its /64, anything else as it is.
 */
uint64_t sp_ratelimit_address_key(const struct sp_ratelimit *r, enum sp_throttle_class c, sp_slice address);

/* Takes one attempt: 0. Or none is left: the milliseconds until there is one, and nothing is taken. */
__attribute__((warn_unused_result)) int64_t sp_ratelimit_take(struct sp_ratelimit *r,
                                                              enum sp_throttle_class c, uint64_t key,
                                                              int64_t now_ms);
/* Gives back what one take has taken. */
void sp_ratelimit_refund(struct sp_ratelimit *r, enum sp_throttle_class c, uint64_t key, int64_t now_ms);

#endif
