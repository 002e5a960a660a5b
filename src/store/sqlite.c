#include "store/sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "store/sqlite_int.h"

/* ---- queue ---- */

static void queue_init(struct sp_queue *q, uint32_t max) {
    pthread_condattr_t attr;
    *q = (struct sp_queue){.max = max};
    sp_assert(pthread_mutex_init(&q->mutex, NULL) == 0);
    sp_assert(pthread_condattr_init(&attr) == 0);
    sp_assert(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0);
    sp_assert(pthread_cond_init(&q->wake, &attr) == 0);
    pthread_condattr_destroy(&attr);
}

static void queue_done(struct sp_queue *q) {
    pthread_cond_destroy(&q->wake);
    pthread_mutex_destroy(&q->mutex);
}

/* false: full. */
static bool queue_put(struct sp_queue *q, struct sp_task *task) {
    task->next = NULL;
    pthread_mutex_lock(&q->mutex);
    sp_assert(!q->closing);
    bool fits = q->n < q->max;
    if (fits) {
        if (q->first == NULL)
            q->first = task;
        else
            q->last->next = task;
        q->last = task;
        q->n++;
        pthread_cond_signal(&q->wake);
    }
    pthread_mutex_unlock(&q->mutex);
    return fits;
}

static struct timespec in_ms(int ms) {
    struct timespec t;
    sp_assert(clock_gettime(CLOCK_MONOTONIC, &t) == 0);
    t.tv_sec += ms / 1000;
    t.tv_nsec += (ms % 1000) * 1000000L;
    if (t.tv_nsec >= 1000000000L) t.tv_sec++, t.tv_nsec -= 1000000000L;
    return t;
}

/* true: it slept, and was woken by the first of whatever comes. */
static bool queue_wait(struct sp_queue *q, int wait_ms) {
    struct timespec until = in_ms(wait_ms < 0 ? 0 : wait_ms);
    bool slept = false;
    while (q->first == NULL && !q->closing) {
        slept = true;
        if (wait_ms < 0)
            pthread_cond_wait(&q->wake, &q->mutex);
        else if (pthread_cond_timedwait(&q->wake, &q->mutex, &until) == ETIMEDOUT)
            return false;
    }
    return slept;
}

/* The kernel likes to run a thread at once where it was woken, which is in the middle of a poster's turn: a
 * group would be of one, and the others wait for its fsync. Where the poster shares our core this lets it
 * finish its turn first; where it does not, it costs nothing. A timer instead would delay those who are
 * alone.
 */
static void gather(struct sp_queue *q) {
    pthread_mutex_unlock(&q->mutex);
    sched_yield();
    pthread_mutex_lock(&q->mutex);
}

struct sp_task *sp_queue_take(struct sp_queue *q, uint32_t most, int wait_ms, bool *ret_closed) {
    pthread_mutex_lock(&q->mutex);
    if (queue_wait(q, wait_ms)) gather(q);
    struct sp_task *first = q->first, *last = NULL;
    for (uint32_t i = 0; i < most && q->first != NULL; i++) {
        last = q->first;
        q->first = last->next;
        q->n--;
    }
    if (last != NULL) last->next = NULL;
    *ret_closed = first == NULL && q->closing;
    pthread_mutex_unlock(&q->mutex);
    return first;
}

static void queue_close(struct sp_queue *q) {
    pthread_mutex_lock(&q->mutex);
    q->closing = true;
    pthread_cond_broadcast(&q->wake);
    pthread_mutex_unlock(&q->mutex);
}

/* ---- the port ---- */

static struct sp_sqlite *self(struct sp_store *store) {
    return SP_CONTAINER_OF(store, struct sp_sqlite, store);
}

static void run_commit_done(struct sp_task *task) {
    struct sp_store_commit *c = SP_CONTAINER_OF(task, struct sp_store_commit, task);
    c->done(c);
}

static void run_read_done(struct sp_task *task) {
    struct sp_store_read *r = SP_CONTAINER_OF(task, struct sp_store_read, task);
    r->done(r);
}

static void store_commit(struct sp_store *store, struct sp_store_commit *c) {
    if (queue_put(&self(store)->writes, &c->task)) return;
    c->status = sp_err(SP_E_BUSY);
    c->failed = 0;
    c->task = (struct sp_task){.run = run_commit_done};
    sp_executor_post(c->executor, &c->task);
}

static void answer_read(struct sp_store_read *r) {
    r->task = (struct sp_task){.run = run_read_done};
    sp_executor_post(r->executor, &r->task);
}

static void store_read(struct sp_store *store, struct sp_store_read *r) {
    if (queue_put(&self(store)->reads, &r->task)) return;
    memset(&r->ret, 0, sizeof(r->ret));
    r->status = sp_err(SP_E_BUSY);
    answer_read(r);
}

static void store_set_env(struct sp_store *store, const struct sp_store_env *env) {
    struct sp_sqlite *s = self(store);
    struct sp_log log = env->log.write == NULL ? s->opts.log : env->log;
    pthread_mutex_lock(&s->writes.mutex);
    s->env = *env;
    s->env.log = log;
    pthread_mutex_unlock(&s->writes.mutex);
    pthread_mutex_lock(&s->reads.mutex);
    s->read_log = log;
    pthread_mutex_unlock(&s->reads.mutex);
}

static sp_status store_health(struct sp_store *store) {
    return atomic_load(&self(store)->health) == SP_OK ? SP_SUCCESS : sp_err(SP_E_UNAVAILABLE);
}

/* ---- readers ---- */

/* A connection that SQLite has failed on is not trusted again. */
static void serve(struct sp_sqlite *s, struct sp_conn *conn, struct sp_store_read *r) {
    memset(&r->ret, 0, sizeof(r->ret));
    r->status = sp_err(SP_E_UNAVAILABLE);
    if (!atomic_load(&s->serving)) return;
    if (conn->db == NULL && !sp_ok(sp_conn_open(conn, s->path, &s->opts, SP_CONN_READER))) return;
    pthread_mutex_lock(&s->reads.mutex);
    conn->log = s->read_log;
    pthread_mutex_unlock(&s->reads.mutex);
    sp_sqlite_serve_read(conn, r);
    if (conn->failed != 0) sp_conn_close(conn);
}

static void *reader_run(void *store) {
    struct sp_sqlite *s = store;
    struct sp_conn conn = {0};
    bool closed = false;
    while (!closed) {
        struct sp_task *task = sp_queue_take(&s->reads, 1, -1, &closed);
        if (task == NULL) continue;
        struct sp_store_read *r = SP_CONTAINER_OF(task, struct sp_store_read, task);
        serve(s, &conn, r);
        answer_read(r);
    }
    sp_conn_close(&conn);
    return NULL;
}

/* ---- files ---- */

static sp_status file_failed(const struct sp_log *log, const char *what, const char *dir) {
    int error = errno;
    SP_LOG(log, SP_LOG_ERROR, "store_files", SP_LOGF_TEXT("what", sp_slice_cstr(what)),
           SP_LOGF_TEXT("dir", sp_slice_cstr(dir)), SP_LOGF_I64("errno", error));
    return sp_err(SP_E_IO);
}

static sp_status take_lock(struct sp_sqlite *s, int dir) {
    s->lock_fd = openat(dir, "sallyport.lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (s->lock_fd < 0) return file_failed(&s->opts.log, "lock file", s->opts.dir);
    if (flock(s->lock_fd, LOCK_EX | LOCK_NB) == 0) return SP_SUCCESS;
    if (errno != EWOULDBLOCK) return file_failed(&s->opts.log, "lock", s->opts.dir);
    SP_LOG(&s->opts.log, SP_LOG_ERROR, "store_in_use", SP_LOGF_TEXT("dir", sp_slice_cstr(s->opts.dir)));
    return sp_err(SP_E_BUSY);
}

/* Made here and not by SQLite, for its mode, which the log's files then inherit; synced, for its name. */
static sp_status make_file(struct sp_sqlite *s, int dir) {
    int fd = openat(dir, "sallyport.db", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) return file_failed(&s->opts.log, "database file", s->opts.dir);
    bool synced = fsync(fd) == 0 && fsync(dir) == 0;
    close(fd);
    return synced ? SP_SUCCESS : file_failed(&s->opts.log, "sync", s->opts.dir);
}

static sp_status open_files(struct sp_sqlite *s) {
    struct stat st;
    if (mkdir(s->opts.dir, 0700) != 0 && errno != EEXIST)
        return file_failed(&s->opts.log, "mkdir", s->opts.dir);
    int dir = open(s->opts.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0) return file_failed(&s->opts.log, "open", s->opts.dir);
    if (fstat(dir, &st) == 0 && (st.st_mode & 077) != 0)
        SP_LOG(&s->opts.log, SP_LOG_WARN, "store_dir_open_to_others",
               SP_LOGF_TEXT("dir", sp_slice_cstr(s->opts.dir)));
    sp_status status = take_lock(s, dir);
    if (sp_ok(status)) status = make_file(s, dir);
    close(dir);
    return status;
}

/* ---- open, close ---- */

static void start_sqlite(void) {
    /* Its counting of memory is one lock for all threads. MISUSE, when somebody has started it before us, is
     * as good. */
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    sqlite3_initialize();
}

static uint32_t or_default(uint32_t v, uint32_t fallback) {
    return v == 0 ? fallback : v;
}

static struct sp_sqlite_opts complete(const struct sp_sqlite_opts *in) {
    struct sp_sqlite_opts o = *in;
    o.queue_max = or_default(o.queue_max, SP_SQLITE_QUEUE_MAX);
    o.read_queue_max = or_default(o.read_queue_max, SP_SQLITE_READ_QUEUE_MAX);
    o.group_max = or_default(o.group_max, SP_SQLITE_GROUP_MAX);
    o.readers = or_default(o.readers, SP_SQLITE_READERS);
    if (o.readers > SP_SQLITE_READERS_MAX) o.readers = SP_SQLITE_READERS_MAX;
    o.busy_ms = or_default(o.busy_ms, SP_SQLITE_BUSY_MS);
    o.checkpoint_pages = or_default(o.checkpoint_pages, SP_SQLITE_CHECKPOINT_PAGES);
    if (o.log.write == NULL) o.log = sp_log_none;
    return o;
}

static void free_store(struct sp_sqlite *s) {
    sp_conn_close(&s->conn);
    sp_apply_done(&s->apply);
    if (s->lock_fd >= 0) close(s->lock_fd); /* the lock goes with it, after the last connection */
    pthread_mutex_destroy(&s->backup_mutex);
    queue_done(&s->writes);
    queue_done(&s->reads);
    free(s->path);
    free(s);
}

static void stop_readers(struct sp_sqlite *s) {
    queue_close(&s->reads);
    for (uint32_t i = 0; i < s->readers_n; i++) pthread_join(s->readers[i], NULL);
}

/* Readers first: the log can be emptied only when nobody reads it. A done that submits again while we close
 * would be the caller's mistake. */
static void store_close(struct sp_store *store) {
    struct sp_sqlite *s = self(store);
    stop_readers(s);
    sp_sqlite_backup_join(s);
    queue_close(&s->writes);
    pthread_join(s->writer, NULL);
    if (!s->broken) sqlite3_wal_checkpoint_v2(s->conn.db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    free_store(s);
}

static const struct sp_store_ops ops = {
    .name = "sqlite",
    .commit = store_commit,
    .read = store_read,
    .set_env = store_set_env,
    .backup = sp_sqlite_backup,
    .health = store_health,
    .stats = sp_sqlite_stats,
    .close = store_close,
};

static sp_status start_threads(struct sp_sqlite *s) {
    for (; s->readers_n < s->opts.readers; s->readers_n++) {
        if (pthread_create(&s->readers[s->readers_n], NULL, reader_run, s) != 0) break;
    }
    if (s->readers_n == s->opts.readers && pthread_create(&s->writer, NULL, sp_sqlite_writer_run, s) == 0)
        return SP_SUCCESS;
    stop_readers(s);
    return sp_err(SP_E_NOMEM);
}

static struct sp_sqlite *new_store(const struct sp_sqlite_opts *opts) {
    struct sp_sqlite *s = calloc(1, sizeof(*s));
    if (s == NULL) return NULL;
    s->store.ops = &ops;
    s->opts = complete(opts);
    s->lock_fd = -1;
    s->env.log = s->read_log = s->opts.log;
    atomic_init(&s->health, SP_OK);
    atomic_init(&s->serving, true);
    atomic_init(&s->backing_up, false);
    sp_assert(pthread_mutex_init(&s->backup_mutex, NULL) == 0);
    queue_init(&s->writes, s->opts.queue_max);
    queue_init(&s->reads, s->opts.read_queue_max);
    if (asprintf(&s->path, "%s/sallyport.db", s->opts.dir) < 0) {
        s->path = NULL;
        free_store(s);
        return NULL;
    }
    return s;
}

sp_status sp_store_sqlite_open(const struct sp_sqlite_opts *opts, struct sp_store **ret) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, start_sqlite);
    struct sp_sqlite *s = new_store(opts);
    if (s == NULL) return sp_err(SP_E_NOMEM);
    sp_status status = open_files(s);
    if (sp_ok(status)) status = sp_sqlite_writer_open(s);
    if (sp_ok(status)) status = start_threads(s);
    if (!sp_ok(status)) {
        free_store(s);
        return status;
    }
    s->opts.dir = NULL; /* the caller's; s->path is ours */
    *ret = &s->store;
    return SP_SUCCESS;
}
