#include "server/notify.h"

#include <errno.h>
#include <stdarg.h>
#include <unistd.h>

#include "base/slice.h"

enum { MESSAGE_BYTES = 1024 }; /* a state, a clock and one line of status */

static bool address_of(const char *path, struct sp_notify *n) {
    const size_t len = path == NULL ? 0 : strlen(path);
    if (len < 2 || len >= sizeof(n->to.sun_path) || (path[0] != '/' && path[0] != '@')) return false;
    n->to = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(n->to.sun_path, path, len);
    if (path[0] == '@') n->to.sun_path[0] = '\0'; /* abstract: the length counts, there is no end */
    n->to_n = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + (path[0] == '/'));
    return true;
}

void sp_notify_open(struct sp_notify *n) {
    *n = (struct sp_notify){.fd = -1};
    /* Nonblocking: a manager that does not read must not hold us up. */
    if (address_of(getenv("NOTIFY_SOCKET"), n))
        n->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

void sp_notify_close(struct sp_notify *n) {
    if (n->fd >= 0) close(n->fd);
    n->fd = -1;
}

void sp_notify(const struct sp_notify *n, const char *fmt, ...) {
    if (n->fd < 0) return;
    char message[MESSAGE_BYTES];
    va_list args;
    va_start(args, fmt);
    const int len = vsnprintf(message, sizeof(message), fmt, args);
    va_end(args);
    if (len < 0 || (size_t)len >= sizeof(message)) return;
    ssize_t sent;
    do {
        sent = sendto(n->fd, message, (size_t)len, MSG_NOSIGNAL, (const struct sockaddr *)&n->to, n->to_n);
    } while (sent < 0 && errno == EINTR);
}

int64_t sp_notify_monotonic_us(void) {
    struct timespec t = {0};
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static bool number_in(const char *variable, uint64_t *ret) {
    const char *text = getenv(variable);
    return text != NULL && sp_slice_to_u64(sp_slice_cstr(text), ret);
}

int64_t sp_notify_watchdog_us(void) {
    uint64_t us, pid;
    if (!number_in("WATCHDOG_USEC", &us) || us == 0 || us > INT64_MAX) return 0;
    if (getenv("WATCHDOG_PID") != NULL && (!number_in("WATCHDOG_PID", &pid) || pid != (uint64_t)getpid()))
        return 0;
    return (int64_t)us;
}
