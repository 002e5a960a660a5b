/* Erasing a person: the personal values of every record about the user, the user's row with its names, and
 * the rows of the ended sessions with their addresses and devices. The audit chain stays whole, because it
 * covers commitments and not the values.
 *
 *   scan     page by page, erasing; a request does a bounded part and says where the next goes on
 *   delete   at the end of the log: sessions ended, user deleted, one record, in one change set
 *   forget   the rows of the sessions
 *   tail     the records that were written meanwhile
 *
 * The user goes last, so that an erasure that was interrupted can be begun again by the name. Afterwards the
 * id still works, and finds nothing more to do. Records of "user_erased" keep the address of whoever erased.
 */
#include "core/app_admin.h"

enum {
    PAGES_A_REQUEST = 50,
    FORGET_MOST = 500, /* sessions a step: some milliseconds of the writer's time */
};

/* ---- where an erasure goes on ---- */

/* `complete` is a promise about the whole log, so the caller's word for how far it was looked through is not
 * enough: an erasure goes on only where we remember that it stopped. One that was forgotten (a restart, too
 * many others) begins again, which costs time and nothing else. */
static void remember(struct sp_app *app, const uint8_t *user_id, uint64_t at) {
    struct sp_erasures *all = &app->erasures;
    pthread_mutex_lock(&app->background_mutex);
    struct sp_erasure *slot = &all->slots[all->next];
    all->next = (all->next + 1) % SP_ERASURES_MAX;
    memcpy(slot->user_id, user_id, sizeof(slot->user_id));
    slot->at = at;
    pthread_mutex_unlock(&app->background_mutex);
}

/* Whether a request about this user stopped there. */
static bool is_remembered(struct sp_app *app, const uint8_t *user_id, uint64_t at) {
    bool found = false;
    pthread_mutex_lock(&app->background_mutex);
    for (size_t i = 0; i < SP_ERASURES_MAX && !found; i++) {
        const struct sp_erasure *slot = &app->erasures.slots[i];
        found = slot->at == at && memcmp(slot->user_id, user_id, sizeof(slot->user_id)) == 0;
    }
    pthread_mutex_unlock(&app->background_mutex);
    return found;
}

struct erase_op {
    struct sp_admin_op admin;
    uint64_t at;    /* last record looked at */
    uint64_t total; /* records when the request began */
    uint64_t erased;
    uint32_t pages;
    bool complete, is_tail, is_recorded;
    uint64_t seqs[SP_READ_PAGE_MAX];
};

static struct erase_op *erase_of(struct sp_op *op) {
    return (struct erase_op *)(void *)op;
}

static void erase_say(struct sp_op *op, sp_any_done *done, void *arg, enum sp_outcome outcome) {
    struct sp_erase_result result = {.outcome = outcome};
    if (outcome == SP_OUTCOME_OK) {
        const struct erase_op *e = erase_of(op);
        result.complete = e->complete;
        result.next_seq = e->complete ? 0 : e->at;
        result.total = e->total;
        result.erased = e->erased;
        result.sessions_ended = e->admin.plain.count;
        memcpy(result.user_id, e->admin.user.id, sizeof(result.user_id));
    }
    ((sp_erase_done *)done)(arg, &result);
}
static const struct sp_op_kind erase_kind = {
    .size = sizeof(struct erase_op), .say = erase_say, .release = sp_admin_release};

static void scan(struct erase_op *e);

static void finished(struct sp_op *op, sp_status status) {
    if (sp_ok(status)) {
        sp_op_finish(op, SP_OUTCOME_OK);
    } else {
        sp_op_fail(op, status);
    }
}

static sp_status record(struct erase_op *e) {
    const struct sp_log_field detail[] = {
        SP_LOGF_I64("records", (int64_t)e->erased),
        SP_LOGF_TEXT("complete", e->complete ? SP_SLICE_LIT("yes") : SP_SLICE_LIT("no"))};
    const struct sp_audit_event event = {.action = SP_AUDIT_USER_ERASED,
                                         .target = SP_TEXT_SLICE(&e->admin.user_text),
                                         .detail = detail,
                                         .detail_n = SP_ARRAY_LEN(detail)};
    return sp_op_audit(&e->admin.plain.base, &event);
}

/* ---- the end ---- */

/* What a request erased without deleting the user is on record too. */
static void end_request(struct erase_op *e) {
    struct sp_op *op = &e->admin.plain.base;
    sp_op_reset(op);
    if (!e->complete) remember(op->app, e->admin.user.id, e->at);
    if (e->is_recorded || e->erased == 0) {
        sp_op_finish(op, SP_OUTCOME_OK);
        return;
    }
    sp_status s = record(e);
    if (sp_ok(s)) {
        sp_op_commit(op, finished);
    } else {
        sp_op_fail(op, s);
    }
}

/* ---- forget ---- */

static void forget(struct erase_op *e);

static void forgotten(struct sp_op *op, sp_status status) {
    struct erase_op *e = erase_of(op);
    if (!sp_ok(status)) {
        sp_op_fail(op, status);
    } else if (op->changes[0].sessions_forget.ret_forgotten == FORGET_MOST) {
        forget(e);
    } else {
        e->is_tail = true;
        scan(e);
    }
}

static void forget(struct erase_op *e) {
    struct sp_op *op = &e->admin.plain.base;
    sp_op_reset(op);
    sp_op_change(op, SP_CHANGE_SESSIONS_FORGET)->sessions_forget =
        (struct sp_sessions_forget){.tenant = SP_TENANT_DEFAULT,
                                    .user_id = e->admin.user.id,
                                    .sid_tag = e->admin.sid_tag,
                                    .most = FORGET_MOST};
    sp_op_commit(op, forgotten);
}

/* ---- delete ---- */

static void delete_user(struct erase_op *e);

static void user_found_again(struct sp_op *op, sp_status status) {
    (void)status; /* found, or known to be gone */
    delete_user(erase_of(op));
}

static void deleted(struct sp_op *op, sp_status status) {
    struct erase_op *e = erase_of(op);
    if (sp_is(status, SP_E_CONFLICT)) {
        if (sp_admin_may_retry(op)) sp_admin_find_or_id_again(&e->admin, user_found_again);
    } else if (!sp_ok(status)) {
        sp_op_fail(op, status);
    } else {
        e->is_recorded = true;
        e->admin.plain.count = op->changes[0].sessions_end.ret_ended;
        forget(e);
    }
}

/* The epoch is raised while the user is still there to have one. */
static void delete_user(struct erase_op *e) {
    struct sp_op *op = &e->admin.plain.base;
    sp_op_reset(op);
    if (!e->admin.user_exists) {
        forget(e);
        return;
    }
    sp_admin_end_sessions(&e->admin, SP_END_USER_DELETED);
    sp_op_change(op, SP_CHANGE_USER_EPOCH)->user_epoch =
        (struct sp_user_epoch){.tenant = SP_TENANT_DEFAULT,
                               .id = e->admin.user.id,
                               .expires_s = sp_app_epoch_expires_s(op->app, op->now_ms)};
    sp_op_change(op, SP_CHANGE_USER_DELETE)->user_delete = (struct sp_user_delete){
        .tenant = SP_TENANT_DEFAULT, .id = e->admin.user.id, .expect_version = e->admin.user.version};
    sp_status s = record(e);
    if (sp_ok(s)) {
        sp_op_commit(op, deleted);
    } else {
        sp_op_fail(op, s);
    }
}

/* ---- scan ---- */

static bool concerns(const struct erase_op *e, const struct sp_audit_row *row) {
    static const char ours[] = "user_erased";
    if (row->personal == NULL) return false;
    if (sp_admin_is_actor(&e->admin, row)) return true;
    return !sp_slice_eq_cstr(SP_TEXT_SLICE(&row->action), ours) && sp_admin_is_target(&e->admin, row);
}

static void go_on(struct erase_op *e, bool more) {
    if (more && (e->is_tail || ++e->pages < PAGES_A_REQUEST)) {
        scan(e);
    } else if (more || e->is_tail) {
        end_request(e);
    } else {
        e->complete = true;
        delete_user(e);
    }
}

static void erased(struct sp_op *op, sp_status status) {
    struct erase_op *e = erase_of(op);
    if (!sp_ok(status)) {
        sp_op_fail(op, status);
        return;
    }
    e->erased += op->changes[0].personal_erase.ret_erased;
    go_on(e, op->read.ret.more);
}

static void scanned(struct sp_op *op, sp_status status) {
    struct erase_op *e = erase_of(op);
    size_t n = 0;
    if (!sp_ok(status)) {
        sp_op_fail(op, status);
        return;
    }
    for (uint32_t i = 0; i < op->read.ret.n; i++) {
        const struct sp_audit_row *row = &op->read.ret.audit[i];
        e->at = row->seq;
        if (concerns(e, row)) e->seqs[n++] = row->seq;
    }
    if (n == 0) {
        go_on(e, op->read.ret.more);
        return;
    }
    sp_op_reset(op);
    sp_op_change(op, SP_CHANGE_PERSONAL_ERASE)->personal_erase =
        (struct sp_personal_erase){.seqs = e->seqs, .n = n};
    sp_op_commit(op, erased);
}

static void scan(struct erase_op *e) {
    struct sp_op *op = &e->admin.plain.base;
    struct sp_store_read *read = sp_op_read_begin(op, SP_READ_AUDIT);
    read->after_seq = e->at;
    read->limit = SP_READ_PAGE_MAX;
    sp_op_read(op, scanned);
}

static void meta_read(struct sp_op *op, sp_status status) {
    if (!sp_ok(status)) {
        sp_op_fail(op, status);
        return;
    }
    erase_of(op)->total = op->read.ret.meta.audit_count;
    scan(erase_of(op));
}

static void user_found(struct sp_op *op, sp_status status) {
    (void)status; /* found, or an id of somebody who is gone */
    struct erase_op *e = erase_of(op);
    if (e->at != 0 && !is_remembered(op->app, e->admin.user.id, e->at)) e->at = 0;
    sp_op_read_begin(op, SP_READ_META);
    sp_op_read(op, meta_read);
}

void sp_app_user_erase(struct sp_app *app, const struct sp_call *call, sp_slice name_or_id,
                       uint64_t after_seq, sp_erase_done *done, void *arg) {
    struct erase_op *e = sp_admin_op_new(app, call, &erase_kind, (sp_any_done *)done, arg);
    if (e == NULL) return;
    e->at = after_seq;
    sp_admin_find_or_id(&e->admin, name_or_id, user_found);
}
