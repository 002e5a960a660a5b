/* Who waits to hear that a revocation has been confirmed: receipts, and the measure of lag. */
#include "feed_fixture.h"

/* ---- receipts ---- */

struct waiting {
    struct sp_feed_waiter waiter;
    int done;
};
static void on_done(struct sp_feed_waiter *w) {
    SP_CONTAINER_OF(w, struct waiting, waiter)->done++;
}
static void wait_for(struct fixture *f, struct waiting *w) {
    *w = (struct waiting){.waiter = {.executor = &f->executor, .done = on_done}};
    sp_feed_wait(f->feed, &w->waiter, f->boot_ms);
    run_posted(f);
}

static void receipt_comes_when_the_last_live_verifier_has_confirmed(void **state) {
    struct fixture *f = *state;
    struct waiting w;
    ack(f, "a", 100);
    ack(f, "b", 100);
    revoke_one(f);
    wait_for(f, &w);
    f->boot_ms += 3;
    ack(f, "a", 101);
    ack(f, "a", 101); /* counts once */
    ack(f, "b", 100); /* lives, but has not got it */
    ack(f, "c", 101); /* came later */
    run_posted(f);
    assert_int_equal(w.done, 0);
    f->boot_ms += 4;
    ack(f, "b", 101);
    run_posted(f);
    assert_int_equal(w.done, 1);
    assert_int_equal(w.waiter.receipt.verifiers, 2);
    assert_int_equal(w.waiter.receipt.confirmed, 2);
    assert_int_equal(w.waiter.receipt.after_ms, 7);
}

static void receipt_without_verifiers_comes_at_once_and_says_so(void **state) {
    struct fixture *f = *state;
    struct waiting w;
    revoke_one(f);
    wait_for(f, &w);
    assert_int_equal(w.done, 1);
    assert_int_equal(w.waiter.receipt.verifiers, 0);
}

static void receipt_that_is_not_complete_in_time_says_how_many(void **state) {
    struct fixture *f = *state;
    struct waiting w;
    ack(f, "a", 100);
    ack(f, "b", 100);
    revoke_one(f);
    wait_for(f, &w);
    ack(f, "a", 101);
    f->boot_ms += 2000;
    sp_feed_wait_no_longer(f->feed, &w.waiter);
    sp_feed_wait_no_longer(f->feed, &w.waiter);
    run_posted(f);
    ack(f, "b", 101);
    run_posted(f);
    assert_int_equal(w.done, 1);
    assert_int_equal(w.waiter.receipt.verifiers, 2);
    assert_int_equal(w.waiter.receipt.confirmed, 1);
    assert_int_equal(w.waiter.receipt.after_ms, 2000);
}

static void verifier_that_leaves_needs_to_confirm_nothing(void **state) {
    struct fixture *f = *state;
    struct waiting w;
    struct sp_feed_ack bye = ack_of(f, "a", 100);
    bye.leaving = true;
    ack(f, "a", 100);
    revoke_one(f);
    wait_for(f, &w);
    assert_int_equal(w.done, 0);
    OK(sp_feed_acknowledge(f->feed, &bye));
    run_posted(f);
    assert_int_equal(w.done, 1);
    assert_int_equal(w.waiter.receipt.confirmed, 1);
}

/* The seat of a verifier that died goes to another one, whose word must not count for the dead. */
static void seat_that_changes_hands_confirms_nothing_for_who_had_it(void **state) {
    struct fixture *f = *state;
    struct waiting w;
    char name[16];
    ack(f, "dead", 100);
    revoke_one(f);
    wait_for(f, &w);
    f->boot_ms += LIVE_MS + 1;
    for (int i = 0; i < SP_FEED_VERIFIERS_MAX; i++) {
        (void)snprintf(name, sizeof(name), "v%d", i);
        ack(f, name, 101);
    }
    run_posted(f);
    assert_int_equal(w.done, 0);
    sp_feed_wait_no_longer(f->feed, &w.waiter);
    run_posted(f);
    assert_int_equal(w.waiter.receipt.confirmed, 0);
    assert_int_equal(w.waiter.receipt.verifiers, 1);
}

/* ---- lag ---- */

static uint64_t lags(struct fixture *f, uint32_t *ret_bucket) {
    struct sp_feed_counts c;
    uint64_t n = 0;
    sp_feed_count(f->feed, &c);
    for (uint32_t i = 0; i <= SP_FEED_LAG_BOUNDS; i++) {
        n += c.lag[i];
        if (c.lag[i] != 0) *ret_bucket = i;
    }
    return n;
}
static uint32_t bucket_of(uint32_t ms) {
    uint32_t i = 0;
    while (i < SP_FEED_LAG_BOUNDS && ms > sp_feed_lag_bounds_ms[i]) i++;
    return i;
}

static void lag_is_until_the_last_live_verifier_has_confirmed(void **state) {
    struct fixture *f = *state;
    uint32_t bucket = 0;
    ack(f, "a", 100);
    ack(f, "b", 100);
    revoke_one(f);
    f->boot_ms += 3;
    ack(f, "a", 101);
    assert_int_equal(lags(f, &bucket), 0);
    f->boot_ms += 4;
    ack(f, "b", 100); /* nothing new */
    assert_int_equal(lags(f, &bucket), 0);
    ack(f, "b", 101);
    assert_int_equal(lags(f, &bucket), 1);
    assert_int_equal(bucket, bucket_of(7));
    revoke_one(f); /* too soon for the next sample */
    ack(f, "a", 102);
    ack(f, "b", 102);
    assert_int_equal(lags(f, &bucket), 1);
    f->boot_ms += SP_FEED_LAG_EVERY_MS;
    revoke_one(f);
    ack(f, "a", 103);
    ack(f, "b", 103);
    assert_int_equal(lags(f, &bucket), 2);
}

static void lag_without_live_verifiers_is_none(void **state) {
    struct fixture *f = *state;
    uint32_t bucket = 0;
    revoke_one(f);
    ack(f, "a", 101); /* came after it was published */
    f->boot_ms += 60000;
    revoke_one(f);
    ack(f, "a", 102); /* had gone stale */
    sp_feed_tick(f->feed);
    assert_int_equal(lags(f, &bucket), 0);
}

static void lag_does_not_wait_for_who_leaves_or_goes_stale(void **state) {
    struct fixture *f = *state;
    uint32_t bucket = 0;
    struct sp_feed_ack bye = ack_of(f, "b", 100);
    bye.leaving = true;
    ack(f, "a", 100);
    ack(f, "b", 100);
    revoke_one(f);
    f->boot_ms += 2;
    struct sp_feed_ack hasty = ack_of(f, "a", 101);
    hasty.max_staleness_s = 24; /* live for 32 s */
    OK(sp_feed_acknowledge(f->feed, &hasty));
    f->boot_ms += 5000;
    OK(sp_feed_acknowledge(f->feed, &bye));
    assert_int_equal(lags(f, &bucket), 1);
    assert_int_equal(bucket, bucket_of(2));
    revoke_one(f);
    f->boot_ms += 28000; /* 33 s: a is stale by now: nobody is left, and nobody had confirmed */
    sp_feed_tick(f->feed);
    assert_int_equal(lags(f, &bucket), 1);
    ack(f, "a", 102);
    revoke_one(f); /* so the next one is measured */
    ack(f, "a", 103);
    assert_int_equal(lags(f, &bucket), 2);
}

static void lag_of_a_live_verifier_that_never_confirms_is_beyond_every_bound(void **state) {
    struct fixture *f = *state;
    uint32_t bucket = 0;
    struct sp_feed_ack patient = ack_of(f, "a", 100);
    patient.max_staleness_s = SP_FEED_STALENESS_MAX_S;
    OK(sp_feed_acknowledge(f->feed, &patient));
    revoke_one(f);
    f->boot_ms += SP_FEED_LAG_GIVE_UP_MS;
    sp_feed_tick(f->feed);
    assert_int_equal(lags(f, &bucket), 0);
    f->boot_ms += 1;
    sp_feed_tick(f->feed);
    assert_int_equal(lags(f, &bucket), 1);
    assert_int_equal(bucket, SP_FEED_LAG_BOUNDS);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(receipt_comes_when_the_last_live_verifier_has_confirmed),
        TEST(receipt_without_verifiers_comes_at_once_and_says_so),
        TEST(receipt_that_is_not_complete_in_time_says_how_many),
        TEST(verifier_that_leaves_needs_to_confirm_nothing),
        TEST(seat_that_changes_hands_confirms_nothing_for_who_had_it),
        TEST(lag_is_until_the_last_live_verifier_has_confirmed),
        TEST(lag_without_live_verifiers_is_none),
        TEST(lag_does_not_wait_for_who_leaves_or_goes_stale),
        TEST(lag_of_a_live_verifier_that_never_confirms_is_beyond_every_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
