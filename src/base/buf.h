/* A growing buffer with a maximum, which every user of it must name.
 *
 * Whatever it held is wiped when it grows, shrinks or ends, so that it may carry secrets. The bytes are
 * not NUL-terminated, but for sp_buf_cstr. Not thread-safe: one owner. */
#ifndef SP_BASE_BUF_H
#define SP_BASE_BUF_H

#include "base/slice.h"
#include "base/status.h"

struct sp_buf {
    uint8_t *p;
    size_t n;
    size_t cap;
    size_t max; /* never holds more bytes than this */
};

#define SP_BUF_INIT(max_bytes)                                                                               \
    { .p = NULL, .n = 0, .cap = 0, .max = (max_bytes) }

void sp_buf_init(struct sp_buf *b, size_t max_bytes);
void sp_buf_done(struct sp_buf *b); /* wipes, frees; the buffer is empty and usable again */
/* Empties and wipes, and keeps the memory. */
void sp_buf_clear(struct sp_buf *b);
/* Cuts to the first n bytes (n <= b->n); wipes the rest. */
void sp_buf_truncate(struct sp_buf *b, size_t n);

/* All of these: SP_E_LIMIT beyond max, SP_E_NOMEM; on failure the buffer is as it was. */
sp_status sp_buf_append(struct sp_buf *b, sp_slice s);
sp_status sp_buf_append_cstr(struct sp_buf *b, const char *s);
sp_status sp_buf_append_u8(struct sp_buf *b, uint8_t v);
sp_status sp_buf_append_u32be(struct sp_buf *b, uint32_t v);
sp_status sp_buf_append_u64be(struct sp_buf *b, uint64_t v);
sp_status sp_buf_append_i64_text(struct sp_buf *b, int64_t v);
sp_status sp_buf_printf(struct sp_buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Room for n more bytes at *ret_p; the caller writes there and then calls sp_buf_advance. */
sp_status sp_buf_reserve(struct sp_buf *b, size_t n, uint8_t **ret_p);
void sp_buf_advance(struct sp_buf *b, size_t n);

/* A JSON string literal with its quotes; bytes below 0x20, '"' and '\' are escaped. `s` is valid UTF-8. */
sp_status sp_buf_append_json_string(struct sp_buf *b, sp_slice s);
sp_status sp_buf_append_base64url(struct sp_buf *b, sp_slice s);
sp_status sp_buf_append_hex(struct sp_buf *b, sp_slice s);
/* What stands below a URL, which may end with a slash: `path` begins with one. */
sp_status sp_buf_append_url(struct sp_buf *b, sp_slice url, sp_slice path);

/* Good until the next change of the buffer. */
static inline sp_slice sp_buf_slice(const struct sp_buf *b) {
    return (sp_slice){b->p, b->n};
}
/* The content with a NUL after it (which counts against max). */
sp_status sp_buf_cstr(struct sp_buf *b, const char **ret_s);

#endif
