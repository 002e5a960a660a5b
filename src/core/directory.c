#include "core/directory.h"

#include <unicase.h>
#include <unictype.h>
#include <uninorm.h>
#include <unistr.h>

#include "base/assert.h"
#include "core/app.h"
#include "core/password_rules.h"
#include "token/permission.h"

/* ---- names ---- */

enum {
    /* Folding and composing once is not always the end: U+2121 becomes "TEL" after its case was folded.
     * Unicode's own NFKC_Casefold runs twice; one more for the proof that nothing changes. */
    FOLD_ROUNDS = 4,
};

/* Controls, format characters (ZWJ, bidirectional overrides, soft hyphen), line and paragraph separators,
 * surrogates, private use and unassigned code points; and whatever else is drawn as nothing (fillers,
 * variation selectors). */
static bool char_is_refused(ucs4_t c) {
    const uint32_t refused = UC_CATEGORY_MASK_C | UC_CATEGORY_MASK_Zl | UC_CATEGORY_MASK_Zp;
    return uc_is_general_category_withtable(c, refused) || uc_is_property_default_ignorable_code_point(c);
}

static bool char_is_space(ucs4_t c) {
    return uc_is_property_white_space(c);
}

/* What holds before normalizing and after it: U+00A8 begins with a space only once it is normalized. */
static bool name_is_clean(sp_slice name) {
    if (name.n == 0 || u8_check(name.p, name.n) != NULL) return false;
    ucs4_t first = 0, c = 0;
    for (size_t i = 0; i < name.n;) {
        i += (size_t)u8_mbtouc(&c, name.p + i, name.n - i);
        if (char_is_refused(c)) return false;
        if (first == 0) first = c;
    }
    /* A mark without a base would sit on whatever a page prints before the name. */
    return !char_is_space(first) && !char_is_space(c) &&
           !uc_is_general_category_withtable(first, UC_CATEGORY_MASK_M);
}

static sp_status fold_once(sp_slice in, sp_text256 *ret) {
    size_t n = 0;
    uint8_t *folded = u8_casefold(in.p, in.n, NULL, UNINORM_NFKC, NULL, &n);
    if (folded == NULL) return sp_err(SP_E_NOMEM); /* the text was checked: only memory is left as a reason */
    sp_status s = SP_TEXT_SET(ret, sp_slice_of(folded, n));
    sp_free_wiped(folded, n); /* new passwords are compared with names in this form */
    return s;
}

static sp_status fold(sp_slice name, sp_text256 *ret) {
    sp_text256 now, next;
    SP_TRY(fold_once(name, &now));
    for (int round = 1; round < FOLD_ROUNDS; round++) {
        SP_TRY(fold_once(SP_TEXT_SLICE(&now), &next));
        if (sp_slice_eq(SP_TEXT_SLICE(&now), SP_TEXT_SLICE(&next))) {
            *ret = now;
            return SP_SUCCESS;
        }
        now = next;
    }
    return sp_err(SP_E_MALFORMED);
}

sp_status sp_name_normalize(sp_slice name, sp_text256 *ret_name) {
    sp_text256 folded;
    if (name.n > SP_NAME_BYTES_MAX) return sp_err(SP_E_LIMIT);
    if (!name_is_clean(name)) return sp_err(SP_E_MALFORMED);
    SP_TRY(fold(name, &folded));
    if (!name_is_clean(SP_TEXT_SLICE(&folded))) return sp_err(SP_E_MALFORMED);
    if (sp_name_is_external(SP_TEXT_SLICE(&folded))) return sp_err(SP_E_MALFORMED);
    *ret_name = folded;
    return SP_SUCCESS;
}

#define EXTERNAL_PREFIX "ext:"

bool sp_name_is_external(sp_slice name) {
    return sp_slice_starts(name, SP_SLICE_LIT(EXTERNAL_PREFIX));
}

bool sp_name_external_subject(sp_slice name, sp_slice *ret_subject) {
    const size_t n = sizeof(EXTERNAL_PREFIX) - 1;
    if (!sp_name_is_external(name)) return false;
    *ret_subject = sp_slice_of(name.p + n, name.n - n);
    return true;
}

sp_status sp_external_name(sp_slice subject, sp_text256 *ret_name) {
    char name[sizeof(EXTERNAL_PREFIX) - 1 + SP_EXTERNAL_SUBJECT_BYTES_MAX] = EXTERNAL_PREFIX;
    if (subject.n > SP_EXTERNAL_SUBJECT_BYTES_MAX) return sp_err(SP_E_LIMIT);
    if (subject.n == 0 || !sp_utf8_printable(subject)) return sp_err(SP_E_MALFORMED);
    memcpy(name + sizeof(EXTERNAL_PREFIX) - 1, subject.p, subject.n);
    return SP_TEXT_SET(ret_name, sp_slice_of(name, sizeof(EXTERNAL_PREFIX) - 1 + subject.n));
}

sp_status sp_name_accept(sp_slice name, sp_text256 *ret_name, sp_text256 *ret_display) {
    sp_text256 normalized, display;
    SP_TRY(sp_name_normalize(name, &normalized));
    SP_TRY(SP_TEXT_SET(&display, name));
    *ret_name = normalized;
    *ret_display = display;
    return SP_SUCCESS;
}

/* ---- passwords ---- */

enum {
    /* Composing never makes UTF-8 more than three times as long (Unicode standard annex 15, section 9). */
    PREPARED_BYTES_MAX = 3 * SP_PASSWORD_BYTES_MAX,
};

/* Every space becomes U+0020, which is never longer. Returns the bytes written; 0 for a NUL. */
static size_t map_spaces(sp_slice in, uint8_t *out) {
    size_t n = 0;
    ucs4_t c;
    for (size_t i = 0; i < in.n;) {
        int taken = u8_mbtouc(&c, in.p + i, in.n - i);
        if (c == 0) return 0;
        bool is_space = uc_is_general_category_withtable(c, UC_CATEGORY_MASK_Zs);
        if (is_space) {
            out[n++] = ' ';
        } else {
            memcpy(out + n, in.p + i, (size_t)taken);
            n += (size_t)taken;
        }
        i += (size_t)taken;
    }
    return n;
}

static sp_status compose(sp_slice in, uint8_t out[PREPARED_BYTES_MAX], size_t *ret_n) {
    size_t n = PREPARED_BYTES_MAX;
    uint8_t *p = u8_normalize(UNINORM_NFC, in.p, in.n, out, &n);
    if (p == NULL) return sp_err(SP_E_NOMEM);
    if (p != out) {
        sp_free_wiped(p, n);
        return sp_err(SP_E_LIMIT);
    }
    *ret_n = n;
    return SP_SUCCESS;
}

sp_status sp_password_prepare(sp_slice password, struct sp_buf *ret) {
    uint8_t mapped[SP_PASSWORD_BYTES_MAX], composed[PREPARED_BYTES_MAX];
    if (password.n > sizeof(mapped)) return sp_err(SP_E_LIMIT);
    if (password.n == 0) return SP_SUCCESS;
    if (u8_check(password.p, password.n) != NULL) return sp_err(SP_E_MALFORMED);

    size_t n = map_spaces(password, mapped);
    sp_status s = n == 0 ? sp_err(SP_E_MALFORMED) : compose(sp_slice_of(mapped, n), composed, &n);
    if (sp_ok(s))
        s = n > SP_PASSWORD_BYTES_MAX ? sp_err(SP_E_LIMIT) : sp_buf_append(ret, sp_slice_of(composed, n));
    sp_wipe(mapped, sizeof(mapped));
    sp_wipe(composed, sizeof(composed));
    return s;
}

static bool password_is_name(sp_slice prepared, sp_slice name) {
    sp_text256 folded;
    bool is_name = sp_ok(sp_name_normalize(prepared, &folded)) && sp_slice_eq(SP_TEXT_SLICE(&folded), name);
    sp_wipe(&folded, sizeof(folded));
    return is_name;
}

const char *sp_password_fault_name(enum sp_password_fault f) {
    static const char *const names[] = {[SP_PASSWORD_ACCEPTED] = "",
                                        [SP_PASSWORD_TOO_SHORT] = "too_short",
                                        [SP_PASSWORD_TOO_LONG] = "too_long",
                                        [SP_PASSWORD_NOT_TEXT] = "not_text",
                                        [SP_PASSWORD_IS_NAME] = "is_user_name",
                                        [SP_PASSWORD_TOO_SIMPLE] = "too_simple",
                                        [SP_PASSWORD_COMMON] = "common",
                                        [SP_PASSWORD_NOT_JUDGED] = ""};
    sp_assert((size_t)f < SP_ARRAY_LEN(names));
    return names[f];
}

enum sp_password_fault sp_password_judge(sp_slice password, sp_slice name) {
    SP_AUTO(sp_buf) prepared = SP_BUF_INIT(SP_PASSWORD_BYTES_MAX);
    sp_status s = sp_password_prepare(password, &prepared);
    if (sp_is(s, SP_E_MALFORMED)) return SP_PASSWORD_NOT_TEXT;
    if (!sp_ok(s)) return sp_is(s, SP_E_NOMEM) ? SP_PASSWORD_NOT_JUDGED : SP_PASSWORD_TOO_LONG;

    if (prepared.n == 0 || u8_mbsnlen(prepared.p, prepared.n) < SP_PASSWORD_CHARS_MIN)
        return SP_PASSWORD_TOO_SHORT;
    if (password_is_name(sp_buf_slice(&prepared), name)) return SP_PASSWORD_IS_NAME;
    if (sp_password_is_simple(sp_buf_slice(&prepared))) return SP_PASSWORD_TOO_SIMPLE;
    return SP_PASSWORD_ACCEPTED;
}

/* ---- word lists ---- */

static int by_bytes(const void *a, const void *b) {
    return sp_slice_cmp(*(const sp_slice *)a, *(const sp_slice *)b);
}

static sp_status append_sorted(sp_slice *words, size_t n, struct sp_buf *ret) {
    const size_t before = ret->n;
    qsort(words, n, sizeof(*words), by_bytes);
    for (size_t i = 0; i < n; i++) {
        if (i != 0 && sp_slice_eq(words[i], words[i - 1])) continue;
        sp_status s = i == 0 ? SP_SUCCESS : sp_buf_append_u8(ret, ' ');
        if (sp_ok(s)) s = sp_buf_append(ret, words[i]);
        if (!sp_ok(s)) {
            sp_buf_truncate(ret, before);
            return s;
        }
    }
    return SP_SUCCESS;
}

sp_status sp_words_normalize(sp_slice words, size_t word_max, struct sp_buf *ret) {
    if (words.n == 0) return SP_SUCCESS;
    if (!sp_words_valid(words, word_max)) return sp_err(SP_E_MALFORMED);
    sp_slice *list = calloc(sp_words_count(words), sizeof(*list));
    if (list == NULL) return sp_err(SP_E_NOMEM);
    size_t n = 0;
    while (sp_words_next(&words, &list[n])) n++;
    sp_status s = append_sorted(list, n, ret);
    free(list);
    return s;
}

bool sp_words_within(sp_slice part, sp_slice whole) {
    sp_slice word;
    while (sp_words_next(&part, &word)) {
        if (!sp_words_contain(whole, word)) return false;
    }
    return true;
}

sp_status sp_user_roles_accept(sp_slice words, sp_text1024 *ret_roles) {
    SP_AUTO(sp_buf) sorted = SP_BUF_INIT(sizeof(ret_roles->s));
    if (words.n > 2 * sizeof(ret_roles->s)) return sp_err(SP_E_LIMIT); /* repeats aside, it could not fit */
    SP_TRY(sp_words_normalize(words, SP_ROLE_NAME_BYTES_MAX, &sorted));
    sp_slice rest = sp_buf_slice(&sorted), word;
    while (sp_words_next(&rest, &word)) {
        if (!sp_role_name_valid(word)) return sp_err(SP_E_MALFORMED);
    }
    return SP_TEXT_SET(ret_roles, sp_buf_slice(&sorted));
}

sp_status sp_role_accept(sp_slice name, sp_slice permissions, struct sp_role_row *ret_row) {
    struct sp_role_row row = {.tenant = SP_TENANT_DEFAULT};
    SP_AUTO(sp_buf) sorted = SP_BUF_INIT(sizeof(row.permissions.s));
    if (!sp_role_name_valid(name)) return sp_err(SP_E_MALFORMED);
    if (permissions.n > 2 * sizeof(row.permissions.s)) return sp_err(SP_E_LIMIT);
    SP_TRY(sp_words_normalize(permissions, SP_PERMISSION_BYTES_MAX, &sorted));
    sp_slice rest = sp_buf_slice(&sorted), word;
    while (sp_words_next(&rest, &word)) {
        if (!sp_permission_valid(word, SP_PERMISSION_GRANTED)) return sp_err(SP_E_MALFORMED);
    }
    SP_TRY(SP_TEXT_SET(&row.name, name));
    SP_TRY(SP_TEXT_SET(&row.permissions, sp_buf_slice(&sorted)));
    *ret_row = row;
    return SP_SUCCESS;
}
