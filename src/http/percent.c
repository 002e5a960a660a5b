#include "http/percent.h"

#include "base/text.h"

static bool unreserved(uint8_t c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

static bool one_of(uint8_t c, const char *set) {
    return c != 0 && strchr(set, c) != NULL;
}

/* What may stand unencoded: RFC 3986 section 3.3; in a query nothing that anyone takes for a separator (';'
 * was one once). */
static bool plain(uint8_t c, enum sp_percent_part part) {
    if (unreserved(c)) return true;
    return one_of(c, part == SP_PERCENT_SEGMENT ? "!$&'()*+,;=:@" : "!$'()*,:@/?");
}

static int hex_upper(uint8_t c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/* One escape at in[0..3). */
static sp_status escape(sp_slice in, uint8_t *ret) {
    if (in.n < 3) return sp_err(SP_E_MALFORMED);
    int high = hex_upper(in.p[1]);
    int low = hex_upper(in.p[2]);
    if (high < 0 || low < 0) return sp_err(SP_E_MALFORMED);
    uint8_t c = (uint8_t)(high << 4 | low);
    if (unreserved(c) || c < 0x20 || c == 0x7F || c == '\\') return sp_err(SP_E_MALFORMED);
    *ret = c;
    return SP_SUCCESS;
}

sp_status sp_percent_decode(sp_slice in, enum sp_percent_part part, uint8_t *out, size_t *ret_n) {
    size_t n = 0;
    for (size_t i = 0; i < in.n;) {
        uint8_t c = in.p[i];
        if (c == '%') {
            SP_TRY(escape(sp_slice_of(in.p + i, in.n - i), &c));
            if (c == '/' && part == SP_PERCENT_SEGMENT) return sp_err(SP_E_MALFORMED);
            i += 3;
        } else {
            if (!plain(c, part)) return sp_err(SP_E_MALFORMED);
            i++;
        }
        out[n++] = c;
    }
    if (!sp_utf8_printable(sp_slice_of(out, n))) return sp_err(SP_E_MALFORMED);
    *ret_n = n;
    return SP_SUCCESS;
}

static bool segment_valid(sp_slice s) {
    if (sp_slice_eq_cstr(s, ".") || sp_slice_eq_cstr(s, "..")) return false;
    for (size_t i = 0; i < s.n;) {
        uint8_t c = s.p[i];
        if (c != '%') {
            if (!plain(c, SP_PERCENT_SEGMENT)) return false;
            i++;
            continue;
        }
        if (!sp_ok(escape(sp_slice_of(s.p + i, s.n - i), &c)) || c == '/') return false;
        i += 3;
    }
    return true;
}

bool sp_percent_path_valid(sp_slice path) {
    if (path.n == 0 || path.p[0] != '/') return false;
    size_t begin = 1;
    for (size_t i = 1; i <= path.n; i++) {
        if (i < path.n && path.p[i] != '/') continue;
        if (!segment_valid(sp_slice_of(path.p + begin, i - begin))) return false;
        begin = i + 1;
    }
    return true;
}

static sp_status encode_word(sp_slice word, struct sp_buf *ret) {
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < word.n; i++) {
        uint8_t c = word.p[i];
        if (unreserved(c) || c == ':' || c == '*') {
            SP_TRY(sp_buf_append_u8(ret, c));
            continue;
        }
        const uint8_t text[3] = {'%', (uint8_t)digits[c >> 4], (uint8_t)digits[c & 15]};
        SP_TRY(sp_buf_append(ret, SP_SLICE_ARRAY(text)));
    }
    return SP_SUCCESS;
}

sp_status sp_percent_encode_words(sp_slice words, struct sp_buf *ret) {
    if (words.n == 0) return sp_buf_append_u8(ret, '-');
    if (sp_slice_eq_cstr(words, "-")) return sp_buf_append_cstr(ret, "%2D");
    size_t begin = 0;
    for (size_t i = 0; i <= words.n; i++) {
        if (i < words.n && words.p[i] != ' ') continue;
        if (begin != 0) SP_TRY(sp_buf_append_u8(ret, ' '));
        SP_TRY(encode_word(sp_slice_of(words.p + begin, i - begin), ret));
        begin = i + 1;
    }
    return SP_SUCCESS;
}
