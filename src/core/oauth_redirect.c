#include "core/oauth_redirect.h"

static bool is_alpha(uint8_t c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(uint8_t c) {
    return c >= '0' && c <= '9';
}

static bool one_of(uint8_t c, const char *set) {
    return c != 0 && strchr(set, c) != NULL;
}

/* The length of the scheme, or 0. */
static size_t scheme_of(sp_slice uri) {
    if (uri.n == 0 || !is_alpha(uri.p[0])) return 0;
    size_t i = 1;
    while (i < uri.n && (is_alpha(uri.p[i]) || is_digit(uri.p[i]) || one_of(uri.p[i], "+-."))) i++;
    return i < uri.n && uri.p[i] == ':' ? i : 0;
}

bool sp_redirect_target_valid(sp_slice uri) {
    const size_t scheme = scheme_of(uri);
    if (scheme == 0 || uri.n == scheme + 1) return false;
    for (size_t i = 0; i < uri.n; i++) {
        if (uri.p[i] <= 0x20 || uri.p[i] >= 0x7F || one_of(uri.p[i], "#\"<>\\^`{|}")) return false;
    }
    return true;
}

sp_status sp_redirect_begin(sp_slice uri, struct sp_buf *ret) {
    if (!sp_redirect_target_valid(uri)) return sp_err(SP_E_MALFORMED);
    return sp_buf_append(ret, uri);
}

static sp_status append_separator(struct sp_buf *ret) {
    if (memchr(ret->p, '?', ret->n) == NULL) return sp_buf_append_u8(ret, '?');
    const uint8_t last = ret->p[ret->n - 1];
    return last == '?' || last == '&' ? SP_SUCCESS : sp_buf_append_u8(ret, '&');
}

static bool is_unreserved(uint8_t c) {
    return is_alpha(c) || is_digit(c) || one_of(c, "-._~");
}

static sp_status append_encoded(struct sp_buf *ret, sp_slice value) {
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < value.n; i++) {
        const uint8_t c = value.p[i];
        const uint8_t escape[3] = {'%', (uint8_t)digits[c >> 4], (uint8_t)digits[c & 15]};
        SP_TRY(is_unreserved(c) ? sp_buf_append_u8(ret, c) : sp_buf_append(ret, SP_SLICE_ARRAY(escape)));
    }
    return SP_SUCCESS;
}

sp_status sp_redirect_param(struct sp_buf *ret, const char *name, sp_slice value) {
    if (value.p == NULL) return SP_SUCCESS;
    if (ret->n == 0) return sp_err(SP_E_MALFORMED);
    SP_TRY(append_separator(ret));
    SP_TRY(append_encoded(ret, sp_slice_cstr(name)));
    SP_TRY(sp_buf_append_u8(ret, '='));
    return append_encoded(ret, value);
}
