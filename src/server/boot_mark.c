#include "server/boot_mark.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "base/slice.h"

enum { PATH_BYTES = 1280, TEXT_BYTES = 24 };

static sp_status mark_path(const char *dir, const char *suffix, char out[PATH_BYTES]) {
    int n = snprintf(out, PATH_BYTES, "%s/boots%s", dir, suffix);
    return n > 0 && n < PATH_BYTES ? SP_SUCCESS : sp_err(SP_E_LIMIT);
}

sp_status sp_boot_mark_read(const char *data_dir, uint64_t *ret) {
    char path[PATH_BYTES], text[TEXT_BYTES];
    SP_TRY(mark_path(data_dir, "", path));
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) {
        *ret = 0;
        return SP_SUCCESS;
    }
    if (fd < 0) return sp_err(SP_E_IO);
    ssize_t n = read(fd, text, sizeof(text));
    close(fd);
    if (n < 1) return sp_err(SP_E_IO);
    size_t digits = text[n - 1] == '\n' ? (size_t)n - 1 : (size_t)n;
    return sp_slice_to_u64(sp_slice_of(text, digits), ret) ? SP_SUCCESS : sp_err(SP_E_MALFORMED);
}

static sp_status write_synced(const char *path, uint64_t boots) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) return sp_err(SP_E_IO);
    int n = dprintf(fd, "%" PRIu64 "\n", boots);
    int failed = n < 0 || fsync(fd) != 0;
    return close(fd) == 0 && !failed ? SP_SUCCESS : sp_err(SP_E_IO);
}

sp_status sp_boot_mark_write(const char *data_dir, uint64_t boots) {
    char path[PATH_BYTES], fresh[PATH_BYTES];
    SP_TRY(mark_path(data_dir, "", path));
    SP_TRY(mark_path(data_dir, ".new", fresh));
    SP_TRY(write_synced(fresh, boots));
    return rename(fresh, path) == 0 ? SP_SUCCESS : sp_err(SP_E_IO);
}
