#include "base/ports.h"

#include <errno.h>
#include <sys/random.h>
#include <time.h>

#include "base/assert.h"

static int64_t read_clock_ms(clockid_t id) {
    struct timespec t;
    sp_assert(clock_gettime(id, &t) == 0);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int64_t system_wall_ms(void *arg) {
    (void)arg;
    return read_clock_ms(CLOCK_REALTIME);
}

static int64_t system_boot_ms(void *arg) {
    (void)arg;
    return read_clock_ms(CLOCK_BOOTTIME);
}

const struct sp_clock sp_clock_system = {system_wall_ms, system_boot_ms, NULL};

static sp_status system_fill(void *arg, void *p, size_t n) {
    (void)arg;
    uint8_t *at = p;
    while (n != 0) {
        ssize_t got = getrandom(at, n, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return sp_err(SP_E_UNAVAILABLE);
        at += got;
        n -= (size_t)got;
    }
    return SP_SUCCESS;
}

const struct sp_random sp_random_system = {system_fill, NULL};

static void log_nothing(void *arg, enum sp_log_level level, const char *event,
                        const struct sp_log_field *fields, size_t n) {
    (void)arg, (void)level, (void)event, (void)fields, (void)n;
}

const struct sp_log sp_log_none = {log_nothing, NULL};
