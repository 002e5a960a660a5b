#include "base/base64url.h"
#include "base/base64url_blocks.h"

#include <endian.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

enum { NOT_A_DIGIT = 0xFF };

/* One table for each of the four places of a group: the digit's bits where they belong in the 24 bits of the
 * group, and DIGIT, which strangers lack. A group is then four loads and no arithmetic, and a run of groups
 * needs one test at its end. */
#define DIGIT 0x80000000u
#define AT(c, value, shift) [c] = DIGIT | (uint32_t)(value) << (shift)
#define UP(c, shift) AT(c, (c) - 'A', shift)
#define LOW(c, shift) AT(c, (c) - 'a' + 26, shift)
#define DIG(c, shift) AT(c, (c) - '0' + 52, shift)
#define ALPHABET(s)                                                                                          \
    {                                                                                                        \
        UP('A', s), UP('B', s), UP('C', s), UP('D', s), UP('E', s), UP('F', s), UP('G', s), UP('H', s),      \
            UP('I', s), UP('J', s), UP('K', s), UP('L', s), UP('M', s), UP('N', s), UP('O', s), UP('P', s),  \
            UP('Q', s), UP('R', s), UP('S', s), UP('T', s), UP('U', s), UP('V', s), UP('W', s), UP('X', s),  \
            UP('Y', s), UP('Z', s), LOW('a', s), LOW('b', s), LOW('c', s), LOW('d', s), LOW('e', s),         \
            LOW('f', s), LOW('g', s), LOW('h', s), LOW('i', s), LOW('j', s), LOW('k', s), LOW('l', s),       \
            LOW('m', s), LOW('n', s), LOW('o', s), LOW('p', s), LOW('q', s), LOW('r', s), LOW('s', s),       \
            LOW('t', s), LOW('u', s), LOW('v', s), LOW('w', s), LOW('x', s), LOW('y', s), LOW('z', s),       \
            DIG('0', s), DIG('1', s), DIG('2', s), DIG('3', s), DIG('4', s), DIG('5', s), DIG('6', s),       \
            DIG('7', s), DIG('8', s), DIG('9', s), AT('-', 62, s), AT('_', 63, s),                           \
    }
static const uint32_t digit_at[4][256] = {ALPHABET(18), ALPHABET(12), ALPHABET(6), ALPHABET(0)};

static uint8_t digit(uint8_t c) {
    uint32_t v = digit_at[3][c];
    return (v & DIGIT) != 0 ? (uint8_t)(v & 63) : NOT_A_DIGIT;
}

void sp_base64url_encode(sp_slice in, char *out) {
    size_t i = 0;
    for (; i + 3 <= in.n; i += 3) {
        uint32_t v = (uint32_t)in.p[i] << 16 | (uint32_t)in.p[i + 1] << 8 | in.p[i + 2];
        *out++ = alphabet[v >> 18];
        *out++ = alphabet[v >> 12 & 63];
        *out++ = alphabet[v >> 6 & 63];
        *out++ = alphabet[v & 63];
    }
    if (in.n - i == 1) {
        *out++ = alphabet[in.p[i] >> 2];
        *out = alphabet[(in.p[i] & 3) << 4];
    } else if (in.n - i == 2) {
        uint32_t v = (uint32_t)in.p[i] << 8 | in.p[i + 1];
        *out++ = alphabet[v >> 10];
        *out++ = alphabet[v >> 4 & 63];
        *out = alphabet[(v & 15) << 2];
    }
}

/* The last 2 or 3 characters. Their unused low bits must be zero, or one byte string would have many texts.
 */
static sp_status decode_tail(sp_slice tail, uint8_t *out) {
    if (tail.n == 0) return SP_SUCCESS;
    if (tail.n == 1) return sp_err(SP_E_MALFORMED);
    uint8_t a = digit(tail.p[0]), b = digit(tail.p[1]), c = tail.n == 3 ? digit(tail.p[2]) : 0;
    if (a == NOT_A_DIGIT || b == NOT_A_DIGIT || c == NOT_A_DIGIT) return sp_err(SP_E_MALFORMED);
    if (tail.n == 2 ? (b & 15) != 0 : (c & 3) != 0) return sp_err(SP_E_MALFORMED);
    out[0] = (uint8_t)(a << 2 | b >> 4);
    if (tail.n == 3) out[1] = (uint8_t)(b << 4 | c >> 2);
    return SP_SUCCESS;
}

static uint32_t group(const uint8_t *p) {
    return digit_at[0][p[0]] | digit_at[1][p[1]] | digit_at[2][p[2]] | digit_at[3][p[3]];
}
static uint32_t group_of_digits(const uint8_t *p) {
    return digit_at[0][p[0]] & digit_at[1][p[1]] & digit_at[2][p[2]] & digit_at[3][p[3]] & DIGIT;
}

static void put_last_group(uint32_t v, uint8_t *out) {
    out[0] = (uint8_t)(v >> 16);
    out[1] = (uint8_t)(v >> 8);
    out[2] = (uint8_t)v;
}

/* Whole groups; all but the last are written with a fourth byte, which the next one overwrites. A group is
 * read for the last time before it is written, for callers who decode in place. False: one of the characters
 * is a stranger, and what was written is rubbish. */
static bool decode_groups(const uint8_t *text, size_t n, uint8_t *out) {
    uint32_t all = DIGIT;
    if (n == 0) return true;
    for (; n > 1; n--, text += 4, out += 3) {
        uint32_t v = htobe32(group(text) << 8);
        all &= group_of_digits(text);
        memcpy(out, &v, sizeof v);
    }
    all &= group_of_digits(text);
    put_last_group(group(text), out);
    return all != 0;
}

/* As many as write nothing behind the end of what is decoded: the last of them fills four bytes more than it
 * decodes. */
static size_t blocks_in(size_t text_n) {
    enum { SPILLED = 4 };
    size_t n = SP_BASE64URL_BYTES(text_n);
    if (n < SP_BASE64URL_BLOCK_BYTES + SPILLED || !sp_base64url_has_blocks()) return 0;
    return (n - SPILLED) / SP_BASE64URL_BLOCK_BYTES;
}

static sp_status decode(const uint8_t *text, size_t n, uint8_t *out) {
    size_t blocks = blocks_in(n), at = blocks * SP_BASE64URL_BLOCK_CHARS, groups = (n - at) / 4;
    uint8_t *rest = out + blocks * SP_BASE64URL_BLOCK_BYTES;
    if (blocks != 0 && !sp_base64url_decode_blocks(text, blocks, out)) return sp_err(SP_E_MALFORMED);
    if (!decode_groups(text + at, groups, rest)) return sp_err(SP_E_MALFORMED);
    return decode_tail(sp_slice_of(text + at + groups * 4, n % 4), rest + groups * 3);
}

sp_status sp_base64url_decode(sp_slice text, uint8_t *out, size_t cap, size_t *ret_n) {
    size_t n = SP_BASE64URL_BYTES(text.n);
    if (text.n % 4 == 1) return sp_err(SP_E_MALFORMED);
    if (n > cap) return sp_err(SP_E_LIMIT);
    if (text.n != 0) SP_TRY(decode(text.p, text.n, out));
    *ret_n = n;
    return SP_SUCCESS;
}

sp_status sp_base64url_decode_exact(sp_slice text, uint8_t *out, size_t n) {
    size_t got;
    if (text.n != SP_BASE64URL_CHARS(n)) return sp_err(SP_E_MALFORMED);
    return sp_base64url_decode(text, out, n, &got);
}
