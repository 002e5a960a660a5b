/* What anybody may fetch without a credential.
 *
 *   GET /.well-known/jwks.json -> 200, the public keys: announced, signing and retired
 *   GET /.well-known/oauth-authorization-server -> 200, RFC 8414
 *   GET /.well-known/openid-configuration -> 200, OpenID Connect Discovery; 404 where id_tokens could not be
 *     checked by anybody (tokens.alg = HS256)
 *
 * All may be cached for five minutes: a new key is announced longer than that before it signs. What discovery
 * says is there, and what it leaves out is not. */
#include "http/challenge.h"
#include "http/exchange.h"
#include "http/handlers.h"

static void reply_public(struct sp_exchange *x, const char *type) {
    sp_x_header(x, "Content-Type", sp_slice_cstr(type));
    sp_x_header(x, "Cache-Control", SP_SLICE_LIT("public, max-age=300"));
    sp_x_reply(x, 200);
}

void sp_h_jwks(struct sp_exchange *x) {
    sp_status st = sp_app_jwks(x->app, &x->out);
    if (!sp_ok(st)) {
        sp_x_outcome(x, sp_is(st, SP_E_UNAVAILABLE) ? SP_OUTCOME_STORE_UNAVAILABLE : SP_OUTCOME_INTERNAL);
        return;
    }
    reply_public(x, "application/jwk-set+json");
}

/* ---- discovery ---- */

/* The issuer is told exactly as it is configured; what stands below it, without a second slash. */
static void put_url(struct sp_exchange *x, const char *name, const char *path) {
    enum { URL_BYTES_MAX = 512 };
    const sp_slice issuer = SP_TEXT_SLICE(&sp_app_config(x->app)->issuer);
    SP_AUTO(sp_buf) b = SP_BUF_INIT(URL_BYTES_MAX);
    if (!sp_ok(sp_buf_append_url(&b, issuer, sp_slice_cstr(path)))) x->failed = true;
    sp_json_out_text(&x->json, name, sp_buf_slice(&b));
}

static void put_words(struct sp_exchange *x, const char *name, const char *words) {
    sp_json_out_words(&x->json, name, sp_slice_cstr(words));
}

#define CONFIDENTIAL "client_secret_basic client_secret_post private_key_jwt"

static void put_oauth(struct sp_exchange *x) {
    struct sp_json_out *o = &x->json;
    sp_json_out_text(o, "issuer", SP_TEXT_SLICE(&sp_app_config(x->app)->issuer));
    put_url(x, "authorization_endpoint", "/oauth2/authorize");
    put_url(x, "token_endpoint", "/oauth2/token");
    put_url(x, "pushed_authorization_request_endpoint", "/oauth2/par");
    put_url(x, "revocation_endpoint", "/oauth2/revoke");
    put_url(x, "introspection_endpoint", "/oauth2/introspect");
    put_url(x, "jwks_uri", "/.well-known/jwks.json");
    put_words(x, "response_types_supported", "code");
    put_words(x, "response_modes_supported", "query");
    put_words(x, "grant_types_supported", "authorization_code refresh_token client_credentials");
    put_words(x, "code_challenge_methods_supported", "S256");
    put_words(x, "token_endpoint_auth_methods_supported", CONFIDENTIAL " none");
    put_words(x, "token_endpoint_auth_signing_alg_values_supported", SP_PUBLIC_ALGS);
    put_words(x, "revocation_endpoint_auth_methods_supported", CONFIDENTIAL " none");
    put_words(x, "revocation_endpoint_auth_signing_alg_values_supported", SP_PUBLIC_ALGS);
    put_words(x, "introspection_endpoint_auth_methods_supported", CONFIDENTIAL);
    put_words(x, "introspection_endpoint_auth_signing_alg_values_supported", SP_PUBLIC_ALGS);
    put_words(x, "dpop_signing_alg_values_supported", SP_PUBLIC_ALGS);
    sp_json_out_bool(o, "authorization_response_iss_parameter_supported", true);
    sp_json_out_bool(o, "require_pushed_authorization_requests", false);
    sp_json_out_bool(o, "request_parameter_supported", false);
    sp_json_out_bool(o, "request_uri_parameter_supported", false); /* of others; pushed ones are not meant */
    put_words(x, "ui_locales_supported", "en");
}

static void put_openid(struct sp_exchange *x) {
    struct sp_json_out *o = &x->json;
    put_url(x, "userinfo_endpoint", "/oauth2/userinfo");
    put_url(x, "end_session_endpoint", "/oauth2/logout");
    put_words(x, "scopes_supported", "openid profile offline_access");
    put_words(x, "subject_types_supported", "public");
    put_words(x, "id_token_signing_alg_values_supported", sp_alg_name(sp_app_config(x->app)->alg));
    put_words(x, "acr_values_supported", SP_ACR_PASSWORD);
    put_words(x, "claims_supported",
              "iss sub aud exp iat auth_time nonce acr amr sid preferred_username name");
    sp_json_out_bool(o, "claims_parameter_supported", false);
    put_words(x, "prompt_values_supported", "none login consent select_account");
    sp_json_out_bool(o, "backchannel_logout_supported", true);
    sp_json_out_bool(o, "backchannel_logout_session_supported", true);
}

/* Both documents say the same, so that it does not matter which one a client reads. */
static void put_discovery(struct sp_exchange *x) {
    sp_json_out_object(&x->json, NULL);
    put_oauth(x);
    if (sp_oauth_has_openid(x->app)) put_openid(x);
    sp_json_out_object_end(&x->json);
    reply_public(x, "application/json");
}

void sp_h_openid_configuration(struct sp_exchange *x) {
    put_discovery(x);
}

void sp_h_authorization_server(struct sp_exchange *x) {
    put_discovery(x);
}
