/* What the store counts of itself. The writer's thread writes, anyone reads: relaxed, since each number
 * stands for itself and no decision hangs on it. */
#include "store/sqlite_int.h"

#include <time.h>

#include "base/assert.h"

static void add(_Atomic uint64_t *counter, uint64_t n) {
    /* relaxed, and no read-modify-write: there is one writer. */
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

/* The first bucket whose bound, unit * 2^i, is not below v; the last one takes the rest. */
static size_t bucket_of(uint64_t v, uint64_t unit, size_t buckets) {
    size_t i = 0;
    while (i + 1 < buckets && v > unit << i) i++;
    return i;
}

static int64_t now_us(void) {
    struct timespec t;
    sp_assert(clock_gettime(CLOCK_MONOTONIC, &t) == 0);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t sp_sqlite_count_begin(void) {
    return now_us();
}

void sp_sqlite_count_kept(struct sp_sqlite_counters *c, const struct sp_task *group, int64_t began_us) {
    uint64_t kept = 0, conflicts = 0, took_us = (uint64_t)(now_us() - began_us);
    for (const struct sp_task *t = group; t != NULL; t = t->next) {
        const struct sp_store_commit *commit = SP_CONTAINER_OF(t, const struct sp_store_commit, task);
        if (sp_ok(commit->status)) kept++;
        if (sp_is(commit->status, SP_E_CONFLICT)) conflicts++;
    }
    add(&c->transactions, 1);
    add(&c->sets, kept);
    add(&c->conflicts, conflicts);
    add(&c->batch[bucket_of(kept + conflicts, 1, SP_STORE_BATCH_BUCKETS)], 1);
    add(&c->took[bucket_of(took_us, SP_STORE_LATENCY_UNIT_US, SP_STORE_LATENCY_BUCKETS)], 1);
    add(&c->took_us_sum, took_us);
}

void sp_sqlite_count_failed(struct sp_sqlite_counters *c, enum sp_code how) {
    add(how == SP_E_UNKNOWN ? &c->unknown : &c->failed, 1);
}

static uint32_t waiting(struct sp_queue *q) {
    pthread_mutex_lock(&q->mutex);
    uint32_t n = q->n;
    pthread_mutex_unlock(&q->mutex);
    return n;
}

static uint64_t get(_Atomic uint64_t *counter) {
    return atomic_load_explicit(counter, memory_order_relaxed);
}

void sp_sqlite_stats(struct sp_store *store, struct sp_store_stats *ret) {
    struct sp_sqlite *s = SP_CONTAINER_OF(store, struct sp_sqlite, store);
    struct sp_sqlite_counters *c = &s->counters;
    *ret = (struct sp_store_stats){.transactions = get(&c->transactions),
                                   .sets = get(&c->sets),
                                   .conflicts = get(&c->conflicts),
                                   .failed = get(&c->failed),
                                   .unknown = get(&c->unknown),
                                   .took_us_sum = get(&c->took_us_sum),
                                   .writes_waiting = waiting(&s->writes),
                                   .reads_waiting = waiting(&s->reads)};
    for (size_t i = 0; i < SP_STORE_BATCH_BUCKETS; i++) ret->batch[i] = get(&c->batch[i]);
    for (size_t i = 0; i < SP_STORE_LATENCY_BUCKETS; i++) ret->took[i] = get(&c->took[i]);
}
