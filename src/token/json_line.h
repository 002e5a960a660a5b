/* JSON on one line, for output of tools: the same value, the same member order, the same numbers, without the
 * white space between tokens, and with every character that could move a terminal's cursor (DEL and C1; C0
 * cannot stand in JSON) as \u00XX. A library would read numbers into doubles and write others. */
#ifndef SP_TOKEN_JSON_LINE_H
#define SP_TOKEN_JSON_LINE_H

#include "base/buf.h"

/* `json` must have been accepted by sp_json_parse. Appends to *out; SP_E_LIMIT, SP_E_NOMEM. */
sp_status sp_json_line(sp_slice json, struct sp_buf *out);

#endif
