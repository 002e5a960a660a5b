/* Administration of clients.
 *
 *   GET    /admin/v1/clients?after=&limit=        -> 200 {clients: [..], next: cursor | null}
 *   POST   /admin/v1/clients                      {client_id, client_secret?, options} -> 201 the client
 *   GET    /admin/v1/clients/{client}             -> 200 the client
 *   PUT    /admin/v1/clients/{client}             {version?, options} -> 200 the client
 *   DELETE /admin/v1/clients/{client}             -> 204
 *   POST   /admin/v1/clients/{client}/rotate-secret  {overlap_s?, client_secret?} -> 200 the client
 *   POST   /admin/v1/clients/{client}/disable, .../enable  -> 204
 *
 * Options: {name?, feed?, auth_method?, grants?, scopes?, audiences?, redirect_uris?,
 * post_logout_redirect_uris?, backchannel_logout_uri?, jwks?, rotate_refresh?, trusted?, require_par?,
 * require_dpop?}; what is not given is as it is for a client that was made without it, by PUT, too.
 *
 * A client: {client_id, options, disabled, version, created_at, secret_created_at,
 * previous_secret_expires_at}. A secret that was made here is in the answer that made it (client_secret) and
 * nowhere else. */
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

static void put_options(struct sp_json_out *o, const struct sp_client_row *row) {
    sp_json_out_text(o, "name", SP_TEXT_SLICE(&row->name));
    sp_json_out_bool(o, "feed", row->feed);
    sp_json_out_text(o, "auth_method", SP_TEXT_SLICE(&row->auth_method));
    sp_json_out_words(o, "grants", SP_TEXT_SLICE(&row->grants));
    sp_json_out_words(o, "scopes", SP_TEXT_SLICE(&row->scopes));
    sp_json_out_words(o, "audiences", SP_TEXT_SLICE(&row->audiences));
    sp_json_out_words(o, "redirect_uris", SP_TEXT_SLICE(&row->redirect_uris));
    sp_json_out_words(o, "post_logout_redirect_uris", SP_TEXT_SLICE(&row->post_logout_redirect_uris));
    sp_json_out_text(o, "backchannel_logout_uri", SP_TEXT_SLICE(&row->backchannel_logout_uri));
    if (row->jwks.n != 0)
        sp_json_out_raw(o, "jwks", SP_TEXT_SLICE(&row->jwks)); /* checked, and written by us: json_in.h */
    else
        sp_json_out_null(o, "jwks");
    sp_json_out_bool(o, "rotate_refresh", row->rotate_refresh);
    sp_json_out_bool(o, "trusted", row->trusted);
    sp_json_out_bool(o, "require_par", row->require_par);
    sp_json_out_bool(o, "require_dpop", row->require_dpop);
}

static void put_client(struct sp_json_out *o, const struct sp_client_row *row, int64_t now_ms,
                       sp_slice secret) {
    int64_t created_ms, previous_until_ms;
    secret_times(row, now_ms, &created_ms, &previous_until_ms);
    sp_json_out_object(o, NULL);
    sp_json_out_text(o, "client_id", SP_TEXT_SLICE(&row->id));
    put_options(o, row);
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
        sp_x_outcome_why(x, r->outcome, &r->why);
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

/* What a body says of options, until the use case has copied it. */
struct options_body {
    struct sp_client_options options;
    bool rotates_refresh;
    struct sp_buf grants, scopes, audiences, redirect_uris, post_logout_redirect_uris, jwks;
};
#define OPTIONS_BODY_INIT                                                                                    \
    {                                                                                                        \
        .rotates_refresh = true, .grants = SP_BUF_INIT(SP_CLIENT_OPTION_BYTES_MAX),                          \
        .scopes = SP_BUF_INIT(SP_CLIENT_OPTION_BYTES_MAX),                                                   \
        .audiences = SP_BUF_INIT(SP_CLIENT_OPTION_BYTES_MAX),                                                \
        .redirect_uris = SP_BUF_INIT(SP_CLIENT_OPTION_BYTES_MAX),                                            \
        .post_logout_redirect_uris = SP_BUF_INIT(SP_CLIENT_OPTION_BYTES_MAX),                                \
        .jwks = SP_BUF_INIT(SP_CLIENT_OPTION_BYTES_MAX)                                                      \
    }

static void options_body_done(struct options_body *b) {
    struct sp_buf *all[] = {
        &b->grants, &b->scopes, &b->audiences, &b->redirect_uris, &b->post_logout_redirect_uris, &b->jwks};
    for (size_t i = 0; i < SP_ARRAY_LEN(all); i++) sp_buf_done(all[i]);
}

enum { OPTION_FIELDS = 14, OWN_FIELDS_MAX = 2 };

/* Reads options and the route's own fields. */
static enum sp_step read_options(struct sp_exchange *x, struct options_body *b,
                                 const struct sp_json_in_field *own, size_t n_own) {
    struct sp_client_options *o = &b->options;
    const struct sp_json_in_field shared[OPTION_FIELDS] = {
        {"name", SP_JSON_IN_MAYBE, false, sizeof(((struct sp_client_row *)NULL)->name.s), {.text = &o->name}},
        {"feed", SP_JSON_IN_BOOL, false, 0, {.flag = &o->feed}},
        {"auth_method", SP_JSON_IN_LABEL, false, SP_CLIENT_ID_BYTES_MAX, {.text = &o->auth_method}},
        {"grants", SP_JSON_IN_WORDS, false, SP_CLIENT_OPTION_BYTES_MAX, {.words = &b->grants}},
        {"scopes", SP_JSON_IN_WORDS, false, SP_CLIENT_OPTION_BYTES_MAX, {.words = &b->scopes}},
        {"audiences", SP_JSON_IN_WORDS, false, SP_CLIENT_OPTION_BYTES_MAX, {.words = &b->audiences}},
        {"redirect_uris", SP_JSON_IN_WORDS, false, SP_CLIENT_OPTION_BYTES_MAX, {.words = &b->redirect_uris}},
        {"post_logout_redirect_uris",
         SP_JSON_IN_WORDS,
         false,
         SP_CLIENT_OPTION_BYTES_MAX,
         {.words = &b->post_logout_redirect_uris}},
        {"backchannel_logout_uri",
         SP_JSON_IN_MAYBE,
         false,
         SP_CLIENT_URI_BYTES_MAX,
         {.text = &o->backchannel_logout_uri}},
        {"jwks", SP_JSON_IN_OBJECT, false, SP_CLIENT_OPTION_BYTES_MAX, {.words = &b->jwks}},
        {"rotate_refresh", SP_JSON_IN_BOOL, false, 0, {.flag = &b->rotates_refresh}},
        {"trusted", SP_JSON_IN_BOOL, false, 0, {.flag = &o->trusted}},
        {"require_par", SP_JSON_IN_BOOL, false, 0, {.flag = &o->require_par}},
        {"require_dpop", SP_JSON_IN_BOOL, false, 0, {.flag = &o->require_dpop}},
    };
    struct sp_json_in_field fields[OPTION_FIELDS + OWN_FIELDS_MAX];
    memcpy(fields, own, n_own * sizeof(fields[0]));
    memcpy(fields + n_own, shared, sizeof(shared));
    if (sp_x_read_body(x, fields, n_own + OPTION_FIELDS) == SP_ANSWERED) return SP_ANSWERED;
    o->keeps_refresh = !b->rotates_refresh;
    o->grants = sp_buf_slice(&b->grants);
    o->scopes = sp_buf_slice(&b->scopes);
    o->audiences = sp_buf_slice(&b->audiences);
    o->redirect_uris = sp_buf_slice(&b->redirect_uris);
    o->post_logout_redirect_uris = sp_buf_slice(&b->post_logout_redirect_uris);
    o->jwks = sp_buf_slice(&b->jwks);
    return SP_GO_ON;
}

void sp_h_admin_client_add(struct sp_exchange *x) {
    struct options_body body = OPTIONS_BODY_INIT;
    struct sp_client_add_request in = {.id = SP_SLICE_EMPTY};
    const struct sp_json_in_field own[] = {
        {"client_id", SP_JSON_IN_LABEL, true, SP_CLIENT_ID_BYTES_MAX, {.text = &in.id}},
        {"client_secret", SP_JSON_IN_TEXT, false, SP_CLIENT_SECRET_OWN_CHARS_MAX, {.text = &in.secret}},
    };
    if (read_options(x, &body, own, SP_ARRAY_LEN(own)) == SP_GO_ON) {
        in.options = body.options;
        sp_app_client_add(x->app, &x->call, &in, add_done, x);
    }
    options_body_done(&body);
}

void sp_h_admin_client_set(struct sp_exchange *x) {
    struct options_body body = OPTIONS_BODY_INIT;
    int64_t version = -1;
    const struct sp_json_in_field own[] = {
        {"version", SP_JSON_IN_COUNT, false, INT64_MAX, {.count = &version}},
    };
    if (read_options(x, &body, own, SP_ARRAY_LEN(own)) == SP_GO_ON)
        sp_app_client_set(x->app, &x->call, x->segment[0], &body.options,
                          version < 0 ? SP_VERSION_ANY : (uint64_t)version, one_done, x);
    options_body_done(&body);
}

void sp_h_admin_client_rotate(struct sp_exchange *x) {
    struct sp_client_rotate_request in = {.overlap_s = SP_CLIENT_OVERLAP_S};
    struct sp_json_in_field fields[] = {
        {"overlap_s", SP_JSON_IN_COUNT, false, SP_CLIENT_OVERLAP_S_MAX, {.count = &in.overlap_s}},
        {"client_secret", SP_JSON_IN_TEXT, false, SP_CLIENT_SECRET_OWN_CHARS_MAX, {.text = &in.secret}},
    };
    if (sp_x_read_body(x, fields, SP_ARRAY_LEN(fields)) == SP_ANSWERED) return;
    sp_app_client_rotate(x->app, &x->call, x->segment[0], &in, one_done, x);
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
