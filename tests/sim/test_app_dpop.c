/* Proofs of possession: at the token endpoint, at /auth/login and /auth/refresh, and for what tokens are
 * shown to. */
#include "token_bench.h"

#include "core/app_internal.h"
#include "token/dpop_nonce.h"

static struct granted redeem_with(struct bench *b, struct sp_client_proof client,
                                  const struct sp_authz_code *code, struct sp_dpop_shown dpop) {
    struct sp_oauth_token_request in = code_request(client, code_text(b, code));
    in.dpop = dpop;
    return token_ask(b, in);
}
static struct granted bound_session(struct bench *b, struct sp_client_proof client,
                                    uint8_t sid[SP_ROW_SID_BYTES]) {
    char id[65] = {0};
    memcpy(id, client.id.p, client.id.n);
    const struct sp_authz_code code = code_new(b, id);
    const struct granted g = redeem_with(b, client, &code, proof_new(b, (struct proof){0}));
    assert_error(g, NONE);
    memcpy(sid, code.sid, SP_ROW_SID_BYTES);
    return g;
}
static struct granted refresh_with(struct bench *b, struct sp_client_proof client, const struct granted *with,
                                   struct sp_dpop_shown dpop) {
    struct sp_oauth_token_request in = refresh_request(client, with);
    in.dpop = dpop;
    return token_ask(b, in);
}
static const struct sp_dpop_shown no_proof = {.method = {(const uint8_t *)"POST", 4}};

/* ---- at the token endpoint ---- */

static void proof_binds_the_access_token_and_a_public_clients_session(void **state) {
    BENCH;
    uint8_t sid[SP_ROW_SID_BYTES];
    const struct granted g = bound_session(b, as_public("app"), sid);
    assert_true(g.is_dpop);
    const struct sp_principal p = token_principal(b, g.access);
    assert_true(sp_slice_eq(SP_TEXT_SLICE(&p.jkt), proof_jkt(false)));
    const struct sp_session_row row = bench_session(b, sid);
    assert_true(sp_slice_eq(SP_TEXT_SLICE(&row.jkt), proof_jkt(false)));
}

static void refresh_of_a_bound_session_needs_its_key(void **state) {
    BENCH;
    uint8_t sid[SP_ROW_SID_BYTES];
    const struct granted g = bound_session(b, as_public("app"), sid);
    assert_error(refresh_with(b, as_public("app"), &g, no_proof), INVALID_GRANT);
    assert_error(refresh_with(b, as_public("app"), &g, proof_new(b, (struct proof){.other_key = true})),
                 INVALID_GRANT);
    assert_int_equal(bench_session(b, sid).generation, 0);
    assert_true(bench_records(b, "client_mismatch") >= 1);
    const struct granted next = refresh_with(b, as_public("app"), &g, proof_new(b, (struct proof){0}));
    assert_error(next, NONE);
    assert_true(next.is_dpop);
    /* A thief without the key cannot trip it either. */
    b->now_ms += SP_GRACE_DEFAULT_MS + 1;
    assert_error(refresh_with(b, as_public("app"), &g, no_proof), INVALID_GRANT);
    assert_int_equal(bench_session(b, sid).state, SP_SESSION_ACTIVE);
    assert_error(refresh_with(b, as_public("app"), &next, proof_new(b, (struct proof){0})), NONE);
}

static void only_its_own_client_is_told_that_a_token_is_bound(void **state) {
    BENCH;
    uint8_t sid[SP_ROW_SID_BYTES];
    const struct granted g = bound_session(b, as_public("app"), sid);
    const struct granted own = refresh_with(b, as_public("app"), &g, no_proof);
    assert_error(own, INVALID_GRANT);
    assert_string_equal(own.description, "this refresh token is bound to a key; send a DPoP proof");
    const struct granted other_key =
        refresh_with(b, as_public("app"), &g, proof_new(b, (struct proof){.other_key = true}));
    assert_error(other_key, INVALID_GRANT);
    assert_null(other_key.description);
    const struct granted stranger = refresh_with(b, as_svc(), &g, no_proof);
    assert_error(stranger, INVALID_GRANT);
    assert_null(stranger.description);
    struct granted forged = g;
    forged.refresh[strlen(forged.refresh) - 2] ^= 1;
    const struct granted none = refresh_with(b, as_public("app"), &forged, no_proof);
    assert_error(none, INVALID_GRANT);
    assert_null(none.description);
}

static void proof_for_an_unbound_session_binds_the_access_token_alone(void **state) {
    BENCH;
    uint8_t sid[SP_ROW_SID_BYTES];
    const struct granted g = token_session_sid(b, as_public("app"), sid);
    const struct granted next = refresh_with(b, as_public("app"), &g, proof_new(b, (struct proof){0}));
    assert_error(next, NONE);
    assert_true(next.is_dpop);
    assert_int_equal(bench_session(b, sid).jkt.n, 0);
    const struct granted plain = token_refresh(b, as_public("app"), &next);
    assert_error(plain, NONE);
    assert_false(plain.is_dpop);
}

static void confidential_client_may_change_its_key(void **state) {
    BENCH;
    uint8_t sid[SP_ROW_SID_BYTES];
    const struct granted g = bound_session(b, as_svc(), sid);
    assert_true(g.is_dpop);
    assert_int_equal(bench_session(b, sid).jkt.n, 0);
    const struct granted next =
        refresh_with(b, as_svc(), &g, proof_new(b, (struct proof){.other_key = true}));
    assert_error(next, NONE);
    const struct sp_principal p = token_principal(b, next.access);
    assert_true(sp_slice_eq(SP_TEXT_SLICE(&p.jkt), proof_jkt(true)));
}

static void clients_own_token_is_bound_too(void **state) {
    BENCH;
    struct sp_oauth_token_request in = client_request("");
    in.dpop = proof_new(b, (struct proof){0});
    const struct granted g = token_ask(b, in);
    assert_error(g, NONE);
    assert_true(g.is_dpop);
    assert_error(token_ask(b, in), INVALID_DPOP_PROOF); /* the same proof again */
}

static void proof_passes_once(void **state) {
    BENCH;
    const struct sp_authz_code one = code_new(b, "app"), two = code_new(b, "app");
    const struct sp_dpop_shown proof = proof_new(b, (struct proof){0});
    assert_error(redeem_with(b, as_public("app"), &one, proof), NONE);
    assert_error(redeem_with(b, as_public("app"), &two, proof), INVALID_DPOP_PROOF);
    /* ... and the code is still good. */
    assert_error(redeem_with(b, as_public("app"), &two, proof_new(b, (struct proof){0})), NONE);
}

static void proof_must_be_for_this_endpoint_and_this_moment(void **state) {
    BENCH;
    static const struct proof bad[] = {
        {.path = "/oauth2/revoke"}, {.method = "GET"}, {.age_s = 61}, {.age_s = -6}};
    const struct sp_authz_code code = code_new(b, "app");
    b->now_ms += 50 * 1000;
    for (size_t i = 0; i < SP_ARRAY_LEN(bad); i++) {
        struct sp_dpop_shown shown = proof_new(b, bad[i]);
        shown.method = SP_SLICE_LIT("POST");
        shown.path = SP_SLICE_LIT("/oauth2/token");
        assert_error(redeem_with(b, as_public("app"), &code, shown), INVALID_DPOP_PROOF);
    }
    struct sp_dpop_shown junk = no_proof;
    junk.path = SP_SLICE_LIT("/oauth2/token");
    junk.proof = SP_SLICE_LIT("junk");
    assert_error(redeem_with(b, as_public("app"), &code, junk), INVALID_DPOP_PROOF);
    junk.proof = SP_SLICE_LIT(""); /* sent, and empty: not the same as none */
    assert_error(redeem_with(b, as_public("app"), &code, junk), INVALID_DPOP_PROOF);
    assert_error(redeem_with(b, as_public("app"), &code, proof_new(b, (struct proof){.age_s = 30})), NONE);
}

static void code_of_a_key_needs_that_key(void **state) {
    BENCH;
    struct sp_authz_code code = code_new(b, "app");
    assert_true(sp_ok(SP_TEXT_SET(&code.jkt, proof_jkt(false))));
    assert_error(redeem_with(b, as_public("app"), &code, no_proof), INVALID_DPOP_PROOF);
    assert_error(redeem_with(b, as_public("app"), &code, proof_new(b, (struct proof){.other_key = true})),
                 INVALID_DPOP_PROOF);
    assert_error(redeem_with(b, as_public("app"), &code, proof_new(b, (struct proof){0})), NONE);
}

static void client_that_must_show_proofs_gets_nothing_without(void **state) {
    BENCH;
    struct sp_client_row row = token_svc_row(b);
    row.require_dpop = true;
    oauth_client_put(b, &row);
    struct sp_oauth_token_request in = client_request("");
    assert_error(token_ask(b, in), INVALID_DPOP_PROOF);
    in.dpop = proof_new(b, (struct proof){0});
    assert_error(token_ask(b, in), NONE);
}

/* ---- nonces ---- */

static const char *nonce_now(struct bench *b) {
    static char text[SP_DPOP_NONCE_CHARS + 1];
    sp_oauth_dpop_nonce(b->app, text);
    return text;
}

static void nonce_is_demanded_where_configured_and_always_checked(void **state) {
    BENCH;
    const struct sp_authz_code one = code_new(b, "app");
    struct granted g =
        redeem_with(b, as_public("app"), &one, proof_new(b, (struct proof){.nonce = "invented"}));
    assert_error(g, USE_DPOP_NONCE);
    assert_true(g.wants_nonce);
    assert_error(redeem_with(b, as_public("app"), &one, proof_new(b, (struct proof){.nonce = nonce_now(b)})),
                 NONE);
    bench_stop(b);
    b->config.dpop_nonce = true;
    bench_start(b);
    b->now_ms += 10 * 1000;
    const struct sp_authz_code two = code_new(b, "app");
    g = redeem_with(b, as_public("app"), &two, proof_new(b, (struct proof){0}));
    assert_error(g, USE_DPOP_NONCE);
    assert_true(g.wants_nonce);
    assert_error(redeem_with(b, as_public("app"), &two, proof_new(b, (struct proof){.nonce = nonce_now(b)})),
                 NONE);
}

static void nonce_is_good_for_its_slot_and_the_next(void **state) {
    BENCH;
    char nonce[SP_DPOP_NONCE_CHARS + 1];
    snprintf(nonce, sizeof(nonce), "%s", nonce_now(b));
    b->now_ms += 2 * SP_DPOP_NONCE_SLOT_MS;
    struct sp_oauth_token_request in = client_request("");
    in.dpop = proof_new(b, (struct proof){.nonce = nonce});
    assert_error(token_ask(b, in), USE_DPOP_NONCE);
    b->now_ms -= SP_DPOP_NONCE_SLOT_MS;
    in.dpop = proof_new(b, (struct proof){.nonce = nonce});
    assert_error(token_ask(b, in), NONE);
}

static void after_a_restart_an_older_proof_needs_a_nonce(void **state) {
    BENCH;
    struct sp_oauth_token_request in = client_request("");
    in.dpop = proof_new(b, (struct proof){0});
    assert_error(token_ask(b, in), NONE);
    b->now_ms += 1000;
    bench_stop(b);
    bench_start(b); /* what was seen is forgotten */
    assert_error(token_ask(b, in), USE_DPOP_NONCE);
    in.dpop = proof_new(b, (struct proof){.nonce = nonce_now(b)});
    assert_error(token_ask(b, in), NONE);
    b->now_ms += 10 * 1000;
    in.dpop = proof_new(b, (struct proof){0});
    assert_error(token_ask(b, in), NONE);
}

/* ---- a clock that is set back ---- */

static void set_clock(struct bench *b, int64_t by_ms) {
    b->now_ms += by_ms;
    b->wall_ahead_ms += by_ms;
}

static void proof_that_was_used_does_not_come_back_with_the_clock(void **state) {
    BENCH;
    struct sp_oauth_token_request in = client_request("");
    const struct sp_dpop_shown used = proof_new(b, (struct proof){0});
    in.dpop = used;
    assert_error(token_ask(b, in), NONE);
    b->now_ms += 62 * 1000;
    bench_sweep_replays(b, b->app->proofs);
    assert_error(token_ask(b, in), INVALID_DPOP_PROOF); /* too old */
    set_clock(b, -40 * 1000);
    assert_error(token_ask(b, in), USE_DPOP_NONCE); /* in time once more */
    in.dpop = proof_new(b, (struct proof){0});
    assert_error(token_ask(b, in), NONE); /* of a moment that had not been yet */
    set_clock(b, -3600 * 1000);
    in.dpop = proof_new(b, (struct proof){0});
    assert_error(token_ask(b, in), USE_DPOP_NONCE);
    in.dpop = proof_new(b, (struct proof){.nonce = nonce_now(b)});
    assert_error(token_ask(b, in), NONE);
    assert_error(token_ask(b, in), INVALID_DPOP_PROOF);
}

static void nonce_goes_when_the_clock_is_set_back(void **state) {
    BENCH;
    struct sp_oauth_token_request in = client_request("");
    in.dpop = proof_new(b, (struct proof){.nonce = nonce_now(b)});
    assert_error(token_ask(b, in), NONE);
    b->now_ms += 62 * 1000;
    bench_sweep_replays(b, b->app->proofs);
    set_clock(b, -40 * 1000);
    assert_error(token_ask(b, in), USE_DPOP_NONCE); /* its nonce was good for two minutes at least */
    in.dpop = proof_new(b, (struct proof){.nonce = nonce_now(b)});
    assert_error(token_ask(b, in), NONE);
    set_clock(b, 3600 * 1000); /* nobody is in time that was not before */
    in.dpop = proof_new(b, (struct proof){.nonce = nonce_now(b)});
    assert_error(token_ask(b, in), NONE);
}

/* ---- sessions of our own ---- */

static struct tokens login_with(struct bench *b, enum sp_session_mode mode, const struct sp_dpop_shown *dpop,
                                const char *password) {
    struct tokens t = {0};
    const struct sp_call call = bench_call(b);
    const struct sp_login_request in = {
        .username = SP_SLICE_LIT("ada"), .password = sp_slice_cstr(password), .mode = mode, .dpop = dpop};
    sp_app_login(b->app, &call, &in, bench_tokens_done, &t);
    bench_run(b);
    assert_int_equal(t.answers, 1);
    return t;
}
static struct tokens auth_refresh_with(struct bench *b, const struct tokens *with,
                                       const struct sp_dpop_shown *dpop) {
    struct tokens t = {0};
    const struct sp_call call = bench_call(b);
    const struct sp_refresh_request in = {
        .refresh_token = sp_slice_of(with->refresh, with->refresh_n), .mode = SP_MODE_TOKEN, .dpop = dpop};
    sp_app_refresh(b->app, &call, &in, bench_tokens_done, &t);
    bench_run(b);
    assert_int_equal(t.answers, 1);
    return t;
}

static void login_with_a_proof_binds_the_session(void **state) {
    BENCH;
    struct sp_dpop_shown proof = proof_new(b, (struct proof){.path = "/auth/login"});
    const struct tokens t = login_with(b, SP_MODE_TOKEN, &proof, "correct horse");
    assert_int_equal(t.outcome, SP_OUTCOME_OK);
    const struct sp_session_row row = bench_session(b, t.sid);
    assert_true(sp_slice_eq(SP_TEXT_SLICE(&row.jkt), proof_jkt(false)));
    assert_int_equal(bench_check(b, &t), SP_REJECT_PROOF_REQUIRED); /* it is no bearer token */
    assert_int_equal(auth_refresh_with(b, &t, NULL).outcome, SP_OUTCOME_INVALID_GRANT);
    struct sp_dpop_shown other = proof_new(b, (struct proof){.path = "/auth/refresh", .other_key = true});
    assert_int_equal(auth_refresh_with(b, &t, &other).outcome, SP_OUTCOME_INVALID_GRANT);
    struct sp_dpop_shown same = proof_new(b, (struct proof){.path = "/auth/refresh"});
    assert_int_equal(auth_refresh_with(b, &t, &same).outcome, SP_OUTCOME_OK);
    assert_int_equal(auth_refresh_with(b, &t, &same).outcome, SP_OUTCOME_INVALID_PROOF); /* used */
}

static void login_with_a_bad_proof_is_none_and_says_nothing_of_the_password(void **state) {
    BENCH;
    struct sp_dpop_shown bad = proof_new(b, (struct proof){.path = "/auth/refresh"});
    bad.path = SP_SLICE_LIT("/auth/login");
    assert_int_equal(login_with(b, SP_MODE_TOKEN, &bad, "correct horse").outcome, SP_OUTCOME_INVALID_PROOF);
    assert_int_equal(login_with(b, SP_MODE_TOKEN, &bad, "wrong horse").outcome, SP_OUTCOME_INVALID_PROOF);
    struct sp_dpop_shown once = proof_new(b, (struct proof){.path = "/auth/login"});
    assert_int_equal(login_with(b, SP_MODE_TOKEN, &once, "wrong horse").outcome,
                     SP_OUTCOME_INVALID_CREDENTIALS);
    assert_int_equal(login_with(b, SP_MODE_TOKEN, &once, "correct horse").outcome, SP_OUTCOME_INVALID_PROOF);
    assert_int_equal(login_with(b, SP_MODE_TOKEN, &once, "wrong horse").outcome, SP_OUTCOME_INVALID_PROOF);
}

static void account_that_is_made_with_a_proof_begins_bound(void **state) {
    BENCH;
    struct tokens t = {0};
    const struct sp_call call = bench_call(b);
    struct sp_dpop_shown proof = proof_new(b, (struct proof){.path = "/auth/register"});
    struct sp_register_request in = {.username = SP_SLICE_LIT("eve"),
                                     .password = SP_SLICE_LIT("correct horse battery"),
                                     .mode = SP_MODE_TOKEN,
                                     .dpop = &proof};
    sp_app_register(b->app, &call, &in, bench_tokens_done, &t);
    bench_run(b);
    assert_int_equal(t.outcome, SP_OUTCOME_OK);
    const struct sp_session_row row = bench_session(b, t.sid);
    assert_true(sp_slice_eq(SP_TEXT_SLICE(&row.jkt), proof_jkt(false)));
    in.username = SP_SLICE_LIT("mallory"); /* the proof again */
    sp_app_register(b->app, &call, &in, bench_tokens_done, &t);
    bench_run(b);
    assert_int_equal(t.outcome, SP_OUTCOME_INVALID_PROOF);
}

static void cookies_have_no_key(void **state) {
    BENCH;
    struct sp_dpop_shown proof = proof_new(b, (struct proof){.path = "/auth/login"});
    assert_int_equal(login_with(b, SP_MODE_COOKIE, &proof, "correct horse").outcome,
                     SP_OUTCOME_INVALID_REQUEST);
}

static void bound_session_can_be_logged_out_without_its_key(void **state) {
    BENCH;
    struct sp_dpop_shown proof = proof_new(b, (struct proof){.path = "/auth/login"});
    const struct tokens t = login_with(b, SP_MODE_TOKEN, &proof, "correct horse");
    assert_int_equal(bench_logout_access(b, &t).outcome, SP_OUTCOME_OK);
    assert_int_equal(bench_session(b, t.sid).cause, SP_END_LOGOUT);
}

/* ---- shown to us ---- */

static enum sp_reject show(struct bench *b, const char *access, bool is_dpop,
                           const struct sp_dpop_shown *dpop, struct sp_oauth_trouble *ret) {
    struct sp_principal p;
    *ret = (struct sp_oauth_trouble){.error = SP_OAUTH_NONE};
    return sp_app_authenticate_dpop(b->app, sp_slice_cstr(access), is_dpop, dpop, &p, ret);
}

static void bound_token_passes_with_its_proof_alone(void **state) {
    BENCH;
    uint8_t sid[SP_ROW_SID_BYTES];
    struct sp_oauth_trouble t;
    const struct granted g = bound_session(b, as_svc(), sid), next = bound_session(b, as_svc(), sid);
    struct proof me = {.method = "GET", .path = "/auth/me", .token = g.access};
    struct sp_dpop_shown proof = proof_new(b, me);
    assert_reject(show(b, g.access, true, &proof, &t), "ok");
    assert_reject(show(b, g.access, true, &proof, &t), "bad_proof"); /* once */
    assert_error(t, INVALID_DPOP_PROOF);
    assert_reject(show(b, g.access, false, NULL, &t), "proof_required");
    assert_error(t, INVALID_TOKEN);
    assert_reject(show(b, g.access, true, NULL, &t), "proof_required");
    proof = proof_new(b, me); /* for another token of the same key */
    assert_reject(show(b, next.access, true, &proof, &t), "bad_proof");
    me.other_key = true;
    proof = proof_new(b, me);
    assert_reject(show(b, g.access, true, &proof, &t), "bad_proof");
    me.other_key = false;
    me.token = NULL; /* without ath */
    proof = proof_new(b, me);
    assert_reject(show(b, g.access, true, &proof, &t), "bad_proof");
}

static void bearer_token_is_not_shown_with_a_proof(void **state) {
    BENCH;
    struct sp_oauth_trouble t;
    const struct granted g = token_session(b, as_svc());
    struct sp_dpop_shown proof =
        proof_new(b, (struct proof){.method = "GET", .path = "/auth/me", .token = g.access});
    assert_reject(show(b, g.access, true, &proof, &t), "bad_proof");
    assert_error(t, INVALID_TOKEN);
    assert_reject(show(b, g.access, false, NULL, &t), "ok");
}

static void resource_asks_for_a_nonce_of_a_proof_from_before_the_start(void **state) {
    BENCH;
    uint8_t sid[SP_ROW_SID_BYTES];
    struct sp_oauth_trouble t;
    const struct granted g = bound_session(b, as_svc(), sid);
    struct proof me = {.method = "GET", .path = "/auth/me", .token = g.access};
    struct sp_dpop_shown proof = proof_new(b, me);
    bench_stop(b);
    bench_start(b);
    assert_reject(show(b, g.access, true, &proof, &t), "bad_proof");
    assert_error(t, USE_DPOP_NONCE);
    assert_true(t.wants_nonce);
    me.nonce = nonce_now(b);
    proof = proof_new(b, me);
    assert_reject(show(b, g.access, true, &proof, &t), "ok");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TOKEN_TESTS(proof_binds_the_access_token_and_a_public_clients_session),
        TOKEN_TESTS(refresh_of_a_bound_session_needs_its_key),
        TOKEN_TESTS(only_its_own_client_is_told_that_a_token_is_bound),
        TOKEN_TESTS(proof_for_an_unbound_session_binds_the_access_token_alone),
        TOKEN_TESTS(confidential_client_may_change_its_key),
        TOKEN_TESTS(clients_own_token_is_bound_too),
        TOKEN_TESTS(proof_passes_once),
        TOKEN_TESTS(proof_must_be_for_this_endpoint_and_this_moment),
        TOKEN_TESTS(code_of_a_key_needs_that_key),
        TOKEN_TESTS(client_that_must_show_proofs_gets_nothing_without),
        TOKEN_TESTS(nonce_is_demanded_where_configured_and_always_checked),
        TOKEN_TESTS(nonce_is_good_for_its_slot_and_the_next),
        TOKEN_TESTS(after_a_restart_an_older_proof_needs_a_nonce),
        TOKEN_TESTS(proof_that_was_used_does_not_come_back_with_the_clock),
        TOKEN_TESTS(nonce_goes_when_the_clock_is_set_back),
        TOKEN_TESTS(login_with_a_proof_binds_the_session),
        TOKEN_TESTS(login_with_a_bad_proof_is_none_and_says_nothing_of_the_password),
        TOKEN_TESTS(account_that_is_made_with_a_proof_begins_bound),
        TOKEN_TESTS(cookies_have_no_key),
        TOKEN_TESTS(bound_session_can_be_logged_out_without_its_key),
        TOKEN_TESTS(bound_token_passes_with_its_proof_alone),
        TOKEN_TESTS(bearer_token_is_not_shown_with_a_proof),
        TOKEN_TESTS(resource_asks_for_a_nonce_of_a_proof_from_before_the_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
