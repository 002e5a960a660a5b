#include "http/basic.h"

#include "base/base64url.h"
#include "base/mem.h"

enum { TEXT_MAX = (SP_BASIC_BYTES_MAX + 2) / 3 * 4 };

/* The other alphabet, whose padding says only what the length says. */
static sp_status to_base64url(sp_slice base64, char *ret, size_t *ret_n) {
    size_t n = base64.n;
    if (n == 0 || n % 4 != 0) return sp_err(SP_E_MALFORMED);
    if (n > TEXT_MAX) return sp_err(SP_E_LIMIT);
    while (n > base64.n - 2 && base64.p[n - 1] == '=') n--;
    for (size_t i = 0; i < n; i++) {
        const char c = (char)base64.p[i];
        if (c == '-' || c == '_') return sp_err(SP_E_MALFORMED);
        ret[i] = c == '+' ? '-' : c == '/' ? '_' : c;
    }
    *ret_n = n;
    return SP_SUCCESS;
}

static sp_status decode(sp_slice base64, struct sp_basic *ret, size_t *ret_n) {
    char text[TEXT_MAX];
    size_t n;
    SP_TRY(to_base64url(base64, text, &n));
    sp_status s = sp_base64url_decode(sp_slice_of(text, n), ret->bytes, sizeof(ret->bytes), ret_n);
    sp_wipe(text, sizeof(text));
    return s;
}

sp_status sp_basic_parse(sp_slice authorization, struct sp_basic *ret) {
    size_t i = 0, n = 0;
    while (i < authorization.n && authorization.p[i] != ' ') i++;
    if (i == 0 || i == authorization.n) return sp_err(SP_E_MALFORMED);
    if (!sp_slice_eq_nocase(sp_slice_of(authorization.p, i), SP_SLICE_LIT("Basic")))
        return sp_err(SP_E_UNSUPPORTED);
    while (i < authorization.n && authorization.p[i] == ' ') i++;
    SP_TRY(decode(sp_slice_of(authorization.p + i, authorization.n - i), ret, &n));
    const uint8_t *colon = n == 0 ? NULL : memchr(ret->bytes, ':', n);
    if (colon == NULL) return sp_err(SP_E_MALFORMED);
    const size_t user_n = (size_t)(colon - ret->bytes);
    ret->user = sp_slice_of(ret->bytes, user_n);
    ret->password = sp_slice_of(colon + 1, n - user_n - 1);
    return SP_SUCCESS;
}
