/* A session's two byte strings. The first byte says which: 'h', hot; 'l', login. What decodes is the one
 * encoding of its row; a byte more or less is none. A login of version 1 is read, and written again as
 * version 2: with a byte of no flags behind it. */
#include "base/assert.h"
#include "store/session_codec.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_MAX = SP_SESSION_LOGIN_BYTES_MAX + 16 };

typedef sp_status decode(sp_slice bytes, struct sp_session_row *row);

static void only_this_length(decode *decode_it, sp_slice bytes) {
    static struct sp_session_row row;
    uint8_t longer[INPUT_MAX + 1] = {0};
    memcpy(longer, bytes.p, bytes.n);
    sp_assert(!sp_ok(decode_it(sp_slice_of(longer, bytes.n + 1), &row)));
    sp_assert(!sp_ok(decode_it(sp_slice_of(longer, bytes.n - 1), &row)));
}

static void check_hot(sp_slice bytes) {
    static struct sp_session_row row;
    uint8_t again[SP_SESSION_HOT_BYTES];
    if (!sp_ok(sp_session_hot_decode(bytes, &row))) return;
    sp_session_hot_encode(&row, again);
    sp_assert(sp_slice_eq(bytes, sp_slice_of(again, sizeof(again))));
    only_this_length(sp_session_hot_decode, bytes);
}

static void check_login(sp_slice bytes) {
    static struct sp_session_row row;
    uint8_t again[SP_SESSION_LOGIN_BYTES_MAX];
    if (!sp_ok(sp_session_login_decode(bytes, &row))) return;
    sp_assert(bytes.n <= sizeof(again));
    size_t n = sp_session_login_encode(&row, again);
    sp_assert(sp_slice_eq(bytes, sp_slice_of(again, n)));
    only_this_length(sp_session_login_decode, bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0 || size > INPUT_MAX) return 0;
    const sp_slice bytes = sp_slice_of(data + 1, size - 1);
    if (data[0] == 'h') check_hot(bytes);
    if (data[0] == 'l') check_login(bytes);
    return 0;
}
