#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/assert.h"
#include "base/base64url.h"
#include "base/mem.h"

enum {
    FIRST_CAPACITY = 256, /* most of what grows here ends between 100 and 1,000 bytes: two steps, not five */
    DIGITS_MAX = 20,      /* of an int64_t, with its sign */
};

void sp_buf_init(struct sp_buf *b, size_t max_bytes) {
    *b = (struct sp_buf)SP_BUF_INIT(max_bytes);
}

void sp_buf_done(struct sp_buf *b) {
    sp_free_wiped(b->p, b->cap);
    b->p = NULL;
    b->n = 0;
    b->cap = 0;
}

void sp_buf_clear(struct sp_buf *b) {
    sp_buf_truncate(b, 0);
}

void sp_buf_truncate(struct sp_buf *b, size_t n) {
    sp_assert(n <= b->n);
    if (n < b->n) sp_wipe(b->p + n, b->n - n);
    b->n = n;
}

/* Never realloc: it may move the bytes and leave a copy of a secret behind. */
static sp_status grow_to(struct sp_buf *b, size_t need) {
    size_t cap = b->cap < FIRST_CAPACITY ? FIRST_CAPACITY : b->cap;
    while (cap < need) cap = cap > b->max / 2 ? b->max : cap * 2;
    if (cap > b->max) cap = b->max;
    uint8_t *p = malloc(cap);
    if (p == NULL) return sp_err(SP_E_NOMEM);
    if (b->p != NULL) memcpy(p, b->p, b->n);
    sp_free_wiped(b->p, b->cap);
    b->p = p;
    b->cap = cap;
    return SP_SUCCESS;
}

sp_status sp_buf_reserve(struct sp_buf *b, size_t n, uint8_t **ret_p) {
    size_t need;
    if (!sp_add_size(b->n, n, &need) || need > b->max) return sp_err(SP_E_LIMIT);
    if (need > b->cap || b->p == NULL) SP_TRY(grow_to(b, need == 0 ? 1 : need));
    *ret_p = b->p + b->n;
    return SP_SUCCESS;
}

void sp_buf_advance(struct sp_buf *b, size_t n) {
    sp_assert(n <= b->cap - b->n);
    b->n += n;
}

sp_status sp_buf_append(struct sp_buf *b, sp_slice s) {
    if (s.n == 0) return SP_SUCCESS;
    uint8_t *p;
    SP_TRY(sp_buf_reserve(b, s.n, &p));
    memcpy(p, s.p, s.n);
    sp_buf_advance(b, s.n);
    return SP_SUCCESS;
}

sp_status sp_buf_append_cstr(struct sp_buf *b, const char *s) {
    return sp_buf_append(b, sp_slice_cstr(s));
}

sp_status sp_buf_append_u8(struct sp_buf *b, uint8_t v) {
    return sp_buf_append(b, sp_slice_of(&v, 1));
}

sp_status sp_buf_append_u32be(struct sp_buf *b, uint32_t v) {
    const uint8_t bytes[4] = {(uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v};
    return sp_buf_append(b, SP_SLICE_ARRAY(bytes));
}

sp_status sp_buf_append_u64be(struct sp_buf *b, uint64_t v) {
    uint8_t bytes[8];
    for (int i = 0; i < 8; i++) bytes[i] = (uint8_t)(v >> (56 - 8 * i));
    return sp_buf_append(b, SP_SLICE_ARRAY(bytes));
}

/* By hand: printf costs more than the rest of a number's way into an answer. */
sp_status sp_buf_append_i64_text(struct sp_buf *b, int64_t v) {
    uint8_t digits[DIGITS_MAX];
    size_t at = sizeof(digits);
    uint64_t left = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
    do {
        digits[--at] = (uint8_t)('0' + left % 10);
        left /= 10;
    } while (left != 0);
    if (v < 0) digits[--at] = '-';
    return sp_buf_append(b, sp_slice_of(digits + at, sizeof(digits) - at));
}

sp_status sp_buf_printf(struct sp_buf *b, const char *fmt, ...) {
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    uint8_t *p = NULL;
    sp_status s = n < 0 ? sp_err(SP_E_MALFORMED) : sp_buf_reserve(b, (size_t)n + 1, &p);
    if (sp_ok(s)) {
        vsnprintf((char *)p, (size_t)n + 1, fmt, again);
        sp_buf_advance(b, (size_t)n);
    }
    va_end(again);
    return s;
}

static bool needs_escape(uint8_t c) {
    return c < 0x20 || c == '"' || c == '\\';
}

/* Bytes at the front that stand for themselves: nearly always all of them. */
static size_t plain_run(sp_slice s) {
    size_t n = 0;
    while (n < s.n && !needs_escape(s.p[n])) n++;
    return n;
}

static sp_status append_escape(struct sp_buf *b, uint8_t c) {
    static const char hex[] = "0123456789abcdef";
    const uint8_t quoted[2] = {'\\', c};
    const uint8_t coded[6] = {'\\', 'u', '0', '0', (uint8_t)hex[c >> 4], (uint8_t)hex[c & 15]};
    return sp_buf_append(b, c < 0x20 ? SP_SLICE_ARRAY(coded) : SP_SLICE_ARRAY(quoted));
}

static sp_status append_escaped(struct sp_buf *b, sp_slice s) {
    for (;;) {
        size_t n = plain_run(s);
        SP_TRY(sp_buf_append(b, sp_slice_of(s.p, n)));
        if (n == s.n) return SP_SUCCESS;
        SP_TRY(append_escape(b, s.p[n]));
        s = sp_slice_of(s.p + n + 1, s.n - n - 1);
    }
}

sp_status sp_buf_append_json_string(struct sp_buf *b, sp_slice s) {
    size_t start = b->n;
    sp_status status = sp_buf_append_u8(b, '"');
    if (sp_ok(status)) status = append_escaped(b, s);
    if (sp_ok(status)) status = sp_buf_append_u8(b, '"');
    if (!sp_ok(status)) sp_buf_truncate(b, start);
    return status;
}

sp_status sp_buf_append_base64url(struct sp_buf *b, sp_slice s) {
    if (s.n == 0) return SP_SUCCESS;
    if (s.n > b->max) return sp_err(SP_E_LIMIT); /* so that the next line cannot wrap */
    uint8_t *p;
    size_t chars = SP_BASE64URL_CHARS(s.n);
    SP_TRY(sp_buf_reserve(b, chars, &p));
    sp_base64url_encode(s, (char *)p);
    sp_buf_advance(b, chars);
    return SP_SUCCESS;
}

sp_status sp_buf_append_hex(struct sp_buf *b, sp_slice s) {
    static const char hex[] = "0123456789abcdef";
    if (s.n == 0) return SP_SUCCESS;
    size_t chars;
    uint8_t *p;
    if (!sp_mul_size(s.n, 2, &chars)) return sp_err(SP_E_LIMIT);
    SP_TRY(sp_buf_reserve(b, chars, &p));
    for (size_t i = 0; i < s.n; i++) {
        p[2 * i] = (uint8_t)hex[s.p[i] >> 4];
        p[2 * i + 1] = (uint8_t)hex[s.p[i] & 15];
    }
    sp_buf_advance(b, chars);
    return SP_SUCCESS;
}

sp_status sp_buf_cstr(struct sp_buf *b, const char **ret_s) {
    uint8_t *p;
    SP_TRY(sp_buf_reserve(b, 1, &p));
    *p = 0;
    *ret_s = (const char *)b->p;
    return SP_SUCCESS;
}

sp_status sp_buf_append_url(struct sp_buf *b, sp_slice url, sp_slice path) {
    const size_t before = b->n;
    if (url.n != 0 && url.p[url.n - 1] == '/') url.n--;
    SP_TRY(sp_buf_append(b, url));
    const sp_status s = sp_buf_append(b, path);
    if (!sp_ok(s)) sp_buf_truncate(b, before);
    return s;
}
