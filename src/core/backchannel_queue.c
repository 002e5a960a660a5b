#include "core/backchannel_queue.h"

#include "base/assert.h"
#include "base/mem.h"
#include "core/store.h"

enum { HEAP_FIRST = 4, CLIENTS_FIRST = 4 };

/* ---- heaps ---- */

static bool is_sooner(const struct sp_logout_wait *a, const struct sp_logout_wait *b) {
    return a->due_ms != b->due_ms ? a->due_ms < b->due_ms : a->seq < b->seq;
}

static void swap(struct sp_logout_wait *a, struct sp_logout_wait *b) {
    const struct sp_logout_wait was = *a;
    *a = *b;
    *b = was;
}

static void rise(struct sp_logout_wait *heap, size_t at) {
    while (at != 0 && is_sooner(&heap[at], &heap[(at - 1) / 2])) {
        swap(&heap[at], &heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
}

static void sink(struct sp_logout_wait *heap, size_t n, size_t at) {
    for (;;) {
        size_t least = at, child = 2 * at + 1;
        if (child < n && is_sooner(&heap[child], &heap[least])) least = child;
        if (child + 1 < n && is_sooner(&heap[child + 1], &heap[least])) least = child + 1;
        if (least == at) return;
        swap(&heap[at], &heap[least]);
        at = least;
    }
}

static void remove_at(struct sp_logout_queue *q, struct sp_logout_client *c, size_t at) {
    c->n--;
    q->waiting--;
    if (at == c->n) return;
    c->heap[at] = c->heap[c->n];
    rise(c->heap, at);
    sink(c->heap, c->n, at);
}

static sp_status make_room(struct sp_logout_client *c) {
    if (c->n < c->cap) return SP_SUCCESS;
    const size_t cap = c->cap == 0 ? HEAP_FIRST : 2 * c->cap; /* SP_LOGOUTS_MAX bounds it */
    struct sp_logout_wait *more = realloc(c->heap, cap * sizeof(*more));
    if (more == NULL) return sp_err(SP_E_NOMEM);
    c->heap = more;
    c->cap = cap;
    return SP_SUCCESS;
}

/* ---- clients ---- */

/* Where it is, or would be. */
static size_t place_of(const struct sp_logout_queue *q, sp_slice id) {
    size_t low = 0, high = q->n;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (sp_slice_cmp(SP_TEXT_SLICE(&q->clients[middle]->id), id) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool is_at(const struct sp_logout_queue *q, size_t place, sp_slice id) {
    return place < q->n && sp_slice_eq(SP_TEXT_SLICE(&q->clients[place]->id), id);
}

static sp_status insert(struct sp_logout_queue *q, size_t place, sp_slice id) {
    if (q->n == q->cap) {
        const size_t cap = q->cap == 0 ? CLIENTS_FIRST : 2 * q->cap; /* no more than what waits */
        struct sp_logout_client **more = realloc(q->clients, cap * sizeof(struct sp_logout_client *));
        if (more == NULL) return sp_err(SP_E_NOMEM);
        q->clients = more;
        q->cap = cap;
    }
    struct sp_logout_client *c = calloc(1, sizeof(*c));
    if (c == NULL) return sp_err(SP_E_NOMEM);
    sp_status s = SP_TEXT_SET(&c->id, id);
    if (!sp_ok(s)) {
        free(c);
        return s;
    }
    memmove(&q->clients[place + 1], &q->clients[place], (q->n - place) * sizeof(struct sp_logout_client *));
    q->clients[place] = c;
    q->n++;
    return SP_SUCCESS;
}

static void forget(struct sp_logout_queue *q, struct sp_logout_client *c) {
    const size_t place = place_of(q, SP_TEXT_SLICE(&c->id));
    sp_assert(place < q->n && q->clients[place] == c);
    q->n--;
    memmove(&q->clients[place], &q->clients[place + 1], (q->n - place) * sizeof(struct sp_logout_client *));
    if (q->turn > place) q->turn--;
    free(c->heap);
    free(c);
}

/* ---- the whole ---- */

void sp_logout_queue_clear(struct sp_logout_queue *q) {
    sp_assert(q->taken == 0);
    for (size_t i = 0; i < q->n; i++) {
        free(q->clients[i]->heap);
        free(q->clients[i]);
    }
    q->n = q->turn = q->waiting = 0;
}

void sp_logout_queue_done(struct sp_logout_queue *q) {
    sp_logout_queue_clear(q);
    free(q->clients);
    *q = (struct sp_logout_queue){.n = 0};
}

sp_status sp_logout_queue_put(struct sp_logout_queue *q, sp_slice client_id, const struct sp_logout_wait *w) {
    if (q->waiting >= SP_LOGOUTS_MAX) return sp_err(SP_E_LIMIT);
    const size_t place = place_of(q, client_id);
    if (!is_at(q, place, client_id)) SP_TRY(insert(q, place, client_id));
    struct sp_logout_client *c = q->clients[place];
    sp_status s = make_room(c);
    if (!sp_ok(s)) {
        if (c->n == 0 && !c->is_taken) forget(q, c);
        return s;
    }
    c->heap[c->n] = *w;
    rise(c->heap, c->n++);
    q->waiting++;
    return SP_SUCCESS;
}

static bool is_ready(const struct sp_logout_client *c, int64_t now_ms) {
    return !c->is_taken && c->n != 0 && c->not_before_ms <= now_ms && c->heap[0].due_ms <= now_ms;
}

bool sp_logout_queue_is_due(const struct sp_logout_queue *q, int64_t now_ms) {
    for (size_t i = 0; i < q->n; i++) {
        if (is_ready(q->clients[i], now_ms)) return true;
    }
    return false;
}

struct sp_logout_client *sp_logout_queue_take(struct sp_logout_queue *q, int64_t now_ms) {
    for (size_t i = 0; i < q->n; i++) {
        const size_t at = (q->turn + i) % q->n;
        if (!is_ready(q->clients[at], now_ms)) continue;
        q->turn = at + 1;
        q->taken++;
        q->clients[at]->is_taken = true;
        return q->clients[at];
    }
    return NULL;
}

bool sp_logout_client_pop(struct sp_logout_queue *q, struct sp_logout_client *c, struct sp_logout_wait *ret) {
    if (c->n == 0) return false;
    *ret = c->heap[0];
    remove_at(q, c, 0);
    return true;
}

bool sp_logout_client_pop_old(struct sp_logout_queue *q, struct sp_logout_client *c, int64_t before_ms,
                              struct sp_logout_wait *ret) {
    for (size_t i = 0; i < c->n; i++) {
        if (c->heap[i].created_ms >= before_ms) continue;
        *ret = c->heap[i];
        remove_at(q, c, i);
        return true;
    }
    return false;
}

void sp_logout_queue_give_back(struct sp_logout_queue *q, struct sp_logout_client *c) {
    sp_assert(c->is_taken && q->taken != 0);
    c->is_taken = false;
    q->taken--;
    if (c->n == 0) forget(q, c);
}
