/* Two permissions, or lists of them, divided by a newline, against a second opinion on what matches, and what
 * two lists have in common against what each of them grants. */
#include "base/assert.h"
#include "base/mem.h"
#include "base/text.h"
#include "token/permission.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { COMMON_BYTES_MAX = 1 << 20 };

static bool second_opinion(sp_slice granted, sp_slice wanted) {
    if (!sp_permission_valid(granted, SP_PERMISSION_GRANTED)) return false;
    if (!sp_permission_valid(wanted, SP_PERMISSION_WANTED)) return false;
    for (size_t i = 0;; i++) {
        if (i < granted.n && granted.p[i] == '*') return i < wanted.n;
        if (i == granted.n || i == wanted.n) return i == granted.n && i == wanted.n;
        if (granted.p[i] != wanted.p[i]) return false;
    }
}

/* What a granted permission grants at least: itself, or with "x" for the star. */
static sp_slice example_of(sp_slice granted, uint8_t text[SP_PERMISSION_BYTES_MAX]) {
    memcpy(text, granted.p, granted.n);
    if (text[granted.n - 1] == '*') text[granted.n - 1] = 'x';
    return sp_slice_of(text, granted.n);
}

/* What is in the intersection is granted by both; what both grant is in it. */
static void check_common(sp_slice a, sp_slice b) {
    uint8_t text[SP_PERMISSION_BYTES_MAX];
    SP_AUTO(sp_buf) out = SP_BUF_INIT(COMMON_BYTES_MAX);
    sp_slice each, rest;
    if (!sp_ok(sp_permissions_intersect(a, b, &out))) return;
    rest = sp_buf_slice(&out);
    while (sp_words_next(&rest, &each)) {
        sp_assert(sp_permission_valid(each, SP_PERMISSION_GRANTED));
        sp_slice example = example_of(each, text);
        sp_assert(sp_permissions_grant(a, example) && sp_permissions_grant(b, example));
    }
    rest = a;
    while (sp_words_next(&rest, &each)) {
        if (!sp_permission_valid(each, SP_PERMISSION_GRANTED) || sp_scope_is_protocol_word(each)) continue;
        sp_slice example = example_of(each, text);
        if (sp_scope_grants(b, example)) sp_assert(sp_permissions_grant(sp_buf_slice(&out), example));
    }
}

static void check_limit(sp_slice has, sp_slice scope, sp_slice wanted) {
    const struct sp_permission_limit none = {.scope = SP_SLICE_EMPTY}, user = {.scope = scope};
    const struct sp_permission_limit client = {.scope = scope, .is_client = true};
    bool grants = sp_permissions_grant(has, wanted), allows = sp_scope_grants(scope, wanted);
    sp_assert(sp_permissions_permit(has, none, wanted) == grants);
    sp_assert(sp_permissions_permit(has, user, wanted) == (grants && allows));
    sp_assert(sp_permissions_permit(has, client, wanted) == allows);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const uint8_t *newline = size == 0 ? NULL : memchr(data, '\n', size);
    if (newline == NULL) return 0;
    size_t n = (size_t)(newline - data);
    sp_slice granted = sp_slice_of(data, n), wanted = sp_slice_of(newline + 1, size - n - 1);
    sp_assert(sp_permission_matches(granted, wanted) == second_opinion(granted, wanted));
    (void)sp_permissions_grant(granted, wanted);
    check_common(granted, wanted);
    check_limit(granted, granted, wanted);
    return 0;
}
