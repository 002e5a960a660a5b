/* The numbers of the server as Prometheus text (exposition format 0.0.4).
 *
 * Each event loop has a lane of counters that only its thread writes; a scrape, on whichever loop it came in,
 * adds the lanes up with relaxed loads. So counting costs a request a few plain stores, no lock and no line
 * of memory that another loop writes. What is counted elsewhere (use cases, store, verifier, hash pool,
 * connections) is asked for at the scrape. docs/observability.md tells how to read them.
 *
 * Turned down: a client library of Prometheus (locks and a registry for what is two tables here), labels by
 * user, address or path (whoever sends requests would choose how many series there are). */
#ifndef SP_SERVER_METRICS_H
#define SP_SERVER_METRICS_H

#include "http/api.h"
#include "server/hashpool.h"
#include "verify/verifier.h"

struct sp_metrics;
struct sp_metrics_lane;

struct sp_metrics_sources { /* borrowed */
    struct sp_verifier *verifier;
    struct sp_hashpool *hashpool;
};

/* SP_E_NOMEM. */
sp_status sp_metrics_new(size_t lanes, const struct sp_metrics_sources *sources, struct sp_metrics **ret);
void sp_metrics_free(struct sp_metrics *m); /* accepts NULL */
SP_DEFINE_FREE(sp_metrics);
struct sp_metrics_lane *sp_metrics_lane(struct sp_metrics *m, size_t i);

/* By the lane's thread. The first is for sp_http_api_config.seen, with the lane as arg. */
void sp_metrics_seen(void *lane, const struct sp_http_seen *seen);
/* Connections as they are now: before a scrape on this loop, and every second for scrapes on others. */
void sp_metrics_connections(struct sp_metrics_lane *lane, const struct sp_http_stats *stats);

/* Any thread. SP_E_LIMIT, SP_E_NOMEM. */
sp_status sp_metrics_write(struct sp_metrics *m, const struct sp_measures *measures, struct sp_buf *ret);

#endif
