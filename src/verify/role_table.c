#include "verify/role_table.h"

struct sp_role_table_version {
    struct sp_retired retired;
    struct sp_roles *roles;
};

static void version_free(struct sp_role_table_version *v) {
    if (v == NULL) return;
    sp_roles_free(v->roles);
    free(v);
}
static void version_free_retired(struct sp_retired *link) {
    version_free(SP_CONTAINER_OF(link, struct sp_role_table_version, retired));
}

void sp_role_table_init(struct sp_role_table *t, struct sp_reclaim *reclaim) {
    atomic_init(&t->current, NULL);
    t->reclaim = reclaim;
}

void sp_role_table_done(struct sp_role_table *t) {
    version_free(atomic_load_explicit(&t->current, memory_order_relaxed));
    atomic_store_explicit(&t->current, NULL, memory_order_relaxed);
}

sp_status sp_role_table_take(struct sp_role_table *t, struct sp_roles *roles) {
    struct sp_role_table_version *next = calloc(1, sizeof *next);
    if (next == NULL) return sp_err(SP_E_NOMEM);
    next->roles = roles;
    /* seq_cst: publishes the version, and reclaim.h wants it of a root */
    struct sp_role_table_version *prev = atomic_exchange_explicit(&t->current, next, memory_order_seq_cst);
    if (prev != NULL) sp_reclaim_retire(t->reclaim, &prev->retired, version_free_retired);
    return SP_SUCCESS;
}

bool sp_role_table_permits(const struct sp_role_table *t, sp_slice role_words,
                           struct sp_permission_limit limit, sp_slice wanted) {
    const struct sp_role_table_version *v = atomic_load_explicit(&t->current, memory_order_seq_cst);
    if (v == NULL) return sp_permissions_permit(SP_SLICE_EMPTY, limit, wanted);
    return sp_roles_permit(v->roles, role_words, limit, wanted);
}
