/* The live role table: one immutable sp_roles behind an atomic root. A change builds the next table from the
 * entries of the one that is there, so nothing else need be kept. */
#include "base/assert.h"
#include "core/directory.h"

struct table {
    struct sp_retired link;
    struct sp_roles *roles;
};
struct sp_live_roles {
    struct sp_seats *seats;
    _Atomic(struct table *) now; /* seq_cst both ways, as revoke/reclaim.h asks of a root */
};

static void table_free(struct table *t) {
    if (t == NULL) return;
    sp_roles_free(t->roles);
    free(t);
}

static void table_reclaimed(struct sp_retired *link) {
    table_free(SP_CONTAINER_OF(link, struct table, link));
}

static sp_status table_new(const struct sp_roles_entry *entries, size_t n, struct table **ret) {
    struct table *t = calloc(1, sizeof(*t));
    if (t == NULL) return sp_err(SP_E_NOMEM);
    sp_status s = sp_roles_new(entries, n, &t->roles);
    if (!sp_ok(s)) {
        free(t);
        return s;
    }
    *ret = t;
    return SP_SUCCESS;
}

static struct sp_roles_entry entry_of(const struct sp_role_row *row) {
    return (struct sp_roles_entry){SP_TEXT_SLICE(&row->name), SP_TEXT_SLICE(&row->permissions)};
}

static sp_status table_from_rows(const struct sp_role_row *rows, size_t n, struct table **ret) {
    struct sp_roles_entry *entries = calloc(n + 1, sizeof(*entries));
    if (entries == NULL) return sp_err(SP_E_NOMEM);
    for (size_t i = 0; i < n; i++) entries[i] = entry_of(&rows[i]);
    sp_status s = table_new(entries, n, ret);
    free(entries);
    return s;
}

/* The old table without `name`, and with `added` unless that is NULL. */
static sp_status table_changed(const struct sp_roles *old, sp_slice name, const struct sp_role_row *added,
                               struct table **ret) {
    const size_t count = sp_roles_count(old);
    struct sp_roles_entry *entries = calloc(count + 1, sizeof(*entries));
    if (entries == NULL) return sp_err(SP_E_NOMEM);
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        entries[n] = sp_roles_at(old, i);
        if (!sp_slice_eq(entries[n].name, name)) n++;
    }
    if (added != NULL) entries[n++] = entry_of(added);
    sp_status s = table_new(entries, n, ret);
    free(entries);
    return s;
}

sp_status sp_live_roles_new(struct sp_seats *seats, const struct sp_role_row *rows, size_t n,
                            struct sp_live_roles **ret) {
    struct sp_live_roles *live = calloc(1, sizeof(*live));
    if (live == NULL) return sp_err(SP_E_NOMEM);
    struct table *first = NULL;
    sp_status s = table_from_rows(rows, n, &first);
    if (!sp_ok(s)) {
        free(live);
        return s;
    }
    live->seats = seats;
    atomic_init(&live->now, first);
    *ret = live;
    return SP_SUCCESS;
}

void sp_live_roles_free(struct sp_live_roles *live) {
    if (live == NULL) return;
    table_free(atomic_load(&live->now));
    free(live);
}

const struct sp_roles *sp_live_roles_get(const struct sp_live_roles *live) {
    return atomic_load(&live->now)->roles;
}

static sp_status replace(struct sp_live_roles *live, sp_slice name, const struct sp_role_row *added) {
    struct table *old = atomic_load(&live->now),
                 *next = NULL; /* the only writer: nobody retires it meanwhile */
    SP_TRY(table_changed(old->roles, name, added, &next));
    atomic_store(&live->now, next);
    sp_reclaim_retire(sp_seats_reclaim(live->seats), &old->link, table_reclaimed);
    return SP_SUCCESS;
}

sp_status sp_live_roles_put(struct sp_live_roles *live, const struct sp_role_row *row) {
    return replace(live, SP_TEXT_SLICE(&row->name), row);
}

sp_status sp_live_roles_remove(struct sp_live_roles *live, sp_slice name) {
    return replace(live, name, NULL);
}
