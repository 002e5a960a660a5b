/* For whoever watches over the process.
 *
 *   GET /healthz -> 200 {status: "alive"}   as long as the loop turns
 *   GET /readyz  -> 200 {status: "ready"}   when the store can take a change now and no stop has begun;
 * otherwise the 503 problem not_ready. While starting nothing listens yet. */
#include "http/exchange.h"
#include "http/handlers.h"

static void reply_status(struct sp_exchange *x, const char *status) {
    sp_json_out_object(&x->json, NULL);
    sp_json_out_text(&x->json, "status", sp_slice_cstr(status));
    sp_json_out_object_end(&x->json);
    sp_x_reply(x, 200);
}

void sp_h_healthz(struct sp_exchange *x) {
    reply_status(x, "alive");
}

void sp_h_readyz(struct sp_exchange *x) {
    if (!x->api->draining && sp_ok(sp_app_ready(x->app))) {
        reply_status(x, "ready");
    } else {
        sp_x_problem(x, SP_PROBLEM_NOT_READY);
    }
}
