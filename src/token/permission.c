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
