/* Tells the service manager how we are: the protocol of sd_notify(3), spoken directly, so that the program
 * needs no library for a few datagrams. Without NOTIFY_SOCKET in the environment everything here does
 * nothing. */
#ifndef SP_SERVER_NOTIFY_H
#define SP_SERVER_NOTIFY_H

#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

struct sp_notify {
    int fd; /* -1: nobody listens */
    struct sockaddr_un to;
    socklen_t to_n;
};

/* An address that is neither a path nor abstract counts as none (vsock is for machines, not for services). */
void sp_notify_open(struct sp_notify *n);
void sp_notify_close(struct sp_notify *n);
/* One message: assignments ("READY=1") on lines of their own. What cannot be sent is lost: the manager has
 * its own time limits. Thread-safe. */
void sp_notify(const struct sp_notify *n, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* CLOCK_MONOTONIC in microseconds, which RELOADING=1 must carry. */
int64_t sp_notify_monotonic_us(void);
/* How often WATCHDOG=1 is expected from this process, from the environment; 0: not at all. */
int64_t sp_notify_watchdog_us(void);

#endif
