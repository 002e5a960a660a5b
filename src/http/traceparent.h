/* W3C Trace Context, the header `traceparent` of version 00: 00-TRACE-PARENT-FLAGS. Pure. */
#ifndef SP_HTTP_TRACEPARENT_H
#define SP_HTTP_TRACEPARENT_H

#include "base/slice.h"
#include "base/status.h"

enum { SP_TRACE_ID_CHARS = 32 };

/* The trace id, within `header`. SP_E_MALFORMED. */
sp_status sp_traceparent_parse(sp_slice header, sp_slice *ret_trace_id);

#endif
