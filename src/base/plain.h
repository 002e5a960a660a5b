/* Runs of bytes that stand for themselves inside a JSON string, sixteen bytes at a time where every processor
 * can (x86-64), else eight. For readers of tokens: finding the ends of strings is a third of reading one. */
#ifndef SP_BASE_PLAIN_H
#define SP_BASE_PLAIN_H

#include <endian.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#define SP_EACH_BYTE(c) (0x0101010101010101u * (c))
/* What a run is made of, beside that it holds no quote, backslash or control character (0x00 to 0x1f). */
enum sp_plain {
    SP_PLAIN_ANY,   /* nothing */
    SP_PLAIN_ASCII, /* ASCII */
    SP_PLAIN_WORD   /* ASCII without the space and DEL: RFC 6749 section 3.3 */
};

/* The top bit of each of the eight bytes that is below `limit` (at most 0x80): right up to the first of them,
 * not beyond, since that one borrows from its neighbour. */
static inline uint64_t sp_bytes_below(uint64_t bytes, uint8_t limit) {
    return (bytes - SP_EACH_BYTE(limit)) & ~bytes & SP_EACH_BYTE(0x80);
}
static inline uint64_t sp_bytes_equal(uint64_t bytes, uint8_t c) {
    return sp_bytes_below(bytes ^ SP_EACH_BYTE(c), 1);
}

static inline bool sp_is_plain(uint8_t c, enum sp_plain kind) {
    if (c == '"' || c == '\\' || c < (kind == SP_PLAIN_WORD ? 0x21 : 0x20)) return false;
    return kind == SP_PLAIN_ANY || c < (kind == SP_PLAIN_WORD ? 0x7f : 0x80);
}

/* The top bit of each of the eight bytes at p that is not plain, right up to the first of them, which is the
 * lowest. */
static inline uint64_t sp_plain_ends8(const uint8_t *p, enum sp_plain kind) {
    uint64_t v;
    memcpy(&v, p, sizeof v);
    v = le64toh(v);
    uint64_t ends = sp_bytes_equal(v, '"') | sp_bytes_equal(v, '\\');
    ends |= sp_bytes_below(v, kind == SP_PLAIN_WORD ? 0x21 : 0x20);
    if (kind == SP_PLAIN_WORD) ends |= sp_bytes_equal(v, 0x7f);
    if (kind != SP_PLAIN_ANY) ends |= v & SP_EACH_BYTE(0x80);
    return ends;
}

#if defined(__SSE2__)
/* A bit for each of the sixteen bytes at p that is not plain. */
static inline unsigned sp_plain_ends16(const uint8_t *p, enum sp_plain kind) {
    const __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
    __m128i ends =
        _mm_or_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8('"')), _mm_cmpeq_epi8(v, _mm_set1_epi8('\\')));
    if (kind == SP_PLAIN_ANY)
        ends = _mm_or_si128(ends, _mm_cmpeq_epi8(v, _mm_min_epu8(v, _mm_set1_epi8(0x1f))));
    else /* signed: what is not ASCII is below zero */
        ends = _mm_or_si128(ends, _mm_cmplt_epi8(v, _mm_set1_epi8(kind == SP_PLAIN_WORD ? 0x21 : 0x20)));
    if (kind == SP_PLAIN_WORD) ends = _mm_or_si128(ends, _mm_cmpeq_epi8(v, _mm_set1_epi8(0x7f)));
    return (unsigned)_mm_movemask_epi8(ends);
}
#endif

/* Where the run that begins at p ends. */
static inline const uint8_t *sp_plain_end(const uint8_t *p, const uint8_t *end, enum sp_plain kind) {
#if defined(__SSE2__)
    for (; end - p >= 16; p += 16) {
        unsigned ends = sp_plain_ends16(p, kind);
        if (ends != 0) return p + __builtin_ctz(ends);
    }
#endif
    for (; end - p >= 8; p += 8) {
        uint64_t ends = sp_plain_ends8(p, kind);
        if (ends != 0) return p + __builtin_ctzll(ends) / 8;
    }
    while (p != end && sp_is_plain(*p, kind)) p++;
    return p;
}

#endif
