/* The event loop of one thread: descriptors and timers (libevent), work posted by other threads, one clock
 * reading an iteration.
 *
 * A loop belongs to the thread that calls sp_loop_run. Everything here is for that thread, but for what is
 * marked thread-safe: sp_loop_stop and the executor's post. Those are the only ways in from outside; the
 * libevent base is built without locks, so nobody may touch it from another thread.
 *
 * Who needs descriptors (http, hiredis, libpq) uses sp_loop_base with libevent's own calls. */
#ifndef SP_LOOP_LOOP_H
#define SP_LOOP_LOOP_H

#include <event2/event.h>
#include <event2/event_struct.h>

#include "base/mem.h"
#include "base/ports.h"

struct sp_loop;

/* SP_E_NOMEM, SP_E_IO. `clock` is what the cached times are read from; NULL: the system's. Borrowed. */
sp_status sp_loop_new(const struct sp_clock *clock, struct sp_loop **ret_loop);
/* Not while it runs or anybody may still be inside post or stop. Tasks still posted are forgotten, not run:
 * their memory stays their posters'. */
void sp_loop_free(struct sp_loop *loop);
SP_DEFINE_FREE(sp_loop);

/* Runs until sp_loop_stop; may be called again afterwards. SP_E_IO when the kernel refuses to poll. */
sp_status sp_loop_run(struct sp_loop *loop);
/* One iteration: waits for at most wait_ms (0: not at all; negative: until something happens), runs what is
 * ready. For tests, fuzzers and programs that have a loop of their own. */
sp_status sp_loop_step(struct sp_loop *loop, int wait_ms);
/* Thread-safe. Whatever was posted before it runs first. Stopping a loop that does not run makes the next
 * sp_loop_run return after one iteration. */
void sp_loop_stop(struct sp_loop *loop);

/* Post to it from any thread; tasks run on the loop's thread in the order of posting, in batches, with one
 * wake-up (eventfd write) a batch. A task posted by a task runs in the next batch, after the descriptors had
 * their turn. Good as long as the loop. */
struct sp_executor *sp_loop_executor(struct sp_loop *loop);

/* Time as of this iteration: read once, at the first question. */
int64_t sp_loop_wall_ms(struct sp_loop *loop);
int64_t sp_loop_boot_ms(struct sp_loop *loop);
/* The same two as a port, for code that takes a clock; only for the loop's thread. */
struct sp_clock sp_loop_clock(struct sp_loop *loop);

/* A one-shot timer in its owner's memory. Set up once with sp_loop_timer_init; then start and cancel as often
 * as wanted. `run` may start it again or free its owner. It must be cancelled before its memory goes. */
struct sp_loop_timer {
    struct event ev; /* libevent's; not for callers */
    void (*run)(struct sp_loop_timer *timer);
};
void sp_loop_timer_init(struct sp_loop_timer *timer, struct sp_loop *loop,
                        void (*run)(struct sp_loop_timer *timer));
/* Fires once, after delay_ms (negative counts as 0); a timer that was running starts anew. */
void sp_loop_timer_start(struct sp_loop_timer *timer, int64_t delay_ms);
void sp_loop_timer_cancel(struct sp_loop_timer *timer);
bool sp_loop_timer_is_running(const struct sp_loop_timer *timer);

/* Calls run(arg, signo) on this loop's thread when the process gets the signal. One loop a process may use it
 * (libevent keeps signals in one place), at most SP_LOOP_SIGNALS_MAX signals: TERM, INT, HUP, USR1 and room.
 */
#define SP_LOOP_SIGNALS_MAX 8
sp_status sp_loop_on_signal(struct sp_loop *loop, int signo, void (*run)(void *arg, int signo), void *arg);

/* For those who need descriptors. Good as long as the loop. */
struct event_base *sp_loop_base(struct sp_loop *loop);

#endif
