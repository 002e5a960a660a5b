#include "server/inherit.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/slice.h"

enum { FIRST_FD = 3 }; /* SD_LISTEN_FDS_START: after the three standard ones */

static bool number_in(const char *variable, uint64_t *ret) {
    const char *text = getenv(variable);
    return text != NULL && sp_slice_to_u64(sp_slice_cstr(text), ret);
}

static int option_of(int fd, int option) {
    int value = -1;
    socklen_t n = sizeof(value);
    return getsockopt(fd, SOL_SOCKET, option, &value, &n) == 0 ? value : -1;
}

/* The i-th name of LISTEN_FDNAMES, which are separated by colons; empty when there is none. */
static sp_slice name_at(const char *names, size_t i) {
    const char *at = names == NULL ? "" : names;
    for (; i > 0 && *at != '\0'; i--) {
        at += strcspn(at, ":");
        at += *at == ':';
    }
    return sp_slice_of(at, strcspn(at, ":"));
}

static bool classify(int fd, sp_slice name, bool *ret_admin) {
    const int domain = option_of(fd, SO_DOMAIN);
    if (option_of(fd, SO_ACCEPTCONN) != 1 || option_of(fd, SO_TYPE) != SOCK_STREAM) return false;
    *ret_admin = domain == AF_UNIX && sp_slice_eq_cstr(name, "admin");
    return domain == AF_INET || domain == AF_INET6 || *ret_admin;
}

static sp_status take(struct sp_inherited *in, size_t n, const char *names, char *error) {
    for (size_t i = 0; i < n; i++) {
        const int fd = FIRST_FD + (int)i;
        const sp_slice name = name_at(names, i);
        bool admin = false;
        if (!classify(fd, name, &admin) || fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) {
            (void)snprintf(error, SP_INHERITED_ERROR_BYTES,
                           "inherited descriptor %d (\"%.64s\"): expected a listening TCP socket, or a Unix "
                           "socket named \"admin\"",
                           fd, name.n == 0 ? "" : (const char *)name.p);
            return sp_err(SP_E_REFUSED);
        }
        in->sockets[in->n].fd = fd;
        in->sockets[in->n++].admin = admin;
    }
    return SP_SUCCESS;
}

static sp_status read_environment(struct sp_inherited *in, char *error) {
    uint64_t pid, n;
    if (!number_in("LISTEN_PID", &pid) || pid != (uint64_t)getpid() || !number_in("LISTEN_FDS", &n))
        return SP_SUCCESS;
    if (n > SP_INHERITED_MAX) {
        (void)snprintf(error, SP_INHERITED_ERROR_BYTES, "more than %d inherited sockets", SP_INHERITED_MAX);
        return sp_err(SP_E_LIMIT);
    }
    return take(in, (size_t)n, getenv("LISTEN_FDNAMES"), error);
}

sp_status sp_inherited_take(struct sp_inherited *ret, char error[SP_INHERITED_ERROR_BYTES]) {
    struct sp_inherited in = {0};
    const sp_status status = read_environment(&in, error);
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
    if (sp_ok(status)) *ret = in;
    return status;
}

void sp_inherited_done(struct sp_inherited *in) {
    while (in->n > 0) close(in->sockets[--in->n].fd);
}
