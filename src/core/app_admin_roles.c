/* Roles: list, set, delete. */
#include "core/app_admin.h"

enum {
    /* Below what a role table can hold (token/roles.h): the publisher must never meet a durable role that no
     * table takes, and changes that are on their way at one moment go as far as the difference. */
    ROLES_MAX = SP_ROLES_MAX - 256,
    /* As a document of the feed they are up to twice as long, which must stay below what a stream may hold
     * for a slow reader (http/server.h), beside other documents and events. */
    ROLES_BYTES_MAX = 1024 * 1024,
};
_Static_assert(ROLES_BYTES_MAX < SP_ROLES_BYTES_MAX, "every table takes it");

/* ---- list ---- */

static void roles_say(struct sp_op *op, sp_any_done *done, void *arg, enum sp_outcome outcome) {
    struct sp_roles_result result = {.outcome = outcome};
    if (outcome == SP_OUTCOME_OK) {
        result.rows = op->read.ret.roles;
        result.n = op->read.ret.n;
    }
    ((sp_roles_done *)done)(arg, &result);
}
static const struct sp_op_kind list_kind = {
    .size = sizeof(struct sp_admin_op), .say = roles_say, .release = sp_admin_release};

static void listed(struct sp_op *op, sp_status status) {
    if (sp_ok(status)) {
        sp_op_finish(op, SP_OUTCOME_OK);
    } else {
        sp_op_fail(op, status);
    }
}

void sp_app_roles_list(struct sp_app *app, const struct sp_call *call, sp_roles_done *done, void *arg) {
    struct sp_admin_op *a = sp_admin_op_new(app, call, &list_kind, (sp_any_done *)done, arg);
    if (a == NULL) return;
    sp_op_read_begin(&a->plain.base, SP_READ_ROLES)->limit = SP_READ_PAGE_MAX;
    sp_op_read(&a->plain.base, listed);
}

/* ---- set, delete ---- */

struct role_op {
    struct sp_admin_op admin;
    struct sp_role_row row;
    size_t bytes_under_way; /* counted in app->under_way; 0: not */
};

static void role_release(struct sp_op *op) {
    const struct role_op *r = (struct role_op *)(void *)op;
    struct sp_under_way *all = &op->app->under_way;
    if (r->bytes_under_way != 0) {
        atomic_fetch_sub(&all->roles, 1);
        atomic_fetch_sub(&all->role_bytes, r->bytes_under_way);
    }
    sp_admin_release(op);
}
static const struct sp_op_kind role_kind = {
    .size = sizeof(struct role_op), .say = sp_plain_say, .release = role_release};

static bool role_exists(struct sp_app *app, sp_slice name) {
    sp_slice permissions;
    sp_seats_enter(app->seats);
    bool exists = sp_ok(sp_roles_find(sp_live_roles_get(app->roles), name, &permissions));
    sp_seats_leave(app->seats);
    return exists;
}

/* With this row in the place of the one of its name, if there is one. */
static bool would_be_too_much(struct sp_app *app, struct role_op *r) {
    const struct sp_role_row *row = &r->row;
    size_t n = 1, bytes = (size_t)row->name.n + row->permissions.n;
    r->bytes_under_way = bytes; /* a name is not empty */
    const size_t others = atomic_fetch_add(&app->under_way.roles, 1);
    const size_t other_bytes = atomic_fetch_add(&app->under_way.role_bytes, bytes);
    sp_seats_enter(app->seats);
    const struct sp_roles *table = sp_live_roles_get(app->roles);
    for (size_t i = 0; i < sp_roles_count(table); i++) {
        const struct sp_roles_entry e = sp_roles_at(table, i);
        if (sp_slice_eq(e.name, SP_TEXT_SLICE(&row->name))) continue;
        n++;
        bytes += e.name.n + e.permissions.n;
    }
    sp_seats_leave(app->seats);
    if (n > ROLES_MAX || bytes > ROLES_BYTES_MAX) return true;
    return n + others > SP_ROLES_MAX || bytes + other_bytes > SP_ROLES_BYTES_MAX;
}

static void changed(struct sp_op *op, sp_status status) {
    if (sp_is(status, SP_E_CONFLICT)) {
        sp_op_finish(op, SP_OUTCOME_NOT_FOUND); /* only a deletion has a precondition */
    } else if (!sp_ok(status)) {
        sp_op_fail(op, status);
    } else {
        sp_op_finish(op, SP_OUTCOME_OK);
    }
}

static void commit_with_record(struct role_op *r, enum sp_audit_action action) {
    struct sp_op *op = &r->admin.plain.base;
    const struct sp_log_field detail[] = {SP_LOGF_TEXT("permissions", SP_TEXT_SLICE(&r->row.permissions))};
    const struct sp_audit_event event = {
        .action = action,
        .target = SP_TEXT_SLICE(&r->row.name),
        .detail = detail,
        .detail_n = action == SP_AUDIT_ROLE_SET ? 1 : 0,
    };
    sp_status s = sp_op_audit(op, &event);
    if (sp_ok(s)) {
        sp_op_commit(op, changed);
    } else {
        sp_op_fail(op, s);
    }
}

static enum sp_outcome accept(struct role_op *r, sp_slice name, sp_slice permissions) {
    struct sp_app *app = r->admin.plain.base.app;
    sp_status s = sp_role_accept(name, permissions, &r->row);
    if (sp_is(s, SP_E_LIMIT)) return SP_OUTCOME_LIMIT_EXCEEDED;
    if (sp_is(s, SP_E_MALFORMED)) return SP_OUTCOME_INVALID_REQUEST;
    if (!sp_ok(s)) return SP_OUTCOME_INTERNAL;
    r->row.updated_ms = r->admin.plain.base.now_ms;
    return would_be_too_much(app, r) ? SP_OUTCOME_LIMIT_EXCEEDED : SP_OUTCOME_OK;
}

void sp_app_role_set(struct sp_app *app, const struct sp_call *call, sp_slice name, sp_slice permissions,
                     sp_plain_done *done, void *arg) {
    struct role_op *r = sp_admin_op_new(app, call, &role_kind, (sp_any_done *)done, arg);
    if (r == NULL) return;
    struct sp_op *op = &r->admin.plain.base;
    enum sp_outcome o = accept(r, name, permissions);
    if (o != SP_OUTCOME_OK) {
        sp_op_finish(op, o);
        return;
    }
    sp_op_change(op, SP_CHANGE_ROLE_PUT)->role_put =
        (struct sp_role_put){.row = &r->row, .expect_version = SP_VERSION_ANY};
    commit_with_record(r, SP_AUDIT_ROLE_SET);
}

void sp_app_role_delete(struct sp_app *app, const struct sp_call *call, sp_slice name, sp_plain_done *done,
                        void *arg) {
    struct role_op *r = sp_admin_op_new(app, call, &role_kind, (sp_any_done *)done, arg);
    if (r == NULL) return;
    struct sp_op *op = &r->admin.plain.base;
    if (!role_exists(app, name) || !sp_ok(SP_TEXT_SET(&r->row.name, name))) {
        sp_op_finish(op, SP_OUTCOME_NOT_FOUND);
        return;
    }
    sp_op_change(op, SP_CHANGE_ROLE_DELETE)->role_delete =
        (struct sp_role_delete){.tenant = SP_TENANT_DEFAULT, .name = SP_TEXT_SLICE(&r->row.name)};
    commit_with_record(r, SP_AUDIT_ROLE_DELETED);
}
