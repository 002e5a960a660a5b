/* Pruning the audit log on a whole app: what goes, what stays, what is refused, and what a verification says
 * afterwards. */
#include "app_bench.h"

#include "core/app_internal.h"

static const int64_t DAY_MS = (int64_t)24 * 60 * 60 * 1000;

static int setup_keeping(void **state, int64_t keep_days) {
    struct bench *b = calloc(1, sizeof(*b));
    assert_non_null(b);
    bench_defaults(b);
    b->config.audit_keep_s = keep_days * DAY_MS / 1000;
    bench_open(b);
    *state = b;
    return 0;
}
static int setup(void **state) {
    return setup_keeping(state, 0);
}
static int setup_keeping_30_days(void **state) {
    return setup_keeping(state, 30);
}

static int teardown(void **state) {
    bench_close(*state);
    free(*state);
    return 0;
}

/* ---- asking ---- */

static struct sp_meta_row meta_of(struct bench *b) {
    struct sp_store_read r = {.kind = SP_READ_META, .limit = 1};
    assert_true(sp_ok(sp_store_read_wait(b->store, &r)));
    const struct sp_meta_row meta = r.ret.meta;
    sp_store_read_done(&r);
    return meta;
}

static uint64_t first_seq(struct bench *b) {
    struct sp_store_read r = {.kind = SP_READ_AUDIT, .limit = 1};
    assert_true(sp_ok(sp_store_read_wait(b->store, &r)));
    const uint64_t seq = r.ret.audit[0].seq;
    sp_store_read_done(&r);
    return seq;
}

static void commit(struct bench *b, struct sp_change *changes, size_t n) {
    assert_int_equal(sp_store_commit_wait(b->store, changes, n, NULL).code, SP_OK);
}

/* Records as the app would have written them. */
static void append(struct bench *b, unsigned n) {
    SP_AUTO(sp_audit_entry) e = SP_AUDIT_ENTRY_INIT;
    const struct sp_audit_event event = {.action = SP_AUDIT_LOGIN, .username = SP_SLICE_LIT("ada")};
    assert_true(sp_ok(sp_audit_build(&event, b->now_ms, &sp_random_system, &e)));
    struct sp_change c = sp_audit_entry_change(&e);
    for (unsigned i = 0; i < n; i++) commit(b, &c, 1);
}

/* One that the app would never have written: the chain covers it, and its content is none. */
static void append_nonsense(struct bench *b) {
    struct sp_change c = {
        .kind = SP_CHANGE_AUDIT,
        .audit = {.time_ms = b->now_ms, .action = SP_SLICE_LIT("login"), .body = SP_SLICE_LIT("nonsense")}};
    commit(b, &c, 1);
}

static void checkpoint_done(void *arg, const struct sp_audit_checkpoint_result *r) {
    assert_int_equal(r->outcome, SP_OUTCOME_OK);
    *(struct sp_audit_checkpoint *)arg = r->checkpoint;
}

static struct sp_audit_checkpoint take(struct bench *b) {
    struct sp_audit_checkpoint c = {0};
    struct sp_call call = bench_call_admin(b);
    sp_app_audit_checkpoint(b->app, &call, checkpoint_done, &c);
    bench_run(b);
    assert_true(c.count != 0);
    return c;
}

static void prune_done(void *arg, const struct sp_audit_prune_result *r) {
    *(struct sp_audit_prune_result *)arg = *r;
}

static struct sp_audit_prune_result prune_once(struct bench *b, const struct sp_audit_checkpoint *c) {
    struct sp_audit_prune_result r = {.outcome = SP_OUTCOME_COUNT};
    struct sp_call call = bench_call_admin(b);
    sp_app_audit_prune(b->app, &call, c, prune_done, &r);
    bench_run(b);
    assert_int_not_equal(r.outcome, SP_OUTCOME_COUNT);
    return r;
}

static void prune(struct bench *b, const struct sp_audit_checkpoint *c) {
    struct sp_audit_prune_result r = prune_once(b, c);
    assert_int_equal(r.outcome, SP_OUTCOME_OK);
    assert_true(r.complete);
}

static void verify_done(void *arg, const struct sp_audit_verify_result *r) {
    *(struct sp_audit_verify_result *)arg = *r;
}

static struct sp_audit_verify_result verify_with(struct bench *b, const struct sp_audit_checkpoint *c) {
    struct sp_audit_verify_result r = {0};
    struct sp_audit_verify_request in = {.checkpoint = c};
    struct sp_call call = bench_call_admin(b);
    do {
        sp_app_audit_verify(b->app, &call, &in, verify_done, &r);
        bench_run(b);
        assert_int_equal(r.outcome, SP_OUTCOME_OK);
        in.after_seq = r.records;
        memcpy(in.head, r.head, sizeof(in.head));
    } while (!r.complete);
    return r;
}

static void assert_intact(struct bench *b, uint64_t base) {
    const struct sp_audit_verify_result r = verify_with(b, NULL);
    if (!r.intact) fail_msg("record %u: %s", (unsigned)r.bad_seq, r.why);
    assert_int_equal(r.base, base);
    assert_int_equal(first_seq(b), base + 1);
    assert_int_equal(r.records, meta_of(b).audit_count);
}

static void tick_after(struct bench *b, int64_t ms) {
    b->now_ms += ms;
    sp_app_tick(b->app, &b->queue.executor);
    bench_run(b);
}

/* ---- by hand ---- */

static void pruning_takes_what_the_checkpoint_covers_and_no_more(void **state) {
    struct bench *b = *state;
    append(b, 10);
    const struct sp_audit_checkpoint c = take(b);
    append(b, 3);
    const uint64_t count = meta_of(b).audit_count;
    const struct sp_audit_prune_result r = prune_once(b, &c);
    assert_int_equal(r.outcome, SP_OUTCOME_OK);
    assert_true(r.complete);
    assert_int_equal(r.pruned, c.count);
    assert_int_equal(meta_of(b).audit_count, count + 1); /* the record of it */
    assert_intact(b, c.count);
    assert_int_equal(bench_records(b, "audit_pruned"), 1);
}

static void pruned_log_survives_a_restart(void **state) {
    struct bench *b = *state;
    append(b, 10);
    const struct sp_audit_checkpoint c = take(b);
    append(b, 1);
    prune(b, &c);
    bench_stop(b);
    bench_start(b);
    assert_int_equal(bench_records(b, "audit_seal_broken"), 0);
    assert_int_equal(bench_records(b, "store_rollback"), 0);
    assert_intact(b, c.count);
    append(b, 2);
    const struct sp_audit_checkpoint later = take(b);
    append(b, 1);
    prune(b, &later);
    assert_intact(b, later.count);
}

static void a_second_time_there_is_nothing_to_prune(void **state) {
    struct bench *b = *state;
    append(b, 5);
    const struct sp_audit_checkpoint older = take(b);
    append(b, 5);
    const struct sp_audit_checkpoint c = take(b);
    append(b, 1);
    prune(b, &c);
    const uint64_t count = meta_of(b).audit_count;
    assert_int_equal(prune_once(b, &c).pruned, 0);
    assert_int_equal(prune_once(b, &older).pruned, 0);
    assert_int_equal(meta_of(b).audit_count, count);
    assert_intact(b, c.count);
}

static void the_newest_record_stays(void **state) {
    struct bench *b = *state;
    append(b, 10);
    const struct sp_audit_checkpoint c = take(b);
    prune(b, &c);
    assert_intact(b, c.count - 1);
}

static void a_forged_checkpoint_prunes_nothing(void **state) {
    struct bench *b = *state;
    append(b, 10);
    const struct sp_audit_checkpoint genuine = take(b);
    append(b, 5);
    struct sp_audit_checkpoint forged[4] = {genuine, genuine, genuine, genuine};
    forged[0].count++;
    forged[1].time_ms--;
    forged[2].head[0] ^= 1;
    forged[3].mac[31] ^= 1;
    for (size_t i = 0; i < SP_ARRAY_LEN(forged); i++)
        assert_int_equal(prune_once(b, &forged[i]).outcome, SP_OUTCOME_INVALID_REQUEST);
    assert_intact(b, 0);
}

static void a_segment_that_was_meddled_with_is_not_pruned(void **state) {
    struct bench *b = *state;
    append(b, 3);
    const struct sp_audit_checkpoint before = take(b);
    append_nonsense(b);
    append(b, 3);
    const struct sp_audit_checkpoint after = take(b);
    append(b, 1);
    assert_int_equal(prune_once(b, &after).outcome, SP_OUTCOME_AUDIT_NOT_INTACT);
    assert_int_equal(meta_of(b).audit_base, 0);
    assert_int_equal(bench_records(b, "audit_pruned"), 0);
    prune(b, &before); /* what is good may go */
    assert_int_equal(meta_of(b).audit_base, before.count);
}

static void the_checkpoint_of_another_history_prunes_nothing(void **state) {
    struct bench *b = *state;
    struct sp_memory_snapshot *old = NULL;
    assert_true(sp_ok(sp_store_memory_snapshot(b->store, &old)));
    append(b, 5);
    const struct sp_audit_checkpoint theirs = take(b);
    assert_true(sp_ok(sp_store_memory_restore(b->store, old, false)));
    assert_int_equal(prune_once(b, &theirs).outcome, SP_OUTCOME_AUDIT_NOT_INTACT); /* shorter */
    append(b, 20);
    assert_int_equal(prune_once(b, &theirs).outcome, SP_OUTCOME_AUDIT_NOT_INTACT); /* different */
    assert_intact(b, 0);
    sp_memory_snapshot_free(old);
}

static void many_records_go_in_steps_each_on_record(void **state) {
    struct bench *b = *state;
    append(b, 2 * SP_AUDIT_PRUNE_MOST + 500);
    const struct sp_audit_checkpoint c = take(b);
    append(b, 1);
    prune(b, &c);
    assert_intact(b, c.count);
    assert_int_equal(bench_records(b, "audit_pruned"), 3);
}

static void a_step_that_fails_leaves_a_log_that_can_be_pruned_on(void **state) {
    struct bench *b = *state;
    static const enum sp_memory_fault faults[] = {
        SP_MEMORY_FAULT_UNAVAILABLE, SP_MEMORY_FAULT_UNKNOWN_APPLIED, SP_MEMORY_FAULT_UNKNOWN_NOT_APPLIED};
    for (size_t i = 0; i < SP_ARRAY_LEN(faults); i++) {
        append(b, 2 * SP_AUDIT_PRUNE_MOST);
        const struct sp_audit_checkpoint c = take(b);
        append(b, 1);
        const uint64_t base = meta_of(b).audit_base;
        sp_store_memory_fail(b->store, 2, 1, faults[i]);
        const enum sp_outcome said = prune_once(b, &c).outcome;
        assert_true(said == SP_OUTCOME_STORE_UNAVAILABLE || said == SP_OUTCOME_OUTCOME_UNKNOWN);
        const uint64_t now = meta_of(b).audit_base;
        assert_true(now >= base + SP_AUDIT_PRUNE_MOST && now < c.count + 1);
        assert_intact(b, now);
        prune(b, &c);
        assert_intact(b, c.count);
    }
}

static void two_at_one_time_prune_once(void **state) {
    struct bench *b = *state;
    struct sp_audit_prune_result first = {0}, second = {0};
    struct sp_call call = bench_call_admin(b);
    append(b, 2 * SP_AUDIT_PRUNE_MOST);
    const struct sp_audit_checkpoint c = take(b);
    append(b, 1);
    sp_app_audit_prune(b->app, &call, &c, prune_done, &first);
    sp_app_audit_prune(b->app, &call, &c, prune_done, &second);
    bench_run(b);
    assert_int_equal(first.outcome, SP_OUTCOME_OK);
    assert_int_equal(second.outcome, SP_OUTCOME_OK);
    assert_true(first.complete && second.complete);
    assert_int_equal(first.pruned + second.pruned, c.count);
    assert_intact(b, c.count);
}

static void a_verification_meanwhile_raises_no_false_alarm(void **state) {
    struct bench *b = *state;
    struct sp_audit_prune_result pruned = {0};
    struct sp_audit_verify_result verified = {0};
    struct sp_call call = bench_call_admin(b);
    append(b, 3 * SP_AUDIT_PRUNE_MOST);
    const struct sp_audit_checkpoint c = take(b);
    append(b, 1);
    sp_app_audit_prune(b->app, &call, &c, prune_done, &pruned);
    sp_app_audit_verify(b->app, &call, &(struct sp_audit_verify_request){.checkpoint = &c}, verify_done,
                        &verified);
    bench_run(b);
    assert_true(pruned.complete);
    assert_true(verified.complete);
    if (!verified.intact) fail_msg("record %u: %s", (unsigned)verified.bad_seq, verified.why);
    assert_int_equal(verified.checkpoint, SP_CHECKPOINT_IN_LOG);
}

/* Proof and pruning both need more than one request. */
static void a_long_log_is_pruned_in_parts(void **state) {
    struct bench *b = *state;
    append(b, 51 * SP_AUDIT_PRUNE_MOST);
    const struct sp_audit_checkpoint c = take(b);
    append(b, 1);
    struct sp_audit_prune_result r = prune_once(b, &c);
    assert_int_equal(r.outcome, SP_OUTCOME_OK);
    assert_false(r.complete);
    assert_int_equal(r.pruned, 0); /* nothing goes before all was proved */
    assert_int_equal(r.proved, 50 * SP_READ_PAGE_MAX);
    r = prune_once(b, &c);
    assert_false(r.complete);
    assert_int_equal(r.base, 50 * SP_AUDIT_PRUNE_MOST);
    assert_intact(b, r.base);
    prune(b, &c);
    assert_intact(b, c.count);
}

static void a_proof_is_not_lent_to_another_checkpoint(void **state) {
    struct bench *b = *state;
    append(b, 50 * SP_READ_PAGE_MAX);
    append_nonsense(b);
    append(b, 10);
    const struct sp_audit_checkpoint bad = take(b);
    append(b, 1);
    assert_int_equal(prune_once(b, &bad).pruned, 0);
    const struct sp_audit_checkpoint other = take(b);
    append(b, 1);
    assert_int_equal(prune_once(b, &other).pruned, 0);
    assert_int_equal(prune_once(b, &bad).pruned, 0);
    assert_int_equal(prune_once(b, &other).pruned, 0);
    assert_int_equal(meta_of(b).audit_base, 0);
}

/* ---- checkpoints against a pruned log ---- */

static void a_verification_tells_where_a_checkpoint_is(void **state) {
    struct bench *b = *state;
    append(b, 4);
    const struct sp_audit_checkpoint forgotten = take(b);
    append(b, 4);
    const struct sp_audit_checkpoint first = take(b);
    append(b, 4);
    const struct sp_audit_checkpoint second = take(b);
    append(b, 4);
    const struct sp_audit_checkpoint newer = take(b);
    append(b, 1);
    assert_int_equal(verify_with(b, &forgotten).checkpoint, SP_CHECKPOINT_IN_LOG);
    assert_int_equal(verify_with(b, NULL).checkpoint, SP_CHECKPOINT_NONE);
    prune(b, &first);
    prune(b, &second);
    static const enum sp_audit_checkpoint_place places[] = {SP_CHECKPOINT_PRUNED, SP_CHECKPOINT_ON_RECORD,
                                                            SP_CHECKPOINT_IN_LOG, SP_CHECKPOINT_IN_LOG};
    const struct sp_audit_checkpoint *all[] = {&forgotten, &first, &second, &newer};
    for (size_t i = 0; i < SP_ARRAY_LEN(all); i++) {
        const struct sp_audit_verify_result r = verify_with(b, all[i]);
        assert_true(r.intact);
        assert_int_equal(r.checkpoint, places[i]);
        assert_true((r.checkpoint_record != 0) == (places[i] == SP_CHECKPOINT_ON_RECORD));
    }
}

static void a_checkpoint_of_another_history_is_found_at_the_base_too(void **state) {
    struct bench *b = *state;
    struct sp_memory_snapshot *old = NULL;
    assert_true(sp_ok(sp_store_memory_snapshot(b->store, &old)));
    append(b, 5);
    const struct sp_audit_checkpoint theirs = take(b);
    assert_true(sp_ok(sp_store_memory_restore(b->store, old, false)));
    b->now_ms++; /* another body, another hash */
    append(b, 5);
    const struct sp_audit_checkpoint ours = take(b);
    append(b, 1);
    assert_int_equal(ours.count, theirs.count);
    prune(b, &ours);
    assert_true(verify_with(b, &ours).intact);
    assert_false(verify_with(b, &theirs).intact);
    assert_int_equal(prune_once(b, &theirs).outcome, SP_OUTCOME_AUDIT_NOT_INTACT);
    sp_memory_snapshot_free(old);
}

/* ---- other use cases ---- */

static void list_done(void *arg, const struct sp_audit_result *r) {
    assert_int_equal(r->outcome, SP_OUTCOME_OK);
    assert_true(r->n > 0);
    *(uint64_t *)arg = r->rows[0].seq;
}

static void a_list_that_goes_on_from_a_pruned_record_begins_where_the_log_does(void **state) {
    struct bench *b = *state;
    struct sp_call call = bench_call_admin(b);
    append(b, 10);
    const struct sp_audit_checkpoint c = take(b);
    append(b, 5);
    prune(b, &c);
    for (uint64_t after = 0; after <= c.count; after++) {
        uint64_t first = 0;
        sp_app_audit_list(b->app, &call, &(struct sp_audit_query){.after_seq = after, .limit = 3}, list_done,
                          &first);
        bench_run(b);
        assert_int_equal(first, c.count + 1);
    }
}

static void erase_done(void *arg, const struct sp_erase_result *r) {
    *(struct sp_erase_result *)arg = *r;
}

static void a_user_is_erased_from_what_is_left(void **state) {
    struct bench *b = *state;
    struct sp_erase_result r = {0};
    struct sp_call call = bench_call_admin(b);
    bench_login(b);
    const struct sp_audit_checkpoint c = take(b);
    bench_login(b);
    prune(b, &c);
    sp_app_user_erase(b->app, &call, SP_SLICE_LIT("ada"), 0, erase_done, &r);
    bench_run(b);
    assert_int_equal(r.outcome, SP_OUTCOME_OK);
    assert_true(r.complete);
    assert_int_equal(r.erased, 1); /* of two logins */
    assert_intact(b, c.count);
}

/* ---- by age ---- */

enum { DAYS = 45, RECORDS_MAX = 1000 };

/* When each record was written, also of those that are pruned later. */
static void note_times(struct bench *b, int64_t time_of[RECORDS_MAX]) {
    struct sp_store_read r = {.kind = SP_READ_AUDIT, .limit = SP_READ_PAGE_MAX};
    assert_true(sp_ok(sp_store_read_wait(b->store, &r)));
    for (uint32_t i = 0; i < r.ret.n; i++) {
        assert_true(r.ret.audit[i].seq < RECORDS_MAX);
        time_of[r.ret.audit[i].seq] = r.ret.audit[i].time_ms;
    }
    sp_store_read_done(&r);
}

static void old_segments_go_and_nothing_that_is_to_be_kept(void **state) {
    struct bench *b = *state;
    int64_t time_of[RECORDS_MAX] = {0};
    for (int day = 0; day < DAYS; day++) {
        append(b, 3);
        tick_after(b, DAY_MS);
        for (int i = 0; i < 3; i++) tick_after(b, 10 * 1000);
        note_times(b, time_of);
        const uint64_t base = meta_of(b).audit_base;
        if (base != 0) assert_true(b->now_ms - time_of[base] > 30 * DAY_MS); /* the youngest that went */
        assert_true(b->now_ms - time_of[base + 1] < 32 * DAY_MS);            /* the oldest that stayed */
        assert_intact(b, base);
    }
    assert_true(meta_of(b).audit_base > 10 * 3);
    assert_true(bench_records(b, "audit_checkpoint") >= 30);
}

static void what_no_checkpoint_covers_stays_however_old(void **state) {
    struct bench *b = *state;
    append(b, 20);
    b->now_ms += 400 * DAY_MS;
    sp_app_prune_scheduled(b->app, b->now_ms); /* before any checkpoint was taken */
    bench_run(b);
    assert_intact(b, 0);
}

static void a_server_that_keeps_all_prunes_nothing(void **state) {
    struct bench *b = *state;
    for (int day = 0; day < 100; day++) tick_after(b, DAY_MS);
    assert_intact(b, 0);
    assert_int_equal(bench_records(b, "audit_checkpoint"), 0);
}

static void an_old_segment_that_was_meddled_with_stays(void **state) {
    struct bench *b = *state;
    append_nonsense(b);
    tick_after(b, 60 * 1000);
    for (int i = 0; i < 40; i++) tick_after(b, DAY_MS);
    assert_int_equal(meta_of(b).audit_base, 0);
    assert_int_equal(bench_records(b, "audit_pruned"), 0);
}

/* A record that looks like a checkpoint's is only believed for its MAC. */
static void a_checkpoint_on_record_that_is_not_ours_ends_no_segment(void **state) {
    struct bench *b = *state;
    SP_AUTO(sp_audit_entry) e = SP_AUDIT_ENTRY_INIT;
    struct sp_audit_checkpoint c = take(b);
    struct sp_audit_checkpoint_fields f;
    append(b, 3);
    c.count++;
    sp_audit_checkpoint_fields(&c, &f);
    const struct sp_audit_event event = {
        .action = SP_AUDIT_AUDIT_CHECKPOINT, .detail = f.field, .detail_n = SP_AUDIT_CHECKPOINT_FIELDS};
    assert_true(sp_ok(sp_audit_build(&event, b->now_ms, &sp_random_system, &e)));
    struct sp_change change = sp_audit_entry_change(&e);
    commit(b, &change, 1);
    b->now_ms += 60 * DAY_MS;
    sp_app_prune_scheduled(b->app, b->now_ms);
    bench_run(b);
    assert_intact(b, 0);
}

int main(void) {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define T30(name) cmocka_unit_test_setup_teardown(name, setup_keeping_30_days, teardown)
    const struct CMUnitTest tests[] = {
        T(pruning_takes_what_the_checkpoint_covers_and_no_more),
        T(pruned_log_survives_a_restart),
        T(a_second_time_there_is_nothing_to_prune),
        T(the_newest_record_stays),
        T(a_forged_checkpoint_prunes_nothing),
        T(a_segment_that_was_meddled_with_is_not_pruned),
        T(the_checkpoint_of_another_history_prunes_nothing),
        T(many_records_go_in_steps_each_on_record),
        T(a_step_that_fails_leaves_a_log_that_can_be_pruned_on),
        T(two_at_one_time_prune_once),
        T(a_verification_meanwhile_raises_no_false_alarm),
        T(a_long_log_is_pruned_in_parts),
        T(a_proof_is_not_lent_to_another_checkpoint),
        T(a_verification_tells_where_a_checkpoint_is),
        T(a_checkpoint_of_another_history_is_found_at_the_base_too),
        T(a_list_that_goes_on_from_a_pruned_record_begins_where_the_log_does),
        T(a_user_is_erased_from_what_is_left),
        T30(old_segments_go_and_nothing_that_is_to_be_kept),
        T30(what_no_checkpoint_covers_stays_however_old),
        T(a_server_that_keeps_all_prunes_nothing),
        T30(an_old_segment_that_was_meddled_with_stays),
        T30(a_checkpoint_on_record_that_is_not_ours_ends_no_segment),
    };
    return cmocka_run_group_tests_name("pruning", tests, NULL, NULL);
}
