/* Talks to the running server over its admin socket: one request, one answer, JSON both ways. */
#ifndef SP_CLI_CLIENT_H
#define SP_CLI_CLIENT_H

#include "base/buf.h"
#include "cli/answer.h"
#include "cli/command.h"

enum {
    SP_ANSWER_BYTES_MAX = 64 * 1024 * 1024, /* a page of the longest list is far below */
    SP_CLIENT_TIMEOUT_S = 120, /* verifying a long audit chain takes its time; the longest wait is below */
};

/* `body` (borrowed; NULL: none) is sent as JSON. Returns an exit status: SP_EXIT_OK with *ret filled when the
 * server answered 2xx; otherwise what went wrong has been said on stderr. */
int sp_client_call(const struct sp_invocation *in, const char *method, const char *path, const json_t *body,
                   struct sp_answer *ret);
/* The same with `Prefer: wait=N`, unless wait_s is SP_CLIENT_NO_WAIT. */
enum { SP_CLIENT_NO_WAIT = -1 };
int sp_client_call_wait(const struct sp_invocation *in, const char *method, const char *path,
                        const json_t *body, int64_t wait_s, struct sp_answer *ret);

/* Whether a server listens on the admin socket; says nothing. Its process, when that is known, else 0. */
bool sp_client_probe(const struct sp_invocation *in, long *ret_pid);
/* Has the audit log verified from behind record `after` (whose hash in hexadecimal is `head`; "" for the
 * start), part by part; the last answer in *ret. `checkpoint`: query parameters, or "". (cmd_audit.c) */
int sp_audit_verify_from(const struct sp_invocation *in, const char *checkpoint, uint64_t after,
                         const char *head, struct sp_answer *ret);

/* Appends `segment` percent-encoded, so that a name cannot become another path. */
sp_status sp_path_append(struct sp_buf *path, const char *segment);

/* The data directory in force for commands that talk to a server. */
const char *sp_client_data(const struct sp_invocation *in);

#endif
