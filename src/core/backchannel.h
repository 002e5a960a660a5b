/* Tells clients that sessions of theirs have ended (OpenID Connect Back-Channel Logout 1.0): takes what the
 * store has put into the outbox of logouts, and posts a logout token for each to the address that the client
 * has registered. backchannel.c tells how. */
#ifndef SP_CORE_BACKCHANNEL_H
#define SP_CORE_BACKCHANNEL_H

#include <pthread.h>

#include "base/ports.h"
#include "core/backchannel_queue.h"

enum {
    SP_LOGOUTS_AT_ONCE = 8,          /* deliveries; a client that does not answer holds one place */
    SP_LOGOUT_TIMEOUT_MS = 5 * 1000, /* of one: whoever notes it down and answers later needs far less */
    SP_LOGOUT_TOKEN_TTL_S = 120,     /* what the specification advises; each try has a token of its own */
    SP_LOGOUT_RETRY_MS = 5 * 1000,   /* after the first failure; a restart of the client is over by then */
    SP_LOGOUT_RETRY_MAX_MS = 3600 * 1000, /* doubled up to this */
    SP_LOGOUT_KEPT_MS = 24 * 3600 * 1000, /* then it is given up: a night and the working day after it */
    SP_LOGOUT_TRIES_MAX = 40,             /* more than fit into that time: for when the clock has gone back */
    SP_LOGOUT_UNABLE_MS = 60 * 1000,      /* when nothing can be sent, or got ready: not more often */
    SP_LOGOUT_RELOAD_MS = 60 * 1000,      /* the outbox is not read anew more often: up to 20 MiB */
};

struct sp_app;
struct sp_logout_row;

/* Part of the app. */
struct sp_backchannel {
    pthread_mutex_t mutex; /* everything below */
    struct sp_logout_queue queue;
    uint64_t heard_seq; /* of the newest row that we know of */
    bool is_incomplete; /* rows are in the outbox and not in the queue: it is to be read anew */
    bool is_reading;    /* ... and is */
    int64_t not_read_before_ms, not_sent_before_ms; /* clock since boot */
    struct sp_task wake;
    bool is_woken; /* wake is posted */
};

void sp_backchannel_init(struct sp_app *app);
/* While opening: rows up to this one may be waiting from before. */
void sp_backchannel_begin(struct sp_app *app, uint64_t last_seq);
void sp_backchannel_done(struct sp_app *app); /* nothing is under way any more */

/* SP_EVENT_LOGOUT: on the store's writing thread; calls nobody back. */
void sp_backchannel_hear(struct sp_app *app, const struct sp_logout_row *row);
/* About every second: what is due again. */
void sp_backchannel_tick(struct sp_app *app);
/* Logouts that wait to be delivered. Any thread. */
size_t sp_backchannel_waiting(struct sp_app *app);

#endif
