#include "server/marker.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/assert.h"
#include "server/boot_mark.h"

/* What a copy must lack to be found after a crash, against a sync of the disk. */
enum { EVERY_S = 10 };

struct sp_marker {
    const char *data_dir;
    struct sp_store *store;
    struct sp_log log;
    struct sp_boot_mark written; /* of the thread, once it runs */
    pthread_t thread;
    pthread_mutex_t mutex; /* guards stopping */
    pthread_cond_t wake;
    bool stopping;
};

static sp_status read_mark(struct sp_store *store, struct sp_boot_mark *ret) {
    struct sp_store_read r = {.kind = SP_READ_META, .tenant = SP_TENANT_DEFAULT, .limit = 1};
    sp_status s = sp_store_read_wait(store, &r);
    if (sp_ok(s))
        *ret = (struct sp_boot_mark){.boots = r.ret.meta.boots, .audit_count = r.ret.meta.audit_count};
    sp_store_read_done(&r);
    return s;
}

static sp_status update(struct sp_marker *m) {
    struct sp_boot_mark now;
    SP_TRY(read_mark(m->store, &now));
    if (now.boots == m->written.boots && now.audit_count == m->written.audit_count) return SP_SUCCESS;
    SP_TRY(sp_boot_mark_write(m->data_dir, &now));
    m->written = now;
    return SP_SUCCESS;
}

static void update_or_say(struct sp_marker *m) {
    sp_status s = update(m);
    if (!sp_ok(s))
        SP_LOG(&m->log, SP_LOG_WARN, "mark_not_written",
               SP_LOGF_TEXT("reason", sp_slice_cstr(sp_code_name(s.code))));
}

/* False when it is time to stop. */
static bool wait_for_next(struct sp_marker *m) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += EVERY_S;
    pthread_mutex_lock(&m->mutex);
    while (!m->stopping && pthread_cond_timedwait(&m->wake, &m->mutex, &until) != ETIMEDOUT) {
    }
    const bool go_on = !m->stopping;
    pthread_mutex_unlock(&m->mutex);
    return go_on;
}

static void *run(void *arg) {
    struct sp_marker *m = arg;
    while (wait_for_next(m)) update_or_say(m);
    update_or_say(m);
    return NULL;
}

static void init_sync(struct sp_marker *m) {
    pthread_condattr_t monotonic;
    sp_assert(pthread_condattr_init(&monotonic) == 0);
    sp_assert(pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC) == 0);
    sp_assert(pthread_cond_init(&m->wake, &monotonic) == 0);
    sp_assert(pthread_mutex_init(&m->mutex, NULL) == 0);
    pthread_condattr_destroy(&monotonic);
}

static void destroy(struct sp_marker *m) {
    pthread_cond_destroy(&m->wake);
    pthread_mutex_destroy(&m->mutex);
    free(m);
}

sp_status sp_marker_new(const char *data_dir, struct sp_store *store, struct sp_log log,
                        struct sp_marker **ret) {
    struct sp_marker *m = calloc(1, sizeof(*m));
    if (m == NULL) return sp_err(SP_E_NOMEM);
    *m = (struct sp_marker){.data_dir = data_dir, .store = store, .log = log};
    init_sync(m);
    sp_status s = update(m);
    if (sp_ok(s) && pthread_create(&m->thread, NULL, run, m) != 0) s = sp_err(SP_E_UNAVAILABLE);
    if (!sp_ok(s)) {
        destroy(m);
        return s;
    }
    *ret = m;
    return SP_SUCCESS;
}

void sp_marker_free(struct sp_marker *m) {
    if (m == NULL) return;
    pthread_mutex_lock(&m->mutex);
    m->stopping = true;
    pthread_cond_signal(&m->wake);
    pthread_mutex_unlock(&m->mutex);
    pthread_join(m->thread, NULL);
    destroy(m);
}
