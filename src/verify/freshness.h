/* Is what we know of revocations fresh enough to say "not revoked"? The proof that the feed's follower keeps
 * and every check reads (docs/feed.md, Freshness).
 *
 * as_of is a moment of this machine's boot-time clock: everything that was acknowledged up to it is enforced
 * here. The follower raises it; a check reads it *before* it looks a token up and the clock *after*, so that
 * however long it was delayed in between, it never claims more than was true.
 *
 * The boot-time clock is believed only while the wall clock keeps its distance from it: when the two have
 * moved apart by more than SP_FRESHNESS_JUMP_MS since the last answer of the server, one of them was set or
 * stood still, and as_of may be older than it looks. Then everything is stale until the follower has asked
 * the server again; `jumped` keeps that, even when the clocks agree again before the follower has noticed.
 *
 * One writer, any number of readers, no locks. Only loads on the readers' side, but for the first one who
 * sees a jump. */
#ifndef SP_VERIFY_FRESHNESS_H
#define SP_VERIFY_FRESHNESS_H

#include <stdatomic.h>

#include "base/ports.h"

/* Clock steering moves the two by 500 ppm at most: 150 ms in the five minutes between two questions. */
#define SP_FRESHNESS_JUMP_MS 1000
#define SP_FRESHNESS_NEVER INT64_MIN

struct sp_freshness {
    _Alignas(64) _Atomic int64_t as_of_ms; /* boot-time clock; SP_FRESHNESS_NEVER */
    _Atomic int64_t offset_ms;             /* wall minus boot, at the last answer */
    _Atomic bool jumped;
    _Atomic bool ever;            /* something was proved, once */
    int64_t max_staleness_ms;     /* constant */
    const struct sp_clock *clock; /* constant; borrowed */
};

/* Begins as never fresh. */
void sp_freshness_init(struct sp_freshness *f, int64_t max_staleness_ms, const struct sp_clock *clock);

/* ---- the checks ---- */

/* What was known before looking up. */
struct sp_freshness_seen {
    int64_t as_of_ms, offset_ms;
    int64_t wall_ms; /* for the times of the token */
    bool jumped;
};
struct sp_freshness_seen sp_freshness_before(const struct sp_freshness *f);

/* No zero: forgotten memory is never fresh. */
enum sp_freshness_verdict { SP_FRESH = 1, SP_NOT_FRESH = 2 };
enum sp_freshness_verdict sp_freshness_after(struct sp_freshness *f, const struct sp_freshness_seen *seen)
    __attribute__((warn_unused_result));
/* Both at once; and the distance, UINT64_MAX when nothing is proved. */
enum sp_freshness_verdict sp_freshness_now(struct sp_freshness *f, uint64_t *ret_staleness_ms);

/* ---- the follower ---- */

/* Only ever raises. */
void sp_freshness_prove(struct sp_freshness *f, int64_t as_of_ms);
/* Nothing is proved any more. */
void sp_freshness_forget(struct sp_freshness *f);
/* The server has answered: this is the distance of the clocks now. After a jump only after a forget, so that
 * no check can pair the new distance with an old proof. */
void sp_freshness_anchor(struct sp_freshness *f, int64_t boot_ms, int64_t wall_ms);
bool sp_freshness_ever(const struct sp_freshness *f);
bool sp_freshness_jumped(const struct sp_freshness *f);

#endif
