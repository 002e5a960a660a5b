/* Backups: one at a time, started by a request and carried on in the background, because a large one takes
 * longer than anybody should hold a connection; whoever is curious asks how far it is. Its end, good or bad,
 * is a record in the live log (the backup itself ends before it). */
#include "core/app_internal.h"

/* ---- the copy, in the background ---- */

struct backup_op {
    struct sp_op base;
    struct sp_store_backup job;
    char path[SP_BACKUP_PATH_BYTES_MAX + 1];
};

static void set_end(struct sp_app *app, enum sp_backup_state state, enum sp_code failure) {
    struct sp_app_backup *b = &app->backup;
    pthread_mutex_lock(&b->mutex);
    b->last.state = state;
    b->last.failure = failure;
    b->last.bytes = b->job->bytes;
    b->last.pages = atomic_load_explicit(&b->job->pages, memory_order_relaxed);
    b->last.pages_done = atomic_load_explicit(&b->job->pages_done, memory_order_relaxed);
    b->job = NULL;
    pthread_mutex_unlock(&b->mutex);
}

static void recorded(struct sp_op *op, sp_status status) {
    struct backup_op *b = (struct backup_op *)(void *)op;
    if (!sp_ok(status)) {
        SP_LOG(&op->app->deps.log, SP_LOG_WARN, "audit_record_lost",
               SP_LOGF_TEXT("reason", sp_slice_cstr(sp_code_name(status.code))));
    }
    set_end(op->app, sp_ok(b->job.status) ? SP_BACKUP_DONE : SP_BACKUP_FAILED, b->job.status.code);
    sp_op_finish(op, SP_OUTCOME_OK);
}

static void copied(struct sp_store_backup *job) {
    struct backup_op *b = SP_CONTAINER_OF(job, struct backup_op, job);
    struct sp_op *op = &b->base;
    const bool ok = sp_ok(job->status);
    const struct sp_log_field detail[] = {
        SP_LOGF_TEXT("file", sp_slice_cstr(b->path)), SP_LOGF_I64("bytes", (int64_t)job->bytes),
        SP_LOGF_TEXT("status", sp_slice_cstr(sp_code_name(job->status.code)))};
    const struct sp_audit_event event = {.action = SP_AUDIT_BACKUP_MADE,
                                         .outcome = ok ? SP_AUDIT_OK : SP_AUDIT_FAILED,
                                         .detail = detail,
                                         .detail_n = SP_ARRAY_LEN(detail)};
    op->now_ms = sp_app_now_ms(op->app);
    sp_status built = sp_op_audit(op, &event);
    if (sp_ok(built)) {
        sp_op_commit(op, recorded);
    } else {
        recorded(op, built);
    }
}

static const struct sp_op_kind copy_kind = {.size = sizeof(struct backup_op), .say = sp_background_say};

/* ---- asking ---- */

struct ask_op {
    struct sp_op base;
    struct sp_backup_result view;
};

static void ask_say(struct sp_op *op, sp_any_done *done, void *arg, enum sp_outcome outcome) {
    struct sp_backup_result result = {.outcome = outcome};
    if (outcome == SP_OUTCOME_OK) {
        result = ((struct ask_op *)(void *)op)->view;
        result.outcome = outcome;
    }
    ((sp_backup_done *)done)(arg, &result);
}
static const struct sp_op_kind ask_kind = {.size = sizeof(struct ask_op), .say = ask_say};

static void look(struct sp_app *app, struct sp_backup_result *ret) {
    struct sp_app_backup *b = &app->backup;
    pthread_mutex_lock(&b->mutex);
    *ret = b->last;
    if (b->job != NULL) {
        ret->pages = atomic_load_explicit(&b->job->pages, memory_order_relaxed);
        ret->pages_done = atomic_load_explicit(&b->job->pages_done, memory_order_relaxed);
    }
    pthread_mutex_unlock(&b->mutex);
}

/* false: one is running, or the server is going down. */
static bool claim(struct sp_app *app, struct backup_op *op) {
    struct sp_app_backup *b = &app->backup;
    pthread_mutex_lock(&b->mutex);
    bool idle = b->job == NULL && !b->closing;
    if (idle) {
        b->job = &op->job;
        b->last = (struct sp_backup_result){.state = SP_BACKUP_RUNNING, .started_ms = op->base.now_ms};
        SP_IGNORE(SP_TEXT_SET(&b->last.path, sp_slice_cstr(op->path))); /* as long as ours at most */
    }
    pthread_mutex_unlock(&b->mutex);
    return idle;
}

static enum sp_outcome start(struct ask_op *ask, sp_slice path) {
    struct sp_app *app = ask->base.app;
    struct backup_op *b = sp_op_background(app, &ask->base, &copy_kind);
    if (b == NULL) return SP_OUTCOME_INTERNAL;
    memcpy(b->path, path.p, path.n);
    b->job = (struct sp_store_backup){.executor = &app->inline_executor, .done = copied, .path = b->path};
    if (!claim(app, b)) {
        sp_op_finish(&b->base, SP_OUTCOME_OK);
        return SP_OUTCOME_IN_USE;
    }
    look(app, &ask->view);
    sp_store_backup_submit(app->deps.store, &b->job);
    return SP_OUTCOME_OK;
}

void sp_app_backup_start(struct sp_app *app, const struct sp_call *call, sp_slice path, sp_backup_done *done,
                         void *arg) {
    struct ask_op *ask = sp_op_new(app, call, &ask_kind, (sp_any_done *)done, arg);
    if (ask == NULL) return;
    bool is_path = path.n > 1 && path.n < SP_BACKUP_PATH_BYTES_MAX && path.p[0] == '/' &&
                   memchr(path.p, 0, path.n) == NULL;
    enum sp_outcome o = SP_OUTCOME_INVALID_REQUEST;
    if (call->channel != SP_CHANNEL_ADMIN_SOCKET) {
        o = SP_OUTCOME_PERMISSION_DENIED;
    } else if (is_path) {
        o = start(ask, path);
    }
    sp_op_finish(&ask->base, o);
}

void sp_app_backup_status(struct sp_app *app, const struct sp_call *call, sp_backup_done *done, void *arg) {
    struct ask_op *ask = sp_op_new(app, call, &ask_kind, (sp_any_done *)done, arg);
    if (ask == NULL) return;
    look(app, &ask->view);
    sp_op_finish(&ask->base, SP_OUTCOME_OK);
}

/* ---- the app's beginning and end ---- */

void sp_app_backup_init(struct sp_app *app) {
    pthread_mutex_init(&app->backup.mutex, NULL);
}

void sp_app_backup_cancel(struct sp_app *app) {
    pthread_mutex_lock(&app->backup.mutex);
    app->backup.closing = true;
    if (app->backup.job != NULL) atomic_store(&app->backup.job->cancel, true);
    pthread_mutex_unlock(&app->backup.mutex);
}

void sp_app_backup_done(struct sp_app *app) {
    pthread_mutex_destroy(&app->backup.mutex);
}
