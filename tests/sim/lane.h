/* An executor that belongs to a thread, which waits for its own tasks. */
#ifndef SP_TESTS_SIM_LANE_H
#define SP_TESTS_SIM_LANE_H

#include <pthread.h>

#include "base/mem.h"
#include "base/ports.h"

struct lane_queue {
    struct sp_executor executor;
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    struct sp_task *head, **tail;
};

static inline void lane_post(struct sp_executor *self, struct sp_task *task) {
    struct lane_queue *q = SP_CONTAINER_OF(self, struct lane_queue, executor);
    pthread_mutex_lock(&q->mutex);
    task->next = NULL;
    *q->tail = task;
    q->tail = &task->next;
    pthread_cond_signal(&q->cond);
    pthread_mutex_unlock(&q->mutex);
}

static inline struct sp_task *lane_take(struct lane_queue *q) {
    pthread_mutex_lock(&q->mutex);
    while (q->head == NULL) pthread_cond_wait(&q->cond, &q->mutex);
    struct sp_task *t = q->head;
    q->head = t->next;
    if (q->head == NULL) q->tail = &q->head;
    pthread_mutex_unlock(&q->mutex);
    return t;
}

/* Runs what is posted until there is an answer. */
static inline void lane_until(struct lane_queue *q, const uint32_t *answers) {
    while (*answers == 0) {
        struct sp_task *t = lane_take(q);
        t->run(t);
    }
}

/* Where it lies it stays. */
static inline void lane_init(struct lane_queue *q) {
    q->executor.post = lane_post;
    q->head = NULL;
    q->tail = &q->head;
    assert_int_equal(pthread_mutex_init(&q->mutex, NULL), 0);
    assert_int_equal(pthread_cond_init(&q->cond, NULL), 0);
}

#endif
