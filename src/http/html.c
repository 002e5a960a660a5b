#include "http/html.h"

#include "base/text.h"

/* Length of the well-formed character at the front, 0 if there is none. */
static size_t character(sp_slice s) {
    for (size_t n = 1; n <= 4 && n <= s.n; n++) {
        if (sp_utf8_valid(sp_slice_of(s.p, n))) return n;
    }
    return 0;
}

/* U+202A to U+202E, U+2066 to U+2069, and U+200E, U+200F, U+061C. */
static bool turns_direction(sp_slice c) {
    if (c.n == 2) return c.p[0] == 0xD8 && c.p[1] == 0x9C;
    if (c.n != 3 || c.p[0] != 0xE2) return false;
    if (c.p[1] == 0x80) return c.p[2] == 0x8E || c.p[2] == 0x8F || (c.p[2] >= 0xAA && c.p[2] <= 0xAE);
    return c.p[1] == 0x81 && c.p[2] >= 0xA6 && c.p[2] <= 0xA9;
}

static sp_status put(sp_slice c, struct sp_buf *ret) {
    if (c.n == 1) {
        switch (c.p[0]) {
        case '&': return sp_buf_append_cstr(ret, "&amp;");
        case '<': return sp_buf_append_cstr(ret, "&lt;");
        case '>': return sp_buf_append_cstr(ret, "&gt;");
        case '"': return sp_buf_append_cstr(ret, "&#34;");
        case '\'': return sp_buf_append_cstr(ret, "&#39;");
        default: break;
        }
    }
    const bool bad = !sp_utf8_printable(c) || turns_direction(c);
    return sp_buf_append(ret, bad ? SP_SLICE_LIT("\xEF\xBF\xBD") : c);
}

static sp_status escape(sp_slice text, struct sp_buf *ret) {
    while (text.n > 0) {
        size_t n = character(text);
        if (n == 0) n = 1;
        SP_TRY(put(sp_slice_of(text.p, n), ret));
        text = sp_slice_of(text.p + n, text.n - n);
    }
    return SP_SUCCESS;
}

sp_status sp_html_escape(sp_slice text, struct sp_buf *ret) {
    const size_t before = ret->n;
    const sp_status st = escape(text, ret);
    if (!sp_ok(st)) sp_buf_truncate(ret, before);
    return st;
}
