/* Pushed authorization requests (RFC 9126). Each test runs over memory and over SQLite. */
#include "oauth_bench.h"

#define S(text) sp_slice_cstr(text)
#define JKT "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"

struct pushed {
    uint32_t answers;
    enum sp_oauth_error error;
    int64_t expires_in_s;
    char uri[SP_OAUTH_SEALED_BYTES_MAX + 64];
};

static void par_done(void *arg, const struct sp_oauth_par_result *r) {
    struct pushed *p = arg;
    p->answers++;
    p->error = r->trouble.error;
    p->expires_in_s = r->expires_in_s;
    assert_true(r->request_uri.n < sizeof(p->uri));
    if (r->request_uri.n != 0) memcpy(p->uri, r->request_uri.p, r->request_uri.n);
    assert_int_equal(r->request_uri.n != 0, r->trouble.error == SP_OAUTH_NONE);
}

static struct pushed push_as(struct bench *b, const struct sp_client_proof *client,
                             const struct sp_authz_params *params) {
    struct pushed p = {0};
    const struct sp_call call = bench_call(b);
    const struct sp_oauth_par_request in = {.client = *client, .params = *params};
    sp_oauth_par(b->app, &call, &in, par_done, &p);
    assert_int_equal(p.answers, 0);
    bench_run(b);
    assert_int_equal(p.answers, 1);
    return p;
}

static struct pushed push(struct bench *b, const char *client, const struct sp_authz_params *params) {
    return push_as(b, &(struct sp_client_proof){.id = S(client)}, params);
}

static struct page ask(struct bench *b, const char *client, const struct pushed *p, const char *cookie) {
    const struct sp_authz_params params = {.client_id = S(client), .request_uri = S(p->uri)};
    return oauth_ask(b, &params, cookie);
}

static void a_pushed_request_leads_all_the_way(void **state) {
    BENCH;
    const struct sp_authz_params params = oauth_params("app");
    const struct pushed p = push(b, "app", &params);
    assert_int_equal(p.error, SP_OAUTH_NONE);
    assert_int_equal(p.expires_in_s, SP_OAUTH_PAR_TTL_S);
    assert_int_equal(strncmp(p.uri, SP_OAUTH_REQUEST_URI_PREFIX, sizeof(SP_OAUTH_REQUEST_URI_PREFIX) - 1), 0);
    const struct page login = ask(b, "app", &p, NULL);
    assert_next(&login, LOGIN);
    const struct page in = oauth_login(b, login.request, "ada", "correct horse", NULL);
    const struct page consent = oauth_follow(b, &in, in.cookie);
    assert_next(&consent, CONSENT);
    const struct page got = oauth_consent(b, consent.request, consent.csrf, in.cookie, true);
    assert_param(&got, "state", "s-1");
    assert_int_equal(oauth_redeem(b, "app", &got).error, SP_OAUTH_NONE);
}

static void a_request_uri_is_for_its_client_and_its_time(void **state) {
    BENCH;
    const struct sp_authz_params params = oauth_params("app");
    const struct pushed p = push(b, "app", &params);
    assert_int_equal(ask(b, "other", &p, NULL).error, SP_OAUTH_INVALID_REQUEST_URI);
    assert_int_equal(ask(b, "", &p, NULL).error, SP_OAUTH_INVALID_REQUEST); /* client_id is missing */
    b->now_ms += SP_OAUTH_PAR_TTL_S * 1000 - 1000;
    assert_int_equal(ask(b, "app", &p, NULL).next, SP_AUTHZ_LOGIN);
    b->now_ms += 1000;
    const struct page late = ask(b, "app", &p, NULL);
    assert_next(&late, ERROR);
    assert_int_equal(late.error, SP_OAUTH_INVALID_REQUEST_URI);
}

static void faults_are_told_when_it_is_pushed(void **state) {
    BENCH;
    struct sp_authz_params params = oauth_params("app");
    params.code_challenge = SP_SLICE_EMPTY;
    assert_int_equal(push(b, "app", &params).error, SP_OAUTH_INVALID_REQUEST);
    params = oauth_params("app");
    params.redirect_uri = S("https://evil.example/cb");
    assert_int_equal(push(b, "app", &params).error, SP_OAUTH_INVALID_REQUEST);
    params = oauth_params("app");
    params.scope = S("admin");
    assert_int_equal(push(b, "app", &params).error, SP_OAUTH_INVALID_SCOPE);
    params = oauth_params("app");
    params.request_uri = S(SP_OAUTH_REQUEST_URI_PREFIX "x");
    assert_int_equal(push(b, "app", &params).error, SP_OAUTH_INVALID_REQUEST);
    params = oauth_params("app");
    params.client_id = S("other");
    assert_int_equal(push(b, "app", &params).error, SP_OAUTH_INVALID_REQUEST);
    params = oauth_params("app");
    params.client_id = SP_SLICE_EMPTY; /* the client has said who it is otherwise */
    assert_int_equal(push(b, "app", &params).error, SP_OAUTH_NONE);
}

static void nobody_pushes_for_a_client_that_he_is_not(void **state) {
    BENCH;
    struct sp_client_row row = oauth_client_row(b, "vault");
    row.is_public = false;
    assert_int_equal(SP_TEXT_SET(&row.auth_method, S("client_secret_basic")).code, SP_OK);
    row.secrets[0].used = true;
    row.secrets[0].created_ms = b->now_ms;
    char secret[SP_CLIENT_SECRET_CHARS];
    assert_int_equal(sp_client_secret_new(&sp_random_system, secret, row.secrets[0].hash).code, SP_OK);
    oauth_client_put(b, &row);
    const struct sp_authz_params params = oauth_params("vault");
    assert_int_equal(push(b, "vault", &params).error, SP_OAUTH_INVALID_CLIENT);
    assert_int_equal(push(b, "nobody", &params).error, SP_OAUTH_INVALID_CLIENT);
    struct sp_client_proof proof = {
        .how = SP_CLIENT_SHOWS_BASIC, .id = S("vault"), .secret = S("spcs_wrong")};
    assert_int_equal(push_as(b, &proof, &params).error, SP_OAUTH_INVALID_CLIENT);
    proof.secret = SP_SLICE_ARRAY(secret);
    assert_int_equal(push_as(b, &proof, &params).error, SP_OAUTH_NONE);
    assert_int_equal(push_as(b, &(struct sp_client_proof){0}, &params).error, SP_OAUTH_INVALID_REQUEST);
}

static void a_client_that_must_push_is_served_only_then(void **state) {
    BENCH;
    struct sp_client_row row = oauth_client_row(b, "app");
    row.require_par = true;
    oauth_client_put(b, &row);
    const struct sp_authz_params params = oauth_params("app");
    const struct page direct = oauth_ask(b, &params, NULL);
    assert_told(&direct, SP_OAUTH_INVALID_REQUEST);
    const struct pushed p = push(b, "app", &params);
    const struct page login = ask(b, "app", &p, NULL);
    assert_next(&login, LOGIN);
    const struct page in = oauth_login(b, login.request, "ada", "correct horse", NULL);
    assert_int_equal(oauth_follow(b, &in, in.cookie).next, SP_AUTHZ_CONSENT);
}

/* What the client is bound to must come from where it has authenticated itself, not from a link. */
static void a_request_that_was_begun_before_pushing_became_a_must_is_not_served(void **state) {
    BENCH;
    const struct sp_authz_params params = oauth_params("app");
    const struct page login = oauth_ask(b, &params, NULL);
    struct sp_client_row row = oauth_client_row(b, "app");
    row.require_par = true;
    oauth_client_put(b, &row);
    assert_int_equal(oauth_login(b, login.request, "ada", "correct horse", NULL).next, SP_AUTHZ_ERROR);
}

static void the_named_key_stays_with_the_code(void **state) {
    BENCH;
    struct sp_authz_params params = oauth_params("own");
    params.dpop_jkt = S(JKT);
    const struct pushed p = push(b, "own", &params);
    const struct page in = oauth_sign_in(b, "ada");
    const struct page got = ask(b, "own", &p, in.cookie);
    const struct sp_authz_code code = oauth_open_code(b, &got);
    assert_true(sp_slice_eq_cstr(SP_TEXT_SLICE(&code.jkt), JKT));
}

static void a_request_uri_can_be_opened_again_while_it_lasts(void **state) {
    BENCH;
    const struct sp_authz_params params = oauth_params("own");
    const struct pushed p = push(b, "own", &params);
    const struct page in = oauth_sign_in(b, "ada");
    const struct page one = ask(b, "own", &p, in.cookie), two = ask(b, "own", &p, in.cookie);
    assert_int_equal(oauth_redeem(b, "own", &one).error, SP_OAUTH_NONE);
    assert_int_equal(oauth_redeem(b, "own", &two).error, SP_OAUTH_NONE); /* another code, another session */
}

#define T(f) OAUTH_TESTS(f)

int main(void) {
    const struct CMUnitTest tests[] = {
        T(a_pushed_request_leads_all_the_way),
        T(a_request_uri_is_for_its_client_and_its_time),
        T(faults_are_told_when_it_is_pushed),
        T(nobody_pushes_for_a_client_that_he_is_not),
        T(a_client_that_must_push_is_served_only_then),
        T(a_request_that_was_begun_before_pushing_became_a_must_is_not_served),
        T(the_named_key_stays_with_the_code),
        T(a_request_uri_can_be_opened_again_while_it_lasts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
