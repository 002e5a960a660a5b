/* `--wait`: a command that revokes waits until the services that follow the feed have confirmed. */
#ifndef SP_CLI_RECEIPT_H
#define SP_CLI_RECEIPT_H

#include <jansson.h>
#include <stdint.h>

#include "cli/command.h"

enum { SP_CLI_WAIT_MAX_S = 30 }; /* the server waits no longer */

#define SP_OPTION_WAIT                                                                                       \
    {                                                                                                        \
        "wait", "TIME", false,                                                                               \
            "waits up to TIME (2s; at most 30s) until every live verifier has confirmed, and says how many " \
            "have"                                                                                           \
    }

/* Of --wait, or SP_CLIENT_NO_WAIT without it. Returns an exit status: what is wrong has been said. */
int sp_receipt_option(const struct sp_invocation *in, int64_t *ret_wait_s);
/* One sentence on stdout, if the answer has a receipt. */
void sp_receipt_print(const json_t *answer);

#endif
