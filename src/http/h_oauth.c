/* The endpoints of OAuth that clients call (RFC 6749, 7009, 7662, 9126; OpenID Connect Core 5.3). Forms in,
 * JSON out; refusals are {error, error_description}.
 *
 * - POST /oauth2/token: grant_type and what it needs -> 200 {access_token, token_type, expires_in, scope,
 *   refresh_token?, id_token?}
 * - POST /oauth2/revoke: token, token_type_hint? -> 200, whatever the token is
 * - POST /oauth2/introspect: token, token_type_hint? -> 200 {active, ...}
 * - POST /oauth2/par: an authorization request -> 201 {request_uri, expires_in}
 * - GET, POST /oauth2/userinfo: an access token -> 200 {sub, ...} */
#include "http/authz_form.h"
#include "http/client_proof.h"
#include "http/exchange.h"
#include "http/handlers.h"

#include "base/text.h"

#define VALUE_MAX SP_HTTP_BODY_BYTES_MAX
#define FIELD(name, at)                                                                                      \
    { name, VALUE_MAX, (at), NULL, SP_FORM_PRINTABLE }

/* RFC 6749 section 5.1 asks for this beside Cache-Control. */
static void reply(struct sp_exchange *x, int status) {
    sp_x_header(x, "Pragma", SP_SLICE_LIT("no-cache"));
    sp_x_reply(x, status);
}

/* True: answered. */
static bool is_trouble(struct sp_exchange *x, const struct sp_oauth_trouble *t) {
    if (t->error == SP_OAUTH_NONE) return false;
    sp_x_trouble(x, t);
    return true;
}

static void put_if(struct sp_json_out *o, const char *name, sp_slice text) {
    if (text.n != 0) sp_json_out_text(o, name, text);
}

/* ---- token ---- */

static void token_done(void *arg, const struct sp_oauth_tokens_result *r) {
    struct sp_exchange *x = arg;
    struct sp_json_out *o = &x->json;
    if (is_trouble(x, &r->trouble)) return;
    sp_json_out_object(o, NULL);
    sp_json_out_text(o, "access_token", r->access_token);
    sp_json_out_text(o, "token_type", sp_slice_cstr(r->is_dpop ? "DPoP" : "Bearer"));
    sp_json_out_i64(o, "expires_in", r->expires_in_s);
    sp_json_out_text(o, "scope", r->scope);
    put_if(o, "refresh_token", r->refresh_token);
    put_if(o, "id_token", r->id_token);
    sp_json_out_object_end(o);
    reply(x, 200);
}

static enum sp_step read_token_request(struct sp_exchange *x, struct sp_client_form *client,
                                       struct sp_form_list *resources, struct sp_oauth_token_request *in) {
    const struct sp_form_field fields[] = {
        SP_CLIENT_FORM_FIELDS(client),
        FIELD("grant_type", &in->grant_type),
        FIELD("code", &in->code),
        FIELD("redirect_uri", &in->redirect_uri),
        FIELD("code_verifier", &in->code_verifier),
        FIELD("refresh_token", &in->refresh_token),
        FIELD("scope", &in->scope),
        FIELD("attempt", &in->attempt),
        {"resource", VALUE_MAX, NULL, resources, SP_FORM_PRINTABLE},
    };
    if (sp_x_read_form(x, fields, SP_ARRAY_LEN(fields)) == SP_ANSWERED) return SP_ANSWERED;
    if (sp_x_read_dpop(x, &in->dpop) == SP_ANSWERED) return SP_ANSWERED;
    in->resources = resources->item;
    in->n_resources = resources->n;
    return sp_x_read_client(x, client, &in->client);
}

void sp_h_oauth_token(struct sp_exchange *x) {
    struct sp_client_form client = {.id = SP_SLICE_EMPTY};
    struct sp_form_list resources = {.n = 0};
    struct sp_oauth_token_request in = {.grant_type = SP_SLICE_EMPTY};
    if (read_token_request(x, &client, &resources, &in) == SP_GO_ON)
        sp_oauth_token(x->app, &x->call, &in, token_done, x);
    sp_wipe(&client, sizeof(client));
}

/* ---- revoke, introspect ---- */

static enum sp_step read_about(struct sp_exchange *x, struct sp_client_form *client,
                               struct sp_oauth_about_request *in) {
    const struct sp_form_field fields[] = {
        SP_CLIENT_FORM_FIELDS(client),
        FIELD("token", &in->token),
        FIELD("token_type_hint", &in->hint),
    };
    if (sp_x_read_form(x, fields, SP_ARRAY_LEN(fields)) == SP_ANSWERED) return SP_ANSWERED;
    return sp_x_read_client(x, client, &in->client);
}

static void revoke_done(void *arg, const struct sp_oauth_plain_result *r) {
    struct sp_exchange *x = arg;
    if (is_trouble(x, &r->trouble)) return;
    /* RFC 7009 has the body ignored; simple-oauth2 takes none that is not JSON. */
    sp_json_out_object(&x->json, NULL);
    sp_json_out_object_end(&x->json);
    reply(x, 200);
}

void sp_h_oauth_revoke(struct sp_exchange *x) {
    struct sp_client_form client = {.id = SP_SLICE_EMPTY};
    struct sp_oauth_about_request in = {.token = SP_SLICE_EMPTY};
    if (read_about(x, &client, &in) == SP_GO_ON) sp_oauth_revoke(x->app, &x->call, &in, revoke_done, x);
    sp_wipe(&client, sizeof(client));
}

static void put_times(struct sp_json_out *o, const struct sp_oauth_introspection *r) {
    if (r->exp_s != 0) sp_json_out_i64(o, "exp", r->exp_s);
    if (r->iat_s != 0) sp_json_out_i64(o, "iat", r->iat_s);
    if (r->auth_time_s != 0) sp_json_out_i64(o, "auth_time", r->auth_time_s);
}

/* One as a string, as in the token itself. */
static void put_audience(struct sp_json_out *o, sp_slice aud) {
    if (sp_words_count(aud) == 1) {
        sp_json_out_text(o, "aud", aud);
    } else if (aud.n != 0) {
        sp_json_out_words(o, "aud", aud);
    }
}

static void put_active(struct sp_exchange *x, const struct sp_oauth_introspection *r) {
    struct sp_json_out *o = &x->json;
    const bool bound = r->jkt.n != 0;
    sp_json_out_text(o, "iss", SP_TEXT_SLICE(&sp_app_config(x->app)->issuer));
    put_if(o, "sub", r->sub);
    put_audience(o, r->aud);
    put_if(o, "client_id", r->client_id);
    put_if(o, "username", r->username);
    sp_json_out_text(o, "scope", r->scope);
    if (!r->is_refresh_token) sp_json_out_text(o, "token_type", sp_slice_cstr(bound ? "DPoP" : "Bearer"));
    put_times(o, r);
    put_if(o, "jti", r->jti);
    put_if(o, "sid", r->sid);
    put_if(o, "acr", r->acr);
    if (r->amr.n != 0) sp_json_out_words(o, "amr", r->amr);
    if (!bound) return;
    sp_json_out_object(o, "cnf");
    sp_json_out_text(o, "jkt", r->jkt);
    sp_json_out_object_end(o);
}

static void introspect_done(void *arg, const struct sp_oauth_introspection *r) {
    struct sp_exchange *x = arg;
    if (is_trouble(x, &r->trouble)) return;
    sp_json_out_object(&x->json, NULL);
    sp_json_out_bool(&x->json, "active", r->active);
    if (r->active) put_active(x, r);
    sp_json_out_object_end(&x->json);
    reply(x, 200);
}

void sp_h_oauth_introspect(struct sp_exchange *x) {
    struct sp_client_form client = {.id = SP_SLICE_EMPTY};
    struct sp_oauth_about_request in = {.token = SP_SLICE_EMPTY};
    if (read_about(x, &client, &in) == SP_GO_ON)
        sp_oauth_introspect(x->app, &x->call, &in, introspect_done, x);
    sp_wipe(&client, sizeof(client));
}

/* ---- pushed authorization requests ---- */

static void par_done(void *arg, const struct sp_oauth_par_result *r) {
    struct sp_exchange *x = arg;
    if (is_trouble(x, &r->trouble)) return;
    sp_json_out_object(&x->json, NULL);
    sp_json_out_text(&x->json, "request_uri", r->request_uri);
    sp_json_out_i64(&x->json, "expires_in", r->expires_in_s);
    sp_json_out_object_end(&x->json);
    reply(x, 201);
}

static enum sp_step read_par(struct sp_exchange *x, struct sp_client_form *client,
                             struct sp_form_list *resources, struct sp_oauth_par_request *in) {
    const struct sp_form_field fields[] = {
        SP_CLIENT_FORM_FIELDS(client),
        SP_AUTHZ_FORM_FIELDS(&in->params, resources),
    };
    if (sp_x_read_form(x, fields, SP_ARRAY_LEN(fields)) == SP_ANSWERED) return SP_ANSWERED;
    if (sp_x_read_dpop(x, &in->dpop) == SP_ANSWERED) return SP_ANSWERED;
    in->params.resources = resources->item;
    in->params.n_resources = resources->n;
    if (sp_x_read_client(x, client, &in->client) == SP_ANSWERED) return SP_ANSWERED;
    /* RFC 9126 section 2.1: client_id is a parameter like the others; whoever shows it in the header only has
     * said the same. */
    in->params.client_id = client->id.n != 0 ? client->id : in->client.id;
    return SP_GO_ON;
}

void sp_h_oauth_par(struct sp_exchange *x) {
    struct sp_client_form client = {.id = SP_SLICE_EMPTY};
    struct sp_form_list resources = {.n = 0};
    struct sp_oauth_par_request in = {.params = {.client_id = SP_SLICE_EMPTY}};
    if (read_par(x, &client, &resources, &in) == SP_GO_ON) sp_oauth_par(x->app, &x->call, &in, par_done, x);
    sp_wipe(&client, sizeof(client));
}

/* ---- userinfo ---- */

static void userinfo_done(void *arg, const struct sp_oauth_userinfo *r) {
    struct sp_exchange *x = arg;
    if (is_trouble(x, &r->trouble)) return;
    sp_json_out_object(&x->json, NULL);
    sp_json_out_text(&x->json, "sub", r->sub);
    put_if(&x->json, "preferred_username", r->preferred_username);
    put_if(&x->json, "name", r->name);
    sp_json_out_object_end(&x->json);
    reply(x, 200);
}

static enum sp_step token_of_header(struct sp_exchange *x, sp_slice authorization) {
    sp_status st = sp_bearer_parse(authorization, &x->access_token);
    if (sp_is(st, SP_E_UNSUPPORTED)) {
        st = sp_token_parse(authorization, SP_SLICE_LIT("DPoP"), &x->access_token);
        x->is_dpop = sp_ok(st);
    }
    if (sp_ok(st)) return SP_GO_ON;
    if (sp_is(st, SP_E_UNSUPPORTED)) {
        sp_x_problem(x, SP_PROBLEM_UNSUPPORTED_SCHEME);
    } else {
        sp_x_oauth_error(x, SP_OAUTH_INVALID_REQUEST, "the Authorization header is not a scheme and a token");
    }
    return SP_ANSWERED;
}

/* RFC 6750 section 2: in the header, or in the form of a POST; in one of them. */
static enum sp_step find_token(struct sp_exchange *x) {
    sp_slice authorization, in_form = SP_SLICE_EMPTY;
    const struct sp_form_field fields[] = {FIELD("access_token", &in_form)};
    const bool has_form = x->route->body != SP_BODY_NONE;
    if (has_form && sp_x_read_form(x, fields, SP_ARRAY_LEN(fields)) == SP_ANSWERED) return SP_ANSWERED;
    if (sp_http_req_header(x->req, "Authorization", &authorization) == SP_HTTP_ABSENT) {
        x->access_token = in_form;
        if (in_form.n != 0) return SP_GO_ON;
        sp_x_problem(x, SP_PROBLEM_NOT_AUTHENTICATED);
        return SP_ANSWERED;
    }
    if (in_form.n == 0) return token_of_header(x, authorization);
    sp_x_oauth_error(x, SP_OAUTH_INVALID_REQUEST, "more than one access token is given");
    return SP_ANSWERED;
}

void sp_h_oauth_userinfo(struct sp_exchange *x) {
    struct sp_dpop_shown dpop;
    if (find_token(x) == SP_ANSWERED) return;
    if (sp_x_read_dpop(x, &dpop) == SP_ANSWERED) return;
    sp_oauth_userinfo(x->app, &x->call, x->access_token, x->is_dpop, &dpop, userinfo_done, x);
}
