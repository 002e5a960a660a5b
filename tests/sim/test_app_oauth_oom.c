/* Every allocation at the token endpoint and its neighbours fails once, and then every one from there on: it
 * is answered exactly once, with trouble of ours or with what it gives otherwise, never with half of it, and
 * the app works afterwards. Leaks are the sanitizer's to find. */
#include "token_bench.h"

#include "failing_malloc.h"

struct scene {
    struct bench *b;
    struct granted session, got;
    struct sp_authz_code code;
    char code_text[SP_OAUTH_SEALED_BYTES_MAX];
    size_t code_n;
    struct sp_dpop_shown proof;
    /* the answer */
    uint32_t answers;
    enum sp_oauth_error error;
    bool active;
};
struct use_case {
    const char *name;
    void (*prepare)(struct scene *s);
    void (*submit)(struct scene *s);
    enum sp_oauth_error good;
    void (*is_true)(struct scene *s); /* of an answer without trouble */
};

static void mint(struct scene *s, const char *client) {
    s->code = code_new(s->b, client);
    const sp_slice text = code_text(s->b, &s->code);
    memcpy(s->code_text, text.p, s->code_n = text.n);
}

/* ---- tokens ---- */

static void begin(struct scene *s, const struct sp_oauth_token_request *in) {
    token_begin(s->b, in, &s->got);
}
static void prepare_code(struct scene *s) {
    mint(s, "app");
    s->proof = proof_new(s->b, (struct proof){0});
}
static void submit_code(struct scene *s) {
    struct sp_oauth_token_request in = code_request(as_public("app"), sp_slice_of(s->code_text, s->code_n));
    in.dpop = s->proof;
    begin(s, &in);
}
static void prepare_replay(struct scene *s) {
    mint(s, "app");
    assert_error(token_ask(s->b, code_request(as_public("app"), sp_slice_of(s->code_text, s->code_n))), NONE);
}
static void submit_replay(struct scene *s) {
    const struct sp_oauth_token_request in =
        code_request(as_public("app"), sp_slice_of(s->code_text, s->code_n));
    begin(s, &in);
}
static void prepare_session(struct scene *s) {
    s->session = token_session(s->b, as_svc());
}
static void submit_refresh(struct scene *s) {
    const struct sp_oauth_token_request in = refresh_request(as_svc(), &s->session);
    begin(s, &in);
}
static void submit_narrowed(struct scene *s) {
    struct sp_oauth_token_request in = refresh_request(as_svc(), &s->session);
    in.scope = SP_SLICE_LIT("openid");
    begin(s, &in);
}
static void submit_too_much(struct scene *s) {
    struct sp_oauth_token_request in = refresh_request(as_svc(), &s->session);
    in.scope = SP_SLICE_LIT("documents:burn");
    begin(s, &in);
}
static void submit_client(struct scene *s) {
    s->b->now_ms += 61 * 1000; /* so that it is recorded anew */
    const struct sp_oauth_token_request in = client_request("");
    begin(s, &in);
}

/* ---- about tokens ---- */

static void plain_done(void *arg, const struct sp_oauth_plain_result *r) {
    struct scene *s = arg;
    s->answers++;
    s->error = r->trouble.error;
}
static void introspect_done(void *arg, const struct sp_oauth_introspection *r) {
    struct scene *s = arg;
    s->answers++;
    s->error = r->trouble.error;
    s->active = r->active;
    if (!s->active) assert_int_equal(r->sub.n, 0);
}
static void userinfo_done(void *arg, const struct sp_oauth_userinfo *r) {
    struct scene *s = arg;
    s->answers++;
    s->error = r->trouble.error;
    assert_true(s->error != SP_OAUTH_NONE || r->sub.n != 0);
}
static struct sp_oauth_about_request about(const char *token) {
    return (struct sp_oauth_about_request){.client = as_svc(), .token = sp_slice_cstr(token)};
}
static void submit_revoke_refresh(struct scene *s) {
    const struct sp_call call = bench_call(s->b);
    const struct sp_oauth_about_request in = about(s->session.refresh);
    sp_oauth_revoke(s->b->app, &call, &in, plain_done, s);
}
static void submit_revoke_access(struct scene *s) {
    const struct sp_call call = bench_call(s->b);
    const struct sp_oauth_about_request in = about(s->session.access);
    sp_oauth_revoke(s->b->app, &call, &in, plain_done, s);
}
static void submit_introspect_access(struct scene *s) {
    const struct sp_call call = bench_call(s->b);
    const struct sp_oauth_about_request in = about(s->session.access);
    sp_oauth_introspect(s->b->app, &call, &in, introspect_done, s);
}
static void submit_introspect_refresh(struct scene *s) {
    const struct sp_call call = bench_call(s->b);
    const struct sp_oauth_about_request in = about(s->session.refresh);
    sp_oauth_introspect(s->b->app, &call, &in, introspect_done, s);
}
static void submit_userinfo(struct scene *s) {
    const struct sp_call call = bench_call(s->b);
    sp_oauth_userinfo(s->b->app, &call, sp_slice_cstr(s->session.access), false, NULL, userinfo_done, s);
}

/* ---- what must be so after an answer without trouble ---- */

static void token_passes(struct scene *s) {
    assert_reject(token_check(s->b, s->got.access), "ok");
}
static void token_is_refused(struct scene *s) {
    assert_reject(token_check(s->b, s->session.access), "revoked");
}
static void was_active(struct scene *s) {
    assert_true(s->active);
}
static void nothing_more(struct scene *s) {
    (void)s;
}

static const struct use_case cases[] = {
    {"code with a proof", prepare_code, submit_code, SP_OAUTH_NONE, token_passes},
    {"code, again", prepare_replay, submit_replay, SP_OAUTH_INVALID_GRANT, NULL},
    {"refresh", prepare_session, submit_refresh, SP_OAUTH_NONE, token_passes},
    {"refresh, narrowed", prepare_session, submit_narrowed, SP_OAUTH_NONE, token_passes},
    {"refresh, more than granted", prepare_session, submit_too_much, SP_OAUTH_INVALID_SCOPE, NULL},
    {"client_credentials", NULL, submit_client, SP_OAUTH_NONE, token_passes},
    {"revoke, refresh token", prepare_session, submit_revoke_refresh, SP_OAUTH_NONE, token_is_refused},
    {"revoke, access token", prepare_session, submit_revoke_access, SP_OAUTH_NONE, token_is_refused},
    {"introspect, access token", prepare_session, submit_introspect_access, SP_OAUTH_NONE, was_active},
    {"introspect, refresh token", prepare_session, submit_introspect_refresh, SP_OAUTH_NONE, was_active},
    {"userinfo", prepare_session, submit_userinfo, SP_OAUTH_NONE, nothing_more},
};

/* True when the fault was met. */
static bool run_once(struct bench *b, const struct use_case *c, uint64_t nth, uint64_t times) {
    static struct scene s;
    memset(&s, 0, sizeof(s));
    s.b = b;
    if (c->prepare != NULL) c->prepare(&s);
    failing_malloc_arm(nth, times);
    c->submit(&s);
    assert_int_equal(s.answers + s.got.answers, 0);
    bench_run(b);
    const bool met = failing_malloc_disarm();
    assert_int_equal(s.answers + s.got.answers, 1);
    const enum sp_oauth_error got = s.answers != 0 ? s.error : s.got.error;
    const bool said =
        got == c->good || got == SP_OAUTH_SERVER_ERROR || got == SP_OAUTH_TEMPORARILY_UNAVAILABLE;
    if (!said) fail_msg("%s, allocation %u: %s", c->name, (unsigned)nth, sp_oauth_code(got));
    if (!met) assert_int_equal(got, c->good);
    if (got == SP_OAUTH_NONE) c->is_true(&s);
    return met;
}

static void torture(struct bench *b, uint64_t times) {
    for (size_t i = 0; i < SP_ARRAY_LEN(cases); i++) {
        uint64_t nth = 1;
        while (run_once(b, &cases[i], nth, times)) nth++;
        assert_true(nth > 1); /* something was there to fail */
    }
}

static void each_allocation_that_fails_is_answered_once_and_never_by_half(void **state) {
    torture(*state, 1);
}
static void memory_that_stays_away_is_answered_once_and_never_by_half(void **state) {
    torture(*state, UINT64_MAX);
}

/* Each run has a session: what a run costs must not grow with their number. */
static int setup(void **state) {
    if (token_setup_memory(state) != 0) return -1;
    struct bench *b = *state;
    bench_stop(b);
    b->config.sessions_max = 3;
    bench_start(b);
    b->now_ms += 10 * 1000;
    return 0;
}
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, oauth_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(each_allocation_that_fails_is_answered_once_and_never_by_half),
        TEST(memory_that_stays_away_is_answered_once_and_never_by_half),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
