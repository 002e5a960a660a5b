/* Talks to the running server over its admin socket: one request, one answer, JSON both ways. */
#ifndef SP_CLI_CLIENT_H
#define SP_CLI_CLIENT_H

#include <jansson.h>

#include "base/buf.h"
#include "cli/command.h"

enum {
    SP_ANSWER_BYTES_MAX = 64 * 1024 * 1024, /* a page of the longest list is far below */
    SP_CLIENT_TIMEOUT_S = 120,              /* verifying a long audit chain takes its time */
};

struct sp_answer {
    int status;
    json_t *body; /* NULL: none */
};
void sp_answer_done(struct sp_answer *a);

/* `body` (borrowed; NULL: none) is sent as JSON. Returns an exit status: SP_EXIT_OK with *ret filled when the
 * server answered 2xx; otherwise what went wrong has been said on stderr. */
int sp_client_call(const struct sp_invocation *in, const char *method, const char *path, const json_t *body,
                   struct sp_answer *ret);

/* Appends `segment` percent-encoded, so that a name cannot become another path. */
sp_status sp_path_append(struct sp_buf *path, const char *segment);

/* The data directory in force for commands that talk to a server. */
const char *sp_client_data(const struct sp_invocation *in);

#endif
