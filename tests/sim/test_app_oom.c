/* Every allocation of a use case fails once, and then every one from there on: it is answered exactly once,
 * never with a false success, and the app works afterwards. Leaks are the sanitizer's to find. */
#include "app_bench.h"

#include "failing_malloc.h"
#include "token/ids.h"

enum { ACCOUNT_BURST = 2 }; /* one comes back in the time between two failures of ours */

struct case_state {
    struct bench *b;
    struct tokens t, got;
    struct plain plain;
    uint32_t lists;
    enum sp_outcome list_outcome;
    struct sp_audit_checkpoint checkpoint;
};
/* Submits; *answers is counted by the callback, and the outcome found where `outcome` says. */
struct use_case {
    const char *name;
    void (*prepare)(struct case_state *s);
    void (*submit)(struct case_state *s);
    uint32_t *(*answers)(struct case_state *s);
    enum sp_outcome *(*outcome)(struct case_state *s);
    enum sp_outcome good;
};

static uint32_t *tokens_answers(struct case_state *s) {
    return &s->got.answers;
}
static enum sp_outcome *tokens_outcome(struct case_state *s) {
    return &s->got.outcome;
}
static uint32_t *plain_answers(struct case_state *s) {
    return &s->plain.answers;
}
static enum sp_outcome *plain_outcome(struct case_state *s) {
    return &s->plain.outcome;
}
static uint32_t *list_answers(struct case_state *s) {
    return &s->lists;
}
static enum sp_outcome *list_outcome(struct case_state *s) {
    return &s->list_outcome;
}

static void prepare_login(struct case_state *s) {
    s->t = bench_login(s->b);
}
static void prepare_rotated(struct case_state *s) {
    s->t = bench_login(s->b);
    assert_int_equal(bench_refresh(s->b, &s->t).outcome, SP_OUTCOME_OK);
}
static void prepare_stolen(struct case_state *s) {
    prepare_rotated(s);
    s->b->now_ms += SP_GRACE_DEFAULT_MS + 1;
}

static void login_with(struct case_state *s, const char *password) {
    struct sp_call call = bench_call(s->b);
    struct sp_login_request in = {
        .username = SP_SLICE_LIT("Ada"), .password = sp_slice_cstr(password), .mode = SP_MODE_TOKEN};
    sp_app_login(s->b->app, &call, &in, bench_tokens_done, &s->got);
}
static void submit_login(struct case_state *s) {
    login_with(s, "correct horse");
}
static void submit_failed_login(struct case_state *s) {
    s->b->now_ms += 61 * 1000; /* so that it is recorded anew */
    login_with(s, "wrong horse");
}
static void submit_refresh(struct case_state *s) {
    bench_refresh_begin(s->b, &s->t, NULL, &s->got);
}
static void submit_logout(struct case_state *s) {
    struct sp_call call = bench_call(s->b);
    struct sp_logout_request in = {.refresh_token = sp_slice_of(s->t.refresh, s->t.refresh_n)};
    sp_app_logout(s->b->app, &call, &in, bench_plain_done, &s->plain);
}
static void submit_password(struct case_state *s) {
    struct sp_call call = bench_call_as(s->b, &s->t);
    struct sp_password_request in = {SP_SLICE_LIT("correct horse"), SP_SLICE_LIT("correct horse")};
    sp_app_password_change(s->b->app, &call, &in, bench_plain_done, &s->plain);
}
/* A name that nobody has yet: the run before may have made one. */
static void submit_register(struct case_state *s) {
    static unsigned n;
    char name[32];
    snprintf(name, sizeof(name), "new user %u", n++);
    struct sp_call call = bench_call(s->b);
    struct sp_register_request in = {
        .username = sp_slice_cstr(name), .password = SP_SLICE_LIT("correct horse"), .mode = SP_MODE_TOKEN};
    sp_app_register(s->b->app, &call, &in, bench_tokens_done, &s->got);
}
static void submit_register_taken(struct case_state *s) {
    s->b->now_ms += 61 * 1000;
    struct sp_call call = bench_call(s->b);
    struct sp_register_request in = {
        .username = SP_SLICE_LIT("ADA"), .password = SP_SLICE_LIT("correct horse"), .mode = SP_MODE_TOKEN};
    sp_app_register(s->b->app, &call, &in, bench_tokens_done, &s->got);
}
static void submit_throttled_login(struct case_state *s) {
    struct sp_call call = bench_call(s->b);
    struct sp_login_request in = {
        .username = SP_SLICE_LIT("eve"), .password = SP_SLICE_LIT("wrong horse"), .mode = SP_MODE_TOKEN};
    sp_app_login(s->b->app, &call, &in, bench_tokens_done, &s->got);
}
static void prepare_throttled(struct case_state *s) {
    s->b->now_ms += 61 * 1000;
    for (int i = 0; i < ACCOUNT_BURST; i++) {
        submit_throttled_login(s);
        bench_run(s->b);
    }
}
static void sessions_done(void *arg, const struct sp_sessions_result *r) {
    struct case_state *s = arg;
    s->lists++;
    s->list_outcome = r->outcome;
}
static void submit_sessions(struct case_state *s) {
    struct sp_call call = bench_call_as(s->b, &s->t);
    sp_app_sessions_own(s->b->app, &call, sessions_done, s);
}

static void checkpoint_done(void *arg, const struct sp_audit_checkpoint_result *r) {
    assert_int_equal(r->outcome, SP_OUTCOME_OK);
    ((struct case_state *)arg)->checkpoint = r->checkpoint;
}
static void prune_done(void *arg, const struct sp_audit_prune_result *r) {
    struct case_state *s = arg;
    s->lists++;
    s->list_outcome = r->outcome;
}
static void submit_prune(struct case_state *s) {
    struct sp_call call = bench_call(s->b);
    sp_app_audit_prune(s->b->app, &call, &s->checkpoint, prune_done, s);
}
static void take_checkpoint(struct case_state *s) {
    struct sp_call call = bench_call(s->b);
    bench_login(s->b);
    sp_app_audit_checkpoint(s->b->app, &call, checkpoint_done, s);
    bench_run(s->b);
    bench_login(s->b);
}
/* What the runs before have written would make each proof longer than the one before: it goes first. */
static void prepare_checkpoint(struct case_state *s) {
    take_checkpoint(s);
    submit_prune(s);
    bench_run(s->b);
    assert_int_equal(s->list_outcome, SP_OUTCOME_OK);
    s->lists = 0;
    take_checkpoint(s);
}
static void verify_done(void *arg, const struct sp_audit_verify_result *r) {
    struct case_state *s = arg;
    s->lists++;
    s->list_outcome = r->outcome;
    if (r->outcome == SP_OUTCOME_OK && !r->intact) fail_msg("record %u: %s", (unsigned)r->bad_seq, r->why);
}
static void submit_verify(struct case_state *s) {
    struct sp_call call = bench_call(s->b);
    const struct sp_audit_verify_request in = {.checkpoint = &s->checkpoint};
    sp_app_audit_verify(s->b->app, &call, &in, verify_done, s);
}

static const struct use_case cases[] = {
    {"login", NULL, submit_login, tokens_answers, tokens_outcome, SP_OUTCOME_OK},
    {"login, wrong password", NULL, submit_failed_login, tokens_answers, tokens_outcome,
     SP_OUTCOME_INVALID_CREDENTIALS},
    {"refresh", prepare_login, submit_refresh, tokens_answers, tokens_outcome, SP_OUTCOME_OK},
    {"refresh, retried", prepare_rotated, submit_refresh, tokens_answers, tokens_outcome, SP_OUTCOME_OK},
    {"refresh, stolen", prepare_stolen, submit_refresh, tokens_answers, tokens_outcome,
     SP_OUTCOME_INVALID_GRANT},
    {"logout", prepare_login, submit_logout, plain_answers, plain_outcome, SP_OUTCOME_OK},
    {"password", prepare_login, submit_password, plain_answers, plain_outcome, SP_OUTCOME_OK},
    {"register", NULL, submit_register, tokens_answers, tokens_outcome, SP_OUTCOME_OK},
    {"register, name taken", NULL, submit_register_taken, tokens_answers, tokens_outcome,
     SP_OUTCOME_ALREADY_EXISTS},
    {"login, throttled", prepare_throttled, submit_throttled_login, tokens_answers, tokens_outcome,
     SP_OUTCOME_TOO_MANY_ATTEMPTS},
    {"audit verify", prepare_checkpoint, submit_verify, list_answers, list_outcome, SP_OUTCOME_OK},
    {"audit prune", prepare_checkpoint, submit_prune, list_answers, list_outcome, SP_OUTCOME_OK},
    {"own sessions", prepare_login, submit_sessions, list_answers, list_outcome, SP_OUTCOME_OK},
};

/* True when the fault was met. */
static bool run_once(struct bench *b, const struct use_case *c, uint64_t nth, uint64_t times) {
    struct case_state s = {.b = b};
    if (c->prepare != NULL) c->prepare(&s);
    memset(&s.got, 0, sizeof(s.got));
    failing_malloc_arm(nth, times);
    c->submit(&s);
    assert_int_equal(*c->answers(&s), 0);
    bench_run(b);
    bool met = failing_malloc_disarm();
    assert_int_equal(*c->answers(&s), 1);
    enum sp_outcome got = *c->outcome(&s);
    /* The store, too, may be what found no memory; it then changed nothing. */
    bool said = got == c->good || got == SP_OUTCOME_INTERNAL || got == SP_OUTCOME_STORE_UNAVAILABLE;
    if (!said) fail_msg("%s, allocation %u: %s", c->name, (unsigned)nth, sp_outcome_code(got));
    if (!met) assert_int_equal(got, c->good);
    if (got == SP_OUTCOME_OK && c->answers == tokens_answers)
        assert_int_equal(bench_check(b, &s.got), SP_REJECT_NONE);
    return met;
}

static void torture(void **state, uint64_t times) {
    struct bench *b = *state;
    for (size_t i = 0; i < SP_ARRAY_LEN(cases); i++) {
        uint64_t nth = 1;
        while (run_once(b, &cases[i], nth, times)) nth++;
        assert_true(nth > 1); /* something was there to fail */
    }
}

static void each_allocation_that_fails_is_answered_once_and_never_as_a_success(void **state) {
    torture(state, 1);
}
static void memory_that_stays_away_is_answered_once_and_never_as_a_success(void **state) {
    torture(state, UINT64_MAX);
}

static void opening_without_memory_fails_and_leaves_nothing(void **state) {
    struct bench *b = *state;
    bench_stop(b);
    for (uint64_t nth = 1;; nth++) {
        bench_start_begin(b);
        failing_malloc_arm(nth, 1);
        sp_status s = bench_start_app(b);
        failing_malloc_disarm();
        if (sp_ok(s)) break;
        bench_start_undo(b);
    }
    assert_int_equal(bench_login(b).outcome, SP_OUTCOME_OK);
}

static int setup(void **state) {
    static struct bench b;
    bench_defaults(&b);
    b.config.throttle[SP_THROTTLE_ACCOUNT] = (struct sp_throttle_rate){ACCOUNT_BURST, 30 * 1000};
    b.config.sessions_max = 3; /* each run logs in: what a run costs must not grow with their number */
    bench_open(&b);
    *state = &b;
    return 0;
}
static int teardown(void **state) {
    bench_close(*state);
    return 0;
}
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(each_allocation_that_fails_is_answered_once_and_never_as_a_success),
        TEST(memory_that_stays_away_is_answered_once_and_never_as_a_success),
        TEST(opening_without_memory_fails_and_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
