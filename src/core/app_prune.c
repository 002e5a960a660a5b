/* Pruning the audit log: dropping its oldest records, in whole segments.
 *
 * A segment ends with a checkpoint, which was sealed and has left the machine: with the server's log, or in
 * an administrator's file. Nothing is dropped that no checkpoint covers, and nothing that is not as it was
 * when the checkpoint was taken: a log that somebody has meddled with is evidence.
 *
 *   find     (scheduled only) the first checkpoint on record; all before it must be older than what is kept
 *   prove    every record from where the log begins to the checkpoint, against its MAC
 *   drop     step by step, each one change set: records, the new beginning, and a record of that
 *
 * Invariant: whatever the moment of a crash, the log begins behind the last record that the newest
 * audit_pruned tells of, under a seal that covers it. The newest record always stays.
 *
 * Turned down: pruning single records by their age, since the proof for it would be a walk through all that
 * is kept; and a proof that the caller carries from request to request, as verify has it, since here
 * something is destroyed on its strength. Several may prune at one time: each step says from where, and only
 * one can be right; what was proved stays proved when the log begins later. */
#include "core/app_internal.h"

#include "base/assert.h"

enum {
    PAGES_A_REQUEST = 50,        /* of SP_READ_PAGE_MAX: some tenths of a second of a reader's time */
    STEPS_A_REQUEST = 50,        /* of SP_AUDIT_PRUNE_MOST */
    EVERY_MS = 10 * 1000,        /* a segment each time: 8,640 a day */
    REFUSED_MS = 60 * 60 * 1000, /* a log that is not intact is not looked through all the time */
};

struct prune_op {
    struct sp_op base;
    bool is_scheduled;
    int64_t before_ms; /* scheduled: younger records stay */
    uint64_t looked_at;
    struct sp_meta_row meta;
    struct sp_audit_checkpoint checkpoint;
    struct sp_audit_verifier verifier;
    uint64_t target; /* last record to go */
    uint64_t pruned;
    uint64_t up_to; /* of the step under way */
    uint8_t hash[SP_ROW_HASH_BYTES];
    uint32_t pages, steps;
    bool is_planned, complete;
};

static struct prune_op *prune_of(struct sp_op *op) {
    return (struct prune_op *)(void *)op;
}

/* ---- ends ---- */

static void prune_say(struct sp_op *op, sp_any_done *done, void *arg, enum sp_outcome outcome) {
    struct sp_audit_prune_result result = {.outcome = outcome};
    if (outcome == SP_OUTCOME_OK) {
        const struct prune_op *p = prune_of(op);
        result.complete = p->complete;
        result.proved = p->verifier.count;
        result.base = p->meta.audit_base;
        result.total = p->target;
        result.pruned = p->pruned;
    }
    ((sp_audit_prune_done *)done)(arg, &result);
}
static const struct sp_op_kind prune_kind = {.size = sizeof(struct prune_op), .say = prune_say};

static void scheduled_release(struct sp_op *op) {
    /* release: what was pruned is seen by the tick that finds the flag down. */
    atomic_store_explicit(&op->app->tick.prune_busy, false, memory_order_release);
}
static const struct sp_op_kind scheduled_kind = {
    .size = sizeof(struct prune_op), .say = sp_background_say, .release = scheduled_release};

static void say_pruned(const struct prune_op *p) {
    if (p->pruned == 0) return;
    SP_LOG(&p->base.app->deps.log, SP_LOG_INFO, "audit_pruned", SP_LOGF_I64("records", (int64_t)p->pruned),
           SP_LOGF_I64("up_to", (int64_t)p->meta.audit_base));
}

static void finish(struct prune_op *p, bool complete) {
    p->complete = complete;
    say_pruned(p);
    sp_op_finish(&p->base, SP_OUTCOME_OK);
}

static void fail(struct prune_op *p, sp_status status) {
    say_pruned(p);
    if (p->is_scheduled) {
        SP_LOG(&p->base.app->deps.log, SP_LOG_WARN, "housekeeping_failed",
               SP_LOGF_TEXT("reason", sp_slice_cstr(sp_code_name(status.code))));
    }
    sp_op_fail(&p->base, status);
}

static void refuse(struct prune_op *p, uint64_t seq, const char *why) {
    struct sp_app *app = p->base.app;
    SP_LOG(&app->deps.log, SP_LOG_ERROR, "audit_not_pruned", SP_LOGF_I64("record", (int64_t)seq),
           SP_LOGF_TEXT("reason", sp_slice_cstr(why)));
    if (p->is_scheduled) atomic_store(&app->tick.prune_not_before_ms, p->base.now_ms + REFUSED_MS);
    say_pruned(p);
    sp_op_finish(&p->base, SP_OUTCOME_AUDIT_NOT_INTACT);
}

/* ---- a proof in several requests ---- */

static void remember(const struct prune_op *p) {
    struct sp_app *app = p->base.app;
    pthread_mutex_lock(&app->background_mutex);
    memcpy(app->prune_proof.mac, p->checkpoint.mac, sizeof(app->prune_proof.mac));
    app->prune_proof.verifier = p->verifier;
    pthread_mutex_unlock(&app->background_mutex);
}

/* From where the log begins, or on from where a request with the same checkpoint has stopped. */
static void begin_proof(struct prune_op *p) {
    struct sp_app *app = p->base.app;
    const struct sp_meta_row *meta = &p->meta;
    sp_audit_verifier_init_from(&p->verifier, meta->audit_base, meta->audit_base_hash);
    if (p->is_scheduled) return;
    pthread_mutex_lock(&app->background_mutex);
    const struct sp_prune_proof *known = &app->prune_proof;
    const bool same = sp_slice_eq(SP_SLICE_ARRAY(known->mac), SP_SLICE_ARRAY(p->checkpoint.mac));
    if (same && known->verifier.count > meta->audit_base) p->verifier = known->verifier;
    pthread_mutex_unlock(&app->background_mutex);
}

/* ---- drop ---- */

static void read_meta(struct prune_op *p);
static void drop(struct prune_op *p);

static sp_status record(struct prune_op *p) {
    char hash[SP_AUDIT_HASH_CHARS];
    struct sp_audit_checkpoint_fields c;
    sp_audit_hash_text(p->hash, hash);
    sp_audit_checkpoint_fields(&p->checkpoint, &c);
    const struct sp_log_field detail[] = {
        SP_LOGF_I64("first", (int64_t)p->meta.audit_base + 1),
        SP_LOGF_I64("last", (int64_t)p->up_to),
        SP_LOGF_TEXT("hash", SP_SLICE_ARRAY(hash)),
        SP_LOGF_TEXT("cause", p->is_scheduled ? SP_SLICE_LIT("keep_days") : SP_SLICE_LIT("admin")),
        c.field[0],
        c.field[1],
        c.field[2],
        c.field[3]};
    const struct sp_audit_event event = {
        .action = SP_AUDIT_AUDIT_PRUNED, .detail = detail, .detail_n = SP_ARRAY_LEN(detail)};
    return sp_op_audit(&p->base, &event);
}

static void dropped(struct sp_op *op, sp_status status) {
    struct prune_op *p = prune_of(op);
    if (sp_is(status, SP_E_CONFLICT)) {
        read_meta(p);
        return;
    }
    if (!sp_ok(status)) {
        fail(p, status);
        return;
    }
    p->pruned += p->up_to - p->meta.audit_base;
    p->meta.audit_base = p->up_to;
    if (p->up_to == p->target) {
        finish(p, true);
    } else if (!p->is_scheduled && ++p->steps == STEPS_A_REQUEST) {
        finish(p, false);
    } else {
        drop(p);
    }
}

static void last_read(struct sp_op *op, sp_status status) {
    struct prune_op *p = prune_of(op);
    if (!sp_ok(status)) {
        fail(p, status);
        return;
    }
    if (op->read.ret.n != 1 || op->read.ret.audit[0].seq != p->up_to) {
        read_meta(p); /* was it pruned meanwhile? */
        return;
    }
    memcpy(p->hash, op->read.ret.audit[0].hash, sizeof(p->hash));
    sp_op_reset(op);
    sp_op_change(op, SP_CHANGE_AUDIT_PRUNE)->audit_prune =
        (struct sp_audit_prune){.expect_base = p->meta.audit_base, .up_to = p->up_to, .hash = p->hash};
    sp_status built = record(p);
    if (sp_ok(built)) {
        sp_op_commit(op, dropped);
    } else {
        fail(p, built);
    }
}

static void drop(struct prune_op *p) {
    struct sp_store_read *read = sp_op_read_begin(&p->base, SP_READ_AUDIT);
    const uint64_t left = p->target - p->meta.audit_base;
    p->up_to = p->meta.audit_base + (left < SP_AUDIT_PRUNE_MOST ? left : SP_AUDIT_PRUNE_MOST);
    read->after_seq = p->up_to - 1;
    read->limit = 1;
    sp_op_read(&p->base, last_read);
}

/* ---- prove ---- */

static void prove(struct prune_op *p);

static void page_read(struct sp_op *op, sp_status status) {
    struct prune_op *p = prune_of(op);
    struct sp_audit_verifier *v = &p->verifier;
    if (!sp_ok(status)) {
        fail(p, status);
        return;
    }
    const uint64_t before = v->count;
    for (uint32_t i = 0; i < op->read.ret.n && v->count < p->checkpoint.count; i++) {
        sp_audit_verifier_row(v, &op->read.ret.audit[i]);
        sp_audit_verifier_checkpoint(v, &p->checkpoint);
    }
    if (v->why != NULL || v->count == before) {
        read_meta(p); /* was it pruned meanwhile? */
    } else if (v->count == p->checkpoint.count) {
        if (!p->is_scheduled) remember(p);
        drop(p);
    } else if (!p->is_scheduled && ++p->pages == PAGES_A_REQUEST) {
        remember(p);
        finish(p, false);
    } else {
        prove(p);
    }
}

static void prove(struct prune_op *p) {
    struct sp_store_read *read = sp_op_read_begin(&p->base, SP_READ_AUDIT);
    read->after_seq = p->verifier.count;
    read->limit = SP_READ_PAGE_MAX;
    sp_op_read(&p->base, page_read);
}

/* ---- plan ---- */

/* The checkpoint is known, and the log as of now. */
static void plan(struct prune_op *p) {
    const struct sp_meta_row *meta = &p->meta;
    const uint64_t count = p->checkpoint.count;
    p->target = count < meta->audit_count ? count : meta->audit_count - 1;
    if (count > meta->audit_count) {
        refuse(p, meta->audit_count + 1, "records that the checkpoint has counted are missing at the end");
        return;
    }
    if (!p->is_planned || p->verifier.why != NULL || p->verifier.count < meta->audit_base) begin_proof(p);
    p->is_planned = true;
    sp_audit_verifier_checkpoint(&p->verifier, &p->checkpoint);
    if (p->verifier.why != NULL) {
        refuse(p, p->verifier.bad_seq, p->verifier.why);
    } else if (meta->audit_base >= p->target) {
        finish(p, true);
    } else if (p->verifier.count < count) {
        prove(p);
    } else {
        drop(p);
    }
}

/* ---- find ---- */

static void find(struct prune_op *p);

/* The first checkpoint on record, if all up to there is old enough. */
static void found(struct sp_op *op, sp_status status) {
    struct prune_op *p = prune_of(op);
    const struct sp_hmac_key *key = sp_keys_audit(op->app->keys);
    if (!sp_ok(status)) {
        fail(p, status);
        return;
    }
    for (uint32_t i = 0; i < op->read.ret.n; i++) {
        const struct sp_audit_row *row = &op->read.ret.audit[i];
        p->looked_at = row->seq;
        if (row->time_ms >= p->before_ms) {
            finish(p, true);
            return;
        }
        if (!sp_audit_row_checkpoint(row, SP_AUDIT_AUDIT_CHECKPOINT, key, &p->checkpoint)) continue;
        if (p->checkpoint.count <= p->meta.audit_base || p->checkpoint.count >= row->seq) continue;
        plan(p);
        return;
    }
    if (op->read.ret.more) {
        find(p);
    } else {
        finish(p, true);
    }
}

/* One record tells, most of the time, that there is nothing to do. */
static void find(struct prune_op *p) {
    struct sp_store_read *read = sp_op_read_begin(&p->base, SP_READ_AUDIT);
    read->limit = p->looked_at == p->meta.audit_base ? 1 : SP_READ_PAGE_MAX;
    read->after_seq = p->looked_at;
    sp_op_read(&p->base, found);
}

/* ---- begin ---- */

static const char *why_refused(const struct prune_op *p) {
    return p->verifier.why != NULL ? p->verifier.why : "a record is missing";
}

static void meta_read(struct sp_op *op, sp_status status) {
    struct prune_op *p = prune_of(op);
    if (!sp_ok(status)) {
        fail(p, status);
        return;
    }
    const struct sp_meta_row meta = op->read.ret.meta;
    if (!sp_audit_head_is_ours(&meta, sp_keys_audit(op->app->keys))) {
        refuse(p, meta.audit_count, "the seal of the head is not ours");
        return;
    }
    /* We come here again when something did not fit, which is only good when others have pruned. */
    if (p->is_planned && meta.audit_base <= p->meta.audit_base) {
        refuse(p, p->verifier.count + 1, why_refused(p));
        return;
    }
    p->meta = meta;
    if (p->is_scheduled && !p->is_planned) {
        p->looked_at = meta.audit_base;
        find(p);
    } else {
        plan(p);
    }
}

static void read_meta(struct prune_op *p) {
    sp_op_read_begin(&p->base, SP_READ_META);
    sp_op_read(&p->base, meta_read);
}

void sp_app_audit_prune(struct sp_app *app, const struct sp_call *call,
                        const struct sp_audit_checkpoint *checkpoint, sp_audit_prune_done *done, void *arg) {
    struct prune_op *p = sp_op_new(app, call, &prune_kind, (sp_any_done *)done, arg);
    if (p == NULL) return;
    p->checkpoint = *checkpoint;
    if (!sp_audit_checkpoint_is_ours(checkpoint, sp_keys_audit(app->keys))) {
        sp_op_finish(&p->base, SP_OUTCOME_INVALID_REQUEST);
        return;
    }
    read_meta(p);
}

void sp_app_prune_scheduled(struct sp_app *app, int64_t now_ms) {
    bool expected = false;
    if (app->config.audit_keep_s == 0 || now_ms - app->tick.last_prune_ms < EVERY_MS) return;
    if (now_ms < atomic_load(&app->tick.prune_not_before_ms)) return;
    if (!atomic_compare_exchange_strong(&app->tick.prune_busy, &expected, true)) return;
    app->tick.last_prune_ms = now_ms;
    struct prune_op *p = sp_op_background(app, NULL, &scheduled_kind);
    if (p == NULL) {
        atomic_store(&app->tick.prune_busy, false);
        return;
    }
    p->is_scheduled = true;
    p->before_ms = now_ms - app->config.audit_keep_s * 1000;
    read_meta(p);
}
