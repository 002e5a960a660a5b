/* Administration of clients.
 *
 *   GET    /admin/v1/clients?after=&limit=        -> 200 {clients: [..], next: cursor | null}
 *   POST   /admin/v1/clients                      {client_id, feed} -> 201 the client, and client_secret
 *   GET    /admin/v1/clients/{client}             -> 200 the client
 *   DELETE /admin/v1/clients/{client}             -> 204
 *   POST   /admin/v1/clients/{client}/rotate-secret  {overlap_s?} -> 200 the client, and client_secret
 *   POST   /admin/v1/clients/{client}/disable, .../enable  -> 204
 *
 * A client: {client_id, feed, disabled, version, created_at, secret_created_at, previous_secret_expires_at}.
 * A secret is in the answer that made it and nowhere else. */
#include "http/exchange.h"
#include "http/handlers.h"

/* When its newest secret was made, and until when the one before still works (0: it does not). */
static void secret_times(const struct sp_client_row *row, int64_t now_ms, int64_t *ret_created_ms,
                         int64_t *ret_previous_until_ms) {
    *ret_created_ms = *ret_previous_until_ms = 0;
    for (size_t i = 0; i < SP_ARRAY_LEN(row->secrets); i++) {
        const struct sp_client_secret *s = &row->secrets[i];
        if (!sp_client_secret_is_live(s, now_ms)) continue;
        if (s->expires_ms == 0) *ret_created_ms = s->created_ms;
        if (s->expires_ms != 0) *ret_previous_until_ms = s->expires_ms;
    }
}

static void put_client(struct sp_json_out *o, const struct sp_client_row *row, int64_t now_ms,
                       sp_slice secret) {
    int64_t created_ms, previous_until_ms;
    secret_times(row, now_ms, &created_ms, &previous_until_ms);
    sp_json_out_object(o, NULL);
    sp_json_out_text(o, "client_id", SP_TEXT_SLICE(&row->id));
    sp_json_out_bool(o, "feed", row->feed);
    sp_json_out_bool(o, "disabled", row->disabled);
    sp_json_out_u64(o, "version", row->version);
    sp_json_out_time_ms(o, "created_at", row->created_ms);
    sp_json_out_time_ms(o, "secret_created_at", created_ms);
    sp_json_out_time_ms(o, "previous_secret_expires_at", previous_until_ms);
    if (secret.n != 0) sp_json_out_text(o, "client_secret", secret);
    sp_json_out_object_end(o);
}

static void reply_client(struct sp_exchange *x, const struct sp_clients_result *r, int status) {
    if (r->outcome != SP_OUTCOME_OK) {
        sp_x_outcome(x, r->outcome);
        return;
    }
    if (r->n != 1) {
        sp_x_outcome(x, SP_OUTCOME_INTERNAL);
        return;
    }
    put_client(&x->json, &r->rows[0], r->now_ms, r->secret);
    sp_x_reply(x, status);
}

static void one_done(void *arg, const struct sp_clients_result *r) {
    reply_client(arg, r, 200);
}
static void add_done(void *arg, const struct sp_clients_result *r) {
    reply_client(arg, r, 201);
}

static void list_done(void *arg, const struct sp_clients_result *r) {
    struct sp_exchange *x = arg;
    if (r->outcome != SP_OUTCOME_OK) {
        sp_x_outcome(x, r->outcome);
        return;
    }
    sp_json_out_object(&x->json, NULL);
    sp_json_out_array(&x->json, "clients");
    for (size_t i = 0; i < r->n; i++) put_client(&x->json, &r->rows[i], r->now_ms, SP_SLICE_EMPTY);
    sp_json_out_array_end(&x->json);
    if (r->next.n != 0) {
        sp_json_out_text(&x->json, "next", r->next);
    } else {
        sp_json_out_null(&x->json, "next");
    }
    sp_json_out_object_end(&x->json);
    sp_x_reply(x, 200);
}

static void plain_done(void *arg, const struct sp_plain_result *r) {
    sp_x_done_plain(arg, r);
}

void sp_h_admin_clients(struct sp_exchange *x) {
    uint32_t limit;
    if (sp_x_read_limit(x, &limit) == SP_ANSWERED) return;
    sp_app_clients_list(x->app, &x->call, sp_query_get(&x->query, "after"), limit, list_done, x);
}

void sp_h_admin_client(struct sp_exchange *x) {
    sp_app_client_show(x->app, &x->call, x->segment[0], one_done, x);
}

void sp_h_admin_client_add(struct sp_exchange *x) {
    struct sp_client_add_request in = {.id = SP_SLICE_EMPTY};
    struct sp_json_in_field fields[] = {
        {"client_id", SP_JSON_IN_LABEL, true, SP_CLIENT_ID_BYTES_MAX, {.text = &in.id}},
        {"feed", SP_JSON_IN_BOOL, true, 0, {.flag = &in.feed}},
    };
    if (sp_x_read_body(x, fields, SP_ARRAY_LEN(fields)) == SP_ANSWERED) return;
    sp_app_client_add(x->app, &x->call, &in, add_done, x);
}

void sp_h_admin_client_rotate(struct sp_exchange *x) {
    int64_t overlap_s = SP_CLIENT_OVERLAP_S;
    struct sp_json_in_field fields[] = {
        {"overlap_s", SP_JSON_IN_COUNT, false, SP_CLIENT_OVERLAP_S_MAX, {.count = &overlap_s}}};
    if (sp_x_read_body(x, fields, SP_ARRAY_LEN(fields)) == SP_ANSWERED) return;
    sp_app_client_rotate(x->app, &x->call, x->segment[0], overlap_s, one_done, x);
}

static void edit(struct sp_exchange *x, enum sp_client_edit what) {
    sp_app_client_edit(x->app, &x->call, x->segment[0], what, plain_done, x);
}

void sp_h_admin_client_delete(struct sp_exchange *x) {
    edit(x, SP_CLIENT_DELETE);
}
void sp_h_admin_client_disable(struct sp_exchange *x) {
    edit(x, SP_CLIENT_DISABLE);
}
void sp_h_admin_client_enable(struct sp_exchange *x) {
    edit(x, SP_CLIENT_ENABLE);
}
