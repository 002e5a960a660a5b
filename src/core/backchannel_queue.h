/* Which logouts wait to be delivered, by client: what backchannel.c keeps in memory of the store's outbox.
 *
 * A client's logouts are a heap by when they are due. One client is worked on by one hand at a time, whoever
 * took it, and its bad luck (failures, not_before_ms) is its own: so a client that is away costs the others
 * nothing. Clients take turns.
 *
 * Turned down: asking the store for what is due (the rows of a client that is away would have to be passed
 * over each time, or want an index that each logout pays for). In memory a logout takes 64 bytes, 6 MiB when
 * the outbox is full.
 *
 * No clock, no lock: the caller's. Times are of the clock since boot, but for created_ms. */
#ifndef SP_CORE_BACKCHANNEL_QUEUE_H
#define SP_CORE_BACKCHANNEL_QUEUE_H

#include "base/status.h"
#include "core/rows.h"

struct sp_logout_wait {
    uint64_t seq;
    int64_t due_ms;
    int64_t created_ms; /* wall clock */
    uint32_t tries;     /* that failed */
    uint8_t sid[SP_ROW_SID_BYTES];
    uint8_t user_id[SP_ROW_ID_BYTES];
};

struct sp_logout_client {
    sp_text128 id;
    bool is_taken;
    uint32_t failures;     /* in a row */
    int64_t not_before_ms; /* nothing of it is due before */
    struct sp_logout_wait *heap;
    size_t n, cap;
};

struct sp_logout_queue {
    struct sp_logout_client **clients; /* sorted by id; those that something waits for, or that are taken */
    size_t n, cap;
    size_t turn;    /* whose it is next */
    size_t waiting; /* all heaps together */
    uint32_t taken; /* clients */
};

void sp_logout_queue_done(struct sp_logout_queue *q);
/* Forgets what waits. No client is taken. */
void sp_logout_queue_clear(struct sp_logout_queue *q);
/* SP_E_NOMEM; SP_E_LIMIT: SP_LOGOUTS_MAX wait. */
sp_status sp_logout_queue_put(struct sp_logout_queue *q, sp_slice client_id, const struct sp_logout_wait *w);

/* The next client of which something is due, which is then the caller's; NULL: none is. */
struct sp_logout_client *sp_logout_queue_take(struct sp_logout_queue *q, int64_t now_ms);
bool sp_logout_queue_is_due(const struct sp_logout_queue *q, int64_t now_ms);
/* Of a client that was taken; false: none is left. */
bool sp_logout_client_pop(struct sp_logout_queue *q, struct sp_logout_client *c, struct sp_logout_wait *ret);
/* One that is from before that time. */
bool sp_logout_client_pop_old(struct sp_logout_queue *q, struct sp_logout_client *c, int64_t before_ms,
                              struct sp_logout_wait *ret);
/* It is anybody's again, and forgotten when nothing waits for it. */
void sp_logout_queue_give_back(struct sp_logout_queue *q, struct sp_logout_client *c);

#endif
