/* A mutex, a condition, a list. Hashing takes ten milliseconds, so nothing cleverer would show. */
#include "server/hashpool.h"

#include <pthread.h>

#include "base/assert.h"

struct sp_hashpool {
    struct sp_password_params params;
    struct sp_word_list words; /* has may be NULL; set before the first job */
    pthread_mutex_t mutex;     /* guards everything below */
    pthread_cond_t wanted;
    struct sp_task *head, **tail; /* jobs, linked through their tasks */
    uint32_t waiting, waiting_max, active;
    uint64_t finished, refused;
    bool stopping;
    uint32_t n_threads;
    pthread_t threads[];
};

static void verify(const struct sp_hashpool *pool, struct sp_hash_job *job) {
    sp_slice phc = SP_TEXT_SLICE(&job->phc);
    if (phc.n == 0) {
        job->status = sp_password_verify_absent(&pool->params, job->password);
        return;
    }
    enum sp_password_verdict verdict = SP_PASSWORD_WRONG;
    job->status = sp_password_verify(phc, job->password, &verdict);
    job->matches = sp_ok(job->status) && verdict == SP_PASSWORD_RIGHT;
    job->needs_rehash = job->matches && sp_password_needs_rehash(phc, &pool->params);
}

static sp_status make(const struct sp_hashpool *pool, struct sp_hash_job *job) {
    SP_AUTO(sp_buf) phc = SP_BUF_INIT(SP_PASSWORD_PHC_BYTES_MAX);
    SP_TRY(sp_password_hash(&pool->params, job->password, &phc));
    return SP_TEXT_SET(&job->phc, sp_buf_slice(&phc));
}

static void make_new(const struct sp_hashpool *pool, struct sp_hash_job *job) {
    job->is_common = job->is_new && sp_password_is_common(job->password, &pool->words);
    job->status = job->is_common ? SP_SUCCESS : make(pool, job);
}

static void work(const struct sp_hashpool *pool, struct sp_hash_job *job) {
    job->is_common = false;
    job->matches = false;
    job->needs_rehash = false;
    switch (job->op) {
    case SP_HASH_VERIFY: verify(pool, job); break;
    case SP_HASH_MAKE: make_new(pool, job); break;
    case SP_HASH_WORK: job->status = job->work(job); break;
    }
    sp_executor_post(job->executor, &job->task);
}

/* The next job, or NULL when the pool stops and the queue is empty. */
static struct sp_hash_job *next_job(struct sp_hashpool *pool) {
    pthread_mutex_lock(&pool->mutex);
    while (pool->head == NULL && !pool->stopping) pthread_cond_wait(&pool->wanted, &pool->mutex);
    struct sp_task *task = pool->head;
    if (task != NULL) {
        pool->head = task->next;
        if (pool->head == NULL) pool->tail = &pool->head;
        pool->waiting--;
        pool->active++;
    }
    pthread_mutex_unlock(&pool->mutex);
    return task == NULL ? NULL : SP_CONTAINER_OF(task, struct sp_hash_job, task);
}

static void job_ended(struct sp_hashpool *pool) {
    pthread_mutex_lock(&pool->mutex);
    pool->active--;
    pool->finished++;
    pthread_mutex_unlock(&pool->mutex);
}

static void *worker(void *arg) {
    struct sp_hashpool *pool = arg;
    struct sp_hash_job *job;
    while ((job = next_job(pool)) != NULL) {
        work(pool, job);
        job_ended(pool);
    }
    return NULL;
}

sp_status sp_hashpool_new(const struct sp_password_params *params, uint32_t threads, uint32_t queue_max,
                          struct sp_hashpool **ret) {
    SP_TRY(sp_password_params_check(params));
    struct sp_hashpool *pool = calloc(1, sizeof(*pool) + threads * sizeof(pthread_t));
    if (pool == NULL) return sp_err(SP_E_NOMEM);
    pool->params = *params;
    pool->tail = &pool->head;
    pool->waiting_max = queue_max;
    sp_assert(pthread_mutex_init(&pool->mutex, NULL) == 0);
    sp_assert(pthread_cond_init(&pool->wanted, NULL) == 0);
    while (pool->n_threads < threads) {
        if (pthread_create(&pool->threads[pool->n_threads], NULL, worker, pool) != 0) {
            sp_hashpool_free(pool);
            return sp_err(SP_E_UNAVAILABLE);
        }
        pool->n_threads++;
    }
    *ret = pool;
    return SP_SUCCESS;
}

static void refuse_all(struct sp_task *task) {
    while (task != NULL) {
        struct sp_hash_job *job = SP_CONTAINER_OF(task, struct sp_hash_job, task);
        task = task->next;
        job->matches = false;
        job->needs_rehash = false;
        job->status = sp_err(SP_E_BUSY);
        sp_executor_post(job->executor, &job->task);
    }
}

void sp_hashpool_stop(struct sp_hashpool *pool) {
    pthread_mutex_lock(&pool->mutex);
    struct sp_task *waiting = pool->head;
    pool->head = NULL;
    pool->tail = &pool->head;
    pool->waiting = 0;
    pool->stopping = true;
    pthread_cond_broadcast(&pool->wanted);
    pthread_mutex_unlock(&pool->mutex);
    refuse_all(waiting);
}

void sp_hashpool_free(struct sp_hashpool *pool) {
    if (pool == NULL) return;
    pthread_mutex_lock(&pool->mutex);
    pool->stopping = true;
    pthread_cond_broadcast(&pool->wanted);
    pthread_mutex_unlock(&pool->mutex);
    for (uint32_t i = 0; i < pool->n_threads; i++) pthread_join(pool->threads[i], NULL);
    pthread_cond_destroy(&pool->wanted);
    pthread_mutex_destroy(&pool->mutex);
    free(pool);
}

static sp_status submit(void *arg, struct sp_hash_job *job) {
    struct sp_hashpool *pool = arg;
    pthread_mutex_lock(&pool->mutex);
    bool full = pool->waiting >= pool->waiting_max || pool->stopping;
    if (!full) {
        job->task.next = NULL;
        *pool->tail = &job->task;
        pool->tail = &job->task.next;
        pool->waiting++;
        pthread_cond_signal(&pool->wanted);
    } else {
        pool->refused++;
    }
    pthread_mutex_unlock(&pool->mutex);
    return full ? sp_err(SP_E_BUSY) : SP_SUCCESS;
}

void sp_hashpool_set_words(struct sp_hashpool *pool, const struct sp_word_list *words) {
    pool->words = *words;
}

void sp_hashpool_stats(struct sp_hashpool *pool, struct sp_hashpool_stats *ret) {
    pthread_mutex_lock(&pool->mutex);
    *ret = (struct sp_hashpool_stats){.threads = pool->n_threads,
                                      .waiting = pool->waiting,
                                      .waiting_max = pool->waiting_max,
                                      .active = pool->active,
                                      .finished = pool->finished,
                                      .refused = pool->refused};
    pthread_mutex_unlock(&pool->mutex);
}

struct sp_hasher sp_hashpool_port(struct sp_hashpool *pool) {
    return (struct sp_hasher){.submit = submit, .arg = pool, .has_word_list = pool->words.has != NULL};
}
