/* Clients at the OAuth endpoints, on a whole app: who is let in, by what, and what is on record. */
#include "app_bench.h"

#include "attacks/forge.h"
#include "core/app_internal.h"
#include "core/client_auth.h"

#define TOKEN_PATH SP_SLICE_LIT("/oauth2/token")
#define OWN_SECRET "tn2LQ8uRzX5vKf0WcYb7HjMdE3sGaP9o"
#define OTHER_SECRET "Vx8mB1qTzL6yNw4kRjC3hUeSf9oDpGa2"

/* ---- clients ---- */

struct made {
    uint32_t answers;
    enum sp_outcome outcome;
    char secret[SP_CLIENT_SECRET_CHARS];
    size_t secret_n;
};

static void made_done(void *arg, const struct sp_clients_result *r) {
    struct made *m = arg;
    m->answers++;
    m->outcome = r->outcome;
    m->secret_n = r->secret.n;
    if (r->secret.n != 0) memcpy(m->secret, r->secret.p, r->secret.n);
}

/* With a secret of ours, when it has secrets. */
static void add(struct bench *b, const char *id, const char *method, sp_slice jwks) {
    struct made m = {0};
    const struct sp_call call = bench_call_admin(b);
    struct sp_client_add_request in = {.id = sp_slice_cstr(id),
                                       .options = {.auth_method = sp_slice_cstr(method), .jwks = jwks}};
    if (strncmp(method, "client_secret_", 14) == 0) in.secret = SP_SLICE_LIT(OWN_SECRET);
    sp_app_client_add(b->app, &call, &in, made_done, &m);
    bench_run(b);
    assert_int_equal(m.outcome, SP_OUTCOME_OK);
    assert_int_equal(m.secret_n, 0); /* who brings a secret has it */
}

static void edit(struct bench *b, const char *id, enum sp_client_edit what) {
    struct plain p = {0};
    const struct sp_call call = bench_call_admin(b);
    sp_app_client_edit(b->app, &call, sp_slice_cstr(id), what, bench_plain_done, &p);
    bench_run(b);
    assert_int_equal(p.outcome, SP_OUTCOME_OK);
}

static void rotate(struct bench *b, const char *id, const char *secret, int64_t overlap_s) {
    struct made m = {0};
    const struct sp_call call = bench_call_admin(b);
    const struct sp_client_rotate_request in = {.overlap_s = overlap_s, .secret = sp_slice_cstr(secret)};
    sp_app_client_rotate(b->app, &call, sp_slice_cstr(id), &in, made_done, &m);
    bench_run(b);
    assert_int_equal(m.outcome, SP_OUTCOME_OK);
}

/* ---- showing ---- */

static struct sp_oauth_trouble authenticate(struct bench *b, const struct sp_client_proof *shown,
                                            const char *whose) {
    const struct sp_client *c = NULL;
    const struct sp_call call = bench_call(b);
    const struct sp_oauth_trouble t = sp_client_authenticate(b->app, &call, shown, TOKEN_PATH, &c);
    bench_run(b);
    if (t.error == SP_OAUTH_NONE) {
        assert_non_null(c);
        assert_true(sp_slice_eq_cstr(SP_TEXT_SLICE(&c->row.id), whose));
    } else {
        assert_null(c); /* left alone */
    }
    sp_client_release(c);
    return t;
}

static enum sp_oauth_error secret(struct bench *b, enum sp_client_shown how, const char *id,
                                  const char *text) {
    const struct sp_client_proof shown = {.how = how, .id = sp_slice_cstr(id), .secret = sp_slice_cstr(text)};
    return authenticate(b, &shown, id).error;
}
static enum sp_oauth_error basic(struct bench *b, const char *id, const char *text) {
    return secret(b, SP_CLIENT_SHOWS_BASIC, id, text);
}
static enum sp_oauth_error post(struct bench *b, const char *id, const char *text) {
    return secret(b, SP_CLIENT_SHOWS_POST, id, text);
}
static enum sp_oauth_error nothing(struct bench *b, const char *id) {
    const struct sp_client_proof shown = {.how = SP_CLIENT_SHOWS_NOTHING, .id = sp_slice_cstr(id)};
    return authenticate(b, &shown, id).error;
}
/* `id`: beside the assertion, or "". */
static enum sp_oauth_error assertion(struct bench *b, const char *id, sp_slice text) {
    const struct sp_client_proof shown = {
        .how = SP_CLIENT_SHOWS_ASSERTION, .id = sp_slice_cstr(id), .assertion = text};
    return authenticate(b, &shown, "signer").error;
}

#define assert_in(expr) assert_int_equal((expr), SP_OAUTH_NONE)
#define assert_out(expr) assert_int_equal((expr), SP_OAUTH_INVALID_CLIENT)

/* ---- keys and assertions ---- */

static sp_slice jwks_of(enum sp_alg alg) {
    static uint8_t text[4][1024];
    static int turn;
    SP_AUTO(sp_buf) out = SP_BUF_INIT(sizeof(text[0]));
    const struct sp_jwk_public_row row = {
        .kid = sp_slice_cstr(sp_alg_name(alg)), .alg = alg, .key = forge.keys[alg]};
    assert_status(sp_jwks_write_public(&row, 1, &out), SP_OK);
    memcpy(text[turn = (turn + 1) % 4], out.p, out.n);
    return sp_slice_of(text[turn], out.n);
}

struct claims {
    const char *iss, *sub, *aud, *jti;
    int64_t exp_in_s, iat_in_s;
};

static sp_slice sign(struct bench *b, enum sp_alg alg, struct claims c) {
    char header[96], payload[512];
    const int64_t now_s = b->now_ms / 1000;
    snprintf(header, sizeof(header), "{\"alg\":\"%s\",\"kid\":\"%s\"}", sp_alg_name(alg), sp_alg_name(alg));
    snprintf(payload, sizeof(payload),
             "{\"iss\":\"%s\",\"sub\":\"%s\",\"aud\":\"%s\",\"jti\":\"%s\",\"exp\":%lld,\"iat\":%lld}",
             c.iss != NULL ? c.iss : "signer", c.sub != NULL ? c.sub : "signer",
             c.aud != NULL ? c.aud : "https://auth.example", c.jti != NULL ? c.jti : "1",
             (long long)(now_s + (c.exp_in_s != 0 ? c.exp_in_s : 60)), (long long)(now_s + c.iat_in_s));
    return forge_sign(alg, header, payload);
}
#define SIGN(...) sign(b, SP_ALG_ES256, (struct claims){__VA_ARGS__})

/* "signer" by ES256, "other" by EdDSA; and the server has been up for a while. */
static void add_signers(struct bench *b) {
    add(b, "signer", "private_key_jwt", jwks_of(SP_ALG_ES256));
    add(b, "other", "private_key_jwt", jwks_of(SP_ALG_EDDSA));
    b->now_ms += 60 * 1000;
}

/* ---- secrets ---- */

static void secret_may_come_either_way_unless_one_is_fixed(void **state) {
    BENCH;
    add(b, "web", "client_secret_basic", SP_SLICE_EMPTY);
    add(b, "form", "client_secret_post", SP_SLICE_EMPTY);
    assert_in(basic(b, "web", OWN_SECRET));
    assert_in(post(b, "web", OWN_SECRET));
    assert_in(post(b, "form", OWN_SECRET));
    assert_out(basic(b, "form", OWN_SECRET));
    assert_int_equal(bench_records(b, "client_refused"), 1);
}

static void wrong_secret_lets_nobody_in(void **state) {
    BENCH;
    add(b, "web", "client_secret_basic", SP_SLICE_EMPTY);
    add(b, "web2", "client_secret_basic", SP_SLICE_EMPTY);
    rotate(b, "web2", OTHER_SECRET, 0);
    assert_out(basic(b, "web", OTHER_SECRET)); /* another client's */
    assert_out(basic(b, "web2", OWN_SECRET));  /* of before the rotation */
    assert_in(basic(b, "web2", OTHER_SECRET));
    assert_out(basic(b, "web", ""));
    assert_out(post(b, "web", ""));
    assert_out(basic(b, "web", OWN_SECRET " "));
    assert_out(basic(b, "", OWN_SECRET));
    assert_out(basic(b, "nobody", OWN_SECRET));
    assert_out(basic(b, "WEB", OWN_SECRET));
}

static void old_secret_lapses_with_the_overlap(void **state) {
    BENCH;
    add(b, "web", "client_secret_basic", SP_SLICE_EMPTY);
    rotate(b, "web", OTHER_SECRET, 60);
    assert_in(basic(b, "web", OWN_SECRET));
    assert_in(basic(b, "web", OTHER_SECRET));
    b->now_ms += 60 * 1000 - 1;
    assert_in(post(b, "web", OWN_SECRET));
    b->now_ms += 1;
    assert_out(post(b, "web", OWN_SECRET));
    assert_in(post(b, "web", OTHER_SECRET));
}

static void public_client_is_let_in_by_its_name_and_with_no_secret(void **state) {
    BENCH;
    add(b, "app", "none", SP_SLICE_EMPTY);
    assert_in(nothing(b, "app"));
    assert_out(basic(b, "app", ""));
    assert_out(basic(b, "app", OWN_SECRET));
    assert_out(post(b, "app", OWN_SECRET));
    assert_out(nothing(b, "nobody"));
    assert_int_equal(nothing(b, ""), SP_OAUTH_INVALID_REQUEST);
}

static void client_with_a_better_way_is_not_let_in_by_a_worse_one(void **state) {
    BENCH;
    add(b, "web", "client_secret_basic", SP_SLICE_EMPTY);
    add_signers(b);
    assert_out(nothing(b, "web"));
    assert_out(nothing(b, "signer"));
    assert_out(basic(b, "signer", ""));
    assert_out(post(b, "signer", OWN_SECRET));
    assert_out(assertion(b, "web", SIGN(.iss = "web", .sub = "web")));
    /* a client that changes to keys has no secret left */
    struct made m = {0};
    const struct sp_call call = bench_call_admin(b);
    const struct sp_client_options options = {.auth_method = SP_SLICE_LIT("private_key_jwt"),
                                              .jwks = jwks_of(SP_ALG_ES256)};
    sp_app_client_set(b->app, &call, SP_SLICE_LIT("web"), &options, SP_VERSION_ANY, made_done, &m);
    bench_run(b);
    assert_int_equal(m.outcome, SP_OUTCOME_OK);
    assert_out(basic(b, "web", OWN_SECRET));
}

static void disabled_and_deleted_clients_are_out_at_once(void **state) {
    BENCH;
    add(b, "web", "client_secret_basic", SP_SLICE_EMPTY);
    add(b, "app", "none", SP_SLICE_EMPTY);
    add_signers(b);
    const char *const all[] = {"web", "app", "signer"};
    for (size_t i = 0; i < SP_ARRAY_LEN(all); i++) edit(b, all[i], SP_CLIENT_DISABLE);
    assert_out(basic(b, "web", OWN_SECRET));
    assert_out(nothing(b, "app"));
    const sp_slice signed_once = SIGN(.jti = "held");
    assert_out(assertion(b, "", signed_once));
    for (size_t i = 0; i < SP_ARRAY_LEN(all); i++) edit(b, all[i], SP_CLIENT_ENABLE);
    assert_in(basic(b, "web", OWN_SECRET));
    assert_in(nothing(b, "app"));
    assert_in(assertion(b, "", signed_once)); /* it was not used up by the refusal */
    for (size_t i = 0; i < SP_ARRAY_LEN(all); i++) edit(b, all[i], SP_CLIENT_DELETE);
    assert_out(basic(b, "web", OWN_SECRET));
    assert_out(nothing(b, "app"));
    assert_out(assertion(b, "", SIGN(.jti = "2")));
}

/* Unknown, wrong, by another way, disabled: who asks cannot tell. */
static void every_refusal_is_answered_the_same(void **state) {
    BENCH;
    add(b, "web", "client_secret_basic", SP_SLICE_EMPTY);
    add(b, "off", "client_secret_basic", SP_SLICE_EMPTY);
    add(b, "app", "none", SP_SLICE_EMPTY);
    edit(b, "off", SP_CLIENT_DISABLE);
    const struct sp_client_proof shown[] = {
        {SP_CLIENT_SHOWS_BASIC, SP_SLICE_LIT("nobody"), SP_SLICE_LIT(OWN_SECRET), SP_SLICE_EMPTY},
        {SP_CLIENT_SHOWS_BASIC, SP_SLICE_LIT("web"), SP_SLICE_LIT(OTHER_SECRET), SP_SLICE_EMPTY},
        {SP_CLIENT_SHOWS_BASIC, SP_SLICE_LIT("off"), SP_SLICE_LIT(OWN_SECRET), SP_SLICE_EMPTY},
        {SP_CLIENT_SHOWS_BASIC, SP_SLICE_LIT("app"), SP_SLICE_LIT(OWN_SECRET), SP_SLICE_EMPTY},
        {SP_CLIENT_SHOWS_NOTHING, SP_SLICE_LIT("web"), SP_SLICE_EMPTY, SP_SLICE_EMPTY},
        {SP_CLIENT_SHOWS_ASSERTION, SP_SLICE_LIT("web"), SP_SLICE_EMPTY, SP_SLICE_LIT("x.y.z")},
    };
    const struct sp_oauth_trouble first = authenticate(b, &shown[0], "");
    assert_int_equal(first.error, SP_OAUTH_INVALID_CLIENT);
    for (size_t i = 1; i < SP_ARRAY_LEN(shown); i++) {
        const struct sp_oauth_trouble t = authenticate(b, &shown[i], "");
        assert_int_equal(t.error, first.error);
        assert_string_equal(t.description, first.description);
    }
}

static void refusals_are_on_record_once_a_minute_and_never_a_secret(void **state) {
    BENCH;
    add(b, "web", "client_secret_basic", SP_SLICE_EMPTY);
    for (int i = 0; i < 5; i++) assert_out(basic(b, "web", OTHER_SECRET));
    assert_int_equal(bench_records(b, "client_refused"), 1);
    assert_out(basic(b, OWN_SECRET ":" OWN_SECRET, "x")); /* the credential in the place of the name */
    struct sp_store_read r = {.kind = SP_READ_AUDIT, .tenant = SP_TENANT_DEFAULT, .limit = 1000};
    assert_status(sp_store_read_wait(b->store, &r), SP_OK);
    for (uint32_t i = 0; i < r.ret.n; i++) {
        const struct sp_audit_row *row = &r.ret.audit[i];
        assert_null(memmem(row->body, row->body_n, OWN_SECRET, sizeof(OWN_SECRET) - 1));
        assert_null(memmem(row->body, row->body_n, OTHER_SECRET, sizeof(OTHER_SECRET) - 1));
        assert_null(memmem(row->target.s, row->target.n, OWN_SECRET, sizeof(OWN_SECRET) - 1));
    }
    sp_store_read_done(&r);
}

/* ---- assertions ---- */

static void signed_assertion_lets_its_client_in_once(void **state) {
    BENCH;
    add_signers(b);
    const sp_slice text = SIGN(.jti = "a");
    assert_in(assertion(b, "", text));
    assert_out(assertion(b, "", text));
    assert_out(assertion(b, "", SIGN(.jti = "a", .exp_in_s = 90))); /* the same jti, signed anew */
    assert_in(assertion(b, "signer", SIGN(.jti = "b")));
    assert_in(assertion(b, "", SIGN(.jti = "c", .aud = "https://auth.example/oauth2/token")));
}

static void jti_of_one_client_is_free_for_another(void **state) {
    BENCH;
    add_signers(b);
    assert_in(assertion(b, "", SIGN(.jti = "a")));
    const struct sp_client_proof other = {
        .how = SP_CLIENT_SHOWS_ASSERTION,
        .assertion = sign(b, SP_ALG_EDDSA, (struct claims){.iss = "other", .sub = "other", .jti = "a"})};
    assert_int_equal(authenticate(b, &other, "other").error, SP_OAUTH_NONE);
}

static void assertion_for_somebody_else_is_refused(void **state) {
    BENCH;
    add_signers(b);
    assert_out(assertion(b, "", SIGN(.aud = "https://other.example")));
    assert_out(assertion(b, "", SIGN(.aud = "https://auth.example/oauth2/par"))); /* another endpoint */
    assert_out(assertion(b, "", SIGN(.aud = "https://auth.example/oauth2/token/")));
    assert_out(assertion(b, "", SIGN(.aud = "https://auth.example.evil.example")));
    assert_out(assertion(b, "", SIGN(.aud = "signer")));
}

static void clients_cannot_sign_for_each_other(void **state) {
    BENCH;
    add_signers(b);
    assert_out(assertion(b, "", SIGN(.iss = "other", .sub = "other"))); /* signer's key, other's name */
    assert_out(assertion(b, "", SIGN(.iss = "other")));
    assert_out(assertion(b, "", SIGN(.sub = "other")));
    assert_out(assertion(b, "other", SIGN(.jti = "x"))); /* two names in one request */
    assert_out(assertion(b, "nobody", SIGN(.jti = "x")));
    assert_out(assertion(b, "", SIGN(.iss = "nobody", .sub = "nobody")));
    assert_out(assertion(b, "signer", SP_SLICE_LIT("")));
    assert_out(assertion(b, "", SP_SLICE_LIT("..")));
    assert_in(assertion(b, "", SIGN(.jti = "x"))); /* and nothing of that has used it up */
}

static void assertion_from_before_the_start_is_refused(void **state) {
    BENCH;
    add_signers(b);
    const sp_slice used = SIGN(.jti = "a", .exp_in_s = 280);
    assert_in(assertion(b, "", used));
    bench_stop(b);
    bench_start(b);
    assert_out(assertion(b, "", used)); /* nobody remembers it */
    b->now_ms += 10 * 1000;
    assert_out(assertion(b, "", used));
    assert_in(assertion(b, "", SIGN(.jti = "b")));
}

/* Forgotten as expired, and in time once more when the clock is set back. */
static void assertion_that_was_used_does_not_come_back_with_the_clock(void **state) {
    BENCH;
    add_signers(b);
    const sp_slice used = SIGN(.jti = "a", .exp_in_s = 30);
    assert_in(assertion(b, "", used));
    b->now_ms += 31 * 1000;
    bench_sweep_replays(b, b->app->assertions);
    b->now_ms -= 20 * 1000;
    b->wall_ahead_ms -= 20 * 1000;
    assert_out(assertion(b, "", used));
    assert_in(assertion(b, "", SIGN(.jti = "b", .exp_in_s = 60)));
}

static void assertion_that_has_expired_or_lives_too_long_is_refused(void **state) {
    BENCH;
    add_signers(b);
    const sp_slice text = SIGN(.jti = "a", .exp_in_s = 30);
    b->now_ms += 31 * 1000;
    assert_out(assertion(b, "", text));
    assert_out(assertion(b, "", SIGN(.exp_in_s = 3600)));
    assert_out(assertion(b, "", SIGN(.iat_in_s = 60, .exp_in_s = 90)));
}

/* ---- what a client may ---- */

static struct sp_client client_of(const char *scopes, const char *audiences) {
    struct sp_client c = {.row = {.tenant = 1}};
    assert_status(SP_TEXT_SET(&c.row.scopes, sp_slice_cstr(scopes)), SP_OK);
    assert_status(SP_TEXT_SET(&c.row.audiences, sp_slice_cstr(audiences)), SP_OK);
    return c;
}

static void scope_is_within_the_clients(void **state) {
    (void)state;
    const struct sp_client c = client_of("openid orders:read orders:write", "");
    sp_text512 got = {0};
    assert_status(sp_client_scope(&c, SP_SLICE_EMPTY, &got), SP_OK);
    assert_true(sp_slice_eq_cstr(SP_TEXT_SLICE(&got), "openid orders:read orders:write"));
    assert_status(sp_client_scope(&c, SP_SLICE_LIT("orders:write orders:write openid"), &got), SP_OK);
    assert_true(sp_slice_eq_cstr(SP_TEXT_SLICE(&got), "orders:write openid"));
    const sp_text512 before = got;
    assert_status(sp_client_scope(&c, SP_SLICE_LIT("openid admin"), &got), SP_E_REFUSED);
    assert_status(sp_client_scope(&c, SP_SLICE_LIT("orders:*"), &got), SP_E_REFUSED);
    assert_status(sp_client_scope(&c, SP_SLICE_LIT("openid  admin"), &got), SP_E_MALFORMED);
    assert_status(sp_client_scope(&c, SP_SLICE_LIT(" openid"), &got), SP_E_MALFORMED);
    assert_status(sp_client_scope(&c, SP_SLICE_LIT("open\"id"), &got), SP_E_MALFORMED);
    assert_memory_equal(&got, &before, sizeof(got));
    const struct sp_client none = client_of("", "");
    assert_status(sp_client_scope(&none, SP_SLICE_EMPTY, &got), SP_OK);
    assert_int_equal(got.n, 0);
    assert_status(sp_client_scope(&none, SP_SLICE_LIT("openid"), &got), SP_E_REFUSED);
}

static void audience_is_one_of_the_clients_or_the_servers(void **state) {
    BENCH;
    const struct sp_client c = client_of("", "urn:a https://b.example"), plain = client_of("", "");
    const sp_slice a_and_b[] = {SP_SLICE_LIT("https://b.example"), SP_SLICE_LIT("urn:a"),
                                SP_SLICE_LIT("urn:a")};
    const sp_slice own[] = {SP_SLICE_LIT("https://api.example")},
                   odd[] = {SP_SLICE_LIT("urn:a https://b.example")};
    const sp_slice empty[] = {SP_SLICE_EMPTY};
    sp_text256 got = {0};
    assert_status(sp_client_audience(b->app, &c, NULL, 0, &got), SP_OK);
    assert_true(sp_slice_eq_cstr(SP_TEXT_SLICE(&got), "urn:a"));
    assert_status(sp_client_audience(b->app, &c, a_and_b, 3, &got), SP_OK);
    assert_true(sp_slice_eq_cstr(SP_TEXT_SLICE(&got), "https://b.example urn:a"));
    assert_status(sp_client_audience(b->app, &c, own, 1, &got), SP_E_REFUSED);
    assert_status(sp_client_audience(b->app, &c, odd, 1, &got), SP_E_REFUSED);
    assert_status(sp_client_audience(b->app, &c, empty, 1, &got), SP_E_REFUSED);
    assert_status(sp_client_audience(b->app, &plain, NULL, 0, &got), SP_OK);
    assert_true(sp_slice_eq_cstr(SP_TEXT_SLICE(&got), "https://api.example"));
    assert_status(sp_client_audience(b->app, &plain, own, 1, &got), SP_OK);
    assert_status(sp_client_audience(b->app, &plain, a_and_b, 1, &got), SP_E_REFUSED);
}

static void grants_and_redirect_uris_are_those_of_the_row(void **state) {
    (void)state;
    struct sp_client c = {.row = {.tenant = 1}};
    assert_status(SP_TEXT_SET(&c.row.grants, SP_SLICE_LIT("authorization_code refresh_token")), SP_OK);
    assert_status(SP_TEXT_SET(&c.row.redirect_uris, SP_SLICE_LIT("https://a.example/cb http://127.0.0.1/cb")),
                  SP_OK);
    assert_status(SP_TEXT_SET(&c.row.post_logout_redirect_uris, SP_SLICE_LIT("https://a.example/bye")),
                  SP_OK);
    assert_true(sp_client_may_grant(&c, SP_SLICE_LIT("refresh_token")));
    assert_false(sp_client_may_grant(&c, SP_SLICE_LIT("client_credentials")));
    assert_false(sp_client_may_grant(&c, SP_SLICE_LIT("refresh")));
    assert_false(sp_client_may_grant(&c, SP_SLICE_EMPTY));
    assert_true(sp_client_has_redirect_uri(&c, SP_SLICE_LIT("https://a.example/cb")));
    assert_true(sp_client_has_redirect_uri(&c, SP_SLICE_LIT("http://127.0.0.1:5000/cb")));
    assert_false(sp_client_has_redirect_uri(&c, SP_SLICE_LIT("https://a.example/bye")));
    assert_false(sp_client_has_redirect_uri(&c, SP_SLICE_LIT("https://a.example/cb http://127.0.0.1/cb")));
    assert_false(sp_client_has_redirect_uri(&c, SP_SLICE_EMPTY));
    assert_true(sp_client_has_post_logout_uri(&c, SP_SLICE_LIT("https://a.example/bye")));
    assert_false(sp_client_has_post_logout_uri(&c, SP_SLICE_LIT("https://a.example/cb")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        BENCH_TEST(secret_may_come_either_way_unless_one_is_fixed),
        BENCH_TEST(wrong_secret_lets_nobody_in),
        BENCH_TEST(old_secret_lapses_with_the_overlap),
        BENCH_TEST(public_client_is_let_in_by_its_name_and_with_no_secret),
        BENCH_TEST(client_with_a_better_way_is_not_let_in_by_a_worse_one),
        BENCH_TEST(disabled_and_deleted_clients_are_out_at_once),
        BENCH_TEST(every_refusal_is_answered_the_same),
        BENCH_TEST(refusals_are_on_record_once_a_minute_and_never_a_secret),
        BENCH_TEST(signed_assertion_lets_its_client_in_once),
        BENCH_TEST(jti_of_one_client_is_free_for_another),
        BENCH_TEST(assertion_for_somebody_else_is_refused),
        BENCH_TEST(clients_cannot_sign_for_each_other),
        BENCH_TEST(assertion_from_before_the_start_is_refused),
        BENCH_TEST(assertion_that_was_used_does_not_come_back_with_the_clock),
        BENCH_TEST(assertion_that_has_expired_or_lives_too_long_is_refused),
        cmocka_unit_test(scope_is_within_the_clients),
        BENCH_TEST(audience_is_one_of_the_clients_or_the_servers),
        cmocka_unit_test(grants_and_redirect_uris_are_those_of_the_row),
    };
    return cmocka_run_group_tests_name("app client auth", tests, forge_setup, forge_teardown);
}
