/* Which two sockets are libcurl's? The one that becomes readable when it is told to wake itself; and that
 * one's other end, which the kernel made right after it, so that their numbers (inodes) follow one another. A
 * program's own pair can meet both only by a chance that does not exist. */
#include "verify/transport_cloexec.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <stdbool.h>

#include <curl/curl.h>

enum { CANDIDATES_MAX = 64 };

/* A nameless Unix stream socket that is left open on exec. */
static bool is_candidate(int fd) {
    struct sockaddr_un a = {0};
    socklen_t n = sizeof a;
    int flags = fcntl(fd, F_GETFD);
    if (flags < 0 || (flags & FD_CLOEXEC) != 0) return false;
    return getsockname(fd, (struct sockaddr *)&a, &n) == 0 && a.sun_family == AF_UNIX &&
           n <= sizeof a.sun_family;
}

static size_t find_candidates(int *ret) {
    size_t n = 0;
    DIR *dir = opendir("/proc/self/fd");
    if (dir == NULL) return 0;
    struct dirent *e;
    while (n < CANDIDATES_MAX && (e = readdir(dir)) != NULL) {
        char *end;
        long fd = strtol(e->d_name, &end, 10);
        if (end != e->d_name && *end == 0 && fd != dirfd(dir) && is_candidate((int)fd)) ret[n++] = (int)fd;
    }
    (void)closedir(dir);
    return n;
}

static bool is_readable(int fd) {
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, 0) == 1 && (p.revents & POLLIN) != 0;
}
static ino_t number_of(int fd) {
    struct stat st;
    return fstat(fd, &st) == 0 ? st.st_ino : 0;
}

void sp_transport_close_on_exec(void *multi) {
    int fds[CANDIDATES_MAX];
    bool before[CANDIDATES_MAX];
    size_t n = find_candidates(fds);
    for (size_t i = 0; i < n; i++) before[i] = is_readable(fds[i]);
    if (n == 0 || curl_multi_wakeup(multi) != CURLM_OK) return;
    for (size_t i = 0; i < n; i++) {
        if (before[i] || !is_readable(fds[i])) continue;
        for (size_t j = 0; j < n; j++) {
            ino_t a = number_of(fds[i]), b = number_of(fds[j]);
            if (a == 0 || b == 0 || (b != a + 1 && a != b + 1)) continue;
            (void)fcntl(fds[i], F_SETFD, FD_CLOEXEC);
            (void)fcntl(fds[j], F_SETFD, FD_CLOEXEC);
        }
    }
}
