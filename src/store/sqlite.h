/* The default backend: SQLite in one data directory, made fast by group commit.
 *
 * One writer thread drains its queue into one transaction and answers everybody who waits after one fsync
 * (WAL, synchronous=FULL). Readers have connections of their own, read-only, and short transactions. Nobody
 * else opens the live file: an flock on `sallyport.lock` refuses a second server.
 *
 *   <dir>/sallyport.db (-wal, -shm)   0600
 *   <dir>/sallyport.lock              0600
 *
 * Thread-safe as core/store.h says. */
#ifndef SP_STORE_SQLITE_H
#define SP_STORE_SQLITE_H

#include "core/store.h"

enum {
    /* Change sets waiting. At a slow disk's 5 ms a group of SP_SQLITE_GROUP_MAX that is about 80 ms of work:
     * later answers are worth less to the client than an honest 503. */
    SP_SQLITE_QUEUE_MAX = 4096,
    SP_SQLITE_READ_QUEUE_MAX = 4096,
    /* Change sets in one transaction: throughput is flat beyond (bench/bench_store), latency is not. */
    SP_SQLITE_GROUP_MAX = 256,
    SP_SQLITE_READERS = 2,
    SP_SQLITE_READERS_MAX = 8,
    /* Pages in the log before the writer copies them into the database: 8 MiB. Rarer means fewer writes of a
     * page that changes often, and a longer recovery (bench/bench_store: flat from here on). */
    SP_SQLITE_CHECKPOINT_PAGES = 2000,
    /* Only checkpoints and recovery can make a connection of ours wait, and only for each other. */
    SP_SQLITE_BUSY_MS = 2000,
};

struct sp_sqlite_opts {
    const char *dir; /* made 0700 when absent; its parent must exist */
    const char *vfs; /* NULL: the default; tests put their faults here. Static. */
    uint32_t queue_max, read_queue_max, group_max, readers, busy_ms, checkpoint_pages; /* 0: as above */
    struct sp_log log; /* write NULL: silent; set_env replaces it */
};

/* Opens, migrates, and starts the threads. SP_E_BUSY: another process holds the directory. SP_E_UNSUPPORTED:
 * written by a newer version, or not ours. SP_E_IO: the directory. SP_E_UNAVAILABLE: SQLite could not read or
 * migrate it. The log says which file and why. */
sp_status sp_store_sqlite_open(const struct sp_sqlite_opts *opts, struct sp_store **ret);

/* ---- a data directory whose server is stopped (restore) ---- */

/* Takes the server's lock, made if need be; close the descriptor to let it go. SP_E_BUSY: a server runs. */
sp_status sp_store_sqlite_lock(const char *dir, int *ret_fd);

typedef void sp_store_progress(void *arg, uint64_t done, uint64_t total);
/* Copies the backup `file` into the directory `staging` and checks it there. SP_E_NOT_FOUND;
 * SP_E_UNSUPPORTED: not ours, or newer than we are; SP_E_UNAVAILABLE: not whole; SP_E_REFUSED: a log lies
 * beside it. */
sp_status sp_store_sqlite_stage(const char *file, const char *staging, sp_store_progress *progress,
                                void *arg);
/* Removes what staging has left, the directory too. */
void sp_store_sqlite_unstage(const char *staging);
/* Makes the old database one file, as far as that is possible, and says what it knows. */
struct sp_store_counters {
    bool exists, known;
    uint32_t incarnation, global_epoch;
};
void sp_store_sqlite_settle(const char *dir, struct sp_store_counters *ret);
/* The staged database takes the place of the old one, which is kept under the path `aside`. */
sp_status sp_store_sqlite_swap(const char *dir, const char *staging, const char *aside);

#endif
