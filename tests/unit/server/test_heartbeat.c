/* The heartbeat beats only when every loop and the store's writer have answered. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "server/heartbeat.h"

enum { LOOPS = 3, INTERVAL_MS = 5, STEPS_MAX = 1000 };

static struct sp_loop *loops[LOOPS];
static struct sp_heartbeat *hb;
static int beats;
static struct sp_store_commit *at_writer; /* what the writer has taken and not answered */

static void commit(struct sp_store *store, struct sp_store_commit *c) {
    (void)store;
    assert_int_equal(c->n, 0); /* it must change nothing */
    assert_null(at_writer);
    at_writer = c;
}

static const struct sp_store_ops ops = {.commit = commit};
static struct sp_store store = {.ops = &ops};

static void run_done(struct sp_task *task) {
    struct sp_store_commit *c = SP_CONTAINER_OF(task, struct sp_store_commit, task);
    c->done(c);
}

static void writer_answers(enum sp_code code) {
    struct sp_store_commit *c = at_writer;
    assert_non_null(c);
    at_writer = NULL;
    c->status = sp_err(code);
    c->task.run = run_done;
    sp_executor_post(c->executor, &c->task);
}

static void on_alive(void *arg) {
    assert_ptr_equal(arg, &beats);
    beats++;
}

static int start(void **state) {
    (void)state;
    beats = 0;
    at_writer = NULL;
    for (size_t i = 0; i < LOOPS; i++) assert_true(sp_ok(sp_loop_new(NULL, &loops[i])));
    assert_true(sp_ok(sp_heartbeat_new(loops, LOOPS, &store, INTERVAL_MS, on_alive, &beats, &hb)));
    return 0;
}

static int stop(void **state) {
    (void)state;
    sp_heartbeat_free(hb);
    for (size_t i = 0; i < LOOPS; i++) sp_loop_free(loops[i]);
    return 0;
}

static void step(size_t n_loops) {
    for (size_t i = 0; i < n_loops; i++) assert_true(sp_ok(sp_loop_step(loops[i], i == 0 ? 1 : 0)));
}

static void step_until_writer(size_t n_loops) {
    for (int i = 0; i < STEPS_MAX && at_writer == NULL; i++) step(n_loops);
    assert_non_null(at_writer);
}

static void settle(void) {
    for (int i = 0; i < 10 * INTERVAL_MS; i++) step(LOOPS);
}

static void beats_when_all_have_answered(void **state) {
    (void)state;
    for (int round = 1; round <= 3; round++) {
        step_until_writer(LOOPS);
        writer_answers(SP_OK);
        for (int i = 0; i < STEPS_MAX && beats < round; i++) step(LOOPS);
        assert_int_equal(beats, round);
    }
}

static void silent_while_the_writer_is_stuck(void **state) {
    (void)state;
    step_until_writer(LOOPS);
    settle();
    assert_int_equal(beats, 0);
    writer_answers(SP_OK);
    step(LOOPS);
    assert_int_equal(beats, 1);
}

static void silent_while_a_loop_is_stuck(void **state) {
    (void)state;
    step_until_writer(LOOPS - 1);
    writer_answers(SP_OK);
    for (int i = 0; i < 10 * INTERVAL_MS; i++) step(LOOPS - 1);
    assert_int_equal(beats, 0);
    assert_null(at_writer); /* and nobody is asked twice */
    for (int i = 0; i < STEPS_MAX && beats == 0; i++) step(LOOPS);
    assert_int_equal(beats, 1);
}

static void store_that_refuses_still_lives(void **state) {
    (void)state;
    step_until_writer(LOOPS);
    writer_answers(SP_E_UNAVAILABLE);
    step(LOOPS);
    step(LOOPS);
    assert_int_equal(beats, 1);
}

static void full_queue_proves_nothing_and_is_asked_again(void **state) {
    (void)state;
    step_until_writer(LOOPS);
    writer_answers(SP_E_BUSY);
    step(LOOPS);
    assert_int_equal(beats, 0);
    step_until_writer(LOOPS);
    writer_answers(SP_OK);
    for (int i = 0; i < STEPS_MAX && beats == 0; i++) step(LOOPS);
    assert_int_equal(beats, 1);
}

#define T(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void) {
    const struct CMUnitTest tests[] = {
        T(beats_when_all_have_answered),
        T(silent_while_the_writer_is_stuck),
        T(silent_while_a_loop_is_stuck),
        T(store_that_refuses_still_lives),
        T(full_queue_proves_nothing_and_is_asked_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
