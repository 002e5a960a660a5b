/* Reading the audit log, and proving it, in parts: however long the log is, one request looks at a bounded
 * number of records and says where the next one goes on. */
#include "core/app_admin.h"

#include "base/base64url.h"

enum { PAGES_A_REQUEST = 50 /* of SP_READ_PAGE_MAX: some tenths of a second of a reader's time */ };

/* ---- which records concern a user ---- */

/* A session id begins with the tag of its user. */
static bool is_session_of(sp_slice target, const uint8_t *sid_tag) {
    uint8_t sid[SP_SID_BYTES];
    return sp_ok(sp_base64url_decode_exact(target, sid, sizeof(sid))) &&
           memcmp(sid, sid_tag, SP_SID_TAG_BYTES) == 0; /* public */
}

bool sp_admin_is_target(const struct sp_admin_op *a, const struct sp_audit_row *row) {
    const sp_slice target = SP_TEXT_SLICE(&row->target);
    return sp_slice_eq(target, SP_TEXT_SLICE(&a->user_text)) || is_session_of(target, a->sid_tag);
}

bool sp_admin_is_actor(const struct sp_admin_op *a, const struct sp_audit_row *row) {
    return sp_slice_eq(SP_TEXT_SLICE(&row->actor), SP_TEXT_SLICE(&a->user_text));
}

/* ---- list ---- */

struct list_op {
    struct sp_admin_op admin;
    bool of_one_user;
    sp_text64 action; /* empty: any */
    int64_t since_ms, until_ms;
    uint32_t limit, pages;
    struct sp_audit_row *rows; /* what matched; heap, `limit` places */
    uint32_t n;
    uint64_t next_seq;
};

static struct list_op *list_of(struct sp_op *op) {
    return (struct list_op *)(void *)op;
}

static void list_say(struct sp_op *op, sp_any_done *done, void *arg, enum sp_outcome outcome) {
    struct sp_audit_result result = {.outcome = outcome};
    if (outcome == SP_OUTCOME_OK) {
        result.rows = list_of(op)->rows;
        result.n = list_of(op)->n;
        result.next_seq = list_of(op)->next_seq;
    }
    ((sp_audit_done *)done)(arg, &result);
}

static void list_release(struct sp_op *op) {
    struct list_op *l = list_of(op);
    for (uint32_t i = 0; i < l->n; i++) sp_audit_row_done(&l->rows[i]);
    free(l->rows);
    sp_admin_release(op);
}
static const struct sp_op_kind list_kind = {
    .size = sizeof(struct list_op), .say = list_say, .release = list_release};

static bool is_wanted(const struct list_op *l, const struct sp_audit_row *row) {
    if (l->since_ms != 0 && row->time_ms < l->since_ms) return false;
    if (l->until_ms != 0 && row->time_ms >= l->until_ms) return false;
    if (l->action.n != 0 && !sp_slice_eq(SP_TEXT_SLICE(&l->action), SP_TEXT_SLICE(&row->action)))
        return false;
    return !l->of_one_user || sp_admin_is_actor(&l->admin, row) || sp_admin_is_target(&l->admin, row);
}

/* Moves what is wanted out of the page; gives the number of the last record looked at. */
static uint64_t take_page(struct list_op *l, struct sp_store_read *read) {
    uint64_t last = 0;
    for (uint32_t i = 0; i < read->ret.n && l->n < l->limit; i++) {
        struct sp_audit_row *row = &read->ret.audit[i];
        last = row->seq;
        if (!is_wanted(l, row)) continue;
        l->rows[l->n++] = *row;
        row->body = NULL; /* ours now */
        row->personal = NULL;
    }
    return last;
}

static void listed(struct sp_op *op, sp_status status);

static void list_page(struct list_op *l, uint64_t after_seq) {
    struct sp_op *op = &l->admin.plain.base;
    bool filters = l->of_one_user || l->action.n != 0 || l->since_ms != 0 || l->until_ms != 0;
    struct sp_store_read *read = sp_op_read_begin(op, SP_READ_AUDIT);
    read->after_seq = after_seq;
    read->limit = filters ? SP_READ_PAGE_MAX : l->limit;
    sp_op_read(op, listed);
}

static void listed(struct sp_op *op, sp_status status) {
    struct list_op *l = list_of(op);
    if (!sp_ok(status)) {
        sp_op_fail(op, status);
        return;
    }
    const uint32_t n = op->read.ret.n;
    const uint64_t end = n == 0 ? 0 : op->read.ret.audit[n - 1].seq;
    const bool more = op->read.ret.more;
    const uint64_t last = take_page(l, &op->read);
    const bool rows_left = n != 0 && (more || last < end);
    if (rows_left && l->n < l->limit && ++l->pages < PAGES_A_REQUEST) {
        list_page(l, last);
    } else {
        l->next_seq = rows_left ? last : 0;
        sp_op_finish(op, SP_OUTCOME_OK);
    }
}

static void list_begin(struct sp_op *op, sp_status status) {
    (void)status; /* found, where a user was asked for */
    struct list_op *l = list_of(op);
    l->rows = calloc(l->limit, sizeof(*l->rows));
    if (l->rows == NULL) {
        sp_op_fail(op, sp_err(SP_E_NOMEM));
        return;
    }
    list_page(l, l->next_seq);
}

void sp_app_audit_list(struct sp_app *app, const struct sp_call *call, const struct sp_audit_query *in,
                       sp_audit_done *done, void *arg) {
    struct list_op *l = sp_admin_op_new(app, call, &list_kind, (sp_any_done *)done, arg);
    if (l == NULL) return;
    l->limit = sp_admin_limit(in->limit);
    l->next_seq = in->after_seq;
    l->since_ms = in->since_ms;
    l->until_ms = in->until_ms;
    l->of_one_user = in->user.n != 0;
    if (!sp_ok(SP_TEXT_SET(&l->action, in->action))) {
        sp_op_finish(&l->admin.plain.base, SP_OUTCOME_INVALID_REQUEST); /* longer than any action */
    } else if (l->of_one_user) {
        sp_admin_find_or_id(&l->admin, in->user, list_begin);
    } else {
        list_begin(&l->admin.plain.base, SP_SUCCESS);
    }
}

/* ---- verify ---- */

/* The meta row is read first and the records only as far as it counts them: those that are appended meanwhile
 * are the next verification's. Records may also be pruned meanwhile: whatever does not fit is looked at again
 * from where the log begins by then, before it is said. */
struct verify_op {
    struct sp_admin_op admin;
    bool has_meta;
    struct sp_meta_row meta;
    uint64_t checkpoint_record; /* that tells of having pruned by the checkpoint; 0: none was seen */
    struct sp_audit_verifier verifier;
    bool has_checkpoint;
    struct sp_audit_checkpoint checkpoint;
    uint32_t pages;
    bool intact, complete;
};

static struct verify_op *verify_of(struct sp_op *op) {
    return (struct verify_op *)(void *)op;
}

static enum sp_audit_checkpoint_place place_of(const struct verify_op *v) {
    if (!v->has_checkpoint) return SP_CHECKPOINT_NONE;
    if (v->checkpoint.count >= v->meta.audit_base) return SP_CHECKPOINT_IN_LOG;
    return v->checkpoint_record != 0 ? SP_CHECKPOINT_ON_RECORD : SP_CHECKPOINT_PRUNED;
}

static void verify_say(struct sp_op *op, sp_any_done *done, void *arg, enum sp_outcome outcome) {
    struct sp_audit_verify_result result = {.outcome = outcome};
    if (outcome == SP_OUTCOME_OK) {
        const struct verify_op *v = verify_of(op);
        result.intact = v->intact;
        result.complete = v->complete;
        result.records = v->verifier.count;
        result.base = v->meta.audit_base;
        result.checkpoint = place_of(v);
        result.checkpoint_record = v->checkpoint_record;
        result.total = v->meta.audit_count;
        memcpy(result.head, v->verifier.head, sizeof(result.head));
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
    v->complete = true;
    v->intact = sp_audit_verifier_finish(&v->verifier, &v->meta, sp_keys_audit(op->app->keys));
    sp_op_finish(op, SP_OUTCOME_OK);
}

static bool tells_of(const struct verify_op *v, const struct sp_audit_row *row) {
    const struct sp_hmac_key *key = sp_keys_audit(v->admin.plain.base.app->keys);
    struct sp_audit_checkpoint told;
    return sp_audit_row_checkpoint(row, SP_AUDIT_AUDIT_PRUNED, key, &told) &&
           told.count == v->checkpoint.count &&
           sp_slice_eq(SP_SLICE_ARRAY(told.head), SP_SLICE_ARRAY(v->checkpoint.head));
}

static void judge_row(struct verify_op *v, const struct sp_audit_row *row) {
    if (row->seq > v->meta.audit_count) return;
    sp_audit_verifier_row(&v->verifier, row);
    if (!v->has_checkpoint) return;
    sp_audit_verifier_checkpoint(&v->verifier, &v->checkpoint);
    if (v->verifier.why == NULL && v->checkpoint.count < v->meta.audit_base && tells_of(v, row))
        v->checkpoint_record = row->seq;
}

static void meta_read(struct sp_op *op, sp_status status);

static void read_meta(struct verify_op *v) {
    sp_op_read_begin(&v->admin.plain.base, SP_READ_META);
    sp_op_read(&v->admin.plain.base, meta_read);
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
        judge_row(v, &op->read.ret.audit[i]);
    }
    const bool at_end = !op->read.ret.more || last >= v->meta.audit_count;
    if (v->verifier.why != NULL || (at_end && v->verifier.count < v->meta.audit_count)) {
        read_meta(v); /* was it pruned? */
    } else if (at_end) {
        conclude(v);
    } else if (++v->pages == PAGES_A_REQUEST) {
        v->intact = true; /* as far as we have come */
        sp_op_finish(op, SP_OUTCOME_OK);
    } else {
        read_page(v, last);
    }
}

/* A log that has come to begin further on than we are is gone on with from there: its seal covers it. */
static void begin(struct verify_op *v) {
    const struct sp_meta_row *meta = &v->meta;
    if (v->verifier.count <= meta->audit_base)
        sp_audit_verifier_init_from(&v->verifier, meta->audit_base, meta->audit_base_hash);
    if (v->has_checkpoint && v->checkpoint.count > meta->audit_count) {
        v->verifier.bad_seq = meta->audit_count + 1;
        v->verifier.why = "records that the checkpoint has counted are missing at the end";
        conclude(v);
        return;
    }
    if (v->has_checkpoint) sp_audit_verifier_checkpoint(&v->verifier, &v->checkpoint);
    read_page(v, v->verifier.count);
}

static void meta_read(struct sp_op *op, sp_status status) {
    struct verify_op *v = verify_of(op);
    if (!sp_ok(status)) {
        sp_op_fail(op, status);
        return;
    }
    const struct sp_meta_row *meta = &op->read.ret.meta;
    if (v->has_meta && meta->audit_base <= v->verifier.count) {
        conclude(v); /* it was not pruned */
        return;
    }
    v->has_meta = true;
    v->meta = *meta;
    begin(v);
}

void sp_app_audit_verify(struct sp_app *app, const struct sp_call *call,
                         const struct sp_audit_verify_request *in, sp_audit_verify_done *done, void *arg) {
    struct verify_op *v = sp_admin_op_new(app, call, &verify_kind, (sp_any_done *)done, arg);
    if (v == NULL) return;
    sp_audit_verifier_init_from(&v->verifier, in->after_seq, in->head);
    v->has_checkpoint = in->checkpoint != NULL;
    if (v->has_checkpoint) v->checkpoint = *in->checkpoint;
    if (v->has_checkpoint && !sp_audit_checkpoint_is_ours(&v->checkpoint, sp_keys_audit(app->keys))) {
        sp_op_finish(&v->admin.plain.base, SP_OUTCOME_INVALID_REQUEST);
        return;
    }
    read_meta(v);
}

/* ---- checkpoint ---- */

struct checkpoint_op {
    struct sp_admin_op admin;
    struct sp_audit_checkpoint made;
};

static void checkpoint_say(struct sp_op *op, sp_any_done *done, void *arg, enum sp_outcome outcome) {
    struct sp_audit_checkpoint_result result = {.outcome = outcome};
    if (outcome == SP_OUTCOME_OK) result.checkpoint = ((struct checkpoint_op *)(void *)op)->made;
    ((sp_audit_checkpoint_done *)done)(arg, &result);
}
static const struct sp_op_kind checkpoint_kind = {
    .size = sizeof(struct checkpoint_op), .say = checkpoint_say, .release = sp_admin_release};

/* A head that somebody else has written gets no seal of ours. */
static void checkpoint_read(struct sp_op *op, sp_status status) {
    struct checkpoint_op *c = (struct checkpoint_op *)(void *)op;
    if (!sp_ok(status)) {
        sp_op_fail(op, status);
        return;
    }
    const struct sp_hmac_key *key = sp_keys_audit(op->app->keys);
    if (!sp_audit_head_is_ours(&op->read.ret.meta, key)) {
        sp_op_finish(op, SP_OUTCOME_AUDIT_NOT_INTACT);
        return;
    }
    sp_audit_checkpoint_make(&op->read.ret.meta, op->now_ms, key, &c->made);
    sp_op_finish(op, SP_OUTCOME_OK);
}

void sp_app_audit_checkpoint(struct sp_app *app, const struct sp_call *call, sp_audit_checkpoint_done *done,
                             void *arg) {
    struct checkpoint_op *c = sp_admin_op_new(app, call, &checkpoint_kind, (sp_any_done *)done, arg);
    if (c == NULL) return;
    sp_op_read_begin(&c->admin.plain.base, SP_READ_META);
    sp_op_read(&c->admin.plain.base, checkpoint_read);
}
