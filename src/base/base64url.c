#include "base/base64url.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

enum { NOT_A_DIGIT = 0xFF };

#define UP(c) [c] = (c) - 'A' + 1
#define LOW(c) [c] = (c) - 'a' + 27
#define DIG(c) [c] = (c) - '0' + 53
/* Value plus one; zero is "not in the alphabet", so that the table needs no filling. */
static const uint8_t digit_plus_one[256] = {
    UP('A'),  UP('B'),  UP('C'),    UP('D'),    UP('E'),  UP('F'),  UP('G'),  UP('H'),  UP('I'),  UP('J'),
    UP('K'),  UP('L'),  UP('M'),    UP('N'),    UP('O'),  UP('P'),  UP('Q'),  UP('R'),  UP('S'),  UP('T'),
    UP('U'),  UP('V'),  UP('W'),    UP('X'),    UP('Y'),  UP('Z'),  LOW('a'), LOW('b'), LOW('c'), LOW('d'),
    LOW('e'), LOW('f'), LOW('g'),   LOW('h'),   LOW('i'), LOW('j'), LOW('k'), LOW('l'), LOW('m'), LOW('n'),
    LOW('o'), LOW('p'), LOW('q'),   LOW('r'),   LOW('s'), LOW('t'), LOW('u'), LOW('v'), LOW('w'), LOW('x'),
    LOW('y'), LOW('z'), DIG('0'),   DIG('1'),   DIG('2'), DIG('3'), DIG('4'), DIG('5'), DIG('6'), DIG('7'),
    DIG('8'), DIG('9'), ['-'] = 63, ['_'] = 64,
};

static uint8_t digit(uint8_t c) {
    return (uint8_t)(digit_plus_one[c] - 1); /* NOT_A_DIGIT for strangers */
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

sp_status sp_base64url_decode(sp_slice text, uint8_t *out, size_t cap, size_t *ret_n) {
    size_t n = SP_BASE64URL_BYTES(text.n);
    if (text.n % 4 == 1) return sp_err(SP_E_MALFORMED);
    if (n > cap) return sp_err(SP_E_LIMIT);
    size_t i = 0;
    for (; i + 4 <= text.n; i += 4) {
        uint32_t a = digit(text.p[i]), b = digit(text.p[i + 1]), c = digit(text.p[i + 2]),
                 d = digit(text.p[i + 3]);
        if ((a | b | c | d) > 63) return sp_err(SP_E_MALFORMED);
        uint32_t v = a << 18 | b << 12 | c << 6 | d;
        *out++ = (uint8_t)(v >> 16);
        *out++ = (uint8_t)(v >> 8);
        *out++ = (uint8_t)v;
    }
    SP_TRY(decode_tail(sp_slice_of(text.n == 0 ? NULL : text.p + i, text.n - i), out));
    *ret_n = n;
    return SP_SUCCESS;
}

sp_status sp_base64url_decode_exact(sp_slice text, uint8_t *out, size_t n) {
    size_t got;
    if (text.n != SP_BASE64URL_CHARS(n)) return sp_err(SP_E_MALFORMED);
    return sp_base64url_decode(text, out, n, &got);
}
