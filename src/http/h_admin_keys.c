/* Administration of keys. Secrets never leave; public keys are in the JWKS.
 *
 *   GET    /admin/v1/keys
 *     -> 200 {keys: [{kid, use, alg, rsa_bits, state, created_at, signing_from, retired_at, gone_at}]}
 *
 *   POST   /admin/v1/keys/rotate   {use?: "access" | "refresh" | "feed", immediately?: bool}
 *     -> 200 {keys: [..]}; a feed key never signs at once: verifiers must have heard of it first
 *
 *   DELETE /admin/v1/keys/{kid}    -> 204; a compromised key: refused everywhere at once */
#include "core/keys.h"
#include "http/exchange.h"
#include "http/handlers.h"

static void put_key(struct sp_json_out *o, const struct sp_key_row *row) {
    sp_json_out_object(o, NULL);
    sp_json_out_text(o, "kid", SP_TEXT_SLICE(&row->kid));
    sp_json_out_text(o, "use", sp_slice_cstr(sp_key_use_name(row->use)));
    sp_json_out_text(o, "alg", SP_TEXT_SLICE(&row->alg));
    const uint32_t bits = sp_key_rsa_bits(row);
    if (bits != 0) {
        sp_json_out_u64(o, "rsa_bits", bits);
    } else {
        sp_json_out_null(o, "rsa_bits");
    }
    sp_json_out_text(o, "state", sp_slice_cstr(sp_key_state_name(row->state)));
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
    enum sp_key_use which = SP_KEY_ACCESS;
    if (sp_slice_eq_cstr(use, "refresh")) {
        which = SP_KEY_REFRESH;
    } else if (sp_slice_eq_cstr(use, "feed")) {
        which = SP_KEY_FEED;
    } else if (use.n != 0 && !sp_slice_eq_cstr(use, "access")) {
        sp_x_problem_body(x, SP_JSON_IN_BAD_VALUE, "use");
        return;
    }
    if (which == SP_KEY_FEED && immediately) { /* no verifier would believe what it signs */
        sp_x_problem_body(x, SP_JSON_IN_BAD_VALUE, "immediately");
        return;
    }
    sp_app_key_rotate(x->app, &x->call, which, immediately, keys_done, x);
}

static void plain_done(void *arg, const struct sp_plain_result *r) {
    sp_x_done_plain(arg, r);
}

void sp_h_admin_key_revoke(struct sp_exchange *x) {
    sp_app_key_revoke(x->app, &x->call, x->segment[0], plain_done, x);
}
