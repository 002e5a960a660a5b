/* Paths, queries and header values: what is decoded is printable UTF-8 that no separator can hide in; what is
 * encoded is visible ASCII and never empty. */
#include "base/assert.h"
#include "base/text.h"
#include "http/percent.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void decode(sp_slice in, enum sp_percent_part part) {
    uint8_t out[4096];
    size_t n;
    if (!sp_ok(sp_percent_decode(in, part, out, &n))) return;
    sp_slice decoded = sp_slice_of(out, n);
    sp_assert(n <= in.n && sp_utf8_printable(decoded));
    sp_assert(n == 0 || memchr(out, '\\', n) == NULL);
    if (part == SP_PERCENT_SEGMENT && n != 0) sp_assert(memchr(out, '/', n) == NULL);
}

static void encode(sp_slice in) {
    struct sp_buf b;
    sp_buf_init(&b, 3 * 4096);
    sp_assert(sp_ok(sp_percent_encode_words(in, &b)));
    sp_assert(b.n > 0);
    for (size_t i = 0; i < b.n; i++) sp_assert(b.p[i] >= 0x20 && b.p[i] < 0x7F);
    sp_assert(!sp_slice_eq_cstr(sp_buf_slice(&b), "-") || in.n == 0);
    sp_buf_done(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size > 4096) return 0;
    sp_slice in = {data, size};
    decode(in, SP_PERCENT_SEGMENT);
    decode(in, SP_PERCENT_QUERY_VALUE);
    encode(in);
    if (sp_percent_path_valid(in)) {
        sp_assert(data[0] == '/');
        for (size_t i = 0; i < size; i++) sp_assert(data[i] > 0x20 && data[i] < 0x7F);
    }
    return 0;
}
