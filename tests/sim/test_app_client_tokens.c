/* Tokens of a client's own, what tokens of clients may and may not, and what becomes of them: revocation,
 * introspection, userinfo. */
#include "token_bench.h"

#include "core/app_internal.h"
#include "core/audit.h"
#include "token/ids.h"

/* ---- client_credentials ---- */

static void client_gets_a_token_of_its_own(void **state) {
    BENCH;
    const struct granted g = token_ask(b, client_request("documents:read openid"));
    assert_error(g, NONE);
    assert_string_equal(g.scope, "documents:read"); /* there is nobody to be known */
    assert_int_equal(g.refresh[0] + g.id_token[0], 0);
    const char *claims = token_payload(g.access);
    assert_non_null(strstr(claims, "\"sub\":\"svc\""));
    assert_non_null(strstr(claims, "\"client_id\":\"svc\""));
    assert_non_null(strstr(claims, "\"aud\":\"https://api.example\""));
    assert_non_null(strstr(claims, "\"scope\":\"documents:read\""));
    assert_non_null(strstr(claims, "\"permissions\":[\"documents:read\"]"));
    assert_null(strstr(claims, "\"sid\""));
    assert_null(strstr(claims, "\"roles\""));
    const struct sp_principal p = token_principal(b, g.access);
    assert_true(p.is_client && p.has_scope);
    assert_true(sp_app_permits(b->app, &p, SP_SLICE_LIT("documents:read")));
    assert_false(sp_app_permits(b->app, &p, SP_SLICE_LIT("documents:write")));
    assert_int_equal(bench_records(b, "client_token_issued"), 1);
    assert_error(token_ask(b, client_request("documents:read")), NONE);
    assert_int_equal(bench_records(b, "client_token_issued"), 1); /* within the minute */
}

static void client_without_a_scope_asked_gets_its_permissions(void **state) {
    BENCH;
    const struct granted g = token_ask(b, client_request(""));
    assert_string_equal(g.scope, "documents:read documents:write documents:burn");
}

static void client_gets_no_scope_and_no_audience_that_is_not_its_own(void **state) {
    BENCH;
    assert_error(token_ask(b, client_request("sallyport:admin")), INVALID_SCOPE);
    assert_error(token_ask(b, client_request("documents:*")), INVALID_SCOPE);
    struct sp_oauth_token_request in = client_request("documents:read");
    const sp_slice many[SP_OAUTH_RESOURCES_MAX + 1] = {SP_SLICE_LIT("https://evil.example")};
    in.resources = many;
    in.n_resources = 1;
    assert_error(token_ask(b, in), INVALID_TARGET);
    in.n_resources = SP_ARRAY_LEN(many);
    assert_error(token_ask(b, in), INVALID_TARGET);
    const sp_slice files = SP_SLICE_LIT("https://files.example");
    in.resources = &files;
    in.n_resources = 1;
    const struct granted g = token_ask(b, in);
    assert_error(g, NONE);
    struct sp_principal p;
    assert_reject(sp_app_authenticate(b->app, sp_slice_cstr(g.access), &p), "bad_audience"); /* not for us */
}

static void clients_epoch_refuses_its_tokens_and_no_others(void **state) {
    BENCH;
    const struct granted own = token_ask(b, client_request(""));
    const struct granted session = token_session(b, as_svc());
    struct sp_client_row row = token_svc_row(b);
    struct sp_change c = {.kind = SP_CHANGE_CLIENT_PUT,
                          .client_put = {.row = &row,
                                         .expect_version = SP_VERSION_ANY,
                                         .raise_epoch = true,
                                         .epoch_expires_s = b->now_ms / 1000 + 900}};
    assert_true(sp_ok(sp_store_commit_wait(b->store, &c, 1, NULL)));
    assert_reject(token_check(b, own.access), "revoked");
    assert_reject(token_check(b, session.access), "ok");
    const struct granted fresh = token_ask(b, client_request(""));
    assert_reject(token_check(b, fresh.access), "ok");
}

static void client_without_a_subject_gets_no_token_that_could_not_be_revoked(void **state) {
    BENCH;
    oauth_client_delete(b, "svc");
    struct sp_client_row row = token_svc_row(b);
    memset(row.subject, 0, sizeof(row.subject));
    oauth_client_put(b, &row);
    assert_error(token_ask(b, client_request("")), INVALID_CLIENT);
}

/* ---- what clients' tokens may not ---- */

static struct sp_call call_as(struct bench *b, const char *access) {
    struct sp_call call = bench_call(b);
    b->principal = token_principal(b, access);
    call.principal = &b->principal;
    return call;
}

static void sessions_done(void *arg, const struct sp_sessions_result *r) {
    struct plain *p = arg;
    p->answers++;
    p->outcome = r->outcome;
}

static void assert_kept_out(struct bench *b, const char *access) {
    const struct sp_call call = call_as(b, access);
    struct plain p = {0};
    const struct sp_password_request password = {SP_SLICE_LIT("correct horse"),
                                                 SP_SLICE_LIT("battery staple 1")};
    char sid[SP_SID_CHARS] = {0};
    sp_app_password_change(b->app, &call, &password, bench_plain_done, &p);
    bench_run(b);
    assert_int_equal(p.outcome, SP_OUTCOME_PERMISSION_DENIED);
    sp_app_logout_all(b->app, &call, bench_plain_done, &p);
    bench_run(b);
    assert_int_equal(p.outcome, SP_OUTCOME_PERMISSION_DENIED);
    sp_app_session_end_own(b->app, &call, SP_SLICE_ARRAY(sid), bench_plain_done, &p);
    bench_run(b);
    assert_int_equal(p.outcome, SP_OUTCOME_PERMISSION_DENIED);
    sp_app_sessions_own(b->app, &call, sessions_done, &p);
    bench_run(b);
    assert_int_equal(p.outcome, SP_OUTCOME_PERMISSION_DENIED);
    sp_app_consent_end_own(b->app, &call, SP_SLICE_LIT("app"), bench_plain_done, &p);
    bench_run(b);
    assert_int_equal(p.outcome, SP_OUTCOME_PERMISSION_DENIED);
    assert_int_equal(p.answers, 5);
}

static void token_of_a_client_cannot_look_after_the_account(void **state) {
    BENCH;
    const struct tokens own = bench_login(b);
    const struct granted session = token_session(b, as_public("app"));
    assert_kept_out(b, session.access);
    assert_kept_out(b, token_ask(b, client_request("")).access);
    assert_true(bench_records(b, "permission_denied") >= 2);
    assert_int_equal(bench_check(b, &own), SP_REJECT_NONE);
    const struct tokens again = bench_login(b); /* the password is as it was */
    assert_int_equal(again.outcome, SP_OUTCOME_OK);
}

static void clients_own_token_names_no_session_to_log_out(void **state) {
    BENCH;
    const struct granted own = token_ask(b, client_request(""));
    struct tokens as_if = {0};
    memcpy(as_if.access, own.access, as_if.access_n = strlen(own.access));
    assert_int_equal(bench_logout_access(b, &as_if).outcome, SP_OUTCOME_INVALID_TOKEN);
}

static void scope_limits_what_the_roles_grant(void **state) {
    BENCH;
    struct sp_authz_code code = code_new(b, "app");
    assert_true(sp_ok(SP_TEXT_SET(&code.scope, SP_SLICE_LIT("documents:read"))));
    const struct granted g = token_ask(b, code_request(as_public("app"), code_text(b, &code)));
    const struct sp_principal p = token_principal(b, g.access);
    SP_AUTO(sp_buf) all = SP_BUF_INIT(1024);
    assert_true(sp_app_permits(b->app, &p, SP_SLICE_LIT("documents:read")));
    assert_false(sp_app_permits(b->app, &p, SP_SLICE_LIT("documents:write")));
    assert_true(sp_ok(sp_app_permissions(b->app, &p, &all)));
    assert_true(sp_slice_eq_cstr(sp_buf_slice(&all), "documents:read"));
    const struct tokens own = bench_login(b);
    const struct sp_call call = bench_call_as(b, &own);
    assert_true(sp_app_permits(b->app, call.principal, SP_SLICE_LIT("documents:write")));
}

/* ---- revocation ---- */

struct answer {
    uint32_t answers;
    enum sp_oauth_error error;
};
static void answer_done(void *arg, const struct sp_oauth_plain_result *r) {
    struct answer *a = arg;
    a->answers++;
    a->error = r->trouble.error;
}

static struct answer revoke(struct bench *b, struct sp_client_proof client, const char *token) {
    struct answer a = {0};
    const struct sp_call call = bench_call(b);
    const struct sp_oauth_about_request in = {.client = client, .token = sp_slice_cstr(token)};
    sp_oauth_revoke(b->app, &call, &in, answer_done, &a);
    assert_int_equal(a.answers, 0);
    bench_run(b);
    assert_int_equal(a.answers, 1);
    return a;
}

static void revoked_refresh_token_ends_the_session_and_its_access_tokens(void **state) {
    BENCH;
    uint8_t sid[SP_ROW_SID_BYTES];
    const struct granted first = token_session_sid(b, as_public("app"), sid);
    const struct granted next = token_refresh(b, as_public("app"), &first);
    b->now_ms += 60 * 1000;
    assert_error(revoke(b, as_public("app"), first.refresh), NONE); /* an old one will do */
    assert_int_equal(bench_session(b, sid).cause, SP_END_CLIENT_REVOKED);
    assert_int_equal(bench_session(b, sid).state, SP_SESSION_ENDED); /* it is no theft */
    assert_reject(token_check(b, next.access), "revoked");
    assert_error(token_refresh(b, as_public("app"), &next), INVALID_GRANT);
    assert_int_equal(bench_records(b, "session_ended"), 1);
    assert_error(revoke(b, as_public("app"), next.refresh), NONE);
    assert_int_equal(bench_records(b, "session_ended"), 1);
}

static void revoked_access_token_is_refused_and_its_session_lives(void **state) {
    BENCH;
    const struct granted g = token_session(b, as_public("app"));
    assert_error(revoke(b, as_public("app"), g.access), NONE);
    assert_reject(token_check(b, g.access), "revoked");
    assert_int_equal(bench_records(b, "token_revoked"), 1);
    assert_error(revoke(b, as_public("app"), g.access), NONE);
    assert_int_equal(bench_records(b, "token_revoked"), 1);
    const struct granted next = token_refresh(b, as_public("app"), &g);
    assert_reject(token_check(b, next.access), "ok");
    const struct granted own = token_ask(b, client_request(""));
    assert_error(revoke(b, as_svc(), own.access), NONE);
    assert_reject(token_check(b, own.access), "revoked");
}

static void token_of_another_client_cannot_be_revoked_and_the_answer_is_the_same(void **state) {
    BENCH;
    uint8_t sid[SP_ROW_SID_BYTES];
    const struct granted g = token_session_sid(b, as_public("app"), sid);
    assert_error(revoke(b, as_public("other"), g.refresh), NONE);
    assert_error(revoke(b, as_svc(), g.access), NONE);
    assert_int_equal(bench_session(b, sid).state, SP_SESSION_ACTIVE);
    assert_reject(token_check(b, g.access), "ok");
    assert_int_equal(bench_records(b, "client_mismatch"), 2);
    const struct tokens own = bench_login(b);
    char refresh[129] = {0};
    memcpy(refresh, own.refresh, own.refresh_n);
    assert_error(revoke(b, as_public("app"), refresh), NONE);
    assert_int_equal(bench_session(b, own.sid).state, SP_SESSION_ACTIVE);
}

static void revoking_junk_says_nothing_and_strangers_are_not_heard(void **state) {
    BENCH;
    assert_error(revoke(b, as_public("app"), "junk"), NONE);
    assert_error(revoke(b, as_public("app"), ""), INVALID_REQUEST);
    assert_error(revoke(b, with_secret("svc", "spcs_wrong"), "junk"), INVALID_CLIENT);
    assert_error(revoke(b, as_public("svc"), "junk"), INVALID_CLIENT); /* by its id alone */
    const struct granted g = token_session(b, as_public("app"));
    b->now_ms += 3600 * 1000;
    assert_error(revoke(b, as_public("app"), g.access), NONE); /* expired: nothing to do */
    assert_int_equal(bench_records(b, "token_revoked"), 0);
}

/* ---- introspection ---- */

struct told {
    uint32_t answers;
    enum sp_oauth_error error;
    bool active, is_refresh;
    char sub[65], client_id[65], username[257], scope[513], aud[257], sid[64], jti[64], acr[65];
    int64_t exp_s;
};
static void copy(char *to, size_t cap, sp_slice from) {
    assert_true(from.n < cap);
    if (from.n != 0) memcpy(to, from.p, from.n);
    to[from.n] = 0;
}
#define COPY(to, from) copy((to), sizeof(to), (from))
static void told_done(void *arg, const struct sp_oauth_introspection *r) {
    struct told *t = arg;
    t->answers++;
    t->error = r->trouble.error;
    t->active = r->active;
    t->is_refresh = r->is_refresh_token;
    t->exp_s = r->exp_s;
    COPY(t->sub, r->sub);
    COPY(t->client_id, r->client_id);
    COPY(t->username, r->username);
    COPY(t->scope, r->scope);
    COPY(t->aud, r->aud);
    COPY(t->sid, r->sid);
    COPY(t->jti, r->jti);
    COPY(t->acr, r->acr);
    if (!t->active) assert_int_equal(r->sub.n + r->client_id.n + r->username.n + r->scope.n + r->aud.n, 0);
}

static struct told introspect(struct bench *b, struct sp_client_proof client, const char *token) {
    struct told t = {0};
    const struct sp_call call = bench_call(b);
    const struct sp_oauth_about_request in = {.client = client, .token = sp_slice_cstr(token)};
    sp_oauth_introspect(b->app, &call, &in, told_done, &t);
    assert_int_equal(t.answers, 0);
    bench_run(b);
    assert_int_equal(t.answers, 1);
    return t;
}

static void access_token_is_told_to_its_client_and_its_resource(void **state) {
    BENCH;
    const struct granted g = token_session(b, as_svc());
    const struct told t = introspect(b, as_svc(), g.access);
    assert_error(t, NONE);
    assert_true(t.active && !t.is_refresh);
    assert_string_equal(t.username, "ada");
    assert_string_equal(t.client_id, "svc");
    assert_string_equal(t.scope, "openid profile documents:read documents:write");
    assert_string_equal(t.aud, "https://api.example");
    assert_string_equal(t.acr, SP_ACR_PASSWORD);
    assert_int_equal(strlen(t.sub), SP_ID_CHARS);
    assert_int_equal(strlen(t.sid), SP_SID_CHARS);
    assert_int_equal(strlen(t.jti), SP_ID_CHARS);
    assert_int_equal(t.exp_s, b->now_ms / 1000 + 900);
    /* "app" has no audience of its own: its tokens are for api.example, which is svc's. */
    assert_true(introspect(b, as_svc(), token_session(b, as_public("app")).access).active);
}

static void tokens_of_strangers_are_inactive(void **state) {
    BENCH;
    struct sp_client_row row = token_svc_row(b);
    assert_true(sp_ok(SP_TEXT_SET(&row.audiences, SP_SLICE_LIT("https://files.example"))));
    oauth_client_put(b, &row);
    const struct granted g = token_session(b, as_public("app"));
    assert_false(introspect(b, as_svc(), g.access).active);
    assert_false(introspect(b, as_svc(), g.refresh).active);
    assert_false(introspect(b, as_svc(), "junk").active);
    assert_error(introspect(b, as_svc(), "junk"), NONE);
    assert_error(introspect(b, as_svc(), ""), INVALID_REQUEST);
    assert_error(introspect(b, as_public("app"), g.access), UNAUTHORIZED_CLIENT);
    assert_error(introspect(b, with_secret("svc", "spcs_wrong"), g.access), INVALID_CLIENT);
}

static void access_token_of_every_end_is_inactive(void **state) {
    BENCH;
    const struct granted jti = token_session(b, as_svc()), session = token_session(b, as_svc()),
                         expired = token_session(b, as_svc()), user = token_session(b, as_svc());
    assert_error(revoke(b, as_svc(), jti.access), NONE);
    assert_false(introspect(b, as_svc(), jti.access).active);
    assert_error(revoke(b, as_svc(), session.refresh), NONE);
    assert_false(introspect(b, as_svc(), session.access).active);
    assert_true(introspect(b, as_svc(), expired.access).active);
    oauth_user_disable(b, "ada");
    assert_false(introspect(b, as_svc(), user.access).active);
    b->now_ms += 901 * 1000;
    assert_false(introspect(b, as_svc(), expired.access).active);
}

static void clients_own_token_is_told_without_a_person(void **state) {
    BENCH;
    const struct told t = introspect(b, as_svc(), token_ask(b, client_request("")).access);
    assert_true(t.active);
    assert_string_equal(t.sub, "svc");
    assert_string_equal(t.username, "");
    assert_string_equal(t.sid, "");
}

static void refresh_token_is_active_while_it_would_refresh(void **state) {
    BENCH;
    uint8_t sid[SP_ROW_SID_BYTES];
    const struct granted first = token_session_sid(b, as_svc(), sid);
    const struct told t = introspect(b, as_svc(), first.refresh);
    assert_true(t.active && t.is_refresh);
    assert_string_equal(t.username, "ada");
    assert_string_equal(t.jti, "");
    assert_int_equal(t.exp_s, b->now_ms / 1000 + 7 * 86400);
    const struct granted next = token_refresh(b, as_svc(), &first);
    assert_true(introspect(b, as_svc(), next.refresh).active);
    assert_true(introspect(b, as_svc(), first.refresh).active); /* a retry would still be answered */
    b->now_ms += SP_GRACE_DEFAULT_MS + 1;
    assert_false(introspect(b, as_svc(), first.refresh).active);
    assert_true(introspect(b, as_svc(), next.refresh).active);
    const struct sp_session_row row = bench_session(b, sid);
    assert_int_equal(row.state, SP_SESSION_ACTIVE); /* asking trips nothing, */
    assert_int_equal(row.generation, 1);            /* and moves nothing */
    oauth_user_disable(b, "ada");
    assert_false(introspect(b, as_svc(), next.refresh).active);
}

static void refresh_token_of_a_session_that_is_over_is_inactive(void **state) {
    BENCH;
    const struct granted ended = token_session(b, as_svc()), idle = token_session(b, as_svc());
    assert_error(revoke(b, as_svc(), ended.refresh), NONE);
    assert_false(introspect(b, as_svc(), ended.refresh).active);
    b->now_ms += 8 * 86400 * (int64_t)1000;
    assert_false(introspect(b, as_svc(), idle.refresh).active);
}

/* ---- userinfo ---- */

struct info {
    uint32_t answers;
    enum sp_oauth_error error;
    char sub[65], name[257], username[257];
};
static void info_done(void *arg, const struct sp_oauth_userinfo *r) {
    struct info *i = arg;
    i->answers++;
    i->error = r->trouble.error;
    COPY(i->sub, r->sub);
    COPY(i->name, r->name);
    COPY(i->username, r->preferred_username);
}

static struct info userinfo(struct bench *b, const char *access) {
    struct info i = {0};
    const struct sp_call call = bench_call(b);
    sp_oauth_userinfo(b->app, &call, sp_slice_cstr(access), false, NULL, info_done, &i);
    assert_int_equal(i.answers, 0);
    bench_run(b);
    assert_int_equal(i.answers, 1);
    return i;
}

static struct granted session_with(struct bench *b, const char *scope) {
    struct sp_authz_code code = code_new(b, "app");
    assert_true(sp_ok(SP_TEXT_SET(&code.scope, sp_slice_cstr(scope))));
    const struct granted g = token_ask(b, code_request(as_public("app"), code_text(b, &code)));
    assert_error(g, NONE);
    return g;
}

static void userinfo_tells_what_the_scope_allows(void **state) {
    BENCH;
    const struct info all = userinfo(b, session_with(b, "openid profile").access);
    assert_error(all, NONE);
    assert_int_equal(strlen(all.sub), SP_ID_CHARS);
    assert_string_equal(all.username, "ada");
    const struct info less = userinfo(b, session_with(b, "openid").access);
    assert_string_equal(less.sub, all.sub);
    assert_string_equal(less.username, "");
    assert_error(userinfo(b, session_with(b, "profile").access), INSUFFICIENT_SCOPE);
}

static void userinfo_is_for_tokens_of_people_with_openid(void **state) {
    BENCH;
    const struct tokens own = bench_login(b);
    char access[SP_ACCESS_TOKEN_BYTES_MAX + 1] = {0};
    memcpy(access, own.access, own.access_n);
    assert_error(userinfo(b, access), INSUFFICIENT_SCOPE);
    assert_error(userinfo(b, token_ask(b, client_request("")).access), INSUFFICIENT_SCOPE);
    assert_error(userinfo(b, "junk"), INVALID_TOKEN);
    const struct granted g = session_with(b, "openid");
    assert_error(userinfo(b, g.id_token), INVALID_TOKEN);
    oauth_user_disable(b, "ada");
    assert_error(userinfo(b, g.access), INVALID_TOKEN);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TOKEN_TESTS(client_gets_a_token_of_its_own),
        TOKEN_TESTS(client_without_a_scope_asked_gets_its_permissions),
        TOKEN_TESTS(client_gets_no_scope_and_no_audience_that_is_not_its_own),
        TOKEN_TESTS(clients_epoch_refuses_its_tokens_and_no_others),
        TOKEN_TESTS(client_without_a_subject_gets_no_token_that_could_not_be_revoked),
        TOKEN_TESTS(token_of_a_client_cannot_look_after_the_account),
        TOKEN_TESTS(clients_own_token_names_no_session_to_log_out),
        TOKEN_TESTS(scope_limits_what_the_roles_grant),
        TOKEN_TESTS(revoked_refresh_token_ends_the_session_and_its_access_tokens),
        TOKEN_TESTS(revoked_access_token_is_refused_and_its_session_lives),
        TOKEN_TESTS(token_of_another_client_cannot_be_revoked_and_the_answer_is_the_same),
        TOKEN_TESTS(revoking_junk_says_nothing_and_strangers_are_not_heard),
        TOKEN_TESTS(access_token_is_told_to_its_client_and_its_resource),
        TOKEN_TESTS(tokens_of_strangers_are_inactive),
        TOKEN_TESTS(access_token_of_every_end_is_inactive),
        TOKEN_TESTS(clients_own_token_is_told_without_a_person),
        TOKEN_TESTS(refresh_token_is_active_while_it_would_refresh),
        TOKEN_TESTS(refresh_token_of_a_session_that_is_over_is_inactive),
        TOKEN_TESTS(userinfo_tells_what_the_scope_allows),
        TOKEN_TESTS(userinfo_is_for_tokens_of_people_with_openid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
