/* The writer: takes what waits, applies it in one transaction, commits once, answers everybody.
 *
 *   before COMMIT fails    ROLLBACK; nothing has changed; SP_E_UNAVAILABLE for the group
 *   COMMIT itself fails    nobody can know; SP_E_UNKNOWN for the group. The connection is closed. Then,
 * before anything else is answered: open, read meta, and commit a probe, which settles it, because in the log
 * it takes the place of what was in doubt; publish what turns out to have happened.
 *
 * A corrupt page that one change set meets must not fail its neighbours: such a group is run again one by
 * one. */
#include "store/sqlite_int.h"

static void run_done(struct sp_task *task) {
    struct sp_store_commit *c = SP_CONTAINER_OF(task, struct sp_store_commit, task);
    c->done(c);
}

/* All of a group in a row: a loop that is woken by the first finds the others. */
static void post_group(struct sp_task *group) {
    while (group != NULL) {
        struct sp_store_commit *c = SP_CONTAINER_OF(group, struct sp_store_commit, task);
        struct sp_task *next = group->next;
        c->task = (struct sp_task){.run = run_done};
        sp_executor_post(c->executor, &c->task);
        group = next;
    }
}

static void answer_all(struct sp_task *group, enum sp_code code) {
    for (struct sp_task *t = group; t != NULL; t = t->next)
        SP_CONTAINER_OF(t, struct sp_store_commit, task)->status = sp_err(code);
    post_group(group);
}

/* ---- a group ---- */

/* false: SQLite failed, the transaction is lost. */
static bool apply_group(struct sp_sqlite *s, struct sp_task *group) {
    for (struct sp_task *t = group; t != NULL; t = t->next) {
        struct sp_store_commit *c = SP_CONTAINER_OF(t, struct sp_store_commit, task);
        c->status = sp_apply_set(&s->apply, c);
        if (s->conn.failed != 0) return false;
        /* a row that does not load, no memory: this set's trouble, not its neighbours' */
        if (!sp_ok(c->status) && !sp_is(c->status, SP_E_CONFLICT)) c->status = sp_err(SP_E_UNAVAILABLE);
    }
    return sp_ok(sp_apply_finish(&s->apply));
}

static void run_group(struct sp_sqlite *s, struct sp_task *group);

static void run_one_by_one(struct sp_sqlite *s, struct sp_task *group) {
    while (group != NULL) {
        struct sp_task *next = group->next;
        group->next = NULL;
        if (s->broken)
            answer_all(group, SP_E_UNAVAILABLE);
        else
            run_group(s, group);
        group = next;
    }
}

static void group_failed(struct sp_sqlite *s, struct sp_task *group) {
    int failed = s->conn.failed & 0xff;
    sp_sqlite_count_failed(&s->counters, SP_E_UNAVAILABLE);
    sp_apply_dropped(&s->apply);
    if (!sqlite3_get_autocommit(s->conn.db) && !sp_ok(sp_conn_run(&s->conn, SP_SQL_ROLLBACK)))
        s->broken = true;
    /* Memory of the connection (its cache) is as suspect as the disk; a full disk is only full. */
    if (failed != SQLITE_FULL && failed != SQLITE_CORRUPT) s->broken = true;
    atomic_store(&s->health, SP_E_UNAVAILABLE);
    if (failed == SQLITE_CORRUPT && group != NULL && group->next != NULL)
        run_one_by_one(s, group);
    else
        answer_all(group, SP_E_UNAVAILABLE);
}

static void commit_failed(struct sp_sqlite *s, struct sp_task *group) {
    s->broken = true;
    atomic_store(&s->serving, false);
    atomic_store(&s->health, SP_E_UNKNOWN);
    sp_sqlite_count_failed(&s->counters, SP_E_UNKNOWN);
    sp_conn_close(&s->conn);
    answer_all(group, SP_E_UNKNOWN);
}

static void run_group(struct sp_sqlite *s, struct sp_task *group) {
    int64_t began_us = sp_sqlite_count_begin();
    s->conn.failed = 0;
    if (!sp_ok(sp_conn_run(&s->conn, SP_SQL_BEGIN)) || !apply_group(s, group)) {
        group_failed(s, group);
        return;
    }
    if (!sp_ok(sp_conn_run(&s->conn, SP_SQL_COMMIT))) {
        commit_failed(s, group);
        return;
    }
    sp_apply_kept(&s->apply);
    sp_sqlite_count_kept(&s->counters, group, began_us);
    atomic_store(&s->health, SP_OK);
    post_group(group);
}

/* ---- open, recover ---- */

static sp_status open_and_read(struct sp_sqlite *s, struct sp_meta_row *ret_meta) {
    SP_TRY(sp_conn_open(&s->conn, s->path, &s->opts, SP_CONN_WRITER));
    sp_status status = sp_row_meta(&s->conn, ret_meta);
    if (!sp_ok(status)) sp_conn_close(&s->conn);
    return status;
}

sp_status sp_sqlite_writer_open(struct sp_sqlite *s) {
    struct sp_meta_row meta;
    SP_TRY(open_and_read(s, &meta));
    sp_sqlite_tables_init(&s->tables, &s->conn);
    sp_apply_init(&s->apply, &s->tables.tables, &meta);
    s->apply.env.log = s->opts.log;
    return SP_SUCCESS;
}

static sp_status probe(struct sp_sqlite *s) {
    s->conn.failed = 0;
    sp_status status = sp_conn_run(&s->conn, SP_SQL_BEGIN);
    if (sp_ok(status)) status = sp_conn_run(&s->conn, SP_SQL_META_PROBE);
    if (sp_ok(status)) status = sp_conn_run(&s->conn, SP_SQL_COMMIT);
    if (!sp_ok(status)) s->broken = true;
    return status;
}

static sp_status reopen(struct sp_sqlite *s) {
    struct sp_meta_row meta;
    sp_conn_close(&s->conn);
    SP_TRY(open_and_read(s, &meta));
    SP_TRY(probe(s));
    sp_apply_reload(&s->apply, &meta);
    return sp_apply_settle(&s->apply);
}

/* Nothing may be read until an unknown outcome has become a known one. */
static void recover(struct sp_sqlite *s) {
    s->conn.log = s->apply.env.log;
    if (!sp_ok(s->broken ? reopen(s) : probe(s))) {
        s->broken = true;
        return;
    }
    s->broken = false;
    atomic_store(&s->serving, true);
    atomic_store(&s->health, SP_OK);
    SP_LOG(&s->apply.env.log, SP_LOG_WARN, "store_recovered",
           SP_LOGF_I64("audit_count", (int64_t)s->apply.kept.meta.audit_count));
}

/* ---- the thread ---- */

/* After the answers, so that nobody waits for it but the next group. */
static void checkpoint(struct sp_sqlite *s) {
    int64_t pages = s->conn.wal_pages, due = s->opts.checkpoint_pages;
    if (s->broken || pages < due) return;
    /* A backup holds a snapshot for long: waiting for it would stall everybody. */
    bool restart = pages >= due * SP_SQLITE_RESTART_FACTOR && !atomic_load(&s->backing_up);
    int mode = restart ? SQLITE_CHECKPOINT_RESTART : SQLITE_CHECKPOINT_PASSIVE;
    int rc = sqlite3_wal_checkpoint_v2(s->conn.db, NULL, mode, NULL, NULL);
    if (rc == SQLITE_OK || rc == SQLITE_BUSY) return;
    /* Nothing is lost: the log still has it all. The next group tries again. */
    SP_IGNORE(sp_conn_failed(&s->conn, "checkpoint"));
}

static void take_env(struct sp_sqlite *s) {
    pthread_mutex_lock(&s->writes.mutex);
    s->apply.env = s->env;
    pthread_mutex_unlock(&s->writes.mutex);
    s->conn.log = s->apply.env.log;
}

static bool is_well(struct sp_sqlite *s) {
    return !s->broken && atomic_load(&s->health) == SP_OK;
}

void *sp_sqlite_writer_run(void *store) {
    struct sp_sqlite *s = store;
    bool closed = false;
    while (!closed) {
        if (s->broken) recover(s);
        struct sp_task *group =
            sp_queue_take(&s->writes, s->opts.group_max, is_well(s) ? -1 : SP_SQLITE_PROBE_MS, &closed);
        take_env(s);
        if (group == NULL) {
            if (!closed && !is_well(s)) recover(s);
        } else if (s->broken) {
            answer_all(group, SP_E_UNAVAILABLE);
        } else {
            run_group(s, group);
            checkpoint(s);
        }
    }
    return NULL;
}
