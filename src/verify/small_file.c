#include "verify/small_file.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static sp_status read_some(int fd, struct sp_buf *out, size_t *ret_n) {
    uint8_t *p;
    size_t room = out->max - out->n < 4096 ? out->max - out->n : 4096;
    if (room == 0) return sp_err(SP_E_LIMIT);
    SP_TRY(sp_buf_reserve(out, room, &p));
    ssize_t n;
    do n = read(fd, p, room);
    while (n < 0 && errno == EINTR);
    if (n < 0) return sp_err(SP_E_IO);
    sp_buf_advance(out, (size_t)n);
    *ret_n = (size_t)n;
    return SP_SUCCESS;
}

sp_status sp_small_file_read(const char *path, struct sp_buf *out) {
    size_t n = 1;
    sp_status s = SP_SUCCESS;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) return sp_err(SP_E_IO);
    while (sp_ok(s) && n != 0) s = read_some(fd, out, &n);
    (void)close(fd);
    return s;
}

bool sp_credential_valid(sp_slice c) {
    const uint8_t *colon = c.n == 0 ? NULL : memchr(c.p, ':', c.n);
    if (colon == NULL || colon == c.p || colon == c.p + c.n - 1) return false;
    for (size_t i = 0; i < c.n; i++)
        if (c.p[i] <= ' ' || c.p[i] > '~') return false;
    return true;
}

sp_status sp_credential_file_read(const char *path, struct sp_buf *out) {
    SP_TRY(sp_small_file_read(path, out));
    while (out->n != 0 && (out->p[out->n - 1] == '\n' || out->p[out->n - 1] == '\r'))
        sp_buf_truncate(out, out->n - 1);
    return sp_credential_valid(sp_buf_slice(out)) ? SP_SUCCESS : sp_err(SP_E_MALFORMED);
}
