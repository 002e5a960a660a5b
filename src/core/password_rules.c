#include "core/password_rules.h"

#include <unistr.h>

enum {
    DECORATION_MAX = 4, /* "1", "123!", "2026": more than this is no decoration but a password of its own */
    TEXT_BYTES_MAX = 2 * (SP_LISTED_WORD_CHARS_MAX + DECORATION_MAX), /* the longest word twice, decorated */
    BREAKS_MAX = 1,
    PERIOD_MAX = 3,
};

struct text {
    size_t n;
    char s[TEXT_BYTES_MAX];
};

static bool is_letter(char c) {
    return c >= 'a' && c <= 'z';
}
static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}
static uint32_t lower(uint32_t c) {
    return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c;
}

/* ---- words ---- */

static bool is_listed(const struct sp_word_list *list, const char *s, size_t n) {
    char word[SP_LISTED_WORD_CHARS_MAX + 1];
    if (n == 0 || n > SP_LISTED_WORD_CHARS_MAX) return false;
    for (size_t i = 0; i < n; i++) {
        if (!is_letter(s[i]) && !is_digit(s[i])) return false;
    }
    memcpy(word, s, n);
    word[n] = 0;
    bool listed = list->has(list->arg, word);
    sp_wipe(word, sizeof(word));
    return listed;
}

static char plain_letter(char c) {
    static const char written[] = "0134@5$7!", meant[] = "oieaasstl";
    const char *at = c == 0 ? NULL : strchr(written, c);
    return at == NULL ? c : meant[at - written];
}

static bool is_listed_word(const struct sp_word_list *list, const char *s, size_t n) {
    char plain[TEXT_BYTES_MAX];
    if (is_listed(list, s, n)) return true;
    for (size_t i = 0; i < n; i++) plain[i] = plain_letter(s[i]);
    bool listed = memcmp(plain, s, n) != 0 && is_listed(list, plain, n);
    sp_wipe(plain, sizeof(plain));
    return listed;
}

static bool is_decorated_word(const struct sp_word_list *list, const struct text *t) {
    size_t begin = 0, end = t->n, taken = 0;
    while (end > 0 && taken < DECORATION_MAX && !is_letter(t->s[end - 1])) end--, taken++;
    if (taken != 0 && is_listed_word(list, t->s, end)) return true;
    const size_t tail = taken;
    while (begin < end && taken < DECORATION_MAX && !is_letter(t->s[begin])) begin++, taken++;
    return taken != tail && is_listed_word(list, t->s + begin, end - begin);
}

static bool is_separated_word(const struct sp_word_list *list, const struct text *t) {
    struct text joined = {0};
    for (size_t i = 0; i < t->n; i++) {
        if (is_letter(t->s[i]) || is_digit(t->s[i])) joined.s[joined.n++] = t->s[i];
    }
    bool listed = joined.n != t->n && is_listed(list, joined.s, joined.n);
    sp_wipe(&joined, sizeof(joined));
    return listed;
}

static bool is_word_twice(const struct sp_word_list *list, const struct text *t) {
    const size_t half = t->n / 2;
    return t->n % 2 == 0 && memcmp(t->s, t->s + half, half) == 0 && is_listed_word(list, t->s, half);
}

bool sp_password_is_common(sp_slice prepared, const struct sp_word_list *list) {
    struct text t = {.n = prepared.n};
    if (list->has == NULL || prepared.n == 0 || prepared.n > sizeof(t.s)) return false;
    for (size_t i = 0; i < t.n; i++) t.s[i] = (char)lower(prepared.p[i]);
    bool common = is_listed_word(list, t.s, t.n) || is_decorated_word(list, &t) ||
                  is_separated_word(list, &t) || is_word_twice(list, &t);
    sp_wipe(&t, sizeof(t));
    return common;
}

/* ---- runs ---- */

static bool are_neighbours_on_keys(uint32_t a, uint32_t b) {
    static const char rows[] = "1234567890 qwertyuiop asdfghjkl zxcvbnm qwertzuiop azertyuiop";
    if (a > 0x7F || b > 0x7F || a <= ' ' || b <= ' ') return false;
    for (size_t i = 0; i + 2 < sizeof(rows); i++) {
        const uint32_t x = (uint32_t)rows[i], y = (uint32_t)rows[i + 1];
        if ((x == a && y == b) || (x == b && y == a)) return true;
    }
    return false;
}

static bool is_step(uint32_t a, uint32_t b) {
    return a == b || a + 1 == b || b + 1 == a || are_neighbours_on_keys(a, b);
}

bool sp_password_is_simple(sp_slice prepared) {
    ucs4_t last[PERIOD_MAX] = {0}; /* of the character i, at i % PERIOD_MAX */
    size_t breaks = 0, count = 0;
    bool has_period[PERIOD_MAX + 1] = {false, true, true, true};
    for (size_t i = 0; i < prepared.n; count++) {
        ucs4_t c;
        i += (size_t)u8_mbtouc(&c, prepared.p + i, prepared.n - i);
        c = lower(c);
        if (count != 0 && !is_step(last[(count - 1) % PERIOD_MAX], c)) breaks++;
        for (size_t p = 1; p <= PERIOD_MAX; p++) {
            if (count >= p && last[(count - p) % PERIOD_MAX] != c) has_period[p] = false;
        }
        last[count % PERIOD_MAX] = c;
    }
    sp_wipe(last, sizeof(last));
    return count != 0 && (breaks <= BREAKS_MAX || has_period[1] || has_period[2] || has_period[3]);
}
