#include "core/store.h"

#include <pthread.h>

#include "base/assert.h"
#include "base/mem.h"

static size_t row_size(enum sp_read_kind kind) {
    switch (kind) {
    case SP_READ_META: return 0;
    case SP_READ_USER_BY_ID:
    case SP_READ_USER_BY_NAME:
    case SP_READ_USERS: return sizeof(struct sp_user_row);
    case SP_READ_ROLES: return sizeof(struct sp_role_row);
    case SP_READ_SESSION:
    case SP_READ_SESSIONS:
    case SP_READ_USER_SESSIONS: return sizeof(struct sp_session_row);
    case SP_READ_KEYS: return sizeof(struct sp_key_row);
    case SP_READ_REVOCATIONS: return sizeof(struct sp_revocation_row);
    case SP_READ_AUDIT: return sizeof(struct sp_audit_row);
    case SP_READ_CLIENT:
    case SP_READ_CLIENTS: return sizeof(struct sp_client_row);
    case SP_READ_CONSENT:
    case SP_READ_CONSENTS: return sizeof(struct sp_consent_row);
    case SP_READ_LOGOUTS: return sizeof(struct sp_logout_row);
    }
    return 0;
}

void sp_audit_row_done(struct sp_audit_row *row) {
    free(row->body);
    sp_free_wiped(row->personal, row->personal_n);
    row->body = NULL;
    row->personal = NULL;
}

void sp_store_read_done(struct sp_store_read *r) {
    if (r->kind == SP_READ_AUDIT && r->ret.rows != NULL) {
        for (uint32_t i = 0; i < r->ret.n; i++) sp_audit_row_done(&r->ret.audit[i]);
    }
    /* Users carry password hashes, sessions their ratchet, keys sealed bytes. */
    sp_free_wiped(r->ret.rows, r->ret.rows == NULL ? 0 : r->ret.n * row_size(r->kind));
    memset(&r->ret, 0, sizeof(r->ret));
}

/* An executor that runs a task where it was posted and wakes whoever waits. */
struct waiter {
    struct sp_executor executor;
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    bool finished;
};

static void waiter_post(struct sp_executor *self, struct sp_task *task) {
    (void)self;
    task->run(task);
}

static void waiter_init(struct waiter *w) {
    *w = (struct waiter){.executor = {waiter_post}};
    sp_assert(pthread_mutex_init(&w->mutex, NULL) == 0);
    sp_assert(pthread_cond_init(&w->cond, NULL) == 0);
}

static void waiter_finish(struct waiter *w) {
    pthread_mutex_lock(&w->mutex);
    w->finished = true;
    pthread_cond_signal(&w->cond);
    pthread_mutex_unlock(&w->mutex);
}

static void waiter_wait(struct waiter *w) {
    pthread_mutex_lock(&w->mutex);
    while (!w->finished) pthread_cond_wait(&w->cond, &w->mutex);
    pthread_mutex_unlock(&w->mutex);
    pthread_cond_destroy(&w->cond);
    pthread_mutex_destroy(&w->mutex);
}

static void commit_finished(struct sp_store_commit *c) {
    waiter_finish(SP_CONTAINER_OF(c->executor, struct waiter, executor));
}

sp_status sp_store_commit_wait(struct sp_store *s, struct sp_change *changes, size_t n, size_t *ret_failed) {
    struct waiter w;
    waiter_init(&w);
    struct sp_store_commit c = {.executor = &w.executor, .done = commit_finished, .changes = changes, .n = n};
    sp_store_commit_submit(s, &c);
    waiter_wait(&w);
    if (ret_failed != NULL) *ret_failed = c.failed;
    return c.status;
}

static void read_finished(struct sp_store_read *r) {
    waiter_finish(SP_CONTAINER_OF(r->executor, struct waiter, executor));
}

sp_status sp_store_read_wait(struct sp_store *s, struct sp_store_read *r) {
    struct waiter w;
    waiter_init(&w);
    r->executor = &w.executor;
    r->done = read_finished;
    sp_store_read_submit(s, r);
    waiter_wait(&w);
    return r->status;
}
