#include "core/app_internal.h"

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
