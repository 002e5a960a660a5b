#include "cli/secret_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int refused(const struct sp_invocation *in, const char *path, int error) {
    fprintf(stderr, "sallyport %s: %s: %s\n", in->command->name, path, strerror(error));
    return SP_EXIT_FAILED;
}

int sp_secret_file_begin(const struct sp_invocation *in, const char *path, enum sp_secret_file_mode mode,
                         struct sp_secret_file *ret) {
    struct stat st;
    *ret = (struct sp_secret_file){.path = path, .mode = mode, .fd = -1};
    if (path == NULL) return SP_EXIT_OK;
    const bool exists = lstat(path, &st) == 0;
    if (exists && mode == SP_SECRET_FILE_NEW) return refused(in, path, EEXIST);
    if (exists && !S_ISREG(st.st_mode)) return refused(in, path, EINVAL); /* it would be replaced */
    const int n = snprintf(ret->temp, sizeof(ret->temp), "%s.XXXXXX", path);
    if (n < 0 || (size_t)n >= sizeof(ret->temp)) {
        ret->temp[0] = 0;
        return refused(in, path, ENAMETOOLONG);
    }
    ret->fd = mkostemp(ret->temp, O_CLOEXEC); /* 0600 */
    if (ret->fd >= 0) return SP_EXIT_OK;
    ret->temp[0] = 0;
    return refused(in, path, errno);
}

static int write_all(int fd, sp_slice content) {
    while (content.n != 0) {
        const ssize_t n = write(fd, content.p, content.n);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return errno;
        content = sp_slice_of(content.p + n, content.n - (size_t)n);
    }
    return fsync(fd) == 0 ? 0 : errno;
}

/* link(2) does not replace: somebody may have made the file meanwhile. */
static int give_name(struct sp_secret_file *f) {
    if (f->mode == SP_SECRET_FILE_NEW) return link(f->temp, f->path) == 0 ? 0 : errno;
    if (rename(f->temp, f->path) != 0) return errno;
    f->temp[0] = 0;
    return 0;
}

int sp_secret_file_keep(struct sp_secret_file *f, sp_slice content) {
    const int failed = write_all(f->fd, content);
    return failed != 0 ? failed : give_name(f);
}

void sp_secret_file_done(struct sp_secret_file *f) {
    if (f->temp[0] != 0) unlink(f->temp);
    if (f->fd >= 0) close(f->fd);
    f->temp[0] = 0;
    f->fd = -1;
}
