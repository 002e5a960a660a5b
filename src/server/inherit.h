/* Listening sockets from whoever started us: socket activation, sd_listen_fds(3), read directly.
 *
 * While this process is being replaced the sockets stay open in the service manager, and connections wait in
 * their queues: a restart refuses nobody. */
#ifndef SP_SERVER_INHERIT_H
#define SP_SERVER_INHERIT_H

#include "base/mem.h"
#include "base/status.h"

enum { SP_INHERITED_MAX = 16, SP_INHERITED_ERROR_BYTES = 256 };

struct sp_inherited {
    size_t n;
    struct {
        int fd;
        bool admin; /* a Unix socket named "admin" (FileDescriptorName=); otherwise a TCP socket */
    } sockets[SP_INHERITED_MAX];
};

/* None when the environment speaks of none or of another process. Takes the descriptors (close-on-exec) and
 * the variables away. SP_E_REFUSED: one of them is no listening TCP socket and no Unix socket named "admin";
 * SP_E_LIMIT: too many. Then error[] says which. */
sp_status sp_inherited_take(struct sp_inherited *ret, char error[SP_INHERITED_ERROR_BYTES]);
/* Closes them. What was handed on was duplicated. */
void sp_inherited_done(struct sp_inherited *in);

#endif
