/* The chain over revocations on a whole app: what the store keeps is what the feed's words say, through
 * restarts and through a store that went back in time. */
#include "app_bench.h"

#include "core/feed_chain.h"

static int setup(void **state) {
    struct bench *b = calloc(1, sizeof(*b));
    assert_non_null(b);
    bench_defaults(b);
    bench_open(b);
    *state = b;
    return 0;
}

static int teardown(void **state) {
    bench_close(*state);
    free(*state);
    return 0;
}

static struct sp_meta_row meta_of(struct bench *b) {
    struct sp_store_read r = {.kind = SP_READ_META, .tenant = SP_TENANT_DEFAULT, .limit = 1};
    assert_int_equal(sp_store_read_wait(b->store, &r).code, SP_OK);
    const struct sp_meta_row meta = r.ret.meta;
    sp_store_read_done(&r);
    return meta;
}

/* The chain of the epoch, over the stored rows after `seq`. */
static void assert_head_follows(struct bench *b, uint64_t seq) {
    const struct sp_meta_row meta = meta_of(b);
    uint8_t head[SP_FEED_HEAD_BYTES];
    struct sp_store_read r = {
        .kind = SP_READ_REVOCATIONS, .tenant = SP_TENANT_DEFAULT, .limit = 1000, .after_seq = seq};
    assert_int_equal(sp_store_read_wait(b->store, &r).code, SP_OK);
    sp_feed_chain_start(meta.feed_epoch, head);
    for (uint32_t i = 0; i < r.ret.n; i++) {
        const struct sp_feed_revocation link = sp_feed_revocation_of(&r.ret.revocations[i]);
        assert_int_equal(link.seq, ++seq);
        sp_feed_chain_link(head, &link, head);
    }
    sp_store_read_done(&r);
    assert_int_equal(seq, meta.revoke_seq);
    assert_memory_equal(meta.feed_head, head, sizeof(head));
}

static void revoke_in_every_way(struct bench *b) {
    struct plain p = {0};
    const struct tokens one = bench_login(b), two = bench_login(b), three = bench_login(b);
    struct sp_call call = bench_call_as(b, &one);
    assert_int_equal(bench_logout_refresh(b, &two).outcome, SP_OUTCOME_OK);
    assert_int_equal(bench_logout_access(b, &three).outcome, SP_OUTCOME_OK);
    sp_app_logout_all(b->app, &call, bench_plain_done, &p);
    bench_run(b);
    assert_int_equal(p.outcome, SP_OUTCOME_OK);
    call = bench_call(b);
    sp_app_revoke(b->app, &call, SP_TARGET_EVERYONE, SP_SLICE_EMPTY, bench_plain_done, &p);
    bench_run(b);
    assert_int_equal(p.outcome, SP_OUTCOME_OK);
}

static void the_stores_chain_is_the_feeds(void **state) {
    struct bench *b = *state;
    assert_head_follows(b, 0); /* begun by the first start */
    revoke_in_every_way(b);
    assert_true(meta_of(b).revoke_seq >= 5);
    assert_head_follows(b, 0);
}

static void restart_goes_on_with_epoch_and_chain(void **state) {
    struct bench *b = *state;
    revoke_in_every_way(b);
    const struct sp_meta_row before = meta_of(b);
    bench_stop(b);
    bench_start(b);
    const struct sp_meta_row after = meta_of(b);
    assert_memory_equal(after.feed_epoch, before.feed_epoch, sizeof(after.feed_epoch));
    assert_memory_equal(after.feed_head, before.feed_head, sizeof(after.feed_head));
    revoke_in_every_way(b);
    assert_head_follows(b, 0);
}

/* Its sequences were given before, to other revocations: whoever follows must not take them for the same. */
static void store_that_went_back_has_another_epoch(void **state) {
    struct bench *b = *state;
    struct sp_memory_snapshot *copy;
    revoke_in_every_way(b);
    assert_int_equal(sp_store_memory_snapshot(b->store, &copy).code, SP_OK);
    const struct sp_meta_row copied = meta_of(b);
    bench_stop(b);
    bench_start(b);
    revoke_in_every_way(b);
    b->config.expected_boots = sp_app_boots(b->app);
    bench_stop(b);
    assert_int_equal(sp_store_memory_restore(b->store, copy, false).code, SP_OK);
    sp_memory_snapshot_free(copy);
    bench_start(b);
    const struct sp_meta_row now = meta_of(b);
    assert_memory_not_equal(now.feed_epoch, copied.feed_epoch, sizeof(now.feed_epoch));
    assert_int_equal(now.revoke_seq, copied.revoke_seq + 1); /* the jump of the global epoch */
    assert_head_follows(b, copied.revoke_seq);
    b->config.expected_boots = 0;
    bench_stop(b);
    bench_start(b);
    assert_memory_equal(meta_of(b).feed_epoch, now.feed_epoch, sizeof(now.feed_epoch));
    assert_head_follows(b, copied.revoke_seq);
}

/* All of them have lapsed long ago, and housekeeping runs: a server that starts then still has a backlog. */
static void newest_revocations_outlive_their_time(void **state) {
    struct bench *b = *state;
    revoke_in_every_way(b);
    const uint64_t given = meta_of(b).revoke_seq;
    for (int i = 0; i < 20; i++) {
        b->now_ms += INT64_C(3600) * 1000;
        sp_app_tick(b->app, &b->queue.executor);
        bench_run(b);
    }
    assert_int_equal(meta_of(b).revoke_seq, given);
    assert_head_follows(b, 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        T(the_stores_chain_is_the_feeds),
        T(restart_goes_on_with_epoch_and_chain),
        T(store_that_went_back_has_another_epoch),
        T(newest_revocations_outlive_their_time),
    };
    return cmocka_run_group_tests_name("app chain", tests, NULL, NULL);
}
