/* What a person has allowed to clients.
 *
 *   GET    /auth/consents          -> 200 {consents: [{client_id, scope: [..], granted_at}]}
 *   DELETE /auth/consents/{client} -> 204; its sessions end */
#include "http/exchange.h"
#include "http/handlers.h"

static void consents_done(void *arg, const struct sp_consents_result *r) {
    struct sp_exchange *x = arg;
    struct sp_json_out *o = &x->json;
    if (r->outcome != SP_OUTCOME_OK) {
        sp_x_outcome(x, r->outcome);
        return;
    }
    sp_json_out_object(o, NULL);
    sp_json_out_array(o, "consents");
    for (size_t i = 0; i < r->n; i++) {
        sp_json_out_object(o, NULL);
        sp_json_out_text(o, "client_id", SP_TEXT_SLICE(&r->rows[i].client_id));
        sp_json_out_words(o, "scope", SP_TEXT_SLICE(&r->rows[i].scopes));
        sp_json_out_time_ms(o, "granted_at", r->rows[i].granted_ms);
        sp_json_out_object_end(o);
    }
    sp_json_out_array_end(o);
    sp_json_out_object_end(o);
    sp_x_reply(x, 200);
}

void sp_h_consents(struct sp_exchange *x) {
    sp_app_consents_own(x->app, &x->call, consents_done, x);
}

static void end_done(void *arg, const struct sp_plain_result *r) {
    sp_x_done_revoked(arg, r);
}

void sp_h_consent_end(struct sp_exchange *x) {
    sp_app_consent_end_own(x->app, &x->call, x->segment[0], end_done, x);
}
