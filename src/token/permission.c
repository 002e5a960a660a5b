#include "token/permission.h"

#include "base/text.h"

static bool is_name_char(uint8_t c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
}

/* Segments of at least one character; `s` may not end in ':'. */
static bool is_name(sp_slice s) {
    bool after_separator = true;
    for (size_t i = 0; i < s.n; i++) {
        bool separator = s.p[i] == ':';
        if (separator ? after_separator : !is_name_char(s.p[i])) return false;
        after_separator = separator;
    }
    return !after_separator;
}

static bool is_wildcard(sp_slice granted) {
    return granted.n != 0 && granted.p[granted.n - 1] == '*';
}

/* What stands before the star: "documents:" of "documents:*", nothing of "*". */
static sp_slice wildcard_prefix(sp_slice granted) {
    return sp_slice_of(granted.p, granted.n - 1);
}

static bool wildcard_valid(sp_slice granted) {
    sp_slice prefix = wildcard_prefix(granted);
    if (prefix.n == 0) return true;
    return prefix.p[prefix.n - 1] == ':' && is_name(sp_slice_of(prefix.p, prefix.n - 1));
}

bool sp_permission_valid(sp_slice permission, enum sp_permission_kind kind) {
    if (permission.n == 0 || permission.n > SP_PERMISSION_BYTES_MAX) return false;
    if (kind == SP_PERMISSION_GRANTED && is_wildcard(permission)) return wildcard_valid(permission);
    return is_name(permission);
}

/* Does `granted` grant all that `other` grants? Both are valid. */
static bool granted_covers(sp_slice granted, sp_slice other) {
    if (!is_wildcard(granted)) return sp_slice_eq(granted, other);
    return sp_slice_starts(other, wildcard_prefix(granted));
}

static bool granted_matches(sp_slice granted, sp_slice wanted) {
    if (!sp_permission_valid(granted, SP_PERMISSION_GRANTED)) return false;
    if (!is_wildcard(granted)) return sp_slice_eq(granted, wanted);
    return sp_slice_starts(wanted,
                           wildcard_prefix(granted)); /* `wanted` is valid, so something follows the ':' */
}

bool sp_permission_matches(sp_slice granted, sp_slice wanted) {
    return sp_permission_valid(wanted, SP_PERMISSION_WANTED) && granted_matches(granted, wanted);
}

bool sp_permissions_grant(sp_slice granted_words, sp_slice wanted) {
    sp_slice each;
    if (!sp_permission_valid(wanted, SP_PERMISSION_WANTED)) return false;
    while (sp_words_next(&granted_words, &each)) {
        if (granted_matches(each, wanted)) return true;
    }
    return false;
}

bool sp_scope_is_protocol_word(sp_slice word) {
    return sp_slice_eq_cstr(word, "openid") || sp_slice_eq_cstr(word, "profile") ||
           sp_slice_eq_cstr(word, "offline_access");
}

static bool may_be_common(sp_slice word) {
    return sp_permission_valid(word, SP_PERMISSION_GRANTED) && !sp_scope_is_protocol_word(word);
}

/* Appends a word that is not in out[begin..) yet. */
static sp_status append_once(struct sp_buf *out, size_t begin, sp_slice word) {
    if (out->n == begin) return sp_buf_append(out, word);
    if (sp_words_contain(sp_slice_of(out->p + begin, out->n - begin), word)) return SP_SUCCESS;
    SP_TRY(sp_buf_append_u8(out, ' '));
    return sp_buf_append(out, word);
}

/* What `a` and each word of the list have in common: the narrower of the two, when one covers the other. */
static sp_status append_common(struct sp_buf *out, size_t begin, sp_slice a, sp_slice b_words) {
    sp_slice b;
    while (sp_words_next(&b_words, &b)) {
        if (!may_be_common(b)) continue;
        if (granted_covers(b, a))
            SP_TRY(append_once(out, begin, a));
        else if (granted_covers(a, b))
            SP_TRY(append_once(out, begin, b));
    }
    return SP_SUCCESS;
}

sp_status sp_permissions_intersect(sp_slice a_words, sp_slice b_words, struct sp_buf *out) {
    size_t before = out->n;
    sp_slice a;
    while (sp_words_next(&a_words, &a)) {
        if (!may_be_common(a)) continue;
        sp_status s = append_common(out, before, a, b_words);
        if (sp_ok(s)) continue;
        sp_buf_truncate(out, before);
        return s;
    }
    return SP_SUCCESS;
}

bool sp_scope_grants(sp_slice scope_words, sp_slice wanted) {
    sp_slice each;
    if (!sp_permission_valid(wanted, SP_PERMISSION_WANTED)) return false;
    while (sp_words_next(&scope_words, &each)) {
        if (!sp_scope_is_protocol_word(each) && granted_matches(each, wanted)) return true;
    }
    return false;
}

bool sp_permissions_permit(sp_slice permissions, struct sp_permission_limit limit, sp_slice wanted) {
    if (limit.scope.p == NULL) return !limit.is_client && sp_permissions_grant(permissions, wanted);
    return sp_scope_grants(limit.scope, wanted) &&
           (limit.is_client || sp_permissions_grant(permissions, wanted));
}
