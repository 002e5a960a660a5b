/* Services that show a credential of their own: is it genuine, and is it still? */
#include "core/app_internal.h"

/* The id is whatever somebody wrote: one that is none, or looks like a secret in the wrong place, is not
 * recorded. */
static void record_refusal(struct sp_app *app, const struct sp_call *call, sp_slice id,
                           enum sp_client_check why) {
    const struct sp_log_field detail[] = {
        SP_LOGF_TEXT("reason", why == SP_CLIENT_DISABLED ? SP_SLICE_LIT("disabled") : SP_SLICE_LIT("wrong"))};
    const struct sp_audit_event event = {
        .action = SP_AUDIT_CLIENT_REFUSED,
        .outcome = SP_AUDIT_DENIED,
        .target = sp_client_id_valid(id) ? id : SP_SLICE_EMPTY,
        .detail = detail,
        .detail_n = SP_ARRAY_LEN(detail),
    };
    sp_op_audit_denial(app, call, &event);
}

enum sp_client_check sp_app_client_check(struct sp_app *app, const struct sp_call *call, sp_slice id,
                                         sp_slice secret, struct sp_client_facts *ret_facts) {
    const enum sp_client_check c =
        sp_live_clients_check(app->clients, id, secret, sp_app_now_ms(app), ret_facts);
    if (c != SP_CLIENT_GENUINE) record_refusal(app, call, id, c);
    return c;
}

enum sp_client_check sp_app_client_check_again(struct sp_app *app, struct sp_client_facts *facts) {
    return sp_live_clients_check_again(app->clients, sp_app_now_ms(app), facts);
}
