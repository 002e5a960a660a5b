#include "server/heartbeat.h"

struct pulse {
    struct sp_task task;
    struct sp_heartbeat *hb;
    struct sp_loop *loop;
    bool returning; /* on its way back to the first loop */
};

struct sp_heartbeat {
    struct sp_loop_timer timer;
    struct sp_loop *first;
    int64_t interval_ms;
    void (*alive)(void *arg);
    void *arg;
    struct sp_store *store;
    struct sp_store_commit writer; /* an empty change set: through the queue, the writer, and back */
    bool writer_proved;
    size_t outstanding; /* of the first loop's thread, as is the rest */
    size_t n;
    struct pulse pulses[];
};

static void came_back(struct sp_heartbeat *hb) {
    if (--hb->outstanding == 0 && hb->writer_proved) hb->alive(hb->arg);
}

static void run_pulse(struct sp_task *task) {
    struct pulse *p = SP_CONTAINER_OF(task, struct pulse, task);
    if (p->returning) {
        came_back(p->hb);
        return;
    }
    p->returning = true;
    sp_executor_post(sp_loop_executor(p->hb->first), &p->task);
}

static void writer_came_back(struct sp_store_commit *commit) {
    struct sp_heartbeat *hb = SP_CONTAINER_OF(commit, struct sp_heartbeat, writer);
    /* A full queue answers without the writer, who alone can prove that he lives: ask again next time. */
    hb->writer_proved = !sp_is(commit->status, SP_E_BUSY);
    came_back(hb);
}

static void beat(struct sp_loop_timer *timer) {
    struct sp_heartbeat *hb = SP_CONTAINER_OF(timer, struct sp_heartbeat, timer);
    sp_loop_timer_start(timer, hb->interval_ms);
    if (hb->outstanding > 0) return; /* somebody is stuck, or slow: silence until he is back */
    hb->outstanding = hb->n + 1;
    hb->writer_proved = false;
    for (size_t i = 0; i < hb->n; i++) {
        hb->pulses[i].returning = false;
        sp_executor_post(sp_loop_executor(hb->pulses[i].loop), &hb->pulses[i].task);
    }
    hb->writer = (struct sp_store_commit){.executor = sp_loop_executor(hb->first), .done = writer_came_back};
    sp_store_commit_submit(hb->store, &hb->writer);
}

sp_status sp_heartbeat_new(struct sp_loop *const *loops, size_t n, struct sp_store *store,
                           int64_t interval_ms, void (*alive)(void *arg), void *arg,
                           struct sp_heartbeat **ret) {
    struct sp_heartbeat *hb = calloc(1, sizeof(*hb) + n * sizeof(hb->pulses[0]));
    if (hb == NULL) return sp_err(SP_E_NOMEM);
    hb->first = loops[0];
    hb->interval_ms = interval_ms;
    hb->alive = alive;
    hb->arg = arg;
    hb->store = store;
    hb->n = n;
    for (size_t i = 0; i < n; i++)
        hb->pulses[i] = (struct pulse){.task = {.run = run_pulse}, .hb = hb, .loop = loops[i]};
    sp_loop_timer_init(&hb->timer, hb->first, beat);
    sp_loop_timer_start(&hb->timer, 0);
    *ret = hb;
    return SP_SUCCESS;
}

void sp_heartbeat_free(struct sp_heartbeat *hb) {
    if (hb == NULL) return;
    sp_loop_timer_cancel(&hb->timer);
    free(hb);
}
