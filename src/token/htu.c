#include "token/htu.h"

#include "base/reader.h"

/* Where the form is written. */
struct form {
    uint8_t *p;
    size_t n;
};

static bool put(struct form *f, uint8_t c) {
    if (f->n == SP_HTU_BYTES_MAX) return false;
    f->p[f->n++] = c;
    return true;
}

static uint8_t lower(uint8_t c) {
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
}
static bool is_digit(uint8_t c) {
    return c >= '0' && c <= '9';
}
static bool is_unreserved(uint8_t c) {
    return (lower(c) >= 'a' && lower(c) <= 'z') || is_digit(c) || c == '-' || c == '.' || c == '_' ||
           c == '~';
}

static sp_status put_all(struct form *f, sp_slice s) {
    for (size_t i = 0; i < s.n; i++) {
        if (!put(f, s.p[i])) return sp_err(SP_E_LIMIT);
    }
    return SP_SUCCESS;
}

static sp_slice tail_of(sp_slice s, size_t n) {
    return sp_slice_of(s.p + n, s.n - n);
}

/* "https://" of any case; what is left stands in *rest. */
static sp_status take_scheme(sp_slice *rest, sp_slice *ret) {
    static const sp_slice schemes[] = {SP_SLICE_LIT("https://"), SP_SLICE_LIT("http://")};
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        sp_slice s = schemes[i];
        if (rest->n < s.n || !sp_slice_eq_nocase(sp_slice_of(rest->p, s.n), s)) continue;
        *rest = tail_of(*rest, s.n);
        *ret = s;
        return SP_SUCCESS;
    }
    return sp_err(SP_E_MALFORMED);
}

/* The first byte of s that ends a part, or s.n. */
static size_t find_any(sp_slice s, const char *ends) {
    size_t i = 0;
    while (i < s.n && (s.p[i] == 0 || strchr(ends, s.p[i]) == NULL)) i++;
    return i;
}

/* A name, an IPv4 address, or an IPv6 address in brackets. Names of other letters come as A-labels. */
static sp_status check_host(sp_slice host) {
    bool is_v6 = host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']';
    sp_slice name = is_v6 ? sp_slice_of(host.p + 1, host.n - 2) : host;
    uint8_t before = '.'; /* no label is empty, but the root's at the end */
    if (name.n == 0) return sp_err(SP_E_MALFORMED);
    for (size_t i = 0; i < name.n; i++) {
        uint8_t c = name.p[i];
        if (!is_unreserved(c) && !(is_v6 && c == ':')) return sp_err(SP_E_MALFORMED);
        if (c == '.' && before == '.') return sp_err(SP_E_MALFORMED);
        before = c;
    }
    return SP_SUCCESS;
}

static sp_status check_port(sp_slice port) {
    uint64_t n = 0;
    if (port.n == 0) return SP_SUCCESS; /* "https://host:/" has the default one: RFC 3986 section 6.2.3 */
    return sp_slice_to_u64(port, &n) && n >= 1 && n <= 65535 ? SP_SUCCESS : sp_err(SP_E_MALFORMED);
}

static bool is_default(sp_slice scheme, sp_slice port) {
    return port.n == 0 || sp_slice_eq_cstr(port, scheme.n == sizeof "https://" - 1 ? "443" : "80");
}

static sp_status put_authority(struct form *f, sp_slice scheme, sp_slice authority) {
    size_t v6_n = authority.n != 0 && authority.p[0] == '[' ? find_any(authority, "]") : 0;
    size_t host_n = v6_n + find_any(tail_of(authority, v6_n), ":");
    sp_slice host = sp_slice_of(authority.p, host_n);
    sp_slice port = host_n < authority.n ? tail_of(authority, host_n + 1) : SP_SLICE_EMPTY;
    SP_TRY(check_host(host));
    SP_TRY(check_port(port));
    for (size_t i = 0; i < host.n; i++) {
        if (!put(f, lower(host.p[i]))) return sp_err(SP_E_LIMIT);
    }
    if (is_default(scheme, port)) return SP_SUCCESS;
    if (!put(f, ':')) return sp_err(SP_E_LIMIT);
    return put_all(f, port);
}

/* One escape: as the character when that needs none, in upper case otherwise. */
static sp_status put_escape(struct form *f, sp_slice hex) {
    static const char digits[] = "0123456789ABCDEF";
    uint8_t c;
    if (!sp_hex_decode_exact(hex, &c, 1) || c == 0) return sp_err(SP_E_MALFORMED);
    if (is_unreserved(c)) return put(f, c) ? SP_SUCCESS : sp_err(SP_E_LIMIT);
    const uint8_t text[] = {'%', (uint8_t)digits[c >> 4], (uint8_t)digits[c & 15]};
    return put_all(f, SP_SLICE_ARRAY(text));
}

static sp_status put_path(struct form *f, sp_slice path) {
    for (size_t i = 0; i < path.n; i++) {
        uint8_t c = path.p[i];
        if (c <= 0x20 || c >= 0x7F || c == '\\') return sp_err(SP_E_MALFORMED);
        if (c != '%') {
            if (!put(f, c)) return sp_err(SP_E_LIMIT);
            continue;
        }
        if (path.n - i < 3) return sp_err(SP_E_MALFORMED);
        SP_TRY(put_escape(f, sp_slice_of(path.p + i + 1, 2)));
        i += 2;
    }
    return path.n == 0 && !put(f, '/') ? sp_err(SP_E_LIMIT) : SP_SUCCESS;
}

/* Of the form, in which "%2e" is a dot by now. */
static bool has_dot_segment(sp_slice path) {
    struct sp_reader r = SP_READER(path);
    sp_slice segment;
    bool is_last = false;
    while (!is_last) {
        is_last = !sp_ok(sp_reader_until(&r, '/', &segment));
        if (is_last) segment = sp_reader_rest(&r);
        if (sp_slice_eq_cstr(segment, ".") || sp_slice_eq_cstr(segment, "..")) return true;
    }
    return false;
}

sp_status sp_htu_normalize(sp_slice url, uint8_t out[SP_HTU_BYTES_MAX], size_t *ret_n) {
    struct form f = {.p = out};
    sp_slice scheme, rest = sp_slice_of(url.p, find_any(url, "?#"));
    SP_TRY(take_scheme(&rest, &scheme));
    size_t authority_n = find_any(rest, "/");
    SP_TRY(put_all(&f, scheme));
    SP_TRY(put_authority(&f, scheme, sp_slice_of(rest.p, authority_n)));
    size_t path_at = f.n;
    SP_TRY(put_path(&f, tail_of(rest, authority_n)));
    if (has_dot_segment(sp_slice_of(out + path_at, f.n - path_at))) return sp_err(SP_E_MALFORMED);
    *ret_n = f.n;
    return SP_SUCCESS;
}
