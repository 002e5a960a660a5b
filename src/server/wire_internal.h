/* What the files of the wiring share; nobody else includes it.
 *
 *   wire.c          up, run, down
 *   wire_front.c    a thread's loop with its HTTP server, and what it listens on
 *   wire_limits.c   attempts, registration, the dictionary of passwords
 *   wire_reload.c   the configuration again, while running (SIGHUP) */
#ifndef SP_SERVER_WIRE_INTERNAL_H
#define SP_SERVER_WIRE_INTERNAL_H

#include <pthread.h>

#include "http/api.h"
#include "server/authn.h"
#include "server/deliver.h"
#include "server/dictionary.h"
#include "server/hashpool.h"
#include "server/heartbeat.h"
#include "server/inherit.h"
#include "server/log.h"
#include "server/marker.h"
#include "server/metrics.h"
#include "server/notify.h"
#include "server/wire.h"

enum { SP_THREADS_MAX = 64 }; /* where server.threads ends */

struct server;
struct change_over; /* wire_reload.c */

struct front {
    struct sp_loop *loop;
    struct sp_http_server *http;
    struct sp_http_api *api;
    pthread_t thread;
    bool started;
    struct server *server;
    struct sp_task drain;
    struct sp_metrics_lane *lane;
    struct sp_loop_timer sample; /* of connections, for scrapes on other loops */
};

struct server {
    struct sp_config *config; /* hot keys change by reload, on the first loop */
    const struct sp_config_source *source;
    struct sp_log_sink sink;
    struct sp_log log;
    struct sp_notify notify;
    struct sp_inherited inherited;
    char listening_on[SP_CONFIG_VALUE_BYTES];
    struct sp_tls *tls; /* NULL: plain HTTP */
    int64_t tls_warned_s;
    struct sp_store *store;
    struct sp_reclaim *reclaim;
    struct sp_verifier *verifier;
    struct sp_authn_local *authn;
    struct sp_dictionary *dictionary; /* NULL: none */
    struct sp_hashpool *hashpool;
    struct sp_deliverer *deliverer;
    struct sp_metrics *metrics;
    struct sp_app *app;
    struct sp_marker *marker;
    struct sp_heartbeat *heartbeat; /* NULL: nobody waits for it */
    struct sp_loop_timer tick, hash_limit;
    struct change_over *change_over; /* a reload that is on its way through the loops */
    bool reload_again;
    bool draining;
    size_t n_fronts;
    struct front fronts[SP_THREADS_MAX];
};

static inline const char *text(const struct server *s, enum sp_config_key key) {
    return sp_config_text(s->config, key);
}
static inline int64_t number(const struct server *s, enum sp_config_key key) {
    return sp_config_number(s->config, key);
}
static inline sp_slice slice(const struct server *s, enum sp_config_key key) {
    return sp_slice_cstr(text(s, key));
}

/* wire.c: for people, on stderr, when starting fails; hands the status on. */
sp_status sp_wire_say(sp_status s, const char *what, const char *how_to_mend);
void sp_wire_set_log(struct server *s); /* format and level as configured */

/* wire_limits.c */
sp_status sp_wire_limits(const struct server *s, struct sp_app_config *c);
void sp_wire_dictionary_open(struct server *s); /* into the hash pool, which is there */

/* wire_front.c */
sp_status sp_wire_fronts_open(struct server *s);
void sp_wire_on_sample(struct sp_loop_timer *timer); /* of a front: every second */

/* wire_reload.c */
/* *ret_tls: NULL when none is configured. Fails with a sentence in error[]. */
sp_status sp_wire_load_tls(const struct sp_config *c, char error[SP_CONFIG_ERROR_BYTES],
                           struct sp_tls **ret_tls);
void sp_wire_log_tls(const struct server *s);
/* Once a day, when the certificate will expire soon. */
void sp_wire_watch_tls(struct server *s, int64_t now_s);
void sp_wire_reload(struct server *s); /* on the first loop */
void sp_wire_change_over_free(struct change_over *c);

#endif
