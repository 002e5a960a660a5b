/* Services that show a credential of their own: is it genuine, and is it still? */
#include "core/app_internal.h"

/* The id is whatever somebody wrote: one that is none, or looks like a secret in the wrong place, is not
 * recorded; and one of nobody is no target, or each name that a stranger thinks of would be a record of its
 * own. */
void sp_client_record_refusal(struct sp_app *app, const struct sp_call *call, bool is_ours, sp_slice id,
                              const char *reason) {
    const struct sp_log_field detail[] = {SP_LOGF_TEXT("reason", sp_slice_cstr(reason)),
                                          SP_LOGF_TEXT("name", id)};
    const bool is_id = sp_client_id_valid(id);
    const struct sp_audit_event event = {
        .action = SP_AUDIT_CLIENT_REFUSED,
        .outcome = SP_AUDIT_DENIED,
        .target = is_ours ? id : SP_SLICE_EMPTY,
        .detail = detail,
        .detail_n = !is_ours && is_id ? 2 : 1,
        .reason = reason,
    };
    sp_op_audit_denial(app, call, &event);
}

static bool is_there(struct sp_app *app, sp_slice id) {
    const struct sp_client *c = sp_live_clients_get(app->clients, id);
    sp_client_release(c);
    return c != NULL;
}

enum sp_client_check sp_app_client_check(struct sp_app *app, const struct sp_call *call, sp_slice id,
                                         sp_slice secret, struct sp_client_facts *ret_facts) {
    const enum sp_client_check c =
        sp_live_clients_check(app->clients, id, secret, sp_app_now_ms(app), ret_facts);
    if (c != SP_CLIENT_GENUINE)
        sp_client_record_refusal(app, call, is_there(app, id), id,
                                 c == SP_CLIENT_DISABLED ? "disabled" : "wrong");
    return c;
}

enum sp_client_check sp_app_client_check_again(struct sp_app *app, struct sp_client_facts *facts) {
    return sp_live_clients_check_again(app->clients, sp_app_now_ms(app), facts);
}
