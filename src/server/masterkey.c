#include "server/masterkey.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base64url.h"
#include "base/mem.h"

enum { TEXT_BYTES = SP_BASE64URL_CHARS(SP_MASTER_KEY_BYTES) };

static const char variable[] = "SALLYPORT_MASTER_KEY";

sp_status sp_master_key_parse(sp_slice text, uint8_t ret[SP_MASTER_KEY_BYTES]) {
    uint8_t key[SP_MASTER_KEY_BYTES];
    sp_status s = sp_base64url_decode_exact(text, key, sizeof(key));
    if (sp_ok(s)) memcpy(ret, key, sizeof(key));
    sp_wipe(key, sizeof(key));
    return s;
}

sp_status sp_master_key_parse_file(sp_slice content, uint8_t ret[SP_MASTER_KEY_BYTES]) {
    if (content.n == TEXT_BYTES + 1 && content.p[TEXT_BYTES] == '\n') content.n--;
    return sp_master_key_parse(content, ret);
}

static sp_status from_environment(char *text, uint8_t *ret) {
    sp_status s = sp_master_key_parse(sp_slice_cstr(text), ret);
    sp_wipe(text, strlen(text)); /* /proc/PID/environ shows this very memory */
    unsetenv(variable);
    return s;
}

/* systemd hands a credential to a service's user by an access control list on root's file. Its mask shows as
 * the group's right to read, though no group has it. */
static mode_t forbidden_mode(const char *path) {
    const char *dir = getenv("CREDENTIALS_DIRECTORY");
    const size_t n = dir == NULL ? 0 : strlen(dir);
    const bool is_credential =
        n > 1 && strncmp(path, dir, n) == 0 && path[n] == '/' && strstr(path, "/../") == NULL;
    return is_credential ? 037 : 077;
}

static sp_status read_file(int fd, mode_t forbidden, uint8_t *ret) {
    struct stat st;
    if (fstat(fd, &st) != 0) return sp_err(SP_E_IO);
    if (!S_ISREG(st.st_mode) || (st.st_mode & forbidden) != 0) return sp_err(SP_E_REFUSED);
    char text[TEXT_BYTES + 2];
    ssize_t n = read(fd, text, sizeof(text));
    sp_status s = n < 0 ? sp_err(SP_E_IO) : sp_master_key_parse_file(sp_slice_of(text, (size_t)n), ret);
    sp_wipe(text, sizeof(text));
    return s;
}

static sp_status write_all(int fd, const char *p, size_t n) {
    while (n != 0) {
        ssize_t written = write(fd, p, n);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return sp_err(SP_E_IO);
        p += written;
        n -= (size_t)written;
    }
    return fsync(fd) == 0 ? SP_SUCCESS : sp_err(SP_E_IO);
}

/* The directory too: a key that vanishes in a power cut takes every sealed key with it. */
static sp_status sync_directory_of(const char *path) {
    char dir[4096];
    const char *slash = strrchr(path, '/');
    int n = snprintf(dir, sizeof(dir), "%.*s", slash == NULL ? 1 : (int)(slash - path + 1),
                     slash == NULL ? "." : path);
    if (n < 0 || (size_t)n >= sizeof(dir)) return sp_err(SP_E_LIMIT);
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return sp_err(SP_E_IO);
    int failed = fsync(fd);
    close(fd);
    return failed ? sp_err(SP_E_IO) : SP_SUCCESS;
}

static sp_status make_file(const char *path, const struct sp_random *random, uint8_t *ret) {
    char text[TEXT_BYTES + 1];
    SP_TRY(sp_random_fill(random, ret, SP_MASTER_KEY_BYTES));
    sp_base64url_encode(sp_slice_of(ret, SP_MASTER_KEY_BYTES), text);
    text[TEXT_BYTES] = '\n';
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    sp_status s = fd < 0 ? sp_err(SP_E_IO) : write_all(fd, text, sizeof(text));
    if (fd >= 0) close(fd);
    sp_wipe(text, sizeof(text));
    if (fd >= 0 && !sp_ok(s)) unlink(path);
    SP_TRY(s);
    return sync_directory_of(path);
}

sp_status sp_master_key_load(const char *path, bool may_make, const struct sp_random *random,
                             uint8_t ret[SP_MASTER_KEY_BYTES], enum sp_master_key_origin *ret_origin) {
    char *text = getenv(variable);
    if (text != NULL) {
        *ret_origin = SP_MASTER_KEY_ENVIRONMENT;
        return from_environment(text, ret);
    }
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        sp_status s = read_file(fd, forbidden_mode(path), ret);
        close(fd);
        *ret_origin = SP_MASTER_KEY_FILE;
        return s;
    }
    if (errno != ENOENT) return sp_err(SP_E_IO);
    if (!may_make) return sp_err(SP_E_NOT_FOUND);
    *ret_origin = SP_MASTER_KEY_MADE;
    return make_file(path, random, ret);
}
