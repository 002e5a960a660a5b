/* When may a revocation be forgotten? When by the wall clock nothing that it concerns can pass any more; but
 * a wall clock can be wrong for a while, and set forward far enough every revocation has lapsed. So have the
 * tokens, until the clock is right again: then they would pass, and nobody would know that they were revoked.
 *
 * So what is forgotten goes by a time that does not follow a jump forward of the wall clock (seen against the
 * clock that counts since boot) until it has stood for an hour. A jump backward it follows at once:
 * forgetting later costs memory, forgetting too early breaks a promise.
 *
 * Not covered: a clock that is wrong for longer, or wrong when the server starts. */
#include "core/app_internal.h"

enum {
    JUMP_MS = 1000, /* less in one tick is a clock that is being adjusted */
    BELIEVED_AFTER_MS =
        3600 * 1000, /* of a machine that starts in 1970: the first hour's are kept for so long */
};

static int64_t ahead_ms(const struct sp_app *app) {
    return sp_clock_wall_ms(&app->deps.clock) - sp_clock_boot_ms(&app->deps.clock);
}

int64_t sp_app_forget_ms(const struct sp_app *app) {
    const int64_t wall_ms = sp_clock_wall_ms(&app->deps.clock);
    const int64_t steady_ms = sp_clock_boot_ms(&app->deps.clock) + atomic_load(&app->forgetting.ahead_ms);
    return steady_ms < wall_ms ? steady_ms : wall_ms;
}

static int64_t forget_wall_ms(void *arg) {
    return sp_app_forget_ms(arg);
}
static int64_t forget_boot_ms(void *arg) {
    const struct sp_app *app = arg;
    return sp_clock_boot_ms(&app->deps.clock);
}

struct sp_clock sp_app_forget_clock(struct sp_app *app) {
    return (struct sp_clock){forget_wall_ms, forget_boot_ms, app};
}

void sp_app_forget_init(struct sp_app *app) {
    atomic_store(&app->forgetting.ahead_ms, ahead_ms(app));
    app->forgetting.in_doubt = false;
}

void sp_app_forget_tick(struct sp_app *app) {
    struct sp_forgetting *f = &app->forgetting;
    const int64_t ahead = ahead_ms(app), boot_ms = sp_clock_boot_ms(&app->deps.clock);
    const bool is_jump = ahead > atomic_load(&f->ahead_ms) + JUMP_MS;
    if (!is_jump || (f->in_doubt && boot_ms - f->doubted_ms >= BELIEVED_AFTER_MS)) {
        atomic_store(&f->ahead_ms, ahead);
        f->in_doubt = false;
    } else if (!f->in_doubt) {
        f->in_doubt = true;
        f->doubted_ms = boot_ms;
    }
}
