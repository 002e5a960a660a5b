/* What the app says of itself: to an administrator (status), and to whoever graphs it (measure). */
#include "core/app_internal.h"

/* ---- status ---- */

struct status_op {
    struct sp_op base;
};

static void status_say(struct sp_op *op, sp_any_done *done, void *arg, enum sp_outcome outcome) {
    struct sp_status_result result = {.outcome = outcome};
    if (outcome == SP_OUTCOME_OK) {
        struct sp_revoke_set_stats stats;
        sp_revoke_set_stats(op->app->deps.revoked, &stats);
        result.meta = op->read.ret.meta;
        result.store_name = op->app->deps.store->ops->name;
        result.revoked_entries = stats.entries;
        result.started_ms = op->app->started_ms;
        result.has_word_list = op->app->deps.hasher.has_word_list;
        sp_feed_count(op->app->feed, &result.feed);
    }
    ((sp_status_done *)done)(arg, &result);
}
static const struct sp_op_kind status_kind = {.size = sizeof(struct status_op), .say = status_say};

static void meta_read(struct sp_op *op, sp_status status) {
    if (sp_ok(status)) {
        sp_op_finish(op, SP_OUTCOME_OK);
    } else {
        sp_op_fail(op, status);
    }
}

void sp_app_status(struct sp_app *app, const struct sp_call *call, sp_status_done *done, void *arg) {
    struct sp_op *op = sp_op_new(app, call, &status_kind, (sp_any_done *)done, arg);
    if (op == NULL) return;
    sp_op_read_begin(op, SP_READ_META);
    sp_op_read(op, meta_read);
}

/* ---- measure ---- */

struct measure_op {
    struct sp_op base;
    bool has_meta, has_keys;
    struct sp_meta_row meta;
};

static uint64_t count_of(_Atomic uint64_t *counter) {
    return atomic_load_explicit(counter, memory_order_relaxed);
}

static void count(struct sp_app *app, struct sp_measures *m) {
    struct sp_app_counters *c = &app->counters;
    m->logins = count_of(&c->logins);
    m->login_failures = count_of(&c->login_failures);
    m->sessions_added = count_of(&c->sessions_added);
    m->registrations = count_of(&c->registrations);
    m->throttled = count_of(&c->throttled);
    m->refreshes = count_of(&c->refreshes);
    m->reissues = count_of(&c->reissues);
    m->superseded = count_of(&c->superseded);
    m->trips = count_of(&c->trips);
    m->heals = count_of(&c->heals);
    m->codes_redeemed = count_of(&c->codes_redeemed);
    m->code_replays = count_of(&c->code_replays);
    m->client_tokens = count_of(&c->client_tokens);
    m->logouts_delivered = count_of(&c->logouts_delivered);
    m->logouts_failed = count_of(&c->logouts_failed);
    m->logouts_given_up = count_of(&c->logouts_given_up);
    m->logouts_waiting = sp_backchannel_waiting(app);
}

static void measure_store(struct sp_app *app, struct sp_measures *m) {
    struct sp_revoke_set_stats stats;
    struct sp_store *store = app->deps.store;
    sp_revoke_set_stats(app->deps.revoked, &stats);
    m->revoked_entries = stats.entries;
    m->store_name = store->ops->name;
    m->is_ready = sp_ok(sp_app_ready(app));
    m->has_store_stats = store->ops->stats != NULL;
    if (m->has_store_stats) store->ops->stats(store, &m->store);
}

static void measure_say(struct sp_op *base, sp_any_done *done, void *arg, enum sp_outcome outcome) {
    struct sp_measures m = {.outcome = outcome};
    if (outcome == SP_OUTCOME_OK) {
        const struct measure_op *op = (const struct measure_op *)(const void *)base;
        m.now_ms = base->now_ms;
        m.meta = op->has_meta ? &op->meta : NULL;
        if (op->has_keys) m.keys = base->read.ret.keys;
        if (op->has_keys) m.n_keys = base->read.ret.n;
        count(base->app, &m);
        measure_store(base->app, &m);
        sp_feed_count(base->app->feed, &m.feed);
    }
    ((sp_measures_done *)done)(arg, &m);
}
static const struct sp_op_kind measure_kind = {.size = sizeof(struct measure_op), .say = measure_say};

/* A store that does not answer is what graphs are looked at for: the rest is told all the same. */
static void measured_keys(struct sp_op *op, sp_status status) {
    ((struct measure_op *)(void *)op)->has_keys = sp_ok(status);
    sp_op_finish(op, SP_OUTCOME_OK);
}

static void measured_meta(struct sp_op *base, sp_status status) {
    struct measure_op *op = (struct measure_op *)(void *)base;
    op->has_meta = sp_ok(status);
    if (!op->has_meta) {
        sp_op_finish(base, SP_OUTCOME_OK);
        return;
    }
    op->meta = base->read.ret.meta;
    sp_op_read_begin(base, SP_READ_KEYS)->limit = SP_READ_PAGE_MAX;
    sp_op_read(base, measured_keys);
}

void sp_app_measure(struct sp_app *app, const struct sp_call *call, sp_measures_done *done, void *arg) {
    struct measure_op *op = sp_op_new(app, call, &measure_kind, (sp_any_done *)done, arg);
    if (op == NULL) return;
    sp_op_read_begin(&op->base, SP_READ_META);
    sp_op_read(&op->base, measured_meta);
}
