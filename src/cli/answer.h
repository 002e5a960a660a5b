/* What the server said on the admin socket, up to the end of the connection. Pure. */
#ifndef SP_CLI_ANSWER_H
#define SP_CLI_ANSWER_H

#include <jansson.h>

#include "base/slice.h"
#include "base/status.h"

struct sp_answer {
    int status;
    json_t *body; /* NULL: none */
};
void sp_answer_done(struct sp_answer *a);

/* SP_E_MALFORMED: not an answer of ours, or not all of it; SP_E_NOMEM looks the same. */
sp_status sp_answer_parse(sp_slice all, struct sp_answer *ret);

#endif
