/* Anything that is not exactly of the form is no trace: the id goes into our log as it is. A later version
 * may be longer, and is not read: its first fields would be the same, but we could not tell it from nonsense.
 */
#include "http/traceparent.h"

enum { VERSION_CHARS = 2, PARENT_CHARS = 16, FLAGS_CHARS = 2 };
enum {
    TRACE_AT = VERSION_CHARS + 1,
    PARENT_AT = TRACE_AT + SP_TRACE_ID_CHARS + 1,
    FLAGS_AT = PARENT_AT + PARENT_CHARS + 1,
    TRACEPARENT_CHARS = FLAGS_AT + FLAGS_CHARS,
};

static bool is_lower_hex(sp_slice s) {
    for (size_t i = 0; i < s.n; i++) {
        if (!((s.p[i] >= '0' && s.p[i] <= '9') || (s.p[i] >= 'a' && s.p[i] <= 'f'))) return false;
    }
    return true;
}

/* An id of zeros is none. */
static bool is_id(sp_slice s) {
    size_t zeros = 0;
    while (zeros < s.n && s.p[zeros] == '0') zeros++;
    return is_lower_hex(s) && zeros != s.n;
}

sp_status sp_traceparent_parse(sp_slice v, sp_slice *ret_trace_id) {
    if (v.n != TRACEPARENT_CHARS || !sp_slice_starts(v, SP_SLICE_LIT("00-"))) return sp_err(SP_E_MALFORMED);
    const sp_slice trace = sp_slice_of(v.p + TRACE_AT, SP_TRACE_ID_CHARS);
    bool good = v.p[PARENT_AT - 1] == '-' && v.p[FLAGS_AT - 1] == '-' && is_id(trace) &&
                is_id(sp_slice_of(v.p + PARENT_AT, PARENT_CHARS)) &&
                is_lower_hex(sp_slice_of(v.p + FLAGS_AT, FLAGS_CHARS));
    if (!good) return sp_err(SP_E_MALFORMED);
    *ret_trace_id = trace;
    return SP_SUCCESS;
}
