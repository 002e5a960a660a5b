#include "base/slice.h"

static uint8_t ascii_lower(uint8_t c) {
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c + ('a' - 'A')) : c;
}

bool sp_slice_eq_nocase(sp_slice a, sp_slice b) {
    if (a.n != b.n) return false;
    for (size_t i = 0; i < a.n; i++) {
        if (ascii_lower(a.p[i]) != ascii_lower(b.p[i])) return false;
    }
    return true;
}

int sp_slice_cmp(sp_slice a, sp_slice b) {
    size_t n = a.n < b.n ? a.n : b.n;
    int order = n == 0 ? 0 : memcmp(a.p, b.p, n);
    if (order != 0) return order;
    return a.n < b.n ? -1 : a.n > b.n;
}

bool sp_slice_to_u64(sp_slice s, uint64_t *ret) {
    if (s.n == 0 || s.n > 19 || (s.n > 1 && s.p[0] == '0')) return false;
    uint64_t v = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9') return false;
        v = v * 10 + (uint64_t)(s.p[i] - '0'); /* 19 digits cannot exceed 2^64 */
    }
    *ret = v;
    return true;
}

static int nibble(uint8_t c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

bool sp_hex_decode_exact(sp_slice text, uint8_t *ret, size_t n) {
    if (text.n != 2 * n) return false;
    for (size_t i = 0; i < text.n; i++) {
        if (nibble(text.p[i]) < 0) return false;
    }
    for (size_t i = 0; i < n; i++)
        ret[i] = (uint8_t)((unsigned)nibble(text.p[2 * i]) << 4 | (unsigned)nibble(text.p[2 * i + 1]));
    return true;
}
