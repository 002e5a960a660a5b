/* What the inner layers need of the outside world, as small structs of functions: time, randomness, log,
 * a place to run something later. The server wires real ones; tests and simulations wire their own. */
#ifndef SP_BASE_PORTS_H
#define SP_BASE_PORTS_H

#include "base/slice.h"
#include "base/status.h"

/* Time. wall_ms: Unix time in milliseconds, may jump. boot_ms: CLOCK_BOOTTIME, never goes back. Thread-safe.
 */
struct sp_clock {
    int64_t (*wall_ms)(void *arg);
    int64_t (*boot_ms)(void *arg);
    void *arg;
};
static inline int64_t sp_clock_wall_ms(const struct sp_clock *c) {
    return c->wall_ms(c->arg);
}
static inline int64_t sp_clock_boot_ms(const struct sp_clock *c) {
    return c->boot_ms(c->arg);
}
extern const struct sp_clock sp_clock_system;

/* Randomness fit for keys. Fills all of p or fails (SP_E_UNAVAILABLE). Thread-safe. */
struct sp_random {
    sp_status (*fill)(void *arg, void *p, size_t n);
    void *arg;
};
static inline sp_status sp_random_fill(const struct sp_random *r, void *p, size_t n) {
    return r->fill(r->arg, p, n);
}
extern const struct sp_random sp_random_system; /* getrandom(2) */

/* Something to run later on the thread that owns the executor. Intrusive: the poster owns the memory and
 * keeps it until `run` has been entered; then it may be freed or posted again. */
struct sp_task {
    void (*run)(struct sp_task *task);
    struct sp_task *next; /* the executor's while posted */
};
/* post is thread-safe and never fails; tasks of one poster run in the order in which they were posted. */
struct sp_executor {
    void (*post)(struct sp_executor *self, struct sp_task *task);
};
static inline void sp_executor_post(struct sp_executor *e, struct sp_task *t) {
    e->post(e, t);
}

/* Structured log. `event` is a stable snake_case name; fields are in order; values are UTF-8 or escaped by
 * the sink. Never a secret, a token or a password. Thread-safe. */
enum sp_log_level { SP_LOG_DEBUG, SP_LOG_INFO, SP_LOG_WARN, SP_LOG_ERROR };
enum sp_log_type { SP_LOG_TEXT, SP_LOG_I64 };
struct sp_log_field {
    const char *name;
    enum sp_log_type type;
    sp_slice text;
    int64_t i64;
};
#define SP_LOGF_TEXT(name_, slice_)                                                                          \
    ((struct sp_log_field){.name = (name_), .type = SP_LOG_TEXT, .text = (slice_)})
#define SP_LOGF_I64(name_, v_) ((struct sp_log_field){.name = (name_), .type = SP_LOG_I64, .i64 = (v_)})
struct sp_log {
    void (*write)(void *arg, enum sp_log_level level, const char *event, const struct sp_log_field *fields,
                  size_t n);
    void *arg;
};
#define SP_LOG(log, level, event, ...)                                                                       \
    do {                                                                                                     \
        const struct sp_log_field sp_fields_[] = {__VA_ARGS__};                                              \
        (log)->write((log)->arg, (level), (event), sp_fields_, sizeof(sp_fields_) / sizeof(sp_fields_[0]));  \
    } while (0)
extern const struct sp_log sp_log_none;

#endif
