/* A client that shows itself while there is no memory: let in, or told that the server is at fault. Never
 * refused as a stranger for it, never let in for it, and its assertion is not used up by it. */
#include "app_bench.h"

#include "attacks/forge.h"
#include "core/client_auth.h"
#include "failing_malloc.h"

static void made(void *arg, const struct sp_clients_result *r) {
    *(enum sp_outcome *)arg = r->outcome;
}

static sp_slice jwks(struct sp_buf *out) {
    const struct sp_jwk_public_row row = {
        .kid = SP_SLICE_LIT("ES256"), .alg = SP_ALG_ES256, .key = forge.keys[SP_ALG_ES256]};
    assert_status(sp_jwks_write_public(&row, 1, out), SP_OK);
    return sp_buf_slice(out);
}

static void add_signer(struct bench *b) {
    SP_AUTO(sp_buf) keys = SP_BUF_INIT(1024);
    enum sp_outcome outcome = SP_OUTCOME_INTERNAL;
    const struct sp_call call = bench_call_admin(b);
    const struct sp_client_add_request in = {
        .id = SP_SLICE_LIT("signer"),
        .options = {.auth_method = SP_SLICE_LIT("private_key_jwt"), .jwks = jwks(&keys)}};
    sp_app_client_add(b->app, &call, &in, made, &outcome);
    bench_run(b);
    assert_int_equal(outcome, SP_OUTCOME_OK);
    b->now_ms += 60 * 1000; /* the server has been up for a while */
}

static sp_slice sign(struct bench *b, unsigned jti) {
    char payload[256];
    const long long now_s = (long long)(b->now_ms / 1000);
    snprintf(payload, sizeof(payload),
             "{\"iss\":\"signer\",\"sub\":\"signer\",\"aud\":\"https://auth.example\",\"jti\":\"%u\","
             "\"exp\":%lld,\"iat\":%lld}",
             jti, now_s + 60, now_s);
    return forge_sign(SP_ALG_ES256, "{\"alg\":\"ES256\",\"kid\":\"ES256\"}", payload);
}

static enum sp_oauth_error show(struct bench *b, sp_slice assertion) {
    const struct sp_client *c = NULL;
    const struct sp_call call = bench_call(b);
    const struct sp_client_proof shown = {.how = SP_CLIENT_SHOWS_ASSERTION, .assertion = assertion};
    const enum sp_oauth_error e =
        sp_client_authenticate(b->app, &call, &shown, SP_SLICE_LIT("/oauth2/token"), &c).error;
    assert_int_equal(c != NULL, e == SP_OAUTH_NONE);
    sp_client_release(c);
    return e;
}

static void client_is_let_in_or_told_of_our_fault(void **state) {
    BENCH;
    add_signer(b);
    bool met = true;
    for (unsigned nth = 1; met; nth++) {
        const sp_slice assertion = sign(b, nth);
        failing_malloc_arm(nth, 1);
        const enum sp_oauth_error e = show(b, assertion);
        met = failing_malloc_disarm();
        bench_run(b);
        assert_true(e == SP_OAUTH_NONE || e == SP_OAUTH_SERVER_ERROR);
        if (!met) assert_int_equal(e, SP_OAUTH_NONE);
        /* again with memory: what did not let it in has not used it up */
        assert_int_equal(show(b, assertion), e == SP_OAUTH_NONE ? SP_OAUTH_INVALID_CLIENT : SP_OAUTH_NONE);
        bench_run(b);
    }
}

static void keys_that_cannot_be_looked_at_are_not_called_bad(void **state) {
    (void)state;
    SP_AUTO(sp_buf) keys = SP_BUF_INIT(1024);
    static struct sp_client_row row;
    const struct sp_client_options options = {.auth_method = SP_SLICE_LIT("private_key_jwt"),
                                              .jwks = jwks(&keys)};
    bool met = true;
    for (unsigned nth = 1; met; nth++) {
        row = (struct sp_client_row){.tenant = 1};
        failing_malloc_arm(nth, 1);
        const enum sp_client_fault fault = sp_client_options_apply(&options, &row);
        met = failing_malloc_disarm();
        if (fault != SP_CLIENT_FAULT_NONE) assert_int_equal(fault, SP_CLIENT_FAULT_MEMORY);
        if (fault != SP_CLIENT_FAULT_NONE) assert_int_equal(row.jwks.n, 0);
        if (!met) assert_int_equal(fault, SP_CLIENT_FAULT_NONE);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        BENCH_TEST(client_is_let_in_or_told_of_our_fault),
        cmocka_unit_test(keys_that_cannot_be_looked_at_are_not_called_bad),
    };
    return cmocka_run_group_tests_name("app client oom", tests, forge_setup, forge_teardown);
}
