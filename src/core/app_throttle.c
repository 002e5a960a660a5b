/* Attempts: taken before the work, given back when it was not a failure.
 *
 * Taken first and not counted afterwards, because a thousand guesses may be on their way at the same time. A
 * success gives back what it took and no more, so that whoever knows one password cannot use it to wash an
 * address clean. */
#include "core/app_internal.h"

static int64_t charge(struct sp_op *op, struct sp_charge *c) {
    int64_t now_ms = sp_clock_boot_ms(&op->app->deps.clock);
    int64_t wait_ms = sp_ratelimit_take(op->app->limits, c->class, c->key, now_ms);
    c->taken = wait_ms == 0;
    return wait_ms;
}

int64_t sp_op_charge(struct sp_op *op, struct sp_charge *c, enum sp_throttle_class class, sp_slice name) {
    *c = (struct sp_charge){.class = class, .key = sp_ratelimit_key(op->app->limits, class, name)};
    return charge(op, c);
}

int64_t sp_op_charge_address(struct sp_op *op, struct sp_charge *c, enum sp_throttle_class class) {
    *c = (struct sp_charge){.class = class};
    if (op->address.n == 0) return 0; /* the admin socket, or an application that holds the library */
    c->key = sp_ratelimit_address_key(op->app->limits, class, SP_TEXT_SLICE(&op->address));
    return charge(op, c);
}

void sp_op_refund(struct sp_op *op, struct sp_charge *c) {
    if (!c->taken) return;
    c->taken = false;
    sp_ratelimit_refund(op->app->limits, c->class, c->key, sp_clock_boot_ms(&op->app->deps.clock));
}

static uint32_t whole_seconds(int64_t ms) {
    int64_t s = (ms + 999) / 1000;
    return s > UINT32_MAX ? UINT32_MAX : (uint32_t)s;
}

void sp_op_throttled(struct sp_op *op, const struct sp_charge *c, int64_t wait_ms,
                     struct sp_audit_event event) {
    op->why.retry_after_s = whole_seconds(wait_ms);
    const sp_slice bucket = sp_slice_cstr(sp_throttle_class_name(c->class));
    const struct sp_log_field detail[] = {SP_LOGF_TEXT("bucket", bucket),
                                          SP_LOGF_I64("retry_after_s", op->why.retry_after_s)};
    event.outcome = SP_AUDIT_DENIED;
    event.detail = detail;
    event.detail_n = SP_ARRAY_LEN(detail);
    atomic_fetch_add_explicit(&op->app->counters.throttled, 1, memory_order_relaxed);
    if (sp_op_audit_coalesced(op, &event)) {
        SP_LOG(&op->app->deps.log, SP_LOG_WARN, sp_audit_action_name(event.action),
               SP_LOGF_TEXT("request_id", SP_TEXT_SLICE(&op->request_id)), detail[0], detail[1]);
    }
    sp_op_finish(op, SP_OUTCOME_TOO_MANY_ATTEMPTS);
}
