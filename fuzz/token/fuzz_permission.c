/* Two permissions, divided by a newline, against a second opinion on what matches. */
#include "base/assert.h"
#include "token/permission.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool second_opinion(sp_slice granted, sp_slice wanted) {
    if (!sp_permission_valid(granted, SP_PERMISSION_GRANTED)) return false;
    if (!sp_permission_valid(wanted, SP_PERMISSION_WANTED)) return false;
    for (size_t i = 0;; i++) {
        if (i < granted.n && granted.p[i] == '*') return i < wanted.n;
        if (i == granted.n || i == wanted.n) return i == granted.n && i == wanted.n;
        if (granted.p[i] != wanted.p[i]) return false;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const uint8_t *newline = size == 0 ? NULL : memchr(data, '\n', size);
    if (newline == NULL) return 0;
    size_t n = (size_t)(newline - data);
    sp_slice granted = sp_slice_of(data, n), wanted = sp_slice_of(newline + 1, size - n - 1);
    sp_assert(sp_permission_matches(granted, wanted) == second_opinion(granted, wanted));
    (void)sp_permissions_grant(granted, wanted);
    return 0;
}
