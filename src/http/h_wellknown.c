/* What verifiers fetch without a credential.
 *
 *   GET /.well-known/jwks.json -> 200, the public keys: announced, signing and retired
 *
 * May be cached for five minutes: a new key is announced longer than that before it signs. */
#include "http/exchange.h"
#include "http/handlers.h"

void sp_h_jwks(struct sp_exchange *x) {
    sp_status st = sp_app_jwks(x->app, &x->out);
    if (!sp_ok(st)) {
        sp_x_outcome(x, sp_is(st, SP_E_UNAVAILABLE) ? SP_OUTCOME_STORE_UNAVAILABLE : SP_OUTCOME_INTERNAL);
        return;
    }
    sp_x_header(x, "Content-Type", SP_SLICE_LIT("application/jwk-set+json"));
    sp_x_header(x, "Cache-Control", SP_SLICE_LIT("public, max-age=300"));
    sp_x_reply(x, 200);
}
