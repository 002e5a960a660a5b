/* base64url: what decodes encodes back to the very same text, and what is encoded decodes. */
#include "base/assert.h"
#include "base/base64url.h"
#include "base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { INPUT_MAX = 4096 };

static void text_to_bytes_and_back(sp_slice text) {
    uint8_t bytes[INPUT_MAX];
    char again[INPUT_MAX];
    size_t got;
    if (!sp_ok(sp_base64url_decode(text, bytes, sizeof(bytes), &got))) return;
    sp_assert(got == SP_BASE64URL_BYTES(text.n) && SP_BASE64URL_CHARS(got) == text.n);
    sp_base64url_encode(sp_slice_of(bytes, got), again);
    sp_assert(sp_slice_eq(sp_slice_of(again, text.n), text));
}

static void bytes_to_text_and_back(sp_slice in) {
    char text[SP_BASE64URL_CHARS(INPUT_MAX)];
    uint8_t again[INPUT_MAX];
    sp_base64url_encode(in, text);
    sp_assert(sp_ok(sp_base64url_decode_exact(sp_slice_of(text, SP_BASE64URL_CHARS(in.n)), again, in.n)));
    sp_assert(sp_slice_eq(sp_slice_of(again, in.n), in));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    if (n > INPUT_MAX) return 0;
    text_to_bytes_and_back(sp_slice_of(data, n));
    bytes_to_text_and_back(sp_slice_of(data, n));
    return 0;
}
