/* A file that gets a secret: readable by its owner only, whole or not there at all. It is made before the
 * secret is, so that a directory that cannot be written costs no secret. */
#ifndef SP_CLI_SECRET_FILE_H
#define SP_CLI_SECRET_FILE_H

#include "base/slice.h"
#include "cli/command.h"

enum { SP_SECRET_PATH_BYTES = 4096 };
enum sp_secret_file_mode { SP_SECRET_FILE_NEW, SP_SECRET_FILE_REPLACE };

struct sp_secret_file {
    const char *path; /* NULL: none is wanted, and nothing below does anything */
    enum sp_secret_file_mode mode;
    int fd;
    char temp[SP_SECRET_PATH_BYTES]; /* beside it; "" once it is gone */
};

/* Exit statuses; what went wrong has been said. NEW: the file must not exist. */
int sp_secret_file_begin(const struct sp_invocation *in, const char *path, enum sp_secret_file_mode mode,
                         struct sp_secret_file *ret);
/* Writes, syncs, and gives the file its name. 0, or errno. */
int sp_secret_file_keep(struct sp_secret_file *f, sp_slice content);
/* After a keep it does nothing. */
void sp_secret_file_done(struct sp_secret_file *f);

#endif
