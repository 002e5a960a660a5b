/* Listening sockets. */
#include "http/server.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 4096 /* the kernel's own default cap; a burst of logins after an outage must fit */

static sp_status status_of(int err) {
    switch (err) {
    case EADDRINUSE: return sp_err(SP_E_CONFLICT);
    case EACCES:
    case EPERM: return sp_err(SP_E_REFUSED);
    case ENOMEM: return sp_err(SP_E_NOMEM);
    default: return sp_err(SP_E_IO);
    }
}

static sp_status close_with(int fd, sp_status status) {
    close(fd);
    return status;
}

/* --- TCP. --- */

static sp_status set_options(int fd, int family, bool reuseport, bool dual) {
    const int on = 1, v6only = dual ? 0 : 1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0) return sp_err(SP_E_IO);
    if (reuseport && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) != 0) return sp_err(SP_E_IO);
    if (family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only, sizeof(v6only)) != 0) {
        return sp_err(SP_E_IO);
    }
    return SP_SUCCESS;
}

static sp_status listen_on(const struct addrinfo *ai, bool reuseport, bool dual, int *ret_fd) {
    const int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return status_of(errno);
    const sp_status status = set_options(fd, ai->ai_family, reuseport, dual);
    if (!sp_ok(status)) return close_with(fd, status);
    if (bind(fd, ai->ai_addr, ai->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0) {
        return close_with(fd, status_of(errno));
    }
    *ret_fd = fd;
    return SP_SUCCESS;
}

static sp_status listen_any(uint16_t port, bool reuseport, int *ret_fd) {
    struct sockaddr_in6 in6 = {
        .sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = IN6ADDR_ANY_INIT};
    const struct addrinfo six = {
        .ai_family = AF_INET6, .ai_addr = (struct sockaddr *)&in6, .ai_addrlen = sizeof(in6)};
    const sp_status status = listen_on(&six, reuseport, true, ret_fd);
    if (!sp_is(status, SP_E_IO)) return status;
    /* A kernel without IPv6. */
    struct sockaddr_in in = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_ANY)};
    const struct addrinfo four = {
        .ai_family = AF_INET, .ai_addr = (struct sockaddr *)&in, .ai_addrlen = sizeof(in)};
    return listen_on(&four, reuseport, false, ret_fd);
}

sp_status sp_http_listen_tcp(const char *host, uint16_t port, bool reuseport, int *ret_fd) {
    if (host[0] == '\0' || strcmp(host, "*") == 0) return listen_any(port, reuseport, ret_fd);
    char service[8];
    (void)snprintf(service, sizeof(service), "%u", (unsigned)port);
    const struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *list = NULL;
    if (getaddrinfo(host, service, &hints, &list) != 0) return sp_err(SP_E_MALFORMED);
    sp_status status = sp_err(SP_E_MALFORMED);
    for (const struct addrinfo *ai = list; ai != NULL && !sp_ok(status); ai = ai->ai_next) {
        status = listen_on(ai, reuseport, false, ret_fd);
    }
    freeaddrinfo(list);
    return status;
}

uint16_t sp_http_listen_port(int fd) {
    struct sockaddr_storage ss = {0};
    socklen_t n = sizeof(ss);
    if (getsockname(fd, (struct sockaddr *)&ss, &n) != 0) return 0;
    if (ss.ss_family == AF_INET) return ntohs(((const struct sockaddr_in *)&ss)->sin_port);
    if (ss.ss_family == AF_INET6) return ntohs(((const struct sockaddr_in6 *)&ss)->sin6_port);
    return 0;
}

/* --- Unix. --- */

static sp_status address_of(const char *path, struct sockaddr_un *ret_un) {
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    const size_t n = strlen(path);
    if (n == 0) return sp_err(SP_E_MALFORMED);
    if (n >= sizeof(un.sun_path)) return sp_err(SP_E_LIMIT);
    memcpy(un.sun_path, path, n + 1);
    *ret_un = un;
    return SP_SUCCESS;
}

/* Nothing there, or a socket on which nobody listens any more. */
static sp_status check_replaceable(const char *path) {
    struct stat st;
    if (lstat(path, &st) != 0) return errno == ENOENT ? SP_SUCCESS : status_of(errno);
    if (!S_ISSOCK(st.st_mode)) return sp_err(SP_E_CONFLICT);
    struct sockaddr_un un;
    SP_TRY(address_of(path, &un));
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return status_of(errno);
    const bool refused = connect(fd, (struct sockaddr *)&un, sizeof(un)) != 0 && errno == ECONNREFUSED;
    return close_with(fd, refused ? SP_SUCCESS : sp_err(SP_E_CONFLICT));
}

static sp_status bind_and_move(int fd, const char *private_path, const char *path, mode_t mode) {
    struct sockaddr_un un;
    SP_TRY(address_of(private_path, &un));
    if (bind(fd, (struct sockaddr *)&un, sizeof(un)) != 0) return status_of(errno);
    /* Listening before it gets its name: whoever finds it can connect. */
    if (chmod(private_path, mode) != 0 || listen(fd, BACKLOG) != 0 || rename(private_path, path) != 0) {
        const sp_status status = status_of(errno);
        (void)unlink(private_path);
        return status;
    }
    return SP_SUCCESS;
}

sp_status sp_http_listen_unix(const char *path, mode_t mode, int *ret_fd) {
    struct sockaddr_un un;
    SP_TRY(address_of(path, &un));
    SP_TRY(check_replaceable(path));
    char dir[sizeof(un.sun_path) + 16], private_path[sizeof(dir) + 4];
    (void)snprintf(dir, sizeof(dir), "%s.XXXXXX", path);
    if (mkdtemp(dir) == NULL)
        return status_of(errno); /* 0700: nobody sees the socket before its mode is set */
    (void)snprintf(private_path, sizeof(private_path), "%s/s", dir);
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const sp_status status = fd < 0 ? status_of(errno) : bind_and_move(fd, private_path, path, mode);
    (void)rmdir(dir);
    if (!sp_ok(status)) {
        if (fd >= 0) close(fd);
        return status;
    }
    *ret_fd = fd;
    return SP_SUCCESS;
}
