/* Who calls and what they may, what the app tells of itself, and the use cases of /auth and of a person's own
 * sessions. Doubles of core/app.h. */
#include "fake_internal.h"

const char *sp_outcome_code(enum sp_outcome o) {
    switch (o) {
#define X(name, status, code, title)                                                                         \
    case SP_OUTCOME_##name:                                                                                  \
        return code;
#include "core/outcomes.def"
#undef X
    case SP_OUTCOME_COUNT: break;
    }
    return "?";
}
const char *sp_outcome_title(enum sp_outcome o) {
    return sp_outcome_code(o);
}
int sp_outcome_http_status(enum sp_outcome o) {
    static const int status[] = {
#define X(name, status, code, title) [SP_OUTCOME_##name] = (status),
#include "core/outcomes.def"
#undef X
    };
    return status[o];
}
const char *sp_end_cause_name(enum sp_end_cause cause) {
    return cause == SP_END_LOGOUT ? "logout" : cause == SP_END_EXPIRED_IDLE ? "expired_idle" : "other";
}

static void fill(struct sp_principal *p, const char *roles) {
    memset(p, 0, sizeof(*p));
    memset(p->user_id, 0x22, sizeof(p->user_id));
    memset(p->sid, 0x11, sizeof(p->sid));
    p->exp_s = 1700000900;
    p->auth_time_s = 1700000000 + fake.login_ahead_s;
    assert_true(sp_ok(SP_TEXT_SET(&p->client_id, SP_SLICE_LIT("web"))));
    assert_true(sp_ok(SP_TEXT_SET(&p->roles, fake.roles.p != NULL ? fake.roles : sp_slice_cstr(roles))));
    assert_true(sp_ok(SP_TEXT_SET(&p->scope, fake.scope)));
    assert_true(sp_ok(SP_TEXT_SET(&p->acr, fake.acr)));
    p->is_client = fake.is_client;
}

enum sp_reject sp_app_authenticate(struct sp_app *app, sp_slice token, struct sp_principal *ret) {
    (void)app;
    if (sp_slice_eq_cstr(token, "stale.token")) return SP_REJECT_STALE;
    if (sp_slice_eq_cstr(token, "broken.token")) return SP_REJECT_INTERNAL;
    if (sp_slice_eq_cstr(token, GOOD)) {
        fill(ret, "staff");
    } else if (sp_slice_eq_cstr(token, ADMIN)) {
        fill(ret, "admin");
    } else {
        return SP_REJECT_BAD_SIGNATURE;
    }
    return SP_REJECT_NONE;
}
bool sp_app_permits(struct sp_app *app, const struct sp_principal *p, sp_slice permission) {
    (void)app;
    if (p->is_local_admin || sp_words_contain(SP_TEXT_SLICE(&p->roles), SP_SLICE_LIT("admin"))) return true;
    return sp_slice_eq_cstr(permission, "documents:read");
}
sp_status sp_app_permissions(struct sp_app *app, const struct sp_principal *p, struct sp_buf *ret) {
    (void)app;
    (void)p;
    return sp_buf_append(ret, fake.permissions);
}
void sp_app_audit_denial(struct sp_app *app, const struct sp_call *call, sp_slice permission,
                         sp_slice target) {
    (void)app;
    fake_check_call(call);
    fake_say("denial %.*s %.*s", S(permission), S(target));
}
void sp_app_csrf_token(struct sp_app *app, const uint8_t *sid, char ret[SP_CSRF_TEXT_BYTES]) {
    (void)app;
    memset(ret, sid[0] == 0x11 ? 'C' : 'X', SP_CSRF_TEXT_BYTES);
}
bool sp_app_csrf_valid(struct sp_app *app, const uint8_t *sid, sp_slice presented) {
    char wanted[SP_CSRF_TEXT_BYTES];
    sp_app_csrf_token(app, sid, wanted);
    return sp_slice_eq(presented, SP_SLICE_ARRAY(wanted));
}
sp_status sp_app_jwks(struct sp_app *app, struct sp_buf *ret) {
    (void)app;
    return sp_ok(fake.ready) ? sp_buf_append_cstr(ret, "{\"keys\":[]}") : fake.ready;
}
sp_status sp_app_ready(struct sp_app *app) {
    (void)app;
    return fake.ready;
}
const struct sp_app_config *sp_app_config(const struct sp_app *app) {
    (void)app;
    static struct sp_app_config config = {.issuer = {.n = 11, .s = "https://iss"}};
    if (fake.issuer.n != 0) assert_true(sp_ok(SP_TEXT_SET(&config.issuer, fake.issuer)));
    if (fake.issuer.n == 0) assert_true(sp_ok(SP_TEXT_SET(&config.issuer, SP_SLICE_LIT("https://iss"))));
    config.alg = fake.alg;
    config.registration_enabled = fake.registration;
    return &config;
}

struct sp_feed *sp_app_feed(struct sp_app *app) {
    (void)app;
    return fake.feed;
}
enum sp_client_check sp_app_client_check(struct sp_app *app, const struct sp_call *call, sp_slice id,
                                         sp_slice secret, struct sp_client_facts *ret_facts) {
    (void)app;
    (void)call;
    fake_say("client_check %.*s|%.*s", S(id), S(secret));
    if (fake.client != SP_CLIENT_REFUSED) *ret_facts = fake.client_facts;
    return fake.client;
}
enum sp_client_check sp_app_client_check_again(struct sp_app *app, struct sp_client_facts *facts) {
    (void)app;
    *facts = fake.client_facts;
    return fake.client;
}

void fake_run_tokens(void) {
    struct sp_tokens_result r = {
        .outcome = fake.outcome, .mode = fake.mode == 0 ? later.mode : fake.mode, .why = fake.why};
    if (r.outcome == SP_OUTCOME_INVALID_PROOF) r.trouble = &fake.trouble;
    if (r.outcome == SP_OUTCOME_OK) {
        r.access_token = fake.access_token.n != 0 ? fake.access_token : SP_SLICE_LIT("new.access");
        r.access_expires_in_s = 900;
        r.refresh_token = SP_SLICE_LIT("sprt_new");
        r.refresh_expires_in_s = 604800;
        r.device_token = fake.device_token;
        memset(r.sid, 0x11, sizeof(r.sid));
    }
    ((sp_tokens_done *)later.done)(later.arg, &r);
}
void fake_run_plain(void) {
    const struct sp_plain_result r = {.outcome = fake.outcome, .count = fake.count, .why = fake.why};
    ((sp_plain_done *)later.done)(later.arg, &r);
}
void fake_run_sessions(void) {
    const struct sp_sessions_result r = {fake.outcome, fake.views, fake.n_views, fake.next};
    ((sp_sessions_done *)later.done)(later.arg, &r);
}

void sp_app_login(struct sp_app *app, const struct sp_call *call, const struct sp_login_request *in,
                  sp_tokens_done *done, void *arg) {
    (void)app;
    fake_check_call(call);
    fake_say("login %.*s|%.*s|%.*s|%s", S(in->username), S(in->password), S(in->device),
             in->mode == SP_MODE_COOKIE ? "cookie" : "token");
    if (in->device_token.n != 0) fake_say("device %.*s", S(in->device_token));
    later.mode = in->mode;
    fake_later(fake_run_tokens, done, arg);
}
void sp_app_register(struct sp_app *app, const struct sp_call *call, const struct sp_register_request *in,
                     sp_tokens_done *done, void *arg) {
    (void)app;
    fake_check_call(call);
    fake_say("register %.*s|%.*s|%.*s|%s", S(in->username), S(in->password), S(in->device),
             in->mode == SP_MODE_COOKIE ? "cookie" : "token");
    later.mode = in->mode;
    fake_later(fake_run_tokens, done, arg);
}
void sp_app_refresh(struct sp_app *app, const struct sp_call *call, const struct sp_refresh_request *in,
                    sp_tokens_done *done, void *arg) {
    (void)app;
    fake_check_call(call);
    fake_say("refresh %.*s|%zu|%s", S(in->refresh_token), in->attempt.n,
             in->mode == SP_MODE_COOKIE ? "cookie" : "token");
    later.mode = in->mode;
    fake_later(fake_run_tokens, done, arg);
}
void sp_app_logout(struct sp_app *app, const struct sp_call *call, const struct sp_logout_request *in,
                   sp_plain_done *done, void *arg) {
    (void)app;
    fake_check_call(call);
    fake_say("logout %.*s|%.*s", S(in->refresh_token), S(in->access_token));
    fake_later(fake_run_plain, done, arg);
}
void fake_need_principal(const struct sp_call *call) {
    fake_check_call(call);
    assert_non_null(call->principal);
}
void sp_app_logout_all(struct sp_app *app, const struct sp_call *call, sp_plain_done *done, void *arg) {
    (void)app;
    fake_need_principal(call);
    fake_say("logout_all");
    fake_later(fake_run_plain, done, arg);
}
void sp_app_password_change(struct sp_app *app, const struct sp_call *call,
                            const struct sp_password_request *in, sp_plain_done *done, void *arg) {
    (void)app;
    fake_need_principal(call);
    fake_say("password %.*s|%.*s", S(in->current), S(in->wanted));
    fake_later(fake_run_plain, done, arg);
}
void sp_app_sessions_own(struct sp_app *app, const struct sp_call *call, sp_sessions_done *done, void *arg) {
    (void)app;
    fake_need_principal(call);
    fake_say("sessions_own");
    fake_later(fake_run_sessions, done, arg);
}
void sp_app_session_end_own(struct sp_app *app, const struct sp_call *call, sp_slice sid, sp_plain_done *done,
                            void *arg) {
    (void)app;
    fake_need_principal(call);
    fake_say("session_end_own %.*s", S(sid));
    fake_later(fake_run_plain, done, arg);
}
