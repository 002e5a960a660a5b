/* Cookie headers: never out of bounds; a value is inside its header; what we write we read back; and a pair
 * of ours after ';' is always counted, whatever stands before it. */
#include "base/assert.h"
#include "http/cookie.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void inside(sp_slice part, sp_slice whole) {
    sp_assert(part.n == 0 || (part.p >= whole.p && part.p + part.n <= whole.p + whole.n));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char tail[] = "; __Host-sp_access=x";
    if (size > 4096) return 0;
    struct sp_cookie_names names;
    sp_assert(sp_ok(sp_cookie_names_set(&names, SP_SLICE_EMPTY)));
    struct sp_cookies one = SP_COOKIES_INIT, two = SP_COOKIES_INIT;
    sp_slice in = {data, size};
    sp_cookies_read(&names, in, &one);
    for (int k = 0; k < SP_COOKIE_KINDS; k++) inside(one.value[k], in);

    uint8_t longer[4096 + sizeof(tail)];
    if (size != 0) memcpy(longer, data, size);
    memcpy(longer + size, tail, sizeof(tail) - 1);
    sp_cookies_read(&names, sp_slice_of(longer, size + sizeof(tail) - 1), &two);
    sp_assert(two.seen[SP_COOKIE_ACCESS] == one.seen[SP_COOKIE_ACCESS] + 1);
    sp_assert(two.seen[SP_COOKIE_REFRESH] == one.seen[SP_COOKIE_REFRESH]);

    struct sp_buf b;
    sp_buf_init(&b, 8192);
    if (sp_ok(sp_cookie_write(&names, SP_COOKIE_REFRESH, in, 60, &b))) {
        struct sp_cookies back = SP_COOKIES_INIT;
        sp_cookies_read(&names, sp_buf_slice(&b), &back);
        sp_assert(back.seen[SP_COOKIE_REFRESH] == 1 && sp_slice_eq(back.value[SP_COOKIE_REFRESH], in));
    } else {
        sp_assert(b.n == 0);
    }
    sp_buf_done(&b);
    return 0;
}
