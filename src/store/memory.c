/* Applied when submitted, under one mutex; completions are posted after it is released, so that an executor
 * that runs them at once (sp_store_commit_wait) may submit again.
 *
 * Turned down: a thread of its own. It would make simulations depend on the scheduler, and nothing here
 * waits. */
#include "store/memory.h"

#include "base/assert.h"
#include "store/memory_int.h"

struct sp_memory {
    struct sp_store store;
    pthread_mutex_t mutex; /* everything below */
    struct sp_memory_tables tables;
    struct sp_apply apply;
    uint64_t fault_in, fault_times;
    enum sp_memory_fault fault;
    bool fail_reads;
    enum sp_code health;
};

struct sp_memory_snapshot {
    struct sp_memory_tables tables;
    struct sp_apply_state state;
};

static struct sp_memory *self(struct sp_store *store) {
    return SP_CONTAINER_OF(store, struct sp_memory, store);
}

/* ---- commit ---- */

static enum sp_memory_fault next_fault(struct sp_memory *m) {
    if (m->fault_times == 0) return SP_MEMORY_FAULT_NONE;
    if (m->fault_in > 1) {
        m->fault_in--;
        return SP_MEMORY_FAULT_NONE;
    }
    m->fault_times--;
    return m->fault;
}

static void drop(struct sp_memory *m) {
    sp_mlog_undo(&m->tables.log, 0);
    sp_apply_dropped(&m->apply);
}

static void keep(struct sp_memory *m) {
    sp_mlog_keep(&m->tables.log);
    sp_apply_kept(&m->apply);
}

/* A refused set has left nothing behind, and a fault of the disk would have come at COMMIT: so the set is
 * applied first, and what the fault would have spared is undone. */
static sp_status commit(struct sp_memory *m, struct sp_store_commit *c) {
    enum sp_memory_fault fault = next_fault(m);
    c->failed = 0;
    if (fault == SP_MEMORY_FAULT_BUSY) return sp_err(SP_E_BUSY);
    m->health = fault == SP_MEMORY_FAULT_NONE ? SP_OK : SP_E_UNAVAILABLE;
    if (fault == SP_MEMORY_FAULT_UNAVAILABLE) return sp_err(SP_E_UNAVAILABLE);
    sp_status s = sp_apply_set(&m->apply, c);
    if (sp_ok(s)) s = sp_apply_finish(&m->apply);
    if (!sp_ok(s)) {
        drop(m);
        return sp_is(s, SP_E_CONFLICT) ? s : sp_err(SP_E_UNAVAILABLE);
    }
    if (fault == SP_MEMORY_FAULT_UNKNOWN_NOT_APPLIED)
        drop(m);
    else
        keep(m);
    return fault == SP_MEMORY_FAULT_NONE ? SP_SUCCESS : sp_err(SP_E_UNKNOWN);
}

static void run_commit_done(struct sp_task *task) {
    struct sp_store_commit *c = SP_CONTAINER_OF(task, struct sp_store_commit, task);
    c->done(c);
}

static void store_commit(struct sp_store *store, struct sp_store_commit *c) {
    struct sp_memory *m = self(store);
    pthread_mutex_lock(&m->mutex);
    c->status = commit(m, c);
    pthread_mutex_unlock(&m->mutex);
    c->task = (struct sp_task){.run = run_commit_done};
    sp_executor_post(c->executor, &c->task);
}

/* ---- the rest of the port ---- */

static void run_read_done(struct sp_task *task) {
    struct sp_store_read *r = SP_CONTAINER_OF(task, struct sp_store_read, task);
    r->done(r);
}

static void store_read(struct sp_store *store, struct sp_store_read *r) {
    struct sp_memory *m = self(store);
    pthread_mutex_lock(&m->mutex);
    if (m->fail_reads) {
        memset(&r->ret, 0, sizeof(r->ret));
        r->status = sp_err(SP_E_UNAVAILABLE);
    } else {
        sp_memory_serve_read(&m->tables, &m->apply.kept.meta, r);
    }
    pthread_mutex_unlock(&m->mutex);
    r->task = (struct sp_task){.run = run_read_done};
    sp_executor_post(r->executor, &r->task);
}

static void store_set_env(struct sp_store *store, const struct sp_store_env *env) {
    struct sp_memory *m = self(store);
    pthread_mutex_lock(&m->mutex);
    m->apply.env = *env;
    pthread_mutex_unlock(&m->mutex);
}

static void run_backup_done(struct sp_task *task) {
    struct sp_store_backup *b = SP_CONTAINER_OF(task, struct sp_store_backup, task);
    b->done(b);
}

static void store_backup(struct sp_store *store, struct sp_store_backup *b) {
    (void)store;
    b->status = sp_err(SP_E_UNSUPPORTED);
    b->task = (struct sp_task){.run = run_backup_done};
    sp_executor_post(b->executor, &b->task);
}

static sp_status store_health(struct sp_store *store) {
    struct sp_memory *m = self(store);
    pthread_mutex_lock(&m->mutex);
    enum sp_code health = m->health;
    pthread_mutex_unlock(&m->mutex);
    return sp_err(health);
}

static void store_close(struct sp_store *store) {
    struct sp_memory *m = self(store);
    sp_apply_done(&m->apply);
    sp_memory_tables_done(&m->tables);
    pthread_mutex_destroy(&m->mutex);
    free(m);
}

static const struct sp_store_ops ops = {
    .name = "memory",
    .commit = store_commit,
    .read = store_read,
    .set_env = store_set_env,
    .backup = store_backup,
    .health = store_health,
    .close = store_close,
};

sp_status sp_store_memory_new(struct sp_store **ret) {
    struct sp_memory *m = calloc(1, sizeof(*m));
    if (m == NULL) return sp_err(SP_E_NOMEM);
    struct sp_meta_row meta;
    memset(&meta, 0, sizeof(meta));
    meta.incarnation = 1;
    sp_status s = sp_random_fill(&sp_random_system, meta.feed_epoch, sizeof(meta.feed_epoch));
    if (!sp_ok(s)) {
        free(m);
        return s;
    }
    m->store.ops = &ops;
    sp_assert(pthread_mutex_init(&m->mutex, NULL) == 0);
    sp_memory_tables_init(&m->tables);
    sp_apply_init(&m->apply, &m->tables.tables, &meta);
    *ret = &m->store;
    return SP_SUCCESS;
}

/* ---- for tests and simulations ---- */

void sp_store_memory_fail(struct sp_store *store, uint64_t nth, uint64_t times, enum sp_memory_fault fault) {
    struct sp_memory *m = self(store);
    pthread_mutex_lock(&m->mutex);
    m->fault_in = nth;
    m->fault_times = fault == SP_MEMORY_FAULT_NONE ? 0 : times;
    m->fault = fault;
    pthread_mutex_unlock(&m->mutex);
}

void sp_store_memory_fail_reads(struct sp_store *store, bool fail) {
    struct sp_memory *m = self(store);
    pthread_mutex_lock(&m->mutex);
    m->fail_reads = fail;
    pthread_mutex_unlock(&m->mutex);
}

sp_status sp_store_memory_snapshot(struct sp_store *store, struct sp_memory_snapshot **ret) {
    struct sp_memory *m = self(store);
    struct sp_memory_snapshot *snapshot = calloc(1, sizeof(*snapshot));
    if (snapshot == NULL) return sp_err(SP_E_NOMEM);
    sp_memory_tables_init(&snapshot->tables);
    pthread_mutex_lock(&m->mutex);
    sp_status s = sp_memory_tables_assign(&snapshot->tables, &m->tables);
    snapshot->state = m->apply.kept;
    pthread_mutex_unlock(&m->mutex);
    if (!sp_ok(s)) {
        sp_memory_snapshot_free(snapshot);
        return s;
    }
    *ret = snapshot;
    return SP_SUCCESS;
}

sp_status sp_store_memory_restore(struct sp_store *store, const struct sp_memory_snapshot *snapshot,
                                  bool bump_incarnation) {
    struct sp_memory *m = self(store);
    uint8_t epoch[SP_ROW_FEED_EPOCH_BYTES];
    SP_TRY(sp_random_fill(&sp_random_system, epoch, sizeof(epoch)));
    pthread_mutex_lock(&m->mutex);
    sp_status s = sp_memory_tables_assign(&m->tables, &snapshot->tables);
    if (sp_ok(s)) {
        m->apply.kept = snapshot->state;
        if (bump_incarnation) m->apply.kept.meta.incarnation++;
        m->apply.now = m->apply.kept;
        if (bump_incarnation) {
            sp_apply_feed_renew(&m->apply, epoch);
            m->apply.kept = m->apply.now;
        }
    }
    pthread_mutex_unlock(&m->mutex);
    return s;
}

void sp_memory_snapshot_free(struct sp_memory_snapshot *snapshot) {
    if (snapshot == NULL) return;
    sp_memory_tables_done(&snapshot->tables);
    free(snapshot);
}
