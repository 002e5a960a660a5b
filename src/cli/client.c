/* A client for one server that we know: HTTP/1.1 over the admin socket, Connection: close, read to the end.
 * It trusts the peer because only the server's own uid (or root) can have bound a socket in a 0700 directory.
 */
#include "cli/client.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/mem.h"

static const char default_data[] = "sallyport-data";
static const char socket_name[] = "admin.sock";

const char *sp_client_data(const struct sp_invocation *in) {
    return in->data != NULL ? in->data : default_data;
}

sp_status sp_path_append(struct sp_buf *path, const char *segment) {
    static const char unreserved[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    for (const char *p = segment; *p != 0; p++) {
        if (strchr(unreserved, *p) != NULL) {
            SP_TRY(sp_buf_append_u8(path, (uint8_t)*p));
        } else {
            SP_TRY(sp_buf_printf(path, "%%%02X", (unsigned char)*p));
        }
    }
    return SP_SUCCESS;
}

static int unreachable(const char *path, const char *why) {
    fprintf(stderr,
            "sallyport: no server answers at %s: %s\nIs it running (`sallyport serve`), and is --data its "
            "data directory?\n",
            path, why);
    return SP_EXIT_UNREACHABLE;
}

static int not_ours(const char *path) {
    fprintf(stderr, "sallyport: %s: permission denied: run as root or as the server's user\n", path);
    return SP_EXIT_UNREACHABLE;
}

static int connect_to(const char *data, int *ret_fd) {
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int n = snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/%s", data, socket_name);
    if (n < 0 || (size_t)n >= sizeof(addr.sun_path))
        return unreachable(data, "the path is too long for a socket");
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return unreachable(addr.sun_path, strerror(errno));
    const struct timeval limit = {.tv_sec = SP_CLIENT_TIMEOUT_S};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    if (connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) != 0) {
        int failed = errno;
        close(fd);
        return failed == EACCES ? not_ours(addr.sun_path) : unreachable(addr.sun_path, strerror(failed));
    }
    *ret_fd = fd;
    return SP_EXIT_OK;
}

bool sp_client_probe(const struct sp_invocation *in, long *ret_pid) {
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    struct ucred peer;
    socklen_t n = sizeof(peer);
    *ret_pid = 0;
    int length = snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/%s", sp_client_data(in), socket_name);
    if (length < 0 || (size_t)length >= sizeof(addr.sun_path)) return false;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool answers = fd >= 0 && connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) == 0;
    if (answers && getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) == 0) *ret_pid = peer.pid;
    if (fd >= 0) close(fd);
    return answers;
}

struct question {
    const char *method, *path;
    const json_t *body; /* NULL: none */
    int64_t wait_s;
};

static sp_status build_request(struct sp_buf *b, const struct question *q) {
    const json_t *body = q->body;
    SP_TRY(
        sp_buf_printf(b, "%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n", q->method, q->path));
    if (q->wait_s != SP_CLIENT_NO_WAIT)
        SP_TRY(sp_buf_printf(b, "Prefer: wait=%lld\r\n", (long long)q->wait_s));
    if (body == NULL) return sp_buf_append_cstr(b, "\r\n");
    char *text = json_dumps(body, JSON_COMPACT);
    if (text == NULL) return sp_err(SP_E_NOMEM);
    size_t n = strlen(text);
    sp_status s = sp_buf_printf(b, "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n", n);
    if (sp_ok(s)) s = sp_buf_append(b, sp_slice_of(text, n));
    sp_free_wiped(text, n); /* may carry a password */
    return s;
}

static bool send_all(int fd, sp_slice s) {
    while (s.n != 0) {
        ssize_t sent = send(fd, s.p, s.n, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        if (sent <= 0) return false;
        s = sp_slice_of(s.p + sent, s.n - (size_t)sent);
    }
    return true;
}

static bool receive_all(int fd, struct sp_buf *b) {
    for (;;) {
        uint8_t *p;
        if (!sp_ok(sp_buf_reserve(b, 16384, &p))) return false;
        ssize_t got = recv(fd, p, 16384, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return got == 0;
        sp_buf_advance(b, (size_t)got);
    }
}

static int exchange(int fd, const struct question *q, struct sp_answer *ret) {
    SP_AUTO(sp_buf) request = SP_BUF_INIT(256 * 1024);
    SP_AUTO(sp_buf) answer = SP_BUF_INIT(SP_ANSWER_BYTES_MAX);
    bool ok = sp_ok(build_request(&request, q)) && send_all(fd, sp_buf_slice(&request)) &&
              receive_all(fd, &answer) && sp_ok(sp_answer_parse(sp_buf_slice(&answer), ret));
    if (ok) return SP_EXIT_OK;
    fprintf(stderr, "sallyport: the server's answer could not be read\n");
    return SP_EXIT_UNREACHABLE;
}

/* "No such role" does not tell which; most often one was given. */
static int explain_roles(const json_t *roles) {
    size_t i;
    json_t *role;
    fputs(json_array_size(roles) == 1 ? "sallyport: No such role: " : "sallyport: Not all are roles: ",
          stderr);
    json_array_foreach(roles, i, role)
        fprintf(stderr, "%s\"%s\"", i == 0 ? "" : ", ", json_string_value(role));
    fputs(" (unknown_role); `sallyport role list` shows which there are\n", stderr);
    return SP_EXIT_FAILED;
}

static int explain(const struct sp_answer *a, const json_t *asked) {
    const char *code = json_string_value(json_object_get(a->body, "code"));
    const char *detail = json_string_value(json_object_get(a->body, "detail"));
    const char *title = json_string_value(json_object_get(a->body, "title"));
    const char *reason = json_string_value(json_object_get(a->body, "reason"));
    const json_t *roles = json_object_get(asked, "roles");
    if (code != NULL && strcmp(code, "unknown_role") == 0 && json_array_size(roles) != 0)
        return explain_roles(roles);
    fprintf(stderr, "sallyport: %s%s%s (%s)\n",
            detail  ? detail
            : title ? title
                    : "refused",
            reason ? ": " : "", reason ? reason : "", code ? code : "no code");
    return SP_EXIT_FAILED;
}

int sp_client_call(const struct sp_invocation *in, const char *method, const char *path, const json_t *body,
                   struct sp_answer *ret) {
    return sp_client_call_wait(in, method, path, body, SP_CLIENT_NO_WAIT, ret);
}

int sp_client_call_wait(const struct sp_invocation *in, const char *method, const char *path,
                        const json_t *body, int64_t wait_s, struct sp_answer *ret) {
    const struct question q = {method, path, body, wait_s};
    int fd;
    int failed = connect_to(sp_client_data(in), &fd);
    if (failed) return failed;
    struct sp_answer answer = {0};
    failed = exchange(fd, &q, &answer);
    close(fd);
    if (!failed && answer.status / 100 != 2) failed = explain(&answer, body);
    if (failed) {
        sp_answer_done(&answer);
        return failed;
    }
    *ret = answer;
    return SP_EXIT_OK;
}
