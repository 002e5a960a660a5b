#include "token/string_list.h"

enum { LENGTH_BYTES = 2 };

bool sp_strings_next(struct sp_strings *list, sp_slice *ret) {
    if (list->is_one) {
        *ret = list->bytes;
        *list = SP_STRINGS_NONE;
        return true;
    }
    if (list->bytes.n < LENGTH_BYTES) return false;
    const uint8_t *p = list->bytes.p;
    size_t n = (size_t)p[0] << 8 | p[1], rest = list->bytes.n - LENGTH_BYTES;
    if (n > rest) return false;
    *ret = sp_slice_of(p + LENGTH_BYTES, n);
    list->bytes = sp_slice_of(p + LENGTH_BYTES + n, rest - n);
    return true;
}

bool sp_strings_contain(struct sp_strings list, sp_slice s) {
    sp_slice each;
    while (sp_strings_next(&list, &each)) {
        if (sp_slice_eq(each, s)) return true;
    }
    return false;
}

size_t sp_strings_count(struct sp_strings list) {
    size_t n = 0;
    sp_slice each;
    while (sp_strings_next(&list, &each)) n++;
    return n;
}

size_t sp_strings_pack(sp_slice s, uint8_t *out, size_t cap) {
    if (s.n > UINT16_MAX || SP_STRINGS_PACKED_BYTES(s.n) > cap) return 0;
    out[0] = (uint8_t)(s.n >> 8);
    out[1] = (uint8_t)s.n;
    if (s.n != 0) memmove(out + LENGTH_BYTES, s.p, s.n);
    return SP_STRINGS_PACKED_BYTES(s.n);
}
