/* A checkpoint of the audit log as people keep it. Pure. */
#ifndef SP_CLI_CHECKPOINT_H
#define SP_CLI_CHECKPOINT_H

#include <jansson.h>

#include "base/buf.h"

enum { SP_CHECKPOINT_ERROR_BYTES = 200 };

/* `text`: what `sallyport audit checkpoint` printed, or a line of the server's log with such an event: a JSON
 * object with count, time_ms, head and mac; other members are left alone. Appends the query parameters by
 * which the server looks for it, each with a leading '&'. SP_E_MALFORMED with a sentence in error[], and
 * *query as it was. */
sp_status sp_checkpoint_query(sp_slice text, struct sp_buf *query, char error[SP_CHECKPOINT_ERROR_BYTES]);
/* The same as the body of a request: an object of the four members, the caller's to free. */
sp_status sp_checkpoint_body(sp_slice text, json_t **ret, char error[SP_CHECKPOINT_ERROR_BYTES]);

#endif
