#include "http/csrf.h"

#include "base/mem.h"

bool sp_origin_rule(const struct sp_origin_headers *h, const sp_slice *public_origins, size_t n) {
    if (!h->has_origin && !h->has_fetch_site) return false;
    if (h->has_fetch_site && !sp_slice_eq_cstr(h->fetch_site, "same-origin")) return false;
    if (!h->has_origin) return true;
    for (size_t i = 0; i < n; i++) {
        if (sp_slice_eq(h->origin, public_origins[i])) return true;
    }
    return false;
}

static bool host_char(uint8_t c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '[' || c == ']' ||
           c == ':' || c == '_';
}

bool sp_origin_valid(sp_slice origin) {
    size_t skip;
    if (sp_slice_starts(origin, SP_SLICE_LIT("https://"))) {
        skip = 8;
    } else if (sp_slice_starts(origin, SP_SLICE_LIT("http://"))) {
        skip = 7;
    } else {
        return false;
    }
    for (size_t i = skip; i < origin.n; i++) {
        if (!host_char(origin.p[i])) return false;
    }
    return origin.n > skip && origin.p[skip] != ':' && origin.p[origin.n - 1] != ':';
}

sp_slice sp_issuer_origin(sp_slice issuer) {
    size_t n = 0, slashes = 0;
    while (n < issuer.n && (slashes += issuer.p[n] == '/') < 3) n++;
    return sp_slice_of(issuer.p, n);
}

sp_slice sp_issuer_path(sp_slice issuer) {
    const size_t n = sp_issuer_origin(issuer).n;
    sp_slice path = sp_slice_of(issuer.p + n, issuer.n - n);
    while (path.n > 0 && path.p[path.n - 1] == '/') path.n--;
    return path;
}

bool sp_method_is_safe(sp_slice method) {
    return sp_slice_eq_cstr(method, "GET") || sp_slice_eq_cstr(method, "HEAD") ||
           sp_slice_eq_cstr(method, "OPTIONS");
}

sp_status sp_refresh_text_sid(sp_slice refresh_token, uint8_t ret_sid[SP_REFRESH_SID_BYTES]) {
    enum { BYTES = 50, SID_AT = 2 };
    const sp_slice prefix = SP_SLICE_LIT("sprt_");
    if (!sp_slice_starts(refresh_token, prefix)) return sp_err(SP_E_MALFORMED);
    sp_slice text = {refresh_token.p + prefix.n, refresh_token.n - prefix.n};
    uint8_t raw[BYTES];
    SP_TRY(sp_base64url_decode_exact(text, raw, sizeof(raw)));
    memcpy(ret_sid, raw + SID_AT, SP_REFRESH_SID_BYTES);
    sp_wipe(raw, sizeof(raw));
    return SP_SUCCESS;
}
