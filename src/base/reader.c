#include "base/reader.h"

static sp_slice take(struct sp_reader *r, size_t n) {
    sp_slice taken = {r->rest.p, n};
    if (n != 0) r->rest.p += n;
    r->rest.n -= n;
    return taken;
}

sp_status sp_reader_bytes(struct sp_reader *r, size_t n, sp_slice *ret) {
    if (r->rest.n < n) return sp_err(SP_E_MALFORMED);
    *ret = take(r, n);
    return SP_SUCCESS;
}

sp_status sp_reader_u8(struct sp_reader *r, uint8_t *ret) {
    sp_slice s;
    SP_TRY(sp_reader_bytes(r, 1, &s));
    *ret = s.p[0];
    return SP_SUCCESS;
}

static uint64_t big_endian(sp_slice s) {
    uint64_t v = 0;
    for (size_t i = 0; i < s.n; i++) v = v << 8 | s.p[i];
    return v;
}

sp_status sp_reader_u32be(struct sp_reader *r, uint32_t *ret) {
    sp_slice s;
    SP_TRY(sp_reader_bytes(r, 4, &s));
    *ret = (uint32_t)big_endian(s);
    return SP_SUCCESS;
}

sp_status sp_reader_u64be(struct sp_reader *r, uint64_t *ret) {
    sp_slice s;
    SP_TRY(sp_reader_bytes(r, 8, &s));
    *ret = big_endian(s);
    return SP_SUCCESS;
}

sp_status sp_reader_copy(struct sp_reader *r, void *p, size_t n) {
    sp_slice s;
    SP_TRY(sp_reader_bytes(r, n, &s));
    if (n != 0) memcpy(p, s.p, n);
    return SP_SUCCESS;
}

sp_status sp_reader_until(struct sp_reader *r, char delim, sp_slice *ret) {
    if (r->rest.n == 0) return sp_err(SP_E_MALFORMED);
    const uint8_t *at = memchr(r->rest.p, delim, r->rest.n);
    if (at == NULL) return sp_err(SP_E_MALFORMED);
    *ret = take(r, (size_t)(at - r->rest.p));
    take(r, 1);
    return SP_SUCCESS;
}

sp_slice sp_reader_rest(struct sp_reader *r) {
    return take(r, r->rest.n);
}

sp_status sp_reader_end(const struct sp_reader *r) {
    return r->rest.n == 0 ? SP_SUCCESS : sp_err(SP_E_MALFORMED);
}
