/* One sorted array of rows and one block of text, so that a table is two allocations, a lookup is a binary
 * search in memory that lies together, and freeing it cannot half happen. A hash table was turned down: a few
 * hundred roles make eight comparisons, and order is wanted for the union and for listing. */
#include "token/roles.h"

#include "base/text.h"
#include "token/permission.h"

struct sp_roles {
    size_t n;
    struct sp_roles_entry *rows; /* sorted by name; slices into text */
    uint8_t *text;
};

bool sp_role_name_valid(sp_slice name) {
    if (name.n == 0 || name.n > SP_ROLE_BYTES_MAX) return false;
    for (size_t i = 0; i < name.n; i++) {
        uint8_t c = name.p[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!letter && c != '.' && c != '_' && c != '-' && c != ':') return false;
    }
    return true;
}

static sp_status check_permissions(sp_slice words) {
    sp_slice each;
    if (words.n > SP_ROLE_PERMISSIONS_BYTES_MAX) return sp_err(SP_E_LIMIT);
    if (!sp_words_valid(words, SP_PERMISSION_BYTES_MAX)) return sp_err(SP_E_MALFORMED);
    while (sp_words_next(&words, &each)) {
        if (!sp_permission_valid(each, SP_PERMISSION_GRANTED)) return sp_err(SP_E_MALFORMED);
    }
    return SP_SUCCESS;
}

static sp_status check_rows(const struct sp_roles_entry *rows, size_t n, size_t *ret_bytes) {
    size_t bytes = 0;
    if (n > SP_ROLES_MAX) return sp_err(SP_E_LIMIT);
    for (size_t i = 0; i < n; i++) {
        if (!sp_role_name_valid(rows[i].name)) return sp_err(SP_E_MALFORMED);
        SP_TRY(check_permissions(rows[i].permissions));
        bytes += rows[i].name.n + rows[i].permissions.n; /* at most SP_ROLES_MAX * 64 KiB: cannot wrap */
        if (bytes > SP_ROLES_BYTES_MAX) return sp_err(SP_E_LIMIT);
    }
    *ret_bytes = bytes;
    return SP_SUCCESS;
}

static int by_name(const void *a, const void *b) {
    return sp_slice_cmp(((const struct sp_roles_entry *)a)->name, ((const struct sp_roles_entry *)b)->name);
}

static sp_slice copy_text(uint8_t **at, sp_slice s) {
    sp_slice copy = sp_slice_of(*at, s.n);
    if (s.n != 0) memcpy(*at, s.p, s.n);
    *at += s.n;
    return copy;
}

static void fill(struct sp_roles *roles, const struct sp_roles_entry *rows, size_t n) {
    uint8_t *at = roles->text;
    for (size_t i = 0; i < n; i++) {
        roles->rows[i].name = copy_text(&at, rows[i].name);
        roles->rows[i].permissions = copy_text(&at, rows[i].permissions);
    }
    roles->n = n;
    if (n != 0) qsort(roles->rows, n, sizeof *roles->rows, by_name);
}

static bool has_name_twice(const struct sp_roles *roles) {
    for (size_t i = 1; i < roles->n; i++) {
        if (sp_slice_eq(roles->rows[i - 1].name, roles->rows[i].name)) return true;
    }
    return false;
}

sp_status sp_roles_new(const struct sp_roles_entry *rows, size_t n, struct sp_roles **ret_roles) {
    size_t bytes = 0;
    SP_TRY(check_rows(rows, n, &bytes));
    SP_AUTO_FREE(sp_roles) roles = calloc(1, sizeof *roles);
    if (roles == NULL) return sp_err(SP_E_NOMEM);
    roles->rows = calloc(n + 1, sizeof *roles->rows); /* + 1: an empty table still has memory of its own */
    roles->text = malloc(bytes + 1);
    if (roles->rows == NULL || roles->text == NULL) return sp_err(SP_E_NOMEM);
    fill(roles, rows, n);
    if (has_name_twice(roles)) return sp_err(SP_E_CONFLICT);
    *ret_roles = sp_steal(&roles);
    return SP_SUCCESS;
}

void sp_roles_free(struct sp_roles *roles) {
    if (roles == NULL) return;
    free(roles->rows);
    free(roles->text);
    free(roles);
}

size_t sp_roles_count(const struct sp_roles *roles) {
    return roles->n;
}

struct sp_roles_entry sp_roles_at(const struct sp_roles *roles, size_t i) {
    return roles->rows[i];
}

sp_status sp_roles_find(const struct sp_roles *roles, sp_slice name, sp_slice *ret_permissions) {
    const struct sp_roles_entry key = {.name = name}, *row;
    if (roles->n == 0) return sp_err(SP_E_NOT_FOUND);
    row = bsearch(&key, roles->rows, roles->n, sizeof *roles->rows, by_name);
    if (row == NULL) return sp_err(SP_E_NOT_FOUND);
    *ret_permissions = row->permissions;
    return SP_SUCCESS;
}

bool sp_roles_grant(const struct sp_roles *roles, sp_slice role_words, sp_slice wanted) {
    sp_slice role, permissions;
    while (sp_words_next(&role_words, &role)) {
        if (sp_ok(sp_roles_find(roles, role, &permissions)) && sp_permissions_grant(permissions, wanted))
            return true;
    }
    return false;
}

bool sp_roles_permit(const struct sp_roles *roles, sp_slice role_words, struct sp_permission_limit limit,
                     sp_slice wanted) {
    if (limit.scope.p == NULL) return !limit.is_client && sp_roles_grant(roles, role_words, wanted);
    return sp_scope_grants(limit.scope, wanted) &&
           (limit.is_client || sp_roles_grant(roles, role_words, wanted));
}

static int by_bytes(const void *a, const void *b) {
    return sp_slice_cmp(*(const sp_slice *)a, *(const sp_slice *)b);
}

/* All permissions of the roles into `out` (when not NULL); their number. */
static size_t gather(const struct sp_roles *roles, sp_slice role_words, sp_slice *out) {
    size_t n = 0;
    sp_slice role, permissions, each;
    while (sp_words_next(&role_words, &role)) {
        if (!sp_ok(sp_roles_find(roles, role, &permissions))) continue;
        while (sp_words_next(&permissions, &each)) {
            if (out != NULL) out[n] = each;
            n++;
        }
    }
    return n;
}

static sp_status append_unique(const sp_slice *sorted, size_t n, struct sp_buf *out) {
    for (size_t i = 0; i < n; i++) {
        if (i > 0 && sp_slice_eq(sorted[i - 1], sorted[i])) continue;
        if (i > 0) SP_TRY(sp_buf_append_u8(out, ' '));
        SP_TRY(sp_buf_append(out, sorted[i]));
    }
    return SP_SUCCESS;
}

sp_status sp_roles_permissions(const struct sp_roles *roles, sp_slice role_words, struct sp_buf *out) {
    size_t n = gather(roles, role_words, NULL), before = out->n;
    if (n == 0) return SP_SUCCESS;
    sp_slice *all = calloc(n, sizeof *all);
    if (all == NULL) return sp_err(SP_E_NOMEM);
    gather(roles, role_words, all);
    qsort(all, n, sizeof *all, by_bytes);
    sp_status s = append_unique(all, n, out);
    free(all);
    if (!sp_ok(s)) sp_buf_truncate(out, before);
    return s;
}
