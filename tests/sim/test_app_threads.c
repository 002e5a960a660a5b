/* Several loops over one app: for the thread sanitizer, and for what must hold whatever the order. */
#include "app_bench.h"

#include <stdatomic.h>

#include "core/client_auth.h"
#include "lane.h"

enum { THREADS = 4, ROUNDS = 50 };

struct lane {
    struct lane_queue queue;
    struct bench *b;
    const struct tokens *shared;
    struct tokens got_shared;
    const struct lane *first; /* of all */
    uint32_t bad;
    pthread_t thread;
};

static struct sp_call call_of(struct lane *l) {
    struct sp_call call = bench_call(l->b);
    call.executor = &l->queue.executor;
    return call;
}

static struct tokens login(struct lane *l) {
    struct tokens t = {0};
    struct sp_call call = call_of(l);
    struct sp_login_request in = {
        .username = SP_SLICE_LIT("ada"), .password = SP_SLICE_LIT("correct horse"), .mode = SP_MODE_TOKEN};
    sp_app_login(l->b->app, &call, &in, bench_tokens_done, &t);
    lane_until(&l->queue, &t.answers);
    return t;
}

static struct tokens refresh(struct lane *l, const struct tokens *with) {
    struct tokens t = {0};
    struct sp_call call = call_of(l);
    struct sp_refresh_request in = {.refresh_token = sp_slice_of(with->refresh, with->refresh_n),
                                    .mode = SP_MODE_TOKEN};
    sp_app_refresh(l->b->app, &call, &in, bench_tokens_done, &t);
    lane_until(&l->queue, &t.answers);
    return t;
}

static struct plain logout(struct lane *l, const struct tokens *with) {
    struct plain p = {0};
    struct sp_call call = call_of(l);
    struct sp_logout_request in = {.refresh_token = sp_slice_of(with->refresh, with->refresh_n)};
    sp_app_logout(l->b->app, &call, &in, bench_plain_done, &p);
    lane_until(&l->queue, &p.answers);
    return p;
}

static void one_round(struct lane *l) {
    struct tokens t0 = login(l), t1 = refresh(l, &t0), again = refresh(l, &t0);
    struct plain out = logout(l, &t1);
    struct tokens dead = refresh(l, &t1);
    struct sp_call call = call_of(l);
    sp_app_audit_denial(l->b->app, &call, SP_SLICE_LIT("documents:burn"), SP_SLICE_EMPTY);
    bool fine = t0.outcome == SP_OUTCOME_OK && t1.outcome == SP_OUTCOME_OK &&
                again.outcome == SP_OUTCOME_OK && memcmp(t1.refresh, again.refresh, t1.refresh_n) == 0 &&
                out.outcome == SP_OUTCOME_OK && out.count == 1 && dead.outcome == SP_OUTCOME_INVALID_GRANT &&
                !dead.reuse_detected;
    l->bad += !fine;
}

static void *lane_run(void *arg) {
    struct lane *l = arg;
    l->got_shared = refresh(l, l->shared);
    for (int i = 0; i < ROUNDS; i++) {
        one_round(l);
        if (l->b->lanes_tick == l) sp_app_tick(l->b->app, &l->queue.executor);
    }
    return NULL;
}

static void lane_begin(struct lane *l, struct bench *b, const struct tokens *shared) {
    *l = (struct lane){.b = b, .shared = shared};
    lane_init(&l->queue);
}

static void many_loops_share_one_app(void **state) {
    struct bench *b = *state;
    static struct lane lanes[THREADS];
    struct tokens shared = bench_login(b);
    b->lanes_tick = &lanes[0];
    for (int i = 0; i < THREADS; i++) lane_begin(&lanes[i], b, &shared);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&lanes[i].thread, NULL, lane_run, &lanes[i]), 0);
    for (int i = 0; i < THREADS; i++) pthread_join(lanes[i].thread, NULL);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(lanes[i].bad, 0);
        assert_int_equal(lanes[i].got_shared.outcome, SP_OUTCOME_OK);
        assert_memory_equal(lanes[i].got_shared.refresh, lanes[0].got_shared.refresh,
                            lanes[0].got_shared.refresh_n);
    }
    assert_int_equal(bench_session(b, shared.sid).generation, 1);
    assert_int_equal(bench_records(b, "refresh_reuse_detected"), 0);
}

/* ---- clients that come and go ---- */

static void client_done(void *arg, const struct sp_clients_result *r) {
    struct plain *p = arg;
    p->outcome = r->outcome;
    p->answers++;
}

static enum sp_outcome client_edit(struct lane *l, sp_slice id, enum sp_client_edit what) {
    struct plain p = {0};
    struct sp_call call = bench_call_admin(l->b);
    call.executor = &l->queue.executor;
    sp_app_client_edit(l->b->app, &call, id, what, bench_plain_done, &p);
    lane_until(&l->queue, &p.answers);
    return p.outcome;
}

static enum sp_outcome client_add(struct lane *l, sp_slice id) {
    struct plain p = {0};
    struct sp_call call = bench_call_admin(l->b);
    call.executor = &l->queue.executor;
    const struct sp_client_add_request in = {.id = id, .options = {.auth_method = SP_SLICE_LIT("none")}};
    sp_app_client_add(l->b->app, &call, &in, client_done, &p);
    lane_until(&l->queue, &p.answers);
    return p.outcome;
}

static bool is_let_in(struct lane *l, sp_slice id) {
    const struct sp_client *c = NULL;
    const struct sp_call call = call_of(l);
    const struct sp_client_proof shown = {.how = SP_CLIENT_SHOWS_NOTHING, .id = id};
    const struct sp_oauth_trouble t =
        sp_client_authenticate(l->b->app, &call, &shown, SP_SLICE_LIT("/oauth2/token"), &c);
    sp_client_release(c);
    return t.error == SP_OAUTH_NONE;
}

/* Everybody has a client, which comes and goes, and looks at everybody's. */
static void *lane_clients(void *arg) {
    struct lane *l = arg;
    const char letters[] = "abcd";
    const sp_slice own = sp_slice_of(&letters[l - l->first], 1);
    for (int i = 0; i < ROUNDS; i++) {
        bool fine = client_add(l, own) == SP_OUTCOME_OK && is_let_in(l, own);
        for (int k = 0; k < THREADS; k++) (void)is_let_in(l, sp_slice_of(&letters[k], 1));
        fine = fine && client_edit(l, own, SP_CLIENT_DISABLE) == SP_OUTCOME_OK && !is_let_in(l, own);
        fine = fine && client_edit(l, own, SP_CLIENT_DELETE) == SP_OUTCOME_OK && !is_let_in(l, own);
        l->bad += !fine;
    }
    return NULL;
}

static void clients_come_and_go_from_many_loops_at_once(void **state) {
    struct bench *b = *state;
    static struct lane lanes[THREADS];
    for (int i = 0; i < THREADS; i++) {
        lane_begin(&lanes[i], b, NULL);
        lanes[i].first = lanes;
    }
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&lanes[i].thread, NULL, lane_clients, &lanes[i]), 0);
    for (int i = 0; i < THREADS; i++) pthread_join(lanes[i].thread, NULL);
    for (int i = 0; i < THREADS; i++) assert_int_equal(lanes[i].bad, 0);
    assert_int_equal(bench_records(b, "client_deleted"), THREADS * ROUNDS);
}

static int setup(void **state) {
    static struct bench b;
    bench_defaults(&b);
    bench_open(&b);
    *state = &b;
    return 0;
}
static int teardown(void **state) {
    bench_close(*state);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(many_loops_share_one_app, setup, teardown),
        cmocka_unit_test_setup_teardown(clients_come_and_go_from_many_loops_at_once, setup, teardown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
