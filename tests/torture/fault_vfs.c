#include "fault_vfs.h"

#include <sqlite3.h>
#include <stdatomic.h>
#include <string.h>

static sqlite3_vfs *real;
static sqlite3_vfs shim;
static atomic_int countdown, failing, kind;
static atomic_bool fired;

struct file {
    sqlite3_file base;
    sqlite3_file *real; /* directly behind this struct */
};

static sqlite3_file *real_of(sqlite3_file *f) {
    return ((struct file *)f)->real;
}

void fault_arm(enum fault_kind what, int nth, int times) {
    atomic_store(&fired, false);
    atomic_store(&kind, what);
    atomic_store(&failing, times);
    atomic_store(&countdown, nth);
}

void fault_disarm(void) {
    atomic_store(&countdown, 0);
}

bool fault_fired(void) {
    return atomic_load(&fired);
}

static bool fails_now(void) {
    if (atomic_load(&countdown) == 0) return false;
    if (atomic_load(&countdown) > 1) {
        atomic_fetch_sub(&countdown, 1);
        return false;
    }
    if (atomic_fetch_sub(&failing, 1) <= 0) {
        atomic_store(&countdown, 0);
        return false;
    }
    atomic_store(&fired, true);
    return true;
}

/* ---- the three that can fail ---- */

static int x_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 at) {
    sqlite3_file *r = real_of(f);
    if (!fails_now()) return r->pMethods->xWrite(r, p, n, at);
    int what = atomic_load(&kind);
    if (what == FAULT_FULL) return SQLITE_FULL;
    if (what == FAULT_SHORT) r->pMethods->xWrite(r, p, n / 2, at);
    if (what == FAULT_LATE) r->pMethods->xWrite(r, p, n, at);
    return SQLITE_IOERR_WRITE;
}

static int x_sync(sqlite3_file *f, int flags) {
    sqlite3_file *r = real_of(f);
    if (!fails_now()) return r->pMethods->xSync(r, flags);
    if (atomic_load(&kind) == FAULT_LATE) r->pMethods->xSync(r, flags);
    return SQLITE_IOERR_FSYNC;
}

static int x_truncate(sqlite3_file *f, sqlite3_int64 size) {
    sqlite3_file *r = real_of(f);
    if (!fails_now()) return r->pMethods->xTruncate(r, size);
    return SQLITE_IOERR_TRUNCATE;
}

/* ---- the rest is passed on ---- */

static int x_close(sqlite3_file *f) {
    sqlite3_file *r = real_of(f);
    return r->pMethods == NULL ? SQLITE_OK : r->pMethods->xClose(r);
}
static int x_read(sqlite3_file *f, void *p, int n, sqlite3_int64 at) {
    return real_of(f)->pMethods->xRead(real_of(f), p, n, at);
}
static int x_size(sqlite3_file *f, sqlite3_int64 *ret) {
    return real_of(f)->pMethods->xFileSize(real_of(f), ret);
}
static int x_lock(sqlite3_file *f, int level) {
    return real_of(f)->pMethods->xLock(real_of(f), level);
}
static int x_unlock(sqlite3_file *f, int level) {
    return real_of(f)->pMethods->xUnlock(real_of(f), level);
}
static int x_reserved(sqlite3_file *f, int *ret) {
    return real_of(f)->pMethods->xCheckReservedLock(real_of(f), ret);
}
static int x_control(sqlite3_file *f, int op, void *arg) {
    return real_of(f)->pMethods->xFileControl(real_of(f), op, arg);
}
static int x_sector(sqlite3_file *f) {
    return real_of(f)->pMethods->xSectorSize(real_of(f));
}
static int x_device(sqlite3_file *f) {
    return real_of(f)->pMethods->xDeviceCharacteristics(real_of(f));
}
static int x_shm_map(sqlite3_file *f, int page, int size, int extend, void volatile **ret) {
    return real_of(f)->pMethods->xShmMap(real_of(f), page, size, extend, ret);
}
static int x_shm_lock(sqlite3_file *f, int at, int n, int flags) {
    return real_of(f)->pMethods->xShmLock(real_of(f), at, n, flags);
}
static void x_shm_barrier(sqlite3_file *f) {
    real_of(f)->pMethods->xShmBarrier(real_of(f));
}
static int x_shm_unmap(sqlite3_file *f, int remove) {
    return real_of(f)->pMethods->xShmUnmap(real_of(f), remove);
}

static const sqlite3_io_methods methods = {
    .iVersion = 2,
    .xClose = x_close,
    .xRead = x_read,
    .xWrite = x_write,
    .xTruncate = x_truncate,
    .xSync = x_sync,
    .xFileSize = x_size,
    .xLock = x_lock,
    .xUnlock = x_unlock,
    .xCheckReservedLock = x_reserved,
    .xFileControl = x_control,
    .xSectorSize = x_sector,
    .xDeviceCharacteristics = x_device,
    .xShmMap = x_shm_map,
    .xShmLock = x_shm_lock,
    .xShmBarrier = x_shm_barrier,
    .xShmUnmap = x_shm_unmap,
};

static int x_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *f, int flags, int *ret_flags) {
    (void)vfs;
    struct file *file = (struct file *)f;
    file->real = (sqlite3_file *)(file + 1);
    file->real->pMethods = NULL;
    int rc = real->xOpen(real, name, file->real, flags, ret_flags);
    f->pMethods = file->real->pMethods == NULL ? NULL : &methods;
    return rc;
}

void fault_vfs_register(void) {
    if (real != NULL) return;
    real = sqlite3_vfs_find(NULL);
    shim = *real;
    shim.zName = FAULT_VFS;
    shim.szOsFile = (int)sizeof(struct file) + real->szOsFile;
    shim.xOpen = x_open;
    shim.pNext = NULL;
    sqlite3_vfs_register(&shim, 0);
}
