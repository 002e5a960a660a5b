/* Every allocation on the way of a logout from its session's end to its client fails once, and then every one
 * from there on: what is committed is delivered in the end, and the outbox is empty then. Leaks are the
 * sanitizer's to find. */
#include "logout_bench.h"

#include "core/backchannel.h"
#include "failing_malloc.h"

enum { MINUTES_MOST = 30 };

/* The sid of a session that has ended for sure, whatever memory there was. */
static bool end_it(struct logout_bench *l, const uint8_t *sid) {
    struct sp_change c = {.kind = SP_CHANGE_SESSION_END,
                          .session_end = {.tenant = SP_TENANT_DEFAULT,
                                          .sid = sid,
                                          .expect_generation = SP_GENERATION_ANY,
                                          .state = SP_SESSION_ENDED,
                                          .cause = SP_END_LOGOUT,
                                          .now_ms = l->b.now_ms}};
    return sp_ok(sp_store_commit_wait(l->b.store, &c, 1, NULL));
}

static uint32_t answer_all(struct logout_bench *l) {
    uint32_t n = 0;
    for (size_t i = 0; i < l->n; i++) {
        if (l->sent[i].job == NULL) continue;
        logout_answer(l, &l->sent[i], 200);
        n++;
    }
    return n;
}

/* True when the fault was met. */
static bool run_once(struct logout_bench *l, uint64_t nth, uint64_t times, bool restarts) {
    uint8_t sid[SP_ROW_SID_BYTES];
    uint32_t answered = 0;
    logout_begin(l, "shop", sid);
    if (restarts) {
        assert_true(end_it(l, sid));
        logout_restart(l);
        l->b.now_ms += SP_LOGOUT_UNABLE_MS;
    }
    failing_malloc_arm(nth, times);
    const bool ended = restarts || end_it(l, sid);
    bench_run(&l->b);
    answered += answer_all(l);
    const bool met = failing_malloc_disarm();
    for (int i = 0; i < MINUTES_MOST && logout_rows(l) != 0; i++) {
        logout_after(l, SP_LOGOUT_RELOAD_MS);
        answered += answer_all(l);
    }
    assert_int_equal(logout_rows(l), 0);
    if (ended) assert_in_range(answered, 1, 2); /* once more when our own note of it failed */
    assert_int_equal(logout_measures(l).logouts_waiting, 0);
    return met;
}

static void sweep(struct logout_bench *l, uint64_t times, bool restarts) {
    uint64_t nth = 1;
    logout_client(l, "shop");
    while (run_once(l, nth, times, restarts)) nth++;
    assert_true(nth > 1); /* something was there to fail */
}

static void each_allocation_that_fails_delays_a_logout_and_loses_none(void **state) {
    sweep(*state, 1, false);
}
static void memory_that_stays_away_delays_a_logout_and_loses_none(void **state) {
    sweep(*state, UINT64_MAX, false);
}
static void nor_does_it_when_the_outbox_is_read_after_a_start(void **state) {
    sweep(*state, 1, true);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        LOGOUT_TEST(each_allocation_that_fails_delays_a_logout_and_loses_none),
        LOGOUT_TEST(memory_that_stays_away_delays_a_logout_and_loses_none),
        LOGOUT_TEST(nor_does_it_when_the_outbox_is_read_after_a_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
