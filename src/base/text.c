#include "base/text.h"

sp_status sp_text_set_(char *s, size_t cap, uint16_t *n, sp_slice value) {
    if (value.n > cap) return sp_err(SP_E_LIMIT);
    if (value.n != 0) memmove(s, value.p, value.n);
    *n = (uint16_t)value.n;
    return SP_SUCCESS;
}

bool sp_words_next(sp_slice *list, sp_slice *ret_word) {
    if (list->n == 0) return false;
    const uint8_t *space = memchr(list->p, ' ', list->n);
    size_t n = space == NULL ? list->n : (size_t)(space - list->p);
    *ret_word = sp_slice_of(list->p, n);
    size_t taken = space == NULL ? n : n + 1;
    *list = sp_slice_of(list->p + taken, list->n - taken);
    return true;
}

bool sp_words_contain(sp_slice list, sp_slice word) {
    sp_slice each;
    while (sp_words_next(&list, &each)) {
        if (sp_slice_eq(each, word)) return true;
    }
    return false;
}

size_t sp_words_count(sp_slice list) {
    size_t n = 0;
    sp_slice each;
    while (sp_words_next(&list, &each)) n++;
    return n;
}

static bool is_scope_char(uint8_t c) {
    return c == 0x21 || (c >= 0x23 && c <= 0x5B) || (c >= 0x5D && c <= 0x7E);
}

bool sp_words_valid(sp_slice list, size_t word_max) {
    if (list.n != 0 && list.p[list.n - 1] == ' ') return false;
    sp_slice each;
    while (sp_words_next(&list, &each)) {
        if (each.n == 0 || each.n > word_max) return false;
        for (size_t i = 0; i < each.n; i++) {
            if (!is_scope_char(each.p[i])) return false;
        }
    }
    return true;
}

/* Length of the well-formed sequence at p, 0 if it is not one (Unicode 15, table 3-7). */
static size_t utf8_sequence(const uint8_t *p, size_t n) {
    uint8_t c = p[0];
    if (c < 0x80) return 1;
    size_t len = c >= 0xC2 && c <= 0xDF ? 2 : c >= 0xE0 && c <= 0xEF ? 3 : c >= 0xF0 && c <= 0xF4 ? 4 : 0;
    if (len == 0 || len > n) return 0;
    uint8_t low = c == 0xE0 ? 0xA0 : c == 0xF0 ? 0x90 : 0x80;  /* no overlong forms */
    uint8_t high = c == 0xED ? 0x9F : c == 0xF4 ? 0x8F : 0xBF; /* no surrogates, nothing above U+10FFFF */
    if (p[1] < low || p[1] > high) return 0;
    for (size_t i = 2; i < len; i++) {
        if ((p[i] & 0xC0) != 0x80) return 0;
    }
    return len;
}

/* Length of the run of ASCII at p, eight bytes at a time; may stop up to seven short of its end. */
static size_t ascii_run(const uint8_t *p, size_t n) {
    size_t i = 0;
    for (uint64_t word; i + sizeof word <= n; i += sizeof word) {
        memcpy(&word, p + i, sizeof word);
        if ((word & 0x8080808080808080u) != 0) break;
    }
    return i;
}

bool sp_utf8_valid(sp_slice s) {
    for (size_t i = 0; i < s.n;) {
        i += ascii_run(s.p + i, s.n - i);
        if (i == s.n) break;
        size_t len = utf8_sequence(s.p + i, s.n - i);
        if (len == 0) return false;
        i += len;
    }
    return true;
}

bool sp_utf8_printable(sp_slice s) {
    if (!sp_utf8_valid(s)) return false;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < 0x20 || s.p[i] == 0x7F) return false;
        if (s.p[i] == 0xC2 && s.p[i + 1] < 0xA0) return false; /* C1; valid, so i + 1 exists */
    }
    return true;
}
