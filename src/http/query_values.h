/* Values of query parameters that are more than text. Pure. */
#ifndef SP_HTTP_QUERY_VALUES_H
#define SP_HTTP_QUERY_VALUES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "base/status.h"

/* RFC 3339 with seconds, fraction and "Z" or an offset, as 2026-11-21T02:33:37.123Z; to milliseconds, further
 * digits are cut. Years 1970 to 9999; no leap seconds. SP_E_MALFORMED. */
sp_status sp_time_parse(sp_slice text, int64_t *ret_ms);

#endif
