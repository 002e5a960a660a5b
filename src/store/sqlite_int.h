/* The store's own state and its two kinds of threads. Inside src/store/sqlite*.c only. */
#ifndef SP_STORE_SQLITE_INT_H
#define SP_STORE_SQLITE_INT_H

#include <pthread.h>
#include <stdatomic.h>

#include "store/apply.h"
#include "store/sqlite_conn.h"

enum {
    /* At so many times checkpoint_pages readers are made to wait for once, so that the log can start over. */
    SP_SQLITE_RESTART_FACTOR = 8,
    /* While the store is broken: how often it is tried when nobody asks. */
    SP_SQLITE_PROBE_MS = 250,
    SP_SQLITE_PATH_BYTES = 4096, /* of any file that is named here */
};

/* Requests waiting for a thread, in order; through their intrusive task. */
struct sp_queue {
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    struct sp_task *first, *last;
    uint32_t n, max;
    bool closing;
};

/* The writer's thread writes, anyone reads (sqlite_stats.c). */
struct sp_sqlite_counters {
    _Atomic uint64_t transactions, sets, conflicts, failed, unknown, took_us_sum;
    _Atomic uint64_t batch[SP_STORE_BATCH_BUCKETS], took[SP_STORE_LATENCY_BUCKETS];
};

struct sp_sqlite {
    struct sp_store store;
    struct sp_sqlite_counters counters;
    struct sp_sqlite_opts opts;
    char *path;
    int lock_fd;
    struct sp_queue writes, reads;
    pthread_t writer, readers[SP_SQLITE_READERS_MAX];
    uint32_t readers_n;
    struct sp_store_env env; /* under writes.mutex */
    struct sp_log read_log;  /* under reads.mutex */
    atomic_int health;       /* enum sp_code: of the last write */
    atomic_bool serving;     /* false while what is durable is not known: nobody may read */
    atomic_bool backing_up;  /* a backup holds a snapshot */

    /* of the thread that copies; backup_mutex is for whoever starts one */
    pthread_mutex_t backup_mutex;
    pthread_t backup_thread;
    bool backup_joinable;
    struct sp_store_backup *backup;

    /* the writer thread's alone */
    struct sp_conn conn;
    struct sp_sqlite_tables tables;
    struct sp_apply apply;
    bool broken; /* conn is closed or must be */
};

/* sqlite_write.c: opens the writer's connection and reads meta (before the threads run); the thread. */
sp_status sp_sqlite_writer_open(struct sp_sqlite *s);
void *sp_sqlite_writer_run(void *store);

/* sqlite_backup.c */
void sp_sqlite_backup(struct sp_store *store, struct sp_store_backup *b);
void sp_sqlite_backup_join(struct sp_sqlite *s);
/* SP_E_UNAVAILABLE: a page or an index of the file is not as it must be. */
sp_status sp_sqlite_check_whole(sqlite3 *db);
/* sqlite_restore.c: whether an open database is a whole store of a version that we know. SP_E_UNSUPPORTED,
 * SP_E_UNAVAILABLE. */
sp_status sp_sqlite_check_backup(sqlite3 *db);
/* sqlite_stats.c */
int64_t sp_sqlite_count_begin(void);
/* A group whose transaction was committed, before its change sets are answered. */
void sp_sqlite_count_kept(struct sp_sqlite_counters *c, const struct sp_task *group, int64_t began_us);
void sp_sqlite_count_failed(struct sp_sqlite_counters *c, enum sp_code how);
void sp_sqlite_stats(struct sp_store *store, struct sp_store_stats *ret);

/* sqlite.c: up to `most` of what waits, as a list; NULL when there is none: the time is over (wait_ms >= 0)
 * or the queue is closing and empty (*ret_closed). */
struct sp_task *sp_queue_take(struct sp_queue *q, uint32_t most, int wait_ms, bool *ret_closed);

#endif
