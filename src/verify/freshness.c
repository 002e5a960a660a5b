/* See freshness.h. Orders: the follower writes, at a jump, as_of (never), then the distance; a check reads
 * the distance, then as_of (acquire), so who sees the new distance sees no proof that is older than it. */
#include "verify/freshness.h"

void sp_freshness_init(struct sp_freshness *f, int64_t max_staleness_ms, const struct sp_clock *clock) {
    atomic_init(&f->as_of_ms, SP_FRESHNESS_NEVER);
    atomic_init(&f->offset_ms, 0);
    atomic_init(&f->jumped, false);
    atomic_init(&f->ever, false);
    f->max_staleness_ms = max_staleness_ms;
    f->clock = clock;
}

struct sp_freshness_seen sp_freshness_before(const struct sp_freshness *f) {
    struct sp_freshness_seen seen;
    seen.offset_ms = atomic_load_explicit(&f->offset_ms, memory_order_acquire);
    seen.jumped = atomic_load_explicit(&f->jumped, memory_order_relaxed);
    /* seq_cst: no load of a set's root may pass this one; what was applied before the proof is seen. */
    seen.as_of_ms = atomic_load_explicit(&f->as_of_ms, memory_order_seq_cst);
    seen.wall_ms = sp_clock_wall_ms(f->clock);
    return seen;
}

static bool has_moved(int64_t wall_ms, int64_t boot_ms, int64_t offset_ms) {
    int64_t moved = wall_ms - boot_ms - offset_ms;
    return moved > SP_FRESHNESS_JUMP_MS || moved < -SP_FRESHNESS_JUMP_MS;
}

enum sp_freshness_verdict sp_freshness_after(struct sp_freshness *f, const struct sp_freshness_seen *seen) {
    if (seen->as_of_ms == SP_FRESHNESS_NEVER || seen->jumped) return SP_NOT_FRESH;
    int64_t boot_ms = sp_clock_boot_ms(f->clock);
    int64_t age_ms = boot_ms - seen->as_of_ms;
    if (age_ms < 0 || age_ms > f->max_staleness_ms) return SP_NOT_FRESH;
    /* Twice, since we may be held up between the reading of the one clock and of the other. */
    if (has_moved(sp_clock_wall_ms(f->clock), boot_ms, seen->offset_ms) &&
        has_moved(sp_clock_wall_ms(f->clock), sp_clock_boot_ms(f->clock), seen->offset_ms)) {
        atomic_store_explicit(&f->jumped, true, memory_order_relaxed);
        return SP_NOT_FRESH;
    }
    return SP_FRESH;
}

enum sp_freshness_verdict sp_freshness_now(struct sp_freshness *f, uint64_t *ret_staleness_ms) {
    struct sp_freshness_seen seen = sp_freshness_before(f);
    int64_t boot_ms = sp_clock_boot_ms(f->clock);
    bool proved = seen.as_of_ms != SP_FRESHNESS_NEVER;
    *ret_staleness_ms = !proved                   ? UINT64_MAX
                        : boot_ms < seen.as_of_ms ? 0
                                                  : (uint64_t)(boot_ms - seen.as_of_ms);
    return sp_freshness_after(f, &seen);
}

void sp_freshness_prove(struct sp_freshness *f, int64_t as_of_ms) {
    if (as_of_ms <= atomic_load_explicit(&f->as_of_ms, memory_order_relaxed)) return;
    atomic_store_explicit(&f->as_of_ms, as_of_ms, memory_order_seq_cst);
    atomic_store_explicit(&f->ever, true, memory_order_relaxed);
}

void sp_freshness_forget(struct sp_freshness *f) {
    atomic_store_explicit(&f->as_of_ms, SP_FRESHNESS_NEVER, memory_order_seq_cst);
}

void sp_freshness_anchor(struct sp_freshness *f, int64_t boot_ms, int64_t wall_ms) {
    /* release: a proof that was forgotten before is gone for whoever sees this. */
    atomic_store_explicit(&f->offset_ms, wall_ms - boot_ms, memory_order_release);
    atomic_store_explicit(&f->jumped, false, memory_order_release);
}

bool sp_freshness_ever(const struct sp_freshness *f) {
    return atomic_load_explicit(&f->ever, memory_order_relaxed);
}
bool sp_freshness_jumped(const struct sp_freshness *f) {
    return atomic_load_explicit(&f->jumped, memory_order_relaxed);
}
