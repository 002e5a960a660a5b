/* A borrowed run of bytes. A slice owns nothing: whoever hands one out says until when it is good.
 * Not for secrets that must be compared: use sp_ct_equal (base/ct.h). */
#ifndef SP_BASE_SLICE_H
#define SP_BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct sp_slice {
    const uint8_t *p;
    size_t n;
} sp_slice;

#define SP_SLICE_LIT(s) ((sp_slice){(const uint8_t *)("" s), sizeof(s) - 1})
#define SP_SLICE_ARRAY(a) ((sp_slice){(const uint8_t *)(a), sizeof(a)})
#define SP_SLICE_EMPTY ((sp_slice){NULL, 0})
/* For printf: "%.*s", SP_SLICE_FMT(s). Only for text that is known to be printable. */
#define SP_SLICE_FMT(s) (int)(s).n, (const char *)(s).p

static inline sp_slice sp_slice_of(const void *p, size_t n) {
    return (sp_slice){(const uint8_t *)p, n};
}
/* NULL reads as empty. */
static inline sp_slice sp_slice_cstr(const char *s) {
    return (sp_slice){(const uint8_t *)s, s == NULL ? 0 : strlen(s)};
}
/* For public values only: its time depends on the content. */
static inline bool sp_slice_eq(sp_slice a, sp_slice b) {
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}
static inline bool sp_slice_eq_cstr(sp_slice a, const char *s) {
    return sp_slice_eq(a, sp_slice_cstr(s));
}
static inline bool sp_slice_starts(sp_slice a, sp_slice prefix) {
    return a.n >= prefix.n && (prefix.n == 0 || memcmp(a.p, prefix.p, prefix.n) == 0);
}
/* ASCII only, as HTTP tokens are compared. */
bool sp_slice_eq_nocase(sp_slice a, sp_slice b);
/* Order of bytes, shorter first when one is the other's prefix: <0, 0, >0. */
int sp_slice_cmp(sp_slice a, sp_slice b);
/* A decimal number of 1 to 19 digits, no sign, no leading zero (but "0"); false if it is anything else. */
bool sp_slice_to_u64(sp_slice s, uint64_t *ret);
/* Exactly n bytes in hexadecimal of either case. */
bool sp_hex_decode_exact(sp_slice text, uint8_t *ret, size_t n);

#endif
