/* For Prometheus.
 *
 *   GET /metrics -> 200, text exposition format 0.0.4
 *
 * Answered on the admin socket, on the metrics listener (server.metrics_listen), and elsewhere to an access
 * token with the permission sallyport:metrics: how many logins fail, and when, is nobody else's business. A
 * store that is down takes its own numbers away, and nothing else. */
#include "http/exchange.h"
#include "http/handlers.h"

static void measured(void *arg, const struct sp_measures *m) {
    struct sp_exchange *x = arg;
    if (m->outcome != SP_OUTCOME_OK) {
        sp_x_outcome(x, m->outcome);
        return;
    }
    if (!sp_ok(x->api->metrics(x->api->metrics_arg, m, &x->out))) x->failed = true;
    sp_x_header(x, "Content-Type", SP_SLICE_LIT("text/plain; version=0.0.4; charset=utf-8"));
    sp_x_reply(x, 200);
}

void sp_h_metrics(struct sp_exchange *x) {
    sp_app_measure(x->app, &x->call, measured, x);
}
