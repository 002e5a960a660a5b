/* Keys by hand: list, rotate, revoke. The rows are read, the plan is made (keys_plan.c), the new rows are
 * sealed, and all of them are committed with one record each; when the schedule was faster, everything is
 * done anew.
 *
 * An announced key is a row that nobody else's change can be in conflict with, so of rotations only one is
 * under way at a time: each would find room for one more key, and the ring does not open with too many. */
#include "core/app_admin.h"

struct keys_op {
    struct sp_admin_op admin;
    bool is_revocation;
    bool holds_turn; /* app->rotating */
    enum sp_key_use use;
    bool immediately;
    sp_text64 kid;
    struct sp_key_plan todo;
    struct sp_key_set made;
    struct sp_key_row *rows; /* what is answered: `made` without secrets. Heap */
};

static struct keys_op *keys_of(struct sp_op *op) {
    return (struct keys_op *)(void *)op;
}

static void keys_forget(struct keys_op *k) {
    free(k->rows);
    k->rows = NULL;
    sp_key_set_done(&k->made);
}

static void keys_release(struct sp_op *op) {
    struct keys_op *k = keys_of(op);
    keys_forget(k);
    if (k->holds_turn) atomic_store(&op->app->rotating, false);
    sp_admin_release(op);
}

/* ---- list ---- */

static void list_say(struct sp_op *op, sp_any_done *done, void *arg, enum sp_outcome outcome) {
    struct sp_keys_result result = {.outcome = outcome};
    if (outcome == SP_OUTCOME_OK) {
        result.rows = op->read.ret.keys;
        result.n = op->read.ret.n;
    }
    ((sp_keys_done *)done)(arg, &result);
}
static const struct sp_op_kind list_kind = {
    .size = sizeof(struct keys_op), .say = list_say, .release = keys_release};

static void listed(struct sp_op *op, sp_status status) {
    if (!sp_ok(status)) {
        sp_op_fail(op, status);
        return;
    }
    for (uint32_t i = 0; i < op->read.ret.n; i++) {
        sp_wipe(&op->read.ret.keys[i].sealed, sizeof(op->read.ret.keys[i].sealed));
    }
    sp_op_finish(op, SP_OUTCOME_OK);
}

static void read_keys(struct sp_op *op, sp_op_step *next) {
    sp_op_read_begin(op, SP_READ_KEYS)->limit = SP_READ_PAGE_MAX;
    sp_op_read(op, next);
}

void sp_app_keys_list(struct sp_app *app, const struct sp_call *call, sp_keys_done *done, void *arg) {
    struct keys_op *k = sp_admin_op_new(app, call, &list_kind, (sp_any_done *)done, arg);
    if (k != NULL) read_keys(&k->admin.plain.base, listed);
}

/* ---- rotate, revoke ---- */

static void rotate_say(struct sp_op *op, sp_any_done *done, void *arg, enum sp_outcome outcome) {
    struct sp_keys_result result = {.outcome = outcome};
    if (outcome == SP_OUTCOME_OK) {
        result.rows = keys_of(op)->rows;
        result.n = keys_of(op)->made.changes.n;
    }
    ((sp_keys_done *)done)(arg, &result);
}
static const struct sp_op_kind rotate_kind = {
    .size = sizeof(struct keys_op), .say = rotate_say, .release = keys_release};
static const struct sp_op_kind revoke_kind = {
    .size = sizeof(struct keys_op), .say = sp_plain_say, .release = keys_release};

static void keys_read(struct sp_op *op, sp_status status);

static void committed(struct sp_op *op, sp_status status) {
    struct keys_op *k = keys_of(op);
    if (sp_is(status, SP_E_CONFLICT)) {
        keys_forget(k);
        if (sp_admin_may_retry(op)) read_keys(op, keys_read);
    } else if (!sp_ok(status)) {
        sp_op_fail(op, status);
    } else {
        for (size_t i = 0; i < k->made.changes.n; i++) {
            k->rows[i] = k->made.changes.v[i].row;
            sp_wipe(&k->rows[i].sealed, sizeof(k->rows[i].sealed));
        }
        sp_op_finish(op, SP_OUTCOME_OK);
    }
}

static sp_status plan(const struct keys_op *k, const struct sp_key_row *rows, size_t n,
                      const struct sp_key_schedule *schedule, struct sp_key_plan *ret) {
    if (k->is_revocation) return sp_keys_plan_revoke(rows, n, SP_TEXT_SLICE(&k->kid), schedule, ret);
    return sp_keys_plan_rotate(rows, n, k->use, k->immediately, schedule, ret);
}

static enum sp_outcome outcome_of_plan(sp_status s) {
    switch (s.code) {
    case SP_OK: return SP_OUTCOME_OK;
    case SP_E_NOT_FOUND: return SP_OUTCOME_NOT_FOUND;
    case SP_E_REFUSED: return SP_OUTCOME_INVALID_REQUEST;
    case SP_E_BUSY: return SP_OUTCOME_ALREADY_EXISTS; /* a successor is announced */
    case SP_E_CONFLICT: return SP_OUTCOME_OK;         /* revoked before: what was asked for is so */
    case SP_E_LIMIT: return SP_OUTCOME_LIMIT_EXCEEDED;
    case SP_E_NOMEM:
    case SP_E_MALFORMED:
    case SP_E_UNAVAILABLE:
    case SP_E_UNKNOWN:
    case SP_E_CRYPTO:
    case SP_E_IO:
    case SP_E_UNSUPPORTED:
    case SP_CODE_COUNT: break;
    }
    return SP_OUTCOME_INTERNAL;
}

/* On a thread of the pool: an RSA key takes long. */
static sp_status make(struct sp_op *op) {
    struct keys_op *k = keys_of(op);
    const struct sp_audit_event by = {
        .actor = SP_TEXT_SLICE(&op->actor),
        .address = SP_TEXT_SLICE(&op->address),
        .user_agent = SP_TEXT_SLICE(&op->user_agent),
        .request_id = SP_TEXT_SLICE(&op->request_id),
    };
    k->rows = calloc(k->todo.n, sizeof(*k->rows));
    if (k->rows == NULL) return sp_err(SP_E_NOMEM);
    return sp_key_set_make(op->app, &k->todo, op->read.ret.keys, op->read.ret.n, &by, &k->made);
}

static void made(struct sp_op *op, sp_status status) {
    struct keys_op *k = keys_of(op);
    if (sp_ok(status)) {
        sp_op_commit_changes(op, k->made.set, 2 * k->made.changes.n, committed);
    } else if (sp_is(status, SP_E_BUSY)) {
        sp_op_finish(op, SP_OUTCOME_OVERLOADED);
    } else {
        sp_op_fail(op, status);
    }
}

static void keys_read(struct sp_op *op, sp_status status) {
    struct keys_op *k = keys_of(op);
    const struct sp_key_schedule schedule = sp_app_key_schedule(op->app);
    if (!sp_ok(status)) {
        sp_op_fail(op, status);
        return;
    }
    sp_status planned = plan(k, op->read.ret.keys, op->read.ret.n, &schedule, &k->todo);
    if (!sp_ok(planned)) {
        sp_op_finish(op, outcome_of_plan(planned));
        return;
    }
    sp_op_work(op, make, made);
}

void sp_app_key_rotate(struct sp_app *app, const struct sp_call *call, enum sp_key_use use, bool immediately,
                       sp_keys_done *done, void *arg) {
    struct keys_op *k = sp_admin_op_new(app, call, &rotate_kind, (sp_any_done *)done, arg);
    if (k == NULL) return;
    k->use = use;
    k->immediately = immediately;
    bool expected = false;
    k->holds_turn = atomic_compare_exchange_strong(&app->rotating, &expected, true);
    if (!k->holds_turn) {
        sp_op_finish(&k->admin.plain.base, SP_OUTCOME_CHANGED_MEANWHILE);
        return;
    }
    read_keys(&k->admin.plain.base, keys_read);
}

void sp_app_key_revoke(struct sp_app *app, const struct sp_call *call, sp_slice kid, sp_plain_done *done,
                       void *arg) {
    struct keys_op *k = sp_admin_op_new(app, call, &revoke_kind, (sp_any_done *)done, arg);
    if (k == NULL) return;
    k->is_revocation = true;
    if (!sp_ok(SP_TEXT_SET(&k->kid, kid))) {
        sp_op_finish(&k->admin.plain.base, SP_OUTCOME_NOT_FOUND);
        return;
    }
    read_keys(&k->admin.plain.base, keys_read);
}
