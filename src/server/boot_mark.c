#include "server/boot_mark.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { PATH_BYTES = 1280 };

static sp_status mark_path(const char *dir, const char *suffix, char out[PATH_BYTES]) {
    int n = snprintf(out, PATH_BYTES, "%s/boots%s", dir, suffix);
    return n > 0 && n < PATH_BYTES ? SP_SUCCESS : sp_err(SP_E_LIMIT);
}

sp_status sp_boot_mark_parse(sp_slice line, struct sp_boot_mark *ret) {
    struct sp_boot_mark mark = {0};
    if (line.n > 0 && line.p[line.n - 1] == '\n') line.n--;
    const uint8_t *space = line.n > 0 ? memchr(line.p, ' ', line.n) : NULL;
    const size_t first = space == NULL ? line.n : (size_t)(space - line.p);
    bool good = sp_slice_to_u64(sp_slice_of(line.p, first), &mark.boots);
    if (space != NULL)
        good = good && sp_slice_to_u64(sp_slice_of(space + 1, line.n - first - 1), &mark.audit_count);
    if (!good) return sp_err(SP_E_MALFORMED);
    *ret = mark;
    return SP_SUCCESS;
}

size_t sp_boot_mark_text(const struct sp_boot_mark *mark, char ret[SP_BOOT_MARK_TEXT_BYTES]) {
    return (size_t)snprintf(ret, SP_BOOT_MARK_TEXT_BYTES, "%" PRIu64 " %" PRIu64 "\n", mark->boots,
                            mark->audit_count);
}

sp_status sp_boot_mark_read(const char *data_dir, struct sp_boot_mark *ret) {
    char path[PATH_BYTES], text[SP_BOOT_MARK_TEXT_BYTES]; /* one byte more than there may be */
    SP_TRY(mark_path(data_dir, "", path));
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) {
        *ret = (struct sp_boot_mark){0};
        return SP_SUCCESS;
    }
    if (fd < 0) return sp_err(SP_E_IO);
    ssize_t n = read(fd, text, sizeof(text));
    close(fd);
    return n < 1 ? sp_err(SP_E_IO) : sp_boot_mark_parse(sp_slice_of(text, (size_t)n), ret);
}

static sp_status write_synced(const char *path, const struct sp_boot_mark *mark) {
    char text[SP_BOOT_MARK_TEXT_BYTES];
    const size_t n = sp_boot_mark_text(mark, text);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) return sp_err(SP_E_IO);
    int failed = write(fd, text, n) != (ssize_t)n || fsync(fd) != 0;
    return close(fd) == 0 && !failed ? SP_SUCCESS : sp_err(SP_E_IO);
}

static sp_status sync_directory(const char *dir) {
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return sp_err(SP_E_IO);
    int failed = fsync(fd);
    close(fd);
    return failed ? sp_err(SP_E_IO) : SP_SUCCESS;
}

sp_status sp_boot_mark_write(const char *data_dir, const struct sp_boot_mark *mark) {
    char path[PATH_BYTES], fresh[PATH_BYTES];
    SP_TRY(mark_path(data_dir, "", path));
    SP_TRY(mark_path(data_dir, ".new", fresh));
    SP_TRY(write_synced(fresh, mark));
    if (rename(fresh, path) != 0) return sp_err(SP_E_IO);
    return sync_directory(data_dir);
}
