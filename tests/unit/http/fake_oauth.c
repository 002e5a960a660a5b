/* Doubles of core/oauth.h. */
#include <jansson.h>

#include "base/text.h"
#include "fake_internal.h"

static const struct {
    int status;
    const char *code;
} errors[SP_OAUTH_ERROR_COUNT] = {
#define X(name, status, code) [SP_OAUTH_##name] = {status, code},
#include "core/oauth_errors.def"
#undef X
};
int sp_oauth_http_status(enum sp_oauth_error e) {
    return errors[e].status;
}
const char *sp_oauth_code(enum sp_oauth_error e) {
    return errors[e].code;
}

bool sp_oauth_has_openid(const struct sp_app *app) {
    (void)app;
    return !fake.no_openid;
}
void sp_oauth_dpop_nonce(struct sp_app *app, char ret[SP_DPOP_NONCE_CHARS]) {
    (void)app;
    memset(ret, 'N', SP_DPOP_NONCE_CHARS);
}

enum sp_reject sp_app_authenticate_dpop(struct sp_app *app, sp_slice token, bool is_dpop_scheme,
                                        const struct sp_dpop_shown *dpop, struct sp_principal *ret,
                                        struct sp_oauth_trouble *ret_trouble) {
    const bool bound = sp_slice_eq_cstr(token, BOUND);
    assert_true(dpop->path.n != 0 && dpop->method.n != 0);
    enum sp_reject r = sp_app_authenticate(app, bound ? SP_SLICE_LIT(GOOD) : token, ret);
    if (r != SP_REJECT_NONE || (!bound && !is_dpop_scheme)) return r;
    *ret_trouble = (struct sp_oauth_trouble){.error = SP_OAUTH_INVALID_DPOP_PROOF, .description = "fault"};
    if (!is_dpop_scheme || dpop->proof.p == NULL) return SP_REJECT_PROOF_REQUIRED;
    if (fake.trouble.error != SP_OAUTH_NONE) *ret_trouble = fake.trouble;
    return bound && sp_slice_eq_cstr(dpop->proof, "good.proof") ? SP_REJECT_NONE : SP_REJECT_BAD_PROOF;
}

static void say_client(const char *what, const struct sp_client_proof *c) {
    static const char *const how[] = {"nothing", "basic", "post", "assertion"};
    fake_say("%s %s %.*s|%.*s|%.*s", what, how[c->how], S(c->id), S(c->secret), S(c->assertion));
}
static void say_dpop(const struct sp_dpop_shown *d) {
    if (d->proof.p != NULL) fake_say("dpop %.*s %.*s %.*s", S(d->proof), S(d->method), S(d->path));
}
static void say_if(const char *name, sp_slice s) {
    if (s.p != NULL) fake_say("%s=%.*s", name, S(s));
}

static void run_tokens(void) {
    struct sp_oauth_tokens_result r = {.trouble = fake.trouble};
    if (r.trouble.error == SP_OAUTH_NONE) {
        r.access_token = SP_SLICE_LIT("new.access");
        r.refresh_token = fake.mode == SP_MODE_COOKIE ? SP_SLICE_EMPTY : SP_SLICE_LIT("sprt_new");
        r.scope = fake.scope;
        r.is_dpop = fake.is_dpop;
        r.expires_in_s = 900;
    }
    ((sp_oauth_tokens_done *)later.done)(later.arg, &r);
}
void sp_oauth_token(struct sp_app *app, const struct sp_call *call, const struct sp_oauth_token_request *in,
                    sp_oauth_tokens_done *done, void *arg) {
    (void)app;
    fake_check_call(call);
    say_client("token", &in->client);
    say_dpop(&in->dpop);
    say_if("grant_type", in->grant_type);
    say_if("code", in->code);
    say_if("redirect_uri", in->redirect_uri);
    say_if("code_verifier", in->code_verifier);
    say_if("refresh_token", in->refresh_token);
    say_if("scope", in->scope);
    say_if("attempt", in->attempt);
    for (size_t i = 0; i < in->n_resources; i++) say_if("resource", in->resources[i]);
    fake_later(run_tokens, done, arg);
}

static void run_plain(void) {
    const struct sp_oauth_plain_result r = {.trouble = fake.trouble};
    ((sp_oauth_plain_done *)later.done)(later.arg, &r);
}
void sp_oauth_revoke(struct sp_app *app, const struct sp_call *call, const struct sp_oauth_about_request *in,
                     sp_oauth_plain_done *done, void *arg) {
    (void)app;
    fake_check_call(call);
    say_client("revoke", &in->client);
    say_if("token", in->token);
    say_if("hint", in->hint);
    fake_later(run_plain, done, arg);
}

static void run_introspection(void) {
    fake.introspection.trouble = fake.trouble;
    ((sp_oauth_introspect_done *)later.done)(later.arg, &fake.introspection);
}
void sp_oauth_introspect(struct sp_app *app, const struct sp_call *call,
                         const struct sp_oauth_about_request *in, sp_oauth_introspect_done *done, void *arg) {
    (void)app;
    fake_check_call(call);
    say_client("introspect", &in->client);
    say_if("token", in->token);
    say_if("hint", in->hint);
    fake_later(run_introspection, done, arg);
}

static void run_userinfo(void) {
    struct sp_oauth_userinfo r = {.trouble = fake.trouble};
    if (r.trouble.error == SP_OAUTH_NONE) {
        r.sub = SP_SLICE_LIT(SUB);
        r.preferred_username = SP_SLICE_LIT("alice");
    }
    ((sp_oauth_userinfo_done *)later.done)(later.arg, &r);
}
void sp_oauth_userinfo(struct sp_app *app, const struct sp_call *call, sp_slice access_token,
                       bool is_dpop_scheme, const struct sp_dpop_shown *dpop, sp_oauth_userinfo_done *done,
                       void *arg) {
    (void)app;
    fake_check_call(call);
    fake_say("userinfo %s %.*s", is_dpop_scheme ? "dpop" : "bearer", S(access_token));
    say_dpop(dpop);
    fake_later(run_userinfo, done, arg);
}

static void say_params(const struct sp_authz_params *p) {
    say_if("client_id", p->client_id);
    say_if("response_type", p->response_type);
    say_if("response_mode", p->response_mode);
    say_if("redirect_uri", p->redirect_uri);
    say_if("scope", p->scope);
    say_if("state", p->state);
    say_if("nonce", p->nonce);
    say_if("code_challenge", p->code_challenge);
    say_if("code_challenge_method", p->code_challenge_method);
    say_if("prompt", p->prompt);
    say_if("max_age", p->max_age);
    say_if("acr_values", p->acr_values);
    say_if("login_hint", p->login_hint);
    say_if("id_token_hint", p->id_token_hint);
    say_if("dpop_jkt", p->dpop_jkt);
    say_if("request", p->request);
    say_if("request_uri", p->request_uri);
    say_if("registration", p->registration);
    for (size_t i = 0; i < p->n_resources; i++) say_if("resource", p->resources[i]);
}

static void run_par(void) {
    struct sp_oauth_par_result r = {.trouble = fake.trouble};
    r.request_uri = SP_SLICE_LIT("urn:ietf:params:oauth:request_uri:x");
    r.expires_in_s = 90;
    ((sp_oauth_par_done *)later.done)(later.arg, &r);
}
void sp_oauth_par(struct sp_app *app, const struct sp_call *call, const struct sp_oauth_par_request *in,
                  sp_oauth_par_done *done, void *arg) {
    (void)app;
    fake_check_call(call);
    say_client("par", &in->client);
    say_dpop(&in->dpop);
    say_params(&in->params);
    fake_later(run_par, done, arg);
}

static void run_authz(void) {
    ((sp_authz_done *)later.done)(later.arg, &fake.authz);
}
void sp_oauth_authorize(struct sp_app *app, const struct sp_call *call, const struct sp_authz_params *params,
                        sp_slice cookie, sp_authz_done *done, void *arg) {
    (void)app;
    fake_check_call(call);
    fake_say("authorize %.*s", S(cookie));
    say_params(params);
    fake_later(run_authz, done, arg);
}
void sp_oauth_login(struct sp_app *app, const struct sp_call *call, const struct sp_authz_login *in,
                    sp_authz_done *done, void *arg) {
    (void)app;
    fake_check_call(call);
    fake_say("login %.*s|%.*s|%.*s|%.*s|%.*s", S(in->request), S(in->username), S(in->password),
             S(in->device_token), S(in->cookie));
    fake_later(run_authz, done, arg);
}
void sp_oauth_consent(struct sp_app *app, const struct sp_call *call, const struct sp_authz_consent *in,
                      sp_authz_done *done, void *arg) {
    (void)app;
    fake_check_call(call);
    fake_say("consent %s %.*s|%.*s|%.*s", in->allowed ? "allowed" : "denied", S(in->request), S(in->csrf),
             S(in->cookie));
    fake_later(run_authz, done, arg);
}
void sp_oauth_logout(struct sp_app *app, const struct sp_call *call, const struct sp_authz_logout *in,
                     sp_authz_done *done, void *arg) {
    (void)app;
    fake_check_call(call);
    fake_say("logout %s %.*s|%.*s|%.*s", in->confirmed ? "confirmed" : "asked", S(in->cookie), S(in->csrf),
             S(in->request));
    say_if("id_token_hint", in->id_token_hint);
    say_if("client_id", in->client_id);
    say_if("post_logout_redirect_uri", in->post_logout_redirect_uri);
    say_if("state", in->state);
    fake_later(run_authz, done, arg);
}

static void run_consents(void) {
    static struct sp_consent_row row = {.granted_ms = 1700000000000};
    assert_true(sp_ok(SP_TEXT_SET(&row.client_id, SP_SLICE_LIT("shop"))));
    assert_true(sp_ok(SP_TEXT_SET(&row.scopes, SP_SLICE_LIT("openid documents:read"))));
    const struct sp_consents_result r = {.outcome = fake.outcome, .rows = &row, .n = 1};
    ((sp_consents_done *)later.done)(later.arg, &r);
}
void sp_app_consents_own(struct sp_app *app, const struct sp_call *call, sp_consents_done *done, void *arg) {
    (void)app;
    fake_check_call(call);
    fake_say("consents");
    fake_later(run_consents, done, arg);
}
static void run_consent_end(void) {
    const struct sp_plain_result r = {.outcome = fake.outcome};
    ((sp_plain_done *)later.done)(later.arg, &r);
}
void sp_app_consent_end_own(struct sp_app *app, const struct sp_call *call, sp_slice client_id,
                            sp_plain_done *done, void *arg) {
    (void)app;
    fake_check_call(call);
    fake_say("consent_end %.*s", S(client_id));
    fake_later(run_consent_end, done, arg);
}

void assert_oauth_error(int status, const char *error) {
    assert_status(status);
    assert_string_equal(header("Content-Type", 0), "application/json");
    assert_string_equal(header("Cache-Control", 0), "no-store");
    assert_string_equal(header("Pragma", 0), "no-cache");
    json_error_t err;
    json_t *j = json_loadb(reply.body, reply.body_n, JSON_REJECT_DUPLICATES, &err);
    assert_non_null(j);
    assert_string_equal(json_string_value(json_object_get(j, "error")), error);
    assert_null(json_object_get(j, "code"));
    json_decref(j);
}
