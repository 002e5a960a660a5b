/* The loop of a thread.
 *
 * Idea: remove the sharing. A base without locks (EVENT_BASE_FLAG_NOLOCK) with batched epoll changes
 * (EPOLL_USE_CHANGELIST: worth a fifth of the throughput), and one door for other threads: the executor.
 *
 * The executor is a stack of tasks that posters push with one compare-and-swap and that the loop takes whole
 * with one exchange, then reverses, so that tasks run in the order of posting. Only the poster that finds the
 * stack empty writes to the eventfd: a group commit that completes a hundred requests costs one system call.
 *
 * Invariants: a non-empty stack has a wake-up under way (the drain clears the eventfd *before* it takes the
 * stack); a task's memory is not read after its `run` was entered.
 *
 * Turned down: a mutex around a list (a poster could be descheduled while holding it, and the loop would
 * wait); event_active from outside (needs the locks, and a write for every post); running tasks until none is
 * left (two components that answer each other would starve the sockets). */
#include "loop/loop.h"

#include <errno.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/assert.h"

struct signal_slot {
    struct event *ev;
    void (*run)(void *arg, int signo);
    void *arg;
};

struct sp_loop {
    struct sp_executor executor; /* first thing: what posters are given */
    _Atomic(struct sp_task *) posted;
    int wake_fd;
    struct event_base *base;
    struct event *wake_ev;
    struct sp_task stop_task;
    atomic_bool stop_posted; /* stop_task may be in the stack once only */
    bool stopped;
    const struct sp_clock *clock;
    bool wall_known, boot_known; /* this iteration */
    int64_t wall_ms, boot_ms;
    size_t signals_n;
    struct signal_slot signals[SP_LOOP_SIGNALS_MAX];
};

/* --- The executor. --- */

static void wake(struct sp_loop *loop) {
    const uint64_t one = 1;
    ssize_t n;
    do {
        n = write(loop->wake_fd, &one, sizeof(one));
    } while (n < 0 && errno == EINTR);
    /* EAGAIN would mean 2^64 - 2 wake-ups not yet seen: the loop is awake anyway. */
    sp_assert(n == (ssize_t)sizeof(one) || errno == EAGAIN);
}

static void post(struct sp_executor *self, struct sp_task *task) {
    struct sp_loop *loop = SP_CONTAINER_OF(self, struct sp_loop, executor);
    struct sp_task *head = atomic_load_explicit(&loop->posted, memory_order_relaxed);
    do {
        task->next = head;
        /* release: what the poster wrote into the task is visible to the loop that takes it */
    } while (!atomic_compare_exchange_weak_explicit(&loop->posted, &head, task, memory_order_release,
                                                    memory_order_relaxed));
    if (head == NULL) wake(loop);
}

/* The posted tasks, oldest first. */
static struct sp_task *take_posted(struct sp_loop *loop) {
    /* acquire: pairs with the release of every push in the chain (read-modify-writes keep it) */
    struct sp_task *newest = atomic_exchange_explicit(&loop->posted, NULL, memory_order_acquire);
    struct sp_task *oldest = NULL;
    while (newest != NULL) {
        struct sp_task *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    return oldest;
}

static void on_wake(evutil_socket_t fd, short what, void *arg) {
    struct sp_loop *loop = arg;
    uint64_t count;
    (void)what;
    /* Before the stack is taken: whoever pushes onto the empty stack after that wakes us again. */
    while (read(fd, &count, sizeof(count)) < 0 && errno == EINTR) {
    }
    struct sp_task *task = take_posted(loop);
    while (task != NULL) {
        struct sp_task *next = task->next;
        task->run(task);
        task = next;
    }
}

struct sp_executor *sp_loop_executor(struct sp_loop *loop) {
    return &loop->executor;
}

/* --- Life. --- */

static struct event_base *base_new(void) {
    struct event_config *cfg = event_config_new();
    if (cfg == NULL) return NULL;
    struct event_base *base = NULL;
    if (event_config_set_flag(cfg, EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST) == 0) {
        base = event_base_new_with_config(cfg);
    }
    event_config_free(cfg);
    return base;
}

static void stop_run(struct sp_task *task) {
    struct sp_loop *loop = SP_CONTAINER_OF(task, struct sp_loop, stop_task);
    atomic_store_explicit(&loop->stop_posted, false, memory_order_release);
    loop->stopped = true;
}

sp_status sp_loop_new(const struct sp_clock *clock, struct sp_loop **ret_loop) {
    SP_AUTO_FREE(sp_loop) loop = calloc(1, sizeof(*loop));
    if (loop == NULL) return sp_err(SP_E_NOMEM);
    loop->executor.post = post;
    loop->stop_task.run = stop_run;
    loop->clock = clock != NULL ? clock : &sp_clock_system;
    loop->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (loop->wake_fd < 0) return sp_err(SP_E_IO);
    loop->base = base_new();
    if (loop->base == NULL) return sp_err(SP_E_NOMEM);
    loop->wake_ev = event_new(loop->base, loop->wake_fd, EV_READ | EV_PERSIST, on_wake, loop);
    if (loop->wake_ev == NULL || event_add(loop->wake_ev, NULL) != 0) return sp_err(SP_E_NOMEM);
    *ret_loop = sp_steal(&loop);
    return SP_SUCCESS;
}

void sp_loop_free(struct sp_loop *loop) {
    if (loop == NULL) return;
    for (size_t i = 0; i < loop->signals_n; i++) event_free(loop->signals[i].ev);
    if (loop->wake_ev != NULL) event_free(loop->wake_ev);
    if (loop->base != NULL) event_base_free(loop->base);
    if (loop->wake_fd >= 0) close(loop->wake_fd);
    free(loop);
}

static sp_status iterate(struct sp_loop *loop, int flags) {
    const int r = event_base_loop(loop->base, flags | EVLOOP_NO_EXIT_ON_EMPTY);
    loop->wall_known = loop->boot_known = false;
    return r < 0 ? sp_err(SP_E_IO) : SP_SUCCESS;
}

sp_status sp_loop_run(struct sp_loop *loop) {
    do {
        SP_TRY(iterate(loop, EVLOOP_ONCE));
    } while (!loop->stopped);
    loop->stopped = false;
    return SP_SUCCESS;
}

static void on_step_timeout(struct sp_loop_timer *timer) {
    (void)timer; /* it has ended the wait: that was all */
}

sp_status sp_loop_step(struct sp_loop *loop, int wait_ms) {
    if (wait_ms == 0) return iterate(loop, EVLOOP_NONBLOCK | EVLOOP_ONCE);
    if (wait_ms < 0) return iterate(loop, EVLOOP_ONCE);
    struct sp_loop_timer limit;
    sp_loop_timer_init(&limit, loop, on_step_timeout);
    sp_loop_timer_start(&limit, wait_ms);
    const sp_status s = iterate(loop, EVLOOP_ONCE);
    sp_loop_timer_cancel(&limit);
    return s;
}

void sp_loop_stop(struct sp_loop *loop) {
    if (!atomic_exchange_explicit(&loop->stop_posted, true, memory_order_acq_rel)) {
        post(&loop->executor, &loop->stop_task);
    }
}

/* --- Time. --- */

int64_t sp_loop_wall_ms(struct sp_loop *loop) {
    if (!loop->wall_known) {
        loop->wall_ms = sp_clock_wall_ms(loop->clock);
        loop->wall_known = true;
    }
    return loop->wall_ms;
}

int64_t sp_loop_boot_ms(struct sp_loop *loop) {
    if (!loop->boot_known) {
        loop->boot_ms = sp_clock_boot_ms(loop->clock);
        loop->boot_known = true;
    }
    return loop->boot_ms;
}

static int64_t clock_wall_ms(void *arg) {
    return sp_loop_wall_ms(arg);
}

static int64_t clock_boot_ms(void *arg) {
    return sp_loop_boot_ms(arg);
}

struct sp_clock sp_loop_clock(struct sp_loop *loop) {
    return (struct sp_clock){.wall_ms = clock_wall_ms, .boot_ms = clock_boot_ms, .arg = loop};
}

/* --- Timers and signals. --- */

static void on_timer(evutil_socket_t fd, short what, void *arg) {
    struct sp_loop_timer *timer = arg;
    (void)fd;
    (void)what;
    timer->run(timer);
}

void sp_loop_timer_init(struct sp_loop_timer *timer, struct sp_loop *loop,
                        void (*run)(struct sp_loop_timer *timer)) {
    timer->run = run;
    sp_assert(evtimer_assign(&timer->ev, loop->base, on_timer, timer) == 0);
}

void sp_loop_timer_start(struct sp_loop_timer *timer, int64_t delay_ms) {
    const int64_t ms = delay_ms < 0 ? 0 : delay_ms;
    const struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = (ms % 1000) * 1000};
    /* Fails only when the heap of timers cannot grow; a deadline that silently never comes would be worse. */
    sp_assert(evtimer_add(&timer->ev, &tv) == 0);
}

void sp_loop_timer_cancel(struct sp_loop_timer *timer) {
    evtimer_del(&timer->ev);
}

bool sp_loop_timer_is_running(const struct sp_loop_timer *timer) {
    return evtimer_pending(&timer->ev, NULL) != 0;
}

static void on_signal(evutil_socket_t signo, short what, void *arg) {
    struct signal_slot *slot = arg;
    (void)what;
    slot->run(slot->arg, (int)signo);
}

sp_status sp_loop_on_signal(struct sp_loop *loop, int signo, void (*run)(void *arg, int signo), void *arg) {
    if (loop->signals_n == SP_LOOP_SIGNALS_MAX) return sp_err(SP_E_LIMIT);
    struct signal_slot *slot = &loop->signals[loop->signals_n];
    *slot = (struct signal_slot){.run = run, .arg = arg};
    slot->ev = evsignal_new(loop->base, signo, on_signal, slot);
    if (slot->ev == NULL) return sp_err(SP_E_NOMEM);
    if (event_add(slot->ev, NULL) != 0) {
        event_free(slot->ev);
        return sp_err(SP_E_IO);
    }
    loop->signals_n++;
    return SP_SUCCESS;
}

struct event_base *sp_loop_base(struct sp_loop *loop) {
    return loop->base;
}
