/* Answers: JSON written straight into a buffer, one member after another.
 *
 * `name` is the member's name, or NULL inside an array and for the outermost value. The first failure (a
 * limit, no memory) sticks, and the caller asks once, at the end. Text that is not well-formed UTF-8 (a user
 * agent is whatever a client sent) is written with U+FFFD in place of each bad byte: an answer is always
 * JSON. Nothing builds a tree: answers are known in order. */
#ifndef SP_HTTP_JSON_OUT_H
#define SP_HTTP_JSON_OUT_H

#include "base/buf.h"

struct sp_json_out {
    struct sp_buf *b;
    bool comma; /* a value stands before */
    bool failed;
};
#define SP_JSON_OUT(buf) ((struct sp_json_out){.b = (buf), .comma = false, .failed = false})

void sp_json_out_object(struct sp_json_out *o, const char *name);
void sp_json_out_object_end(struct sp_json_out *o);
void sp_json_out_array(struct sp_json_out *o, const char *name);
void sp_json_out_array_end(struct sp_json_out *o);

void sp_json_out_text(struct sp_json_out *o, const char *name, sp_slice text);
void sp_json_out_i64(struct sp_json_out *o, const char *name, int64_t v);
void sp_json_out_u64(struct sp_json_out *o, const char *name, uint64_t v);
void sp_json_out_bool(struct sp_json_out *o, const char *name, bool v);
void sp_json_out_null(struct sp_json_out *o, const char *name);
/* Bytes as base64url text, and as lower-case hex. */
void sp_json_out_base64url(struct sp_json_out *o, const char *name, sp_slice bytes);
void sp_json_out_hex(struct sp_json_out *o, const char *name, sp_slice bytes);
/* A word list as an array of strings. */
void sp_json_out_words(struct sp_json_out *o, const char *name, sp_slice words);
/* RFC 3339, UTC, with milliseconds; 0 is null. */
void sp_json_out_time_ms(struct sp_json_out *o, const char *name, int64_t wall_ms);
/* The same of whole seconds. */
void sp_json_out_time_s(struct sp_json_out *o, const char *name, int64_t wall_s);
/* JSON that we wrote ourselves. */
void sp_json_out_raw(struct sp_json_out *o, const char *name, sp_slice json);

#endif
