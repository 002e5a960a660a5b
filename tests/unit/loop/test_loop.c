/* The event loop: posting from other threads, timers, cached time, stopping. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>
#include <cmocka.h>

#include "loop/loop.h"

#define POSTERS 4
#define POSTS_EACH 20000

struct numbered {
    struct sp_task task;
    int poster;
    int n;
};

struct fixture {
    struct sp_loop *loop;
    int64_t now;
    int last[POSTERS];
    int ran;
    int wanted;
    bool in_order;
};

static struct fixture *the; /* tasks carry no argument but themselves */

static int64_t fake_ms(void *arg) {
    (void)arg;
    return the->now++;
}
static const struct sp_clock fake_clock = {fake_ms, fake_ms, NULL};

static int setup(void **state) {
    static struct fixture f;
    f = (struct fixture){.now = 1000, .in_order = true};
    for (int i = 0; i < POSTERS; i++) f.last[i] = -1;
    the = &f;
    *state = &f;
    return sp_ok(sp_loop_new(&fake_clock, &f.loop)) ? 0 : -1;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    sp_loop_free(f->loop);
    return 0;
}

static void run_numbered(struct sp_task *task) {
    struct numbered *t = SP_CONTAINER_OF(task, struct numbered, task);
    if (t->n != the->last[t->poster] + 1) the->in_order = false;
    the->last[t->poster] = t->n;
    if (++the->ran == the->wanted) sp_loop_stop(the->loop);
    free(t); /* entered: the memory is ours again */
}

static void post_numbered(int poster, int n) {
    struct numbered *t = calloc(1, sizeof(*t));
    if (t == NULL) abort();
    *t = (struct numbered){.task.run = run_numbered, .poster = poster, .n = n};
    sp_executor_post(sp_loop_executor(the->loop), &t->task);
}

static void *poster_main(void *arg) {
    for (int i = 0; i < POSTS_EACH; i++) post_numbered((int)(intptr_t)arg, i);
    return NULL;
}

static void tasks_of_each_poster_run_once_and_in_order(void **state) {
    struct fixture *f = *state;
    pthread_t threads[POSTERS];
    f->wanted = POSTERS * POSTS_EACH;
    for (int i = 0; i < POSTERS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, poster_main, (void *)(intptr_t)i), 0);
    }
    assert_true(sp_ok(sp_loop_run(f->loop)));
    for (int i = 0; i < POSTERS; i++) pthread_join(threads[i], NULL);
    assert_int_equal(f->ran, f->wanted);
    assert_true(f->in_order);
}

static void tasks_posted_before_stop_run_before_it(void **state) {
    struct fixture *f = *state;
    for (int i = 0; i < 10; i++) post_numbered(0, i);
    sp_loop_stop(f->loop);
    sp_loop_stop(f->loop); /* twice does no harm */
    assert_true(sp_ok(sp_loop_run(f->loop)));
    assert_int_equal(f->ran, 10);
}

static void loop_runs_again_after_stop(void **state) {
    struct fixture *f = *state;
    for (int round = 0; round < 3; round++) {
        post_numbered(0, round);
        sp_loop_stop(f->loop);
        assert_true(sp_ok(sp_loop_run(f->loop)));
        assert_int_equal(f->ran, round + 1);
    }
}

static void *stopper_main(void *arg) {
    sp_loop_stop(arg);
    return NULL;
}

static void stop_from_another_thread_ends_an_idle_loop(void **state) {
    struct fixture *f = *state;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, stopper_main, f->loop), 0);
    assert_true(sp_ok(sp_loop_run(f->loop)));
    pthread_join(thread, NULL);
}

static void run_reposting(struct sp_task *task) {
    if (++the->ran < 3) sp_executor_post(sp_loop_executor(the->loop), task);
}

static void task_posted_by_a_task_waits_for_the_next_batch(void **state) {
    struct fixture *f = *state;
    struct sp_task task = {.run = run_reposting};
    sp_executor_post(sp_loop_executor(f->loop), &task);
    for (int i = 1; i <= 3; i++) {
        assert_true(sp_ok(sp_loop_step(f->loop, 0)));
        assert_int_equal(f->ran, i);
    }
    assert_true(sp_ok(sp_loop_step(f->loop, 0)));
    assert_int_equal(f->ran, 3);
}

struct counted_timer {
    struct sp_loop_timer timer;
    int fired;
    int again;
};

static void run_counted(struct sp_loop_timer *timer) {
    struct counted_timer *t = SP_CONTAINER_OF(timer, struct counted_timer, timer);
    t->fired++;
    if (t->again-- > 0) {
        sp_loop_timer_start(timer, 0);
    } else {
        sp_loop_stop(the->loop);
    }
}

static void timer_fires_once_and_may_restart_itself(void **state) {
    struct fixture *f = *state;
    struct counted_timer t = {.again = 2};
    sp_loop_timer_init(&t.timer, f->loop, run_counted);
    assert_false(sp_loop_timer_is_running(&t.timer));
    sp_loop_timer_start(&t.timer, 1);
    assert_true(sp_loop_timer_is_running(&t.timer));
    assert_true(sp_ok(sp_loop_run(f->loop)));
    assert_int_equal(t.fired, 3);
    assert_false(sp_loop_timer_is_running(&t.timer));
    assert_true(sp_ok(sp_loop_step(f->loop, 0)));
    assert_int_equal(t.fired, 3);
}

static void cancelled_timer_never_fires(void **state) {
    struct fixture *f = *state;
    struct counted_timer cancelled = {0}, later = {0};
    sp_loop_timer_init(&cancelled.timer, f->loop, run_counted);
    sp_loop_timer_init(&later.timer, f->loop, run_counted);
    sp_loop_timer_start(&cancelled.timer, 1);
    sp_loop_timer_start(&later.timer, 5);
    sp_loop_timer_cancel(&cancelled.timer);
    sp_loop_timer_cancel(&cancelled.timer);
    assert_true(sp_ok(sp_loop_run(f->loop)));
    assert_int_equal(cancelled.fired, 0);
    assert_int_equal(later.fired, 1);
}

static void time_stands_still_within_an_iteration(void **state) {
    struct fixture *f = *state;
    const int64_t boot = sp_loop_boot_ms(f->loop);
    assert_int_equal(sp_loop_boot_ms(f->loop), boot);
    const struct sp_clock clock = sp_loop_clock(f->loop);
    assert_int_equal(sp_clock_boot_ms(&clock), boot);
    const int64_t wall = sp_loop_wall_ms(f->loop);
    assert_int_equal(sp_clock_wall_ms(&clock), wall);
    assert_true(sp_ok(sp_loop_step(f->loop, 0)));
    assert_true(sp_loop_boot_ms(f->loop) > boot);
}

static void step_returns_when_nothing_happens(void **state) {
    struct fixture *f = *state;
    assert_true(sp_ok(sp_loop_step(f->loop, 2)));
    assert_int_equal(f->ran, 0);
}

static void on_usr1(void *arg, int signo) {
    assert_int_equal(signo, SIGUSR1);
    *(int *)arg += 1;
    sp_loop_stop(the->loop);
}

static void signal_is_handled_on_the_loop(void **state) {
    struct fixture *f = *state;
    int seen = 0;
    assert_true(sp_ok(sp_loop_on_signal(f->loop, SIGUSR1, on_usr1, &seen)));
    assert_int_equal(kill(getpid(), SIGUSR1), 0);
    assert_true(sp_ok(sp_loop_run(f->loop)));
    assert_int_equal(seen, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(tasks_of_each_poster_run_once_and_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(tasks_posted_before_stop_run_before_it, setup, teardown),
        cmocka_unit_test_setup_teardown(loop_runs_again_after_stop, setup, teardown),
        cmocka_unit_test_setup_teardown(stop_from_another_thread_ends_an_idle_loop, setup, teardown),
        cmocka_unit_test_setup_teardown(task_posted_by_a_task_waits_for_the_next_batch, setup, teardown),
        cmocka_unit_test_setup_teardown(timer_fires_once_and_may_restart_itself, setup, teardown),
        cmocka_unit_test_setup_teardown(cancelled_timer_never_fires, setup, teardown),
        cmocka_unit_test_setup_teardown(time_stands_still_within_an_iteration, setup, teardown),
        cmocka_unit_test_setup_teardown(step_returns_when_nothing_happens, setup, teardown),
        cmocka_unit_test_setup_teardown(signal_is_handled_on_the_loop, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
