/* Reading the audit log, and proving it page by page. */
#include "core/app_admin.h"

/* ---- list ---- */

static void list_say(struct sp_op *op, sp_any_done *done, void *arg, enum sp_outcome outcome) {
    struct sp_audit_result result = {.outcome = outcome};
    if (outcome == SP_OUTCOME_OK) {
        const uint32_t n = op->read.ret.n;
        result.rows = op->read.ret.audit;
        result.n = n;
        result.next_seq = op->read.ret.more && n != 0 ? op->read.ret.audit[n - 1].seq : 0;
    }
    ((sp_audit_done *)done)(arg, &result);
}
static const struct sp_op_kind list_kind = {
    .size = sizeof(struct sp_admin_op), .say = list_say, .release = sp_admin_release};

static void listed(struct sp_op *op, sp_status status) {
    if (sp_ok(status)) {
        sp_op_finish(op, SP_OUTCOME_OK);
    } else {
        sp_op_fail(op, status);
    }
}

void sp_app_audit_list(struct sp_app *app, const struct sp_call *call, uint64_t after_seq, uint32_t limit,
                       sp_audit_done *done, void *arg) {
    struct sp_admin_op *a = sp_admin_op_new(app, call, &list_kind, (sp_any_done *)done, arg);
    if (a == NULL) return;
    struct sp_store_read *read = sp_op_read_begin(&a->plain.base, SP_READ_AUDIT);
    read->after_seq = after_seq;
    read->limit = sp_admin_limit(limit);
    sp_op_read(&a->plain.base, listed);
}

/* ---- verify ---- */

/* The meta row is read first and the records only as far as it counts them: those that are appended meanwhile
 * are the next verification's. */
struct verify_op {
    struct sp_admin_op admin;
    struct sp_meta_row meta;
    struct sp_audit_verifier verifier;
    bool intact;
};

static struct verify_op *verify_of(struct sp_op *op) {
    return (struct verify_op *)(void *)op;
}

static void verify_say(struct sp_op *op, sp_any_done *done, void *arg, enum sp_outcome outcome) {
    struct sp_audit_verify_result result = {.outcome = outcome};
    if (outcome == SP_OUTCOME_OK) {
        const struct verify_op *v = verify_of(op);
        result.intact = v->intact;
        result.records = v->verifier.count;
        result.bad_seq = v->verifier.bad_seq;
        result.why = v->verifier.why;
    }
    ((sp_audit_verify_done *)done)(arg, &result);
}
static const struct sp_op_kind verify_kind = {
    .size = sizeof(struct verify_op), .say = verify_say, .release = sp_admin_release};

static void page_read(struct sp_op *op, sp_status status);

static void read_page(struct verify_op *v, uint64_t after_seq) {
    struct sp_op *op = &v->admin.plain.base;
    struct sp_store_read *read = sp_op_read_begin(op, SP_READ_AUDIT);
    read->after_seq = after_seq;
    read->limit = SP_READ_PAGE_MAX;
    sp_op_read(op, page_read);
}

static void conclude(struct verify_op *v) {
    struct sp_op *op = &v->admin.plain.base;
    v->intact = sp_audit_verifier_finish(&v->verifier, &v->meta, sp_keys_audit(op->app->keys));
    sp_op_finish(op, SP_OUTCOME_OK);
}

static void page_read(struct sp_op *op, sp_status status) {
    struct verify_op *v = verify_of(op);
    if (!sp_ok(status)) {
        sp_op_fail(op, status);
        return;
    }
    uint64_t last = 0;
    for (uint32_t i = 0; i < op->read.ret.n; i++) {
        last = op->read.ret.audit[i].seq;
        if (last <= v->meta.audit_count) sp_audit_verifier_row(&v->verifier, &op->read.ret.audit[i]);
    }
    if (op->read.ret.more && last < v->meta.audit_count && v->verifier.why == NULL) {
        read_page(v, last);
    } else {
        conclude(v);
    }
}

static void meta_read(struct sp_op *op, sp_status status) {
    if (!sp_ok(status)) {
        sp_op_fail(op, status);
        return;
    }
    verify_of(op)->meta = op->read.ret.meta;
    read_page(verify_of(op), 0);
}

void sp_app_audit_verify(struct sp_app *app, const struct sp_call *call, sp_audit_verify_done *done,
                         void *arg) {
    struct verify_op *v = sp_admin_op_new(app, call, &verify_kind, (sp_any_done *)done, arg);
    if (v == NULL) return;
    sp_audit_verifier_init(&v->verifier);
    sp_op_read_begin(&v->admin.plain.base, SP_READ_META);
    sp_op_read(&v->admin.plain.base, meta_read);
}
