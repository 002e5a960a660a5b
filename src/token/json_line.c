#include "token/json_line.h"

static bool is_space(uint8_t c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* DEL, or a C1 control (U+0080 to U+009F is C2 80 to C2 9F in UTF-8); the code point, or 0. */
static unsigned control_at(sp_slice s, size_t i) {
    if (s.p[i] == 0x7F) return 0x7F;
    bool c1 = s.p[i] == 0xC2 && i + 1 < s.n && s.p[i + 1] < 0xA0;
    return c1 ? s.p[i + 1] : 0;
}

static sp_status append_char(sp_slice s, size_t *i, struct sp_buf *out) {
    unsigned control = control_at(s, *i);
    if (control == 0) return sp_buf_append_u8(out, s.p[*i]);
    if (control != 0x7F) ++*i;
    return sp_buf_printf(out, "\\u%04x", control);
}

sp_status sp_json_line(sp_slice json, struct sp_buf *out) {
    bool in_string = false, after_backslash = false;
    for (size_t i = 0; i < json.n; i++) {
        uint8_t c = json.p[i];
        if (!in_string && is_space(c)) continue;
        SP_TRY(append_char(json, &i, out));
        if (c == '"' && !after_backslash) in_string = !in_string;
        after_backslash = c == '\\' && !after_backslash;
    }
    return SP_SUCCESS;
}
