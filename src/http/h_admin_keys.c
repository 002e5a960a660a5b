/* Administration of keys. Secrets never leave; public keys are in the JWKS.
 *
 *   GET    /admin/v1/keys          -> 200 {keys: [{kid, use, alg, state, created_at, signing_from,
 * retired_at, gone_at}]} POST   /admin/v1/keys/rotate   {use?: "access" | "refresh", immediately?: bool} ->
 * 200 {keys: [..]} DELETE /admin/v1/keys/{kid}    -> 204; a compromised key: refused everywhere at once */
#include "http/exchange.h"
#include "http/handlers.h"

static const char *use_name(enum sp_key_use use) {
    switch (use) {
    case SP_KEY_ACCESS: return "access";
    case SP_KEY_REFRESH: return "refresh";
    case SP_KEY_SID_TAG: return "sid_tag";
    case SP_KEY_CSRF: return "csrf";
    case SP_KEY_AUDIT: return "audit";
    }
    return "unknown";
}

static const char *state_name(enum sp_key_state state) {
    switch (state) {
    case SP_KEY_ANNOUNCED: return "announced";
    case SP_KEY_SIGNING: return "signing";
    case SP_KEY_RETIRED: return "retired";
    case SP_KEY_GONE: return "gone";
    case SP_KEY_REVOKED: return "revoked";
    }
    return "unknown";
}

static void put_key(struct sp_json_out *o, const struct sp_key_row *row) {
    sp_json_out_object(o, NULL);
    sp_json_out_text(o, "kid", SP_TEXT_SLICE(&row->kid));
    sp_json_out_text(o, "use", sp_slice_cstr(use_name(row->use)));
    sp_json_out_text(o, "alg", SP_TEXT_SLICE(&row->alg));
    sp_json_out_text(o, "state", sp_slice_cstr(state_name(row->state)));
    sp_json_out_time_ms(o, "created_at", row->created_ms);
    sp_json_out_time_ms(o, "signing_from", row->signing_from_ms);
    sp_json_out_time_ms(o, "retired_at", row->retired_ms);
    sp_json_out_time_ms(o, "gone_at", row->gone_ms);
    sp_json_out_object_end(o);
}

static void keys_done(void *arg, const struct sp_keys_result *r) {
    struct sp_exchange *x = arg;
    if (r->outcome != SP_OUTCOME_OK) {
        sp_x_outcome(x, r->outcome);
        return;
    }
    sp_json_out_object(&x->json, NULL);
    sp_json_out_array(&x->json, "keys");
    for (size_t i = 0; i < r->n; i++) put_key(&x->json, &r->rows[i]);
    sp_json_out_array_end(&x->json);
    sp_json_out_object_end(&x->json);
    sp_x_reply(x, 200);
}

void sp_h_admin_keys(struct sp_exchange *x) {
    sp_app_keys_list(x->app, &x->call, keys_done, x);
}

void sp_h_admin_key_rotate(struct sp_exchange *x) {
    enum { USE_BYTES_MAX = 16 };
    sp_slice use = SP_SLICE_EMPTY;
    bool immediately = false;
    struct sp_json_in_field fields[] = {
        {"use", SP_JSON_IN_LABEL, false, USE_BYTES_MAX, {.text = &use}},
        {"immediately", SP_JSON_IN_BOOL, false, 0, {.flag = &immediately}},
    };
    if (sp_x_read_body(x, fields, SP_ARRAY_LEN(fields)) == SP_ANSWERED) return;
    bool refresh = sp_slice_eq_cstr(use, "refresh");
    if (use.n != 0 && !refresh && !sp_slice_eq_cstr(use, "access")) {
        sp_x_problem_body(x, SP_JSON_IN_BAD_VALUE, "use");
        return;
    }
    sp_app_key_rotate(x->app, &x->call, refresh ? SP_KEY_REFRESH : SP_KEY_ACCESS, immediately, keys_done, x);
}

static void plain_done(void *arg, const struct sp_plain_result *r) {
    sp_x_done_plain(arg, r);
}

void sp_h_admin_key_revoke(struct sp_exchange *x) {
    sp_app_key_revoke(x->app, &x->call, x->segment[0], plain_done, x);
}
