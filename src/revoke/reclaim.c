/* Epoch based reclamation. See reclaim.h for what is promised.
 *
 * Why it holds: all of (reader writes its slot, reader loads a root) and (writer changes a root, collector
 * reads the slots) are seq_cst, so there is one order of them. A collector that does not see a reader's slot
 * precedes that reader's load of the root, which therefore finds the new root. A collector that does see it
 * compares epochs: the reader took its epoch before or after the retiring advanced it. After: acquire made
 * the new root visible to it. Before: the object stays. */
#include "revoke/reclaim.h"

#include <pthread.h>

struct sp_reclaim {
    _Alignas(64) _Atomic uint64_t now; /* starts at 1, so that 0 can mean "outside" */
    pthread_mutex_t lock;              /* guards all below, and reader->taken */
    struct sp_retired *oldest;         /* a queue by stamp */
    struct sp_retired **tail;
    _Atomic size_t pending; /* written under the lock, read anywhere */
    size_t since_collect;
    uint32_t readers_max;
    uint32_t readers_used; /* seats from here on were never taken, nor their memory touched */
    struct sp_reclaim_reader readers[];
};

sp_status sp_reclaim_new(uint32_t readers_max, struct sp_reclaim **ret) {
    if (readers_max == 0 || readers_max > SP_RECLAIM_READERS_MAX) return sp_err(SP_E_LIMIT);
    size_t size = sizeof(struct sp_reclaim) + readers_max * sizeof(struct sp_reclaim_reader);
    struct sp_reclaim *r = aligned_alloc(64, size);
    if (r == NULL) return sp_err(SP_E_NOMEM);
    memset(r, 0, sizeof *r);
    atomic_init(&r->now, 1);
    pthread_mutex_init(&r->lock, NULL); /* cannot fail with default attributes on Linux */
    r->tail = &r->oldest;
    r->readers_max = readers_max;
    *ret = r;
    return SP_SUCCESS;
}

/* Frees a list that was cut off; the lock is not held, since free_fn may retire more. */
static void free_list(struct sp_retired *list) {
    while (list != NULL) {
        struct sp_retired *next = list->next;
        list->free_fn(list);
        list = next;
    }
}

/* The lowest epoch that a reader inside still holds; UINT64_MAX when all are outside. Under the lock, which
 * every reader took between getting its seat and entering first: so no seat in use is beyond readers_used. */
static uint64_t lowest_inside(struct sp_reclaim *r) {
    uint64_t lowest = UINT64_MAX;
    for (uint32_t i = 0; i < r->readers_used; i++) {
        uint64_t e = atomic_load_explicit(&r->readers[i].epoch, memory_order_seq_cst);
        if (e != 0 && e < lowest) lowest = e;
    }
    return lowest;
}

/* Cuts what may be freed off the queue. Under the lock. */
static struct sp_retired *take_free(struct sp_reclaim *r) {
    struct sp_retired *list = r->oldest, **end = &r->oldest;
    size_t n = 0;
    r->since_collect = 0;
    if (list == NULL) return NULL;
    for (uint64_t lowest = lowest_inside(r); *end != NULL && (*end)->stamp < lowest; n++) end = &(*end)->next;
    if (n == 0) return NULL;
    r->oldest = *end;
    if (r->oldest == NULL) r->tail = &r->oldest;
    *end = NULL;
    atomic_fetch_sub_explicit(&r->pending, n, memory_order_relaxed);
    return list;
}

void sp_reclaim_retire(struct sp_reclaim *r, struct sp_retired *link, void (*free_fn)(struct sp_retired *)) {
    struct sp_retired *list = NULL;
    link->next = NULL;
    link->free_fn = free_fn;
    pthread_mutex_lock(&r->lock);
    /* Readers that entered with this epoch may know the object; those with the next cannot. */
    link->stamp = atomic_fetch_add_explicit(&r->now, 1, memory_order_seq_cst);
    *r->tail = link;
    r->tail = &link->next;
    atomic_fetch_add_explicit(&r->pending, 1, memory_order_relaxed);
    if (++r->since_collect >= SP_RECLAIM_BATCH) list = take_free(r);
    pthread_mutex_unlock(&r->lock);
    free_list(list);
}

size_t sp_reclaim_collect(struct sp_reclaim *r) {
    pthread_mutex_lock(&r->lock);
    struct sp_retired *list = take_free(r);
    pthread_mutex_unlock(&r->lock);
    free_list(list);
    return sp_reclaim_pending(r);
}

size_t sp_reclaim_pending(const struct sp_reclaim *r) {
    return atomic_load_explicit(&r->pending, memory_order_relaxed);
}

/* Under the lock; NULL when all are taken. */
static struct sp_reclaim_reader *take_seat(struct sp_reclaim *r) {
    uint32_t i = 0;
    while (i < r->readers_used && r->readers[i].taken) i++;
    if (i == r->readers_max) return NULL;
    struct sp_reclaim_reader *seat = &r->readers[i];
    if (i == r->readers_used) {
        *seat = (struct sp_reclaim_reader){.now = &r->now};
        r->readers_used++;
    }
    seat->taken = true;
    return seat;
}

sp_status sp_reclaim_reader_join(struct sp_reclaim *r, struct sp_reclaim_reader **ret) {
    pthread_mutex_lock(&r->lock);
    struct sp_reclaim_reader *seat = take_seat(r);
    pthread_mutex_unlock(&r->lock);
    if (seat == NULL) return sp_err(SP_E_LIMIT);
    *ret = seat;
    return SP_SUCCESS;
}

void sp_reclaim_reader_leave(struct sp_reclaim *r, struct sp_reclaim_reader *reader) {
    if (reader == NULL) return;
    sp_assert(reader->depth == 0);
    pthread_mutex_lock(&r->lock);
    reader->taken = false;
    pthread_mutex_unlock(&r->lock);
}

void sp_reclaim_free(struct sp_reclaim *r) {
    if (r == NULL) return;
    sp_assert(lowest_inside(r) == UINT64_MAX);
    while (sp_reclaim_collect(r) != 0) continue; /* what is freed may retire more */
    pthread_mutex_destroy(&r->lock);
    free(r);
}
