#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>

#include "server/hashpool.h"

static const struct sp_password_params cheap = {.m_kib = 8192, .t = 1, .p = 1};

/* Collects finished jobs; the test waits for a number of them. */
struct collector {
    struct sp_executor executor;
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    unsigned finished;
    bool held; /* while set, workers stop in post: the queue fills up behind them */
};

static void collect(struct sp_executor *self, struct sp_task *task) {
    struct collector *c = SP_CONTAINER_OF(self, struct collector, executor);
    (void)task;
    pthread_mutex_lock(&c->mutex);
    while (c->held) pthread_cond_wait(&c->cond, &c->mutex);
    c->finished++;
    pthread_cond_broadcast(&c->cond);
    pthread_mutex_unlock(&c->mutex);
}

static void wait_for(struct collector *c, unsigned n) {
    pthread_mutex_lock(&c->mutex);
    while (c->finished < n) pthread_cond_wait(&c->cond, &c->mutex);
    pthread_mutex_unlock(&c->mutex);
}

#define COLLECTOR                                                                                            \
    { .executor = {collect}, .mutex = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER }

static void run_one(struct sp_hashpool *pool, struct sp_hash_job *job) {
    struct collector c = COLLECTOR;
    job->executor = &c.executor;
    struct sp_hasher hasher = sp_hashpool_port(pool);
    assert_true(sp_ok(hasher.submit(hasher.arg, job)));
    wait_for(&c, 1);
}

static struct sp_hashpool *pool_of(uint32_t threads, uint32_t queue) {
    struct sp_hashpool *pool = NULL;
    assert_true(sp_ok(sp_hashpool_new(&cheap, threads, queue, &pool)));
    return pool;
}

static bool is_horse(void *arg, const char *word) {
    (void)arg;
    return strcmp(word, "horse") == 0;
}

static void common_password_is_not_hashed_when_it_is_new(void **state) {
    (void)state;
    SP_AUTO_FREE(sp_hashpool) pool = pool_of(1, 4);
    assert_false(sp_hashpool_port(pool).has_word_list);
    sp_hashpool_set_words(pool, &(struct sp_word_list){.has = is_horse});
    assert_true(sp_hashpool_port(pool).has_word_list);
    struct sp_hash_job job = {.op = SP_HASH_MAKE, .is_new = true, .password = SP_SLICE_LIT("Horse123")};
    run_one(pool, &job);
    assert_true(sp_ok(job.status) && job.is_common);
    assert_int_equal(job.phc.n, 0);
    job = (struct sp_hash_job){.op = SP_HASH_MAKE, .is_new = true, .password = SP_SLICE_LIT("correct horse")};
    run_one(pool, &job);
    assert_true(sp_ok(job.status) && !job.is_common && job.phc.n != 0);
    /* One that is there already is hashed anew as it is. */
    job = (struct sp_hash_job){.op = SP_HASH_MAKE, .password = SP_SLICE_LIT("Horse123")};
    run_one(pool, &job);
    assert_true(sp_ok(job.status) && !job.is_common && job.phc.n != 0);
}

static void right_password_matches_and_wrong_does_not(void **state) {
    (void)state;
    SP_AUTO_FREE(sp_hashpool) pool = pool_of(1, 4);
    struct sp_hash_job job = {.op = SP_HASH_MAKE, .password = SP_SLICE_LIT("correct horse")};
    run_one(pool, &job);
    assert_true(sp_ok(job.status));
    job.op = SP_HASH_VERIFY;
    run_one(pool, &job);
    assert_true(job.matches);
    assert_false(job.needs_rehash);
    job.password = SP_SLICE_LIT("correct horsf");
    run_one(pool, &job);
    assert_true(sp_ok(job.status));
    assert_false(job.matches);
}

static void unknown_user_never_matches(void **state) {
    (void)state;
    SP_AUTO_FREE(sp_hashpool) pool = pool_of(1, 4);
    struct sp_hash_job job = {.op = SP_HASH_VERIFY, .password = SP_SLICE_LIT(""), .matches = true};
    run_one(pool, &job);
    assert_true(sp_ok(job.status));
    assert_false(job.matches);
}

static void damaged_hash_is_an_error_and_never_a_match(void **state) {
    (void)state;
    SP_AUTO_FREE(sp_hashpool) pool = pool_of(1, 4);
    struct sp_hash_job job = {.op = SP_HASH_VERIFY, .password = SP_SLICE_LIT("x"), .matches = true};
    assert_true(sp_ok(SP_TEXT_SET(&job.phc, SP_SLICE_LIT("$argon2id$v=19$garbage"))));
    run_one(pool, &job);
    assert_false(sp_ok(job.status));
    assert_false(job.matches);
}

static void full_queue_is_busy_and_takes_nothing(void **state) {
    (void)state;
    struct sp_hashpool *pool = pool_of(1, 2);
    struct sp_hasher hasher = sp_hashpool_port(pool);
    struct collector c = COLLECTOR;
    c.held = true;
    struct sp_hash_job jobs[8];
    unsigned taken = 0;
    for (unsigned i = 0; i < 8; i++) {
        jobs[i] = (struct sp_hash_job){
            .op = SP_HASH_VERIFY, .password = SP_SLICE_LIT("x"), .executor = &c.executor};
        sp_status s = hasher.submit(hasher.arg, &jobs[i]);
        if (sp_ok(s))
            taken++;
        else
            assert_true(sp_is(s, SP_E_BUSY));
    }
    assert_in_range(taken, 2, 3); /* two wait, one may be at work */
    pthread_mutex_lock(&c.mutex);
    c.held = false;
    pthread_cond_broadcast(&c.cond);
    pthread_mutex_unlock(&c.mutex);
    sp_hashpool_free(pool); /* finishes what it took */
    assert_int_equal(c.finished, taken);
}

static void parameters_out_of_range_are_refused(void **state) {
    (void)state;
    struct sp_hashpool *pool = NULL;
    const struct sp_password_params bad = {.m_kib = 1, .t = 1, .p = 1};
    assert_false(sp_ok(sp_hashpool_new(&bad, 1, 1, &pool)));
    assert_null(pool);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(common_password_is_not_hashed_when_it_is_new),
        cmocka_unit_test(right_password_matches_and_wrong_does_not),
        cmocka_unit_test(unknown_user_never_matches),
        cmocka_unit_test(damaged_hash_is_an_error_and_never_a_match),
        cmocka_unit_test(full_queue_is_busy_and_takes_nothing),
        cmocka_unit_test(parameters_out_of_range_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
