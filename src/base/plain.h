/* Runs of bytes that stand for themselves inside a JSON string, eight bytes at a time. For readers of tokens.
 */
#ifndef SP_BASE_PLAIN_H
#define SP_BASE_PLAIN_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

#define SP_EACH_BYTE(c) (0x0101010101010101u * (c))
/* What else may end a run: nothing, or bytes that are not ASCII. */
#define SP_PLAIN_ANY ((uint64_t)0)
#define SP_PLAIN_ASCII SP_EACH_BYTE(0x80)

/* The top bit of each of the eight bytes that is below `limit` (at most 0x80): right up to the first of them,
 * not beyond, since that one borrows from its neighbour. */
static inline uint64_t sp_bytes_below(uint64_t bytes, uint8_t limit) {
    return (bytes - SP_EACH_BYTE(limit)) & ~bytes & SP_EACH_BYTE(0x80);
}
static inline uint64_t sp_bytes_equal(uint64_t bytes, uint8_t c) {
    return sp_bytes_below(bytes ^ SP_EACH_BYTE(c), 1);
}

/* Where the run that begins at p ends: at a quote, a backslash, a control character, one that `kind`
 * excludes, or too early, with fewer than eight bytes left. */
static inline const uint8_t *sp_plain_end(const uint8_t *p, const uint8_t *end, uint64_t kind) {
    for (; end - p >= 8; p += 8) {
        uint64_t v;
        memcpy(&v, p, sizeof v);
        v = le64toh(v); /* the first byte is the lowest */
        uint64_t ends =
            sp_bytes_equal(v, '"') | sp_bytes_equal(v, '\\') | sp_bytes_below(v, 0x20) | (v & kind);
        if (ends != 0) return p + __builtin_ctzll(ends) / 8;
    }
    return p;
}

#endif
