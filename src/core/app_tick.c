/* Housekeeping, a little at a time. Each chore is one change set in the background, and at most one of its
 * kind is under way.
 *
 * The heartbeat is for the retry windows: `alive_ms` tells the next start which of them were open when this
 * process died. So it is only written while a window can be open (a rotation within the grace time and a few
 * seconds), which keeps an idle server from writing at all; and not before the windows that this start has
 * reopened are over, because it would close them for the next. */
#include "core/app_internal.h"

#include "base/assert.h"

enum {
    ALIVE_EXTRA_MS =
        5 * 1000, /* after the last window: one more beat, which says that it closed while we lived */
    ALIVE_EVERY_MS = 1000,
    PURGE_EVERY_MS = 10 * 1000,
    PURGE_MOST = 500, /* rows a step: some milliseconds of the writer's time; 4 million a day */
    EXPIRE_EVERY_MS = 5 * 1000,
    REPEATS_MOST = 16,              /* records of repeats a step */
    CHECKPOINT_LOOK_MS = 60 * 1000, /* one row read */
    CHECKPOINT_EVERY_MS = 24 * 60 * 60 * 1000,
    CHECKPOINT_RECORDS = 10000, /* or as soon as there are so many more: what a cut could hide stays small */
};

/* ---- one change set in the background, with a flag that it clears ---- */

struct chore_op {
    struct sp_op base;
    atomic_bool *busy;
    struct sp_key_set keys;
    struct sp_key_plan plan;
    struct sp_key_row *rows; /* heap, rows_n: what the plan speaks of */
    size_t rows_n;
};

static void chore_release(struct sp_op *base) {
    struct chore_op *op = (struct chore_op *)(void *)base;
    sp_key_set_done(&op->keys);
    sp_free_wiped(op->rows, op->rows_n * sizeof(*op->rows));
    /* release: what the chore did is seen by the tick that finds the flag down. */
    if (op->busy != NULL) atomic_store_explicit(op->busy, false, memory_order_release);
}
static const struct sp_op_kind chore_kind = {
    .size = sizeof(struct chore_op), .say = sp_background_say, .release = chore_release};

static void chore_done(struct sp_op *op, sp_status status) {
    /* A conflict is another node's or administrator's being faster; the rest is tried again at the next tick.
     */
    if (!sp_ok(status) && !sp_is(status, SP_E_CONFLICT)) {
        SP_LOG(&op->app->deps.log, SP_LOG_WARN, "housekeeping_failed",
               SP_LOGF_TEXT("reason", sp_slice_cstr(sp_code_name(status.code))));
    }
    sp_op_finish(op, SP_OUTCOME_OK);
}

/* NULL: one is under way, or no memory. */
static struct chore_op *chore_new(struct sp_app *app, atomic_bool *busy) {
    bool expected = false;
    if (busy != NULL && !atomic_compare_exchange_strong(busy, &expected, true)) return NULL;
    struct chore_op *op = sp_op_background(app, NULL, &chore_kind);
    if (op == NULL) {
        if (busy != NULL) atomic_store(busy, false);
        return NULL;
    }
    op->busy = busy;
    return op;
}

/* ---- the chores ---- */

static bool windows_may_be_open(const struct sp_app *app, int64_t now_ms) {
    int64_t rotated_ms = atomic_load_explicit(&app->last_rotation_ms, memory_order_relaxed);
    if (rotated_ms == 0 || now_ms <= app->ready_ms + app->config.grace_ms) return false;
    int64_t until_ms = rotated_ms + app->config.grace_ms + ALIVE_EXTRA_MS;
    return now_ms <= until_ms || app->tick.last_alive_ms < until_ms;
}

static void beat(struct sp_app *app, int64_t now_ms) {
    if (!windows_may_be_open(app, now_ms)) return;
    if (now_ms - app->tick.last_alive_ms < ALIVE_EVERY_MS) return;
    struct chore_op *op = chore_new(app, &app->tick.alive_busy);
    if (op == NULL) return;
    app->tick.last_alive_ms = now_ms;
    sp_op_change(&op->base, SP_CHANGE_META)->meta = (struct sp_meta_change){.alive_ms = now_ms};
    sp_op_commit(&op->base, chore_done);
}

static void purge(struct sp_app *app, int64_t now_ms) {
    if (now_ms - app->tick.last_purge_ms < PURGE_EVERY_MS) return;
    struct chore_op *op = chore_new(app, &app->tick.purge_busy);
    if (op == NULL) return;
    app->tick.last_purge_ms = now_ms;
    sp_op_change(&op->base, SP_CHANGE_PURGE)->purge =
        (struct sp_purge){.now_s = sp_app_forget_ms(app) / 1000,
                          .sessions_before_ms = now_ms - app->config.end_kept_s * 1000,
                          .most = PURGE_MOST,
                          .keep_last = SP_REVOCATIONS_KEPT};
    sp_op_commit(&op->base, chore_done);
}

static void expire(struct sp_app *app, int64_t now_ms) {
    if (now_ms - app->tick.last_expire_ms < EXPIRE_EVERY_MS) return;
    app->tick.last_expire_ms = now_ms;
    const int64_t forget_s = sp_app_forget_ms(app) / 1000;
    sp_revoke_set_expire(app->deps.revoked, forget_s);
    sp_epochs_expire(app->deps.epochs, forget_s);
    sp_reclaim_collect(app->deps.reclaim);
}

static void record_repeats(struct sp_app *app, const struct sp_audit_repeats *repeats) {
    struct chore_op *op = chore_new(app, NULL);
    if (op == NULL) return;
    struct sp_log_field fields[SP_AUDIT_REPEATS_FIELDS];
    struct sp_audit_event event;
    sp_audit_repeats_event(repeats, fields, &event);
    sp_status built = sp_op_audit(&op->base, &event);
    if (sp_ok(built)) {
        sp_op_commit(&op->base, chore_done);
    } else {
        chore_done(&op->base, built);
    }
}

static void take_repeats(struct sp_app *app, int64_t now_ms) {
    struct sp_audit_repeats repeats[REPEATS_MOST];
    size_t n = sp_audit_coalescer_take(app->coalescer, now_ms, repeats, REPEATS_MOST);
    for (size_t i = 0; i < n; i++) record_repeats(app, &repeats[i]);
}

/* ---- checkpoints ---- */

/* Its members are named as those of `audit checkpoint`, so that the line itself proves the log. */
static void log_checkpoint(const struct sp_app *app, const struct sp_audit_checkpoint *c) {
    struct sp_audit_checkpoint_fields f;
    sp_audit_checkpoint_fields(c, &f);
    SP_LOG(&app->deps.log, SP_LOG_INFO, "audit_checkpoint", f.field[0], f.field[1], f.field[2], f.field[3]);
}

static bool checkpoint_is_due(const struct sp_audit_checkpoint *last, const struct sp_meta_row *meta,
                              int64_t now_ms) {
    return last->count == 0 || now_ms - last->time_ms >= CHECKPOINT_EVERY_MS ||
           meta->audit_count >= last->count + CHECKPOINT_RECORDS;
}

static void checkpoint_recorded(struct sp_op *base, sp_status status) {
    if (sp_ok(status)) base->app->tick.last_checkpoint = base->app->tick.next_checkpoint;
    chore_done(base, status);
}

/* On record as well, the checkpoint marks the end of a segment, which can be pruned one day. */
static void record_checkpoint(struct sp_op *base, const struct sp_audit_checkpoint *c) {
    struct sp_audit_checkpoint_fields f;
    sp_audit_checkpoint_fields(c, &f);
    const struct sp_audit_event event = {
        .action = SP_AUDIT_AUDIT_CHECKPOINT, .detail = f.field, .detail_n = SP_AUDIT_CHECKPOINT_FIELDS};
    sp_status built = sp_op_audit(base, &event);
    if (sp_ok(built)) {
        sp_op_commit(base, checkpoint_recorded);
    } else {
        chore_done(base, built);
    }
}

static void take_checkpoint(struct sp_op *base, const struct sp_meta_row *meta) {
    struct sp_app *app = base->app;
    struct sp_audit_checkpoint *made = &app->tick.next_checkpoint;
    sp_audit_checkpoint_make(meta, base->now_ms, sp_keys_audit(app->keys), made);
    log_checkpoint(app, made);
    if (app->config.audit_keep_s != 0) {
        record_checkpoint(base, made);
    } else {
        checkpoint_recorded(base, SP_SUCCESS);
    }
}

/* A head that is not ours gets no seal of ours; the start that finds it says so in the log itself. */
static void checkpoint_read(struct sp_op *base, sp_status status) {
    struct sp_app *app = base->app;
    const struct sp_meta_row *meta = &base->read.ret.meta;
    if (!sp_ok(status)) {
        chore_done(base, status);
        return;
    }
    if (!sp_audit_head_is_ours(meta, sp_keys_audit(app->keys))) {
        SP_LOG(&app->deps.log, SP_LOG_ERROR, "audit_seal_not_ours",
               SP_LOGF_I64("count", (int64_t)meta->audit_count));
        sp_op_finish(base, SP_OUTCOME_OK);
    } else if (checkpoint_is_due(&app->tick.last_checkpoint, meta, base->now_ms)) {
        take_checkpoint(base, meta);
    } else {
        sp_op_finish(base, SP_OUTCOME_OK);
    }
}

static void checkpoint(struct sp_app *app, int64_t now_ms) {
    if (now_ms - app->tick.last_checkpoint_look_ms < CHECKPOINT_LOOK_MS) return;
    struct chore_op *op = chore_new(app, &app->tick.checkpoint_busy);
    if (op == NULL) return;
    app->tick.last_checkpoint_look_ms = now_ms;
    sp_op_read_begin(&op->base, SP_READ_META);
    sp_op_read(&op->base, checkpoint_read);
}

/* ---- keys ---- */

/* A copy of the ring's rows: making an RSA key takes too long to sit in a seat. */
static struct sp_key_row *rows_to_change(struct sp_app *app, int64_t now_ms, struct sp_key_plan *ret_plan,
                                         size_t *ret_n) {
    struct sp_key_schedule schedule = sp_app_key_schedule(app);
    struct sp_key_row *copy = NULL;
    sp_seats_enter(app->seats);
    const struct sp_key_row *rows = sp_snapshot_rows(sp_keys_now(app->keys), ret_n);
    sp_keys_plan(rows, *ret_n, now_ms, &schedule, ret_plan);
    if (ret_plan->n != 0) copy = calloc(*ret_n + 1, sizeof(*copy));
    if (copy != NULL) memcpy(copy, rows, *ret_n * sizeof(*copy));
    sp_seats_leave(app->seats);
    return copy;
}

static struct chore_op *chore_of(struct sp_op *op) {
    return (struct chore_op *)(void *)op;
}

/* On a thread of the pool. */
static sp_status make_keys(struct sp_op *base) {
    struct chore_op *op = chore_of(base);
    const struct sp_audit_event by_us = {.actor = SP_AUDIT_ACTOR_SYSTEM};
    return sp_key_set_make(base->app, &op->plan, op->rows, op->rows_n, &by_us, &op->keys);
}

static void keys_made(struct sp_op *base, sp_status status) {
    struct chore_op *op = chore_of(base);
    if (sp_ok(status)) {
        sp_op_commit_changes(base, op->keys.set, 2 * op->keys.changes.n, chore_done);
    } else {
        chore_done(base, status);
    }
}

static void rotate_keys(struct sp_app *app, int64_t now_ms) {
    if (atomic_load_explicit(&app->tick.keys_busy, memory_order_acquire)) return;
    struct sp_key_plan plan;
    size_t n;
    struct sp_key_row *rows = rows_to_change(app, now_ms, &plan, &n);
    if (rows == NULL) return;
    struct chore_op *op = chore_new(app, &app->tick.keys_busy);
    if (op == NULL) {
        sp_free_wiped(rows, n * sizeof(*rows));
        return;
    }
    op->plan = plan;
    op->rows = rows;
    op->rows_n = n;
    sp_op_work(&op->base, make_keys, keys_made);
}

void sp_app_tick(struct sp_app *app, struct sp_executor *executor) {
    (void)executor; /* chores end on the thread of whoever does them: a loop that stops must not strand one */
    int64_t now_ms = sp_app_now_ms(app);
    sp_app_forget_tick(app);
    beat(app, now_ms);
    take_repeats(app, now_ms);
    purge(app, now_ms);
    expire(app, now_ms);
    checkpoint(app, now_ms);
    sp_app_prune_scheduled(app, now_ms);
    rotate_keys(app, now_ms);
    sp_backchannel_tick(app);
    sp_feed_tick(app->feed);
}
