/* Who waits to hear that a revocation has been confirmed: receipts of requests, and the measure of lag.
 *
 * Both hold one bit for each seat that was live and had not confirmed when they began; a confirmation clears
 * it, and so does leaving. So an acknowledgement costs one look at each waiter, and a waiter one pass over
 * the seats. A seat that is given to somebody else is nobody's confirmation: a receipt goes on without it
 * until its time is up. */
#include "core/feed_internal.h"

/* ---- receipts ---- */

static void unlink_waiter(struct sp_feed *f, struct sp_feed_waiter *w) {
    struct sp_feed_waiter **at = &f->waiters;
    while (*at != w) at = &(*at)->next;
    *at = w->next;
    f->n_waiters--;
    w->is_waiting = false;
}

static void waiter_run(struct sp_task *task) {
    struct sp_feed_waiter *w = SP_CONTAINER_OF(task, struct sp_feed_waiter, task);
    w->done(w);
}

static void finish_waiter(struct sp_feed *f, struct sp_feed_waiter *w) {
    w->receipt.after_ms = sp_clock_boot_ms(&f->clock) - w->began_ms;
    free(w->open);
    w->open = NULL;
    sp_executor_post(w->executor, &w->task);
}

/* The verifier of this seat has confirmed up to `seq`, or is no more. */
static void tell_waiters(struct sp_feed *f, size_t seat, uint64_t seq) {
    for (struct sp_feed_waiter *w = f->waiters, *next; w != NULL; w = next) {
        next = w->next;
        if (w->seq > seq || !feed_bit(w->open, seat)) continue;
        feed_bit_clear(w->open, seat);
        if (++w->receipt.confirmed < w->receipt.verifiers) continue;
        unlink_waiter(f, w);
        finish_waiter(f, w);
    }
}

/* Counts who is live, and marks who has not confirmed. */
static void count_for(const struct sp_feed *f, struct sp_feed_waiter *w, int64_t boot_ms) {
    for (size_t i = 0; i < f->verifiers_cap; i++) {
        const struct feed_seat *v = &f->verifiers[i];
        if (!sp_feed_is_live(v, boot_ms)) continue;
        w->receipt.verifiers++;
        if (v->seq >= w->seq) {
            w->receipt.confirmed++;
        } else if (w->open != NULL) {
            feed_bit_set(w->open, i);
        }
    }
}

void sp_feed_wait(struct sp_feed *f, struct sp_feed_waiter *w, int64_t began_ms) {
    w->task.run = waiter_run;
    w->began_ms = began_ms;
    w->receipt = (struct sp_feed_receipt){0};
    feed_lock(f);
    w->seq = f->at.seq;
    const bool is_room = f->n_waiters < SP_FEED_WAITERS_MAX;
    w->open = is_room ? calloc(SP_FEED_VERIFIERS_MAX / FEED_WORD_BITS, sizeof(*w->open)) : NULL;
    count_for(f, w, sp_clock_boot_ms(&f->clock));
    if (w->open == NULL || w->receipt.confirmed == w->receipt.verifiers) {
        w->is_waiting = false;
        finish_waiter(f, w);
    } else {
        w->is_waiting = true;
        w->next = f->waiters;
        f->waiters = w;
        f->n_waiters++;
    }
    feed_unlock(f);
}

void sp_feed_wait_no_longer(struct sp_feed *f, struct sp_feed_waiter *w) {
    feed_lock(f);
    if (w->is_waiting) {
        unlink_waiter(f, w);
        finish_waiter(f, w);
    }
    feed_unlock(f);
}

/* ---- lag ---- */

const uint32_t sp_feed_lag_bounds_ms[SP_FEED_LAG_BOUNDS] = {1,   2,   5,    10,   25,   50,    100,
                                                            250, 500, 1000, 2500, 5000, 10000, 30000};

static void probe_close(struct sp_feed *f, int64_t at_ms) {
    const int64_t took_ms = at_ms - f->probe.began_ms;
    size_t i = 0;
    while (i < SP_FEED_LAG_BOUNDS && took_ms > (int64_t)sp_feed_lag_bounds_ms[i]) i++;
    f->counts.lag[i]++;
    f->counts.lag_ms_sum += (uint64_t)took_ms;
    f->probe.is_open = false;
}

/* Nobody is left: what counts is when the last one confirmed. If none did there is nothing to tell. */
static void probe_close_if_done(struct sp_feed *f) {
    if (f->probe.left != 0) return;
    if (f->probe.confirmed_ms != 0) probe_close(f, f->probe.confirmed_ms);
    f->probe.is_open = false;
}

static void probe_drop(struct sp_feed *f, size_t seat) {
    if (!f->probe.is_open || !feed_bit(f->probe.open, seat)) return;
    feed_bit_clear(f->probe.open, seat);
    f->probe.left--;
    probe_close_if_done(f);
}

static void probe_confirm(struct sp_feed *f, size_t seat, uint64_t seq) {
    if (!f->probe.is_open || seq < f->probe.seq || !feed_bit(f->probe.open, seat)) return;
    f->probe.confirmed_ms = sp_clock_boot_ms(&f->clock);
    probe_drop(f, seat);
}

void sp_feed_probe_published(struct sp_feed *f, uint64_t seq) {
    struct feed_probe *p = &f->probe;
    const int64_t boot_ms = sp_clock_boot_ms(&f->clock);
    if (p->is_open || f->verifiers_cap == 0) return;
    if (p->began_ms != 0 && boot_ms - p->began_ms < SP_FEED_LAG_EVERY_MS) return;
    *p = (struct feed_probe){.seq = seq, .began_ms = boot_ms};
    for (size_t i = 0; i < f->verifiers_cap; i++) {
        if (!sp_feed_is_live(&f->verifiers[i], boot_ms)) continue;
        feed_bit_set(p->open, i);
        p->left++;
    }
    p->is_open = p->left != 0;
}

void sp_feed_probe_tick(struct sp_feed *f, int64_t boot_ms) {
    for (size_t i = 0; f->probe.is_open && i < f->verifiers_cap; i++) {
        if (feed_bit(f->probe.open, i) && !sp_feed_is_live(&f->verifiers[i], boot_ms)) probe_drop(f, i);
    }
    if (f->probe.is_open && boot_ms - f->probe.began_ms > SP_FEED_LAG_GIVE_UP_MS) probe_close(f, boot_ms);
}

/* ---- seats ---- */

void sp_feed_seat_confirmed(struct sp_feed *f, size_t seat, uint64_t seq) {
    tell_waiters(f, seat, seq);
    if (seq == UINT64_MAX)
        probe_drop(f, seat);
    else
        probe_confirm(f, seat, seq);
}

void sp_feed_seat_lost(struct sp_feed *f, size_t seat) {
    for (struct sp_feed_waiter *w = f->waiters; w != NULL; w = w->next) feed_bit_clear(w->open, seat);
    probe_drop(f, seat);
}
