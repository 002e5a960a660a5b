/* The small texts of requests. The first byte says which: 't', a moment; 'x', hexadecimal; 'b',
 * Authorization with a token; 'a', with HTTP Basic; 'p', traceparent; 'w', Prefer. What is accepted can be
 * written again and means the same; what is refused gives nothing. */
#include "base/assert.h"
#include "http/basic.h"
#include "http/exchange.h"
#include "http/query_values.h"
#include "http/traceparent.h"

#include <string.h>
#include <time.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_MAX = 512, HEX_BYTES = 32 };

static bool is_one_of(sp_slice s, const char *characters) {
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == 0 || strchr(characters, s.p[i]) == NULL) return false;
    }
    return true;
}

static void check_time(sp_slice text) {
    int64_t ms = -7, again = -7;
    char written[64];
    struct tm t;
    if (!sp_ok(sp_time_parse(text, &ms))) {
        sp_assert(ms == -7);
        return;
    }
    const time_t seconds = ms / 1000;
    sp_assert(ms >= 0 && gmtime_r(&seconds, &t) != NULL);
    size_t n = strftime(written, sizeof(written), "%Y-%m-%dT%H:%M:%S", &t);
    sp_assert(n == strlen("2026-11-21T02:33:37"));
    snprintf(written + n, sizeof(written) - n, ".%03dZ", (int)(ms % 1000));
    sp_assert(sp_ok(sp_time_parse(sp_slice_cstr(written), &again)) && again == ms);
}

static void check_hex(sp_slice text) {
    uint8_t bytes[HEX_BYTES], untouched[HEX_BYTES];
    memset(bytes, 0xa5, sizeof(bytes));
    memset(untouched, 0xa5, sizeof(untouched));
    if (!sp_hex_decode_exact(text, bytes, sizeof(bytes))) {
        sp_assert(memcmp(bytes, untouched, sizeof(bytes)) == 0);
        return;
    }
    struct sp_buf again;
    sp_buf_init(&again, 2 * HEX_BYTES);
    sp_assert(sp_ok(sp_buf_append_hex(&again, SP_SLICE_ARRAY(bytes))));
    sp_assert(sp_slice_eq_nocase(sp_buf_slice(&again), text));
    sp_buf_done(&again);
}

static void check_bearer(sp_slice text) {
    sp_slice token = {NULL, 0}, again;
    char written[INPUT_MAX + 16];
    if (!sp_ok(sp_bearer_parse(text, &token))) {
        sp_assert(token.p == NULL);
        return;
    }
    sp_assert(token.n != 0 && token.p > text.p && token.p + token.n == text.p + text.n);
    sp_assert(text.n > 6 && sp_slice_eq_nocase(sp_slice_of(text.p, 7), SP_SLICE_LIT("bearer ")));
    sp_assert(is_one_of(token, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~+/="));
    int n = snprintf(written, sizeof(written), "Bearer %.*s", SP_SLICE_FMT(token));
    sp_assert(sp_ok(sp_bearer_parse(sp_slice_of(written, (size_t)n), &again)));
    sp_assert(sp_slice_eq(again, token));
}

static void check_traceparent(sp_slice text) {
    sp_slice id = {NULL, 0};
    if (!sp_ok(sp_traceparent_parse(text, &id))) {
        sp_assert(id.p == NULL);
        return;
    }
    sp_assert(id.n == SP_TRACE_ID_CHARS && id.p == text.p + 3);
    sp_assert(is_one_of(text, "0123456789abcdef-"));
    sp_assert(!is_one_of(id, "0") && memchr(id.p, '-', id.n) == NULL);
}

/* The canonical form of what was read is what was written. */
static void check_basic(sp_slice text) {
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    struct sp_basic basic;
    char written[INPUT_MAX + 16];
    size_t at = 0;
    if (!sp_ok(sp_basic_parse(text, &basic))) return;
    const size_t n = basic.user.n + 1 + basic.password.n;
    sp_assert(n <= SP_BASIC_BYTES_MAX && basic.user.p == basic.bytes && basic.bytes[basic.user.n] == ':');
    sp_assert(memchr(basic.user.p, ':', basic.user.n) == NULL);
    for (size_t i = 0; i < n; i += 3) {
        const size_t left = n - i;
        const unsigned group = (unsigned)basic.bytes[i] << 16 |
                               (left > 1 ? (unsigned)basic.bytes[i + 1] << 8 : 0) |
                               (left > 2 ? basic.bytes[i + 2] : 0u);
        written[at++] = alphabet[group >> 18];
        written[at++] = alphabet[group >> 12 & 63];
        written[at++] = left > 1 ? alphabet[group >> 6 & 63] : '=';
        written[at++] = left > 2 ? alphabet[group & 63] : '=';
    }
    sp_assert(text.n > at && memcmp(text.p + text.n - at, written, at) == 0);
    sp_assert(text.p[text.n - at - 1] == ' ');
}

static void check_prefer(sp_slice text) {
    uint32_t wait_s = 77, again = 77;
    if (!sp_prefer_wait(text, &wait_s)) {
        sp_assert(wait_s == 77);
        return;
    }
    char written[16];
    int n = snprintf(written, sizeof(written), "wait=%u", wait_s);
    sp_assert(wait_s <= 30 && sp_prefer_wait(sp_slice_of(written, (size_t)n), &again) && again == wait_s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0 || size > INPUT_MAX) return 0;
    const sp_slice text = sp_slice_of(data + 1, size - 1);
    if (data[0] == 't') check_time(text);
    if (data[0] == 'x') check_hex(text);
    if (data[0] == 'b') check_bearer(text);
    if (data[0] == 'a') check_basic(text);
    if (data[0] == 'p') check_traceparent(text);
    if (data[0] == 'w') check_prefer(text);
    return 0;
}
