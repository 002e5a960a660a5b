/* Administration of roles.
 *
 *   GET    /admin/v1/roles          -> 200 {roles: [{name, permissions: [..], version, updated_at}]}
 *   PUT    /admin/v1/roles/{role}   {permissions: [..]} -> 204; creates or replaces
 *   DELETE /admin/v1/roles/{role}   -> 204 */
#include "http/exchange.h"
#include "http/handlers.h"

static void list_done(void *arg, const struct sp_roles_result *r) {
    struct sp_exchange *x = arg;
    if (r->outcome != SP_OUTCOME_OK) {
        sp_x_outcome(x, r->outcome);
        return;
    }
    struct sp_json_out *o = &x->json;
    sp_json_out_object(o, NULL);
    sp_json_out_array(o, "roles");
    for (size_t i = 0; i < r->n; i++) {
        sp_json_out_object(o, NULL);
        sp_json_out_text(o, "name", SP_TEXT_SLICE(&r->rows[i].name));
        sp_json_out_words(o, "permissions", SP_TEXT_SLICE(&r->rows[i].permissions));
        sp_json_out_u64(o, "version", r->rows[i].version);
        sp_json_out_time_ms(o, "updated_at", r->rows[i].updated_ms);
        sp_json_out_object_end(o);
    }
    sp_json_out_array_end(o);
    sp_json_out_object_end(o);
    sp_x_reply(x, 200);
}

void sp_h_admin_roles(struct sp_exchange *x) {
    sp_app_roles_list(x->app, &x->call, list_done, x);
}

static void plain_done(void *arg, const struct sp_plain_result *r) {
    sp_x_done_plain(arg, r);
}

void sp_h_admin_role_set(struct sp_exchange *x) {
    SP_AUTO(sp_buf) permissions = SP_BUF_INIT(sizeof(((sp_text4096 *)0)->s));
    struct sp_json_in_field fields[] = {
        {"permissions", SP_JSON_IN_WORDS, true, permissions.max, {.words = &permissions}}};
    if (sp_x_read_body(x, fields, SP_ARRAY_LEN(fields)) == SP_ANSWERED) return;
    sp_app_role_set(x->app, &x->call, x->segment[0], sp_buf_slice(&permissions), plain_done, x);
}

void sp_h_admin_role_delete(struct sp_exchange *x) {
    sp_app_role_delete(x->app, &x->call, x->segment[0], plain_done, x);
}
